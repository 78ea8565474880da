"""Values of space under every family of its groups: laws, independent formulas, and broken twins that are caught."""

from __future__ import annotations

import importlib.util
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CaseOf
from scipy.special import sph_harm_y
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions import ACTIONS
from symbench.algebra.actions.base import Action
from symbench.algebra.fields.space import Convention, Parity
from symbench.algebra.groups.base import Group
from symbench.base.errors import ImpossiblePair
from symbench.base.registry import Options
from symbench.domains.points.actions import linear
from symbench.domains.points.groups.rotations import O3, SO3
from symbench.domains.points.groups.spin import SU2, pauli
from symbench.domains.points.harmonics import harmonics, wigner
from symbench.face import testing
from symbench.fields import (
    Axis,
    Category,
    DirectSum,
    Field,
    Grid,
    Index,
    Point,
    PseudoScalar,
    PseudoVector,
    Scalar,
    Spherical,
    Spinor,
    Value,
    Vector,
    Voigt,
    direct_sum,
)
from symbench.fields import Tensor as CartesianTensor

ATOMS, LATTICE = Axis("atoms"), Axis("lattice")
CONVENTIONS: list[Convention] = ["standard", "condon-shortley", "e3nn"]
PARITIES: list[Parity] = ["e", "o"]
STRAIN = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
ROUNDING = 2e-14


def build(name: str, field: Field, on: Field | None = None, **options: Any) -> tuple[Group, Action]:
    group = groups.load(name, options, places=5)
    return group, actions.load(group, name, field, options, on=on or field, leaf="leaf")


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


VALUES: list[tuple[Value, tuple[int, ...]]] = [
    (Vector(), (3,)),
    (PseudoVector(), (3,)),
    (Point(), (3,)),
    (PseudoScalar(), ()),
    (PseudoScalar(), (2,)),
    (CartesianTensor(2), (3, 3)),
    (CartesianTensor(3), (3, 3, 3)),
    (Voigt(), (6,)),
    (Voigt(("xx", "yy", "zz", "xy", "xz", "yz"), STRAIN), (6,)),
    (Spherical(1, convention="standard"), (3,)),
    (Spherical(2, "o", convention="e3nn"), (5,)),
    (Spherical(3, convention="condon-shortley"), (7,)),
    (direct_sum("2x0e + 0o + 2x1o + 2e", convention="e3nn"), (14,)),
]
ROWS: list[tuple[str, Value, tuple[int, ...]]] = [
    *((name, *each) for name in ("O3", "E3", "SU2") for each in VALUES),
    *((name, *each) for name in ("SO3", "SO2z", "O", "I", "Oh", "SE3", "T3") for each in VALUES[1::4]),
    ("SE3", Point(), (3,)),
    ("T3", Point(), (3,)),
    ("SU2", Spinor(), (2, 2)),
]


@pytest.mark.parametrize(("name", "value", "shape"), ROWS, ids=lambda v: str(v)[:40])
def test_the_law_holds_for_every_value(
    name: str, value: Value, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    group, act = build(name, value.over(ATOMS))
    x = noise(3, 4, *shape)
    assert value.misfit(shape) is None
    assert act.check(tuple(x.shape[1:])) is None
    testing.check_action(act, group, x, generator=generator, tolerance=ROUNDING, count=4)
    drawn = group.sample(6, generator=generator)
    assert set(act.kinds(drawn)) <= {"permutation", "exact"}
    assert act.kinds(group.identity()) == ["permutation"]
    rounded = act.act(drawn, x.float())
    assert torch.equal(rounded, act.act(drawn, x.float().double()).float()), "moved in float64, rounded once"


def test_every_row_of_space_is_tested_here() -> None:
    here = {(actions.family(name), value.kind) for name, value, _ in ROWS}
    rows = [row for row in ACTIONS.rows.values() if row.module.startswith("symbench.domains.points")]
    assert {(row.family, row.kind) for row in rows} == here


SIGNED = [each for each in VALUES if each[0].kind not in {"Spherical", "DirectSum"} or each[1] == (3,)]


@pytest.mark.parametrize("name", ["O", "Oh"])
@pytest.mark.parametrize(("value", "shape"), SIGNED, ids=lambda v: str(v)[:40])
def test_the_cubes_symmetries_only_exchange_and_negate(
    name: str, value: Value, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    group, act = build(name, value.over(ATOMS))
    x = noise(2, 3, *shape).float()
    testing.check_action(act, group, x, generator=generator, count=6)
    assert set(act.kinds(group.elements())) == {"permutation"}
    shears = torch.tensor(getattr(value, "factors", (1.0,))) if isinstance(value, Voigt) else torch.ones(1)
    moved = act.act(group.elements(), x)
    wanted = (x / shears).abs().flatten().sort().values
    assert all(torch.equal((each / shears).abs().flatten().sort().values, wanted) for each in moved)


def test_wigners_matrices_of_higher_degree_mix_numbers_under_the_cube() -> None:
    group, act = build("O", Spherical(2, convention="e3nn"))
    kinds = act.kinds(group.elements())
    assert "exact" in kinds
    assert kinds[0] == "permutation"


# Independent formulas.


def test_tensors_turn_at_every_index(generator: torch.Generator) -> None:
    r = O3().sample(4, generator=generator)
    x = noise(2, 3, 3, 3)
    moved = build("O3", CartesianTensor(3))[1].act(r, x)
    assert torch.allclose(moved, torch.einsum("kai,kbj,kcl,nijl->knabc", r, r, r, x), atol=1e-13)
    stress = x[:, 0] + x[:, 0].mT
    symmetric = build("O3", CartesianTensor(2, symmetric=True))[1].act(r, stress)
    assert torch.equal(symmetric, symmetric.mT)
    assert torch.allclose(symmetric, r[:, None] @ stress @ r.mT[:, None], atol=1e-13)


@pytest.mark.parametrize("order", [("xx", "yy", "zz", "yz", "xz", "xy"), ("xx", "xy", "xz", "yy", "yz", "zz")])
@pytest.mark.parametrize("factors", [(1.0,) * 6, STRAIN, (1.0, 1.0, 1.0, 2**0.5, 2**0.5, 2**0.5)])
def test_voigts_six_numbers_are_those_of_the_matrix(
    order: tuple[str, ...], factors: tuple[float, ...], generator: torch.Generator
) -> None:
    r = O3().sample(4, generator=generator)
    matrix = noise(2, 3, 3)
    matrix = matrix + matrix.mT

    def six(m: Tensor) -> Tensor:
        ends = ["xyz".index(each) for pair in order for each in pair]
        rows = zip(ends[::2], ends[1::2], factors, strict=True)
        return torch.stack([m[..., i, j] * f for i, j, f in rows], dim=-1)

    moved = build("O3", Voigt(order, factors))[1].act(r, six(matrix))
    assert torch.allclose(moved, six(r[:, None] @ matrix @ r.mT[:, None]), atol=1e-13)


def test_reflections_tell_vectors_from_pseudo_vectors_and_scalars_from_pseudo_scalars(
    generator: torch.Generator,
) -> None:
    """A cross product is a pseudo-vector, and a triple product a pseudo-scalar."""
    r = O3().sample(12, generator=generator)
    a, b, c = noise(3, 5, 3)
    turned = [build("O3", Vector())[1].act(r, each) for each in (a, b, c)]
    crossed = torch.linalg.cross(turned[0], turned[1])
    assert torch.allclose(build("O3", PseudoVector())[1].act(r, torch.linalg.cross(a, b)), crossed, atol=1e-13)
    triple = (torch.linalg.cross(a, b) * c).sum(-1, keepdim=True)
    moved = (crossed * turned[2]).sum(-1, keepdim=True)
    assert torch.allclose(build("O3", PseudoScalar())[1].act(r, triple), moved, atol=1e-13)
    assert {float(each) for each in (moved / triple).round().flatten()} == {1.0, -1.0}


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 7])
def test_harmonics_are_scipys(degree: int) -> None:
    x = torch.nn.functional.normalize(noise(40, 3), dim=1)
    theta, phi = np.arccos(x[:, 2].numpy()), np.arctan2(x[:, 1].numpy(), x[:, 0].numpy())
    columns = []
    for m in range(-degree, degree + 1):
        value = sph_harm_y(degree, abs(m), theta, phi) * math.sqrt(4 * math.pi) * (-1) ** m
        columns.append(value.real if m == 0 else math.sqrt(2) * (value.imag if m < 0 else value.real))
    ours = harmonics(degree, x, "standard").numpy()
    assert np.allclose(ours, np.stack(columns, axis=1), atol=1e-12)
    signs = (-1.0) ** np.arange(-degree, degree + 1)
    assert np.allclose(harmonics(degree, x, "condon-shortley").numpy(), ours * signs, atol=1e-13)


def test_harmonics_of_e3nn_are_the_polynomials_of_its_documentation() -> None:
    v = torch.nn.functional.normalize(noise(40, 3), dim=1)
    x, y, z = v.unbind(1)
    assert torch.allclose(harmonics(1, v, "e3nn"), math.sqrt(3) * v, atol=1e-14)
    second = [
        math.sqrt(15) * x * z, math.sqrt(15) * x * y, math.sqrt(5) * (y**2 - (x**2 + z**2) / 2),
        math.sqrt(15) * y * z, math.sqrt(15) / 2 * (z**2 - x**2),
    ]  # fmt: skip
    assert torch.allclose(harmonics(2, v, "e3nn"), torch.stack(second, dim=1), atol=1e-13)


def test_harmonics_and_matrices_are_e3nns() -> None:
    if importlib.util.find_spec("e3nn") is None:
        pytest.skip("needs the extra molecules")
    o3 = pytest.importorskip("e3nn.o3")
    r, x = SO3().sample(4, generator=torch.Generator().manual_seed(0)), noise(9, 3)
    for degree in range(7):
        theirs = o3.spherical_harmonics(degree, x, normalize=True, normalization="component")
        assert torch.allclose(theirs, harmonics(degree, x / x.norm(dim=1, keepdim=True), "e3nn"), atol=1e-12)
        matrices = o3.Irrep(degree, 1).D_from_matrix(r).double()
        assert torch.allclose(matrices, wigner(degree, r, "e3nn"), atol=1e-5)  # theirs by float32 angles


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_harmonics_of_turned_points_are_turned_harmonics(convention: Convention, generator: torch.Generator) -> None:
    """``Y(R x) = D(R) Y(x)``, inverted or not: what fits a convention fits it here."""
    value = direct_sum("1o + 2e + 3o + 6e", convention=convention)
    r, x = O3().sample(6, generator=generator), torch.nn.functional.normalize(noise(8, 3), dim=1)

    def all_of(v: Tensor) -> Tensor:
        return torch.cat([harmonics(degree, v, convention) for _, degree, _ in value.blocks], dim=-1)

    moved = build("O3", value)[1].act(r, all_of(x))
    assert torch.allclose(moved, all_of(x @ r.mT), atol=1e-13)
    other: Convention = "e3nn" if convention == "standard" else "standard"
    wrong = build("O3", direct_sum("1o + 2e + 3o + 6e", convention=other))[1].act(r, all_of(x))
    assert not torch.allclose(wrong, all_of(x @ r.mT), atol=0.1), "the conventions differ"


def test_spinors_and_the_vectors_that_they_make(generator: torch.Generator) -> None:
    """``psi* sigma psi`` is a vector under the rotation, a full turn negates psi, and -1 leaves the vector alone."""
    group, act = build("SU2", Spinor().over(ATOMS))
    g, psi = group.sample(5, generator=generator), noise(2, 3, 2, 2)
    sigma = torch.tensor([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=torch.complex128)

    def vector(x: Tensor) -> Tensor:
        z = torch.view_as_complex(x.contiguous())
        return torch.einsum("...a,iab,...b->...i", z.conj(), sigma, z).real

    moved = act.act(g, psi)
    wanted = torch.einsum("kab,nmb->knma", pauli(g), torch.view_as_complex(psi))
    assert torch.allclose(torch.view_as_complex(moved.contiguous()), wanted, atol=1e-14)
    vectors = build("SU2", Vector().over(ATOMS))[1]
    assert torch.allclose(vector(moved), vectors.act(g, vector(psi)), atol=1e-13)
    assert torch.equal(act.act(-g, psi), -moved)
    assert torch.equal(vectors.act(-g, vector(psi)), vectors.act(g, vector(psi)))
    odd = psi / (1 + psi.abs())  # odd, number by number: right at -1 and wrong everywhere else
    assert torch.equal(act.act(-group.identity(), odd)[0], -odd)
    assert not torch.allclose(act.act(g, odd), moved / (1 + moved.abs()), atol=0.1)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_spinor_times_a_vector_is_a_spinor(wrong: bool, generator: torch.Generator) -> None:
    """``(R x . sigma) U psi = U (x . sigma) psi``, and not where x is turned the other way."""
    group, act = build("SU2", Spinor().over(ATOMS))
    vectors = build("SU2", Vector().over(ATOMS))[1]
    sigma = torch.tensor([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=torch.complex128)

    def times(x: Tensor, psi: Tensor) -> Tensor:
        found = torch.einsum("...i,iab,...b->...a", x.to(sigma), sigma, torch.view_as_complex(psi.contiguous()))
        return torch.view_as_real(found)

    g, x, psi = group.sample(9, generator=generator), noise(2, 3, 3), noise(2, 3, 2, 2, seed=2)
    turned = vectors.act(group.inverse(g) if wrong else g, x)
    error = float((times(turned, act.act(g, psi)) - act.act(g, times(x, psi))).abs().max())
    assert (error > 0.1) if wrong else (error < 2e-14)
    twice = times(x, times(x, psi))
    assert torch.allclose(twice, psi * x.square().sum(-1)[..., None, None], atol=1e-13), "(x . sigma)^2 = |x|^2"


def test_what_is_odd_number_by_number_is_right_at_a_full_turn_alone(generator: torch.Generator) -> None:
    """A network ``h(-psi) = -h(psi)``, without intercepts and with an odd activation, on all numbers of a spinor."""
    group, act = build("SU2", Spinor().over(ATOMS))
    torch.manual_seed(0)
    layers = [torch.nn.Linear(4, 32, bias=False), torch.nn.Tanh(), torch.nn.Linear(32, 4, bias=False)]
    net, psi = torch.nn.Sequential(*layers).double(), noise(40, 1, 2, 2)

    @torch.no_grad()
    def h(x: Tensor) -> Tensor:
        return net(x.flatten(-2)).unflatten(-1, (2, 2))

    assert torch.equal(h(act.act(-group.identity(), psi)), act.act(-group.identity(), h(psi)))
    g = group.sample(9, generator=generator)
    deviation = (h(act.act(g, psi)) - act.act(g, h(psi))).square().mean().sqrt()
    assert deviation / h(psi).square().mean().sqrt() > 0.5


def test_points_are_translated_and_vectors_are_not(generator: torch.Generator) -> None:
    group, act = build("E3", Point().over(ATOMS), reach=3.0)
    g, x = group.sample(5, generator=generator), noise(2, 4, 3)
    assert torch.allclose(act.act(g, x), x @ g[:, None, :, :3].mT + g[:, None, None, :, 3], atol=1e-14)
    vectors = build("E3", Vector().over(ATOMS), reach=3.0)[1]
    bonds = act.act(g, x)[:, :, 1:] - act.act(g, x)[:, :, :1]
    assert torch.allclose(vectors.act(g, x[:, 1:] - x[:, :1]), bonds, atol=1e-13)
    shift, still = build("T3", Point().over(ATOMS))[1], build("T3", Vector().over(ATOMS))[1]
    t = groups.load("T3", {}).sample(3, generator=generator)
    assert torch.equal(still.act(t, x), x.expand(3, *x.shape))
    assert torch.equal(shift.act(t, x), x + t[:, None, None, :, 3])


def test_points_may_turn_about_their_centroid(generator: torch.Generator) -> None:
    group, act = build("O3", Point("centroid").over(ATOMS))
    x = noise(3, 6, 3) + 50
    testing.check_action(act, group, x, generator=generator, tolerance=ROUNDING)
    g = group.sample(4, generator=generator)
    centre = x.mean(1, keepdim=True)
    assert torch.allclose(act.act(g, x), (x - centre) @ g.mT[:, None] + centre, atol=1e-12)
    assert act.kinds(-group.identity()) == ["exact"]
    both = build("SE3", Point("centroid").over(ATOMS))[1]
    assert "two ways that do not make SE3" in (both.check((6, 3)) or "")
    assert build("T3", Point("centroid").over(ATOMS))[1].check((6, 3)) is None


def test_a_cell_turns_with_the_positions(generator: torch.Generator) -> None:
    """Fractional coordinates are what nothing but the numbering changes."""
    group, positions = build("O3", Point().over(ATOMS))
    cell = build("O3", Vector().over(LATTICE), Point().over(ATOMS))[1]
    g, lattice, share = group.sample(5, generator=generator), noise(2, 3, 3), noise(2, 4, 3)
    moved, turned = positions.act(g, share @ lattice), cell.act(g, lattice)
    assert torch.allclose(torch.linalg.solve(turned, moved, left=False), share.expand(5, -1, -1, -1), atol=1e-10)


# The Lie algebra.


@pytest.mark.parametrize("name", ["SO3", "SO2z", "SE3", "SU2", "T3"])
@pytest.mark.parametrize(("value", "shape"), [*VALUES, (Point("centroid"), (3,))], ids=lambda v: str(v)[:30])
def test_derivatives_are_those_of_the_flows(name: str, value: Value, shape: tuple[int, ...]) -> None:
    _, act = build(name, value.over(ATOMS))
    x, step = noise(2, 4, *shape), 1e-5
    found = act.generators()
    axes = {"T3": "", "SO2z": "z"}.get(name, "xyz")
    turns = {f"rotation {each}" for each in axes}
    shifts = {f"translation {each}" for each in "xyz"} if name in {"SE3", "T3"} else set()
    assert set(found) == turns | shifts
    for generator in found.values():
        slope = (generator.flow(x, step) - generator.flow(x, -step)) / (2 * step)
        assert torch.allclose(slope, generator.derivative(x), atol=1e-8)
    if "rotation z" in found and value == Vector():
        assert torch.allclose(
            found["rotation z"].derivative(x), torch.linalg.cross(torch.eye(3).double()[2].expand_as(x), x)
        )


def test_spins_derivative_is_half_of_paulis() -> None:
    _, act = build("SU2", Spinor())
    psi = noise(4, 2, 2)
    wanted = torch.view_as_real(torch.view_as_complex(psi) * torch.tensor([-0.5j, 0.5j], dtype=torch.complex128))
    assert torch.allclose(act.generators()["rotation z"].derivative(psi), wanted, atol=1e-14)


def test_finite_groups_have_no_derivative() -> None:
    assert build("O", Vector())[1].generators() == {}


# Broken twins.


class Rows(linear.Vectors):
    """``x @ R``: rows turned the wrong way."""

    def represented(self, linear: Tensor) -> Tensor:
        return linear.mT


class TransposedWigner(linear.Harmonics):
    def represented(self, linear: Tensor) -> Tensor:
        return super().represented(linear).mT


class TransposedTensor(linear.Tensors):
    """``R^T T R`` for ``R T R^T``."""

    def represented(self, linear: Tensor) -> Tensor:
        return super().represented(linear).mT


class OneSided(linear.Tensors):
    """``R T`` for ``R T R^T``, which obeys every law and moves no tensor."""

    def represented(self, linear: Tensor) -> Tensor:
        whole = torch.eye(3, dtype=linear.dtype).expand_as(linear)
        return torch.einsum("...ik,...jl->...ijkl", linear, whole).flatten(-4, -3).flatten(-2, -1)


class WithoutFactor(linear.VoigtTensors):
    """Shears of a strain as they stand, though they count twice."""

    @staticmethod
    def _entry(r: Tensor, a: Any, b: Any) -> Tensor:
        ((i, j), _), ((k, m), _) = a, b
        return r[..., i, k] * r[..., j, m]


class TransposedSpin(linear.Spinors):
    def matrices(self, g: Tensor) -> Tensor:
        return super().matrices(g).mT


class Clamped(linear.Vectors):
    """Component by component, as simulators bound forces."""

    def applied(self, matrices: Tensor, x: Tensor) -> Tensor:
        return super().applied(matrices, x).clamp(-0.5, 0.5)


class SinglePrecision(linear.Vectors):
    """Turned in the values' own precision."""

    def represented(self, linear: Tensor) -> Tensor:
        return linear.float().double()


BROKEN: list[tuple[Group, type[linear.Linear], Value, tuple[int, ...]]] = [
    (O3(), Rows, Vector(), (3,)),
    (O3(), TransposedWigner, Spherical(2, convention="e3nn"), (5,)),
    (O3(), TransposedTensor, CartesianTensor(2), (3, 3)),
    (O3(), WithoutFactor, Voigt(factors=STRAIN), (6,)),
    (SU2(), TransposedSpin, Spinor(), (2, 2)),
    (O3(), Clamped, Vector(), (3,)),
    (O3(), SinglePrecision, Vector(), (3,)),
]


@pytest.mark.parametrize(("group", "broken", "value", "shape"), BROKEN, ids=lambda v: getattr(v, "__name__", ""))
def test_laws_catch_what_is_moved_wrongly(
    group: Group, broken: Any, value: Value, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    with pytest.raises(AssertionError):
        testing.check_action(
            broken(group, Options(), value), group, noise(2, 3, *shape), generator=generator, tolerance=ROUNDING
        )


def test_a_formula_catches_what_obeys_the_laws(generator: torch.Generator) -> None:
    group, x = O3(), noise(2, 3, 3, 3)
    g = group.sample(4, generator=generator)
    by_formula = torch.einsum("kia,npab,kjb->knpij", g, x, g)
    testing.check_action(
        OneSided(group, Options(), CartesianTensor(2)), group, x, generator=generator, tolerance=ROUNDING
    )
    for action, is_right in ((linear.Tensors, True), (OneSided, False)):
        moved = action(group, Options(), CartesianTensor(2)).act(g, x)
        assert torch.allclose(moved, by_formula, atol=ROUNDING) is is_right


MISTAKEN: list[tuple[str, Value, Value, bool]] = [
    ("a vector for a pseudo-vector", Vector(), PseudoVector(), True),
    ("a scalar for a pseudo-scalar", Scalar(), PseudoScalar(), True),
    ("the other parity", Spherical(1, "e", convention="e3nn"), Spherical(1, convention="e3nn"), True),
    ("another order of Voigt", Voigt(("xx", "yy", "zz", "xy", "xz", "yz")), Voigt(), False),
    ("stress for strain", Voigt(), Voigt(factors=STRAIN), False),
    ("another convention", Spherical(2, convention="standard"), Spherical(2, convention="e3nn"), False),
    ("points for vectors", Point(), Vector(), False),
]


@pytest.mark.parametrize(("said", "value"), [each[1:3] for each in MISTAKEN], ids=[each[0] for each in MISTAKEN])
def test_a_wrong_declaration_moves_values_otherwise(said: Value, value: Value, generator: torch.Generator) -> None:
    """All of these are representations, so that no law tells them apart: formulas do."""
    name = "E3" if isinstance(said, Point) else "O3"
    shape = next((shape for each, shape in VALUES if each.kind == value.kind and len(shape) <= 1), ())
    shape = (5,) if str(value).startswith("Spherical 2") else shape
    group = groups.load(name, {})
    g, x = group.sample(6, generator=generator), noise(2, 4, *shape)
    one, other = (build(name, each.over(ATOMS))[1].act(g, x) for each in (said, value))
    assert float((one - other).abs().max()) > 0.1
    if {each[1:3]: each[3] for each in MISTAKEN}[said, value]:
        proper = torch.tensor([each == "proper" for each in group.strata(g) or []])
        assert torch.equal(one[proper], other[proper]), "rotations alone cannot tell"


# What is declared, and refused.


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: CartesianTensor(0), "1 to 6 indices"),
        (lambda: CartesianTensor(3, symmetric=True), "a symmetric tensor has 2 indices"),
        (lambda: Voigt(("xx", "yy", "zz", "zy", "xz", "xy")), "the order is xx, yy, zz, yz, xz, xy"),
        (lambda: Voigt(factors=(1, 1, 1, 2, 2)), "six factors"),
        (lambda: Voigt(factors=(1, 1, 1, 2, 2, 0)), "above 0"),
        (lambda: Spherical(40, convention="e3nn"), "degree from 0 to 32"),
        (lambda: Spherical(1, "x", convention="e3nn"), "parity 'e' or 'o'"),  # type: ignore[arg-type]
        (lambda: Spherical(1, convention="mine"), "one of standard, condon-shortley, e3nn"),  # type: ignore[arg-type]
        (lambda: direct_sum("1x1", convention="e3nn"), "'1x1' is no term such as 4x1o"),
        (lambda: direct_sum("1o + 99e", convention="e3nn"), "at most 32"),
        (lambda: direct_sum("", convention="standard"), "no term"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(declare: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        declare()


def test_names_of_values_say_all_that_moves_them() -> None:
    """Cells' keys rest on them."""
    values: list[Value] = [
        Point(), Point("centroid"), CartesianTensor(2), CartesianTensor(2, symmetric=True), CartesianTensor(3),
        Voigt(), Voigt(factors=STRAIN), Voigt(("xx", "yy", "zz", "xy", "xz", "yz")), Spinor(), PseudoScalar(),
        *(Spherical(1, convention=c, parity=p) for p in PARITIES for c in CONVENTIONS),
        direct_sum("0e + 1o", convention="e3nn"), direct_sum("1o + 0e", convention="e3nn"),
        direct_sum("0e + 1o", convention="standard"),
    ]  # fmt: skip
    assert len({str(each) for each in values}) == len(values)
    assert str(Point()) == "Point"
    assert direct_sum("0e+2x1o", convention="e3nn") == DirectSum(((1, 0, False), (2, 1, True)), convention="e3nn")


@pytest.mark.parametrize(("value", "shape"), [each for each in VALUES if each[1]], ids=lambda v: str(v)[:30])
def test_other_shapes_are_refused_with_their_numbers(value: Value, shape: tuple[int, ...]) -> None:
    act = build("O3", value.over(ATOMS))[1]
    if isinstance(value, PseudoScalar):
        return
    assert "numbers in its last" in (act.check((4, *shape[:-1], 11)) or "")
    assert value.misfit((*shape[:-1], 11)) is not None


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("SO3", Spinor(), "nothing says what SO3 does to values Spinor"),
        ("SU2", Scalar().over(Grid("volume", 3)), "nothing says what SU2 does to places Grid"),
        ("C4", Spherical(1, convention="e3nn"), "nothing says what C4 does to values Spherical"),
        ("SU2 x SO3", Vector(), "no direct product that acts"),
        ("S5 x SO3", Vector(), "S5 has no action on Vector"),
        ("SE3 x T3", Point(), "no direct product that acts"),
    ],
)
def test_what_nobody_has_said_is_refused(name: str, field: Field, message: str) -> None:
    with pytest.raises(ImpossiblePair, match=message):
        lookup = actions.Lookup.of(name, field)
        lookup.moving("leaf", field)


# Products of groups that move different parts.


def test_permutations_and_rotations_act_beside_each_other(generator: torch.Generator) -> None:
    field = Point().over(ATOMS)
    group, act = build("SO3 x S5", field)
    x = noise(3, 5, 3)
    testing.check_action(act, group, x, generator=generator, tolerance=ROUNDING)
    g = group.sample(4, generator=generator)
    order, turn = group.split(g)  # type: ignore[attr-defined]
    for k, n, atom in itertools.product(range(4), range(3), range(5)):
        assert torch.allclose(act.act(g, x)[k, n, order[k, atom]], turn[k] @ x[n, atom], atol=1e-14)
    species = build("SO3 x S5", Category(3).over(ATOMS), field)[1]
    kinds = torch.arange(15).view(3, 5)
    assert torch.equal(species.act(g, kinds).gather(2, order[:, None].expand(4, 3, 5)), kinds.expand(4, 3, 5))
    edges = build("SO3 x S5", Index("atoms").over(Axis("edges")), field)[1]
    assert set(edges.kinds(g)) == {"permutation"}
    assert set(act.kinds(g)) == {"exact"}
    cell = build("SO3 x S5", Vector().over(LATTICE), field)[1]
    assert torch.allclose(cell.act(g, x[:, :3]), x[:, :3] @ turn.mT[:, None], atol=1e-14)


def test_frames_and_pixels_are_moved_beside_each_other(generator: torch.Generator) -> None:
    field = Scalar().over(Axis("frames"), Grid("image"))
    group, act = build("S4 x C4", field)
    testing.check_action(act, group, noise(2, 4, 1, 6, 6), generator=generator)
    with pytest.raises(ImpossiblePair, match="no direct product that acts on .*: C4 and S9 move its Grid"):
        actions.Lookup.of("S9 x C4", Scalar().over(Grid("image")), "patches").moving(
            "leaf", Scalar().over(Grid("image"))
        )


# Whole suites.


SUITE = """\
version: 1
name: space
datasets: {{clouds: {{use: "data.py:load", args: {data}}}}}
models: {{net: {{use: "model.py:build", args: {{kind: {kind}}}}}}}
symmetries: {{rot: {{group: {group}, on: positions, elements: {elements}{more}}}}}
numerics: {{dtype: float32}}
"""


def suite(
    case: CaseOf, group: str, *, kind: str = "lengths", elements: int = 6, more: str = "", data: str = "{}"
) -> Any:
    net = case("space")
    text = SUITE.format(group=group, kind=kind, elements=elements, more=more, data=data)
    (net.path / "suite.yaml").write_text(text)
    return net


def errors(net: Any, metric: str = "equivariance_error") -> dict[tuple[str, str | None], float]:
    """One number over all elements of each output and stratum."""
    frame = net.frame()
    chosen = frame[(frame["metric"] == metric) & frame["element"].isna()]
    strata = [None if each != each else each for each in chosen["stratum"]]
    return dict(zip(zip(chosen["output"], strata, strict=True), chosen["estimate"], strict=True))


def test_an_exact_model_is_exact_in_either_half(case: CaseOf) -> None:
    net = suite(case, "E3", data="{species: true}", more=", reach: 2.0")
    ran = net.run()
    assert ran.code == 0, ran.err
    found = errors(net)
    assert {stratum for _, stratum in found} >= {"proper", "improper"}
    assert {output for output, _ in found} == {"energy", "forces"}
    assert max(found.values()) < 1e-6
    assert "Lie" not in ran.err


def test_elements_of_a_design_are_not_drawn(case: CaseOf) -> None:
    net = suite(case, "SO3", more=", draw: per-sample, degree: 4")
    ran = net.run()
    assert ran.code == 2
    assert "symmetries.rot.elements: elements of SO3 are drawn here, and its options ask for a design" in ran.err


@pytest.mark.parametrize(("kind", "exact"), [("gradient", True), ("free", False)])
def test_permutations_and_rotations_at_once(case: CaseOf, kind: str, exact: bool) -> None:
    net = suite(case, "S x SO3", kind=kind, data="{species: true}")
    data = net.path / "data.py"
    data.write_text(data.read_text().replace('{"positions": points, "bonds": bonds}', '{"positions": points}'))
    data.write_text(data.read_text().replace(', "bonds": Vector().over(BONDS)}', "}"))
    ran = net.run()
    assert ran.code == 0, ran.err
    found = errors(net)
    assert found
    assert max(found.values()) < 1e-6 if exact else min(found.values()) > 0.5


RAGGED = """\
import torch
from torch import nn
from symbench.fields import Axis, Mask, Point, Scalar, Vector

ATOMS = Axis("atoms")

class Masked(nn.Module):
    inputs = {"positions": Point().over(ATOMS), "atoms_mask": Mask().over(ATOMS)}
    outputs = {"energy": Scalar(), "pulls": Vector().over(ATOMS)}
    def forward(self, positions, atoms_mask):
        real = atoms_mask[..., None].to(positions.dtype)
        centre = (positions * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        pulls = (centre - positions) * real
        return {"energy": pulls.square().sum((1, 2))[:, None], "pulls": pulls}

def build(kind=""):
    return Masked()
"""


def test_clouds_of_different_sizes_are_moved_as_those_of_one_are(case: CaseOf) -> None:
    """By motions, which move padding as well, and by new numbers for real atoms beside rotations."""
    net = far(case, "SE3", "{ragged: true}")
    text = (net.path / "data.py").read_text().replace('Point("centroid")', "Point()")
    (net.path / "data.py").write_text(
        text.replace("spread = ", "points[torch.arange(24) % 3 == 0, 3:] = 0; spread = ")
    )
    (net.path / "model.py").write_text(RAGGED)
    suite_file = net.path / "suite.yaml"
    suite_file.write_text(
        suite_file.read_text().replace(
            "}\nnumerics", ", both: {group: S x SO3, on: positions, elements: 2}}\nnumerics"
        )
    )
    ran = net.run()
    assert ran.code == 0, ran.err
    frame = net.frame()
    chosen = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()]
    worst = chosen.groupby("symmetry")["estimate"].max()
    assert set(worst.index) == {"rot", "both"}
    assert (worst < 1e-5).all()


CENTRED = """\
import torch
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Axis, Point, Scalar

ATOMS = Axis("atoms")

def load(split="test", ragged=False, both=False, target=False):
    points = torch.randn(24, 5, 3, generator=torch.Generator().manual_seed(0)) + 20
    leaves, fields = {"positions": points}, {"positions": Point("centroid").over(ATOMS)}
    if both:
        leaves["probes"], fields["probes"] = points.clone(), Point().over(Axis("probes"))
    spread = (points - points.mean(1, keepdim=True)).square().sum((1, 2))[:, None]
    return Arrays(
        leaves, {"there": points} if target else {"energy": spread}, fields=fields,
        target_fields={"there": Point().over(ATOMS)} if target else {"energy": Scalar()},
        sizes={"atoms": [3 + i % 3 for i in range(24)]} if ragged else {},
    )
"""
FAR = """\
import torch
from torch import nn
from symbench.fields import Axis, Point, Scalar

class Far(nn.Module):
    inputs = {"positions": Point("centroid").over(Axis("atoms"))}
    outputs = {"energy": Scalar()}
    def forward(self, positions):
        return positions.mean(1).square().sum(1, keepdim=True)

def build(kind=""):
    return Far()
"""


def far(case: CaseOf, group: str, data: str) -> Any:
    net = suite(case, group, data=data)
    (net.path / "data.py").write_text(CENTRED)
    (net.path / "model.py").write_text(FAR)
    return net


def test_where_a_cloud_is_does_not_count_under_turns_about_its_centroid(case: CaseOf) -> None:
    """A model of where the centroid is breaks under translations alone."""
    net = far(case, "SO3", "{}")
    assert net.run().code == 0
    assert max(errors(net).values()) < 1e-5, "rounding of coordinates that are far out"
    (net.path / "suite.yaml").write_text(SUITE.format(group="T3", kind="x", elements=4, more="", data="{}"))
    ran = net.run()
    assert ran.code == 0, ran.err
    assert max(errors(net).values()) > 0.1


@pytest.mark.parametrize(
    ("group", "data", "message"),
    [
        ("SO3", "{ragged: true}", "'positions' turns about its centroid, and atoms differ in number"),
        ("SO3", "{both: true}", "would turn about different points"),
        ("SO3", "{target: true}", "would have to turn about the centroid of an input"),
        ("SE3", "{}", "in two ways that do not make SE3"),
    ],
)
def test_turns_about_a_centroid_are_refused_where_they_make_no_sense(
    case: CaseOf, group: str, data: str, message: str
) -> None:
    ran = far(case, group, data).run()
    assert ran.code in {2, 3}
    assert message in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_test_of_a_formula_needs_no_tolerance() -> None:
    x, field = noise(6, 5, 3), Point().over(ATOMS)
    testing.assert_equivariant(
        lambda x: x - x.mean(1, keepdim=True), "S5 x O3", x, Vector().over(ATOMS), fields=field
    )
    with pytest.raises(AssertionError, match=r"fails at 12 of 24 elements: \S* ?inverted"):
        crossed = Vector().over(ATOMS)
        testing.assert_equivariant(lambda x: torch.linalg.cross(x, x.roll(1, 1)), "O3", x, crossed, fields=field)
