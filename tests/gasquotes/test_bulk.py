"""Bulk runs against the played service: every line once, counted, paused, cancelled, cut off."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core import queue
from core.models import Alarm, PartnerCall
from core.workflow import NotAllowed, actor_for
from gasquotes import budget, bulk, crews
from gasquotes.client import SupplyPoints
from gasquotes.models import BULK, LINES, BulkLine, Crew, LookUp, MonthOfCalls
from sandbox.parties.supply_points.mprn import mprn
from tests.factories.gasquotes import LookUpFactory
from tests.gasquotes.conftest import HOME, listed

pytestmark = pytest.mark.django_db(transaction=True)
MANY = [mprn(f"420{n:05}") for n in range(300)]


def now():
    return timezone.now()


def progress(run):
    run.refresh_from_db()
    return bulk.progress(run=run, now=now())


def states(run):
    return dict(BulkLine.objects.filter(run=run).values_list("mprn", "state"))


def test_every_line_is_looked_up_once(run_of, work, service):
    run = run_of(*MANY)
    work()
    done = progress(run)
    assert (done.done, done.failed, done.waiting, done.repeats, done.percent) == (300, 0, 0, 0, 100)
    assert run.state == "finished"
    asked = service.look_ups()
    assert (asked["total"], asked["more_than_once"]) == (300, {}) or asked["more_than_once"] == 0
    assert LookUp.objects.count() == PartnerCall.objects.count() == 300
    assert MonthOfCalls.objects.get().used == 300
    assert not BulkLine.objects.exclude(claim=None).exists()
    line = BulkLine.objects.select_related("look_up__call").get(run=run, mprn=MANY[7])
    assert (line.look_up.mprn, line.look_up.asked) == (MANY[7], {"mprn": MANY[7]})
    assert MANY[7] in line.look_up.call.request_line
    assert line.look_up.call.by_name == run.by_name


def test_one_bad_row_harms_no_other(run_of, work, service):
    run = run_of("not a number", HOME, "7000000203", "7000000708", MANY[0], "7000000203x")
    work()
    found = states(run)
    assert (found[HOME], found[MANY[0]]) == ("done", "done")
    failed = BulkLine.objects.filter(run=run, state="failed").order_by("number")
    assert [line.code for line in failed] == ["row", "e002", "e007", "row"]
    assert all(line.sentence for line in failed)
    assert progress(run).done == 2


def test_a_recent_look_up_serves_again_without_a_call(run_of, work, service):
    known = LookUpFactory(mprn=MANY[3])
    run = run_of(*MANY[:10])
    work()
    assert progress(run).reused == 1
    assert BulkLine.objects.get(run=run, mprn=MANY[3]).look_up == known
    assert (service.look_ups()["total"], MonthOfCalls.objects.get().used) == (9, 9)


def test_unless_all_are_wanted(run_of, work, service):
    LookUpFactory(mprn=MANY[3])
    run = run_of(*MANY[:10], look_up_all=True)
    work()
    assert (progress(run).reused, service.look_ups()["total"]) == (0, 10)


def test_the_preview_says_what_it_costs(clerk, settings, db):
    settings.GASQUOTES_CALLS_PER_MONTH = 5
    settings.GASQUOTES_CALLS_PER_MINUTE = 4
    LookUpFactory(mprn=MANY[3])
    lines = listed(*MANY[:10], "rubbish", "3938424404")
    run = bulk.prepare(title="x", lines=lines, by=clerk, now=now)
    seen = bulk.preview(run=run, now=now())
    assert (seen.rows, seen.bad, seen.warned, seen.reused, seen.calls) == (12, 1, 1, 1, 10)
    assert (seen.left, seen.fits, seen.minutes) == (5, False, 2.5)
    assert not Crew.objects.exists()
    bulk.discard(run=run, by=clerk)
    assert not BulkLine.objects.exists()


def test_it_stops_at_the_month_and_goes_on_in_the_next(run_of, work, service, settings):
    settings.GASQUOTES_CALLS_PER_MONTH = 40
    run = run_of(*MANY[:60])
    work()
    assert (progress(run).done, progress(run).waiting) == (40, 20)
    assert "used up" in progress(run).sentence
    assert (service.look_ups()["total"], MonthOfCalls.objects.get().used) == (40, 40)
    assert Alarm.objects.filter(key="gas budget", over_at=None).count() == 1
    work(until=budget.next_month(now()) + timedelta(minutes=1))
    assert (progress(run).done, run.state) == (60, "finished")


@pytest.mark.parametrize(
    ("answer", "stopped"), [("InvalidApiKey", "key"), ("QuotaViolation", "quota")]
)
def test_a_stop_fails_no_line(answer, stopped, run_of, work, service, settings):
    settings.GASQUOTES_AT_ONCE, settings.GASQUOTES_CREWS = 4, 1
    service.answer(MANY[2], answer)
    run = run_of(*MANY[:100])
    work()
    assert budget.standing(now=now()).stopped == stopped
    assert progress(run).failed == 0
    assert 0 < progress(run).waiting < 100
    assert Alarm.objects.count() == 1
    service.answer(MANY[2], None)
    work(until=budget.next_month(now()) + timedelta(minutes=30))
    assert (progress(run).done, run.state) == (100, "finished")


def test_trouble_is_tried_again_and_then_fails_that_line_alone(run_of, work, service):
    service.answer(MANY[1], "e010")
    service.fault("500", calls=3, match=MANY[2])
    run = run_of(*MANY[:5])
    work(until=now() + timedelta(hours=3))
    line = BulkLine.objects.get(run=run, mprn=MANY[1])
    assert (line.state, line.code, line.attempts) == ("failed", "e010", 6)
    assert (progress(run).done, run.state) == (4, "finished")
    assert MonthOfCalls.objects.get().used == service.look_ups()["total"] + 3


def test_pause_resume_cancel(run_of, work, service, clerk):
    run = run_of(*MANY[:20])
    bulk.pause(run=run, by=clerk, now=now)
    work()
    assert (progress(run).waiting, run.state) == (20, "paused")
    with pytest.raises(bulk.RunConflict):
        bulk.pause(run=run, by=clerk, now=now)
    bulk.resume(run=run, by=clerk, now=now)
    work()
    assert progress(run).done == 20
    with pytest.raises(bulk.RunConflict):
        bulk.cancel(run=run, by=clerk, now=now)


def test_a_cancelled_run_keeps_what_was_found(run_of, work, service, clerk, settings):
    settings.GASQUOTES_CALLS_PER_MONTH = 5
    run = run_of(*MANY[:20])
    work()
    bulk.cancel(run=run, by=clerk, now=now)
    done = progress(run)
    assert (done.done, done.cancelled, done.waiting, run.state) == (5, 15, 0, "cancelled")
    settings.GASQUOTES_CALLS_PER_MONTH = 500
    work(until=budget.next_month(now()) + timedelta(minutes=1))
    assert service.look_ups()["total"] == 5


def test_a_cut_off_crew_is_followed_by_another_and_repeats_are_counted(run_of, work, service):
    run = run_of(*MANY[:30])
    held = queue.claim_batch(LINES, 7, now=now())
    work()
    assert progress(run).waiting == 7
    work(until=now() + timedelta(minutes=1))
    assert (progress(run).done, progress(run).repeats) == (30, 7)
    assert PartnerCall.objects.filter(outcome="cut off").count() == len(held) == 7


def test_a_line_that_was_cancelled_while_it_was_asked(run_of, service, clerk):
    run = run_of(*MANY[:3])
    crew = queue.claim(BULK, Crew.objects.first().pk, now=now())

    first = threading.Lock()

    class Cancelling(SupplyPoints):
        def quantities(self, asked):
            answer = super().quantities(asked)
            if first.acquire(blocking=False):
                bulk.cancel(run=run, by=clerk, now=now)
                connection.close()
            return answer

    crews.work(claim=crew, open_service=Cancelling, now=now)
    assert set(states(run).values()) == {"cancelled"}
    assert LookUp.objects.count() == service.look_ups()["total"] > 0


def test_a_fault_of_ours_ends_the_turn_and_loses_nothing(run_of, work, service):
    run = run_of(*MANY[:10])
    crew = queue.claim(BULK, Crew.objects.first().pk, now=now())

    class Broken(SupplyPoints):
        def quantities(self, asked):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crews.work(claim=crew, open_service=Broken, now=now)
    work(until=now() + timedelta(minutes=2))
    assert (progress(run).done, run.state) == (10, "finished")


def test_who_may_not_look_up_starts_nothing(auditor, clerk, db):
    with pytest.raises(NotAllowed):
        bulk.prepare(title="x", lines=listed(HOME), by=actor_for(auditor), now=now)
    run = bulk.prepare(title="x", lines=listed(HOME), by=clerk, now=now)
    with pytest.raises(NotAllowed):
        bulk.start(run=run, by=actor_for(auditor), now=now)


def test_results_as_csv(run_of, work, service):
    run = run_of(HOME, "7000000203")
    work()
    rows = list(bulk.results_csv(run))
    assert all(len(row) in (len(bulk.RESULT_COLUMNS), 9) for row in rows)
    assert dict(zip(bulk.RESULT_COLUMNS, rows[0], strict=True))["AQ kWh"] == 12000


def test_progress_costs_a_constant_number_of_queries(run_of, django_assert_num_queries):
    run = run_of(*MANY)
    with django_assert_num_queries(3):
        bulk.progress(run=run, now=now())
