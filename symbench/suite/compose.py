"""A suite made of a few names, for those who have none yet: ``symbench run --model M --data D --symmetry S``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from symbench.errors import ConfigError, Problem
from symbench.presets import PRESETS

BY_SUFFIX = {
    ".csv": {"use": "csv"},
    ".npz": {"use": "arrays"},
    ".npy": {"use": "arrays"},
    ".safetensors": {"use": "arrays"},
}
"""What kind of dataset a file is."""


def composed(
    models: Sequence[str], data: Sequence[str], symmetries: Sequence[str], *, folder: Path, size: int | None = None
) -> str:
    """A suite as YAML text: every model on every dataset under every symmetry.

    Args:
        models: what could stand as ``use:`` of a model.
        data: folders of images, files of arrays or tables, or what could stand as ``use:`` of a dataset.
        symmetries: presets, or groups that need no options.
        folder: where the suite will be, which its paths are relative to; names of files are relative to here.
        size: pixels a side, for models that do not say.

    Raises:
        ConfigError: there is none of one kind.
    """
    for option, given in (("--model", models), ("--data", data), ("--symmetry", symmetries)):
        if not given:
            raise ConfigError(Problem(option, "got none", "one or more", "Or name a suite: symbench run suite.yaml"))
    made: dict[str, Any] = {
        "version": 1,
        "name": "run",
        "datasets": _named(data, [_dataset(text, folder) for text in data]),
        "models": _named(models, [_model(text, folder, size) for text in models]),
        "symmetries": _named(symmetries, [_symmetry(text) for text in symmetries]),
    }
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _named(texts: Sequence[str], entries: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entries under names of their own, made from what was typed."""
    found: dict[str, dict[str, Any]] = {}
    for text, entry in zip(texts, entries, strict=True):
        name = short_name(text)
        number = 2
        while name in found:
            name, number = f"{short_name(text)[:60]}-{number}", number + 1
        found[name] = entry
    return found


def short_name(text: str) -> str:
    """``torchvision/resnet18`` to ``resnet18``, ``nets/my net.py:build`` to ``build``: what a suite's key may be."""
    last = re.split(r"[/:\\]", text.rstrip("/\\"))[-1]
    stem = re.sub(r"\.(py|onnx|pt2?|ts|ptc|torchscript|csv|npz|npy|safetensors)$", "", last)
    name = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")
    return name[:64] or "entry"


def _dataset(text: str, folder: Path) -> dict[str, Any]:
    path = Path(text)
    if path.is_dir():
        return {"use": "images", "root": _relative(path, folder)}
    kind = BY_SUFFIX.get(path.suffix.lower())
    if kind is not None:
        return {**kind, "path": _relative(path, folder)}
    return {"use": _code(text, folder)}


def _model(text: str, folder: Path, size: int | None) -> dict[str, Any]:
    path = Path(text)
    entry = {"use": _relative(path, folder) if path.is_file() else _code(text, folder)}
    return entry if size is None else {**entry, "size": size}


def _symmetry(text: str) -> dict[str, Any]:
    try:
        PRESETS.find(text)
    except ConfigError:
        return {"group": text, "on": "image"}
    return {"preset": text}


def _code(text: str, folder: Path) -> str:
    """``file.py:attr`` relative to the suite; everything else as it is."""
    file, colon, attribute = text.rpartition(":")
    return f"{_relative(Path(file), folder)}:{attribute}" if colon and Path(file).is_file() else text


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
