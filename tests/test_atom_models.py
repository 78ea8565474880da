"""Networks on atoms: padding, species, and cells that are turned, described otherwise, stretched and refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from symbench.base.errors import ModelError
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.inputs import fed
from symbench.domains.points.models.neighbours import within
from symbench.fields import Axis, Category, Field, Mask, Point, Vector

ATOMS, LATTICE = Axis("atoms"), Axis("lattice")
MOLECULES: dict[str, Field] = {
    "positions": Point().over(ATOMS),
    "species": Category().over(ATOMS),
    "atoms_mask": Mask().over(ATOMS),
}
CRYSTALS: dict[str, Field] = {**MOLECULES, "cell": Vector().over(LATTICE), "periodic": Category(2).over(LATTICE)}
FLOORS = {torch.float32: 5e-5, torch.float64: 1e-12}
CUTOFF = 4.0
Leaves = dict[str, Tensor]


def build(name: str, leaves: Leaves, **options: Any) -> nn.Module:
    row = MODELS.row(name)
    torch.manual_seed(0)
    shapes = {leaf: tuple(x.shape[1:]) for leaf, x in leaves.items()}
    asked = {"readout": "energy", "width": 16, **options}
    found = row.load()(shapes=shapes, outputs=1, **row.options(**asked).model_dump())
    assert isinstance(found, nn.Module)
    return found.to(leaves["positions"].dtype).eval()


def molecules(room: int = 7, dtype: torch.dtype = torch.float64) -> Leaves:
    """Of 3 to 7 atoms, with so much room."""
    rng = np.random.default_rng(0)
    sizes = torch.tensor([7, 3, 5, 6])
    mask = torch.arange(room) < sizes[:, None]
    positions = torch.zeros(4, room, 3, dtype=torch.float64)
    species = torch.zeros(4, room, dtype=torch.int64)
    positions[:, :7] = torch.from_numpy(2 * rng.normal(size=(4, 7, 3)))
    species[:, :7] = torch.from_numpy(rng.choice([1, 6, 8], size=(4, 7)))
    positions = positions * mask[..., None]
    return {"positions": positions.to(dtype), "species": species * mask, "atoms_mask": mask}


def crystals(dtype: torch.dtype = torch.float64) -> Leaves:
    """Skewed cells with four atoms, some of them outside."""
    rng = np.random.default_rng(1)
    cell = 3.4 * np.eye(3) + 0.5 * rng.normal(size=(3, 3, 3))
    positions = rng.uniform(-1, 2, size=(3, 4, 3)) @ cell
    return {
        "positions": torch.from_numpy(positions).to(dtype),
        "species": torch.from_numpy(rng.choice([13, 29], size=(3, 4))),
        "cell": torch.from_numpy(cell).to(dtype),
        "periodic": torch.ones(3, 3, dtype=torch.int64),
    }


ROTATION = torch.from_numpy(Rotation.from_rotvec([0.4, -1.1, 0.8]).as_matrix())
MIRROR = ROTATION @ torch.diag(torch.tensor([1.0, 1.0, -1.0]).double())


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).detach().abs().max() / wanted.detach().double().abs().mean())


# What is taken.


def test_what_a_dataset_has_besides_is_taken_and_masks_of_other_axes_are_not() -> None:
    row, egnn = MODELS.row("distance-net"), MODELS.row("egnn")
    assert fed(row, CRYSTALS) == ("positions", "species", "atoms_mask", "cell", "periodic")
    assert fed(row, {"positions": CRYSTALS["positions"]}) == ("positions",)
    assert fed(egnn, CRYSTALS) == ("positions", "species", "atoms_mask")
    points = Axis("points")
    assert fed(row, {"positions": Point().over(points), "points_mask": Mask().over(points)}) is None
    assert fed(row, {"coordinates": CRYSTALS["positions"]}) == ("coordinates",)
    assert fed(row, {"coordinates": CRYSTALS["positions"], "species": CRYSTALS["species"]}) is None
    assert fed(MODELS.row("pointnet"), CRYSTALS) is None, "which would take padding for atoms"


# Padding.

NETS = [("distance-net", {}), ("distance-net", {"cutoff": CUTOFF}), ("egnn", {})]


@pytest.mark.parametrize("dtype", FLOORS, ids=["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), NETS, ids=["distance-net", "cutoff", "egnn"])
def test_padding_counts_nowhere_and_a_mask_that_stays_behind_does(
    name: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    short, long = molecules(7, dtype), molecules(12, dtype)
    module = build(name, short, **options)
    before, after = module(**short), module(**long)
    assert error(after["energy"], before["energy"]) < FLOORS[dtype]
    assert error(after["forces"][:, :7], before["forces"]) < FLOORS[dtype]
    assert torch.equal(after["forces"][~long["atoms_mask"]], torch.zeros_like(long["positions"])[~long["atoms_mask"]])
    alone = {leaf: x[1:2, :3] for leaf, x in short.items()}
    assert error(module(**alone)["energy"], before["energy"][1:2]) < FLOORS[dtype]
    order = torch.tensor([4, 6, 0, 2, 1, 5, 3])
    moved = {leaf: x[:, order] for leaf, x in short.items()}
    assert error(module(**moved)["forces"], before["forces"][:, order]) < FLOORS[dtype]
    for wrong in ({**moved, "atoms_mask": short["atoms_mask"]}, {**short, "atoms_mask": short["atoms_mask"] | True}):
        assert error(module(**wrong)["energy"], before["energy"]) > 1e-3, "the broken twin is caught"


def test_each_species_counts() -> None:
    leaves = molecules()
    module = build("egnn", leaves)
    other = {**leaves, "species": torch.where(leaves["species"] == 6, 7, leaves["species"])}
    assert error(module(**other)["energy"], module(**leaves)["energy"]) > 1e-3
    for name, wrong in (("egnn", 119), ("distance-net", -1)):
        with pytest.raises(ModelError, match=r"species: got .*, expected atomic numbers from 1 to 118, and 0 in"):
            build(name, leaves)(**{**leaves, "species": leaves["species"].clamp(min=wrong)} if wrong > 0 else {
                **leaves, "species": leaves["species"] - 1})  # fmt: skip


# Cells.


@pytest.mark.parametrize("dtype", FLOORS, ids=["float32", "float64"])
@pytest.mark.parametrize("matrix", [ROTATION, MIRROR], ids=["rotation", "mirror"])
def test_crystals_turn_with_their_cells_and_not_without(matrix: Tensor, dtype: torch.dtype) -> None:
    leaves = crystals(dtype)
    module, r = build("distance-net", leaves, cutoff=CUTOFF), matrix.to(dtype)
    before = module(**leaves)
    turned = {**leaves, "positions": leaves["positions"] @ r.T, "cell": leaves["cell"] @ r.T}
    shift = turned["positions"] + torch.tensor([3.0, -5.0, 11.0], dtype=dtype)
    order = torch.tensor([2, 0, 3, 1])
    found = module(**{**turned, "positions": shift[:, order], "species": leaves["species"][:, order]})
    assert error(found["energy"], before["energy"]) < FLOORS[dtype]
    assert error(found["forces"], (before["forces"] @ r.T)[:, order]) < 10 * FLOORS[dtype]
    assert error(found["stress"], r @ before["stress"] @ r.T) < 10 * FLOORS[dtype]
    assert torch.equal(found["stress"], found["stress"].mT)
    left = module(**{**turned, "cell": leaves["cell"]})
    assert error(left["energy"], before["energy"]) > 1e-3, "a cell that is not turned is caught"


def test_it_does_not_matter_how_a_crystal_is_described() -> None:
    leaves = crystals()
    module = build("distance-net", leaves, cutoff=CUTOFF)
    before, cell = module(**leaves), leaves["cell"]
    share = torch.linalg.solve(cell, leaves["positions"], left=False)
    wrapped = {**leaves, "positions": (share - share.floor()) @ cell}
    basis = {**leaves, "cell": torch.tensor([[1, 1, 0], [0, 1, 0], [0, -1, 1]]).double() @ cell}
    flipped = {**leaves, "cell": cell[:, [1, 0, 2]]}
    for name, other in (("wrapped", wrapped), ("another basis", basis), ("left-handed", flipped)):
        for output, wanted in before.items():
            assert error(module(**other)[output], wanted) < 1e-11, (name, output)
    twice = {
        "positions": torch.cat([leaves["positions"], leaves["positions"] + cell[:, 1:2]], dim=1),
        "species": leaves["species"].repeat(1, 2),
        "cell": cell * torch.tensor([1.0, 2.0, 1.0]).double()[:, None],
        "periodic": leaves["periodic"],
    }
    found = module(**twice)
    assert error(found["energy"], 2 * before["energy"]) < 1e-12
    assert error(found["forces"], before["forces"].repeat(1, 2, 1)) < 1e-11
    assert error(found["stress"], before["stress"]) < 1e-11


@pytest.mark.parametrize("along", [(1, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0, 0)])
def test_neighbours_are_those_of_a_search_over_all_images(along: tuple[int, ...]) -> None:
    leaves = crystals()
    periodic = torch.tensor([along] * 3)
    args = (leaves["positions"], None, leaves["cell"], periodic)
    found = within(*args, cutoff=CUTOFF, images=2, most=64)
    apart = found.apart(leaves["positions"], leaves["cell"]).norm(dim=-1)
    spans = [range(-9, 10) if each else [0] for each in along]
    for sample, (x, cell) in enumerate(zip(leaves["positions"].numpy(), leaves["cell"].numpy(), strict=True)):
        for atom in range(4):
            every = sorted(
                float(length)
                for other, step in product(range(4), product(*spans))
                if (length := np.linalg.norm(x[atom] - x[other] - step @ cell)) < CUTOFF
                and (other != atom or any(step))
            )
            ours = apart[sample, atom][found.real[sample, atom]].sort().values
            assert np.allclose(ours, every, rtol=0, atol=1e-10)


def test_what_repeats_nowhere_is_a_molecule() -> None:
    leaves, cells = molecules(), crystals()["cell"]
    cell = torch.cat([cells, torch.zeros_like(cells[:1])])
    whole = {**leaves, "cell": cell, "periodic": torch.zeros(4, 3, dtype=torch.int64)}
    found = build("distance-net", whole, cutoff=CUTOFF)(**whole)
    plain = build("distance-net", leaves, cutoff=CUTOFF)(**leaves)
    assert error(found["energy"], plain["energy"]) < 1e-12
    assert error(found["forces"], plain["forces"]) < 1e-12
    assert torch.equal(found["stress"][3], torch.zeros(3, 3).double()), "without a volume"


def test_forces_and_stress_are_finite_differences() -> None:
    leaves, step = crystals(), 1e-5
    module = build("distance-net", leaves, cutoff=CUTOFF)
    before = module(**leaves)

    def energy(positions: Tensor, cell: Tensor) -> Tensor:
        found: Tensor = module(**{**leaves, "positions": positions, "cell": cell})["energy"][:, 0]
        return found.detach()

    for i, j in ((0, 0), (1, 2), (2, 0)):
        strain = torch.zeros(3, 3, dtype=torch.float64)
        strain[i, j], strain[j, i] = step / 2, step / 2
        strain[i, j] += step / 2 if i == j else 0
        ends = [energy(*(x + sign * x @ strain for x in (leaves["positions"], leaves["cell"]))) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step) / torch.linalg.det(leaves["cell"]).abs()
        assert torch.allclose(before["stress"][:, i, j], slope, rtol=1e-5, atol=1e-8)
        moved = torch.zeros_like(leaves["positions"])
        moved[:, i, j] = step
        ends = [energy(leaves["positions"] + sign * moved, leaves["cell"]) for sign in (1, -1)]
        assert torch.allclose(before["forces"][:, i, j], (ends[1] - ends[0]) / (2 * step), rtol=1e-5, atol=1e-8)
    assert before["forces"].sum(1).abs().max() < 1e-12, "nothing pushes a crystal as a whole"


def test_energies_add_up_and_atoms_come_into_reach_smoothly() -> None:
    def energy(*places: float, cutoff: float | None = CUTOFF) -> Tensor:
        x = torch.tensor([[[place, 0.0, 0.0] for place in places]], dtype=torch.float64)
        found: Tensor = build("distance-net", {"positions": x}, cutoff=cutoff)(x)["energy"].detach()
        return found

    pair, far = energy(0, 1.5), energy(0, 1.5, 100, 101.5)
    assert torch.allclose(far, 2 * pair, rtol=1e-12)
    assert torch.allclose(energy(0, CUTOFF - 1e-3), energy(0, CUTOFF + 1e-3), rtol=0, atol=1e-8)
    assert not torch.allclose(energy(0, CUTOFF / 2), energy(0, CUTOFF + 1e-3), rtol=0, atol=1e-3)
    everywhere = energy(0, CUTOFF + 1, cutoff=None) - energy(0, CUTOFF + 2, cutoff=None)
    assert everywhere.abs() > 1e-4, "without a cutoff"


def test_networks_on_crystals_run_together() -> None:
    leaves = crystals()
    modules = [build("distance-net", leaves, cutoff=CUTOFF) for _ in range(2)]
    with torch.no_grad():
        modules[1].start.values.add_(1)  # type: ignore[union-attr,operator]
    both = vmap(lambda s, b: functional_call(modules[0], (s, b), (), leaves))(*stack_module_state(modules))
    for number, module in enumerate(modules):
        for name, x in module(**leaves).items():
            assert torch.allclose(both[name][number], x, rtol=1e-9, atol=1e-11)


def test_cells_that_cannot_be_are_refused() -> None:
    leaves = crystals()
    thin = {**leaves, "cell": leaves["cell"] * torch.tensor([1.0, 1.0, 0.2]).double()[:, None]}
    with pytest.raises(ModelError, match=r"cell: a cell is so thin that 2 of its images .* Say images: 3, or a sm"):
        build("distance-net", leaves, cutoff=CUTOFF)(**thin)
    flat = leaves["cell"].clone()
    flat[1, 2] = flat[1, 0] + flat[1, 1]
    with pytest.raises(ModelError, match="cell: (the cell of sample 1 .* do not span|a cell is so thin)"):
        build("distance-net", leaves, cutoff=CUTOFF)(**{**leaves, "cell": flat})
    with pytest.raises(ModelError, match=r"neighbours: an atom has \d+ neighbours .* expected 5 at most. Say neigh"):
        build("distance-net", leaves, cutoff=CUTOFF, neighbours=5)(**leaves)


# What energies entail.


@pytest.mark.parametrize("name", ["distance-net", "egnn"])
def test_forces_have_a_symmetric_jacobian_and_vectors_have_none(name: str) -> None:
    """``dF_i / dx_j = dF_j / dx_i``: a kernel that keeps energies may still get forces wrong."""
    leaves = {leaf: x[:1, :3] for leaf, x in molecules().items()}
    others = {leaf: x for leaf, x in leaves.items() if leaf != "positions"}

    def asymmetry(module: nn.Module, output: str) -> float:
        jacobian = torch.func.jacrev(lambda x: module(positions=x, **others)[output][0])(leaves["positions"])
        square = jacobian.reshape(9, 9).detach()
        return float((square - square.T).abs().max() / square.abs().max())

    assert asymmetry(build(name, leaves), "forces") < 1e-12
    if name == "egnn":
        assert asymmetry(build(name, leaves, readout="vectors"), "vectors") > 1e-3


def test_nothing_pulls_at_a_perfect_crystal() -> None:
    """Rock salt: every atom is a centre of inversion, so that forces are 0 and stress is a pressure, by symmetry."""
    corner = torch.tensor([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], dtype=torch.float64)
    edge = 5.64
    turn = torch.from_numpy(Rotation.from_rotvec([0.3, 0.2, -0.9]).as_matrix())
    leaves = {
        "positions": (edge * torch.cat([corner, corner + 0.5]) @ turn.T)[None],
        "species": torch.tensor([[11] * 4 + [17] * 4]),
        "cell": (edge * torch.eye(3, dtype=torch.float64) @ turn.T)[None],
        "periodic": torch.ones(1, 3, dtype=torch.int64),
    }
    module = build("distance-net", leaves)
    found = module(**leaves)
    assert found["forces"].abs().max() < 1e-12
    assert torch.allclose(found["stress"][0], found["stress"][0, 0, 0] * torch.eye(3).double(), rtol=0, atol=1e-13)
    assert found["stress"].abs().max() > 1e-6
    moved = leaves["positions"].clone()
    moved[0, 0] += 0.1
    assert module(**{**leaves, "positions": moved})["forces"].abs().max() > 1e-4
