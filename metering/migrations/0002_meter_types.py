"""The meter types seen so far; the service's own list was lost, so staff can edit this one."""

from django.db import migrations

IMPORT, EXPORT, NONE = "import", "export", "none"
ENERGY = (("kWh Import", "kWh", IMPORT), ("kWh Export", "kWh", EXPORT))
Q1, Q2, Q3, Q4 = ((f"kvarh Q{number}", "kvarh", NONE) for number in (1, 2, 3, 4))
REST = (
    Q1, Q2, Q3, Q4,
    ("kVAh", "kVAh", NONE),
    *((f"Custom {number}", "kWh", NONE) for number in (1, 2, 3)),
    *((f"External {number}", "pulses", NONE) for number in (1, 2, 3, 4)),
)
TYPES = (
    ("ELSTER_A1700", "cumulative", (*ENERGY, *REST)),
    ("ELSTER_A1140", "cumulative", (*ENERGY, Q1, Q4)),
    ("ELSTER_AS230", "period", ENERGY),
    ("ISKRA_MX37X", "period", ENERGY),
    ("EMLITE_COP10", "period", ENERGY),
    ("LG_DLMS", "cumulative", ENERGY),
    ("PREMIER_PRI", "cumulative", (*ENERGY, Q1, Q4)),
    ("CEWE_PRO", "cumulative", (*ENERGY, Q1, Q2, Q3, Q4)),
    ("EDMI_ATLAS", "cumulative", (*ENERGY, Q1, Q4)),
)


def add_types(apps, schema_editor):
    MeterType = apps.get_model("metering", "MeterType")
    RegisterKind = apps.get_model("metering", "RegisterKind")
    for code, survey, registers in TYPES:
        row, _ = MeterType.objects.get_or_create(code=code, defaults={"survey": survey})
        for name, unit, direction in registers:
            RegisterKind.objects.get_or_create(
                meter_type=row, name=name, defaults={"unit": unit, "direction": direction}
            )


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_initial")]

    operations = [migrations.RunPython(add_types, migrations.RunPython.noop)]
