"""Model fields whose values are encrypted in the database with FIELD_ENCRYPTION_KEYS.

The first key encrypts and every key decrypts, so keys can rotate. Nothing can be searched for by
value, and no error shows one.
"""

import json
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import IsNull, Lookup

if TYPE_CHECKING:
    _Stored = models.TextField[Any, Any]
else:
    _Stored = models.TextField


class UnreadableField(Exception):
    """A stored value cannot be decrypted with any key of FIELD_ENCRYPTION_KEYS."""


class EncryptedLookupError(FieldError):
    """A query looks into an encrypted field, which only `isnull` can do."""


def encrypt(text: str) -> str:
    """Encrypt text with the first key; empty text stays empty."""
    return MultiFernet(_fernets()).encrypt(text.encode()).decode("ascii") if text else ""


def decrypt(stored: str) -> str:
    """Decrypt what `encrypt` returned. Raises UnreadableField when no key fits."""
    if not stored:
        return ""
    try:
        return MultiFernet(_fernets()).decrypt(stored.encode()).decode()
    except InvalidToken:
        raise UnreadableField("No key of FIELD_ENCRYPTION_KEYS fits this value.") from None


def is_current(stored: str) -> bool:
    """Say whether a stored value needs no re-encryption with the first key."""
    if not stored:
        return True
    try:
        _fernets()[0].decrypt(stored.encode())
    except InvalidToken:
        return False
    return True


class EncryptedField(_Stored):
    """What the encrypted fields share: ciphertext in a text column, and no look-ups."""

    def get_prep_value(self, value: Any) -> str | None:
        """Return the ciphertext of a value; None stays NULL."""
        return None if value is None else encrypt(self.as_text(value))

    def from_db_value(
        self, value: str | None, expression: object, connection: BaseDatabaseWrapper
    ) -> Any:
        """Return the value of a ciphertext. Raises UnreadableField, which names the column."""
        if value is None:
            return None
        try:
            return self.from_text(decrypt(value))
        except UnreadableField:
            raise UnreadableField(f"{self} cannot be read with FIELD_ENCRYPTION_KEYS.") from None

    def as_text(self, value: Any) -> str:
        """Return the text that is encrypted."""
        return str(value)

    def from_text(self, text: str) -> Any:
        """Return the value that a decrypted text stands for."""
        return text

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        """Allow `isnull` alone: ciphertext differs every time, so no comparison can be true."""
        if lookup_name == "isnull":
            return IsNull
        return self._refuse(lookup_name)

    def get_transform(self, lookup_name: str) -> NoReturn:
        """Refuse every transform of the ciphertext."""
        self._refuse(lookup_name)

    def _refuse(self, lookup_name: str) -> NoReturn:
        raise EncryptedLookupError(
            f"{self} is encrypted: “{lookup_name}” cannot look into it, only “isnull” can."
        )


class EncryptedTextField(EncryptedField):
    """Text, encrypted. Empty text is stored as empty text."""

    description = "Encrypted text"


class EncryptedJSONField(EncryptedField):
    """Anything JSON can hold, encrypted. None is NULL."""

    description = "Encrypted JSON"
    _pyi_private_set_type: Any  # the types that mypy's Django plugin reads
    _pyi_private_get_type: Any

    def as_text(self, value: Any) -> str:
        """Return the value as JSON."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def from_text(self, text: str) -> Any:
        """Return the value that the JSON stands for; an empty column is None."""
        return json.loads(text) if text else None


def _fernets() -> list[Fernet]:
    wrong = "FIELD_ENCRYPTION_KEYS must list keys of 32 bytes in URL-safe base64."
    try:
        fernets = [Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS]
    except ValueError:
        raise ImproperlyConfigured(wrong) from None
    if not fernets:
        raise ImproperlyConfigured(wrong)
    return fernets
