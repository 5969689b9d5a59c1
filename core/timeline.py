"""A case's history for its page: moves, calls, e-mails and notes, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from core.models import Email, Note, PartnerCall, StatusChange
from core.workflow import Case, transition

LIMIT = 200


@dataclass(frozen=True)
class Entry:
    """One line of the timeline. `kind` is move, call, note or bad."""

    kind: str
    title: str
    at: datetime
    text: str = ""
    said: str = ""
    url: str = ""
    url_label: str = ""


def timeline(case: Case) -> list[Entry]:
    """Everything that happened to a case, newest first (four queries)."""
    entries = [*_moves(case), *_calls(case), *_notes(case), *_emails(case)]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:LIMIT]


def _moves(case: Case) -> Iterator[Entry]:
    labels = dict(type(case).Status.choices)
    for row in StatusChange.objects.for_case(case).order_by("-at", "-pk")[:LIMIT]:
        title = f"{labels.get(row.from_status, row.from_status)} to {labels[row.to_status]}"
        text = f"by {row.by_name}{_verb(case, row.move)}"
        yield Entry("move", title if row.from_status else "Received", row.at, text, row.note)


def _verb(case: Case, name: str) -> str:
    try:
        return f": {transition(type(case), name).label}"
    except KeyError:
        return ""


def _calls(case: Case) -> Iterator[Entry]:
    for call in PartnerCall.objects.for_case(case).defer("reply_unread")[:LIMIT]:
        answered = call.outcome in {"answered", "refused"}
        seconds = "" if call.duration_ms is None else f", {call.duration_ms / 1000:.1f} s"
        status = f", HTTP {call.http_status}" if call.http_status else ""
        yield Entry(
            "call" if answered else "bad",
            f"{call.party} {'answered' if answered else 'gave no usable answer'}",
            call.started_at,
            f"{call.operation}{status}{seconds}. {call.problem}".strip(),
            url=call.get_absolute_url(),
        )


def _notes(case: Case) -> Iterator[Entry]:
    titles = {
        Note.Kind.NOTE: "{} noted",
        Note.Kind.ASSIGNED: "Assigned by {}",
        Note.Kind.REVEALED: "{} revealed a secret",
        Note.Kind.EVENT: "Recorded by {}",
    }
    for note in Note.objects.for_case(case).order_by("-at", "-pk")[:LIMIT]:
        title = titles[Note.Kind(note.kind)].format(note.by_name)
        yield Entry("note", title[:1].upper() + title[1:], note.at, said=note.text)


def _emails(case: Case) -> Iterator[Entry]:
    about = Email.objects.filter(case_label=case.case_label, case_id=case.pk)
    for email in about.only("subject", "state", "created_at", "to", "problem")[:LIMIT]:
        kind = "bad" if email.state == Email.State.FAILED else "call"
        text = f"to {email.to}. {email.problem}".strip()
        title = f"E-mail “{email.subject}”: {email.get_state_display().lower()}"
        yield Entry(
            kind,
            title,
            email.created_at,
            text,
            url=email.get_absolute_url(),
            url_label="See the e-mail",
        )
