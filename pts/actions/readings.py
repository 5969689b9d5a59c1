"""One reading: entered, accepted, taken back; what meters show; the help desk's exceptions."""

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
from core.workflow import Actor, Different, Impossible, move
from metering import service as metering
from pts import messages, rules
from pts.actions.lines import Status
from pts.actions.shared import Blocked, Clock, WouldReplace, may, person
from pts.known import facts_of, limits, shape_of, zone
from pts.models import GRANT, HelpDeskException, Report, System, Window

MOST_GRANTED = 20
IN_KWH = {"kwh": Decimal(1), "wh": Decimal("0.001"), "mwh": Decimal(1000)}
_STEP = Decimal("0.0001")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading to enter: the lifetime total in kWh, when it was read, and where it comes from."""

    value: Decimal
    at: datetime
    source: str
    party_note: str = ""


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
    refuse_outside(report.window, moment)
    reading = exact(reading)
    if report.status == Status.PASSED and not replacing:
        raise WouldReplace
    verdict = judge(report, reading, now=moment)
    name, different = entering(reading, verdict)
    with transaction.atomic():
        move(report, name, by=by, now=moment, note=different.note, **different.fields)
        if photo is not None:
            _keep_photo(report, *photo)
    return verdict


def refuse_outside(window: Window, now: datetime) -> None:
    """Raise `Impossible` unless the window is open."""
    if now < window.opens_at:
        opens = f"{shape_of(window).opens:%-d %B %Y}"
        raise Impossible(f"The window for {window} opens on {opens}. Nothing was changed.")
    if now >= window.closes_at:
        raise Impossible(f"The window for {window} has closed. Nothing was changed.")


def exact(reading: Reading) -> Reading:
    """The reading as it can be kept. Raises `Impossible` for no possible total."""
    value = reading.value
    if not value.is_finite() or not 0 <= value <= messages.LARGEST_VALUE:
        raise Impossible("The reading is no possible total in kWh. Nothing was changed.")
    whole_second = reading.at.replace(microsecond=0)
    return msgspec.structs.replace(reading, value=value.quantize(_STEP), at=whole_second)


def entering(reading: Reading, verdict: rules.Verdict) -> tuple[str, Different]:
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


def readings_from_meters(window: Window, now: datetime) -> dict[int, Reading]:
    """What the metering desk has read inside the window for reports without a reading.

    By the systems' PTS keys, in kWh; three queries, changes nothing.
    """
    waiting = System.objects.filter(reports__window=window, reports__status=Status.MISSING)
    rows = waiting.exclude(mpan="").exclude(register="")
    linked = list(rows.values_list("fk_system", "mpan", "register"))
    values = metering.register_values_at({(mpan, name) for _, mpan, name in linked}, now)
    return {
        key: Reading(
            value=value.value * IN_KWH[value.unit.lower()], at=value.at, source=Report.Source.METER
        )
        for key, mpan, name in linked
        if (value := values.get((mpan, name))) is not None
        and value.unit.lower() in IN_KWH
        and value.at >= window.opens_at
    }


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
