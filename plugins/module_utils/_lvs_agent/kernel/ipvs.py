# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's IPVS tables, read over generic netlink (family ``IPVS``, linux/ip_vs.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ipvs_codec as codec
from .errors import KernelError
from .genl import FamilyNotFound, GenlConnection

if TYPE_CHECKING:
    from types import TracebackType

    from .ipvs_types import Daemon, DestinationEntry, Info, ServiceEntry, ServiceKey, Timeouts


class IpvsUnavailable(KernelError):
    """The kernel has no IPVS: the module ip_vs is not loaded, or does not exist for this kernel."""


class Ipvs:
    """The IPVS of the network namespace it is opened in; a context manager.

    Opening raises IpvsUnavailable. Every method raises NetlinkError; all need CAP_NET_ADMIN.
    """

    def __init__(self) -> None:
        try:
            self._connection = GenlConnection("IPVS")
        except FamilyNotFound as error:
            raise IpvsUnavailable(
                error.errno or 0,
                "IPVS",
                "its kernel module is not loaded: run `modprobe ip_vs`, and list it in /etc/modules-load.d",
            ) from error

    def __enter__(self) -> Ipvs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._connection.close()

    def info(self) -> Info:
        """The version and the size of the connection table."""
        return codec.parse_info(self._connection.request(codec.CMD_GET_INFO, (), "IPVS version")[0])

    def timeouts(self) -> Timeouts:
        """What ``ipvsadm -L --timeout`` shows."""
        return codec.parse_timeouts(self._connection.request(codec.CMD_GET_CONFIG, (), "IPVS timeouts")[0])

    def daemons(self) -> list[Daemon]:
        """The synchronisation daemons that run, none to two."""
        entries = self._connection.dump(codec.CMD_GET_DAEMON, (), "IPVS sync daemons")
        return [codec.parse_daemon(entry[codec.CMD_ATTR_DAEMON]) for entry in entries]

    def services(self) -> list[ServiceEntry]:
        """All virtual services, in the kernel's order."""
        entries = self._connection.dump(codec.CMD_GET_SERVICE, (), "IPVS virtual services")
        return [codec.parse_service(entry[codec.CMD_ATTR_SERVICE]) for entry in entries]

    def destinations(self, key: ServiceKey) -> list[DestinationEntry]:
        """The real servers of one service; none when there is no such service (the kernel does not tell)."""
        subject = f"real servers of {key}"
        entries = self._connection.dump(codec.CMD_GET_DEST, [codec.pack_service_key(key)], subject)
        return [codec.parse_destination(entry[codec.CMD_ATTR_DEST], key.af) for entry in entries]
