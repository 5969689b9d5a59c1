"""The history is append-only; counters, references and Message-IDs."""

import asyncio
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from core import housekeeping
from core.models import (
    Counter,
    Email,
    Note,
    PartnerCall,
    StatusChange,
    Written,
    count,
    new_message_id,
    next_reference,
)
from tests.factories import EmailFactory, ParcelFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def status_change(**fields):
    return StatusChange(to_status="a", move="m", by_name="Ada", at=NOW, **fields)


def note(**fields):
    return Note(text="said", by_name="Ada", at=NOW, **fields)


def partner_call(**fields):
    return PartnerCall(
        party="P", operation="O", kind="read", by_name="Ada", started_at=NOW, **fields
    )


MAKERS = [status_change, note, partner_call]


def change_attribute(row):
    row.by_name = "Eve"
    row.save()


def save_one_column(row):
    row.by_name = "Eve"
    row.save(update_fields=["by_name"])


def save_unchanged(row):
    row.save()


def bulk_update(row):
    row.by_name = "Eve"
    type(row).objects.bulk_update([row], ["by_name"])


WAYS = {
    "save": change_attribute,
    "save(update_fields)": save_one_column,
    "save unchanged": save_unchanged,
    "delete": lambda row: row.delete(),
    "update": lambda row: type(row).objects.update(by_name="Eve"),
    "filter.update": lambda row: type(row).objects.filter(pk=row.pk).update(by_name="Eve"),
    "aupdate": lambda row: asyncio.run(type(row).objects.aupdate(by_name="Eve")),
    "queryset.delete": lambda row: type(row).objects.all().delete(),
    "adelete": lambda row: asyncio.run(type(row).objects.all().adelete()),
    "bulk_update": bulk_update,
    "update_or_create": lambda row: type(row).objects.update_or_create(
        pk=row.pk, defaults={"by_name": "Eve"}
    ),
    "base manager": lambda row: type(row)._base_manager.update(by_name="Eve"),
    "base manager, delete": lambda row: type(row)._base_manager.all().delete(),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("make", MAKERS)
def test_written_is_written(make, way):
    row = make()
    row.save()
    row = type(row).objects.get()
    with pytest.raises(Written), transaction.atomic():
        way(row)
    assert type(row).objects.get().by_name == "Ada"


@pytest.mark.parametrize("make", MAKERS)
def test_another_row_with_the_same_key_does_not_take_its_place(make):
    row = make()
    row.save()
    twin = make(pk=row.pk)
    twin.by_name = "Eve"
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()
    with pytest.raises(Written):
        type(row).objects.bulk_create(
            [twin], update_conflicts=True, update_fields=["by_name"], unique_fields=["id"]
        )
    assert type(row).objects.get().by_name == "Ada"


@pytest.mark.parametrize("make", MAKERS)
def test_many_rows_can_be_added_at_once(make):
    type(make()).objects.bulk_create([make(), make()])
    assert type(make()).objects.count() == 2


def test_somebody_who_wrote_history_cannot_be_deleted(decider):
    note(by=decider).save()
    with pytest.raises(ProtectedError):
        decider.delete()


def test_history_belongs_to_a_case():
    one, two = ParcelFactory(), ParcelFactory()
    rows = StatusChange.objects.for_case(one)
    assert [(row.case_id, row.case_label) for row in rows] == [(one.pk, "parcels.parcel")]
    assert rows[0].desk == "parcels"
    assert two.pk != one.pk


def test_a_message_id_names_one_email():
    assert new_message_id("a.example") != new_message_id("a.example")
    first = EmailFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        EmailFactory(message_id=first.message_id)


@pytest.mark.parametrize("state", Email.State.values)
def test_every_state_of_an_email_has_a_tag(state):
    assert EmailFactory(state=state).tag


def test_counters_count_from_one():
    assert [count("a"), count("a"), count("b"), count("a")] == [1, 2, 1, 3]


def test_references_run_by_month():
    assert next_reference("SEG", NOW) == "SEG-2611-0001"
    assert next_reference("SEG", NOW) == "SEG-2611-0002"
    assert next_reference("SEG", NOW.replace(month=12)) == "SEG-2612-0001"
    Counter.objects.filter(name__endswith="SEG-2611").update(value=9999)
    assert next_reference("SEG", NOW) == "SEG-2611-10000"


def test_a_reference_that_was_rolled_back_is_given_again():
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        next_reference("SEG", NOW)
        raise ZeroDivisionError
    assert next_reference("SEG", NOW) == "SEG-2611-0001"


def test_tidying_forgets_what_has_passed_its_time():
    now = timezone.now()
    count("old", forget_after=now.replace(year=2020))
    count("kept")
    count("young", forget_after=now.replace(year=2099))
    housekeeping.tidy(now=now)
    assert set(Counter.objects.values_list("name", flat=True)) == {"kept", "young"}


def test_a_heartbeat_has_an_age():
    now = timezone.now()
    assert housekeeping.heartbeat_age("sweep", now=now) is None
    housekeeping.beat("sweep", now=now.replace(year=2025))
    housekeeping.beat("sweep", now=now)
    assert housekeeping.heartbeat_age("sweep", now=now).total_seconds() == 0
