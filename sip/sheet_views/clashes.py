"""Two devices saved different answers: a person looks at both and says what holds."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from core.permissions import staff_user
from core.workflow import Impossible, actor_for
from sip import actions
from sip.messages import BLOCKS, Block, Field, Value, words
from sip.models import Clash, Job
from sip.sheet_views.shared import read_private, to_clash, url_of, worksheet_page


@worksheet_page
def clash(request: HttpRequest, job: Job, pk: int) -> HttpResponseBase:
    """Show both answers where another device saved meanwhile; the person says what holds."""
    row = get_object_or_404(
        Clash.objects.select_related("sheet__saved_by", "by"), pk=pk, sheet__job=job
    )
    block_ = BLOCKS[row.sheet.block]
    differing = _differing(row, block_)
    if row.settled_at or job.status not in Job.WORKSHEET_OPEN:
        return redirect(url_of(job))
    by = actor_for(staff_user(request))
    if not differing:
        actions.settle_clash(clash=row, by=by, now=timezone.now)
        return redirect(url_of(job, block_))
    chosen = {each["name"]: request.POST.get(each["name"], "") for each in differing}
    if request.method == "POST" and all(each in ("mine", "theirs") for each in chosen.values()):
        return _settle(request, job, row, chosen)
    read_private(request, job)
    context = {
        "job": job,
        "sheet_block": block_,
        "clash": row,
        "page_title": f"Two answers, {job.reference}",
        "rows": [{**each, "chosen": chosen[each["name"]]} for each in differing],
        "missing": request.method == "POST",
    }
    return render(request, "sip/clash.html", context)


def _differing(row: Clash, block: Block) -> list[dict[str, Any]]:
    mine, theirs = row.answers, row.sheet.answers
    return [
        {
            "name": each.name,
            "label": each.label,
            "mine": _said(each, mine.get(each.name)),
            "theirs": _said(each, theirs.get(each.name)),
        }
        for each in block.fields
        if mine.get(each.name) != theirs.get(each.name)
    ]


def _said(field: Field, value: Value) -> str:
    return "Not answered" if value in (None, "", []) else words(field, value)


def _settle(
    request: HttpRequest, job: Job, row: Clash, chosen: Mapping[str, str]
) -> HttpResponseBase:
    """Save what holds on top of what was shown; a third answer meanwhile is a new clash."""
    by = actor_for(staff_user(request))
    merged = dict(row.sheet.answers)
    for name, whose in chosen.items():
        if whose == "mine":
            merged[name] = row.answers.get(name)
    posted = request.POST.get("revision", "")
    revision = int(posted) if posted.isdigit() and len(posted) < 10 else -1
    try:
        actions.save_block(
            job=job,
            block=row.sheet.block,
            answers=merged,
            revision=revision,
            by=by,
            now=timezone.now,
        )
    except actions.ChangedMeanwhile as problem:
        actions.settle_clash(clash=row, by=by, now=timezone.now)
        return to_clash(request, job, problem)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(url_of(job))
    actions.settle_clash(clash=row, by=by, now=timezone.now)
    messages.success(request, "Saved. Look at the block once more.")
    return redirect(url_of(job, BLOCKS[row.sheet.block]))
