"""Memory kept from batch to batch: page faults counted in a process of its own, with it, before it and after it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from symbench.base.allocation import OWN, kept_buffers

CODE = """
import json, resource
from symbench.base.allocation import kept_buffers

def faults(megabytes=64):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        b"x" * (megabytes << 20)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 4

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

before = faults()
with kept_buffers():
    faults()
    within = faults()
    held = resident()
print(json.dumps({"before": before, "within": within, "after": faults(), "returned": held - resident()}))
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone is told anything")


def measured(**environment: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@glibc
def test_large_buffers_are_kept_within_and_given_back_behind() -> None:
    found = measured()
    pages = (64 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert found["before"] > pages / 2, "each of them is fetched from the kernel"
    assert found["within"] < pages / 20
    assert found["after"] > pages / 2
    assert found["returned"] > 32


@glibc
@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_"])
def test_an_allocator_that_the_environment_sets_is_left_alone(name: str) -> None:
    # numbers at which glibc gives large buffers back as it does by itself
    found = measured(**{name: "65536"})
    assert found["within"] > (64 << 20) // os.sysconf("SC_PAGE_SIZE") / 2


@pytest.mark.parametrize("there", [(), ("mallopt",), ("malloc_trim",)], ids=["neither", "no trim", "no option"])
def test_other_allocators_are_told_nothing(monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...]) -> None:
    told: list[tuple[str, tuple[int, ...]]] = []
    for name in OWN:
        monkeypatch.delenv(name, raising=False)

    def library(_: None) -> SimpleNamespace:
        return SimpleNamespace(**{name: lambda *numbers, name=name: told.append((name, numbers)) for name in there})

    monkeypatch.setattr(ctypes, "CDLL", library)
    with kept_buffers():
        told.append(("within", ()))
    assert told == [("within", ())]


def test_the_test_above_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(AssertionError, match="mallopt"):
        test_other_allocators_are_told_nothing(monkeypatch, ("mallopt", "malloc_trim"))
