"""Packed days: values come back exactly, and merging does not care for order or repetition."""

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import days
from metering.days import NotThisFormat, OffGrid, Overruled, Slot, Source

DAY = date(2026, 3, 29)
MIDNIGHT = int(datetime(2026, 3, 29, tzinfo=UTC).timestamp())
ONE, TWO, THREE = Source(1, b"a" * 8), Source(2, b"a" * 8), Source(2, b"b" * 8)

PLAIN = st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", fullmatch=True)
ODD = st.sampled_from(
    [
        *("0007", "640.0", "640", "640.50", "-0", "+5", "1e3", "1E-30", ".5", "5.", " 640 "),
        *("-0.0", "00", "0.0", "12345678.123456789", "1" * 40, "0." + "1" * 38, "9" * 13),
    ]
)
TEXTS = st.one_of(PLAIN, ODD, st.integers(0, 10**7).map(str))
FLAGS = st.one_of(st.none(), st.sampled_from([0, 1, 64]), st.integers(-(2**63), 2**63 - 1))
SOURCES = st.sampled_from([ONE, TWO, THREE, Source(0, b"z" * 8), Source(2**64 - 1, b"\xff" * 8)])
SLOTS = st.builds(Slot, TEXTS, FLAGS, SOURCES)
FEW = st.builds(Slot, st.sampled_from(["1", "2", "2.0"]), st.sampled_from([None, 0]), SOURCES)
DAYS = st.dictionaries(st.integers(0, 47), SLOTS, min_size=1)
SMALL_DAYS = st.dictionaries(st.integers(0, 3), FEW, min_size=1)


def full(texts, source=ONE, flags=None):
    times = [MIDNIGHT + n * 1800 for n in range(len(texts))]
    return days.split(times, texts, flags, source).days[DAY]


# ---- Round trip -------------------------------------------------------------------------------


@given(DAYS)
def test_every_reading_comes_back_as_it_was(slots):
    packed = days.encode(slots)
    assert days.decode(packed) == slots
    assert list(days.decode(packed)) == sorted(slots)
    assert days.decode(memoryview(packed)) == slots
    assert days.encode(days.decode(packed)) == packed


@given(st.lists(TEXTS, min_size=1, max_size=48))
def test_texts_and_numbers_agree(texts):
    packed = full(texts)
    assert days.texts(packed) == texts + [None] * (48 - len(texts))
    values, decimals = days.amounts(packed)
    for text, value in itertools.zip_longest(texts, values[: len(texts)]):
        assert value == Fraction(text.strip()) * 10**decimals
    assert values[len(texts) :] == [None] * (48 - len(texts))


@pytest.mark.parametrize(
    "texts",
    [
        ["640", "645", "700"],
        ["640.0", "645.5", "700.0"],
        ["640", "640.5", "640.25"],
        ["0007", "0008", "0010"],
        ["0.007", "0.107", "1.100"],
        ["0.0", "0.0", "0.0"],
        ["-5", "3", "-0"],
        ["1e3", "640", "+1"],
        ["640.10", "640.1", "640"],
        ["5"],
    ],
)
def test_spellings_of_meters(texts):
    assert days.texts(full(texts))[: len(texts)] == texts


CANONICAL = st.lists(
    st.one_of(
        st.integers(0, 10**12 - 1).map(str),
        st.from_regex(r"(0|[1-9][0-9]{0,5})\.[0-9]{1,6}", fullmatch=True),
        st.from_regex(r"(0|[1-9][0-9]{0,5})\.[0-9]{3}", fullmatch=True),
    ),
    min_size=1,
    max_size=48,
)


@given(CANONICAL)
def test_the_short_cuts_write_the_same_bytes(texts):
    assert days._formatted(texts)[:2] == days._formatted_one_by_one(texts)[:2]
    assert list(days._formatted(texts)[2]) == days._formatted_one_by_one(texts)[2]


def test_every_kind_of_number_has_a_width_that_holds_it():
    for step in (0, 1, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 10**10):
        texts = [str(n * step) for n in range(48)]
        assert days.texts(full(texts)) == texts
        assert days.texts(full(texts[::-1])) == texts[::-1]


def test_a_usual_day_takes_less_than_three_bytes_a_reading():
    luck = random.Random(5)
    total, texts = 20_418_600, []
    for _ in range(48):
        total += luck.randrange(60, 1100)
        texts.append(f"{total / 1000:.3f}")
    assert len(full(texts)) == 28 + 47 * 2
    assert len(full([str(n // 3) for n in range(48)])) == 28 + 47
    assert len(full(["0"] * 48)) == 28


def test_only_flags_that_deviate_take_room():
    texts = ["1"] * 48
    plain, usual = full(texts), full(texts, flags=[64] * 48)
    odd = full(texts, flags=[64] * 20 + [None] + [64] * 27)
    assert full(texts, flags=[None] * 48) == plain
    assert len(usual) == len(plain) + 10
    assert len(odd) == len(usual) + 10
    assert days.decode(odd)[20].flags is None


def test_presence_and_sources():
    packed = days.encode({0: Slot("1", None, ONE), 5: Slot("1e3", 0, THREE)})
    assert days.presence(packed) == 0b100001
    assert days.sources(packed) == (THREE, ONE)
    assert days.presence(full(["1"] * 48)) == 2**48 - 1


@pytest.mark.parametrize(
    "packed", [b"", b"\x01", b"\x02" + bytes(40), full(["7"] * 48)[:20], b"\x01\xff" + bytes(26)]
)
def test_other_bytes_are_refused(packed):
    with pytest.raises(NotThisFormat):
        days.decode(packed)


@pytest.mark.parametrize("slots", [{}, {48: Slot("1", None, ONE)}, {-1: Slot("1", None, ONE)}])
def test_a_day_has_48_slots_and_is_never_empty(slots):
    with pytest.raises(ValueError, match="0 to 47"):
        days.encode(slots)


def test_a_source_is_named_by_time_and_hash():
    ended = datetime(2026, 3, 29, 4, 1, 30, tzinfo=UTC)
    source = days.source_of(ended, bytes(range(32)))
    assert source == (int(ended.timestamp()) * 10**6, bytes(range(8)))
    assert days.source_of(None, bytes(32)) == (0, bytes(8))
    assert days.source_of(datetime(1, 1, 1, tzinfo=UTC), bytes(32)).ended_at == 0
    with pytest.raises(ValueError, match="short"):
        days.source_of(ended, b"1234")


# ---- Splitting --------------------------------------------------------------------------------


def test_readings_are_split_at_midnight_utc():
    times = [MIDNIGHT + n * 1800 for n in range(-2, 50)]
    found = days.split(times, [str(n) for n in range(52)], None, ONE)
    assert list(found.days) == [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    assert [days.presence(each).bit_count() for each in found.days.values()] == [2, 48, 2]
    assert days.texts(found.days[DAY])[0] == "2"


def test_no_readings_no_days():
    assert days.split([], [], None, ONE) == ({}, (), {})


def test_readings_off_the_grid_are_kept_aside():
    found = days.split([MIDNIGHT, MIDNIGHT + 61], ["1", "2"], [None, 7], ONE)
    assert days.decode(found.days[DAY]) == {0: Slot("1", None, ONE)}
    assert found.off_grid == (OffGrid(MIDNIGHT + 61, "2", 7),)


@pytest.mark.parametrize("texts", [["1", "2", "1"], ["2", "1", "1"]])
def test_within_one_document_the_greater_text_wins(texts):
    found = days.split([MIDNIGHT] * 3, texts, None, ONE)
    assert days.texts(found.days[DAY])[0] == "2"
    assert found.overruled == {DAY: (Overruled(0, "1", None, ONE),)}


@given(st.lists(st.tuples(st.integers(0, 191), TEXTS, FLAGS), max_size=60), st.randoms())
def test_the_order_of_readings_in_a_document_does_not_matter(readings, luck):
    def split(rows):
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        times = [MIDNIGHT + place * 900 for place in columns[0]]
        found = days.split(times, columns[1], columns[2], ONE)
        return found.days, sorted(found.off_grid, key=repr), found.overruled

    shuffled = luck.sample(readings, len(readings))
    assert split(readings) == split(shuffled)


@given(st.integers(0, 200), st.integers(1, 200), st.booleans())
def test_the_short_cut_for_complete_readings_splits_alike(first, count, with_flags):
    times = [MIDNIGHT + (first + n) * 1800 for n in range(count)]
    texts = [f"{n}.5" for n in range(count)]
    flags = [n % 3 for n in range(count)] if with_flags else None
    assert days.split(times, texts, flags, ONE) == days._split_any(times, texts, flags, ONE)


# ---- Merging ----------------------------------------------------------------------------------


def merged(*packed):
    found = packed[0]
    for each in packed[1:]:
        found = days.merge(found, each).packed
    return found


@given(st.one_of(DAYS, SMALL_DAYS), st.one_of(DAYS, SMALL_DAYS), st.one_of(DAYS, SMALL_DAYS))
def test_merging_is_commutative_associative_and_idempotent(one, two, three):
    a, b, c = days.encode(one), days.encode(two), days.encode(three)
    assert merged(a, a) == a
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(merged(a, b), b, a) == merged(a, b)


def told(deliveries):
    """Return the day and the side table after deliveries in this order."""
    packed, kept = deliveries[0], []
    for each in deliveries[1:]:
        found = days.merge(packed, each)
        packed = found.packed
        kept += found.overruled
    return packed, days.settle(kept, packed)


@given(st.lists(SMALL_DAYS, min_size=1, max_size=6), st.randoms())
def test_any_order_repetition_and_splitting_leaves_the_same_readings(documents, luck):
    whole = [days.encode(each) for each in documents]
    pieces = [days.encode({slot: said}) for each in documents for slot, said in each.items()]
    repeated = pieces + luck.choices(whole, k=3)
    assert told(whole) == told(luck.sample(whole, len(whole)))
    assert told(luck.sample(repeated, len(repeated))) == told(pieces + whole)


@given(st.lists(SMALL_DAYS, min_size=1, max_size=6))
def test_the_side_table_holds_every_other_value_once(documents):
    packed, kept = told([days.encode(each) for each in documents])
    said = {(slot, *each[:2]) for document in documents for slot, each in document.items()}
    winners = {(slot, *each[:2]) for slot, each in days.decode(packed).items()}
    assert {each[:3] for each in kept} == said - winners
    assert len(kept) == len(said - winners)


@pytest.mark.parametrize(
    ("ours", "theirs", "winner"),
    [
        (Slot("9", None, ONE), Slot("1", None, TWO), "1"),
        (Slot("1", None, TWO), Slot("9", None, ONE), "1"),
        (Slot("9", None, TWO), Slot("1", None, THREE), "1"),
        (Slot("9", None, Source(0, b"z" * 8)), Slot("1", None, ONE), "1"),
    ],
)
def test_the_later_end_wins_then_the_greater_hash(ours, theirs, winner):
    found = days.merge(days.encode({3: ours}), days.encode({3: theirs}))
    assert days.texts(found.packed)[3] == winner
    loser = ours if winner == theirs.text else theirs
    assert found.overruled == (Overruled(3, *loser),)
    assert found.gained == 0


def test_the_same_value_again_overrules_nothing_but_keeps_the_greater_source():
    found = days.merge(full(["1"] * 48, TWO), full(["1"] * 48, ONE))
    assert found == (full(["1"] * 48, TWO), (), 0)
    assert days.merge(full(["1"] * 48, ONE), full(["1"] * 48, TWO)).packed == found.packed


def test_what_was_missing_is_gained():
    found = days.merge(full(["1"] * 20), full(["1"] * 48, TWO))
    assert found.gained == 28
    assert found.overruled == ()


def test_a_value_that_wins_after_all_is_not_overruled_any_more():
    first, second, third = (
        days.encode({0: Slot(text, None, source)})
        for text, source in (("x1", ONE), ("x2", TWO), ("x1", THREE))
    )
    assert told([first, second, third]) == told([third, second, first])
    assert told([first, second, third])[1] == (Overruled(0, "x2", None, TWO),)


# ---- Long rows --------------------------------------------------------------------------------


def test_a_series_has_one_scale_and_none_for_what_is_missing():
    after, before = DAY + timedelta(days=1), DAY - timedelta(days=1)
    rows = [
        (after, full(["0.25"] * 48)),
        (DAY, full(["7"] * 24)),
        (before, full(["9"])),
        (DAY + timedelta(days=3), full(["9"])),
    ]
    values, decimals = days.series(rows, DAY, DAY + timedelta(days=3))
    assert decimals == 2
    assert values == [700] * 24 + [None] * 24 + [25] * 48 + [None] * 48


def test_values_cannot_lose_decimals():
    with pytest.raises(ValueError, match="decimals"):
        days.rescaled(days.Amounts([1], 3), 2)
