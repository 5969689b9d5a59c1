"""What the rules make of a worksheet: blocks, dependent fields, problems, warnings, refusals."""

from copy import deepcopy
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import messages, rules
from sip.messages import Detail
from sip.rules import Need

DETAILS = {
    "job_id": "87d00eff-42b5-40a6-bf69-abcb66f054ff",
    "mpan": "1129383838383",
    "supplier_mpid": "TEST",
    "contact_name": "Mr Bob Smith",
    "address": "Flat 1, 25 Spear Building, High Street",
    "town": "Coventry",
    "post_code": "CV5 4DD",
    "contact_telephone": "07737374773",
}
CONTACT = {
    "contact_made": True,
    "call_outcome": "Customer confirmed",
    "arrived_on_site": True,
    "able_to_access_property": True,
    "critical_medical_equipment": False,
    "third_party_presence": False,
    "prevented_to_proceed": "No",
}
RISK = {
    "engineer_competent": True,
    "suitable_environment": True,
    "suitable_heights": True,
    "site_risk_list": ["No risk identified"],
    "safe_to_continue": True,
    "meter_access_clear": True,
    "site_energised": True,
    "energisation_only_job": False,
}
METER = {
    "serial_number": "L1282738282",
    "location": "A",
    "reading_available": "Yes",
    "no_of_rates": "02",
    "number_of_dials": 5,
    "rate_1_reading": "28933",
    "rate_2_reading": "00017",
    "smart_meter": False,
}
SAFETY = {"polarity_test_passed": True, "consumer_issue": False, "can_continue": True}
WORK = {
    "action_required": "Install Isolator",
    "site_de_energised": True,
    "de_energisation_time": "2025-01-08T12:05:00.000Z",
    "site_re_energised": True,
    "re_energisation_time": "2025-01-08T12:35:00.000Z",
    "fuse_resealed": True,
    "isolator_fitted": True,
    "meter_tails_upgraded": False,
    "polarity_test_passed": True,
}
RESULT = {
    "outcome": "Completed",
    "date_of_action": "2025-01-08",
    "notices_issued": "Not Applicable",
}
WHOLE = {
    "job_details": DETAILS,
    "customer_contact": CONTACT,
    "risk_assessment": RISK,
    "meter": METER,
    "site_safety": SAFETY,
    "job_execution": WORK,
    "job_completion": RESULT,
}


def whole(**changes):
    """A complete worksheet with some answers changed: whole(meter__smart_meter=True)."""
    answers = deepcopy(WHOLE)
    for path, value in changes.items():
        block, _, name = path.partition("__")
        answers[block][name] = value
    return answers


def places(answers, photos=()):
    return [(each.block, each.field) for each in rules.problems(answers, photos)]


def sent_blocks(answers):
    return [name for name, each in rules.required_blocks(answers).items() if each.required]


def test_a_complete_worksheet_has_no_problem():
    assert rules.problems(WHOLE) == []
    assert sent_blocks(WHOLE) == [block.name for block in messages.WORKSHEET]
    assert rules.complete(WHOLE) == dict.fromkeys(WHOLE, True)


# ---- Blocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "block", "required", "words"),
    [
        ({}, "risk_assessment", True, "nothing prevented you"),
        (
            {"customer_contact__prevented_to_proceed": "Critical Medical Equipment"},
            "risk_assessment",
            False,
            "something prevented you",
        ),
        (
            {"customer_contact__prevented_to_proceed": None},
            "risk_assessment",
            False,
            "not answered yet",
        ),
        ({}, "meter", True, "the meter access is clear"),
        ({"risk_assessment__meter_access_clear": False}, "meter", False, "is not clear"),
        ({"risk_assessment__meter_access_clear": None}, "meter", False, "not answered yet"),
        ({"customer_contact__prevented_to_proceed": "Dog"}, "meter", False, "Risk assessment"),
        ({}, "site_safety", True, "the supply is on"),
        (
            {
                "risk_assessment__site_energised": False,
                "risk_assessment__energisation_only_job": True,
            },
            "site_safety",
            True,
            "only about switching on",
        ),
        ({"risk_assessment__site_energised": False}, "site_safety", False, "the supply is off"),
        ({"risk_assessment__site_energised": None}, "site_safety", False, "not answered yet"),
        ({}, "job_execution", True, "you can go on"),
        ({"site_safety__can_continue": False}, "job_execution", False, "you cannot go on"),
        ({"site_safety__can_continue": None}, "job_execution", False, "not answered yet"),
        ({"risk_assessment__site_energised": False}, "job_execution", False, "Site safety"),
        ({}, "job_details", True, "every message"),
        ({}, "customer_contact", True, "every message"),
        ({}, "job_completion", True, "every message"),
    ],
)
def test_a_block_is_sent_when_the_rules_require_it_and_the_reason_is_said(
    changes, block, required, words
):
    verdict = rules.required_blocks(whole(**changes))[block]
    assert verdict.required is required
    assert words in verdict.sentence
    assert verdict.sentence.startswith("Asked" if required else "Left out")


def test_no_reason_names_what_prevented_the_engineer():
    answers = whole(customer_contact__prevented_to_proceed="Planted oxygen concentrator")
    said = [each.sentence for each in rules.required_blocks(answers).values()]
    said += [each.sentence for each in rules.left_out(answers)]
    said += [each.sentence for each in rules.warnings(answers, {})]
    assert "oxygen" not in " ".join(said)


def test_what_is_left_out_is_kept_and_said():
    answers = whole(
        risk_assessment__meter_access_clear=False,
        customer_contact__critical_medical_equipment_info="Planted pump",
    )
    photos = ("meter.photo", "job_execution.pre_job_photo")
    found = {(each.block, each.field): each.sentence for each in rules.left_out(answers, photos)}
    assert "the meter access is not clear" in found["meter", ""]
    assert ("customer_contact", "critical_medical_equipment_info") in found
    assert "meter" not in rules.sent(answers)
    assert "critical_medical_equipment_info" not in rules.sent(answers)["customer_contact"]
    assert rules.sent_photos(answers, photos) == ["job_execution.pre_job_photo"]


# ---- Dependent fields ------------------------------------------------------------------------

NEEDED = [
    ("customer_contact__critical_medical_equipment", True, "critical_medical_equipment_info"),
    ("customer_contact__third_party_presence", True, "third_party_presence_info"),
    ("meter__smart_meter", True, "comms_state"),
    ("meter__no_of_rates", "03", "rate_3_reading"),
    ("site_safety__dno_issue", "A", "dno_code_a"),
    ("site_safety__dno_issue", "B", "dno_code_b"),
    ("site_safety__dno_issue", "C", "dno_code_c"),
    ("site_safety__consumer_issue", True, "consumer_issue_type"),
    ("job_execution__isolator_fitted", False, "isolator_failure_reason"),
    ("job_execution__meter_tails_upgraded", True, "meter_tails_supplier"),
    ("job_execution__de_energisation_time", None, "de_energisation_time"),
    ("job_execution__re_energisation_time", None, "re_energisation_time"),
    ("job_completion__outcome", "Aborted", "abort_category"),
]


@pytest.mark.parametrize(("path", "value", "field"), NEEDED)
def test_a_field_is_needed_with_its_condition_and_says_why(path, value, field):
    answers = whole(**{path: value})
    block = path.partition("__")[0]
    assert places(answers) == [(block, field)]
    [problem] = rules.problems(answers)
    assert rules.because(block, field) in problem.sentence


@pytest.mark.parametrize("key", sorted(rules.DEPENDENT))
def test_a_dependent_field_has_no_place_in_an_empty_worksheet(key):
    block, _, name = key.partition(".")
    field = messages.BLOCKS[block].field(name)
    assert rules.need({}, block, field) is Need.NONE
    assert rules.because(block, name)


def test_as_many_readings_as_rates():
    answers = whole(meter__no_of_rates="01")
    assert "rate_2_reading" not in rules.sent(answers)["meter"]
    answers = whole(meter__reading_available="No")
    assert {"rate_1_reading", "no_of_rates", "number_of_dials"}.isdisjoint(
        rules.sent(answers)["meter"]
    )
    assert places(whole(meter__rate_1_reading="123456")) == [("meter", "rate_1_reading")]
    assert places(whole(meter__no_of_rates="10")) == [("meter", "no_of_rates")]


def test_the_supply_is_switched_on_after_it_was_switched_off():
    early = "2025-01-08T12:04:00.000Z"
    assert places(whole(job_execution__re_energisation_time=early)) == [
        ("job_execution", "re_energisation_time")
    ]
    off = whole(job_execution__site_de_energised=False, job_execution__re_energisation_time=early)
    assert places(off) == []


@pytest.mark.parametrize(
    ("category", "field"),
    [
        ("Supply Issues", "abort_supply"),
        ("Access", "abort_access"),
        ("Safety", "abort_safety"),
        ("Tampering", "abort_tampering"),
        ("Meter equipment", "abort_meter_equipment"),
        ("Engineer Risk / Equipment", "abort_engineer_risk_equipment"),
        ("Something else", None),
    ],
)
def test_an_abort_code_belongs_to_its_category(category, field):
    assert rules.abort_field_of(category) == field
    answers = whole(job_completion__outcome="Aborted", job_completion__abort_category=category)
    assert places(answers) == [("job_completion", field or "abort_category")]
    answers["job_completion"] |= dict.fromkeys(messages.ABORT_CODES, "04")
    sent = rules.sent(answers)["job_completion"]
    if field:
        assert [name for name in messages.ABORT_CODES if name in sent] == [field]
        assert places(answers) == []
    else:
        assert len(places(answers)) == 1


def test_an_unclear_category_takes_exactly_one_code():
    answers = whole(
        job_completion__outcome="Aborted",
        job_completion__abort_category="Something else",
        job_completion__abort_access="20",
    )
    assert rules.problems(answers) == []


# ---- Values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("job_details__mpan", "1129383838384"),
        ("job_details__mpan", "11 2938 3838 383"),
        ("job_details__post_code", "nowhere"),
        ("job_details__supplier_mpid", "TOOLONG"),
        ("job_details__contact_telephone", "none"),
        ("customer_contact__contact_made", "yes"),
        ("customer_contact__contact_made", None),
        ("risk_assessment__site_risk_list", "No risk identified"),
        ("risk_assessment__site_risk_list", ["No risk identified", "Dog"]),
        ("risk_assessment__site_risk_list", ["Dog", "dog"]),
        ("meter__number_of_dials", "5"),
        ("meter__number_of_dials", True),
        ("meter__number_of_dials", 0),
        ("meter__rate_1_reading", "2 893"),
        ("meter__rate_1_reading", "２８"),
        ("meter__serial_number", "x" * 21),
        ("meter__serial_number", "a\x00b"),
        ("job_execution__de_energisation_time", "2025-01-08T12:05:00Z"),
        ("job_execution__de_energisation_time", "2025-02-30T12:05:00.000Z"),
        ("job_completion__date_of_action", "08/01/2025"),
        ("job_completion__date_of_action", "2025-02-30"),
    ],
)
def test_a_wrong_value_is_a_problem_at_its_field(path, value):
    assert tuple(path.split("__")) in places(whole(**{path: value}))


def test_days_and_times_to_come_are_found():
    found = rules.problems(WHOLE, today=date(2025, 1, 7))
    assert {each.field for each in found} == {
        "de_energisation_time",
        "re_energisation_time",
        "date_of_action",
    }
    assert rules.problems(WHOLE, today=date(2025, 1, 8)) == []


# ---- Warnings --------------------------------------------------------------------------------

KNOWN = {
    field.codes: {
        value
        for values in WHOLE.values()
        for name, one in values.items()
        if name == field.name
        for value in (one if isinstance(one, list) else [one])
    }
    for _, field in messages.every_field()
    if field.codes
}
KNOWN["meter_location"] = {"A"}


PHOTOS = messages.photo_keys()


def warned(answers, photos=PHOTOS):
    return {each.code for each in rules.warnings(answers, KNOWN, photos)}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"job_execution__site_re_energised": False}, "no supply"),
        ({"job_details__customer_vulnerability": "Children"}, "vulnerable"),
        ({"customer_contact__critical_medical_equipment": True}, "vulnerable"),
        ({"site_safety__dno_issue": "A"}, "category A"),
        ({"meter__location": "Behind the boiler"}, "unknown code"),
        ({"site_safety__can_continue": False}, "not done"),
        ({"risk_assessment__safe_to_continue": False}, "not safe"),
        ({"job_completion__date_of_action": "2025-01-09"}, "other day"),
    ],
)
def test_what_the_sender_must_see(changes, code):
    assert warned(WHOLE) == set()
    assert code in warned(whole(**changes))


def test_a_missing_photo_and_a_private_unknown_code_are_warned_about():
    assert warned(WHOLE, ()) == {"no photo"}
    found = rules.warnings(whole(risk_assessment__site_risk_list=["Planted dog"]), KNOWN)
    assert any(each.code == "unknown code" for each in found)
    assert "Planted" not in " ".join(each.sentence for each in found)


# ---- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        ("job_details.mpan", "bad", ("job_details", "mpan")),
        ("body.meter.rate_2_reading", "bad", ("meter", "rate_2_reading")),
        ("meter", "required", ("meter", "")),
        ("risk_assessment.site_risk_list.0", "bad", ("risk_assessment", "site_risk_list")),
        ("siteSafety.canContinue", "bad", ("site_safety", "can_continue")),
        ("", "meter.no_of_rates: This field must be two digits.", ("meter", "no_of_rates")),
        ("", "job completion: abort supply is missing", ("job_completion", "abort_supply")),
        ("", "polarity_test_passed is required", ("", "")),
        (
            "job_execution",
            "polarity_test_passed is required",
            ("job_execution", "polarity_test_passed"),
        ),
        ("", "Something is wrong.", ("", "")),
        ("x.y", "Something is wrong.", ("", "")),
    ],
)
def test_a_detail_leads_to_its_field(path, text, place):
    [found] = rules.placed([Detail(text=text, path=path)])
    assert (found.block, found.field) == place
    assert (found.text, found.path) == (text, path)


# ---- Anything at all -------------------------------------------------------------------------

TEXTS = st.text("aZ 0é\0", max_size=6)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.sampled_from(["Yes", "No", "A", "Aborted", "Supply Issues", "03"]),
)
SHEETS = st.fixed_dictionaries(
    {
        block.name: st.dictionaries(
            st.sampled_from([field.name for field in block.fields]), VALUES, max_size=8
        )
        for block in messages.WORKSHEET
    }
)


@given(SHEETS)
def test_any_answers_get_a_verdict_and_a_message_of_required_blocks(answers):
    rules.problems(answers)
    rules.warnings(answers, {})
    rules.left_out(answers)
    sent = rules.sent(answers)
    assert list(sent) == sent_blocks(answers)
    for block, values in sent.items():
        for name in values:
            field = messages.BLOCKS[block].field(name)
            assert rules.need(answers, block, field) is not Need.NONE
    assert rules.sent(sent) == sent
