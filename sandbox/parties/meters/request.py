"""What `collection-request` accepts: every parameter of its table, checked as the table says.

A refusal is a BadRequest whose text becomes `details`. Unknown properties are ignored; the
specification says nothing about them.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sandbox.exchange import BadRequest, Request
from sandbox.parties.meters.kinds import TYPES
from sandbox.posting import NotHere, address

# A national number with its 0; the specification's first sample has twelve digits.
TELEPHONE = re.compile(r"0[1-9][0-9]{8,10}")
PAKNET = re.compile(r"[0-9]{14}")
ENDPOINT = re.compile(r"([0-9.]+):([0-9]{1,5})")
COMS = re.compile(r"[5-8][NEOMS][12]")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
MOST_DAYS = 3660
USUAL_COMS = "8N1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One accepted request, with implicit values filled in (note 1 of the status table)."""

    reference: str
    mpan: str
    response_url: str
    priority: int
    delay_until: str
    meter_type: str
    remote_address: str
    coms_settings: str
    outstation: str
    serial: str
    password: str
    survey_days: int
    survey_date: str
    adjust_time: bool

    def stored(self) -> str:
        """Write it for the store."""
        return json.dumps(asdict(self))

    @property
    def due(self) -> float:
        """Give the moment from which it may be worked on, in seconds since 1970."""
        return moment_of(self.delay_until).timestamp() if self.delay_until else 0.0


def stored(text: str) -> Asked:
    """Read what `Asked.stored` wrote."""
    return Asked(**json.loads(text))


def body_of(request: Request) -> dict[str, Any]:
    """Read the JSON object of a request (Basics: JSON is the representation)."""
    if request.headers.get_content_type() != "application/json":
        raise BadRequest("The content type must be application/json")
    try:
        fields = json.loads(request.body)
        # Half a character, written as an escape, is JSON and yet no text.
        json.dumps(fields, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadRequest("The request is not valid JSON") from None
    if not isinstance(fields, dict):
        raise BadRequest("The request must be a JSON object")
    return fields


def reference_of(fields: Mapping[str, Any]) -> str:
    """Take the reference, mandatory in every method that has one."""
    return _text(fields, "requestReference", mandatory=True)


def asked(fields: Mapping[str, Any], today: date) -> Asked:
    """Check every parameter of the table; raises BadRequest with the first problem."""
    reference, mpan = reference_of(fields), _text(fields, "mpan", mandatory=True)
    where = _remote_address(fields)
    days = _whole(fields, "surveyDays", least=0, most=MOST_DAYS) or 0
    return Asked(
        reference=reference,
        mpan=mpan,
        response_url=_response_url(fields),
        priority=_priority(fields),
        delay_until=_delay_until(fields),
        meter_type=_meter_type(fields),
        remote_address=where,
        coms_settings=_coms_settings(fields, modem=bool(TELEPHONE.fullmatch(where))),
        outstation=_text(fields, "outstationAddress"),
        serial=_text(fields, "serialNumber"),
        password=_text(fields, "password"),
        survey_days=days,
        survey_date=_survey_date(fields, days, today),
        adjust_time=_flag(fields, "adjustTime"),
    )


def _text(fields: Mapping[str, Any], name: str, *, mandatory: bool = False) -> str:
    given = fields.get(name)
    if given is None or given == "":
        if mandatory:
            raise BadRequest(f"{name} is mandatory")
        return ""
    if not isinstance(given, str):
        raise BadRequest(f"{name} must be a string")
    return given


def _whole(fields: Mapping[str, Any], name: str, *, least: int, most: int) -> int | None:
    given = fields.get(name)
    if given is None:
        return None
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or given != given // 1 or not least <= given <= most:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}")
    return int(given)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    given = fields.get(name)
    if given is not None and not isinstance(given, bool):
        raise BadRequest(f"{name} must be true or false")
    return bool(given)


def _response_url(fields: Mapping[str, Any]) -> str:
    """Take the URL for the results; the sandbox posts to this machine only."""
    url = _text(fields, "responseUrl", mandatory=True)
    try:
        whole = urlsplit(url).scheme in {"http", "https"} and bool(urlsplit(url).hostname)
    except ValueError:
        whole = False
    if not whole:
        raise BadRequest("responseUrl is not a URL")
    try:
        address(url)
    except NotHere as elsewhere:
        raise BadRequest(f"responseUrl: {elsewhere}") from elsewhere
    return url


def _priority(fields: Mapping[str, Any]) -> int:
    """Take the priority: 1 or more, 0 is reserved for interactive requests."""
    given = fields.get("priority")
    if given is None:
        raise BadRequest("priority is mandatory")
    if isinstance(given, bool) or not isinstance(given, int):
        raise BadRequest("priority must be an integer")
    if given < 1 or given > 2**31:
        raise BadRequest("priority must be 1 or more; 0 is reserved for interactive requests")
    return given


def _delay_until(fields: Mapping[str, Any]) -> str:
    text = _text(fields, "delayUntil")
    if text:
        try:
            moment_of(text)
        except ValueError:
            raise BadRequest("delayUntil must be a UTC time, yyyy-MM-ddTHH:mm:ssZ") from None
    return text


def moment_of(text: str) -> datetime:
    """Read a time in the form of note 2 of the status table; raises ValueError."""
    if not MOMENT.fullmatch(text):
        raise ValueError(text)
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _meter_type(fields: Mapping[str, Any]) -> str:
    given = _text(fields, "meterType", mandatory=True)
    if given not in TYPES:
        raise BadRequest(f"Meter type is not recognised, known are {', '.join(TYPES)}")
    return given


def _remote_address(fields: Mapping[str, Any]) -> str:
    """Take the remote address: UK telephone number, IPv4 address and port, or PAKNET number."""
    given = _text(fields, "remoteAddress", mandatory=True)
    known = TELEPHONE.fullmatch(given) or PAKNET.fullmatch(given) or _is_endpoint(given)
    if not known:
        raise BadRequest("Remote address is not in a recognised format")
    return given


def _is_endpoint(given: str) -> bool:
    match = ENDPOINT.fullmatch(given)
    if match is None:
        return False
    try:
        ipaddress.IPv4Address(match.group(1))
    except ValueError:
        return False
    return 0 < int(match.group(2)) < 65_536


def _coms_settings(fields: Mapping[str, Any], *, modem: bool) -> str:
    """Take data bits, parity and stop bits such as 7E1, "only applicable for modem connections"."""
    given = _text(fields, "comsSettings")
    if given and not modem:
        raise BadRequest("comsSettings is only applicable for modem connections")
    if given and not COMS.fullmatch(given):
        raise BadRequest("comsSettings must have the form DPS, such as 7E1")
    return given or (USUAL_COMS if modem else "")


def _survey_date(fields: Mapping[str, Any], days: int, today: date) -> str:
    """Take the first day of the survey; "SURVEY_DAYS before the current day" where it is empty."""
    given = _text(fields, "surveyDate")
    if not given:
        return (today - timedelta(days=days)).isoformat() if days else ""
    try:
        if not DAY.fullmatch(given):
            raise ValueError(given)
        date.fromisoformat(given)
    except ValueError:
        raise BadRequest("surveyDate must be a date, yyyy-MM-dd") from None
    return given
