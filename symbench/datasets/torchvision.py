"""Labelled image sets of torchvision."""

from __future__ import annotations

import inspect
from pathlib import Path

from symbench.datasets.items import Items
from symbench.errors import ConfigError, Problem, near_miss, one_of


def load(*, name: str, split: str, root: str, download: bool, folder: Path = Path()) -> Items:
    """``torchvision.datasets.NAME``, read from ``root``; downloaded only when asked.

    Args:
        name: the class in ``torchvision.datasets``.
        split: ``train`` or ``test``, given as ``train=`` or ``split=``, whichever the class takes.
        root: where the files are; relative to the suite's folder.
        download: fetch them if they are missing.
        folder: what a relative ``root`` starts from.

    Raises:
        ConfigError: there is no such class, or its files are missing or broken.
    """
    from torchvision import datasets

    where = f"torchvision/{name}"
    known = [n for n in datasets.__all__ if inspect.isclass(getattr(datasets, n))]
    if name not in known:
        raise ConfigError(Problem(where, f"got {name!r}", f"one of {one_of(known)}", near_miss(name, known)))
    factory = getattr(datasets, name)
    takes = inspect.signature(factory).parameters
    arguments: dict[str, object] = {"root": str(folder / root)}
    if "train" in takes:
        arguments["train"] = split == "train"
    elif "split" in takes:
        arguments["split"] = split
    if "download" in takes:
        arguments["download"] = download
    try:
        source = factory(**arguments)
    except Exception as error:  # torchvision raises RuntimeError, ValueError, OSError and more for bad files
        remedy = f"Set root: to where the files of {name} are" + (
            ", or download: true to fetch them." if "download" in takes else "."
        )
        raise ConfigError(
            Problem(where, f"{error} (looked in {folder / root})".replace("\n", " "), None, remedy)
        ) from error
    classes = vars(source).get("classes") or getattr(type(source), "classes", None)
    return Items(source, where=where, classes=classes if isinstance(classes, (list, tuple)) else None)
