"""Readings from a CSV file: every way to write them, and what is wrong with which row."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pts import reading_csv

NEW_YORK = ZoneInfo("America/New_York")
SYSTEMS = {1000: "NFG-NN100-01000", 1001: "NFG-NN100-01001", 7: "SAME", 8: "SAME"}
NINE = datetime(2026, 11, 29, 14, tzinfo=UTC)


def read(*lines, head="FK_SYSTEM,VALUE,DATE,NOTE"):
    body = "\r\n".join([head, *lines]).encode()
    return reading_csv.read(body, systems=SYSTEMS, zone=NEW_YORK)


def only(*lines, **how):
    (row,) = read(*lines, **how).rows
    return row


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("FK_SYSTEM,VALUE,DATE", "1000,12345.6,2026-11-29T09:00:00"),
        ("fk_system;MeterValue;MeterDate", "1000;12345.6;2026-11-29 09:00"),
        ("SystemID,kWh,Date,Time", "nfg-nn100-01000,12345.6,29/11/2026,09:00"),
        ("System ID,Value,Date UTC", "NFG-NN100-01000,12345.6,2026-11-29T14:00:00"),
        ("FK_SYSTEM,VALUE,DATE", "'1000,12345.6,2026-11-29T14:00:00Z"),
        ("FK_SYSTEM,SYSTEM_ID,VALUE,DATE,x", "1000,NFG-NN100-01000,12345.6000,2026-11-29 09:00,y"),
    ],
)
def test_every_way_to_write_it(head, line):
    row = only(line, head=head)
    assert row.problems == ()
    assert (row.fk_system, row.value, row.at) == (1000, Decimal("12345.6"), NINE)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("9999,1,2026-11-29,", "none of the systems"),
        ("abc,1,2026-11-29,", "none of the systems"),
        (",1,2026-11-29,", "write its PTS key"),
        ('1000,"1,234",2026-11-29,', "like 12345.6"),
        ("1000,-1,2026-11-29,", "like 12345.6"),
        ("1000,1e5,2026-11-29,", "like 12345.6"),
        ("1000,,2026-11-29,", "like 12345.6"),
        ("1000,1.23456,2026-11-29,", "like 12345.6"),
        ("1000,1,yesterday,", "a time that exists"),
        ("1000,1,,", "a time that exists"),
        ("1000,1,2027-03-14 02:30,", "a time that exists"),
        ("1000,1,1026-03-14 02:30,", "a time that exists"),
        (f"1000,1,2026-11-29,{'x' * 501}", "Note"),
    ],
)
def test_what_is_wrong_is_said(line, problem):
    row = only(line)
    assert problem in " ".join(row.problems)
    assert read(line).good == ()


def test_an_id_of_two_systems_and_a_key_of_another_are_said():
    assert only("SAME,1,2026-11-29", head="SYSTEM_ID,VALUE,DATE").fk_system is None
    row = only("1000,NFG-NN100-01001,1,2026-11-29", head="FK_SYSTEM,SYSTEM_ID,VALUE,DATE")
    assert "different systems" in row.problems[0]


def test_a_system_twice_is_a_question_not_a_choice():
    first, second = read("1000,1,2026-11-29,", "", "1000,2,2026-11-30,").rows
    assert first.problems == ()
    assert second.number == 4
    assert "Row 2" in second.problems[0]


def test_an_hour_that_happens_twice_is_the_first():
    assert only("1000,1,2026-11-01 01:30,").at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"VALUE,DATE\n1,2", "FK_SYSTEM or SYSTEM_ID"),
        (b"FK_SYSTEM,DATE\n1,2", "VALUE"),
        (b"FK_SYSTEM,VALUE\n1,2", "DATE or DATE_UTC"),
        (b"FK_SYSTEM,VALUE,KWH,DATE\n1,2", "twice"),
        (b"FK_SYSTEM,VALUE,DATE\n\n", "no readings"),
        (b"PK\x03\x04\0\0", "not a CSV"),
        (b"x" * (reading_csv.MOST_BYTES + 1), "larger"),
        (b"FK_SYSTEM,VALUE,DATE\n" + b"1,2,3\n" * (reading_csv.MOST_ROWS + 1), "more than"),
    ],
)
def test_what_is_no_such_list(body, said):
    with pytest.raises(reading_csv.NotASheet, match=said):
        reading_csv.read(body, systems=SYSTEMS, zone=NEW_YORK)


@given(st.binary(max_size=300))
def test_no_file_breaks_it(junk):
    body = b"FK_SYSTEM,VALUE,DATE,NOTE\n" + junk
    try:
        sheet = reading_csv.read(body, systems=SYSTEMS, zone=NEW_YORK)
    except reading_csv.NotASheet:
        return
    for row in sheet.good:
        assert None not in (row.fk_system, row.value, row.at)


def test_tens_of_thousands_of_rows():
    systems = {key: f"S-{key}" for key in range(40_000)}
    lines = b"".join(b"%d,%d.5,2026-11-29 09:00\n" % (key, key) for key in systems)
    started = time.process_time()
    sheet = reading_csv.read(b"FK_SYSTEM,VALUE,DATE\n" + lines, systems=systems, zone=NEW_YORK)
    assert len(sheet.good) == 40_000
    assert time.process_time() - started < 10
