"""What the sandbox needs to know of a party in order to play it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sandbox.exchange import Answer, Request, Route
from sandbox.store import Shelf

if TYPE_CHECKING:
    from sandbox.courier import Courier


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One fixed record of a party, as the control page shows it."""

    key: str
    purpose: str
    facts: str
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class ChangeForm:
    """The form with which the control page changes a record of a party."""

    url: str
    field: str
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing about a party that the control page can set; without choices, a number."""

    name: str
    label: str
    hint: str
    value: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """What the control page shows and sets of a party as a whole, and how its counts are reset."""

    url: str
    settings: tuple[Setting, ...]
    gauges: tuple[tuple[str, str], ...]
    reset_url: str


class Party(Protocol):
    """An outside party: its calls, its credentials, its records and its control calls."""

    name: str
    title: str
    notes: str
    secret_headers: frozenset[str]
    secret_fields: frozenset[str]

    @property
    def change_form(self) -> ChangeForm | None:
        """The form that changes its records; None where none of them changes."""

    def open(self, shelf: Shelf) -> None:
        """Take the part of the store that belongs to this party."""

    @property
    def routes(self) -> Sequence[Route]:
        """The calls of its specification, below `/<name>`."""

    @property
    def controls(self) -> Sequence[Route]:
        """Its own calls below `/control`."""

    def knows(self, request: Request) -> bool | None:
        """Are the credentials right? None where the party asks for none."""

    def stranger(self) -> Answer:
        """What it says to a caller whose credentials are wrong."""

    def no_such_call(self) -> Answer:
        """What it says to a path that it does not have."""

    def problem(self, status: int) -> Answer:
        """What it says with 400, 429 or 500."""

    def good_answer(self, request: Request, *, another: bool) -> Answer:
        """A good answer to this request, or a good answer to somebody else's."""

    def exhibits(self) -> Sequence[Exhibit]:
        """Its fixed records with their purposes."""


@runtime_checkable
class Adjustable(Protocol):
    """A party that can be set and read as a whole."""

    def panel(self) -> Panel:
        """Give its settings and counts as they are now."""


@runtime_checkable
class Forgetful(Protocol):
    """A party that remembers something beside its records."""

    def forget(self) -> None:
        """Forget it, and go on with nothing."""


@runtime_checkable
class Discreet(Protocol):
    """A party that is sent what no log may keep."""

    def kept(self, body: bytes) -> bytes:
        """Give what the log may keep of a request body; faults choose calls by it."""


@runtime_checkable
class Active(Forgetful, Protocol):
    """A party that also does something by itself, in the background."""

    def begin(self, courier: "Courier") -> None:
        """Begin; whatever is sent goes through the courier."""

    def end(self) -> None:
        """End every thread of its own; what is left to do stays in the store."""
