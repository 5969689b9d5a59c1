"""Decisions about a worksheet: which blocks are sent and why, what is missing, what is wrong.

Facts in, verdict out. Plain Python: no database, no clock, no network. No sentence repeats what
somebody wrote about health or risks.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final

import msgspec

from core import mpan, postcode
from sip.messages import (
    ABORT_CODES,
    BLOCKS,
    MOST_RATES,
    NOT_PREVENTED,
    WORKSHEET,
    Answers,
    Block,
    Detail,
    Field,
    Kind,
    Value,
    read_date,
    read_time,
    words,
)

Codes = Mapping[str, Collection[str]]  # code list, its values
MOST_DIALS: Final = 12


def given(answers: Answers, path: str) -> Value:
    """The answer at "block.field", None when there is none."""
    block, _, name = path.partition(".")
    value = answers.get(block, {}).get(name)
    return value.strip() if isinstance(value, str) else value


def _said_no(answers: Answers) -> bool:
    prevented = given(answers, "customer_contact.prevented_to_proceed")
    return isinstance(prevented, str) and prevented.casefold() == NOT_PREVENTED.casefold()


def _aborted(answers: Answers) -> bool:
    outcome = given(answers, "job_completion.outcome")
    return isinstance(outcome, str) and outcome.casefold().startswith("abort")


# ---- Which blocks are sent ---------------------------------------------------------------------


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a block is part of the message, and the reason as people read it.

    `because` ends the sentence "Asked because …" or "Left out because …".
    """

    block: str
    required: bool
    because: str

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{'Asked' if self.required else 'Left out'} because {self.because}."


_ALWAYS: Final = "every message has it"


def required_blocks(answers: Answers) -> dict[str, Verdict]:
    """Say of each block whether it is sent and why (4.1), in the order of the worksheet.

    A block counts for the next ones only if it is sent itself.
    """
    assess = _said_no(answers)
    clear = assess and given(answers, "risk_assessment.meter_access_clear") is True
    energised = given(answers, "risk_assessment.site_energised") is True
    only = given(answers, "risk_assessment.energisation_only_job") is True
    safety = assess and (energised or only)
    work = safety and given(answers, "site_safety.can_continue") is True
    assessed = "" if assess else "the block “Risk assessment” is left out"
    looked = "" if safety else "the block “Site safety” is left out"
    found = {
        "job_details": (True, _ALWAYS),
        "customer_contact": (True, _ALWAYS),
        "risk_assessment": (assess, _assess_reason(answers)),
        "meter": (clear, assessed or _meter_reason(answers)),
        "site_safety": (safety, assessed or _safety_reason(answers)),
        "job_execution": (work, looked or _work_reason(answers)),
        "job_completion": (True, _ALWAYS),
    }
    return {
        name: Verdict(block=name, required=required, because=because)
        for name, (required, because) in found.items()
    }


def _assess_reason(answers: Answers) -> str:
    if _said_no(answers):
        return "nothing prevented you from going ahead"
    if given(answers, "customer_contact.prevented_to_proceed"):
        return "something prevented you from going ahead"
    return "it is not answered yet whether anything prevented you"


def _meter_reason(answers: Answers) -> str:
    clear = given(answers, "risk_assessment.meter_access_clear")
    if clear is None:
        return "it is not answered yet whether you can reach the meter"
    return "the meter access is clear" if clear is True else "the meter access is not clear"


def _safety_reason(answers: Answers) -> str:
    energised = given(answers, "risk_assessment.site_energised")
    only = given(answers, "risk_assessment.energisation_only_job")
    if energised is True:
        return "the supply is on"
    if only is True:
        return "the job is only about switching on"
    if None in (energised, only):
        return "it is not answered yet whether the supply is on"
    return "the supply is off and the job is not only about switching on"


def _work_reason(answers: Answers) -> str:
    go_on = given(answers, "site_safety.can_continue")
    if go_on is None:
        return "it is not answered yet whether you can go on"
    return "you can go on with the job" if go_on is True else "you cannot go on with the job"


# ---- Fields that depend on others --------------------------------------------------------------


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


def _readable(answers: Answers) -> bool:
    said = given(answers, "meter.reading_available")
    return isinstance(said, str) and said.casefold() == "yes"


def rates(answers: Answers) -> int:
    """How many rate readings are wanted: `no_of_rates` as a number, 0 when it is none."""
    said = given(answers, "meter.no_of_rates")
    return int(said) if isinstance(said, str) and re.fullmatch("0[1-9]", said) else 0


def _reading_wanted(number: int) -> Callable[[Answers], bool]:
    return lambda answers: _readable(answers) and number <= rates(answers)


def _dno_category(letter: str) -> Callable[[Answers], bool]:
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
        if not _aborted(answers) or not isinstance(category, str) or not category:
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
    "meter.no_of_rates": _when(_readable, "the meter can be read"),
    "meter.number_of_dials": _when(_readable, "the meter can be read"),
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
            _has("site_safety.dno_issue"), _DNO, _dno_category(letter.upper())
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
    "job_completion.abort_category": _when(_aborted, "the job was aborted"),
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
        names = [each for each in block.fields if _answered(answers, photos, block, each)]
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


def _answered(answers: Answers, photos: Collection[str], block: Block, field: Field) -> bool:
    if field.kind is Kind.PHOTO:
        return f"{block.name}.{field.name}" in photos
    return given(answers, f"{block.name}.{field.name}") not in (None, "", [])


# ---- What is missing or wrong ------------------------------------------------------------------


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
    if not _answered(answers, photos, block, field):
        if wanted is Need.REQUIRED:
            why = because(block.name, field.name)
            yield "Answer this" + (f", because {why}." if why else ".")
        return
    if field.kind is not Kind.PHOTO:
        sentence = value_problem(field, given(answers, f"{block.name}.{field.name}"), today=today)
        if sentence:
            yield sentence


def value_problem(field: Field, value: Value, *, today: date | None = None) -> str:
    """Say what is wrong with one answer by itself; empty when nothing is."""
    sentence = _KINDS[field.kind](field, value)
    if not sentence and field.choices and value not in field.choices:
        sentence = f"Choose one of {field.choices[0]} to {field.choices[-1]}."
    special = _SPECIAL.get(field.name)
    if not sentence and special is not None:
        sentence = special(str(value))
    return sentence or _future(value, today)


def _boolean_problem(_: Field, value: Value) -> str:
    return "" if isinstance(value, bool) else "Answer yes or no."


def _text_problem(field: Field, value: Value) -> str:
    if not isinstance(value, str):
        return "Write text."
    if len(value) > field.longest:
        return f"Write {field.longest} letters at most. This has {len(value)}."
    if any(not sign.isprintable() and sign not in "\r\n\t" for sign in value):
        return "This has signs in it that cannot be sent. Write it again."
    return ""


def _list_problem(field: Field, value: Value) -> str:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return "Choose from the list."
    plain = [each.strip().casefold() for each in value]
    if len(set(plain)) < len(plain):
        return "The same is chosen twice."
    if len(plain) > 1 and any(each.startswith("no risk") for each in plain):
        return "“No risk identified” stands alone. Take it out, or take out the risks."
    return next((said for each in value if (said := _text_problem(field, each))), "")


def _integer_problem(_: Field, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_DIALS:
        return f"Write a whole number from 1 to {MOST_DIALS}."
    return ""


def _digits_problem(field: Field, value: Value) -> str:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        return "Write digits only, without spaces or a point."
    return _text_problem(field, value)


def _time_problem(_: Field, value: Value) -> str:
    return "" if read_time(value) else "Write a day and a time."


def _date_problem(_: Field, value: Value) -> str:
    return "" if read_date(value) else "Write a day of the calendar."


_KINDS: Final[dict[Kind, Callable[[Field, Value], str]]] = {
    Kind.BOOLEAN: _boolean_problem,
    Kind.TEXT: _text_problem,
    Kind.CODE: _text_problem,
    Kind.LIST: _list_problem,
    Kind.INTEGER: _integer_problem,
    Kind.DIGITS: _digits_problem,
    Kind.TIME: _time_problem,
    Kind.DATE: _date_problem,
    Kind.PHOTO: lambda _, __: "",
}


def _mpan_problem(text: str) -> str:
    try:
        mpan.parse(text)
    except mpan.MpanError as problem:
        return str(problem)
    return "" if text.isdigit() else "Write the 13 digits without spaces."


def _postcode_problem(text: str) -> str:
    return "" if postcode.is_valid_form(text) else "This is not a British postcode."


def _mpid_problem(text: str) -> str:
    good = re.fullmatch(r"[A-Z0-9]{4}", text)
    return "" if good else "An MPID has four capital letters or digits."


def _telephone_problem(text: str) -> str:
    digits = sum(sign.isdigit() for sign in text)
    if digits < 6 or re.fullmatch(r"[0-9+() -]+", text) is None:
        return "Write a telephone number with digits."
    return ""


_SPECIAL: Final[dict[str, Callable[[str], str]]] = {
    "mpan": _mpan_problem,
    "post_code": _postcode_problem,
    "supplier_mpid": _mpid_problem,
    "contact_telephone": _telephone_problem,
}


def _future(value: Value, today: date | None) -> str:
    moment = read_time(value)
    day = moment.date() if moment else read_date(value)
    return "This lies in the future." if day and today and day > today else ""


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
    for number in range(1, (rates(answers) if _readable(answers) else 0) + 1):
        name = f"rate_{number}_reading"
        reading = given(answers, f"meter.{name}")
        if isinstance(reading, str) and len(reading) > dials:
            yield name, f"This has more than the {dials} digits of a reading."


def _switched_on_before_off(answers: Answers) -> Iterator[tuple[str, str]]:
    off, on = _switching(answers)
    if off and on and on <= off:
        yield "re_energisation_time", "The supply was switched on after it was switched off."


def _switching(answers: Answers) -> tuple[datetime | None, datetime | None]:
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
    if not _aborted(answers) or not isinstance(category, str) or not category:
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


# ---- What somebody should look at before it is sent --------------------------------------------


class Warning(msgspec.Struct, frozen=True, kw_only=True):  # noqa: A001 - the desk's own word
    """Something that may be right but must be seen. `field` leads to it where there is one."""

    code: str
    sentence: str
    block: str = ""
    field: str = ""


def warnings(answers: Answers, codes: Codes, photos: Collection[str] = ()) -> list[Warning]:
    """List what the sender must see: left without supply, vulnerable customer, category A, …"""
    message = sent(answers)
    found = [
        *_safety_warnings(message),
        *_contradictions(message),
        *_unknown_codes(message, codes),
    ]
    return found + _missing_photos(message, photos)


def _safety_warnings(message: Answers) -> Iterator[Warning]:
    if left_without_supply(message):
        yield Warning(
            code="no supply",
            sentence="The site was left without supply.",
            block="job_execution",
            field="site_re_energised",
        )
    if vulnerable(message):
        yield Warning(
            code="vulnerable",
            sentence="The customer is vulnerable or has medical equipment.",
            block="customer_contact",
        )
    if category_a(message):
        yield Warning(
            code="category A",
            sentence="A category A defect is an emergency: has the network operator been rung?",
            block="site_safety",
            field="dno_issue",
        )


def left_without_supply(answers: Answers) -> bool:
    """Whether the supply was switched off and not on again, or on and then off."""
    if given(answers, "job_execution.site_de_energised") is not True:
        return False
    return given(answers, "job_execution.site_re_energised") is not True


def vulnerable(answers: Answers) -> bool:
    """Whether anything says that the customer is vulnerable."""
    return bool(
        given(answers, "job_details.customer_vulnerability")
        or given(answers, "customer_contact.critical_medical_equipment") is True
    )


def category_a(answers: Answers) -> bool:
    """Whether a category A defect (emergency) of the network operator's equipment is reported."""
    code = given(answers, "site_safety.dno_code_a")
    return _dno_category("A")(answers) or bool(code)


def _contradictions(message: Answers) -> Iterator[Warning]:
    aborted = _aborted(message)
    went_on = "job_execution" in message
    if not aborted and not went_on and given(message, "job_completion.outcome"):
        yield Warning(
            code="not done",
            sentence="The job is not reported as aborted although the work is left out.",
            block="job_completion",
            field="outcome",
        )
    if given(message, "risk_assessment.safe_to_continue") is False and not aborted:
        yield Warning(
            code="not safe",
            sentence="It was not safe to go on, yet the job is not reported as aborted.",
            block="risk_assessment",
            field="safe_to_continue",
        )
    off, on = _switching(message)
    day = read_date(given(message, "job_completion.date_of_action"))
    if day and any(moment and moment.date() != day for moment in (off, on)):
        yield Warning(
            code="other day",
            sentence="The supply was switched on another day than the day of the job.",
            block="job_completion",
            field="date_of_action",
        )


def _unknown_codes(message: Answers, codes: Codes) -> Iterator[Warning]:
    for name in message:
        block = BLOCKS[name]
        for field in block.fields:
            unknown = unknown_codes(field, message[name].get(field.name), codes)
            shown = "" if field.private else f" ({', '.join(unknown)})"
            if unknown:
                yield Warning(
                    code="unknown code",
                    sentence=f"“{field.label}”: not on our list{shown}.",
                    block=name,
                    field=field.name,
                )


def unknown_codes(field: Field, value: Value, codes: Codes) -> list[str]:
    """List the values of a field that its code list does not have."""
    if not field.codes or value in (None, "", []):
        return []
    values = value if isinstance(value, list) else [str(value)]
    known = codes.get(field.codes, ())
    return [each for each in values if each not in known]


def _missing_photos(message: Answers, photos: Collection[str]) -> list[Warning]:
    return [
        Warning(
            code="no photo",
            sentence=f"“{field.label}”: there is no photo.",
            block=name,
            field=field.name,
        )
        for name in message
        for field in BLOCKS[name].fields
        if field.kind is Kind.PHOTO
        and need(message, name, field) is not Need.NONE
        and f"{name}.{field.name}" not in photos
    ]


# ---- The message in words ----------------------------------------------------------------------


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as people read it."""

    field: str
    label: str
    words: str
    private: bool
    unknown: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One block as people read it."""

    block: str
    title: str
    lines: tuple[Line, ...]


def in_words(message: Answers, photos: Mapping[str, str], codes: Codes | None = None) -> list[Part]:
    """Say a whole message in the engineer's words; `photos` maps "block.field" to its words."""
    return [
        Part(
            block=name,
            title=BLOCKS[name].title,
            lines=tuple(_lines(message[name], BLOCKS[name], photos, codes)),
        )
        for name in BLOCKS
        if name in message
    ]


def _lines(
    values: Mapping[str, Value], block: Block, photos: Mapping[str, str], codes: Codes | None
) -> Iterator[Line]:
    for field in block.fields:
        photo = photos.get(f"{block.name}.{field.name}")
        value = values.get(field.name)
        if field.kind is Kind.PHOTO:
            said = photo
        else:
            said = None if value in (None, "", []) else words(field, value)
        if said is not None:
            yield Line(
                field=field.name,
                label=field.label,
                words=said,
                private=field.private,
                unknown=codes is not None and bool(unknown_codes(field, value, codes)),
            )


# ---- Refusals ----------------------------------------------------------------------------------


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A detail of a refusal with the field of the worksheet it is about, where that is clear."""

    text: str
    path: str
    block: str = ""
    field: str = ""


def placed(details: Iterable[Detail]) -> list[Placed]:
    """Find the field of the worksheet that each detail of a refusal is about."""
    found = []
    for each in details:
        block, name = _place(each.path)
        if not name:
            in_text = _place(f"{each.path} {each.text}")
            block, name = in_text if block in ("", in_text[0]) else (block, "")
        found.append(Placed(text=each.text, path=each.path, block=block, field=name))
    return found


def _place(text: str) -> tuple[str, str]:
    """Name block and field that a text mentions; a name of two blocks needs its block."""
    said = _tokens(text)
    blocks = [name for name in BLOCKS if name in said]
    fields = [
        (block.name, field.name)
        for block in WORKSHEET
        if not blocks or block.name in blocks
        for field in block.fields
        if field.name in said
    ]
    if len({name for _, name in fields}) > 1:
        # "meter" and "location" are plain words: the longest name is the one that is meant.
        longest = max((name for _, name in fields), key=len)
        fields = [each for each in fields if each[1] == longest]
    if len(fields) == 1:
        return fields[0]
    return (blocks[0], "") if len(blocks) == 1 else ("", "")


def _tokens(text: str) -> set[str]:
    """The names in a text as the specification spells them: camelCase and spaces are forgiven."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text[:2000]).casefold()
    found = set(re.findall(r"[a-z0-9_]+", snake))
    spaced = re.sub(r"[\s-]+", "_", snake)
    names = {*BLOCKS, *(field.name for block in WORKSHEET for field in block.fields)}
    long = {name for name in names if "_" in name}
    return found | {name for name in long if re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9])", spaced)}


def attempt_sentence(details: int) -> str:
    """Say in a list why a refused job waits, without repeating what the party wrote."""
    if not details:
        return "Refused; their reason is on the page of the job"
    return f"Refused with {details} {'reason' if details == 1 else 'reasons'}; correct them"
