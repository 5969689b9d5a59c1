"""VAT and climate change levy as they are known today; staff add later figures."""

from datetime import date
from decimal import Decimal

from django.db import migrations

FIGURES = (
    (
        "vat_reduced", date(1997, 9, 1), "0.05",
        "HMRC, VAT on fuel and power (Notice 701/19): reduced rate",
    ),
    ("vat_standard", date(2011, 1, 4), "0.20", "HMRC, VAT rates: standard rate"),
    (
        "vat_threshold_kwh_day", date(1997, 9, 1), "145",
        "HMRC, VAT on fuel and power (Notice 701/19): 145 kWh of gas a day, 4,397 a month",
    ),
    (
        "ccl_gas", date(2025, 4, 1), "0.00775",
        "HMRC, Climate Change Levy rates: gas, 1 April 2025 to 31 March 2026",
    ),
    (
        "ccl_gas", date(2026, 4, 1), "0.00801",
        "HMRC, Climate Change Levy rates: gas, from 1 April 2026",
    ),
)


def add_levies(apps, schema_editor):
    Levy = apps.get_model("gasquotes", "Levy")
    for kind, day, value, source in FIGURES:
        Levy.objects.get_or_create(
            kind=kind, valid_from=day, defaults={"value": Decimal(value), "source": source}
        )


class Migration(migrations.Migration):
    dependencies = [("gasquotes", "0001_initial")]

    operations = [migrations.RunPython(add_levies, migrations.RunPython.noop)]
