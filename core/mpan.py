"""The MPAN core: thirteen digits that name one electricity supply point.

Import and export MPANs look the same; only the distributor knows which is which.
"""

import re

LENGTH = 13
_WEIGHTS = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)
_IGNORED = re.compile(r"[\s\-‐-―−]+")


class MpanError(ValueError):
    """The text is not an MPAN; the message says what is wrong, for the person who typed it."""


def parse(text: str) -> str:
    """Return the 13 digits of an MPAN, without spaces and dashes.

    Raises MpanError with a sentence that says what is wrong.
    """
    compact = _IGNORED.sub("", text)
    if not compact:
        raise MpanError("Write the 13 digits of the MPAN.")
    if not (compact.isascii() and compact.isdigit()):
        raise MpanError("An MPAN has digits only. Leave out letters and other signs.")
    if len(compact) != LENGTH:
        raise MpanError(f"Write all 13 digits of the MPAN. We found {len(compact)}.")
    if int(compact[-1]) != _check_digit(compact):
        raise MpanError("The last digit does not fit the others: check for two digits swapped.")
    return compact


def is_valid(text: str) -> bool:
    """Say whether the text is an MPAN whose check digit fits."""
    try:
        parse(text)
    except MpanError:
        return False
    return True


def distributor_id(mpan: str) -> str:
    """Return the two digits that name the distributor. Raises MpanError for anything else."""
    return parse(mpan)[:2]


def _check_digit(digits: str) -> int:
    products = (int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=False))
    return sum(products) % 11 % 10
