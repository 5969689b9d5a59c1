"""Staff pages of tests and submissions: check what leaves, press once, stop, see the outcome."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import confirm
from core.permissions import needs, staff_user
from core.workflow import Impossible, actor_for
from pts import actions, known, looks
from pts.forms import NotesForm
from pts.models import SUBMIT, Batch, Report, Submission, Window

Status = Report.Status
SHOWN_LINES = 500
DONE_ALREADY = "This was done already; it was not done twice."


def _chosen(request: HttpRequest, window: Window, status: str) -> list[Report]:
    """The reports named in the address, or all of the month, that have this status."""
    rows: QuerySet[Any] = Report.objects.filter(window=window, status=status)
    if "all" not in request.GET:
        named = [pk for pk in request.GET.getlist("row") if pk.isdecimal() and len(pk) <= 18]
        rows = rows.filter(pk__in=named)
    return list(rows.select_related("system").order_by("system"))


def _named(request: HttpRequest) -> int:
    return len(set(request.GET.getlist("row")))


def _nothing_to_do(request: HttpRequest, window: Window, what: str, link: str) -> HttpResponseBase:
    messages.warning(request, f"{what} Nothing was sent.")
    return redirect(f"{window.get_absolute_url()}{link}")


# ---- The test ----------------------------------------------------------------------------------


@needs(SUBMIT)
def test(request: HttpRequest, month: date) -> HttpResponseBase:
    """Test ready readings at MassCEC: nothing is saved there, no try is used."""
    window = get_object_or_404(Window, month=month)
    reports = _chosen(request, window, Status.READY)
    if not reports:
        return _nothing_to_do(request, window, "None of these readings is ready to be tested.", "")
    form = NotesForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _tested(request, window, reports, form)
    context = {
        "page_title": f"Test {_systems(len(reports))}",
        "lead": "MassCEC checks these readings as it would check a submission, and saves nothing.",
        "form": form,
        "button": f"Test {_systems(len(reports))}",
        "cancel_url": window.get_absolute_url(),
        "cancel_label": "Back without testing",
        **_lines(request, window, reports),
    }
    return render(request, "pts/test.html", context)


def _tested(
    request: HttpRequest, window: Window, reports: Sequence[Report], form: NotesForm
) -> HttpResponseBase:
    for report in reports:
        report.window = window
    try:
        batches = actions.test(
            reports=reports,
            notes=form.cleaned_data["notes"],
            by=actor_for(staff_user(request)),
            now=timezone.now,
        )
    except Impossible as problem:
        if running := _running(reports):
            messages.info(request, "These are being tested already; they were not sent twice.")
            return redirect("pts:batch", pk=running.pk)
        messages.error(request, problem.sentence)
        return redirect(window)
    return _to(batches, window)


def _running(reports: Sequence[Report]) -> Batch | None:
    """The test that one of these reports is in: a double click goes there."""
    lines = Submission.objects.filter(
        report=reports[0], state=Submission.State.WAITING, batch__kind=Batch.Kind.TEST
    )
    line = lines.select_related("batch").first()
    return line.batch if line else None


def _to(batches: Sequence[Batch], window: Window) -> HttpResponseBase:
    if len(batches) > 1:
        return redirect(f"{window.get_absolute_url()}#batches")
    return redirect("pts:batch", pk=batches[0].pk)


def _systems(count: int) -> str:
    return "1 system" if count == 1 else f"{count:,} systems"


def _lines(request: HttpRequest, window: Window, reports: Sequence[Report]) -> dict[str, Any]:
    """What every line says, in both zones, and what is left out."""
    shown = [_line(report) for report in reports[:SHOWN_LINES]]
    left_out = max(0, _named(request) - len(reports)) if "all" not in request.GET else 0
    return {
        "window": window,
        "frame": looks.frame(window, timezone.now()),
        "lines": shown,
        "more": len(reports) - len(shown),
        "count": len(reports),
        "left_out": left_out,
    }


def _line(report: Report) -> dict[str, Any]:
    line, tries = actions.line_of(report), known.tries_of(report)
    valid, failed = max(0, tries.valid_left - 1), max(0, tries.failed_left - 1)
    return {
        "report": report,
        "value": looks.kilowatt_hours(line.meter_value),
        "there": line.meter_date.replace("T", " "),
        "note": line.notes,
        "bullet": looks.bullet(report.produced, report.expected),
        "pips": looks.pips(tries),
        "after": f"at least {valid} valid, {failed} failed",
        "is_last": min(tries.valid_left, tries.failed_left) == 1,
    }


# ---- The submission ----------------------------------------------------------------------------


@needs(SUBMIT)
def submit(request: HttpRequest, month: date) -> HttpResponseBase:
    """Send tested readings to MassCEC: read what leaves, press once."""
    window = get_object_or_404(Window, month=month)
    token = request.POST.get("token", "")
    if confirm.used(token):
        return _done_already(request, window)
    reports = _chosen(request, window, Status.TESTED)
    if not reports:
        return _nothing_to_do(request, window, "None of these readings is tested.", "")
    form = NotesForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and token:
        return _sent(request, window, reports, form)
    if request.method == "POST" and form.is_valid():
        return _check_page(request, window, reports, form)
    context = {
        "page_title": f"Send {_systems(len(reports))} to MassCEC",
        "lead": "The next page says exactly what is sent. Nothing leaves before you press there.",
        "form": form,
        "button": "Continue",
        "cancel_url": window.get_absolute_url(),
        "cancel_label": "Back without sending",
        **_lines(request, window, reports),
    }
    return render(request, "pts/test.html", context)


def _order(window: Window, reports: Sequence[Report], notes: str) -> confirm.ShownOrder:
    """What the check page shows, for its one-time token: the lines as they stand, and the note."""
    lines = [(row.pk, row.status_at.isoformat(), actions.line_of(row)) for row in reports]
    return confirm.ShownOrder("pts.submit", f"{window.month} {notes!r} {lines}")


def _check_page(
    request: HttpRequest, window: Window, reports: Sequence[Report], form: NotesForm
) -> HttpResponse:
    notes = form.cleaned_data["notes"]
    for field in form.fields.values():
        field.widget = field.hidden_widget()
    lines = _lines(request, window, reports)
    context = {
        "title": f"Send {_systems(len(reports))} to MassCEC",
        "lead": f"The report of {window}. This is exactly what is sent.",
        "answers": _answers(request, window, reports, notes, lines["frame"]),
        "warnings": _warnings(reports, lines),
        "form": form,
        "token": confirm.token_for(_order(window, reports, notes), staff_user(request)),
        "cannot_undo": f"It leaves {settings.SEND_DELAY_SECONDS} seconds after you press; until "
        "then you can stop it. Once it has left, it cannot be called back: each of these systems "
        "has used one try of this window, valid or failed as MassCEC finds.",
        "button": f"Send {_systems(len(reports))} to MassCEC",
        "warning_button": True,
        "cancel_url": window.get_absolute_url(),
        **lines,
    }
    return render(request, "pts/check.html", context)


def _answers(
    request: HttpRequest,
    window: Window,
    reports: Sequence[Report],
    notes: str,
    frame: dict[str, Any],
) -> list[dict[str, Any]]:
    return [
        {"label": "Goes to", "value": "MassCEC Production Tracking System (ARPost)"},
        {
            "label": "Month",
            "value": str(window),
            "source": f"closes {frame['closes_there']}",
        },
        {"label": "Systems", "value": f"{len(reports):,}"},
        {
            "label": "Note to MassCEC",
            "value": notes or "None",
            "change_url": request.get_full_path(),
        },
    ]


def _warnings(reports: Sequence[Report], lines: dict[str, Any]) -> list[str]:
    last = sum(min(t.valid_left, t.failed_left) == 1 for t in map(known.tries_of, reports))
    again = sum(report.valid_tries > 0 for report in reports)
    accepted = sum(bool(report.accepted_reason) for report in reports)
    found = []
    if last:
        found.append(
            f"Last try: after this, {_systems(last)} can be corrected no more in this window "
            "unless the help desk grants an exception."
        )
    if again:
        found.append(
            f"Replaces a passed one: {_systems(again)}. The last one sent wins, so the pass may "
            "be lost."
        )
    if accepted:
        found.append(f"Accepted with a reason, though a check does not pass: {_systems(accepted)}.")
    if lines["left_out"]:
        found.append(f"Left out, because not tested: {_systems(lines['left_out'])} you chose.")
    return found


def _sent(
    request: HttpRequest, window: Window, reports: Sequence[Report], form: NotesForm
) -> HttpResponseBase:
    user, token, notes = staff_user(request), request.POST["token"], form.cleaned_data["notes"]
    for report in reports:
        report.window = window
    try:
        batches = actions.authorise(
            reports=reports,
            notes=notes,
            confirmation=confirm.redeem(token, _order(window, reports, notes), user),
            by=actor_for(user),
            now=timezone.now,
        )
    except IntegrityError:
        return _done_already(request, window)
    except Impossible as problem:
        if confirm.used(token):
            return _done_already(request, window)
        messages.error(request, problem.sentence)
        return redirect(window)
    return _to(batches, window)


def _done_already(request: HttpRequest, window: Window) -> HttpResponseBase:
    """A double click or the back button: to the month's batches, where the first press's is."""
    messages.info(request, DONE_ALREADY)
    return redirect(f"{window.get_absolute_url()}#batches")


# ---- A batch -----------------------------------------------------------------------------------


@needs("pts.view_batch")
def batch(request: HttpRequest, pk: int) -> HttpResponse:
    """A batch: the countdown with Stop while it waits, then what became of every line."""
    row = get_object_or_404(Batch.objects.select_related("window", "by"), pk=pk)
    context = _batch_context(request, row, timezone.now())
    is_part = request.htmx  # type: ignore[attr-defined]
    return render(request, "pts/batch_part.html" if is_part else "pts/batch.html", context)


def _batch_context(request: HttpRequest, row: Batch, now: datetime) -> dict[str, Any]:
    is_real = row.kind == Batch.Kind.REAL
    waits = row.state == Batch.State.WAITING
    lines = row.lines.select_related("report__system", "batch").order_by("report__system")
    counts = dict(row.lines.order_by().values_list("state").annotate(Count("pk")))
    may_stop = is_real and waits and staff_user(request).has_perm(SUBMIT)
    settled = row.state in (Batch.State.STOPPED, Batch.State.FAILED, Batch.State.REFUSED)
    undecided = any(counts.get(state) for state in Submission.OPEN)
    return {
        "batch": row,
        "page_title": _batch_title(row, sum(counts.values())),
        "waits": waits,
        "is_real": is_real,
        "is_moving": waits or row.state == Batch.State.SENDING,
        "is_open": not settled and undecided,
        "seconds_left": max(0, math.ceil((row.send_at - now).total_seconds())) if is_real else 0,
        "seconds_total": max(1, round((row.send_at - row.created_at).total_seconds())),
        "stop_url": reverse("pts:stop", args=[row.pk]) if may_stop else "",
        "counts": _counted(counts),
        "count": sum(counts.values()),
        "lines": [looks.line(line) for line in lines[:SHOWN_LINES]],
        "next_poll": row.window.due_at if undecided and row.window.closed_at is None else None,
    }


def _batch_title(row: Batch, count: int) -> str:
    what = "Test" if row.kind == Batch.Kind.TEST else "Submission"
    return f"{what} of {_systems(count)}, {row.window}"


def _counted(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"tag": looks.LINE_TAGS[state], "label": state.label, "count": counts[state]}
        for state in Submission.State
        if counts.get(state)
    ]


@require_POST
@needs(SUBMIT)
def stop(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stop a submission that has not left; its tries come back."""
    row = get_object_or_404(Batch.objects.select_related("window"), pk=pk)
    try:
        actions.stop(batch=row, by=actor_for(staff_user(request)), now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, "Stopped. Nothing was sent, and no try was used.")
    return redirect("pts:batch", pk=row.pk)
