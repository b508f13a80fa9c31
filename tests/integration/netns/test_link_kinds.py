# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can be told and asked on each kind of link, in a kernel that has them all; tcpdump says what left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import uml_guest

pytestmark = pytest.mark.root

MODULES = ("veth", "8021q", "bonding", "dummy", "bridge", "macvlan", "ipip", "sit", "ip_gre", "ip6_tunnel")
GUEST = """\
ip link add v0 type veth peer name v1
ip link add v2 type veth peer name v3
ip link add link v0 name v0.100 type vlan id 100
ip link add link v0 name m0 type macvlan mode bridge
ip link add b0 type bond mode active-backup
ip link set v2 master b0
ip link add br0 type bridge
ip link set v3 master br0
ip link add d0 type dummy
ip link add g0 type gre local 10.0.0.1 remote 10.0.0.2
ip link add t6 type ip6tnl local fd00::1 remote fd00::2
for link in v0 v1 v2 v3 v0.100 m0 b0 br0 d0 g0 t6 tunl0 sit0; do ip link set $link up; done
# Those on top of others hear of a carrier a little later.
for link in v0 v0.100 m0 b0 br0; do
  for try in {1..100}; do ip -br link show dev $link | grep -q LOWER_UP && break; sleep 0.1; done
done
told="vlan 100 and (arp or ip6[40] == 136)"
timeout 20 tcpdump --immediate-mode -l -n -e -t -c 2 -i v1 "$told" >/mnt/seen 2>/mnt/listening &
for try in {1..100}; do grep -q "listening on" /mnt/listening && break; sleep 0.1; done
part links ip -br link
part answers PYTHON -W error -c '
import json
from _lvs_agent.kernel.announce import announce
from _lvs_agent.kernel.conflict import find_conflicts
from _lvs_agent.kernel.errors import KernelError
answers = {}
for name in ("v0", "v0.100", "m0", "b0", "br0", "d0", "lo", "tunl0", "sit0", "g0", "t6"):
    answers[name] = []
    for call in (lambda: announce(name, ["192.0.2.1", "2001:db8::1"], 1),
                 lambda: find_conflicts(name, ["192.0.2.1", "2001:db8::1"], 1, 0.01)):
        try:
            answers[name].append(call())
        except KernelError as error:
            answers[name].append([type(error).__name__, error.errno, str(error)])
print(json.dumps(answers))
'
wait
part seen cat /mnt/seen
""".replace("PYTHON", uml_guest.DEBIAN_PYTHON)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the guest printed."""
    directory: Path = tmp_path_factory.mktemp("guest")
    return uml_guest.run(GUEST, directory, modules=MODULES)


@pytest.mark.parametrize("name", ["v0", "v0.100", "m0", "b0", "br0"])
def test_ethernet_in_whatever_shape_can_be_told_and_asked(said: dict[str, str], name: str) -> None:
    # Said, and nobody objected.
    assert json.loads(said["answers"])[name] == [None, {}]


@pytest.mark.parametrize(
    "name, why",
    [
        ("d0", "it is a dummy, or its ARP is switched off"),
        ("lo", "of type loopback"),
        ("tunl0", "of type ipip"),
        ("sit0", "of type sit"),
        ("g0", "of type gre"),
        ("t6", "of type ip6tnl"),
    ],
)
def test_what_is_not_ethernet_is_refused_with_its_kind(said: dict[str, str], name: str, why: str) -> None:
    assert f"{name}@" in said["links"] or f"{name} " in said["links"]
    for kind, number, text in json.loads(said["answers"])[name]:
        assert (kind, number) == ("NotEthernet", 97)
        assert f"interface {name}: " in text
        assert why in text


def test_announcements_on_a_vlan_carry_its_tag(said: dict[str, str]) -> None:
    arp, advertisement = said["seen"].splitlines()
    assert "vlan 100" in arp
    assert "Request who-has 192.0.2.1 (ff:ff:ff:ff:ff:ff) tell 192.0.2.1" in arp
    assert "vlan 100" in advertisement
    assert "neighbor advertisement, tgt is 2001:db8::1" in advertisement
