"""One-time tokens of check-your-answers pages: what was shown is what is done, and done once.

A token names the person, the case as it stood, the move and the answers shown. Its number is
written into the history with the move, where it is unique.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from django.core import signing

from core.models import StatusChange, User
from core.workflow import Case

SALT = "core.confirm"
GOOD_FOR_SECONDS = 4 * 3600


class NotConfirmed(Exception):
    """The token does not fit what is asked: nothing was done. `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class DoneAlready(Exception):
    """This very confirmation was carried out before: a double click or the back button."""


@dataclass(frozen=True)
class Shown:
    """What a check page showed: the case as it stood, the move and the answers."""

    case: Case
    move: str
    answers: str

    def _facts(self, user: User) -> list[str]:
        digest = sha256(self.answers.encode()).hexdigest()
        stood = self.case.status_at.isoformat()
        return [
            self.case.case_label,
            str(self.case.pk),
            stood,
            self.move,
            digest,
            str(user.pk),
        ]


def token_for(shown: Shown, user: User) -> str:
    """Make the token for a check page."""
    number = secrets.token_hex(16)
    return signing.dumps([number, *shown._facts(user)], salt=SALT, compress=True)


def redeem(token: str, shown: Shown, user: User) -> str:
    """Return the token's number for `move()`. Raises `DoneAlready`, `NotConfirmed`."""
    try:
        number, *facts = signing.loads(token, salt=SALT, max_age=GOOD_FOR_SECONDS)
    except (signing.BadSignature, ValueError) as problem:
        raise NotConfirmed("This page is too old. Look at it again, then press once.") from problem
    if StatusChange.objects.filter(confirmation=number).exists():
        raise DoneAlready
    if facts != shown._facts(user):
        raise NotConfirmed("The case has changed since you looked at it. Nothing was done.")
    return str(number)
