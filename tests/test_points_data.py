"""Data of space: shapes against their equations, and simulations and potentials against independent ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cases.clouds.model import handedness
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from symbench.algebra import groups
from symbench.algebra.actions.declared import DeclaredAction
from symbench.algebra.fields import Classes
from symbench.base.errors import ConfigError
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.points.datasets import lennard_jones, n_body, solids
from symbench.domains.points.datasets.shapes import keeps_class, rotations
from symbench.domains.points.datasets.solids import CUBE_HALF, CYLINDER, HANDED, HELIX, SOLIDS, TORUS, TURNS

MIRROR = np.diag([1.0, -1.0, 1.0])
NAMES = ["shapes", "n-body", "lennard-jones"]
OCTAHEDRON = np.sqrt(2)


def load(name: str, **options: Any) -> Arrays:
    row = DATASETS.row(name)
    checked = checked_options(row.options, {"samples": 40, **options}, "data")
    found = row.load()(**checked.model_dump())
    assert isinstance(found, Arrays)
    return found


def turn(seed: int = 0) -> np.ndarray:
    """A rotation that symbench had no part in."""
    return np.asarray(Rotation.random(random_state=seed).as_matrix())


def drawn(name: str, count: int = 40_000) -> np.ndarray:
    return SOLIDS[name](np.random.default_rng(5), count)


# Shapes.


def off_helix(x: np.ndarray, hand: int = 1) -> np.ndarray:
    angle = hand * TURNS * np.pi * x[:, 2] / HELIX[1]
    return np.abs(x[:, :2] - HELIX[0] * np.stack([np.cos(angle), np.sin(angle)], 1)).max(1)


def off_cylinder(x: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x[:, 0], x[:, 1]), np.abs(x[:, 2])) - CYLINDER


EQUATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sphere": lambda x: np.linalg.norm(x, axis=1) - 1,
    "cube": lambda x: np.abs(x).max(1) - CUBE_HALF,
    "tetrahedron": lambda x: (x @ np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T).min(1) + 1,
    "octahedron": lambda x: np.abs(x).sum(1) - OCTAHEDRON,
    "cylinder": off_cylinder,
    "torus": lambda x: np.hypot(np.hypot(x[:, 0], x[:, 1]) - TORUS[0], x[:, 2]) - TORUS[1],
    "right-handed helix": off_helix,
    "left-handed helix": lambda x: off_helix(x, -1),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_points_lie_on_their_shape_about_the_origin_at_one_size(name: str) -> None:
    x = drawn(name)
    assert np.abs(EQUATIONS[name](x)).max() < 1e-12
    square = np.square(x).sum(1)
    assert abs(square.mean() - 1) <= 4 * square.std() / np.sqrt(len(x)) + 1e-12
    assert (np.abs(x.mean(0)) < 4 * x.std(0) / np.sqrt(len(x))).all()
    if name in {"sphere", "cube", "tetrahedron", "octahedron"}:  # as symmetric as a cube: second moments are alike
        assert np.allclose(x.T @ x / len(x), np.eye(3) / 3, atol=0.01)


def uniform(values: np.ndarray) -> float:
    """The probability that as uneven values come from the uniform distribution on [0, 1]."""
    return float(stats.kstest(values, "uniform").pvalue)


def share_inside(x: np.ndarray) -> float:
    """The share of points on the inner half of a torus's tube: ``1 / 2 - r / (pi R)`` of the area."""
    return float((np.hypot(x[:, 0], x[:, 1]) < TORUS[0]).mean())


def test_points_are_uniform() -> None:
    ball, helix, wide = drawn("sphere"), drawn("right-handed helix"), drawn("cylinder")
    assert uniform((ball[:, 2] + 1) / 2) > 1e-3, "Archimedes: zones of one height have one area"
    assert uniform((helix[:, 2] / HELIX[1] + 1) / 2) > 1e-3
    ends = np.abs(wide[:, 2]) >= CYLINDER * (1 - 1e-12)
    assert stats.binomtest(int(ends.sum()), len(ends), 1 / 3).pvalue > 1e-3
    assert uniform(np.hypot(*wide[ends, :2].T) ** 2 / CYLINDER**2) > 1e-3
    faces = np.bincount(np.abs(drawn("cube")).argmax(1) * 2 + (drawn("cube").max(1) > CUBE_HALF * (1 - 1e-9)))
    assert stats.chisquare(faces).pvalue > 1e-3
    corner = drawn("tetrahedron") @ np.array([1, 1, 1]) / 3  # falls off to the square root of a uniform number
    low = corner[corner > -1 / 3 + 1e-9]
    assert uniform(((1 - low) / (4 / 3)) ** 2) > 1e-3
    expected = 1 / 2 - TORUS[1] / (np.pi * TORUS[0])
    assert share_inside(drawn("torus")) == pytest.approx(expected, abs=0.01)


def test_angles_uniform_around_a_tube_are_not_uniform_on_a_torus() -> None:
    rng = np.random.default_rng(0)
    radius = TORUS[0] + TORUS[1] * np.cos(rng.uniform(0, 2 * np.pi, 40_000))
    naive = solids._around(radius, rng.uniform(0, 2 * np.pi, 40_000), np.zeros(40_000))
    assert share_inside(naive) == pytest.approx(1 / 2, abs=0.01)


def test_a_mirror_exchanges_the_helices_and_a_rotation_does_not() -> None:
    x = drawn("right-handed helix", 500)
    for improper in (MIRROR, np.diag([1.0, 1.0, -1.0])):
        assert np.abs(off_helix(x @ improper, -1)).max() < 1e-12
        assert np.abs(off_helix(x @ improper)).max() > 1
    assert np.abs(off_helix(x @ np.diag([1.0, -1.0, -1.0]))).max() < 1e-12, "a half turn about x"


@pytest.mark.parametrize("pose", ["aligned", "upright", "random"])
def test_the_hand_of_a_cloud_is_told_by_what_no_rotation_changes(pose: str) -> None:
    data = load("shapes", samples=80, pose=pose)
    label, x = data.target_values["label"], data.leaves["positions"].double()
    assert x.shape == (80, 64, 3)
    assert label.bincount().tolist() == [10] * 8
    right, left = (handedness(x[label == each]) for each in sorted(HANDED))
    assert right.min() > 0 > left.max()
    turned = torch.from_numpy(turn())
    assert torch.allclose(handedness(x @ turned), handedness(x))
    assert torch.allclose(handedness(x @ -turned), -handedness(x))


def test_poses_are_what_they_are_called() -> None:
    clean = {pose: load("shapes", samples=400, pose=pose, noise=0) for pose in ("aligned", "upright", "random")}
    for label, name in enumerate(SOLIDS):
        x = clean["aligned"].leaves["positions"][clean["aligned"].target_values["label"] == label]
        assert np.abs(EQUATIONS[name](x.double().flatten(0, 1).numpy())).max() < 1e-5
    helices = {pose: data.leaves["positions"][data.target_values["label"] == 6] for pose, data in clean.items()}
    assert torch.allclose(helices["upright"][..., :2].norm(dim=-1), torch.tensor(HELIX[0]), atol=1e-6)
    assert off_helix(helices["upright"].double().flatten(0, 1).numpy()).max() > 0.5
    axes = torch.linalg.eigh(helices["random"].mT @ helices["random"]).eigenvectors[..., -1]
    assert torch.allclose(axes.T @ axes / len(axes), torch.eye(3) / 3, atol=0.2)


def test_random_poses_are_uniform() -> None:
    found = torch.from_numpy(rotations(np.random.default_rng(0), 20_000, upright=False))
    assert torch.allclose(torch.linalg.det(found), torch.ones((), dtype=torch.float64))
    assert found.mean(0).abs().max() < 4 / (3 * 20_000) ** 0.5
    square = torch.einsum("nij,nkl->ijkl", found, found) / 20_000
    eye = torch.eye(3, dtype=torch.float64)
    assert torch.allclose(square, torch.einsum("ik,jl->ijkl", eye, eye) / 3, atol=0.01)


@pytest.mark.parametrize(("group", "mirrors"), [("SO3", False), ("SU2", False), ("O3", True), ("E3", True)])
@pytest.mark.parametrize("beside", ["", "S64 x "])
def test_reflections_ask_nothing_of_handed_shapes(group: str, mirrors: bool, beside: str) -> None:
    built = groups.load(f"{beside}{group}", {}, where="here", places=64)
    elements = built.sample(40, generator=torch.Generator().manual_seed(0))
    kept = [[keeps_class(label, row) for row in built.parameters(elements)] for label in range(len(SOLIDS))]
    share = {label: float(np.mean(row)) for label, row in enumerate(kept)}
    assert all(share[label] == 1 for label in share if label not in HANDED)
    assert all((0.2 < share[label] < 0.8) if mirrors else share[label] == 1 for label in HANDED)


def test_labels_of_hands_move_as_hands_do() -> None:
    data, group = load("shapes", label="hand", samples=8), groups.load("Oh", {}, where="here")
    label, x = data.target_values["label"], data.leaves["positions"].double()
    assert data.classes == ["right-handed helix", "left-handed helix"]
    assert label.bincount().tolist() == [4, 4]
    field, g = data.targets["label"], group.elements()
    assert isinstance(field, Classes)
    for element, moved in zip(g, DeclaredAction(group, field).act(g, label[:, None]), strict=True):
        assert torch.equal(handedness(x @ element.mT) < 0, moved[:, 0] == 1)


# Particles.


def start(samples: int = 60, particles: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    charges = rng.choice([-1.0, 1.0], size=(samples, particles))
    return 0.5 * rng.normal(size=(samples, particles, 3)), 0.3 * rng.normal(size=(samples, particles, 3)), charges


def cut_by_component(positions: np.ndarray, charges: np.ndarray) -> np.ndarray:
    """The usual simulator's rule, which singles out the axes."""
    apart = positions[:, :, None] - positions[:, None]
    distance = np.linalg.norm(apart, axis=-1) + np.eye(positions.shape[1])
    product = charges[:, :, None] * charges[:, None]
    return np.asarray(np.clip((product / distance**3)[..., None] * apart, -10, 10).sum(2))


@pytest.mark.parametrize("improper", [False, True])
@pytest.mark.parametrize(("force", "equivariant"), [(n_body.coulomb, True), (cut_by_component, False)])
def test_what_moves_the_start_moves_the_end(force: Any, equivariant: bool, improper: bool) -> None:
    x, v, charges = start()
    moved, shift = turn() @ (MIRROR if improper else np.eye(3)), np.array([1.0, -2.0, 3.0])
    end, _ = n_body.simulated(x, v, partial(force, charges=charges), time=1)
    other, _ = n_body.simulated(x @ moved.T + shift, v @ moved.T, partial(force, charges=charges), time=1)
    error = np.abs(other - (end @ moved.T + shift)).max()
    assert (error < 1e-9) if equivariant else (error > 0.1)
    assert (np.abs(end - x - v) > 0.5).any(), "forces matter"


def test_two_particles_move_as_another_solver_says() -> None:
    x, v, charges = start(3, 2)
    charges[:] = 1
    x *= 2

    def slope(_: float, state: np.ndarray, each: int) -> np.ndarray:
        place, speed = state.reshape(2, 2, 3)
        apart = place[0] - place[1]
        pull = apart / np.linalg.norm(apart) ** 3
        return np.concatenate([speed, [pull, -pull]]).ravel()

    end, _ = n_body.simulated(x, v, partial(n_body.coulomb, charges=charges), time=1)
    for each in range(3):
        exact = solve_ivp(slope, (0, 1), np.stack([x[each], v[each]]).ravel(), args=(each,), rtol=1e-10, atol=1e-10)
        assert np.allclose(end[each], exact.y[:6, -1].reshape(2, 3), atol=1e-4)


def test_energy_and_momentum_are_kept() -> None:
    """The potential of a force that is constant below a distance r is ``2 / r - d / r^2`` there."""
    x, v, charges = start()
    i, j = np.triu_indices(5, 1)

    def energies(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        d, r = np.linalg.norm(x[:, i] - x[:, j], axis=-1), n_body.STRONGEST**-0.5
        potential = charges[:, i] * charges[:, j] * np.where(d < r, 2 / r - d / r**2, 1 / np.maximum(d, r))
        return np.asarray(np.square(v).sum((1, 2)) / 2 + potential.sum(1))

    end, moving = n_body.simulated(x, v, partial(n_body.coulomb, charges=charges), time=1)
    assert np.abs(moving.sum(1) - v.sum(1)).max() < 1e-12
    drift = np.abs(energies(end, moving) - energies(x, v))
    assert np.median(drift) < 1e-3 < 1 < np.ptp(energies(x, v))
    assert drift.max() < 0.5, "one that passes right through another's middle"


def test_targets_are_of_the_start_that_models_see() -> None:
    places, moves = load("n-body"), load("n-body", target="displacement")
    assert list(places.targets) == ["final_positions"]
    x, v, charges = (places.leaves[name].double().numpy() for name in ("positions", "velocities", "charges"))
    assert np.allclose(np.linalg.norm(v, axis=-1), n_body.SPEED, atol=1e-6)
    assert set(charges.flat) == {-1.0, 1.0}
    end, _ = n_body.simulated(x, v, partial(n_body.coulomb, charges=charges[..., 0]), time=1)
    assert torch.equal(places.target_values["final_positions"], torch.from_numpy(end).float())
    assert torch.equal(moves.target_values["displacement"], torch.from_numpy(end - x).float())


# Clusters.


def test_two_atoms_at_their_best_distance_are_as_deep_as_the_potential() -> None:
    apart = 2 ** (1 / 6) * lennard_jones.SIGMA
    pair = np.array([[[0, 0, 0], [apart, 0, 0]], [[0, 0, 0], [0, lennard_jones.SIGMA, 0]]])
    energy, forces = lennard_jones.energies_and_forces(pair)
    assert energy == pytest.approx([-lennard_jones.EPSILON_EV, 0], abs=1e-15)
    assert np.abs(forces[0]).max() < 1e-15
    assert forces[1, :, 1] == pytest.approx(np.array([-24, 24]) * lennard_jones.EPSILON_EV / lennard_jones.SIGMA)


def test_the_icosahedron_of_thirteen_atoms_has_its_published_energy() -> None:
    """-44.326801 epsilon: Hoare and Pal, 1971."""
    golden = (1 + 5**0.5) / 2
    one = [[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)]
    corners = np.concatenate([np.roll(one, shift, axis=1) for shift in range(3)])
    atoms = np.concatenate([np.zeros((1, 3)), corners])[None]
    found = minimize_scalar(lambda scale: lennard_jones.energies_and_forces(scale * atoms)[0][0], bracket=(1.5, 2, 3))
    assert found.fun / lennard_jones.EPSILON_EV == pytest.approx(-44.326801, abs=1e-6)


def test_forces_are_the_gradient_and_turn_as_atoms_do() -> None:
    data = load("lennard-jones", samples=20)
    x = data.leaves["positions"].double().requires_grad_()
    i, j = torch.triu_indices(13, 13, 1)
    s = lennard_jones.SIGMA / (x[:, i] - x[:, j]).norm(dim=-1)
    energy = (4 * lennard_jones.EPSILON_EV * (s**12 - s**6)).sum(1)
    (slope,) = torch.autograd.grad(energy.sum(), x)
    known, forces = lennard_jones.energies_and_forces(x.detach().numpy())
    assert np.allclose(known, energy.detach(), rtol=1e-12)
    assert np.allclose(forces, -slope, atol=1e-14)
    assert np.abs(forces.sum(1)).max() < 1e-14
    assert torch.equal(data.target_values["energy"][:, 0], torch.from_numpy(known).float())
    assert torch.equal(data.target_values["forces"], torch.from_numpy(forces).float())
    for moved in (turn(), turn() @ MIRROR):
        again, turned = lennard_jones.energies_and_forces(x.detach().numpy() @ moved.T + 1)
        assert np.abs(again - known).max() < 1e-10
        assert np.abs(turned - forces @ moved.T).max() < 1e-10


def test_against_ase() -> None:
    ase = pytest.importorskip("ase", reason="needs the extra molecules")
    potential = pytest.importorskip("ase.calculators.lj").LennardJones
    x = load("lennard-jones", samples=2).leaves["positions"].double().numpy()
    energy, forces = lennard_jones.energies_and_forces(x)
    for each in range(2):
        atoms = ase.Atoms("Ar13", positions=x[each])
        atoms.calc = potential(sigma=lennard_jones.SIGMA, epsilon=lennard_jones.EPSILON_EV, rc=1e4)
        assert atoms.get_potential_energy() == pytest.approx(energy[each], abs=1e-10)
        assert np.allclose(atoms.get_forces(), forces[each], atol=1e-10)


def test_clusters_hold_together_and_are_padded_with_zeros() -> None:
    data = load("lennard-jones", atoms=[2, 9], samples=60)
    sizes = data.sizes["atoms"]
    assert set(sizes) == set(range(2, 10))
    for x, size, force in zip(data.leaves["positions"], sizes, data.target_values["forces"], strict=True):
        distance = torch.cdist(x[:size].double(), x[:size].double()) / lennard_jones.SIGMA
        distance.fill_diagonal_(torch.inf)
        assert distance.min() > lennard_jones.NEAREST - 1e-6
        assert distance.min(1).values.max() < lennard_jones.FARTHEST + 1e-6
        assert x[:size].mean(0).abs().max() < 1e-6
        assert not x[size:].any()
        assert not force[size:].any()
    assert not load("lennard-jones", atoms=5).sizes


# All of them.


@pytest.mark.parametrize("name", NAMES)
def test_splits_and_seeds_differ_and_last(name: str) -> None:
    first, again = load(name), load(name)
    assert first.digest() == again.digest()
    assert len({first.digest(), load(name, split="train").digest(), load(name, seed=1).digest()}) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shapes", {"pose": "z"}, "aligned"),
        ("shapes", {"points": 3}, "4"),
        ("n-body", {"time": 0}, "time"),
        ("lennard-jones", {"atoms": [9, 4]}, "2 to 64 atoms, the smaller number first"),
        ("lennard-jones", {"atoms": "many"}, r"a number of atoms, or the least and the most such as \[4, 13\]"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(name, **options)


def test_models_of_ones_own_run_on_all_of_them(case: Any) -> None:
    """What is exact is so to rounding, what reflections break breaks under them alone, and the oracle has no loss."""
    clouds = case("clouds")
    ran = clouds.run()
    assert ran.code == 0, ran.err
    frame = clouds.frame()
    whole = frame[frame["element"].isna()]
    error = whole[whole["metric"] == "equivariance_error"]
    strata = error["stratum"].fillna("both")
    found = dict(error.groupby(["model", "symmetry", strata])["estimate"].max().items())
    assert {key[:2] for key in found} == {("handedness", "turns"), ("exact", "turns"), ("drift", "motions")}
    assert found["handedness", "turns", "improper"] > 0.5
    assert max(each for key, each in found.items() if key[0] != "handedness" or key[2] == "proper") < 1e-4
    assert 0 <= whole[(whole["metric"] == "loss") & (whole["model"] == "exact")]["estimate"].max() < 1e-12
    excluded = whole[(whole["metric"] == "excluded_pairs") & (whole["model"] == "handedness")]["estimate"]
    assert excluded.max() == 4 * 3, "two of each hand among 16, under 3 of 6 elements"
