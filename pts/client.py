"""MassCEC's Production Tracking System (PTS Monthly Automated Reporting): its five operations.

The key travels in a header and in the body; both are removed from everything that is kept. A 400 is
"Bad API Key", our configuration. An `Error` of one system stays with that system.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from django.conf import settings

from core.http import REMOVED, Known, Operation, Party, Reply, Session
from core.outcomes import (
    CallRecord,
    Kind,
    LookUpFirst,
    Outcome,
    Refused,
    Unavailable,
    Unexpected,
)
from pts import messages
from pts.messages import LastReading, Line, Listed, NotPromised, Standing, System

NAME = "Production tracking"
_KEPT = frozenset(
    {
        "fk_system",
        "SystemID",
        "SystemName",
        "capacity",
        "MeterValue",
        "MeterDate",
        "DateTimeReported",
        "PeriodEndDate",
        "EnergyProduced",
        "IsEstimated",
        "Notes",
        "ValidationNotes",
        "ValidationStatus",
        "Error",
    }
)


def _operation(name: str, kind: Kind, method: str) -> Operation:
    return Operation(
        name=name, kind=kind, method=method, path=f"/{name}", keep_request=_KEPT, keep_reply=_KEPT
    )


GET_SYSTEMS = _operation("GetSystems", Kind.READ, "GET")
POST_SYSTEMS = _operation("GetSystems", Kind.READ, "POST")
GET_LAST_READING = _operation("GetLastReading", Kind.READ, "GET")
POST_LAST_READING = _operation("GetLastReading", Kind.READ, "POST")
AR_POST_TEST = _operation("ARPostTest", Kind.READ, "POST")  # saves nothing: a repeat harms nobody
AR_POST = _operation("ARPost", Kind.REPEATABLE, "POST")
GET_SUBMISSION_STATUS = _operation("GetSubmissionStatus", Kind.READ, "GET")

KEPT_LINES = 200  # of a body in the record of its call; the batch has them all
LONGEST_QUERY = 50  # keys in an address; more go in a body
BAD_KEY = (
    "The production tracking system does not accept our key (400 Bad API Key).",
    "Check PTS_API_KEY and PTS_SUBSCRIPTION_KEY with pts@masscec.com. Everything waits meanwhile.",
)
NO_SUCH_CALL = (
    "The production tracking system does not know the address we call (404).",
    "Check PTS_API_URL. Everything waits meanwhile.",
)
OUR_FAULT = {"400": BAD_KEY, "401": BAD_KEY, "403": BAD_KEY, "404": NO_SUCH_CALL}
BAD_REQUEST = (
    "The production tracking system does not understand what we sent (400 Bad Request).",
    "Nothing was received. Tell whoever looks after this portal; the call is kept.",
)

Item = TypeVar("Item")
Read = TypeVar("Read")


@dataclass(frozen=True)
class Answer(Generic[Item]):
    """A reply's items, what in it could not be read, and the record of the call."""

    items: tuple[Item, ...]
    odd: tuple[messages.Odd, ...]
    call: CallRecord


@dataclass(frozen=True)
class Receipt:
    """“Received Data”: the error of each system that the reply names, and the record."""

    errors: dict[int, str]
    call: CallRecord


class ProductionTracking:
    """The system that MassCEC keeps solar production in."""

    def __init__(self, party: Party | None = None) -> None:
        self._session = Session(party or self._from_settings())
        self._key: str = settings.PTS_API_KEY

    @staticmethod
    def _from_settings() -> Party:
        return Party(
            name=NAME,
            base_url=settings.PTS_API_URL,
            secret_headers={"Ocp-Apim-Subscription-Key": settings.PTS_SUBSCRIPTION_KEY},
            headers={"Ocp-Apim-Trace": "true"},
            reply_limit=16 * 1024 * 1024,
        )

    def get_systems(self, keys: Collection[int] = ()) -> Answer[System]:
        """Read our active systems, all or these (operation 1). Raises as `_ask`."""
        return self._by_keys(GET_SYSTEMS, POST_SYSTEMS, keys, messages.read_systems)

    def get_last_readings(self, keys: Collection[int] = ()) -> Answer[LastReading]:
        """Read the last known readings, of all systems or these (operation 2). Raises as `_ask`."""
        return self._by_keys(GET_LAST_READING, POST_LAST_READING, keys, messages.read_last_readings)

    def get_submission_status(self, keys: Collection[int]) -> Answer[Standing]:
        """Read how this window's submissions stand (operation 5: a GET with a body)."""
        body = messages.systems_body(keys)
        listed, call = self._ask(GET_SUBMISSION_STATUS, messages.read_standings, body=body)
        return Answer(listed.items, listed.odd, call)

    def post_test(self, lines: Sequence[Line], *, notes: str) -> Receipt:
        """Have a submission validated without being saved (operation 3). Raises as `_ask`."""
        return self._post(AR_POST_TEST, lines, notes)

    def post(self, lines: Sequence[Line], *, notes: str) -> Receipt:
        """Submit (operation 4). Raises as `_ask`, and `LookUpFirst` when the answer was lost."""
        return self._post(AR_POST, lines, notes)

    def _post(self, operation: Operation, lines: Sequence[Line], notes: str) -> Receipt:
        body = messages.post_body(lines, api_key=self._key, notes=notes)
        kept = messages.post_body(lines[:KEPT_LINES], api_key=REMOVED, notes=notes).decode()
        known = Known(kept, (self._key,))
        errors, call = self._ask(operation, messages.read_receipt, body=body, known=known)
        return Receipt(errors, call)

    def _by_keys(
        self,
        by_query: Operation,
        by_body: Operation,
        keys: Collection[int],
        read: Callable[[bytes], Listed[Item]],
    ) -> Answer[Item]:
        if len(keys) <= LONGEST_QUERY:
            listed, call = self._ask(by_query, read, query=messages.systems_query(keys))
        else:
            listed, call = self._ask(by_body, read, body=messages.systems_body(keys))
        return Answer(listed.items, listed.odd, call)

    def _ask(
        self,
        operation: Operation,
        read: Callable[[bytes], Read],
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        known: Known | None = None,
    ) -> tuple[Read, CallRecord]:
        """Make one call and read its reply.

        Raises `Refused` for a bad key (our configuration) or a body that is not understood,
        `Unavailable` for 5xx and network faults, `Unexpected` for what the specification does not
        promise; what says nothing about an ARPost that may have arrived is `LookUpFirst`.
        """
        reply = self._session.call(operation, query=query, body=body, known=known)
        if reply.status != 200:
            raise _outcome(operation, reply)
        try:
            return read(reply.body), reply.call
        except NotPromised as problem:
            raise _odd(operation, reply, problem.reason) from problem

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _outcome(operation: Operation, reply: Reply) -> Outcome:
    """Choose the outcome of a reply other than 200 ("Produces the following Http Results")."""
    code = "bad request" if _is_bad_request(operation, reply) else str(reply.status)
    if code == "bad request" or code in OUR_FAULT:
        sentence, next_step = OUR_FAULT.get(code, BAD_REQUEST)
        call = replace(reply.call, outcome=Refused.name, problem=sentence)
        return Refused(sentence, next_step=next_step, code=code, call=call)
    if reply.status == 429:
        return _silent(Unavailable, reply)
    if reply.status >= 500:
        return _silent(LookUpFirst if operation.kind is Kind.REPEATABLE else Unavailable, reply)
    return _odd(operation, reply, f"HTTP {reply.status} is not in its text")


def _is_bad_request(operation: Operation, reply: Reply) -> bool:
    """Whether a 400 is about this body, not about our key: its words first, then the text.

    "400 : Bad API Key" for every operation but ARPostTest, which has "400 : Bad Request".
    """
    words = reply.body[:1000].lower()
    if reply.status != 400 or b"key" in words:
        return False
    return b"bad request" in words or operation is AR_POST_TEST


def _silent(outcome: type[Unavailable], reply: Reply) -> Outcome:
    sentence = f"The production tracking system cannot answer now (HTTP {reply.status})."
    call = replace(reply.call, outcome=outcome.name, problem=sentence)
    return outcome(
        sentence,
        next_step="The portal goes on by itself.",
        call=call,
        retry_after=reply.retry_after(),
    )


def _odd(operation: Operation, reply: Reply, reason: str) -> Outcome:
    outcome = LookUpFirst if operation.kind is Kind.REPEATABLE else Unexpected
    sentence = f"The production tracking system’s reply is not what it promises: {reason}"
    call = replace(reply.call, outcome=outcome.name, problem=sentence)
    return outcome(sentence, next_step="Tell pts@masscec.com; the reply is kept.", call=call)
