"""Staff pages about one system's report of one month: load, one action, message, redirect."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import casework
from core.forms import AssignForm, NoteForm
from core.models import User
from core.permissions import check, needs, staff_user
from core.timeline import timeline
from core.workflow import Impossible, actor_for, allowed_moves, conflict, transition
from pts import actions, known, looks, rules
from pts.forms import AcceptForm, ExceptionForm, ReadingForm, ReasonForm
from pts.lists import VIEW
from pts.models import GRANT, REPORT, SUBMIT, Report, Submission

Status = Report.Status
NEXT: dict[str, tuple[str, str]] = {
    Status.MISSING: ("Enter the reading", ""),
    Status.LOOK: ("Accept the reading with a reason, or correct it", ""),
    Status.READY: ("Test it at MassCEC", ""),
    Status.TESTED: ("Send it to MassCEC", ""),
    Status.VALIDATING: ("MassCEC validates it; the portal asks every 15 minutes", "MassCEC"),
    Status.PASSED: ("Nothing: this month is reported", "Nobody"),
    Status.FAILED: ("Correct the reading, then test and send it again", ""),
}
MISSED = "Nothing any more: the next report covers this month too"
UNDECIDED = "Ask MassCEC, then say here what they told you"
RESULTS = {"fine": ("good", "Fine"), "look": ("look", "Look"), "block": ("bad", "Block")}
WORST_FIRST = ("block", "look", "fine")


def load(reference: str) -> Report:
    """The report with this reference, or 404."""
    rows = Report.objects.select_related("system", "window", "assigned_to")
    report: Report = get_object_or_404(rows, reference=reference)
    return report


# ---- The case ----------------------------------------------------------------------------------


@needs(VIEW)
def case(request: HttpRequest, reference: str) -> HttpResponse:
    """One report: its reading, checks, tries, submissions, what is next, and its history."""
    report, user, now = load(reference), staff_user(request), timezone.now()
    lines = list(report.submissions.select_related("batch"))
    facts = known.facts_of([report.system], report.window.month)[report.system_id]
    may_write = user.has_perm(REPORT)
    checks = sorted(report.checks, key=lambda row: WORST_FIRST.index(row["result"]))
    context = {
        "case": report,
        "frame": looks.frame(report.window, now),
        "next": _next(report, lines, user, now),
        "moves": _buttons(report, lines, user, now),
        "case_note": report.why,
        "reading": _reading(report),
        "facts": facts,
        "bullet": looks.bullet(report.produced, report.expected),
        "checks": [{**row, "tag": RESULTS[row["result"]]} for row in checks],
        "tally": {name: sum(row["result"] == name for row in checks) for name in RESULTS},
        "spread": _spread(report, facts),
        "pips": looks.pips(known.tries_of(report)),
        "tries": known.tries_of(report),
        "lines": [looks.line(line) for line in lines],
        "exceptions": report.exceptions.select_related("by"),
        "timeline": timeline(report),
        "note_form": NoteForm(help_text="MassCEC does not see notes.") if may_write else None,
        "note_url": reverse("pts:note", args=[reference]),
        "assign_form": _assign_form(report) if may_write else None,
        "assign_url": reverse("pts:assign", args=[reference]),
    }
    return render(request, "pts/case.html", context)


def _next(
    report: Report, lines: list[Submission], user: User, now: datetime
) -> list[dict[str, Any]]:
    what, who = NEXT[report.status]
    is_over = now >= report.window.closes_at
    if _is_undecided(lines):
        what, who = UNDECIDED, ""
    elif is_over and report.status not in (Status.PASSED, Status.VALIDATING):
        what, who = MISSED, "Nobody"
    assigned = report.assigned_to
    name = f"{assigned} (you)" if assigned == user else str(assigned or "Nobody yet")
    rows: list[dict[str, Any]] = [
        {"term": "Next", "text": what},
        {"term": "Who acts", "text": who or name},
        {"term": "Like this since", "at": report.status_at},
    ]
    if not is_over and report.status != Status.PASSED:
        closes = looks.frame(report.window, now)["closes_there"]
        rows.insert(2, {"term": "Window closes", "at": report.window.closes_at, "extra": closes})
    return rows


def _is_undecided(lines: list[Submission]) -> bool:
    """Whether the window closed before MassCEC had decided: a person settles it."""
    return bool(lines) and lines[0].state == Submission.State.UNDECIDED


def _buttons(
    report: Report, lines: list[Submission], user: User, now: datetime
) -> list[dict[str, Any]]:
    is_open = report.window.opens_at <= now < report.window.closes_at
    found = [*_moves(report, lines, user)]
    if is_open:
        found = [*_sending(report, user), *_entering(report, user), *found]
    if is_open and user.has_perm(GRANT):
        found.append(_button(report, "grant", "Record a help desk exception"))
    return sorted(found, key=lambda button: not button.get("primary"))


def _button(report: Report, name: str, label: str, **how: Any) -> dict[str, Any]:
    url = reverse(f"pts:{name}", args=[report.reference])
    return {"label": label, "url": url, **how}


def _sending(report: Report, user: User) -> list[dict[str, Any]]:
    """To the test or the check page of a submission, for this report alone."""
    wanted = {Status.READY: ("test", "Test it"), Status.TESTED: ("submit", "Send it to MassCEC")}
    if report.status not in wanted or not user.has_perm(SUBMIT):
        return []
    name, label = wanted[Status(report.status)]
    url = f"{reverse(f'pts:{name}', args=[report.window.month])}?row={report.pk}"
    return [{"label": label, "url": url, "primary": True}]


def _entering(report: Report, user: User) -> list[dict[str, Any]]:
    if report.status not in Report.OPEN_TO_READINGS or not user.has_perm(REPORT):
        return []
    label = "Enter the reading" if report.meter_value is None else "Correct the reading"
    if report.status == Status.PASSED:
        label = "Replace the passed reading"
    primary = report.status in (Status.MISSING, Status.FAILED)
    return [_button(report, "enter", label, primary=primary)]


def _moves(report: Report, lines: list[Submission], user: User) -> list[dict[str, Any]]:
    """The moves of the transition table that fit: no acceptance of what is blocked."""
    rows = allowed_moves(report, user)
    if report.is_blocked:
        rows = [row for row in rows if row.name != "accept"]
    if not _is_undecided(lines):
        rows = [row for row in rows if not row.name.startswith("settle")]
    return [
        {
            "label": row.label,
            "url": reverse("pts:decide", args=[report.reference, row.name]),
            "primary": row.primary,
        }
        for row in rows
    ]


def _reading(report: Report) -> dict[str, str] | None:
    if report.meter_value is None or report.meter_at is None:
        return None
    return {
        "value": looks.kilowatt_hours(report.meter_value),
        "there": looks.party_time(report.meter_at),
        "produced": looks.kilowatt_hours(report.produced),
        "expected": looks.kilowatt_hours(report.expected),
    }


def _spread(report: Report, facts: rules.Facts) -> list[dict[str, str]]:
    """What each month gets where some were missed."""
    shape = known.shape_of(report.window)
    missed = rules.months_missed(facts, shape)
    months = (*missed, shape.month) if missed else ()
    shares = rules.spread(report.produced, months, known.limits())
    return [
        {"month": str(each.month), "energy": looks.kilowatt_hours(each.energy)} for each in shares
    ]


# ---- Entering a reading ------------------------------------------------------------------------


@needs(REPORT)
def enter(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Enter or correct the reading; it is checked at once, nothing is sent."""
    report = load(reference)
    has_passed = report.status == Status.PASSED
    form = ReadingForm(
        request.POST or None,
        request.FILES or None,
        has_passed=has_passed,
        initial=_initial(report),
    )
    if form.is_valid() and (answer := _entered(request, report, form)):
        return answer
    frame = looks.frame(report.window, timezone.now())
    words = "Correct the reading of" if report.meter_value is not None else "Enter the reading of"
    if has_passed:
        words = "Replace the passed reading of"
    context = {
        "page_title": f"{words} {report.title}",
        "lead": "The portal checks it at once. Nothing is sent to MassCEC by this.",
        "form": form,
        "button": "Check and keep this reading",
        "cancel_url": report.get_absolute_url(),
        "cancel_label": "Back to the report",
        "case": report,
        "frame": frame,
        "facts": known.facts_of([report.system], report.window.month)[report.system_id],
        "has_passed": has_passed,
    }
    return render(request, "pts/enter.html", context)


def _initial(report: Report) -> dict[str, Any]:
    at = timezone.localtime(report.meter_at) if report.meter_at else timezone.localtime()
    value = report.meter_value
    return {
        "value": None if value is None else f"{value.normalize():f}",
        "day": at.date(),
        "clock": at.time().replace(second=0, microsecond=0),
        "party_note": report.party_note,
        "stood": _stood(report),
    }


def _stood(report: Report) -> str:
    """How a report stands, so that nobody decides about another reading than they saw."""
    return report.status_at.isoformat()


def _entered(request: HttpRequest, report: Report, form: ReadingForm) -> HttpResponseBase | None:
    """Enter it; None when the form says why it cannot be."""
    said = form.cleaned_data
    if said["stood"] != _stood(report):
        return _changed(request, report)
    reading = actions.Reading(
        value=said["value"],
        at=form.moment(),
        source=Report.Source.TYPED,
        party_note=said["party_note"],
    )
    try:
        verdict = actions.enter(
            report=report,
            reading=reading,
            by=actor_for(staff_user(request)),
            now=timezone.now,
            replacing=said.get("replacing", False),
            photo=form.upload,
        )
    except Impossible as problem:
        form.add_error(None, problem.sentence)
        return None
    _say_verdict(request, verdict)
    return redirect(report)


def _say_verdict(request: HttpRequest, verdict: rules.Verdict) -> None:
    if verdict.result == "fine":
        messages.success(request, "The reading is fine. Test it at MassCEC next.")
    elif verdict.result == "look":
        messages.warning(request, f"Kept, but look at it: {verdict.why}")
    else:
        messages.error(request, f"Kept, but it cannot be sent like this: {verdict.why}")


# ---- Decisions with a reason -------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """One kind of decision: its words and what it does with report, form and person."""

    title: str
    button: str
    lead: str
    said: str
    act: Callable[..., None]


def _accept(*, report: Report, form: ReasonForm, **who: Any) -> None:
    photo = form.upload if isinstance(form, AcceptForm) else None
    reason = form.cleaned_data["reason"]
    actions.accept(report=report, reason=reason, photo=photo, **who)


def _take_back(*, report: Report, form: ReasonForm, **who: Any) -> None:
    actions.take_back(report=report, reason=form.cleaned_data["reason"], **who)


def _settle(*, passed: bool, report: Report, form: ReasonForm, **who: Any) -> None:
    reason = form.cleaned_data["reason"]
    actions.settle(report=report, passed=passed, reason=reason, **who)


DECISIONS: dict[str, Decision] = {
    "accept": Decision(
        "Accept the reading of {0}",
        "Accept this reading",
        "It becomes ready to be tested. Nothing is sent yet.",
        "Accepted. Test it at MassCEC next.",
        _accept,
    ),
    "take_back": Decision(
        "Take back the reading of {0}",
        "Take it back",
        "The report is missing again. What was sent before stays as it is at MassCEC.",
        "Taken back: the report is missing again.",
        _take_back,
    ),
    "settle_passed": Decision(
        "It passed: {0}",
        "Record that it passed",
        "Only if MassCEC told you so: write who said it, and when.",
        "Recorded: passed.",
        partial(_settle, passed=True),
    ),
    "settle_failed": Decision(
        "It failed or never came: {0}",
        "Record that it failed",
        "Only if MassCEC told you so. The next report then covers this month too.",
        "Recorded: failed. The next report covers this month too.",
        partial(_settle, passed=False),
    ),
}


@needs(VIEW)
def decide(request: HttpRequest, reference: str, name: str) -> HttpResponseBase:
    """Take one decision with a reason."""
    report = load(reference)
    decision = DECISIONS.get(name)
    if decision is None:
        raise Http404
    row = transition(Report, name)
    check(request, row.permission)
    if report.status not in row.sources:
        messages.error(request, conflict(report).sentence)
        return redirect(report)
    kind = AcceptForm if name == "accept" else ReasonForm
    form = kind(request.POST or None, request.FILES or None, initial={"stood": _stood(report)})
    if not form.is_valid():
        return _reason_page(request, report, decision, form)
    if form.cleaned_data["stood"] != _stood(report):
        return _changed(request, report)
    by = actor_for(staff_user(request))
    act = partial(decision.act, report=report, form=form, by=by, now=timezone.now)
    return _done(request, report, act, decision.said)


def _reason_page(
    request: HttpRequest, report: Report, decision: Decision, form: ReasonForm
) -> HttpResponse:
    context = {
        "page_title": decision.title.format(report.title),
        "lead": decision.lead,
        "form": form,
        "button": decision.button,
        "cancel_url": report.get_absolute_url(),
        "cancel_label": "Back to the report",
        "case": report,
        "reading": _reading(report),
        "open_checks": [
            {**row, "tag": RESULTS[row["result"]]}
            for row in report.checks
            if row["result"] != "fine"
        ],
    }
    return render(request, "pts/decide.html", context)


def _changed(request: HttpRequest, report: Report) -> HttpResponseBase:
    messages.error(request, "The report has changed since you looked at it. Nothing was done.")
    return redirect(report)


def _done(
    request: HttpRequest, report: Report, act: Callable[[], object], said: str
) -> HttpResponseBase:
    """Do it, or say why it could not be done; back to the report."""
    try:
        act()
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, said)
    return redirect(report)


@needs(GRANT)
def grant(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Record more tries that the help desk granted."""
    report = load(reference)
    form = ExceptionForm(request.POST or None)
    if form.is_valid():
        by = actor_for(staff_user(request))
        act = partial(actions.grant, report=report, by=by, now=timezone.now, **form.cleaned_data)
        return _done(request, report, act, "Recorded: these tries are there now.")
    context = {
        "page_title": f"Help desk exception for {report.title}",
        "lead": f"{known.tries_of(report).sentence.capitalize()} in this window. Only MassCEC’s "
        "help desk can grant more: record what they granted, for this window.",
        "form": form,
        "button": "Record this exception",
        "cancel_url": report.get_absolute_url(),
        "cancel_label": "Back to the report",
        "case": report,
    }
    return render(request, "pts/decide.html", context)


# ---- Photo, notes, assignment ------------------------------------------------------------------


@needs(VIEW)
def photo(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Send the photo of the meter as a download, never shown inside the portal."""
    report = load(reference)
    if not report.photo:
        raise Http404
    try:
        content = report.photo.open("rb")
    except FileNotFoundError as problem:
        raise Http404 from problem
    ending = str(report.photo.name).rpartition(".")[2]
    name = f"{report.reference}-meter.{ending}"
    response = FileResponse(content, as_attachment=True, filename=name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
@needs(REPORT)
def note(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Add a note for colleagues."""
    report, form = load(reference), NoteForm(request.POST)
    if form.is_valid():
        by = actor_for(staff_user(request))
        casework.note(report, text=form.cleaned_data["text"], by=by, now=timezone.now())
        messages.success(request, "Note added.")
    else:
        text = "The note was empty or too long (5,000 characters). Nothing was added."
        messages.error(request, text)
    return redirect(report)


def _assign_form(report: Report, posted: Any = None) -> AssignForm:
    people = User.objects.filter(is_active=True, groups__permissions__codename="report_production")
    return AssignForm(posted, people=people.distinct(), initial={"person": report.assigned_to_id})


@require_POST
@needs(REPORT)
def assign(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give the report to somebody, or to nobody."""
    report = load(reference)
    form = _assign_form(report, request.POST)
    if form.is_valid():
        to, by = form.cleaned_data["person"], actor_for(staff_user(request))
        casework.assign(report, to=to, by=by, now=timezone.now())
        messages.success(request, f"Given to {to or 'nobody'}.")
    else:
        messages.error(request, "Choose a person from the list. Nothing was changed.")
    return redirect(report)
