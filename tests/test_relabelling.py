"""Other descriptions of the same atoms: laws, ASE's energies of what comes out, whole suites, and broken twins."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CaseOf
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action, Move, ready
from symbench.algebra.groups.base import Group
from symbench.base.errors import ConfigError, DataError, ImpossiblePair
from symbench.base.registry import Options, checked_options
from symbench.domains.atoms.actions.relabel import MixVectors, WrapPoints
from symbench.domains.atoms.fields import ATOMS, CRYSTAL_LEAVES, CRYSTAL_TARGETS
from symbench.domains.atoms.groups.lattice import Bases, determinant
from symbench.domains.atoms.groups.wrap import Wrap
from symbench.face import testing
from symbench.fields import Axis, Field, Point, PseudoVector, Scalar, Vector

N_ATOMS = 4
LEAVES = {
    "positions": torch.randn(3, N_ATOMS, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
    "species": torch.full((3, N_ATOMS), 29),
    "cell": 4 * torch.eye(3).double() + torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(2)).double() / 2,
    "periodic": torch.ones(3, 3, dtype=torch.int64),
}


def built(name: str, on: str, **options: Any) -> tuple[Group, dict[str, Action]]:
    """A group, and the actions on all leaves."""
    group = groups.load(name, options, places=N_ATOMS)
    found = {
        leaf: actions.load(group, name, field, options, on=CRYSTAL_LEAVES[on], leaf=leaf)
        for leaf, field in CRYSTAL_LEAVES.items()
    }
    return group, found


def shown(found: dict[str, Action], g: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leaves under one element, as models see them."""
    return {name: found[name].finish(found[name].act(g, x)[0]) for name, x in ready(found, leaves).items()}


CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("wrap", "positions", {}),
    ("wrap", "positions", {"reach": 5}),
    ("lattice", "cell", {}),
    ("lattice", "cell", {"hand": "kept", "steps": 5}),
    ("lattice", "cell", {"along": "ac"}),
]


@pytest.mark.parametrize(("name", "on", "options"), CASES, ids=str)
def test_groups_and_actions_obey_their_laws(
    name: str, on: str, options: dict[str, Any], generator: torch.Generator
) -> None:
    group, found = built(name, on, **options)
    testing.check_group(group, generator=generator)
    carried = ready(found, LEAVES)
    testing.check_action(found[on], group, carried[on], generator=generator, tolerance=1e-14)
    moved = shown(found, group.sample(1, generator=generator), LEAVES)
    assert {leaf for leaf in LEAVES if not torch.equal(moved[leaf], LEAVES[leaf])} == {on}
    assert all(moved[leaf].shape == LEAVES[leaf].shape for leaf in LEAVES)
    still = shown(found, group.identity(), LEAVES)
    assert all(torch.equal(still[leaf], LEAVES[leaf]) for leaf in LEAVES)


def test_atoms_are_moved_by_vectors_that_they_repeat_along(generator: torch.Generator) -> None:
    group, found = built("wrap", "positions", reach=2)
    g = group.sample(5, generator=generator)
    slab = {**LEAVES, "periodic": torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 0]])}
    moved = found["positions"].finish(found["positions"].act(g, ready(found, slab)["positions"]).flatten(0, 1))
    wanted = slab["positions"] + torch.einsum("kai,ni,nij->knaj", g.double(), slab["periodic"].double(), slab["cell"])
    assert torch.allclose(moved.unflatten(0, (5, 3)), wanted, atol=1e-13)
    assert torch.equal(moved.unflatten(0, (5, 3))[:, 2], slab["positions"][2].expand(5, -1, -1))


def test_other_bases_generate_the_same_lattice(generator: torch.Generator) -> None:
    group, found = built("lattice", "cell", steps=6)
    g = group.sample(200, generator=generator)
    assert set(determinant(g).tolist()) == {1, -1}
    assert torch.equal(determinant(g), torch.linalg.det(g.double()).round().long())
    cells = found["cell"].act(g, LEAVES["cell"])
    there = torch.linalg.solve(LEAVES["cell"].mT[None], cells.mT)  # the new vectors in terms of the old ones
    assert torch.allclose(there, there.round(), atol=1e-9)
    volumes = torch.linalg.det(cells) / torch.linalg.det(LEAVES["cell"])
    assert torch.allclose(volumes.abs(), torch.ones((), dtype=torch.float64), atol=1e-9)
    strata = group.strata(g) or []
    assert [each == "same hand" for each in strata] == (volumes[:, 0] > 0).tolist()
    kept = groups.load("lattice", {"hand": "kept"})
    assert set(determinant(kept.sample(50, generator=generator)).tolist()) == {1}
    assert kept.strata(g) is None
    flat = groups.load("lattice", {"along": "ab"}).sample(50, generator=generator)
    assert torch.equal(flat[:, 2], torch.tensor([0, 0, 1]).expand(50, 3))
    assert torch.equal(flat[:, :2, 2], torch.zeros(50, 2, dtype=torch.int64))
    assert group.labels(torch.tensor([[[1, 1, 0], [0, -1, 0], [0, -2, 1]]])) == ["a+b, -b, -2b+c"]


def test_targets_stay_as_they_are() -> None:
    for name, on in (("wrap", "positions"), ("lattice", "cell")):
        group = groups.load(name, {}, places=N_ATOMS)
        others: dict[str, Field] = {**CRYSTAL_TARGETS, "moments": PseudoVector().over(ATOMS), "axes": Vector()}
        for target, field in others.items():
            action = actions.load(group, name, field, {}, on=CRYSTAL_LEAVES[on], leaf=target)
            assert type(action).__name__ == "TrivialAction", target


@pytest.fixture
def metals() -> dict[str, Tensor]:
    if importlib.util.find_spec("ase") is None:
        pytest.skip("needs the extra molecules")
    from symbench.domains.atoms.datasets import emt

    data = emt.load(
        split="test", periodic=True, atoms=(4, 4), elements=["Cu", "Au"], rattle=0.1, strain=0.03, pose="random",
        samples=3, seed=0,
    )  # fmt: skip
    return {**data.leaves, **data.target_values}


def by_ase(leaves: dict[str, Tensor], index: int) -> dict[str, np.ndarray]:
    from ase import Atoms
    from ase.calculators.emt import EMT

    species, positions, cell, periodic = (
        leaves[name][index].numpy() for name in ("species", "positions", "cell", "periodic")
    )
    atoms = Atoms(species, positions, cell=cell, pbc=periodic.astype(bool))
    atoms.calc = EMT()
    return {
        "energy": np.array([atoms.get_potential_energy()]),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(voigt=False),
    }


class WrongUnits(WrapPoints):
    """Takes numbers of vectors for lengths."""

    def carried(self, x: Tensor, beside: Any) -> Tensor:
        return torch.cat([x, torch.eye(3).to(x).expand(len(x), 3, 3)], dim=1)


class ByColumns(MixVectors):
    """Mixes components of vectors rather than vectors."""

    def bind(self, g: Tensor, like: Tensor) -> Move:
        return lambda x: x[None] @ g[:, None].to(x).mT


@pytest.mark.parametrize(("name", "on"), [("wrap", "positions"), ("lattice", "cell")])
def test_energies_forces_and_stress_are_those_of_before_by_ase(
    name: str, on: str, metals: dict[str, Tensor], generator: torch.Generator
) -> None:
    group, found = built(name, on)
    for g in group.sample(4, generator=generator).split(1):
        moved = shown(found, g, {leaf: metals[leaf] for leaf in CRYSTAL_LEAVES})
        assert not torch.equal(moved[on], metals[on])
        for index in range(3):
            for target, value in by_ase(moved, index).items():
                assert np.abs(value - metals[target][index].numpy()).max() < 1e-10, target


@pytest.mark.parametrize(
    ("broken", "name", "on"), [(WrongUnits, "wrap", "positions"), (ByColumns, "lattice", "cell")]
)
def test_ase_tells_what_is_no_other_description(
    broken: Any, name: str, on: str, metals: dict[str, Tensor], generator: torch.Generator
) -> None:
    group, found = built(name, on)
    found[on].parts = ((found[on].parts[0][0], broken(group, Options())),)  # type: ignore[attr-defined]
    moved = shown(found, group.sample(1, generator=generator), {leaf: metals[leaf] for leaf in CRYSTAL_LEAVES})
    off = [abs(by_ase(moved, index)["energy"] - metals["energy"][index].numpy())[0] for index in range(3)]
    assert max(off) > 0.1


class Doubled(Wrap):
    """Composes wrongly: the law is broken."""

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return g + 2 * h


class Transposed(Bases):
    """A right action's order."""

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return super().compose(h, g)


def test_laws_catch_what_is_composed_wrongly(generator: torch.Generator) -> None:
    with pytest.raises(AssertionError):
        testing.check_group(Doubled(3), generator=generator)
    group, wrong = Transposed(), Bases()
    with pytest.raises(AssertionError, match="g\\(hx\\) differs"):
        testing.check_action(MixVectors(wrong, None), group, LEAVES["cell"], generator=generator, tolerance=1e-9)


def test_vectors_that_nothing_repeats_along_are_not_mixed() -> None:
    _, found = built("lattice", "cell")
    slab = {**LEAVES, "periodic": torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 0]])}
    with pytest.raises(DataError, match=r"do not repeat along c, which lattice mixes.*Say along: with these alone"):
        ready(found, slab)
    ready(built("lattice", "cell", along="ab")[1], slab)


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("wrap", Scalar().over(ATOMS), "wrap has no action on Scalar over atoms"),
        ("lattice", Point().over(ATOMS), "lattice has no action on Point over atoms"),
        ("wrap x SO3", Point().over(ATOMS), "no direct product that acts"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, field: Field, message: str) -> None:
    with pytest.raises(ImpossiblePair, match=message):
        actions.Lookup.of(name, field).moving("leaf", field)


def test_more_elements_than_a_law_draws_are_refused(generator: torch.Generator) -> None:
    from symbench.algebra.groups.base import choose

    group = groups.load("lattice", {"along": "ab", "steps": 1, "hand": "kept"})
    with pytest.raises(ConfigError, match=r"here: got 30, expected at most \d\d: no others are drawn of lattice"):
        choose(group, 30, generator=generator, where="here")


# Turns about the middle of a cell.

ABOUT: dict[str, Field] = {**CRYSTAL_LEAVES, "positions": Point("cell").over(ATOMS)}


@pytest.mark.parametrize("name", ["SO3", "O3", "SE3", "E3"])
def test_points_may_turn_about_the_middle_of_their_cell(name: str, generator: torch.Generator) -> None:
    group = groups.load(name, {})
    found = {leaf: actions.load(group, name, field, {}, on=ABOUT["positions"]) for leaf, field in ABOUT.items()}
    carried = ready(found, LEAVES)
    testing.check_action(found["positions"], group, carried["positions"], generator=generator, tolerance=2e-14)
    g = group.sample(1, generator=generator)
    moved = shown(found, g, LEAVES)
    middle = LEAVES["cell"].sum(1, keepdim=True) / 2
    linear, shift = (g[0, :, :3], g[0, :, 3]) if g.shape[-1] == 4 else (g[0], torch.zeros(3))
    wanted = (LEAVES["positions"] - middle) @ linear.mT + middle + shift
    assert torch.allclose(moved["positions"], wanted, atol=1e-13)
    assert torch.allclose(moved["cell"], LEAVES["cell"] @ linear.mT, atol=1e-13)
    assert torch.equal(shown(found, group.identity(), LEAVES)["positions"], LEAVES["positions"])
    assert str(ABOUT["positions"]) == "Point about the cell over atoms"


@pytest.mark.parametrize("name", ["SO3", "SE3"])
def test_slopes_of_turns_about_a_cell_are_those_of_small_turns(name: str) -> None:
    group = groups.load(name, {})
    action = actions.load(group, name, ABOUT["positions"], {}, on=ABOUT["positions"])
    x = ready({"positions": action, "cell": actions.load(group, name, Vector(), {}, on=Vector())}, {
        "positions": LEAVES["positions"], "cell": LEAVES["cell"]})["positions"]  # fmt: skip
    assert len(action.generators()) == (3 if name == "SO3" else 6)
    for generator in action.generators().values():
        central = (generator.flow(x, 1e-5) - generator.flow(x, -1e-5)) / 2e-5
        assert torch.allclose(generator.derivative(x), central, atol=1e-8)


def test_what_is_moved_by_another_leaf_is_moved_by_itself() -> None:
    group = groups.load("S x O3", {}, places=N_ATOMS)
    action = actions.load(group, "S x O3", ABOUT["positions"], {}, on=ABOUT["positions"])
    assert "is moved by cell, which is done along one axis, and by itself" in (action.check((N_ATOMS, 3)) or "")
    pairs = Point("cell").over(Axis("atoms"), Axis("images"))
    action = actions.load(groups.load("O3", {}), "O3", pairs, {}, on=pairs)
    assert "along one axis" in (action.check((N_ATOMS, 2, 3)) or "")


# Whole suites.

SUITE = """\
version: 1
name: crystals
datasets: {{crystals: {{use: "data.py:load", args: {data}}}}}
models: {{net: {{use: "model.py:build", args: {model}}}}}
symmetries: {{symmetry: {symmetry}}}
numerics: {{dtype: float64}}
"""


def run(case: CaseOf, symmetry: str, *, model: str = "{}", data: str = "{}") -> tuple[Any, dict[str, float]]:
    """What the run said, and the largest E over strata of every output."""
    net = case("crystals")
    (net.path / "suite.yaml").write_text(SUITE.format(symmetry=symmetry, model=model, data=data))
    ran = net.run()
    if ran.code != 0:
        return ran, {}
    frame = net.frame()
    chosen = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()]
    return ran, {str(output): float(most) for output, most in chosen.groupby("output")["estimate"].max().items()}


WRAP, LATTICE_ = "{group: wrap, on: positions, elements: 4}", "{group: lattice, on: cell, elements: 4, steps: 1}"
TURN = "{group: O3, on: positions, elements: 4}"


@pytest.mark.parametrize(
    ("kind", "symmetry", "exact"),
    [
        ("nearest", WRAP, True),
        ("nearest", LATTICE_, False),
        ("none", WRAP, False),
        ("none", LATTICE_, True),
        ("nearest", TURN, True),
    ],
)
def test_pair_potentials_respect_what_their_images_allow(case: CaseOf, kind: str, symmetry: str, exact: bool) -> None:
    """The nearest image by rounding depends on the basis; without images an atom that left the cell is elsewhere."""
    ran, found = run(case, symmetry, model=f"{{kind: {kind}}}")
    assert ran.code == 0, ran.err
    assert set(found) == {"energy", "forces"}
    assert max(found.values()) < 1e-10 if exact else min(found.values()) > 0.01


def test_a_cell_that_is_no_vector_is_refused(case: CaseOf) -> None:
    ran, _ = run(case, TURN, data="{declared: numbers}", model="{declared: numbers}")
    assert ran.code in {2, 3}
    words = " ".join(ran.err.split())
    assert "O3 would leave 'cell' (Scalar over lattice) where it is, and turn positions" in words
    assert "Vector" in words
    assert "Traceback" not in ran.err


def test_a_cell_that_nobody_turns_is_seen_to_be_wrong(case: CaseOf) -> None:
    """Under a name that nobody knows, it stays where it is: E is large, and the report says what is broken."""
    ran, found = run(case, TURN, model="{cell: box, declared: numbers}", data="{cell: box, declared: numbers}")
    assert ran.code == 0, ran.err
    assert min(found.values()) > 0.1
    assert "net: broken" in ran.out


def test_where_a_crystal_is_does_not_matter_to_turns_about_its_cell(case: CaseOf) -> None:
    ran, found = run(case, TURN, data="{about: cell}")
    assert ran.code == 0, ran.err
    assert max(found.values()) < 1e-10


def test_no_cell_no_wrapping(case: CaseOf) -> None:
    ran, _ = run(case, WRAP, data="{cell: box}", model="{cell: box}")
    assert ran.code in {2, 3}
    assert "wrap cannot act on 'positions': it takes a leaf 'cell' beside it" in " ".join(ran.err.split())


# Translations by several lengths.


def test_each_length_is_seen_once(case: CaseOf) -> None:
    """The longest was left out where there were fewer elements than lengths, and nobody heard of it."""
    ran, _ = run(case, "{group: T3, on: positions, elements: 2, reach: [1, 40, 1000]}")
    assert ran.code == 2
    assert "elements: got 2, expected 3 or more. Each piece that is printed apart has to be seen once." in ran.err


def test_a_reach_that_is_none_is_said_under_its_own_key(case: CaseOf) -> None:
    ran, _ = run(case, "{group: T3, on: positions, reach: -1}")
    assert ran.code == 2
    assert "reach: got -1, expected a number above 0" in ran.err
    assert not any(word in ran.err for word in ("constrained", "tuple[", "Input should"))


def test_translations_by_several_lengths_are_as_many_of_each(generator: torch.Generator) -> None:
    row = groups.GROUPS.row("T3")
    options = checked_options(row.options, {"reach": [40.0, 1.0, 1000.0]}, "here").model_dump()
    group = row.load()(**options)
    g = group.sample(12, generator=generator)
    assert sorted(group.distance(g).round(decimals=9).tolist()) == [1.0] * 4 + [40.0] * 4 + [1000.0] * 4
    assert group.strata(g) == ["by 1", "by 40", "by 1000"] * 4
    assert "by 1, 40, 1000 in turn" in group.law
    testing.check_group(group, generator=generator)
    usual = groups.load("T3", {})
    assert usual.strata(usual.sample(3, generator=generator)) is None
    for wrong in ([1.0], [1.0, -1.0], 0.0):
        with pytest.raises(ConfigError, match="reach"):
            checked_options(row.options, {"reach": wrong}, "here")


def test_errors_by_translations_are_printed_apart_by_their_length(case: CaseOf) -> None:
    net = case("crystals")
    symmetry = "{group: T3, on: positions, elements: 6, reach: [1.0, 40.0, 1000.0]}"
    (net.path / "suite.yaml").write_text(SUITE.format(symmetry=symmetry, model="{}", data="{}"))
    ran = net.run()
    assert ran.code == 0, ran.err
    frame = net.frame()
    chosen = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna() & frame["stratum"].notna()]
    assert set(chosen["stratum"]) == {"by 1", "by 40", "by 1000"}
    assert chosen["estimate"].max() < 1e-9
