"""Files that people send us, judged by their content: PDF, JPEG and PNG, and nothing else.

A file's name and the type the browser claims are never believed.
"""

import hashlib
import io
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from PIL import Image

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_PIXELS: Final = 64_000_000  # the largest phone cameras; decoding is never needed here
LONGEST_NAME: Final = 100
_PDF_TAIL = 1024
_WANTED = "Send a PDF, JPEG or PNG file."

Kind = Literal["pdf", "jpeg", "png"]
_CONTENT_TYPES: Final[dict[Kind, str]] = {
    "pdf": "application/pdf",
    "jpeg": "image/jpeg",
    "png": "image/png",
}
_ENDINGS: Final[dict[Kind, tuple[str, ...]]] = {
    "pdf": (".pdf",),
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
}


class UploadError(ValueError):
    """The file cannot be taken; the message tells the person who sent it why."""


class Readable(Protocol):
    """An open file, as a form field gives it."""

    def read(self, size: int = ..., /) -> bytes:
        """Read some of it, or the rest."""
        ...


@dataclass(frozen=True)
class Upload:
    """A file found to be what it should be. `size` in bytes, `name` safe to show and to offer."""

    kind: Kind
    content_type: str
    extension: str
    size: int
    sha256: str
    name: str


def inspect(file: Readable, name: str, *, max_bytes: int = MAX_BYTES) -> Upload:
    """Read a file from where it stands and say what it is; the caller rewinds it.

    Reads one byte more than `max_bytes` at most. Raises UploadError with a sentence for people.
    """
    body = file.read(max_bytes + 1)
    if not body:
        raise UploadError(f"This file is empty. {_WANTED}")
    if len(body) > max_bytes:
        raise UploadError(f"This file is larger than {_megabytes(max_bytes)}. Send a smaller one.")
    kind = _kind(body)
    return Upload(
        kind=kind,
        content_type=_CONTENT_TYPES[kind],
        extension=_ENDINGS[kind][0],
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        name=safe_name(name, kind),
    )


def safe_name(name: str, kind: Kind) -> str:
    """Return the last part of a name without control characters, with the ending of its kind."""
    last = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in last)
    plain = " ".join(visible.split()).lstrip(". ") or "file"
    ending = next((e for e in _ENDINGS[kind] if plain.lower().endswith(e)), "")
    stem = plain[: len(plain) - len(ending)] or "file"
    ending = ending or _ENDINGS[kind][0]
    return stem[: LONGEST_NAME - len(ending)].rstrip() + ending


def _kind(body: bytes) -> Kind:
    if body.startswith(b"%PDF-"):
        return _whole_pdf(body)
    if body.startswith(b"\xff\xd8\xff"):
        return _whole_jpeg(body)
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        _open_picture(body, "PNG")
        return "png"
    raise UploadError(f"This is not a file that we can read. {_WANTED}")


def _whole_pdf(body: bytes) -> Kind:
    if b"%%EOF" not in body[-_PDF_TAIL:]:
        raise UploadError("The end of this PDF is missing. Save it again and send the new file.")
    return "pdf"


def _whole_jpeg(body: bytes) -> Kind:
    _open_picture(body, "JPEG")
    if b"\xff\xd9" not in body[_jpeg_scan(body) :]:
        raise UploadError("The end of this picture is missing. Send it again.")
    return "jpeg"


def _open_picture(body: bytes, form: str) -> None:
    """Let Pillow check a picture's structure without decoding it."""
    try:
        with Image.open(io.BytesIO(body), formats=(form,)) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise UploadError("This picture has too many pixels. Send a smaller one.")
            picture.verify()
    except UploadError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UploadError("This picture has too many pixels. Send a smaller one.") from None
    except Exception:  # noqa: BLE001 - Pillow raises many kinds for a broken file
        raise UploadError("This picture is damaged. Take or save it again.") from None


def _jpeg_scan(body: bytes) -> int:
    """Return where the picture itself starts, past the segments that may hold a preview."""
    at = 2
    while body[at : at + 1] == b"\xff" and body[at + 1 : at + 2] != b"\xda":
        if body[at + 1 : at + 2] == b"\xff":
            at += 1
            continue
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    return at


def _megabytes(size: int) -> str:
    return f"{size / (1024 * 1024):.0f}\N{NO-BREAK SPACE}MB"
