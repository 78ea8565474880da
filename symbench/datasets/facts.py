"""What is known of encoded images without decoding them, and remembered between runs.

A file is read once for its digest and its header. The digest is remembered by the file's path, size and times, so
that a file that did not change is not even read again; what the bytes are, and whether they could be decoded, is
remembered by the digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from symbench.datasets import decode
from symbench.datasets.cache import cache_folder
from symbench.datasets.decode import Unreadable
from symbench.errors import DataError, Problem
from symbench.events import Advanced, Finished, Listener, Started, ignore
from symbench.paths import sha256_file

WINDOW = 64
"""Images in hand at once: what bounds the memory."""
MOST_BYTES = 1 << 30
"""No file that is larger is taken for an image."""
LOOKED_UP = 4096
SETTLED_NS = 2_000_000_000
"""A file younger than this may change again within the resolution of its times: not remembered."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS files"
    " (key BLOB PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, sha256 BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS images"
    " (sha256 BLOB PRIMARY KEY, width INTEGER, height INTEGER, decoded INTEGER, reason TEXT) WITHOUT ROWID",
)


class Stamp(NamedTuple):
    """What must be as it was for a remembered digest to hold; tools that set ``modified`` cannot set ``changed``."""

    key: bytes
    size: int
    modified: int
    changed: int


class Source(ABC):
    """Encoded images that are read one by one, from several threads.

    Attributes:
        noun: what they are called when they are counted.
    """

    noun = "files"

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What to call an image in messages."""

    @abstractmethod
    def stamp(self, index: int) -> Stamp:
        """What its digest is remembered by.

        Raises:
            OSError: it cannot be looked at.
            Unreadable: it is nothing that can be read.
        """

    @abstractmethod
    def read(self, index: int) -> bytes:
        """Its bytes.

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
        """Of the file."""
        found = stamp_of(Path(self.root, self.names[index]))
        if found.size > MOST_BYTES:
            raise Unreadable(f"it has {found.size:,} bytes, more than {MOST_BYTES:,}")
        return found

    def read(self, index: int) -> bytes:
        """The file's bytes."""
        return Path(self.root, self.names[index]).read_bytes()


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file.

    Raises:
        OSError: it is not there.
        Unreadable: it is a folder, a pipe or a device.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is no regular file")
    return Stamp(os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Fact(NamedTuple):
    """What is known of an image's bytes: its size as it is shown, whether it was decoded once, or what is wrong."""

    sha256: bytes
    width: int = 0
    height: int = 0
    decoded: int = 0
    reason: str | None = None


@dataclass
class Facts:
    """What is known of all images of a source.

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
        """Nothing known of ``count`` images."""
        sha256, sizes = np.zeros((count, 32), dtype=np.uint8), np.zeros((count, 2), dtype=np.int32)
        return cls(sha256, sizes, np.zeros(count, dtype=np.bool_))

    def put(self, index: int, fact: Fact) -> None:
        """Take in what is known of one image."""
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
    """Find out about every image: those that are not remembered are read, several at once."""
    listen(Started(task, len(source), "images"))
    try:
        return _gathered(source, listen)
    finally:
        listen(Finished())


def _gathered(source: Source, listen: Listener) -> Facts:
    facts = Facts.none(len(source))
    with _Memory() as memory, decode.quiet(), ThreadPoolExecutor(workers()) as pool:
        for here in batched(range(len(source)), LOOKED_UP):
            fresh: dict[int, Stamp] = {}
            found: dict[int, Fact] = {}
            for index, stamp in _stamps(source, here, facts):
                known = memory.fact(memory.digest(stamp))
                if known is None:
                    fresh[index] = stamp
                else:
                    facts.put(index, known)
            for window in batched(list(fresh), WINDOW):
                seen = pool.map(lambda index: _looked_at(source, index), window)
                found.update(zip(window, seen, strict=True))
                listen(Advanced(len(window)))
            listen(Advanced(len(here) - len(fresh)))
            for index, fact in found.items():
                facts.put(index, memory.fact(fact.sha256) or fact)  # the same bytes may have been decoded before
            memory.keep_facts([fact for fact in found.values() if fact.sha256])
            memory.keep_digests({fresh[i]: fact.sha256 for i, fact in found.items() if fact.sha256})
    return facts


def remember_decoded(facts: Facts, indices: Sequence[int]) -> None:
    """Keep for later runs what came of decoding these images."""
    found = []
    for index in indices:
        width, height = facts.sizes[index].tolist()
        decoded, reason = int(facts.decoded[index]), facts.reasons.get(index)
        found.append(Fact(facts.sha256[index].tobytes(), width, height, decoded, reason))
    with _Memory() as memory:
        memory.keep_facts(found, replace=True)


def remembered_sha256(path: Path) -> str:
    """:func:`~symbench.paths.sha256_file`, of which an unchanged file is not read again, not even by a later run.

    Raises:
        OSError: it cannot be read.
        Unreadable: it is no file.
    """
    with _Memory() as memory:
        stamp = stamp_of(path)
        known = memory.digest(stamp)
        if known is not None:
            return known.hex()
        sha256 = sha256_file(path)
        memory.keep_digests({stamp: bytes.fromhex(sha256)})
        return sha256


def batched(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """In runs of at most ``size``."""
    for first in range(0, len(values), size):
        yield values[first : first + size]


def workers() -> int:
    """As many threads as there are cores for this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(64, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _stamps(source: Source, indices: Sequence[int], facts: Facts) -> Iterator[tuple[int, Stamp]]:
    """The stamps of those that have one; the others get a reason."""
    for index in indices:
        try:
            yield index, source.stamp(index)
        except (OSError, Unreadable) as error:
            facts.reasons[index] = _reason(error)


def _looked_at(source: Source, index: int) -> Fact:
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
    """What is said of an image that may be all right, which is not remembered as anything else."""
    return DataError(Problem(where, "the memory does not suffice to decode it"))


def _reason(error: OSError | Unreadable) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


class _Memory:
    """The remembered facts. Where the cache cannot be used nothing is remembered, which costs time alone."""

    def __init__(self) -> None:
        self.database: sqlite3.Connection | None = None

    def __enter__(self) -> _Memory:
        with contextlib.suppress(OSError, sqlite3.Error):
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            self.database = sqlite3.connect(folder / f"images-{decode.version()}.sqlite", timeout=60)
        for table in TABLES:
            self._write(table, [()])
        return self

    def __exit__(self, *_: object) -> None:
        if self.database is not None:
            self.database.close()

    def digest(self, stamp: Stamp) -> bytes | None:
        """The SHA-256 of what has this stamp."""
        query = "SELECT sha256 FROM files WHERE key = ? AND size = ? AND modified = ? AND changed = ?"
        row = self._row(query, stamp)
        return None if row is None else row[0]

    def fact(self, sha256: bytes | None) -> Fact | None:
        """What is known of these bytes."""
        if not sha256:
            return None
        row = self._row("SELECT sha256, width, height, decoded, reason FROM images WHERE sha256 = ?", (sha256,))
        return None if row is None else Fact(*row)

    def keep_digests(self, digests: Mapping[Stamp, bytes]) -> None:
        """Remember digests, except of what is so new that it may change without a trace."""
        settled = time.time_ns() - SETTLED_NS
        rows = [(*s, sha256) for s, sha256 in digests.items() if max(s.modified, s.changed) < settled]
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def keep_facts(self, facts: Sequence[Fact], *, replace: bool = False) -> None:
        """Remember facts."""
        self._write(f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO images VALUES (?, ?, ?, ?, ?)", facts)

    def _row(self, query: str, values: Sequence[object]) -> tuple | None:  # type: ignore[type-arg]
        if self.database is None:
            return None
        with contextlib.suppress(sqlite3.Error):
            return self.database.execute(query, values).fetchone()
        return None

    def _write(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        if self.database is not None and rows:
            with contextlib.suppress(sqlite3.Error), self.database:
                self.database.executemany(statement, rows)
