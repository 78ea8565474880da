"""What is kept on disk of an unfinished cell, so that a killed run loses at most the part in hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from symbench.store import write_text, written


class Scratch:
    """What is kept of an unfinished cell: the reference's outputs, sums per part, and observations without pairing.

    A cell that was begun with other weights is begun again.
    """

    def __init__(self, folder: Path, checkpoint: str | None) -> None:
        self.folder = folder
        note = folder / "checkpoint"
        stamp = f"{checkpoint}\n"
        if folder.is_dir() and not (note.is_file() and note.read_text() == stamp):
            shutil.rmtree(folder)
        if not note.is_file():
            write_text(note, stamp)

    def raw(self, output: str, first: int) -> Path:
        """The file of a part's outputs for the samples as they are."""
        return self.folder / f"reference-{output}-{first:08d}.npy"

    def seconds(self, first: int) -> Path:
        """The time per sample of a part's identity pass; written last, so that it marks the pass as done."""
        return self.folder / f"seconds-{first:08d}.npz"

    def columns(self, output: str, first: int) -> Path:
        """The file of a part's columns."""
        return self.folder / f"columns-{output}-{first:08d}.npz"

    def pairing(self, output: str, first: int) -> Path:
        """The file of a part's sums."""
        return self.folder / f"pairing-{output}-{first:08d}.npz"

    def part(self, first: int) -> Path:
        """The file that is written last, and so marks a part as done."""
        return self.folder / f"part-{first:08d}.npz"

    def has_part(self, first: int) -> bool:
        """Whether a part was finished by an earlier run."""
        return self.part(first).is_file()

    def part_seconds(self, first: int) -> float:
        """What a finished part took, where that was kept."""
        return float(self.load(self.part(first)).get("seconds", 0.0))

    def save(self, path: Path, **arrays: np.ndarray) -> None:
        """Write arrays atomically."""
        with written(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def load(self, path: Path, *names: str) -> dict[str, np.ndarray]:
        """Those of the named arrays that a file holds; all of them where none is named."""
        with np.load(path) as file:
            return {name: file[name] for name in file.files if name in names or not names}
