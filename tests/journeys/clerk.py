"""Answers questions from inside the portal: a line of JSON in, a line of JSON out.

A test beside a running portal asks it instead of opening the portal's database by itself.
"""

import json
import sys
from datetime import date
from decimal import Decimal

FORM = {
    "kind": "new",
    "dno_told": "yes",
    "battery": False,
    "no_fit_export": True,
    "phone": "",
    "postal_address": "",
    "account_name": "A Customer",
    "sort_code": "000041",
    "account_number": "00002207",
    "terms_version": "2026-01",
}


def set_up():
    """Bring the database up to date, collect static files, make people and a tariff."""
    from django.core.management import call_command

    from seg.models import Tariff

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("set_up_people")
    Tariff.objects.get_or_create(
        code="SEG-2020",
        defaults={"name": "Journeys", "rate": Decimal("15.1"), "open_from": date(2020, 1, 1)},
    )


def submit(facts, key):
    """Send an application as the public form does."""
    from django.utils import timezone

    from seg import actions

    submission = actions.Submission(**{**FORM, **facts})
    row = actions.submit(submission=submission, key=key, now=timezone.now)
    return {"reference": row.reference, "link": actions.tracking_link(row)}


def decide(reference, who, name, reason):
    """Let a member of staff decide (approve, refuse, ask, withdraw); its e-mail waits for Stop."""
    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from seg import actions
    from seg.models import Application

    row, by = Application.objects.get(reference=reference), User.objects.get(email=who)
    words = {"text" if name == "ask" else "reason": reason}
    getattr(actions, name)(application=row, by=actor_for(by), now=timezone.now, **words)


def withdraw_own(reference):
    """Let the customer withdraw."""
    from django.utils import timezone

    from seg import actions
    from seg.models import Application

    row = Application.objects.get(reference=reference)
    actions.withdraw_own(application=row, reason="Changed my mind", now=timezone.now)


def check_again(reference, who):
    """Let a member of staff ask the registry again."""
    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from seg import actions
    from seg.models import Application

    row, by = Application.objects.get(reference=reference), User.objects.get(email=who)
    actions.check_again(application=row, by=actor_for(by), now=timezone.now)


def case(reference):
    """Everything that happened to an application."""
    from seg.models import Application

    return _told(Application.objects.get(reference=reference))


def cases():
    """Everything that happened to every application."""
    from seg.models import Application

    return [_told(row) for row in Application.objects.order_by("pk")]


def _told(row):
    from core.models import Email, PartnerCall, StatusChange

    about = {"case_label": row.case_label, "case_id": row.pk}
    return {
        "reference": row.reference,
        "number": row.certificate_number,
        "status": row.status,
        "why": row.why,
        "claimed": row.claim is not None,
        "due": row.due_at is not None,
        "trouble": row.trouble,
        "moves": [
            [change.move, change.from_status, change.to_status, change.by_name]
            for change in StatusChange.objects.filter(**about).order_by("pk")
        ],
        "emails": [
            {
                "purpose": mail.purpose,
                "state": mail.state,
                "to": mail.to,
                "subject": mail.subject,
                "message_id": mail.message_id,
                "claimed": mail.claim is not None,
            }
            for mail in Email.objects.filter(**about).order_by("pk")
        ],
        "calls": [
            [call.operation, call.outcome, call.http_status]
            for call in PartnerCall.objects.filter(**about).order_by("pk")
        ],
    }


def alarms():
    """The alarms that still last."""
    from core.models import Alarm

    return list(Alarm.objects.filter(over_at=None).values("key", "title", "times"))


def broken_page():
    """What a visitor gets when a page breaks: the 500 page and its headers."""
    from django.http import HttpResponse
    from django.test import RequestFactory
    from django.urls import get_resolver

    reply = get_resolver().resolve_error_handler(500)(RequestFactory().get("/"))
    assert isinstance(reply, HttpResponse)
    return reply.content.decode()


TELLING = (case, cases, alarms, broken_page)
DOING = (set_up, submit, decide, withdraw_own, check_again)
WORK = {one.__name__: one for one in (*DOING, *TELLING)}


def serve():
    """Answer until nobody asks any more."""
    import django

    answers, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    for line in sys.stdin:
        what, how = json.loads(line)
        try:
            answer = {"answer": WORK[what](**how)}
        except Exception as problem:  # noqa: BLE001 - it is told to whoever asked
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
