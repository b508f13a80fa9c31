# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our writer of YAML, read by PyYAML."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from _lvs_agent.conf import yaml_text


class Loader(yaml.SafeLoader):
    """As Ansible reads it."""


def unsafe(loader: Loader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


Loader.add_constructor("!unsafe", unsafe)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.from_regex(r"[0-9yntf:.e+_x-]{1,8}", fullmatch=True),
    st.from_regex(r"[a-z0-9:#{}%|>'\"&*!?, \n\t-]{1,12}", fullmatch=True),
    st.sampled_from(["yes", "Off", "NULL", "~", "1e3", "0x1f", "0o7", "12:30:45", "2001-01-01", ".inf", "=", "<<"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=12,
)


def read(text: str) -> Any:
    return yaml.load(text, Loader=Loader)  # noqa: S506


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=4), st.text().map(lambda text: text.replace("\n", " ")))
def test_it_is_read_back(value: dict[str, Any], comment: str) -> None:
    comments: dict[yaml_text.Path, list[str]] = {(): [comment], ("a", 0): ["x"], ("a", "b"): ["y"]}
    comments.update({(key,): [f"above {comment}"] for key in value})
    found = read(yaml_text.document(value, comments)) or {}
    assert repr(found) == repr(value)  # 1 is not 1.0, nor true


@pytest.mark.parametrize(
    "value, text",
    [
        ("192.0.2.1-10 80", "192.0.2.1-10 80"),
        ("192.0.2.1/24 dev ens33 label ens33:9", "192.0.2.1/24 dev ens33 label ens33:9"),
        ("1111", '"1111"'),
        ("no", '"no"'),
        ("Night <a@example.com>", '"Night <a@example.com>"'),
        ("a {{ b }}", '!unsafe "a {{ b }}"'),
        ("{# a #}", '!unsafe "{# a #}"'),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        ([], "[]"),
        ({}, "{}"),
        ("a\tb\x07\u2028", '"a\\tb\\x07\\u2028"'),
    ],
)
def test_a_value(value: Any, text: str) -> None:
    assert yaml_text.scalar(value) == text


def test_a_document() -> None:
    value = {"a": [{"b": 1, "c": ["x", "w"]}, "z"], "text": "one {\n  two\n}\n", "e": {}}
    comments: yaml_text.Comments = {
        (): ["of the file"],
        ("a",): ["of a"],
        ("a", 0): ["of the first"],
        ("a", 0, "b"): ["of b", ""],
        ("a", 0, "c", 1): ["of w"],
    }
    assert (
        yaml_text.document(value, comments)
        == """\
---
# of the file
# of a
a:
  # of the first
  # of b
  #
  - b: 1
    c:
      - x
      # of w
      - w
  - z

text: |
  one {
    two
  }

e: {}
"""
    )
