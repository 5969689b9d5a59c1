"""Portfolios: lists of supply points that are looked up, watched and quoted together.

The watch compares the prospective with the current Formula Year from look-ups that are kept; it
and the quotes made from a portfolio cost no call.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from core import queue
from core.workflow import PORTAL, Actor, Impossible, NotAllowed, actor_for
from gasquotes import actions, books, bulk, pricing, rules, watching
from gasquotes.actions import Terms
from gasquotes.models import (
    ORDERS,
    BulkLine,
    BulkRun,
    LookUp,
    Portfolio,
    PortfolioPoint,
    PriceBook,
    QuoteOrder,
)
from gasquotes.mprn_csv import MprnLine, MprnList
from gasquotes.rules import Band, Sector
from gasquotes.watching import Bin, Change, Summary

Clock = Callable[[], datetime]
ADD = "gasquotes.add_portfolio"
AT_ONCE = 50  # quotes in one transaction
TURN = timedelta(seconds=8)
ORDERED = "gasquotes.look_up_quote"


class NameTaken(Impossible):
    """Another portfolio has this name."""

    sentence = "Another portfolio has this name. Choose another one."


class OrderedAlready(Impossible):
    """This very confirmation was carried out before."""

    sentence = "These quotes were ordered already; they are not made twice."


class NothingChosen(Impossible):
    """No supply point was chosen."""

    sentence = "No supply point was chosen. Nothing was done."


# ---- Keeping them ------------------------------------------------------------------------------


def save(*, name: str, mprns: Iterable[str], by: Actor, now: Clock) -> Portfolio:
    """Keep a list of MPRNs under a name. Raises `NameTaken`, `NothingChosen`."""
    _may(by, ADD)
    wanted = list(dict.fromkeys(mprns))
    if not wanted:
        raise NothingChosen
    try:
        with transaction.atomic():
            portfolio = Portfolio.objects.create(
                name=name[:100], created_at=now(), created_by=by.user
            )
            points = (PortfolioPoint(portfolio=portfolio, mprn=mprn) for mprn in wanted)
            PortfolioPoint.objects.bulk_create(points, batch_size=1000)
    except IntegrityError as problem:
        raise NameTaken from problem
    return portfolio


def save_run(*, run: BulkRun, name: str, by: Actor, now: Clock) -> Portfolio:
    """Keep the supply points of a bulk run as a portfolio, with what was found."""
    _may(by, ADD)
    lines = BulkLine.objects.filter(run=run).exclude(code="row").order_by("number")
    found = dict(lines.values_list("mprn", "look_up"))
    with transaction.atomic():
        portfolio = save(name=name, mprns=found, by=by, now=now)
        points = list(portfolio.points.all())
        for point in points:
            point.look_up_id = found[point.mprn]
        PortfolioPoint.objects.bulk_update(points, ["look_up"], batch_size=500)
        BulkRun.objects.filter(pk=run.pk, portfolio=None).update(portfolio=portfolio)
    return portfolio


def prepare_run(
    *, portfolio: Portfolio, by: Actor, now: Clock, look_up_all: bool = False
) -> BulkRun:
    """Prepare a bulk run over a portfolio, to be looked at and started."""
    mprns = portfolio.points.order_by("pk").values_list("mprn", flat=True)
    lines = tuple(
        MprnLine(number, mprn, rules.mprn_warning(mprn) or "")
        for number, mprn in enumerate(mprns, 1)
    )
    day = timezone.localtime(now())
    return bulk.prepare(
        title=f"{portfolio.name}, {day:%-d %B %Y}",
        lines=MprnList(lines=lines, bad=(), repeated=()),
        by=by,
        now=now,
        portfolio=portfolio,
        look_up_all=look_up_all,
    )


def _may(by: Actor, permission: str) -> None:
    if by.user is None or not by.user.has_perm(permission):
        raise NotAllowed("Your role does not do this with portfolios.")


# ---- The formula year watch --------------------------------------------------------------------


@dataclass(frozen=True)
class Watch:
    """What the next Formula Year changes for a portfolio; `changes` holds every point."""

    changes: tuple[Change, ...]
    keys: dict[str, int]
    summary: Summary
    rises: tuple[Change, ...]
    falls: tuple[Change, ...]
    band_moves: dict[tuple[Band, Band], int]
    bins: tuple[Bin, ...]
    missing: int
    book: PriceBook | None
    oldest: datetime | None
    newest: datetime | None
    effective_dates: tuple[date, ...]


NEEDED = (
    "mprn",
    "current_formula_year_aq_value",
    "current_formula_year_soq_value",
    "perspective_formula_year_aq_value",
    "perspective_formula_year_soq_value",
    "perspective_formula_year_effective_date",
    "local_distribution_zone",
    "market_sector_code",
    "unit",
    "at",
)


def watch(
    *, portfolio: Portfolio, now: datetime, months: int = 12, payment: str = "direct_debit"
) -> Watch:
    """Compare both Formula Years of every point that was looked up (three queries at most)."""
    book = PriceBook.on(timezone.localdate(now))
    prices = books.as_book(book) if book else pricing.Book(version="none", prices={})
    terms = watching.Terms(months=months, payment=pricing.Payment(payment))
    points = portfolio.points.select_related("look_up").only(
        "mprn", "portfolio_id", *(f"look_up__{name}" for name in NEEDED)
    )
    rows = list(points.order_by("pk"))
    found = [(row, row.look_up) for row in rows if row.look_up is not None]
    changes = tuple(watching.compare(_watched(*each), prices, terms) for each in found)
    times = [look_up.at for _, look_up in found]
    days = {look_up.perspective_formula_year_effective_date for _, look_up in found}
    return Watch(
        changes=changes,
        keys={row.mprn: row.pk for row in rows},
        summary=watching.summary(changes),
        rises=watching.largest_rises(changes),
        falls=watching.largest_falls(changes),
        band_moves=watching.band_moves(changes),
        bins=watching.distribution(changes),
        missing=len(rows) - len(found),
        book=book,
        oldest=min(times, default=None),
        newest=max(times, default=None),
        effective_dates=tuple(sorted(day for day in days if day)),
    )


def _watched(point: PortfolioPoint, look_up: LookUp) -> watching.Watched:
    sector = look_up.market_sector_code.upper()
    return watching.Watched(
        mprn=point.mprn,
        ldz=look_up.local_distribution_zone.upper(),
        sector=Sector(sector) if sector in set(Sector) else None,
        quantities=look_up.quantities,
    )


# ---- Quotes for many ---------------------------------------------------------------------------


def quote_all(
    *,
    portfolio: Portfolio,
    points: Sequence[int] | None,
    terms: Terms,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> QuoteOrder:
    """Have quotes made for chosen points of a portfolio (None: all), in the background.

    Points without a recent look-up are left out, so it costs no call. Raises `OrderedAlready`,
    `NothingChosen`.
    """
    _may(by, ORDERED)
    rows = portfolio.points.all() if points is None else portfolio.points.filter(pk__in=points)
    chosen = list(rows.order_by("pk").values_list("pk", flat=True))
    if not chosen:
        raise NothingChosen
    moment = now()
    with transaction.atomic():
        order, fresh = QuoteOrder.objects.get_or_create(
            confirmation=confirmation or str(uuid.uuid4()),
            defaults={
                "title": portfolio.name,
                "portfolio": portfolio,
                "points": chosen,
                "wanted": len(chosen),
                "start": terms.start,
                "months": terms.months,
                "payment": terms.payment,
                "broker_uplift": terms.broker_uplift,
                "broker": terms.broker,
                "by": by.user,
                "by_name": by.name,
                "at": moment,
            },
        )
        if not fresh:
            raise OrderedAlready
        queue.due(ORDERS, order.pk, now=moment, by=by)
    return order


def make_quotes(*, claim: queue.Claim, now: Clock) -> None:
    """Make quotes of an order in batches, for one turn; what is made is never made again."""
    order: QuoteOrder = claim.row()
    end = now() + TURN
    while order.points and now() < end:
        _make_some(claim, order, now())
        order = claim.row()
    with transaction.atomic():
        moment = now()
        queue.settle(claim, due_at=moment if order.points else None)
        if not order.points:
            QuoteOrder.objects.filter(pk=order.pk).update(done_at=moment)


def _make_some(claim: queue.Claim, order: QuoteOrder, now: datetime) -> None:
    """Make one batch and shorten the order by it in the same transaction."""
    some, rest = order.points[:AT_ONCE], order.points[AT_ONCE:]
    since = now - timedelta(days=settings.GASQUOTES_REUSE_DAYS)
    points = PortfolioPoint.objects.filter(pk__in=some, look_up__at__gt=since)
    chosen = [point.look_up for point in points.select_related("look_up") if point.look_up]
    by = actor_for(order.by) if order.by else PORTAL
    with transaction.atomic():
        mine = QuoteOrder.objects.filter(pk=order.pk, claim=claim.token)
        left_out = F("left_out") + len(some) - len(chosen)
        if not mine.update(points=rest, made=F("made") + len(chosen), left_out=left_out):
            raise queue.ClaimLost(f"{claim.queue.name} {claim.pk}")
        if chosen:
            actions.open_many(order=order, chosen=chosen, by=by, now=now)
