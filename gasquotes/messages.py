"""What crosses the wire to and from the Supply Point Quantities API: one question, three envelopes.

Builds the query and reads the reply, body before status. Plain Python: calls nobody, keeps nothing
and judges no quantity. No reason that it gives for an unreadable reply contains a value.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from core import postcode

PATH: Final = "/v1/Shipper.svc"
LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "mprn": 50,
        "address_id": 30,
        "postcode": 10,
        "house_no": 10,
        "sub_building_name": 40,
        "street": 40,
        "town": 40,
        "county": 3,
        "country": 3,
        "dependent_street": 40,
        "dependent_local": 40,
    }
)
# "Error Codes and Descriptions": every code as the specification spells it, with its fault string.
FAULT_STRINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "steps.regexprotection.ThreatDetected": "Regular expression threat is detected in the API "
        "request, please check the data entered.",
        "steps.oauth.v2.FailedToResolveAPIKey": "Application Key sent in API request is either "
        "empty or invalid.",
        "policies.custom.config.1": "Application creation process has not completed due to "
        "technical issues, please contact or raise a fault with the system administrator.",
        "policies.custom.config.2": "Application creation process has not completed due to "
        "technical issues, please contact or raise a fault with the system administrator.",
        "policies.custom.config.3": "Application creation process has not completed due to "
        "technical issues, please contact or raise a fault with the system administrator.",
        "policies.ratelimit.SpikeArrestViolation": "Number of API requests for [product] has "
        "exceeded the allowed spike limit of [__] per [minute].",
        "policies.ratelimit.QuotaViolation": "Number of API requests for [product] has exceeded "
        "the allowed quota limit of [__] per month.",
        "e001": "Request cannot be empty, please submit at least one unique identifier.",
        "e002": "Requested address has twin stream meter device. You are not authorised to view "
        "this data.",
        "e003": "Requested address has shared supply meter device. You are not authorised to view "
        "this data.",
        "e004": "Requested address has twin stream and shared supply meter device. You are not "
        "authorised to view this data.",
        "e005": "Requested address has extinct meter device. You are not authorised to view this "
        "data.",
        "e006": "Requested address has non domestic meter device. You are not authorised to view "
        "this data.",
        "e007": "Requested meter reference number is not found.",
        "e008": "Requested meter reference number has more than one matching records; data can "
        "only be provided for unique match.",
        "e009": "Submitted address details has multiple records; data is only provided for unique "
        "number.",
        "e010": "Unexpected error occurred while processing request",
        "e011": "Requested address has no matching record. This may be because, there is no gas "
        "meter at this property (or) full postcode with a space is not entered (or) the entered "
        "details are incorrect.",
    }
)
INVALID_KEY: Final = "oauth.v2.InvalidApiKey"
KEY: Final = "steps.oauth.v2.FailedToResolveAPIKey"
SPIKE: Final = "policies.ratelimit.SpikeArrestViolation"
QUOTA: Final = "policies.ratelimit.QuotaViolation"

_LONDON = ZoneInfo("Europe/London")
_LONGEST_CODE = 60
_LONGEST_SAID = 400
_MOST_DIGITS = 16  # "16,7": sixteen digits, at most seven of them after the point
_MOST_DECIMALS = 7
_BOM = b"\xef\xbb\xbf"
_MPRN = re.compile(r"[0-9]{6,10}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_E_CODE = re.compile(r"\be0(?:0[1-9]|1[01])\b", re.IGNORECASE)
# What msgspec raises for a body that is not JSON, not UTF-8 or nested without end.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class NotPromised(Exception):
    """The reply is not what the specification promises: neither a yes nor a no.

    `reason` names the field and the fault, never the value: it may be logged.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotAllowed(ValueError):
    """A question breaks the parameter table; `problems` says per field what to do, for people."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {each}" for name, each in problems.items()))
        self.problems = dict(problems)


# ---- The question: "Input Parameters" ------------------------------------------------------------

FilterKind = Literal["mprn", "address_id", "postcode", ""]
_DETAILS: Final = tuple(name for name in LENGTHS if name not in {"mprn", "address_id", "postcode"})


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What to look up: an MPRN, or an address ID, or a postcode with details of the address."""

    mprn: str = ""
    address_id: str = ""
    postcode: str = ""
    house_no: str = ""
    sub_building_name: str = ""
    street: str = ""
    town: str = ""
    county: str = ""
    country: str = ""
    dependent_street: str = ""
    dependent_local: str = ""

    @property
    def kind(self) -> FilterKind:
        """Which of the three filters it is; empty for none or more than one."""
        given: list[FilterKind] = []
        given += ["mprn"] if self.mprn.strip() else []
        given += ["address_id"] if self.address_id.strip() else []
        given += ["postcode"] if self.postcode.strip() else []
        return given[0] if len(given) == 1 else ""


def normalised(asked: Filter) -> Filter:
    """Return the filter as it is sent: single blanks, MPRN without any, postcode with its space."""
    plain = {name: " ".join(getattr(asked, name).split()) for name in LENGTHS}
    plain["mprn"] = normalise_mprn(asked.mprn)
    plain["postcode"] = postcode.normalise(asked.postcode)
    return Filter(**plain)


def filter_problems(asked: Filter) -> dict[str, str]:
    """Return a sentence per field that may not be sent; "" is about the whole. Empty: all well.

    "There are 3 different filters … at least 1 is mandatory": exactly one kind is sent, and the
    details of an address go with a postcode only.
    """
    plain = normalised(asked)
    found = {name: _field_problem(name, getattr(plain, name)) for name in LENGTHS}
    found[""] = _kind_problem(plain)
    return {name: problem for name, problem in found.items() if problem}


def build_query(asked: Filter) -> dict[str, str]:
    """Build the query of GET /v1/Shipper.svc; empty fields are left out. Raises NotAllowed."""
    if problems := filter_problems(asked):
        raise NotAllowed(problems)
    plain = normalised(asked)
    return {name: value for name in LENGTHS if (value := getattr(plain, name))}


def normalise_mprn(text: str) -> str:
    """Return an MPRN without the blanks and dashes that people write between its digits."""
    return re.sub(r"[\s‐-―−-]+", "", text)


def mprn_problem(text: str) -> str | None:
    """Return a sentence about text that cannot be an MPRN, else None; check digits: see rules."""
    mprn = normalise_mprn(text)
    if _MPRN.fullmatch(mprn):
        return None
    if not mprn:
        return "Write the MPRN, the meter point reference number on the gas bill."
    if re.fullmatch(r"[0-9]+", mprn):
        return f"An MPRN has 6 to 10 digits; this one has {len(mprn)}."
    return "An MPRN has digits only, 6 to 10 of them."


def same_mprn(one: str, other: str) -> bool:
    """Say whether both are the same meter point: zeros in front do not count."""
    return one.lstrip("0") == other.lstrip("0") != ""


def _field_problem(name: str, value: str) -> str | None:
    if not value:
        return None
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in value):
        return "This has signs that cannot be sent. Type it anew."
    if name == "mprn":
        return mprn_problem(value)
    if len(value) > LENGTHS[name]:
        return f"Write at most {LENGTHS[name]} characters; this has {len(value)}."
    if name == "postcode" and not postcode.is_valid_form(value):
        return "Write the full postcode, like AB24 3PU."
    return None


def _kind_problem(plain: Filter) -> str | None:
    if plain.kind == "postcode":
        return None
    details = any(getattr(plain, name) for name in _DETAILS)
    if plain.kind:
        return "Address details go with a postcode only: leave them empty." if details else None
    if plain.mprn or plain.address_id or plain.postcode:
        return "Give either the MPRN or the postcode, not both: one look-up asks one thing."
    if details:
        return "Write the postcode as well: address details alone find nothing."
    return "Write an MPRN, or a postcode with as much of the address as you have."


# ---- The reply: "Output Parameters" and "Error Codes" --------------------------------------------


class SupplyPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The 24 output parameters under their own names, as they came.

    Quantities are exact, in the unit that the service uses (a setting: it does not say). Text that
    is null or missing is "", a number or date None.
    """

    amr_indicator: str = ""
    country: str = ""
    county: str = ""
    csep_id: str = ""
    current_aq_roll_value: Decimal | None = None
    current_formula_year_aq_value: Decimal | None = None
    current_formula_year_soq_value: Decimal | None = None
    current_soq_roll_value: Decimal | None = None
    dependent_local: str = ""
    dependent_street: str = ""
    distribution_network_operator: str = ""
    exit_zone: str = ""
    house_no: str = ""
    local_distribution_zone: str = ""
    market_sector_code: str = ""
    mprn: str
    perspective_formula_year_aq_value: Decimal | None = None
    perspective_formula_year_effective_date: date | None = None
    perspective_formula_year_soq_value: Decimal | None = None
    postcode: str = ""
    street: str = ""
    sub_building_name: str = ""
    town: str = ""
    installation_number: str = ""

    @property
    def address(self) -> tuple[str, ...]:
        """The lines of the address that are there, postcode last."""
        street = " ".join(filter(None, (self.house_no, self.dependent_street or self.street)))
        further = self.street if self.dependent_street else ""
        lines = (self.sub_building_name, street, further, self.dependent_local, self.town)
        return tuple(line for line in (*lines, self.postcode) if line)


FIELDS: Final = SupplyPoint.__struct_fields__
_OUTPUT_LENGTHS: Final = {
    **LENGTHS,
    "amr_indicator": 3,
    "csep_id": 10,
    "distribution_network_operator": 40,
    "exit_zone": 10,
    "local_distribution_zone": 10,
    "market_sector_code": 10,
    "installation_number": 40,
    "perspective_formula_year_effective_date": 40,
}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the service or its gateway said instead of a record.

    `code` is spelled as the specification spells it, a foreign code stands as sent, and it is empty
    where only the HTTP status is known. `text` holds their words, cut and without control signs.
    """

    code: str
    text: str
    status: int


def parse_reply(status: int, body: bytes, asked: Filter) -> SupplyPoint | Said:
    """Read a reply: body first, then the status.

    Envelopes: {"mprn": {…}}; {"fault": {"faultstring", "detail": {"errorcode"}}} with any status,
    200 among them; {"statusCode", "message"}. Raises NotPromised for anything else that comes with
    a good status, and for a record about another meter point than `asked`.
    """
    reply = _object(body)
    if reply is None:
        return _status_only(status, "The reply is not a JSON object.")
    if "mprn" in reply and "fault" not in reply:
        return _record(status, reply["mprn"], asked)
    if "fault" in reply and "mprn" not in reply:
        return _fault(status, reply["fault"])
    if "statusCode" in reply and "message" in reply and "mprn" not in reply:
        return _gateway(reply)
    return _status_only(status, "The reply has none of the three promised forms.")


def _object(body: bytes) -> dict[str, Any] | None:
    """Decode a JSON object with numbers exact; NaN and Infinity are no JSON."""
    try:
        decoded = msgspec.json.Decoder(float_hook=_Number).decode(body.removeprefix(_BOM))
    except (*_UNREADABLE, ValueError):
        return None
    return decoded if isinstance(decoded, dict) else None


class _Number(str):
    """The text of a JSON number with a point or an exponent, kept until its size was judged."""

    __slots__ = ()


def _status_only(status: int, reason: str) -> Said:
    """Let an error status stand for itself; a good one with such a body promises nothing."""
    if status < 400:
        raise NotPromised(reason)
    return Said(code="", text="", status=status)


# ---- Envelope 1: a record ------------------------------------------------------------------------


def _record(status: int, record: Any, asked: Filter) -> SupplyPoint:
    if not isinstance(record, dict):
        raise NotPromised("mprn holds no record.")
    if status != 200:
        raise NotPromised(f"A record came with HTTP status {status}.")
    point = parse_supply_point(record)
    if asked.mprn and not same_mprn(point.mprn, normalise_mprn(asked.mprn)):
        raise NotPromised("The reply is about another MPRN than the one asked for.")
    return point


def parse_supply_point(record: Mapping[str, Any]) -> SupplyPoint:
    """Build a SupplyPoint from one decoded record; fields that it does not list are ignored.

    Raises NotPromised where the mprn is missing or no MPRN, or another field has a wrong type.
    """
    values = {name: _READERS[name](name, record.get(name)) for name in FIELDS}
    if _MPRN.fullmatch(values["mprn"]) is None:
        raise NotPromised("mprn is missing or not 6 to 10 digits.")
    return SupplyPoint(**values)


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, _Number):
        raise NotPromised(f"{name} is not text.")
    text = _visible(value)
    if len(text) > _OUTPUT_LENGTHS[name]:
        raise NotPromised(f"{name} is longer than {_OUTPUT_LENGTHS[name]} characters.")
    return text


def _quantity(name: str, value: Any) -> Decimal | None:
    """Read a "Decimal 16,7": a number, or text that is one. Never through a float."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise NotPromised(f"{name} is not a number.")
    text = value.strip() if isinstance(value, str) else _digits(value)
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise NotPromised(f"{name} is not a number.")
    return _bounded(name, Decimal(text))


def _digits(value: int) -> str:
    """Write an integer, or a stand-in that is refused: Python will not write an endless one."""
    return str(value) if abs(value) < 10**40 else "9" * 40


def _bounded(name: str, number: Decimal) -> Decimal:
    """Accept what the format holds, without the zeros that trail and without a minus zero."""
    if not number:
        return Decimal(0)
    before = max(0, number.adjusted() + 1)
    if before > _MOST_DIGITS:
        raise NotPromised(f"{name} is larger than its format allows.")
    plain = number.normalize()
    after = max(0, -int(plain.as_tuple().exponent))
    if after > _MOST_DECIMALS or before + after > _MOST_DIGITS:
        raise NotPromised(f"{name} has more digits than its format allows.")
    return plain.quantize(Decimal(1).scaleb(-after))


def _day(name: str, value: Any) -> date | None:
    """Read a date with or without a time. A time with a zone is a moment: its day is the local one.

    So 2027-03-31T23:00:00Z, which is midnight in London, is 1 April.
    """
    text = _text(name, value)
    if not text:
        return None
    form = _DATE.fullmatch(text)
    if form is None:
        raise NotPromised(f"{name} is not a date like 2016-10-01T00:00:00.000Z.")
    day, time, zone = form.groups()
    try:
        if not (time and zone):
            return date.fromisoformat(day)
        return datetime.fromisoformat(f"{day}T{time}{zone}").astimezone(_LONDON).date()
    except (ValueError, OverflowError):
        raise NotPromised(f"{name} is not a date of the calendar.") from None


_READERS: Final[dict[str, Any]] = {
    name: _quantity if name.endswith("_value") else _day if name.endswith("_date") else _text
    for name in FIELDS
}


# ---- Envelopes 2 and 3: a fault ------------------------------------------------------------------


def _fault(status: int, fault: Any) -> Said:
    """Read {"faultstring", "detail": {"errorcode"}}; a code may also stand in the text."""
    if not isinstance(fault, dict):
        return _status_only(status, "fault holds no object.")
    detail = fault.get("detail")
    sent = _said(detail.get("errorcode")) if isinstance(detail, dict) else ""
    text = _said(fault.get("faultstring"))
    if not sent and not text:
        return _status_only(status, "fault holds neither a code nor a sentence.")
    return Said(code=_code(sent, text), text=text, status=status)


def _gateway(reply: Mapping[str, Any]) -> Said:
    """Read {"statusCode", "message"}: its own status counts, it may have come with another one."""
    status, text = reply["statusCode"], _said(reply["message"])
    if isinstance(status, str) and re.fullmatch(r"[1-5][0-9]{2}", status):
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise NotPromised("statusCode is not an HTTP status.")
    code = _code("", text)
    if status < 400 and not code:
        raise NotPromised("A message came without a code and without an error status.")
    return Said(code=code, text=text, status=status)


def _bare(code: str) -> str:
    """Return a code without the prefix that gateways add or leave out."""
    return code.casefold().removeprefix("steps.").removeprefix("policies.")


_KNOWN: Final = {_bare(code): code for code in (*FAULT_STRINGS, INVALID_KEY)}


def _code(sent: str, text: str) -> str:
    """Return the documented spelling of a code, or find it in the text; a foreign one stays."""
    return _KNOWN.get(_bare(sent)) or _code_in(text) or sent[:_LONGEST_CODE]


def _code_in(text: str) -> str:
    """Find the code that a sentence without one stands for."""
    if found := _E_CODE.search(text):
        return found.group().lower()
    plain = _letters(text)
    for code, sentence in FAULT_STRINGS.items():
        known = _letters(sentence.partition("[")[0]) if "[" not in sentence else ""
        if known and plain.startswith(known):
            return code
    return next((code for words, code in _WORDS if all(word in plain for word in words)), "")


# The sentences with blanks to be filled, and what gateways of this kind say for the same.
_WORDS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("quota",), QUOTA),
    (("spike", "limit"), SPIKE),
    (("spikearrest",), SPIKE),
    (("ratelimit",), SPIKE),
    (("invalid", "key"), INVALID_KEY),
    (("missing", "key"), KEY),
    (("resolve", "key"), KEY),
)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.casefold())


def _said(value: Any) -> str:
    return _visible(value[: _LONGEST_SAID * 2])[:_LONGEST_SAID] if isinstance(value, str) else ""


def _visible(text: str) -> str:
    """Return text on one line without control signs, for they are no part of a name."""
    if text.isascii() and text.isprintable():
        return text.strip()
    kept = (" " if unicodedata.category(sign) in {"Cc", "Cs"} else sign for sign in text)
    return " ".join("".join(kept).split())
