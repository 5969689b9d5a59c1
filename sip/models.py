"""The safe isolation desk's rows: jobs, worksheets, photos, messages, attempts, code lists.

A job follows TRANSITIONS alone; see docs/workflows.md for the picture. A message is frozen before
it is sent, and every authorised send is an attempt of its own that is never repeated by itself.
"""

import secrets
import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from core import queue
from core.fields import EncryptedJSONField, EncryptedTextField
from core.models import User
from core.workflow import Case, CaseQuerySet, Transition, Who
from sip import messages

VIEW = "sip.view_job"
ADD = "sip.add_job"
CHANGE = "sip.change_job"
OWN = "sip.work_own_job"
FILL = "sip.fill_job"
SEND_IT = "sip.send_job"
RESOLVE = "sip.resolve_job"
READ_PRIVATE = "sip.read_private"


class JobQuerySet(CaseQuerySet):
    """Jobs, and who may see which."""

    def seen_by(self, user: User) -> "JobQuerySet":
        """All jobs for those who see the desk, their own for engineers, else none."""
        if user.has_perm(VIEW):
            return self.all()
        return self.filter(engineer=user) if user.has_perm(OWN) else self.none()


class Job(Case):
    """One visit to one premise, which becomes exactly one market message."""

    class Status(models.TextChoices):
        """What staff see."""

        PLANNED = "planned", "Planned"
        IN_PROGRESS = "in_progress", "In progress"
        CHECK = "check", "To check"
        SENDING = "sending", "Sending"
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Unknown"
        CANCELLED = "cancelled", "Cancelled"

    FIRST: ClassVar[str] = Status.PLANNED
    TAGS: ClassVar[dict[str, str]] = {
        Status.PLANNED: "idle",
        Status.IN_PROGRESS: "busy",
        Status.CHECK: "look",
        Status.SENDING: "busy",
        Status.ACCEPTED: "good",
        Status.REFUSED: "bad",
        Status.UNKNOWN: "unknown",
        Status.CANCELLED: "idle",
    }
    WORKSHEET_OPEN: ClassVar[tuple[str, ...]] = (Status.PLANNED, Status.IN_PROGRESS)
    NEEDS_PERSON: ClassVar[tuple[str, ...]] = (Status.CHECK, Status.REFUSED, Status.UNKNOWN)
    TRANSITIONS: ClassVar[tuple[Transition, ...]] = (
        Transition(
            "start",
            (Status.PLANNED,),
            Status.IN_PROGRESS,
            "Start the worksheet",
            Who.PERSON,
            FILL,
            primary=True,
        ),
        Transition(
            "hand_in",
            (Status.IN_PROGRESS,),
            Status.CHECK,
            "Hand in the worksheet",
            Who.PERSON,
            FILL,
            primary=True,
        ),
        Transition(
            "hand_back",
            (Status.CHECK,),
            Status.IN_PROGRESS,
            "Hand back to the engineer",
            Who.PERSON,
            SEND_IT,
            needs_note=True,
        ),
        Transition(
            "authorise",
            (Status.CHECK,),
            Status.SENDING,
            "Send the market message",
            Who.PERSON,
            SEND_IT,
            primary=True,
        ),
        Transition(
            "stop",
            (Status.SENDING,),
            Status.CHECK,
            "Stop before it is sent",
            Who.PERSON,
            SEND_IT,
        ),
        Transition(
            "accept", (Status.SENDING,), Status.ACCEPTED, "Record their acceptance", Who.PORTAL
        ),
        Transition("refuse", (Status.SENDING,), Status.REFUSED, "Record their no", Who.PORTAL),
        Transition(
            "lose", (Status.SENDING,), Status.UNKNOWN, "Record that the answer is lost", Who.PORTAL
        ),
        Transition(
            "give_up",
            (Status.SENDING,),
            Status.CHECK,
            "Give up, surely nothing was sent",
            Who.PORTAL,
        ),
        Transition(
            "accept_late",
            (Status.UNKNOWN,),
            Status.ACCEPTED,
            "Record their late acceptance",
            Who.PORTAL,
        ),
        Transition(
            "refuse_late", (Status.UNKNOWN,), Status.REFUSED, "Record their late no", Who.PORTAL
        ),
        Transition(
            "not_sent_late",
            (Status.UNKNOWN,),
            Status.CHECK,
            "Record that surely nothing was sent",
            Who.PORTAL,
        ),
        Transition(
            "confirm_received",
            (Status.UNKNOWN,),
            Status.ACCEPTED,
            "They confirmed that they have it",
            Who.PERSON,
            RESOLVE,
            needs_note=True,
        ),
        Transition(
            "confirm_never",
            (Status.UNKNOWN,),
            Status.CHECK,
            "They confirmed that they never received it",
            Who.PERSON,
            RESOLVE,
            needs_note=True,
        ),
        Transition(
            "accept_after_all",
            (Status.IN_PROGRESS, Status.CHECK),
            Status.ACCEPTED,
            "Record that they accepted it after all",
            Who.PERSON,
            RESOLVE,
            needs_note=True,
            button=False,
        ),
        Transition(
            "correct",
            (Status.REFUSED,),
            Status.IN_PROGRESS,
            "Correct the worksheet",
            Who.PERSON,
            FILL,
            primary=True,
        ),
        Transition(
            "cancel",
            (Status.PLANNED, Status.IN_PROGRESS, Status.CHECK, Status.REFUSED),
            Status.CANCELLED,
            "Cancel this job",
            Who.PERSON,
            CHANGE,
            needs_note=True,
        ),
    )

    job_id = models.UUIDField("job id", default=uuid.uuid4, unique=True, editable=False)
    # Copies of the block "job_details" for lists and search; nothing about health or risks
    mpan = models.CharField("MPAN", max_length=13, db_index=True)
    supplier_mpid = models.CharField("supplier’s MPID", max_length=4)
    contact_name = models.CharField("person on site", max_length=100, db_index=True)
    address = models.CharField(max_length=200)
    town = models.CharField(max_length=100)
    post_code = models.CharField("postcode", max_length=8, db_index=True)
    planned_date = models.DateField(db_index=True)
    engineer = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    submission_key = models.CharField(max_length=64, unique=True, editable=False)
    # What became of it
    worked_at = models.DateTimeField("worksheet last saved", null=True, editable=False)
    handed_in_at = models.DateTimeField(null=True, editable=False)
    handed_in_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    outcome = models.CharField("how it ended", max_length=100, blank=True, editable=False)
    refusals = models.PositiveSmallIntegerField(default=0, editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    their_status = models.CharField(max_length=200, blank=True, editable=False)
    their_message = models.CharField(max_length=1000, blank=True, editable=False)
    their_reference = models.CharField(
        "their request id", max_length=200, blank=True, db_index=True, editable=False
    )
    scenario = models.CharField(max_length=200, blank=True, db_index=True, editable=False)
    private_removed_at = models.DateTimeField(null=True, editable=False)

    objects = JobQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = "isolation job"
        ordering = ("-created_at",)
        permissions = [
            ("work_own_job", "Can see and fill in own jobs"),
            ("fill_job", "Can fill in worksheets"),
            ("send_job", "Can send market messages"),
            ("resolve_job", "Can settle unknown messages"),
            ("read_private", "Can read health data and site risks"),
        ]
        indexes = [
            models.Index(fields=["status", "status_at"]),
            models.Index(fields=["engineer", "status"]),
        ]

    def get_absolute_url(self) -> str:
        """The page of this job."""
        return reverse("sip:case", args=[self.reference])

    @property
    def title(self) -> str:
        """The heading of the job."""
        return f"{self.contact_name}, {self.post_code}"

    @property
    def site(self) -> str:
        """The address on one line."""
        return ", ".join(part for part in (self.address, self.town, self.post_code) if part)

    @property
    def tag(self) -> str:
        """The tag's kind for this status."""
        return self.TAGS[self.status]

    def may_read_private(self, user: User) -> bool:
        """Whether this person may read health data and site risks: the engineer and the desk.

        Administrators and supervisors do not, whatever else they may.
        """
        own = self.engineer_id is not None and self.engineer_id == user.pk and user.has_perm(OWN)
        return own or (user.has_perm(READ_PRIVATE) and not user.is_superuser)

    def may_fill(self, user: User) -> bool:
        """Whether this person may fill in this worksheet: its engineer, or the desk.

        Nobody fills in what they may not read.
        """
        return user.has_perm(FILL) and self.may_read_private(user)


class Sheet(models.Model):
    """The answers of one block of a job's worksheet, encrypted, with their revision."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="sheets")
    block = models.CharField(max_length=20)
    answers = EncryptedJSONField(default=dict)
    revision = models.PositiveIntegerField(default=0)
    saved_at = models.DateTimeField(null=True, blank=True)
    saved_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "block of a worksheet"
        verbose_name_plural = "blocks of worksheets"
        ordering = ("job", "pk")
        constraints = [
            models.UniqueConstraint(fields=["job", "block"], name="sip_one_sheet_a_block")
        ]

    def __str__(self) -> str:
        return f"{messages.BLOCKS[self.block].title}, revision {self.revision}"


class Clash(models.Model):
    """Answers that another device had saved over meanwhile: kept beside, shown, then settled."""

    sheet = models.ForeignKey(Sheet, on_delete=models.PROTECT, related_name="clashes")
    answers = EncryptedJSONField(default=dict)
    based_on = models.PositiveIntegerField("based on revision")
    found = models.PositiveIntegerField("found revision")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "clashes"
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.sheet}: another answer of {self.at:%d %b %H:%M}"


class FilledBy(models.Model):
    """Who put something into a job's worksheet; kept also when answers are replaced."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="fillers")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "filled by"
        constraints = [
            models.UniqueConstraint(fields=["job", "user"], name="sip_one_filler_a_person")
        ]

    def __str__(self) -> str:
        return str(self.user)


def photo_name(_: Any, filename: str) -> str:
    """Where a photo is stored: under a random name, whatever it was called."""
    return f"sip/{secrets.token_hex(16)}.{filename.rpartition('.')[2]}"


class Photo(models.Model):
    """A photo of a block: turned upright, scaled, without location; replaced, never changed."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="photos")
    block = models.CharField(max_length=20)
    field = models.CharField(max_length=40)
    file = models.FileField(upload_to=photo_name, max_length=200)
    name = models.CharField(max_length=100)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    original_sha256 = models.CharField(max_length=64)
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("added_at", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["job", "block", "field"],
                condition=Q(replaced_at=None),
                name="sip_one_photo_a_field",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.size // 1024} kB)"

    @property
    def key(self) -> str:
        """Where it belongs: "block.field"."""
        return f"{self.block}.{self.field}"


class Message(models.Model):
    """One version of a job's message, frozen with its SHA-256.

    `outline` is the message with marks where its photos stand; with the files put in, it is byte
    for byte what was frozen. It is removed after the retention period; hash and size stay.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveSmallIntegerField()
    previous = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="next"
    )
    outline = EncryptedTextField(blank=True)
    photos = models.ManyToManyField(Photo, related_name="versions")
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    frozen_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("job", "version")
        constraints = [
            models.UniqueConstraint(fields=["job", "version"], name="sip_one_message_a_version")
        ]

    def __str__(self) -> str:
        return f"version {self.version}"


class Attempt(models.Model):
    """One authorised send of one message: who confirmed it, when it left, what came of it."""

    class Outcome(models.TextChoices):
        """What came of it."""

        WAITING = "waiting", "Waiting to be sent"
        STOPPED = "stopped", "Stopped before it was sent"
        SENDING = "sending", "Being sent"
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused"
        NOT_SENT = "not_sent", "Surely not sent"
        UNKNOWN = "unknown", "Unknown"

    OPEN: ClassVar[tuple[str, ...]] = (Outcome.WAITING, Outcome.SENDING)
    TAGS: ClassVar[dict[str, str]] = {
        Outcome.WAITING: "busy",
        Outcome.STOPPED: "idle",
        Outcome.SENDING: "busy",
        Outcome.ACCEPTED: "good",
        Outcome.REFUSED: "bad",
        Outcome.NOT_SENT: "look",
        Outcome.UNKNOWN: "unknown",
    }

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="sends")
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="sends")
    number = models.PositiveSmallIntegerField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    by_name = models.CharField(max_length=310)
    confirmation = models.CharField(max_length=64, unique=True)
    confirmed_at = models.DateTimeField()
    send_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    claim = models.UUIDField(null=True, blank=True, db_index=True, editable=False)
    started_at = models.DateTimeField("last try started", null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.WAITING)
    sentence = models.CharField(max_length=500, blank=True)
    next_step = models.CharField(max_length=500, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    their_status = models.CharField(max_length=200, blank=True)
    their_message = models.CharField(max_length=1000, blank=True)
    their_reference = models.CharField("their request id", max_length=200, blank=True)
    scenario = models.CharField(max_length=200, blank=True)
    reply = EncryptedTextField("whole reply", blank=True)
    details = EncryptedJSONField("details of a refusal", default=list)
    late_at = models.DateTimeField("answered late", null=True, blank=True)
    late_outcome = models.CharField(max_length=10, choices=Outcome, blank=True)

    class Meta:
        ordering = ("job", "number")
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="sip_one_attempt_a_number"),
            models.UniqueConstraint(
                fields=["job"],
                condition=Q(outcome__in=["waiting", "sending"]),
                name="sip_one_open_attempt_a_job",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.get_outcome_display()}"

    @property
    def tag(self) -> str:
        """The tag's kind for its outcome."""
        return self.TAGS[self.outcome]


def evidence_name(_: Any, filename: str) -> str:
    """Where a piece of evidence is stored: under a random name."""
    return f"sip/evidence/{secrets.token_hex(16)}.{filename.rpartition('.')[2]}"


class Resolution(models.Model):
    """How a person settled an unknown attempt: what the party said, who said it, and why."""

    class Answer(models.TextChoices):
        """What the party confirmed."""

        RECEIVED = "received", "They confirmed that they have it"
        NEVER = "never", "They confirmed that they never received it"

    attempt = models.OneToOneField(Attempt, on_delete=models.PROTECT, related_name="resolution")
    answer = models.CharField(max_length=8, choices=Answer)
    told_by = models.CharField("name at the party", max_length=200)
    reason = models.TextField()
    evidence = models.FileField(upload_to=evidence_name, max_length=200, blank=True)
    evidence_name = models.CharField(max_length=100, blank=True)
    evidence_type = models.CharField(max_length=40, blank=True)
    evidence_sha256 = models.CharField(max_length=64, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.get_answer_display()


class KeyStop(models.Model):
    """The party refused our key: nothing is sent until a person says that it is fixed."""

    since = models.DateTimeField()
    http_status = models.PositiveSmallIntegerField()
    sentence = models.CharField(max_length=500)
    over_at = models.DateTimeField(null=True, blank=True)
    over_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ("-since",)
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=Q(over_at=None), name="sip_one_key_stop_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return self.sentence

    @classmethod
    def current(cls) -> "KeyStop | None":
        """The stop that holds now."""
        return cls.objects.filter(over_at=None).first()


class CodeList(models.Model):
    """A list of codes of the interface, which staff edit; the specification lost its own."""

    name = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=100)
    source = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("title",)

    def __str__(self) -> str:
        return self.title


class Code(models.Model):
    """One value of a code list, with what it means where the party has said so."""

    code_list = models.ForeignKey(CodeList, on_delete=models.CASCADE, related_name="codes")
    value = models.CharField(max_length=100)
    meaning = models.CharField(max_length=200, blank=True)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("code_list", "value")
        constraints = [
            models.UniqueConstraint(fields=["code_list", "value"], name="sip_one_code_a_value")
        ]

    def __str__(self) -> str:
        return f"{self.value}: {self.meaning}" if self.meaning else self.value


class JobImport(models.Model):
    """An upload of jobs between its preview and the confirmation: encrypted, then forgotten."""

    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    file_name = models.CharField(max_length=100)
    rows = EncryptedJSONField(null=True)
    done_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.file_name


SEND = queue.register(
    queue.Queue(
        name="sip.send",
        model_label="sip.Job",
        ready=Q(status=Job.Status.SENDING),
        lease=timedelta(seconds=settings.SIP_DEADLINE + settings.SIP_LEASE_MARGIN),
        limit=settings.SIP_TRIES,
        once=True,
        abandoned_task="sip.abandoned",
    )
)
