"""`python -m benchmarks.gas_rows 1000000`: fill the list of quotes, by SQL, on PostgreSQL.

Copies of one row with their own references, points, names, moments and statuses; nothing is due.
Rows without a history are enough for a list.
"""

import logging
import sys
from datetime import timedelta

import django

OVERWRITTEN = {
    "reference": "'GQ-2611-' || n",
    "submission_key": "'bench-' || n",
    "asked_mprn": "(4000000000 + n)::text",
    "mprn": "(4000000000 + n)::text",
    "postcode": "'NX' || n % 90 || ' ' || n % 9 || 'AF'",
    "name": "(ARRAY['Ada','Bram','Orla','Nell'])[1 + n % 4] || ' Taylor ' || n % 5000",
    "email": "'a' || n % 100000 || '@larkmoor.example'",
    "created_at": "created_at - n * interval '1 minute'",
    "status_at": "created_at - n * interval '1 minute'",
    "status": "(ARRAY['closed','closed','closed','accepted','accepted','issued','ready','review',"
    "'address','looking_up'])[1 + n % 10]",
}


def main(wanted: int) -> None:
    """Make one quote, then as many of its kind as are wanted."""
    django.setup()
    logging.disable(logging.INFO)
    from django.db import connection
    from django.utils import timezone

    from gasquotes.models import Quote

    now = timezone.now()
    quote = Quote(
        reference="GQ-2611-0", submission_key="bench", created_at=now, status_at=now,
        name="Ada Taylor", email="ada@larkmoor.example", asked_mprn="4000000000",
        mprn="4000000000", postcode="NX3 2AF", start=now.date() + timedelta(days=30), months=12,
        payment="direct_debit", status=Quote.FIRST, why="Priced", priced="x" * 900,
    )  # fmt: skip
    quote.save()
    columns = [str(each.column) for each in Quote._meta.concrete_fields if not each.primary_key]
    named = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(OVERWRITTEN.get(column, f'"{column}"') for column in columns)
    table = f'"{Quote._meta.db_table}"'
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({named}) SELECT {values} FROM {table}, "  # noqa: S608 - ours
            f"generate_series(1, {wanted - 1}) AS n"
        )
        cursor.execute("VACUUM ANALYZE")  # as autovacuum does by and by


if __name__ == "__main__":
    main(int(sys.argv[1]))
