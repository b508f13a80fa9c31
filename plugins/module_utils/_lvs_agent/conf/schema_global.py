# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of ``global_defs``.

Source: keepalived.conf(5) of 2.2.7; ranges as its ``keepalived -t`` enforces them.
"""

from __future__ import annotations

from .words import (
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
BUFFER = 2147483647
_NO_RULES = "lvs-agent makes no firewall rules"
NO_ACCEPT = "remove it, and let the firewall drop what must not reach the VIPs; LVS needs them to answer"
NO_LIST_CHECK = "lvs-agent never drops an advert for its addresses; another list of VIPs is an alarm"
_SCHEDULING = "lvs-agent's VRRP process always runs in real time; vrrp_rt_priority says how high"
_OUTSIDE = "keepalived reads it outside global_defs; in the role's variables it belongs into director_top_level"


def _process_words(process: str, spoken: str) -> tuple[Word, ...]:
    """The words that exist once for each child process."""
    return (
        integer(f"{process}_priority", -20, 19, f"Nice value of the {spoken} process.", default="0"),
        integer(f"{process}_rt_priority", 1, 99, f"Real-time priority of the {spoken} process."),
        integer(
            f"{process}_rlimit_rttime",
            1,
            UINT,
            f"CPU time between two blocking calls of the {spoken} process.",
            aliases=(f"{process}_rlimit_rtime",),
            default="10000",
            unit="µs",
        ),
        flag(f"{process}_no_swap", f"Lock the memory of the {spoken} process."),
        words(f"{process}_cpu_affinity", "cpus", f"CPU numbers the {spoken} process may run on."),
    )


def _vrrp_process_words() -> tuple[Word, ...]:
    """Those of the VRRP process, which has its own ways with two of them."""
    reasons = {
        "vrrp_priority": _SCHEDULING,
        "vrrp_no_swap": "lvs-agent's VRRP process always locks its memory",
    }
    found: list[Word] = []
    for word in _process_words("vrrp", "VRRP"):
        found += without_effect(reasons[word.name], word) if word.name in reasons else (word,)
    return tuple(found)


def _buffer_words() -> tuple[Word, ...]:
    """Sizes of the netlink and process monitor receive buffers, and their force switches."""
    found: list[Word] = []
    for which in (
        "vrrp_netlink_cmd",
        "vrrp_netlink_monitor",
        "lvs_netlink_cmd",
        "lvs_netlink_monitor",
        "process_monitor",
    ):
        found += [
            integer(f"{which}_rcv_bufs", 1, BUFFER, "Receive buffer.", unit="bytes"),
            switch(f"{which}_rcv_bufs_force", "Exceed net.core.rmem_max.", default="false"),
        ]
    return tuple(found)


GLOBAL_DEFS = Block(
    "global_defs",
    (
        text(
            "router_id",
            "Name of this machine in mail and logs.",
            aliases=("lvs_id",),
            default="the host name",
            outdated=("lvs_id",),
        ),
        lines("notification_email", "text", "Receivers of notification mail."),
        text("notification_email_from", "Sender of notification mail.", default="keepalived@HOSTNAME"),
        words(
            "smtp_server",
            "smtp_server",
            "Mail server, an address or a name, and optionally its port (default 25).",
        ),
        text("smtp_helo_name", "Name in HELO.", default="the host name"),
        integer("smtp_connect_timeout", 1, 4294, "Seconds to wait for the mail server.", default="30", unit="s"),
        choice(
            "smtp_tls",
            ("starttls", "implicit"),
            "TLS towards the mail server, whose certificate must be valid: starttls with the command STARTTLS "
            "(default port 587), implicit from the first byte (default port 465).",
            own=True,
            default="none",
        ),
        text(
            "smtp_tls_ca_file",
            "File of the certificate authorities for smtp_tls.",
            own=True,
            default="the system's",
        ),
        text("smtp_user", "User to log in to the mail server with; needs smtp_tls and smtp_password_file.", own=True),
        text(
            "smtp_password_file",
            "File with the password of smtp_user on its first line, which others may not read.",
            own=True,
        ),
        switch("smtp_alert", "Default of every smtp_alert.", default="false"),
        switch("smtp_alert_vrrp", "Default of smtp_alert in the VRRP blocks.", default="smtp_alert"),
        switch("smtp_alert_checker", "Default of smtp_alert in the virtual servers.", default="smtp_alert"),
        switch("checker_log_all_failures", "Log each failed check, not only the last of its retries.", default="false"),
        flag("no_email_faults", "No mail on a fault."),
        *without_effect(
            "lvs-agent sends no mail on each check's change, only on a real server's or a quorum's",
            flag(
                "no_checker_emails",
                "Mail only when a real server is added or removed, not on each check's change.",
            ),
        ),
        flag(
            "enable_script_security",
            "Never run a script as root that others could have changed. Set by itself when the site has scripts.",
        ),
        words(
            "script_user",
            "user",
            "User, and optionally group, of the scripts. Set to root by itself when the site has scripts.",
            default="keepalived_script, else root",
        ),
        integer(
            "notify_timeout",
            1,
            3600,
            "Seconds after which a notify script is ended; those of its instance run one after the other.",
            own=True,
            default="60",
            unit="s",
        ),
        integer(
            "notify_retry",
            0,
            10,
            "Runs of a notify script after it failed, unless the state has changed again.",
            own=True,
            default="0",
            unit="runs",
        ),
        script("startup_script", "Run once before anything else starts."),
        integer("startup_script_timeout", 1, 1000, "Seconds the startup script may take.", default="10", unit="s"),
        script("shutdown_script", "Run once after everything has ended."),
        integer("shutdown_script_timeout", 1, 1000, "Seconds the shutdown script may take.", default="10", unit="s"),
        integer(
            "vrrp_version",
            2,
            3,
            "VRRP version of instances that do not say.",
            default="2, and 3 for IPv6",
        ),
        switch("v3_checksum_as_v2", "Default of v3_checksum_as_v2.", default="false", since="2.2.8"),
        address("vrrp_mcast_group4", "IPv4 multicast group of the adverts.", default="224.0.0.18"),
        address("vrrp_mcast_group6", "IPv6 multicast group of the adverts.", default="ff02::12"),
        name_of("default_interface", "Interface of static addresses.", default="eth0"),
        words(
            "lvs_sync_daemon",
            "sync_daemon",
            "Interface of the connection sync daemon, the VRRP instance "
            "it follows, and options (id, maxlen, port, ttl, group).",
        ),
        words(
            "lvs_timeouts",
            "lvs_timeouts",
            "Timeouts of connection tracking in seconds, as in C(tcp 900 tcpfin 120 udp 300).",
            unit="s",
        ),
        switch(
            "lvs_master_only",
            "C(lvs_master_only) of every virtual server that does not say it.",
            own=True,
            default="false; with the role, true when a director is a DR or TUN real server of the site",
        ),
        flag("lvs_flush", "Empty the kernel's IPVS table at start, of others' entries too."),
        choice(
            "lvs_flush_on_stop",
            ("VS",),
            "Empty the IPVS table at stop; VS removes our own virtual servers only.",
            bare=True,
        ),
        integer(
            "vrrp_garp_master_delay",
            0,
            4294,
            "Seconds to the second round of gratuitous ARP after becoming master; 0 for none.",
            default="5",
            unit="s",
        ),
        integer("vrrp_garp_master_repeat", 1, UINT, "Gratuitous ARPs in a round.", default="5"),
        integer(
            "vrrp_garp_lower_prio_delay",
            0,
            4294,
            "Seconds to the second round after an advert of lower priority.",
            default="vrrp_garp_master_delay",
            unit="s",
        ),
        integer(
            "vrrp_garp_lower_prio_repeat",
            0,
            BUFFER,
            "Gratuitous ARPs after an advert of lower priority.",
            default="vrrp_garp_master_repeat",
        ),
        integer(
            "vrrp_garp_master_refresh",
            0,
            UINT,
            "Seconds between gratuitous ARPs while master; 0 for none.",
            default="0",
            unit="s",
        ),
        integer("vrrp_garp_master_refresh_repeat", 1, UINT, "Gratuitous ARPs in a refresh.", default="1"),
        seconds(
            "vrrp_garp_interval",
            0.000001,
            4294.967295,
            "Seconds between two gratuitous ARPs on one interface; 0 is off.",
            zero_is_off=True,
            default="0",
        ),
        seconds(
            "vrrp_gna_interval",
            0.000001,
            4294.967295,
            "Seconds between two unsolicited neighbour adverts; 0 is off.",
            zero_is_off=True,
            default="0",
        ),
        switch("vrrp_min_garp", "One gratuitous ARP, and no second round.", default="false"),
        words(
            "vrrp_garp_extra_if",
            "garp_extra_if",
            "Seconds between gratuitous ARPs on other interfaces of VIPs, optionally after the word all; 0 is off.",
            zero_is_off=True,
            aliases=("vmac_garp_intvl",),
            default="0",
            unit="s",
            outdated=("vmac_garp_intvl",),
        ),
        integer(
            "vrrp_down_timer_adverts",
            1,
            100,
            "Missed adverts before a backup takes over.",
            default="3",
            unit="adverts",
        ),
        switch("vrrp_lower_prio_no_advert", "Do not answer an advert of lower priority.", default="false"),
        switch(
            "vrrp_higher_prio_send_advert",
            "Answer an advert of higher priority once before giving way.",
            default="false",
        ),
        flag("vrrp_check_unicast_src", "In unicast, accept adverts of the configured peers only."),
        *without_effect(
            NO_LIST_CHECK,
            flag("vrrp_skip_check_adv_addr", "Do not compare the addresses of adverts from the known master."),
        ),
        *not_supported(
            NO_ACCEPT,
            flag(
                "vrrp_strict",
                "Enforce the RFC: no authentication, no unicast, and the VIP does not answer unless accept is set.",
            ),
        ),
        switch("vrrp_notify_priority_changes", "Write changes of priority to the notification FIFOs.", default="false"),
        seconds(
            "vrrp_startup_delay",
            0.001,
            4294.967295,
            "Seconds before the VRRP instances start; 0 is off.",
            zero_is_off=True,
            default="0",
        ),
        seconds(
            "vrrp_delay_after_boot",
            0.001,
            4294.967295,
            "Seconds after the machine's boot before the VRRP instances start.",
            since="2.4",
        ),
        flag("log_unknown_vrids", "Log adverts of VRIDs that are not configured here."),
        name_of("vmac_prefix", "Prefix of the names of virtual MAC interfaces.", default="vrrp"),
        name_of(
            "vmac_addr_prefix",
            "Prefix for the virtual MAC interfaces of VIPs on other interfaces.",
            default="vmac_prefix",
        ),
        *without_effect(
            "lvs-agent follows interfaces that come and go in any case",
            choice("dynamic_interfaces", ("allow_if_changes",), "Allow interfaces that do not exist yet.", bare=True),
        ),
        *without_effect(
            _NO_RULES,
            name_of(
                "nftables",
                "Use nftables for no_accept and virtual MACs, in this table.",
                bare=True,
                default="keepalived",
            ),
            integer("nftables_priority", -2147483648, 2147483647, "Priority of the nftables chains.", default="-1"),
            flag("nftables_counters", "Counters in the nftables rules."),
            flag("nftables_ifindex", "Interface numbers, not names, in nftables sets."),
            name_of(
                "nftables_ipvs",
                "Set the fwmarks of virtual server groups with nftables, in this table.",
                bare=True,
                default="keepalived_ipvs",
            ),
            integer("nftables_ipvs_priority", -2147483648, 2147483647, "Priority of that chain."),
            integer(
                "nftables_ipvs_start_fwmark",
                1,
                UINT,
                "First fwmark of virtual server groups.",
                default="1000",
            ),
        ),
        flag("disable_local_igmp", "No IGMP reports for 224.0.0.0/24."),
        *without_effect(
            _SCHEDULING,
            integer(
                "max_auto_priority",
                -1,
                99,
                "Highest real-time priority keepalived may give itself; 0 none, -1 none and no warning.",
                bare=True,
                default="0",
            ),
            integer(
                "min_auto_priority_delay",
                1,
                10000000,
                "Delay that makes it raise its priority.",
                default="1000000",
                unit="µs",
            ),
        ),
        *_vrrp_process_words(),
        *_process_words("checker", "health checking"),
        *without_effect("lvs-agent has no BFD process", *_process_words("bfd", "BFD")),
        *without_effect(
            "lvs-agent sizes its buffers itself and reads everything again after an overrun",
            *_buffer_words(),
            words("vrrp_rx_bufs_policy", "receive_buffer", "MTU, ADVERT or a number of bytes.", default="the system's"),
            integer("vrrp_rx_bufs_multiplier", 1, UINT, "Factor of that policy.", default="3"),
        ),
        flag("rs_init_notifies", "Run the notify scripts of real servers at start."),
        words("notify_fifo", "path_user", "FIFO for all state changes, optionally its user and group."),
        script("notify_fifo_script", "Reader of that FIFO."),
        words("vrrp_notify_fifo", "path_user", "FIFO for VRRP state changes."),
        script("vrrp_notify_fifo_script", "Reader of that FIFO."),
        words("lvs_notify_fifo", "path_user", "FIFO for health check changes."),
        script("lvs_notify_fifo_script", "Reader of that FIFO."),
        flag("fifo_write_vrrp_states_on_reload", "Write the states to the FIFOs after a reload."),
        *without_effect(
            "lvs-agent names its processes itself",
            flag("process_names", "Distinct names of the child processes."),
            name_of("process_name", "Name of the parent process.", default="keepalived"),
            name_of("vrrp_process_name", "Name of the VRRP process."),
            name_of("checker_process_name", "Name of the health checking process.", aliases=("lvs_process_name",)),
            name_of("bfd_process_name", "Name of the BFD process."),
        ),
        words("umask", "umask", "Umask of created files, a number or names such as IWGRP.", default="IWGRP | IWOTH"),
        *without_effect(
            "a script is run by the path behind its links, each part of which was checked",
            switch("use_symlink_paths", "Keep symbolic links in the paths of scripts.", default="false", since="2.3"),
        ),
        flag("set_supplementary_groups", "Scripts get all groups of their user.", since="2.4"),
        *without_effect(
            "each program that reads the file draws numbers of its own for ${_RANDOM}",
            integer("random_seed", 0, UINT, "Seed of the random numbers in the file.", default="the time"),
        ),
        words("include_check", "include_check", "What is wrong with a missing include file.", bare=True),
        *without_effect(
            "lvs-agent always checks the file before a reload, and keeps its configuration in memory",
            text("reload_check_config", "Check the file before a reload; log of that check.", bare=True),
            text("tmp_config_directory", "Directory of the copy of the configuration."),
            text("config_save_dir", "Directory that keeps configurations before and after reloads."),
        ),
        *not_supported(
            "reload by a timer unit or by lvsctl, which waits for the result",
            text("reload_time_file", "File that holds the time of a planned reload."),
            flag("reload_repeat", "Keep that file."),
            text(
                "reload_file",
                "File that exists while the configuration is read.",
                bare=True,
                default="keepalived.reload beside the PID file",
            ),
        ),
        *without_effect(
            "lvs-agent writes no files on signals; lvsctl shows its state",
            switch("data_use_instance", "Name of the instance in the files of the dump signal.", default="false"),
            text("state_file_location", "Path of the state that the dump signal writes.", since="2.3"),
            text("stats_file_location", "Path of the counters that the dump signal writes.", since="2.3"),
            text("json_file_location", "Path of the JSON that the dump signal writes.", since="2.3"),
            integer("json_version", 1, 2, "Form of that JSON.", default="1", since="2.3"),
        ),
        *without_effect(
            "lvs-agent offers Prometheus metrics in place of SNMP",
            text("snmp_socket", "Socket of the SNMP agent.", default="unix:/var/agentx/master"),
            flag("enable_snmp_vrrp", "SNMP for VRRP.", aliases=("enable_snmp_keepalived",)),
            flag("enable_snmp_checker", "SNMP for the health checks."),
            flag("enable_snmp_rfc", "SNMP MIBs of RFC 2787 and RFC 6527."),
            flag("enable_snmp_rfcv2", "SNMP MIB of RFC 2787."),
            flag("enable_snmp_rfcv3", "SNMP MIB of RFC 6527."),
            flag("enable_traps", "SNMP traps."),
            seconds(
                "snmp_vs_stats_update_interval",
                0.001,
                30,
                "Shortest time between two readings of a virtual server's counters.",
                default="5",
                since="2.3",
            ),
            seconds(
                "snmp_rs_stats_update_interval",
                0.001,
                30,
                "Shortest time between two readings of a real server's counters.",
                default="5",
                since="2.3",
            ),
        ),
        *without_effect(
            "lvs-agent is asked by lvsctl and its socket, not by D-Bus",
            flag("enable_dbus", "D-Bus interface."),
            name_of("dbus_service_name", "Name of the D-Bus service.", default="org.keepalived.Vrrp1"),
            name_of("dbus_no_interface_name", "Name for no interface in D-Bus paths.", default="none", since="2.3"),
        ),
        text("iproute_usr_dir", "Directory of iproute2's own tables of names.", since="2.3"),
        text("iproute_etc_dir", "Directory of this machine's tables of names.", since="2.3"),
        gone(
            "vrrp_iptables",
            "keepalived 2.2 as packaged has no iptables support; the role opens the firewall itself",
        ),
        gone(
            "vrrp_ipsets",
            "keepalived 2.2 as packaged has no ipset support; the role opens the firewall itself",
        ),
        gone("namespace_with_ipsets", "keepalived 2.2 as packaged has no ipset support"),
        refused("net_namespace", _OUTSIDE),
        refused("net_namespace_ipvs", _OUTSIDE),
        refused("instance", _OUTSIDE),
        refused("use_pid_dir", _OUTSIDE),
        refused("child_wait_time", _OUTSIDE),
        refused("linkbeat_use_polling", _OUTSIDE),
        raw(),
    ),
)
