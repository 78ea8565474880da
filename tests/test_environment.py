"""Torch's numeric switches: what they are set to, that they are put back, and what setting them must not import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from conftest import CaseOf

from symbench.base.environment import numeric_flags
from symbench.measure.execution.loading import flags
from symbench.measure.suite import load

FILLING = "fill_uninitialized_memory"


def switches() -> tuple[object, ...]:
    return (
        torch.get_deterministic_debug_mode(),
        getattr(torch.utils.deterministic, FILLING),
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.matmul.fp32_precision,
    )


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize(("deterministic", "mode"), [(True, 1), (False, 0)])
def test_switches_are_set_and_put_back(deterministic: bool, mode: int, tf32: bool) -> None:
    before = switches()
    with pytest.raises(ZeroDivisionError), numeric_flags(tf32=tf32, deterministic=deterministic):
        assert switches() == (mode, False, not deterministic, "tf32" if tf32 else "ieee")
        raise ZeroDivisionError
    assert switches() == before


def test_what_users_had_set_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils.deterministic, FILLING, False)
    torch.set_deterministic_debug_mode("error")
    try:
        before = switches()
        with numeric_flags(tf32=False, deterministic=False):
            assert switches() != before
        assert switches() == before
    finally:
        torch.set_deterministic_debug_mode("default")


def test_the_compiler_is_not_imported_for_it() -> None:
    code = (
        "import sys, torch\nfrom symbench.base.environment import numeric_flags\n"
        "with numeric_flags(tf32=False, deterministic=True):\n"
        "    assert torch.are_deterministic_algorithms_enabled()\n"
        "    assert torch.is_deterministic_algorithms_warn_only_enabled()\n"
        "print('torch._inductor' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("device", "told"), [("cuda:1", ["cuda:1", "back"]), ("cpu", []), ("mps", [])])
def test_the_gpu_that_is_named_is_the_current_one_for_the_time_being(
    device: str, told: list[str], case: CaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    @contextmanager
    def made_current(name: str) -> Iterator[None]:
        heard.append(name)
        try:
            yield
        finally:
            heard.append("back")

    monkeypatch.setattr(torch.cuda, "device", made_current)
    with pytest.raises(ZeroDivisionError), flags(load(case("modes").suite), device):
        assert heard == told[:1]
        raise ZeroDivisionError
    assert heard == told
