"""Data of atoms, against ASE called on structures that were moved by others, and against closed forms."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from symbench.base.errors import ConfigError
from symbench.base.registry import checked_options
from symbench.domains.atoms.datasets import emt
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
