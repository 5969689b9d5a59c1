"""Fill every desk with invented cases, through the same actions as people and parties use.

Repeating it adds nothing. The sandbox must run; the worker does the rest in the background.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import desks
from core.demo import SandboxMissing


class Command(BaseCommand):
    """manage.py demo"""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run each desk's demo."""
        for desk in desks.all_desks():
            try:
                for line in desk.fill_demo():
                    self.stdout.write(f"  {desk.label}: {line}")
            except SandboxMissing as problem:
                raise CommandError(str(problem)) from problem
