"""What gas costs: the worked examples of docs/gas-pricing.md, and what must always hold."""

import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes import pricing
from gasquotes.levies import SEEDED_LEVIES, Levy, NoLevy, in_force
from gasquotes.pricing import MONTHS, Ask, Book, NoPrice, Payment, PriceKey, Rate, end_of, price
from gasquotes.rules import LDZS, Band, Implausible, Priceable, Quantity, Sector

DOC = (Path(__file__).parents[2] / "docs" / "gas-pricing.md").read_text()


# ---- The examples of the page ---------------------------------------------------------------


def tables(text):
    """Every table of a piece of the page, as lists of cells without heading."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()]
        yield rows[0], rows[2:]


def number(text):
    return None if text == "none" else Decimal(text.replace(",", ""))


def book_of_the_page():
    [(_, rows)] = tables(DOC.split("## The price book of the examples")[1].split("\n## ")[0])
    prices = {
        PriceKey(ldz, Band(band), Sector(sector), int(months), Payment(payment)): Rate(
            unit_rate=Decimal(unit), standing_charge=Decimal(standing)
        )
        for ldz, band, sector, months, payment, unit, standing in rows
    }
    return Book(version="Examples", prices=prices)


def quantity(aq, soq):
    return None if aq is None else Quantity(aq_kwh=aq, soq_kwh=soq)


def asked(given_rows):
    told = dict(given_rows)
    day = told["effective date"]
    return Ask(
        quantities=Priceable(
            formula=quantity(number(told["Formula Year AQ"]), number(told["Formula Year SOQ"])),
            prospective=quantity(number(told["prospective AQ"]), number(told["prospective SOQ"])),
            effective_date=None if day == "none" else date.fromisoformat(day),
        ),
        looked_up_on=date.fromisoformat(told["looked up on"]),
        ldz=told["LDZ"],
        sector=Sector(told["sector"]),
        start=date.fromisoformat(told["start"]),
        months=int(told["months"]),
        payment=Payment(told["payment"]),
        broker_uplift=Decimal(told["broker uplift (p/kWh)"]),
    )


BOOK = book_of_the_page()
EXAMPLES = {
    text.splitlines()[0]: [*tables(text)]
    for text in re.split(r"^## (?=Example)", DOC, flags=re.M)[1:]
}


def test_the_page_has_its_examples():
    assert len(EXAMPLES) == 5
    assert all(len(found) == 3 for found in EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_parts_are_those_of_the_page(name):
    (_, told), (_, parts), _ = EXAMPLES[name]
    found = [
        [
            str(part.contract_year),
            part.start.isoformat(),
            part.end.isoformat(),
            str(part.days),
            f"{part.aq_kwh:,f}",
            part.band.value,
            f"{part.kwh:,f}",
            f"{part.unit_rate:f}",
            f"{part.standing_charge:f}",
            f"{part.energy:,f}",
            f"{part.standing:,f}",
            "none" if part.ccl_rate is None else f"{part.ccl_rate:f}",
            f"{part.ccl:,f}",
            f"{part.vat_rate * 100:.0f} %",
            f"{part.vat:,f}",
            " and ".join(["AQ"] * part.estimated + ["CCL"] * part.ccl_estimated) or "no",
        ]
        for part in price(asked(told), BOOK, SEEDED_LEVIES).parts
    ]
    assert found == parts


@pytest.mark.parametrize("name", EXAMPLES)
def test_totals_are_those_of_the_page(name):
    (_, told), _, (_, totals) = EXAMPLES[name]
    priced = price(asked(told), BOOK, SEEDED_LEVIES)
    sums = {f"year {n}": year for n, year in enumerate(priced.years, start=1)}
    sums |= {"whole contract": priced.whole}
    sums |= {"average year": priced.average_year, "average month": priced.per_month}
    found = [
        [label, *(f"{each:,f}" for each in (t.excluding, t.excluding_vat, t.including))]
        for label, t in sums.items()
    ]
    assert found == totals


@pytest.mark.parametrize(("number_", "uplift"), [(2, "383.43"), (5, "1,250.00")])
def test_the_uplift_of_the_page(number_, uplift):
    [name] = [each for each in EXAMPLES if each.startswith(f"Example {number_}")]
    assert f"Broker’s uplift in it: £{uplift}" in DOC.split(name)[1].split("## ")[0]
    priced = price(asked(EXAMPLES[name][0][1]), BOOK, SEEDED_LEVIES)
    assert f"{priced.uplift_cost:,}" == uplift


def half_up(value, places):
    """Round with whole numbers alone, as with a calculator."""
    return Fraction(floor(value * 10**places + Fraction(1, 2)), 10**places)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_reader_with_a_calculator_gets_the_same(name):
    _, (head, parts), (_, totals) = EXAMPLES[name]
    years = {}
    for row in parts:
        cells = dict(zip(head, row, strict=True))
        years.setdefault(cells["year"], []).append(cells)
    sums = []
    for rows in years.values():
        length = sum(int(row["days"]) for row in rows)
        share = {}
        total = [Fraction(0)] * 3
        for row in rows:
            days, rate = int(row["days"]), Fraction(number(row["VAT"].removesuffix(" %"))) / 100
            aq, kwh, unit, standing, energy, standing_cost, ccl, vat = (
                Fraction(number(row[column]) or 0)
                for column in (
                    "AQ",
                    "kWh",
                    "p/kWh",
                    "p/day",
                    "energy £",
                    "standing £",
                    "CCL £",
                    "VAT £",
                )
            )
            before = share.get(aq, 0)
            share[aq] = before + days
            assert kwh == half_up(aq * share[aq] / length, 1) - half_up(aq * before / length, 1)
            assert energy == half_up(kwh * unit / 100, 2)
            assert standing_cost == half_up(days * standing / 100, 2)
            assert ccl == half_up(kwh * Fraction(number(row["CCL £/kWh"]) or 0), 2)
            assert vat == half_up((energy + standing_cost + ccl) * rate, 2)
            for place, amounts in enumerate(((), (ccl,), (ccl, vat))):
                total[place] += energy + standing_cost + sum(amounts)
        sums.append(total)
    whole = [sum(column) for column in zip(*sums, strict=True)]
    expected = [*sums, whole]
    expected.append([half_up(each / len(sums), 2) for each in whole])
    expected.append([half_up(each / (12 * len(sums)), 2) for each in whole])
    assert [[Fraction(number(cell)) for cell in row[1:]] for row in totals] == expected


# ---- What must always hold ------------------------------------------------------------------

FULL = Book(
    version="Full",
    prices={
        PriceKey(ldz, band, sector, months, payment): Rate(
            unit_rate=Decimal("6.1234"), standing_charge=Decimal("31.4159")
        )
        for ldz in LDZS
        for band in Band
        for sector in Sector
        for months in MONTHS
        for payment in Payment
    },
)
AQS = st.decimals(1, 2_000_000, places=1)
DAYS = st.dates(date(2026, 4, 1), date(2040, 12, 31))


@st.composite
def asks(draw, **fixed):
    def plausible():
        aq = draw(AQS)
        return Quantity(aq_kwh=aq, soq_kwh=aq / 100)

    effective = draw(st.none() | DAYS)
    terms = {
        "quantities": Priceable(
            formula=plausible(),
            prospective=plausible() if effective else None,
            effective_date=effective,
        ),
        "looked_up_on": draw(DAYS),
        "ldz": draw(st.sampled_from(sorted(LDZS))),
        "sector": draw(st.sampled_from(Sector)),
        "start": draw(DAYS),
        "months": draw(st.sampled_from(MONTHS)),
        "payment": draw(st.sampled_from(Payment)),
        "broker_uplift": draw(st.decimals(0, 3, places=4)),
    }
    return Ask(**{**terms, **fixed})


@given(asks())
def test_parts_are_the_whole(ask):
    priced = price(ask, FULL, SEEDED_LEVIES)
    day = ask.start
    for part in priced.parts:
        assert part.start == day
        assert part.days == (part.end - part.start).days + 1 > 0
        day = part.end + timedelta(days=1)
    assert day - timedelta(days=1) == priced.end == end_of(ask.start, ask.months)
    whole, years = priced.whole, priced.years
    assert whole.days == (priced.end - priced.start).days + 1
    assert len(years) == ask.months // 12
    for name in ("days", "kwh", "energy", "standing", "ccl", "vat", "including"):
        assert sum(getattr(year, name) for year in years) == getattr(whole, name)
    assert all(year.days in {365, 366} for year in years)


@given(asks())
def test_each_part_uses_the_aq_of_its_days(ask):
    effective = ask.quantities.effective_date
    for part in price(ask, FULL, SEEDED_LEVIES).parts:
        if effective is None or part.end < effective:
            assert (part.year, part.aq_kwh) == ("formula", ask.quantities.formula.aq_kwh)
        else:
            assert part.start >= effective
            assert (part.year, part.aq_kwh) == ("prospective", ask.quantities.prospective.aq_kwh)
            assert part.estimated is (
                (part.start - effective).days >= 365 + (part.start >= _leap(effective))
            )
        assert part.estimated is bool(part.estimated_why)


def _leap(effective):
    """Return the day from which a 29 February makes the year after `effective` a day longer."""
    try:
        anniversary = effective.replace(year=effective.year + 1)
    except ValueError:
        anniversary = date(effective.year + 1, 3, 1)
    return effective if (anniversary - effective).days == 366 else date.max


@given(asks())
def test_a_contract_year_carries_what_its_days_carry(ask):
    priced = price(ask, FULL, SEEDED_LEVIES)
    for number_, year in enumerate(priced.years, start=1):
        aqs = {part.aq_kwh for part in priced.parts if part.contract_year == number_}
        assert min(aqs) - Decimal("0.1") <= year.kwh <= max(aqs) + Decimal("0.1")
        if len(aqs) == 1:
            assert year.kwh == aqs.pop()


@given(asks())
def test_vat_and_levy_go_together(ask):
    for part in price(ask, FULL, SEEDED_LEVIES).parts:
        small = ask.sector is Sector.DOMESTIC or part.aq_kwh <= 145 * 365
        assert part.vat_rate == (Decimal("0.05") if small else Decimal("0.20"))
        assert (part.ccl_rate is None) is small
        assert part.ccl_estimated is (not small and part.start >= date(2027, 4, 1))


@given(asks(), st.decimals(0, 3, places=4))
def test_more_uplift_never_costs_less(ask, more):
    dearer = msgspec.structs.replace(ask, broker_uplift=ask.broker_uplift + more)
    one, other = (price(each, FULL, SEEDED_LEVIES) for each in (ask, dearer))
    assert other.whole.including >= one.whole.including
    assert other.uplift_cost >= one.uplift_cost
    assert all(part.unit_rate == part.book_rate + dearer.broker_uplift for part in other.parts)


@given(asks(sector=Sector.DOMESTIC), st.decimals(0, 1000, places=1))
def test_more_gas_never_costs_less(ask, more):
    def larger(each):
        return each and Quantity(aq_kwh=each.aq_kwh + more, soq_kwh=(each.aq_kwh + more) / 100)

    quantities = Priceable(
        formula=larger(ask.quantities.formula),
        prospective=larger(ask.quantities.prospective),
        effective_date=ask.quantities.effective_date,
    )
    dearer = price(msgspec.structs.replace(ask, quantities=quantities), FULL, SEEDED_LEVIES)
    assert dearer.whole.including >= price(ask, FULL, SEEDED_LEVIES).whole.including


@given(asks())
def test_frozen_and_thawed_it_is_the_same(ask):
    priced = price(ask, FULL, SEEDED_LEVIES)
    assert pricing.thaw(pricing.freeze(priced)) == priced
    assert priced == price(ask, FULL, SEEDED_LEVIES)


@given(asks())
def test_every_figure_has_its_source(ask):
    priced = price(ask, FULL, SEEDED_LEVIES)
    found = [(each.figure, each.value) for each in priced.sources]
    assert len(found) == len(set(found))
    assert all(each.source for each in priced.sources)
    values = " ".join(value for _, value in found)
    for part in priced.parts:
        assert f"{part.book_rate:f}\xa0p/kWh" in values
        assert f"{part.standing_charge:f}\xa0p a day" in values


# ---- What cannot be priced ------------------------------------------------------------------

HOME = Ask(
    quantities=Priceable(formula=Quantity(aq_kwh=Decimal(12000), soq_kwh=Decimal(110))),
    looked_up_on=date(2026, 11, 20),
    ldz="SC",
    sector=Sector.DOMESTIC,
    start=date(2027, 1, 1),
    months=12,
    payment=Payment.DIRECT_DEBIT,
)


def test_no_price_in_the_book():
    with pytest.raises(NoPrice) as caught:
        price(msgspec.structs.replace(HOME, ldz="WS"), BOOK, SEEDED_LEVIES)
    assert caught.value.key.ldz == "WS"
    assert caught.value.sentence == (
        "Price book Examples has no price for WS, small, domestic, 12 months, direct debit."
    )


def test_only_what_was_judged_plausible_is_priced():
    with pytest.raises(TypeError):
        msgspec.structs.replace(
            HOME, quantities=Quantity(aq_kwh=Decimal(12000), soq_kwh=Decimal(110))
        )
    with pytest.raises(Implausible):
        msgspec.structs.replace(HOME.quantities.formula, aq_kwh=Decimal("0.5"))
    with pytest.raises(TypeError):
        Priceable(formula=HOME)


@pytest.mark.parametrize(
    "fields",
    [
        {"months": 13},
        {"broker_uplift": Decimal("-0.1")},
        {"broker_uplift": Decimal("NaN")},
        {"exit_fee": Decimal("-1")},
    ],
)
def test_nonsense_is_refused(fields):
    with pytest.raises(ValueError, match=r"."):
        msgspec.structs.replace(HOME, **fields)


def test_no_levy_is_known_for_the_past():
    business = msgspec.structs.replace(
        HOME,
        sector=Sector.BUSINESS,
        start=date(2025, 1, 1),
        quantities=Priceable(formula=Quantity(aq_kwh=Decimal(70000), soq_kwh=Decimal(500))),
    )
    with pytest.raises(NoLevy, match="climate change levy on gas for 1 January 2025"):
        price(business, FULL, SEEDED_LEVIES)
    with pytest.raises(NoLevy, match="reduced rate of VAT"):
        price(HOME, FULL, ())


@pytest.mark.parametrize(
    ("day", "rate"),
    [
        (date(2025, 4, 1), "0.00775"),
        (date(2026, 3, 31), "0.00775"),
        (date(2026, 4, 1), "0.00801"),
        (date(2030, 1, 1), "0.00801"),
    ],
)
def test_levy_of_a_day(day, rate):
    assert in_force(SEEDED_LEVIES, "ccl_gas", day).value == Decimal(rate)
    assert in_force(SEEDED_LEVIES[::-1], "ccl_gas", day).value == Decimal(rate)


def test_a_new_rate_of_vat_cuts_a_contract():
    new = Levy(kind="vat_reduced", valid_from=date(2027, 7, 1), value=Decimal("0.08"), source="x")
    priced = price(HOME, FULL, (*SEEDED_LEVIES, new))
    first = date(2027, 1, 1)
    assert [(part.start, part.vat_rate) for part in priced.parts] == [
        (first, Decimal("0.05")),
        (date(2027, 4, 1), Decimal("0.05")),  # the estimate begins
        (date(2027, 7, 1), Decimal("0.08")),
    ]


@pytest.mark.parametrize(
    ("effective", "years"),
    [
        (date(2026, 12, 31), ["prospective"]),
        (date(2027, 1, 1), ["prospective"]),
        (date(2027, 1, 2), ["formula", "prospective"]),
        (date(2027, 12, 31), ["formula", "prospective"]),
        (date(2028, 1, 1), ["formula"]),
    ],
)
def test_around_the_effective_date(effective, years):
    quantities = Priceable(
        formula=HOME.quantities.formula,
        prospective=Quantity(aq_kwh=Decimal(80000), soq_kwh=Decimal(600)),
        effective_date=effective,
    )
    priced = price(msgspec.structs.replace(HOME, quantities=quantities), FULL, SEEDED_LEVIES)
    found = {part.year: part.band for part in priced.parts}
    assert list(found) == years
    assert found.get("formula", Band.SMALL) is Band.SMALL
    assert found.get("prospective", Band.MEDIUM) is Band.MEDIUM


@pytest.mark.parametrize(
    ("looked_up_on", "estimated_from"),
    [
        (date(2026, 11, 20), date(2027, 4, 1)),
        (date(2027, 3, 31), date(2027, 4, 1)),
        (date(2027, 4, 1), None),
    ],
)
def test_without_a_prospective_aq_the_formula_year_ends_in_april(looked_up_on, estimated_from):
    priced = price(msgspec.structs.replace(HOME, looked_up_on=looked_up_on), FULL, SEEDED_LEVIES)
    first = next((part.start for part in priced.parts if part.estimated), None)
    assert first == estimated_from


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2027, 1, 1), 12, date(2027, 12, 31)),
        (date(2027, 3, 1), 12, date(2028, 2, 29)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 24, date(2030, 2, 28)),
        (date(2026, 2, 28), 36, date(2029, 2, 27)),
    ],
)
def test_last_day(start, months, end):
    assert end_of(start, months) == end
