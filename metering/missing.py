"""Which half hours are missing of which meter, whose side that lies on, and what to ask for next.

Nothing of this is stored: it follows from the days, the reads and the limits. A day is expected
from six in the morning (UTC) after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import and_
from typing import Final, Literal

from django.db.models import BinaryField, Count, Q, QuerySet
from django.db.models.functions import Substr
from msgspec import structs

from core import settlement
from core.settlement import Span
from metering import days, rules
from metering.models import Day, Meter, MeterRead
from metering.rules import Gap, Hold, PlanLimits
from metering.stored import asked_days

Kind = Literal["missing", "late", "stale"]
Status = MeterRead.Status
LIMITS: Final = PlanLimits()
EXPECTED_AFTER = timedelta(hours=6)
STALE_AFTER = timedelta(days=3)
FORGOTTEN_FOR = timedelta(days=7)  # a night or two may be missed
AT_ONCE = 500


@dataclass(frozen=True)
class Standing:
    """How a meter stands: its gaps, its newest reading, and a result that is overdue."""

    meter: Meter
    gaps: tuple[Gap, ...] = ()
    newest: date | None = None
    overdue_since: datetime | None = None
    kinds: tuple[Kind, ...] = ()
    holds: Mapping[Gap, Hold] = field(default_factory=dict)

    @property
    def pk(self) -> int:
        """The meter's key: what a list ticks."""
        return self.meter.pk

    @property
    def reference(self) -> str:
        """What the meter is called in a list."""
        return self.meter.serial_number or self.meter.mpan

    @property
    def half_hours(self) -> int:
        """How many half hours are missing."""
        return sum(gap.half_hours for gap in self.gaps)

    @property
    def causes(self) -> tuple[str, ...]:
        """Whose side the gaps lie on, without repeating."""
        return tuple(dict.fromkeys(gap.cause.value for gap in self.gaps))

    @property
    def tries(self) -> int:
        """How often the gap that was asked for most often was asked for."""
        return max((gap.tries for gap in self.gaps), default=0)

    @property
    def since(self) -> datetime | None:
        """When the oldest gap begins."""
        return self.gaps[0].start if self.gaps else None

    @property
    def next_step(self) -> str:
        """What happens to the gaps next."""
        if not self.gaps:
            return "The result is fetched by itself" if self.overdue_since else "Nothing"
        held = [self.holds.get(gap) for gap in self.gaps]
        if None in held:
            return "Asked for tonight by itself"
        return next(hold.value for hold in _HOLDS if hold in held)


_HOLDS = (Hold.TRIES, Hold.OPEN, Hold.BUSY, Hold.LATER, Hold.TOO_OLD)


def expected(now: datetime, kept_days: int = LIMITS.kept_days) -> Span:
    """The UTC days whose half hours should be here by now."""
    end = _midnight((now - EXPECTED_AFTER).astimezone(UTC).date())
    return Span(end - timedelta(days=kept_days), end)


def forgotten(meters: Iterable[Meter], *, now: datetime) -> dict[int, list[Gap]]:
    """The gaps that meters keep no more since a few days, by meter; they are not asked for."""
    end = expected(now).start
    found = standings(meters, now=now, span=Span(end - FORGOTTEN_FOR, end))
    return {one.pk: joined(one.gaps) for one in found if one.gaps}


def joined(gaps: Iterable[Gap]) -> list[Gap]:
    """Neighbouring gaps as one, whatever was asked about their parts."""
    found: list[Gap] = []
    for gap in gaps:
        if found and found[-1].end == gap.start:
            tries = max(found[-1].tries, gap.tries)
            found[-1] = structs.replace(gap, start=found[-1].start, tries=tries)
        else:
            found.append(gap)
    return found


def standings(
    meters: Iterable[Meter], *, now: datetime, span: Span | None = None
) -> list[Standing]:
    """How these meters stand; four queries for each 500 of them.

    Nothing is stored of this: 2,000 meters with two registers each take half a second.
    """
    chosen, span = list(meters), span or expected(now)
    found: list[Standing] = []
    for first in range(0, len(chosen), AT_ONCE):
        found += _standings(chosen[first : first + AT_ONCE], now, span)
    return found


def with_plan(found: list[Standing], *, now: datetime) -> tuple[list[Standing], rules.Plan]:
    """What is asked for next, and the same meters with why their other gaps wait."""
    made = plan(found, now=now)
    holds: dict[int, dict[Gap, Hold]] = {}
    for held in made.held:
        holds.setdefault(held.meter, {})[held.gap] = held.why
    told = [
        Standing(
            one.meter, one.gaps, one.newest, one.overdue_since, one.kinds, holds.get(one.pk, {})
        )
        for one in found
    ]
    return told, made


def plan(found: Iterable[Standing], *, now: datetime, limits: PlanLimits = LIMITS) -> rules.Plan:
    """What to ask for within the limits (one query)."""
    wanted = [
        rules.Wanted(meter=one.pk, remote_address=one.meter.remote_address, gaps=one.gaps)
        for one in found
        if one.gaps
    ]
    busy = MeterRead.objects.filter(status__in=MeterRead.OPEN)
    addresses = frozenset(busy.values_list("remote_address", flat=True))
    today = now.astimezone(UTC).date()
    return rules.plan(wanted, today=today, busy_addresses=addresses, limits=limits)


def _standings(meters: list[Meter], now: datetime, span: Span) -> list[Standing]:
    keys = [meter.pk for meter in meters]
    present = _present(keys, span)
    asks, overdue = _asks(keys, now, span)
    return [
        _standing(
            meter,
            present.get(meter.pk, {}),
            asks.get(meter.pk, ()),
            overdue,
            now=now,
            span=span,
        )
        for meter in meters
    ]


def _standing(
    meter: Meter,
    present: Mapping[date, int],
    asks: Iterable[rules.Ask],
    overdue: Mapping[int, datetime],
    *,
    now: datetime,
    span: Span,
) -> Standing:
    added = meter.added_at.astimezone(UTC).date()
    start = max(span.start, _midnight(min([added, *present])))
    gaps = rules.gaps(present, start, span.end, tuple(asks)) if start < span.end else ()
    newest = max((day for day, slots in present.items() if slots), default=None)
    since = overdue.get(meter.pk)
    stale = gaps and gaps[-1].end == span.end and gaps[-1].start < now - STALE_AFTER
    marks = {"stale": bool(stale), "late": since is not None, "missing": bool(gaps)}
    kinds: tuple[Kind, ...] = tuple(name for name in _KINDS if marks[name])
    return Standing(meter, gaps, newest, since, kinds)


_KINDS: Final[tuple[Kind, ...]] = ("missing", "late", "stale")


def _present(meters: list[int], span: Span) -> dict[int, dict[date, int]]:
    """The half hours that every register with half hours has, by meter and UTC day.

    Which registers are whole is counted by the database; only the others' days are read.
    """
    first, end = settlement.utc_days(span)
    rows = Day.objects.filter(channel__meter__in=meters, day__gte=first, day__lt=end)
    length = (end - first).days
    counted = rows.annotate(bits=Substr("slots", 2, 1, output_field=BinaryField())).values_list(
        "channel__meter_id", "channel_id"
    )
    whole: dict[int, bool] = {}
    for meter, _, full in counted.annotate(full=Count("pk", filter=Q(bits__in=_FULL_BITS))):
        whole[meter] = whole.get(meter, True) and full == length
    every = {first + timedelta(days=number): _EVERY for number in range(length)}
    found = {meter: every for meter, is_whole in whole.items() if is_whole}
    return found | _read(rows.filter(channel__meter__in=whole.keys() - found.keys()))


# All 48 slots are there where the first bit of a packed day's second byte is set (metering.days).
_FULL_BITS: Final = [bytes([bits]) for bits in range(1, 256, 2)]
_EVERY: Final = (1 << days.SLOTS) - 1


def _read(rows: QuerySet[Day]) -> dict[int, dict[date, int]]:
    by_channel: dict[tuple[int, int], dict[date, int]] = {}
    named = rows.values_list("channel__meter_id", "channel_id", "day", "slots")
    for meter, channel, day, slots in named.iterator():
        by_channel.setdefault((meter, channel), {})[day] = days.presence(slots)
    of_meter: dict[int, list[dict[date, int]]] = {}
    for (meter, _), slots_by_day in by_channel.items():
        of_meter.setdefault(meter, []).append(slots_by_day)
    return {meter: _in_all(listed) for meter, listed in of_meter.items()}


def _in_all(listed: list[dict[date, int]]) -> dict[date, int]:
    every = {day for each in listed for day in each}
    return {day: reduce(and_, [each.get(day, 0) for each in listed]) for day in every}


def _asks(
    meters: list[int], now: datetime, span: Span
) -> tuple[dict[int, list[rules.Ask]], dict[int, datetime]]:
    """What was asked for by meter, and since when a result is overdue."""
    rows = MeterRead.objects.filter(meter__in=meters, created_at__gte=span.start)
    asks: dict[int, list[rules.Ask]] = {}
    overdue: dict[int, datetime] = {}
    for read in rows.only(*_READ).iterator():
        if read.status == Status.REQUESTED and read.due_by and read.due_by < now:
            overdue[read.meter_id] = min(read.due_by, overdue.get(read.meter_id, read.due_by))
        asked = asked_days(read)
        taken_back = read.status == Status.CANCELLED and not read.fault
        if asked and not taken_back:
            ask = rules.Ask(
                first_day=asked[0], days=len(asked), at=read.created_at, outcome=_outcome(read)
            )
            asks.setdefault(read.meter_id, []).append(ask)
    return asks, overdue


_READ = (
    *("meter_id", "status", "status_at", "created_at", "sent_at", "delay_until", "due_by"),
    *("survey_days", "survey_date", "fault"),
)
_OUTCOMES: Final[Mapping[str, rules.AskOutcome]] = {
    MeterRead.Fault.METER: "no_answer",
    MeterRead.Fault.REFUSED: "refused",
    MeterRead.Fault.SERVICE: "service_down",
    MeterRead.Fault.NOT_SENT: "not_sent",
}


def _outcome(read: MeterRead) -> rules.AskOutcome:
    return "open" if read.status in MeterRead.OPEN else _OUTCOMES.get(read.fault, "answered")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
