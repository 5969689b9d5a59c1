"""The prices of one book as a list that can be narrowed to a zone, a band or a kind of contract."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.functional import cached_property

from core.listing import ListPage
from gasquotes import looks, rules
from gasquotes.books import ADD
from gasquotes.models import (
    BANDS,
    LENGTHS_OF_CONTRACT,
    PAYMENTS,
    PUBLISH,
    SECTORS,
    Price,
    PriceBook,
)

VIEW = "gasquotes.view_pricebook"
LDZS = [(code, f"{code}, {name}") for code, name in rules.LDZS.items()]


class PriceTable(tables.Table):
    """Columns of a book."""

    ldz = tables.Column("Zone (LDZ)")
    band = tables.Column("AQ band")
    sector = tables.Column("Sector")
    months = tables.Column("Contract")
    payment = tables.Column("Payment")
    unit_rate = tables.Column("Unit rate, p/kWh", attrs={"td": {"class": "num"}})
    standing_charge = tables.Column("Standing charge, p/day", attrs={"td": {"class": "num"}})

    class Meta:
        order_by = "ldz"

    def render_ldz(self, value: str) -> str:
        """The zone with its name."""
        return f"{value}, {rules.LDZS.get(value, 'not known')}"

    def render_months(self, value: int) -> str:
        """Months."""
        return f"{value} months"

    def render_unit_rate(self, value: Decimal) -> str:
        """Without zeros that say nothing."""
        return looks.pence(value)

    def render_standing_charge(self, value: Decimal) -> str:
        """Without zeros that say nothing."""
        return looks.pence(value)


class PriceFilters(django_filters.FilterSet):
    """What a book can be narrowed to."""

    ldz = django_filters.ChoiceFilter(label="Zone", empty_label="Every zone", choices=LDZS)
    band = django_filters.ChoiceFilter(label="AQ band", empty_label="Every band", choices=BANDS)
    sector = django_filters.ChoiceFilter(
        label="Sector", empty_label="Every sector", choices=SECTORS
    )
    months = django_filters.ChoiceFilter(
        label="Contract", empty_label="Every length", choices=LENGTHS_OF_CONTRACT
    )
    payment = django_filters.ChoiceFilter(
        label="Payment", empty_label="Every way", choices=PAYMENTS
    )


class BookPage(ListPage):
    """A price book: what it is, what may be done with it, and its prices."""

    model = Price
    table_class = PriceTable
    filterset_class = PriceFilters
    permission = VIEW
    template_name = "gasquotes/book.html"
    page_title = "Price book"
    status_field = ""
    empty: ClassVar[dict[str, str]] = {
        "title": "No prices here",
        "text": "No price of this book fits these filters.",
        "url": "?",
        "label": "Show every price",
    }

    @cached_property
    def book(self) -> PriceBook:
        """The book."""
        rows = PriceBook.objects.select_related("created_by", "published_by")
        found: PriceBook = get_object_or_404(rows, pk=self.kwargs["pk"])
        return found

    @property
    def csv_name(self) -> str:  # type: ignore[override]
        """The version in the name of the file."""
        kept = (sign for sign in self.book.version if sign.isalnum() or sign in "-_.")
        return f"price-book-{''.join(kept)}"

    def get_queryset(self) -> QuerySet[Any]:
        """Its prices."""
        return Price.objects.filter(book=self.book).order_by(
            "ldz", "band", "sector", "months", "payment"
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The book beside its prices."""
        user, book = self.request.user, self.book
        return {
            **super().get_context_data(**kwargs),
            "page_title": f"Price book {book.version}",
            "book": book,
            "facts": _facts(book),
            "publish_url": ""
            if book.is_published or not user.has_perm(PUBLISH)
            else reverse("gasquotes:book-publish", args=[book.pk]),
            "may_discard": not book.is_published and user.has_perm(ADD),
        }

    def csv_header(self) -> list[str]:
        """The columns that an import takes."""
        return [
            "LDZ", "AQ_BAND", "MARKET_SECTOR", "MONTHS", "PAYMENT", "UNIT_RATE", "STANDING_CHARGE",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a price, in the form that an import takes."""
        for row in rows.iterator(chunk_size=1000):
            yield [
                row.ldz, row.band, row.sector, row.months, row.payment, row.unit_rate,
                row.standing_charge,
            ]  # fmt: skip


def _facts(book: PriceBook) -> list[dict[str, Any]]:
    made = f"{book.created_by or 'the portal'}, {book.created_at:%-d %B %Y}"
    published = f"{book.published_at:%-d %B %Y}" if book.published_at else "Not yet: a draft"
    return [
        {"label": "Valid", "value": days(book)},
        {"label": "Exit fee", "value": looks.pounds(book.exit_fee)},
        {"label": "Imported", "value": made, "source": book.file_name},
        {
            "label": "Published",
            "value": published,
            "source": f"by {book.published_by}" if book.published_by else "",
        },
    ]


def days(book: PriceBook) -> str:
    """The days on which a book holds."""
    return f"{book.valid_from:%-d %B %Y} to {book.valid_to:%-d %B %Y}"
