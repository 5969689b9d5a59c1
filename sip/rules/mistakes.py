"""What keeps a message from being sent: missing, wrong, or at odds with another answer."""

from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime
from typing import Final

import msgspec

from sip.messages import ABORT_CODES, BLOCKS, WORKSHEET, Answers, Block, Field, Kind, read_time
from sip.rules.blocks import given, required_blocks, was_aborted
from sip.rules.fields import Need, abort_field_of, because, is_answered, need, rates, readable
from sip.rules.values import value_problem


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why the message cannot be sent as it is, at a field of the worksheet."""

    block: str
    field: str
    sentence: str


def problems(
    answers: Answers, photos: Collection[str] = (), *, today: date | None = None
) -> list[Problem]:
    """List everything that keeps the message from being sent, in the order of the worksheet.

    `today` (London) lets days and times in the future be found.
    """
    verdicts = required_blocks(answers)
    return [
        problem
        for block in WORKSHEET
        if verdicts[block.name].required
        for problem in block_problems(answers, block.name, photos, today=today)
    ]


def block_problems(
    answers: Answers, block: str, photos: Collection[str] = (), *, today: date | None = None
) -> list[Problem]:
    """List what is missing or wrong in one block, whether it is sent or not."""
    found = [
        Problem(block=block, field=field.name, sentence=sentence)
        for field in BLOCKS[block].fields
        for sentence in _field_problems(answers, photos, BLOCKS[block], field, today)
    ]
    return found + list(_crossed(answers, block))


def complete(answers: Answers, photos: Collection[str] = ()) -> dict[str, bool]:
    """Say of each block that is sent whether it is complete and right."""
    wrong = {problem.block for problem in problems(answers, photos)}
    return {
        name: name not in wrong
        for name, verdict in required_blocks(answers).items()
        if verdict.required
    }


def _field_problems(
    answers: Answers, photos: Collection[str], block: Block, field: Field, today: date | None
) -> Iterator[str]:
    wanted = need(answers, block.name, field)
    if wanted is Need.NONE:
        return
    if not is_answered(answers, photos, block, field):
        if wanted is Need.REQUIRED:
            why = because(block.name, field.name)
            yield "Answer this" + (f", because {why}." if why else ".")
        return
    if field.kind is not Kind.PHOTO:
        sentence = value_problem(field, given(answers, f"{block.name}.{field.name}"), today=today)
        if sentence:
            yield sentence


def _crossed(answers: Answers, block: str) -> Iterator[Problem]:
    """Problems of two answers that do not go together."""
    crossed = _CROSSED.get(block)
    if crossed is not None:
        for name, sentence in crossed(answers):
            yield Problem(block=block, field=name, sentence=sentence)


def _reading_too_long(answers: Answers) -> Iterator[tuple[str, str]]:
    dials = given(answers, "meter.number_of_dials")
    if isinstance(dials, bool) or not isinstance(dials, int):
        return
    for number in range(1, (rates(answers) if readable(answers) else 0) + 1):
        name = f"rate_{number}_reading"
        reading = given(answers, f"meter.{name}")
        if isinstance(reading, str) and len(reading) > dials:
            yield name, f"This has more than the {dials} digits of a reading."


def _switched_on_before_off(answers: Answers) -> Iterator[tuple[str, str]]:
    off, on = switching(answers)
    if off and on and on <= off:
        yield "re_energisation_time", "The supply was switched on after it was switched off."


def switching(answers: Answers) -> tuple[datetime | None, datetime | None]:
    """When the supply was switched off and on, as far as both are said to have happened."""
    found = [
        read_time(given(answers, f"job_execution.{word}_energisation_time"))
        if given(answers, f"job_execution.site_{word}_energised") is True
        else None
        for word in ("de", "re")
    ]
    return found[0], found[1]


def _one_abort_code(answers: Answers) -> Iterator[tuple[str, str]]:
    category = given(answers, "job_completion.abort_category")
    if not was_aborted(answers) or not isinstance(category, str) or not category:
        return
    coded = [name for name in ABORT_CODES if given(answers, f"job_completion.{name}")]
    if abort_field_of(category) is None and len(coded) != 1:
        name = coded[-1] if coded else "abort_category"
        yield name, "Give exactly one abort code: the one that belongs to the category."


_CROSSED: Final[dict[str, Callable[[Answers], Iterator[tuple[str, str]]]]] = {
    "meter": _reading_too_long,
    "job_execution": _switched_on_before_off,
    "job_completion": _one_abort_code,
}
