# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a configuration that somebody is writing, and one that is too large."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from _lvs_agent.supervisor import reader
from _lvs_agent.supervisor.loop import NEVER, Loop

INSTANCE = """
vrrp_instance V{0} {{
    interface eth0
    virtual_router_id {0}
    priority 100
    virtual_ipaddress {{
        192.0.2.{0}
    }}
}}
"""
OLD = 1_000_000_000


def written(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (OLD, OLD))


def names(result: reader.Result) -> list[str]:
    assert result.settings is not None, result.errors
    return [one.name for one in result.settings.plan.instances]


def test_a_file_that_is_being_written_is_read_again(tmp_path: Path) -> None:
    """Each moment in between looks like a whole file, and the time of its content can be set."""
    path = tmp_path / "keepalived.conf"
    written(path, "")

    def write() -> None:
        for number in range(1, 6):
            time.sleep(0.05)
            with path.open("a") as file:
                file.write(INSTANCE.format(number))
            os.utime(path, (OLD, OLD))

    writer = threading.Thread(target=write)
    writer.start()
    result = reader.read_steady(str(path), "test")
    writer.join()
    assert names(result) == ["V1", "V2", "V3", "V4", "V5"]


def test_an_included_file_too(tmp_path: Path) -> None:
    path, part = tmp_path / "keepalived.conf", tmp_path / "part.conf"
    path.write_text(f"include {part}\n")
    part.write_text(INSTANCE.format(1))
    time.sleep(0.2)
    part.write_text("")
    threading.Timer(0.05, lambda: part.write_text(INSTANCE.format(2))).start()
    assert names(reader.read_steady(str(path), "test")) == ["V2"]


def test_one_that_never_rests_is_refused_and_one_of_the_future_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keepalived.conf"
    path.write_text(INSTANCE.format(1))
    begun = time.monotonic()
    os.utime(path, (1 << 33, 1 << 33))
    assert names(reader.read_steady(str(path), "test")) == ["V1"]
    assert time.monotonic() - begun < 1
    monkeypatch.setattr(reader, "_MOST_READINGS", 4)
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.01):
            path.write_text(INSTANCE.format(1))

    writer = threading.Thread(target=write)
    writer.start()
    result = reader.read_steady(str(path), "test")
    stop.set()
    writer.join()
    assert result.errors == (f"{path}: it changes while it is read; reload when it is written",)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MEMORY", 16 << 20)
    path = tmp_path / "keepalived.conf"
    one = " real_server 10.{0}.{1}.1 80 {{\n  TCP_CHECK {{\n  }}\n }}\n"
    servers = "".join(one.format(number >> 8, number & 255) for number in range(30000))
    path.write_text(f"virtual_server 192.0.2.1 80 {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n{servers}}}\n")
    found: list[reader.Result] = []
    loop = Loop()
    job = reader.read_apart(str(path), "test", NEVER, found.append)
    loop.add(job)
    end = time.monotonic() + 60
    while not found:
        assert time.monotonic() < end
        loop.turn()
    job.close()
    assert found[0].errors == (f"{path}: reading it needs more than 16 MiB of memory; make it smaller",)
