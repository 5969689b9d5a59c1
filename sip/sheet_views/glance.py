"""The worksheet at a glance: where to go, what to know, the blocks and where to go on."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from core.models import StatusChange
from sip import looks
from sip.messages import WORKSHEET, Block
from sip.models import Job
from sip.sheet_views.shared import (
    Held,
    Status,
    clash_links,
    read_private,
    refused_details,
    url_of,
    worksheet_page,
)


@worksheet_page
def overview(request: HttpRequest, job: Job) -> HttpResponseBase:
    """One job on the phone: where to go, what to know, the blocks and where to go on."""
    held = Held.read(job)
    is_open = job.status in Job.WORKSHEET_OPEN
    read_private(request, job)
    refused = refused_details(job) if is_open else []
    where = held.first_open()
    details = held.answers["job_details"]
    context = {
        "job": job,
        "page_title": f"Worksheet {job.reference}",
        "is_open": is_open,
        "steps": [_step(held, block, refused) for block in WORKSHEET],
        "progress": _progress(held),
        "go_on": url_of(job, where) if where else url_of(job, name="hand-in"),
        "go_on_label": f"Go on: {where.title}" if where else "Look it over and hand it in",
        "telephone": details.get("contact_telephone", ""),
        "vulnerability": details.get("customer_vulnerability", ""),
        "site_risk": details.get("site_risk", ""),
        "refused": [each["text"] for each in refused if not each["field"]],
        "refused_count": len(refused),
        "clashes": clash_links(job),
        "handed_back": _handed_back(job) if is_open else None,
        "may_correct": job.status == Status.REFUSED,
        "why": looks.why(job),
        "office": request.user.has_perm("sip.view_job"),
    }
    return render(request, "sip/sheet.html", context)


def _handed_back(job: Job) -> StatusChange | None:
    """Why the office gave the worksheet back, while nothing has happened to it since."""
    last: StatusChange | None = StatusChange.objects.for_case(job).order_by("-pk").first()
    return last if last is not None and last.move == "hand_back" else None


def _progress(held: Held) -> dict[str, Any]:
    needed = held.needed
    done = sum(held.complete.get(block.name, False) for block in needed)
    return {"done": done, "of": len(needed)}


def _step(held: Held, block: Block, refused: list[dict[str, str]]) -> dict[str, Any]:
    verdict = held.verdicts[block.name]
    answered = bool(held.answers[block.name].keys() - {"job_id"})
    done = held.complete.get(block.name, False)
    wrong = sum(each["block"] == block.name for each in refused)
    state = "off" if not verdict.required else "done" if done else "open" if answered else "new"
    return {
        "block": block,
        "url": url_of(held.job, block),
        "state": state,
        "tag": STEP_TAGS[state],
        "because": verdict.because,
        "kept": answered and not verdict.required,
        "refused": wrong,
    }


STEP_TAGS = {
    "done": ("good", "Complete"),
    "open": ("look", "Begun"),
    "new": ("idle", "To do"),
    "off": ("idle", "Left out"),
}
