"""The seven blocks of a message and the type of each field, as section 4 and its examples show.

The tables of all blocks but `job_details` are lost: types come from the examples, and only what is
printed as required is required. Codes are those printed; the service may well know more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The form of a value; the text is how a refusal says it."""

    TEXT = "a string"
    MPAN = "an MPAN: a string of 13 digits whose last is the right check digit"
    FLAG = "true or false"
    WHOLE = "an integer"
    CODE = "a code: a string that is not empty"
    CODES = "an array of codes, which are strings"
    RATES = 'a string of two digits, such as "09"'
    READING = 'a string of digits, such as "28933"'
    PHOTO = "a JPEG or PNG picture as a base64 string"
    MOMENT = "a UTC time, such as 2025-01-08T12:05:00.000Z"
    DAY = "a date, such as 2025-01-28"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its form, whether the document says it is required, and its printed codes.

    `deciding` fields have no surviving "Required" column, but decide which blocks are required.
    """

    kind: Kind
    required: bool = False
    deciding: bool = False
    codes: tuple[str, ...] = ()


TEXT = Field(Kind.TEXT)
FLAG = Field(Kind.FLAG)
READING = Field(Kind.READING)
PHOTO = Field(Kind.PHOTO)
MOMENT = Field(Kind.MOMENT)
REQUIRED_TEXT = Field(Kind.TEXT, required=True)
DECIDING_FLAG = Field(Kind.FLAG, deciding=True)


def code(*printed: str) -> Field:
    """Make a field that holds one code."""
    return Field(Kind.CODE, codes=printed)


BLOCKS: Mapping[str, Mapping[str, Field]] = {
    "job_details": {
        "job_id": REQUIRED_TEXT,
        "mpan": Field(Kind.MPAN, required=True),
        "supplier_mpid": REQUIRED_TEXT,
        "contact_name": REQUIRED_TEXT,
        "address": REQUIRED_TEXT,
        "town": REQUIRED_TEXT,
        "post_code": REQUIRED_TEXT,
        "contact_telephone": REQUIRED_TEXT,
        "customer_vulnerability": TEXT,
        "site_risk": TEXT,
    },
    "customer_contact": {
        "contact_made": Field(Kind.FLAG, required=True),
        "call_outcome": code("Customer confirmed"),
        "arrived_on_site": FLAG,
        "able_to_access_property": FLAG,
        "critical_medical_equipment": FLAG,
        "critical_medical_equipment_info": TEXT,
        "third_party_presence": FLAG,
        "third_party_presence_info": TEXT,
        "prevented_to_proceed": Field(
            Kind.CODE, deciding=True, codes=("No", "Critical Medical Equipment")
        ),
    },
    "risk_assessment": {
        "engineer_competent": FLAG,
        "suitable_environment": FLAG,
        "suitable_heights": FLAG,
        "site_risk_list": Field(Kind.CODES, codes=("No risk identified",)),
        "safe_to_continue": FLAG,
        "meter_access_clear": DECIDING_FLAG,
        "site_energised": DECIDING_FLAG,
        "energisation_only_job": DECIDING_FLAG,
    },
    "meter": {
        "serial_number": TEXT,
        "location": code("A"),
        "reading_available": code("Yes"),
        "no_of_rates": Field(Kind.RATES),
        "number_of_dials": Field(Kind.WHOLE),
        **{f"rate_{rate}_reading": READING for rate in range(1, 10)},
        "smart_meter": FLAG,
        "comms_state": code("Flashing every 5 seconds"),
        "photo": PHOTO,
    },
    "site_safety": {
        "polarity_test_passed": FLAG,
        "dno_issue": code("B"),
        "dno_code_a": code("A05"),
        "dno_code_b": code("B01"),
        "dno_code_c": code("C02"),
        "dno_comment": TEXT,
        "metering_equipment_issues": code("22"),
        "meter_issue_comment": TEXT,
        "tampering_code": code("15"),
        "tamper_comment": TEXT,
        "consumer_issue": FLAG,
        "consumer_issue_type": code("Category EA issues"),
        "can_continue": DECIDING_FLAG,
    },
    "job_execution": {
        "pre_job_photo": PHOTO,
        "action_required": code("Install Isolator"),
        "site_de_energised": FLAG,
        "de_energisation_time": MOMENT,
        "site_re_energised": FLAG,
        "re_energisation_time": MOMENT,
        "fuse_resealed": FLAG,
        "post_resealing_photo": PHOTO,
        "isolator_fitted": FLAG,
        "isolator_failure_reason": TEXT,
        "meter_tails_upgraded": FLAG,
        "meter_tails_supplier": code("Own company"),
        "polarity_test_passed": FLAG,
        "comms_state": code("Flashing every 5 seconds"),
        "post_job_photo": PHOTO,
    },
    "job_completion": {
        # Not printed as required, but without it the service could not name a scenario.
        "outcome": Field(Kind.CODE, required=True, codes=("Aborted",)),
        "date_of_action": Field(Kind.DAY, deciding=True),
        "abort_category": code("Supply Issues"),
        "abort_engineer_risk_equipment": code("52"),
        "abort_meter_equipment": code("39"),
        "abort_access": code("20"),
        "abort_safety": code("23"),
        "abort_supply": code("04"),
        "abort_tampering": code("11"),
        "notices_issued": code("Not Applicable"),
        "job_notes": TEXT,
    },
}
CODE_FIELDS: Mapping[str, tuple[str, ...]] = {
    f"{block}.{name}": field.codes
    for block, fields in BLOCKS.items()
    for name, field in fields.items()
    if field.codes
}
