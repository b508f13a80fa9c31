# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The syntax of a header that a check sends (RFC 9110 section 5, RFC 9112 section 5)."""

from __future__ import annotations

import re

from .problem import BadValue

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # a token, RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\t -~]*\Z")
# what the check itself says, and what would change how its connection goes on
_OURS = {"host": "write virtualhost", "connection": "", "content-length": "", "transfer-encoding": ""}
_CHANGES = ("expect", "keep-alive", "proxy-connection", "te", "trailer", "upgrade")


def header(words: list[str]) -> list[str]:
    """``NAME: VALUE``, quoted or not."""
    said = " ".join(words)
    name, colon, value = said.partition(":")
    if not colon:
        raise BadValue(f"{said!r} is no header", "write NAME: VALUE")
    if not _NAME.match(name):
        raise BadValue(f"{name!r} cannot be the name of a header", "it has letters, digits and -, and no blank")
    if not _VALUE.match(value):
        raise BadValue(f"the value of {name} has characters that no header can have", "write it in ASCII")
    if name.lower() in _OURS or name.lower() in _CHANGES:
        instead = _OURS.get(name.lower(), "") or "remove it"
        raise BadValue(f"{name} is not for the configuration to say: the check does", instead)
    return words
