"""Crystals whose cell is repeated: against ASE's, and against potentials that see it or do not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from cases.crystals.model import Pairs
from conftest import CaseOf
from torch import Tensor

from symbench.algebra.controls import Subject
from symbench.base.errors import ModelError
from symbench.domains.atoms.fields import ATOMS_MASK, CRYSTAL_LEAVES, CRYSTAL_TARGETS
from symbench.domains.atoms.supercell import doubled, repeated

if importlib.util.find_spec("ase") is None:
    pytest.skip("needs the extra molecules", allow_module_level=True)

Run = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def metals(atoms: tuple[int, int] = (4, 8)) -> dict[str, Tensor]:
    from symbench.domains.atoms.datasets import emt
    from symbench.domains.common.datasets.padding import Padded

    data = emt.load(
        split="test", periodic=True, atoms=atoms, elements=["Cu", "Au"], rattle=0.1, strain=0.03, pose="random",
        samples=6, seed=0,
    )  # fmt: skip
    return (Padded(data) if data.sizes else data).batch(range(6)).leaves


def structures(leaves: Mapping[str, Tensor]) -> list[Any]:
    from ase import Atoms

    real = leaves.get("atoms_mask", leaves["species"] > 0)
    columns = (leaves[name] for name in ("positions", "species", "cell", "periodic"))
    return [
        Atoms(z[m].numpy(), x[m].numpy(), cell=c.numpy(), pbc=p.numpy().astype(bool))
        for x, z, c, p, m in zip(*columns, real, strict=True)
    ]


def by_emt(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    from ase.calculators.emt import EMT

    width, rows = leaves["positions"].shape[1], []
    for atoms in structures(leaves):
        atoms.calc = EMT()
        forces = np.zeros((width, 3))
        forces[: len(atoms)] = atoms.get_forces()
        rows.append((np.array([atoms.get_potential_energy()]), forces, atoms.get_stress(voigt=False)))
    columns = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
    return dict(zip(("energy", "forces", "stress"), columns, strict=True))


def subject(run: Run, leaves: dict[str, Tensor], takes: tuple[str, ...] = tuple(CRYSTAL_LEAVES)) -> Subject:
    shapes = {name: tuple(x.shape[1:]) for name, x in leaves.items()}
    outputs = {name: CRYSTAL_TARGETS[name] for name in run(leaves)}
    return Subject(run, takes, shapes, outputs, 2.0**-52, lambda count: {n: x[:count] for n, x in leaves.items()})


def test_repeated_cells_are_ases() -> None:
    leaves = metals()
    for vector in range(3):
        repeats = [2 if each == vector else 1 for each in range(3)]
        for before, after in zip(structures(leaves), structures(doubled(leaves, vector)), strict=True):
            wanted = before * repeats
            assert np.abs(after.cell[:] - wanted.cell[:]).max() < 1e-12
            assert after.numbers.tolist() == wanted.numbers.tolist()
            assert np.abs(after.positions - wanted.positions).max() < 1e-12


@pytest.mark.parametrize("atoms", [(4, 4), (4, 8)])
def test_emt_makes_the_same_of_them(atoms: tuple[int, int]) -> None:
    takes = (*CRYSTAL_LEAVES, *ATOMS_MASK) if atoms[0] < atoms[1] else tuple(CRYSTAL_LEAVES)
    found = repeated(subject(by_emt, metals(atoms), takes))
    assert set(found) == {"supercell_energy", "supercell_forces", "supercell_stress"}
    assert max(value for value in found.values() if value is not None) < 1e-10


def changed(name: str, change: Callable[[Tensor, dict[str, Tensor]], Tensor]) -> Run:
    def run(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
        found = by_emt(leaves)
        return {**found, name: change(found[name], leaves)}

    return run


BROKEN = {
    "a mean for a sum": changed("energy", lambda x, leaves: x / leaves["atoms_mask"].sum(1, keepdim=True)),
    "an offset": changed("energy", lambda x, _: x + 1),
    "forces of half a crystal": changed("forces", lambda x, _: x * (torch.arange(x.shape[1]) < 5)[:, None]),
    "an extensive stress": changed("stress", lambda x, leaves: x * torch.linalg.det(leaves["cell"])[:, None, None]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_sees_the_size_of_the_cell_is_caught(name: str) -> None:
    found = repeated(subject(BROKEN[name], metals(), (*CRYSTAL_LEAVES, *ATOMS_MASK)))
    off = {fact for fact, value in found.items() if value is not None and value > 1e-3}
    assert len(off) == 1


def test_what_is_no_output_has_no_number_and_other_leaves_are_refused() -> None:
    leaves = metals((4, 4))
    found = repeated(subject(lambda x: {"energy": by_emt(x)["energy"]}, leaves))
    assert found["supercell_forces"] is None
    assert found["supercell_energy"] is not None
    with pytest.raises(ModelError, match="the model takes charges, expected leaves of atoms and their cell"):
        repeated(subject(by_emt, leaves, (*CRYSTAL_LEAVES, "charges")))


def test_vectors_that_nothing_repeats_along_are_left_alone() -> None:
    leaves, calls = metals((4, 4)), []

    def run(some: dict[str, Tensor]) -> dict[str, Tensor]:
        calls.append(len(some["cell"]))
        return {"energy": by_emt(some)["energy"]}

    leaves["periodic"][:, 2] = 0
    leaves["periodic"][0, 1] = 0
    made = subject(run, leaves)
    calls.clear()
    repeated(made)
    assert calls == [6, 6, 5]


@pytest.mark.parametrize("symmetry", ["{group: wrap, on: positions", "{group: SO3, on: positions"])
def test_the_nearest_image_alone_sees_the_size_of_the_cell(case: CaseOf, symmetry: str) -> None:
    net = case("crystals")
    (net.path / "suite.yaml").write_text(
        'version: 1\nname: crystals\ndatasets: {crystals: {use: "data.py:load"}}\n'
        f'models: {{net: {{use: "model.py:build"}}}}\nsymmetries: {{some: {symmetry}, elements: 2}}}}\n'
        "numerics: {dtype: float64}\ncontrols: {full: true}\n"
    )
    ran = net.run()
    assert ran.code == 0, ran.err
    frame = net.frame().set_index("metric")["estimate"]
    from cases.crystals import data

    leaves = data.load().leaves
    direct = repeated(
        subject(lambda x: Pairs("nearest", "cell", "vectors")(**{n: x[n] for n in CRYSTAL_LEAVES}), leaves)
    )
    assert frame["supercell_energy"] == pytest.approx(direct["supercell_energy"], rel=1e-9)
    assert frame["supercell_energy"] > 1e-3
    assert "supercell_stress" not in frame.index
