"""How the isolation drill starts its workers: they stumble on order, and may have a defect.

`celery --app tests.drills.isolation_planted worker`. DRILL_ORDERS is a folder of orders, each
carried out once ("007.kill.calling") by a worker with this DRILL_ACT; DRILL_PLANT names a defect.
The portal knows nothing of it.
"""

import os
import secrets
import signal
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from celery.signals import worker_init

from config.celery import app

__all__ = ["app"]

PAUSE = 11.0
# Where a worker may stop, in the order of a send. Within a transaction it is only ever killed.
KILLED_AT = ("claiming", "claimed", "calling", "answered", "recording", "recorded")
PAUSED_AT = ("claimed", "calling", "answered")


# ---- Stumbling -------------------------------------------------------------------------------


def at(point):
    """Carry out the first order for this point of a send, if there is one."""
    orders = Path(os.environ["DRILL_ORDERS"])
    for order in sorted(orders.glob(f"*.{os.environ['DRILL_ACT']}.{point}")):
        try:
            order.rename(order.with_suffix(f".{point}-done"))
        except FileNotFoundError:
            continue  # Another worker has it.
        if os.environ["DRILL_ACT"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(PAUSE)
        return


def stumble():
    """Look for orders at every point of a send."""
    from core import calls, queue
    from sip import actions
    from sip.client import MarketMessages
    from sip.models import SEND

    take, send, claim, record = actions.take, actions.send, queue.claim, calls.record
    call = MarketMessages.send

    def claiming(which, pk, *, now):
        claimed = claim(which, pk, now=now)
        if claimed is not None and which is SEND:
            at("claiming")
        return claimed

    def taking(pk, *, now):
        taken = take(pk, now=now)
        if taken is not None:
            at("claimed")
        return taken

    def calling(self, body, **about):
        at("calling")
        try:
            return call(self, body, **about)
        finally:
            at("answered")

    def recording(made, *, case=None):
        record(made, case=case)
        at("recording")

    def sending(**sent):
        send(**sent)
        at("recorded")

    actions.take, actions.send, queue.claim, calls.record = taking, sending, claiming, recording
    MarketMessages.send = calling


def hurry():
    """Shorten the waits that are no settings: a drill has seconds, not minutes."""
    from core import queue

    queue.RING_AGAIN_AFTER = timedelta(seconds=2)
    queue.BACK_OFF_SECONDS = (1, 2)


# ---- Defects ---------------------------------------------------------------------------------


def claimed_after_the_call():
    """The claim is committed once the answer is there, not before the connection is opened."""
    from django.db import transaction
    from django.db.models import F

    from sip import actions
    from sip.actions import sending
    from sip.models import SEND, Attempt, Job

    take, record = actions.take, sending._record

    def uncommitted(pk, *, now):
        with transaction.atomic():
            taken = take(pk, now=now)
            transaction.set_rollback(True)
        return taken

    def committed(taken, result, now):
        claim = {"claim": taken.claim.token, "claimed_at": now, "claimed_until": now + SEND.lease}
        Job.objects.filter(pk=taken.job.pk, status=Job.Status.SENDING).update(**claim)
        Attempt.objects.filter(pk=taken.attempt.pk, outcome=Attempt.Outcome.WAITING).update(
            outcome=Attempt.Outcome.SENDING, claim=taken.claim.token, tries=F("tries") + 1
        )
        record(taken, result, now)

    actions.take, sending._record = uncommitted, committed


def unknown_sent_again():
    """An answer that leaves it open counts as surely not sent."""
    from sip.actions import sending
    from sip.models import Attempt

    result = sending._result

    def hopeful(problem):
        found = result(problem)
        if found.outcome is Attempt.Outcome.UNKNOWN:
            return replace(found, outcome=Attempt.Outcome.NOT_SENT)
        return found

    sending._result = hopeful


def token_not_checked():
    """A confirmation holds for whatever the case is by now, and as often as one likes."""
    from core import confirm

    confirm.redeem = lambda token, shown, user: secrets.token_hex(16)


def stopped_after_the_claim():
    """Stop wins although a worker has the message already."""
    from core.workflow import move
    from sip.actions import confirming
    from sip.models import Attempt

    def take_back(job, name, *, by, now, why):
        move(job, name, by=by, now=now, why=why[:300])
        still_open = Attempt.objects.filter(job=job, outcome__in=Attempt.OPEN)
        still_open.update(outcome=Attempt.Outcome.STOPPED, ended_at=now, sentence=why[:500])

    confirming.take_back = take_back


def abandoned_claimed_again():
    """A row whose worker stopped is free for the next one, although it must be done once."""
    from django.db import transaction
    from django.db.models import Q

    from core import queue
    from sip import actions
    from sip.models import Attempt

    take = actions.take

    def free(self, now):
        anybody = Q(claim=None) | Q(claimed_until__lt=now)
        return self.rows().filter(anybody, due_at__lte=now)

    def take_again(pk, *, now):
        with transaction.atomic():
            Attempt.objects.filter(
                job_id=pk, outcome=Attempt.Outcome.SENDING, job__claimed_until__lt=now()
            ).update(outcome=Attempt.Outcome.WAITING)
            return take(pk, now=now)

    queue.Queue.free, actions.take = free, take_again


def late_answer_overwrites():
    """A late answer is written over what a person has settled."""
    from django.db import transaction
    from django.db.models import QuerySet

    from core.workflow import Conflict, transition
    from sip.actions import settling
    from sip.models import Attempt, Job

    settle = settling._settle_late

    def overwrite(taken, result, now):
        try:
            with transaction.atomic():
                settle(taken, result, now)
        except Conflict:
            target = transition(Job, settling.LATE_MOVES[result.outcome]).target
            QuerySet.update(Job.objects.filter(pk=taken.job.pk), status=target, due_at=None)
            late = {"outcome": result.outcome, "ended_at": now}
            Attempt.objects.filter(pk=taken.attempt.pk).update(**late)

    settling._settle_late = overwrite


def timed_out_is_a_no():
    """HTTP 408 is a 4xx like any other."""
    from sip import client

    decide = client._decide

    def hasty(reply):
        if reply.status == 408:
            refusal = client.read_refusal(reply.body)
            raise client.NotAccepted("They refused it.", refusal=refusal, call=reply.call)
        return decide(reply)

    client._decide = hasty


def any_200_is_a_yes():
    """What came with a 200 is not read before it is believed."""
    from sip import client

    decide = client._decide

    def trusting(reply):
        try:
            return decide(reply)
        except client.Lost:
            if reply.status != 200:
                raise
            yes = client.Acceptance(status="success", message="", request_id="", scenario="")
            return client.Accepted(yes, "", reply.call)

    client._decide = trusting


def never_given_up():
    """What a killed worker held is held for ever."""
    from sip import actions

    actions.give_up_abandoned = lambda pk, *, now: None


PLANTS = {
    each.__name__: each
    for each in (
        claimed_after_the_call,
        unknown_sent_again,
        token_not_checked,
        stopped_after_the_claim,
        abandoned_claimed_again,
        late_answer_overwrites,
        timed_out_is_a_no,
        any_200_is_a_yes,
        never_given_up,
    )
}


def plant():
    """Put the defect in, if one is named."""
    if name := os.environ.get("DRILL_PLANT"):
        PLANTS[name]()


@worker_init.connect
def start(**_):
    """Make this worker hasty, clumsy and perhaps defective."""
    hurry()
    plant()
    stumble()
