"""The invented systems: each made from its key alone, so that it is the same in every run.

Keys begin at 1000; 300 systems unless more are asked for. Every 41st has missed its last months.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zlib import crc32

from sandbox.parties.production_tracking.sun import expected
from sandbox.parties.production_tracking.window import month_before

FIRST_KEY = 1000
PLACES = (
    "Alewife Bend", "Brindle Pond", "Cranesbill Farm", "Dunnock Hill", "Egret Landing",
    "Fernald Mill", "Greylag Cove", "Harrier Ridge", "Ironweed Common", "Juniper Hollow",
    "Kestrel Road", "Larkspur Green", "Marsh Wren Lane", "Nuthatch Corner", "Osprey Point",
    "Plover Beach", "Quaking Bog", "Redstart Brook", "Sandpiper Way", "Tern Island",
)  # fmt: skip
OWNERS = (
    "School", "Library", "Barn", "Residence", "Fire Station", "Bakery", "Town Hall", "Warehouse",
    "Clinic", "Boathouse", "Dairy", "Community Center", "Orchard", "Garage", "Chapel",
)  # fmt: skip
# Most are on homes, some on halls, a few on fields.
SIZES = ((2.4, 9.0), (2.4, 9.0), (5.0, 15.0), (5.0, 15.0), (10.0, 60.0), (60.0, 480.0))


@dataclass(frozen=True, slots=True)
class System:
    """A system as it is registered, with everything that was changed by hand."""

    key: int
    name: str
    capacity: float
    # What its lifetime total was made with: a later change of the capacity leaves the past alone.
    built: float
    commissioned: datetime
    yields: float
    missed: int = 0
    active: bool = True
    behaviours: tuple[str, ...] = ()
    # False where it was never read; a value and a moment where they were set by hand.
    read: bool = True
    last_value: float | None = None
    last_moment: datetime | None = None

    @property
    def system_id(self) -> str:
        """Give the SystemID in the form of the specification: NFG-NN100-01000."""
        return f"NFG-NN{100 + self.key % 40}-{self.key:05}"

    def does(self, word: str) -> bool:
        """Is this behaviour switched on?"""
        return word in self.behaviours

    def total(self, moment: datetime) -> float:
        """Give the lifetime total in kWh at a moment."""
        if moment <= self.commissioned:
            return 0.0
        return round(self.yields * expected(self.built, self.commissioned, moment), 1)

    def read_at(self, period_end: date) -> datetime:
        """Give when it was read at the end of a period."""
        return datetime.combine(period_end, time(23, 59)) + timedelta(seconds=self.key % 60)

    def last_period(self, reported: date) -> date:
        """Give its last period, where the last one of all systems is `reported`."""
        for _ in range(self.missed):
            reported = month_before(reported)
        return reported

    def changed(self, changes: Mapping[str, Any]) -> "System":
        """Give it with changes by hand, as `controls.py` checked them."""
        given = dict(changes)
        if given.get("behaviours") is not None:
            given["behaviours"] = tuple(given["behaviours"])
        if given.get("last_moment"):
            given["last_moment"] = datetime.fromisoformat(given["last_moment"])
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def _between(key: int, word: str, low: float, high: float) -> float:
    return low + crc32(f"{key}/{word}".encode()) % 10_007 / 10_007 * (high - low)


@cache
def made(key: int) -> System:
    """Make the system with this key."""
    place = key - FIRST_KEY
    size = SIZES[crc32(f"{key}/size".encode()) % len(SIZES)]
    capacity = round(_between(key, "capacity", *size), 3)
    number = place // (len(PLACES) * len(OWNERS)) + 1
    name = f"{PLACES[place % len(PLACES)]} {OWNERS[place // len(PLACES) % len(OWNERS)]}"
    return System(
        key=key,
        name=name if number <= 1 else f"{name} {number}",
        capacity=capacity,
        built=capacity,
        commissioned=datetime.combine(date(2011 + key % 13, key % 12 + 1, key % 28 + 1), time(12)),
        yields=_between(key, "yields", 0.88, 1.12),
        missed=place // 41 % 3 + 1 if place > 0 and place % 41 == 40 else 0,
    )
