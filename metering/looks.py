"""What the pages of reads and meters show: register values with their advance, half hours, doubts.

A constant number of queries whatever a read holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from core.settlement import HALF_HOUR, Span
from metering import days, stored
from metering.actions import Wish
from metering.models import Channel, Day, Meter, MeterRead, RegisterReading, SideReading

LAST_READS = 6
MOST_SIDE_READINGS = 2000
SHOWN_SIDE_READINGS = 50
SECONDS_A_DAY = 86_400


def read_facts(read: MeterRead) -> dict[str, Any]:
    """Everything about one read that its page shows beside the frame's own."""
    checks = _ordered(read.checks.all())
    return {
        "checks": checks,
        "tally": {r: sum(c.result == r for c in checks) for r in ("fail", "look", "pass")},
        "asked": _asked(read),
        "times": _times(read),
        "registers": [*_registers(read)],
        "half_hours": [*_half_hours(read)],
        "deliveries": read.deliveries.defer("body", "unreadable"),
        "alarms": read.alarms.select_related("acknowledged_by"),
        "last_reads": _last_reads(read),
    }


def _ordered(checks: Iterable[Any]) -> list[Any]:
    """Checks, failures first."""
    order = {"fail": 0, "look": 1, "pass": 2}
    return sorted(checks, key=lambda row: (order[row.result], row.position))


def _last_reads(read: MeterRead) -> list[MeterRead]:
    others = MeterRead.objects.filter(meter=read.meter).exclude(pk=read.pk)
    return list(others.defer("token").order_by("-created_at", "-pk")[:LAST_READS])


# ---- What was asked --------------------------------------------------------------------------


def _asked(read: MeterRead) -> list[dict[str, Any]]:
    meter = read.meter
    batch = read.batch
    rows: list[dict[str, Any]] = [
        {"label": "Half hours", "value": survey_text(read.survey_days, read.survey_date)},
        {"label": "Not before", "value": _moment(read.delay_until) or "At once"},
        {"label": "Priority", "value": read.priority},
        {"label": "Set the clock", "value": "Yes" if read.adjust_time else "No"},
        {"label": "Remote address", "value": read.remote_address, "mono": True},
        {"label": "Asked by", "value": str((batch and batch.by) or "The portal")},
        {"label": "Our reference", "value": str(read.our_reference), "mono": True},
    ]
    if meter.outstation_address:
        outstation = {"label": "Outstation", "value": meter.outstation_address, "mono": True}
        rows.insert(5, outstation)
    if batch:
        rows.append({"label": "Batch", "value": batch.title, "url": batch.get_absolute_url()})
    return rows


def survey_text(survey_days: int, survey_date: date | None) -> str:
    """What half hours are asked for, in words."""
    if not survey_days:
        return "None: registers alone"
    length = "1 day" if survey_days == 1 else f"{survey_days} days"
    return f"{length} from {survey_date:%-d %B %Y}" if survey_date else f"{length} up to yesterday"


def wish_answers(wish: Wish, count: int, group: str, change_url: str) -> list[dict[str, Any]]:
    """What is about to be asked, for its check page."""
    meters = f"{count:,} of group {group}" if group else f"{count:,}"
    return [
        {"label": "Meters", "value": meters},
        {
            "label": "Half hours",
            "value": survey_text(wish.survey_days, wish.survey_date),
            "change_url": change_url,
        },
        {
            "label": "When",
            "value": f"Not before {_moment(wish.delay_until)}" if wish.delay_until else "At once",
        },
        {"label": "Priority", "value": wish.priority or "As each meter has it"},
        {"label": "Set clocks right", "value": "Yes" if wish.adjust_time else "No"},
    ]


def _moment(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%-d %b %Y, %H:%M}" if moment else ""


# ---- What came back --------------------------------------------------------------------------


def _times(read: MeterRead) -> list[tuple[str, datetime]]:
    """The four times of the collection, where the service told them."""
    times = (
        ("Collection began", read.collection_start),
        ("Connected", read.connection_start),
        ("Disconnected", read.connection_end),
        ("Collection ended", read.collection_end),
    )
    return [(label, at) for label, at in times if at is not None]


@dataclass(frozen=True)
class RegisterLine:
    """A register's value with the last accepted one before it. `advance` is None if not known."""

    name: str
    unit: str
    at: datetime
    value: str
    before_at: datetime | None
    before: str
    advance: Decimal | None

    @property
    def a_day(self) -> Decimal | None:
        """The advance for each day between the two reads."""
        if self.advance is None or self.before_at is None:
            return None
        seconds = Decimal((self.at - self.before_at).total_seconds())
        return self.advance / seconds * SECONDS_A_DAY if seconds else None

    @property
    def backwards(self) -> bool:
        """Whether the register shows less than before."""
        return self.advance is not None and self.advance < 0


def _registers(read: MeterRead) -> Iterable[RegisterLine]:
    """The values of this read (one query)."""
    accepted = RegisterReading.objects.filter(
        channel=OuterRef("channel"), at__lt=OuterRef("at"), read__status=MeterRead.Status.ACCEPTED
    ).exclude(read=read)
    newest = accepted.order_by("-at", "-pk")
    rows = RegisterReading.objects.filter(read=read).select_related("channel")
    rows = rows.annotate(
        before=Subquery(newest.values("value")[:1]), before_at=Subquery(newest.values("at")[:1])
    )
    for row in rows.order_by("channel__name", "at"):
        yield RegisterLine(
            name=row.channel.name,
            unit=row.channel.unit,
            at=row.at,
            value=row.value,
            before_at=row.before_at,
            before=row.before or "",
            advance=_difference(row.before, row.value),
        )


def _difference(before: str | None, after: str) -> Decimal | None:
    try:
        return None if before is None else Decimal(after) - Decimal(before)
    except InvalidOperation:
        return None


@dataclass(frozen=True)
class HalfHourLine:
    """How much of the days that were asked for a register has now."""

    name: str
    stored: int
    expected: int
    first: date | None
    last: date | None

    @property
    def missing(self) -> int:
        """Half hours without a reading."""
        return max(0, self.expected - self.stored)


def _half_hours(read: MeterRead) -> Iterable[HalfHourLine]:
    """The stored half hours of the UTC days asked for, by register (two queries)."""
    if not read.survey_days:
        return
    asked_on = (read.sent_at or read.created_at).date()
    start = read.survey_date or asked_on - timedelta(days=read.survey_days)
    end = start + timedelta(days=read.survey_days)
    expected = min(read.survey_days, max(0, (asked_on - start).days)) * days.SLOTS
    found: dict[int, list[tuple[date, int]]] = {}
    rows = Day.objects.filter(channel__meter=read.meter, day__gte=start, day__lt=end)
    for pk, day, slots in rows.order_by("day").values_list("channel", "day", "slots"):
        found.setdefault(pk, []).append((day, days.presence(slots).bit_count()))
    for channel in Channel.objects.filter(pk__in=found):
        listed = found[channel.pk]
        stored = sum(count for _, count in listed)
        yield HalfHourLine(channel.name, stored, expected, listed[0][0], listed[-1][0])


# ---- Half hours of a meter -------------------------------------------------------------------

NOT_ACCEPTED: dict[str, str] = {MeterRead.Status.REJECTED: "rejected"}


def doubts(listed: stored.Listed, said: stored.Verdicts, span: Span) -> dict[int, str]:
    """What became of the reads that are not accepted, by half hour of a stretch."""
    good = {digest for digest, status in said.items() if status == stored.ACCEPTED}
    found = {}
    for day, packed in listed:
        if all(source.digest in good for source in days.sources(packed)):
            continue
        begin = (_midnight(day) - span.start) // HALF_HOUR
        for slot, each in days.decode(packed).items():
            if each.source.digest not in good and 0 <= begin + slot < span.half_hours:
                status = said.get(each.source.digest, "")
                found[begin + slot] = NOT_ACCEPTED.get(status, "not accepted yet")
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


@dataclass(frozen=True)
class SideLine:
    """A reading beside the half hours; `stands` is what its half hour holds instead."""

    at: datetime
    register: str
    value: str
    flags: str
    stands: str

    @property
    def why(self) -> str:
        """Why it is not used."""
        return f"A later result says {self.stands}" if self.stands else "Not on a half hour"


def side_readings(meter: Meter, span: Span) -> list[SideLine]:
    """The readings of a stretch that stand beside it, each value once (two queries)."""
    rows = SideReading.objects.filter(
        channel__meter=meter, at__gte=span.start, at__lt=span.end
    ).select_related("channel")
    listed = list(rows.order_by("at", "pk")[:MOST_SIDE_READINGS])
    off_grid = {
        SideLine(row.at, row.channel.name, row.value, row.flags, "")
        for row in listed
        if row.why == SideReading.Why.OFF_GRID
    }
    lost = [row for row in listed if row.why == SideReading.Why.OVERRULED]
    return sorted([*off_grid, *_overruled(lost)], key=lambda line: (line.at, line.register))


def _overruled(lost: Iterable[SideReading]) -> Iterable[SideLine]:
    """What lost its half hour to another value and has not won it since."""
    by_day: dict[tuple[int, date], list[SideReading]] = {}
    for row in lost:
        by_day.setdefault((row.channel_id, row.at.astimezone(UTC).date()), []).append(row)
    which = {day for _, day in by_day}
    channels = {channel for channel, _ in by_day}
    held = Day.objects.filter(channel__in=channels, day__in=which)
    packed = {(row.channel_id, row.day): bytes(row.slots) for row in held}
    for (channel, day), rows in by_day.items():
        if (channel, day) in packed:
            yield from _settled(rows, day, packed[channel, day])


def _settled(rows: list[SideReading], day: date, packed: bytes) -> Iterable[SideLine]:
    texts = days.texts(packed)
    for each in days.settle(map(_as_lost, rows), packed):
        at = _midnight(day) + each.slot * HALF_HOUR
        flags = "" if each.flags is None else str(each.flags)
        stands = texts[each.slot] or "nothing"
        yield SideLine(at, rows[0].channel.name, each.text, flags, stands)


def _as_lost(row: SideReading) -> days.Overruled:
    at = row.at.astimezone(UTC)
    return days.Overruled(
        slot=(at - _midnight(at.date())) // HALF_HOUR,
        text=row.value,
        flags=int(row.flags) if row.flags else None,
        source=days.Source(row.collection_end, bytes.fromhex(row.digest)),
    )
