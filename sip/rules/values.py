"""What is wrong with one answer by itself: its kind, its length, its form, its day."""

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from core import mpan, postcode
from sip.messages import Field, Kind, Value, read_date, read_time

MOST_DIALS: Final = 12


def value_problem(field: Field, value: Value, *, today: date | None = None) -> str:
    """Say what is wrong with one answer by itself; empty when nothing is."""
    sentence = _KINDS[field.kind](field, value)
    if not sentence and field.choices and value not in field.choices:
        sentence = f"Choose one of {field.choices[0]} to {field.choices[-1]}."
    special = _SPECIAL.get(field.name)
    if not sentence and special is not None:
        sentence = special(str(value))
    return sentence or _future(value, today)


def _boolean_problem(_: Field, value: Value) -> str:
    return "" if isinstance(value, bool) else "Answer yes or no."


def _text_problem(field: Field, value: Value) -> str:
    if not isinstance(value, str):
        return "Write text."
    if len(value) > field.longest:
        return f"Write {field.longest} letters at most. This has {len(value)}."
    if any(not sign.isprintable() and sign not in "\r\n\t" for sign in value):
        return "This has signs in it that cannot be sent. Write it again."
    return ""


def _list_problem(field: Field, value: Value) -> str:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return "Choose from the list."
    plain = [each.strip().casefold() for each in value]
    if len(set(plain)) < len(plain):
        return "The same is chosen twice."
    if len(plain) > 1 and any(each.startswith("no risk") for each in plain):
        return "“No risk identified” stands alone. Take it out, or take out the risks."
    return next((said for each in value if (said := _text_problem(field, each))), "")


def _integer_problem(_: Field, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_DIALS:
        return f"Write a whole number from 1 to {MOST_DIALS}."
    return ""


def _digits_problem(field: Field, value: Value) -> str:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        return "Write digits only, without spaces or a point."
    return _text_problem(field, value)


def _time_problem(_: Field, value: Value) -> str:
    return "" if read_time(value) else "Write a day and a time."


def _date_problem(_: Field, value: Value) -> str:
    return "" if read_date(value) else "Write a day of the calendar."


_KINDS: Final[dict[Kind, Callable[[Field, Value], str]]] = {
    Kind.BOOLEAN: _boolean_problem,
    Kind.TEXT: _text_problem,
    Kind.CODE: _text_problem,
    Kind.LIST: _list_problem,
    Kind.INTEGER: _integer_problem,
    Kind.DIGITS: _digits_problem,
    Kind.TIME: _time_problem,
    Kind.DATE: _date_problem,
    Kind.PHOTO: lambda _, __: "",
}


def _mpan_problem(text: str) -> str:
    try:
        mpan.parse(text)
    except mpan.MpanError as problem:
        return str(problem)
    return "" if text.isdigit() else "Write the 13 digits without spaces."


def _postcode_problem(text: str) -> str:
    return "" if postcode.is_valid_form(text) else "This is not a British postcode."


def _mpid_problem(text: str) -> str:
    good = re.fullmatch(r"[A-Z0-9]{4}", text)
    return "" if good else "An MPID has four capital letters or digits."


def _telephone_problem(text: str) -> str:
    digits = sum(sign.isdigit() for sign in text)
    if digits < 6 or re.fullmatch(r"[0-9+() -]+", text) is None:
        return "Write a telephone number with digits."
    return ""


_SPECIAL: Final[dict[str, Callable[[str], str]]] = {
    "mpan": _mpan_problem,
    "post_code": _postcode_problem,
    "supplier_mpid": _mpid_problem,
    "contact_telephone": _telephone_problem,
}


def _future(value: Value, today: date | None) -> str:
    moment = read_time(value)
    day = moment.date() if moment else read_date(value)
    return "This lies in the future." if day and today and day > today else ""
