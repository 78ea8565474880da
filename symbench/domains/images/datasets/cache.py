"""The pixel cache: decoded images in memory-mapped files that all runs share.

An entry is one list of images at one canvas. Its rows are filled once, by whichever run needs them first, and read by
all. A row is marked with its checksum only when its pixels are on the disk, so that a run that dies leaves nothing
wrong behind, and a row that is not what was written is as good as none: it is decoded again. The least recently used
entries make room for new ones; what has been opened stays readable even then.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from io import RawIOBase
from pathlib import Path

import numpy as np
from filelock import FileLock

from symbench.base.errors import ConfigError, DataError, Problem
from symbench.base.paths import bytes_taken, cache_folder

LIMIT_GIB = 20.0
"""What the pixel cache may take; ``SYMBENCH_CACHE_GIB`` says otherwise."""
GIB = 1 << 30
FREE = "Set SYMBENCH_CACHE_DIR to a folder that can."


def limit_bytes() -> int:
    """How many bytes the pixel cache may take.

    Raises:
        ConfigError: ``SYMBENCH_CACHE_GIB`` is no number above 0.
    """
    text = os.environ.get("SYMBENCH_CACHE_GIB", str(LIMIT_GIB))
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 2**33:  # of which NaN and infinity are neither
        raise ConfigError(Problem("SYMBENCH_CACHE_GIB", f"got {text!r}", "a number of GiB above 0"))
    return int(number * GIB)


def kept() -> tuple[Path, int | None]:
    """The folder of the pixel cache and the bytes that it may take; None where what says so is no limit."""
    try:
        return _entries(), limit_bytes()
    except ConfigError:
        return _entries(), None


MARK = np.dtype("<u8")
"""The mark of a row that has been written: a CRC-32 of the entry's key, the row's number and its pixels, plus
``PRESENT``. It shows damage, and rows of other entries and places; against malice it is no help."""
PRESENT = 1 << 32
"""The bit that makes every mark another number than 0, which stands for a row that is missing."""


class Entry:
    """The pixels of one list of images at one canvas.

    One file: an ``.npy`` array, and behind it a mark for each row, 0 where it is not there. What is mapped is always
    one and the same file, so that rows and marks cannot be of different ages.

    Attributes:
        altered: rows that were there and were not what was written.
    """

    def __init__(self, key: str, shape: tuple[int, int, int, int]) -> None:
        self.path = _entries() / key[:2] / f"{key}.npy"
        self.shape = shape
        self.altered: set[int] = set()
        self._file: tuple[int, int] | None = None
        self._open()

    @property
    def row_bytes(self) -> int:
        """The bytes of one image's pixels."""
        return int(np.prod(self.shape[1:]))

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Which of the rows are not there, or not as they were written, bool. Each is looked at once by a process."""
        # A row once checked stays so: checksums of all pixels at every batch would cost as much as reading them.
        if self._file is None:
            return np.ones(len(rows), dtype=np.bool_)
        for row in np.unique(rows[(self._marks[rows] != 0) & ~self._checked[rows]]).tolist():
            if self._marks[row] == self._mark(row, self._pixels[row]):
                self._checked[row] = True
            else:
                self.altered.add(row)
        return ~self._checked[rows]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Pixels ``(len(rows), c, h, w)``, uint8, a copy. The rows have to be there."""
        pixels: np.ndarray = self._pixels[rows]
        return pixels

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the entry against others that would fill it; it is made where it is missing.

        Raises:
            DataError: the cache cannot be written, by this or by what is done under the lock.
        """
        with _writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock")):
                # While we waited, another process may have made the file anew or dropped it: what is mapped would
                # then be a file without a name, and all that is written into it lost.
                if not (self._is_current() or self._open()):
                    self._make()
                yield

    def write(self, rows: Sequence[int], images: Iterable[np.ndarray]) -> None:
        """Put images into rows; :meth:`mark` says that they are there. Under :meth:`locked`."""
        with self.path.open("r+b", buffering=0) as file:  # through the map, a full disk would end the process
            for row, image in zip(rows, images, strict=True):
                pixels = np.ascontiguousarray(image)
                file.seek(self._pixels.offset + row * self.row_bytes)
                write_all(file, pixels.data.cast("B"))
                self._written[row] = self._mark(row, pixels)  # of what was decoded, not of what the disk made of it

    def mark(self, rows: Sequence[int]) -> None:
        """Wait until the rows are on the disk, and say that they are there. Under :meth:`locked`."""
        # Pixels first, marks only when those are on the disk: the kernel writes pages in any order, and a mark would
        # outlive a power cut without its pixels. The other way round a row is merely decoded again.
        with self.path.open("r+b", buffering=0) as file:
            os.fsync(file.fileno())
            for row in rows:
                file.seek(self._marks.offset + row * MARK.itemsize)
                write_all(file, memoryview(self._written.pop(row).to_bytes(MARK.itemsize, "little")))

    def _mark(self, row: int, pixels: np.ndarray) -> int:
        """The mark of a row with these pixels."""
        seed = zlib.crc32(f"{self.path.stem} {row}".encode())
        return PRESENT | zlib.crc32(np.ascontiguousarray(pixels).data.cast("B"), seed)

    def _is_current(self) -> bool:
        """Whether the file that is mapped is still the one that the path names."""
        try:
            status = self.path.stat()
        except FileNotFoundError:  # another process made room
            return False
        return self._file == (status.st_dev, status.st_ino)

    def _open(self) -> bool:
        """Map the file, where there is one and it is whole, and note that it is in use."""
        size = int(np.prod(self.shape))
        try:
            with self.path.open("rb") as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                status, start = os.fstat(file.fileno()), file.tell()
                whole = start + size + self.shape[0] * MARK.itemsize
                if shape != self.shape or dtype != np.uint8 or status.st_size != whole:
                    return False
                self._pixels = np.memmap(file, np.uint8, "r", start, self.shape)
                self._marks = np.memmap(file, MARK, "r", start + size, self.shape[:1])
            self._checked = np.zeros(self.shape[0], dtype=np.bool_)
            self._written: dict[int, int] = {}
            self._file = (status.st_dev, status.st_ino)
            with contextlib.suppress(OSError):  # a cache that may only be read
                os.utime(self.path)
        except (OSError, ValueError):
            return False
        return True

    def _make(self) -> None:
        """Make the file with no row in it, and map it. Under :meth:`locked`."""
        temporary = self.path.with_suffix(".new.npy")
        np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=self.shape)  # sparse: takes no room yet
        with temporary.open("r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) + self.shape[0] * MARK.itemsize)
        temporary.replace(self.path)
        if not self._open():
            raise OSError(f"{self.path} is not what was just written")


def write_all(file: RawIOBase, left: memoryview) -> None:
    """Write everything: a file without a buffer may take less at once, as it does on a disk that is nearly full."""
    while len(left):
        written = file.write(left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def entry_key(images: str, canvas: object, channels: int, version: str) -> str:
    """The key of an entry: a digest of all that its pixels depend on."""
    return hashlib.sha256(f"{images} {canvas} {channels} {version}".encode()).hexdigest()


def make_room(needed: int, keep: Collection[Entry]) -> None:
    """Drop the entries that were not used for longest, until ``needed`` bytes more fit; never those of ``keep``.

    Raises:
        DataError: they do not fit beside those that are kept.
    """
    limit, kept = limit_bytes(), {entry.path for entry in keep}
    with _writing():
        _entries().mkdir(parents=True, exist_ok=True)
        # One process at a time: two that count at once would both find room for themselves, and together take twice.
        with FileLock(_entries() / ".lock"):
            files = _entry_files()
            own = needed + sum(size for path, _, size in files if path in kept)
            if own > limit:
                got = f"the images of this run take {own / GIB:.3g} GiB of the pixel cache"
                remedy = "Set SYMBENCH_CACHE_GIB to more, or take a smaller size or fewer samples."
                raise DataError(Problem("SYMBENCH_CACHE_GIB", got, f"at most {limit / GIB:.3g} GiB", remedy))
            used = sum(size for _, _, size in files)
            for path, _, size in sorted(files, key=lambda file: file[1]):
                if used + needed > limit and path not in kept and _dropped(path):
                    used -= size


def _entries() -> Path:
    return cache_folder() / "pixels"


def _entry_files() -> list[tuple[Path, float, int]]:
    """Every entry's file, when it was last used, and the bytes that it takes: rows that are not there take none."""
    files = []
    for path in _entries().glob("??/*.npy"):
        with contextlib.suppress(OSError):  # gone since: another process made room
            status = path.stat()
            # The time of the contents, which :meth:`Entry._open` sets: that of access is not kept on most systems.
            files.append((path, status.st_mtime, bytes_taken(status)))
    return files


def _dropped(path: Path) -> bool:
    """Remove an entry, unless a process is filling it. Those that have it open can still read it."""
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            path.unlink(missing_ok=True)
    except OSError:  # locked, or open on a system that keeps open files
        return False
    return True


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Turn a system's error about writing the cache into one that says what to do."""
    try:
        yield
    except OSError as error:
        got = f"{cache_folder()} cannot be written: {error.strerror or error}"
        raise DataError(Problem("SYMBENCH_CACHE_DIR", got, "a folder that can", FREE)) from error
