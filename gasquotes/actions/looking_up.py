"""A quote’s supply point is looked up by the worker, which prices it or says where it goes.

A call is counted before it is sent; answer, price and move are recorded in one transaction.
"""

import contextlib
import time
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from core import calls, queue
from core.outcomes import Outcome
from core.workflow import PORTAL, Conflict, move
from gasquotes import budget, lookups
from gasquotes.actions.judging import Tariffs, settle_price
from gasquotes.actions.shared import Clock, ClosedAs, Held
from gasquotes.client import NAME, QUANTITIES, Answer, SupplyPoints
from gasquotes.codes import Lead
from gasquotes.models import LOOK_UP_QUEUE, LookUp, Quote

log = structlog.get_logger(__name__)


def take(pk: int, *, now: Clock) -> queue.Claim | None:
    """Claim a quote; in the same transaction, record an attempt that was cut off before."""
    with transaction.atomic():
        claim = queue.claim(LOOK_UP_QUEUE, pk, now=now())
        if claim is not None and claim.interrupted is not None:
            calls.record_cut_off(
                party=NAME,
                operation=QUANTITIES.name,
                kind=QUANTITIES.kind,
                started_at=claim.interrupted,
                case=claim.row(),
            )
    return claim


def look_up(*, claim: queue.Claim, service: SupplyPoints, now: Clock) -> None:
    """Look a quote's supply point up and price it, or say where it goes instead."""
    quote: Quote = claim.row()
    with structlog.contextvars.bound_contextvars(case=quote.reference):
        known = _known(quote, now())
        if known is not None:
            with contextlib.suppress(queue.ClaimLost), transaction.atomic():
                _judge(claim, quote, known, now(), reused=True)
            return
        permit = budget.permit(1, now=now())
        if not permit.moments:
            _wait(claim, quote, permit, now())
            return
        time.sleep(max(0.0, (permit.moments[0] - now()).total_seconds()))
        _ask(claim, quote, service, now)


def _known(quote: Quote, now: datetime) -> LookUp | None:
    if quote.fresh_only or not quote.asked_mprn:
        return None
    return lookups.recent([quote.asked_mprn], now=now).get(quote.asked_mprn)


def _wait(claim: queue.Claim, quote: Quote, permit: budget.Permit, now: datetime) -> None:
    """No call may be made now: wait without counting it as an attempt."""
    with contextlib.suppress(queue.ClaimLost), transaction.atomic():
        queue.settle(claim, due_at=max(permit.again_at, now))
        if permit.sentence:
            Quote.objects.filter(pk=quote.pk).update(why=permit.sentence[:300])


def _ask(claim: queue.Claim, quote: Quote, service: SupplyPoints, now: Clock) -> None:
    """Call outside any transaction; record what it came to in one."""
    try:
        answer = service.quantities(quote.asked)
    except Outcome as problem:
        _not_answered(claim, quote, problem, now())
        return
    _answered(claim, quote, answer, now())
    lookups.answered(sent_at=answer.call.started_at, now=now())


def _answered(claim: queue.Claim, quote: Quote, answer: Answer, now: datetime) -> None:
    """Keep the answer and move the quote; the answer is kept also where the quote moved on."""
    try:
        with transaction.atomic():
            _judge(claim, quote, _keep(quote, answer, now), now, reused=False)
    except (queue.ClaimLost, Conflict):
        log.info("answer_came_after_the_quote_moved_on")
        with transaction.atomic():
            _keep(quote, answer, now)


def _keep(quote: Quote, answer: Answer, now: datetime) -> LookUp:
    call = calls.record(answer.call, case=quote)
    row = lookups.row_of(answer, quote.asked, call, at=now, case=quote)
    row.save()
    return row


def _not_answered(claim: queue.Claim, quote: Quote, problem: Outcome, now: datetime) -> None:
    """Keep the call and send the quote where its outcome leads."""
    try:
        with transaction.atomic():
            calls.record(problem.call, case=quote)
            _not_found(claim, quote, problem, now)
    except (queue.ClaimLost, Conflict):
        log.info("answer_came_after_the_quote_moved_on")
        calls.record(problem.call, case=quote)


def _not_found(claim: queue.Claim, quote: Quote, problem: Outcome, now: datetime) -> None:
    """Send the quote where the outcome leads."""
    lookups.heed(problem, now=now)
    lead = lookups.lead_of(problem)
    if lead in lookups.STOPS:
        stop = budget.standing(now=now)
        queue.settle(claim, due_at=stop.stopped_until)
        Quote.objects.filter(pk=quote.pk).update(why=stop.sentence[:300])
    elif lead in (Lead.RETRY, Lead.SLOW_DOWN):
        _try_later(claim, quote, problem, now)
    else:
        queue.settle(claim)
        _lead(quote, problem, lead, now)


def _try_later(claim: queue.Claim, quote: Quote, problem: Outcome, now: datetime) -> None:
    again = queue.retry_at(claim, now=now, after=problem.retry_after)
    queue.settle(claim, due_at=again, keep_attempts=again is not None)
    if again is None:
        _to_person(quote, problem, f"{problem.sentence} It was asked {claim.attempts} times.", now)
        return
    why = f"{problem.sentence} Next try {timezone.localtime(again):%H:%M}."
    Quote.objects.filter(pk=quote.pk).update(why=why[:300])


def _lead(quote: Quote, problem: Outcome, lead: Lead, now: datetime) -> None:
    said: dict[str, Any] = {
        "code": problem.code[:60],
        "next_step": problem.next_step[:300],
        "look_up": None,
    }
    why = problem.sentence[:300]
    if lead is Lead.ADDRESS:
        move(quote, "ask_for_address", by=PORTAL, now=now, note=why, why=why, **said)
    elif lead is Lead.REFUSED:
        reason = lookups.customer_reason(problem)
        fields = {**said, "closed_as": ClosedAs.REFUSED, "customer_reason": reason}
        move(quote, "refuse", by=PORTAL, now=now, note=why, why=why, **fields)
    else:
        _to_person(quote, problem, problem.sentence, now)


def _to_person(quote: Quote, problem: Outcome, sentence: str, now: datetime) -> None:
    why = sentence[:300]
    move(
        quote,
        "give_to_person",
        by=PORTAL,
        now=now,
        note=why,
        why=why,
        held=Held.PARTY,
        code=problem.code[:60],
        next_step=problem.next_step[:300],
    )


def _judge(
    claim: queue.Claim, quote: Quote, look_up: LookUp, now: datetime, *, reused: bool
) -> None:
    """Price a quote from a look-up and move it on, in the caller's transaction."""
    queue.settle(claim)
    settle_price(quote, look_up, Tariffs.on(timezone.localdate(now)), now=now, reused=reused)
