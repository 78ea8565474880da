"""What is said of every picture: maps of classes, drawn once into the pixel cache, and rows about objects."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Category, Field, Grid
from symbench.base.errors import DataError, Interrupted, Problem
from symbench.base.events import Advanced, Finished, Listener, Started
from symbench.base.slices import ahead, slices
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.images.datasets import cache, decode
from symbench.domains.images.datasets.cache import FREE, Entry
from symbench.domains.images.datasets.decode import LONG, Unreadable
from symbench.domains.images.datasets.facts import WINDOW, workers
from symbench.domains.images.datasets.following import IGNORED, followed
from symbench.domains.images.datasets.pictures import CHUNK, MOST_ATTEMPTS

VERSION = 1
"""Raised when the same annotations come to other maps: part of the pixel cache's keys."""
MOST_CLASSES = 255
"""Of a map that is kept in 8 bits, of which 255 stands for places to ignore."""


class Annotation(ABC):
    """One target of every picture of a set.

    Attributes:
        field: of the target.
        reasons: why samples cannot be used, by index; more may turn up in :meth:`prepare`.
        key: SHA-256 of all that it says.
    """

    field: Field
    key: str
    reasons: dict[int, str]

    @abstractmethod
    def batch(self, rows: np.ndarray, canvas: Canvas | None) -> Tensor:
        """The target ``(n, ...)`` of the samples with these indices, as it belongs to them on a canvas."""

    def missing(self, rows: np.ndarray, canvases: Sequence[Canvas | None]) -> list[int]:
        """Which of these samples :meth:`prepare` would draw."""
        del rows, canvases
        return []

    def entries(self, canvases: Sequence[Canvas | None]) -> list[Entry]:
        """What it has of the pixel cache for these canvases."""
        del canvases
        return []

    def room(self, rows: np.ndarray, canvases: Sequence[Canvas | None]) -> int:
        """Bytes that the pixel cache lacks of these samples."""
        return sum(int(entry.missing(rows).sum()) * entry.row_bytes for entry in self.entries(canvases))

    def prepare(
        self, rows: np.ndarray, canvases: Sequence[Canvas | None], listen: Listener, stopped: Callable[[], bool]
    ) -> None:
        """Draw what is not in the cache.

        Raises:
            DataError: a sample's target is wrong.
            Interrupted: ``stopped`` said so; what is done is kept.
        """
        del rows, canvases, listen, stopped


class Rows(Annotation):
    """Some rows of numbers for each picture: its boxes, its points."""

    def __init__(
        self,
        field: Field,
        rows: Sequence[Sequence[Sequence[float]]],
        sizes: np.ndarray,
        key: str,
        *,
        most: int,
        none: Sequence[float],
        reasons: dict[int, str] | None = None,
    ) -> None:
        """Take the rows as they belong to the pictures as they are.

        Args:
            field: of the target.
            rows: of each picture, at most ``most``.
            sizes: ``(n, 2)``, width and height of each picture.
            key: SHA-256 of all that they follow from.
            most: how many rows each sample has.
            none: the row that stands for none.
            reasons: why samples cannot be used.
        """
        self.field, self.sizes, self.key = field, sizes, key
        self.rows = [np.asarray(some, dtype=np.float64).reshape(-1, len(none)) for some in rows]
        self.none = np.tile(np.asarray(none, dtype=np.float64), (most, 1))
        self.reasons = {} if reasons is None else reasons

    def batch(self, rows: np.ndarray, canvas: Canvas | None) -> Tensor:
        """Rows ``(n, most, numbers)``, float64, sample by sample, since pictures have sizes of their own."""
        each = [
            followed(self.field, self._of(index)[None], (height, width), canvas, longest=LONG)
            for index, (width, height) in zip(rows.tolist(), self.sizes[rows].tolist(), strict=True)
        ]
        return torch.cat(each)

    def _of(self, index: int) -> Tensor:
        """The rows of a picture as it is, ``(most, numbers)``."""
        found = self.rows[index]
        return torch.from_numpy(np.concatenate([found, self.none[len(found) :]]))


class Maps(Annotation):
    """A class for every pixel of each picture. Maps are drawn once for each canvas, several at once."""

    def __init__(
        self,
        classes: int,
        draw: Callable[[int], np.ndarray],
        sizes: np.ndarray,
        key: str,
        where: str,
        reasons: dict[int, str] | None = None,
    ) -> None:
        """Take what draws the maps; nothing is drawn yet.

        Args:
            classes: how many there are.
            draw: makes the map ``(h, w)`` of a sample, int64, -1 for places to ignore; called from several threads.
            sizes: ``(n, 2)``, width and height of each picture.
            key: SHA-256 of all that they follow from.
            where: the suite's key, for messages.
            reasons: why samples cannot be used, as far as is known.
        """
        self.field: Field = Category(classes).over(Grid("image"))
        self.draw, self.sizes, self.key, self.where = draw, sizes, key, where
        self.reasons = {} if reasons is None else reasons
        self._entries: dict[Canvas | None, Entry] = {}

    def batch(self, rows: np.ndarray, canvas: Canvas | None) -> Tensor:
        """Classes ``(n, h, w)``, int64, from the cache; those that are not there yet are drawn."""
        entry = self._entry(canvas)
        # As of pictures: again where another process made room meanwhile, or a row was altered on the disk.
        for attempt in itertools.count():
            if not entry.missing(rows).any():
                break
            if attempt == MOST_ATTEMPTS:
                raise DataError(Problem(self.where, "the pixel cache does not give back what is written", None, FREE))
            self.prepare(rows, [canvas], lambda event: None, lambda: False)
            for index in rows.tolist():
                if index in self.reasons:
                    raise DataError(Problem(f"{self.where}, sample {index}", self.reasons[index]))
        maps = torch.from_numpy(entry.read(rows))[:, 0].long()
        return maps.masked_fill_(maps == MOST_CLASSES, IGNORED)

    def missing(self, rows: np.ndarray, canvases: Sequence[Canvas | None]) -> list[int]:
        """Which of these samples an entry lacks, sorted; those that cannot be drawn left out."""
        lacking = np.zeros(len(rows), dtype=np.bool_)
        for entry in self.entries(canvases):
            lacking |= entry.missing(rows)
        return [index for index in np.unique(rows[lacking]).tolist() if index not in self.reasons]

    def entries(self, canvases: Sequence[Canvas | None]) -> list[Entry]:
        """The entries of the pixel cache for these canvases."""
        return [self._entry(canvas) for canvas in canvases]

    def prepare(
        self, rows: np.ndarray, canvases: Sequence[Canvas | None], listen: Listener, stopped: Callable[[], bool]
    ) -> None:
        """Draw what is not in the cache, each map once for all canvases."""
        missing = self.missing(rows, canvases)
        if not missing:
            return
        cache.make_room(self.room(np.asarray(missing), canvases), self._entries.values())
        listen(Started(f"drawing maps of {self.where.rpartition('.')[2]}", len(missing), "maps"))
        try:
            with decode.quiet(), ThreadPoolExecutor(workers()) as pool:
                for chunk in slices(len(missing), CHUNK):
                    if stopped():
                        got = f"stopped after {chunk.start:,} of {len(missing):,} maps"
                        raise Interrupted(Problem(self.where, got, None, "The same command resumes."))
                    self._fill(np.asarray(missing[chunk]), canvases, pool)
                    listen(Advanced(len(missing[chunk])))
        finally:
            listen(Finished())

    def _fill(self, chunk: np.ndarray, canvases: Sequence[Canvas | None], pool: ThreadPoolExecutor) -> None:
        """Draw a chunk, for every canvas that lacks it; another process that wants the same waits."""
        entries = self.entries(canvases)
        with ExitStack() as stack:
            for entry in sorted(
                entries, key=lambda entry: entry.path
            ):  # in one order in every process, as of pictures
                stack.enter_context(entry.locked())
            todo = self.missing(chunk, canvases)
            windows = [todo[part] for part in slices(len(todo), WINDOW // 2)]
            for window, drawn in ahead(pool, partial(self._on_all, canvases=canvases), windows):
                good = [(index, maps) for index, maps in zip(window, drawn, strict=True) if maps is not None]
                for number, entry in enumerate(entries):
                    entry.write([index for index, _ in good], (maps[number] for _, maps in good))
            for entry in entries:
                entry.mark([index for index in todo if index not in self.reasons])

    def _on_all(self, index: int, canvases: Sequence[Canvas | None]) -> list[np.ndarray] | None:
        """A sample's map on every canvas, uint8; None, with the reason noted, where it cannot be drawn."""
        try:
            drawn = torch.from_numpy(self.draw(index))
        except Unreadable as error:
            self.reasons[index] = str(error)
            return None
        width, height = self.sizes[index].tolist()
        on = [followed(self.field, drawn[None], (height, width), canvas, longest=LONG) for canvas in canvases]
        return [(maps & MOST_CLASSES).to(torch.uint8).numpy() for maps in on]  # of which -1 is 255

    def _entry(self, canvas: Canvas | None) -> Entry:
        """The entry of the pixel cache with these maps on a canvas."""
        if canvas not in self._entries:
            width, height = self.sizes.max(0).tolist() if canvas is None else (Frame.of(canvas).side,) * 2
            key = cache.entry_key(self.key, canvas, 1, f"maps {VERSION}")
            self._entries[canvas] = Entry(key, (len(self.sizes), 1, height, width))
        return self._entries[canvas]
