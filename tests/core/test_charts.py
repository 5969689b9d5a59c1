"""Charts: what is drawn, what is said in words, and that nothing of it can break the page."""

import re
from datetime import date, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import charts
from core.charts import Chart, HeatDay, HeatMap, Series

PLACES = 48
LABELS = [f"{n // 2:02}:{'30' if n % 2 else '00'}" for n in range(PLACES)]
VALUES = st.one_of(st.none(), st.integers(-(10**6), 10**9), st.floats(-1e6, 1e9))
MARKUP = "<img src=x onerror=\"alert(1)\"> & 'x'"


def day(values, **more):
    return Chart(
        key="day",
        title="Import",
        labels=LABELS[: len(values)],
        series=[Series(name="import", values=values)],
        **more,
    )


def parsed(svg):
    return ET.fromstring(svg)  # noqa: S314 – our own drawing


def found(svg, tag, **attributes):
    wanted = {name.rstrip("_"): value for name, value in attributes.items()}
    return [
        each
        for each in parsed(svg).iter(tag)
        if all(each.get(name) == value for name, value in wanted.items())
    ]


def year(value=lambda day, place: Decimal(place) / 10):
    first = date(2026, 1, 1)
    days = [first + timedelta(days=n) for n in range(365)]
    counts = {date(2026, 3, 29): 46, date(2026, 10, 25): 50}
    return HeatMap(
        key="year",
        title="Year",
        places=1,
        days=[HeatDay(d, [value(d, n) for n in range(counts.get(d, 48))]) for d in days],
    )


@pytest.mark.parametrize("count", [46, 48, 50])
def test_bars_has_one_bar_for_every_half_hour_of_the_day(count):
    chart = Chart(
        key="day",
        title="Import",
        labels=[str(n) for n in range(count)],
        series=[Series(name="import", values=[Decimal(n + 1) for n in range(count)])],
    )
    drawn = found(charts.bars(chart), "rect", class_="fill-1")
    assert len(drawn) == count
    assert drawn[2].find("title").text == "2 import 3.000\N{NO-BREAK SPACE}kWh"
    edges = [float(each.get("x")) + float(each.get("width")) for each in drawn]
    assert max(edges) <= 792


def test_a_gap_is_hatched_named_and_never_a_bar():
    svg = charts.bars(day([1, 2, None, None, None, 3]))
    assert len(found(svg, "rect", class_="fill-1")) == 3
    [gap] = found(svg, "rect", fill="url(#day-gap)")
    assert gap.find("title").text == "no readings, 01:00 to 02:30"
    assert len(found(svg, "pattern", id="day-gap")) == 1
    assert any(each.text == "no readings, 01:00 to 02:30" for each in parsed(svg).iter("text"))


def test_a_gap_of_days_is_named_by_its_first_and_last():
    svg = charts.columns(day([1, 2, None, None, None, 3]))
    [gap] = found(svg, "rect", fill="url(#day-gap)")
    assert gap.find("title").text == "no readings, 01:00 to 02:00"


def test_zero_is_no_gap():
    svg = charts.bars(day([0, 0, 0]))
    assert found(svg, "rect", fill="url(#day-gap)") == []
    assert charts.rows(day([0, 0, 0]))[0] == ("00:00", ("0.000",), "")


def test_export_hangs_below_the_axis():
    chart = Chart(
        key="day",
        title="Both",
        labels=["a", "b"],
        series=[
            Series(name="import", values=[2, 0]),
            Series(name="export", values=[0, 1], fill="fill-2", down=True),
        ],
    )
    svg = charts.bars(chart)
    [up], [down] = found(svg, "rect", class_="fill-1"), found(svg, "rect", class_="fill-2")
    [axis] = found(svg, "line", class_="axis")
    assert float(up.get("y")) + float(up.get("height")) == pytest.approx(float(axis.get("y1")), 0.2)
    assert float(down.get("y")) == pytest.approx(float(axis.get("y1")), 0.2)
    shown = [each.text for each in parsed(svg).iter("text")]
    assert not any(text.startswith("-") for text in shown)


def test_a_mark_changes_colour_title_and_table():
    chart = day([1, None, 3], marks={0: "Clock jump", 1: "Meter change"})
    svg = charts.bars(chart)
    [marked] = found(svg, "rect", class_="fill-look")
    assert marked.find("title").text.endswith("kWh, Clock jump")
    [gap] = found(svg, "rect", fill="url(#day-gap)")
    assert gap.find("title").text == "Meter change, 00:30"
    assert [row.mark for row in charts.rows(chart)] == ["Clock jump", "Meter change", ""]


def test_rows_are_the_same_numbers():
    chart = Chart(
        key="m",
        title="Months",
        labels=["Jan", "Feb"],
        series=[Series(name="import", values=[Decimal("1234.5"), None])],
        places=1,
        reference=[1000, 900],
    )
    assert charts.rows(chart) == [
        ("Jan", ("1,234.5", "1,000.0"), ""),
        ("Feb", ("–", "900.0"), "Missing"),
    ]
    assert len(found(charts.columns(chart), "line", class_="ref-line")) == 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1, 3, 2], "Import up to 3.000\N{NO-BREAK SPACE}kWh (00:30)."),
        ([None, None], "Import: no values. No readings, 00:00 to 00:30."),
        ([1, None, 1], "No readings, 00:30."),
        ([None, 1] * 5, "Gaps: 5, together 5 of 10."),
    ],
)
def test_description_says_the_highest_value_and_what_is_missing(values, sentence):
    assert sentence in charts.describe(day(values))
    [desc] = found(charts.bars(day(values)), "desc", id="day-d")
    assert desc.text == charts.describe(day(values))


def test_links_lead_on_and_the_drawing_is_then_no_single_image():
    plain, linked = charts.columns(day([1])), charts.columns(day([1], links=["?p=month&m=1"]))
    assert parsed(plain).get("role") == "img"
    assert parsed(linked).get("role") == "group"
    [link] = found(linked, "a")
    assert link.get("href") == "?p=month&m=1"


def test_a_line_is_broken_at_gaps_and_marks_its_points():
    svg = charts.line(day([1, 2, None, 4, -5], unit="s", places=0, marks={4: "Adjusted"}))
    [path] = found(svg, "path", fill="none")
    assert path.get("d").count("M") == 2
    assert path.get("d").count("L") == 2
    assert len(found(svg, "circle", class_="fill-1")) == 3
    assert len(found(svg, "circle", class_="fill-look")) == 1
    assert len(found(svg, "line", class_="axis")) == 1


def test_a_line_may_have_its_points_anywhere():
    svg = charts.line(day([1, 2, 3], positions=[0.0, 0.1, 1.0]))
    assert [each.get("cx") for each in found(svg, "circle")] == ["44", "118.8", "792"]


def test_a_heat_map_of_a_year_is_a_handful_of_elements():
    svg = charts.heat_map(year())
    assert len(found(svg, "path")) <= 6
    assert len(list(parsed(svg).iter())) < 40
    assert len(svg) < 20_000


def test_a_noisy_year_stays_light():
    svg = charts.heat_map(year(lambda d, n: (d.toordinal() * 7919 + n * 104729) % 997))
    assert len(list(parsed(svg).iter())) < 40
    assert len(svg) < 250_000


def covered(path):
    """Return the cells (column, row) that the rectangles of a path cover; 2 by 4 pixels each."""
    cells = set()
    for x, y, across, down in re.findall(r"M(\d+) (\d+)h(\d+)V(\d+)h-\d+z", path):
        columns = range((int(x) - 44) // 2, (int(x) - 44 + int(across)) // 2)
        rows = range((int(y) - 18) // 4, (int(down) - 18) // 4)
        cells |= {(column, row) for column in columns for row in rows}
    return cells


@given(
    st.lists(
        st.sampled_from([46, 48, 50]).flatmap(
            lambda n: st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=n, max_size=n)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_every_cell_of_a_heat_map_has_its_colour(columns):
    columns += [[0] * 48] * 370  # so that a cell is two pixels wide
    heat = HeatMap(
        key="h", title="Heat", days=[HeatDay(date(2026, 1, 1), each) for each in columns]
    )
    levels = charts.heat_levels(heat.days)
    svg = charts.heat_map(heat)
    drawn = {
        each.get("class") or "gap": covered(each.get("d")) for each in parsed(svg).iter("path")
    }
    colours = [drawn.get(f"heat-{level}", set()) for level in range(5)]
    for column, values in enumerate(columns[:4]):
        if len(values) != 48:
            continue
        for row, value in enumerate(values):
            cell = (column, row)
            if value is None:
                assert cell in drawn["gap"]
                assert not any(cell in each for each in colours)
            else:
                shown = max(level for level in range(5) if cell in colours[level])
                assert shown == sum(value >= limit for limit in levels)
                assert cell not in drawn.get("gap", set())


def test_the_hour_that_does_not_exist_stays_empty_and_the_double_one_shows_the_larger():
    short, long = HeatDay(date(2026, 3, 29), [1] * 46), HeatDay(date(2026, 10, 25), [1] * 50)
    filler = [HeatDay(date(2026, 5, 1), [1] * 48)] * 372
    heat = HeatMap(key="h", title="Heat", days=[short, long, *filler])
    [ground] = found(charts.heat_map(heat), "path", class_="heat-0")
    cells = covered(ground.get("d"))
    assert {row for column, row in cells if column == 0} == set(range(48)) - {2, 3}
    assert {row for column, row in cells if column == 1} == set(range(48))


def test_a_heat_map_day_of_another_length_is_refused():
    with pytest.raises(ValueError, match="46, 48 or 50"):
        charts.heat_map(HeatMap(key="h", title="", days=[HeatDay(date(2026, 1, 1), [1] * 47)]))


def test_heat_rows_sum_up_months_and_count_what_is_missing():
    heat = year(lambda d, n: None if d.month == 2 and n < 2 else Decimal("0.5"))
    rows = charts.heat_rows(heat)
    assert len(rows) == 12
    assert rows[0] == ("Jan 2026", ("744.0", "0"), "")
    assert rows[1] == ("Feb 2026", ("644.0", "56"), "Missing")


def test_spark_shows_gaps_and_failures():
    svg = charts.spark([1, None, 4], "3 hours, one failure", bad=[2])
    assert parsed(svg).get("aria-label") == "3 hours, one failure"
    assert [each.get("class") for each in parsed(svg)] == ["fill-idle", "hatch-ground", "fill-bad"]


@pytest.mark.parametrize("key", ["", "A", "1a", 'x"', "a b"])
def test_a_key_is_plain(key):
    with pytest.raises(ValueError, match="key"):
        charts.bars(Chart(key=key, title="", labels=[], series=[]))


def test_series_of_another_length_are_refused():
    chart = Chart(key="a", title="", labels=["a"], series=[Series(name="x", values=[1, 2])])
    with pytest.raises(ValueError, match="as many values"):
        charts.bars(chart)


@pytest.mark.parametrize("draw", [charts.bars, charts.columns, charts.line])
def test_everything_is_escaped(draw):
    chart = Chart(
        key="day",
        title=MARKUP,
        labels=[MARKUP, MARKUP, MARKUP],
        series=[Series(name=MARKUP, values=[1, None, 2], fill=MARKUP)],
        unit=MARKUP,
        marks={0: MARKUP},
        links=[MARKUP, MARKUP, MARKUP],
        ticks={0: MARKUP},
        end_tick=MARKUP,
        gap_words=MARKUP,
    )
    svg = draw(chart)
    parsed(svg)
    assert "<img" not in svg
    assert svg.__html__() is svg


@pytest.mark.parametrize("draw", [charts.bars, charts.columns, charts.line])
@given(
    st.lists(VALUES, max_size=PLACES),
    st.lists(VALUES, max_size=PLACES),
)
def test_any_values_can_be_drawn(draw, up, down):
    count = min(len(up), len(down))
    chart = Chart(
        key="any",
        title="Any",
        labels=LABELS[:count],
        series=[
            Series(name="up", values=up[:count]),
            Series(name="down", values=down[:count], down=True, fill="fill-2"),
        ],
    )
    svg = draw(chart)
    parsed(svg)
    assert not re.search(r"\b(style|onclick)=|<script|nan|inf\b", svg)
    assert len(charts.rows(chart)) == count
