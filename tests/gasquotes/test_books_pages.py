"""Pages about prices: import with its preview, publishing once, what a book holds, the levies."""

from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gasquotes import books, price_csv
from gasquotes.models import PriceBook
from tests.factories.gasquotes import PriceBookFactory, all_prices

pytestmark = pytest.mark.django_db
BASE = "/gas-quotes/prices/"
ROLES = ("gas quotes", "supervisor", "auditor", "export tariff", "engineer", "")
MAY_LOOK = {"gas quotes", "supervisor", "auditor"}
MAY_IMPORT = {"gas quotes", "supervisor"}


@pytest.fixture
def desk(person, signed_in):
    return signed_in(person("gas quotes"))


@pytest.fixture
def boss(supervisor, signed_in):
    return signed_in(supervisor)


def text_of(response):
    return " ".join(response.content.decode().split())


def csv_of(prices):
    return price_csv.write(prices).encode()


def upload(client, body, **changes):
    said = {
        "version": "2030-01",
        "valid_from": "2030-01-01",
        "valid_to": "2030-06-30",
        "exit_fee": "75",
        "file": SimpleUploadedFile("prices.csv", body),
        **changes,
    }
    return client.post(f"{BASE}import/", said)


@pytest.fixture
def draft(book, desk):
    """A draft in which one price is dearer, one is gone and the rest is as before."""
    prices = all_prices()
    first, last = min(prices), max(prices)
    rate = prices[first]
    prices[first] = price_csv.Rate(
        unit_rate=rate.unit_rate + 1, standing_charge=rate.standing_charge
    )
    del prices[last]
    upload(desk, csv_of(prices))
    return PriceBook.objects.get(version="2030-01")


@pytest.mark.parametrize("role", ROLES)
def test_pages_by_role(role, draft, book, person, signed_in):
    client = signed_in(person(role))
    for url in (BASE, f"{BASE}{book.pk}/", f"{BASE}{draft.pk}/", f"{BASE}{draft.pk}/publish/"):
        assert client.get(url).status_code == (200 if role in MAY_LOOK else 403), url
    assert client.get(f"{BASE}import/").status_code == (200 if role in MAY_IMPORT else 403)
    page = client.post(f"{BASE}{draft.pk}/discard/")
    assert page.status_code == (302 if role in MAY_IMPORT else 403)


def test_the_preview_says_what_changes_against_the_book_before(draft, book, desk):
    page = desk.get(f"{BASE}{draft.pk}/publish/")
    assert page.context["before"] == book
    assert page.context["counts"] == (1, 0, 1)
    (changed,) = page.context["changed"]
    assert changed["unit"]["percent"].startswith("+")
    assert changed["standing"]["percent"] == ""
    assert "A supervisor publishes it" in text_of(page)


def test_a_file_with_wrong_rows_is_not_imported(book, desk):
    body = csv_of(all_prices()).replace(b"direct_debit", b"gold", 2)
    page = upload(desk, body)
    assert page.status_code == 200
    assert len(page.context["wrong"]) == 2
    assert "2 rows are wrong" in text_of(page)
    assert PriceBook.objects.count() == 1


@pytest.mark.parametrize("body", [b"%PDF-1.7", b"a,b\n1,2\n", b"LDZ\n"])
def test_what_is_no_price_book_is_said(body, desk):
    page = upload(desk, body)
    assert "file" in page.context["form"].errors
    assert not PriceBook.objects.exists()


def test_a_draft_is_replaced_and_a_published_version_is_not(draft, book, desk):
    upload(desk, csv_of(all_prices()))
    assert PriceBook.objects.get(version="2030-01").prices.count() == len(all_prices())
    page = upload(desk, csv_of(all_prices()), version=book.version)
    assert page.context["form"].errors["version"] == [books.IsPublished.sentence]


def test_a_supervisor_publishes_once_for_good(draft, boss, desk):
    url = f"{BASE}{draft.pk}/publish/"
    page = boss.get(url)
    assert "cannot be undone" in text_of(page)
    assert boss.post(url, {"token": "made up"}).url == url
    assert not PriceBook.objects.get(pk=draft.pk).is_published
    desk.post(url, {"token": page.context["token"]})
    assert not PriceBook.objects.get(pk=draft.pk).is_published
    for _ in range(2):
        boss.post(url, {"token": page.context["token"]})
    assert PriceBook.objects.get(pk=draft.pk).is_published
    boss.post(f"{BASE}{draft.pk}/discard/")
    assert PriceBook.objects.filter(pk=draft.pk).exists()


def test_another_draft_than_the_one_looked_at_is_not_published(draft, boss, desk):
    url = f"{BASE}{draft.pk}/publish/"
    token = boss.get(url).context["token"]
    PriceBook.objects.filter(pk=draft.pk).update(exit_fee=5)
    boss.post(url, {"token": token})
    assert not PriceBook.objects.get(pk=draft.pk).is_published


def test_books_that_overlap_are_not_published(book, boss):
    first = PriceBookFactory(
        published=False, valid_from=book.valid_from, valid_to=book.valid_to, version="again"
    )
    url = f"{BASE}{first.pk}/publish/"
    answer = boss.post(url, {"token": boss.get(url).context["token"]}, follow=True)
    assert "overlaps with" in text_of(answer)
    assert not PriceBook.objects.get(pk=first.pk).is_published


def test_a_book_can_be_narrowed_and_taken_away_as_it_came(book, desk):
    page = desk.get(f"{BASE}{book.pk}/?ldz=SC&band=small&sector=D&months=12&payment=direct_debit")
    assert page.context["total"] == 1
    file = b"".join(desk.get(f"{BASE}{book.pk}/?as=csv").streaming_content)
    assert price_csv.read(file).prices == all_prices()
    assert desk.get(f"{BASE}999999/").status_code == 404


def test_the_levies_stand_with_day_and_source(book, desk):
    text = text_of(desk.get(BASE))
    assert "0.00801" in text
    assert "145" in text
    assert "Used today" in text


def test_without_a_book_of_today_the_page_says_so(desk):
    PriceBookFactory(valid_from=date(2020, 1, 1), valid_to=date(2020, 2, 1))
    assert "No price book is valid today" in text_of(desk.get(BASE))


def test_the_page_costs_the_same_with_more_books(book, desk):
    def queries():
        with CaptureQueriesContext(connection) as caught:
            desk.get(BASE)
        return len(caught)

    desk.get(BASE)
    before = queries()
    for year in range(2040, 2045):
        PriceBookFactory(valid_from=date(year, 1, 1), valid_to=date(year, 2, 1))
    assert queries() == before <= 14
