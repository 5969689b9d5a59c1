"""Price books, look-ups and quotes: QuoteFactory(status="issued") walks there by moves.

A look-up is of an ordinary home, 12,000 kWh a year in the South Western zone, unless told otherwise.
"""

from datetime import date, timedelta
from decimal import Decimal
from itertools import product

import factory
from django.utils import timezone

from core.workflow import PORTAL, actor_for, opened
from gasquotes.models import BulkRun, LookUp, Portfolio, PriceBook, Quote
from gasquotes.models import Price as PriceRow
from gasquotes.pricing import MONTHS, Payment, PriceKey, Rate
from gasquotes.rules import LDZS, Band, Sector
from tests.factories.parcels import walk
from tests.factories.people import UserFactory

PEOPLE_MOVE = (
    "give_address", "look_up_again", "accept_referral", "issue", "stop_issue", "accept", "decline",
    "withdraw",
)  # fmt: skip
WAYS = {
    "looking_up": (),
    "address": ("ask_for_address",),
    "review": ("give_to_person",),
    "ready": ("price",),
    "issued": ("price", "issue"),
    "accepted": ("price", "issue", "accept"),
    "closed": ("refuse",),
}
RATES = {Band.SMALL: "7.2500", Band.MEDIUM: "6.8000", Band.LARGE: "6.1500"}


def all_prices():
    """A price for every kind of customer: by band, a tenth of a penny less a year of contract."""
    kinds = product(LDZS, Band, Sector, MONTHS, Payment)
    return {PriceKey(*kind): _rate(kind) for kind in kinds}


def _rate(kind):
    _, band, _, months, payment = kind
    dearer = Decimal("0.5") if payment == Payment.ON_RECEIPT else 0
    rate = Decimal(RATES[band]) - Decimal(months) / 120 + dearer
    return Rate(unit_rate=rate, standing_charge=Decimal("31.4100"))


class PriceBookFactory(factory.django.DjangoModelFactory):
    """A published book with every price, valid for a year around today."""

    class Meta:
        model = PriceBook

    version = factory.Sequence(lambda n: f"BOOK-{n}")
    valid_from = factory.LazyFunction(lambda: timezone.localdate() - timedelta(days=100))
    valid_to = factory.LazyFunction(lambda: timezone.localdate() + timedelta(days=700))
    exit_fee = Decimal("75.00")
    created_at = factory.LazyFunction(timezone.now)
    published = True

    @classmethod
    def _create(cls, model, *args, published, prices=None, **fields):
        book = model.objects.create(**fields)
        rows = (all_prices() if prices is None else prices).items()
        PriceRow.objects.bulk_create(
            PriceRow(
                book=book,
                **key._asdict(),
                unit_rate=rate.unit_rate,
                standing_charge=rate.standing_charge,
            )
            for key, rate in rows
        )
        if published:
            model.objects.filter(pk=book.pk).update(published_at=timezone.now())
            book = model.objects.get(pk=book.pk)
        return book


class LookUpFactory(factory.django.DjangoModelFactory):
    """An answered look-up of a home with 12,000 kWh a year, a moment ago."""

    class Meta:
        model = LookUp

    at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=5))
    mprn = "1234567810"
    asked = factory.LazyAttribute(lambda row: {"mprn": row.mprn})
    unit = "GWh"
    raw = "{}"
    postcode = "NX3 2AF"
    local_distribution_zone = "SW"
    market_sector_code = "D"
    distribution_network_operator = "Wales & West Utilities Limited"
    current_formula_year_aq_value = "0.0120000"
    current_formula_year_soq_value = "0.0000967"
    perspective_formula_year_aq_value = "0.0125000"
    perspective_formula_year_soq_value = "0.0001000"
    perspective_formula_year_effective_date = date(2027, 4, 1)
    aq_kwh = Decimal(12000)


class QuoteFactory(factory.django.DjangoModelFactory):
    """A quote that walked to its status; nothing is due."""

    class Meta:
        model = Quote

    status = "looking_up"
    name = "Mill Lane Bakery"
    email = "office@mill-lane.example"
    asked_mprn = "1234567810"
    start = factory.LazyFunction(lambda: timezone.localdate() + timedelta(days=14))
    months = 12
    payment = "direct_debit"
    reference = factory.Sequence(lambda n: f"GQ-2001-{n:04d}")
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    status_at = factory.SelfAttribute("created_at")

    @classmethod
    def _create(cls, model, *args, status, **fields):
        quote = model.objects.create(status=Quote.FIRST, **fields)
        opened(quote, by=PORTAL, now=quote.created_at)
        way = [
            (name, actor_for(UserFactory(admin=True)) if name in PEOPLE_MOVE else PORTAL)
            for name in WAYS[status]
        ]
        return walk(quote, way, quote.created_at)


class PortfolioFactory(factory.django.DjangoModelFactory):
    """A portfolio without points."""

    class Meta:
        model = Portfolio

    name = factory.Sequence(lambda n: f"Portfolio {n}")
    created_at = factory.LazyFunction(timezone.now)


class BulkRunFactory(factory.django.DjangoModelFactory):
    """A run without lines, to be confirmed."""

    class Meta:
        model = BulkRun

    title = "A list"
    created_at = factory.LazyFunction(timezone.now)
    state_at = factory.LazyFunction(timezone.now)
