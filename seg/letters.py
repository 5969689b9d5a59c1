"""The e-mails an applicant gets: facts in, subject and plain text out.

Plain Python. The private tracking link is the only secret a letter may hold.
"""

import textwrap
from datetime import date
from decimal import Decimal

import msgspec

_WIDTH = 72
_NBSP = "\N{NO-BREAK SPACE}"


class Letter(msgspec.Struct, frozen=True):
    """An e-mail ready to be queued: a subject of one line and plain text in short lines."""

    subject: str
    text: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes to whom about which application; `link` is the private tracking page."""

    supplier: str
    name: str
    reference: str
    link: str
    email: str = ""
    phone: str = ""


def received(to: Envelope, *, answer_by: date | None = None) -> Letter:
    """Confirm an application: reference, tracking link and what happens next."""
    by_when = f" You hear from us by {_long_date(answer_by)} at the latest." if answer_by else ""
    return _letter(
        to,
        "we have your application",
        "Thank you for applying for our export tariff. Your application has arrived.",
        "What happens next: we look your certificate up at MCS and compare it with what you told "
        f"us. That often takes a few seconds only; sometimes a person has to look.{by_when}",
        "You need not do anything now.",
    )


def approved(
    to: Envelope, *, tariff: str, rate: Decimal, has_export_mpan: bool, reason: str = ""
) -> Letter:
    """Tell an approval: the tariff, its rate in p/kWh, and what is still missing for payments."""
    if has_export_mpan:
        following = (
            "What happens next: we set your payments up. The first one reaches you within 3 months."
        )
    else:
        following = (
            "What happens next: we still need your export MPAN, the number of your export meter. "
            "Your electricity distributor gives it to you. Payments start when we have it: "
            "the first one reaches you within 3 months after that."
        )
    return _letter(
        to,
        "approved",
        f"Good news: your application is approved for the tariff {tariff}. "
        f"We pay you {_rate(rate)} for the electricity you export.",
        reason,
        following,
    )


def refused(to: Envelope, *, reason: str) -> Letter:
    """Tell a refusal with its reason in the customer's words and how to ask for a review."""
    return _letter(
        to,
        "we cannot approve it",
        "We are sorry: we cannot approve your application for our export tariff.",
        f"The reason:\n{reason}",
        "How to ask for a review:\nReply to this e-mail and tell us what you think is wrong. "
        "Send anything that shows it, such as a new certificate. "
        "A person then looks at your application again. It costs you nothing.",
    )


def question(to: Envelope, *, text: str, answer_by: date | None = None) -> Letter:
    """Pass on a question that a member of staff wrote, and say where to answer it."""
    by_when = f" Please answer by {_long_date(answer_by)}." if answer_by else ""
    return _letter(
        to,
        "we have a question",
        "Before we can decide on your application we need to ask you something:",
        textwrap.indent(_wrapped(text, _WIDTH - 4), "    "),
        "How to answer: open the page below, write your answer there and add a photo or a PDF if "
        f"it helps.{by_when} Until then your application waits; nothing is lost.",
    )


def not_found(to: Envelope, *, certificate: str) -> Letter:
    """Ask for the right certificate number: the registry knows none like this."""
    return _letter(
        to,
        "please check your certificate number",
        f"MCS does not know a certificate with the number {certificate}.",
        "Please compare it with your certificate, where it stands at the top right, and correct it "
        "on the page below. We then look it up again at once.",
        "No certificate at hand? Ask your installer first. MCS sends out copies as well.",
    )


def in_progress(to: Envelope, *, certificate: str, days: int) -> Letter:
    """Tell that the certificate is not finished; `days` is how long it is looked at again daily."""
    return _letter(
        to,
        "your certificate is not finished yet",
        f"MCS shows your certificate {certificate} as “in progress”: your installer has not "
        "finished it yet.",
        f"What happens next: we look again every day, for up to {days} days, and go on by "
        "ourselves as soon as it is finished. You need not apply again.",
        "What you can do: ask your installer to complete the certificate.",
    )


def withdrawn(to: Envelope, *, reason: str = "") -> Letter:
    """Confirm that an application is withdrawn."""
    return _letter(
        to,
        "withdrawn",
        "Your application for our export tariff is withdrawn, as you wished. We do nothing more "
        "with it.",
        reason,
        "Changed your mind? You can apply again at any time.",
    )


def suspended(to: Envelope, *, reason: str) -> Letter:
    """Tell that payments pause, why, and that a person looks at it."""
    return _letter(
        to,
        "your export tariff is paused",
        "From time to time we look up again whether the certificate of your installation still "
        "stands. Something has changed, so your export tariff is paused for now.",
        f"The reason:\n{reason}",
        "What happens next: a person looks at it and writes to you. If you know why the "
        "certificate changed, or have a new one, reply to this e-mail: that helps.",
    )


def reinstated(to: Envelope, *, tariff: str, reason: str = "") -> Letter:
    """Tell that a paused tariff goes on."""
    return _letter(
        to,
        "your export tariff goes on",
        f"Your export tariff {tariff} is no longer paused. It goes on as before.",
        reason,
    )


def reopened(to: Envelope) -> Letter:
    """Tell that a decided application is looked at again."""
    return _letter(
        to,
        "we are looking at it again",
        "A person is looking at your application again. The earlier decision does not count while "
        "we do.",
        "You need not do anything now. If we have a question, we write to you.",
    )


def _letter(to: Envelope, topic: str, *paragraphs: str) -> Letter:
    tracking = (
        f"Your application {to.reference}, with everything you sent us and where it is now:\n"
        f"{to.link}\n"
        "This page is private. Anyone with its address can read it."
    )
    closing = f"Kind regards\n{to.supplier}"
    parts = [_greeting(to.name), *paragraphs, tracking, _contact(to), closing]
    text = "\n\n".join(_wrapped(part) for part in parts if part.strip())
    return Letter(subject=_one_line(f"{to.supplier} {to.reference}: {topic}"), text=f"{text}\n")


def _greeting(name: str) -> str:
    """Greet by name, unless it holds an address: the form is public, the recipient anybody."""
    plain = _one_line(name)
    if not plain or "/" in plain or "www." in plain.lower():
        return "Hello,"
    return f"Hello {plain},"


def _contact(to: Envelope) -> str:
    ways = ["Reply to this e-mail"]
    if to.email:
        ways.append(f"write to {to.email}")
    if to.phone:
        ways.append(f"call {to.phone.replace(' ', _NBSP)}")
    return f"Questions? {' or '.join(filter(None, [', '.join(ways[:-1]), ways[-1]]))}."


def _wrapped(text: str, width: int = _WIDTH) -> str:
    """Break long lines between words; what is indented, and every link, stays as it is."""
    return "\n".join(_wrapped_line(line, width) for line in text.splitlines())


def _wrapped_line(line: str, width: int) -> str:
    if line.startswith(" "):
        return line.rstrip()
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def _one_line(text: str) -> str:
    """Keep line breaks out of a subject, where they would start another header."""
    return " ".join(text.split())


def _rate(rate: Decimal) -> str:
    """Write p/kWh without empty decimals, kept together by a no-break space."""
    return f"{rate.normalize():f}{_NBSP}p/kWh"


def _long_date(day: date) -> str:
    """Write a date as Thursday 3 December 2026."""
    return f"{day:%A} {day.day} {day:%B} {day.year}"
