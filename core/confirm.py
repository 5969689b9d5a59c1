"""One-time tokens of check-your-answers pages: what was shown is what is done, and done once.

A token names the person, the case as it stood, the move and the answers shown. Its number is
written into the history with the move, where it is unique.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from django.core import signing

from core.models import StatusChange, User
from core.workflow import Case, Impossible

SALT = "core.confirm"
GOOD_FOR_SECONDS = 4 * 3600


class NotConfirmed(Impossible):
    """The token does not fit what is asked: nothing was done."""


@dataclass(frozen=True)
class Shown:
    """What a check page showed: the case as it stood, the move and the answers."""

    case: Case
    move: str
    answers: str
    changed: ClassVar[str] = "The case has changed since you looked at it. Nothing was done."

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


@dataclass(frozen=True)
class ShownOrder:
    """What a check page showed where there is no case yet: the verb, and the answers."""

    what: str
    answers: str
    changed: ClassVar[str] = "This is not what you looked at. Look at it again, then press once."

    def _facts(self, user: User) -> list[str]:
        return [self.what, sha256(self.answers.encode()).hexdigest(), str(user.pk)]


def token_for(shown: Shown | ShownOrder, user: User) -> str:
    """Make the token for a check page."""
    number = secrets.token_hex(16)
    return signing.dumps([number, *shown._facts(user)], salt=SALT, compress=True)


def used(token: str) -> bool:
    """Whether this very confirmation was carried out before: a double click, the back button."""
    try:
        number, *_ = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError):
        return False
    return StatusChange.objects.filter(confirmation=number).exists()


def redeem(token: str, shown: Shown | ShownOrder, user: User) -> str:
    """Return the token's number for `move()`. Raises `NotConfirmed`."""
    try:
        number, *facts = signing.loads(token, salt=SALT, max_age=GOOD_FOR_SECONDS)
    except (signing.BadSignature, ValueError) as problem:
        raise NotConfirmed("This page is too old. Look at it again, then press once.") from problem
    if facts != shown._facts(user):
        raise NotConfirmed(shown.changed)
    return str(number)
