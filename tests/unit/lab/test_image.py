# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an image is built anew, and that a build leaves a whole image or none."""

from __future__ import annotations

import os
import pkgutil
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from _lab import image, kernel
from _lab.errors import LabError
from _lab.image import ImageInputs, image_key, image_path

INPUTS = ImageInputs(mirror="http://deb.example.org/debian", packages=("vim",), repository_packages=("haproxy",))


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A User Mode Linux and its modules: all that an image takes from this machine."""
    place = tmp_path / "machine"
    (place / "modules/6.1.1").mkdir(parents=True)
    (place / "linux.uml").write_bytes(b"kernel")
    os.utime(place / "linux.uml", (1700000000, 1700000000))
    monkeypatch.setattr(kernel, "PACKAGE_PROGRAM", place / "linux.uml")
    monkeypatch.setattr(kernel, "PACKAGE_MODULES", place / "modules")
    return place


@pytest.mark.parametrize(
    "change",
    [{"suite": "trixie"}, {"mirror": ""}, {"packages": ()}, {"repository_packages": ("haproxy", "nftables")}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_asked_for_names_an_image(change: dict[str, Any]) -> None:
    assert image_key(replace(INPUTS)) == image_key(INPUTS)
    assert image_key(replace(INPUTS, **change)) != image_key(INPUTS)


@pytest.mark.parametrize(
    "change",
    [
        lambda place: (place / "linux.uml").write_bytes(b"a larger kernel"),
        lambda place: os.utime(place / "linux.uml", (1, 1)),
        lambda place: (place / "modules/6.1.2").mkdir(),
    ],
    ids=["kernel's size", "kernel's time", "modules"],
)
def test_what_the_machine_has_names_an_image(machine: Path, change: Callable[[Path], object]) -> None:
    before = image_key(INPUTS)
    change(machine)
    if (machine / "linux.uml").stat().st_size > 6:
        os.utime(machine / "linux.uml", (1700000000, 1700000000))  # the size alone is to tell
    assert image_key(INPUTS) != before


def test_the_recipe_names_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image_key(INPUTS)
    monkeypatch.setattr(pkgutil, "get_data", lambda package, resource: b"another recipe")
    assert image_key(INPUTS) != before


def test_the_kernel_names_it_too() -> None:
    fast = kernel.fast_dir()
    (fast / "modules/6.1.1").mkdir(parents=True)
    shutil.copy2(kernel.PACKAGE_PROGRAM, fast / "linux")  # the command line alone is to tell
    assert image_key(replace(INPUTS, kernel="fast")) != image_key(INPUTS)


def test_what_boots_an_image_is_beside_it(cache: Path) -> None:
    base = image_path(INPUTS)
    base.parent.mkdir(parents=True)
    base.with_name("words").write_text("seccomp=on")
    assert image.program_path(base) == base.parent / "linux"
    assert image.command_line(base) == ["seccomp=on"]


def test_what_is_asked_for_comes_on_top_of_what_a_lab_needs() -> None:
    assert {"vim", "openssh-server", "python3"} <= set(INPUTS.base_packages)
    assert {"haproxy", "keepalived", "ipvsadm"} <= set(INPUTS.offered_packages)


def refuse(argv: list[str], **_more: object) -> str:
    raise LabError(f"{argv[0]} ended with 1")


def test_an_image_that_is_there_is_not_built(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "run", refuse)
    image_path(INPUTS).parent.mkdir(parents=True)
    image_path(INPUTS).touch()
    assert not image.build(INPUTS, print)
    assert image_path(INPUTS).is_relative_to(cache / "images")


def test_a_build_that_fails_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "run", refuse)
    monkeypatch.setattr(image, "detect_mirror", lambda suite: "")
    said: list[str] = []
    with pytest.raises(LabError, match="debootstrap ended with 1"):
        image.build(INPUTS, said.append)
    assert said == ["debootstrap of Debian bookworm (about a minute)"]
    assert [path.name for path in (cache / "images").iterdir()] == ["lock"]


def test_no_room_for_an_image(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2499 << 20))
    with pytest.raises(LabError, match=r"out of disk: .* 2500 MB in .*, 2499 MB are free; .* XDG_CACHE_HOME"):
        image.build(INPUTS, print)


@pytest.mark.parametrize(
    "suite, mirror",
    [("bookworm", "http://deb.example.org/debian/"), ("trixie", ""), ("bookworm-security", "")],
)
def test_the_mirror_is_this_machines_own(suite: str, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [
        "http://other.example.org/ bookworm Docker",
        "http://deb.example.org/debian/ bookworm Debian",
        "http://deb.example.org/debian-security/ bookworm-security Debian-Security",
        "",
    ]
    monkeypatch.setattr(image, "run", lambda argv, check: "\n".join(targets))
    assert image.detect_mirror(suite) == mirror
