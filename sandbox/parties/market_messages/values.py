"""Is a value what its field's kind promises? No code lists here, and nothing is converted."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from sandbox.parties.market_messages.blocks import Kind
from sandbox.parties.registry.mpan import check_digit

MPAN = re.compile(r"[0-9]{13}")
RATES = re.compile(r"[0-9]{2}")
READING = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
JPEG_BEGINS, JPEG_ENDS = b"\xff\xd8\xff", b"\xff\xd9"
PNG_BEGINS, PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
LARGEST_WHOLE = 2**31


def fits(kind: Kind, value: Any) -> bool:
    """Does a value have the form of its kind?"""
    return FORMS[kind](value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _is_mpan(value: Any) -> bool:
    return _matches(MPAN)(value) and check_digit(value[:12]) == int(value[12])


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_WHOLE


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_codes(value: Any) -> bool:
    return isinstance(value, list) and all(_is_code(item) for item in value)


def _is_moment(value: Any) -> bool:
    return _matches(MOMENT)(value) and _is_read_by(datetime.fromisoformat, value)


def _is_day(value: Any) -> bool:
    return _matches(DAY)(value) and _is_read_by(date.fromisoformat, value)


def _is_read_by(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def _is_photo(value: Any) -> bool:
    """Begins and ends as a JPEG or PNG does; what lies between is not looked at."""
    if not isinstance(value, str):
        return False
    try:
        picture = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    jpeg = picture.startswith(JPEG_BEGINS) and picture.endswith(JPEG_ENDS)
    return jpeg or (picture.startswith(PNG_BEGINS) and picture.endswith(PNG_ENDS))


FORMS: Mapping[Kind, Callable[[Any], bool]] = {
    Kind.TEXT: _is_text,
    Kind.MPAN: _is_mpan,
    Kind.FLAG: _is_flag,
    Kind.WHOLE: _is_whole,
    Kind.CODE: _is_code,
    Kind.CODES: _are_codes,
    Kind.RATES: _matches(RATES),
    Kind.READING: _matches(READING),
    Kind.PHOTO: _is_photo,
    Kind.MOMENT: _is_moment,
    Kind.DAY: _is_day,
}
