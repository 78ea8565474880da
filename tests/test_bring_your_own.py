"""One suite of networks from everywhere on a folder of photographs, and the same without labels and without a suite."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from conftest import Symbench
from test_model_files import exports

from symbench.measure.store import Store

__all__ = ["exports"]

SUITE = """\
version: 1
name: zoo
datasets:
  photos: {use: images, root: photos}
models:
  resnet18:  {use: torchvision/resnet18, size: 32}
  mobilenet: {use: torchvision/mobilenet_v2, size: 32}
  timm:      {use: timm/resnet10t, size: 32}
  original:  {use: "net.py:build", weights: net.safetensors, size: 17}
  exported:  {use: net.pt2}
  onnx:      {use: net.onnx, size: 17}
symmetries:
  turns: {preset: c4}
controls: {samples: 8}
"""


def estimates(ran_out: str) -> dict[tuple[str, str], dict[str, Any]]:
    rows = [row for row in json.loads(ran_out)["estimates"] if row["element"] is None]
    return {(row["model"], row["metric"]): row for row in rows}


@pytest.mark.slow
def test_one_suite_of_networks_from_everywhere(exports: Path, tmp_path: Path, symbench: Symbench) -> None:
    """What was exported agrees with its original within the floor, prediction by prediction."""
    folder = Path(shutil.copytree(exports, tmp_path / "zoo"))
    photos.folders(folder / "photos", 24, classes=("cat", "cow", "dog"), kind="jpg")
    (folder / "zoo.yaml").write_text(SUITE)
    ran = symbench("run", folder / "zoo.yaml", "--results", folder / "results", "--json")
    assert ran.code == 0, ran.err
    found = estimates(ran.out)
    assert {model for model, _ in found} == {"resnet18", "mobilenet", "timm", "original", "exported", "onnx"}
    keys = {cell["model"]: cell["key"] for cell in json.loads(ran.out)["cells"]}
    store = Store(folder / "results")
    rows = {name: store.observations(key).to_pandas() for name, key in keys.items()}
    assert {len(table) for table in rows.values()} == {4 * 24}
    floor = found["original", "absolute_error"]["floor"]
    assert 0 < floor < 1e-5
    for name in ("exported", "onnx"):
        assert (rows[name]["prediction"] == rows["original"]["prediction"]).all()
        for column in ("score", "confidence", "target_probability"):
            assert float(np.abs(rows[name][column] - rows["original"][column]).max()) <= max(10 * floor, 2e-6)
    assert "does not run in float64" in str(found["onnx", "equivariance_error_float64"]["reason"]) or (
        "float64" in str(found["onnx", "equivariance_error_float64"]["reason"])
    )
    again = symbench("run", folder / "zoo.yaml", "--results", folder / "results")
    assert "nothing to do: 6 cells" in again.err


def test_photographs_without_labels_and_without_a_suite(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracy is null with the reason, never 0; everything else is measured."""
    monkeypatch.chdir(tmp_path)
    flat = tmp_path / "flat"
    flat.mkdir()
    for i in range(8):
        (flat / f"{i}.jpg").write_bytes(photos.encoded(photos.picture(i), "JPEG"))
    words = ["--model", "torchvision/squeezenet1_1", "--data", "flat", "--symmetry", "c4", "--size", "32"]
    ran = symbench("run", *words, "--json")
    assert ran.code == 0, ran.err
    found = estimates(ran.out)
    accuracy = found["squeezenet1_1", "accuracy"]
    assert accuracy["estimate"] is None
    assert accuracy["reason"] == "no class labels"
    for metric in ("consistency", "equivariance_error", "confidence_change"):
        assert found["squeezenet1_1", metric]["estimate"] is not None
