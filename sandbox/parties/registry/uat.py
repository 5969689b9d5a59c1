"""The twenty UAT certificates at the end of the specification's section 2.

Number, status and technology are the specification's; everything else is invented but fixed.
"""

from sandbox.parties.registry.certificate import Certificate, Home, applicant, clean
from sandbox.parties.registry.tables import TECHNOLOGY

CREATED, WITHDRAWN = 2, 3

# Certificate, status, technology: the specification's list, in its order.
LISTED = (
    ("MCS-01109073-U", CREATED, 10),
    ("MCS-01109052-T", CREATED, 10),
    ("MCS-01108964-F", CREATED, 10),
    ("MCS-01109048-C", CREATED, 10),
    ("MCS-01109028-R", CREATED, 10),
    ("MCS-01108865-Z", WITHDRAWN, 10),
    ("MCS-01108828-C", WITHDRAWN, 10),
    ("MCS-01108844-G", WITHDRAWN, 10),
    ("MCS-01108986-P", WITHDRAWN, 10),
    ("MCS-01108987-H", WITHDRAWN, 10),
    ("MCS-01109082-H", CREATED, 1),
    ("MCS-01109083-C", CREATED, 1),
    ("MCS-01109062-V", CREATED, 1),
    ("MCS-01109079-R", CREATED, 2),
    ("MCS-01109029-W", CREATED, 2),
    ("MCS-01109031-V", WITHDRAWN, 4),
    ("MCS-01109033-O", WITHDRAWN, 14),
    ("MCS-01109038-B", WITHDRAWN, 8),
    ("MCS-01109039-K", WITHDRAWN, 18),
    ("MCS-01108830-J", WITHDRAWN, 2),
)

# Line 1, line 2, town, postcode, county, capacity in kW, commissioning date: invented, same order.
HOMES: tuple[tuple[str, str | None, str, str, int, str, str], ...] = (
    ("3 Saltmarsh Row", None, "Eastwold", "LX3 7QR", 25, "3.68", "2023-04-18"),
    ("Teasel Cottage", "Nether Quay", "Osmerby", "LX7 2YN", 22, "4.10", "2022-09-02"),
    ("27 Lapwing Rise", None, "Harrowmere", "JX11 4BD", 7, "2.96", "2021-06-23"),
    ("Flat 2, 8 Corbel Street", None, "Pellgate", "JX2 9HF", 20, "1.75", "2024-02-09"),
    ("Long Acre Farm", "Winnowdale", "Brackenholt", "ZX5 1LW", 54, "10.25", "2023-11-30"),
    ("41 Gannet Way", None, "Eastwold", "LX3 5TJ", 25, "3.60", "2020-10-14"),
    ("6 Orchard Steps", None, "Quenmouth", "WX8 3PA", 6, "4.00", "2020-07-07"),
    ("112 Viaduct Road", "Millfold", "Pellgate", "JX2 6NE", 20, "3.24", "2020-08-19"),
    ("The Old Smithy", None, "Tarnbeck", "JX14 8GU", 7, "5.40", "2021-07-12"),
    ("19 Beacon Terrace", None, "Quenmouth", "WX8 1QX", 6, "2.80", "2021-07-13"),
    ("52 Fallow Drive", None, "Osmerby", "LX7 9DB", 22, "8.50", "2023-05-04"),
    ("1 Kiln Yard", None, "Harrowmere", "JX11 2ES", 7, "11.20", "2023-05-05"),
    ("74 Lapwing Rise", None, "Harrowmere", "JX11 4BG", 7, "6.00", "2022-12-01"),
    ("Hollin Grange", "Upper Winnow", "Brackenholt", "ZX5 3RT", 54, "24.00", "2023-03-27"),
    ("Dovecote House", None, "Tarnbeck", "JX14 5AL", 7, "15.00", "2022-03-15"),
    ("9 Wheelwright Lane", None, "Eastwold", "LX3 2YD", 25, "12.00", "2022-04-05"),
    ("15 Chandlery Court", None, "Quenmouth", "WX8 6UB", 6, "2.10", "2022-04-21"),
    ("33 Tollgate Avenue", None, "Pellgate", "JX2 1JY", 20, "1.00", "2022-05-16"),
    ("20 Millpond Close", None, "Osmerby", "LX7 4ZH", 22, "2.40", "2022-05-17"),
    ("Ferryman's Rest", "Sandgate", "Eastwold", "LX3 8WN", 25, "18.00", "2020-07-20"),
)


def certificates() -> list[Certificate]:
    """Give the twenty, in the order of the specification."""
    return [_certificate(place) for place in range(len(LISTED))]


def _certificate(place: int) -> Certificate:
    number, status, technology = LISTED[place]
    line_1, line_2, town, postcode, county, capacity, commissioned = HOMES[place]
    home = Home(101 + place, line_1, town, postcode, county, line_2)
    word = "Live" if status == CREATED else "Withdrawn"
    return Certificate(
        number,
        f"UAT certificate: {word}, {TECHNOLOGY[technology]}",
        clean(number, home, capacity, commissioned, Status=status, Technology=technology),
        applicant(home),
        group="uat",
    )
