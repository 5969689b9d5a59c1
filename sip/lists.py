"""The safe isolation desk as lists: its list page, its place on home, and search.

Nothing about health or risks is listed, searched or exported here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

import django_filters
import django_tables2 as tables
from django.db.models import Case, Count, Min, Q, QuerySet, When
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import mpan
from core.desks import Hit, InboxGroup, InboxItem, Tile
from core.listing import ListPage
from core.models import Email, PartnerCall, User
from core.templatetags.portal import age, status_tag
from core.workflow import Actor
from sip import actions
from sip.models import ADD, CHANGE, OWN, VIEW, Job, KeyStop

Status = Job.Status
INBOX_LINES = 10
HITS = 20
SHORTEST_MPAN = 4
ORDER = (
    *(Status.UNKNOWN, Status.REFUSED, Status.CHECK, Status.SENDING),
    *(Status.IN_PROGRESS, Status.PLANNED, Status.ACCEPTED, Status.CANCELLED),
)
OWN_ORDER = (
    *(Status.PLANNED, Status.IN_PROGRESS, Status.REFUSED, Status.CHECK),
    *(Status.SENDING, Status.UNKNOWN, Status.ACCEPTED, Status.CANCELLED),
)
OWN_LABELS = tuple((status.value, str(status.label)) for status in OWN_ORDER)


def day_words(day: date, today: date) -> str:
    """Say a planned day: "today", "tomorrow", else like "Mon 30 Nov"."""
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get((day - today).days)
    year = "" if day.year == today.year else f" {day.year}"
    return near or f"{day:%a} {day.day}\N{NO-BREAK SPACE}{day:%b}{year}"


def is_late(job: Job, today: date) -> bool:
    """Whether the planned day has passed and the worksheet is not handed in."""
    late: bool = job.status in Job.WORKSHEET_OPEN and job.planned_date < today
    return late


class JobTable(tables.Table):
    """Columns of the list of jobs."""

    reference = tables.Column("Reference")
    contact_name = tables.Column("Site", attrs={"td": {"class": "name"}})
    status = tables.Column("Status")
    why = tables.Column("Why it is there", orderable=False, attrs={"td": {"class": "wide"}})
    engineer = tables.Column(
        "Engineer", order_by=("engineer__last_name", "engineer__pk"), default="Nobody yet"
    )
    planned_date = tables.Column("Planned", attrs={"td": {"class": "nowrap"}})
    status_at = tables.Column("Age", order_by="-status_at", attrs={"td": {"class": "num"}})

    class Meta:
        order_by = "-created_at"
        attrs: ClassVar[dict[str, str]] = {}

    def render_reference(self, record: Job) -> SafeString:
        """Reference as the link, with the MPAN below it."""
        return format_html(
            '<a class="ref" href="{}">{}</a><span class="source mono nowrap">{}</span>',
            record.get_absolute_url(),
            record.reference,
            record.mpan,
        )

    def render_contact_name(self, record: Job) -> SafeString:
        """Who is on site, with the address below."""
        return format_html('{}<span class="source">{}</span>', record.contact_name, record.site)

    def render_status(self, record: Job) -> SafeString:
        """The status as a tag."""
        return status_tag(record)

    def render_engineer(self, value: User) -> str:
        """Who goes there."""
        return str(value)

    def render_planned_date(self, record: Job) -> SafeString:
        """The day of the visit; marked when it has passed and nothing was handed in."""
        today = timezone.localdate()
        said = day_words(record.planned_date, today)
        if is_late(record, today):
            return format_html(
                '<span class="overdue">{}<span class="source overdue">late</span></span>', said
            )
        return format_html("{}", said)

    def render_status_at(self, record: Job) -> str:
        """How long it has stood like this."""
        return age(record.status_at)


class OwnJobTable(tables.Table):
    """An engineer's own jobs, in two columns that fit a phone; what is to do comes first."""

    contact_name = tables.Column("Site", attrs={"td": {"class": "name"}})
    planned_date = tables.Column("Planned")

    def render_contact_name(self, record: Job) -> SafeString:
        """Who is on site as the link, with address and reference below."""
        return format_html(
            '<a href="{}">{}</a><span class="source">{}</span><span class="source mono">{}</span>',
            record.get_absolute_url(),
            record.contact_name,
            record.site,
            record.reference,
        )

    def render_planned_date(self, record: Job) -> SafeString:
        """The day of the visit, with the status below it."""
        today = timezone.localdate()
        said = day_words(record.planned_date, today)
        late = format_html(' <span class="overdue">late</span>') if is_late(record, today) else ""
        return format_html("<p>{}{}</p>{}", said, late, status_tag(record))


PLANNED = (
    ("late", "Late"),
    ("today", "Today"),
    ("week", "The next 7 days"),
)
WHOSE = (("nobody", "Nobody yet"), ("me", "Me"))


class JobFilters(django_filters.FilterSet):
    """Filters of the list of jobs."""

    q = django_filters.CharFilter(label="Search in this list", method="search")
    engineer = django_filters.ChoiceFilter(
        label="Engineer", empty_label="Anyone", choices=(), method="of_engineer"
    )
    planned = django_filters.ChoiceFilter(
        label="Planned", empty_label="Any day", choices=PLANNED, method="planned_for"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.request.user.has_perm(VIEW):
            del self.filters["engineer"]
            return
        people = [(str(user.pk), str(user)) for user in actions.engineers().values()]
        self.filters["engineer"].extra["choices"] = [WHOSE[0], *people]

    def search(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names a job."""
        return rows.filter(matches(text))

    def of_engineer(self, rows: QuerySet[Any], _: str, who: str) -> QuerySet[Any]:
        """One engineer's, or nobody's."""
        return rows.filter(engineer=None if who == "nobody" else int(who))

    def planned_for(self, rows: QuerySet[Any], _: str, when_: str) -> QuerySet[Any]:
        """By the planned day."""
        today = timezone.localdate()
        if when_ == "late":
            return rows.filter(planned_date__lt=today, status__in=Job.WORKSHEET_OPEN)
        last = today if when_ == "today" else today + timedelta(days=7)
        return rows.filter(planned_date__range=(today, last))


def matches(text: str) -> Q:
    """Jobs that a text names; nothing about health or risks is searched."""
    text = text.replace("\0", "").strip()
    compact = "".join(text.split())
    found = (
        Q(reference__icontains=text)
        | Q(contact_name__icontains=text)
        | Q(address__icontains=text)
        | Q(town__icontains=text)
        | Q(post_code__icontains=text)
        | Q(post_code__istartswith=f"{compact[:-3]} {compact[-3:]}")
        | Q(their_reference__iexact=text)
        | Q(scenario__iexact=text)
        | Q(their_message__icontains=text)
    )
    if compact.isdigit() and len(compact) >= SHORTEST_MPAN:
        found |= Q(mpan__startswith=mpan.parse(compact) if mpan.is_valid(compact) else compact)
    return found


class JobList(ListPage):
    """The list page of the desk; for engineers, their own jobs."""

    model = Job
    table_class = JobTable
    filterset_class = JobFilters
    template_name = "sip/list.html"
    permission = VIEW
    page_title = "Isolation jobs"
    page_lead = "Each visit becomes exactly one market message."
    status_labels = tuple((status.value, str(status.label)) for status in ORDER)
    bulk: ClassVar[tuple[dict[str, Any], ...]] = (
        {"label": "Give to an engineer", "value": "plan", "primary": True, "permission": CHANGE},
        {"label": "Download these as CSV", "value": "csv"},
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No jobs here",
        "text": "No job has this status or fits these filters. Create one, or import a list.",
        "url": "?",
        "label": "Show all jobs",
    }
    csv_name = "isolation-jobs"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let engineers in as well; they see only their own."""
        if not request.user.has_perm(VIEW):
            self.permission = OWN  # type: ignore[misc]
            self.table_class = OwnJobTable  # type: ignore[misc]
            self.status_labels = OWN_LABELS  # type: ignore[misc]
            self.bulk = ()  # type: ignore[misc]
            self.page_title = "My jobs"  # type: ignore[misc]
            self.page_lead = "Open a job to fill in its worksheet."  # type: ignore[misc]
            self.empty = {  # type: ignore[misc]
                "title": "No jobs for you here",
                "text": "The office gives you jobs; they appear here by themselves.",
                "url": "?",
                "label": "Show all my jobs",
            }
        return super().dispatch(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Any]:
        """The jobs this person may see, with who goes there."""
        rows = Job.objects.seen_by(self.request.user).select_related("engineer")
        if self.permission == VIEW:
            return rows
        to_do = Case(When(status__in=Job.WORKSHEET_OPEN, then=0), default=1)
        return rows.order_by(to_do, "planned_date", "pk")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The list, the stop that holds, and a button for those who may create jobs."""
        context = super().get_context_data(**kwargs)
        user = self.request.user
        if user.has_perm(ADD):
            context["primary_action"] = {"label": "Create a job", "url": reverse("sip:add")}
        if user.has_perm(VIEW):
            context["key_stop"] = KeyStop.current()
        else:
            context |= {"own": True, "today": timezone.localdate()}
            context["csv_url"] = ""
        return context

    def bulk_plan(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Choose who goes to the chosen sites; the form asks who and when."""
        chosen = urlencode([("job", pk) for pk in rows.values_list("pk", flat=True)])
        return redirect(f"{reverse('sip:plan-many')}?{chosen}")

    def csv_header(self) -> list[str]:
        """Columns without anything about health or risks."""
        return [
            "reference", "status", "why", "job id", "MPAN", "supplier", "person on site", "address",
            "town", "postcode", "planned", "engineer", "handed in", "how it ended", "scenario",
            "their request id", "accepted",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a job."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.reference, row.status_label, row.why, row.job_id, row.mpan, row.supplier_mpid,
                row.contact_name, row.address, row.town, row.post_code, row.planned_date,
                str(row.engineer or ""), _iso(row.handed_in_at), row.outcome, row.scenario,
                row.their_reference, _iso(row.accepted_at),
            ]  # fmt: skip


def _iso(moment: Any) -> str:
    return moment.isoformat() if moment else ""


# ---- Home ------------------------------------------------------------------------------------


def tile(user: User) -> Tile:
    """The desk on the home page: for an engineer, their own jobs (one query)."""
    office = user.has_perm(VIEW)
    waits = Q(status__in=Job.NEEDS_PERSON if office else Job.WORKSHEET_OPEN)
    counts = Job.objects.seen_by(user).aggregate(
        waits=Count("pk", filter=waits),
        unknown=Count("pk", filter=Q(status=Status.UNKNOWN)),
        planned=Count("pk", filter=Q(status=Status.PLANNED)),
        oldest=Min("status_at", filter=waits),
    )
    unknown = f"{counts['unknown']} unknown" if office and counts["unknown"] else ""
    return Tile(
        label="Safe isolation",
        url=reverse("sip:list"),
        big=counts["waits"],
        small="need a person" if office else "for you to do",
        foot=unknown or f"{counts['planned']} planned",
        oldest_at=counts["oldest"],
    )


def inbox(user: User, *, only_mine: bool) -> list[InboxGroup]:
    """The desk's work by reason, worst first (two queries a group)."""
    if not user.has_perm(VIEW):
        groups = [_own_group(user)]
    else:
        mine = Q(assigned_to=user) if only_mine else Q()
        groups = [*_stop_group(), *(_group(user, mine, each) for each in REASONS)]
    return [group for group in groups if group.items]


@dataclass(frozen=True)
class Reason:
    """Why jobs of one status need a person."""

    status: str
    title: str
    lead: str
    consequence: str
    edge: str = "look"


REASONS = (
    Reason(
        status=Status.UNKNOWN,
        title="Isolation messages: nobody knows whether they arrived",
        lead="Nothing is sent again by itself.",
        consequence="Ring the party, then record what they say.",
        edge="bad",
    ),
    Reason(
        status=Status.REFUSED,
        title="Isolation messages refused",
        lead="The party took nothing of these.",
        consequence="Correct the worksheet, then check and send it again.",
    ),
    Reason(
        status=Status.CHECK,
        title="Isolation worksheets to check",
        lead="The engineers are done.",
        consequence="Nothing is sent until somebody has checked it.",
    ),
)


def _stop_group() -> Iterator[InboxGroup]:
    """The party refused our key: above everything else."""
    stop = KeyStop.current()
    if stop is None:
        return
    url = reverse("sip:key")
    item = InboxItem(
        reference="Key refused",
        url=url,
        text=stop.sentence,
        source=f"HTTP {stop.http_status}",
        tag=("bad", "Stopped"),
        consequence="Messages wait until a person says that the key is fixed.",
        age_at=stop.since,
    )
    lead = "Every isolation message waits."
    yield InboxGroup("Safe isolation is stopped", lead, [item], "bad", 1, url)


def _group(user: User, mine: Q, reason: Reason) -> InboxGroup:
    rows = Job.objects.seen_by(user).filter(mine, status=reason.status)
    found = [
        InboxItem(
            reference=row.reference,
            url=row.get_absolute_url(),
            text=f"{row.contact_name}: {row.why}",
            source=f"{row.mpan}, {row.post_code}",
            tag=(row.tag, row.status_label),
            consequence=reason.consequence,
            age_at=row.status_at,
            overdue=reason.status == Status.UNKNOWN,
            who=str(row.assigned_to) if row.assigned_to else "",
        )
        for row in rows.select_related("assigned_to").order_by("status_at")[:INBOX_LINES]
    ]
    count = len(found) if len(found) < INBOX_LINES else rows.count()
    url = f"{reverse('sip:list')}?status={reason.status}"
    return InboxGroup(reason.title, reason.lead, found, reason.edge, count, url)


def _own_group(user: User) -> InboxGroup:
    """An engineer's own open jobs, by the day they are planned for."""
    today = timezone.localdate()
    rows = Job.objects.seen_by(user).filter(status__in=Job.WORKSHEET_OPEN)
    found = [
        InboxItem(
            reference=row.reference,
            url=row.get_absolute_url(),
            text=f"{row.contact_name}, {row.site}",
            source=f"Planned {day_words(row.planned_date, today)}",
            tag=(row.tag, row.status_label),
            consequence="Fill in the worksheet and hand it in.",
            age_at=row.status_at,
            overdue=is_late(row, today),
            who=str(user),
        )
        for row in rows.order_by("planned_date", "pk")[:INBOX_LINES]
    ]
    count = len(found) if len(found) < INBOX_LINES else rows.count()
    lead = "Planned for you, or begun."
    return InboxGroup("Your isolation jobs", lead, found, "", count, reverse("sip:list"))


def search(text: str, user: User) -> list[Hit]:
    """Jobs that any identifier names (one query)."""
    return [
        Hit(
            reference=row.reference,
            url=row.get_absolute_url(),
            title=row.title,
            source=f"{row.mpan}, {row.site}",
            tag=(row.tag, row.status_label),
        )
        for row in Job.objects.seen_by(user).filter(matches(text))[:HITS]
    ]


def try_again(call: PartnerCall, user: User) -> str:
    """A market message is never sent again from the log of calls."""
    return ""


def stop_mail(email: Email, *, by: Actor, now: Any) -> bool:
    """Nothing to stop: this desk writes no e-mails."""
    return False
