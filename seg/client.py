"""The MCS installation registry (API guidance 1.1, 21 November 2019): its one read operation.

A 400 means "no installation with that number"; everything that is neither that nor a proper reply
is raised as an outcome and never becomes a yes or a no.
"""

from dataclasses import dataclass, replace
from typing import Self

from django.conf import settings

from core.http import Operation, Party, Reply, Session
from core.outcomes import CallRecord, Kind, Outcome, Refused, Unavailable, Unexpected
from seg.messages import Installation, NotPromised, read_reply

NAME = "Installation registry"
GET_INSTALLATION = Operation(
    name="GetInstallation",
    kind=Kind.READ,
    method="GET",
    path="/GetInstallation/{number}",
    keep_reply=frozenset(
        {
            "CertificateNumber",
            "CreatedDate",
            "CommissioningDate",
            "Technology",
            "Technology_Description",
            "AddressLine1",
            "AddressLine2",
            "AddressLine3",
            "County",
            "County_Description",
            "Postcode",
            "MPAN",
            "TotalCapacity",
            "EstimatedAnnualGeneration",
            "Status",
            "Status_Description",
            "GenerationMeterSerialNumber",
            "GenerationMeterReading",
            "DeclaredNetCapacity",
            "InstallationType",
            "InstallationType_Description",
            "DNONotificationCompliance",
            "DNONotificationCompliance_Description",
        }
    ),
)
OUR_FAULT = {
    401: (
        "The installation registry does not accept our user name and token (401 Unauthorised).",
        "Check SEG_API_USER and SEG_API_TOKEN with the MCS helpdesk. Applications wait meanwhile.",
    ),
    404: (
        "The installation registry does not know the address we call (404 Not Found).",
        "Check SEG_API_URL. Applications wait meanwhile.",
    ),
}


@dataclass(frozen=True)
class Answer:
    """What GetInstallation said: an installation, or None for "no such certificate"."""

    installation: Installation | None
    call: CallRecord


class InstallationRegistry:
    """The registry that holds every MCS certificate."""

    def __init__(self, party: Party | None = None) -> None:
        self._session = Session(party or self._from_settings())

    @staticmethod
    def _from_settings() -> Party:
        return Party(
            name=NAME,
            base_url=settings.SEG_API_URL,
            secret_headers={
                "User": settings.SEG_API_USER,
                "Authorisation": settings.SEG_API_TOKEN,
            },
            read_timeout=settings.SEG_READ_TIMEOUT,
            deadline=settings.SEG_DEADLINE,
        )

    def get_installation(self, number: str) -> Answer:
        """Read one certificate (GetInstallation/{#}).

        Raises `Refused` for 401 and 404 (our configuration), `Unavailable` for 429, 5xx and network
        faults, `Unexpected` for anything the specification does not promise.
        """
        reply = self._session.call(GET_INSTALLATION, path_values={"number": number})
        try:
            installation = read_reply(reply.status, reply.body, number)
        except NotPromised as problem:
            raise _outcome(reply, problem.reason) from problem
        return Answer(installation, reply.call)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _outcome(reply: Reply, reason: str) -> Outcome:
    """Choose the outcome of a reply that is neither an installation nor "no such number"."""
    if reply.status in OUR_FAULT:
        sentence, next_step = OUR_FAULT[reply.status]
        call = replace(reply.call, outcome=Refused.name, problem=sentence)
        return Refused(sentence, next_step=next_step, code=str(reply.status), call=call)
    if reply.status == 429 or reply.status >= 500:
        sentence = f"The installation registry cannot answer now (HTTP {reply.status})."
        call = replace(reply.call, outcome=Unavailable.name, problem=sentence)
        return Unavailable(
            sentence,
            next_step="The portal tries again by itself.",
            call=call,
            retry_after=reply.retry_after(),
        )
    sentence = f"The installation registry’s reply is not what it promises: {reason}"
    call = replace(reply.call, outcome=Unexpected.name, problem=sentence)
    return Unexpected(sentence, next_step="Tell the MCS helpdesk; the reply is kept.", call=call)
