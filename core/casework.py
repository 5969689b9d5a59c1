"""What people do with any case without moving it: notes, assignment, recorded looks at secrets."""

from datetime import datetime

from django.db import transaction

from core.models import AboutCase, Note, User
from core.workflow import Actor, Case


def note(
    case: Case, *, text: str, by: Actor, now: datetime, kind: Note.Kind = Note.Kind.NOTE
) -> Note:
    """Add a note to a case's history."""
    return Note.objects.create(
        case_label=case.case_label,
        case_id=case.pk,
        reference=case.reference,
        kind=kind,
        by=by.user,
        by_name=by.name,
        at=now,
        text=text,
    )


def assign(case: Case, *, to: User | None, by: Actor, now: datetime) -> None:
    """Give a case to a person, or to nobody, and record it."""
    name = str(to) if to else "nobody"
    with transaction.atomic():
        type(case)._default_manager.filter(pk=case.pk).update(assigned_to=to)
        note(case, text=f"Given to {name}.", by=by, now=now, kind=Note.Kind.ASSIGNED)


def reveal(case: Case, *, what: str, by: Actor, now: datetime) -> None:
    """Record that a person looked at a secret of this case; call it before showing the secret."""
    note(case, text=f"Looked at {what}.", by=by, now=now, kind=Note.Kind.REVEALED)


def reveal_about(row: AboutCase, *, what: str, by: Actor, now: datetime) -> None:
    """Record a look at a secret kept in a row about a case."""
    Note.objects.create(
        case_label=row.case_label,
        case_id=row.case_id,
        reference=row.reference,
        kind=Note.Kind.REVEALED,
        by=by.user,
        by_name=by.name,
        at=now,
        text=f"Looked at {what}.",
    )
