"""Classes that a group permutes: declared the right way round, the wrong way round, and not at all."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, subprocess_symbench

from symbench.algebra import actions, groups
from symbench.algebra.fields import Classes, classes
from symbench.domains.images.fields import Image
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
