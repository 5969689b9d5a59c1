"""One invented supply point: its 24 fields, and how a look-up of it is answered.

Quantities are kept in kWh, and written in the unit that is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.parties.supply_points.tables import EFFECTIVE_DATE, FIELDS, QUANTITIES, Zone

DAYS = 365
KWH_IN_GWH = 1_000_000
TENTH = Decimal("0.1")
DECIMALS = Decimal("0.0000001")
# Stands for the day on which the next formula year begins.
NEXT_APRIL = "next 1 April"
USUAL = "point"


@dataclass(frozen=True, slots=True)
class Place:
    """An invented address in a zone."""

    zone: Zone
    postcode: str
    house_no: str
    street: str
    sub_building_name: str = ""
    dependent_street: str = ""
    dependent_local: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Annual quantities in kWh: this formula year's, and the prospective one's.

    `load_factor` is the average day's share of the peak day.
    """

    aq: Decimal
    prospective: Decimal
    load_factor: Decimal = Decimal("0.34")

    def fields(self) -> dict[str, Decimal]:
        """Give the six fields; the rolling AQ is half-way to the prospective one."""
        rolling = ((self.aq + self.prospective) / 2).quantize(TENTH)
        return {
            "current_aq_roll_value": rolling,
            "current_formula_year_aq_value": self.aq,
            "current_formula_year_soq_value": self._peak_day(self.aq),
            "current_soq_roll_value": self._peak_day(rolling),
            "perspective_formula_year_aq_value": self.prospective,
            "perspective_formula_year_soq_value": self._peak_day(self.prospective),
        }

    def _peak_day(self, annual: Decimal) -> Decimal:
        return (annual / (DAYS * self.load_factor)).quantize(TENTH)


@dataclass(frozen=True, slots=True)
class Point:
    """A supply point; `answer` names what a look-up gets, `until` for how many look-ups."""

    mprn: str
    address_id: str
    fields: Mapping[str, Any]
    purpose: str
    group: str
    answer: str = USUAL
    until: int | None = None
    absent: frozenset[str] = field(default_factory=frozenset)

    def answer_at(self, look_up: int) -> str:
        """Name the answer to the look-up with this number, from 1."""
        return USUAL if self.until is not None and look_up > self.until else self.answer


def fields_of(
    mprn: str, place: Place, quantity: Quantity, *, sector: str = "D", csep_id: str = ""
) -> dict[str, Any]:
    """Give the 24 fields of a point without peculiarities."""
    zone = place.zone
    values: dict[str, Any] = {
        **dict.fromkeys(FIELDS, ""),
        **quantity.fields(),
        "amr_indicator": "Y" if quantity.aq > 732_000 else "",
        "country": "GB",
        "csep_id": csep_id,
        "distribution_network_operator": zone.network,
        "exit_zone": f"{zone.code}{int(mprn) % 4 + 1}",
        "local_distribution_zone": zone.code,
        "market_sector_code": sector,
        "mprn": mprn,
        EFFECTIVE_DATE: NEXT_APRIL,
        "town": zone.town,
        "installation_number": f"30{int(mprn) % 10**8:08}",
    }
    address = {name: getattr(place, name) for name in Place.__slots__ if name != "zone"}
    return values | address


def written(fields: Mapping[str, Any], *, unit: str, now: datetime) -> dict[str, Any]:
    """Give the fields as the service writes them, in GWh or kWh, at this moment."""
    values = {**fields}
    for name in QUANTITIES:
        if name in values:
            values[name] = in_unit(values[name], unit)
    if values.get(EFFECTIVE_DATE) == NEXT_APRIL:
        values[EFFECTIVE_DATE] = next_april(now)
    return values


def in_unit(kwh: Any, unit: str) -> Any:
    """Write kWh in a unit, exact to seven decimals; leave what is no number as it is."""
    if isinstance(kwh, bool) or not isinstance(kwh, int | Decimal):
        return kwh
    quantity = Decimal(kwh) / KWH_IN_GWH if unit == "GWh" else Decimal(kwh)
    return quantity.quantize(DECIMALS).normalize()


def next_april(now: datetime) -> str:
    """Give the first 1 April after this moment, in the specification's form."""
    year = now.year + (now.month >= 4)
    return f"{year}-04-01T00:00:00.000Z"
