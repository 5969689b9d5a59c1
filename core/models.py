"""The frame's own rows: people, the history of cases, calls to parties, e-mails and alarms.

History is append-only: these rows are written once and refuse to be changed or deleted.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NoReturn

from django.contrib.auth.models import AbstractUser
from django.db import IntegrityError, models, transaction
from django.db.models import F
from django.urls import reverse

from core import queue
from core.fields import EncryptedTextField
from core.workflow import Case


class User(AbstractUser):
    """A member of staff; signs in with an e-mail address."""

    email = models.EmailField("e-mail", unique=True)

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Written(TypeError):
    """Code tried to change or delete a row of the history."""


class HistoryQuerySet(models.QuerySet[Any]):
    """Rows that can be added and read, never changed."""

    def update(self, **_: Any) -> NoReturn:
        """Refuse."""
        raise Written("The history is append-only.")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise Written("The history is append-only.")

    def bulk_update(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise Written("The history is append-only.")

    def bulk_create(  # type: ignore[override]
        self, objs: Iterable[Any], *, update_conflicts: bool = False, **rest: Any
    ) -> list[Any]:
        """Add many rows; an upsert is refused."""
        if update_conflicts:
            raise Written("The history is append-only.")
        return super().bulk_create(objs, **rest)

    def for_case(self, case: Case) -> "HistoryQuerySet":
        """The rows about one case."""
        return self.filter(case_label=case.case_label, case_id=case.pk)


class AboutCase(models.Model):
    """A row that may belong to a case of any desk. `case_label` is like "seg.application"."""

    case_label = models.CharField(max_length=60, blank=True)
    case_id = models.BigIntegerField(null=True, blank=True)
    reference = models.CharField(max_length=20, blank=True)

    class Meta:
        abstract = True

    @property
    def desk(self) -> str:
        """The desk's short name, empty when the row belongs to none."""
        return self.case_label.partition(".")[0]

    @property
    def case_url(self) -> str:
        """Where the case is shown, empty when there is none."""
        return reverse(f"{self.desk}:case", args=[self.reference]) if self.reference else ""


class History(AboutCase):
    """Append-only rows about cases."""

    objects = HistoryQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row; refuse to change it."""
        if not self._state.adding:
            raise Written("The history is append-only.")
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise Written("The history is append-only.")


class StatusChange(History):
    """One move of one case: from, to, by whom, when and why."""

    move = models.CharField(max_length=40)
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    by_name = models.CharField(max_length=310)
    at = models.DateTimeField(db_index=True)
    note = models.TextField(blank=True)
    confirmation = models.CharField(max_length=64, unique=True, null=True, blank=True)

    class Meta:
        ordering = ("at", "pk")
        indexes = [models.Index(fields=["case_label", "case_id", "at"])]

    def __str__(self) -> str:
        return f"{self.reference}: {self.from_status or 'new'} to {self.to_status}"


class Note(History):
    """Something said or done about a case that did not move it."""

    class Kind(models.TextChoices):
        """What kind of thing was recorded."""

        NOTE = "note", "Note"
        ASSIGNED = "assigned", "Assigned"
        REVEALED = "revealed", "Secret revealed"
        EVENT = "event", "Event"

    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NOTE)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    by_name = models.CharField(max_length=310)
    at = models.DateTimeField(db_index=True)
    text = models.TextField(max_length=5000)

    class Meta:
        ordering = ("at", "pk")
        indexes = [models.Index(fields=["case_label", "case_id", "at"])]

    def __str__(self) -> str:
        return f"{self.reference}: {self.text[:60]}"


class PartnerCall(History):
    """One call to an outside party, with all but listed keys removed."""

    party = models.CharField(max_length=60, db_index=True)
    operation = models.CharField(max_length=60)
    kind = models.CharField(max_length=10)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    by_name = models.CharField(max_length=310)
    started_at = models.DateTimeField(db_index=True)
    duration_ms = models.PositiveIntegerField(null=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=20, db_index=True)
    problem = models.TextField(blank=True)
    request_line = models.TextField(blank=True)
    request_headers = models.JSONField(default=dict)
    request_body = models.TextField(blank=True)
    reply_headers = models.JSONField(default=dict)
    reply_body = models.TextField(blank=True)
    reply_unread = EncryptedTextField(blank=True)
    reply_size = models.PositiveIntegerField(default=0)
    reply_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = "call to a party"
        verbose_name_plural = "calls to parties"
        permissions = [("reveal_reply", "Can reveal replies that could not be read")]
        ordering = ("-started_at", "-pk")
        indexes = [
            models.Index(fields=["case_label", "case_id", "started_at"]),
            models.Index(fields=["party", "started_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.operation}, {self.outcome}"

    def get_absolute_url(self) -> str:
        """The page of this call."""
        return reverse("call", args=[self.pk])


class Email(queue.QueueRow, AboutCase):
    """An e-mail to send: at least once, always with the same Message-ID."""

    class State(models.TextChoices):
        """Where the e-mail stands."""

        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Could not be sent"

    TAGS = {
        State.WAITING: "busy",
        State.SENT: "good",
        State.STOPPED: "idle",
        State.FAILED: "bad",
    }

    purpose = models.CharField(max_length=40)
    message_id = models.CharField(max_length=120, unique=True)
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    text = models.TextField()
    private = EncryptedTextField(blank=True, help_text="filled into [link] when it is sent")
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    by_name = models.CharField(max_length=310)
    created_at = models.DateTimeField(db_index=True)
    send_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = "e-mail"
        ordering = ("-created_at", "-pk")
        indexes = [models.Index(fields=["case_label", "case_id", "created_at"])]

    def __str__(self) -> str:
        return f"{self.subject} ({self.get_state_display()})"

    def get_absolute_url(self) -> str:
        """The page of this e-mail."""
        return reverse("mail", args=[self.pk])

    @property
    def tag(self) -> str:
        """The tag's kind for its state."""
        return self.TAGS[self.State(self.state)]


class Enclosure(models.Model):
    """A file that goes with an e-mail."""

    email = models.ForeignKey(Email, on_delete=models.CASCADE, related_name="enclosures")
    name = models.CharField(max_length=100)
    content_type = models.CharField(max_length=60)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.name


class Alarm(models.Model):
    """Something staff must know once: open until it is over or somebody acknowledges it."""

    key = models.CharField(max_length=100)
    desk = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    next_step = models.TextField(blank=True)
    raised_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    lasting = models.BooleanField(default=True, help_text="over by itself, not by being seen")
    over_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    acknowledged_note = models.TextField(blank=True)

    class Meta:
        ordering = ("-raised_at",)
        permissions = [("acknowledge_alarm", "Can acknowledge alarms")]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(over_at=None),
                name="one_open_alarm_a_key",
            )
        ]

    def __str__(self) -> str:
        return self.title


class Heartbeat(models.Model):
    """When a part of the portal last showed that it is alive."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class Counter(models.Model):
    """A number that only grows, kept by conditional UPDATE."""

    name = models.CharField(max_length=120, primary_key=True)
    value = models.PositiveBigIntegerField(default=0)
    forget_after = models.DateTimeField(null=True, blank=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


def count(name: str, *, by: int = 1, forget_after: datetime | None = None) -> int:
    """Add to a counter, which starts at 0, and return its value. Safe with many writers."""
    with transaction.atomic():
        if not Counter.objects.filter(name=name).update(value=F("value") + by):
            try:
                with transaction.atomic():
                    Counter.objects.create(name=name, value=by, forget_after=forget_after)
            except IntegrityError:
                Counter.objects.filter(name=name).update(value=F("value") + by)
        return Counter.objects.values_list("value", flat=True).get(name=name)


def next_reference(prefix: str, now: datetime) -> str:
    """The next reference of a desk: prefix, year and month, running number ("SEG-2611-0417")."""
    return next_references(prefix, now, 1)[0]


def next_references(prefix: str, now: datetime, number: int) -> list[str]:
    """The next references of a desk, taken together by one UPDATE."""
    month = f"{prefix}-{now:%y%m}"
    last = count(f"reference {month}", by=number)
    return [f"{month}-{each:04d}" for each in range(last - number + 1, last + 1)]


def new_message_id(domain: str) -> str:
    """A Message-ID that stays the same however often the e-mail is tried."""
    return f"<{uuid.uuid4()}@{domain}>"
