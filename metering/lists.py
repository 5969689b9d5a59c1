"""The metering desk as lists: reads, alarms and deliveries; its place on home, and search."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

import django_filters
import django_tables2 as tables
from django import forms
from django.contrib import messages
from django.db.models import Case, CharField, Count, F, Min, Q, QuerySet, Value, When
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.desks import Hit, InboxGroup, InboxItem, Tile
from core.listing import LONGEST_KEY, ListPage
from core.models import Email, PartnerCall, User
from core.templatetags.portal import age, status_tag, tag, when
from core.workflow import Actor, Impossible, actor_for
from metering import actions
from metering.models import (
    ASK,
    READ,
    Batch,
    Delivery,
    Meter,
    MeterAlarm,
    MeterRead,
    MeterType,
)

Status = MeterRead.Status
VIEW = "metering.view_meterread"
INBOX_LINES = 10
HITS = 20
BATCHES = 30
# A read that was asked again is looked after there.
OPEN_FAILURE = Q(status=Status.FAILED, asked_again=None)
NEEDS_PERSON = Q(status=Status.TO_CHECK) | OPEN_FAILURE
SECRETS = ("token", "meter__password")


# ---- Reads -----------------------------------------------------------------------------------


class ReadTable(tables.Table):
    """Columns of the list of meter reads."""

    reference = tables.Column("Reference")
    meter = tables.Column("Meter", order_by=("meter__mpan", "meter__serial_number"))
    status = tables.Column("Status")
    why = tables.Column("Why it is there", orderable=False, attrs={"td": {"class": "wide"}})
    assigned_to = tables.Column("With", order_by=("assigned_to__last_name", "assigned_to__pk"))
    created_at = tables.Column("Asked", attrs={"td": {"class": "nowrap"}})
    status_at = tables.Column("Age", order_by="-status_at", attrs={"td": {"class": "num"}})

    class Meta:
        order_by = "-created_at"
        attrs: ClassVar[dict[str, str]] = {}

    def render_reference(self, record: MeterRead) -> SafeString:
        """Reference as the link, with the meter's group below it."""
        return format_html(
            '<a class="ref" href="{}">{}</a><span class="source">{}</span>',
            record.get_absolute_url(),
            record.reference,
            record.meter.group,
        )

    def render_meter(self, value: Meter) -> SafeString:
        """Serial number with the MPAN below it."""
        serial = value.serial_number or "no serial number"
        return format_html(
            '<span class="mono">{}</span><span class="source mono nowrap">{}</span>',
            serial,
            value.mpan,
        )

    def render_status(self, record: MeterRead) -> SafeString:
        """The status as a tag."""
        return status_tag(record)

    def render_assigned_to(self, value: User) -> str:
        """Who looks after it."""
        return str(value)

    def render_created_at(self, value: datetime) -> SafeString:
        """London time."""
        return when(value)

    def render_status_at(self, value: datetime) -> str:
        """How long it has stood like this."""
        return age(value)


class ReadFilters(django_filters.FilterSet):
    """Filters of the list of meter reads."""

    q = django_filters.CharFilter(label="MPAN, serial, reference or address", method="search")
    group = django_filters.ChoiceFilter(
        label="Group", field_name="meter__group", empty_label="Every group", choices=()
    )
    type = django_filters.ModelChoiceFilter(
        label="Meter type",
        field_name="meter__meter_type",
        queryset=MeterType.objects.all(),
        empty_label="Every type",
    )
    by = django_filters.ChoiceFilter(
        label="Asked by", empty_label="Anybody", choices=(), method="asked_by"
    )
    batch = django_filters.ChoiceFilter(
        label="Batch", field_name="batch", empty_label="Every batch", choices=()
    )
    meter = django_filters.ChoiceFilter(
        label="Meter", field_name="meter", choices=(), widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["group"].extra["choices"] = group_choices
        named = str(self.data.get("meter", ""))
        self.filters["meter"].extra["choices"] = lambda: meter_choices(named)
        self.filters["by"].extra["choices"] = asker_choices
        chosen = str(self.data.get("batch", ""))
        self.filters["batch"].extra["choices"] = lambda: batch_choices(chosen)

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names a read or its meter."""
        return rows.filter(matches(text))

    def asked_by(self, rows: QuerySet[Any], _: str, who: str) -> QuerySet[Any]:
        """Asked by a person, or by the portal."""
        person = None if who == "portal" else int(who)
        return rows.filter(batch__by=person)


def group_choices() -> list[tuple[str, str]]:
    """The collection groups that meters are in."""
    names = Meter.objects.exclude(group="").order_by("group").values_list("group", flat=True)
    return [(name, name) for name in names.distinct()]


def batch_choices(chosen: str) -> list[tuple[str, str]]:
    """The latest batches that people asked for, and the one that is chosen, whatever its age."""
    latest = Batch.objects.exclude(title__startswith="Again after")[:BATCHES]
    pks = [row.pk for row in latest]
    if chosen.isdecimal() and len(chosen) <= LONGEST_KEY:
        pks.append(int(chosen))
    return [(str(row.pk), row.title) for row in Batch.objects.filter(pk__in=pks)]


def meter_choices(named: str) -> list[tuple[str, str]]:
    """The meter that the address names, alone: its page leads here."""
    if not named.isdecimal() or len(named) > LONGEST_KEY:
        return []
    rows = Meter.objects.filter(pk=int(named)).only("mpan", "serial_number")
    return [(str(row.pk), row.serial_number or row.mpan) for row in rows]


def asker_choices() -> list[tuple[str, str]]:
    """The people who have asked meters, and the portal."""
    people = User.objects.filter(pk__in=Batch.objects.exclude(by=None).values("by"))
    return [("portal", "The portal"), *((str(one.pk), str(one)) for one in people)]


def matches(text: str) -> Q:
    """Reads that any identifier in this text names."""
    text = text.strip()
    compact = "".join(text.split()).replace("-", "")
    found = (
        Q(reference__icontains=text)
        | Q(meter__serial_number__icontains=text)
        | Q(remote_address__icontains="".join(text.split()))
    )
    if compact.isdigit() and len(compact) >= 4:
        found |= Q(meter__mpan__startswith=compact)
    return found


class ReadList(ListPage):
    """The list page of the desk."""

    model = MeterRead
    table_class = ReadTable
    filterset_class = ReadFilters
    permission = VIEW
    template_name = "metering/list.html"
    page_title = "Meter reads"
    page_lead = "What meters were asked, and what came back."
    status_labels = tuple(
        (status.value, str(status.label))
        for status in (
            Status.TO_CHECK,
            Status.FAILED,
            Status.WAITING,
            Status.REQUESTED,
            Status.ACCEPTED,
            Status.REJECTED,
            Status.CANCELLED,
        )
    )
    bulk: ClassVar[tuple[dict[str, Any], ...]] = (
        {"label": "Ask again", "value": "ask_again", "primary": True, "permission": ASK},
        {"label": "Cancel", "value": "cancel", "permission": ASK},
        {"label": "Set aside", "value": "set_aside", "permission": READ},
        {"label": "Download these as CSV", "value": "csv"},
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No reads here",
        "text": "No read has this status or fits these filters. Ask a meter, or wait for the "
        "schedule of its group.",
        "url": "?",
        "label": "Show all reads",
    }
    csv_name = "meter-reads"

    def get_queryset(self) -> QuerySet[Any]:
        """Every read with its meter and who looks after it; nothing secret is read."""
        rows = MeterRead.objects.select_related("assigned_to", "meter__meter_type", "batch")
        return rows.defer(*SECRETS)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The list, with a button for those who may ask."""
        context = super().get_context_data(**kwargs)
        if self.request.user.has_perm(ASK):
            context["primary_action"] = {"label": "Ask meters", "url": reverse("metering:ask")}
        return context

    def bulk_ask_again(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Ask the meters of the chosen reads once more; the form says what for."""
        meters = sorted(set(rows.values_list("meter", flat=True)))
        return redirect(f"{reverse('metering:ask')}?{urlencode([('meter', pk) for pk in meters])}")

    def bulk_set_aside(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Close the chosen failed reads; the form asks why."""
        reads = sorted(rows.values_list("pk", flat=True))
        query = urlencode([("read", pk) for pk in reads])
        return redirect(f"{reverse('metering:set-aside')}?{query}")

    def bulk_cancel(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Cancel the chosen reads that are still open."""
        by, done, left = actor_for(self.request.user), 0, 0
        for read in rows:
            try:
                actions.cancel(read=read, by=by, now=timezone.now)
                done += 1
            except Impossible:
                left += 1
        messages.success(self.request, f"{done} cancelled.")
        if left:
            text = f"{left} left as they are: only waiting and requested reads can be cancelled."
            messages.warning(self.request, text)
        return None

    def csv_header(self) -> list[str]:
        """Columns without secrets."""
        return [
            "reference", "status", "why", "asked", "asked by", "MPAN", "serial number", "type",
            "group", "remote address", "survey from", "survey days", "their result", "clock offset",
            "collection start", "collection end",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a read."""
        for row in rows.select_related("batch__by").iterator(chunk_size=500):
            by = row.batch.by if row.batch else None
            yield [
                row.reference, row.status_label, row.why, row.created_at.isoformat(),
                str(by or "the portal"), row.meter.mpan, row.meter.serial_number,
                row.meter.meter_type.code, row.meter.group, row.remote_address,
                row.survey_date or "", row.survey_days, row.outcome,
                "" if row.clock_offset is None else row.clock_offset,
                row.collection_start or "", row.collection_end or "",
            ]  # fmt: skip


# ---- Alarms ----------------------------------------------------------------------------------


class AlarmTable(tables.Table):
    """Columns of the list of alarms."""

    raised_at = tables.Column("Raised", attrs={"td": {"class": "nowrap"}})
    kind = tables.Column("Alarm")
    text = tables.Column("What happened", orderable=False, attrs={"td": {"class": "wide"}})
    meter = tables.Column("Meter", order_by=("meter__mpan", "meter__serial_number"))
    read = tables.Column("Read", linkify=lambda record: record.read.get_absolute_url())
    acknowledged_by = tables.Column("Seen by", empty_values=(), orderable=False)

    class Meta:
        order_by = "-raised_at"

    def render_raised_at(self, value: datetime) -> SafeString:
        """London time."""
        return when(value)

    def render_kind(self, record: MeterAlarm) -> SafeString:
        """The kind as a tag, calm once somebody has seen it."""
        seen = record.acknowledged_at is not None
        return tag("idle" if seen else "look", record.get_kind_display())

    def render_meter(self, value: Meter) -> SafeString:
        """Serial number with the MPAN below it."""
        return format_html(
            '<span class="mono">{}</span><span class="source mono nowrap">{}</span>',
            value.serial_number or "no serial number",
            value.mpan,
        )

    def render_acknowledged_by(self, record: MeterAlarm) -> SafeString:
        """Who has seen it and what they wrote, else the way to do it."""
        if record.acknowledged_at is not None:
            return format_html(
                '{}, {}<span class="source">{}</span>',
                record.acknowledged_by,
                when(record.acknowledged_at),
                record.note,
            )
        url = reverse("metering:acknowledge", args=[record.pk])
        return format_html('<a href="{}">{}</a>', url, "Look and acknowledge")


class AlarmFilters(django_filters.FilterSet):
    """Filters of the list of alarms."""

    q = django_filters.CharFilter(label="MPAN or serial number", method="search")
    kind = django_filters.ChoiceFilter(
        label="Alarm", empty_label="Every kind", choices=MeterAlarm.Kind.choices
    )

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By meter."""
        compact = "".join(text.split())
        return rows.filter(
            Q(meter__serial_number__icontains=compact) | Q(meter__mpan__startswith=compact)
        )


class AlarmList(ListPage):
    """What somebody must acknowledge."""

    model = MeterAlarm
    table_class = AlarmTable
    filterset_class = AlarmFilters
    permission = "metering.view_meteralarm"
    template_name = "metering/list.html"
    page_title = "Meter alarms"
    page_lead = "Tamper, clocks, serial numbers and gaps: each waits until somebody has seen it."
    status_labels = (("open", "To acknowledge"), ("seen", "Acknowledged"))
    empty: ClassVar[dict[str, str]] = {
        "title": "No alarms here",
        "text": "No meter has raised such an alarm, or the filters hide it.",
        "url": "?",
        "label": "Show all alarms",
    }
    csv_name = "meter-alarms"

    def get_queryset(self) -> QuerySet[Any]:
        """Alarms with a status that the tabs understand."""
        status = Case(
            When(acknowledged_at=None, then=Value("open")),
            default=Value("seen"),
            output_field=CharField(),
        )
        rows = MeterAlarm.objects.select_related("meter", "read", "acknowledged_by")
        return rows.defer("read__token", "meter__password").annotate(status=status)

    def csv_header(self) -> list[str]:
        """Columns."""
        return ["raised", "kind", "text", "MPAN", "serial number", "read", "seen", "by", "note"]

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line an alarm."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.raised_at.isoformat(), row.get_kind_display(), row.text, row.meter.mpan,
                row.meter.serial_number, row.read.reference if row.read else "",
                row.acknowledged_at or "", str(row.acknowledged_by or ""), row.note,
            ]  # fmt: skip


# ---- Deliveries ------------------------------------------------------------------------------


class DeliveryTable(tables.Table):
    """Columns of the list of deliveries."""

    received_at = tables.Column("Received", attrs={"td": {"class": "nowrap"}})
    their_reference = tables.Column("Read", attrs={"td": {"class": "nowrap"}})
    sender = tables.Column("From", empty_values=())
    size = tables.Column("Size", attrs={"td": {"class": "num"}})
    state = tables.Column("State")
    reason = tables.Column("Why", orderable=False, attrs={"td": {"class": "wide"}})

    class Meta:
        order_by = "-received_at"

    def render_received_at(self, record: Delivery) -> SafeString:
        """London time, as the link to the document."""
        url = reverse("metering:replay", args=[record.pk])
        return format_html('<a class="ref" href="{}">{}</a>', url, when(record.received_at))

    def render_their_reference(self, record: Delivery) -> SafeString:
        """Our reference where it belongs to a read, else theirs."""
        if record.read is None:
            return format_html('<span class="mono">{}</span>', record.their_reference[:40])
        url = record.read.get_absolute_url()
        return format_html('<a href="{}">{}</a>', url, record.read.reference)

    def render_sender(self, record: Delivery) -> str:
        """The address it came from, unless we fetched it."""
        return "we fetched it" if record.fetched else record.sender or "not known"

    def render_size(self, value: int) -> str:
        """Bytes."""
        return f"{value:,} B"

    def render_state(self, record: Delivery) -> SafeString:
        """The state as a tag."""
        return tag(record.tag, record.get_state_display())


class DeliveryFilters(django_filters.FilterSet):
    """Filters of the list of deliveries."""

    q = django_filters.CharFilter(label="Reference, MPAN or serial number", method="search")

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By the reference in the document, or by read and meter."""
        text = text.strip()
        return rows.filter(
            Q(their_reference__icontains=text)
            | Q(read__reference__icontains=text)
            | Q(read__meter__serial_number__icontains=text)
            | Q(read__meter__mpan__startswith=text)
        )


class DeliveryList(ListPage):
    """Results as they arrived; those kept aside can be replayed."""

    model = Delivery
    table_class = DeliveryTable
    filterset_class = DeliveryFilters
    permission = "metering.view_delivery"
    template_name = "metering/list.html"
    page_title = "Deliveries"
    page_lead = (
        "Result documents as they arrived, without passwords. All that belong to a read are kept."
    )
    status_labels = tuple(
        (state.value, str(state.label))
        for state in (
            Delivery.State.ASIDE,
            Delivery.State.UNREADABLE,
            Delivery.State.WAITING,
            Delivery.State.STORED,
            Delivery.State.REPEATED,
        )
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No deliveries here",
        "text": "No result has come like this, or the filters hide it.",
        "url": "?",
        "label": "Show all deliveries",
    }
    csv_name = "deliveries"

    def get_queryset(self) -> QuerySet[Any]:
        """Deliveries without their documents."""
        rows = Delivery.objects.select_related("read").annotate(status=F("state"))
        return rows.defer("body", "unreadable", "read__token")

    def csv_header(self) -> list[str]:
        """Columns without the documents."""
        return ["received", "read", "their reference", "from", "bytes", "SHA-256", "state", "why"]

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a delivery."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.received_at.isoformat(), row.read.reference if row.read else "",
                row.their_reference, row.sender, row.size, row.sha256, row.get_state_display(),
                row.reason,
            ]  # fmt: skip


# ---- Home ------------------------------------------------------------------------------------


def tile(user: User) -> Tile:
    """The desk on the home page (one query)."""
    counts = MeterRead.objects.aggregate(
        needs=Count("pk", filter=NEEDS_PERSON, distinct=True),
        open=Count("pk", filter=Q(status__in=MeterRead.OPEN), distinct=True),
        oldest=Min("status_at", filter=NEEDS_PERSON),
    )
    return Tile(
        label="Metering",
        url=reverse("metering:list"),
        big=counts["needs"],
        small="need a person",
        foot=f"{counts['open']} being read",
        oldest_at=counts["oldest"],
    )


def inbox(user: User, *, only_mine: bool) -> list[InboxGroup]:
    """The desk's work by reason, worst first (two queries a group)."""
    mine = Q(assigned_to=user) if only_mine else Q()
    groups = [
        _reads(
            "Failed reads",
            "The service could not read these meters; its sentence says why.",
            OPEN_FAILURE & mine,
            "Ask the meter again, correct its particulars, or set it aside.",
            edge="bad",
            status=Status.FAILED,
        ),
        _reads(
            "Readings to check",
            "A check could not vouch for these readings.",
            Q(status=Status.TO_CHECK) & mine,
            "They are not used before somebody accepts them.",
            edge="look",
            status=Status.TO_CHECK,
        ),
    ]
    if not only_mine:
        groups += [_alarms(), _aside()]
    return [group for group in groups if group.items]


def _count(found: list[InboxItem], rows: QuerySet[Any]) -> int:
    return len(found) if len(found) < INBOX_LINES else rows.count()


def _reads(
    title: str, lead: str, which: Q, consequence: str, *, edge: str, status: str
) -> InboxGroup:
    rows = MeterRead.objects.filter(which).select_related("assigned_to", "meter").defer(*SECRETS)
    found = [_read_item(row, consequence) for row in rows.order_by("status_at")[:INBOX_LINES]]
    url = f"{reverse('metering:list')}?status={status}"
    return InboxGroup(title, lead, found, edge, _count(found, rows), url)


def _read_item(row: MeterRead, consequence: str) -> InboxItem:
    return InboxItem(
        reference=row.reference,
        url=row.get_absolute_url(),
        text=f"{row.meter.serial_number or row.meter.mpan}: {row.why}",
        source=f"MPAN {row.meter.mpan}, {row.remote_address}",
        tag=(row.tag, row.status_label),
        consequence=consequence,
        age_at=row.status_at,
        who=str(row.assigned_to) if row.assigned_to else "",
    )


def _alarms() -> InboxGroup:
    rows = MeterAlarm.objects.filter(acknowledged_at=None).select_related("meter")
    found = [
        InboxItem(
            reference=row.meter.serial_number or row.meter.mpan,
            url=reverse("metering:acknowledge", args=[row.pk]),
            text=row.text,
            source=f"MPAN {row.meter.mpan}",
            tag=("look", row.get_kind_display()),
            consequence="Write what you did or know.",
            age_at=row.raised_at,
        )
        for row in rows.defer("meter__password").order_by("raised_at")[:INBOX_LINES]
    ]
    url = f"{reverse('metering:alarms')}?status=open"
    lead = "Tamper, clocks, serial numbers and gaps."
    return InboxGroup("Alarms to acknowledge", lead, found, "look", _count(found, rows), url)


def _aside() -> InboxGroup:
    rows = Delivery.objects.filter(state=Delivery.State.ASIDE).select_related("read")
    found = [
        InboxItem(
            reference=row.read.reference if row.read else row.their_reference[:13] or "unknown",
            url=reverse("metering:replay", args=[row.pk]),
            text=row.reason,
            source=f"{row.size:,} bytes from {row.sender or 'a fetched result'}",
            tag=(row.tag, row.get_state_display()),
            consequence="Replay it for the read it belongs to.",
            age_at=row.received_at,
        )
        for row in rows.defer("body", "unreadable", "read__token").order_by("received_at")[
            :INBOX_LINES
        ]
    ]
    url = f"{reverse('metering:deliveries')}?status=aside"
    lead = "Results that are not about the meter that was asked."
    return InboxGroup("Deliveries kept aside", lead, found, "look", _count(found, rows), url)


def search(text: str, user: User) -> list[Hit]:
    """Reads, and meters, that any identifier names (two queries)."""
    return [*_meter_hits(text), *_read_hits(text)]


def _read_hits(text: str) -> Iterator[Hit]:
    rows = MeterRead.objects.select_related("meter").defer(*SECRETS)
    for row in rows.filter(matches(text))[:HITS]:
        yield Hit(
            reference=row.reference,
            url=row.get_absolute_url(),
            title=row.title,
            source=f"MPAN {row.meter.mpan}, {row.remote_address}",
            tag=(row.tag, row.status_label),
        )


def _meter_hits(text: str) -> Iterator[Hit]:
    compact = "".join(text.split())
    named = Q(serial_number__icontains=compact) | Q(remote_address__icontains=compact)
    if compact.isdigit() and len(compact) >= 4:
        named |= Q(mpan__startswith=compact)
    for row in Meter.objects.defer("password").filter(named)[:HITS]:
        yield Hit(
            reference=row.serial_number or row.mpan,
            url=row.get_absolute_url(),
            title=f"Meter {row.serial_number or row.mpan}",
            source=f"MPAN {row.mpan}, {row.remote_address}",
            tag=("good", "Active") if row.active else ("idle", "Not active"),
        )


def try_again(call: PartnerCall, user: User) -> str:
    """Where to have the meter of the call's read asked again; empty when it may not be."""
    read = MeterRead.objects.filter(reference=call.reference).defer("token").first()
    if read is None or read.status in MeterRead.OPEN or not user.has_perm(ASK):
        return ""
    return reverse("metering:again", args=[read.reference])


def stop_mail(email: Email, *, by: Actor, now: datetime) -> bool:
    """Nothing to stop: this desk writes no e-mails."""
    return False
