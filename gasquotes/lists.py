"""The gas quotes desk as lists: quotes, its place on home, and search.

Made for a million quotes: searches say what they look for by its form and use an index, sorting is
offered where an index helps, and the counts of long lists are kept for a minute.
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django import forms
from django.contrib import messages
from django.core.cache import cache
from django.db.models import Count, Min, Q, QuerySet
from django.http import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import casework, postcode
from core.desks import Hit, InboxGroup, InboxItem, Tile
from core.listing import KEPT_FOR, LONG, ListPage
from core.models import PartnerCall, User
from core.templatetags.portal import age, status_tag, when
from core.workflow import actor_for
from gasquotes import budget, looks
from gasquotes.messages import normalise_mprn
from gasquotes.models import DECIDE, LOOK_UP, Quote, QuoteOrder

VIEW = "gasquotes.view_quote"
Status = Quote.Status
HITS = 20
INBOX_LINES = 10
ORDERS = 30
SHORTEST_MPRN = 4  # digits that are taken for the beginning of an MPRN
SOON = timedelta(hours=24)
AGAIN = (Status.REVIEW, Status.READY)
HEAVY = ("priced", "findings", "customer_reason")


# ---- The list ----------------------------------------------------------------------------------


class QuoteTable(tables.Table):
    """Columns of the list of quotes."""

    reference = tables.Column("Reference", order_by=("created_at", "pk"))
    name = tables.Column("Customer", attrs={"td": {"class": "name"}})
    site = tables.Column("Supply point", orderable=False)
    status = tables.Column("Status", orderable=False)
    why = tables.Column("Why it is there", orderable=False, attrs={"td": {"class": "wide"}})
    year_cost = tables.Column("First year", orderable=False, attrs={"td": {"class": "num"}})
    assigned_to = tables.Column("With", orderable=False, empty_values=())

    class Meta:
        order_by = "-reference"

    def render_reference(self, record: Quote) -> SafeString:
        """Reference as the link, with the day of receipt below it."""
        return format_html(
            '<a class="ref" href="{}">{}</a><span class="source">{}</span>',
            record.get_absolute_url(),
            record.reference,
            when(record.created_at),
        )

    def render_site(self, record: Quote) -> SafeString:
        """The MPRN with the postcode below it, or the address that was asked for."""
        mprn = record.mprn or record.asked_mprn
        if not mprn:
            return format_html("{}", record.site)
        rest = record.postcode or record.asked_postcode
        return format_html('<span class="mono">{}</span><span class="source">{}</span>', mprn, rest)

    def render_status(self, record: Quote) -> SafeString:
        """The status as a tag, with how it ended."""
        ended = record.get_closed_as_display()
        below = format_html('<span class="source">{}</span>', ended) if ended else ""
        return format_html("{}{}", status_tag(record), below)

    def render_year_cost(self, value: Any, record: Quote) -> SafeString:
        """Including VAT, with the AQ below it."""
        aq = looks.kwh(record.aq_kwh)
        return format_html('{}<span class="source">{}</span>', looks.pounds(value), aq)

    def render_assigned_to(self, record: Quote) -> SafeString:
        """Who looks after it, with how long it has stood like this below."""
        who = record.assigned_to or "Nobody"
        return format_html('{}<span class="source">{}</span>', who, age(record.status_at))


class QuoteFilters(django_filters.FilterSet):
    """Filters of the list of quotes; each uses an index."""

    q = django_filters.CharFilter(label="Reference, MPRN, postcode, e-mail or name", method="find")
    who = django_filters.ChoiceFilter(
        label="With", empty_label="Anybody", choices=(), method="looked_after_by"
    )
    order = django_filters.ChoiceFilter(label="Ordered together", empty_label="Any", choices=())
    since = django_filters.DateFilter(
        label="Received from",
        method="received_since",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = str(self.data.get("order", ""))
        self.filters["who"].extra["choices"] = lambda: who_choices(self.request)
        self.filters["order"].extra["choices"] = lambda: order_choices(chosen)

    def find(self, rows: QuerySet[Any], _: str, text: str) -> QuerySet[Any]:
        """By anything that names a quote."""
        return rows.filter(matches(text))

    def looked_after_by(self, rows: QuerySet[Any], _: str, who: str) -> QuerySet[Any]:
        """Given to a person, or to nobody."""
        return rows.filter(assigned_to=None if who == "nobody" else int(who))

    def received_since(self, rows: QuerySet[Any], _: str, day: Any) -> QuerySet[Any]:
        """From the beginning of a day of London."""
        return rows.filter(created_at__gte=timezone.make_aware(datetime.combine(day, time.min)))


def who_choices(request: Any) -> list[tuple[str, str]]:
    """Nobody, and the people who look after quotes, oneself first."""
    people = list(
        User.objects.filter(is_active=True, groups__permissions__codename="decide_quote").distinct()
    )
    me = getattr(request, "user", None)
    people.sort(key=lambda one: (one != me, str(one)))
    named = [(str(one.pk), f"{one} (you)" if one == me else str(one)) for one in people]
    return [("nobody", "Nobody"), *named]


def order_choices(chosen: str) -> list[tuple[str, str]]:
    """The latest orders of many quotes, and the one that is chosen."""
    latest = list(QuoteOrder.objects.defer("points")[:ORDERS])
    if chosen.isdecimal() and len(chosen) < 18 and int(chosen) not in {row.pk for row in latest}:
        latest += QuoteOrder.objects.defer("points").filter(pk=int(chosen))
    return [(str(row.pk), f"{row.title}, {row.at:%-d %b %Y}") for row in latest]


def matches(text: str) -> Q:
    """Quotes that this text names; its form says what it is, so that an index can answer."""
    text = text.strip()
    compact = normalise_mprn(text)
    if text.upper().startswith("GQ-"):
        return _starts("reference", text.upper())
    if compact.isdecimal() and compact.isascii() and len(compact) >= SHORTEST_MPRN:
        return _starts("mprn", compact) | _starts("asked_mprn", compact)
    if postcode.is_valid_form(text):
        known = postcode.normalise(text)
        return Q(postcode=known) | Q(asked_postcode=known)
    if "@" in text:
        return Q(email__in={text, text.lower()})
    return Q(pk__in=Quote.objects.filter(name__icontains=text).order_by().values("pk"))


def _starts(field: str, text: str) -> Q:
    """Begins with the text; the range lets every database use its index for it."""
    span = Q(**{f"{field}__gte": text, f"{field}__lte": text + "9" * 12})
    return span & Q(**{f"{field}__startswith": text})


class QuoteList(ListPage):
    """The list page of the desk."""

    model = Quote
    table_class = QuoteTable
    filterset_class = QuoteFilters
    permission = VIEW
    template_name = "gasquotes/list.html"
    page_title = "Gas quotes"
    page_lead = "From an MPRN or an address to a priced quote."
    status_labels = tuple((status.value, str(status.label)) for status in Status)
    bulk: ClassVar[tuple[dict[str, Any], ...]] = (
        {"value": "assign", "label": "Assign to me", "permission": DECIDE, "primary": True},
        {"value": "give_back", "label": "Assign to nobody", "permission": DECIDE},
        {"value": "csv", "label": "Download these as CSV"},
    )
    empty: ClassVar[dict[str, str]] = {
        "title": "No quotes here",
        "text": "No quote has this status or fits these filters.",
        "url": "?",
        "label": "Show all quotes",
    }
    csv_name = "gas-quotes"

    def get_queryset(self) -> QuerySet[Any]:
        """Every quote with who looks after it, without what only its page shows."""
        return Quote.objects.select_related("assigned_to").defer(*HEAVY)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The list, with the way to a new quote and the budget of look-ups."""
        may = self.request.user.has_perm(LOOK_UP)
        new = {"url": reverse("gasquotes:enquire"), "label": "New quote"}
        return {
            **super().get_context_data(**kwargs),
            "primary_action": new if may else None,
            "may_look_up": may,
            "stands": budget.standing(now=timezone.now()),
        }

    def bulk_assign(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Give the chosen quotes to the person who asks."""
        self._assign(rows, self.request.user)
        return None

    def bulk_give_back(self, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Give the chosen quotes to nobody."""
        self._assign(rows, None)
        return None

    def _assign(self, rows: QuerySet[Any], to: Any) -> None:
        by, chosen = actor_for(self.request.user), list(rows)
        for quote in chosen:
            casework.assign(quote, to=to, by=by, now=timezone.now())
        many = "1 quote" if len(chosen) == 1 else f"{len(chosen)} quotes"
        messages.success(self.request, f"{many} given to {to or 'nobody'}.")

    def csv_header(self) -> list[str]:
        """Columns of the CSV."""
        return [
            "reference", "status", "closed as", "why", "customer", "e-mail", "MPRN", "postcode",
            "AQ kWh", "start", "months", "payment", "broker", "uplift p/kWh", "first year £",
            "contract £", "received", "issued", "valid until", "with",
        ]  # fmt: skip

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """One line a quote."""
        for row in rows.iterator(chunk_size=500):
            yield [
                row.reference, row.status_label, row.get_closed_as_display(), row.why, row.name,
                row.email, row.mprn or row.asked_mprn, row.postcode or row.asked_postcode,
                row.aq_kwh, row.start, row.months, row.get_payment_display(), row.broker,
                row.broker_uplift, row.year_cost, row.contract_cost, _iso(row.created_at),
                _iso(row.issued_at), _iso(row.valid_until), row.assigned_to or "",
            ]  # fmt: skip


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


# ---- Home --------------------------------------------------------------------------------------


def tile(user: User) -> Tile:
    """The desk on the home page and in the menu of every page (one query)."""
    counts = _counts()
    return Tile(
        label="Gas quotes",
        url=reverse("gasquotes:list"),
        big=counts["needs"],
        small="need a person",
        foot=f"{counts['open']:,} with customers or the service",
        oldest_at=counts["oldest"],
    )


def _counts() -> dict[str, Any]:
    """What waits for whom; kept for a minute where much does."""
    counts: dict[str, Any] | None = cache.get(TILE)
    if counts is None:
        needs = Q(status__in=Quote.NEEDS_PERSON)
        counts = Quote.objects.filter(status__in=Quote.OPEN).aggregate(
            needs=Count("pk", filter=needs),
            open=Count("pk", filter=~needs),
            oldest=Min("status_at", filter=needs),
        )
        if counts["needs"] + counts["open"] > LONG:
            cache.set(TILE, counts, KEPT_FOR)
    return counts


TILE = "gas-quotes-tile"


def inbox(user: User, *, only_mine: bool) -> list[InboxGroup]:
    """The desk's work by reason, worst first (two queries a group at most)."""
    mine = Q(assigned_to=user) if only_mine else Q()
    groups = [
        _group(
            "Quotes to review",
            "The portal could not price these by itself; each says why.",
            Q(status=Status.REVIEW) & mine,
            "No quote leaves before somebody decides.",
            Status.REVIEW,
        ),
        _group(
            "More of the address is needed",
            "The service found no supply point, or more than one.",
            Q(status=Status.ADDRESS) & mine,
            "The enquiry waits until somebody asks the customer.",
            Status.ADDRESS,
        ),
        _group(
            "Ready to issue",
            "Priced; the customer has not got it yet.",
            Q(status=Status.READY) & mine,
            "The price is not binding before it is issued.",
            Status.READY,
        ),
        _group(
            "Lapse within a day",
            "Issued, and the customer has not answered.",
            Q(status=Status.ISSUED, due_at__lte=timezone.now() + SOON) & mine,
            "It lapses by itself and can then not be accepted.",
            Status.ISSUED,
        ),
    ]
    return [group for group in groups if group.items]


def _group(title: str, lead: str, which: Q, consequence: str, status: str) -> InboxGroup:
    rows = Quote.objects.filter(which).select_related("assigned_to").defer(*HEAVY)
    oldest_first = rows.order_by("created_at", "pk")[:INBOX_LINES]
    found = [_item(row, consequence) for row in oldest_first]
    count = len(found) if len(found) < INBOX_LINES else rows.count()
    url = f"{reverse('gasquotes:list')}?status={status}"
    edge = "" if status == Status.READY else "look"
    return InboxGroup(title, lead, found, edge, count, url)


def _item(row: Quote, consequence: str) -> InboxItem:
    return InboxItem(
        reference=row.reference,
        url=row.get_absolute_url(),
        text=f"{row.name}: {row.why}",
        source=row.site,
        tag=(row.tag, row.status_label),
        consequence=consequence,
        age_at=row.status_at,
        who=str(row.assigned_to) if row.assigned_to else "",
    )


def search(text: str, user: User) -> list[Hit]:
    """Quotes that any identifier names (one query)."""
    rows = Quote.objects.defer(*HEAVY).filter(matches(text))
    return [
        Hit(
            reference=row.reference,
            url=row.get_absolute_url(),
            title=row.name,
            source=row.site,
            tag=(row.tag, row.status_label),
        )
        for row in rows[:HITS]
    ]


def try_again(call: PartnerCall, user: User) -> str:
    """Where to have a quote's supply point looked up again; empty when it may not be."""
    quote = Quote.objects.filter(reference=call.reference).defer(*HEAVY).first()
    if quote is None or quote.status not in AGAIN or not user.has_perm(LOOK_UP):
        return ""
    return reverse("gasquotes:again", args=[quote.reference])
