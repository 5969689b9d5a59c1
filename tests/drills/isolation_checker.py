"""What must hold on the safe isolation desk after a drill. Facts of both sides in, sentences out.

`jobs` and `pages` are what the portal says, `accepted` and `arrived` the party's own log.
"""

from collections import Counter

RESTING = ("planned", "in_progress", "check", "accepted", "refused", "unknown", "cancelled")
# An attempt with one of these may have reached the party; with the others it surely did not.
OPEN = ("", "accepted", "unknown")


def unsettled(jobs):
    """Which jobs have not come to rest yet."""
    return [job["reference"] for job in jobs if [*_at_rest(job)]]


def problems(jobs, pages, accepted, arrived):
    """Everything that is wrong, in sentences; empty when the drill was passed."""
    found = []
    for job in jobs:
        theirs = [row for row in accepted if row["job_id"] == job["job_id"]]
        calls = [row for row in arrived if row["job_id"] == job["job_id"]]
        sentences = [
            *_at_rest(job),
            *_both_sides(job, theirs),
            *_sent_once(job, theirs, calls),
            *_unknown(job, calls),
            *_settled_by_people(job),
            *_confirmed(job, pages),
        ]
        found += [f"{job['reference']} {sentence}" for sentence in sentences]
    ours = {(job["job_id"], each["sha256"]) for job in jobs for each in job["attempts"]}
    strangers = [row for row in accepted if (row["job_id"], row["sha256"]) not in ours]
    found += [f"The party has a message that nobody confirmed: {row}" for row in strangers]
    return found


def _at_rest(job):
    """Nothing is stuck: a resting status, nobody holds it, nothing is due."""
    if job["status"] not in RESTING:
        yield f"is still {job['status']}."
    if job["claimed"]:
        yield "is held by a worker that is gone."
    if job["due"]:
        yield "is due, and nobody works on it."
    if any(each["outcome"] in ("waiting", "sending") for each in job["attempts"]):
        yield "has an attempt that never ended."


def _both_sides(job, theirs):
    """No yes that the party does not have, no no that it has."""
    has = {row["request_id"] for row in theirs}
    for each in job["attempts"]:
        yes = "accepted" in (each["outcome"], each["late_outcome"])
        if yes and each["their_reference"] not in has:
            yield f"attempt {each['number']} is called accepted; the party does not have it."
        status, no = each["http_status"], each["outcome"] in ("refused", "not_sent")
        if no and status and _leaves_open(status):
            yield f"attempt {each['number']} is called {each['outcome']} after HTTP {status}."
    named = Counter(each["their_reference"] for each in job["attempts"] if each["their_reference"])
    yield from (f"counts acceptance {number} twice." for number, n in named.items() if n > 1)
    for sha256, taken in Counter(row["sha256"] for row in theirs).items():
        told = Counter(_side(each) for each in job["attempts"] if each["sha256"] == sha256)
        if taken > told["accepted"] + told["open"]:
            yield f"was accepted {taken} times by the party; the portal says {dict(told)}."
    if job["status"] == "accepted" and not (theirs or _answers(job)):
        yield "is accepted; the party has nothing and nobody said that it had."


def _side(attempt):
    """What the portal says of an attempt: accepted, open (it may be there), or surely not there."""
    if attempt["outcome"] == "unknown":
        return "open" if attempt["late_outcome"] in OPEN else "not there"
    return "accepted" if attempt["outcome"] == "accepted" else "not there"


def _answers(job):
    return [each["answer"] for each in job["attempts"] if each["answer"]]


def _sent_once(job, theirs, calls):
    """At most one acceptance for each attempt, and no repetition once a call may have counted."""
    taken = Counter(row["sha256"] for row in theirs)
    counted = Counter(row["sha256"] for row in calls if _may_count(row))
    for sha256 in taken | counted:
        same = [each for each in job["attempts"] if each["sha256"] == sha256]
        begun = sum(each["tries"] > 0 for each in same)
        if taken[sha256] > begun:
            yield f"was confirmed {begun} times and accepted {taken[sha256]} times."
        if counted[sha256] > begun:
            yield f"was sent {counted[sha256]} times in {begun} attempts, without a surely not."


def _may_count(call):
    """Whether a call leaves room for an acceptance, as far as its sender can tell."""
    return call["accepted"] or call["status"] is None or _leaves_open(call["status"])


def _leaves_open(status):
    return status == 408 or not 400 <= status < 500


def _unknown(job, calls):
    """Every unknown has its reason, and stays unknown until somebody settles it."""
    unknown = [each for each in job["attempts"] if each["outcome"] == "unknown"]
    reasons = [call for call in job["calls"] if call[0] in ("unknown", "cut off")]
    if len(unknown) > len(reasons):
        yield f"has {len(unknown)} unknown attempts and {len(reasons)} calls that were lost."
    spoilt = {row["status"] for row in calls if row["fault"] or not row["written"]}
    for each in unknown:
        if each["http_status"] and not each["late_outcome"] and each["http_status"] not in spoilt:
            yield f"attempt {each['number']} is unknown after a whole answer."
        last = each["number"] == len(job["attempts"])
        if not each["answer"] and not (last and job["status"] == "unknown"):
            yield f"attempt {each['number']} is unknown; nobody settled it, and it moved on."


def _settled_by_people(job):
    """What a person settled stands, and a status has a move that led to it."""
    for each in job["attempts"]:
        if each["answer"] and each["outcome"] != "unknown":
            yield f"attempt {each['number']} was settled by a person and overwritten."
    if job["moves"][-1][1] != job["status"]:
        yield f"is {job['status']}; its last move led to {job['moves'][-1][1]}."


def _confirmed(job, pages):
    """Every attempt was confirmed on a page that showed this message and the job as it stood."""
    stood = {}
    for before, move in zip(job["moves"], job["moves"][1:], strict=False):
        stood[move[3]] = before[2]
    for each in job["attempts"]:
        page = [job["reference"], each["sha256"], each["by"], stood.get(each["confirmation"])]
        if pages.get(each["confirmation"]) != page:
            yield f"attempt {each['number']} was confirmed on no page that showed it as it stood."
