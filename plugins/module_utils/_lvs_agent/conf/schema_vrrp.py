# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the VRRP blocks.

Source: keepalived.conf(5) of 2.2.7; ranges as its ``keepalived -t`` enforces them.
"""

from __future__ import annotations

from .schema_global import NO_ACCEPT, NO_LIST_CHECK
from .schema_lvs import NO_BFD
from .words import (
    BLOCK,
    Block,
    Word,
    address,
    choice,
    flag,
    gone,
    integer,
    lines,
    name_of,
    not_supported,
    raw,
    refused,
    script,
    seconds,
    switch,
    text,
    without_effect,
    words,
)

UINT = 4294967295

VRRP_SCRIPT = Block(
    "vrrp_script",
    (
        text("name", "Name, for track_script.", required=True, key=True),
        script("script", "Command line; exit status 0 is success.", required=True),
        integer("interval", 1, 4294, "Seconds between two runs.", default="1", unit="s"),
        integer("timeout", 1, 4294, "Seconds after which a run has failed.", default="interval", unit="s"),
        words(
            "weight",
            "weight",
            "Added to the priority (-253 to 253), optionally followed by reverse; 0 or nothing: failure is a fault.",
            default="0",
        ),
        integer("rise", 1, 2147483647, "Successes in a row to be up.", default="1", unit="successes"),
        integer("fall", 1, 2147483647, "Failures in a row to be down.", default="1", unit="failures"),
        words("user", "user", "User, and optionally group, to run it as.", default="script_user"),
        flag("init_fail", "Failed until proven otherwise."),
        raw(),
    ),
)


def _notify_words() -> tuple[Word, ...]:
    """The scripts a change of state runs, in instances and groups alike."""
    return (
        script("notify_master", "Run on becoming master."),
        script("notify_backup", "Run on becoming backup."),
        script("notify_fault", "Run on a fault."),
        script("notify_stop", "Run when VRRP stops."),
        script("notify", "Run after each of these, with type, name, state and priority as arguments."),
        switch(
            "notify_priority_changes",
            "Write changes of priority to the notification FIFOs.",
            default="vrrp_notify_priority_changes",
        ),
        switch("smtp_alert", "Send mail on a change of state.", default="smtp_alert_vrrp"),
    )


def _track_words() -> tuple[Word, ...]:
    """What lowers the priority or causes a fault, in instances and groups alike."""
    return (
        lines("track_interface", "track", "Interfaces, each optionally followed by weight and a number."),
        lines(
            "track_script",
            "track",
            "Names of director_vrrp_scripts, each optionally followed by weight and a number.",
        ),
        lines(
            "track_file", "track_far", "Names of track_file blocks, each optionally followed by weight and a number."
        ),
        lines(
            "track_process",
            "track_far",
            "Names of vrrp_track_process blocks, each optionally followed by weight and a number.",
        ),
        *not_supported(
            NO_BFD,
            lines(
                "track_bfd", "track", "Names of bfd_instance blocks, each optionally followed by weight and a number."
            ),
        ),
    )


VRRP_SYNC_GROUP = Block(
    "vrrp_sync_group",
    (
        text("name", "Name of the group.", required=True, key=True),
        lines("group", "member", "Names of the instances that change state together.", required=True),
        *_track_words(),
        *_notify_words(),
        flag("sync_group_tracking_weight", "Allow weights that differ between members."),
        refused(
            "global_tracking",
            "keepalived calls it deprecated; write track_interface and track_script in the group",
        ),
        raw(),
    ),
)

AUTHENTICATION = Block(
    "authentication",
    (
        choice(
            "auth_type",
            ("PASS", "AH"),
            "PASS is a password in clear; AH signs each advert (IPv4 only).",
            required=True,
        ),
        text("auth_pass", "The shared secret, at most 8 characters.", required=True, secret=True),
    ),
)

AUTH_HMAC = Block(
    "auth_hmac",
    (
        words("key", "any", "Number of a key, and the key.", required=True, secret=True, since="2.4"),
        integer("active_key", 1, 255, "Number of the key to sign with.", since="2.4"),
        choice("anti_replay", ("time", "monotonic"), "What makes an advert old.", default="time", since="2.4"),
        integer("time_window", 1, 300, "Age at which an advert is refused.", unit="s", since="2.4"),
        choice(
            "mode",
            ("enforce", "permissive", "receive-only"),
            "Who must sign, for the time of a change.",
            default="enforce",
            since="2.4",
        ),
    ),
)

VRRP_INSTANCE = Block(
    "vrrp_instance",
    (
        text("name", "Name of the instance.", required=True, key=True),
        choice("state", ("MASTER", "BACKUP"), "State to start in.", default="BACKUP"),
        name_of("interface", "Interface of the adverts.", required=True),
        integer("virtual_router_id", 1, 255, "Number of the virtual router, unique on its network.", required=True),
        integer(
            "priority",
            1,
            255,
            "The highest becomes master; must differ between directors. 255 is the owner of the address.",
            required=True,
            default="100",
        ),
        seconds(
            "advert_int",
            0.01,
            255,
            "Seconds between adverts; whole seconds in VRRPv2, hundredths up to 40.95 in VRRPv3.",
            default="1",
        ),
        integer("version", 2, 3, "VRRP version.", default="vrrp_version"),
        flag("nopreempt", "Do not take over from a running master of lower priority."),
        flag("preempt", "The opposite of nopreempt, and the default."),
        seconds(
            "preempt_delay", 0, 1000, "Seconds to wait before taking over from a master of lower priority.", default="0"
        ),
        *not_supported(
            "write authentication, or run VRRP where nobody else can send",
            Word("auth_hmac", BLOCK, "Sign each advert with HMAC-SHA256.", block=AUTH_HMAC, since="2.4"),
        ),
        Word("authentication", BLOCK, "Authentication of adverts (VRRPv2 only).", block=AUTHENTICATION),
        lines(
            "virtual_ipaddress",
            "vip",
            "The VIPs, in the words of C(ip address), as in C(192.0.2.1/24 dev ens33 label ens33:1).",
            required=True,
        ),
        lines("virtual_ipaddress_excluded", "vip", "VIPs that are not in the adverts."),
        lines("virtual_routes", "route", "Routes while master, in the words of C(ip route)."),
        lines("virtual_rules", "rule", "Rules while master, in the words of C(ip rule)."),
        flag("no_virtual_ipaddress", "The instance has no VIP, on purpose.", since="2.2.8"),
        flag("promote_secondaries", "Keep other addresses of a subnet when one of them goes."),
        address("mcast_src_ip", "Source address of multicast adverts."),
        address("mcast_dst_ip", "Multicast group of this instance.", default="vrrp_mcast_group4 or 6"),
        address("unicast_src_ip", "Source address of unicast adverts."),
        lines("unicast_peer", "peer", "Addresses of the other directors; makes the adverts unicast."),
        integer("unicast_ttl", 0, 255, "TTL of unicast adverts.", default="255"),
        flag("unicast_fault_no_peer", "Fault, not multicast, without peers."),
        flag("check_unicast_src", "Accept adverts of the peers only."),
        flag("track_src_ip", "Fault while this host does not have the source address (always so in lvs-agent)."),
        flag("dont_track_primary", "Ignore faults of the interface itself."),
        *_track_words(),
        words(
            "use_vmac",
            "vmac",
            "Send from the virtual MAC, optionally with the interface's name and MAC.",
            bare=True,
        ),
        flag("use_vmac_addr", "Virtual MAC for VIPs on other interfaces."),
        flag("vmac_xmit_base", "Adverts from the real interface."),
        *not_supported(
            "write use_vmac",
            words(
                "use_ipvlan", "any", "Use an ipvlan interface, optionally with its name, address and mode.", bare=True
            ),
        ),
        name_of("vrf", "VRF of a unicast instance without interface."),
        flag("accept", "Answer on the VIPs although not their owner (the default)."),
        *not_supported(NO_ACCEPT, flag("no_accept", "Do not answer on the VIPs.")),
        integer("garp_master_delay", 0, 4294, "As vrrp_garp_master_delay.", default="vrrp_garp_master_delay", unit="s"),
        integer("garp_master_repeat", 1, UINT, "As vrrp_garp_master_repeat.", default="vrrp_garp_master_repeat"),
        integer(
            "garp_lower_prio_delay",
            0,
            4294,
            "As vrrp_garp_lower_prio_delay.",
            default="vrrp_garp_lower_prio_delay",
            unit="s",
        ),
        integer(
            "garp_lower_prio_repeat",
            0,
            2147483647,
            "As vrrp_garp_lower_prio_repeat.",
            default="vrrp_garp_lower_prio_repeat",
        ),
        integer(
            "garp_master_refresh", 0, UINT, "As vrrp_garp_master_refresh.", default="vrrp_garp_master_refresh", unit="s"
        ),
        integer(
            "garp_master_refresh_repeat",
            1,
            UINT,
            "As vrrp_garp_master_refresh_repeat.",
            default="vrrp_garp_master_refresh_repeat",
        ),
        words(
            "garp_extra_if",
            "garp_extra_if",
            "As vrrp_garp_extra_if.",
            aliases=("vmac_garp_intvl",),
            default="vrrp_garp_extra_if",
            unit="s",
            outdated=("vmac_garp_intvl",),
        ),
        integer(
            "down_timer_adverts",
            1,
            100,
            "Missed adverts before taking over.",
            default="vrrp_down_timer_adverts",
            unit="adverts",
        ),
        switch(
            "lower_prio_no_advert", "Do not answer an advert of lower priority.", default="vrrp_lower_prio_no_advert"
        ),
        switch(
            "higher_prio_send_advert",
            "Answer an advert of higher priority once before giving way.",
            default="vrrp_higher_prio_send_advert",
        ),
        *without_effect(
            NO_LIST_CHECK,
            switch(
                "skip_check_adv_addr",
                "Do not compare the addresses of adverts from the known master.",
                default="vrrp_skip_check_adv_addr",
            ),
        ),
        *not_supported(NO_ACCEPT, switch("strict_mode", "As vrrp_strict.", default="vrrp_strict")),
        choice(
            "old_unicast_checksum",
            ("never",),
            "Checksum of keepalived before 1.3.6 in VRRPv3 unicast.",
            bare=True,
        ),
        *without_effect(
            "lvs-agent sizes its buffers itself",
            integer("kernel_rx_buf_size", 1, UINT, "Receive buffer.", unit="bytes"),
        ),
        *without_effect(
            "it is not implemented in keepalived either",
            integer("debug", 0, 4, "Level of debugging.", default="0"),
        ),
        name_of(
            "lvs_sync_daemon_interface",
            "Interface of the connection sync daemon that follows this instance.",
            aliases=("lvs_sync_daemon_inteface",),
            outdated=("lvs_sync_daemon_inteface",),
        ),
        *_notify_words(),
        script(
            "notify_deleted",
            "Run when a reload removed it; true alone: DELETED, not FAULT, is notified.",
            bare=True,
        ),
        script("notify_master_rx_lower_pri", "Run when a master hears an advert of lower priority."),
        gone("native_ipv6", "the addresses decide the family"),
        refused(
            "linkbeat_use_polling",
            "keepalived calls it deprecated and complains; the kernel reports the link",
        ),
        raw(),
    ),
)
