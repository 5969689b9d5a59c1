"""The market message service (Safe Isolation Provider API, version 4): its one operation, once.

It has no idempotency key and nothing can be looked up: a message is written to a fresh connection
once, and whatever leaves its fate open is Unknown. No body is kept in the log of calls.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Self

from django.conf import settings

from core.http import Operation, Party, Reply, Session, without
from core.outcomes import CallRecord, Kind, Outcome, Refused, Unavailable, Unknown
from sip.messages import Acceptance, NotPromised, Refusal, read_acceptance, read_refusal

NAME = "Market messages"
SEND_MESSAGE = Operation(
    name="sip",
    kind=Kind.ONCE,
    method="POST",
    path="/v4/sip",
    keep_reply=frozenset(
        {
            *("status", "Status", "code", "scenario", "scenario_id", "scenarioId", "Scenario"),
            *("Scenario ID", "request_id", "requestId", "requestID", "Request ID", "Request I.D"),
        }
    ),
)
ASK_THEM = "Ask the party whether they have it; it is not sent again."
_NOT_ACCEPTED = range(400, 500)
_KEY_REFUSED = (401, 403)


class KeyRefused(Unavailable):
    """They do not take our key (401, 403): not accepted, and no other message would be."""

    name = "key refused"


class NotAccepted(Refused):
    """They refused the message; `refusal` is what they wrote, which may repeat private answers."""

    def __init__(self, sentence: str, *, refusal: Refusal, **rest: object) -> None:
        super().__init__(sentence, **rest)  # type: ignore[arg-type]
        self.refusal = refusal


class Lost(Unknown):
    """A reply came that leaves the fate of the message open; `text` is what it said."""

    def __init__(self, sentence: str, *, text: str, **rest: object) -> None:
        super().__init__(sentence, **rest)  # type: ignore[arg-type]
        self.text = text


@dataclass(frozen=True)
class Accepted:
    """They have taken the message. `text` is the whole reply."""

    acceptance: Acceptance
    text: str
    call: CallRecord


class MarketMessages:
    """The service that turns a site visit into market messages."""

    def __init__(self, party: Party | None = None) -> None:
        self._session = Session(party or self._from_settings())

    @staticmethod
    def _from_settings() -> Party:
        key = f"{settings.SIP_API_KEY_SCHEME} {settings.SIP_API_KEY}".strip()
        return Party(
            name=NAME,
            base_url=settings.SIP_API_URL,
            secret_headers={settings.SIP_API_KEY_HEADER: key},
            read_timeout=settings.SIP_READ_TIMEOUT,
            deadline=settings.SIP_DEADLINE,
        )

    def send(self, body: bytes, *, job_id: str, private: Sequence[str]) -> Accepted:
        """Send one message ("POST /v4/sip"), once. `private` texts are taken out of the log.

        Raises `NotAccepted` (4xx), `KeyRefused` (401, 403), `Unavailable` (surely not sent, or
        429: safe to try again), `Unknown` and `Lost` (anything that leaves it open).
        """
        hidden = [settings.SIP_API_KEY, *private]
        try:
            reply = self._session.call(SEND_MESSAGE, body=body)
        except Outcome as problem:
            problem.call = problem.call and _for_the_log(problem.call, body, job_id, hidden)
            raise
        reply = replace(reply, call=_for_the_log(reply.call, body, job_id, hidden))
        return _decide(reply)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _for_the_log(call: CallRecord, body: bytes, job_id: str, hidden: Sequence[str]) -> CallRecord:
    """Keep of a call which job it was about and what weighed how much, and no word of a person."""
    request = {"job_id": job_id, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return replace(
        call,
        request_body=json.dumps(request, indent=1),
        reply_body=without(call.reply_body, hidden),
        reply_unread="",
        problem=without(call.problem, hidden),
    )


def _decide(reply: Reply) -> Accepted:
    """Read the body first: what they wrote may contradict the status, and then it is neither."""
    text = read_refusal(reply.body).text
    try:
        acceptance = read_acceptance(reply.body)
    except NotPromised as problem:
        if 200 <= reply.status < 300:
            _lose(reply, f"Their answer is not what they promise. {problem.reason}", text)
        _refuse(reply, text)
    if not 200 <= reply.status < 300:
        _lose(reply, f"They said yes and HTTP {reply.status} at once, which cannot both be.", text)
    call = replace(reply.call, outcome="answered")
    return Accepted(acceptance, text, call)


def _refuse(reply: Reply, text: str) -> NoReturn:
    """Choose the outcome of a reply that is no acceptance, by its status."""
    if reply.status == 429:
        sentence = "They take no more messages for now (HTTP 429). It was not accepted."
        call = replace(reply.call, outcome=Unavailable.name, problem=sentence)
        step = "The portal tries again by itself."
        raise Unavailable(sentence, call=call, next_step=step, retry_after=reply.retry_after())
    if reply.status in _KEY_REFUSED:
        sentence = f"They do not take our key (HTTP {reply.status}). It was not accepted."
        call = replace(reply.call, outcome=KeyRefused.name, problem=sentence)
        step = "Check SIP_API_KEY with the party, then say on this desk that it is fixed."
        raise KeyRefused(sentence, call=call, next_step=step, code=str(reply.status))
    if reply.status in _NOT_ACCEPTED and reply.status != 408:
        sentence = f"They refused the message (HTTP {reply.status})."
        call = replace(reply.call, outcome=Refused.name, problem=sentence)
        step = "Correct the worksheet, then check and send it again."
        refusal = read_refusal(reply.body)
        raise NotAccepted(
            sentence, refusal=refusal, call=call, next_step=step, code=str(reply.status)
        )
    _lose(reply, f"They answered with HTTP {reply.status}, which leaves it open.", text)


def _lose(reply: Reply, sentence: str, text: str) -> NoReturn:
    call = replace(reply.call, outcome=Unknown.name, problem=sentence)
    raise Lost(sentence, text=text, call=call, next_step=ASK_THEM)
