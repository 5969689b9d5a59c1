"""The frame's own lists: calls to parties and e-mails, for the desks a person may see."""

from collections.abc import Iterator
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django import forms
from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString

from core import desks
from core.listing import ListPage
from core.models import Email, PartnerCall
from core.templatetags.portal import tag, when

OUTCOMES = (
    ("answered", "Answered"),
    ("refused", "Refused"),
    ("unavailable", "Unavailable"),
    ("look up first", "Look up first"),
    ("unexpected", "Unexpected"),
    ("unknown", "Unknown"),
    ("cut off", "Cut off"),
)
OUTCOME_TAGS = {
    "answered": "good",
    "refused": "idle",
    "unavailable": "look",
    "look up first": "look",
    "unexpected": "bad",
    "unknown": "unknown",
    "cut off": "look",
}


class _OfMyDesks(ListPage):
    """Rows that belong to a desk which this person may see."""

    def get_queryset(self) -> QuerySet[Any]:
        """Rows of the person's desks, and rows that belong to none."""
        labels = Q(case_label="")
        for desk in desks.desks_for(self.request.user):
            labels |= Q(case_label__startswith=f"{desk.slug}.")
        return self.model.objects.filter(labels)  # type: ignore[no-any-return]


class CallTable(tables.Table):
    """Columns of the list of calls."""

    started_at = tables.Column("Started")
    party = tables.Column("Party")
    operation = tables.Column("Operation", linkify=True)
    reference = tables.Column("Case", linkify=lambda record: record.case_url or None)
    by_name = tables.Column("Caused by")
    duration_ms = tables.Column("Took", attrs={"td": {"class": "num"}})
    http_status = tables.Column("HTTP", attrs={"td": {"class": "num"}})
    outcome = tables.Column("Outcome")

    class Meta:
        order_by = "-started_at"

    def render_started_at(self, value: Any) -> SafeString:
        """London time."""
        return when(value)

    def render_duration_ms(self, value: int) -> str:
        """Seconds."""
        return f"{value / 1000:.1f} s"

    def render_outcome(self, value: str) -> SafeString:
        """The outcome as a tag."""
        return tag(OUTCOME_TAGS.get(value, "idle"), dict(OUTCOMES).get(value, value))


class CallFilters(django_filters.FilterSet):
    """Filters of the list of calls."""

    q = django_filters.CharFilter(label="Case", field_name="reference", lookup_expr="icontains")
    party = django_filters.ChoiceFilter(label="Party", empty_label="Every party", choices=())
    outcome = django_filters.ChoiceFilter(
        label="Outcome", empty_label="Every outcome", choices=OUTCOMES
    )
    on = django_filters.DateFilter(
        label="Day",
        field_name="started_at",
        lookup_expr="date",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [name for desk in desks.all_desks() for name in desk.parties]
        self.filters["party"].extra["choices"] = [(name, name) for name in names]


class CallList(_OfMyDesks):
    """Every call to an outside party."""

    model = PartnerCall
    table_class = CallTable
    filterset_class = CallFilters
    permission = "core.view_partnercall"
    page_title = "Calls to parties"
    page_lead = (
        "Who sent what, when, and what came back. Secrets are removed before anything is kept."
    )
    csv_name = "calls"
    status_field = ""
    empty: ClassVar[dict[str, str]] = {
        "title": "No calls",
        "text": "Nothing was sent to an outside party yet, or the filters hide it.",
    }

    def csv_header(self) -> list[str]:
        """Columns without bodies."""
        return [
            "started",
            "party",
            "operation",
            "case",
            "by",
            "ms",
            "http",
            "outcome",
            "problem",
        ]

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a call."""
        for row in rows.defer("reply_unread", "reply_body", "request_body").iterator():
            yield [
                row.started_at.isoformat(), row.party, row.operation, row.reference, row.by_name,
                row.duration_ms, row.http_status, row.outcome, row.problem,
            ]  # fmt: skip


class MailTable(tables.Table):
    """Columns of the list of e-mails."""

    created_at = tables.Column("Written", attrs={"td": {"class": "nowrap"}})
    subject = tables.Column("Subject", linkify=True, attrs={"td": {"class": "wide"}})
    to = tables.Column("To")
    reference = tables.Column(
        "Case",
        linkify=lambda record: record.case_url or None,
        attrs={"td": {"class": "nowrap"}},
    )
    by_name = tables.Column("By")
    state = tables.Column("State")

    class Meta:
        order_by = "-created_at"

    def render_created_at(self, value: Any) -> SafeString:
        """London time."""
        return when(value)

    def render_state(self, record: Email) -> SafeString:
        """The state as a tag."""
        return tag(record.tag, record.get_state_display())


class MailFilters(django_filters.FilterSet):
    """Filters of the list of e-mails."""

    q = django_filters.CharFilter(label="Address or case", method="search")
    state = django_filters.ChoiceFilter(
        label="State", empty_label="Every state", choices=Email.State.choices
    )

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By address, subject or case."""
        return rows.filter(
            Q(to__icontains=text) | Q(reference__icontains=text) | Q(subject__icontains=text)
        )


class MailList(_OfMyDesks):
    """Every e-mail that was written, with its state."""

    model = Email
    table_class = MailTable
    filterset_class = MailFilters
    permission = "core.view_email"
    page_title = "E-mails"
    page_lead = "What customers were told. Waiting ones leave by themselves."
    csv_name = "e-mails"
    status_field = ""
    empty: ClassVar[dict[str, str]] = {
        "title": "No e-mails",
        "text": "Nothing was written to a customer yet, or the filters hide it.",
    }

    def csv_header(self) -> list[str]:
        """Columns without texts."""
        return ["written", "to", "subject", "case", "by", "state", "sent"]

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line an e-mail."""
        for row in rows.defer("private", "text").iterator():
            sent = row.sent_at.isoformat() if row.sent_at else ""
            yield [
                row.created_at.isoformat(), row.to, row.subject, row.reference, row.by_name,
                row.state, sent,
            ]  # fmt: skip
