"""Price books: draft, published once, never changed by any road; levies as seeded."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from core.workflow import NotAllowed
from gasquotes import books
from gasquotes.levies import SEEDED_LEVIES
from gasquotes.models import Price, PriceBook, Published
from gasquotes.pricing import PriceKey, Rate
from tests.factories.gasquotes import PriceBookFactory, all_prices

pytestmark = pytest.mark.django_db
ONE = {
    PriceKey("SW", "small", "D", 12, "direct_debit"): Rate(
        unit_rate=Decimal("7.1234"), standing_charge=Decimal("30.5")
    )
}


def imported(by, version="2027-01", first=date(2027, 1, 1), last=date(2027, 3, 31), prices=ONE):
    return books.import_book(
        version=version,
        valid_from=first,
        valid_to=last,
        exit_fee=Decimal(50),
        prices=prices,
        file_name="prices.csv",
        by=by,
        now=timezone.now,
    )


def test_a_draft_is_replaced_and_published_once(clerk, chief):
    imported(clerk)
    book = imported(clerk, prices=all_prices())
    assert (PriceBook.objects.count(), book.prices.count()) == (1, len(all_prices()))
    assert PriceBook.on(date(2027, 2, 1)) is None
    books.publish(book=book, by=chief, now=timezone.now)
    assert PriceBook.on(date(2027, 2, 1)) == book
    assert PriceBook.on(date(2027, 4, 1)) is None
    for verb in (
        lambda: books.publish(book=book, by=chief, now=timezone.now),
        lambda: imported(clerk),
        lambda: books.discard(book=book, by=clerk),
    ):
        with pytest.raises(books.IsPublished):
            verb()


def test_a_published_book_is_unchangeable_by_every_road(book):
    price = book.prices.first()
    price.unit_rate = Decimal(1)
    for change in (
        price.save,
        price.delete,
        book.save,
        book.delete,
        lambda: PriceBook.objects.filter(pk=book.pk).update(valid_to=date(2030, 1, 1)),
        lambda: PriceBook.objects.all().delete(),
        lambda: PriceBook.objects.bulk_update([book], ["version"]),
        lambda: book.prices.update(unit_rate=1),
        lambda: book.prices.all().delete(),
        lambda: Price.objects.bulk_update([price], ["unit_rate"]),
        lambda: Price.objects.bulk_create([Price(book=book, ldz="XX")]),
        lambda: Price(
            book=book, ldz="XX", band="small", sector="D", months=12, payment="on_receipt",
            unit_rate=1, standing_charge=1,
        ).save(),
    ):  # fmt: skip
        with pytest.raises(Published):
            change()
    assert book.prices.count() == len(all_prices())


def test_a_draft_can_be_discarded(clerk):
    books.discard(book=imported(clerk), by=clerk)
    assert not Price.objects.exists()


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2027, 3, 31), date(2027, 6, 30)),
        (date(2026, 12, 1), date(2027, 1, 1)),
        (date(2027, 2, 1), date(2027, 2, 2)),
        (date(2026, 1, 1), date(2028, 1, 1)),
    ],
)
def test_published_books_do_not_overlap(first, last, clerk, chief):
    books.publish(book=imported(clerk), by=chief, now=timezone.now)
    other = imported(clerk, "other", first, last)
    with pytest.raises(books.Overlap, match="2027-01"):
        books.publish(book=other, by=chief, now=timezone.now)
    beside = imported(clerk, "beside", date(2027, 4, 1), date(2027, 6, 30))
    books.publish(book=beside, by=chief, now=timezone.now)


def test_an_empty_book_and_a_backward_one(clerk, chief):
    with pytest.raises(books.Empty):
        books.publish(book=imported(clerk, prices={}), by=chief, now=timezone.now)
    with pytest.raises(ValidationError):
        imported(clerk, "back", date(2027, 3, 1), date(2027, 2, 1))


def test_only_a_supervisor_publishes(clerk, auditor):
    with pytest.raises(NotAllowed):
        books.publish(book=imported(clerk), by=clerk, now=timezone.now)


def test_rates_are_exact_and_read_once(book, django_assert_num_queries):
    assert books.as_book(book).prices == all_prices()
    with django_assert_num_queries(0):
        books.as_book(book)
    other = PriceBookFactory(prices=ONE, published=False)
    assert books.rates_of(other) == ONE


def test_the_seeded_levies_are_those_of_the_rules():
    assert {*books.known_levies()} == {*SEEDED_LEVIES}
