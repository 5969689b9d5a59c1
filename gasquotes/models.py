"""The gas quotes desk's rows: quotes, look-ups, price books, portfolios, bulk runs and the budget.

A quote follows TRANSITIONS alone; see docs/workflows.md for the picture. Look-ups, documents and
published price books are written once; whoever needs another makes another.
"""

import uuid
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from core import queue
from core.models import History, User
from core.workflow import Case, Transition, Who
from gasquotes import pricing, rules
from gasquotes.messages import Filter, SupplyPoint

DECIDE = "gasquotes.decide_quote"
LOOK_UP = "gasquotes.look_up_quote"
PUBLISH = "gasquotes.publish_pricebook"
ADDRESS_FIELDS = (
    "house_no",
    "sub_building_name",
    "street",
    "town",
    "county",
    "country",
    "dependent_street",
    "dependent_local",
)
PAYMENTS = [(each.value, each.words) for each in pricing.Payment]
LENGTHS_OF_CONTRACT = [(months, f"{months} months") for months in pricing.MONTHS]
BANDS = [(each.value, each.words) for each in rules.Band]
SECTORS = [(each.value, each.words) for each in rules.Sector]


# ---- Prices ------------------------------------------------------------------------------------


class Published(TypeError):
    """Code tried to change prices that were published: a new book is needed."""


class PriceBookQuerySet(models.QuerySet[Any]):
    """Refuses to change or delete what was published."""

    def update(self, **fields: Any) -> int:
        """Update drafts; refuse when a published book is among them."""
        self._refuse()
        return super().update(**fields)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete drafts; refuse when a published book is among them."""
        self._refuse()
        return super().delete()

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: Any = None
    ) -> int:
        """Update drafts; refuse when a published book is among them."""
        objs = list(objs)
        self.filter(pk__in=[each.pk for each in objs])._refuse()
        return super().bulk_update(objs, fields, batch_size=batch_size)

    def _refuse(self) -> None:
        if self.order_by().filter(self.model.PUBLISHED).exists():
            raise Published("Published prices do not change; publish a new book.")


class PriceQuerySet(PriceBookQuerySet):
    """Refuses to add to, change or empty a published book."""

    def bulk_create(self, objs: Iterable[Any], **rest: Any) -> list[Any]:  # type: ignore[override]
        """Add prices to drafts."""
        objs = list(objs)
        books = PriceBook.objects.filter(pk__in={each.book_id for each in objs})
        books._refuse()
        return super().bulk_create(objs, **rest)


class OncePublished(models.Model):
    """A row that stands for ever once its price book is published."""

    PUBLISHED: ClassVar[Q]

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save a draft; refuse what is published."""
        self._refuse()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete a draft; refuse what is published."""
        self._refuse()
        return super().delete(*args, **kwargs)

    def _refuse(self) -> None:
        rows: Any = type(self)._default_manager.filter(pk=self.pk)
        rows._refuse()


class PriceBook(OncePublished):
    """A version of our prices for a range of days; published once, then unchangeable."""

    PUBLISHED = Q(published_at__isnull=False)

    version = models.CharField(max_length=20, unique=True, help_text="such as 2026-11")
    valid_from = models.DateField("first day")
    valid_to = models.DateField("last day")
    exit_fee = models.DecimalField(
        "exit fee (£)",
        max_digits=9,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
    )
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    file_name = models.CharField(max_length=100, blank=True, editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    published_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )

    objects = PriceBookQuerySet.as_manager()

    class Meta:
        ordering = ("-valid_from", "-pk")
        permissions = [("publish_pricebook", "Can publish price books")]
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_to__gte=F("valid_from")),
                name="gasquotes_book_ends_after_it_starts",
                violation_error_message="The last day is before the first.",
            ),
        ]

    def __str__(self) -> str:
        return self.version

    def get_absolute_url(self) -> str:
        """The book's page."""
        return reverse("gasquotes:book", args=[self.pk])

    @property
    def is_published(self) -> bool:
        """Whether quotes may be priced with it, and nothing of it changes any more."""
        return self.published_at is not None

    @classmethod
    def on(cls, day: date) -> "PriceBook | None":
        """The published book that is valid on a day, if there is one."""
        books = cls.objects.filter(cls.PUBLISHED, valid_from__lte=day, valid_to__gte=day)
        return books.first()


class Price(OncePublished):
    """What a kind of customer pays: one line of a price book."""

    PUBLISHED = Q(book__published_at__isnull=False)

    book = models.ForeignKey(PriceBook, on_delete=models.CASCADE, related_name="prices")
    ldz = models.CharField("LDZ", max_length=2)
    band = models.CharField("AQ band", max_length=6, choices=BANDS)
    sector = models.CharField("market sector", max_length=1, choices=SECTORS)
    months = models.PositiveSmallIntegerField("contract length", choices=LENGTHS_OF_CONTRACT)
    payment = models.CharField("payment method", max_length=20, choices=PAYMENTS)
    unit_rate = models.DecimalField("unit rate (p/kWh)", max_digits=9, decimal_places=4)
    standing_charge = models.DecimalField("standing charge (p/day)", max_digits=9, decimal_places=4)

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ("book", "ldz", "band", "sector", "months", "payment")
        constraints = [
            models.UniqueConstraint(
                fields=["book", "ldz", "band", "sector", "months", "payment"],
                name="gasquotes_one_price_a_kind",
            ),
            models.CheckConstraint(
                condition=Q(unit_rate__gt=0, standing_charge__gte=0),
                name="gasquotes_price_above_zero",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ldz} {self.band} {self.sector} {self.months} {self.payment}"

    def _refuse(self) -> None:
        super()._refuse()
        PriceBook.objects.filter(pk=self.book_id)._refuse()


class Levy(models.Model):
    """A dated figure of reference: VAT rates, the climate change levy on gas, the VAT threshold."""

    class Kind(models.TextChoices):
        """What the figure is: VAT as 0.05, the levy in £/kWh, the threshold in kWh a day."""

        VAT_REDUCED = "vat_reduced", "VAT, reduced rate"
        VAT_STANDARD = "vat_standard", "VAT, standard rate"
        CCL_GAS = "ccl_gas", "Climate change levy on gas (£/kWh)"
        VAT_THRESHOLD = "vat_threshold_kwh_day", "Reduced VAT up to (kWh a day)"

    kind = models.CharField(max_length=24, choices=Kind)
    valid_from = models.DateField()
    value = models.DecimalField(max_digits=12, decimal_places=6)
    source = models.CharField(max_length=200)

    class Meta:
        verbose_name_plural = "levies"
        ordering = ("kind", "-valid_from")
        constraints = [
            models.UniqueConstraint(fields=["kind", "valid_from"], name="gasquotes_one_levy_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} from {self.valid_from:%-d %b %Y}"


# ---- Look-ups ----------------------------------------------------------------------------------


class LookUp(History):
    """One answered look-up of a supply point: every field as it came, with time and source.

    The six quantities stay exact as text in the unit of that time; the figures in kWh beside them
    are for lists and sums, prices are worked out from the text.
    """

    at = models.DateTimeField(db_index=True)
    asked = models.JSONField(help_text="the filter as it was sent")
    unit = models.CharField(max_length=3, choices=[(u.value, u.value) for u in rules.Unit])
    raw = models.TextField("reply as it came")
    call = models.ForeignKey(
        "core.PartnerCall", on_delete=models.PROTECT, null=True, related_name="+"
    )
    # The 24 fields of the specification, in its order; an effective date is a day.
    amr_indicator = models.CharField(max_length=3, blank=True)
    country = models.CharField(max_length=3, blank=True)
    county = models.CharField(max_length=3, blank=True)
    csep_id = models.CharField("CSEP", max_length=10, blank=True)
    current_aq_roll_value = models.CharField(max_length=20, blank=True)
    current_formula_year_aq_value = models.CharField(max_length=20, blank=True)
    current_formula_year_soq_value = models.CharField(max_length=20, blank=True)
    current_soq_roll_value = models.CharField(max_length=20, blank=True)
    dependent_local = models.CharField(max_length=40, blank=True)
    dependent_street = models.CharField(max_length=40, blank=True)
    distribution_network_operator = models.CharField(max_length=40, blank=True)
    exit_zone = models.CharField(max_length=10, blank=True)
    house_no = models.CharField(max_length=10, blank=True)
    local_distribution_zone = models.CharField("LDZ", max_length=10, blank=True)
    market_sector_code = models.CharField("market sector", max_length=10, blank=True)
    mprn = models.CharField("MPRN", max_length=50)
    perspective_formula_year_aq_value = models.CharField(max_length=20, blank=True)
    perspective_formula_year_effective_date = models.DateField(null=True, blank=True)
    perspective_formula_year_soq_value = models.CharField(max_length=20, blank=True)
    postcode = models.CharField(max_length=10, blank=True)
    street = models.CharField(max_length=40, blank=True)
    sub_building_name = models.CharField(max_length=40, blank=True)
    town = models.CharField(max_length=40, blank=True)
    installation_number = models.CharField(max_length=40, blank=True)
    # Worked out from them, in kWh a year and kWh a day
    aq_kwh = models.DecimalField("AQ (kWh)", max_digits=24, decimal_places=7, null=True)
    soq_kwh = models.DecimalField("SOQ (kWh)", max_digits=24, decimal_places=7, null=True)
    next_aq_kwh = models.DecimalField("next AQ (kWh)", max_digits=24, decimal_places=7, null=True)
    next_soq_kwh = models.DecimalField("next SOQ (kWh)", max_digits=24, decimal_places=7, null=True)
    held = models.JSONField(default=list, help_text="why it must not be priced by itself")

    class Meta:
        verbose_name = "look-up"
        ordering = ("-at", "-pk")
        indexes = [
            models.Index(fields=["mprn", "-at"]),
            models.Index(fields=["case_label", "case_id", "at"]),
        ]

    def __str__(self) -> str:
        return f"{self.mprn} at {self.at:%-d %b %Y %H:%M}"

    @property
    def point(self) -> SupplyPoint:
        """The supply point as the service described it."""
        return self._point(SupplyPoint.__struct_fields__)

    @property
    def quantities(self) -> rules.Quantities:
        """Its Formula Years in kWh, checked; reads those five columns only."""
        day = "perspective_formula_year_effective_date"
        return rules.quantities(self._point(("mprn", *FORMULA_YEARS, day)), rules.Unit(self.unit))

    def _point(self, names: Iterable[str]) -> SupplyPoint:
        columns = {name: getattr(self, name) for name in names}
        exact = {
            name: Decimal(text) if text else None
            for name, text in columns.items()
            if name in QUANTITIES
        }
        return SupplyPoint(**{**columns, **exact})

    @property
    def asked_filter(self) -> Filter:
        """The filter that was sent."""
        return Filter(**self.asked)


FORMULA_YEARS = (
    "current_formula_year_aq_value",
    "current_formula_year_soq_value",
    "perspective_formula_year_aq_value",
    "perspective_formula_year_soq_value",
)
QUANTITIES = ("current_aq_roll_value", "current_soq_roll_value", *FORMULA_YEARS)


# ---- Portfolios and bulk runs ------------------------------------------------------------------


class Portfolio(models.Model):
    """A named list of supply points that are looked up and watched together."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The portfolio's page."""
        return reverse("gasquotes:portfolio", args=[self.pk])


class PortfolioPoint(models.Model):
    """One supply point of a portfolio, with its newest look-up."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="points")
    mprn = models.CharField("MPRN", max_length=10)
    look_up = models.ForeignKey(LookUp, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ("portfolio", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "mprn"], name="gasquotes_one_point_a_portfolio"
            )
        ]

    def __str__(self) -> str:
        return self.mprn


class BulkRun(models.Model):
    """Many supply points looked up in the background; its lines are the work."""

    class State(models.TextChoices):
        """Where the run stands."""

        PREVIEW = "preview", "To be confirmed"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"

    TAGS: ClassVar[dict[str, str]] = {
        State.PREVIEW: "idle",
        State.RUNNING: "busy",
        State.PAUSED: "look",
        State.FINISHED: "good",
        State.CANCELLED: "idle",
    }

    title = models.CharField(max_length=100)
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, null=True, blank=True, related_name="runs"
    )
    state = models.CharField(max_length=10, choices=State, default=State.PREVIEW)
    look_up_all = models.BooleanField(
        default=False, help_text="also points that were looked up recently"
    )
    created_at = models.DateTimeField(editable=False)
    by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    by_name = models.CharField(max_length=310, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    state_at = models.DateTimeField(editable=False)
    state_by = models.CharField(max_length=310, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    confirmation = models.CharField(max_length=64, unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = [models.Index(fields=["state", "created_at"])]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """How far this run is."""
        return reverse("gasquotes:run", args=[self.pk])

    @property
    def tag(self) -> str:
        """The tag's kind for its state."""
        return self.TAGS[self.state]


class BulkLine(queue.QueueRow):
    """One supply point of a bulk run: a row of work."""

    class State(models.TextChoices):
        """Where the line stands."""

        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    TAGS: ClassVar[dict[str, str]] = {
        State.WAITING: "idle",
        State.DONE: "good",
        State.FAILED: "bad",
        State.CANCELLED: "idle",
    }

    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField("row of the file")
    mprn = models.CharField("MPRN", max_length=50)
    warning = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    look_up = models.ForeignKey(LookUp, on_delete=models.PROTECT, null=True, related_name="+")
    reused = models.BooleanField(default=False, help_text="answered by an earlier look-up")
    code = models.CharField("their code", max_length=60, blank=True)
    sentence = models.CharField(max_length=300, blank=True)
    repeats = models.PositiveSmallIntegerField(
        default=0, help_text="attempts that were cut off and may have been sent"
    )

    class Meta:
        ordering = ("run", "number")
        indexes = [
            models.Index(fields=["run", "state", "due_at", "id"]),
            models.Index(fields=["run", "number"]),
        ]

    def __str__(self) -> str:
        return f"{self.run}, row {self.number}"

    @property
    def tag(self) -> str:
        """The tag's kind for its state."""
        return self.TAGS[self.state]


class Crew(queue.QueueRow):
    """One of the few tasks that may work on bulk runs at once, each with some threads."""

    number = models.PositiveSmallIntegerField(unique=True)

    def __str__(self) -> str:
        return f"crew {self.number}"


# ---- The budget --------------------------------------------------------------------------------


class CallGate(models.Model):
    """The one row that every worker asks before a call: the pace, and why calls are stopped."""

    class Stopped(models.TextChoices):
        """Why no call is made."""

        NO = "", "Open"
        QUOTA = "quota", "The month’s quota is used up"
        KEY = "key", "Our key is not accepted"

    next_us = models.BigIntegerField(default=0, help_text="the next free moment, µs since 1970")
    slowed_at = models.DateTimeField(null=True)
    percent = models.PositiveSmallIntegerField(default=100, help_text="of the allowed pace")
    stopped = models.CharField(max_length=10, choices=Stopped, default=Stopped.NO, blank=True)
    stopped_at = models.DateTimeField(null=True)
    stopped_until = models.DateTimeField(null=True, help_text="when it is tried once")
    stopped_why = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.get_stopped_display()


class MonthOfCalls(models.Model):
    """How many calls of a month were counted, each before it was sent."""

    month = models.CharField(max_length=7, primary_key=True, help_text="such as 2026-11")
    used = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "months of calls"
        ordering = ("-month",)

    def __str__(self) -> str:
        return f"{self.month}: {self.used}"


# ---- Quotes ------------------------------------------------------------------------------------


class QuoteOrder(queue.QueueRow):
    """Quotes that are made together in the background from supply points already looked up."""

    title = models.CharField(max_length=100)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="orders")
    points = models.JSONField(help_text="keys of the chosen points that still have no quote")
    wanted = models.PositiveIntegerField()
    made = models.PositiveIntegerField(default=0)
    left_out = models.PositiveIntegerField(default=0)
    start = models.DateField()
    months = models.PositiveSmallIntegerField(choices=LENGTHS_OF_CONTRACT)
    payment = models.CharField(max_length=20, choices=PAYMENTS)
    broker_uplift = models.DecimalField(max_digits=7, decimal_places=4, default=Decimal(0))
    broker = models.CharField(max_length=100, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    by_name = models.CharField(max_length=310, blank=True)
    at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    confirmation = models.CharField(max_length=64, unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.title


class Quote(Case):
    """One enquiry, from an MPRN or an address to a price that somebody accepts or not."""

    class Status(models.TextChoices):
        """What staff see."""

        LOOKING_UP = "looking_up", "Looking up"
        ADDRESS = "address", "Needs more address"
        REVIEW = "review", "Needs review"
        READY = "ready", "Ready"
        ISSUED = "issued", "Issued"
        ACCEPTED = "accepted", "Accepted"
        CLOSED = "closed", "Closed"

    class ClosedAs(models.TextChoices):
        """How a quote ended without a yes."""

        DECLINED = "declined", "Declined"
        LAPSED = "lapsed", "Lapsed"
        REFUSED = "refused", "Refused by the service"
        WITHDRAWN = "withdrawn", "Withdrawn"

    class Held(models.TextChoices):
        """Why a person must look."""

        REFERRAL = "referral", "Priced, but a person decides"
        IMPLAUSIBLE = "implausible", "The quantities are not plausible or missing"
        NO_PRICE = "no_price", "No price fits"
        PARTY = "party", "The service gave no usable answer"

    FIRST: ClassVar[str] = Status.LOOKING_UP
    TAGS: ClassVar[dict[str, str]] = {
        Status.LOOKING_UP: "busy",
        Status.ADDRESS: "look",
        Status.REVIEW: "look",
        Status.READY: "good",
        Status.ISSUED: "busy",
        Status.ACCEPTED: "good",
        Status.CLOSED: "idle",
    }
    OPEN: ClassVar[tuple[str, ...]] = (
        Status.LOOKING_UP,
        Status.ADDRESS,
        Status.REVIEW,
        Status.READY,
        Status.ISSUED,
    )
    NEEDS_PERSON: ClassVar[tuple[str, ...]] = (Status.ADDRESS, Status.REVIEW, Status.READY)
    TRANSITIONS: ClassVar[tuple[Transition, ...]] = (
        Transition(
            "ask_for_address",
            (Status.LOOKING_UP,),
            Status.ADDRESS,
            "Ask for more of the address",
            Who.PORTAL,
        ),
        Transition(
            "give_to_person",
            (Status.LOOKING_UP,),
            Status.REVIEW,
            "Give to a person",
            Who.PORTAL,
        ),
        Transition("price", (Status.LOOKING_UP,), Status.READY, "Price", Who.PORTAL),
        Transition(
            "refuse",
            (Status.LOOKING_UP,),
            Status.CLOSED,
            "Refuse, with the service’s reason",
            Who.PORTAL,
        ),
        Transition(
            "give_address",
            (Status.ADDRESS,),
            Status.LOOKING_UP,
            "Look up with more of the address",
            Who.PERSON,
            LOOK_UP,
            primary=True,
        ),
        Transition(
            "look_up_again",
            (Status.REVIEW, Status.READY),
            Status.LOOKING_UP,
            "Look up again (one call)",
            Who.PERSON,
            LOOK_UP,
        ),
        Transition(
            "accept_referral",
            (Status.REVIEW,),
            Status.READY,
            "Offer these prices",
            Who.PERSON,
            DECIDE,
            needs_note=True,
        ),
        Transition(
            "issue",
            (Status.READY,),
            Status.ISSUED,
            "Issue the quote",
            Who.PERSON,
            DECIDE,
            primary=True,
        ),
        Transition(
            "stop_issue",
            (Status.ISSUED,),
            Status.READY,
            "Stop the quote before it leaves",
            Who.PERSON,
            DECIDE,
            button=False,
        ),
        Transition(
            "accept",
            (Status.ISSUED,),
            Status.ACCEPTED,
            "Record that the customer accepts",
            Who.PERSON,
            DECIDE,
            primary=True,
        ),
        Transition(
            "decline",
            (Status.ISSUED,),
            Status.CLOSED,
            "Record that the customer declines",
            Who.PERSON,
            DECIDE,
            needs_note=True,
        ),
        Transition("lapse", (Status.ISSUED,), Status.CLOSED, "Let it lapse", Who.PORTAL),
        Transition(
            "withdraw",
            (Status.LOOKING_UP, Status.ADDRESS, Status.REVIEW, Status.READY),
            Status.CLOSED,
            "Close without a quote",
            Who.PERSON,
            DECIDE,
            needs_note=True,
        ),
    )

    # Who asks, and for which supply point
    name = models.CharField("customer", max_length=150, db_index=True)
    email = models.EmailField("e-mail", blank=True, db_index=True)
    asked_mprn = models.CharField("MPRN", max_length=50, blank=True, db_index=True)
    address_id = models.CharField(max_length=30, blank=True, help_text="internal use only")
    asked_postcode = models.CharField("postcode", max_length=10, blank=True, db_index=True)
    house_no = models.CharField("house number", max_length=10, blank=True)
    sub_building_name = models.CharField("flat or unit", max_length=40, blank=True)
    street = models.CharField(max_length=40, blank=True)
    town = models.CharField(max_length=40, blank=True)
    county = models.CharField(max_length=3, blank=True)
    country = models.CharField(max_length=3, blank=True)
    dependent_street = models.CharField(max_length=40, blank=True)
    dependent_local = models.CharField("locality", max_length=40, blank=True)
    # What they want
    start = models.DateField("start of supply")
    months = models.PositiveSmallIntegerField("contract length", choices=LENGTHS_OF_CONTRACT)
    payment = models.CharField("payment method", max_length=20, choices=PAYMENTS)
    broker = models.CharField(max_length=100, blank=True)
    broker_uplift = models.DecimalField(
        "broker uplift (p/kWh)",
        max_digits=7,
        decimal_places=4,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
    )
    # Where it comes from
    submission_key = models.CharField(
        max_length=64, unique=True, default=uuid.uuid4, editable=False
    )
    requote_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="requotes"
    )
    order = models.ForeignKey(
        QuoteOrder, on_delete=models.PROTECT, null=True, blank=True, related_name="quotes"
    )
    # What was found
    fresh_only = models.BooleanField(
        default=False, editable=False, help_text="an earlier look-up is not enough"
    )
    look_up = models.ForeignKey(
        LookUp, on_delete=models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )
    look_up_reused = models.BooleanField(default=False, editable=False)
    mprn = models.CharField("MPRN found", max_length=50, blank=True, db_index=True, editable=False)
    postcode = models.CharField(
        "postcode found", max_length=10, blank=True, db_index=True, editable=False
    )
    code = models.CharField("their code", max_length=60, blank=True, editable=False)
    next_step = models.CharField(max_length=300, blank=True, editable=False)
    held = models.CharField(max_length=12, choices=Held, blank=True, editable=False)
    findings = models.JSONField(default=list, blank=True, editable=False)
    # The price, frozen when it was made
    priced = models.TextField(blank=True, editable=False)
    priced_at = models.DateTimeField(null=True, blank=True, editable=False)
    price_book = models.ForeignKey(
        PriceBook, on_delete=models.PROTECT, null=True, blank=True, editable=False
    )
    aq_kwh = models.DecimalField(
        "AQ (kWh)", max_digits=20, decimal_places=1, null=True, blank=True, editable=False
    )
    year_cost = models.DecimalField(
        "first year incl. VAT (£)",
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        editable=False,
    )
    contract_cost = models.DecimalField(
        "whole contract incl. VAT (£)",
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        editable=False,
    )
    # What became of it
    issued_at = models.DateTimeField(null=True, blank=True, editable=False)
    valid_until = models.DateTimeField(null=True, blank=True, editable=False)
    by_email = models.BooleanField("sent by e-mail", default=False, editable=False)
    document = models.ForeignKey(
        "Document",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )
    closed_as = models.CharField(max_length=10, choices=ClosedAs, blank=True, editable=False)
    customer_reason = models.TextField("reason for the customer", blank=True, editable=False)

    class Meta:
        verbose_name = "gas quote"
        ordering = ("-created_at", "-pk")
        permissions = [
            ("look_up_quote", "Can have supply points looked up, which costs calls"),
            ("decide_quote", "Can issue, accept and close quotes"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"]),
            models.Index(fields=["status", "-created_at", "-id"]),
            models.Index(fields=["assigned_to", "-created_at", "-id"]),
        ]

    def get_absolute_url(self) -> str:
        """The page of this quote."""
        return reverse("gasquotes:case", args=[self.reference])

    @property
    def title(self) -> str:
        """The heading of the case."""
        return f"{self.name}, {self.site}"

    @property
    def site(self) -> str:
        """The supply point as far as it is known: MPRN, else what was asked."""
        return self.mprn or self.asked_mprn or ", ".join(self.asked_address)

    @property
    def asked_address(self) -> tuple[str, ...]:
        """The address that was asked for, as people write it."""
        fields = ("sub_building_name", "house_no", "street", "dependent_local", "town")
        lines = [getattr(self, name) for name in fields]
        return tuple(each for each in (*lines, self.asked_postcode, self.address_id) if each)

    @property
    def asked(self) -> Filter:
        """What the service is asked: the MPRN, the address key, or postcode and address."""
        if self.asked_mprn:
            return Filter(mprn=self.asked_mprn)
        if self.address_id:
            return Filter(address_id=self.address_id)
        address = {name: getattr(self, name) for name in ADDRESS_FIELDS}
        return Filter(postcode=self.asked_postcode, **address)

    @property
    def price(self) -> pricing.Priced | None:
        """The frozen price with all its parts, None when there is none."""
        return pricing.thaw(self.priced) if self.priced else None

    def is_lapsed(self, now: datetime) -> bool:
        """Whether its time is over, also where the portal has not closed it yet."""
        return self.valid_until is not None and self.valid_until <= now

    @property
    def can_offer(self) -> bool:
        """Whether a person may offer the price that waits for a decision."""
        return self.held == self.Held.REFERRAL and bool(self.priced)

    @property
    def can_requote(self) -> bool:
        """Whether a new quote may be made from it: it had a price, or is over."""
        return bool(self.priced) or self.status == self.Status.CLOSED


class Document(History):
    """A quote as it was issued: a PDF with its digest. Void unless its quote still names it."""

    at = models.DateTimeField()
    valid_until = models.DateTimeField()
    pdf = models.BinaryField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=["case_label", "case_id", "at"])]

    def __str__(self) -> str:
        return f"{self.reference}, {self.at:%-d %b %Y %H:%M}"


def columns_of(point: SupplyPoint) -> dict[str, Any]:
    """The 24 fields as columns; quantities stay exact as text."""
    columns: dict[str, Any] = msgspec.structs.asdict(point)
    for name in QUANTITIES:
        exact = columns[name]
        columns[name] = "" if exact is None else f"{exact:f}"
    return columns


# ---- Queues ------------------------------------------------------------------------------------

LOOK_UP_QUEUE = queue.register(
    queue.Queue(
        name="gasquotes.look_up",
        model_label="gasquotes.Quote",
        ready=Q(status=Quote.Status.LOOKING_UP),
        limit=8,
    )
)
LAPSE = queue.register(
    queue.Queue(
        name="gasquotes.lapse",
        model_label="gasquotes.Quote",
        ready=Q(status=Quote.Status.ISSUED),
        limit=1000,
    )
)
ORDERS = queue.register(
    queue.Queue(
        name="gasquotes.make_quotes",
        model_label="gasquotes.QuoteOrder",
        ready=Q(done_at=None),
        limit=1000,
    )
)
BULK = queue.register(
    queue.Queue(
        name="gasquotes.bulk",
        model_label="gasquotes.Crew",
        ready=Q(),
        lease=timedelta(seconds=30),
        limit=1000,
    )
)
# Not registered: the crews find the lines, no bell rings for one of them.
LINES = queue.Queue(
    name="gasquotes.lines",
    model_label="gasquotes.BulkLine",
    ready=Q(state=BulkLine.State.WAITING),
    lease=timedelta(seconds=30),
    limit=6,
)
