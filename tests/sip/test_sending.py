"""From a checked worksheet to exactly one message: every outcome, every fault, kills and races."""

import hashlib
import json
import urllib.request
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from core import queue
from core.confirm import NotConfirmed, used
from core.demo import wait_until
from core.models import Alarm, PartnerCall, StatusChange
from core.workflow import Conflict, Impossible, NotAllowed, actor_for
from sip import actions, worksheet
from sip.client import MarketMessages
from sip.models import SEND, Attempt, Job, KeyStop, Message
from tests.core.racing import race
from tests.sip.conftest import now

pytestmark = pytest.mark.django_db
Status = Job.Status
NEVER_THERE = ("500", "503", "hang", "reset", "closed", "close", "html", "empty", "redirect", "408")
MAYBE_THERE = (
    *("lost", "done_hang", "done_closed", "done_408", "done_500", "done_504", "done_redirect"),
    *("done_html", "done_empty", "truncated", "cut", "wrong_types", "big", "drip_all"),
)


@pytest.fixture
def sent(service, office, work):
    """Send a sample under a fault: sent("500") gives the job as it stands then."""

    def send(fault=None, sample="prevented", **how):
        job = office.sending(service.sample(sample))
        if fault:
            service.fault(fault, **{"seconds": 5, **how})
        work()
        return now(job)

    return send


def only(job):
    """The one attempt of a job."""
    return job.sends.get()


# ---- Yes and no ------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", ["completed", "prevented", "unsafe"])
def test_a_job_becomes_one_message(service, office, work, sample):
    blocks = service.sample(sample)
    job = office.to_check(blocks, site_risk="", customer_vulnerability="")
    made = worksheet.composed(job)
    office.authorise(job)
    work()
    job, attempt = now(job), only(job)
    assert job.status == Status.ACCEPTED
    [taken] = service.accepted(job)
    assert taken["sha256"] == attempt.message.sha256 == made.sha256
    assert taken["size"] == attempt.message.size == len(made.message)
    assert taken["blocks"] == list(blocks)
    assert hashlib.sha256(worksheet.bytes_of(attempt.message)).hexdigest() == taken["sha256"]
    assert (job.their_reference, job.scenario) == (taken["request_id"], taken["scenario"])
    assert attempt.outcome == "accepted"
    assert attempt.their_reference == job.their_reference
    assert attempt.started_at <= attempt.ended_at == job.accepted_at
    assert job.due_at is None
    assert job.claim is None


@pytest.mark.parametrize(
    "switches",
    [
        {"request_id_key": "Request ID", "scenario_key": "Scenario ID"},
        {"request_id_key": "requestId", "scenario_key": "scenarioId", "status_form": "number"},
        {"scenario_form": "number"},
        {"scenario_form": "title"},
    ],
)
def test_an_acceptance_is_read_however_it_is_spelt(service, sent, switches):
    service.switch(**switches)
    job = sent()
    assert job.status == Status.ACCEPTED
    assert job.scenario
    assert job.their_reference == service.accepted(job)[0]["request_id"]


@pytest.mark.parametrize("form", ["objects", "fields", "nested", "texts", "text"])
@pytest.mark.parametrize("key", ["details", "errors", "detail"])
def test_a_refusal_leads_to_the_field(service, office, work, form, key):
    service.switch(details_form=form, details_key=key, refuse_unknown_codes=True)
    blocks = service.sample("prevented")
    blocks["job_completion"]["notices_issued"] = "A notice nobody knows"
    job = office.sending(blocks)
    work()
    job = now(job)
    assert job.status == Status.REFUSED
    assert service.accepted(job) == []
    places = {(each["block"], each["field"]) for each in only(job).details}
    assert ("job_completion", "notices_issued") in places
    assert "This code is not known" in only(job).reply
    assert "This code is not known" not in job.why


def test_a_refused_job_is_corrected_and_becomes_a_linked_version(service, office, work):
    service.switch(refuse_unknown_codes=True)
    blocks = service.sample("prevented")
    blocks["job_completion"]["notices_issued"] = "A notice nobody knows"
    job = office.sending(blocks)
    work()
    actions.correct(job=now(job), by=office.by, now=timezone.now)
    sheet = worksheet.sheet_of(job, "job_completion")
    answers = {**sheet.answers, "notices_issued": "Not Applicable"}
    actions.save_block(
        job=now(job),
        block="job_completion",
        answers=answers,
        revision=sheet.revision,
        by=office.by,
        now=timezone.now,
    )
    actions.hand_in(job=now(job), by=office.by, now=timezone.now)
    office.authorise(job)
    work()
    job = now(job)
    assert (job.status, job.refusals) == (Status.ACCEPTED, 1)
    first, second = Message.objects.filter(job=job)
    assert second.previous == first
    assert first.sha256 != second.sha256
    assert [each.outcome for each in job.sends.all()] == ["refused", "accepted"]
    assert [row["sha256"] for row in service.accepted(job)] == [second.sha256]


@pytest.mark.parametrize("fault", ["400", "400_html", "404"])
def test_any_other_4xx_is_a_no(sent, service, fault):
    job = sent(fault)
    assert (job.status, service.accepted(job)) == (Status.REFUSED, [])


# ---- Unknown ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", NEVER_THERE)
def test_what_leaves_it_open_is_unknown(sent, service, work, fault):
    job = sent(fault)
    assert job.status == Status.UNKNOWN
    assert only(job).outcome == "unknown"
    service.mend()
    work(until=timezone.now() + timedelta(days=2))
    assert now(job).status == Status.UNKNOWN
    assert service.accepted(job) == []
    assert PartnerCall.objects.for_case(job).get().outcome == "unknown"


@pytest.mark.parametrize("fault", MAYBE_THERE)
def test_what_was_accepted_and_then_lost_is_unknown_and_never_sent_again(
    sent, service, work, fault
):
    job = sent(fault)
    assert job.status == Status.UNKNOWN
    service.mend()
    work(until=timezone.now() + timedelta(days=2))
    assert now(job).status == Status.UNKNOWN
    assert len(service.accepted(job)) == 1


@pytest.mark.parametrize(("fault", "seconds"), [("drip", 0.001), ("slow", 0.3)])
def test_an_answer_that_takes_its_time_is_an_answer(sent, service, fault, seconds):
    job = sent(fault, seconds=seconds)
    assert job.status == Status.ACCEPTED
    assert len(service.accepted(job)) == 1


def test_what_they_accept_only_after_we_stopped_listening_is_unknown(sent, service, work):
    job = sent("late_doing", seconds=1.2)
    assert job.status == Status.UNKNOWN
    assert wait_until(lambda: len(service.accepted(job)) == 1)
    service.mend()
    work(until=timezone.now() + timedelta(days=1))
    assert now(job).status == Status.UNKNOWN
    assert len(service.arrived(job)) == 1


def test_no_fault_of_the_sandbox_is_forgotten_here(service):
    """Except a good-looking yes to nothing, which nobody can tell from a yes."""
    with urllib.request.urlopen(f"{service.running.url}/control/faults", timeout=10) as reply:
        known = json.load(reply)
    names = {each["fault"] for group in ("known", "known_answer") for each in known[group]}
    tested = {*NEVER_THERE, *MAYBE_THERE, "400", "400_html", "404", "429", "429_bare", "refuse"}
    assert names - tested == {"drip", "slow", "late_doing", "401", "403", "wrong_number"}


def test_a_worker_that_died_while_sending_leaves_it_unknown(service, office, work):
    job = office.sending(service.sample("prevented"))
    assert actions.take(job.pk, now=timezone.now)
    work(until=timezone.now() + SEND.lease + timedelta(seconds=5))
    job = now(job)
    assert job.status == Status.UNKNOWN
    assert (only(job).outcome, job.claim) == ("unknown", None)
    assert PartnerCall.objects.for_case(job).get().outcome == "cut off"
    assert "made again" not in PartnerCall.objects.for_case(job).get().problem.replace(
        "not made again", ""
    )
    work(until=timezone.now() + timedelta(days=1))
    assert service.arrived(job) == []


def test_a_worker_that_died_after_the_call_leaves_it_unknown(service, office, work):
    job = office.sending(service.sample("prevented"))
    taken = actions.take(job.pk, now=timezone.now)
    with MarketMessages() as party:
        body = worksheet.bytes_of(taken.attempt.message)
        party.send(body, job_id=str(job.job_id), private=[])
    work(until=timezone.now() + SEND.lease + timedelta(seconds=5))
    work(until=timezone.now() + timedelta(days=1))
    assert now(job).status == Status.UNKNOWN
    assert len(service.accepted(job)) == 1


def test_doubled_and_late_bells_send_once(service, office, work):
    from celery import current_app

    job = office.sending(service.sample("prevented"))
    work()
    for _ in range(3):
        current_app.tasks["sip.send"](job.pk)
        current_app.tasks["sip.abandoned"](job.pk)
    assert now(job).status == Status.ACCEPTED
    assert len(service.arrived(job)) == 1


# ---- Surely not sent -------------------------------------------------------------------------


def test_a_refused_connection_is_tried_again_until_it_works(service, office, work):
    job = office.sending(service.sample("prevented"))
    service.fault("refuse")
    work(until=timezone.now() + timedelta(seconds=20))
    waiting = now(job)
    assert waiting.status == Status.SENDING
    assert "Next try" in waiting.why
    assert only(waiting).outcome == "waiting"
    assert only(waiting).tries >= 2
    assert Alarm.objects.get(key=actions.SILENT).over_at is None
    service.mend()
    work(until=timezone.now() + timedelta(hours=1))
    assert now(job).status == Status.ACCEPTED
    assert len(service.accepted(job)) == 1
    assert Alarm.objects.get(key=actions.SILENT).over_at


def test_a_name_that_nobody_knows_is_surely_not_sent(service, office, work, settings):
    job = office.sending(service.sample("prevented"))
    settings.SIP_API_URL = "https://nowhere.invalid/market-messages"
    work(until=timezone.now() + timedelta(seconds=3))
    assert now(job).status == Status.SENDING
    assert only(job).sentence.endswith("nothing was sent.")


def test_at_the_limit_a_person_looks(service, office, work):
    job = office.sending(service.sample("prevented"))
    service.fault("refuse")
    work(until=timezone.now() + timedelta(days=1))
    job = now(job)
    assert (job.status, only(job).outcome) == (Status.CHECK, "not_sent")
    assert only(job).tries == SEND.limit
    service.mend()
    office.authorise(job)
    work()
    assert now(job).status == Status.ACCEPTED
    assert Message.objects.filter(job=job).count() == 1


@pytest.mark.parametrize("fault", ["429", "429_bare"])
def test_too_many_is_tried_again_when_they_say(service, office, work, fault):
    job = office.sending(service.sample("prevented"))
    service.fault(fault, calls=1, retry_after=90)
    begun = timezone.now()
    work()
    job = now(job)
    assert job.status == Status.SENDING
    if fault == "429":
        assert job.due_at >= begun + timedelta(seconds=90)
    work(until=timezone.now() + timedelta(minutes=5))
    assert now(job).status == Status.ACCEPTED
    assert only(job).tries == 2


def test_their_real_limit_delays_and_loses_nothing(service, office, work):
    jobs = [office.sending(service.sample("prevented")) for _ in range(4)]
    service.switch(calls_per_minute=2)
    work()
    assert sorted(now(job).status for job in jobs) == ["accepted", "accepted", *["sending"] * 2]
    service.switch(calls_per_minute=None)
    work(until=timezone.now() + timedelta(hours=2))
    assert {now(job).status for job in jobs} == {Status.ACCEPTED}
    assert [len(service.accepted(job)) for job in jobs] == [1] * 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_desk_until_a_person_has_fixed_it(
    service, office, work, settings, status
):
    service.switch(wrong_key_status=status)
    key, settings.SIP_API_KEY = settings.SIP_API_KEY, "a wrong key"
    first = office.sending(service.sample("prevented"))
    work_once = actions.take(first.pk, now=timezone.now)
    with MarketMessages() as party:
        actions.send(taken=work_once, service=party, now=timezone.now)
    second = office.sending(service.sample("prevented"))
    settings.SIP_API_KEY = key
    assert actions.take(second.pk, now=timezone.now) is None
    assert actions.take(first.pk, now=timezone.now) is None
    assert KeyStop.current().http_status == status
    assert Alarm.objects.get(key=actions.KEY_REFUSED).over_at is None
    assert now(first).status == now(second).status == Status.SENDING
    with pytest.raises(NotAllowed):
        actions.key_is_fixed(note=" ", by=office.by, now=timezone.now)
    actions.key_is_fixed(note="New key from their portal.", by=office.by, now=timezone.now)
    work()
    assert now(first).status == now(second).status == Status.ACCEPTED
    assert Alarm.objects.get(key=actions.KEY_REFUSED).over_at
    with pytest.raises(Impossible):
        actions.key_is_fixed(note="Again.", by=office.by, now=timezone.now)


def test_a_file_that_changed_is_never_sent(service, office, work):
    job = office.sending(service.sample("completed"))
    for photo in job.photos.all():
        with photo.file.open("wb") as file:
            file.write(b"another picture")
    work()
    assert now(job).status == Status.CHECK
    assert service.arrived(job) == []
    assert "has changed" in only(job).sentence


def test_a_worker_that_is_too_slow_to_begin_sends_nothing(service, office):
    job = office.sending(service.sample("prevented"))
    taken = actions.take(job.pk, now=timezone.now)
    later = timezone.now() + timedelta(seconds=20)
    with MarketMessages() as party:
        actions.send(taken=taken, service=party, now=lambda: later)
    assert service.arrived(job) == []
    assert now(job).status == Status.SENDING
    assert only(job).outcome == "waiting"


# ---- Late answers and people -----------------------------------------------------------------


@pytest.fixture
def given_up(service, office, work):
    """A job whose worker was given up while it was still at it; `finish()` lets it answer."""

    def make(fault=None):
        job = office.sending(service.sample("prevented"))
        taken = actions.take(job.pk, now=timezone.now)
        work(until=timezone.now() + SEND.lease + timedelta(seconds=5))
        assert now(job).status == Status.UNKNOWN

        def finish():
            if fault:
                service.fault(fault, calls=1)
            with MarketMessages() as party:
                actions.send(taken=taken, service=party, now=timezone.now)

        return job, finish

    return make


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        (None, Status.ACCEPTED, "accepted"),
        ("400", Status.REFUSED, "refused"),
        ("429", Status.CHECK, "not_sent"),
        ("500", Status.UNKNOWN, "unknown"),
    ],
)
def test_a_late_answer_settles_an_unknown_job(given_up, fault, status, outcome):
    job, finish = given_up(fault)
    finish()
    job = now(job)
    assert (job.status, only(job).outcome) == (status, outcome)
    assert only(job).late_outcome == outcome
    assert not Alarm.objects.filter(key__startswith="sip late").exists()


@pytest.fixture
def resolve(office):
    """Settle an unknown job: resolve(job, "never")."""

    def settle(job, answer, *, stale=False, **how):
        return actions.resolve_unknown(
            **{
                "job": job if stale else now(job),
                "answer": answer,
                "told_by": "Ida Marrow, operations",
                "reason": "She looked it up by job id.",
                "evidence": None,
                "by": office.by,
                "now": timezone.now,
                **how,
            }
        )

    return settle


@pytest.mark.parametrize("answer", ["received", "never"])
def test_a_late_answer_after_a_person_raises_an_alarm(given_up, resolve, answer):
    job, finish = given_up()
    resolve(job, answer)
    before = now(job).status
    finish()
    assert now(job).status == before
    assert only(job).late_outcome == "accepted"
    alarm = Alarm.objects.get(key__startswith="sip late")
    assert job.reference in alarm.title


def test_nothing_is_sent_again_once_a_late_yes_is_known(given_up, resolve, office, service):
    job, finish = given_up()
    resolve(job, "never")
    finish()
    with pytest.raises(actions.SentAlready):
        office.authorise(job)
    actions.accept_after_all(
        job=now(job), reason="Their late answer.", by=office.by, now=timezone.now
    )
    job = now(job)
    assert (job.status, job.their_reference) == (
        Status.ACCEPTED,
        service.accepted(job)[0]["request_id"],
    )


def test_a_late_yes_takes_back_a_second_message_that_still_waits(
    given_up, resolve, office, service, settings, work
):
    job, finish = given_up()
    resolve(job, "never")
    settings.SEND_DELAY_SECONDS = 30
    office.authorise(job)
    finish()
    work(until=timezone.now() + timedelta(hours=1))
    assert now(job).status == Status.CHECK
    assert len(service.accepted(job)) == 1


def test_accepted_after_all_needs_a_late_yes(service, office):
    job = office.to_check(service.sample("prevented"))
    with pytest.raises(Impossible, match="No late answer"):
        actions.accept_after_all(job=job, reason="I think so.", by=office.by, now=timezone.now)


def test_they_have_it(sent, resolve, service, work):
    job = sent("lost")
    resolution = resolve(job, "received")
    job = now(job)
    assert job.status == Status.ACCEPTED
    assert job.accepted_at == resolution.at
    work(until=timezone.now() + timedelta(days=1))
    assert len(service.arrived(job)) == 1


def test_they_never_received_it_makes_a_new_confirmed_send_possible(
    sent, resolve, office, service, work
):
    job = sent("close")
    service.mend()
    resolve(job, "never")
    job = now(job)
    assert job.status == Status.CHECK
    work(until=timezone.now() + timedelta(days=1))
    assert service.accepted(job) == []
    office.authorise(job)
    work()
    assert now(job).status == Status.ACCEPTED
    assert [each.number for each in job.sends.all()] == [1, 2]
    assert Message.objects.filter(job=job).count() == 1
    assert service.accepted(job)[0]["job_id"] == str(job.job_id)


def test_an_unknown_job_is_settled_once_by_who_may(sent, resolve, person, supervisor):
    job = sent("lost")
    for user in (person("engineer"), person("auditor")):
        with pytest.raises(NotAllowed):
            resolve(job, "never", by=actor_for(user))
    with pytest.raises(NotAllowed):
        resolve(job, "never", told_by=" ")
    with pytest.raises(NotAllowed):
        resolve(job, "never", reason="")
    stale = now(job)
    resolve(job, "received", by=actor_for(supervisor))
    with pytest.raises(Conflict):
        resolve(stale, "never", stale=True)


# ---- Confirm, stop, races --------------------------------------------------------------------


def test_nothing_leaves_before_the_delay_is_over(service, office, work, settings):
    settings.SEND_DELAY_SECONDS = 30
    job = office.sending(service.sample("prevented"))
    work(until=timezone.now() + timedelta(seconds=25))
    assert service.arrived(job) == []
    work(until=timezone.now() + timedelta(seconds=40))
    assert now(job).status == Status.ACCEPTED


def test_stop_wins_before_the_claim_and_never_after(service, office, work, settings):
    settings.SEND_DELAY_SECONDS = 30
    job = office.sending(service.sample("prevented"))
    actions.stop(job=job, by=office.by, now=timezone.now)
    assert (now(job).status, only(job).outcome) == (Status.CHECK, "stopped")
    work(until=timezone.now() + timedelta(hours=1))
    assert service.arrived(job) == []
    settings.SEND_DELAY_SECONDS = 0
    office.authorise(job)
    assert actions.take(job.pk, now=timezone.now)
    with pytest.raises(Conflict, match="too late"):
        actions.stop(job=now(job), by=office.by, now=timezone.now)


def test_stop_works_while_it_waits_to_be_tried_again(service, office, work):
    job = office.sending(service.sample("prevented"))
    service.fault("refuse")
    work()
    actions.stop(job=now(job), by=office.by, now=timezone.now)
    service.mend()
    work(until=timezone.now() + timedelta(days=1))
    assert now(job).status == Status.CHECK
    assert service.arrived(job) == []


def test_a_token_is_good_once_for_what_was_shown(service, office, person):
    job = office.to_check(service.sample("prevented"))
    token = office.token(job)
    other = actor_for(person("safe isolation"))
    with pytest.raises(NotConfirmed):
        actions.authorise(job=job, token=token, by=other, now=timezone.now)
    actions.authorise(job=job, token=token, by=office.by, now=timezone.now)
    assert used(token)
    for each in (job, now(job)):
        with pytest.raises((NotConfirmed, Conflict)):
            actions.authorise(job=each, token=token, by=office.by, now=timezone.now)
    actions.stop(job=now(job), by=office.by, now=timezone.now)
    with pytest.raises(NotConfirmed):
        actions.authorise(job=now(job), token=token, by=office.by, now=timezone.now)
    assert Attempt.objects.count() == 1


def test_who_may_not_read_all_of_it_does_not_send_it(service, office, supervisor, auditor, person):
    job = office.to_check(service.sample("prevented"))
    for user in (supervisor, auditor, person("engineer"), person(admin=True)):
        with pytest.raises(NotAllowed):
            type(office)(actor_for(user)).authorise(job)
    assert now(job).status == Status.CHECK


def test_a_worksheet_that_changed_is_not_what_was_shown(service, office):
    job = office.to_check(service.sample("prevented"))
    token = office.token(job)
    actions.hand_back(job=job, reason="Wrong notice.", by=office.by, now=timezone.now)
    sheet = worksheet.sheet_of(job, "job_completion")
    actions.save_block(
        job=now(job),
        block="job_completion",
        answers={**sheet.answers, "notices_issued": "Other"},
        revision=sheet.revision,
        by=office.by,
        now=timezone.now,
    )
    actions.hand_in(job=now(job), by=office.by, now=timezone.now)
    with pytest.raises(NotConfirmed):
        actions.authorise(job=now(job), token=token, by=office.by, now=timezone.now)


def test_the_second_person(service, office, person, settings):
    settings.SIP_SECOND_PERSON = True
    job = office.to_check(service.sample("prevented"))
    with pytest.raises(actions.SecondPersonNeeded):
        office.authorise(job)
    assert actions.may_send(job, office.by.user)
    second = type(office)(actor_for(person("safe isolation")))
    assert actions.may_send(job, second.by.user) == ""
    second.authorise(job)
    assert now(job).status == Status.SENDING


@pytest.mark.django_db(transaction=True)
def test_two_people_send_at_once_and_one_message_leaves(service, office, person, work):
    job = office.to_check(service.sample("prevented"))
    other = type(office)(actor_for(person("safe isolation")))
    clicks = [(one, one.token(job)) for one in (office, other, office, other)]
    results = race(
        *(
            lambda one=one, token=token: actions.authorise(
                job=now(job), token=token, by=one.by, now=timezone.now
            )
            for one, token in clicks
        )
    )
    assert sum(isinstance(each, Attempt) for each in results) == 1
    assert all(isinstance(each, Attempt | Impossible) for each in results), results
    work()
    assert len(service.accepted(job)) == 1


@pytest.mark.django_db(transaction=True)
def test_stop_and_workers_race_and_both_never_win(service, office, work):
    for _ in range(5):
        job = office.sending(service.sample("prevented"))
        results = race(
            lambda job=job: actions.stop(job=now(job), by=office.by, now=timezone.now),
            lambda job=job: actions.take(job.pk, now=timezone.now),
            lambda job=job: actions.take(job.pk, now=timezone.now),
        )
        stopped, *taken = results
        took = [each for each in taken if isinstance(each, actions.Taken)]
        assert all(each is None or each in took for each in taken), results
        if isinstance(stopped, Conflict):
            assert len(took) == 1
            with MarketMessages() as party:
                actions.send(taken=took[0], service=party, now=timezone.now)
            assert len(service.accepted(job)) == 1
        else:
            assert stopped is None, results
            assert took == []
            assert now(job).status == Status.CHECK


@pytest.mark.django_db(transaction=True)
def test_many_workers_and_one_claim(service, office):
    job = office.sending(service.sample("prevented"))
    results = race(*[lambda: actions.take(job.pk, now=timezone.now)] * 6)
    assert sum(isinstance(each, actions.Taken) for each in results) == 1, results


@pytest.mark.django_db(transaction=True)
def test_an_answer_and_its_giving_up_race(service, office):
    """Whoever wins, the job ends accepted: the late answer settles what was given up."""
    for _ in range(3):
        job = office.sending(service.sample("prevented"))
        taken = actions.take(job.pk, now=timezone.now)
        later = timezone.now() + SEND.lease + timedelta(seconds=1)

        def answer(taken=taken):
            with MarketMessages() as party:
                actions.send(taken=taken, service=party, now=timezone.now)

        def give_up(job=job, later=later):
            actions.give_up_abandoned(job.pk, now=lambda: later)

        results = race(answer, give_up)
        assert all(each is None or isinstance(each, Conflict) for each in results), results
        assert now(job).status == Status.ACCEPTED
        assert len(service.accepted(job)) == 1


def test_the_claim_is_committed_before_the_connection_opens(service, office):
    job = office.sending(service.sample("prevented"))
    seen = []

    class Party:
        """Looks at the database when it is called."""

        def send(self, body, **_):
            held = now(job)
            seen.append((held.status, held.claim is not None, only(held).outcome, body[:1]))
            raise AssertionError("a bug in the client")

    taken = actions.take(job.pk, now=timezone.now)
    with pytest.raises(AssertionError, match="a bug"):
        actions.send(taken=taken, service=Party(), now=timezone.now)
    assert seen == [("sending", True, "sending", b"{")]
    with time_machine.travel(timezone.now() + SEND.lease + timedelta(seconds=1)):
        actions.give_up_abandoned(job.pk, now=timezone.now)
    assert now(job).status == Status.UNKNOWN


def test_a_due_row_without_an_authorised_attempt_is_not_sent(service, office):
    job = office.sending(service.sample("prevented"))
    Attempt.objects.filter(job=job).update(outcome="stopped")
    with pytest.raises(actions.NothingAuthorised):
        actions.take(job.pk, now=timezone.now)
    assert now(job).claim is None
    assert queue.claim(SEND, job.pk, now=timezone.now()) is not None


def test_every_send_is_confirmed_by_a_person(sent):
    job = sent()
    change = StatusChange.objects.get(case_id=job.pk, move="authorise")
    assert change.confirmation == only(job).confirmation
    assert change.by is not None
