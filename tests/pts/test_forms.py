"""Forms of the desk: moments, reasons, photos, windows, exceptions, and what is ours of a system."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from pts import forms

LONDON = ZoneInfo("Europe/London")


def reading(*, has_passed=False, files=None, **changes):
    said = {"value": "12.5", "day": "2026-07-01", "clock": "09:00", "stood": "x", **changes}
    return forms.ReadingForm(said, files, has_passed=has_passed)


def test_a_moment_is_london_time_whatever_the_season():
    for day, hour in (("2026-01-05", 9), ("2026-07-01", 8)):
        form = reading(day=day)
        assert form.is_valid(), form.errors
        assert form.moment() == datetime.fromisoformat(f"{day}T09:00").replace(tzinfo=LONDON)
        assert form.moment().astimezone(ZoneInfo("UTC")).hour == hour


def test_a_moment_that_is_still_to_come():
    late = timezone.localtime() + timedelta(days=1)
    form = reading(day=f"{late:%Y-%m-%d}")
    assert "still to come" in form.errors["day"][0]


@pytest.mark.parametrize("value", ["", "-1", "nan", "Infinity", "1e400", "12,5", "1.23456", "x"])
def test_what_is_no_total(value):
    assert "value" in reading(value=value).errors


def test_a_large_total_keeps_its_decimals():
    form = reading(value="99999999999.1234")
    assert form.is_valid(), form.errors
    assert form.cleaned_data["value"] == Decimal("99999999999.1234")


def test_replacing_a_pass_has_to_be_said():
    assert "replacing" not in reading().fields
    assert "Tick this" in reading(has_passed=True).errors["replacing"][0]
    assert reading(has_passed=True, replacing="on").is_valid()


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"%PDF-1.7\n%%EOF\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 50]
)
def test_a_photo_is_judged_by_its_content(content):
    file = SimpleUploadedFile("meter.png", content, "image/png")
    assert "photo" in reading(files={"photo": file}).errors


def test_a_reason_is_needed_and_bounded():
    assert not forms.ReasonForm({"reason": "  ", "stood": "x"}).is_valid()
    assert not forms.ReasonForm({"reason": "x" * 2001, "stood": "x"}).is_valid()
    assert not forms.ReasonForm({"reason": "x"}).is_valid()


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [("2026-11-27", "2026-11-20", "last"), ("2026-11-27", "2027-03-01", "last")],
)
def test_a_window_that_cannot_be(first, last, field):
    form = forms.WindowForm({"first": first, "last": last, "reason": "x"})
    assert field in form.errors


@pytest.mark.parametrize("more", [("0", "0"), ("-1", "1"), ("11", "0"), ("", "")])
def test_an_exception_grants_something_plausible(more):
    said = {"more_valid": more[0], "more_failed": more[1], "granted_by": "Ana", "reason": "x"}
    assert not forms.ExceptionForm(said).is_valid()


def test_an_mpan_is_kept_plain_and_goes_with_its_register():
    form = forms.SystemForm({"mpan": "11 2938 3838 383", "register": "kWh Export"})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["mpan"] == "1129383838383"
    assert "register" in forms.SystemForm({"mpan": "1129383838383"}).errors
    assert "mpan" in forms.SystemForm({"register": "kWh Export"}).errors
    assert list(forms.SystemForm({"mpan": "1", "register": "x"}).errors) == ["mpan"]
