"""One GPU kept busy: bare forward passes beside the element loop alone and the whole run, and the loop's profile.

A network of torchvision's with random weights, float32 without TF32, images of 8 bits in one array. ``python -m
bench.gpu --help`` tells how to try it with small sizes on a processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn

from bench.table import Figure, say, show
from symbench.base.environment import synchronise
from symbench.face import cli
from symbench.measure import evaluate
from symbench.measure.evaluate.loop import Loop
from symbench.measure.store import PART

GIB = 1 << 30
START_UP = 6.0
"""Seconds that a process may take before it measures anything, where the case is so small that they count."""
ROUNDS = 3
FOUND = "found.json"
SUITE = """\
version: 1
name: bench
datasets: {{arrays: {{use: arrays, path: images.npy}}}}
models: {{net: {{use: "bench.gpu:net", args: {{name: {model}}}, outputs: {{logits: logits}}}}}}
symmetries: {{turns: {{group: SO2, on: image, elements: {moved}}}}}
numerics: {{device: {device}, tf32: false}}
"""


@dataclass(frozen=True)
class Case:
    """What is measured, and what it may take beside bare forward passes of ``samples x elements``.

    Attributes:
        samples: images.
        elements: rotations, the identity among them.
        side: pixels a side.
        model: of torchvision.
        batch: images in one forward pass.
        device: where.
        whole: the limit of the whole run; None where it is too short to tell.
        loop: the limit of the element loop, likewise.
        free: seconds of the whole run that are not counted.
        seconds: how long each round of bare passes takes.
    """

    samples: int
    elements: int
    side: int = 224
    model: str = "resnet18"
    batch: int = 256
    device: str = "cuda"
    whole: float | None = None
    loop: float | None = None
    free: float = 0.0
    seconds: float = 4.0

    def __str__(self) -> str:
        size = f"{self.samples:,} x {self.elements} rotations"
        return f"{self.model} at {self.side}, {size}"


CASES = (Case(12_288, 24, whole=1.15, loop=1.05), Case(2_048, 8, whole=1.5, free=START_UP))


def net(name: str) -> nn.Module:
    """A network of torchvision's with random weights."""
    torch.manual_seed(0)
    made: nn.Module = torchvision.models.get_model(name, weights=None)
    return made


def figures(*, device: str = "cuda", quick: bool = False) -> Iterator[Figure]:
    """Both cases on a GPU; in a hurry, or on a processor, one of 64 small images."""
    small = Case(64, 4, side=33, batch=16, device=device)
    for case in (small,) if quick or device == "cpu" else CASES:
        yield from of(case)


def of(case: Case) -> Iterator[Figure]:
    """The figures of one case; bare passes are timed before and after the run."""
    with tempfile.TemporaryDirectory() as folder:
        write(case, Path(folder))
        rates = [bare(case) for _ in range(ROUNDS)]
        run = measured(case, Path(folder))
        rates += [bare(case) for _ in range(ROUNDS)]
        profile = measured(case, Path(folder), profiled=True)
    per_pass = [1 / rate for rate in rates]
    passes = case.samples * case.elements
    say(f"{case}: bare {passes * np.median(per_pass):.1f} s, whole {run['whole']:.1f} s, loop {run['loop']:.1f} s")
    loops = [run["loop"] / (case.samples * (case.elements - 1) * each) for each in per_pass]
    wholes = [(run["whole"] - case.free) / (passes * each) for each in per_pass]
    beyond = f" beyond {case.free:g} s" if case.free else ""
    yield Figure.over(f"{case}: bare passes of all", [passes * each for each in per_pass], "s")
    yield Figure(f"{case}: before the first forward pass", run["start"], "s")
    yield Figure.over(f"{case}: element loop over bare", loops, at_most=case.loop)
    yield Figure.over(f"{case}: whole run{beyond} over bare", wholes, at_most=case.whole)
    if profile["busy"] is not None:
        yield Figure(f"{case}: share of the loop that the device is busy", profile["busy"], at_least=0.9)
        yield Figure(f"{case}: peak memory on the device", run["peak"] / GIB, "GiB")


def write(case: Case, folder: Path) -> None:
    """The images, in 8 bits, and the suite."""
    shape = (case.samples, 3, case.side, case.side)
    pixels = np.frombuffer(np.random.default_rng(0).bytes(int(np.prod(shape))), dtype=np.uint8).reshape(shape)
    np.save(folder / "images.npy", pixels)
    moved = SUITE.format(model=case.model, moved=case.elements - 1, device=case.device)
    (folder / "suite.yaml").write_text(moved)


def bare(case: Case) -> float:
    """Images in a second through the network and nothing else, from one batch that stays on the device."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    module = net(case.model).to(case.device).eval()
    images = torch.rand(case.batch, 3, case.side, case.side, device=case.device)
    with torch.inference_mode():
        module(images)
        synchronise(case.device)
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < case.seconds:
            for _ in range(8):
                module(images)
            synchronise(case.device)
            count += 8
        return case.batch * count / (time.perf_counter() - start)


def measured(case: Case, folder: Path, *, profiled: bool = False) -> dict[str, Any]:
    """A run in a process of its own, in seconds from its start; profiled, two parts of it."""
    command = [sys.executable, "-m", "bench.gpu", "--child", str(folder), *(["--profile"] if profiled else [])]
    for name, value in asdict(case).items():
        if name in OPTIONS:
            command += [f"--{name}", str(value)]
    start = time.time()
    subprocess.run([*command, "--begun", str(start)], check=True, stdout=subprocess.DEVNULL)
    took = time.time() - start
    return {**json.loads((folder / FOUND).read_text()), "whole": took}


def child(case: Case, folder: Path, *, begun: float, profiled: bool) -> None:
    """Run the suite of a folder with its loop timed, or the last of its parts profiled."""
    watch = Watch(profiled)
    Loop.part = watch.around(Loop.part)  # type: ignore[method-assign]
    vars(evaluate)["reference_pass"] = watch.noted(vars(evaluate)["reference_pass"])
    results = folder / ("profiled" if profiled else "results")
    limit = ["--limit", str(2 * PART)] if profiled else []
    given = ["--results", str(results), "--batch-size", str(case.batch), *limit]
    status = cli._status(["run", str(folder / "suite.yaml"), *given])
    if status or watch.called is None:
        raise SystemExit(f"the run ended with {status}")
    peak = torch.cuda.max_memory_allocated() if case.device.startswith("cuda") else 0
    found = {"loop": watch.seconds, "busy": watch.busy, "peak": peak, "start": watch.called - begun}
    (folder / FOUND).write_text(json.dumps(found))


class Watch:
    """Times the parts of the element loop, or profiles the last of them."""

    def __init__(self, profiled: bool) -> None:
        self.profiled = profiled
        self.seconds = 0.0
        self.busy: float | None = None
        self.called: float | None = None

    def around(self, part: Callable[..., None]) -> Callable[..., None]:
        """A part of the loop, which waits for the device before it ends."""

        @wraps(part)
        def timed(*arguments: Any) -> None:
            on_gpu = self.profiled and torch.cuda.is_available()
            profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) if on_gpu else None
            with profile or nullcontext():
                start = time.perf_counter()
                part(*arguments)
                took = time.perf_counter() - start
            self.seconds += took
            if profile is not None:
                self.busy = covered(spans(profile)) / took

        return timed

    def noted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A call of which it is noted when it first came."""

        @wraps(call)
        def called(*arguments: Any, **named: Any) -> Any:
            self.called = time.time() if self.called is None else self.called
            return call(*arguments, **named)

        return called


def spans(profile: torch.profiler.profile) -> list[tuple[float, float]]:
    """When kernels and copies ran, in seconds."""
    events = [each for each in profile.events() or () if each.device_type.name == "CUDA"]
    return [(each.time_range.start / 1e6, each.time_range.end / 1e6) for each in events]


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """How long at least one of them lasts: those of several streams overlap."""
    total, last = 0.0, -np.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, last))
        last = max(last, end)
    return total


OPTIONS = {"samples": int, "elements": int, "side": int, "model": str, "batch": int, "device": str, "seconds": float}


def main() -> None:
    """One case of any size, or what the bench starts for it."""
    asked = argparse.ArgumentParser(prog="python -m bench.gpu", description=(__doc__ or "").partition("\n")[0])
    for name, kind in OPTIONS.items():
        asked.add_argument(f"--{name}", type=kind, default=getattr(CASES[0], name, None))
    asked.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--begun", type=float, help=argparse.SUPPRESS)
    asked.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    case = Case(**{name: getattr(given, name) for name in OPTIONS})
    if given.child:
        child(case, given.child, begun=given.begun, profiled=given.profile)
        return
    list(show(of(case)))


if __name__ == "__main__":
    main()
