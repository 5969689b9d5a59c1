"""Writing down what a call to a party came to, in the transaction that records its result."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.models import PartnerCall
from core.outcomes import CallRecord, Kind
from core.workflow import PORTAL, Case


def record(call: CallRecord | None, *, case: Case | None = None) -> PartnerCall | None:
    """Keep one call with who made its case due; None (no call was made) keeps nothing."""
    if call is None:
        return None
    row: PartnerCall = PartnerCall.objects.create(**asdict(call), **_about(case), **_cause(case))
    return row


def record_many(
    made: Sequence[CallRecord], *, causes: Sequence[tuple[int | None, str]] = ()
) -> list[PartnerCall]:
    """Keep calls that belong to no case, in one statement; the rows come in the same order.

    `causes` are the key and name of who caused each; without them it was the portal.
    """
    who = causes or [(None, "")] * len(made)
    return PartnerCall.objects.bulk_create(
        PartnerCall(**vars(call), by_id=pk, by_name=name or PORTAL.name)
        for call, (pk, name) in zip(made, who, strict=True)
    )


def cut_off(
    *,
    party: str,
    operation: str,
    kind: Kind,
    started_at: datetime,
    what_now: str = "The call was made again.",
) -> CallRecord:
    """Say of an earlier attempt that it ended without a result because its worker stopped."""
    return CallRecord(
        party=party,
        operation=operation,
        kind=kind,
        started_at=started_at,
        duration_ms=None,
        outcome="cut off",
        problem=f"The worker stopped before it could record an answer. {what_now}",
    )


def record_cut_off(*, case: Case | None = None, **attempt: Any) -> None:
    """Keep that an earlier attempt (as `cut_off` takes it) ended because its worker stopped."""
    record(cut_off(**attempt), case=case)


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
