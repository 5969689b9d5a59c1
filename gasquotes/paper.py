"""A quote as a tagged PDF (PDF/UA-1), set by typst from frozen values.

Plain Python: reads no clock and no setting, so the same values give the same bytes. quote.typ holds
the layout; every word goes to it as text, so that nothing a customer wrote is read as markup.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import typst

from gasquotes import rules
from gasquotes.pricing import Amounts, Part, Priced, Totals
from gasquotes.rules import LDZS, Checked

_LAYOUT: Final = Path(__file__).with_name("quote.typ")
_LONDON = ZoneInfo("Europe/London")
_NBSP = "\N{NO-BREAK SPACE}"
_BREAK = "\N{ZERO WIDTH SPACE}"
_BOX = "\N{WHITE SQUARE}"
_LONGEST_WORD = 32
_PIECE = 8
# What the built-in typeface can draw; PDF/UA allows no sign without a shape.
_NOT_DRAWN = re.compile(
    "[^ -~\u00a0-\u02af\u0370-\u04ff\u1e00-\u1fff\u2010-\u2027\u2030-\u203e€₤□]"
)


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """Who offers, as the settings have it."""

    name: str
    address: tuple[str, ...] = ()
    email: str = ""
    phone: str = ""
    registration: str = ""


class QuotePaper(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a quote's PDF says. Moments carry a zone and are printed in UK time."""

    company: Company
    reference: str
    customer: str
    mprn: str
    issued_at: datetime
    valid_until: datetime
    priced: Priced
    formula: Checked
    prospective: Checked
    effective_date: date | None = None
    customer_lines: tuple[str, ...] = ()
    site_lines: tuple[str, ...] = ()
    network: str = ""
    broker: str = ""
    terms: tuple[str, ...] = ()


def pdf(paper: QuotePaper) -> bytes:
    """Set the quote as a PDF/UA-1: tagged, in British English, dated by `issued_at`."""
    return _compiled(
        paper,
        form="pdf",
        pdf_standards="ua-1",
        timestamp=paper.issued_at.astimezone(UTC).replace(microsecond=0),
    )[0]


def pngs(paper: QuotePaper, *, ppi: int = 144) -> tuple[bytes, ...]:
    """Set the quote as one picture a page."""
    return _compiled(paper, form="png", ppi=float(ppi))


def _compiled(paper: QuotePaper, *, form: Any, **options: Any) -> tuple[bytes, ...]:
    found = typst.compile(
        _LAYOUT.read_bytes(),
        format=form,
        ignore_system_fonts=True,
        sys_inputs={"quote": json.dumps(_drawn(contents(paper)))},
        **options,
    )
    return tuple(found) if isinstance(found, list) else (found or b"",)


# ---- What it says --------------------------------------------------------------------------------


def contents(paper: QuotePaper) -> dict[str, Any]:
    """Return every word of the paper in the shape that quote.typ sets."""
    priced, issued = paper.priced, paper.issued_at.astimezone(_LONDON)
    until = _moment(paper.valid_until)
    return {
        "title": f"Gas quote {paper.reference}",
        "summary": f"Gas quote for MPRN {paper.mprn}, valid until {until}",
        "date": {"year": issued.year, "month": issued.month, "day": issued.day},
        "company": {"name": paper.company.name, "lines": _company_lines(paper.company)},
        "foot": f"{paper.company.name} · Gas quote {paper.reference} · valid until {until}",
        "page": "Page",
        "of": "of",
        "issued": f"Issued {_moment(paper.issued_at)}",
        "headlines": _headlines(priced),
        "valid": f"This quote is valid until {until}.",
        "valid-note": "After that it cannot be accepted; ask us for a new one.",
        "customer": {"title": "For", "rows": _customer(paper)},
        "site": {"title": "Supply point", "rows": _site(paper)},
        "contract": {"title": "Contract", "rows": _contract(priced)},
        "gas": _gas(paper),
        "prices": _prices(priced),
        "costs": _costs(priced),
        "sources": _sources(paper),
        "terms": {"title": "Please note", "rows": list(paper.terms)},
    }


def _company_lines(company: Company) -> list[str]:
    ways = " · ".join(filter(None, (company.email, company.phone.replace(" ", _NBSP))))
    return [line for line in (*company.address, ways, company.registration) if line]


def _headlines(priced: Priced) -> list[dict[str, str]]:
    mark = ", with estimates" if priced.estimated else ""
    first = ", with estimates" if _has_estimates(priced, 1) else ""
    return [
        {
            "label": "First year, including CCL and VAT",
            "value": _pounds(priced.first_year.including),
            "note": f"{_pounds(priced.first_year.excluding)} excluding them{first}",
        },
        {
            "label": f"Whole contract, {priced.months} months",
            "value": _pounds(priced.whole.including),
            "note": f"including CCL and VAT{mark}",
        },
        {
            "label": "Average month",
            "value": _pounds(priced.per_month.including),
            "note": f"including CCL and VAT{mark}",
        },
    ]


def _customer(paper: QuotePaper) -> list[list[Any]]:
    rows: list[list[Any]] = [["Customer", [paper.customer, *paper.customer_lines]]]
    if paper.broker:
        rows.append(["Broker", [paper.broker]])
    return rows


def _site(paper: QuotePaper) -> list[list[Any]]:
    zone = paper.priced.ldz
    rows: list[list[Any]] = [["MPRN", [paper.mprn]]]
    rows += [["Address", list(paper.site_lines)]] if paper.site_lines else []
    rows.append(["Zone (LDZ)", [f"{zone}, {LDZS.get(zone, zone)}"]])
    rows += [["Network", [paper.network]]] if paper.network else []
    rows.append(["Sector", [paper.priced.sector.words]])
    return rows


def _contract(priced: Priced) -> list[list[Any]]:
    broker = "none"
    if priced.broker_uplift:
        broker = (
            f"{_rate(priced.broker_uplift)} p/kWh, {_pounds(priced.uplift_cost)} over the contract "
            "(held in the unit rates and costs of this quote)"
        )
    fee = _pounds(priced.exit_fee) if priced.exit_fee else "none"
    return [
        ["Supply", [f"{_long(priced.start)} to {_long(priced.end)}, {priced.months} months"]],
        ["Payment", [priced.payment.words]],
        ["Broker’s uplift", [broker]],
        ["Exit fee", [f"{fee}, for leaving before the contract ends" if priced.exit_fee else fee]],
    ]


def _gas(paper: QuotePaper) -> dict[str, Any]:
    """Both AQs with their dates: what the prices of the contract rest on."""
    looked_up, begins = _long(paper.priced.looked_up_on), paper.effective_date
    until = f"until {_long(begins - timedelta(days=1))}" if begins else "until the next one"
    since = f"from {_long(begins)}" if begins else "not known yet"
    rows = [
        _sum_or_row(_aq_cells("Current", until, paper.formula)),
        _sum_or_row(_aq_cells("Prospective", since, paper.prospective)),
    ]
    notes = [
        f"AQ: annual quantity. SOQ: quantity on the peak day. As recorded on {looked_up} by the "
        "central register of gas supply points."
    ]
    return {
        "title": "How much gas the supply point uses",
        "table": {
            "head": ["Formula Year", "Applies", "Band", "AQ (kWh a year)", "SOQ (kWh a day)"],
            "left": 3,
            "rows": rows,
        },
        "notes": [*notes, *_estimates(paper.priced)],
    }


def _aq_cells(name: str, applies: str, checked: Checked) -> list[str]:
    if checked.aq_kwh is None or checked.soq_kwh is None:
        return [name, "not known yet", "", "not known yet", "not known yet"]
    band = rules.band_of(checked.aq_kwh).value
    return [name, applies, band, _quantity(checked.aq_kwh), _quantity(checked.soq_kwh)]


def _estimates(priced: Priced) -> list[str]:
    """Say what is estimated and why, each reason once."""
    found: dict[str, date] = {}
    for part in priced.parts:
        if part.estimated:
            found.setdefault(part.estimated_why, part.start)
    return [f"(e) Estimated from {_long(day)}: {why}" for why, day in found.items()]


def _prices(priced: Priced) -> dict[str, Any]:
    rows = [_sum_or_row(_price_cells(part)) for part in priced.parts]
    notes = ["p/kWh: unit rate. p a day: standing charge. Cost: both together, before CCL and VAT."]
    if priced.broker_uplift:
        uplift = _rate(priced.broker_uplift)
        notes.append(f"The unit rates include the broker’s uplift of {uplift}{_NBSP}p/kWh.")
    return {
        "title": "Prices",
        "table": {
            "head": ["From", "To", "AQ used", "Days", "kWh", "p/kWh", "p a day", "Cost"],
            "left": 3,
            "rows": rows,
        },
        "notes": notes,
    }


_YEARS: Final = {"formula": "current", "prospective": "prospective"}


def _price_cells(part: Part) -> list[str]:
    return [
        _short(part.start),
        _short(part.end),
        f"{_YEARS[part.year]} ({part.band.value}){_mark(part.estimated)}",
        str(part.days),
        f"{part.kwh:,f}",
        _rate(part.unit_rate),
        _rate(part.standing_charge),
        _pounds(part.energy + part.standing),
    ]


def _costs(priced: Priced) -> dict[str, Any]:
    years = priced.years
    rows = [
        _sum_or_row(_cost_cells(f"Year {n}{_mark(_has_estimates(priced, n))}", year))
        for n, year in enumerate(years, start=1)
    ]
    whole = f"Whole contract{_mark(priced.estimated)}"
    rows.append(_sum_or_row(_cost_cells(whole, priced.whole), is_sum=True))
    if len(years) > 1:
        rows.append(_sum_or_row(_average_cells("Average year", priced.average_year)))
    rows.append(_sum_or_row(_average_cells("Average month", priced.per_month)))
    return {
        "title": "What it costs",
        "table": {
            "head": [
                "Period",
                "Energy",
                "Standing charge",
                "Before CCL, VAT",
                "CCL",
                "VAT",
                "Total",
            ],
            "left": 1,
            "rows": rows,
        },
        "notes": _cost_notes(priced),
    }


def _has_estimates(priced: Priced, contract_year: int) -> bool:
    return any(
        part.estimated or part.ccl_estimated
        for part in priced.parts
        if part.contract_year == contract_year
    )


def _mark(estimated: bool) -> str:  # noqa: FBT001 - one word
    return " (e)" if estimated else ""


def _cost_cells(label: str, sums: Amounts) -> list[str]:
    amounts = (sums.energy, sums.standing, sums.excluding, sums.ccl, sums.vat, sums.including)
    return [label, *(_pounds(each) for each in amounts)]


def _average_cells(label: str, totals: Totals) -> list[str]:
    return [label, "", "", _pounds(totals.excluding), "", "", _pounds(totals.including)]


def _cost_notes(priced: Priced) -> list[str]:
    """Explain the taxes and the rounding."""
    rates = {part.vat_rate for part in priced.parts}
    shown = " and ".join(f"{_percent(rate)}" for rate in sorted(rates))
    notes = [f"VAT is charged at {shown}. Amounts are rounded to the penny before they are added."]
    if priced.estimated:
        notes.append("(e) Includes an estimate, as explained on this quote.")
    if any(part.ccl_estimated for part in priced.parts):
        first = next(part for part in priced.parts if part.ccl_estimated)
        notes.append(
            f"(e) The climate change levy from {_long(first.start)} on is not set yet: the last "
            "known rate is used as an estimate. You pay the rate that the law sets."
        )
    elif all(part.ccl_rate is None for part in priced.parts):
        notes.append("The climate change levy is not charged where VAT has the reduced rate.")
    return notes


def _sources(paper: QuotePaper) -> dict[str, Any]:
    return {
        "title": "Where the figures come from",
        "head": ["Figure", "Value", "Source"],
        "rows": [[each.figure, each.value, each.source] for each in paper.priced.sources],
    }


def _sum_or_row(cells: Sequence[str], *, is_sum: bool = False) -> dict[str, Any]:
    return {"cells": list(cells), "sum": is_sum}


# ---- Figures and words ---------------------------------------------------------------------------


def _drawn(value: Any) -> Any:
    """Return the same with every text such that the typeface can draw it and lines can break."""
    if isinstance(value, str):
        return drawable(value)
    if isinstance(value, dict):
        return {name: _drawn(each) for name, each in value.items()}
    return [_drawn(each) for each in value] if isinstance(value, list) else value


def drawable(text: str) -> str:
    """Return text without control signs; letters that the typeface lacks become □.

    Words without end get places where a line may break.
    """
    visible = _visible(unicodedata.normalize("NFC", text))
    words = _NOT_DRAWN.sub(_BOX, visible).split(" ")
    return " ".join(_BREAK.join(_pieces(word)) for word in words if word)


def _visible(text: str) -> str:
    return "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in text)


def _pieces(word: str) -> Iterable[str]:
    if len(word) <= _LONGEST_WORD:
        return (word,)
    return (word[at : at + _PIECE] for at in range(0, len(word), _PIECE))


def _pounds(amount: Decimal) -> str:
    return f"£{amount:,.2f}"


def _rate(rate: Decimal) -> str:
    """Write p/kWh or p a day with at least two and at most four decimals."""
    plain = f"{rate:.4f}".rstrip("0")
    whole, _, decimals = plain.partition(".")
    return f"{whole}.{decimals:0<2}"


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f}{_NBSP}%"


def _quantity(value: Decimal) -> str:
    return rules.kwh(value).removesuffix(f"{_NBSP}kWh")


def _short(day: date) -> str:
    return f"{day.day}{_NBSP}{day:%b}{_NBSP}{day.year}"


def _long(day: date) -> str:
    return f"{day.day}{_NBSP}{day:%B} {day.year}"


def _moment(moment: datetime) -> str:
    """Write a moment in UK time, such as 14:30 on Friday 20 November 2026 (UK time)."""
    local = moment.astimezone(_LONDON)
    return f"{local:%H:%M} on {local:%A} {_long(local.date())} (UK time)"
