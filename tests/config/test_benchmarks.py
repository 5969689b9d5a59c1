"""What the benchmark of meter results posts, judges and says when there is nothing to measure."""

import pytest

from benchmarks import metering_desk, payloads
from benchmarks.table import Judged, tables
from metering import messages

READ = {"reference": "R-1", "mpan": "1200000000001", "serial": "E1"}


@pytest.mark.parametrize("size", payloads.SIZES.values(), ids=lambda size: size.name)
def test_a_posted_result_holds_what_is_counted_afterwards(size):
    (body,) = payloads.bodies(size, 3, [READ])
    result = messages.read_result(body)
    assert (result.reading_count, len(result.surveys)) == (size.readings, size.registers)
    assert not result.problems
    assert payloads.copy_text(size, 3, [7]).count(b"\n") == size.readings


def test_turns_follow_one_another_without_a_step_down():
    first, second = (
        messages.read_result(next(payloads.bodies(payloads.SMALL, turn, [READ])))
        for turn in range(2)
    )
    for before, after in zip(first.surveys, second.surveys, strict=True):
        assert after.times[0] == before.times[-1] + 1800
        assert float(after.texts[0]) > float(before.texts[-1])


@pytest.mark.parametrize(
    ("rounds", "at_least", "verdict"),
    [
        ((0.7, 0.9, 0.8), True, "reached"),
        ((0.9, 0.7, 0.7), True, "NOT REACHED"),
        ((0.7, 0.9, 0.8), False, "reached"),
        ((0.9, 0.9, 0.7), False, "NOT REACHED"),
    ],
)
def test_the_median_of_the_rounds_is_judged(rounds, at_least, verdict):
    line = Judged("L", 0.8, rounds, at_least=at_least)
    assert line.verdict == verdict
    assert verdict in tables([line])


def test_without_postgresql_it_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
    with pytest.raises(metering_desk.NotThere, match=r"cannot be used at 127\.0\.0\.1:1 .*Start"):
        metering_desk.services()


def test_another_database_is_not_measured(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:///portal.sqlite3")
    with pytest.raises(metering_desk.NotThere, match="names no PostgreSQL"):
        metering_desk.services()
