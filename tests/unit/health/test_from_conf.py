# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file -> its checks, with keepalived's defaults and from whom an unset word is inherited."""

from __future__ import annotations

import base64
import pickle
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.read import file_problems, read_text
from _lvs_agent.conf.script import Account, Component
from _lvs_agent.conf.settle import settle
from _lvs_agent.health import from_conf
from _lvs_agent.health.http import request
from _lvs_agent.health.plan import (
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
from _lvs_agent.script_commands import Commands

S = 1_000_000_000


def account(user: str, group: str) -> Account | None:
    return {"root": Account(0, 0)}.get(user)


def components(path: str) -> list[Component]:
    return [Component("/", 0o40755), Component(path, 0o100777 if "open" in path else 0o100755)]


COMMANDS = Commands("root", True, account=account, components=components)


def packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def plans(text: str, try_tls: Any = lambda _plan: "") -> list[CheckPlan]:
    parsed = read_text(text)
    assert not [str(one) for one in file_problems(parsed) if one.severity == "error"]
    found = from_conf.plans(settle(parsed.configuration), COMMANDS, "director.example", try_tls)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own
    assert len({plan.id for plan in found}) == len(found)
    return found


def file(check: str, real: str = "", virtual: str = "", top: str = "", server: str = "10.0.0.10 8080") -> str:
    return (
        f"{top}\nvirtual_server 192.0.2.1 80 {{\n protocol TCP\n lb_kind NAT\n {virtual}\n"
        f" real_server {server} {{\n {real}\n {check}\n }}\n}}\n"
    )


def only(check: str, real: str = "", virtual: str = "", top: str = "", server: str = "10.0.0.10 8080") -> CheckPlan:
    (found,) = plans(file(check, real, virtual, top, server))
    return found


def problem(text: str, **more: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        plans(text, **more)
    return str(error.value)


HERE = Endpoint(4, packed("10.0.0.10"), 8080)


def test_defaults() -> None:
    found = only("TCP_CHECK {\n}")
    assert found == CheckPlan(
        CheckId("TCP 192.0.2.1:80", "10.0.0.10:8080", "TCP_CHECK", 0),
        Timing(60 * S, 5 * S, 1 * S, 60 * S, 60 * S, 1, 2, False, False),
        TcpCheck(HERE),
    )
    assert str(found.id) == "TCP_CHECK of 10.0.0.10:8080 of TCP 192.0.2.1:80"


@pytest.mark.parametrize(
    "check, fall, retry_delay, deadline",
    [
        ("HTTP_GET {\n url {\n path /\n }\n }", 2, 3, 15),
        ("HTTP_GET {\n url {\n path /a\n }\n url {\n path /b\n }\n }", 2, 3, 30),
        ("SSL_GET {\n url {\n path /\n }\n }", 2, 3, 25),
        ("SMTP_CHECK {\n }", 2, 1, 25),
        ("DNS_CHECK {\n }", 4, 7, 10),
        ("UDP_CHECK {\n }", 2, 1, 10),
        ("PING_CHECK {\n }", 2, 1, 7),
        ('MISC_CHECK {\n misc_path "/bin/true"\n misc_timeout 20\n }', 1, 1, 24),
    ],
)
def test_defaults_of_each_kind(check: str, fall: int, retry_delay: int, deadline: int) -> None:
    timing = only(check, virtual="delay_loop 7").timing
    assert (timing.fall, timing.retry_delay_ns, timing.deadline_ns) == (fall, retry_delay * S, deadline * S)


@pytest.mark.parametrize("word, field", [("delay_loop", "interval_ns"), ("connect_timeout", "timeout_ns")])
def test_the_innermost_word_counts(word: str, field: str) -> None:
    check = f"TCP_CHECK {{\n {word} 3\n}}"
    assert getattr(only("TCP_CHECK {\n}", virtual=f"{word} 1.5").timing, field) == 1.5 * S
    assert getattr(only("TCP_CHECK {\n}", f"{word} 2", f"{word} 1.5").timing, field) == 2 * S
    assert getattr(only(check, f"{word} 2", f"{word} 1.5").timing, field) == 3 * S


def test_all_timers() -> None:
    words = (
        "delay_loop 2\n connect_timeout 0.25\n retry 4\n delay_before_retry 0.5\n warmup 0\n alpha\n log_all_failures"
    )
    own = "@lvs_agent rise 3\n @lvs_agent deadline 1.5"
    assert only(f"TCP_CHECK {{\n {words}\n {own}\n }}").timing == Timing(
        2 * S, S // 4, S // 2, 0, 3 * S // 2, 3, 5, True, True
    )
    assert only("TCP_CHECK {\n}", top="global_defs {\n checker_log_all_failures true\n}").timing.log_all_failures


def test_fall_and_retry() -> None:
    assert only("TCP_CHECK {\n}", "retry 5", "@lvs_agent fall 2").timing.fall == 6
    assert only("TCP_CHECK {\n @lvs_agent fall 2\n}", "retry 5").timing.fall == 2
    assert only("TCP_CHECK {\n}", "retry 5\n @lvs_agent fall 3").timing.fall == 3


def test_alpha_can_be_taken_back() -> None:
    assert only("TCP_CHECK {\n}", virtual="alpha").timing.alpha
    assert not only("TCP_CHECK {\n alpha false\n}", virtual="alpha").timing.alpha


def test_where_to_and_from() -> None:
    words = "connect_ip 10.9.9.9\n connect_port 81\n bindto 10.0.0.2\n bind_port 1000\n fwmark 5"
    assert only(f"TCP_CHECK {{\n {words}\n}}").check == TcpCheck(
        Endpoint(4, packed("10.9.9.9"), 81, source=packed("10.0.0.2"), source_port=1000, fwmark=5)
    )
    words = "connect_ip fe80::9\n bindto fe80::1\n bind_if eth1"
    assert only(f"TCP_CHECK {{\n {words}\n}}").check == TcpCheck(
        Endpoint(6, packed("fe80::9"), 8080, "eth1", packed("fe80::1"), source_interface="eth1")
    )
    assert "link-local address, without an interface; write bind_if" in problem(
        file("TCP_CHECK {\n connect_ip fe80::9\n}")
    )
    assert only("PING_CHECK {\n}").check == PingCheck(Endpoint(4, packed("10.0.0.10"), 0))


def test_names_of_services_and_servers() -> None:
    text = """
virtual_server_group web {
 192.0.2.7 80
}
virtual_server fwmark 5 {
 lb_kind DR
 real_server 2001:db8::1 80 {
  TCP_CHECK {
   connect_port 80
  }
 }
}
virtual_server group web {
 protocol TCP
 lb_kind DR
 real_server 10.0.0.1 80 {
  TCP_CHECK {
  }
  TCP_CHECK {
   connect_port 81
  }
 }
}
virtual_server 2001:db8::5 53 {
 protocol UDP
 lb_kind NAT
 real_server 2001:db8::1 53 {
  UDP_CHECK {
  }
 }
}
"""
    assert [tuple(plan.id) for plan in plans(text)] == [
        ("FWM 5", "2001:db8::1", "TCP_CHECK", 0),
        ("TCP group web", "10.0.0.1:80", "TCP_CHECK", 0),
        ("TCP group web", "10.0.0.1:80", "TCP_CHECK", 1),
        ("UDP [2001:db8::5]:53", "[2001:db8::1]:53", "UDP_CHECK", 0),
    ]


# ---- what is asked


def test_pages() -> None:
    urls = """
 url {
  path /a
  status_code 200 300-301
  digest 9b3a0c85a887a256d6939da88aabd8cd
  virtualhost own.example:81
 }
 url {
  path "/b c"
  regex "up (time|to)"
  regex_options caseless multiline
  regex_no_match
  regex_min_offset 5
  regex_max_offset 50
 }"""
    found = only(f"HTTP_GET {{\n http_protocol 1.1\n {urls}\n}}", virtual="virtualhost www.example").check
    assert isinstance(found, HttpCheck)
    assert (found.endpoint, found.protocol, found.tls) == (HERE, "1.1", None)
    assert found.urls == (
        UrlPlan("/a", "own.example:81", ((200, 200), (300, 301)), bytes.fromhex("9b3a0c85a887a256d6939da88aabd8cd")),
        UrlPlan(
            "/b c",
            "www.example",
            regex="up (time|to)",
            regex_flags=re.IGNORECASE | re.MULTILINE,
            regex_no_match=True,
            min_offset=5,
            max_offset=50,
        ),
    )


def test_virtual_hosts() -> None:
    url = "url {\n path /\n }"

    def host(check: str, real: str = "", virtual: str = "") -> str:
        found = only(f"HTTP_GET {{\n {check}\n {url}\n}}", real, virtual).check
        assert isinstance(found, HttpCheck)
        return found.urls[0].host

    assert host("") == ""
    assert host("", "", "virtualhost v") == "v"
    assert host("", "virtualhost r", "virtualhost v") == "r"
    assert host("virtualhost c", "virtualhost r", "virtualhost v") == "c"


def tls(words: str, top: str = "") -> tuple[TlsPlan | None, str]:
    found = only(f"SSL_GET {{\n virtualhost www.example:443\n {words}\n url {{\n path /\n }}\n}}", top=top).check
    assert isinstance(found, HttpCheck)
    return found.tls, found.urls[0].server_name


def test_tls() -> None:
    files = "SSL {\n password p\n ca /ca.pem\n certificate /c.pem\n key /k.pem\n}"
    own = TlsPlan(certificate="/c.pem", key="/k.pem", password="p")
    assert tls("") == (TlsPlan(), "")
    # keepalived verifies nothing, whatever its ca
    assert tls("", files) == (own, "")
    assert tls("enable_sni") == (TlsPlan(), "www.example")
    assert tls("sni_name other.example") == (TlsPlan(), "other.example")
    assert tls("@lvs_agent tls_verify") == (TlsPlan(verify=True), "www.example")
    assert tls("@lvs_agent tls_verify", files)[0] == TlsPlan(True, "/ca.pem", "/c.pem", "/k.pem", "p")
    assert tls("@lvs_agent tls_verify\n @lvs_agent tls_ca_file /my.pem", files)[0] == TlsPlan(
        True, "/my.pem", "/c.pem", "/k.pem", "p"
    )
    assert tls("tls_compliant")[0] == TlsPlan(compliant=True)


def test_problems_with_tls() -> None:
    ssl_get = "SSL_GET {\n @lvs_agent tls_ca_file /ca.pem\n url {\n path /\n }\n}"
    assert "tls_ca_file is of no use without tls_verify; add tls_verify, or remove it" in problem(file(ssl_get))
    text = file("SSL_GET {\n @lvs_agent tls_verify\n url {\n path /\n }\n}", top="SSL {\n ca /nowhere/ca.pem\n}")
    assert "tls_ca_file /nowhere/ca.pem cannot be read: No such file or directory" in problem(text, try_tls=None)


def test_regular_expressions_that_cannot_be() -> None:
    found = problem(file("HTTP_GET {\n url {\n path /\n regex x\n regex_min_offset 131072\n }\n}"))
    assert "regex_min_offset 131072 is behind the first 131072 bytes" in str(found)
    found = problem(file('HTTP_GET {\n url {\n path /\n regex "[[:alpha:]]"\n }\n}'))
    assert found.startswith("virtual_server[192.0.2.1:80].real_server[10.0.0.10:8080].HTTP_GET: Python's regular")
    assert "firstline is not supported" in problem(
        file("HTTP_GET {\n url {\n path /\n regex x\n regex_options firstline\n }\n}")
    )


def test_mail() -> None:
    assert only("SMTP_CHECK {\n}").check == SmtpCheck(HERE, "director.example")
    assert only("SMTP_CHECK {\n helo_name a.example\n}").check == SmtpCheck(HERE, "a.example")
    assert only("SMTP_CHECK {\n}", top="global_defs {\n smtp_helo_name b.example\n}").check == SmtpCheck(
        HERE, "b.example"
    )


def test_mail_hosts_are_checks_of_their_own() -> None:
    text = file(
        """SMTP_CHECK {
 fwmark 7
 host {
 }
 host {
  connect_ip 10.0.0.11
  connect_port 2525
  bindto 10.0.0.2
 }
}
SMTP_CHECK {
}"""
    )
    found = plans(text)
    assert [plan.id.ordinal for plan in found] == [0, 2, 1]
    assert [plan.check for plan in found] == [
        SmtpCheck(Endpoint(4, packed("10.0.0.10"), 25, fwmark=7), "director.example"),
        SmtpCheck(Endpoint(4, packed("10.0.0.11"), 2525, source=packed("10.0.0.2"), fwmark=7), "director.example"),
        SmtpCheck(HERE, "director.example"),
    ]


def test_names_and_datagrams() -> None:
    assert only("DNS_CHECK {\n}").check == DnsCheck(HERE, ".", 6)
    assert only("DNS_CHECK {\n type aaaa\n name www.example\n}").check == DnsCheck(HERE, "www.example", 28)
    assert only("UDP_CHECK {\n}").check == UdpCheck(HERE)
    assert only("UDP_CHECK {\n require_reply\n}").check == UdpCheck(HERE, require_reply=True)
    words = "payload Ab12f 3 456\n require_reply aX 1xF\n min_reply_length 2\n max_reply_length 20"
    assert only(f"UDP_CHECK {{\n {words}\n}}").check == UdpCheck(
        HERE, bytes.fromhex("ab120f034506"), True, bytes.fromhex("a0100f"), bytes.fromhex("f0f00f"), 2, 20
    )


def test_programs() -> None:
    found = only('MISC_CHECK {\n misc_path "/bin/check -x"\n misc_dynamic\n}', virtual="delay_loop 4").check
    assert isinstance(found, MiscCheck)
    assert found.command is not None
    assert (found.command.argv, found.timeout_ns, found.dynamic, found.refused) == (
        ("/bin/check", "-x"),
        4 * S,
        True,
        "",
    )
    found = only("MISC_CHECK {\n misc_path /bin/open\n}").check
    assert isinstance(found, MiscCheck)
    assert found.command is None
    assert "/bin/open is not run: " in found.refused


def test_files() -> None:
    top = "track_file load {\n file /run/load\n weight 3\n init_file 7 overwrite\n}"
    found = only("FILE_CHECK {\n track_file load\n}", top=top)
    assert found.check == FileCheck("load", "/run/load", 3, init=7, overwrite=True)
    assert found.timing == Timing(S, S, S, 0, S, 1, 1)
    assert only("FILE_CHECK {\n track_file load\n weight -2 reverse\n dynamic\n}", top=top).check == FileCheck(
        "load", "/run/load", -2, True, True, 7, True
    )


# ---- through the VIP


def test_checks_through_the_vip() -> None:
    text = """
virtual_server 192.0.2.1 80 {
 protocol TCP
 lb_kind DR
 @lvs_agent check_via_vip
 real_server 10.0.0.1 80 {
  TCP_CHECK {
  }
  PING_CHECK {
  }
 }
 real_server 10.0.0.2 80 {
  TCP_CHECK {
  }
  HTTP_GET {
   url {
    path /
   }
  }
 }
}
"""
    found = plans(text)
    assert [plan.via_vip for plan in found] == [True, False, True, True]
    ends = [plan.check.endpoint for plan in found if not isinstance(plan.check, (MiscCheck, FileCheck))]
    assert [end.address for end in ends] == [packed(one) for one in ("192.0.2.1", "10.0.0.1", "192.0.2.1", "192.0.2.1")]
    # a mark for each server, the same the next time
    first, none, second, again = (end.fwmark for end in ends)
    assert first != second == again
    assert (none, first >> 30, second >> 30) == (0, 1, 1)
    assert [end.via for end in ends] == [packed("10.0.0.1"), b"", packed("10.0.0.2"), packed("10.0.0.2")]
    assert plans(text) == found


@pytest.mark.parametrize(
    "check, virtual, what",
    [
        ("TCP_CHECK {\n @lvs_agent check_via_vip\n}", "", "with NAT a real server has no VIP"),
        (
            "TCP_CHECK {\n @lvs_agent check_via_vip\n connect_ip 10.0.0.9\n}",
            "lb_kind DR",
            "check_via_vip checks the VIP, connect_ip another address",
        ),
    ],
)
def test_checks_that_cannot_go_through_the_vip(check: str, virtual: str, what: str) -> None:
    text = file(check, virtual=virtual, server="10.0.0.10 80")
    if virtual:
        text = text.replace("lb_kind NAT\n", "")
    assert what in problem(text)


URL = "HTTP_GET {{\n url {{\n  path /\n{}\n }}\n}}"


def test_a_page_with_method_headers_and_login(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open:sesame\n", encoding="utf-8")
    secret.chmod(0o600)
    words = (
        "  @lvs_agent http_method HEAD\n"
        '  @lvs_agent http_header "X-Probe: yes;  no"\n  @lvs_agent http_header Accept: text/plain\n'
        f"  @lvs_agent http_user aladdin\n  @lvs_agent http_password_file {secret}"
    )
    check = only(URL.format(words)).check
    assert isinstance(check, HttpCheck)
    (url,) = check.urls
    assert (url.method, url.headers) == ("HEAD", ("X-Probe: yes;  no", "Accept: text/plain"))
    # RFC 7617: the password may have a colon
    assert url.authorization == f"Basic {base64.b64encode(b'aladdin:open:sesame').decode()}"
    assert "sesame" not in repr(check)
    assert url.authorization not in repr(check)
    lines = request(check, url).decode().split("\r\n")
    assert lines[0] == "HEAD / HTTP/1.0"
    assert {"X-Probe: yes;  no", "Accept: text/plain", f"Authorization: {url.authorization}"} < set(lines)


def test_a_page_as_keepalived_asks_for_it() -> None:
    check = only(URL.format("")).check
    assert isinstance(check, HttpCheck)
    expected = "GET / HTTP/1.0\r\nUser-Agent: lvs-agent\r\nHost: 10.0.0.10:8080\r\n\r\n"
    assert request(check, check.urls[0]).decode() == expected


def test_a_post_has_a_length_and_a_user_agent_may_be_another() -> None:
    words = "@lvs_agent http_method POST\n@lvs_agent http_header User-Agent: mine"
    check = only(URL.format(words)).check
    assert isinstance(check, HttpCheck)
    lines = request(check, check.urls[0]).decode().split("\r\n")
    assert lines == ["POST / HTTP/1.0", "Host: 10.0.0.10:8080", "Content-Length: 0", "User-Agent: mine", "", ""]


def test_a_password_file_that_cannot_be_used_is_an_error() -> None:
    words = "@lvs_agent http_user a\n@lvs_agent http_password_file /nowhere/password"
    with pytest.raises(ConfigurationError) as refused:
        only(URL.format(words))
    (problem,) = refused.value.problems
    assert problem.what == "http_password_file /nowhere/password: it cannot be read: No such file or directory"
