"""Baselines: a run promoted by hand as what later ones are compared with.

Two files: canonical JSON, small and fit for review, and a Parquet file of what pairing needs: predictions,
whether they are right, and what E is made of, in float32, in row groups of some samples with all elements.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from symbench.algebra.metrics import shown_in
from symbench.base.columns import SAMPLES
from symbench.base.errors import ConfigError, Problem
from symbench.base.passes import PassRecord
from symbench.base.records import (
    SCHEMA_VERSION,
    BaselineCell,
    BaselineRecord,
    CellRecord,
    CellStatus,
    FileRecord,
    Manifest,
    PassStatus,
)
from symbench.measure.store import Store, is_sealed, sealed, sha256_bytes, sha256_file, write_text
from symbench.measure.store.tiles import Tiled
from symbench.read import estimates
from symbench.read.commits import NoBaseline, of_commit
from symbench.read.kept import CELLS, PASSES, SCHEMA, tile_of, with_columns, write_observations
from symbench.read.packed import unpacked


def refusals(manifest: Manifest, store: Store) -> list[Problem]:
    """Why a run is no baseline: it is part of something, or nobody can tell what code it measured."""
    commit = manifest.environment.get("commit")
    failed = any(cell.status == "failed" or store.cell(cell.key) is None for cell in manifest.cells)
    faults = sorted({fault for cell in manifest.cells if (fault := store.fault(cell.key))})
    known = (
        (
            manifest.status not in {"complete", "incomplete"},
            f"it is {manifest.status}",
            "The same command resumes it",
        ),
        (commit is None, "its code is in no commit", "Commit the suite's folder to git and run the suite again"),
        (failed, "; ".join(["some of its cells failed or are not measured", *faults]), "Run the suite again"),
        (manifest.limit is not None, f"it took only the first {manifest.limit} samples", "Run it without --limit"),
        (manifest.only, f"it took only {'; '.join(manifest.only)} of the suite", "Run it without --only"),
        ((commit or {}).get("dirty"), "files differed from the commit", "Commit them and run the suite again"),
    )
    return [
        Problem(manifest.run, got, None, f"{remedy}, or insist with --force.")
        for is_so, got, remedy in known
        if is_so
    ]


def write(store: Store, manifest: Manifest, path: Path, *, reason: str, force: bool = False) -> BaselineRecord:
    """Promote a run.

    Args:
        store: where its cells are.
        manifest: the run.
        path: of the JSON; the Parquet file stands beside it.
        reason: why, for whoever reviews it.
        force: take a partial, limited or dirty run; its finished cells are kept.

    Raises:
        ConfigError: the run is no baseline, or the file cannot be written.
    """
    if path.suffix != ".json":
        raise ConfigError(Problem("--output", f"got {path.name!r}", "a name that ends in .json"))
    wrong = refusals(manifest, store)
    if wrong and not force:
        raise ConfigError(wrong)
    cells = [(cell, store.cell(cell.key)) for cell in manifest.cells if cell.status != "failed"]
    done = [(cell, record) for cell, record in cells if record is not None]
    if not done:
        raise ConfigError(Problem(manifest.run, "no cell is finished", "a run with some"))
    beside = path.with_suffix(".parquet")
    try:
        passes = _passes(store, manifest)
        write_observations(store, [record for _, record in done], list(passes.values()), beside)
        found = BaselineRecord(
            suite=str(manifest.suite["name"]),
            run=manifest.run,
            reason=reason,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            environment=manifest.environment,
            cells=[_summary(store, cell, record) for cell, record in done],
            passes=[status for status in manifest.passes if status.file in passes],
            observations=FileRecord(file=beside.name, sha256=sha256_file(beside)),
        )
        text = json.dumps(json.loads(sealed(found)), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
        write_text(path, re.sub(r"\[\n\s+([^\[\]{}\n]*(?:\n\s+[^\[\]{}\n]*)*)\n\s+\]", _on_one_line, text) + "\n")
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be written: {error.strerror or error}")) from error
    return found


def _on_one_line(match: re.Match[str]) -> str:
    return f"[{', '.join(part.strip() for part in match[1].split(','))}]"


def _summary(store: Store, cell: CellStatus, record: CellRecord) -> BaselineCell:
    first = next(iter(record.outputs))
    numbers: dict[str, list[float | None]] = {}
    for found in estimates.of_cell(store, record, shown_in("baseline")):
        value = found.value
        if found.output == first and found.primary and value.element is None and value.estimate is not None:
            interval = value.interval(seed=estimates.BOOTSTRAP_SEED)
            limits = (interval.low, interval.high) if interval else (None, None)
            numbers[found.metric] = [None if v is None else float(f"{v:.6g}") for v in (value.estimate, *limits)]
    return BaselineCell(
        model=cell.model, dataset=cell.dataset, symmetry=cell.symmetry, key=cell.key, estimates=numbers
    )


def _passes(store: Store, manifest: Manifest) -> dict[str, PassRecord]:
    """The run's throughput passes by their files, as far as they can be read."""
    found = {}
    for status in manifest.passes:
        with contextlib.suppress(ConfigError):
            if status.file is not None:
                found[status.file] = store.pass_of(status.key, status.file)
    return found


@dataclass(frozen=True)
class Baseline:
    """A baseline that has been read: cells as a results folder has them.

    Attributes:
        record: the JSON.
        parquet: the bytes of what stands beside it.
        name: what messages call it.
    """

    record: BaselineRecord
    parquet: bytes | Path
    name: str

    @cached_property
    def _file(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.parquet if isinstance(self.parquet, Path) else io.BytesIO(self.parquet))

    @cached_property
    def _tiled(self) -> Tiled:
        return Tiled(self._file, SCHEMA)

    @cached_property
    def _records(self) -> dict[str, CellRecord]:
        found = unpacked((self._file.schema_arrow.metadata or {})[CELLS], CellRecord)
        return {record.key: record for record in found}

    @property
    def cells(self) -> list[CellStatus]:
        """Its cells, all of them measured."""
        return [
            CellStatus(model=c.model, dataset=c.dataset, symmetry=c.symmetry, key=c.key, status="done")
            for c in self.record.cells
        ]

    @property
    def passes(self) -> list[PassStatus]:
        """The throughput passes of its models."""
        return self.record.passes

    @cached_property
    def _timed(self) -> list[PassRecord]:
        found = (self._file.schema_arrow.metadata or {}).get(PASSES)
        return [] if found is None else unpacked(found, PassRecord)

    def pass_of(self, key: str, file: str) -> PassRecord:
        """A throughput pass.

        Raises:
            ConfigError: the baseline has no such pass.
        """
        places = [each for each in self.record.passes if each.file is not None]
        for status, record in zip(places, self._timed, strict=True):
            if (status.key, status.file) == (key, file):
                return record
        raise ConfigError(Problem(self.name, f"has no throughput pass {file}"))

    @property
    def whole(self) -> bool:
        """Whether it holds the observations and the controls of each of its cells."""
        if self._tiled.tiles is None:  # of an earlier version, with one row group for each cell
            return self._file.num_row_groups == len(self._records)
        there = {name for name, _ in self._tiled.tiles}
        outputs = {tile_of(key, output) for key, record in self._records.items() for output in record.outputs}
        return there == outputs | set(self._records)

    def cell(self, key: str) -> CellRecord | None:
        """The record of a cell; None where the baseline has no such cell."""
        return self._records.get(key)

    def fault(self, key: str) -> str | None:
        """Nothing: a baseline is whole, or cannot be read at all."""
        del key
        return None

    def held(self, key: str, output: str) -> set[str]:
        """The columns that hold anything for an output."""
        if self._tiled.tiles is not None:
            return self._tiled.held(tile_of(key, output))
        table = self._measured(key, output)
        return {column for column in table.column_names if table[column].null_count < len(table)}

    def tiles(self, key: str, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of an output's observations, a few samples after the others, with all of their elements."""
        if self._tiled.tiles is not None:
            yield from self._tiled.read(tile_of(key, output), columns)
        else:
            yield self._measured(key, output).select(list(columns))

    def controls(self, key: str) -> pa.Table:
        """The rows of the controls."""
        if self._tiled.tiles is not None:
            return pa.concat_tables(self._tiled.read(key, SCHEMA.names))
        table = self._rows(key)
        return table.filter(pc.is_valid(table["control"]))

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits."""
        names = ["element", *SAMPLES.names]
        tiles = (table for output in self._records[key].outputs for table in self.tiles(key, output, names))
        return pa.concat_tables(t.filter(pc.equal(t["element"], 0)) for t in tiles).select(SAMPLES.names)

    def _measured(self, key: str, output: str) -> pa.Table:
        table = self._rows(key)
        return table.filter(pc.and_(pc.is_null(table["control"]), pc.equal(table["output"], output)))

    def _rows(self, key: str) -> pa.Table:
        return with_columns(self._file.read_row_group(list(self._records).index(key)), SCHEMA.names)


def read(where: str) -> Baseline:
    """Read a baseline from a file, or from git as ``git:REF:PATH``.

    Raises:
        NoBaseline: it is not there.
        ConfigError: it is corrupted, or of a later symbench.
    """
    if where.startswith("git:"):
        _, _, rest = where.partition(":")
        ref, _, path = rest.partition(":")
        if not ref or not path or ref.startswith("-"):
            raise ConfigError(Problem("--baseline", f"got {where!r}", "git:REF:PATH"))
        beside = str(Path(path).with_suffix(".parquet"))
        return _checked(of_commit(ref, path, where), lambda: of_commit(ref, beside, where), where)
    file = Path(where)
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        remedy = "'symbench baseline set RUN --reason ...' makes one."
        raise NoBaseline(Problem(where, "no such file", "a baseline", remedy)) from error
    except OSError as error:
        remedy = "'symbench baseline set RUN --reason ...' makes one."
        raise ConfigError(Problem(where, f"cannot be read: {error.strerror}", "a baseline", remedy)) from error
    return _checked(text, lambda: file.with_suffix(".parquet"), where)


def _digest(observations: Path | bytes) -> str | None:
    """SHA-256 of a baseline's observations; None where their file cannot be read."""
    if isinstance(observations, bytes):
        return sha256_bytes(observations)
    with contextlib.suppress(OSError):
        return sha256_file(observations)
    return None


def _checked(text: bytes, beside: Any, where: str) -> Baseline:
    remedy = "Take it from version control again, or set it again."
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ConfigError(Problem(where, f"is corrupted: {error}", "a baseline", remedy)) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        expected = f"at most {SCHEMA_VERSION}"
        raise ConfigError(Problem(where, f"schema_version is {version}", expected, "Upgrade symbench."))
    try:
        record = BaselineRecord.model_validate(data)
    except ValidationError as error:
        got = f"is no baseline: {error.errors()[0]['msg']}"
        raise ConfigError(Problem(where, got, f"schema_version {SCHEMA_VERSION}", remedy)) from error
    if not is_sealed(data):
        raise ConfigError(Problem(where, "is not what was written: its digest differs", "a baseline", remedy))
    found = beside()
    if _digest(found) != record.observations.sha256:
        got = f"{record.observations.file} beside it is missing or another one"
        raise ConfigError(Problem(where, got, f"SHA-256 {record.observations.sha256[:12]}", remedy))
    baseline = Baseline(record, found, where)
    try:
        unknown = [cell.key for cell in baseline.cells if baseline.cell(cell.key) is None]
    except (KeyError, ValueError, zlib.error, pa.ArrowException) as error:
        raise ConfigError(Problem(where, f"is corrupted: {error}", "a baseline", remedy)) from error
    if unknown or not baseline.whole:
        raise ConfigError(Problem(where, "does not hold the observations of its cells", None, remedy))
    return baseline
