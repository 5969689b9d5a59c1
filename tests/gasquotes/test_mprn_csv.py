"""A CSV file of MPRNs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes.mprn_csv import MOST_ROWS, MprnLine, read
from gasquotes.sheets import MOST_BYTES, NotASheet

GOOD, OTHER, DOUBTFUL = "3938424403", "1234567810", "3938424404"


def mprns(text):
    return read(text.encode()).mprns


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD}\n{OTHER}\n",
        f"MPRN\n{GOOD}\n{OTHER}\n",
        f"\ufeffmprn\r\n{GOOD}\r\n{OTHER}\r\n",
        f"Name,Meter point reference,Town\nA,{GOOD},X\nB,{OTHER},Y",
        f"Name;MPRN\nA;{GOOD}\nB;{OTHER}",
        f"Customer\tSupply\nA\t{GOOD}\nB\t{OTHER}",
        f"A,{GOOD}\nB,{OTHER}",
        f'\'{GOOD}\n="{OTHER}"\n',
        f"MPRN\n{GOOD}.0\n{OTHER},00\n".replace(",00", ".00"),
        f"MPRN\n39384 24403\n\n\n{OTHER}\n",
    ],
)
def test_forms_of_the_same_list(text):
    assert mprns(text) == (GOOD, OTHER)


def test_check_digits_only_warn():
    found = read(f"MPRN\n{GOOD}\n{DOUBTFUL}\n".encode())
    assert found.mprns == (GOOD, DOUBTFUL)
    assert found.warned == 1
    assert found.lines[0] == MprnLine(2, GOOD)
    assert "do not fit" in found.lines[1].warning


def test_repeated_rows_are_kept_once():
    assert mprns("1234567\n001234567") == ("1234567",)
    found = read(f"MPRN\n001234567\n{GOOD}\n1234567\n{GOOD}\n".encode())
    assert found.mprns == ("001234567", GOOD)
    assert [(each.number, each.problem) for each in found.repeated] == [
        (4, "Row 2 has the same MPRN."),
        (5, "Row 3 has the same MPRN."),
    ]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("12345", "6 to 10 digits; this one has 5"),
        ("12345678901", "this one has 11"),
        ("3.93842E+09", "spreadsheet has shortened"),
        ("4E9", "spreadsheet has shortened"),
        ("MPRN?", "digits only"),
        ("0000000", "zeros only"),
        ("<script>alert(1)</script>" * 9, "digits only"),
    ],
)
def test_a_bad_row_harms_no_other(cell, words):
    found = read(f"MPRN\n{cell}\n{GOOD}\n".encode())
    [bad] = found.bad
    assert bad.number == 2
    assert words in bad.problem
    assert len(bad.shown) <= 41
    assert found.mprns == (GOOD,)


def test_a_row_without_an_mprn():
    found = read(f"Name,MPRN\nA,{GOOD}\nB,\nC\n".encode())
    assert [each.problem for each in found.bad] == ["There is no MPRN in this row."] * 2


def test_line_numbers_are_those_of_the_spreadsheet():
    found = read(f'Name,MPRN\n"two\nlines",{GOOD}\n\nx,{OTHER}\n'.encode())
    assert [line.number for line in found.lines] == [3, 5]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"MPRN\n", "no MPRNs"),
        (b"PK\x03\x04", "not a CSV"),
        (b"1234567\x00", "not a CSV"),
        (b"1" * (MOST_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_list(body, words):
    with pytest.raises(NotASheet, match=words):
        read(body)


def test_tens_of_thousands():
    rows = [str(1_000_000_000 + number) for number in range(MOST_ROWS)]
    found = read("\n".join(rows).encode())
    assert found.mprns == tuple(rows)
    with pytest.raises(NotASheet, match="100,000"):
        read("\n".join([*rows, GOOD]).encode())


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text):
    try:
        found = read(text.encode("utf-8", "replace"))
    except NotASheet:
        return
    assert len({mprn.lstrip("0") for mprn in found.mprns}) == len(found.mprns)
    assert all(6 <= len(mprn) <= 10 and mprn.isascii() for mprn in found.mprns)
