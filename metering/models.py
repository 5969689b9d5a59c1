"""The metering desk's rows: meters, meter reads, deliveries of results, readings and alarms.

A meter read follows TRANSITIONS alone; see docs/workflows.md for the picture. Readings are kept as
the meter sent them, whatever became of the read that brought them.
"""

import hashlib
import uuid
from datetime import timedelta
from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from core import queue
from core.fields import EncryptedJSONField, EncryptedTextField
from core.models import User
from core.workflow import Case, Transition, Who

READ = "metering.decide_meterread"
ASK = "metering.request_meterread"


class MeterType(models.Model):
    """A kind of meter as the meter communications service names it; a list that staff edit."""

    class Survey(models.TextChoices):
        """What the survey values of this type mean."""

        CUMULATIVE = "cumulative", "Cumulative: each value is the register's total"
        PERIOD = "period", "Per period: each value is that half hour's own"

    code = models.CharField(max_length=40, unique=True, help_text="such as ELSTER_A1700")
    survey = models.CharField("survey values", max_length=10, choices=Survey)
    digits = models.PositiveSmallIntegerField(
        default=7, help_text="digits of a register before it rolls over"
    )

    class Meta:
        ordering = ("code",)

    def __str__(self) -> str:
        return self.code


class RegisterKind(models.Model):
    """A register that meters of a type have, such as "kWh Import"."""

    class Direction(models.TextChoices):
        """Which way the energy flows."""

        IMPORT = "import", "Import"
        EXPORT = "export", "Export"
        NONE = "none", "Neither"

    meter_type = models.ForeignKey(MeterType, on_delete=models.CASCADE, related_name="registers")
    name = models.CharField(max_length=60)
    unit = models.CharField(max_length=20)
    direction = models.CharField(max_length=6, choices=Direction, default=Direction.NONE)

    class Meta:
        ordering = ("meter_type", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["meter_type", "name"], name="metering_one_register_a_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.meter_type}: {self.name}"


class Meter(models.Model):
    """A meter that can be asked over the meter communications service."""

    mpan = models.CharField("MPAN", max_length=13, db_index=True)
    serial_number = models.CharField(max_length=40, blank=True, db_index=True)
    meter_type = models.ForeignKey(MeterType, on_delete=models.PROTECT)
    remote_address = models.CharField(max_length=40, db_index=True)
    coms_settings = models.CharField(max_length=3, blank=True, help_text="such as 7E1; modem only")
    outstation_address = models.CharField(max_length=40, blank=True)
    password = EncryptedTextField(blank=True)
    priority = models.PositiveSmallIntegerField(default=5, validators=[MinValueValidator(1)])
    group = models.CharField("collection group", max_length=40, blank=True, db_index=True)
    capacity_kw = models.DecimalField(
        "capacity (kW)", max_digits=9, decimal_places=2, null=True, blank=True
    )
    active = models.BooleanField(default=True)
    added_at = models.DateTimeField()

    class Meta:
        ordering = ("mpan", "serial_number")
        constraints = [
            models.UniqueConstraint(
                fields=["mpan", "serial_number"], name="metering_one_meter_a_serial_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mpan} ({self.serial_number or 'no serial number'})"

    def get_absolute_url(self) -> str:
        """The meter's page."""
        return reverse("metering:meter", args=[self.pk])


class MeterChange(models.Model):
    """A recorded change of meter: readings before and after are not one row of values."""

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    note = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("at",)

    def __str__(self) -> str:
        return f"meter changed at {self.at:%d %b %Y %H:%M}"


class Schedule(models.Model):
    """When a collection group is read by itself."""

    class Every(models.TextChoices):
        """How often."""

        NIGHT = "night", "Every night"
        MONTH = "month", "On the first of the month"

    group = models.CharField("collection group", max_length=40)
    every = models.CharField(max_length=6, choices=Every)
    hour = models.PositiveSmallIntegerField(default=2, help_text="local hour at which it may start")
    survey_days = models.PositiveSmallIntegerField(default=1)
    active = models.BooleanField(default=True)
    last_run_on = models.DateField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("group",)

    def __str__(self) -> str:
        return f"{self.group}, {self.get_every_display().lower()}"


class Batch(models.Model):
    """Reads that were asked for together, for progress: done, failed, waiting."""

    title = models.CharField(max_length=100)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField()
    confirmation = models.CharField(max_length=60, unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """How far this batch is."""
        return reverse("metering:batch", args=[self.pk])


class MeterRead(Case):
    """One collection from one meter, from our request to readings that somebody vouches for."""

    class Status(models.TextChoices):
        """What staff see."""

        WAITING = "waiting", "Waiting"
        REQUESTED = "requested", "Requested"
        TO_CHECK = "to_check", "To check"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    FIRST: ClassVar[str] = Status.WAITING
    TAGS: ClassVar[dict[str, str]] = {
        Status.WAITING: "idle",
        Status.REQUESTED: "busy",
        Status.TO_CHECK: "look",
        Status.ACCEPTED: "good",
        Status.REJECTED: "bad",
        Status.FAILED: "bad",
        Status.CANCELLED: "idle",
    }
    OPEN: ClassVar[tuple[str, ...]] = (Status.WAITING, Status.REQUESTED)
    NEEDS_PERSON: ClassVar[tuple[str, ...]] = (Status.TO_CHECK, Status.FAILED)
    TRANSITIONS: ClassVar[tuple[Transition, ...]] = (
        Transition("request", (Status.WAITING,), Status.REQUESTED, "Ask the service", Who.PORTAL),
        Transition(
            "fail",
            (Status.WAITING, Status.REQUESTED),
            Status.FAILED,
            "Give up, with the party’s reason",
            Who.PORTAL,
        ),
        Transition(
            "accept_clean",
            (Status.WAITING, Status.REQUESTED, Status.FAILED),
            Status.ACCEPTED,
            "Accept, all checks pass",
            Who.PORTAL,
        ),
        Transition(
            "give_to_person",
            (
                Status.WAITING,
                Status.REQUESTED,
                Status.FAILED,
                Status.CANCELLED,
                Status.ACCEPTED,
            ),
            Status.TO_CHECK,
            "Give to a person",
            Who.PORTAL,
        ),
        Transition(
            "accept",
            (Status.TO_CHECK,),
            Status.ACCEPTED,
            "Accept the readings",
            Who.PERSON,
            READ,
            needs_note=True,
            primary=True,
        ),
        Transition(
            "reject",
            (Status.TO_CHECK, Status.ACCEPTED),
            Status.REJECTED,
            "Reject the readings",
            Who.PERSON,
            READ,
            needs_note=True,
        ),
        Transition(
            "cancel",
            (Status.WAITING, Status.REQUESTED),
            Status.CANCELLED,
            "Cancel this read",
            Who.PERSON,
            ASK,
        ),
        Transition(
            "set_aside",
            (Status.FAILED,),
            Status.CANCELLED,
            "Set aside",
            Who.PERSON,
            READ,
            needs_note=True,
        ),
    )

    class Fault(models.TextChoices):
        """On whose side it failed; kept when the read is set aside."""

        METER = "meter", "No answer from the meter"
        REFUSED = "refused", "Refused by the service"
        SERVICE = "service", "The service was down"
        NOT_SENT = "not_sent", "Our request never went"

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="reads")
    our_reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, related_name="reads")
    asked_after = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="asked_again"
    )
    # What we ask
    priority = models.PositiveSmallIntegerField(default=5)
    delay_until = models.DateTimeField(null=True, blank=True)
    survey_days = models.PositiveSmallIntegerField(default=0)
    survey_date = models.DateField(null=True, blank=True)
    adjust_time = models.BooleanField(default=False)
    remote_address = models.CharField(max_length=40, db_index=True, editable=False)
    holds_address = models.CharField(
        max_length=40, null=True, blank=True, unique=True, editable=False
    )
    token = EncryptedTextField(editable=False)
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    maybe_sent = models.BooleanField(default=False, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancel_due = models.BooleanField(default=False, editable=False)
    # What came back
    outcome = models.CharField("their result", max_length=300, blank=True)
    fault = models.CharField("failed by", max_length=8, choices=Fault, blank=True, editable=False)
    strangers = models.PositiveIntegerField(
        "documents that are not about it", default=0, editable=False
    )
    collection_start = models.DateTimeField(null=True, blank=True)
    collection_end = models.DateTimeField(null=True, blank=True)
    connection_start = models.DateTimeField(null=True, blank=True)
    connection_end = models.DateTimeField(null=True, blank=True)
    serial_read = models.CharField("serial number read", max_length=300, blank=True)
    meter_time = models.DateTimeField("meter's own time", null=True, blank=True)
    clock_offset = models.IntegerField("clock offset (s)", null=True, blank=True)
    time_adjustment = models.CharField(max_length=300, blank=True)
    status_events = models.JSONField(default=list, blank=True)
    problems = models.JSONField(default=list, blank=True)
    versions = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "meter read"
        ordering = ("-created_at",)
        permissions = [
            ("request_meterread", "Can ask meters"),
            ("adjust_meter_time", "Can have a meter's clock adjusted"),
            ("decide_meterread", "Can accept and reject readings"),
        ]
        indexes = [
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["meter", "created_at"]),
        ]

    def get_absolute_url(self) -> str:
        """The page of this read."""
        return reverse("metering:case", args=[self.reference])

    @property
    def title(self) -> str:
        """The heading of the case."""
        return f"Read of {self.meter.serial_number or self.meter.mpan}"


class ReadCheck(models.Model):
    """One rule applied to one read, with its figures."""

    class Result(models.TextChoices):
        """What the rule found."""

        PASS = "pass", "Pass"
        LOOK = "look", "Look"
        FAIL = "fail", "Fail"

    TAGS: ClassVar[dict[str, str]] = {Result.PASS: "good", Result.LOOK: "look", Result.FAIL: "bad"}

    read = models.ForeignKey(MeterRead, on_delete=models.CASCADE, related_name="checks")
    position = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40)
    title = models.CharField(max_length=80)
    result = models.CharField(max_length=4, choices=Result)
    sentence = models.TextField()
    figures = models.JSONField(default=list)

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return f"{self.title}: {self.get_result_display()}"

    @property
    def tag(self) -> str:
        """The tag's kind for this result."""
        return self.TAGS[self.result]


class Delivery(queue.QueueRow):
    """A result document as it arrived (without its password), before and after it is stored."""

    class State(models.TextChoices):
        """Where the document stands."""

        WAITING = "waiting", "Waiting to be stored"
        STORED = "stored", "Stored"
        REPEATED = "repeated", "The same again"
        ASIDE = "aside", "Kept aside"
        UNREADABLE = "unreadable", "Not readable"

    TAGS: ClassVar[dict[str, str]] = {
        State.WAITING: "busy",
        State.STORED: "good",
        State.REPEATED: "idle",
        State.ASIDE: "look",
        State.UNREADABLE: "bad",
    }

    read = models.ForeignKey(
        MeterRead, on_delete=models.PROTECT, null=True, related_name="deliveries"
    )
    their_reference = models.CharField(max_length=100, blank=True)
    received_at = models.DateTimeField(db_index=True)
    sender = models.CharField(max_length=45, blank=True)
    fetched = models.BooleanField(default=False, help_text="asked for, not posted to us")
    body = models.BinaryField(help_text="the document without its password, compressed")
    unreadable = EncryptedTextField(blank=True)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-received_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["read", "sha256"],
                condition=Q(read__isnull=False),
                name="metering_one_delivery_a_body",
            )
        ]
        indexes = [models.Index(fields=["state", "received_at"])]

    def __str__(self) -> str:
        return f"{self.their_reference} at {self.received_at:%d %b %H:%M}"

    @property
    def tag(self) -> str:
        """The tag's kind for its state."""
        return self.TAGS[self.state]


class Channel(models.Model):
    """One register of one meter: what readings belong to."""

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="channels")
    name = models.CharField(max_length=60)
    unit = models.CharField(max_length=20, blank=True)

    class Meta:
        ordering = ("meter", "name")
        constraints = [
            models.UniqueConstraint(fields=["meter", "name"], name="metering_one_channel_a_name")
        ]

    def __str__(self) -> str:
        return f"{self.meter}: {self.name}"


class Day(models.Model):
    """The survey readings of one register on one UTC day, packed (see metering.days)."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, db_index=False)
    day = models.DateField()
    slots = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "day"], name="metering_one_row_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.day}"


class SideReading(models.Model):
    """A reading beside the grid: at an odd time, or overruled by a later result."""

    class Why(models.TextChoices):
        """Why it is not in a day's slots."""

        OFF_GRID = "off_grid", "Not on a half hour"
        OVERRULED = "overruled", "Overruled by a later result"

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="side_readings")
    at = models.DateTimeField()
    value = models.CharField(max_length=40)
    flags = models.CharField(max_length=20, blank=True)
    why = models.CharField(max_length=10, choices=Why)
    collection_end = models.BigIntegerField("end of its collection (µs since 1970)")
    digest = models.CharField("first half of its document's hash", max_length=16)

    class Meta:
        ordering = ("channel", "at")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "at", "value", "flags", "why", "collection_end", "digest"],
                name="metering_one_side_reading",
            )
        ]

    def __str__(self) -> str:
        return f"{self.at:%d %b %Y %H:%M}: {self.value}"


class RegisterReading(models.Model):
    """What a register showed when the meter was read: value as sent, and when."""

    read = models.ForeignKey(MeterRead, on_delete=models.PROTECT, related_name="register_readings")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="register_readings")
    at = models.DateTimeField()
    value = models.CharField(max_length=40)

    class Meta:
        ordering = ("channel", "at")
        constraints = [
            models.UniqueConstraint(
                fields=["read", "channel", "at", "value"], name="metering_one_register_reading"
            )
        ]
        indexes = [models.Index(fields=["channel", "at"])]

    def __str__(self) -> str:
        return f"{self.channel.name} {self.value}"


class MeterAlarm(models.Model):
    """Something about one meter that somebody must acknowledge with a note."""

    class Kind(models.TextChoices):
        """What happened."""

        TAMPER = "tamper", "Tamper"
        CLOCK = "clock", "Clock"
        SERIAL = "serial", "Serial number"
        ADJUSTMENT = "adjustment", "Time adjustment refused"
        GAP = "gap", "Gap that could not be filled"

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="alarms")
    read = models.ForeignKey(MeterRead, on_delete=models.PROTECT, null=True, related_name="alarms")
    kind = models.CharField(max_length=10, choices=Kind)
    text = models.CharField(max_length=300)
    # Of a gap alone: what was told, so that the same is not told again.
    gap_start = models.DateTimeField(null=True, blank=True, editable=False)
    gap_end = models.DateTimeField(null=True, blank=True, editable=False)
    raised_at = models.DateTimeField(db_index=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ("-raised_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["read", "kind", "text"], name="metering_one_alarm_a_read"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text}"


class MeterImport(models.Model):
    """An upload of meters between its preview and the confirmation: encrypted, then forgotten."""

    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    file_name = models.CharField(max_length=100)
    rows = EncryptedJSONField(null=True)
    done_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.file_name


Status = MeterRead.Status
REQUEST = queue.register(
    queue.Queue(
        name="metering.request",
        model_label="metering.MeterRead",
        ready=Q(status=Status.WAITING),
        limit=20,
    )
)
FETCH = queue.register(
    queue.Queue(
        name="metering.fetch",
        model_label="metering.MeterRead",
        ready=Q(status=Status.REQUESTED),
        limit=20,
    )
)
CANCEL = queue.register(
    queue.Queue(
        name="metering.cancel",
        model_label="metering.MeterRead",
        ready=Q(status=Status.CANCELLED, cancel_due=True),
        limit=20,
    )
)
STORE = queue.register(
    queue.Queue(
        name="metering.store",
        model_label="metering.Delivery",
        ready=Q(state=Delivery.State.WAITING),
        lease=timedelta(seconds=120),
    )
)


def hash_token(token: str) -> str:
    """How a token in an address is looked up: SHA-256, so the database holds no usable one."""
    return hashlib.sha256(token.encode()).hexdigest()
