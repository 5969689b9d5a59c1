"""Everything a meter, its line or the service can do out of the ordinary, one word each.

A behaviour is switched on by being in a meter's list; what it does is where the word is asked for.
"""

from collections.abc import Mapping

# What the meter holds.
VALUES: Mapping[str, str] = {
    "backwards": "Registers fall by 25 kWh on the 5th of each month at 10:00 UTC",
    "rollover": "Registers have four digits and begin again at 10,000 kWh",
    "exchange": (
        "Exchanged each 15 March and 15 September at 10:00 UTC: another serial number, registers "
        "begin at 0"
    ),
    "spike": "900 kWh in the half hour from 12:00 UTC on the 12th of each month",
    "other_values": "The survey holds values of each period although the type is cumulative",
}
# What happens on the line and at the meter.
VISITS: Mapping[str, str] = {
    "no_connection": "The connection is never made",
    "no_answer": "Connects, then the meter does not answer",
    "second_try": "Does not answer the first, third, fifth … collection",
    "serial_error": "Returns another serial number; reported as ERROR with details",
    "serial_value": "Returns another serial number; reported as the value, all else as usual",
    "time_error": "The time cannot be read: meterTime is ERROR with details",
    "adjust_refused": "Refuses to be adjusted: timeAdjustmentResult is ERROR with details",
    "tamper": "statusEvents: terminal cover tamper",
    "events": "statusEvents: several, with tamper among them",
    "no_survey": "Registers are read, the survey is not: PARTIAL SUCCESS",
    "half_survey": "The survey breaks off half-way: PARTIAL SUCCESS",
    "gap_half_hours": "02:30 to 05:00 UTC is missing on every day, for good; SUCCESS",
    "gap_days": "The 8th, 9th and 21st of each month are missing, for good; PARTIAL SUCCESS",
    "gap_once": (
        "10:00 to 14:00 UTC on the 10th and all of the 18th of each month are missing the first "
        "time that the day is read; PARTIAL SUCCESS"
    ),
    "empty": "SUCCESS without any reading",
}
# How the result is written.
SPELLINGS: Mapping[str, str] = {
    "summary": "The outcome is in resultSummary",
    "both_outcomes": "The outcome is in result and in resultSummary",
    "text_numbers": "Numbers are texts",
    "no_zone": "Times have no Z",
    "bad_meter_time": "meterTime is malformed as in the samples",
    "status_flags": "Readings carry statusFlags, a whole number",
    "serial_twice": "serialNumber occurs twice in the JSON text, the asked one first",
    "extra": "Carries fields that the specification does not have",
    "events_null": "statusEvents is null",
    "nulls": "Optional fields are null",
    "bare": "Optional fields and the times of register values are left out",
    "off_grid": "Some survey timestamps are 7 min 12 s after their half hour",
    "unordered": "Readings are in no order, and some half hours occur twice",
    "wrong_mpan": "The result names another MPAN than was asked for",
}
# How the result is delivered.
DELIVERIES: Mapping[str, str] = {
    "twice": "The same result is posted twice",
    "second_day_first": "Posted in two parts, the later days first",
    "late": "Posted two hours late; collection-status has it at once",
    "never": "Never posted; collection-status has it",
    "stuck": "Stays PENDING for ever",
    "disagree": "Two results whose noon differs; the second ended later",
    "disagree_tie": "Two results whose noon differs; both ended at the same time",
}
BEHAVIOURS: Mapping[str, str] = {**VALUES, **VISITS, **SPELLINGS, **DELIVERIES}
