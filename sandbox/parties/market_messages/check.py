"""What `POST /v4/sip` accepts: required blocks (clause 4.1), required fields, and types.

A `Problem` names a field and never repeats its value, which may be about somebody's health.
Null is the same as not there.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.parties.market_messages.blocks import BLOCKS, Field, Kind
from sandbox.parties.market_messages.options import Options
from sandbox.parties.market_messages.values import fits

Blocks = Mapping[str, Any]
Codes = Mapping[str, Collection[str]]


class NotJson(ValueError):
    """The body is not one JSON object."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason for a refusal: the field as `block.field`, or only the block, and a sentence."""

    field: str
    message: str


def read(body: bytes) -> dict[str, Any]:
    """Read the JSON object of a body; raises NotJson."""
    try:
        message = json.loads(body, parse_constant=_no_number)
        # Half a character, written as an escape, is JSON and yet no text.
        json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as problem:
        raise NotJson("The body is not valid JSON.") from problem
    if not isinstance(message, dict):
        raise NotJson("The body must be a JSON object.")
    return message


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def problems(message: Blocks, options: Options, codes: Codes) -> list[Problem]:
    """Give every reason for which this message is refused; none when it is accepted."""
    found = list(_block_problems(message, options))
    for block, fields in BLOCKS.items():
        content = message.get(block)
        if isinstance(content, dict):
            found += _field_problems(block, fields, content, options)
            found += _code_problems(block, fields, content, codes)
            if options.refuse_unknown_fields:
                found += _unknown(f"{block}.", content, fields)
    if options.refuse_unknown_fields:
        found += _unknown("", message, BLOCKS)
    return found


def _block_problems(message: Blocks, options: Options) -> Iterator[Problem]:
    for block, rule in RULES.items():
        content, because = message.get(block), rule(message)
        if content is None:
            if because is not None:
                yield Problem(block, f"This block is required{because}.")
        elif not isinstance(content, dict):
            yield Problem(block, "This block must be an object.")
        elif because is None and options.strict_blocks:
            yield Problem(block, "This block is not required here and must be left out.")
        elif because is not None and not content:
            yield Problem(block, "This block must not be empty.")


# Clause 4.1: why a block is required, as the end of a sentence; None where it is not.
Rule = Callable[[Blocks], str | None]


def _always(message: Blocks) -> str:
    return ""


def _risk_assessment(message: Blocks) -> str | None:
    proceeds = _value(message, "customer_contact", "prevented_to_proceed") == "No"
    return " because customer_contact.prevented_to_proceed is No" if proceeds else None


def _if_true(block: str, *names: str) -> Rule:
    """Make the rule by which one of some fields being true requires a block."""

    def rule(message: Blocks) -> str | None:
        true = (name for name in names if _value(message, block, name) is True)
        name = next(true, None)
        return f" because {block}.{name} is true" if name else None

    return rule


def _value(message: Blocks, block: str, name: str) -> Any:
    content = message.get(block)
    return content.get(name) if isinstance(content, dict) else None


RULES: Mapping[str, Rule] = {
    "job_details": _always,
    "customer_contact": _always,
    "risk_assessment": _risk_assessment,
    "meter": _if_true("risk_assessment", "meter_access_clear"),
    "site_safety": _if_true("risk_assessment", "site_energised", "energisation_only_job"),
    "job_execution": _if_true("site_safety", "can_continue"),
    "job_completion": _always,
}


def _field_problems(
    block: str, fields: Mapping[str, Field], content: Blocks, options: Options
) -> Iterator[Problem]:
    for name, field in fields.items():
        value = content.get(name)
        required = field.required or (field.deciding and options.required == "deciding")
        if value is None or (required and value == ""):
            if required:
                yield Problem(f"{block}.{name}", "This field is required.")
        elif not fits(_kind(field, options), value):
            yield Problem(f"{block}.{name}", f"This field must be {field.kind}.")


def _kind(field: Field, options: Options) -> Kind:
    unlooked = field.kind is Kind.PHOTO and not options.check_photos
    return Kind.TEXT if unlooked else field.kind


def _code_problems(
    block: str, fields: Mapping[str, Field], content: Blocks, codes: Codes
) -> Iterator[Problem]:
    """Refuse codes beside those listed; a field that is not listed may hold any."""
    for name in fields:
        known = codes.get(f"{block}.{name}")
        value = content.get(name)
        given = value if isinstance(value, list) else [value]
        if known and any(isinstance(one, str) and one not in known for one in given):
            yield Problem(f"{block}.{name}", "This code is not known.")


def _unknown(prefix: str, content: Blocks, known: Collection[str]) -> Iterator[Problem]:
    for name in content:
        if name not in known:
            yield Problem(f"{prefix}{name[:60]}", "There is no such field.")
