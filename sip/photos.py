"""Photos as they are kept and sent: JPEG, upright, scaled, without location or other metadata.

Plain Python with Pillow. What a camera wrote beside the picture does not survive.
"""

import hashlib
import io
from typing import Final

import msgspec
from PIL import Image, ImageOps

from core.uploads import Upload, UploadError, inspect

MOST_BYTES: Final = 25 * 1024 * 1024
_QUALITIES: Final = (85, 75, 65, 55, 45, 35)
_WANTED: Final = "Take a photo, or choose a JPEG or PNG file."


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A photo ready to be kept: a JPEG, its size in pixels, and the hash of what was sent in."""

    content: bytes
    width: int
    height: int
    name: str
    original_sha256: str

    @property
    def sha256(self) -> str:
        """The hash of what is kept."""
        return hashlib.sha256(self.content).hexdigest()


def prepare(content: bytes, name: str, *, longest_side: int, most_bytes: int) -> Prepared:
    """Turn a picture upright and scale it to so many pixels and bytes.

    Raises UploadError with a sentence for people when it is no whole JPEG or PNG.
    """
    upload = inspect(io.BytesIO(content), name, max_bytes=MOST_BYTES)
    if upload.kind == "pdf":
        raise UploadError(f"A PDF is no photo. {_WANTED}")
    picture = _opened(content, upload, longest_side)
    return Prepared(
        content=_encoded(picture, most_bytes),
        width=picture.width,
        height=picture.height,
        name=upload.name,
        original_sha256=upload.sha256,
    )


def _opened(content: bytes, upload: Upload, longest_side: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=(upload.kind.upper(),)) as picture:
            picture.draft("RGB", (longest_side, longest_side))  # a JPEG is decoded no larger
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((longest_side, longest_side))
            return _on_white(upright)
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        raise UploadError("This picture is damaged. Take or save it again.") from None


def _on_white(picture: Image.Image) -> Image.Image:
    """Lose metadata and transparency."""
    seen = picture.convert("RGBA")
    flat = Image.new("RGB", seen.size, "white")
    flat.paste(seen, mask=seen.getchannel("A"))
    return flat


def _encoded(picture: Image.Image, most_bytes: int) -> bytes:
    """Encode as JPEG, at the best quality that fits; scale down further when none does."""
    while True:
        for quality in _QUALITIES:
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality, optimize=True)
            if out.tell() <= most_bytes:
                return out.getvalue()
        if max(picture.size) <= 64:
            return out.getvalue()
        picture = picture.resize((picture.width * 3 // 4 or 1, picture.height * 3 // 4 or 1))
