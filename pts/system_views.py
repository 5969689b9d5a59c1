"""Staff pages about systems: their history, what is ours of them, synchronising with MassCEC."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from core.models import Note
from core.permissions import check, needs, staff_user
from core.workflow import Impossible, actor_for
from pts import actions, looks, pictures, rules
from pts.forms import MeterChangeForm, SystemForm
from pts.models import PartyReading, Submission, Synchronisation, System

VIEW = "pts.view_system"
CHANGE = "pts.change_system"
REPLACE = "pts.add_meterchange"
SHOWN = 60  # rows of a history: five years of months
SHOWN_DIFFERENCES = 200


def _load(key: int) -> System:
    system: System = get_object_or_404(System, fk_system=key)
    return system


# ---- One system --------------------------------------------------------------------------------


@needs(VIEW)
def system(request: HttpRequest, key: int) -> HttpResponse:
    """One system: reports, readings, energy against its profile, submissions, meter changes."""
    row = _load(key)
    lines = Submission.objects.filter(report__system=row).select_related("batch", "report__window")
    reports = row.reports.select_related("window").order_by("-window__month")
    yearly = rules.yearly_estimate(
        rules.Facts(capacity=row.capacity, yearly_estimate=row.yearly_estimate, last=None)
    )
    context = {
        "system": row,
        "page_title": row.name or row.system_id or f"System {row.fk_system}",
        "capacity": looks.kilowatts(row.capacity),
        "yearly": looks.kilowatt_hours(yearly),
        "picture": pictures.of_system(row),
        "reports": [_report(report) for report in reports[:SHOWN]],
        "readings": [
            _reading(reading) for reading in row.party_readings.order_by("-meter_at")[:SHOWN]
        ],
        "lines": [looks.line(line) for line in lines[:SHOWN]],
        "changes": row.changes.select_related("by").order_by("-at"),
        "notes": Note.objects.filter(case_label="pts.system", case_id=row.pk).order_by("-at")[:20],
    }
    return render(request, "pts/system.html", context)


def _report(report: Any) -> dict[str, Any]:
    return {
        "row": report,
        "value": looks.kilowatt_hours(report.meter_value),
        "produced": looks.kilowatt_hours(report.produced),
        "bullet": looks.bullet(report.produced, report.expected),
    }


def _reading(reading: PartyReading) -> dict[str, Any]:
    return {
        "row": reading,
        "value": looks.kilowatt_hours(reading.meter_value),
        "produced": looks.kilowatt_hours(reading.energy_produced),
        "there": looks.party_time(reading.meter_at),
    }


@needs(CHANGE)
def edit(request: HttpRequest, key: int) -> HttpResponseBase:
    """Change what is ours of a system."""
    row = _load(key)
    names = ("yearly_estimate", "meter_notes", "mpan", "register")
    initial: dict[str, Any] = {name: getattr(row, name) for name in names}
    if row.yearly_estimate is not None:
        initial["yearly_estimate"] = f"{row.yearly_estimate.normalize():f}"
    form = SystemForm(request.POST or None, initial=initial)
    if form.is_valid():
        by = actor_for(staff_user(request))
        actions.describe_system(system=row, by=by, now=timezone.now, **form.cleaned_data)
        messages.success(request, "Saved. Readings of an open window were checked again.")
        return redirect(row)
    words = {
        "page_title": f"Change system {row.fk_system}",
        "lead": "Name and capacity are MassCEC’s and come by synchronising; these are ours.",
        "button": "Save",
    }
    return _form_page(request, row, form, words)


@needs(REPLACE)
def meter_change(request: HttpRequest, key: int) -> HttpResponseBase:
    """Record that a meter was replaced."""
    row = _load(key)
    form = MeterChangeForm(request.POST or None)
    if form.is_valid():
        said = form.cleaned_data
        try:
            actions.record_meter_change(
                system=row,
                at=form.moment(),
                final_value=said["final_value"],
                first_value=said["first_value"],
                note=said["note"],
                by=actor_for(staff_user(request)),
                now=timezone.now,
            )
        except Impossible as problem:
            form.add_error(None, problem.sentence)
        else:
            messages.success(request, "Recorded. Readings of an open window were checked again.")
            return redirect(row)
    words = {
        "page_title": f"Meter replacement of system {row.fk_system}",
        "lead": "Energy is then counted up to the old meter’s last total and from the new one’s "
        "first. MassCEC is not told by this: write it in the note of the report.",
        "button": "Record this replacement",
    }
    return _form_page(request, row, form, words)


def _form_page(request: HttpRequest, row: System, form: Any, words: dict[str, str]) -> HttpResponse:
    context = {
        "form": form,
        "system": row,
        "cancel_url": row.get_absolute_url(),
        "cancel_label": "Back to the system",
        **words,
    }
    return render(request, "pts/system_form.html", context)


# ---- Synchronising -----------------------------------------------------------------------------


@require_POST
@needs(CHANGE)
def synchronise(request: HttpRequest) -> HttpResponseBase:
    """Ask MassCEC now for its systems and their last readings."""
    row = actions.synchronise(by=actor_for(staff_user(request)), now=timezone.now)
    return redirect("pts:synchronisation", pk=row.pk)


@needs("pts.view_synchronisation")
def synchronisation(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What differs between MassCEC's list and ours: applied or dropped by a person."""
    row = get_object_or_404(Synchronisation.objects.select_related("applied_by"), pk=pk)
    if request.method == "POST":
        return _decide(request, row)
    context = {
        "row": row,
        "page_title": str(row),
        "is_asking": row.state == Synchronisation.State.ASKING,
        "to_apply": row.state == Synchronisation.State.TO_APPLY and request.user.has_perm(CHANGE),
        "parts": _parts(row.differences),
        "newer": Synchronisation.objects.filter(asked_at__gt=row.asked_at).first(),
    }
    is_part = request.htmx  # type: ignore[attr-defined]
    page = "pts/synchronisation_part.html" if is_part else "pts/synchronisation.html"
    return render(request, page, context)


def _decide(request: HttpRequest, row: Synchronisation) -> HttpResponseBase:
    check(request, CHANGE)
    act, said = (
        (actions.apply, "Applied. New systems have their report of an open window.")
        if request.POST.get("do") == "apply"
        else (actions.drop, "Dropped: the systems stay as they are.")
    )
    if request.POST.get("do") not in ("apply", "drop"):
        messages.warning(request, "Nothing was done: press Apply or Drop.")
        return redirect("pts:synchronisation", pk=row.pk)
    by = actor_for(staff_user(request))
    try:
        act(synchronisation=row, by=by, now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect("pts:synchronisation", pk=row.pk)
    messages.success(request, said)
    return redirect("pts:systems")


PARTS = (
    ("new", "good", "New", "They get a report in a window that is open."),
    ("changed", "busy", "Changed", "Readings that are entered already keep their checks."),
    ("gone", "look", "Gone", "They are kept with their history; they can no longer be reported."),
    ("errors", "bad", "With an error", "MassCEC gives an error for these; nothing is changed."),
    (
        "odd",
        "bad",
        "Not understood",
        "These items of the reply cannot be read; nothing is changed.",
    ),
)


def _parts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Each kind of difference with its lines."""
    return [
        {
            "tag": tag,
            "title": title,
            "says": says,
            "count": len(found.get(kind) or ()),
            "rows": [_difference(each) for each in (found.get(kind) or ())[:SHOWN_DIFFERENCES]],
        }
        for kind, tag, title, says in PARTS
        if found.get(kind)
    ]


def _difference(each: dict[str, Any]) -> dict[str, Any]:
    before = each.get("before") or {}
    names = {"system_id": "System ID", "name": "Name", "capacity": "Capacity"}
    changes = [
        (label, before.get(name) or "nothing", each.get(name) or "nothing")
        for name, label in names.items()
        if before and before.get(name) != each.get(name)
    ]
    return {
        "key": each.get("fk_system"),
        "name": each.get("name") or each.get("system_id") or "",
        "capacity": f"{each['capacity']} kW" if each.get("capacity") else "",
        "said": each.get("error") or each.get("why") or "",
        "changes": changes,
        "is_back": bool(before) and not changes,
    }
