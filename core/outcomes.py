"""What a call to an outside party can come to: every outcome is a decision somebody must make.

Plain Python: clients raise these, actions decide on them. Nothing here knows a party.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """How often an operation may be repeated, which decides what a lost answer means."""

    READ = "read"
    REPEATABLE = "repeatable"
    ONCE = "once"


@dataclass(frozen=True)
class CallRecord:
    """One call as it may be kept: secrets are gone already. Durations in milliseconds."""

    party: str
    operation: str
    kind: Kind
    started_at: datetime
    duration_ms: int | None
    outcome: str
    problem: str = ""
    http_status: int | None = None
    request_line: str = ""
    request_headers: dict[str, str] = field(default_factory=dict)
    request_body: str = ""
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply_body: str = ""
    reply_unread: str = ""
    reply_size: int = 0
    reply_sha256: str = ""


class Outcome(Exception):
    """A call that did not end with what was asked for.

    `sentence` says in plain English what happened, `next_step` what to do about it, `code` is the
    party's own code, `call` the record of the call where one was made.
    """

    name = "outcome"

    def __init__(
        self,
        sentence: str,
        *,
        next_step: str = "",
        code: str = "",
        call: CallRecord | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next_step = next_step
        self.code = code
        self.call = call
        self.retry_after = retry_after


class Refused(Outcome):
    """The party said no, in words its specification promises."""

    name = "refused"


class Unavailable(Outcome):
    """Nothing was decided; trying again is safe. `sent` is False when it surely never left."""

    name = "unavailable"

    def __init__(self, sentence: str, *, sent: bool = True, **rest: object) -> None:
        super().__init__(sentence, **rest)  # type: ignore[arg-type]
        self.sent = sent


class LookUpFirst(Unavailable):
    """A repeatable call whose answer was lost: ask the party what it has before trying again."""

    name = "look up first"


class Unexpected(Outcome):
    """Not what the party's specification promises: neither a yes nor a no. Kept, and an alarm."""

    name = "unexpected"


class Unknown(Outcome):
    """It may have happened. Looked up, or settled by a named person; never sent again by itself."""

    name = "unknown"


def lost(
    kind: Kind, sentence: str, *, call: CallRecord, retry_after: float | None = None
) -> Outcome:
    """Choose the outcome of a call whose answer is missing after it may have been sent."""
    if kind is Kind.ONCE:
        return Unknown(
            sentence,
            call=call,
            next_step="Ask the party whether it arrived; it is not sent again.",
        )
    outcome = LookUpFirst if kind is Kind.REPEATABLE else Unavailable
    return outcome(
        sentence,
        call=call,
        retry_after=retry_after,
        next_step="The portal tries again by itself.",
    )
