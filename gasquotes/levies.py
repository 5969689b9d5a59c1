"""VAT and climate change levy as dated figures of reference, and which of them holds on a day.

Plain Python. A figure holds from its day until the next one of its kind.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

import msgspec

LevyKind = Literal["vat_reduced", "vat_standard", "ccl_gas", "vat_threshold_kwh_day"]


class Levy(msgspec.Struct, frozen=True, kw_only=True):
    """A dated figure of reference: VAT as 0.05, CCL in £/kWh, the threshold in kWh a day."""

    kind: LevyKind
    valid_from: date
    value: Decimal
    source: str


class NoLevy(LookupError):
    """No figure of a kind is known for a day; `sentence` says so for people."""

    def __init__(self, kind: LevyKind, day: date) -> None:
        self.sentence = (
            f"The reference tables hold no {_LEVY_WORDS[kind]} for {day.day} {day:%B %Y}."
        )
        super().__init__(self.sentence)


_LEVY_WORDS: Final[Mapping[LevyKind, str]] = MappingProxyType(
    {
        "vat_reduced": "reduced rate of VAT",
        "vat_standard": "standard rate of VAT",
        "ccl_gas": "rate of the climate change levy on gas",
        "vat_threshold_kwh_day": "limit for the reduced rate of VAT",
    }
)
SEEDED_LEVIES: Final = (
    Levy(
        kind="vat_reduced",
        valid_from=date(1997, 9, 1),
        value=Decimal("0.05"),
        source="HMRC, VAT on fuel and power (Notice 701/19): reduced rate",
    ),
    Levy(
        kind="vat_standard",
        valid_from=date(2011, 1, 4),
        value=Decimal("0.20"),
        source="HMRC, VAT rates: standard rate",
    ),
    Levy(
        kind="vat_threshold_kwh_day",
        valid_from=date(1997, 9, 1),
        value=Decimal(145),
        source="HMRC, VAT on fuel and power (Notice 701/19): 145 kWh of gas a day, 4,397 a month",
    ),
    Levy(
        kind="ccl_gas",
        valid_from=date(2025, 4, 1),
        value=Decimal("0.00775"),
        source="HMRC, Climate Change Levy rates: gas, 1 April 2025 to 31 March 2026",
    ),
    Levy(
        kind="ccl_gas",
        valid_from=date(2026, 4, 1),
        value=Decimal("0.00801"),
        source="HMRC, Climate Change Levy rates: gas, from 1 April 2026",
    ),
)


def in_force(levies: Iterable[Levy], kind: LevyKind, day: date) -> Levy:
    """Return the figure of a kind that holds on a day. Raises NoLevy before the first one."""
    found: Levy | None = None
    for levy in levies:
        if levy.kind != kind or levy.valid_from > day:
            continue
        if found is None or levy.valid_from > found.valid_from:
            found = levy
    if found is None:
        raise NoLevy(kind, day)
    return found
