"""A table of images: a CSV file with a column of paths and, if there are labels, one of labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.base.events import Listener, ignore
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.images.datasets.facts import Files
from symbench.domains.images.datasets.naming import unused
from symbench.domains.images.datasets.pictures import Pictures

NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")
LARGEST = 1e9
"""What is larger is no class index."""


def load(
    *,
    path: str,
    split: str,
    image: str,
    label: str | None,
    delimiter: str,
    channels: int,
    folder: Path = Path(),
    where: str = "",
    listen: Listener = ignore,
) -> Pictures:
    """The images that a CSV file with a header names.

    Args:
        path: the file, relative to the suite's folder; ``{split}`` in it stands for the split.
        split: ``train`` or ``test``.
        image: the column of paths, relative to the file's own folder.
        label: the column of labels; without it there are none. Whole numbers are class indices, anything else is a
            name, and the sorted names are the classes.
        delimiter: what stands between columns.
        channels: 1 for grey, 3 for RGB.
        folder: what a relative ``path`` starts from.
        where: the suite's key, for messages.
        listen: hears how far the looking through them has come.

    Raises:
        ConfigError: the file cannot be read, a column is missing, or a row has no image or no label.
    """
    where = where or "csv"
    file = checked_path(folder, path, split, key="path", where=where)
    names, texts, lines, columns = _columns(file, image, label, delimiter, where)
    if label is None:
        remarks = unused("label", "label", columns, where)
        return Pictures(
            Files(file.parent, names), None, channels=channels, where=where, remarks=remarks, listen=listen
        )
    targets, classes = class_indices(texts, lambda i: f"{file.name}:{lines[i]}", where)
    return Pictures(
        Files(file.parent, names), targets, classes=classes, channels=channels, where=where, listen=listen
    )


def class_indices(texts: Sequence[str], row: Callable[[int], str], where: str) -> tuple[np.ndarray, list[str] | None]:
    """Labels as class indices: whole numbers as they are, names by their position among the sorted names.

    Whole numbers may be written as ``3.0``, as pandas does where a column had a gap. Where most labels are numbers
    all have to be, lest one odd label give every class another index. Numbers of ten digits and more are names.

    Args:
        texts: the labels.
        row: what to call the row of each, for messages.
        where: the suite's key, likewise.

    Raises:
        ConfigError: most labels are numbers, and one is negative, a fraction or a name.
    """
    classes = sorted(set(texts))
    numbers = {text: float(text) for text in classes if NUMBER.fullmatch(text)}
    if 2 * len(numbers) > len(classes) and max(numbers.values()) < LARGEST:
        for i, text in enumerate(texts):
            if not (numbers.get(text, -1.0) >= 0 and numbers[text].is_integer()):
                got, remedy = f"{row(i)}: label {quoted(text)} among numbers", "Leave the row out, or give all names."
                raise ConfigError(Problem(where, got, "class indices, 0 or more, in every row", remedy))
        return np.array([int(numbers[text]) for text in texts]), None
    index_of = {name: i for i, name in enumerate(classes)}
    return np.array([index_of[text] for text in texts]), classes


def _columns(
    path: Path, image: str, label: str | None, delimiter: str, where: str
) -> tuple[list[str], list[str], list[int], Sequence[str]]:
    """Paths, labels and lines, row by row, and the names of all columns."""
    names, texts, lines = [], [], []
    wanted = [image] if label is None else [image, label]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            columns = reader.fieldnames or []
            _check_header(columns, wanted, path, where)
            for row in reader:
                values = [(row[column] or "").strip() for column in wanted]
                if "" in values:
                    got = f"{path.name}:{reader.line_num}: nothing in column {quoted(wanted[values.index('')])}"
                    raise ConfigError(Problem(where, got, "a path and a label in every row" if label else "a path"))
                if "\0" in values[0]:
                    got = f"{path.name}:{reader.line_num}: {quoted(values[0])} holds a null byte"
                    raise ConfigError(Problem(where, got, "a path"))
                names.append(values[0])
                texts.append(values[-1])
                lines.append(reader.line_num)
    except OSError as error:
        raise ConfigError(Problem(where, f"{path} cannot be read: {error.strerror or error}")) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(Problem(where, f"{path.name} is no CSV file in UTF-8: {error}")) from error
    if not names:
        raise ConfigError(Problem(where, f"{path.name} has no rows", "a header, and a row for every image"))
    return names, texts, lines, columns


def _check_header(columns: Sequence[str], wanted: Sequence[str], path: Path, where: str) -> None:
    for column in wanted:
        if column not in columns:
            got, expected = f"{path.name} has no column {quoted(column)}", f"one of {one_of(columns) or 'none'}"
            raise ConfigError(Problem(where, got, expected, near_miss(column, columns)))
