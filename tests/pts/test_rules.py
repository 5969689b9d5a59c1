"""Windows, checks, expectation, missed months and tries: tables, and laws that hold for all."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pts import rules
from pts.rules import Change, Facts, Known, Limits, Month, Tries, WindowRule

ZONE = ZoneInfo("America/New_York")
RULE = WindowRule()
WINDOW = rules.window_of(Month(2026, 11), RULE, ZONE)
NOW = datetime(2026, 11, 29, 15, tzinfo=UTC)
LAST = Known(Decimal(10_000), datetime(2026, 10, 31, 16, tzinfo=UTC))
FACTS = Facts(capacity=Decimal(10), yearly_estimate=None, last=LAST, reported_to=Month(2026, 10))
MONTHS = st.builds(Month, st.integers(2020, 2040), st.integers(1, 12))


def check(value, *, at=NOW - timedelta(hours=1), now=NOW, facts=FACTS, window=WINDOW):
    return rules.check(
        facts, Known(Decimal(value), at), window=window, now=now, limits=Limits(), zone=ZONE
    )


def results(verdict):
    return {each.code: each.result for each in verdict.checks}


# ---- Windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("month", "first", "last"), [
    (Month(2020, 1), date(2020, 1, 27), date(2020, 2, 5)),
    (Month(2026, 11), date(2026, 11, 26), date(2026, 12, 5)),
    (Month(2026, 12), date(2026, 12, 27), date(2027, 1, 5)),
    (Month(2027, 2), date(2027, 2, 24), date(2027, 3, 5)),
    (Month(2028, 2), date(2028, 2, 25), date(2028, 3, 5)),
])  # fmt: skip
def test_windows_of_months(month, first, last):
    window = rules.window_of(month, RULE, ZONE)
    assert (window.opens.date(), window.last_day) == (first, last)


@given(MONTHS)
def test_a_window_opens_and_closes_at_midnight_there(month):
    window = rules.window_of(month, RULE, ZONE)
    for moment in (window.opens, window.closes):
        assert (moment.hour, moment.minute) == (0, 0)
    assert window.holds(window.opens)
    assert not window.holds(window.closes)
    assert window.closes <= rules.window_of(month.plus(1), RULE, ZONE).opens
    assert (window.closes.date() - window.opens.date()).days == 10


@pytest.mark.parametrize(("month", "hours"), [(Month(2026, 10), 241), (Month(2026, 11), 240)])
def test_the_clock_change_inside_a_window_makes_it_an_hour_longer(month, hours):
    window = rules.window_of(month, RULE, ZONE)
    length = window.closes.astimezone(UTC) - window.opens.astimezone(UTC)
    assert length == timedelta(hours=hours)


@given(st.datetimes(datetime(2021, 1, 1), datetime(2039, 1, 1), timezones=st.just(UTC)))
def test_there_is_always_a_window_that_is_open_or_the_next(moment):
    window = rules.window_at(moment, RULE, ZONE, {})
    assert moment < window.closes
    if not window.holds(moment):
        assert window.opens - moment < timedelta(days=32)


def test_an_overridden_window_is_found():
    own = {Month(2026, 10): (date(2026, 10, 27), date(2026, 11, 25))}
    window = rules.window_at(datetime(2026, 11, 20, 12, tzinfo=UTC), RULE, ZONE, own)
    assert (window.month, window.last_day) == (Month(2026, 10), date(2026, 11, 25))


# ---- Checks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "result", "odd"), [
    ("10530", "fine", {}),
    ("10000", "look", {"plausible": "look"}),
    ("10100", "look", {"plausible": "look"}),
    ("11500", "look", {"plausible": "look"}),
    ("9999.9", "block", {"not_below": "block", "plausible": "look"}),
    ("17000", "block", {"possible": "block", "plausible": "look"}),
])  # fmt: skip
def test_values(value, result, odd):
    verdict = check(value)
    assert verdict.result == result
    assert {code: found for code, found in results(verdict).items() if found != "fine"} == odd
    assert all(each.sentence.endswith(".") for each in verdict.checks)


@pytest.mark.parametrize(("how", "code"), [
    ({"at": NOW + timedelta(seconds=1)}, "future"),
    ({"at": WINDOW.opens - timedelta(seconds=1)}, "window"),
    ({"now": WINDOW.opens - timedelta(seconds=1)}, "window"),
    ({"now": WINDOW.closes}, "window"),
    ({"facts": Facts(capacity=Decimal(10), yearly_estimate=None, last=Known(Decimal(1), NOW))},
     "after_last"),
])  # fmt: skip
def test_moments_that_block(how, code):
    verdict = check("10530", **how)
    assert verdict.result == "block"
    assert results(verdict)[code] == "block"


def test_before_the_window_the_day_it_opens_is_said():
    verdict = check("10530", now=WINDOW.opens - timedelta(days=3))
    assert "opens on 26 November 2026" in verdict.why


@pytest.mark.parametrize(("facts", "codes"), [
    (Facts(capacity=Decimal(10), yearly_estimate=None, last=None), {"not_below", "plausible"}),
    (Facts(capacity=None, yearly_estimate=None, last=LAST), {"possible", "plausible"}),
    (Facts(capacity=Decimal(0), yearly_estimate=None, last=LAST), {"possible", "plausible"}),
])  # fmt: skip
def test_what_is_not_known_is_looked_at_never_blocked(facts, codes):
    verdict = check("10530", facts=facts)
    assert verdict.result == "look"
    assert {code for code, found in results(verdict).items() if found == "look"} == codes


def test_our_own_estimate_goes_before_the_usual_yield():
    facts = Facts(capacity=Decimal(10), yearly_estimate=Decimal(2000), last=LAST)
    assert results(check("10530", facts=facts))["plausible"] == "look"
    assert results(check("10090", facts=facts))["plausible"] == "fine"


@pytest.mark.parametrize(("changes", "value", "energy"), [
    ((), "10500", "500"),
    ((Change(NOW - timedelta(days=9), Decimal(10_400), Decimal(0)),), "100", "500"),
    ((Change(NOW - timedelta(days=5), Decimal(60), Decimal(5)),
      Change(NOW - timedelta(days=9), Decimal(10_400), Decimal(10))), "55", "500"),
    ((Change(LAST.at - timedelta(days=1), Decimal(1), Decimal(0)),), "10500", "500"),
    ((Change(NOW + timedelta(days=1), Decimal(1), Decimal(0)),), "10500", "500"),
])  # fmt: skip
def test_energy_across_meter_replacements(changes, value, energy):
    facts = Facts(capacity=Decimal(10), yearly_estimate=None, last=LAST, changes=changes)
    reading = Known(Decimal(value), NOW - timedelta(hours=1))
    assert rules.energy_since(facts, reading) == Decimal(energy)


# ---- Expectation -------------------------------------------------------------------------------


@given(MONTHS)
def test_a_whole_month_is_its_share_whatever_the_clocks_do(month):
    start = datetime.combine(month.first, datetime.min.time(), ZONE)
    end = datetime.combine(month.plus(1).first, datetime.min.time(), ZONE)
    facts = Facts(capacity=None, yearly_estimate=Decimal(1000), last=Known(Decimal(0), start))
    expected = rules.expected_energy(facts, end, limits=Limits(), zone=ZONE)
    assert abs(expected - 10 * rules.MONTH_SHARES[month.number - 1]) < Decimal("0.001")


@given(MONTHS)
def test_a_year_is_the_estimate(month):
    start = datetime.combine(month.first, datetime.min.time(), ZONE)
    end = datetime.combine(month.plus(12).first, datetime.min.time(), ZONE)
    facts = Facts(capacity=Decimal(3), yearly_estimate=None, last=Known(Decimal(0), start))
    expected = rules.expected_energy(facts, end, limits=Limits(), zone=ZONE)
    assert abs(expected - 3300) < Decimal("0.01")


@pytest.mark.parametrize(("reported_to", "missed"), [
    (None, []), (Month(2026, 10), []), (Month(2026, 11), []), (Month(2027, 3), []),
    (Month(2026, 8), [Month(2026, 9), Month(2026, 10)]),
    (Month(2025, 12), [Month(2026, number) for number in range(1, 11)]),
])  # fmt: skip
def test_missed_months(reported_to, missed):
    facts = Facts(capacity=None, yearly_estimate=None, last=LAST, reported_to=reported_to)
    assert list(rules.months_missed(facts, WINDOW)) == missed


@given(
    st.decimals(0, 10**7, places=4),
    st.lists(MONTHS, min_size=1, max_size=14),
)
def test_what_is_spread_stays_the_same_energy(produced, months):
    shares = rules.spread(produced, months, Limits())
    assert sum(share.energy for share in shares) == produced
    assert [share.month for share in shares] == months


@given(st.decimals(0, 10**11, places=4), st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_every_reading_gets_a_verdict(value, seconds, ago):
    verdict = check(value, at=NOW + timedelta(seconds=seconds), now=NOW + timedelta(seconds=ago))
    assert verdict.result == rules.worst(verdict.checks)
    assert (verdict.why == "") == (verdict.result == "fine")


@given(MONTHS, st.integers(-500, 500))
def test_months_add_up(month, count):
    assert month.plus(count).plus(-count) == month


# ---- Tries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tries", "left"), [
    (Tries(), (2, 3, True)), (Tries(valid=1), (1, 3, True)), (Tries(valid=2), (0, 3, False)),
    (Tries(failed=3), (2, 0, False)), (Tries(undecided=1), (1, 2, True)),
    (Tries(valid=1, undecided=1), (0, 2, False)), (Tries(failed=2, undecided=1), (1, 0, False)),
    (Tries(valid=2, more_valid=1), (1, 3, True)), (Tries(failed=3, more_failed=2), (2, 2, True)),
    (Tries(valid=5), (0, 3, False)),
])  # fmt: skip
def test_tries(tries, left):
    assert (tries.valid_left, tries.failed_left, tries.may_submit) == left
    assert f"{left[0]} valid and {left[1]} failed" in tries.sentence


# ---- Sentences ---------------------------------------------------------------------------------


def test_sentences_show_energies_to_a_tenth():
    facts = Facts(
        capacity=Decimal("10.500"), yearly_estimate=None, reported_to=Month(2026, 9),
        last=Known(Decimal("131856.4000"), LAST.at),
    )  # fmt: skip
    said = " ".join(each.sentence for each in check("132456.7891", facts=facts).checks)
    assert "132,456.8 kWh after 131,856.4 kWh" in said
    assert "600.4 kWh; 10.5 kW could make at most" in said
    assert not re.search(r"\d\.\d\d+ kWh", said), said


def test_a_total_that_goes_back_by_less_than_a_tenth_is_told_apart():
    verdict = check("9999.98")
    assert "goes back: 9,999.98 kWh after 10,000 kWh" in verdict.why
