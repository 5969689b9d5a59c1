"""`manage.py set_up_people`: the demo's people, invented, one for every role.

Passwords are random for each installation. The database holds only their hashes; the list that
`make run` prints is kept in var/demo-sign-ins.txt, which only its owner can read.
"""

import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from core import desks
from core.models import User

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is read as another
UNKNOWN = "(set in an earlier run; --new-passwords sets another)"


class Person(NamedTuple):
    """Somebody of the demo. Supervisor and auditor may open the reference tables."""

    name: str
    role: str
    is_staff: bool = False

    @property
    def email(self) -> str:
        """The address this person signs in with."""
        return f"{self.name.lower().replace(' ', '.')}@larkmoor.example"


PEOPLE = (
    Person("Orla Fenn", "export tariff"),
    Person("Tam Birkett", "export tariff"),
    Person("Rafe Tolland", "metering"),
    Person("Maud Elrick", "gas quotes"),
    Person("Maeve Stroud", "production"),
    Person("Mabel Quist", "safe isolation"),
    Person("Perrin Oakes", "safe isolation"),
    Person("Joss Ardley", "engineer"),
    Person("Ines Corrow", "supervisor", is_staff=True),
    Person("Petra Lowick", "auditor", is_staff=True),
)
NEWCOMERS = ("Edda Marsh", "Rufus Tolland", "Wren Hallam", "Silas Brook", "Nell Ashdown")


class Command(BaseCommand):
    """Make the demo's people; those who exist keep their passwords."""

    help = "Makes the demo's people, one for every role, with random passwords."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --new-passwords."""
        parser.add_argument(
            "--new-passwords", action="store_true", help="give everybody a new password"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make who is missing and write the list of sign-ins."""
        if settings.ENVIRONMENT_LABEL == "LIVE":
            raise CommandError("The demo's people have no place in a live portal.")
        path = settings.VAR_DIR / "demo-sign-ins.txt"
        kept = _read(path)
        with transaction.atomic():
            lines = [_line(person, kept, anew=options["new_passwords"]) for person in everybody()]
        _write(path, lines)
        if options["new_passwords"]:
            self.stdout.write("\n".join(lines))


def everybody() -> list[Person]:
    """List the demo's people; a desk that has nobody yet gets a newcomer."""
    taken = {person.role for person in PEOPLE}
    roles = [desk.role for desk in desks.all_desks() if desk.role not in taken]
    return [*PEOPLE, *(Person(*pair) for pair in zip(NEWCOMERS, roles, strict=False))]


def _line(person: Person, kept: dict[str, str], *, anew: bool) -> str:
    if User.objects.filter(email=person.email).exists() and not anew:
        password = kept.get(person.email, UNKNOWN)
    else:
        password = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
        _make(person, password)
    return f"  {person.email:<34}{password:<18}{person.name}, {person.role}"


def _make(person: Person, password: str) -> None:
    first_name, _, last_name = person.name.partition(" ")
    user, _ = User.objects.update_or_create(
        email=person.email,
        defaults={
            "username": person.email,
            "first_name": first_name,
            "last_name": last_name,
            "is_staff": person.is_staff,
        },
    )
    user.set_password(password)
    user.save(update_fields=["password"])
    user.groups.add(Group.objects.get(name=person.role))
    EmailAddress.objects.get_or_create(
        user=user, email=person.email, defaults={"verified": True, "primary": True}
    )


def _read(path: Path) -> dict[str, str]:
    """Read the passwords of an earlier run, second in each line."""
    lines = path.read_text().splitlines() if path.is_file() else []
    words = (line.split() for line in lines if UNKNOWN not in line)
    return {email: password for email, password, *_ in words}


def _write(path: Path, lines: list[str]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join((*lines, "")))
