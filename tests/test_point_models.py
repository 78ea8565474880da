"""Networks on points: what each keeps and what it breaks, stratum by stratum; forces; sizes; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import TrivialAction
from symbench.algebra.groups.base import Elements, choose
from symbench.base.errors import ConfigError, ModelError
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.inputs import fed, takes
from symbench.domains.common.models.operations import operations
from symbench.domains.common.models.orbit import Orbit
from symbench.domains.common.models.wrapped import Averaged
from symbench.domains.points.models import frame_averaged
from symbench.domains.points.models.vector_neurons import VectorRelu, cross
from symbench.fields import Axis, Embedding, Field, Mask, Point, Scalar, Vector
from symbench.measure.assemble.running import outputs_of
from symbench.measure.suite import ModelEntry
from symbench.testing import assert_equivariant

POINTS = Axis("points")
DATA: dict[str, Field] = {
    "positions": Point().over(POINTS),
    "velocities": Vector().over(POINTS),
    "charges": Scalar().over(POINTS),
}
COUNT, EACH, CLASSES = 12, 7, 5
FLOORS = {torch.float32: 5e-5, torch.float64: 1e-12}
"""Of E, untrained: outputs then differ little from sample to sample, so that rounding is large beside that."""

Leaves = dict[str, Tensor]
Move = Callable[[Leaves], tuple[Leaves, Callable[[Tensor], Tensor]]]
"""Moved leaves, and how vectors of points move along."""


def clouds() -> Leaves:
    """Float64, of no symmetry."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(COUNT, EACH, *shape, generator=generator, dtype=torch.float64)

    return {"positions": drawn(3), "velocities": drawn(3), "charges": drawn()}


def turned(matrix: Tensor) -> Move:
    def move(leaves: Leaves) -> tuple[Leaves, Callable[[Tensor], Tensor]]:
        new = {name: x if name == "charges" else x @ matrix.T.to(x) for name, x in leaves.items()}
        return new, lambda x: x @ matrix.T.to(x)

    return move


def translated(leaves: Leaves) -> tuple[Leaves, Callable[[Tensor], Tensor]]:
    shift = torch.tensor([0.7, -0.4, 0.9]).to(leaves["positions"])
    return {**leaves, "positions": leaves["positions"] + shift}, lambda x: x


def permuted(leaves: Leaves) -> tuple[Leaves, Callable[[Tensor], Tensor]]:
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    return {name: x[:, order] for name, x in leaves.items()}, lambda x: x[:, order]


def rotation() -> Tensor:
    """By 2.1 rad about (1, 2, -1), as the exponential of its generator."""
    x, y, z = (2.1 * torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64) / 6**0.5).tolist()
    return torch.linalg.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64))


MOVES: dict[str, Move] = {
    "rotation": turned(rotation()),
    "mirror": turned(rotation() @ torch.diag(torch.tensor([1.0, 1.0, -1.0]).double()) @ rotation().T),
    "inversion": turned(-torch.eye(3)),
    "translation": translated,
    "permutation": permuted,
}
IMPROPER = {"mirror", "inversion"}


@dataclass(frozen=True)
class Claim:
    """What a model keeps; it breaks all the others of ``MOVES``."""

    model: str
    exact: set[str]
    readouts: tuple[str, ...] = ("cloud", "vectors", "energy")
    options: dict[str, Any] = field(default_factory=dict)


EVERYTHING = set(MOVES)
CLAIMS = [
    Claim("point-mlp", set()),
    Claim("point-mlp-dynamics", set()),
    Claim("point-transformer", {"permutation"}),
    Claim("point-transformer-dynamics", {"permutation"}),
    Claim("pointnet", {"permutation"}),
    Claim("distance-net", EVERYTHING, ("cloud", "energy")),
    Claim("vector-neurons", EVERYTHING),
    Claim("vector-neurons", EVERYTHING - IMPROPER, options={"chiral": True}),
    Claim("frame-averaged", EVERYTHING - {"permutation"}),
    Claim("frame-averaged", EVERYTHING, options={"of": "pointnet"}),
    Claim("frame-averaged", EVERYTHING - IMPROPER, options={"of": "point-transformer", "chiral": True}),
    Claim("egnn", EVERYTHING),
    Claim("egnn-dynamics", EVERYTHING),
]
CASES = [
    pytest.param(claim, readout, id="-".join([claim.model, *claim.options, readout]))
    for claim in CLAIMS
    for readout in claim.readouts
]


def build(name: str, readout: str = "cloud", *, seed: int = 0, outputs: int = CLASSES, **options: Any) -> nn.Module:
    """The model of the table for the data above, in float64."""
    row, _ = MODELS.find(name)
    shapes = {leaf: tuple(x.shape[1:]) for leaf, x in taken(name, clouds()).items()}
    torch.manual_seed(seed)
    wanted, asked = 1 if readout == "energy" else outputs, {"readout": readout, "width": 16, **options}
    found = row.load()(shapes=shapes, outputs=wanted, **row.options(**asked).model_dump())
    assert isinstance(found, nn.Module)
    return found.double().eval()


def taken(name: str, leaves: Leaves) -> Leaves:
    return {leaf: leaves[leaf] for leaf in takes(MODELS.row(name).inputs, DATA) or ()}


@torch.no_grad()
def errors(module: nn.Module, leaves: Leaves, move: Move) -> dict[str, float]:
    """sqrt(mean of |f(g x) - g f(x)|^2 / mean of |f(x) - f(x')|^2 over pairs of samples), of each output."""
    moved, along = move(leaves)
    before, after, found = module(**leaves), module(**moved), {}
    for name, x in before.items():
        expected = x if name in {"cloud", "energy"} else along(x)
        deviation = (after[name] - expected).double().flatten(1).square().sum(1).mean()
        pairs = torch.cdist(x.double().flatten(1), x.double().flatten(1)).square().sum()
        found[name] = float((deviation / (pairs / (COUNT * (COUNT - 1)))).sqrt())
    return found


@pytest.mark.parametrize("dtype", FLOORS, ids=["float32", "float64"])
@pytest.mark.parametrize(("claim", "readout"), CASES)
def test_what_is_claimed_is_exact_and_the_rest_is_not(claim: Claim, readout: str, dtype: torch.dtype) -> None:
    module = build(claim.model, readout, **claim.options).to(dtype)
    leaves = {name: x.to(dtype) for name, x in taken(claim.model, clouds()).items()}
    for name, move in MOVES.items():
        for output, error in errors(module, leaves, move).items():
            assert (error < FLOORS[dtype]) if name in claim.exact else (error > 0.05), (name, output, error)


def test_all_models_on_points_are_here() -> None:
    ours = {name for name, row in MODELS.rows.items() if row.module.startswith("symbench.domains.points.")}
    assert {claim.model for claim in CLAIMS} == ours


@pytest.mark.parametrize("group", ["E3", "S7"])
@pytest.mark.parametrize("name", ["egnn", "vector-neurons"])
def test_the_groups_of_the_domain_say_the_same(name: str, group: str) -> None:
    fields = {"positions": DATA["positions"]}
    inputs = {"positions": clouds()["positions"]}
    outputs: dict[str, Field] = {"energy": Scalar(), "forces": Vector().over(POINTS)}
    assert_equivariant(build(name, "energy"), group, inputs, outputs, fields=fields, elements=4)
    if name == "vector-neurons":
        chiral = build(name, "energy", chiral=True)
        assert_equivariant(chiral, group.replace("E3", "SE3"), inputs, outputs, fields=fields, elements=4)


def test_positions_are_those_of_the_input_and_vectors() -> None:
    leaves = taken("egnn-dynamics", clouds())
    found = build("egnn-dynamics", "positions")(**leaves)["positions"]
    assert torch.equal(found, leaves["positions"] + build("egnn-dynamics", "vectors")(**leaves)["vectors"])
    outputs: dict[str, Field] = {"positions": DATA["positions"]}
    assert_equivariant(build("egnn-dynamics", "positions"), "E3", leaves, outputs, fields=DATA, elements=4)


@pytest.mark.parametrize("name", [claim.model for claim in CLAIMS if not claim.options])
def test_forces_are_finite_differences_of_the_energy(name: str) -> None:
    module, leaves, step = build(name, "energy"), taken(name, clouds()), 1e-5
    with torch.no_grad():  # as models are measured
        forces = module(**leaves)["forces"]
        for point, axis in [(0, 0), (3, 1), (6, 2)]:
            ends = []
            for sign in (1, -1):
                moved = leaves["positions"].clone()
                moved[:, point, axis] += sign * step
                ends.append(module(**{**leaves, "positions": moved})["energy"][:, 0])
            assert torch.allclose(forces[:, point, axis], -(ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("claim", "readout"), CASES)
def test_every_parameter_is_of_use(claim: Claim, readout: str) -> None:
    """To forces all but the last intercept, which moves the energy alone."""
    module = build(claim.model, readout, **claim.options)
    list(module(**taken(claim.model, clouds())).values())[-1].square().sum().backward()
    idle = [name for name, x in module.named_parameters() if x.grad is None or not x.grad.any()]
    assert len(idle) == (readout == "energy")
    assert all(name.endswith("bias") for name in idle)


def test_networks_of_one_kind_run_together() -> None:
    """Under vmap, forces too."""
    modules, leaves = [build("egnn", "energy", seed=seed) for seed in range(2)], taken("egnn", clouds())
    state = stack_module_state(modules)
    both = vmap(lambda s, b: functional_call(modules[0], (s, b), (), leaves))(*state)
    for number, module in enumerate(modules):
        for name, x in module(**leaves).items():
            assert torch.allclose(both[name][number], x, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: "-".join([claim.model, *claim.options]))
def test_operations_are_counted_without_numbers(claim: Claim) -> None:
    counts = set()
    for device in ("meta", "cpu"):
        module = build(claim.model, "energy", **claim.options).to(device)
        leaves = {name: x.to(device) for name, x in taken(claim.model, clouds()).items()}
        count, uncounted = operations(module, partial(module, **leaves))
        assert not uncounted
        counts.add(count)
    assert len(counts) == 1
    assert counts.pop() > 0


W = 8
SIZES = {
    # layers of weights and intercepts, one after the other
    ("point-mlp", "cloud"): (EACH * 3 * W + W) + (W * W + W) + (W * CLASSES + CLASSES),
    ("point-mlp-dynamics", "vectors"): (EACH * 7 * W + W) + (W * W + W) + (W * EACH * 3 + EACH * 3),
    ("pointnet", "cloud"): (3 * W + W) + 3 * (W * W + W) + (W * CLASSES + CLASSES),
    # a start; a round of messages and news; a head
    ("distance-net", "cloud"): (
        W
        + ((2 * W + 21) * W + W)
        + (W * W + W)
        + (2 * W * W + W)
        + (W * W + W)
        + (W * W + W)
        + (W * CLASSES + CLASSES)
    ),
    # values and directions of pairs, and one vector of each point
    ("vector-neurons", "vectors"): 2 * 2 * W + W,
}


@pytest.mark.parametrize(("name", "readout"), SIZES)
def test_sizes_are_those_by_hand(name: str, readout: str) -> None:
    depth = {} if name.startswith("point") else {"depth": 1}
    module = build(name, readout, width=W, **depth)
    assert sum(x.numel() for x in module.parameters()) == SIZES[name, readout]


@pytest.mark.parametrize("chiral", [False, True])
def test_a_cloud_is_the_same_in_all_its_frames(chiral: bool) -> None:
    """Numpy's principal axes with all signs, and the mean of what stands inside by hand."""
    leaves = clouds()["positions"]
    module = build("frame-averaged", "vectors", of="pointnet", **({"chiral": True} if chiral else {}))
    x = leaves[0] - leaves[0].mean(0)
    _, axes = np.linalg.eigh(np.cov(x.numpy().T))
    found = []
    for signs in product((1.0, -1.0), repeat=3):
        frame = torch.from_numpy(axes * signs)
        if not chiral or float(torch.linalg.det(frame)) > 0:
            found.append(module.inner(x[None] @ frame)["vectors"] @ frame.T)  # type: ignore[operator]
    assert len(found) == (4 if chiral else 8)
    assert torch.allclose(module(leaves[:1])["vectors"], torch.stack(found).mean(0), rtol=0, atol=1e-12)


def test_fewer_frames_than_there_are_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: the axes as the library returns them, whose signs are nobody's."""
    module = build("frame-averaged")
    monkeypatch.setattr(
        frame_averaged, "frames", lambda x, rotations: torch.linalg.eigh(x.mT @ x).eigenvectors[:, None]
    )
    assert errors(module, taken("frame-averaged", clouds()), MOVES["rotation"])["cloud"] > 0.05


def test_ties_have_no_axes() -> None:
    """A cube's corners have the same variance along every line: exactness ends there, as the model's text says."""
    corners = torch.tensor(list(product((1.0, -1.0), repeat=3))[:7], dtype=torch.float64)
    square = torch.cat([corners, -corners.sum(0, keepdim=True)])[None]  # the eighth corner
    torch.manual_seed(0)
    options = {"readout": "cloud", "width": 16, "of": "pointnet", "chiral": False}
    module = MODELS.row("frame-averaged").load()(shapes={"positions": (8, 3)}, outputs=5, **options).double()
    with torch.no_grad():
        assert (module(square @ rotation().T)["cloud"] - module(square)["cloud"]).abs().max() > 1e-3


def test_a_designs_mean_over_rotations_leaves_a_fifth_of_what_draws_leave() -> None:
    """The mean of ``point-mlp`` over 256 rotations, as ``average:`` takes it, under rotations of the whole cloud."""
    module, x = build("point-mlp"), clouds()["positions"]
    group = groups.load("SO3", {})
    turns = group.sample(24, generator=torch.Generator().manual_seed(1))

    def residual(mean: Callable[[Tensor], Tensor]) -> float:
        with torch.no_grad():
            views = torch.stack([mean(x @ turn.T) for turn in turns])
        return float((views - views.mean(0)).square().mean().sqrt())

    def mean_of(elements: Elements) -> Callable[[Tensor], Tensor]:
        act = actions.load(group, "SO3", DATA["positions"], {}, on=DATA["positions"], leaf="positions")
        orbit = Orbit.of(
            group, {"positions": act}, "positions", lambda *_: TrivialAction(), where="", design=elements
        )
        wrapped = Averaged(module, orbit, {"cloud": Scalar()}, "mlp")
        return lambda x: wrapped(x)["cloud"]

    def draw(seed: int) -> Elements:
        some = group.sample(256, generator=torch.Generator().manual_seed(seed))
        return Elements(some, torch.full((256,), 1 / 256, dtype=torch.float64), "design")

    spiral = choose(group, 255, generator=torch.Generator())
    drawn = [residual(mean_of(draw(seed))) for seed in range(10, 14)]
    plain, ours = residual(lambda x: module(x)["cloud"]), residual(mean_of(spiral))
    assert ours <= min(drawn) / 5
    assert min(drawn) < plain / 5


def test_a_vector_loses_only_what_points_against_its_direction(generator: torch.Generator) -> None:
    torch.manual_seed(0)
    layer = VectorRelu(4, 6).double()
    x = torch.randn(50, 4, 3, generator=generator, dtype=torch.float64)
    q, k = layer.values(x), layer.directions(x)
    for made, part in ((q, layer.values), (k, layer.directions)):
        torch.testing.assert_close(made, torch.einsum("oc,ncx->nox", part.weight, x), rtol=0, atol=1e-12)
    found = layer(x)
    along = (q * k).sum(-1)
    assert torch.equal(found[along >= 0], q[along >= 0])
    assert ((found * k).sum(-1)[along < 0] / k.square().sum(-1)[along < 0]).abs().max() < 1e-3
    assert torch.linalg.cross(found - q, k).abs().max() < 1e-12
    assert 0.2 < (along < 0).double().mean() < 0.8
    assert torch.allclose(cross(q, k), torch.linalg.cross(q, k), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "chiral"),
    [(name, chiral) for name in ("vector-neurons", "frame-averaged") for chiral in (False, True)] + [("egnn", False)],
)
def test_only_what_reflections_break_tells_left_from_right(name: str, chiral: bool) -> None:
    """Taught a cloud and its mirror image, both in many orientations."""
    options: dict[str, Any] = {"chiral": True} if chiral else {}
    module = build(name, outputs=2, **options)
    one = clouds()["positions"][0]
    turns = [torch.linalg.matrix_power(rotation(), number + 1) for number in range(32)]
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]).double())
    x = torch.stack([one @ turn.T for turn in turns] + [one @ mirror @ turn.T for turn in turns])
    labels = torch.arange(2).repeat_interleave(32)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(30):
        optimiser.zero_grad()
        cross_entropy(module(x)["cloud"], labels).backward()
        optimiser.step()
    scores = module(x)["cloud"].detach().diff()[:, 0]
    if chiral:
        assert ((scores > 0) == labels.bool()).all()
    else:
        assert scores.max() - scores.min() < 1e-10


@pytest.mark.parametrize(
    ("shapes", "outputs", "readout", "message"),
    [
        ({"positions": (7, 2)}, 5, "cloud", r"positions.*got shape \(7, 2\).*\(points, 3\)"),
        ({"positions": (3,)}, 5, "cloud", r"positions.*got shape \(3,\).*\(points, 3\)"),
        ({"positions": (7, 3)}, 5, "energy", r"readout.*got energy.*5 numbers.*1, or 21 of forces.*readout: cloud"),
    ],
)
def test_other_data_is_refused(shapes: dict[str, Any], outputs: int, readout: str, message: str) -> None:
    row, asked = MODELS.row("egnn"), {"readout": readout}
    with pytest.raises(ModelError, match=message):
        row.load()(shapes=shapes, outputs=outputs, **row.options(**asked).model_dump())


def test_padding_is_not_taken_for_points() -> None:
    padded = {**DATA, "points_mask": Mask().over(POINTS)}
    for claim in CLAIMS:
        assert fed(MODELS.row(claim.model), DATA) == takes(MODELS.row(claim.model).inputs, DATA)
        assert fed(MODELS.row(claim.model), padded) is None
    graphs = {name: field for name, field in DATASETS.row("graphs").fields.items() if name != "adjacency"}
    assert fed(MODELS.row("gnn"), graphs) == tuple(graphs), "which takes masks"


def test_sets_of_several_sizes_are_not_taken_without_their_masks() -> None:
    items = Axis("items")
    one_size = {"set": Scalar().over(items)}
    for name in ("deep-sets", "set-mlp", "set-linear", "symmetric-linear"):
        assert fed(MODELS.row(name), one_size) == ("set",)
        assert fed(MODELS.row(name), {**one_size, "items_mask": Mask().over(items)}) is None
    graphs = DATASETS.row("graphs").fields
    assert fed(MODELS.row("adjacency-mlp"), graphs) == ("features", "adjacency"), "zeros are no edges"


def test_an_embedding_is_one_by_the_networks_own_name() -> None:
    entry = ModelEntry(use="egnn", embedding=8)
    row = MODELS.row("egnn")
    net = row.load()(shapes={"positions": (7, 3)}, outputs=8, **row.options().model_dump())
    (name,) = outputs_of(entry, net)
    assert net(torch.rand(2, 7, 3))[name].shape == (2, 8)
    assert isinstance(outputs_of(entry, net)[name], Embedding)


def test_distances_make_no_vectors() -> None:
    with pytest.raises(ConfigError, match="readout"):
        checked_options(MODELS.row("distance-net").options, {"readout": "vectors"}, "here")
