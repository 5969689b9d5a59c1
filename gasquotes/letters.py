"""The e-mails of a gas quote: facts in, subject and plain text out. Plain Python.

A letter states no price: prices stand in the quote itself, with everything they rest on.
"""

import textwrap
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

_LONDON: Final = ZoneInfo("Europe/London")
_WIDTH = 72
_NBSP = "\N{NO-BREAK SPACE}"


class Letter(msgspec.Struct, frozen=True):
    """An e-mail ready to be queued: a subject of one line and plain text in short lines."""

    subject: str
    text: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes to whom about which quote."""

    supplier: str
    name: str
    reference: str
    email: str = ""
    phone: str = ""


def issued(to: Envelope, *, mprn: str, valid_until: datetime, link: str = "") -> Letter:
    """Send a quote: attached, or to be opened at `link`; until when it can be accepted, and how."""
    where = f"Open your quote here:\n{link}" if link else "The quote is attached as a PDF."
    return _letter(
        to,
        "your gas quote",
        f"Here is our quote for the gas supply with the meter point number (MPRN) {mprn}.",
        where,
        f"It is valid until {_moment(valid_until)}. To accept it, answer before then. After that "
        "it cannot be accepted, and we gladly make you a new one.",
        "Please check that the MPRN and the address on the quote are yours.",
    )


def more_address(to: Envelope, *, missing: str) -> Letter:
    """Ask for what is missing to find the meter; `missing` is a sentence for the customer."""
    return _letter(
        to,
        "we need more of your address",
        "We could not find your gas meter with what we have.",
        missing,
        "Best of all is the meter point number (MPRN): 6 to 10 digits, printed on every gas bill.",
    )


def refused(to: Envelope, *, reason: str) -> Letter:
    """Tell that there is no quote, with the reason in the customer's words."""
    return _letter(
        to,
        "we cannot quote",
        "We are sorry: we cannot make you a quote for this gas supply.",
        f"The reason:\n{reason}",
        "If you think this is wrong, answer this e-mail and tell us why: a person then looks "
        "at it again.",
    )


def lapsed(to: Envelope, *, valid_until: datetime) -> Letter:
    """Tell that a quote can no longer be accepted."""
    return _letter(
        to,
        "your quote has lapsed",
        f"Our quote was valid until {_moment(valid_until)} and can no longer be accepted.",
        "If you still want one, answer this e-mail: we make a new quote at today’s prices.",
    )


def accepted(to: Envelope, *, mprn: str, start: date) -> Letter:
    """Confirm that a quote was accepted and when supply starts."""
    return _letter(
        to,
        "you accepted our quote",
        f"Thank you: you accepted our quote for the gas supply with the MPRN {mprn}.",
        f"Supply is to start on {_long(start)}. You need not do anything until then. If you did "
        "not mean to accept, tell us at once.",
    )


def _letter(to: Envelope, topic: str, *paragraphs: str) -> Letter:
    closing = f"Kind regards\n{to.supplier}"
    parts = [_greeting(to.name), *paragraphs, _contact(to), closing]
    text = "\n\n".join(_wrapped(part) for part in parts if part.strip())
    return Letter(subject=_one_line(f"{to.supplier} {to.reference}: {topic}"), text=f"{text}\n")


def _greeting(name: str) -> str:
    plain = _one_line(name)
    return f"Hello {plain}," if plain else "Hello,"


def _contact(to: Envelope) -> str:
    ways = [f"write to {to.email}"] if to.email else []
    ways += [f"call {to.phone.replace(' ', _NBSP)}"] if to.phone else []
    if not ways:
        return f"Questions? Reply to this e-mail and name {to.reference}."
    start = "Reply to this e-mail, " if len(ways) == 2 else "Reply to this e-mail or "
    return f"Questions? {start}{' or '.join(ways)}. Name {to.reference}."


def _wrapped(text: str) -> str:
    """Break long lines between words; links stay whole."""
    return "\n".join(
        textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def _one_line(text: str) -> str:
    """Keep line breaks out of a subject, where they would start another header."""
    return " ".join(text.split())


def _moment(moment: datetime) -> str:
    local = moment.astimezone(_LONDON)
    return f"{local:%H:%M} on {_long(local.date())} (UK time)"


def _long(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B} {day.year}"
