# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives the LVS process: what was decided, checked and made in this boot, and the operator's drains."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ..health import results
from ..lvs import overrides, owned, state
from . import files
from .balancing import OWNED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..health.plan import CheckId
    from ..health.scheduler import Result
    from ..lvs.overrides import Overrides
    from ..lvs.owned import Owned
    from ..lvs.state import ServiceState
    from .lvs_settings import LvsSettings

_log = logging.getLogger(__name__)
_VERSION = 1
_MODE = 0o600
_LONGEST = 64 << 20
_MOST_NEWS = 16 << 20


class Known(NamedTuple):
    """What a process before this one knew."""

    states: Mapping[str, ServiceState]
    results: Mapping[CheckId, Result]


class LvsFiles:
    """``runtime_dir`` is emptied by a reboot, ``state_dir`` (None: there is none) is not."""

    def __init__(self, runtime_dir: str, state_dir: str | None, boot_id: str) -> None:
        self._known = os.path.join(runtime_dir, "lvs.json")
        self._news = os.path.join(runtime_dir, "lvs-checks.jsonl")
        self._news_size = 0
        self._owned = os.path.join(runtime_dir, OWNED)
        self._drains = os.path.join(state_dir or runtime_dir, "drains.json")
        self._addresses = os.path.join(state_dir or runtime_dir, "resolved.json")
        self._borrowed = os.path.join(runtime_dir, "accept_local.json")
        self._boot_id = boot_id
        self._told: set[str] = set()

    def owned(self) -> Owned:
        """The virtual services that we made in this boot."""
        try:
            return owned.parse(_read(self._owned), self._boot_id)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            _log.warning("%s: %s; what is no longer in the configuration may be left behind", self._owned, error)
        return owned.Owned()

    def record(self, ours: Owned) -> None:
        """Those from now on. Raises OSError."""
        files.replace(self._owned, owned.to_json(ours, self._boot_id).encode(), _MODE)

    def drains(self) -> Overrides:
        """The operator's drains."""
        try:
            return overrides.parse(json.loads(_read(self._drains)))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, RecursionError) as error:
            _log.error("%s: %s; drained servers are not known any more", self._drains, error)
        return overrides.Overrides()

    def keep_drains(self, orders: Overrides) -> None:
        """Those from now on. Raises OSError."""
        files.replace(self._drains, json.dumps(orders.to_json()).encode() + b"\n", _MODE, durable=True)

    def addresses(self) -> dict[tuple[str, str], tuple[str, str]]:
        """The last good answers: of each real server with a DNS name that name, and its address."""
        try:
            said = json.loads(_read(self._addresses))
            return {(str(one[0]), str(one[1])): (str(one[2]), str(one[3])) for one in said}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            _log.warning("%s: %s; names have the addresses of the configuration at first", self._addresses, error)
        return {}

    def keep_addresses(self, found: Mapping[tuple[str, str], tuple[str, str]]) -> None:
        """Those from now on. Raises OSError."""
        said = [[*key, *one] for key, one in found.items()]
        files.replace(self._addresses, json.dumps(said).encode() + b"\n", _MODE, durable=True)

    def borrowed(self) -> list[str]:
        """The interfaces whose ``accept_local`` we have set."""
        try:
            return [str(one) for one in json.loads(_read(self._borrowed))]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, RecursionError) as error:
            _log.warning("%s: %s; accept_local may be left set", self._borrowed, error)
        return []

    def keep_borrowed(self, interfaces: Collection[str]) -> None:
        """Those from now on. Raises OSError."""
        files.replace(self._borrowed, json.dumps(sorted(interfaces)).encode() + b"\n", _MODE)

    def known(self, settings: LvsSettings) -> Known:
        """What was decided and checked in this boot, of what these settings have."""
        known = Known({}, {})
        try:
            said: Any = json.loads(_read(self._known))
            if isinstance(said, dict) and said.get("version") == _VERSION and said.get("boot_id") == self._boot_id:
                names = {one.name: [server.name for server in one.servers] for one in settings.plan.virtual_servers}
                known = Known(state.parse(said["states"], names), results.parse(said["results"], settings.checks))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, LookupError, RecursionError) as error:
            _log.warning("%s: %s; all servers are checked as if for the first time", self._known, error)
        try:
            boot, *news = _read(self._news).splitlines() or [""]
        except (OSError, ValueError):
            return known
        if boot != self._boot_id:
            return known
        self._news_size = sum(len(one) + 1 for one in (boot, *news))
        return known._replace(results=results.applied(known.results, news, settings.checks))

    def note(self, check: CheckId, result: Result) -> None:
        """A check's state has changed: this is written at once, before the kernel's table follows.

        A process that is killed before ``keep`` must not revive a server that was found dead. A failure is logged once.
        """
        if self._news_size > _MOST_NEWS:
            return
        head = "" if self._news_size else f"{self._boot_id}\n"
        # a line that was cut short must not spoil this one
        text = f"{head}\n{results.line(check, result)}\n".encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            handle = os.open(self._news, flags | (os.O_APPEND if self._news_size else os.O_TRUNC), _MODE)
            try:
                self._news_size += os.write(handle, text)
            finally:
                os.close(handle)
        except OSError as error:
            self._tell(error)

    def keep(
        self, states: Mapping[str, ServiceState], found: Mapping[CheckId, Result], asked: Mapping[str, int]
    ) -> None:
        """All that is known now; ``asked`` are the digests of the checks. A failure is logged once."""
        said = {
            "version": _VERSION,
            "boot_id": self._boot_id,
            "states": state.to_json(states),
            "results": results.to_json(found, asked),
        }
        try:
            files.replace(self._known, json.dumps(said, separators=(",", ":")).encode() + b"\n", _MODE)
            if self._news_size:
                os.truncate(self._news, 0)
                self._news_size = 0
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if str(error) not in self._told:
            self._told.add(str(error))
            _log.error("what is known of the real servers cannot be kept: %s", error)

    def forget(self) -> None:
        """The daemon has ended as it was told, and its table is gone: the next one begins anew."""
        for path in (self._known, self._news, self._owned):
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue


def _read(path: str) -> str:
    with open(path, "rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError("it is too long")
    return content.decode()
