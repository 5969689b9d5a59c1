"""`manage.py sandbox`: serves the outside parties until Ctrl-C; the only file here with Django."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandbox.run import add_arguments, run
from sandbox.server import CannotStart


class Command(BaseCommand):
    """Play the outside parties over real HTTP, on this machine only."""

    help = "Plays the outside parties over real HTTP, on this machine only."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add port, host and state."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until told to stop."""
        try:
            run(
                port=options["port"],
                host=options["host"],
                state=options["state"],
                say=self._say,
            )
        except CannotStart as problem:
            raise CommandError(str(problem)) from problem

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
