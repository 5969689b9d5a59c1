"""What the next Formula Year changes for a portfolio."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes import rules
from gasquotes.messages import SupplyPoint
from gasquotes.pricing import Book, Payment, PriceKey, Rate
from gasquotes.rules import Band, Sector, Unit
from gasquotes.watching import (
    Terms,
    Watched,
    band_moves,
    compare,
    distribution,
    largest_falls,
    largest_rises,
    summary,
)

TERMS = Terms(months=12, payment=Payment.DIRECT_DEBIT)
RATES = {Band.SMALL: ("6.0000", "30.0000"), Band.MEDIUM: ("5.5000", "150.0000")}
BOOK = Book(
    version="1",
    prices={
        PriceKey("SC", band, Sector.BUSINESS, 12, Payment.DIRECT_DEBIT): Rate(
            unit_rate=Decimal(unit), standing_charge=Decimal(standing)
        )
        for band, (unit, standing) in RATES.items()
    },
)


def watched(now, later, *, mprn="3938424403", ldz="SC", sector=Sector.BUSINESS, soq=None):
    def soq_of(aq):
        return None if aq is None else soq or Decimal(aq) / 100

    found = SupplyPoint(
        mprn=mprn,
        current_formula_year_aq_value=None if now is None else Decimal(now),
        current_formula_year_soq_value=soq_of(now),
        perspective_formula_year_aq_value=None if later is None else Decimal(later),
        perspective_formula_year_soq_value=soq_of(later),
        perspective_formula_year_effective_date=date(2027, 4, 1),
    )
    return Watched(mprn=mprn, ldz=ldz, sector=sector, quantities=rules.quantities(found, Unit.KWH))


def changes(*pairs):
    return [
        compare(watched(now, later, mprn=f"{number:010}"), BOOK, TERMS)
        for number, (now, later) in enumerate(pairs, start=1)
    ]


def test_a_supply_point_that_moves_up():
    found = compare(watched(70000, 80000), BOOK, TERMS)
    assert (found.aq_now, found.aq_next, found.aq_change) == (70000, 80000, 10000)
    assert (found.soq_now, found.soq_next, found.soq_change) == (700, 800, 100)
    assert (found.band_now, found.band_next, found.band_changed) == (Band.SMALL, Band.MEDIUM, True)
    assert found.percent == Decimal("14.3")
    # 70,000 × 6 p + 365 × 30 p = £4,309.50; 80,000 × 5.5 p + 365 × 150 p = £4,947.50
    assert (found.cost_now, found.cost_next) == (Decimal("4309.50"), Decimal("4947.50"))
    assert found.cost_change == Decimal("638.00")
    assert found.problem == found.no_cost == ""


@pytest.mark.parametrize(
    ("now", "later", "words"),
    [
        (None, 80000, "Current Formula Year: The service gives neither AQ nor SOQ."),
        (70000, None, "does not give the prospective AQ yet"),
        (Decimal("0.5"), 80000, "under 1"),
        (70000, Decimal("0.5"), "Prospective Formula Year: The AQ of 0.5"),
    ],
)
def test_what_cannot_be_compared(now, later, words):
    found = compare(watched(now, later), BOOK, TERMS)
    assert words in found.problem
    assert found.aq_now is found.aq_change is found.cost_change is found.percent is None
    assert not found.band_changed


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (watched(70000, 900000), "has no price for SC, large, business"),
        (watched(70000, 80000, ldz="WS"), "has no price for WS, small"),
        (watched(70000, 80000, sector=None), "market sector is not known"),
    ],
)
def test_without_a_price_the_quantities_are_compared_all_the_same(point, words):
    found = compare(point, BOOK, TERMS)
    assert words in found.no_cost
    assert found.cost_now is found.cost_next is found.cost_change is None
    assert found.aq_change is not None


def test_the_largest():
    found = changes((1000, 1500), (1000, 400), (1000, 1000), (1000, 3000), (1000, 900), (None, 1))
    assert [each.aq_change for each in largest_rises(found)] == [2000, 500]
    assert [each.aq_change for each in largest_falls(found)] == [-600, -100]
    assert [each.aq_change for each in largest_rises(found, 1)] == [2000]


def test_bands_that_change():
    found = changes(
        (73200, 73201),
        (73201, 73200),
        (732000, 732001),
        (1000, 800000),
        (1000, 2000),
        (73200, 73201),
    )
    assert band_moves(found) == {
        (Band.SMALL, Band.MEDIUM): 2,
        (Band.SMALL, Band.LARGE): 1,
        (Band.MEDIUM, Band.SMALL): 1,
        (Band.MEDIUM, Band.LARGE): 1,
    }


@pytest.mark.parametrize(
    ("later", "label"),
    [
        (4999, "down over 50\xa0%"),
        (5000, "down 25–50\xa0%"),
        (7500, "down 10–25\xa0%"),
        (9000, "down 5–10\xa0%"),
        (9500, "down 0–5\xa0%"),
        (9999, "down 0–5\xa0%"),
        (10000, "no change"),
        (10001, "up 0–5\xa0%"),
        (10500, "up 0–5\xa0%"),
        (11000, "up 5–10\xa0%"),
        (12500, "up 10–25\xa0%"),
        (15000, "up 25–50\xa0%"),
        (15001, "up over 50\xa0%"),
    ],
)
def test_bins(later, label):
    assert [each.label for each in distribution(changes((10000, later))) if each.count] == [label]


def test_bins_are_in_order():
    limits = [(each.low, each.high) for each in distribution([])]
    assert limits[0] == (None, -50)
    assert limits[-1] == (50, None)
    assert [high for _, high in limits[:-1]] == [low for low, _ in limits[1:]]


AQ = st.none() | st.integers(0, 2_000_000)


@given(st.lists(st.tuples(AQ, AQ), max_size=30))
def test_everything_is_counted_once(pairs):
    found = changes(*pairs)
    total = summary(found)
    assert total.compared + total.left_out == len(pairs)
    assert total.rises + total.falls + total.unchanged == total.compared
    assert sum(each.count for each in distribution(found)) == total.compared
    assert sum(band_moves(found).values()) == total.band_changes
    assert len(largest_rises(found, 99)) == total.rises
    assert len(largest_falls(found, 99)) == total.falls
    assert total.aq_next - total.aq_now == sum(each.aq_change or 0 for each in found)
    assert total.cost_next - total.cost_now == sum(each.cost_change or 0 for each in found)
