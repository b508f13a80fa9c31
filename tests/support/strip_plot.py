# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements as a picture: a row of dots for each series, on one axis of milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 250, 24, 30, 44
_INK, _PALE = "#334", "#ccc"
#: steps of the axis, the first that needs at most ten of them
_STEPS_MS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def strip_svg(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """An SVG document; the series are milliseconds, by their names."""
    values = [value for row in series.values() for value in row]
    step = next((one for one in _STEPS_MS if max(values) <= 10 * one), _STEPS_MS[-1])
    first, last = min(0, int(min(values) // step)), int(max(values) // step) + 1
    bottom = _TOP + _ROW * len(series)

    def x(value: float) -> float:
        return round(_LEFT + (value / step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [_text(8, 20, title, weight="bold")]
    for number in range(first, last + 1):
        at = x(number * step)
        parts.append(f'<path d="M{at} {_TOP - 10}V{bottom - 6}" stroke="{_PALE}"/>')
        parts.append(_text(at, bottom + 10, f"{number * step:g}", "middle"))
    parts.append(_text(_WIDTH - _RIGHT, bottom + 26, "ms", "end"))
    for place, (name, row) in enumerate(series.items()):
        y = _TOP + _ROW * place + 6
        parts.append(_text(8, y + 5, name))
        parts += [f'<circle cx="{x(value)}" cy="{y}" r="5" fill="{_INK}" fill-opacity="0.35"/>' for value in row]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 34}" font-family="sans-serif"'
        f' font-size="13">\n<rect width="{_WIDTH}" height="{bottom + 34}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{_INK}" font-weight="{weight}">{words}</text>'
