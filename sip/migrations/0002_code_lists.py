"""The code lists with the values that the specification prints; its own tables were lost."""

from django.db import migrations

SOURCE = "printed in the specification, version 4"
LISTS = (
    ("call_outcome", "Outcome of the call", ("Customer confirmed",)),
    ("prevented_to_proceed", "What prevented the engineer", ("No", "Critical Medical Equipment")),
    ("site_risk_list", "Risks at the site", ("No risk identified",)),
    ("meter_location", "Location of the meter", ("A",)),
    ("reading_available", "Reading available", ("Yes",)),
    ("comms_state", "State of the communications light", ("Flashing every 5 seconds",)),
    ("dno_issue", "Category of a network operator’s defect", ("A", "B", "C")),
    ("dno_code_a", "Category A defects", ("A05",)),
    ("dno_code_b", "Category B defects", ("B01",)),
    ("dno_code_c", "Category C defects", ("C02",)),
    ("metering_equipment_issues", "Faults of metering equipment", ("22",)),
    ("tampering_code", "Signs of tampering", ("15",)),
    ("consumer_issue_type", "Faults of the customer’s equipment", ("Category EA issues",)),
    ("action_required", "What was to be done", ("Install Isolator",)),
    ("meter_tails_supplier", "Who supplied the meter tails", ("Own company",)),
    ("outcome", "How the job ended", ("Aborted",)),
    ("abort_category", "Category of an abort", ("Supply Issues",)),
    ("abort_engineer_risk_equipment", "Aborts: engineer, risk or equipment", ("52",)),
    ("abort_meter_equipment", "Aborts: metering equipment", ("39",)),
    ("abort_access", "Aborts: access", ("20",)),
    ("abort_safety", "Aborts: safety", ("23",)),
    ("abort_supply", "Aborts: supply", ("04",)),
    ("abort_tampering", "Aborts: tampering", ("11",)),
    ("notices_issued", "Notices left", ("Not Applicable",)),
)


def add_lists(apps, schema_editor):
    CodeList = apps.get_model("sip", "CodeList")
    Code = apps.get_model("sip", "Code")
    for name, title, values in LISTS:
        row, _ = CodeList.objects.get_or_create(
            name=name, defaults={"title": title, "source": SOURCE}
        )
        for value in values:
            Code.objects.get_or_create(code_list=row, value=value)


class Migration(migrations.Migration):
    dependencies = [("sip", "0001_initial")]

    operations = [migrations.RunPython(add_lists, migrations.RunPython.noop)]
