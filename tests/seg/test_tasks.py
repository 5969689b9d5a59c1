"""The desk's worker over weeks: unfinished certificates, and approved ones that are read again."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from celery import current_app
from django.core import mail as outbox
from django.db import transaction
from django.utils import timezone

from core import queue
from core.models import Alarm, Email, Note, PartnerCall, StatusChange
from core.workflow import NotAllowed, actor_for
from seg import actions
from seg.models import VERIFY, VERIFY_AGAIN, Application
from seg.tracking import story
from tests.factories import ApplicationFactory, SubmissionFactory, TariffFactory, applicant_of

pytestmark = pytest.mark.django_db
NUMBER = "MCS-70000004-E"
MONTH = timedelta(days=32)


@pytest.fixture(autouse=True)
def tariff(settings):
    settings.SEG_AUTO_APPROVE = True
    return TariffFactory(code="SEG-2026")


@pytest.fixture
def send(registry):
    def send(number=NUMBER, **said):
        fields = {**applicant_of(registry.certificate(number)), **said}
        form = SubmissionFactory(**fields)
        return actions.submit(submission=form, key=number, now=timezone.now)

    return send


@pytest.fixture
def approved(send, work):
    application = send()
    work()
    assert read(application).status == "approved"
    return application


def read(application):
    return Application.objects.get(pk=application.pk)


def letters(application):
    emails = Email.objects.filter(reference=application.reference).order_by("pk")
    return [email.subject.partition(": ")[2] for email in emails]


# ---- The bell and the claim ------------------------------------------------------------------


def test_the_bell_names_the_task_and_the_row_alone(bells, send, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        application = send()
    assert ("seg.verify", application.pk) in bells
    assert "seg.verify" in current_app.tasks


def test_a_doubled_bell_calls_once(send, registry, work):
    application = send()
    for _ in range(3):
        current_app.tasks["seg.verify"](application.pk)
    assert len(registry.log()) == 1
    assert PartnerCall.objects.count() == 1


def test_a_lost_bell_is_found_by_the_sweep(bells, send, work):
    application = send()
    bells.clear()
    assert queue.sweep(now=timezone.now() + timedelta(seconds=11)) >= 1
    assert ("seg.verify", application.pk) in bells


def test_a_bell_for_nothing_does_nothing(registry, work):
    for status in ("review", "approved", "refused"):
        application = ApplicationFactory(status=status)
        current_app.tasks["seg.verify"](application.pk)
        current_app.tasks["seg.verify_again"](application.pk)
    current_app.tasks["seg.verify"](10**9)
    assert registry.log() == []


# ---- In Progress -----------------------------------------------------------------------------


def test_an_unfinished_certificate_is_looked_at_daily_and_told_once(send, work, registry):
    application = send("MCS-70000001-B")
    start = timezone.now()
    work(until=start + timedelta(days=6, hours=1))
    application = read(application)
    assert application.status == "checking"
    assert application.why == "Certificate in progress, not completed yet"
    assert story(application).heading == "Your certificate is not finished yet"
    assert len(registry.log()) == 7
    assert letters(application) == [
        "we have your application",
        "your certificate is not finished yet",
    ]
    assert not Alarm.objects.exists()
    assert application.verifications.count() == 7


def test_after_the_limit_a_person_looks(send, work, registry, settings):
    settings.SEG_IN_PROGRESS_DAYS = 5
    application = send("MCS-70000001-B")
    work(until=timezone.now() + timedelta(days=20))
    application = read(application)
    assert (application.status, application.due_at) == ("review", None)
    assert application.why == "Still in progress after 5 days"
    assert len(registry.log()) == 6
    assert len(letters(application)) == 2


def test_a_certificate_that_is_finished_goes_on_by_itself(send, work):
    application = send("MCS-70000002-C")
    work(until=timezone.now() + timedelta(days=2, hours=1))
    application = read(application)
    assert (application.status, application.in_progress_since) == ("approved", None)
    assert letters(application)[1:] == ["your certificate is not finished yet", "approved"]


def test_a_fault_meanwhile_does_not_count_as_a_day(send, work, registry):
    application = send("MCS-70000001-B")
    work()
    start = timezone.now()
    with time_machine.travel(start + timedelta(days=1, minutes=1), tick=True):
        registry.fault("500")
        work()
        assert story(read(application)).heading == "We are still checking"
        registry.mend()
        work(until=timezone.now() + timedelta(minutes=1))
        application = read(application)
    assert application.due_at > start + timedelta(days=1, hours=23)
    assert application.in_progress_since < start + timedelta(minutes=1)
    assert story(application).heading == "Your certificate is not finished yet"
    assert len(letters(application)) == 2


# ---- Approved, and read again ----------------------------------------------------------------


def test_a_certificate_that_stands_is_kept(approved, work, registry):
    work(until=timezone.now() + 3 * MONTH)
    row = read(approved)
    assert row.status == "approved"
    assert 3 <= len(registry.log()) - 1 <= 4
    assert [v.verdict for v in row.verifications.all()][-2:] == ["keep", "approve"]
    assert letters(row) == ["we have your application", "approved"]
    assert not Alarm.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Status": 3}, "withdrawn"),
        ({"Status": 4}, "removed"),
        ({"Status": 1}, "not finished"),
        ({"Technology": 7}, "hydro"),
    ],
)
def test_a_certificate_that_no_longer_stands_suspends(change, words, approved, work, registry):
    registry.change(NUMBER, **change)
    work(until=timezone.now() + MONTH)
    row = read(approved)
    assert (row.status, row.due_at) == ("suspended", None)
    assert row.due_by is not None
    assert words in row.decision_reason.lower()
    assert letters(row)[-1] == "your export tariff is paused"
    assert row.decision_reason.split(".")[0] in " ".join(outbox.outbox[-1].body.split())
    assert StatusChange.objects.for_case(row).latest("pk").by_name == "the portal"
    assert story(row).heading == "Your export tariff is paused"
    calls = len(registry.log())
    work(until=timezone.now() + 3 * MONTH)
    assert len(registry.log()) == calls


def test_a_certificate_that_is_gone_suspends(approved, work, registry):
    registry.fault("400")
    work(until=timezone.now() + MONTH)
    row = read(approved)
    assert row.status == "suspended"
    assert "does not know" in row.why


def test_a_changed_certificate_raises_one_alarm_and_stays_approved(approved, work, registry):
    registry.change(NUMBER, Technology=99, Technology_Description="Tidal Kite")
    work(until=timezone.now() + 3 * MONTH)
    row = read(approved)
    assert row.status == "approved"
    alarm = Alarm.objects.get()
    assert (alarm.times, alarm.title) == (1, f"{row.reference}: the certificate has changed")
    note = Note.objects.get(reference=row.reference)
    assert (note.kind, note.by_name) == ("event", "the portal")
    assert len(letters(row)) == 2


def test_a_registry_that_is_down_suspends_nobody(approved, work, registry):
    with time_machine.travel(read(approved).due_at, tick=True):
        registry.fault("500")
        start = timezone.now()
        work(until=start + timedelta(days=4))
        row = read(approved)
        assert row.status == "approved"
        assert row.due_at < start + timedelta(days=6)
        assert len(registry.log(limit=1000)) > VERIFY_AGAIN.limit
        assert Alarm.objects.count() == 1
        registry.mend()
        work(until=start + timedelta(days=6))
    assert read(approved).due_at > start + timedelta(days=30)
    assert not Alarm.objects.filter(over_at=None).exists()


@pytest.fixture
def suspended(approved, work, registry):
    registry.change(NUMBER, Status=3)
    with time_machine.travel(timezone.now() + MONTH, tick=True):
        work()
    return read(approved)


def test_a_person_reinstates_with_a_reason(suspended, work, decider, tariff):
    by = actor_for(decider)
    with pytest.raises((actions.ReasonMissing, NotAllowed)):
        actions.approve(application=suspended, reason="", by=by, now=timezone.now)
    actions.approve(application=suspended, reason="MCS rang", by=by, now=timezone.now)
    row = read(suspended)
    assert (row.status, row.tariff, row.decision_reason) == ("approved", tariff, "")
    assert row.due_at > timezone.now() + timedelta(days=28)
    assert StatusChange.objects.for_case(row).latest("pk").move == "reinstate"
    assert letters(row)[-1] == "your export tariff goes on"


def test_a_person_refuses_what_is_suspended(suspended, work, decider):
    reason = "MCS has withdrawn the certificate."
    actions.refuse(application=suspended, reason=reason, by=actor_for(decider), now=timezone.now)
    work(until=timezone.now() + timedelta(seconds=40))
    row = read(suspended)
    assert (row.status, row.decision_reason) == ("refused", reason)
    assert letters(row)[-1] == "we cannot approve it"
    assert story(row).reason == reason


def test_a_suspended_application_holds_its_certificate(suspended, work):
    other = SubmissionFactory(certificate_number=NUMBER)
    second = actions.submit(submission=other, key="again", now=timezone.now)
    work()
    assert read(second).status != "approved"


def test_rereading_is_spread_evenly():
    now = timezone.now()
    moments = [actions.next_verification(pk, now) - now for pk in range(1, 3001)]
    assert min(moments) >= timedelta(days=28.5)
    assert max(moments) <= timedelta(days=31.5)
    buckets = Counter((moment - timedelta(days=28.5)) // timedelta(hours=6) for moment in moments)
    assert len(buckets) == 12
    assert max(buckets.values()) < 1.2 * min(buckets.values())


def test_rereading_is_spread_evenly_for_neighbours_too():
    now = timezone.now()
    moments = sorted(actions.next_verification(pk, now) for pk in range(5000, 5040))
    gaps = [b - a for a, b in pairwise(moments)]
    assert max(gaps) < timedelta(hours=12)


def test_the_queue_takes_only_rows_in_its_status():
    statuses = ("checking", "review", "waiting", "approved", "suspended", "refused", "withdrawn")
    for status in statuses:
        ApplicationFactory(status=status)
    assert [row.status for row in VERIFY.rows()] == ["checking"]
    assert [row.status for row in VERIFY_AGAIN.rows()] == ["approved"]


def test_every_attempt_that_was_cut_off_is_recorded():
    application, start = ApplicationFactory(), timezone.now()
    with transaction.atomic():
        queue.due(VERIFY, application.pk, now=start)
    beyond = VERIFY.lease + timedelta(seconds=1)
    for attempt in range(3):
        assert actions.take(VERIFY, application.pk, now=lambda n=attempt: start + n * beyond)
    cut_off = PartnerCall.objects.filter(case_id=application.pk, outcome="cut off")
    assert [row.started_at for row in cut_off.order_by("started_at")] == [start, start + beyond]
