"""What the page of a quote shows: quantities, the price in parts, sources, and what is missing.

Everything comes from what was kept with the quote; nothing is priced again to be shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from gasquotes import codes, messages, pricing, rules
from gasquotes.models import LookUp, Quote

RESULTS = {"pass": ("good", "Pass"), "look": ("look", "Look"), "fail": ("bad", "Fail")}
ORDER = ("fail", "look", "pass")
STATES = {
    "plausible": ("good", "Plausible"),
    "implausible": ("bad", "Not plausible"),
    "missing": ("look", "Missing"),
}
NBSP = "\N{NO-BREAK SPACE}"


def quote_facts(quote: Quote) -> dict[str, Any]:
    """Everything about one quote that its page shows beside the frame's own; costs no query."""
    priced, look_up = quote.price, quote.look_up
    return {
        "checks": checks(quote),
        "price": price_facts(priced) if priced else None,
        "quantities": quantities(look_up) if look_up else [],
        "missing": missing(quote),
        "point": point_facts(look_up) if look_up else [],
        "fields": [(name, getattr(look_up, name)) for name in messages.FIELDS] if look_up else [],
        "wish": wish_facts(quote),
    }


def pounds(amount: Decimal) -> str:
    """An amount in £ and pence."""
    return f"£{amount:,.2f}"


def pence(rate: Decimal) -> str:
    """A rate in pence without zeros that say nothing, two decimals at least."""
    text = f"{rate:.4f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<2}"


def kwh(value: Decimal | None, places: int = 0) -> str:
    """An amount of energy; nothing where it is not known."""
    return "" if value is None else f"{value:,.{places}f}{NBSP}kWh"


def signed(value: Decimal | None, places: int = 0, unit: str = "") -> str:
    """A change with its sign; nothing where it is not known."""
    if value is None:
        return ""
    return f"{value:+,.{places}f}{unit}".replace("-", "−")


def percent(now: Decimal | None, later: Decimal | None) -> str:
    """By how much something changes, in per cent; nothing where it cannot be said."""
    if not now or later is None:
        return ""
    return signed((later - now) * 100 / now, 1, f"{NBSP}%")


# ---- What was found ----------------------------------------------------------------------------


def checks(quote: Quote) -> list[dict[str, str]]:
    """The findings with their tags, failures first."""
    rows = [
        {**each, "tag": RESULTS[each["result"]][0], "label": RESULTS[each["result"]][1]}
        for each in quote.findings
    ]
    return sorted(rows, key=lambda row: ORDER.index(row["result"]))


def quantities(look_up: LookUp) -> list[dict[str, Any]]:
    """Both Formula Years, and the rolling values that are never priced."""
    found = look_up.quantities
    since = found.effective_date
    rows = [
        _year(found.formula, "Current Formula Year", "used from the start"),
        _year(
            found.prospective,
            "Prospective Formula Year",
            f"from {since.day} {since:%B %Y}" if since else "no effective date given",
        ),
    ]
    return [*rows, _rolling(look_up)]


def _year(checked: rules.Checked, title: str, when: str) -> dict[str, Any]:
    kind, label = STATES[checked.state]
    if checked.year == "prospective" and checked.absent:
        kind, label = "idle", "Not given yet"
    return {
        "title": title,
        "when": when,
        "unit": checked.unit.value,
        "aq": checked.aq,
        "soq": checked.soq,
        "aq_kwh": kwh(checked.aq_kwh),
        "soq_kwh": kwh(checked.soq_kwh, 1),
        "band": _band(checked.aq_kwh),
        "tag": kind,
        "label": label,
    }


def _band(aq_kwh: Decimal | None) -> str:
    if aq_kwh is None or aq_kwh <= 0:
        return ""
    return rules.band_of(aq_kwh).value


def _rolling(look_up: LookUp) -> dict[str, Any]:
    unit = rules.Unit(look_up.unit)
    aq, soq = (
        Decimal(text) if text else None
        for text in (look_up.current_aq_roll_value, look_up.current_soq_roll_value)
    )
    return {
        "title": "Rolling",
        "when": "for comparison, never priced",
        "unit": unit.value,
        "aq": aq,
        "soq": soq,
        "aq_kwh": "" if aq is None else kwh(rules.to_kwh(aq, unit)),
        "soq_kwh": "" if soq is None else kwh(rules.to_kwh(soq, unit), 1),
        "band": "",
        "tag": "",
        "label": "",
    }


def point_facts(look_up: LookUp) -> list[dict[str, Any]]:
    """The supply point as the service describes it."""
    zone = look_up.local_distribution_zone
    sector = look_up.market_sector_code
    known = {each.value: each.words for each in rules.Sector}
    return [
        {"label": "MPRN", "value": look_up.mprn, "mono": True, "source": _doubt(look_up.mprn)},
        {"label": "Address", "value": ", ".join(look_up.point.address)},
        {"label": "Zone (LDZ)", "value": zone, "source": rules.LDZS.get(zone.upper(), "")},
        {"label": "Market sector", "value": sector, "source": known.get(sector.upper(), "")},
        {"label": "Network", "value": look_up.distribution_network_operator},
        {
            "label": "Independent network",
            "value": f"CSEP {look_up.csep_id}" if look_up.csep_id else "No",
        },
        {"label": "Exit zone", "value": look_up.exit_zone},
    ]


def _doubt(mprn: str) -> str:
    return rules.mprn_warning(mprn) or ""


def wish_facts(quote: Quote) -> list[dict[str, Any]]:
    """What the customer wants."""
    uplift = f"{pence(quote.broker_uplift)} p/kWh" if quote.broker_uplift else "None"
    asked = quote.asked
    rows: list[dict[str, Any]] = [
        {"label": "Customer", "value": quote.name},
        {"label": "E-mail", "value": quote.email},
        {
            "label": "Asked for",
            "value": quote.asked_mprn or ", ".join(quote.asked_address),
            "source": ASKED_BY.get(asked.kind, ""),
        },
        {"label": "Start of supply", "value": f"{quote.start.day} {quote.start:%B %Y}"},
        {"label": "Contract length", "value": f"{quote.months} months"},
        {"label": "Payment", "value": quote.get_payment_display().capitalize()},
        {"label": "Broker uplift", "value": uplift, "source": quote.broker},
    ]
    return rows


ASKED_BY = {"mprn": "by MPRN", "postcode": "by address", "address_id": "by address ID"}


# ---- What is missing ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Missing:
    """Why the service found no single supply point: in plain English, and in its own words."""

    code: str
    title: str
    sentence: str
    next_step: str
    their_words: str


def missing(quote: Quote) -> Missing | None:
    """What of the address is missing, None where nothing is."""
    if quote.status != Quote.Status.ADDRESS:
        return None
    meaning = codes.MEANINGS.get(quote.code)
    return Missing(
        code=quote.code,
        title=meaning.title if meaning else "More of the address is needed",
        sentence=meaning.sentence if meaning else quote.why,
        next_step=meaning.next_step if meaning else quote.next_step,
        their_words=messages.FAULT_STRINGS.get(quote.code, ""),
    )


# ---- The price ---------------------------------------------------------------------------------


def price_facts(priced: pricing.Priced) -> dict[str, Any]:
    """A frozen price as rows for people: totals, years and parts, each figure with its source."""
    month, year, whole = priced.per_month, priced.average_year, priced.whole
    return {
        "priced": priced,
        "headline": [
            ("A month, including VAT", pounds(month.including), _without(month)),
            ("A year, including VAT", pounds(year.including), _without(year)),
            (
                f"The contract of {priced.months} months",
                pounds(whole.including),
                f"{pounds(whole.excluding_vat)} excluding VAT",
            ),
        ],
        "rows": [*_year_rows(priced), _amounts("Whole contract", priced.whole)],
        "parts": [_part(part) for part in priced.parts],
        "estimates": _estimates(priced),
        "uplift": pounds(priced.uplift_cost) if priced.broker_uplift else "",
        "exit_fee": pounds(priced.exit_fee) if priced.exit_fee else "None",
        "sources": priced.sources,
    }


def _without(totals: pricing.Totals) -> str:
    return f"{pounds(totals.excluding_vat)} excluding VAT"


def _year_rows(priced: pricing.Priced) -> list[dict[str, Any]]:
    return [_amounts(f"Year {number}", amounts) for number, amounts in enumerate(priced.years, 1)]


def _amounts(title: str, amounts: pricing.Amounts) -> dict[str, Any]:
    return {
        "title": title,
        "days": amounts.days,
        "kwh": kwh(amounts.kwh),
        "energy": pounds(amounts.energy),
        "standing": pounds(amounts.standing),
        "excluding": pounds(amounts.excluding),
        "ccl": pounds(amounts.ccl),
        "vat": pounds(amounts.vat),
        "including": pounds(amounts.including),
    }


def _part(part: pricing.Part) -> dict[str, Any]:
    uplift = part.unit_rate - part.book_rate
    return {
        "part": part,
        "year": rules.YEAR_WORDS[part.year],
        "aq": kwh(part.aq_kwh),
        "kwh": kwh(part.kwh),
        "band": part.band.value,
        "unit_rate": pence(part.unit_rate),
        "made_of": f"{pence(part.book_rate)} + {pence(uplift)} uplift" if uplift else "",
        "standing_charge": pence(part.standing_charge),
        "energy": pounds(part.energy),
        "standing": pounds(part.standing),
        "cost": pounds(part.energy + part.standing),
        "ccl": pounds(part.ccl),
        "vat": pounds(part.vat),
        "vat_rate": f"{part.vat_rate * 100:.0f}{NBSP}%",
    }


def _estimates(priced: pricing.Priced) -> list[str]:
    """Why something in it is an estimate, each reason once."""
    why: Iterable[str] = (part.estimated_why for part in priced.parts if part.estimated)
    reasons = [each for each in dict.fromkeys(why) if each]
    if any(part.ccl_estimated for part in priced.parts):
        reasons.append("The climate change levy of later years is not known yet.")
    return reasons


def reuse_words(quote: Quote) -> str:
    """Why no call was made for a quote, empty where one was."""
    if not quote.look_up_reused:
        return ""
    return (
        f"An earlier look-up was used; one serves again for {settings.GASQUOTES_REUSE_DAYS} days."
    )
