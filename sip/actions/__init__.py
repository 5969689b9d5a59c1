"""The verbs of the safe isolation desk, and the only place that changes its state.

A message is frozen when a person confirms it, claimed and committed before a connection is opened,
and sent once. Nothing sends it again by itself after a byte may have left.
"""

from sip.actions.codes import import_codes, keep_code
from sip.actions.confirming import SecondPersonNeeded, SentAlready, authorise, may_send, stop
from sip.actions.jobs import (
    Details,
    Sorted,
    assign_engineer,
    cancel,
    create_job,
    details_problems,
    engineers,
    forget_uploads,
    import_jobs,
    keep_upload,
    sort_out,
)
from sip.actions.privacy import read_private, remove_private
from sip.actions.results import Taken
from sip.actions.sending import (
    KEY_REFUSED,
    SILENT,
    NothingAuthorised,
    give_up_abandoned,
    key_is_fixed,
    send,
    take,
)
from sip.actions.settling import accept_after_all, resolve_unknown
from sip.actions.shared import ENDED, Clock, NotComplete
from sip.actions.sheets import (
    ChangedMeanwhile,
    add_photo,
    correct,
    hand_back,
    hand_in,
    remove_photo,
    save_block,
    settle_clash,
)

__all__ = [
    "ENDED",
    "KEY_REFUSED",
    "SILENT",
    "ChangedMeanwhile",
    "Clock",
    "Details",
    "NotComplete",
    "NothingAuthorised",
    "SecondPersonNeeded",
    "SentAlready",
    "Sorted",
    "Taken",
    "accept_after_all",
    "add_photo",
    "assign_engineer",
    "authorise",
    "cancel",
    "correct",
    "create_job",
    "details_problems",
    "engineers",
    "forget_uploads",
    "give_up_abandoned",
    "hand_back",
    "hand_in",
    "import_codes",
    "import_jobs",
    "keep_code",
    "keep_upload",
    "key_is_fixed",
    "may_send",
    "read_private",
    "remove_photo",
    "remove_private",
    "resolve_unknown",
    "save_block",
    "send",
    "settle_clash",
    "sort_out",
    "stop",
    "take",
]
