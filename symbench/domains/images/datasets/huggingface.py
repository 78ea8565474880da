"""Image datasets of Hugging Face's ``datasets``: a folder that it saved, or a name that is in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from symbench.base.code import foreign, require
from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.base.events import Listener, ignore
from symbench.domains.images.datasets.csv import class_indices
from symbench.domains.images.datasets.decode import Unreadable
from symbench.domains.images.datasets.facts import Source
from symbench.domains.images.datasets.naming import unused
from symbench.domains.images.datasets.pictures import Pictures
from symbench.domains.images.datasets.remembered import Stamp, stamp_of

OTHERWISE = {"test": "validation"}
"""The split that stands in for one that a dataset does not have."""


class Rows(Source):
    """The encoded images in a column of a table, or the files that it names."""

    noun = "rows"

    def __init__(self, table: Any, column: str) -> None:
        self.table = table
        self.column = column
        chunks = table.data.column(column).chunks
        self.embedded = all(chunk.field("bytes").null_count == 0 for chunk in chunks)
        stamps = [stamp_of(Path(file["filename"])) for file in table.cache_files]
        names = b"\0".join(stamp.key for stamp in stamps)
        self.whole = Stamp(
            names + f"\0{table._fingerprint}\0{column}".encode(),
            sum(stamp.size for stamp in stamps),
            max((stamp.modified for stamp in stamps), default=0),
            max((stamp.changed for stamp in stamps), default=0),
        )

    def __len__(self) -> int:
        return len(self.table)

    def name(self, index: int) -> str:
        """What to call a row in messages: ``row 7``."""
        return f"row {index}"

    def stamp(self, index: int) -> Stamp:
        """The stamp of the table's files and the row, or of the file that the row names."""
        if not self.embedded:
            path = self._value(index).get("path")
            if path:
                return stamp_of(Path(path))
        return self.whole._replace(key=self.whole.key + f"\0{index}".encode())

    def read(self, index: int) -> bytes:
        """The bytes that the row holds or names."""
        value = self._value(index)
        if value.get("bytes") is not None:
            return bytes(value["bytes"])
        if not value.get("path"):
            raise Unreadable("there is no image")
        return Path(value["path"]).read_bytes()

    def _value(self, index: int) -> dict[str, Any]:
        return self.table[index][self.column] or {}


def load(
    *,
    path: str,
    split: str,
    image: str,
    label: str | None,
    channels: int,
    download: bool,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Pictures:
    """The images of a dataset.

    Args:
        path: a folder that ``save_to_disk`` wrote or that holds data files, relative to the suite's; or else the name
            of a dataset that was downloaded before.
        split: of those that the dataset has; where it has no ``test``, its ``validation``.
        image: the column of images.
        label: the column of labels, class indices or names; without it there are none.
        channels: 1 for grey, 3 for RGB.
        download: fetch a dataset that is not in the cache.
        folder: what a relative ``path`` starts from.
        where: the suite's key, for messages.
        listen: hears how far the looking through them has come.

    Raises:
        ConfigError: ``datasets`` is not installed, the dataset is not there, or it has no such split or column.
    """
    where = where or "huggingface"
    library: Any = require("datasets", "huggingface", where)
    library.disable_progress_bars()
    remedy = None if download or (folder / path).exists() else "Set download: true to fetch it."
    with foreign(ConfigError, where, f"loading {path}", "a folder or a dataset in Hugging Face's cache", remedy):
        splits = _opened(library, folder / path, path, download=download)
    table = _split(splits, split, path, where)
    for column in [image] if label is None else [image, label]:
        if column not in table.column_names:
            got, expected = f"{path} has no column {quoted(column)}", f"one of {one_of(table.column_names)}"
            raise ConfigError(Problem(where, got, expected, near_miss(column, table.column_names)))
    kind = table.features[image]
    if not isinstance(kind, library.Image):
        got = f"column {quoted(image)} of {path} holds {type(kind).__name__}"
        raise ConfigError(Problem(where, got, "a column of images"))
    if not len(table):
        raise ConfigError(Problem(where, f"split {split!r} of {path} is empty", "at least one row"))
    labels, classes = (None, None) if label is None else _labels(table, label, where)
    with foreign(ConfigError, where, f"reading {path}"):
        images = table.select_columns([image]).cast_column(image, library.Image(decode=False))
        source = Rows(images, image)
    remarks = unused("label", "label", table.column_names, where) if label is None else []
    return Pictures(source, labels, classes=classes, channels=channels, where=where, remarks=remarks, listen=listen)


def _opened(library: Any, saved: Path, name: str, *, download: bool) -> Any:
    """A dataset, or a dictionary of its splits."""
    if any((saved / mark).is_file() for mark in ("state.json", "dataset_dict.json")):
        return library.load_from_disk(str(saved))
    if saved.exists() or download:
        return library.load_dataset(str(saved) if saved.exists() else name)
    with _offline(library):
        return library.load_dataset(name)


@contextmanager
def _offline(library: Any) -> Iterator[None]:
    """Keep ``datasets`` from fetching anything, and from asking whether there is something newer."""
    before = library.config.HF_HUB_OFFLINE
    library.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        library.config.HF_HUB_OFFLINE = before


def _split(splits: Any, split: str, path: str, where: str) -> Any:
    """One split of a dataset that has several, or the only one."""
    if not isinstance(splits, dict):
        if split == "train":
            got = f"{path} is one split"
            raise ConfigError(Problem(where, got, "a dataset with a training split, to train on it"))
        return splits
    name = split if split in splits else OTHERWISE.get(split, split)
    if name not in splits:
        expected = f"one of {one_of(splits)}"
        raise ConfigError(Problem(where, f"{path} has no split {quoted(split)}", expected, near_miss(split, splits)))
    return splits[name]


def _labels(table: Any, column: str, where: str) -> tuple[np.ndarray, list[str] | None]:
    """The labels as class indices, and the classes' names where they have some."""
    values = table.select_columns([column])[:][column]
    if None in values:
        raise ConfigError(Problem(where, f"row {values.index(None)} has no {column}", "a label in every row"))
    if all(isinstance(value, str) for value in values):
        return class_indices(values, lambda i: f"row {i}", where)
    if not all(isinstance(value, int) for value in values):
        raise ConfigError(Problem(where, f"column {quoted(column)} holds no labels", "class indices or names"))
    labels = np.array(values, dtype=np.int64)
    if labels.min() < 0:
        got, remedy = f"row {int(labels.argmin())} has label {labels.min()}", "Leave label: out if it has no labels."
        raise ConfigError(Problem(where, got, "0 or more", remedy))
    return labels, getattr(table.features[column], "names", None)
