# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that our IPVS can set, on a kernel that has ip_vs, as ipvsadm shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).with_name("ipvs_in_guest.py")

GUEST = f"""\
for last in 1 2 3; do
  ip address add 10.0.0.$last/24 dev lo
  ip address add fd00::$last/64 dev lo nodad
done
ip link add d0 type dummy
ip link set d0 multicast on up
ip address add 10.1.0.1/24 dev d0
ip address add fd01::1/64 dev d0 nodad
ip route add 224.0.0.0/4 dev d0
part steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS}
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step of the guest's script answered."""
    parts = uml_guest.run(
        GUEST, tmp_path_factory.mktemp("guest"), modules=("dummy", *uml_guest.IPVS_MODULES)
    )
    assert parts["steps"].startswith("{"), parts["steps"]
    answers: dict[str, Any] = json.loads(parts["steps"])
    return answers


def as_saved(lines: list[str]) -> list[str]:
    """Our lines as `ipvsadm -Sn` has them: without thresholds, and firewall marks above 2^31 as negative numbers."""
    return sorted(re.sub(" -x .*", "", line).replace("-f 4294967295", "-f -1") for line in lines)


def has_thresholds(shown: str, place: str, upper: int, lower: int) -> bool:
    return re.search(rf"-> {re.escape(place)} +{upper} +{lower} ", shown) is not None


def test_all_that_can_be_added(said: dict[str, Any]) -> None:
    step = said["everything"]
    assert as_saved(step["changes"]) == sorted(step["-Sn"])
    assert sorted(step["ours"]) == sorted(step["changes"])
    assert len(step["-Sn"]) == 23
    assert has_thresholds(step["thresholds"], "10.0.0.3:8080", 2147483647, 1000)
    assert has_thresholds(step["thresholds"], "10.0.0.4:80", 5, 0)


EDITED = {
    "-A -t 192.0.2.1:80 -s wlc -p 60 -M 255.255.0.0",
    "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 7",
    "-a -t 192.0.2.1:80 -r 10.0.0.4:80 -g -w 0",
    # Everything that was set on these is unset: persistence, netmask, engine, one-packet scheduling, flags, tunnels.
    "-A -u 192.0.2.1:5060 -s rr",
    "-A -t [2001:db8::1]:443 -s mh -b mh-port",
    "-a -t [2001:db8::1]:443 -r [2001:db8::10]:443 -i -w 1 --tun-type gue --tun-port 77 --tun-nocsum",
    "-a -t [2001:db8::1]:443 -r [2001:db8::12]:443 -i -w 4 --tun-type ipip",
    "-a -t [2001:db8::1]:443 -r 10.0.0.9:443 -i -w 0 --tun-type ipip",
    "-A -f 7 -s wlc",
}


def test_all_that_can_be_edited(said: dict[str, Any]) -> None:
    before, after = said["everything"], said["edits"]
    assert set(after["-Sn"]) - set(before["-Sn"]) == EDITED
    assert len(after["-Sn"]) == len(before["-Sn"])
    assert as_saved(after["ours"]) == sorted(after["-Sn"])
    assert has_thresholds(after["thresholds"], "10.0.0.1:80", 9, 8)
    assert has_thresholds(after["thresholds"], "10.0.0.4:80", 0, 0)


def test_deletions(said: dict[str, Any]) -> None:
    before, after = set(said["edits"]["-Sn"]), set(said["deletions"]["-Sn"])
    assert after < before
    gone = sorted(line for line in before - after if line.startswith("-A"))
    assert gone == [
        "-A -f -1 -6 -s rr -p 50",
        "-A -u 192.0.2.1:5060 -s rr",
        "-A -u [2001:db8::1]:53 -s sh -o -b sh-fallback",
    ]
    # Three real servers by themselves, three with their services, and one of a service that stays.
    assert len([line for line in before - after if line.startswith("-a")]) == 7
    assert as_saved(said["deletions"]["ours"]) == sorted(after)


def test_a_refusal_in_the_middle_of_a_batch(said: dict[str, Any]) -> None:
    step = said["middle"]
    assert (step["type"], step["errno"]) == ("ChangeRefused", "EEXIST")
    assert (step["change"], step["others"]) == ("-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1", 1)
    assert step["text"].endswith("read the table again; 1 more change was refused")
    assert step["new"] == [f"-a -t 192.0.2.1:80 -r 10.0.0.{last}:80 -g -w 1" for last in (20, 21)]
    assert step["gone"] == []


def test_a_datagram_of_refusals_fits_the_receive_buffer(said: dict[str, Any]) -> None:
    step = said["altogether"]
    assert step["errno"] == "EEXIST"
    assert 200 <= step["others"] < 3000
    assert (step["servers"], step["left"]) == (3004, 4)


def test_an_abandoned_listing_does_not_spoil_the_next(said: dict[str, Any]) -> None:
    assert said["abandoned"] == {"error": "EIO", "wanted": 2004, "again": 2004}


@pytest.mark.parametrize(
    "name,code,advice",
    [
        ("scheduler", "ENOENT", "no scheduler wrx; did you mean wrr?"),
        ("module", "ENOENT", "run `modprobe ip_vs_lblc`"),
        ("there", "EEXIST", "there already"),
        ("gone", "ESRCH", "no such virtual service"),
        ("server gone", "ENOENT", "no such real server"),
        ("family", "EINVAL", "reached by tunnel only"),
        ("multicast", "EINVAL", "must be a unicast one"),
        ("thresholds", "ERANGE", "the lower threshold above the upper one"),
        ("gue", "EINVAL", "a GUE tunnel needs a port"),
        ("prefix", "EINVAL", "from 1 to 128"),
    ],
)
def test_refusals(said: dict[str, Any], name: str, code: str, advice: str) -> None:
    error = said["errors"][name]
    assert (error["type"], error["errno"]) == ("ChangeRefused", code)
    assert error["text"].startswith(f"ipvsadm {error['change']}: ")
    assert advice in error["text"]


def test_a_missing_service_has_no_servers(said: dict[str, Any]) -> None:
    none, services = said["errors"]["dump"]
    assert (none, services) == (0, len([line for line in said["everything"]["-Sn"] if line.startswith("-A")]))


def test_timeouts(said: dict[str, Any]) -> None:
    assert said["settings"]["all"] == ["901", "121", "301"]
    assert said["settings"]["one"] == ["901", "50", "301"]
    assert said["settings"]["too long"]["errno"] == "EINVAL"


def test_daemons(said: dict[str, Any]) -> None:
    step = said["daemons"]
    master = "master sync daemon (mcast=d0, syncid=51, maxlen=1400, group=224.0.1.81, port=9000, ttl=3)"
    backup = "backup sync daemon (mcast=d0, syncid=255, maxlen=1452, group=ff02::51, port=8848, ttl=1)"
    assert step["both"] == [master, backup]
    assert step["ours"] is True
    assert step["one"] == [master]
    assert step["defaults"] == [
        "master sync daemon (mcast=d0, syncid=1, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
    ]
    assert step["none"] == []
    told = {name: (step[name]["errno"], step[name]["text"]) for name in ("mixed", "again", "not there", "interface")}
    assert [code for code, _text in told.values()] == ["EINVAL", "EEXIST", "ESRCH", "ENODEV"]
    assert "another address family" in told["mixed"][1]
    assert "only lo, d0" in told["interface"][1]


def test_counters_and_zeroing(said: dict[str, Any]) -> None:
    step = said["counters"]
    assert step["ours"] == step["v4"]
    assert [line.split()[0] for line in step["v4"] + step["v6"]] == ["3", "3", "2", "2"]
    assert step["inactive"] == 3
    zero = ["0 0 0 0 0"] * 2
    assert step["one zeroed"] == [zero, step["v6"]]
    assert step["all zeroed"] == zero


def test_connections(said: dict[str, Any]) -> None:
    step = said["counters"]
    ours = []
    for protocol, *ends, state, _expires, pe_name, pe_data in step["connections"]:
        places = [f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}" for addr, port in zip(ends[::2], ends[1::2])]
        ours.append([protocol.upper(), state, *places])
        assert (pe_name, pe_data) == ("", "")
    shown = [line.split() for line in step["-Lcn"]]
    assert ours == [[words[0], *words[2:]] for words in shown]
    # Three of IPv4, two of IPv6 and the template that holds them together.
    assert len(ours) == 6
    for entry, words in zip(step["connections"], shown):
        minutes, seconds = words[1].split(":")
        assert abs(entry[8] - int(minutes) * 60 - int(seconds)) <= 5
    assert step["of one client"] == 3


def test_a_namespace_by_name_or_path(said: dict[str, Any]) -> None:
    step = said["namespaces"]
    assert step["left"] == ["-A -t 192.0.2.1:80 -s rr", "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1"]
    assert step["right"] == [0, 0]
    assert step["here"] > 2
    assert step["stayed"] is True
    assert step["connections"] == [["10.0.0.3", 5000, "10.0.0.4", 5000, "UDP"]]
    assert step["connections here"] == 3
    for name in ("missing", "no connections"):
        assert step[name]["type"] == "NamespaceNotFound"
        assert step[name]["text"].endswith("there are only left, right; did you mean left?")
    assert "/etc/passwd is no network namespace" in step["no namespace"]["text"]
    assert step["interface"]["text"].endswith("only lo, only-left; did you mean only-left?")
    assert "must have an IP address itself" in step["no address"]["text"]


def test_without_rights(said: dict[str, Any]) -> None:
    assert set(said["without rights"]) == {"read", "change", "flush", "daemon"}
    for error in said["without rights"].values():
        assert error["errno"] == "EPERM"
        assert "CAP_NET_ADMIN" in error["text"]


def test_flush(said: dict[str, Any]) -> None:
    assert said["flushed"] == []


def test_a_module_that_goes_under_a_connection(said: dict[str, Any]) -> None:
    step = said["unloaded"]
    for name in ("read", "flush", "change", "stale"):
        assert step[name]["type"] == "IpvsUnavailable"
        assert "unloaded meanwhile" in step[name]["text"]
    assert step["none"]["type"] == "IpvsUnavailable"
    assert "modprobe ip_vs" in step["none"]["text"]
    assert step["no connections"]["type"] == "ConnectionsUnreadable"
    assert step["again"] == 0
