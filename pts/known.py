"""What is known of systems and windows: the facts that the rules judge by, read in few queries."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, OuterRef, Subquery

from pts import messages, rules
from pts.models import MeterChange, PartyReading, Report, Submission, System, Window
from pts.rules import Change, Facts, Known, Limits, Month, Tries, WindowRule


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone() -> ZoneInfo:
    """The party's zone ("Eastern Daylight Time", a setting)."""
    return _zone(settings.PTS_TIME_ZONE)


def limits() -> Limits:
    """Which part of the expected energy is plausible (a setting)."""
    return Limits(Decimal(settings.PTS_PLAUSIBLE_FROM), Decimal(settings.PTS_PLAUSIBLE_TO))


def window_rule() -> WindowRule:
    """When windows open (a setting)."""
    return WindowRule(settings.PTS_WINDOW_LAST_DAYS, settings.PTS_WINDOW_UNTIL_DAY)


def overridden() -> dict[Month, tuple[date, date]]:
    """First and last day of the months that people have overridden (one query)."""
    shapes = (shape_of(row) for row in Window.objects.filter(overridden=True))
    return {shape.month: (shape.opens.date(), shape.last_day) for shape in shapes}


def shape_of(window: Window) -> rules.Window:
    """A window as the rules see it."""
    here = zone()
    return rules.Window(
        rules.month_of(window.month),
        window.opens_at.astimezone(here),
        window.closes_at.astimezone(here),
    )


def window_at(moment: datetime) -> rules.Window:
    """The window that is open at a moment, else the next one (one query)."""
    return rules.window_at(moment, window_rule(), zone(), overridden())


def facts_of(systems: Collection[System], before: date) -> dict[int, Facts]:
    """What is known of systems before a month's window, by their rows' keys (four queries)."""
    keys = [system.pk for system in systems]
    theirs, ours, changes = _party_readings(keys), _passed(keys, before), _changes(keys)
    return {
        system.pk: _facts(system, theirs.get(system.pk), ours.get(system.pk), changes)
        for system in systems
    }


def _facts(
    system: System,
    theirs: PartyReading | None,
    ours: Submission | None,
    changes: Mapping[int, list[Change]],
) -> Facts:
    known = list(_readings(theirs, ours))
    last = max(known, key=lambda each: each[0].at, default=None)
    return Facts(
        capacity=system.capacity,
        yearly_estimate=system.yearly_estimate,
        last=last[0] if last else None,
        reported_to=max((month for _, month in known), default=None),
        changes=tuple(changes.get(system.pk, ())),
    )


def _readings(
    theirs: PartyReading | None, ours: Submission | None
) -> Iterator[tuple[Known, Month]]:
    if theirs is not None:
        day = theirs.period_end or theirs.meter_at.astimezone(zone()).date()
        yield Known(theirs.meter_value, theirs.meter_at), rules.month_of(day)
    at = messages.from_party_time(ours.meter_date, zone()) if ours else None
    if ours is not None and at is not None:
        yield Known(ours.meter_value, at), rules.month_of(ours.report.window.month)


def _party_readings(keys: Collection[int]) -> dict[int, PartyReading]:
    """The last reading that MassCEC has of each system."""
    newest = PartyReading.objects.filter(system=OuterRef("pk")).order_by("-meter_at", "-pk")
    last = System.objects.filter(pk__in=keys).values_list(Subquery(newest.values("pk")[:1]))
    rows = PartyReading.objects.filter(pk__in=last)
    return {row.system_id: row for row in rows}


def _passed(keys: Collection[int], before: date) -> dict[int, Submission]:
    """The last submission of each system that passed in an earlier window."""
    oldest = rules.month_of(before).plus(-6).first
    rows = (
        Submission.objects.filter(
            report__system__in=keys,
            state=Submission.State.PASSED,
            report__window__month__lt=before,
            report__window__month__gte=oldest,
        )
        .select_related("report__window")
        .order_by("report__window__month", "pk")
    )
    return {row.report.system_id: row for row in rows}


def _changes(keys: Collection[int]) -> dict[int, list[Change]]:
    found: dict[int, list[Change]] = {}
    for row in MeterChange.objects.filter(system__in=keys):
        change = Change(row.at, row.final_value, row.first_value)
        found.setdefault(row.system_id, []).append(change)
    return found


def counts_of(window: Window) -> dict[str, int]:
    """How many reports of a window have each status (one query)."""
    rows = Report.objects.filter(window=window).order_by().values_list("status")
    return dict(rows.annotate(Count("pk")))


def tries_of(report: Report) -> Tries:
    """What a report has used of its window's tries."""
    return Tries(
        valid=report.valid_tries,
        failed=report.failed_tries,
        undecided=report.undecided_tries,
        more_valid=report.more_valid,
        more_failed=report.more_failed,
    )
