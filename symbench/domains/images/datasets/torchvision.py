"""Labelled image sets of torchvision."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from symbench.base.code import foreign
from symbench.base.errors import ConfigError, Problem, near_miss, one_of
from symbench.base.events import Listener, ignore
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.images.datasets.facts import Files
from symbench.domains.images.datasets.items import Items
from symbench.domains.images.datasets.pictures import Pictures


def load(
    *,
    name: str,
    split: str,
    root: str,
    download: bool,
    target: str | None = None,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Dataset:
    """``torchvision.datasets.NAME``, read from ``root``; downloaded only when asked.

    Args:
        name: the class in ``torchvision.datasets``.
        split: ``train`` or ``test``, given as ``train=``, ``split=`` or ``image_set=``, whichever the class takes.
        root: where the files are; relative to the suite's folder.
        download: fetch them if they are missing.
        target: what is asked of sets that have several, given as ``target_types=`` or ``target_type=``.
        folder: what a relative ``root`` starts from.
        where: the suite's key, for messages.
        listen: hears how far the looking through files has come.

    Raises:
        ConfigError: there is no such class, or its files are missing or broken.
    """
    from torchvision import datasets

    where = where or f"torchvision/{name}"
    known = [n for n in datasets.__all__ if inspect.isclass(getattr(datasets, n))]
    if name not in known:
        raise ConfigError(Problem(where, f"got {name!r}", f"one of {one_of(known)}", near_miss(name, known)))
    factory = getattr(datasets, name)
    takes = inspect.signature(factory).parameters
    if split == "train" and not {"train", "split", "image_set"} & set(takes):
        raise ConfigError(Problem(where, f"torchvision's {name} has no training split", "a set that has one"))
    arguments: dict[str, object] = {"train": split == "train", "split": split, "download": download}
    arguments["image_set"] = "train" if split == "train" else "val"
    if target is not None:
        if not {"target_types", "target_type"} & set(takes):
            raise ConfigError(Problem(where, f"torchvision's {name} has no several targets", "no target:"))
        arguments |= {"target_types": target, "target_type": target}
    arguments = {key: value for key, value in arguments.items() if key in takes}
    if "root" in takes:
        arguments["root"] = str(folder / root)
    remedy = f"Set root: to where the files of {name} are" if "root" in takes else None
    if remedy:
        remedy += ", or download: true to fetch them." if "download" in takes else "."
    with foreign(ConfigError, where, f"torchvision's {name}, in {folder / root},", None, remedy):
        source = _made(factory, arguments)
    classes = vars(source).get("classes") or getattr(type(source), "classes", None)
    if isinstance(source, datasets.ImageFolder):  # it is files, which are decoded once
        names = [name if isinstance(name, str) else name[0] for name in classes or ()]
        files = Files(Path(source.root), [os.path.relpath(path, source.root) for path, _ in source.samples])
        return Pictures(files, [label for _, label in source.samples], classes=names, where=where, listen=listen)
    if target is not None:  # the names may be those of other targets
        return Items(source, where=where, classes=())
    return Items(source, where=where, classes=classes if isinstance(classes, (list, tuple)) else None)


def _made(factory: Any, arguments: dict[str, object]) -> Any:
    """Make the set; where it calls its test split ``val``, with that name."""
    try:
        return factory(**arguments)
    except ValueError as error:
        if arguments.get("split") == "test" and "val" in str(error):
            return factory(**{**arguments, "split": "val"})
        raise
