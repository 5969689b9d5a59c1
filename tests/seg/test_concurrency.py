"""The desk raced by real threads on connections of their own: one wins, the other is told.

What each racer acts on was read before the start, which is the dangerous order.
"""

import threading
import time
from datetime import timedelta
from functools import partial

import pytest
from celery import current_app
from django.core import mail as outbox
from django.db import connections
from django.test import Client
from django.utils import timezone

from core.models import Email, PartnerCall, StatusChange
from core.workflow import Conflict, actor_for
from seg import actions
from seg.actions import AlreadyPaid
from seg.models import Application, Attachment, Verification
from seg.tracking import story
from tests.core.racing import race
from tests.factories import (
    ApplicationFactory,
    SubmissionFactory,
    TariffFactory,
    UserFactory,
    applicant_of,
)

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = range(6)
WHY = "The bill shows the number."
CLEAN = "MCS-80000001-A"


@pytest.fixture(autouse=True)
def tariff():
    return TariffFactory(code="SEG-2026")


@pytest.fixture
def people():
    return [
        UserFactory(role="export tariff", first_name=name, last_name="Fenn")
        for name in ("Orla", "Tam")
    ]


def read(application):
    return Application.objects.get(pk=application.pk)


def moves(application):
    return [row.move for row in StatusChange.objects.for_case(application)]


def sorted_out(results):
    """The one result that is no exception, and the exception of the other."""
    problems = [result for result in results if isinstance(result, Exception)]
    assert len(problems) == 1, results
    (won,) = (result for result in results if not isinstance(result, Exception))
    return won, problems[0]


# ---- Sending ---------------------------------------------------------------------------------


def test_the_same_form_sent_eight_times_at_once_is_one_application():
    form = SubmissionFactory()

    def send():
        return actions.submit(submission=form, key="one", now=timezone.now).pk

    results = race(*[send] * 8)
    assert len(set(results)) == 1, results
    assert Application.objects.count() == Email.objects.count() == 1
    assert StatusChange.objects.count() == 1


def test_eight_forms_at_once_have_eight_references():
    forms = [SubmissionFactory() for _ in range(8)]

    def sender(place):
        def send():
            form, key = forms[place], f"key {place}"
            return actions.submit(submission=form, key=key, now=timezone.now).reference

        return send

    results = race(*[sender(place) for place in range(8)])
    assert len({str(result) for result in results}) == 8
    assert all(str(result).startswith("SEG-") for result in results), results


# ---- Deciding ---------------------------------------------------------------------------------


def approve(row, by):
    return actions.approve(application=row, reason=WHY, by=by, now=timezone.now)


def refuse(row, by):
    return actions.refuse(application=row, reason=WHY, by=by, now=timezone.now)


def withdraw(row, by):
    return actions.withdraw(application=row, reason=WHY, by=by, now=timezone.now)


def ask(row, by):
    return actions.ask(application=row, text=WHY, by=by, now=timezone.now)


@pytest.mark.parametrize("other", [approve, refuse, ask])
def test_two_people_decide_the_same_case(other, people):
    for _ in ROUNDS:
        application = ApplicationFactory(status="review")
        one, two = map(actor_for, people)
        rows = [read(application), read(application)]
        results = race(partial(approve, rows[0], one), partial(other, rows[1], two))
        won, problem = sorted_out(results)
        assert isinstance(problem, Conflict)
        winner = one if results[0] is won else two
        assert f"{winner.name} moved it to" in problem.sentence
        (email,) = Email.objects.filter(reference=application.reference)
        assert email.by_name == winner.name
        assert len(moves(application)) == 3
        assert application.questions.count() == (moves(application)[-1] == "ask")


def test_two_people_press_the_button_of_their_check_pages(people):
    application = ApplicationFactory(status="review")
    url = f"{application.get_absolute_url()}refuse/"

    def opened(person):
        client = Client()
        client.force_login(person)
        token = client.post(url, {"reason": WHY}).context["token"]
        return lambda: client.post(url, {"reason": WHY, "token": token}, follow=True)

    answers = race(*map(opened, people))
    texts = [answer.content.decode() for answer in answers]
    assert sum("Nothing was done" in text for text in texts) == 1
    assert sum("The decision is about to be told" in text for text in texts) == 1
    winner = Email.objects.get().by_name
    assert f"{winner} moved it to “Refused”" in next(t for t in texts if "Nothing was done" in t)


def test_a_double_click_decides_once(people):
    for name in ("refuse", "approve", "ask"):
        application = ApplicationFactory(status="review")
        url = f"{application.get_absolute_url()}{name}/"
        clients = [Client(), Client()]
        for client in clients:
            client.force_login(people[0])
        token = clients[0].post(url, {"reason": WHY}).context["token"]

        def click(client, url=url, token=token):
            return lambda: client.post(url, {"reason": WHY, "token": token}, follow=True)

        answers = race(*map(click, clients))
        texts = [answer.content.decode() for answer in answers]
        assert sum("This was done already" in text for text in texts) == 1
        assert Email.objects.filter(reference=application.reference).count() == 1
        assert moves(application).count(name) == 1


def test_two_duplicates_are_approved_at_once(people):
    for place in ROUNDS:
        number = f"MCS-8100000{place}-A"
        rows = [
            read(ApplicationFactory(status="review", certificate_number=number)) for _ in range(2)
        ]
        by = [actor_for(person) for person in people]
        _, problem = sorted_out(
            race(partial(approve, rows[0], by[0]), partial(approve, rows[1], by[1]))
        )
        assert isinstance(problem, AlreadyPaid)
        found = Application.objects.filter(certificate_number=number)
        assert sorted(row.status for row in found) == ["approved", "review"]
        references = [row.reference for row in found]
        assert Email.objects.filter(reference__in=references).count() == 1


def test_the_customer_withdraws_while_a_person_approves(people):
    for _ in ROUNDS:
        application = ApplicationFactory(status="review")
        rows, by = [read(application), read(application)], actor_for(people[0])
        results = race(
            partial(approve, rows[0], by),
            partial(actions.withdraw_own, application=rows[1], reason="", now=timezone.now),
        )
        _, problem = sorted_out(results)
        assert isinstance(problem, Conflict)
        application = read(application)
        (email,) = Email.objects.filter(reference=application.reference)
        if application.status == "withdrawn":
            assert email.purpose == "news"
            assert application.due_at is None
        else:
            assert (application.status, email.purpose) == ("approved", "decision")
            assert application.due_at is not None


def test_the_customer_answers_while_a_person_withdraws(people):
    for _ in ROUNDS:
        application = ApplicationFactory(status="waiting")
        question = application.questions.get()
        rows, by = [read(application), read(application)], actor_for(people[0])
        results = race(
            partial(withdraw, rows[0], by),
            partial(
                actions.answer,
                application=rows[1],
                question=question,
                text="Here",
                now=timezone.now,
            ),
        )
        _, problem = sorted_out(results)
        assert isinstance(problem, Conflict)
        question.refresh_from_db()
        assert (question.answer == "Here") is (read(application).status == "review")
        assert not Attachment.objects.exists()


# ---- Stop -------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", [approve, refuse, ask])
def test_stop_raced_against_the_sending(decision, people, settings, work):
    settings.SEND_DELAY_SECONDS = 0
    outcomes = set()
    for _ in ROUNDS:
        application = ApplicationFactory(status="review")
        by = actor_for(people[0])
        before = story(application).heading
        email = decision(read(application), by)
        outbox.outbox.clear()
        stopped, _ = race(
            partial(actions.stop_decision, email, by=by, now=timezone.now()),
            partial(current_app.tasks["core.send_mail"], email.pk),
        )
        email.refresh_from_db()
        application = read(application)
        outcomes.add(stopped)
        if stopped:
            assert (email.state, application.status, outbox.outbox) == ("stopped", "review", [])
            assert story(application).heading == before
        else:
            assert stopped is False
            assert email.state == "sent"
            assert len(outbox.outbox) == 1
            assert application.status != "review"
            assert "stop_decision" not in moves(application)
    assert outcomes <= {True, False}


def test_two_people_stop_the_same_decision(people):
    application = ApplicationFactory(status="review")
    one, two = map(actor_for, people)
    email = refuse(application, one)
    results = race(
        lambda: actions.stop_decision(email, by=one, now=timezone.now()),
        lambda: actions.stop_decision(email, by=two, now=timezone.now()),
    )
    assert sorted(results) == [False, True]
    assert moves(application).count("stop_decision") == 1


# ---- The worker -------------------------------------------------------------------------------


def sent(registry, number, key):
    form = SubmissionFactory(**applicant_of(registry.certificate(number)))
    return actions.submit(submission=form, key=key, now=timezone.now)


def test_eight_bells_for_one_application_make_one_call(registry, work, settings):
    settings.SEG_AUTO_APPROVE = True
    application = sent(registry, CLEAN, "k")
    race(*[lambda: current_app.tasks["seg.verify"](application.pk)] * 8)
    assert read(application).status == "approved"
    assert len(registry.log()) == PartnerCall.objects.count() == 1
    assert moves(application) == ["open", "approve_clean"]


def test_two_workers_never_approve_one_certificate_twice(registry, work, settings):
    settings.SEG_AUTO_APPROVE = True
    for place in ROUNDS:
        number = f"MCS-8000001{place}-A"
        pks = [sent(registry, number, f"{place} {name}").pk for name in "ab"]
        race(
            partial(current_app.tasks["seg.verify"], pks[0]),
            partial(current_app.tasks["seg.verify"], pks[1]),
        )
        found = Application.objects.filter(pk__in=pks).order_by("received_at")
        assert [row.status for row in found] == ["approved", "review"]


def test_the_customer_withdraws_while_the_registry_is_asked(registry, work, settings):
    settings.SEG_AUTO_APPROVE = True
    application = sent(registry, CLEAN, "k")
    registry.fault("slow", seconds=1.0, calls=1)

    def worker():
        try:
            current_app.tasks["seg.verify"](application.pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=worker)
    thread.start()
    until(lambda: registry.log(wait=0))
    actions.withdraw_own(application=read(application), reason="", now=timezone.now)
    thread.join(30)
    assert not thread.is_alive()

    application = read(application)
    assert (application.status, application.due_at, application.claim) == ("withdrawn", None, None)
    assert moves(application) == ["open", "withdraw_own"]
    assert not Verification.objects.exists()
    assert PartnerCall.objects.get().outcome == "answered"
    assert not Email.objects.filter(subject__contains="approved").exists()


def test_nothing_is_locked_while_the_registry_is_slow(registry, work, people):
    """The call happens outside any transaction: others go on writing."""
    application = sent(registry, CLEAN, "k")
    other = ApplicationFactory(status="review")
    registry.fault("slow", seconds=2.0, calls=1)

    def worker():
        try:
            current_app.tasks["seg.verify"](application.pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=worker)
    thread.start()
    until(lambda: registry.log(wait=0))
    refuse(other, actor_for(people[0]))
    assert thread.is_alive()
    assert read(other).status == "refused"
    thread.join(30)
    assert read(application).status == "review"


def until(condition, seconds=30):
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_asking_again_while_the_registry_is_asked(registry, work, people, settings):
    settings.SEG_AUTO_APPROVE = True
    application = sent(registry, CLEAN, "k")
    by = actor_for(people[0])
    row = read(application)
    race(
        lambda: current_app.tasks["seg.verify"](application.pk),
        lambda: actions.check_again(application=row, by=by, now=timezone.now),
    )
    work(until=timezone.now() + timedelta(minutes=2))
    assert read(application).status == "approved"
    assert moves(application) == ["open", "approve_clean"]
    assert PartnerCall.objects.count() == len(registry.log())
