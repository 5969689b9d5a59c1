"""The desk's part of `manage.py demo`: a month half done, every status present, nothing twice."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from core.demo import wait_until
from core.models import StatusChange
from pts import actions, demo
from pts.models import Batch, HelpDeskException, Report, Submission, System, Window

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(production, work, settings):
    """A worker in a thread, and the sandbox on the address that has its control pages."""
    settings.PTS_API_URL = production.running.shared_url("production-tracking")
    settings.SEND_DELAY_SECONDS = 1
    production.options(window="always")
    stopping = threading.Event()

    def go_on():
        try:
            while not stopping.is_set():
                actions.keep_windows(now=timezone.now)
                work()
                stopping.wait(0.05)
        finally:
            connections.close_all()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()


def settled():
    """Wait until the party was asked and only what never ends is still validating."""
    assert wait_until(lambda: not Batch.objects.filter(due_at__isnull=False).exists())
    early = timezone.now() - timedelta(minutes=16)
    Window.objects.filter(polled_at__isnull=False).update(polled_at=early, due_at=timezone.now())
    assert wait_until(lambda: Report.objects.filter(status="passed").exists())


def counts():
    models = (System, Window, Report, Batch, Submission, HelpDeskException, StatusChange)
    return {model._meta.label: model.objects.count() for model in models}


def test_every_status_is_there_and_the_second_run_adds_nothing(worker, person):
    person("production"), person("supervisor")
    told = list(demo.fill())
    assert any(line.startswith("300 systems") for line in told), told
    assert any("systems are sent" in line for line in told), told
    settled()
    statuses = Counter(Report.objects.values_list("status", flat=True))
    assert set(statuses) == set(Report.Status.values), statuses
    assert statuses["passed"] > 100
    assert Report.objects.filter(is_blocked=True).exists()
    assert HelpDeskException.objects.count() == 1

    before = counts()
    assert "the month is under way already" in list(demo.fill())
    assert counts() == before


def test_without_anybody_of_the_roles_it_says_so(db):
    assert any("run set_up_people first" in line for line in demo.fill())
    assert not System.objects.exists()
