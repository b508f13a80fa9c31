# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for Debian's Python: aiosmtpd on 127.0.0.1 that wants TLS and a login, and prints what it takes.

mail_server.py starttls|implicit PORT CERTIFICATE KEY USER PASSWORD
"""

from __future__ import annotations

import ssl
import sys
import threading
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Printer:
    """Takes every mail."""

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        subject = next(line for line in envelope.content.decode().splitlines() if line.startswith("Subject: "))
        print(f"{session.auth_data}: {subject}", flush=True)
        return "250 OK"


def main() -> None:
    """Serve until we are ended."""
    kind, port, certificate, key, user, password = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def judged(_server: Any, _session: Any, _envelope: Any, _mechanism: str, auth: Any) -> AuthResult:
        good = auth.login == user.encode() and auth.password == password.encode()
        return AuthResult(success=good, handled=good, auth_data=user if good else None)

    ours = {"ssl_context": context} if kind == "implicit" else {"tls_context": context, "require_starttls": True}
    Controller(
        Printer(),
        hostname="127.0.0.1",
        port=int(port),
        authenticator=judged,
        auth_required=True,
        auth_require_tls=kind != "implicit",  # it only knows TLS by STARTTLS
        ready_timeout=20,
        **ours,
    ).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
