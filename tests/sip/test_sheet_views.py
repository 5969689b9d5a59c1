"""The worksheet on the phone: saved on every step, and nothing typed is lost."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Note
from core.workflow import actor_for
from sip import actions, worksheet
from sip.models import Clash, Job, Photo
from tests.factories.sip import HEALTH, filled, jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(office, engineer):
    return office.create(engineer=engineer, **HEALTH)


@pytest.fixture
def phone(engineer, signed_in):
    return signed_in(engineer)


def text_of(response):
    return " ".join(response.content.decode().split())


def url_of(job, block=""):
    return f"/sip/cases/{job.reference}/worksheet/" + (f"{block}/" if block else "")


def page_of(client, job, block):
    response = client.get(url_of(job, block))
    assert response.status_code == 200
    return response


def typed_into(page, **typed):
    """What the browser would post from this page."""
    return {
        "asked": [row.field.name for row in page.context["rows"]],
        "revision": page.context["revision"],
        "page": page.context["nonce"],
        **typed,
    }


def save(client, job, block, **typed):
    page = page_of(client, job, block)
    return client.post(url_of(job, block), typed_into(page, **typed))


def answers(job, block):
    return worksheet.answers_of(Job.objects.get(pk=job.pk))[block]


# ---- Who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["supervisor", "auditor"])
def test_who_may_not_read_health_data_opens_no_worksheet(job, person, signed_in, role):
    client = signed_in(person(role))
    for block in ("", "job_details", "hand-in"):
        response = client.get(url_of(job, block))
        assert response.status_code == 403
        assert "Planted" not in text_of(response)


@pytest.mark.parametrize("block", ["", "customer_contact", "hand-in"])
def test_another_engineer_finds_no_such_job(job, person, signed_in, block):
    client = signed_in(person("engineer"))
    assert client.get(url_of(job, block)).status_code == 404
    assert client.post(url_of(job, block)).status_code == 404


def test_an_administrator_reads_no_health_data(job, person, signed_in):
    assert signed_in(person(admin=True)).get(url_of(job)).status_code == 403


def test_the_case_of_an_engineer_is_the_worksheet(job, phone):
    response = phone.get(job.get_absolute_url())
    assert response.url == url_of(job)


def test_pages_with_health_data_are_kept_by_no_browser_and_reading_is_recorded(job, phone):
    response = phone.get(url_of(job))
    assert "Planted frailty" in text_of(response)
    assert "no-store" in response["Cache-Control"]
    phone.get(url_of(job, "job_details"))
    assert Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED).count() == 1


def test_titles_and_addresses_hold_nothing_about_health(job, phone):
    for block in ("", "job_details", "customer_contact"):
        page = phone.get(url_of(job, block)).content.decode()
        title = page[page.index("<title>") : page.index("</title>")]
        assert "Planted" not in title


# ---- Saving ----------------------------------------------------------------------------------------


def test_saving_starts_the_job_and_goes_to_the_next_block(job, phone, service):
    sample = service.sample("prevented")["customer_contact"]
    typed = {
        "contact_made": "yes",
        "call_outcome": sample["call_outcome"],
        "arrived_on_site": "yes",
        "able_to_access_property": "yes",
        "critical_medical_equipment": "no",
        "third_party_presence": "no",
        "prevented_to_proceed": "Critical Medical Equipment",
    }
    response = save(phone, job, "customer_contact", **typed)
    assert response.url == url_of(job, "job_completion")
    assert answers(job, "customer_contact")["contact_made"] is True
    job.refresh_from_db()
    assert job.status == "in_progress"


def test_save_and_leave_keeps_a_half_answered_block(job, phone):
    response = save(phone, job, "customer_contact", contact_made="yes", leave="yes")
    assert response.url == url_of(job)
    assert answers(job, "customer_contact") == {"contact_made": True}


def test_what_is_missing_stands_at_its_question_after_it_was_saved(job, phone):
    response = save(phone, job, "customer_contact", contact_made="yes")
    assert response.url.endswith("?judge")
    page = phone.get(response.url)
    assert "Saved, but this is missing or wrong" in text_of(page)
    assert answers(job, "customer_contact") == {"contact_made": True}
    assert "Go on, and answer it later" in text_of(page)


def test_a_question_appears_with_its_answer_and_says_why(job, phone):
    assert "Which medical equipment?" not in text_of(page_of(phone, job, "customer_contact"))
    save(phone, job, "customer_contact", critical_medical_equipment="yes")
    page = text_of(page_of(phone, job, "customer_contact"))
    assert "Which medical equipment?" in page
    assert "Asked because there is critical medical equipment." in page


def test_a_block_that_is_no_longer_needed_is_named_and_kept(job, phone, service, engineer):
    filled(job, service.sample("completed"), actor_for(engineer))
    page = page_of(phone, job, "risk_assessment")
    assert "Asked because</strong> nothing prevented you" in text_of(page)
    typed = {"meter_access_clear": "no", "site_energised": "yes", "leave": "yes"}
    phone.post(url_of(job, "risk_assessment"), typed_into(page, **typed))
    overview = text_of(phone.get(url_of(job)))
    assert (
        "Left out because the meter access is not clear. What you wrote there is kept" in overview
    )
    assert "“Meter” is left out now" in text_of(page_of(phone, job, "risk_assessment"))
    assert answers(job, "meter")["serial_number"]


def test_wrong_details_of_the_job_are_shown_again_as_they_were_typed(job, phone):
    typed = {**answers(job, "job_details"), "mpan": "123", "town": "Typed Town"}
    typed.pop("job_id")
    response = save(phone, job, "job_details", **typed)
    page = text_of(response)
    assert "Not saved yet" in page
    assert "Typed Town" in page
    assert 'value="123"' in page
    assert answers(job, "job_details")["mpan"] == job.mpan


def test_an_answer_that_is_far_too_long_is_shown_again(job, phone):
    long = "x" * 6000
    response = save(phone, job, "job_completion", job_notes=long)
    assert "too long" in text_of(response)
    assert long in text_of(response)


def test_a_closed_worksheet_shows_what_was_typed(job, phone, office):
    page = page_of(phone, job, "job_completion")
    actions.cancel(job=job, reason="moved", by=office.by, now=timezone.now)
    typed = typed_into(page, job_notes="Typed and not lost")
    response = phone.post(url_of(job, "job_completion"), typed)
    assert response.status_code == 200
    assert "Typed and not lost" in text_of(response)
    assert "Not saved yet" in text_of(response)


@pytest.mark.parametrize("posted", [{}, {"revision": "x"}, {"revision": "9" * 30}, {"asked": "x"}])
def test_a_forged_page_changes_nothing_and_breaks_nothing(job, phone, posted):
    response = phone.post(url_of(job, "job_completion"), posted)
    assert response.status_code in {200, 302}
    assert answers(job, "job_completion") == {}


def test_an_unknown_block_is_no_page(job, phone):
    assert phone.get(url_of(job, "nonsense")).status_code == 404


def test_the_same_page_posted_twice_is_no_clash(job, phone):
    page = page_of(phone, job, "job_completion")
    typed = typed_into(page, job_notes="Once", leave="yes")
    for _ in range(2):
        response = phone.post(url_of(job, "job_completion"), typed)
        assert response.url == url_of(job)
    assert not Clash.objects.exists()


def test_the_back_button_on_the_same_page_is_no_clash(job, phone):
    page = page_of(phone, job, "job_completion")
    for notes in ("First", "Second"):
        phone.post(url_of(job, "job_completion"), typed_into(page, job_notes=notes, leave="yes"))
    assert answers(job, "job_completion")["job_notes"] == "Second"
    assert not Clash.objects.exists()


# ---- In the background -----------------------------------------------------------------------------


def in_background(client, url, typed):
    return client.post(url, typed, headers={"HX-Request": "true"})


def test_each_answer_is_saved_in_the_background(job, phone):
    page = page_of(phone, job, "customer_contact")
    typed = typed_into(page, critical_medical_equipment="yes")
    response = in_background(phone, url_of(job, "customer_contact"), typed)
    assert answers(job, "customer_contact") == {"critical_medical_equipment": True}
    said = text_of(response)
    assert "Saved" in said
    assert 'id="row-critical_medical_equipment_info" hx-swap-oob="true"' in said
    assert 'id="row-contact_made"' not in said  # nothing that somebody types into is replaced


def test_a_save_after_one_in_the_background_is_no_clash(job, phone):
    page = page_of(phone, job, "customer_contact")
    url = url_of(job, "customer_contact")
    in_background(phone, url, typed_into(page, contact_made="yes"))
    phone.post(url, typed_into(page, contact_made="no", leave="yes"))
    assert answers(job, "customer_contact") == {"contact_made": False}
    assert not Clash.objects.exists()


def test_a_photo_is_kept_as_soon_as_it_is_chosen(job, phone):
    page = page_of(phone, job, "job_execution")
    file = SimpleUploadedFile("IMG 1.JPG", jpeg(), "image/jpeg")
    typed = typed_into(page, pre_job_photo=file)
    response = in_background(phone, url_of(job, "job_execution"), typed)
    photo = Photo.objects.get()
    assert f"/sip/photos/{photo.pk}/" in text_of(response)


# ---- Photos ----------------------------------------------------------------------------------------


def test_photos_are_kept_shown_and_taken_out(job, phone):
    file = SimpleUploadedFile("a.jpg", jpeg(), "image/jpeg")
    save(phone, job, "job_execution", pre_job_photo=file, leave="yes")
    photo = Photo.objects.get()
    response = phone.get(f"/sip/photos/{photo.pk}/")
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    assert b"".join(response)[:2] == b"\xff\xd8"
    save(phone, job, "job_execution", remove="pre_job_photo", leave="yes")
    assert not worksheet.photos_of(job)


def test_a_tick_alone_takes_no_photo_out(job, phone):
    file = SimpleUploadedFile("a.jpg", jpeg(), "image/jpeg")
    save(phone, job, "job_execution", pre_job_photo=file, leave="yes")
    page = page_of(phone, job, "job_execution")
    in_background(phone, url_of(job, "job_execution"), typed_into(page, remove="pre_job_photo"))
    assert worksheet.photos_of(job)


@pytest.mark.parametrize("content", [b"GIF89a", b"%PDF-1.7\n%%EOF", b"", b"\xff\xd8broken"])
def test_what_is_no_photo_is_said_and_the_rest_is_saved(job, phone, content):
    file = SimpleUploadedFile("a.jpg", content, "image/jpeg")
    typed = {"pre_job_photo": file, "isolator_failure_reason": ""}
    response = save(phone, job, "job_execution", site_de_energised="yes", **typed)
    assert answers(job, "job_execution") == {"site_de_energised": True}
    assert not Photo.objects.exists()
    if content:
        assert "Everything else is saved" in text_of(phone.get(response.url))


def test_photos_are_for_the_engineer_and_the_desk(job, phone, clerk, person, signed_in):
    file = SimpleUploadedFile("a.jpg", jpeg(), "image/jpeg")
    save(phone, job, "job_execution", pre_job_photo=file, leave="yes")
    url = f"/sip/photos/{Photo.objects.get().pk}/"
    assert signed_in(clerk).get(url).status_code == 200
    assert signed_in(person("supervisor")).get(url).status_code == 403
    assert signed_in(person("auditor")).get(url).status_code == 403
    assert signed_in(person("engineer")).get(url).status_code == 404
    assert Client().get(url).status_code == 302


# ---- Two devices -----------------------------------------------------------------------------------


def test_two_devices_both_answers_are_shown_and_the_person_chooses(job, phone, clerk, signed_in):
    office = signed_in(clerk)
    mine, theirs = page_of(phone, job, "job_completion"), page_of(office, job, "job_completion")
    url = url_of(job, "job_completion")
    office.post(url, typed_into(theirs, job_notes="From the office", leave="yes"))
    response = phone.post(url, typed_into(mine, job_notes="From the phone", outcome="Aborted"))
    assert answers(job, "job_completion") == {"job_notes": "From the office"}
    page = phone.get(response.url)
    said = text_of(page)
    assert "From the office" in said
    assert "From the phone" in said
    half = phone.post(response.url, {"job_notes": "mine", "revision": "1"})
    assert "Say for each question what holds" in text_of(half)
    revision = page.context["clash"].sheet.revision
    chosen = {"job_notes": "mine", "outcome": "theirs", "revision": revision}
    assert phone.post(response.url, chosen).url == url
    assert answers(job, "job_completion") == {"job_notes": "From the phone"}
    assert phone.get(response.url).status_code == 302  # settled


def test_a_third_answer_meanwhile_is_a_new_clash(job, phone, clerk, signed_in):
    office = signed_in(clerk)
    mine = page_of(phone, job, "job_completion")
    url = url_of(job, "job_completion")
    save(office, job, "job_completion", job_notes="Second", leave="yes")
    clash = phone.post(url, typed_into(mine, job_notes="First")).url
    revision = phone.get(clash).context["clash"].sheet.revision
    save(office, job, "job_completion", job_notes="Third", leave="yes")
    response = phone.post(clash, {"job_notes": "mine", "revision": revision})
    assert response.url != clash
    assert "/two/" in response.url
    said = text_of(phone.get(response.url))
    assert "Third" in said
    assert "First" in said


def test_a_clash_in_the_background_leads_to_both_answers(job, phone, clerk, signed_in):
    mine = page_of(phone, job, "job_completion")
    save(signed_in(clerk), job, "job_completion", job_notes="Office", leave="yes")
    typed = typed_into(mine, job_notes="Phone")
    response = in_background(phone, url_of(job, "job_completion"), typed)
    assert "/two/" in response["HX-Redirect"]


def test_a_clash_is_shown_until_it_is_settled(job, phone, clerk, signed_in):
    mine = page_of(phone, job, "job_completion")
    save(signed_in(clerk), job, "job_completion", job_notes="Office", leave="yes")
    phone.post(url_of(job, "job_completion"), typed_into(mine, job_notes="Phone"))
    assert "Two devices saved different answers" in text_of(phone.get(url_of(job)))


# ---- A session that has ended ----------------------------------------------------------------------


def test_what_was_typed_outlives_the_session(job, phone, engineer):
    page = page_of(phone, job, "job_completion")
    stranger = Client()
    typed = typed_into(page, job_notes="Planted and typed", outcome="Aborted")
    response = stranger.post(url_of(job, "job_completion"), typed)
    assert response.url.startswith("/accounts/login/?next=")
    assert "Planted" not in str(dict(stranger.session))  # encrypted
    stranger.force_login(engineer)
    again = stranger.get(url_of(job, "job_completion"))
    assert "not saved yet" in text_of(again)
    assert "Planted and typed" in text_of(again)
    assert answers(job, "job_completion") == {}
    stranger.post(url_of(job, "job_completion"), typed_into(again, job_notes="Planted and typed"))
    assert answers(job, "job_completion") == {"job_notes": "Planted and typed"}
    assert "not saved yet" not in text_of(stranger.get(url_of(job, "job_completion")))


def test_a_save_in_the_background_without_a_session_says_so(job):
    response = in_background(Client(), url_of(job, "job_completion"), {"job_notes": "x"})
    assert response.status_code == 200
    assert "you are signed out" in text_of(response)


def test_a_stranger_sees_nothing(job):
    response = Client().get(url_of(job))
    assert response.status_code == 302
    assert response.url.startswith("/accounts/login/")


# ---- Handing in ------------------------------------------------------------------------------------


def test_handing_in_shows_the_whole_worksheet_first(job, phone, service, engineer):
    filled(job, service.sample("completed"), actor_for(engineer))
    page = text_of(phone.get(url_of(job, "hand-in")))
    assert "L1282738282" in page
    assert "Look at this first" in page
    for _ in range(2):
        response = phone.post(url_of(job, "hand-in"))
        assert response.url == url_of(job)
    job.refresh_from_db()
    assert job.status == "check"
    assert "This was handed in already" in text_of(phone.get(url_of(job)))
    assert "This worksheet is with the office" in text_of(phone.get(url_of(job)))


def test_an_incomplete_worksheet_is_not_handed_in(job, phone):
    save(phone, job, "customer_contact", contact_made="yes", leave="yes")
    page = text_of(phone.get(url_of(job, "hand-in")))
    assert "missing or wrong" in page
    assert "Hand in the worksheet</button>" not in page
    phone.post(url_of(job, "hand-in"))
    job.refresh_from_db()
    assert job.status == "in_progress"


# ---- Correcting ------------------------------------------------------------------------------------


def test_what_the_party_refused_stands_at_its_question(office, phone, engineer, service, work):
    service.switch(refuse_unknown_codes=True)
    blocks = service.sample("completed")
    job = office.to_check(blocks, engineer=engineer)
    office.authorise(job)
    work()
    job.refresh_from_db()
    assert job.status == "refused"
    response = phone.post(f"/sip/cases/{job.reference}/correct/")
    assert response.url == url_of(job)
    overview = text_of(phone.get(url_of(job)))
    assert "The party refused this message" in overview
    assert "1 answer was refused" in overview
    page = text_of(page_of(phone, job, "job_completion"))
    assert "The party: " in page


def test_why_it_was_handed_back_stands_on_the_worksheet(office, phone, engineer, service):
    job = office.to_check(service.sample("completed"), engineer=engineer)
    reason = "The serial number has a digit too few."
    actions.hand_back(job=job, reason=reason, by=office.by, now=timezone.now)
    assert reason in text_of(phone.get(url_of(job)))


# ---- Queries ---------------------------------------------------------------------------------------


def count(client, url):
    client.get(url)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


@pytest.mark.parametrize("block", ["", "meter", "hand-in"])
def test_pages_cost_a_constant_number_of_queries(job, phone, service, engineer, block):
    filled(job, {"job_completion": {"job_notes": "x"}}, actor_for(engineer))
    few = count(phone, url_of(job, block))
    filled(job, service.sample("completed"), actor_for(engineer))
    assert count(phone, url_of(job, block)) <= few
