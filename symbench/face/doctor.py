"""What is here and what is not: versions, devices, numeric flags, caches, extras, and what is broken."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symbench import __version__
from symbench.algebra.actions import ACTIONS
from symbench.algebra.controls import CONTROLS
from symbench.algebra.groups import GROUPS
from symbench.algebra.metrics import METRICS
from symbench.base.code import shortened
from symbench.base.environment import PACKAGES, describe, pick_devices
from symbench.base.paths import bytes_taken, cache_folder
from symbench.base.registry import Row, Table
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS

FOLDERS: Table[Row] = Table("folder", Row, {}, entry_points=False)
"""What domains keep between runs: each row names a function that gives a folder and the bytes that it may take."""
EXTRAS = {
    "timm": (["timm"], "models: timm/NAME"),
    "huggingface": (["transformers", "datasets"], "models: huggingface/NAME, and the Hugging Face datasets"),
    "onnx": (["onnxruntime"], "models: FILE.onnx"),
    "escnn": (["escnn"], "models: escnn"),
    "e2cnn": (["e2cnn"], "models: e2cnn"),
}
"""Each extra of the package: the modules that it installs, and what they are good for."""


def examine(results: Path) -> dict[str, Any]:
    """Everything as plain data, for printing.

    Args:
        results: the results folder to look into.
    """
    return {
        "symbench": __version__,
        "python": platform.python_version(),
        "packages": {name: version for name, version in describe("cpu")["packages"].items() if name in PACKAGES},
        "devices": devices(),
        "auto": list(pick_devices("auto")),
        "numeric_flags": numeric_flags(),
        "folders": {
            "cache": folder_facts(cache_folder()),
            **{name: _limited(*row.load()()) for name, row in FOLDERS},
            "results": folder_facts(results),
        },
        "extras": {
            name: {**extra_facts(modules), "for": what, "install": install(name)}
            for name, (modules, what) in EXTRAS.items()
        },
        "broken": {
            name: reason
            for table in (GROUPS, ACTIONS, DATASETS, MODELS, METRICS, CONTROLS)
            for name, reason in table.broken().items()
        },
    }


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "symbench[{extra}]"'


def extra_facts(modules: Sequence[str]) -> dict[str, Any]:
    """Whether an extra's modules are installed, and what is wrong with those that cannot be imported."""
    if any(importlib.util.find_spec(module) is None for module in modules):
        return {"installed": False, "error": None}
    for module in modules:
        try:
            importlib.import_module(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a broken installation does
            return {"installed": True, "error": f"{module}: {shortened(error)}"}
    return {"installed": True, "error": None}


def _limited(folder: Path, limit: int | None) -> dict[str, Any]:
    return {**folder_facts(folder), "limit": limit}


def devices() -> list[dict[str, Any]]:
    """The devices that a suite can name, with their memory in bytes where it is known."""
    import torch

    found: list[dict[str, Any]] = [{"name": "cpu", "is": platform.processor() or platform.machine(), "memory": None}]
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found.append({"name": f"cuda:{index}", "is": facts.name, "memory": facts.total_memory})
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "is": platform.machine(), "memory": None})
    return found


def numeric_flags() -> dict[str, Any]:
    """What torch would compute with if no suite said otherwise; suites set these themselves."""
    import torch

    return {
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
    }


def folder_facts(folder: Path) -> dict[str, Any]:
    """Where a folder is, the bytes that it takes and the disk has left, if it can be written, and what is wrong."""
    try:
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        free, error = shutil.disk_usage(there).free, None
    except OSError as raised:  # too long a name, or below a folder that may not be entered
        there, free, error = None, None, raised.strerror or str(raised)
    size = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # gone since
                status = Path(here, name).lstat()
                size += bytes_taken(status) if stat.S_ISREG(status.st_mode) else 0
    writable = there is not None and os.access(there, os.W_OK)
    return {"path": str(folder), "bytes": size, "free": free, "writable": writable, "error": error}
