"""The export tariff desk as lists: its list page, its place on home, and search."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.contrib import messages
from django.db.models import Count, Min, Q, QuerySet
from django.http import HttpResponseBase
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import casework
from core.desks import Hit, InboxGroup, InboxItem, Tile
from core.listing import ListPage
from core.models import PartnerCall, User
from core.templatetags.portal import age, status_tag, when
from core.workflow import Impossible, actor_for
from seg import actions
from seg.messages import normalise_certificate
from seg.models import DECIDE, Application

Status = Application.Status
INBOX_LINES = 10
HITS = 20
SILENT_AFTER = timedelta(days=14)


class ApplicationTable(tables.Table):
    """Columns of the list of applications."""

    reference = tables.Column("Reference")
    name = tables.Column("Applicant", attrs={"td": {"class": "name"}})
    status = tables.Column("Status")
    why = tables.Column("Why it is there", orderable=False, attrs={"td": {"class": "wide"}})
    assigned_to = tables.Column("With", order_by=("assigned_to__last_name", "assigned_to__pk"))
    received_at = tables.Column("Received", attrs={"td": {"class": "nowrap"}})
    status_at = tables.Column("Age", order_by="-status_at", attrs={"td": {"class": "num"}})

    class Meta:
        order_by = "-received_at"
        attrs: ClassVar[dict[str, str]] = {}

    def render_reference(self, record: Application) -> SafeString:
        """Reference as the link, with the certificate below it."""
        return format_html(
            '<a class="ref" href="{}">{}</a><span class="source mono nowrap">{}</span>',
            record.get_absolute_url(),
            record.reference,
            record.certificate_number,
        )

    def render_name(self, record: Application) -> SafeString:
        """Name with the postcode below it."""
        return format_html('{}<span class="source">{}</span>', record.name, record.postcode)

    def render_status(self, record: Application) -> SafeString:
        """The status as a tag."""
        return status_tag(record)

    def render_assigned_to(self, value: User) -> str:
        """Who looks after it."""
        return str(value)

    def render_received_at(self, value: Any) -> SafeString:
        """London time."""
        return when(value)

    def render_status_at(self, record: Application) -> SafeString:
        """How long it has stood like this; overdue when the promised day has passed."""
        text = age(record.status_at)
        if record.due_by and record.due_by < timezone.now():
            return format_html(
                '<span class="overdue">{}<span class="source overdue">overdue</span></span>',
                text,
            )
        return format_html("{}", text)


WITH = (("me", "Me"), ("nobody", "Nobody"))
RECEIVED = (("1", "Today and yesterday"), ("7", "Last 7 days"), ("90", "Last 90 days"))


class ApplicationFilters(django_filters.FilterSet):
    """Filters of the list of applications."""

    q = django_filters.CharFilter(label="Search in this list", method="search")
    who = django_filters.ChoiceFilter(
        label="With", empty_label="Anyone", choices=WITH, method="with_whom"
    )
    kind = django_filters.ChoiceFilter(
        label="Applies as", empty_label="Any kind", choices=Application.Kind.choices
    )
    received = django_filters.ChoiceFilter(
        label="Received", empty_label="Any time", choices=RECEIVED, method="since"
    )

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names an application."""
        return rows.filter(matches(text))

    def with_whom(self, rows: QuerySet[Any], _: str, who: str) -> QuerySet[Any]:
        """Mine, or nobody's."""
        if who == "me":
            return rows.filter(assigned_to=self.request.user)
        return rows.filter(assigned_to=None)

    def since(self, rows: QuerySet[Any], _: str, days: str) -> QuerySet[Any]:
        """Received in the last days."""
        return rows.filter(received_at__gte=timezone.now() - timedelta(days=int(days)))


def matches(text: str) -> Q:
    """Applications that any identifier in this text names."""
    text = text.strip()
    certificate = normalise_certificate(text)
    compact = "".join(text.split())
    found = (
        Q(reference__icontains=text)
        | Q(name__icontains=text)
        | Q(email__icontains=text)
        | Q(postcode__icontains=text)
        | Q(postcode__istartswith=f"{compact[:-3]} {compact[-3:]}")
        | Q(certificate_number__icontains=certificate or text)
    )
    digits = compact.replace("-", "")
    if digits.isdigit() and len(digits) >= 4:
        found |= Q(import_mpan__startswith=digits) | Q(export_mpan__startswith=digits)
        found |= Q(phone__contains=digits)
    return found


class ApplicationList(ListPage):
    """The list page of the desk."""

    model = Application
    table_class = ApplicationTable
    filterset_class = ApplicationFilters
    permission = "seg.view_application"
    page_title = "Export tariff applications"
    page_lead = "People who want to be paid for the power they export."
    status_labels = tuple(
        (status.value, str(status.label))
        for status in (
            Status.REVIEW,
            Status.CHECKING,
            Status.WAITING,
            Status.APPROVED,
            Status.SUSPENDED,
            Status.REFUSED,
            Status.WITHDRAWN,
        )
    )
    bulk: ClassVar[tuple[dict[str, Any], ...]] = (
        {"label": "Assign to me", "value": "assign", "primary": True, "permission": DECIDE},
        {"label": "Ask the registry again", "value": "check_again", "permission": DECIDE},
        {"label": "Download these as CSV", "value": "csv"},
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No applications here",
        "text": "No application has this status or fits these filters. "
        "New ones arrive by themselves from the public form.",
        "url": "?",
        "label": "Show all applications",
    }
    primary_action: ClassVar[dict[str, Any]] = {
        "label": "Enter an application",
        "url": reverse_lazy("seg:apply"),
    }
    csv_name = "export-tariff-applications"

    def get_queryset(self) -> QuerySet[Any]:
        """Every application with who looks after it."""
        return Application.objects.select_related("assigned_to", "tariff")

    def bulk_assign(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Give the chosen cases to this person."""
        user = self.request.user
        for case in rows:
            casework.assign(case, to=user, by=actor_for(user), now=timezone.now())
        messages.success(self.request, f"{len(rows)} assigned to you.")
        return None

    def bulk_check_again(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Ask the registry again about the chosen cases that allow it."""
        by, done, left = actor_for(self.request.user), 0, 0
        for case in rows:
            try:
                actions.check_again(application=case, by=by, now=timezone.now)
                done += 1
            except Impossible:
                left += 1
        messages.success(self.request, f"The registry is asked again about {done}.")
        if left:
            messages.warning(
                self.request,
                f"{left} left as they are: their status does not allow it.",
            )
        return None

    def csv_header(self) -> list[str]:
        """Columns without bank details."""
        return [
            "reference", "status", "why", "received", "certificate", "name", "e-mail", "phone",
            "address", "postcode", "import MPAN", "export MPAN", "capacity kW", "tariff", "with",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line an application."""
        for row in rows.defer("sort_code", "account_number", "token").iterator(chunk_size=500):
            yield [
                row.reference, row.status_label, row.why, row.received_at.isoformat(),
                row.certificate_number, row.name, row.email, row.phone, ", ".join(row.address),
                row.postcode, row.import_mpan, row.export_mpan, row.capacity or "",
                row.tariff.code if row.tariff else "", str(row.assigned_to or ""),
            ]  # fmt: skip


# ---- Home ------------------------------------------------------------------------------------


def tile(user: User) -> Tile:
    """The desk on the home page (one query)."""
    needs = Q(status__in=Application.NEEDS_PERSON)
    counts = Application.objects.aggregate(
        needs=Count("pk", filter=needs),
        checking=Count("pk", filter=Q(status=Status.CHECKING)),
        oldest=Min("status_at", filter=needs),
    )
    return Tile(
        label="Export tariff",
        url=reverse("seg:list"),
        big=counts["needs"],
        small="need a person",
        foot=f"{counts['checking']} checking",
        oldest_at=counts["oldest"],
    )


def inbox(user: User, *, only_mine: bool) -> list[InboxGroup]:
    """The desk's work by reason, worst first (two queries a group)."""
    mine = Q(assigned_to=user) if only_mine else Q()
    silent = Q(status=Status.WAITING, status_at__lt=timezone.now() - SILENT_AFTER)
    groups = (
        _group(
            "Suspended certificates",
            "Payments pause until a person decides.",
            Q(status=Status.SUSPENDED) & mine,
            "Decide whether the tariff goes on.",
            edge="bad",
            url="?status=suspended",
        ),
        _group(
            "Needs a decision",
            "The checks could not say yes or no by themselves.",
            Q(status=Status.REVIEW) & mine,
            "",
            edge="look",
            url="?status=review",
        ),
        _group(
            "The registry is silent",
            "These wait until the registry answers; the portal goes on asking.",
            Q(status=Status.CHECKING) & ~Q(trouble="") & mine,
            "Nothing to do: they go on by themselves when the registry answers.",
            url="?status=checking",
        ),
        _group(
            "The customer is silent",
            "Asked more than 14 days ago.",
            silent & mine,
            "Ring the customer, or withdraw.",
            url="?status=waiting",
        ),
    )
    return [group for group in groups if group.items]


def _group(
    title: str, lead: str, which: Q, consequence: str, *, edge: str = "", url: str
) -> InboxGroup:
    rows = Application.objects.filter(which)
    items = rows.select_related("assigned_to").order_by("status_at")[:INBOX_LINES]
    found = [_item(row, consequence) for row in items]
    count = len(found) if len(found) < INBOX_LINES else rows.count()
    return InboxGroup(title, lead, found, edge, count, reverse("seg:list") + url)


def _item(row: Application, consequence: str) -> InboxItem:
    overdue = row.due_by is not None and row.due_by < timezone.now()
    promised = (
        f"The customer was promised an answer by {timezone.localtime(row.due_by):%a %-d %b}."
        if row.due_by
        else ""
    )
    return InboxItem(
        reference=row.reference,
        url=row.get_absolute_url(),
        text=f"{row.name}: {row.why}",
        source=f"{row.certificate_number}, {row.postcode}",
        tag=(row.tag, row.status_label),
        consequence=consequence or promised,
        age_at=row.status_at,
        overdue=overdue,
        who=str(row.assigned_to) if row.assigned_to else "",
    )


def search(text: str, user: User) -> list[Hit]:
    """Applications that any identifier names (one query)."""
    return [
        Hit(
            reference=row.reference,
            url=row.get_absolute_url(),
            title=row.title,
            source=f"{row.certificate_number}, {row.site}",
            tag=(row.tag, row.status_label),
        )
        for row in Application.objects.filter(matches(text))[:HITS]
    ]


def try_again(call: PartnerCall, user: User) -> str:
    """Where to have the registry asked again about the call's case; empty when it may not be."""
    case = Application.objects.filter(reference=call.reference).first()
    may = user.has_perm(DECIDE)
    return reverse("seg:again", args=[case.reference]) if case and may and case.askable else ""
