"""Charts as SVG fragments drawn on the server: bars, columns, lines, heat maps, sparks.

They follow the stylesheet's classes and carry no style and no script. A gap is hatched, never
zero. Every chart says in words what it shows, and `rows` gives the same numbers as a table.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final, NamedTuple, Self

import msgspec

Number = Decimal | float | int

NONE_SHOWN: Final = "–"
MISSING: Final = "Missing"

_NBSP = "\N{NO-BREAK SPACE}"
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 792.0, 30.0, 208.0
_WORDS_AT = 20.0  # gaps are named above the highest value
_WIDTH, _HEIGHT = 800, 236
_KEY = re.compile(r"[a-z][a-z0-9-]*")
_MOST_LABELS = 3
_ROOM_FOR_LABEL = 150.0


class Svg(str):
    """A finished fragment: everything in it is escaped, so templates may put it in as it is."""

    __slots__ = ()

    def __html__(self) -> Self:
        return self


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One row of values, None for a gap. `fill` is a class of the stylesheet; `down` hangs it."""

    name: str
    values: Sequence[Number | None]
    fill: str = "fill-1"
    down: bool = False


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """What to draw; all sequences have the length of `labels`.

    `key` makes ids unique on the page. `marks` names what is odd about a place, `links` leads on
    from it. `ticks` are the labels of the horizontal axis by place (some of `labels` if there are
    none), `reference` a value to compare each place with. `positions` (0 to 1) place the points
    of a line that are not evenly spread. Labels name when a place `starts`, such as a half hour,
    or the whole of it, such as a day: columns and lines always take the latter.
    Without a `description` one is written from the values.
    """

    key: str
    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = "kWh"
    places: int = 3
    description: str = ""
    gap_words: str = "no readings"
    starts: bool = True
    marks: Mapping[int, str] = {}
    links: Sequence[str] = ()
    ticks: Mapping[int, str] = {}
    end_tick: str = ""
    reference: Sequence[Number | None] = ()
    reference_name: str = "expected"
    positions: Sequence[float] = ()


class Row(NamedTuple):
    """One line of the table beside a chart: a cell for each series, then for the reference."""

    label: str
    cells: tuple[str, ...]
    mark: str


# ---- The same numbers in words ----------------------------------------------------------------


def rows(chart: Chart) -> list[Row]:
    """Return the points of a chart as lines of a table; a gap is a dash and the mark Missing."""
    found = []
    for place, label in enumerate(chart.labels):
        values = [series.values[place] for series in chart.series]
        mark = chart.marks.get(place, MISSING if None in values else "")
        if chart.reference:
            values.append(chart.reference[place])
        found.append(Row(label, tuple(_cell(value, chart.places) for value in values), mark))
    return found


def describe(chart: Chart) -> str:
    """Say the highest value of every series, and what is missing."""
    sentences = [_highest(series, chart) for series in chart.series]
    gaps = [_gap_text(chart, *gap) for gap in _gaps(chart)]
    if len(gaps) > _MOST_LABELS:
        count = sum(end - start for start, end in _gaps(chart))
        sentences.append(f"Gaps: {len(gaps)}, together {count} of {len(chart.labels)}.")
    else:
        sentences += [f"{gap[:1].upper()}{gap[1:]}." for gap in gaps]
    return " ".join(sentences)


def _highest(series: Series, chart: Chart) -> str:
    known = [(value, place) for place, value in enumerate(series.values) if value is not None]
    name = f"{series.name[:1].upper()}{series.name[1:]}"
    if not known:
        return f"{name}: no values."
    value, place = max(known, key=lambda each: (each[0], -each[1]))
    return f"{name} up to {_with_unit(value, chart)} ({chart.labels[place]})."


def _gaps(chart: Chart) -> list[tuple[int, int]]:
    """Return the runs of places where a series has no value."""
    holes = [any(series.values[n] is None for series in chart.series) for n in _places(chart)]
    return list(_runs(holes))


def _places(chart: Chart) -> range:
    return range(len(chart.labels))


def _runs(flags: Iterable[bool]) -> Iterator[tuple[int, int]]:
    place = 0
    for flag, run in groupby(flags):
        end = place + len(list(run))
        if flag:
            yield place, end
        place = end


def _gap_text(chart: Chart, start: int, end: int) -> str:
    """Name a gap by its first label and the one after it, or by its marks."""
    words = {chart.marks.get(place, chart.gap_words) for place in range(start, end)}
    name = words.pop() if len(words) == 1 else chart.gap_words
    if end - start == 1:
        return f"{name}, {chart.labels[start]}"
    if not chart.starts:
        return f"{name}, {chart.labels[start]} to {chart.labels[end - 1]}"
    after = chart.labels[end] if end < len(chart.labels) else chart.end_tick
    return f"{name}, {chart.labels[start]} to {after or chart.labels[-1]}"


def _cell(value: Number | None, places: int) -> str:
    return NONE_SHOWN if value is None else f"{value:,.{places}f}"


def _with_unit(value: Number, chart: Chart) -> str:
    return f"{value:,.{chart.places}f}{_NBSP}{chart.unit}".rstrip(_NBSP)


# ---- Bars and columns -------------------------------------------------------------------------


def bars(chart: Chart) -> Svg:
    """Draw half hours of a day (46, 48 or 50): axis labels stand where the half hour begins."""
    return _drawn(chart, _bar_parts(chart, _scale(chart), centred=False))


def columns(chart: Chart) -> Svg:
    """Draw days, weeks or months: axis labels stand under the middle of their column."""
    chart = msgspec.structs.replace(chart, starts=False)
    return _drawn(chart, _bar_parts(chart, _scale(chart), centred=True))


class _Box(NamedTuple):
    """A rectangle of the drawing."""

    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        x, y, width, height = map(_number, self)
        return f'x="{x}" y="{y}" width="{width}" height="{height}"'


class _Scale(NamedTuple):
    """Where values lie between the top and the bottom of the plot."""

    low: float
    high: float

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * (_BOTTOM - _TOP)


def _scale(chart: Chart) -> _Scale:
    up = [_signed(value, series) for series in chart.series for value in series.values]
    up += [None if value is None else float(value) for value in chart.reference]
    known = [value for value in up if value is not None and math.isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    return _Scale(low, high) if high > low else _Scale(0.0, 1.0)


def _signed(value: Number | None, series: Series) -> float | None:
    if value is None:
        return None
    return -float(value) if series.down else float(value)


def _bar_parts(chart: Chart, scale: _Scale, *, centred: bool) -> Iterator[str]:
    count = max(1, len(chart.labels))
    slot = (_RIGHT - _LEFT) / count
    yield from _grid(scale, absolute=any(series.down for series in chart.series))
    for place in _places(chart):
        yield _linked(chart, place, _column(chart, scale, place, slot))
    yield from _hatches(chart, slot)
    yield _zero_line(scale)
    offset = slot / 2 if centred else 0.0
    for place, text in _ticks(chart):
        yield _tick(_LEFT + place * slot + offset, text, first=not (place or centred))
    if chart.end_tick:
        yield _text(_RIGHT, _HEIGHT - 6, chart.end_tick, "end")


def _column(chart: Chart, scale: _Scale, place: int, slot: float) -> str:
    """Draw what stands at one place: a bar for every series, and the reference as a line."""
    beside = max(1, sum(not series.down for series in chart.series))
    gap = min(4.0, slot / 8)
    width = (slot - gap) / beside
    left, parts, number = _LEFT + place * slot + gap / 2, [], 0
    for series in chart.series:
        x = left if series.down else left + number * width
        number += not series.down
        height = _signed(series.values[place], series)
        if height is None or not height or not math.isfinite(height):
            continue
        top, bottom = sorted((scale.y(height), scale.y(0.0)))
        box = _Box(x, top, slot - gap if series.down else width, bottom - top)
        fill, words = _named(chart, series, place)
        parts.append(f'<rect {box} class="{fill}"><title>{words}</title></rect>')
    if chart.reference and (value := chart.reference[place]) is not None:
        y, right = _number(scale.y(float(value))), _number(left + slot - gap)
        parts.append(
            f'<line x1="{_number(left)}" x2="{right}" y1="{y}" y2="{y}" class="ref-line"></line>'
        )
    return "".join(parts)


def _named(chart: Chart, series: Series, place: int) -> tuple[str, str]:
    """Return the class and the title of one value, escaped; a mark changes both."""
    value, mark = series.values[place], chart.marks.get(place, "")
    shown = NONE_SHOWN if value is None else _with_unit(value, chart)
    words = f"{chart.labels[place]} {series.name} {shown}"
    if mark:
        return "fill-look", escape(f"{words}, {mark}")
    return escape(series.fill), escape(words)


def _linked(chart: Chart, place: int, drawn: str) -> str:
    if not drawn or not chart.links or not chart.links[place]:
        return drawn
    return f'<a href="{escape(chart.links[place])}">{drawn}</a>'


def _hatches(chart: Chart, slot: float) -> Iterator[str]:
    """Hatch the gaps; the longest ones say in words what they are."""
    gaps = _gaps(chart)
    said = sorted(gaps, key=lambda gap: gap[0] - gap[1])[:_MOST_LABELS]
    reached = 0.0
    for start, end in gaps:
        x, right = _LEFT + start * slot, _LEFT + end * slot
        words = _gap_text(chart, start, end)
        box = _Box(x, _WORDS_AT - 12, right - x, _BOTTOM - _WORDS_AT + 12)
        hatched = f'fill="url(#{chart.key}-gap)"'
        yield f"<rect {box} {hatched}><title>{escape(words)}</title></rect>"
        fits = x >= reached and (right + _ROOM_FOR_LABEL <= _RIGHT or x >= _ROOM_FOR_LABEL)
        if (start, end) in said and fits:
            room = right + _ROOM_FOR_LABEL <= _RIGHT
            yield _text(right + 6 if room else x - 6, _WORDS_AT, words, "" if room else "end")
            reached = right + _ROOM_FOR_LABEL if room else right


# ---- Lines ------------------------------------------------------------------------------------


def line(chart: Chart) -> Svg:
    """Draw values over time, such as a clock's drift: a line with its points, broken at gaps."""
    chart = msgspec.structs.replace(chart, starts=False)
    scale = _line_scale(chart)
    return _drawn(chart, _line_parts(chart, scale))


def _line_scale(chart: Chart) -> _Scale:
    """Leave some air above and below; zero is not forced in."""
    values = [value for series in chart.series for value in series.values]
    known = [float(value) for value in [*values, *chart.reference] if value is not None]
    known = [value for value in known if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    air = (high - low) / 12 or abs(high) / 12 or 1.0
    return _Scale(low - air, high + air)


def _line_parts(chart: Chart, scale: _Scale) -> Iterator[str]:
    positions = chart.positions or [
        (place + 0.5) / max(1, len(chart.labels)) for place in _places(chart)
    ]
    xs = [_LEFT + position * (_RIGHT - _LEFT) for position in positions]
    yield from _grid(scale, absolute=False)
    if not chart.positions:
        yield from _hatches(chart, (_RIGHT - _LEFT) / max(1, len(chart.labels)))
    if scale.low < 0 < scale.high:
        yield _zero_line(scale)
    if chart.reference:
        yield f'<path d="{_path(chart.reference, xs, scale)}" class="ref-line"></path>'
    for number, series in enumerate(chart.series):
        dashes = ' stroke-dasharray="6 3"' if number else ""
        drawn = _path(series.values, xs, scale)
        yield f'<path d="{drawn}" fill="none" stroke="currentColor"{dashes}></path>'
        for place in _places(chart):
            yield _linked(chart, place, _point(chart, scale, series, place, xs[place]))
    for place, text in _ticks(chart):
        yield _tick(xs[place], text, first=False)


def _path(values: Sequence[Number | None], xs: Sequence[float], scale: _Scale) -> str:
    """Connect neighbours that both have a value."""
    parts, pen = [], "M"
    for x, value in zip(xs, values, strict=True):
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{_number(x)} {_number(scale.y(float(value)))}")
        pen = "L"
    return "".join(parts)


def _point(chart: Chart, scale: _Scale, series: Series, place: int, x: float) -> str:
    value = series.values[place]
    if value is None or not math.isfinite(value):
        return ""
    fill, words = _named(chart, series, place)
    y = _number(scale.y(float(value)))
    return (
        f'<circle cx="{_number(x)}" cy="{y}" r="3" class="{fill}"><title>{words}</title></circle>'
    )


# ---- Heat map ---------------------------------------------------------------------------------


class HeatDay(NamedTuple):
    """One local day: 46, 48 or 50 values in order, None for a gap."""

    day: date
    values: Sequence[Number | None]


class HeatMap(msgspec.Struct, frozen=True, kw_only=True):
    """Half hours of many days: a column a day, midnight on top."""

    key: str
    title: str
    days: Sequence[HeatDay]
    unit: str = "kWh"
    places: int = 3
    description: str = ""


_LEVELS = 4
_GAP_LEVEL, _NO_TIME = 5, 6
_CLOCK_ROWS = 48
# Where the clock goes forward there is no 01:00 to 02:00, where it goes back there are two.
_SHORT_DAY, _LONG_DAY = 46, 50
_JUMP = 2
_HEAT_TOP = 18
_ROW_HEIGHT = 4
_HEAT_LEFT = int(_LEFT)
_YS = [_HEAT_TOP + row * _ROW_HEIGHT for row in range(_CLOCK_ROWS + 1)]
_RUNS = tuple(
    re.compile(b"[" + bytes([level + 48]) + b"-4]+") if level <= _LEVELS else re.compile(b"5+")
    for level in range(_GAP_LEVEL + 1)
)


def heat_levels(days: Iterable[HeatDay]) -> tuple[Number, ...]:
    """Return the four values at which the colours begin: fifths of all values above zero."""
    known = sorted([value for _, values in days for value in values if value])
    known = known[bisect_right(known, 0) :]
    if not known:
        return ()
    fifth = len(known) / (_LEVELS + 1)
    return tuple(known[int(fifth * number)] for number in range(1, _LEVELS + 1))


def heat_map(heat: HeatMap) -> Svg:
    """Draw a year of half hours with one path a colour, so that the page stays light.

    In the hour that comes twice the larger value counts; an hour that does not exist stays empty.
    """
    thresholds = heat_levels(heat.days)
    rows = [_heat_row(day.values, thresholds) for day in heat.days]
    width = max(2, int((_RIGHT - _LEFT) // max(1, len(rows))))
    classes = [f'class="heat-{level}"' for level in range(_LEVELS + 1)]
    classes.append(f'fill="url(#{_checked(heat.key)}-gap)"')
    parts = [
        f'<path d="{drawn}" {painted}></path>'
        for runs, painted in zip(_RUNS, classes, strict=True)
        if (drawn := _heat_path(rows, runs, width))
    ]
    parts += [
        _text(_LEFT - 8, _HEAT_TOP + hour * 2 * _ROW_HEIGHT + 4, f"{hour:02}:00", "end")
        for hour in range(0, 25, 6)
    ]
    parts += _month_labels(heat.days, width)
    size = int(_LEFT) + max(width * len(rows), 120) + 8, _HEAT_TOP + 48 * _ROW_HEIGHT + 8
    description = heat.description or _describe_heat(heat)
    return _fragment(heat.key, (heat.title, description), size, parts)


def heat_rows(heat: HeatMap) -> list[Row]:
    """Return what a heat map shows month by month: the sum, the half hours without a reading."""
    found = []
    for (year, month), run in groupby(heat.days, key=lambda each: (each.day.year, each.day.month)):
        values = [value for each in run for value in each.values]
        known = [value for value in values if value is not None]
        total = sum(Decimal(str(value)) for value in known) if known else None
        lost = len(values) - len(known)
        label = f"{date(year, month, 1):%b %Y}"
        found.append(Row(label, (_cell(total, heat.places), f"{lost:,}"), MISSING if lost else ""))
    return found


def _describe_heat(heat: HeatMap) -> str:
    values = [value for each in heat.days for value in each.values]
    known = [value for value in values if value is not None]
    if not known:
        return "No readings."
    highest = f"{max(known):,.{heat.places}f}{_NBSP}{heat.unit}"
    lost = len(values) - len(known)
    gaps = f"{lost:,} of {len(values):,} half hours are missing." if lost else "Nothing is missing."
    return f"Half hours up to {highest}. {gaps}"


def _heat_row(values: Sequence[Number | None], thresholds: Sequence[Number]) -> bytes:
    """Return a day as 48 digits: colour 0–4, gap 5, no such time 6."""
    levels = [_GAP_LEVEL if value is None else bisect_right(thresholds, value) for value in values]
    if len(levels) == _SHORT_DAY:
        levels[_JUMP:_JUMP] = [_NO_TIME] * _JUMP
    elif len(levels) == _LONG_DAY:
        twice = zip(levels[_JUMP : 2 * _JUMP], levels[2 * _JUMP : 3 * _JUMP], strict=True)
        levels[_JUMP : 3 * _JUMP] = [max(pair) for pair in twice]
    if len(levels) != _CLOCK_ROWS:
        raise ValueError(f"A local day has 46, 48 or 50 half hours, not {len(values)}.")
    return bytes(levels).translate(_AS_DIGITS)


_AS_DIGITS = bytes((level + 48) % 256 for level in range(256))


def _heat_path(rows: Sequence[bytes], runs: re.Pattern[bytes], width: int) -> str:
    """Draw all cells of a colour or a darker one, which is painted over them.

    Runs of equal height on neighbouring days become one rectangle.
    """
    parts: list[str] = []
    begun: dict[tuple[int, int], int] = {}
    for column, row in enumerate([*rows, b""]):
        found = {match.span() for match in runs.finditer(row)}
        ended = begun.keys() - found
        parts += [_rectangle(run, begun.pop(run), column, width) for run in ended]
        for run in found:
            begun.setdefault(run, column)
    return "".join(parts)


def _rectangle(run: tuple[int, int], first: int, end: int, width: int) -> str:
    across = (end - first) * width
    return f"M{_HEAT_LEFT + first * width} {_YS[run[0]]}h{across}V{_YS[run[1]]}h-{across}z"


def _month_labels(days: Sequence[HeatDay], width: int) -> Iterator[str]:
    reached = -100.0
    for place, (day, _) in enumerate(days):
        x = _LEFT + place * width
        if (day.day == 1 or not place) and x - reached >= 30:
            yield _text(x, _HEAT_TOP - 6, f"{day:%b}")
            reached = x


# ---- Spark ------------------------------------------------------------------------------------


def spark(values: Sequence[Number | None], label: str, *, bad: Iterable[int] = ()) -> Svg:
    """Draw a small row of bars for a tile, without axes; `bad` places are red, gaps are full."""
    high = max((float(value) for value in values if value is not None), default=0.0) or 1.0
    red, slot = set(bad), 100 / max(1, len(values))
    parts = []
    for place, value in enumerate(values):
        height = 20.0 if value is None else max(0.0, float(value)) / high * 20
        kind = "hatch-ground" if value is None else "fill-bad" if place in red else "fill-idle"
        parts.append(
            f'<rect x="{place * slot:.2f}%" y="{_number(20 - height)}" '
            f'width="{slot * 0.7:.2f}%" height="{_number(height)}" class="{kind}"></rect>'
        )
    drawn = "".join(parts)
    return Svg(f'<svg class="spark" role="img" aria-label="{escape(label)}">{drawn}</svg>')


# ---- Frame, axes and words --------------------------------------------------------------------


def _drawn(chart: Chart, parts: Iterable[str]) -> Svg:
    lengths = {len(series.values) for series in chart.series} | {len(chart.labels)}
    if len(lengths) > 1:
        raise ValueError("Every series has as many values as there are labels.")
    role = "group" if any(chart.links) else "img"
    description = chart.description or describe(chart)
    return _fragment(chart.key, (chart.title, description), (_WIDTH, _HEIGHT), parts, role)


def _fragment(
    key: str,
    words: tuple[str, str],
    size: tuple[int, int],
    parts: Iterable[str],
    role: str = "img",
) -> Svg:
    key = _checked(key)
    title, description = map(escape, words)
    return Svg(
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="{role}" '
        f'aria-labelledby="{key}-t {key}-d">'
        f'<title id="{key}-t">{title}</title><desc id="{key}-d">{description}</desc>'
        f'<defs><pattern id="{key}-gap" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="7" height="7" class="hatch-ground"></rect>'
        '<line x1="0" y1="0" x2="0" y2="7" class="hatch-line"></line></pattern></defs>'
        f"{''.join(parts)}</svg>"
    )


def _checked(key: str) -> str:
    if _KEY.fullmatch(key) is None:
        raise ValueError("A chart's key has small letters, digits and dashes only.")
    return key


def _grid(scale: _Scale, *, absolute: bool) -> Iterator[str]:
    """Draw lines at round values."""
    step = _round_step(scale.high - scale.low)
    first = math.ceil(scale.low / step)
    for number in range(first, math.floor(scale.high / step) + 1):
        value = number * step
        y = scale.y(value)
        shown = abs(value) if absolute else value
        if number:
            yield (
                f'<line x1="{_number(_LEFT)}" x2="{_number(_RIGHT)}" y1="{_number(y)}" '
                f'y2="{_number(y)}" class="grid"></line>'
            )
        yield _text(_LEFT - 8, y + 4, f"{shown:,.10g}", "end")


def _round_step(span: float) -> float:
    """Return 1, 2 or 5 times a power of ten that cuts a span into 3 to 6 parts."""
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)


def _zero_line(scale: _Scale) -> str:
    y = _number(scale.y(0.0))
    x1, x2 = _number(_LEFT), _number(_RIGHT)
    return f'<line x1="{x1}" x2="{x2}" y1="{y}" y2="{y}" class="axis"></line>'


def _ticks(chart: Chart) -> Iterator[tuple[int, str]]:
    """Yield the labels of the horizontal axis: the given ones, or as many as there is room for."""
    if chart.ticks:
        yield from chart.ticks.items()
        return
    every = max(1, math.ceil(len(chart.labels) / 12))
    for place in range(0, len(chart.labels), every):
        yield place, chart.labels[place]


def _tick(x: float, text: str, *, first: bool) -> str:
    return _text(x, _HEIGHT - 6, text, "" if first else "mid")


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{_number(x)}" y="{_number(y)}"{named}>{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
