"""The list of quotes, its place on home, and search; and lists that are long."""

from datetime import timedelta

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import listing
from core.models import PartnerCall
from gasquotes import lists
from gasquotes.models import Quote
from tests.factories.gasquotes import QuoteFactory

pytestmark = pytest.mark.django_db
LIST = "/gas-quotes/"


@pytest.fixture
def maud(person):
    return person("gas quotes", first_name="Maud", last_name="Elrick")


@pytest.fixture
def desk(maud, signed_in):
    return signed_in(maud)


@pytest.fixture(autouse=True)
def quiet(bells):
    return bells


def shown(response):
    return [row.record for row in response.context["table"].paginated_rows]


def many(count, **fields):
    """Quotes by the hundred, a minute apart, the last one newest."""
    now = timezone.now()
    rows = [
        Quote(
            reference=f"GQ-9901-{n:05d}",
            status=Quote.FIRST,
            name=f"Customer {n}",
            asked_mprn=f"{4_000_000_000 + n}",
            mprn=f"{4_000_000_000 + n}",
            start=now.date(),
            months=12,
            payment="direct_debit",
            created_at=now - timedelta(minutes=count - n),
            status_at=now,
            **fields,
        )
        for n in range(count)
    ]
    return models.QuerySet.bulk_create(Quote.objects.all(), rows)


def test_every_status_has_a_tab_with_its_count(desk):
    for number, status in enumerate(Quote.Status.values, 1):
        for _ in range(number):
            QuoteFactory(status=status)
    tabs = desk.get(LIST).context["tabs"]
    assert [tab["count"] for tab in tabs] == [28, 1, 2, 3, 4, 5, 6, 7]
    assert len(shown(desk.get(f"{LIST}?status=review"))) == 3


@pytest.mark.parametrize(
    "text",
    [
        "GQ-2611-0417", "gq-2611-04", "1234567810", "12345 678", "440107", "ab243pu", "AB24 3PU",
        "mill@lane.example", "MILL@LANE.example", "lane bake", "Öz",
    ],
)  # fmt: skip
def test_search_finds_by_anything_that_names_a_quote(text, desk):
    QuoteFactory(name="Other", asked_mprn="9876543209", email="other@else.example")
    wanted = QuoteFactory(
        reference="GQ-2611-0417",
        name="Mill Lane Bakery Öz",
        asked_mprn="440107" if text == "440107" else "1234567810",
        email="mill@lane.example",
        asked_postcode="AB24 3PU",
    )
    assert shown(desk.get(LIST, {"q": text})) == [wanted]
    assert [hit.reference for hit in lists.search(text, None)] == [wanted.reference]


def test_filters(desk, maud):
    mine = QuoteFactory(assigned_to=maud)
    old = QuoteFactory(created_at=timezone.now() - timedelta(days=40))
    assert shown(desk.get(f"{LIST}?who={maud.pk}")) == [mine]
    assert shown(desk.get(f"{LIST}?who=nobody")) == [old]
    since = (timezone.localdate() - timedelta(days=2)).isoformat()
    page = desk.get(f"{LIST}?since={since}")
    assert shown(page) == [mine]
    assert len(page.context["chips"]) == 1


@pytest.mark.parametrize(
    "query",
    ["status=x", "page=99999999999", "page=-1", "sort=-nothing", "who=1e9", "since=x", "q=%00",
     "order=99999999999999999999999", "q=0000000000000000000000000000000000", "sort=status"],
)  # fmt: skip
def test_an_address_that_somebody_typed_breaks_nothing(query, desk):
    QuoteFactory()
    assert desk.get(f"{LIST}?{query}").status_code in (200, 404)


def test_an_empty_list_says_what_to_do(desk, auditor, signed_in):
    page = desk.get(f"{LIST}?status=ready")
    assert "No quotes here" in page.content.decode()
    assert page.context["primary_action"]["label"] == "New quote"
    assert signed_in(auditor).get(LIST).context["primary_action"] is None


def test_bulk_assignment_and_csv(desk, maud):
    rows = [QuoteFactory() for _ in range(3)]
    keys = [row.pk for row in rows[:2]]
    desk.post(LIST, {"do": "assign", "row": keys})
    assert Quote.objects.filter(assigned_to=maud).count() == 2
    desk.post(LIST, {"do": "give_back", "row": keys})
    assert not Quote.objects.filter(assigned_to=maud).exists()
    chosen = desk.post(LIST, {"do": "csv", "row": keys})
    assert len(b"".join(chosen.streaming_content).splitlines()) == 3
    everything = desk.get(f"{LIST}?as=csv")
    assert len(b"".join(everything.streaming_content).splitlines()) == 4


def test_an_auditor_assigns_nothing(auditor, signed_in):
    row = QuoteFactory()
    signed_in(auditor).post(LIST, {"do": "assign", "row": [row.pk]})
    row.refresh_from_db()
    assert row.assigned_to is None


# ---- Long lists ------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["", "reference", "name", "-name"])
def test_pages_from_the_end_hold_the_same_rows_as_pages_from_the_start(sort, desk, settings):
    settings.LIST_PAGE_SIZE = 7
    rows = many(40)
    pages = [shown(desk.get(f"{LIST}?sort={sort}&page={n}")) for n in range(1, 7)]
    order = {
        "": lambda row: (-row.created_at.timestamp(), -row.pk),
        "reference": lambda row: row.created_at,
        "name": lambda row: row.name,
    }
    key = order[sort.lstrip("-")]
    expected = sorted(rows, key=key, reverse=sort.startswith("-"))
    assert [len(page) for page in pages] == [7, 7, 7, 7, 7, 5]
    assert [row.pk for page in pages for row in page] == [row.pk for row in expected]


def test_equals_stand_on_one_page_only(desk, settings):
    settings.LIST_PAGE_SIZE = 5
    rows = many(23)
    models.QuerySet.update(Quote.objects.all(), name="Same", created_at=timezone.now())
    for sort in ("", "name", "-name", "reference"):
        seen = [
            row.pk for n in range(1, 6) for row in shown(desk.get(f"{LIST}?sort={sort}&page={n}"))
        ]
        assert sorted(seen) == sorted(row.pk for row in rows)


def test_a_page_costs_the_same_with_five_and_a_hundred_rows(desk):
    def queries(page=1):
        with CaptureQueriesContext(connection) as caught:
            desk.get(f"{LIST}?page={page}")
        return len(caught)

    many(5)
    desk.get(LIST)
    before = queries()
    Quote.objects.all().delete()
    many(120)
    assert queries() == queries(page=3) == before <= 16


def test_sorting_reads_no_column_that_is_only_shown(desk):
    many(3)
    with CaptureQueriesContext(connection) as caught:
        desk.get(f"{LIST}?page=1")
    reads = [each["sql"] for each in caught if 'FROM "gasquotes_quote"' in each["sql"]]
    (sorts,) = [sql for sql in reads if "ORDER BY" in sql and "LIMIT" in sql]
    assert '"why"' not in sorts
    assert not any('"priced"' in sql for sql in reads)


def test_counts_of_a_long_list_are_kept_for_a_moment(desk, monkeypatch):
    monkeypatch.setattr(listing, "LONG", 10)
    many(11)
    assert desk.get(LIST).context["total"] == 11
    QuoteFactory()
    page = desk.get(LIST)
    assert page.context["total"] == 11
    assert len(shown(page)) == 11
    assert desk.get(f"{LIST}?q=GQ-2001-").context["total"] == 1


def test_counts_of_a_short_list_are_never_old(desk):
    many(9)
    desk.get(LIST)
    QuoteFactory()
    assert desk.get(LIST).context["total"] == 10


def test_a_filter_that_nothing_fits_is_an_empty_list(desk):
    QuoteFactory()
    page = desk.get(f"{LIST}?q=nobody+is+called+this")
    assert page.context["total"] == 0


# ---- Home and search -------------------------------------------------------------------------


def test_inbox_and_tile(maud):
    for status in Quote.Status.values:
        QuoteFactory(status=status)
    assert lists.tile(maud).big == 3
    groups = lists.inbox(maud, only_mine=False)
    assert [group.title for group in groups] == [
        "Quotes to review",
        "More of the address is needed",
        "Ready to issue",
    ]
    assert lists.inbox(maud, only_mine=True) == []
    QuoteFactory(status="review", assigned_to=maud)
    assert len(lists.inbox(maud, only_mine=True)) == 1


def test_quotes_that_lapse_soon_stand_on_home(maud):
    soon = QuoteFactory(status="issued")
    models.QuerySet.update(
        Quote.objects.filter(pk=soon.pk), due_at=timezone.now() + timedelta(hours=2)
    )
    (group,) = lists.inbox(maud, only_mine=False)
    assert group.title == "Lapse within a day"


def test_home_and_search_cost_the_same_with_more_rows(maud, django_assert_max_num_queries):
    for _ in range(14):
        QuoteFactory(status="review", name="Mill Lane")
    with django_assert_max_num_queries(6):
        (group,) = lists.inbox(maud, only_mine=False)
    assert group.count == 14
    with django_assert_max_num_queries(1):
        lists.tile(maud)
    with django_assert_max_num_queries(1):
        assert len(lists.search("mill", maud)) == 14


@pytest.mark.parametrize("status", Quote.Status.values)
def test_a_call_can_be_made_again_where_the_quote_allows_it(status, maud, auditor):
    call = PartnerCall(reference=QuoteFactory(status=status).reference)
    assert bool(lists.try_again(call, maud)) is (status in {"review", "ready"})
    assert lists.try_again(call, auditor) == ""
    assert lists.try_again(PartnerCall(reference=""), maud) == ""
