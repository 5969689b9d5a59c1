"""What the Supply Point Quantities API says instead of a record, in plain English.

Every code of "Error Codes and Descriptions" with its meaning, the next step and whether to ask
again. Plain Python; repeats nothing and decides nothing by itself.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from gasquotes import messages
from gasquotes.messages import Said

_QUOTED = 140  # of their words: a case says in 300 characters why it stands where it does


class Lead(StrEnum):
    """Where an answer without a record leads."""

    ADDRESS = "address"
    REFUSED = "refused"
    REVIEW = "review"
    STOP_KEY = "stop_key"
    STOP_QUOTA = "stop_quota"
    SLOW_DOWN = "slow_down"
    RETRY = "retry"


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """A code in plain English: `sentence` and `next_step` for staff, a reason for the customer.

    `customer_reason` is empty unless the enquiry ends with it.
    """

    code: str
    title: str
    sentence: str
    next_step: str
    lead: Lead
    customer_reason: str = ""

    @property
    def retry(self) -> bool:
        """Whether the same look-up may be sent again by itself."""
        return self.lead in {Lead.SLOW_DOWN, Lead.RETRY}


def _refused(code: str, title: str, what: str, why: str) -> Meaning:
    return Meaning(
        code=code,
        title=title,
        sentence=f"The service holds this supply point as {what} and does not give its quantities.",
        next_step="The enquiry is closed. Tell the customer the reason; asking again changes "
        "nothing until the meter point is registered differently.",
        lead=Lead.REFUSED,
        customer_reason=why,
    )


def _incomplete(code: str) -> Meaning:
    return Meaning(
        code=code,
        title="Our access is not complete",
        sentence="The service has not finished setting up our access (it calls this “application "
        f"creation”, part {code.rpartition('.')[2]}).",
        next_step="Report it to the service’s administrator with this code. Look-ups wait "
        "until somebody switches them on again.",
        lead=Lead.STOP_KEY,
    )


def _wrong_key(code: str) -> Meaning:
    return Meaning(
        code=code,
        title="Our key is not accepted",
        sentence="The service does not accept our API key. This says nothing about the customer.",
        next_step="Check GASQUOTES_API_KEY with the service’s administrator. Look-ups wait "
        "until somebody switches them on again.",
        lead=Lead.STOP_KEY,
    )


_MEANINGS: Final = (
    Meaning(
        code="400",
        title="Not accepted",
        sentence="The service refused the look-up without saying why (HTTP 400).",
        next_step="Compare what was asked with the gas bill, correct it and look up again.",
        lead=Lead.REVIEW,
    ),
    Meaning(
        code="steps.regexprotection.ThreatDetected",
        title="Taken for an attack",
        sentence="The service’s protection took something in the look-up for an attack.",
        next_step="Look for signs that no address has, such as quotation marks or brackets, "
        "remove them and look up again. It is not sent again as it stands.",
        lead=Lead.REVIEW,
    ),
    _wrong_key(messages.KEY),
    _wrong_key(messages.INVALID_KEY),
    *(_incomplete(f"policies.custom.config.{part}") for part in (1, 2, 3)),
    Meaning(
        code=messages.SPIKE,
        title="Too fast",
        sentence="We asked faster than the service allows in a minute.",
        next_step="Nothing to do: the portal slows down and asks again.",
        lead=Lead.SLOW_DOWN,
    ),
    Meaning(
        code=messages.QUOTA,
        title="This month’s look-ups are used up",
        sentence="The service says that our look-ups for this month are used up.",
        next_step="Look-ups go on next month. For more of them now, ask the service to "
        "raise our quota; then somebody switches look-ups on again.",
        lead=Lead.STOP_QUOTA,
    ),
    Meaning(
        code="e001",
        title="Nothing was asked",
        sentence="The service received neither an MPRN nor a postcode.",
        next_step="Write the MPRN, or the full postcode with the house number.",
        lead=Lead.ADDRESS,
    ),
    _refused(
        "e002",
        "Twin stream meter",
        "a twin stream meter",
        "Your gas supply has a twin stream meter, two meters side by side for one supply. "
        "We are not allowed to see how much gas it uses, so we cannot quote for it.",
    ),
    _refused(
        "e003",
        "Shared supply",
        "a shared supply",
        "Your gas meter is on a shared supply, one that serves more than one meter point. "
        "We are not allowed to see how much gas it uses, so we cannot quote for it.",
    ),
    _refused(
        "e004",
        "Twin stream meter on a shared supply",
        "a twin stream meter on a shared supply",
        "Your gas supply has a twin stream meter and is shared with other meter points. "
        "We are not allowed to see how much gas it uses, so we cannot quote for it.",
    ),
    _refused(
        "e005",
        "Extinct meter point",
        "extinct",
        "The meter point at this address is recorded as extinct: the gas supply was "
        "taken out for good. We cannot quote for it. If there is gas, your network operator, "
        "whose number is on the gas bill, can correct the record.",
    ),
    _refused(
        "e006",
        "Non-domestic meter",
        "non-domestic",
        "The meter at this address is recorded as non-domestic. We are not allowed to see "
        "how much gas it uses, so we cannot quote for it. If it serves a home, the present "
        "supplier can have the record corrected.",
    ),
    Meaning(
        code="e007",
        title="MPRN not found",
        sentence="The service knows no supply point with this MPRN.",
        next_step="Compare the MPRN with the gas bill, or look up by the address instead.",
        lead=Lead.REVIEW,
    ),
    Meaning(
        code="e008",
        title="More than one record",
        sentence="The service holds more than one record for this MPRN and gives none of them.",
        next_step="Look up by the address instead: the full postcode and the house number.",
        lead=Lead.ADDRESS,
    ),
    Meaning(
        code="e009",
        title="More than one meter point fits",
        sentence="More than one meter point fits this address.",
        next_step="Add what tells them apart: the house number, the flat or unit, the street.",
        lead=Lead.ADDRESS,
    ),
    Meaning(
        code="e010",
        title="Fault at the service",
        sentence="The service had a fault of its own.",
        next_step="Nothing to do: the portal asks again. After the last try a person decides.",
        lead=Lead.RETRY,
    ),
    Meaning(
        code="e011",
        title="No meter point found",
        sentence="The service finds no meter point at this address.",
        next_step="Check three things: there is a gas meter at this address; the postcode is "
        "complete; house number and street are written as on the gas bill. Or use the MPRN.",
        lead=Lead.ADDRESS,
    ),
)
MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType({each.code: each for each in _MEANINGS})


def meaning(said: Said) -> Meaning:
    """Say what an answer without a record means; what nobody knows goes to a person.

    A documented code decides; only without any code does the HTTP status.
    """
    if said.code in MEANINGS:
        return MEANINGS[said.code]
    return _foreign(said) if said.code else _by_status(said)


def _foreign(said: Said) -> Meaning:
    if said.status in {401, 403}:
        return _wrong_key(said.code)
    words = f" Its words: “{said.text[:_QUOTED]}”" if said.text else ""
    return Meaning(
        code=said.code,
        title="An unknown code",
        sentence=f"The service answered with a code that its specification does not list: "
        f"{said.code}.{words}",
        next_step="Ask the service’s administrator what it means. It is neither a yes nor a no.",
        lead=Lead.REVIEW,
    )


def _by_status(said: Said) -> Meaning:
    status = said.status
    if status == 400:
        return MEANINGS["400"]
    if status in {401, 403}:
        return _wrong_key(str(status))
    if status == 404:
        return _wrong_address()
    if status == 429:
        return msgspec.structs.replace(MEANINGS[messages.SPIKE], code="429")
    if status == 408 or status >= 500:
        return _fault(status)
    return _foreign(msgspec.structs.replace(said, code=f"HTTP {status}"))


def _wrong_address() -> Meaning:
    return Meaning(
        code="404",
        title="The service’s address is wrong",
        sentence="The service does not know the address that we call (HTTP 404).",
        next_step="Check GASQUOTES_API_URL. Look-ups wait until somebody switches them on again.",
        lead=Lead.STOP_KEY,
    )


def _fault(status: int) -> Meaning:
    return Meaning(
        code=str(status),
        title="The service cannot answer",
        sentence=f"The service cannot answer now (HTTP {status}).",
        next_step="Nothing to do: the portal asks again. After the last try a person decides.",
        lead=Lead.RETRY,
    )
