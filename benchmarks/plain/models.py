"""One row a reading; the benchmark makes the tables (`TABLES`)."""

from typing import ClassVar

from django.db import models

# Filled by COPY, and read for a year: nothing but the row and its unique index.
COPIED = "plain_copied"
TABLES = (
    "create table plain_serialised (id bigint generated always as identity primary key,"
    " channel bigint not null, at timestamptz not null, value numeric(12, 3) not null,"
    " flags bigint, unique (channel, at))",
    f"create table {COPIED} (channel bigint not null, at timestamptz not null,"
    " value numeric(12, 3) not null, flags bigint, unique (channel, at))",
)


class Serialised(models.Model):
    """What the serializer writes."""

    channel = models.BigIntegerField()
    at = models.DateTimeField()
    value = models.DecimalField(max_digits=12, decimal_places=3)
    flags = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "plain_serialised"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["channel", "at"], name="plain_one_row_a_reading")
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.at}"
