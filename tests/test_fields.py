"""Fields: every value over every kind of places, moved by two lookups; and what is refused rather than left alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Case, CaseOf
from test_running import records
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions import ACTIONS, Lookup
from symbench.algebra.actions.base import Action
from symbench.algebra.actions.declared import DeclaredAction
from symbench.algebra.actions.permute import PermutePlaces, Rename
from symbench.algebra.comparison import PerPlace, Totals, Whole
from symbench.algebra.fields import (
    Axis,
    Category,
    Eigenvectors,
    Embedding,
    Field,
    Grid,
    Index,
    Logits,
    Mask,
    Point,
    PseudoVector,
    Scalar,
    Vector,
    channels,
    classes,
)
from symbench.algebra.groups.base import Group, PermutesPlaces
from symbench.base.errors import ConfigError, ImpossiblePair
from symbench.base.registry import Options
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.common.datasets.padding import checked
from symbench.domains.common.models.inputs import takes
from symbench.domains.images.actions.vectors import TurnVectors
from symbench.face import testing

NODES, EDGES, FRAMES, PIXELS = Axis("nodes"), Axis("edges"), Axis("frames"), Grid("image")
ON_NODES = Scalar().over(NODES)
TURNED = classes({"turn": [1, 2, 3, 0]})
MIXED = channels({"turn": [[0, -1, 0], [1, 0, 0], [0, 0, 1]], "flip": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]})


def build(name: str, field: Field, on: Field | None = None, **options: Any) -> tuple[Group, Action]:
    group = groups.load(name, options, places=5)
    return group, actions.load(group, name, field, options, on=on or field, leaf="leaf")


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def whole(*shape: int, most: int = 5) -> Tensor:
    return torch.randint(-1, most, shape, generator=torch.Generator().manual_seed(1))


ROUNDING = 1e-14
ROWS: list[tuple[str, Field, Field | None, Tensor, float]] = [
    ("S5", Scalar().over(NODES), None, noise(3, 5, 2), 0),
    ("S5", Scalar().over(NODES), None, noise(3, 5), 0),
    ("S5", Scalar().over(NODES, NODES), ON_NODES, noise(3, 5, 5), 0),
    ("S5", Scalar().over(NODES, NODES), None, noise(3, 5, 5, 2), 0),
    ("S5", Scalar().over(EDGES, NODES), ON_NODES, noise(3, 7, 5), 0),
    ("S", Point().over(NODES), None, noise(3, 5, 3), 0),
    ("S5", Index("nodes").over(EDGES), ON_NODES, whole(3, 7, 2), 0),
    ("S5", Index("nodes").over(NODES), ON_NODES, whole(3, 5, 4), 0),
    ("S5", Category(4).over(NODES), None, whole(3, 5), 0),
    ("S5", Mask().over(NODES), ON_NODES, whole(3, 5, most=2), 0),
    ("S4", Scalar().over(FRAMES, PIXELS), Scalar().over(FRAMES), noise(3, 4, 1, 6, 6), 0),
    ("D4", Vector(), None, noise(3, 2), 0),
    ("D3", Vector(), None, noise(3, 2), ROUNDING),
    ("SO2", Vector().over(NODES), None, noise(3, 5, 2), ROUNDING),
    ("D4", Vector().over(PIXELS), None, noise(3, 2, 8, 8), 0),
    ("D4", Vector().over(FRAMES, PIXELS), None, noise(2, 3, 2, 7, 7), 0),
    ("D4", Scalar().over(FRAMES, PIXELS), None, noise(2, 3, 1, 8, 8), 0),
    ("D3", PseudoVector().over(NODES), None, noise(3, 5, 2), ROUNDING),
    ("translations", Vector().over(PIXELS), None, noise(3, 2, 9, 9), 0),
    ("C4", TURNED, None, noise(3, 4), 0),
    ("C4", TURNED, None, whole(3, most=4).clamp(min=0), 0),
    ("C4", TURNED.over(PIXELS), None, noise(3, 4, 8, 8), 0),
    ("D4", MIXED, None, noise(3, 3), 0),
    ("S3", channels({"swap": [[-1]], "cycle": [[1]]}), None, noise(3, 1), 0),
    ("signs2", Eigenvectors().over(NODES), None, noise(3, 5, 2, 2), 0),
    ("bases2", Eigenvectors().over(NODES), None, noise(3, 5, 2, 2), ROUNDING),
]  # fmt: skip


@pytest.mark.parametrize(("name", "field", "on", "x", "tolerance"), ROWS, ids=lambda v: str(v)[:30])
def test_the_law_holds_for_every_value_over_every_places(
    name: str, field: Field, on: Field | None, x: Tensor, tolerance: float, generator: torch.Generator
) -> None:
    options = {"reach": 2, "border": "circular"} if name == "translations" else {}
    group, act = build(name, field, on, **options)
    assert act.check(tuple(x.shape[1:])) is None
    testing.check_action(act, group, x, generator=generator, tolerance=tolerance)
    kinds = set(act.kinds(group.sample(20, generator=generator)))
    assert kinds <= ({"permutation"} if tolerance == 0 else {"permutation", "exact"})
    moved = act.act(group.sample(6, generator=generator), x)
    assert not all(torch.equal(each, x) for each in moved), "something moves"


IN_PIXELS = {"Boxes", "Keypoints", "Flow"}
"""Each of them, of every family, is tested in tests/test_coordinates.py."""


def test_every_row_of_every_family_is_tested_here_or_with_images() -> None:
    """A pair of family and kind that nobody tests is found by its name; those of space are in test_space_values."""
    here = {(actions.family(name), field.value.kind) for name, field, *_ in ROWS}
    here |= {(actions.family(name), places.kind) for name, field, *_ in ROWS for places in field.places}
    images = {(row.family, row.kind) for row in ACTIONS.rows.values() if row.kind == "Grid"}
    of_space = {(row.family, row.kind) for row in ACTIONS.rows.values() if row.family in {"space", "motions", "spin"}}
    of_space |= {("wraps", "Point"), ("lattices", "Vector")}  # tests/test_relabelling.py
    in_pixels = {(row.family, row.kind) for row in ACTIONS.rows.values() if row.kind in IN_PIXELS}
    assert {(row.family, row.kind) for row in ACTIONS.rows.values()} <= here | images | of_space | in_pixels


def test_a_matrix_over_pairs_of_nodes_is_conjugated() -> None:
    group, act = build("S5", Scalar().over(NODES, NODES), ON_NODES)
    p = group.sample(4, generator=torch.Generator().manual_seed(0))
    x = noise(2, 5, 5)
    for row, moved in zip(p.tolist(), act.act(p, x), strict=True):
        matrix = np.zeros((5, 5))
        matrix[row, np.arange(5)] = 1  # e_i to e_row[i]
        for before, after in zip(x.numpy(), moved.numpy(), strict=True):
            assert np.array_equal(after, matrix @ before @ matrix.T)


def test_renamed_edges_are_those_of_the_moved_adjacency() -> None:
    edges = torch.tensor([[[0, 1], [1, 2], [4, 3]]])
    adjacency = torch.zeros(1, 5, 5, dtype=torch.float64)
    adjacency[0, edges[0, :, 0], edges[0, :, 1]] = 1
    group, rename = build("S5", Index("nodes").over(EDGES), ON_NODES)
    _, conjugate = build("S5", Scalar().over(NODES, NODES), ON_NODES)
    p = group.sample(6, generator=torch.Generator().manual_seed(0))
    for renamed, moved in zip(rename.act(p, edges), conjugate.act(p, adjacency), strict=True):
        again = torch.zeros(5, 5, dtype=torch.float64)
        again[renamed[0, :, 0], renamed[0, :, 1]] = 1
        assert torch.equal(again, moved[0])


def test_a_whirl_is_the_same_from_every_side_and_the_other_way_round_in_a_mirror() -> None:
    """``v(x, y) = (-y, x)``: unmoved by turns, since vectors turn with their places; negated by a mirror."""
    y, x = torch.meshgrid(torch.arange(4.0, -5.0, -1), torch.arange(-4.0, 5.0), indexing="ij")
    whirl = torch.stack([-y, x])[None].double()
    group, act = build("D4", Vector().over(PIXELS))
    signs = torch.where(group.elements()[:, 1] == 1, -1.0, 1.0).double()
    assert torch.equal(act.act(group.elements(), whirl), signs[:, None, None, None, None] * whirl)
    pseudo = build("D4", Scalar().over(PIXELS))[1].act(group.elements(), whirl[:, :1])
    assert not torch.equal(pseudo, whirl[:, :1].expand_as(pseudo))


def test_rows_of_vectors_are_moved_in_their_last_axis_and_along_their_places() -> None:
    """Against loops: a vector for each frame and pixel."""
    group, act = build("D4", Vector().over(FRAMES, PIXELS))
    _, pixels = build("D4", Scalar().over(PIXELS))
    x = noise(2, 3, 2, 6, 6)
    g = group.sample(5, generator=torch.Generator().manual_seed(3))
    for k in range(5):
        matrix = group.matrices(g[k : k + 1])[0]  # type: ignore[attr-defined]
        for n, frame in itertools.product(range(2), range(3)):
            turned = torch.einsum("ab,bhw->ahw", matrix, x[n, frame])
            expected = pixels.act(g[k : k + 1], turned[None])[0, 0]
            assert torch.equal(act.act(g, x)[k, n, frame], expected)


@pytest.mark.parametrize("name", ["SO2", "C8", "D3"])
def test_generators_and_kinds_of_vectors(name: str) -> None:
    group, act = build(name, Vector().over(NODES))
    x = noise(3, 5, 2)
    turn = act.generators().get("rotation")
    assert (turn is None) == (group.count is not None)
    if turn is not None:
        step = 1e-6
        slope = (turn.flow(x, step) - turn.flow(x, -step)) / (2 * step)
        assert torch.allclose(slope, turn.derivative(x), atol=1e-9)
        there = act.act(torch.rad2deg(torch.tensor([0.3]).double()), x)[0]
        assert torch.allclose(turn.flow(x, 0.3), there, atol=1e-14)


def test_samples_of_different_sizes_keep_their_padding() -> None:
    group = groups.load("S", {}, places=6)
    assert isinstance(group, PermutesPlaces)
    for size in (1, 2, 5, 6):
        p = group.sample_within(size, 40, generator=torch.Generator().manual_seed(size))
        assert torch.equal(p[:, size:], torch.arange(size, 6).expand(40, -1))
        assert torch.equal(p.sort(1).values, torch.arange(6).expand(40, -1))
        if size > 2:
            assert len({tuple(row.tolist()) for row in p}) > 3


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "field", "on", "x", "tolerance"), ROWS, ids=lambda v: str(v)[:30])
def test_the_same_on_the_gpu(
    name: str, field: Field, on: Field | None, x: Tensor, tolerance: float, generator: torch.Generator
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    options = {"reach": 2, "border": "circular"} if name == "translations" else {}
    group, act = build(name, field, on, **options)
    g = group.sample(5, generator=generator)
    assert torch.allclose(act.act(g, x.cuda()).cpu(), act.act(g, x), atol=max(tolerance, 1e-15))
    each = g.unsqueeze(1).expand(5, len(x), *g.shape[1:])
    assert torch.allclose(act.act(each, x.cuda()).cpu(), act.act(g, x), atol=max(tolerance, 1e-15))


# What is refused.


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("C4", Point().over(NODES), "nothing says what C4 does to values Point of 'leaf' .Point over nodes."),
        (
            "scalings",
            Vector().over(PIXELS),
            "nothing says what scalings does to values Vector (?s:.*)entry point symbench.actions",
        ),
        ("SE2", Vector(), "family 'rigid'"),
    ],
)
def test_a_kind_without_a_row_is_an_error_that_names_leaf_value_and_family(
    name: str, field: Field, message: str
) -> None:
    with pytest.raises(ImpossiblePair, match=message):
        actions.load(groups.load(name, {}), name, field, {}, on=Scalar().over(PIXELS), leaf="leaf")


def test_another_axis_never_frees_a_value() -> None:
    """Bonds beside positions: the axis is left alone, the vectors along it are not."""
    _, act = build("C4", Vector().over(EDGES), Vector().over(NODES))
    x = noise(2, 7, 2)
    assert torch.equal(act.act(torch.tensor([2]), x)[0], -x)


@pytest.mark.parametrize(
    ("value", "group", "message"),
    [
        (classes({"turn": [1, 2, 0, 3]}), "C4", "no representation of C4"),
        (channels({"turn": [[0, -1], [1, 1]]}), "C4", "no representation of C4"),
        (channels({"turn": [[0, -1], [1, 0]], "flip": [[1, 0], [0, 1]]}), "D4", "no representation of D4"),
        (classes({"mirror": [1, 0]}), "C2", "one matrix for each generator of C2: turn"),
        (classes({"turn": [1, 2, 3, 0]}), "SO2", "finite group"),
        (channels({"turn": [[float("nan")]]}), "C4", "no representation of C4"),
    ],
)
def test_a_declared_representation_has_to_be_one(value: Any, group: str, message: str) -> None:
    with pytest.raises(ImpossiblePair, match=message):
        DeclaredAction(groups.load(group, {}), value)


def test_declared_representations_that_are_no_permutation_or_matrix() -> None:
    with pytest.raises(ValueError, match="no permutation of 0 to 2"):
        classes({"turn": [0, 0, 1]})
    with pytest.raises(ValueError, match="not square"):
        channels({"turn": [[1, 0]]})


def test_a_declared_representation_multiplies_as_the_group_does() -> None:
    group, act = build("D4", MIXED)
    g = group.sample(30, generator=torch.Generator().manual_seed(0))
    h = group.sample(30, generator=torch.Generator().manual_seed(1))
    matrices = act.parts[0][1].matrices  # type: ignore[attr-defined]
    assert torch.equal(matrices(group.compose(g, h)), matrices(g) @ matrices(h))


class RightRename(Rename):
    """By the inverse."""

    def bind(self, g: Tensor, like: Tensor) -> Any:
        return super().bind(self.group.inverse(g), like)


class ForgetsPadding(Rename):
    """A negative number counts from the end, as it does in Python."""

    def bind(self, g: Tensor, like: Tensor) -> Any:
        return lambda x: g.gather(-1, x.flatten(1).expand(len(g), -1, -1).flatten(1) % self.group.n).view(
            -1, *x.shape
        )


class Transposed(TurnVectors):
    def matrices(self, g: Tensor) -> Tensor:
        return super().matrices(g).mT


class Shortened(TurnVectors):
    def matrices(self, g: Tensor) -> Tensor:
        turned = (g != self.group.identity()).flatten(1).any(1) if g.ndim == 2 else g != 0
        return super().matrices(g) * torch.where(turned, 0.9, 1.0).double()[..., None, None]


@pytest.mark.parametrize("broken", [Transposed, Shortened])
def test_checks_catch_vectors_moved_wrongly(broken: type[TurnVectors], generator: torch.Generator) -> None:
    group = groups.load("D3", {})
    with pytest.raises(AssertionError):
        testing.check_action(broken(group, Options()), group, noise(2, 1, 2), generator=generator, tolerance=1e-12)  # type: ignore[arg-type]


def test_checks_catch_indices_renamed_wrongly(generator: torch.Generator) -> None:
    group = groups.load("S5", {})
    with pytest.raises(AssertionError):
        testing.check_action(RightRename(group, Options()), group, whole(2, 3, 2), generator=generator)  # type: ignore[arg-type]


def test_checks_catch_a_matrix_of_which_only_rows_move(generator: torch.Generator) -> None:
    """Twice on the same axis is no action of pairs: the moved identity matrix shows it."""
    group, act = build("S5", Scalar().over(NODES, NODES), ON_NODES)
    rows = PermutePlaces(group, Options())  # type: ignore[arg-type]
    p = group.sample(3, generator=generator)
    eye = torch.eye(5).double()[None]
    assert torch.equal(act.act(p, eye), eye.expand(3, 1, 5, 5))
    assert not torch.equal(rows.act(p, eye), eye.expand(3, 1, 5, 5))


# Datasets with sizes, indices and masks.


def graphs(**changes: Any) -> Arrays:
    made: dict[str, Any] = {
        "features": noise(4, 5, 2).float(),
        "edges": torch.tensor([[[0, 1], [1, 0], [-1, -1]]]).expand(4, 3, 2).clone(),
        "sizes": {"nodes": [2, 3, 5, 4], "edges": [2, 2, 2, 2]},
    } | changes
    sizes = made.pop("sizes")
    fields = {"features": ON_NODES, "edges": Index("nodes").over(EDGES)}
    return Arrays(made, {}, fields={name: fields[name] for name in made}, target_fields={}, sizes=sizes)


def test_masks_are_added_and_belong_to_the_digest() -> None:
    found = checked(graphs(), "here")
    assert str(found.fields["nodes_mask"]) == "Mask over nodes"
    leaves = found.batch([2, 0]).leaves
    assert leaves["nodes_mask"].tolist() == [[True] * 5, [True, True, False, False, False]]
    other = graphs(sizes={"nodes": [2, 3, 5, 5], "edges": [2, 2, 2, 2]})
    assert checked(other, "here").digest() != found.digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": {"nodes": [2, 3, 6, 4], "edges": [2] * 4}}, "sample 2 has 6 nodes, and leaves are padded to 5"),
        ({"sizes": {"nodes": [2, 3, 5], "edges": [2] * 4}}, "are given for 3 samples, expected one for each of 4"),
        ({"sizes": {"nodes": [2, 3, 5, 0], "edges": [2] * 4}}, "sample 3 has 0 nodes"),
        ({"sizes": {"atoms": [2, 3, 5, 4]}}, "sizes are given for the axis 'atoms'"),
        ({"edges": torch.full((4, 3, 2), 5)}, "leaf 'edges' of sample 0 names nodes 5, expected 0 to 1"),
        ({"edges": torch.full((4, 3, 2), -2)}, "names nodes -2"),
        ({"edges": torch.zeros(4, 3, 2)}, "of indices is torch.float32"),
        ({"features": noise(4)}, "declared as Scalar over nodes and has shape"),
    ],
)
def test_leaves_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked(graphs(**changes), "here")


def test_what_a_model_takes() -> None:
    fields = {"positions": Point().over(NODES), "kinds": Category(3).over(NODES), "cell": Vector().over(EDGES)}
    named = {"kinds": Category().over(NODES), "positions": Point().over(NODES)}
    assert takes(named, fields) == ("kinds", "positions"), "a subset, in the model's order"
    assert takes({"x": Point().over(NODES)}, fields) == ("positions",), "an only one by its field"
    assert takes((Scalar().over(PIXELS),), fields) is None
    assert takes({"positions": Vector().over(NODES)}, fields) is None
    assert takes((Vector().over(NODES),), {**fields, "more": Vector().over(EDGES)}) is None, "which of two?"


# Comparisons.


def loops(a: np.ndarray, b: np.ndarray, sizes: list[int]) -> float:
    """The mean squared distance of places of different samples, one pair after another."""
    total, count = 0.0, 0
    for i, j in itertools.permutations(range(len(sizes)), 2):
        for p, q in itertools.product(range(sizes[i]), range(sizes[j])):
            total += float(np.square(a[i, p] - b[j, q]).sum())
            count += 1
    return total / count


@pytest.mark.parametrize("sizes", [[4, 2, 3, 1, 4], [4] * 5, [1] * 5])
def test_the_null_of_places_is_a_loop_over_pairs_of_places(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 4, 2)) + 50, rng.normal(size=(5, 4, 2)) + 50
    for i, size in enumerate(sizes):
        a[i, size:] = b[i, size:] = 0
    each = PerPlace((4,), (sizes,))
    moved, expected, samples = torch.from_numpy(a)[None], torch.from_numpy(b)[None], list(range(5))
    mean = each.mean(expected, samples)
    sums = each.sums(moved, expected, mean, samples)
    counts = each.counts(samples)
    dot = torch.einsum("knd,kd->kn", each.folded(expected - mean[:, None], samples), sums.moved_sum)
    totals = Totals(sums.moved_sq.sum(1), counts)
    found = each.unrelated(sums, dot, torch.zeros(1, 5), totals, counts)
    assert float(found.sum() / counts.sum()) == pytest.approx(loops(a, b, sizes), rel=1e-12)
    if set(sizes) == {1}:
        plain = Whole()
        first = [x[:, :, :1] for x in (moved, expected)]
        centre = plain.mean(first[1], samples)
        whole_sums = plain.sums(first[0], first[1], centre, samples)
        deviation = (first[0] - first[1]).square().sum((2, 3))
        dots = torch.einsum("knd,kd->kn", plain.folded(first[1] - centre[:, None], samples), whole_sums.moved_sum)
        again = plain.unrelated(whole_sums, dots, deviation, totals, counts)
        assert float(again.mean()) == pytest.approx(loops(a, b, sizes), rel=1e-12)


def test_a_single_sample_has_no_null() -> None:
    each = PerPlace((4,), ([3],))
    x = noise(1, 1, 4, 2)
    sums = each.sums(x, x, each.mean(x, [0]), [0])
    found = each.unrelated(sums, torch.zeros(1, 1), torch.zeros(1, 1), Totals(sums.moved_sq.sum(1), torch.tensor([3.0])), torch.tensor([3.0]))  # fmt: skip
    assert torch.isnan(found).all()


# The cases that were seen to be wrong.


def test_bonds_turn_with_the_positions(case: CaseOf) -> None:
    """An exact network got E = 0.62: vectors along another axis were left unturned without a word."""
    net = case("space")
    assert net.run().code == 0
    for output in ("energy", "forces"):
        assert net.estimate("equivariance_error", output=output) < 1e-6
        assert net.estimate("equivariance_error_float64", output=output) < 1e-14


def test_rotated_vectors_are_exact_and_nothing_speaks_of_blur(case: CaseOf) -> None:
    """They could only be called resampled: exactness was skipped and the report spoke of blur."""
    net = case("space")
    net.run()
    frame = net.frame()
    assert set(frame["elements"].dropna()) <= {"exact", "all", "permutation"}
    assert frame["metric"].eq("equivariance_error_float64").any()
    said = net.symbench("report", "--results", net.results).out
    assert "blur" not in said
    assert "resampl" not in said


def test_edge_lists_follow_their_nodes(case: CaseOf) -> None:
    """An exact graph network got E = 0.43 and "broken: precision does not matter"."""
    net = case("graphs")
    assert net.run().code == 0
    for output in ("total", "nodes"):
        assert net.estimate("equivariance_error", output=output) < 1e-6
    net.suite.write_text(net.suite.read_text() + "  order: {group: S9, on: edges, elements: 6}\n")
    assert net.run().code == 0
    assert net.estimate("equivariance_error", symmetry="order", output="total") < 1e-6
    net.edit('"model.py:build"', '"model.py:build", args: {wrong: true}')
    assert net.run().code == 0
    assert net.estimate("equivariance_error", symmetry="order", output="total") > 0.01, "the order matters"
    assert net.estimate("equivariance_error", symmetry="nodes", output="total") < 1e-6, "the names do not"


def test_species_beside_positions(case: CaseOf) -> None:
    """Refused as unknown: labels under SO(3), points under S_n."""
    net = case("space")
    net.edit('"data.py:load"', '"data.py:load", args: {species: true}')
    net.edit("rot:", "order: {group: S5, on: positions, elements: 6}, rot:")
    assert net.run().code == 0
    assert net.estimate("equivariance_error", symmetry="rot", output="energy") < 1e-6
    points = case("graphs")
    points.edit('"data.py:load"', '"data.py:load", args: {points: true}')
    points.edit('"model.py:build"', '"model.py:build", args: {points: true}')
    assert points.run().code == 0, "points under permutations"


@pytest.mark.parametrize("outside", [True, False])
def test_forces_as_a_gradient_are_measured_and_trained(case: CaseOf, outside: bool) -> None:
    net = case("space")
    made = f'"model.py:build", args: {{kind: gradient, outside: {str(outside).lower()}}}'
    net.edit('"model.py:build"', made + ", train: {on: clouds, epochs: 2, augment: rot}")
    ran = net.run()
    assert ran.code == 0, ran.err
    assert net.estimate("equivariance_error", output="forces") < 1e-6
    assert net.frame().query("metric == 'loss' and output == 'forces'")["estimate"].iloc[0] < 0.05


def test_coordinates_are_rounded_once_behind_the_formula(case: CaseOf) -> None:
    """Far from the origin, rotating what was rounded to float32 before differs from rounding what was rotated."""
    net = case("space")
    net.edit('"data.py:load"', '"data.py:load", args: {offset: 1000.0}')
    net.edit('"model.py:build"', '"model.py:build", args: {kind: kept}')
    assert net.run().code == 0
    worst = net.estimate("absolute_error_max", output="positions")
    # f(g.x) is g.x rounded to float32, and g.f(x) turns the rounded x: two roundings of numbers up to 2000
    assert worst <= 2 * 3**0.5 * 2000 * 2**-24


def test_metrics_of_outputs_at_places_have_their_units(case: CaseOf) -> None:
    net = case("space")
    net.edit('"model.py:build"', '"model.py:build", args: {kind: free}')
    assert net.run().code == 0
    frame = net.frame().query("metric == 'absolute_error'")
    assert dict(zip(frame["output"], frame["unit"], strict=True)) == {"energy": "eV", "forces": "eV/Å"}
    assert net.estimate("equivariance_error", output="forces") > 0.1


def test_pieces_of_a_group_stand_apart(case: CaseOf) -> None:
    net = case("space")
    net.edit("groups.py:SO3", "groups.py:O3")
    net.edit("elements: 6", "elements: 12")
    assert net.run().code == 0
    frame = net.frame().query("metric == 'equivariance_error' and output == 'energy'")
    assert {"proper", "improper"} <= set(frame["stratum"].dropna())


def test_augmentation_turns_targets_with_the_inputs(case: CaseOf) -> None:
    """Forces were off by 10: inputs were turned and targets were not."""
    from symbench.measure.assemble import load_dataset, prepare
    from symbench.measure.suite import load
    from symbench.measure.training.augment import Augmentation, augmented

    net = case("space")
    suite = load(net.path / "suite.yaml")
    data = load_dataset(suite, "clouds")
    batch = data.batch(range(8))
    symmetry = prepare(suite, "rot", data, data.shapes())
    leaves, targets = augmented(
        data, batch.leaves, batch.targets, torch.arange(8), Augmentation(symmetry), torch.Generator().manual_seed(0)
    )
    assert not torch.allclose(leaves["positions"], batch.leaves["positions"])
    centred = leaves["positions"] - leaves["positions"].mean(1, keepdim=True)
    assert torch.allclose(targets["forces"], -centred, atol=1e-12)
    assert torch.equal(targets["energy"], batch.targets["energy"])


def test_every_output_is_fitted_to_the_target_of_its_name(case: CaseOf) -> None:
    """The first output was fitted to the first target by place, the others never."""
    net = case("space")
    net.edit('"model.py:build"', '"model.py:build", args: {kind: free}, train: {on: clouds, epochs: 120, batch: 4}')
    assert net.run().code == 0
    losses = net.frame().query("metric == 'loss'").set_index("output")["estimate"]
    assert losses["forces"] < 0.05, "a linear map of the positions"
    assert losses["energy"] < 25, "its mean square is 42, which is what an output that is never fitted loses"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("groups.py:SO3", "groups.py:SO4", "has no 'SO4'"),
        ("groups.py:SO3", "group.py:SO3", "a file at"),
        ("groups.py:SO3", "groups.py:Rotate", "expected a GroupRow, or a class"),
        ("elements: 6", "elements: 6, reach: 3", "got unknown key 'reach'"),
        ("on: positions", "on: position", "Did you mean 'positions'"),
    ],
)
def test_groups_of_code_that_are_refused_before_any_work(case: CaseOf, old: str, new: str, message: str) -> None:
    net = case("space")
    net.edit(old, new)
    ran = net.run()
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_suite_brings_actions_of_its_own_for_our_groups(case: CaseOf) -> None:
    """C4 about the third axis of space, on points and vectors: our group, the suite's rows."""
    net = case("space")
    code = (
        "import torch\nfrom symbench.algebra.actions import ActionRow\nfrom symbench.domains.images.actions.vectors import TurnVectors\n\n"
        "class About(TurnVectors):\n"
        "    def matrices(self, g):\n"
        "        m = super().matrices(g)\n"
        "        wide = torch.zeros(*m.shape[:-2], 3, 3, dtype=m.dtype)\n"
        "        wide[..., :2, :2], wide[..., 2, 2] = m, 1\n"
        "        return wide\n"
        "    def check(self, shape):\n"
        "        return None if shape[-1] == 3 else 'three components'\n\n"
        "ROWS = [ActionRow(f'{__name__}:About', 'about z', family='plane', kind=k) for k in ('Vector', 'Point')]\n"
    )
    (net.path / "about.py").write_text(code)
    net.edit('"groups.py:SO3"', "C4")
    net.edit("elements: 6", 'action: "about.py:ROWS"')
    assert net.run().code == 0
    assert net.estimate("equivariance_error", output="energy") < 1e-6
    refused = net.run("--no-code")
    assert refused.code == 2
    assert "symmetries.rot.action" in refused.err
    assert "nothing to do" in net.run().err
    (net.path / "about.py").write_text(code.replace("m, 1", "m, -1"))
    assert "measured again" in net.run().err, "another action"
    assert net.estimate("equivariance_error", output="energy") < 1e-6


def test_a_model_that_asks_for_a_leaf_that_is_not_there(case: CaseOf) -> None:
    """Before any work, with the names on both sides."""
    net = case("space")
    model = net.path / "model.py"
    model.write_text(model.read_text().replace('"bonds": Vector()', '"springs": Vector()'))
    ran = net.run()
    assert ran.code == 2
    said = " ".join(ran.err.split())
    assert "'springs' (Vector over bonds)" in said
    assert "clouds has 'positions' (Point over atoms) and 'bonds' (Vector over bonds)" in said
    assert not net.results.exists(), "nothing is written"


def test_scores_of_places_are_refused_rather_than_taken_for_numbers(case: CaseOf) -> None:
    net = case("graphs")
    model = net.path / "model.py"
    model.write_text(model.read_text().replace('"nodes": Scalar()', '"nodes": Logits()').replace(
        "import Axis, Field, Index, Scalar", "import Axis, Field, Index, Logits, Scalar"))  # fmt: skip
    ran = net.run()
    assert ran.code == 3
    assert "scores of whole samples" in " ".join(ran.err.split())


def test_values_know_what_no_group_moves() -> None:
    assert all(value.is_invariant for value in (Scalar(), Category(3), Logits(), Embedding(), Mask()))
    assert not any(field.is_invariant for field in (Vector(), Index("nodes"), TURNED, Scalar().over(NODES)))
    lookup = Lookup.of("S5", ON_NODES)
    assert lookup.row(Index("other"), "leaf", Index("other")) is None, "indices of another axis"


# What a review found.


def test_whole_numbers_are_turned_as_numbers(case: CaseOf) -> None:
    """A matrix cast to the leaf's integers was cut to 0 and 1: an exact network had E = 0.8."""
    net = case("space")
    data = net.path / "data.py"
    data.write_text(data.read_text().replace('"bonds": bonds}', '"bonds": (10 * bonds).round().long()}'))
    ran = net.run()
    assert ran.code == 0, ran.err
    assert net.estimate("equivariance_error", output="energy") < 1e-6


MOVED = """
import torch
from symbench.algebra.actions import ActionRow
from symbench.algebra.actions.base import Action
from symbench.domains.images.groups.slide import PlaneTranslations

class Steps(PlaneTranslations):
    family = "steps"
    alone = ("Axis",)

    def __init__(self):
        super().__init__(reach=2.0, step=0.5)
        self.name = "steps"

class Step(Action):
    moves_values = True
    def __init__(self, group, options):
        self.group = group
    def check(self, shape):
        return None
    def kinds(self, g):
        return ["exact"] * len(g)
    def bind(self, g, like):
        wide = (g if g.ndim == 3 else g[:, None]).to(like)
        return lambda x: x[None] + wide.reshape(*wide.shape[:2], *(1,) * (x.ndim - 2), 2)

Steps.actions = (ActionRow(f"{__name__}:Step", "step", family="steps", kind="Point"),)
"""


def test_padding_counts_nowhere_though_it_is_moved(case: CaseOf) -> None:
    """Points in padding are moved away from 0 on one side alone: an exact model had E = 0.5."""
    net = case("space")
    (net.path / "groups.py").write_text(MOVED)
    data = net.path / "data.py"
    text = data.read_text().replace("points = torch.randn(samples, 5, 3", "points = torch.randn(samples, 5, 2")
    text = text.replace('{"positions": points, "bonds": bonds}', '{"positions": points}')
    text = text.replace(
        '{"positions": Point().over(ATOMS), "bonds": Vector().over(BONDS)}', '{"positions": Point().over(ATOMS)}'
    )
    text = text.replace(
        '{"forces": -centred, "energy": centred.square().sum((1, 2))[:, None] / 2}', '{"positions": points}'
    )
    text = text.replace(
        '{"forces": Vector(unit="eV/Å").over(ATOMS), "energy": Scalar(unit="eV")}',
        '{"positions": Point().over(ATOMS)}',
    )
    text = text.replace(
        "    return Arrays(",
        "    sizes = {'atoms': [2 + i % 4 for i in range(samples)]}\n    for i, size in enumerate(sizes['atoms']):\n        points[i, size:] = 0\n    return Arrays(",
    )
    data.write_text(text.rstrip().removesuffix(")") + "    sizes=sizes)\n")
    net.edit("groups.py:SO3", "groups.py:Steps")
    net.edit('"model.py:build"', '"model.py:build", args: {kind: kept}')
    ran = net.run()
    assert ran.code == 0, ran.err
    assert net.estimate("equivariance_error") < 1e-6
    assert net.estimate("orbit_loss") < 1e-10


def test_an_unknown_action_is_refused_where_only_one_would_do(case: CaseOf) -> None:
    net = case("graphs")
    net.edit("on: features", "on: features, action: rowz")
    ran = net.run()
    assert ran.code == 2
    assert "Did you mean 'rows'?" in ran.err


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        (
            "def kinds(self, g: Tensor) -> list[Kind]:",
            "def kinds(self, g: Tensor) -> list[Kind]:\n        1 / 0",
            3,
            "ZeroDivisionError",
        ),
        ("return lambda x: times(g.to(x), x)", "raise KeyError('gone')", 3, "KeyError"),
        ('f"{__name__}:Rotate"', 'f"{__name__}:Nothing"', 2, "AttributeError"),
        ("q = q * r.diagonal", "raise OSError('no disk'); q = q * r.diagonal", 2, "OSError"),
        (
            "SO3.actions = O3.actions = tuple(",
            "SO3.actions = O3.actions = (1,) or tuple(",
            2,
            "is a int, expected an ActionRow",
        ),
    ],
)
def test_what_code_of_a_group_raises_is_no_bug_of_ours(
    case: CaseOf, old: str, new: str, code: int, message: str
) -> None:
    net = case("space")
    groups_file = net.path / "groups.py"
    text = groups_file.read_text()
    assert old in text
    groups_file.write_text(text.replace(old, new))
    ran = net.run()
    assert ran.code == code, ran.err
    assert message in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_leaf_by_the_name_of_a_mask_is_refused() -> None:
    made = Arrays(
        {"features": noise(4, 5), "nodes_mask": torch.ones(4, 5)}, {},
        fields={"features": ON_NODES, "nodes_mask": ON_NODES}, target_fields={},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="which is what the mask of 'nodes' will be called"):
        checked(made, "here")


ORIENTED = """
import torch
from torch import nn
from symbench.datasets.base import Arrays
from symbench.fields import Image, Logits, classes

TURNED = classes({"turn": [1, 2, 3, 0]})

def load(samples=48):
    generator = torch.Generator().manual_seed(0)
    images, labels = 0.2 * torch.rand(samples, 1, 9, 9, generator=generator), torch.arange(samples) % 4
    images[:, :, 0] += 0.5
    images = torch.stack([torch.rot90(x, int(k), (-2, -1)) for x, k in zip(images, labels)])
    return Arrays({"image": images}, {"label": labels}, fields={"image": Image()}, target_fields={"label": TURNED})

class Edges(nn.Module):
    def __init__(self, declared):
        super().__init__()
        if declared:
            self.outputs = {"label": Logits()}
    def forward(self, x):
        return torch.stack([torch.rot90(x, -k, (-2, -1))[:, 0, 0].mean(-1) for k in range(4)], dim=-1) * 20

def build(declared=False):
    return Edges(declared)
"""


@pytest.mark.parametrize("declared", [False, True])
def test_classes_that_permute_are_right_at_every_element(case: CaseOf, declared: bool) -> None:
    """An orientation classifier: under the right action exact, and right wherever it is right unmoved."""
    net = case("space")
    (net.path / "orient.py").write_text(
        ORIENTED.replace("symbench.datasets.base", "symbench.domains.common.datasets.base")
    )
    made = "{declared: true}" if declared else "{}"
    (net.path / "suite.yaml").write_text(
        "version: 1\nname: orient\ndatasets: {d: {use: 'orient.py:load'}}\n"
        f"models: {{m: {{use: 'orient.py:build', args: {made}}}}}\n"
        "symmetries: {turns: {group: C4, on: image}, each: {group: C4, on: image, draw: per-sample, elements: 3}}\n"
    )
    ran = net.run()
    assert ran.code == 0, ran.err
    for symmetry in ("turns", "each"):
        for metric in ("accuracy", "orbit_accuracy", "worst_case_accuracy", "consistency"):
            assert net.estimate(metric, symmetry=symmetry) == 1.0, metric
        assert net.estimate("equivariance_error", symmetry=symmetry) < 1e-5


ABOUT = """
import torch
from symbench.algebra.actions import ActionRow
from symbench.domains.images.actions.vectors import TurnVectors

class About(TurnVectors):
    def matrices(self, g):
        m = super().matrices(g)
        wide = torch.zeros(*m.shape[:-2], 3, 3, dtype=m.dtype)
        wide[..., :2, :2], wide[..., 2, 2] = m, 1
        return wide

    def check(self, shape):
        return None if shape[-1] == 3 else "three components"

    def prepare(self, x):
        if len(x) == COUNT:
            raise ValueError("not so many")
        return x

ROWS = [ActionRow(f"{__name__}:About", "about z", family="plane", kind=k) for k in ("Vector", "Point")]
"""


def about(case: CaseOf, count: int, mode: str) -> Case:
    """C4 about the third axis of space by an action that raises where it is given so many samples."""
    net = case("space")
    (net.path / "about.py").write_text(ABOUT.replace("COUNT", str(count)))
    net.edit('"groups.py:SO3"', "C4")
    net.edit("elements: 6", 'action: "about.py:ROWS"')
    net.edit("dtype: float32", f"dtype: float32, mode: {mode}")
    return net


def test_an_action_that_raises_on_the_probe_alone_leaves_a_cell_without_one(case: CaseOf) -> None:
    net = about(case, 4, "exact")
    ran = net.run()
    assert ran.code == 0, ran.err
    (record,) = records(net).values()
    assert record.probe is None


@pytest.mark.parametrize("count", [2, 8], ids=["to see what feeds what", "to compare"])
def test_an_action_that_raises_while_a_mode_is_chosen_fails_the_cell(case: CaseOf, count: int) -> None:
    net = about(case, count, "fast")
    ran = net.run()
    assert ran.code == 3, ran.err
    said = " ".join(ran.err.split())
    assert "net/clouds/rot: failed: net/clouds/rot: moving leaves or outputs raised ValueError: not so many" in said
    assert "Traceback" not in ran.err


def test_an_action_that_raises_in_a_throughput_pass_fails_no_cell(case: CaseOf) -> None:
    net = about(case, 3, "exact")
    net.edit("version: 1", "version: 1\nthroughput: {batch: 3, seconds: 0.01, iterations: 5}")
    ran = net.run()
    assert "Traceback" not in ran.err
    assert len(records(net)) == 1
    said = " ".join(ran.err.split())
    assert "net on clouds: no throughput: net/clouds/rot: moving leaves or outputs raised ValueError: not so" in said
