"""Storing readings: one packed row a register and UTC day, the same whatever the order of results.

Called by actions inside their transaction. New days are inserted in one statement with sorted keys;
what exists already is locked in key order and merged (see metering.days).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection
from django.db.models import Q

from metering import days, rules
from metering.days import Overruled
from metering.messages import RegisterValue, Result
from metering.models import (
    Channel,
    Day,
    Delivery,
    Meter,
    MeterRead,
    MeterType,
    RegisterReading,
    SideReading,
)

Key = tuple[int, date]
HISTORY = 400


@dataclass(frozen=True)
class Stored:
    """What storing one result came to: readings in it, how many were new, how many lost a slot."""

    readings: int
    gained: int
    overruled: int

    @property
    def sentence(self) -> str:
        """The same for people."""
        lost = f", {self.overruled:,} disagreed and are kept aside" if self.overruled else ""
        return f"{self.readings:,} readings, {self.gained:,} new{lost}"


def store_readings(*, read: MeterRead, delivery: Delivery, result: Result) -> Stored:
    """Store register values and survey readings of one result; repeating it changes nothing."""
    channels = _channels(read.meter, result)
    source = days.source_of(result.collection_ended_at, bytes.fromhex(delivery.sha256))
    packed: dict[Key, bytes] = {}
    aside: list[SideReading] = []
    lost: dict[Key, tuple[Overruled, ...]] = {}
    for survey in result.surveys:
        channel = channels[survey.name]
        split = days.split(survey.times, survey.texts, survey.flags, source)
        aside += _off_grid(channel, split.off_grid, source)
        for day, overruled in split.overruled.items():
            lost[channel.pk, day] = lost.get((channel.pk, day), ()) + overruled
        for day, row in split.days.items():
            _add(packed, lost, (channel.pk, day), row)
    gained = _write(packed, lost)
    aside += _overruled(lost)
    SideReading.objects.bulk_create(aside, ignore_conflicts=True)
    _registers(read, channels, result, delivery)
    return Stored(result.reading_count, gained, sum(map(len, lost.values())))


def _channels(meter: Meter, result: Result) -> dict[str, Channel]:
    """The meter's channels by register name; new names become channels."""
    units = {each.name: each.units for each in result.registers}
    units |= {each.name: each.units for each in result.surveys}
    rows = Channel.objects.filter(meter=meter, name__in=units).order_by()
    known = {row.name: row for row in rows}
    missing = [
        Channel(meter=meter, name=name, unit=unit[:20])
        for name, unit in sorted(units.items())
        if name not in known
    ]
    if missing:
        Channel.objects.bulk_create(missing, ignore_conflicts=True)
        known = {row.name: row for row in rows.all()}
    return known


def _add(
    packed: dict[Key, bytes], lost: dict[Key, tuple[Overruled, ...]], key: Key, row: bytes
) -> None:
    """Put a day beside the others; one register named twice in a document is merged."""
    if key not in packed:
        packed[key] = row
        return
    merged = days.merge(packed[key], row)
    packed[key] = merged.packed
    lost[key] = lost.get(key, ()) + merged.overruled


def _write(packed: Mapping[Key, bytes], lost: dict[Key, tuple[Overruled, ...]]) -> int:
    """Insert new days, merge with those that exist. Returns how many readings were new."""
    if not packed:
        return 0
    fresh = _insert(packed)
    existing = {key: row for key, row in packed.items() if key not in fresh}
    gained = sum(days.presence(packed[key]).bit_count() for key in fresh)
    return gained + (_merge(existing, lost) if existing else 0)


def _insert(packed: Mapping[Key, bytes]) -> set[Key]:
    """Insert the days that do not exist, in the order of their keys. Returns which those were."""
    if connection.vendor != "postgresql":
        return _insert_alone(packed)
    keys = sorted(packed)
    columns: list[Any] = [[key[0] for key in keys], [key[1] for key in keys]]
    columns.append([packed[key] for key in keys])
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, columns)
        return {(channel, day) for channel, day in cursor.fetchall()}


# As three parameters: the ORM would write three for each row, which takes as long as all the rest.
_INSERT = (
    "INSERT INTO metering_day (channel_id, day, slots)"
    " SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bytea[])"
    " ON CONFLICT DO NOTHING RETURNING channel_id, day"
)


def _insert_alone(packed: Mapping[Key, bytes]) -> set[Key]:
    """The same on SQLite, where a transaction is the only one that writes."""
    known = set(Day.objects.filter(_rows(packed)).values_list("channel_id", "day"))
    fresh = sorted(packed.keys() - known)
    Day.objects.bulk_create(Day(channel_id=key[0], day=key[1], slots=packed[key]) for key in fresh)
    return set(fresh)


def _rows(keys: Iterable[Key]) -> Q:
    """The days with these keys: by channel, in the span of its days."""
    spans: dict[int, list[date]] = {}
    for channel, day in keys:
        spans.setdefault(channel, []).append(day)
    found = Q()
    for channel, which in spans.items():
        found |= Q(channel_id=channel, day__in=which)
    return found


def _merge(packed: Mapping[Key, bytes], lost: dict[Key, tuple[Overruled, ...]]) -> int:
    """Lock days that exist, in key order, and merge. Returns how many readings were new."""
    rows = Day.objects.select_for_update().filter(_rows(packed)).order_by("channel_id", "day")
    changed, gained = [], 0
    for row in rows:
        key = (row.channel_id, row.day)
        held = bytes(row.slots)
        merged = days.merge(held, packed[key])
        gained += merged.gained
        if merged.overruled:
            lost[key] = lost.get(key, ()) + merged.overruled
        if merged.packed != held:
            row.slots = merged.packed
            changed.append(row)
    if changed:
        Day.objects.bulk_update(changed, ["slots"], batch_size=200)
    return gained


def _off_grid(
    channel: Channel, readings: Iterable[days.OffGrid], source: days.Source
) -> Iterator[SideReading]:
    for each in readings:
        yield SideReading(
            channel=channel,
            at=datetime.fromtimestamp(each.time, UTC),
            value=each.text,
            flags="" if each.flags is None else str(each.flags),
            why=SideReading.Why.OFF_GRID,
            collection_end=source.ended_at,
            digest=source.digest.hex(),
        )


def _overruled(lost: Mapping[Key, tuple[Overruled, ...]]) -> Iterator[SideReading]:
    for (channel, day), readings in lost.items():
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for each in readings:
            yield SideReading(
                channel_id=channel,
                at=start + timedelta(seconds=each.slot * days.SLOT_SECONDS),
                value=each.text,
                flags="" if each.flags is None else str(each.flags),
                why=SideReading.Why.OVERRULED,
                collection_end=each.source.ended_at,
                digest=each.source.digest.hex(),
            )


def _registers(
    read: MeterRead, channels: Mapping[str, Channel], result: Result, delivery: Delivery
) -> None:
    RegisterReading.objects.bulk_create(
        (
            RegisterReading(
                read=read,
                channel=channels[each.name],
                at=_moment(each, result, delivery),
                value=each.text,
            )
            for each in result.registers
        ),
        ignore_conflicts=True,
    )


def _moment(register: RegisterValue, result: Result, delivery: Delivery) -> datetime:
    """When a register was read; the best that the document tells."""
    ended = result.connection_ended_at or result.collection_ended_at
    return register.at or ended or delivery.received_at


# ---- What the rules must know ---------------------------------------------------------------


def checked_meter(read: MeterRead) -> rules.Meter:
    """The meter as the rules see it, with its accepted register reads (two queries)."""
    meter = read.meter
    return rules.Meter(
        mpan=meter.mpan,
        serial_number=meter.serial_number,
        cumulative=meter.meter_type.survey == MeterType.Survey.CUMULATIVE,
        digits=meter.meter_type.digits,
        capacity_kw=meter.capacity_kw,
        changes=tuple(meter.changes.values_list("at", flat=True)),
        history=_history(read),
    )


def _history(read: MeterRead) -> dict[str, list[rules.Past]]:
    rows = RegisterReading.objects.filter(
        channel__meter=read.meter, read__status=MeterRead.Status.ACCEPTED
    ).exclude(read=read)
    found: dict[str, list[rules.Past]] = {}
    newest = rows.order_by("-at").values_list("channel__name", "at", "value")[:HISTORY]
    for name, at, value in newest:
        number = _number(value)
        if number is not None:
            found.setdefault(name, []).append(rules.Past(at, number))
    return {name: past[::-1] for name, past in found.items()}


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
