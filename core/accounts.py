"""Sign-in rules: staff accounts are made in the admin, nobody signs up by themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from core import fields


class StaffAccounts(DefaultAccountAdapter):
    """allauth's hook for accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False


class SecondStep(DefaultMFAAdapter):
    """allauth's hook for one-time codes: their secrets are encrypted as every secret is."""

    def encrypt(self, text: str) -> str:
        """Encrypt for the database."""
        return fields.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt from the database."""
        return fields.decrypt(encrypted_text)
