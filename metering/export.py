"""Half hours as rows for a file: one line a register and half hour, values as the meters sent them.

For billing only what accepted reads brought is filled in. Memory holds one meter at a time.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from core import settlement
from core.settlement import HALF_HOUR, LONDON, Span
from metering import days, rules, stored
from metering.models import Channel, Meter, MeterRead

HEADING: Final = (
    *("MPAN", "serial number", "register", "unit", "start (UTC)", "start (local)"),
    *("settlement date", "settlement period", "value as sent", "flags", "consumption", "mark"),
    "status",
)
MISSING: Final = "missing"
NOT_ACCEPTED: Final = "not accepted"
_LABELS: Final = {value: str(label).lower() for value, label in MeterRead.Status.choices}


class _Seen(NamedTuple):
    """What a slot holds and what became of the read behind it."""

    text: str
    flags: int | None
    status: str


_NOTHING: Final = _Seen("", None, MISSING)


def rows(meters: Iterable[Meter], span: Span, *, accepted_only: bool) -> Iterator[list[Any]]:
    """Yield the lines; a half hour without a reading is a line too, with its status."""
    whens = [_when(span.start + place * HALF_HOUR) for place in range(span.half_hours)]
    for meter in meters:
        yield from _of_meter(meter, span, whens, accepted_only=accepted_only)


def _when(start: datetime) -> list[Any]:
    period = settlement.period_of(start)
    local = start.astimezone(LONDON)
    return [
        f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{local:%Y-%m-%d %H:%M %Z}", period.day, period.number,
    ]  # fmt: skip


def _of_meter(
    meter: Meter, span: Span, whens: list[list[Any]], *, accepted_only: bool
) -> Iterator[list[Any]]:
    channels = list(meter.channels.all())
    every = stored.day_rows([channel.pk for channel in channels], span)
    said = stored.verdicts(meter.pk)
    kept = stored.accepted(every, said, meter.pk) if accepted_only else every
    around = stored.around(meter, every, span)
    for channel in channels:
        if not every[channel.pk]:
            continue
        seen = _seen(kept[channel.pk], said)
        if accepted_only:
            held = _seen(every[channel.pk], said)
            seen = {at: _Seen("", None, NOT_ACCEPTED) for at in held} | seen
        use = around.use(channel, kept[channel.pk], span)
        yield from _lines(meter, channel, use, seen, whens)


def _seen(listed: stored.Listed, said: stored.Verdicts) -> dict[int, _Seen]:
    """What is stored by half hour since 1970."""
    found = {}
    for day, packed in listed:
        begin = (day.toordinal() - _EPOCH) * days.SLOTS
        for slot, each in days.decode(packed).items():
            status = said.get(each.source.digest, "")
            found[begin + slot] = _Seen(each.text, each.flags, _LABELS.get(status, "unknown"))
    return found


_EPOCH = date(1970, 1, 1).toordinal()


def _lines(
    meter: Meter,
    channel: Channel,
    use: rules.Consumption,
    seen: dict[int, _Seen],
    whens: list[list[Any]],
) -> Iterator[list[Any]]:
    who = [meter.mpan, meter.serial_number, channel.name, channel.unit]
    for place, when in enumerate(whens):
        each, value = seen.get(use.first + place, _NOTHING), use.values[place]
        mark = use.marks.get(place)
        yield [
            *who,
            *when,
            each.text,
            each.flags,
            None if value is None else _decimal(value, use.decimals),
            mark.value if mark else "",
            each.status,
        ]


def _decimal(value: int, decimals: int) -> str:
    """A number of 10 to the power of −`decimals`, written out."""
    if not decimals:
        return str(value)
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
