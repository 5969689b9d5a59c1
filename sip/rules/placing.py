"""Which field of the worksheet a refusal is about."""

import re
from collections.abc import Iterable

import msgspec

from sip.messages import BLOCKS, WORKSHEET, Detail


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A detail of a refusal with the field of the worksheet it is about, where that is clear."""

    text: str
    path: str
    block: str = ""
    field: str = ""


def placed(details: Iterable[Detail]) -> list[Placed]:
    """Find the field of the worksheet that each detail of a refusal is about."""
    found = []
    for each in details:
        block, name = _place(each.path)
        if not name:
            in_text = _place(f"{each.path} {each.text}")
            block, name = in_text if block in ("", in_text[0]) else (block, "")
        found.append(Placed(text=each.text, path=each.path, block=block, field=name))
    return found


def _place(text: str) -> tuple[str, str]:
    """Name block and field that a text mentions; a name of two blocks needs its block."""
    said = _tokens(text)
    blocks = [name for name in BLOCKS if name in said]
    fields = [
        (block.name, field.name)
        for block in WORKSHEET
        if not blocks or block.name in blocks
        for field in block.fields
        if field.name in said
    ]
    if len({name for _, name in fields}) > 1:
        # "meter" and "location" are plain words: the longest name is the one that is meant.
        longest = max((name for _, name in fields), key=len)
        fields = [each for each in fields if each[1] == longest]
    if len(fields) == 1:
        return fields[0]
    return (blocks[0], "") if len(blocks) == 1 else ("", "")


def _tokens(text: str) -> set[str]:
    """The names in a text as the specification spells them: camelCase and spaces are forgiven."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text[:2000]).casefold()
    found = set(re.findall(r"[a-z0-9_]+", snake))
    spaced = re.sub(r"[\s-]+", "_", snake)
    names = {*BLOCKS, *(field.name for block in WORKSHEET for field in block.fields)}
    long = {name for name in names if "_" in name}
    return found | {name for name in long if re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9])", spaced)}


def attempt_sentence(details: int) -> str:
    """Say in a list why a refused job waits, without repeating what the party wrote."""
    if not details:
        return "Refused; their reason is on the page of the job"
    return f"Refused with {details} {'reason' if details == 1 else 'reasons'}; correct them"
