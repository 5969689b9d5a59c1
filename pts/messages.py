"""What crosses the wire to MassCEC's Production Tracking System (PTS Monthly Automated Reporting).

Builds the bodies of the five operations and reads the replies, item by item: one bad system harms
no other. Plain Python: it calls nobody and decides nothing about a reading.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

VALIDATING: Final = 0
FAILED: Final = -1
PASSED: Final = 1
VALIDATION: Final[dict[int, str]] = {0: "Validating", -1: "Failed", 1: "Passed"}

LONGEST_TEXT: Final = 2000
LARGEST_CAPACITY: Final = Decimal(10) ** 8  # kW
LARGEST_VALUE: Final = Decimal(10) ** 11  # kWh; a lifetime total of 100 TWh is no reading
_MOST_ODD = 1000
_NUMBERS = msgspec.json.Encoder(decimal_format="number")
_LARGEST_ROW = 105  # bytes, without notes
_LARGEST_LETTER = 6
_NOTES_OF = attrgetter("notes")
_ROUNDING = Decimal("0.05")
BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WHOLE_SECOND = "%Y-%m-%dT%H:%M:%S"

Key = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Item = TypeVar("Item")


class NotPromised(Exception):
    """The reply as a whole is not what the specification promises; `reason` says how."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class System(msgspec.Struct, frozen=True, kw_only=True):
    """An active system of ours as GetSystems lists it. `capacity` in kW."""

    fk_system: Key
    system_id: str | None = msgspec.field(name="SystemID", default=None)
    name: str | None = msgspec.field(name="SystemName", default=None)
    capacity: Decimal | None = None
    error: Any = msgspec.field(name="Error", default=None)


class LastReading(msgspec.Struct, frozen=True, kw_only=True):
    """The last known reading of a system (GetLastReading); kWh, times as the party writes them."""

    fk_system: Key
    meter_value: Decimal | None = msgspec.field(name="MeterValue", default=None)
    meter_date: str | None = msgspec.field(name="MeterDate", default=None)
    reported_at: str | None = msgspec.field(name="DateTimeReported", default=None)
    period_end: str | None = msgspec.field(name="PeriodEndDate", default=None)
    energy_produced: Decimal | None = msgspec.field(name="EnergyProduced", default=None)
    is_estimated: bool | None = msgspec.field(name="IsEstimated", default=None)
    notes: str | None = msgspec.field(name="Notes", default=None)
    error: Any = msgspec.field(name="Error", default=None)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a submission of this window stands (GetSubmissionStatus, "Validation Status")."""

    fk_system: Key
    status: int = msgspec.field(name="ValidationStatus")
    meter_value: Decimal | None = msgspec.field(name="MeterValue", default=None)
    meter_date: str | None = msgspec.field(name="MeterDate", default=None)
    reported_at: str | None = msgspec.field(name="DateTimeReported", default=None)
    energy_produced: Decimal | None = msgspec.field(name="EnergyProduced", default=None)
    notes: str | None = msgspec.field(name="Notes", default=None)
    validation_notes: str | None = msgspec.field(name="ValidationNotes", default=None)
    error: Any = msgspec.field(name="Error", default=None)


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What the reply of ARPost and ARPostTest may say about one system."""

    fk_system: Key
    error: Any = msgspec.field(name="Error", default=None)


class Odd(msgspec.Struct, frozen=True):
    """An item that cannot be read: its place (from 0), its key if that can be, and why."""

    place: int
    fk_system: int | None
    why: str


class Listed(msgspec.Struct, Generic[Item], frozen=True):
    """The items of a reply that can be read, and those that cannot."""

    items: tuple[Item, ...]
    odd: tuple[Odd, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One system of a submission: lifetime total in kWh, time as `in_party_time` writes it.

    It goes over the wire as it stands; the value has a fixed number of decimals.
    """

    fk_system: Key
    meter_value: Decimal = msgspec.field(name="MeterValue")
    meter_date: str = msgspec.field(name="MeterDate")
    notes: str | None = msgspec.field(name="Notes", default=None)


# ---- Reading -----------------------------------------------------------------------------------


def read_systems(body: bytes) -> Listed[System]:
    """Read GetSystems (operation 1.c). Raises `NotPromised`."""
    return _listed(body, System, _capacity_fits)


def read_last_readings(body: bytes) -> Listed[LastReading]:
    """Read GetLastReading (operation 2.c). Raises `NotPromised`."""
    return _listed(body, LastReading, _value_fits)


def read_standings(body: bytes) -> Listed[Standing]:
    """Read GetSubmissionStatus (operation 5.b); another status than 0, −1, 1 is odd."""
    return _listed(body, Standing, _standing_fits)


def read_receipt(body: bytes) -> dict[int, str]:
    """Read what ARPost or ARPostTest says with 200 (3.d, 4.d): the error of each system named.

    The specification promises "Received Data" and no body: nothing, a text and a JSON list are
    receipts. Raises `NotPromised` for a web page or a broken list, which prove no receipt.
    """
    text = body.strip()
    if not text:
        return {}
    if not text.startswith((b"[", b"{", b'"')):
        return _plain_receipt(text)
    try:
        said = msgspec.json.decode(text)
    except BROKEN as problem:
        raise NotPromised("The reply is not whole JSON.") from problem
    if isinstance(said, dict):
        said = said.get("systems", [said])
    items = said if isinstance(said, list) else []
    return dict(_errors(items))


def _plain_receipt(text: bytes) -> dict[int, str]:
    if b"<" in text[:200]:
        raise NotPromised("The reply is a web page, not a receipt.")
    return {}


def _errors(items: Iterable[object]) -> Iterator[tuple[int, str]]:
    for item in items:
        try:
            posted = msgspec.convert(item, Posted, strict=False)
        except (msgspec.ValidationError, RecursionError):
            if isinstance(item, dict) and item.get("Error"):
                raise NotPromised(f"An error without a system: {said(item['Error'])}") from None
            continue
        if posted.error not in (None, ""):
            yield posted.fk_system, said(posted.error)


def _listed(body: bytes, kind: type[Item], fits: Any) -> Listed[Item]:
    try:
        raws = msgspec.json.decode(body, type=list[msgspec.Raw])
    except BROKEN as problem:
        raise NotPromised("The reply is not a JSON list of systems.") from problem
    items: list[Item] = []
    odd: list[Odd] = []
    for place, raw in enumerate(raws):
        try:
            item = msgspec.json.decode(raw, type=kind, strict=False)
            fits(item)
        except (*BROKEN, ValueError) as problem:
            odd.append(Odd(place, _key_of(raw), said(problem)))
        else:
            items.append(item)
    return Listed(tuple(items), tuple(odd[:_MOST_ODD]))


def _key_of(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=Posted, strict=False).fk_system
    except BROKEN:
        return None


def _capacity_fits(system: System) -> None:
    if system.capacity is not None:
        _bounded(system.capacity, "capacity", most=LARGEST_CAPACITY)


def _value_fits(reading: LastReading | Standing) -> None:
    for name in ("meter_value", "energy_produced"):
        value = getattr(reading, name)
        if value is not None:
            _bounded(value, name, signed=name == "energy_produced")


def _standing_fits(standing: Standing) -> None:
    _value_fits(standing)
    if standing.status not in VALIDATION:
        raise ValueError(f"ValidationStatus is {standing.status}, not 0, −1 or 1")


def _bounded(
    value: Decimal, name: str, *, signed: bool = False, most: Decimal = LARGEST_VALUE
) -> None:
    low = -most if signed else Decimal(0)
    if not value.is_finite() or not low <= value <= most:
        raise ValueError(f"{name} is no plausible number")


def said(words: object) -> str:
    """A party's words as they may be kept and shown: text, bounded, no control characters."""
    text = words if isinstance(words, str) else str(words)
    return _CONTROL.sub(" ", text[: LONGEST_TEXT * 2]).strip()[:LONGEST_TEXT]


# ---- Time ("All Date/Times are in Eastern Daylight Time") --------------------------------------


def in_party_time(at: datetime, zone: tzinfo) -> str:
    """Write a moment as the party's wall clock shows it, to the second, without an offset."""
    return at.astimezone(zone).strftime(_WHOLE_SECOND)


def from_party_time(text: str | None, zone: tzinfo) -> datetime | None:
    """Read a time of the party as a moment in UTC; None where there is none.

    An hour that happens twice is taken as the first; one with an offset of its own is believed.
    """
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    if not 1990 < at.year < 2200:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


# ---- Building ----------------------------------------------------------------------------------


def systems_body(keys: Iterable[int]) -> bytes:
    """Build the filter object of operations 1, 2 and 5."""
    return msgspec.json.encode({"systems": [{"fk_system": key} for key in keys]})


def systems_query(keys: Iterable[int]) -> dict[str, str]:
    """Build the query of the GET forms of operations 1 and 2; no keys ask for all systems."""
    joined = ",".join(str(key) for key in keys)
    return {"fk_system": joined} if joined else {}


def post_body(lines: Sequence[Line], *, api_key: str, notes: str) -> bytes:
    """Build the body of ARPost and ARPostTest (3.c, 4.c), values exact, in the order given."""
    return _NUMBERS.encode({"APIKey": api_key, "Notes": notes or None, "systems": lines})


def batches(lines: Iterable[Line], *, limit: int, notes: str = "") -> Iterator[list[Line]]:
    """Split a submission so that no body exceeds `limit` bytes ("depending on the size")."""
    every, head = list(lines), len(post_body([], api_key="x" * 200, notes=notes))
    if not any(map(_NOTES_OF, every)):  # all weigh the same: nothing to add up
        size = max(1, (limit - head) // _LARGEST_ROW)
        yield from (every[start : start + size] for start in range(0, len(every), size))
        return
    batch: list[Line] = []
    size = head
    for line in every:
        weight = _LARGEST_ROW + _LARGEST_LETTER * len(line.notes or "")
        if batch and size + weight > limit:
            yield batch
            batch, size = [], head
        batch.append(line)
        size += weight
    if batch:
        yield batch


def is_same(standing: Standing, line: Line) -> bool:
    """Whether the party's submission is this one: the same date, and the value to 0.05 kWh.

    A party that keeps fewer decimals than we sent still means the same submission.
    """
    theirs = (standing.meter_date or "").strip()[: len(line.meter_date)]
    if standing.meter_value is None or theirs != line.meter_date:
        return False
    return abs(standing.meter_value - line.meter_value) <= _ROUNDING
