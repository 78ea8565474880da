"""Folders of images: one sub-folder for each class, or no labels at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from symbench.base.errors import ConfigError, Problem
from symbench.base.events import Listener, ignore
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.images.datasets.decode import SUFFIXES
from symbench.domains.images.datasets.facts import Files
from symbench.domains.images.datasets.naming import first_few
from symbench.domains.images.datasets.pictures import Pictures

OTHERS = (".heic", ".heif", ".avif", ".jfif", ".jxl", ".jp2")
"""How images end that are not taken."""
SPLITS = ({"train", "test"}, {"train", "val"}, {"train", "test", "val"})
"""Sub-folders that are no classes."""


@dataclass
class Walk:
    """A walk through a folder and all below it, which keeps account of what it left out and why.

    Attributes:
        root: where it starts.
        entered: folders that have been entered, by device and inode, so that each is entered once.
        closed: folders that cannot be opened, with the reason.
        loops: links that lead back to a folder that was entered already.
        others: how many images are of each suffix that is not taken.
    """

    root: Path
    entered: set[tuple[int, int]] = field(default_factory=set)
    closed: dict[str, str] = field(default_factory=dict)
    loops: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def images(self, folder: str = "") -> list[str]:
        """The images in a folder and below it: paths below the root, sorted."""
        paths, waiting = [], [folder]
        while waiting:
            here = waiting.pop()
            for name, is_folder in self.entries(here):
                path = f"{here}/{name}" if here else name
                if is_folder:
                    waiting.append(path)
                elif name.lower().endswith(SUFFIXES):
                    paths.append(path)
                elif name.lower().endswith(OTHERS):
                    self.others[Path(name).suffix.lower()] += 1
        return sorted(paths)

    def entries(self, folder: str) -> Iterator[tuple[str, bool]]:
        """The names in a folder and whether each is a folder; hidden ones left out, none of one entered before."""
        path = Path(self.root, folder)
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in self.entered:
                self.loops += 1
                return
            self.entered.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                names = [(entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            self.closed[folder or "."] = error.strerror or str(error)
            return
        yield from names

    def remarks(self, where: str) -> list[str]:
        """Sentences about what the walk left out."""
        remarks = []
        if self.closed:
            folders = "1 folder is" if len(self.closed) == 1 else f"{len(self.closed):,} folders are"
            remarks.append(f"{where}: {folders} left out, which cannot be opened: {first_few(self.closed)}.")
        if self.loops:
            links = "1 link is" if self.loops == 1 else f"{self.loops:,} links are"
            remarks.append(f"{where}: {links} left out, because the folder behind is read already.")
        if self.others:
            count, shown = (
                self.others.total(),
                ", ".join(f"{name} ({n:,})" for name, n in sorted(self.others.items())),
            )
            images = "1 image is" if count == 1 else f"{count:,} images are"
            remarks.append(f"{where}: {images} left out, whose formats are not taken: {shown}.")
        return remarks


def load(
    *,
    root: str,
    split: str,
    labels: str,
    channels: int,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Pictures:
    """The images below ``root``.

    Sub-folders are the classes, in the order of their sorted names, and what is below them belongs to them. A folder
    that has no sub-folders with images is unlabelled. Names that begin with a dot are left out.

    Args:
        root: the folder, relative to the suite's; ``{split}`` in it stands for the split.
        split: ``train`` or ``test``.
        labels: ``folders``, or ``none`` to take everything below ``root`` as unlabelled.
        channels: 1 for grey, 3 for RGB.
        folder: what a relative ``root`` starts from.
        where: the suite's key, for messages.
        listen: hears how far the looking through them has come.

    Raises:
        ConfigError: there are no images, or none that can be read.
    """
    where = where or "images"
    top = checked_path(folder, root, split, key="root", where=where)
    if not top.is_dir():
        raise ConfigError(Problem(where, f"{top} is a file", "a folder of images"))
    walk = Walk(top)
    names, classes, remarks = _classes(walk) if labels == "folders" else ([], [], [])
    targets = None
    if classes:
        targets = np.repeat(np.arange(len(classes)), [len(paths) for paths in names])
    else:
        walk = Walk(top)
        names = [walk.images()]
    files = [path for paths in names for path in paths]
    if set(classes) in SPLITS:
        held = next(name for name in classes if name != "train")
        remarks.append(f"the classes are {' and '.join(classes)}: did you mean root: {root}/{held}?")
    remarks = [*walk.remarks(where), *(f"{where}: {remark}" for remark in remarks)]
    if not files:
        said = f" ({' '.join(remarks)})" if remarks else ""
        expected = f"files that end in {', '.join(SUFFIXES)}"
        raise ConfigError(Problem(where, f"no images below {top}{said}", expected))
    return Pictures(
        Files(top, files),
        targets,
        classes=classes or None,
        channels=channels,
        where=where,
        remarks=remarks,
        listen=listen,
    )


def _classes(walk: Walk) -> tuple[list[list[str]], list[str], list[str]]:
    """Classes by sub-folders: each one's images, their names, and remarks; empty where no sub-folder has an image."""
    entries = list(walk.entries(""))
    classes = sorted(name for name, is_folder in entries if is_folder)
    names, top = [], set(walk.entered)
    for name in classes:
        walk.entered = set(top)  # a folder may be linked into several classes, and into each once
        names.append(walk.images(name))
    if not any(names):
        return [], [], []
    remarks = []
    empty = [name for name, paths in zip(classes, names, strict=True) if not paths]
    if empty:
        remarks.append(f"classes without images: {first_few(dict.fromkeys(empty, ''))}.")
    beside = sorted(name for name, is_folder in entries if not is_folder and name.lower().endswith(SUFFIXES))
    if beside:
        remarks.append(f"images beside the class folders are left out: {first_few(dict.fromkeys(beside, ''))}.")
    return names, classes, remarks


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: a file that cannot be read
        return False
