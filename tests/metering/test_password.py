"""A meter's password, planted and looked for: it is nowhere in the clear, and neither is a token."""

import io
import json
import logging
import zlib
from datetime import timedelta

import pytest
from celery import current_app
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse
from django.utils import timezone
from structlog.stdlib import ProcessorFormatter

from core.models import PartnerCall
from core.queue import ring
from core.workflow import PORTAL
from metering import actions
from metering.actions import Wish
from metering.models import Delivery, Meter, MeterRead
from tests.factories.metering import MeterReadFactory, meter_of
from tests.metering.conftest import document, post

PASSWORD = "Zq7-Planted-Parrot"


def in_the_database(*secrets):
    """Tables whose raw rows hold one of the secrets, also in bytes and in hexadecimal."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            cursor.execute(f"select * from {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    raw = (
                        bytes(value)
                        if isinstance(value, bytes | memoryview)
                        else str(value).encode()
                    )
                    if any(each.encode() in raw for each in secrets):
                        found.append(f"{table}.{name}")
    return found


@pytest.fixture
def heard(caplog):
    """Everything that was logged, in the form in which the portal writes it."""
    root, written = logging.getLogger(), io.StringIO()
    ours = next(each for each in root.handlers if isinstance(each.formatter, ProcessorFormatter))
    handler = logging.StreamHandler(written)
    handler.setFormatter(ours.formatter)
    for each in ours.filters:
        handler.addFilter(each)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "factory")  # it says what a test plants
    root.addHandler(handler)
    yield written.getvalue
    root.removeHandler(handler)


@pytest.fixture
def planted(service):
    """The played meter and the portal's row, with the planted password."""
    shown = service.meter()
    service.control(f"/meters/{shown['serialNumber']}", {"password": PASSWORD})
    return meter_of(shown, password=PASSWORD)


def read_of(meter):
    batch = actions.ask(
        meters=[meter], wish=Wish(survey_days=1), by=PORTAL, now=timezone.now, title="test"
    )
    return batch.reads.get()


@pytest.mark.django_db(transaction=True)
def test_the_whole_way_leaves_no_password(service, portal, planted, work, heard):
    service.collecting(check_receiver="always")
    read = read_of(planted)
    work()
    service.finished(read.our_reference)
    work()
    found = MeterRead.objects.get()
    assert found.status in {"accepted", "to_check"}, found.why
    assert Delivery.objects.get().state == "stored"
    assert Meter.objects.get().password == PASSWORD
    assert found.token == read.token
    assert in_the_database(PASSWORD, read.token) == []
    said = heard()
    assert said
    assert PASSWORD not in said
    assert read.token not in said


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "fault", ["lost", "500", "400", "html", "wrong_number", "truncated", "cut"]
)
def test_no_fault_brings_it_out(service, planted, work, heard, fault):
    service.collecting(paused=True)
    service.fault(fault, calls=2)
    read = read_of(planted)
    work(until=timezone.now() + timedelta(minutes=90))
    assert PartnerCall.objects.exists()
    assert in_the_database(PASSWORD, read.token) == []
    said = heard()
    assert said
    assert PASSWORD not in said
    assert read.token not in said


LEAKS = {
    "echoed": {},
    "in the outcome": {"result": f"ERROR: log-in with {PASSWORD} refused"},
    "in the outcome alone": {"result": f"ERROR: log-in with {PASSWORD} refused", "password": ...},
    "in an event": {"statusEvents": [f"used {PASSWORD}"], "password": ...},
    "in the serial number": {"serialNumber": f"ERROR: {PASSWORD} rejected", "password": ...},
    "in the adjustment": {"timeAdjustmentResult": f"ERROR: {PASSWORD} rejected", "password": ...},
    "in something unheard of": {"debug": {"meterPassword": PASSWORD, "line": [PASSWORD]}},
    "about somebody else": {"requestReference": "of somebody else"},
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("changes", LEAKS.values(), ids=LEAKS.keys())
def test_wherever_a_result_says_it(changes, work, heard):
    read = MeterReadFactory(status="requested", meter__password=PASSWORD)
    content = document(read, **{"surveyData": ..., **changes})
    assert PASSWORD in json.dumps(content)
    assert post(read, content).status_code in {200, 404}
    work()
    assert in_the_database(PASSWORD) == []
    body = Delivery.objects.get()
    assert PASSWORD.encode() not in zlib.decompress(bytes(body.body))
    assert PASSWORD not in heard()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "body",
    [
        f'{{"requestReference": "a", "password": "{PASSWORD}", ',
        f"<result><password>{PASSWORD}</password></result>",
        f"log-in with {PASSWORD} failed",
        f"\ufeff[{PASSWORD}]",
    ],
)
def test_a_body_that_cannot_be_read_is_masked(body, heard):
    read = MeterReadFactory(status="requested", meter__password=PASSWORD)
    assert post(read, body.encode()).status_code == 400
    assert PASSWORD not in Delivery.objects.get().unreadable
    assert in_the_database(PASSWORD) == []
    assert PASSWORD not in heard()


@pytest.mark.django_db
def test_messages_of_the_queue_carry_a_key_alone(planted, service, monkeypatch):
    sent = []
    monkeypatch.setattr(
        current_app, "send_task", lambda *args, **kwargs: sent.append((args, kwargs))
    )
    read = MeterReadFactory(status="requested", meter=planted)
    ring("metering.store", read.pk)
    assert sent
    assert PASSWORD not in repr(sent)
    assert PASSWORD not in repr(actions.request_for(read))


@pytest.mark.django_db
def test_no_page_or_export_shows_it(person, work):
    """Every address of the desk and of its rows in the admin, for somebody who may see all."""
    read = MeterReadFactory(status="to_check", meter__password=PASSWORD)
    post(read, document(read))
    work()
    client = Client()
    client.force_login(person(admin=True))
    seen = 0
    for url in pages(read):
        reply = client.get(url)
        if reply.status_code == 200:
            seen += 1
            text = b"".join(reply.streaming_content) if reply.streaming else reply.content
            assert PASSWORD.encode() not in text, url
            assert read.token.encode() not in text, url
    assert seen


def pages(read):
    """Addresses by name, those that need a read, a meter or nothing; and the admin's."""
    found = get_resolver().url_patterns
    desk = next(each for each in found if getattr(each, "namespace", "") == "metering")
    for pattern in desk.url_patterns:
        for args in ([], [read.meter.pk], [read.reference], [read.pk]):
            try:
                yield reverse(f"metering:{pattern.name}", args=args)
            except NoReverseMatch:
                continue
    for model in apps.get_app_config("metering").get_models():
        name = model._meta.model_name
        try:
            yield reverse(f"admin:metering_{name}_changelist")
            for pk in model.objects.values_list("pk", flat=True)[:2]:
                yield reverse(f"admin:metering_{name}_change", args=[pk])
        except NoReverseMatch:
            continue
    yield "/calls/"
    yield "/metering/?format=csv"
    yield "/health/"
