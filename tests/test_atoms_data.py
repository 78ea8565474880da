"""Data of atoms, against ASE called on structures that were moved by others, and against closed forms."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from symbench.base.errors import ConfigError
from symbench.base.registry import checked_options
from symbench.domains.atoms.datasets import emt, molecules
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Arrays

if importlib.util.find_spec("ase") is None:
    pytest.skip("needs the extra molecules", allow_module_level=True)

MIRROR = np.diag([1.0, 1.0, -1.0])


def load(name: str, **options: Any) -> Arrays:
    row = DATASETS.row(name)
    checked = checked_options(row.options, options, "data")
    found = row.load()(**checked.model_dump())
    assert isinstance(found, Arrays)
    assert {leaf: str(field) for leaf, field in (row.fields_under(checked.model_dump()) or found.fields).items()} == {
        **{leaf: str(field) for leaf, field in found.fields.items()},
        **({"atoms_mask": "Mask over atoms"} if found.sizes else {}),
    }
    return found


def by_ase(data: Arrays, index: int, turn: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """What ASE's EMT says of a sample, turned by ASE's own arrays rather than by any action."""
    from ase import Atoms
    from ase.calculators.emt import EMT

    turn = np.eye(3) if turn is None else turn
    real = data.leaves["species"][index] > 0
    atoms = Atoms(data.leaves["species"][index][real].numpy(), data.leaves["positions"][index][real].numpy() @ turn.T)
    if "cell" in data.leaves:
        atoms.set_cell(data.leaves["cell"][index].numpy() @ turn.T)
        atoms.pbc = data.leaves["periodic"][index].numpy().astype(bool)
    atoms.calc = EMT()
    found = {"energy": np.array([atoms.get_potential_energy()]), "forces": atoms.get_forces()}
    return {**found, "stress": atoms.get_stress(voigt=False)} if "cell" in data.leaves else found


@pytest.mark.parametrize("options", [{"periodic": True}, {"periodic": False, "atoms": [2, 9]}], ids=str)
@pytest.mark.parametrize("improper", [False, True])
def test_metals_have_the_energy_of_ase_however_they_are_turned(options: dict[str, Any], improper: bool) -> None:
    data = load("emt", samples=6, **options)
    turn = Rotation.random(random_state=3).as_matrix() @ (MIRROR if improper else np.eye(3))
    for index in range(6):
        right = {name: values[index].numpy() for name, values in data.target_values.items()}
        moved = by_ase(data, index, turn)
        count = len(moved["forces"])
        assert moved["energy"] == pytest.approx(right["energy"], abs=1e-10)
        assert np.abs(moved["forces"] - right["forces"][:count] @ turn.T).max() < 1e-10
        assert not right["forces"][count:].any()
        if "stress" in moved:
            assert np.abs(moved["stress"] - turn @ right["stress"] @ turn.T).max() < 1e-10
    assert ("stress" in data.targets) is bool(options["periodic"])


def test_a_cell_that_stays_where_it_is_makes_another_crystal() -> None:
    """So that models which are shown a cell that nobody turned are seen to be wrong."""
    data = load("emt", samples=4)
    turn = torch.from_numpy(Rotation.random(random_state=3).as_matrix())
    data.leaves["positions"] = data.leaves["positions"] @ turn.T
    off = [float(abs(by_ase(data, i)["energy"] - data.target_values["energy"][i].numpy())[0]) for i in range(4)]
    assert min(off) > 0.5


def test_forces_and_stress_are_the_derivatives_of_the_energy() -> None:
    data, step = load("emt", samples=2), 1e-5
    for index in range(2):
        right = {name: values[index].numpy() for name, values in data.target_values.items()}
        moving = Arrays(data.leaves, data.target_values, fields=data.fields, target_fields=data.targets)
        start = data.leaves["positions"].clone()
        ends = []
        for sign in (1, -1):
            moving.leaves["positions"] = start.clone()
            moving.leaves["positions"][index, 5, 1] += sign * step
            ends.append(by_ase(moving, index)["energy"][0])
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(right["forces"][5, 1], abs=1e-7)
        moving.leaves["positions"], ends = start, []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[0, 1] += sign * step
            ends.append(by_ase(moving, index, strain)["energy"][0])
        volume = abs(np.linalg.det(data.leaves["cell"][index].numpy()))
        assert (ends[0] - ends[1]) / (2 * step * volume) == pytest.approx(right["stress"][0, 1], abs=1e-8)


def test_crystals_are_as_large_and_as_dense_as_is_asked() -> None:
    data = load("emt", samples=40, atoms=[4, 16], elements="Cu", rattle=0.0, strain=0.0, pose="aligned")
    sizes = np.array(data.sizes["atoms"])
    assert set(sizes) == {4, 8, 12, 16}
    volume = torch.linalg.det(data.leaves["cell"]).numpy()
    assert volume / sizes == pytest.approx(np.full(40, emt.METALS["Cu"][1] ** 3 / 4), rel=1e-6)
    assert torch.equal(data.leaves["species"] == 29, torch.arange(16) < torch.tensor(sizes)[:, None])
    assert data.target_values["forces"].abs().max() < 1e-5, "a crystal at rest"
    assert (data.leaves["periodic"] == 1).all()


def test_edges_are_those_at_which_crystals_are_at_rest() -> None:
    for name in emt.METALS:
        data = load("emt", samples=2, atoms=4, elements=name, rattle=0.0, strain=0.0)
        assert data.target_values["stress"].abs().max() < 0.02, name


def test_metals_are_mixed_rattled_strained_and_drawn_anew() -> None:
    data, other = load("emt", samples=50, atoms=32), load("emt", samples=50, atoms=32, split="train")
    share = torch.stack(
        [(data.leaves["species"] == emt.METALS[name][0]).double().mean() for name in ("Al", "Cu", "Au")]
    )
    assert share.sum() == 1
    assert share.min() > 0.25
    assert not torch.equal(data.leaves["positions"], other.leaves["positions"])
    assert torch.equal(data.leaves["positions"], load("emt", samples=50, atoms=32).leaves["positions"])
    assert torch.equal(data.leaves["positions"], data.leaves["positions"].float().double())
    still = load("emt", samples=50, atoms=32, rattle=0.0)
    assert 0.5 < float(data.target_values["forces"].std()) < 2
    assert float(still.target_values["forces"].std()) < float(data.target_values["forces"].std())


def test_a_number_of_atoms_that_no_crystal_has_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"got atoms \[5, 7\] for crystals of cubes of 4, expected a multiple of 4"):
        load("emt", samples=2, atoms=[5, 7])
    assert load("emt", samples=2, atoms=[5, 7], periodic=False).leaves["positions"].shape[0] == 2
    with pytest.raises(ConfigError, match="got elements"):
        load("emt", elements=["Fe"])


# Molecules.


@pytest.fixture
def rdkit() -> Any:
    if importlib.util.find_spec("rdkit") is None:
        pytest.skip("needs the extra molecules")
    return pytest.importorskip("rdkit.Chem")


def superposed(a: np.ndarray, b: np.ndarray, *, mirrored: bool) -> float:
    """How far atoms are from their partners at best, under rotations, after a mirror where ``mirrored`` (Kabsch)."""
    a, b = a - a.mean(0), b - b.mean(0)
    _, rssd = Rotation.align_vectors(b, a * ([-1, 1, 1] if mirrored else [1, 1, 1]))
    return float(rssd / np.sqrt(len(a)))


@pytest.mark.parametrize("name", list(molecules.CHIRAL))
def test_chiral_molecules_come_with_their_mirror_image(name: str, rdkit: Any) -> None:
    data = load("molecules", collection="chiral", names=[name], samples=4)
    x = data.leaves["positions"]
    for one, other in ((0, 1), (2, 3)):
        assert torch.equal(x[one] * torch.tensor([-1.0, 1.0, 1.0]), x[other])
        assert torch.equal(data.leaves["species"][one], data.leaves["species"][other])
    assert superposed(x[0].numpy(), x[1].numpy(), mirrored=True) < 1e-6
    assert superposed(x[0].numpy(), x[1].numpy(), mirrored=False) > 0.1, "no rotation does it"
    assert superposed(x[0].numpy(), x[2].numpy(), mirrored=False) > 0.01, "rattled anew"
    assert superposed(x[0].numpy(), x[2].numpy(), mirrored=False) < 0.2, "and little"


def test_the_hand_is_that_of_the_formula(rdkit: Any) -> None:
    """RDKit reads the centre's hand from where atoms are, and from the formula alone: the second is the other hand."""
    for name, smiles in molecules.CHIRAL.items():
        by_formula = rdkit.FindMolChiralCenters(rdkit.MolFromSmiles(smiles))
        if not by_formula:
            continue
        data = load("molecules", collection="chiral", names=name, samples=2, rattle=0.01)
        hands = []
        for x in data.leaves["positions"].numpy():
            molecule = rdkit.AddHs(rdkit.MolFromSmiles(smiles))
            conformer = rdkit.Conformer(molecule.GetNumAtoms())
            conformer.SetPositions(x)
            molecule.AddConformer(conformer)
            rdkit.AssignStereochemistryFrom3D(molecule)
            hands.append(dict(rdkit.FindMolChiralCenters(molecule)))
        (centre, hand), *_ = by_formula
        assert hands[0][centre] == hand
        assert hands[1][centre] != hand


def test_molecules_are_those_of_ases_collections() -> None:
    from ase.collections import g2, s22

    data = load("molecules", collection=["g2", "s22"], samples=170, rattle=0.0, pose="aligned")
    wanted = [each for many in (g2, s22) for each in map(many.__getitem__, many.names) if 2 <= len(each) <= 32]
    assert len(wanted) == 170
    assert data.leaves["positions"].shape == (170, 30, 3)
    columns = data.leaves["species"], data.leaves["positions"]
    for each, size, species, x in zip(wanted, data.sizes["atoms"], *columns, strict=True):
        assert species[:size].tolist() == each.numbers.tolist()
        assert not species[size:].any()
        apart = each.get_all_distances()
        assert np.abs(torch.cdist(x[:size], x[:size]).numpy() - apart).max() < 1e-5
    assert not data.targets


def test_energies_of_molecules_are_emts_of_what_it_knows() -> None:
    data = load("molecules", samples=30, target="energy")
    assert set(data.leaves["species"].unique().tolist()) <= {0, *molecules.KNOWN_TO_EMT}
    for index in range(4):
        right = by_ase(data, index)
        assert float(data.target_values["energy"][index]) == pytest.approx(float(right["energy"][0]), abs=1e-12)
    from ase.calculators import emt as theirs
    from ase.data import atomic_numbers

    assert {atomic_numbers[name] for name in theirs.parameters} == molecules.KNOWN_TO_EMT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["CH3CH2OHH"]}, "got the name 'CH3CH2OHH', expected one of .* Did you mean 'CH3CH2OH'"),
        ({"names": ["CCl4"], "target": "energy"}, "no molecule of CCl4 has 2 to 32 atoms of elements that EMT knows"),
        ({"atoms": [40, 50]}, "no molecule of g2 has 40 to 50 atoms"),
        ({"collection": ["qm9"]}, "got collection"),
        ({"collection": []}, "got collection"),
    ],
)
def test_molecules_that_there_are_not(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("molecules", **options)


@pytest.mark.parametrize("name", ["emt", "molecules"])
def test_without_ase_a_sentence_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase", None)
    with pytest.raises(ConfigError, match=r'data: needs the package ase.*pip install "symbench\[molecules\]"'):
        row = DATASETS.row(name)
        row.load()(**checked_options(row.options, {}, "data").model_dump(), where="data")
