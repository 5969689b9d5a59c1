"""The demo of the desk: a job in every status, through the same actions, and nothing twice."""

import threading

import pytest
from django.db import connections

from core.models import PartnerCall, StatusChange
from sip import demo
from sip.models import Attempt, Job, Photo
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(work, service, sandbox, settings, code_lists):
    """A worker in a thread, and the sandbox on the address that has its control pages."""
    settings.SIP_API_URL = sandbox.shared_url("market-messages")
    settings.SEND_DELAY_SECONDS = 30
    stopping = threading.Event()

    def go_on():
        try:
            while not stopping.is_set():
                work()
                stopping.wait(0.05)
        finally:
            connections.close_all()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield service
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()


def counts():
    return [model.objects.count() for model in (Job, Attempt, Photo, StatusChange, PartnerCall)]


def test_a_job_in_every_status_and_nothing_twice(worker):
    assert "run set_up_people" in next(iter(demo.fill()))
    UserFactory(role="safe isolation")
    UserFactory(role="engineer")
    assert list(demo.fill()) == [f"{len(demo.VISITS)} isolation jobs, one of them unknown"]
    found = {job.contact_name: job for job in Job.objects.all()}
    assert {each.name: each.ends for each in demo.VISITS} == {
        name: job.status for name, job in found.items()
    }
    assert set(Job.Status.values) == {job.status for job in found.values()}
    assert Job.objects.filter(status=Job.Status.UNKNOWN).count() == 1
    assert len(worker.accepted(found["Kit Larkham"])) == 1
    assert len(worker.accepted(found["Fenella Rook"])) == 0
    refused = found["Jocasta Wynn"].sends.get()
    assert refused.details[0]["field"] == "notices_issued"
    before = counts()
    list(demo.fill())
    assert counts() == before
