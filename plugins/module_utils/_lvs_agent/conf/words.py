# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a keyword of keepalived.conf can be: its kind, its range, its other spellings.

The tables of :mod:`.schema` are made of these. Nothing here knows a particular keyword.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

OWN = "lvs_agent"  # the id of our own lines: `@lvs_agent KEYWORD VALUE`

# What lvs-agent makes of a word that keepalived has.
SUPPORTED = "supported"
WITHOUT_EFFECT = "accepted without effect"
NOT_SUPPORTED = "not supported"

# The kinds. What a variable may hold -> what keepalived reads.
INT = "int"  # 51 -> `word 51`
NUMBER = "number"  # 0.5 -> `word 0.5`; a decimal number, mostly seconds
CHOICE = "choice"  # one of ``choices`` -> `word TCP`
FLAG = "flag"  # true -> `word`; false -> nothing
SWITCH = "switch"  # true -> `word true`; false -> `word false`
NAME = "name"  # one word, no blank in it
TEXT = "text"  # one word for keepalived, quoted where it must be
SCRIPT = "script"  # a command line, or keepalived's own `"command line" user group`
REGEX = "regex"  # like TEXT, but keepalived takes backslashes as escapes in it
ADDRESS = "address"  # an IPv4 or IPv6 address
WORDS = "words"  # several words on the keyword's line: `weight 10 reverse`
LINES = "lines"  # a list, one line each, between braces
BLOCK = "block"  # a mapping between braces
BLOCKS = "blocks"  # a list of mappings, each between braces of its own
RAW = "raw"  # lines of the file as they are; in no file a word of its own
GONE = "gone"  # keepalived no longer has it: accepted, left out, ``reason`` says why
REFUSED = "refused"  # keepalived has it and complains, or we cannot render it yet: an error, ``reason`` says why


@dataclasses.dataclass(frozen=True)
class Word:
    """One keyword of one block.

    ``low`` and ``high`` are inclusive. ``zero_is_off``: 0 means "as if the word were not there", although
    keepalived refuses a 0. ``any_case``: choices may be in lower case too. ``bare``: the word may stand
    alone, true is that. ``line`` names the syntax of the lines of LINES and of the words of WORDS (a key of
    :data:`.syntax.READERS`). ``key``: not a keyword, but what follows the block's own name
    (``vrrp_instance NAME``, ``real_server IP PORT``).

    ``default`` is keepalived's, as one writes it in the file; ``unit`` that of the number; ``since`` the version
    of keepalived that brought the word, "" for 2.2.7 and before; ``outdated`` those of ``aliases`` that 2.2.7 no
    longer knows. ``status`` is what lvs-agent makes of it, ``reason`` why it has no effect or what to use instead.
    ``own``: keepalived has no such word; in the file it stands behind ``@lvs_agent``.
    """

    name: str
    kind: str
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    zero_is_off: bool = False
    any_case: bool = False
    bare: bool = False
    aliases: tuple[str, ...] = ()
    block: Block | None = None
    line: str = ""
    required: bool = False
    secret: bool = False
    key: bool = False
    reason: str = ""
    default: str = ""
    unit: str = ""
    since: str = ""
    outdated: tuple[str, ...] = ()
    status: str = SUPPORTED
    own: bool = False


@dataclasses.dataclass(frozen=True)
class Block:
    """A block's keyword and the words allowed in it, in the order in which we write them.

    ``lines`` names the word that takes the block's plain lines, where it has such (virtual_server_group).
    """

    name: str
    words: tuple[Word, ...]
    lines: str = ""

    def find(self, name: str) -> Word | None:
        """The word with this name, or with this old spelling; None when the block has neither."""
        return self.index().get(name)

    def index(self) -> t.Mapping[str, Word]:
        """Every accepted spelling -> its word."""
        return self._index

    @functools.cached_property
    def _index(self) -> t.Mapping[str, Word]:
        table = {alias: word for word in self.words for alias in word.aliases}
        table.update({word.name: word for word in self.words})
        return table

    @functools.cached_property
    def keys(self) -> t.Sequence[Word]:
        """The words that follow the block's own name."""
        return [word for word in self.words if word.key]

    @functools.cached_property
    def needed(self) -> t.Sequence[Word]:
        """The words that nothing can stand in for, between the braces."""
        return [word for word in self.words if word.required and not word.default and not word.key]

    def spellings(self) -> list[str]:
        """Every spelling worth suggesting to somebody who mistyped one."""
        return [name for name, word in self.index().items() if word.kind not in (GONE, RAW, REFUSED)]


def integer(name: str, low: int, high: int, doc: str, **more: t.Any) -> Word:
    """A whole number from ``low`` to ``high``."""
    return Word(name, INT, doc, low=low, high=high, **more)


def seconds(name: str, low: float, high: float, doc: str, **more: t.Any) -> Word:
    """A time in seconds, fractions allowed, from ``low`` to ``high``."""
    return Word(name, NUMBER, doc, low=low, high=high, **{"unit": "s", **more})


def choice(name: str, choices: t.Iterable[str], doc: str, **more: t.Any) -> Word:
    """One of the words ``choices``."""
    return Word(name, CHOICE, doc, choices=tuple(choices), **more)


def flag(name: str, doc: str, **more: t.Any) -> Word:
    """A word that stands alone."""
    return Word(name, FLAG, doc, **more)


def switch(name: str, doc: str, **more: t.Any) -> Word:
    """A word followed by true or false."""
    return Word(name, SWITCH, doc, **more)


def text(name: str, doc: str, **more: t.Any) -> Word:
    """A string that is one word for keepalived."""
    return Word(name, TEXT, doc, **more)


def name_of(name: str, doc: str, **more: t.Any) -> Word:
    """A word without blanks: an interface, a user, a chain."""
    return Word(name, NAME, doc, **more)


def script(name: str, doc: str, **more: t.Any) -> Word:
    """A command line."""
    return Word(name, SCRIPT, doc, **more)


def address(name: str, doc: str, **more: t.Any) -> Word:
    """An IP address."""
    return Word(name, ADDRESS, doc, **more)


def words(name: str, line: str, doc: str, **more: t.Any) -> Word:
    """Several words on one line, in the syntax ``line``."""
    return Word(name, WORDS, doc, line=line, **more)


def lines(name: str, line: str, doc: str, **more: t.Any) -> Word:
    """A list with one line for each element, in the syntax ``line``."""
    return Word(name, LINES, doc, line=line, **more)


def raw() -> Word:
    """The word of a block for lines that a site insists on."""
    doc = "Lines of C(keepalived.conf) to put at the end of the block as they are; the engine has to understand them."
    return Word("raw", RAW, doc, key=True)


def gone(name: str, reason: str, **more: t.Any) -> Word:
    """A word keepalived dropped: understood, without effect."""
    return Word(name, GONE, reason, reason=reason, status=WITHOUT_EFFECT, **more)


def refused(name: str, reason: str, **more: t.Any) -> Word:
    """A word that stops with an explanation."""
    return Word(name, REFUSED, reason, reason=reason, status=NOT_SUPPORTED, **more)


def without_effect(reason: str, *words: Word) -> tuple[Word, ...]:
    """Words that keepalived obeys and lvs-agent accepts only."""
    return tuple(dataclasses.replace(word, status=WITHOUT_EFFECT, reason=reason) for word in words)


def not_supported(reason: str, *words: Word) -> tuple[Word, ...]:
    """Words that keepalived obeys and lvs-agent refuses, because ignoring them would do harm."""
    return tuple(dataclasses.replace(word, status=NOT_SUPPORTED, reason=reason) for word in words)
