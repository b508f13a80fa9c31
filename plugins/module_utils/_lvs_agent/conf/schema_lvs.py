# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the virtual server blocks.

Source: keepalived.conf(5) of 2.2.7; ranges as ``keepalived -t`` enforces them.
"""

from __future__ import annotations

import dataclasses

from .words import (
    BLOCKS,
    REGEX,
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
    script,
    seconds,
    switch,
    text,
    without_effect,
    words,
)

UINT = 4294967295
LONGEST = 4294.967295  # keepalived's limit of a timeout in seconds
ALGORITHMS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos")
METHODS = ("NAT", "DR", "TUN")
NO_BFD = "watch the neighbour by a vrrp_script, or use short advert intervals; lvs-agent has no BFD"
_SNMP = "lvs-agent offers Prometheus metrics in place of SNMP"
_NO_TLS = "HTTP_GET speaks no TLS; SSL_GET does"
_NO_VIA_VIP = "the VIP is checked by TCP_CHECK, HTTP_GET, SSL_GET, SMTP_CHECK, DNS_CHECK and UDP_CHECK only"

VIRTUAL_SERVER_GROUP = Block(
    "virtual_server_group",
    (
        text("name", "Name, for C(group) of a virtual server.", required=True, key=True),
        lines(
            "entries",
            "group_entry",
            "Addresses and ports (C(192.0.2.1 80)), ranges (C(192.0.2.1-10 80), C(192.0.2.8/29 80)) or C(fwmark 5).",
            required=True,
        ),
    ),
    lines="entries",
)


def _timer_words(lowest_retry: int) -> tuple[Word, ...]:
    """The words a virtual server, its real servers and their checks share; the inner one wins."""
    return (
        seconds(
            "delay_loop",
            0.000001,
            18446744073709,
            "Seconds between two checks.",
            default="60",
        ),
        seconds("connect_timeout", 0.000001, LONGEST, "Seconds a check waits.", default="5"),
        integer(
            "retry",
            lowest_retry,
            UINT,
            "Failures after the first before a server is down.",
            aliases=("nb_get_retry",),
            default="1; DNS_CHECK 3; MISC_CHECK 0",
            outdated=("nb_get_retry",),
        ),
        seconds(
            "delay_before_retry",
            0,
            LONGEST,
            "Seconds before each such retry.",
            default="1; HTTP_GET and SSL_GET 3; DNS_CHECK delay_loop",
        ),
        seconds(
            "warmup",
            0,
            18446744073709,
            "Most seconds the first check is put off at random; 0 for none.",
            default="delay_loop",
        ),
    )


def _own_check_words() -> tuple[Word, ...]:
    """Our own words of a check, which its real server and virtual server may have as its default."""
    return (
        integer("rise", 1, 1000, "Successes in a row before a server is up.", own=True, default="1"),
        integer(
            "fall",
            1,
            1000,
            "Failures in a row before a server is down, in place of retry.",
            own=True,
            default="retry and the first failure",
        ),
        seconds(
            "deadline",
            0.001,
            LONGEST,
            "Most seconds one run of a check may take, all its steps together.",
            own=True,
            default="none",
        ),
        flag("check_via_vip", "Check the VIP through the real server, as its clients' packets go with DR.", own=True),
    )


def _check(name: str, *own: Word) -> Word:
    """A check that connects: the common words and its own."""
    return _any_check(name, _endpoint_words(), _check_timers(), *own)


def _endpoint_words() -> tuple[Word, ...]:
    """Where to and where from."""
    return (
        address("connect_ip", "Address to check.", default="the real server's address"),
        integer("connect_port", 1, 65535, "Port to check.", default="the real server's port"),
        address("bindto", "Source address."),
        name_of("bind_if", "Source interface, for a link-local bindto."),
        integer("bind_port", 1, 65535, "Source port."),
        integer("fwmark", 0, UINT, "Firewall mark of the check's packets."),
    )


def _check_timers() -> tuple[Word, ...]:
    """The timers, the start mode and the logging of a check."""
    return (
        *_timer_words(0),
        switch("alpha", "Down until the first success.", default="false"),
        switch("log_all_failures", "Log each failure while up.", default="false"),
        *_own_check_words(),
    )


def _idle(reason: str, found: tuple[Word, ...], *names: str) -> tuple[Word, ...]:
    """Those of the words that these names have are without effect here."""
    return tuple(without_effect(reason, word)[0] if word.name in names else word for word in found)


def _without_via_vip(found: tuple[Word, ...]) -> tuple[Word, ...]:
    """For a check whose packets IPVS does not bring to its server, or that sends none."""
    return tuple(
        not_supported(_NO_VIA_VIP, word)[0] if word.name == "check_via_vip" else word
        for word in found
    )


def _any_check(name: str, *parts: Word | tuple[Word, ...]) -> Word:
    flat: list[Word] = []
    for part in parts:
        flat += part if isinstance(part, tuple) else (part,)
    doc = f"Check of the kind {name}; a list when there are several."
    return Word(name, BLOCKS, doc, block=Block(name, tuple(flat)))


URL = Block(
    "url",
    (
        text("path", "Path of the page.", required=True),
        words(
            "status_code",
            "status_code",
            "Good status codes and ranges, as in C(200-299 404).",
            aliases=("status",),
            default="200-299",
            outdated=("status",),
        ),
        text("digest", "MD5 of the page, 32 hexadecimal digits."),
        text("virtualhost", "Host header."),
        choice("http_method", ("GET", "HEAD", "OPTIONS", "POST"), "Method of the request.", own=True, default="GET"),
        lines("http_header", "http_header", "More headers, as in C(Accept: text/plain), one a line.", own=True),
        text("http_user", "User for HTTP Basic authentication; needs http_password_file.", own=True),
        text(
            "http_password_file",
            "File with the password of http_user on its first line, which others may not read.",
            own=True,
        ),
        Word("regex", REGEX, "Regular expression the page must match."),
        flag("regex_no_match", "The page must not match."),
        words("regex_options", "any", "Options of the regular expression, as in C(caseless multiline)."),
        *without_effect(
            "Python's regular expressions need no stack; a search has 0.1 s of CPU time",
            words("regex_stack", "any", "First and largest stack in bytes.", unit="bytes"),
        ),
        integer("regex_min_offset", 0, UINT, "First byte to look at.", unit="bytes"),
        integer("regex_max_offset", 0, UINT, "Last byte to start a match at.", unit="bytes"),
        flag("tls_compliant", "End TLS connections with a close_notify alert.", since="2.3"),
    ),
)

_HTTP = (
    text("virtualhost", "Host header."),
    choice("http_protocol", ("1.0", "1.0C", "1.1"), "HTTP version; 1.0C is 1.0 with Connection: close.", default="1.0"),
    *without_effect(
        "lvs-agent asks for all URLs in each run, without delay",
        switch("fast_recovery", "No delay between several URLs at start and recovery.", default="false"),
    ),
    switch("enable_sni", "Send the virtual host as TLS server name.", default="false"),
    text("sni_name", "Send this as TLS server name.", since="2.4"),
    flag("tls_compliant", "End TLS connections with a close_notify alert.", since="2.3"),
    Word("url", BLOCKS, "The pages to fetch.", block=URL, required=True),
)
_PLAIN_URL = dataclasses.replace(URL, words=_idle(_NO_TLS, URL.words, "tls_compliant"))
_PLAIN_HTTP = (
    *_idle(_NO_TLS, _HTTP[:-1], "enable_sni", "sni_name", "tls_compliant"),
    dataclasses.replace(_HTTP[-1], block=_PLAIN_URL),
)

_TLS = (
    flag("tls_verify", "The certificate must be valid, for the TLS server name or the address.", own=True),
    text(
        "tls_ca_file",
        "File of the certificate authorities for tls_verify.",
        own=True,
        default="ca of SSL, or else the system's",
    ),
)

_HOST = Block(
    "host",
    (
        address("connect_ip", "Address to check.", default="the real server's address"),
        integer("connect_port", 1, 65535, "Port to check.", default="25"),
        address("bindto", "Source address."),
    ),
)

CHECKS: tuple[Word, ...] = (
    _check("TCP_CHECK"),
    _check("HTTP_GET", *_PLAIN_HTTP),
    _check("SSL_GET", *_HTTP, *_TLS),
    _check(
        "SMTP_CHECK",
        text("helo_name", "Name in HELO.", default="smtp_helo_name"),
        Word("host", BLOCKS, "Other addresses to check (keepalived's old form).", block=_HOST),
    ),
    _check(
        "DNS_CHECK",
        choice(
            "type",
            ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"),
            "Kind of query.",
            any_case=True,
            default="SOA",
        ),
        name_of("name", "Name to ask for.", default="."),
    ),
    _check(
        "UDP_CHECK",
        words("payload", "hex", "Bytes to send, in hexadecimal."),
        words(
            "require_reply",
            "hex_mask",
            "An answer must come; true, or its bytes in hexadecimal, X for any digit.",
            bare=True,
        ),
        integer("min_reply_length", 0, 65535, "Fewest bytes of the answer.", default="0", unit="bytes"),
        integer("max_reply_length", 0, 65535, "Most bytes of the answer.", default="255", unit="bytes"),
    ),
    _any_check(
        "PING_CHECK",
        _idle("ICMP has no ports", _endpoint_words(), "connect_port", "bind_port"),
        _without_via_vip(_check_timers()),
    ),
    _any_check(
        "MISC_CHECK",
        script("misc_path", "Command line; exit status 0 is success.", required=True),
        integer("misc_timeout", 0, 4294, "Seconds the command may take.", default="delay_loop", unit="s"),
        flag("misc_dynamic", "The exit status sets the weight."),
        words("user", "user", "User, and optionally group, to run it as."),
        _without_via_vip(tuple(word for word in _check_timers() if word.name != "connect_timeout")),
    ),
    *not_supported(
        NO_BFD,
        _any_check("BFD_CHECK", name_of("name", "Name of a bfd_instance.", required=True)),
    ),
    _any_check(
        "FILE_CHECK",
        name_of("track_file", "Name of a track_file.", required=True),
        words("weight", "file_weight", "Factor of the number in the file, optionally followed by reverse."),
        flag("dynamic", "The number in the file changes the weight and the quorum.", since="2.2.8"),
    ),
)

REAL_SERVER = Block(
    "real_server",
    (
        words(
            "ip",
            "servers",
            "Address, or a range such as C(192.0.2.1-10). A variable can name a host of the inventory instead.",
            required=True,
            key=True,
        ),
        integer("port", 0, 65535, "Port.", key=True, default="the virtual server's port"),
        integer("weight", 0, 2147483647, "Share of the connections; 0 takes no new ones.", default="1"),
        words(
            "lvs_method",
            "method",
            "Forwarding, when it differs from the virtual server's lb_kind.",
            aliases=("lb_kind",),
            default="the virtual server's",
            outdated=("lb_kind",),
        ),
        integer("uthreshold", 0, 65535, "Most connections at a time; 0 for no limit.", default="0", unit="connections"),
        integer(
            "lthreshold", 0, 65535, "Connections at which it takes new ones again.", default="0", unit="connections"
        ),
        switch("inhibit_on_failure", "Weight 0, not removal, on failure.", default="false"),
        *_timer_words(1),
        switch("alpha", "Down until the first success.", default="false"),
        script("notify_up", "Run when it is up."),
        script("notify_down", "Run when it is down."),
        switch("smtp_alert", "Send mail on a change."),
        text("virtualhost", "Default Host header of its checks."),
        *without_effect(_SNMP, text("snmp_name", "Name in SNMP.")),
        seconds("slow_start", 0, 86400, "Seconds in which a server's weight grows after it came up.", own=True),
        words(
            "resolve",
            "resolve",
            "DNS name whose address it has, optionally with the seconds between two look-ups (30);"
            " the address written counts until the first answer.",
            own=True,
        ),
        *_own_check_words(),
        *CHECKS,
        raw(),
    ),
)

VIRTUAL_SERVER = Block(
    "virtual_server",
    (
        address("ip", "The VIP. One of ip, fwmark and group is needed.", key=True),
        integer("port", 0, 65535, "Port; 0 or none for all ports, with persistence only.", key=True),
        integer("fwmark", 1, UINT, "Firewall mark, in place of ip and port.", key=True),
        text("group", "A name of director_virtual_server_groups, in place of ip and port.", key=True),
        choice("lb_algo", ALGORITHMS, "Scheduler.", aliases=("lvs_sched",), default="wlc"),
        words(
            "lb_kind",
            "method",
            "Forwarding, NAT, DR or TUN with its options.",
            aliases=("lvs_method",),
            default="NAT",
        ),
        choice(
            "protocol",
            ("TCP", "UDP", "SCTP"),
            "Transport protocol. Not there, it means TCP in the role's variables and UDP in a file.",
            any_case=True,
        ),
        choice("ip_family", ("inet", "inet6"), "Family of a fwmark service with tunnelled servers.", default="inet"),
        integer(
            "persistence_timeout",
            1,
            2678400,
            "Seconds a client sticks to a server; 0 is off, true is keepalived's 6 minutes.",
            bare=True,
            zero_is_off=True,
            default="360 when it stands alone",
            unit="s",
        ),
        name_of(
            "persistence_granularity",
            "Netmask (IPv4) or prefix length (IPv6) of the clients that stick together.",
        ),
        choice("persistence_engine", ("sip",), "Persistence engine."),
        *_timer_words(1),
        flag("ops", "One-packet scheduling, UDP only."),
        flag("flag-1", "First flag of the scheduler."),
        flag("flag-2", "Second flag of the scheduler."),
        flag("flag-3", "Third flag of the scheduler."),
        flag("sh-port", "Scheduler sh: hash the port too."),
        flag("sh-fallback", "Scheduler sh: another server for one that is down."),
        flag("mh-port", "Scheduler mh: hash the port too."),
        flag("mh-fallback", "Scheduler mh: another server for one that is down."),
        flag("ha_suspend", "No checks while the VIP is not here."),
        switch("alpha", "Servers are down until their first success.", default="false"),
        switch("omega", "Run the down scripts at stop.", default="false"),
        integer("quorum", 1, UINT, "Weight that must be alive.", default="1"),
        integer("hysteresis", 0, UINT, "Tolerance of the quorum, below it.", default="0"),
        script("quorum_up", "Run when the quorum is reached."),
        script("quorum_down", "Run when the quorum is lost."),
        switch("inhibit_on_failure", "Weight 0, not removal, on failure.", default="false"),
        integer("weight", 1, 65535, "Default weight of its servers.", default="1"),
        switch("smtp_alert", "Send mail on a change of quorum."),
        text("virtualhost", "Default Host header of the checks."),
        *without_effect(_SNMP, text("snmp_name", "Name in SNMP.")),
        words(
            "depool_floor",
            "floor",
            "Number or percentage of real servers that stay in the pool whatever their checks say.",
            own=True,
            default="0",
        ),
        seconds("slow_start", 0, 86400, "Seconds in which a server's weight grows after it came up.", own=True),
        flag("keep_other_servers", "Real servers that somebody else added to it in the kernel stay.", own=True),
        switch(
            "lvs_master_only",
            "In the kernel's IPVS table only while an instance that holds its address is MASTER here; checks go on.",
            own=True,
            default="that of global_defs",
        ),
        *_own_check_words(),
        words(
            "sorry_server",
            "sorry_server",
            "Address, and optionally port, that serves when the quorum is lost.",
        ),
        flag("sorry_server_inhibit", "inhibit_on_failure for the sorry server."),
        choice(
            "sorry_server_check",
            ("TCP_CHECK", "PING_CHECK"),
            "Check the sorry server too; while it is down, the real servers that are up go on serving.",
            own=True,
        ),
        words("sorry_server_lvs_method", "method", "Forwarding to the sorry server."),
        Word("real_server", BLOCKS, "The real servers.", block=REAL_SERVER, required=True),
        gone("nat_mask", "NAT has used the address itself since Linux 2.4; keepalived 2 has no such word"),
        raw(),
    ),
)
