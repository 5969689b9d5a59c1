"""The meters as lists: every meter, and those whose half hours are missing, late or stale."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django import forms
from django.contrib import messages
from django.db.models import Max, Q, QuerySet
from django.http import HttpResponseBase
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.listing import ListPage
from core.templatetags.portal import tag, thousands, when
from core.workflow import actor_for
from metering import actions
from metering.missing import Standing
from metering.models import ASK, Meter, MeterType
from metering.rules import Cause

VIEW = "metering.view_meter"


class MeterTable(tables.Table):
    """Columns of the list of meters."""

    mpan = tables.Column("Meter")
    meter_type = tables.Column("Type", order_by="meter_type__code")
    remote_address = tables.Column("Remote address", attrs={"td": {"class": "mono nowrap"}})
    group = tables.Column("Group")
    priority = tables.Column("Priority", attrs={"td": {"class": "num"}})
    last_read_at = tables.Column("Last result", attrs={"td": {"class": "nowrap"}})
    active = tables.Column("State")

    class Meta:
        order_by = "mpan"

    def render_mpan(self, record: Meter) -> SafeString:
        """MPAN as the link, with the serial number below it."""
        return format_html(
            '<a class="ref" href="{}">{}</a><span class="source mono">{}</span>',
            record.get_absolute_url(),
            record.mpan,
            record.serial_number or "no serial number",
        )

    def render_last_read_at(self, value: Any) -> SafeString:
        """London time."""
        return when(value)

    def render_active(self, record: Meter) -> SafeString:
        """Whether it is asked at all."""
        return tag("good", "Active") if record.active else tag("idle", "Not active")


class MeterFilters(django_filters.FilterSet):
    """Filters of the list of meters."""

    q = django_filters.CharFilter(label="MPAN, serial number or remote address", method="search")
    meter_type = django_filters.ModelChoiceFilter(
        label="Type", empty_label="Every type", queryset=MeterType.objects.all()
    )
    group = django_filters.CharFilter(label="Group", lookup_expr="iexact")
    active = django_filters.ChoiceFilter(
        label="State", empty_label="Any", choices=(("1", "Active"), ("0", "Not active"))
    )

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names a meter."""
        return rows.filter(matches(text))


def matches(text: str) -> Q:
    """Meters that any identifier in this text names."""
    text = text.strip()
    compact = "".join(text.split()).replace("-", "")
    return (
        Q(serial_number__icontains=text)
        | Q(remote_address__icontains=compact)
        | Q(mpan__startswith=compact)
    )


class MeterList(ListPage):
    """Every meter."""

    model = Meter
    table_class = MeterTable
    filterset_class = MeterFilters
    permission = VIEW
    page_title = "Meters"
    page_lead = "Everything that can be asked over the meter communications service."
    status_field = ""
    template_name = "metering/meters.html"
    bulk: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "label": "Ask for missing days",
            "value": "fill",
            "primary": True,
            "permission": ASK,
        },
        {"label": "Download these as CSV", "value": "csv"},
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No meters here",
        "text": "No meter fits these filters, or none was added yet.",
        "url": "?",
        "label": "Show all meters",
    }
    csv_name = "meters"

    def get_queryset(self) -> QuerySet[Any]:
        """Every meter with when it was read last, without passwords."""
        rows = Meter.objects.select_related("meter_type").defer("password")
        return rows.annotate(last_read_at=Max("reads__collection_end"))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The list, with the way to add a meter for who may."""
        context = super().get_context_data(**kwargs)
        if self.request.user.has_perm(actions.ADD_METER):
            context["primary_action"] = {
                "label": "Add a meter",
                "url": reverse_lazy("metering:meter-add"),
            }
        context["may_import"] = self.request.user.has_perm(actions.ADD_METER)
        return context

    def bulk_fill(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Ask the chosen meters for what is missing."""
        say_filled(self.request, fill(rows, self.request))
        return None

    def csv_header(self) -> list[str]:
        """Columns without passwords."""
        return [
            "MPAN", "SERIAL_NUMBER", "METER_TYPE", "REMOTE_ADDRESS", "COM_SETTINGS", "OUTSTATION",
            "group", "priority", "capacity kW", "active", "last result",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a meter."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.mpan, row.serial_number, row.meter_type.code, row.remote_address,
                row.coms_settings, row.outstation_address, row.group, row.priority,
                row.capacity_kw, "yes" if row.active else "no",
                row.last_read_at.isoformat() if row.last_read_at else "",
            ]  # fmt: skip


def fill(meters: Iterable[Meter], request: Any) -> actions.Filled:
    """Ask these meters for what is missing, for the person of a request."""
    return actions.ask_missing(meters=meters, by=actor_for(request.user), now=timezone.now)


def say_filled(request: Any, filled: actions.Filled) -> None:
    """Tell what asking came to."""
    if filled.asked:
        meters = "1 meter is" if filled.asked == 1 else f"{filled.asked:,} meters are"
        messages.success(request, f"{meters} asked for missing days, the oldest days first.")
    if filled.waiting:
        meters = "1 meter has" if filled.waiting == 1 else f"{filled.waiting:,} meters have"
        messages.info(request, f"{meters} gaps that are not asked for now: the list says why.")
    if not filled.asked and not filled.waiting:
        messages.info(request, "Nothing is missing from these meters.")


# ---- What is missing ----------------------------------------------------------------------------

KINDS: dict[str, str] = {"missing": "Missing", "late": "Late", "stale": "Stale"}
KIND_TAGS: dict[str, str] = {"missing": "look", "late": "busy", "stale": "bad"}


class GapTable(tables.Table):
    """Columns of the work list of missing half hours."""

    reference = tables.Column("Meter")
    kinds = tables.Column("What", orderable=False)
    half_hours = tables.Column("Half hours", attrs={"td": {"class": "num"}})
    since = tables.Column("Oldest gap", attrs={"td": {"class": "nowrap"}})
    newest = tables.Column("Newest day", attrs={"td": {"class": "nowrap"}})
    causes = tables.Column("On whose side", orderable=False)
    tries = tables.Column("Tries", attrs={"td": {"class": "num"}})
    next_step = tables.Column("Next", orderable=False, attrs={"td": {"class": "wide"}})

    class Meta:
        order_by = "-half_hours"

    def render_reference(self, record: Standing) -> SafeString:
        """Serial number as the link, with the MPAN below it."""
        return format_html(
            '<a class="ref" href="{}">{}</a><span class="source mono nowrap">{}</span>',
            record.meter.get_absolute_url(),
            record.reference,
            record.meter.mpan,
        )

    def render_kinds(self, value: Iterable[str]) -> SafeString:
        """Tags."""
        return format_html_join(" ", "{}", ((tag(KIND_TAGS[k], KINDS[k]),) for k in value))

    def render_half_hours(self, value: int) -> str:
        """With commas."""
        return thousands(value)

    def render_since(self, value: Any) -> SafeString:
        """London time."""
        return when(value)

    def render_newest(self, value: Any) -> SafeString:
        """A plain day."""
        return when(value)

    def render_causes(self, value: Iterable[str]) -> SafeString:
        """One a line."""
        return format_html_join("", '<span class="source">{}</span>', ((each,) for each in value))


class GapForm(forms.Form):
    """Filters of the work list."""

    q = forms.CharField(label="MPAN, serial number or remote address", required=False)
    cause = forms.ChoiceField(
        label="On whose side",
        required=False,
        choices=[("", "Any side"), *((cause.name, cause.value) for cause in Cause)],
    )
    group = forms.CharField(label="Group", required=False)
