"""What crosses the wire to the market message service (Safe Isolation Provider API, version 4).

The worksheet is data: seven blocks and their fields in the specification's order, from which the
forms, the check page, the readable copy and the message all come. It judges nothing: see rules.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

Value = bool | int | str | list[str] | None
Answers = Mapping[str, Mapping[str, Value]]  # block name, field name, value

MOST_RATES: Final = 9
NOT_PREVENTED: Final = "No"
_LONDON = ZoneInfo("Europe/London")


class Kind(StrEnum):
    """What a field holds, and so how it is asked for."""

    BOOLEAN = "boolean"
    TEXT = "text"
    CODE = "code"  # one value of a code list that staff edit; an unknown one is flagged
    LIST = "list"  # several values of such a list
    INTEGER = "integer"
    DIGITS = "digits"  # text of digits only, leading zeros kept
    TIME = "time"  # ISO 8601 in UTC with milliseconds, "2025-01-08T12:05:00.000Z"
    DATE = "date"  # "2025-01-28"
    PHOTO = "photo"  # a file of its own; base64 only while it is sent


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a block.

    `codes` names its code list, `choices` is a closed set instead. `required` holds when the block
    is sent; fields that depend on others are in rules. `private` is health, risk or free notes.
    """

    name: str
    kind: Kind
    label: str
    required: bool = False
    codes: str = ""
    choices: tuple[str, ...] = ()
    hint: str = ""
    longest: int = 500
    private: bool = False


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One block of the worksheet, one page of the engineer's phone."""

    name: str
    title: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field with this name. Raises KeyError."""
        for each in self.fields:
            if each.name == name:
                return each
        raise KeyError(name)


def _yes_no(name: str, label: str, *, required: bool = True, private: bool = False) -> Field:
    return Field(name=name, kind=Kind.BOOLEAN, label=label, required=required, private=private)


def _text(name: str, label: str, **more: Any) -> Field:
    return Field(name=name, kind=Kind.TEXT, label=label, **more)


def _code(name: str, label: str, codes: str = "", **more: Any) -> Field:
    return Field(name=name, kind=Kind.CODE, label=label, codes=codes or name, longest=100, **more)


def _photo(name: str, label: str) -> Field:
    return Field(name=name, kind=Kind.PHOTO, label=label)


def _reading(number: int) -> Field:
    name = f"rate_{number}_reading"
    return Field(name=name, kind=Kind.DIGITS, label=f"Reading of rate {number}", longest=12)


JOB_DETAILS: Final = Block(
    name="job_details",
    title="Job details",
    fields=(
        _text("job_id", "Job id", required=True, hint="made by the portal, once for a job"),
        _text("mpan", "MPAN", required=True, longest=13),
        _text("supplier_mpid", "Supplier’s MPID", required=True, longest=4),
        _text("contact_name", "Person on site", required=True, longest=100),
        _text("address", "Address", required=True, longest=200, hint="flat, house and street"),
        _text("town", "Town", required=True, longest=100),
        _text("post_code", "Postcode", required=True, longest=8),
        _text("contact_telephone", "Telephone", required=True, longest=30),
        _text("customer_vulnerability", "Known vulnerability of the customer", private=True),
        _text("site_risk", "Known risk at the site", private=True),
    ),
)
CUSTOMER_CONTACT: Final = Block(
    name="customer_contact",
    title="Customer contact",
    fields=(
        _yes_no("contact_made", "Did you reach the customer?"),
        _code("call_outcome", "What came of the call?", required=True),
        _yes_no("arrived_on_site", "Did you arrive on site?"),
        _yes_no("able_to_access_property", "Could you get into the property?"),
        _yes_no(
            "critical_medical_equipment",
            "Is there critical medical equipment?",
            private=True,
        ),
        _text("critical_medical_equipment_info", "Which medical equipment?", private=True),
        _yes_no("third_party_presence", "Must somebody else be there?", private=True),
        _text("third_party_presence_info", "Who must be there, and why?", private=True),
        _code(
            "prevented_to_proceed",
            "Did anything prevent you from going ahead?",
            required=True,
            private=True,
            hint="“No”, or what prevented you",
        ),
    ),
)
RISK_ASSESSMENT: Final = Block(
    name="risk_assessment",
    title="Risk assessment",
    fields=(
        _yes_no("engineer_competent", "Are you trained for this job?"),
        _yes_no("suitable_environment", "Is the place safe to work in?"),
        _yes_no("suitable_heights", "Can you reach everything safely?"),
        Field(
            name="site_risk_list",
            kind=Kind.LIST,
            label="Which risks are there?",
            codes="site_risk_list",
            required=True,
            longest=100,
            private=True,
        ),
        _yes_no("safe_to_continue", "Is it safe to go on?"),
        _yes_no("meter_access_clear", "Can you reach the meter?"),
        _yes_no("site_energised", "Is the supply on?"),
        _yes_no("energisation_only_job", "Is this job only about switching on?"),
    ),
)
METER: Final = Block(
    name="meter",
    title="Meter",
    fields=(
        _text("serial_number", "Serial number", required=True, longest=20),
        _code("location", "Where is the meter?", "meter_location", required=True),
        _code("reading_available", "Can you read the meter?", required=True),
        Field(
            name="no_of_rates",
            kind=Kind.DIGITS,
            label="How many rates?",
            choices=tuple(f"{number:02}" for number in range(1, MOST_RATES + 1)),
        ),
        Field(name="number_of_dials", kind=Kind.INTEGER, label="How many digits has a reading?"),
        *(_reading(number) for number in range(1, MOST_RATES + 1)),
        _yes_no("smart_meter", "Is it a smart meter?"),
        _code("comms_state", "What does its communications light do?"),
        _photo("photo", "Photo of the meter"),
    ),
)
SITE_SAFETY: Final = Block(
    name="site_safety",
    title="Site safety",
    fields=(
        _yes_no("polarity_test_passed", "Did the polarity test pass?"),
        _code("dno_issue", "Defect of the network operator’s equipment: category"),
        _code("dno_code_a", "Code of the category A defect"),
        _code("dno_code_b", "Code of the category B defect"),
        _code("dno_code_c", "Code of the category C defect"),
        _text("dno_comment", "What is wrong with it?"),
        _code("metering_equipment_issues", "Fault of the metering equipment"),
        _text("meter_issue_comment", "What is wrong with the metering equipment?"),
        _code("tampering_code", "Signs of tampering"),
        _text("tamper_comment", "What did you see?"),
        _yes_no("consumer_issue", "Is something wrong with the customer’s own equipment?"),
        _code("consumer_issue_type", "What kind of fault is it?"),
        _yes_no("can_continue", "Can you go on with the job?"),
    ),
)
JOB_EXECUTION: Final = Block(
    name="job_execution",
    title="The work",
    fields=(
        _photo("pre_job_photo", "Photo before the work"),
        _code("action_required", "What was to be done?", required=True),
        _yes_no("site_de_energised", "Did you switch the supply off?"),
        Field(name="de_energisation_time", kind=Kind.TIME, label="When did you switch it off?"),
        _yes_no("site_re_energised", "Did you switch the supply on again?"),
        Field(name="re_energisation_time", kind=Kind.TIME, label="When did you switch it on?"),
        _yes_no("fuse_resealed", "Did you reseal the fuse?"),
        _photo("post_resealing_photo", "Photo of the new seal"),
        _yes_no("isolator_fitted", "Did you fit an isolator?"),
        _text("isolator_failure_reason", "Why was no isolator fitted?"),
        _yes_no("meter_tails_upgraded", "Did you renew the meter tails?"),
        _code("meter_tails_supplier", "Who supplied the meter tails?"),
        _yes_no("polarity_test_passed", "Did the polarity test pass afterwards?"),
        _code("comms_state", "What does the communications light do now?"),
        _photo("post_job_photo", "Photo after the work"),
    ),
)
JOB_COMPLETION: Final = Block(
    name="job_completion",
    title="Result",
    fields=(
        _code("outcome", "How did the job end?", required=True),
        Field(name="date_of_action", kind=Kind.DATE, label="On which day?", required=True),
        _code("abort_category", "Why was it aborted?"),
        _code("abort_engineer_risk_equipment", "Abort code: engineer, risk or equipment"),
        _code("abort_meter_equipment", "Abort code: metering equipment"),
        _code("abort_access", "Abort code: access"),
        _code("abort_safety", "Abort code: safety"),
        _code("abort_supply", "Abort code: supply"),
        _code("abort_tampering", "Abort code: tampering"),
        _code("notices_issued", "Which notices did you leave?", required=True),
        _text("job_notes", "Notes about the job", longest=2000, private=True),
    ),
)
WORKSHEET: Final = (
    JOB_DETAILS,
    CUSTOMER_CONTACT,
    RISK_ASSESSMENT,
    METER,
    SITE_SAFETY,
    JOB_EXECUTION,
    JOB_COMPLETION,
)
BLOCKS: Final = {block.name: block for block in WORKSHEET}
ABORT_CODES: Final = tuple(
    field.name
    for field in JOB_COMPLETION.fields
    if field.name.startswith("abort_") and field.name != "abort_category"
)
CODE_LISTS: Final = tuple(
    dict.fromkeys(field.codes for block in WORKSHEET for field in block.fields if field.codes)
)


def every_field() -> Iterator[tuple[Block, Field]]:
    """Every field with its block, in the order of the message."""
    for block in WORKSHEET:
        for field in block.fields:
            yield block, field


def photo_keys() -> tuple[str, ...]:
    """Where photos belong, as "block.field"."""
    fields = every_field()
    return tuple(f"{block.name}.{each.name}" for block, each in fields if each.kind is Kind.PHOTO)


# ---- The message -------------------------------------------------------------------------------


def build_message(answers: Answers, photos: Mapping[str, bytes]) -> bytes:
    """Return the JSON body of POST /v4/sip: exactly these answers, in the specification's order.

    `answers` hold what is to be sent (`rules.sent`); a block that is not there is left out, and so
    is an unanswered field. `photos` maps "block.field" to a JPEG, which becomes base64.
    """
    shown = {key: base64.b64encode(content).decode() for key, content in photos.items()}
    return _encode(answers, shown)


def build_outline(answers: Answers, hashes: Mapping[str, str]) -> str:
    """Return the same message with each photo's mark, made of its SHA-256, in its place."""
    return _encode(answers, {key: _mark(sha256) for key, sha256 in hashes.items()}).decode()


def fill_outline(outline: str, photos: Mapping[str, bytes]) -> bytes:
    """Put photos (by SHA-256) where their marks are: the bytes that `build_message` made."""
    for sha256, content in photos.items():
        encoded = base64.b64encode(content).decode()
        outline = outline.replace(f'"{_mark(sha256)}"', f'"{encoded}"')
    return outline.encode()


def _mark(sha256: str) -> str:
    return f"photo sha256:{sha256}"


def _encode(answers: Answers, photos: Mapping[str, str]) -> bytes:
    body = {
        block.name: dict(_block_values(block, answers[block.name], photos))
        for block in WORKSHEET
        if block.name in answers
    }
    return msgspec.json.encode(body)


def _block_values(
    block: Block, given: Mapping[str, Value], photos: Mapping[str, str]
) -> Iterator[tuple[str, Value]]:
    for field in block.fields:
        if field.kind is Kind.PHOTO:
            value: Value = photos.get(f"{block.name}.{field.name}")
        else:
            value = given.get(field.name)
        if value not in (None, "", []):
            yield field.name, value


def private_texts(answers: Answers) -> list[str]:
    """List what people wrote or chose in private fields, for taking it out of anything logged."""
    found: list[str] = []
    for block, field in every_field():
        value = answers.get(block.name, {}).get(field.name) if field.private else None
        found += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    common = {NOT_PREVENTED.casefold(), "yes"}
    return [text for text in found if len(text) > 2 and text.casefold() not in common]


def read_answers(body: bytes | str) -> dict[str, dict[str, Value]]:
    """Read a message of ours back into answers; photos stay as the text that stands for them."""
    decoded: dict[str, dict[str, Value]] = msgspec.json.decode(body)
    return decoded


# ---- Words -------------------------------------------------------------------------------------


def words(field: Field, value: Value) -> str:
    """Say a value in the engineer's words; times in London."""
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    if field.kind is Kind.TIME and (moment := read_time(value)):
        return f"{moment.astimezone(_LONDON):%-d %B %Y, %H:%M}"
    if field.kind is Kind.DATE and (day := read_date(value)):
        return f"{day:%-d %B %Y}"
    return str(value)


_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def read_time(value: Value) -> datetime | None:
    """Read a time as the specification writes it; None for anything else."""
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def write_time(moment: datetime) -> str:
    """Write a time as the specification does: UTC, with milliseconds."""
    at = moment.astimezone(ZoneInfo("UTC"))
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def read_date(value: Value) -> date | None:
    """Read a date as the specification writes it; None for anything else."""
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


# ---- Their reply -------------------------------------------------------------------------------

LONGEST_SAID: Final = 1000
LONGEST_REPLY: Final = 100_000
_MOST_DETAILS: Final = 200
_DEEPEST: Final = 12
_NO = ("error", "fail", "reject", "refus", "invalid", "denied", "unsuccess", "notaccept")
_WHERE = ("field", "path", "loc", "location", "property", "param", "parameter", "pointer")
_WHERE_TOO = ("instancepath", "datapath", "key", "name", "fieldname", "propertyname", "target")
_WHAT = ("message", "msg", "reason", "description", "detail", "error", "errormessage", "title")
_ENVELOPE = ("errors", "error", "details", "detail", "issues", "violations", "fields", "validation")
_ABOUT_ALL = {"status", "statuscode", "code", "requestid", "scenario", "scenarioid", "timestamp"}


class NotPromised(Exception):
    """The reply is not what the specification promises: neither a yes nor a no.

    `reason` never repeats a value of the reply: it may be logged.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of an accepted request (3.1): status, message, request I.D and scenario."""

    status: str
    request_id: str
    scenario: str
    message: str = ""


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """One reason of a refusal. `path` is where, as they name it, with dots; perhaps empty."""

    text: str
    path: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was not accepted: their sentence, each detail, and the whole text."""

    message: str
    details: tuple[Detail, ...]
    text: str


def read_acceptance(body: bytes) -> Acceptance:
    """Read the reply of an accepted request, whatever the exact spelling of its keys.

    Status, request I.D and scenario must be there; the status must not say no, and one that is a
    number must be 2xx. Raises NotPromised.
    """
    decoded = _decode(body)
    if not isinstance(decoded, dict):
        raise NotPromised("The reply is not an object.")
    found = {_plain(key): value for key, value in list(decoded.items())[:100]}
    status = _said(found, "status")
    if _says_no(status) or found.get("errors"):
        raise NotPromised("The reply says that something is wrong.")
    if not isinstance(found.get("message", ""), str | None):
        raise NotPromised("The message of the reply is not text.")
    return Acceptance(
        status=status,
        request_id=_said(found, "requestid", "request", "reqid"),
        scenario=_said(found, "scenario", "scenarioid", "scenarioname"),
        message=_optional(found, "message", "msg"),
    )


def _says_no(status: str) -> bool:
    plain = _plain(status)
    if plain.isdigit():
        return not 200 <= int(plain) < 300
    return any(word in plain for word in _NO)


def read_refusal(body: bytes) -> Refusal:
    """Read what a refused request came back with, in any shape; never raises."""
    text = printable(body[:LONGEST_REPLY].decode("utf-8", "replace"), LONGEST_REPLY)
    try:
        decoded = _decode(body)
    except NotPromised:
        return Refusal(message="", details=(), text=text)
    message = ""
    if isinstance(decoded, dict):
        found = {_plain(key): value for key, value in list(decoded.items())[:100]}
        message = _optional(found, "message", "msg", "error", "detail", "title")
    seen = dict.fromkeys(_details(decoded, (), 0))
    about_all = Detail(text=message)
    details = [each for each in seen if each != about_all and each.text]
    return Refusal(message=message, details=tuple(details[:_MOST_DETAILS]), text=text)


def _decode(body: bytes) -> Any:
    if not body.strip():
        raise NotPromised("The reply is empty.")
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        raise NotPromised("The reply is not JSON.") from None


def _plain(text: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(text)[:200].casefold())


def printable(text: str, longest: int = LONGEST_SAID) -> str:
    """Return text that can be stored and shown: no control characters, a bounded length."""
    shown = "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in text)
    return shown.strip()[:longest]


def _scalar(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return printable(str(value)[: 2 * LONGEST_SAID])


def _optional(found: Mapping[str, Any], *names: str) -> str:
    return next((said for name in names if (said := _scalar(found.get(name)))), "")


def _said(found: Mapping[str, Any], *names: str) -> str:
    said = _optional(found, *names)
    if not said:
        raise NotPromised(f"The reply has no {names[0]}.")
    return said[:200]


def _details(value: Any, path: tuple[str, ...], depth: int) -> Iterator[Detail]:
    """Walk through a refusal: objects that name a field, lists, texts, nested in any way."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield from _object_details(value, path, depth)
    elif isinstance(value, list):
        for each in value[:_MOST_DETAILS]:
            yield from _details(each, path, depth + 1)
    elif said := _scalar(value):
        yield Detail(text=said, path=".".join(path)[:200])


def _object_details(
    value: Mapping[str, Any], path: tuple[str, ...], depth: int
) -> Iterator[Detail]:
    keys = {_plain(key): key for key in list(value)[:_MOST_DETAILS]}
    where = next((keys[name] for name in (*_WHERE, *_WHERE_TOO) if name in keys), None)
    what = next((keys[name] for name in _WHAT if name in keys), None)
    if where is not None and what is not None and _scalar(value[what]):
        place = (*path, *_steps(value[where]))
        yield Detail(text=_scalar(value[what]), path=".".join(place)[:200])
        return
    for plain, key in keys.items():
        if plain in _ABOUT_ALL:
            continue
        deeper = path if plain in (*_ENVELOPE, *_WHAT) else (*path, str(key)[:100])
        yield from _details(value[key], deeper, depth + 1)


def _steps(where: object) -> Sequence[str]:
    parts = where if isinstance(where, list) else re.split(r"[./\[\]]+", str(where)[:200])
    return [str(part)[:100] for part in parts[:_DEEPEST] if str(part).strip("$ ")]
