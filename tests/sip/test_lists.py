"""The desk as lists: who sees which jobs, tabs, filters, planning several, CSV, home, search."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import desks
from sip.models import Job, KeyStop
from tests.factories.sip import HEALTH, JobFactory

pytestmark = pytest.mark.django_db
LIST = "/sip/"


@pytest.fixture
def desk(clerk, signed_in):
    return signed_in(clerk)


def text_of(response):
    return " ".join(response.content.decode().split())


def queries(client, url):
    client.get(url)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


# ---- Who sees what -------------------------------------------------------------------------------


def test_an_engineer_sees_only_own_jobs(engineer, person, signed_in):
    mine = JobFactory(engineer=engineer)
    other = JobFactory(engineer=person("engineer"))
    nobodys = JobFactory()
    page = text_of(signed_in(engineer).get(LIST))
    assert mine.reference in page
    assert "My jobs" in page
    assert other.reference not in page
    assert nobodys.reference not in page


def test_the_office_sees_every_job(desk, engineer):
    jobs = [JobFactory(engineer=engineer), JobFactory()]
    page = text_of(desk.get(LIST))
    assert all(job.reference in page for job in jobs)


@pytest.mark.parametrize("role", ["export tariff", "metering", ""])
def test_others_do_not_see_the_list(person, signed_in, role):
    assert signed_in(person(role)).get(LIST).status_code == 403


@pytest.mark.parametrize("role", ["safe isolation", "supervisor", "auditor"])
def test_health_data_are_in_no_list_search_or_csv(office, person, signed_in, role):
    job = office.create(**HEALTH)
    client = signed_in(person(role))
    for url in (LIST, f"{LIST}?as=csv", "/search/?q=Planted", f"{LIST}?q=Planted", "/"):
        response = client.get(url)
        body = b"".join(response) if response.streaming else response.content
        assert b"Planted frailty" not in body
        assert b"Planted dog" not in body
    assert job.reference not in text_of(client.get(f"{LIST}?q=frailty"))


# ---- The list --------------------------------------------------------------------------------------


def test_tabs_have_counts_and_hold_the_filter(desk):
    JobFactory(status="check")
    JobFactory(status="unknown")
    response = desk.get(LIST, {"status": "unknown", "q": "Alder"})
    counts = {tab["label"]: tab["count"] for tab in response.context["tabs"]}
    assert (counts["All"], counts["Unknown"], counts["To check"]) == (2, 1, 1)
    assert len(response.context["table"].rows) == 1
    assert [chip["label"] for chip in response.context["chips"]] == ["Search in this list: Alder"]


@pytest.mark.parametrize("what", ["reference", "mpan", "contact_name", "post_code", "town"])
def test_search_finds_a_job_by_what_names_it(desk, what):
    job = JobFactory(town="Oakenmere", post_code="LX9 8RT", contact_name="Fenwick Toll")
    JobFactory()
    found = desk.get(LIST, {"q": getattr(job, what)}).context["table"].rows
    assert [row.record.pk for row in found] == [job.pk]


def test_their_request_id_and_scenario_are_searchable(desk):
    job = JobFactory(status="accepted")
    Job.objects.filter(pk=job.pk).update(their_reference="req-77", scenario="SC02")
    for text in ("req-77", "SC02"):
        assert job.reference in text_of(desk.get("/search/", {"q": text}))
        assert job.reference in text_of(desk.get(LIST, {"q": text}))


def test_filters_by_engineer_and_day(desk, engineer):
    today = timezone.localdate()
    late = JobFactory(engineer=engineer, planned_date=today - timedelta(days=2))
    soon = JobFactory(planned_date=today + timedelta(days=3))

    def found(**query):
        return {row.record.pk for row in desk.get(LIST, query).context["table"].rows}

    assert found(planned="late") == {late.pk}
    assert found(planned="week") == {soon.pk}
    assert found(engineer=engineer.pk) == {late.pk}
    assert found(engineer="nobody") == {soon.pk}
    assert found(engineer="nonsense") == {late.pk, soon.pk}


def test_a_list_costs_a_constant_number_of_queries(desk, engineer):
    for _ in range(3):
        JobFactory(engineer=engineer)
    few = queries(desk, LIST)
    for _ in range(9):
        JobFactory(engineer=engineer, status="check")
    assert queries(desk, LIST) == few


def test_home_costs_a_constant_number_of_queries(desk):
    def one_each():
        for status in ("unknown", "refused", "check"):
            JobFactory(status=status)

    one_each()
    few = queries(desk, "/")
    one_each()
    assert queries(desk, "/") == few


def test_several_jobs_are_given_to_an_engineer(desk, engineer):
    jobs = [JobFactory() for _ in range(2)]
    ended = JobFactory(status="cancelled")
    chosen = [job.pk for job in (*jobs, ended)]
    response = desk.post(LIST, {"do": "plan", "row": chosen})
    assert response.status_code == 302
    page = desk.get(response.url)
    assert "Give 2 jobs" in text_of(page)
    desk.post(response.url, {"engineer": engineer.pk, "planned_date": "2027-01-12"})
    for job in jobs:
        job.refresh_from_db()
        assert job.engineer == engineer
        assert f"{job.planned_date}" == "2027-01-12"
    ended.refresh_from_db()
    assert ended.engineer is None


def test_who_may_not_plan_has_no_such_button(person, signed_in):
    job = JobFactory()
    client = signed_in(person("auditor"))
    assert "Give to an engineer" not in text_of(client.get(LIST))
    client.post(LIST, {"do": "plan", "row": [job.pk]})
    assert client.get("/sip/plan/", {"job": job.pk}).status_code == 403


def test_csv_of_the_chosen_rows(desk):
    job = JobFactory(contact_name="=cmd()")
    JobFactory()
    body = b"".join(desk.post(LIST, {"do": "csv", "row": [job.pk]})).decode()
    assert "'=cmd()" in body
    assert len(body.splitlines()) == 2


def test_an_empty_list_says_what_to_do(desk):
    assert "Create one, or import a list" in text_of(desk.get(LIST))


# ---- Home ------------------------------------------------------------------------------------------


def test_unknown_comes_first_on_home_in_red_with_its_age(desk, clerk):
    JobFactory(status="check")
    unknown = JobFactory(status="unknown")
    groups = desks.desk("sip").inbox_for(clerk, only_mine=False)
    assert [group.edge for group in groups] == ["bad", "look"]
    assert groups[0].items[0].reference == unknown.reference
    assert groups[0].items[0].age_at == unknown.status_at
    assert "1 unknown" in text_of(desk.get("/"))


def test_a_refused_key_stands_above_everything(desk, clerk):
    JobFactory(status="unknown")
    KeyStop.objects.create(since=timezone.now(), http_status=401, sentence="They say no.")
    groups = desks.desk("sip").inbox_for(clerk, only_mine=False)
    assert groups[0].title == "Safe isolation is stopped"
    assert "does not take our key" in text_of(desk.get(LIST))


def test_only_mine_hides_what_others_look_after(clerk, person):
    JobFactory(status="check", assigned_to=person("safe isolation"))
    mine = JobFactory(status="check", assigned_to=clerk)
    (group,) = desks.desk("sip").inbox_for(clerk, only_mine=True)
    assert [item.reference for item in group.items] == [mine.reference]


def test_an_engineer_finds_own_open_jobs_on_home(engineer, signed_in):
    mine = JobFactory(engineer=engineer)
    other = JobFactory()
    page = text_of(signed_in(engineer).get("/"))
    assert mine.reference in page
    assert other.reference not in page
