"""A price book as a CSV file."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes.price_csv import COLUMNS, preview, read, write
from gasquotes.pricing import MONTHS, Payment, PriceKey, Rate
from gasquotes.rules import LDZS, Band, Sector
from gasquotes.sheets import MOST_BYTES, NotASheet

HEAD = "LDZ,AQ_BAND,MARKET_SECTOR,MONTHS,PAYMENT,UNIT_RATE,STANDING_CHARGE"
ROW = "SC,small,D,12,direct_debit,6.1234,31.5"
KEY = PriceKey("SC", Band.SMALL, Sector.DOMESTIC, 12, Payment.DIRECT_DEBIT)
RATE = Rate(unit_rate=Decimal("6.1234"), standing_charge=Decimal("31.5000"))


def sheet(*rows, head=HEAD):
    return read("\n".join((head, *rows)).encode())


def test_a_price():
    found = sheet(ROW)
    assert found.prices == {KEY: RATE}
    assert found.bad == ()
    assert found.rows[0].number == 2
    assert str(found.prices[KEY].standing_charge) == "31.5000"


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + f"{HEAD}\r\n{ROW}\r\n".encode(),
        f"{HEAD}\n{ROW}\n".replace(",", ";").encode(),
        f"{HEAD}\n{ROW}\n".replace(",", "\t").encode(),
        f"\n{HEAD}\n\n,,,,\n{ROW}\n".encode(),
        b"Unit rate,Standing charge,ldz,aq band,Market sector,Months,Payment,Note\n"
        b"6.1234,31.5,sc,SMALL,Domestic,12,Direct debit,\xe9\n",
    ],
)
def test_forms_of_the_same_file(body):
    assert read(body).prices == {KEY: RATE}


def test_columns_that_are_not_understood_are_named():
    assert sheet(f"{ROW},x", head=f"{HEAD},Remark").ignored == ("Remark",)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("XX,small,D,12,direct_debit,6.1,31.5", "LDZ"),
        ("SC,tiny,D,12,direct_debit,6.1,31.5", "AQ band"),
        ("SC,small,Q,12,direct_debit,6.1,31.5", "Market sector"),
        ("SC,small,D,18,direct_debit,6.1,31.5", "Months"),
        ("SC,small,D,12,cheque,6.1,31.5", "Payment"),
        ("SC,small,D,12,direct_debit,0,31.5", "Unit rate"),
        ("SC,small,D,12,direct_debit,-6,31.5", "Unit rate"),
        ("SC,small,D,12,direct_debit,6.12345,31.5", "Unit rate"),
        ("SC,small,D,12,direct_debit,NaN,31.5", "Unit rate"),
        ("SC,small,D,12,direct_debit,1e9,31.5", "Unit rate"),
        ("SC,small,D,12,direct_debit,612.3,31.5", "cannot be right"),
        ("SC,small,D,12,direct_debit,,31.5", "Unit rate"),
        ("SC,small,D,12,direct_debit,6.1", "Standing charge"),
        ("SC,small,D,12,direct_debit,6.1,100000", "too much"),
    ],
)
def test_a_bad_row_harms_no_other(row, words):
    found = sheet(row, ROW)
    [bad] = found.bad
    assert bad.number == 2
    assert words in " ".join(bad.problems)
    assert found.prices == {KEY: RATE}


def test_every_fault_of_a_row_is_named():
    [bad] = sheet("x,x,x,x,x,x,x").bad
    assert len(bad.problems) == 7


def test_the_same_price_twice():
    found = sheet(ROW, "SC,small,D,12,direct_debit,7,31.5")
    [bad] = found.bad
    assert bad.problems == ("Row 2 has a price for the same.",)
    assert found.prices == {KEY: RATE}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"LDZ,AQ_BAND\nSC,small", "lacks these columns: MARKET_SECTOR"),
        (f"{HEAD},LDZ\n{ROW},SC".encode(), "twice: LDZ"),
        (HEAD.encode(), "no prices"),
        (b"PK\x03\x04rest", "not a CSV"),
        (b"LDZ\x00", "not a CSV"),
        (b"%PDF-1.7", "not a CSV"),
        (b"x" * (MOST_BYTES + 1), "larger than"),
        (f"{HEAD}\n".encode() + f"{ROW}\n".encode() * 5001, "more than 5,000"),
        (b'"' + b"x" * 200_000, "not a CSV"),
    ],
)
def test_what_is_no_price_book(body, words):
    with pytest.raises(NotASheet, match=words):
        read(body)


def test_preview():
    other = KEY._replace(ldz="WS")
    third = KEY._replace(months=24)
    dearer = Rate(unit_rate=Decimal("7.0000"), standing_charge=Decimal("31.5000"))
    found = preview({KEY: RATE, other: RATE}, {KEY: dearer, third: RATE})
    assert (found.added, found.removed, found.unchanged) == ((third,), (other,), 0)
    [changed] = found.changed
    assert (changed.key, changed.before, changed.after) == (KEY, RATE, dearer)
    assert preview({KEY: RATE}, {KEY: RATE}).unchanged == 1


RATES = st.builds(
    Rate,
    unit_rate=st.decimals("0.0001", 100, places=4),
    standing_charge=st.decimals(0, 9999, places=4),
)
KEYS = st.builds(
    PriceKey,
    ldz=st.sampled_from(sorted(LDZS)),
    band=st.sampled_from(Band),
    sector=st.sampled_from(Sector),
    months=st.sampled_from(MONTHS),
    payment=st.sampled_from(Payment),
)


@given(st.dictionaries(KEYS, RATES, min_size=1, max_size=20))
def test_written_and_read_again(prices):
    text = write(prices)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert read(text.encode()).prices == prices


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(body):
    try:
        found = read(f"{HEAD}\n".encode() + body)
    except NotASheet:
        return
    assert len(found.prices) + len(found.bad) == len(found.rows)
