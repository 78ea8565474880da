"""What is there on the disk. Questions never raise: a name may be too long, or its folder closed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_path


def is_file(path: Path) -> bool:
    """Whether it is a file that can be looked at."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be looked at."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def beside(path: Path) -> list[str]:
    """The names in a file's folder, for near misses; none where it cannot be looked into."""
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read piece by piece: files may be larger than the memory.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where everything is kept that could be made again: ``SYMBENCH_CACHE_DIR``, or the platform's cache folder."""
    own = os.environ.get("SYMBENCH_CACHE_DIR")
    return Path(own) if own else user_cache_path("symbench")


def bytes_taken(status: os.stat_result) -> int:
    """The bytes that a file takes on the disk, as far as the system says: of a sparse one less than its size."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else 512 * blocks
