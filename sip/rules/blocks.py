"""Which blocks of a worksheet are sent, and why (4.1)."""

from typing import Final

import msgspec

from sip.messages import NOT_PREVENTED, Answers, Value


def given(answers: Answers, path: str) -> Value:
    """The answer at "block.field", None when there is none."""
    block, _, name = path.partition(".")
    value = answers.get(block, {}).get(name)
    return value.strip() if isinstance(value, str) else value


def said_no(answers: Answers) -> bool:
    """Whether it is answered that nothing prevented the engineer from going ahead."""
    prevented = given(answers, "customer_contact.prevented_to_proceed")
    return isinstance(prevented, str) and prevented.casefold() == NOT_PREVENTED.casefold()


def was_aborted(answers: Answers) -> bool:
    """Whether the job is reported as aborted."""
    outcome = given(answers, "job_completion.outcome")
    return isinstance(outcome, str) and outcome.casefold().startswith("abort")


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
    assess = said_no(answers)
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
    if said_no(answers):
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
