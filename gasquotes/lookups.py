"""Look-ups as rows: what is kept of an answer, which earlier one serves again, what stops us.

Shared by single quotes and bulk runs. Calls nobody and moves no case.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings

from core import alarms
from core.models import PartnerCall
from core.outcomes import Outcome, Unexpected
from gasquotes import budget, messages, rules
from gasquotes.client import Answer, NotNow, SaidNo
from gasquotes.codes import Lead
from gasquotes.messages import Filter
from gasquotes.models import BULK, LOOK_UP_QUEUE, LookUp, Quote, columns_of

SILENT, ODD = "gas service silent", "gas service odd"
QUIET = timedelta(seconds=30)
STOPS = (Lead.STOP_KEY, Lead.STOP_QUOTA)


def recent(mprns: Iterable[str], *, now: datetime) -> dict[str, LookUp]:
    """The newest look-up of each point that is young enough to serve again (one query)."""
    since = now - timedelta(days=settings.GASQUOTES_REUSE_DAYS)
    if since >= now:
        return {}
    found = LookUp.objects.filter(mprn__in=list(mprns), at__gt=since, at__lte=now)
    return {each.mprn: each for each in found.order_by("at", "pk")}


def row_of(
    answer: Answer, asked: Filter, call: PartnerCall | None, *, at: datetime, case: Quote | None
) -> LookUp:
    """What is kept of an answer: every field, the reply as it came, and the figures in kWh."""
    unit = rules.Unit(settings.GASQUOTES_QUANTITY_UNIT)
    found = rules.quantities(answer.point, unit)
    about = {} if case is None else _about(case)
    return LookUp(
        **about,
        **columns_of(answer.point),
        at=at,
        asked=messages.build_query(asked),
        unit=unit,
        raw=answer.raw,
        call=call,
        aq_kwh=_sortable(found.formula.aq_kwh),
        soq_kwh=_sortable(found.formula.soq_kwh),
        next_aq_kwh=_sortable(found.prospective.aq_kwh),
        next_soq_kwh=_sortable(found.prospective.soq_kwh),
        held=list(found.held),
    )


def _about(case: Quote) -> dict[str, object]:
    return {"case_label": case.case_label, "case_id": case.pk, "reference": case.reference}


def _sortable(kwh: Decimal | None) -> Decimal | None:
    """For lists and sums only; the exact text stands beside it."""
    return None if kwh is None else min(kwh, _MOST).quantize(_SEVENTH)


_SEVENTH, _MOST = Decimal("0.0000001"), Decimal(10) ** 15


def lead_of(problem: Outcome) -> Lead:
    """Where an outcome leads; one without a meaning of its own is tried again or looked at."""
    if isinstance(problem, SaidNo | NotNow):
        return problem.meaning.lead
    return Lead.REVIEW if isinstance(problem, Unexpected) else Lead.RETRY


def heed(problem: Outcome, *, now: datetime) -> None:
    """Do what an outcome asks of all workers: stop, slow down, or tell staff once."""
    lead = lead_of(problem)
    if lead is Lead.STOP_KEY:
        budget.stop_for_key(problem.sentence, problem.next_step, now=now)
    elif lead is Lead.STOP_QUOTA:
        budget.stop_for_quota(problem.sentence, problem.next_step, now=now)
    elif lead is Lead.SLOW_DOWN:
        budget.slow_down(now=now, wait=problem.retry_after)
    elif lead is Lead.RETRY:
        _sound(SILENT, "The supply point service gives no usable answer", problem, now)
    elif isinstance(problem, Unexpected):
        _sound(ODD, "The supply point service’s reply is not what it promises", problem, now)


def _sound(key: str, title: str, problem: Outcome, now: datetime) -> None:
    alarms.sound(
        key,
        desk="gasquotes",
        title=title,
        text=problem.sentence,
        next_step=problem.next_step,
        now=now,
        lasting=key == SILENT,
    )


def customer_reason(problem: Outcome) -> str:
    """What the customer is told when it ends here; empty where it does not."""
    return problem.meaning.customer_reason if isinstance(problem, SaidNo) else ""


def answered(*, sent_at: datetime, now: datetime) -> None:
    """The service answers: what waited for it goes on, and alarms about it are over."""
    alarms.over(SILENT, now=now, quiet_for=QUIET)
    if budget.answered(sent_at=sent_at, now=now):
        go_on(now=now)


def go_on(*, now: datetime) -> None:
    """Bring forward what waits for the service: quotes and bulk runs."""
    for waiting in (LOOK_UP_QUEUE, BULK):
        waiting.rows().filter(claim=None, due_at__gt=now).update(due_at=now, rung_at=None)
