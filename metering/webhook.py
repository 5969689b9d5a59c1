"""The meter communications service calling us ("MCS Result API"): commit the delivery, then answer.

Authenticated by the unguessable part of the address, which belongs to one collection, and by an
optional list of addresses. Answers are 200, 400, 404, 429 and 500 alone, with "details" unless 200.
"""

import ipaddress
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from core.address import client_address, within_limit
from core.fields import decrypt
from metering import actions, messages
from metering.messages import NotReadable
from metering.models import MeterRead, hash_token

View = Callable[[HttpRequest, str], HttpResponse]
log = structlog.get_logger(__name__)
VERSION = "1.0.0"
JSON = "application/json; charset=utf-8"
_BLOCKS = 200
_taken: dict[tuple[str, str, int], int] = {}  # results that a caller may still send here in an hour
_lock = threading.Lock()
# Written out: the ORM would take ten times as long to write it again for every result.
_READ_AT_ADDRESS = (
    "SELECT found.id, found.our_reference, found.reference, meter.password AS meter_password"
    " FROM metering_meterread found JOIN metering_meter meter ON meter.id = found.meter_id"
    " WHERE found.token_sha256 = %s"
)


def _answer(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=JSON)


def _refuse(details: str, status: int) -> HttpResponse:
    return _answer(messages.error_reply(details), status)


def _with_details(view: View) -> View:
    """Answer 500 with details, as the specification promises, instead of a page for people."""

    @wraps(view)
    def answered(request: HttpRequest, token: str) -> HttpResponse:
        try:
            return view(request, token)
        except Exception:
            log.exception("result_not_taken")
            return _refuse("This is a fault of ours; send it again later.", 500)

    return answered


@csrf_exempt
@never_cache
@login_not_required
@_with_details
def collection_result(request: HttpRequest, token: str) -> HttpResponse:
    """Take one result ("Data Collect Result method"); it is committed before it is answered."""
    if not may_call(request):
        return _refuse("There is nothing here.", 404)
    if request.method != "POST":
        return _refuse("Results are sent by POST.", 400)
    read = next(iter(MeterRead.objects.raw(_READ_AT_ADDRESS, [hash_token(token)])), None)
    if read is None:
        return _refuse("There is nothing here.", 404)
    if not may_send(request):
        return _refuse("Too many results in this hour; send this one again later.", 429)
    body, problem = read_body(request)
    if problem:
        return _refuse(problem, 400)
    return _take(request, read, body)


def _take(request: HttpRequest, read: Any, body: bytes) -> HttpResponse:
    taken: dict[str, Any] = {
        "read": read,
        "body": body,
        "sender": client_address(request),
        "secrets": [decrypt(read.meter_password)],
        "now": timezone.now,
    }
    try:
        reference = messages.read_reference(body)
    except NotReadable as problem:
        actions.keep_unreadable(**taken, why=problem.reason)
        return _refuse(problem.reason, 400)
    known = actions.deliver(**taken, reference=reference)
    if not known:
        return _refuse("No collection has this requestReference.", 404)
    return _answer(messages.result_reply(reference))


@csrf_exempt
@never_cache
@login_not_required
@_with_details
def service_status(request: HttpRequest, token: str) -> HttpResponse:
    """Say that results can be taken ("Service Status method" of the Result API)."""
    known = MeterRead.objects.filter(token_sha256=hash_token(token)).exists()
    if not may_call(request) or not known:
        return _refuse("There is nothing here.", 404)
    if request.method not in ("GET", "HEAD"):
        return _refuse("The status is read by GET.", 400)
    return _answer(messages.service_status_reply(VERSION))


def may_call(request: HttpRequest) -> bool:
    """Whether the caller's address is on METERING_RESULT_ALLOWED_IPS; an empty list lets all."""
    allowed = settings.METERING_RESULT_ALLOWED_IPS
    if not allowed:
        return True
    try:
        address = ipaddress.ip_address(client_address(request))
        networks = [ipaddress.ip_network(each.strip(), strict=False) for each in allowed]
    except ValueError:
        return False
    return any(address in network for network in networks)


def may_send(request: HttpRequest) -> bool:
    """Whether the caller is within METERING_RESULTS_PER_HOUR.

    A process takes its share of the hour in blocks of a two-hundredth: counting every result would
    let all of them wait for one row. A block that is not used up makes the limit tighter.
    """
    now, caller = timezone.now(), client_address(request)
    block = max(1, settings.METERING_RESULTS_PER_HOUR // _BLOCKS)
    held = (caller, f"{now:%Y%m%d%H}", block)
    with _lock:
        if _taken.get(held, 0):
            _taken[held] -= 1
            return True
    per_hour = settings.METERING_RESULTS_PER_HOUR // block
    if not within_limit(request, "metering results", per_hour=per_hour, now=now):
        return False
    with _lock:
        for old in [each for each in _taken if each[1] != held[1]]:
            del _taken[old]
        _taken[held] = _taken.get(held, 0) + block - 1
    return True


def read_body(request: HttpRequest) -> tuple[bytes, str]:
    """Read the whole body up to METERING_BODY_LIMIT; else a sentence for the sender."""
    limit = settings.METERING_BODY_LIMIT
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        return b"", "The Content-Length is not a number."
    too_large = f"The body is larger than {limit:,} bytes."
    if int(length) > limit:
        return b"", too_large
    try:
        body = _stream(request).read(limit + 1)
    except (UnreadablePostError, RequestDataTooBig, OSError):
        return b"", "The body ended before it was complete."
    if len(body) < int(length):
        return b"", "The body ended before it was complete."
    return (b"", too_large) if len(body) > limit else (body, "")


def _stream(request: HttpRequest) -> Any:
    """Where the body comes from: Django's own stream is empty where a body is sent in chunks."""
    chunked = "CONTENT_LENGTH" not in request.META and request.META.get("wsgi.input_terminated")
    return request.META["wsgi.input"] if chunked else request


def schema(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add this endpoint to /api/schema/: the form comes from the messages themselves."""
    operation = {
        "operationId": "collection_result",
        "summary": "Send the result of a collection",
        "parameters": [
            {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": messages.RESULT_SCHEMA}},
        },
        "responses": {
            "200": {"description": "Kept", "content": {"application/json": {"schema": _KEPT}}},
            **{
                status: {
                    "description": why,
                    "content": {"application/json": {"schema": _DETAILS}},
                }
                for status, why in _REFUSALS.items()
            },
        },
        "security": [],
    }
    for ending in ("", "/collection-result"):
        name = "collection_result" + ("" if ending else "_bare")
        result["paths"]["/metering/results/{token}" + ending] = {
            "post": {**operation, "operationId": name}
        }
    return result


_KEPT = {
    "type": "object",
    "properties": {"requestReference": {"type": "string"}},
    "required": ["requestReference"],
}
_DETAILS = {
    "type": "object",
    "properties": {"details": {"type": "string"}},
    "required": ["details"],
}
_REFUSALS = {
    "400": "Not a result, too large, or not sent by POST",
    "404": "Unknown address, or no collection with this requestReference",
    "429": "Too many results",
    "500": "A fault of ours",
}
