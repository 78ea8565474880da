"""Least squares: the solver, full augmentation, and risks that theory knows, up to the study that asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from breaking import build
from conftest import ROOT, Folder
from torch import Tensor, nn

import symbench as sb
from symbench.algebra.metrics import METRICS
from symbench.base.document import parse
from symbench.base.events import ignore
from symbench.domains.sets.linear_data import load
from symbench.face.api import prepare
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import Recipe, checked
from symbench.measure.suite.studies import Means
from symbench.measure.training import checkpoints, least_squares
from symbench.measure.training.setting import setting_of
from symbench.measure.training.subsets import parts_of
from symbench.read.studies import answers

STUDY = ROOT / "suites" / "studies" / "least-squares.yaml"
SUITE = """\
version: 1
name: small
datasets:
  rows: {{use: linear, items: 4, samples: 10, pool: 60, broken: 0.7}}
models:
  plain: {{use: set-linear, train: {{on: rows, samples: 12, optimiser: least-squares{recipe}}}}}
  every: {{use: set-linear, train: {{on: rows, samples: 12, optimiser: least-squares, augment: {{symmetry: orders, every: true}}}}}}
  design: {{use: symmetric-linear, train: {{on: rows, samples: 12, optimiser: least-squares}}}}
  shifted: {{use: "model.py:Shifted", train: {{on: rows, samples: 12, optimiser: least-squares}}}}
symmetries:
  orders: {{group: S4, on: set, elements: 2}}
"""
SHIFTED = """\
import torch
from torch import nn
from symbench.algebra.fields import Nodes, Scalar


class Shifted(nn.Module):
    inputs = {"set": Nodes("items", Scalar())}

    def __init__(self):
        super().__init__()
        self.a, self.frozen, self.b = nn.Linear(3, 1), nn.Linear(1, 1), nn.Linear(1, 1, bias=False)
        self.frozen.requires_grad_(False)

    def forward(self, x):
        return 2 * self.a(x[:, :3, 0]) + self.frozen(x[:, 3]) + self.b(x[:, 3] ** 2)
"""


@pytest.fixture
def planned(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workspace]:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))

    def write(recipe: str = "", text: str = SUITE) -> Workspace:
        folder.write(model=SHIFTED)
        folder.suite.write_text(text.format(recipe=recipe))
        return prepare(folder.suite, sb.Choices(device="cpu"))[0]

    return write


def shown(space: Workspace, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The samples ``(n, items)`` and targets ``(n,)`` that a model learns from, float64."""
    setting = setting_of(space, name)
    batch = setting.data.batch(setting.parts.learnt.tolist())
    return batch.leaves["set"][..., 0].double().numpy(), batch.targets["value"][:, 0].double().numpy()


def weights(space: Workspace, name: str) -> np.ndarray:
    """The weights that need a gradient, end to end, solved for in a module of float64."""
    module = space.new_module(name, "rows").double()
    least_squares.solved(space, setting_of(space, name), module, ignore)
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters() if p.requires_grad])


# The solver.


@pytest.mark.parametrize(("rows", "count", "rank"), [(30, 5, 5), (5, 5, 5), (4, 7, 4), (30, 6, 3)])
def test_the_solver_is_numpys(rows: int, count: int, rank: int) -> None:
    rng = np.random.default_rng(0)
    design, wanted = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, count)), rng.normal(size=rows)
    expected = np.linalg.lstsq(design, wanted, rcond=None)[0]
    found = least_squares.least_squares(torch.from_numpy(design), torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_the_matrix_of_an_affine_map() -> None:
    matrix, offset = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    found = least_squares.affine(lambda w: matrix @ w + offset, 4, "m")
    torch.testing.assert_close(found, (matrix, offset), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "outputs",
    [
        lambda w: (w.sum() + torch.arange(5.0).double()).relu(),
        lambda w: torch.stack([w[0] + w[1], w[2]]).relu(),  # f(0) = 0 and f(2 w) = 2 f(w), and not linear
        lambda w: torch.stack([w[0] * w[1]]),
        lambda w: torch.stack([w[0] / w[0]]),
    ],
    ids=["affine, then cut", "homogeneous", "a product", "not a number"],
)
def test_what_is_not_linear_is_refused(outputs: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(sb.SymbenchError, match="m: its outputs are not linear in its weights, so that least squares"):
        least_squares.affine(outputs, 3, "m")


def test_a_training_ends_in_numpys_solution(planned: Callable[..., Workspace]) -> None:
    space = planned()
    x, y = shown(space, "plain")
    assert x.shape == (12, 4)
    np.testing.assert_allclose(weights(space, "plain"), np.linalg.lstsq(x, y, rcond=None)[0], rtol=0, atol=1e-12)


def test_what_is_not_learnt_is_taken_off_the_targets(planned: Callable[..., Workspace]) -> None:
    space = planned()
    x, y = shown(space, "shifted")
    frozen = space.new_module("shifted", "rows").double().frozen
    rest = y - frozen(torch.from_numpy(x[:, 3:]))[:, 0].detach().numpy()  # type: ignore[operator]
    design = np.column_stack([2 * x[:, :3], 2 * np.ones(12), x[:, 3] ** 2])
    expected = np.linalg.lstsq(design, rest, rcond=None)[0]
    np.testing.assert_allclose(weights(space, "shifted"), expected, rtol=0, atol=1e-12)


def test_a_checkpoint_holds_the_solution_and_says_what_it_cost(planned: Callable[..., Workspace]) -> None:
    space = planned()
    made = checkpoints.obtain(space, "every", device="cpu", listen=ignore, stopped=lambda: False)
    module = space.new_module("every", "rows")
    checkpoints.restore(module, made)
    (found,) = [p.detach().numpy()[0] for p in module.parameters()]
    np.testing.assert_allclose(found, weights(space, "every"), rtol=1e-6)
    x, y = shown(space, "every")
    residual = np.mean([(y - x[:, order] @ found) ** 2 for order in map(list, permutations(range(4)))])
    assert made.measured["curve"][0]["loss"] == pytest.approx(residual, rel=1e-5)
    assert (made.measured["samples"], made.measured["shown"], made.measured["steps"]) == (12, 12 * 24, 1)
    assert made.measured["operations"] is None
    assert "solved for" in made.measured["remarks"]["operations"]
    assert checkpoints.cached(space.plan, "every") == made


# Full augmentation.


def test_full_augmentation_is_the_design(planned: Callable[..., Workspace]) -> None:
    """The same minimiser, for these 12 samples and not in the mean; each order once more is what NumPy finds too."""
    space = planned()
    every, design, plain = (weights(space, name) for name in ("every", "design", "plain"))
    np.testing.assert_allclose(every, np.full(4, design[0] / sqrt(4)), rtol=0, atol=1e-9)
    x, y = shown(space, "every")
    rows = np.concatenate([x[:, order] for order in map(list, permutations(range(4)))])
    np.testing.assert_allclose(every, np.linalg.lstsq(rows, np.tile(y, 24), rcond=None)[0], rtol=0, atol=1e-9)
    assert np.abs(plain - every).max() > 0.05


def test_blocks_make_no_difference(planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch) -> None:
    space = planned()
    whole = weights(space, "every")
    monkeypatch.setattr(least_squares, "AT_ONCE", 7)
    np.testing.assert_allclose(weights(space, "every"), whole, rtol=0, atol=1e-12)


def test_too_much_is_refused(planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch) -> None:
    space = planned()
    monkeypatch.setattr(least_squares, "MOST_NUMBERS", 12 * 24 * 4 - 1)
    weights(space, "plain")
    with pytest.raises(
        sb.SymbenchError, match="every: least squares with 288 outputs and 4 weights, expected at least"
    ):
        weights(space, "every")


OTHERS = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load"}}
models:
  m: {{use: mlp, width: 4, depth: 1, train: {{on: blobs, optimiser: least-squares{recipe}}}}}
symmetries:
  turns: {{group: C4, on: image}}
  rotations: {{group: SO2, on: image}}
"""
GRAPHS = """\
version: 1
name: small
datasets:
  graphs: {{use: graphs, nodes: [3, 5], samples: 10}}
models:
  m: {{use: gnn, train: {{on: graphs, optimiser: least-squares{recipe}}}}}
symmetries:
  nodes: {{group: S, on: features, elements: 2}}
"""


def test_classes_have_no_squared_loss(planned: Callable[..., Workspace], folder: Folder) -> None:
    space = planned("", OTHERS)
    with pytest.raises(sb.SymbenchError, match="m: got least-squares for .*, expected one output of numbers"):
        checkpoints.obtain(space, "m", device="cpu", listen=ignore, stopped=lambda: False)


@pytest.mark.parametrize(
    ("text", "recipe", "message"),
    [
        (
            OTHERS,
            ", augment: {symmetry: rotations, every: true}",
            "augment.every: SO2 has elements without an end",
        ),
        (
            GRAPHS,
            ", augment: {symmetry: nodes, every: true}",
            "would move their padding, expected samples of one size",
        ),
        (OTHERS, ", epochs: 3", "train.epochs: got epochs for least-squares, which takes no steps and finds all"),
        (OTHERS, ", momentum: 0.5", "train.momentum: got momentum for least-squares"),
        (OTHERS, ", validation: 0.2", "train.validation: got validation for least-squares"),
        (
            OTHERS,
            ", augment: turns",
            "got augment without every for least-squares, expected both. Say augment: {symm",
        ),
        (OTHERS, ", augment: {symmetry: turns, every: true, share: 0.5}", "augment.share: got both share and every"),
        (
            OTHERS,
            ", subset: own",
            "train.subset: got subset: own without samples, so that all replicas learn from all",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    planned: Callable[..., Workspace], text: str, recipe: str, message: str
) -> None:
    with pytest.raises(sb.ConfigError, match=re.escape(message)):
        planned(recipe, text)


def test_steps_show_one_element_at_a_time(planned: Callable[..., Workspace]) -> None:
    text = OTHERS.replace("optimiser: least-squares", "epochs: 1")
    with pytest.raises(sb.ConfigError, match="augment.every: got every for adamw, expected it for least-squares"):
        planned(", augment: {symmetry: turns, every: true}", text)


# Samples of a replica's own.


def subset(samples: int, kind: str, seed: int | None) -> list[int]:
    data = load(split="train", items=3, samples=5, pool=100, noise=1.0, broken=0.0, seed=0)
    recipe = Recipe.model_validate({"on": "x", "epochs": 1, "samples": samples, "subset": kind, "seed": seed})
    return parts_of(data, "digest", recipe, seed=0, where="").learnt.tolist()


def test_replicas_have_samples_of_their_own_if_asked_to() -> None:
    assert subset(20, "shared", 0) == subset(20, "shared", 1) == subset(20, "shared", None)
    first, second = subset(20, "own", 0), subset(20, "own", 1)
    assert len(set(first)) == len(set(second)) == 20
    assert len(set(first) & set(second)) < 12, "of 100, 4 are expected"
    assert subset(50, "own", 1)[:20] == second, "nested within one seed"
    assert subset(20, "own", 0) == first


def test_documents_of_other_recipes_are_what_they_were() -> None:
    usual = {"on": "x", "batch": 32, "learning_rate": 5e-3, "weight_decay": 1e-2, "augment": None, "epochs": 1}
    assert Recipe(on="x", epochs=1).model_dump() == usual
    shared = {"symmetry": "turns", "share": 0.5}
    assert Recipe.model_validate({"on": "x", "epochs": 1, "augment": shared}).model_dump()["augment"] == shared
    assert Recipe.model_validate({"on": "x", "epochs": 1, "augment": "turns"}).model_dump()["augment"] == "turns"
    every = {
        "on": "x",
        "optimiser": "least-squares",
        "subset": "own",
        "augment": {"symmetry": "turns", "every": True},
    }
    found = Recipe.model_validate(every).model_dump()
    assert {key: found[key] for key in every} == every
    assert Recipe.model_validate(found) == Recipe.model_validate(every)


# Data and models.


def test_the_target_is_linear_and_its_broken_part_orthogonal_to_all_that_is_invariant() -> None:
    options = {"items": 4, "samples": 50, "pool": 3000, "broken": 0.7, "seed": 3}
    test, train = (load(split=split, noise=0.5, **options) for split in ("test", "train"))  # type: ignore[arg-type]
    assert (len(test), len(train)) == (50, 3000)
    across = torch.tensor([1, -1, 0, 0]).double() / sqrt(2)
    for data, spread in ((test, 0.0), (train, 0.5)):
        batch = data.batch(range(len(data)))
        x, y = batch.leaves["set"][..., 0].double(), batch.targets["value"][:, 0].double()
        apart = [float(y[i]) - sum(x[i].tolist()) / 2 - 0.7 * float(across @ x[i]) for i in range(len(data))]
        assert np.std(apart) == pytest.approx(spread, rel=0.05, abs=1e-6)
    assert not torch.equal(test.leaves["set"][:50], train.leaves["set"][:50])
    again = load(split="train", noise=0.5, **options)  # type: ignore[arg-type]
    assert torch.equal(again.leaves["set"], train.leaves["set"])


@pytest.mark.parametrize(("name", "exact"), [("symmetric-linear", True), ("set-linear", False)])
def test_which_linear_model_is_invariant(name: str, exact: bool) -> None:
    module: nn.Module = build(name, (6, 2), outputs=3).double()
    x = torch.randn(5, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    apart = (module(x[:, torch.randperm(6)]) - module(x)).abs().max()
    assert (apart < 1e-13) == exact
    assert sum(p.numel() for p in module.parameters()) == (6 if exact else 36)
    assert not module(torch.zeros_like(x)).any()


# Risks: breadth of closed forms, n > d + 1 samples, d numbers, noise of variance 1.


def plain(d: int, n: int) -> float:
    """The inverse of a Wishart matrix has the mean ``I / (n - d - 1)``."""
    return d / (n - d - 1)


def design(n: int, b: float = 0.0) -> float:
    """``b x.u`` is noise to whoever sees the invariant feature alone, and is missed besides."""
    return b**2 + (1 + b**2) / (n - 2)


def simulated(n: int, b: float, *, invariant: bool, sets: int = 200, d: int = 5) -> tuple[float, float]:
    """The mean excess risk of least squares over training sets, and its standard error; exact given the weights."""
    rng, ones, across = (
        np.random.default_rng(1),
        np.ones(d) / sqrt(d),
        np.eye(d)[0] / sqrt(2) - np.eye(d)[1] / sqrt(2),
    )
    risks = []
    for _ in range(sets):
        x = rng.normal(size=(n, d))
        y = x @ (ones + b * across) + rng.normal(size=n)
        features = torch.from_numpy(x @ ones[:, None] if invariant else x)
        found = least_squares.least_squares(features, torch.from_numpy(y)).numpy()
        learnt = found[0] * ones if invariant else found
        risks.append(float(np.square(learnt - ones - b * across).sum()))
    return float(np.mean(risks)), float(np.std(risks, ddof=1) / sqrt(sets))


@pytest.mark.parametrize("n", [15, 30, 60])
@pytest.mark.parametrize("b", [0.0, 0.5])
def test_risks_are_what_theory_says(n: int, b: float) -> None:
    for invariant, expected in ((False, plain(5, n)), (True, design(n, b))):
        mean, error = simulated(n, b, invariant=invariant)
        assert abs(mean - expected) < 3 * error
        assert abs(mean - 1.5 * expected) > 3 * error, "another risk would be told apart"


# The study.


def test_the_suite_expects_what_the_formulas_say() -> None:
    suite = checked(parse(STUDY.read_text(), STUDY), STUDY.parent)
    b, d = suite.datasets["broken"].options["broken"], suite.datasets["broken"].options["items"]
    sizes = sorted({entry.train.samples or 0 for entry in suite.models.values() if entry.train})
    assert all(data.options["noise"] == 1 for data in suite.datasets.values())
    of = {
        "plain": [plain(d, n) for n in sizes],
        "augmented": [design(n) for n in sizes],
        "design": [design(n) for n in sizes],
        "plain-broken": [plain(d, n) for n in sizes],
        "design-broken": [design(n, b) for n in sizes],
    }
    found = {
        arm: risks for study in suite.studies if isinstance(study, Means) for arm, risks in study.expected.items()
    }
    assert found.keys() == of.keys()
    for arm, risks in of.items():
        np.testing.assert_allclose(found[arm], risks, rtol=1e-6, err_msg=arm)


def test_the_design_loses_from_where_the_suite_says() -> None:
    crossing = 5 + 1 + (5 - 1) / 0.5**2
    assert plain(5, int(crossing)) == pytest.approx(design(int(crossing), 0.5), rel=1e-14)
    assert plain(5, 21) > design(21, 0.5)
    assert plain(5, 23) < design(23, 0.5)
    assert f"n = d + 1 + (d - 1) / b^2 = {crossing:g} samples on" in STUDY.read_text()


def test_the_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two seeds and two sizes: arms that are one and the same come out so, and theory is held against it."""
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    text = re.sub(r"sweep: .*", "sweep: {seeds: 2, samples: [20, 40]}", STUDY.read_text())
    text = re.sub(r"\[[\d.]+, ([\d.]+), ([\d.]+), [\d.]+\]", r"[\1, \2]", text)
    text = text.replace("items: 5", "items: 5, samples: 200")
    suite = tmp_path / "few.yaml"
    suite.write_text(text)
    ran = sb.run(suite, results=tmp_path / "results")
    assert not ran.failed
    one, two = answers(ran.store, ran.manifest, METRICS.rows)
    rows: dict[tuple[str, int], Any] = {(row["arm"], row["at"]): row for row in one.frame.to_dict("records")}
    for at in (20, 40):
        assert rows["augmented", at]["estimate"] == pytest.approx(rows["design", at]["estimate"], rel=1e-5)
        assert rows["plain", at]["estimate"] > rows["design", at]["estimate"]
        assert rows["plain", at]["expected"] == pytest.approx(plain(5, at), rel=1e-6)
        assert rows["plain", at]["between_seeds"] > 0, "each replica has samples of its own"
    assert "Of 6 values that theory knows" in one.text
    assert "Of 4 values that theory knows" in two.text
