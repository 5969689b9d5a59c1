"""The production desk as lists: a month's reports, systems; its place on home, and search."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.contrib import messages
from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import casework
from core.desks import Hit, InboxGroup, InboxItem, Tile
from core.listing import ListPage
from core.models import Email, PartnerCall, User
from core.templatetags.portal import span, status_tag, tag, when
from core.workflow import Actor, actor_for
from pts import known, looks, pictures
from pts.models import REPORT, SUBMIT, PartyReading, Report, Synchronisation, System, Window

Status = Report.Status
VIEW = "pts.view_report"
INBOX_LINES = 10
HITS = 20
NEAR_END = timedelta(days=2)
STATUSES = (
    Status.LOOK,
    Status.FAILED,
    Status.MISSING,
    Status.READY,
    Status.TESTED,
    Status.VALIDATING,
    Status.PASSED,
)


# ---- A month -----------------------------------------------------------------------------------


class ReportTable(tables.Table):
    """Columns of a month: one line a system."""

    system = tables.Column("System", order_by="system__fk_system")
    name = tables.Column("Name", accessor="system__name", attrs={"td": {"class": "name"}})
    last_value = tables.Column("Last kWh", attrs={"td": {"class": "num"}}, default="–")
    meter_value = tables.Column("This kWh", attrs={"td": {"class": "num"}}, default="–")
    produced = tables.Column("Produced kWh", attrs={"td": {"class": "num"}}, default="–")
    status = tables.Column("Status", attrs={"td": {"class": "wide"}})
    tries = tables.Column("Tries left", empty_values=(), orderable=False)

    class Meta:
        order_by = "system"
        attrs: ClassVar[dict[str, str]] = {}

    # django-tables2 finds these by name and says by position whether to go down.
    def order_last_value(self, rows: QuerySet[Any], down: bool) -> tuple[Any, bool]:  # noqa: FBT001
        """By value; what has none comes last."""
        return _known_first(rows, "last_value", down=down), True

    def order_meter_value(self, rows: QuerySet[Any], down: bool) -> tuple[Any, bool]:  # noqa: FBT001
        """By value; what has none comes last."""
        return _known_first(rows, "meter_value", down=down), True

    def order_produced(self, rows: QuerySet[Any], down: bool) -> tuple[Any, bool]:  # noqa: FBT001
        """By energy; what has none comes last."""
        return _known_first(rows, "produced", down=down), True

    def render_system(self, record: Report) -> SafeString:
        """The party's key as the link to the report."""
        return format_html(
            '<a class="ref" href="{}">{}</a>', record.get_absolute_url(), record.system.fk_system
        )

    def render_name(self, record: Report) -> SafeString:
        """Name with the capacity below it."""
        return format_html(
            '{}<span class="source">{}</span>',
            record.system.name or record.system.system_id,
            looks.kilowatts(record.system.capacity),
        )

    def render_last_value(self, value: Decimal) -> str:
        """The last total that MassCEC has."""
        return looks.kilowatt_hours(value)

    def render_meter_value(self, value: Decimal) -> str:
        """The total to report."""
        return looks.kilowatt_hours(value)

    def render_produced(self, record: Report) -> SafeString:
        """Energy since the last reading, with a small bar against what is expected."""
        return format_html(
            '{}<span class="source">{}</span>',
            looks.kilowatt_hours(record.produced),
            looks.bullet(record.produced, record.expected),
        )

    def render_status(self, record: Report) -> SafeString:
        """The status and why it is there; what is missing says how long there is left."""
        why, left = record.why, record.window.closes_at - timezone.now()
        if record.status == Status.MISSING and left > timedelta(0):
            why = f"{why}, {span(left)} left"
        return format_html('{}<span class="source">{}</span>', status_tag(record), why)

    def render_tries(self, record: Report) -> SafeString:
        """Pips for the tries that are left, and the figures."""
        return looks.pips(known.tries_of(record))


def _known_first(rows: QuerySet[Any], name: str, *, down: bool) -> QuerySet[Any]:
    """In order with the nulls last both ways: databases differ in where they put them."""
    column = F(name)
    by = column.desc(nulls_last=True) if down else column.asc(nulls_last=True)
    return rows.order_by(by, "system__fk_system")


class ReportFilters(django_filters.FilterSet):
    """Filters of a month's list."""

    q = django_filters.CharFilter(label="System, name or reference", method="search")
    source = django_filters.ChoiceFilter(
        label="Reading from", empty_label="Anywhere", choices=Report.Source.choices
    )
    odd = django_filters.ChoiceFilter(
        label="Checks",
        empty_label="Any result",
        choices=(("blocked", "Blocked"), ("accepted", "Accepted with a reason")),
        method="with_checks",
    )

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names a report or its system."""
        return rows.filter(matches(text))

    def with_checks(self, rows: QuerySet[Any], _: str, which: str) -> QuerySet[Any]:
        """Blocked readings, or those that a person accepted."""
        return (
            rows.filter(is_blocked=True) if which == "blocked" else rows.exclude(accepted_reason="")
        )


def matches(text: str) -> Q:
    """Reports that any identifier in this text names."""
    text = text.strip()
    found = (
        Q(reference__icontains=text)
        | Q(system__name__icontains=text)
        | Q(system__system_id__icontains=text)
    )
    if text.isascii() and text.isdigit() and len(text) <= 9:
        found |= Q(system__fk_system=int(text))
    return found


def with_last_value(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Reports with the last total that MassCEC has of their system."""
    readings = PartyReading.objects.filter(system=OuterRef("system")).order_by("-meter_at", "-pk")
    annotated: QuerySet[Any] = rows.annotate(
        last_value=Subquery(readings.values("meter_value")[:1])
    )
    return annotated


class MonthList(ListPage):
    """One month: progress, its window, and a line for each system. Without a month, the present."""

    model = Report
    table_class = ReportTable
    filterset_class = ReportFilters
    permission = VIEW
    template_name = "pts/month.html"
    page_lead = (
        "A value is the lifetime total of the meter; a missed month is spread over the gap next "
        "time."
    )
    status_labels = tuple((status.value, str(status.label)) for status in STATUSES)
    bulk: ClassVar[tuple[dict[str, Any], ...]] = (
        {"label": "Test these", "value": "test", "primary": True, "permission": SUBMIT},
        {"label": "Send these", "value": "send", "permission": SUBMIT},
        {"label": "Assign to me", "value": "assign", "permission": REPORT},
        {"label": "Download these as CSV", "value": "csv"},
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No reports here",
        "text": "No system has this status or fits these filters.",
        "url": "?",
        "label": "Show all systems",
    }

    @cached_property
    def window(self) -> Window | None:
        """The window of this page's month; the present or next one at the desk's own address."""
        month = self.kwargs.get("month")
        if month is None:
            return present_window(timezone.now())
        window: Window = get_object_or_404(Window, month=month)
        return window

    @property
    def page_title(self) -> str:  # type: ignore[override]
        """The month's name."""
        return f"Production, {self.window}" if self.window else "Production"

    @property
    def csv_name(self) -> str:  # type: ignore[override]
        """The file's name."""
        return f"production-{self.window.month:%Y-%m}" if self.window else "production"

    def get_queryset(self) -> QuerySet[Any]:
        """The month's reports with their systems."""
        rows = Report.objects.filter(window=self.window) if self.window else Report.objects.none()
        return with_last_value(rows.select_related("system", "assigned_to", "window"))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The list below the month's progress."""
        context = super().get_context_data(**kwargs)
        if self.window is not None:
            context |= looks.month(self.window, timezone.now())
            context["picture"] = pictures.of_months(self.window)
        return context

    def bulk_test(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """To the page that says what is tested."""
        return looks.chosen("pts:test", self.window, rows)

    def bulk_send(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """To the check page of a submission."""
        return looks.chosen("pts:submit", self.window, rows)

    def bulk_assign(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Give the chosen reports to this person."""
        user = self.request.user
        for case in rows:
            casework.assign(case, to=user, by=actor_for(user), now=timezone.now())
        messages.success(self.request, f"{len(rows)} assigned to you.")
        return None

    def csv_header(self) -> list[str]:
        """Columns of the result."""
        return [
            "reference", "system", "system id", "name", "capacity kW", "last value kWh",
            "this value kWh", "read at (UTC)", "from", "produced kWh", "expected kWh", "status",
            "why", "valid tries", "failed tries", "undecided tries",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a system."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.reference, row.system.fk_system, row.system.system_id, row.system.name,
                _plain(row.system.capacity), _plain(row.last_value), _plain(row.meter_value),
                row.meter_at.isoformat() if row.meter_at else "", row.source,
                _plain(row.produced), _plain(row.expected), row.status_label, row.why,
                row.valid_tries, row.failed_tries, row.undecided_tries,
            ]  # fmt: skip


def _plain(number: Decimal | None) -> str:
    """A number without trailing zeros, for a spreadsheet."""
    if number is None:
        return ""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def present_window(now: datetime) -> Window | None:
    """The window that is open, else the last one that was, else the next (one query)."""
    rows = list(Window.objects.order_by("month"))
    begun = [row for row in rows if row.opens_at <= now]
    return begun[-1] if begun else rows[0] if rows else None


# ---- Systems -----------------------------------------------------------------------------------


class SystemTable(tables.Table):
    """Columns of the list of systems."""

    fk_system = tables.Column("System", linkify=True)
    name = tables.Column("Name", attrs={"td": {"class": "name"}})
    system_id = tables.Column("System ID", attrs={"td": {"class": "nowrap"}})
    capacity = tables.Column("Capacity, kW", attrs={"td": {"class": "num"}}, default="–")
    yearly_estimate = tables.Column(
        "Estimate, kWh a year", attrs={"td": {"class": "num"}}, default="–"
    )
    mpan = tables.Column("Meter", default="–")
    status = tables.Column("At MassCEC", orderable=False)

    class Meta:
        order_by = "fk_system"

    def render_capacity(self, value: Decimal) -> str:
        """Kilowatts without trailing zeros."""
        return _plain(value)

    def render_yearly_estimate(self, value: Decimal) -> str:
        """Our estimate."""
        return looks.kilowatt_hours(value)

    def render_mpan(self, record: System) -> SafeString:
        """The MPAN with its register below."""
        return format_html(
            '<span class="mono">{}</span><span class="source">{}</span>',
            record.mpan,
            record.register,
        )

    def render_status(self, record: System) -> SafeString:
        """Whether MassCEC lists it, and its error."""
        if record.trouble:
            said = format_html('<span class="source">{}</span>', record.trouble)
            return format_html("{}{}", tag("look", "Error"), said)
        if record.active:
            return tag("good", "Active")
        gone = when(record.gone_at)
        return format_html('{}<span class="source">since {}</span>', tag("idle", "Gone"), gone)


class SystemFilters(django_filters.FilterSet):
    """Filters of the list of systems."""

    q = django_filters.CharFilter(label="System, name or MPAN", method="search")

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names a system."""
        text = text.strip()
        found = Q(name__icontains=text) | Q(system_id__icontains=text) | Q(mpan__startswith=text)
        if text.isascii() and text.isdigit() and len(text) <= 9:
            found |= Q(fk_system=int(text))
        return rows.filter(found)


class SystemList(ListPage):
    """Every system, and what is known of it."""

    model = System
    table_class = SystemTable
    filterset_class = SystemFilters
    permission = "pts.view_system"
    template_name = "pts/systems.html"
    page_title = "Systems"
    page_lead = "Name and capacity are MassCEC’s; estimate, notes and meter are ours."
    status_labels = (("active", "Active"), ("trouble", "With an error"), ("gone", "Gone"))
    empty: ClassVar[dict[str, str]] = {
        "title": "No systems here",
        "text": "None fits these filters. Systems come from MassCEC by synchronising.",
        "url": "?",
        "label": "Show all systems",
    }
    csv_name = "systems"

    def get_queryset(self) -> QuerySet[Any]:
        """Systems with a status that the tabs understand."""
        status = Case(
            When(active=False, then=Value("gone")),
            When(~Q(trouble=""), then=Value("trouble")),
            default=Value("active"),
            output_field=CharField(),
        )
        return System.objects.annotate(status=status)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The list below the last comparison with MassCEC's."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return context | {"synchronisation": Synchronisation.objects.first()}

    def csv_header(self) -> list[str]:
        """Columns."""
        return [
            "system", "system id", "name", "capacity kW", "active", "error", "estimate kWh a year",
            "MPAN", "register", "meter notes",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a system."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.fk_system, row.system_id, row.name, _plain(row.capacity),
                "yes" if row.active else "no", row.trouble, _plain(row.yearly_estimate), row.mpan,
                row.register, row.meter_notes,
            ]  # fmt: skip


# ---- Home --------------------------------------------------------------------------------------


def tile(user: User) -> Tile:
    """The desk on the home page (two queries): who needs a person, and how long it is open."""
    now = timezone.now()
    window = present_window(now)
    needs = Q(status__in=Report.NEEDS_PERSON)
    counts = Report.objects.filter(window=window).aggregate(
        needs=Count("pk", filter=needs),
        passed=Count("pk", filter=Q(status=Status.PASSED)),
        total=Count("pk"),
        oldest=Min("status_at", filter=needs),
    )
    return Tile(
        label="Production",
        url=reverse("pts:list"),
        big=counts["needs"],
        small="need a person",
        foot=looks.countdown(window, now, counts["passed"], counts["total"]),
        oldest_at=counts["oldest"],
    )


def inbox(user: User, *, only_mine: bool) -> list[InboxGroup]:
    """The desk's work by reason, worst first."""
    now = timezone.now()
    mine = Q(assigned_to=user) if only_mine else Q()
    window = present_window(now)
    near_end = window is not None and window.closes_at - NEAR_END < now < window.closes_at
    groups = [
        _group(
            "Production: undecided at the window’s close",
            "MassCEC can no longer be asked by the portal. Ring them, then settle it.",
            Q(status=Status.VALIDATING, window__closed_at__isnull=False) & mine,
            edge="bad",
        ),
        _group(
            "Production: failed",
            "Correct the reading before the window closes; mind the tries left.",
            Q(status=Status.FAILED, window=window) & mine,
            edge="bad",
            url="?status=failed",
        ),
        _group(
            "Production: to look at",
            "A check does not pass: accept it with a reason, or correct it.",
            Q(status=Status.LOOK, window=window) & mine,
            edge="look",
            url="?status=look",
        ),
    ]
    if near_end:
        lead = "A month that is missed is spread over the gap next time."
        missing = Q(status=Status.MISSING, window=window) & mine
        groups.append(
            _group(
                "Production: missing, the window closes soon", lead, missing, url="?status=missing"
            )
        )
    return [group for group in groups if group.items]


def _group(title: str, lead: str, which: Q, *, edge: str = "", url: str = "") -> InboxGroup:
    rows = Report.objects.filter(which)
    found = rows.select_related("assigned_to", "system", "window").order_by("status_at", "pk")
    items = [_item(row) for row in found[:INBOX_LINES]]
    count = len(items) if len(items) < INBOX_LINES else rows.count()
    return InboxGroup(title, lead, items, edge, count, reverse("pts:list") + url)


def _item(row: Report) -> InboxItem:
    closes = timezone.localtime(row.window.closes_at)
    return InboxItem(
        reference=row.reference,
        url=row.get_absolute_url(),
        text=f"{row.system.name or row.system.fk_system}: {row.why}",
        source=f"{row.window}, {known.tries_of(row).sentence}",
        tag=(row.tag, row.status_label),
        consequence=f"The window closes {closes:%a %-d %b %H:%M}.",
        age_at=row.status_at,
        overdue=row.window.closes_at < timezone.now(),
        who=str(row.assigned_to) if row.assigned_to else "",
    )


def search(text: str, user: User) -> list[Hit]:
    """Reports that any identifier names, newest months first (one query)."""
    rows = Report.objects.filter(matches(text)).select_related("system", "window")
    return [
        Hit(
            reference=row.reference,
            url=row.get_absolute_url(),
            title=row.title,
            source=f"{row.system.system_id}, {row.window}",
            tag=(row.tag, row.status_label),
        )
        for row in rows[:HITS]
    ]


def try_again(call: PartnerCall, user: User) -> str:
    """Nowhere: what is sent here goes again by itself or through its own check page."""
    return ""


def stop_mail(email: Email, *, by: Actor, now: datetime) -> bool:
    """Nothing to stop: this desk's e-mails go to staff and wait for nobody."""
    return False
