"""The office's pages: the case, moves, files, imports, codes, figures, and who may open which."""

import io
import zipfile
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Note
from core.workflow import actor_for
from sip import actions
from sip.models import Code, CodeList, Job, JobImport, KeyStop
from tests.factories.applications import mpan
from tests.factories.sip import HEALTH, JobFactory, attempt_of, filled

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(clerk, signed_in):
    return signed_in(clerk)


def text_of(response):
    return " ".join(response.content.decode().split())


def case_of(job, page=""):
    return f"/sip/cases/{job.reference}/" + (f"{page}/" if page else "")


def csv_file(*rows, name="jobs.csv"):
    heading = "MPAN,SUPPLIER_MPID,CONTACT_NAME,ADDRESS,TOWN,POST_CODE,CONTACT_TELEPHONE,"
    heading += "PLANNED_DATE,ENGINEER,CUSTOMER_VULNERABILITY"
    return SimpleUploadedFile(name, "\n".join([heading, *rows]).encode(), "text/csv")


def row(number, *, engineer="", vulnerability="", day="2026-12-01"):
    site = "LARK,Briony Catch,1 Thimble Court,Quenmouth,CV5 4DD,01632 960124"
    return f"{number},{site},{day},{engineer},{vulnerability}"


# ---- Role by page ----------------------------------------------------------------------------------

EVERYBODY = ("safe isolation", "supervisor", "auditor")
DESK = ("safe isolation", "supervisor")
PAGES = {
    "/sip/": (*EVERYBODY, "engineer"),
    "/sip/add/": DESK,
    "/sip/import/": DESK,
    "/sip/statistics/": EVERYBODY,
    "/sip/codes/": EVERYBODY,
    "/sip/codes/dno_issue/": EVERYBODY,
    "/sip/codes/dno_issue/import/": DESK,
    "case": EVERYBODY,
    "case pack": EVERYBODY,
    "case attempts/1": EVERYBODY,
    "case hand_back": DESK,
    "case cancel": DESK,
    "case check": DESK,
    "case sending": EVERYBODY,
    "case worksheet": ("safe isolation",),
}


@pytest.mark.parametrize("where", PAGES)
@pytest.mark.parametrize("role", [*EVERYBODY, "engineer", "export tariff", "metering", ""])
def test_each_role_opens_its_pages_alone(office, service, person, signed_in, role, where):
    job = office.to_check(service.sample("completed"))
    if where in {"case attempts/1", "case sending"}:
        attempt_of(job, "stopped")
    client = signed_in(person(role))
    url = case_of(job, where.removeprefix("case").strip()) if "case" in where else where
    response = client.get(url)
    allowed = role in PAGES[where]
    assert response.status_code == 200 if allowed else response.status_code in {403, 404}


@pytest.mark.parametrize("where", PAGES)
def test_a_stranger_is_asked_to_sign_in(where):
    job = JobFactory()
    url = case_of(job, where.removeprefix("case").strip()) if "case" in where else where
    response = Client().get(url)
    assert response.status_code == 302
    assert response.url.startswith("/accounts/login/")


@pytest.mark.parametrize("what", ["note", "assign", "plan", "stop", "private"])
def test_what_changes_something_is_no_link(desk, what):
    assert desk.get(case_of(JobFactory(), what)).status_code == 405


@pytest.mark.parametrize(
    ("what", "typed"),
    [
        ("note", {"text": "x"}),
        ("assign", {"person": ""}),
        ("plan", {"engineer": "", "planned_date": "2027-01-01"}),
        ("stop", {}),
        ("cancel", {"reason": "x"}),
        ("hand_back", {"reason": "x"}),
        ("correct", {}),
        ("check", {"token": "x"}),
        ("settle", {"answer": "received"}),
    ],
)
def test_an_auditor_changes_nothing(person, signed_in, what, typed):
    job = JobFactory(status="check")
    notes = Note.objects.count()
    assert signed_in(person("auditor")).post(case_of(job, what), typed).status_code == 403
    job.refresh_from_db()
    assert job.status == "check"
    assert Note.objects.count() == notes


# ---- The case --------------------------------------------------------------------------------------

STATUSES = [*Job.Status.values]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_page_that_says_what_next(desk, status):
    said = text_of(desk.get(case_of(JobFactory(status=status))))
    assert "Next" in said
    assert "Who acts" in said


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        ("planned", ["Fill in the worksheet", "Cancel this job"]),
        ("in_progress", ["Go on with the worksheet", "Cancel this job"]),
        ("check", ["Check before you send", "Hand back to the engineer", "Cancel this job"]),
        ("sending", ["Stop before it is sent"]),
        ("accepted", []),
        ("refused", ["Correct the worksheet", "Cancel this job"]),
        ("unknown", ["Record what they say"]),
        ("cancelled", []),
    ],
)
def test_the_buttons_come_from_the_transition_table(desk, status, buttons):
    moves = desk.get(case_of(JobFactory(status=status))).context["moves"]
    assert [move["label"] for move in moves] == buttons


def test_unknown_says_whom_to_ring_and_that_nothing_is_repeated(desk, settings):
    settings.SIP_PARTY_PHONE = "020 7946 0112"
    job = JobFactory(status="unknown")
    said = text_of(desk.get(case_of(job)))
    assert "020 7946 0112" in said
    assert "Nothing is sent again by itself" in said
    assert str(job.job_id) in said


@pytest.mark.parametrize("role", ["safe isolation", "supervisor", "auditor"])
@pytest.mark.parametrize("where", ["", "attempts/1"])
def test_health_data_are_masked_on_the_case(office, private_jobs, person, signed_in, role, where):
    job = office.to_check(private_jobs)
    attempt_of(job, "stopped")
    said = text_of(signed_in(person(role)).get(case_of(job, where)))
    assert "Planted" not in said


def test_health_data_are_shown_on_request_and_that_is_recorded(office, private_jobs, desk):
    job = office.to_check(private_jobs)
    response = desk.post(case_of(job, "private"))
    said = text_of(response)
    for text in ("Planted frailty", "Planted feeding machine", "Planted asbestos", "Planted note"):
        assert text in said
    assert "no-store" in response["Cache-Control"]
    assert Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED).exists()
    assert "Planted" not in said[: said.index("</title>")]


@pytest.mark.parametrize("role", ["supervisor", "auditor"])
def test_others_are_not_shown_health_data(office, person, signed_in, role):
    job = office.create(**HEALTH)
    response = signed_in(person(role)).post(case_of(job, "private"))
    assert response.status_code == 403
    assert "Planted" not in text_of(response)
    assert not Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED).exists()


def test_their_reply_is_hidden_from_who_may_not_read_it(desk, person, signed_in):
    job = JobFactory(status="refused")
    job.sends.update(reply="Planted reply", details=[{"text": "Planted detail", "path": "x"}])
    for page in ("", "attempts/1"):
        assert "Planted" not in text_of(signed_in(person("supervisor")).get(case_of(job, page)))
        assert "Planted detail" in text_of(desk.get(case_of(job, page)))
    assert Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED).exists()


def test_a_reason_names_its_question(desk):
    job = JobFactory(status="refused")
    detail = {"text": "Not known", "path": "meter.location", "block": "meter", "field": "location"}
    job.sends.update(details=[detail, {"text": "Elsewhere", "path": "", "block": "", "field": ""}])
    said = text_of(desk.get(case_of(job)))
    assert "Meter: Where is the meter?" in said
    assert "Elsewhere" in said


def test_an_attempt_that_is_not_there_is_no_page(desk):
    assert desk.get(case_of(JobFactory(), "attempts/7")).status_code == 404


def test_a_case_costs_a_constant_number_of_queries(desk):
    def count(job):
        desk.get(case_of(job))
        with CaptureQueriesContext(connection) as seen:
            desk.get(case_of(job))
        return len(seen)

    job = JobFactory(status="accepted")
    few = count(job)
    for _ in range(4):
        attempt_of(job, "stopped")
    assert count(job) == few


# ---- Moves, notes, people --------------------------------------------------------------------------


def test_handing_back_needs_a_reason(desk):
    job = JobFactory(status="check")
    assert "Write the reason" in text_of(desk.post(case_of(job, "hand_back"), {"reason": " "}))
    desk.post(case_of(job, "hand_back"), {"reason": "The serial number is missing a digit."})
    job.refresh_from_db()
    assert job.status == "in_progress"


def test_a_move_that_is_no_longer_possible_says_why(desk):
    job = JobFactory(status="accepted")
    response = desk.post(case_of(job, "cancel"), {"reason": "x"}, follow=True)
    assert "Problem:" in text_of(response)
    job.refresh_from_db()
    assert job.status == "accepted"


def test_a_move_that_does_not_exist_is_no_page(desk):
    for name in ("accept", "lose", "nonsense"):
        assert desk.get(case_of(JobFactory(status="check"), name)).status_code == 404


def test_notes_and_people(desk, clerk, engineer):
    job = JobFactory()
    desk.post(case_of(job, "note"), {"text": "Rang twice"})
    desk.post(case_of(job, "assign"), {"person": clerk.pk})
    desk.post(case_of(job, "plan"), {"engineer": engineer.pk, "planned_date": "2027-02-03"})
    job.refresh_from_db()
    assert (job.assigned_to, job.engineer) == (clerk, engineer)
    assert "Rang twice" in text_of(desk.get(case_of(job)))
    for what, typed in (
        ("note", {"text": ""}),
        ("assign", {"person": engineer.pk}),
        ("plan", {"engineer": clerk.pk, "planned_date": "2027-02-03"}),
        ("plan", {"engineer": "", "planned_date": ""}),
    ):
        assert "Nothing was" in text_of(desk.post(case_of(job, what), typed, follow=True))


# ---- The evidence pack -----------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "whole"), [("safe isolation", True), ("auditor", False)])
def test_the_pack_holds_what_its_reader_may_read(
    office, private_jobs, person, signed_in, role, whole
):
    job = office.sending(private_jobs)
    response = signed_in(person(role)).get(case_of(job, "pack"))
    assert response["Content-Type"] == "application/zip"
    assert "no-store" in response["Cache-Control"]
    names = zipfile.ZipFile(io.BytesIO(response.content)).namelist()
    assert ("message-1.json" in names) is whole
    revealed = Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED)
    assert revealed.exists() is whole


# ---- Creating and importing ------------------------------------------------------------------------


def test_a_form_posted_twice_makes_one_job(desk):
    page = desk.get("/sip/add/")
    typed = {
        "mpan": mpan(130000000004),
        "supplier_mpid": "LARK",
        "contact_name": "Briony Catch",
        "address": "1 Thimble Court",
        "town": "Quenmouth",
        "post_code": "CV5 4DD",
        "contact_telephone": "01632 960124",
        "planned_date": "2027-01-01",
        "customer_vulnerability": "Planted frailty",
        "key": page.context["key"],
    }
    first, second = desk.post("/sip/add/", typed), desk.post("/sip/add/", typed)
    assert first.url == second.url
    assert Job.objects.count() == 1


def test_a_mistake_in_a_new_job_shows_everything_again(desk):
    response = desk.post("/sip/add/", {"mpan": "12", "site_risk": "Planted dog"})
    said = text_of(response)
    assert "There are" in said
    assert "Planted dog" in said
    assert "no-store" in response["Cache-Control"]


def test_an_import_is_shown_before_it_is_made(desk, engineer):
    good, other = mpan(130000000005), mpan(130000000006)
    file = csv_file(
        row(good, engineer=engineer.email, vulnerability="Planted frailty"), row(other), row("12")
    )
    page = desk.post("/sip/import/", {"file": file})
    said = text_of(page)
    assert "2 new, 0 there already" in said
    assert "1 row left out" in said
    assert "Planted" not in said
    assert not Job.objects.exists()
    upload = page.context["upload"]
    for _ in range(2):
        desk.post(f"/sip/import/{upload.pk}/")
    assert set(Job.objects.values_list("mpan", flat=True)) == {good, other}
    assert Job.objects.get(mpan=good).engineer == engineer


def test_an_import_of_somebody_else_is_not_there(desk, person):
    upload = JobImport.objects.create(by=person("safe isolation"), at=timezone.now(), rows=[])
    response = desk.post(f"/sip/import/{upload.pk}/", follow=True)
    assert "too old" in text_of(response)


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"a,b\n1,2\n", b"MPAN\n"])
def test_what_is_no_list_is_said(desk, content):
    file = SimpleUploadedFile("x.csv", content, "text/csv")
    assert "Error" in text_of(desk.post("/sip/import/", {"file": file}))


def test_visits_that_are_planned_already_are_not_made_again(desk):
    job = JobFactory(planned_date="2026-12-01")
    said = text_of(desk.post("/sip/import/", {"file": csv_file(row(job.mpan))}))
    assert "0 new, 1 there already" in said
    assert "nothing to create" in said


# ---- Codes -----------------------------------------------------------------------------------------


def test_codes_are_added_changed_and_imported(desk):
    url = "/sip/codes/dno_issue/"
    desk.post(url, {"value": "D", "meaning": "New", "active": "on"})
    code = Code.objects.get(code_list__name="dno_issue", value="D")
    desk.post(f"{url}{code.pk}/", {"value": "D", "meaning": "Changed"})
    code.refresh_from_db()
    assert (code.meaning, code.active) == ("Changed", False)
    file = SimpleUploadedFile("c.csv", b"VALUE,MEANING\nD,Again\nE,\n", "text/csv")
    response = desk.post(f"{url}import/", {"file": file}, follow=True)
    assert "1 codes added, 1 changed" in text_of(response)
    assert "CSV by" in CodeList.objects.get(name="dno_issue").source


def test_a_code_that_is_there_is_not_added_again(desk):
    said = text_of(desk.post("/sip/codes/dno_issue/", {"value": "A", "active": "on"}))
    assert "This list has this code already." in said


def test_who_only_looks_cannot_edit_codes(person, signed_in):
    client = signed_in(person("auditor"))
    page = text_of(client.get("/sip/codes/dno_issue/"))
    assert "Add a code" not in page
    client.post("/sip/codes/dno_issue/", {"value": "Z", "active": "on"})
    assert not Code.objects.filter(value="Z").exists()
    code = Code.objects.filter(code_list__name="dno_issue").first()
    assert client.get(f"/sip/codes/dno_issue/{code.pk}/").status_code == 403


# ---- Figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", [{}, {"first": "2026-01-01", "last": "2026-01-02"}, {"first": "x"}]
)
def test_figures_of_any_days(desk, query):
    JobFactory(status="accepted")
    assert desk.get("/sip/statistics/", query).status_code == 200


def test_figures_count_by_status_and_scenario(desk):
    job = JobFactory(status="accepted", created_at=timezone.now() - timedelta(days=1))
    Job.objects.filter(pk=job.pk).update(scenario="SC02")
    JobFactory(status="cancelled")
    said = text_of(desk.get("/sip/statistics/"))
    assert "SC02" in said
    assert "1 of 1, never refused" in said


# ---- The key ---------------------------------------------------------------------------------------


def test_the_key_is_said_to_be_fixed_once(desk):
    KeyStop.objects.create(since=timezone.now(), http_status=401, sentence="They say no.")
    assert "They say no." in text_of(desk.get("/sip/key/"))
    assert "Write what was done" in text_of(desk.post("/sip/key/", {"note": ""}))
    desk.post("/sip/key/", {"note": "New key entered"})
    assert KeyStop.current() is None
    assert "The desk is not stopped" in text_of(desk.post("/sip/key/", {"note": "x"}, follow=True))


def test_who_may_not_send_does_not_fix_the_key(person, signed_in):
    KeyStop.objects.create(since=timezone.now(), http_status=403, sentence="They say no.")
    client = signed_in(person("auditor"))
    client.post("/sip/key/", {"note": "x"})
    assert KeyStop.current() is not None


def test_a_late_acceptance_offers_to_record_it_and_not_to_send(desk, clerk, office, service):
    job = office.to_check(service.sample("completed"))
    attempt_of(job, "unknown", late_outcome="accepted", late_at=timezone.now())
    page = desk.get(case_of(job))
    labels = [move["label"] for move in page.context["moves"]]
    assert "Record that they accepted it after all" in labels
    assert "Check before you send" not in labels
    desk.post(case_of(job, "accept_after_all"), {"reason": "Their answer of 10:04 says so."})
    job.refresh_from_db()
    assert job.status == "accepted"


def test_two_answers_of_two_devices_are_named_on_the_case(desk, clerk, engineer, office):
    job = filled(
        office.create(engineer=engineer),
        {"job_completion": {"outcome": "Aborted"}},
        actor_for(engineer),
    )
    with pytest.raises(actions.ChangedMeanwhile):
        actions.save_block(
            job=job,
            block="job_completion",
            answers={"outcome": "Done"},
            revision=0,
            by=actor_for(clerk),
            now=timezone.now,
        )
    assert "Two devices saved different answers" in text_of(desk.get(case_of(job)))
