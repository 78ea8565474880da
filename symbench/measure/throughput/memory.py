"""How much memory a forward pass holds at most: by torch's own allocators, where they can be asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from symbench.base.environment import synchronise
from symbench.base.passes import PeakMemory
from symbench.domains.common.models.program import Program
from symbench.measure.throughput.turns import Forward

QUIET = ("KINETO_LOG_LEVEL", "99")
"""Keeps torch's profiler from writing to stderr: the variable, and its value."""


@dataclass
class Meter:
    """What a forward pass allocated at most, in bytes, once it was entered around one; None: it cannot be known."""

    most: int | None = None


def peak_memory(forward: Forward, inputs: Iterable[Tensor], module: nn.Module, device: str) -> PeakMemory:
    """Run one forward pass and see what it holds at most.

    Args:
        forward: a warm model's.
        inputs: what it is given.
        module: the model's own.
        device: where.

    Raises:
        CellError: the model raised.
    """
    weights = held(tensors_of(module))
    if isinstance(module, Program) and not weights:
        return PeakMemory(peak=None, beyond=None, weights=0, how="the program's memory is not torch's")
    kind = device.partition(":")[0]
    if kind not in METERS:
        return PeakMemory(peak=None, beyond=None, weights=weights, how=f"torch keeps no peak on {kind}")
    around, how = METERS[kind]
    meter = Meter()
    forward(lambda: around(device, meter))
    beyond = None if meter.most is None else meter.most + held(inputs)
    return PeakMemory(peak=None if beyond is None else weights + beyond, beyond=beyond, weights=weights, how=how)


def tensors_of(module: nn.Module) -> list[Tensor]:
    """What a module holds: parameters, buffers, and plain attributes, as of weights that are packed for a library."""
    plain = [x for each in module.modules() for x in vars(each).values() if isinstance(x, Tensor)]
    return [*module.parameters(), *module.buffers(), *plain]


def held(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, those that share memory counted once."""
    found: dict[object, int] = {}
    for x in tensors:
        if x.is_mkldnn:  # its memory cannot be looked at
            found[id(x)] = x.numel() * x.element_size()
        else:
            found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
    return sum(found.values())


@contextlib.contextmanager
def on_cuda(device: str, meter: Meter) -> Iterator[None]:
    """Ask CUDA's allocator what was held at most beyond what was held before."""
    synchronise(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield
    synchronise(device)
    meter.most = torch.cuda.max_memory_allocated(device) - before


@contextlib.contextmanager
def on_cpu(device: str, meter: Meter) -> Iterator[None]:
    """Follow what torch allocates and frees, in its order. What the process holds at most would be another's peak."""
    del device
    with quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        yield
    results: Any = profiled.profiler
    events = [e for e in results.kineto_results.events() if e.name() == "[memory]"]
    meter.most, now = 0, 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        meter.most = max(meter.most, now)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While torch's profiler starts, which else writes lines to stderr."""
    name, value = QUIET
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


METERS: dict[str, tuple[Callable[[str, Meter], contextlib.AbstractContextManager[None]], str]] = {
    "cuda": (on_cuda, "torch's CUDA allocator"),
    "cpu": (on_cpu, "torch's CPU allocator, by its profiler"),
}
"""By kind of device: what is entered around a forward pass, and what that asks."""


def free_bytes(device: str) -> int | None:
    """Bytes that are free on a device; None where it cannot be known."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = [line.split() for line in lines if line.startswith("MemAvailable:")]
        return int(found[0][1]) * 1024 if found else None
    return None
