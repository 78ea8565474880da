"""What is known of encoded images without decoding them, and remembered between runs.

A file is read once for its digest and its header. The digest is remembered by the file's path, size and times, so
that a file that did not change is not even read again; what the bytes are, and whether they could be decoded, is
remembered by the digest.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from symbench.base.errors import DataError, Problem
from symbench.base.events import Advanced, Finished, Listener, Started, ignore
from symbench.base.paths import sha256_file
from symbench.base.slices import slices
from symbench.domains.images.datasets import decode
from symbench.domains.images.datasets.decode import Unreadable
from symbench.domains.images.datasets.remembered import Fact, Memory, Stamp, stamp_of

WINDOW = 64
"""Images in hand at once: what bounds the memory."""
MOST_BYTES = 1 << 30
"""No file that is larger is taken for an image."""
LOOKED_UP = 4096
"""Images between two visits to the database."""


class Source(ABC):
    """Encoded images that are read one by one, from several threads.

    Attributes:
        noun: what they are called when they are counted.
    """

    noun = "files"

    @abstractmethod
    def __len__(self) -> int:
        """The number of images."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What to call an image in messages."""

    @abstractmethod
    def stamp(self, index: int) -> Stamp:
        """The stamp of an image's file, under which its digest is remembered.

        Raises:
            OSError: it cannot be looked at.
            Unreadable: it is nothing that can be read.
        """

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The bytes of one image, as they are encoded.

        Raises:
            OSError: they cannot be read.
            Unreadable: there are none.
        """


class Files(Source):
    """Files below a folder."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100  (resolving would follow links, whose targets may change)
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Its path below the folder."""
        return self.names[index]

    def stamp(self, index: int) -> Stamp:
        """The stamp of the file; one that is too large for an image is refused."""
        stamp = stamp_of(Path(self.root, self.names[index]))
        if stamp.size > MOST_BYTES:
            raise Unreadable(f"it has {stamp.size:,} bytes, more than {MOST_BYTES:,}")
        return stamp

    def read(self, index: int) -> bytes:
        """The file's bytes."""
        return Path(self.root, self.names[index]).read_bytes()


@dataclass
class Facts:
    """Digests, sizes and faults of all images of a source, as arrays.

    Attributes:
        sha256: ``(n, 32)``, uint8, of the bytes; 0 where there are none.
        sizes: ``(n, 2)``, width and height as they are shown, from the headers.
        decoded: ``(n,)``, bool, whether it has been decoded once.
        reasons: why images cannot be used, by index.
    """

    sha256: np.ndarray
    sizes: np.ndarray
    decoded: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)

    @classmethod
    def none(cls, count: int) -> Facts:
        """The facts of ``count`` images of which nothing is known yet."""
        sha256, sizes = np.zeros((count, 32), dtype=np.uint8), np.zeros((count, 2), dtype=np.int32)
        return cls(sha256, sizes, np.zeros(count, dtype=np.bool_))

    def put(self, index: int, fact: Fact) -> None:
        """Set the facts of one image."""
        if fact.sha256:
            self.sha256[index] = np.frombuffer(fact.sha256, dtype=np.uint8)
        self.sizes[index] = fact.width, fact.height
        self.decoded[index] = bool(fact.decoded)
        if fact.reason is not None:
            self.reasons[index] = fact.reason

    def digest(self) -> str:
        """SHA-256 of the images' bytes, in their order."""
        return hashlib.sha256(self.sha256.tobytes()).hexdigest()


def gather(source: Source, task: str = "looking through images", listen: Listener = ignore) -> Facts:
    """The facts of every image of a source: remembered ones looked up, the others read, several at once."""
    listen(Started(task, len(source), "images"))
    try:
        return _gathered(source, listen)
    finally:
        listen(Finished())


def _gathered(source: Source, listen: Listener) -> Facts:
    """:func:`gather`, while the listener hears of it."""
    facts = Facts.none(len(source))
    with Memory() as memory, decode.quiet(), ThreadPoolExecutor(workers()) as pool:
        # In runs, so that a run that is killed among a million files keeps what it has learnt up to the last one.
        for run in slices(len(source), LOOKED_UP):
            here = range(run.start, run.stop)
            fresh: dict[int, Stamp] = {}
            learnt: dict[int, Fact] = {}
            for index, stamp in _stamps(source, here, facts):
                known = memory.fact(memory.digest(stamp))
                if known is None:
                    fresh[index] = stamp
                else:
                    facts.put(index, known)
            # Window by window, so that the listener hears of it as it goes: the pool's map takes all at once.
            unknown = list(fresh)
            for part in slices(len(unknown), WINDOW):
                window = unknown[part]
                looked_at = pool.map(lambda index: _looked_at(source, index), window)
                learnt.update(zip(window, looked_at, strict=True))
                listen(Advanced(len(window)))
            listen(Advanced(len(here) - len(fresh)))
            for index, fact in learnt.items():
                facts.put(index, memory.fact(fact.sha256) or fact)  # the same bytes may have been decoded before
            # What could not be read has no digest and is not remembered: permissions may be given later.
            memory.keep_facts([fact for fact in learnt.values() if fact.sha256])
            memory.keep_digests({fresh[i]: fact.sha256 for i, fact in learnt.items() if fact.sha256})
    return facts


def remember_decoded(facts: Facts, indices: Sequence[int]) -> None:
    """Remember for later runs which of these images could be decoded, and why the others could not."""
    learnt = []
    for index in indices:
        width, height = facts.sizes[index].tolist()
        decoded, reason = int(facts.decoded[index]), facts.reasons.get(index)
        learnt.append(Fact(facts.sha256[index].tobytes(), width, height, decoded, reason))
    with Memory() as memory:
        memory.keep_facts(learnt, replace=True)  # a header that could be read said less than decoding does


def remembered_sha256(path: Path) -> str:
    """:func:`~symbench.base.paths.sha256_file`, of which an unchanged file is not read again, not even by a later
    run.

    Raises:
        OSError: it cannot be read.
        Unreadable: it is no file.
    """
    with Memory() as memory:
        stamp = stamp_of(path)
        known = memory.digest(stamp)
        if known is not None:
            return known.hex()
        sha256 = sha256_file(path)
        memory.keep_digests({stamp: bytes.fromhex(sha256)})
        return sha256


def workers() -> int:
    """As many threads as there are cores for this process."""
    # os.cpu_count() counts the machine's cores, of which a container or a scheduler may have granted two.
    affinity = getattr(os, "sched_getaffinity", None)
    return min(64, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _stamps(source: Source, indices: Sequence[int], facts: Facts) -> Iterator[tuple[int, Stamp]]:
    """The indices and stamps of the images whose files can be looked at; the others get a reason in ``facts``."""
    for index in indices:
        try:
            yield index, source.stamp(index)
        except (OSError, Unreadable) as error:
            facts.reasons[index] = _reason(error)


def _looked_at(source: Source, index: int) -> Fact:
    """Read one image's bytes and header; what is wrong with them becomes the fact's reason."""
    try:
        data = source.read(index)
    except (OSError, Unreadable) as error:
        return Fact(b"", reason=_reason(error))
    sha256 = hashlib.sha256(data).digest()
    try:
        width, height = decode.measure(data)
    except Unreadable as error:
        return Fact(sha256, reason=str(error))
    except MemoryError as error:
        raise no_memory(source.name(index)) from error
    return Fact(sha256, width, height)


def no_memory(where: str) -> DataError:
    """The error where the memory does not suffice for an image: it may be sound, so nothing is remembered of it."""
    return DataError(Problem(where, "the memory does not suffice to decode it"))


def _reason(error: OSError | Unreadable) -> str:
    """Why an image cannot be used, without its path: that stands beside the reason already."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
