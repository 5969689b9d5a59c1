"""`python -m benchmarks.inside 5000 /seg/ …`: fill the list, then count the queries of pages.

Runs with the settings of the portal that is measured; prints the counts as JSON.
"""

import json
import logging
import sys
from datetime import datetime, timedelta
from typing import Any

import django

SHARES = ("review", "review", "checking", "waiting", "approved", "approved", "refused", "withdrawn")


def fill(wanted: int) -> None:
    """Make applications in every status, received one a minute; nothing is due.

    Their statuses are set past the workflow's guard: rows without a history are enough for a list.
    """
    from django.db.models import QuerySet
    from django.utils import timezone

    from seg.models import Application

    now = timezone.now()
    rows = [
        Application(**_facts(number, now - timedelta(minutes=number))) for number in range(wanted)
    ]
    Application.objects.bulk_create(rows, batch_size=500)
    for place, status in enumerate(SHARES):
        some = Application.objects.filter(pk__in=[row.pk for row in rows[place :: len(SHARES)]])
        QuerySet.update(some, status=status)


def _facts(number: int, at: datetime) -> dict[str, Any]:
    from seg.models import Application, hash_token

    moments = ("status_at", "created_at", "received_at", "terms_accepted_at")
    return {
        **dict.fromkeys(moments, at),
        "reference": f"SEG-2601-{number}",
        "status": Application.FIRST,
        "certificate_number": f"MCS-{60_000_000 + number}-A",
        "kind": Application.Kind.NEW,
        "name": f"Ada Lark {number}",
        "email": f"ada.lark.{number}@example.org",
        "address_line_1": f"{number + 1} Lapwing Rise",
        "town": "Harrowmere",
        "postcode": "JX11 4BD",
        "dno_told": "yes",
        "account_name": "A Lark",
        "sort_code": "000041",
        "account_number": "00002207",
        "terms_version": "2026-01",
        "due_by": at + timedelta(days=7),
        "why": "Address differs: 2 Lapwing Rise",
        "token": f"bench-{number}",
        "token_sha256": hash_token(f"bench-{number}"),
        "submission_key": f"bench-{number}",
    }


def count_queries(path: str) -> int:
    """Count the queries of one page for a member of the desk."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from core.models import User

    client = Client(headers={"host": "localhost"})
    client.force_login(
        User.objects.get(email="orla.fenn@larkmoor.example"),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return len(captured)


def main(wanted: int, paths: list[str]) -> None:
    """Fill, then count."""
    django.setup()
    logging.disable(logging.INFO)
    fill(wanted)
    print(json.dumps({path: count_queries(path) for path in paths}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
