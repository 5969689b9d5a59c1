"""Running the same thing in several threads at once, each on a database connection of its own."""

import threading

from django.db import connections

PATIENCE = 30


def race(*racers):
    """Run callables together from a barrier; return their results, an exception as a result.

    Every thread closes its own connections, so the test database can be dropped.
    """
    start = threading.Barrier(len(racers))
    results = [None] * len(racers)

    def run(place, racer):
        try:
            start.wait(PATIENCE)
            results[place] = racer()
        except Exception as problem:  # noqa: BLE001 - it is the result
            results[place] = problem
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return results


def meeting(call, people):
    """A function that does what `call` does, once so many threads stand before it."""
    barrier = threading.Barrier(people)

    def met(*args, **kwargs):
        barrier.wait(PATIENCE)
        return call(*args, **kwargs)

    return met
