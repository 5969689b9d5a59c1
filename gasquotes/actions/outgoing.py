"""What goes out about a quote: its PDF and its letters, from what was frozen."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from core import mail
from core.models import Email
from gasquotes import letters, paper
from gasquotes.actions.shared import ClosedAs, NotOffered, Status
from gasquotes.letters import Envelope, Letter
from gasquotes.models import Quote

ISSUE = "issue"


def waiting_email(quote: Quote) -> Email | None:
    """The e-mail with the quote, while it can still be stopped."""
    return mail.waiting_for(quote, ISSUE)


def delay_seconds() -> int:
    """How long what a person sends waits before it leaves, in seconds."""
    return int(settings.SEND_DELAY_SECONDS)


def envelope(quote: Quote) -> Envelope:
    """Who writes to whom about what."""
    return Envelope(
        supplier=settings.SUPPLIER_NAME,
        name=quote.name,
        reference=quote.reference,
        email=settings.SUPPLIER_EMAIL,
        phone=settings.SUPPLIER_PHONE,
    )


def letter_for(quote: Quote, *, valid_until: datetime) -> Letter:
    """The e-mail that goes with an issued quote."""
    return letters.issued(envelope(quote), mprn=quote.mprn, valid_until=valid_until)


def suggested_letter(quote: Quote) -> Letter | None:
    """What staff may write to the customer: why it ended, or what of the address is missing."""
    if quote.closed_as == ClosedAs.REFUSED and quote.customer_reason:
        return letters.refused(envelope(quote), reason=quote.customer_reason)
    if quote.status == Status.ADDRESS:
        return letters.more_address(envelope(quote), missing=quote.next_step)
    return None


def preview_document(*, quote: Quote, now: datetime) -> bytes:
    """The PDF as it would be issued now; nothing is kept."""
    until = now + timedelta(hours=settings.GASQUOTES_VALID_HOURS)
    return paper.pdf(paper_of(quote, issued_at=now, valid_until=until))


def paper_of(quote: Quote, *, issued_at: datetime, valid_until: datetime) -> paper.QuotePaper:
    """Everything that stands on the PDF of a priced quote. Raises `NotOffered`."""
    priced, look_up = quote.price, quote.look_up
    if priced is None or look_up is None:
        raise NotOffered
    found = look_up.quantities
    return paper.QuotePaper(
        company=_company(),
        reference=quote.reference,
        customer=quote.name,
        customer_lines=tuple(line for line in (quote.email,) if line),
        site_lines=look_up.point.address,
        mprn=look_up.mprn,
        issued_at=timezone.localtime(issued_at),
        valid_until=timezone.localtime(valid_until),
        priced=priced,
        formula=found.formula,
        prospective=found.prospective,
        effective_date=found.effective_date,
        network=look_up.distribution_network_operator,
        broker=quote.broker,
    )


def _company() -> paper.Company:
    return paper.Company(
        name=settings.SUPPLIER_NAME,
        address=tuple(settings.SUPPLIER_ADDRESS),
        email=settings.SUPPLIER_EMAIL,
        phone=settings.SUPPLIER_PHONE,
        registration=settings.SUPPLIER_REGISTRATION,
    )
