"""Invented points, one for each thing that the service may say: 7000 and four digits, mostly.

Each names its purpose; the control page shows it. Each has a postcode of its own, unless it is
said to share one.
"""

from dataclasses import replace
from decimal import Decimal

from sandbox.parties.supply_points import answers, peculiar
from sandbox.parties.supply_points.point import Point, Quantity
from sandbox.parties.supply_points.specimen import place, specimen
from sandbox.parties.supply_points.tables import SERVICE_ERRORS


def points() -> list[Point]:
    """Give every special point, in the order of the control page."""
    return [
        *_numbers(),
        *_service_errors(),
        *_gateway_errors(),
        *_odd_replies(),
        *peculiar.points(),
        *_addresses(),
    ]


def _numbers() -> list[Point]:
    """MPRNs of every length, and the quantities of the specification's sample."""
    sample = Quantity(Decimal("1352.7"), Decimal("1352.7")).fields() | {
        "perspective_formula_year_soq_value": Decimal(11),
        "current_formula_year_soq_value": Decimal("10.9"),
        "current_soq_roll_value": Decimal("10.9"),
    }
    return [
        specimen(801, "The quantities of the specification's sample", sample, body="39384244"),
        specimen(802, "A home with 12,000 kWh a year", body="12345678"),
        specimen(
            803, "A shop with 48,000 kWh a year", kwh=Decimal(48_000), sector="I", body="98765432"
        ),
        specimen(804, "MPRN of six digits", body="4401"),
        specimen(805, "MPRN of seven digits", body="44015"),
        specimen(806, "MPRN of eight digits", body="440157"),
        specimen(807, "MPRN of nine digits", body="4401572"),
        specimen(808, "MPRN with a leading zero", body="04401572"),
        _wrong_check_digits(809),
    ]


def _wrong_check_digits(number: int) -> Point:
    right = specimen(number, "The check digits are wrong, and the point exists all the same")
    wrong = right.mprn[:-2] + f"{(int(right.mprn[-2:]) + 1) % 11:02}"
    fields = {**right.fields, "mprn": wrong}
    return replace(right, mprn=wrong, fields=fields)


def _service_errors() -> list[Point]:
    """e002 to e011 have the number of their code; e001 is the answer to an empty request."""
    always = [
        specimen(int(code[1:]), f"{code} ({status}): {sentence}", answer=code)
        for code, (status, sentence) in SERVICE_ERRORS.items()
        if code != "e001"
    ]
    return [
        *always,
        specimen(20, "e010 to the first two look-ups, then the point", answer="e010", until=2),
    ]


def _gateway_errors() -> list[Point]:
    return [
        specimen(101, "ThreatDetected (500), whatever is sent with it", answer="ThreatDetected"),
        specimen(111, "custom.config.1 (500)", answer="custom.config.1"),
        specimen(112, "custom.config.2 (500)", answer="custom.config.2"),
        specimen(113, "custom.config.3 (500)", answer="custom.config.3"),
        specimen(121, "FailedToResolveAPIKey (401)", answer="FailedToResolveAPIKey"),
        specimen(122, "InvalidApiKey (401)", answer="InvalidApiKey"),
        specimen(131, "SpikeArrestViolation, always", answer="SpikeArrestViolation"),
        specimen(
            132,
            "SpikeArrestViolation to the first look-up, then the point",
            answer="SpikeArrestViolation",
            until=1,
        ),
        specimen(133, "QuotaViolation, always", answer="QuotaViolation"),
        specimen(141, "400 without a code", answer="400"),
        specimen(142, "500 without a code", answer="500"),
        specimen(
            143,
            "500 without a code to the first two look-ups, then the point",
            answer="500",
            until=2,
        ),
    ]


def _odd_replies() -> list[Point]:
    another = specimen(200, "The reply is about another MPRN than asked", answer=answers.ANOTHER)
    odd = [
        specimen(201 + place, title, answer=name)
        for place, (name, (title, _)) in enumerate(answers.ODD.items())
    ]
    more = {"meter_serial_number": "E6S 00231", "links": [{"rel": "self"}]}
    return [
        another,
        *odd,
        specimen(230, "Fields that the specification does not know, beside the usual", more),
    ]


def _addresses() -> list[Point]:
    """Four under one postcode: two that house number or flat name tells apart, two alike."""
    shared = {"postcode": place(501).postcode, "street": "SALLOW LANE", "town": "OSMERBY"}
    alike = shared | {"house_no": "7", "sub_building_name": ""}
    flats = [
        specimen(
            501 + flat,
            f"House 5, FLAT {flat + 1}: shares its postcode with three more",
            shared | {"house_no": "5", "sub_building_name": f"FLAT {flat + 1}"},
        )
        for flat in (0, 1)
    ]
    twins = [
        specimen(number, "House 7: two points with one address and one address_id, e009", alike)
        for number in (503, 504)
    ]
    return [*flats, twins[0], replace(twins[1], address_id=twins[0].address_id), *_by_address()]


def _by_address() -> list[Point]:
    """Points whose answer is to be reached by their address."""
    return [
        specimen(511, "Found by its postcode alone"),
        specimen(512, "Extinct (e005), also by its postcode", answer="e005"),
        specimen(513, "Non domestic (e006), also by its postcode", answer="e006"),
    ]
