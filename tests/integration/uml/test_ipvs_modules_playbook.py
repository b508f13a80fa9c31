# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the ipvs modules and their action group, by ansible-playbook itself, on a kernel that has ip_vs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.linuxha.lvs.plugins.modules import ipvs_config, ipvs_info, ipvs_real_server, ipvs_service

import uml_guest

pytestmark = pytest.mark.root

# What the examples of ipvs_info and ipvs_real_server find.
TABLE = """\
-A -t 192.0.2.1:80 -s rr
-a -t 192.0.2.1:80 -r 198.51.100.9:80 -g -w 1
-A -t 192.0.2.1:443 -s rr -p 300
-a -t 192.0.2.1:443 -r 198.51.100.9:443 -g -w 1
-A -f 7 -s rr
-a -f 7 -r 198.51.100.11:0 -g -w 1
-a -f 7 -r 198.51.100.30:0 -g -w 1
"""
AFTER = """\
-A -t 192.0.2.1:443 -s rr -p 300
-a -t 192.0.2.1:443 -r 198.51.100.9:443 -g -w 1
-A -t 192.0.2.2:80 -s wrr -p 300 -M 255.255.255.0
-a -t 192.0.2.2:80 -r 198.51.100.1:80 -g -w 2
-a -t 192.0.2.2:80 -r 198.51.100.2:80 -g -w 1
-A -t 192.0.2.2:443 -s wrr -p 300 -M 255.255.255.0
-a -t 192.0.2.2:443 -r 198.51.100.1:443 -g -w 2
-a -t 192.0.2.2:443 -r 198.51.100.2:443 -g -w 1
-A -u [2001:db8::53]:53 -s wlc -o
{dns}-A -f 7 -s mh -b mh-port
-a -f 7 -r 198.51.100.30:0 -g -w 1
{marked}""".format(
    dns="".join(f"-a -u [2001:db8::53]:53 -r [2001:db8:1::{last:x}]:5353 -m -w 1\n" for last in range(1, 11)),
    marked="".join(
        f"-a -f 7 -r 198.51.100.{last}:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum\n"
        for last in range(11, 21)
    ),
)
OWN = "/proc/1/ns/net"
# The group's defaults reach every module: all but the third speak to the namespace `customer`.
GROUP = [
    {"linuxha.lvs.ipvs_service": {"fwmark": 1}},
    {"linuxha.lvs.ipvs_real_server": {"service": {"fwmark": 1}, "address": ["198.51.100.1"]}},
    {"linuxha.lvs.ipvs_real_server": {"service": {"fwmark": 7}, "address": ["198.51.100.40"], "netns": OWN}},
    {"linuxha.lvs.ipvs_config": {"timeouts": {"udp": 33}}},
    {"linuxha.lvs.ipvs_info": {}, "register": "ipvs"},
    {"ansible.builtin.assert": {"that": ["ipvs.timeouts.udp == 33", "ipvs.services | map(attribute='fwmark') == [1]"]}},
]
GUEST = """\
unset PYTHONPATH
export HOME=/mnt ANSIBLE_REMOTE_TEMP=/mnt/remote ANSIBLE_COLLECTIONS_PATH={collections}
export ANSIBLE_PIPELINING=1 ANSIBLE_NOCOLOR=1
mkdir -p /dev/shm; mount -t tmpfs tmpfs /dev/shm
ip link add eth1 type dummy; ip link set eth1 multicast on up; ip address add 10.1.0.1/24 dev eth1
ip netns add customer; ip -n customer link set lo up
ipvsadm -R <<'TABLE'
{table}TABLE
cd /mnt
part playbook {playbook} -i localhost, -c local -e ansible_python_interpreter={python} {play}
part -Sn ipvsadm -Sn
part customer ip netns exec customer ipvsadm -Sn
"""


def examples(module: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(module.EXAMPLES)
    return found


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What ansible-playbook said, and what the tables are then."""
    tasks = [task for module in (ipvs_info, ipvs_real_server, ipvs_service, ipvs_config) for task in examples(module)]
    common = {"hosts": "localhost", "gather_facts": False}
    defaults = {"group/linuxha.lvs.ipvs": {"netns": "customer", "timeout": 20}}
    directory = tmp_path_factory.mktemp("playbook")
    play = directory / "play.yml"
    play.write_text(json.dumps([{**common, "tasks": tasks}, {**common, "module_defaults": defaults, "tasks": GROUP}]))
    guest = directory / "guest"
    guest.mkdir()
    return uml_guest.run(
        GUEST.format(
            collections=uml_guest.CHECKOUT / "build/collections",
            table=TABLE,
            playbook=Path(sys.executable).with_name("ansible-playbook"),
            python=uml_guest.DEBIAN_PYTHON,
            play=play,
        ),
        guest,
        modules=("dummy", "ip_vs_wrr", *uml_guest.IPVS_MODULES),
        memory_mb=384,
    )


def test_every_example_runs(said: dict[str, str]) -> None:
    recap = said["playbook"].splitlines()[-2]
    assert "failed=0" in recap, said["playbook"]
    assert "unreachable=0" in recap
    assert "skipped=0" in recap


def test_the_examples_do_what_their_names_say(said: dict[str, str]) -> None:
    expected = [*AFTER.splitlines(), "-a -f 7 -r 198.51.100.40:0 -g -w 1"]
    assert sorted(said["-Sn"].splitlines()) == sorted(expected)


def test_module_defaults_of_the_group(said: dict[str, str]) -> None:
    assert said["customer"].splitlines() == ["-A -f 1 -s wlc", "-a -f 1 -r 198.51.100.1:0 -g -w 1"]
