# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's IPVS: its tables, daemons and timeouts, read and changed over generic netlink (linux/ip_vs.h)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from . import ipvs_errors as errors
from . import ipvs_numbers as n
from . import ipvs_pack as pack
from . import ipvs_parse as parse
from .genl import FamilyNotFound, GenlConnection
from .interfaces import interface_names, missing_interface
from .ipvs_errors import ChangeRefused, IpvsUnavailable
from .ipvsadm import STATES
from .netlink import NetlinkError
from .netns import inside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from types import TracebackType
    from typing import TypeVar

    from .ipvs_change import Change
    from .ipvs_types import Daemon, DestinationEntry, Info, ServiceEntry, ServiceKey, Timeouts

    T = TypeVar("T")

__all__ = ["ChangeRefused", "Ipvs", "IpvsUnavailable"]

# What a message to a family that is gone, or whose number another one has now, is answered with.
_PERHAPS_GONE = (errno.ENOENT, errno.EOPNOTSUPP)


class Ipvs:
    """The IPVS of one network namespace; a context manager. Every method needs CAP_NET_ADMIN.

    ``netns`` is a name under /run/netns or an absolute path; only the socket is opened inside it, and this process
    stays where it is. ``timeout_s`` bounds the wait for each answer of the kernel.

    Opening raises IpvsUnavailable, or NamespaceError. Every method raises NetlinkError, or IpvsUnavailable when the
    module was unloaded meanwhile.
    """

    def __init__(self, netns: str | None = None, timeout_s: float = 5.0) -> None:
        self._netns = netns
        try:
            with inside(netns):
                self._connection = GenlConnection(n.GENL_NAME, timeout_s)
        except FamilyNotFound as error:
            raise errors.unavailable() from error

    def __enter__(self) -> Ipvs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._connection.close()

    # Reading

    def info(self) -> Info:
        """The version and the size of the connection table."""
        return self._ask(n.CMD_GET_INFO, "IPVS version", parse.parse_info)

    def timeouts(self) -> Timeouts:
        """What ``ipvsadm -L --timeout`` shows."""
        return self._ask(n.CMD_GET_CONFIG, "IPVS timeouts", parse.parse_timeouts)

    def daemons(self) -> list[Daemon]:
        """The synchronisation daemons that run, none to two."""
        return self._list(n.CMD_GET_DAEMON, (), "IPVS sync daemons", parse.parse_daemon)

    def services(self) -> list[ServiceEntry]:
        """All virtual services, in the kernel's order."""
        return self._list(n.CMD_GET_SERVICE, (), "IPVS virtual services", parse.parse_service)

    def destinations(self, key: ServiceKey) -> list[DestinationEntry]:
        """The real servers of one service; none when there is no such service (the kernel does not tell).

        Nor does it tell when somebody else adds or deletes one while a long listing is read: then a real server may be
        there twice, or be missing.
        """
        af, parse_destination = key.af, parse.parse_destination
        return self._list(
            n.CMD_GET_DEST,
            [pack.pack_service_key(key)],
            f"real servers of {key}",
            lambda payload: parse_destination(payload, af),
        )

    def digest(self, key: ServiceKey) -> tuple[int, int]:
        """What is the same as long as the settings of a service's real servers are, in this process.

        It costs a seventh of ``destinations``; the first number is how many there are.
        """
        found = self._list(
            n.CMD_GET_DEST, [pack.pack_service_key(key)], f"real servers of {key}", parse.digest_destination
        )
        return len(found), sum(found)

    def destinations_and_digest(self, key: ServiceKey) -> tuple[list[DestinationEntry], tuple[int, int]]:
        """Both of one reading."""
        af = key.af
        found = self._list(
            n.CMD_GET_DEST,
            [pack.pack_service_key(key)],
            f"real servers of {key}",
            lambda payload: (parse.parse_destination(payload, af), parse.digest_destination(payload)),
        )
        return [entry for entry, _digest in found], (len(found), sum(digest for _entry, digest in found))

    def table(
        self, keys: Collection[ServiceKey] | None = None
    ) -> dict[ServiceKey, tuple[ServiceEntry, list[DestinationEntry]]]:
        """The services with their real servers, in the kernel's order; with ``keys``, those of them that exist.

        The services are read first and then each one's real servers: one that is deleted in between has none.
        """
        return {
            entry.service.key: (entry, self.destinations(entry.service.key))
            for entry in self.services()
            if keys is None or entry.service.key in keys
        }

    # Changing

    def apply(self, changes: Sequence[Change]) -> None:
        """Carry out the changes in their order. Raises ChangeRefused; see there what is done then.

        A change that cannot be sent at all is refused (EINVAL) before the first one is.
        """
        try:
            payloads = pack.pack_changes(changes)
        except pack.DoesNotFit as error:
            raise ChangeRefused(errno.EINVAL, error.change, f"{error.why}; nothing was changed") from error
        refused = self._connection.batch(payloads, "changes of the IPVS table")
        if not refused:
            return
        first = refused[0]
        self._require_family(first.errno)
        change = changes[first.position]
        advice = errors.change_advice(change, first.errno, first.explanation)
        raise ChangeRefused(first.errno, change, advice, len(refused) - 1)

    def flush(self) -> None:
        """Delete all virtual services, with ``ipvsadm -C``."""
        self._order(n.CMD_FLUSH, (), "IPVS table, flush")

    def zero(self) -> None:
        """Set the counters of all virtual services and real servers to zero."""
        self._order(n.CMD_ZERO, (), "IPVS counters, zero")

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set the timeouts that are not 0."""
        subject = f"IPVS timeouts {timeouts.tcp} {timeouts.tcp_fin} {timeouts.udp}"
        self._order(
            n.CMD_SET_CONFIG,
            _fitting(subject, lambda: pack.pack_timeouts(timeouts)),
            subject,
            lambda code: "each is at least 0, and at most some weeks" if code == errno.EINVAL else "",
        )

    def start_daemon(self, daemon: Daemon) -> None:
        """Start a synchronisation daemon."""
        subject = f"IPVS {_state(daemon.state)} sync daemon on interface {daemon.mcast_ifn}"
        attrs = _fitting(subject, lambda: [pack.pack_daemon(daemon)])
        self._order(n.CMD_NEW_DAEMON, attrs, subject, lambda code: self._daemon_advice(daemon, code))

    def stop_daemon(self, state: int) -> None:
        """Stop the daemon of that state, STATE_MASTER or STATE_BACKUP."""
        subject = f"IPVS {_state(state)} sync daemon"
        # The kernel acknowledges nothing when it stops a daemon whose thread has not run yet (kthread_stop returns
        # EINTR, which netlink_rcv_skb passes over): a question behind the order has the acknowledgement instead.
        orders = [pack.pack_stop_daemon(state), pack.pack_get_info()]
        for refusal in self._connection.batch(orders, subject):
            self._require_family(refusal.errno)
            advice = refusal.explanation or errors.stop_advice(state, refusal.errno)
            raise NetlinkError(refusal.errno, subject, advice)

    def _daemon_advice(self, daemon: Daemon, code: int) -> str:
        if code != errno.ENODEV:
            return errors.daemon_advice(daemon, code)
        with inside(self._netns):
            return missing_interface(daemon.mcast_ifn, interface_names())

    # How

    def _ask(self, command: int, subject: str, parse_answer: Callable[[bytes], T]) -> T:
        (answer,) = self._checked(lambda: self._connection.request(command, (), subject, parse_answer))
        return answer

    def _list(self, command: int, attrs: Iterable[bytes], subject: str, parse_entry: Callable[[bytes], T]) -> list[T]:
        return self._checked(lambda: self._connection.dump(command, attrs, subject, parse_entry))

    def _order(
        self,
        command: int,
        attrs: Iterable[bytes],
        subject: str,
        advise: Callable[[int], str] = lambda _code: "",
    ) -> None:
        try:
            self._checked(lambda: self._connection.request(command, attrs, subject, bytes))
        except NetlinkError as error:
            advice = advise(error.errno or 0)
            if not advice:
                raise
            raise NetlinkError(error.errno or 0, subject, advice) from error

    def _checked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except NetlinkError as error:
            self._require_family(error.errno or 0)
            raise

    def _require_family(self, code: int) -> None:
        """Raise IpvsUnavailable if the error is there because the module went."""
        if code in _PERHAPS_GONE and not self._connection.is_current():
            raise errors.went_away()


def _state(state: int) -> str:
    return STATES.get(state, str(state))


def _fitting(subject: str, pack_attrs: Callable[[], list[bytes]]) -> list[bytes]:
    """The packed attributes. Raises NetlinkError for a value that does not fit its field."""
    try:
        return pack_attrs()
    except pack.NO_ROOM as error:
        raise NetlinkError(errno.EINVAL, subject, f"{error}; nothing was changed") from error
