"""The worksheet on the engineer's phone: one block a page, saved on every step.

Nothing typed is lost: not by a mistake, not by another device, not by a session that has ended.
These pages show health data and risks, so they are for the job's engineer and this desk, reading
is recorded, and no browser keeps them.
"""

from sip.sheet_views.clashes import clash
from sip.sheet_views.filling import block
from sip.sheet_views.glance import overview
from sip.sheet_views.handing_in import hand_in

__all__ = [
    "block",
    "clash",
    "hand_in",
    "overview",
]
