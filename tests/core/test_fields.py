"""Encrypted fields: what is stored, what comes back, and what can never be asked."""

import json
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test.utils import isolate_apps
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.fields import (
    EncryptedJSONField,
    EncryptedLookupError,
    EncryptedTextField,
    UnreadableField,
    decrypt,
    encrypt,
    is_current,
)
from core.management.commands import rotate_field_keys

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
SECRET = "20-41-07 holder’s account"


@pytest.fixture(autouse=True)
def keys(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]


def loaded(field, stored):
    return field.from_db_value(stored, None, connection)


def test_text_is_stored_unreadably_and_read_back():
    field = EncryptedTextField()
    stored = field.get_prep_value(SECRET)
    assert SECRET not in stored
    assert stored != field.get_prep_value(SECRET)
    assert loaded(field, stored) == SECRET


@pytest.mark.parametrize("field", [EncryptedTextField(), EncryptedJSONField()])
def test_null_stays_null(field):
    assert field.get_prep_value(None) is None
    assert loaded(field, None) is None


def test_empty_text_stays_empty_text():
    assert EncryptedTextField().get_prep_value("") == ""
    assert loaded(EncryptedTextField(), "") == ""
    assert loaded(EncryptedJSONField(), "") is None


@hypothesis_settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists))
def test_json_is_read_back(value):
    field = EncryptedJSONField()
    stored = field.get_prep_value(value)
    if value is not None:
        assert json.loads(decrypt(stored)) == value
    assert loaded(field, stored) == value


def test_every_key_reads_and_the_first_one_writes(settings):
    old = encrypt(SECRET)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert decrypt(old) == SECRET
    assert not is_current(old)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert is_current(encrypt(SECRET))
    with pytest.raises(UnreadableField) as caught:
        decrypt(old)
    assert old not in str(caught.value)


@isolate_apps("core")
def test_errors_name_the_column_and_show_no_value():
    class Holder(models.Model):
        account = EncryptedTextField()

        class Meta:
            app_label = "core"

    with pytest.raises(UnreadableField) as caught:
        loaded(Holder._meta.get_field("account"), "not a ciphertext")
    assert "core.Holder.account" in str(caught.value)
    assert "not a ciphertext" not in str(caught.value)
    assert caught.value.__cause__ is None
    for query in ({"account": SECRET}, {"account__contains": "41"}, {"account__in": [SECRET]}):
        with pytest.raises(EncryptedLookupError) as refused:
            Holder.objects.filter(**query)
        assert "core.Holder.account is encrypted" in str(refused.value)
        assert SECRET not in str(refused.value)
    assert "IS NULL" in str(Holder.objects.filter(account__isnull=True).query)


@pytest.mark.parametrize("keys", [["too short"], []])
def test_bad_keys_are_refused_without_showing_them(settings, keys):
    settings.FIELD_ENCRYPTION_KEYS = keys
    with pytest.raises(ImproperlyConfigured) as caught:
        encrypt(SECRET)
    assert "too short" not in str(caught.value)


@pytest.fixture
def vault(transactional_db, monkeypatch):
    """A table of its own for the rotation, gone after the test."""
    with isolate_apps("core"):

        class Vault(models.Model):
            text = EncryptedTextField(null=True)
            facts = EncryptedJSONField(default=dict)

            class Meta:
                app_label = "core"

    monkeypatch.setattr(rotate_field_keys.apps, "get_models", lambda **_: [Vault])
    with connection.schema_editor() as editor:
        editor.create_model(Vault)
    yield Vault
    with connection.schema_editor() as editor:
        editor.delete_model(Vault)


def rotate():
    out = StringIO()
    call_command("rotate_field_keys", batch=2, stdout=out)
    return out.getvalue()


def test_rotation_leaves_only_the_first_key_in_use(vault, settings):
    for number in range(5):
        vault.objects.create(text=f"account {number}", facts={"number": number})
    vault.objects.create(text=None)
    vault.objects.create(text="")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert "core.Vault.text: 5 encrypted anew, 0 unreadable" in rotate()
    assert "core.Vault.text: 0 encrypted anew, 0 unreadable" in rotate()
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    rows = vault.objects.order_by("pk")
    assert [row.text for row in rows] == [*(f"account {n}" for n in range(5)), None, ""]
    assert [row.facts for row in rows] == [*({"number": n} for n in range(5)), {}, {}]


def test_rotation_keeps_what_it_cannot_read_and_says_so(vault, settings):
    vault.objects.create(text="lost")
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    vault.objects.create(text="kept")
    with pytest.raises(CommandError, match="2 values cannot be read"):
        rotate()
    settings.FIELD_ENCRYPTION_KEYS = [OLD, NEW]
    assert {row.text for row in vault.objects.all()} == {"lost", "kept"}


def test_rotation_does_not_undo_a_change_made_meanwhile(vault, settings):
    row = vault.objects.create(text="before")
    field = vault._meta.get_field("text")
    [[(pk, stored)]] = rotate_field_keys._batches(vault, field, 10)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    vault.objects.filter(pk=row.pk).update(text="after")
    assert rotate_field_keys._replace(vault, field, pk, stored) == 0
    assert vault.objects.get(pk=row.pk).text == "after"
