"""Structures of files in extended XYZ: what ASE wrote is what is read, and what is wrong is said with its frame."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symbench.base.errors import ConfigError
from symbench.domains.atoms.datasets import extxyz
from symbench.domains.atoms.datasets.structures import Structures

if importlib.util.find_spec("ase") is None:
    pytest.skip("needs the extra molecules", allow_module_level=True)

CRYSTAL = """\
2
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3 energy={energy} pbc="{pbc}"{more}
Cu 0.0 0.0 0.0 1.0 0.0 0.0
Au {x} 2.0 2.0 -1.0 0.0 0.0
"""
MOLECULE = """\
{count}
Properties=species:S:1:pos:R:3{more}
"""


def crystal(energy: str = "1.5", pbc: str = "T T T", more: str = "", x: str = "2.0", lattice: str = "") -> str:
    text = CRYSTAL.format(energy=energy, pbc=pbc, more=more, x=x)
    return text.replace("4 0 0 0 4 0 0 0 4", lattice) if lattice else text


def molecule(*atoms: str, more: str = "") -> str:
    return MOLECULE.format(count=len(atoms), more=more) + "".join(f"{atom}\n" for atom in atoms)


WATER = ("O 0 0 0", "H 0.96 0 0", "H -0.24 0.93 0")


def read(folder: Path, text: str, **options: str) -> Structures:
    (folder / "data.xyz").write_text(text)
    names = {"energy": "energy", "forces": "forces", "stress": "stress", **options}
    return extxyz.load(path="data.xyz", split="test", folder=folder, where="suite.yaml:3", **names)


def test_what_ase_has_written_is_read(tmp_path: Path) -> None:
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.io import write

    atoms = [bulk("Cu", cubic=True), bulk("Al", cubic=True) * (2, 1, 1)]
    for seed, each in enumerate(atoms):
        each.rattle(0.1, seed=seed)
        each.calc = EMT()
        each.get_stress()
    write(tmp_path / "two.xyz", atoms, format="extxyz")
    data = read(tmp_path, (tmp_path / "two.xyz").read_text())
    assert data.sizes == {"atoms": [4, 8]}
    assert data.leaves["periodic"].tolist() == [[1, 1, 1]] * 2
    assert set(data.targets) == {"energy", "forces", "stress"}
    for index, each in enumerate(atoms):
        count = len(each)
        found = {name: values[index].numpy() for name, values in {**data.leaves, **data.target_values}.items()}
        assert found["species"].tolist() == [*each.numbers, *[0] * (8 - count)]
        assert np.abs(found["positions"][:count] - each.positions).max() < 1e-7
        assert np.abs(found["cell"] - each.cell[:]).max() < 1e-7
        assert found["energy"] == pytest.approx(each.get_potential_energy(), abs=1e-7)
        assert np.abs(found["forces"][:count] - each.get_forces()).max() < 1e-7
        assert np.abs(found["stress"] - each.get_stress(voigt=False)).max() < 1e-7


def test_molecules_have_no_cell_and_one_atom_is_one(tmp_path: Path) -> None:
    data = read(tmp_path, molecule(*WATER, more=" energy=-1") + molecule("He 1 2 3", more=" energy=0"))
    assert set(data.leaves) == {"positions", "species"}
    assert data.sizes == {"atoms": [3, 1]}
    assert data.target_values["energy"].flatten().tolist() == [-1, 0]
    assert set(data.targets) == {"energy"}
    assert not data.remarks()


def test_other_names_and_other_forms_of_stress(tmp_path: Path) -> None:
    more = ' REF_energy=7 virial="1 6 5 6 2 4 5 4 3" six="1 2 3 4 5 6"'
    full = read(tmp_path, crystal(more=more), energy="REF_energy", stress="virial")
    six = read(tmp_path, crystal(more=more), stress="six")
    assert float(full.target_values["energy"][0]) == 7
    assert full.target_values["stress"].tolist() == [[[1, 6, 5], [6, 2, 4], [5, 4, 3]]]
    assert torch.equal(full.target_values["stress"], six.target_values["stress"])
    assert set(read(tmp_path, crystal(), forces="none").targets) == {"energy"}


def test_the_contents_of_a_file_are_what_a_dataset_is_known_by(tmp_path: Path) -> None:
    digests = {
        read(tmp_path, text).digest() for text in (crystal(), crystal(x="2.1"), crystal(energy="1.6"), crystal())
    }
    assert len(digests) == 3


def test_what_is_unusual_is_taken_as_it_is_and_remarked_on(tmp_path: Path) -> None:
    left, right = "4 0 0 0 0 4 0 4 0", ""
    data = read(tmp_path, crystal(lattice=right) + crystal(lattice=left) + crystal(x="6.5"))
    assert float(torch.linalg.det(data.leaves["cell"])[1]) < 0
    assert float(data.leaves["positions"][2, 1, 0]) == 6.5
    first, second = data.remarks()
    assert first.startswith("1 of 3 frames (1) with a left-handed cell, which is taken as it is")
    assert second == "1 of 3 frames (2) with atoms outside of the cell, which are left where they are."
    lacking = read(tmp_path, crystal() + crystal().replace("energy=1.5 ", ""))
    assert set(lacking.targets) == {"forces"}
    assert lacking.remarks() == ["energy is no target: 1 of 2 frames (1) without it."]
    wire = read(tmp_path, crystal(pbc="F F T", lattice="0 0 0 0 0 0 0 0 4", x="9"))
    assert wire.leaves["periodic"].tolist() == [[0, 0, 1]]
    assert not wire.remarks()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.xyz holds no structures, expected one or more"),
        (crystal() + molecule(), "data.xyz, frame 1: has no atoms, expected one or more. Take the frame out"),
        (crystal() + crystal(x="nan"), "data.xyz, frame 1: positions of atom 1: NaN or infinite, expected numbers"),
        (crystal().replace("-1.0", "inf"), "data.xyz, frame 0: forces of atom 1: NaN or infinite"),
        (crystal(energy="nan"), "data.xyz, frame 0: energy: NaN or infinite"),
        (crystal(lattice="4 0 0 0 4 0 4 4 0"), r"frame 0: the cell is singular: atoms repeat along .*independent"),
        (crystal(lattice="0 0 0 0 0 0 0 0 0"), r'the cell is singular.*Say pbc="F F F"'),
        (crystal(lattice="nan 0 0 0 4 0 0 0 4"), "frame 0: cell: NaN or infinite"),
        (crystal() + crystal(pbc="F F F"), "frame 1: frame 0 is periodic, and this one is not, expected all or none"),
        (crystal(pbc="F F F") + crystal(), "frame 1: frame 0 is not periodic, and this one is, expected all or none"),
        (molecule("X 0 0 0", *WATER), "frame 0: atom 0 is 'X', expected a chemical element"),
        (molecule(*WATER, more=' energy="much"'), "frame 0: energy is 'much', expected numbers"),
        (molecule(*WATER, more=' energy="1 2"'), r"frame 0: energy has shape \(2,\), expected \(1,\)"),
        (crystal(more=' virial="1 2 3 4 5 6 7 8 9"'), "frame 0: virial is not symmetric, expected a stress"),
        (molecule(*WATER[:2], "H 1 2"), "reading frame 0 of data.xyz raised .*expected extended XYZ"),
        (molecule(*WATER) + "four\n", "reading frame 0 of data.xyz raised .*expected extended XYZ"),
        (molecule(*WATER) + "9\n\nHe 0 0 0\n", "data.xyz raised .*expected extended XYZ"),
        ("\x00\x01\x02", "reading frame 0 of data.xyz raised"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_frame(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text, stress="virial")
    assert str(caught.value).startswith("suite.yaml:3")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_text(crystal())
    load: Callable[..., Any] = extxyz.load
    names = {"energy": "energy", "forces": "forces", "stress": "stress", "folder": tmp_path, "where": "suite.yaml:3"}
    with pytest.raises(ConfigError, match=r"dat.xyz does not exist. Did you mean 'data.xyz'"):
        load(path="dat.xyz", split="test", **names)
    with pytest.raises(ConfigError, match=r"no training split, expected \{split\} in path"):
        load(path="data.xyz", split="train", **names)
