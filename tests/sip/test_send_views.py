"""Check, send, stop and settle: shown whole, confirmed once, stopped in time, never repeated."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Note
from sip.models import Attempt, Job, KeyStop, Resolution
from tests.factories.sip import jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(clerk, signed_in):
    return signed_in(clerk)


@pytest.fixture
def job(office, private_jobs):
    return office.to_check(private_jobs)


@pytest.fixture
def slow(settings):
    settings.SEND_DELAY_SECONDS = 30


def text_of(response):
    return " ".join(response.content.decode().split())


def url_of(job, page):
    return f"/sip/cases/{job.reference}/{page}/"


def token_of(client, job):
    return client.get(url_of(job, "check")).context["token"]


def confirm(client, job):
    return client.post(url_of(job, "check"), {"token": token_of(client, job)})


def status_of(job):
    return Job.objects.get(pk=job.pk).status


# ---- The check page --------------------------------------------------------------------------------


def test_the_whole_message_is_shown_and_reading_is_recorded(desk, job):
    response = desk.get(url_of(job, "check"))
    said = text_of(response)
    for text in ("Planted feeding machine", "L1282738282", "The customer is vulnerable", "SHA-256"):
        assert text in said
    assert "sent because nothing prevented you" in said
    assert "This cannot be undone." in said
    assert "&quot;serial_number&quot;: &quot;L1282738282&quot;" in said
    assert "photo of" in said
    assert "/9j/" not in said  # photos as size and hash
    assert "no-store" in response["Cache-Control"]
    assert Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED).exists()


def test_a_supervisor_checks_without_reading_health_data(job, supervisor, signed_in):
    said = text_of(signed_in(supervisor).get(url_of(job, "check")))
    assert "Planted" not in said
    assert "vulnerable" not in said
    assert "You do not see all of it" in said
    assert "serial_number" not in said


def test_left_out_answers_are_named(desk, office, private_jobs):
    private_jobs["risk_assessment"]["meter_access_clear"] = False
    said = text_of(desk.get(url_of(office.to_check(private_jobs), "check")))
    assert "Kept and not sent" in said
    assert "left out because the meter access is not clear" in said


def test_a_job_that_is_not_to_check_has_no_check_page(desk, office):
    response = desk.get(url_of(office.create(), "check"), follow=True)
    assert "Problem:" in text_of(response)


def test_the_second_person_is_asked_for(desk, job, settings, person, signed_in):
    settings.SIP_SECOND_PERSON = True
    page = desk.get(url_of(job, "check"))  # this clerk has filled it in
    assert page.context["token"] == ""
    assert "a second person must check and send it" in text_of(page)
    assert "a second person" in text_of(desk.get(f"/sip/cases/{job.reference}/"))
    assert confirm(signed_in(person("safe isolation")), job).url == url_of(job, "sending")


def test_a_check_page_costs_a_constant_number_of_queries(desk, office, service):
    def count(job):
        desk.get(url_of(job, "check"))
        with CaptureQueriesContext(connection) as seen:
            desk.get(url_of(job, "check"))
        return len(seen)

    few = count(office.to_check(service.sample("prevented")))
    assert count(office.to_check(service.sample("completed"))) == few


# ---- Once ------------------------------------------------------------------------------------------


def test_a_double_click_sends_once(desk, job, slow):
    token = token_of(desk, job)
    for _ in range(2):
        response = desk.post(url_of(job, "check"), {"token": token}, follow=True)
        assert response.redirect_chain[-1][0] == url_of(job, "sending")
    assert "it was not done twice" in text_of(response)
    assert job.sends.count() == 1


def test_back_and_pressed_again_sends_once(desk, job, work, service):
    token = token_of(desk, job)
    desk.post(url_of(job, "check"), {"token": token})
    work()
    desk.post(url_of(job, "check"), {"token": token})
    work()
    assert len(service.accepted(job)) == 1
    assert status_of(job) == "accepted"


def test_an_old_page_of_another_person_does_not_send(desk, job, person, signed_in, slow):
    other = signed_in(person("safe isolation"))
    token = token_of(other, job)
    confirm(desk, job)
    response = other.post(url_of(job, "check"), {"token": token}, follow=True)
    assert "Problem:" in text_of(response)
    assert job.sends.count() == 1


@pytest.mark.parametrize("token", ["", "nonsense", None])
def test_a_forged_token_does_not_send(desk, job, token):
    response = desk.post(url_of(job, "check"), {} if token is None else {"token": token})
    assert response.status_code == 302
    assert not job.sends.exists()


def test_a_token_is_for_what_was_shown(desk, job, office, engineer):
    token = token_of(desk, job)
    desk.post(url_of(job, "hand_back"), {"reason": "Look again"})
    desk.post(url_of(job, "check"), {"token": token})
    assert not job.sends.exists()


# ---- Sending ---------------------------------------------------------------------------------------


def poll(client, job):
    return client.get(url_of(job, "sending"), headers={"HX-Request": "true"})


def test_it_counts_down_and_can_be_stopped(desk, job, slow, work, service):
    confirm(desk, job)
    page = text_of(desk.get(url_of(job, "sending")))
    assert "The message leaves at" in page
    assert "Stop, do not send" in page
    assert "seconds left" in text_of(poll(desk, job))
    response = desk.post(url_of(job, "stop"), follow=True)
    assert "Stopped. Nothing was sent." in text_of(response)
    work(until=timezone.now() + timedelta(minutes=2))
    assert service.arrived(job) == []
    assert status_of(job) == "check"


def test_who_may_not_send_sees_no_stop(desk, job, slow, auditor, signed_in):
    confirm(desk, job)
    client = signed_in(auditor)
    assert "Stop, do not send" not in text_of(client.get(url_of(job, "sending")))
    assert client.post(url_of(job, "stop")).status_code == 403


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("", "accepted", "Accepted: the party has the message."),
        ("400", "refused", "Refused: the party took nothing of it."),
        ("done_500", "unknown", "Nobody knows whether the message arrived."),
        ("429", "sending", "Surely not sent yet. Tried again at"),
    ],
)
def test_each_outcome_is_said_and_the_polling_ends(desk, job, work, service, fault, status, said):
    if fault:
        service.fault(fault, calls=1)
    confirm(desk, job)
    work()
    assert status_of(job) == status
    assert said in text_of(desk.get(url_of(job, "sending")))
    part = text_of(poll(desk, job))
    assert said in part
    assert ("hx-trigger" in part) is (status == "sending")
    if status != "sending":
        assert 'id="sending-title" hx-swap-oob' in part
    assert desk.get(f"/sip/cases/{job.reference}/").status_code == 200


def test_the_sending_page_of_a_job_without_attempts_leads_to_the_case(desk, job):
    assert desk.get(url_of(job, "sending")).url == f"/sip/cases/{job.reference}/"


def test_a_stopped_desk_is_said_on_the_check_page(desk, job):
    KeyStop.objects.create(since=timezone.now(), http_status=401, sentence="They say no.")
    assert "does not take our key" in text_of(desk.get(url_of(job, "check")))
    confirm(desk, job)
    assert "Stopped: the party does not take our key." in text_of(poll(desk, job))


# ---- Unknown ---------------------------------------------------------------------------------------


@pytest.fixture
def unknown(desk, job, work, service):
    service.fault("done_500", calls=1)
    confirm(desk, job)
    work()
    return Job.objects.get(pk=job.pk)


SAID = {
    "answer": "never",
    "told_by": "Jo at the service desk",
    "reason": "Searched for the job id and found nothing.",
}


def settle(client, job, **said):
    typed = {**SAID, **said}
    page = client.post(url_of(job, "settle"), typed)
    assert page.status_code == 200
    return {**typed, "token": page.context["token"]}


def test_unknown_is_settled_by_a_person_after_a_check(desk, unknown):
    assert str(unknown.job_id) in text_of(desk.get(url_of(unknown, "settle")))
    typed = settle(desk, unknown)
    assert status_of(unknown) == "unknown"  # shown, not done
    file = SimpleUploadedFile("mail.jpg", jpeg(), "image/jpeg")
    desk.post(url_of(unknown, "settle"), {**typed, "evidence": file})
    assert status_of(unknown) == "check"
    row = Resolution.objects.get()
    assert (row.answer, row.told_by) == ("never", SAID["told_by"])
    response = desk.get(f"/sip/evidence/{row.pk}/")
    assert response["Content-Disposition"].startswith("attachment")
    assert "Jo at the service desk" in text_of(desk.get(f"/sip/cases/{unknown.reference}/"))


def test_what_was_written_can_be_changed_before_it_is_recorded(desk, unknown):
    typed = settle(desk, unknown)
    page = text_of(desk.post(url_of(unknown, "settle"), {**typed, "change": "yes"}))
    assert SAID["reason"] in page
    assert "Continue" in page
    assert status_of(unknown) == "unknown"


def test_they_have_it_makes_it_accepted(desk, unknown, work, service):
    typed = settle(desk, unknown, answer="received")
    for _ in range(2):
        desk.post(url_of(unknown, "settle"), typed)
    assert status_of(unknown) == "accepted"
    assert Resolution.objects.count() == 1
    work()
    assert len(service.arrived(unknown)) == 1


def test_only_never_makes_a_second_send_possible_confirmed_anew(desk, unknown, work, service):
    desk.post(url_of(unknown, "settle"), settle(desk, unknown))
    work()
    assert len(service.arrived(unknown)) == 1
    confirm(desk, unknown)
    work()
    assert [row.outcome for row in unknown.sends.order_by("number")] == ["unknown", "accepted"]


def test_other_words_than_those_shown_are_not_recorded(desk, unknown):
    typed = settle(desk, unknown)
    desk.post(url_of(unknown, "settle"), {**typed, "answer": "received"})
    assert status_of(unknown) == "unknown"


def test_evidence_that_is_no_document_is_said_and_nothing_is_lost(desk, unknown):
    typed = settle(desk, unknown)
    file = SimpleUploadedFile("mail.html", b"<html>", "text/html")
    said = text_of(desk.post(url_of(unknown, "settle"), {**typed, "evidence": file}))
    assert "Send a PDF, JPEG or PNG" in said
    assert SAID["reason"] in said
    assert status_of(unknown) == "unknown"


@pytest.mark.parametrize("missing", [*SAID])
def test_each_word_of_a_settlement_is_needed(desk, unknown, missing):
    said = text_of(desk.post(url_of(unknown, "settle"), {**SAID, missing: ""}))
    assert "There is 1 problem" in said
    assert status_of(unknown) == "unknown"


def test_who_may_not_settle_is_told_so(unknown, auditor, engineer, signed_in):
    assert signed_in(auditor).get(url_of(unknown, "settle")).status_code == 403
    assert signed_in(engineer).get(url_of(unknown, "settle")).status_code == 404


def test_a_settled_job_is_not_settled_again(desk, unknown):
    desk.post(url_of(unknown, "settle"), settle(desk, unknown))
    response = desk.get(url_of(unknown, "settle"), follow=True)
    assert "Problem:" in text_of(response)
    assert Attempt.objects.filter(outcome="unknown").count() == 1
