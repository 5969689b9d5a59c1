"""Everything a system can do out of the ordinary, one word each.

A behaviour is switched on by being in a system's list; what it does is where the word is asked for.
"""

from collections.abc import Mapping

# How GetSystems, GetLastReading and GetSubmissionStatus speak of the system.
SPELLINGS: Mapping[str, str] = {
    "error": "GetSystems and GetLastReading carry an Error for it",
    "systems_error": "GetSystems carries an Error for it",
    "reading_error": "GetLastReading carries an Error for it",
    "wrong_types": "Numbers are texts, and texts are numbers",
    "nulls": "Everything but fk_system is null",
    "missing": "Everything but fk_system is left out",
    "spaces": "SystemID begins with a space, as in the samples",
    "extra": "Carries fields that the specification does not have",
    "twice": "Is listed twice",
    "unlisted": "Is left out of GetLastReading and GetSubmissionStatus",
    "odd_status": "ValidationStatus is 7, which the specification does not list",
}
# What becomes of its submissions.
VERDICTS: Mapping[str, str] = {
    "post_error": "ARPost and ARPostTest give an Error for it, nothing is saved",
    "passes": "Every saved reading passes, however implausible",
    "fails": "Every saved reading fails",
    "stays": "Stays Validating until a verdict is given by hand",
}
BEHAVIOURS: Mapping[str, str] = {**SPELLINGS, **VERDICTS}
