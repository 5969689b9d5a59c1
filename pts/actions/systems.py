"""Systems: compared with MassCEC's list, changed when a person applies it, and what is ours."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from core import calls, queue
from core.models import StatusChange, next_references
from core.outcomes import Outcome
from core.workflow import PORTAL, Actor, Impossible
from pts import messages
from pts.actions.lines import Status
from pts.actions.readings import check_again_in_open_windows
from pts.actions.shared import (
    Clock,
    answers,
    may,
    note_about,
    person,
    retry_at,
    sound,
    sound_odd,
)
from pts.client import ProductionTracking
from pts.known import zone
from pts.messages import LastReading, Odd
from pts.models import (
    SYNCHRONISE,
    MeterChange,
    PartyReading,
    Report,
    Synchronisation,
    System,
    Window,
)

CHANGE_SYSTEM = "pts.change_system"
AHEAD = timedelta(days=1)  # a last reading later than this is no reading
OURS = ("system_id", "name", "capacity", "active", "gone_at", "synced_at")


def synchronise(*, by: Actor, now: Clock) -> Synchronisation:
    """Ask MassCEC for our systems and their last readings; what differs is shown first."""
    moment = now()
    with transaction.atomic():
        waiting = Synchronisation.objects.filter(state=Synchronisation.State.ASKING).first()
        if waiting is not None:
            return waiting
        row = Synchronisation.objects.create(asked_at=moment)
        queue.due(SYNCHRONISE, row.pk, now=moment, by=by)
        return row


def compare(*, claim: queue.Claim, tracking: ProductionTracking, now: Clock) -> None:
    """Ask for systems and last readings, keep the readings, and write down what differs."""
    try:
        systems = tracking.get_systems()
        readings = tracking.get_last_readings()
    except Outcome as problem:
        _not_compared(claim, problem, now())
        return
    moment = now()
    with transaction.atomic():
        queue.settle(claim)
        _keep_last_readings(readings.items, moment)
        _keep_their_errors(systems.items)
        found = differences(systems.items, systems.odd)
        found["odd"] = [msgspec.to_builtins(odd) for odd in (*systems.odd, *readings.odd)]
        any_new = any(found[kind] for kind in ("new", "changed", "gone"))
        state = Synchronisation.State.TO_APPLY if any_new else Synchronisation.State.NOTHING
        earlier = Synchronisation.objects.filter(state=Synchronisation.State.TO_APPLY)
        earlier.update(state=Synchronisation.State.DROPPED)
        Synchronisation.objects.filter(pk=claim.pk).update(
            state=state, answered_at=moment, differences=found, sentence=""
        )
        for answer in (systems, readings):
            calls.record(answer.call)
        sound_odd(systems.odd, "GetSystems", moment)
        sound_odd(readings.odd, "GetLastReading", moment)
    answers(moment)


def _not_compared(claim: queue.Claim, problem: Outcome, now: datetime) -> None:
    again = retry_at(claim, problem, now)
    with transaction.atomic():
        queue.settle(claim, due_at=again, keep_attempts=again is not None)
        waits = again is not None
        state = Synchronisation.State.ASKING if waits else Synchronisation.State.FAILED
        said = {"state": state, "sentence": problem.sentence[:500]}
        Synchronisation.objects.filter(pk=claim.pk).update(**said)
        calls.record(problem.call)
        sound(problem, now)


def differences(listed: Sequence[messages.System], odd: Sequence[Odd] = ()) -> dict[str, Any]:
    """What MassCEC's list would change: new, changed and gone systems, and their errors.

    Nothing is gone that may hide behind an item which cannot be read.
    """
    known = {system.fk_system: system for system in System.objects.all()}
    seen = {each.fk_system: each for each in listed}
    good = {key: each for key, each in seen.items() if each.error in (None, "")}
    unread = {each.fk_system for each in odd}
    gone = () if None in unread else sorted(known.keys() - seen.keys() - unread)
    return {
        "new": [_theirs(good[key]) for key in sorted(good.keys() - known.keys())],
        "changed": [
            {**_theirs(good[key]), "before": before}
            for key in sorted(good.keys() & known.keys())
            if (before := _before(known[key])) != _theirs(good[key]) or not known[key].active
        ],
        "gone": [_before(known[key]) for key in gone if key is not None and known[key].active],
        "errors": [
            {"fk_system": key, "error": messages.said(each.error)}
            for key, each in sorted(seen.items())
            if each.error not in (None, "")
        ],
    }


def _theirs(system: messages.System) -> dict[str, Any]:
    return {
        "fk_system": system.fk_system,
        "system_id": messages.said(system.system_id or "")[:100],
        "name": messages.said(system.name or "")[:200],
        "capacity": None if system.capacity is None else f"{system.capacity:.3f}",
    }


def _before(system: System) -> dict[str, Any]:
    return {
        "fk_system": system.fk_system,
        "system_id": system.system_id,
        "name": system.name,
        "capacity": None if system.capacity is None else f"{system.capacity:.3f}",
    }


def _keep_their_errors(listed: Iterable[messages.System]) -> None:
    """Show the error that MassCEC's list gives for a system we know, until it is gone."""
    errors = {
        each.fk_system: messages.said(each.error) for each in listed if each.error not in (None, "")
    }
    System.objects.exclude(trouble="").exclude(fk_system__in=errors).update(trouble="")
    for key, error in errors.items():
        System.objects.filter(fk_system=key).update(trouble=error)


def _keep_last_readings(readings: Iterable[LastReading], now: datetime) -> None:
    known = {system.fk_system: system for system in System.objects.all()}
    rows = {
        (row.system_id, row.meter_date, row.meter_value): row
        for reading in readings
        if (system := known.get(reading.fk_system))
        and (row := _party_reading(system, reading, now))
    }
    PartyReading.objects.bulk_create(
        rows.values(),
        batch_size=500,
        update_conflicts=True,
        unique_fields=["system", "meter_date", "meter_value"],
        update_fields=[
            "reported_at", "period_end", "energy_produced", "is_estimated", "notes", "read_at",
        ],
    )  # fmt: skip


def _party_reading(system: System, reading: LastReading, now: datetime) -> PartyReading | None:
    """The row of a last reading; None where it holds an error, no value or no possible date."""
    at = messages.from_party_time(reading.meter_date, zone())
    if reading.error not in (None, "") or reading.meter_value is None or at is None:
        return None
    if at > now + AHEAD:
        return None
    ends = messages.from_party_time(reading.period_end, zone())
    return PartyReading(
        system=system,
        meter_value=reading.meter_value.quantize(Decimal("0.0001")),
        meter_at=at,
        meter_date=(reading.meter_date or "").strip()[:40],
        reported_at=messages.from_party_time(reading.reported_at, zone()),
        period_end=ends and ends.astimezone(zone()).date(),
        energy_produced=reading.energy_produced,
        is_estimated=reading.is_estimated,
        notes=messages.said(reading.notes or ""),
        read_at=now,
    )


def apply(*, synchronisation: Synchronisation, by: Actor, now: Clock) -> None:
    """Apply what a synchronisation showed, once. Raises `NotAllowed`, `Impossible`."""
    may(by, CHANGE_SYSTEM, "Your role does not change systems.")
    moment = now()
    with transaction.atomic():
        _take(synchronisation, Synchronisation.State.APPLIED, by, moment)
        _write_systems(synchronisation.differences, moment)
        for window in Window.objects.filter(closed_at=None).exclude(begun_at=None):
            open_reports(window=window, now=moment)
        synchronise(by=by, now=now)


def drop(*, synchronisation: Synchronisation, by: Actor, now: Clock) -> None:
    """Leave the systems as they are. Raises `NotAllowed`, `Impossible`."""
    may(by, CHANGE_SYSTEM, "Your role does not change systems.")
    _take(synchronisation, Synchronisation.State.DROPPED, by, now())


def _take(row: Synchronisation, state: str, by: Actor, now: datetime) -> None:
    shown = Synchronisation.objects.filter(pk=row.pk, state=Synchronisation.State.TO_APPLY)
    if not shown.update(state=state, applied_by=by.user, applied_at=now):
        raise Impossible("This was applied, dropped or replaced already. Nothing was changed.")


def _write_systems(found: Mapping[str, Any], now: datetime) -> None:
    System.objects.bulk_create(
        [
            System(
                fk_system=each["fk_system"],
                system_id=each["system_id"],
                name=each["name"],
                capacity=None if each["capacity"] is None else Decimal(each["capacity"]),
                synced_at=now,
            )
            for each in (*found["new"], *found["changed"])
        ],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["fk_system"],
        update_fields=OURS,
    )
    gone = [each["fk_system"] for each in found["gone"]]
    System.objects.filter(fk_system__in=gone).update(active=False, gone_at=now, synced_at=now)
    unread = Report.objects.filter(
        system__fk_system__in=gone, window__closed_at=None, status=Status.MISSING
    )
    unread.update(why="MassCEC does not list this system any more")


def open_reports(*, window: Window, now: datetime) -> int:
    """Give every active system its report of this window. Returns how many are new."""
    systems = list(System.objects.filter(active=True).exclude(reports__window=window))
    if not systems:
        return 0
    references = next_references("PTS", timezone.localtime(now), len(systems))
    reports = [
        Report(
            reference=reference,
            status=Report.FIRST,
            status_at=now,
            created_at=now,
            due_by=window.closes_at,
            why="No reading yet",
            system=system,
            window=window,
        )
        for system, reference in zip(systems, references, strict=True)
    ]
    # Somebody else may be opening them at this moment.
    Report.objects.bulk_create(reports, batch_size=500, ignore_conflicts=True)
    made = Report.objects.filter(window=window, created_at=now, status_at=now)
    new = set(references)
    StatusChange.objects.bulk_create(
        [_opened(report, now) for report in made if report.reference in new], batch_size=500
    )
    return len(reports)


def _opened(report: Report, now: datetime) -> StatusChange:
    return StatusChange(
        case_label=report.case_label,
        case_id=report.pk,
        reference=report.reference,
        move="open",
        to_status=report.status,
        by_name=PORTAL.name,
        at=now,
    )


def describe_system(
    *,
    system: System,
    yearly_estimate: Decimal | None,
    meter_notes: str,
    mpan: str,
    register: str,
    by: Actor,
    now: Clock,
) -> None:
    """Set what is ours of a system; open readings are checked again. Raises `NotAllowed`."""
    may(by, CHANGE_SYSTEM, "Your role does not change systems.")
    with transaction.atomic():
        System.objects.filter(pk=system.pk).update(
            yearly_estimate=yearly_estimate, meter_notes=meter_notes, mpan=mpan, register=register
        )
        note_about(system, "Estimate, notes or meter changed.", by, now())
        check_again_in_open_windows(system, now())


def record_meter_change(
    *,
    system: System,
    at: datetime,
    final_value: Decimal,
    first_value: Decimal,
    note: str,
    by: Actor,
    now: Clock,
) -> MeterChange:
    """Record that a meter was replaced; open readings are checked again.

    Raises `NotAllowed`, `Impossible`.
    """
    may(by, "pts.add_meterchange", "Your role does not record meter replacements.")
    moment = now()
    if at > moment:
        raise Impossible("The replacement lies in the future. Nothing was changed.")
    with transaction.atomic():
        change, is_new = MeterChange.objects.get_or_create(
            system=system,
            at=at,
            defaults={
                "final_value": final_value,
                "first_value": first_value,
                "note": note,
                "by": person(by),
                "recorded_at": moment,
            },
        )
        if not is_new:
            raise Impossible("A replacement at this moment is recorded already.")
        said = (
            f"Meter replaced: the old one ended at {final_value}, the new began at {first_value}."
        )
        note_about(system, f"{said} {note}".strip(), by, moment)
        check_again_in_open_windows(system, moment)
    return change
