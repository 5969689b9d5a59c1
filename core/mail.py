"""E-mails as due rows: written in the action's transaction, sent by the worker, at least once.

A person's decision waits before it leaves; Stop wins only while no worker has claimed the row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from smtplib import SMTPRecipientsRefused
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q

from core import alarms, queue
from core.models import AboutCase, Email, Enclosure, new_message_id
from core.workflow import Actor, Case

MAIL = queue.register(
    queue.Queue(
        name="core.send_mail",
        model_label="core.Email",
        ready=Q(state=Email.State.WAITING),
        limit=200,
    )
)
LINK = "[link]"


@dataclass(frozen=True)
class Enclosed:
    """A file that goes with an e-mail."""

    name: str
    content_type: str
    content: bytes


def post(
    *,
    case: Case | None,
    purpose: str,
    to: str,
    subject: str,
    text: str,
    by: Actor,
    now: datetime,
    link: str = "",
    delay: int = 0,
    enclosed: Iterable[Enclosed] = (),
) -> Email:
    """Queue an e-mail in the caller's transaction; `delay` seconds pass before it may leave.

    A private link is kept encrypted and stands as "[link]" in the text until it is sent.
    """
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2] or "localhost"
    send_at = now + timedelta(seconds=delay)
    email = Email.objects.create(
        **_about(case),
        purpose=purpose,
        message_id=new_message_id(domain),
        to=to,
        subject=subject,
        text=text.replace(link, LINK) if link else text,
        private=link,
        by=by.user,
        by_name=by.name,
        created_at=now,
        send_at=send_at,
    )
    Enclosure.objects.bulk_create(Enclosure(email=email, **vars(each)) for each in enclosed)
    queue.due(MAIL, email.pk, now=now, at=send_at)
    return email


def _about(case: Case | None) -> dict[str, Any]:
    if case is None:
        return {}
    return {"case_label": case.case_label, "case_id": case.pk, "reference": case.reference}


def send(claim: queue.Claim, *, now: datetime) -> bool:
    """Send one claimed e-mail and record it. False when the mail server did not take it now."""
    email: Email = claim.row()
    try:
        _message(email).send()
    except SMTPRecipientsRefused as problem:
        _refused(claim, problem, now)
        return False
    except ValueError as problem:
        why = f"The e-mail cannot be written as it stands ({type(problem).__name__})."
        _give_up(claim, why, now)
        return False
    except OSError as problem:
        _try_later(claim, type(problem).__name__, now)
        return False
    with transaction.atomic():
        queue.settle(claim)
        Email.objects.filter(pk=claim.pk).update(state=Email.State.SENT, sent_at=now, problem="")
    return True


def _message(email: Email) -> EmailMessage:
    message = EmailMessage(
        subject=email.subject,
        body=email.text.replace(LINK, email.private) if email.private else email.text,
        to=[email.to],
        headers={"Message-ID": email.message_id, "Auto-Submitted": "auto-generated"},
    )
    for each in email.enclosures.all():
        message.attach(each.name, bytes(each.content), each.content_type)
    return message


def _refused(claim: queue.Claim, problem: SMTPRecipientsRefused, now: datetime) -> None:
    """A 5xx is the server's last word about an address, a 4xx asks us to come back."""
    if all(code >= 500 for code, _ in problem.recipients.values()):
        _give_up(claim, "The mail server refuses this address.", now)
    else:
        _try_later(claim, type(problem).__name__, now)


def _try_later(claim: queue.Claim, problem: str, now: datetime) -> None:
    again = queue.retry_at(claim, now=now)
    if again is None:
        _give_up(claim, f"The mail server could not be used ({problem}).", now)
        return
    with transaction.atomic():
        queue.settle(claim, due_at=again, keep_attempts=True)
        Email.objects.filter(pk=claim.pk).update(
            problem=f"The mail server could not be used ({problem}); tried again by itself."
        )


def _give_up(claim: queue.Claim, problem: str, now: datetime) -> None:
    with transaction.atomic():
        queue.settle(claim)
        Email.objects.filter(pk=claim.pk).update(state=Email.State.FAILED, problem=problem)
        email: Email = claim.row()
        alarms.sound(
            f"mail {claim.pk}",
            desk=email.desk,
            title=f"{email.reference}: an e-mail could not be sent",
            text=problem,
            next_step="Reach the customer another way.",
            now=now,
            lasting=False,
        )


def stop(email: AboutCase) -> bool:
    """Keep a waiting e-mail from leaving. False when a worker has it, or it has left."""
    waiting = Email.objects.filter(pk=email.pk, state=Email.State.WAITING, claim=None)
    return bool(waiting.update(state=Email.State.STOPPED, due_at=None))


def waiting_for(case: Case, purpose: str) -> Email | None:
    """The e-mail of this purpose that has not left yet, if there is one."""
    return Email.objects.filter(
        case_label=case.case_label,
        case_id=case.pk,
        purpose=purpose,
        state=Email.State.WAITING,
    ).first()
