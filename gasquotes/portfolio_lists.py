"""Lists of many supply points: the lines of a bulk run, the points of a portfolio."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import Case, CharField, F, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.listing import ListPage
from core.models import User
from core.templatetags.portal import ago, tag
from gasquotes import budget, bulk, looks
from gasquotes.messages import normalise_mprn
from gasquotes.models import LOOK_UP, BulkLine, BulkRun, LookUp, Portfolio, PortfolioPoint

State, LineState = BulkRun.State, BulkLine.State
ADD = "gasquotes.add_portfolio"
LATEST = 10
SHOWN = (
    "mprn",
    "at",
    "aq_kwh",
    "next_aq_kwh",
    "postcode",
    "local_distribution_zone",
    "market_sector_code",
    "held",
)


def _of_mprn(prefix: str) -> Q:
    return Q(mprn__startswith=normalise_mprn(prefix))


# ---- The lines of a run ------------------------------------------------------------------------


class LineTable(tables.Table):
    """Columns of the results of a run."""

    number = tables.Column("Row")
    mprn = tables.Column("MPRN", attrs={"td": {"class": "mono"}})
    state = tables.Column("State", orderable=False)
    where = tables.Column(
        "Where", accessor="look_up", orderable=False, attrs={"td": {"class": "nowrap"}}
    )
    aq = tables.Column(
        "AQ", accessor="look_up__aq_kwh", orderable=False, attrs={"td": {"class": "num"}}
    )
    next_aq = tables.Column(
        "Next AQ", accessor="look_up__next_aq_kwh", orderable=False, attrs={"td": {"class": "num"}}
    )
    sentence = tables.Column(
        "What it came to",
        empty_values=(),
        orderable=False,
        attrs={"td": {"class": "wide"}},
    )

    class Meta:
        order_by = "number"

    def render_state(self, record: BulkLine) -> SafeString:
        """The state as a tag."""
        return tag(record.tag, record.get_state_display())

    def render_where(self, value: LookUp) -> SafeString:
        """Postcode, zone and sector."""
        rest = f"{value.local_distribution_zone} {value.market_sector_code}"
        return format_html('{}<span class="source">{}</span>', value.postcode, rest)

    def render_aq(self, value: Decimal) -> str:
        """Whole kWh."""
        return looks.kwh(value)

    def render_next_aq(self, value: Decimal, record: BulkLine) -> SafeString:
        """Whole kWh, with the change below."""
        found = record.look_up
        change = looks.percent(found.aq_kwh, found.next_aq_kwh) if found else ""
        return format_html('{}<span class="source">{}</span>', looks.kwh(value), change)

    def render_sentence(self, record: BulkLine) -> SafeString:
        """Why it failed, what is doubtful, why it is not priced by itself."""
        return format_html("{}", _said(record))


def _said(line: BulkLine) -> str:
    held = line.look_up.held if line.look_up else []
    reused = "An earlier look-up was used." if line.reused else ""
    repeats = f"Asked {line.repeats + 1} times." if line.repeats else ""
    failed = f"{line.sentence} ({line.code})" if line.code and line.sentence else line.sentence
    return " ".join(each for each in (failed, *held, line.warning, reused, repeats) if each)


class LineFilters(django_filters.FilterSet):
    """Filters of the results of a run."""

    q = django_filters.CharFilter(label="MPRN", method="find")
    digits = django_filters.ChoiceFilter(
        label="Check digits",
        empty_label="Any",
        choices=[("doubtful", "Do not fit")],
        method="doubtful",
    )

    def find(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By the beginning of the MPRN."""
        return rows.filter(_of_mprn(text))

    def doubtful(self, rows: QuerySet[Any], _: str, __: str) -> QuerySet[Any]:
        """Only those with a warning."""
        return rows.exclude(warning="")


class RunPage(ListPage):
    """A bulk run: what it would do or how far it is, and its results."""

    model = BulkLine
    table_class = LineTable
    filterset_class = LineFilters
    permission = "gasquotes.view_bulkrun"
    template_name = "gasquotes/run.html"
    page_title = "Bulk look-ups"
    status_labels = tuple((state.value, str(state.label)) for state in LineState)
    csv_name = "bulk-look-ups"
    empty: ClassVar[dict[str, str]] = {
        "title": "No rows here",
        "text": "No row of this run has this state or fits these filters.",
        "url": "?",
        "label": "Show every row",
    }

    @cached_property
    def run(self) -> BulkRun:
        """The run."""
        rows = BulkRun.objects.select_related("portfolio")
        found: BulkRun = get_object_or_404(rows, pk=self.kwargs["pk"])
        return found

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page; for htmx only its moving part, until the run has moved on."""
        if not request.htmx:  # type: ignore[attr-defined]
            return super().get(request, *args, **kwargs)
        if request.GET.get("seen") == self.run.state:
            return render(request, "gasquotes/run_part.html", self._progress())
        response = super().get(request, *args, **kwargs)
        response["HX-Retarget"] = response["HX-Reselect"] = "#run-page"
        response["HX-Reswap"] = "outerHTML"
        return response

    def _progress(self) -> dict[str, Any]:
        run, now = self.run, timezone.now()
        found = bulk.progress(run=run, now=now)
        minutes = found.minutes_left
        return {
            "run": run,
            "progress": found,
            "over": found.total - found.waiting,
            "time_left": None if minutes is None else bulk.minutes_in_words(minutes),
            "moving": run.state == State.RUNNING,
            "poll_url": f"{run.get_absolute_url()}?seen={run.state}",
            "actions": _actions(run, self.request.user),
        }

    def get_queryset(self) -> QuerySet[Any]:
        """Its lines with what was found."""
        rows = BulkLine.objects.filter(run=self.run).select_related("look_up")
        return rows.annotate(status=F("state")).defer("look_up__raw", "look_up__asked")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The run above its results."""
        run, user = self.run, self.request.user
        waits = run.state == State.PREVIEW
        over = run.state in (State.FINISHED, State.CANCELLED)
        return {
            **super().get_context_data(**kwargs),
            **({} if waits else self._progress()),
            "page_title": run.title,
            "run": run,
            **(_preview(run) if waits else {}),
            "actions": _actions(run, user),
            "may_keep": over and run.portfolio_id is None and user.has_perm(ADD),
            "stands": budget.standing(now=timezone.now()),
            "may_look_up": user.has_perm(LOOK_UP),
        }

    def csv_header(self) -> list[str]:
        """Everything that a run found out."""
        return list(bulk.RESULT_COLUMNS)

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a row of the file."""
        return bulk.result_rows(rows.order_by("number", "pk"))


ACTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    State.PREVIEW: (("start", "Start looking up", "primary"), ("discard", "Discard this list", "")),
    State.RUNNING: (("pause", "Pause", ""), ("cancel", "Cancel the rest", "")),
    State.PAUSED: (("resume", "Go on", "primary"), ("cancel", "Cancel the rest", "")),
}


def _preview(run: BulkRun) -> dict[str, Any]:
    found = bulk.preview(run=run, now=timezone.now())
    return {"preview": found, "minutes": bulk.minutes_in_words(found.minutes)}


def _actions(run: BulkRun, user: Any) -> list[dict[str, Any]]:
    if not user.has_perm(LOOK_UP):
        return []
    return [
        {
            "name": name,
            "label": label,
            "primary": kind == "primary",
            "url": reverse("gasquotes:run-do", args=[run.pk, name]),
        }
        for name, label, kind in ACTIONS.get(run.state, ())
    ]


# ---- The points of a portfolio -----------------------------------------------------------------


class PointTable(tables.Table):
    """Columns of a portfolio's supply points."""

    mprn = tables.Column("MPRN", attrs={"td": {"class": "mono"}})
    where = tables.Column(
        "Where", accessor="look_up", orderable=False, attrs={"td": {"class": "nowrap"}}
    )
    aq = tables.Column("AQ", accessor="look_up__aq_kwh", attrs={"td": {"class": "num"}})
    next_aq = tables.Column(
        "Next AQ", accessor="look_up__next_aq_kwh", attrs={"td": {"class": "num"}}
    )
    looked_up = tables.Column("Looked up", accessor="look_up__at", default="never")
    held = tables.Column(
        "Remarks", accessor="look_up__held", orderable=False, attrs={"td": {"class": "wide"}}
    )

    class Meta:
        order_by = "mprn"

    def render_where(self, value: LookUp) -> SafeString:
        """Postcode, zone and sector."""
        rest = f"{value.local_distribution_zone} {value.market_sector_code}"
        return format_html('{}<span class="source">{}</span>', value.postcode, rest)

    def render_aq(self, value: Decimal) -> str:
        """Whole kWh."""
        return looks.kwh(value)

    def render_next_aq(self, value: Decimal, record: PortfolioPoint) -> SafeString:
        """Whole kWh, with the change below."""
        found = record.look_up
        change = looks.percent(found.aq_kwh, found.next_aq_kwh) if found else ""
        return format_html('{}<span class="source">{}</span>', looks.kwh(value), change)

    def render_looked_up(self, value: datetime) -> str:
        """Its age."""
        return ago(value)

    def render_held(self, value: list[str]) -> str:
        """Why it is not priced by itself."""
        return " ".join(value)


class PointFilters(django_filters.FilterSet):
    """Filters of a portfolio's supply points."""

    q = django_filters.CharFilter(label="MPRN", method="find")

    def find(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By the beginning of the MPRN."""
        return rows.filter(_of_mprn(text))


class PortfolioPage(ListPage):
    """A portfolio: its supply points, and what may be done with all of them."""

    model = PortfolioPoint
    table_class = PointTable
    filterset_class = PointFilters
    permission = "gasquotes.view_portfolio"
    template_name = "gasquotes/portfolio.html"
    page_title = "Portfolio"
    status_labels = (("known", "Looked up"), ("never", "Never looked up"))
    csv_name = "portfolio"
    empty: ClassVar[dict[str, str]] = {
        "title": "No supply points here",
        "text": "No supply point of this portfolio fits these filters.",
        "url": "?",
        "label": "Show all of them",
    }

    @cached_property
    def portfolio(self) -> Portfolio:
        """The portfolio."""
        rows = Portfolio.objects.select_related("created_by")
        found: Portfolio = get_object_or_404(rows, pk=self.kwargs["pk"])
        return found

    def get_queryset(self) -> QuerySet[Any]:
        """Its points with their newest look-up."""
        known = Case(
            When(look_up=None, then=Value("never")),
            default=Value("known"),
            output_field=CharField(),
        )
        rows = PortfolioPoint.objects.filter(portfolio=self.portfolio).select_related("look_up")
        shown = (f"look_up__{name}" for name in SHOWN)
        return rows.annotate(status=known).only("mprn", "portfolio", *shown)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What may be done, the latest runs and orders."""
        portfolio = self.portfolio
        user: User = self.request.user
        return {
            **super().get_context_data(**kwargs),
            "page_title": portfolio.name,
            "portfolio": portfolio,
            "runs": portfolio.runs.order_by("-created_at")[:LATEST],
            "orders": portfolio.orders.defer("points")[:LATEST],
            "may_look_up": user.has_perm(LOOK_UP),
            "stands": budget.standing(now=timezone.now()),
        }

    def csv_header(self) -> list[str]:
        """What is known of each point."""
        return [
            "MPRN", "postcode", "LDZ", "market sector", "AQ kWh", "next AQ kWh", "looked up",
            "remarks",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a point."""
        for row in rows.order_by("mprn").iterator(chunk_size=1000):
            yield [row.mprn, *_known(row.look_up)]


def _known(found: LookUp | None) -> list[Any]:
    if found is None:
        return []
    return [
        found.postcode, found.local_distribution_zone, found.market_sector_code, found.aq_kwh,
        found.next_aq_kwh, found.at.isoformat(), " ".join(found.held),
    ]  # fmt: skip
