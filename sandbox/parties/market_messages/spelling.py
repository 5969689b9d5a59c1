"""How the service words its answers: the document names what they hold, but prints none."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from sandbox.exchange import Answer, json_answer
from sandbox.parties.market_messages.check import Problem
from sandbox.parties.market_messages.options import Options
from sandbox.parties.market_messages.scenario import Scenario

SENTENCES = {
    400: "The request is not valid.",
    404: "There is no such operation.",
    413: "The request is too large.",
    415: "The content type must be application/json.",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


def accepted(request_id: str, scenario: Scenario, options: Options) -> Answer:
    """Say 200: status, message, request id and scenario (clause 3.1)."""
    spelled = {"code": scenario.code, "number": int(scenario), "title": scenario.title}
    return json_answer(
        {
            "status": "success" if options.status_form == "text" else 200,
            "message": f"Request accepted: {scenario.title.lower()}.",
            options.request_id_key: request_id,
            options.scenario_key: spelled[options.scenario_form],
        }
    )


def said(status: int) -> Answer:
    """Say a status with its sentence."""
    return json_answer({"message": SENTENCES[status]}, status)


def refused(problems: Sequence[Problem], options: Options) -> Answer:
    """Say 400 with "additional details about the error" (clause 3.1)."""
    details = DETAILS[options.details_form](problems)
    return json_answer({"message": SENTENCES[400], options.details_key: details}, 400)


def stranger(options: Options) -> Answer:
    """Say 401, or 403 where the switch says so (clause 3.2)."""
    return json_answer(
        {"message": "The API key is missing or not valid."}, options.wrong_key_status
    )


def too_many(seconds: int, options: Options) -> Answer:
    """Say 429 (clause 3.5), with Retry-After in seconds, as a date, or not at all."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    header = {"seconds": str(seconds), "date": until}.get(options.retry_after)
    headers = (("Retry-After", header),) if header else ()
    answer = said(429)
    return Answer(answer.status, answer.body, headers=headers)


def _objects(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"field": one.field, "message": one.message} for one in problems]


def _fields(problems: Sequence[Problem]) -> dict[str, list[str]]:
    spelled: dict[str, list[str]] = {}
    for one in problems:
        spelled.setdefault(one.field, []).append(one.message)
    return spelled


def _nested(problems: Sequence[Problem]) -> dict[str, Any]:
    """Nest fields in their blocks; what is said of a whole block is a list in its place."""
    spelled: dict[str, Any] = {}
    for one in problems:
        block, _, name = one.field.partition(".")
        if not name:
            spelled[block] = [one.message]
        elif isinstance(inside := spelled.setdefault(block, {}), dict):
            inside.setdefault(name, []).append(one.message)
    return spelled


def _texts(problems: Sequence[Problem]) -> list[str]:
    return [f"{one.field}: {one.message}" for one in problems]


def _text(problems: Sequence[Problem]) -> str:
    return " ".join(_texts(problems))


DETAILS: Mapping[str, Callable[[Sequence[Problem]], object]] = {
    "objects": _objects,
    "fields": _fields,
    "nested": _nested,
    "texts": _texts,
    "text": _text,
}
