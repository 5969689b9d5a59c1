"""Invented work for the demo: a price book, quotes in every status, a portfolio, two bulk runs.

Everything goes through gasquotes.actions; the worker looks the sandbox's supply points up.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from core import casework
from core.demo import ask_sandbox, wait_until
from core.models import User
from core.workflow import Actor, actor_for
from gasquotes import actions, books, bulk, portfolios
from gasquotes.actions import Enquiry, Terms
from gasquotes.messages import Filter
from gasquotes.models import BulkRun, Portfolio, PriceBook, Quote
from gasquotes.mprn_csv import MprnLine, MprnList
from gasquotes.pricing import MONTHS, Payment, PriceKey, Rate
from gasquotes.rules import LDZS, Band, Sector

Status = Quote.Status
UNIT_RATES = {
    Band.SMALL: Decimal("7.24"),
    Band.MEDIUM: Decimal("6.71"),
    Band.LARGE: Decimal("6.12"),
}
STANDING = {Band.SMALL: Decimal("31.5"), Band.MEDIUM: Decimal("96"), Band.LARGE: Decimal("412")}
KEPT_IN_PORTFOLIO = 200
WATCHED, NEXT_LIST = "Lantern Lettings", "Harrow Estates, to be looked up"

# Customer, what is asked, and what a member of staff does once it is priced
ENQUIRIES: tuple[tuple[str, Filter, str], ...] = (
    ("Mill Lane Bakery", Filter(mprn="9876543209"), "issue"),
    ("Nell Arkwright", Filter(mprn="1234567810"), "accept"),
    ("Silas Penrose", Filter(mprn="3938424403"), "decline"),
    ("Fernleigh Surgery", Filter(mprn="440107"), "issue"),
    ("Wexholme Parish Hall", Filter(mprn="4401510"), "accept"),
    ("Ada Thistlewood", Filter(mprn="44015709"), ""),
    ("Bram Oxley", Filter(mprn="440157210"), ""),
    ("Quenmouth Laundry", Filter(mprn="0440157210"), "withdraw"),
    ("Ottoline Carr", Filter(mprn="7000080902"), ""),
    ("The Copper Kettle", Filter(mprn="7000000203"), ""),
    ("Hob Lane Flats", Filter(mprn="7000000304"), ""),
    ("Imogen Dray", Filter(mprn="7000000506"), ""),
    ("Pellgate Motors", Filter(mprn="7000000607"), ""),
    ("Rosalind Fay", Filter(mprn="7000000708"), ""),
    ("Tobias Wren", Filter(postcode="AW1 0AA"), ""),
    ("Edith Larkin", Filter(postcode="AW1 0AA", house_no="3"), ""),
    ("Gorse Hill Nursery", Filter(postcode="FW1 8AA"), ""),
    ("Barnaby Stead", Filter(postcode="ZZ1 1ZZ"), ""),
    ("Sedgewold Foundry", Filter(mprn="7000040507"), ""),
    ("Marrowby Dairy", Filter(mprn="7000040608"), ""),
    ("Kirkstaith Mills", Filter(mprn="7000040810"), ""),
    ("Orla Vane", Filter(mprn="4200000002"), "issue"),
    ("Cobb & Daughters", Filter(mprn="4200000103"), "requote"),
)


def fill() -> Iterator[str]:
    """Make prices, quotes, a portfolio with its watch, and a paused run; repeatable."""
    clerk, chief = _somebody("gas quotes"), _somebody("supervisor")
    if clerk is None or chief is None:
        yield "no member of staff has the gas quotes or supervisor role; run set_up_people first"
        return
    yield from _prices(actor_for(clerk), actor_for(chief))
    by = actor_for(clerk)
    if not Quote.objects.exists():
        for name, asked, _ in ENQUIRIES:
            _enquire(name, asked, by)
    if not wait_until(lambda: not Quote.objects.filter(status=Status.LOOKING_UP).exists()):
        yield "the worker has not answered yet; run this again when it runs"
        return
    _people_at_work(by, clerk)
    yield f"{Quote.objects.count()} quotes, one in every status"
    yield from _portfolio(by)


def _somebody(role: str) -> User | None:
    group = Group.objects.filter(name=role).first()
    people: Any = User.objects.filter(groups=group).order_by("pk")
    return people.first() if group else None


# ---- Prices ------------------------------------------------------------------------------------


def _prices(by: Actor, chief: Actor) -> Iterator[str]:
    today = timezone.localdate()
    if PriceBook.on(today) is None:
        first = today.replace(day=1)
        book = _import(f"{today:%Y-%m}", first, first + timedelta(days=120), Decimal(0), by)
        books.publish(book=book, by=chief, now=timezone.now)
    later = today.replace(day=1) + timedelta(days=121)
    version = f"{later:%Y-%m} draft"
    if not PriceBook.objects.filter(version=version).exists():
        _import(version, later, later + timedelta(days=90), Decimal("0.18"), by)
    yield "a published price book, and the next one as a draft"


def _import(version: str, first: date, last: date, dearer: Decimal, by: Actor) -> PriceBook:
    return books.import_book(
        version=version,
        valid_from=first,
        valid_to=last,
        exit_fee=Decimal(75),
        prices=_rates(dearer),
        file_name="demo-prices.csv",
        by=by,
        now=timezone.now,
    )


def _rates(dearer: Decimal) -> dict[PriceKey, Rate]:
    kinds = product(enumerate(LDZS), Band, Sector, MONTHS, Payment)
    return {
        PriceKey(ldz, band, sector, months, payment): Rate(
            unit_rate=_unit_rate(place, band, sector, months, payment) + dearer,
            standing_charge=STANDING[band] + place,
        )
        for (place, ldz), band, sector, months, payment in kinds
    }


def _unit_rate(place: int, band: Band, sector: Sector, months: int, payment: Payment) -> Decimal:
    """Dearer from zone to zone, for business, for a long contract and on receipt."""
    rate = UNIT_RATES[band] + Decimal(place) / 50 + Decimal(months - 12) / 200
    rate += Decimal("0.12") if sector is Sector.BUSINESS else 0
    return rate + (Decimal("0.35") if payment is Payment.ON_RECEIPT else 0)


# ---- Quotes ------------------------------------------------------------------------------------


def _enquire(name: str, asked: Filter, by: Actor) -> Quote:
    start = timezone.localdate() + timedelta(days=21)
    months = MONTHS[len(name) % len(MONTHS)]
    email = f"{name.split(maxsplit=1)[0].lower()}@customer.example"
    enquiry = Enquiry(name, asked, Terms(start, months, Payment.DIRECT_DEBIT), email)
    return actions.enquire(enquiry=enquiry, by=by, now=timezone.now)


def _people_at_work(by: Actor, clerk: User) -> None:
    verbs = {name: verb for name, _, verb in ENQUIRIES if verb}
    first = Quote.objects.filter(requote_of=None, requotes=None)
    for quote in first.filter(status=Status.READY, name__in=verbs):
        VERBS[verbs[quote.name]](quote, by)
    held = Quote.objects.filter(status=Status.REVIEW, assigned_to=None).order_by("pk").first()
    if held and not Quote.objects.exclude(assigned_to=None).exists():
        casework.note(held, text="Asked the shipper desk.", by=by, now=timezone.now())
        casework.assign(held, to=clerk, by=by, now=timezone.now())


def _issue(quote: Quote, by: Actor) -> None:
    actions.issue(quote=quote, by_email=True, by=by, now=timezone.now)


def _by_phone(quote: Quote, by: Actor) -> Quote:
    actions.issue(quote=quote, by_email=False, by=by, now=timezone.now)
    issued: Quote = Quote.objects.get(pk=quote.pk)
    return issued


def _accept(quote: Quote, by: Actor) -> None:
    issued = _by_phone(quote, by)
    actions.accept(quote=issued, by=by, now=timezone.now, note="Said yes on the telephone")


def _decline(quote: Quote, by: Actor) -> None:
    issued = _by_phone(quote, by)
    actions.decline(quote=issued, reason="Stays with the present supplier", by=by, now=timezone.now)


def _withdraw(quote: Quote, by: Actor) -> None:
    actions.withdraw(quote=quote, reason="The laundry has closed", by=by, now=timezone.now)


def _requote(quote: Quote, by: Actor) -> None:
    terms = Terms(quote.start, 36, quote.payment, Decimal("0.25"), "Fairlight Brokers")
    actions.requote(quote=quote, by=by, now=timezone.now, terms=terms)


VERBS: dict[str, Callable[[Quote, Actor], None]] = {
    "issue": _issue,
    "accept": _accept,
    "decline": _decline,
    "withdraw": _withdraw,
    "requote": _requote,
}


# ---- A portfolio -------------------------------------------------------------------------------


def _portfolio(by: Actor) -> Iterator[str]:
    path = f"/control/supply-points?group=kept&count={KEPT_IN_PORTFOLIO}"
    points = ask_sandbox(settings.GASQUOTES_API_URL, path)["points"]
    if not Portfolio.objects.filter(name=WATCHED).exists():
        mprns = [point["mprn"] for point in points]
        portfolio = portfolios.save(name=WATCHED, mprns=mprns, by=by, now=timezone.now)
        run = portfolios.prepare_run(portfolio=portfolio, by=by, now=timezone.now)
        bulk.start(run=run, by=by, now=timezone.now)
        yield f"a portfolio of {len(mprns)} supply points, looked up in the background"
    if not BulkRun.objects.filter(title=NEXT_LIST).exists():
        _paused(by)
        yield "another run that is paused"


def _paused(by: Actor) -> None:
    path = "/control/supply-points?group=made&first=500&count=400"
    points = ask_sandbox(settings.GASQUOTES_API_URL, path)["points"]
    lines = tuple(MprnLine(number, point["mprn"], "") for number, point in enumerate(points, 1))
    found = MprnList(lines=lines, bad=(), repeated=())
    run = bulk.prepare(title=NEXT_LIST, lines=found, by=by, now=timezone.now)
    bulk.start(run=run, by=by, now=timezone.now)
    bulk.pause(run=run, by=by, now=timezone.now)
