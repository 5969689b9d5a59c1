"""The service calling us: every answer of the facts page, and what is kept behind it."""

import io
import json
import time
import zlib

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Counter, PartnerCall, StatusChange
from metering import actions, webhook
from metering.models import Day, Delivery, MeterAlarm, MeterRead, RegisterReading, SideReading
from tests.factories.metering import MeterFactory, MeterReadFactory
from tests.metering.conftest import (
    FIRST_DAY,
    JSON,
    document,
    only_delivery,
    post,
    survey,
    written,
)

pytestmark = pytest.mark.django_db
ENDINGS = ["", "/collection-result"]


def until(condition, seconds=30):
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def refused(reply, status):
    """An answer that is not 200 always says why, and nothing else."""
    assert reply.status_code == status, reply.content
    assert reply["Content-Type"] == "application/json; charset=utf-8"
    said = reply.json()
    assert list(said) == ["details"]
    assert said["details"]
    return said["details"]


def kept(delivery):
    return json.loads(zlib.decompress(bytes(delivery.body)))


def found(read):
    return MeterRead.objects.get(pk=read.pk)


def everything():
    """All that a result can change."""
    rows = (Day, SideReading, RegisterReading, MeterAlarm, StatusChange)
    return [list(model.objects.order_by("pk").values()) for model in rows]


# ---- 200 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_result_is_taken_at_both_addresses(asked, ending, work):
    reply = post(asked, document(asked), ending=ending)
    assert (reply.status_code, reply.json()) == (
        200,
        {"requestReference": str(asked.our_reference)},
    )
    assert reply["Content-Type"] == "application/json; charset=utf-8"
    delivery = only_delivery()
    assert (delivery.read_id, delivery.state, delivery.sender) == (asked.pk, "waiting", "127.0.0.1")
    assert "password" not in kept(delivery)
    work()
    assert found(asked).status == "accepted", found(asked).why
    assert only_delivery().state == "stored"
    assert Day.objects.count() == 1


def test_a_reference_in_capitals_is_ours_too(asked):
    content = document(asked, requestReference=str(asked.our_reference).upper())
    assert post(asked, content).status_code == 200
    assert only_delivery().read_id == asked.pk


def test_the_content_type_is_not_asked_for(asked):
    client = Client(raise_request_exception=False)
    url = f"/metering/results/{asked.token}"
    assert client.post(url, written(document(asked)), content_type="text/plain").status_code == 200


def test_the_same_body_again_is_200_and_changes_nothing(asked, work):
    content = document(asked)
    post(asked, content)
    work()
    before = everything()
    for _ in range(3):
        assert post(asked, content).status_code == 200
    work()
    assert everything() == before
    assert only_delivery().state == "stored"
    assert found(asked).versions == 1


def test_pending_changes_nothing(asked, work):
    before = everything()
    pending = document(
        asked, result="PENDING", registerValues=..., surveyData=..., collectionEndTime=...
    )
    assert post(asked, pending).status_code == 200
    work()
    assert everything() == before
    assert (found(asked).status, found(asked).versions) == ("requested", 0)


def test_another_body_is_another_version_and_is_merged(asked, work):
    later = FIRST_DAY.replace(day=2)
    post(asked, document(asked))
    work()
    post(
        asked,
        document(
            asked,
            surveyData=[survey([f"{1048 + n}.000" for n in range(48)], later)],
            registerValues=...,
            collectionEndTime="2026-05-03T00:05:00Z",
        ),
    )
    work()
    assert Day.objects.count() == 2
    assert found(asked).versions == 2
    assert found(asked).status in {"accepted", "to_check"}
    assert set(Delivery.objects.values_list("state", flat=True)) == {"stored"}


def test_a_version_that_disagrees_goes_to_a_person(asked, work):
    post(asked, document(asked))
    work()
    assert found(asked).status == "accepted"
    values = [f"{1000 + n}.000" for n in range(48)]
    values[20] = "1020.250"
    changes = {"surveyData": [survey(values)], "collectionEndTime": "2026-05-02T00:06:00Z"}
    post(asked, document(asked, **changes))
    work()
    read = found(asked)
    assert (read.status, read.versions) == ("to_check", 2)
    assert "disagrees" in read.why
    side = SideReading.objects.get()
    assert (side.value, side.why) == ("1020.000", "overruled")


# ---- Kept aside -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"mpan": "2012345678906"}, {"serialNumber": "99999999"}], ids=["MPAN", "serial"]
)
def test_a_result_about_another_meter_is_200_and_kept_aside(asked, change, work):
    assert post(asked, document(asked, **change)).status_code == 200
    work()
    delivery = only_delivery()
    assert delivery.state == "aside"
    assert next(iter(change.values())) in delivery.reason
    assert Day.objects.count() == RegisterReading.objects.count() == 0
    assert found(asked).status == "to_check"


def test_an_unknown_reference_under_a_valid_token_is_404_and_kept_aside(asked, work):
    other = "3f1c7a52-1f0e-4a53-9ed0-000000000001"
    details = refused(post(asked, document(asked, requestReference=other)), 404)
    assert "requestReference" in details
    delivery = only_delivery()
    assert (delivery.state, delivery.read, delivery.their_reference) == ("aside", None, other)
    assert kept(delivery)["requestReference"] == other
    assert work() == 0
    assert found(asked).status == "requested"


def test_a_reference_of_another_read_is_not_stored_for_it(asked, work):
    other = MeterReadFactory(status="requested")
    refused(post(asked, document(other)), 404)
    work()
    assert only_delivery().state == "aside"
    assert found(other).status == "requested"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"   ", b"{", b"[]", b"null", b'"text"', b"17", b"\xff\xfe", b"\x00", b"<html>"),
        *(b"{}", b'{"requestReference": null}', b'{"requestReference": {}}', b"[" * 50_000),
        b'{"requestReference": "a", "password": "PLANTED-77", ',
        b'{"requestReference": "a", "password": "PLANTED-77"',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_400_and_kept_encrypted_and_masked(asked, body, work):
    refused(post(asked, body), 400)
    delivery = only_delivery()
    assert (delivery.state, delivery.read, bytes(delivery.body)) == ("unreadable", None, b"")
    assert (delivery.their_reference, delivery.size) == (asked.reference, len(body))
    assert "PLANTED-77" not in delivery.unreadable
    with connection.cursor() as cursor:
        cursor.execute("select unreadable from metering_delivery")
        (stored,) = cursor.fetchone()
    assert not stored or stored.startswith("gAAAA")
    assert work() == 0
    assert found(asked).status == "requested"


# ---- 400, 404, 429: nothing is kept ---------------------------------------------------------------


def nothing_is_kept():
    return not (Delivery.objects.exists() or PartnerCall.objects.exists())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_another_method_is_400(asked, method, ending):
    reply = getattr(Client(), method)(f"/metering/results/{asked.token}{ending}")
    assert reply.status_code == 400
    assert nothing_is_kept()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("token", ["x", "a" * 5000, "%00", "é", "..", "token"])
def test_a_wrong_token_is_404_and_nothing_is_kept(asked, token, ending):
    refused(post(token, document(asked), ending=ending), 404)
    assert nothing_is_kept()


def test_a_token_that_is_almost_right_is_404(asked):
    for token in (asked.token[:-1], asked.token + "x", asked.token.upper(), asked.token_sha256):
        refused(post(token, document(asked)), 404)
    assert nothing_is_kept()


def test_a_body_that_is_too_large_is_400_and_not_read(asked, settings):
    settings.METERING_BODY_LIMIT = 2000
    assert "2,000" in refused(post(asked, b"x" * 2001), 400)
    assert nothing_is_kept()
    assert post(asked, document(asked, surveyData=...)).status_code == 200


def of_wire(read, body, **environ):
    """A request as a server hands it over, with a stream that may end early."""
    given = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/metering/results/{read.token}",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": JSON,
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    return webhook.collection_result(WSGIRequest(given), read.token)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_body_that_ends_early_is_400(asked, share):
    body = written(document(asked))
    reply = of_wire(asked, body[: int(len(body) * share)], CONTENT_LENGTH=str(len(body)))
    assert reply.status_code == 400
    assert "ended" in json.loads(reply.content)["details"]
    assert nothing_is_kept()


@pytest.mark.parametrize("length", ["x", "-5", "1e3", "٣"])
def test_a_length_that_is_no_number_is_400(asked, length):
    assert of_wire(asked, b"{}", CONTENT_LENGTH=length).status_code == 400
    assert nothing_is_kept()


def test_a_connection_that_breaks_is_400(asked):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError("reset")

    reply = of_wire(asked, b"", CONTENT_LENGTH="20", **{"wsgi.input": Broken()})
    assert reply.status_code == 400
    assert nothing_is_kept()


def test_a_body_in_chunks_has_no_length_and_is_taken(asked, settings):
    body = written(document(asked))
    assert of_wire(asked, body, **{"wsgi.input_terminated": True}).status_code == 200
    assert only_delivery().read_id == asked.pk
    settings.METERING_BODY_LIMIT = 2000
    assert of_wire(asked, b"x" * 9000, **{"wsgi.input_terminated": True}).status_code == 400
    assert Delivery.objects.count() == 1


def test_too_many_are_429(asked, settings):
    settings.METERING_RESULTS_PER_HOUR = 2
    content = document(asked)
    assert [post(asked, content).status_code for _ in range(2)] == [200, 200]
    refused(post(asked, content), 429)
    assert Delivery.objects.count() == 1
    refused(post("wrong", content), 404)


def test_the_results_of_an_hour_are_counted_in_blocks(asked, settings):
    settings.METERING_RESULTS_PER_HOUR = 600  # a two-hundredth of it is 3
    content = document(asked)
    assert {post(asked, content).status_code for _ in range(4)} == {200}
    assert Counter.objects.get(name__startswith="limit metering results").value == 2


# ---- 500 ------------------------------------------------------------------------------------------


def test_a_result_that_cannot_be_committed_is_500_with_details(asked, monkeypatch):
    def broken(*_, **__):
        raise DatabaseError("disk full")

    monkeypatch.setattr(actions, "_inserted", broken)
    refused(post(asked, document(asked)), 500)


def test_a_constraint_that_is_not_the_same_result_again_is_500(asked, monkeypatch):
    def broken(*_, **__):
        raise IntegrityError("some other constraint")

    monkeypatch.setattr(actions, "_inserted", broken)
    refused(post(asked, document(asked)), 500)
    assert nothing_is_kept()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_answered_before_it_is_committed(asked, monkeypatch):
    seen, answer = [], webhook._answer

    def watched(*args, **kwargs):
        seen.append((connection.in_atomic_block, Delivery.objects.count()))
        return answer(*args, **kwargs)

    monkeypatch.setattr(webhook, "_answer", watched)
    assert post(asked, document(asked)).status_code == 200
    other = document(asked, requestReference="another")
    assert post(asked, other).status_code == 404
    assert post(asked, b"{").status_code == 400
    assert seen == [(False, 1), (False, 2), (False, 3)]


def test_the_bell_rings_after_the_commit(asked, bells, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=False) as calls:
        post(asked, document(asked))
    assert bells == []
    for call in calls:
        call()
    until(lambda: ("metering.store", only_delivery().pk) in bells)


def test_a_lost_bell_delays_the_storing_only(asked, work):
    """Nothing rings here: the row itself says that it is due."""
    post(asked, document(asked))
    assert only_delivery().due_at
    assert work() == 1
    assert only_delivery().state == "stored"


# ---- Who may call ---------------------------------------------------------------------------------


def ways(address, settings, proxies):
    """The same caller behind so many trusted proxies."""
    settings.TRUSTED_PROXY_COUNT = proxies
    if not proxies:
        return {"REMOTE_ADDR": address}
    hops = ["203.0.113.66", address, *["10.0.0.1"] * (proxies - 1)]
    return {"REMOTE_ADDR": "10.0.0.2", "HTTP_X_FORWARDED_FOR": ", ".join(hops)}


@pytest.mark.parametrize("proxies", [0, 1, 2])
@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("198.51.100.7", True),
        ("192.0.2.200", True),
        ("2001:db8::5", True),
        ("198.51.100.8", False),
        ("::ffff:198.51.100.7", False),
        ("not an address", False),
        ("", False),
    ],
)
def test_only_addresses_on_the_list_may_call(asked, settings, proxies, address, allowed):
    settings.METERING_RESULT_ALLOWED_IPS = ["198.51.100.7", " 192.0.2.0/24", "2001:db8::/32"]
    extra = ways(address, settings, proxies)
    reply = post(asked, document(asked), **extra)
    status = Client().get(f"/metering/results/{asked.token}/service-status", **extra)
    if allowed:
        assert (reply.status_code, status.status_code) == (200, 200)
    else:
        refused(reply, 404)
        refused(status, 404)
        assert nothing_is_kept()


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [(1, ""), (2, "198.51.100.7"), (1, "198.51.100.7, 203.0.113.1"), (2, "1, 198.51.100.7")],
)
def test_in_doubt_nobody_may_call(asked, settings, proxies, forwarded):
    settings.METERING_RESULT_ALLOWED_IPS = ["198.51.100.7"]
    settings.TRUSTED_PROXY_COUNT = proxies
    extra = {"REMOTE_ADDR": "198.51.100.7", "HTTP_X_FORWARDED_FOR": forwarded}
    refused(post(asked, document(asked), **extra), 404)
    assert nothing_is_kept()


def test_without_proxies_a_forwarded_header_is_not_believed(asked, settings):
    settings.METERING_RESULT_ALLOWED_IPS = ["198.51.100.7"]
    settings.TRUSTED_PROXY_COUNT = 0
    extra = {"REMOTE_ADDR": "203.0.113.9", "HTTP_X_FORWARDED_FOR": "198.51.100.7"}
    refused(post(asked, document(asked), **extra), 404)


def test_a_list_that_cannot_be_read_lets_nobody_in(asked, settings):
    settings.METERING_RESULT_ALLOWED_IPS = ["127.0.0.1", "the office"]
    refused(post(asked, document(asked)), 404)


# ---- Its status -------------------------------------------------------------------------------------


def test_the_status_is_read_by_get(asked):
    url = f"/metering/results/{asked.token}/service-status"
    reply = Client().get(url)
    assert reply.status_code == 200
    assert reply.json() == {"version": webhook.VERSION, "status": "OK"}
    assert Client().head(url).status_code == 200
    for method in ("post", "put", "delete"):
        refused(getattr(Client(), method)(url), 400)
    refused(Client().get("/metering/results/wrong/service-status"), 404)
    assert nothing_is_kept()


# ---- Constant queries --------------------------------------------------------------------------------


def queries(run):
    with CaptureQueriesContext(connection) as captured:
        run()
    return len(captured)


def test_the_number_of_queries_does_not_depend_on_the_size(db):
    small, large = (MeterReadFactory(status="requested") for _ in range(2))
    series = [survey(["1.000"] * 48 * 31, name=f"register {n}") for n in range(8)]
    post(small, document(small))  # what is only asked for once
    small = MeterReadFactory(status="requested")
    few = queries(lambda: post(small, document(small)))
    many = queries(lambda: post(large, document(large, surveyData=series)))
    assert few == many <= 12


def test_storing_takes_no_query_per_reading_or_day(db, work):
    counts = []
    for days in (2, 20):
        read = MeterReadFactory(status="requested")
        values = [f"{1000 + n}.000" for n in range(48 * days)]
        content = document(
            read, surveyData=[survey(values)], collectionEndTime="2026-06-02T00:05:00Z"
        )
        post(read, content)
        counts.append(queries(work))
    assert counts[1] <= counts[0] + 2, counts


# ---- The schema --------------------------------------------------------------------------------------


def test_the_schema_shows_the_endpoint(client):
    reply = client.get("/api/schema/?format=json")
    assert reply.status_code == 200
    paths = reply.json()["paths"]
    for ending in ENDINGS:
        operation = paths["/metering/results/{token}" + ending]["post"]
        content = operation["requestBody"]["content"]["application/json"]["schema"]
        assert content["required"] == ["requestReference"]
        assert {"surveyData", "registerValues", "result"} <= set(content["properties"])
        assert "password" not in content["properties"]
        assert set(operation["responses"]) == {"200", "400", "404", "429", "500"}
    assert client.get("/api/schema/").status_code == 200


def test_replayed_after_it_was_kept_aside(asked, clerk, work):
    post(asked, document(asked, requestReference="typed by hand"))
    delivery = only_delivery()
    actions.replay(delivery=delivery, read=asked, by=clerk, now=timezone.now)
    work()
    assert only_delivery().state == "stored"
    assert found(asked).status == "accepted", found(asked).why


def test_a_meter_without_serial_number_takes_any(db, work):
    read = MeterReadFactory(status="requested", meter=MeterFactory(serial_number=""))
    post(read, document(read, serialNumber="12345678"))
    work()
    assert only_delivery().state == "stored"
