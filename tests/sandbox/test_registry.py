"""The played installation registry against the text of its specification."""

import re

import pytest
from localflavor.gb.forms import GBPostcodeField

from sandbox.parties.registry import Registry, tables
from sandbox.parties.registry.mpan import check_digit
from sandbox.server import start

LIVE, WITHDRAWN = (2, "Created"), (3, "Withdrawn")
PV = (10, "Solar PV")
UAT = {
    "MCS-01109073-U": (LIVE, PV),
    "MCS-01109052-T": (LIVE, PV),
    "MCS-01108964-F": (LIVE, PV),
    "MCS-01109048-C": (LIVE, PV),
    "MCS-01109028-R": (LIVE, PV),
    "MCS-01108865-Z": (WITHDRAWN, PV),
    "MCS-01108828-C": (WITHDRAWN, PV),
    "MCS-01108844-G": (WITHDRAWN, PV),
    "MCS-01108986-P": (WITHDRAWN, PV),
    "MCS-01108987-H": (WITHDRAWN, PV),
    "MCS-01109082-H": (LIVE, (1, "Air Source Heat Pump")),
    "MCS-01109083-C": (LIVE, (1, "Air Source Heat Pump")),
    "MCS-01109062-V": (LIVE, (1, "Air Source Heat Pump")),
    "MCS-01109079-R": (LIVE, (2, "Biomass")),
    "MCS-01109029-W": (LIVE, (2, "Biomass")),
    "MCS-01109031-V": (WITHDRAWN, (4, "Ground/Water source Heat Pump")),
    "MCS-01109033-O": (WITHDRAWN, (14, "Exhaust Air Heat Pump")),
    "MCS-01109038-B": (WITHDRAWN, (8, "Micro CHP")),
    "MCS-01109039-K": (WITHDRAWN, (18, "Solar Thermal")),
    "MCS-01108830-J": (WITHDRAWN, (2, "Biomass")),
}
SIZES = {"Postcode": 10, "Status_Description": 50, "GenerationMeterSerialNumber": 100}
KINDS = {"text": str, "whole": int, "decimal": float}
FORMS = {
    "CreatedDate": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "CommissioningDate": r"\d{4}-\d\d-\d\d",
}


@pytest.mark.parametrize("number", UAT)
def test_uat_certificate_has_the_status_and_technology_of_the_specification(caller, number):
    reply = caller.look_up(number)
    said = reply.json
    status, technology = UAT[number]
    assert reply.status == 200
    assert said["CertificateNumber"] == number
    assert (said["Status"], said["Status_Description"]) == status
    assert (said["Technology"], said["Technology_Description"]) == technology


@pytest.mark.parametrize("number", [*UAT, "MCS-80000000-A", "MCS-80099999-A"])
def test_a_reply_has_every_property_in_its_type_and_form(caller, number):
    reply = caller.look_up(number)
    said = reply.json
    assert list(said) == list(tables.PROPERTIES)
    for name, kind in tables.PROPERTIES.items():
        value = said[name]
        if value is not None:
            assert type(value) is KINDS[kind], name
            assert len(str(value)) <= SIZES.get(name, 255)
            assert re.fullmatch(FORMS.get(name, r".*"), str(value)), name
    for name in ("TotalCapacity", "EstimatedAnnualGeneration", "DeclaredNetCapacity"):
        assert re.search(rf'"{name}": \d+\.\d\d[,}}]'.encode(), reply.body), name


def test_look_up_tables_are_complete():
    assert len(tables.TECHNOLOGY) == 16
    assert not {5, 11, 12} & set(tables.TECHNOLOGY)
    assert list(tables.COUNTY) == list(range(96))
    assert (tables.COUNTY[25], tables.COUNTY[95]) == ("Norfolk", "Tyrone")
    assert list(tables.STATUS.values()) == ["In Progress", "Created", "Withdrawn", "Removed"]
    assert list(tables.INSTALLATION_TYPE) == [0, 1, 2]
    assert list(tables.CONNECTION) == [0, 1, 2, 3]


@pytest.mark.parametrize("number", ["MCS-00000000-X", "mcs-01109073-u", "MCS-80100000-A", "x%2Fy"])
def test_unknown_number_is_400_or_no_call_at_all(caller, number):
    assert caller.look_up(number).status == (404 if "%2F" in number else 400)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User": Registry.USER},
        {"Authorisation": Registry.TOKEN},
        {"User": Registry.USER, "Authorisation": "wrong"},
        {"User": "someone@example.org", "Authorisation": Registry.TOKEN},
        {"User": Registry.USER, "Authorization": Registry.TOKEN},
    ],
)
def test_wrong_credentials_are_401_and_never_logged(caller, played, headers):
    assert caller.look_up("MCS-01109073-U", headers).status == 401
    entry = played.log()[0]
    assert entry["credentials"] is False
    assert entry["status"] == 401
    secrets = dict.fromkeys(headers, "(masked)")
    assert {name: entry["headers"][name] for name in headers} == secrets


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/GetInstallation"), ("GET", "/Other/1"), ("POST", "/GetInstallation/1")],
)
def test_other_paths_and_methods_are_404(caller, played, method, path):
    reply = caller.send(method, played.shared_url("registry") + path, headers={})
    assert reply.status == 404


def test_credentials_can_be_chosen(tmp_path, caller_of):
    sandbox = start(0, tmp_path / "s.sqlite3", parties=[Registry(user="me", token="mine")])
    try:
        caller = caller_of(sandbox)
        chosen = {"User": "me", "Authorisation": "mine"}
        assert caller.look_up("MCS-01109073-U", chosen).status == 200
        assert caller.look_up("MCS-01109073-U").status == 401
    finally:
        sandbox.stop()


def test_credentials_come_from_the_environment(tmp_path, caller_of, monkeypatch):
    monkeypatch.setenv("SANDBOX_SEG_USER", "env@example.org")
    monkeypatch.setenv("SANDBOX_SEG_TOKEN", "from-env")
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        chosen = {"User": "env@example.org", "Authorisation": "from-env"}
        assert caller_of(sandbox).look_up("MCS-01109073-U", chosen).status == 200
    finally:
        sandbox.stop()


@pytest.fixture
def shown(caller):
    return caller.control("GET", "/certificates").json


def test_every_mpan_is_valid_and_occurs_once(shown, caller):
    bulk = [
        caller.control("GET", f"/certificates/MCS-800{n:05}-A").json for n in range(0, 3000, 97)
    ]
    found = []
    for one in [*shown, *bulk]:
        if "wrong check digit" not in one["purpose"]:
            found += [one["applicant"]["import_mpan"], one["applicant"]["export_mpan"]]
    found = [mpan for mpan in found if mpan]
    assert all(len(mpan) == 13 and int(mpan[12]) == check_digit(mpan[:12]) for mpan in found)
    assert all(10 <= int(mpan[:2]) <= 23 for mpan in found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("valid", ["1129383838383", "1012345678903", "2012345678906"])
def test_check_digit(valid):
    assert check_digit(valid[:12]) == int(valid[12])


def test_every_postcode_has_the_form_of_a_british_one(shown, caller):
    bulk = [
        caller.control("GET", f"/certificates/MCS-800{n:05}-A").json for n in range(0, 9000, 401)
    ]
    for one in [*shown, *bulk]:
        GBPostcodeField().clean(one["applicant"]["postcode"])
        GBPostcodeField().clean(one["certificate"]["Postcode"])


def test_clean_certificates_match_their_applicants(shown, caller):
    bulk = [caller.control("GET", f"/certificates/MCS-800{n:05}-A").json for n in (0, 7, 99_999)]
    for one in [*(one for one in shown if one["group"] == "uat"), *bulk]:
        said, applicant = one["certificate"], one["applicant"]
        assert said["AddressLine1"] == applicant["address_line_1"]
        assert applicant["town"] in (said["AddressLine2"], said["AddressLine3"])
        assert said["Postcode"] == applicant["postcode"]
        assert said["MPAN"] == applicant["import_mpan"]


def test_bulk_certificates_are_live_solar_pv_at_different_addresses(caller):
    homes = set()
    for place in range(0, 1000, 3):
        said = caller.control("GET", f"/certificates/MCS-800{place:05}-A").json["certificate"]
        assert (said["Status"], said["Technology"]) == (2, 10)
        homes.add((said["AddressLine1"], said["AddressLine2"], said["Postcode"]))
    assert len(homes) == 334


def _special(shown, words):
    return next(one for one in shown if words in one["purpose"])


def test_in_progress_becomes_created_with_the_third_look_up(shown, caller):
    number = _special(shown, "In Progress for two")["number"]
    assert [caller.look_up(number).json["Status"] for _ in range(4)] == [1, 1, 2, 2]
    assert caller.control("GET", f"/certificates/{number}").json["look_ups"] == 4


def test_strangers_do_not_move_a_certificate_on(shown, caller):
    number = _special(shown, "In Progress for two")["number"]
    for _ in range(3):
        caller.look_up(number, {})
    assert caller.look_up(number).json["Status"] == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("In Progress, and stays so", {"Status": 1}),
        ("Removed", {"Status": 4, "Status_Description": "Removed"}),
        ("Over 50 kW", {"TotalCapacity": 52.0}),
        ("Exactly 50.00 kW", {"TotalCapacity": 50.0}),
        ("MPAN is null", {"MPAN": None}),
        ("Capacity is null", {"TotalCapacity": None}),
        ("Commissioning date is null", {"CommissioningDate": None}),
        ("Commissioned in the future", {"CommissioningDate": "2099-06-01"}),
        ("InstallationType is a text", {"InstallationType": "Domestic"}),
        ("technology that the specification does not list", {"Technology": 99}),
        ("status that the specification does not list", {"Status": 9}),
        ("Hydro", {"Technology": 7}),
        ("Micro CHP (8)", {"Technology": 8}),
        ("Wind Turbine", {"Technology": 13}),
        ("technology Unspecified", {"Technology": 0}),
        ("DNO: consent", {"DNONotificationCompliance": 2}),
        ("DNO: not applicable", {"DNONotificationCompliance": 3}),
        ("DNO: unspecified", {"DNONotificationCompliance": 0}),
    ],
)
def test_special_certificate_says_what_it_is_for(shown, caller, words, expected):
    said = caller.look_up(_special(shown, words)["number"]).json
    assert said | expected == said


def test_nulls_and_missing_properties(shown, caller):
    nulls = caller.look_up(_special(shown, "may be null is null")["number"]).json
    missing = caller.look_up(_special(shown, "may be null is left out")["number"]).json
    gone = set(nulls) - set(missing)
    assert len(gone) == 13
    assert all(nulls[name] is None for name in gone)
    dateless = caller.look_up(_special(shown, "Commissioning date is missing")["number"]).json
    assert "CommissioningDate" not in dateless


def test_unusual_forms_of_a_reply(shown, caller):
    one = _special(shown, "list of one")["number"]
    assert [item["CertificateNumber"] for item in caller.look_up(one).json] == [one]
    assert caller.look_up(_special(shown, "empty list")["number"]).json == []
    assert len(caller.look_up(_special(shown, "list of two")["number"]).json) == 2
    asked = _special(shown, "another certificate")["number"]
    assert caller.look_up(asked).json["CertificateNumber"] != asked


def test_slight_differences_to_the_applicant(shown):
    house = _special(shown, "House 14A")
    assert house["number"] == "MCS-90417326-K"
    assert house["certificate"]["AddressLine1"] == "14A Saltmarsh Row"
    assert house["applicant"]["address_line_1"] == "14 Saltmarsh Row"
    for words, said, given in [
        ("The postcode differs", "Postcode", "postcode"),
        ("The MPAN differs", "MPAN", "import_mpan"),
    ]:
        one = _special(shown, words)
        assert one["certificate"][said] != one["applicant"][given]


def test_changes_last_over_a_restart_and_end_with_a_reset(tmp_path, caller_of):
    state, number = tmp_path / "s.sqlite3", "MCS-70000004-E"
    sandbox = start(0, state)
    changed = caller_of(sandbox).control("POST", f"/certificates/{number}", {"Status": 3})
    sandbox.stop()
    assert changed.json["certificate"]["Status_Description"] == "Withdrawn"
    sandbox = start(0, state)
    try:
        caller = caller_of(sandbox)
        assert caller.look_up(number).json["Status"] == 3
        caller.control("POST", "/reset", {})
        assert caller.look_up(number).json["Status"] == 2
    finally:
        sandbox.stop()


def test_changed_decimals_keep_their_two_places(caller):
    number = "MCS-01109073-U"
    caller.control("POST", f"/certificates/{number}", {"TotalCapacity": 7, "MPAN": None})
    reply = caller.look_up(number)
    assert b'"TotalCapacity": 7.00' in reply.body
    assert reply.json["MPAN"] is None


def test_unknown_properties_and_numbers_are_not_changed(caller):
    unknown = caller.control("POST", "/certificates/MCS-01109073-U", {"Statuss": 3})
    assert (unknown.status, "Statuss" in unknown.json["details"]) == (400, True)
    assert caller.control("POST", "/certificates/MCS-1", {"Status": 3}).status == 400
    assert caller.control("GET", "/certificates/MCS-1").status == 404
