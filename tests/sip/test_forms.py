"""Forms: a new job is judged, a block of the worksheet keeps whatever was typed."""

from datetime import date

import pytest
from django.http import QueryDict

from sip import messages, rules
from sip.forms import CodeForm, JobForm, PeriodForm, PlanForm, SettleForm
from sip.worksheet_forms import OTHER, BlockForm, with_own_values
from tests.factories.applications import mpan

GOOD = {
    "mpan": "13 0000 0000 043",
    "supplier_mpid": "lark",
    "contact_name": "Briony Catch",
    "address": "1 Thimble Court",
    "town": "Quenmouth",
    "post_code": "cv54dd",
    "contact_telephone": "01632 960124",
    "planned_date": "2026-11-30",
}


def block_form(name, typed=None, answers=None, choices=None, **how):
    query = None
    if typed is not None:
        query = QueryDict(mutable=True)
        fields = [field.name for field in messages.BLOCKS[name].fields]
        query.setlist("asked", how.pop("asked", fields))
        for key, value in typed.items():
            query.setlist(key, value if isinstance(value, list) else [value])
    held = {block: {} for block in messages.BLOCKS} | (answers or {})
    return BlockForm(query, block=messages.BLOCKS[name], answers=held, choices=choices or {}, **how)


# ---- A new job ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_new_job_is_normalised():
    form = JobForm({**GOOD, "mpan": f" {mpan(130000000004)[:6]} {mpan(130000000004)[6:]} "})
    assert form.is_valid(), form.errors
    details = form.details()
    assert (details.mpan, details.supplier_mpid) == (mpan(130000000004), "LARK")
    assert (details.post_code, details.planned_date) == ("CV5 4DD", date(2026, 11, 30))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("mpan", "1300000000044"),
        ("mpan", "12345"),
        ("supplier_mpid", "L-RK"),
        ("post_code", "nowhere"),
        ("contact_telephone", "ring the bell"),
        ("planned_date", "soon"),
        ("contact_name", ""),
    ],
)
def test_a_new_job_with_a_mistake_says_where(field, typed):
    form = JobForm({**GOOD, "mpan": mpan(130000000004), field: typed})
    assert not form.is_valid()
    assert list(form.errors) == [field]


@pytest.mark.django_db
def test_only_engineers_can_be_given_a_job(person, engineer):
    office = person("safe isolation")
    assert PlanForm({"engineer": engineer.pk}).is_valid()
    assert not PlanForm({"engineer": office.pk}).is_valid()


def test_settling_needs_a_whole_sentence():
    form = SettleForm({"answer": "received", "told_by": "Jo", "reason": "yes"})
    assert list(form.errors) == ["reason"]


def test_a_code_with_control_signs_is_not_taken():
    assert not CodeForm({"value": "A\u000005"}).is_valid()
    assert CodeForm({"value": "A05"}).is_valid()


@pytest.mark.parametrize(
    ("first", "last", "good"),
    [
        ("2026-01-01", "2026-01-31", True),
        ("2026-02-01", "2026-01-31", False),
        ("0001-01-01", "", False),
        ("", "9999-12-31", False),
    ],
)
def test_a_period_has_days_of_a_calendar(first, last, good):
    assert PeriodForm({"first": first, "last": last}).is_valid() is good


# ---- A block keeps what was typed ----------------------------------------------------------------


def test_answers_have_the_types_of_the_specification():
    form = block_form(
        "meter",
        {
            "serial_number": " L12 ",
            "reading_available": "Yes",
            "no_of_rates": "02",
            "number_of_dials": "5",
            "rate_1_reading": "00412",
            "smart_meter": "no",
        },
    )
    assert form.typed() == {
        "serial_number": "L12",
        "reading_available": "Yes",
        "no_of_rates": "02",
        "number_of_dials": 5,
        "rate_1_reading": "00412",
        "smart_meter": False,
    }


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (("2026-07-01", "12:05"), "2026-07-01T11:05:00.000Z"),
        (("2026-01-08", "12:05"), "2026-01-08T12:05:00.000Z"),
        (("2026-01-08", ""), "2026-01-08T"),
        (("", "12:05"), "T12:05"),
        (("0001-01-01", "00:00"), "0001-01-01T00:00"),
        (("", ""), None),
    ],
)
def test_a_time_of_london_is_sent_in_utc_and_a_half_one_is_kept(typed, kept):
    day, clock = typed
    boxes = {"de_energisation_time": day, "de_energisation_time__clock": clock}
    answers = block_form("job_execution", boxes).typed()
    assert answers.get("de_energisation_time") == kept
    again = block_form(
        "job_execution", None, {"job_execution": {"site_de_energised": True, **answers}}
    )
    shown = again.initial
    assert shown.get("de_energisation_time", "") == day
    assert shown.get("de_energisation_time__clock", "") == clock


@pytest.mark.parametrize(
    "typed", ["five", "-3", "99999", "٣", "1e3", "5\u0000", "<b>5</b>", " " * 400 + "x"]
)
def test_what_is_no_number_is_kept_as_it_was_typed_and_judged(typed):
    kept = block_form("meter", {"number_of_dials": typed}).typed()
    answers = {"meter": {"reading_available": "Yes", **kept}}
    wrong = {each.field for each in rules.block_problems(answers, "meter")}
    assert ("number_of_dials" in wrong) is (typed != "5\u0000")


def test_a_code_that_is_on_no_list_can_be_used_and_is_shown_again():
    choices = {"dno_issue": [("A", "A: emergency")]}
    typed = {"dno_issue": OTHER, "dno_issue__another": "Q7"}
    answers = block_form("site_safety", typed, choices=choices).typed()
    assert answers == {"dno_issue": "Q7"}
    block = messages.BLOCKS["site_safety"]
    own = with_own_values(choices, block, answers)
    form = block_form("site_safety", None, {"site_safety": answers}, own)
    (row,) = [row for row in form.rows({}, {"dno_issue": {"A"}}) if row.field.name == "dno_issue"]
    assert row.unlisted == ["Q7"]
    assert "Q7 (not on our list)" in str(row.box)


def test_a_listed_choice_wins_over_a_forgotten_other_one():
    choices = {"dno_issue": [("A", "A")]}
    typed = {"dno_issue": "A", "dno_issue__another": "Q7"}
    assert block_form("site_safety", typed, choices=choices).typed() == {"dno_issue": "A"}


def test_risks_are_a_list_with_an_own_one():
    choices = {"site_risk_list": [("No risk identified", ""), ("Dog", "")]}
    typed = {"site_risk_list": ["Dog"], "site_risk_list__another": "Ladder missing"}
    form = block_form("risk_assessment", typed, choices=choices)
    assert form.typed()["site_risk_list"] == ["Dog", "Ladder missing"]


def test_what_the_page_did_not_ask_stays_as_it_was():
    answers = {"customer_contact": {"critical_medical_equipment_info": "kept"}}
    form = block_form("customer_contact", {"contact_made": "yes"}, answers, asked=["contact_made"])
    assert form.typed() == {"contact_made": True, "critical_medical_equipment_info": "kept"}


def test_an_emptied_answer_is_gone():
    answers = {"customer_contact": {"contact_made": True, "call_outcome": "x"}}
    form = block_form("customer_contact", {"call_outcome": ""}, answers)
    assert form.typed() == {}


def test_questions_without_a_place_are_not_asked():
    names = {row.field.name for row in block_form("customer_contact").rows({}, {})}
    assert "critical_medical_equipment" in names
    assert "critical_medical_equipment_info" not in names
    yes = {"customer_contact": {"critical_medical_equipment": True}}
    rows = {row.field.name: row for row in block_form("customer_contact", None, yes).rows({}, {})}
    assert rows["critical_medical_equipment_info"].required
    assert rows["critical_medical_equipment_info"].because


def test_the_job_id_is_never_a_question():
    assert "job_id" not in block_form("job_details").fields
    typed = {"job_id": "forged", "town": "Q"}
    assert "job_id" not in block_form("job_details", typed).typed()


def test_every_sentence_of_the_rules_stands_at_its_box():
    form = block_form("job_completion", None, judged=True)
    form.judge(rules.block_problems({"job_completion": {}}, "job_completion"))
    assert set(form.errors) == {"outcome", "date_of_action", "notices_issued"}
