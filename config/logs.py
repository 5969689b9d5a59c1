"""Structured logs: one event a line with the request id and the case reference.

Names of fields are an allow-list in spirit: events carry identifiers, never names, addresses,
bodies or tokens.
"""

import re
from typing import Any

import structlog
from structlog.typing import Processor

from core.links import hide_tokens

_QUERY = re.compile(r"(/[^\s?'\"]*)\?[^\s'\"]+")  # what people search for


def hide_private(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Replace the secret part of private links, and queries, wherever an address is logged."""
    return {
        key: _QUERY.sub(r"\1?[query]", hide_tokens(value)) if isinstance(value, str) else value
        for key, value in event.items()
    }


_EVERY_EVENT: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_LOUD = ("core", "seg", "sip", "django", "django_structlog")
_QUIET = ("celery", "django_structlog.celery")  # a line for every bell would bury the rest

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_EVERY_EVENT,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)


def logging_config(*, debug: bool) -> dict[str, Any]:
    """Build Django's LOGGING: JSON lines, or readable lines while developing."""
    renderer = (
        structlog.dev.ConsoleRenderer(colors=False)
        if debug
        else structlog.processors.JSONRenderer()
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "portal": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    hide_private,
                    renderer,
                ],
                "foreign_pre_chain": _EVERY_EVENT,
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "portal"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
        "loggers": {
            **{name: _logger("INFO") for name in _LOUD},
            **{name: _logger("WARNING") for name in _QUIET},
        },
    }


def _logger(level: str) -> dict[str, Any]:
    return {"handlers": ["console"], "level": level, "propagate": False}
