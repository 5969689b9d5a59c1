"""The desk's list, its place on home and search: filters, pages, bulk actions, CSV, queries."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Alarm, Note
from seg import lists
from seg.models import Application
from tests.factories import ApplicationFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(decider, signed_in):
    return signed_in(decider)


def text_of(response):
    return " ".join(response.content.decode().split())


def rows(response):
    """The references on the page, in their order."""
    return [row.record.reference for row in response.context["table"].paginated_rows]


def found(desk, query=""):
    return set(rows(desk.get(f"/seg/?{query}")))


def table(response):
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def said(response):
    return " ".join(str(message) for message in response.context["messages"])


# ---- Tabs, filters, search -------------------------------------------------------------------


def test_tabs_count_every_status(desk):
    for status, number in (("review", 3), ("checking", 2), ("refused", 1)):
        for _ in range(number):
            ApplicationFactory(status=status)
    tabs = {tab["label"]: tab["count"] for tab in desk.get("/seg/").context["tabs"]}
    assert tabs == {
        "All": 6, "Needs review": 3, "Checking": 2, "Waiting for customer": 0, "Approved": 0,
        "Suspended": 0, "Refused": 1, "Withdrawn": 0,
    }  # fmt: skip
    for status, number in (("review", 3), ("checking", 2), ("withdrawn", 0)):
        page = desk.get(f"/seg/?status={status}")
        assert len(rows(page)) == number
        assert [t["label"] for t in page.context["tabs"] if t["current"]] != ["All"]


def test_every_status_has_a_tab():
    assert {value for value, _ in lists.ApplicationList.status_labels} == set(
        Application.Status.values
    )


def test_search_finds_by_anything_that_names_an_application(desk):
    row = ApplicationFactory(
        name="Odile Kestrin", email="odile@example.org", postcode="LX3 7QP", phone="01632 960999",
        certificate_number="MCS-12345678-K", import_mpan="1400002000040",
        export_mpan="2012345678906", reference="SEG-2601-0042",
    )  # fmt: skip
    ApplicationFactory()
    for text in (
        "SEG-2601-0042", "seg-2601", "kestrin", "Odile Kestrin", "ODILE@", "LX3 7QP", "lx37qp",
        "MCS-12345678-K", "mcs 12345678 k", "12345678", "1400002000040", "14 0000 2000 040",
        "2012345678906", " Kestrin ",
    ):  # fmt: skip
        assert found(desk, f"q={text}") == {row.reference}, text
    assert found(desk, "q=nobody-like-this") == set()


def test_filters_combine_and_can_be_removed_one_by_one(desk, decider, supervisor):
    mine = ApplicationFactory(status="review", kind="switch", assigned_to=decider)
    theirs = ApplicationFactory(status="review", assigned_to=supervisor)
    free = ApplicationFactory(status="checking", kind="switch")
    old = ApplicationFactory(received_at=timezone.now() - timedelta(days=100))
    assert found(desk, "who=me") == {mine.reference}
    assert found(desk, "who=nobody") == {free.reference, old.reference}
    assert found(desk, "kind=switch") == {mine.reference, free.reference}
    assert found(desk, "received=7") == {mine.reference, theirs.reference, free.reference}
    assert found(desk, "kind=switch&status=review") == {mine.reference}

    page = desk.get("/seg/?kind=switch&who=me&status=review&sort=name")
    chips = {chip["label"]: chip["url"] for chip in page.context["chips"]}
    assert set(chips) == {"With: Me", "Applies as: Moving from another supplier"}
    without = chips["With: Me"]
    assert "who" not in without
    assert all(part in without for part in ("kind=switch", "status=review", "sort=name"))
    assert page.context["clear_url"] in ("?status=review&sort=name", "?sort=name&status=review")


@pytest.mark.parametrize(
    "query",
    [
        "page=999", "page=abc", "page=0", "sort=nonsense", "sort=-", "status=nonsense",
        "who=nonsense", "kind=%00", "q=%00", "received=x", "q=" + "x" * 5000, "q=%25%27--",
        "sort=account_number", "sort=token", "q=%F0%9F%98%80",
    ],
)  # fmt: skip
def test_an_address_that_somebody_typed_breaks_nothing(query, desk):
    ApplicationFactory()
    assert desk.get(f"/seg/?{query}").status_code in (200, 404)


def test_sorting(desk):
    now = timezone.now()
    places = {"Cass": 1, "Ada": 3, "Bram": 2}
    made = {
        name: ApplicationFactory(name=name, received_at=now - timedelta(days=days)).reference
        for name, days in places.items()
    }
    order = {
        "sort=name": "Ada Bram Cass",
        "sort=-name": "Cass Bram Ada",
        "sort=received_at": "Ada Bram Cass",
        "": "Cass Bram Ada",
        "sort=status_at": "Cass Bram Ada",
        "sort=-status_at": "Ada Bram Cass",
    }
    for query, names in order.items():
        assert rows(desk.get(f"/seg/?{query}")) == [made[name] for name in names.split()], query


def test_pages_keep_the_filters(desk):
    for _ in range(53):
        ApplicationFactory(kind="switch")
    first = desk.get("/seg/?kind=switch&sort=name")
    assert len(rows(first)) == 50
    assert "kind=switch&amp;sort=name&amp;page=2" in text_of(first)
    second = desk.get("/seg/?kind=switch&sort=name&page=2")
    assert len(rows(second)) == 3
    assert not set(rows(first)) & set(rows(second))


def test_an_empty_list_says_what_to_do(desk):
    page = text_of(desk.get("/seg/?status=suspended"))
    assert "No applications here" in page
    assert "Show all applications" in page


def test_what_is_late_is_marked(desk):
    ApplicationFactory(status="review", due_by=timezone.now() - timedelta(hours=1))
    assert "overdue" in text_of(desk.get("/seg/"))


@pytest.mark.parametrize("query", ["", "status=review&q=ada&sort=-name&who=nobody"])
def test_sixty_rows_cost_as_many_queries_as_five(query, desk, decider):
    for _ in range(5):
        ApplicationFactory(status="review", assigned_to=None if query else decider)
    desk.get("/seg/")
    with CaptureQueriesContext(connection) as few:
        assert len(rows(desk.get(f"/seg/?{query}"))) == 5
    for _ in range(55):
        ApplicationFactory(status="review", assigned_to=None if query else decider)
    with CaptureQueriesContext(connection) as many:
        assert len(rows(desk.get(f"/seg/?{query}"))) == 50
    assert len(many) == len(few)


# ---- CSV --------------------------------------------------------------------------------------


def test_csv_holds_what_the_filters_leave_and_no_secrets(desk):
    secret = {"sort_code": "409217", "account_number": "83561947"}
    row = ApplicationFactory(status="approved", kind="switch", name="Ada", **secret)
    ApplicationFactory(status="review", kind="switch")
    ApplicationFactory(status="approved")
    response = desk.get("/seg/?kind=switch&status=approved&as=csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in response["Content-Disposition"]
    (line,) = table(response)
    assert line["reference"] == row.reference
    assert (line["status"], line["name"], line["tariff"]) == ("Approved", "Ada", row.tariff.code)
    assert not any(
        secret in cell
        for cell in line.values()
        for secret in ("409217", "83561947", row.token, row.token_sha256, row.account_name + "rk")
    )
    assert {"sort code", "account number", "token"}.isdisjoint(line)


def test_csv_is_safe_in_a_spreadsheet(desk):
    ApplicationFactory(name="=HYPERLINK(1)", phone="+44 1632", town="@SUM(A1)", why="-1+1")
    (line,) = table(desk.get("/seg/?as=csv"))
    assert (line["name"], line["phone"]) == ("'=HYPERLINK(1)", "'+44 1632")
    assert line["why"] == "'-1+1"
    assert not any(cell.startswith(("=", "+", "@", "\t")) for cell in line.values())


def test_csv_costs_as_many_queries_for_sixty_rows_as_for_five(desk):
    for _ in range(5):
        ApplicationFactory()
    with CaptureQueriesContext(connection) as few:
        assert len(table(desk.get("/seg/?as=csv"))) == 5
    for _ in range(55):
        ApplicationFactory()
    with CaptureQueriesContext(connection) as many:
        assert len(table(desk.get("/seg/?as=csv"))) == 60
    assert len(many) == len(few)


# ---- Bulk actions -----------------------------------------------------------------------------


def bulk(desk, do, *applications, query=""):
    chosen = [str(getattr(row, "pk", row)) for row in applications]
    return desk.post(f"/seg/{query}", {"do": do, "row": chosen}, follow=do != "csv")


def test_assigning_many(desk, decider):
    made = [ApplicationFactory(status="review") for _ in range(3)]
    answer = bulk(desk, "assign", *made[:2], query="?status=review")
    assert answer.redirect_chain == [("/seg/?status=review", 302)]
    assert "2 assigned to you" in said(answer)
    given = Application.objects.filter(assigned_to=decider)
    assert set(given) == set(made[:2])
    assert Note.objects.filter(kind="assigned").count() == 2


def test_asking_again_about_many_does_what_it_can(desk):
    made = [ApplicationFactory(status=status) for status in ("review", "waiting", "refused")]
    answer = bulk(desk, "check_again", *made)
    assert "asked again about 2" in said(answer)
    assert "1 left as they are" in said(answer)
    assert Application.objects.filter(status="checking", due_at__isnull=False).count() == 2


def test_csv_of_the_chosen(desk):
    made = [ApplicationFactory() for _ in range(3)]
    lines = table(bulk(desk, "csv", *made[:2]))
    assert {line["reference"] for line in lines} == {row.reference for row in made[:2]}


@pytest.mark.parametrize("do", ["", "delete", "csv_of", "__class__", "assign"])
def test_nothing_chosen_or_unknown_does_nothing(do, desk):
    row = ApplicationFactory(status="review")
    answer = bulk(desk, do, *([] if do == "assign" else [row]))
    if do != "csv":
        assert "Nothing was done" in said(answer)
    assert Application.objects.get().assigned_to is None


@pytest.mark.parametrize("number", ["99999999999999999999", "x", "-1", "٣", "999999"])
def test_rows_that_cannot_be_are_left_out(number, desk):
    row = ApplicationFactory(status="review")
    assert bulk(desk, "assign", row, number).status_code == 200
    assert bulk(desk, "assign", number).status_code == 200


@pytest.mark.parametrize("do", ["assign", "check_again"])
def test_an_auditor_changes_nothing_but_may_take_the_csv(do, auditor, signed_in):
    row, client = ApplicationFactory(status="review"), signed_in(auditor)
    page = text_of(client.get("/seg/"))
    assert "Assign to me" not in page
    assert "Download these as CSV" in page
    bulk(client, do, row)
    row = Application.objects.get()
    assert (row.status, row.assigned_to, row.due_at) == ("review", None, None)
    assert not Note.objects.exists()
    assert len(table(bulk(client, "csv", row))) == 1


# ---- Home and search --------------------------------------------------------------------------


def test_the_tile_counts_what_needs_a_person(decider):
    at = timezone.now() - timedelta(days=3)
    for status in ("review", "suspended", "checking", "waiting", "approved"):
        ApplicationFactory(status=status)
    ApplicationFactory(status="review", received_at=at)
    tile = lists.tile(decider)
    assert (tile.big, tile.foot, tile.url) == (3, "1 checking", "/seg/")
    assert abs(tile.oldest_at - at) < timedelta(minutes=1)


def test_the_inbox_groups_by_what_has_to_be_done(decider):
    ApplicationFactory(status="suspended")
    late = ApplicationFactory(status="review", due_by=timezone.now() - timedelta(days=1))
    ApplicationFactory(status="checking", trouble="silent")
    ApplicationFactory(status="checking")
    ApplicationFactory(status="waiting", received_at=timezone.now() - timedelta(days=15))
    ApplicationFactory(status="waiting")
    ApplicationFactory(status="approved", trouble="silent")
    groups = {group.title: group for group in lists.inbox(decider, only_mine=False)}
    assert {title: group.count for title, group in groups.items()} == {
        "Suspended certificates": 1,
        "Needs a decision": 1,
        "The registry is silent": 1,
        "The customer is silent": 1,
    }
    (item,) = groups["Needs a decision"].items
    assert (item.reference, item.overdue) == (late.reference, True)


def test_the_inbox_of_one_person(decider, supervisor):
    mine = ApplicationFactory(status="review", assigned_to=decider)
    ApplicationFactory(status="review", assigned_to=supervisor)
    ApplicationFactory(status="review")
    (group,) = lists.inbox(decider, only_mine=True)
    assert [item.reference for item in group.items] == [mine.reference]


def test_home_costs_as_many_queries_for_sixty_cases_as_for_thirty(desk):
    for _ in range(30):
        ApplicationFactory(status="review")
    desk.get("/")
    with CaptureQueriesContext(connection) as few:
        desk.get("/")
    for _ in range(30):
        ApplicationFactory(status="review")
    with CaptureQueriesContext(connection) as many:
        assert "60" in text_of(desk.get("/"))
    assert len(many) == len(few)


def test_search_over_desks_needs_the_role(desk, engineer, signed_in):
    row = ApplicationFactory(name="Odile Kestrin")
    assert row.reference in text_of(desk.get("/search/?q=Kestrin"))
    assert row.reference not in text_of(signed_in(engineer).get("/search/?q=Kestrin"))


def test_home_shows_the_desks_alarms_to_those_who_may_see_it(desk, engineer, signed_in):
    now = timezone.now()
    Alarm.objects.create(
        key="k", desk="seg", title="The registry is silent now", raised_at=now, last_at=now
    )
    assert "The registry is silent now" in text_of(desk.get("/"))
    assert "The registry is silent now" not in text_of(signed_in(engineer).get("/"))
