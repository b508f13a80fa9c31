# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A failover as a picture: who advertised when, and which requests of a client were answered."""

from __future__ import annotations

from collections.abc import Sequence

from . import probe

_WIDTH, _LEFT, _RIGHT = 760, 120, 20
_GREEN, _RED, _INK = "#2e7d32", "#c62828", "#334"


def failover_svg(
    crashed_at_s: float,
    crashed: str,
    adverts: Sequence[tuple[float, str]],
    attempts: Sequence[probe.Attempt],
) -> str:
    """An SVG document. `adverts`: (Unix time, host) of every advert; `attempts`: all of the client's, by time."""
    begin, end = attempts[0].start_s, attempts[-1].start_s
    hosts = [crashed, *sorted({host for _time, host in adverts} - {crashed})]
    rows = {host: 50 + 34 * number for number, host in enumerate(hosts)}
    client_y = 50 + 34 * len(hosts)

    def x(time_s: float) -> float:
        return round(_LEFT + (time_s - begin) / (end - begin) * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [_text(8, rows[host] + 5, host, weight="bold") for host in hosts]
    parts.append(_text(8, client_y + 13, "client", weight="bold"))
    for host in hosts:
        parts.append(f'<path d="M{_LEFT} {rows[host]}H{_WIDTH - _RIGHT}" stroke="#ccc"/>')
    parts += [
        f'<circle cx="{x(time_s)}" cy="{rows[host]}" r="5" fill="{_INK}"/>'
        for time_s, host in adverts
        if begin <= time_s <= end
    ]
    parts.append(_bar(_LEFT, _WIDTH - _RIGHT, client_y, _GREEN))
    for outage in probe.outages(attempts):
        parts.append(_bar(x(outage.start_s), x(outage.end_s), client_y, _RED))
        middle = (x(outage.start_s) + x(outage.end_s)) / 2
        parts.append(_text(middle, client_y + 14, f"{outage.length_s * 1000:.0f} ms", "middle", colour="#fff"))
    last = max((time_s for time_s, host in adverts if host == crashed), default=begin)
    first = min((time_s for time_s, host in adverts if host != crashed and time_s > crashed_at_s), default=end)
    top = rows[crashed] - 22
    parts.append(f'<path d="M{x(last)} {top}v-5h{round(x(first) - x(last), 1)}v5" fill="none" stroke="{_INK}"/>')
    words = f"no adverts for {(first - last) * 1000:.0f} ms"
    parts.append(_text((x(last) + x(first)) / 2, top - 9, words, "middle"))
    parts.append(f'<path d="M{x(crashed_at_s)} {top}V{client_y + 20}" stroke="{_RED}" stroke-dasharray="4 3"/>')
    parts.append(_text(x(crashed_at_s) + 6, rows[crashed] + 21, "power cut", colour=_RED))
    axis = client_y + 42
    for second in range(int(begin - crashed_at_s), int(end - crashed_at_s) + 1):
        parts.append(_text(x(crashed_at_s + second), axis, f"{second} s", "middle", colour="#777"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {axis + 12}" font-family="sans-serif"'
        f' font-size="13">\n<rect width="{_WIDTH}" height="{axis + 12}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, anchor: str = "start", *, colour: str = _INK, weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">{words}</text>'


def _bar(begin: float, end: float, y: float, colour: str) -> str:
    return f'<rect x="{begin}" y="{y}" width="{round(end - begin, 1)}" height="20" fill="{colour}"/>'
