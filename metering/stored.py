"""What is stored of a meter as series of half hours: everything, or what accepted reads brought.

A slot names the result it came from; whether that result's read is accepted decides whether the
slot may leave. Where a result that is not accepted took a slot over, the accepted ones are read
again from their deliveries.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from core import settlement
from core.settlement import HALF_HOUR, Span
from metering import days, messages, rules
from metering.messages import AdjustmentKind
from metering.models import (
    Channel,
    Day,
    Delivery,
    Meter,
    MeterRead,
    MeterType,
    RegisterReading,
)

Listed = list[tuple[date, bytes]]
Rows = dict[int, Listed]
Verdicts = Mapping[bytes, str]
ACCEPTED: Final[str] = MeterRead.Status.ACCEPTED
_DIGEST = 8
_BESIDE = timedelta(days=2)  # register reads just outside a stretch say what happened at its ends


# ---- Rows ---------------------------------------------------------------------------------------


def utc_days(span: Span) -> tuple[date, date]:
    """The UTC days of a stretch with the half hour after it, and the day after the last one."""
    return settlement.utc_days(Span(span.start, span.end + HALF_HOUR))


def day_rows(channels: Iterable[int], span: Span) -> Rows:
    """The packed days of these registers by register (one query)."""
    first, end = utc_days(span)
    found: Rows = {pk: [] for pk in channels}
    rows = Day.objects.filter(channel_id__in=found, day__gte=first, day__lt=end)
    for channel, day, slots in rows.values_list("channel_id", "day", "slots"):
        found[channel].append((day, bytes(slots)))
    return found


def verdicts(meter: int) -> dict[bytes, str]:
    """The status of the read behind each result of a meter, by the hash in its slots (one query).

    Two reads with the very same document: the one that is not accepted counts.
    """
    found: dict[bytes, str] = {}
    stored = Delivery.objects.filter(read__meter=meter).values_list("sha256", "read__status")
    for sha256, status in stored.iterator():
        digest = bytes.fromhex(sha256)[:_DIGEST]
        if found.get(digest, ACCEPTED) == ACCEPTED:
            found[digest] = status
    return found


def accepted(rows: Rows, said: Verdicts, meter: int) -> Rows:
    """The same days with the readings of accepted reads alone."""
    good = {digest for digest, status in said.items() if status == ACCEPTED}
    kept: Rows = {channel: [] for channel in rows}
    doubtful: dict[tuple[int, date], bytes | None] = {}
    for channel, listed in rows.items():
        for day, packed in listed:
            if all(source.digest in good for source in days.sources(packed)):
                kept[channel].append((day, packed))
            else:
                doubtful[channel, day] = _only(packed, good)
    if doubtful:
        _read_again(meter, doubtful)
    for (channel, day), left in doubtful.items():
        if left is not None:
            kept[channel].append((day, left))
    return kept


def _only(packed: bytes, good: set[bytes]) -> bytes | None:
    slots = {at: slot for at, slot in days.decode(packed).items() if slot.source.digest in good}
    return days.encode(slots) if slots else None


def _read_again(meter: int, doubtful: dict[tuple[int, date], bytes | None]) -> None:
    """Put in what accepted results said for these days, from the documents themselves."""
    names = dict(Channel.objects.filter(meter=meter).values_list("name", "pk"))
    wanted = {day for _, day in doubtful}
    stored = Delivery.objects.filter(
        read__meter=meter, read__status=ACCEPTED, read__survey_days__gt=0
    ).select_related(None)
    for delivery in stored.select_related("read").defer("read__token", "unreadable").iterator():
        if delivery.read is not None and not wanted.isdisjoint(asked_days(delivery.read)):
            _put_in(delivery, names, doubtful)


def _put_in(
    delivery: Delivery, names: Mapping[str, int], doubtful: dict[tuple[int, date], bytes | None]
) -> None:
    result = messages.read_result(zlib.decompress(bytes(delivery.body)))
    source = days.source_of(result.collection_ended_at, bytes.fromhex(delivery.sha256))
    for survey in result.surveys:
        split = days.split(survey.times, survey.texts, survey.flags, source)
        for day, packed in split.days.items():
            key = (names.get(survey.name, 0), day)
            if key in doubtful:
                held = doubtful[key]
                doubtful[key] = days.merge(held, packed).packed if held else packed


def asked_days(read: MeterRead) -> list[date]:
    """The days whose half hours a read asked for; without a date those before it was sent."""
    first = read.survey_date
    if first is None:
        sent = (read.delay_until or read.sent_at or read.created_at).astimezone(UTC).date()
        first = sent - timedelta(days=read.survey_days)
    return [first + timedelta(days=number) for number in range(read.survey_days)]


# ---- Use ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Around:
    """What the half hours of a meter are judged by."""

    cumulative: bool
    digits: int
    capacity_kw: Decimal | None
    changes: tuple[datetime, ...]
    jumps: tuple[datetime, ...]
    registers: Mapping[int, tuple[rules.Past, ...]]

    def use(self, channel: Channel, listed: Listed, span: Span) -> rules.Consumption:
        """The use of each half hour of a stretch, with what is odd about it."""
        return rules.consumption(
            half_hours(listed, span),
            span.half_hours,
            cumulative=self.cumulative,
            changes=self.changes,
            clock_jumps=self.jumps,
            registers=self.registers.get(channel.pk, ()),
            digits=self.digits,
            capacity_kw=self.capacity_kw if in_kwh(channel) else None,
        )


def in_kwh(channel: Channel) -> bool:
    """Whether a register counts kilowatt-hours."""
    return channel.unit.strip().casefold() == "kwh"


def around(meter: Meter, channels: Iterable[int], span: Span) -> Around:
    """What the half hours of a stretch are judged by (three queries)."""
    near = Span(span.start - _BESIDE, span.end + _BESIDE)
    return Around(
        cumulative=meter.meter_type.survey == MeterType.Survey.CUMULATIVE,
        digits=meter.meter_type.digits,
        capacity_kw=meter.capacity_kw,
        changes=tuple(meter.changes.values_list("at", flat=True)),
        jumps=_jumps(meter, span),
        registers=_registers(channels, near),
    )


def _jumps(meter: Meter, span: Span) -> tuple[datetime, ...]:
    """When the clock was set."""
    rows = MeterRead.objects.filter(
        meter=meter,
        time_adjustment=AdjustmentKind.SUCCESS.value,
        connection_end__gte=span.start,
        connection_end__lt=span.end,
    )
    return tuple(at for at in rows.values_list("connection_end", flat=True) if at is not None)


def _registers(channels: Iterable[int], span: Span) -> dict[int, tuple[rules.Past, ...]]:
    rows = RegisterReading.objects.filter(
        channel_id__in=list(channels),
        read__status=ACCEPTED,
        at__gte=span.start,
        at__lt=span.end,
    )
    found: dict[int, tuple[rules.Past, ...]] = {}
    for channel, at, text in rows.order_by("at").values_list("channel_id", "at", "value"):
        value = number(text)
        if value is not None:
            found[channel] = (*found.get(channel, ()), rules.Past(at, value))
    return found


def half_hours(listed: Listed, span: Span) -> rules.HalfHours:
    """The readings of a stretch, with the one after its end."""
    first, end = utc_days(span)
    found = days.series(listed, first, end)
    begin = settlement.half_hour_number(span.start)
    offset = begin - settlement.half_hour_number(datetime.combine(first, datetime.min.time(), UTC))
    values = found.values[offset : offset + span.half_hours + 1]
    return rules.HalfHours(begin, values, found.decimals)


def number(text: str) -> Decimal | None:
    """The value of a text as the meter sent it, None when it is no number."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
