"""Parquet files whose row groups are tiles: all elements of some samples, so that nobody has to read a file whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own pools keep what is given back, and grow from tile to tile
TILE = 32_768
"""Rows of a tile, at most, where one sample's elements are not more."""
TILES = "symbench.tiles"
"""The file's note of what its row groups are: of each the output, and the columns that hold anything."""


class TileWriter:
    """Writes tiles, and notes what they are."""

    def __init__(self, path: Path, schema: pa.Schema, **options: Any) -> None:
        self._writer = pq.ParquetWriter(path, schema, **options)
        self._tiles: list[tuple[str, list[str]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.add_key_value_metadata({TILES: json.dumps(self._tiles)})
        self._writer.close()

    def write(self, name: str, table: pa.Table) -> None:
        """Add a row group under a name."""
        held = [column for column in table.column_names if table[column].null_count < len(table)]
        self._tiles.append((name, held))
        self._writer.write_table(table, row_group_size=max(1, len(table)))


class Tiled:
    """A file of tiles that is read; one that was written before there were tiles is a single one for each output.

    Attributes:
        file: it.
        schema: what its tables are read as: columns that there were not yet are null.
    """

    def __init__(self, file: pq.ParquetFile, schema: pa.Schema) -> None:
        self.file, self.schema = file, schema
        note = (file.metadata.metadata or {}).get(TILES.encode())
        self.tiles: list[tuple[str, list[str]]] | None = None if note is None else json.loads(note)

    def held(self, output: str) -> set[str]:
        """The columns that hold anything for an output."""
        if self.tiles is not None:
            return {column for name, held in self.tiles if name == output for column in held}
        tables = self.read(output, self.schema.names)
        return {column for table in tables for column in table.column_names if table[column].null_count < len(table)}

    def read(self, output: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The tiles of an output."""
        if self.tiles is None:
            yield self._single(output, columns)
            return
        for group, (name, _) in enumerate(self.tiles):
            if name == output:
                yield self._group([group], columns)

    def _single(self, output: str, columns: Sequence[str]) -> pa.Table:
        table = self._group(range(self.file.num_row_groups), sorted({*columns, "output"}))
        mine = pc.equal(table["output"], output)
        return (table if pc.all(mine).as_py() else table.filter(mine)).select(list(columns))

    def _group(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        there = [column for column in columns if column in self.file.schema_arrow.names]
        table = self.file.read_row_groups(list(groups), columns=there, use_threads=False)
        for column in columns:  # that there was not yet when the file was written
            if column not in there:
                table = table.append_column(column, pa.nulls(len(table), self.schema.field(column).type))
        return table.select(list(columns)).cast(pa.schema([self.schema.field(column) for column in columns]))
