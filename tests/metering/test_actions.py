"""The verbs of the metering desk, against the played service: asking, cancelling, fetching, judging."""

import zlib
from datetime import date, timedelta
from uuid import UUID

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import queue
from core.models import Alarm, PartnerCall, StatusChange
from core.workflow import CUSTOMER, PORTAL, Actor, Conflict, Impossible, NotAllowed, Who, actor_for
from metering import actions, days, tasks
from metering.actions import AdjustNotAllowed, Wish
from metering.client import MeterCommunications
from metering.models import (
    CANCEL,
    FETCH,
    REQUEST,
    STORE,
    Batch,
    Day,
    Delivery,
    MeterAlarm,
    MeterRead,
    RegisterReading,
    Schedule,
    SideReading,
)
from tests.factories.metering import DeliveryFactory, MeterFactory, MeterReadFactory, meter_of
from tests.metering.conftest import ADJUST, ASK, FIRST_DAY, document, post, survey, waited

pytestmark = pytest.mark.django_db
DAYS = Wish(survey_days=2, survey_date=date(2026, 5, 1))


def now():
    return timezone.now()


def ask(*meters, wish=DAYS, by=PORTAL, **rest):
    batch = actions.ask(meters=meters, wish=wish, by=by, now=timezone.now, title="test", **rest)
    return list(batch.reads.order_by("pk"))


def found(read):
    return MeterRead.objects.get(pk=read.pk)


def moves(read):
    return [change.move for change in StatusChange.objects.for_case(read).order_by("pk")]


def accepted(service):
    """References of requests that the service took, in their order."""
    return [row["requestReference"] for row in service.collections()]


def delivered(read, content, work):
    """Post a result and store it."""
    assert post(read, content).status_code == 200
    work()
    return found(read)


# ---- Asking ----------------------------------------------------------------------------------------


def test_asking_needs_its_permission(person):
    meter = MeterFactory()
    for by in (actor_for(person()), CUSTOMER, Actor("somebody", Who.PERSON)):
        with pytest.raises(NotAllowed):
            ask(meter, by=by)
    assert MeterRead.objects.count() == Batch.objects.count() == 0
    (read,) = ask(meter, by=actor_for(person(permissions=[ASK])))
    assert moves(read) == ["open"]


def test_adjusting_a_clock_is_a_permission_of_its_own(person):
    meter, wish = MeterFactory(), Wish(adjust_time=True)
    for by in (
        actor_for(person(permissions=[ASK])),
        actor_for(person(permissions=[ADJUST])),
        PORTAL,
    ):
        with pytest.raises(NotAllowed):
            ask(meter, wish=wish, by=by)
    with pytest.raises(AdjustNotAllowed):
        ask(meter, wish=wish, by=PORTAL)
    assert not MeterRead.objects.exists()
    (read,) = ask(meter, wish=wish, by=actor_for(person(permissions=[ASK, ADJUST])))
    assert read.adjust_time


def test_a_read_carries_what_was_wished_and_a_secret_of_its_own(clerk):
    later = now() + timedelta(hours=3)
    wish = Wish(survey_days=4, survey_date=date(2026, 5, 1), delay_until=later, priority=2)
    one, other = ask(MeterFactory(), MeterFactory(priority=7), wish=wish, by=clerk)
    assert (one.survey_days, one.survey_date, one.delay_until) == (4, date(2026, 5, 1), later)
    assert (one.priority, other.priority) == (2, 2)
    assert len({one.token, other.token, one.our_reference, other.our_reference}) == 4
    assert len(one.token) >= 40
    (third,) = ask(MeterFactory(priority=7), by=clerk)
    assert third.priority == 7


def test_thousands_at_once_take_the_same_queries_per_five_hundred(clerk, bells):
    meters = MeterFactory.create_batch(3)
    ask(meters[0], by=clerk)  # what is only asked for once
    counts = []
    for wanted in (500, 1000, 1500):
        with CaptureQueriesContext(connection) as captured:
            reads = ask(*(meters * wanted)[:wanted], by=clerk)
        assert len(reads) == wanted
        counts.append(sum("SAVEPOINT" not in row["sql"] for row in captured.captured_queries))
    assert counts[2] - counts[1] == counts[1] - counts[0]
    one_by_one = 500
    assert counts[1] - counts[0] < one_by_one / 4
    assert StatusChange.objects.filter(move="open").count() == 3001
    assert MeterRead.objects.values("our_reference").distinct().count() == 3001


def test_asking_nobody_is_an_empty_batch():
    assert ask() == []


def test_a_request_is_sent_and_waits_for_its_result(meter, paused, work):
    (read,) = ask(meter)
    work()
    read = found(read)
    assert (read.status, moves(read)) == ("requested", ["open", "request"])
    assert accepted(paused) == [str(read.our_reference)]
    assert read.sent_at
    assert read.due_by - read.sent_at >= timedelta(minutes=59)
    assert read.due_at == read.due_by
    call = PartnerCall.objects.get()
    assert (call.operation, call.outcome, call.case_id) == (
        "collection-request",
        "answered",
        read.pk,
    )
    (got,) = paused.collections()
    assert got["responseUrl"].endswith(f"/metering/results/{read.token}")


def test_a_delayed_request_is_overdue_later(meter, paused, work):
    later = now() + timedelta(hours=5)
    (read,) = ask(meter, wish=Wish(delay_until=later))
    work()
    assert found(read).due_by >= later + timedelta(minutes=59)
    assert paused.collections()[0]["delayUntil"] == f"{later:%Y-%m-%dT%H:%M:%SZ}"


def test_one_open_collection_per_remote_address(paused, work):
    first, second = (
        MeterFactory(remote_address="07700900118", outstation_address=str(n)) for n in (1, 2)
    )
    elsewhere = MeterFactory(remote_address="07700900119")
    one, other, third = ask(first, second, elsewhere)
    work()
    assert [found(each).status for each in (one, other, third)] == [
        "requested",
        "waiting",
        "requested",
    ]
    assert found(other).due_at > now()
    work(until=now() + timedelta(minutes=5))
    assert found(other).status == "waiting"
    delivered(one, document(one, surveyData=...), work)
    assert found(other).status == "requested"
    assert accepted(paused) == [str(r.our_reference) for r in (one, third, other)]


@pytest.mark.parametrize("way", ["cancel", "fail"])
def test_the_address_is_free_after(way, paused, work, clerk):
    meter = MeterFactory(remote_address="07700900118")
    one, other = ask(meter), ask(meter)
    work()
    assert found(other[0]).status == "waiting"
    if way == "cancel":
        actions.cancel(read=found(one[0]), by=clerk, now=timezone.now)
    else:
        post(one[0], document(one[0], result="ERROR: No answer", surveyData=...))
    work()
    assert found(other[0]).status == "requested"


def test_refused_becomes_failed_with_their_sentence(paused, work):
    meter = MeterFactory(meter_type__code="STEAM_ENGINE")
    (read,) = ask(meter)
    work()
    read = found(read)
    assert read.status == "failed"
    assert "Meter type is not recognised" in read.why
    assert "Correct the meter" in read.why
    assert (read.due_at, read.holds_address) == (None, None)


def test_what_breaks_the_parameter_table_fails_without_a_call_and_stops_nobody(paused, work):
    wrong, right = ask(MeterFactory(remote_address="0770"), MeterFactory())
    work()
    assert (found(wrong).status, found(right).status) == ("failed", "requested")
    assert "remoteAddress" in found(wrong).why
    assert accepted(paused) == [str(right.our_reference)]


# ---- Lost answers, down, killed --------------------------------------------------------------------


def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(meter, paused, work):
    paused.fault("lost", calls=1)
    (read,) = ask(meter)
    work()
    assert found(read).status == "waiting"
    work(until=now() + timedelta(minutes=2))
    assert found(read).status == "requested"
    log = [
        (row["method"], row["path"].partition("?")[0].rpartition("/")[2]) for row in paused.log()
    ]
    assert log == [("POST", "collection-request"), ("GET", "collection-status")]
    assert accepted(paused) == [str(read.our_reference)]


@pytest.mark.parametrize("fault", ["lost", "500", "429", "reset", "html", "wrong_number", "404"])
def test_never_two_requests_with_one_reference_are_accepted(meter, paused, work, fault):
    paused.fault(fault, calls=2)
    (read,) = ask(meter)
    work(until=now() + timedelta(minutes=10))
    read = found(read)
    assert accepted(paused) in ([str(read.our_reference)], [])
    assert read.status == ("failed" if fault == "404" else "requested"), read.why


def test_lost_and_then_unreachable_is_still_looked_up(meter, paused, work):
    """An attempt that surely left nothing does not undo that an earlier one may have arrived."""
    paused.fault("lost", calls=1)
    (read,) = ask(meter)
    work()
    paused.fault("refuse")
    queue.due(REQUEST, read.pk, now=now())  # as when the address comes free: attempts count anew
    work()
    assert found(read).maybe_sent
    assert found(read).holds_address
    paused.mend()
    work(until=now() + timedelta(minutes=2))
    assert found(read).status == "requested"
    assert [row["method"] for row in paused.log("collection-")] == ["POST", "GET"]


def test_while_the_service_is_down_reads_wait_and_one_alarm_is_open(paused, work):
    reads = ask(*MeterFactory.create_batch(4))
    paused.fault("refuse")
    work()
    work(until=now() + timedelta(minutes=3))
    assert {found(read).status for read in reads} == {"waiting"}
    assert all("Next try" in found(read).why for read in reads)
    assert not any(found(read).maybe_sent or found(read).holds_address for read in reads)
    alarm = Alarm.objects.get(over_at=None)
    assert (alarm.key, alarm.times > 4) == (actions.SILENT, True)
    paused.mend()
    work(until=now() + timedelta(minutes=20))
    assert {found(read).status for read in reads} == {"requested"}
    assert sorted(accepted(paused)) == sorted(str(read.our_reference) for read in reads)


def test_after_its_patience_it_fails_and_a_person_sees_why(meter, paused, work):
    paused.fault("500")
    (read,) = ask(meter)
    work(until=now() + timedelta(days=3))
    read = found(read)
    assert read.status == "failed"
    assert "HTTP 500" in read.why
    assert read.holds_address is None


def test_a_killed_worker_is_followed_by_a_look_up(meter, paused):
    (read,) = ask(meter)
    claim = queue.claim(REQUEST, read.pk, now=now())
    assert actions._hold_address(read, claim)
    with MeterCommunications() as killed:  # it sends, and dies before it writes that down
        killed.request_collection(actions.request_for(found(read)))
    with time_machine.travel(now() + timedelta(minutes=5), tick=True):
        tasks.request(read.pk)
    assert found(read).status == "requested"
    assert accepted(paused) == [str(read.our_reference)]
    assert [row["method"] for row in paused.log("collection-")] == ["POST", "GET"]


def test_a_worker_killed_before_it_sent_is_followed_by_a_request(meter, paused):
    (read,) = ask(meter)
    actions._hold_address(read, queue.claim(REQUEST, read.pk, now=now()))
    with time_machine.travel(now() + timedelta(minutes=5), tick=True):
        tasks.request(read.pk)
    assert found(read).status == "requested"
    assert accepted(paused) == [str(read.our_reference)]


class Meanwhile(MeterCommunications):
    """A service during whose answer something else happens."""

    def __init__(self, happens):
        super().__init__()
        self.happens = happens

    def request_collection(self, asked):
        answer = super().request_collection(asked)
        self.happens()
        return answer

    def find_collection(self, reference):
        answer = super().find_collection(reference)
        self.happens()
        return answer


def requested_while(read, happens):
    claim = queue.claim(REQUEST, read.pk, now=now())
    with Meanwhile(happens) as service:
        actions.request(claim=claim, service=service, now=timezone.now)


def test_a_result_before_our_own_record_wins(meter, paused, work):
    (read,) = ask(meter)

    def arrives():
        assert post(read, document(read)).status_code == 200
        tasks.store(0)

    requested_while(read, arrives)
    read = found(read)
    assert read.status == "accepted", read.why
    assert moves(read) == ["open", "accept_clean"]
    assert PartnerCall.objects.get().outcome == "answered"
    work(until=now() + timedelta(days=1))
    assert moves(read) == ["open", "accept_clean"]


def test_cancelled_while_it_was_sent_is_told_to_the_service(meter, paused, work, clerk):
    (read,) = ask(meter)
    early = found(read)  # as the person's page had read it
    requested_while(read, lambda: actions.cancel(read=early, by=clerk, now=timezone.now))
    assert found(read).status == "cancelled"
    work()
    assert paused.log("collection-cancel")
    assert paused.collections()[0]["state"] == "cancelled"
    assert not found(read).cancel_due


def test_a_cancellation_that_overtook_its_request_is_told_again(meter, paused, work, clerk):
    (read,) = ask(meter)
    claim = queue.claim(REQUEST, read.pk, now=now())

    class Overtaken(MeterCommunications):
        def request_collection(self, asked):
            actions.cancel(read=found(read), by=clerk, now=timezone.now)
            work()
            return super().request_collection(asked)

    with Overtaken() as service:
        actions.request(claim=claim, service=service, now=timezone.now)
    work()
    assert paused.collections()[0]["state"] == "cancelled"
    assert len(paused.log("collection-cancel")) == 2


def test_cancelled_before_it_was_held_is_not_sent(meter, paused, clerk):
    (read,) = ask(meter)
    claim = queue.claim(REQUEST, read.pk, now=now())
    actions.cancel(read=found(read), by=clerk, now=timezone.now)
    with MeterCommunications() as service:
        actions.request(claim=claim, service=service, now=timezone.now)
    assert found(read).status == "cancelled"
    assert paused.log() == []


# ---- Cancelling --------------------------------------------------------------------------------------


def test_a_sent_request_is_cancelled_by_delete(meter, paused, work, clerk):
    (read,) = ask(meter)
    work()
    actions.cancel(read=found(read), by=clerk, now=timezone.now)
    work()
    (call,) = paused.log("collection-cancel")
    assert call["method"] == "DELETE"
    assert paused.collections()[0]["state"] == "cancelled"
    read = found(read)
    assert (read.status, read.cancel_due, read.due_at) == ("cancelled", False, None)


def test_what_was_never_sent_is_cancelled_without_a_call(meter, paused, work, clerk):
    (read,) = ask(meter)
    actions.cancel(read=read, by=clerk, now=timezone.now)
    work()
    assert paused.log() == []
    assert found(read).status == "cancelled"


def test_a_cancellation_is_told_until_the_service_answers(meter, paused, work, clerk):
    (read,) = ask(meter)
    work()
    actions.cancel(read=found(read), by=clerk, now=timezone.now)
    paused.fault("500", calls=3)
    work()
    assert found(read).cancel_due
    work(until=now() + timedelta(minutes=10))
    assert not found(read).cancel_due
    assert paused.collections()[0]["state"] == "cancelled"


def test_cancelling_needs_its_permission_and_happens_once(meter, clerk, person):
    (read,) = ask(meter)
    with pytest.raises(NotAllowed):
        actions.cancel(read=read, by=actor_for(person()), now=timezone.now)
    actions.cancel(read=read, by=clerk, now=timezone.now)
    with pytest.raises(Conflict):
        actions.cancel(read=read, by=clerk, now=timezone.now)


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_late_result_is_stored_and_nobody_loses_it(status, work):
    read = MeterReadFactory(status=status)
    read = delivered(read, document(read), work)
    assert Day.objects.count() == 1
    assert read.status == {"cancelled": "to_check", "failed": "accepted"}[status], read.why


def test_a_late_failure_after_a_cancellation_changes_nothing(work):
    read = MeterReadFactory(status="cancelled")
    content = document(read, result="ERROR: Cancelled", surveyData=..., registerValues=...)
    assert delivered(read, content, work).status == "cancelled"


# ---- Fetching ------------------------------------------------------------------------------------------


def test_an_overdue_result_is_fetched(service, meter, work):
    service.behave(service.meter(), "never")
    (read,) = ask(meter)
    work()
    service.finished(read.our_reference)
    assert work() == 0
    work(until=now() + timedelta(minutes=75))
    read = found(read)
    assert read.status in {"accepted", "to_check"}, read.why
    assert Delivery.objects.get().fetched
    assert "password" not in zlib.decompress(bytes(Delivery.objects.get().body)).decode()
    assert Day.objects.exists()


def test_what_stays_pending_is_asked_for_until_a_person_is_told(meter, paused, work):
    (read,) = ask(meter)
    work(until=now() + timedelta(minutes=90))
    assert found(read).status == "requested"
    assert not Delivery.objects.exists()
    work(until=now() + timedelta(days=8))
    read = found(read)
    assert (read.status, read.holds_address) == ("failed", None)
    assert "No result came" in read.why


def test_what_the_service_does_not_know_any_more_fails(meter, paused, work):
    (read,) = ask(meter)
    work()
    paused.running.reset()
    work(until=now() + timedelta(minutes=75))
    assert found(read).status == "failed"
    assert "does not know our request" in found(read).why


def fetched_while(read, happens):
    MeterRead.objects.filter(pk=read.pk).update(due_at=now())
    claim = queue.claim(FETCH, read.pk, now=now())
    with Meanwhile(happens) as service:
        actions.fetch(claim=claim, service=service, now=timezone.now)


def test_a_result_that_arrives_while_it_is_fetched_wins(meter, paused, work):
    (read,) = ask(meter)
    work()

    def arrives():
        post(read, document(read))
        tasks.store(0)

    fetched_while(read, arrives)
    assert found(read).status == "accepted", found(read).why
    assert PartnerCall.objects.filter(operation="collection-status").count() == 1


def test_a_fetch_that_fails_is_repeated_and_an_alarm(meter, paused, work):
    (read,) = ask(meter)
    work()
    paused.fault("html", calls=1)
    work(until=now() + timedelta(minutes=61, seconds=5))
    assert found(read).status == "requested"
    assert Alarm.objects.filter(key=actions.ODD).exists()
    assert not Delivery.objects.exists()


# ---- End to end ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_asked_collected_posted_stored_accepted(service, portal, work):
    shown = service.meter()
    meter = meter_of(shown)
    (read,) = ask(meter)
    work()
    service.finished(read.our_reference)
    waited(Delivery.objects.exists)
    work()
    read = found(read)
    assert read.status == "accepted", read.why
    truth = service.control(
        f"/meters/{shown['serialNumber']}/readings"
        "?from=2026-05-01T00:00:00Z&to=2026-05-03T00:00:00Z"
    )
    for register in truth["registers"]:
        rows = Day.objects.filter(channel__meter=meter, channel__name=register["name"])
        stored = [text for row in rows.order_by("day") for text in days.texts(bytes(row.slots))]
        if stored:
            assert stored == [each["value"] for each in register["readings"]]
    assert rows.model.objects.count() == 2 * len(shown["survey_registers"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "words", [("twice",), ("second_day_first",), ("disagree",), ("unordered",)]
)
def test_what_the_service_posts_oddly_ends_the_same(service, portal, work, words):
    shown = service.meter()
    meter = meter_of(shown)
    service.behave(shown, *words)
    (read,) = ask(meter)
    work()
    service.finished(read.our_reference)
    work()
    assert Day.objects.count() == 2 * len(shown["survey_registers"])
    assert {days.presence(bytes(row.slots)).bit_count() for row in Day.objects.all()} == {48}
    in_parts = {"disagree", "second_day_first"} & set(words)
    assert found(read).status == ("to_check" if in_parts else "accepted"), found(read).why
    assert SideReading.objects.exists() is (words == ("disagree",))


# ---- Storing -------------------------------------------------------------------------------------------


def test_a_delivery_that_cannot_be_stored_does_not_stop_the_others(monkeypatch, work):
    reads = [MeterReadFactory(status="requested") for _ in range(3)]
    for read in reads:
        post(read, document(read))
    broken, store = reads[0].pk, actions.store_readings

    def storing(arrivals):
        if any(each.read.pk == broken for each in arrivals):
            raise ZeroDivisionError
        return store(arrivals)

    monkeypatch.setattr(actions, "store_readings", storing)
    work()
    assert [found(read).status for read in reads] == ["requested", "accepted", "accepted"]
    assert Delivery.objects.get(read=reads[0]).state == "waiting"
    work(until=now() + timedelta(days=4))
    delivery = Delivery.objects.get(read=reads[0])
    assert (delivery.state, delivery.due_at) == ("aside", None)
    assert "could not be stored" in delivery.reason
    assert Alarm.objects.get(key=actions.NOT_STORED).over_at is None


def arrived(count):
    """Results of so many meters at once: the first not its meter's, the last about two at once."""
    reads = [MeterReadFactory(status="requested") for _ in range(count)]
    for number, read in enumerate(reads):
        changes = [{"mpan": "1999999999999"}, {"result": "PENDING"}][number : number + 1]
        assert post(read, document(read, **(changes[0] if changes else {}))).status_code == 200
    assert post(reads[-1], document(reads[-1], surveyDays=2)).status_code == 200
    return reads


def outcome(read):
    """All that storing left behind of a read."""
    row = found(read)
    return (
        *(row.status, row.versions, row.why, row.holds_address),
        [(each.code, each.result) for each in row.checks.order_by("position")],
        list(row.deliveries.order_by("pk").values_list("state", "reason", "claim", "due_at")),
        list(row.register_readings.values_list("value", flat=True)),
        [bytes(day.slots)[28:] for day in Day.objects.filter(channel__meter=row.meter)],
        moves(row),
    )


def test_results_stored_together_end_as_those_stored_one_by_one(monkeypatch):
    together = arrived(5)
    with CaptureQueriesContext(connection) as few:
        tasks.store(0)
    more = arrived(12)
    with CaptureQueriesContext(connection) as many:
        tasks.store(0)
    # A move is two statements of its own; stored one by one, each result would cost ten and more.
    assert len(many) - len(few) <= 7 * 3
    monkeypatch.setattr(tasks, "BATCH", 1)
    alone = arrived(5)
    tasks.store(0)
    ends = [[outcome(read) for read in reads] for reads in (together, alone, more)]
    assert ends[0][2:] == ends[1][2:]
    assert [each[0] for each in ends[0]] == ["to_check", "requested", *["accepted"] * 3]
    assert ends[2][2:-1] == [ends[0][2]] * 9
    assert [each[1] for each in ends[0]] == [1, 0, 1, 1, 2]


def test_a_delivery_is_stored_by_one_worker(work):
    read = MeterReadFactory(status="requested")
    post(read, document(read))
    claim = queue.claim(STORE, Delivery.objects.get().pk, now=now())
    Delivery.objects.update(claimed_until=now() - timedelta(seconds=1))
    work()
    before = (Day.objects.count(), RegisterReading.objects.count(), moves(read))
    actions.store(claims=[claim], now=timezone.now)
    assert (Day.objects.count(), RegisterReading.objects.count(), moves(read)) == before


def test_alarms_of_a_result_are_raised_once(work, clerk):
    read = MeterReadFactory(status="requested")
    content = document(read, statusEvents=["Lid/terminal cover tamper"])
    delivered(read, content, work)
    post(read, document(read, statusEvents=["Lid/terminal cover tamper"], surveyDays=2))
    work()
    alarm = MeterAlarm.objects.get(kind="tamper")
    actions.acknowledge(alarm=alarm, note="Seal renewed.", by=clerk, now=timezone.now)
    with pytest.raises(Impossible):
        actions.acknowledge(alarm=alarm, note="Again.", by=clerk, now=timezone.now)


@pytest.mark.parametrize(("serial", "kinds"), [("No answer", []), ("Wrong number", ["serial"])])
def test_a_meter_that_could_not_be_read_raises_no_alarm_about_its_number(serial, kinds, work):
    read = MeterReadFactory(status="requested")
    content = document(
        read, result="ERROR: No answer", serialNumber=f"ERROR: {serial}",
        registerValues=..., surveyData=...,
    )  # fmt: skip
    assert delivered(read, content, work).status == "failed"
    assert list(MeterAlarm.objects.values_list("kind", flat=True)) == kinds


def test_acknowledging_needs_the_permission(work, person):
    read = MeterReadFactory(status="requested")
    delivered(read, document(read, statusEvents=["Lid/terminal cover tamper"]), work)
    with pytest.raises(NotAllowed):
        actions.acknowledge(
            alarm=MeterAlarm.objects.get(kind="tamper"),
            note="x",
            by=actor_for(person()),
            now=timezone.now,
        )


# ---- Kept aside, and replayed ------------------------------------------------------------------------------


def aside(read):
    post(read, document(read, requestReference="of somebody else"))
    return Delivery.objects.get(state="aside")


def test_a_replay_needs_the_permission_and_happens_once(asked, clerk, person, work):
    delivery = aside(asked)
    with pytest.raises(NotAllowed):
        actions.replay(delivery=delivery, read=asked, by=actor_for(person()), now=timezone.now)
    actions.replay(delivery=delivery, read=asked, by=clerk, now=timezone.now)
    with pytest.raises(Impossible):
        actions.replay(delivery=delivery, read=asked, by=clerk, now=timezone.now)
    work()
    assert found(asked).status == "accepted"


def test_a_mismatch_is_stored_once_a_person_says_so(asked, clerk, work):
    read = delivered(asked, document(asked, serialNumber="99999999"), work)
    assert (read.status, Day.objects.count()) == ("to_check", 0)
    actions.replay(delivery=Delivery.objects.get(), read=asked, by=clerk, now=timezone.now)
    work()
    assert Day.objects.count() == 1
    assert found(asked).status == "to_check"


def test_the_same_document_twice_for_one_read_is_not_replayed(asked, clerk):
    post(asked, document(asked))
    row = Delivery.objects.get()
    again = DeliveryFactory(body=bytes(row.body), size=row.size, sha256=row.sha256)
    with pytest.raises(Impossible, match="very same"):
        actions.replay(delivery=again, read=asked, by=clerk, now=timezone.now)


# ---- People decide -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "status"), [("accept", "accepted"), ("reject", "rejected")])
def test_a_person_decides_with_a_reason(verb, status, clerk, person):
    read = MeterReadFactory(status="to_check")
    decide = getattr(actions, verb)
    with pytest.raises(NotAllowed):
        decide(read=read, reason="Looks right.", by=actor_for(person()), now=timezone.now)
    with pytest.raises(NotAllowed):
        decide(read=read, reason=" ", by=clerk, now=timezone.now)
    decide(read=read, reason="Looks right.", by=clerk, now=timezone.now)
    assert found(read).status == status
    with pytest.raises(Conflict):
        decide(read=read, reason="Looks right.", by=clerk, now=timezone.now)


def test_a_long_name_or_reason_fits(person):
    by = actor_for(person(permissions=["metering.decide_meterread"], first_name="W" * 120))
    read = MeterReadFactory(status="to_check")
    actions.accept(read=read, reason="because " * 200, by=by, now=timezone.now)
    assert len(found(read).why) <= 300


def test_asking_again_is_linked_to_the_first(clerk):
    read = MeterReadFactory(status="failed", survey_days=3, survey_date=date(2026, 5, 1))
    again = actions.ask_again(read=read, by=clerk, now=timezone.now)
    assert (again.asked_after_id, again.meter_id, again.survey_days) == (read.pk, read.meter_id, 3)
    assert again.survey_date == date(2026, 5, 1)
    assert not again.adjust_time
    assert isinstance(again.our_reference, UUID)
    assert again.our_reference != read.our_reference


def test_a_result_after_a_rejection_leaves_the_decision(work):
    read = MeterReadFactory(status="rejected")
    assert delivered(read, document(read), work).status == "rejected"
    assert Day.objects.count() == 1


# ---- Set aside --------------------------------------------------------------------------------------------


def test_a_failed_read_is_set_aside_with_a_reason(clerk, person):
    read = MeterReadFactory(status="failed")
    for by, reason in ((actor_for(person()), "No signal."), (clerk, " ")):
        with pytest.raises(NotAllowed):
            actions.set_aside(read=read, reason=reason, by=by, now=timezone.now)
    actions.set_aside(read=read, reason="No signal.", by=clerk, now=timezone.now)
    assert (found(read).status, moves(read)[-1]) == ("cancelled", "set_aside")
    assert found(read).why == f"Set aside by {clerk.name}: No signal."
    with pytest.raises(Conflict):
        actions.set_aside(read=read, reason="No signal.", by=clerk, now=timezone.now)


def test_what_was_set_aside_tells_the_service_nothing(paused, clerk, work):
    read = MeterReadFactory(status="failed", maybe_sent=True)
    actions.set_aside(read=read, reason="No signal.", by=clerk, now=timezone.now)
    work()
    assert paused.log("collection-cancel") == []


def test_a_result_for_what_was_set_aside_goes_to_a_person(clerk, work):
    read = MeterReadFactory(status="failed")
    actions.set_aside(read=read, reason="No signal.", by=clerk, now=timezone.now)
    assert delivered(read, document(read), work).status == "to_check"
    assert Day.objects.exists()


# ---- On whose side it failed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "side"), [("404", "refused"), ("500", "service"), ("refuse", "not_sent")]
)
def test_a_failed_request_says_on_whose_side(fault, side, meter, paused, work):
    paused.fault(fault)
    (read,) = ask(meter)
    work(until=now() + timedelta(days=3))
    assert (found(read).status, found(read).fault) == ("failed", side), found(read).why


def test_what_we_refuse_ourselves_never_went(paused, work):
    (read,) = ask(MeterFactory(remote_address="0770"))
    work()
    assert found(read).fault == "not_sent"


def test_a_meter_without_an_answer_and_then_with_one(asked, work):
    failed = document(asked, result="ERROR: No answer", surveyData=..., registerValues=...)
    assert delivered(asked, failed, work).fault == "meter"
    assert delivered(asked, document(asked), work).fault == ""


# ---- Documents that are not about the read -------------------------------------------------------------------


def test_under_one_address_a_bounded_number_of_strangers_is_kept(asked, bells):
    for number in range(actions.MOST_STRANGERS + 3):
        body = document(asked, requestReference=f"stranger {number}") if number % 2 else b"no JSON"
        assert post(asked, body).status_code == (404 if number % 2 else 400)
    assert Delivery.objects.count() == actions.MOST_STRANGERS
    assert found(asked).strangers == actions.MOST_STRANGERS + 3
    assert post(asked, document(asked)).status_code == 200
    assert Delivery.objects.filter(read=asked).count() == 1


# ---- Half hours of their own against the register ------------------------------------------------------------


@pytest.mark.parametrize(("use", "result"), [("1.0", "pass"), ("1.5", "look")])
def test_half_hours_are_compared_with_the_register_a_read_later(use, result, work):
    """Nightly reads at 02:00 of the days before: the stretch between two is whole a night later."""
    meter = MeterFactory(meter_type__code="ELSTER_AS230", meter_type__survey="period")
    day, night = timedelta(days=1), timedelta(hours=26)
    for number in range(3):
        ended = FIRST_DAY + number * day + night
        stamp = f"{ended:%Y-%m-%dT%H:%M:%SZ}"
        read = MeterReadFactory(meter=meter, status="requested")
        value = {"name": "kWh Import", "timestamp": stamp, "units": "kWh"}
        content = document(
            read,
            collectionStartTime=stamp, collectionEndTime=stamp, meterTime=f"{stamp} +0s",
            registerValues=[{**value, "value": f"{1000 + 48 * number}.0"}],
            surveyData=[survey([use] * 48, FIRST_DAY + number * day)],
        )  # fmt: skip
        read = delivered(read, content, work)
        if read.status == "to_check":
            break
    check = read.checks.get(code="survey")
    assert check.result == result, check.sentence
    assert number == 2
    assert ["kWh Import", "advance 48.0\N{NO-BREAK SPACE}kWh"] in check.figures


# ---- By themselves -----------------------------------------------------------------------------------------


@pytest.fixture
def night():
    """A group of two meters that are read at two in the night, and one that is not."""
    MeterFactory.create_batch(2, group="north")
    MeterFactory(group="north", active=False)
    MeterFactory(group="south")
    return Schedule.objects.create(group="north", every="night", hour=2, survey_days=1)


def run(moment):
    with time_machine.travel(moment, tick=False):
        return [batch.reads.count() for batch in actions.run_schedules(now=timezone.now)]


def test_a_schedule_runs_once_a_night(night):
    assert run("2026-07-01 00:30:00Z") == []  # half past one in London
    assert run("2026-07-01 01:00:00Z") == [2]
    assert run("2026-07-01 01:00:10Z") == run("2026-07-01 21:00:00Z") == []
    assert run("2026-07-02 05:00:00Z") == [2]
    assert MeterRead.objects.values_list("survey_days", flat=True).distinct().get() == 1


def test_a_monthly_schedule_runs_on_the_first(night):
    Schedule.objects.update(every="month")
    assert run("2026-07-31 12:00:00Z") == []
    assert run("2026-08-01 12:00:00Z") == [2]
    assert run("2026-08-01 13:00:00Z") == run("2026-08-02 12:00:00Z") == []


def test_an_inactive_schedule_does_not_run(night):
    Schedule.objects.update(active=False)
    assert run("2026-07-01 05:00:00Z") == []


# ---- A version more ------------------------------------------------------------------------------------------


def test_two_versions_of_which_the_first_failed(work):
    read = MeterReadFactory(status="requested")
    failed = document(read, result="ERROR: No answer", surveyData=..., registerValues=...)
    assert delivered(read, failed, work).status == "failed"
    assert delivered(read, document(read), work).status == "accepted"
    assert found(read).versions == 2


def test_two_versions_in_one_round_are_both_judged(work):
    read = MeterReadFactory(status="requested")
    values = [f"{1000 + n}.000" for n in range(48)]
    values[0] = "999.5"
    post(read, document(read))
    post(
        read, document(read, surveyData=[survey(values)], collectionEndTime="2026-05-02T00:09:00Z")
    )
    work()
    assert (found(read).versions, found(read).status) == (2, "to_check")
    assert FIRST_DAY.year == Day.objects.get().day.year


def test_the_queues_are_known():
    names = {each.name for each in (REQUEST, FETCH, CANCEL, STORE)}
    assert names <= {each.name for each in queue.all_queues()}
