"""A hundred thousand clean Solar PV certificates for benchmarks, made from their number.

MCS-80000000-A to MCS-80099999-A: the same number always gives the same home and applicant.
"""

import re

from sandbox.parties.registry.certificate import Certificate, Home, applicant, clean

NUMBER = re.compile(r"MCS-80(0\d{5})-A")
STREETS = (
    "Alder Rise",
    "Bellmaker Street",
    "Cobnut Lane",
    "Drovers Way",
    "Elver Quay",
    "Furrow Road",
    "Goosegate",
    "Hazelwick Avenue",
    "Ironstone Hill",
    "Juniper Mews",
    "Kelp Street",
    "Linnet Close",
    "Maltings Yard",
    "Northing Road",
    "Osier Bank",
    "Packhorse Lane",
    "Quarry Fold",
    "Rushlight Row",
    "Staithe Street",
    "Thimble Court",
)
# Invented towns with their invented postcode district and a county of the look-up table.
TOWNS = (
    ("Eastwold", "LX3", 25),
    ("Osmerby", "LX7", 22),
    ("Marrowby", "LX8", 22),
    ("Harrowmere", "JX11", 7),
    ("Pellgate", "JX2", 20),
    ("Tarnbeck", "JX14", 7),
    ("Quenmouth", "WX8", 6),
    ("Brackenholt", "ZX5", 54),
    ("Glenfarrow", "ZX21", 81),
    ("Wexholme", "WX4", 30),
)
INWARD = "ABDEFGHJLNPQRSTUWXYZ"


def certificate(number: str) -> Certificate | None:
    """Make the certificate with this number; None when it is not one of the bulk numbers."""
    match = NUMBER.fullmatch(number)
    if match is None:
        return None
    place = int(match.group(1))
    home = _home(place)
    capacity = f"{1.2 + place % 248 / 100:.2f}"
    commissioned = f"20{20 + place % 6}-{place % 12 + 1:02}-{place % 28 + 1:02}"
    return Certificate(
        number,
        "Bulk certificate: Live, Solar PV, matches its applicant",
        clean(number, home, capacity, commissioned),
        applicant(home),
        group="bulk",
    )


def _home(place: int) -> Home:
    town, district, county = TOWNS[place // 20 % 10]
    line_1 = f"{place // 200 + 1} {STREETS[place % 20]}"
    inward = f"{place % 10}{INWARD[place // 10 % 20]}{INWARD[place // 200 % 20]}"
    # Far above the places of the fixed certificates, so that no MPAN occurs twice.
    return Home(10_000_000 + place, line_1, town, f"{district} {inward}", county)
