"""What may be right but must be seen by a person before the message is sent."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from sip.messages import BLOCKS, Answers, Field, Kind, Value, read_date
from sip.rules.blocks import given, was_aborted
from sip.rules.fields import Need, dno_category, need, sent
from sip.rules.mistakes import switching

Codes = Mapping[str, Collection[str]]  # code list, its values


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
    return dno_category("A")(answers) or bool(code)


def _contradictions(message: Answers) -> Iterator[Warning]:
    aborted = was_aborted(message)
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
    off, on = switching(message)
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
