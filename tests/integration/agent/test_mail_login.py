# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail over TLS with a login, to aiosmtpd with a certificate of openssl's."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_loop import run_until

from _lvs_agent.notify.mail import Mail, MailPlan, MailQueue, MailResult
from _lvs_agent.spawn import Spawner

SERVER = Path(__file__).parent / "mail_server.py"
PASSWORD = "s3cret with blanks"


@dataclasses.dataclass
class Server:
    """The program, and the certificate that is its own authority."""

    process: subprocess.Popen[str]
    port: int
    certificate: Path

    def ended(self) -> list[str]:
        """End it: what it took."""
        self.process.terminate()
        return self.process.communicate(timeout=20)[0].splitlines()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "mail.pem"
    words = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    names = ("-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(tmp_path / "mail.key"), "-out", str(path))
    subprocess.run(["openssl", "req", *words, *names, *files], check=True, capture_output=True, timeout=60)
    return path


@pytest.fixture
def serve(certificate: Path) -> Iterator[Callable[[str], Server]]:
    started: list[Server] = []

    def start(kind: str) -> Server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        argv = [kind, str(port), str(certificate), str(certificate.with_suffix(".key")), "lvs", PASSWORD]
        process = subprocess.Popen(["/usr/bin/python3", str(SERVER), *argv], stdout=subprocess.PIPE, text=True)
        started.append(Server(process, port, certificate))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(20)
        if one.process.stdout is not None:
            one.process.stdout.close()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def sent(monkeypatch: pytest.MonkeyPatch, server: Server, kind: str, **words: Any) -> MailResult:
    monkeypatch.setattr("_lvs_agent.notify.mail._ATTEMPTS", 1)
    spawner, results = Spawner(), list[MailResult]()
    mails = MailQueue(spawner, results.append)
    plan = MailPlan("127.0.0.1", server.port, "k@example.com", ("a@example.com",), "helo.example", "R", 5, tls=kind)
    mails.configure(dataclasses.replace(plan, **{"tls_ca_file": str(server.certificate), **words}))
    mails.add(Mail("VRRP Instance V1 - Entering MASTER state", "text"))
    run_until([spawner, mails], mails.idle, 60)
    (result,) = results
    spawner.close()
    return result


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_a_login(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[str], Server], password_file: Path, kind: str
) -> None:
    server = serve(kind)
    result = sent(monkeypatch, server, kind, user="lvs", password_file=str(password_file))
    assert (result.ok, result.how) == (True, f"sent by 127.0.0.1 port {server.port}")
    assert server.ended() == ["lvs: Subject: VRRP Instance V1 - Entering MASTER state"]


def test_a_wrong_password(monkeypatch: pytest.MonkeyPatch, serve: Callable[[str], Server], password_file: Path) -> None:
    password_file.write_text("other\n", encoding="utf-8")
    server = serve("starttls")
    result = sent(monkeypatch, server, "starttls", user="lvs", password_file=str(password_file))
    assert not result.ok
    assert "535 5.7.8 Authentication credentials invalid" in result.how
    assert "other" not in result.how
    assert server.ended() == []


def test_a_password_that_all_may_read_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[str], Server], password_file: Path
) -> None:
    password_file.chmod(0o644)
    server = serve("starttls")
    result = sent(monkeypatch, server, "starttls", user="lvs", password_file=str(password_file))
    assert "its mode is 0644: all users may read or write it" in result.how
    assert server.ended() == []


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_a_certificate_of_nobody(monkeypatch: pytest.MonkeyPatch, serve: Callable[[str], Server], kind: str) -> None:
    """Without tls_ca_file the system's authorities decide, and they do not know this one."""
    server = serve(kind)
    result = sent(monkeypatch, server, kind, tls_ca_file="")
    assert "certificate verify failed" in result.how
    assert server.ended() == []


def test_no_login_where_the_server_wants_one(monkeypatch: pytest.MonkeyPatch, serve: Callable[[str], Server]) -> None:
    server = serve("starttls")
    assert "530 5.7.0 Authentication required" in sent(monkeypatch, server, "starttls").how
    assert "530 Must issue a STARTTLS command first" in sent(monkeypatch, server, "").how
    assert server.ended() == []


def test_a_server_without_tls(monkeypatch: pytest.MonkeyPatch, serve: Callable[[str], Server]) -> None:
    """What listens speaks TLS from its first byte, and STARTTLS was asked for; and the other way round."""
    server = serve("starttls")
    result = sent(monkeypatch, server, "implicit")
    assert "WRONG_VERSION_NUMBER" in result.how or "wrong version number" in result.how
