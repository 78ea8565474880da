"""What baselines keep of observations: in float32, in row groups of some samples with all elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symbench.base.columns import AVERAGED, COLUMNS, FLOAT, OBSERVATIONS, SAMPLES, SINGLE
from symbench.base.passes import PassRecord
from symbench.base.records import CellRecord
from symbench.measure.store import Store, written
from symbench.measure.store.tiles import TileWriter
from symbench.read.packed import packed

ORDER = [(name, "ascending") for name in ("control", "output", "element", "sample")]
ORBITS = [
    pa.field(name, SINGLE if SAMPLES.field(name).type == FLOAT else SAMPLES.field(name).type) for name in AVERAGED
]
"""What is kept of whole orbits, in the identity's rows."""
CELLS, PASSES = b"symbench.cells", b"symbench.passes"

SCHEMA = pa.schema([column.kept_field for column in COLUMNS if column.kept] + ORBITS)
FLOATS = [field.name for field in SCHEMA if field.type == SINGLE]
"""Columns that are kept in float32."""


def write_observations(store: Store, records: Sequence[CellRecord], passes: Sequence[PassRecord], path: Path) -> None:
    """Write what is kept of a run; how models were trained is not.

    Args:
        store: where its cells are.
        records: of the cells; the same one may stand there twice.
        passes: throughput passes.
        path: of the Parquet file.
    """
    unique = {record.key: record.model_copy(update={"training": None}) for record in records}
    schema = SCHEMA.with_metadata({CELLS: packed(unique.values()), **({PASSES: packed(passes)} if passes else {})})
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 9, "use_dictionary": _words(schema)}
    options["use_byte_stream_split"] = FLOATS
    with written(path) as temporary, TileWriter(temporary, schema, **options) as writer:
        for key, record in unique.items():
            for output in record.outputs:
                for table in _kept(store, key, output):
                    writer.write(tile_of(key, output), table.cast(SCHEMA))
            writer.write(key, with_columns(store.controls(key), SCHEMA.names).sort_by(ORDER).cast(SCHEMA))


def _words(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if field.name not in FLOATS]


def tile_of(key: str, output: str) -> str:
    """What row groups of an output's observations are called; those of a cell's controls have the key alone."""
    return f"{key} {output}"


def _kept(store: Store, key: str, output: str) -> Iterator[pa.Table]:
    """An output's observations, some samples after the others, with the orbit's averages in the identity's rows."""
    samples = store.samples(key)
    mine = samples.filter(pc.equal(samples["output"], output)).sort_by("sample")
    for tile in store.tiles(key, output, OBSERVATIONS.names):
        table = tile.sort_by([("element", "ascending"), ("sample", "ascending")])
        places = pa.array(np.searchsorted(mine["sample"].to_numpy(), table["sample"].to_numpy()))
        identity = pc.equal(table["element"], 0)
        for field in ORBITS:
            table = table.append_column(field.name, pc.if_else(identity, mine[field.name].take(places), None))
        # the scores of the measurement are for nobody
        yield with_columns(table.drop_columns(["score"]), SCHEMA.names)


def with_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Columns of a table, null where it has none of the name."""
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
    return table.select(list(names))
