"""Decisions about a worksheet: which blocks are sent and why, what is missing, what is wrong.

Facts in, verdict out. Plain Python: no database, no clock, no network. No sentence repeats what
somebody wrote about health or risks.
"""

from sip.rules.blocks import Verdict, required_blocks
from sip.rules.fields import (
    DEPENDENT,
    LeftOut,
    Need,
    abort_field_of,
    because,
    left_out,
    need,
    sent,
    sent_photos,
)
from sip.rules.mistakes import Problem, block_problems, complete, problems
from sip.rules.notices import (
    Codes,
    Warning,  # noqa: A004 - the desk’s own word
    unknown_codes,
    warnings,
)
from sip.rules.placing import Placed, attempt_sentence, placed
from sip.rules.telling import Part, in_words
from sip.rules.values import value_problem

__all__ = [
    "DEPENDENT",
    "Codes",
    "LeftOut",
    "Need",
    "Part",
    "Placed",
    "Problem",
    "Verdict",
    "Warning",
    "abort_field_of",
    "attempt_sentence",
    "because",
    "block_problems",
    "complete",
    "in_words",
    "left_out",
    "need",
    "placed",
    "problems",
    "required_blocks",
    "sent",
    "sent_photos",
    "unknown_codes",
    "value_problem",
    "warnings",
]
