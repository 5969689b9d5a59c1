"""What becomes of an answered look-up: a price, a person who decides, or no price.

Works with the book and the levies of the day; calls nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core.workflow import PORTAL, Actor, move
from gasquotes import books, pricing, rules
from gasquotes.actions.shared import UNPRICED, Clock, Held, NotOffered
from gasquotes.levies import NoLevy
from gasquotes.models import LookUp, PriceBook, Quote


@dataclass(frozen=True)
class Verdict:
    """What becomes of an answered look-up: a price, why a person decides, and every finding."""

    findings: list[dict[str, str]]
    priced: pricing.Priced | None = None
    book: PriceBook | None = None
    held: str = ""
    why: str = ""

    @property
    def columns(self) -> dict[str, Any]:
        """The price as columns; empty ones where there is none."""
        fields = {**UNPRICED, "held": self.held, "findings": self.findings, "why": self.why[:300]}
        if self.priced is None:
            return fields
        return {
            **fields,
            "priced": pricing.freeze(self.priced),
            "price_book": self.book,
            "year_cost": self.priced.first_year.including,
            "contract_cost": self.priced.whole.including,
        }


@dataclass(frozen=True)
class Tariffs:
    """What prices are worked out from on a day."""

    book: PriceBook | None
    prices: pricing.Book | None
    levies: Sequence[Any]

    @classmethod
    def on(cls, day: date) -> "Tariffs":
        """The published book of a day and every levy (two queries)."""
        book = PriceBook.on(day)
        return cls(book, books.as_book(book) if book else None, books.known_levies())


def settle_price(
    quote: Quote, look_up: LookUp, tariffs: Tariffs, *, now: datetime, reused: bool
) -> None:
    """Move a quote on with its price: ready, or to a person. Call it in a transaction."""
    verdict = judge(quote, look_up, tariffs)
    found = {
        "look_up": look_up,
        "look_up_reused": reused,
        "fresh_only": False,
        "mprn": look_up.mprn,
        "postcode": look_up.postcode,
        "aq_kwh": look_up.aq_kwh and look_up.aq_kwh.quantize(Decimal("0.1")),
    }
    priced_at = now if verdict.priced else None
    name = "give_to_person" if verdict.held else "price"
    columns = {**verdict.columns, **found, "priced_at": priced_at}
    move(quote, name, by=PORTAL, now=now, note=verdict.why, **columns)


def judge(quote: Quote, look_up: LookUp, tariffs: Tariffs) -> Verdict:
    """Work out the price of a quote, or why there is none; changes nothing."""
    point, found = look_up.point, look_up.quantities
    findings = [_plausibility(found.formula), _plausibility(found.prospective, later=True)]
    if found.held:
        return Verdict(findings, held=Held.IMPLAUSIBLE, why=found.held[0])
    largest = Decimal(settings.GASQUOTES_LARGEST_KWH)
    referred = rules.referrals(point, found, asked=quote.asked, largest_above_kwh=largest)
    findings += [
        _finding(r.code, r.title, "fail" if r.final else "look", r.sentence) for r in referred
    ]
    try:
        priced = _price(quote, look_up, found, tariffs, final=[r for r in referred if r.final])
    except _NoPrice as problem:
        findings.append(_finding("price", "Price", "fail", problem.sentence))
        return Verdict(findings, held=Held.NO_PRICE, why=problem.sentence)
    passed = f"Priced with price book {priced.book}, every figure with its source."
    findings.append(_finding("price", "Price", "pass", passed))
    if referred:
        why = referred[0].sentence
        return Verdict(findings, priced, tariffs.book, Held.REFERRAL, why)
    cost = f"Priced: £{priced.first_year.including:,} in the first year including VAT"
    return Verdict(findings, priced, tariffs.book, "", cost)


class _NoPrice(Exception):
    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def _price(
    quote: Quote,
    look_up: LookUp,
    found: rules.Quantities,
    tariffs: Tariffs,
    *,
    final: Sequence[rules.Referral],
) -> pricing.Priced:
    if final:
        raise _NoPrice(final[0].sentence)
    if tariffs.book is None or tariffs.prices is None:
        raise _NoPrice("No published price book is valid today. Publish one, then look up again.")
    if found.priceable is None:
        raise _NoPrice("The quantities cannot be priced.")
    ask = pricing.Ask(
        quantities=found.priceable,
        looked_up_on=timezone.localdate(look_up.at),
        ldz=look_up.local_distribution_zone.upper(),
        sector=rules.Sector(look_up.market_sector_code.upper()),
        start=quote.start,
        months=quote.months,
        payment=pricing.Payment(quote.payment),
        broker_uplift=quote.broker_uplift,
        exit_fee=tariffs.book.exit_fee,
    )
    try:
        return pricing.price(ask, tariffs.prices, tariffs.levies)
    except (pricing.NoPrice, NoLevy) as problem:
        raise _NoPrice(problem.sentence) from problem


RESULTS = {"plausible": "pass", "implausible": "fail", "missing": "fail"}


def _plausibility(checked: rules.Checked, *, later: bool = False) -> dict[str, str]:
    words = rules.YEAR_WORDS[checked.year]
    result = "look" if later and checked.absent else RESULTS[checked.state]
    return _finding(checked.year, f"AQ and SOQ, {words}", result, " ".join(checked.sentences))


def _finding(code: str, title: str, result: str, sentence: str) -> dict[str, str]:
    return {"code": code, "title": title, "result": result, "sentence": sentence}


def accept_referral(
    *, quote: Quote, reason: str, by: Actor, now: Clock, confirmation: str | None = None
) -> None:
    """Offer the price that waited for a person. Raises `NotOffered` where none may be offered."""
    if not quote.can_offer:
        raise NotOffered
    with transaction.atomic():
        move(
            quote,
            "accept_referral",
            by=by,
            now=now(),
            note=reason,
            confirmation=confirmation,
            only_if=Q(held=Held.REFERRAL) & ~Q(priced=""),
            why=f"{by.name} offers these prices"[:300],
            held="",
        )
