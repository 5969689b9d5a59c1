"""The half hours of one register on one UTC day as one short byte string, and how two such merge.

Plain Python: no database, no clock. What is packed comes back exactly as the meter sent it. Packing
is canonical: the same readings give the same bytes, in whatever order and pieces they arrived.
"""

import re
import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from itertools import accumulate, groupby
from operator import sub
from typing import Final, NamedTuple

import msgspec

# ---- The format -------------------------------------------------------------------------------
#
# Format, version 1, little-endian; a header of 28 bytes and then only the parts it announces:
#
#     0   version, 1
#     1   bits: 1 all 48 slots are plain · 2 steps · 4–16 width of a number (0 1 2 4 8 bytes as 0–4)
#         · 32 several sources · 64 flags · 128 literals
#     2   most decimals (high four bits) and fewest decimals (low four bits) of a plain value
#     3   digits that the whole part is padded to with zeros
#     4   int64 base: the first value (steps) or the smallest one, without its decimal point
#     12  uint64 end of the collection in microseconds since 1970, 0 if unknown: the greatest source
#     20  first 8 bytes of the document's hash: the greatest source
#     28  bitmap of plain slots (6 bytes, unless all 48) · numbers: steps from value to value, or
#         distances from the base · literals: count, then slot, length, text · flags: the usual one
#         (known, int64), count, then slot, known, int64 of those that deviate · sources: count of
#         further ones (uint64 and 8 bytes each), count of runs, then place among the present slots
#         and number of the source, from the greatest
#
# A plain value is a decimal number that its day's form writes back as it was; others are literal.

VERSION: Final = 1
SLOTS: Final = 48
SLOT_SECONDS: Final = 1800
DAY_SECONDS: Final = SLOTS * SLOT_SECONDS

Packed = bytes | bytearray | memoryview

_HEADER = struct.Struct("<BBBBqQ8s")
_SOURCE = struct.Struct("<Q8s")
_FLAGS = struct.Struct("<Bq")
_DEVIATION = struct.Struct("<BBq")
_FULL, _STEPS, _SEVERAL, _FLAGGED, _LITERAL = 1, 2, 32, 64, 128
_WIDTH_SHIFT, _WIDTH_MASK = 2, 7
_BITMAP = 6
_ALL = (1 << SLOTS) - 1
_SOURCE_AT, _SOURCE_END = 12, 28
_CODES = ("", "B", "H", "I", "Q")
_BYTES = (0, 1, 2, 4, 8)
_LIMITS = (0, 2**8 - 1, 2**16 - 1, 2**32 - 1)
_ROWS = {
    (width, count): struct.Struct(f"<{count}{code}")
    for width, code in enumerate(_CODES)
    for count in range(SLOTS + 1)
    if code
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_EXACT = Context(prec=500)
_MICROSECOND = timedelta(microseconds=1)

_DECIMALS = 6
_PLAIN = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
# What a whole day looks like in the two usual forms: whole numbers, or always as many decimals.
_WHOLE = r"(?:0|[1-9]\d{0,11}+)"
# What a whole day looks like in its usual forms: always as many decimals, or as many as needed.
_USUAL = tuple(
    re.compile(rf"{_WHOLE}{point}(?:,{_WHOLE}{point})*+", re.ASCII)
    for point in ("", *(rf"\.\d{{{places}}}" for places in range(1, _DECIMALS + 1)))
)
_MIXED = re.compile(rf"{_WHOLE}(?:\.\d{{1,6}}+)?+(?:,{_WHOLE}(?:\.\d{{1,6}}+)?+)*+", re.ASCII)
_ZEROS_IN_FRONT = re.compile(r"(?<!\d)0+(?=\d)", re.ASCII)
_WHOLE_NUMBERS = msgspec.json.Decoder(list[int])


class NotThisFormat(ValueError):
    """The bytes are no packed day of a version that is known here."""


class Source(NamedTuple):
    """Which result a reading came from; the greater source wins where two disagree.

    `ended_at` is collectionEndTime in microseconds since 1970 (0 if it was not told), `digest` the
    first 8 bytes of the document's hash.
    """

    ended_at: int
    digest: bytes


class Slot(NamedTuple):
    """One reading: its value exactly as sent, its statusFlags, its source."""

    text: str
    flags: int | None
    source: Source


class Overruled(NamedTuple):
    """A reading that lost its slot to a result that said something else."""

    slot: int
    text: str
    flags: int | None
    source: Source


class OffGrid(NamedTuple):
    """A reading that does not start at a half hour; `time` in seconds since 1970."""

    time: int
    text: str
    flags: int | None


class Merged(NamedTuple):
    """Two packed days as one: `gained` slots that only the second one had."""

    packed: bytes
    overruled: tuple[Overruled, ...]
    gained: int


class Split(NamedTuple):
    """A register's readings by UTC day; within one document the greater text wins a slot."""

    days: dict[date, bytes]
    off_grid: tuple[OffGrid, ...]
    overruled: dict[date, tuple[Overruled, ...]]


class Amounts(NamedTuple):
    """Values as whole numbers of 10 to the power of −`decimals`; None where there is none."""

    values: list[int | None]
    decimals: int


def source_of(collection_ended_at: datetime | None, body_hash: bytes) -> Source:
    """Name the source of a document's readings: `body_hash` is its SHA-256 as bytes."""
    if len(body_hash) < 8:
        raise ValueError("The hash is too short.")
    if collection_ended_at is None:
        return Source(0, body_hash[:8])
    return Source(max(0, (collection_ended_at - _EPOCH) // _MICROSECOND), body_hash[:8])


# ---- From readings to days --------------------------------------------------------------------


def split(
    times: Sequence[int],
    texts: Sequence[str],
    flags: Sequence[int | None] | None,
    source: Source,
) -> Split:
    """Pack the readings of one register of one document, day by day.

    `times` are seconds since 1970, the start of each half hour. `flags` is None for no flags.
    """
    if not times:
        return Split({}, (), {})
    if not _follow(times):
        return _split_any(times, texts, flags, source)
    count = len(times)
    days: dict[date, bytes] = {}
    uniform, flagged = _uniform(texts), _flagged_alike(flags)
    begin = 0
    while begin < count:
        number, second = divmod(times[begin], DAY_SECONDS)
        slot = second // SLOT_SECONDS
        end = min(count, begin + SLOTS - slot)
        known = (uniform[0], uniform[1][begin:end]) if uniform else None
        if known and flagged is not None and end - begin == SLOTS:
            packed = _pack_full(*known, flagged, source)
        else:
            slots = range(slot, slot + end - begin)
            flag = flags[begin:end] if flags else None
            packed = _pack(slots, texts[begin:end], flag, source, known)
        days[date.fromordinal(_EPOCH_DAY + number)] = packed
        begin = end
    return Split(days, (), {})


def in_a_row(times: Sequence[int], texts: Sequence[str]) -> Amounts | None:
    """Return the values of readings that follow each other and are written alike, else None."""
    uniform = _uniform(texts) if times and _follow(times) else None
    return Amounts([*uniform[1]], uniform[0].most) if uniform else None


def _follow(times: Sequence[int]) -> bool:
    """Whether there is a reading every half hour, on the half hour."""
    first, last = times[0], times[0] + len(times) * SLOT_SECONDS
    return first % SLOT_SECONDS == 0 and times == list(range(first, last, SLOT_SECONDS))


def _split_any(
    times: Sequence[int],
    texts: Sequence[str],
    flags: Sequence[int | None] | None,
    source: Source,
) -> Split:
    """Split readings in any order, with holes, doubles and times off the grid."""
    off_grid: list[OffGrid] = []
    by_day: dict[int, dict[int, set[Slot]]] = {}
    for place, (time, text) in enumerate(zip(times, texts, strict=True)):
        flag = flags[place] if flags else None
        number, second = divmod(time, DAY_SECONDS)
        if second % SLOT_SECONDS:
            off_grid.append(OffGrid(time, text, flag))
            continue
        slots = by_day.setdefault(number, {})
        slots.setdefault(second // SLOT_SECONDS, set()).add(Slot(text, flag, source))
    days, overruled = {}, {}
    for number, slots in by_day.items():
        day = date.fromordinal(_EPOCH_DAY + number)
        winners = {slot: max(said, key=_rank) for slot, said in slots.items()}
        days[day] = encode(winners)
        losers = sorted(
            (Overruled(slot, *each) for slot, said in slots.items() for each in said),
            key=_place,
        )
        overruled[day] = tuple(each for each in losers if each[1:] != winners[each.slot])
    return Split(days, tuple(off_grid), {day: lost for day, lost in overruled.items() if lost})


# ---- Merging ------------------------------------------------------------------------------------


def merge(ours: Packed, theirs: Packed) -> Merged:
    """Put two packed days together: in each slot the greater source wins, then the greater text.

    Commutative, associative and idempotent as to the bytes. A reading that lost to another value
    (or other flags) is returned; one that said the same is not, its slot keeps the greater source.
    """
    if ours == theirs:
        return Merged(bytes(ours), (), 0)
    if _same_readings(ours, theirs):
        return Merged(bytes(max(ours, theirs, key=_header_source)), (), 0)
    mine, other = decode(ours), decode(theirs)
    slots = dict(mine)
    overruled = []
    for slot, said in other.items():
        held = slots.setdefault(slot, said)
        loser, slots[slot] = sorted((held, said), key=_rank)
        if loser[:2] != slots[slot][:2]:
            overruled.append(Overruled(slot, *loser))
    return Merged(encode(slots), tuple(overruled), len(other.keys() - mine.keys()))


def settle(kept: Iterable[Overruled], packed: Packed) -> tuple[Overruled, ...]:
    """Return what a day's overruled readings come to: each other value once, greatest source first.

    `kept` is everything that merging ever returned for this day, in any order and as often as it
    was returned. A value that has won its slot since is not overruled any more.
    """
    winners = decode(packed)
    greatest: dict[tuple[int, str, int | None], Overruled] = {}
    for each in kept:
        key = each[:3]
        if each.slot in winners and winners[each.slot][:2] == key[1:]:
            continue
        if key not in greatest or greatest[key].source < each.source:
            greatest[key] = each
    return tuple(sorted(greatest.values(), key=_place))


def _rank(slot: Slot) -> tuple[Source, str, bool, int]:
    """Order readings of one slot: by source, then by text and flags for one and the same source."""
    return slot.source, slot.text, slot.flags is not None, slot.flags or 0


def _place(lost: Overruled) -> tuple[int, tuple[Source, str, bool, int]]:
    return lost.slot, _rank(Slot(*lost[1:]))


def _same_readings(ours: Packed, theirs: Packed) -> bool:
    """Say whether two days of one source each differ in that source alone."""
    return (
        len(ours) == len(theirs)
        and not ours[1] & _SEVERAL
        and ours[:_SOURCE_AT] == theirs[:_SOURCE_AT]
        and ours[_SOURCE_END:] == theirs[_SOURCE_END:]
    )


def _header_source(packed: Packed) -> Source:
    return Source(*_SOURCE.unpack_from(packed, _SOURCE_AT))


# ---- Writing ------------------------------------------------------------------------------------


class _Form(NamedTuple):
    """How a day writes its plain values: most and fewest decimals, digits of the whole part."""

    most: int
    fewest: int
    digits: int


def encode(slots: Mapping[int, Slot]) -> bytes:
    """Pack the readings of one day, keyed by slot 0–47."""
    order = sorted(slots)
    if not order or order[0] < 0 or order[-1] >= SLOTS:
        raise ValueError("A day has readings in slots 0 to 47 only, and at least one.")
    rows = [slots[slot] for slot in order]
    sources = [row.source for row in rows]
    flags = [row.flags for row in rows]
    one = sources[0] if sources.count(sources[0]) == len(sources) else None
    return _pack(order, [row.text for row in rows], flags, one or sources)


def _pack(
    slots: Sequence[int],
    texts: Sequence[str],
    flags: Sequence[int | None] | None,
    sources: Source | Sequence[Source],
    known: tuple["_Form", list[int]] | None = None,
) -> bytes:
    """Pack columns that are sorted by slot; one source may stand for all."""
    form, numbers, literals = (*known, ()) if known else _formatted(texts)
    bits, base, payload = _numbers_part(numbers)
    parts = [payload]
    if len(numbers) == SLOTS:
        bits |= _FULL
    else:
        plain = (1 << slot for place, slot in enumerate(slots) if place not in literals)
        parts.insert(0, sum(plain).to_bytes(_BITMAP, "little"))
    if literals:
        bits |= _LITERAL
        parts.append(_literals_part([(slots[place], texts[place]) for place in literals]))
    if flags and flags.count(None) < len(flags):
        bits |= _FLAGGED
        parts.append(_flags_part(slots, flags))
    greatest = sources if isinstance(sources, Source) else max(sources)
    if not isinstance(sources, Source):
        bits |= _SEVERAL
        parts.append(_sources_part(sources))
    decimals = form.most << 4 | form.fewest
    return _HEADER.pack(VERSION, bits, decimals, form.digits, base, *greatest) + b"".join(parts)


def _pack_full(form: "_Form", numbers: list[int], flagged: bytes, source: Source) -> bytes:
    """Pack 48 plain values of one source, with the part of their flags if they have any."""
    bits, base, payload = _numbers_part(numbers)
    bits |= _FULL | (_FLAGGED if flagged else 0)
    decimals = form.most << 4 | form.fewest
    return _HEADER.pack(VERSION, bits, decimals, form.digits, base, *source) + payload + flagged


def _flagged_alike(flags: Sequence[int | None] | None) -> bytes | None:
    """Write the part of flags that are all the same (nothing where none is set), else None."""
    if not flags or flags.count(None) == len(flags):
        return b""
    return _flags_part((), flags[:1]) if flags.count(flags[0]) == len(flags) else None


def _formatted(texts: Sequence[str]) -> tuple[_Form, list[int], Sequence[int]]:
    """Find the form that writes the texts back; with the places of texts that it cannot write."""
    if uniform := _uniform(texts):
        return *uniform, ()
    if mixed := _mixed(texts):
        return *mixed, ()
    return _formatted_one_by_one(texts)


def _uniform(texts: Sequence[str]) -> tuple[_Form, list[int]] | None:
    """Read texts that all have as many decimals as the first one and no zeros in front."""
    joined = ",".join(texts)
    places = len(texts[0]) - texts[0].find(".") - 1 if "." in texts[0] else 0
    if places > _DECIMALS or _USUAL[places].fullmatch(joined) is None:
        return None
    return _Form(places, places, 1), _digits(joined)


def _mixed(texts: Sequence[str]) -> tuple[_Form, list[int]] | None:
    """Read texts whose decimals end where zeros would begin, as numbers of JSON usually do."""
    if _MIXED.fullmatch(",".join(texts)) is None:
        return None
    fractions = [text.partition(".")[2] for text in texts]
    lengths = list(map(len, fractions))
    most, fewest = max(lengths), min(lengths)
    if any(len(each) > fewest and each[-1] == "0" for each in fractions):
        return None
    pairs = zip(texts, lengths, strict=True)
    joined = ",".join([text + "0" * (most - length) for text, length in pairs])
    return _Form(most, fewest, 1), _digits(joined)


def _digits(joined: str) -> list[int]:
    """Read numbers without their points; a JSON decoder does it much faster than int()."""
    digits = joined.replace(".", "")
    if digits[0] == "0" or ",0" in digits:
        digits = _ZEROS_IN_FRONT.sub("", digits)
    return _WHOLE_NUMBERS.decode(f"[{digits}]")


def _formatted_one_by_one(texts: Sequence[str]) -> tuple[_Form, list[int], Sequence[int]]:
    matches = [_PLAIN.fullmatch(text) for text in texts]
    parts = [match.groups("") for match in matches if match]
    lengths = [len(fraction) for _, _, fraction in parts] or [0]
    padded = any(len(whole) > 1 and whole[0] == "0" for _, whole, _ in parts)
    digits = min(len(whole) for _, whole, _ in parts) if padded else 1
    form = _Form(max(lengths), min(lengths), digits)
    numbers, literals = [], []
    for place, (text, match) in enumerate(zip(texts, matches, strict=True)):
        number = _scaled(match, form.most) if match else 0
        if match and _written(number, form) == text:
            numbers.append(number)
        else:
            literals.append(place)
    return form, numbers, literals


def _scaled(match: re.Match[str], decimals: int) -> int:
    sign, whole, fraction = match.groups("")
    return int(f"{sign}{whole}{fraction.ljust(decimals, '0')}")


def _written(number: int, form: _Form) -> str:
    """Write a plain value as the meter did."""
    sign, digits = ("-", str(-number)) if number < 0 else ("", str(number))
    most, fewest = form.most, form.fewest
    if not most:
        return sign + digits.rjust(form.digits, "0")
    digits = digits.rjust(most + 1, "0")
    whole, fraction = digits[:-most].rjust(form.digits, "0"), digits[-most:]
    if fewest < most:
        fraction = fraction[:fewest] + fraction[fewest:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _numbers_part(numbers: list[int]) -> tuple[int, int, bytes]:
    """Pack numbers as steps where none goes down, else as distances from the smallest."""
    if not numbers:
        return 0, 0, b""
    steps = list(map(sub, numbers[1:], numbers))
    if not steps or min(steps) >= 0:
        bits, base, row = _STEPS, numbers[0], steps
    else:
        bits, base = 0, min(numbers)
        row = [number - base for number in numbers]
    width = bisect_right(_LIMITS, max(row, default=0) - 1)
    bits |= width << _WIDTH_SHIFT
    return bits, base, _ROWS[width, len(row)].pack(*row) if width else b""


def _literals_part(literals: Sequence[tuple[int, str]]) -> bytes:
    parts = [bytes((len(literals),))]
    for slot, text in literals:
        wired = text.encode()
        parts += bytes((slot, len(wired))), wired
    return b"".join(parts)


def _flags_part(slots: Sequence[int], flags: Sequence[int | None]) -> bytes:
    """Write the usual flag once, and those that deviate from it."""
    if flags.count(flags[0]) == len(flags):
        return _FLAGS.pack(flags[0] is not None, flags[0] or 0) + bytes(1)
    counted = Counter(flags)
    usual = min(counted, key=lambda flag: (-counted[flag], flag is not None, flag or 0))
    deviating = [(slot, flag) for slot, flag in zip(slots, flags, strict=True) if flag != usual]
    parts = [_FLAGS.pack(usual is not None, usual or 0), bytes((len(deviating),))]
    parts += [_DEVIATION.pack(slot, flag is not None, flag or 0) for slot, flag in deviating]
    return b"".join(parts)


def _sources_part(sources: Sequence[Source]) -> bytes:
    ranked = sorted(set(sources), reverse=True)
    numbers = {source: number for number, source in enumerate(ranked)}
    place, runs = 0, b""
    for source, run in groupby(sources):
        runs += bytes((place, numbers[source]))
        place += len(list(run))
    further = b"".join(_SOURCE.pack(*source) for source in ranked[1:])
    return bytes((len(ranked) - 1,)) + further + bytes((len(runs) // 2,)) + runs


# ---- Reading ------------------------------------------------------------------------------------


def decode(packed: Packed) -> dict[int, Slot]:
    """Return the readings of a packed day by slot, in order. Raises NotThisFormat."""
    opened = _open(packed)
    texts = dict(zip(opened.plain, opened.texts(), strict=True)) | opened.literals
    order = sorted(texts)
    flags, sources = opened.flags(order), opened.sources(order)
    rows = zip([texts[slot] for slot in order], flags, sources, strict=True)
    return dict(zip(order, map(Slot._make, rows), strict=True))


def amounts(packed: Packed) -> Amounts:
    """Return the 48 values of a packed day as numbers. Raises NotThisFormat."""
    opened = _open(packed)
    most = opened.form.most
    if len(opened.plain) == SLOTS:
        return Amounts(list(opened.numbers), most)
    values: list[int | None] = [None] * SLOTS
    for slot, number in zip(opened.plain, opened.numbers, strict=True):
        values[slot] = number
    return (
        _with_literals(values, most, opened.literals) if opened.literals else Amounts(values, most)
    )


def texts(packed: Packed) -> list[str | None]:
    """Return the 48 values of a packed day exactly as the meter sent them."""
    opened = _open(packed)
    if len(opened.plain) == SLOTS:
        return list(opened.texts())
    found = dict(zip(opened.plain, opened.texts(), strict=True)) | opened.literals
    return [found.get(slot) for slot in range(SLOTS)]


def series(rows: Iterable[tuple[date, Packed]], start: date, end: date) -> Amounts:
    """Return the half hours of a register from `start` to before `end` in one list.

    `rows` are days with their packed readings, in any order; days outside are left out.
    """
    days = [
        ((day - start).days * SLOTS, amounts(packed)) for day, packed in rows if start <= day < end
    ]
    most = max((each.decimals for _, each in days), default=0)
    values: list[int | None] = [None] * ((end - start).days * SLOTS)
    for first, each in days:
        values[first : first + SLOTS] = rescaled(each, most).values
    return Amounts(values, most)


def rescaled(each: Amounts, decimals: int) -> Amounts:
    """Return the same values with more decimals."""
    if each.decimals == decimals:
        return each
    if each.decimals > decimals:
        raise ValueError("Values cannot lose decimals.")
    factor = 10 ** (decimals - each.decimals)
    values = [value if value is None else value * factor for value in each.values]
    return Amounts(values, decimals)


def presence(packed: Packed) -> int:
    """Return a bitmap of the slots that have a reading: bit 0 is midnight UTC."""
    if len(packed) > _HEADER.size and packed[0] == VERSION and packed[1] & _FULL:
        return _ALL
    opened = _open(packed)
    return opened.bitmap | sum(1 << slot for slot in opened.literals)


def sources(packed: Packed) -> tuple[Source, ...]:
    """Return the results that a packed day still holds readings of, the greatest first."""
    opened = _open(packed)
    count = len(opened.plain) + len(opened.literals)
    return tuple(sorted(set(opened.sources(range(count))), reverse=True))


def _with_literals(values: list[int | None], decimals: int, literals: Mapping[int, str]) -> Amounts:
    numbers = {slot: _EXACT.normalize(Decimal(text)) for slot, text in literals.items()}
    needed = max(-int(number.as_tuple().exponent) for number in numbers.values())
    found = rescaled(Amounts(values, decimals), max(decimals, needed))
    for slot, number in numbers.items():
        found.values[slot] = int(_EXACT.scaleb(number, found.decimals))
    return found


class _Opened(NamedTuple):
    """A packed day with its numbers read; flags and sources are read when they are asked for."""

    packed: Packed
    bits: int
    form: _Form
    bitmap: int
    plain: Sequence[int]
    numbers: Sequence[int]
    literals: dict[int, str]
    rest: int

    def texts(self) -> list[str]:
        """Write the plain values as the meter did."""
        most, fewest, digits = self.form
        if most != fewest or digits > 1 or min(self.numbers, default=0) < 0:
            return [_written(number, self.form) for number in self.numbers]
        if not most:
            return list(map(str, self.numbers))
        padded = [str(number).zfill(most + 1) for number in self.numbers]
        return [f"{text[:-most]}.{text[-most:]}" for text in padded]

    def flags(self, order: Sequence[int]) -> list[int | None]:
        """Return the flags of the present slots."""
        if not self.bits & _FLAGGED:
            return [None] * len(order)
        known, usual = _FLAGS.unpack_from(self.packed, self.rest)
        deviating = {
            slot: flag if differs else None for slot, differs, flag in self._deviating_flags()
        }
        return [deviating.get(slot, usual if known else None) for slot in order]

    def sources(self, order: Sequence[int]) -> list[Source]:
        """Return the sources of the present slots."""
        ranked = [_header_source(self.packed)]
        if not self.bits & _SEVERAL:
            return ranked * len(order)
        at = self._sources_at()
        runs_at = at + 1 + self.packed[at] * _SOURCE.size
        ranked += [Source(*each) for each in _SOURCE.iter_unpack(self.packed[at + 1 : runs_at])]
        runs = bytes(self.packed[runs_at + 1 : runs_at + 1 + 2 * self.packed[runs_at]])
        ends = [*runs[2::2], len(order)]
        found: list[Source] = []
        for number, end in zip(runs[1::2], ends, strict=True):
            found += [ranked[number]] * (end - len(found))
        return found

    def _deviating_flags(self) -> Iterator[tuple[int, int, int]]:
        at = self.rest + _FLAGS.size
        return _DEVIATION.iter_unpack(self.packed[at + 1 : self._sources_at()])

    def _sources_at(self) -> int:
        if not self.bits & _FLAGGED:
            return self.rest
        at = self.rest + _FLAGS.size
        return at + 1 + self.packed[at] * _DEVIATION.size


def _open(packed: Packed) -> _Opened:
    try:
        return _opened(packed)
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as fault:
        raise NotThisFormat("The packed day is damaged.") from fault


def _opened(packed: Packed) -> _Opened:
    version, bits, decimals, digits, base, _, _ = _HEADER.unpack_from(packed)
    if version != VERSION:
        raise NotThisFormat(f"Version {version} of packed days is not known.")
    at, bitmap = _HEADER.size, _ALL
    if not bits & _FULL:
        bitmap = int.from_bytes(packed[at : at + _BITMAP], "little")
        at += _BITMAP
    plain = _slots_of(bitmap)
    width = bits >> _WIDTH_SHIFT & _WIDTH_MASK
    count = max(0, len(plain) - bool(bits & _STEPS))
    row = _ROWS[width, count].unpack_from(packed, at) if width else (0,) * count
    at += _BYTES[width] * count
    numbers = list(accumulate(row, initial=base)) if bits & _STEPS else [base + n for n in row]
    literals: dict[int, str] = {}
    if bits & _LITERAL:
        literals, at = _literals(packed, at)
    form = _Form(decimals >> 4, decimals & 15, digits)
    return _Opened(packed, bits, form, bitmap, plain, numbers, literals, at)


@lru_cache(maxsize=4096)
def _slots_of(bitmap: int) -> tuple[int, ...]:
    return tuple(slot for slot in range(SLOTS) if bitmap >> slot & 1)


def _literals(packed: Packed, at: int) -> tuple[dict[int, str], int]:
    found: dict[int, str] = {}
    count, at = packed[at], at + 1
    for _ in range(count):
        slot, length = packed[at], packed[at + 1]
        found[slot] = bytes(packed[at + 2 : at + 2 + length]).decode()
        at += 2 + length
    return found, at
