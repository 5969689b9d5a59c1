"""What a desk tells the frame about itself: menu, home, search, roles. The frame knows no desk."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from core.models import Email, PartnerCall, User
    from core.workflow import Actor


@dataclass(frozen=True)
class InboxItem:
    """One line on the home page: a case that needs a person, and what happens if nobody acts."""

    reference: str
    url: str
    text: str
    source: str
    tag: tuple[str, str]
    consequence: str
    age_at: datetime
    overdue: bool = False
    who: str = ""


@dataclass(frozen=True)
class InboxGroup:
    """Inbox lines with one reason. `edge` is "bad", "look" or empty; `count` may exceed `items`."""

    title: str
    lead: str
    items: list[InboxItem]
    edge: str = ""
    count: int = 0
    url: str = ""


@dataclass(frozen=True)
class Tile:
    """A desk on the home page: how many cases need a person, and the oldest one's age."""

    label: str
    url: str
    big: int
    small: str
    foot: str
    oldest_at: datetime | None = None


@dataclass(frozen=True)
class Hit:
    """One search result."""

    reference: str
    url: str
    title: str
    source: str
    tag: tuple[str, str]


@dataclass(frozen=True)
class Desk:
    """A desk's registration. Dotted paths are read when first needed.

    `own_permission` lets people in who see only their own cases there. `engineer_permissions` are
    for the role `engineer`, `private_permissions` for the desk's role and no supervisor.
    """

    slug: str
    label: str
    url_name: str
    permission: str
    parties: tuple[str, ...]
    tile: str
    inbox: str
    search: str
    stop_mail: str
    try_again: str
    demo: str
    decide_permission: str
    role: str
    role_permissions: tuple[str, ...] = ()
    supervisor_permissions: tuple[str, ...] = ()
    view_permissions: tuple[str, ...] = field(default=())
    own_permission: str = ""
    engineer_permissions: tuple[str, ...] = ()
    private_permissions: tuple[str, ...] = ()

    def open_to(self, user: "User") -> bool:
        """Whether this person has anything to do here: the whole desk, or cases of their own."""
        own = bool(self.own_permission) and user.has_perm(self.own_permission)
        return user.has_perm(self.permission) or own

    def tile_for(self, user: "User") -> Tile:
        """The desk's tile."""
        return _call(self.tile)(user)  # type: ignore[no-any-return]

    def inbox_for(self, user: "User", *, only_mine: bool) -> list[InboxGroup]:
        """The desk's inbox groups."""
        return list(_call(self.inbox)(user, only_mine=only_mine))

    def hits(self, text: str, user: "User") -> list[Hit]:
        """Cases that carry this identifier."""
        return list(_call(self.search)(text, user))

    def fill_demo(self) -> Iterator[str]:
        """Make the desk's invented cases; yields what was done."""
        yield from _call(self.demo)()

    def try_again_url(self, call: "PartnerCall", user: "User") -> str:
        """Where this person may have the call made again; empty when the workflow forbids it."""
        return str(_call(self.try_again)(call, user))

    def stop(self, email: "Email", by: "Actor") -> bool:
        """Stop a waiting e-mail and undo what it would have told. False when it has left."""
        return bool(_call(self.stop_mail)(email, by=by, now=timezone.now()))


def _call(path: str) -> Callable[..., Any]:
    return import_string(path)  # type: ignore[no-any-return]


_desks: dict[str, Desk] = {}


def register(desk: Desk) -> None:
    """Make a desk known; called from its AppConfig."""
    _desks[desk.slug] = desk


def all_desks() -> tuple[Desk, ...]:
    """Every registered desk."""
    return tuple(_desks.values())


def desk(slug: str) -> Desk:
    """The desk with this short name. Raises KeyError."""
    return _desks[slug]


def desks_for(user: "User") -> Iterable[Desk]:
    """The desks whose pages, or whose own cases, this person may see."""
    return (one for one in all_desks() if one.open_to(user))
