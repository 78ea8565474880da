"""The store: atomic, addressed by content, versioned; published schemas are what is written."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest
from conftest import ROOT, Folder, Symbench

from symbench.base.columns import DEVIATIONS, GALLERY, OBSERVATIONS, SAMPLES, VIEWS
from symbench.base.errors import ConfigError
from symbench.base.passes import PassRecord
from symbench.base.records import BaselineRecord, CellRecord, CompareRecord, GateRecord, Manifest
from symbench.measure.store import Store, canonical, content_key, written

SCHEMAS = ROOT / "symbench" / "base" / "schemas"


def test_canonical_json_is_strict_and_ordered() -> None:
    assert canonical({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError), written(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with written(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert len(list(path.parent.iterdir())) == 1


def test_published_schemas_are_those_of_the_code() -> None:
    models = (("manifest-2", Manifest), ("cell-2", CellRecord), ("gate-1", GateRecord), ("compare-1", CompareRecord))
    for name, model in (*models, ("baseline-1", BaselineRecord), ("pass-1", PassRecord)):
        assert json.loads((SCHEMAS / f"{name}.json").read_text()) == model.model_json_schema()
    for name, schema in (
        ("observations", OBSERVATIONS),
        ("samples", SAMPLES),
        ("views", VIEWS),
        ("gallery", GALLERY),
        ("deviations", DEVIATIONS),
    ):
        columns = [{"name": f.name, "type": str(f.type), "nullable": f.nullable} for f in schema]
        assert json.loads((SCHEMAS / f"{name}-1.json").read_text()) == {"schema_version": 1, "columns": columns}


def test_what_a_run_writes_validates(folder: Folder, symbench: Symbench) -> None:
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    manifests = list((folder.results / "runs").glob("*.json"))
    cells = list((folder.results / "cells").rglob("cell.json"))
    assert len(manifests) == len(cells) == 1
    for path, name in ((manifests[0], "manifest"), (cells[0], "cell")):
        jsonschema.validate(json.loads(path.read_text()), json.loads((SCHEMAS / f"{name}-2.json").read_text()))
    record = CellRecord.model_validate_json(cells[0].read_bytes())
    assert content_key(record.identity) == record.key == cells[0].parent.name
    table = pa.parquet.read_table(cells[0].parent / record.parts[0].file)
    assert table.schema.equals(OBSERVATIONS)
    assert (folder.results / "latest").read_text().strip() == manifests[0].stem
    assert not (cells[0].parent / "scratch").exists()


def test_a_corrupted_part_is_noticed(folder: Folder, symbench: Symbench) -> None:
    symbench("run", folder.suite, "--results", folder.results)
    part = next((folder.results / "cells").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    ran = symbench("report", "--results", folder.results)
    assert ran.code == 3
    assert f"{part.name} is not what was written" in ran.out
    assert "Traceback" not in ran.err


def test_manifests_of_the_future_and_broken_ones_are_refused(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "a.json").write_text('{"schema_version": 3}')
    (runs / "b.json").write_text("{")
    (runs / "c.json").write_text('{"schema_version": 2}')
    for name, message in (
        ("a", "schema_version is 3, expected at most 2. Upgrade"),
        ("b", "cannot be read"),
        ("c", "is no manifest"),
    ):
        with pytest.raises(ConfigError, match=message):
            Store(tmp_path).manifest(name)
    with pytest.raises(ConfigError, match="no run 'd'"):
        Store(tmp_path).manifest("d")
    with pytest.raises(ConfigError, match="no run here yet"):
        Store(tmp_path).manifest()
    with pytest.raises(ConfigError, match="no run"):
        Store(tmp_path).manifest("../../etc/passwd")
