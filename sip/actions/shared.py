"""What the verbs of this desk share: who may, and what keeps a worksheet from going on."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from core.models import User
from core.workflow import Actor, Impossible, NotAllowed, Who
from sip import messages, rules
from sip.models import Attempt, Job

Clock = Callable[[], datetime]
Status = Job.Status
Sent = Attempt.Outcome
ENDED = (Status.ACCEPTED, Status.CANCELLED)
COPIED: Final = ("mpan", "supplier_mpid", "contact_name", "address", "town", "post_code")


class NotComplete(Impossible):
    """The worksheet lacks an answer, or one is wrong."""

    def __init__(self, problems: Sequence[rules.Problem]) -> None:
        titles = dict.fromkeys(messages.BLOCKS[each.block].title for each in problems)
        number = "One answer is" if len(problems) == 1 else f"{len(problems)} answers are"
        super().__init__(f"{number} missing or wrong in: {', '.join(titles)}. Nothing was changed.")
        self.problems = problems


def person(by: Actor) -> User:
    """The member of staff. Raises `NotAllowed` for the portal."""
    if by.user is None:
        raise NotAllowed("Only a person can do this.")
    return by.user


def may(by: Actor, permission: str, sentence: str) -> None:
    """Raise `NotAllowed` with this sentence unless a person with the permission acts."""
    if by.who is not Who.PERSON or by.user is None or not by.user.has_perm(permission):
        raise NotAllowed(sentence)


def filler(job: Job, by: Actor) -> User:
    """The member of staff, who may fill in this worksheet. Raises `NotAllowed`."""
    user = person(by)
    if not job.may_fill(user):
        raise NotAllowed("This worksheet is filled in by its engineer and the desk.")
    return user
