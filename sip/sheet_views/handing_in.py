"""The whole worksheet once more, what is missing, and the hand-in."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone

from core.permissions import staff_user
from core.workflow import Impossible, actor_for
from sip import actions, rules, worksheet
from sip.messages import BLOCKS, WORKSHEET, Block
from sip.models import Job
from sip.sheet_views.shared import Held, Status, clash_links, read_private, url_of, worksheet_page


@worksheet_page
def hand_in(request: HttpRequest, job: Job) -> HttpResponseBase:
    """The whole worksheet in the engineer's words, what is missing, and the hand-in."""
    if request.method == "POST":
        return _handed_in(request, job)
    if job.status != Status.IN_PROGRESS:
        return redirect(url_of(job))
    held = Held.read(job)
    read_private(request, job)
    problems = rules.problems(held.answers, held.photos, today=timezone.localdate())
    sent = rules.sent(held.answers)
    chosen = [held.photos[key] for key in rules.sent_photos(held.answers, held.photos)]
    codes = worksheet.codes()
    context = {
        "job": job,
        "page_title": f"Hand in, {job.reference}",
        "missing": [_missing(job, block, problems) for block in WORKSHEET],
        "problems": problems,
        "warnings": rules.warnings(held.answers, codes, held.photos),
        "parts": [
            {"part": part, "url": url_of(job, BLOCKS[part.block])}
            for part in worksheet.in_words(sent, chosen, codes)
        ],
        "left_out": rules.left_out(held.answers, held.photos),
        "clashes": clash_links(job),
    }
    return render(request, "sip/hand_in.html", context)


def _missing(job: Job, block: Block, problems: list[rules.Problem]) -> dict[str, Any]:
    found = [each for each in problems if each.block == block.name]
    return {"title": block.title, "url": f"{url_of(job, block)}?judge", "count": len(found)}


def _handed_in(request: HttpRequest, job: Job) -> HttpResponseBase:
    try:
        actions.hand_in(job=job, by=actor_for(staff_user(request)), now=timezone.now)
    except Impossible as problem:
        again = job.status == Status.CHECK
        text = "This was handed in already." if again else problem.sentence
        (messages.info if again else messages.error)(request, text)
        closed = isinstance(problem, actions.NotComplete)
        return redirect(url_of(job, name="hand-in") if closed else url_of(job))
    messages.success(request, "Handed in. Somebody in the office checks it and sends it.")
    return redirect(url_of(job))
