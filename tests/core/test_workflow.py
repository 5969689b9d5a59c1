"""The transition table is the workflow: every from–to pair, and every way around `move()`."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from core.management.commands.workflow_diagrams import page
from core.models import StatusChange
from core.workflow import (
    CUSTOMER,
    PORTAL,
    Actor,
    Conflict,
    Different,
    NotAllowed,
    StatusIsGuarded,
    Who,
    actor_for,
    allowed_moves,
    case_models,
    mermaid,
    move,
    move_many,
)
from gasquotes.models import Quote
from metering.models import MeterRead
from pts.models import Report
from seg.models import Application
from sip.models import Job
from tests.factories import ApplicationFactory, ParcelFactory, TariffFactory
from tests.factories.gasquotes import QuoteFactory
from tests.factories.metering import MeterReadFactory
from tests.factories.pts import ReportFactory
from tests.factories.sip import JobFactory
from tests.parcels.models import Parcel

FACTORIES = {
    Parcel: ParcelFactory,
    Application: ApplicationFactory,
    MeterRead: MeterReadFactory,
    Quote: QuoteFactory,
    Report: ReportFactory,
    Job: JobFactory,
}
MODELS = tuple(FACTORIES)
ROWS = [
    pytest.param(model, row, id=f"{model.__name__} {row.name}")
    for model in MODELS
    for row in model.TRANSITIONS
]
PAIRS = [
    pytest.param(model, row, status, id=f"{model.__name__} {row.name} from {status}")
    for model in MODELS
    for row in model.TRANSITIONS
    for status in model.Status.values
]


@pytest.fixture
def actors(person):
    """Somebody who may make every move, for each kind of actor."""
    return {Who.PERSON: actor_for(person(admin=True)), Who.PORTAL: PORTAL, Who.CUSTOMER: CUSTOMER}


def now():
    return timezone.now()


def moved(case, name, by, note="because", **fields):
    with transaction.atomic():
        return move(case, name, by=by, now=now(), note=note, **fields)


def status_of(case):
    return type(case).objects.values_list("status", flat=True).get(pk=case.pk)


# ---- The table -------------------------------------------------------------------------------


def test_every_case_model_is_tested_here():
    assert set(case_models()) == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_the_table_is_sound(model):
    statuses = set(model.Status.values)
    names = [row.name for row in model.TRANSITIONS]
    assert len(names) == len(set(names))
    assert model.FIRST in statuses
    assert set(model.TAGS) == statuses
    assert len(statuses) <= 8
    for row in model.TRANSITIONS:
        assert {row.target, *row.sources} <= statuses
        assert bool(row.permission) is (row.who is Who.PERSON)


@pytest.mark.parametrize("model", MODELS)
def test_every_status_can_be_reached(model):
    reached, before = {model.FIRST}, set()
    while reached != before:
        before = set(reached)
        reached |= {row.target for row in model.TRANSITIONS if set(row.sources) & reached}
    assert reached == set(model.Status.values)


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "row", "status"), PAIRS)
def test_every_pair_of_move_and_status(model, row, status, actors):
    case = FACTORIES[model](status=status)
    by = actors[row.who]
    if status not in row.sources:
        with pytest.raises(Conflict) as refused:
            moved(case, row.name, by)
        assert refused.value.status == status_of(case) == status
        return
    change = moved(case, row.name, by)
    assert status_of(case) == row.target
    assert (change.from_status, change.to_status, change.move) == (status, row.target, row.name)
    assert (change.by, change.by_name, change.note) == (by.user, by.name, "because")
    assert change.reference == case.reference


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "row"), ROWS)
def test_only_its_own_kind_of_actor_makes_a_move(model, row, actors):
    case = FACTORIES[model](status=row.sources[0])
    for who, by in actors.items():
        if who is not row.who:
            with pytest.raises(NotAllowed):
                moved(case, row.name, by)
    assert status_of(case) == row.sources[0]
    assert StatusChange.objects.for_case(case).filter(move=row.name).count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "row"), [each for each in ROWS if each.values[1].who is Who.PERSON]
)
def test_a_person_needs_the_permission(model, row, person):
    case = FACTORIES[model](status=row.sources[0])
    with pytest.raises(NotAllowed, match="role"):
        moved(case, row.name, actor_for(person()))
    assert status_of(case) == row.sources[0]
    moved(case, row.name, actor_for(person(permissions=[row.permission])))
    assert status_of(case) == row.target


@pytest.mark.django_db
def test_a_person_without_a_user_is_nobody():
    case = ParcelFactory()
    with pytest.raises(NotAllowed):
        moved(case, "send", Actor("somebody", Who.PERSON))
    assert status_of(case) == "packed"


@pytest.mark.django_db
@pytest.mark.parametrize("note", ["", "  \n"])
def test_a_move_that_needs_a_reason_is_refused_without_one(note, actors):
    case = ParcelFactory(status="unknown")
    with pytest.raises(NotAllowed, match="reason"):
        moved(case, "sent_by_other_means", actors[Who.PERSON], note=note)
    assert status_of(case) == "unknown"


@pytest.mark.django_db
def test_an_unknown_move_is_a_mistake_of_the_code():
    with pytest.raises(KeyError):
        moved(ParcelFactory(), "teleport", PORTAL)


@pytest.mark.django_db(transaction=True)
def test_a_move_outside_a_transaction_is_refused():
    case = ParcelFactory()
    with pytest.raises(transaction.TransactionManagementError):
        move(case, "hold", by=PORTAL, now=now())
    assert status_of(case) == "packed"


# ---- What a move does ------------------------------------------------------------------------


@pytest.mark.django_db
def test_other_columns_move_with_the_status_but_never_the_status_itself():
    case = ParcelFactory()
    moved(case, "hold", PORTAL, weight=7, why="Too heavy")
    found = Parcel.objects.get()
    assert (found.status, found.weight, found.why) == ("held", 7, "Too heavy")
    with pytest.raises(StatusIsGuarded):
        moved(found, "hold", PORTAL, status="sent")


@pytest.mark.django_db
def test_a_move_can_depend_on_more_than_the_status():
    case = ParcelFactory(weight=3)
    with pytest.raises(Conflict):
        moved(case, "hold", PORTAL, only_if=Q(weight__gt=3))
    assert status_of(case) == "packed"
    moved(case, "hold", PORTAL, only_if=Q(weight=3))
    assert status_of(case) == "held"


@pytest.mark.django_db
def test_a_move_takes_the_row_out_of_its_queue():
    case = ParcelFactory(due_at=now(), attempts=3, claimed_until=now())
    moved(case, "hold", PORTAL)
    found = Parcel.objects.get()
    assert (found.due_at, found.attempts, found.claim, found.claimed_until) == (None, 0, None, None)


@pytest.mark.django_db
def test_the_object_in_memory_stays_as_it_was_read():
    case = ParcelFactory()
    read = dict(case.__dict__)
    moved(case, "hold", PORTAL, weight=9)
    assert {k: v for k, v in case.__dict__.items() if k in read} == read


@pytest.mark.django_db
def test_a_rollback_leaves_row_history_and_memory_as_they_were():
    case = ParcelFactory()
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        move(case, "hold", by=PORTAL, now=now())
        raise ZeroDivisionError
    assert case.status == status_of(case) == "packed"
    assert [row.move for row in StatusChange.objects.for_case(case)] == ["open"]
    moved(case, "hold", PORTAL)


@pytest.mark.django_db
def test_a_constraint_that_refuses_a_move_leaves_no_history():
    ParcelFactory(weight=999)
    case = ParcelFactory()
    with pytest.raises(IntegrityError):
        moved(case, "hold", PORTAL, weight=999)
    assert StatusChange.objects.for_case(case).count() == 1


@pytest.mark.django_db
def test_who_comes_second_is_told_who_was_first(person):
    case = ParcelFactory()
    first, second = Parcel.objects.get(), Parcel.objects.get()
    wren = person(admin=True, first_name="Wren", last_name="Halloway")
    moved(first, "send", actor_for(wren))
    with pytest.raises(Conflict) as lost:
        moved(second, "send", actor_for(person(admin=True)))
    assert lost.value.status == "sending"
    assert lost.value.sentence == (
        f"{case.reference} has changed meanwhile: Wren Halloway moved it to “Being sent”. "
        "Nothing was done."
    )


@pytest.mark.django_db
def test_a_case_that_left_and_came_back_is_not_the_case_that_was_looked_at(actors):
    looked_at = ParcelFactory(status="held")
    moved(Parcel.objects.get(), "send", actors[Who.PERSON])
    moved(Parcel.objects.get(), "stop", actors[Who.PERSON])
    assert status_of(looked_at) == looked_at.status
    with pytest.raises(Conflict):
        moved(looked_at, "send", actors[Who.PERSON])


@pytest.mark.django_db
def test_a_confirmation_is_used_once(actors):
    moved(ParcelFactory(), "send", actors[Who.PERSON], confirmation="abc")
    with pytest.raises(IntegrityError):
        moved(ParcelFactory(), "send", actors[Who.PERSON], confirmation="abc")
    assert list(Parcel.objects.values_list("status", flat=True).order_by("pk")) == [
        "sending",
        "packed",
    ]


# ---- No other way ----------------------------------------------------------------------------


def by_save(case):
    case.status = "sent"
    case.save()


def by_save_of_one_column(case):
    case.save(update_fields=["status"])


def by_save_of_a_deferred_column(case):
    case = Parcel.objects.only("reference").get(pk=case.pk)
    case.status = "sent"
    case.save()


def by_bulk_update(case):
    case.status = "sent"
    Parcel.objects.bulk_update([case], ["status"])


def by_upsert(case):
    fresh = Parcel(pk=case.pk, reference=case.reference, status="packed", status_at=now())
    fresh.created_at = now()
    Parcel.objects.bulk_create(
        [fresh], update_conflicts=True, update_fields=["status"], unique_fields=["id"]
    )


def by_another_object_with_its_key(case):
    Parcel(
        pk=case.pk, reference=case.reference, status="packed", status_at=now(), created_at=now()
    ).save()


def by_base_manager(case):
    Parcel._base_manager.filter(pk=case.pk).update(status="sent")


WAYS_AROUND = {
    "save": by_save,
    "save(update_fields)": by_save_of_one_column,
    "save of a deferred status": by_save_of_a_deferred_column,
    "update": lambda case: Parcel.objects.filter(pk=case.pk).update(status="sent"),
    "update of status_at": lambda case: Parcel.objects.update(status_at=now()),
    "update with others": lambda case: Parcel.objects.update(weight=2, status="sent"),
    "aupdate": lambda case: asyncio.run(Parcel.objects.aupdate(status="sent")),
    "bulk_update": by_bulk_update,
    "abulk_update": lambda case: asyncio.run(Parcel.objects.abulk_update([case], ["status"])),
    "upsert": by_upsert,
    "another object": by_another_object_with_its_key,
    "update_or_create": lambda case: Parcel.objects.update_or_create(
        pk=case.pk, defaults={"status": "sent"}
    ),
    "create elsewhere": lambda case: Parcel.objects.create(
        reference="P", status="sent", status_at=now(), created_at=now()
    ),
    "bulk_create elsewhere": lambda case: Parcel.objects.bulk_create(
        [Parcel(reference="P", status="sent", status_at=now(), created_at=now())]
    ),
    "get_or_create elsewhere": lambda case: Parcel.objects.get_or_create(
        reference="P", defaults={"status": "sent", "status_at": now(), "created_at": now()}
    ),
    "base manager": by_base_manager,
}


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS_AROUND.values(), ids=WAYS_AROUND.keys())
def test_no_other_way_changes_a_status(way):
    case = ParcelFactory(status="held")
    with pytest.raises((StatusIsGuarded, IntegrityError)), transaction.atomic():
        way(case)
    assert list(Parcel.objects.values_list("status", flat=True)) == ["held"]


@pytest.mark.django_db
def test_an_upsert_by_position_is_refused_too():
    case = ParcelFactory(status="held")
    fresh = Parcel(pk=case.pk, reference=case.reference, status="packed", status_at=now())
    with pytest.raises(TypeError):
        Parcel.objects.bulk_create([fresh], None, False, True, ["status"], ["id"])
    assert status_of(case) == "held"


@pytest.mark.django_db
def test_an_object_read_earlier_cannot_put_a_later_move_back():
    early = ParcelFactory()
    moved(Parcel.objects.get(), "hold", PORTAL)
    Parcel.objects.update(due_at=now(), attempts=5)
    early.weight = 12
    early.save()
    found = Parcel.objects.get()
    assert (found.status, found.weight, found.attempts) == ("held", 12, 5)
    assert found.due_at is not None


@pytest.mark.django_db
def test_other_columns_can_be_saved_updated_and_refreshed():
    case = ParcelFactory()
    case.weight = 2
    case.save()
    Parcel.objects.update(weight=3)
    case.refresh_from_db()
    case.weight += 1
    case.save(update_fields=["weight"])
    assert Parcel.objects.get().weight == 4
    Parcel.objects.bulk_update([case], ["weight"])
    moved(case, "hold", PORTAL)
    case.refresh_from_db()
    assert case.status == "held"
    case.save()
    case.status = "packed"
    with pytest.raises(StatusIsGuarded):
        case.save()


@pytest.mark.django_db
def test_a_partly_read_case_can_be_saved():
    ParcelFactory(weight=4)
    case = Parcel.objects.only("weight").get()
    case.weight = 5
    case.save()
    assert case.status == "packed"
    case.save()
    assert Parcel.objects.get().weight == 5


# ---- Who may do what -------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "status", "names"),
    [
        (
            "export tariff",
            "review",
            {"approve", "ask", "refuse", "check_again", "amend", "withdraw"},
        ),
        ("export tariff", "checking", {"withdraw"}),
        ("export tariff", "waiting", {"check_again", "amend", "withdraw"}),
        ("export tariff", "suspended", {"reinstate", "refuse", "withdraw"}),
        ("export tariff", "approved", {"withdraw"}),
        ("export tariff", "refused", set()),
        ("supervisor", "refused", {"reopen"}),
        ("supervisor", "approved", {"withdraw", "reopen"}),
        ("auditor", "review", set()),
        ("engineer", "review", set()),
        ("", "review", set()),
    ],
)
def test_the_buttons_of_each_role(role, status, names, person):
    if status == "suspended":
        TariffFactory()
    case = ApplicationFactory(status=status)
    assert {row.name for row in allowed_moves(case, person(role))} == names


@pytest.mark.django_db
@pytest.mark.parametrize("status", Parcel.Status.values)
def test_a_button_is_a_move_that_works(status, person):
    user = person(admin=True)
    for row in allowed_moves(ParcelFactory(status=status), user):
        moved(ParcelFactory(status=status), row.name, actor_for(user))


# ---- The pictures in the docs ----------------------------------------------------------------


def test_docs_and_tables_agree():
    models = [model for model in case_models() if not model.__module__.startswith("tests.")]
    written = Path(settings.BASE_DIR, "docs", "workflows.md").read_text(encoding="utf-8")
    assert written == page(models), "Run manage.py workflow_diagrams --write."


def test_the_command_prints_the_page(capsys):
    call_command("workflow_diagrams")
    printed = capsys.readouterr().out
    assert mermaid(Application) in printed
    assert "Parcel" not in printed


def test_a_diagram_shows_every_arrow():
    drawn = mermaid(Parcel)
    for row in Parcel.TRANSITIONS:
        for source in row.sources:
            assert f"{source} --> {row.target} : {row.label}" in drawn


@pytest.mark.django_db
def test_a_move_costs_two_queries(django_assert_num_queries):
    case = ParcelFactory()
    with transaction.atomic(), django_assert_num_queries(2):
        move(case, "hold", by=PORTAL, now=case.status_at + timedelta(seconds=1))


# ---- Many at once ----------------------------------------------------------------------------


def move_all(cases, name, by, **how):
    with transaction.atomic():
        return move_many(cases, name, by=by, now=now(), **how)


@pytest.mark.django_db
def test_many_move_in_few_statements(django_assert_num_queries):
    parcels = [ParcelFactory() for _ in range(12)]
    with django_assert_num_queries(6):
        moved = move_all(parcels, "hold", PORTAL, note="Christmas", looked=3)
    assert moved == parcels
    assert set(Parcel.objects.values_list("status", "looked", "due_at")) == {("held", 3, None)}
    for parcel in parcels:
        change = StatusChange.objects.for_case(parcel).last()
        assert (change.from_status, change.to_status, change.note) == (
            "packed",
            "held",
            "Christmas",
        )
        assert parcel.status == "packed"  # what was read stays as it was read


@pytest.mark.django_db
def test_those_that_moved_meanwhile_are_left_out():
    parcels = [ParcelFactory() for _ in range(4)]
    moved(parcels[0], "hold", PORTAL)
    there_and_back = ParcelFactory(status="sending")
    stale = Parcel.objects.get(pk=there_and_back.pk)
    Parcel.objects.filter(pk=parcels[1].pk).update(looked=1)  # no move
    assert move_all([*parcels, stale], "hold", PORTAL) == parcels[1:]
    assert status_of(there_and_back) == "sending"
    assert StatusChange.objects.for_case(parcels[0]).filter(move="hold").count() == 1


@pytest.mark.django_db
def test_each_of_many_may_have_a_note_and_columns_of_its_own(actors):
    parcels = [ParcelFactory(weight=9) for _ in range(3)]
    different = {
        row.pk: Different(f"Parcel {place}", {"weight": place})
        for place, row in enumerate(parcels[:2])
    }
    move_all(parcels, "send", actors[Who.PERSON], note="all", different=different)
    assert list(Parcel.objects.order_by("pk").values_list("weight", flat=True)) == [0, 1, 9]
    notes = StatusChange.objects.filter(move="send").values_list("note", flat=True)
    assert list(notes) == ["Parcel 0", "Parcel 1", "all"]


@pytest.mark.django_db
def test_many_obey_the_same_table(actors, person):
    parcel = ParcelFactory(status="unknown")
    for name, by in (("sent_by_other_means", PORTAL), ("sent_by_other_means", actor_for(person()))):
        with pytest.raises(NotAllowed):
            move_all([parcel], name, by, note="x")
    with pytest.raises(NotAllowed, match="reason"):
        move_all([parcel], "sent_by_other_means", actors[Who.PERSON])
    for guarded in ({"status": "sent"}, {"different": {parcel.pk: Different("", {"status": "x"})}}):
        with pytest.raises(StatusIsGuarded):
            move_all([parcel], "arrived", PORTAL, **guarded)
    assert move_all([parcel], "arrived", PORTAL) == []
    assert move_all([], "arrived", PORTAL) == []


@pytest.mark.django_db
def test_one_confirmation_serves_many_once():
    first, second = [ParcelFactory(), ParcelFactory()], [ParcelFactory()]
    move_all(first, "hold", PORTAL, confirmation="one")
    with pytest.raises(IntegrityError):
        move_all(second, "hold", PORTAL, confirmation="one")
    assert status_of(second[0]) == "packed"


@pytest.mark.django_db(transaction=True)
def test_many_outside_a_transaction_are_refused():
    with pytest.raises(transaction.TransactionManagementError):
        move_many([ParcelFactory()], "hold", by=PORTAL, now=now())
