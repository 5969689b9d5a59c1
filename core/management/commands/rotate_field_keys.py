"""Encrypt every encrypted field of every model anew with the first of FIELD_ENCRYPTION_KEYS."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, TextField, Value

from core.fields import EncryptedField, UnreadableField, decrypt, encrypt, is_current

_Row = tuple[Any, str]


class Command(BaseCommand):
    """Re-encrypt in batches; safe to stop, to repeat and to run beside the portal."""

    help = "Encrypt all encrypted fields anew with the first key of FIELD_ENCRYPTION_KEYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the size of a batch, in rows."""
        parser.add_argument("--batch", type=int, default=500, help="rows in one transaction")

    def handle(self, *args: object, batch: int = 500, **options: object) -> None:
        """Rotate every field, then fail if any value could not be read."""
        unreadable = 0
        for model, field in _encrypted_fields():
            done, lost = _rotate(model, field, batch)
            unreadable += lost
            self.stdout.write(f"{field}: {done} encrypted anew, {lost} unreadable")
        if unreadable:
            raise CommandError(
                f"{unreadable} values cannot be read with FIELD_ENCRYPTION_KEYS; keep the old keys."
            )
        self.stdout.write("All values are encrypted with the first key. The others may go.")


def _encrypted_fields() -> Iterator[tuple[type[models.Model], EncryptedField]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy or not model._meta.managed:
            continue
        for field in model._meta.local_concrete_fields:
            if isinstance(field, EncryptedField):
                yield model, field


def _rotate(model: type[models.Model], field: EncryptedField, size: int) -> tuple[int, int]:
    """Rotate one column. Returns how many were encrypted anew and how many are unreadable."""
    done = lost = 0
    for rows in _batches(model, field, size):
        with transaction.atomic():
            for pk, stored in rows:
                try:
                    done += _replace(model, field, pk, stored)
                except UnreadableField:
                    lost += 1
    return done, lost


def _batches(model: type[models.Model], field: EncryptedField, size: int) -> Iterator[list[_Row]]:
    """Yield (pk, ciphertext) of the rows that have one, in the order of their keys."""
    rows = _stored(model, field).exclude(stored="").order_by("pk").values_list("pk", "stored")
    batch = list(rows[:size])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1][0])[:size])


def _replace(model: type[models.Model], field: EncryptedField, pk: Any, stored: str) -> int:
    """Encrypt one value anew unless somebody changed it meanwhile; a change has the new key."""
    if is_current(stored):
        return 0
    anew = Value(encrypt(decrypt(stored)), output_field=TextField())
    same = _stored(model, field).filter(pk=pk, stored=stored)
    return same.update(**{field.attname: anew})


def _stored(model: type[models.Model], field: EncryptedField) -> models.QuerySet[Any]:
    """Rows with the ciphertext of one field as plain text in `stored`."""
    raw = ExpressionWrapper(F(field.attname), output_field=TextField())
    queryset: models.QuerySet[Any] = models.QuerySet(model)
    filled = queryset.filter(**{f"{field.name}__isnull": False})
    annotated: models.QuerySet[Any] = filled.annotate(stored=raw)
    return annotated
