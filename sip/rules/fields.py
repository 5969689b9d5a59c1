"""Fields that depend on others: when each belongs to the message, and what is left out."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from sip.messages import (
    ABORT_CODES,
    BLOCKS,
    MOST_RATES,
    WORKSHEET,
    Answers,
    Block,
    Field,
    Kind,
    Value,
)
from sip.rules.blocks import Verdict, given, required_blocks, was_aborted


class When(msgspec.Struct, frozen=True, kw_only=True):
    """When a field belongs to the message: its condition, whether it is needed then, and why."""

    applies: Callable[[Answers], bool]
    because: str
    needed: Callable[[Answers], bool]


def _is(path: str, wanted: bool = True) -> Callable[[Answers], bool]:  # noqa: FBT001, FBT002
    return lambda answers: given(answers, path) is wanted


def _has(path: str) -> Callable[[Answers], bool]:
    return lambda answers: given(answers, path) not in (None, "", [])


def _never(_: Answers) -> bool:
    return False


def readable(answers: Answers) -> bool:
    """Whether it is answered that the meter can be read."""
    said = given(answers, "meter.reading_available")
    return isinstance(said, str) and said.casefold() == "yes"


def rates(answers: Answers) -> int:
    """How many rate readings are wanted: `no_of_rates` as a number, 0 when it is none."""
    said = given(answers, "meter.no_of_rates")
    return int(said) if isinstance(said, str) and re.fullmatch("0[1-9]", said) else 0


def _reading_wanted(number: int) -> Callable[[Answers], bool]:
    return lambda answers: readable(answers) and number <= rates(answers)


def dno_category(letter: str) -> Callable[[Answers], bool]:
    """The condition that a defect of the network operator has this category."""

    def chosen(answers: Answers) -> bool:
        said = given(answers, "site_safety.dno_issue")
        return isinstance(said, str) and said.upper() == letter

    return chosen


_WORDS_OF_ABORT: Final = {
    "abort_tampering": ("tamper",),
    "abort_supply": ("supply",),
    "abort_access": ("access",),
    "abort_meter_equipment": ("meter",),
    "abort_engineer_risk_equipment": ("engineer", "risk", "equipment"),
    "abort_safety": ("safety",),
}


def abort_field_of(category: str) -> str | None:
    """Name the one abort code field of a category, by its words; None when they do not tell."""
    plain = category.casefold()
    for name, said in _WORDS_OF_ABORT.items():
        if any(word in plain for word in said):
            return name
    return None


def _abort_code(name: str, *, sure: bool) -> Callable[[Answers], bool]:
    def wanted(answers: Answers) -> bool:
        category = given(answers, "job_completion.abort_category")
        if not was_aborted(answers) or not isinstance(category, str) or not category:
            return False
        field = abort_field_of(category)
        return field == name or (field is None and not sure)

    return wanted


def _not_fitted_though_wanted(answers: Answers) -> bool:
    wanted = given(answers, "job_execution.action_required")
    missing = given(answers, "job_execution.isolator_fitted") is False
    return missing and isinstance(wanted, str) and "isolator" in wanted.casefold()


def _when(
    applies: Callable[[Answers], bool],
    because: str,
    needed: Callable[[Answers], bool] | None = None,
) -> When:
    """A field that is needed whenever it applies, unless `needed` says otherwise."""
    return When(applies=applies, because=because, needed=needed or applies)


_DNO = "there is a defect of the network operator’s equipment"
DEPENDENT: Final[dict[str, When]] = {
    "customer_contact.critical_medical_equipment_info": _when(
        _is("customer_contact.critical_medical_equipment"),
        "there is critical medical equipment",
    ),
    "customer_contact.third_party_presence_info": _when(
        _is("customer_contact.third_party_presence"), "somebody else must be there"
    ),
    "meter.no_of_rates": _when(readable, "the meter can be read"),
    "meter.number_of_dials": _when(readable, "the meter can be read"),
    **{
        f"meter.rate_{number}_reading": _when(
            _reading_wanted(number),
            f"the meter can be read and has {number} rates or more"
            if number > 1
            else "the meter can be read",
        )
        for number in range(1, MOST_RATES + 1)
    },
    "meter.comms_state": _when(_is("meter.smart_meter"), "it is a smart meter"),
    **{
        f"site_safety.dno_code_{letter}": _when(
            _has("site_safety.dno_issue"), _DNO, dno_category(letter.upper())
        )
        for letter in "abc"
    },
    "site_safety.dno_comment": _when(_has("site_safety.dno_issue"), _DNO, _never),
    "site_safety.meter_issue_comment": _when(
        _has("site_safety.metering_equipment_issues"),
        "the metering equipment has a fault",
        _never,
    ),
    "site_safety.tamper_comment": _when(
        _has("site_safety.tampering_code"), "there are signs of tampering", _never
    ),
    "site_safety.consumer_issue_type": _when(
        _is("site_safety.consumer_issue"), "something is wrong with the customer’s equipment"
    ),
    "job_execution.de_energisation_time": _when(
        _is("job_execution.site_de_energised"), "the supply was switched off"
    ),
    "job_execution.re_energisation_time": _when(
        _is("job_execution.site_re_energised"), "the supply was switched on"
    ),
    "job_execution.post_resealing_photo": _when(
        _is("job_execution.fuse_resealed"), "the fuse was resealed", _never
    ),
    "job_execution.isolator_failure_reason": _when(
        _is("job_execution.isolator_fitted", False),
        "no isolator was fitted",
        _not_fitted_though_wanted,
    ),
    "job_execution.meter_tails_supplier": _when(
        _is("job_execution.meter_tails_upgraded"), "the meter tails were renewed"
    ),
    "job_completion.abort_category": _when(was_aborted, "the job was aborted"),
    **{
        f"job_completion.{name}": _when(
            _abort_code(name, sure=False),
            "the job was aborted for this category",
            _abort_code(name, sure=True),
        )
        for name in ABORT_CODES
    },
}


class Need(StrEnum):
    """What a field is in this worksheet: it must be answered, may be, or has no place."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


def need(answers: Answers, block: str, field: Field) -> Need:
    """Say whether a field of a block that is sent must, may or cannot be answered."""
    when = DEPENDENT.get(f"{block}.{field.name}")
    if when is None:
        return Need.REQUIRED if field.required else Need.OPTIONAL
    if not when.applies(answers):
        return Need.NONE
    return Need.REQUIRED if when.needed(answers) else Need.OPTIONAL


def because(block: str, name: str) -> str:
    """Why a dependent field is asked: ends "Asked because …". Empty for other fields."""
    when = DEPENDENT.get(f"{block}.{name}")
    return when.because if when else ""


def sent(answers: Answers) -> dict[str, dict[str, Value]]:
    """Return what goes into the message: required blocks, and in them fields that have a place.

    Texts lose blanks around them. Photos are not part of answers.
    """
    return {
        name: dict(_sent_fields(answers, BLOCKS[name]))
        for name, verdict in required_blocks(answers).items()
        if verdict.required
    }


def _sent_fields(answers: Answers, block: Block) -> Iterator[tuple[str, Value]]:
    for field in block.fields:
        value = given(answers, f"{block.name}.{field.name}")
        answered = value not in (None, "", []) and field.kind is not Kind.PHOTO
        if answered and need(answers, block.name, field) is not Need.NONE:
            yield field.name, value


def sent_photos(answers: Answers, photos: Iterable[str]) -> list[str]:
    """Choose the photos ("block.field") that go into the message."""
    verdicts = required_blocks(answers)
    return [key for key in photos if _has_place(answers, verdicts, key)]


def _has_place(answers: Answers, verdicts: Mapping[str, Verdict], key: str) -> bool:
    block, _, name = key.partition(".")
    field = BLOCKS[block].field(name)
    return verdicts[block].required and need(answers, block, field) is not Need.NONE


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something answered that is kept in the draft and not sent. `field` is empty for a block."""

    block: str
    field: str
    sentence: str


def left_out(answers: Answers, photos: Collection[str] = ()) -> list[LeftOut]:
    """List what was answered but has no place in the message, each with its reason."""
    found = []
    for block in WORKSHEET:
        verdict = required_blocks(answers)[block.name]
        names = [each for each in block.fields if is_answered(answers, photos, block, each)]
        if not verdict.required:
            if names:
                sentence = f"“{block.title}” is kept and not sent, because {verdict.because}."
                found.append(LeftOut(block=block.name, field="", sentence=sentence))
            continue
        found += [
            LeftOut(
                block=block.name,
                field=each.name,
                sentence=f"“{each.label}” is kept and not sent: it belongs there only when "
                f"{because(block.name, each.name)}.",
            )
            for each in names
            if need(answers, block.name, each) is Need.NONE
        ]
    return found


def is_answered(answers: Answers, photos: Collection[str], block: Block, field: Field) -> bool:
    """Whether a field has an answer, or its photo."""
    if field.kind is Kind.PHOTO:
        return f"{block.name}.{field.name}" in photos
    return given(answers, f"{block.name}.{field.name}") not in (None, "", [])
