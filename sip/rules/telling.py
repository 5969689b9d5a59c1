"""The message in the engineer’s words."""

from collections.abc import Iterator, Mapping

import msgspec

from sip.messages import BLOCKS, Answers, Block, Kind, Value, words
from sip.rules.notices import Codes, unknown_codes


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as people read it."""

    field: str
    label: str
    words: str
    private: bool
    unknown: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One block as people read it."""

    block: str
    title: str
    lines: tuple[Line, ...]


def in_words(message: Answers, photos: Mapping[str, str], codes: Codes | None = None) -> list[Part]:
    """Say a whole message in the engineer's words; `photos` maps "block.field" to its words."""
    return [
        Part(
            block=name,
            title=BLOCKS[name].title,
            lines=tuple(_lines(message[name], BLOCKS[name], photos, codes)),
        )
        for name in BLOCKS
        if name in message
    ]


def _lines(
    values: Mapping[str, Value], block: Block, photos: Mapping[str, str], codes: Codes | None
) -> Iterator[Line]:
    for field in block.fields:
        photo = photos.get(f"{block.name}.{field.name}")
        value = values.get(field.name)
        if field.kind is Kind.PHOTO:
            said = photo
        else:
            said = None if value in (None, "", []) else words(field, value)
        if said is not None:
            yield Line(
                field=field.name,
                label=field.label,
                words=said,
                private=field.private,
                unknown=codes is not None and bool(unknown_codes(field, value, codes)),
            )
