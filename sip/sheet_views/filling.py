"""One block of the worksheet: shown, and saved on every step whatever was typed."""

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone

from core.permissions import staff_user
from core.uploads import UploadError
from core.workflow import Impossible, actor_for
from sip import actions, worksheet
from sip.messages import BLOCKS, WORKSHEET, Block
from sip.models import Code, Job
from sip.sheet_views.shared import (
    Held,
    read_private,
    refused_details,
    to_clash,
    typed_before,
    url_of,
    worksheet_page,
)
from sip.worksheet_forms import BlockForm, with_own_values

PAGES = "sip-pages"
MOST_PAGES = 20


@worksheet_page
def block(request: HttpRequest, job: Job, name: str) -> HttpResponseBase:
    """One block of the worksheet: show it, or save what was typed."""
    if name not in BLOCKS:
        raise Http404
    if request.method == "POST":
        return _save(request, job, BLOCKS[name])
    if job.status not in Job.WORKSHEET_OPEN:
        return redirect(url_of(job))
    held, typed = Held.read(job), typed_before(request)
    if typed is not None:
        text = "You had been signed out. What you typed is here, and not saved yet: press Save."
        messages.warning(request, text)
    judged = "judge" in request.GET and typed is None
    return _page(request, held, _form(held, BLOCKS[name], typed, judged=judged), judged=judged)


def _form(
    held: Held, block: Block, posted: Any = None, files: Any = None, *, judged: bool = False
) -> BlockForm:
    answers = held.answers[block.name]
    choices = with_own_values(_choices(), block, answers)
    return BlockForm(
        posted, files, block=block, answers=held.answers, choices=choices, judged=judged
    )


def _choices() -> dict[str, list[tuple[str, str]]]:
    """Every list of codes with its words (one query)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for code in Code.objects.filter(active=True).select_related("code_list"):
        found.setdefault(code.code_list.name, []).append((code.value, str(code)))
    return found


def _page(
    request: HttpRequest,
    held: Held,
    form: BlockForm,
    *,
    judged: bool = False,
    problem: str = "",
) -> HttpResponse:
    """Show a block. Its answers may hold health data, so that it was read is recorded."""
    job, block_ = held.job, form.block
    read_private(request, job)
    if judged:
        form.judge(held.problems(block_.name))
    sheet = job.sheets.select_related("saved_by").get(block=block_.name)
    refused = [each for each in refused_details(job) if each["block"] == block_.name]
    verdict = held.verdicts[block_.name]
    rows = list(form.rows(held.photos, _codes(form)))
    for row in rows:
        row.refused = [each["text"] for each in refused if each["field"] == row.field.name]
    after = held.after(block_)
    context = {
        "job": job,
        "sheet_block": block_,
        "page_title": f"{block_.title}, {job.reference}",
        "form": form,
        "rows": rows,
        "gone": _gone(form),
        "problem": problem,
        "judged": judged and bool(form.errors),
        "revision": request.POST.get("revision") or sheet.revision,
        "nonce": request.POST.get("page") or secrets.token_urlsafe(9),
        "saved_at": sheet.saved_at,
        "saved_by": sheet.saved_by,
        "verdict": verdict,
        "always": verdict.required and block_.name in ALWAYS,
        "refused_here": [each["text"] for each in refused if not each["field"]],
        "bars": [_bar(held, each, block_) for each in WORKSHEET],
        "place": held.needed.index(block_) + 1 if block_ in held.needed else 0,
        "of": len(held.needed),
        "left_out": _left_out(held),
        "back_url": url_of(job, held.before(block_)),
        "after_url": url_of(job, after) if after else url_of(job, name="hand-in"),
    }
    return render(request, "sip/block.html", context)


ALWAYS = ("job_details", "customer_contact", "job_completion")


def _codes(form: BlockForm) -> dict[str, set[str]]:
    """The values of each list, from the choices that were read already."""
    return {
        name: {value for value, said in listed if not said.endswith("(not on our list)")}
        for name, listed in form.choices.items()
    }


def _gone(form: BlockForm) -> list[str]:
    """Fields that have no place now; their place is kept for when they have one."""
    names = [each.name for each in form.block.fields if each.name != "job_id"]
    return [name for name in names if name not in form.asked]


def _bar(held: Held, block: Block, here: Block) -> str:
    if block is here:
        return "is-now"
    if not held.verdicts[block.name].required:
        return "is-off"
    return "is-done" if held.complete.get(block.name) else ""


def _left_out(held: Held) -> list[dict[str, str]]:
    """Blocks that are filled in and no longer needed: kept, not sent."""
    return [
        {"title": BLOCKS[name].title, "because": verdict.because}
        for name, verdict in held.verdicts.items()
        if not verdict.required and held.answers[name]
    ]


def _save(request: HttpRequest, job: Job, block: Block) -> HttpResponseBase:
    """Save what was typed, whatever it is, then go where the pressed button leads."""
    held = Held.read(job)
    form = _form(held, block, request.POST, request.FILES)
    try:
        revision = actions.save_block(
            job=job,
            block=block.name,
            answers=form.typed(),
            revision=_revision(request, job, block),
            by=actor_for(staff_user(request)),
            now=timezone.now,
        )
    except actions.ChangedMeanwhile as problem:
        return to_clash(request, job, problem)
    except Impossible as problem:
        return _not_saved(request, held, form, problem)
    _remember(request, job, block, revision)
    started: Job = Job.objects.get(pk=job.pk)
    photos = _keep_photos(request, started, form)
    if request.htmx:  # type: ignore[attr-defined]
        return _draft_saved(request, started, form, (revision, photos))
    for name, sentence in photos.items():
        if sentence:
            label = block.field(name).label
            messages.error(request, f"{label}: {sentence} Everything else is saved.")
    return _go_on(request, started, block, wrong=any(photos.values()))


def _revision(request: HttpRequest, job: Job, block: Block) -> int:
    """The revision that this page was read at, or that it has saved itself since."""
    nonce, posted = request.POST.get("page", ""), request.POST.get("revision", "")
    saved = request.session.get(PAGES, {}).get(f"{job.pk} {block.name} {nonce}")
    if saved is not None:
        return int(saved)
    return int(posted) if posted.isascii() and posted.isdigit() and len(posted) < 10 else -1


def _remember(request: HttpRequest, job: Job, block: Block, revision: int) -> None:
    """Remember what this very page saved last, so that it never clashes with itself."""
    if nonce := request.POST.get("page", "")[:20]:
        key = f"{job.pk} {block.name} {nonce}"
        pages = {k: v for k, v in request.session.get(PAGES, {}).items() if k != key}
        newest = dict(list(pages.items())[-MOST_PAGES:])
        request.session[PAGES] = {**newest, key: revision}


def _not_saved(
    request: HttpRequest, held: Held, form: BlockForm, problem: Impossible
) -> HttpResponseBase:
    """Show everything that was typed again, with the reason."""
    if request.htmx:  # type: ignore[attr-defined]
        text = f"Not saved: {problem.sentence}"
        return render(request, "sip/sheet_saved.html", {"not_saved": text})
    if isinstance(problem, actions.NotComplete):
        form.judge(each for each in problem.problems if each.block == form.block.name)
    return _page(request, held, form, problem=problem.sentence)


def _draft_saved(
    request: HttpRequest, job: Job, form: BlockForm, saved: tuple[int, Mapping[str, str]]
) -> HttpResponse:
    """Say that it is saved, and bring the questions and photos that are new; no other is touched.

    A box that somebody types into is never replaced.
    """
    held, (revision, photos) = Held.read(job), saved
    now_form = _form(held, form.block)
    context = {
        "job": job,
        "revision": revision,
        "saved_at": timezone.now(),
        "new_rows": [
            row
            for row in _judged_photos(now_form, photos).rows(held.photos, _codes(now_form))
            if row.field.name not in form.asked or row.field.name in photos
        ],
        "gone": [name for name in form.asked if name not in now_form.asked],
        "left_out": _left_out(held),
        "swap": True,
    }
    return render(request, "sip/sheet_saved.html", context)


def _judged_photos(form: BlockForm, photos: Mapping[str, str]) -> BlockForm:
    """Put at each photo why it could not be kept."""
    for name, sentence in photos.items():
        if sentence and name in form.fields:
            form.fields[name].help_text = f"Not kept: {sentence}"
    return form


def _keep_photos(request: HttpRequest, job: Job, form: BlockForm) -> dict[str, str]:
    """Take out and add the photos that came: each with why it could not be kept, or nothing."""
    by, found = actor_for(staff_user(request)), {}
    saved_by_button = not request.htmx  # type: ignore[attr-defined]
    removed = request.POST.getlist("remove") if saved_by_button else []
    for photo in worksheet.photos_of(job).values() if removed else ():
        if photo.block == form.block.name and photo.field in removed:
            remove = partial(actions.remove_photo, photo=photo, by=by, now=timezone.now)
            found[photo.field] = _refusal(remove)
    for name, file in form.files_given().items():
        add = partial(actions.add_photo, job=job, block=form.block.name, field=name)
        kept = partial(add, content=file.read(), name=file.name, by=by, now=timezone.now)
        found[name] = _refusal(kept)
    return found


def _refusal(act: Callable[[], object]) -> str:
    """Do it, and return why it could not be done."""
    try:
        act()
    except UploadError as problem:
        return str(problem)
    except Impossible as problem:
        return problem.sentence
    return ""


def _go_on(request: HttpRequest, job: Job, block: Block, *, wrong: bool) -> HttpResponseBase:
    held = Held.read(job)
    if "leave" in request.POST:
        messages.success(request, f"“{block.title}” is saved.")
        return redirect(url_of(job))
    if wrong or held.problems(block.name):
        return redirect(f"{url_of(job, block)}?judge")
    after = held.after(block)
    return redirect(url_of(job, after) if after else url_of(job, name="hand-in"))
