"""The portal's side of the bulk benchmark, in processes with settings of their own.

`prepare <lines>` makes a run, `crew` works on it until it is over, `told` prints what came of it,
`price <quotes>` times pricing alone.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import product

import django

django.setup()

from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from core import queue  # noqa: E402
from core.models import PartnerCall, User  # noqa: E402
from gasquotes import bulk, crews, pricing, rules  # noqa: E402
from gasquotes.books import known_levies  # noqa: E402
from gasquotes.client import SupplyPoints  # noqa: E402
from gasquotes.models import BULK, BulkLine, BulkRun, LookUp, MonthOfCalls  # noqa: E402


def prepare(lines: str) -> None:
    """Make a run over so many points and start it."""
    by = User.objects.create(username="bench", email="bench@larkmoor.example")
    moment = timezone.now()
    with transaction.atomic():
        run = BulkRun.objects.create(
            title="bench", state="running", created_at=moment, state_at=moment, started_at=moment,
            by=by, by_name="bench",
        )  # fmt: skip
        BulkLine.objects.bulk_create(
            BulkLine(run=run, number=n, mprn=f"{4_200_000_000 + n}", due_at=moment)
            for n in range(int(lines))
        )
        bulk.call_crews(now=moment)


def crew() -> None:
    """Do what a worker process does when the bell rings, until the run is over."""
    while BulkRun.objects.filter(state="running").exists():
        for claim in queue.claim_batch(BULK, 1, now=timezone.now()):
            crews.work(claim=claim, open_service=SupplyPoints, now=timezone.now)
        time.sleep(0.05)


def told() -> None:
    """Print the counts and how long the run took."""
    run = BulkRun.objects.get()
    progress = bulk.progress(run=run, now=timezone.now())
    took = 0.0
    if run.started_at and run.finished_at:
        took = (run.finished_at - run.started_at).total_seconds()
    print(
        json.dumps(
            {
                "seconds": took,
                "done": progress.done,
                "repeats": progress.repeats,
                "look_ups": LookUp.objects.count(),
                "calls": PartnerCall.objects.count(),
                "counted": MonthOfCalls.objects.get().used,
            }
        )
    )


def price(quotes: str) -> None:
    """Price so many contracts of three years, each figure worked out afresh; print the seconds."""
    kinds = product(rules.LDZS, rules.Band, rules.Sector, pricing.MONTHS, pricing.Payment)
    rate = pricing.Rate(unit_rate=Decimal("7.2512"), standing_charge=Decimal("31.4155"))
    prices = {pricing.PriceKey(*kind): rate for kind in kinds}
    book, levies = pricing.Book(version="bench", prices=prices), known_levies()
    started = time.perf_counter()
    for n in range(int(quotes)):
        size = Decimal(12_000 + n)
        quantities = rules.Priceable(
            formula=rules.Quantity(aq_kwh=size, soq_kwh=size / 100),
            prospective=rules.Quantity(aq_kwh=size + 500, soq_kwh=size / 100),
            effective_date=date(2027, 4, 1),
        )
        asked = pricing.Ask(
            quantities=quantities,
            looked_up_on=date(2026, 11, 20),
            ldz="SW",
            sector=rules.Sector.DOMESTIC,
            start=date(2026, 12, 1),
            months=12,
            payment=pricing.Payment.DIRECT_DEBIT,
        )
        priced = pricing.price(asked, book, levies)
        kept = pricing.freeze(priced), priced.first_year.including, priced.whole.including
        if not all(kept):
            raise RuntimeError("A contract has no cost.")
    print(json.dumps({"seconds": time.perf_counter() - started}))


VERBS: dict[str, Callable[..., None]] = {
    "prepare": prepare,
    "crew": crew,
    "told": told,
    "price": price,
}

if __name__ == "__main__":
    VERBS[sys.argv[1]](*sys.argv[2:])
