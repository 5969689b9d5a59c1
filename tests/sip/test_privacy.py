"""Planted health data are found nowhere they do not belong, whatever the party answers."""

import io
import json
import logging
import threading
import zipfile
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from core import desks
from core.models import Alarm, Email, Note, PartnerCall, StatusChange
from sip import actions, evidence, worksheet
from sip.client import MarketMessages
from sip.models import Job, JobImport
from tests.factories.sip import HEALTH
from tests.sip.conftest import now

pytestmark = pytest.mark.django_db
PLANTED = "planted"
FAULTS = [None, "400", "500", "hang", "lost", "done_html", "401", "429", "truncated", "redirect"]


@pytest.fixture
def logged(caplog):
    """Everything that is logged from now on, as text."""
    caplog.set_level(logging.DEBUG)
    for name in ("core", "sip", "django"):
        logging.getLogger(name).addHandler(caplog.handler)
    yield caplog
    for name in ("core", "sip", "django"):
        logging.getLogger(name).removeHandler(caplog.handler)


def rows_as_text(*models):
    return json.dumps([list(model.objects.values()) for model in models], default=str).casefold()


def database_as_text():
    """Every value of every table as the database holds it, encrypted fields as ciphertext."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found).casefold()


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_health_text_is_nowhere(
    service, office, work, private_jobs, settings, clerk, logged, fault
):
    job = office.sending(private_jobs)
    if fault:
        service.fault(fault, seconds=5, calls=1)
    if fault == "401":
        taken = actions.take(job.pk, now=timezone.now)
        with MarketMessages() as party:
            actions.send(taken=taken, service=party, now=timezone.now)
    else:
        work()
    job = now(job)
    assert PLANTED not in database_as_text()
    assert PLANTED not in rows_as_text(Job, PartnerCall, StatusChange, Note, Alarm, Email)
    assert PLANTED not in logged.text.casefold()
    assert mail.outbox == []
    desk = desks.desk("sip")
    assert PLANTED not in str(desk.inbox_for(clerk, only_mine=False)).casefold()
    for text in ("Planted", "feeding machine", "asbestos", "heart", *HEALTH.values()):
        assert desk.hits(text, clerk) == []
    assert PLANTED not in str(service.running.log(party="market-messages")).casefold()


@pytest.fixture
def echo(settings):
    """A party on loopback that answers with the request's own words: echo(status)."""
    servers = []

    def start(status, shape):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                body = shape(sent).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        settings.SIP_API_URL = f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def accepted(sent):
    told = json.loads(sent)["customer_contact"]["critical_medical_equipment_info"]
    return json.dumps({"status": "ok", "request_id": "r", "scenario": "s", "message": told})


def refused(sent):
    return json.dumps({"message": "No.", "errors": [json.loads(sent)["risk_assessment"]], "x": 1})


def raw(sent):
    return "<p>" + sent.decode()[:3000]


@pytest.mark.parametrize(
    ("status", "shape", "ends"),
    [
        (200, accepted, "accepted"),
        (400, refused, "refused"),
        (400, raw, "refused"),
        (500, raw, "unknown"),
        (200, raw, "unknown"),
    ],
)
def test_what_the_party_echoes_is_kept_encrypted_alone(
    service, office, work, private_jobs, echo, logged, status, shape, ends
):
    job = office.sending(private_jobs)
    echo(status, shape)
    work()
    job = now(job)
    assert job.status == ends
    assert PLANTED not in database_as_text()
    assert PLANTED not in rows_as_text(Job, PartnerCall, StatusChange, Note, Alarm)
    assert PLANTED not in logged.text.casefold()
    assert "Planted" in job.sends.get().reply


def test_no_body_is_kept_in_the_log_of_calls(service, office, work, private_jobs):
    job = office.sending(private_jobs)
    work()
    call = PartnerCall.objects.for_case(job).get()
    kept = json.loads(call.request_body)
    assert kept.keys() == {"job_id", "bytes", "sha256"}
    assert kept["sha256"] == job.sends.get().message.sha256
    assert service.url not in call.request_line
    assert call.request_headers == {"Authorization": "[removed]"}


def test_uploads_wait_encrypted(by):
    rows = [{"SITE_RISK": "Planted dog"}]
    actions.keep_upload(rows=rows, file_name="jobs.csv", by=by, now=timezone.now)
    assert PLANTED not in database_as_text()
    assert JobImport.objects.get().rows == rows


def test_what_two_devices_said_is_encrypted(office, by):
    job = office.create(**HEALTH)
    said = {"critical_medical_equipment_info": "Planted pump"}
    save = {"job": now(job), "block": "customer_contact", "revision": 0}
    actions.save_block(**save, answers={"contact_made": True}, by=by, now=timezone.now)
    with pytest.raises(actions.ChangedMeanwhile):
        actions.save_block(**{**save, "job": now(job)}, answers=said, by=by, now=timezone.now)
    assert worksheet.open_clashes(job)[0].answers == said
    assert PLANTED not in database_as_text()


# ---- Evidence --------------------------------------------------------------------------------


def pack(job, *, private):
    content = evidence.pack(job, private=private, now=timezone.now())
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return {name: archive.read(name) for name in archive.namelist()}


def test_the_pack_holds_the_message_byte_for_byte(service, office, work, private_jobs):
    job = office.sending(private_jobs)
    work()
    job = now(job)
    files = pack(job, private=True)
    message = job.versions.get()
    assert files["message-1.json"] == worksheet.bytes_of(message)
    assert files["SHA256SUMS"].decode() == f"{message.sha256}  message-1.json\n"
    assert json.loads(files["reply-1.txt"])["request_id"] == job.their_reference
    assert files[f"{job.reference}.pdf"].startswith(b"%PDF-")
    assert json.loads(files["attempts.json"])[0]["scenario"] == job.scenario
    assert "Confirmed" not in files["timeline.csv"].decode()
    assert office.by.name in files["timeline.csv"].decode()
    assert {name for name in files if name.startswith("photos-1/")} == {
        f"photos-1/{photo.block}-{photo.field}.jpg" for photo in message.photos.all()
    }


def test_a_masked_pack_has_no_health_data(service, office, work, private_jobs):
    job = office.sending(private_jobs)
    work()
    job = now(job)
    files = pack(job, private=False)
    assert set(files) == {
        *(f"{job.reference}.pdf", "timeline.csv", "attempts.json", "SHA256SUMS"),
        "LEFT-OUT.txt",
    }
    everything = b"".join(files.values()).lower()
    assert PLANTED.encode() not in everything
    sent = worksheet.frozen_answers(job.versions.get())
    parts = worksheet.without_private(worksheet.in_words(sent, ()))
    assert PLANTED not in str(parts).casefold()


def test_a_pack_of_a_job_that_was_never_sent_and_of_an_old_one(service, office, work, settings):
    job = office.to_check(service.sample("prevented"))
    assert "SHA256SUMS" in pack(job, private=True)
    office.authorise(job)
    work()
    settings.SIP_HEALTH_KEPT_DAYS = 1
    actions.remove_private(now=timezone.now() + timedelta(days=2))
    files = pack(now(job), private=True)
    assert "message-1.json" not in files
    assert job.versions.get().sha256 in files["SHA256SUMS"].decode()
