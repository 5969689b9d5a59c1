"""What a tracking page says: where the application is, what happens next, what is needed.

Reads and never changes anything. A person's decision is not told before its e-mail has left: until
then the page says what it said before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.utils import timezone

from core import mail
from core.models import StatusChange
from seg import actions, rules
from seg.models import Application, Question, Tariff, Verification

Status = Application.Status

TOLD_BY_MAIL: Final = frozenset({"approve", "reinstate", "refuse", "ask", "withdraw"})
UNDECIDED: Final = frozenset({"checking", "silent", "in_progress", "review"})
ANSWERED_FROM_HERE: Final = frozenset({"answer", "reopen", "suspend"})
FAST, SLOW = 2, 20  # seconds between two looks
RECENT = timedelta(minutes=10)
SETTLED: Final = frozenset({"approved", "refused", "withdrawn", "suspended"})
HEADINGS: Final = {
    "checking": "We are checking your certificate",
    "silent": "We are still checking",
    "in_progress": "Your certificate is not finished yet",
    "review": "A person is deciding on your application",
    "number": "Please check your certificate number",
    "question": "We have a question for you",
    "approved": "Your application is approved",
    "suspended": "Your export tariff is paused",
    "refused": "We cannot approve your application",
    "withdrawn": "Your application is withdrawn",
}
# What the customer may do in which state; the transition table has the last word.
FORMS: Final = {
    "number": frozenset({"number"}),
    "answer": frozenset({"question"}),
    "correct": frozenset({"review", "number", "question"}),
    "withdraw": frozenset({"checking", "silent", "in_progress", "review", "number", "question"}),
}


@dataclass(frozen=True)
class Step:
    """One step of the way; `mark` is done, now or empty."""

    title: str
    mark: str = ""
    at: datetime | None = None
    text: str = ""
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Story:
    """Where an application stands as its customer is told. `untold` while a decision waits."""

    application: Application
    state: str
    since: datetime
    move: str
    untold: bool

    @property
    def heading(self) -> str:
        """The state in one line."""
        return HEADINGS[self.state]

    @property
    def version(self) -> str:
        """Changes whenever the page would say something else; starts with the state."""
        row = self.application
        since = "" if self.state in UNDECIDED else self.since
        told = (self.state, since, row.verified_at, row.in_progress_since, row.export_mpan)
        return f"{self.state}-{sha256(repr(told).encode()).hexdigest()[:12]}"

    def pace(self, now: datetime) -> int:
        """How many seconds to wait before looking again."""
        lively = self.state == "checking" or now - self.since < RECENT
        return FAST if self.untold or (lively and self.state not in SETTLED) else SLOW

    def may(self, what: str) -> bool:
        """Whether the page offers this to the customer."""
        return self.state in FORMS[what]

    @property
    def reason(self) -> str:
        """Why it was decided like this, unless another decision is on its way.

        How to ask for a review has a place of its own on the page.
        """
        reason = self.application.decision_reason.removesuffix(rules.ASK_FOR_REVIEW)
        return "" if self.untold else reason.strip()

    @property
    def answer_by(self) -> datetime | None:
        """When we promised to decide; a decision that is not told yet has not ended the promise."""
        if self.application.due_by or not self.untold:
            return self.application.due_by
        start = self.since if self.move in ANSWERED_FROM_HERE else self.application.received_at
        return rules.answer_by(start, settings.SEG_ANSWER_WORKING_DAYS)

    @cached_property
    def tariff(self) -> Tariff | None:
        """The tariff approved, or the one open on the day of receipt."""
        return self.application.tariff or actions.tariff_for(self.application)

    @property
    def rate(self) -> str:
        """What the tariff pays: "15.1 p/kWh", kept together by a no-break space."""
        return f"{self.tariff.rate.normalize():f}\N{NO-BREAK SPACE}p/kWh" if self.tariff else ""

    @cached_property
    def question(self) -> Question | None:
        """The question that waits for an answer."""
        if self.state != "question":
            return None
        return self.application.questions.filter(answered_at=None, withdrawn_at=None).last()


def story(application: Application) -> Story:
    """Say where an application stands, as far as its customer has been told."""
    changes = list(StatusChange.objects.for_case(application).order_by("-at", "-pk")[:2])
    waits = mail.waiting_for(application, actions.DECISION) is not None
    untold = waits and bool(changes) and changes[0].move in TOLD_BY_MAIL
    told = changes[1:] if untold else changes
    status = changes[0].from_status if untold else application.status
    return Story(
        application=application,
        state=_state(application, status, asked=bool(told) and told[0].move == "ask"),
        since=told[0].at if told else application.received_at,
        move=told[0].move if told else "",
        untold=untold,
    )


def _state(application: Application, status: str, *, asked: bool) -> str:
    if status == Status.WAITING:
        return "question" if asked else "number"
    if status != Status.CHECKING:
        return status
    if application.registry_silent:
        return "silent"
    return "in_progress" if application.in_progress_since else "checking"


# ---- The way ---------------------------------------------------------------------------------


def steps(told: Story, verification: Verification | None) -> list[Step]:
    """List the steps of the way, from sending to the first payment."""
    application = told.application
    sent = Step("You sent it", "done", application.received_at)
    if told.state == "withdrawn":
        return [sent, Step("It was withdrawn", "done", told.since)]
    return [sent, _certificate(told, verification), *_decision(told, verification)]


def _certificate(told: Story, verification: Verification | None) -> Step:
    now = {
        "checking": "Happening now. It often takes only a few seconds.",
        "silent": "Happening now, but MCS does not answer us at the moment.",
        "in_progress": "MCS shows it as “in progress”. We look again every day.",
        "number": "MCS does not know this number. Please correct it above.",
    }.get(told.state, "")
    if now:
        return Step("We look up your certificate", "now", text=now)
    if verification is None or not verification.found:
        return Step("We look up your certificate", "done", text="A person is doing this.")
    return Step("We found your certificate", "done", verification.at)


def _decision(told: Story, verification: Verification | None) -> Iterator[Step]:
    if told.state in ("approved", "refused", "suspended"):
        yield Step("We compared the details", "done")
    else:
        yield _comparison(told, verification)
    match told.state:
        case "approved":
            yield Step("We approved it", "done", told.since)
            yield Step("Your first payment", "now", text=_payment(told))
        case "suspended":
            yield Step("We approved it", "done")
            yield Step("We paused it", "now", told.since, "A person looks at it.")
        case "refused":
            yield Step("We decided", "done", told.since, "We cannot approve it.")
        case _:
            yield Step("We decide", text=_by_when(told))
            yield Step("Your first payment", text=f"If we approve: {_payment(told).lower()}")


def _comparison(told: Story, verification: Verification | None) -> Step:
    if told.state not in ("review", "question"):
        return Step("We compare the details")
    checks = list(verification.checks.all()) if verification else []
    points = tuple(row.customer_sentence for row in checks if row.customer_sentence)
    text = "We wait for your answer." if told.state == "question" else "Happening now, by a person."
    if points:
        text += " What differs is often harmless, and it is not a refusal:"
    return Step("We compare the details", "now", text=text, points=points)


def _by_when(told: Story) -> str:
    due = told.answer_by
    if due is None or told.state in ("number", "question", "in_progress"):
        return "Next, as soon as we have what is missing"
    day = timezone.localtime(due)
    return f"Next, by {day:%A} {day.day} {day:%B}"


def _payment(told: Story) -> str:
    if told.application.export_mpan:
        return "Within 3 months"
    return "Within 3 months after we have your export meter number"


def in_progress_until(application: Application) -> datetime | None:
    """Until when an unfinished certificate is looked at again by itself."""
    since = application.in_progress_since
    return since + timedelta(days=settings.SEG_IN_PROGRESS_DAYS) if since else None
