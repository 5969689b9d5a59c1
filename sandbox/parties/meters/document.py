"""The text of a result, in the form of the status table and in every spelling of its samples.

Written as text, not through a JSON library: a key may occur twice, and numbers keep their zeros.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zlib import crc32

from sandbox.parties.meters.kinds import REGISTERS
from sandbox.parties.meters.load import DAY, HALF_HOUR
from sandbox.parties.meters.meter import Meter
from sandbox.parties.meters.request import Asked
from sandbox.parties.meters.visit import Visit, midnight, summary, survey_days
from sandbox.parties.registry.mpan import mpan

Pairs = list[tuple[str, str]]
NOON = 12 * 3600
OFF = 432  # seconds by which a timestamp off the grid is late
CHANGED = 250  # watt-hours between two results that disagree
EVENTS = ("Lid/terminal cover tamper", "Power down", "Phase failure L2", "Battery low")


def pending(asked: Asked) -> str:
    """Write the status of a collection that has not been performed yet."""
    return _object([*_echo(asked), ("result", '"PENDING"')])


def cancelled(asked: Asked) -> str:
    """Write the status of a collection that was taken out of the queue."""
    return _object([*_echo(asked), ("result", '"ERROR: Cancelled"')])


def result(asked: Asked, visit: Visit, variant: str = "whole") -> str:
    """Write a result; `variant` is whole, first, second (parts of it) or altered."""
    meter = visit.meter
    spelling = frozenset(meter.behaviours) if meter else frozenset()
    pairs = _echo(asked, spelling)
    pairs += _outcome(summary(asked, visit) if variant != "second" else "PARTIAL SUCCESS", spelling)
    pairs += _times(visit, variant, spelling)
    if meter and not visit.problem:
        pairs += _readings(asked, visit, meter, variant, spelling)
    elif visit.connected:
        pairs.append(("serialNumber", _text(visit.serial or f"ERROR: {visit.problem}")))
        pairs.append(("meterTime", _text(f"ERROR: {visit.problem}")))
    return _object(pairs)


def _object(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"


def _text(value: str | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def _echo(asked: Asked, spelling: frozenset[str] = frozenset()) -> Pairs:
    """Repeat the parameters of the request, password included (note 1)."""
    other = asked.mpan[:2] + "99" + asked.mpan[4:-1]
    named = mpan(int(other[:2]), int(other[2:12])) if len(other) == 12 else "1012345678903"
    days = str(asked.survey_days)
    return [
        ("requestReference", _text(asked.reference)),
        ("mpan", _text(named if "wrong_mpan" in spelling else asked.mpan)),
        ("meterType", _text(asked.meter_type)),
        ("remoteAddress", _text(asked.remote_address)),
        ("comsSettings", _text(asked.coms_settings or None)),
        ("outstationAddress", _text(asked.outstation)),
        *([("serialNumber", _text(asked.serial))] if "serial_twice" in spelling else []),
        ("password", _text(asked.password)),
        ("adjustTime", "true" if asked.adjust_time else "false"),
        ("surveyDays", f'"{days}"' if "text_numbers" in spelling else days),
        ("surveyDate", _text(asked.survey_date or None)),
    ]


def _outcome(outcome: str, spelling: frozenset[str]) -> Pairs:
    """Name the overall outcome as the table does, or as the samples do."""
    names = ("result", "resultSummary") if "both_outcomes" in spelling else ("result",)
    names = ("resultSummary",) if "summary" in spelling else names
    return [(name, _text(outcome)) for name in names]


def _times(visit: Visit, variant: str, spelling: frozenset[str]) -> Pairs:
    # Of two results that disagree, the first ended a second earlier.
    earlier = int(variant == "whole" and "disagree" in spelling)
    started, ended = visit.started - earlier, visit.ended - earlier
    times = [("collectionStartTime", started), ("collectionEndTime", ended)]
    if visit.connected:
        times += [("connectionStartTime", started), ("connectionEndTime", ended)]
    return [(name, _text(_moment(moment, spelling))) for name, moment in times]


def _moment(moment: int, spelling: frozenset[str]) -> str:
    form = "%Y-%m-%dT%H:%M:%S" if "no_zone" in spelling else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.fromtimestamp(moment, UTC).strftime(form)


def _meter_time(visit: Visit, meter: Meter, spelling: frozenset[str]) -> str:
    """Write the meter's own time with its offset: 2014-10-31T23:33:32 -203s."""
    if meter.does("time_error"):
        return "ERROR: The time of the meter could not be read"
    shown = datetime.fromtimestamp(visit.ended + visit.offset, UTC)
    form = "%Y-%m-%dT%HT%H:%M:%S" if "bad_meter_time" in spelling else "%Y-%m-%dT%H:%M:%S"
    return f"{shown.strftime(form)} {visit.offset:+d}s"


def _readings(
    asked: Asked, visit: Visit, meter: Meter, variant: str, spelling: frozenset[str]
) -> Pairs:
    pairs = [
        ("serialNumber", _text(visit.serial)),
        ("meterTime", _text(_meter_time(visit, meter, spelling))),
        *_events(meter, spelling),
        *_adjustment(visit, spelling),
    ]
    # The samples never show it, and the service adds such a field now and then.
    if "extra" in spelling or crc32(asked.reference.encode()) % 4 == 1:
        pairs.append(("serviceNode", _text(f"node-{crc32(asked.reference.encode()) % 3 + 1}")))
    if "extra" in spelling:
        pairs.append(("signal", '{"dbm": -71, "cells": [12, 14]}'))
    if "empty" in spelling:
        return pairs
    pairs.append(("registerValues", _registers(visit, meter, spelling)))
    survey = _survey(asked, visit, meter, variant, spelling)
    if survey or ("nulls" in spelling):
        pairs.append(("surveyData", survey or "null"))
    return pairs


def _events(meter: Meter, spelling: frozenset[str]) -> Pairs:
    if "events_null" in spelling:
        return [("statusEvents", "null")]
    if "bare" in spelling:
        return []
    count = len(EVENTS) if meter.does("events") else int(meter.does("tamper"))
    return [("statusEvents", json.dumps(EVENTS[:count]))]


def _adjustment(visit: Visit, spelling: frozenset[str]) -> Pairs:
    if visit.adjustment or "nulls" in spelling:
        return [("timeAdjustmentResult", _text(visit.adjustment or None))]
    return []


def _registers(visit: Visit, meter: Meter, spelling: frozenset[str]) -> str:
    """Write the instantaneous value of every register at the end of the visit."""
    quote = '"' if "text_numbers" in spelling else ""
    at = _text(_moment(visit.ended, spelling))
    time = "" if "bare" in spelling else f', "timestamp": {at}'
    return "[{}]".format(
        ", ".join(
            f'{{"name": "{name}"{time}, '
            f'"value": {quote}{meter.text(meter.total(name, visit.ended))}{quote}, '
            f'"units": "{REGISTERS[name].units}"}}'
            for name in meter.kind.registers
        )
    )


# The survey.

Reading = tuple[int, str]


def _survey(
    asked: Asked, visit: Visit, meter: Meter, variant: str, spelling: frozenset[str]
) -> str:
    """Write the survey of every register that keeps one; empty when none was asked for."""
    days = survey_days(asked)
    if not days or meter.does("no_survey"):
        return ""
    start, end = _span(midnight(days[0]), midnight(days[-1]) + DAY, variant)
    if meter.does("half_survey"):
        end = start + (end - start) // 2
    blocks = []
    for name in meter.surveyed:
        held = _held(visit, meter, name, start, end)
        readings = _spelled(_changed(held, meter, name, variant), spelling)
        blocks.append(
            f'{{"name": "{name}", "units": "{REGISTERS[name].units}", "readings": [{readings}]}}'
        )
    return f"[{', '.join(blocks)}]"


def _span(start: int, end: int, variant: str) -> tuple[int, int]:
    """Give the part of a survey that a variant of the result has."""
    half = DAY if end - start > DAY else DAY // 2
    middle = start + (end - start) // 2 // half * half
    return {"first": (start, middle), "second": (middle, end)}.get(variant, (start, end))


def _held(visit: Visit, meter: Meter, name: str, start: int, end: int) -> list[Reading]:
    """Give start and value of the half hours that the result has."""
    readings = meter.survey(name, start, end, visit.ended)
    if any(word.startswith("gap_") for word in meter.behaviours):
        lost = set(visit.lost_days)
        readings = ((at, value) for at, value in readings if not is_gap(meter, at, lost))
    held = [(at, meter.text(value)) for at, value in readings]
    return [*_moved(meter, name, held)] if meter.does("off_grid") else held


def is_gap(meter: Meter, moment: int, lost: set[str]) -> bool:
    """Is this half hour missing from what the service could read?"""
    date, second = datetime.fromtimestamp(moment, UTC), moment % DAY
    if meter.does("gap_half_hours"):
        return 5 * HALF_HOUR <= second < 10 * HALF_HOUR
    if meter.does("gap_days"):
        return date.day in (8, 9, 21)
    part = date.day == 10 and not 20 * HALF_HOUR <= second < 28 * HALF_HOUR
    return date.strftime("%Y-%m-%d") in lost and not part


def _moved(meter: Meter, name: str, held: Iterable[Reading]) -> Iterator[Reading]:
    """Move each sixteenth reading off the grid, with the value of that moment."""
    for at, value in held:
        if at // HALF_HOUR % 16 == 5:
            yield at + OFF, meter.text(meter.survey_value(name, at + OFF))
        else:
            yield at, value


def _changed(held: list[Reading], meter: Meter, name: str, variant: str) -> list[Reading]:
    """Give the readings of the second of two results that disagree: noon is another value."""
    if variant != "altered":
        return held
    return [
        (at, meter.text(meter.survey_value(name, at) + CHANGED) if at % DAY == NOON else value)
        for at, value in held
    ]


def _spelled(held: list[Reading], spelling: frozenset[str]) -> str:
    if "unordered" in spelling:
        # Backwards, and each fifth reading a second time at the end.
        held = held[::-1] + held[::5]
    zone = "" if "no_zone" in spelling else "Z"
    quote = '"' if "text_numbers" in spelling else ""
    written = (
        f'{{"timestamp": "{stamp}{zone}", "value": {quote}{value}{quote}{flags}}}'
        for stamp, value, flags in _stamped(held, flagged="status_flags" in spelling)
    )
    return ", ".join(written)


def _stamped(held: Iterable[Reading], *, flagged: bool) -> Iterator[tuple[str, str, str]]:
    known_day, date = -1, ""
    for at, value in held:
        day, second = divmod(at, DAY)
        if day != known_day:
            known_day, date = day, datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
        minute = second // 60
        flags = f', "statusFlags": {4 if minute // 30 % 12 == 7 else 0}' if flagged else ""
        yield f"{date}T{minute // 60:02}:{minute % 60:02}:{second % 60:02}", value, flags
