"""The rules of a meter read, consumption, gaps and what to ask for again."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import rules
from metering.messages import (
    Adjustment,
    AdjustmentKind,
    MeterClock,
    Outcome,
    OutcomeKind,
    Problem,
    RegisterValue,
    Survey,
)
from metering.messages import Result as MeterResult
from metering.rules import Ask, Cause, Gap, HalfHours, Hold, Mark, Meter, Past, Step, Wanted

NAME = "kWh Import"
MPAN = "1012345678903"
DAY = timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)
READ_AT = MIDNIGHT + timedelta(days=1, hours=4)
FIRST = int(MIDNIGHT.timestamp())

RESULT = MeterResult(
    request_reference="1",
    outcome=Outcome(OutcomeKind.SUCCESS),
    mpan=MPAN,
    serial_number="E17-204418",
    clock=MeterClock(READ_AT, 5),
    collection_ended_at=READ_AT,
    registers=(RegisterValue(NAME, "1070.5", "kWh", READ_AT),),
)
HISTORY = tuple(Past(READ_AT - n * DAY, Decimal(1070 - 12 * n)) for n in range(1, 12))
METER = Meter(
    mpan=MPAN,
    serial_number="e17204418",
    digits=7,
    capacity_kw=Decimal(10),
    history={NAME: HISTORY},
)


def checks(result=None, meter=None, limits=None):
    return rules.check(
        msgspec.structs.replace(RESULT, **(result or {})),
        msgspec.structs.replace(METER, **(meter or {})),
        limits,
    )


def row(code, result=None, meter=None, limits=None):
    [found] = [each for each in checks(result, meter, limits) if each.code == code]
    return found


def registers(text, units="kWh", at=READ_AT):
    return {"registers": (RegisterValue(NAME, text, units, at),)}


def survey(texts, start=FIRST, step=1800):
    times = [start + n * step for n in range(len(texts))]
    return {"surveys": (Survey(NAME, "kWh", times, [str(text) for text in texts]),)}


# ---- The whole of it --------------------------------------------------------------------------


def test_a_clean_read_passes_every_check_and_is_accepted():
    rows = checks()
    assert [each.code for each in rows if each.result != "pass"] == []
    assert [each.title for each in rows] == list(rules.TITLES.values())
    assert all(each.sentence.endswith(".") for each in rows)
    assert rules.verdict(rows) == rules.Verdict(kind="accept", why="All 11 checks pass")
    assert rules.alarms(rows) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "why"),
    [
        ({"outcome": Outcome(OutcomeKind.PARTIAL_SUCCESS)}, "to_check", "Only a part was read"),
        ({"outcome": Outcome(OutcomeKind.UNCLEAR)}, "to_check", "No overall result"),
        ({"outcome": Outcome(OutcomeKind.ERROR, "no carrier")}, "failed", "no carrier."),
        ({"mpan": "1129383838383", "clock": None}, "to_check", "Another MPAN; clock offset not"),
    ],
)
def test_verdicts(changes, kind, why):
    found = rules.verdict(checks(changes))
    assert found.kind == kind
    assert why in found.why


@given(st.lists(st.sampled_from(["pass", "look", "fail"]), min_size=1))
def test_anything_that_does_not_pass_goes_to_a_person(results):
    rows = [rules.Check(code="x", title="X", result=each, sentence="") for each in results]
    assert rules.verdict(rows).kind == ("to_check" if set(results) - {"pass"} else "accept")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ("log-in refused: wrong password", "password"),
        ("NO CARRIER", "later"),
        ("timed out", "later"),
        ("Outstation 7 did not reply", "outstation address"),
        ("serial mismatch", "which meter"),
        ("something new", "what the service says"),
    ],
)
def test_a_failed_read_says_what_to_do(details, words):
    found = rules.verdict(checks({"outcome": Outcome(OutcomeKind.ERROR, details)}))
    assert details in found.why
    assert words in found.next_step


# ---- The result itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "changes", "meter", "result"),
    [
        ("whole", {"registers": ()}, {}, "look"),
        ("whole", {"registers": ()} | survey([1060]), {}, "pass"),
        ("understood", {"problems": (Problem("mpan", "No."),)}, {}, "look"),
        ("understood", {"problems": (Problem("meterTime", "No.", lost=False),)}, {}, "pass"),
        ("mpan", {"mpan": ""}, {}, "look"),
        ("mpan", {"mpan": "10 1234 5678 903"}, {}, "pass"),
        ("mpan", {"mpan": "1129383838383"}, {}, "fail"),
        ("serial", {"serial_number": "E17 204418"}, {}, "pass"),
        ("serial", {"serial_number": "00123"}, {"serial_number": "123"}, "pass"),
        ("serial", {"serial_number": "E17-204419"}, {}, "fail"),
        ("serial", {"serial_number": ""}, {}, "look"),
        ("serial", {}, {"serial_number": ""}, "pass"),
        ("serial", {"serial_number": "", "serial_number_error": "mismatch"}, {}, "fail"),
        ("clock", {"clock": MeterClock(READ_AT, 60)}, {}, "pass"),
        ("clock", {"clock": MeterClock(READ_AT, -61)}, {}, "look"),
        ("clock", {"clock": MeterClock(None, 900)}, {}, "look"),
        ("clock", {"clock": MeterClock(None, -901)}, {}, "fail"),
        ("clock", {"clock": MeterClock(READ_AT, None)}, {}, "look"),
        ("clock", {"clock": None}, {}, "look"),
        ("clock", {"clock": None, "meter_time_error": "not supported"}, {}, "look"),
        ("adjustment", {"adjustment": Adjustment(AdjustmentKind.SUCCESS)}, {}, "pass"),
        ("adjustment", {"adjustment": Adjustment(AdjustmentKind.NOT_REQUIRED)}, {}, "pass"),
        ("adjustment", {"adjustment": Adjustment(AdjustmentKind.ERROR, "above")}, {}, "look"),
        ("adjustment", {"adjust_time": True}, {}, "look"),
        ("tamper", {"status_events": ("Power fail",)}, {}, "pass"),
        ("tamper", {"status_events": ("Power fail", "Lid/terminal cover tamper")}, {}, "look"),
    ],
)
def test_checks_of_the_result(code, changes, meter, result):
    found = row(code, changes, meter)
    assert found.result == result
    assert bool(found.brief) == (result != "pass")


def test_the_clock_limit_is_an_argument():
    limits = rules.Limits(clock_look=4, clock_fail=10)
    assert row("clock", limits=limits).result == "look"
    assert row("clock", {"clock": MeterClock(READ_AT, 11)}, limits=limits).result == "fail"
    assert row("clock", {"clock": MeterClock(READ_AT, -81)}).brief == "clock 81 seconds slow"


def test_alarms():
    rows = checks(
        {
            "status_events": ("Meter cover opened",),
            "clock": MeterClock(READ_AT, 81),
            "serial_number": "OTHER",
            "adjustment": Adjustment(AdjustmentKind.ERROR, "above maximum"),
        }
    )
    assert [code for code, _ in rules.alarms(rows)] == ["serial", "clock", "adjustment", "tamper"]


@pytest.mark.parametrize(
    ("event", "is_tamper"),
    [
        ("Lid/terminal cover tamper", True),
        ("TERMINAL COVER REMOVED", True),
        ("Magnetic field detected", True),
        ("Reverse running", True),
        ("No tamper", False),
        ("Tamper not detected", False),
        ("Battery low", False),
        ("Recovered from power fail", False),
    ],
)
def test_words_of_tampering(event, is_tamper):
    assert bool(rules.tamper_events([event])) == is_tamper


# ---- Registers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "more", "kind"),
    [
        ("10", "10", {}, Step.FORWARD),
        ("10", "11", {}, Step.FORWARD),
        ("10", "9.999", {}, Step.BACKWARDS),
        ("9999990", "5", {"digits": 7}, Step.ROLLOVER),
        ("9999990", "5", {"digits": 7, "most": Decimal(15)}, Step.ROLLOVER),
        ("9999990", "5", {"digits": 7, "most": Decimal(14)}, Step.BACKWARDS),
        ("9999990", "5", {}, Step.BACKWARDS),
        ("5000000", "5", {"digits": 7}, Step.BACKWARDS),
        ("99999990", "5", {"digits": 7}, Step.BACKWARDS),
        ("10", "9", {"changes": [MIDNIGHT + HALF_HOUR]}, Step.METER_CHANGE),
        ("10", "99", {"changes": [MIDNIGHT + HALF_HOUR]}, Step.METER_CHANGE),
        ("10", "9", {"changes": [MIDNIGHT]}, Step.BACKWARDS),
        ("10", "9", {"changes": [MIDNIGHT + DAY]}, Step.METER_CHANGE),
        ("10", "9", {"changes": [MIDNIGHT + DAY + HALF_HOUR]}, Step.BACKWARDS),
    ],
)
def test_steps_are_told_apart(before, after, more, kind):
    earlier, later = Past(MIDNIGHT, Decimal(before)), Past(MIDNIGHT + DAY, Decimal(after))
    assert rules.step(earlier, later, **more) is kind


@pytest.mark.parametrize(
    ("text", "meter", "result"),
    [
        ("1057.9", {}, "fail"),
        ("1058", {}, "pass"),
        ("0", {"changes": (READ_AT - HALF_HOUR,)}, "pass"),
        ("3", {"history": {NAME: (Past(READ_AT - DAY, Decimal(9999995)),)}}, "look"),
        ("300", {"history": {NAME: (Past(READ_AT - DAY, Decimal(9999995)),)}}, "fail"),
        (
            "3",
            {"history": {NAME: (Past(READ_AT - DAY, Decimal(9999995)),)}, "digits": None},
            "fail",
        ),
        ("7", {"history": {}}, "pass"),
        ("1070", {"history": {NAME: (*HISTORY, Past(READ_AT + DAY, Decimal(1069)))}}, "fail"),
        ("1070", {"history": {NAME: (*HISTORY, Past(READ_AT + DAY, Decimal(1071)))}}, "pass"),
    ],
)
def test_a_register_that_goes_backwards(text, meter, result):
    assert row("backwards", registers(text), meter).result == result


@pytest.mark.parametrize("units", ["kvarh", "kVAh", "Wh", "kWh"])
def test_every_energy_register_counts_up(units):
    assert row("backwards", registers("1", units)).result == "fail"


def test_a_demand_register_may_fall():
    fallen = {"registers": (RegisterValue("Max demand", "1", "kW", READ_AT),)}
    history = {"history": {"Max demand": HISTORY}}
    assert row("backwards", fallen, history).result == "pass"


def test_a_register_without_a_time_is_read_at_the_end_of_the_collection():
    assert row("backwards", registers("1", at=None)).result == "fail"


@pytest.mark.parametrize(
    ("text", "meter", "usual", "capacity"),
    [
        ("1070", {}, "pass", "pass"),
        ("1058", {}, "pass", "pass"),
        ("1118", {}, "pass", "pass"),
        ("1119", {}, "look", "pass"),
        ("1302", {}, "look", "pass"),
        ("1304", {}, "look", "fail"),
        ("1304", {"capacity_kw": None}, "look", "pass"),
        ("9000", {"history": {NAME: HISTORY[:3]}}, "pass", "fail"),
        ("9000", {"history": {}}, "pass", "pass"),
        ("2", {"changes": (READ_AT - HALF_HOUR,)}, "pass", "pass"),
    ],
)
def test_the_advance_against_history_and_capacity(text, meter, usual, capacity):
    rows = {each.code: each.result for each in checks(registers(text), meter)}
    assert (rows["usual"], rows["capacity"]) == (usual, capacity)


def test_two_reads_within_minutes_are_not_unusual():
    close = {NAME: (Past(READ_AT - timedelta(minutes=5), Decimal("1069.0")), *HISTORY)}
    assert row("usual", registers("1070"), {"history": close}).result == "pass"


def test_a_register_that_stands_still_for_a_week_is_looked_at():
    moved = tuple(Past(past.at - 7 * DAY, past.value) for past in HISTORY)
    assert row("usual", registers("1058"), {"history": {NAME: moved}}).result == "look"
    assert row("usual", registers("1059"), {"history": {NAME: moved}}).result == "pass"


# ---- Half hours against the register ------------------------------------------------------------

RISING = [Decimal(1056) + Decimal(n) / 4 for n in range(48)]  # 0.25 kWh a half hour


@pytest.mark.parametrize(
    ("texts", "register", "cumulative", "result"),
    [
        (RISING, "1070", True, "pass"),
        (RISING, "1067.75", True, "pass"),
        (RISING, "1066", True, "look"),
        (RISING, "1085", True, "look"),
        ([text - 10 for text in RISING], "1060", True, "look"),
        (["0.25", "0.5"] * 24, "1064", True, "look"),
        (["0.25", "0.5"] * 24, "1064", False, "pass"),
        (RISING, "1070", False, "look"),
    ],
)
def test_half_hours_of_one_result(texts, register, cumulative, result):
    found = row("survey", registers(register) | survey(texts), {"cumulative": cumulative})
    assert found.result == result


def test_half_hours_of_the_wrong_kind_are_named():
    periodic = row("survey", registers("1064") | survey(["0.25", "0.5"] * 24))
    totals = row("survey", registers("1070") | survey(RISING), {"cumulative": False})
    assert "not totals" in periodic.sentence
    assert "look like totals" in totals.sentence


@pytest.mark.parametrize(
    ("register", "result"), [("1072", "pass"), ("1067", "look"), ("1082", "look")]
)
def test_stored_period_values_must_sum_up_to_the_advance(register, result):
    """From 1058 a day before: 48 or 49 half hours of a quarter."""
    first = int((READ_AT - DAY).timestamp()) // 1800 - 4
    stored = {NAME: HalfHours(first, [25] * 60, 2)}
    meter = {"cumulative": False, "half_hours": stored}
    assert row("survey", registers(register), meter).result == result


def test_stored_period_values_with_a_hole_say_nothing():
    first = int((READ_AT - DAY).timestamp()) // 1800 - 4
    stored = {NAME: HalfHours(first, [25] * 30 + [None] * 30, 2)}
    meter = {"cumulative": False, "half_hours": stored}
    assert row("survey", registers("1082"), meter).result == "pass"


def test_half_hours_of_a_survey():
    made = Survey(NAME, "kWh", [FIRST + 1800, FIRST + 7200, FIRST + 1], ["1.5", "2", "9"])
    found = rules.half_hours(made)
    assert found.first == FIRST // 1800
    assert found.values[:5] == [None, 15, None, None, 20]
    assert found.decimals == 1
    assert rules.half_hours(Survey(NAME, "", [], [])) == HalfHours(0, (), 0)


# ---- Consumption ------------------------------------------------------------------------------

START = FIRST // 1800


def used(values, count=None, *, cumulative=True, decimals=0, **more):
    count = len(values) - cumulative if count is None else count
    return rules.consumption(
        HalfHours(START, values, decimals), count, cumulative=cumulative, **more
    )


def at(place):
    return MIDNIGHT + place * HALF_HOUR


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 3, 6], [2, 3]),
        ([1, None, 6, 7], [None, None, 1]),
        ([None, None], [None]),
        ([1, 1, 1], [0, 0]),
    ],
)
def test_cumulative_values_are_differences(values, found):
    assert used(values).values == found
    assert used(values).marks == {}


def test_the_last_half_hour_needs_the_reading_after_it():
    assert used([1, 3, 6], 3).values == [2, 3, None]
    assert used([1, 3, 6], 2).values == [2, 3]


def test_period_values_are_taken_as_they_are():
    found = used([5, None, 0], cumulative=False)
    assert (found.values, found.marks) == ([5, None, 0], {})
    assert (found.known, found.total) == (2, Decimal(5))


def test_the_total_is_exact():
    assert used([0, 144, None, 500, 598], decimals=3).total == Decimal("0.242")


@pytest.mark.parametrize(
    ("values", "more", "found", "marks"),
    [
        ([100, 80, 81, 82], {}, [None, 1, 1], {0: Mark.BACKWARDS}),
        ([10, 0, 11, 12], {}, [None, None, 1], {0: Mark.BACKWARDS, 1: Mark.BACKWARDS}),
        ([95, 3, 5], {"digits": 2, "capacity_kw": Decimal(20)}, [None, 2], {0: Mark.ROLLOVER}),
        ([95, 3, 5], {"digits": 2, "capacity_kw": Decimal(5)}, [None, 2], {0: Mark.BACKWARDS}),
        ([95, 3, 5], {"changes": [at(0.5)]}, [None, 2], {0: Mark.METER_CHANGE}),
        ([3, 95, 97], {"changes": [at(0.5)]}, [None, 2], {0: Mark.METER_CHANGE}),
        ([95, None, 3, 5], {}, [None, None, 2], {0: Mark.BACKWARDS}),
        ([95, None, 3, 5], {"changes": [at(1.5)]}, [None, None, 2],
         {0: Mark.METER_CHANGE, 1: Mark.METER_CHANGE}),
        ([0, 9, 10], {"capacity_kw": Decimal(10)}, [None, 1], {0: Mark.TOO_MUCH}),
        ([0, 5, 10], {"capacity_kw": Decimal(10)}, [5, 5], {}),
        ([0, 1, 2], {"clock_jumps": [at(1.2)]}, [1, 1], {1: Mark.CLOCK}),
        ([0, 1, 2], {"clock_jumps": [at(9)]}, [1, 1], {}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_marked_and_never_evened_out(values, more, found, marks):
    result = used(values, **more)
    assert result.values == found
    assert result.marks == marks


@pytest.mark.parametrize(
    ("values", "more", "found", "marks"),
    [
        ([5, -1], {}, [5, None], {1: Mark.BACKWARDS}),
        ([5, 900], {"capacity_kw": Decimal(20)}, [5, None], {1: Mark.TOO_MUCH}),
        ([5, 6], {"changes": [at(1.5)]}, [5, 6], {1: Mark.METER_CHANGE}),
    ],
)
def test_marks_of_period_values(values, more, found, marks):
    result = used(values, cumulative=False, **more)
    assert (result.values, result.marks) == (found, marks)


@pytest.mark.parametrize(
    ("register", "marks"),
    [("20", {}), ("30", {}), ("31", {}), ("32", {1: Mark.DISAGREES}), ("18", {1: Mark.DISAGREES})],
)
def test_a_register_between_two_totals_must_lie_between_them(register, marks):
    found = used([10, 20, 30, 40], registers=[Past(at(1.5), Decimal(register))])
    assert found.marks == marks
    assert found.values == [10, 10, 10]


@pytest.mark.parametrize(("advance", "marked"), [(19, False), (30, False), (44, True), (7, True)])
def test_period_values_must_sum_up_between_register_reads(advance, marked):
    reads = [Past(at(0.5), Decimal(100)), Past(at(3.5), Decimal(100 + advance))]
    found = used([10, 10, 10, 10, 10], cumulative=False, registers=reads)
    assert found.marks == (dict.fromkeys(range(4), Mark.DISAGREES) if marked else {})
    assert found.values == [10] * 5


READINGS = st.lists(st.one_of(st.none(), st.integers(0, 10**6)), min_size=1, max_size=60)


@given(READINGS, st.booleans(), st.one_of(st.none(), st.integers(1, 10**6)))
def test_every_value_that_is_shown_is_the_plain_difference(values, cumulative, capacity):
    found = used(values, cumulative=cumulative, capacity_kw=capacity and Decimal(capacity))
    assert len(found.values) == len(values) - cumulative
    for place, value in enumerate(found.values):
        if value is None:
            continue
        assert value >= 0
        assert value == (values[place + 1] - values[place] if cumulative else values[place])
    for place, value in enumerate(found.values):
        known = values[place] is not None and (not cumulative or values[place + 1] is not None)
        assert (value is None) == (not known or place in found.marks)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=100), st.integers(0, 10**6))
def test_a_sound_register_gives_back_its_use(steps, begin):
    values = [begin]
    for each in steps:
        values.append(values[-1] + each)
    found = used(values, capacity_kw=Decimal(1000))
    assert (found.values, found.marks) == (steps, {})


# ---- Gaps and plans ---------------------------------------------------------------------------

FULL = 2**48 - 1
TODAY = MIDNIGHT.date()


def ask(first=TODAY, days=1, outcome="answered", hour=0):
    return Ask(first_day=first, days=days, at=MIDNIGHT + timedelta(hours=hour), outcome=outcome)


def gap(first=TODAY, days=1, **more):
    start = datetime.combine(first, datetime.min.time(), UTC)
    return Gap(start=start, end=start + days * DAY, **({"cause": Cause.METER} | more))


def test_nothing_missing_no_gap():
    assert rules.gaps({TODAY: FULL}, MIDNIGHT, MIDNIGHT + DAY) == ()


def test_a_gap_in_the_night():
    [found] = rules.gaps({TODAY: FULL & ~(0b11111 << 5)}, MIDNIGHT, MIDNIGHT + DAY)
    assert (found.start, found.end) == (at(5), at(10))
    assert (found.half_hours, found.cause, found.tries) == (5, Cause.NOT_ASKED, 0)


def test_missing_days_run_together_over_midnight():
    present = {TODAY: FULL >> 1, TODAY + 3 * DAY: FULL & ~1}
    [found] = rules.gaps(present, MIDNIGHT, MIDNIGHT + 4 * DAY)
    assert (found.start, found.end) == (at(47), at(48 * 3 + 1))
    assert found.utc_days == tuple(TODAY + n * DAY for n in range(4))


def test_only_the_asked_range_counts():
    [found] = rules.gaps({}, at(3), at(50))
    assert (found.start, found.end, found.half_hours) == (at(3), at(50), 47)
    assert rules.gaps({}, at(3), at(3)) == ()


@pytest.mark.parametrize(
    ("asks", "cause", "tries", "is_open"),
    [
        ([], Cause.NOT_ASKED, 0, False),
        ([ask(TODAY - DAY)], Cause.NOT_ASKED, 0, False),
        ([ask(TODAY + DAY)], Cause.NOT_ASKED, 0, False),
        ([ask(TODAY - DAY, days=2)], Cause.METER, 1, False),
        ([ask(outcome="no_answer")], Cause.METER, 1, False),
        ([ask(outcome="service_down")], Cause.SERVICE, 1, False),
        ([ask(outcome="not_sent")], Cause.NOT_SENT, 1, False),
        ([ask(outcome="open")], Cause.NOT_ASKED, 0, True),
        ([ask(outcome="service_down", hour=9), ask(hour=2)], Cause.SERVICE, 2, False),
        ([ask(outcome="service_down", hour=2), ask(hour=9)], Cause.METER, 2, False),
        ([ask(hour=2), ask(outcome="open", hour=9)], Cause.METER, 1, True),
    ],
)
def test_the_cause_is_on_somebodys_side(asks, cause, tries, is_open):
    [found] = rules.gaps({}, MIDNIGHT, MIDNIGHT + DAY, asks)
    assert (found.cause, found.tries, found.open) == (cause, tries, is_open)
    assert found.last_asked_at == max(
        (each.at for each in asks if each.covers(TODAY)), default=None
    )


def test_days_with_another_history_are_gaps_of_their_own():
    found = rules.gaps({}, MIDNIGHT, MIDNIGHT + 3 * DAY, [ask(TODAY + DAY)])
    assert [(each.start, each.cause) for each in found] == [
        (at(0), Cause.NOT_ASKED),
        (at(48), Cause.METER),
        (at(96), Cause.NOT_ASKED),
    ]


@given(
    st.dictionaries(st.integers(0, 3), st.integers(0, FULL)),
    st.integers(0, 190),
    st.integers(0, 192),
)
def test_gaps_are_exactly_what_is_missing(bitmaps, first, last):
    present = {TODAY + n * DAY: bitmap for n, bitmap in bitmaps.items()}
    found = rules.gaps(present, at(first), at(max(first, last)))
    missing = {
        place for place in range(first, last) if not bitmaps.get(place // 48, 0) >> place % 48 & 1
    }
    covered = [
        place
        for each in found
        for place in range((each.start - MIDNIGHT) // HALF_HOUR, (each.end - MIDNIGHT) // HALF_HOUR)
    ]
    assert sorted(missing) == covered


def plan(*wanted, **more):
    return rules.plan(wanted, today=TODAY, **more)


def wanted(*gaps, meter=1, address="07711000001"):
    return Wanted(meter=meter, remote_address=address, gaps=gaps)


def test_missing_days_are_asked_for_together_within_the_limit():
    old, near, far = gap(TODAY - 20 * DAY), gap(TODAY - 13 * DAY, 2), gap(TODAY - 3 * DAY)
    found = plan(wanted(far, old, near))
    [asked] = found.asks
    assert (asked.survey_date, asked.survey_days) == (TODAY - 20 * DAY, 9)
    assert set(asked.gaps) == {old, near}
    assert found.held == ((1, far, Hold.LATER),)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (gap(open=True), Hold.OPEN),
        (gap(tries=4), Hold.TRIES),
        (gap(TODAY - 91 * DAY), Hold.TOO_OLD),
    ],
)
def test_a_gap_that_is_not_asked_for_says_why(one, why):
    assert plan(wanted(one)) == ((), ((1, one, why),))


def test_limits_are_arguments():
    limits = rules.PlanLimits(days_per_request=2, tries=1, kept_days=5)
    assert plan(wanted(gap(TODAY - 4 * DAY, 4)), limits=limits).asks[0].survey_days == 2
    assert plan(wanted(gap(tries=1)), limits=limits).held[0].why is Hold.TRIES
    assert plan(wanted(gap(TODAY - 9 * DAY, 6)), limits=limits).asks[0].survey_date == (
        TODAY - 5 * DAY
    )


def test_one_open_collection_a_remote_address():
    one, two, three = wanted(gap()), wanted(gap(), meter=2), wanted(gap(), meter=3, address="other")
    found = plan(one, two, three)
    assert [each.meter for each in found.asks] == [1, 3]
    assert found.held == ((2, gap(), Hold.BUSY),)
    assert plan(one, busy_addresses={"07711000001"}).held == ((1, gap(), Hold.BUSY),)


GAPS = st.builds(
    gap,
    st.integers(0, 120).map(lambda n: TODAY - n * DAY),
    st.integers(1, 15),
    tries=st.integers(0, 5),
    open=st.booleans(),
)
WANTED = st.builds(
    Wanted,
    meter=st.integers(1, 5),
    remote_address=st.sampled_from(["a", "b", "c"]),
    gaps=st.lists(GAPS, max_size=5).map(tuple),
)


@given(st.lists(WANTED, max_size=6), st.sets(st.sampled_from(["a", "b"])))
def test_a_plan_keeps_its_limits_and_forgets_nothing(meters, busy):
    found = plan(*meters, busy_addresses=busy)
    addresses = [each.remote_address for each in found.asks]
    assert len(addresses) == len(set(addresses))
    assert not busy & set(addresses)
    for each in found.asks:
        assert 1 <= each.survey_days <= 10
        assert each.survey_date >= TODAY - 90 * DAY
        assert all(one.tries < 4 and not one.open for one in each.gaps)
    asked = sum(len(each.gaps) for each in found.asks)
    assert asked + len(found.held) == sum(len(each.gaps) for each in meters)


def test_the_history_of_a_gap_is_all_that_a_date_needs():
    assert gap(date(2026, 3, 29)).half_hours == 48
