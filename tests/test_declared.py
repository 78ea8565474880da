"""Other actions than the declared one: against closed forms, and what may never be said; symmetric inputs, by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from conftest import ROOT, Folder
from test_evaluate import pick, record, run
from test_groups import NAMES, build
from test_running import bars
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action
from symbench.algebra.actions.permute import PermutePlaces
from symbench.algebra.controls import DECLARED, FIXED
from symbench.algebra.fields import Over
from symbench.algebra.groups.base import Group, cyclic, product_closed
from symbench.algebra.groups.symmetric import Symmetric
from symbench.base.registry import Options
from symbench.fields import Axis, Image, Point, PseudoVector, Vector, channels
from symbench.measure.evaluate import alternatives
from symbench.measure.evaluate import fitted as other
from symbench.measure.evaluate.declared import CHANCE, Judged, beyond_chance
from symbench.measure.evaluate.fitted import Pair
from symbench.measure.evaluate.fixed import mean_over, symmetric

# Statistics.


def test_luck_is_seldom_taken_for_a_difference() -> None:
    """Where two actions leave as much on average, by Student's t and by counting signs, of skewed numbers too."""
    generator = np.random.default_rng(0)
    for draws in (generator.standard_normal((20_000, 16)), generator.exponential(size=(20_000, 16)) - 1):
        false = np.mean([beyond_chance(row) for row in draws])
        assert false <= 3 * CHANCE, "each is a claim at one in a thousand"


def test_a_plain_difference_is_seen() -> None:
    generator = np.random.default_rng(0)
    assert np.mean([beyond_chance(generator.exponential(size=16) + 0.2) for _ in range(500)]) > 0.9
    assert not beyond_chance(np.ones(3)), "three samples are no evidence"


def test_what_fits_but_not_to_rounding_is_said_with_its_number() -> None:
    assert Judged(1e-15, True, True, "as a PseudoVector").said(1.2) == "it moves as a PseudoVector"
    words = "it is closer to moving as a PseudoVector (E = 0.31 in place of 1.2)"
    assert Judged(0.31, False, True, "as a PseudoVector").said(1.2) == words


# Single alternatives.


def pairs(group: Group, action: Action | None, x: Tensor, elements: Tensor) -> Iterator[Pair]:
    """Of a model that moves by an action; None: whose outputs are unrelated noise."""
    noise = torch.Generator().manual_seed(1)
    for g in elements:
        after = torch.randn(x.shape, generator=noise).double() if action is None else action.act(g[None], x)[0]
        yield Pair(g[None], group.labels(g[None])[0], after, x)


def test_the_transposed_is_the_matrices_transpose() -> None:
    """Of a representation that is not orthogonal, where it is not the inverse."""
    group = groups.load("C2", {})
    matrix = [[1.0, 1.0], [0.0, -1.0]]
    action = actions.load(group, "C2", channels({"turn": matrix}), {}, on=Image())
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (pair,) = pairs(group, action, x, group.elements()[1:])
    assert torch.allclose(alternatives._transposed(action, pair), x @ torch.tensor(matrix, dtype=torch.float64))
    assert torch.allclose(action.act(pair.g, x)[0], x @ torch.tensor(matrix, dtype=torch.float64).T)


@pytest.mark.parametrize("name", ["C4", "D4", "O"])
def test_permutations_are_fitted_and_multiply(name: str) -> None:
    """By the regular representation: of as many numbers as the group has elements."""
    group = groups.load(name, {})
    every = group.elements()
    key = {tuple(row): number for number, row in enumerate(group.canonical(every).tolist())}
    x = torch.randn(24, len(every), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    known = []
    for g in every[1:9]:
        goes = [key[tuple(group.canonical(group.compose(g[None], h[None]))[0].tolist())] for h in every]
        after = torch.empty_like(x)
        after[:, goes] = x
        known.append(Pair(g[None], group.labels(g[None])[0], after, x))
    fitted = other.permutations(group, [pair.some(slice(0, 12)) for pair in known])
    assert fitted is not None
    assert all(torch.equal(fitted.predict(pair), pair.moved) for pair in known)
    assert fitted.lawful is not None
    assert fitted.lawful([pair.some(slice(12, 24)) for pair in known])


def test_permutations_that_do_not_multiply_are_refused() -> None:
    """Every element fits by itself, and their products are other permutations."""
    group = groups.load("C4", {})
    x = torch.randn(24, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tables = [[1, 0, 2, 3], [2, 1, 0, 3], [0, 1, 3, 2]]
    known = [
        Pair(g[None], f"{i}", x[:, table], x)
        for i, (g, table) in enumerate(zip(group.elements()[1:], tables, strict=True))
    ]
    fitted = other.permutations(group, known)
    assert fitted is not None
    assert fitted.lawful is not None
    assert not fitted.lawful(known)


def test_signs_of_a_pseudovector_are_those_of_a_piece(generator: torch.Generator) -> None:
    group = groups.load("O3", {})
    field = Over(Vector(), (Axis("atoms"),))
    polar, axial = (
        actions.load(group, "O3", Over(value, field.places), {}, on=Over(Point(), field.places))
        for value in (Vector(), PseudoVector())
    )
    x = torch.randn(12, 4, 3, dtype=torch.float64, generator=generator)
    elements = group.sample(8, generator=generator)
    assert set(group.strata(elements) or []) == {"proper", "improper"}
    known = list(pairs(group, axial, x, elements))
    fitted = other.signs(group, polar, known)
    assert fitted is not None
    assert fitted.words == "as declared, but negated by improper elements"
    assert all(torch.allclose(fitted.predict(pair), pair.moved) for pair in known)
    assert other.signs(group, axial, known) is None, "nothing is negated"


# Whole cells: what must not be said.

QUIET = '''
import torch
from torch import nn
from symbench.fields import Axis, Vector, Point, classes

class Swap(nn.Module):
    """Two classes, exchanged by a mirror: its own inverse."""
    outputs = {"side": classes({"flip": [1, 0]})}
    def forward(self, image):
        half = image.shape[-1] // 2
        return 30 * torch.stack([image[..., :half].mean((1, 2, 3)), image[..., -half:].mean((1, 2, 3))], dim=1)

class Noise(nn.Module):
    """Scores of four classes that know nothing of the group."""
    outputs = {"edge": classes({"turn": [1, 2, 3, 0]})}
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(225, 32), nn.Tanh(), nn.Linear(32, 4))
    def forward(self, image):
        return self.net(image)

class Nearly(nn.Module):
    """Right but for a thousandth."""
    def forward(self, image):
        return 30 * torch.stack([image.mean((1, 2, 3)), image[:, :, 7, 7].mean(1) + 1e-3 * image[:, 0, 0, 0]], dim=1)

class Map(nn.Module):
    """Maps of a lopsided filter."""
    def __init__(self, bias=1.0):
        super().__init__()
        self.filter = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.filter.weight.data = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]])[None, None]
        self.filter.weight.data[0, 0, 1, 2] += bias
    def forward(self, image):
        return {"y": self.filter(image)}
'''
SUITE = """
version: 1
name: quiet
datasets: {bars: {use: "bars.py:load"}}
models:
  swap: {use: "quiet.py:Swap", only: {symmetry: flips}}
  noise: {use: "quiet.py:Noise", only: {symmetry: turns}}
  nearly: {use: "quiet.py:Nearly", only: {symmetry: turns}}
  lopsided: {use: "quiet.py:Map", outputs: {y: image}, only: {symmetry: turns}}
  straight: {use: "quiet.py:Map", args: {bias: 0.0}, outputs: {y: image}, only: {symmetry: turns}}
symmetries: {flips: {group: D1, on: image}, turns: {group: C4, on: image}}
controls: full
"""


@pytest.fixture
def quiet(folder: Folder) -> Folder:
    shutil.copy(ROOT / "tests" / "cases" / "bars.py", folder.path)
    (folder.path / "quiet.py").write_text(QUIET)
    folder.suite.write_text(SUITE)
    return folder


def test_nothing_is_said_where_nothing_is_known(quiet: Folder) -> None:
    """An involution is its own inverse, noise fits nothing, and what deviates by a thousandth moves as declared."""
    frame = run(quiet)
    rows = frame[frame["metric"] == "other_action_error"].set_index("model")
    assert rows["reason"]["swap"] == "the declared action fits"
    assert rows["reason"]["noise"] == rows["reason"]["lopsided"] == "no other action fits either"
    assert not frame["remark"].str.contains("moves|moving", na=False).any()
    # maps of turned images, by hand: P x is the mean of four turns
    mean = torch.stack([torch.rot90(bars().double(), k, (2, 3)) for k in range(4)]).mean(0)
    weight = torch.tensor([[0.0, 1, 0], [1, 4, 2], [0, 1, 0]], dtype=torch.float64)[None, None]
    filtered = [torch.nn.functional.conv2d(x, weight, padding=1) for x in (mean, bars().double())]
    off = torch.stack([torch.rot90(filtered[0], k, (2, 3)) - filtered[0] for k in range(4)]).square().sum((2, 3, 4))
    flat = [x.flatten(1) for x in filtered]
    nulls = [float(2 * x.var(0).sum()) for x in flat]
    wanted = (float(off.mean()) / max(nulls)) ** 0.5
    assert pick(frame, "fixed_point_error", model="lopsided") == pytest.approx(wanted, rel=0.2), "on some of them"
    assert pick(frame, "fixed_point_error", model="straight") < 1e-12
    said = frame[(frame["metric"] == "equivariance_error") & frame["remark"].notna()].set_index("model")["remark"]
    assert "inputs that 4 elements leave as they are give outputs that these move" in said["lopsided"]
    assert "straight" not in said


def test_a_budget_of_nothing_explains_nothing(quiet: Folder) -> None:
    quiet.suite.write_text(SUITE.replace("controls: full", "controls: {share: 0.0001, floor: 0}"))
    run(quiet)
    found, _ = record(quiet)
    assert found.findings == []
    for name in (DECLARED, FIXED):
        assert (found.controls[name] or "").startswith(("not run for lack of budget", "vacuous"))


# Subgroups and symmetric inputs.


@pytest.mark.parametrize("name", NAMES)
def test_subgroups_are_closed(name: str) -> None:
    group = build(name)
    for elements in group.subgroups():
        assert 2 <= len(elements) <= 64
        assert torch.equal(group.canonical(elements[:1]), group.canonical(group.identity()))
        assert product_closed(group, elements), "a mean over it would be of no symmetric input"


def test_what_is_no_group_has_no_subgroups() -> None:
    shifts = groups.load("translations", {"reach": 1})
    assert shifts.count == 9
    assert shifts.subgroups() == []
    assert not product_closed(shifts, shifts.elements())


def test_powers_of_an_element_end_at_the_identity() -> None:
    group = groups.load("C7", {})
    assert sorted(cyclic(group, group.elements()[3:4]).flatten().tolist()) == list(range(7))


def test_means_over_a_subgroup_are_symmetric(generator: torch.Generator) -> None:
    """Planar clouds under a mirror; and samples in which kinds would change are left out."""
    group = groups.load("O3", {})
    positions = Over(Point(), (Axis("atoms"),))
    action = actions.load(group, "O3", positions, {}, on=positions)
    mirror = group.subgroups()[1]
    x = torch.randn(6, 4, 3, dtype=torch.float64, generator=generator)
    planar = mean_over(action, mirror, x)
    assert torch.equal(planar[..., 2], torch.zeros(6, 4, dtype=torch.float64))
    assert torch.equal(planar[..., :2], x[..., :2])
    swap = PermutePlaces(Symmetric(4), Options())
    kinds = torch.tensor([[1, 1, 6, 8], [1, 6, 6, 8]])
    leaves = {"x": x[:2], "kinds": kinds[..., None]}
    found, fixed = symmetric({"x": swap, "kinds": swap}, Symmetric(4).subgroups()[0], leaves, 1)
    assert fixed.tolist() == [True, False]
    assert torch.allclose(found["x"][:, 0], x[:2, :2].mean(1))
    assert torch.equal(found["x"][:, 2:], x[:2, 2:])


def test_symmetric_inputs_are_made_of_few_samples_at_a_time(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One element of one slice is moved at once, and what comes is the mean over all of all."""
    action = PermutePlaces(Symmetric(4), Options())
    elements, x = Symmetric(4).elements(), torch.randn(7, 4, 3, generator=generator)
    kinds = torch.randint(0, 2, (7, 4, 1), generator=generator)
    mean = torch.stack([action.act(g[None], x.double())[0] for g in elements]).mean(0)
    same = torch.stack([(action.act(g[None], kinds)[0] == kinds).flatten(1).all(1) for g in elements]).all(0)
    moved, act = list[int](), PermutePlaces.act

    def counted(this: PermutePlaces, g: Tensor, each: Tensor) -> Tensor:
        moved.append(len(g) * len(each))
        return act(this, g, each)

    monkeypatch.setattr(PermutePlaces, "act", counted)
    found, fixed = symmetric({"x": action, "kinds": action}, elements, {"x": x, "kinds": kinds}, 2)
    assert max(moved) == 2
    assert len(elements) == 24
    assert torch.allclose(found["x"].double(), mean, atol=1e-7)
    assert fixed.tolist() == same.tolist()


def test_a_group_that_knows_no_subgroups_ends_no_cell(quiet: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[Group]()

    def subgroups(group: Group) -> list[Tensor]:
        calls.append(group)
        raise RuntimeError("nobody has written that")

    lines = SUITE.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("  swap", "  noise", "  nearly", "  straight"))]
    quiet.suite.write_text("".join(kept).replace("flips: {group: D1, on: image}, ", ""))
    monkeypatch.setattr(Group, "subgroups", subgroups)
    frame = run(quiet)
    assert pick(frame, "equivariance_error", model="lopsided") > 0.01
    assert (record(quiet)[0].controls[FIXED] or "").startswith("no finite subgroup is known")
    assert len(calls) == len(set(calls)), "asked once"
