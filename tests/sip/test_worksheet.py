"""Jobs and worksheets: who may what, two devices, photos, hand in and back, import, retention."""

import hashlib
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image

from core import housekeeping
from core.models import Note
from core.uploads import UploadError
from core.workflow import Conflict, Impossible, NotAllowed, actor_for
from sip import actions, job_csv, messages, worksheet
from sip.models import Clash, Code, CodeList, Job, JobImport, Photo, Sheet
from tests.core.racing import race
from tests.factories.sip import HEALTH, JobFactory, details, filled, jpeg
from tests.sip.conftest import now

pytestmark = pytest.mark.django_db
Status = Job.Status
ANSWERS = {"contact_made": True, "call_outcome": "Customer confirmed"}


@pytest.fixture
def save(by):
    """Save a block: save(job, {"contact_made": True}, revision=1)."""

    def saved(job, answers=ANSWERS, *, block="customer_contact", revision=0, by=by):
        return actions.save_block(
            job=now(job),
            block=block,
            answers=answers,
            revision=revision,
            by=by,
            now=timezone.now,
        )

    return saved


# ---- Jobs ------------------------------------------------------------------------------------


def test_a_job_is_created_once_with_an_empty_worksheet(office, by):
    key, said = str(uuid4()), details(**HEALTH)
    made = [actions.create_job(details=said, key=key, by=by, now=timezone.now) for _ in "ab"]
    assert made[0] == made[1]
    job = made[0]
    assert job.reference.startswith("SIP-")
    assert {sheet.block for sheet in job.sheets.all()} == set(messages.BLOCKS)
    answers = worksheet.answers_of(job)
    assert answers["job_details"]["job_id"] == str(job.job_id)
    assert answers["job_details"]["site_risk"] == HEALTH["site_risk"]
    assert answers["customer_contact"] == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [("mpan", "1129383838384"), ("post_code", "x"), ("town", ""), ("supplier_mpid", "toolong")],
)
def test_a_job_with_wrong_details_is_not_created(by, name, value):
    with pytest.raises(actions.NotComplete):
        actions.create_job(details=details(**{name: value}), key="k", by=by, now=timezone.now)
    assert not Job.objects.exists()


def test_who_creates_and_plans_jobs(office, engineer, auditor, person):
    for user in (engineer, auditor):
        with pytest.raises(NotAllowed):
            actions.create_job(details=details(), key="k", by=actor_for(user), now=timezone.now)
    with pytest.raises(NotAllowed, match="not an engineer"):
        office.create(engineer=auditor)
    job = office.create()
    day = timezone.localdate() + timedelta(days=3)
    actions.assign_engineer(
        job=job, engineer=engineer, planned_date=day, by=office.by, now=timezone.now
    )
    assert (now(job).engineer, now(job).planned_date) == (engineer, day)
    with pytest.raises(NotAllowed):
        actions.assign_engineer(
            job=job, engineer=None, planned_date=None, by=actor_for(engineer), now=timezone.now
        )
    done = JobFactory(status="accepted")
    with pytest.raises(Conflict):
        actions.assign_engineer(
            job=done, engineer=engineer, planned_date=None, by=office.by, now=timezone.now
        )


def test_an_engineer_sees_and_fills_only_own_jobs(engineer, clerk, supervisor, auditor, nobody):
    own, other = JobFactory(engineer=engineer), JobFactory()
    assert list(Job.objects.seen_by(engineer)) == [own]
    assert Job.objects.seen_by(clerk).count() == 2
    assert Job.objects.seen_by(auditor).count() == 2
    assert not Job.objects.seen_by(nobody).exists()
    assert own.may_fill(engineer)
    assert not other.may_fill(engineer)
    assert other.may_fill(clerk)
    assert not own.may_fill(auditor)
    assert not own.may_fill(supervisor)


def test_who_reads_health_data(engineer, clerk, supervisor, auditor, person):
    own, other = JobFactory(engineer=engineer), JobFactory()
    assert own.may_read_private(engineer)
    assert not other.may_read_private(engineer)
    assert own.may_read_private(clerk)
    for user in (supervisor, auditor, person(admin=True)):
        assert not own.may_read_private(user)
        with pytest.raises(NotAllowed):
            actions.read_private(job=own, by=actor_for(user), now=timezone.now)


def test_reading_health_data_is_recorded_once_an_hour(clerk, engineer):
    job = JobFactory(engineer=engineer)
    begun = timezone.now()
    for minutes in (0, 5, 59, 61):
        moment = begun + timedelta(minutes=minutes)
        actions.read_private(job=job, by=actor_for(clerk), now=lambda at=moment: at)
    actions.read_private(job=job, by=actor_for(engineer), now=lambda: begun)
    looks = Note.objects.for_case(job).filter(kind=Note.Kind.REVEALED)
    assert sorted(looks.values_list("by", flat=True)) == sorted([clerk.pk, clerk.pk, engineer.pk])


# ---- Two devices -----------------------------------------------------------------------------


def test_the_first_save_starts_the_job_and_counts_revisions(save):
    job = JobFactory()
    assert save(job) == 1
    assert now(job).status == Status.IN_PROGRESS
    assert save(job, {**ANSWERS, "arrived_on_site": False}, revision=1) == 2
    assert worksheet.answers_of(job)["customer_contact"]["arrived_on_site"] is False


def test_the_same_answers_again_are_no_conflict(save):
    job = JobFactory()
    assert save(job) == 1
    assert save(job) == 1
    assert not Clash.objects.exists()


def test_a_conflict_is_kept_and_shown_and_nothing_overwritten(save, by):
    job = JobFactory()
    save(job)
    with pytest.raises(actions.ChangedMeanwhile) as raised:
        save(job, {"contact_made": False})
    clash = Clash.objects.get()
    assert raised.value.clash == clash
    assert clash.answers == {"contact_made": False}
    assert raised.value.sheet.answers == ANSWERS
    assert worksheet.answers_of(job)["customer_contact"] == ANSWERS
    assert worksheet.open_clashes(job) == [clash]
    with pytest.raises(Impossible, match="Two devices"):
        actions.hand_in(job=now(job), by=by, now=timezone.now)
    actions.settle_clash(clash=clash, by=by, now=timezone.now)
    assert worksheet.open_clashes(job) == []


@pytest.mark.django_db(transaction=True)
def test_two_devices_at_once_one_saves_and_one_is_kept_beside(save):
    job = JobFactory(status="in_progress")
    results = race(
        lambda: save(job, {"contact_made": True}), lambda: save(job, {"contact_made": False})
    )
    assert sorted(isinstance(each, int) for each in results) == [False, True], results
    clash = Clash.objects.get()
    assert {clash.answers["contact_made"], clash.sheet.answers["contact_made"]} == {True, False}


@pytest.mark.django_db(transaction=True)
def test_two_devices_may_start_a_worksheet_at_once(save):
    job = JobFactory()
    results = race(
        lambda: save(job),
        lambda: save(job, {"outcome": "Aborted"}, block="job_completion"),
        lambda: save(job),
    )
    assert results == [1, 1, 1]
    assert now(job).status == Status.IN_PROGRESS


@pytest.mark.django_db(transaction=True)
def test_saving_and_handing_in_race_and_what_is_checked_is_what_was_handed_in(
    service, office, save, by
):
    """A save either comes before the hand-in, which then starts anew, or finds it closed."""
    for _ in range(4):
        job = filled(office.create(), service.sample("prevented"), by)
        sheet = worksheet.sheet_of(job, "job_completion")
        answers = {**sheet.answers, "outcome": ""}
        saved, handed = race(
            lambda job=job, sheet=sheet, answers=answers: save(
                job, answers, block=sheet.block, revision=sheet.revision
            ),
            lambda job=job: actions.hand_in(job=now(job), by=by, now=timezone.now),
        )
        if isinstance(saved, Conflict):
            assert handed is None
            assert worksheet.composed(now(job)).problems == []
        else:
            assert isinstance(saved, int), saved
            assert isinstance(handed, Conflict | actions.NotComplete), handed
            assert now(job).status == Status.IN_PROGRESS


@pytest.mark.parametrize(
    "answers",
    [{"no such field": 1}, {"job_id": "x"}, {"call_outcome": "x" * 6000}],
)
def test_what_is_no_answer_is_refused(save, answers):
    job = JobFactory()
    with pytest.raises(Impossible):
        save(job, answers)
    assert now(job).status == Status.PLANNED


@pytest.mark.parametrize(
    "status", ["check", "sending", "accepted", "refused", "unknown", "cancelled"]
)
def test_a_closed_worksheet_is_not_written(save, by, status):
    job = JobFactory(status=status)
    with pytest.raises(Conflict):
        save(job)
    with pytest.raises(Conflict):
        actions.add_photo(
            job=job, block="meter", field="photo", content=jpeg(), name="a.jpg", by=by,
            now=timezone.now,
        )  # fmt: skip
    assert not any(sheet.answers for sheet in job.sheets.all())
    assert not Photo.objects.exists()


def test_details_are_copied_for_lists_and_search(save):
    job = JobFactory()
    answers = {**details().answers(), **HEALTH, "contact_name": "Nell Ashdown"}
    save(job, answers, block="job_details")
    assert now(job).contact_name == "Nell Ashdown"
    with pytest.raises(actions.NotComplete):
        save(job, {**answers, "mpan": "12"}, block="job_details", revision=1)
    save(job, {"outcome": "Aborted"}, block="job_completion")
    assert now(job).outcome == "Aborted"


# ---- Photos ----------------------------------------------------------------------------------


@pytest.fixture
def add(by):
    """Add a photo: add(job, content)."""

    def added(job, content=None, *, name="front.jpg", field="photo", block="meter"):
        return actions.add_photo(
            job=now(job),
            block=block,
            field=field,
            content=content or jpeg(),
            name=name,
            by=by,
            now=timezone.now,
        )

    return added


def test_a_photo_is_upright_scaled_and_without_location(add, settings):
    settings.SIP_PHOTO_LONGEST_SIDE = 300
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010F] = "Planted camera"
    photo = add(JobFactory(), jpeg(1200, 600, exif=exif.tobytes()))
    with photo.file.open("rb") as file:
        content = file.read()
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "JPEG"
    assert picture.size == (photo.width, photo.height) == (150, 300)
    assert dict(picture.getexif()) == {}
    assert b"Planted" not in content
    assert photo.sha256 == hashlib.sha256(content).hexdigest() != photo.original_sha256
    assert photo.size == len(content)


def test_a_photo_is_made_small_enough(add, settings):
    settings.SIP_PHOTO_BYTES = 4000
    noise = Image.effect_noise((900, 700), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert add(JobFactory(), out.getvalue(), name="noise.png").size <= 4000


@pytest.mark.parametrize(
    "content", [b"GIF89a", b"%PDF-1.4 %%EOF", b"<svg/>", jpeg()[:200], b"\x89PNG\r\n\x1a\nnothing"]
)
def test_what_is_no_photo_is_refused(add, content):
    with pytest.raises(UploadError):
        add(JobFactory(), content)
    assert not Photo.objects.exists()


def test_a_photo_needs_its_place(add):
    with pytest.raises(Impossible):
        add(JobFactory(), field="location")


@pytest.mark.django_db(transaction=True)
def test_a_replaced_photo_goes_and_a_frozen_one_stays(service, office, add, by):
    job = office.to_check(service.sample("completed"))
    first = job.photos.get(field="photo")
    office.authorise(job)
    actions.stop(job=now(job), by=by, now=timezone.now)
    actions.hand_back(job=now(job), reason="Blurred photo.", by=by, now=timezone.now)
    second = add(job, jpeg(colour="blue"))
    third = add(job, jpeg(colour="green"))
    assert worksheet.photos_of(job)["meter.photo"] == third
    assert default_storage.exists(first.file.name)
    assert not default_storage.exists(second.file.name)
    actions.remove_photo(photo=third, by=by, now=timezone.now)
    assert "meter.photo" not in worksheet.photos_of(job)
    assert worksheet.bytes_of(job.versions.get())


# ---- Hand in and back ------------------------------------------------------------------------


def test_an_engineer_hands_in_a_complete_worksheet(service, office, engineer):
    job = office.create(engineer=engineer)
    own = actor_for(engineer)
    blocks = service.sample("prevented")
    late = blocks.pop("job_completion")
    job = filled(job, blocks, own)
    with pytest.raises(actions.NotComplete, match="Result"):
        actions.hand_in(job=job, by=own, now=timezone.now)
    job = filled(job, {"job_completion": late}, own)
    actions.hand_in(job=job, by=own, now=timezone.now)
    assert now(job).handed_in_by == engineer
    with pytest.raises(NotAllowed):
        actions.authorise(job=now(job), token="x", by=own, now=timezone.now)


def test_another_engineer_can_do_nothing(service, office, engineer, person, save, add):
    job = office.create(engineer=engineer)
    other = actor_for(person("engineer"))
    with pytest.raises(NotAllowed):
        save(job, by=other)
    with pytest.raises(NotAllowed):
        actions.hand_in(job=now(job), by=other, now=timezone.now)
    refused = JobFactory(status="refused", engineer=engineer)
    with pytest.raises(NotAllowed):
        actions.correct(job=refused, by=other, now=timezone.now)
    actions.correct(job=refused, by=actor_for(engineer), now=timezone.now)


def test_handing_back_needs_a_reason_and_cancelling_ends_it(service, office, by, save):
    job = office.to_check(service.sample("prevented"))
    with pytest.raises(NotAllowed):
        actions.hand_back(job=job, reason=" ", by=by, now=timezone.now)
    actions.hand_back(job=job, reason="The notice is wrong.", by=by, now=timezone.now)
    assert now(job).status == Status.IN_PROGRESS
    actions.cancel(job=now(job), reason="The customer moved.", by=by, now=timezone.now)
    with pytest.raises(Conflict):
        save(job)


# ---- Import ----------------------------------------------------------------------------------

HEADING = ",".join(job_csv.COLUMNS)
GOOD = (
    "1129383838383,test,Bob Smith,1 High Street,Coventry,cv54dd,07737374773,30/11/2026,"
    "ENGINEER@x.example,Planted frailty,Planted dog"
)


def read(*lines, engineers=("engineer@x.example",)):
    return job_csv.read("\n".join((HEADING, *lines)).encode(), dict.fromkeys(engineers, "Joss"))


def test_a_file_of_jobs_is_read_and_cleaned():
    [row] = read(GOOD).rows
    assert row.problems == ()
    assert row.values["PLANNED_DATE"] == "2026-11-30"
    assert row.values["POST_CODE"] == "CV5 4DD"
    assert row.values["SUPPLIER_MPID"] == "TEST"
    assert "Planted" not in repr(row)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1129383838383", "1129383838384", "last digit"),
        ("Bob Smith", "", "Person on site: this is missing"),
        ("cv54dd", "nowhere", "Postcode"),
        ("30/11/2026", "31/11/2026", "Planned date"),
        ("ENGINEER@", "nobody@", "Engineer"),
        ("07737374773", "none", "Telephone"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(old, new, words):
    [row] = read(GOOD.replace(old, new)).rows
    assert words in " ".join(row.problems)
    assert "Planted" not in " ".join(row.problems)


def test_the_same_visit_twice_is_a_problem_of_the_second_row():
    first, second = read(GOOD, GOOD).rows
    assert first.problems == ()
    assert "Row 2" in second.problems[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"MPAN\n",
        b"\x00\x01",
        HEADING.encode(),
        (HEADING + ",MPAN\n").encode(),
        b"x" * 3_000_000,
    ],
)
def test_what_is_no_such_list_is_refused(body):
    with pytest.raises(job_csv.NotASheet):
        job_csv.read(body, {})


def test_jobs_are_imported_once(by, engineer, auditor):
    [row] = read(
        GOOD.replace("ENGINEER@x.example", engineer.email), engineers=[engineer.email]
    ).rows
    with pytest.raises(NotAllowed):
        actions.keep_upload(rows=[], file_name="x", by=actor_for(auditor), now=timezone.now)
    for number in (1, 0):
        upload = actions.keep_upload(
            rows=[row.values], file_name="jobs.csv", by=by, now=timezone.now
        )
        done = actions.import_jobs(upload=upload, by=by, now=timezone.now)
        assert (done.added, done.there) == (number, 1 - number)
        with pytest.raises(Impossible):
            actions.import_jobs(upload=upload, by=by, now=timezone.now)
    job = Job.objects.get()
    assert job.engineer == engineer
    assert worksheet.answers_of(job)["job_details"]["site_risk"] == "Planted dog"
    assert not JobImport.objects.filter(rows__isnull=False).exists()
    actions.forget_uploads(now=timezone.now() + timedelta(days=2))
    assert not JobImport.objects.exists()


def test_a_code_list_is_imported(by, engineer, code_lists):
    codes = CodeList.objects.get(name="abort_access")
    body = b"value,meaning\n20,No answer\n21,Locked gate\n"
    with pytest.raises(NotAllowed):
        actions.import_codes(code_list=codes, body=body, by=actor_for(engineer), now=timezone.now)
    for expected in ((1, 1), (0, 0)):
        assert expected == actions.import_codes(code_list=codes, body=body, by=by, now=timezone.now)
    assert {each.value for each in worksheet.choices("abort_access")} == {"20", "21"}
    Code.objects.filter(value="21").update(active=False)
    assert worksheet.codes()["abort_access"] == {"20"}


def test_the_lists_hold_what_the_specification_prints(code_lists):
    assert set(CodeList.objects.values_list("name", flat=True)) == set(messages.CODE_LISTS)
    assert worksheet.codes()["prevented_to_proceed"] == {"No", "Critical Medical Equipment"}
    assert not Code.objects.exclude(meaning="").exists()


# ---- Retention -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_health_data_go_after_the_period_and_hash_and_outcome_stay(
    service, office, work, private_jobs, settings
):
    settings.SIP_HEALTH_KEPT_DAYS = 90
    job = office.sending(private_jobs)
    work()
    fresh = office.to_check(private_jobs)
    job = now(job)
    message, attempt = job.versions.get(), job.sends.get()
    files = [photo.file.name for photo in job.photos.all()]
    assert actions.remove_private(now=timezone.now() + timedelta(days=89)) == 0
    housekeeping.tidy(now=timezone.now() + timedelta(days=91))
    assert actions.remove_private(now=timezone.now() + timedelta(days=92)) == 0
    job = now(job)
    assert job.private_removed_at
    assert not any(default_storage.exists(name) for name in files)
    assert "Planted" not in str([sheet.answers for sheet in Sheet.objects.filter(job=job)])
    kept = job.versions.get()
    assert (kept.sha256, kept.size, kept.outline) == (message.sha256, message.size, "")
    assert job.sends.get().their_reference == attempt.their_reference
    assert (job.sends.get().reply, job.status) == ("", Status.ACCEPTED)
    with pytest.raises(worksheet.Removed):
        worksheet.bytes_of(kept)
    assert "Planted" in str(worksheet.answers_of(fresh))


def test_nothing_is_removed_when_the_setting_is_off(settings):
    settings.SIP_HEALTH_KEPT_DAYS = 0
    JobFactory(status="accepted")
    assert actions.remove_private(now=timezone.now() + timedelta(days=9999)) == 0
