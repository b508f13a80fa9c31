# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each part of the language, read by us and by keepalived: both see the same words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from _lvs_agent.conf.parser import Tree, parse_file, parse_text
from _lvs_agent.conf.tree import Statement

# keepalived tells the words of a line it dislikes: `random_seed WORD` has to be a number, and none of these is one
BLOCK = "global_defs {\n %s\n}\n"
TEXTS = {
    "one line": "global_defs { random_seed x }\n",
    "brace on the next line": "global_defs\n\n# no\n{\n random_seed x\n}\n",
    "glued brace": "global_defs{random_seed x}\n",
    "word behind the brace": "global_defs {random_seed x\n}\n",
    "no line end": "global_defs {\n random_seed x\n}",
    "carriage returns": "global_defs {\r\n random_seed x\r\n}\r\n",
    "all kinds of blanks": "global_defs {\n\frandom_seed\vx\t\n}\n",
    "glued comment": BLOCK % "random_seed a#b",
    "exclamation mark": BLOCK % "random_seed a!b",
    "comment with quote": BLOCK % "random_seed a # it's \"",
    "comment alone": "! one\n  # two {\nglobal_defs { # three }\n random_seed x\n}\n",
    "escaped comment sign": BLOCK % "random_seed a\\#b",
    "escaped in quotes": BLOCK % 'random_seed "a\\#b"',
    "comment sign in quotes": BLOCK % 'random_seed "a # ! b"',
    "quotes": BLOCK % 'random_seed "a  b"',
    "quoted braces": BLOCK % 'random_seed "a { b }"',
    "begin of a parameter in quotes": BLOCK % 'random_seed "${" "a ${b}"',
    "quote in a word": BLOCK % 'random_seed a"b c"d',
    "single quotes": BLOCK % "random_seed 'a b'",
    "backslash": BLOCK % "random_seed a\\b",
    "own line": BLOCK % "@lvs_agent random_seed ours\n random_seed x",
    "own line behind a brace": "global_defs { @lvs_agent random_seed ours\n random_seed x\n}\n",
    "condition": BLOCK % "@main random_seed a\n @^main random_seed b\n @other random_seed c\n @^other random_seed d",
    "condition without words": BLOCK % "@main\n random_seed x",
    "condition with a blank": BLOCK % "@ main random_seed a\n random_seed x",
    "parameter": "$A=5x\n" + BLOCK % "random_seed $A",
    "parameter with blanks": "  $A= 5x  \n" + BLOCK % "random_seed $A",
    "parameter in braces": "$A=5x\n" + BLOCK % "random_seed ${A}y",
    "parameter glued": "$A=5x\n" + BLOCK % "random_seed $A.y",
    "parameter and comma": "$A=5x\n" + BLOCK % "random_seed $A,y",
    "parameter and parenthesis": "$A=5x\n" + BLOCK % "random_seed $A)",
    "parameter twice": "$A=5x\n" + BLOCK % "random_seed ${A}${A}",
    "parameter behind dollar": "$A=5x\n" + BLOCK % "random_seed $$A",
    "parameter in quotes": "$A=5x\n" + BLOCK % 'random_seed "$A y"',
    "parameter at a quote's end": "$A=5x\n" + BLOCK % 'random_seed "y $A"',
    "undefined parameter": "$A=5x\n" + BLOCK % "random_seed $B",
    "quotes in a parameter": '$A="p q"\n' + BLOCK % "random_seed $A",
    "parameter of a parameter": "$A=$B\n$B=7x\n" + BLOCK % "random_seed $A",
    "parameter with a comment": "$A=5x # no\n" + BLOCK % "random_seed ${A}z",
    "parameter as a line": "$A=random_seed zz\n" + BLOCK % "$A",
    "parameter as a condition": "$A=@foo\n" + BLOCK % "$A random_seed zz\n random_seed yy",
    "parameter defined anew": "$A=1x\n$A=2x\n" + BLOCK % "random_seed $A",
    "parameter in a block": BLOCK % "$A=zz\n random_seed $A",
    "parameter behind a brace": "global_defs { $A=zz\n random_seed $A\n}\n",
    "empty parameter": "$A=\n" + BLOCK % "random_seed x$A\n $A\n random_seed ${A}y",
    "conditional parameter": "@main $A=a\n@^main $A=b\n" + BLOCK % "random_seed $A",
    "lines": "$A= \\\n random_seed aa \\\n random_seed bb\n\n" + BLOCK % "$A\n random_seed cc",
    "lines with comments": "$A= \\\n # c \\\n random_seed aa # d \\\n random_seed bb\n" + BLOCK % "$A",
    "lines with blocks": "$A= \\\n global_defs { \\\n random_seed aa \\\n }\n$A\n",
    "lines with conditions": "$A= \\\n random_seed a0 \\\n @x random_seed aa \\\n @^x random_seed bb\n" + BLOCK % "$A",
    "lines in lines": "$A= \\\n random_seed aa \\\n random_seed b${N}\n$B= \\\n $N=1 \\\n $A \\\n $N=2 \\\n $A\n"
    + BLOCK % "$B",
    "sequence": BLOCK % "~SEQ(A, 1, 3) random_seed x$A",
    "sequence with steps": BLOCK % "~SEQ(A, 3, -2, -2) random_seed x$A",
    "sequence down": BLOCK % "~SEQ(A, 3, 1) random_seed x$A",
    "sequence to": BLOCK % "~SEQ(A, 2) random_seed x$A",
    "sequence to a negative": BLOCK % "~SEQ(A, -2) random_seed x$A",
    "sequence of one": BLOCK % "~SEQ(A,3,3) random_seed x$A",
    "hexadecimal sequence": BLOCK % "~SEQx(A, 0x9, 0xb) random_seed x$A",
    "sequences": BLOCK % "~SEQ(A, 1, 2) ~SEQx(B,10,1,11) random_seed x${A}y${B}",
    "sequence of blocks": "~SEQ(A, 1, 2) global_defs { random_seed x${A} }\n",
    "sequence with a parameter": "$N=2\n" + BLOCK % "~SEQ(A,1,$N) random_seed y$A",
    "sequence of definitions": BLOCK % "~SEQ(A,1,2) $B=z$A\n random_seed $B\n random_seed y$A",
    "sequence of nothing": BLOCK % "~SEQ(A,1,2)\n random_seed y$A",
    "sequence of lines": "$M= \\\n random_seed a${A} \\\n random_seed b${A}\n\n" + BLOCK % "~SEQ(A,1,2) $M",
    "sequence behind a condition": BLOCK % "@^x ~SEQ(A,1,2) random_seed y$A",
    "condition behind a sequence": BLOCK % "~SEQ(A,1,2) @^x random_seed y$A",
    "no sequence": BLOCK % "random_seed ~SEQ(A,1,2)",
    "list": BLOCK % "~LST(A, p, q) random_seed x$A",
    "list with an empty value": BLOCK % "~LST(A, , r) random_seed y${A}",
    "list of several": BLOCK % "~LST({A,B}, {p,1}, {q, 2}) random_seed x${A}-${B}",
    "lists": BLOCK % "~LST(A, p, q) ~LST(B, 1,2) random_seed x${A}-${B}",
    "list and sequence": BLOCK % "~LST(A, p, q) ~SEQ(B, 1,2) random_seed x${A}-${B}",
    "own directory": BLOCK % "random_seed ${_PWD}",
    "own name": BLOCK % "random_seed $_INSTANCE",
    "own parameter defined": "$_PWD=zz\n" + BLOCK % "random_seed $_PWD",
}


def seeds(statements: list[Statement]) -> Iterator[str]:
    """What stands behind random_seed, everywhere."""
    for statement in statements:
        if statement.words[0] == "random_seed" and not statement.own:
            yield statement.words[1]
        yield from seeds(statement.children or [])


def invalid(said: str) -> list[str]:
    """The words keepalived told of."""
    return re.findall(r"invalid number '(.*)'", said)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tree]:
    monkeypatch.chdir(tmp_path)
    name = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.split(".")[0].strip()
    return lambda text: parse_text(text, ids=[name])


def test_both_read_the_same_words(
    tree: Callable[[str], Tree], keepalived_says_each: Callable[[list[str]], list[str]]
) -> None:
    theirs = keepalived_says_each(list(TEXTS.values()))
    ours = [tree(text) for text in TEXTS.values()]
    assert {name: one.problems for name, one in zip(TEXTS, ours) if one.problems} == {}
    read = {name: list(seeds(one.statements)) for name, one in zip(TEXTS, ours)}
    assert read == {name: invalid(one) for name, one in zip(TEXTS, theirs)}
    assert all(read.values())


WRONG = {
    "stray brace": ("global_defs {\n}\n}\n", "3:1: a } too much"),
    "brace without a keyword": ("{\n}\n", "1:1: a { without a keyword"),
    "second brace": ("global_defs {\n{\n}\n}\n", "2:1: a { without a keyword"),
    "no end": ("global_defs {\n router_id a\n", "1:1: the block 'global_defs' has no end; add its }"),
    "no end inside": (
        "vrrp_instance V {\n virtual_ipaddress {\n 192.0.2.1\n}\n",
        "1:1: the block 'vrrp_instance V' has no end",
    ),
    "quote without end": ('global_defs {\n router_id "a b\n}\n', '2:12: it has a double quote (")'),
    "long line": ("global_defs {\n router_id " + "a" * 1100 + "\n}\n", "2:1: the line is longer than 1023 bytes"),
    "long comment": ("# " + "a" * 1100 + "\nglobal_defs {\n}\n", "1:1: the line is longer than 1023 bytes"),
    "undefined in braces": (
        "$AB=1\n" + BLOCK % "router_id ${BA}",
        "3:2: the parameter ${BA} is not defined; it can be AB",
    ),
    "sequence without numbers": (BLOCK % "~SEQ(A) router_id x$A", "2:2: '' are not the numbers"),
    "sequence of the wrong direction": (
        BLOCK % "~SEQ(A, 1, -1, 5) router_id x$A",
        "2:2: steps of -1 never come from 1 to 5",
    ),
    "sequence without steps": (BLOCK % "~SEQ(A, 1, 0, 5) router_id x$A", "2:2: steps of 0 never come"),
    "list without values": (BLOCK % "~LST(A) router_id x$A", "2:2: ~LST has no value"),
    "list with quotes": (BLOCK % '~LST(A, "p q", r) router_id y${A}', "cannot be read in ~LST"),
    "missing file of includea": (BLOCK % "includea /nosuch/file", "2:2: no file matches '/nosuch/file'"),
    "missing file with include_check": (BLOCK % "include_check\n include /nosuch/file", "3:2: no file matches"),
}


def test_both_refuse_what_is_wrong(
    tree: Callable[[str], Tree], keepalived_says_each: Callable[[list[str]], list[str]]
) -> None:
    theirs = keepalived_says_each([text for text, _message in WRONG.values()])
    assert [name for name, said in zip(WRONG, theirs) if not said] == []
    for name, (text, message) in WRONG.items():
        found = [str(problem) for problem in tree(text).problems]
        assert any(message in one for one in found), (name, found)


ONLY_OURS = {
    "zero byte": ("global_defs {\n router_id a\0b\n}\n", "2:13: there is a zero byte"),
    "circle of parameters": ("$A=$B\n$B=$A\n" + BLOCK % "router_id $A", "its parameters contain themselves"),
    "parameter that grows": ("$A=${A}x${A}\n" + BLOCK % "router_id $A", "longer than 1023 characters"),
    "list with too few values": (BLOCK % "~LST({A,B}, {p}) router_id y$A", "~LST has 2 names and the values p"),
    "braces in an own line": (BLOCK % "@lvs_agent rise {", "a line of @lvs_agent cannot have braces"),
    "continuation": ("global_defs {\n router_id a \\\n}\n", "2:14: the line ends with a backslash"),
    "not UTF-8": ("global_defs {\n router_id \udce9\n}\n", "2:12: this word is not UTF-8"),
    "missing file": (BLOCK % "include /nosuch/file", "warning: no file matches '/nosuch/file'"),
    "environment": (BLOCK % "router_id x${_ENV NO_SUCH_VARIABLE}", "warning: the environment has no variable"),
}


@pytest.mark.parametrize("text, message", ONLY_OURS.values(), ids=list(ONLY_OURS))
def test_what_keepalived_would_not_tell(text: str, message: str, tree: Callable[[str], Tree]) -> None:
    assert message in " ".join(str(problem) for problem in tree(text).problems)


def test_a_line_for_keepalived_alone(
    tree: Callable[[str], Tree], keepalived_says_each: Callable[[list[str]], list[str]]
) -> None:
    text = BLOCK % "@^lvs_agent random_seed theirs\n random_seed x"
    assert list(seeds(tree(text).statements)) == ["x"]
    assert invalid(keepalived_says_each([text])[0]) == ["theirs", "x"]


def test_a_comment_may_be_anything(tree: Callable[[str], Tree]) -> None:
    found = tree("# caf\udce9\nglobal_defs { # \udce9 \u00e9\n router_id a # \udce9\n}\n")
    assert found.problems == []
    assert [one.words for one in found.statements[0].children or []] == [["router_id", "a"]]


@pytest.mark.parametrize(
    "text, words",
    [
        (BLOCK % "router_id a${_HASH}b${_BANG}", ["router_id", "a#b!"]),
        (BLOCK % "router_id ${_ENV SITE}", ["router_id", "north"]),
        (BLOCK % "router_id ${_RANDOM 7 7}", ["router_id", "7"]),
    ],
)
def test_newer_parameters(text: str, words: list[str]) -> None:
    found = parse_text(text, environment={"SITE": "north"})
    assert [one.words for one in found.statements[0].children or []] == [words]


def files(folder: Path, **texts: str) -> str:
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(folder / "main")


def test_includes(tmp_path: Path, keepalived_says: Callable[[str], str]) -> None:
    inner = {
        "sub__a": "random_seed one\ninclude b\n",
        "sub__b": "random_seed ${_PWD}\n",
        "sub__c": "random_seed three\n",
    }
    main = (
        "$F=sub/c\nglobal_defs {\n include sub/a\n include sub/[c]\n @^x include $F\n include {sub/c,sub/nosuch}\n}\n"
    )
    found = parse_file(files(tmp_path, main=main, **inner))
    read = [seed.replace(f"{tmp_path}/", "") for seed in seeds(found.statements)]
    assert read == ["one", "sub", "three", "three", "three"]
    assert [str(one).partition(": ")[2] for one in found.problems] == [
        "warning: no file matches 'sub/nosuch'; keepalived reads none here"
    ]
    assert invalid(keepalived_says(main)) == read


def test_a_block_can_end_in_another_file(tmp_path: Path) -> None:
    found = parse_file(files(tmp_path, main="global_defs {\n include rest\n", rest="random_seed h\n}\n"))
    assert found.problems == []
    assert list(seeds(found.statements)) == ["h"]


def test_a_place_in_an_included_file(tmp_path: Path) -> None:
    found = parse_file(files(tmp_path, main="include sub/a\n", sub__a="\n  global_defs {\n}\n}\n"))
    assert str(found.problems[0]).startswith(f"{tmp_path}/sub/a:4:1: a }} too much")


def test_an_include_loop(tmp_path: Path) -> None:
    found = parse_file(files(tmp_path, main="include other\n", other="global_defs {\n}\ninclude main\n"))
    assert "includes itself; end the circle" in str(found.problems[0])
    assert str(found.problems[0]).startswith(f"{tmp_path}/other:3:1: ")


@pytest.mark.parametrize(
    "path, reason", [("/nosuch", "No such file"), ("/", "Is a directory"), ("/dev/zero", "regular")]
)
def test_a_file_that_cannot_be_read(path: str, reason: str) -> None:
    found = parse_file(path)
    assert reason in str(found.problems[0])
    assert found.statements == []
