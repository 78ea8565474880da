"""The files of one cell: its record, checked, and its tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from symbench.base.columns import DEVIATIONS, GALLERY, OBSERVATIONS, SAMPLES, VIEWS
from symbench.base.paths import sha256_file
from symbench.base.records import CellRecord, FileRecord
from symbench.base.slices import slices
from symbench.measure.store.files import content_key, is_sealed, written
from symbench.measure.store.tiles import TILE, TileWriter


def parsed(path: Path, key: str) -> CellRecord | str:
    """The record of a cell's file, or what is wrong with it, in words.

    Args:
        path: its ``cell.json``.
        key: the key that the folder's name says.
    """
    try:
        data = json.loads(path.read_bytes())
        record = CellRecord.model_validate(data)
    except OSError as error:
        return f"cell.json cannot be read: {error.strerror or error}"
    except ValueError as error:
        return f"cell.json is damaged: {error.errors()[0]['msg'] if isinstance(error, ValidationError) else error}"
    if not is_sealed(data):
        return "cell.json is not what was written: its digest differs"
    # A digest alone does not help against a folder that was copied under another key: it is that of another cell's
    # record, and right. Hence the key against the folder, and against the identity that it is the hash of.
    if record.key != key:
        return f"it is another cell's folder, {record.key[:12]}"
    if content_key(record.identity) != key:
        return "cell.json is not what was written: its key is not that of its identity"
    return record


def files_of(record: CellRecord) -> list[FileRecord]:
    """The files that a cell's record names."""
    others = (
        record.samples_file,
        record.controls_file,
        record.views_file,
        record.gallery_file,
        record.deviations_file,
    )
    return [*record.parts, *(file for file in others if file is not None)]


def write_part(folder: Path, first: int, last: int, columns: Mapping[str, Any]) -> Path:
    """Write the observations of samples ``first`` to ``last`` of the cell's order.

    Args:
        folder: of the cell.
        first: of the order.
        last: of the order, taken too.
        columns: for each output after the other the rows of each element after the other.
    """
    outputs, count = list(dict.fromkeys(columns["output"])), last - first + 1
    elements = len(columns["output"]) // len(outputs) // count
    places = np.arange(len(columns["output"])).reshape(len(outputs), elements, count)
    tiles = (
        (str(output), {name: values[mine[:, some].ravel()] for name, values in columns.items()})
        for output, mine in zip(outputs, places, strict=True)
        for some in tiles_of(elements, count)
    )
    return write_tiles(folder, first, last, tiles)


def tiles_of(elements: int, count: int) -> list[slice]:
    """The samples that stand together in one row group, with all of their elements: few enough to be read at once."""
    return slices(count, max(1, TILE // elements))


def write_tiles(folder: Path, first: int, last: int, tiles: Iterable[tuple[str, Mapping[str, Any]]]) -> Path:
    """Write a part, for each output some samples after the others: each a row group that is read by itself.

    Args:
        folder: of the cell.
        first: of the cell's order.
        last: of the order, taken too.
        tiles: the output's name, and the rows of all elements for some samples.
    """
    path = folder / f"observations-{first:08d}-{last:08d}.parquet"
    with written(path) as temporary, TileWriter(temporary, OBSERVATIONS, compression="zstd") as writer:
        for output, columns in tiles:
            writer.write(output, pa.Table.from_arrays(_arrays(columns, OBSERVATIONS), schema=OBSERVATIONS))
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


def write_deviations(folder: Path, outputs: Mapping[str, np.ndarray], order: Sequence[int]) -> FileRecord:
    """Write what samples are off by.

    Args:
        folder: of the cell.
        outputs: by their names ``(k, n, d)``, the identity's row the first.
        order: the samples.
    """
    path = folder / "deviations.parquet"
    tables = []
    for name, values in outputs.items():
        k, n, d = values.shape
        lists = pa.ListArray.from_arrays(np.arange(0, k * n * d + 1, d, dtype=np.int32), values.reshape(-1))
        sample, element = np.tile(np.array(order[:n]), k), np.repeat(np.arange(k), n)
        columns = {"output": np.full(k * n, name, dtype=object), "sample": sample, "element": element}
        arrays = [pa.array(columns[field.name], type=field.type) for field in DEVIATIONS if field.name in columns]
        tables.append(pa.Table.from_arrays([*arrays, lists], schema=DEVIATIONS))
    with written(path) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
    return FileRecord(file=path.name, sha256=sha256_file(path))


def _write_table(path: Path, columns: Mapping[str, Any], schema: pa.Schema) -> None:
    """Write columns as a table of this schema, whole or not at all."""
    with written(path) as temporary:
        pq.write_table(pa.Table.from_arrays(_arrays(columns, schema), schema=schema), temporary, compression="zstd")


def _arrays(columns: Mapping[str, Any], schema: pa.Schema) -> list[pa.Array]:
    # ``from_pandas`` makes NaN a null: a metric that is undefined for a sample is missing, and no number.
    return [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in schema]
