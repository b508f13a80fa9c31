# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins, TLS and headers of our own words: what is told of a file, and the way from an inventory and back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.merge import merge
from _lvs_agent.conf.read import file_problems, read_text
from _lvs_agent.conf.render import render

GOOD_MAIL = (
    "@lvs_agent smtp_tls starttls",
    "@lvs_agent smtp_user lvs",
    "@lvs_agent smtp_password_file /etc/keepalived/smtp",
)
GOOD_PAGE = ("@lvs_agent http_user probe", "@lvs_agent http_password_file /etc/keepalived/probe")
HEADER = "@lvs_agent http_header {}"


def told(mail: tuple[str, ...] = GOOD_MAIL, page: tuple[str, ...] = GOOD_PAGE) -> list[str]:
    text = f"""\
global_defs {{
notification_email {{
a@example.com
}}
smtp_server mail.example
{chr(10).join(mail)}
}}
virtual_server 192.0.2.100 80 {{
delay_loop 6
lb_algo rr
lb_kind DR
protocol TCP
real_server 192.0.2.11 80 {{
HTTP_GET {{
url {{
path /
{chr(10).join(page)}
}}
}}
}}
}}
"""
    return [str(one) for one in file_problems(read_text(text))]


def test_good_ones_are_good() -> None:
    assert told() == []
    assert told(mail=("@lvs_agent smtp_tls implicit", "@lvs_agent smtp_tls_ca_file /etc/ssl/mine.pem"), page=()) == []


MAIL = "global_defs"
PAGE = "virtual_server[192.0.2.100:80].real_server[192.0.2.11:80].HTTP_GET.url"


@pytest.mark.parametrize(
    "mail, expected",
    [
        (GOOD_MAIL[:2], f"{MAIL}.smtp_user: smtp_password_file is missing; write it, or remove smtp_user"),
        (GOOD_MAIL[::2], f"{MAIL}.smtp_password_file: smtp_user is missing; write it, or remove smtp_pass"),
        (GOOD_MAIL[1:], "the password would go to the mail server in clear text; write smtp_tls starttls or"),
        (("@lvs_agent smtp_tls_ca_file /x",), f"{MAIL}.smtp_tls_ca_file: it is of no use without smtp_tls"),
        (("smtp_tls starttls",), "keepalived has no smtp_tls; write @lvs_agent smtp_tls"),
        (("@lvs_agent smtp_tls ssl",), "starttls"),
    ],
)
def test_mail(mail: tuple[str, ...], expected: str) -> None:
    found = told(mail=mail)
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    "page, expected",
    [
        (GOOD_PAGE[:1], f"{PAGE}.http_user: http_password_file is missing"),
        (GOOD_PAGE[1:], f"{PAGE}.http_password_file: http_user is missing"),
        (("@lvs_agent http_user a:b", GOOD_PAGE[1]), "a user of Basic authentication has no colon"),
        (("@lvs_agent http_method HEAD", "regex ok"), "an answer to HEAD has no body, and regex is for the body"),
        (("@lvs_agent http_method HEAD", "digest " + "0" * 32), "an answer to HEAD has no body, and digest is"),
        (("@lvs_agent http_method TRACE",), "'TRACE'"),
        ((HEADER.format("X-Probe"),), "'X-Probe' is no header; write NAME: VALUE"),
        ((HEADER.format('"X Probe: yes"'),), "'X Probe' cannot be the name of a header"),
        ((HEADER.format('": yes"'),), "'' cannot be the name of a header"),
        ((HEADER.format('"X-Probe: grün"'),), "the value of X-Probe has characters that no header can have"),
        ((HEADER.format("Host: www.example"),), "Host is not for the configuration to say: the check does; write"),
        ((HEADER.format("Content-Length: 5"),), "Content-Length is not for the configuration to say"),
        ((HEADER.format("upgrade: h2c"),), "upgrade is not for the configuration to say"),
        ((HEADER.format("Authorization: Bearer x"),), "warning"),
        ((*GOOD_PAGE, HEADER.format('"authorization: Basic x"')), "the header Authorization is what http_user makes"),
        (("http_header X-Probe: yes",), "keepalived has no http_header; write @lvs_agent http_header"),
        (("@lvs_agent http_header",), "http_header has no value; write it behind the keyword, once a line"),
        (("http_user probe", GOOD_PAGE[1]), "keepalived has no http_user; write @lvs_agent http_user"),
    ],
)
def test_pages(page: tuple[str, ...], expected: str) -> None:
    found = told(page=page)
    assert any(expected in one for one in found), found


def inventory() -> dict[str, Any]:
    url = {
        "path": "/health",
        "http_method": "POST",
        "http_header": ["X-Probe: yes; no", "Accept: text/plain"],
        "http_user": "probe",
        "http_password_file": "/etc/keepalived/probe",
    }
    real = {"ip": "192.0.2.11", "port": 80, "HTTP_GET": {"url": url}}
    virtual = {"ip": "192.0.2.100", "port": 80, "protocol": "TCP", "lb_algo": "rr", "lb_kind": "DR"}
    mail = {
        "notification_email": ["a@example.com"],
        "smtp_server": "192.0.2.25 587",
        "smtp_tls": "starttls",
        "smtp_user": "lvs",
        "smtp_password_file": "/etc/keepalived/smtp",
    }
    servers = [{**virtual, "real_server": [real]}]
    return merge({"director_global_defs": mail, "director_virtual_servers": servers})


def test_from_an_inventory_and_back() -> None:
    text = render(inventory())
    parsed = read_text(text)
    assert [str(one) for one in file_problems(parsed) if one.severity == "error"] == []
    (virtual,) = parsed.configuration["virtual_server"]
    url = virtual["real_server"][0]["HTTP_GET"][0]["url"][0]
    assert url["http_method"] == "POST"
    assert [line.strip('"') for line in url["http_header"]] == ["X-Probe: yes; no", "Accept: text/plain"]
    assert render(parsed.configuration) == text


@pytest.mark.host
def test_keepalived_passes_over_them(tmp_path: Path) -> None:
    path = tmp_path / "keepalived.conf"
    path.write_text(render(inventory()), encoding="utf-8")
    done = subprocess.run(
        ["keepalived", "-t", "-f", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"/etc/keepalived/smtp": "s3cret"}, []),
        ("s3cret", ["director_password_files (a): it is no mapping; write PATH: TEXT, one a line"]),
        ({"smtp": "s3cret"}, ["[smtp] (a): it is no absolute path of a file; write /etc/keepalived/NAME"]),
        ({"/etc/keepalived/smtp": 5}, ["/smtp] (a): the password is no text; write it in quotes"]),
        ({"/etc/keepalived/smtp": ""}, ["the password is not one line of 1 to 1024 bytes; write it on one line"]),
        ({"/etc/keepalived/smtp": "s3cret\n"}, ["the password is not one line of 1 to 1024 bytes"]),
        ({"/etc/keepalived/smpt": "s3cret"}, ["/smpt] (a): no word of keepalived.conf names this file; write it"]),
    ],
)
def test_the_roles_files(files: object, expected: list[str]) -> None:
    instance = {"name": "V", "interface": "eth0", "virtual_router_id": 5, "virtual_ipaddress": ["192.0.2.100"]}
    words = inventory()["global_defs"]
    variables = {
        "ansible_host": "192.0.2.1",
        "director_global_defs": words,
        "director_vrrp_instances": [instance],
        "director_password_files": files,
    }
    found = [str(one) for one in site_problems({"a": variables}, {}) if "password_files" in one.where]
    assert len(found) == len(expected), found
    for one, part in zip(found, expected):
        assert part in one
    assert "s3cret" not in " ".join(found)


def test_a_script_file_has_an_absolute_path() -> None:
    variables = {"ansible_host": "192.0.2.1", "director_script_files": {"announce": "", "/etc/keepalived/good": ""}}
    (found,) = [str(one) for one in site_problems({"a": variables}, {}) if "script_files" in one.where]
    assert found == (
        "director_script_files[announce] (a): it is no absolute path of a file; write /etc/keepalived/NAME"
    )
