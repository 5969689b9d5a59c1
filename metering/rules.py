"""What decides a meter read, what half hours come to, and what is missing: facts in, verdicts out.

Follows the Meter Communications Service API. Plain Python: no database, no clock, no network. A
register that goes backwards is named, never corrected; what is not known stays None.
"""

import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter
from typing import Final, Literal, NamedTuple

import msgspec

from core import mpan
from metering import days
from metering.messages import Adjustment, AdjustmentKind, OutcomeKind, RegisterValue, Survey
from metering.messages import Result as MeterResult

Result = Literal["pass", "look", "fail"]
VerdictKind = Literal["accept", "to_check", "failed"]

TITLES: Final[dict[str, str]] = {
    "whole": "Whole or partial",
    "understood": "Result understood",
    "mpan": "MPAN",
    "serial": "Serial number",
    "clock": "Clock",
    "adjustment": "Time adjustment",
    "tamper": "Tamper events",
    "backwards": "Register not backwards",
    "usual": "Usual advance",
    "capacity": "Capacity",
    "survey": "Half hours agree",
}

_NBSP = "\N{NO-BREAK SPACE}"
_HOUR = Decimal(3600)
_DAY = timedelta(days=1)
_HALF_HOUR = timedelta(minutes=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARGIN = Decimal("1.02")  # of capacity: meters and inverters round
_SHORTEST_USUAL = timedelta(hours=6)  # a shorter time says little about a day's use
_FEWEST_RATES = 3
_STOPPED_AFTER = timedelta(days=7)
_SEVERITY: Final[dict[Result, int]] = {"pass": 0, "look": 1, "fail": 2}
_KWH: Final[dict[str, Decimal]] = {
    "wh": Decimal("0.001"),
    "kwh": Decimal(1),
    "mwh": Decimal(1000),
}


class Past(NamedTuple):
    """What a register showed at a time: an accepted read."""

    at: datetime
    value: Decimal


class HalfHours(NamedTuple):
    """Readings of consecutive UTC half hours; `first` counts them from 1970.

    Values are whole numbers of 10 to the power of −`decimals`, None where there is no reading.
    """

    first: int
    values: Sequence[int | None]
    decimals: int


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """What the portal knows of the meter. `history` holds accepted register reads by register.

    `cumulative` says what survey values mean, `digits` how many a register has before its point,
    `changes` when the meter was replaced. `half_hours` are stored readings by register, in the
    place of those of the result alone.
    """

    mpan: str
    serial_number: str = ""
    cumulative: bool = True
    digits: int | None = None
    capacity_kw: Decimal | None = None
    changes: tuple[datetime, ...] = ()
    history: Mapping[str, Sequence[Past]] = {}
    half_hours: Mapping[str, HalfHours] = {}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of clock offset to look at and to fail, and how much more than usual is plausible."""

    clock_look: int = 60
    clock_fail: int = 900
    times_usual: Decimal = Decimal(5)
    recent_reads: int = 10


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule applied to a read: what it found, in a sentence, with its figures (label, value).

    `brief` is the same in a few words for the list. `alarm` asks for an alarm beside the check,
    `failed` says that there is nothing to judge, and `next_step` what to do then.
    """

    code: str
    title: str
    result: Result
    sentence: str
    figures: tuple[tuple[str, str], ...] = ()
    brief: str = ""
    alarm: bool = False
    failed: bool = False
    next_step: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks come to; a failed read carries the party's sentence in `why`."""

    kind: VerdictKind
    why: str
    next_step: str = ""


# ---- The whole of it --------------------------------------------------------------------------


def check(result: MeterResult, meter: Meter, limits: Limits | None = None) -> tuple[Check, ...]:
    """Apply every rule to a result that is not PENDING, in the order people read them."""
    limits = limits or Limits()
    reads = tuple(_reads(result))
    return (
        _whole(result),
        _understood(result),
        _mpan(result, meter),
        _serial(result, meter),
        _clock(result, limits),
        _adjustment(result),
        _tamper(result),
        _by_register("backwards", reads, lambda read: _backwards(read, meter, limits)),
        _by_register("usual", reads, lambda read: _usual(read, meter, limits)),
        _by_register("capacity", reads, lambda read: _capacity(read, meter)),
        _by_register("survey", reads, lambda read: _survey(read, result, meter)),
    )


def verdict(checks: Sequence[Check]) -> Verdict:
    """Say what the checks come to: all pass is accepted, an ERROR has failed, else a person."""
    for each in checks:
        if each.failed:
            return Verdict(kind="failed", why=each.sentence, next_step=each.next_step)
    open_checks = sorted(
        (each for each in checks if each.result != "pass"), key=lambda each: each.result != "fail"
    )
    if not open_checks:
        return Verdict(kind="accept", why=f"All {len(checks)} checks pass")
    why = "; ".join(each.brief or each.title for each in open_checks)
    return Verdict(kind="to_check", why=why[:1].upper() + why[1:])


def alarms(checks: Sequence[Check]) -> tuple[tuple[str, str], ...]:
    """Return the alarms that a read raises, each a code of TITLES and its sentence."""
    return tuple((each.code, each.sentence) for each in checks if each.alarm)


def next_step(details: str) -> str:
    """Say what to do about an "ERROR: details" of the service, as far as its words tell."""
    words = details.casefold()
    for pattern, advice in _ADVICE:
        if re.search(pattern, words):
            return advice
    return "Read what the service says, then ask the meter again or send somebody."


_ADVICE: Final = (
    (r"password|log.?in|access denied", "Check the meter's password, then ask the meter again."),
    (r"serial", "Check which meter is on this remote address before you ask again."),
    (
        r"outstation|device id|no such device",
        "Check the outstation address, then ask the meter again.",
    ),
    (
        r"busy|engaged|no answer|no carrier|time.?d? ?out|connect|unreachable|modem",
        "Ask the meter again later. If it stays silent, check its remote address and signal.",
    ),
    (r"meter type|not supported", "Check the meter type, then ask the meter again."),
)


# ---- One row ----------------------------------------------------------------------------------


class _Finding(NamedTuple):
    """What one rule found, before it becomes a row."""

    result: Result
    sentence: str
    figures: tuple[tuple[str, str], ...] = ()
    brief: str = ""
    alarm: bool = False
    failed: bool = False
    next_step: str = ""


def _row(code: str, finding: _Finding) -> Check:
    return Check(code=code, title=TITLES[code], **finding._asdict())


class _Read(NamedTuple):
    """A register value with the time it was read at."""

    name: str
    at: datetime
    value: Decimal
    units: str

    @property
    def past(self) -> Past:
        return Past(self.at, self.value)


def _reads(result: MeterResult) -> Iterator[_Read]:
    """Yield the register values whose time is known; the connection's end stands in for it."""
    fallback = result.connection_ended_at or result.collection_ended_at
    for register in result.registers:
        at = register.at or fallback
        if at is not None and _is_energy(register):
            yield _Read(register.name, at, register.value, register.units)


def _is_energy(register: RegisterValue) -> bool:
    """Say whether a register only ever counts up: kWh, kvarh, kVAh, not a demand in kW."""
    return re.search(r"(w|va|var)h\b", f"{register.units} {register.name}".casefold()) is not None


def _by_register(
    code: str, reads: Sequence[_Read], rule: Callable[[_Read], _Finding | None]
) -> Check:
    """Apply a rule to every register and put the findings into one row, the worst one first."""
    found = [each for each in map(rule, reads) if each is not None]
    if not found:
        return _row(code, _Finding("pass", _NOTHING_TO_COMPARE[code]))
    found.sort(key=lambda each: -_SEVERITY[each.result])
    worst = found[0]
    shown = [each for each in found if each.result != "pass"] or found[:1]
    return _row(
        code,
        worst._replace(
            sentence=" ".join(dict.fromkeys(each.sentence for each in shown)),
            figures=tuple(figure for each in found for figure in each.figures),
        ),
    )


_NOTHING_TO_COMPARE: Final[dict[str, str]] = {
    "backwards": "There is no earlier accepted read to compare with.",
    "usual": "There are too few earlier reads to say what is usual.",
    "capacity": "There is no capacity or no earlier read to compare with.",
    "survey": "There are no half hours to compare with a register.",
}


# ---- The result itself ------------------------------------------------------------------------


def _whole(result: MeterResult) -> Check:
    """Read the overall result: "SUCCESS", "PARTIAL SUCCESS" or "ERROR: details"."""
    count = f"{len(result.registers)} register values, {result.reading_count:,} half hours"
    figures = (("Received", count),)
    kind, details = result.outcome.kind, result.outcome.details
    if kind is OutcomeKind.ERROR:
        finding = _Finding(
            "fail",
            f"The service could not read the meter: {details}.".replace("..", "."),
            figures,
            "the meter could not be read",
            failed=True,
            next_step=next_step(details),
        )
    elif kind is not OutcomeKind.SUCCESS:
        sentence, brief = _NOT_WHOLE[kind]
        finding = _Finding("look", sentence, figures, brief)
    elif not result.registers and not result.reading_count:
        sentence = "The service says success but sent no values."
        finding = _Finding("look", sentence, figures, "no values came")
    else:
        finding = _Finding("pass", "The service says that everything was read.", figures)
    return _row("whole", finding)


_NOT_WHOLE: Final[dict[OutcomeKind, tuple[str, str]]] = {
    OutcomeKind.PARTIAL_SUCCESS: (
        "Only a part of what was asked for could be read.",
        "only a part was read",
    ),
    OutcomeKind.PENDING: ("The meter has not been read yet.", "not read yet"),
    OutcomeKind.UNCLEAR: (
        "The result does not say whether the meter could be read.",
        "no overall result",
    ),
}


def _understood(result: MeterResult) -> Check:
    lost = [problem for problem in result.problems if problem.lost]
    if not lost:
        return _row("understood", _Finding("pass", "Everything in the result was understood."))
    figures = tuple((each.path or "Others", each.reason) for each in lost[:10])
    things = f"{len(lost)} things" if len(lost) > 1 else "1 thing"
    sentence = f"{things} in the result could not be understood. The rest was used."
    return _row("understood", _Finding("look", sentence, figures, f"{things} not understood"))


def _mpan(result: MeterResult, meter: Meter) -> Check:
    """Compare the MPAN that the service repeats with the one that was asked for."""
    figures = (("Ours", meter.mpan), ("Theirs", result.mpan or "–"))
    if not result.mpan:
        finding = _Finding("look", "The result names no MPAN.", figures, "no MPAN in the result")
    elif _same_mpan(meter.mpan, result.mpan):
        finding = _Finding("pass", "The result is about our MPAN.", figures)
    else:
        sentence = f"The result is about MPAN {result.mpan}, not {meter.mpan}."
        finding = _Finding("fail", sentence, figures, "another MPAN")
    return _row("mpan", finding)


def _same_mpan(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    return mpan.is_valid(ours) and mpan.is_valid(theirs) and mpan.parse(ours) == mpan.parse(theirs)


def _serial(result: MeterResult, meter: Meter) -> Check:
    """Compare the serial number that the meter told with the recorded one."""
    figures = (("Recorded", meter.serial_number or "–"), ("Read", result.serial_number or "–"))
    if result.serial_number_error:
        sentence = f"The service says about the serial number: {result.serial_number_error}."
        # A meter that could not be read at all says nothing about its number.
        own = result.serial_number_error != result.outcome.details
        finding = _Finding("fail", sentence, figures, "serial number error", alarm=own)
    elif not meter.serial_number:
        sentence = "No serial number is recorded for this meter, so there is none to compare."
        finding = _Finding("pass", sentence, figures)
    elif not result.serial_number:
        sentence = "The meter told no serial number."
        finding = _Finding("look", sentence, figures, "no serial number read")
    elif serial_key(result.serial_number) == serial_key(meter.serial_number):
        finding = _Finding("pass", "The meter has the serial number that is recorded.", figures)
    else:
        sentence = f"The meter says {result.serial_number}, recorded is {meter.serial_number}."
        finding = _Finding("fail", sentence, figures, "another serial number", alarm=True)
    return _row("serial", finding)


def serial_key(text: str) -> str:
    """Return a serial number for comparing: without case, signs and zeros in front."""
    return re.sub(r"[\W_]+", "", text).casefold().lstrip("0")


def _clock(result: MeterResult, limits: Limits) -> Check:
    """Judge the offset of the meter's clock: "(indicates that the time was 203 seconds behind)"."""
    if result.meter_time_error:
        sentence = f"The service could not read the clock: {result.meter_time_error}."
        return _row("clock", _Finding("look", sentence, brief="clock not read"))
    if result.clock is None or result.clock.offset is None:
        sentence = "The result does not say how far the meter's clock is off."
        return _row("clock", _Finding("look", sentence, brief="clock offset not told"))
    seconds = abs(result.clock.offset)
    figures = (("Offset", f"{result.clock.offset:+d}{_NBSP}s"), ("Limit", f"{limits.clock_look} s"))
    told = f"The meter's clock is {_offset(result.clock.offset)}"
    if seconds <= limits.clock_look:
        return _row("clock", _Finding("pass", f"{told}.", figures))
    graded: Result = "fail" if seconds > limits.clock_fail else "look"
    sentence = f"{told}; the limit is {limits.clock_look} seconds."
    brief = f"clock {_offset(result.clock.offset)}"
    return _row("clock", _Finding(graded, sentence, figures, brief, alarm=True))


def _offset(seconds: int) -> str:
    if not seconds:
        return "right"
    return f"{abs(seconds):,} seconds {'fast' if seconds > 0 else 'slow'}"


def _adjustment(result: MeterResult) -> Check:
    """Judge "timeAdjustmentResult"; asked for and not answered is worth a look."""
    finding = _adjustment_finding(result.adjustment)
    if result.adjustment is None and result.adjust_time:
        sentence = "The clock was to be set, but the result does not say what became of it."
        finding = _Finding("look", sentence, brief="time adjustment not answered")
    return _row("adjustment", finding)


def _adjustment_finding(adjustment: Adjustment | None) -> _Finding:
    if adjustment is None:
        return _Finding("pass", "The clock was not to be set.")
    if adjustment.kind is AdjustmentKind.ERROR:
        sentence = f"The clock could not be set: {adjustment.details}."
        return _Finding("look", sentence, brief="time adjustment refused", alarm=True)
    if adjustment.kind is AdjustmentKind.SUCCESS:
        return _Finding("pass", "The clock was set.")
    return _Finding("pass", "The clock did not need to be set.")


_TAMPER = re.compile(
    r"tamper|\bcovers?\b|\blid\b|\bseals?\b|magnet|terminal block|case open|reverse|bypass|fraud",
    re.IGNORECASE,
)
_NO_TAMPER = re.compile(r"\bno\b|\bnone\b|not detected", re.IGNORECASE)


def tamper_events(events: Iterable[str]) -> tuple[str, ...]:
    """Return the status events whose words speak of tampering ("These will vary by meter type")."""
    return tuple(each for each in events if _TAMPER.search(each) and not _NO_TAMPER.search(each))


def _tamper(result: MeterResult) -> Check:
    events = tamper_events(result.status_events)
    others = len(result.status_events) - len(events)
    if events:
        figures = tuple(("Event", each) for each in events)
        sentence = f"The meter reports: {'; '.join(events)}."
        return _row("tamper", _Finding("look", sentence, figures, "tamper event", alarm=True))
    sentence = "The meter reports no tampering."
    figures = tuple(("Event", each) for each in result.status_events)
    return _row("tamper", _Finding("pass", sentence, figures if others else ()))


# ---- Registers against their history ------------------------------------------------------------


class Step(StrEnum):
    """What lies between two values of a register."""

    FORWARD = "Forward"
    METER_CHANGE = "Meter change"
    ROLLOVER = "Rollover?"
    BACKWARDS = "Backwards"


def step(
    before: Past,
    after: Past,
    *,
    changes: Iterable[datetime] = (),
    digits: int | None = None,
    most: Decimal | None = None,
) -> Step:
    """Name the step from one value of a register to a later one; nothing is ever corrected.

    A recorded meter change between them explains everything. A register that would have advanced
    by at most `most` (1 % of its range if that is not known) past 10 to the power of `digits` is a
    candidate for a rollover, which a person decides. Anything else that is lower is a fault.
    """
    if any(before.at < change <= after.at for change in changes):
        return Step.METER_CHANGE
    if after.value >= before.value:
        return Step.FORWARD
    if digits:
        around = Decimal(10) ** digits
        rolled = around - before.value + after.value
        if before.value < around and rolled <= (around / 100 if most is None else most):
            return Step.ROLLOVER
    return Step.BACKWARDS


def _backwards(read: _Read, meter: Meter, limits: Limits) -> _Finding | None:
    """Compare with the accepted reads just before and just after this one."""
    before, after = _neighbours(read, meter)
    pairs = [(before, read.past)] if before else []
    pairs += [(read.past, after)] if after else []
    found = [_step_finding(read, *pair, meter, limits) for pair in pairs]
    return max(found, key=lambda each: _SEVERITY[each.result], default=None)


def _step_finding(read: _Read, before: Past, after: Past, meter: Meter, limits: Limits) -> _Finding:
    most = _most(read, before, after, meter, limits)
    kind = step(before, after, changes=meter.changes, digits=meter.digits, most=most)
    figures = ((read.name, f"{before.value:,f} to {_amount(after.value, read.units)}"),)
    result, sentence, brief = _STEPS[kind]
    return _Finding(result, sentence.format(name=read.name), figures, brief)


_STEPS: Final[dict[Step, tuple[Result, str, str]]] = {
    Step.FORWARD: ("pass", "No register went backwards.", ""),
    Step.METER_CHANGE: ("pass", "The meter was changed since the read before.", ""),
    Step.ROLLOVER: (
        "look",
        "{name} may have passed its highest value and begun again at zero.",
        "possible rollover",
    ),
    Step.BACKWARDS: (
        "fail",
        "{name} is lower than before, and no meter change is recorded.",
        "register backwards",
    ),
}


def _neighbours(read: _Read, meter: Meter) -> tuple[Past | None, Past | None]:
    history = meter.history.get(read.name, ())
    before = max((each for each in history if each.at < read.at), default=None)
    after = min((each for each in history if each.at > read.at), default=None)
    return before, after


def _advance(read: _Read, meter: Meter) -> tuple[Past, Decimal] | None:
    """Return the read before and how far the register went since, where that can be said."""
    before, _ = _neighbours(read, meter)
    if before is None or step(before, read.past, changes=meter.changes) is not Step.FORWARD:
        return None
    return before, read.value - before.value


def _most(read: _Read, before: Past, after: Past, meter: Meter, limits: Limits) -> Decimal | None:
    """Return the most that a register can have advanced, by capacity or else by its history."""
    elapsed = after.at - before.at
    if (room := _room(meter, read.units, elapsed)) is not None:
        return room
    usual = _usual_rate(read, meter, limits)
    return None if usual is None else limits.times_usual * usual * _at_least_half_a_day(elapsed)


def _room(meter: Meter, units: str, elapsed: timedelta) -> Decimal | None:
    """Return what the capacity lets through in a time, in the register's units."""
    factor = _KWH.get(units.strip().casefold())
    if meter.capacity_kw is None or factor is None:
        return None
    return meter.capacity_kw * _seconds(elapsed) / _HOUR * _MARGIN / factor


def _usual_rate(read: _Read, meter: Meter, limits: Limits) -> Decimal | None:
    """Return the median advance a day over the recent reads, None with too few of them."""
    earlier = sorted(each for each in meter.history.get(read.name, ()) if each.at < read.at)
    rates = [
        (after.value - before.value) / (_seconds(after.at - before.at) / _seconds(_DAY))
        for before, after in pairwise(earlier[-limits.recent_reads - 1 :])
        if after.at - before.at >= _SHORTEST_USUAL
        and step(before, after, changes=meter.changes) is Step.FORWARD
    ]
    return statistics.median(rates) if len(rates) >= _FEWEST_RATES else None


def _usual(read: _Read, meter: Meter, limits: Limits) -> _Finding | None:
    """Compare the advance with what this register usually does."""
    advanced, rate = _advance(read, meter), _usual_rate(read, meter, limits)
    if advanced is None or rate is None:
        return None
    before, advance = advanced
    elapsed = read.at - before.at
    in_days = _seconds(elapsed) / _seconds(_DAY)
    figures = (
        (read.name, f"{_amount(advance, read.units)} in {in_days:.1f}{_NBSP}days"),
        ("Usual", f"{rate:,.1f}{_NBSP}{read.units} a day"),
    )
    if advance > limits.times_usual * rate * _at_least_half_a_day(elapsed) and advance > 1:
        sentence = f"{read.name} advanced far more than it usually does."
        return _Finding("look", sentence, figures, "unusual advance")
    if not advance and rate and elapsed >= _STOPPED_AFTER:
        sentence = f"{read.name} has not moved at all."
        return _Finding("look", sentence, figures, "register stands still")
    return _Finding("pass", "The advance is usual for this meter.", figures)


def _capacity(read: _Read, meter: Meter) -> _Finding | None:
    """Compare the advance with capacity (kW) times hours."""
    advanced = _advance(read, meter)
    if advanced is None:
        return None
    before, advance = advanced
    room = _room(meter, read.units, read.at - before.at)
    if room is None:
        return None
    figures = (
        (read.name, _amount(advance, read.units)),
        ("At most", f"{room:,.1f}{_NBSP}{read.units}"),
    )
    if advance > room + _unit(read.value):
        sentence = f"{read.name} advanced by more than the capacity lets through."
        return _Finding("fail", sentence, figures, "more than the capacity")
    return _Finding("pass", "The advance is within the capacity.", figures)


# ---- Half hours against the register ------------------------------------------------------------


def half_hours(survey: Survey) -> HalfHours:
    """Return the readings of a survey as consecutive half hours; off the grid they are left out."""
    usual = days.in_a_row(survey.times, survey.texts)
    if usual and len(usual.values) <= days.SLOTS * (_LONGEST_SURVEY - 2):
        return _whole_days(survey.times[0] // days.SLOT_SECONDS, usual)
    parts = days.split(survey.times, survey.texts, None, days.Source(0, bytes(8)))
    if not parts.days:
        return HalfHours(0, (), 0)
    start, end = min(parts.days), max(parts.days) + _DAY
    if (end - start).days > _LONGEST_SURVEY:
        start = end - timedelta(days=_LONGEST_SURVEY)
    found = days.series(parts.days.items(), start, end)
    first = (start - _EPOCH.date()).days * days.SLOTS
    return HalfHours(first, found.values, found.decimals)


def _whole_days(first: int, row: days.Amounts) -> HalfHours:
    """The same from midnight to midnight UTC, as days are stored."""
    before, after = first % days.SLOTS, -(first + len(row.values)) % days.SLOTS
    values = [*[None] * before, *row.values, *[None] * after]
    return HalfHours(first - before, values, row.decimals)


_LONGEST_SURVEY = 1000  # days; a stray date must not fill the memory


def _survey(read: _Read, result: MeterResult, meter: Meter) -> _Finding | None:
    """Compare half hours with the register of the same name."""
    survey = next((each for each in result.surveys if each.name == read.name and len(each)), None)
    stored = meter.half_hours.get(read.name) or (half_hours(survey) if survey else None)
    if stored is None:
        return None
    if not meter.cumulative:
        return _period_survey(read, stored, meter)
    before, _ = _neighbours(read, meter)
    if before and any(before.at < change <= read.at for change in meter.changes):
        before = None
    return _cumulative_survey(read, stored, before)


def _cumulative_survey(read: _Read, stored: HalfHours, before: Past | None) -> _Finding | None:
    """Expect every reading at or before the register's time at or below its value, and near it."""
    place = _last_known(stored, read.at)
    if place is None:
        return None
    value = Decimal(stored.values[place] or 0).scaleb(-stored.decimals)
    figures = (
        (read.name, _amount(read.value, read.units)),
        ("Last half hour", _amount(value, read.units)),
    )
    margin = _margin(read.value, stored)
    away = read.value - value
    room = _reachable(stored, place, read.at) + margin
    if -margin <= away <= room and _fits_before(stored, before, margin):
        return _Finding("pass", "The half hours agree with the register.", figures)
    if away > room and _looks_periodic(stored, read.value):
        sentence = f"The half hours of {read.name} look like values of each half hour, not totals."
        return _Finding("look", sentence, figures, "half hours are not totals")
    sentence = f"The half hours of {read.name} do not lead to what the register shows."
    return _Finding("look", sentence, figures, "half hours disagree with the register")


def _last_known(stored: HalfHours, at: datetime) -> int | None:
    last = min(len(stored.values) - 1, _number(at) - stored.first)
    known = (place for place in range(last, -1, -1) if stored.values[place] is not None)
    return next(known, None)


def _reachable(stored: HalfHours, place: int, at: datetime) -> Decimal:
    """Return how far the register can have gone since a reading, by the largest step seen twice."""
    steps = [b - a for a, b in pairwise(stored.values) if a is not None and b is not None]
    waited = _number(at) - stored.first - place + 1
    return Decimal(2 * waited * max(steps, default=0)).scaleb(-stored.decimals)


def _fits_before(stored: HalfHours, before: Past | None, margin: Decimal) -> bool:
    """Say whether the readings after the accepted read before are at or above its value."""
    if before is None:
        return True
    start = max(0, _number(before.at) + 1 - stored.first)
    later = next((value for value in stored.values[start:] if value is not None), None)
    return later is None or Decimal(later).scaleb(-stored.decimals) >= before.value - margin


def _looks_periodic(stored: HalfHours, register: Decimal) -> bool:
    known = [value for value in stored.values if value is not None]
    falls = any(b < a for a, b in pairwise(known))
    return falls and Decimal(max(known)).scaleb(-stored.decimals) * 10 < register


def _period_survey(read: _Read, stored: HalfHours, meter: Meter) -> _Finding | None:
    """Expect the half hours between two register reads to sum up to the advance.

    A register is read some hours after its survey ends, so that usually the last two reads whose
    half hours are all known lie further back; they are the ones that are compared.
    """
    if _looks_cumulative(stored, read):
        sentence = f"The half hours of {read.name} look like totals, not values of each half hour."
        return _Finding("look", sentence, (), "half hours are totals")
    known = sorted(past for past in meter.history.get(read.name, ()) if past.at < read.at)
    for before, after in reversed(list(pairwise([*known, read.past]))):
        bounds = _bounds(stored, before, after)
        if bounds and step(before, after, changes=meter.changes) is Step.FORWARD:
            return _sum_finding(read, stored, before, after, bounds)
    return None


def _sum_finding(
    read: _Read, stored: HalfHours, before: Past, after: Past, bounds: tuple[Decimal, Decimal]
) -> _Finding:
    advance, margin = after.value - before.value, 2 * _margin(after.value, stored)
    figures = (
        (read.name, f"advance {_amount(advance, read.units)}"),
        ("Sum of half hours", f"{bounds[0]:,f} to {_amount(bounds[1], read.units)}"),
        ("Between reads of", f"{before.at:%-d %b %Y %H:%M} and {after.at:%-d %b %Y %H:%M} UTC"),
    )
    if bounds[0] - margin <= advance <= bounds[1] + margin:
        return _Finding("pass", "The half hours agree with the register.", figures)
    sentence = f"The half hours of {read.name} do not sum up to its advance."
    return _Finding("look", sentence, figures, "half hours disagree with the register")


def _looks_cumulative(stored: HalfHours, read: _Read) -> bool:
    known = [value for value in stored.values if value is not None]
    if len(known) < 3 or any(b < a for a, b in pairwise(known)) or known[0] == 0:
        return False
    last = Decimal(known[-1]).scaleb(-stored.decimals)
    return read.value > 0 and read.value * Decimal("0.9") <= last <= read.value


def _bounds(stored: HalfHours, before: Past, after: Past) -> tuple[Decimal, Decimal] | None:
    """Sum the half hours wholly between two reads, and those that touch the time between them.

    None unless every one of them is known.
    """
    first, last = _number(before.at) - stored.first, _number(after.at) - stored.first
    if first < 0 or last >= len(stored.values) or first > last:
        return None
    touched = [value for value in stored.values[first : last + 1] if value is not None]
    if len(touched) != last + 1 - first:
        return None
    most = sum(touched)
    edges = touched[0] + (touched[-1] if last > first else 0)
    scale = -stored.decimals
    return Decimal(most - edges).scaleb(scale), Decimal(most).scaleb(scale)


# ---- Consumption ------------------------------------------------------------------------------


class Mark(StrEnum):
    """Why a half hour needs a person.

    The first three leave it without a value, a meter change where it is a difference.
    """

    BACKWARDS = "Register backwards"
    ROLLOVER = "Rollover?"
    TOO_MUCH = "More than possible"
    METER_CHANGE = "Meter change"
    CLOCK = "Clock jump"
    DISAGREES = "Disagrees with the register"


class Consumption(NamedTuple):
    """Use of consecutive half hours, in the same numbers as HalfHours; `marks` by place."""

    first: int
    values: list[int | None]
    decimals: int
    marks: dict[int, Mark]

    @property
    def known(self) -> int:
        """How many half hours have a value."""
        return len(self.values) - self.values.count(None)

    @property
    def total(self) -> Decimal:
        """The sum of the half hours that have a value, exact."""
        found = sum(value for value in self.values if value is not None)
        return Decimal(found).scaleb(-self.decimals)


def consumption(
    readings: HalfHours,
    count: int,
    *,
    cumulative: bool,
    changes: Iterable[datetime] = (),
    clock_jumps: Iterable[datetime] = (),
    registers: Sequence[Past] = (),
    digits: int | None = None,
    capacity_kw: Decimal | None = None,
) -> Consumption:
    """Derive the use of the first `count` half hours; nothing is filled in or evened out.

    Cumulative values need the reading after the last half hour as well. `registers` are accepted
    register reads to compare with. `capacity_kw` is for registers in kWh, with values in kWh.
    """
    changes = tuple(changes)
    values = [*readings.values[: count + 1]]
    values += [None] * (count + 1 - len(values))
    most = _most_in_half_an_hour(capacity_kw, readings.decimals)
    row = HalfHours(readings.first, values, readings.decimals)
    marks: dict[int, Mark] = {}
    used = values[:count]
    if cumulative:
        used = _differences(values)
        _mark_falls(row, marks, changes=changes, digits=digits, most=most)
        _mark_moments(row, count, changes, Mark.METER_CHANGE, marks)
    _mark_impossible(used, most, marks)
    for place in marks:
        used[place] = None
    compare = _disagreeing_totals if cumulative else _disagreeing_sums
    for place in compare(row, count, registers, changes):
        marks.setdefault(place, Mark.DISAGREES)
    _mark_moments(row, count, changes, Mark.METER_CHANGE, marks)
    _mark_moments(row, count, clock_jumps, Mark.CLOCK, marks)
    return Consumption(readings.first, used, readings.decimals, marks)


def _differences(values: Sequence[int | None]) -> list[int | None]:
    return [
        None if before is None or after is None else after - before
        for before, after in pairwise(values)
    ]


def _most_in_half_an_hour(capacity_kw: Decimal | None, decimals: int) -> int | None:
    return None if capacity_kw is None else int((capacity_kw / 2 * _MARGIN).scaleb(decimals)) + 1


def _mark_impossible(used: Sequence[int | None], most: int | None, marks: dict[int, Mark]) -> None:
    """Mark what no meter can have used: negative, or more than the capacity."""
    for place, value in enumerate(used):
        if value is None:
            continue
        if value < 0:
            marks.setdefault(place, Mark.BACKWARDS)
        elif most is not None and value > most:
            marks.setdefault(place, Mark.TOO_MUCH)


_MARK_OF: Final[dict[Step, Mark]] = {
    Step.METER_CHANGE: Mark.METER_CHANGE,
    Step.ROLLOVER: Mark.ROLLOVER,
    Step.BACKWARDS: Mark.BACKWARDS,
}


def _mark_falls(
    row: HalfHours,
    marks: dict[int, Mark],
    *,
    changes: Sequence[datetime],
    digits: int | None,
    most: int | None,
) -> None:
    """Mark every fall between neighbouring readings, also over a gap, and the way back up."""
    known = [(place, value) for place, value in enumerate(row.values) if value is not None]
    for (start, high), (end, low) in pairwise(known):
        if low >= high:
            continue
        before, after = (_past(row, place, value) for place, value in ((start, high), (end, low)))
        room = None if most is None else Decimal(most * (end - start)).scaleb(-row.decimals)
        kind = step(before, after, changes=changes, digits=digits, most=room)
        marks[start] = _MARK_OF[kind]
        if kind is Step.BACKWARDS:
            _mark_way_back(row.values, end, high, low, marks)


def _mark_way_back(
    values: Sequence[int | None], start: int, high: int, low: int, marks: dict[int, Mark]
) -> None:
    """Mark the jump by which a register returns from a fall: it is no use either."""
    for place in range(start, min(len(values) - 1, start + days.SLOTS * 7)):
        before, after = values[place], values[place + 1]
        if before is None or after is None or after < high:
            continue
        if 2 * (after - before) >= high - low:
            marks.setdefault(place, Mark.BACKWARDS)
        return


def _past(row: HalfHours, place: int, value: int) -> Past:
    return Past(_start(row, place), Decimal(value).scaleb(-row.decimals))


def _mark_moments(
    row: HalfHours, count: int, moments: Iterable[datetime], mark: Mark, marks: dict[int, Mark]
) -> None:
    for moment in moments:
        place = _number(moment) - row.first
        if 0 <= place < count:
            marks.setdefault(place, mark)


def _disagreeing_totals(
    row: HalfHours, count: int, registers: Sequence[Past], changes: Sequence[datetime]
) -> Iterator[int]:
    """Yield the half hours whose two readings do not lie around the register read between them."""
    changed = {_number(change) for change in changes}
    for read in registers:
        place = _number(read.at) - row.first
        if not 0 <= place < count or place + row.first in changed:
            continue
        before, after = row.values[place], row.values[place + 1]
        value, margin = read.value, _margin(read.value, row)
        low = before is not None and Decimal(before).scaleb(-row.decimals) > value + margin
        high = after is not None and Decimal(after).scaleb(-row.decimals) < value - margin
        if low or high:
            yield place


def _disagreeing_sums(
    row: HalfHours, count: int, registers: Sequence[Past], changes: Sequence[datetime]
) -> Iterator[int]:
    """Yield the half hours between two register reads whose advance they do not sum up to."""
    for before, after in pairwise(sorted(registers)):
        bounds = _bounds(row, before, after)
        if bounds is None or step(before, after, changes=changes) is Step.METER_CHANGE:
            continue
        advance, margin = after.value - before.value, 2 * _margin(after.value, row)
        if not bounds[0] - margin <= advance <= bounds[1] + margin:
            first, last = _number(before.at) - row.first, _number(after.at) - row.first
            yield from range(first, min(count, last + 1))


# ---- What is missing, and what to ask for -------------------------------------------------------


class Cause(StrEnum):
    """On whose side a gap lies."""

    METER = "No answer from the meter"
    REFUSED = "Refused by the service"
    SERVICE = "The service was down"
    NOT_SENT = "Our request never went"
    NOT_ASKED = "Not asked"


AskOutcome = Literal["answered", "no_answer", "refused", "service_down", "not_sent", "open"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One collection that asked for survey days, and how it ended.

    "answered" without the readings counts as no answer from the meter; "open" is still under way.
    """

    first_day: date
    days: int
    at: datetime
    outcome: AskOutcome

    def covers(self, day: date) -> bool:
        """Whether it asked for a day."""
        return self.first_day <= day < self.first_day + timedelta(days=self.days)


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Half hours without a reading, `end` not among them: why, how often asked, and whether now."""

    start: datetime
    end: datetime
    cause: Cause
    tries: int = 0
    open: bool = False
    last_asked_at: datetime | None = None

    @property
    def half_hours(self) -> int:
        """How many half hours are missing."""
        return (self.end - self.start) // _HALF_HOUR

    @property
    def utc_days(self) -> tuple[date, ...]:
        """The UTC days it touches."""
        first, last = self.start.date(), (self.end - _HALF_HOUR).date()
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def gaps(
    present: Mapping[date, int], start: datetime, end: datetime, asks: Sequence[Ask] = ()
) -> tuple[Gap, ...]:
    """Return what is missing between two UTC half hours, with its cause.

    `present` holds a bitmap of the slots of each UTC day (days.presence); of several registers
    take what all of them have. Neighbouring half hours with the same history are one gap.
    """
    found: list[Gap] = []
    day = start.date()
    while day < end.date() or datetime.combine(day, datetime.min.time(), UTC) < end:
        here = present.get(day, 0)
        # Nearly every day is whole; this is asked for thousands of meters at once.
        if here != _EVERY_SLOT and (missing := _expected(day, start, end) & ~here):
            _add_gaps(found, day, missing, [ask for ask in asks if ask.covers(day)])
        day += _DAY
    return tuple(found)


_EVERY_SLOT: Final = (1 << days.SLOTS) - 1


def _expected(day: date, start: datetime, end: datetime) -> int:
    midnight = _number(datetime.combine(day, datetime.min.time(), UTC))
    first = max(0, _number(start) - midnight)
    last = min(days.SLOTS, _number(end) - midnight)
    return (1 << last) - (1 << first) if last > first else 0


def _add_gaps(found: list[Gap], day: date, missing: int, asks: Sequence[Ask]) -> None:
    decided = sorted((ask for ask in asks if ask.outcome != "open"), key=attrgetter("at"))
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    for first, last in _runs(missing):
        gap = Gap(
            start=midnight + first * _HALF_HOUR,
            end=midnight + last * _HALF_HOUR,
            cause=_CAUSES[decided[-1].outcome] if decided else Cause.NOT_ASKED,
            tries=len(decided),
            open=len(decided) < len(asks),
            last_asked_at=max((ask.at for ask in asks), default=None),
        )
        if found and found[-1].end == gap.start and _same_history(found[-1], gap):
            gap = msgspec.structs.replace(found.pop(), end=gap.end)
        found.append(gap)


_CAUSES: Final[dict[str, Cause]] = {
    "answered": Cause.METER,
    "no_answer": Cause.METER,
    "refused": Cause.REFUSED,
    "service_down": Cause.SERVICE,
    "not_sent": Cause.NOT_SENT,
}


def _same_history(one: Gap, other: Gap) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("cause", "tries", "open", "last_asked_at")
    )


def _runs(bitmap: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of ones in a bitmap, each as first place and the one after the last."""
    place = 0
    while bitmap >> place:
        if bitmap >> place & 1:
            first = place
            while bitmap >> place & 1:
                place += 1
            yield first, place
        place += 1


class Hold(StrEnum):
    """Why a gap is not asked for now."""

    OPEN = "Asked, no answer yet"
    TRIES = "All tries used: a person decides"
    TOO_OLD = "Older than the meter keeps"
    BUSY = "Another collection is open on this remote address"
    LATER = "Asked next, after the days that are asked now"


class PlanLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Days in one request, tries for one gap, and days that a meter keeps its survey data."""

    days_per_request: int = 10
    tries: int = 4
    kept_days: int = 90


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A meter with its gaps."""

    meter: int
    remote_address: str
    gaps: tuple[Gap, ...]


class NextAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Survey days to ask a meter for now, and the gaps that this may fill."""

    meter: int
    remote_address: str
    survey_date: date
    survey_days: int
    gaps: tuple[Gap, ...]


class Held(NamedTuple):
    """A gap that is not asked for now, and why."""

    meter: int
    gap: Gap
    why: Hold


class Plan(NamedTuple):
    """What to ask for now and what waits, for a person or for its turn."""

    asks: tuple[NextAsk, ...]
    held: tuple[Held, ...]


def plan(
    wanted: Iterable[Wanted],
    *,
    today: date,
    busy_addresses: AbstractSet[str] = frozenset(),
    limits: PlanLimits | None = None,
) -> Plan:
    """Decide which missing days to ask for again: at most one request a remote address.

    The oldest days come first, because the meter forgets them first.
    """
    limits, busy = limits or PlanLimits(), set(busy_addresses)
    asks: list[NextAsk] = []
    held: list[Held] = []
    for each in wanted:
        eligible: list[Gap] = []
        for gap in each.gaps:
            why = _why_not(gap, today, limits)
            if why is None and each.remote_address in busy:
                why = Hold.BUSY
            if why is None:
                eligible.append(gap)
            else:
                held.append(Held(each.meter, gap, why))
        if eligible:
            ask = _next_ask(each, eligible, today, limits)
            asks.append(ask)
            busy.add(each.remote_address)
            held += [Held(each.meter, gap, Hold.LATER) for gap in eligible if gap not in ask.gaps]
    return Plan(tuple(asks), tuple(held))


def _why_not(gap: Gap, today: date, limits: PlanLimits) -> Hold | None:
    if gap.open:
        return Hold.OPEN
    if gap.tries >= limits.tries:
        return Hold.TRIES
    if gap.utc_days[-1] < today - timedelta(days=limits.kept_days):
        return Hold.TOO_OLD
    return None


def _next_ask(wanted: Wanted, eligible: Sequence[Gap], today: date, limits: PlanLimits) -> NextAsk:
    oldest = today - timedelta(days=limits.kept_days)
    missing = sorted({day for gap in eligible for day in gap.utc_days if day >= oldest})
    first = missing[0]
    end = first + timedelta(days=limits.days_per_request)
    last = max(day for day in missing if day < end)
    return NextAsk(
        meter=wanted.meter,
        remote_address=wanted.remote_address,
        survey_date=first,
        survey_days=(last - first).days + 1,
        gaps=tuple(gap for gap in eligible if any(first <= day <= last for day in gap.utc_days)),
    )


# ---- Small things -----------------------------------------------------------------------------


def _number(moment: datetime) -> int:
    """Count half hours from 1970."""
    return (moment - _EPOCH) // _HALF_HOUR


def _start(row: HalfHours, place: int) -> datetime:
    return _EPOCH + (row.first + place) * _HALF_HOUR


def _seconds(elapsed: timedelta) -> Decimal:
    return Decimal(elapsed // timedelta(seconds=1))


def _at_least_half_a_day(elapsed: timedelta) -> Decimal:
    return max(_seconds(elapsed) / _seconds(_DAY), Decimal("0.5"))


def _unit(value: Decimal) -> Decimal:
    """Return one in the last place of a value: what it may have been rounded by."""
    return Decimal(1).scaleb(min(0, int(value.as_tuple().exponent)))


def _margin(value: Decimal, row: HalfHours) -> Decimal:
    """Return what two values may differ by from rounding: one of the coarser last place."""
    return max(_unit(value), Decimal(1).scaleb(-row.decimals))


def _amount(value: Decimal, units: str) -> str:
    return f"{value:,f}{_NBSP}{units}".rstrip(_NBSP)
