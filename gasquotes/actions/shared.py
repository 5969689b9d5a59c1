"""What the verbs of a quote share: what is asked for, and why something cannot be done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from core.workflow import Impossible
from gasquotes.messages import Filter
from gasquotes.models import Quote

Clock = Callable[[], datetime]
Status, Held, ClosedAs = Quote.Status, Quote.Held, Quote.ClosedAs
UNPRICED: dict[str, Any] = {
    "priced": "",
    "priced_at": None,
    "price_book": None,
    "year_cost": None,
    "contract_cost": None,
    "held": "",
    "code": "",
    "next_step": "",
}


class Lapsed(Impossible):
    """The time for which the quote binds us is over."""

    sentence = "This quote has lapsed and cannot be accepted. Make a new one from it."


class NotOffered(Impossible):
    """There is no price that a person could offer."""

    sentence = "There is no price to offer: its quantities or its prices are missing."


class TooLate(Impossible):
    """It cannot be stopped any more."""

    sentence = "It is too late to stop this quote. Close it when the customer has answered."


class NoAddress(Impossible):
    """A quote goes out by e-mail only where there is an address."""

    sentence = "This customer has no e-mail address. Issue it without e-mail."


class NoRequote(Impossible):
    """A new quote is made from one that had a price or is closed."""

    sentence = "This quote is still being worked on: go on with it instead of making a new one."


@dataclass(frozen=True)
class Terms:
    """What the customer wants."""

    start: date
    months: int
    payment: str
    broker_uplift: Decimal = Decimal(0)
    broker: str = ""


@dataclass(frozen=True)
class Enquiry:
    """A finished enquiry form: who asks, for which supply point, on which terms."""

    name: str
    asked: Filter
    terms: Terms
    email: str = ""
