"""A quote is issued, stopped before it leaves, accepted or closed.

What a person issues waits a moment for Stop; a lapsed quote cannot be accepted.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core import mail, queue
from core.models import Email
from core.workflow import PORTAL, Actor, Conflict, Who, move
from gasquotes import letters, paper
from gasquotes.actions.outgoing import (
    ISSUE,
    delay_seconds,
    envelope,
    letter_for,
    paper_of,
    waiting_email,
)
from gasquotes.actions.shared import Clock, ClosedAs, Lapsed, NoAddress, TooLate
from gasquotes.letters import Letter
from gasquotes.models import LAPSE, Document, Quote

NEWS = "news"
PDF = "application/pdf"


def issue(
    *,
    quote: Quote,
    by_email: bool,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> Document:
    """Issue a ready quote: its PDF is kept for ever, the e-mail waits for Stop, the time runs.

    Raises `NoAddress`, `Conflict`, `NotAllowed`.
    """
    if by_email and not quote.email:
        raise NoAddress
    moment = now()
    until = moment + timedelta(hours=settings.GASQUOTES_VALID_HOURS)
    pdf = paper.pdf(paper_of(quote, issued_at=moment, valid_until=until))
    why = f"Issued by {by.name}, valid until {timezone.localtime(until):%-d %b, %H:%M}"
    with transaction.atomic():
        document = Document.objects.create(
            **_about(quote),
            at=moment,
            valid_until=until,
            pdf=pdf,
            size=len(pdf),
            sha256=hashlib.sha256(pdf).hexdigest(),
        )
        fields: dict[str, Any] = {"issued_at": moment, "valid_until": until, "document": document}
        move(
            quote,
            "issue",
            by=by,
            now=moment,
            confirmation=confirmation,
            why=why[:300],
            by_email=by_email,
            **fields,
        )
        queue.due(LAPSE, quote.pk, now=moment, at=until)
        if by_email:
            _post_issue(quote, pdf, until, by, moment)
    return document


def _about(quote: Quote) -> dict[str, Any]:
    return {"case_label": quote.case_label, "case_id": quote.pk, "reference": quote.reference}


def _post_issue(quote: Quote, pdf: bytes, until: datetime, by: Actor, now: datetime) -> Email:
    letter = letter_for(quote, valid_until=until)
    return mail.post(
        case=quote,
        purpose=ISSUE,
        to=quote.email,
        subject=letter.subject,
        text=letter.text,
        by=by,
        now=now,
        delay=settings.SEND_DELAY_SECONDS,
        enclosed=[mail.Enclosed(f"{quote.reference}.pdf", PDF, pdf)],
    )


def stop_issue(email: Email, *, by: Actor, now: datetime) -> bool:
    """Stop the e-mail of an issued quote before it leaves; the quote is ready again, its PDF void.

    False, and nothing changes, when it has left or the quote has moved on since.
    """
    try:
        with transaction.atomic():
            if email.purpose != ISSUE or not mail.stop(email):
                return False
            _back_to_ready(Quote.objects.get(reference=email.reference), by, now)
    except Conflict:
        return False
    return True


def take_back(*, quote: Quote, by: Actor, now: Clock) -> None:
    """Stop a quote that goes out without e-mail while its moment lasts. Raises `TooLate`."""
    moment = now()
    issued = quote.issued_at
    if issued is None or quote.by_email or moment >= issued + timedelta(seconds=delay_seconds()):
        raise TooLate
    with transaction.atomic():
        _back_to_ready(quote, by, moment)


def _back_to_ready(quote: Quote, by: Actor, now: datetime) -> None:
    move(
        quote,
        "stop_issue",
        by=by,
        now=now,
        why=f"{by.name} stopped it before it left; that PDF is void"[:300],
        issued_at=None,
        valid_until=None,
        document=None,
        by_email=False,
    )


def accept(
    *, quote: Quote, by: Actor, now: Clock, note: str = "", confirmation: str | None = None
) -> None:
    """Record that the customer accepts, in time. Raises `Lapsed`, `Conflict`."""
    moment = now()
    if quote.is_lapsed(moment):
        raise Lapsed
    with transaction.atomic():
        move(
            quote,
            "accept",
            by=by,
            now=moment,
            note=note,
            confirmation=confirmation,
            only_if=Q(valid_until__gt=moment),
            why=f"Accepted, recorded by {by.name}"[:300],
        )
        _refuse_while_unsent(quote)
        _tell(
            quote, letters.accepted(envelope(quote), mprn=quote.mprn, start=quote.start), by, moment
        )


def decline(
    *, quote: Quote, reason: str, by: Actor, now: Clock, confirmation: str | None = None
) -> None:
    """Record that the customer declines, with the reason. Raises `Conflict`."""
    _close(quote, "decline", ClosedAs.DECLINED, reason=reason, by=by, now=now(), token=confirmation)


def withdraw(
    *, quote: Quote, reason: str, by: Actor, now: Clock, confirmation: str | None = None
) -> None:
    """Close a quote that was not issued, with the reason. Raises `Conflict`."""
    _close(
        quote, "withdraw", ClosedAs.WITHDRAWN, reason=reason, by=by, now=now(), token=confirmation
    )


def _close(
    quote: Quote,
    name: str,
    closed_as: str,
    *,
    reason: str,
    by: Actor,
    now: datetime,
    token: str | None,
) -> None:
    with transaction.atomic():
        move(
            quote,
            name,
            by=by,
            now=now,
            note=reason,
            confirmation=token,
            why=reason[:300],
            closed_as=closed_as,
        )
        _refuse_while_unsent(quote)


def lapse(*, claim: queue.Claim, now: Clock) -> None:
    """Close an issued quote whose time is over."""
    quote: Quote = claim.row()
    moment = now()
    with transaction.atomic():
        if not quote.is_lapsed(moment):
            queue.settle(claim, due_at=quote.valid_until)
            return
        queue.settle(claim)
        until = timezone.localtime(quote.valid_until).strftime("%-d %b %Y, %H:%M")
        why = f"Nobody accepted it by {until}"
        move(quote, "lapse", by=PORTAL, now=moment, why=why, closed_as=ClosedAs.LAPSED)
        if quote.valid_until is not None:
            letter = letters.lapsed(envelope(quote), valid_until=quote.valid_until)
            _tell(quote, letter, PORTAL, moment)


def _refuse_while_unsent(quote: Quote) -> None:
    """Raise `Conflict` while the quote itself has not left: news about it would overtake it."""
    if waiting_email(quote) is not None:
        raise Conflict(
            f"The e-mail with {quote.reference} has not left yet. Stop it first, or wait until it "
            "has left. Nothing was done.",
            status=quote.status,
        )


def _tell(quote: Quote, letter: Letter, by: Actor, now: datetime) -> None:
    """Tell who got the quote by e-mail how it ended; anybody else hears it another way."""
    if not quote.by_email:
        return
    delay = settings.SEND_DELAY_SECONDS if by.who is Who.PERSON else 0
    mail.post(
        case=quote,
        purpose=NEWS,
        to=quote.email,
        subject=letter.subject,
        text=letter.text,
        by=by,
        now=now,
        delay=delay,
    )
