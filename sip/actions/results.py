"""What one try to send came to, and which move of the job that means."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core import queue
from core.outcomes import CallRecord
from sip import rules
from sip.actions.shared import Sent
from sip.messages import Acceptance
from sip.models import Attempt, Job


@dataclass(frozen=True)
class Taken:
    """A claimed job with the attempt that is now being made."""

    claim: queue.Claim
    job: Job
    attempt: Attempt


@dataclass(frozen=True)
class Result:
    """What one try came to, as it is recorded; texts are without private answers."""

    outcome: Attempt.Outcome
    sentence: str
    next_step: str = ""
    call: CallRecord | None = None
    acceptance: Acceptance | None = None
    text: str = field(default="", repr=False)
    details: Sequence[rules.Placed] = field(default=(), repr=False)
    retry_after: float | None = None
    key_status: int = 0

    def columns(self) -> dict[str, Any]:
        """The columns of the attempt that it fills."""
        said = self.acceptance
        return {
            "sentence": self.sentence[:500],
            "next_step": self.next_step[:500],
            "http_status": self.call.http_status if self.call else None,
            "reply": self.text,
            "details": [
                {"text": each.text, "path": each.path, "block": each.block, "field": each.field}
                for each in self.details
            ],
            **(theirs(said) if said else {}),
        }


def theirs(said: Acceptance) -> dict[str, str]:
    """The columns of what they said when they accepted, cut to their lengths."""
    return {
        "their_status": said.status[:200],
        "their_message": said.message[:1000],
        "their_reference": said.request_id[:200],
        "scenario": said.scenario[:200],
    }


def consequence(job: Job, result: Result, now: datetime) -> tuple[str, str, dict[str, Any]]:
    """Name the move that a result means, why the job is there then, and what else is written."""
    if result.acceptance is not None:
        return "accept", result.sentence, {**theirs(result.acceptance), "accepted_at": now}
    if result.outcome is Sent.REFUSED:
        why = rules.attempt_sentence(len(result.details))
        return "refuse", why, {"refusals": job.refusals + 1}
    if result.outcome is Sent.UNKNOWN:
        return "lose", f"{result.sentence} Nothing is sent again by itself.", {}
    return "give_up", f"Surely not sent. {result.sentence}", {}
