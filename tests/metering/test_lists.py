"""The desk's lists, its place on home and search: filters, bulk actions, CSV, queries."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import desks
from core.models import PartnerCall
from metering import lists
from metering.models import Batch, MeterAlarm, MeterRead
from tests.factories.metering import DeliveryFactory, MeterFactory, MeterReadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rafe(person):
    return person("metering")


@pytest.fixture
def desk(rafe, signed_in, bells):
    return signed_in(rafe)


def rows(response):
    return [row.record for row in response.context["table"].paginated_rows]


def found(desk, query=""):
    return {row.reference for row in rows(desk.get(f"/metering/?{query}"))}


def alarm_of(read, text="Cover opened", **fields):
    return MeterAlarm.objects.create(
        meter=read.meter, read=read, kind="tamper", text=text, raised_at=timezone.now(), **fields
    )


def test_every_status_has_a_tab_with_its_count(desk):
    for status in MeterRead.Status.values:
        MeterReadFactory(status=status)
        assert len(found(desk, f"status={status}")) == 1
    tabs = desk.get("/metering/").context["tabs"]
    assert {tab["label"] for tab in tabs} == {"All", *MeterRead.Status.labels}
    assert {tab["count"] for tab in tabs} == {1, 7}


def test_search_finds_by_anything_that_names_a_read(desk):
    meter = MeterFactory(serial_number="E11Z04711", remote_address="192.0.2.7:3400")
    read = MeterReadFactory(meter=meter)
    MeterReadFactory()
    for text in (
        read.reference, "e11z047", meter.mpan, f"{meter.mpan[:2]} {meter.mpan[2:]}", "192.0.2.7",
    ):  # fmt: skip
        assert found(desk, f"q={text}") == {read.reference}, text


def test_filters(desk, rafe):
    batch = Batch.objects.create(title="Mine", at=timezone.now(), by=rafe)
    mine = MeterReadFactory(batch=batch, meter=MeterFactory(group="homes"))
    other = Batch.objects.create(title="The portal's", at=timezone.now())
    theirs = MeterReadFactory(batch=other, meter=MeterFactory(group="shops"))
    for query, row in (
        ("group=homes", mine), ("group=shops", theirs), (f"by={rafe.pk}", mine),
        ("by=portal", theirs), (f"batch={batch.pk}", mine), (f"batch={other.pk}", theirs),
    ):  # fmt: skip
        assert found(desk, query) == {row.reference}, query
    assert len(found(desk, f"type={mine.meter.meter_type_id}")) == 2


@pytest.mark.parametrize(
    "query",
    ["page=999", "sort=token", "q=%00", "batch=x", "batch=99999999999999999999", "by=x", "type=0",
     "group=none", "status=no", "meter=x", "meter=99999999999999999999", "meter=0", "q=" + "x" * 3000],
)  # fmt: skip
@pytest.mark.parametrize("page", ["", "alarms/", "deliveries/"])
def test_an_address_that_somebody_typed_breaks_nothing(query, page, desk):
    alarm_of(MeterReadFactory())
    DeliveryFactory()
    assert desk.get(f"/metering/{page}?{query}").status_code in (200, 404)


@pytest.mark.parametrize("page", ["", "alarms/", "deliveries/"])
def test_a_page_costs_the_same_with_five_and_fifty_rows(page, desk):
    def more(count):
        for _ in range(count):
            read = MeterReadFactory(status="to_check")
            alarm_of(read)
            DeliveryFactory(read=read)

    def queries():
        with CaptureQueriesContext(connection) as caught:
            desk.get(f"/metering/{page}")
        return len(caught)

    more(5)
    desk.get(f"/metering/{page}")
    before = queries()
    more(45)
    assert queries() == before <= 20


def test_home_and_search_cost_the_same_with_more_rows(rafe, django_assert_max_num_queries):
    for _ in range(12):
        read = MeterReadFactory(status="to_check")
        MeterReadFactory(status="failed", meter=read.meter)
        alarm_of(read)
        DeliveryFactory()
    with django_assert_max_num_queries(9):
        lists.tile(rafe), lists.inbox(rafe, only_mine=False)
    with django_assert_max_num_queries(2):
        assert lists.search(read.meter.mpan, rafe)


def test_inbox_and_tile(rafe):
    MeterReadFactory(status="to_check")
    failed = MeterReadFactory(status="failed")
    MeterReadFactory(status="accepted", asked_after=MeterReadFactory(status="failed"))
    alarm_of(failed)
    DeliveryFactory()
    groups = {group.title: group.count for group in lists.inbox(rafe, only_mine=False)}
    assert groups == {
        "Failed reads": 1, "Readings to check": 1, "Alarms to acknowledge": 1,
        "Deliveries kept aside": 1,
    }  # fmt: skip
    assert lists.tile(rafe).big == 2
    assert lists.inbox(rafe, only_mine=True) == []


def test_bulk_actions(desk):
    waiting, done = MeterReadFactory(status="waiting"), MeterReadFactory(status="accepted")
    chosen = {"row": [waiting.pk, done.pk]}
    answer = desk.post("/metering/", {**chosen, "do": "ask_again"})
    assert answer.url == f"/metering/ask/?meter={waiting.meter_id}&meter={done.meter_id}"
    desk.post("/metering/", {**chosen, "do": "cancel"})
    status = dict(MeterRead.objects.values_list("pk", "status"))
    assert status == {waiting.pk: "cancelled", done.pk: "accepted"}


def test_failed_reads_are_set_aside_together(desk):
    failed = [MeterReadFactory(status="failed") for _ in range(3)]
    done = MeterReadFactory(status="accepted")
    pks = [read.pk for read in (*failed, done)]
    answer = desk.post("/metering/", {"row": pks, "do": "set_aside"})
    assert "Set 3 reads aside" in desk.get(answer.url).content.decode()
    assert "Write your reason" in desk.post(answer.url, {"reason": " "}).content.decode()
    assert MeterRead.objects.filter(status="failed").count() == 3
    desk.post(answer.url, {"reason": "No signal on the hill."})
    assert set(MeterRead.objects.values_list("status", flat=True)) == {"cancelled", "accepted"}
    again = desk.get(answer.url, follow=True).content.decode()
    assert "None of these reads has failed" in again


def test_setting_aside_needs_its_permission(auditor, signed_in):
    read = MeterReadFactory(status="failed")
    client = signed_in(auditor)
    assert client.get(f"/metering/set-aside/?read={read.pk}").status_code == 403
    assert client.post(f"/metering/set-aside/?read={read.pk}", {"reason": "x"}).status_code == 403
    assert client.get(f"{read.get_absolute_url()}set_aside/").status_code == 403
    assert MeterRead.objects.get().status == "failed"


def test_the_work_list_can_become_empty(rafe, desk):
    reads = [MeterReadFactory(status="failed") for _ in range(2)]
    assert lists.tile(rafe).big == 2
    desk.post(f"{reads[0].get_absolute_url()}again/")
    desk.post(f"/metering/set-aside/?read={reads[1].pk}", {"reason": "The house is gone."})
    assert lists.tile(rafe).big == 0
    assert lists.inbox(rafe, only_mine=False) == []


def test_an_auditor_changes_nothing_in_bulk(auditor, signed_in):
    read = MeterReadFactory(status="waiting")
    page = signed_in(auditor).get("/metering/")
    assert [entry["value"] for entry in page.context["bulk"]] == ["csv"]
    signed_in(auditor).post("/metering/", {"row": read.pk, "do": "cancel"})
    assert MeterRead.objects.get().status == "waiting"


@pytest.mark.parametrize("page", ["", "alarms/", "deliveries/"])
def test_csv_holds_no_secrets(page, desk):
    read = MeterReadFactory(status="to_check")
    alarm_of(read)
    DeliveryFactory(read=read, unreadable="s3cret")
    answer = desk.get(f"/metering/{page}?as=csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert read.reference in text
    assert not [word for word in (read.token, read.meter.password, "s3cret") if word in text]
    assert len(list(csv.DictReader(io.StringIO(text)))) == 1


def test_a_call_can_be_tried_again_where_the_read_allows_it(rafe, auditor):
    failed, waiting = MeterReadFactory(status="failed"), MeterReadFactory(status="waiting")
    desk = desks.desk("metering")
    assert desk.try_again_url(PartnerCall(reference=failed.reference), rafe).endswith("/again/")
    assert not desk.try_again_url(PartnerCall(reference=waiting.reference), rafe)
    assert not desk.try_again_url(PartnerCall(reference=failed.reference), auditor)
