# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvs_info on a kernel that has ip_vs, beside ipvsadm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

HERE = Path(__file__).parent
COLLECTIONS = HERE.parents[2] / "build" / "collections"

# In the words of `ipvsadm -Sn`, so that what is set is also what must come out.
TABLE = """\
-A -t 192.168.1.100:80 -s rr
-a -t 192.168.1.100:80 -r 192.168.1.129:80 -g -w 1
-a -t 192.168.1.100:80 -r 192.168.1.130:80 -g -w 0
-A -u 192.168.1.100:5060 -s wlc -p 77 -M 255.255.255.0 --pe sip -o
-a -u 192.168.1.100:5060 -r 10.9.9.9:5060 -m -w 5
-A -t [fd00::100]:443 -s mh -p 300 -M 64 -b mh-fallback,mh-port
-a -t [fd00::100]:443 -r [fd00::128]:443 -i -w 1 --tun-type ipip
-a -t [fd00::100]:443 -r [fd00::129]:443 -i -w 1 --tun-type gue --tun-port 5600 --tun-nocsum
-A -f 7 -s sh -b sh-port
-A -f 8 -6 -s rr
-A -u 10.0.0.1:5000 -s rr
-a -u 10.0.0.1:5000 -r 10.0.0.2:5000 -m -w 1
"""

GUEST = """\
for address in 10.0.0.1/24 10.0.0.2/24 fd00::1/64; do ip address add $address dev lo; done
ip link add d0 type dummy
ip link set d0 multicast on up
ip address add 10.1.0.1/24 dev d0
ip route add 224.0.0.0/4 dev d0
ipvsadm --set 901 121 301
ipvsadm -R <<'TABLE'
{table}TABLE
ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.130:80 -g -w 0 -x 2000 -y 1000
ipvsadm --start-daemon master --mcast-interface d0 --syncid 51 --sync-maxlen 1400 \\
  --mcast-group 224.0.1.81 --mcast-port 9000 --mcast-ttl 3
ipvsadm --start-daemon backup --mcast-interface d0 --syncid 52
for packet in 1 2 3; do echo $packet >/dev/udp/10.0.0.1/5000; done
# The kernel adds its counters up every two seconds.
for try in {{1..40}}; do
  ipvsadm -Ln --stats -u 10.0.0.1:5000 | grep -q -- "-> 10.0.0.2:5000  *3 " && break
  sleep 0.2
done
for words in "-Sn" "-Ln --stats --exact -u 10.0.0.1:5000" "-L --daemon" "-L --timeout" "-Ln"; do
  part "$words" ipvsadm $words
done
echo '{{}}' | part ipvs_info {python} {runner} ipvs_info
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, ansible_library: Path) -> dict[str, str]:
    """What each command printed in the guest."""
    return uml_guest.run(
        GUEST.format(table=TABLE, python=uml_guest.DEBIAN_PYTHON, runner=HERE / "run_module.py"),
        tmp_path_factory.mktemp("guest"),
        modules=("dummy", *uml_guest.IPVS_MODULES),
        pythonpath=(ansible_library, COLLECTIONS),
    )


@pytest.fixture(scope="module")
def info(said: dict[str, str]) -> dict[str, Any]:
    """What the module returned."""
    result: dict[str, Any] = json.loads(said["ipvs_info"])
    assert "msg" not in result, result["msg"]
    return result


def place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def saved(service: dict[str, Any]) -> list[str]:
    """The lines of `ipvsadm -Sn` for a service that ipvs_info returned."""
    if service["fwmark"]:
        name = f"-f {service['fwmark']}" + (" -6" if service["family"] == "inet6" else "")
    else:
        name = f"-{service['protocol'][0]} {place(service['address'], service['port'])}"
    line = f"-A {name} -s {service['scheduler']}"
    if service["persistent"]:
        line += f" -p {service['persistent']}"
    if service["netmask"] not in ("255.255.255.255", "128"):
        line += f" -M {service['netmask']}"
    line += f" --pe {service['pe']}" if service["pe"] else ""
    line += " -o" if service["ops"] else ""
    line += f" -b {','.join(service['sched_flags'])}" if service["sched_flags"] else ""
    return [line, *(f"-a {name} {saved_server(server)}" for server in service["servers"])]


def saved_server(server: dict[str, Any]) -> str:
    forward = {"route": "-g", "masq": "-m", "local": "-m", "tunnel": "-i"}[server["forward"]]
    line = f"-r {place(server['address'], server['port'])} {forward} -w {server['weight']}"
    if server["tun_type"]:
        line += f" --tun-type {server['tun_type']}"
    return line + (f" --tun-port {server['tun_port']} --tun-nocsum" if server["tun_port"] else "")


def test_the_table_is_the_one_ipvsadm_saves(said: dict[str, str], info: dict[str, Any]) -> None:
    lines = [line for service in info["services"] for line in saved(service)]
    assert sorted(lines) == sorted(said["-Sn"].splitlines())
    assert sorted(lines) == sorted(TABLE.splitlines())


def test_thresholds(info: dict[str, Any]) -> None:
    servers = {server["address"]: server for service in info["services"] for server in service["servers"]}
    drained = servers["192.168.1.130"]
    assert (drained["u_threshold"], drained["l_threshold"]) == (2000, 1000)


def test_counters(said: dict[str, str], info: dict[str, Any]) -> None:
    (service,) = (service for service in info["services"] if service["port"] == 5000)
    lines = said["-Ln --stats --exact -u 10.0.0.1:5000"].splitlines()
    for counted, line in ((service, lines[-2]), (service["servers"][0], lines[-1])):
        shown = [int(word) for word in line.split()[-5:]]
        assert list(counted["stats"].values()) == shown
        assert counted["stats"]["conns"] == 3
    assert service["servers"][0]["inactive_conn"] == 3


def test_daemons_timeouts_and_version(said: dict[str, str], info: dict[str, Any]) -> None:
    lines = [
        "{state} sync daemon (mcast={mcast_interface}, syncid={syncid}, maxlen={sync_maxlen}, "
        "group={mcast_group}, port={mcast_port}, ttl={mcast_ttl})".format(**this)
        for this in info["daemons"]
    ]
    assert lines == said["-L --daemon"].splitlines()
    assert len(lines) == 2
    assert said["-L --timeout"].split()[-3:] == [str(info["timeouts"][name]) for name in ("tcp", "tcp_fin", "udp")]
    assert said["-Ln"].startswith(f"IP Virtual Server version {info['version']} (size={info['size']})")
