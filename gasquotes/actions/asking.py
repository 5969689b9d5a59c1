"""Quotes are asked for: one, again on other terms, or many from look-ups that are there.

Opens quotes and makes them due; looks nothing up itself.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from core import queue
from core.models import StatusChange, next_reference, next_references
from core.workflow import Actor, NotAllowed, Who, move, opened
from gasquotes import budget, lookups, messages
from gasquotes.actions.judging import Tariffs, settle_price
from gasquotes.actions.shared import UNPRICED, Clock, Enquiry, NoRequote, Terms
from gasquotes.messages import Filter
from gasquotes.models import ADDRESS_FIELDS, LOOK_UP, LOOK_UP_QUEUE, LookUp, Quote, QuoteOrder


def enquire(*, enquiry: Enquiry, by: Actor, now: Clock, key: str | None = None) -> Quote:
    """Open a quote and have its supply point looked up; a recent look-up serves again.

    `key` names this sending of the form: sent again, the first quote is returned. Raises
    `NotAllowed`.
    """
    _may_look_up(by)
    moment = now()
    try:
        with transaction.atomic():
            reference = next_reference("GQ", timezone.localtime(moment))
            quote = _new(enquiry, reference, moment, **({"submission_key": key} if key else {}))
            quote.save()
            opened(quote, by=by, now=moment)
            queue.due(LOOK_UP_QUEUE, quote.pk, now=moment, by=by)
    except IntegrityError:
        sent_before: Quote | None = Quote.objects.filter(submission_key=key).first()
        if key is None or sent_before is None:
            raise
        return sent_before
    return quote


def _may_look_up(by: Actor) -> None:
    if by.who is not Who.PORTAL and not (by.user and by.user.has_perm(LOOK_UP)):
        raise NotAllowed("Your role does not have supply points looked up.")


def _new(enquiry: Enquiry, reference: str, now: datetime, **fields: Any) -> Quote:
    return Quote(
        reference=reference,
        status=Quote.FIRST,
        status_at=now,
        created_at=now,
        why="Waiting for the look-up",
        name=enquiry.name,
        email=enquiry.email,
        **_asked_columns(enquiry.asked),
        **asdict(enquiry.terms),
        **fields,
    )


def _asked_columns(asked: Filter) -> dict[str, str]:
    asked = messages.normalised(asked)
    address = {name: getattr(asked, name) for name in ADDRESS_FIELDS}
    return {
        "asked_mprn": asked.mprn,
        "address_id": asked.address_id,
        "asked_postcode": asked.postcode,
        **address,
    }


def give_address(*, quote: Quote, asked: Filter, by: Actor, now: Clock) -> None:
    """Look up again with more of the address, or with the MPRN. Raises `Conflict`, `NotAllowed`."""
    moment = now()
    fields = {**UNPRICED, **_asked_columns(asked), "findings": []}
    with transaction.atomic():
        why = "Waiting for the look-up, with more of the address"
        move(quote, "give_address", by=by, now=moment, note=_in_words(asked), why=why, **fields)
        queue.due(LOOK_UP_QUEUE, quote.pk, now=moment, by=by)


def _in_words(asked: Filter) -> str:
    return "Asked with " + ", ".join(messages.build_query(asked).values())


def look_up_again(*, quote: Quote, by: Actor, now: Clock) -> None:
    """Have the service asked again whatever is known; costs one call. Raises `Conflict`."""
    moment = now()
    with transaction.atomic():
        why = "Waiting for a new look-up"
        fields = {**UNPRICED, "fresh_only": True, "findings": []}
        move(quote, "look_up_again", by=by, now=moment, why=why, **fields)
        queue.due(LOOK_UP_QUEUE, quote.pk, now=moment, by=by)


def requote(
    *,
    quote: Quote,
    by: Actor,
    now: Clock,
    terms: Terms | None = None,
    key: str | None = None,
) -> Quote:
    """Make a new quote linked to this one; a recent look-up serves again. Raises `NoRequote`.

    `key` names this sending of the form: sent again, the first quote is returned.
    """
    if not quote.can_requote:
        raise NoRequote
    _may_look_up(by)
    moment = now()
    enquiry = Enquiry(quote.name, quote.asked, terms or terms_of(quote), quote.email)
    named = {"submission_key": key} if key else {}
    try:
        with transaction.atomic():
            reference = next_reference("GQ", timezone.localtime(moment))
            new = _new(enquiry, reference, moment, requote_of=quote, **named)
            new.save()
            opened(new, by=by, now=moment, note=f"Made from {quote.reference}")
            queue.due(LOOK_UP_QUEUE, new.pk, now=moment, by=by)
    except IntegrityError:
        sent_before: Quote | None = Quote.objects.filter(submission_key=key).first()
        if key is None or sent_before is None:
            raise
        return sent_before
    return new


def terms_of(quote: Quote) -> Terms:
    """The terms of a quote, to make another with the same ones."""
    return Terms(quote.start, quote.months, quote.payment, quote.broker_uplift, quote.broker)


def try_calls_again(*, by: Actor, now: Clock) -> bool:
    """Let one call through after a key fault or a quota stop. False when nothing is stopped."""
    _may_look_up(by)
    moment = now()
    with transaction.atomic():
        if not budget.probe_now(now=moment):
            return False
        lookups.go_on(now=moment)
    return True


def go_on_when_free(*, now: datetime, **_: Any) -> None:
    """Let what waits for calls go on when a new month or a higher limit gives some; every hour."""
    with transaction.atomic():
        if budget.is_free_again(now=now):
            lookups.go_on(now=now)


def open_many(
    *, order: QuoteOrder, chosen: Sequence[LookUp], by: Actor, now: datetime
) -> list[Quote]:
    """Open and price quotes of an order from look-ups, in the caller's transaction."""
    terms = Terms(order.start, order.months, order.payment, order.broker_uplift, order.broker)
    references = next_references("GQ", timezone.localtime(now), len(chosen))
    made = Quote.objects.bulk_create(
        _new(
            Enquiry(order.title, Filter(mprn=look_up.mprn), terms),
            reference,
            now,
            order=order,
        )
        for look_up, reference in zip(chosen, references, strict=True)
    )
    StatusChange.objects.bulk_create(_opening(quote, by, now) for quote in made)
    tariffs = Tariffs.on(timezone.localdate(now))
    for quote, look_up in zip(made, chosen, strict=True):
        settle_price(quote, look_up, tariffs, now=now, reused=True)
    return made


def _opening(quote: Quote, by: Actor, now: datetime) -> StatusChange:
    return StatusChange(
        case_label=quote.case_label,
        case_id=quote.pk,
        reference=quote.reference,
        move="open",
        to_status=quote.status,
        by=by.user,
        by_name=by.name,
        at=now,
    )
