"""Lists of codes, edited by this desk: added to from a CSV file, or one code at a time."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.workflow import Actor, Impossible
from sip import job_csv
from sip.actions.shared import Clock, may
from sip.models import Code, CodeList


def import_codes(*, code_list: CodeList, body: bytes, by: Actor, now: Clock) -> tuple[int, int]:
    """Add and explain codes of a list from a CSV file: how many are new, and how many changed.

    Codes that the file lacks stay. Raises `job_csv.NotASheet`, `NotAllowed`.
    """
    may(by, "sip.add_code", "Your role does not edit code lists.")
    rows = job_csv.read_codes(body)
    added = changed = 0
    with transaction.atomic():
        known = {code.value: code for code in Code.objects.filter(code_list=code_list)}
        for row in rows:
            held = known.get(row.value)
            if held is None:
                Code.objects.create(code_list=code_list, value=row.value, meaning=row.meaning)
                added += 1
            elif (row.meaning and held.meaning != row.meaning) or not held.active:
                meaning = row.meaning or held.meaning
                Code.objects.filter(pk=held.pk).update(meaning=meaning, active=True)
                changed += 1
        source = f"CSV by {by.name}, {timezone.localtime(now()):%-d %B %Y}"
        CodeList.objects.filter(pk=code_list.pk).update(source=source[:200])
    return added, changed


def keep_code(
    *,
    code_list: CodeList,
    code: Code | None,
    value: str,
    meaning: str,
    active: bool,
    by: Actor,
    now: Clock,
) -> Code:
    """Add a code to a list, or change one; `code` is the one to change.

    Raises `NotAllowed`, `Impossible` when the list has this value already.
    """
    permission = "sip.change_code" if code else "sip.add_code"
    may(by, permission, "Your role does not edit code lists.")
    kept = code or Code(code_list=code_list)
    kept.value, kept.meaning, kept.active = value, meaning, active
    source = f"Edited by {by.name}, {timezone.localtime(now()):%-d %B %Y}"
    try:
        with transaction.atomic():
            kept.save()
            CodeList.objects.filter(pk=code_list.pk).update(source=source[:200])
    except IntegrityError:
        raise Impossible("This list has this code already.") from None
    return kept
