"""Times, ages, tags, sparks, links and the error summary, as the templates write them."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import ClassVar

import pytest
import time_machine
from django import forms
from django.core.paginator import Paginator
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory

from core.templatetags import portal

NOW = datetime(2026, 12, 1, 10, 42, tzinfo=UTC)
NB = portal.NBSP


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


def drawn(text, **context):
    return Template("{% load portal %}" + text).render(Context(context))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 28, 6, 38, tzinfo=UTC), f"28{NB}Nov, 06:38"),
        (datetime(2026, 7, 1, 23, 30, tzinfo=UTC), f"2{NB}Jul, 00:30"),
        (datetime(2025, 3, 9, 12, 0, tzinfo=UTC), f"9{NB}Mar 2025, 12:00"),
    ],
)
def test_when_is_london_with_utc_in_the_title(moment, text):
    written = portal.when(moment)
    assert f">{text}</time>" in written
    assert f'title="{moment:%Y-%m-%d %H:%M:%S} UTC"' in written
    assert f'datetime="{moment:%Y-%m-%dT%H:%M:%SZ}"' in written


def test_when_of_a_date_has_no_time():
    assert portal.when(date(2026, 9, 9)) == f"9{NB}Sep"
    assert portal.when(date(2024, 9, 9)) == f"9{NB}Sep 2024"


def test_the_year_is_added_by_london_not_by_utc():
    with time_machine.travel(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)):
        assert "2026" not in portal.when(datetime(2026, 12, 31, 23, 58, tzinfo=UTC)).split(">")[1]


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=20), f"just{NB}now"),
        (timedelta(minutes=12), f"12{NB}min"),
        (timedelta(hours=2, minutes=14), f"2{NB}h{NB}14{NB}min"),
        (timedelta(hours=2), f"2{NB}h"),
        (timedelta(hours=5, minutes=50), f"5{NB}h"),
        (timedelta(days=2, hours=1), f"2{NB}d{NB}1{NB}h"),
        (timedelta(days=4), f"4{NB}d"),
        (timedelta(days=41, hours=3), f"41{NB}d"),
        (timedelta(days=-3), f"in{NB}3{NB}d"),
        (timedelta(seconds=-24), f"in{NB}1{NB}min"),
    ],
)
def test_age(passed, text):
    assert portal.age(NOW - passed) == text


def test_ago_stands_in_a_sentence():
    assert portal.ago(NOW - timedelta(minutes=12)) == f"12{NB}min ago"
    assert portal.ago(NOW) == f"just{NB}now"
    assert portal.ago(NOW + timedelta(days=3)) == f"in{NB}3{NB}d"


@pytest.mark.parametrize(
    "write",
    [
        portal.when,
        portal.age,
        portal.ago,
        portal.clock,
        portal.longdate,
        portal.publictime,
        portal.thousands,
    ],
)
def test_nothing_is_written_for_nothing(write):
    assert write(None) == ""


def test_dates_and_times_for_customers():
    assert portal.longdate(date(2026, 12, 3)) == f"Thursday 3{NB}December 2026"
    assert portal.longdate(datetime(2026, 7, 1, 23, 30, tzinfo=UTC)) == f"Thursday 2{NB}July 2026"
    morning = datetime(2026, 11, 28, 6, 37, tzinfo=UTC)
    assert f">Saturday 28{NB}November, 6:37am<" in portal.publictime(morning)
    afternoon = datetime(2025, 5, 5, 12, 5, tzinfo=UTC)
    assert f">Monday 5{NB}May 2025, 1:05pm<" in portal.publictime(afternoon)
    midnight = datetime(2026, 1, 5, 0, 5, tzinfo=UTC)
    assert "12:05am<" in portal.publictime(midnight)


def test_the_clock_and_the_seconds_of_a_countdown():
    at = datetime(2026, 6, 1, 10, 42, 54, tzinfo=UTC)
    assert ">11:42:54<" in portal.clock(at)
    assert portal.percent_of(24, 30) == 80
    assert portal.percent_of(40, 30) == 100
    assert portal.percent_of(1, 0) == 0


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (1812, "1,812")])
def test_thousands(number, text):
    assert portal.thousands(number) == text


def test_a_tag_has_its_word_and_kind_and_escapes():
    assert drawn('{% tag "look" said %}', said="<b>") == (
        '<span class="tag tag-look">&lt;b&gt;</span>'
    )
    assert 'class="tag tag-plain"' in portal.tag('x" onclick="', "Odd")
    case = SimpleNamespace(tag="good", status_label="Approved")
    assert drawn("{% status_tag case %}", case=case) == (
        '<span class="tag tag-good">Approved</span>'
    )


def test_a_spark_says_in_words_what_it_shows():
    points = [{"height": 0, "kind": "idle"}, {"height": 1, "kind": "bad"}]
    picture = portal.spark(points, "Registry: 7 calls, 1 without an answer")
    assert 'aria-label="Registry: 7 calls, 1 without an answer"' in picture
    assert picture.count("<rect") == 2
    assert 'height="1.0" class="fill-idle"' in picture
    assert "style" not in picture
    assert "<rect" not in portal.spark([], "Registry")


def test_removed_secrets_are_marked_and_the_rest_is_escaped():
    written = portal.mark_removed('{"User": "[removed]", "x": "<script>"} [link]')
    assert written.count("<mark") == 2
    assert "Removed</mark>" in written
    assert "private link</mark>" in written
    assert "<script>" not in written
    assert portal.mark_removed(None) == ""


def test_a_drawn_picture_loses_its_xml_declaration():
    assert portal.inline_svg("<?xml version='1.0'?>\n<svg><path/></svg>") == ("<svg><path/></svg>")


def test_links_keep_the_rest_of_the_address():
    request = RequestFactory().get("/", {"q": "LX & co", "page": "4", "status": "x"})
    query = drawn('{% query_with "page" 5 %}', request=request)
    assert query == "?q=LX+%26+co&amp;page=5&amp;status=x"


class Filters(forms.Form):
    q = forms.CharField(required=False)


def test_hidden_boxes_repeat_only_what_the_form_does_not_ask():
    request = RequestFactory().get("/", {"q": "a", "page": "4", "status": 'x"', "empty": ""})
    boxes = drawn('{% keep_query form "page" %}', request=request, form=Filters())
    assert boxes == '<input type="hidden" name="status" value="x&quot;">'


def test_page_links_have_gaps():
    page = Paginator(range(200), 10).page(10)
    links = portal.page_links(page)
    assert [link.number for link in links] == [1, None, 8, 9, 10, 11, 12, None, 20]
    assert [link.number for link in links if link.is_current] == [10]


class Application(forms.Form):
    choice_hints: ClassVar = {"kind": {"new": "Nobody pays you yet"}}
    number = forms.CharField(
        label="Certificate number",
        help_text="Top right.",
        widget=forms.TextInput(attrs={"class": "mono", "placeholder": "Certificate number"}),
    )
    kind = forms.ChoiceField(
        label="What for?",
        choices=[("new", "New"), ("switch", "Switch")],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you apply for"},
    )
    told = forms.ChoiceField(
        choices=[("y", "Yes"), ("n", "No")], widget=forms.RadioSelect, required=False
    )
    mpan = forms.CharField(label="Import MPAN", required=False)
    agree = forms.BooleanField(label="I agree")
    version = forms.CharField(widget=forms.HiddenInput)

    def clean(self):
        raise forms.ValidationError("Too late.")


def test_the_error_summary_leads_to_the_first_box_of_each_problem():
    found = portal.problems(Application({}), None)
    assert [(problem.text, problem.box_id) for problem in found] == [
        ("Too late.", ""),
        ("Certificate number: This field is required.", "id_number"),
        ("Choose what you apply for", "id_kind_0"),
        ("I agree: This field is required.", "id_agree"),
        ("Version: This field is required.", ""),
    ]
    assert portal.problems(Application(), None) == []
    assert portal.problems(None, [Application({}), Application({})]) == found * 2


def test_a_form_is_drawn_with_label_hint_error_and_box_tied_together():
    page = str(Application({}))
    assert 'aria-describedby="id_number_helptext id_number_error"' in page
    assert 'id="id_number_helptext"' in page
    assert 'id="id_number_error"' in page
    assert 'class="input mono"' in page
    assert "placeholder" not in page
    assert '<fieldset class="field has-error" aria-describedby="id_kind_error">' in page
    assert "Nobody pays you yet" in page
    assert page.count("choices-inline") == 1
    assert page.count("(optional)") == 2
    assert '<input type="hidden" name="version"' in page
    assert "Too late." not in page


def test_pages_without_a_request_know_where_they_are(settings):
    settings.ENVIRONMENT_LABEL, settings.SUPPLIER_NAME = "UAT", "Larkmoor & Sons"
    assert drawn("{% environment %} {% supplier %}") == "UAT Larkmoor &amp; Sons"


@pytest.mark.parametrize("page", ["400.html", "500.html"])
def test_the_plain_error_pages_need_no_context(page, settings):
    settings.ENVIRONMENT_LABEL = "UAT"
    written = render_to_string(page)
    assert 'class="env env-uat">UAT<' in written
    assert "<script" not in written
