"""Pictures of which more is said than a class: where what is, what it is about, which point is where."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np

from symbench.base.errors import ConfigError, DataError, Problem
from symbench.base.events import Listener, ignore, never
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.images.datasets import cache
from symbench.domains.images.datasets.annotations import Annotation
from symbench.domains.images.datasets.naming import SHOWN, first_few, short
from symbench.domains.images.datasets.pictures import Pictures


class Annotated(Dataset):
    """Pictures with targets that stand on them, which are brought to every canvas with them.

    What cannot be used of either is left out, counted and named; its index stays unused.
    """

    fixed = True

    def __init__(
        self,
        pictures: Pictures,
        annotations: Mapping[str, Annotation],
        *,
        classes: Sequence[str] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        """Put pictures and annotations together.

        Args:
            pictures: without labels.
            annotations: by the name of the target, of as many samples.
            classes: the names of the classes.
            remarks: what people should be told about them.

        Raises:
            ConfigError: none of them can be used.
        """
        self.pictures = pictures
        self.annotations = annotations
        self.fields = pictures.fields
        self.targets = {name: each.field for name, each in annotations.items()}
        self.classes = classes
        self.unusable = ChainMap(pictures.facts.reasons, *(each.reasons for each in annotations.values()))
        self._said = list(remarks)
        if len(self.unusable) == len(pictures):
            index = min(self.unusable)
            some = f"{short(self.called(index))} ({self.unusable[index]})"
            got = f"none of {len(pictures):,} pictures can be used, such as {some}"
            raise ConfigError(Problem(pictures.where, got, "at least one"))

    def __len__(self) -> int:
        return len(self.pictures)

    def called(self, index: int) -> str:
        """The name of its picture."""
        return self.pictures.called(index)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """The samples' pixels and targets; those that are not there yet are decoded and drawn."""
        found = self.stored(indices, canvas=canvas)
        return Batch(found.made(), found.targets)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored:
        """The same with pixels in 8 bits."""
        for index in indices:
            if index in self.unusable:
                got = f"{short(self.called(index))} cannot be used: {self.unusable[index]}"
                raise DataError(Problem(f"{self.pictures.where}, sample {index}", got))
        found = self.pictures.stored(indices, canvas=canvas)
        rows = np.asarray(indices, dtype=np.int64)
        targets = {name: each.batch(rows, canvas) for name, each in self.annotations.items()}
        return Stored(found.leaves, targets, found.white)

    def digest(self) -> str:
        """SHA-256 of the pictures' digest and of all that is said of them."""
        digest = hashlib.sha256(self.pictures.digest().encode())
        for name, each in sorted(self.annotations.items()):
            digest.update(f"\0{name} {each.key}".encode())
        for name in self.classes or ():
            digest.update(b"\0" + name.encode(errors="backslashreplace"))
        return digest.hexdigest()

    def shapes(self, *, canvas: Canvas | None = None) -> dict[str, tuple[int, ...]]:
        """Those of the pictures."""
        return self.pictures.shapes(canvas=canvas)

    def pending(self, indices: Sequence[int], canvases: Sequence[Canvas | None]) -> int:
        """How many pictures would be decoded, and maps drawn."""
        rows = self._usable(indices)
        maps = sum(len(each.missing(rows, canvases)) for each in self.annotations.values())
        return self.pictures.pending(rows.tolist(), canvases) + maps

    def prepare(
        self,
        indices: Sequence[int],
        canvases: Sequence[Canvas | None],
        *,
        listen: Listener = ignore,
        stopped: Callable[[], bool] = never,
    ) -> None:
        """Decode and draw what is not in the cache."""
        self.pictures.prepare(self._usable(indices).tolist(), canvases, listen=listen, stopped=stopped)
        for each in self.annotations.values():
            each.prepare(self._usable(indices), canvases, listen, stopped)

    @classmethod
    def make_room(cls, wanted: Sequence[tuple[Self, Sequence[int], Sequence[Canvas | None]]]) -> None:
        """Ask the pixel cache once for the room that pictures and maps of all of them will take."""
        needed, keep = 0, []
        for data, indices, canvases in wanted:
            rows = data._usable(indices)
            keep += data.pictures.entries(canvases)
            needed += data.pictures.room(rows.tolist(), canvases)
            for each in data.annotations.values():
                keep += each.entries(canvases)
                needed += each.room(rows, canvases)
        if needed:
            cache.make_room(needed, keep)

    def remarks(self) -> list[str]:
        """Those of the pictures, and what is left out of what is said of them."""
        said = [*self.pictures.remarks(), *self._said]
        own = {index: reason for each in self.annotations.values() for index, reason in each.reasons.items()}
        own = {index: reason for index, reason in own.items() if index not in self.pictures.unusable}
        if own:
            some = {self.called(index): own[index] for index in sorted(own)[:SHOWN]}
            count = "1 picture is" if len(own) == 1 else f"{len(own):,} pictures are"
            said.append(f"{self.pictures.where}: {count} left out: {first_few(some, len(own))}.")
        return said

    def _usable(self, indices: Sequence[int]) -> np.ndarray:
        """Those of these samples that can be used, as far as is known."""
        return np.asarray([index for index in indices if index not in self.unusable], dtype=np.int64)
