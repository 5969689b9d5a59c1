"""Secrets taken out of what the log keeps: headers, JSON properties and query parameters."""

import re
from collections.abc import Iterable, Mapping

ALWAYS_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
MASK = "(masked)"
# A text (perhaps cut short), an object or a list (then everything to the end), or a bare word.
JSON_VALUE = r'"(?:[^"\\]|\\.)*"?|[\[{].*|[^,}\]\s]+'


def masked_headers(headers: Iterable[tuple[str, str]], secret: frozenset[str]) -> Mapping[str, str]:
    """Give the headers with the values of secret ones taken out."""
    hidden = secret | ALWAYS_SECRET
    return {name: MASK if name.lower() in hidden else value for name, value in headers}


def masked_text(text: str, secret: frozenset[str]) -> str:
    """Give a text with the values of secret properties taken out, even where it is no good JSON."""
    for name in secret:
        key = re.escape(name)
        text = re.sub(rf'("{key}"\s*:\s*)(?:{JSON_VALUE})', rf'\1"{MASK}"', text, flags=re.I | re.S)
        text = re.sub(rf"([?&]{key}=)[^&#\s]*", rf"\1{MASK}", text, flags=re.I)
    return text


def masked_body(body: bytes, secret: frozenset[str]) -> bytes:
    """Give a body as text in UTF-8 with the values of secret properties taken out."""
    return masked_text(body.decode(errors="replace"), secret).encode()
