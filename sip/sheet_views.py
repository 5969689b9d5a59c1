"""The worksheet on the engineer's phone: one block a page, saved on every step.

Nothing typed is lost: not by a mistake, not by another device, not by a session that has ended.
These pages show health data and risks, so they are for the job's engineer and this desk, reading
is recorded, and no browser keeps them.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from core.fields import UnreadableField, decrypt, encrypt
from core.models import StatusChange
from core.permissions import staff_user
from core.uploads import UploadError
from core.workflow import Impossible, actor_for
from sip import actions, looks, rules, worksheet
from sip.messages import BLOCKS, WORKSHEET, Answers, Block, Field, Value, words
from sip.models import Attempt, Clash, Code, Job, Photo
from sip.worksheet_forms import BlockForm, with_own_values

Rest = ParamSpec("Rest")
SheetView = Callable[Concatenate[HttpRequest, Job, Rest], HttpResponseBase]
TYPED = "sip-typed"
PAGES = "sip-pages"
MOST_TYPED = 64 * 1024
MOST_PAGES = 20
Status = Job.Status


# ---- Who is let in ---------------------------------------------------------------------------


def worksheet_page(view: SheetView[Rest]) -> Callable[..., HttpResponseBase]:
    """Load a job for its engineer or the desk; what was typed outlives a session that ended."""

    @wraps(view)
    def guarded(
        request: HttpRequest, reference: str, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _sign_in_again(request)
        user = staff_user(request)
        rows = Job.objects.seen_by(user).select_related("engineer")
        job: Job = get_object_or_404(rows, reference=reference)
        if not (job.may_fill(user) and job.may_read_private(user)):
            raise PermissionDenied(
                "A worksheet holds health data: only the job’s engineer and this desk open it."
            )
        response = view(request, job, *args, **kwargs)
        response["Cache-Control"] = "private, no-store"
        return response

    return login_not_required(never_cache(guarded))


def _sign_in_again(request: HttpRequest) -> HttpResponseBase:
    """Keep what was typed, encrypted in this browser's session, and ask for the sign-in."""
    if getattr(request, "htmx", False):
        text = "Not saved: you are signed out. Press Save and sign in; nothing is lost."
        return render(request, "sip/sheet_saved.html", {"not_saved": text})
    if request.method == "POST":
        kept = json.dumps([request.path, dict(request.POST.lists())])
        if len(kept) <= MOST_TYPED:
            request.session[TYPED] = encrypt(kept)
    return redirect_to_login(request.path)


def _typed_before(request: HttpRequest) -> QueryDict | None:
    """What was typed on this page when the session had ended; it is given back once."""
    try:
        path, typed = json.loads(decrypt(request.session.get(TYPED, "")) or '["", {}]')
    except (UnreadableField, ValueError):
        return None
    if path != request.path:
        return None
    del request.session[TYPED]
    query = QueryDict(mutable=True)
    for name, values in typed.items():
        query.setlist(name, values)
    return query


# ---- What a worksheet holds now --------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A job's worksheet as its pages need it (three queries)."""

    job: Job
    answers: Answers
    photos: Mapping[str, Photo]
    verdicts: Mapping[str, rules.Verdict]
    complete: Mapping[str, bool]

    @classmethod
    def read(cls, job: Job) -> "Held":
        """Read it."""
        answers, photos = worksheet.answers_of(job), worksheet.photos_of(job)
        verdicts = rules.required_blocks(answers)
        return cls(job, answers, photos, verdicts, rules.complete(answers, photos))

    @property
    def needed(self) -> list[Block]:
        """The blocks that the message has, in the engineer's order."""
        return [block for block in WORKSHEET if self.verdicts[block.name].required]

    def after(self, block: Block) -> Block | None:
        """The next block that is needed."""
        names = [each.name for each in WORKSHEET]
        later = set(names[names.index(block.name) + 1 :])
        return next((each for each in self.needed if each.name in later), None)

    def before(self, block: Block) -> Block | None:
        """The last needed block before this one."""
        names = [each.name for each in WORKSHEET]
        earlier = set(names[: names.index(block.name)])
        return next((each for each in reversed(self.needed) if each.name in earlier), None)

    def first_open(self) -> Block | None:
        """Where to go on: the first needed block that is not complete."""
        return next((each for each in self.needed if not self.complete.get(each.name)), None)

    def problems(self, block: str) -> list[rules.Problem]:
        """What is missing or wrong in one block."""
        return rules.block_problems(self.answers, block, self.photos, today=timezone.localdate())


def _url(job: Job, block: Block | None = None, name: str = "worksheet") -> str:
    if block is not None:
        return reverse("sip:block", args=[job.reference, block.name])
    return reverse(f"sip:{name}", args=[job.reference])


def _read_private(request: HttpRequest, job: Job) -> None:
    by = actor_for(staff_user(request))
    actions.read_private(job=job, by=by, now=timezone.now)


def _refused(job: Job) -> list[dict[str, str]]:
    """What the party did not take of the last message, while it is being corrected."""
    last = job.sends.order_by("number").last()
    if last is None or last.outcome != Attempt.Outcome.REFUSED:
        return []
    return [{"block": "", "field": "", **each} for each in last.details]


# ---- The worksheet at a glance ---------------------------------------------------------------


@worksheet_page
def overview(request: HttpRequest, job: Job) -> HttpResponseBase:
    """One job on the phone: where to go, what to know, the blocks and where to go on."""
    held = Held.read(job)
    is_open = job.status in Job.WORKSHEET_OPEN
    _read_private(request, job)
    refused = _refused(job) if is_open else []
    where = held.first_open()
    details = held.answers["job_details"]
    context = {
        "job": job,
        "page_title": f"Worksheet {job.reference}",
        "is_open": is_open,
        "steps": [_step(held, block, refused) for block in WORKSHEET],
        "progress": _progress(held),
        "go_on": _url(job, where) if where else _url(job, name="hand-in"),
        "go_on_label": f"Go on: {where.title}" if where else "Look it over and hand it in",
        "telephone": details.get("contact_telephone", ""),
        "vulnerability": details.get("customer_vulnerability", ""),
        "site_risk": details.get("site_risk", ""),
        "refused": [each["text"] for each in refused if not each["field"]],
        "refused_count": len(refused),
        "clashes": _clash_links(job),
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
        "url": _url(held.job, block),
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


def _clash_links(job: Job) -> list[dict[str, str]]:
    return [
        {
            "title": BLOCKS[clash.sheet.block].title,
            "url": reverse("sip:clash", args=[job.reference, clash.pk]),
        }
        for clash in worksheet.open_clashes(job)
    ]


# ---- One block -------------------------------------------------------------------------------


@worksheet_page
def block(request: HttpRequest, job: Job, name: str) -> HttpResponseBase:
    """One block of the worksheet: show it, or save what was typed."""
    if name not in BLOCKS:
        raise Http404
    if request.method == "POST":
        return _save(request, job, BLOCKS[name])
    if job.status not in Job.WORKSHEET_OPEN:
        return redirect(_url(job))
    held, typed = Held.read(job), _typed_before(request)
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
    _read_private(request, job)
    if judged:
        form.judge(held.problems(block_.name))
    sheet = job.sheets.select_related("saved_by").get(block=block_.name)
    refused = [each for each in _refused(job) if each["block"] == block_.name]
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
        "back_url": _url(job, held.before(block_)),
        "after_url": _url(job, after) if after else _url(job, name="hand-in"),
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
        return _to_clash(request, job, problem)
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


def _to_clash(
    request: HttpRequest, job: Job, problem: actions.ChangedMeanwhile
) -> HttpResponseBase:
    url = reverse("sip:clash", args=[job.reference, problem.clash.pk])
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(headers={"HX-Redirect": url})
    return redirect(url)


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
        return redirect(_url(job))
    if wrong or held.problems(block.name):
        return redirect(f"{_url(job, block)}?judge")
    after = held.after(block)
    return redirect(_url(job, after) if after else _url(job, name="hand-in"))


# ---- Two devices -----------------------------------------------------------------------------


@worksheet_page
def clash(request: HttpRequest, job: Job, pk: int) -> HttpResponseBase:
    """Show both answers where another device saved meanwhile; the person says what holds."""
    row = get_object_or_404(
        Clash.objects.select_related("sheet__saved_by", "by"), pk=pk, sheet__job=job
    )
    block_ = BLOCKS[row.sheet.block]
    differing = _differing(row, block_)
    if row.settled_at or job.status not in Job.WORKSHEET_OPEN:
        return redirect(_url(job))
    by = actor_for(staff_user(request))
    if not differing:
        actions.settle_clash(clash=row, by=by, now=timezone.now)
        return redirect(_url(job, block_))
    chosen = {each["name"]: request.POST.get(each["name"], "") for each in differing}
    if request.method == "POST" and all(each in ("mine", "theirs") for each in chosen.values()):
        return _settle(request, job, row, chosen)
    _read_private(request, job)
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
        return _to_clash(request, job, problem)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(_url(job))
    actions.settle_clash(clash=row, by=by, now=timezone.now)
    messages.success(request, "Saved. Look at the block once more.")
    return redirect(_url(job, BLOCKS[row.sheet.block]))


# ---- Handing in ------------------------------------------------------------------------------


@worksheet_page
def hand_in(request: HttpRequest, job: Job) -> HttpResponseBase:
    """The whole worksheet in the engineer's words, what is missing, and the hand-in."""
    if request.method == "POST":
        return _handed_in(request, job)
    if job.status != Status.IN_PROGRESS:
        return redirect(_url(job))
    held = Held.read(job)
    _read_private(request, job)
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
            {"part": part, "url": _url(job, BLOCKS[part.block])}
            for part in worksheet.in_words(sent, chosen, codes)
        ],
        "left_out": rules.left_out(held.answers, held.photos),
        "clashes": _clash_links(job),
    }
    return render(request, "sip/hand_in.html", context)


def _missing(job: Job, block: Block, problems: list[rules.Problem]) -> dict[str, Any]:
    found = [each for each in problems if each.block == block.name]
    return {"title": block.title, "url": f"{_url(job, block)}?judge", "count": len(found)}


def _handed_in(request: HttpRequest, job: Job) -> HttpResponseBase:
    try:
        actions.hand_in(job=job, by=actor_for(staff_user(request)), now=timezone.now)
    except Impossible as problem:
        again = job.status == Status.CHECK
        text = "This was handed in already." if again else problem.sentence
        (messages.info if again else messages.error)(request, text)
        closed = isinstance(problem, actions.NotComplete)
        return redirect(_url(job, name="hand-in") if closed else _url(job))
    messages.success(request, "Handed in. Somebody in the office checks it and sends it.")
    return redirect(_url(job))
