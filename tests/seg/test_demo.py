"""`manage.py demo`: a case in every status, through the same actions, and nothing twice."""

import io
import threading

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connections

from core.demo import wait_until
from core.models import Alarm, Email, PartnerCall
from seg.models import Application, Attachment, Tariff
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def only_this_desk(monkeypatch):
    """What other desks put into the demo stays out of it."""
    for desk in ("gasquotes", "metering", "pts", "sip"):
        monkeypatch.setattr(f"{desk}.demo.fill", lambda: iter(()))


@pytest.fixture
def worker(work, sandbox, registry, settings):
    """A worker in a thread, and the sandbox on the address that has its control pages."""
    settings.SEG_API_URL = sandbox.shared_url("registry")
    settings.SEG_AUTO_APPROVE = True
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
    yield
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()


def run():
    printed = io.StringIO()
    call_command("demo", stdout=printed)
    return printed.getvalue()


def counts():
    models = [*apps.get_app_config("seg").get_models(), *apps.get_app_config("core").get_models()]
    return {
        model._meta.label: model.objects.count()
        for model in models
        if model._meta.label not in ("core.Heartbeat", "core.Alarm")
    }


def settled():
    """Wait until the worker has done what is due now."""

    def done():
        waiting = Email.objects.filter(state="waiting", by=None)
        checking = Application.objects.filter(status="checking", verified_at=None, trouble="")
        asked = Application.objects.filter(status="approved", verifications__verdict="approve")
        gone = asked.filter(submission_key="demo MCS-70000004-E")
        return not (waiting.exists() or checking.exists() or gone.exists())

    assert wait_until(done)


def test_every_status_is_there_and_the_second_run_adds_nothing(worker):
    person = UserFactory(role="export tariff")
    printed = run()
    assert "20 applications for the UAT certificates" in printed
    settled()

    found = set(Application.objects.values_list("status", flat=True))
    assert found == set(Application.Status.values)
    uat = Application.objects.filter(submission_key__startswith="demo MCS-0110")
    assert uat.count() == 20
    assert uat.filter(status="approved").count() == 5
    assert uat.filter(status="refused").exclude(decision_reason="").count() == 15
    assert Application.objects.filter(assigned_to=person).exists()
    assert Application.objects.filter(trouble="odd", status="checking").exists()
    assert Application.objects.filter(in_progress_since__isnull=False).exists()
    assert Alarm.objects.filter(over_at=None).count() == 1
    assert Email.objects.filter(by=person).count() >= 3
    assert Tariff.objects.count() == 2

    before = counts()
    run()
    settled()
    after = counts()
    # What waits is asked again on its own; nothing else may be new.
    before.pop(PartnerCall._meta.label), after.pop(PartnerCall._meta.label)
    assert after == before
    assert not Attachment.objects.exists()


def test_without_anybody_of_the_role_it_says_so(worker):
    assert "run set_up_people first" in run()


def test_without_a_sandbox_it_says_so(registry, settings):
    registry.fault("refuse")
    with pytest.raises(CommandError, match="Start it: manage"):
        call_command("demo")
    assert not Application.objects.exists()
