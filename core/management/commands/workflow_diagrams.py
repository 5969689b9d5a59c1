"""Print every desk's workflow as Mermaid; `--write` puts it into docs/workflows.md."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core.workflow import Case, case_models, mermaid

HEAD = (
    "# Workflows\n\nDrawn from the transition tables by `manage.py workflow_diagrams --write`; "
    "a test fails when this page and the tables disagree.\n"
)


def page(models: list[type[Case]]) -> str:
    """Build the whole page for these case models."""
    parts = [
        f"\n## {str(model._meta.verbose_name_plural).capitalize()}\n\n"
        f"```mermaid\n{mermaid(model)}```\n"
        for model in models
    ]
    return HEAD + "".join(parts)


class Command(BaseCommand):
    """manage.py workflow_diagrams [--write]"""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --write."""
        parser.add_argument("--write", action="store_true", help="write docs/workflows.md")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the page or write it."""
        text = page([m for m in case_models() if not m.__module__.startswith("tests.")])
        if options["write"]:
            (settings.BASE_DIR / "docs" / "workflows.md").write_text(text, encoding="utf-8")
        else:
            self.stdout.write(text)
