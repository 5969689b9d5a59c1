"""What must be true after a drill, whatever happened in it. Facts in, sentences out."""

from collections import Counter
from dataclasses import dataclass

RECEIVED = "we have your application"


@dataclass(frozen=True)
class Outcome:
    """What a certificate implies: the status, the moves to it, and the letter that tells it."""

    status: str
    moves: tuple[str, ...]
    letter: str = ""


APPROVED = Outcome("approved", ("open", "approve_clean"), "approved")
REFUSED = Outcome("refused", ("open", "refuse_by_rule"), "we cannot approve it")
REVIEW = Outcome("review", ("open", "give_to_person"))
NUMBER = Outcome("waiting", ("open", "ask_for_number"), "please check your certificate number")
IN_PROGRESS = Outcome("checking", ("open",), "your certificate is not finished yet")


def unsettled(expected, cases):
    """Which applications are not where they belong yet, or have an e-mail that has not left."""
    return [
        case["reference"]
        for case in cases
        if case["status"] != expected[case["reference"]].status
        or case["claimed"]
        or case["trouble"]
        or not case["calls"]
        or any(mail["state"] != "sent" for mail in case["emails"])
    ]


def problems(expected, cases, received, letters):
    """Everything that is wrong, in sentences; empty when the drill was passed.

    `expected` are outcomes by reference, `cases` what the portal says happened, `received` the
    registry's own log, `letters` the e-mails in the folder.
    """
    found = []
    told = {case["reference"] for case in cases}
    found += [f"{reference} is lost." for reference in expected if reference not in told]
    found += [f"{reference} was not sent." for reference in told if reference not in expected]
    for case in cases:
        if case["reference"] in expected:
            found += _of_case(expected[case["reference"]], case, received)
    return [*found, *_of_letters(cases, letters)]


def _of_case(outcome, case, received):
    name = case["reference"]
    if case["status"] != outcome.status:
        yield f"{name} is {case['status']}, not {outcome.status}: {case['why']}"
    if case["claimed"]:
        yield f"{name} is held by a worker that is gone."
    if case["trouble"]:
        yield f"{name} still waits for the registry."
    if (moves := tuple(move[0] for move in case["moves"])) != outcome.moves:
        yield f"{name} made the moves {moves}, not {outcome.moves}."
    topics = Counter(mail["subject"].rpartition(": ")[2] for mail in case["emails"])
    wanted = Counter([RECEIVED, *([outcome.letter] if outcome.letter else [])])
    if topics != wanted:
        yield f"{name} has the e-mails {dict(topics)}, not {dict(wanted)}."
    yield from _of_calls(case, received)


def _of_calls(case, received):
    """Every recorded answer was given by the registry; each call is recorded, or its worker died."""
    ours = Counter(status for _, _, status in case["calls"] if status)
    path = f"/GetInstallation/{case['number']}"
    heard = [entry for entry in received if entry["path"].endswith(path)]
    theirs = Counter(entry["status"] for entry in heard if entry["status"])
    if ours - theirs:
        yield f"{case['reference']}: recorded {dict(ours)}, the registry gave {dict(theirs)}."
    if not any(status for _, _, status in case["calls"]):
        yield f"{case['reference']} was decided without an answer."
    if len(heard) > len(case["calls"]):
        yield (
            f"{case['reference']}: the registry heard {len(heard)} calls, "
            f"{len(case['calls'])} are recorded."
        )


def _of_letters(cases, letters):
    rows = {mail["message_id"]: mail for case in cases for mail in case["emails"]}
    left = Counter(letter["Message-ID"] for letter in letters if letter["Message-ID"])
    for number, mail in rows.items():
        if mail["state"] != "sent" or mail["claimed"]:
            yield f"The e-mail “{mail['subject']}” is {mail['state']}."
        elif not left[number]:
            yield f"The e-mail “{mail['subject']}” is called sent and never left."
    for number in left:
        if number not in rows:
            yield f"An e-mail left that nobody wrote: {number}."
