"""Where a run happens: versions, device, commit, numeric flags. Recorded with every run; torch only when asked."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from symbench.base.errors import ConfigError, Problem, near_miss

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SEVERAL = os.name == "posix"
"""Whether several devices can be computed on at once: their processes are handed an open pipe."""
PACKAGES = (
    "symbench", "torch", "torchvision", "numpy", "pandas", "scipy", "statsmodels", "pyarrow", "timm", "transformers",
    "onnxruntime", "escnn", "e2cnn",
)  # fmt: skip


def describe(device: str, folder: Path | None = None, *, devices: int = 1) -> dict[str, Any]:
    """Versions, machine and the commit of a folder, as plain data; no machine names, no paths."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        **hardware(device, devices=devices),
        "commit": commit(folder or Path.cwd()),
    }


def hardware(device: str, *, devices: int = 1) -> dict[str, Any]:
    """What measured times depend on: device, processor and number of threads; of several devices, of each."""
    return {"device": device_name(device), "processor": processor(), "threads": max(1, (threads() or 1) // devices)}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def threads() -> int | None:
    """How many threads torch computes with; those of the machine where torch is not loaded."""
    torch = sys.modules.get("torch")
    return os.cpu_count() if torch is None else int(torch.get_num_threads())


def processor() -> str:
    """The processor's model, as far as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def commit(folder: Path) -> dict[str, Any] | None:
    """The git commit of a folder and whether files differ from it; None outside a repository.

    Files that git knows count wherever they are, and code and suites that it does not know below the folder.
    """
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return None
    known = _git(folder, "status", "--porcelain", "--untracked-files=no")
    unknown = _git(folder, "ls-files", "--others", "--exclude-standard", "--", "*.py", "*.yaml", "*.yml")
    return {"id": head, "dirty": bool(known or unknown)}


def committed(environment: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A run's environment, with the commit of now where its files have been committed since.

    For runs whose cells have the keys that the files give now: what is committed is what was measured.
    """
    before = environment.get("commit")
    now = commit(folder) if before is None or before["dirty"] else None
    return environment if now is None or now["dirty"] else {**environment, "commit": now}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git, no repository, or no answer within ten seconds."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def pick_device(wanted: str, *, where: str = "numerics.device") -> str:
    """``auto`` to ``cuda``, ``mps`` or ``cpu``; any other name is checked.

    Raises:
        ConfigError: this machine has no such device.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = wanted.partition(":")
    if kind not in {"cpu", "cuda", "mps"} or (index and not index.isdecimal()):
        raise ConfigError(
            Problem(
                where,
                f"got {wanted!r}",
                "auto, cpu, mps, cuda or cuda:N",
                near_miss(kind, ["auto", "cpu", "mps", "cuda"]),
            )
        )
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[kind] or (index and int(index) >= torch.cuda.device_count()):
        usable = ", ".join(name for name, yes in there.items() if yes)
        raise ConfigError(
            Problem(where, f"got {wanted!r}, which this machine does not have", f"auto or one of {usable}")
        )
    return wanted


def pick_devices(wanted: str, *, where: str = "numerics.device") -> tuple[str, ...]:
    """All devices that are meant: several names stand with commas, ``auto`` and ``cuda`` mean every GPU there is.

    A name may stand twice, for two processes on one device; of the CPU each gets its share of the threads.

    Raises:
        ConfigError: this machine has no such device, or they are of several kinds.
    """
    names = [name.strip() for name in wanted.split(",")]
    if len(names) == 1:
        device = pick_device(wanted, where=where)
        return _every_gpu() if device == "cuda" else (device,)
    devices = tuple(pick_device(name, where=where) for name in names)
    if not SEVERAL:
        raise ConfigError(Problem(where, f"got {wanted!r}", "one device: this system has no way to use several"))
    kinds = dict.fromkeys(device.partition(":")[0] for device in devices)
    if len(kinds) > 1 or "auto" in names:
        raise ConfigError(
            Problem(where, f"got {wanted!r}", "devices of one kind, such as cuda:0,cuda:1", "Name one kind.")
        )
    return devices


def _every_gpu() -> tuple[str, ...]:
    import torch

    count = torch.cuda.device_count()
    return ("cuda",) if count < 2 or not SEVERAL else tuple(f"cuda:{index}" for index in range(count))


def device_name(device: str) -> str:
    """The hardware's name for a CUDA device, else the device's."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)


def synchronise(device: str) -> None:
    """Wait until the device has done what was asked of it."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()


@contextlib.contextmanager
def current(device: str) -> Iterator[None]:
    """Make a GPU the current one for the time being: streams, events and graphs are its own, if none is named."""
    import torch

    with torch.cuda.device(device) if device.startswith("cuda") else contextlib.nullcontext():
        yield


def sent(x: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device.

    A GPU is not waited for: an ordinary copy to it would first let it finish all that it has been asked to do, one by
    way of pinned memory stands in line with the rest.
    """
    if x.device.type == "cpu" and str(device).startswith("cuda"):
        return x.contiguous().pin_memory().to(device, non_blocking=True)  # views of one number cannot be pinned
    return x.to(device)


def release_memory(device: str) -> None:
    """Give back to the device what is kept of it for later, so that other processes can have it."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def exact_device(device: str) -> str:
    """Where sums are taken in float64: the device itself, or the CPU where it has no float64 (MPS)."""
    return "cpu" if device.startswith("mps") else device


@contextlib.contextmanager
def numeric_flags(*, tf32: bool, deterministic: bool) -> Iterator[None]:
    """Set torch's numeric switches for the time being, and put them back.

    To be entered after a model's code has been imported: that code may have set some of them itself.
    """
    import torch

    cudnn, filling = torch.backends.cudnn, cast(Any, torch.utils.deterministic)
    precisions = _precision_switches()
    before = [(switch, name, getattr(switch, name)) for switch, name, _ in precisions]
    was_benchmark = cudnn.benchmark
    was_deterministic = torch.get_deterministic_debug_mode()
    filled = filling.fill_uninitialized_memory
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    try:
        for switch, name, (off, on) in precisions:
            setattr(switch, name, on if tf32 else off)
        # With benchmark on, cuDNN picks whichever algorithm was quickest just then: another one in the next run.
        cudnn.benchmark = not deterministic
        # Not use_deterministic_algorithms, which imports torch's compiler for a second to tell it as well.
        torch.set_deterministic_debug_mode("warn" if deterministic else "default")
        # Else every output of every layer is filled with NaN before it is computed. What reads memory that nothing
        # has written is found by the control that repeats.
        filling.fill_uninitialized_memory = False
        if deterministic:  # cuBLAS reads it when its handle is made; without it torch warns at every product
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        yield
    finally:
        for switch, name, value in before:
            setattr(switch, name, value)
        cudnn.benchmark = was_benchmark
        torch.set_deterministic_debug_mode(was_deterministic)
        filling.fill_uninitialized_memory = filled
        if workspace is None:
            os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def _precision_switches() -> list[tuple[Any, str, tuple[Any, Any]]]:
    """Each switch that lets float32 be computed as TF32: object, attribute, (off, on).

    torch 2.9 has new ones, and reading the old ones raises where user code has set the new.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    if hasattr(matmul, "fp32_precision"):
        return [(x, "fp32_precision", ("ieee", "tf32")) for x in (matmul, cudnn.conv, cudnn.rnn)]
    return [(x, "allow_tf32", (False, True)) for x in (matmul, cudnn)]
