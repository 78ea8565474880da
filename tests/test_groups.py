"""The laws of every registered group, and that each checker catches a broken one."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from symbench.algebra import groups
from symbench.algebra.groups import GROUPS
from symbench.algebra.groups.base import Group, choose
from symbench.algebra.groups.symmetric import Symmetric
from symbench.algebra.groups.views import Against, draw_each
from symbench.base.errors import ConfigError, UnknownName
from symbench.domains.images.groups.dihedral import Dihedral
from symbench.domains.images.groups.rotation import SO2
from symbench.face import testing

EXAMPLES: dict[str, list[str]] = {
    "C<n>": ["C2", "C4", "C7"],
    "D<n>": ["D1", "D2", "D3", "D4", "D5"],
    "SO2": ["SO2"],
    "tilts": ["tilts"],
    "translations": ["translations"],
    "scalings": ["scalings"],
    "R2": ["R2"],
    "SE2": ["SE2"],
    "S<n>": ["S2", "S3", "S5", "S9"],
    "SO3": ["SO3"],
    "O3": ["O3"],
    "SO2z": ["SO2z"],
    "O": ["O"],
    "Oh": ["Oh"],
    "I": ["I"],
    "SE3": ["SE3"],
    "E3": ["E3"],
    "T3": ["T3"],
    "SU2": ["SU2"],
    "signs<k>": ["signs1", "signs4", "signs12"],
    "bases<k>": ["bases1", "bases3"],
    "lattice": ["lattice"],
    "mirrors": ["mirrors"],
}
PRODUCTS = ["C4 x S3", "D4 x scalings", "SO2 x scalings", "S3 x D3", "O x S5", "O3 x S5"]
NAMES = [name for names in EXAMPLES.values() for name in names] + PRODUCTS


def build(name: str) -> Group:
    options: dict[str, dict[str, object]] = {"translations": {"reach": 3}, "tilts": {"reach_deg": 30.0}}
    return groups.load(name, options.get(name, {}))


def test_every_registered_group_is_tested() -> None:
    sized = {name for name, row in GROUPS.rows.items() if row.sized}  # S<n> of the leaf's places: test_fields
    assert set(EXAMPLES) | sized == set(GROUPS.rows)


@pytest.mark.parametrize("name", NAMES)
def test_group_laws(name: str, generator: torch.Generator) -> None:
    testing.check_group(build(name), generator=generator)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if build(n).count and n not in {"translations", "R2", "SE2", "S9"}]
)
def test_finite_groups_are_closed(name: str, generator: torch.Generator) -> None:
    testing.check_closed(build(name), generator=generator)


@pytest.mark.parametrize("name", [n for n in NAMES if build(n).law == "Haar"])
def test_sample_is_haar(name: str, generator: torch.Generator) -> None:
    group = build(name)
    assert group.irreps(group.identity()), "a compact group has irreps to test"
    testing.check_haar(group, generator=generator, count=20_000)


@pytest.mark.parametrize("name", ["translations", "scalings", "tilts", "R2", "SE2"])
def test_non_compact_groups_name_their_law(name: str, generator: torch.Generator) -> None:
    group = build(name)
    assert "uniform" in group.law
    drawn = group.sample(20_000, generator=generator).double().view(20_000, -1)
    assert (drawn.mean(0).abs() <= 4 * drawn.std(0) / math.sqrt(20_000)).all()
    halves = {
        "scalings": [math.log2(1.5)],
        "translations": [3.0, 3.0],
        "R2": [1.0, 1.0],
        "SE2": [30.0, 3.0, 3.0],
        "tilts": [30.0],
    }
    half = torch.tensor(halves[name], dtype=torch.float64)
    assert (drawn.abs() <= half).all()
    wanted = (
        half * 2 / 3 if name == "translations" else half / math.sqrt(3)
    )  # sd of a uniform law; (7^2 - 1) / 12 = 4
    assert torch.allclose(drawn.std(0), wanted, rtol=0.02)


def test_translations_may_go_less_far_back(generator: torch.Generator) -> None:
    group = groups.load("translations", {"reach": 16, "back": 15})
    testing.check_group(group, generator=generator)
    assert group.count == 32 * 32
    sides = [set(column.tolist()) for column in group.elements().T]
    assert sides == [set(range(-15, 17))] * 2
    drawn = group.sample(20_000, generator=generator)
    assert (int(drawn.min()), int(drawn.max())) == (-15, 16)
    counts = torch.bincount(drawn[:, 0] + 15).double() / 20_000
    assert ((counts - 1 / 32).abs() <= 4 * math.sqrt(31) / 32 / math.sqrt(20_000)).all(), "uniform, the ends too"
    assert group.law == "uniform on the shifts from -15 to 16 px along either axis"
    assert groups.load("translations", {"reach": 3, "back": 3}).law == build("translations").law
    assert groups.load("translations", {"reach": 3, "back": 0}).count == 16
    with pytest.raises(ConfigError, match=r"(?s)back.*greater than or equal to 0"):
        groups.load("translations", {"reach": 3, "back": -1})


@pytest.mark.parametrize("count", [5, 8, 23, 24])
def test_design_integrates_what_it_claims(count: int) -> None:
    testing.check_design(SO2(), count)


def test_scalings_design_is_the_trapezoid_rule() -> None:
    values, weights = groups.load("scalings", {"reach": 2.0}).design(8) or (None, None)
    assert values is not None
    assert weights is not None
    order = values.argsort()
    expected = np.trapezoid(np.exp(np.linspace(-1, 1, 9)), dx=0.25) / 2
    assert float((weights * values.exp())[order].sum()) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="an even number"):
        groups.load("scalings", {}).design(7)


def test_tilts_design_is_the_trapezoid_rule() -> None:
    values, weights = groups.load("tilts", {"reach_deg": 60.0}).design(8)  # type: ignore[misc]
    order = values.argsort()
    assert values[order].tolist() == [-60, -45, -30, -15, 0, 15, 30, 45, 60]
    expected = np.trapezoid(np.exp(np.linspace(-1, 1, 9)), dx=0.25) / 2
    assert float((weights * (values / 60).exp()).sum()) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="an even number"):
        groups.load("tilts", {"reach_deg": 60.0}).design(7)
    with pytest.raises(ConfigError, match=r"(?s)reach_deg.*less than 180"):
        groups.load("tilts", {"reach_deg": 180.0})


def test_dihedral_composition_is_that_of_matrices(generator: torch.Generator) -> None:
    group = Dihedral(5)
    a, b = group.sample(40, generator=generator), group.sample(40, generator=generator)
    assert torch.allclose(group.matrices(group.compose(a, b)), group.matrices(a) @ group.matrices(b), atol=1e-12)
    assert torch.allclose(group.matrices(group.inverse(a)), group.matrices(a).mT, atol=1e-12)
    assert not torch.equal(group.compose(a, b), group.compose(b, a)), "a non-abelian pair was drawn"


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0, 30.0, 45.0, 44.9, 134.9, 300.0])
def test_rotation_matrices(angle: float) -> None:
    found = SO2().matrices(torch.tensor([angle], dtype=torch.float64))[0]
    radians = math.radians(angle)
    expected = torch.tensor([[math.cos(radians), -math.sin(radians)], [math.sin(radians), math.cos(radians)]])
    assert torch.allclose(found, expected.double(), atol=1e-7)
    if angle % 90 == 0:
        assert set(found.flatten().tolist()) <= {0.0, 1.0, -1.0}, "quarter turns are exact"


def test_permutations_compose_as_functions(generator: torch.Generator) -> None:
    group = Symmetric(6)
    p, q = group.sample(1, generator=generator), group.sample(1, generator=generator)
    assert group.compose(p, q)[0].tolist() == [p[0].tolist()[q[0].tolist()[i]] for i in range(6)]


def test_elements_count_leaves_the_identity_out(generator: torch.Generator) -> None:
    drawn = choose(build("S9"), 32, generator=generator)
    assert (len(drawn), drawn.how, float(drawn.weights[0])) == (33, "draw", 0.0)
    assert len({tuple(p) for p in drawn.values.tolist()}) == 33
    listed = choose(build("C4"), None, generator=generator)
    assert (len(listed), listed.how, float(listed.weights[0])) == (4, "enumeration", 0.25)
    designed = choose(build("SO2"), 24, generator=generator)
    assert (len(designed), designed.how) == (25, "design")
    assert float(designed.weights.sum()) == pytest.approx(1)
    with pytest.raises(ConfigError, match="at most 3"):
        choose(build("C4"), 4, generator=generator)


def test_draws_depend_on_the_generator_alone() -> None:
    one, two = (choose(build("S9"), 8, generator=torch.Generator().manual_seed(s)).values for s in (1, 1))
    other = choose(build("S9"), 8, generator=torch.Generator().manual_seed(2)).values
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("name", "near"), [("S02", "SO2"), ("translation", "translations"), ("SO4", "SO3")])
def test_unknown_groups_are_refused_with_a_near_miss(name: str, near: str) -> None:
    with pytest.raises(UnknownName, match=f"expected one of .*Did you mean '{near}'"):
        groups.load(name, {})


# Each checker catches a broken group.


class WrongInverse(Dihedral):
    def inverse(self, g: Tensor) -> Tensor:
        return g


class SwappedOrder(Dihedral):
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        turn = g[..., 0] + h[..., 0]  # forgets that a mirror turns rotations round
        return torch.stack([torch.remainder(turn + g[..., 1] * h[..., 0], self.n), g[..., 1] ^ h[..., 1]], dim=-1)


class TwiceListed(Dihedral):
    def elements(self) -> Tensor:
        listed = super().elements()
        return torch.cat([listed[:-1], listed[:1]])


class NotHaar(SO2):
    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        return 350.0 * torch.rand(count, dtype=torch.float64, generator=generator)


class NaNSamples(SO2):
    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        return torch.full((count,), torch.nan, dtype=torch.float64)


class UnevenDesign(SO2):
    def design(self, count: int) -> tuple[Tensor, Tensor]:
        angles, weights = super().design(count)
        return angles + torch.linspace(0, 3, len(angles)), weights


@pytest.mark.parametrize("broken", [WrongInverse(3), SwappedOrder(5), TwiceListed(3), NaNSamples()])
def test_check_group_catches(broken: Group, generator: torch.Generator) -> None:
    with pytest.raises(AssertionError):
        testing.check_group(broken, generator=generator)


def test_check_closed_catches_a_list_with_a_gap(generator: torch.Generator) -> None:
    with pytest.raises(AssertionError, match="no element of the enumeration"):
        testing.check_closed(TwiceListed(3), generator=generator)


@pytest.mark.parametrize("broken", [NotHaar(), NaNSamples()])
def test_check_haar_catches(broken: Group, generator: torch.Generator) -> None:
    with pytest.raises(AssertionError, match="standard errors"):
        testing.check_haar(broken, generator=generator)


def test_check_design_catches_uneven_angles() -> None:
    with pytest.raises(AssertionError, match="weighted mean"):
        testing.check_design(UnevenDesign(), 8)


DRAWS: list[tuple[str, Against]] = [
    *((name, "identity") for name in NAMES),
    ("C7", "drawn"),
    ("translations", "neighbour"),
]


@pytest.mark.parametrize(("name", "against"), DRAWS, ids=lambda value: value)
def test_elements_of_every_sample_are_plain_data(name: str, against: Against) -> None:
    """So that another process, or another machine, measures at the very same ones."""
    elements = draw_each(build(name), 1, seed=5, against=against)
    sent = pickle.loads(pickle.dumps(elements))
    assert torch.equal(sent.at(range(20)), elements.at(range(20)))
    assert torch.equal(sent.weights, elements.weights)
    assert (sent.how, sent.moved_reference) == (elements.how, elements.moved_reference)


def test_elements_of_every_sample_are_as_they_were() -> None:
    """Keys and results of earlier runs rest on these draws."""
    cases: list[tuple[str, Against]] = [("C7", "identity"), *DRAWS[-2:]]
    drawn = {
        against: draw_each(build(name), 1 if against == "neighbour" else 3, seed=5, against=against).at([0, 9])
        for name, against in cases
    }
    assert {against: values.tolist() for against, values in drawn.items()} == {
        "identity": [[0, 0], [1, 4], [3, 2], [0, 6]],
        "drawn": [[1, 4], [3, 2], [0, 6], [1, 1]],
        "neighbour": [[[0, -3], [-3, -1]], [[1, -2], [-2, 0]]],
    }
