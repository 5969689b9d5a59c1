"""A quote as PDF: what it says, that nothing in it is read as markup, that it is tagged."""

import re
import zlib
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gasquotes import paper, rules
from gasquotes.levies import SEEDED_LEVIES
from gasquotes.messages import SupplyPoint
from gasquotes.paper import Company, QuotePaper, contents, drawable
from gasquotes.pricing import MONTHS, Ask, Book, Payment, PriceKey, Rate, price
from gasquotes.rules import Band, Sector, Unit

BOOK = Book(
    version="2026-11",
    prices={
        PriceKey("SC", band, sector, months, Payment.DIRECT_DEBIT): Rate(
            unit_rate=Decimal("6.1200"), standing_charge=Decimal("31.5000")
        )
        for band in Band
        for sector in Sector
        for months in MONTHS
    },
)
POINT = SupplyPoint(
    mprn="3938424403",
    current_formula_year_aq_value=Decimal("0.07"),
    current_formula_year_soq_value=Decimal("0.0005"),
    perspective_formula_year_aq_value=Decimal("0.08"),
    perspective_formula_year_soq_value=Decimal("0.0006"),
    perspective_formula_year_effective_date=date(2027, 4, 1),
)


def quote(point=POINT, *, months=36, sector=Sector.BUSINESS, uplift="0.5", fee="250", **fields):
    found = rules.quantities(point, Unit.GWH)
    ask = Ask(
        quantities=found.priceable,
        looked_up_on=date(2026, 11, 20),
        ldz="SC",
        sector=sector,
        start=date(2027, 1, 1),
        months=months,
        payment=Payment.DIRECT_DEBIT,
        broker_uplift=Decimal(uplift),
        exit_fee=Decimal(fee),
    )
    values = {
        "company": Company(
            name="Larkmoor Energy",
            address=("1 Larkmoor Way", "Eastwold LX1 1AA"),
            email="quotes@larkmoor.example",
            phone="020 7946 0958",
            registration="Registered in England and Wales 01234567",
        ),
        "reference": "GQ-2611-0001",
        "customer": "Thistle & Rowe Bakery Ltd",
        "customer_lines": ("Fiona Rowe",),
        "site_lines": ("10 Elmbank Terrace", "Aberdeen", "AB24 3PU"),
        "mprn": point.mprn,
        "issued_at": datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
        "valid_until": datetime(2027, 6, 21, 14, 30, tzinfo=UTC),
        "priced": price(ask, BOOK, SEEDED_LEVIES),
        "formula": found.formula,
        "prospective": found.prospective,
        "effective_date": found.effective_date,
        "network": "Scotland Gas Networks Plc.",
        "broker": "Brae Brokers",
        "terms": ("The prices hold for this supply point only.",),
    }
    return QuotePaper(**{**values, **fields})


def words(value):
    """Every text of the contents, on one line."""
    if isinstance(value, dict):
        return " | ".join(words(each) for each in value.values())
    if isinstance(value, list):
        return " | ".join(words(each) for each in value)
    return str(value).replace("\xa0", " ")


def streams(pdf):
    """The parts of a PDF that can be read: its objects, and what is packed in its streams."""
    found = [pdf]
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(packed))
        except zlib.error:
            continue
    return b"\n".join(found)


def test_a_pdf_that_is_tagged_and_in_british_english():
    found = streams(paper.pdf(quote()))
    assert found.startswith(b"%PDF-")
    assert b"/MarkInfo" in found
    assert b"/StructTreeRoot" in found
    assert b"/Lang(en-GB)" in found.replace(b"/Lang (", b"/Lang(")
    assert b"<pdfuaid:part>1</pdfuaid:part>" in found
    assert re.search(rb"/S ?/TH\b", found)
    assert b"GQ-2611-0001" in found


def test_the_same_values_give_the_same_bytes():
    assert paper.pdf(quote()) == paper.pdf(quote())
    assert paper.pdf(quote()) != paper.pdf(quote(reference="GQ-2611-0002"))


def test_pictures_of_the_pages():
    pages = paper.pngs(quote(), ppi=40)
    assert len(pages) == 2
    assert all(page.startswith(b"\x89PNG") for page in pages)


def test_everything_a_quote_states():
    said = words(contents(quote()))
    for stated in (
        "Gas quote GQ-2611-0001",
        "Issued 14:30 on Friday 20 November 2026 (UK time)",
        "valid until 15:30 on Monday 21 June 2027 (UK time)",
        "Thistle & Rowe Bakery Ltd",
        "3938424403",
        "10 Elmbank Terrace",
        "SC, Scotland",
        "business",
        "1 January 2027 to 31 December 2029, 36 months",
        "direct debit",
        "0.50 p/kWh, £1,187.67 over the contract",
        "£250.00, for leaving before the contract ends",
        "Current | until 31 March 2027 | small | 70,000 | 500",
        "Prospective | from 1 April 2027 | medium | 80,000 | 600",
        "1 Jan 2027 | 31 Mar 2027 | current (small) | 90 | 17,260.3 | 6.62 | 31.50 | £1,170.98",
        "prospective (medium) (e) | 365 | 80,000.0",
        "(e) Estimated from 1 April 2028",
        "(e) The climate change levy from 1 April 2027 on is not set yet",
        "Year 1 (e) | £5,132.77 | £114.98 | £5,247.75 | £621.05 | £1,173.76 | £7,042.56",
        "Whole contract (e) | £15,724.77",
        "Average year | | | £5,356.68 | | | £7,189.07",
        "Average month | | | £446.39 | | | £599.09",
        "VAT is charged at 20 %",
        "Look-up of 20 November 2026",
        "Price book 2026-11: SC, small, business, 36 months, direct debit",
        "HMRC, Climate Change Levy rates: gas, from 1 April 2026",
        "The prices hold for this supply point only.",
    ):
        assert stated in re.sub(r"\| +\|", "| |", said).replace("|  |", "| |"), stated


def test_a_home_without_broker_fee_and_estimates():
    said = words(contents(quote(months=12, sector=Sector.DOMESTIC, uplift="0", fee="0", broker="")))
    assert "(e)" not in said
    assert "estimate" not in said
    assert "Broker’s uplift | none" in said
    assert "Exit fee | none" in said
    assert "levy is not charged where VAT has the reduced rate" in said
    assert "Average year" not in said
    assert "VAT is charged at 5 %" in said


def test_a_prospective_year_that_is_not_known_yet():
    point = msgspec.structs.replace(
        POINT,
        perspective_formula_year_aq_value=None,
        perspective_formula_year_soq_value=None,
        perspective_formula_year_effective_date=None,
    )
    said = words(contents(quote(point)))
    assert "Prospective | not known yet" in said
    assert "current (small) (e)" in said
    assert "No prospective AQ is known" in said


MARKUP = [
    '#panic("x")',
    '"); #panic("x") #("',
    '#read("/etc/passwd")',
    "= Heading\n\n- list",
    "$x^2$ *bold* _it_ `raw` <label> @reference",
    "\\u{41} // comment /* comment */ ~ --- ...",
    "[[ ]] { } #{",
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("text", MARKUP)
def test_nothing_is_read_as_markup(text):
    asked = quote(
        customer=text, customer_lines=(text,), site_lines=(text,), terms=(text,), reference=text
    )
    assert paper.pdf(asked).startswith(b"%PDF-")
    assert contents(asked)["customer"]["rows"][0][1][0] == text


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Zoë Łukasz", "Zoë Łukasz"),
        ("Zoe\u0308", "Zoë"),
        ("Αθηνά Жанна", "Αθηνά Жанна"),
        ("张伟 Ltd", "□□ Ltd"),
        ("a\x00b\x1bc", "a b c"),
        ("\u202eabc\u202c", "abc"),
        ("🔥", "□"),
        ("\ue000\U000e0041", ""),
        ("two\nlines", "two lines"),
        ("10\xa0kWh", "10\xa0kWh"),
        (
            "fiona.rowe@thistle-bakery.example",
            "fiona.ro\u200bwe@thist\u200ble-baker\u200by.exampl\u200be",
        ),
        ("fiona@thistle.example", "fiona@thistle.example"),
    ],
)
def test_letters_that_can_be_drawn(text, drawn):
    assert drawable(text) == drawn


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=80), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_makes_a_pdf(name, lines):
    asked = quote(
        months=12, customer=name, broker=name, site_lines=tuple(lines), customer_lines=tuple(lines)
    )
    assert paper.pdf(asked).startswith(b"%PDF-")
