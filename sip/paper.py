"""The readable copy of a message: a Typst document that is filled from plain values.

Plain Python. Texts of people reach the page as values, never as markup.
"""

import json
import re
from typing import Any, Final

import msgspec
import typst

from sip.rules import Part


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """What a readable copy says: heading, facts, the message block by block, its history."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    history: tuple[tuple[str, str], ...]
    note: str = ""


_BREAK: Final = "\N{ZERO WIDTH SPACE}"
_LONG_WORD: Final = re.compile(r"\S{65,}")
_PIECE: Final = re.compile(r".{1,8}")
_DOCUMENT: Final = """
#let d = json(bytes(sys.inputs.at("copy")))
#set document(title: d.title)
#set page(paper: "a4", margin: 20mm, footer: context [
  #set text(8pt, fill: luma(90))
  #d.title #h(1fr) #counter(page).display("1 / 1", both: true)
])
#set text(10pt, lang: "en", region: "GB")
#set par(leading: 0.6em)
#show heading.where(level: 1): set text(17pt)
#show heading.where(level: 2): set text(12pt)
#let rows(pairs) = table(
  columns: (38%, 1fr), stroke: (x, y) => (bottom: 0.4pt + luma(200)), inset: (x: 0pt, y: 4pt),
  ..pairs.map(p => (text(fill: luma(70), p.at(0)), text(p.at(1)))).flatten()
)
= #d.title
#text(fill: luma(70), d.subtitle)
#if d.note != "" [ #v(4pt) #block(stroke: 0.8pt, inset: 8pt, width: 100%, text(d.note)) ]
#rows(d.facts)
#for part in d.parts [
  == #text(part.title)
  #rows(part.lines.map(l => (l.label, if l.unknown { l.words + " (not on our list)" } else { l.words })))
]
== What happened
#rows(d.history)
"""  # noqa: E501 - a table row of the document


def pdf(copy: Copy) -> bytes:
    """Return the copy as a PDF."""
    values = json.dumps(_breakable(msgspec.to_builtins(copy)), ensure_ascii=False)
    made = typst.compile(
        _DOCUMENT.encode(), sys_inputs={"copy": values}, ignore_system_fonts=True, format="pdf"
    )
    return made if isinstance(made, bytes) else b""


def _breakable(value: Any) -> Any:
    """Let words that are longer than a line break; a hash fits, and is copied as it is."""
    if isinstance(value, str):
        return _LONG_WORD.sub(lambda word: _BREAK.join(_PIECE.findall(word[0])), value)
    if isinstance(value, dict):
        return {name: _breakable(each) for name, each in value.items()}
    return [_breakable(each) for each in value] if isinstance(value, list | tuple) else value
