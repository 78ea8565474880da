"""Linear probes: the minimiser that they are to be, on the embeddings that are measured, and a sentence where none is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Folder, Symbench
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import symbench as sb
from symbench.base.errors import CellError, ConfigError, DataError, ModelError
from symbench.domains.images.datasets import digits
from symbench.face.api import prepare
from symbench.measure.assemble import ready
from symbench.measure.execution import linear_probe
from symbench.measure.execution.linear_probe import Fitted, fitted
from symbench.measure.execution.loading import completed

SUITE = """\
version: 1
name: small
datasets:
  digits: {use: digits, size: 9}
models:
  net: {use: cnn, width: 4, embedding: 12, linear_probe: digits, layers: [features.2]}
  few: {use: cnn, width: 4, embedding: 12, linear_probe: {on: digits, samples: 40}}
  mean: {use: cnn, width: 4, embedding: 12, linear_probe: digits, average: turns}
  own: {use: "own.py:Net", linear_probe: digits}
  bare: {use: cnn, width: 4, embedding: 12}
symmetries:
  turns: {group: C4, on: image}
controls: {share: 0.0, floor: 0}
"""
OWN = """\
import torch
from torch import nn
from symbench.fields import Embedding


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.outputs = {"vector": Embedding()}
        self.head = nn.Linear(81, 6)

    def forward(self, x):
        return {"vector": self.head(x.flatten(1))}
"""


@dataclass(frozen=True)
class Measured:
    """A run, and what came of it."""

    suite: Path
    run: sb.Run
    frame: pd.DataFrame

    def estimate(self, model: str, metric: str, output: str, element: str | None = None) -> float:
        frame = self.frame
        at = frame["element"].isna() if element is None else frame["element"] == element
        rows = frame[(frame["model"] == model) & (frame["metric"] == metric) & (frame["output"] == output) & at]
        return float(rows["estimate"].iloc[0])

    def embedded(self, model: str, turns: int = 0, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Embeddings by the module alone, of digits turned by so many quarters, and their labels."""
        module = prepare(self.suite, sb.Choices(device="cpu"))[0].new_module(model, "digits").eval()
        data = digits.load(split=split, size=9)
        batch = data.batch(range(len(data)))
        with torch.no_grad():
            found = module(batch.leaves["image"].rot90(turns, (2, 3)))
        values = found["vector"] if isinstance(found, dict) else found
        return values.double().numpy(), batch.targets["label"].numpy()

    def written(self) -> list[int]:
        """When each file of its cells was written last."""
        folders = [self.run.store.cell_folder(cell.key) for cell in self.run.manifest.cells]
        return [path.stat().st_mtime_ns for folder in folders for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("probes")
    (folder / "own.py").write_text(OWN)
    (folder / "small.yaml").write_text(SUITE)
    run = sb.run(folder / "small.yaml", results=folder / "results")
    assert not run.failed, [cell.reason for cell in run.failed]
    return Measured(folder / "small.yaml", run, run.estimates())


DOUBLE = float(np.finfo(np.float64).eps)


def problem(classes: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of several scales, of classes that overlap."""
    generator = np.random.default_rng(classes)
    labels = np.arange(n) % classes
    x = generator.normal(size=(n, 5)) + generator.normal(size=(classes, 5))[labels]
    return x * np.array([1, 10, 100, 0.1, 1e-3]) + np.array([0, 5, -300, 0, 1]), labels


# The fit.


@pytest.mark.parametrize("classes", [3, 5])
def test_a_probe_is_where_the_gradient_vanishes(classes: int) -> None:
    x, labels = problem(classes)
    found = fitted(x, labels, "net", classes, DOUBLE)
    scores = (x - found.mean) @ found.weight.T + found.bias
    chances = np.exp(scores - scores.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    off = chances - np.eye(classes)[labels]  # (n, classes)
    scale = x.std(0)
    gradient = off.T @ ((x - x.mean(0)) / scale) + found.weight * scale  # of the loss, and of the penalty with C = 1
    assert np.abs(gradient).max() < 1e-3 * len(x)
    assert np.abs(off.sum(0)).max() < 1e-3 * len(x), "the bias is not penalised"


def test_two_classes_are_one_regression() -> None:
    x, labels = problem(2)
    found = fitted(x, labels, "net", 2, DOUBLE)
    known = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8)).fit(x, labels)
    scores = (x - found.mean) @ found.weight.T + found.bias
    assert np.allclose(scores[:, 1] - scores[:, 0], known.decision_function(x), atol=1e-3)


def test_a_number_that_is_the_same_for_all_is_left_out() -> None:
    x, labels = problem(3)
    wide = np.concatenate([x, np.full((len(x), 1), 0.1)], axis=1)
    found, known = fitted(wide, labels, "net", 3, DOUBLE), fitted(x, labels, "net", 3, DOUBLE)
    assert np.array_equal(found.weight[:, 5], np.zeros(3))
    assert np.allclose(found.weight[:, :5], known.weight)


def test_rounding_tells_nothing() -> None:
    x, labels = problem(3)
    single = float(np.finfo(np.float32).eps)
    noise = 0.73 * (1 + single * np.random.default_rng(1).integers(-1, 2, (len(x), 1)))  # a float32's last bit
    found = fitted(np.concatenate([x, noise], axis=1), labels, "net", 3, single)
    assert np.array_equal(found.weight[:, 5], np.zeros(3))
    with pytest.raises(ModelError, match="its embeddings of 200 samples are all one"):
        fitted(noise, labels, "net", 3, single)


@pytest.mark.parametrize(
    ("x", "labels", "classes", "kind", "message"),
    [
        (
            problem(3)[0],
            np.zeros(200, int),
            1,
            DataError,
            "the 200 samples of its linear probe are of 1 of 2 classes",
        ),
        (problem(3)[0], problem(3)[1], 4, DataError, "are of 3 of 4 classes, expected some of each"),
        (
            np.full((30, 2), 0.1),
            np.arange(30) % 3,
            3,
            ModelError,
            "its embeddings of 30 samples are all one: they have",
        ),
    ],
    ids=["one class", "a class without samples", "collapsed"],
)
def test_what_cannot_be_fitted_is_a_sentence(
    x: np.ndarray, labels: np.ndarray, classes: int, kind: type[CellError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        fitted(x, labels, "net", classes, DOUBLE)


# What is measured of it.


@pytest.mark.parametrize("model", ["net", "own"])
def test_its_accuracy_is_that_of_a_regression_by_hand(measured: Measured, model: str) -> None:
    by_hand = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    by_hand.fit(*measured.embedded(model, split="train"))
    for element, turns in (("0°", 0), ("90°", 1)):  # neither changes what a digit is
        right = by_hand.score(*measured.embedded(model, turns))
        assert measured.estimate(model, "element_accuracy", "linear_probe", element) == pytest.approx(
            right, abs=0.006
        )
    assert measured.estimate(model, "accuracy", "linear_probe") > 0.5


def test_the_embedding_is_measured_as_without_it(measured: Measured) -> None:
    for metric in ("equivariance_error", "cosine_similarity", "recall_at_1"):
        alone = measured.estimate("bare", metric, "embedding")
        assert measured.estimate("net", metric, "embedding") == pytest.approx(alone, rel=1e-9)
    frame = measured.frame
    assert set(frame[frame["model"] == "bare"]["output"].dropna()) == {"embedding"}
    parameters = frame[frame["metric"] == "parameters"].set_index("model")["estimate"]
    assert parameters["net"] == parameters["bare"], "the probe is none of the model"


def test_an_averaged_embedding_has_a_probe_of_its_own(measured: Measured) -> None:
    assert measured.estimate("mean", "equivariance_error", "embedding") < 1e-3
    plain, worst = (
        measured.estimate("mean", name, "linear_probe") for name in ("accuracy", "worst_element_accuracy")
    )
    assert worst == pytest.approx(plain, abs=0.03)
    assert measured.estimate("net", "worst_element_accuracy", "linear_probe") < plain - 0.1


def test_fewer_samples_teach_less_and_are_another_cell(measured: Measured) -> None:
    few, all_of_them = (measured.estimate(name, "accuracy", "linear_probe") for name in ("few", "net"))
    assert few < all_of_them
    assert len({cell.key for cell in measured.run.manifest.cells}) == 5


def test_a_second_run_measures_nothing_again(measured: Measured) -> None:
    before = measured.written()
    again = sb.run(measured.suite, results=measured.suite.parent / "results")
    assert [cell.key for cell in again.manifest.cells] == [cell.key for cell in measured.run.manifest.cells]
    assert measured.written() == before


def test_half_precision_keeps_scores_apart(folder: Folder) -> None:
    """The probe of a model in bfloat16 is in float32, and its parts stay in the precisions that they came in."""
    suite = write(folder, 'use: "own.py:Net", linear_probe: digits, only: {dataset: digits}')
    (folder.path / "own.py").write_text(OWN.replace("nn.Linear(81, 6)", "nn.Linear(81, 6).bfloat16()"))
    suite.write_text(suite.read_text().replace("symmetries:", OTHER))
    space, _ = prepare(suite, sb.Choices(device="cpu"))
    cell = next(cell for cell in space.plan.cells if cell.pair.model == "net")
    model = ready(space.new_module("net", "digits"), space.suite.models["net"], "net")
    found = completed(space, model, cell, "cpu")
    outputs = found({"image": torch.rand(5, 1, 9, 9).bfloat16()})
    assert {name: x.dtype for name, x in outputs.items()} == {
        "vector": torch.bfloat16, "linear_probe": torch.float32,
    }  # fmt: skip


# What cannot be probed.

OTHER = "  other: {use: cnn, width: 4, embedding: 3}\nsymmetries:"

UNLABELLED = "import torch\ndef load(split='test'):\n    return list(torch.rand(8, 1, 9, 9))\n"
NUMBERS = """\
import torch
from symbench.algebra.fields import Scalar
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Image


def load(split="test"):
    x = torch.rand(12, 1, 9, 9, generator=torch.Generator().manual_seed(int(split == "test")))
    fields = {"fields": {"image": Image()}, "target_fields": {"size": Scalar()}}
    return Arrays({"image": x}, {"size": x.mean((1, 2, 3))}, **fields)
"""
ONE_SPLIT = "from symbench.testing import Blobs\ndef load():\n    return Blobs()\n"
CNN = "use: cnn, width: 4"
WRONG = [
    (f"{CNN}, embedding: 12, linear_probe: digit", "models.net.linear_probe: got 'digit', expected one of digits, mine."),
    (f"{CNN}, embedding: 12, linear_probe: {{on: digits, sample: 3}}", "got unknown key 'sample', expected one of on, samples"),
    (f"{CNN}, embedding: 12, linear_probe: {{on: digits, samples: 1}}", "linear_probe.samples: got 1, expected 2 or more"),
    (f"{CNN}, embedding: 12, linear_probe: {{on: digits, samples: 2000}}", "got 2,000 samples, and the training split of"),
    (f"{CNN}, embedding: 1", "models.net.embedding: got 1, expected 2 or more"),
    (f"{CNN}, embedding: 12, outputs: {{z: embedding}}", "models.net.embedding: got both embedding and outputs"),
    ('use: "own.py:Net", embedding: 12', "models.net.embedding: got embedding for code of your own, expected it for a"),
    ("use: torchvision/resnet18, embedding: 12", "got embedding for torchvision/resnet18, which is as it comes, expected a"),
    (f"{CNN}, linear_probe: digits", "models.net.linear_probe: a linear probe is of an embedding, and its outputs are 'logits'"),
]  # fmt: skip


def write(folder: Folder, entry: str, data: str = ONE_SPLIT) -> Path:
    (folder.path / "own.py").write_text(OWN)
    (folder.path / "data.py").write_text(data)
    folder.suite.write_text(
        "version: 1\nname: small\ndatasets:\n  digits: {use: digits, size: 9}\n"
        f'  mine: {{use: "data.py:load"}}\nmodels:\n  net: {{{entry}}}\n'
        "symmetries:\n  turns: {group: C4, on: image}\n"
    )
    return folder.suite


@pytest.mark.parametrize(("entry", "message"), WRONG, ids=lambda text: text[:60])
def test_what_is_wrong_is_said_in_a_sentence(folder: Folder, entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(write(folder, entry), sb.Choices(device="cpu"))


def test_a_probe_is_not_tested_on_what_it_was_fitted_on(folder: Folder) -> None:
    data = ONE_SPLIT.replace("load()", "load(split='test')")
    suite = write(folder, f"{CNN}, embedding: 12, linear_probe: mine", data)
    suite.write_text(suite.read_text().replace("  digits: {use: digits, size: 9}\n", ""))
    with pytest.raises(
        ConfigError, match="the training split of mine is what is measured of mine: the probe would be"
    ):
        prepare(suite, sb.Choices(device="cpu"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            ONE_SPLIT,
            "datasets.mine: data.py:load has no parameter 'split', expected one that takes 'train' and 'test'",
        ),
        (UNLABELLED, "models.net.linear_probe: mine has no labels, and a linear probe tells classes"),
        (NUMBERS, "models.net.linear_probe: the target of mine is Scalar, and a linear probe tells classes"),
    ],
    ids=["no training split", "no labels", "no classes"],
)
def test_what_a_dataset_lacks_is_said(folder: Folder, symbench: Symbench, data: str, message: str) -> None:
    suite = write(folder, f"{CNN}, embedding: 12, linear_probe: mine, only: {{dataset: digits}}", data)
    suite.write_text(suite.read_text().replace("symmetries:", OTHER))
    ran = symbench("run", suite, "--results", folder.results)
    assert ran.code == 2
    assert message in ran.err
    assert not folder.results.exists()


def test_all_cells_of_a_model_share_its_probe(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def counted(*given: Any) -> Fitted:
        fits.append(given)
        return fitted(*given)

    monkeypatch.setattr(linear_probe, "fitted", counted)
    suite = write(
        folder, f"{CNN}, embedding: 12, linear_probe: {{on: digits, samples: 100}}, only: {{dataset: digits}}"
    )
    text = suite.read_text().replace('  mine: {use: "data.py:load"}\n', "")
    suite.write_text(f"{text}  mirrors: {{group: D1, on: image}}\ncontrols: {{share: 0.0, floor: 0}}\n")
    assert not sb.run(suite, results=folder.results).failed
    assert len(fits) == 1
    sb.run(suite, results=folder.results)  # held against what was kept of both cells
    assert len(fits) == 2


def test_a_model_that_cannot_be_probed_leaves_the_others(folder: Folder) -> None:
    suite = write(folder, 'use: "own.py:Net", linear_probe: digits, only: {dataset: digits}')
    same = OWN.replace("self.head(x.flatten(1))", "self.head(0 * x.flatten(1))")
    (folder.path / "own.py").write_text(same)
    suite.write_text(suite.read_text().replace("symmetries:", OTHER))
    run = sb.run(suite, results=folder.results)
    (cell,) = run.failed
    assert cell.model == "net"
    assert "its embeddings of 1,347 samples are all one: they have collapsed" in (cell.reason or "")
