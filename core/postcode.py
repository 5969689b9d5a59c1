"""British postcodes as stored and compared: upper case, one space before the last three."""

import re

_INWARD_LENGTH = 3
_SHORTEST = 5
_OUTWARD = (
    r"[A-PR-UWYZ][0-9]{1,2}"
    r"|[A-PR-UWYZ][A-HK-Y][0-9]{1,2}"
    r"|[A-PR-UWYZ][0-9][A-HJKPSTUW]"
    r"|[A-PR-UWYZ][A-HK-Y][0-9][ABEHMNPRVWXY]"
)
_FORM = re.compile(rf"(?:GIR 0AA|(?:{_OUTWARD}) [0-9][ABD-HJLNP-UW-Z]{{2}})")


def normalise(text: str) -> str:
    """Return the postcode in upper case with one space before its last three characters.

    Text too short to be a postcode only loses its spaces; the form is not judged here.
    """
    compact = "".join(text.upper().split())
    if len(compact) < _SHORTEST:
        return compact
    return f"{compact[:-_INWARD_LENGTH]} {compact[-_INWARD_LENGTH:]}"


def is_valid_form(text: str) -> bool:
    """Say whether the text has the form of a British postcode; it need not exist."""
    return _FORM.fullmatch(normalise(text)) is not None


def same(a: str, b: str) -> bool:
    """Say whether both texts are the same postcode; nothing is never the same as nothing."""
    return normalise(a) == normalise(b) != ""
