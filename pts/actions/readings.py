"""Readings: entered, taken from meters, accepted, taken back; and the help desk's exceptions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import casework
from core.models import Note
from core.uploads import Upload
from core.workflow import Actor, Different, Impossible, move, move_many
from metering import service as metering
from pts import messages, rules
from pts.actions.lines import Status
from pts.actions.shared import Blocked, Clock, WouldReplace, may, person
from pts.known import facts_of, limits, shape_of, zone
from pts.models import GRANT, REPORT, HelpDeskException, Report, System, Window

MOST_GRANTED = 20
IN_KWH = {"kwh": Decimal(1), "wh": Decimal("0.001"), "mwh": Decimal(1000)}
_STEP = Decimal("0.0001")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading to enter: the lifetime total in kWh, when it was read, and where it comes from."""

    value: Decimal
    at: datetime
    source: str
    party_note: str = ""


class Entered(msgspec.Struct):
    """What entering many readings came to: how many are fine or to look at, and who was left."""

    fine: int = 0
    look: int = 0
    left: list[str] = []


def judge(
    report: Report, reading: Reading, *, now: datetime, facts: rules.Facts | None = None
) -> rules.Verdict:
    """Check a reading for a report as the rules say (three queries unless facts are given)."""
    if facts is None:
        facts = facts_of([report.system], report.window.month)[report.system_id]
    return rules.check(
        facts,
        rules.Known(reading.value, reading.at),
        window=shape_of(report.window),
        now=now,
        limits=limits(),
        zone=zone(),
    )


def enter(
    *,
    report: Report,
    reading: Reading,
    by: Actor,
    now: Clock,
    replacing: bool = False,
    photo: tuple[Upload, bytes] | None = None,
) -> rules.Verdict:
    """Enter a reading: fine is ready, anything else is to look at.

    Raises `WouldReplace` for a report that has passed unless `replacing`, `Conflict`, `NotAllowed`,
    `Impossible` outside the window.
    """
    moment = now()
    _refuse_outside(report.window, moment)
    reading = _exact(reading)
    if report.status == Status.PASSED and not replacing:
        raise WouldReplace
    verdict = judge(report, reading, now=moment)
    name, entered = _entered(reading, verdict)
    with transaction.atomic():
        move(report, name, by=by, now=moment, note=entered.note, **entered.fields)
        if photo is not None:
            _keep_photo(report, *photo)
    return verdict


def _refuse_outside(window: Window, now: datetime) -> None:
    if now < window.opens_at:
        opens = f"{shape_of(window).opens:%-d %B %Y}"
        raise Impossible(f"The window for {window} opens on {opens}. Nothing was changed.")
    if now >= window.closes_at:
        raise Impossible(f"The window for {window} has closed. Nothing was changed.")


def _exact(reading: Reading) -> Reading:
    """The reading as it can be kept. Raises `Impossible` for no possible total."""
    value = reading.value
    if not value.is_finite() or not 0 <= value <= messages.LARGEST_VALUE:
        raise Impossible("The reading is no possible total in kWh. Nothing was changed.")
    whole_second = reading.at.replace(microsecond=0)
    return msgspec.structs.replace(reading, value=value.quantize(_STEP), at=whole_second)


def _entered(reading: Reading, verdict: rules.Verdict) -> tuple[str, Different]:
    """The move of an entered reading, its note and its columns."""
    fine = verdict.result == "fine"
    figure = f"{reading.value.normalize():,f}"
    note = f"{figure} kWh, read {timezone.localtime(reading.at):%-d %b %Y %H:%M}"
    fields = {
        "why": ("Checked, to be tested" if fine else verdict.why)[:300],
        "meter_value": reading.value,
        "meter_at": reading.at,
        "source": reading.source,
        "party_note": reading.party_note,
        **_checked(verdict),
        "accepted_reason": "",
    }
    return "enter_fine" if fine else "enter_odd", Different(note, fields)


def _checked(verdict: rules.Verdict) -> dict[str, Any]:
    return {
        "produced": verdict.produced,
        "expected": verdict.expected,
        "checks": msgspec.to_builtins(verdict.checks),
        "is_blocked": verdict.result == "block",
    }


def _keep_photo(report: Report, upload: Upload, content: bytes) -> None:
    fresh = Report.objects.get(pk=report.pk)
    fresh.photo.save(f"meter{upload.extension}", ContentFile(content), save=False)
    Report.objects.filter(pk=report.pk).update(photo=fresh.photo.name)


def accept(
    *,
    report: Report,
    reason: str,
    by: Actor,
    now: Clock,
    photo: tuple[Upload, bytes] | None = None,
) -> None:
    """Accept a reading that is to look at, with a reason. Raises `Blocked`, `Conflict`."""
    if report.meter_value is None or report.meter_at is None:
        raise Impossible("There is no reading to accept. Nothing was changed.")
    moment = now()
    reading = Reading(value=report.meter_value, at=report.meter_at, source=report.source)
    verdict = judge(report, reading, now=moment)
    if verdict.result == "block":
        raise Blocked(f"{verdict.why} It cannot be accepted; nothing was changed.")
    with transaction.atomic():
        move(
            report,
            "accept",
            by=by,
            now=moment,
            note=reason,
            why="Accepted with a reason, to be tested",
            accepted_reason=reason,
            **_checked(verdict),
        )
        if photo is not None:
            _keep_photo(report, *photo)


def take_back(*, report: Report, reason: str, by: Actor, now: Clock) -> None:
    """Take a reading back: the report is missing again. Raises `Conflict`, `NotAllowed`."""
    with transaction.atomic():
        move(
            report,
            "take_back",
            by=by,
            now=now(),
            note=reason,
            why="No reading yet",
            meter_value=None,
            meter_at=None,
            source="",
            party_note="",
            produced=None,
            expected=None,
            checks=[],
            is_blocked=False,
            accepted_reason="",
        )


def enter_many(
    *, readings: Mapping[int, Reading], window: Window, by: Actor, now: Clock
) -> Entered:
    """Enter readings by the systems' PTS keys; one that cannot be entered harms no other."""
    may(by, REPORT, "Your role does not enter readings.")
    moment = now()
    _refuse_outside(window, moment)
    done = Entered(left=[])
    reports = _enterable(readings, window, done)
    facts = facts_of([report.system for report in reports], window.month)
    moves: dict[str, list[Report]] = {"enter_fine": [], "enter_odd": []}
    different: dict[int, Different] = {}
    for report in reports:
        try:
            reading = _exact(readings[report.system.fk_system])
        except Impossible as problem:
            done.left.append(f"{report.system}: {problem.sentence}")
            continue
        verdict = judge(report, reading, now=moment, facts=facts[report.system_id])
        name, different[report.pk] = _entered(reading, verdict)
        moves[name].append(report)
    with transaction.atomic():
        done.fine = _enter(moves["enter_fine"], "enter_fine", different, by, moment, done)
        done.look = _enter(moves["enter_odd"], "enter_odd", different, by, moment, done)
    return done


def _enterable(readings: Mapping[int, Reading], window: Window, done: Entered) -> list[Report]:
    """The reports of this window that may take their reading; who is left is written down."""
    rows = Report.objects.filter(window=window).select_related("system")
    reports, known = [], set()
    for report in rows:
        if report.system.fk_system not in readings:
            continue
        known.add(report.system.fk_system)
        report.window = window
        if report.status == Status.PASSED:
            done.left.append(f"{report.system}: {WouldReplace.sentence}")
        elif report.status not in Report.OPEN_TO_READINGS:
            done.left.append(f"{report.system}: It is being validated. Nothing was changed.")
        else:
            reports.append(report)
    done.left += [
        f"System {key}: It has no report in {window}." for key in sorted(readings.keys() - known)
    ]
    return reports


def _enter(  # noqa: PLR0917 - one call in two lines above
    reports: Sequence[Report],
    name: str,
    different: Mapping[int, Different],
    by: Actor,
    now: datetime,
    done: Entered,
) -> int:
    moved = move_many(reports, name, by=by, now=now, different=different)
    gone = {report.pk for report in reports} - {case.pk for case in moved}
    done.left += [
        f"{report.system}: It has changed meanwhile. Nothing was changed."
        for report in reports
        if report.pk in gone
    ]
    return len(moved)


def take_from_meters(*, window: Window, by: Actor, now: Clock) -> Entered:
    """Take the last accepted register values of the metering desk for reports without a reading."""
    may(by, REPORT, "Your role does not enter readings.")
    waiting = System.objects.filter(reports__window=window, reports__status=Status.MISSING)
    linked = waiting.exclude(mpan="").exclude(register="")
    readings = {}
    for system in linked:
        value = _register_value(system, now())
        if value is not None and value.at >= window.opens_at:
            total = value.value * IN_KWH[value.unit.lower()]
            readings[system.fk_system] = Reading(
                value=total, at=value.at, source=Report.Source.METER
            )
    return enter_many(readings=readings, window=window, by=by, now=now)


def _register_value(system: System, now: datetime) -> metering.RegisterValue | None:
    """What a system's register showed last; None without one, or in another unit than energy."""
    for meter in metering.meters_of(system.mpan):
        if system.register in meter.registers:
            value = metering.register_value_at(meter.meter, system.register, now)
            return value if value is not None and value.unit.lower() in IN_KWH else None
    return None


def check_again_in_open_windows(system: System, now: datetime) -> None:
    """Check a system's readings anew after its facts have changed; no report moves by that."""
    rows = Report.objects.filter(
        system=system,
        window__closed_at=None,
        status__in=[Status.LOOK, Status.READY, Status.TESTED, Status.FAILED],
    )
    for report in rows.select_related("system", "window"):
        if report.meter_value is not None and report.meter_at is not None:
            reading = Reading(value=report.meter_value, at=report.meter_at, source=report.source)
            verdict = judge(report, reading, now=now)
            Report.objects.filter(pk=report.pk, meter_value=report.meter_value).update(
                **_checked(verdict)
            )


def grant(
    *,
    report: Report,
    more_valid: int,
    more_failed: int,
    granted_by: str,
    reason: str,
    by: Actor,
    now: Clock,
) -> None:
    """Record an exception of the help desk ("overridden by MassCEC Help Desk").

    Raises `NotAllowed`, and `Impossible` for no or too many tries.
    """
    may(by, GRANT, "Your role does not record exceptions.")
    if min(more_valid, more_failed) < 0 or not 0 < more_valid + more_failed <= MOST_GRANTED:
        raise Impossible(f"Record between 1 and {MOST_GRANTED} tries. Nothing was changed.")
    moment = now()
    with transaction.atomic():
        Report.objects.filter(pk=report.pk).update(
            more_valid=F("more_valid") + more_valid, more_failed=F("more_failed") + more_failed
        )
        HelpDeskException.objects.create(
            report=report,
            more_valid=more_valid,
            more_failed=more_failed,
            granted_by=granted_by,
            reason=reason,
            by=person(by),
            at=moment,
        )
        said = f"{granted_by} of MassCEC granted {more_valid} valid and {more_failed} failed tries"
        casework.note(report, text=f"{said}: {reason}", by=by, now=moment, kind=Note.Kind.EVENT)
