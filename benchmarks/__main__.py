"""`python -m benchmarks [name …]`: run the benchmarks and print their tables."""

import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterable

from benchmarks import gas_bulk, gas_list, metering, pts, seg_list, seg_time_to_decision
from benchmarks.table import Line, tables

BENCHMARKS: dict[str, Callable[[], Iterable[Line]]] = {
    "seg_time_to_decision": seg_time_to_decision.measure,
    "seg_list": seg_list.measure,
    "metering": metering.measure,
    "gas_bulk": gas_bulk.measure,
    "gas_list": gas_list.measure,
    "pts": pts.measure,
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"No benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    lines = []
    for name in names or BENCHMARKS:
        print(f"-- {name}", flush=True)
        for line in BENCHMARKS[name]():
            print(f"   {' '.join(line.cells())}", flush=True)
            lines.append(line)
    python, sqlite = platform.python_version(), sqlite3.sqlite_version
    print(f"\n{os.cpu_count()} cores, Python {python}, SQLite {sqlite} (seg)\n")
    print(tables(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
