# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations that keepalived 2.2.7 and lvs-agent must make the same IPVS table of; written to a file each."""

from __future__ import annotations

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")

_SECURE = "enable_script_security\n script_user root"
_DEAD = "TCP_CHECK {\n connect_ip 127.0.0.1\n connect_port 9\n }"

_HEAD = f"""\
global_defs {{
 {_SECURE}
}}
virtual_server_group web {{
 192.0.2.30-31 80
 192.0.2.32 443
 192.0.2.40/30 80
}}
virtual_server_group both {{
 192.0.2.50 80
 fwmark 17
}}
virtual_server_group six {{
 2001:db8::10-12 80
 2001:db8::20 443
}}
virtual_server_group mixed {{
 192.0.2.60 80
 2001:db8::60 80
}}
virtual_server_group marks {{
 fwmark 8 inet6
 fwmark 9 inet
}}
"""


def server(where: str, words: str, *reals: str) -> str:
    """A virtual server; each of ``reals`` is an address and port, and words of its own behind a semicolon."""
    blocks = ""
    for real in reals:
        place, _sign, own = real.partition(";")
        blocks += f" real_server {place} {{\n {own}\n }}\n"
    lines = "\n ".join(word.strip() for word in words.split(";"))
    return f"virtual_server {where} {{\n delay_loop 60\n {lines}\n{blocks}}}\n"


TCP = "lb_algo wlc; protocol TCP"

WIDE = _HEAD + "".join(
    [
        *(
            server(f"192.0.2.1 {port}", f"lb_algo {name}; lb_kind NAT; protocol TCP", "10.0.0.11 80;weight 3")
            for port, name in enumerate(SCHEDULERS, 1001)
        ),
        server("192.0.2.2 80", "lb_algo sh; lb_kind DR; protocol TCP; sh-port; sh-fallback", "10.0.0.11 80"),
        server("192.0.2.2 81", "lb_algo mh; lb_kind DR; protocol TCP; mh-port; mh-fallback", "10.0.0.11 81"),
        server("192.0.2.2 82", "lb_algo rr; lb_kind DR; protocol TCP; flag-1; flag-2; flag-3", "10.0.0.11 82"),
        # forwarding
        server("192.0.2.3 80", "lb_algo rr; lb_kind TUN; protocol TCP", "10.0.0.11 80", "10.0.0.12 80;weight 0"),
        server("192.0.2.3 81", "lb_algo rr; lb_kind TUN type gue port 6080 csum; protocol TCP", "10.0.0.11 81"),
        server("192.0.2.3 82", "lb_algo rr; lb_kind TUN type gre; protocol TCP", "10.0.0.11 82"),
        server(
            "192.0.2.3 83",
            "lb_algo rr; lb_kind DR; protocol TCP; weight 9",
            "10.0.0.11 8083;lvs_method NAT",
            "10.0.0.12 83;lvs_method TUN type gue port 7 nocsum",
            "10.0.0.13 83",
            "fd00::14 83;lvs_method TUN",
        ),
        # persistence, one-packet scheduling, protocols, thresholds
        server("192.0.2.4 0", f"{TCP}; lb_kind DR; persistence_timeout 77", "10.0.0.11 0"),
        server(
            "192.0.2.4 80",
            f"{TCP}; lb_kind NAT; persistence_timeout; persistence_granularity 255.255.255.0",
            "10.0.0.11 80;uthreshold 9\n lthreshold 3",
            "10.0.0.12 80;uthreshold 5",
        ),
        server("192.0.2.4 81", f"{TCP}; lb_kind NAT; persistence_granularity 255.255.0.0", "10.0.0.11 80"),
        server(
            "192.0.2.4 5060",
            "lb_algo wlc; lb_kind NAT; protocol UDP; ops; persistence_engine sip; persistence_timeout 50",
            "10.0.0.11 5060",
        ),
        server("192.0.2.4 132", "lb_algo wlc; lb_kind NAT; protocol SCTP", "10.0.0.11 132"),
        server(
            "2001:db8::1 443",
            f"{TCP}; lb_kind NAT; persistence_timeout 60; persistence_granularity 64",
            "fd00::11 443",
            "fd00::12 443;weight 2147483647",
        ),
        server("2001:db8::1 444", f"{TCP}; lb_kind TUN", "fd00::11 444", "10.0.0.11 444"),
        # firewall marks
        server("fwmark 3", "lb_algo wlc; lb_kind NAT", "10.0.0.11 80", "10.0.0.12"),
        server("fwmark 4", "lb_algo wlc; lb_kind DR; persistence_timeout 70", "10.0.0.11"),
        server("fwmark 5", "lb_algo wlc; lb_kind NAT", "fd00::11"),
        server("fwmark 6", "lb_algo wlc; lb_kind TUN; ip_family inet6", "10.0.0.11", "fd00::11"),
        # groups
        server("group web", f"{TCP}; lb_kind DR; sorry_server 10.0.0.99", "10.0.0.11 80", "10.0.0.12"),
        server("group both", f"{TCP}; lb_kind NAT", "10.0.0.11 8080", "10.0.0.12;lvs_method DR"),
        server("group six", f"{TCP}; lb_kind NAT; persistence_timeout 30", "fd00::11 8080"),
        server("group mixed", f"{TCP}; lb_kind TUN", "10.0.0.11 80", "fd00::11 80"),
        server("group marks", "lb_algo rr; lb_kind TUN", "10.0.0.11"),
        # the quorum, the sorry server, alpha, inhibit_on_failure
        server(
            "192.0.2.7 80",
            f"{TCP}; lb_kind NAT; quorum 2; hysteresis 1; sorry_server 10.0.0.99 8080",
            "10.0.0.11 80",
            "10.0.0.12 80;inhibit_on_failure",
        ),
        server("192.0.2.7 81", f"{TCP}; lb_kind NAT; quorum 2; hysteresis 1", "10.0.0.11 80", "10.0.0.12 80"),
        server(
            "192.0.2.7 82",
            f"{TCP}; lb_kind DR; sorry_server 10.0.0.99; sorry_server_inhibit; sorry_server_lvs_method NAT",
            "10.0.0.11 82",
        ),
        server("192.0.2.7 83", f"{TCP}; lb_kind NAT; alpha; sorry_server 10.0.0.99", f"10.0.0.11 80;{_DEAD}"),
        server(
            "192.0.2.7 84",
            f"{TCP}; lb_kind NAT; inhibit_on_failure",
            f"10.0.0.11 80;alpha\n {_DEAD}",
            f"10.0.0.12 80;alpha\n inhibit_on_failure false\n {_DEAD}",
            "10.0.0.13 80",
        ),
        server("192.0.2.7 85", f"{TCP}; lb_kind NAT; alpha; sorry_server 10.0.0.13 80", f"10.0.0.13 80;{_DEAD}"),
        server("192.0.2.7 86", f"{TCP}; lb_kind NAT; sorry_server 10.0.0.13 80; sorry_server_inhibit", "10.0.0.13 80"),
        server(
            "group web", "lb_algo wlc; lb_kind DR; protocol UDP; alpha; sorry_server 10.0.0.99", f"10.0.0.11;{_DEAD}"
        ),
        server("fwmark 20", "lb_algo wlc; lb_kind DR; alpha; sorry_server 10.0.0.99", f"10.0.0.11;{_DEAD}"),
    ]
)

SYNC = f"""\
global_defs {{
 {_SECURE}
 lvs_sync_daemon d0 VI maxlen 900 port 9999 ttl 3 group 224.0.0.99
 lvs_timeouts tcp 800 udp 100
}}
vrrp_instance VI {{
 interface d1
 virtual_router_id 33
 priority 100
 virtual_ipaddress {{
 192.0.2.1
 }}
}}
""" + server("192.0.2.1 80", f"{TCP}; lb_kind DR", "10.0.0.11 80")

SYNC_BOTH = f"global_defs {{\n {_SECURE}\n lvs_sync_daemon d0 id 7\n}}\n" + server(
    "192.0.2.1 80", f"{TCP}; lb_kind DR", "10.0.0.11 80"
)

_CHECK = 'MISC_CHECK {{\n misc_path "/bin/{}"\n misc_timeout 60\n retry 0\n }}'
_LIVE, _FAILS = (_CHECK.format(name) for name in ("true", "false"))
_QUICK = "lb_algo rr; lb_kind NAT; protocol TCP; delay_loop 1"

_TOLD = "".join(
    server(f"192.0.2.1 {port}", f"{_QUICK}; {words}", *reals).replace(" delay_loop 60\n", "")
    for port, (words, *reals) in enumerate(
        [
            ("retry 1", f"10.0.0.1 80;{_LIVE}"),
            ("retry 1", f"10.0.0.1 80;{_FAILS}"),
            ("alpha", f"10.0.0.1 80;{_LIVE}"),
            ("alpha", f"10.0.0.1 80;{_FAILS}"),
            ("alpha; sorry_server 10.0.0.9", f"10.0.0.1 80;{_FAILS}"),
            ("retry 1", "10.0.0.1 80"),
            ("quorum 2", f"10.0.0.1 80;{_LIVE}", f"10.0.0.2 80;{_FAILS}"),
            ("quorum 2; alpha; sorry_server 10.0.0.9", f"10.0.0.1 80;{_LIVE}", f"10.0.0.2 80;{_LIVE}"),
            ("omega", f"10.0.0.1 80;{_LIVE}", f"10.0.0.2 80;{_FAILS}"),
            ("alpha", f"10.0.0.1 80;{_LIVE}\n {_FAILS}"),
        ],
        1,
    )
)
TOLD = f"global_defs {{\n {_SECURE}\n lvs_notify_fifo /run/fifo\n}}\n{_TOLD}"
TOLD_AT_START = TOLD.replace("lvs_notify_fifo", "rs_init_notifies\n lvs_notify_fifo")
