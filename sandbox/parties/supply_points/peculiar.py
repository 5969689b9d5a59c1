"""Special points with a good reply whose fields are not the usual: 7000 and 0301 to 0451.

The edges of the bands, quantities that cannot be, fields that are missing, and odd texts.
"""

from decimal import Decimal

from sandbox.parties.supply_points.mprn import mprn
from sandbox.parties.supply_points.point import Point, Quantity
from sandbox.parties.supply_points.specimen import HOME_KWH, specimen
from sandbox.parties.supply_points.tables import EFFECTIVE_DATE, FIELDS, QUANTITIES

AQ_NOW = "current_formula_year_aq_value"
SOQ_NOW = "current_formula_year_soq_value"
AQ_NEXT = "perspective_formula_year_aq_value"
SOQ_NEXT = "perspective_formula_year_soq_value"


def points() -> list[Point]:
    """Give them in the order of the control page."""
    return [*_bands(), *_implausible(), *_missing(), *_texts()]


def _bands() -> list[Point]:
    """The edges of the bands, and prospective quantities on their other side."""
    edges = (73_200, 732_000, 5_860_000)
    at = [
        specimen(301 + place, f"AQ exactly {edge:,} kWh", kwh=Decimal(edge), sector="I")
        for place, edge in enumerate(edges)
    ]
    above = [
        specimen(
            311 + place,
            f"AQ {edge:,}.1 kWh, just above the edge",
            kwh=edge + Decimal("0.1"),
            sector="I",
        )
        for place, edge in enumerate(edges)
    ]
    return [*at, *above, *_crossings(), *_networks()]


def _crossings() -> list[Point]:
    crossings = (
        (321, "rises from small to medium", 70_000, 78_000),
        (322, "falls from medium to small", 78_000, 70_000),
        (323, "rises from medium to large", 700_000, 780_000),
        (324, "falls from large to medium", 780_000, 700_000),
        (325, "rises to twice as much", 12_000, 24_000),
        (326, "falls to half as much", 12_000, 6_000),
    )
    return [
        specimen(
            number,
            f"Prospective AQ {words}: {now:,} to {then:,} kWh",
            kwh=Decimal(now),
            prospective=Decimal(then),
            sector="I",
        )
        for number, words, now, then in crossings
    ]


def _networks() -> list[Point]:
    return [
        specimen(
            331, "On an independent network, domestic: csep_id is set", {"csep_id": "CSEP000331"}
        ),
        specimen(
            332,
            "On an independent network, non-domestic: csep_id is set",
            {"csep_id": "CSEP000332"},
            kwh=Decimal(240_000),
            sector="I",
        ),
        specimen(333, "Sector I and domestic in size (9,000 kWh)", kwh=Decimal(9_000), sector="I"),
        specimen(334, "Sector D and 160,000 kWh a year", kwh=Decimal(160_000)),
        specimen(335, "A year's use of 145 kWh a day (52,925)", kwh=Decimal(52_925), sector="I"),
    ]


def _implausible() -> list[Point]:
    nothing = dict.fromkeys(QUANTITIES, Decimal(0))
    absurd = Decimal(2_500_000_000)
    return [
        specimen(401, "Every quantity is 0", nothing),
        specimen(402, "AQ is 0, SOQ is not", {AQ_NOW: Decimal(0)}),
        specimen(403, "SOQ is 0, AQ is not", {SOQ_NOW: Decimal(0)}),
        specimen(404, "SOQ is null", {SOQ_NOW: None}),
        specimen(405, "SOQ is missing", absent=[SOQ_NOW]),
        specimen(406, "SOQ x 365 is below AQ (AQ is 1.4 times as much)", _soq("1.4")),
        specimen(407, "AQ / (SOQ x 365) is 0.05", _soq("0.05")),
        specimen(408, "AQ is 0.4 kWh", _annual(Decimal("0.4"))),
        specimen(409, "AQ is 2,500,000,000 kWh, above every real one", _annual(absurd)),
        specimen(410, "AQ is negative", _annual(Decimal(-12_000))),
        specimen(411, "Prospective AQ is 0", {AQ_NEXT: Decimal(0)}),
        specimen(412, "Prospective AQ is a hundred times the present one", {AQ_NEXT: 1_200_000}),
        specimen(413, "AQ is 1e300", {AQ_NOW: 1e300}),
        specimen(414, "AQ is the number as a text", {AQ_NOW: "0.0120000"}),
        specimen(415, "AQ is true", {AQ_NOW: True}),
    ]


def _soq(ratio: str) -> dict[str, Decimal]:
    """Give the peak day for which AQ / (SOQ x 365) has this value."""
    peak = (HOME_KWH / 365 / Decimal(ratio)).quantize(Decimal("0.1"))
    return {SOQ_NOW: peak, SOQ_NEXT: peak}


def _annual(kwh: Decimal) -> dict[str, Decimal]:
    return Quantity(kwh, kwh).fields()


def _missing() -> list[Point]:
    texts = [name for name, longest in FIELDS.items() if longest and name != "mprn"]
    rest = [name for name in FIELDS if name != "mprn"]
    half = {name: None if place % 2 else "" for place, name in enumerate(texts)}
    return [
        specimen(421, "Texts are null and empty in turn; quantities are there", half),
        specimen(422, "Every text but the MPRN is empty", dict.fromkeys(texts, "")),
        specimen(423, "Everything but the MPRN is null", dict.fromkeys(rest)),
        specimen(424, "Everything but the MPRN is missing", absent=rest),
        specimen(425, "AQ is null", {AQ_NOW: None}),
        specimen(426, "AQ is missing", absent=[AQ_NOW]),
        specimen(427, "Prospective AQ, SOQ and date are null", _none(AQ_NEXT, SOQ_NEXT)),
        specimen(428, "Rolling AQ is null", {"current_aq_roll_value": None}),
        specimen(429, "Its own MPRN is null", {"mprn": None}),
        specimen(430, "Its own MPRN is missing", absent=["mprn"]),
        specimen(431, "The zone is null", {"local_distribution_zone": None}),
        specimen(432, "The zone is empty", {"local_distribution_zone": ""}),
        specimen(433, "The market sector is null", {"market_sector_code": None}),
        specimen(434, "csep_id is null", {"csep_id": None}),
    ]


def _none(*names: str) -> dict[str, None]:
    return dict.fromkeys((*names, EFFECTIVE_DATE))


def _texts() -> list[Point]:
    return [
        specimen(441, "A zone that does not exist (ZZ)", {"local_distribution_zone": "ZZ"}),
        specimen(442, "A market sector that does not exist (X)", {"market_sector_code": "X"}),
        specimen(443, "Prospective date in the past (2016)", _date("2016-10-01T00:00:00.000Z")),
        specimen(444, "Prospective date without a time", _date("2027-04-01")),
        specimen(445, "Prospective date in another form", _date("01/04/2027")),
        specimen(446, "Prospective date is no date", _date("2027-02-30T00:00:00.000Z")),
        specimen(447, "HTML in the address", {"street": "<b>LANTERN</b> & <i>CLOSE"}),
        specimen(448, "Control characters in the address", {"street": "LANTERN\u0000\u202eFIELD"}),
        specimen(449, "A street of 5,000 characters", {"street": "LANTERNFIELD " * 385}),
        specimen(450, "MPRN with spaces around it", {"mprn": f" {mprn('70000450')} "}),
        specimen(451, "MPRN as a number", {"mprn": int(mprn("70000451"))}),
    ]


def _date(text: str) -> dict[str, str]:
    return {EFFECTIVE_DATE: text}
