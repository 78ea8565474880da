"""A suite made of a few names, for those who have none yet: ``symbench run --model M --data D --symmetry S``."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from symbench.algebra.groups import GROUPS, factors
from symbench.base.errors import ConfigError, Problem, UnknownName, one_of, quoted
from symbench.base.registry import Table
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS
from symbench.domains.common.presets import PRESETS

BY_SUFFIX = {
    ".csv": {"use": "csv"},
    ".npz": {"use": "arrays"},
    ".npy": {"use": "arrays"},
    ".safetensors": {"use": "arrays"},
}
"""What kind of dataset a file is."""


def composed(
    models: Sequence[str],
    data: Sequence[str],
    symmetries: Sequence[str],
    *,
    folder: Path,
    size: int | None = None,
    pretrained: bool = False,
) -> str:
    """A suite as YAML text: every model on every dataset under every symmetry.

    Args:
        models: what could stand as ``use:`` of a model.
        data: folders of images, files of arrays or tables, or what could stand as ``use:`` of a dataset.
        symmetries: presets, or groups that need no options.
        folder: where the suite will be, which its paths are relative to; names of files are relative to here.
        size: pixels a side, for models that do not say.
        pretrained: give models of libraries their pretrained weights.

    Raises:
        ConfigError: there is none of one kind, or a name cannot stand in a suite.
    """
    for option, given in (("--model", models), ("--data", data), ("--symmetry", symmetries)):
        if not given:
            raise ConfigError(Problem(option, "got none", "one or more", "Or name a suite: symbench run suite.yaml"))
        for text in given:
            _check_text(text, option)
    if pretrained and not any(map(_has_weights, models)):
        raise ConfigError(Problem("--pretrained", f"got {', '.join(models)}", "a model of a library among them"))
    made: dict[str, Any] = {
        "version": 1,
        "name": "run",
        "datasets": _named(data, [_dataset(text, folder) for text in data]),
        "models": _named(models, [_model(text, folder, size, pretrained) for text in models]),
        "symmetries": _named(symmetries, [_symmetry(text) for text in symmetries]),
    }
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _named(texts: Sequence[str], entries: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entries under names of their own, made from what was typed."""
    entries_by_name: dict[str, dict[str, Any]] = {}
    for text, entry in zip(texts, entries, strict=True):
        name = short_name(text)
        number = 2
        while name in entries_by_name:
            name, number = f"{short_name(text)[:60]}-{number}", number + 1
        entries_by_name[name] = entry
    return entries_by_name


def short_name(text: str) -> str:
    """``torchvision/resnet18`` to ``resnet18``, ``nets/my net.py:build`` to ``build``: what a suite's key may be."""
    last = re.split(r"[/:\\]", text.rstrip("/\\"))[-1]
    stem = re.sub(r"\.(py|onnx|pt2?|ts|ptc|torchscript|csv|npz|npy|safetensors)$", "", last)
    name = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")
    return name[:64] or "entry"


def _dataset(text: str, folder: Path) -> dict[str, Any]:
    """The entry of a dataset that was named: a folder, a file, code, or a name of the table."""
    path = Path(text)
    if stat.S_ISDIR(_mode(path, "--data")):
        return {"use": "images", "root": _relative(path, folder)}
    kind = BY_SUFFIX.get(path.suffix.lower())
    if kind is not None:
        return {**kind, "path": _relative(path, folder)}
    if ":" not in text:
        _check_name(text, "--data", "a folder or file that is here, or a dataset", DATASETS)
    entry = {"use": _moved(text, folder, "--data")}
    known = DATASETS.built_in(text)
    root = known[0].options.model_fields.get("root") if known else None
    if root is not None and isinstance(root.default, str) and _relative(Path(), folder) != ".":
        entry["root"] = _relative(Path(root.default), folder)
    return entry


def _model(text: str, folder: Path, size: int | None, pretrained: bool) -> dict[str, Any]:
    """The entry of a model that was named: a program's file, code, or a name of the table."""
    path = Path(text)
    there = stat.S_ISREG(_mode(path, "--model"))
    if not there and ":" not in text:
        _check_name(text, "--model", "a program that is here, or a model", MODELS)
    entry: dict[str, Any] = {"use": _relative(path, folder) if there else _moved(text, folder, "--model")}
    if size is not None:
        entry["size"] = size
    return {**entry, "pretrained": True} if pretrained and _has_weights(text) else entry


def _has_weights(text: str) -> bool:
    """Whether a library knows weights for it."""
    known = MODELS.built_in(text) if ":" not in text else None
    return known is not None and "pretrained" in known[0].options.model_fields


def _symmetry(text: str) -> dict[str, Any]:
    if PRESETS.built_in(text) is not None:
        return {"preset": text}
    for factor in factors(text):
        _check_name(factor, "--symmetry", "a preset or a group", GROUPS, PRESETS)
    return {"group": text, "on": "image"}


def _check_name(text: str, option: str, expected: str, *tables: Table[Any]) -> None:
    """Refuse a name that no table has, here where it was typed; plug-ins' names are known without importing them."""
    names = [name for table in tables for name in table.names()]
    if text not in names and all(table.built_in(text) is None for table in tables):
        near = next((near for table in tables if (near := table.near(text))), None)
        raise UnknownName(Problem(option, f"got {quoted(text)}", f"{expected}: one of {one_of(names)}", near))


def _moved(text: str, folder: Path, option: str) -> str:
    """``file.py:attr`` and ``library/./folder`` relative to the suite; everything else as it is."""
    file, colon, attribute = text.rpartition(":")
    if colon:
        return f"{_relative(Path(file), folder)}:{attribute}" if stat.S_ISREG(_mode(Path(file), option)) else text
    library, _, below = text.partition("/")
    if below.startswith(("./", "../")):
        return f"{library}/./{_relative(Path(below), folder)}"
    return text


def _relative(path: Path, folder: Path) -> str:
    """A path as it is from a folder. A link at its end keeps its name: that of what it leads to may say nothing."""
    relative = Path(os.path.relpath(path.parent.resolve() / path.name, folder.resolve())).as_posix()
    _check_text(relative, "--save-suite")
    return relative


def _mode(path: Path, option: str) -> int:
    """What is at a path, as ``st_mode``; 0 for nothing.

    Raises:
        ConfigError: it may not be looked at.
    """
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise ConfigError(Problem(option, f"{path} cannot be opened: {error.strerror}")) from error
    except (OSError, ValueError):
        return 0


def _check_text(text: str, option: str) -> None:
    """Refuse what is no text, as names of files may be."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        remedy = "Rename it, or make a link to it of another name."
        raise ConfigError(Problem(option, f"got {quoted(text)}", "a name in UTF-8", remedy)) from error
