# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the top level of the file, and of its small blocks.

Source: keepalived.conf(5) of 2.2.7; ranges as its ``keepalived -t`` enforces them.
"""

from __future__ import annotations

from .words import Block, flag, integer, lines, name_of, not_supported, seconds, text, without_effect

TOP_LEVEL = Block(
    "top_level",
    (
        *not_supported(
            "start the daemon inside the namespace, by NetworkNamespacePath= in its unit",
            name_of("net_namespace", "Network namespace of everything."),
            name_of("net_namespace_ipvs", "Network namespace of IPVS."),
        ),
        *without_effect(
            "lvs-agent uses no ipsets",
            flag("namespace_with_ipsets", "ipsets in a namespace on kernels before 3.13."),
        ),
        *without_effect(
            "systemd knows the processes of lvs-agent, without files of their numbers",
            text("instance", "Name in the names of the PID files."),
            flag("use_pid_dir", "PID files in /run/keepalived."),
            integer("child_wait_time", 0, 4294, "Time for child processes to end.", default="5", unit="s"),
        ),
        *without_effect("the kernel reports the link", flag("linkbeat_use_polling", "Poll the state of the link.")),
    ),
)

LINKBEAT_INTERFACES = without_effect(
    "the kernel reports the link",
    lines(
        "linkbeat_interfaces",
        "linkbeat",
        "Interfaces whose link is polled, each optionally followed by MII, ETHTOOL or IOCTL.",
    ),
)[0]

STATIC_IPADDRESS = lines(
    "static_ipaddress",
    "static_vip",
    "Addresses that every director keeps, in the words of C(ip address), optionally with track_group and a name.",
)
STATIC_ROUTES = lines("static_routes", "route", "Routes that every director keeps, in the words of C(ip route).")
STATIC_RULES = lines("static_rules", "rule", "Rules that every director keeps, in the words of C(ip rule).")
INTERFACE_UP_DOWN_DELAYS = lines(
    "interface_up_down_delays",
    "delays",
    "Interface, seconds before its going down counts, and optionally seconds before its coming up counts.",
)

GARP_GROUP = Block(
    "garp_group",
    (
        seconds(
            "garp_interval",
            0.000001,
            2147.483647,
            "Seconds between two gratuitous ARPs; 0 is off.",
            zero_is_off=True,
            default="vrrp_garp_interval",
        ),
        seconds(
            "gna_interval",
            0.000001,
            2147.483647,
            "Seconds between two unsolicited neighbour adverts; 0 is off.",
            zero_is_off=True,
            default="vrrp_gna_interval",
        ),
        name_of("interface", "The interface."),
        lines("interfaces", "member", "The interfaces that share these intervals."),
    ),
)

SSL = Block(
    "SSL",
    (
        text("password", "Password of the key.", secret=True),
        text("ca", "File of the certificate authorities."),
        text("certificate", "File of the certificate."),
        text("key", "File of its key."),
    ),
)
