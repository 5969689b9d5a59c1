"""How API errors look: {"details": …}, the form that the parties' specifications ask for."""

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler


def details_error(problem: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an API exception into {"details": sentence}; anything else stays a server error."""
    response = exception_handler(problem, context)
    if response is not None:
        response.data = {"details": _sentence(response.data)}
    return response


def _sentence(content: Any) -> str:
    if isinstance(content, dict):
        if set(content) == {"detail"}:
            return str(content["detail"])
        return " ".join(f"{key}: {_sentence(value)}" for key, value in content.items())
    if isinstance(content, list):
        return " ".join(_sentence(item) for item in content)
    return str(content)
