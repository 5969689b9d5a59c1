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


# ---- Metering --------------------------------------------------------------------------------


def add_meter(shown, **changes):
    """Add a meter that the sandbox plays: its key."""
    from django.utils import timezone

    from metering.models import Meter, MeterType

    meter, _ = Meter.objects.get_or_create(
        mpan=shown["mpan"],
        serial_number=shown["serialNumber"],
        defaults={
            "meter_type": MeterType.objects.get(code=shown["meterType"]),
            "remote_address": shown["remoteAddress"],
            "coms_settings": shown["comsSettings"],
            "outstation_address": shown["outstationAddress"],
            "password": shown["password"],
            "group": "journeys",
            "added_at": timezone.now(),
            **changes,
        },
    )
    return meter.pk


def ask_meter(meter, days, who):
    """Ask a meter as a member of staff does: the reference of the read."""
    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from metering import actions
    from metering.models import Meter

    by = actor_for(User.objects.get(email=who))
    meters = Meter.objects.filter(pk=meter)
    wish = actions.Wish(survey_days=days)
    batch = actions.ask(meters=meters, wish=wish, by=by, now=timezone.now, title="Journey")
    return batch.reads.get().reference


def decide_read(reference, who, name, **words):
    """Let a member of staff decide on a read: accept, reject, set_aside, cancel."""
    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from metering import actions
    from metering.models import MeterRead

    row, by = MeterRead.objects.get(reference=reference), User.objects.get(email=who)
    getattr(actions, name)(read=row, by=actor_for(by), now=timezone.now, **words)


def read(reference):
    """What became of a read: status, why, moves, deliveries, its alarms and its meter's page."""
    from core.models import StatusChange
    from metering.models import MeterRead

    row = MeterRead.objects.select_related("meter").get(reference=reference)
    return {
        "reference": row.reference,
        "status": row.status,
        "why": row.why,
        "page": row.get_absolute_url(),
        "results": f"/metering/results/{row.token}",
        "meter": row.meter.get_absolute_url(),
        "moves": [c.move for c in StatusChange.objects.for_case(row).order_by("pk")],
        "deliveries": [[d.pk, d.state] for d in row.deliveries.order_by("pk")],
        "alarms": [[a.pk, a.kind, a.note] for a in row.alarms.order_by("pk")],
    }


def reads_of(meter):
    """The reads of a meter, oldest first: reference and status."""
    from metering.models import MeterRead

    rows = MeterRead.objects.filter(meter=meter).order_by("pk")
    return [list(pair) for pair in rows.values_list("reference", "status")]


def deliveries():
    """Every delivery: key and state."""
    from metering.models import Delivery

    return [list(pair) for pair in Delivery.objects.order_by("pk").values_list("pk", "state")]


def meters(mpan):
    """The meters with an MPAN: type, address and serial number; no password leaves here."""
    from metering.models import Meter

    rows = Meter.objects.filter(mpan=mpan).order_by("serial_number")
    return [[m.meter_type.code, m.remote_address, m.serial_number, bool(m.password)] for m in rows]


def half_hours(meter):
    """How many half hours of a meter are stored, and how many are missing."""
    from django.utils import timezone

    from metering import days, missing
    from metering.models import Day, Meter

    rows = Day.objects.filter(channel__meter=meter).values_list("slots", flat=True)
    one = Meter.objects.select_related("meter_type").get(pk=meter)
    (standing,) = missing.standings([one], now=timezone.now())
    stored = sum(days.presence(bytes(slots)).bit_count() for slots in rows)
    return {"stored": stored, "missing": standing.half_hours}


# ---- Gas quotes ------------------------------------------------------------------------------


def publish_prices(who):
    """Publish a gas price book with a price for everybody, where none is valid today."""
    from datetime import timedelta
    from itertools import product

    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from gasquotes import books, pricing, rules
    from gasquotes.models import PriceBook

    today = timezone.localdate()
    if PriceBook.on(today) is not None:
        return
    rate = pricing.Rate(unit_rate=Decimal("7.25"), standing_charge=Decimal("31.41"))
    kinds = product(rules.LDZS, rules.Band, rules.Sector, pricing.MONTHS, pricing.Payment)
    by, now = actor_for(User.objects.get(email=who)), timezone.now
    book = books.import_book(
        version="JOURNEYS",
        valid_from=today,
        valid_to=today + timedelta(days=90),
        exit_fee=Decimal(75),
        prices={pricing.PriceKey(*kind): rate for kind in kinds},
        file_name="prices.csv",
        by=by,
        now=now,
    )
    books.publish(book=book, by=by, now=now)


def lines():
    """The lines of the newest bulk run: MPRN, state and how often an attempt was cut off."""
    from gasquotes.models import BulkRun

    return list(BulkRun.objects.first().lines.values_list("mprn", "state", "repeats"))


# ---- Safe isolation --------------------------------------------------------------------------


def isolate(who, engineer, key, details):
    """Create an isolation job for an engineer."""
    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from sip import actions

    given = {
        **details,
        "planned_date": date.fromisoformat(details["planned_date"]),
        "engineer": User.objects.get(email=engineer),
    }
    by = actor_for(User.objects.get(email=who))
    row = actions.create_job(details=actions.Details(**given), key=key, by=by, now=timezone.now)
    return {"reference": row.reference, "job_id": str(row.job_id)}


def hand_in(reference, who, blocks):
    """Fill in a worksheet, without photos, and hand it in."""
    from django.utils import timezone

    from core.models import User
    from core.workflow import actor_for
    from sip import actions, messages
    from sip.models import Job

    by = actor_for(User.objects.get(email=who))
    for name, values in blocks.items():
        job = Job.objects.get(reference=reference)
        photos = messages.photo_keys()
        answers = {key: said for key, said in values.items() if f"{name}.{key}" not in photos}
        if name != "job_details":
            actions.save_block(
                job=job, block=name, answers=answers, revision=0, by=by, now=timezone.now
            )
    actions.hand_in(job=Job.objects.get(reference=reference), by=by, now=timezone.now)


def isolation(reference):
    """Everything that happened to an isolation job."""
    from core.models import StatusChange
    from sip.models import Job

    row = Job.objects.get(reference=reference)
    moves = StatusChange.objects.filter(case_label=row.case_label, case_id=row.pk).order_by("pk")
    return {
        "status": row.status,
        "why": row.why,
        "job_id": str(row.job_id),
        "scenario": row.scenario,
        "moves": [change.move for change in moves],
        "attempts": [one.outcome for one in row.sends.order_by("number")],
        "versions": row.versions.count(),
        "photos": row.photos.filter(replaced_at=None).count(),
        "answers": {sheet.block: sheet.answers for sheet in row.sheets.all()},
    }


# ---- Export tariff ---------------------------------------------------------------------------


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


TELLING = (
    *(case, cases, isolation, alarms, broken_page),
    *(read, reads_of, deliveries, meters, half_hours, lines),
)
DOING = (
    *(set_up, submit, decide, withdraw_own, check_again),
    *(add_meter, ask_meter, decide_read),
    *(isolate, hand_in, publish_prices),
)
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
