"""The groups of space: samples and designs against moments, and samplers that are often met and wrong."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from symbench.algebra import groups
from symbench.algebra.groups.base import Group, PermutesPlaces, choose
from symbench.base.errors import ConfigError
from symbench.domains.points.groups import designs, quaternions
from symbench.domains.points.groups.about_z import AboutZ
from symbench.domains.points.groups.finite import Octahedral
from symbench.domains.points.groups.motions import SE3, T3
from symbench.domains.points.groups.rotations import O3, SO3
from symbench.domains.points.groups.space import SpaceGroup
from symbench.domains.points.groups.spin import SU2, pauli
from symbench.domains.points.harmonics import wigner
from symbench.face import testing


def uniform(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def space(name: str) -> SpaceGroup:
    group = groups.load(name, {})
    assert isinstance(group, SpaceGroup)
    return group


# Samplers that are met in the wild.


class WithoutSignFix(SO3):
    """QR decomposition as it comes out of the library: the signs of R's diagonal are not random."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        q = torch.linalg.qr(normal(count, 3, 3, generator=generator)).Q
        return q * torch.linalg.det(q)[:, None, None]


class UniformAngle(SO3):
    """A random axis, and an angle that is uniform rather than with density (1 - cos a) / pi."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        axis = nn.functional.normalize(normal(count, 3, generator=generator), dim=1)
        return self.exponential(axis * 2 * torch.pi * uniform(count, 1, generator=generator))


class UniformEuler(SO3):
    """Three uniform Euler angles: the middle one should have a uniform cosine."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        angles = (
            uniform(count, 3, generator=generator) * torch.tensor([2 * torch.pi, torch.pi, 2 * torch.pi]).double()
        )
        z, y = torch.eye(3, dtype=torch.float64)[[2, 1]]
        first, second, third = (angles[:, i : i + 1] * axis for i, axis in enumerate((z, y, z)))
        return self.exponential(first) @ self.exponential(second) @ self.exponential(third)


class FixedAxis(SO3):
    """The angles of a uniform rotation, all about z: every character is right."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        angles = torch.deg2rad(self.size(super().sample(count, generator=generator)))
        return self.exponential(angles[:, None] * torch.tensor([0.0, 0.0, 1.0]).double())


class UnitAlgebra(SU2):
    """The exponential of a unit vector of the algebra: all of one trace."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        return self.exponential(nn.functional.normalize(normal(count, 3, generator=generator), dim=1))


class UniformAlgebra(SU2):
    """The exponential of a uniform vector of the algebra."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        return self.exponential((2 * uniform(count, 3, generator=generator) - 1) * 2 * torch.pi)


class HalfOfThem(SU2):
    """Quaternions of rotations with a real part above 0: right for every vector, wrong for spin."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        q = super().sample(count, generator=generator)
        return torch.where(q[:, :1] < 0, -q, q)


class TiltedReflections(O3):
    """Right on average over both halves, and wrong in each: rotations lean one way, reflections the other.

    Their densities are ``1 + chi_2 / 5`` and ``1 - chi_2 / 5`` of Haar's, and so are the halves' shares equal.
    """

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        proper = SO3().sample(4 * count, generator=generator)
        trace = proper.diagonal(dim1=-2, dim2=-1).sum(-1)
        lean = (trace.square() - trace - 1) / 5  # the character of l = 2, at most 5
        inverted = torch.randint(2, (len(proper),), generator=generator) == 1
        kept = 2 * uniform(len(proper), 1, generator=generator)[:, 0] < 1 + torch.where(inverted, -lean, lean)
        return torch.where(inverted[:, None, None], -proper, proper)[kept][:count]


class AlwaysProper(O3):
    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        return SO3().sample(count, generator=generator)


class HalfTurn(AboutZ):
    """An angle between 0 and 180 degrees: whoever draws axes z and -z as well is right, and nobody did."""

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        return self.exponential(torch.pi * uniform(count, 1, generator=generator))


class Closed(AboutZ):
    """A whole circle with both of its ends."""

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        steps = torch.linspace(0, 2 * torch.pi, count + 1, dtype=torch.float64)[:, None]
        return self.exponential(steps), torch.full((count + 1,), 1 / (count + 1), dtype=torch.float64)


WRONG = [
    HalfTurn(), WithoutSignFix(), UniformAngle(), UniformEuler(), FixedAxis(), UnitAlgebra(), UniformAlgebra(), HalfOfThem(),
    TiltedReflections(), AlwaysProper(),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda group: type(group).__name__)
def test_samplers_that_are_not_haar_are_caught(wrong: SpaceGroup, generator: torch.Generator) -> None:
    testing.check_group(wrong, generator=generator)
    with pytest.raises(AssertionError, match="standard errors"):
        testing.check_haar(wrong, generator=generator, count=10_000)


def test_a_character_alone_does_not_show_a_fixed_axis(generator: torch.Generator) -> None:
    for matrices in FixedAxis().irreps(FixedAxis().sample(10_000, generator=generator)).values():
        character = matrices.diagonal(dim1=-2, dim2=-1).sum(-1)
        assert abs(float(character.mean())) < 4 * float(character.std()) / 100


def test_what_is_right_in_the_mean_alone_shows_in_a_stratum(generator: torch.Generator) -> None:
    with pytest.raises(AssertionError, match="O3, (im)?proper: irrep l="):
        testing.check_haar(TiltedReflections(), generator=generator, count=10_000)


@pytest.mark.parametrize("name", ["SO3", "O3"])
def test_moments_of_wigners_matrices(name: str, generator: torch.Generator) -> None:
    group, count = space(name), 10_000
    drawn = group.sample(count, generator=generator)
    pieces = group.strata(drawn) or ["proper"] * count
    for piece in sorted(set(pieces)):
        some = drawn[torch.tensor([each == piece for each in pieces])]
        for degree in range(1, 5):
            d = wigner(degree, some * torch.linalg.det(some)[:, None, None], "standard")
            error = d.std(0) / math.sqrt(len(some))
            assert (d.mean(0).abs() < 4.5 * error).all()
            square = d.diagonal(dim1=-2, dim2=-1).sum(-1).square()
            assert float(square.mean()) == pytest.approx(1, abs=4 * float(square.std()) / math.sqrt(len(some)))


def test_moments_of_the_trace_of_spin(generator: torch.Generator) -> None:
    """The semicircle law of the trace: its even moments are Catalan's numbers."""
    trace = pauli(SU2().sample(20_000, generator=generator)).diagonal(dim1=-2, dim2=-1).sum(-1).real
    for power, wanted in ((1, 0), (2, 1), (3, 0), (4, 2), (6, 5)):
        moment = trace**power
        assert float(moment.mean()) == pytest.approx(wanted, abs=4 * float(moment.std()) / math.sqrt(20_000))


# Designs.


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 7])
def test_a_quadrature_is_exact_to_its_degree_and_no_further(degree: int) -> None:
    rotations, weights = designs.exact_to(degree)
    assert torch.equal(rotations[0], torch.eye(3, dtype=torch.float64))
    assert (weights > 0).all()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-14)
    means = [
        float((weights[:, None, None] * wigner(each, rotations, "standard")).sum(0).abs().max())
        for each in range(1, degree + 2)
    ]
    assert max(means[:-1]) < 1e-14
    assert means[-1] > 1e-3
    assert torch.allclose(rotations.mT @ rotations, torch.eye(3, dtype=torch.float64), atol=1e-14)


@pytest.mark.parametrize(("name", "count"), [("SO3", 83), ("O3", 167)])
def test_a_degree_says_how_many_elements_there_are(name: str, count: int, generator: torch.Generator) -> None:
    group = groups.load(name, {"degree": 5})
    chosen = choose(group, None, generator=generator)
    assert (len(chosen), chosen.how) == (count + 1, "design")
    assert float(chosen.weights.sum()) == pytest.approx(1)
    with pytest.raises(ConfigError, match=f"got 24, expected {count}, or none: a design of degree 5"):
        choose(group, 24, generator=generator, where="here")
    with pytest.raises(ConfigError, match="degree 66"):
        groups.load(name, {"degree": 66})
    with pytest.raises(
        ConfigError, match="here: elements of .* x .* are drawn here, and its options ask for a design"
    ):
        choose(groups.load(f"S5 x {name}", {"degree": 5}), 6, generator=generator, where="here")
    testing.check_design(groups.load(name, {"degree": 4}), groups.load(name, {"degree": 4}).usual)


@pytest.mark.parametrize("count", [1, 2, 24, 47])
def test_a_design_of_reflections_has_half_of_its_weight_there(count: int) -> None:
    values, weights = O3().design(count)
    assert torch.equal(values[0], torch.eye(3, dtype=torch.float64))
    assert len(values) == len(weights) == count + 1
    improper = torch.linalg.det(values) < 0
    assert float(weights[improper].sum()) == pytest.approx(0.5)
    assert abs(int(improper.sum()) * 2 - (count + 1)) <= 1


@pytest.mark.parametrize("name", ["SO3", "SU2"])
def test_spirals_are_spread_better_than_draws(name: str, generator: torch.Generator) -> None:
    """The mean over 256 rotations of a network that knows nothing of them, from its mean over very many."""
    group = space(name)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(9, 32), nn.Tanh(), nn.Linear(32, 16)).double()
    x = normal(12, 3, 3, generator=generator)

    @torch.no_grad()
    def mean(g: Tensor) -> Tensor:
        return net((x[:, None] @ group.linear(g).mT[None]).flatten(2)).mean(1)

    every = mean(group.sample(60_000, generator=generator))
    designed, _ = group.design(255) or pytest.fail("there is a design")
    spiral = (mean(designed) - every).square().mean().sqrt()
    drawn = torch.stack([mean(group.sample(256, generator=generator)) - every for _ in range(5)])
    assert spiral <= drawn.square().mean().sqrt() / 5


@pytest.mark.parametrize("count", [4, 7, 24])
def test_steps_about_z_are_even_and_leave_z(count: int, generator: torch.Generator) -> None:
    group = AboutZ()
    testing.check_design(group, count)
    with pytest.raises(AssertionError, match=r"irrep m=1 has a weighted mean"):
        testing.check_design(Closed(), count)
    up = torch.tensor([0.0, 0.0, 1.0]).double()
    drawn = group.sample(20, generator=generator)
    assert torch.equal(drawn @ up, up.expand(20, 3))
    angles = torch.atan2(drawn[:, 1, 0], drawn[:, 0, 0])
    assert np.allclose(drawn, Rotation.from_rotvec((angles[:, None] * up).numpy()).as_matrix(), atol=1e-14)


def test_spirals_start_at_the_identity_and_are_distinct() -> None:
    for count in (1, 2, 25, 100):
        q = designs.spread(count)
        assert q[0].tolist() == [1, 0, 0, 0]
        assert torch.allclose(q.square().sum(1), torch.ones(count).double())
        near = (q @ q.T).abs() - torch.eye(count, dtype=torch.float64)
        assert float(near.max()) < 0.9999


# Elements.


def test_quaternions_and_exponentials_are_scipys(generator: torch.Generator) -> None:
    turn = 4 * normal(30, 3, generator=generator)
    theirs = Rotation.from_rotvec(turn.numpy())
    assert np.allclose(SO3().exponential(turn).numpy(), theirs.as_matrix(), atol=1e-14)
    p, q = SU2().sample(30, generator=generator), SU2().sample(30, generator=generator)
    of_p, of_q = (Rotation.from_quat(each.numpy(), scalar_first=True) for each in (p, q))
    assert np.allclose(quaternions.matrices(quaternions.product(p, q)), (of_p * of_q).as_matrix(), atol=1e-14)
    assert torch.allclose(pauli(quaternions.product(p, q)), pauli(p) @ pauli(q), atol=1e-14)
    assert np.allclose(SO3().size(SO3().exponential(turn)), np.rad2deg(theirs.magnitude()), atol=1e-9)


@pytest.mark.parametrize("small", [0.0, 1e-9, 1e-4, 1.0, 6.0])
def test_the_exponential_of_a_screw_is_scipys(small: float) -> None:
    from scipy.linalg import expm

    screw = torch.tensor([[0.3, -0.5, 0.7, 1.0, 2.0, -1.0]], dtype=torch.float64)
    screw[:, :3] *= small
    (x, y, z), speed = screw[0, :3].tolist(), screw[0, 3:].tolist()
    algebra = np.array([[0, -z, y, speed[0]], [z, 0, -x, speed[1]], [-y, x, 0, speed[2]], [0, 0, 0, 0]])
    assert np.allclose(SE3(1.0).exponential(screw)[0], expm(algebra)[:3], atol=1e-14)


def test_motions_compose_as_matrices_of_four_rows(generator: torch.Generator) -> None:
    group = SE3(2.0)
    g, h = group.sample(20, generator=generator), group.sample(20, generator=generator)

    def four(g: Tensor) -> Tensor:
        return torch.cat([g, torch.tensor([0.0, 0.0, 0.0, 1.0]).double().expand(len(g), 1, 4)], dim=1)

    assert torch.allclose(four(group.compose(g, h)), four(g) @ four(h), atol=1e-14)
    assert torch.allclose(four(group.inverse(g)), torch.linalg.inv(four(g)), atol=1e-13)


def test_translations_are_uniform_in_a_ball(generator: torch.Generator) -> None:
    for name in ("SE3", "E3", "T3"):
        group = groups.load(name, {"reach": 2.0})
        assert isinstance(group, SE3 | T3)
        assert "ball of radius 2" in group.law
        share = (group.distance(group.sample(20_000, generator=generator)) / 2) ** 3  # uniform on [0, 1]
        assert float(share.max()) <= 1
        assert float(share.mean()) == pytest.approx(0.5, abs=4 / math.sqrt(12 * 20_000))
        far = group.identity()
        far[0, 0, 3] = 2.0
        assert group.size(far).tolist() == [2.0 if name == "T3" else 180.0]
    with pytest.raises(ConfigError, match="reach"):
        groups.load("SE3", {"reach": 0.0})


def test_the_cubes_rotations_are_scipys_and_the_icosahedrons_too() -> None:
    names: list[Literal["O", "I"]] = ["O", "I"]
    for name in names:
        ours = groups.load(name, {}).elements().numpy()
        other = Rotation.create_group(name).as_matrix()
        assert np.allclose(np.sort(np.trace(ours, axis1=1, axis2=2)), np.sort(np.trace(other, axis1=1, axis2=2)))
    cube = groups.load("O", {}).elements()
    assert torch.equal(cube, cube.round()), "whole numbers"
    assert {tuple(each.flatten().tolist()) for each in cube} == {
        tuple((np.round(each) + 0.0).flatten().tolist()) for each in Rotation.create_group("O").as_matrix()
    }


@pytest.mark.parametrize(
    ("small", "large"), [("O", "Oh"), ("O", "SO3"), ("I", "SO3"), ("Oh", "O3"), ("SO3", "O3"), ("SO2z", "SO3")]
)
def test_subgroups_compose_as_the_group_does(small: str, large: str, generator: torch.Generator) -> None:
    one, other = space(small), space(large)
    g, h = one.sample(20, generator=generator), one.sample(20, generator=generator)
    assert torch.equal(one.canonical(one.compose(g, h)), other.canonical(other.compose(g, h)))
    assert one.labels(g) == other.labels(g)


def test_generators_reach_the_whole_cube() -> None:
    for group in (Octahedral(), groups.load("Oh", {})):
        known, waiting = {tuple(group.canonical(group.identity())[0].tolist())}, [group.identity()]
        while waiting:
            g = waiting.pop()
            for each in group.generating().values():
                further = group.compose(each, g)
                key = tuple(group.canonical(further)[0].tolist())
                if key not in known:
                    known.add(key)
                    waiting.append(further)
        assert len(known) == group.count


def test_labels_sizes_and_parameters() -> None:
    group = O3()
    turns = torch.tensor([[0, 0, 0], [0, 0, 90], [0, 180, 0], [-60, 0, 0], [1e-5, 0, 0]]).double().deg2rad()
    proper = group.exponential(turns)
    assert group.labels(proper) == [
        "identity", "90° about (0, 0, 1)", "180° about (0, 1, 0)", "60° about (-1, 0, 0)", "1e-05° about (1, 0, 0)",
    ]  # fmt: skip
    assert group.labels(-proper)[:2] == ["inverted", "inverted, 90° about (0, 0, 1)"]
    assert group.size(proper).tolist() == pytest.approx([0, 90, 180, 60, 1e-5], rel=1e-9)
    assert group.size(-proper).tolist() == pytest.approx([180, 270, 360, 240, 180 + 1e-5], rel=1e-9)
    wanted = {"angle_deg": 90.0, "axis_x": 0.0, "axis_y": 0.0, "axis_z": 1.0, "inverted": 0.0}
    assert group.parameters(proper)[1] == pytest.approx(wanted)
    assert group.strata(torch.cat([proper[:1], -proper[:1]])) == ["proper", "improper"]
    spin = SU2()
    full = spin.exponential(torch.tensor([[0, 0, 360], [0, 0, 270], [0, 0, 0]]).double().deg2rad())
    assert spin.labels(full) == ["full turn", "270° about (0, 0, 1)", "identity"]
    assert spin.size(full).tolist() == pytest.approx([360, 270, 0])
    assert T3(1.0).labels(T3(1.0).identity()) == ["(0, 0, 0)"]


@pytest.mark.parametrize("turn", [3e-8, 1e-3, 1.0, 3.0, math.pi - 1e-7, math.pi])
def test_axes_are_precise_at_small_turns_and_at_half_turns(turn: float, generator: torch.Generator) -> None:
    axis = nn.functional.normalize(normal(50, 3, generator=generator), dim=1)
    rows = SO3().parameters(SO3().exponential(axis * turn))
    found = torch.tensor([[row["axis_x"], row["axis_y"], row["axis_z"]] for row in rows], dtype=torch.float64)
    along = (found * axis).sum(1)
    assert (along.abs() if turn > math.pi - 1e-9 else along).min() > 1 - 1e-12
    assert [row["angle_deg"] for row in rows] == pytest.approx([math.degrees(turn)] * 50, rel=1e-7)


# Products.


def test_a_product_has_the_strata_of_its_factors(generator: torch.Generator) -> None:
    group = groups.load("S5 x O3", {})
    drawn = group.sample(40, generator=generator)
    assert set(group.strata(drawn) or []) == {"proper", "improper"}
    assert groups.load("S5 x SO3", {}).strata(drawn[:, :14]) is None


def test_a_product_moves_the_real_places_alone(generator: torch.Generator) -> None:
    group: Group = groups.load("SO3 x S", {}, places=6)
    assert isinstance(group, PermutesPlaces)
    drawn = group.sample_within(4, 50, generator=generator)
    order = drawn[:, :6] if group.name.startswith("S6") else drawn[:, 9:]
    assert torch.equal(order[:, 4:], torch.tensor([[4.0, 5.0]]).double().expand(50, -1))
    assert len({tuple(row) for row in order.tolist()}) > 10
    assert not isinstance(groups.load("C4 x scalings", {}), PermutesPlaces)
