# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/unit/kernel/captures/ipvs.json: what ipvsadm sends a kernel, and what the kernel answers to us.

Run as root on the host, it boots a guest and writes the file; in the guest it prints it. An nlmon interface shows each
netlink message, so that the requests are ipvsadm's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uml_guest

CAPTURES = uml_guest.CHECKOUT / "tests/unit/kernel/captures/ipvs.json"

#: The command lines whose requests are captured; the first seventeen make the table that is read afterwards.
TABLE = """\
-A -t 192.168.1.100:80 -s rr
-a -t 192.168.1.100:80 -r 192.168.1.129:80 -g -w 1
-a -t 192.168.1.100:80 -r 192.168.1.130:80 -g -w 0 -x 2000 -y 1000
-A -u 192.168.1.100:5060 -s wlc -p 77 -M 255.255.255.0 --pe sip -o
-a -u 192.168.1.100:5060 -r 10.9.9.9:5061 -m -w 5
-A --sctp-service 192.168.1.100:7777 -s wlc
-A -t [fd00::100]:443 -s mh -p 300 -M 64 -b mh-fallback,mh-port
-a -t [fd00::100]:443 -r [fd00::128]:443 -i -w 1 --tun-type ipip
-a -t [fd00::100]:443 -r [fd00::129]:443 -i -w 1 --tun-type gue --tun-port 5600 --tun-nocsum
-a -t [fd00::100]:443 -r [fd00::130]:443 -i -w 1 --tun-type gue --tun-port 5601 --tun-csum
-a -t [fd00::100]:443 -r [fd00::131]:443 -i -w 1 --tun-type gue --tun-port 5602 --tun-remcsum
-a -t [fd00::100]:443 -r [fd00::132]:443 -i -w 1 --tun-type gre --tun-csum
-A -f 7 -s sh -b sh-port
-A -f 8 -6 -s rr
-a -f 8 -6 -r [fd00::129]:443 -g -w 2147483647
-A -u 10.0.0.1:5000 -s rr
-a -u 10.0.0.1:5000 -r 10.0.0.2:5000 -m -w 1
""".splitlines()
OTHERS = """\
--set 901 121 301
--start-daemon master --mcast-interface d0 --syncid 51 --sync-maxlen 1400 --mcast-group 224.0.1.81 \
--mcast-port 9000 --mcast-ttl 3
--start-daemon backup --mcast-interface d0 --syncid 52 --mcast-group ff02::51
-E -t 192.168.1.100:80 -s wlc -p 10
-e -t 192.168.1.100:80 -r 192.168.1.129:80 -m -w 7 -x 9 -y 8
-Z -t 192.168.1.100:80
-Z
-d -t 192.168.1.100:80 -r 192.168.1.129:80
-d -t [fd00::100]:443 -r [fd00::129]:443
-D -f 8 -6
-D -t [fd00::100]:443
--stop-daemon master
--stop-daemon backup
-C
""".splitlines()
SETTING = {1, 2, 3, 5, 6, 7, 9, 10, 12, 16, 17}

GUEST = f"""\
for address in 10.0.0.1/24 10.0.0.2/24 fd00::1/64; do ip address add $address dev lo; done
ip link add d0 type dummy
ip link set d0 multicast on up
ip address add 10.1.0.1/24 dev d0
ip address add fd01::1/64 dev d0 nodad
ip route add 224.0.0.0/4 dev d0
ip link add nlmon0 type nlmon
ip link set nlmon0 up
part captures {uml_guest.DEBIAN_PYTHON} {Path(__file__).resolve()} --in-guest
"""


def ipvsadm(*words: str) -> str:
    return subprocess.run(["ipvsadm", *words], check=True, capture_output=True, text=True).stdout


def sent(line: str, family: int, monitor: socket.socket) -> str:
    """The hexadecimal payload of the one request by which ipvsadm does what a line says."""
    list(waiting(monitor))
    ipvsadm(*shlex.split(line))
    found = set()
    for data in waiting(monitor):
        length, kind, flags = struct.unpack_from("=IHH", data)
        if kind == family and flags & 1 and data[16] in SETTING:
            found.add(data[16:length].hex())
    if len(found) != 1:
        raise SystemExit(f"{len(found)} requests for: {line}")
    return found.pop()


def waiting(monitor: socket.socket) -> Iterator[bytes]:
    """The messages seen so far."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield monitor.recv(65536, socket.MSG_DONTWAIT)


def capture() -> dict[str, object]:
    from _lvs_agent.kernel import ipvs_numbers as n
    from _lvs_agent.kernel.genl import GenlConnection
    from _lvs_agent.kernel.ipvs import Ipvs
    from _lvs_agent.kernel.ipvs_pack import pack_service_key

    captured: dict[str, object] = {"kernel": os.uname().release, "machine": "user-mode-linux x86_64"}
    monitor = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    monitor.bind(("nlmon0", 0))
    with GenlConnection(n.GENL_NAME) as kernel, Ipvs() as ipvs:

        def dump(command: int, *attrs: bytes) -> list[str]:
            return [payload.hex() for payload in kernel.dump(command, attrs, "capture", bytes)]

        requests = {line: sent(line, kernel.family.id, monitor) for line in (*TABLE, *OTHERS[:3])}
        for _packet in range(3):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"packet", ("10.0.0.1", 5000))
        while "3 " not in ipvsadm("-Ln", "--stats", "--exact", "-u", "10.0.0.1:5000").splitlines()[-1]:
            pass
        captured["-Sn"] = ipvsadm("-Sn")
        captured["-Ln --stats --exact"] = ipvsadm("-Ln", "--stats", "--exact")
        captured["-Ln --thresholds"] = ipvsadm("-Ln", "--thresholds")
        captured["-L --daemon"] = ipvsadm("-L", "--daemon")
        captured["-L --timeout"] = ipvsadm("-L", "--timeout")
        captured["services"] = dump(n.CMD_GET_SERVICE)
        captured["servers"] = {
            str(entry.service.key): dump(n.CMD_GET_DEST, pack_service_key(entry.service.key))
            for entry in ipvs.services()
        }
        captured["daemons"] = dump(n.CMD_GET_DAEMON)
        for name, command in (("info", n.CMD_GET_INFO), ("timeouts", n.CMD_GET_CONFIG)):
            (payload,) = kernel.request(command, (), "capture", bytes)
            captured[name] = payload.hex()
        requests.update((line, sent(line, kernel.family.id, monitor)) for line in OTHERS[3:])
    captured["requests"] = requests
    return captured


def main() -> None:
    if "--in-guest" in sys.argv:
        print(json.dumps(capture(), indent=1))
        return
    with tempfile.TemporaryDirectory() as directory:
        said = uml_guest.run(
            GUEST,
            Path(directory),
            modules=("dummy", "nlmon", *uml_guest.IPVS_MODULES),
            pythonpath=(uml_guest.CHECKOUT / "plugins/module_utils", Path(__file__).parent),
        )
    if not said["captures"].startswith("{"):
        raise SystemExit(said["captures"])
    CAPTURES.write_text(json.dumps(json.loads(said["captures"]), indent=1) + "\n")


if __name__ == "__main__":
    main()
