"""Parts are written in tiles, all elements of some samples, and read one at a time; older files are read as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symbench.base.columns import OBSERVATIONS
from symbench.base.records import PartRecord
from symbench.measure.evaluate.closing import check_complete
from symbench.measure.store import write_part
from symbench.measure.store.tiles import TILES, Tiled

K, N = 3, 10
NAMES = ["sample", "element", "confidence", "loss"]


def columns(outputs: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """Rows of two outputs, of which only the first has confidences."""
    rows = len(outputs) * K * N
    found: dict[str, Any] = {name: np.full(rows, None) for name in OBSERVATIONS.names}
    confidence = np.arange(rows) / rows
    confidence[K * N :] = np.nan
    return found | {
        "output": np.repeat(np.array(outputs, dtype=object), K * N),
        "sample": np.tile(100 - np.arange(N), len(outputs) * K),
        "element": np.tile(np.repeat(np.arange(K), N), len(outputs)),
        "valid": np.ones(rows, dtype=bool),
        "confidence": confidence,
        "loss": np.arange(rows) * 1.0,
    }


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("symbench.measure.store.cells.TILE", 4 * K)
    return write_part(tmp_path, 0, N - 1, columns())


def test_a_row_group_holds_all_elements_of_some_samples(part: Path) -> None:
    with pq.ParquetFile(part) as file:
        assert file.num_row_groups == 6
        tiled = Tiled(file, OBSERVATIONS)
        assert [name for name, _ in tiled.tiles or []] == ["a"] * 3 + ["b"] * 3
        tiles = list(tiled.read("b", NAMES))
    assert [len(tile) for tile in tiles] == [4 * K, 4 * K, 2 * K]
    assert tiles[1]["sample"].to_pylist() == [96, 95, 94, 93] * K
    assert tiles[1]["element"].to_pylist() == [0] * 4 + [1] * 4 + [2] * 4
    assert tiles[1]["loss"].to_pylist() == [K * N + k * N + i for k in range(K) for i in range(4, 8)]


def test_what_columns_hold_is_known_of_each_output(part: Path) -> None:
    with pq.ParquetFile(part) as file:
        tiled = Tiled(file, OBSERVATIONS)
        assert tiled.held("a") == {"output", "sample", "element", "valid", "confidence", "loss"}
        assert tiled.held("b") == {"output", "sample", "element", "valid", "loss"}


def test_the_whole_file_is_what_was_written(part: Path) -> None:
    """Readers that want all of it need not know of tiles."""
    order = ["output", "element", "sample"]
    rows = pq.read_table(part, schema=OBSERVATIONS).to_pandas().sort_values(order)
    known = columns()
    expected = np.lexsort((known["sample"], known["element"], known["output"]))
    np.testing.assert_array_equal(rows["loss"], known["loss"][expected])


def test_a_file_without_tiles_is_one_for_each_output(tmp_path: Path) -> None:
    """As they were written before; a column that there was not yet holds nothing."""
    arrays = {
        name: pa.array(values, OBSERVATIONS.field(name).type, from_pandas=True) for name, values in columns().items()
    }
    path = tmp_path / "old.parquet"
    pq.write_table(pa.table(arrays).drop_columns(["retrieved"]), path)
    with pq.ParquetFile(path) as file:
        assert TILES.encode() not in (file.metadata.metadata or {})
        tiled = Tiled(file, OBSERVATIONS)
        assert tiled.held("b") == {"output", "sample", "element", "valid", "loss"}
        (tile,) = tiled.read("b", [*NAMES, "retrieved"])
    assert tile["loss"].to_pylist() == [K * N + i * 1.0 for i in range(K * N)]
    assert tile["retrieved"].null_count == K * N


@pytest.mark.parametrize(
    ("order", "elements", "said"),
    [
        (range(100, 90, -1), K + 1, "does not hold every element of every sample"),
        (range(99, 89, -1), K, "do not hold every sample exactly once"),
    ],
    ids=["other elements", "other samples"],
)
def test_a_part_that_is_not_complete_is_refused(part: Path, order: range, elements: int, said: str) -> None:
    records = [PartRecord(file=part.name, first=0, last=N - 1, sha256="0" * 64)]
    check_complete(part.parent, records, range(100, 90, -1), K, ["a", "b"])
    with pytest.raises(AssertionError, match=said):
        check_complete(part.parent, records, order, elements, ["a", "b"])


def test_a_part_that_lacks_samples_is_refused(part: Path) -> None:
    records = [PartRecord(file=part.name, first=0, last=N, sha256="0" * 64)]
    with pytest.raises(AssertionError, match="does not hold every element of every sample"):
        check_complete(part.parent, records, range(101, 90, -1), K, ["a"])
