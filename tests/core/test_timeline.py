"""A case's history on its page."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from core import calls, casework
from core.models import Note, PartnerCall
from core.outcomes import CallRecord, Kind
from core.timeline import timeline
from core.workflow import PORTAL, actor_for, move
from tests.factories import ApplicationFactory, EmailFactory

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def called(case, outcome="answered", **fields):
    fields = {"http_status": 200, "started_at": AT, "duration_ms": 420, **fields}
    calls.record(CallRecord("Registry", "Get", Kind.READ, outcome=outcome, **fields), case=case)


def test_everything_about_one_case_newest_first(decider):
    case, other = ApplicationFactory(received_at=AT), ApplicationFactory(status="review")
    by = actor_for(decider)
    called(case, started_at=AT + timedelta(seconds=1))
    casework.note(case, text="Rang her.", by=by, now=AT + timedelta(seconds=2))
    with transaction.atomic():
        move(case, "give_to_person", by=PORTAL, now=AT + timedelta(seconds=3), note="Look")
    EmailFactory(case=case, created_at=AT + timedelta(seconds=4), subject="News")
    called(other)
    EmailFactory(case=other)
    found = [(entry.kind, entry.title) for entry in timeline(case)]
    assert found == [
        ("call", "E-mail “News”: waiting"),
        ("move", "Checking to Needs review"),
        ("note", f"{decider} noted"),
        ("call", "Registry answered"),
        ("move", "Received"),
    ]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("answered", "call"),
        ("refused", "call"),
        ("unavailable", "bad"),
        ("look up first", "bad"),
        ("unexpected", "bad"),
        ("unknown", "bad"),
        ("cut off", "bad"),
    ],
)
def test_calls_without_a_usable_answer_stand_out(outcome, kind):
    case = ApplicationFactory(received_at=AT)
    called(case, outcome, http_status=None, problem="Silent.", started_at=timezone.now())
    entry = timeline(case)[0]
    assert (entry.kind, entry.text) == (kind, "Get, 0.4 s. Silent.")
    assert entry.url == PartnerCall.objects.get().get_absolute_url()


def test_a_call_that_was_cut_off_has_no_length():
    case = ApplicationFactory(received_at=AT)
    calls.record_cut_off(
        party="Registry", operation="Get", kind=Kind.READ, started_at=timezone.now(), case=case
    )
    assert timeline(case)[0].kind == "bad"


def test_moves_of_one_moment_stay_in_their_order(decider):
    case = ApplicationFactory(status="review", received_at=AT)
    for name in ("withdraw", "stop_decision"):
        fresh = type(case).objects.get()
        with transaction.atomic():
            move(fresh, name, by=actor_for(decider), now=AT + timedelta(1), note="n")
    assert [entry.title for entry in timeline(case)][:2] == [
        "Withdrawn to Needs review",
        "Needs review to Withdrawn",
    ]


def test_assignments_and_looks_at_secrets_are_in_it(decider, supervisor):
    case = ApplicationFactory(received_at=AT)
    by = actor_for(supervisor)
    casework.assign(case, to=decider, by=by, now=AT + timedelta(seconds=5))
    casework.reveal(case, what="the bank details", by=by, now=AT + timedelta(seconds=6))
    casework.assign(case, to=None, by=by, now=AT + timedelta(seconds=7))
    assert [(entry.title, entry.said) for entry in timeline(case)][:3] == [
        (f"Assigned by {supervisor}", "Given to nobody."),
        (f"{supervisor} revealed a secret", "Looked at the bank details."),
        (f"Assigned by {supervisor}", f"Given to {decider}."),
    ]
    case.refresh_from_db()
    assert case.assigned_to is None
    assert Note.objects.for_case(case).count() == 3


def test_four_queries_however_long_the_history(django_assert_num_queries, decider):
    case = ApplicationFactory(received_at=AT)
    for number in range(30):
        called(case)
        casework.note(case, text=str(number), by=actor_for(decider), now=AT)
        EmailFactory(case=case)
    with django_assert_num_queries(4):
        assert len(timeline(case)) == 91


def test_a_party_without_a_case_is_in_no_timeline():
    case = ApplicationFactory(received_at=AT)
    called(None)
    assert len(timeline(case)) == 1
