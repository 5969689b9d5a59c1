"""The Supply Point Quantities API: one supply point by MPRN or address, read only.

Reads the body before the status; a code becomes an outcome with its meaning in plain English. The
key travels in the header `APIKey` and is never kept. Retries and limits are not its business.
"""

from dataclasses import dataclass, replace
from typing import Self

from django.conf import settings

from core.http import Operation, Party, Reply, Session, without
from core.outcomes import CallRecord, Kind, Outcome, Refused, Unavailable, Unexpected
from gasquotes import codes, messages
from gasquotes.codes import Lead, Meaning
from gasquotes.messages import Filter, NotPromised, Said, SupplyPoint

NAME = "Supply point quantities"
QUANTITIES = Operation(
    name="Shipper.svc",
    kind=Kind.READ,
    method="GET",
    path=messages.PATH,
    keep_reply=frozenset(
        {*messages.FIELDS, "faultstring", "errorcode", "statusCode", "status", "message"}
    ),
)


@dataclass(frozen=True)
class Answer:
    """The one record of a positive response, and the reply as it came without our key."""

    point: SupplyPoint
    raw: str
    call: CallRecord


class SaidNo(Refused):
    """They said no with a code; `meaning` tells what follows."""

    meaning: Meaning


class NotNow(Unavailable):
    """They cannot answer now, or we are too fast; `meaning` tells which."""

    meaning: Meaning


class SupplyPoints:
    """The service that knows the quantities of every gas supply point; one object a thread."""

    def __init__(self, party: Party | None = None) -> None:
        self._party = party or self._from_settings()
        self._session = Session(self._party)

    @staticmethod
    def _from_settings() -> Party:
        return Party(
            name=NAME,
            base_url=settings.GASQUOTES_API_URL,
            secret_headers={"APIKey": settings.GASQUOTES_API_KEY},
            read_timeout=settings.GASQUOTES_READ_TIMEOUT,
            deadline=settings.GASQUOTES_DEADLINE,
        )

    def quantities(self, asked: Filter) -> Answer:
        """Look one supply point up ("Input Parameters", "Output Parameters").

        Raises `SaidNo` (a code that ends it; or our own check, nothing sent), `NotNow` and
        `Unavailable` (may be tried again), `Unexpected`.
        """
        try:
            query = messages.build_query(asked)
        except messages.NotAllowed as problem:
            raise self._not_sent(problem) from problem
        reply = self._session.call(QUANTITIES, query=query)
        try:
            found = messages.parse_reply(reply.status, reply.body, asked)
        except NotPromised as problem:
            raise _unexpected(reply, problem.reason) from problem
        if isinstance(found, Said):
            raise _outcome(reply, found)
        raw = without(reply.body.decode("utf-8", "replace"), self._party.secret_headers.values())
        return Answer(found, raw, reply.call)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _not_sent(problem: messages.NotAllowed) -> SaidNo:
        """What the specification would refuse never leaves: it is what e001 says."""
        meaning = codes.MEANINGS["e001"]
        sentence = "Not sent. " + " ".join(problem.problems.values())
        refusal = SaidNo(sentence, next_step=meaning.next_step, code=meaning.code)
        refusal.meaning = meaning
        return refusal


def _outcome(reply: Reply, said: Said) -> Outcome:
    """Choose the outcome of a reply without a record ("Error Codes and Descriptions")."""
    meaning = codes.meaning(said)
    if meaning.lead is Lead.REVIEW and meaning.code not in codes.MEANINGS:
        return _unexpected(reply, meaning.sentence)
    outcome: SaidNo | NotNow
    kind = NotNow if meaning.retry else SaidNo
    outcome = kind(
        meaning.sentence,
        next_step=meaning.next_step,
        code=meaning.code,
        call=replace(reply.call, outcome=kind.name, problem=meaning.sentence),
        retry_after=reply.retry_after(),
    )
    outcome.meaning = meaning
    return outcome


def _unexpected(reply: Reply, reason: str) -> Unexpected:
    sentence = f"The supply point service’s reply is not what it promises: {reason}"
    call = replace(reply.call, outcome=Unexpected.name, problem=sentence)
    return Unexpected(sentence, call=call, next_step="Tell the service’s helpdesk; it is kept.")
