"""What a lost answer means, by kind of operation (law 3)."""

from datetime import UTC, datetime

import pytest

from core.outcomes import (
    CallRecord,
    Kind,
    LookUpFirst,
    Outcome,
    Refused,
    Unavailable,
    Unexpected,
    Unknown,
    lost,
)

CALL = CallRecord("P", "O", Kind.READ, datetime(2026, 1, 1, tzinfo=UTC), 5, "")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(Kind.READ, Unavailable), (Kind.REPEATABLE, LookUpFirst), (Kind.ONCE, Unknown)],
)
def test_a_lost_answer(kind, expected):
    outcome = lost(kind, "Silence.", call=CALL)
    assert type(outcome) is expected
    assert (outcome.sentence, outcome.call) == ("Silence.", CALL)
    assert outcome.next_step


def test_what_may_have_happened_is_never_tried_again_by_itself():
    assert not isinstance(lost(Kind.ONCE, "Silence.", call=CALL), Unavailable)


def test_what_must_be_looked_up_was_sent():
    outcome = lost(Kind.REPEATABLE, "Silence.", call=CALL, retry_after=7)
    assert (outcome.sent, outcome.retry_after) == (True, 7)


@pytest.mark.parametrize("kind", [Refused, Unavailable, LookUpFirst, Unexpected, Unknown])
def test_every_outcome_speaks(kind):
    outcome = kind("They said no.", next_step="Ring them.", code="e007", retry_after=3.0)
    assert isinstance(outcome, Outcome)
    assert str(outcome) == outcome.sentence == "They said no."
    assert (outcome.code, outcome.next_step, outcome.retry_after) == ("e007", "Ring them.", 3.0)


def test_every_outcome_has_a_name_of_its_own():
    kinds = [Refused, Unavailable, LookUpFirst, Unexpected, Unknown]
    assert len({kind.name for kind in kinds}) == len(kinds)
