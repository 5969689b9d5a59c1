"""Check pages: what was shown is what is done, by the one who looked, once."""

from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from core import confirm
from core.confirm import NotConfirmed, Shown, redeem, token_for
from core.workflow import PORTAL, actor_for, move
from tests.factories import ParcelFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def shown():
    return Shown(ParcelFactory(status="held"), "send", "to: Ada\nweight: 3")


def again(shown, **changes):
    return Shown(**{**{n: getattr(shown, n) for n in ("case", "move", "answers")}, **changes})


def test_a_token_is_good_for_what_it_showed(shown, supervisor):
    assert len(redeem(token_for(shown, supervisor), again(shown), supervisor)) == 32


def test_every_page_has_its_own_number(shown, supervisor):
    numbers = {redeem(token_for(shown, supervisor), shown, supervisor) for _ in range(5)}
    assert len(numbers) == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"move": "stop"},
        {"answers": "to: Ada\nweight: 4"},
        {"answers": ""},
        {"case": None},
    ],
)
def test_something_else_than_was_shown_is_not_confirmed(changes, shown, supervisor):
    if "case" in changes:
        changes = {"case": ParcelFactory(status="held")}
    with pytest.raises(NotConfirmed) as refused:
        redeem(token_for(shown, supervisor), again(shown, **changes), supervisor)
    assert "Nothing was done" in refused.value.sentence


def test_somebody_elses_token_is_not_mine(shown, supervisor, decider):
    with pytest.raises(NotConfirmed):
        redeem(token_for(shown, supervisor), shown, decider)


def test_a_case_that_moved_meanwhile_must_be_looked_at_again(shown, person):
    user = person(admin=True)
    token = token_for(shown, user)
    for name in ("send", "stop"):
        with transaction.atomic():
            move(type(shown.case).objects.get(), name, by=actor_for(user), now=timezone.now())
    case = type(shown.case).objects.get()
    assert case.status == shown.case.status
    with pytest.raises(NotConfirmed):
        redeem(token, again(shown, case=case), user)


def test_a_token_grows_old(shown, supervisor):
    token = token_for(shown, supervisor)
    late = timezone.now() + timedelta(seconds=confirm.GOOD_FOR_SECONDS + 60)
    with time_machine.travel(late), pytest.raises(NotConfirmed, match="old"):
        redeem(token, shown, supervisor)


@pytest.mark.parametrize("token", ["", "x", "a:b:c", "..", "\x00", "é" * 50])
def test_nonsense_confirms_nothing(token, shown, supervisor):
    with pytest.raises(NotConfirmed):
        redeem(token, shown, supervisor)


def test_a_changed_token_confirms_nothing(shown, supervisor):
    token = token_for(shown, supervisor)
    with pytest.raises(NotConfirmed):
        redeem(token[:-1] + ("a" if token[-1] != "a" else "b"), shown, supervisor)


def test_a_confirmation_carries_out_one_move(shown, person):
    user = person(admin=True)
    number = redeem(token_for(shown, user), shown, user)
    with transaction.atomic():
        move(shown.case, "send", by=actor_for(user), now=timezone.now(), confirmation=number)
    with pytest.raises(IntegrityError), transaction.atomic():
        move(ParcelFactory(), "send", by=actor_for(user), now=timezone.now(), confirmation=number)
    with transaction.atomic():
        move(ParcelFactory(), "hold", by=PORTAL, now=timezone.now())
