"""Points without peculiarities: 420 that are kept, and 20,000 that are made from their MPRN.

Both cover every zone and band. Kept: 5000 and four digits; made: 420 and 00000 to 19999; then
the check digits. The same number always gives the same point.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from hashlib import blake2b

from sandbox.parties.supply_points.mprn import mprn
from sandbox.parties.supply_points.point import TENTH, Place, Point, Quantity, fields_of
from sandbox.parties.supply_points.tables import ZONES

KEPT = 420
MADE = 20_000
MADE_MPRN = re.compile(r"420([01]\d{4})\d\d")
MADE_ADDRESS_ID = re.compile(r"16000([01]\d{4})")
DWELLINGS = 4  # under one postcode
INWARD = "ABDEFGHJLNPQRSTUWXYZ"
STREETS = (
    "ALDERMOOR RISE",
    "BELLMAKER STREET",
    "COBNUT LANE",
    "DROVERS WAY",
    "ELVER QUAY",
    "FURROW ROAD",
    "GOOSEGATE",
    "IRONSTONE HILL",
    "LINNET CLOSE",
    "PACKHORSE LANE",
    "RUSHLIGHT ROW",
)
SMALL, MEDIUM, LARGE, VERY_LARGE = "small", "medium", "large", "very large"
# Band: AQ in kWh from and to, and the usual load factor.
BANDS = {
    SMALL: (2_500, 73_200, Decimal("0.34")),
    MEDIUM: (73_200, 732_000, Decimal("0.38")),
    LARGE: (732_000, 5_860_000, Decimal("0.48")),
    VERY_LARGE: (5_860_000, 58_600_000, Decimal("0.62")),
}
GROWTH = {"steady": Decimal("1.01"), "rising": Decimal("1.16"), "falling": Decimal("0.86")}


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a point is like: band and market sector, where its AQ goes, and whose network."""

    band: str
    sector: str
    goes: str = "steady"
    independent: bool = False
    crosses: bool = False

    def purpose(self) -> str:
        """Say it in a sentence."""
        sector = "domestic" if self.sector == "D" else "non-domestic"
        out = " into another band" if self.crosses else ""
        network = ", on an independent network" if self.independent else ""
        return f"AQ {self.band} and {self.goes}{out}, {sector}{network}"


PATTERNS = (
    Pattern(SMALL, "D"),
    Pattern(MEDIUM, "I"),
    Pattern(SMALL, "D", "rising"),
    Pattern(SMALL, "I"),
    Pattern(LARGE, "I"),
    Pattern(SMALL, "D", "falling"),
    Pattern(MEDIUM, "I", "rising"),
    Pattern(SMALL, "D", independent=True),
    Pattern(SMALL, "I", "rising", crosses=True),
    Pattern(MEDIUM, "I", "falling", crosses=True),
    Pattern(VERY_LARGE, "I"),
    Pattern(SMALL, "I", "falling"),
    Pattern(MEDIUM, "I", "rising", crosses=True),
    Pattern(LARGE, "I", "falling", crosses=True),
    Pattern(MEDIUM, "D"),
    Pattern(MEDIUM, "I", independent=True),
)
# Those that a quote can be given for without a second look.
PLAIN = tuple(one for one in PATTERNS if not one.independent and not one.crosses)


def kept() -> list[Point]:
    """Give the 420 points, zone by zone in turn."""
    return [_kept(number) for number in range(KEPT)]


def _kept(number: int) -> Point:
    zone, turn = number % len(ZONES), number // len(ZONES)
    pattern = PATTERNS[turn % len(PATTERNS)]
    return _point(
        mprn(f"5000{number:04}"),
        f"15000{number:05}",
        place_in(zone, turn, district=1),
        pattern,
        group="kept",
    )


def made(number: int) -> Point:
    """Make the point with this number, 0 to 19,999."""
    zone, turn = number % len(ZONES), number // len(ZONES)
    pattern = PLAIN[turn % len(PLAIN)]
    return _point(
        mprn(f"420{number:05}"),
        f"16000{number:05}",
        place_in(zone, turn, district=11),
        pattern,
        group="made",
    )


def _point(number: str, address_id: str, place: Place, pattern: Pattern, *, group: str) -> Point:
    csep_id = f"CSEP{int(number) % 10**6:06}" if pattern.independent else ""
    quantity = _quantity(number, pattern)
    fields = fields_of(number, place, quantity, sector=pattern.sector, csep_id=csep_id)
    return Point(number, address_id, fields, pattern.purpose(), group)


def place_in(zone: int, turn: int, *, district: int) -> Place:
    """Give an invented address: four dwellings to a postcode, two of them flats in one house."""
    block, dwelling = divmod(turn, DWELLINGS)
    inward = f"{block % 10}{INWARD[block // 10 % 20]}{INWARD[block // 200 % 20]}"
    # The second and third dwelling are flats in the same house.
    house = 2 * (block % 40) + (1, 3, 3, 5)[dwelling]
    return Place(
        ZONES[zone],
        f"{ZONES[zone].area}{district} {inward}",
        str(house),
        STREETS[block % len(STREETS)],
        sub_building_name=f"FLAT {dwelling}" if dwelling in {1, 2} else "",
        dependent_local="NETHER QUAY" if block % 3 == 0 else "",
    )


def _quantity(number: str, pattern: Pattern) -> Quantity:
    """Draw an AQ well inside its band, or near the edge that it is to cross."""
    low, high, load_factor = BANDS[pattern.band]
    drawn = int.from_bytes(blake2b(number.encode(), digest_size=4).digest()) % 10_000
    share = Decimal(drawn) / 10_000
    if not pattern.crosses:
        aq = Decimal(low) * Decimal("1.2") + (Decimal(high) * Decimal("0.8") - low) * share
        return Quantity(aq.quantize(TENTH), _grown(aq, pattern.goes), load_factor)
    edge, outwards = (high, -1) if pattern.goes == "rising" else (low, 1)
    aq = edge * (1 + outwards * (Decimal("0.01") + share / 12))
    return Quantity(aq.quantize(TENTH), _grown(aq, pattern.goes), load_factor)


def _grown(aq: Decimal, goes: str) -> Decimal:
    return (aq * GROWTH[goes]).quantize(TENTH)


def made_by_mprn(number: str) -> Point | None:
    """Make the point with this MPRN; None when it is not one of these."""
    match = MADE_MPRN.fullmatch(number)
    point = made(int(match.group(1))) if match else None
    return point if point and point.mprn == number else None


def made_by_address_id(address_id: str) -> Point | None:
    """Make the point with this address_id; None when it is not one of these."""
    match = MADE_ADDRESS_ID.fullmatch(address_id)
    return made(int(match.group(1))) if match else None


def made_by_postcode(postcode: str) -> list[Point]:
    """Make the points with this postcode."""
    return [made(number) for number in _made_postcodes().get(postcode, ())]


@cache
def _made_postcodes() -> dict[str, list[int]]:
    """Find the numbers of each postcode once; the points themselves are not kept."""
    known: dict[str, list[int]] = {}
    for number in range(MADE):
        zone, turn = number % len(ZONES), number // len(ZONES)
        known.setdefault(place_in(zone, turn, district=11).postcode, []).append(number)
    return known
