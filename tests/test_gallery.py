"""The pictures that are kept: the right samples, the right elements, the right pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import photos
import pyarrow as pa
from conftest import Symbench
from PIL import Image as Pil
from test_gate import Scene

from symbench import open_run
from symbench.measure.evaluate.gallery import SHOWN, worst_of
from symbench.measure.store import Store


def gallery(results: Path) -> tuple[pa.Table, Store, str]:
    run = open_run(results=results)
    key = run.manifest.cells[0].key
    found = run.store.gallery(key)
    assert found is not None
    return found, run.store, key


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Pil.open(io.BytesIO(data)))


def test_pictures_are_those_that_the_model_saw(tmp_path: Path, symbench: Symbench) -> None:
    scene = Scene(tmp_path, symbench)
    assert scene.run(skew=3.0).code == 0
    found, store, key = gallery(scene.results)
    assert len(found) == SHOWN
    from symbench.testing import Blobs

    images = Blobs(300).batch(range(300)).leaves["image"]
    rows = store.observations(key).to_pandas().set_index(["sample", "element"])
    labels = {element.label: element.element for element in store.cell(key).elements}  # type: ignore[union-attr]
    for row in found.to_pylist():
        before = np.rint(images[row["sample"]][0].numpy() * 255)
        number = labels[row["element"]]
        assert (opened(row["image_before"]) == before).all()
        assert (opened(row["image_after"]) == np.rot90(before, number)).all()
        assert row["before"] == row["target"] == str(row["sample"] % 3)
        assert row["after"] != row["target"]
        assert row["after"] == str(rows.loc[(row["sample"], number), "prediction"])
        assert row["confidence_before"] == rows.loc[(row["sample"], 0), "confidence"]
        assert 0 < row["confidence_after"] <= 1
        assert row["deviation"] ** 2 == np.float64(rows.loc[(row["sample"], number), "deviation_sq"]) or np.isclose(
            row["deviation"] ** 2, rows.loc[(row["sample"], number), "deviation_sq"]
        )


def test_what_does_not_break_has_no_gallery(tmp_path: Path, symbench: Symbench) -> None:
    """Deep inside rounding there is nothing to show, and a set has no pictures."""
    scene = Scene(tmp_path, symbench)
    scene.write()
    text = scene.suite.read_text().replace('"data.py:load", args: {samples: 300, seed: 0}', "sets, samples: 20")
    text = text.replace("{group: C4, on: image}", "{group: S16, on: set, elements: 3}")
    scene.suite.write_text(text.replace('"model.py:build", args: {skew: 0.0, fault: none}', "deep-sets"))
    ran = symbench("run", scene.suite, "--results", scene.results)
    assert ran.code == 0, ran.err
    run = open_run(results=scene.results)
    assert run.store.gallery(run.manifest.cells[0].key) is None


def test_classes_go_by_their_names(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 12)
    suite = photos.suite(tmp_path)
    model = photos.MODEL.replace("return Brightness(classes=classes, channels=channels)", "return Corner()")
    (tmp_path / "model.py").write_text(CORNER + model)
    assert symbench("run", suite, "--results", tmp_path / "results").code == 0
    found, _, _ = gallery(tmp_path / "results")
    assert {*found["target"].to_pylist(), *found["before"].to_pylist()} <= {"cat", "dog"}
    assert opened(found["image_before"][0].as_py()).shape == (9, 9, 3)


CORNER = """\
from torch import nn


class Corner(nn.Module):
    def forward(self, x):
        return 8 * x[:, :2, 0, 0]


"""


def test_right_and_then_wrong_comes_first() -> None:
    """Three samples at two elements: one stays right, one goes wrong, one was wrong before and changes."""
    columns = {
        "deviation_sq": np.array([[0, 0, 0], [4.0, 1.0, 9.0], [1.0, 0.5, 1.0]]),
        "confidence": np.array([[0.9, 0.9, 0.9], [0.1, 0.5, 0.1], [0.8, 0.6, 0.8]]),
        "prediction": np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        "correct": np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0]]),
        "valid": np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]),
    }
    found = worst_of(columns, [10, 11, 12])
    assert [(each.sample, each.element) for each in found] == [(11, 2), (12, 1), (10, 1)]
    assert [each.deviation for each in found] == [np.sqrt(0.5), 3.0, 2.0]
