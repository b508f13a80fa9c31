# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks for vrrp_script: whether the local service can serve the VIP.

Exit status 0 for yes; 1 for no, with the reason as its only line of output; 2 for a wrong command line. For either
engine, on any Python from 3.9 on; only mysql needs a program, the client of the database.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import http.client
import io
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping

STATE = "/run/lvs-check"  # when a unit was restarted
MOST_PAGE = 1 << 20  # bytes of a page that are read
COMM = 15  # characters of a process's name that the kernel keeps, proc(5)
Check = Callable[[argparse.Namespace], str]


def port(asked: argparse.Namespace) -> str:
    """The port accepts TCP connections."""
    try:
        socket.create_connection((asked.host, asked.port), asked.timeout).close()
    except OSError as error:
        return f"port {asked.port} of {asked.host}: {reason(error)}"
    return ""


def process(asked: argparse.Namespace) -> str:
    """A process with this name runs; zombies do not count."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
                name, _end, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it has ended meanwhile
        if name == asked.name[:COMM] and rest.split()[0] not in "ZX":
            return ""
    return f"no process {asked.name} runs"


def url(asked: argparse.Namespace) -> str:
    """The page has an expected status and, with --contains, a text."""
    status, page, why = fetch(asked)
    if why:
        return why
    low, _dash, high = asked.status.partition("-")
    if not int(low) <= status <= int(high or low):
        return f"{asked.url}: status {status}, expected {asked.status}"
    if asked.contains and asked.contains not in page:
        return f"{asked.url}: the page does not contain {asked.contains!r}"
    return ""


def haproxy(asked: argparse.Namespace) -> str:
    """A server of the backend is UP on HAProxy's statistics page (HAProxy Management Guide, 9.1, CSV format)."""
    asked.url = asked.url.partition(";")[0] + ";csv"
    status, page, why = fetch(asked)
    if why or status != 200:
        return why or f"{asked.url}: status {status}, expected 200"
    rows = [row for row in csv.DictReader(io.StringIO(page.lstrip("# "))) if row.get("pxname") == asked.backend]
    states = [str(row["status"]) for row in rows if row.get("svname") == "BACKEND"]
    if not states:
        return f"{asked.url}: there is no backend {asked.backend}"
    return "" if states[0].startswith("UP") else f"the backend {asked.backend} is {states[0]}"


def mysql(asked: argparse.Namespace) -> str:
    """MariaDB answers a query; with --replica, replication runs and its delay is bounded."""
    question = "SHOW ALL SLAVES STATUS\\G" if asked.replica is not None else asked.query
    # the client's own files of options first, among them the password
    files = [f"--defaults-extra-file={asked.defaults_file}"] if asked.defaults_file else []
    limit = f"--connect-timeout={max(1, round(asked.timeout))}"
    command = [asked.client, *files, "--batch", limit, "--execute", question]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=asked.timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the database does not answer within {asked.timeout:g} s"
    except OSError as error:
        return f"{asked.client} cannot be run: {error.strerror}"
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return said[-1] if said else f"{asked.client} ended with status {done.returncode}"
    return replica(done.stdout, asked.replica) if asked.replica is not None else ""


def replica(said: str, most: int) -> str:
    """Return the fault in MariaDB's replication status, "" for none; ``most`` is the highest delay in seconds."""
    words = dict(line.strip().partition(": ")[::2] for line in said.splitlines() if ": " in line)
    for thread in ("Slave_IO_Running", "Slave_SQL_Running"):
        if words.get(thread) != "Yes":
            error = words.get("Last_IO_Error" if "IO" in thread else "Last_SQL_Error", "")
            return f"{thread} is {words.get(thread, 'missing')}" + (f": {error}" if error else "")
    late = words.get("Seconds_Behind_Master", "")
    if not late.isdigit() or int(late) > most:
        return f"the replication is {late or 'unknown'} s late, expected {most} s at most"
    return ""


def fetch(asked: argparse.Namespace) -> tuple[int, str, str]:
    """Return status and text of a page, and the error, "" for none."""
    request = urllib.request.Request(asked.url, headers={"Host": asked.host_header} if asked.host_header else {})
    # this host is asked, not a proxy; any certificate will do, as for SSL_GET
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), NoRedirect()]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(*handlers, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=asked.timeout) as answer:
            return answer.status, answer.read(MOST_PAGE).decode("utf-8", "replace"), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, "", f"{asked.url}: {reason(error)}"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects."""

    def redirect_request(self, *_args: object, **_words: object) -> None:
        """Return no request to follow."""


def reason(error: Exception) -> str:
    """Return a short text for an exception."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, Exception):
        return reason(inner)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def restarted(unit: str, pause: float) -> str:
    """Restart a systemd unit, at most once in ``pause`` seconds; return why it was not restarted, or ""."""
    os.makedirs(STATE, mode=0o755, exist_ok=True)
    with open(os.path.join(STATE, urllib.parse.quote(unit, safe="")), "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        # not affected by changes of the system clock
        last, now = file.read().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)
        if last and now - float(last) < pause:
            return f"{unit} was restarted {now - float(last):.0f} s ago"
        file.truncate(0)
        file.write(f"{now:.3f}\n")
    done = subprocess.run(["systemctl", "restart", unit], capture_output=True, text=True, check=False)
    return f"{unit} was not restarted: {done.stderr.strip()}" if done.returncode else ""


def judged(check: Check, asked: argparse.Namespace) -> str:
    """Check, and on failure restart the unit and check again; return the fault, "" for none."""
    why = check(asked)
    if not why or not asked.restart:
        return why
    try:
        not_done = restarted(asked.restart, asked.restart_pause)
    except OSError as error:
        not_done = f"{asked.restart} was not restarted: {reason(error)}; run the script as root"
    if not_done:
        return f"{why}; {not_done}"
    time.sleep(asked.restart_wait)
    why = check(asked)
    return f"{why}; {asked.restart} was restarted" if why else ""


CHECKS: Mapping[str, Check] = {"port": port, "process": process, "url": url, "haproxy": haproxy, "mysql": mysql}


def codes(text: str) -> str:
    """Status codes on the command line: CODE or FIRST-LAST."""
    low, dash, high = text.partition("-")
    if not (low.isdecimal() and (high.isdecimal() or not dash)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a status code or a range such as 200-299")
    return text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="for each step (default: 2)")
    common.add_argument("--restart", metavar="UNIT", help="when it fails, restart this unit of systemd and look again")
    common.add_argument("--restart-wait", type=float, default=3.0, metavar="SECONDS", help="before that (default: 3)")
    common.add_argument(
        "--restart-pause", type=float, default=60.0, metavar="SECONDS", help="one restart in these (default: 60)"
    )
    page = argparse.ArgumentParser(add_help=False)
    page.add_argument("url", metavar="URL")
    page.add_argument("--host-header", metavar="HOST", help="in place of the one in URL")
    made = argparse.ArgumentParser(prog="lvs-check", description=(__doc__ or "").partition("\n")[0])
    kinds = made.add_subparsers(dest="check", required=True, metavar="CHECK")
    one = kinds.add_parser("port", parents=[common], help=port.__doc__)
    one.add_argument("host", metavar="HOST")
    one.add_argument("port", type=int, metavar="PORT")
    one = kinds.add_parser("process", parents=[common], help=process.__doc__)
    one.add_argument("name", metavar="NAME")
    one = kinds.add_parser("url", parents=[common, page], help=url.__doc__)
    one.add_argument("--status", type=codes, default="200-299", metavar="CODES", help="as in 200-299 (default) or 204")
    one.add_argument("--contains", metavar="TEXT")
    one = kinds.add_parser("haproxy", parents=[common, page], help=haproxy.__doc__)
    one.add_argument("--backend", required=True, metavar="NAME")
    one = kinds.add_parser("mysql", parents=[common], help=mysql.__doc__)
    one.add_argument("--query", default="SELECT 1", metavar="SQL", help="(default: SELECT 1)")
    one.add_argument("--replica", type=int, metavar="SECONDS", help="MariaDB replicates, at most so late")
    one.add_argument("--defaults-file", metavar="FILE", help="options of the client, such as user and password")
    one.add_argument("--client", default="mariadb", metavar="PROGRAM", help="(default: mariadb)")
    return made


def main(words: list[str] | None = None) -> int:
    """Run the check and return the exit status."""
    asked = parser().parse_args(words)
    why = judged(CHECKS[asked.check], asked)
    if why:
        print(" ".join(why.split()))
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
