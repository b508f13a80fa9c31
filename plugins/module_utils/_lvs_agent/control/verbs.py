# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the control socket; each is one of ``lvsctl`` too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..spelling import nearest
from .protocol import Refused
from .verb_diff import DiffVerb
from .verb_drain import DrainVerb, UndrainVerb
from .verb_events import EventsVerb
from .verb_failover import FailoverVerb
from .verb_reload import ReloadVerb
from .verb_servers import ServersVerb
from .verb_status import StatusVerb
from .verb_vrrp import VrrpVerb

if TYPE_CHECKING:
    from .protocol import Request
    from .verb import Daemon, Reply, Verb

#: In the order of the help.
VERBS: tuple[Verb, ...] = (
    *(StatusVerb(), VrrpVerb(), ServersVerb(), EventsVerb()),
    *(DrainVerb(), UndrainVerb(), FailoverVerb(), DiffVerb(), ReloadVerb()),
)
_BY_NAME = {verb.NAME: verb for verb in VERBS}


def answer(daemon: Daemon, request: Request, who: str, reply: Reply) -> None:
    """Carry a request out; ``reply`` is called once. Raises Refused."""
    verb = _BY_NAME.get(request.verb)
    if verb is None:
        raise Refused("unknown_verb", f"there is no verb {request.verb!r}", nearest(request.verb, _BY_NAME))
    verb.answer(daemon, request.arguments, who, reply)
