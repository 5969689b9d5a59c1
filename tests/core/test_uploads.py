"""Uploads are what their content says."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core import uploads
from core.uploads import UploadError, inspect, safe_name

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def picture(form, size=(20, 10), **options):
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(buffer, form, **options)
    return buffer.getvalue()


def with_preview():
    """A JPEG whose metadata hold a small JPEG with an end of its own."""
    exif = Image.Exif()
    exif[0x9286] = picture("JPEG")
    return picture("JPEG", (60, 60), exif=exif)


@pytest.mark.parametrize(
    ("body", "kind", "content_type", "extension"),
    [
        (PDF, "pdf", "application/pdf", ".pdf"),
        (picture("JPEG"), "jpeg", "image/jpeg", ".jpg"),
        (picture("JPEG", progressive=True), "jpeg", "image/jpeg", ".jpg"),
        (with_preview() + b"a phone's trailer", "jpeg", "image/jpeg", ".jpg"),
        (picture("PNG"), "png", "image/png", ".png"),
    ],
)
def test_the_three_kinds_are_known_by_content(body, kind, content_type, extension):
    found = inspect(io.BytesIO(body), "proof.exe")
    assert (found.kind, found.content_type, found.extension) == (kind, content_type, extension)
    assert found.size == len(body)
    assert found.sha256 == hashlib.sha256(body).hexdigest()
    assert found.name == f"proof.exe{extension}"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "This file is empty. Send a PDF, JPEG or PNG file."),
        (b"MZ\x90\x00", "This is not a file that we can read. Send a PDF, JPEG or PNG file."),
        (
            b"<html>%PDF-1.7 %%EOF",
            "This is not a file that we can read. Send a PDF, JPEG or PNG file.",
        ),
        (
            b"GIF89a" + bytes(40),
            "This is not a file that we can read. Send a PDF, JPEG or PNG file.",
        ),
        (PDF[:-7], "The end of this PDF is missing. Save it again and send the new file."),
        (picture("PNG")[:-20], "This picture is damaged. Take or save it again."),
        (b"\xff\xd8\xff" + bytes(50), "This picture is damaged. Take or save it again."),
        (with_preview()[:-2], "The end of this picture is missing. Send it again."),
    ],
)
def test_each_fault_has_its_sentence(body, sentence):
    with pytest.raises(UploadError) as caught:
        inspect(io.BytesIO(body), "proof.pdf")
    assert str(caught.value) == sentence


def test_a_file_above_the_limit_is_not_read_to_its_end():
    file = io.BytesIO(PDF + bytes(2 * 1024 * 1024))
    with pytest.raises(UploadError, match="larger than 1\xa0MB"):
        inspect(file, "a.pdf", max_bytes=1024 * 1024)
    assert file.tell() == 1024 * 1024 + 1
    assert inspect(io.BytesIO(PDF), "a.pdf", max_bytes=len(PDF)).size == len(PDF)


@pytest.mark.parametrize("limit", ["ours", "Pillow's"])
def test_too_many_pixels(limit, monkeypatch):
    target, name = (uploads, "MAX_PIXELS") if limit == "ours" else (Image, "MAX_IMAGE_PIXELS")
    monkeypatch.setattr(target, name, 90)
    with pytest.raises(UploadError, match="too many pixels"):
        inspect(io.BytesIO(picture("PNG")), "a.png")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("INVOICE.PDF", "INVOICE.pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        (r"C:\Users\me\bill.pdf", "bill.pdf"),
        ("bill\r\nX-Header: a.pdf", "bill X-Header: a.pdf"),
        ("bill\u202efdp.exe", "bill fdp.exe.pdf"),
        (".htaccess", "htaccess.pdf"),
        (".pdf", "pdf.pdf"),
        ("", "file.pdf"),
        ("folder/", "file.pdf"),
        ("x" * 300 + ".pdf", "x" * 96 + ".pdf"),
    ],
)
def test_names_are_made_safe(name, safe):
    assert safe_name(name, "pdf") == safe


@given(st.text())
def test_a_safe_name_is_short_and_has_its_ending(name):
    safe = safe_name(name, "jpeg")
    assert len(safe) <= 100
    assert safe.lower().endswith((".jpg", ".jpeg"))
    assert safe.isprintable()
    assert not set(safe) & set("/\\\r\n\0")
    assert safe_name(safe, "jpeg") == safe
