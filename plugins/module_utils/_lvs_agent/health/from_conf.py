# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that was checked and settled -> the checks of its real servers.

An unset word of a check is its real server's, else its virtual server's, else keepalived's default
(keepalived.conf(5), and the source of 2.2.7 where the page is silent).
"""

from __future__ import annotations

import base64
import decimal
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

from .. import secret_file
from ..conf import address, model, values
from ..conf.merge import blocks, fields, items
from ..conf.problem import BadValue, ConfigurationError, Problem
from ..conf.quoting import split
from ..conf.schema_lvs import CHECKS, REAL_SERVER, VIRTUAL_SERVER
from ..conf.validate import label
from ..script_commands import Commands, RefusedCommand
from ..spawn import GRACE, SECOND
from . import regex
from .http_answer import MOST_KEPT
from .plan import (
    Check,
    CheckId,
    CheckPlan,
    DnsCheck,
    Endpoint,
    FileCheck,
    HttpCheck,
    MiscCheck,
    PingCheck,
    SmtpCheck,
    TcpCheck,
    Timing,
    TlsPlan,
    UdpCheck,
    UrlPlan,
)

Words = Mapping[str, Any]
T = TypeVar("T")

_KINDS = tuple(word.name for word in CHECKS)

_INTERVAL = 60 * SECOND
_TIMEOUT = 5 * SECOND
_RETRIES = {"DNS_CHECK": 3, "MISC_CHECK": 0, "FILE_CHECK": 0}
_RETRY_DELAY = {"HTTP_GET": 3 * SECOND, "SSL_GET": 3 * SECOND}  # DNS_CHECK: the interval
_FILE_INTERVAL = SECOND  # keepalived has no timer for it: it is told of changes
# the words of which a timing is made
_TIMING = (
    "alpha",
    "delay_loop",
    "connect_timeout",
    "delay_before_retry",
    "warmup",
    "deadline",
    "rise",
    "fall",
    "retry",
    "log_all_failures",
)
# how many times a run may wait for connect_timeout: the steps of its protocol
_STEPS = {"TCP_CHECK": 1, "HTTP_GET": 3, "SSL_GET": 5, "SMTP_CHECK": 5, "DNS_CHECK": 2, "UDP_CHECK": 2, "PING_CHECK": 1}
_SMTP_PORT = 25
# RFC 1035 section 3.2.2, RFC 3596 section 2.1
_QTYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}
_PRIVATE_MARKS = 1 << 30  # the marks we give ourselves have this bit, and not the next, which ipvsadm takes for a sign
_MARK_BITS = (1 << 31) - 1


class _Server(NamedTuple):
    """Where words are looked for: a real server, its virtual server, and the whole."""

    real: Words
    virtual: Words
    configuration: Words
    service: str
    name: str
    place: str
    position: int
    commands: Commands
    host_name: str
    shared: dict[Any, Any]  # equal parts of many checks, once in memory and in a pickle
    secret: Callable[[str], str]  # reads a password file

    @property
    def where(self) -> str:
        """As in a problem, for the few that have one."""
        return f"{self.place}.real_server[{label(REAL_SERVER, self.real, self.position)}]"


def service_key(virtual: Words) -> str:
    """A virtual server of a settled configuration as text, in ipvsadm's words: ``TCP 192.0.2.1:80``, ``FWM 5``."""
    if virtual.get("fwmark") is not None:
        family = " IPv6" if virtual.get("ip_family") == "inet6" else ""
        return f"FWM {virtual['fwmark']}{family}"
    protocol = str(virtual.get("protocol", "")).upper()
    if virtual.get("group") is not None:
        return f"{protocol} group {virtual['group']}".strip()
    return f"{protocol} {_host_port(str(address.parse(str(virtual['ip']))), model.whole(virtual.get('port')) or 0)}"


def server_key(real: Words) -> str:
    """A real server of a settled configuration as text: ``192.0.2.10:80``, without a port just the address."""
    port = model.whole(real.get("port"))
    return _host_port(str(real["ip"]), port) if port is not None else str(real["ip"])


def plans(
    configuration: Words,
    commands: Commands,
    host_name: str = "",
    try_tls: Callable[[TlsPlan], str] | None = None,
    read_secret: Callable[[str], str] = secret_file.read,
) -> list[CheckPlan]:
    """The checks of a settled configuration (see conf/settle.py), in its order. Raises ConfigurationError.

    ``host_name`` is this host's, for HELO. ``try_tls`` says what is wrong with the files of SSL_GET on this host, ""
    for nothing; None to look with :mod:`.tls`. ``read_secret`` reads a password file, as :func:`..secret_file.read`.
    """
    found: list[CheckPlan] = []
    problems: list[Problem] = []
    places: dict[CheckId, str] = {}  # of those that use files
    for server in _servers(configuration, commands, host_name or os.uname().nodename, read_secret):
        for kind, number, check in _checks_of(server.real):
            try:
                made = _plans(server, kind, number, check)
            except BadValue as bad:
                problems.append(Problem(f"{server.where}.{kind}", bad.what, bad.instead))
                continue
            if kind == "SSL_GET":
                places.update((plan.id, f"{server.where}.{kind}") for plan in made)
            found += made
    _mark(found)
    problems += _bad_files(found, places, try_tls)
    if problems:
        raise ConfigurationError(problems)
    return found


def _servers(
    configuration: Words, commands: Commands, host_name: str, secret: Callable[[str], str]
) -> Iterator[_Server]:
    shared: dict[Any, Any] = {}
    for number, virtual in enumerate(configuration["virtual_server"]):
        service = service_key(virtual)
        place = f"virtual_server[{label(VIRTUAL_SERVER, virtual, number)}]"
        for position, real in enumerate(blocks(virtual.get("real_server"))):
            name = server_key(real)
            yield _Server(
                *(real, virtual, configuration, service, name, place, position, commands, host_name, shared, secret)
            )


def _checks_of(real: Words) -> Iterator[tuple[str, int, Words]]:
    for kind in [kind for kind in _KINDS if kind in real]:
        for number, check in enumerate(blocks(real[kind])):
            yield kind, number, check


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# ---- one check


def _plans(server: _Server, kind: str, number: int, check: Words) -> list[CheckPlan]:
    """Its plan; several for SMTP_CHECK with host blocks."""
    via_vip = _via_vip(server, kind, check)
    made = _MAKE[kind](server, check, via_vip)
    # host blocks make more checks than the file has: they get ordinals that no other check has
    return [
        CheckPlan(
            CheckId(server.service, server.name, kind, number + extra * len(items(server.real[kind]))),
            _timing(server, kind, check, one),
            one,
            via_vip,
        )
        for extra, one in enumerate(made)
    ]


def _said(server: _Server, check: Words, word: str) -> Any:
    """A word of the check, else of its real server, else of its virtual server; None when nobody has it."""
    for block in (check, server.real, server.virtual):
        value = block.get(word)
        if value is not None:
            return value
    return None


def _once(server: _Server, value: T) -> T:
    return cast(T, server.shared.setdefault(value, value))


def _whole(value: Any, default: int) -> int:
    found = model.whole(value)
    return default if found is None else found


def _ns(value: Any, default: int) -> int:
    """Seconds as the file has them in nanoseconds, exactly."""
    found = values.number(value) if value is not None else None
    return default if found is None else int(decimal.Decimal(found) * SECOND)


def _timing(server: _Server, kind: str, words: Words, check: Check) -> Timing:
    """That of a check. Tens of thousands say the same, and it is worked out once."""
    steps = check.timeout_ns if isinstance(check, MiscCheck) else len(check.urls) if isinstance(check, HttpCheck) else 0
    said = (id(server.virtual), kind, steps, *map(words.get, _TIMING), *map(server.real.get, _TIMING))
    found: Timing | None = server.shared.get(said)
    if found is None:
        found = server.shared[said] = _once(server, _worked_out(server, kind, words, check))
    return found


def _worked_out(server: _Server, kind: str, words: Words, check: Check) -> Timing:
    alpha = model.is_on(_said(server, words, "alpha"))
    if isinstance(check, FileCheck):
        return Timing(_FILE_INTERVAL, _FILE_INTERVAL, _FILE_INTERVAL, 0, _FILE_INTERVAL, 1, 1, alpha)
    interval = _ns(_said(server, words, "delay_loop"), _INTERVAL)
    timeout = _ns(_said(server, words, "connect_timeout"), _TIMEOUT)
    least = _STEPS.get(kind, 1) * timeout
    if isinstance(check, MiscCheck):
        timeout, least = check.timeout_ns, check.timeout_ns + 2 * GRACE
    elif isinstance(check, HttpCheck):
        least *= len(check.urls)
    every = server.configuration["global_defs"].get("checker_log_all_failures")
    return Timing(
        interval_ns=interval,
        timeout_ns=timeout,
        retry_delay_ns=_ns(
            _said(server, words, "delay_before_retry"),
            interval if kind == "DNS_CHECK" else _RETRY_DELAY.get(kind, SECOND),
        ),
        warmup_ns=_ns(_said(server, words, "warmup"), interval),
        deadline_ns=_ns(_said(server, words, "deadline"), max(interval, least)),
        rise=_whole(_said(server, words, "rise"), 1),
        fall=_fall(server, kind, words),
        alpha=alpha,
        log_all_failures=model.is_on(words.get("log_all_failures", every)),
    )


def _fall(server: _Server, kind: str, words: Words) -> int:
    """The innermost of ``fall`` and ``retry`` counts, ``fall`` when a block has both."""
    for block in (words, server.real, server.virtual):
        if block.get("fall") is not None:
            return _whole(block["fall"], 1)
        if block.get("retry") is not None:
            return _whole(block["retry"], 0) + 1
    return _RETRIES.get(kind, 1) + 1


# ---- where to


def _via_vip(server: _Server, kind: str, check: Words) -> bool:
    if not model.is_on(_said(server, check, "check_via_vip")) or kind in ("MISC_CHECK", "FILE_CHECK", "PING_CHECK"):
        return False
    if server.virtual.get("ip") is None:
        raise BadValue("check_via_vip needs a virtual server with one ip and a port", "remove it here, or write them")
    if check.get("connect_ip") is not None:
        raise BadValue("check_via_vip checks the VIP, connect_ip another address", "remove one of them")
    if model.method(server.real, "lvs_method", model.method(server.virtual, "lb_kind")) == "NAT":
        raise BadValue("check_via_vip is for DR and TUN; with NAT a real server has no VIP", "remove it")
    if server.real.get("resolve") is not None:
        raise BadValue("check_via_vip and resolve do not go together", "remove one of them")
    return True


def _endpoint(
    server: _Server, check: Words, via_vip: bool, host: Words | None = None, port: int | None = None
) -> Endpoint:
    """Where a check goes, its ``host`` block first; ``port`` when nobody says one, 0 for a check without ports."""
    host = host or {}
    to = server.virtual["ip"] if via_vip else host.get("connect_ip", check.get("connect_ip", server.real["ip"]))
    target = address.parse(str(to))
    source = address.try_parse(host.get("bindto", check.get("bindto")))
    interface = str(check.get("bind_if", ""))
    if port != 0:
        port = model.whole(host.get("connect_port", check.get("connect_port"))) or port
        port = port or model.whole(server.real.get("port")) or model.whole(server.virtual.get("port"))
        if not port:
            raise BadValue("there is no port to check", "write connect_port")
    scoped = target.version == 6 and target.is_link_local
    if scoped and not interface:
        raise BadValue(f"{target} is a link-local address, without an interface", "write bind_if")
    return Endpoint(
        family=target.version,
        address=target.packed,
        port=port or 0,
        interface=interface if scoped else "",
        source=source.packed if source is not None else b"",
        source_port=_whole(check.get("bind_port"), 0),
        source_interface=interface if source is not None and source.version == 6 and source.is_link_local else "",
        fwmark=_whole(check.get("fwmark"), 0),
        via=address.parse(str(server.real["ip"])).packed if via_vip else b"",
    )


def _mark(found: list[CheckPlan]) -> None:
    """Give each server that is checked through its VIP a mark, the same after each reload but for rare collisions."""
    marks: dict[tuple[str, str], int] = {}
    taken = {plan.check.endpoint.fwmark for plan in found if hasattr(plan.check, "endpoint")}
    for place, plan in enumerate(found):
        if not plan.via_vip or isinstance(plan.check, (MiscCheck, FileCheck)):
            continue
        key = (plan.id.service, plan.id.server)
        if key not in marks:
            mark = zlib.crc32(" ".join(key).encode()) & _MARK_BITS | _PRIVATE_MARKS
            while mark in taken:
                mark = (mark + 1) & _MARK_BITS | _PRIVATE_MARKS
            marks[key] = mark
            taken.add(mark)
        endpoint = replace(plan.check.endpoint, fwmark=marks[key])
        found[place] = replace(plan, check=replace(plan.check, endpoint=endpoint))


# ---- what is asked


def _tcp(server: _Server, check: Words, via_vip: bool) -> list[Check]:
    return [TcpCheck(_endpoint(server, check, via_vip))]


def _http(server: _Server, check: Words, via_vip: bool, tls: TlsPlan | None = None) -> list[Check]:
    urls = _once(server, tuple(_url(server, check, url, tls) for url in blocks(check.get("url"))))
    protocol = str(check.get("http_protocol", "1.0"))
    return [HttpCheck(_endpoint(server, check, via_vip), urls, protocol, tls)]


def _https(server: _Server, check: Words, via_vip: bool) -> list[Check]:
    files = fields(server.configuration.get("SSL"))
    verify = model.is_on(check.get("tls_verify"))
    if check.get("tls_ca_file") is not None and not verify:
        raise BadValue("tls_ca_file is of no use without tls_verify", "add tls_verify, or remove it")
    tls = TlsPlan(
        verify=verify,
        ca_file=str(check.get("tls_ca_file", files.get("ca", ""))) if verify else "",
        certificate=str(files.get("certificate", "")),
        key=str(files.get("key", "")),
        password=str(files.get("password", "")),
        compliant=any(model.is_on(block.get("tls_compliant")) for block in (check, *blocks(check.get("url")))),
    )
    return _http(server, check, via_vip, tls)


def _url(server: _Server, check: Words, url: Words, tls: TlsPlan | None) -> UrlPlan:
    host = str(url.get("virtualhost", _said(server, check, "virtualhost") or ""))
    options = regex.flags(split(str(url["regex_options"]))) if url.get("regex_options") is not None else 0
    pattern = str(url.get("regex", ""))
    if pattern:
        regex.tried(pattern, options)
    if _whole(url.get("regex_min_offset"), 0) >= MOST_KEPT:
        what = f"regex_min_offset {url['regex_min_offset']} is behind the first {MOST_KEPT} bytes, which are searched"
        raise BadValue(what, f"write a number below {MOST_KEPT}")
    name = ""
    if tls is not None:
        asked = model.is_on(check.get("enable_sni")) or tls.verify
        name = str(check.get("sni_name", _name_of(host) if asked else ""))
    return UrlPlan(
        path=str(url["path"]),
        host=host,
        statuses=_statuses(url.get("status_code")),
        digest=bytes.fromhex(str(url.get("digest", ""))),
        regex=pattern,
        regex_flags=options,
        regex_no_match=model.is_on(url.get("regex_no_match")),
        min_offset=_whole(url.get("regex_min_offset"), 0),
        max_offset=model.whole(url.get("regex_max_offset")),
        server_name=name,
        method=str(url.get("http_method", "GET")),
        headers=tuple(" ".join(split(str(line))) for line in items(url.get("http_header"))),
        authorization=_authorization(server, url),
    )


def _authorization(server: _Server, url: Words) -> str:
    """HTTP Basic authentication (RFC 7617), "" for none."""
    if url.get("http_user") is None:
        return ""
    path = str(url.get("http_password_file", ""))
    key = ("password", path)
    if key not in server.shared:
        try:
            server.shared[key] = server.secret(path)
        except secret_file.BadSecret as bad:
            raise BadValue(f"http_password_file {path}: {bad.what}", bad.instead) from bad
    pair = f"{url['http_user']}:{server.shared[key]}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _name_of(host: str) -> str:
    """A Host header without its port; "" for an address, which is no TLS server name (RFC 6066 section 3)."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return "" if address.try_parse(name.strip("[]")) is not None else name


@lru_cache(maxsize=256)
def _statuses(said: Any) -> tuple[tuple[int, int], ...]:
    ranges = (word.partition("-") for word in split(str(said if said is not None else "200-299")))
    return tuple((int(low), int(high or low)) for low, _dash, high in ranges)


def _smtp(server: _Server, check: Words, via_vip: bool) -> list[Check]:
    said = server.configuration["global_defs"].get("smtp_helo_name", server.host_name)
    name = str(check.get("helo_name", said))
    hosts = blocks(check.get("host"))
    if not hosts:
        return [SmtpCheck(_endpoint(server, check, via_vip), name)]
    return [SmtpCheck(_endpoint(server, check, via_vip, host, _SMTP_PORT), name) for host in hosts]


def _dns(server: _Server, check: Words, via_vip: bool) -> list[Check]:
    qtype = _QTYPES[str(check.get("type", "SOA")).upper()]
    return [DnsCheck(_endpoint(server, check, via_vip), str(check.get("name", ".")), qtype)]


def _udp(server: _Server, check: Words, via_vip: bool) -> list[Check]:
    said = check.get("require_reply")
    # true alone: any answer will do
    pattern = "" if said is None or isinstance(said, bool) else str(said).upper()
    return [
        UdpCheck(
            _endpoint(server, check, via_vip),
            payload=_hexadecimal(str(check.get("payload", ""))),
            require_reply=said is not None and said is not False,
            reply=_hexadecimal(pattern.replace("X", "0")),
            mask=_hexadecimal("".join(c if c.isspace() else "0" if c == "X" else "F" for c in pattern)),
            min_reply=_whole(check.get("min_reply_length"), 0),
            max_reply=_whole(check.get("max_reply_length"), 255),
        )
    ]


def _hexadecimal(said: str) -> bytes:
    """keepalived's HEX_STR: each word from its left, two digits a byte, the last alone: ``Ab12f 3`` is AB 12 0F 03."""
    return bytes(int(word[place : place + 2], 16) for word in split(said) for place in range(0, len(word), 2))


def _ping(server: _Server, check: Words, via_vip: bool) -> list[Check]:
    return [PingCheck(_endpoint(server, check, via_vip, port=0))]


def _misc(server: _Server, check: Words, _via_vip: bool) -> list[Check]:
    interval = _ns(_said(server, check, "delay_loop"), _INTERVAL)
    timeout = _whole(check.get("misc_timeout"), 0) * SECOND or interval
    dynamic = model.is_on(check.get("misc_dynamic"))
    try:
        command = server.commands.command(str(check["misc_path"]), str(check.get("user", "")))
    except RefusedCommand as reason:
        return [MiscCheck(None, timeout, dynamic, f"{check['misc_path']} is not run: {reason}")]
    return [MiscCheck(command, timeout, dynamic)]


def _file(server: _Server, check: Words, _via_vip: bool) -> list[Check]:
    name = str(check["track_file"])
    files = [block for block in server.configuration["track_file"] if str(block.get("name")) == name]
    if not files:
        raise BadValue(f"there is no track_file {name}", "write one at the top level of the file")
    said = check.get("weight", files[0].get("weight"))
    weight = split(str(said)) if said is not None else ["1"]
    init = files[0].get("init_file")
    words = split(str(init)) if init is not None and not isinstance(init, bool) else []
    number = int(words[0]) if words and words[0] != "overwrite" else 0
    return [
        FileCheck(
            name=name,
            path=str(files[0]["file"]),
            weight=int(weight[0]),
            reverse=weight[1:] == ["reverse"],
            dynamic=model.is_on(check.get("dynamic")),
            init=None if init is None or init is False else number,
            overwrite="overwrite" in words,
        )
    ]


_MAKE: Mapping[str, Callable[[_Server, Words, bool], list[Check]]] = {
    "TCP_CHECK": _tcp,
    "HTTP_GET": _http,
    "SSL_GET": _https,
    "SMTP_CHECK": _smtp,
    "DNS_CHECK": _dns,
    "UDP_CHECK": _udp,
    "PING_CHECK": _ping,
    "MISC_CHECK": _misc,
    "FILE_CHECK": _file,
}


# ---- files


def _bad_files(
    found: list[CheckPlan], places: Mapping[CheckId, str], try_tls: Callable[[TlsPlan], str] | None
) -> list[Problem]:
    """One that cannot be used would take all its servers down: an error, before anything changes."""
    used: dict[TlsPlan, CheckId] = {}
    for plan in found:
        if isinstance(plan.check, HttpCheck) and plan.check.tls is not None:
            used.setdefault(plan.check.tls, plan.id)
    if used and try_tls is None:
        # costs memory and time that only they need who have such checks
        from .tls import trial

        try_tls = trial
    wrong = [(key, try_tls(tls)) for tls, key in used.items()] if try_tls is not None else []
    return [Problem(places[key], what) for key, what in wrong if what]
