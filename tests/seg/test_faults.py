"""Every fault of the played registry against the verifying tasks: each ends as law 3 says.

Nothing fails open: an application waits, staff are alarmed once, the customer reads that we are
still checking, and when the fault is gone it ends by itself. Both sides' records agree.
"""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from core import queue
from core.models import Alarm, Email, PartnerCall, StatusChange
from core.workflow import actor_for
from sandbox.faults import FAULTS
from seg import actions
from seg.actions import Correction
from seg.client import InstallationRegistry
from seg.models import VERIFY, Application, Verification
from seg.tracking import story
from tests.factories import SubmissionFactory, TariffFactory, applicant_of

pytestmark = pytest.mark.django_db
NUMBERS = ("MCS-80000001-A", "MCS-80000002-A")
SILENT = "The installation registry gives no usable answer"
ODD = "The installation registry’s reply is not what it promises"
# fault: the one alarm that it raises, the outcome of its calls
WAITING_FAULTS = {
    "slow": (SILENT, "unavailable"),
    "drip": (SILENT, "unavailable"),
    "drip_all": (SILENT, "unavailable"),
    "hang": (SILENT, "unavailable"),
    "401": (SILENT, "refused"),
    "404": (SILENT, "refused"),
    "429": (SILENT, "unavailable"),
    "500": (SILENT, "unavailable"),
    "html": (ODD, "unexpected"),
    "empty": (ODD, "unexpected"),
    "truncated": (ODD, "unexpected"),
    "cut": (SILENT, "unavailable"),
    "wrong_types": (ODD, "unexpected"),
    "wrong_number": (ODD, "unexpected"),
    "big": (ODD, "unexpected"),
    "redirect": (ODD, "unexpected"),
    "reset": (SILENT, "unavailable"),
    "close": (SILENT, "unavailable"),
    "refuse": (SILENT, "unavailable"),
}
ASKING = ("400", "400_html")
HOW = {
    "slow": {"seconds": 3},
    "hang": {"seconds": 3},
    "drip": {"seconds": 0.1},
    "drip_all": {"seconds": 0.1},
    "429": {"retry_after": 7},
}


SLOW = {"slow", "hang", "drip", "drip_all"}


@pytest.fixture(autouse=True)
def approving(settings):
    """Approve what is clean."""
    settings.SEG_AUTO_APPROVE = True
    TariffFactory()


@pytest.fixture
def suffers(registry, settings):
    """Switch a fault on and, with a slow one, give up soon; without a name mend everything."""

    def suffers(fault=""):
        soon = (0.15, 0.3) if fault in SLOW else (10.0, 20.0)
        settings.SEG_READ_TIMEOUT, settings.SEG_DEADLINE = soon
        registry.mend()
        if fault:
            registry.fault(fault, **HOW.get(fault, {}))

    return suffers


def send(registry, number, **said):
    fields = {**applicant_of(registry.certificate(number)), **said}
    return actions.submit(submission=SubmissionFactory(**fields), key=number, now=timezone.now)


def read(application):
    return Application.objects.get(pk=application.pk)


def calls_agree(registry):
    """The sandbox's log and our record of calls hold the same calls in the same order."""
    ours = PartnerCall.objects.exclude(problem__contains="nothing was sent").order_by("pk")
    theirs = registry.log(limit=1000)[::-1]
    numbers = [call.request_line.rpartition("/")[2] for call in ours]
    return numbers == [entry["path"].rpartition("/")[2] for entry in theirs]


def test_every_fault_of_the_sandbox_is_here():
    assert set(FAULTS) == {*WAITING_FAULTS, *ASKING}


@pytest.mark.parametrize("fault", WAITING_FAULTS)
def test_an_application_waits_until_the_fault_is_gone(fault, suffers, registry, work, client):
    title, outcome = WAITING_FAULTS[fault]
    suffers(fault)
    sent = [send(registry, number) for number in NUMBERS]
    start = timezone.now()

    work(until=start + timedelta(seconds=15))

    for application in map(read, sent):
        assert application.status == "checking"
        assert application.attempts >= 2
        assert application.due_at > start + timedelta(seconds=15)
        assert application.why.startswith("No usable answer from the registry; next try")
        page = client.get(f"/seg/track/{application.token}/").content.decode()
        assert "We are still checking" in page
        assert application.verified_at is None
        assert application.decision_reason == ""
        assert [move.move for move in StatusChange.objects.for_case(application)] == ["open"]
    assert not Verification.objects.exists()
    assert set(Email.objects.values_list("subject", flat=True).distinct()) == {
        f"Larkmoor Energy {application.reference}: we have your application" for application in sent
    }
    alarm = Alarm.objects.get()
    assert (alarm.title, alarm.over_at, alarm.desk) == (title, None, "seg")
    assert alarm.times == PartnerCall.objects.count() >= 4
    assert alarm.text
    assert alarm.next_step
    assert set(PartnerCall.objects.values_list("outcome", flat=True)) == {outcome}
    assert calls_agree(registry)

    suffers()
    work(until=start + timedelta(minutes=5))

    assert {read(application).status for application in sent} == {"approved"}
    assert {read(application).trouble for application in sent} == {""}
    alarm.refresh_from_db()
    assert alarm.over_at is not None
    assert Alarm.objects.count() == 1
    assert PartnerCall.objects.filter(outcome="answered").count() == len(sent)
    assert calls_agree(registry)
    assert {entry["credentials"] for entry in registry.log()} <= {True, None}


@pytest.mark.parametrize("fault", ASKING)
def test_a_400_asks_the_customer_for_the_number(fault, registry, work):
    registry.fault(fault)
    application = send(registry, NUMBERS[0])
    work(until=timezone.now() + timedelta(days=2))

    application = read(application)
    assert (application.status, application.due_at) == ("waiting", None)
    assert story(application).heading == "Please check your certificate number"
    assert not Alarm.objects.exists()
    assert PartnerCall.objects.get().outcome == "answered"
    subject = Email.objects.latest("pk").subject
    assert subject.endswith("please check your certificate number")

    registry.mend()
    names = Correction.__dataclass_fields__
    correction = Correction(**{name: getattr(application, name) for name in names})
    actions.correct(application=application, correction=correction, now=timezone.now)
    work()
    assert read(application).status == "approved"
    assert calls_agree(registry)


@pytest.mark.parametrize("fault", WAITING_FAULTS)
def test_an_approved_certificate_stays_approved(fault, suffers, registry, work):
    application = send(registry, NUMBERS[0])
    work()
    with time_machine.travel(read(application).due_at, tick=True):
        suffers(fault)
        start = timezone.now()
        work(until=start + timedelta(seconds=4))
        application = read(application)
        assert application.status == "approved"
        assert application.attempts >= 1
        assert start < application.due_at < start + timedelta(minutes=1)
        assert story(application).heading == "Your application is approved"
        assert Alarm.objects.filter(over_at=None).count() == 1
        assert Email.objects.filter(subject__contains="paused").count() == 0

        suffers()
        work(until=start + timedelta(minutes=5))
        application = read(application)
        assert application.status == "approved"
        assert (application.attempts, application.trouble) == (0, "")
        assert application.due_at > start + timedelta(days=20)
        assert not Alarm.objects.filter(over_at=None).exists()
        assert calls_agree(registry)


# ---- How often, how long ---------------------------------------------------------------------


def test_each_try_waits_longer_than_the_last(registry, work):
    registry.fault("500")
    application = send(registry, NUMBERS[0])
    waits = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(9):
            work()
            due_at = read(application).due_at
            waits.append((due_at - timezone.now()).total_seconds())
            clock.move_to(due_at)
    assert waits == sorted(waits)
    assert 4 < waits[0] < 6
    assert 3000 < waits[-1] < 4000


def test_429_is_obeyed(registry, work):
    registry.fault("429", retry_after=900)
    application = send(registry, NUMBERS[0])
    work()
    wait = read(application).due_at - timezone.now()
    assert timedelta(seconds=890) < wait <= timedelta(seconds=900)


def test_at_the_limit_a_person_looks(registry, work):
    registry.fault("500")
    application = send(registry, NUMBERS[0])
    work(until=timezone.now() + timedelta(days=4))
    application = read(application)
    assert application.status == "review"
    assert application.why == f"The registry gave no usable answer {VERIFY.limit} times"
    assert (application.trouble, application.due_at) == ("", None)
    assert PartnerCall.objects.count() == len(registry.log(limit=1000)) == VERIFY.limit
    assert Alarm.objects.get().times == VERIFY.limit
    assert story(application).heading == "A person is deciding on your application"
    last = StatusChange.objects.for_case(application).latest("pk")
    assert (last.move, last.by_name) == ("give_to_person", "the portal")
    assert "HTTP 500" in last.note


@pytest.mark.parametrize("fault", ["401", "404"])
def test_our_own_fault_is_waited_out_without_a_limit(fault, registry, work):
    registry.fault(fault)
    application = send(registry, NUMBERS[0])
    work(until=timezone.now() + timedelta(days=3))
    application = read(application)
    assert application.status == "checking"
    assert application.attempts > VERIFY.limit
    assert application.due_at < timezone.now() + timedelta(days=3, hours=2)
    assert Alarm.objects.count() == 1


def test_the_first_answer_wakes_all_who_wait(registry, work):
    registry.fault("500", match="8000000")
    sent = [send(registry, number) for number in NUMBERS]
    start = timezone.now()
    work(until=start + timedelta(hours=2))
    assert read(sent[0]).due_at > start + timedelta(hours=2, minutes=5)
    registry.mend()
    with time_machine.travel(start + timedelta(hours=2), tick=True):
        clean = send(registry, "MCS-80000010-A")
        work()
        assert read(clean).status == "approved"
        work(until=timezone.now() + timedelta(seconds=12))
    assert {read(application).status for application in sent} == {"approved"}
    assert not Alarm.objects.filter(over_at=None).exists()


def test_the_alarm_lasts_while_anybody_waits(registry, work):
    registry.fault("500", match=NUMBERS[0])
    waits = send(registry, NUMBERS[0])
    work()
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=True):
        for place in range(3):
            send(registry, f"MCS-8000002{place}-A")
            work()
        assert read(waits).status == "checking"
        assert Alarm.objects.filter(over_at=None).count() == Alarm.objects.count() == 1


@pytest.mark.parametrize("leaves", ["the customer", "a person"])
def test_an_odd_reply_about_an_application_that_has_left_alarms_nobody(
    leaves, registry, work, decider
):
    registry.fault("html", match=NUMBERS[0])
    waits = send(registry, NUMBERS[0])
    work()
    assert Alarm.objects.get(over_at=None).title == ODD
    if leaves == "the customer":
        actions.withdraw_own(application=read(waits), reason="", now=timezone.now)
    else:
        by = actor_for(decider)
        actions.withdraw(application=read(waits), reason="rang", by=by, now=timezone.now)
    send(registry, NUMBERS[1])
    work()
    assert not Alarm.objects.filter(over_at=None).exists()


def test_one_fault_after_another_keeps_one_alarm_a_kind(suffers, registry, work):
    for place, fault in enumerate(("500", "html", "refuse", "empty", "401")):
        suffers(fault)
        send(registry, f"MCS-8000003{place}-A")
        work()
    assert sorted(Alarm.objects.filter(over_at=None).values_list("title", flat=True)) == [
        SILENT,
        ODD,
    ]


# ---- Workers that die, answers that come late ------------------------------------------------


def test_a_killed_workers_claim_is_taken_up_after_its_lease(registry, work):
    application = send(registry, NUMBERS[0])
    start = timezone.now()
    assert queue.claim(VERIFY, application.pk, now=start) is not None
    work(until=start + VERIFY.lease - timedelta(seconds=5))
    assert read(application).status == "checking"
    assert PartnerCall.objects.count() == 0

    work(until=start + VERIFY.lease + timedelta(seconds=5))
    assert read(application).status == "approved"
    cut_off, answered = PartnerCall.objects.order_by("started_at")
    assert (cut_off.outcome, answered.outcome) == ("cut off", "answered")
    assert cut_off.started_at == start
    assert cut_off.reference == application.reference
    assert len(registry.log()) == 1


def test_an_answer_after_the_customer_withdrew_keeps_only_the_call(registry, work):
    application = send(registry, NUMBERS[0])
    claim = queue.claim(VERIFY, application.pk, now=timezone.now())
    actions.withdraw_own(application=read(application), reason="", now=timezone.now)
    with InstallationRegistry() as client:
        actions.verify(claim=claim, registry=client, now=timezone.now)
    application = read(application)
    assert (application.status, application.due_at) == ("withdrawn", None)
    assert application.verified_at is None
    assert not Verification.objects.exists()
    assert PartnerCall.objects.get().reference == application.reference
    assert calls_agree(registry)


def test_a_failure_after_the_customer_withdrew_alarms_nobody(registry, work):
    application = send(registry, NUMBERS[0])
    registry.fault("500")
    claim = queue.claim(VERIFY, application.pk, now=timezone.now())
    actions.withdraw_own(application=read(application), reason="", now=timezone.now)
    with InstallationRegistry() as client:
        actions.verify(claim=claim, registry=client, now=timezone.now)
    assert read(application).trouble == ""
    assert PartnerCall.objects.count() == 1
    assert not Alarm.objects.exists()
