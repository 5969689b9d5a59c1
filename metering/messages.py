"""What crosses the wire to and from the meter communications service, and the form of it.

Follows "MCS Request API" and "MCS Result API" of the Meter Communications Service. Builds the four
requests, reads every reply and the result that the service posts. Plain Python: calls nobody,
keeps nothing, judges no reading. No message that it writes about a fault contains a value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Raw

MASK: Final = "••••••"
LONGEST_VALUE: Final = 40
LONGEST_TEXT: Final = 1000
LONGEST_NAME: Final = 60

_BOM = b"\xef\xbb\xbf"
_LONGEST_REFERENCE = 255
_DEEPEST = 20
_INT64 = 2**63
_SHORT_SECRET = 4
_PROBLEMS_KEPT = 200

# What msgspec raises for a body that is not JSON, not UTF-8 or nested without end.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class NotReadable(Exception):
    """The body is not a result at all: no JSON, no object, or no requestReference.

    `reason` is a sentence that may be answered and logged: it holds nothing of the body.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotPromised(Exception):
    """A reply is not what the specification promises: neither a yes nor a no.

    `reason` names the property and the fault, never the value: it may be logged.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotAllowed(ValueError):
    """A request breaks the parameter table; `problems` says how, for people."""

    def __init__(self, problems: Sequence["Problem"]) -> None:
        super().__init__("; ".join(f"{each.path}: {each.reason}" for each in problems))
        self.problems = tuple(problems)


class Problem(msgspec.Struct, frozen=True):
    """One thing that does not fit: where it stands and why, never the value itself.

    `lost` is False where the meaning could be used all the same.
    """

    path: str
    reason: str
    lost: bool = True


# ---- Requests: "MCS Request API" ----------------------------------------------------------------

AddressKind = Literal["phone", "ip", "paknet"]

_PHONE = re.compile(r"0[1-9]\d{8,9}", re.ASCII)
_IP_AND_PORT = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3}):(\d{1,5})", re.ASCII)
_PAKNET = re.compile(r"\d{14}", re.ASCII)
_COMS_SETTINGS = re.compile(r"[5-8][NEOMS][12]", re.ASCII)
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_ADDRESS_HINT = (
    "Write a UK phone number like 07711000001, an IP address with its port like 10.2.34.4:3400, "
    "or a PAKNET number of 14 digits."
)


class CollectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of "Data Collection Request method"; empty ones are left out of the message.

    `delay_until` carries a zone. `survey_date` is the first day to read; without it the service
    takes `survey_days` before the current day. Its repr never shows the password.
    """

    request_reference: str
    response_url: str
    mpan: str
    priority: int
    meter_type: str
    remote_address: str
    delay_until: datetime | None = None
    coms_settings: str = ""
    outstation_address: str = ""
    serial_number: str = ""
    password: str = ""
    survey_days: int = 0
    survey_date: date | None = None
    adjust_time: bool = False

    def __repr__(self) -> str:
        return f"CollectionRequest({self.request_reference!r})"


def address_kind(text: str) -> AddressKind | None:
    """Say which of the three forms of "remote Address" a normalised text has, else None."""
    if _PAKNET.fullmatch(text):
        return "paknet"
    if _PHONE.fullmatch(text):
        return "phone"
    match = _IP_AND_PORT.fullmatch(text)
    if match is None or any(len(part) > 1 and part[0] == "0" for part in match.groups()):
        return None
    *octets, port = map(int, match.groups())
    return "ip" if max(octets) <= 255 and 1 <= port <= 65535 else None


def normalise_remote_address(text: str) -> str:
    """Write a remote address as the service wants it: no spaces, and 0 in the place of +44."""
    compact = re.sub(r"[\s()‐-―−]+", "", text)
    if re.fullmatch(r"[\d+-]+", compact, re.ASCII):
        compact = compact.replace("-", "")
    return re.sub(r"^(\+44|0044)(?=[1-9])", "0", compact)


def remote_address_problem(text: str) -> str | None:
    """Return a sentence about a remote address that has none of the three forms, else None."""
    if not text.strip():
        return f"Write the remote address. {_ADDRESS_HINT}"
    return None if address_kind(normalise_remote_address(text)) else _ADDRESS_HINT


def coms_settings_problem(text: str, remote_address: str) -> str | None:
    """Return a sentence about coms settings that the service would refuse, else None.

    "Only applicable for modem connections … in the form DPS, e.g. 7E1".
    """
    if not text:
        return None
    if _COMS_SETTINGS.fullmatch(text.strip().upper()) is None:
        return "Write data bits, parity and stop bits, like 7E1, or leave this empty."
    if address_kind(normalise_remote_address(remote_address)) != "phone":
        return "Leave this empty: coms settings are for meters that are reached by phone number."
    return None


def request_problems(asked: CollectionRequest) -> tuple[Problem, ...]:
    """Return what breaks the rules of the parameter table, named as the service names it."""
    found = {
        "requestReference": _blank(asked.request_reference, "reference"),
        "responseUrl": None if _URL.fullmatch(asked.response_url) else "Not a web address.",
        "mpan": _blank(asked.mpan, "MPAN"),
        "priority": _priority_problem(asked.priority),
        "delayUntil": _delay_problem(asked.delay_until),
        "meterType": _blank(asked.meter_type, "meter type"),
        "remoteAddress": remote_address_problem(asked.remote_address),
        "comsSettings": coms_settings_problem(asked.coms_settings, asked.remote_address),
        "surveyDays": _days_problem(asked.survey_days),
        "surveyDate": _survey_date_problem(asked),
    }
    return tuple(Problem(path, reason) for path, reason in found.items() if reason)


def collection_request(asked: CollectionRequest) -> bytes:
    """Build the body of POST collection-request. Raises NotAllowed with every broken rule."""
    if problems := request_problems(asked):
        raise NotAllowed(problems)
    properties: dict[str, Any] = {
        "requestReference": asked.request_reference,
        "responseUrl": asked.response_url,
        "mpan": asked.mpan,
        "priority": asked.priority,
        "delayUntil": asked.delay_until and utc_text(asked.delay_until),
        "meterType": asked.meter_type,
        "remoteAddress": normalise_remote_address(asked.remote_address),
        "comsSettings": asked.coms_settings.strip().upper(),
        "outstationAddress": asked.outstation_address,
        "serialNumber": asked.serial_number,
        "password": asked.password,
        "surveyDays": asked.survey_days,
        "surveyDate": asked.survey_date and asked.survey_date.isoformat(),
        "adjustTime": asked.adjust_time,
    }
    return msgspec.json.encode({name: value for name, value in properties.items() if value})


def collection_cancel(request_reference: str) -> bytes:
    """Build the body of DELETE collection-cancel."""
    return msgspec.json.encode({"requestReference": request_reference})


def collection_status(request_reference: str) -> dict[str, str]:
    """Build the query of GET collection-status."""
    return {"requestReference": request_reference}


def service_status() -> dict[str, str]:
    """Build the query of GET service-status: "This method takes no parameters"."""
    return {}


def utc_text(moment: datetime) -> str:
    """Write a moment as the service does: "All times are in UTC … YYYY-MM-DDTHH:mm:ssZ"."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _blank(text: str, name: str) -> str | None:
    return None if text.strip() else f"The {name} is missing."


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _priority_problem(priority: int) -> str | None:
    if _whole(priority) and priority >= 1:
        return None
    return "Write a whole number from 1 upwards. 1 is asked first."


def _delay_problem(moment: datetime | None) -> str | None:
    return "The time has no zone." if moment and moment.tzinfo is None else None


def _days_problem(days: int) -> str | None:
    return None if _whole(days) and days >= 0 else "Write a whole number of days, or 0 for none."


def _survey_date_problem(asked: CollectionRequest) -> str | None:
    if asked.survey_date is None or asked.survey_days:
        return None
    return "Write how many days to read from this date on."


# ---- Replies of the service, and ours to it -----------------------------------------------------


class Acknowledgement(msgspec.Struct, frozen=True):
    """The service took note of a request or a cancel; it says nothing about the meter."""

    request_reference: str
    details: str = ""


class ServiceStatus(msgspec.Struct, frozen=True):
    """What "Service Status method" tells: `is_ok` for the status OK, in any case."""

    version: str
    status: str

    @property
    def is_ok(self) -> bool:
        """Whether the service says it runs: "Normally this will be OK"."""
        return self.status.upper() == "OK"


def read_acknowledgement(body: bytes, asked: str) -> Acknowledgement:
    """Read the 200 reply of collection-request or collection-cancel.

    Raises NotPromised when it names no reference or another one than `asked`.
    """
    fields = _promised_fields(body)
    reference = _reference(fields)
    if reference is None:
        raise NotPromised("The reply has no requestReference.")
    if reference != asked:
        raise NotPromised("The reply is about another request than the one sent.")
    return Acknowledgement(reference, _plain_text(fields, "details"))


def read_details(body: bytes) -> str:
    """Return the party's own sentence of a reply that is not 200 ("details"), or nothing."""
    try:
        return _plain_text(_fields(body), "details")
    except NotReadable:
        return ""


def read_service_status(body: bytes) -> ServiceStatus:
    """Read the reply of service-status. Raises NotPromised without the two promised texts."""
    fields = _promised_fields(body)
    version, status = _plain_text(fields, "version"), _plain_text(fields, "status")
    if not status:
        raise NotPromised("The reply has no status.")
    return ServiceStatus(version, status)


def result_reply(request_reference: str) -> bytes:
    """Build our 200 answer to collection-result."""
    return msgspec.json.encode({"requestReference": request_reference})


def error_reply(details: str) -> bytes:
    """Build our answer where it is not 200: it always carries "details"."""
    return msgspec.json.encode({"details": details})


def service_status_reply(version: str, status: str = "OK") -> bytes:
    """Build our own answer to service-status."""
    return msgspec.json.encode({"version": version, "status": status})


def _promised_fields(body: bytes) -> dict[str, Raw]:
    try:
        return _fields(body)
    except NotReadable as fault:
        raise NotPromised(fault.reason.replace("body", "reply")) from None


# ---- The result document ------------------------------------------------------------------------


class OutcomeKind(StrEnum):
    """The values of "result"; UNCLEAR where the document says none of them."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL SUCCESS"
    ERROR = "ERROR"
    UNCLEAR = "UNCLEAR"


class AdjustmentKind(StrEnum):
    """The values of "time Adjustment Result"."""

    NOT_REQUIRED = "NOT REQUIRED"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


class Outcome(msgspec.Struct, frozen=True):
    """The overall result; `details` is what the service says after "ERROR:"."""

    kind: OutcomeKind
    details: str = ""


class Adjustment(msgspec.Struct, frozen=True):
    """What became of setting the meter's clock; `details` explain an ERROR."""

    kind: AdjustmentKind
    details: str = ""


class MeterClock(msgspec.Struct, frozen=True):
    """The meter's own time (UTC) and its offset in seconds: −203 is 203 seconds behind."""

    at: datetime | None = None
    offset: int | None = None


class RegisterValue(msgspec.Struct, frozen=True):
    """One value of "Register Value Object": `text` is the value exactly as it was sent."""

    name: str
    text: str
    units: str = ""
    at: datetime | None = None
    flags: int | None = None

    @property
    def value(self) -> Decimal:
        """The value as an exact number."""
        return Decimal(self.text)


class Reading(NamedTuple):
    """One "Survey Reading Object": `at` starts the half hour, `text` is the value as sent."""

    at: datetime
    text: str
    flags: int | None


class Survey(msgspec.Struct, frozen=True):
    """One "Register Survey Data Object" as columns of equal length, for speed.

    `times` are whole seconds since 1970 in UTC, `texts` the values exactly as sent; `flags` is
    None where no reading carries statusFlags.
    """

    name: str
    units: str
    times: list[int]
    texts: list[str]
    flags: list[int | None] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def readings(self) -> Iterator[Reading]:
        """Yield the readings one by one, in the order they were sent."""
        for number, (time, text) in enumerate(zip(self.times, self.texts, strict=True)):
            flags = self.flags[number] if self.flags else None
            yield Reading(_EPOCH + timedelta(seconds=time), text, flags)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One result document, without the password: what could be understood, and what could not.

    Texts that are missing are empty. `serial_number_error` and `meter_time_error` are the details
    of "ERROR: details". `problems` lists at most 200 faults, field by field.
    """

    request_reference: str
    outcome: Outcome
    mpan: str = ""
    meter_type: str = ""
    remote_address: str = ""
    coms_settings: str = ""
    outstation_address: str = ""
    adjust_time: bool | None = None
    survey_days: int | None = None
    survey_date: date | None = None
    collection_started_at: datetime | None = None
    collection_ended_at: datetime | None = None
    connection_started_at: datetime | None = None
    connection_ended_at: datetime | None = None
    serial_number: str = ""
    serial_number_error: str = ""
    clock: MeterClock | None = None
    meter_time_error: str = ""
    status_events: tuple[str, ...] = ()
    adjustment: Adjustment | None = None
    registers: tuple[RegisterValue, ...] = ()
    surveys: tuple[Survey, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def reading_count(self) -> int:
        """How many survey readings could be used."""
        return sum(map(len, self.surveys))


_TOLERATED = "Taken as described; what cannot be understood is reported and the rest is used."
# What a sender must keep to, and what else is read. Nothing but the reference is ever refused.
RESULT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": f"Data Collect Result. {_TOLERATED}",
    "required": ["requestReference"],
    "properties": {
        "requestReference": {
            "type": "string",
            "minLength": 1,
            "maxLength": _LONGEST_REFERENCE,
            "pattern": r"^[^\u0000]*\S[^\u0000]*$",
            "description": "Unique ID contained in the request.",
        },
        **{
            name: {"description": text}
            for name, text in {
                "mpan": "The meter's MPAN.",
                "meterType": "The type of meter.",
                "remoteAddress": "Phone number, IP address and port, or PAKNET number.",
                "comsSettings": "Data bits, parity, stop bits.",
                "outstationAddress": "Outstation address or device id.",
                "adjustTime": "Whether the clock was to be set.",
                "surveyDays": "How many days were asked for.",
                "surveyDate": "First day that was asked for, yyyy-MM-dd.",
                "result": "PENDING, SUCCESS, PARTIAL SUCCESS or ERROR: details.",
                "resultSummary": "The same as result, as the samples name it.",
                "collectionStartTime": "YYYY-MM-DDTHH:mm:ssZ; UTC also without Z.",
                "collectionEndTime": "YYYY-MM-DDTHH:mm:ssZ; UTC also without Z.",
                "connectionStartTime": "YYYY-MM-DDTHH:mm:ssZ; UTC also without Z.",
                "connectionEndTime": "YYYY-MM-DDTHH:mm:ssZ; UTC also without Z.",
                "serialNumber": "Serial number read from the meter, or ERROR: details.",
                "meterTime": "YYYY-MM-DDTHH:mm:ss +/- Ns, or ERROR: details.",
                "statusEvents": "List of texts, or null.",
                "timeAdjustmentResult": "NOT REQUIRED, SUCCESS or ERROR: details.",
                "registerValues": "List of objects with name, timestamp, value, units.",
                "surveyData": "List of objects with name, units and readings, each reading with "
                "timestamp (start of the half hour), value and statusFlags.",
            }.items()
        },
    },
}


def form_problems(body: bytes) -> tuple[str, ...]:
    """Return why a delivered body is malformed (answer 400), or nothing (it can be kept).

    Anything else that is wrong with a document is reported by `read_result`, field by field.
    """
    try:
        read_reference(body)
    except NotReadable as fault:
        return (fault.reason,)
    return ()


def read_reference(body: bytes) -> str:
    """Return the requestReference of a document without reading the rest. Raises NotReadable."""
    reference = _reference(_fields(body))
    if reference is None:
        raise NotReadable("The body has no requestReference that can be used.")
    return reference


def read_result(body: bytes) -> Result:
    """Read a result or the reply of collection-status ("The object format is exactly as in …").

    Takes `result` and `resultSummary`, numbers as texts, times without Z, nulls and unknown
    properties; of a property that occurs twice the last one counts. Raises NotReadable when there
    is no JSON object with a requestReference.
    """
    fields = _fields(body)
    reference = _reference(fields)
    if reference is None:
        raise NotReadable("The body has no requestReference that can be used.")
    found = _Problems()
    serial_number, serial_number_error = _text_or_error(fields, "serialNumber", found)
    clock, meter_time_error = _clock(fields, found)
    return Result(
        request_reference=reference,
        outcome=_outcome(fields, found),
        mpan=_text(fields, "mpan", found),
        meter_type=_text(fields, "meterType", found),
        remote_address=_text(fields, "remoteAddress", found),
        coms_settings=_text(fields, "comsSettings", found),
        outstation_address=_text(fields, "outstationAddress", found),
        adjust_time=_truth(fields, "adjustTime", found),
        survey_days=_count(fields, "surveyDays", found),
        survey_date=_date(fields, "surveyDate", found),
        collection_started_at=_moment(fields, "collectionStartTime", found),
        collection_ended_at=_moment(fields, "collectionEndTime", found),
        connection_started_at=_moment(fields, "connectionStartTime", found),
        connection_ended_at=_moment(fields, "connectionEndTime", found),
        serial_number=serial_number,
        serial_number_error=serial_number_error,
        clock=clock,
        meter_time_error=meter_time_error,
        status_events=_status_events(fields, found),
        adjustment=_adjustment(fields, found),
        registers=tuple(_registers(fields, found)),
        surveys=tuple(_surveys(fields, found)),
        problems=found.listed(),
    )


class _Problems:
    """Collects faults up to a limit, so that a document of faults stays small."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._more = 0

    def add(self, path: str, reason: str, *, lost: bool = True) -> None:
        if len(self._found) < _PROBLEMS_KEPT - 1:
            self._found.append(Problem(path, reason, lost))
        else:
            self._more += 1

    def listed(self) -> tuple[Problem, ...]:
        if not self._more:
            return tuple(self._found)
        return *self._found, Problem("", f"{self._more} more faults of this kind.")


# ---- One property -------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ITEMS = msgspec.json.Decoder(list[Raw])
# Numbers keep their own spelling: a float arrives as the text that was sent.
_ANYTHING = msgspec.json.Decoder(float_hook=str)

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_ERROR = re.compile(r"error\b[\s:]*(.*)", re.IGNORECASE | re.DOTALL)
_METER_TIME = re.compile(r"(\S.*?)\s+([+-]?)\s*(\d{1,9})\s*s(?:ec(?:ond)?s?)?", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?\s*", re.ASCII)
_PLAIN_NUMBERS = re.compile(r"(?:-?\d{1,18}+(?:\.\d{1,18}+)?+(?:\n|\Z))*+", re.ASCII)
_NOTHING = Raw(b"null")
_WRONG = object()  # stands for what cannot be decoded: no property may have this type


def _fields(body: bytes) -> dict[str, Raw]:
    """Open the outer object only; of a property that occurs twice the last one is kept."""
    body = body.removeprefix(_BOM)
    if not body.strip():
        raise NotReadable("The body is empty.")
    try:
        if not body.isascii():
            body.decode()
        return _FIELDS.decode(body)
    except msgspec.ValidationError:
        raise NotReadable("The body is not a JSON object.") from None
    except _UNREADABLE:
        raise NotReadable("The body is not JSON.") from None


def _value(fields: Mapping[str, Raw], name: str) -> Any:
    """Decode one property; what cannot be decoded after all is treated as of a wrong type."""
    raw = fields.get(name, _NOTHING)
    try:
        return _ANYTHING.decode(raw)
    except _UNREADABLE:
        return _WRONG


def _as_text(value: object) -> str | None:
    """Return a text or a number as stored text, None for everything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**LONGEST_VALUE else None
    if not isinstance(value, str) or "\0" in value:
        return None
    value = value.strip()
    return value if len(value) <= LONGEST_TEXT else None


def _reference(fields: Mapping[str, Raw]) -> str | None:
    text = _as_text(_value(fields, "requestReference"))
    return text if text and len(text) <= _LONGEST_REFERENCE else None


def _plain_text(fields: Mapping[str, Raw], name: str) -> str:
    return _as_text(_value(fields, name)) or ""


def _text(fields: Mapping[str, Raw], name: str, found: _Problems) -> str:
    value = _value(fields, name)
    if value is None:
        return ""
    text = _as_text(value)
    if text is None:
        found.add(name, "This is not a text that can be used.")
    return text or ""


def _text_or_error(fields: Mapping[str, Raw], name: str, found: _Problems) -> tuple[str, str]:
    """Read a text that may be "ERROR: details" in its place."""
    text = _text(fields, name, found)
    if error := _error(text):
        return "", error
    return text, ""


def _error(text: str) -> str:
    """Return the details of "ERROR: details" (a plain word where there are none), else nothing."""
    match = _ERROR.fullmatch(text)
    return (match[1].strip() or "no details given") if match else ""


def _truth(fields: Mapping[str, Raw], name: str, found: _Problems) -> bool | None:
    value = _value(fields, name)
    if isinstance(value, str):
        value = {"true": True, "false": False, "": None}.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value
    found.add(name, "This is neither true nor false.")
    return None


def _count(fields: Mapping[str, Raw], name: str, found: _Problems) -> int | None:
    text = _as_text(_value(fields, name))
    if text and re.fullmatch(r"\d{1,9}(\.0{1,9})?", text, re.ASCII):
        return int(text.partition(".")[0])
    if text != "" and _value(fields, name) is not None:
        found.add(name, "This is not a whole number.")
    return None


def _date(fields: Mapping[str, Raw], name: str, found: _Problems) -> date | None:
    text = _text(fields, name, found)
    if not text:
        return None
    try:
        if re.match(r"\d{4}-\d{2}-\d{2}($|T)", text, re.ASCII):
            return date.fromisoformat(text[:10])
    except ValueError:
        pass
    found.add(name, "This is not a date like yyyy-MM-dd.")
    return None


def _moment(
    fields: Mapping[str, Raw], name: str, found: _Problems, path: str = ""
) -> datetime | None:
    text = _text(fields, name, found)
    if not text:
        return None
    moment = _parsed_moment(text)
    if moment is None:
        found.add(path or name, "This is not a time like YYYY-MM-DDTHH:mm:ssZ.")
    return moment


def _parsed_moment(text: str) -> datetime | None:
    """Parse a time; without a zone it is UTC."""
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _outcome(fields: Mapping[str, Raw], found: _Problems) -> Outcome:
    """Read `result` of the table or `resultSummary` of the samples."""
    texts = {name: _text(fields, name, found) for name in ("result", "resultSummary")}
    named = {name: _parsed_outcome(text) for name, text in texts.items() if text}
    for name, outcome in named.items():
        if outcome is None:
            found.add(name, "This is none of the results that the specification lists.")
    outcomes = [outcome for outcome in named.values() if outcome]
    if not outcomes:
        if not named:
            found.add("result", "The overall result is missing.")
        return Outcome(OutcomeKind.UNCLEAR)
    if outcomes[0].kind is not outcomes[-1].kind:
        found.add("resultSummary", "This says something else than result.")
    return outcomes[0]


def _parsed_outcome(text: str) -> Outcome | None:
    if error := _error(text):
        return Outcome(OutcomeKind.ERROR, error)
    words = re.sub(r"[\s_-]+", " ", text).upper()
    listed = {OutcomeKind.PENDING, OutcomeKind.SUCCESS, OutcomeKind.PARTIAL_SUCCESS}
    return next((Outcome(kind) for kind in listed if kind == words), None)


def _adjustment(fields: Mapping[str, Raw], found: _Problems) -> Adjustment | None:
    text = _text(fields, "timeAdjustmentResult", found)
    if not text:
        return None
    if error := _error(text):
        return Adjustment(AdjustmentKind.ERROR, error)
    words = re.sub(r"[\s_-]+", " ", text).upper()
    for kind in (AdjustmentKind.NOT_REQUIRED, AdjustmentKind.SUCCESS):
        if kind == words:
            return Adjustment(kind)
    found.add("timeAdjustmentResult", "This is none of the values that the specification lists.")
    return None


def _clock(fields: Mapping[str, Raw], found: _Problems) -> tuple[MeterClock | None, str]:
    """Read "YYYY-MM-DDTHH:mm:ss +/- Ns"; of the malformed sample the offset is still used."""
    text, error = _text_or_error(fields, "meterTime", found)
    if not text:
        return None, error
    match = _METER_TIME.fullmatch(text)
    at = _parsed_moment(match[1] if match else text)
    offset = int(f"{match[2]}{match[3]}") if match else None
    if offset is None:
        found.add("meterTime", "The offset in seconds is missing.", lost=True)
    elif at is None:
        found.add("meterTime", "The time is not understood; its offset is used.", lost=False)
    if at is None and offset is None:
        return None, ""
    return MeterClock(at, offset), ""


def _status_events(fields: Mapping[str, Raw], found: _Problems) -> tuple[str, ...]:
    value = _value(fields, "statusEvents")
    if isinstance(value, str):
        value = [value]
    if value is None:
        return ()
    if not isinstance(value, list):
        found.add("statusEvents", "This is not a list of texts.")
        return ()
    events = []
    for number, item in enumerate(value):
        text = _as_text(item)
        if text is None:
            found.add(f"statusEvents[{number}]", "This is not a text that can be used.")
        elif text:
            events.append(text)
    return tuple(events)


# ---- Register values and survey data ------------------------------------------------------------


def _registers(fields: Mapping[str, Raw], found: _Problems) -> Iterator[RegisterValue]:
    for path, item in _objects(fields, "registerValues", found):
        name = _name(item, path, found)
        text = _number(item.get("value", _NOTHING))
        if text is None:
            found.add(f"{path}.value", "This is not a number.")
        if name and text is not None:
            yield RegisterValue(
                name=name,
                text=text,
                units=_plain_text(item, "units"),
                at=_moment(item, "timestamp", found, f"{path}.timestamp"),
                flags=_flags(item, path, found),
            )


def _surveys(fields: Mapping[str, Raw], found: _Problems) -> Iterator[Survey]:
    """Read survey data at once where every reading has its usual form, else piece by piece."""
    clock = _Clock()
    try:
        wired = _SURVEYS.decode(fields.get("surveyData", _NOTHING)) or []
        surveys = [_usual_survey(series, clock) for series in wired]
    except (*_UNREADABLE, _Unusual):
        yield from _unusual_surveys(fields, clock, found)
        return
    yield from surveys


class _Unusual(Exception):
    """A reading needs a closer look."""


class _Clock(dict[str, int]):
    """Seconds since 1970 for every time text met: the registers of a meter share their times.

    The first time of a day brings in all its half hours, so that the others need no parsing.
    """

    def __missing__(self, text: str) -> int:
        moment = _parsed_moment(text.strip())
        if moment is None:
            raise _Unusual
        seconds = (moment - _EPOCH) // _SECOND
        if text[10:] in _ON_THE_GRID:
            self._add_day(text[:10], "Z" if text.endswith("Z") else "", seconds // _DAY * _DAY)
        self[text] = seconds
        return seconds

    def _add_day(self, day: str, zone: str, midnight: int) -> None:
        starts = range(midnight, midnight + _DAY, _DAY // len(_HALF_HOURS))
        self.update(zip([f"{day}{time}{zone}" for time in _HALF_HOURS], starts, strict=True))


_SECOND = timedelta(seconds=1)
_DAY = 86_400
_HALF_HOURS = tuple(f"T{hour:02}:{minute}:00" for hour in range(24) for minute in ("00", "30"))
_ON_THE_GRID = frozenset(_HALF_HOURS) | {f"{time}Z" for time in _HALF_HOURS}
_Flags = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]


class _WiredReading(msgspec.Struct, gc=False, rename="camel"):
    timestamp: str
    value: Raw
    status_flags: _Flags | None = None


class _WiredSurvey(msgspec.Struct, gc=False):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
    readings: list[_WiredReading]
    units: str | None = None


_SURVEYS = msgspec.json.Decoder(list[_WiredSurvey] | None)


def _usual_survey(series: _WiredSurvey, clock: _Clock) -> Survey:
    """Turn a series into columns. Raises _Unusual at anything but plain numbers and known times."""
    name, units = _as_text(series.name), _as_text(series.units or "")
    if not name or units is None:
        raise _Unusual
    readings = series.readings
    flags = [reading.status_flags for reading in readings]
    return Survey(
        name,
        units,
        [clock[reading.timestamp] for reading in readings],
        _usual_texts([reading.value for reading in readings]),
        None if flags.count(None) == len(flags) else flags,
    )


def _usual_texts(values: list[Raw]) -> list[str]:
    """Take the quotes off a column of numbers, all in one go."""
    if not values:
        return []
    joined = b"\n".join(values)
    if not joined.isascii():
        raise _Unusual
    text = joined.decode("ascii").replace('"', "")
    texts = text.split("\n")
    if _PLAIN_NUMBERS.fullmatch(text) is None or len(texts) != len(values):
        raise _Unusual
    return texts


def _unusual_surveys(
    fields: Mapping[str, Raw], clock: _Clock, found: _Problems
) -> Iterator[Survey]:
    for path, item in _objects(fields, "surveyData", found):
        name = _name(item, path, found)
        survey = Survey(name, _plain_text(item, "units"), [], [], [])
        for place, reading in _objects(item, "readings", found, path):
            _add_reading(survey, place, reading, clock, found)
        if name:
            flags = (
                survey.flags
                if survey.flags and any(flag is not None for flag in survey.flags)
                else None
            )
            yield Survey(name, survey.units, survey.times, survey.texts, flags)


def _add_reading(
    survey: Survey, path: str, item: Mapping[str, Raw], clock: _Clock, found: _Problems
) -> None:
    time, text = None, _number(item.get("value", _NOTHING))
    try:
        time = clock[_plain_text(item, "timestamp")]
    except _Unusual:
        found.add(f"{path}.timestamp", "This is not a time like YYYY-MM-DDTHH:mm:ssZ.")
    if text is None:
        found.add(f"{path}.value", "This is not a number.")
    flags = _flags(item, path, found)
    if time is not None and text is not None and survey.flags is not None:
        survey.times.append(time)
        survey.texts.append(text)
        survey.flags.append(flags)


def _objects(
    fields: Mapping[str, Raw], name: str, found: _Problems, within: str = ""
) -> Iterator[tuple[str, dict[str, Raw]]]:
    """Yield the objects of a list, each with its path; one object alone counts as a list of it."""
    path = f"{within}.{name}" if within else name
    raw = fields.get(name, _NOTHING)
    if _first(raw) == b"{":
        raw = Raw(b"[%b]" % bytes(raw))
    if _first(raw) != b"[":
        if bytes(raw).strip() != b"null":
            found.add(path, "This is not a list.")
        return
    for number, item in enumerate(_ITEMS.decode(raw)):
        try:
            yield f"{path}[{number}]", _FIELDS.decode(item)
        except _UNREADABLE:
            found.add(f"{path}[{number}]", "This is not an object that can be read.")


def _name(item: Mapping[str, Raw], path: str, found: _Problems) -> str:
    name = _plain_text(item, "name")
    if name and len(name) <= LONGEST_NAME:
        return name
    fault = "is too long" if name else "is missing"
    found.add(f"{path}.name", f"The register's name {fault}, so its values cannot be used.")
    return ""


def _number(raw: Raw) -> str | None:
    """Return the text of a value that is a number or a text with a number in it, exactly."""
    text = bytes(raw).strip()
    if text.startswith(b'"'):
        try:
            text = msgspec.json.decode(text, type=str).encode()
        except _UNREADABLE:
            return None
    if len(text) > LONGEST_VALUE or not text.isascii():
        return None
    return text.decode() if _NUMBER.fullmatch(text.decode()) else None


def _flags(item: Mapping[str, Raw], path: str, found: _Problems) -> int | None:
    value = _value(item, "statusFlags")
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value.strip(), re.ASCII):
        value = int(value)
    if value is None or (_whole(value) and -_INT64 <= value < _INT64):
        return value  # type: ignore[no-any-return]
    found.add(f"{path}.statusFlags", "This is not a whole number.")
    return None


# ---- Taking the password out --------------------------------------------------------------------

# Properties whose values are facts, not free text: a short password may occur in them by chance.
_FACTS = frozenset(
    {
        "requestReference",
        "mpan",
        "meterType",
        "remoteAddress",
        "comsSettings",
        "outstationAddress",
        "serialNumber",
        "surveyDate",
        "collectionStartTime",
        "collectionEndTime",
        "connectionStartTime",
        "connectionEndTime",
        "meterTime",
        "timestamp",
        "value",
        "name",
        "units",
        "statusFlags",
        "surveyDays",
        "adjustTime",
        "priority",
    }
)
_GIVEN_VALUE = r"""(?:\\?"(?:[^"\\]|\\.)*(?:"|\Z)|'[^']*(?:'|\Z)|[^\r\n,;&<}\]]*)"""
# In a text that is no JSON everything after the word is hidden, in a sentence only what is given
# as its value: "password rejected" tells no password.
_AFTER_THE_WORD = re.compile(
    rf"""password\\?["']?\s*[:=>]?\s*{_GIVEN_VALUE}""", re.IGNORECASE | re.DOTALL
)
_GIVEN_IN_TEXT = re.compile(
    rf"""password\\?["']?\s*[:=]\s*{_GIVEN_VALUE}""", re.IGNORECASE | re.DOTALL
)


def without_password(body: bytes, secrets: Sequence[str] = ()) -> bytes:
    """Return a body that holds no meter password ("Note 1" makes status and result echo it).

    Drops every property with "password" in its name, at any depth, in any case and however it is
    spelled or repeated. The dropped values, and `secrets` known to the caller, are also masked in
    free text such as error details. Values that stay keep their exact spelling. A body that is no
    JSON object or list comes back masked.
    """
    plain = body.removeprefix(_BOM)
    if not _suspicious(plain) and not any(_occurs(each, plain) for each in secrets):
        return body
    found = set(secrets)
    try:
        if _first(plain) not in (b"{", b"["):
            return _masked(plain, secrets)
        plain.decode()
        cleaned = _scrubbed(plain, found, 0)
        secret = _secret_pattern(found, cleaned)
        return _hidden(cleaned, secret, "", 0) if secret else cleaned
    except _UNREADABLE:
        return _masked(plain, secrets)


def _first(raw: bytes | Raw) -> bytes:
    return bytes(raw[:64] if isinstance(raw, bytes) else raw).lstrip()[:1]


def _suspicious(raw: bytes) -> bool:
    """Say whether a password may stand in here, also in escaped or unusual letters."""
    return b"\\" in raw or not raw.isascii() or b"\0" in raw or b"password" in raw.lower()


def _scrubbed(raw: bytes, found: set[str], depth: int) -> bytes:
    """Drop password properties; the parts without any stay byte for byte."""
    first = _first(raw)
    if first not in (b"{", b"[", b'"') or not _suspicious(raw):
        return raw
    if first == b'"':
        text = msgspec.json.decode(raw, type=str)
        hidden = _GIVEN_IN_TEXT.sub(f"password {MASK}", text)
        return raw if hidden == text else msgspec.json.encode(hidden)
    if depth > _DEEPEST:
        return msgspec.json.encode(MASK)
    if first == b"[":
        items = _ITEMS.decode(raw)
        return msgspec.json.encode([Raw(_scrubbed(bytes(i), found, depth + 1)) for i in items])
    kept: dict[str, Raw] = {}
    for name, value in _FIELDS.decode(raw).items():
        if "password" in name.casefold():
            found.update(_texts_in(value))
        else:
            kept[name] = Raw(_scrubbed(bytes(value), found, depth + 1))
    return msgspec.json.encode(kept)


def _texts_in(raw: Raw) -> Iterator[str]:
    """Yield the texts and numbers that a dropped value was made of."""
    value = _ANYTHING.decode(raw)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str | int) and not isinstance(item, bool):
            yield str(item)


def _spellings(secret: str) -> set[bytes]:
    return {secret.encode(), msgspec.json.encode(secret)[1:-1]}


def _occurs(secret: str, raw: bytes) -> bool:
    return bool(secret) and any(each in raw for each in _spellings(secret))


def _secret_pattern(found: set[str], raw: bytes) -> re.Pattern[str] | None:
    """Return what matches the secrets in free text: short ones only as words of their own."""
    words = [
        re.escape(each) if len(each) >= _SHORT_SECRET else rf"(?<!\w){re.escape(each)}(?!\w)"
        for each in sorted(found, key=len, reverse=True)
        if each.strip() and (_occurs(each, raw) or b"\\" in raw)
    ]
    return re.compile("|".join(words)) if words else None


def _hidden(raw: bytes, secret: re.Pattern[str], name: str, depth: int) -> bytes:
    """Mask the secrets in free texts below; facts keep theirs, unless they are an ERROR text."""
    first = _first(raw)
    if first == b'"':
        text = msgspec.json.decode(raw, type=str)
        if name in _FACTS and not _ERROR.match(text.strip()):
            return raw
        return msgspec.json.encode(secret.sub(MASK, text))
    if first not in (b"{", b"[") or depth > _DEEPEST or not _worth(raw, secret):
        return raw
    if first == b"[":
        items = _ITEMS.decode(raw)
        return msgspec.json.encode([Raw(_hidden(bytes(i), secret, name, depth + 1)) for i in items])
    fields = _FIELDS.decode(raw).items()
    return msgspec.json.encode(
        {key: Raw(_hidden(bytes(value), secret, key, depth + 1)) for key, value in fields}
    )


def _worth(raw: bytes, secret: re.Pattern[str]) -> bool:
    return b"\\" in raw or secret.search(raw.decode()) is not None


def _masked(body: bytes, secrets: Sequence[str]) -> bytes:
    """Mask a body that is no JSON: after "password" nothing is shown up to the next separator.

    Where letters may hide (escapes, another encoding) only the size is told.
    """
    if b"\0" in body or b"\\u" in body.lower() or not _decodes(body):
        return f"{MASK} ({len(body)} bytes that cannot be shown)".encode()
    text = _AFTER_THE_WORD.sub(f"password {MASK}", body.decode())
    for secret in filter(None, secrets):
        text = text.replace(secret, MASK)
    return text.encode()


def _decodes(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
