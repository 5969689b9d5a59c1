"""MPRNs, quantities and referrals of a look-up."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes import rules
from gasquotes.messages import Filter, SupplyPoint
from gasquotes.rules import (
    Band,
    Implausible,
    Priceable,
    Quantity,
    Unit,
    band_of,
    check_digits_fit,
    implausible,
    mprn_warning,
    quantities,
    referrals,
    to_kwh,
)

MPRN = "3938424403"
ASKED = Filter(mprn=MPRN)
APRIL = date(2027, 4, 1)
POINT = SupplyPoint(
    mprn=MPRN,
    current_formula_year_aq_value=Decimal("0.0120000"),
    current_formula_year_soq_value=Decimal("0.0001100"),
    perspective_formula_year_aq_value=Decimal("0.0110000"),
    perspective_formula_year_soq_value=Decimal("0.0001000"),
    perspective_formula_year_effective_date=APRIL,
    local_distribution_zone="SC",
    market_sector_code="D",
    postcode="AB24 3PU",
)


def point(**fields):
    return msgspec.structs.replace(POINT, **fields)


def judged(unit=Unit.GWH, **fields):
    return quantities(point(**fields), unit)


# ---- MPRN -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mprn", ["3938424403", "1234567810", "9876543209", "0003938424403"])
def test_check_digits_that_fit(mprn):
    assert check_digits_fit(mprn)


@pytest.mark.parametrize("mprn", ["3938424404", "3938424430", "1234567801"])
def test_check_digits_warn(mprn):
    assert not check_digits_fit(mprn)
    assert "can be looked up all the same" in mprn_warning(mprn)


def test_a_text_that_is_no_mprn_has_another_problem():
    assert mprn_warning("12") is None
    assert mprn_warning(" 39384 24403 ") is None


@given(st.text("0123456789", min_size=4, max_size=8))
def test_one_pair_of_check_digits_fits(body):
    assert sum(check_digits_fit(f"{body}{check:02}") for check in range(100)) == 1


# ---- Quantities -----------------------------------------------------------------------------


def test_units():
    assert to_kwh(Decimal("0.0013527"), Unit.GWH) == Decimal("1352.7")
    assert to_kwh(Decimal("0.0000109"), Unit.GWH) == Decimal("10.9")
    assert to_kwh(Decimal("1352.7"), Unit.KWH) == Decimal("1352.7")
    assert str(to_kwh(Decimal("0.012"), Unit.GWH)) == "12000"


@given(st.integers(0, 10**16 - 1), st.integers(0, 7), st.sampled_from(Unit))
def test_kwh_are_exact(digits, places, unit):
    value = Decimal(digits).scaleb(-places)
    factor = 1_000_000 if unit is Unit.GWH else 1
    assert to_kwh(value, unit) == value * factor


@pytest.mark.parametrize(
    ("aq", "band"),
    [
        ("1", Band.SMALL),
        ("73200", Band.SMALL),
        ("73200.1", Band.MEDIUM),
        ("732000", Band.MEDIUM),
        ("732000.1", Band.LARGE),
    ],
)
def test_bands(aq, band):
    assert band_of(Decimal(aq)) is band


@pytest.mark.parametrize(
    ("aq", "soq", "words"),
    [
        ("0.9", "0.01", "under 1"),
        ("0", "0", "under 1"),
        ("-5", "1", "under 1"),
        ("2000000000.1", "6000000", "over 2,000,000,000"),
        ("4000", "10", "too small: 365 such days make 3,650"),
        ("3650.1", "10", "too small"),
        ("3649", "100", "too large"),
        ("12000", "-110", "too small"),
        ("NaN", "10", "not a number"),
        ("10", "Infinity", "not a number"),
    ],
)
def test_implausible(aq, soq, words):
    problems = implausible(Decimal(aq), Decimal(soq))
    assert words in " ".join(problems)
    with pytest.raises(Implausible):
        Quantity(aq_kwh=Decimal(aq), soq_kwh=Decimal(soq))


@pytest.mark.parametrize(
    ("aq", "soq"),
    [("1", "0.01"), ("2000000000", "6000000"), ("3650", "10"), ("3650", "100"), ("1352.7", "10.9")],
)
def test_the_limits_themselves_are_plausible(aq, soq):
    assert implausible(Decimal(aq), Decimal(soq)) == ()
    assert Quantity(aq_kwh=Decimal(aq), soq_kwh=Decimal(soq)).aq_kwh == Decimal(aq)


def test_both_years_plausible():
    found = judged()
    assert found.held == ()
    assert (found.formula.state, found.prospective.state) == ("plausible", "plausible")
    assert found.formula.sentences == (
        "AQ and SOQ fit each other: the average day is 0.30 of the peak day.",
    )
    assert found.priceable == Priceable(
        formula=Quantity(aq_kwh=Decimal(12000), soq_kwh=Decimal(110)),
        prospective=Quantity(aq_kwh=Decimal(11000), soq_kwh=Decimal(100)),
        effective_date=APRIL,
    )
    assert "from 1 April 2027" in found.later


def test_the_sample_taken_in_the_wrong_unit_is_held():
    sample = {
        "current_formula_year_aq_value": Decimal("0.0013527"),
        "current_formula_year_soq_value": Decimal("0.0000109"),
        "perspective_formula_year_aq_value": Decimal("0.0013527"),
        "perspective_formula_year_soq_value": Decimal("0.000011"),
    }
    assert judged(**sample).priceable is not None
    wrong = judged(Unit.KWH, **sample)
    assert wrong.priceable is None
    assert wrong.formula.state == "implausible"
    assert wrong.held[0].startswith("Current Formula Year: The AQ of 0.0013527\xa0kWh is under 1")


FORMULA_AQ, FORMULA_SOQ = "current_formula_year_aq_value", "current_formula_year_soq_value"
NEXT_AQ, NEXT_SOQ = "perspective_formula_year_aq_value", "perspective_formula_year_soq_value"
NEXT_DATE = "perspective_formula_year_effective_date"


@pytest.mark.parametrize(
    "fields",
    [
        {FORMULA_AQ: None},
        {FORMULA_SOQ: None},
        {FORMULA_AQ: None, FORMULA_SOQ: None},
        {NEXT_AQ: None},
        {NEXT_SOQ: None},
        {FORMULA_AQ: Decimal(3)},
        {NEXT_AQ: Decimal(3)},
        {NEXT_SOQ: Decimal(0)},
        {FORMULA_AQ: Decimal(0)},
    ],
)
def test_held_and_never_priceable(fields):
    found = judged(**fields)
    assert found.held
    assert found.priceable is None
    assert "before a person" in found.later


@pytest.mark.parametrize("fields", [{NEXT_AQ: None, NEXT_SOQ: None}, {NEXT_DATE: None}])
def test_without_a_prospective_year_the_current_one_is_used(fields):
    found = judged(**fields)
    assert found.held == ()
    assert found.priceable == Priceable(
        formula=Quantity(aq_kwh=Decimal(12000), soq_kwh=Decimal(110))
    )
    assert "estimate" in found.later


def test_prospective_and_its_date_come_together():
    quantity = Quantity(aq_kwh=Decimal(12000), soq_kwh=Decimal(110))
    with pytest.raises(ValueError, match="together"):
        Priceable(formula=quantity, prospective=quantity)
    with pytest.raises(ValueError, match="together"):
        Priceable(formula=quantity, effective_date=APRIL)


VALUES = st.none() | st.decimals(-10, 10**9, places=7)


@given(VALUES, VALUES, VALUES, VALUES, st.none() | st.just(APRIL), st.sampled_from(Unit))
def test_priceable_is_plausible_or_nothing(aq, soq, next_aq, next_soq, day, unit):
    found = judged(
        unit,
        **{FORMULA_AQ: aq, FORMULA_SOQ: soq, NEXT_AQ: next_aq, NEXT_SOQ: next_soq, NEXT_DATE: day},
    )
    ready = found.priceable
    assert (ready is None) is bool(found.held)
    for each in (ready.formula, ready.prospective) if ready else ():
        assert each is None or implausible(each.aq_kwh, each.soq_kwh) == ()


# ---- Referrals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({}, []),
        ({"csep_id": "CSEP01"}, ["igt"]),
        ({FORMULA_AQ: Decimal("0.732")}, []),
        ({FORMULA_AQ: Decimal("0.7320001")}, ["largest"]),
        ({NEXT_AQ: Decimal("0.7320001")}, ["largest"]),
        ({"local_distribution_zone": ""}, ["ldz"]),
        ({"local_distribution_zone": "LO"}, ["ldz"]),
        ({"market_sector_code": ""}, ["sector"]),
        ({"market_sector_code": "X"}, ["sector"]),
        ({"csep_id": "1", "market_sector_code": "X"}, ["igt", "sector"]),
    ],
)
def test_who_goes_to_a_person(fields, codes):
    found = referrals(point(**fields), judged(**fields), asked=ASKED)
    assert [each.code for each in found] == codes
    assert all(each.sentence.endswith(".") for each in found)
    assert [each.code for each in found if each.final] == [
        c for c in codes if c in {"ldz", "sector"}
    ]


def test_another_postcode_than_asked():
    asked = Filter(postcode="ab243pu")
    assert referrals(POINT, judged(), asked=asked) == ()
    [other] = referrals(point(postcode="AB24 3PX"), judged(), asked=asked)
    assert other.code == "postcode"
    assert referrals(point(postcode=""), judged(), asked=asked) == ()


def test_the_limit_of_the_largest_is_a_setting():
    found = referrals(POINT, judged(), asked=ASKED, largest_above_kwh=Decimal(11_999))
    assert [each.code for each in found] == ["largest"]


def test_thirteen_zones():
    assert " ".join(rules.LDZS) == "EA EM NE NO NT NW SC SE SO SW WM WN WS"
