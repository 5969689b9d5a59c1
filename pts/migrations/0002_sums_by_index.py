"""The sums of a month, which its page and chart show, come from an index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pts", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="report",
            index=models.Index(
                fields=["window", "status", "produced", "expected"],
                name="pts_report_window__691a08_idx",
            ),
        ),
    ]
