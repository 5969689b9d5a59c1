"""How a special point is made: an ordinary home with one thing about it changed."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from sandbox.parties.supply_points.mprn import mprn
from sandbox.parties.supply_points.ordinary import INWARD
from sandbox.parties.supply_points.point import USUAL, Place, Point, Quantity, fields_of
from sandbox.parties.supply_points.tables import ZONES

HOME_KWH = Decimal(12_000)


def place(number: int) -> Place:
    """Give the invented address of the special point with this number."""
    zone = ZONES[number % len(ZONES)]
    postcode = f"{zone.area}3 {number % 10}{INWARD[number // 10 % 20]}{INWARD[number // 200]}"
    return Place(zone, postcode, str(number), "LANTERNFIELD CLOSE")


def specimen(
    number: int,
    purpose: str,
    changes: Mapping[str, Any] | None = None,
    *,
    kwh: Decimal = HOME_KWH,
    prospective: Decimal | None = None,
    body: str = "",
    sector: str = "D",
    answer: str = USUAL,
    until: int | None = None,
    absent: Collection[str] = (),
) -> Point:
    """Make the special point with this number, with changed fields (quantities in kWh)."""
    name = mprn(body or f"7000{number:04}")
    quantity = Quantity(kwh, kwh if prospective is None else prospective)
    fields = fields_of(name, place(number), quantity, sector=sector) | dict(changes or {})
    address_id = f"17000{number:05}"
    gone = frozenset(absent)
    return Point(name, address_id, fields, purpose, "special", answer, until, gone)
