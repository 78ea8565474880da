"""What is remembered between runs of files that were read: their digests, and what is known of these bytes.

In an SQLite database in the cache's folder, which threads and processes share.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from symbench.base.paths import cache_folder
from symbench.domains.images.datasets import decode
from symbench.domains.images.datasets.decode import Unreadable

SETTLED_NS = 2_000_000_000
"""A file younger than this may change again within the resolution of its times: not remembered."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS files"
    " (key BLOB PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, sha256 BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS images"
    " (sha256 BLOB PRIMARY KEY, width INTEGER, height INTEGER, decoded INTEGER, reason TEXT) WITHOUT ROWID",
)


class Stamp(NamedTuple):
    """A file's path, size and times: while all of them are the same, a digest that was taken of it still holds.

    Attributes:
        key: the path, or whatever else says which file it is.
        size: bytes.
        modified: when the contents were last written, in nanoseconds. Tools such as ``rsync -t`` set it at will.
        changed: when the file's status was last changed. No tool can set it.
    """

    key: bytes
    size: int
    modified: int
    changed: int


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file.

    Raises:
        OSError: it is not there.
        Unreadable: it is a folder, a pipe or a device.
    """
    # Looked at before it is opened: to open a pipe would wait for ever for somebody to write into it.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is no regular file")
    return Stamp(os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Fact(NamedTuple):
    """What is remembered of the bytes of one image, under their digest.

    Attributes:
        sha256: of the bytes; empty where they could not be read.
        width: pixels, the right way up; 0 where the header cannot be read.
        height: likewise.
        decoded: 1 where the image has been decoded once, and so can be.
        reason: why it cannot be used; None where nothing is wrong.
    """

    sha256: bytes
    width: int = 0
    height: int = 0
    decoded: int = 0
    reason: str | None = None


class Memory:
    """The database, open within a ``with`` block; where it cannot be used nothing is remembered, which costs time."""

    def __init__(self) -> None:
        self.database: sqlite3.Connection | None = None

    def __enter__(self) -> Memory:
        with contextlib.suppress(OSError, sqlite3.Error):
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            # A file for each version: another Pillow may read what this one could not. Waiting a minute for other
            # processes is cheaper than reading all files again.
            self.database = sqlite3.connect(folder / f"images-{decode.version()}.sqlite", timeout=60)
        for table in TABLES:
            self._write(table, [()])
        return self

    def __exit__(self, *_: object) -> None:
        if self.database is not None:
            self.database.close()

    def digest(self, stamp: Stamp) -> bytes | None:
        """The SHA-256 of the file with this stamp; None where it is not remembered."""
        query = "SELECT sha256 FROM files WHERE key = ? AND size = ? AND modified = ? AND changed = ?"
        row = self._row(query, stamp)
        return None if row is None else row[0]

    def fact(self, sha256: bytes | None) -> Fact | None:
        """What is remembered of the bytes with this SHA-256; None where nothing is."""
        if not sha256:
            return None
        row = self._row("SELECT sha256, width, height, decoded, reason FROM images WHERE sha256 = ?", (sha256,))
        return None if row is None else Fact(*row)

    def keep_digests(self, digests: Mapping[Stamp, bytes]) -> None:
        """Remember digests, except of what is so new that it may change without a trace."""
        # File systems keep times to some milliseconds, FAT to 2 s: a second write within that leaves the same stamp.
        settled = time.time_ns() - SETTLED_NS
        rows = [(*s, sha256) for s, sha256 in digests.items() if max(s.modified, s.changed) < settled]
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def keep_facts(self, facts: Sequence[Fact], *, replace: bool = False) -> None:
        """Remember facts."""
        # What has been learnt from a header must not overwrite what decoding has shown, hence IGNORE by default.
        self._write(f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO images VALUES (?, ?, ?, ?, ?)", facts)

    def _row(self, query: str, values: Sequence[object]) -> tuple | None:  # type: ignore[type-arg]
        """The first row of a query; None where there is none, or no database that works."""
        if self.database is None:
            return None
        with contextlib.suppress(sqlite3.Error):
            return self.database.execute(query, values).fetchone()
        return None

    def _write(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for every row, in one transaction; a database that cannot be written forgets."""
        if self.database is not None and rows:
            with contextlib.suppress(sqlite3.Error), self.database:
                self.database.executemany(statement, rows)
