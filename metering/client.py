"""The meter communications service, request side: collect, cancel, look up, and its own status.

Not the certification scheme of the export tariff desk, although both are called MCS. Passwords
leave in the body of a request and come back echoed; neither is ever kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from django.conf import settings

from core.http import Operation, Party, Reply, Session, without
from core.outcomes import CallRecord, Kind, Outcome, Refused, Unavailable, Unexpected
from metering import messages
from metering.messages import CollectionRequest, NotPromised, ServiceStatus

NAME = "Meter communications"
_REQUEST_KEYS = frozenset(
    {
        "requestReference",
        "mpan",
        "priority",
        "delayUntil",
        "meterType",
        "remoteAddress",
        "comsSettings",
        "outstationAddress",
        "serialNumber",
        "surveyDays",
        "surveyDate",
        "adjustTime",
    }
)
_REPLY_KEYS = frozenset({"requestReference", "details", "version", "status"})
_RESULT_KEYS = (
    _REQUEST_KEYS
    | _REPLY_KEYS
    | frozenset(
        {
            "result",
            "resultSummary",
            "collectionStartTime",
            "collectionEndTime",
            "connectionStartTime",
            "connectionEndTime",
            "meterTime",
            "timeAdjustmentResult",
        }
    )
)
COLLECT = Operation(
    name="collection-request",
    kind=Kind.REPEATABLE,
    method="POST",
    path="/collection-request",
    keep_request=_REQUEST_KEYS,
    keep_reply=_REPLY_KEYS,
)
CANCEL = Operation(
    name="collection-cancel",
    kind=Kind.REPEATABLE,
    method="DELETE",
    path="/collection-cancel",
    keep_request=_REQUEST_KEYS,
    keep_reply=_REPLY_KEYS,
)
STATUS = Operation(
    name="collection-status",
    kind=Kind.READ,
    method="GET",
    path="/collection-status",
    keep_reply=_RESULT_KEYS,
)
SERVICE = Operation(
    name="service-status",
    kind=Kind.READ,
    method="GET",
    path="/service-status",
    keep_reply=_REPLY_KEYS,
)


@dataclass(frozen=True)
class Accepted:
    """The service has taken our request or our cancellation."""

    call: CallRecord


@dataclass(frozen=True)
class Found:
    """What the service holds under a reference: a result document as it came, or None."""

    body: bytes | None
    call: CallRecord


@dataclass(frozen=True)
class Alive:
    """The service's own status."""

    status: ServiceStatus
    call: CallRecord


class MeterCommunications:
    """The service that talks to meters for us."""

    def __init__(self, party: Party | None = None) -> None:
        self._session = Session(party or self._from_settings())

    @staticmethod
    def _from_settings() -> Party:
        return Party(
            name=NAME, base_url=settings.METERING_API_URL, reply_limit=settings.METERING_BODY_LIMIT
        )

    def request_collection(self, asked: CollectionRequest) -> Accepted:
        """Ask for one collection ("Data Collection Request method").

        Raises `Refused` (400, with their sentence; or our own check, nothing sent), `Unavailable`
        (429, 500, not sent), `LookUpFirst` (the answer was lost), `Unexpected`.
        """
        try:
            body = messages.collection_request(asked)
        except messages.NotAllowed as problem:
            step = "Correct the meter's particulars, then ask again."
            raise Refused(f"Not sent. {problem}", next_step=step) from problem
        reply = self._session.call(COLLECT, body=body)
        return self._acknowledged(reply, asked.request_reference, secrets=secrets_of(asked))

    def cancel_collection(self, reference: str) -> Accepted:
        """Take a request back ("Data Collection Cancel method"); it may run all the same."""
        reply = self._session.call(CANCEL, body=messages.collection_cancel(reference))
        return self._acknowledged(reply, reference)

    def find_collection(self, reference: str) -> Found:
        """Look a request up ("Data Collection Status method"); 404 is "no such request".

        Raises `Unavailable`, and `Unexpected` for a document that is none or about another request.
        """
        reply = self._session.call(STATUS, query=messages.collection_status(reference))
        if reply.status == 404:
            return Found(None, reply.call)
        if reply.status != 200:
            raise _outcome(reply)
        try:
            messages.read_acknowledgement(reply.body, reference)
        except NotPromised as problem:
            raise _unexpected(reply, problem.reason) from problem
        return Found(reply.body, reply.call)

    def service_status(self) -> Alive:
        """Ask whether the service itself works ("Service Status method")."""
        reply = self._session.call(SERVICE)
        if reply.status != 200:
            raise _outcome(reply)
        try:
            return Alive(messages.read_service_status(reply.body), reply.call)
        except NotPromised as problem:
            raise _unexpected(reply, problem.reason) from problem

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _acknowledged(
        self, reply: Reply, reference: str, *, secrets: Sequence[str] = ()
    ) -> Accepted:
        if reply.status != 200:
            raise _outcome(reply, secrets)
        try:
            messages.read_acknowledgement(reply.body, reference)
        except NotPromised as problem:
            raise _unexpected(reply, problem.reason) from problem
        return Accepted(reply.call)


def secrets_of(asked: CollectionRequest) -> list[str]:
    """List what a request holds that no sentence about it may show: password, results' token."""
    return [asked.password, asked.response_url.rpartition("/")[2]]


def _outcome(reply: Reply, secrets: Sequence[str] = ()) -> Outcome:
    """Choose the outcome of a reply that is not 200 ("Response codes")."""
    details = without(messages.read_details(messages.without_password(reply.body)), secrets)
    if reply.status in (400, 404):
        sentence = details or f"The service refused the request (HTTP {reply.status})."
        call = replace(reply.call, outcome=Refused.name, problem=sentence)
        step = "Correct the meter's particulars, then ask again."
        return Refused(sentence, code=str(reply.status), call=call, next_step=step)
    if reply.status == 429 or reply.status >= 500:
        sentence = f"The meter communications service cannot work now (HTTP {reply.status})."
        call = replace(reply.call, outcome=Unavailable.name, problem=sentence)
        step = "The portal tries again by itself."
        return Unavailable(sentence, call=call, next_step=step, retry_after=reply.retry_after())
    return _unexpected(reply, f"HTTP {reply.status} is no answer that it promises.")


def _unexpected(reply: Reply, reason: str) -> Unexpected:
    sentence = f"The meter communications service’s reply is not what it promises: {reason}"
    call = replace(reply.call, outcome=Unexpected.name, problem=sentence)
    return Unexpected(sentence, call=call, next_step="Tell the service’s helpdesk.")
