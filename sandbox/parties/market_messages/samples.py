"""Good messages, one for each scenario, all invented."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.parties.market_messages.scenario import Scenario
from sandbox.parties.registry.mpan import import_mpan

# One white pixel each.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAFA3PEY8MlBGQUZaVVBfeMiCeG5uePWvuZHI//////////////////////"
    "//////////////////////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABP/EABQQAQAAAAAA"
    "AAAAAAAAAAAAAAD/2gAIAQEAAD8Aa//Z"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, what it is for, and the scenario that it leads to."""

    name: str
    purpose: str
    scenario: Scenario
    message: Mapping[str, Any]


def _job(number: int) -> dict[str, str]:
    return {
        "job_id": f"5a3c1e00-0000-4000-8000-{number:012}",
        "mpan": import_mpan(20_000_000 + number),
        "supplier_mpid": "LUMX",
        "contact_name": "Nerys Alderfen",
        "address": f"{number} Thimble Court",
        "town": "Quenmouth",
        "post_code": "WX8 4LT",
        "contact_telephone": "01632960124",
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
RISKS = {
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
    "rate_2_reading": "04410",
    "smart_meter": True,
    "comms_state": "Flashing every 5 seconds",
    "photo": JPEG,
}
SAFETY = {
    "polarity_test_passed": True,
    "consumer_issue": False,
    "can_continue": True,
}
WORK = {
    "pre_job_photo": JPEG,
    "action_required": "Install Isolator",
    "site_de_energised": True,
    "de_energisation_time": "2026-02-03T10:05:00.000Z",
    "site_re_energised": True,
    "re_energisation_time": "2026-02-03T10:40:00.000Z",
    "fuse_resealed": True,
    "post_resealing_photo": PNG,
    "isolator_fitted": True,
    "meter_tails_upgraded": False,
    "polarity_test_passed": True,
    "comms_state": "Flashing every 5 seconds",
    "post_job_photo": JPEG,
}
COMPLETED = {
    "outcome": "Completed",
    "date_of_action": "2026-02-03",
    "notices_issued": "Not Applicable",
    "job_notes": "Done as agreed.",
}
ABORTED = {
    "outcome": "Aborted",
    "date_of_action": "2026-02-03",
    "abort_category": "Supply Issues",
    "abort_supply": "04",
    "notices_issued": "Not Applicable",
    "job_notes": "Job aborted, supply issues",
}
NO_ISOLATOR = {
    "isolator_fitted": False,
    "isolator_failure_reason": "Damaged initial isolator, no spare on van.",
}


def _worked(number: int, **work: Any) -> dict[str, Any]:
    """Make a message with all seven blocks; None takes a field of the work out."""
    done = {name: value for name, value in (WORK | work).items() if value is not None}
    return {
        "job_details": _job(number),
        "customer_contact": CONTACT,
        "risk_assessment": RISKS,
        "meter": METER,
        "site_safety": SAFETY,
        "job_execution": done,
        "job_completion": COMPLETED,
    }


def _prevented() -> dict[str, Any]:
    contact = {
        "critical_medical_equipment": True,
        "critical_medical_equipment_info": "Feeding machine.",
        "prevented_to_proceed": "Critical Medical Equipment",
    }
    return {
        "job_details": _job(2) | {"customer_vulnerability": "Children over 5"},
        "customer_contact": CONTACT | contact,
        "job_completion": ABORTED,
    }


def _unsafe() -> dict[str, Any]:
    issue = {"dno_issue": "B", "dno_code_b": "B01", "dno_comment": "DNO issue on site."}
    return {
        "job_details": _job(3),
        "customer_contact": CONTACT,
        "risk_assessment": RISKS,
        "meter": METER,
        "site_safety": SAFETY | issue | {"can_continue": False},
        "job_completion": ABORTED,
    }


SAMPLES: Mapping[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample(
            "completed",
            "Isolator fitted, supply restored: all seven blocks",
            Scenario.ISOLATOR_FITTED,
            _worked(1),
        ),
        Sample(
            "prevented",
            "Aborted at the door for medical equipment: the three blocks that are always required",
            Scenario.ABORTED,
            _prevented(),
        ),
        Sample(
            "unsafe",
            "Aborted after the safety check, with an issue of the distributor",
            Scenario.ABORTED,
            _unsafe(),
        ),
        Sample(
            "no-isolator",
            "De-energised and re-energised, no isolator fitted",
            Scenario.DE_AND_RE_ENERGISED,
            _worked(4, **NO_ISOLATOR),
        ),
        Sample(
            "left-off",
            "Left de-energised",
            Scenario.LEFT_DE_ENERGISED,
            _worked(5, **NO_ISOLATOR, site_re_energised=False, re_energisation_time=None),
        ),
        Sample(
            "re-energised",
            "Re-energised only",
            Scenario.RE_ENERGISED,
            _worked(6, **NO_ISOLATOR, site_de_energised=False, de_energisation_time=None),
        ),
        Sample(
            "unchanged",
            "Neither de-energised nor re-energised",
            Scenario.NOTHING_CHANGED,
            _worked(
                7,
                **NO_ISOLATOR,
                site_de_energised=False,
                de_energisation_time=None,
                site_re_energised=False,
                re_energisation_time=None,
            ),
        ),
    )
}
