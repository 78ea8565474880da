"""What is kept on disk of an unfinished cell, so that a killed run loses at most the part in hand."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from symbench.base.records import ProbeRecord
from symbench.measure.evaluate.stopwatch import Taken
from symbench.measure.store import sha256_file, write_text, written

MOST_TRIES, LOOK_SECONDS = 20, 0.05
"""How often a folder is removed into which others write, and what passes between two tries."""


class Scratch:
    """What is kept of an unfinished cell: the reference's outputs, and of each part sums and columns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begun_with(self) -> tuple[str | None, ProbeRecord] | None:
        """The weights and the probe of the model that the cell was begun with; None where nothing was."""
        try:
            note = json.loads((self.folder / "begun.json").read_bytes())
            return note["checkpoint"], ProbeRecord.model_validate(note["probe"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def check_begun(self) -> None:
        """Raise where nothing was begun, or all was closed.

        Raises:
            FileNotFoundError: it is so.
        """
        (self.folder / "begun.json").stat()

    def begin(self, checkpoint: str | None, probe: ProbeRecord | None) -> None:
        """Drop what another model has left, and note what this one is, as far as that is known."""
        shutil.rmtree(self.folder, ignore_errors=True)
        note = {"checkpoint": checkpoint, "probe": probe and probe.model_dump(mode="json")}
        write_text(self.folder / "begun.json", json.dumps(note) + "\n")

    def drop(self) -> None:
        """Remove the folder. What a process that assists puts into it just then goes at the next try, or stays."""
        for _ in range(MOST_TRIES):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(LOOK_SECONDS)

    def decided(self) -> dict[str, Any] | None:
        """What was decided of the suite's mode by a run that began the cell; None where nothing was."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "mode.json").read_bytes())
            return found
        except (OSError, ValueError):
            return None

    def decide(self, decision: dict[str, Any]) -> None:
        """Keep what was decided: a run that goes on goes on as the first."""
        write_text(self.folder / "mode.json", json.dumps(decision) + "\n")

    def raw(self, output: str, first: int) -> Path:
        """The file of a part's outputs for the samples as they are."""
        return self.folder / f"reference-{output}-{first:08d}.npy"

    def seconds(self, first: int) -> Path:
        """The times of a part's identity pass; written last, so that it marks the pass as done."""
        return self.folder / f"seconds-{first:08d}.npz"

    def has_reference(self, outputs: Sequence[str], first: int) -> bool:
        """Whether a part's identity pass was finished by an earlier run, and its outputs are what was written."""
        try:
            kept = self.load(self.seconds(first))["outputs"].tolist()
            return bool(kept == [sha256_file(self.raw(output, first)) for output in outputs])
        except (OSError, ValueError, KeyError, BadZipFile):
            return False

    def keep_reference(self, outputs: Sequence[str], first: int, taken: Taken) -> None:
        """Mark a part's identity pass as done."""
        digests = np.array([sha256_file(self.raw(output, first)) for output in outputs])
        counts, seconds = zip(*taken, strict=True)
        self.save(self.seconds(first), counts=np.array(counts), seconds=np.array(seconds), outputs=digests)

    def taken(self, firsts: Iterable[int]) -> Taken:
        """The times of all parts' identity passes, in their order."""
        found = [self.load(self.seconds(first)) for first in firsts]
        pairs = ((times["counts"].tolist(), times["seconds"].tolist()) for times in found)
        return [taken for counts, seconds in pairs for taken in zip(counts, seconds, strict=True)]

    def columns(self, output: str, first: int) -> Path:
        """The file of a part's columns."""
        return self.folder / f"columns-{output}-{first:08d}.npz"

    def pairing(self, output: str, first: int) -> Path:
        """The file of a part's sums."""
        return self.folder / f"pairing-{output}-{first:08d}.npz"

    def part(self, first: int) -> Path:
        """The file that is written last, and so marks a part as done."""
        return self.folder / f"part-{first:08d}.npz"

    def has_part(self, outputs: Sequence[str], first: int) -> bool:
        """Whether a part was finished by an earlier run, and its columns and sums are what was written."""
        try:
            kept = self.load(self.part(first))["digests"].tolist()
            return bool(kept == self._digests(outputs, first))
        except (OSError, ValueError, KeyError, BadZipFile):
            return False

    def keep_part(self, outputs: Sequence[str], first: int, seconds: float) -> None:
        """Mark a part as done, whose columns and sums are written."""
        self.save(self.part(first), seconds=np.array(seconds), digests=np.array(self._digests(outputs, first)))

    def _digests(self, outputs: Sequence[str], first: int) -> list[str]:
        return [sha256_file(path(name, first)) for name in outputs for path in (self.columns, self.pairing)]

    def part_seconds(self, first: int) -> float:
        """What a finished part took, where that was kept."""
        return float(self.load(self.part(first)).get("seconds", 0.0))

    def save(self, path: Path, **arrays: np.ndarray) -> None:
        """Write arrays atomically."""
        with written(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def load(self, path: Path, *names: str) -> dict[str, np.ndarray]:
        """Those of the named arrays that a file holds; all of them where none is named."""
        with path.open("rb") as opened, np.load(opened) as file:  # NumPy leaves one open that is no archive
            return {name: file[name] for name in file.files if name in names or not names}
