"""The transition table is the workflow: statuses, who may move a case, and the one way to do it.

`move()` is a conditional UPDATE plus an append-only StatusChange in the caller's transaction. It
never changes the object in memory: what was read stays as it was read, also after a rollback.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction

from core.queue import FREE, QueueRow

if TYPE_CHECKING:
    from core.models import StatusChange, User


class Who(StrEnum):
    """Who makes a move: a member of staff, the portal by itself, or the customer."""

    PERSON = "a person"
    PORTAL = "the portal"
    CUSTOMER = "the customer"


@dataclass(frozen=True)
class Actor:
    """Who does something, as it is recorded. Only members of staff have a user."""

    name: str
    who: Who
    user: "User | None" = None


PORTAL = Actor("the portal", Who.PORTAL)
CUSTOMER = Actor("the customer", Who.CUSTOMER)


def actor_for(user: "User") -> Actor:
    """The actor for a signed-in member of staff."""
    return Actor(user.get_full_name() or user.get_username(), Who.PERSON, user)


@dataclass(frozen=True)
class Transition:
    """One row of a transition table. `label` is the button: a verb and its object."""

    name: str
    sources: tuple[str, ...]
    target: str
    label: str
    who: Who
    permission: str = ""
    needs_note: bool = False
    primary: bool = False
    button: bool = True


class Impossible(Exception):
    """What was asked cannot be done, and nothing was. `sentence` says why, for people."""

    sentence = "This cannot be done now. Nothing was changed."

    def __init__(self, sentence: str = "") -> None:
        self.sentence = sentence or self.sentence
        super().__init__(self.sentence)


class NotAllowed(Impossible):
    """This person (or the portal) may not make this move."""


class Conflict(Impossible):
    """The case is not where it was: somebody was faster. `status` is where it stands now."""

    def __init__(self, sentence: str, *, status: str) -> None:
        super().__init__(sentence)
        self.status = status


class StatusIsGuarded(TypeError):
    """Code tried to write a status without `move()`."""


class CaseQuerySet(models.QuerySet[Any]):
    """Refuses every way around `move()`."""

    def update(self, **fields: Any) -> int:
        """Update other columns; a status is refused."""
        _refuse(fields)
        return super().update(**fields)

    async def aupdate(self, **fields: Any) -> int:
        """Update other columns; a status is refused."""
        _refuse(fields)
        return await super().aupdate(**fields)

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: Any = None
    ) -> int:
        """Update other columns of many rows; a status is refused."""
        _refuse(fields)
        return super().bulk_update(objs, fields, batch_size=batch_size)

    def bulk_create(  # type: ignore[override]
        self, objs: Iterable[Any], *, update_fields: Collection[str] | None = None, **rest: Any
    ) -> list[Any]:
        """Create many cases, each at its first status; an upsert of the status is refused."""
        objs = list(objs)
        _refuse(update_fields or ())
        for case in objs:
            case.refuse_other_first_status()
        return super().bulk_create(objs, update_fields=update_fields, **rest)


GUARDED = frozenset({"status", "status_at", *(f.name for f in QueueRow._meta.local_fields)})


def _refuse(fields: Iterable[str]) -> None:
    if {"status", "status_at"} & set(fields):
        raise StatusIsGuarded("A status changes through core.workflow.move() alone.")


class Case(QueueRow):
    """A piece of work that people follow. Desks add their columns, `Status` and `TRANSITIONS`."""

    reference = models.CharField(max_length=20, unique=True, editable=False)
    status = models.CharField(max_length=20, db_index=True, editable=False)
    status_at = models.DateTimeField(editable=False)
    why = models.CharField("why it is there", max_length=300, blank=True, editable=False)
    due_by = models.DateTimeField("promised by", null=True, blank=True, editable=False)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )
    created_at = models.DateTimeField(editable=False, db_index=True)

    objects = CaseQuerySet.as_manager()

    Status: ClassVar[type[models.TextChoices]]
    FIRST: ClassVar[str]
    TRANSITIONS: ClassVar[tuple[Transition, ...]]
    TAGS: ClassVar[dict[str, str]]

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.reference

    @classmethod
    def from_db(cls, db: Any, field_names: Any, values: Any, **rest: Any) -> Self:
        """Remember the status as read, so `save()` can refuse a changed one."""
        case = super().from_db(db, field_names, values, **rest)
        case._status_read = case.__dict__.get("status")
        return case

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Read the row again, and remember the status as read."""
        super().refresh_from_db(*args, **kwargs)
        self._status_read = self.__dict__.get("status")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save other columns; a changed status is refused.

        An existing row keeps its status and its place in the queue as the database has them, so an
        object that was read earlier cannot put a later move back.
        """
        if self._state.adding:
            self.refuse_other_first_status()
            kwargs["force_insert"] = True
        elif self.__dict__.get("status") != getattr(self, "_status_read", None):
            raise StatusIsGuarded("A status changes through core.workflow.move() alone.")
        else:
            kwargs["update_fields"] = self._open_columns(kwargs.get("update_fields"))
        super().save(*args, **kwargs)
        self._status_read = self.__dict__.get("status")

    def _open_columns(self, named: Iterable[str] | None) -> set[str]:
        """The columns that `save()` may write: those named, or all that were read."""
        if named is not None:
            _refuse(named)
            return set(named)
        unread = self.get_deferred_fields()
        fields = (f for f in self._meta.concrete_fields if not f.primary_key)
        return {f.name for f in fields if f.attname not in unread} - GUARDED

    def refuse_other_first_status(self) -> None:
        """Raise unless a new case starts where its table starts."""
        if self.status != self.FIRST:
            raise StatusIsGuarded(f"A new case starts as {self.FIRST}.")

    @property
    def case_label(self) -> str:
        """The model's name in links from core's logs: "seg.application"."""
        return self._meta.label_lower

    @property
    def status_label(self) -> str:
        """The status as people read it."""
        return str(self.Status(self.status).label)

    @property
    def tag(self) -> str:
        """The tag's kind for this status: good, look, bad, busy, idle or unknown."""
        return self.TAGS[self.status]


def transition(model: type[Case], name: str) -> Transition:
    """The row of the table with this name. Raises KeyError."""
    for row in model.TRANSITIONS:
        if row.name == name:
            return row
    raise KeyError(name)


def allowed_moves(case: Case, user: "User") -> list[Transition]:
    """The moves this person may make now: what templates turn into buttons."""
    return [
        row
        for row in case.TRANSITIONS
        if row.button
        and row.who is Who.PERSON
        and case.status in row.sources
        and user.has_perm(row.permission)
    ]


def move(
    case: Case,
    name: str,
    *,
    by: Actor,
    now: datetime,
    note: str = "",
    confirmation: str | None = None,
    only_if: models.Q | None = None,
    **fields: Any,
) -> "StatusChange":
    """Move a case along one transition and record who did it, when and why.

    `fields` are other columns set in the same UPDATE. A move takes the row out of its queue; the
    caller says what is due next. `confirmation` is a check page's one-time token, `only_if` what
    else must hold of the row in the UPDATE itself. Raises `NotAllowed`, `Conflict`; must be called
    inside a transaction.
    """
    row = transition(type(case), name)
    _refuse(fields)
    _check_actor(row, by, note)
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("move() belongs inside a transaction.")
    here = models.Q(pk=case.pk, status=case.status, status_at=case.status_at)
    here &= only_if or models.Q()
    if case.status not in row.sources or not _update(case, here, row, now, fields):
        raise conflict(case)
    return _record(case, row, by=by, now=now, note=note, confirmation=confirmation)


@dataclass(frozen=True)
class Different:
    """What is different for one of many cases that move together: a note, and other columns."""

    note: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


NO_DIFFERENCE = Different()


def move_many(
    cases: Sequence[Case],
    name: str,
    *,
    by: Actor,
    now: datetime,
    note: str = "",
    different: Mapping[int, Different] | None = None,
    confirmation: str | None = None,
    **fields: Any,
) -> list[Case]:
    """Move cases of one model along one transition in a few statements; returns those moved.

    A case that is not where it was read is left out: the caller decides what that means.
    `different` by primary key; every one of them names the same columns. Otherwise like `move()`.
    """
    if not cases:
        return []
    _refuse({*fields, *(name for each in (different or {}).values() for name in each.fields)})
    row = transition(type(cases[0]), name)
    together = _Together(row, by, now, note, different or {}, fields)
    for said in {together.note_of(case) for case in cases}:
        _check_actor(row, by, said)
    moved: list[Case] = []
    for start in range(0, len(cases), _AT_ONCE):
        moved += together.move(cases[start : start + _AT_ONCE])
    history = [together.change(case) for case in moved]
    if history:
        history[0].confirmation = confirmation
        type(history[0]).objects.bulk_create(history, batch_size=500)
    return moved


_AT_ONCE = 1000


@dataclass(frozen=True)
class _Together:
    """One move of many cases."""

    row: Transition
    by: Actor
    now: datetime
    note: str
    different: Mapping[int, Different]
    fields: dict[str, Any]

    def note_of(self, case: Case) -> str:
        return self.different.get(case.pk, NO_DIFFERENCE).note or self.note

    def move(self, cases: Sequence[Case]) -> list[Case]:
        model = type(cases[0])
        standing = _held(model, cases)
        fresh = [
            case
            for case in cases
            if case.status in self.row.sources
            and standing.get(case.pk) == (case.status, case.status_at)
        ]
        rows = model._default_manager.filter(pk__in=[case.pk for case in fresh])
        columns = {"due_at": None, "attempts": 0, **FREE, **self.fields}
        models.QuerySet.update(rows, status=self.row.target, status_at=self.now, **columns)
        _write_different(model, fresh, self.different)
        return fresh

    def change(self, case: Case) -> "StatusChange":
        return _written(case, self.row, by=self.by, now=self.now, note=self.note_of(case))


def _held(model: type[Case], cases: Sequence[Case]) -> dict[int, tuple[str, datetime]]:
    """Hold rows until the transaction ends, and read where they stand."""
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("move_many() belongs inside a transaction.")
    rows = model._default_manager.filter(pk__in=[case.pk for case in cases])
    # An UPDATE of nothing: it holds rows everywhere, SELECT FOR UPDATE does nothing on SQLite.
    models.QuerySet.update(rows, attempts=models.F("attempts"))
    return {pk: (status, at) for pk, status, at in rows.values_list("pk", "status", "status_at")}


def _write_different(
    model: type[Case], cases: Sequence[Case], different: Mapping[int, Different]
) -> None:
    written = []
    for case in cases:
        if case.pk in different and different[case.pk].fields:
            twin = copy(case)
            twin.__dict__.update(different[case.pk].fields)
            written.append(twin)
    if written:
        names = sorted(different[written[0].pk].fields)
        rows: models.QuerySet[Any] = model._default_manager.all()
        models.QuerySet.bulk_update(rows, written, names, batch_size=200)


def _check_actor(row: Transition, by: Actor, note: str) -> None:
    if row.who is not by.who:
        raise NotAllowed(f"“{row.label}” is made by {row.who.value}, not by {by.who.value}.")
    if row.who is Who.PERSON and (by.user is None or not by.user.has_perm(row.permission)):
        raise NotAllowed(f"Your role does not allow “{row.label}”.")
    if row.needs_note and not note.strip():
        raise NotAllowed(f"“{row.label}” needs a reason.")


def _update(
    case: Case, here: models.Q, row: Transition, now: datetime, fields: dict[str, Any]
) -> int:
    rows = type(case)._default_manager.filter(here)
    columns = {"due_at": None, "attempts": 0, **FREE, **fields}
    return models.QuerySet.update(rows, status=row.target, status_at=now, **columns)


def _record(
    case: Case, row: Transition, *, by: Actor, now: datetime, **rest: Any
) -> "StatusChange":
    change = _written(case, row, by=by, now=now, **rest)
    change.save()
    return change


def _written(
    case: Case, row: Transition, *, by: Actor, now: datetime, **rest: Any
) -> "StatusChange":
    from core.models import StatusChange

    return StatusChange(
        case_label=case.case_label,
        case_id=case.pk,
        reference=case.reference,
        move=row.name,
        from_status=case.status,
        to_status=row.target,
        by=by.user,
        by_name=by.name,
        at=now,
        **rest,
    )


def conflict(case: Case) -> Conflict:
    """Say who moved the case meanwhile, and to where."""
    from core.models import StatusChange

    last = StatusChange.objects.for_case(case).order_by("-at", "-pk").first()
    current = type(case)._default_manager.values_list("status", flat=True).get(pk=case.pk)
    label = type(case).Status(current).label
    who = f"{last.by_name} moved it to “{label}”" if last else f"It is “{label}” now"
    return Conflict(
        f"{case.reference} has changed meanwhile: {who}. Nothing was done.",
        status=current,
    )


def opened(case: Case, *, by: Actor, now: datetime, note: str = "") -> "StatusChange":
    """Record the start of a new case in its history."""
    from core.models import StatusChange

    return StatusChange.objects.create(
        case_label=case.case_label,
        case_id=case.pk,
        reference=case.reference,
        move="open",
        from_status="",
        to_status=case.status,
        by=by.user,
        by_name=by.name,
        at=now,
        note=note,
    )


def mermaid(model: type[Case]) -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {model.FIRST}"]
    lines += [f"    {status.value} : {status.label}" for status in model.Status]
    for row in model.TRANSITIONS:
        lines += [f"    {s} --> {row.target} : {row.label} ({row.who.value})" for s in row.sources]
    return "\n".join(lines) + "\n"


def case_models() -> list[type[Case]]:
    """Every case model of the installed desks, by label."""
    from django.apps import apps

    found = [model for model in apps.get_models() if issubclass(model, Case)]
    return sorted(found, key=lambda model: model._meta.label)
