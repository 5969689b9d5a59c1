"""CSV that a spreadsheet opens as text, never as a formula."""

import csv
import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.csvout import cell_text, rows_as_csv


def test_has_the_mark_crlf_and_quotes():
    body = b"".join(rows_as_csv(["Name", "kW"], [["Fern, “O”", Decimal("5.60")], ['a "b"', None]]))
    assert body == '\ufeffName,kW\r\n"Fern, “O”",5.60\r\n"a ""b""",\r\n'.encode()


def test_rows_come_one_at_a_time():
    def rows():
        yield ["first"]
        raise AssertionError("read ahead")

    lines = rows_as_csv(["h"], rows())
    assert [next(lines), next(lines)] == ["\ufeffh\r\n".encode(), b"first\r\n"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+44 20", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-1+2", "--1", "－1", "-"],
)
def test_formulas_become_text(text):
    assert cell_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "-12.50", "1", "a=b", "", "LX3 7QP", "a-b"])
def test_other_text_stays(text):
    assert cell_text(text) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (-3, "-3"), (Decimal("-0.50"), "-0.50"), (date(2026, 9, 9), "2026-09-09")],
)
def test_values_are_written_plainly(cell, text):
    assert cell_text(cell) == text


def test_half_a_surrogate_pair_does_not_stop_the_file():
    assert list(rows_as_csv(["\ud800"], [["\ud800"]]))[1] == b"?\r\n"


@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2), min_size=1)
)
def test_what_is_written_can_be_read(rows):
    body = b"".join(rows_as_csv(["a", "b"], rows)).decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(body, newline="")))[1:]
    assert read == [[cell_text(cell) for cell in row] for row in rows]
    assert not any(cell.startswith(("=", "+", "@")) for row in read for cell in row)
