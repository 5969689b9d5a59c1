"""The verbs of the production desk, and the only place that changes its state.

Tries are counted before anything is sent and given back only when MassCEC surely has nothing. An
answer that is lost is looked up by value and date before anyone may try again.
"""

from pts.actions.lines import line_of, lines_of, watched
from pts.actions.many import Entered, Weighed, enter_many, take_from_meters, weigh
from pts.actions.readings import (
    Reading,
    accept,
    enter,
    grant,
    judge,
    readings_from_meters,
    take_back,
)
from pts.actions.shared import Blocked, Clock, NoTriesLeft, WouldReplace
from pts.actions.standing import poll, settle
from pts.actions.submitting import authorise, send, stop
from pts.actions.systems import (
    apply,
    compare,
    describe_system,
    drop,
    open_reports,
    record_meter_change,
    synchronise,
)
from pts.actions.testing import run_test, test
from pts.actions.windows import keep_windows, override_window

__all__ = [
    "Blocked",
    "Clock",
    "Entered",
    "NoTriesLeft",
    "Reading",
    "Weighed",
    "WouldReplace",
    "accept",
    "apply",
    "authorise",
    "compare",
    "describe_system",
    "drop",
    "enter",
    "enter_many",
    "grant",
    "judge",
    "keep_windows",
    "line_of",
    "lines_of",
    "open_reports",
    "override_window",
    "poll",
    "readings_from_meters",
    "record_meter_change",
    "run_test",
    "send",
    "settle",
    "stop",
    "synchronise",
    "take_back",
    "take_from_meters",
    "test",
    "watched",
    "weigh",
]
