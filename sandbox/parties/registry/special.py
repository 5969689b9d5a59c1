"""Invented certificates beside the UAT list, one for each thing a registry may say.

Each names its purpose; the control page shows it. The numbers are MCS-7000 and four digits.
"""

from decimal import Decimal
from typing import Any

from sandbox.parties.registry.certificate import (
    Certificate,
    Form,
    Home,
    applicant,
    clean,
)
from sandbox.parties.registry.mpan import export_mpan, mpan

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
NULLABLE = (
    "AddressLine2",
    "AddressLine3",
    "County",
    "County_Description",
    "MPAN",
    "EstimatedAnnualGeneration",
    "GenerationMeterSerialNumber",
    "GenerationMeterReading",
    "DeclaredNetCapacity",
    "InstallationType",
    "InstallationType_Description",
    "DNONotificationCompliance",
    "DNONotificationCompliance_Description",
)


def certificates() -> list[Certificate]:
    """Give every special certificate, in the order of the control page."""
    return [
        *_states(),
        *_technologies(),
        *_capacities(),
        *_dates(),
        *_nulls(),
        *_differences(),
        *_forms(),
    ]


def _home(place: int) -> Home:
    street = ("Lanternfield Close", "Coppice Bank", "Heron Walk", "Sallow Lane")[place % 4]
    postcode = f"LX9 {place % 10}{'ABDEFGHJLN'[place // 10 % 10]}{'PQRSTUWXYZ'[place % 10]}"
    return Home(place, f"{place} {street}", "Marrowby", postcode, 22)


def _special(
    place: int,
    purpose: str,
    changes: dict[str, Any] | None = None,
    *,
    said: dict[str, str | None] | None = None,
    form: Form = Form.OBJECT,
    absent: tuple[str, ...] = (),
    created_after: int | None = None,
) -> Certificate:
    number = f"MCS-7000{place:04}-{LETTERS[place % len(LETTERS)]}"
    home = _home(place)
    capacity = f"{Decimal(place % 30) / 10 + Decimal('1.2'):.2f}"
    properties = clean(number, home, capacity, f"2025-{place % 12 + 1:02}-14", **(changes or {}))
    return Certificate(
        number,
        purpose,
        properties,
        applicant(home, **(said or {})),
        form=form,
        absent=frozenset(absent),
        created_after=created_after,
    )


def _states() -> list[Certificate]:
    unlisted = {"Status": 9, "Status_Description": "Dormant"}
    return [
        _special(1, "In Progress, and stays so", {"Status": 1}),
        _special(
            2,
            "In Progress for two look-ups, Created from the third",
            {"Status": 1},
            created_after=2,
        ),
        _special(3, "Removed", {"Status": 4}),
        _special(4, "Created until you change its status: for later withdrawal or removal"),
        _special(5, "Created until you change its status: a second one"),
        _special(6, "A status that the specification does not list (9)", unlisted),
        _special(7, "Status is null", {"Status": None}),
    ]


def _technologies() -> list[Certificate]:
    unlisted = {"Technology": 99, "Technology_Description": "Tidal Kite"}
    return [
        _special(11, "Live Hydro (7)", {"Technology": 7}),
        _special(12, "Live Micro CHP (8)", {"Technology": 8}),
        _special(13, "Live Wind Turbine (13)", {"Technology": 13}),
        _special(14, "Live, technology Unspecified (0)", {"Technology": 0}),
        _special(15, "Live, a technology that the specification does not list (99)", unlisted),
    ]


def _capacities() -> list[Certificate]:
    business = {"InstallationType": 2, "DNONotificationCompliance": 2}
    return [
        _special(21, "Over 50 kW (52.00)", _capacity("52.00") | business),
        _special(22, "Exactly 50.00 kW", _capacity("50.00") | business),
        _special(23, "Just over 50 kW (50.01)", _capacity("50.01") | business),
        _special(24, "Capacity is null", {"TotalCapacity": None}),
        _special(25, "Capacity is 0.00", _capacity("0.00")),
        _special(26, "Non-domestic installation, 12.40 kW", _capacity("12.40") | business),
    ]


def _capacity(kilowatts: str) -> dict[str, Any]:
    total = Decimal(kilowatts)
    return {
        "TotalCapacity": total,
        "DeclaredNetCapacity": (total * Decimal("0.92")).quantize(Decimal("0.01")),
        "EstimatedAnnualGeneration": (total * 912).quantize(Decimal("0.01")),
    }


def _dates() -> list[Certificate]:
    return [
        _special(31, "Commissioning date is null", {"CommissioningDate": None}),
        _special(32, "Commissioning date is missing", absent=("CommissioningDate",)),
        _special(
            33, "Commissioned in the future (1 June 2099)", {"CommissioningDate": "2099-06-01"}
        ),
        _special(
            34,
            "Commissioning date in another form (31/12/2024)",
            {"CommissioningDate": "31/12/2024"},
        ),
    ]


def _nulls() -> list[Certificate]:
    meter = {"GenerationMeterSerialNumber": None, "GenerationMeterReading": None}
    return [
        _special(41, "MPAN is null", {"MPAN": None}),
        _special(42, "MPAN is an empty text", {"MPAN": ""}),
        _special(43, "AddressLine2 and AddressLine3 are null", {"AddressLine2": None}),
        _special(44, "County is null", {"County": None}),
        _special(45, "DeclaredNetCapacity is null", {"DeclaredNetCapacity": None}),
        _special(46, "EstimatedAnnualGeneration is null", {"EstimatedAnnualGeneration": None}),
        _special(47, "The generation meter's serial number and reading are null", meter),
        _special(48, "DNONotificationCompliance is null", {"DNONotificationCompliance": None}),
        _special(49, "InstallationType is null", {"InstallationType": None}),
        _special(50, "Everything that may be null is null at once", dict.fromkeys(NULLABLE)),
        _special(51, "Everything that may be null is left out", absent=NULLABLE),
    ]


def _differences() -> list[Certificate]:
    tidy = _home(63)
    messy = {
        "AddressLine1": f"{tidy.line_1.upper().replace(' ', '  ')},",
        "Postcode": tidy.postcode.lower().replace(" ", ""),
    }
    wrong: dict[str, str | None] = {"export_mpan": _spoilt(export_mpan(66))}
    return [
        _mock_up_case(),
        _special(61, "The postcode differs from the applicant's", {"Postcode": "LX9 8RT"}),
        _special(62, "The MPAN differs from the applicant's import MPAN", {"MPAN": mpan(12, 62)}),
        _special(63, "The same address written untidily: not a difference", messy),
        _special(64, "The MPAN has a wrong check digit", {"MPAN": _spoilt(mpan(12, 64))}),
        _special(65, "The applicant gives no import MPAN", said={"import_mpan": None}),
        _special(66, "The applicant's export MPAN has a wrong check digit", said=wrong),
        _special(67, "DNO: consent obtained beforehand (2)", {"DNONotificationCompliance": 2}),
        _special(68, "DNO: not applicable (3)", {"DNONotificationCompliance": 3}),
        _special(69, "DNO: unspecified (0)", {"DNONotificationCompliance": 0}),
    ]


def _mock_up_case() -> Certificate:
    number = "MCS-90417326-K"
    home = Home(60, "14 Saltmarsh Row", "Eastwold", "LX3 7QP", 25)
    changes = {"AddressLine1": "14A Saltmarsh Row", "MPAN": "1400002000059"}
    return Certificate(
        number,
        "House 14A on the certificate and 14 on the form, and another MPAN",
        clean(number, home, "5.60", "2026-09-09", DNONotificationCompliance=1, **changes),
        applicant(home, name="Wren Halloway", import_mpan="1400002000040"),
    )


def _spoilt(valid: str) -> str:
    return valid[:-1] + str((int(valid[-1]) + 1) % 10)


def _forms() -> list[Certificate]:
    type_as_text = {
        "InstallationType": "Domestic",
        "InstallationType_Description": "Domestic",
    }
    more = {"InverterSerialNumber": "INV-0075", "Links": [{"rel": "self"}]}
    return [
        _special(70, "House 70A on the certificate and 70 on the form", _with_letter(70)),
        _special(71, "InstallationType is a text instead of a number", type_as_text),
        _special(72, "The reply is a list of one", form=Form.LIST),
        _special(73, "The reply is an empty list", form=Form.EMPTY_LIST),
        _special(74, "The reply is about another certificate than asked", form=Form.ANOTHER),
        _special(75, "The reply has properties that the specification does not know", more),
        _special(76, "The reply is a list of two", form=Form.TWO),
    ]


def _with_letter(place: int) -> dict[str, Any]:
    house, street = _home(place).line_1.split(" ", 1)
    return {"AddressLine1": f"{house}A {street}"}
