"""Encoded images as a dataset: each is decoded once, into the pixel cache, and in the next run not at all."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

import numpy as np
import torch
from PIL import Image as Pil

from symbench.algebra.fields import Category
from symbench.base.errors import ConfigError, DataError, Interrupted, Problem
from symbench.base.events import Advanced, Finished, Listener, Started, ignore, never
from symbench.base.slices import ahead, slices
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.some import spread
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.images.datasets import cache, decode
from symbench.domains.images.datasets.cache import FREE, Entry
from symbench.domains.images.datasets.decode import Unreadable
from symbench.domains.images.datasets.facts import WINDOW, Source, gather, no_memory, remember_decoded, workers
from symbench.domains.images.datasets.naming import SHOWN, first_few, short
from symbench.domains.images.datasets.pixels import Use
from symbench.domains.images.fields import Image

CHUNK = 512
"""Images between two visits to the disk: what a killed run decodes again."""
LARGEST = 256 << 20
"""Bytes of pixels in hand at once."""
MOST_ATTEMPTS = 5
"""Times that images are decoded into the pixel cache before it is taken for broken."""


class Pictures(Dataset):
    """Images that have to be decoded, with or without labels.

    A sample's index is its position in the source. What cannot be read is left out, counted and named; its index
    stays unused. Pixels are 8 bits a channel after they were brought to the canvas, and a batch is ``uint8 / 255``.
    """

    fixed = True

    def __init__(
        self,
        source: Source,
        labels: Sequence[int] | np.ndarray | None,
        *,
        classes: Sequence[str] | None = None,
        channels: int = 3,
        where: str = "dataset",
        remarks: Sequence[str] = (),
        listen: Listener = ignore,
    ) -> None:
        """Look at every image, without decoding more than it takes to see that one can be.

        Args:
            source: the images.
            labels: the class index of each; None where there are none.
            classes: the names of the classes.
            channels: 1 for grey, 3 for RGB.
            where: the suite's key, for messages.
            remarks: what people should be told about them.
            listen: hears how far the looking has come.

        Raises:
            ConfigError: none of them can be read.
        """
        self.source = source
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        self.fields = {"image": Image()}
        self.targets = {} if self.labels is None else {"label": Category(_count(self.labels, classes))}
        self.classes = classes
        self.channels = channels
        self.where = where
        cache.limit_bytes()  # a limit that is none is said before any work
        self.facts = gather(source, f"looking through {where.rpartition('.')[2]}", listen)
        self.unusable = self.facts.reasons
        self._said = list(remarks)
        self._use = Use()
        self._images = self.facts.digest()
        self._entries: dict[Canvas | None, Entry] = {}
        self._tried: dict[int, Pil.Image] = {}
        self._try_one()

    def labels_at_hand(self, target: str) -> np.ndarray | None:
        """All of them, where there are some."""
        del target
        return self.labels

    def called(self, index: int) -> str:
        """The name that its source has for it."""
        return self.source.name(index)

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """The samples' pixels from the cache; those that are not there yet are decoded."""
        found = self.stored(indices, canvas=canvas)
        return Batch(found.made(), found.targets)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored:
        """The same in 8 bits, as they stand in the cache."""
        rows = np.asarray(indices, dtype=np.int64)
        for index in rows.tolist() if self.unusable else ():
            if index in self.unusable:
                got = f"{short(self.source.name(index))} cannot be read: {self.unusable[index]}"
                raise DataError(Problem(f"{self.where}, sample {index}", got))
        entry = self._entry(canvas)
        # Once as a rule; again where another process made room meanwhile, or a row was altered on the disk.
        for attempt in itertools.count():
            if not entry.missing(rows).any():
                break
            if attempt == MOST_ATTEMPTS:
                raise DataError(Problem(self.where, "the pixel cache does not give back what is written", None, FREE))
            self.prepare(rows.tolist(), [canvas])
            # Decoding has shown that one of them cannot be: asked again, the first lines above say which.
            if not self.unusable.keys().isdisjoint(rows.tolist()):
                return self.stored(indices, canvas=canvas)
        pixels = torch.from_numpy(entry.read(rows))
        labels = {} if self.labels is None else {"label": torch.from_numpy(self.labels[rows])}
        return Stored({"image": pixels}, labels, {"image": 255})

    def digest(self) -> str:
        """SHA-256 of the images' bytes, of how they are decoded, and of labels and classes; nothing is decoded."""
        # Our version of decoding and not Pillow's, so that an upgrade of Pillow makes no cell stale here. The pixel
        # cache's keys have both, for there the pixels themselves are kept.
        digest = hashlib.sha256(f"{self._images} {self.channels} {decode.VERSION}\0".encode())
        if self.labels is not None:
            digest.update(self.labels.astype("<i8").tobytes())
        for name in self.classes or ():
            digest.update(name.encode(errors="backslashreplace") + b"\0")
        return digest.hexdigest()

    def shapes(self, *, canvas: Canvas | None = None) -> dict[str, tuple[int, ...]]:
        """The images' shape, known without decoding any.

        Raises:
            ConfigError: there is no canvas, and the images have several sizes.
        """
        width, height = self._size() if canvas is None else (Frame.of(canvas).side,) * 2
        return {"image": (self.channels, height, width)}

    def pending(self, indices: Sequence[int], canvases: Sequence[Canvas | None]) -> int:
        """How many of these images :meth:`prepare` would decode."""
        return len(self._missing(np.asarray(indices, dtype=np.int64), [self._entry(c) for c in canvases]))

    def room(self, indices: Sequence[int], canvases: Sequence[Canvas | None]) -> int:
        """Bytes that the pixel cache lacks of these images."""
        rows = np.asarray([index for index in indices if index not in self.unusable], dtype=np.int64)
        return sum(int(entry.missing(rows).sum()) * entry.row_bytes for entry in self.entries(canvases))

    def entries(self, canvases: Sequence[Canvas | None]) -> list[Entry]:
        """The entries of the pixel cache for these canvases."""
        return [self._entry(canvas) for canvas in canvases]

    def prepare(
        self,
        indices: Sequence[int],
        canvases: Sequence[Canvas | None],
        *,
        listen: Listener = ignore,
        stopped: Callable[[], bool] = never,
    ) -> None:
        """Decode what is not in the cache, several images at once, each one once for all canvases."""
        entries = {canvas: self._entry(canvas) for canvas in canvases}
        missing = self._missing(np.asarray(indices, dtype=np.int64), list(entries.values()))
        if not missing:
            return
        # Of all of our own entries, not only of these: what this run has decoded before must not be dropped for it.
        cache.make_room(self.room(missing, canvases), self._entries.values())
        listen(Started(f"decoding {self.where.rpartition('.')[2]}", len(missing), "images"))
        try:
            with decode.quiet(), ThreadPoolExecutor(workers()) as pool:
                for chunk in slices(len(missing), CHUNK):
                    if stopped():
                        got = f"stopped after {chunk.start:,} of {len(missing):,} images"
                        raise Interrupted(Problem(self.where, got, None, "The same command resumes."))
                    self._fill(missing[chunk], entries, pool, listen)
        finally:
            listen(Finished())

    @classmethod
    def make_room(cls, wanted: Sequence[tuple[Self, Sequence[int], Sequence[Canvas | None]]]) -> None:
        """Ask the pixel cache once for the room that all of them will take."""
        needed = sum(pictures.room(indices, canvases) for pictures, indices, canvases in wanted)
        if needed:
            keep = [entry for pictures, _, canvases in wanted for entry in pictures.entries(canvases)]
            cache.make_room(needed, keep)

    def remarks(self) -> list[str]:
        """Sentences about images that cannot be read, cached pixels that were altered, and images that seem dark."""
        altered = sum(len(entry.altered) for entry in self._entries.values())
        cached = "1 cached image is" if altered == 1 else f"{altered:,} cached images are"
        said = [*self._said, *([f"{self.where}: {cached} not what was written: decoded again."] if altered else [])]
        said += self._dark()
        if not self.unusable:
            return said
        got = f"{len(self.unusable):,} of {len(self):,} {self.source.noun} cannot be read and are left out"
        return [*said, f"{self.where}: {got}: {self._reasons()}."]

    def _dark(self) -> list[str]:
        """A warning about pixels that use less than a quarter of their range, once there are any in the cache."""
        rows = spread(len(self))
        for entry in () if self._use.samples else self._entries.values():
            there = rows[~entry.missing(rows)]
            if len(there) and not self._use.samples:
                self._use.see(torch.from_numpy(entry.read(there)) / 255, torch.uint8)
        remedy = ": files of 16 bits with fewer in use are dark, and arrays can say range:"
        return self._use.remark(None, self.where, remedy)

    def _reasons(self) -> str:
        """The first few images that cannot be used, each with its reason."""
        return first_few(
            {self.source.name(i): self.unusable[i] for i in sorted(self.unusable)[:SHOWN]}, len(self.unusable)
        )

    def _try_one(self) -> None:
        """See that one of the images can be decoded, and keep it for when its turn comes.

        Raises:
            ConfigError: none can.
        """
        # One is enough: that no file can be decoded, as of a format that this Pillow was built without, is to be said
        # before a run and not after hours of it. All would take those hours.
        hopeful = np.flatnonzero(self._readable())
        if self.facts.decoded[hopeful].any():
            return
        with decode.quiet():
            for index in hopeful.tolist():
                try:
                    self._tried[index] = self._decoded(index)
                    break
                except Unreadable as error:
                    self.facts.reasons[index] = str(error)
        remember_decoded(self.facts, [index for index in hopeful.tolist() if index in self.unusable])
        if not self._tried:
            got = f"none of {len(self):,} {self.source.noun} can be read: {self._reasons()}"
            raise ConfigError(Problem(self.where, got, "at least one image"))

    def _readable(self) -> np.ndarray:
        """Which images can be used as far as is known, bool ``(n,)``."""
        usable = np.ones(len(self), dtype=np.bool_)
        usable[list(self.unusable)] = False
        return usable

    def _size(self) -> tuple[int, int]:
        """The one width and height that all images have."""
        usable = np.flatnonzero(self._readable())
        sizes, first = np.unique(self.facts.sizes[usable], axis=0, return_index=True)
        if len(sizes) > 1:
            some = " and ".join(
                f"{width} x {height} ({short(self.source.name(int(usable[i])))})"
                for (width, height), i in (zip(sizes[[0, -1]].tolist(), first[[0, -1]], strict=True))
            )
            got, remedy = f"images have {len(sizes):,} sizes, such as {some}", "Give every model of them a size."
            raise ConfigError(Problem(self.where, got, "one size", remedy))
        width, height = sizes[0].tolist()
        return width, height

    def _entry(self, canvas: Canvas | None) -> Entry:
        """The entry of the pixel cache with these images on a canvas."""
        if canvas not in self._entries:
            key = cache.entry_key(self._images, canvas, self.channels, decode.version())
            channels, height, width = self.shapes(canvas=canvas)["image"]
            self._entries[canvas] = Entry(key, (len(self), channels, height, width))
        return self._entries[canvas]

    def _missing(self, rows: np.ndarray, entries: Sequence[Entry]) -> list[int]:
        """Which of these images one of the entries lacks, sorted; those that cannot be decoded left out."""
        missing = np.zeros(len(rows), dtype=np.bool_)
        for entry in entries:
            missing |= entry.missing(rows)
        return [index for index in np.unique(rows[missing]).tolist() if index not in self.unusable]

    def _fill(
        self, chunk: Sequence[int], entries: Mapping[Canvas | None, Entry], pool: ThreadPoolExecutor, listen: Listener
    ) -> None:
        """Decode a chunk, for every canvas that lacks it; another process that wants the same waits."""
        with ExitStack() as stack:
            # In one order in every process: two that lock the same two entries the other way round wait for ever.
            for entry in sorted(entries.values(), key=lambda entry: entry.path):
                stack.enter_context(entry.locked())
            # Asked again under the lock: another process may have filled them while this one waited.
            todo = self._missing(np.asarray(chunk, dtype=np.int64), list(entries.values()))
            room = LARGEST // 2 // sum(entry.row_bytes for entry in entries.values())
            windows = [todo[part] for part in slices(len(todo), max(1, min(WINDOW // 2, room)))]
            for window, decoded in ahead(pool, lambda index: self._rows(index, list(entries)), windows):
                good = [(i, images) for i, images in zip(window, decoded, strict=True) if images is not None]
                for number, entry in enumerate(entries.values()):
                    entry.write([i for i, _ in good], (images[number] for _, images in good))
                listen(Advanced(len(window)))
            if len(chunk) > len(todo):
                listen(Advanced(len(chunk) - len(todo)))  # another process has done them
            for entry in entries.values():
                entry.mark([index for index in todo if index not in self.unusable])
        remember_decoded(self.facts, todo)

    def _rows(self, index: int, canvases: Sequence[Canvas | None]) -> list[np.ndarray] | None:
        """An image's pixels on every canvas; None, with the reason noted, where it cannot be decoded."""
        image = self._tried.pop(index, None)  # from several threads at once: pop is atomic, ``in`` and ``[]`` are not
        try:
            image = self._decoded(index) if image is None else image
            if image.size != tuple(self.facts.sizes[index].tolist()):
                raise Unreadable("its pixels are not of the size that its header says")
        except Unreadable as error:
            self.facts.reasons[index] = str(error)
            return None
        self.facts.decoded[index] = True
        return [decode.framed(image, canvas) for canvas in canvases]

    def _decoded(self, index: int) -> Pil.Image:
        """One image, read and decoded anew.

        Raises:
            Unreadable: it cannot be decoded.
            DataError: it cannot be read any more, or has changed since it was looked at.
        """
        name = short(self.source.name(index))
        try:
            data = self.source.read(index)
        except OSError as error:
            raise DataError(
                Problem(self.where, f"{name} cannot be read any more: {error.strerror or error}")
            ) from error
        # The cells' keys hold the digest that was taken at the start: pixels of other bytes must not go under it.
        if hashlib.sha256(data).digest() != self.facts.sha256[index].tobytes():
            raise DataError(Problem(self.where, f"{name} changed while it was in use", None, "Run it again."))
        try:
            return decode.decode(data, self.channels)
        except MemoryError as error:
            raise no_memory(f"{self.where}, {name}") from error


def _count(labels: np.ndarray, classes: Sequence[str] | None) -> int:
    """How many classes there are: as many as have names, or as the labels need."""
    return len(classes) if classes else int(labels.max()) + 1
