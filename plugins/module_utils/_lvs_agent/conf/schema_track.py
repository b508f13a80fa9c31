# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the blocks that others refer to by name in order to be told of something.

Source: keepalived.conf(5) of 2.2.7; ranges as its ``keepalived -t`` enforces them.
"""

from __future__ import annotations

from .words import (
    Block,
    address,
    choice,
    flag,
    integer,
    lines,
    seconds,
    text,
    words,
)

_LONGEST = 3600  # keepalived's limit of a delay of track_process

TRACK_FILE = Block(
    "track_file",
    (
        text("name", "Name, for track_file in instances and groups, and for FILE_CHECK.", required=True, key=True),
        text("file", "Path of the file; the number in it is watched.", required=True),
        words(
            "weight",
            "far_weight",
            "Factor of that number (-254 to 254), optionally followed by reverse; 0: not 0 is a fault.",
            default="1",
        ),
        words("init_file", "init_file", "Number to write at start, optionally followed by overwrite.", bare=True),
    ),
)

TRACK_PROCESS = Block(
    "vrrp_track_process",
    (
        text("name", "Name, for track_process.", required=True, key=True),
        words("process", "any", "Name of the program, optionally followed by its parameters.", required=True),
        choice(
            "param_match",
            ("initial", "partial"),
            "Compare the first parameters only, or the last one's beginning only.",
        ),
        words(
            "weight",
            "far_weight",
            "Added to the priority (-254 to 254), optionally followed by reverse; 0: failure is a fault.",
            default="0",
        ),
        integer("quorum", 1, 65535, "Fewest processes.", default="1"),
        integer("quorum_max", 0, 65535, "Most processes.", default="65536"),
        seconds("fork_delay", 0.000001, _LONGEST, "Seconds before enough processes count as up."),
        seconds("terminate_delay", 0.000001, _LONGEST, "Seconds before too few processes count as down."),
        seconds("delay", 0.000001, _LONGEST, "Both delays."),
        flag("full_command", "Compare the whole command line, not the name."),
    ),
)

BFD_INSTANCE = Block(
    "bfd_instance",
    (
        text("name", "Name, for track_bfd and BFD_CHECK.", required=True, key=True),
        address("neighbor_ip", "Address of the neighbour.", aliases=("neighbour_ip",)),
        address("source_ip", "Source address."),
        seconds("min_rx", 1, 4294967, "Shortest time between two packets received.", unit="ms", default="10"),
        seconds("min_tx", 1, 4294967, "Shortest time between two packets sent.", unit="ms", default="10"),
        seconds("idle_tx", 1000, 4294967, "The same while the session is down.", unit="ms", default="1000"),
        integer("multiplier", 1, 255, "Missed packets before the session is down.", unit="packets", default="5"),
        flag("passive", "Wait for the neighbour to begin."),
        integer("ttl", 1, 255, "TTL of the packets.", default="255"),
        integer("hoplimit", 1, 255, "Hop limit of the packets.", default="64"),
        integer("max_hops", 0, 255, "Most hops of a packet received; 255 for any.", default="0"),
        flag("multihop", "Use the port for several hops, 4784.", since="2.2.8"),
        words("weight", "weight", "Added to the priority (-253 to 253), optionally followed by reverse."),
        flag("vrrp", "Tell the VRRP process only."),
        flag("checker", "Tell the health checking process only."),
    ),
)

TRACK_GROUP = Block(
    "track_group",
    (
        text("name", "Name, for track_group in static addresses, routes and rules.", required=True, key=True),
        lines("group", "member", "Names of the instances that are at fault when one of those goes.", required=True),
    ),
)
