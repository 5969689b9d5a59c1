"""What templates need beyond Django: times and ages as the portal writes them, tags, sparks, links.

People read Europe/London; the title of every time says UTC. A space between a number and its unit
never breaks.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django import forms, template
from django.conf import settings
from django.core.paginator import Page
from django.http import QueryDict
from django.template import Context
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

LONDON = ZoneInfo("Europe/London")
UTC = ZoneInfo("UTC")
NBSP = "\N{NO-BREAK SPACE}"
SPARK_HEIGHT = 20
KINDS = frozenset({"good", "look", "bad", "busy", "idle", "unknown", "plain"})


# ---- Times and ages --------------------------------------------------------------------------
def _london(moment: datetime) -> datetime:
    return moment.astimezone(LONDON)


def _year(day: date) -> str:
    """Return the year to add, or nothing in the current one."""
    return "" if day.year == _london(timezone.now()).year else f" {day.year}"


def _time_element(moment: datetime, text: str) -> SafeString:
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        text,
    )


@register.filter
def when(moment: datetime | date | None) -> SafeString:
    """Write a moment as "28 Nov, 06:38" in London, a plain date as "28 Nov"."""
    if not moment:
        return SafeString("")
    if not isinstance(moment, datetime):
        return format_html("{}{}{}{}", moment.day, NBSP, f"{moment:%b}", _year(moment))
    local = _london(moment)
    return _time_element(moment, f"{local.day}{NBSP}{local:%b}{_year(local)}, {local:%H:%M}")


@register.filter
def clock(moment: datetime | None) -> str:
    """Write only the time of day, with seconds: "10:42:54" in London."""
    return _time_element(moment, f"{_london(moment):%H:%M:%S}") if moment else ""


def span(length: timedelta) -> str:
    """Write a length of time in at most two units: "12 min", "2 h 14 min", "5 h", "2 d 1 h"."""
    minutes = int(length.total_seconds()) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        parts = [(days, "d"), (hours if days < 10 else 0, "h")]
    else:
        parts = [(hours, "h"), (minutes % 60 if hours < 3 else 0, "min")]
    said = [f"{number}{NBSP}{unit}" for number, unit in parts if number]
    return NBSP.join(said)


@register.filter
def age(moment: datetime | None) -> str:
    """Write how long ago a moment was, or "in 3 d" when it is still to come."""
    if not moment:
        return ""
    passed = timezone.now() - moment
    if passed < timedelta(0):
        return f"in{NBSP}{span(-passed) or f'1{NBSP}min'}"
    return span(passed) or f"just{NBSP}now"


@register.filter
def ago(moment: datetime | None) -> str:
    """Write an age inside a sentence: "12 min ago", "just now", "in 3 d"."""
    said = age(moment)
    settled = not said or said.startswith(("in", "just"))
    return said if settled else f"{said} ago"


@register.filter
def longdate(day: datetime | date | None) -> str:
    """Write a date for customers: "Thursday 3 December 2026"."""
    if not day:
        return ""
    local = _london(day) if isinstance(day, datetime) else day
    return f"{local:%A} {local.day}{NBSP}{local:%B} {local.year}"


@register.filter
def publictime(moment: datetime | None) -> str:
    """Write a moment for customers: "Saturday 28 November, 6:37am"."""
    if not moment:
        return ""
    local = _london(moment)
    day = f"{local:%A} {local.day}{NBSP}{local:%B}{_year(local)}"
    half = "am" if local.hour < 12 else "pm"
    return _time_element(moment, f"{day}, {local.hour % 12 or 12}:{local:%M}{half}")


@register.filter
def thousands(number: float | str | None) -> str:
    """Write a number with commas: "1,812"; nothing for a missing one."""
    if number is None or isinstance(number, str):
        return number or ""
    return f"{number:,}"


# ---- Statuses --------------------------------------------------------------------------------
@register.simple_tag
def tag(kind: str, label: str) -> SafeString:
    """Draw a status: its word, with the shape and colour of its kind."""
    suffix = kind if kind in KINDS else "plain"
    return format_html('<span class="tag tag-{}">{}</span>', suffix, label)


@register.simple_tag
def status_tag(case: Any) -> SafeString:
    """Draw the status of a case."""
    return tag(case.tag, case.status_label)


# ---- Sparks and rings: small pictures drawn on the server ------------------------------------
@register.simple_tag
def spark(points: Iterable[dict[str, Any]], label: str) -> SafeString:
    """Draw bars from `{height: 0 to 1, kind: idle, good, look or bad}`; the label says the same."""
    bars = list(points)
    step = 100 / max(len(bars), 1)
    drawn = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}" class="fill-{}"></rect>',
        (_bar(number * step, step, point) for number, point in enumerate(bars)),
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 100 {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>',
        SPARK_HEIGHT,
        label,
        drawn,
    )


def _bar(left: float, step: float, point: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Place one bar: left, top, width, height and kind."""
    height = max(1.0, min(1.0, point["height"]) * SPARK_HEIGHT)
    kind = point["kind"] if point["kind"] in {"idle", "good", "look", "bad"} else "idle"
    return (
        f"{left:.2f}",
        f"{SPARK_HEIGHT - height:.1f}",
        f"{step * 0.68:.2f}",
        f"{height:.1f}",
        kind,
    )


@register.filter
def inline_svg(svg: str) -> SafeString:
    """Put a picture that the portal drew itself into the page, without its XML declaration."""
    return mark_safe(svg[svg.index("<svg") :])  # noqa: S308  (drawn on this server)


@register.filter
def percent_of(part: float, whole: float) -> int:
    """Say how many hundredths of the whole a part is, from 0 to 100."""
    return max(0, min(100, round(100 * part / whole))) if whole else 0


# ---- Removed secrets -------------------------------------------------------------------------
LEFT_OUT = {"[removed]": "Removed", "[link]": "private link"}


@register.filter
def mark_removed(text: str | None) -> SafeString:
    """Escape a kept text and mark the places where a secret or a private link was taken out."""
    escaped: str = conditional_escape(text or "")
    for written, said in LEFT_OUT.items():
        escaped = escaped.replace(written, f'<mark class="removed">{said}</mark>')
    return mark_safe(escaped)  # noqa: S308  (escaped above)


# ---- Links that keep the rest of the address -------------------------------------------------
@register.simple_tag(takes_context=True)
def query_with(context: Context, name: str, value: object) -> str:
    """Return the query string of this page with one parameter changed."""
    query: QueryDict = context["request"].GET.copy()
    query[name] = str(value)
    return "?" + query.urlencode()


@register.simple_tag(takes_context=True)
def keep_query(context: Context, form: forms.BaseForm, *dropped: str) -> SafeString:
    """Repeat as hidden boxes what the address holds and the form does not ask for."""
    asked = {form.add_prefix(name) for name in form.fields} | set(dropped)
    kept = (
        (name, value)
        for name, values in context["request"].GET.lists()
        for value in values
        if name not in asked and value
    )
    return format_html_join("\n", '<input type="hidden" name="{}" value="{}">', kept)


class PageLink(NamedTuple):
    """One entry of the page links; no number means a gap."""

    number: int | None
    is_current: bool


@register.filter
def page_links(page: Page[Any]) -> list[PageLink]:
    """List the pages to offer around the current one, with gaps."""
    numbers = page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    return [
        PageLink(number if isinstance(number, int) else None, number == page.number)
        for number in numbers
    ]


# ---- Forms -----------------------------------------------------------------------------------
NAMELESS = ("This ", "Enter a ", "Ensure ", "Select a ", "Upload a ", "No file ")


class Problem(NamedTuple):
    """One line of the error summary; without a box it concerns the whole form."""

    text: str
    box_id: str


@register.simple_tag
def problems(form: forms.BaseForm | None, forms_: Iterable[forms.BaseForm] | None) -> list[Problem]:
    """List every error of a form, or of several, in the order of the page."""
    every = list(forms_ or []) or ([form] if form else [])
    return [problem for one in every for problem in _problems_of(one)]


def _problems_of(form: forms.BaseForm) -> Iterator[Problem]:
    if not form.is_bound:
        return
    for error in form.non_field_errors():
        yield Problem(str(error), "")
    for field in form:
        for error in field.errors:
            yield _problem_of(field, str(error))


def _problem_of(field: forms.BoundField, error: str) -> Problem:
    """Name the box where Django's own message does not: "This field is required" could be any."""
    named = str(field.label).lower() in error.lower() or not error.startswith(NAMELESS)
    mark = "" if str(field.label).endswith(("?", ":", ".", "!")) else ":"
    text = error if named else f"{field.label}{mark} {error}"
    box_id = "" if field.is_hidden else getattr(field, "first_box_id", field.id_for_label)
    return Problem(text, box_id or "")


# ---- Settings that pages without a request need ----------------------------------------------
@register.simple_tag
def environment() -> str:
    """Return the environment label: SANDBOX, UAT or LIVE."""
    return str(settings.ENVIRONMENT_LABEL)


@register.simple_tag
def supplier() -> str:
    """Return the supplier's name."""
    return str(settings.SUPPLIER_NAME)
