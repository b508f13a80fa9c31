# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs-agent as it is sent to a director: one zip archive, and its name.

The same files make the same bytes, on any machine: sorted names, one time stamp, fixed modes, and no compression, for
zlib's output differs between its versions. So the name, which has the archive's digest in it, tells what is in it, and
an installed program can be packed again to see whether it is still what its name says.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import typing as t
import zipfile

PACKAGE = "lvs_agent"
# name of a program -> the module with its function main
PROGRAMS = {"lvs-agent": "cli", "lvsctl": "lvsctl"}
_TIME = (1980, 1, 1, 0, 0, 0)  # the first one a zip archive can have
_UNIX = 3  # ZipInfo.create_system
_LAUNCHER = """\
#!/usr/bin/python3 -I
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
import os
import sys

# Where this file really is: what is imported later belongs to it, whatever the link to it shows by then.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from {package}.{module} import main

raise SystemExit(main())
"""


class Bundle(t.NamedTuple):
    """A program: ``name`` is its version and the beginning of the SHA-256 of ``archive``."""

    name: str
    archive: bytes


def bundle(library: str) -> Bundle:
    """The program made of the library in a directory. Raises OSError, ValueError."""
    files = {f"{PACKAGE}/{path}": content for path, content in read_tree(library).items() if path.endswith(".py")}
    for program, module in PROGRAMS.items():
        files[program] = _LAUNCHER.format(package=PACKAGE, module=module).encode()
    return _named(files)


def installed(directory: str) -> Bundle:
    """The program in a directory, packed again. Raises OSError, and ValueError when there is none."""
    return _named(read_tree(directory))


def _named(files: t.Mapping[str, bytes]) -> Bundle:
    found = re.search(rb'^VERSION = "([0-9A-Za-z.+-]+)"$', files.get(f"{PACKAGE}/version.py", b""), re.M)
    if found is None:
        raise ValueError(f"{PACKAGE}/version.py does not say a version")
    archive = pack(files)
    return Bundle(f"{found[1].decode()}-{hashlib.sha256(archive).hexdigest()[:12]}", archive)


def pack(files: t.Mapping[str, bytes]) -> bytes:
    """The archive of these files, by their paths."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            member = zipfile.ZipInfo(path, _TIME)
            member.create_system = _UNIX
            member.external_attr = (stat.S_IFREG | mode(path)) << 16
            archive.writestr(member, files[path])
    return target.getvalue()


def unpack(archive: bytes) -> dict[str, bytes]:
    """Its files, by their paths. Raises ValueError, zipfile.BadZipFile."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        files = {path: opened.read(path) for path in opened.namelist()}
    for path in files:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path} is outside the program")
    return files


def mode(path: str) -> int:
    """The permissions of a file of the program."""
    return 0o755 if path in PROGRAMS else 0o644


def read_tree(top: str) -> dict[str, bytes]:
    """All files below a directory but compiled ones, by their paths from there. Raises OSError."""
    found: dict[str, bytes] = {}
    for folder, folders, names in os.walk(top, onerror=_raise):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, top).replace(os.sep, "/")] = file.read()
    return found


def _raise(error: OSError) -> None:
    raise error
