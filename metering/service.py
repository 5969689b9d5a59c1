"""What other desks may read of the metering desk: accepted readings alone, as frozen values.

A half hour leaves only when the read that brought it is accepted; until then it counts as unknown.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from django.db.models import OuterRef, QuerySet, Subquery

from core import mpan as mpans
from core.settlement import HALF_HOUR, Span
from metering import missing as gaps_of
from metering import stored
from metering.models import Channel, Meter, RegisterReading

LONGEST = timedelta(days=800)


class UnknownRegister(LookupError):
    """There is no such meter, or it has no such register."""


class KnownMeter(msgspec.Struct, frozen=True, kw_only=True):
    """A meter that can be asked about: `meter` is its key in the other functions."""

    meter: int
    mpan: str
    serial_number: str
    meter_type: str
    registers: tuple[str, ...]


class RegisterValue(msgspec.Struct, frozen=True, kw_only=True):
    """What a register showed: `text` exactly as the meter sent it, `reference` the read."""

    register: str
    unit: str
    at: datetime
    value: Decimal
    text: str
    reference: str


class Mark(msgspec.Struct, frozen=True):
    """A half hour that is odd, and why."""

    start: datetime
    why: str


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """The use of a stretch by half hours (UTC); None where it is not known or not accepted."""

    register: str
    unit: str
    start: datetime
    end: datetime
    half_hours: tuple[Decimal | None, ...]
    total: Decimal
    known: int
    marks: tuple[Mark, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every half hour is known and none is odd."""
        return self.known == len(self.half_hours) and not self.marks


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Half hours that no result brought, `end` not among them."""

    start: datetime
    end: datetime
    cause: str
    tries: int


def meters_of(mpan: str) -> tuple[KnownMeter, ...]:
    """The active meters of a supply point (two queries)."""
    if not mpans.is_valid(mpan):
        return ()
    rows = Meter.objects.filter(mpan=mpans.parse(mpan), active=True).defer("password")
    return tuple(
        KnownMeter(
            meter=row.pk,
            mpan=row.mpan,
            serial_number=row.serial_number,
            meter_type=row.meter_type.code,
            registers=tuple(channel.name for channel in row.channels.all()),
        )
        for row in rows.select_related("meter_type").prefetch_related("channels")
    )


def register_value_at(meter: int, register: str, moment: datetime) -> RegisterValue | None:
    """The last accepted value of a register at or before a moment; None when there is none."""
    rows = RegisterReading.objects.filter(
        channel__meter=meter,
        channel__name=register,
        read__status=stored.ACCEPTED,
        at__lte=moment,
    )
    row = rows.select_related("channel", "read").order_by("-at", "-pk").first()
    return None if row is None else _as_value(row)


def register_values_at(
    asked: Collection[tuple[str, str]], moment: datetime
) -> dict[tuple[str, str], RegisterValue]:
    """The last accepted values of many registers, asked for by MPAN and register (two queries).

    Of several active meters of an MPAN with such a register, the first that `meters_of` gives
    counts. Registers that are not known or have no value are left out.
    """
    named = Channel.objects.filter(
        meter__active=True,
        meter__mpan__in={mpan for mpan, _ in asked},
        name__in={register for _, register in asked},
    ).order_by("-meter__mpan", "-meter__serial_number")  # the first meter is written last
    readings = RegisterReading.objects.filter(
        channel=OuterRef("pk"), read__status=stored.ACCEPTED, at__lte=moment
    ).order_by("-at", "-pk")
    newest = named.annotate(newest=Subquery(readings.values("pk")[:1]))
    keys = {
        (mpan, register): pk
        for mpan, register, pk in newest.values_list("meter__mpan", "name", "newest")
        if (mpan, register) in asked
    }
    rows = RegisterReading.objects.filter(pk__in=[pk for pk in keys.values() if pk])
    found = {row.pk: row for row in rows.select_related("channel", "read")}
    return {
        key: value
        for key, pk in keys.items()
        if pk in found and (value := _as_value(found[pk])) is not None
    }


def _as_value(row: RegisterReading) -> RegisterValue | None:
    value = stored.number(row.value)
    if value is None:
        return None
    return RegisterValue(
        register=row.channel.name,
        unit=row.channel.unit,
        at=row.at,
        value=value,
        text=row.value,
        reference=row.read.reference,
    )


def consumption(meter: int, register: str, span: Span) -> Use:
    """The accepted use of a stretch of whole half hours (eight queries at most).

    Raises `UnknownRegister`, and ValueError for a stretch that is no row of half hours.
    """
    _check(span)
    channel = _channel(meter, register)
    rows = stored.accepted(stored.day_rows([channel.pk], span), stored.verdicts(meter), meter)
    around = stored.around(channel.meter, [channel.pk], span)
    found = around.use(channel, rows[channel.pk], span)
    return Use(
        register=register,
        unit=channel.unit,
        start=span.start,
        end=span.end,
        half_hours=tuple(
            None if value is None else Decimal(value).scaleb(-found.decimals)
            for value in found.values
        ),
        total=found.total,
        known=found.known,
        marks=tuple(
            Mark(span.start + place * HALF_HOUR, mark.value)
            for place, mark in sorted(found.marks.items())
        ),
    )


def missing(meter: int, span: Span, *, now: datetime) -> tuple[Missing, ...]:
    """What no result brought of a stretch, up to `now`, and on whose side that lies."""
    _check(span)
    one = _meters().filter(pk=meter).first()
    if one is None:
        raise UnknownRegister(f"There is no meter {meter}.")
    end = min(span.end, gaps_of.expected(now).end)
    if end <= span.start:
        return ()
    (found,) = gaps_of.standings([one], now=now, span=Span(span.start, end))
    return tuple(
        Missing(start=gap.start, end=gap.end, cause=gap.cause.value, tries=gap.tries)
        for gap in found.gaps
    )


def _meters() -> QuerySet[Meter]:
    return Meter.objects.defer("password").select_related("meter_type")


def _channel(meter: int, register: str) -> Channel:
    rows = Channel.objects.filter(meter=meter, name=register)
    found = rows.select_related("meter__meter_type").defer("meter__password").first()
    if found is None:
        raise UnknownRegister(f"Meter {meter} has no register “{register}”.")
    return found


def _check(span: Span) -> None:
    """Refuse a stretch that is not made of half hours."""
    for moment in span:
        if moment.tzinfo is None or moment.astimezone(UTC).timestamp() % 1800:
            raise ValueError("A stretch begins and ends at a half hour and has a zone.")
    if not timedelta(0) < span.end - span.start <= LONGEST:
        raise ValueError("A stretch has at least one half hour and at most 800 days.")
