"""Files that appear whole or not at all, their digests, and what changes when they do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbench.base.paths import sha256_file
from symbench.base.records import Sealed

Stamp = tuple[int, int, int, int, int]
"""What changes when a file does: device, inode, size and the times of its contents and of its status.

The time of the status (ctime) is the one that no tool can set back: ``touch -d`` and ``rsync -t`` set the other."""


def canonical(document: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinity are refused."""
    # ``ensure_ascii`` and the separators are part of every key ever written: a change of them makes all cells stale.
    # Python writes floats with as many digits as it takes to read them back, on every platform the same.
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def content_key(document: Any) -> str:
    """SHA-256 of canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: gives a temporary path, which becomes ``path`` when the block ends well.

    What a link stands for is replaced, and the link stays; what is no file, as a pipe or a device, is written into.
    """
    if is_special(path):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            yield temporary
            with temporary.open("rb") as file, path.open("wb") as out:
                shutil.copyfileobj(file, out)
        return
    path = path.resolve() if path.is_symlink() else path
    # In the same folder: ``replace`` is atomic within one file system, and a copy between two.
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # Without fsync, a file system may put the new name on the disk before the contents: after a power cut the
        # file is there, and empty.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes files that nobody else may read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """Whether a path leads to something that is neither a file nor a folder."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, UTF-8."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sealed(record: Sealed) -> str:
    """The text of a record's file: the record, and the digest of all of it."""
    # Through JSON and back: what is digested has to be what a reader will parse, tuples as lists and keys as texts.
    data = json.loads(record.model_dump_json(exclude={"digest"}))
    return json.dumps({**data, "digest": content_key(data)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def is_sealed(data: object) -> bool:
    """Whether a record's file, parsed, is what was written, by its digest; one without a digest passes.

    The first version of records had none. The digest is of what stands in the file, not of what a later version of
    the record makes of it. It cannot be lost by damage: a key that is damaged is an unknown one, and refused.
    """
    if not isinstance(data, dict) or data.get("digest") is None:
        return isinstance(data, dict)
    rest = {key: value for key, value in data.items() if key != "digest"}
    try:
        return content_key(rest) == data["digest"]
    except ValueError:  # NaN or infinity, which were never written
        return False


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file: equal stamps mean, in all likelihood, that it has not changed in between.

    Raises:
        OSError: it is not there.
    """
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Digests:
    """SHA-256 of files, each taken once, and anew when the file has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Stamp, str]] = {}

    def of(self, path: Path) -> str:
        """The digest of a file.

        Raises:
            OSError: it cannot be read.
        """
        # The stamp is taken before the file is read: if it changes meanwhile, what is remembered is the digest of the
        # new contents under the old stamp, which is taken anew, and never the other way round.
        stamp, known = stamp_of(path), self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, sha256_file(path))
        return known[1]


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
