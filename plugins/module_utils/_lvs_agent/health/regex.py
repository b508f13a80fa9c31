# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``regex`` of HTTP_GET and SSL_GET: keepalived's are PCRE2's, ours are those of :mod:`re`, where they mean the same.

What only PCRE2 has is an error when the configuration is read. A search may take hours, and :mod:`re` looks for signals
so seldom that nothing within the process ends it: it belongs into a process that can be killed (:mod:`.search`).
"""

from __future__ import annotations

import functools
import re
import warnings

from ..conf.problem import BadValue
from ..spelling import nearest

#: Bytes of a pattern: compiling takes about 2 µs for each.
MOST_PATTERN = 4096
# of a process that searches: some hundred kilobytes each at most
_MOST_COMPILED = 256
_FLAGS = {
    "caseless": re.IGNORECASE,
    "multiline": re.MULTILINE,
    "dotall": re.DOTALL,
    "extended": re.VERBOSE,
    "utf": re.UNICODE,
    "ucp": re.UNICODE,
}
# about speed, or forbidding what Python does not have
_NO_MATTER = frozenset(
    (
        "auto_callout",
        "never_backslash_c",
        "never_ucp",
        "never_utf",
        "no_auto_possess",
        "no_dotstar_anchor",
        "no_start_optimize",
        "use_offset_limit",
    )
)
_OTHERS = (
    "allow_empty_class",
    "alt_bsux",
    "alt_circumflex",
    "alt_verbnames",
    "dollar_endonly",
    "dupnames",
    "firstline",
    "match_unset_backref",
    "no_auto_capture",
    "ungreedy",
)


def flags(options: list[str]) -> int:
    """``regex_options`` as flags of :mod:`re`; UNICODE: characters, not bytes. Raises BadValue."""
    found = 0
    for word in options:
        if word in _OTHERS:
            raise BadValue(f"{word} is not supported", "write the regular expression without it")
        if word not in _FLAGS and word not in _NO_MATTER:
            raise BadValue(f"{word!r} is not an option of regular expressions", nearest(word, (*_FLAGS, *_NO_MATTER)))
        found |= _FLAGS.get(word, 0)
    return int(found)


def tried(pattern: str, options: int) -> None:
    """Raise BadValue for a pattern that Python's regular expressions do not have, or a very long one."""
    size = len(pattern.encode("utf-8", "surrogateescape"))
    if size > MOST_PATTERN:
        raise BadValue(f"a regular expression of {size} bytes", f"write one of at most {MOST_PATTERN}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # [[:alpha:]] and the like
            compiled.__wrapped__(pattern, options)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        what = f"Python's regular expressions cannot do that: {error}"
        raise BadValue(what, "write it without what only PCRE has") from error


def found(pattern: str, options: int, body: bytes, low: int, high: int | None) -> bool:
    """Whether a match starts at one of the bytes ``low`` to ``high`` of a page; may take for ever."""
    whole: str | bytes = body
    if options & re.UNICODE:
        # offsets are bytes, in keepalived too
        low = len(body[:low].decode("utf-8", "ignore"))
        high = None if high is None else len(body[:high].decode("utf-8", "ignore"))
        whole = body.decode("utf-8", "replace")
    match = compiled(pattern, options).search(whole, low)  # type: ignore[arg-type]
    return match is not None and (high is None or match.start() <= high)


@functools.lru_cache(maxsize=_MOST_COMPILED)
def compiled(pattern: str, options: int) -> re.Pattern[str] | re.Pattern[bytes]:
    """A pattern that ``tried`` has accepted."""
    if options & re.UNICODE:
        return re.compile(pattern, options)
    return re.compile(pattern.encode("utf-8", "surrogateescape"), options)
