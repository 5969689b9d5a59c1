"""What gas costs under a contract: quantities, a price book and levies in, every figure out.

Plain Python and Decimal throughout. Rounding, half up, happens in three places and nowhere else:
the kWh of a part to 0.1, each of its amounts to the penny, and an average of printed totals to the
penny. Totals are sums of rounded amounts, so every printed figure follows from printed figures.
docs/gas-pricing.md works examples through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from gasquotes import rules
from gasquotes.levies import Levy, in_force
from gasquotes.rules import Band, FormulaYear, Priceable, Quantity, Sector

MONTHS: Final = (12, 24, 36)
_PENNY = Decimal("0.01")
_TENTH = Decimal("0.1")
_HUNDRED = Decimal(100)
_NOTHING = Decimal(0)
_ZERO = Decimal("0.00")
_DAY = timedelta(days=1)
_NBSP = "\N{NO-BREAK SPACE}"


class Payment(StrEnum):
    """How the customer pays."""

    DIRECT_DEBIT = "direct_debit"
    ON_RECEIPT = "on_receipt"

    @property
    def words(self) -> str:
        """The way of paying, for people."""
        return "direct debit" if self is Payment.DIRECT_DEBIT else "on receipt of bill"


# ---- Price books ---------------------------------------------------------------------------------


class PriceKey(NamedTuple):
    """What a price depends on."""

    ldz: str
    band: Band
    sector: Sector
    months: int
    payment: Payment

    @property
    def words(self) -> str:
        """The five of them on one line, for people."""
        return (
            f"{self.ldz}, {Band(self.band).value}, {Sector(self.sector).words}, "
            f"{self.months} months, {Payment(self.payment).words}"
        )


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Unit rate in p/kWh and standing charge in p/day, both without VAT and CCL."""

    unit_rate: Decimal
    standing_charge: Decimal


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A published price book under its version."""

    version: str
    prices: Mapping[PriceKey, Rate]


class NoPrice(LookupError):
    """The price book holds no price for `key`; `sentence` says so for people."""

    def __init__(self, key: PriceKey, version: str) -> None:
        self.key = key
        self.sentence = f"Price book {version} has no price for {key.words}."
        super().__init__(self.sentence)


# ---- What is asked, and what comes out -----------------------------------------------------------


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A contract to be priced: quantities that were judged, and the terms.

    `broker_uplift` in p/kWh comes on top of the book's unit rate; `exit_fee` in £ is only carried.
    """

    quantities: Priceable
    looked_up_on: date
    ldz: str
    sector: Sector
    start: date
    months: int
    payment: Payment
    broker_uplift: Decimal = _NOTHING
    exit_fee: Decimal = _NOTHING

    def __post_init__(self) -> None:
        if not isinstance(self.quantities, Priceable):
            raise TypeError("Only quantities that were judged plausible can be priced.")
        if self.months not in MONTHS:
            raise ValueError(f"A contract has {MONTHS} months, not {self.months}.")
        for amount in (self.broker_uplift, self.exit_fee):
            if not amount.is_finite() or amount < 0:
                raise ValueError("Uplift and exit fee are zero or more.")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Days of one contract year during which nothing changes; `end` is the last of them.

    `unit_rate` is what is charged: the book's with the uplift. `energy`, `standing`, `ccl` and
    `vat` in £; `uplift` is the share of the broker, held in `energy`. `estimated_why` and the
    sources are for people; without CCL `ccl_rate` is None.
    """

    contract_year: int
    start: date
    end: date
    days: int
    year: FormulaYear
    aq_kwh: Decimal
    soq_kwh: Decimal
    band: Band
    kwh: Decimal
    book_rate: Decimal
    unit_rate: Decimal
    standing_charge: Decimal
    energy: Decimal
    standing: Decimal
    uplift: Decimal
    vat_rate: Decimal
    vat: Decimal
    vat_source: str
    ccl: Decimal = _ZERO
    ccl_rate: Decimal | None = None
    ccl_source: str = ""
    ccl_estimated: bool = False
    estimated: bool = False
    estimated_why: str = ""


class Totals(NamedTuple):
    """£ without CCL and VAT, with CCL but without VAT, and with both."""

    excluding: Decimal
    excluding_vat: Decimal
    including: Decimal


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over parts: days, kWh, and £ for energy, standing charge, CCL and VAT."""

    days: int
    kwh: Decimal
    energy: Decimal
    standing: Decimal
    ccl: Decimal
    vat: Decimal

    @property
    def excluding(self) -> Decimal:
        """Without CCL and VAT."""
        return self.energy + self.standing

    @property
    def excluding_vat(self) -> Decimal:
        """With CCL, without VAT."""
        return self.excluding + self.ccl

    @property
    def including(self) -> Decimal:
        """With CCL and VAT."""
        return self.excluding_vat + self.vat

    def over(self, count: int) -> Totals:
        """Return the totals divided by a number of years or months, each rounded once."""
        totals = (self.excluding, self.excluding_vat, self.including)
        return Totals(*(_pence(total / count) for total in totals))


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a figure of a quote comes from."""

    figure: str
    value: str
    source: str


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A priced contract: its terms, and parts that follow each other without a gap."""

    book: str
    looked_up_on: date
    ldz: str
    sector: Sector
    payment: Payment
    start: date
    end: date
    months: int
    broker_uplift: Decimal
    exit_fee: Decimal
    parts: tuple[Part, ...]

    @property
    def years(self) -> tuple[Amounts, ...]:
        """The amounts of each contract year."""
        return tuple(
            _sum(part for part in self.parts if part.contract_year == year)
            for year in range(1, self.months // 12 + 1)
        )

    @property
    def first_year(self) -> Amounts:
        """The amounts of the first contract year."""
        return self.years[0]

    @property
    def whole(self) -> Amounts:
        """The amounts of the whole contract."""
        return _sum(self.parts)

    @property
    def average_year(self) -> Totals:
        """The whole contract divided by its years."""
        return self.whole.over(self.months // 12)

    @property
    def per_month(self) -> Totals:
        """The whole contract divided by its months."""
        return self.whole.over(self.months)

    @property
    def uplift_cost(self) -> Decimal:
        """What the broker's uplift comes to over the contract; held in the energy amounts."""
        return sum((part.uplift for part in self.parts), _ZERO)

    @property
    def estimated(self) -> bool:
        """Whether anything in it is an estimate."""
        return any(part.estimated or part.ccl_estimated for part in self.parts)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every figure that went in, once, with where it comes from."""
        kinds = zip(*(_sources(self, part) for part in self.parts), strict=True)
        return tuple(dict.fromkeys(source for kind in kinds for source in kind if source))


def freeze(priced: Priced) -> str:
    """Write a priced contract as JSON, exact, to be kept with its quote."""
    return msgspec.json.encode(priced).decode()


def thaw(text: str) -> Priced:
    """Read a frozen contract back. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(text, type=Priced)


def end_of(start: date, months: int) -> date:
    """Return the last day of a contract: the one before its anniversary."""
    return _years_later(start, months // 12) - _DAY


# ---- The calculation -----------------------------------------------------------------------------


def price(asked: Ask, book: Book, levies: Sequence[Levy]) -> Priced:
    """Price a contract on the Formula Year AQ, from its effective date on on the prospective one.

    A contract year carries one AQ's worth of energy, spread evenly over its days; each part has the
    band of its AQ. Years that the service gives no AQ for are priced on the last one and marked.
    Raises NoPrice and NoLevy.
    """
    rates: dict[FormulaYear, Rate] = {}
    bands = {year: rules.band_of(_quantity(asked, year).aq_kwh) for year in _years_used(asked)}
    for year, band in bands.items():
        key = PriceKey(asked.ldz, band, asked.sector, asked.months, asked.payment)
        if key not in book.prices:
            raise NoPrice(key, book.version)
        rates[year] = book.prices[key]
    parts = tuple(
        _part(asked, stretch, bands[stretch.year], rates[stretch.year])
        for stretch in _stretches(asked, levies)
    )
    return Priced(
        book=book.version,
        looked_up_on=asked.looked_up_on,
        ldz=asked.ldz,
        sector=asked.sector,
        payment=asked.payment,
        start=asked.start,
        end=end_of(asked.start, asked.months),
        months=asked.months,
        broker_uplift=asked.broker_uplift,
        exit_fee=asked.exit_fee,
        parts=parts,
    )


class _Taxes(NamedTuple):
    """VAT and CCL of a day; CCL is None where VAT has the reduced rate."""

    vat: Levy
    ccl: Levy | None
    ccl_estimated: bool


class _Stretch(NamedTuple):
    """Days of one contract year with one AQ and one set of taxes, before their price."""

    contract_year: int
    year_start: date
    year_end: date
    start: date
    end: date  # not among them
    year: FormulaYear
    estimated: bool
    taxes: _Taxes


def _stretches(asked: Ask, levies: Sequence[Levy]) -> Iterator[_Stretch]:
    """Cut a contract where anything changes; days between which nothing does stay together."""
    changes = _changes(asked, levies)
    for number in range(asked.months // 12):
        first, after = (_years_later(asked.start, each) for each in (number, number + 1))
        inside = sorted(day for day in changes if first < day < after)
        before: _Stretch | None = None
        for start, end in pairwise((first, *inside, after)):
            year = _year_of(asked, start)
            estimated = start >= _estimated_from(asked)
            taxes = _taxes(asked, levies, _quantity(asked, year), start)
            if before and before[5:] == (year, estimated, taxes):
                before = before._replace(end=end)
                continue
            if before:
                yield before
            before = _Stretch(number + 1, first, after, start, end, year, estimated, taxes)
        if before:
            yield before


def _changes(asked: Ask, levies: Sequence[Levy]) -> set[date]:
    """Return the days on which an AQ, an estimate or a levy can begin."""
    days = {levy.valid_from for levy in levies}
    days |= {_years_later(levy.valid_from, 1) for levy in levies if levy.kind == "ccl_gas"}
    days.add(_estimated_from(asked))
    if asked.quantities.effective_date:
        days.add(asked.quantities.effective_date)
    return days


def _years_used(asked: Ask) -> tuple[FormulaYear, ...]:
    effective = asked.quantities.effective_date
    if effective is None or effective > end_of(asked.start, asked.months):
        return ("formula",)
    return ("prospective",) if effective <= asked.start else ("formula", "prospective")


def _year_of(asked: Ask, day: date) -> FormulaYear:
    effective = asked.quantities.effective_date
    return "formula" if effective is None or day < effective else "prospective"


def _quantity(asked: Ask, year: FormulaYear) -> Quantity:
    if year == "prospective" and asked.quantities.prospective:
        return asked.quantities.prospective
    return asked.quantities.formula


def _estimated_from(asked: Ask) -> date:
    """Return the first day whose AQ is not known: after the last Formula Year that is."""
    if asked.quantities.effective_date:
        return _years_later(asked.quantities.effective_date, 1)
    looked_up = asked.looked_up_on
    april = date(looked_up.year, 4, 1)
    return april if looked_up < april else _years_later(april, 1)


def _part(asked: Ask, stretch: _Stretch, band: Band, rate: Rate) -> Part:
    quantity = _quantity(asked, stretch.year)
    taxes = stretch.taxes
    days = (stretch.end - stretch.start).days
    kwh = _kwh(asked, stretch, quantity.aq_kwh)
    unit_rate = rate.unit_rate + asked.broker_uplift
    energy = _pence(kwh * unit_rate / _HUNDRED)
    standing = _pence(days * rate.standing_charge / _HUNDRED)
    ccl = _pence(kwh * taxes.ccl.value) if taxes.ccl else _ZERO
    return Part(
        contract_year=stretch.contract_year,
        start=stretch.start,
        end=stretch.end - _DAY,
        days=days,
        year=stretch.year,
        aq_kwh=quantity.aq_kwh,
        soq_kwh=quantity.soq_kwh,
        band=band,
        kwh=kwh,
        book_rate=rate.unit_rate,
        unit_rate=unit_rate,
        standing_charge=rate.standing_charge,
        energy=energy,
        standing=standing,
        uplift=_pence(kwh * asked.broker_uplift / _HUNDRED),
        vat_rate=taxes.vat.value,
        vat=_pence((energy + standing + ccl) * taxes.vat.value),
        vat_source=taxes.vat.source,
        ccl=ccl,
        ccl_rate=taxes.ccl.value if taxes.ccl else None,
        ccl_source=taxes.ccl.source if taxes.ccl else "",
        ccl_estimated=taxes.ccl_estimated,
        estimated=stretch.estimated,
        estimated_why=_ESTIMATED[stretch.year] if stretch.estimated else "",
    )


_ESTIMATED: Final[Mapping[FormulaYear, str]] = MappingProxyType(
    {
        "formula": "No prospective AQ is known: the current one is used as an estimate.",
        "prospective": "No AQ is known for this Formula Year yet: the prospective one is used as "
        "an estimate.",
    }
)


def _kwh(asked: Ask, stretch: _Stretch, aq_kwh: Decimal) -> Decimal:
    """Return the energy of a stretch; those of one AQ in one contract year add up to its share."""
    effective, first = asked.quantities.effective_date, stretch.year_start
    if effective and stretch.year == "prospective":
        first = max(first, effective)
    year = (stretch.year_end - stretch.year_start).days
    before = _share(aq_kwh, (stretch.start - first).days, year)
    return _share(aq_kwh, (stretch.end - first).days, year) - before


def _share(aq_kwh: Decimal, days: int, of_days: int) -> Decimal:
    return (aq_kwh * days / of_days).quantize(_TENTH, ROUND_HALF_UP)


# ---- Taxes ---------------------------------------------------------------------------------------


def _taxes(asked: Ask, levies: Sequence[Levy], quantity: Quantity, day: date) -> _Taxes:
    """Return VAT and CCL of a day: 5 % for homes and small use without CCL, else 20 % with it."""
    small = asked.sector == Sector.DOMESTIC or (
        quantity.aq_kwh <= in_force(levies, "vat_threshold_kwh_day", day).value * rules.DAYS
    )
    if small:
        return _Taxes(in_force(levies, "vat_reduced", day), None, ccl_estimated=False)
    ccl = in_force(levies, "ccl_gas", day)
    # The levy is set for a year from 1 April; a later year has the last known rate, marked.
    outdated = day >= _years_later(ccl.valid_from, 1)
    return _Taxes(in_force(levies, "vat_standard", day), ccl, ccl_estimated=outdated)


# ---- Small things --------------------------------------------------------------------------------


def _sum(parts: Iterable[Part]) -> Amounts:
    days, kwh, energy, standing, ccl, vat = 0, Decimal("0.0"), _ZERO, _ZERO, _ZERO, _ZERO
    for part in parts:
        days += part.days
        kwh += part.kwh
        energy += part.energy
        standing += part.standing
        ccl += part.ccl
        vat += part.vat
    return Amounts(days=days, kwh=kwh, energy=energy, standing=standing, ccl=ccl, vat=vat)


def _sources(priced: Priced, part: Part) -> tuple[Source | None, ...]:
    """Return the sources of AQ, unit rate, standing charge, VAT and, where it is charged, CCL."""
    key = PriceKey(priced.ldz, part.band, priced.sector, priced.months, priced.payment)
    book = f"Price book {priced.book}: {key.words}"
    return (
        Source(
            figure=f"AQ, {rules.YEAR_WORDS[part.year]}",
            value=f"{rules.kwh(part.aq_kwh)} a year",
            source=f"Look-up of {_long(priced.looked_up_on)}",
        ),
        Source(
            figure=f"Unit rate, {part.band.value} supply point",
            value=f"{part.book_rate:f}{_NBSP}p/kWh",
            source=book,
        ),
        Source(
            figure=f"Standing charge, {part.band.value} supply point",
            value=f"{part.standing_charge:f}{_NBSP}p a day",
            source=book,
        ),
        _vat(part),
        _levy(part),
    )


def _vat(part: Part) -> Source:
    percent = f"{(part.vat_rate * 100).normalize():f}{_NBSP}%"
    return Source(figure="VAT", value=percent, source=part.vat_source)


def _levy(part: Part) -> Source | None:
    if part.ccl_rate is None:
        return None
    value = f"£{part.ccl_rate.normalize():f}/kWh"
    return Source(figure="Climate change levy (CCL)", value=value, source=part.ccl_source)


def _pence(amount: Decimal) -> Decimal:
    return amount.quantize(_PENNY, ROUND_HALF_UP)


def _years_later(day: date, years: int) -> date:
    """Return the anniversary; that of 29 February is 1 March where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _long(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"
