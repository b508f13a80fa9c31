# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP_GET, SSL_GET and SMTP_CHECK against nginx, OpenSSL and aiosmtpd; keepalived's genhash says the digest."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scheduled_check import checked, here

from _lvs_agent.health.plan import HttpCheck, SmtpCheck, TlsPlan, UrlPlan

pytestmark = pytest.mark.root

NGINX = """
daemon off;
worker_processes 1;
pid {place}/pid;
error_log {place}/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log {place}/access.log combined;
    log_format asked '$ssl_server_name|$http_host|$http_user_agent|$server_protocol|$http_connection|$request_uri';
    client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3;
    uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;
    server {{
        listen 127.0.0.1:{port};
        root {place}/www;
        access_log {place}/asked asked;
        location /503 {{ return 503 down; }}
        location /moved {{ return 301 /; }}
        location /chunked {{ ssi on; ssi_types *; alias {place}/www/chunked.html; }}
        location /gone {{ return 444; }}
        location /secret {{
            auth_basic "the directors";
            auth_basic_user_file {place}/users;
            alias {place}/www/index.html;
        }}
        location /header {{ if ($http_x_probe != "yes; no") {{ return 403; }} return 200; }}
        location /method {{ return 200 $request_method; }}
    }}
{servers}
}}
"""
TLS_SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl;
        root {place}/www;
        access_log {place}/asked asked;
        ssl_certificate {place}/{name}.pem;
        ssl_certificate_key {place}/{name}.key;
        {more}
    }}
"""
PAGE = b"status: OK\nuptime: 12 days\n" + bytes(range(256)) * 400
CERTIFICATES = ("good", "expired", "wrongname", "selfsigned", "mutual")


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _number in range(number)]
        return [int(one.getsockname()[1]) for one in opened]


def openssl(place: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True, timeout=60)


def certificate(place: Path, name: str, san: str, *more: str) -> None:
    """A key and a certificate, of the authority ``ca`` unless it signs itself."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")
    openssl(
        place,
        "req",
        "-x509",
        *key,
        "-out",
        f"{name}.pem",
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName={san}",
        *more,
    )


def expired(place: Path, name: str, san: str) -> None:
    """A certificate of the day before yesterday; openssl 3.0's x509 only knows days from now, its ca both ends."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")
    openssl(place, "req", "-new", *key, "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (place / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n"
        f"x509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName={san}\n"
    )
    (place / "index.txt").touch()
    (place / "serial").write_text("77\n")
    ends = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
    signing = ("-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-batch", "-notext")
    openssl(place, "ca", *signing, *ends, "-in", f"{name}.csr", "-out", f"{name}.pem")


@dataclasses.dataclass
class Web:
    """nginx: its directory, and the port of each of its servers."""

    place: Path
    ports: dict[str, int]

    def asked(self) -> list[str]:
        """The last request: TLS server name, Host, User-Agent, version, Connection, path."""
        deadline = time.monotonic() + 10
        while not (lines := (self.place / "asked").read_text().splitlines()) and time.monotonic() < deadline:
            time.sleep(0.01)
        (self.place / "asked").write_text("")
        return lines[-1].split("|")

    def get(self, *paths: str, protocol: str = "1.0", **words: Any) -> HttpCheck:
        return HttpCheck(here(self.ports["plain"]), tuple(UrlPlan(one, **words) for one in paths or ("/",)), protocol)

    def ssl(self, name: str, server_name: str = "", **words: Any) -> HttpCheck:
        return HttpCheck(here(self.ports[name]), (UrlPlan("/", server_name=server_name),), "1.1", TlsPlan(**words))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    place = tmp_path_factory.mktemp("nginx")
    place.parent.chmod(0o755)
    (place / "www").mkdir()
    (place / "www/index.html").write_bytes(PAGE)
    (place / "www/chunked.html").write_bytes(PAGE)
    (place / "www/empty").touch()
    certificate(place, "ca", "DNS:ca", "-days", "30")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30")
    certificate(place, "good", "DNS:www.example,IP:127.0.0.1", *signed)
    certificate(place, "wrongname", "DNS:other.example", *signed)
    certificate(place, "mutual", "DNS:www.example,IP:127.0.0.1", *signed)
    certificate(place, "client", "DNS:client", *signed)
    certificate(place, "selfsigned", "DNS:www.example", "-days", "30")
    expired(place, "expired", "DNS:www.example")
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "pass:Wörd"], check=True, capture_output=True, text=True, timeout=30
    )
    (place / "users").write_text(f"lvs:{hashed.stdout}")
    names = ("plain", *CERTIFICATES)
    ports = dict(zip(names, free_ports(len(names))))
    more = {"mutual": f"ssl_verify_client on; ssl_client_certificate {place}/ca.pem;"}
    servers = "".join(
        TLS_SERVER.format(place=place, port=ports[name], name=name, more=more.get(name, "")) for name in CERTIFICATES
    )
    (place / "conf").write_text(NGINX.format(place=place, port=ports["plain"], servers=servers))
    # as root it would become another user, who cannot read the directory
    command = ["nginx", "-p", str(place), "-c", str(place / "conf"), "-g", "user root;" if os.geteuid() == 0 else ""]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            wait_for(ports["selfsigned"], process)
            yield Web(place, ports)
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    process.kill()
    pytest.fail(f"the server does not answer: {process.stderr.read() if process.stderr else ''!r}")


def genhash(web: Web, path: str, protocol: str = "1.0") -> bytes:
    """The digest of a page as keepalived counts it."""
    command = ["genhash", "-s", "127.0.0.1", "-p", str(web.ports["plain"]), "-u", path, "-P", protocol]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return bytes.fromhex(done.stdout.split()[-1])


# ---- HTTP_GET


@pytest.mark.parametrize("protocol", ["1.0", "1.0C", "1.1"])
def test_a_page(web: Web, protocol: str) -> None:
    ended = checked(web.get("/", protocol=protocol))
    assert (ended.ok, ended.why) == (True, "")
    port = web.ports["plain"]
    close = "-" if protocol == "1.0" else "close"
    assert web.asked() == ["-", f"127.0.0.1:{port}", "lvs-agent", f"HTTP/{protocol[:3]}", close, "/"]
    assert checked(web.get("/", protocol=protocol, host="www.example")).ok
    assert web.asked()[1] == "www.example"


def test_status_codes(web: Web) -> None:
    assert checked(web.get("/503")).why == "status 503, expected 200-299"
    assert checked(web.get("/503", statuses=((200, 200), (500, 503)))).ok
    assert checked(web.get("/moved", statuses=((200, 200), (404, 405)))).why == "status 301, expected 200 404-405"
    assert checked(web.get("/nowhere")).why == "status 404, expected 200-299"
    assert checked(web.get("/gone")).why == "the connection was closed before anything came"


@pytest.mark.parametrize("protocol", ["1.0", "1.1"])
@pytest.mark.parametrize("path", ["/", "/empty", "/chunked"])
def test_the_digest_is_that_of_genhash(web: Web, path: str, protocol: str) -> None:
    digest = genhash(web, path, protocol)
    # keepalived's reads a page in chunks with their sizes; so does ours, besides its own way
    ended = checked(web.get(path, protocol=protocol, digest=digest))
    assert (ended.ok, ended.why) == (True, "")
    wrong = checked(web.get(path, protocol=protocol, digest=bytes(16)))
    assert wrong.why.startswith("the page's MD5 is ")
    ours = bytes.fromhex(wrong.why.split()[4].rstrip(","))
    assert checked(web.get(path, protocol=protocol, digest=ours)).ok
    if not (path == "/chunked" and protocol == "1.1"):
        assert ours == digest


def test_regular_expressions(web: Web) -> None:
    for path in ("/", "/chunked"):
        assert checked(web.get(path, protocol="1.1", regex="OK\nuptime: [0-9]+ days")).ok
    assert checked(web.get(regex="down")).why == "the page does not match down"
    assert checked(web.get(regex="OK", regex_no_match=True)).why == "the page matches OK"
    assert checked(web.get(regex="down", regex_no_match=True)).ok
    assert checked(web.get(regex="OK", min_offset=9)).why == "the page does not match OK"
    assert checked(web.get(regex="OK", max_offset=8)).ok


def test_several_pages(web: Web) -> None:
    assert checked(web.get("/", "/empty", "/chunked", "/")).ok
    assert checked(web.get("/", "/503", "/")).why == "/503: status 503, expected 200-299"


# ---- SSL_GET


@pytest.mark.parametrize("name", ["good", "expired", "wrongname", "selfsigned"])
def test_without_verification_any_certificate_will_do(web: Web, name: str) -> None:
    ended = checked(web.ssl(name))
    assert (ended.ok, ended.why) == (True, "")
    assert web.asked()[0] == "-"


@pytest.mark.parametrize(
    "name, server_name, why",
    [
        ("good", "www.example", ""),
        ("good", "", ""),  # by its address
        ("good", "nobody.example", "Hostname mismatch, certificate is not valid for 'nobody.example'."),
        ("expired", "www.example", "certificate has expired"),
        ("wrongname", "www.example", "Hostname mismatch, certificate is not valid for 'www.example'."),
        ("wrongname", "", "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        ("selfsigned", "www.example", "self-signed certificate"),
    ],
)
def test_verification(web: Web, name: str, server_name: str, why: str) -> None:
    ended = checked(web.ssl(name, server_name, verify=True, ca_file=str(web.place / "ca.pem")))
    assert (ended.ok, ended.why) == (not why, f"the certificate is not good: {why}" if why else "")


def test_the_systems_authorities_do_not_know_ours(web: Web) -> None:
    why = "the certificate is not good: unable to get local issuer certificate"
    assert checked(web.ssl("good", "www.example", verify=True)).why == why


def test_the_server_name_that_is_sent(web: Web) -> None:
    assert checked(web.ssl("selfsigned", "sni.example")).ok
    assert web.asked()[0] == "sni.example"


def test_a_certificate_of_ours(web: Web) -> None:
    assert checked(web.ssl("mutual")).why == "status 400, expected 200-299"
    files = {"certificate": str(web.place / "client.pem"), "key": str(web.place / "client.key")}
    ended = checked(web.ssl("mutual", **files))
    assert (ended.ok, ended.why) == (True, "")


def test_the_wrong_protocol(web: Web) -> None:
    plain = dataclasses.replace(web.get("/"), tls=TlsPlan())
    assert checked(plain).why == "the server does not speak TLS on this port"
    # nginx sees what it is, and says so in HTTP
    assert checked(dataclasses.replace(web.ssl("good"), tls=None)).why == "status 400, expected 200-299"


@pytest.mark.parametrize("compliant", [False, True])
def test_the_end_of_a_connection(compliant: bool, web: Web, tmp_path: Path) -> None:
    """openssl tells whether a close_notify alert came."""
    (port,) = free_ports(1)
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-msg", "-naccept", "2"]
    files = ["-cert", str(web.place / "good.pem"), "-key", str(web.place / "good.key")]
    with subprocess.Popen([*command, *files], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        wait_for(port, process)
        check = HttpCheck(here(port), (UrlPlan("/"),), "1.0", TlsPlan(compliant=compliant))
        ended = checked(check)
        output = process.communicate(timeout=20)[0].decode()
    assert (ended.ok, ended.why) == (True, "")
    came = [line for line in output.splitlines() if line.startswith("<<<") and "close_notify" in line]
    assert bool(came) is compliant, output


def authorized(user: str, password: str) -> UrlPlan:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return UrlPlan("/secret", authorization=f"Basic {pair}")


def test_a_page_for_those_who_log_in(web: Web) -> None:
    """nginx judges: RFC 7617 with a colon and UTF-8 in the password."""
    plain = here(web.ports["plain"])
    good = checked(HttpCheck(plain, (authorized("lvs", "pass:Wörd"),)))
    assert (good.ok, good.why) == (True, "")
    for url in (authorized("lvs", "other"), authorized("nobody", "pass:Wörd"), UrlPlan("/secret")):
        assert checked(HttpCheck(plain, (url,))).why == "status 401, expected 200-299"


def test_a_page_that_wants_a_header(web: Web) -> None:
    assert checked(web.get("/header", headers=("X-Probe: yes; no",))).ok
    assert checked(web.get("/header")).why == "status 403, expected 200-299"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("protocol", ["1.0", "1.1"])
def test_methods(web: Web, method: str, protocol: str) -> None:
    begun = time.monotonic()
    word = {} if method == "HEAD" else {"regex": f"^{method}$"}
    ended = checked(web.get("/method", protocol=protocol, method=method, **word))
    assert (ended.ok, ended.why) == (True, "")
    # HEAD's answer has a Content-Length and no body: nobody waits for it
    assert checked(web.get("/", protocol=protocol, method="HEAD")).ok
    assert time.monotonic() - begun < 4


# ---- SMTP_CHECK


@pytest.fixture(scope="module")
def mail() -> Iterator[int]:
    (port,) = free_ports(1)
    command = ["/usr/bin/python3", "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def test_a_mail_server(mail: int, web: Web) -> None:
    ended = checked(SmtpCheck(here(mail), "director.example"))
    assert (ended.ok, ended.why) == (True, "")
    refused = checked(SmtpCheck(here(mail), ""))
    assert refused.why.startswith("'501 Syntax: HELO hostname' came as the answer to HELO, expected 250")
    wrong = checked(SmtpCheck(here(web.ports["plain"]), "director.example"), timeout_s=0.5)
    assert wrong.why == "no answer within 0.5 s: connected, the greeting did not come"
    http = checked(dataclasses.replace(web.get("/"), endpoint=here(mail)))
    assert http.why.startswith("it does not speak HTTP: '220 ")
