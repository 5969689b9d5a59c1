"""What the installation registry says: the MCS SEG API, issue 1.1 of 21 November 2019.

Parses a reply of GetInstallation and the certificate numbers that people type. Plain Python: it
calls nobody, keeps nothing and decides nothing about an applicant.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

SOLAR_PV: Final = 10
UNSPECIFIED: Final = 0
IN_PROGRESS: Final = 1
CREATED: Final = 2
WITHDRAWN: Final = 3
REMOVED: Final = 4
NOTIFY_AFTERWARDS: Final = 1
CONSENT_BEFORE: Final = 2
NOT_APPLICABLE: Final = 3

# "Lookup Values", spelled as the specification spells them.
STATUS: Final[dict[int, str]] = {
    1: "In Progress",
    2: "Created",
    3: "Withdrawn",
    4: "Removed",
}
INSTALLATION_TYPE: Final[dict[int, str]] = {
    0: "Unspecified",
    1: "Domestic",
    2: "Non-Domestic",
}
DNO_CONNECTION: Final[dict[int, str]] = {
    0: "Unspecified",
    1: "To be notified post connection and commissioning",
    2: "Consent to connect obtained prior to connection and commissioning",
    3: "Not Applicable",
}
TECHNOLOGY: Final[dict[int, str]] = {
    0: "Unspecified",
    1: "Air Source Heat Pump",
    2: "Biomass",
    3: "Ground Source Heat Pump",
    4: "Ground/Water source Heat Pump",
    6: "Hot Water Heat Pump",
    7: "Hydro",
    8: "Micro CHP",
    9: "Solar Keymark",
    10: "Solar PV",
    13: "Wind Turbine",
    14: "Exhaust Air Heat Pump",
    15: "Water Source Heat Pump",
    16: "Gas Absorbtion Heat Pump",
    17: "Solar Assisted Heat Pump",
    18: "Solar Thermal",
}
COUNTY: Final[dict[int, str]] = {
    0: "Unspecified",
    1: "n/a",
    2: "Buckinghamshire",
    3: "Cambridgeshire",
    4: "Cheshire",
    5: "Cleveland",
    6: "Cornwall",
    7: "Cumbria",
    8: "Derbyshire",
    9: "Devon",
    10: "Dorset",
    11: "Durham",
    12: "East Sussex",
    13: "Essex",
    14: "Gloucestershire",
    15: "Greater London",
    16: "Greater Manchester",
    17: "Hampshire",
    18: "Hertfordshire",
    19: "Kent",
    20: "Lancashire",
    21: "Leicestershire",
    22: "Lincolnshire",
    23: "London",
    24: "Merseyside",
    25: "Norfolk",
    26: "North Yorkshire",
    27: "Northamptonshire",
    28: "Northumberland",
    29: "Nottinghamshire",
    30: "Oxfordshire",
    31: "Shropshire",
    32: "Somerset",
    33: "South Yorkshire",
    34: "Staffordshire",
    35: "Suffolk",
    36: "Surrey",
    37: "Tyne and Wear",
    38: "Warwickshire",
    39: "West Berkshire",
    40: "West Midlands",
    41: "West Sussex",
    42: "West Yorkshire",
    43: "Wiltshire",
    44: "Worcestershire",
    45: "Flintshire",
    46: "Glamorgan",
    47: "Merionethshire",
    48: "Monmouthshire",
    49: "Montgomeryshire",
    50: "Pembrokeshire",
    51: "Radnorshire",
    52: "Anglesey",
    53: "Breconshire",
    54: "Caernarvonshire",
    55: "Cardiganshire",
    56: "Carmarthenshire",
    57: "Denbighshire",
    58: "Aberdeen City",
    59: "Aberdeenshire",
    60: "Angus",
    61: "Argyll and Bute",
    62: "City of Edinburgh",
    63: "Clackmannanshire",
    64: "Dumfries and Galloway",
    65: "Dundee City",
    66: "East Ayrshire",
    67: "East Dunbartonshire",
    68: "East Lothian",
    69: "East Renfrewshire",
    70: "Eilean Siar",
    71: "Falkirk",
    72: "Fife",
    73: "Glasgow City",
    74: "Highland",
    75: "Inverclyde",
    76: "Midlothian",
    77: "Moray",
    78: "North Ayrshire",
    79: "North Lanarkshire",
    80: "Orkney Islands",
    81: "Perth and Kinross",
    82: "Renfrewshire",
    83: "Scottish Borders",
    84: "Shetland Islands",
    85: "South Ayrshire",
    86: "South Lanarkshire",
    87: "Stirling",
    88: "West Dunbartonshire",
    89: "West Lothian",
    90: "Antrim",
    91: "Armagh",
    92: "Down",
    93: "Fermanagh",
    94: "Derry and Londonderry",
    95: "Tyrone",
}

_LARGEST_LOOKUP = 2**31 - 1
_LARGEST_AMOUNT = Decimal(10) ** 14  # "16:2": sixteen digits, two of them after the point
_LONGEST_CERTIFICATE = 255
_USUAL_DIGITS = 8
_EXAMPLE = "MCS-90417326-K"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_DASHES = re.compile(r"[‐-―−﹘﹣]")
_FULL_WIDTH = {0xFF01 + sign: 0x21 + sign for sign in range(94)}  # as some keyboards type
_USUAL_FORM = re.compile(r"(?:MCS-*)?([0-9]+)-*([A-Z])|MCS-*([0-9]+)-*")


class NotPromised(Exception):
    """The reply is not what the specification promises: neither a yes nor a no.

    `reason` names the property and the fault, never the value: it may be logged.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate as the registry has it ("GetInstallation/{#}").

    Capacities in kW, yearly generation in kWh, both exact. Optional properties that are null,
    missing or blank are None. `created_at` has no zone because the specification names none.
    """

    certificate: str
    status: int
    technology: int
    created_at: datetime | None = None
    commissioning_date: date | None = None
    technology_description: str | None = None
    address_line_1: str | None = None
    address_line_2: str | None = None
    address_line_3: str | None = None
    county: int | None = None
    county_description: str | None = None
    postcode: str | None = None
    mpan: str | None = None
    total_capacity: Decimal | None = None
    estimated_annual_generation: Decimal | None = None
    status_description: str | None = None
    generation_meter_serial_number: str | None = None
    generation_meter_reading: str | None = None
    declared_net_capacity: Decimal | None = None
    installation_type: int | None = None
    installation_type_description: str | None = None
    dno_notification: int | None = None
    dno_notification_description: str | None = None

    @property
    def address(self) -> tuple[str, ...]:
        """The address lines that are there, in order."""
        lines = (self.address_line_1, self.address_line_2, self.address_line_3)
        return tuple(line for line in lines if line)


def read_reply(status: int, body: bytes, asked: str) -> Installation | None:
    """Return the installation that a reply of GetInstallation holds, or None for "no such one".

    The body is read before the status. None stands for status 400 ("API executed by supplied
    parameter yielded no results") and for an empty list with 200. One object or a list of one is
    accepted. Raises NotPromised for everything else, also when the reply is about another number
    than `asked`.
    """
    if status == 400:
        _refuse_contradiction(body)
        return None
    if status != 200:
        raise NotPromised(f"HTTP status {status} is no answer of GetInstallation.")
    item = _only_item(_decode(body))
    if item is None:
        return None
    installation = parse_installation(item)
    if normalise_certificate(installation.certificate) != normalise_certificate(asked):
        raise NotPromised("The reply is about another certificate than the one asked for.")
    return installation


def parse_installation(item: Mapping[str, Any]) -> Installation:
    """Build an Installation from one decoded JSON object; unknown properties are ignored.

    Raises NotPromised when CertificateNumber, Status or Technology is missing or a type or format
    is not the one of the property table.
    """
    kind, kind_description = _installation_type(item)
    return Installation(
        certificate=_required_text(item, "CertificateNumber", 255),
        status=_required_lookup(item, "Status"),
        technology=_required_lookup(item, "Technology"),
        created_at=_moment(item, "CreatedDate"),
        commissioning_date=_date(item, "CommissioningDate"),
        technology_description=_text(item, "Technology_Description", 255),
        address_line_1=_text(item, "AddressLine1", 255),
        address_line_2=_text(item, "AddressLine2", 255),
        address_line_3=_text(item, "AddressLine3", 255),
        county=_lookup(item, "County"),
        county_description=_text(item, "County_Description", 255),
        postcode=_text(item, "Postcode", 10),
        mpan=_text(item, "MPAN", 255),
        total_capacity=_amount(item, "TotalCapacity"),
        estimated_annual_generation=_amount(item, "EstimatedAnnualGeneration"),
        status_description=_text(item, "Status_Description", 50),
        generation_meter_serial_number=_text(item, "GenerationMeterSerialNumber", 100),
        generation_meter_reading=_text(item, "GenerationMeterReading", 50),
        declared_net_capacity=_amount(item, "DeclaredNetCapacity"),
        installation_type=kind,
        installation_type_description=kind_description,
        dno_notification=_lookup(item, "DNONotificationCompliance"),
        dno_notification_description=_text(item, "DNONotificationCompliance_Description", 255),
    )


def normalise_certificate(text: str) -> str:
    """Return a certificate number as the registry writes it, such as MCS-01109073-U.

    Forgives case, spaces, other dashes, missing dashes and a missing MCS. Any other form only
    loses its spaces and small letters, so that the registry can answer for itself.
    """
    plain = _DASHES.sub("-", text.translate(_FULL_WIDTH))
    compact = re.sub(r"\s+", "", plain).upper().strip("-")
    form = _USUAL_FORM.fullmatch(compact)
    if form is None:
        return compact
    digits, letter, digits_alone = form.groups()
    return f"MCS-{digits}-{letter}" if letter else f"MCS-{digits_alone}"


def certificate_problem(text: str) -> str | None:
    """Return a sentence about a number that cannot be one at all, else None.

    Refuses only the empty, the endless ("String 255"), the one without digits and the one with
    signs that no certificate has; other lengths are for the registry to judge.
    """
    number = normalise_certificate(text)
    if not number:
        return f"Write the number on your MCS certificate, like {_EXAMPLE}."
    if len(number) > _LONGEST_CERTIFICATE:
        return f"This is too long for a certificate number. Write only the number, like {_EXAMPLE}."
    if re.fullmatch(r"[A-Z0-9-]+", number) is None:
        return f"Use only letters, digits and dashes, like {_EXAMPLE}."
    if re.search(r"[0-9]", number) is None:
        return f"A certificate number has digits in it, like {_EXAMPLE}."
    return None


def certificate_warning(text: str) -> str | None:
    """Return a sentence about a number that is probably mistyped, else None. Never a refusal.

    "Number format seen" is all that is known: MCS-, 8 digits, a dash and one letter.
    """
    form = _USUAL_FORM.fullmatch(normalise_certificate(text))
    if form is None:
        return None
    digits = form.group(1) or form.group(3)
    if len(digits) != _USUAL_DIGITS:
        only = "only " if len(digits) < _USUAL_DIGITS else ""
        return f"Write all 8 digits, like {_EXAMPLE}. We found {only}{len(digits)}."
    if not form.group(2):
        return f"Write the letter at the end as well, like {_EXAMPLE}."
    return None


def _refuse_contradiction(body: bytes) -> None:
    """Accept any body with a 400 except one that holds an installation after all."""
    try:
        item = _only_item(_decode(body))
    except NotPromised:
        return
    if item is not None and "CertificateNumber" in item:
        raise NotPromised("HTTP status 400 came with an installation in the reply.")


def _decode(body: bytes) -> Any:
    """Decode JSON with exact decimals; NaN and Infinity are no JSON."""
    if not body.strip():
        raise NotPromised("The reply is empty.")
    try:
        decoder = msgspec.json.Decoder(float_hook=Decimal)
        return decoder.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, ArithmeticError, RecursionError):
        raise NotPromised("The reply is not JSON.") from None


def _only_item(decoded: Any) -> Mapping[str, Any] | None:
    """Return the one object of a reply, or None for an empty list."""
    if decoded == []:
        return None
    if isinstance(decoded, list):
        if len(decoded) > 1:
            raise NotPromised(f"The reply lists {len(decoded)} installations instead of one.")
        decoded = decoded[0]
    if not isinstance(decoded, dict):
        raise NotPromised("The reply is not an object.")
    return decoded


def _text(item: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = item.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise NotPromised(f"{name} is not text.")
    value = value.strip()
    if len(value) > longest:
        raise NotPromised(f"{name} is longer than {longest} characters.")
    return value or None


def _required_text(item: Mapping[str, Any], name: str, longest: int) -> str:
    value = _text(item, name, longest)
    if value is None:
        raise NotPromised(f"{name} is missing.")
    return value


def _lookup(item: Mapping[str, Any], name: str) -> int | None:
    """Read an ID of a look-up table; whether the table lists it is not judged here."""
    value = item.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_LOOKUP:
        raise NotPromised(f"{name} is not a whole number.")
    return value


def _required_lookup(item: Mapping[str, Any], name: str) -> int:
    value = _lookup(item, name)
    if value is None:
        raise NotPromised(f"{name} is missing.")
    return value


def _amount(item: Mapping[str, Any], name: str) -> Decimal | None:
    """Read a decimal, written as a number or as text with a number in it."""
    value: Any = item.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NotPromised(f"{name} is not a number.")
    amount = Decimal(value)
    if abs(amount) >= _LARGEST_AMOUNT:
        raise NotPromised(f"{name} is larger than its format allows.")
    return amount


def _date(item: Mapping[str, Any], name: str) -> date | None:
    text = _text(item, name, 255)
    if text is None:
        return None
    if _DATE.fullmatch(text) is None:
        raise NotPromised(f"{name} is not a date like yyyy-MM-dd.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotPromised(f"{name} is not a date of the calendar.") from None


def _moment(item: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(item, name, 255)
    if text is None:
        return None
    if _MOMENT.fullmatch(text) is None:
        raise NotPromised(f"{name} is not a time like yyyy-MM-dd HH:mm:ss.")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise NotPromised(f"{name} is not a time of the calendar.") from None


def _installation_type(item: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Read InstallationType as the promised integer or as the text seen elsewhere."""
    description = _text(item, "InstallationType_Description", 255)
    if not isinstance(item.get("InstallationType"), str):
        return _lookup(item, "InstallationType"), description
    text = _text(item, "InstallationType", 255)
    if text is None:
        return None, description
    for number, name in INSTALLATION_TYPE.items():
        if text.casefold() in {name.casefold(), str(number)}:
            return number, description or name
    return None, description or text
