"""Many readings at once: weighed without changing anything, entered, or taken from meters."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from django.db import transaction

from core.workflow import Actor, Different, Impossible, move_many
from pts import rules
from pts.actions.lines import Status
from pts.actions.readings import (
    Reading,
    entering,
    exact,
    judge,
    readings_from_meters,
    refuse_outside,
)
from pts.actions.shared import Clock, WouldReplace, may
from pts.known import facts_of
from pts.models import REPORT, Report, Window


class Weighed(msgspec.Struct, frozen=True):
    """A reading that may be entered, its report as it stands, and what the checks say."""

    report: Report
    reading: Reading
    verdict: rules.Verdict


class Entered(msgspec.Struct):
    """What entering many readings came to: how many are fine or to look at, and who was left."""

    fine: int = 0
    look: int = 0
    left: list[str] = []


def weigh(
    *, readings: Mapping[int, Reading], window: Window, now: datetime
) -> tuple[list[Weighed], list[str]]:
    """Check readings by the systems' PTS keys: those that may be entered, and who is left out why.

    Few queries however many; changes and locks nothing. Raises `Impossible` outside the window.
    """
    refuse_outside(window, now)
    left: list[str] = []
    reports = _enterable(readings, window, left)
    facts = facts_of([report.system for report in reports], window.month)
    weighed = []
    for report in reports:
        try:
            reading = exact(readings[report.system.fk_system])
        except Impossible as problem:
            left.append(f"{report.system}: {problem.sentence}")
            continue
        verdict = judge(report, reading, now=now, facts=facts[report.system_id])
        weighed.append(Weighed(report, reading, verdict))
    return weighed, left


def _enterable(readings: Mapping[int, Reading], window: Window, left: list[str]) -> list[Report]:
    """The reports of this window that may take their reading; who is left is written down."""
    rows = Report.objects.filter(window=window).select_related("system")
    reports, known = [], set()
    for report in rows:
        if report.system.fk_system not in readings:
            continue
        known.add(report.system.fk_system)
        report.window = window
        if report.status == Status.PASSED:
            left.append(f"{report.system}: {WouldReplace.sentence}")
        elif report.status not in Report.OPEN_TO_READINGS:
            left.append(f"{report.system}: It is being validated. Nothing was changed.")
        else:
            reports.append(report)
    left += [
        f"System {key}: It has no report in {window}." for key in sorted(readings.keys() - known)
    ]
    return reports


def enter_many(
    *, readings: Mapping[int, Reading], window: Window, by: Actor, now: Clock
) -> Entered:
    """Enter readings by the systems' PTS keys; one that cannot be entered harms no other.

    Raises `NotAllowed`, `Impossible` outside the window.
    """
    may(by, REPORT, "Your role does not enter readings.")
    moment = now()
    weighed, left = weigh(readings=readings, window=window, now=moment)
    moves: dict[str, list[Report]] = {"enter_fine": [], "enter_odd": []}
    different: dict[int, Different] = {}
    for each in weighed:
        name, different[each.report.pk] = entering(each.reading, each.verdict)
        moves[name].append(each.report)
    with transaction.atomic():
        counts = {}
        for name, reports in moves.items():
            moved = move_many(reports, name, by=by, now=moment, different=different)
            counts[name] = len(moved)
            left += _gone(reports, {case.pk for case in moved})
    return Entered(fine=counts["enter_fine"], look=counts["enter_odd"], left=left)


def _gone(reports: Sequence[Report], moved: set[int]) -> Iterator[str]:
    for report in reports:
        if report.pk not in moved:
            yield f"{report.system}: It has changed meanwhile. Nothing was changed."


def take_from_meters(*, window: Window, by: Actor, now: Clock) -> Entered:
    """Enter the last accepted register values of the metering desk where a reading is missing."""
    may(by, REPORT, "Your role does not enter readings.")
    readings = readings_from_meters(window, now())
    return enter_many(readings=readings, window=window, by=by, now=now)
