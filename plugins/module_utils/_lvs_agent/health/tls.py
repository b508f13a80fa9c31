# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS without a socket, for SSL_GET: bytes of the wire in, bytes for the wire out.

Imported only when an SSL_GET is configured: :mod:`ssl` costs some megabytes.
"""

from __future__ import annotations

import ssl
from functools import lru_cache

from .plan import TlsPlan

_RECORD = 65536  # bytes of plain text that are read at once
# what a server that does not speak TLS sends in place of a handshake
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)

_EOF = "UNEXPECTED_EOF_WHILE_READING"


class TlsFailure(Exception):
    """The handshake or a record failed; ``str()`` says why, for people."""


class Session:
    """One connection. ``outgoing()`` after each call is what has to be sent."""

    def __init__(self, plan: TlsPlan, server_name: str, address: str) -> None:
        """``address`` is the name the certificate must have when there is no ``server_name``. Raises TlsFailure."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        # an address is checked, and never sent as a name (RFC 6066 section 3)
        name = server_name or (address if plan.verify else None)
        try:
            self._object = context(plan).wrap_bio(self._in, self._out, server_hostname=name)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise TlsFailure(f"TLS cannot be used: {_reason(error)}") from error
        self.established = False
        self.ended = False  # with a close_notify alert

    def advance(self) -> bool:
        """Go on with the handshake; whether it is over. Raises TlsFailure."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, ValueError) as error:
            raise TlsFailure(_handshake_failure(error)) from error
        self.established = True
        return True

    def received(self, data: bytes) -> None:
        """Bytes came; b"" at the end of the connection."""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def send(self, data: bytes) -> None:
        """Encrypt these. Raises TlsFailure."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise TlsFailure(f"TLS: {_reason(error)}") from error

    def read(self) -> bytes:
        """Some of the plain text that has come, b"" when there is no more now. Raises TlsFailure."""
        try:
            data = self._object.read(_RECORD)
        except ssl.SSLWantReadError:
            return b""
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # without close_notify too: whether the page is whole is for HTTP to say
            self.ended = True
            return b""
        except ssl.SSLError as error:
            raise TlsFailure(f"TLS: {_reason(error)}") from error
        if not data:
            self.ended = True
        return data

    def close(self) -> None:
        """Put a close_notify alert on the way out."""
        try:
            self._object.unwrap()
        except (ssl.SSLError, OSError):
            return  # the other side has not said so too, which we do not wait for

    def outgoing(self) -> bytes:
        """What has to be sent now."""
        return self._out.read()


@lru_cache(maxsize=256)
def context(plan: TlsPlan) -> ssl.SSLContext:
    """The context of a plan. Raises OSError and ssl.SSLError for its files."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = plan.verify
    made.verify_mode = ssl.CERT_REQUIRED if plan.verify else ssl.CERT_NONE
    if plan.verify and plan.ca_file:
        made.load_verify_locations(plan.ca_file)
    elif plan.verify:
        made.load_default_certs()
    else:
        # whoever asks for no proof takes what OpenSSL takes, as keepalived does; Python's own list is shorter
        made.set_ciphers("DEFAULT")
    if plan.certificate:
        made.load_cert_chain(plan.certificate, plan.key or None, plan.password)
    return made


def trial(plan: TlsPlan) -> str:
    """What is wrong with the files of a plan on this host, "" for nothing."""
    files = ((plan.ca_file, "tls_ca_file"), (plan.certificate, "certificate"), (plan.key, "key"))
    for path, word in files:
        try:
            if path:
                with open(path, "rb"):
                    pass
        except OSError as error:
            return f"{word} {path} cannot be read: {error.strerror}"
    try:
        context.__wrapped__(plan)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        named = " ".join(path for path, _word in files if path)
        return f"{named} cannot be used: {_reason(error)}"
    return ""


def _handshake_failure(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not good: {error.verify_message}"
    reason = getattr(error, "reason", None)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or reason == _EOF:
        return "the connection was closed in the TLS handshake"
    if reason in _NOT_TLS:
        return "the server does not speak TLS on this port"
    return f"the TLS handshake failed: {_reason(error)}"


def _reason(error: Exception) -> str:
    """OpenSSL's words in small letters, or the error's own."""
    said = getattr(error, "reason", None)
    if said:
        return str(said).replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or error)
