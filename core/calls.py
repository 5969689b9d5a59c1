"""Writing down what a call to a party came to, in the transaction that records its result."""

from dataclasses import asdict
from datetime import datetime

from core.models import PartnerCall
from core.outcomes import CallRecord, Kind
from core.workflow import PORTAL, Case

CUT_OFF = "The worker stopped before it could record an answer. "


def record(call: CallRecord | None, *, case: Case | None = None) -> None:
    """Keep one call with who made its case due; None (no call was made) keeps nothing."""
    if call is not None:
        PartnerCall.objects.create(**asdict(call), **_about(case), **_cause(case))


def record_cut_off(
    *,
    party: str,
    operation: str,
    kind: Kind,
    started_at: datetime,
    case: Case | None = None,
    what_now: str = "The call was made again.",
) -> None:
    """Keep that an earlier attempt ended without a result because its worker stopped."""
    PartnerCall.objects.create(
        party=party,
        operation=operation,
        kind=kind,
        started_at=started_at,
        outcome="cut off",
        problem=CUT_OFF + what_now,
        **_about(case),
        **_cause(case),
    )


def _cause(case: Case | None) -> dict[str, object]:
    if case is None or not case.caused_by_name:
        return {"by_name": PORTAL.name}
    return {"by_id": case.caused_by_id, "by_name": case.caused_by_name}


def _about(case: Case | None) -> dict[str, object]:
    if case is None:
        return {}
    return {
        "case_label": case.case_label,
        "case_id": case.pk,
        "reference": case.reference,
    }
