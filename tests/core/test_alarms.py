"""Alarms: once while a trouble lasts, over by themselves, acknowledged by a person."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import alarms
from core.models import Alarm

pytestmark = pytest.mark.django_db
NOW = timezone.now()
LATER = NOW + timedelta(minutes=5)


def sound(key="registry", now=NOW, **fields):
    return alarms.sound(key, desk="seg", title="Silent", now=now, **fields)


def test_one_trouble_is_one_alarm_that_counts():
    assert sound(text="first") is True
    assert sound(now=LATER, text="second") is False
    alarm = Alarm.objects.get()
    assert (alarm.times, alarm.raised_at, alarm.last_at) == (2, NOW, LATER)
    assert alarm.text == "second"


def test_two_troubles_are_two_alarms():
    assert sound() is sound("other") is True


def test_a_trouble_that_comes_back_is_a_new_alarm():
    sound()
    assert alarms.over("registry", now=LATER) is True
    assert alarms.over("registry", now=LATER) is False
    assert sound(now=LATER) is True
    assert Alarm.objects.count() == 2


def test_nothing_is_over_that_never_was():
    sound()
    assert alarms.over("other", now=NOW) is False


def test_an_alarm_is_acknowledged_once(supervisor, decider):
    sound()
    alarm = Alarm.objects.get()
    assert alarms.acknowledge(alarm, by=supervisor, note="Rang them.", now=LATER) is True
    assert alarms.acknowledge(alarm, by=decider, note="Me too.", now=LATER) is False
    alarm.refresh_from_db()
    assert (alarm.acknowledged_by, alarm.acknowledged_note) == (supervisor, "Rang them.")
    assert sound(now=LATER) is False  # it still lasts, and somebody knows


def test_open_means_lasting_or_not_acknowledged(supervisor):
    sound("lasts")
    sound("over")
    alarms.over("over", now=LATER)
    sound("known")
    for key in ("known", "over and known"):
        sound(key)
        alarm = Alarm.objects.get(key=key)
        alarms.acknowledge(alarm, by=supervisor, note="Seen.", now=LATER)
    alarms.over("over and known", now=LATER)
    assert {alarm.key for alarm in alarms.open_alarms()} == {"lasts", "over", "known"}
