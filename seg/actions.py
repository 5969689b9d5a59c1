"""The verbs of the export tariff desk, and the only place that changes its state.

Calls to the registry happen outside transactions; what they came to is recorded in one. Nothing an
outside party says, or fails to say, becomes a yes or a no unless a rule says so.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, cast

import msgspec
import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from core import alarms, calls, casework, mail, queue
from core.models import Email, Note, User, next_reference
from core.outcomes import CallRecord, Outcome, Refused, Unexpected
from core.uploads import Upload
from core.workflow import (
    CUSTOMER,
    PORTAL,
    Actor,
    Conflict,
    Impossible,
    NotAllowed,
    conflict,
    move,
    opened,
)
from seg import letters, rules
from seg.client import GET_INSTALLATION, NAME, Answer, InstallationRegistry
from seg.letters import Envelope, Letter
from seg.messages import Installation
from seg.models import (
    DECIDE,
    VERIFY,
    VERIFY_AGAIN,
    Application,
    Attachment,
    Check,
    Draft,
    Question,
    Tariff,
    Verification,
    hash_token,
)

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
DECISION = "decision"
NEWS = "news"
SILENT = "seg registry silent"
ODD = "seg registry odd"
ALARMS = {SILENT: Application.Trouble.SILENT, ODD: Application.Trouble.ODD}
ASKED = (Application.Status.CHECKING, Application.Status.APPROVED)
DAILY = timedelta(days=1)
CENT = Decimal("0.01")
PAID = (Application.Status.APPROVED, Application.Status.SUSPENDED)


class NoTariff(Impossible):
    """No tariff was open on the day of receipt, so nothing can be approved onto it."""

    sentence = "No tariff was open on the day of receipt. Add one first; nothing was changed."


class AlreadyPaid(Impossible):
    """Another approved application holds this certificate or export MPAN."""

    sentence = (
        "Another approved application holds this certificate or export MPAN. "
        "Close that one first, or refuse this one; nothing was changed."
    )


class ReasonMissing(Impossible):
    """A check does not pass, so approving needs a reason."""

    sentence = "A check does not pass: write why you approve. Nothing was changed."


@dataclass(frozen=True)
class Submission:
    """A finished application form. MPANs, certificate and postcode are normalised already."""

    certificate_number: str
    kind: str
    address_line_1: str
    address_line_2: str
    town: str
    postcode: str
    import_mpan: str
    export_mpan: str
    dno_told: str
    battery: bool
    no_fit_export: bool
    name: str
    email: str
    phone: str
    postal_address: str
    account_name: str
    sort_code: str
    account_number: str
    terms_version: str


@dataclass(frozen=True)
class Correction:
    """What a customer may put right until we decide."""

    certificate_number: str
    address_line_1: str
    address_line_2: str
    town: str
    postcode: str
    import_mpan: str
    export_mpan: str
    dno_told: str


# ---- The customer ----------------------------------------------------------------------------


def submit(
    *,
    submission: Submission,
    key: str,
    now: Clock,
    by: Actor = CUSTOMER,
    draft: Draft | None = None,
) -> Application:
    """Take an application: row, history, e-mail and the first verification, in one transaction.

    `key` names this sending: sent again with the same key, the first application is returned.
    """
    try:
        with transaction.atomic():
            return _create(submission, key, now(), by, draft)
    except IntegrityError:
        sent_before: Application | None = Application.objects.filter(submission_key=key).first()
        if sent_before is None:
            raise
        return sent_before


def _create(
    submission: Submission, key: str, now: datetime, by: Actor, draft: Draft | None
) -> Application:
    token = secrets.token_urlsafe(32)
    application = Application.objects.create(
        **asdict(submission),
        reference=next_reference("SEG", timezone.localtime(now)),
        status=Application.FIRST,
        status_at=now,
        created_at=now,
        received_at=now,
        terms_accepted_at=now,
        due_by=rules.answer_by(now, settings.SEG_ANSWER_WORKING_DAYS),
        why="Waiting for the registry",
        token=token,
        token_sha256=hash_token(token),
        submission_key=key,
    )
    opened(application, by=by, now=now)
    if draft is not None:
        draft.attachments.update(application=application, draft=None)
        draft.delete()
    _tell(
        application,
        letters.received(_envelope(application), answer_by=_day(application.due_by)),
        by=PORTAL,
        now=now,
    )
    queue.due(VERIFY, application.pk, now=now, by=by)
    return application


def attach(
    *,
    upload: Upload,
    content: bytes,
    now: Clock,
    draft: Draft | None = None,
    application: Application | None = None,
    question: Question | None = None,
) -> Attachment:
    """Store a file that was checked by its content."""
    return Attachment.objects.create(
        draft=draft,
        application=application,
        question=question,
        file=ContentFile(content, name=f"upload{upload.extension}"),
        name=upload.name,
        content_type=upload.content_type,
        size=upload.size,
        sha256=upload.sha256,
        received_at=now(),
    )


def remove_attachment(*, attachment: Attachment) -> None:
    """Forget a file of a draft."""
    attachment.file.delete(save=False)
    attachment.delete()


def keep_draft(*, key: str, answers: dict[str, Any], now: Clock) -> Draft:
    """Keep what a customer has typed so far."""
    moment = now()
    draft, _ = Draft.objects.update_or_create(
        key=key,
        defaults={"answers": answers, "updated_at": moment},
        create_defaults={
            "key": key,
            "answers": answers,
            "updated_at": moment,
            "created_at": moment,
        },
    )
    return draft


def forget_draft(*, draft: Draft) -> None:
    """Forget what a customer has typed, and the files with it."""
    for attachment in draft.attachments.all():
        remove_attachment(attachment=attachment)
    draft.delete()


def forget_drafts(*, now: datetime, **_: object) -> int:
    """Remove drafts and their files after 14 days. Returns how many drafts."""
    old = Draft.objects.filter(updated_at__lt=now - Draft.KEPT_FOR)
    for attachment in Attachment.objects.filter(draft__in=old):
        remove_attachment(attachment=attachment)
    return old.delete()[1].get("seg.Draft", 0)


def correct(
    *, application: Application, correction: Correction, now: Clock, by: Actor = CUSTOMER
) -> None:
    """Take a correction, by the customer or for them, and ask the registry again.

    Raises `Conflict`, `NotAllowed`.
    """
    changed = [
        str(getattr(Application._meta.get_field(name), "verbose_name", name))
        for name, value in asdict(correction).items()
        if getattr(application, name) != value
    ]
    note = "Corrected: " + ", ".join(changed) if changed else "No change."
    moment = now()
    with transaction.atomic():
        why = f"Corrected by {by.name}; waiting for the registry"
        fields = {**asdict(correction), "why": why, "in_progress_since": None, "trouble": ""}
        name = "correct" if by is CUSTOMER else "amend"
        move(application, name, by=by, now=moment, note=note, **fields)
        application.questions.filter(answered_at=None).update(withdrawn_at=moment)
        queue.due(VERIFY, application.pk, now=moment, by=by)


def answer(
    *,
    application: Application,
    question: Question,
    text: str,
    now: Clock,
    uploads: Sequence[tuple[Upload, bytes]] = (),
) -> None:
    """Take a customer's answer to our question. Raises `Conflict` when nobody waits for it."""
    moment = now()
    with transaction.atomic():
        move(
            application,
            "answer",
            by=CUSTOMER,
            now=moment,
            note=text,
            why="The customer has answered our question",
            due_by=rules.answer_by(moment, settings.SEG_ANSWER_WORKING_DAYS),
        )
        Question.objects.filter(pk=question.pk).update(answer=text, answered_at=moment)
        for upload, content in uploads:
            attach(
                upload=upload,
                content=content,
                now=now,
                application=application,
                question=question,
            )


def withdraw_own(*, application: Application, reason: str, now: Clock) -> None:
    """Withdraw at the customer's own wish. Raises `Conflict`."""
    moment = now()
    with transaction.atomic():
        why = "By the customer" + (f": {reason}" if reason else "")
        move(
            application,
            "withdraw_own",
            by=CUSTOMER,
            now=moment,
            note=reason,
            why=why[:300],
        )
        _tell(
            application,
            letters.withdrawn(_envelope(application)),
            by=PORTAL,
            now=moment,
        )


# ---- The registry ----------------------------------------------------------------------------


def take(work: queue.Queue, pk: int, *, now: Clock) -> queue.Claim | None:
    """Claim an application; in the same transaction, record an attempt that was cut off before."""
    with transaction.atomic():
        claim = queue.claim(work, pk, now=now())
        if claim is not None and claim.interrupted is not None:
            _record_cut_off(claim.row(), claim.interrupted)
    return claim


def verify(*, claim: queue.Claim, registry: InstallationRegistry, now: Clock) -> None:
    """Ask the registry about an application's certificate and do what the rules say."""
    _ask_registry(claim, registry, now, wait=_wait, judge=_judge)


def verify_again(*, claim: queue.Claim, registry: InstallationRegistry, now: Clock) -> None:
    """Ask the registry whether an approved certificate still stands; suspend it if it does not."""
    _ask_registry(claim, registry, now, wait=_wait_again, judge=_judge_again)


def _ask_registry(
    claim: queue.Claim,
    registry: InstallationRegistry,
    now: Clock,
    *,
    wait: Callable[[queue.Claim, Application, Outcome, datetime], None],
    judge: Callable[[queue.Claim, Application, Answer, datetime], None],
) -> None:
    """Call outside any transaction; record what it came to in one."""
    application: Application = claim.row()
    with structlog.contextvars.bound_contextvars(case=application.reference):
        try:
            answer = registry.get_installation(application.certificate_number)
        except Outcome as problem:
            write = partial(wait, claim, application, problem, now())
            _record(claim, application, problem.call, write)
            return
        _record(claim, application, answer.call, partial(judge, claim, application, answer, now()))
        _registry_answers(now())


def _record(
    claim: queue.Claim,
    application: Application,
    call: CallRecord | None,
    write: Callable[[], None],
) -> None:
    """Write result, move and call in one transaction; when the claim is lost, only the call."""
    try:
        with transaction.atomic():
            write()
            calls.record(call, case=application)
    except queue.ClaimLost:
        log.info("answer_came_after_the_case_moved_on")
        calls.record(call, case=application)


def _record_cut_off(application: Application, started_at: datetime) -> None:
    calls.record_cut_off(
        party=NAME,
        operation=GET_INSTALLATION.name,
        kind=GET_INSTALLATION.kind,
        started_at=started_at,
        case=application,
    )


def _wait(claim: queue.Claim, application: Application, problem: Outcome, now: datetime) -> None:
    """Nothing was decided: try again later; at the limit a person looks. Staff are alarmed once."""
    again = _next_try(claim, problem, now)
    queue.settle(claim, due_at=again, keep_attempts=True)
    _sound(problem, now)
    if again is None:
        why = f"The registry gave no usable answer {claim.attempts} times"
        move(
            application,
            "give_to_person",
            by=PORTAL,
            now=now,
            note=problem.sentence,
            why=why,
            trouble="",
        )
        return
    why = f"No usable answer from the registry; next try {timezone.localtime(again):%H:%M}"
    Application.objects.filter(pk=application.pk).update(why=why[:300], trouble=_trouble(problem))


def _wait_again(
    claim: queue.Claim, application: Application, problem: Outcome, now: datetime
) -> None:
    """Nothing was said against an approved certificate: it stays approved and is asked again."""
    again = _next_try(claim, problem, now)
    queue.settle(claim, due_at=again or now + DAILY, keep_attempts=again is not None)
    _sound(problem, now)
    Application.objects.filter(pk=application.pk).update(trouble=_trouble(problem))


def _next_try(claim: queue.Claim, problem: Outcome, now: datetime) -> datetime | None:
    """When to try again; a fault of our own configuration waits for as long as it takes."""
    again = queue.retry_at(claim, now=now, after=problem.retry_after)
    if again is None and isinstance(problem, Refused):
        return now + timedelta(hours=1)
    return again


def _trouble(problem: Outcome) -> Application.Trouble:
    odd = isinstance(problem, Unexpected)
    return Application.Trouble.ODD if odd else Application.Trouble.SILENT


def _sound(problem: Outcome, now: datetime) -> None:
    odd = isinstance(problem, Unexpected)
    alarms.sound(
        ODD if odd else SILENT,
        desk="seg",
        title="The installation registry’s reply is not what it promises"
        if odd
        else "The installation registry gives no usable answer",
        text=problem.sentence,
        next_step=problem.next_step,
        now=now,
    )


def _registry_answers(now: datetime) -> None:
    """The registry answers: bring waiting rows forward; an alarm ends when no row waits for it."""
    lasting = {key for key in ALARMS if alarms.is_open(key)}
    if SILENT in lasting:
        queue.wake(VERIFY, now=now)
        queue.wake(VERIFY_AGAIN, now=now)
    asked = Application.objects.filter(status__in=ASKED)
    for key in lasting:
        if not asked.filter(trouble=ALARMS[key]).exists():
            alarms.over(key, now=now)


def _judge(claim: queue.Claim, application: Application, answer: Answer, now: datetime) -> None:
    """Apply the rules to a new application and its certificate."""
    surroundings = _surroundings(application, now)
    checks = rules.check(_claim_of(application), answer.installation, surroundings)
    verdict = rules.verdict(checks)
    _keep(application, answer, checks, verdict, now)
    if verdict.kind == "in_progress":
        _look_again_tomorrow(claim, application, verdict, now)
        return
    queue.settle(claim)
    decide = {
        "approve": _approve_clean,
        "refuse": _refuse_by_rule,
        "not_found": _ask_for_number,
        "review": _give_to_person,
    }[verdict.kind]
    decide(application, verdict, now)


def _surroundings(application: Application, now: datetime) -> rules.Surroundings:
    return rules.Surroundings(
        today=timezone.localdate(now),
        review_technologies=settings.SEG_REVIEW_TECHNOLOGIES,
        certificate_held_by=_held_by(
            application, certificate_number=application.certificate_number
        ),
        export_mpan_held_by=_held_by(application, export_mpan=application.export_mpan)
        if application.export_mpan
        else "",
        tariff_open=tariff_for(application) is not None,
    )


def _held_by(application: Application, **same: str) -> str:
    """The reference of an application that was there first, or is paid already; else empty."""
    first = Q(received_at__lt=application.received_at) | Q(status__in=PAID)
    others = Application.objects.live().exclude(pk=application.pk).filter(first, **same)
    return others.values_list("reference", flat=True).order_by("received_at").first() or ""


def _claim_of(application: Application) -> rules.Claim:
    return rules.Claim(
        certificate=application.certificate_number,
        address=application.address,
        postcode=application.postcode,
        received_on=timezone.localdate(application.received_at),
        import_mpan=application.import_mpan,
        export_mpan=application.export_mpan,
        dno_told=application.dno_told,  # type: ignore[arg-type]
        fit_export_declared=application.no_fit_export,
        battery=application.battery,
        kind=application.kind,  # type: ignore[arg-type]
    )


def _keep(
    application: Application,
    answer: Answer,
    checks: Sequence[rules.Check],
    found: rules.Verdict | rules.Recheck,
    now: datetime,
) -> Verification:
    """Keep what the registry said, raw and parsed, beside what the rules made of it."""
    installation = answer.installation
    verification = Verification.objects.create(
        application=application,
        at=now,
        asked_number=application.certificate_number,
        found=installation is not None,
        installation=msgspec.to_builtins(installation) if installation else None,
        raw=answer.call.reply_body,
        verdict=found.kind,
        why=found.why[:300],
    )
    Check.objects.bulk_create(
        _check_row(verification, position, each) for position, each in enumerate(checks)
    )
    size = installation.total_capacity if installation else None
    known = {"capacity": size.quantize(CENT)} if size else {}
    Application.objects.filter(pk=application.pk).update(verified_at=now, trouble="", **known)
    if found.kind != "in_progress":
        Application.objects.filter(pk=application.pk).update(in_progress_since=None)
    return verification


def _check_row(verification: Verification, position: int, each: rules.Check) -> Check:
    return Check(
        verification=verification,
        position=position,
        code=each.code,
        title=each.title,
        result=each.result,
        sentence=each.sentence,
        ours=each.ours,
        theirs=each.theirs,
        customer_sentence=each.customer_sentence,
        brief=each.brief[:200],
    )


def _approve_clean(application: Application, verdict: rules.Verdict, now: datetime) -> None:
    """Approve by itself where the setting allows it, else hand the clean case to a person."""
    tariff = tariff_for(application)
    if not settings.SEG_AUTO_APPROVE or tariff is None:
        _give_to_person(application, verdict, now, why=f"{verdict.why}; ready to approve")
        return
    why = f"{verdict.why}; tariff {tariff.code}"
    try:
        with transaction.atomic():
            move(
                application,
                "approve_clean",
                by=PORTAL,
                now=now,
                why=why,
                tariff=tariff,
                decision_reason="",
                due_by=None,
            )
    except IntegrityError:
        _give_to_person(application, verdict, now, why="Another application holds this certificate")
        return
    _tell(application, approval_letter(application, tariff), by=PORTAL, now=now)
    queue.due(VERIFY_AGAIN, application.pk, now=now, at=next_verification(application.pk, now))


def _refuse_by_rule(application: Application, verdict: rules.Verdict, now: datetime) -> None:
    reason = verdict.customer_reason
    move(
        application,
        "refuse_by_rule",
        by=PORTAL,
        now=now,
        note=verdict.why,
        why=verdict.why[:300],
        decision_reason=reason,
        due_by=None,
    )
    _tell(
        application,
        letters.refused(_envelope(application), reason=reason),
        by=PORTAL,
        now=now,
    )


def _ask_for_number(application: Application, verdict: rules.Verdict, now: datetime) -> None:
    move(application, "ask_for_number", by=PORTAL, now=now, why=verdict.why[:300])
    letter = letters.not_found(_envelope(application), certificate=application.certificate_number)
    _tell(application, letter, by=PORTAL, now=now)


def _give_to_person(
    application: Application, verdict: rules.Verdict, now: datetime, why: str = ""
) -> None:
    move(
        application,
        "give_to_person",
        by=PORTAL,
        now=now,
        why=(why or verdict.why)[:300],
    )


def _look_again_tomorrow(
    claim: queue.Claim, application: Application, verdict: rules.Verdict, now: datetime
) -> None:
    """In Progress: look again daily up to the limit; the customer is told once."""
    since = application.in_progress_since or now
    if now - since >= timedelta(days=settings.SEG_IN_PROGRESS_DAYS):
        queue.settle(claim)
        days = settings.SEG_IN_PROGRESS_DAYS
        _give_to_person(application, verdict, now, why=f"Still in progress after {days} days")
        return
    queue.settle(claim, due_at=now + DAILY)
    Application.objects.filter(pk=application.pk).update(
        why=verdict.why[:300], in_progress_since=since
    )
    if application.in_progress_since is None:
        days = settings.SEG_IN_PROGRESS_DAYS
        letter = letters.in_progress(
            _envelope(application),
            certificate=application.certificate_number,
            days=days,
        )
        _tell(application, letter, by=PORTAL, now=now)


def _judge_again(
    claim: queue.Claim, application: Application, answer: Answer, now: datetime
) -> None:
    """Compare an approved certificate with what it was when it was approved."""
    before = _installation_before(application)
    surroundings = _surroundings(application, now)
    found = rules.recheck(application.certificate_number, answer.installation, surroundings, before)
    checks = rules.check(_claim_of(application), answer.installation, surroundings)
    _keep(application, answer, checks, found, now)
    queue.settle(claim, due_at=next_verification(application.pk, now))
    if found.kind == "look":
        _raise_change(application, found.why, now)
    if found.kind == "suspend":
        _suspend(application, found, now)


def _installation_before(application: Application) -> Installation | None:
    last = application.verifications.filter(found=True).order_by("-at", "-pk").first()
    return msgspec.convert(last.installation, Installation, strict=False) if last else None


def _raise_change(application: Application, why: str, now: datetime) -> None:
    text = f"The certificate has changed since it was approved: {why}"
    casework.note(application, text=text, by=PORTAL, now=now, kind=Note.Kind.EVENT)
    alarms.sound(
        f"seg changed {application.reference}",
        desk="seg",
        title=f"{application.reference}: the certificate has changed",
        text=why,
        next_step="Open the case and decide whether the approval still stands.",
        lasting=False,
        now=now,
    )


def _suspend(application: Application, found: rules.Recheck, now: datetime) -> None:
    move(
        application,
        "suspend",
        by=PORTAL,
        now=now,
        note=found.why,
        why=found.why[:300],
        decision_reason=found.customer_reason,
        due_by=rules.answer_by(now, settings.SEG_ANSWER_WORKING_DAYS),
    )
    letter = letters.suspended(_envelope(application), reason=found.customer_reason)
    _tell(application, letter, by=PORTAL, now=now)


def next_verification(pk: int, now: datetime) -> datetime:
    """When an approved certificate is read again: 30 days on, spread evenly over three days."""
    spread = timedelta(seconds=pk * 2_654_435_761 % (3 * 86_400))
    return now + timedelta(days=settings.SEG_VERIFY_AGAIN_DAYS) + spread - timedelta(days=1.5)


# ---- Members of staff ------------------------------------------------------------------------


def approve(
    *,
    application: Application,
    reason: str,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> Email:
    """Approve (or reinstate) for the tariff open on the day of receipt; the letter waits for Stop.

    Raises `NoTariff`, `AlreadyPaid`, `ReasonMissing`, `Conflict`, `NotAllowed`.
    """
    tariff = application.tariff or tariff_for(application)
    if tariff is None:
        raise NoTariff
    if not reason.strip() and has_open_checks(application):
        raise ReasonMissing
    name = "approve" if application.status == Application.Status.REVIEW else "reinstate"
    why = f"Tariff {tariff.code}, approved by {by.name}"
    fields: dict[str, Any] = {
        "why": why,
        "tariff": tariff,
        "decision_reason": "",
        "due_by": None,
    }
    moment = now()
    try:
        with transaction.atomic():
            move(
                application,
                name,
                by=by,
                now=moment,
                note=reason,
                confirmation=confirmation,
                **fields,
            )
            at = next_verification(application.pk, moment)
            queue.due(VERIFY_AGAIN, application.pk, now=moment, at=at)
            letter = approval_letter(application, tariff)
            return _decide(application, letter, by, moment)
    except IntegrityError as problem:
        raise AlreadyPaid from problem


def refuse(
    *,
    application: Application,
    reason: str,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> Email:
    """Refuse with a reason that goes to the customer; the letter waits for Stop."""
    moment = now()
    with transaction.atomic():
        move(
            application,
            "refuse",
            by=by,
            now=moment,
            note=reason,
            confirmation=confirmation,
            why=f"Refused by {by.name}: {reason}"[:300],
            decision_reason=reason,
            due_by=None,
        )
        return _decide(application, refusal_letter(application, reason), by, moment)


def ask(
    *,
    application: Application,
    text: str,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> Email:
    """Ask the customer a question, answered on the tracking page; the letter waits for Stop."""
    moment = now()
    with transaction.atomic():
        why = f"Asked: {text}"[:300]
        move(
            application,
            "ask",
            by=by,
            now=moment,
            note=text,
            confirmation=confirmation,
            why=why,
        )
        Question.objects.create(
            application=application, asked_by=cast(User, by.user), asked_at=moment, text=text
        )
        return _decide(application, question_letter(application, text), by, moment)


def withdraw(
    *,
    application: Application,
    reason: str,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> Email:
    """Withdraw for the customer, who is told; the letter waits for Stop."""
    moment = now()
    with transaction.atomic():
        move(
            application,
            "withdraw",
            by=by,
            now=moment,
            note=reason,
            confirmation=confirmation,
            why=f"Withdrawn by {by.name}: {reason}"[:300],
            due_by=None,
        )
        return _decide(application, withdrawal_letter(application), by, moment)


def reopen(
    *,
    application: Application,
    reason: str,
    by: Actor,
    now: Clock,
    confirmation: str | None = None,
) -> None:
    """Open a decided application again. The customer is told when it is decided anew."""
    moment = now()
    with transaction.atomic():
        move(
            application,
            "reopen",
            by=by,
            now=moment,
            note=reason,
            confirmation=confirmation,
            why=f"Reopened by {by.name}: {reason}"[:300],
            due_by=rules.answer_by(moment, settings.SEG_ANSWER_WORKING_DAYS),
        )
        _refuse_while_untold(application)


def check_again(*, application: Application, by: Actor, now: Clock) -> None:
    """Ask the registry again now: a waiting case at once, one under review from the start."""
    if by.user is not None and not by.user.has_perm(DECIDE):
        raise NotAllowed("Your role does not ask the registry.")
    moment = now()
    with transaction.atomic():
        if application.status == Application.Status.APPROVED:
            queue.due(VERIFY_AGAIN, application.pk, now=moment, by=by)
        elif application.status != Application.Status.CHECKING:
            move(
                application,
                "check_again",
                by=by,
                now=moment,
                why="Waiting for the registry",
            )
        if application.status != Application.Status.APPROVED:
            queue.due(VERIFY, application.pk, now=moment, by=by)
        _refuse_while_untold(application)


def add_export_mpan(*, application: Application, export_mpan: str, by: Actor, now: Clock) -> None:
    """Add the export MPAN that an approved application came without, so that payments can start.

    Raises `AlreadyPaid` when another paid application has it, `Conflict` when it is there already.
    """
    if by.user is None or not by.user.has_perm(DECIDE):
        raise NotAllowed("Your role does not change applications.")
    if export_mpan == application.import_mpan:
        raise Impossible("This is the import MPAN once more. Nothing was changed.")
    missing = Application.objects.filter(pk=application.pk, status__in=PAID, export_mpan="")
    text = f"Export MPAN {export_mpan} added."
    try:
        with transaction.atomic():
            if not missing.update(export_mpan=export_mpan):
                raise conflict(application)
            casework.note(application, text=text, by=by, now=now(), kind=Note.Kind.EVENT)
    except IntegrityError as problem:
        raise AlreadyPaid from problem


def stop_decision(email: Email, *, by: Actor, now: datetime) -> bool:
    """Stop a decision's e-mail before it leaves, and take the decision back with it.

    False, and nothing changes, when the e-mail has left or the case has moved on since.
    """
    try:
        return _stop_decision(email, by, now)
    except Conflict:
        return False


def _stop_decision(email: Email, by: Actor, now: datetime) -> bool:
    with transaction.atomic():
        if email.purpose != DECISION or not mail.stop(email):
            return False
        application = Application.objects.get(reference=email.reference)
        why = f"{by.name} stopped the decision before it was told"
        move(
            application,
            "stop_decision",
            by=by,
            now=now,
            note=email.subject,
            why=why,
            decision_reason="",
            due_by=rules.answer_by(application.received_at, settings.SEG_ANSWER_WORKING_DAYS),
        )
        application.questions.filter(answered_at=None).update(withdrawn_at=now)
    return True


def delay_seconds() -> int:
    """How long a person's decision waits before its e-mail leaves, in seconds."""
    return int(settings.SEND_DELAY_SECONDS)


def has_open_checks(application: Application) -> bool:
    """Whether a check of the latest verification does not pass, or there is none."""
    last = application.latest_verification()
    return last is None or any(each.result != Check.Result.PASS for each in last.checks.all())


# ---- Letters ---------------------------------------------------------------------------------


def approval_letter(application: Application, tariff: Tariff) -> Letter:
    """The e-mail of an approval, also after a suspension."""
    to = _envelope(application)
    if application.status == Application.Status.SUSPENDED:
        return letters.reinstated(to, tariff=tariff.code)
    return letters.approved(
        to,
        tariff=tariff.code,
        rate=tariff.rate,
        has_export_mpan=bool(application.export_mpan),
    )


def refusal_letter(application: Application, reason: str) -> Letter:
    """The e-mail of a refusal."""
    return letters.refused(_envelope(application), reason=reason)


def question_letter(application: Application, text: str) -> Letter:
    """The e-mail that asks a question."""
    return letters.question(_envelope(application), text=text)


def withdrawal_letter(application: Application) -> Letter:
    """The e-mail that confirms a withdrawal."""
    return letters.withdrawn(_envelope(application))


def _envelope(application: Application) -> Envelope:
    return Envelope(
        supplier=settings.SUPPLIER_NAME,
        name=application.name,
        reference=application.reference,
        link=tracking_link(application),
        email=settings.SUPPLIER_EMAIL,
        phone=settings.SUPPLIER_PHONE,
    )


def _day(moment: datetime | None) -> date | None:
    return timezone.localdate(moment) if moment else None


def tracking_link(application: Application) -> str:
    """The customer's private address."""
    return settings.PUBLIC_BASE_URL + reverse("seg:track", args=[application.token])


def _decide(application: Application, letter: Letter, by: Actor, now: datetime) -> Email:
    """Queue the letter of a person's decision, with time to stop it."""
    _refuse_while_untold(application)
    return _tell(
        application,
        letter,
        by=by,
        now=now,
        purpose=DECISION,
        delay=settings.SEND_DELAY_SECONDS,
    )


def _refuse_while_untold(application: Application) -> None:
    """Raise `Conflict` while the e-mail of an earlier decision waits: two would cross.

    Call it in the transaction, after the move: who lost a race reads who won it.
    """
    if mail.waiting_for(application, DECISION) is not None:
        raise Conflict(
            f"The customer is about to be told the last decision on {application.reference}. "
            "Stop that e-mail first, or wait until it has left. Nothing was done.",
            status=application.status,
        )


def _tell(
    application: Application,
    letter: Letter,
    *,
    by: Actor,
    now: datetime,
    purpose: str = NEWS,
    delay: int = 0,
) -> Email:
    return mail.post(
        case=application,
        purpose=purpose,
        to=application.email,
        subject=letter.subject,
        text=letter.text,
        link=tracking_link(application),
        by=by,
        now=now,
        delay=delay,
    )


def tariff_for(application: Application) -> Tariff | None:
    """The tariff that was open on the day the application was received."""
    return Tariff.open_on(timezone.localdate(application.received_at))
