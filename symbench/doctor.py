"""What is here and what is not: versions, devices, numeric flags, caches, extras, and what is broken."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from pathlib import Path
from typing import Any

from symbench import __version__
from symbench.actions import ACTIONS
from symbench.datasets import DATASETS
from symbench.datasets.cache import cache_folder
from symbench.environment import PACKAGES, describe
from symbench.groups import GROUPS
from symbench.metrics import METRICS
from symbench.models import MODELS

EXTRAS = {
    "timm": ("timm", "models: timm/NAME"),
    "huggingface": ("transformers", "models: huggingface/NAME, and the Hugging Face datasets"),
    "onnx": ("onnxruntime", "models: FILE.onnx"),
}
"""Each extra of the package: the module that it installs, and what that is good for."""


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
        "numeric_flags": numeric_flags(),
        "folders": {
            "cache": folder_facts(cache_folder()),
            "cached pixels": folder_facts(cache_folder() / "pixels"),
            "results": folder_facts(results),
        },
        "extras": {
            name: {"installed": importlib.util.find_spec(module) is not None, "for": what, "install": install(name)}
            for name, (module, what) in EXTRAS.items()
        },
        "broken": {
            name: reason
            for table in (GROUPS, ACTIONS, DATASETS, MODELS, METRICS)
            for name, reason in table.broken().items()
        },
    }


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "symbench[{extra}]"'


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
    """Where a folder is, what it holds in bytes, what the disk has left, and whether it can be written."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return {
        "path": str(folder),
        "bytes": size,
        "free": shutil.disk_usage(there).free,
        "writable": _writable(there),
    }


def _writable(folder: Path) -> bool:
    import os

    return os.access(folder, os.W_OK)
