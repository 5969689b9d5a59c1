"""The verbs of the desk: what each does, who may, and that nothing is ever half done."""

import io
from datetime import timedelta

import pytest
import time_machine
from django.core import mail as outbox
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from PIL import Image

from core import housekeeping, queue
from core.mail import MAIL
from core.models import Email, PartnerCall, StatusChange
from core.uploads import inspect
from core.workflow import Conflict, NotAllowed, actor_for
from seg import actions
from seg.actions import AlreadyPaid, Correction, NoTariff, ReasonMissing
from seg.client import InstallationRegistry
from seg.models import VERIFY, Application, Attachment, Draft, Question
from seg.tracking import story
from tests.factories import ApplicationFactory, SubmissionFactory, TariffFactory, applicant_of

pytestmark = pytest.mark.django_db
CLEAN = "MCS-80000001-A"
DIFFERS = "MCS-70000062-T"  # the MPAN differs, so a person looks
WHY = "The bill shows the number."


@pytest.fixture
def tariff():
    return TariffFactory(code="SEG-2026")


@pytest.fixture
def by(decider):
    return actor_for(decider)


@pytest.fixture
def send(registry):
    """Send the application of a certificate's holder."""

    def send(number, *, key="", **said):
        fields = {**applicant_of(registry.certificate(number)), **said}
        form = SubmissionFactory(**fields)
        return actions.submit(submission=form, key=key or number, now=timezone.now)

    return send


def read(application):
    return Application.objects.get(pk=application.pk)


def moves(application):
    return [row.move for row in StatusChange.objects.for_case(application)]


def letters(application):
    return [
        email.subject.partition(": ")[2]
        for email in Email.objects.filter(reference=application.reference).order_by("pk")
    ]


def corrected(application, **fields):
    names = Correction.__dataclass_fields__
    return Correction(**{**{name: getattr(application, name) for name in names}, **fields})


# ---- Sending ---------------------------------------------------------------------------------


def test_sending_makes_row_history_letter_and_work(tariff):
    now = timezone.now()
    application = actions.submit(submission=SubmissionFactory(), key="k", now=lambda: now)
    application = read(application)
    assert application.status == "checking"
    assert application.reference.startswith("SEG-")
    assert (application.received_at, application.due_at) == (now, now)
    assert application.due_by > now + timedelta(days=4)
    assert moves(application) == ["open"]
    (email,) = Email.objects.all()
    assert email.to == application.email
    assert "[link]" in email.text
    assert application.token not in email.text
    assert email.private == actions.tracking_link(application)


def test_sending_again_with_the_same_key_changes_nothing():
    form = SubmissionFactory()
    first = actions.submit(submission=form, key="one", now=timezone.now)
    second = actions.submit(submission=SubmissionFactory(), key="one", now=timezone.now)
    assert first.pk == second.pk
    assert second.name == form.name
    assert Application.objects.count() == Email.objects.count() == 1
    assert StatusChange.objects.count() == 1


def test_two_keys_make_two_applications():
    form = SubmissionFactory()
    sent = [actions.submit(submission=form, key=key, now=timezone.now) for key in "ab"]
    assert len({application.reference for application in sent}) == 2
    assert len({application.token for application in sent}) == 2


def test_the_draft_and_its_files_become_the_application():
    draft = actions.keep_draft(key="d", answers={"you": {"name": "Ada"}}, now=timezone.now)
    kept = actions.attach(upload=picture()[0], content=picture()[1], draft=draft, now=timezone.now)
    form = SubmissionFactory()
    application = actions.submit(submission=form, key="k", draft=draft, now=timezone.now)
    assert not Draft.objects.exists()
    kept.refresh_from_db()
    assert (kept.application_id, kept.draft_id) == (application.pk, None)


def picture(name="bill.png"):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(buffer, "PNG")
    content = buffer.getvalue()
    return inspect(io.BytesIO(content), name), content


# ---- The UAT certificates of the specification -----------------------------------------------

QUALIFY = {
    "MCS-01109073-U",
    "MCS-01109052-T",
    "MCS-01108964-F",
    "MCS-01109048-C",
    "MCS-01109028-R",
}
IN_CUSTOMERS_WORDS = ("MCS has withdrawn your certificate", "Your certificate is for a")


def test_five_uat_certificates_are_approved_and_fifteen_refused_with_a_reason(
    registry, send, work, settings, tariff
):
    settings.SEG_AUTO_APPROVE = True
    sent = [send(row["number"]) for row in registry.certificates()]
    work()
    rows = [read(application) for application in sent]
    assert len(rows) == 20
    assert {row.certificate_number for row in rows if row.status == "approved"} == QUALIFY
    refused = [row for row in rows if row.status == "refused"]
    assert len(refused) == 15
    for row in refused:
        assert row.decision_reason.startswith(IN_CUSTOMERS_WORDS)
        assert "ask for a review" in row.decision_reason
        assert letters(row) == ["we have your application", "we cannot approve it"]
        assert row.decision_reason.startswith(story(row).reason)
        assert story(row).reason
    for row in rows:
        assert row.why
        assert row.due_by is None
    for row in set(rows) - set(refused):
        assert row.tariff == tariff
        assert row.capacity > 0
        assert letters(row) == ["we have your application", "approved"]
        assert row.due_at > timezone.now() + timedelta(days=28)
    assert len(outbox.outbox) == 40
    assert PartnerCall.objects.count() == len(registry.log()) == 20


def test_without_the_setting_the_clean_ones_wait_for_a_person(
    registry, send, work, settings, tariff
):
    settings.SEG_AUTO_APPROVE = False
    sent = [send(row["number"]) for row in registry.certificates()]
    work()
    found = {row.certificate_number for row in map(read, sent) if row.status == "review"}
    assert found == QUALIFY
    row = Application.objects.filter(status="review").first()
    assert row.why == "All 13 checks pass; ready to approve"
    assert row.tariff is None


SPECIAL = {
    "MCS-70000001-B": ("checking", "Certificate in progress"),
    "MCS-70000002-C": ("checking", "Certificate in progress"),
    "MCS-70000003-D": ("refused", "Certificate removed"),
    "MCS-70000006-G": ("review", "Certificate status is not a listed one"),
    "MCS-70000007-H": ("checking", "No usable answer from the registry"),
    "MCS-70000011-M": ("refused", "Hydro turbine: only solar PV qualifies"),
    "MCS-70000012-N": ("refused", "Micro CHP unit: only solar PV qualifies"),
    "MCS-70000013-P": ("refused", "Wind turbine: only solar PV qualifies"),
    "MCS-70000014-R": ("review", "Technology is unspecified"),
    "MCS-70000015-S": ("review", "Technology is not a listed one"),
    "MCS-70000021-Y": ("review", "Capacity 52\N{NO-BREAK SPACE}kW is above 50"),
    "MCS-70000023-A": ("review", "Capacity 50.01\N{NO-BREAK SPACE}kW is above 50"),
    "MCS-70000024-B": ("review", "Capacity missing on the certificate"),
    "MCS-70000025-C": ("review", "Capacity 0.00"),
    "MCS-70000031-J": ("review", "Commissioning date missing"),
    "MCS-70000032-K": ("review", "Commissioning date missing"),
    "MCS-70000033-L": ("review", "Commissioning date is in the future"),
    "MCS-70000034-M": ("checking", "No usable answer from the registry"),
    "MCS-90417326-K": ("review", "MPAN and address differ"),
    "MCS-70000061-S": ("review", "Postcode differs"),
    "MCS-70000062-T": ("review", "MPAN differs"),
    "MCS-70000064-V": ("review", "MPAN differs"),
    "MCS-70000066-X": ("review", "Export MPAN is not valid"),
    "MCS-70000068-Z": ("review", "Distributor notification"),
    "MCS-70000070-B": ("review", "Address differs"),
    "MCS-70000073-E": ("waiting", "The registry does not know MCS-70000073-E"),
    "MCS-70000074-F": ("checking", "No usable answer from the registry"),
    "MCS-70000076-H": ("checking", "No usable answer from the registry"),
}


def test_each_special_certificate_ends_where_it_should(registry, send, work, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    sent = [send(row["number"]) for row in registry.certificates("special")]
    work()
    for row in map(read, sent):
        status, why = SPECIAL.get(row.certificate_number, ("approved", "All 13 checks pass"))
        assert (row.certificate_number, row.status) == (row.certificate_number, status)
        assert row.why.startswith(why), row.certificate_number


def test_technologies_named_by_the_setting_go_to_a_person(send, work, settings, tariff):
    settings.SEG_REVIEW_TECHNOLOGIES = frozenset({7, 13})
    sent = [send(number) for number in ("MCS-70000011-M", "MCS-70000012-N", "MCS-70000013-P")]
    work()
    assert [read(row).status for row in sent] == ["review", "refused", "review"]


# ---- One live application a certificate ------------------------------------------------------


def test_an_earlier_application_keeps_its_certificate(send, work, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    first, second = send(CLEAN, key="a"), send(CLEAN, key="b", export_mpan="")
    work()
    first, second = read(first), read(second)
    assert first.status == "approved"
    assert second.status == "review"
    assert first.reference in second.why


def test_an_earlier_one_that_is_not_decided_is_not_harmed(send, work, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    first = send(DIFFERS, key="a")
    second = send(DIFFERS, key="b", export_mpan="", import_mpan="")
    work()
    assert read(first).why == "MPAN differs from the certificate"
    assert first.reference in read(second).why


@pytest.mark.parametrize("gone", ["refused", "withdrawn"])
def test_a_closed_application_holds_nothing(gone, send, work, registry, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    said = applicant_of(registry.certificate(CLEAN))
    ApplicationFactory(status=gone, certificate_number=CLEAN, export_mpan=said["export_mpan"])
    second = send(CLEAN)
    work()
    assert read(second).status == "approved"


def test_an_export_mpan_is_paid_once(send, work, registry, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    shared = applicant_of(registry.certificate(CLEAN))["export_mpan"]
    first, second = send(CLEAN), send("MCS-80000002-A", export_mpan=shared)
    work()
    assert (read(first).status, read(second).status) == ("approved", "review")


def test_a_duplicate_cannot_be_approved_by_a_person_either(send, work, by, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    first, second = send(CLEAN, key="a"), send(CLEAN, key="b")
    work()
    before = read(second).__dict__.copy()
    emails = Email.objects.count()
    with pytest.raises(AlreadyPaid) as caught:
        actions.approve(application=read(second), reason=WHY, by=by, now=timezone.now)
    assert "Another approved application" in caught.value.sentence
    after = read(second).__dict__
    assert {k: v for k, v in after.items() if k != "_state"} == {
        k: v for k, v in before.items() if k != "_state"
    }
    assert Email.objects.count() == emails
    assert moves(second) == ["open", "give_to_person"]
    assert read(first).status == "approved"


# ---- Approving -------------------------------------------------------------------------------


def test_no_tariff_open_on_the_day_of_receipt(send, work, by, settings):
    settings.SEG_AUTO_APPROVE = True
    today = timezone.localdate()
    TariffFactory(open_from=today - timedelta(days=90), open_to=today - timedelta(days=1))
    TariffFactory(open_from=today + timedelta(days=1))
    application = send(CLEAN)
    work()
    application = read(application)
    assert (application.status, application.why) == (
        "review",
        "No tariff open on the day of receipt",
    )
    with pytest.raises(NoTariff):
        actions.approve(application=application, reason=WHY, by=by, now=timezone.now)
    assert read(application).status == "review"


def test_the_tariff_is_that_of_the_day_of_receipt(registry, work, settings):
    settings.SEG_AUTO_APPROVE = True
    today = timezone.localdate()
    then = TariffFactory(open_to=today - timedelta(days=3))
    TariffFactory(open_from=today - timedelta(days=2))
    form = SubmissionFactory(**applicant_of(registry.certificate(CLEAN)))
    sent_at = timezone.now() - timedelta(days=5)
    application = actions.submit(submission=form, key="k", now=lambda: sent_at)
    work()
    assert read(application).tariff == then


def test_approving_needs_a_reason_while_a_check_does_not_pass(send, work, by, tariff):
    application = send(DIFFERS)
    work()
    for reason in ("", "  \n"):
        with pytest.raises(ReasonMissing):
            actions.approve(application=read(application), reason=reason, by=by, now=timezone.now)
    actions.approve(application=read(application), reason=WHY, by=by, now=timezone.now)
    application = read(application)
    assert (application.status, application.tariff) == ("approved", tariff)
    change = StatusChange.objects.for_case(application).latest("pk")
    assert (change.by, change.note) == (by.user, WHY)


def test_a_clean_case_is_approved_without_a_reason(send, work, by, tariff):
    application = send(CLEAN)
    work()
    email = actions.approve(application=read(application), reason="", by=by, now=timezone.now)
    assert read(application).status == "approved"
    assert read(application).due_at > timezone.now() + timedelta(days=28)
    assert email.send_at - email.created_at == timedelta(seconds=30)


@pytest.mark.parametrize("status", ["checking", "waiting", "approved", "refused", "withdrawn"])
def test_only_a_case_under_review_can_be_approved(status, by, tariff):
    application = ApplicationFactory(status=status)
    with pytest.raises(Conflict):
        actions.approve(application=application, reason=WHY, by=by, now=timezone.now)
    assert read(application).status == status
    assert not Email.objects.exists()


DECISIONS = {
    "approve": (actions.approve, "reason", "approved"),
    "refuse": (actions.refuse, "reason", "refused"),
    "ask": (actions.ask, "text", "waiting"),
    "withdraw": (actions.withdraw, "reason", "withdrawn"),
}


def decide(name, application, by):
    action, word, _ = DECISIONS[name]
    return action(application=application, by=by, now=timezone.now, **{word: WHY})


@pytest.mark.parametrize("role", ["auditor", "engineer", "nobody"])
@pytest.mark.parametrize("name", DECISIONS)
def test_only_people_of_the_desk_decide(name, role, request, tariff):
    application = ApplicationFactory(status="review")
    with pytest.raises(NotAllowed):
        decide(name, application, actor_for(request.getfixturevalue(role)))
    assert read(application).status == "review"
    assert not Email.objects.exists()
    assert not Question.objects.exists()


@pytest.mark.parametrize("name", ["refuse", "ask", "withdraw"])
def test_a_decision_needs_its_reason(name, by):
    application = ApplicationFactory(status="review")
    action, word, _ = DECISIONS[name]
    with pytest.raises(NotAllowed):
        action(application=application, by=by, now=timezone.now, **{word: "  "})
    assert read(application).status == "review"


def test_refusing_tells_the_reason(by):
    application = ApplicationFactory(status="review")
    actions.refuse(application=application, reason=WHY, by=by, now=timezone.now)
    application = read(application)
    assert (application.status, application.decision_reason) == ("refused", WHY)
    assert WHY in Email.objects.get().text


# ---- Not told before the e-mail has left, and Stop -------------------------------------------

TOLD = {
    "approve": "Your application is approved",
    "refuse": "We cannot approve your application",
    "ask": "We have a question for you",
    "withdraw": "Your application is withdrawn",
}


@pytest.mark.parametrize("name", DECISIONS)
def test_the_customers_page_says_it_when_the_email_has_left(name, by, work, tariff):
    application = ApplicationFactory(status="review")
    before = story(application).heading
    email = decide(name, application, by)
    work(until=email.send_at - timedelta(seconds=5))
    assert outbox.outbox == []
    told = story(read(application))
    assert (told.heading, told.reason, told.untold) == (before, "", True)

    work(until=email.send_at + timedelta(seconds=1))
    (message,) = outbox.outbox
    assert message.to == [application.email]
    assert actions.tracking_link(application) in message.body
    assert message.extra_headers["Message-ID"] == email.message_id
    assert story(read(application)).heading == TOLD[name]


@pytest.mark.parametrize("name", DECISIONS)
def test_stop_takes_the_decision_back(name, by, work, tariff):
    application = ApplicationFactory(status="review")
    before = story(application).heading
    email = decide(name, application, by)
    assert actions.stop_decision(email, by=by, now=timezone.now()) is True

    application = read(application)
    assert (application.status, application.decision_reason) == ("review", "")
    assert application.why == f"{by.name} stopped the decision before it was told"
    assert application.due_at is None
    assert application.due_by is not None
    email.refresh_from_db()
    assert email.state == "stopped"
    assert moves(application)[-2:] == [name, "stop_decision"]
    assert Question.objects.filter(withdrawn_at=None).count() == 0
    work(until=timezone.now() + timedelta(minutes=5))
    assert outbox.outbox == []
    assert story(read(application)).heading == before


def test_a_stopped_case_can_be_decided_again(by, work, tariff):
    application = ApplicationFactory(status="review")
    actions.stop_decision(decide("refuse", application, by), by=by, now=timezone.now())
    decide("approve", read(application), by)
    work(until=timezone.now() + timedelta(seconds=40))
    assert [message.subject.partition(": ")[2] for message in outbox.outbox] == ["approved"]


@pytest.mark.parametrize("moment", ["sent", "claimed"])
@pytest.mark.parametrize("name", DECISIONS)
def test_stop_after_the_claim_changes_nothing(name, moment, by, work, tariff):
    application = ApplicationFactory(status="review")
    email = decide(name, application, by)
    if moment == "sent":
        work(until=email.send_at + timedelta(seconds=1))
    else:
        assert queue.claim(MAIL, email.pk, now=email.send_at) is not None
    before = moves(application)
    assert actions.stop_decision(email, by=by, now=timezone.now()) is False
    assert read(application).status == DECISIONS[name][2]
    assert moves(application) == before
    assert not Email.objects.filter(state="stopped").exists()


def test_stop_is_for_decisions_only(by):
    application = actions.submit(submission=SubmissionFactory(), key="k", now=timezone.now)
    received = Email.objects.get()
    assert actions.stop_decision(received, by=by, now=timezone.now()) is False
    assert Email.objects.get().state == "waiting"
    assert read(application).status == "checking"


def test_stop_needs_the_permission_and_then_stops_nothing(by, auditor, tariff):
    email = decide("refuse", ApplicationFactory(status="review"), by)
    with pytest.raises(NotAllowed):
        actions.stop_decision(email, by=actor_for(auditor), now=timezone.now())
    email.refresh_from_db()
    assert email.state == "waiting"


def reopen(application, by):
    return actions.reopen(application=application, reason=WHY, by=by, now=timezone.now)


def check_again(application, by):
    return actions.check_again(application=application, by=by, now=timezone.now)


FOLLOWING = {
    "withdraw": lambda row, by: decide("withdraw", row, by),
    "reopen": reopen,
    "check_again": check_again,
}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("approve", "withdraw"),
        ("approve", "reopen"),
        ("approve", "check_again"),
        ("refuse", "reopen"),
        ("ask", "withdraw"),
        ("ask", "check_again"),
    ],
)
def test_a_decision_that_is_not_told_yet_is_stopped_before_another(
    first, second, supervisor, work, tariff
):
    """Otherwise two e-mails would cross, and Stop would take back the wrong decision."""
    by = actor_for(supervisor)
    application = ApplicationFactory(status="review")
    email = decide(first, application, by)
    before = read(application)
    with pytest.raises(Conflict) as caught:
        FOLLOWING[second](read(application), by)
    assert "Stop that e-mail first" in caught.value.sentence
    assert moves(application)[-1] == first
    assert (read(application).status, read(application).due_at) == (before.status, before.due_at)

    work(until=email.send_at + timedelta(seconds=1))
    FOLLOWING[second](read(application), by)
    if second != "check_again" or first == "ask":
        assert moves(application)[-1] == second


# ---- The customer and we ---------------------------------------------------------------------


def test_not_found_corrected_approved(send, work, registry, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    application = send(CLEAN, certificate_number="MCS-80000001-B")
    work()
    application = read(application)
    assert application.status == "waiting"
    assert letters(application)[-1] == "please check your certificate number"
    assert application.due_at is None
    correction = corrected(application, certificate_number=CLEAN)
    actions.correct(application=application, correction=correction, now=timezone.now)
    application = read(application)
    assert application.status == "checking"
    last = StatusChange.objects.for_case(application).latest("pk")
    assert (last.note, last.by_name) == ("Corrected: MCS certificate number", "the customer")
    work()
    assert read(application).status == "approved"
    assert [entry["path"].rpartition("/")[2] for entry in registry.log()] == [
        CLEAN,
        "MCS-80000001-B",
    ]


@pytest.mark.parametrize("status", ["checking", "approved", "suspended", "refused", "withdrawn"])
def test_nothing_is_corrected_when_it_is_too_late(status, tariff):
    application = ApplicationFactory(status=status)
    with pytest.raises(Conflict):
        actions.correct(
            application=application,
            correction=corrected(application, town="Elsewhere"),
            now=timezone.now,
        )
    assert read(application).town == "Harrowmere"


def test_question_and_answer_with_a_file(by, work):
    application = ApplicationFactory(status="review")
    actions.ask(application=application, text="Which meter?", by=by, now=timezone.now)
    work(until=timezone.now() + timedelta(seconds=40))
    (question,) = application.questions.all()
    assert (question.asked_by, question.text) == (by.user, "Which meter?")
    assert story(read(application)).state == "question"

    actions.answer(
        application=read(application),
        question=question,
        text="The left one",
        uploads=[picture("my meter.png")],
        now=timezone.now,
    )
    application = read(application)
    question.refresh_from_db()
    assert (application.status, question.answer) == ("review", "The left one")
    assert application.due_by > timezone.now() + timedelta(days=4)
    (file,) = question.attachments.all()
    assert (file.application, file.name) == (application, "my meter.png")
    assert default_storage.exists(file.file.name)
    assert "my meter" not in file.file.name


def test_an_answer_nobody_waits_for_changes_nothing(by):
    application = ApplicationFactory(status="waiting")
    question = application.questions.get()
    stale = read(application)
    actions.withdraw(application=application, reason=WHY, by=by, now=timezone.now)
    with pytest.raises(Conflict):
        actions.answer(
            application=stale,
            question=question,
            text="Too late",
            uploads=[picture()],
            now=timezone.now,
        )
    question.refresh_from_db()
    assert (question.answer, question.answered_at) == ("", None)
    assert not Attachment.objects.exists()


@pytest.mark.parametrize("status", ["checking", "review", "waiting"])
def test_the_customer_withdraws(status, work):
    application = ApplicationFactory(status=status)
    actions.withdraw_own(application=application, reason="Moved house", now=timezone.now)
    work()
    application = read(application)
    assert (application.status, application.due_at) == ("withdrawn", None)
    assert application.why == "By the customer: Moved house"
    assert letters(application) == ["withdrawn"]
    assert len(outbox.outbox) == 1


@pytest.mark.parametrize("status", ["approved", "suspended", "refused", "withdrawn"])
def test_what_is_decided_the_customer_does_not_withdraw(status, tariff):
    application = ApplicationFactory(status=status)
    with pytest.raises(Conflict):
        actions.withdraw_own(application=application, reason="", now=timezone.now)
    assert not Email.objects.exists()


@pytest.mark.parametrize("status", ["checking", "review", "waiting", "approved", "suspended"])
def test_staff_withdraw_for_the_customer(status, by, tariff):
    application = ApplicationFactory(status=status)
    email = actions.withdraw(application=application, reason="Rang", by=by, now=timezone.now)
    assert read(application).status == "withdrawn"
    assert "Rang" not in email.text


@pytest.mark.parametrize("status", ["approved", "refused", "withdrawn"])
def test_only_a_supervisor_reopens(status, by, supervisor, work, tariff):
    application = ApplicationFactory(status=status)
    with pytest.raises(NotAllowed):
        reopen(application, by)
    assert read(application).status == status
    reopen(application, actor_for(supervisor))
    application = read(application)
    assert (application.status, application.due_at) == ("review", None)
    assert application.due_by is not None
    assert not Email.objects.exists()
    assert story(application).heading == "A person is deciding on your application"


@pytest.mark.parametrize("status", ["checking", "review", "waiting", "approved"])
def test_the_registry_is_asked_again(status, by, registry, work, tariff):
    application = ApplicationFactory(status=status, certificate_number=CLEAN)
    check_again(application, by)
    assert read(application).due_at <= timezone.now()
    work()
    assert len(registry.log()) == 1


@pytest.mark.parametrize("status", ["suspended", "refused", "withdrawn"])
def test_the_registry_is_not_asked_about_what_is_over(status, by, tariff):
    application = ApplicationFactory(status=status)
    with pytest.raises(Conflict):
        check_again(application, by)
    assert read(application).due_at is None


@pytest.mark.parametrize("role", ["auditor", "engineer", "nobody"])
def test_only_people_of_the_desk_ask_the_registry(role, request):
    application = ApplicationFactory(status="checking")
    with pytest.raises(NotAllowed):
        check_again(application, actor_for(request.getfixturevalue(role)))
    assert read(application).due_at is None


def test_asking_again_makes_the_answer_under_way_void(by, registry, work, settings, tariff):
    settings.SEG_AUTO_APPROVE = True
    form = SubmissionFactory(**applicant_of(registry.certificate(CLEAN)))
    application = actions.submit(submission=form, key="k", now=timezone.now)
    claim = queue.claim(VERIFY, application.pk, now=timezone.now())
    check_again(read(application), by)
    with InstallationRegistry() as client:
        actions.verify(claim=claim, registry=client, now=timezone.now)
    assert read(application).status == "checking"
    work()
    assert read(application).status == "approved"
    assert PartnerCall.objects.count() == 2
    assert moves(application) == ["open", "approve_clean"]


# ---- What is kept, and for how long ----------------------------------------------------------


def everything_stored():
    """Every cell of every table as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield from ((table, str(cell)) for cell in row)


def test_bank_details_and_links_are_encrypted_and_in_no_log(
    registry, work, by, settings, tariff, caplog, capfd
):
    caplog.set_level("DEBUG")
    fields = applicant_of(registry.certificate(DIFFERS))
    secret = {"sort_code": "409217", "account_number": "83561947"}
    actions.keep_draft(key="d", answers={"payment": secret}, now=timezone.now)
    form = SubmissionFactory(**fields, **secret)
    application = actions.submit(submission=form, key="k", now=timezone.now)
    work()
    registry.fault("html", calls=1)
    check_again(read(application), by)
    work(until=timezone.now() + timedelta(minutes=1))
    decide("refuse", read(application), by)
    work(until=timezone.now() + timedelta(minutes=1))

    secrets = (*secret.values(), application.token, settings.SEG_API_TOKEN)
    found = [
        (table, secret)
        for table, text in everything_stored()
        for secret in secrets
        if secret in text
    ]
    assert found == []
    printed = capfd.readouterr()
    logged = f"{caplog.text} {printed.out} {printed.err}"
    assert [secret for secret in secrets if secret in logged] == []
    assert application.name not in logged
    row = read(application)
    assert (row.sort_code, row.account_number) == tuple(secret.values())
    assert (row.account_name, row.masked_account) == ("A Lark", "·· ·· 17, ···· 1947")


def test_drafts_are_forgotten_after_two_weeks_with_their_files():
    now = timezone.now()
    old = actions.keep_draft(key="old", answers={"a": {"b": "c"}}, now=lambda: now)
    fresh = actions.keep_draft(
        key="fresh", answers={}, now=lambda: now + timedelta(days=1, minutes=1)
    )
    files = [
        actions.attach(upload=picture()[0], content=picture()[1], draft=draft, now=timezone.now)
        for draft in (old, fresh)
    ]
    housekeeping.tidy(now=now + timedelta(days=14))
    assert Draft.objects.count() == 2
    housekeeping.tidy(now=now + timedelta(days=14, minutes=1))
    assert list(Draft.objects.all()) == [fresh]
    assert list(Attachment.objects.all()) == files[1:]
    assert [default_storage.exists(file.file.name) for file in files] == [False, True]


def test_a_draft_that_is_typed_on_stays():
    now = timezone.now()
    actions.keep_draft(key="d", answers={}, now=lambda: now)
    actions.keep_draft(key="d", answers={"you": {}}, now=lambda: now + timedelta(days=10))
    assert actions.forget_drafts(now=now + timedelta(days=20)) == 0
    assert Draft.objects.get().answers == {"you": {}}


def test_a_file_of_an_application_outlasts_the_drafts():
    application = ApplicationFactory()
    file = actions.attach(
        upload=picture()[0], content=picture()[1], application=application, now=timezone.now
    )
    with time_machine.travel(timezone.now() + timedelta(days=100)):
        housekeeping.tidy(now=timezone.now())
    assert default_storage.exists(file.file.name)
