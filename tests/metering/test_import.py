"""Meters from a CSV file: preview first, row-by-row errors, once, and no password anywhere."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from core.models import Note
from core.workflow import Impossible, actor_for
from metering import actions, meter_csv
from metering.models import Meter, MeterImport, MeterRead
from tests.factories.applications import mpan
from tests.factories.metering import MeterFactory, MeterTypeFactory

PASSWORD = "planted-3c-secret"
TYPES = ["ELSTER_A1700"]
HEAD = "MPAN,METER_TYPE,REMOTE_ADDRESS,COM_SETTINGS,OUTSTATION,PASSWORD,SURVEY_DAYS,SURVEY_DATE,SERIAL_NUMBER"
ONE, TWO = mpan(120000000001), mpan(120000000002)


def line(mpan_=ONE, kind="ELSTER_A1700", address="07711000001", *rest):
    return ",".join([mpan_, kind, address, *rest])


def sheet(*lines, head=HEAD):
    return "\r\n".join([head, *lines]).encode()


def problems(*lines):
    return [row.problems for row in meter_csv.read(sheet(*lines), TYPES).rows]


# ---- The file --------------------------------------------------------------------------------


def test_every_column_is_taken_as_it_is():
    text = line(
        ONE, "elster_a1700", "+44 7711 000 001", "7e1", "002", PASSWORD, "3", "30/11/2026", "A1"
    )
    (row,) = meter_csv.read(sheet(text), TYPES).rows
    assert row.problems == ()
    assert row.values == {
        "MPAN": ONE, "METER_TYPE": "ELSTER_A1700", "REMOTE_ADDRESS": "07711000001",
        "COM_SETTINGS": "7E1", "OUTSTATION": "002", "PASSWORD": PASSWORD, "SURVEY_DAYS": "3",
        "SURVEY_DATE": "2026-11-30", "SERIAL_NUMBER": "A1",
    }  # fmt: skip
    assert PASSWORD not in repr(row)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_usual_ways_to_write_a_csv(separator, mark):
    body = sheet(line(), "", line(TWO)).decode().replace(",", separator).encode()
    rows = meter_csv.read(mark + body, TYPES).rows
    assert [row.values["MPAN"] for row in rows] == [ONE, TWO]
    assert [row.number for row in rows] == [2, 4]


def test_columns_in_another_order_and_others_beside():
    body = sheet(f"x,07711000001,{ONE},ELSTER_A1700", head="Site,remote address,mpan,Meter Type")
    found = meter_csv.read(body, TYPES)
    assert (found.ignored, found.rows[0].problems) == (("Site",), ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (line("1234567890123"), "MPAN: The last digit"),
        (line(ONE, "NOBODY"), "Meter type"),
        (line(ONE, "ELSTER_A1700", "0771"), "Remote address"),
        (line(ONE, "ELSTER_A1700", "10.0.0.1:1", "7E1"), "Coms settings"),
        (line(ONE, "ELSTER_A1700", "07711000001", "", "", "", "many"), "Survey days"),
        (line(ONE, "ELSTER_A1700", "07711000001", "", "", "", "1", "2026-13-01"), "Survey date"),
        (line(ONE, "ELSTER_A1700", "07711000001", "", "", "", "", "2026-01-01"), "Survey days"),
        (line(ONE, "ELSTER_A1700", "07711000001", "", "9" * 41), "Outstation"),
    ],
)
def test_what_is_wrong_is_said_row_by_row(text, problem):
    (wrong, good) = problems(text, line(TWO))
    assert len(wrong) == 1
    assert wrong[0].startswith(problem)
    assert good == ()


def test_a_meter_that_comes_twice():
    assert problems(line(), line())[1] == ("Row 2 has the same MPAN and serial number.",)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "empty"),
        (HEAD.encode(), "no meters"),
        (b"MPAN,NAME\r\n1,2", "METER_TYPE, REMOTE_ADDRESS"),
        (b"PK\x03\x04\x00\x00", "not a CSV"),
        (sheet(line(), head=HEAD + ",MPAN"), "twice"),
        (b"x" * (meter_csv.MOST_BYTES + 1), "larger"),
        (sheet('"' + "x" * 200_000 + '"'), "not a CSV"),
    ],
)
def test_a_file_that_is_no_such_list(body, sentence):
    with pytest.raises(meter_csv.NotASheet, match=sentence):
        meter_csv.read(body, TYPES)


# ---- Preview and confirmation ----------------------------------------------------------------


@pytest.fixture
def clerk(person):
    MeterTypeFactory()
    return person("metering")


@pytest.fixture
def desk(clerk, signed_in):
    return signed_in(clerk)


def send(desk, *lines):
    file = SimpleUploadedFile("meters.csv", sheet(*lines), "text/csv")
    return desk.post("/metering/meters/import/", {"file": file})


def everything():
    """Every text of the database."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            yield from (str(cell) for row in cursor.fetchall() for cell in row)


FULL = line(ONE, "ELSTER_A1700", "07711000001", "7E1", "1", PASSWORD, "2", "2026-01-12", "S1")


def test_nothing_is_imported_before_it_is_confirmed(desk):
    response = send(desk, FULL, line("99"))
    said = response.content.decode()
    assert "1 row left out" in " ".join(said.split())
    assert "Write all 13 digits" in said
    assert PASSWORD not in said
    assert not Meter.objects.exists()
    assert not any(PASSWORD in text for text in everything())


def test_what_was_shown_is_imported_once(desk):
    upload = send(desk, FULL, line("99"), line(TWO)).context["upload"]
    url = f"/metering/meters/import/{upload.pk}/"
    said = desk.post(url, follow=True).content.decode()
    assert "2 meters added, 0 changed, 0 as they were." in said
    meter = Meter.objects.get(mpan=ONE)
    assert (meter.password, meter.serial_number, meter.coms_settings) == (PASSWORD, "S1", "7E1")
    assert not any(PASSWORD in text for text in everything())
    assert MeterImport.objects.get().rows is None
    assert "already" in desk.post(url, follow=True).content.decode()
    assert Meter.objects.count() == 2
    assert not MeterRead.objects.exists()


def test_a_meter_that_is_known_is_changed_and_empty_cells_leave_it(desk):
    meter = MeterFactory(
        mpan=ONE, serial_number="S1", password="kept", remote_address="07711000009"
    )
    response = send(desk, line(ONE, "ELSTER_A1700", "07711000001", "", "", "", "", "", "S1"))
    assert response.context["counts"] == {"new": 0, "changed": 1, "same": 0}
    desk.post(f"/metering/meters/import/{response.context['upload'].pk}/")
    meter.refresh_from_db()
    assert (meter.remote_address, meter.password, meter.outstation_address) == (
        "07711000001", "kept", "1",
    )  # fmt: skip
    assert Note.objects.get().text == "Changed by an import: remote address."


def test_the_meters_are_asked_as_the_file_says_when_that_is_wanted(desk, bells):
    upload = send(desk, FULL, line(TWO)).context["upload"]
    desk.post(f"/metering/meters/import/{upload.pk}/", {"ask_now": "on"})
    read = MeterRead.objects.get()
    assert (read.survey_days, str(read.survey_date), read.meter.mpan) == (2, "2026-01-12", ONE)


def test_an_upload_belongs_to_who_sent_it(desk, person, signed_in):
    upload = send(desk, FULL).context["upload"]
    other = signed_in(person("metering"))
    said = other.post(f"/metering/meters/import/{upload.pk}/", follow=True).content.decode()
    assert "too old" in said
    by = actor_for(person("metering"))
    with pytest.raises(Impossible):
        actions.import_meters(upload=upload, ask_now=False, by=by, now=timezone.now)
    assert not Meter.objects.exists()


def test_uploads_that_nobody_confirms_are_forgotten(desk):
    send(desk, FULL)
    actions.forget_uploads(now=timezone.now())
    assert MeterImport.objects.count() == 1
    actions.forget_uploads(now=timezone.now() + timezone.timedelta(days=2))
    assert MeterImport.objects.count() == 0


def test_thousands_of_meters_at_once(desk, django_assert_max_num_queries):
    lines = [line(mpan(130000000000 + n)) for n in range(1200)]
    upload = send(desk, *lines).context["upload"]
    with django_assert_max_num_queries(60):
        desk.post(f"/metering/meters/import/{upload.pk}/")
    assert Meter.objects.count() == 1200
