"""What the sandbox reads and answers: requests, answers and routes, without sockets."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.message import Message
from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

_written = json.JSONEncoder(ensure_ascii=False).encode


class BadRequest(ValueError):
    """The request cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its path without the prefix of the party, with its number in the log."""

    method: str
    path: str
    headers: Message
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    number: int = 0

    @property
    def is_form(self) -> bool:
        """Was it sent by an HTML form?"""
        return self.headers.get_content_type() == "application/x-www-form-urlencoded"

    def fields(self) -> dict[str, Any]:
        """Read the JSON object or the form in the body; raises BadRequest."""
        if self.is_form:
            return {name: _typed(text) for name, text in parse_qsl(self.body.decode())}
        try:
            fields = json.loads(self.body or b"{}", parse_float=Decimal)
        except ValueError as problem:
            raise BadRequest(f"The body is not JSON: {problem}") from problem
        if not isinstance(fields, dict):
            raise BadRequest("The body must be a JSON object.")
        return fields


def _typed(text: str) -> str | int:
    return int(text) if re.fullmatch(r"\d{1,4}", text) else text


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, complete before its first byte is sent."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()

    def head(self) -> bytes:
        """Give the status line, the headers and the empty line."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unnamed"
        date = formatdate(usegmt=True)
        headers = [("Date", date), ("Content-Type", self.content_type), *self.headers]
        lines = [f"{name}: {value}" for name, value in headers]
        length = f"Content-Length: {len(self.body)}"
        whole = [f"HTTP/1.1 {self.status} {phrase}", *lines, length, "", ""]
        return "\r\n".join(whole).encode("latin-1")


def json_answer(content: object, status: int = 200) -> Answer:
    """Answer with JSON; decimals are written as numbers with the places they have."""
    return Answer(status, as_json(content).encode())


def html_answer(page: str, status: int = 200) -> Answer:
    """Answer with an HTML page."""
    return Answer(status, page.encode(), "text/html; charset=utf-8")


def as_json(content: object) -> str:
    """Write JSON in which a Decimal stays the number it is: 50.00, 0.0000001, never 1E-7."""
    if isinstance(content, Decimal):
        return f"{content:f}"
    if isinstance(content, Mapping):
        pairs = (f"{_written(str(name))}: {as_json(value)}" for name, value in content.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(content, list | tuple):
        return f"[{', '.join(as_json(item) for item in content)}]"
    return _written(content)


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path with `{names}` in it, and the function that answers."""

    method: str
    path: str
    run: Callable[[Request], Answer]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Give the values of the names in the path; None when this is another call."""
        if method != self.method:
            return None
        match = _pattern(self.path).fullmatch(path)
        return match.groupdict() if match else None


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def run_route(routes: Sequence[Route], request: Request) -> Answer | None:
    """Answer with the first route that matches; None when there is no such call."""
    for route in routes:
        values = route.match(request.method, request.path)
        if values is not None:
            return route.run(replace(request, values=values))
    return None
