# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvs-agent refuses in a configuration that is good otherwise, as found when its plans are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .conf.problem import ConfigurationError, Problem


def problems(settled: Mapping[str, Any], *, local: bool = False) -> list[Problem]:
    """All that the daemon would refuse of a settled configuration (see conf/settle.py).

    ``local``: this host is to run it, so the files of SSL_GET and of passwords are looked at.
    """
    # what keepalived's users do without
    from .vrrp import from_conf as vrrp_conf

    found = _refused(lambda: vrrp_conf.plan(dict(settled)))
    return [*found, *_balancing(settled, local=local)] if settled["virtual_server"] else found


def _balancing(settled: Mapping[str, Any], *, local: bool) -> list[Problem]:
    from .health import from_conf as health_conf
    from .health.plan import CheckPlan
    from .lvs import from_conf as lvs_conf
    from .lvs import sorry
    from .script_commands import Commands

    # whether programs can be run is a question of this host's that others ask
    commands = Commands(account=lambda _user, _group: None, components=lambda _path: ())
    checks: list[CheckPlan] = []

    def make_checks() -> None:
        # in that order, as the daemon has them; of a sorry server there is nothing but an address to refuse
        if local:
            checks.extend(health_conf.plans(settled, commands))
        else:
            unseen = health_conf.plans(settled, commands, try_tls=lambda _plan: "", read_secret=lambda _path: "")
            checks.extend(unseen)
        checks.extend(sorry.checks(settled, commands))

    return [*_refused(make_checks), *_refused(lambda: lvs_conf.plan(settled, checks))]


def _refused(make: Callable[[], object]) -> list[Problem]:
    try:
        make()
    except ConfigurationError as error:
        return list(error.problems)
    return []
