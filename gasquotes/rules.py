"""What a look-up of the Supply Point Quantities API comes to: quantities judged, and referrals.

Facts in, verdict out. Plain Python: no database, no clock, no network. A quantity that is missing
or implausible cannot become a `Quantity`, and only a `Quantity` can be priced.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from core import postcode
from gasquotes import messages
from gasquotes.messages import Filter, SupplyPoint

SMALLEST_AQ: Final = Decimal(1)  # kWh a year
LARGEST_AQ: Final = Decimal(2_000_000_000)
LOWEST_LOAD_FACTOR: Final = Decimal("0.1")  # AQ / (SOQ × 365)
DAYS: Final = 365
SMALL_UP_TO: Final = Decimal(73_200)
MEDIUM_UP_TO: Final = Decimal(732_000)
LDZS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "EA": "Eastern",
        "EM": "East Midlands",
        "NE": "North East",
        "NO": "Northern",
        "NT": "North Thames",
        "NW": "North West",
        "SC": "Scotland",
        "SE": "South East",
        "SO": "Southern",
        "SW": "South West",
        "WM": "West Midlands",
        "WN": "Wales North",
        "WS": "Wales South",
    }
)
_NBSP = "\N{NO-BREAK SPACE}"


# ---- MPRN ----------------------------------------------------------------------------------------


def check_digits_fit(mprn: str) -> bool:
    """Say whether the last two digits are what the others give: weights length−2 … 1, mod 11."""
    body, check = mprn[:-2], mprn[-2:]
    total = sum(int(digit) * weight for weight, digit in enumerate(reversed(body), start=1))
    return f"{total % 11:02}" == check


def mprn_warning(text: str) -> str | None:
    """Return a sentence about an MPRN that is probably mistyped, else None. Never a refusal.

    The rule of the check digits is known from one source only.
    """
    mprn = messages.normalise_mprn(text)
    if messages.mprn_problem(mprn) or check_digits_fit(mprn):
        return None
    return (
        f"The last two digits of {mprn} do not fit the others: compare it with the gas bill. "
        "It can be looked up all the same."
    )


# ---- Quantities ----------------------------------------------------------------------------------


class Unit(StrEnum):
    """The unit of the service's quantities. It does not say which: a setting does."""

    GWH = "GWh"
    KWH = "kWh"


class Band(StrEnum):
    """Size of a supply point by its AQ: up to 73,200 kWh, up to 732,000 kWh, above."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"

    @property
    def words(self) -> str:
        """What the band holds, for people."""
        return {
            Band.SMALL: f"up to 73,200{_NBSP}kWh a year",
            Band.MEDIUM: f"73,200 to 732,000{_NBSP}kWh a year",
            Band.LARGE: f"above 732,000{_NBSP}kWh a year",
        }[self]


class Sector(StrEnum):
    """market_sector_code: D for homes, I for industry and commerce."""

    DOMESTIC = "D"
    BUSINESS = "I"

    @property
    def words(self) -> str:
        """The sector for people."""
        return "domestic" if self is Sector.DOMESTIC else "business"


class Implausible(ValueError):
    """A quantity that no supply point can have, or that is not known; `problems` are sentences."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """A plausible AQ (kWh a year) with its SOQ (kWh on the peak day). No other one exists."""

    aq_kwh: Decimal
    soq_kwh: Decimal

    def __post_init__(self) -> None:
        if problems := implausible(self.aq_kwh, self.soq_kwh):
            raise Implausible(problems)


def to_kwh(value: Decimal, unit: Unit) -> Decimal:
    """Turn a quantity of the service into kWh, exact: 0.0013527 GWh are 1,352.7 kWh."""
    kwh = value.scaleb(6) if unit is Unit.GWH else value
    return kwh.quantize(Decimal(1)) if kwh == kwh.to_integral_value() else kwh.normalize()


def band_of(aq_kwh: Decimal) -> Band:
    """Return the band of an AQ: the limits 73,200 and 732,000 belong to the lower one."""
    if aq_kwh <= SMALL_UP_TO:
        return Band.SMALL
    return Band.MEDIUM if aq_kwh <= MEDIUM_UP_TO else Band.LARGE


def implausible(aq_kwh: Decimal, soq_kwh: Decimal) -> tuple[str, ...]:
    """Return a sentence per limit that an AQ and its SOQ break; empty: both can be believed.

    AQ from 1 to 2,000,000,000 kWh; SOQ × 365 at least the AQ; AQ / (SOQ × 365) at least 0.1.
    """
    if not (aq_kwh.is_finite() and soq_kwh.is_finite()):
        return ("AQ or SOQ is not a number.",)
    found = []
    if aq_kwh < SMALLEST_AQ:
        found.append(f"The AQ of {kwh(aq_kwh)} is under 1{_NBSP}kWh a year.")
    elif aq_kwh > LARGEST_AQ:
        found.append(f"The AQ of {kwh(aq_kwh)} is over 2,000,000,000{_NBSP}kWh a year.")
    peak_year = soq_kwh * DAYS
    if peak_year < aq_kwh:
        found.append(
            f"The SOQ of {kwh(soq_kwh)} a day is too small: 365 such days make {kwh(peak_year)}, "
            f"less than the AQ of {kwh(aq_kwh)}."
        )
    elif aq_kwh < LOWEST_LOAD_FACTOR * peak_year:
        found.append(
            f"The SOQ of {kwh(soq_kwh)} a day is too large: the AQ of {kwh(aq_kwh)} is less than a "
            f"tenth of 365 such days ({kwh(peak_year)})."
        )
    return tuple(found)


def kwh(value: Decimal) -> str:
    """Write an energy for people, without empty decimals: 1,352.7 kWh."""
    plain = value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
    return f"{plain:,f}{_NBSP}kWh"


FormulaYear = Literal["formula", "prospective"]
State = Literal["plausible", "implausible", "missing"]
YEAR_WORDS: Final[Mapping[FormulaYear, str]] = MappingProxyType(
    {"formula": "current Formula Year", "prospective": "prospective Formula Year"}
)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """AQ and SOQ of one Formula Year: as they came, in kWh, and the verdict with its reasons.

    "missing" is one or both of them; only for the prospective year may both be missing.
    """

    year: FormulaYear
    unit: Unit
    state: State
    sentences: tuple[str, ...]
    aq: Decimal | None = None
    soq: Decimal | None = None
    aq_kwh: Decimal | None = None
    soq_kwh: Decimal | None = None

    @property
    def quantity(self) -> Quantity | None:
        """What can be priced, None for anything implausible or missing."""
        if self.state != "plausible" or self.aq_kwh is None or self.soq_kwh is None:
            return None
        return Quantity(aq_kwh=self.aq_kwh, soq_kwh=self.soq_kwh)

    @property
    def absent(self) -> bool:
        """Whether the service gave neither of the two."""
        return self.aq is None and self.soq is None


class Priceable(msgspec.Struct, frozen=True, kw_only=True):
    """The quantities of a quote: prospective and its effective date come together or not at all."""

    formula: Quantity
    prospective: Quantity | None = None
    effective_date: date | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.formula, Quantity):
            raise TypeError("Only a judged quantity can be priced.")
        if (self.prospective is None) != (self.effective_date is None):
            raise ValueError("A prospective quantity and its effective date come together.")


class Quantities(msgspec.Struct, frozen=True, kw_only=True):
    """Both Formula Years of a look-up, judged.

    A prospective year that the service does not give yet, or gives without its effective date, is
    left out of prices: the current one is used for the later part and marked as estimated. One
    that is half there or implausible holds the quote.
    """

    formula: Checked
    prospective: Checked
    effective_date: date | None = None

    @property
    def held(self) -> tuple[str, ...]:
        """Why a person must look at it; empty: it can be priced."""
        later = () if self.prospective.absent else _objections(self.prospective)
        return _objections(self.formula) + later

    @property
    def later(self) -> str:
        """What a quote does about the next Formula Year, as a sentence for people."""
        if self.held:
            return "Nothing is priced before a person has cleared this up."
        if self.prospective.absent:
            return self.prospective.sentences[0]
        if self.effective_date is None:
            return (
                "The service does not say from when the prospective AQ applies: the current one is "
                "used throughout, as an estimate for later years."
            )
        day = f"{self.effective_date.day} {self.effective_date:%B %Y}"
        return f"The prospective AQ is used from {day}, as an estimate for the years after its own."

    @property
    def priceable(self) -> Priceable | None:
        """The only way into pricing; None while anything is held."""
        formula = self.formula.quantity
        if formula is None or self.held:
            return None
        if self.effective_date is None or self.prospective.quantity is None:
            return Priceable(formula=formula)
        return Priceable(
            formula=formula,
            prospective=self.prospective.quantity,
            effective_date=self.effective_date,
        )


def quantities(point: SupplyPoint, unit: Unit) -> Quantities:
    """Judge AQ and SOQ of both Formula Years of a look-up in the unit that the service uses."""
    return Quantities(
        formula=_checked(
            "formula",
            point.current_formula_year_aq_value,
            point.current_formula_year_soq_value,
            unit,
        ),
        prospective=_checked(
            "prospective",
            point.perspective_formula_year_aq_value,
            point.perspective_formula_year_soq_value,
            unit,
        ),
        effective_date=point.perspective_formula_year_effective_date,
    )


def _objections(checked: Checked) -> tuple[str, ...]:
    if checked.state == "plausible":
        return ()
    year = YEAR_WORDS[checked.year]
    return tuple(f"{year[0].upper()}{year[1:]}: {sentence}" for sentence in checked.sentences)


def _checked(year: FormulaYear, aq: Decimal | None, soq: Decimal | None, unit: Unit) -> Checked:
    aq_kwh = None if aq is None else to_kwh(aq, unit)
    soq_kwh = None if soq is None else to_kwh(soq, unit)
    state, sentences = _judged(year, aq_kwh, soq_kwh)
    return Checked(
        year=year,
        unit=unit,
        state=state,
        sentences=sentences,
        aq=aq,
        soq=soq,
        aq_kwh=aq_kwh,
        soq_kwh=soq_kwh,
    )


def _judged(
    year: FormulaYear, aq_kwh: Decimal | None, soq_kwh: Decimal | None
) -> tuple[State, tuple[str, ...]]:
    if aq_kwh is None or soq_kwh is None:
        return "missing", (_missing(year, aq_kwh, soq_kwh),)
    if problems := implausible(aq_kwh, soq_kwh):
        return "implausible", problems
    share = (aq_kwh / (soq_kwh * DAYS)).quantize(Decimal("0.01"))
    fits = f"AQ and SOQ fit each other: the average day is {share} of the peak day."
    return "plausible", (fits,)


def _missing(year: FormulaYear, aq_kwh: Decimal | None, soq_kwh: Decimal | None) -> str:
    if aq_kwh is None and soq_kwh is None:
        if year == "formula":
            return "The service gives neither AQ nor SOQ."
        return "The service gives neither AQ nor SOQ yet: the current ones are used, as estimates."
    if aq_kwh is None:
        return "The service gives a SOQ but no AQ."
    return f"The service gives an AQ of {kwh(aq_kwh)} but no SOQ to compare it with."


# ---- Referrals -----------------------------------------------------------------------------------

ReferralCode = Literal["igt", "largest", "ldz", "sector", "postcode"]


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """Why a person decides although the quantities can be believed.

    `final`: no price can exist, so nobody can send it on to "ready".
    """

    code: ReferralCode
    title: str
    sentence: str
    final: bool = False


def referrals(
    point: SupplyPoint,
    found: Quantities,
    *,
    asked: Filter,
    largest_above_kwh: Decimal = MEDIUM_UP_TO,
) -> tuple[Referral, ...]:
    """Return every reason to send a look-up to a person; empty: the portal prices it by itself."""
    rows = (
        _igt(point),
        _largest(found, largest_above_kwh),
        _zone(point),
        _sector(point),
        _other_postcode(point, asked),
    )
    return tuple(row for row in rows if row)


def _igt(point: SupplyPoint) -> Referral | None:
    if not point.csep_id:
        return None
    return Referral(
        code="igt",
        title="Independent network",
        sentence=f"The supply point is on an independent gas network (CSEP {point.csep_id}), which "
        "adds charges that the price book does not hold.",
    )


def _largest(found: Quantities, above_kwh: Decimal) -> Referral | None:
    known = [each.aq_kwh for each in (found.formula, found.prospective) if each.aq_kwh is not None]
    if not known or max(known) <= above_kwh:
        return None
    return Referral(
        code="largest",
        title="Large site",
        sentence=f"The AQ of {kwh(max(known))} is above {kwh(above_kwh)}: a person prices it.",
    )


def _zone(point: SupplyPoint) -> Referral | None:
    if point.local_distribution_zone.upper() in LDZS:
        return None
    named = _quoted(point.local_distribution_zone)
    return Referral(
        code="ldz",
        title="Unknown zone",
        sentence=f"The service names {named} as the local distribution zone. Prices exist for the "
        "13 known zones only, and the MPRN does not tell the zone.",
        final=True,
    )


def _sector(point: SupplyPoint) -> Referral | None:
    if point.market_sector_code.upper() in set(Sector):
        return None
    named = _quoted(point.market_sector_code)
    return Referral(
        code="sector",
        title="Unknown market sector",
        sentence=f"The service names {named} as the market sector. Prices exist for D (domestic) "
        "and I (business) only.",
        final=True,
    )


def _other_postcode(point: SupplyPoint, asked: Filter) -> Referral | None:
    if not asked.postcode or not point.postcode or postcode.same(asked.postcode, point.postcode):
        return None
    return Referral(
        code="postcode",
        title="Another postcode",
        sentence=f"We asked for {postcode.normalise(asked.postcode)}, the record says "
        f"{point.postcode}. Make sure that this is the customer’s meter.",
    )


def _quoted(text: str) -> str:
    return f"“{re.sub(r'[“”]', '', text)}”" if text else "nothing"
