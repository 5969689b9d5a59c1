"""Price books: imported as a draft, published once, never changed. Levies as pricing reads them.

Published books do not overlap, so a day has one book at most.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import cast

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from core.models import count
from core.workflow import Actor, Impossible, NotAllowed
from gasquotes import levies, pricing
from gasquotes.levies import LevyKind
from gasquotes.models import PUBLISH, Levy, Price, PriceBook
from gasquotes.pricing import Book, PriceKey, Rate
from gasquotes.rules import Band, Sector

Clock = Callable[[], datetime]
ADD = "gasquotes.add_pricebook"


class IsPublished(Impossible):
    """A published book does not change."""

    sentence = "This price book is published and does not change. Import a new version."


class Overlap(Impossible):
    """Another published book is valid on some of these days."""


class Empty(Impossible):
    """A book without prices."""

    sentence = "This price book has no prices. Nothing was published."


def import_book(
    *,
    version: str,
    valid_from: date,
    valid_to: date,
    exit_fee: Decimal,
    prices: Mapping[PriceKey, Rate],
    file_name: str,
    by: Actor,
    now: Clock,
) -> PriceBook:
    """Keep prices as a draft; a draft of the same version is replaced. Raises `IsPublished`."""
    _may(by, ADD)
    with transaction.atomic():
        before = PriceBook.objects.filter(version=version).first()
        if before is not None and before.is_published:
            raise IsPublished
        PriceBook.objects.filter(version=version).delete()
        book = PriceBook(
            version=version,
            valid_from=valid_from,
            valid_to=valid_to,
            exit_fee=exit_fee,
            file_name=file_name[:100],
            created_at=now(),
            created_by=by.user,
        )
        book.full_clean(exclude=["created_by", "published_by"])
        book.save()
        Price.objects.bulk_create(_price(book, key, rate) for key, rate in prices.items())
    return book


def _price(book: PriceBook, key: PriceKey, rate: Rate) -> Price:
    return Price(
        book=book,
        **key._asdict(),
        unit_rate=rate.unit_rate,
        standing_charge=rate.standing_charge,
    )


def publish(*, book: PriceBook, by: Actor, now: Clock) -> None:
    """Publish a draft for good. Raises `Overlap`, `Empty`, `IsPublished`."""
    _may(by, PUBLISH)
    moment = now()
    days = Q(valid_from__lte=OuterRef("valid_to"), valid_to__gte=OuterRef("valid_from"))
    others = PriceBook.objects.filter(PriceBook.PUBLISHED, days).exclude(pk=OuterRef("pk"))
    with transaction.atomic():
        count("price books published")  # one at a time: the next one sees this one
        draft = PriceBook.objects.filter(pk=book.pk, published_at=None)
        if not draft.filter(Exists(Price.objects.filter(book=OuterRef("pk")))).exists():
            raise Empty if draft.exists() else IsPublished
        if not draft.filter(~Exists(others)).update(published_at=moment, published_by=by.user):
            raise Overlap(_overlap(book))


def _overlap(book: PriceBook) -> str:
    days = Q(valid_from__lte=book.valid_to, valid_to__gte=book.valid_from)
    other: PriceBook = PriceBook.objects.filter(PriceBook.PUBLISHED, days)[0]
    named = f"{other.version} ({other.valid_from:%-d %b %Y} to {other.valid_to:%-d %b %Y})"
    return f"{book.version} overlaps with {named}, which is published. Nothing was published."


def discard(*, book: PriceBook, by: Actor) -> None:
    """Delete a draft. Raises `IsPublished`."""
    _may(by, ADD)
    if not PriceBook.objects.filter(pk=book.pk, published_at=None).delete()[0]:
        raise IsPublished


def _may(by: Actor, permission: str) -> None:
    if by.user is None or not by.user.has_perm(permission):
        raise NotAllowed("Your role does not do this with price books. Nothing was changed.")


# ---- As pricing reads them ---------------------------------------------------------------------


def as_book(book: PriceBook) -> Book:
    """The book with its prices; a published one is read from the database once a process."""
    if book.published_at is None:
        return _read(book.pk, book.version)
    return _published(book.pk, book.version, book.published_at)


@lru_cache(maxsize=4)
def _published(pk: int, version: str, published_at: datetime) -> Book:
    """Read it; the moment of publication tells books apart, keys do not after a restore."""
    return _read(pk, version)


def rates_of(book: PriceBook) -> Mapping[PriceKey, Rate]:
    """The prices of a book, draft or published."""
    return as_book(book).prices


def _read(pk: int, version: str) -> Book:
    rows = Price.objects.filter(book_id=pk).values_list(
        "ldz", "band", "sector", "months", "payment", "unit_rate", "standing_charge"
    )
    return Book(
        version=version,
        prices={
            PriceKey(ldz, Band(band), Sector(sector), months, pricing.Payment(payment)): Rate(
                unit_rate=unit_rate, standing_charge=standing_charge
            )
            for ldz, band, sector, months, payment, unit_rate, standing_charge in rows
        },
    )


def known_levies() -> list[levies.Levy]:
    """Every dated figure, as pricing reads them (one query)."""
    return [
        levies.Levy(
            kind=cast(LevyKind, row.kind),
            valid_from=row.valid_from,
            value=row.value,
            source=row.source,
        )
        for row in Levy.objects.all()
    ]
