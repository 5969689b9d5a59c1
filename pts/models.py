"""The production desk's rows: systems, windows, one report a system and month, and what was sent.

A report's status follows TRANSITIONS alone; see docs/workflows.md for the picture. Energy in kWh,
capacity in kW; `meter_value` is the meter's lifetime total.
"""

from decimal import Decimal
from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from core import queue
from core.models import User
from core.queue import QueueRow
from core.workflow import Case, Transition, Who

REPORT = "pts.report_production"
SUBMIT = "pts.submit_production"
GRANT = "pts.record_exception"


class Energy(models.DecimalField):  # type: ignore[type-arg]
    """kWh (or a lifetime total) with up to four decimals."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_digits": 16, "decimal_places": 4, **kwargs})


class System(models.Model):
    """A solar system that reports to MassCEC. Name and capacity are theirs, the rest is ours."""

    fk_system = models.PositiveIntegerField("PTS key", unique=True)
    system_id = models.CharField("system ID", max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    capacity = models.DecimalField(
        "capacity (kW)", max_digits=12, decimal_places=3, null=True, blank=True
    )
    active = models.BooleanField(default=True, help_text="whether MassCEC lists it")
    gone_at = models.DateTimeField(null=True, blank=True, editable=False)
    synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    trouble = models.CharField("their error", max_length=2000, blank=True, editable=False)
    yearly_estimate = Energy(
        "yearly estimate (kWh)", null=True, blank=True, validators=[MinValueValidator(Decimal(1))]
    )
    meter_notes = models.TextField(max_length=2000, blank=True)
    mpan = models.CharField("MPAN of its meter", max_length=13, blank=True)
    register = models.CharField("register of its meter", max_length=60, blank=True)

    class Meta:
        ordering = ("fk_system",)
        indexes = [models.Index(fields=["active", "fk_system"])]

    def __str__(self) -> str:
        return f"{self.system_id or self.fk_system} {self.name}".strip()

    def get_absolute_url(self) -> str:
        """The page of this system."""
        return reverse("pts:system", args=[self.fk_system])


class MeterChange(models.Model):
    """A recorded meter replacement: the old meter's last total and the new one's first."""

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    final_value = Energy()
    first_value = Energy()
    note = models.TextField(max_length=1000)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ("at",)
        constraints = [
            models.UniqueConstraint(fields=["system", "at"], name="pts_one_change_a_moment")
        ]

    def __str__(self) -> str:
        return f"{self.system_id}: {self.final_value} to {self.first_value}"


class PartyReading(models.Model):
    """A last reading as GetLastReading gave it: what MassCEC has on record."""

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="party_readings")
    meter_value = Energy()
    meter_at = models.DateTimeField()
    meter_date = models.CharField("their spelling", max_length=40)
    reported_at = models.DateTimeField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)
    energy_produced = Energy(null=True, blank=True)
    is_estimated = models.BooleanField(null=True, blank=True)
    notes = models.CharField(max_length=2000, blank=True)
    read_at = models.DateTimeField()

    class Meta:
        ordering = ("meter_at", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["system", "meter_date", "meter_value"], name="pts_one_row_a_reading"
            )
        ]

    def __str__(self) -> str:
        return f"{self.meter_value} on {self.meter_date}"


class Synchronisation(QueueRow):
    """One comparison of our systems with MassCEC's: shown first, applied when a person says so."""

    class State(models.TextChoices):
        """How far it is."""

        ASKING = "asking", "Asking"
        TO_APPLY = "to_apply", "To look at"
        APPLIED = "applied", "Applied"
        NOTHING = "nothing", "Nothing new"
        DROPPED = "dropped", "Dropped"
        FAILED = "failed", "Failed"

    state = models.CharField(max_length=10, choices=State, default=State.ASKING)
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    differences = models.JSONField(default=dict)
    sentence = models.CharField(max_length=500, blank=True)
    applied_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-asked_at", "-pk")

    def __str__(self) -> str:
        return f"Synchronisation of {self.asked_at:%-d %B %Y %H:%M}"


class Window(QueueRow):
    """A reporting window: the month it reports, when it is open, and its one status poll."""

    month = models.DateField(unique=True, help_text="first day of the month that it reports")
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField(help_text="first moment after it")
    overridden = models.BooleanField(default=False)
    reason = models.CharField("why it differs from the rule", max_length=300, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True, editable=False)
    closed_at = models.DateTimeField("close reported", null=True, blank=True, editable=False)
    warned_at = models.DateTimeField("last-day warning sent", null=True, editable=False)
    polled_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-month",)
        constraints = [
            models.CheckConstraint(
                condition=Q(closes_at__gt=F("opens_at")),
                name="pts_window_closes_after_it_opens",
                violation_error_message="The last day is before the first.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.month:%B %Y}"

    def get_absolute_url(self) -> str:
        """The month page."""
        return reverse("pts:month", args=[f"{self.month:%Y-%m}"])


class Report(Case):
    """One system's report of one month."""

    class Status(models.TextChoices):
        """What staff see."""

        MISSING = "missing", "Missing"
        LOOK = "look", "To look at"
        READY = "ready", "Ready"
        TESTED = "tested", "Tested"
        VALIDATING = "validating", "Validating"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"

    class Source(models.TextChoices):
        """Where a reading came from."""

        TYPED = "typed", "Typed"
        CSV = "csv", "CSV file"
        METER = "meter", "Metering desk"

    FIRST: ClassVar[str] = Status.MISSING
    TAGS: ClassVar[dict[str, str]] = {
        Status.MISSING: "idle",
        Status.LOOK: "look",
        Status.READY: "busy",
        Status.TESTED: "busy",
        Status.VALIDATING: "busy",
        Status.PASSED: "good",
        Status.FAILED: "bad",
    }
    NEEDS_PERSON: ClassVar[tuple[str, ...]] = (Status.LOOK, Status.FAILED)
    OPEN_TO_READINGS: ClassVar[tuple[str, ...]] = (
        Status.MISSING,
        Status.LOOK,
        Status.READY,
        Status.TESTED,
        Status.PASSED,
        Status.FAILED,
    )
    TRANSITIONS: ClassVar[tuple[Transition, ...]] = (
        Transition(
            "enter_fine", OPEN_TO_READINGS, Status.READY, "Enter a reading that is fine",
            Who.PERSON, REPORT, button=False,
        ),
        Transition(
            "enter_odd", OPEN_TO_READINGS, Status.LOOK, "Enter a reading to look at",
            Who.PERSON, REPORT, button=False,
        ),
        Transition(
            "take_back", (Status.LOOK, Status.READY, Status.TESTED, Status.FAILED), Status.MISSING,
            "Take the reading back", Who.PERSON, REPORT, needs_note=True,
        ),
        Transition(
            "accept", (Status.LOOK,), Status.READY, "Accept the reading with a reason",
            Who.PERSON, REPORT, needs_note=True, primary=True,
        ),
        Transition("test_passed", (Status.READY,), Status.TESTED, "Test received", Who.PORTAL),
        Transition("test_failed", (Status.READY, Status.TESTED), Status.FAILED, "Test failed",
                   Who.PORTAL),
        Transition(
            "submit", (Status.TESTED,), Status.VALIDATING, "Send to MassCEC",
            Who.PERSON, SUBMIT, primary=True, button=False,
        ),
        Transition(
            "stop", (Status.VALIDATING,), Status.TESTED, "Stop before it is sent",
            Who.PERSON, SUBMIT, button=False,
        ),
        Transition("not_sent", (Status.VALIDATING,), Status.TESTED, "Was not received",
                   Who.PORTAL),
        Transition("refuse", (Status.VALIDATING,), Status.FAILED, "Refused with an error",
                   Who.PORTAL),
        Transition("pass_validation", (Status.VALIDATING,), Status.PASSED, "Passed",
                   Who.PORTAL),
        Transition("fail_validation", (Status.VALIDATING,), Status.FAILED, "Failed",
                   Who.PORTAL),
        Transition(
            "settle_passed", (Status.VALIDATING,), Status.PASSED,
            "MassCEC says it passed", Who.PERSON, SUBMIT, needs_note=True,
        ),
        Transition(
            "settle_failed", (Status.VALIDATING,), Status.FAILED,
            "MassCEC says it failed or never came", Who.PERSON, SUBMIT, needs_note=True,
        ),
    )  # fmt: skip

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="reports")
    window = models.ForeignKey(Window, on_delete=models.PROTECT, related_name="reports")
    # The reading that is meant to be reported
    meter_value = Energy(null=True, blank=True)
    meter_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=5, choices=Source, blank=True)
    party_note = models.CharField("note to MassCEC", max_length=500, blank=True)
    photo = models.FileField(upload_to="pts/%Y/%m/", blank=True)
    produced = Energy(null=True, blank=True, editable=False)
    expected = Energy(null=True, blank=True, editable=False)
    checks = models.JSONField(default=list, editable=False)
    is_blocked = models.BooleanField(default=False, editable=False)
    accepted_reason = models.TextField(blank=True, editable=False)
    # Tries in this window; changed by conditional UPDATE alone
    valid_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    failed_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    undecided_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    more_valid = models.PositiveSmallIntegerField(default=0, editable=False)
    more_failed = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = "production report"
        ordering = ("-window__month", "system__fk_system")
        permissions = [
            ("report_production", "Can enter and accept readings"),
            ("submit_production", "Can submit to MassCEC"),
            ("record_exception", "Can record an exception of the help desk"),
        ]
        indexes = [
            models.Index(fields=["window", "status", "system"]),
            models.Index(fields=["window", "status", "produced", "expected"]),  # sums of a month
        ]
        constraints = [
            models.UniqueConstraint(fields=["system", "window"], name="pts_one_report_a_month"),
            models.CheckConstraint(
                condition=Q(valid_tries__lte=F("more_valid") + 2 - F("undecided_tries")),
                name="pts_valid_tries_within_limit",
            ),
            models.CheckConstraint(
                condition=Q(failed_tries__lte=F("more_failed") + 3 - F("undecided_tries")),
                name="pts_failed_tries_within_limit",
            ),
        ]

    def get_absolute_url(self) -> str:
        """The case page."""
        return reverse("pts:case", args=[self.reference])

    @property
    def title(self) -> str:
        """What the case page is headed with."""
        return (
            f"{self.system.name or self.system.system_id or self.system.fk_system}, {self.window}"
        )


class HelpDeskException(models.Model):
    """More tries that MassCEC's help desk granted for one system in one window."""

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="exceptions")
    more_valid = models.PositiveSmallIntegerField(default=0)
    more_failed = models.PositiveSmallIntegerField(default=0)
    reason = models.TextField(max_length=1000)
    granted_by = models.CharField("who granted it at MassCEC", max_length=100)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ("at", "pk")

    def __str__(self) -> str:
        return f"{self.more_valid} valid and {self.more_failed} failed tries more"


class Batch(QueueRow):
    """A frozen submission of one window: a test or the real one, one row a system."""

    class Kind(models.TextChoices):
        """Which operation it goes to."""

        TEST = "test", "Test (ARPostTest)"
        REAL = "real", "Submission (ARPost)"

    class State(models.TextChoices):
        """How far it is. A lost answer is looked up before anything else happens."""

        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Sending"
        RECEIVED = "received", "Received"
        LOST = "lost", "Answer lost, being looked up"
        REFUSED = "refused", "Refused"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Not sent"

    TAGS: ClassVar[dict[str, str]] = {
        State.WAITING: "busy",
        State.SENDING: "busy",
        State.RECEIVED: "good",
        State.LOST: "unknown",
        State.REFUSED: "bad",
        State.STOPPED: "idle",
        State.FAILED: "bad",
    }

    window = models.ForeignKey(Window, on_delete=models.PROTECT, related_name="batches")
    kind = models.CharField(max_length=4, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    notes = models.CharField("batch note to MassCEC", max_length=500, blank=True)
    sha256 = models.CharField("SHA-256 of the lines", max_length=64)
    created_at = models.DateTimeField()
    send_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    sentence = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    by_name = models.CharField(max_length=310)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-created_at", "-pk")
        indexes = [models.Index(fields=["window", "kind", "state"])]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.created_at:%-d %B %Y %H:%M}"

    @property
    def tag(self) -> str:
        """The tag's kind for its state."""
        return self.TAGS[self.state]


class Submission(models.Model):
    """One system's line in a batch, frozen, and what became of it."""

    class State(models.TextChoices):
        """Where the line stands. "No verdict": the test was received, and nothing more was said."""

        WAITING = "waiting", "Waiting"
        LOST = "lost", "Answer lost, being looked up"
        NO_VERDICT = "no_verdict", "Test received, no verdict"
        VALIDATING = "validating", "Validating"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"
        REPLACED = "replaced", "Replaced by a later one"
        NOT_SENT = "not_sent", "Not sent"
        UNDECIDED = "undecided", "Undecided when the window closed"

    OPEN: ClassVar[tuple[str, ...]] = (State.WAITING, State.LOST, State.VALIDATING)

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="lines")
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="submissions")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    meter_value = Energy()
    meter_date = models.CharField("as sent, in the party’s zone", max_length=19)
    party_note = models.CharField(max_length=500, blank=True)
    validation_notes = models.CharField(max_length=2000, blank=True)
    looked_up = models.PositiveSmallIntegerField("times not found by a look-up", default=0)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        constraints = [
            models.UniqueConstraint(fields=["batch", "report"], name="pts_one_line_a_system")
        ]
        indexes = [models.Index(fields=["report", "state"])]

    def __str__(self) -> str:
        return f"{self.meter_value} of {self.meter_date}: {self.get_state_display()}"


SYNCHRONISE = queue.register(
    queue.Queue(
        name="pts.synchronise",
        model_label="pts.Synchronisation",
        ready=Q(state=Synchronisation.State.ASKING),
    )
)
TEST = queue.register(
    queue.Queue(
        name="pts.test",
        model_label="pts.Batch",
        ready=Q(kind=Batch.Kind.TEST, state=Batch.State.WAITING),
    )
)
SEND = queue.register(
    queue.Queue(
        name="pts.send",
        model_label="pts.Batch",
        ready=Q(kind=Batch.Kind.REAL, state__in=[Batch.State.WAITING, Batch.State.SENDING]),
    )
)
POLL = queue.register(
    queue.Queue(name="pts.poll", model_label="pts.Window", ready=Q(closed_at=None), limit=1000)
)
