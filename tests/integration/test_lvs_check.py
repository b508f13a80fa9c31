# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs-check, which scripts of VRRP run, against nginx, HAProxy and processes; restarts by a systemctl of this test."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/director/files/lvs_check.py"
NGINX = """\
daemon off; worker_processes 1; pid {place}/pid; error_log {place}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3;
    uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "status: OK"; }}
        location /down {{ return 503; }}
        location /moved {{ return 302 /; }}
        location /named {{ if ($http_host != "www.example") {{ return 404; }} return 204; }}
        location /gone {{ return 444; }}
    }}
}}
"""
HAPROXY = """\
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend stats
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
backend good
    server a 127.0.0.1:{port} check inter 100
    server b 127.0.0.1:{closed} check inter 100
backend bad
    server c 127.0.0.1:{closed} check inter 100
backend unchecked
    server d 127.0.0.1:{closed}
"""


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _number in range(number)]
        return [int(one.getsockname()[1]) for one in opened]


def check(*words: object, path: str = "") -> tuple[int, str]:
    """Its status and its line."""
    done = subprocess.run(
        ["/usr/bin/python3", "-I", str(PROGRAM), *map(str, words)],
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr or done.returncode == 2, done.stderr
    return done.returncode, done.stdout.strip()


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def ports() -> list[int]:
    """nginx, HAProxy's statistics, and one that nobody has."""
    return free_ports(3)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, ports: list[int]) -> Iterator[str]:
    place = tmp_path_factory.mktemp("nginx")
    (place / "conf").write_text(NGINX.format(place=place, port=ports[0]))
    root = "user root;" if os.geteuid() == 0 else ""
    with running(["nginx", "-p", str(place), "-c", str(place / "conf"), "-g", root], ports[0]):
        yield f"http://127.0.0.1:{ports[0]}"


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory: pytest.TempPathFactory, ports: list[int], nginx: str) -> Iterator[str]:
    assert nginx
    path = tmp_path_factory.mktemp("haproxy") / "conf"
    path.write_text(HAPROXY.format(port=ports[0], stats=ports[1], closed=ports[2]))
    with running(["haproxy", "-db", "-f", str(path)], ports[1]):
        yield f"http://127.0.0.1:{ports[1]}/stats"


def test_a_port(nginx: str, ports: list[int]) -> None:
    assert nginx
    assert check("port", "127.0.0.1", ports[0]) == (0, "")
    assert check("port", "127.0.0.1", ports[2]) == (1, f"port {ports[2]} of 127.0.0.1: Connection refused")


def test_a_process(nginx: str, ports: list[int]) -> None:
    assert nginx
    assert ports
    assert check("process", "nginx") == (0, "")
    assert check("process", "ngin") == (1, "no process ngin runs")


def test_a_name_that_the_kernel_cuts(tmp_path: Path) -> None:
    path = tmp_path / "a (long) name of a program"
    path.symlink_to("/usr/bin/sleep")
    process = subprocess.Popen([str(path), "20"])
    try:
        assert check("process", path.name) == (0, "")
    finally:
        process.kill()
    deadline = time.monotonic() + 10
    # dead and not collected: no process any more
    while check("process", path.name) == (0, "") and time.monotonic() < deadline:
        time.sleep(0.05)
    found = check("process", path.name)
    process.wait(10)
    assert found == (1, f"no process {path.name} runs")


def test_a_page(nginx: str, ports: list[int]) -> None:
    assert check("url", f"{nginx}/") == (0, "")
    assert check("url", f"{nginx}/", "--contains", "OK") == (0, "")
    assert check("url", f"{nginx}/", "--contains", "ok") == (1, f"{nginx}/: the page does not contain 'ok'")
    assert check("url", f"{nginx}/down") == (1, f"{nginx}/down: status 503, expected 200-299")
    assert check("url", f"{nginx}/down", "--status", "503") == (0, "")
    assert check("url", f"{nginx}/moved") == (1, f"{nginx}/moved: status 302, expected 200-299")
    assert check("url", f"{nginx}/named", "--host-header", "www.example") == (0, "")
    assert check("url", f"{nginx}/gone")[0] == 1
    closed = f"http://127.0.0.1:{ports[2]}/"
    assert check("url", closed) == (1, f"{closed}: Connection refused")


def test_a_page_that_does_not_come() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        begun = time.monotonic()
        assert check("url", where, "--timeout", 0.3) == (1, f"{where}: no answer in time")
        assert time.monotonic() - begun < 20


def test_a_page_that_is_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"http://127.0.0.1:{server.getsockname()[1]}/"
        command = ["/usr/bin/python3", "-I", str(PROGRAM), "url", where]
        asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        connection, _address = server.accept()
        connection.sendall(b"220 mail.example ESMTP\r\n")
        connection.close()
        said = asking.communicate(timeout=20)[0]
        assert (asking.returncode, said) == (1, f"{where}: 220 mail.example ESMTP\n")


def test_haproxy(haproxy: str) -> None:
    deadline = time.monotonic() + 20
    while check("haproxy", haproxy, "--backend", "bad")[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.1)  # until its own checks have found out
    assert check("haproxy", haproxy, "--backend", "good") == (0, "")
    assert check("haproxy", haproxy, "--backend", "unchecked") == (0, "")
    assert check("haproxy", haproxy, "--backend", "bad") == (1, "the backend bad is DOWN")
    assert check("haproxy", haproxy, "--backend", "x") == (1, f"{haproxy};csv: there is no backend x")
    assert check("haproxy", haproxy.replace("/stats", "/"), "--backend", "good")[0] == 1


def test_wrong_words() -> None:
    status = ("url", "http://x/", "--status", "ok")
    for words in ((), ("port", "127.0.0.1"), ("port", "h", "x"), ("url",), ("haproxy", "http://x/"), ("x",), status):
        assert check(*words)[0] == 2


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """A client that says what it was asked; the real one is asked in the lab."""
    path = tmp_path / "client"
    path.write_text('#!/bin/sh\n[ -e "$0.broken" ] && { echo "ERROR 2002: no server" >&2; exit 1; }\ncat "$0.says"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "said, why",
    [
        ("Slave_IO_Running: Yes\n Slave_SQL_Running: Yes\n Seconds_Behind_Master: 3\n", ""),
        (
            "Slave_IO_Running: Yes\nSlave_SQL_Running: Yes\nSeconds_Behind_Master: 11\n",
            "the replication is 11 s late, expected 10 s at most",
        ),
        (
            "Slave_IO_Running: Connecting\nLast_IO_Error: error connecting: 5\nSlave_SQL_Running: Yes\n",
            "Slave_IO_Running is Connecting: error connecting: 5",
        ),
        ("", "Slave_IO_Running is missing"),
    ],
)
def test_a_database_that_replicates(client: Path, said: str, why: str) -> None:
    Path(f"{client}.says").write_text(said)
    assert check("mysql", "--client", client, "--replica", 10) == (1 if why else 0, why)


def test_a_database(client: Path) -> None:
    Path(f"{client}.says").write_text("1\n1\n")
    assert check("mysql", "--client", client) == (0, "")
    Path(f"{client}.broken").touch()
    assert check("mysql", "--client", client) == (1, "ERROR 2002: no server")
    assert check("mysql", "--client", "/nowhere") == (1, "/nowhere cannot be run: No such file or directory")
    client.write_text("#!/bin/sh\nexec sleep 20\n")
    assert check("mysql", "--client", client, "--timeout", 0.3) == (1, "the database does not answer within 0.3 s")


@pytest.mark.root
def test_a_restart(tmp_path: Path, nginx: str) -> None:
    """What fails is restarted once in a while; what helps leaves the check good."""
    unit = f"{tmp_path.name}.service"
    systemctl = tmp_path / "systemctl"
    cure = f"[ ! -e {tmp_path}/made-well ] || {tmp_path}/made-well 20 >/dev/null 2>&1 &"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/log\n{cure}\n')
    systemctl.chmod(0o755)
    words = ("--restart", unit, "--restart-wait", 0.1)
    good, bad = f"{nginx}/", f"{nginx}/down"
    state = Path("/run/lvs-check") / unit
    try:
        assert check("url", good, *words, path=str(tmp_path)) == (0, "")
        assert not (tmp_path / "log").exists()
        failure = f"{bad}: status 503, expected 200-299"
        assert check("url", bad, *words, path=str(tmp_path)) == (1, f"{failure}; {unit} was restarted")
        status, why = check("url", bad, *words, path=str(tmp_path))
        assert (status, why.startswith(f"{failure}; {unit} was restarted ")) == (1, True)
        assert why.endswith(" s ago")
        assert (tmp_path / "log").read_text() == f"restart {unit}\n"
        # the pause is over, and the restart helps
        (tmp_path / "made-well").symlink_to("/usr/bin/sleep")
        assert check("process", "made-well", *words, "--restart-pause", 0, path=str(tmp_path)) == (0, "")
        assert (tmp_path / "log").read_text() == f"restart {unit}\n" * 2
    finally:
        state.unlink(missing_ok=True)
