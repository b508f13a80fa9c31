# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One configuration, one sequence of failures: the kernel's table by keepalived 2.2.7 and by lvs-agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).with_name("beside_in_guest.py")
LIBRARIES = (uml_guest.CHECKOUT / "plugins/module_utils", uml_guest.CHECKOUT / "tests/support")

TIMERS = """
    delay_loop 1
    retry 1
    delay_before_retry 1
    protocol TCP
    lb_kind NAT"""
TCP = """TCP_CHECK {
            connect_timeout 1
        }"""
PAGE = """HTTP_GET {
            connect_timeout 1
            url {
                path /
                status_code 200
            }
        }"""
PROGRAM = """MISC_CHECK {
            misc_path "/run/beside/misc bad"
            misc_timeout 5
        }"""


def real_server(place: str, check: str, *words: str) -> str:
    told = "".join(
        f'\n        notify_{way} "/run/beside/tell @SPACE@ {place.replace(" ", ":")} {way}"' for way in ("up", "down")
    )
    own = "".join(f"\n        {word}" for word in words)
    return f"\n    real_server {place} {{{own}{told}\n        {check}\n    }}"


def virtual_servers(first_port: int, *words: str) -> str:
    """One with a quorum and a sorry server, one with ``inhibit_on_failure``."""
    own = "".join(f"\n    {word}" for word in words)
    told = "".join(
        f'\n    quorum_{way} "/run/beside/tell @SPACE@ {first_port} quorum {way}"' for way in ("up", "down")
    )
    return f"""\
virtual_server 192.0.2.1 {first_port} {{{TIMERS}{own}
    lb_algo wlc
    quorum 3
    hysteresis 1{told}
    sorry_server 10.0.0.6 80{real_server("10.0.0.1 80", TCP)}{real_server("10.0.0.2 80", TCP, "weight 2")}\
{real_server("10.0.0.3 80", TCP)}
}}
virtual_server 192.0.2.1 {first_port + 1} {{{TIMERS}{own}
    lb_algo wrr{real_server("10.0.0.4 81", PAGE, "weight 3", "inhibit_on_failure")}\
{real_server("10.0.0.5 82", PROGRAM, "weight 5")}{real_server("10.0.0.3 80", TCP)}
}}
"""


GLOBALS = """\
global_defs {
    enable_script_security
    script_user root
}
"""
CONF = GLOBALS + virtual_servers(80) + virtual_servers(90, "alpha")

# the lines of each table, so that nobody compares two in which nothing happens
LINES = {
    "start": 16,
    "one of weight 1 and the page fail": 14,
    "one of weight 2 and the program fail": 10,
    "one of weight 1 and the page are back": 10,
    "one of weight 2 is back": 14,
    "all fails": 8,
    "all is back": 16,
    "start while servers fail": 10,
    "they come": 10,
}
SORRY = {f"-a -t 192.0.2.1:{port} -r 10.0.0.6:80 -m -w 1" for port in (80, 90)}
INHIBITED = {f"-a -t 192.0.2.1:{port} -r 10.0.0.4:81 -m -w 0" for port in (81, 91)}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    conf = tmp_path_factory.mktemp("conf") / "keepalived.conf"
    conf.write_text(CONF)
    parts = uml_guest.run(
        f"chmod 755 /run\nmkdir /run/keepalived\npart steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS} {conf}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("ip_vs", "ip_vs_wlc", "ip_vs_wrr"),
        pythonpath=LIBRARIES,
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    answers: dict[str, Any] = json.loads(last)
    return answers


@pytest.mark.parametrize("step", LINES)
def test_the_same_table(said: dict[str, Any], step: str) -> None:
    theirs, ours = said[step]["theirs"], said[step]["ours"]
    assert ours == theirs, said["logs"]["ours"]
    assert len(ours) == LINES[step]


def test_what_the_steps_are_about(said: dict[str, Any]) -> None:
    without_quorum = {step for step in LINES if set(said[step]["ours"]) >= SORRY}
    assert without_quorum == {
        "one of weight 2 and the program fail",
        "one of weight 1 and the page are back",  # quorum, but not with hysteresis
        "all fails",
        "start while servers fail",
        "they come",
    }
    inhibited = {step for step in LINES if set(said[step]["ours"]) >= INHIBITED}
    assert inhibited == {
        "one of weight 1 and the page fail",
        "one of weight 2 and the program fail",
        "all fails",
        "start while servers fail",
    }


@pytest.mark.parametrize("step", LINES)
def test_scripts_are_told_the_same(said: dict[str, Any], step: str) -> None:
    ours, theirs = said[step]["told"]["ours"], said[step]["told"]["theirs"]
    # with alpha, keepalived tells of a first run that fails, but not of an HTTP_GET's
    more = ["10.0.0.4:81 down"] if step == "start while servers fail" else []
    assert ours == sorted([*theirs, *more])
    assert theirs
