"""One certificate of the played registry: what the API says, and who would apply with it.

Every property of the specification's table is present unless the certificate says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sandbox.parties.registry.mpan import export_mpan, import_mpan
from sandbox.parties.registry.tables import LOOK_UPS, PROPERTIES

PEOPLE = (
    "Wren Halloway",
    "Odile Kestrin",
    "Piers Lonan",
    "Tamsin Orrell",
    "Idris Wexley",
    "Maud Fennimore",
    "Callum Breck",
    "Sorcha Quill",
    "Jory Pasketh",
    "Nerys Alderfen",
    "Bram Ostley",
    "Hettie Marrow",
    "Lowri Tanfield",
    "Ansel Coombrake",
    "Petra Dunmarsh",
    "Ivo Larkspur",
    "Greta Holmwick",
    "Rafe Sandilow",
    "Una Thackery",
    "Emrys Volland",
)


class Form(StrEnum):
    """The shape in which the registry sends a certificate."""

    OBJECT = "object"
    LIST = "list"
    EMPTY_LIST = "empty list"
    TWO = "list of two"
    ANOTHER = "another certificate"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, what it is for, and the matching details of its applicant."""

    number: str
    purpose: str
    properties: Mapping[str, Any]
    applicant: Mapping[str, str | None]
    group: str = "special"
    form: Form = Form.OBJECT
    absent: frozenset[str] = field(default_factory=frozenset)
    created_after: int | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """An invented address; `number` makes its MPANs, meter and people."""

    number: int
    line_1: str
    town: str
    postcode: str
    county: int
    line_2: str | None = None


def described(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Add the `_Description` of each look-up value, where the tables know it."""
    answer = dict(properties)
    for name, table in LOOK_UPS.items():
        if name in answer:
            value = answer[name]
            answer.setdefault(f"{name}_Description", table.get(value) if _whole(value) else None)
    return {name: answer[name] for name in (*PROPERTIES, *answer) if name in answer}


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def clean(
    number: str, home: Home, capacity: str, commissioned: str, **changes: Any
) -> dict[str, Any]:
    """Give the properties of a live domestic Solar PV certificate for a home, with changes."""
    kilowatts = Decimal(capacity)
    properties: dict[str, Any] = {
        "CertificateNumber": number,
        "CreatedDate": f"{commissioned} {8 + home.number % 10:02}:{home.number * 7 % 60:02}:12",
        "CommissioningDate": commissioned,
        "Technology": 10,
        "AddressLine1": home.line_1,
        "AddressLine2": home.line_2 or home.town,
        "AddressLine3": home.town if home.line_2 else None,
        "County": home.county,
        "Postcode": home.postcode,
        "MPAN": import_mpan(home.number),
        "TotalCapacity": kilowatts,
        "EstimatedAnnualGeneration": (kilowatts * 912).quantize(Decimal("0.01")),
        "Status": 2,
        "GenerationMeterSerialNumber": f"LX{home.number % 90 + 10}-{home.number % 1_000_000:06}",
        "GenerationMeterReading": f"{home.number % 40:05}",
        "DeclaredNetCapacity": (kilowatts * Decimal("0.92")).quantize(Decimal("0.01")),
        "InstallationType": 1,
        # G98 reaches to 16 A a phase, 3.68 kW; above it the distributor consents beforehand.
        "DNONotificationCompliance": 1 if kilowatts <= Decimal("3.68") else 2,
    }
    return described(properties | changes)


def applicant(home: Home, **changes: str | None) -> dict[str, str | None]:
    """Give what the person living there would write on an application form."""
    name = PEOPLE[home.number % len(PEOPLE)]
    details: dict[str, str | None] = {
        "name": name,
        "email": f"{name.lower().replace(' ', '.')}.{home.number}@example.org",
        "address_line_1": home.line_1,
        "address_line_2": home.line_2 or "",
        "town": home.town,
        "postcode": home.postcode,
        "import_mpan": import_mpan(home.number),
        "export_mpan": export_mpan(home.number),
    }
    return details | changes
