"""The files for analysts and for billing: a line a half hour, values as sent, gaps as lines."""

import csv
import io
from datetime import timedelta

import pytest

from metering.export import HEADING
from tests.factories.metering import MeterFactory
from tests.metering.stock import DAY, MIDNIGHT, a_meter, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(person, signed_in):
    return signed_in(person("metering"))


def download(desk, meter=None, **query):
    asked = {"first": "2026-01-12", "last": "2026-01-12", "download": "1", **query}
    if meter:
        asked["meter"] = meter.pk
    response = desk.get("/metering/meters/export/", asked)
    assert response.streaming, response.content
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_for_every_half_hour(desk):
    meter = a_meter()
    stored(meter, [f"0{100 + n}.50" for n in range(49)], flags=[7])
    rows = download(desk, meter)
    assert len(rows) == 48
    assert tuple(rows[0]) == HEADING
    assert list(rows[0].values()) == [
        meter.mpan, meter.serial_number, "kWh Import", "kWh", "2026-01-12T00:00:00Z",
        "2026-01-12 00:00 GMT", "2026-01-12", "1", "0100.50", "7", "1.00", "", "accepted",
    ]  # fmt: skip
    assert [row["settlement period"] for row in rows] == [str(n) for n in range(1, 49)]


def test_a_day_of_50_half_hours_names_both_hours(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 100, first=MIDNIGHT.replace(month=10, day=24))
    rows = download(desk, meter, first="2026-10-25", last="2026-10-25")
    assert len(rows) == 50
    assert [row["start (local)"][11:] for row in rows[2:6]] == [
        "01:00 BST", "01:30 BST", "01:00 GMT", "01:30 GMT",
    ]  # fmt: skip


def test_a_gap_is_a_line_and_no_zero(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 10)
    rows = download(desk, meter)
    assert (rows[10]["value as sent"], rows[10]["consumption"], rows[10]["status"]) == (
        "", "", "missing",
    )  # fmt: skip


def test_for_billing_only_accepted_readings_leave(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 10)
    stored(meter, ["5"] * 10, first=MIDNIGHT + timedelta(hours=5), status="to_check")
    every, billing = download(desk, meter), download(desk, meter, accepted="on")
    assert {row["status"] for row in every} == {"accepted", "to check", "missing"}
    assert {row["status"] for row in billing} == {"accepted", "not accepted", "missing"}
    assert {row["consumption"] for row in billing} == {"1", ""}
    assert {row["value as sent"] for row in billing} == {"1", ""}


def test_marks_stand_beside_their_half_hour(desk):
    meter = a_meter()
    stored(meter, ["10", "20", "15", "16"])
    rows = download(desk, meter)
    assert [row["mark"] for row in rows[:3]] == ["", "Register backwards", ""]
    assert [row["consumption"] for row in rows[:3]] == ["10", "", "1"]


def test_a_group_of_meters(desk):
    for group in ("north", "north", "south"):
        stored(a_meter(survey="period", group=group), ["1"])
    assert len(download(desk, group="north")) == 96
    assert len(download(desk)) == 144


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"last": "2026-01-01"}, "before the first day"),
        ({"last": "2030-01-01"}, "at most 800 days"),
        ({"first": "x"}, "Enter a valid date"),
        ({"group": "nobody"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_exported(desk, query, sentence):
    asked = {"first": "2026-01-12", "last": "2026-01-12", "download": "1", **query}
    assert sentence in desk.get("/metering/meters/export/", asked).content.decode()


def test_no_password_and_no_right(desk, signed_in, nobody):
    meter = a_meter(password="planted-export-1")
    stored(meter, ["1"])
    assert "planted-export-1" not in str(download(desk, meter))
    assert signed_in(nobody).get("/metering/meters/export/").status_code == 403
    assert desk.get("/metering/meters/export/?meter=999999").status_code == 404
    assert MeterFactory(added_at=MIDNIGHT + DAY).pk
