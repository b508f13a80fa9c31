# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users, password files and TLS that need each other: of the mail server, and of the pages of HTTP_GET and SSL_GET."""

from __future__ import annotations

import typing as t

from .director import Director
from .merge import blocks, fields, items
from .problem import WARNING, Problem

Words = t.Mapping[str, t.Any]
_WITH_URLS = ("HTTP_GET", "SSL_GET")
_OF_THE_BODY = ("digest", "regex")


def problems(director: Director) -> list[Problem]:
    """All findings of one director."""
    found = _mail(director, fields(director.configuration["global_defs"]))
    for _where, _server, reals in director.pools:
        for path, real in reals:
            for kind in _WITH_URLS:
                for check in blocks(real.get(kind)):
                    for url in blocks(check.get("url")):
                        found += _page(director, url, f"{path}.{kind}.url")
    return found


def _mail(director: Director, said: Words) -> list[Problem]:
    found = _pair(director, said, "global_defs", "smtp")
    if said.get("smtp_user") is not None and said.get("smtp_tls") is None:
        what = "the password would go to the mail server in clear text"
        found.append(director.problem("global_defs.smtp_user", what, "write smtp_tls starttls or smtp_tls implicit"))
    if said.get("smtp_tls_ca_file") is not None and said.get("smtp_tls") is None:
        what = "it is of no use without smtp_tls"
        found.append(director.problem("global_defs.smtp_tls_ca_file", what, "add smtp_tls, or remove it"))
    if said.get("smtp_tls") is not None and said.get("smtp_server") is None:
        what = "there is no smtp_server that it is for, and no mail is sent"
        found.append(director.problem("global_defs.smtp_tls", what, "write smtp_server", WARNING))
    return found


def _page(director: Director, url: Words, where: str) -> list[Problem]:
    found = _pair(director, url, where, "http")
    if ":" in str(url.get("http_user", "")):
        what = "a user of Basic authentication has no colon (RFC 7617)"
        found.append(director.problem(f"{where}.http_user", what))
    if any(str(line).strip(" \t\"").lower().startswith("authorization:") for line in items(url.get("http_header"))):
        if url.get("http_user") is not None:
            what = "the header Authorization is what http_user makes"
            found.append(director.problem(f"{where}.http_header", what, "remove one of the two"))
        else:
            what = "the secret of the header Authorization is in keepalived.conf"
            advice = "write http_user and http_password_file, where they will do"
            found.append(director.problem(f"{where}.http_header", what, advice, WARNING))
    for word in _OF_THE_BODY:
        if url.get(word) is not None and str(url.get("http_method", "")).upper() == "HEAD":
            what = f"an answer to HEAD has no body, and {word} is for the body"
            found.append(director.problem(f"{where}.http_method", what, f"write GET, or remove {word}"))
    return found


def _pair(director: Director, said: Words, where: str, prefix: str) -> list[Problem]:
    """A user and the file of its password."""
    user, file = f"{prefix}_user", f"{prefix}_password_file"
    if (said.get(user) is None) == (said.get(file) is None):
        return []
    here, missing = (file, user) if said.get(user) is None else (user, file)
    return [director.problem(f"{where}.{here}", f"{missing} is missing", f"write it, or remove {here}")]
