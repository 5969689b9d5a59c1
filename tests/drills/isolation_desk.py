"""One person at the safe isolation desk, as a process: a line of JSON in, a line of JSON out.

DRILL_PERSON is who is signed in here, DRILL_PLANT a defect of the portal they work with.
"""

import json
import os
import random
import urllib.request
from contextlib import suppress
from functools import partial

from tests.journeys import clerk

PEOPLE = ("first@drill.example", "second@drill.example")
MOST_ATTEMPTS = 3
AT_ONCE = 6
tokens: dict[int, list[str]] = {}
pages: dict[str, list[str]] = {}
dice = random.Random(os.environ.get("DRILL_SEED", "") + os.environ.get("DRILL_PERSON", ""))


# ---- What everybody needs --------------------------------------------------------------------


def set_up():
    """Bring the database up to date and make the people."""
    from django.core.management import call_command

    from tests.factories import UserFactory

    call_command("migrate", interactive=False, verbosity=0)
    for email in PEOPLE:
        UserFactory(role="safe isolation", email=email)


def _me():
    from core.models import User
    from core.workflow import actor_for

    return actor_for(User.objects.get(email=os.environ["DRILL_PERSON"]))


def _job(pk):
    from sip.models import Job

    return Job.objects.get(pk=pk)


def _do(name, **how):
    from django.utils import timezone

    from sip import actions

    return getattr(actions, name)(by=_me(), now=timezone.now, **how)


def prepare(blocks, key):
    """A job whose worksheet was filled in and handed in."""
    from tests.factories.sip import details, filled

    job = filled(_do("create_job", details=details(), key=key), blocks, _me())
    _do("hand_in", job=job)
    return {"pk": job.pk, "reference": job.reference, "job_id": str(job.job_id)}


# ---- Clicks ----------------------------------------------------------------------------------


def click(pk, button):
    """Press something, whatever the job is by now, and say what the portal answered."""
    from core.workflow import Impossible

    try:
        return CLICKS[button](pk) or "done"
    except Impossible as problem:
        return type(problem).__name__


def _look(pk):
    """Open the check page, which makes a token."""
    from django.core import signing

    from core import confirm
    from sip import worksheet

    job, me = _job(pk), _me()
    if job.status != job.Status.CHECK:
        return None
    made = worksheet.composed(job)
    token = confirm.token_for(worksheet.shown(job, made), me.user)
    number = signing.loads(token, salt=confirm.SALT)[0]
    pages[number] = [job.reference, made.sha256, me.name, job.status_at.isoformat()]
    tokens.setdefault(pk, []).append(token)
    return token


def _authorise(pk):
    token = _look(pk)
    return _press(pk, token) if token else "nothing to confirm"


def _press(pk, token):
    _do("authorise", job=_job(pk), token=token)


def _double(pk):
    """Press twice before the first answer is there."""
    from core.workflow import Impossible
    from tests.core.racing import race

    token = _look(pk)
    if token is None:
        return "nothing to confirm"
    both = race(*[partial(_press, pk, token)] * 2)
    for broken in (each for each in both if each and not isinstance(each, Impossible)):
        raise broken
    return "done" if None in both else "neither"


def _back(pk):
    """Go back to a page that was open before, and press there."""
    held = tokens.get(pk)
    return _press(pk, dice.choice(held)) if held else "no such page"


def _correct(pk):
    _do("correct", job=_job(pk))
    sheet = _job(pk).sheets.get(block="job_completion")
    notes = f"Looked at again, {sheet.revision}."
    answers = {**sheet.answers, "job_notes": notes}
    _do("save_block", job=_job(pk), block=sheet.block, answers=answers, revision=sheet.revision)
    _do("hand_in", job=_job(pk))


def _resolve(pk):
    """Ring the party, which looks at its list, and write down what it says."""
    job = _job(pk)
    query = f"{os.environ['DRILL_PARTY']}/accepted?job_id={job.job_id}"
    with urllib.request.urlopen(query, timeout=10) as reply:
        answer = "received" if json.load(reply)["accepted"] else "never"
    said = {"told_by": "Nell Ashdown", "reason": "Rang them.", "evidence": None}
    _do("resolve_unknown", job=job, answer=answer, **said)


def _accept_after_all(pk):
    _do("accept_after_all", job=_job(pk), reason="Their late answer says so.")


CLICKS = {
    "authorise": _authorise,
    "double": _double,
    "back": _back,
    "stop": lambda pk: _do("stop", job=_job(pk)),
    "correct": _correct,
    "resolve": _resolve,
    "cancel": lambda pk: _do("cancel", job=_job(pk), reason="Not needed any more."),
    "accept_after_all": _accept_after_all,
}


def tend():
    """Stop what is too late to stop, and do what the home page asks for: mend, settle, send."""
    from sip.models import Job

    mend_key()
    status = Job.Status
    held = list(Job.objects.filter(status=status.SENDING).exclude(claim=None).order_by("pk"))
    done = [["late stop", click(job.pk, "stop")] for job in held[:AT_ONCE]]
    asked = {status.UNKNOWN: "resolve", status.REFUSED: "correct", status.CHECK: "authorise"}
    waiting = Job.objects.filter(status__in=asked, sends__isnull=False).distinct()
    found = list(waiting.values_list("pk", "status").order_by("pk"))
    for pk, stands in dice.sample(found, min(AT_ONCE, len(found))):
        if stands == status.CHECK and _job(pk).sends.count() >= MOST_ATTEMPTS:
            continue
        done.append([asked[stands], click(pk, asked[stands])])
    return done


def mend_key():
    """Say that the key is fixed, if the desk is stopped."""
    from core.workflow import Impossible
    from sip.models import KeyStop

    if KeyStop.current() is not None:
        with suppress(Impossible):
            _do("key_is_fixed", note="Asked them; it works again.")


# ---- The queue -------------------------------------------------------------------------------


def ring(pks, task):
    """Ring for jobs, due or not, twice each."""
    from core import queue

    for pk in [*pks, *pks]:
        queue.ring(task, pk)


def lose():
    """Lose every bell that nobody has heard yet. Returns how many."""
    from celery import current_app

    return current_app.control.purge()


def under_way():
    """The jobs that are being sent, and how many of them a worker holds."""
    from sip.models import Job

    rows = Job.objects.filter(status=Job.Status.SENDING).values_list("pk", "claim")
    return {"pks": [pk for pk, _ in rows], "held": sum(claim is not None for _, claim in rows)}


# ---- What came of it -------------------------------------------------------------------------


def opened_pages():
    """The check pages that this person opened, by their token's number."""
    return pages


def jobs():
    """Everything that happened to every job."""
    from sip.models import Job

    return [_told(job) for job in Job.objects.order_by("pk")]


def _told(job):
    from core.models import PartnerCall, StatusChange

    return {
        "reference": job.reference,
        "job_id": str(job.job_id),
        "status": job.status,
        "claimed": job.claim is not None,
        "due": job.due_at is not None,
        "moves": [
            [change.move, change.to_status, change.at.isoformat(), change.confirmation]
            for change in StatusChange.objects.for_case(job).order_by("pk")
        ],
        "attempts": [
            _attempt(each)
            for each in job.sends.select_related("message", "resolution").order_by("number")
        ],
        "calls": [
            [call.outcome, call.http_status]
            for call in PartnerCall.objects.filter(case_label=job.case_label, case_id=job.pk)
        ],
    }


def _attempt(attempt):
    resolution = getattr(attempt, "resolution", None)
    return {
        "number": attempt.number,
        "sha256": attempt.message.sha256,
        "tries": attempt.tries,
        "outcome": attempt.outcome,
        "late_outcome": attempt.late_outcome,
        "their_reference": attempt.their_reference,
        "http_status": attempt.http_status,
        "confirmation": attempt.confirmation,
        "by": attempt.by_name,
        "answer": resolution.answer if resolution else "",
    }


WORK = (set_up, prepare, click, tend, mend_key, ring, lose, under_way, opened_pages, jobs)


def serve():
    """Set the portal up as the drill wants it, and answer until nobody asks any more."""
    import django

    from tests.drills import isolation_planted

    django.setup()
    isolation_planted.plant()
    clerk.WORK = {each.__name__: each for each in WORK}
    clerk.serve()


if __name__ == "__main__":
    serve()
