# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of its own: sends the mails of an order on its standard input, and says how that went.

The order is JSON: the fields of :class:`.mail.MailPlan`, and ``mails`` with ``subject`` and ``text``. Plain SMTP as in
keepalived, for a relay on this machine or in its network; or TLS with a certificate that is checked, and a login, whose
password is read here and is in no other process. Exit status 0 when every mail was taken for somebody; otherwise
the first line of its output is ``unsent`` and the numbers of those that were not, from 0, and the last line says why.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import sys
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from typing import Any

from ..secret_file import BadSecret, read


def main() -> int:
    """Send; the exit status."""
    order = json.load(sys.stdin)
    server = f"{order['server']} port {order['port']}"
    refused: dict[str, Any] = {}
    unsent = dict.fromkeys(range(len(order["mails"])), "")
    why = ""
    try:
        with _connected(order) as smtp:
            for number, mail in enumerate(order["mails"]):
                # one that the server does not want says nothing about those behind it
                try:
                    refused.update(smtp.send_message(_message(order, mail), order["sender"], order["receivers"]))
                except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, ValueError) as error:
                    unsent[number] = f"{mail['subject']!r}: {_told(error)}"
                else:
                    del unsent[number]
    except (OSError, smtplib.SMTPException, ValueError, BadSecret) as error:
        why = _told(error)
    if unsent:
        why = "; ".join(filter(None, (*unsent.values(), why)))
        sys.stdout.write(f"unsent {' '.join(map(str, unsent))}\nmail server {server}: {why}\n")
        return 1
    sys.stdout.write(f"sent by {server}" + "".join(f"; {who} was refused" for who in refused) + "\n")
    return 0


def _connected(order: dict[str, Any]) -> smtplib.SMTP:
    """A session in which mail can be sent. Raises what smtplib and ssl do, and BadSecret."""
    where = (order["server"], order["port"], order["helo"])
    tls = ssl.create_default_context(cafile=order["tls_ca_file"] or None) if order["tls"] else None
    if order["tls"] == "implicit":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=order["timeout_s"], context=tls)
    else:
        smtp = smtplib.SMTP(*where, timeout=order["timeout_s"])
    try:
        if order["tls"] == "starttls":
            smtp.starttls(context=tls)
        if order["user"]:
            smtp.login(order["user"], read(order["password_file"]))
    except BaseException:
        smtp.close()
        raise
    return smtp


def _message(order: dict[str, Any], mail: dict[str, str]) -> EmailMessage:
    message = EmailMessage()
    message["Date"] = localtime()
    message["From"] = order["sender"]
    message["Subject"] = mail["subject"]
    message["X-Mailer"] = "lvs-agent"
    message["Message-ID"] = make_msgid(domain=order["helo"])
    message["To"] = ", ".join(order["receivers"])
    message.set_content(mail["text"] + "\n")
    return message


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{who}: {_answer(*why)}" for who, why in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    return str(error) or type(error).__name__


def _answer(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"


if __name__ == "__main__":
    raise SystemExit(main())
