"""Storing readings: one packed row a register and UTC day, the same whatever the order of results.

Called by actions inside their transaction. New days are inserted in one statement with sorted keys;
what exists already is locked in key order and merged (see metering.days).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from metering import days, rules
from metering.days import Overruled
from metering.messages import RegisterValue, Result
from metering.models import (
    Channel,
    Day,
    Delivery,
    MeterChange,
    MeterRead,
    MeterType,
    RegisterReading,
    SideReading,
)

Key = tuple[int, date]
Channels = Mapping[tuple[int, str], int]
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


class Arrival(NamedTuple):
    """A result with the read that it answers and the delivery that it came in."""

    read: MeterRead
    delivery: Delivery
    result: Result


def store_readings(arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store register values and survey readings of results; repeating it changes nothing.

    Each result is of another meter. What it takes is the same few statements for one and for many.
    """
    channels = _channels(arrivals)
    packed: dict[Key, bytes] = {}
    aside: list[SideReading] = []
    lost: dict[Key, tuple[Overruled, ...]] = {}
    for arrival in arrivals:
        aside += _pack(arrival, channels, packed, lost)
    gained = _write(packed, lost)
    aside += _overruled(lost)
    SideReading.objects.bulk_create(aside, ignore_conflicts=True)
    _registers(arrivals, channels)
    news, losses = _by_meter(channels, gained), _by_meter(channels, _lengths(lost))
    return [
        Stored(each.result.reading_count, news[each.read.meter_id], losses[each.read.meter_id])
        for each in arrivals
    ]


def _channels(arrivals: Sequence[Arrival]) -> Channels:
    """The register numbers of the meters by meter and name; new names become channels."""
    units: dict[tuple[int, str], str] = {}
    for each in arrivals:
        meter = each.read.meter_id
        units |= {(meter, one.name): one.units for one in each.result.registers}
        units |= {(meter, one.name): one.units for one in each.result.surveys}
    rows = Channel.objects.filter(meter__in={each.read.meter_id for each in arrivals}).order_by()
    known = _numbers(rows)
    missing = [
        Channel(meter_id=meter, name=name, unit=unit[:20])
        for (meter, name), unit in sorted(units.items())
        if (meter, name) not in known
    ]
    if missing:
        Channel.objects.bulk_create(missing, ignore_conflicts=True)
        known = _numbers(rows)
    return known


def _numbers(rows: QuerySet[Channel]) -> Channels:
    return {(meter, name): pk for meter, name, pk in rows.values_list("meter_id", "name", "pk")}


def _pack(
    arrival: Arrival,
    channels: Channels,
    packed: dict[Key, bytes],
    lost: dict[Key, tuple[Overruled, ...]],
) -> Iterator[SideReading]:
    """Put the days of a result beside the others; yields what stands on no half hour."""
    read, delivery, result = arrival
    source = days.source_of(result.collection_ended_at, bytes.fromhex(delivery.sha256))
    for survey in result.surveys:
        channel = channels[read.meter_id, survey.name]
        split = days.split(survey.times, survey.texts, survey.flags, source)
        for day, overruled in split.overruled.items():
            lost[channel, day] = lost.get((channel, day), ()) + overruled
        for day, row in split.days.items():
            _add(packed, lost, (channel, day), row)
        yield from _off_grid(channel, split.off_grid, source)


def _lengths(lost: Mapping[Key, tuple[Overruled, ...]]) -> dict[Key, int]:
    return {key: len(readings) for key, readings in lost.items()}


def _by_meter(channels: Channels, counts: Mapping[Key, int]) -> Counter[int]:
    meters = {pk: meter for (meter, _), pk in channels.items()}
    found: Counter[int] = Counter()
    for (channel, _), count in counts.items():
        found[meters[channel]] += count
    return found


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


def _write(packed: Mapping[Key, bytes], lost: dict[Key, tuple[Overruled, ...]]) -> dict[Key, int]:
    """Insert new days, merge with those that exist. Returns how many readings of each were new."""
    if not packed:
        return {}
    fresh = _insert(packed)
    existing = {key: row for key, row in packed.items() if key not in fresh}
    gained = {key: days.presence(packed[key]).bit_count() for key in fresh}
    return gained | (_merge(existing, lost) if existing else {})


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


def _merge(packed: Mapping[Key, bytes], lost: dict[Key, tuple[Overruled, ...]]) -> dict[Key, int]:
    """Lock days that exist, in key order, and merge. Returns how many readings of each were new."""
    rows = Day.objects.select_for_update().filter(_rows(packed)).order_by("channel_id", "day")
    changed, gained = [], {}
    for row in rows:
        key = (row.channel_id, row.day)
        held = bytes(row.slots)
        merged = days.merge(held, packed[key])
        gained[key] = merged.gained
        if merged.overruled:
            lost[key] = lost.get(key, ()) + merged.overruled
        if merged.packed != held:
            row.slots = merged.packed
            changed.append(row)
    if changed:
        Day.objects.bulk_update(changed, ["slots"], batch_size=200)
    return gained


def _off_grid(
    channel: int, readings: Iterable[days.OffGrid], source: days.Source
) -> Iterator[SideReading]:
    for each in readings:
        yield SideReading(
            channel_id=channel,
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


def _registers(arrivals: Iterable[Arrival], channels: Channels) -> None:
    RegisterReading.objects.bulk_create(
        (
            RegisterReading(
                read_id=read.pk,
                channel_id=channels[read.meter_id, each.name],
                at=_moment(each, result, delivery),
                value=each.text,
            )
            for read, delivery, result in arrivals
            for each in result.registers
        ),
        ignore_conflicts=True,
    )


def _moment(register: RegisterValue, result: Result, delivery: Delivery) -> datetime:
    """When a register was read; the best that the document tells."""
    ended = result.connection_ended_at or result.collection_ended_at
    return register.at or ended or delivery.received_at


# ---- What the rules must know ---------------------------------------------------------------


def checked_meters(reads: Sequence[MeterRead]) -> dict[int, rules.Meter]:
    """The meters of these reads as the rules see them, with their other accepted register reads.

    By meter; each read is of another one (two queries).
    """
    histories, changes = _histories(reads), _changes(reads)
    return {
        meter.pk: rules.Meter(
            mpan=meter.mpan,
            serial_number=meter.serial_number,
            cumulative=meter.meter_type.survey == MeterType.Survey.CUMULATIVE,
            digits=meter.meter_type.digits,
            capacity_kw=meter.capacity_kw,
            changes=tuple(changes.get(meter.pk, ())),
            history=histories.get(meter.pk, {}),
        )
        for meter in (read.meter for read in reads)
    }


def _changes(reads: Sequence[MeterRead]) -> dict[int, list[datetime]]:
    found: dict[int, list[datetime]] = {}
    rows = MeterChange.objects.filter(meter__in=[read.meter_id for read in reads])
    for meter, at in rows.order_by("at").values_list("meter_id", "at"):
        found.setdefault(meter, []).append(at)
    return found


def _histories(reads: Sequence[MeterRead]) -> dict[int, dict[str, list[rules.Past]]]:
    """The latest accepted register reads of each meter by register, the oldest first."""
    rows = RegisterReading.objects.filter(
        channel__meter__in=[read.meter_id for read in reads],
        read__status=MeterRead.Status.ACCEPTED,
    ).exclude(read__in=[read.pk for read in reads])
    newest = Window(RowNumber(), partition_by=F("channel__meter"), order_by=F("at").desc())
    latest = rows.annotate(place=newest).filter(place__lte=HISTORY).order_by("at")
    found: dict[int, dict[str, list[rules.Past]]] = {}
    for meter, name, at, value in latest.values_list(
        "channel__meter_id", "channel__name", "at", "value"
    ):
        number = _number(value)
        if number is not None:
            found.setdefault(meter, {}).setdefault(name, []).append(rules.Past(at, number))
    return found


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
