"""Staff pages that fill a month: readings from a file or from meters, and the window calendar."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from core.permissions import needs, staff_user
from core.workflow import Impossible, actor_for
from pts import actions, known, looks, reading_csv
from pts.forms import CsvForm, WindowForm
from pts.models import REPORT, Report, System, Window

SHOWN_ROWS = 200
SALT = "pts.import"
GOOD_FOR_SECONDS = 4 * 3600
MOST_SIGNED = 1_500_000  # letters; a form may carry 2 MB
Readings = dict[int, actions.Reading]


# ---- Readings from a file ----------------------------------------------------------------------


@needs(REPORT)
def import_readings(request: HttpRequest, month: date) -> HttpResponseBase:
    """Upload readings; they are read, checked and shown, nothing is entered yet."""
    window = get_object_or_404(Window, month=month)
    form = CsvForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            return _preview(request, window, _sheet(file.read()), file.name)
        except reading_csv.NotASheet as problem:
            form.add_error("file", str(problem))
        except Impossible as problem:
            form.add_error(None, problem.sentence)
    context = {
        "form": form,
        "window": window,
        "page_title": f"Import readings for {window}",
        "lead": "The file is read and shown first. Nothing is entered until you confirm it.",
        "button": "Read this file",
        "cancel_url": window.get_absolute_url(),
        "cancel_label": "Back to the month",
        "there": f"{timezone.localtime(timezone=known.zone()):%H:%M}",
    }
    return render(request, "pts/import.html", context)


def _sheet(body: bytes) -> reading_csv.Sheet:
    systems = dict(System.objects.values_list("fk_system", "system_id"))
    return reading_csv.read(body, systems=systems, zone=known.zone())


def _preview(
    request: HttpRequest, window: Window, sheet: reading_csv.Sheet, name: str
) -> HttpResponse:
    """Show what the file would do; what is shown travels signed in the page, so nothing is kept."""
    readings = {
        row.fk_system: actions.Reading(
            value=row.value, at=row.at, source=Report.Source.CSV, party_note=row.note
        )
        for row in sheet.good
        if row.fk_system is not None and row.value is not None and row.at is not None
    }
    fresh = _not_entered_yet(readings, window)
    signed = _signed(fresh, window, request)
    context = {
        "page_title": "Check this import",
        "file_name": name,
        "wrong": [row for row in sheet.rows if row.problems],
        "ignored": sheet.ignored,
        "same": len(readings) - len(fresh),
        "signed": signed,
        **_weighed(window, fresh),
    }
    return render(request, "pts/import_check.html", context)


def _not_entered_yet(readings: Readings, window: Window) -> Readings:
    """Leave out what stands there already: a file sent twice changes nothing twice."""
    rows = Report.objects.filter(window=window, meter_value__isnull=False)
    entered = {
        key: (value, at)
        for key, value, at in rows.values_list("system__fk_system", "meter_value", "meter_at")
    }
    return {
        key: reading
        for key, reading in readings.items()
        if entered.get(key) != (reading.value, reading.at.replace(microsecond=0))
    }


def _signed(readings: Readings, window: Window, request: HttpRequest) -> str:
    rows = [
        [key, str(each.value), each.at.isoformat(), each.party_note]
        for key, each in readings.items()
    ]
    about = [str(window.month), staff_user(request).pk, rows]
    text = signing.dumps(about, salt=SALT, compress=True)
    if len(text) > MOST_SIGNED:
        raise reading_csv.NotASheet("The file holds too much at once. Split it.")
    return text


def _read_signed(text: str, window: Window, request: HttpRequest) -> Readings | None:
    """The readings that this person was shown for this month; None for anything else."""
    try:
        month, person, rows = signing.loads(text, salt=SALT, max_age=GOOD_FOR_SECONDS)
    except (signing.BadSignature, ValueError):
        return None
    if (month, person) != (str(window.month), staff_user(request).pk):
        return None
    return {
        key: actions.Reading(
            value=Decimal(value),
            at=datetime.fromisoformat(at),
            source=Report.Source.CSV,
            party_note=note,
        )
        for key, value, at, note in rows
    }


@require_POST
@needs(REPORT)
def confirm_import(request: HttpRequest, month: date) -> HttpResponseBase:
    """Enter what was shown; pressed twice, it is entered once."""
    window = get_object_or_404(Window, month=month)
    readings = _read_signed(request.POST.get("readings", ""), window, request)
    if readings is None:
        messages.error(request, "This page is too old. Send the file again; nothing was entered.")
        return redirect("pts:import", month=window.month)
    fresh = _not_entered_yet(readings, window)
    return _enter(request, window, lambda now: _enter_many(request, window, fresh, now))


def _enter_many(
    request: HttpRequest, window: Window, readings: Mapping[int, actions.Reading], now: datetime
) -> actions.Entered:
    by = actor_for(staff_user(request))
    return actions.enter_many(readings=readings, window=window, by=by, now=lambda: now)


# ---- Weighed, then entered ---------------------------------------------------------------------

Act = Callable[[datetime], actions.Entered]


def _weighed(window: Window, readings: Readings) -> dict[str, Any]:
    """What entering would come to: the same checks as entering makes, and nothing is written."""
    weighed, left = actions.weigh(readings=readings, window=window, now=timezone.now())
    weighed.sort(key=lambda each: (each.verdict.result == "fine", each.report.system.fk_system))
    look = sum(each.verdict.result != "fine" for each in weighed)
    return {
        "window": window,
        "done": actions.Entered(fine=len(weighed) - look, look=look, left=left),
        "count": len(weighed),
        "replaced": sum(each.report.meter_value is not None for each in weighed),
        "rows": [_weighed_row(each) for each in weighed[:SHOWN_ROWS]],
    }


def _weighed_row(each: actions.Weighed) -> dict[str, Any]:
    before, verdict = each.report.meter_value, each.verdict
    return {
        "report": each.report,
        "result": verdict.result,
        "why": verdict.why,
        "value": looks.kilowatt_hours(each.reading.value),
        "there": looks.party_time(each.reading.at),
        "here": each.reading.at,
        "before": looks.kilowatt_hours(before) if before is not None else "",
        "bullet": looks.bullet(verdict.produced, verdict.expected),
    }


def _enter(request: HttpRequest, window: Window, act: Act) -> HttpResponseBase:
    """Enter for good, and say what it came to."""
    try:
        done = act(timezone.now())
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(window)
    if done.fine or done.look:
        counts = f"{done.fine:,} fine, {done.look:,} to look at"
        messages.success(request, f"{done.fine + done.look:,} entered: {counts}.")
    else:
        messages.info(request, "Nothing was entered: nothing new was there.")
    if done.left:
        more = f" and {len(done.left) - 3:,} more" if len(done.left) > 3 else ""
        messages.warning(request, f"Left out: {' '.join(done.left[:3])}{more}")
    return redirect(window)


@needs(REPORT)
def take_from_meters(request: HttpRequest, month: date) -> HttpResponseBase:
    """Take what the metering desk has read for missing reports: shown first, entered on a press."""
    window = get_object_or_404(Window, month=month)
    by = actor_for(staff_user(request))

    def take(now: datetime) -> actions.Entered:
        return actions.take_from_meters(window=window, by=by, now=lambda: now)

    if request.method == "POST":
        return _enter(request, window, take)
    linked = System.objects.exclude(mpan="").exclude(register="")
    missing = linked.filter(reports__window=window, reports__status=Report.Status.MISSING)
    try:
        weighed = _weighed(window, actions.readings_from_meters(window, timezone.now()))
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(window)
    context = {
        "page_title": f"Take readings from meters for {window}",
        "linked": linked.count(),
        "waiting": missing.count(),
        **weighed,
    }
    return render(request, "pts/meters.html", context)


# ---- Windows -----------------------------------------------------------------------------------


@needs("pts.view_window")
def windows(request: HttpRequest) -> HttpResponse:
    """The calendar of reporting windows, the coming ones first."""
    now = timezone.now()
    rule = known.window_rule()
    rows = [{"row": row, **looks.frame(row, now)} for row in Window.objects.order_by("-month")[:36]]
    context = {
        "page_title": "Reporting windows",
        "rows": rows,
        "rule": f"the last {rule.last_days} days of a month to day {rule.until_day} of the next",
        "zone": known.zone().key,
    }
    return render(request, "pts/windows.html", context)


@needs("pts.change_window")
def window(request: HttpRequest, month: date) -> HttpResponseBase:
    """Give one month's window other days, as MassCEC announced."""
    row = get_object_or_404(Window, month=month)
    frame = looks.frame(row, timezone.now())
    initial = {"first": frame["first"], "last": frame["last"], "reason": row.reason}
    form = WindowForm(request.POST or None, initial=initial)
    if form.is_valid():
        by = actor_for(staff_user(request))
        try:
            actions.override_window(window=row, by=by, now=timezone.now, **form.cleaned_data)
        except Impossible as problem:
            form.add_error(None, problem.sentence)
        else:
            messages.success(request, f"The window for {row} is changed.")
            return redirect("pts:windows")
    context = {
        "page_title": f"Change the window for {row}",
        "lead": f"Days of {known.zone().key}, both included. MassCEC refuses whatever comes "
        "outside its own window, so change this only when they announced it.",
        "form": form,
        "button": "Change this window",
        "cancel_url": row.get_absolute_url(),
        "cancel_label": "Back to the month",
        "window": row,
    }
    return render(request, "pts/window.html", context)
