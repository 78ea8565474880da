"""The results folder: content-addressed cells and run manifests. Every file appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pydantic import ValidationError

from symbench.errors import CellError, ConfigError, Problem, near_miss
from symbench.records import (
    GALLERY,
    OBSERVATIONS,
    SAMPLES,
    SCHEMA_VERSION,
    VIEWS,
    CellRecord,
    FileRecord,
    Manifest,
)

PART = 1024
"""Samples in one part of a cell's observations, whatever the batch size."""


def canonical(document: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinity are refused."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def content_key(document: Any) -> str:
    """SHA-256 of canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path that becomes ``path``, flushed, when the block ends well; gone when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, UTF-8."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class Store:
    """A results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Create the folder and try it.

        Raises:
            ConfigError: it cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
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
        """``cells/<key[:2]>/<key>``."""
        return self.root / "cells" / key[:2] / key

    def cell(self, key: str) -> CellRecord | None:
        """The record of a finished cell; None where it is missing, broken, or its parts are."""
        folder = self.cell_folder(key)
        try:
            record = CellRecord.model_validate_json((folder / "cell.json").read_bytes())
        except (OSError, ValidationError):
            return None
        files = [record.samples_file.file, record.controls_file.file, *(part.file for part in record.parts)]
        files += [more.file for more in (record.views_file, record.gallery_file) if more is not None]
        return record if all((folder / file).is_file() for file in files) else None

    def observations(self, key: str) -> pa.Table:
        """All observations of a finished cell, parts checked against their checksums.

        Raises:
            ConfigError: a file is missing or is not what was written.
        """
        record, folder = self._finished(key), self.cell_folder(key)
        return pa.concat_tables(self._table(folder / part.file, part.sha256, OBSERVATIONS) for part in record.parts)

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits of a finished cell, checked against its checksum.

        Raises:
            ConfigError: a file is missing or is not what was written.
        """
        record = self._finished(key)
        return self._table(self.cell_folder(key) / record.samples_file.file, record.samples_file.sha256, SAMPLES)

    def controls(self, key: str) -> pa.Table:
        """The rows of a finished cell's controls, checked against their checksum.

        Raises:
            ConfigError: a file is missing or is not what was written.
        """
        record = self._finished(key)
        file = record.controls_file
        return self._table(self.cell_folder(key) / file.file, file.sha256, OBSERVATIONS)

    def views(self, key: str) -> pa.Table | None:
        """The elements of every sample of a finished cell, checked against its checksum; None where they are shared.

        Raises:
            ConfigError: the file is missing or is not what was written.
        """
        file = self._finished(key).views_file
        return None if file is None else self._table(self.cell_folder(key) / file.file, file.sha256, VIEWS)

    def gallery(self, key: str) -> pa.Table | None:
        """The pictures of a finished cell that break worst, checked against their checksum; None without any.

        Raises:
            ConfigError: the file is missing or is not what was written.
        """
        file = self._finished(key).gallery_file
        return None if file is None else self._table(self.cell_folder(key) / file.file, file.sha256, GALLERY)

    def _finished(self, key: str) -> CellRecord:
        record = self.cell(key)
        if record is None:
            raise ConfigError(
                Problem(
                    str(self.cell_folder(key)),
                    "the cell is missing or broken",
                    "a finished cell",
                    "Run the suite again.",
                )
            )
        return record

    def _table(self, path: Path, sha256: str, schema: pa.Schema) -> pa.Table:
        if sha256_file(path) != sha256:
            remedy = "Delete the cell's folder and run the suite again."
            raise ConfigError(Problem(str(path), "the checksum differs", sha256[:12], remedy))
        return pq.read_table(path, schema=schema)

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold a cell against other processes that would compute the same.

        Raises:
            CellError: another process holds it for over a minute.
        """
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
        """Close a cell."""
        write_text(self.cell_folder(record.key) / "cell.json", record.model_dump_json(indent=1) + "\n")

    def write_manifest(self, manifest: Manifest) -> None:
        """Write or replace a run's manifest, and point ``latest`` at it."""
        write_text(self.root / "runs" / f"{manifest.run}.json", manifest.model_dump_json(indent=1) + "\n")
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


def read_manifest(path: Path) -> Manifest:
    """Parse a manifest.

    Raises:
        ConfigError: it is broken, or written by a later symbench.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error}", "a manifest")) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ConfigError(
            Problem(str(path), f"schema_version is {version}", f"at most {SCHEMA_VERSION}", "Upgrade symbench.")
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            Problem(str(path), f"is no manifest: {error.errors()[0]['msg']}", f"schema_version {SCHEMA_VERSION}")
        ) from error


def write_part(folder: Path, first: int, last: int, columns: Mapping[str, Any]) -> Path:
    """Write the observations of samples ``first`` to ``last`` of the cell's order."""
    path = folder / f"observations-{first:08d}-{last:08d}.parquet"
    _write_table(path, columns, OBSERVATIONS)
    return path


def write_controls(folder: Path, columns: Mapping[str, Any]) -> FileRecord:
    """Write the rows of the controls."""
    path = folder / "controls.parquet"
    _write_table(path, columns, OBSERVATIONS)
    return FileRecord(file=path.name, sha256=sha256_file(path))


def write_samples(folder: Path, rows: Sequence[Mapping[str, Any]]) -> FileRecord:
    """Write the table of whole orbits, the rows of one output after those of another."""
    path = folder / "samples.parquet"
    tables = [pa.Table.from_arrays(_arrays(columns, SAMPLES), schema=SAMPLES) for columns in rows]
    with written(path) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
    return FileRecord(file=path.name, sha256=sha256_file(path))


def write_views(folder: Path, parts: Iterable[Mapping[str, Any]]) -> FileRecord:
    """Write the elements of every sample, where each has its own, part by part."""
    path = folder / "views.parquet"
    with written(path) as temporary, pq.ParquetWriter(temporary, VIEWS, compression="zstd") as writer:
        for columns in parts:
            writer.write_table(pa.Table.from_arrays(_arrays(columns, VIEWS), schema=VIEWS))
    return FileRecord(file=path.name, sha256=sha256_file(path))


def write_gallery(folder: Path, columns: Mapping[str, Any]) -> FileRecord:
    """Write the pictures that break worst."""
    path = folder / "gallery.parquet"
    _write_table(path, columns, GALLERY)
    return FileRecord(file=path.name, sha256=sha256_file(path))


def _write_table(path: Path, columns: Mapping[str, Any], schema: pa.Schema) -> None:
    with written(path) as temporary:
        pq.write_table(pa.Table.from_arrays(_arrays(columns, schema), schema=schema), temporary, compression="zstd")


def _arrays(columns: Mapping[str, Any], schema: pa.Schema) -> list[pa.Array]:
    return [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in schema]


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
