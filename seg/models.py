"""The export tariff desk's rows: applications, what the registry said, checks, questions, tariffs.

An application's status follows TRANSITIONS alone; see docs/workflows.md for the picture.
"""

import hashlib
from datetime import date, timedelta
from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from core import queue
from core.fields import EncryptedJSONField, EncryptedTextField
from core.models import User
from core.workflow import Case, CaseQuerySet, Transition, Who

DECIDE = "seg.decide_application"
REOPEN = "seg.reopen_application"


class Tariff(models.Model):
    """An export tariff: what a customer is paid, and when it is open for new applications."""

    code = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    rate = models.DecimalField(
        "rate (p/kWh)",
        max_digits=7,
        decimal_places=3,
        validators=[MinValueValidator(0)],
    )
    open_from = models.DateField()
    open_to = models.DateField(null=True, blank=True, help_text="last day; empty means no end")

    class Meta:
        ordering = ("-open_from",)
        constraints = [
            models.CheckConstraint(
                condition=Q(rate__gt=0),
                name="seg_tariff_rate_above_zero",
                violation_error_message="The rate must be above 0 p/kWh.",
            ),
            models.CheckConstraint(
                condition=Q(open_to=None) | Q(open_to__gte=models.F("open_from")),
                name="seg_tariff_ends_after_it_starts",
                violation_error_message="The last day is before the first.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}, {self.rate.normalize():f} p/kWh"

    @classmethod
    def open_on(cls, day: date) -> "Tariff | None":
        """The tariff that was open for applications on a day; the newest if several were."""
        open_ended = Q(open_to=None) | Q(open_to__gte=day)
        return cls.objects.filter(open_ended, open_from__lte=day).order_by("-open_from").first()


class ApplicationQuerySet(CaseQuerySet):
    """Applications, and the questions that rules and pages ask of them."""

    def live(self) -> "ApplicationQuerySet":
        """Applications that hold their certificate and export MPAN."""
        return self.filter(status__in=Application.LIVE)

    def by_token(self, token: str) -> "ApplicationQuerySet":
        """The application behind a private tracking link."""
        return self.filter(token_sha256=hash_token(token))


def hash_token(token: str) -> str:
    """How a token in a link is looked up: SHA-256, so the database holds no usable link."""
    return hashlib.sha256(token.encode()).hexdigest()


class Application(Case):
    """A customer's application for the Smart Export Guarantee."""

    class Status(models.TextChoices):
        """What staff see; a customer reads it in plainer words."""

        CHECKING = "checking", "Checking"
        REVIEW = "review", "Needs review"
        WAITING = "waiting", "Waiting for customer"
        APPROVED = "approved", "Approved"
        SUSPENDED = "suspended", "Suspended"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"

    class Kind(models.TextChoices):
        """What is applied for."""

        NEW = "new", "A new installation"
        EXTENSION = "extension", "More panels on one we know"
        SWITCH = "switch", "Moving from another supplier"

    class Told(models.TextChoices):
        """Whether the distributor was told about the installation."""

        YES = "yes", "Yes"
        NO = "no", "No"
        UNKNOWN = "unknown", "I don’t know"

    class Trouble(models.TextChoices):
        """Why the registry gave no usable answer: it is silent, or its reply is odd."""

        SILENT = "silent", "The registry is silent"
        ODD = "odd", "The registry’s reply is not what it promises"

    FIRST: ClassVar[str] = Status.CHECKING
    TAGS: ClassVar[dict[str, str]] = {
        Status.CHECKING: "busy",
        Status.REVIEW: "look",
        Status.WAITING: "idle",
        Status.APPROVED: "good",
        Status.SUSPENDED: "bad",
        Status.REFUSED: "bad",
        Status.WITHDRAWN: "idle",
    }
    LIVE: ClassVar[tuple[str, ...]] = (
        Status.CHECKING,
        Status.REVIEW,
        Status.WAITING,
        Status.APPROVED,
        Status.SUSPENDED,
    )
    NEEDS_PERSON: ClassVar[tuple[str, ...]] = (Status.REVIEW, Status.SUSPENDED)
    TRANSITIONS: ClassVar[tuple[Transition, ...]] = (
        Transition(
            "approve_clean",
            (Status.CHECKING,),
            Status.APPROVED,
            "Approve, all checks pass",
            Who.PORTAL,
        ),
        Transition(
            "refuse_by_rule",
            (Status.CHECKING,),
            Status.REFUSED,
            "Refuse, the certificate cannot qualify",
            Who.PORTAL,
        ),
        Transition(
            "give_to_person",
            (Status.CHECKING,),
            Status.REVIEW,
            "Give to a person",
            Who.PORTAL,
        ),
        Transition(
            "ask_for_number",
            (Status.CHECKING,),
            Status.WAITING,
            "Ask for the right certificate number",
            Who.PORTAL,
        ),
        Transition(
            "approve",
            (Status.REVIEW,),
            Status.APPROVED,
            "Approve for the tariff",
            Who.PERSON,
            DECIDE,
            primary=True,
        ),
        Transition(
            "ask",
            (Status.REVIEW,),
            Status.WAITING,
            "Ask the customer",
            Who.PERSON,
            DECIDE,
            needs_note=True,
        ),
        Transition(
            "reinstate",
            (Status.SUSPENDED,),
            Status.APPROVED,
            "Reinstate the tariff",
            Who.PERSON,
            DECIDE,
            needs_note=True,
            primary=True,
        ),
        Transition(
            "refuse",
            (Status.REVIEW, Status.SUSPENDED),
            Status.REFUSED,
            "Refuse",
            Who.PERSON,
            DECIDE,
            needs_note=True,
        ),
        Transition(
            "amend",
            (Status.REVIEW, Status.WAITING),
            Status.CHECKING,
            "Correct for the customer",
            Who.PERSON,
            DECIDE,
        ),
        Transition(
            "check_again",
            (Status.REVIEW, Status.WAITING),
            Status.CHECKING,
            "Ask the registry again now",
            Who.PERSON,
            DECIDE,
        ),
        Transition(
            "withdraw",
            (
                Status.CHECKING,
                Status.REVIEW,
                Status.WAITING,
                Status.APPROVED,
                Status.SUSPENDED,
            ),
            Status.WITHDRAWN,
            "Withdraw for the customer",
            Who.PERSON,
            DECIDE,
            needs_note=True,
        ),
        Transition(
            "reopen",
            (Status.APPROVED, Status.REFUSED, Status.WITHDRAWN),
            Status.REVIEW,
            "Reopen",
            Who.PERSON,
            REOPEN,
            needs_note=True,
        ),
        Transition(
            "stop_decision",
            (Status.APPROVED, Status.REFUSED, Status.WITHDRAWN, Status.WAITING),
            Status.REVIEW,
            "Stop the decision before it is told",
            Who.PERSON,
            DECIDE,
            button=False,
        ),
        Transition(
            "answer",
            (Status.WAITING,),
            Status.REVIEW,
            "Answer our question",
            Who.CUSTOMER,
        ),
        Transition(
            "correct",
            (Status.REVIEW, Status.WAITING),
            Status.CHECKING,
            "Correct a detail",
            Who.CUSTOMER,
        ),
        Transition(
            "withdraw_own",
            (Status.CHECKING, Status.REVIEW, Status.WAITING),
            Status.WITHDRAWN,
            "Withdraw my application",
            Who.CUSTOMER,
        ),
        Transition(
            "suspend",
            (Status.APPROVED,),
            Status.SUSPENDED,
            "Suspend, the certificate no longer stands",
            Who.PORTAL,
        ),
    )

    # What the applicant said
    kind = models.CharField("applies as", max_length=10, choices=Kind, default=Kind.NEW)
    certificate_number = models.CharField("MCS certificate number", max_length=255, db_index=True)
    address_line_1 = models.CharField(max_length=255)
    address_line_2 = models.CharField(max_length=255, blank=True)
    town = models.CharField("town or city", max_length=255)
    postcode = models.CharField(max_length=10, db_index=True)
    import_mpan = models.CharField("import MPAN", max_length=13, blank=True, db_index=True)
    export_mpan = models.CharField("export MPAN", max_length=13, blank=True, db_index=True)
    dno_told = models.CharField("distributor told", max_length=10, choices=Told)
    battery = models.BooleanField(default=False)
    no_fit_export = models.BooleanField("declares to get no FIT export payments", default=False)
    name = models.CharField(max_length=150, db_index=True)
    email = models.EmailField("e-mail", db_index=True)
    phone = models.CharField(max_length=30, blank=True)
    postal_address = models.TextField("postal address", blank=True, help_text="if different")
    account_name = models.CharField("name on the account", max_length=100)
    sort_code = EncryptedTextField()
    account_number = EncryptedTextField()
    terms_version = models.CharField(max_length=20)
    terms_accepted_at = models.DateTimeField()
    # What became of it
    received_at = models.DateTimeField(db_index=True)
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, null=True, blank=True)
    decision_reason = models.TextField("reason as the customer reads it", blank=True)
    capacity = models.DecimalField(
        "capacity (kW)", max_digits=18, decimal_places=2, null=True, blank=True
    )
    in_progress_since = models.DateTimeField(null=True, blank=True, editable=False)
    trouble = models.CharField(
        "trouble with the registry", max_length=6, choices=Trouble, blank=True, editable=False
    )
    verified_at = models.DateTimeField("registry last read", null=True, blank=True, editable=False)
    token = EncryptedTextField(editable=False)
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    submission_key = models.CharField(max_length=64, unique=True, editable=False)

    objects = ApplicationQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = "export tariff application"
        ordering = ("-received_at",)
        permissions = [
            ("decide_application", "Can decide applications"),
            ("reopen_application", "Can reopen decided applications"),
            ("reveal_bank_details", "Can reveal bank details"),
        ]
        indexes = [models.Index(fields=["status", "received_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["certificate_number"],
                condition=Q(status__in=["approved", "suspended"]),
                name="seg_one_paid_application_a_certificate",
            ),
            models.UniqueConstraint(
                fields=["export_mpan"],
                condition=Q(status__in=["approved", "suspended"]) & ~Q(export_mpan=""),
                name="seg_one_paid_application_an_export_mpan",
            ),
        ]

    def get_absolute_url(self) -> str:
        """The page of this case for staff."""
        return reverse("seg:case", args=[self.reference])

    @property
    def address(self) -> tuple[str, ...]:
        """The site address without its postcode."""
        return tuple(x for x in (self.address_line_1, self.address_line_2, self.town) if x)

    @property
    def site(self) -> str:
        """The site address on one line."""
        return ", ".join((*self.address, self.postcode))

    @property
    def title(self) -> str:
        """The heading of the case."""
        size = f", {self.capacity.normalize():f} kW solar" if self.capacity else ""
        return f"{self.name}{size}"

    @property
    def masked_account(self) -> str:
        """The bank account with all but its last digits hidden."""
        return f"·· ·· {self.sort_code[-2:]}, ···· {self.account_number[-4:]}"

    @property
    def registry_silent(self) -> bool:
        """Whether the last attempt to ask the registry came to nothing."""
        return bool(self.trouble)

    @property
    def askable(self) -> bool:
        """Whether the registry may be asked again about it now."""
        states = self.Status
        return self.status in (
            states.CHECKING,
            states.REVIEW,
            states.WAITING,
            states.APPROVED,
        )

    def latest_verification(self) -> "Verification | None":
        """What the registry said last, with its checks."""
        return self.verifications.prefetch_related("checks").order_by("-at", "-pk").first()


class Verification(models.Model):
    """One answer of the registry about one application: parsed, raw and checked."""

    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, related_name="verifications"
    )
    at = models.DateTimeField()
    asked_number = models.CharField(max_length=255)
    found = models.BooleanField()
    installation = models.JSONField(null=True, blank=True)
    raw = models.TextField("reply as kept", blank=True)
    verdict = models.CharField(max_length=20)
    why = models.CharField(max_length=300)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=["application", "at"])]

    def __str__(self) -> str:
        return f"{self.asked_number}: {self.why}"


class Check(models.Model):
    """One rule applied in one verification, with both sides' evidence."""

    class Result(models.TextChoices):
        """What the rule found."""

        PASS = "pass", "Pass"
        LOOK = "look", "Look"
        FAIL = "fail", "Fail"

    TAGS: ClassVar[dict[str, str]] = {
        Result.PASS: "good",
        Result.LOOK: "look",
        Result.FAIL: "bad",
    }

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="checks")
    position = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40)
    title = models.CharField(max_length=80)
    result = models.CharField(max_length=4, choices=Result)
    sentence = models.TextField()
    ours = models.TextField(blank=True)
    theirs = models.TextField(blank=True)
    customer_sentence = models.TextField(blank=True)
    brief = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return f"{self.title}: {self.get_result_display()}"

    @property
    def tag(self) -> str:
        """The tag's kind for this result."""
        return self.TAGS[self.result]


class Question(models.Model):
    """A question to the customer and what came back."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="questions")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    text = models.TextField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(blank=True)

    class Meta:
        ordering = ("asked_at",)

    def __str__(self) -> str:
        return self.text[:80]


class Draft(models.Model):
    """What a customer has typed so far, encrypted, forgotten after 14 days."""

    KEPT_FOR = timedelta(days=14)

    key = models.CharField(max_length=64, unique=True)
    answers = EncryptedJSONField(default=dict)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"draft of {self.created_at:%d %b}"


def stored_name(_: Any, filename: str) -> str:
    """Where an upload is stored: under a random name, whatever it was called."""
    import secrets

    return f"seg/{secrets.token_hex(16)}.{filename.rpartition('.')[2]}"


class Attachment(models.Model):
    """A file from a customer, checked by its content."""

    application = models.ForeignKey(
        Application,
        on_delete=models.PROTECT,
        related_name="attachments",
        null=True,
        blank=True,
    )
    draft = models.ForeignKey(
        Draft,
        on_delete=models.SET_NULL,
        related_name="attachments",
        null=True,
        blank=True,
    )
    question = models.ForeignKey(
        Question,
        on_delete=models.PROTECT,
        related_name="attachments",
        null=True,
        blank=True,
    )
    file = models.FileField(upload_to=stored_name, max_length=200)
    name = models.CharField(max_length=100)
    content_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("received_at", "pk")

    def __str__(self) -> str:
        return self.name


VERIFY = queue.register(
    queue.Queue(
        name="seg.verify",
        model_label="seg.Application",
        ready=Q(status=Application.Status.CHECKING),
    )
)
VERIFY_AGAIN = queue.register(
    queue.Queue(
        name="seg.verify_again",
        model_label="seg.Application",
        ready=Q(status=Application.Status.APPROVED),
    )
)
