"""What the service and the gateway in front of it answer: errors, envelopes, and odd replies.

The classic gateway puts its errors in a fault envelope, the newer one in `statusCode` and
`message`. The service's own errors, e001 to e011, keep the fault envelope behind both.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sandbox.exchange import Answer, as_json, html_answer, json_answer
from sandbox.parties.supply_points.tables import GATEWAY_ERRORS, SERVICE_ERRORS

CLASSIC, NEWER = "classic", "newer"
BLOCKED = {"SpikeArrestViolation", "QuotaViolation"}
# The newer gateway's own words; its other errors keep the words of the specification.
NEWER_WORDS = {
    "FailedToResolveAPIKey": "Access denied due to missing subscription key. Make sure to include "
    "subscription key when making requests to an API.",
    "InvalidApiKey": "Access denied due to invalid subscription key. Make sure to provide a valid "
    "key for an active subscription.",
    "SpikeArrestViolation": "Rate limit is exceeded. Try again in {wait} seconds.",
    "QuotaViolation": "Out of call volume quota. Quota will be replenished in {wait} seconds.",
}
PLAIN = {
    400: "Bad request",
    404: "Unable to identify proxy for host",
    429: "Too many requests",
    500: "Internal server error",
}


def fault(status: int, sentence: str, code: str = "") -> Answer:
    """Answer in the fault envelope, without a detail where there is no code."""
    detail = {"detail": {"errorcode": code}} if code else {}
    return json_answer({"fault": {"faultstring": sentence, **detail}}, status)


def service_error(code: str) -> Answer:
    """Answer with an error of the service, e001 to e011."""
    status, sentence = SERVICE_ERRORS[code]
    return fault(status, sentence, code)


def plain_error(envelope: str, status: int) -> Answer:
    """Answer with an error that has no code."""
    if envelope == NEWER:
        return json_answer({"statusCode": status, "message": PLAIN[status]}, status)
    return fault(status, PLAIN[status])


def gateway_error(
    envelope: str, name: str, *, limit: int = 0, wait: int = 60, quota_status: int = 500
) -> Answer:
    """Answer with an error of the gateway; `wait` seconds are told by the newer one alone."""
    status, code, sentence = GATEWAY_ERRORS[name]
    if envelope == CLASSIC:
        status = quota_status if name == "QuotaViolation" else status
        return fault(status, sentence.format(limit=limit), code)
    words = NEWER_WORDS.get(name, sentence).format(wait=wait)
    if name not in BLOCKED:
        return json_answer({"statusCode": status, "message": words}, status)
    body = as_json({"statusCode": 429, "message": words}).encode()
    return Answer(429, body, headers=(("Retry-After", str(wait)),))


# Replies with 200 that are not what the specification promises.

Fields = Mapping[str, Any]


def good(fields: Fields) -> Answer:
    """Answer with one point, as the specification says."""
    return json_answer({"mprn": fields})


def _web_page(fields: Fields) -> Answer:
    return html_answer("<!doctype html><title>Maintenance</title><h1>Back soon</h1>")


def _wrong_types(fields: Fields) -> Answer:
    return good({name: _mistyped(value) for name, value in fields.items()})


def _mistyped(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"about {value:f}"
    return [value] if value else 17


def _truncated(fields: Fields) -> Answer:
    body = good(fields).body
    return Answer(200, body[: len(body) // 2])


def _no_numbers(fields: Fields) -> Answer:
    swapped = {
        name: float("nan") if isinstance(value, Decimal) else value
        for name, value in fields.items()
    }
    return good(swapped)


ODD: Mapping[str, tuple[str, Callable[[Fields], Answer]]] = {
    "html": ("HTML page with 200", _web_page),
    "wrong_types": ("Wrong types with 200", _wrong_types),
    "truncated": ("Truncated JSON with 200", _truncated),
    "nothing": ("200 with an empty body", lambda fields: Answer(200)),
    "list": ("A list of one under mprn", lambda fields: json_answer({"mprn": [fields]})),
    "list_of_two": (
        "A list of two under mprn",
        lambda fields: json_answer({"mprn": [fields, fields]}),
    ),
    "null": ("null under mprn", lambda fields: json_answer({"mprn": None})),
    "object_empty": ("An empty object", lambda fields: json_answer({})),
    "bare": ("The fields without their mprn envelope", json_answer),
    "nan": ("NaN for every quantity", _no_numbers),
    "both": (
        "A point and a fault in one reply",
        lambda fields: json_answer(
            {"mprn": fields, "fault": {"faultstring": "", "detail": {"errorcode": "e010"}}}
        ),
    ),
    "unknown_code": (
        "A fault with 200 and a code that the specification does not list",
        lambda fields: fault(200, "Requested address is under review.", "e012"),
    ),
}
ANOTHER = "another"
CHOICES: Mapping[str, str] = {
    "point": "The point, as it should be",
    **{code: f"{code}: {sentence}"[:80] for code, (_, sentence) in SERVICE_ERRORS.items()},
    **{name: f"{status} {code}" for name, (status, code, _) in GATEWAY_ERRORS.items()},
    "400": "400 without a code",
    "500": "500 without a code",
    ANOTHER: "Another point than asked",
    **{name: title for name, (title, _) in ODD.items()},
}
