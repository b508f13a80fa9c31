# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator asks of the daemon by its control socket: how VRRP is, and who is to be master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..control.protocol import Refused
from ..spelling import nearest
from ..vrrp import messages
from ..vrrp.actions import State
from .balancing import ANSWER_NS
from .loop import NEVER
from .status_requests import HandOver, StatusRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..control.events import Events
    from ..control.verb import Reply
    from ..lvs.messages import Answer, ToLvs
    from ..vrrp.plan import InstancePlan, Plan
    from .balancing import Balancing
    from .journal import Journal
    from .loop import Source
    from .reader import Result
    from .vrrp_keeper import VrrpKeeper

_SECOND = 1_000_000_000
# A hand-over gives up after five adverts, and one more is for what may be late.
_ADVERTS = 6


class Reload(Protocol):
    """The supervisor's."""

    def __call__(self, who: str, reply: Reply, *, allow_empty: bool = ...) -> None:
        """Read the configuration again."""


class Operator:
    """The daemon as verbs know it (:class:`..control.verb.Daemon`); a source of the loop, for hand-overs.

    ``plan`` is what is in force, None before there is one; ``overview``, ``reload`` and ``read`` (the file, for a
    look) are the supervisor's own.
    """

    def __init__(
        self,
        keeper: VrrpKeeper,
        journal: Journal,
        clock: Callable[[], int],
        *,
        overview: Callable[[], dict[str, Any]],
        reload: Reload,
        read: Callable[[Callable[[Result], None]], None],
    ) -> None:
        self.plan: Plan | None = None
        self.balancing: Balancing | None = None
        self.events: Events = journal.events
        self._keeper = keeper
        self._journal = journal
        self._clock = clock
        self._overview = overview
        self._reload = reload
        self._read = read
        self._requests = StatusRequests()
        self._hand_overs: list[tuple[HandOver, Reply]] = []

    def sources(self) -> Sequence[Source]:
        """For the loop."""
        return (self._requests, self)

    def fileno(self) -> int:
        """All comes by the VRRP process's messages."""
        return -1

    def deadline_ns(self) -> int:
        """When a hand-over was to be done."""
        return min((one.deadline_ns for one, _reply in self._hand_overs), default=NEVER)

    def handle(self, now_ns: int) -> None:
        """Answer hand-overs that are over."""
        over = [(one, reply) for one, reply in self._hand_overs if not one.waiting or one.deadline_ns <= now_ns]
        for one, reply in over:
            self._hand_overs.remove((one, reply))
            done, found = one.outcome(self._states())
            said = "given away; `lvsctl failover --release` ends it" if done else "not everything was given away"
            reply({"done": done, "instances": found, "said": said})

    def heard(self, message: Any, now_ns: int) -> None:
        """The VRRP process said this."""
        if isinstance(message, messages.Status):
            self._requests.answered(message)
        elif isinstance(message, messages.Transitioned):
            for one, _reply in self._hand_overs:
                one.transitioned(message)
            self.handle(now_ns)

    def vrrp_died(self) -> None:
        """Nobody answers what was asked."""
        self._requests.give_up()

    def stopping(self) -> None:
        """The daemon is about to end."""
        for _one, reply in self._hand_overs:
            reply(Refused("stopping", "the daemon is about to end, and hands everything over"))
        self._hand_overs.clear()

    # ---- what verbs ask

    def overview(self) -> dict[str, Any]:
        """The daemon itself, as plain values for JSON."""
        return self._overview()

    def reload(self, who: str, reply: Reply, *, allow_empty: bool = False) -> None:
        """Read the configuration again; ``allow_empty``: one without anything to serve is taken, too."""
        self._reload(who, reply, allow_empty=allow_empty)

    def ask_vrrp(self, reply: Callable[[messages.Status | None], None]) -> None:
        """The VRRP process's status; None when it does not answer in time."""
        number = self._requests.add(self._clock(), reply)
        if number is not None and not self._keeper.send(messages.StatusRequest(number)):
            self._requests.give_up()

    def ask_lvs(self, make: Callable[[int], ToLvs], reply: Reply, limit_ns: int = ANSWER_NS) -> None:
        """A question to the LVS process, whose number ``make`` gets. Raises Refused."""
        if self.balancing is None or not self.balancing.runs:
            what = "the configuration has no virtual_server"
            raise Refused("no_virtual_servers", what, "`lvsctl vrrp` shows what it has")

        def answered(answer: Answer | None) -> None:
            if answer is None:
                what = "the LVS process does not answer"
                reply(Refused("lvs_silent", what, "`lvsctl status` and `lvsctl events` say what became of it"))
            elif answer.refused is not None:
                reply(Refused(*answer.refused))
            else:
                reply(answer.result)

        self.balancing.ask(make, answered, self._clock(), limit_ns)

    def read_lvs(self, done: Callable[[bytes | None, Sequence[str]], None]) -> None:
        """What the file says now for the LVS process, None and the errors when it has some."""
        self._read(lambda result: done(None if result.settings is None else result.settings.lvs, result.errors))

    def order_lvs(self, make: Callable[[int], ToLvs], what: str, who: str, reply: Reply, limit_ns: int) -> None:
        """The same for an order, which is written down. Raises Refused."""
        self._journal.event("order", f"{what}, asked for by {who}")
        self.ask_lvs(make, reply, limit_ns)

    def hand_over(self, name: str | None, who: str, reply: Reply) -> None:
        """Give mastership of an instance, of a sync group, or of all away. Raises Refused."""
        instances = {one.name: one for one in self._affected(name)}
        states = self._states()
        masters = [one for one in instances if states.get(one) is State.MASTER]
        if not masters:
            where = ", ".join(f"{one} is {states.get(one, State.INIT).value}" for one in list(instances)[:5])
            what = f"there is nothing to give away here: {where}"
            raise Refused("not_master", what, "ask the director that is master")
        self._tell(messages.HandOver(name))
        for one in masters:
            self._journal.event("failover", f"asked for by {who}", name=one)
        longest = max(instances[one].instance.advert_int for one in masters)
        deadline_ns = self._clock() + _ADVERTS * longest + _SECOND
        self._hand_overs.append((HandOver(masters, deadline_ns), reply))

    def release(self, name: str | None, who: str) -> dict[str, Any]:
        """Forget a hand-over. Raises Refused."""
        names = [one.name for one in self._affected(name)]
        self._tell(messages.Release(name))
        self._journal.event("release", f"asked for by {who}", name=name or "")
        states = self._states()
        found = [{"name": one, "state": states.get(one, State.INIT).value, "cause": "released"} for one in names]
        return {"done": True, "instances": found, "said": "the priorities decide again who is master"}

    def _tell(self, message: messages.ToVrrp) -> None:
        if not self._keeper.send(message):
            raise Refused("vrrp_silent", "the VRRP process does not run", "ask again in a moment")

    def _affected(self, name: str | None) -> list[InstancePlan]:
        """The instances that a name means, and those that change with them. Raises Refused."""
        plan = self.plan
        if plan is None:
            raise Refused("starting", "the configuration is being read", "ask again in a moment")
        groups = {group.name: set(group.members) for group in plan.groups}
        known = {one.name for one in plan.instances}
        if name is None:
            return list(plan.instances)
        if name not in known and name not in groups:
            what = f"there is neither a vrrp_instance nor a vrrp_sync_group {name}"
            raise Refused("unknown_instance", what, nearest(name, [*known, *groups]))
        wanted = groups.get(name, {name})
        for members in groups.values():
            wanted = wanted | members if wanted & members else wanted
        return [one for one in plan.instances if one.name in wanted]

    def _states(self) -> dict[str, State]:
        """Each instance's state by its name."""
        if self.plan is None:
            return {}
        states = self._keeper.states
        return {one.name: states[one.identity] for one in self.plan.instances if one.identity in states}
