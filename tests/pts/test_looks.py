"""How figures look: energies, bars, pips, progress, windows in both zones, charts."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from pts import looks, pictures
from pts.models import Report
from pts.rules import Tries
from tests.factories.pts import PartyReadingFactory, ReportFactory, SystemFactory, WindowFactory

OPENS = datetime(2026, 11, 26, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("energy", "said"),
    [(None, "–"), ("0", "0"), ("2835.25", "2,835.2"), ("1000.0000", "1,000"), ("-12", "-12")],
)
def test_energies(energy, said):
    assert looks.kilowatt_hours(None if energy is None else Decimal(energy)) == said


def test_capacities():
    assert looks.kilowatts(Decimal("10.500")) == "10.5 kW"
    assert looks.kilowatts(Decimal("100.000")) == "100 kW"
    assert looks.kilowatts(None) == "capacity not known"


@pytest.mark.parametrize(
    ("produced", "expected", "said", "fill"),
    [
        (100, 100, "100 %", "fill-1"),
        (29, 100, "29 %", "fill-look"),
        (900, 100, "900 %", "fill-look"),
        (-5, 100, "goes back", ""),
        (5, 0, "–", ""),
        (None, 5, "–", ""),
    ],
)
def test_bars_against_what_is_expected(produced, expected, said, fill):
    drawn = looks.bullet(None if produced is None else Decimal(produced), Decimal(expected))
    assert said in drawn
    assert fill in drawn


def test_pips_say_the_same_in_words():
    drawn = looks.pips(Tries(valid=1, failed=1, undecided=1, more_failed=1))
    assert "0 of 2 valid tries left, 2 of 4 failed tries left, 1 undecided" in drawn
    assert drawn.count("pip-left") == 2
    assert drawn.count("pip-held") == 2
    assert drawn.count('class="pip') == 1 + 6 + 1  # the row, six dots, the figures


def test_progress_fills_the_bar_and_nothing_more():
    counts = {status: number for number, status in enumerate(Report.Status.values, start=1)}
    parts = list(looks.progress(counts))
    assert [part["count"] for part in parts] == [counts[part["status"]] for part in parts]
    assert sum(float(part["width"][:-1]) + 0.25 for part in parts) == pytest.approx(100, abs=0.1)
    assert all(part["width"] == "0.00%" for part in looks.progress({}))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("after", "state", "day"),
    [
        (timedelta(hours=-1), "coming", 0),
        (timedelta(0), "open", 1),
        (timedelta(days=9, hours=23), "open", 10),
        (timedelta(days=10), "closed", 10),
    ],
)
def test_a_window_in_both_zones(after, state, day):
    frame = looks.frame(WindowFactory(), OPENS + after)
    assert (frame["state"], frame["days"], frame["day"]) == (state, 10, day)
    assert frame["opens_there"] == "Thu 26 Nov 2026, 00:00 EST"
    assert frame["closes_there"] == "Sat 5 Dec 2026, 23:59 EST"
    assert frame["is_ending"] is (after > timedelta(days=9) and state == "open")


@pytest.mark.django_db
def test_the_home_page_says_how_long_it_is_open():
    window = WindowFactory()
    for now, said in (
        (OPENS - timedelta(days=2), "November 2026 opens in 2"),
        (OPENS + timedelta(days=1), "3 of 4 passed, November 2026 closes in 9"),
        (OPENS + timedelta(days=30), "November 2026 is closed"),
    ):
        assert said in looks.countdown(window, now, 3, 4)
    assert looks.countdown(None, OPENS, 0, 0) == "no window yet"


@pytest.mark.django_db
def test_the_months_chart_counts_what_is_sound():
    window = WindowFactory()
    assert pictures.of_months(window) is None
    system = SystemFactory()
    PartyReadingFactory(system=system, period_end=date(2026, 10, 31), energy_produced=4000)
    for status, produced in (("passed", 2000), ("ready", 1000), ("failed", 9), ("look", 9)):
        ReportFactory(status=status, window=window, produced=produced, expected=produced * 2)
    rows = {row.label: row.cells for row in pictures.of_months(window)["rows"]}
    assert rows == {"October 2026": ("4.0", "–"), "November 2026": ("3.0", "6.0")}
