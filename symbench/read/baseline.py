"""Baselines: a run promoted by hand as what later ones are compared with.

Two files: canonical JSON, small and fit for review, and a Parquet file of what pairing needs: predictions,
whether they are right, and what E is made of, in float32, one row group for each cell.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zlib
from collections.abc import Sequence
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
from symbench.base.columns import COLUMNS, OBSERVATIONS, SAMPLES
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
from symbench.measure.store import Store, is_sealed, sealed, sha256_bytes, sha256_file, write_text, written
from symbench.read import estimates
from symbench.read.commits import NoBaseline, of_commit
from symbench.read.packed import packed, unpacked

FLOATS = [column.name for column in COLUMNS if column.kept and column.kept_field.type == pa.float32()]
"""Columns that are kept in float32."""
DROPPED = [column.name for column in COLUMNS if not column.kept]
AVERAGED = "averaged_prediction"
CELLS, PASSES = b"symbench.cells", b"symbench.passes"

SCHEMA = pa.schema([column.kept_field for column in COLUMNS if column.kept] + [pa.field(AVERAGED, pa.int32())])


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
        _write_observations(store, [record for _, record in done], list(passes.values()), beside)
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


def _write_observations(
    store: Store, records: Sequence[CellRecord], passes: Sequence[PassRecord], path: Path
) -> None:
    unique = {record.key: record for record in records}
    schema = SCHEMA.with_metadata({CELLS: packed(unique.values()), **({PASSES: packed(passes)} if passes else {})})
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 9, "use_dictionary": _words(schema)}
    options["use_byte_stream_split"] = FLOATS
    with written(path) as temporary, pq.ParquetWriter(temporary, schema, **options) as writer:
        for key in unique:
            table = _kept(store, key).cast(SCHEMA)
            writer.write_table(table, row_group_size=len(table))


def _words(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if field.name not in FLOATS]


def _kept(store: Store, key: str) -> pa.Table:
    """A cell's observations and controls, ordered, with the orbit's averages in the identity's rows."""
    table = pa.concat_tables([store.observations(key), store.controls(key)]).drop_columns(DROPPED)
    table = table.sort_by(
        [("control", "ascending"), ("output", "ascending"), ("element", "ascending"), ("sample", "ascending")]
    )
    samples = store.samples(key)
    column_of = table.schema.get_field_index("score")  # the scores of the measurement are for nobody
    scores = pc.if_else(pc.is_valid(table["control"]), table["score"], None)
    table = table.set_column(column_of, OBSERVATIONS.field("score"), scores)
    averages = {
        (output, sample): value
        for output, sample, value in zip(*(samples[name].to_pylist() for name in SAMPLES.names), strict=True)
    }
    identity = pc.and_(pc.is_null(table["control"]), pc.equal(table["element"], 0)).to_pylist()
    rows = zip(table["output"].to_pylist(), table["sample"].to_pylist(), identity, strict=True)
    column = [averages[output, sample] if mine else None for output, sample, mine in rows]
    return table.append_column(AVERAGED, pa.array(column, pa.int32()))


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
    def groups(self) -> int:
        """How many row groups the Parquet file has: one for each cell."""
        return self._file.num_row_groups

    def cell(self, key: str) -> CellRecord | None:
        """The record of a cell; None where the baseline has no such cell."""
        return self._records.get(key)

    def fault(self, key: str) -> str | None:
        """Nothing: a baseline is whole, or cannot be read at all."""
        del key
        return None

    def observations(self, key: str) -> pa.Table:
        """The rows of the measurement itself."""
        table = self._rows(key)
        return table.filter(pc.is_null(table["control"]))

    def controls(self, key: str) -> pa.Table:
        """The rows of the controls."""
        table = self._rows(key)
        return table.filter(pc.is_valid(table["control"]))

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits."""
        table = self.observations(key)
        return table.filter(pc.equal(table["element"], 0)).select(SAMPLES.names)

    def _rows(self, key: str) -> pa.Table:
        table = self._file.read_row_group(list(self._records).index(key))
        for field in SCHEMA:  # columns that there were not yet when it was set
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table


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
    if unknown or baseline.groups != len({cell.key for cell in baseline.cells}):
        raise ConfigError(
            Problem(where, "does not hold the observations of its cells, each in one row group", None, remedy)
        )
    return baseline
