# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the role installs, by path: passwords and scripts. No message contains a password."""

from __future__ import annotations

import typing as t

from .director import Director
from .merge import blocks, fields
from .problem import WARNING, Problem

VARIABLE = "director_password_files"
SCRIPTS = "director_script_files"
_MOST = 1024  # bytes, as secret_file.read takes


def problems(director: Director, variables: t.Mapping[str, t.Any]) -> list[Problem]:
    """What is wrong with the files that the role is to write on one director."""
    found: list[Problem] = []
    for path in fields(variables.get(SCRIPTS)):
        if not str(path).startswith("/") or str(path).endswith("/"):
            where = f"{SCRIPTS}[{path}]"
            found.append(director.problem(where, "it is no absolute path of a file", "write /etc/keepalived/NAME"))
    named = set(_named(director))
    for path, password in fields(variables.get(VARIABLE)).items():
        where = f"{VARIABLE}[{path}]"
        if not str(path).startswith("/") or str(path).endswith("/"):
            found.append(director.problem(where, "it is no absolute path of a file", "write /etc/keepalived/NAME"))
            continue
        if not isinstance(password, str):
            found.append(director.problem(where, "the password is no text", "write it in quotes"))
        elif not password.isprintable() or not 0 < len(password.encode("utf-8", "replace")) <= _MOST:
            what = f"the password is not one line of 1 to {_MOST} bytes"
            found.append(director.problem(where, what, "write it on one line"))
        if path not in named:
            what = "no word of keepalived.conf names this file"
            advice = "write it behind http_password_file or smtp_password_file"
            found.append(director.problem(where, what, advice, WARNING))
    return found


def _named(director: Director) -> t.Iterator[str]:
    yield str(fields(director.configuration["global_defs"]).get("smtp_password_file"))
    for _where, _server, reals in director.pools:
        for _path, real in reals:
            for kind in ("HTTP_GET", "SSL_GET"):
                for check in blocks(real.get(kind)):
                    for url in blocks(check.get("url")):
                        yield str(url.get("http_password_file"))
