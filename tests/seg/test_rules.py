"""The rules of the export tariff: claim and certificate in, checks and verdict out."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg import messages, rules
from seg.messages import Installation
from seg.rules import Claim, Ground, Surroundings, check, differences, recheck, verdict

NUMBER = "MCS-01109073-U"
TODAY = date(2026, 11, 28)
IMPORT, EXPORT = "1400002000040", "1012345678903"

CLAIM = Claim(
    certificate=NUMBER,
    address=("14 Saltmarsh Row", "Eastwold"),
    postcode="LX3 7QP",
    import_mpan=IMPORT,
    export_mpan=EXPORT,
    dno_told="yes",
    fit_export_declared=True,
    received_on=TODAY,
)
INSTALLATION = Installation(
    certificate=NUMBER,
    status=messages.CREATED,
    technology=messages.SOLAR_PV,
    commissioning_date=date(2026, 9, 9),
    address_line_1="14 Saltmarsh Row",
    address_line_2="Eastwold",
    postcode="LX3 7QP",
    mpan=IMPORT,
    total_capacity=Decimal("3.60"),
    dno_notification=messages.NOTIFY_AFTERWARDS,
)
SURROUNDINGS = Surroundings(today=TODAY)


def checks(claim=None, installation=None, surroundings=None):
    return check(
        msgspec.structs.replace(CLAIM, **(claim or {})),
        msgspec.structs.replace(INSTALLATION, **(installation or {})),
        msgspec.structs.replace(SURROUNDINGS, **(surroundings or {})),
    )


def row(code, claim=None, installation=None, surroundings=None):
    [found] = [each for each in checks(claim, installation, surroundings) if each.code == code]
    return found


def decided(claim=None, installation=None, surroundings=None):
    return verdict(checks(claim, installation, surroundings))


def test_all_thirteen_pass():
    rows = checks()
    assert [each.code for each in rows if each.result != "pass"] == []
    assert len(rows) == 13
    assert verdict(rows).kind == "approve"
    assert verdict(rows).why == "All 13 checks pass"
    assert not any(each.customer_sentence or each.brief or each.ground for each in rows)


def test_every_row_has_title_and_sentence():
    rows = checks(surroundings={"tariff_open": False})
    assert [each.title for each in rows] == list(rules.TITLES.values())
    assert all(each.sentence.endswith((".", "?")) for each in rows)


# The certificates at the end of the specification; "Live" is status Created.
LIVE, GONE = messages.CREATED, messages.WITHDRAWN
UAT = {
    "MCS-01109073-U": (LIVE, 10),
    "MCS-01109052-T": (LIVE, 10),
    "MCS-01108964-F": (LIVE, 10),
    "MCS-01109048-C": (LIVE, 10),
    "MCS-01109028-R": (LIVE, 10),
    "MCS-01108865-Z": (GONE, 10),
    "MCS-01108828-C": (GONE, 10),
    "MCS-01108844-G": (GONE, 10),
    "MCS-01108986-P": (GONE, 10),
    "MCS-01108987-H": (GONE, 10),
    "MCS-01109082-H": (LIVE, 1),
    "MCS-01109083-C": (LIVE, 1),
    "MCS-01109062-V": (LIVE, 1),
    "MCS-01109079-R": (LIVE, 2),
    "MCS-01109029-W": (LIVE, 2),
    "MCS-01109031-V": (GONE, 4),
    "MCS-01109033-O": (GONE, 14),
    "MCS-01109038-B": (GONE, 8),
    "MCS-01109039-K": (GONE, 18),
    "MCS-01108830-J": (GONE, 2),
}


@pytest.mark.parametrize(("number", "pair"), UAT.items())
def test_certificates_of_the_specification(number, pair):
    status, technology = pair
    found = decided(
        {"certificate": number.lower()},
        {"certificate": number, "status": status, "technology": technology},
    )
    expected = (
        (Ground.WITHDRAWN,) if status == GONE else (),
        (Ground.TECHNOLOGY,) if technology != 10 else (),
    )
    assert found.refusals == expected[0] + expected[1]
    assert found.kind == ("refuse" if found.refusals else "approve")


def test_five_of_the_twenty_qualify():
    assert len(UAT) == 20
    assert sum(pair == (LIVE, 10) for pair in UAT.values()) == 5


@pytest.mark.parametrize(
    ("status", "technology", "surroundings", "kind", "refusals", "why"),
    [
        (2, 10, {}, "approve", "", "All 13 checks pass"),
        (3, 10, {}, "refuse", "withdrawn", "Certificate withdrawn"),
        (4, 10, {}, "refuse", "removed", "Certificate removed"),
        (1, 10, {}, "in_progress", "", "Certificate in progress, not completed yet"),
        (9, 10, {}, "review", "", "Certificate status is not a listed one"),
        (0, 10, {}, "review", "", "Certificate status is not a listed one"),
        (2, 1, {}, "refuse", "technology", "Air source heat pump: only solar PV qualifies"),
        (2, 13, {}, "refuse", "technology", "Wind turbine: only solar PV qualifies"),
        (
            2,
            13,
            {"review_technologies": {7, 8, 13}},
            "review",
            "",
            "Wind turbine: a person decides",
        ),
        (2, 1, {"review_technologies": {7, 8, 13}}, "refuse", "technology", None),
        (
            3,
            13,
            {"review_technologies": {7, 8, 13}},
            "refuse",
            "withdrawn",
            "Certificate withdrawn",
        ),
        (2, 0, {}, "review", "", "Technology is unspecified"),
        (2, 5, {}, "review", "", "Technology is not a listed one"),
        (2, 99, {}, "review", "", "Technology is not a listed one"),
        (1, 1, {}, "refuse", "technology", "Air source heat pump: only solar PV qualifies"),
        (
            3,
            2,
            {},
            "refuse",
            "withdrawn technology",
            "Certificate withdrawn; biomass boiler or stove: only solar PV qualifies",
        ),
    ],
)
def test_status_and_technology(status, technology, surroundings, kind, refusals, why):
    if "review_technologies" in surroundings:
        surroundings = {"review_technologies": frozenset(surroundings["review_technologies"])}
    found = decided(None, {"status": status, "technology": technology}, surroundings)
    assert found.kind == kind
    assert found.refusals == tuple(refusals.split())
    assert why is None or found.why == why
    assert (rules.ASK_FOR_REVIEW in found.customer_reason) == (kind == "refuse")


@pytest.mark.parametrize("technology", set(messages.TECHNOLOGY) - {0, 10})
def test_every_other_listed_technology_refuses_in_plain_words(technology):
    found = decided(None, {"technology": technology})
    assert found.kind == "refuse"
    assert found.customer_reason.startswith("Your certificate is for a")
    assert "solar panels" in found.customer_reason


def test_withdrawn_and_not_solar_gives_both_reasons():
    reason = decided(None, {"status": 3, "technology": 8}).customer_reason
    assert reason == (
        "MCS has withdrawn your certificate, so it cannot be used for an export tariff. "
        "Your certificate is for a micro CHP unit. "
        "We can pay an export tariff for solar panels (solar PV) only. "
        f"{rules.ASK_FOR_REVIEW}"
    )


def test_unlisted_values_show_the_registry_s_own_words():
    found = row("status", None, {"status": 7, "status_description": "Archived"})
    assert found.theirs == "Archived (7)"
    assert row("technology", None, {"technology": 99}).theirs == "Not listed (99)"


def test_not_found_goes_back_to_the_customer():
    rows = check(CLAIM, None, SURROUNDINGS)
    assert [each.code for each in rows] == ["found", "one_live", "export_mpan", "fit"]
    found = verdict(rows)
    assert (found.kind, found.why) == ("not_found", f"The registry does not know {NUMBER}")
    assert NUMBER in found.customer_reason


def test_an_endless_number_does_not_fill_the_list():
    rows = check(msgspec.structs.replace(CLAIM, certificate="1" * 255), None, SURROUNDINGS)
    assert len(verdict(rows).why) < 100


def test_another_certificate_never_decides():
    found = decided(None, {"certificate": "MCS-01108865-Z", "status": 3, "postcode": "ZZ1 1ZZ"})
    assert found.kind == "review"
    assert found.why == "The registry answered about another certificate"
    assert "withdrawn" not in found.customer_reason


@pytest.mark.parametrize(
    ("capacity", "result", "why"),
    [
        ("0.01", "pass", None),
        ("50", "pass", None),
        ("50.00", "pass", None),
        ("50.01", "look", "Capacity 50.01 kW is above 50 kW"),
        ("52", "look", "Capacity 52 kW is above 50 kW"),
        ("100.00", "look", "Capacity 100 kW is above 50 kW"),
        ("0", "look", "Capacity 0.00 kW cannot be right"),
        ("-4", "look", "Capacity -4.00 kW cannot be right"),
        (None, "look", "Capacity missing on the certificate"),
    ],
)
def test_capacity(capacity, result, why):
    changes = {"total_capacity": None if capacity is None else Decimal(capacity)}
    changes["dno_notification"] = messages.CONSENT_BEFORE
    assert row("capacity", None, changes).result == result
    found = decided(None, changes)
    assert found.kind == ("approve" if result == "pass" else "review")
    assert why is None or found.why == why.replace(" kW", "\xa0kW")


def test_capacity_shows_both_figures():
    found = row("capacity", None, {"declared_net_capacity": Decimal("3.00")})
    assert found.theirs == "3.60\xa0kW, declared net 3.00\xa0kW"
    assert found.sentence == "3.60\xa0kW, up to 50\xa0kW allowed."


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (TODAY, None),
        (date(2008, 1, 1), None),
        (date(2026, 11, 29), "Commissioning date is in the future"),
        (date(9999, 12, 31), "Commissioning date is in the future"),
        (None, "Commissioning date missing on the certificate"),
        (date(1, 1, 1), "Commissioning date missing on the certificate"),
    ],
)
@pytest.mark.parametrize("told", ["yes", "no"])
def test_commissioning_date(day, why, told):
    found = row("commissioned", {"dno_told": told}, {"commissioning_date": day})
    assert found.result == ("look" if why else "pass")
    assert found.brief == (why or "")


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        ("lx37qp", "LX3 7QP", "pass"),
        ("LX3 7QP", "LX3 7QQ", "look"),
        ("LX3 7QP", None, "look"),
        ("", None, "look"),
    ],
)
def test_postcode(ours, theirs, result):
    assert row("postcode", {"postcode": ours}, {"postcode": theirs}).result == result


SAME_HOMES = [
    (["14 Saltmarsh Row", "Eastwold"], ["14 SALTMARSH ROW", "EASTWOLD"]),
    (["14 Saltmarsh Row, Eastwold"], ["14 Saltmarsh Row", "Eastwold"]),
    (["14, Saltmarsh Row."], ["14 Saltmarsh Row"]),
    (["Eastwold", "14 Mill Road"], ["14 Mill Rd", "Eastwold"]),
    (["No. 14 Mill Road"], ["14 Mill Rd."]),
    (["2 High Street"], ["2 High St"]),
    (["9 St. John's Avenue"], ["9 Saint Johns Ave"]),
    (["Flat 2, 14 Mill Lane"], ["Apartment 2", "14 Mill Ln"]),
    (["14 Mill Lane", "Flat 2"], ["Flat 2 14 Mill Lane"]),
    (["Flat B, 3 Quay"], ["Apt b", "3 Quay"]),
    (["14a Mill Lane"], ["14 A Mill Lane"]),
    (["14–16 Mill Lane"], ["14 - 16 Mill Lane"]),
    (["3 Tŷ Gwyn"], ["3 Ty Gwyn"]),
    (["14 Mill Lane, Eastwold, LX3 7QP"], ["14 Mill Lane", "Eastwold"]),
    (["14 Mill Lane, Eastwold", "Norfolk"], ["14 Mill Lane", "Eastwold"]),
    (["14 Mill Lane"], ["14 Mill Lane", "Little Marsh", "Eastwold"]),
    (["14 Mill Lane, Eastwold"], ["14 Mill Lane"]),
]
OTHER_HOMES = [
    (["14 Saltmarsh Row"], ["14A Saltmarsh Row"]),
    (["3 Mill Lane"], ["5 Mill Lane"]),
    (["3 Mill Lane"], ["7 Mill Lane"]),
    (["Flat 2, 14 Mill Lane"], ["Flat 14, 2 Mill Lane"]),
    (["14 Mill Lane"], ["Flat 2, 14 Mill Lane"]),
    (["14 Mill Lane"], ["Flat B, 14 Mill Lane"]),
    (["14 Mill Lane"], ["The Annexe, 14 Mill Lane"]),
    (["14 Mill Lane"], ["Ground Floor, 14 Mill Lane"]),
    (["Mill Lane"], ["Orchard View, Mill Lane"]),
    (["14 Mill Lane, Eastwold"], ["14 Mill Lane, Westwold"]),
    (["Rose Cottage"], ["Ivy Cottage"]),
    (["14 Mill Lane"], []),
    ([], ["14 Mill Lane"]),
]


def address(ours, theirs):
    lines = dict(zip(("address_line_1", "address_line_2", "address_line_3"), theirs, strict=False))
    none = {"address_line_1": None, "address_line_2": None, "county_description": "Norfolk"}
    return row("address", {"address": tuple(ours)}, {**none, **lines})


@pytest.mark.parametrize(("ours", "theirs"), SAME_HOMES)
def test_the_same_home_in_other_words_passes(ours, theirs):
    assert address(ours, theirs).result == "pass"
    assert address(theirs, ours).result == "pass"


@pytest.mark.parametrize(("ours", "theirs"), OTHER_HOMES)
def test_what_may_be_another_home_goes_to_a_person(ours, theirs):
    assert address(ours, theirs).result == "look"
    assert address(theirs, ours).result == "look"


@pytest.mark.parametrize(
    ("ours", "theirs", "start"),
    [
        (["14 Mill Lane"], ["14A Mill Lane"], "“14” and “14A”. A flat or a typing slip?"),
        (["14 Mill Lane"], ["Flat 2, 14 Mill Lane"], "Only one side has “Flat 2”."),
        (["Rose Cottage"], ["Ivy Cottage"], "The words differ. Is it the same place?"),
        (["14 Mill Lane"], [], "The certificate has no address."),
    ],
)
def test_address_sentences(ours, theirs, start):
    assert address(ours, theirs).sentence.startswith(start)


def test_mpan_and_address_in_a_few_words():
    found = decided({"import_mpan": "2012345678906", "address": ("14A Saltmarsh Row", "Eastwold")})
    assert found.why == "MPAN and address differ from the certificate"
    assert found.customer_reason == (
        "The house number on your certificate differs from yours. "
        "The meter number (MPAN) on your certificate differs from yours. "
        f"{rules.NOT_A_REFUSAL}"
    )


def test_many_open_checks_are_counted_not_listed():
    found = decided(
        {"postcode": "ZZ1 1ZZ", "import_mpan": "2012345678906", "dno_told": "unknown"},
        {"commissioning_date": None, "total_capacity": None, "address_line_1": "1 Elsewhere"},
    )
    assert found.why == (
        "MPAN, address and postcode differ from the certificate; "
        "capacity missing on the certificate; commissioning date missing on the certificate; "
        "and 1 more"
    )
    assert len(found.why) <= 300


@pytest.mark.parametrize(
    ("ours", "theirs", "result", "start"),
    [
        (IMPORT, IMPORT, "pass", "The same"),
        (IMPORT, "14 0000 2000 040", "pass", "The same"),
        (IMPORT, f"00801111{IMPORT}", "pass", "The same"),
        (IMPORT, None, "pass", "The certificate has none"),
        ("", IMPORT, "pass", "Not given"),
        ("", None, "pass", "The certificate has none"),
        (IMPORT, "1129383838383", "look", "12 digits differ; both numbers are valid."),
        (IMPORT, "N/A", "look", "The certificate’s is not a valid MPAN."),
        (IMPORT, EXPORT, "look", "12 digits differ; both numbers are valid."),
    ],
)
def test_import_mpan(ours, theirs, result, start):
    found = row("import_mpan", {"import_mpan": ours}, {"mpan": theirs})
    assert found.result == result
    assert found.sentence.startswith(start)


@given(st.text(), st.text(), st.text())
def test_the_certificates_mpan_never_fails_nor_meets_the_export_mpan(ours, theirs, export):
    found = row("import_mpan", {"import_mpan": ours}, {"mpan": theirs})
    assert found.result != "fail"
    other = row("import_mpan", {"import_mpan": ours, "export_mpan": export}, {"mpan": theirs})
    assert other == found


@pytest.mark.parametrize(
    ("claim", "held_by", "result", "brief"),
    [
        ({}, "", "pass", ""),
        ({"export_mpan": " "}, "", "pass", ""),
        ({"export_mpan": ""}, "SEG-1", "pass", ""),
        ({"export_mpan": "10 1234 5678 903"}, "", "pass", ""),
        ({"export_mpan": "1012345678904"}, "", "fail", "Export MPAN is not valid"),
        ({"export_mpan": "101234567890"}, "", "fail", "Export MPAN is not valid"),
        ({"export_mpan": IMPORT}, "", "fail", "Export and import MPAN are the same"),
        ({}, "SEG-1", "fail", "SEG-1 uses the same export MPAN"),
        ({"kind": "switch"}, "SEG-1", "fail", "SEG-1 uses the same export MPAN"),
        ({"kind": "extension"}, "SEG-1", "look", "SEG-1 uses the same export MPAN"),
    ],
)
def test_export_mpan(claim, held_by, result, brief):
    found = row("export_mpan", claim, None, {"export_mpan_held_by": held_by})
    assert (found.result, found.brief) == (result, brief)
    assert decided(claim, None, {"export_mpan_held_by": held_by}).kind == (
        "approve" if result == "pass" else "review"
    )


def test_one_live_application():
    found = row("one_live", None, None, {"certificate_held_by": "SEG-2609-0233"})
    assert found.result == "fail"
    assert found.sentence == (
        "SEG-2609-0233 uses the same certificate. Close it first, or refuse this one."
    )
    assert "SEG-2609-0233" not in found.customer_sentence
    assert decided(None, None, {"certificate_held_by": "SEG-2609-0233"}).kind == "review"


def size(kilowatts):
    return Decimal(kilowatts) if kilowatts else None


@pytest.mark.parametrize(
    ("number", "capacity", "result"),
    [
        (None, "3.6", "pass"),
        (0, "3.6", "pass"),
        (1, "3.68", "pass"),
        (1, "5.6", "pass"),
        (1, "11.04", "pass"),
        (1, "11.05", "look"),
        (1, None, "pass"),
        (2, "40", "pass"),
        (3, "3.6", "look"),
        (4, "3.6", "look"),
    ],
)
def test_distributor_told(number, capacity, result):
    changes = {"dno_notification": number, "total_capacity": size(capacity)}
    assert row("distributor", None, changes).result == result


@pytest.mark.parametrize(
    ("told", "changes", "sentence"),
    [
        (
            "unknown",
            {},
            "The applicant does not know. 28 days after commissioning ended on 7\xa0Oct\xa02026.",
        ),
        (
            "no",
            {"commissioning_date": date(2026, 11, 20)},
            "The applicant says no. 28 days after commissioning end on 18\xa0Dec\xa02026.",
        ),
        (
            "no",
            {"commissioning_date": None},
            (
                "The applicant says no. They must know within 28 days after commissioning; "
                "that date is missing."
            ),
        ),
        (
            "no",
            {"total_capacity": Decimal(20)},
            "The applicant says no. Above 11.04\xa0kW they must agree before connection (G99).",
        ),
        (
            "no",
            {"total_capacity": Decimal(20), "declared_net_capacity": Decimal("3.6")},
            "The applicant says no. 28 days after commissioning ended on 7\xa0Oct\xa02026.",
        ),
        (
            "unknown",
            {"dno_notification": 2},
            (
                "The applicant does not know. The certificate says they agreed before connection, "
                "which usually settles it."
            ),
        ),
    ],
)
def test_distributor_not_told(told, changes, sentence):
    found = row("distributor", {"dno_told": told}, changes)
    assert (found.result, found.sentence) == ("look", sentence)
    assert decided({"dno_told": told}, changes).kind == "review"


def test_distributor_in_the_list():
    assert decided({"dno_told": "unknown"}).why == "Distributor notification: “don’t know”"


def test_fit_declaration():
    assert row("fit").sentence == ("Not receiving FIT export payments; signed 28\xa0Nov\xa02026.")
    assert row("fit", {"fit_export_declared": False}).result == "fail"
    assert decided({"fit_export_declared": False}).kind == "review"


def test_without_an_open_tariff_a_person_decides():
    found = decided(None, None, {"tariff_open": False})
    assert (found.kind, found.why) == ("review", "No tariff open on the day of receipt")


@given(
    st.builds(
        Claim,
        certificate=st.just(NUMBER),
        address=st.lists(st.text()).map(tuple),
        postcode=st.text(),
        received_on=st.dates(),
        import_mpan=st.text(),
        export_mpan=st.text(),
    ),
    st.builds(
        Installation,
        certificate=st.just(NUMBER),
        status=st.sampled_from([1, 2, 3, 4, 5]),
        technology=st.integers(0, 20),
        commissioning_date=st.none() | st.dates(),
        total_capacity=st.none() | st.decimals(-1, 99, places=2),
        declared_net_capacity=st.none() | st.decimals(-1, 99, places=2),
        dno_notification=st.none() | st.integers(0, 5),
        address_line_1=st.none() | st.text(),
        mpan=st.none() | st.text(),
        postcode=st.none() | st.text(),
    ),
    st.dates(),
)
def test_any_facts_get_a_verdict_and_only_three_grounds_refuse(claim, installation, today):
    rows = check(claim, installation, Surroundings(today=today))
    found = verdict(rows)
    assert len(rows) == 13
    assert found.why
    assert found.customer_reason
    refusable = installation.status in {3, 4} or installation.technology in (
        set(messages.TECHNOLOGY) - {0, 10}
    )
    assert (found.kind == "refuse") == refusable
    if found.kind == "approve":
        assert {each.result for each in rows} == {"pass"}


# ---- Later life -----------------------------------------------------------------------------


def later(before=INSTALLATION, surroundings=SURROUNDINGS, **changes):
    now = msgspec.structs.replace(INSTALLATION, **changes)
    return recheck(NUMBER, now, surroundings, before)


def test_an_unchanged_certificate_is_kept():
    assert later().kind == "keep"
    assert later(before=None).kind == "keep"
    assert later(mpan=None, postcode="ZZ1 1ZZ").kind == "keep"


@pytest.mark.parametrize(
    ("changes", "grounds", "why"),
    [
        ({"status": 3}, (Ground.WITHDRAWN,), "Certificate withdrawn"),
        ({"status": 4}, (Ground.REMOVED,), "Certificate removed"),
        ({"status": 1}, (Ground.IN_PROGRESS,), "Certificate in progress, not completed yet"),
        ({"technology": 1}, (Ground.TECHNOLOGY,), "Air source heat pump: only solar PV qualifies"),
    ],
)
def test_a_fallen_certificate_suspends(changes, grounds, why):
    found = later(**changes)
    assert (found.kind, found.grounds, found.why) == ("suspend", grounds, why)
    assert found.customer_reason


def test_a_vanished_certificate_suspends():
    found = recheck(NUMBER, None, SURROUNDINGS, INSTALLATION)
    assert (found.kind, found.grounds) == ("suspend", (Ground.NOT_FOUND,))


@pytest.mark.parametrize("changes", [{"status": 9}, {"technology": 0}, {"technology": 77}])
def test_an_unclear_certificate_is_looked_at(changes):
    assert later(**changes).kind == "look"


def test_another_certificate_suspends_nobody():
    assert later(certificate="MCS-01108865-Z", status=3).kind == "look"


@pytest.mark.parametrize("changes", [{"technology": 8}, {"technology": 0}, {"status": 9}])
def test_what_a_person_accepted_is_not_raised_again(changes):
    before = msgspec.structs.replace(INSTALLATION, **changes)
    assert later(before=before, **changes).kind == "keep"


@pytest.mark.parametrize("status", [1, 3, 4])
def test_what_may_never_be_accepted_is_raised_again(status):
    before = msgspec.structs.replace(INSTALLATION, status=status)
    assert later(before=before, status=status).kind == "suspend"


def test_suspends_reads_full_checks_as_well():
    assert rules.suspends(checks(None, {"status": 3}))
    assert not rules.suspends(checks({"fit_export_declared": False}, {"total_capacity": None}))


# ---- Marks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "other", "pieces"),
    [
        ("14A Mill Lane", "14 Mill Lane", [("14A", True), (" Mill Lane", False)]),
        ("14 Mill Road", "14 mill rd.", [("14 Mill Road", False)]),
        ("Eastwold, 14 Mill", "14 Mill, Eastwold", [("Eastwold, 14 Mill", False)]),
        ("Flat 2, 14 Mill", "Flat 3, 14 Mill", [("Flat 2", True), (", 14 Mill", False)]),
        ("1400002000059", "1400002000040", [("14000020000", False), ("59", True)]),
        ("MCS-1-A", "MCS-11-A", [("MCS-1-A", False)]),
        ("MCS-11-A", "MCS-1-A", [("MCS-1", False), ("1", True), ("-A", False)]),
        ("LX3 7QP", "", [("LX3", True), (" ", False), ("7QP", True)]),
        ("Eastwold", "eastwold", [("Eastwold", False)]),
        ("", "x", []),
    ],
)
def test_differences(text, other, pieces):
    assert differences(text, other) == pieces


@given(st.text(), st.text())
def test_differences_joined_are_the_text(text, other):
    assert "".join(piece for piece, _ in differences(text, other)) == text
    assert not any(differs for _, differs in differences(text, text))
