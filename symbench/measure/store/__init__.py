"""The results folder: content-addressed cells and run manifests. Every file appears whole or not at all."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from symbench.base.columns import DEVIATIONS, GALLERY, OBSERVATIONS, SAMPLES, VIEWS
from symbench.base.errors import CellError, ConfigError, Problem, near_miss
from symbench.base.passes import PassRecord
from symbench.base.paths import sha256_file
from symbench.base.records import CellRecord, FileRecord, Manifest
from symbench.measure.store import passes
from symbench.measure.store.cells import (
    files_of,
    parsed,
    tiles_of,
    write_controls,
    write_deviations,
    write_gallery,
    write_part,
    write_samples,
    write_tiles,
    write_views,
)
from symbench.measure.store.files import (
    Digests,
    Stamp,
    canonical,
    content_key,
    is_sealed,
    sealed,
    sha256_bytes,
    stamp_of,
    write_text,
    written,
)
from symbench.measure.store.manifests import read_manifest
from symbench.measure.store.tiles import Tiled

__all__ = [
    "PART",
    "Digests",
    "Store",
    "canonical",
    "content_key",
    "is_sealed",
    "read_manifest",
    "sealed",
    "sha256_bytes",
    "sha256_file",
    "tiles_of",
    "write_controls",
    "write_deviations",
    "write_gallery",
    "write_part",
    "write_samples",
    "write_text",
    "write_tiles",
    "write_views",
    "written",
]

PART = 1024
"""Samples in one part of a cell's observations, whatever the batch size."""


class Store:
    """A results folder: the only code that reads and writes cells and manifests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sums = Digests()
        self._cells: dict[str, tuple[Stamp, CellRecord | str]] = {}

    def check_writable(self) -> None:
        """Create the folder, and see that a file can be written there.

        Raises:
            ConfigError: it cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # By writing a file: os.access knows nothing of read-only mounts, quotas and access lists.
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise ConfigError(
                Problem(
                    "--results",
                    f"{self.root} cannot be written: {error.strerror or error}",
                    "a folder that can",
                    "Name another with --results.",
                )
            ) from error

    def cell_folder(self, key: str) -> Path:
        """The folder of a cell, ``cells/<key[:2]>/<key>``."""
        return self.root / "cells" / key[:2] / key

    def cell(self, key: str) -> CellRecord | None:
        """The record of a finished cell; None where there is none that can be used, see :meth:`fault`."""
        record = self._read(key)
        return record if isinstance(record, CellRecord) else None

    def fault(self, key: str) -> str | None:
        """Why a cell that is there counts as not measured: what was altered, or lost, or put in its place."""
        record = self._read(key)
        return record if isinstance(record, str) else None

    def _read(self, key: str) -> CellRecord | str | None:
        """A cell's record, checked against its digest, its folder and all of its files; or what is wrong with it.

        Copied folders, edited numbers and torn disks look like measurements otherwise. What has been read is read
        again only when ``cell.json`` has changed; its files are looked at every time, by size and times.
        """
        path = self.cell_folder(key) / "cell.json"
        try:
            stamp = stamp_of(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return f"cell.json cannot be read: {error.strerror or error}"
        known = self._cells.get(key)
        if known is None or known[0] != stamp:
            known = self._cells[key] = (stamp, parsed(path, key))
        # The record is remembered and the verdict on its files is not: a report asks for the same cell some hundred
        # times, and a part may be lost in between, while cell.json stays as it was.
        record = known[1]
        return record if isinstance(record, str) else self._altered(record) or record

    def _altered(self, record: CellRecord) -> str | None:
        """The first of a cell's files that is missing or altered, in words; None where all are what was written."""
        folder = self.cell_folder(record.key)
        for file in files_of(record):
            try:
                sha256 = self._sums.of(folder / file.file)
            except OSError:
                return f"{file.file} is missing"
            if sha256 != file.sha256:
                return f"{file.file} is not what was written"
        return None

    def observations(self, key: str) -> pa.Table:
        """All observations of a finished cell.

        Raises:
            ConfigError: the cell cannot be used.
        """
        return pa.concat_tables(self._table(key, part, OBSERVATIONS) for part in self._finished(key).parts)

    def held(self, key: str, output: str) -> set[str]:
        """The columns of a finished cell's observations that hold anything for an output.

        Raises:
            ConfigError: the cell cannot be used.
        """
        return {column for part in self._parts(key) for column in part.held(output)}

    def tiles(self, key: str, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of an output's observations, a few samples after the others, with all of their elements.

        Raises:
            ConfigError: the cell cannot be used.
        """
        for part in self._parts(key):
            yield from part.read(output, columns)

    def _parts(self, key: str) -> Iterator[Tiled]:
        for part in self._finished(key).parts:
            with pq.ParquetFile(self.cell_folder(key) / part.file) as file:
                yield Tiled(file, OBSERVATIONS)

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits of a finished cell.

        Raises:
            ConfigError: the cell cannot be used.
        """
        return self._table(key, self._finished(key).samples_file, SAMPLES)

    def controls(self, key: str) -> pa.Table:
        """The rows of a finished cell's controls.

        Raises:
            ConfigError: the cell cannot be used.
        """
        return self._table(key, self._finished(key).controls_file, OBSERVATIONS)

    def views(self, key: str) -> pa.Table | None:
        """The elements of every sample of a finished cell; None where they are shared.

        Raises:
            ConfigError: the cell cannot be used.
        """
        file = self._finished(key).views_file
        return None if file is None else self._table(key, file, VIEWS)

    def gallery(self, key: str) -> pa.Table | None:
        """The pictures of a finished cell that break worst; None without any.

        Raises:
            ConfigError: the cell cannot be used.
        """
        file = self._finished(key).gallery_file
        return None if file is None else self._table(key, file, GALLERY)

    def deviations(self, key: str) -> pa.Table | None:
        """What the first samples of a finished cell are off by; None where that was not kept.

        Raises:
            ConfigError: the cell cannot be used.
        """
        file = self._finished(key).deviations_file
        return None if file is None else self._table(key, file, DEVIATIONS)

    def _finished(self, key: str) -> CellRecord:
        """The record of a cell, with all its files checked.

        Raises:
            ConfigError: it cannot be used.
        """
        record = self._read(key)
        if not isinstance(record, CellRecord):
            got, where = record or "there is no such cell", str(self.cell_folder(key))
            raise ConfigError(Problem(where, got, "a finished cell", "Run the suite again."))
        return record

    def _table(self, key: str, file: FileRecord, schema: pa.Schema) -> pa.Table:
        """A table whose file :meth:`_finished` has just checked."""
        return pq.read_table(self.cell_folder(key) / file.file, schema=schema)

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold a cell against other processes that would compute the same.

        Raises:
            CellError: another process holds it for over a minute.
        """
        # Beside the cell's folder and not in it, for :meth:`discard` removes that. The lock's file itself stays: one
        # that is removed can be held by two, by who has it open and by who makes it anew.
        folder = self.root / "cells" / key[:2]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f"{key}.lock", timeout=60):
                yield
        except Timeout as error:
            remedy = "The same command takes its result once it is there."
            raise CellError(Problem(key[:12], "another run is computing this cell", None, remedy)) from error

    def discard(self, key: str) -> None:
        """Remove a cell's folder."""
        shutil.rmtree(self.cell_folder(key), ignore_errors=True)

    def write_cell(self, record: CellRecord) -> None:
        """Write a cell's record, which makes the cell a finished one: all of its files have to be there."""
        write_text(self.cell_folder(record.key) / "cell.json", sealed(record))

    def write_pass(self, record: PassRecord) -> str:
        """Write a throughput pass; the name of its file."""
        return passes.write_pass(self.root, record)

    def files_of_passes(self, key: str) -> list[str]:
        """The files of the throughput passes under a key, the oldest first."""
        return passes.files_of_passes(self.root, key)

    def pass_of(self, key: str, file: str) -> PassRecord:
        """A throughput pass.

        Raises:
            ConfigError: it is missing, or not what was written.
        """
        return passes.read_pass(self.root, key, file)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write or replace a run's manifest, and point ``latest`` at it."""
        # In this order: who follows ``latest`` must always find a manifest there.
        write_text(self.root / "runs" / f"{manifest.run}.json", sealed(manifest))
        write_text(self.root / "latest", manifest.run + "\n")

    def manifest(self, run: str | None = None) -> Manifest:
        """A run's manifest, by id, by a path to it, or the newest.

        Raises:
            ConfigError: there is no such run, or its file is broken or of a newer version.
        """
        if run is None:
            latest = self.root / "latest"
            if not latest.is_file():
                raise ConfigError(
                    Problem(
                        str(self.root),
                        "no run here yet",
                        None,
                        "Run 'symbench run SUITE' first, or name the folder with --results.",
                    )
                )
            run = latest.read_text(encoding="utf-8").strip()
        path = Path(run) if run.endswith(".json") else self.root / "runs" / f"{run}.json"
        # The name goes into a path: "../../x" is no run, whether there is such a file or not.
        if not re.fullmatch(r"[\w.:-]+", path.stem) or not path.is_file():
            known = sorted(p.stem for p in (self.root / "runs").glob("*.json"))
            raise ConfigError(
                Problem(
                    str(self.root),
                    f"no run {run!r}",
                    f"one of {', '.join(known[-5:]) or 'none'}",
                    near_miss(run, known),
                )
            )
        return read_manifest(path)
