"""Structures of a file in extended XYZ, with the energies, forces and stresses that it holds of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symbench.algebra.statistics import Array
from symbench.base.code import foreign, require
from symbench.base.errors import ConfigError, Problem, one_of, quoted
from symbench.domains.atoms.datasets.structures import Structure, Structures, dataset
from symbench.domains.common.datasets.paths import checked_path

SINGULAR = 1e-6
"""Of the shortest extent of the vectors that atoms repeat along, beside the longest: below it they lie in a plane."""
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Which of ASE's six numbers (xx, yy, zz, yz, xz, xy) each component of a stress is."""


@dataclass(frozen=True)
class Frame:
    """One structure of the file.

    Attributes:
        where: the file and the frame's number, for messages.
        structure: its atoms.
        values: what it holds of ``energy``, ``forces`` and ``stress``, as far as it does.
    """

    where: str
    structure: Structure
    values: dict[str, Array]


def load(
    *,
    path: str,
    split: str,
    energy: str,
    forces: str,
    stress: str,
    folder: Path = Path(),
    where: str = "",
) -> Structures:
    """The structures of a file, in its order; padded where they differ in how many atoms they have.

    Lengths are in Å and energies in eV, as ASE has them. Nothing is wrapped, turned or centred. What not all
    structures have is no target, and a remark says so.

    Args:
        path: the file, relative to the suite's folder; ``{split}`` in it stands for the split.
        split: ``train`` or ``test``.
        energy: what the energy is called in the file.
        forces: what forces are.
        stress: what the stress is.
        folder: what a relative ``path`` starts from.
        where: the suite's key, for messages.

    Raises:
        ConfigError: ASE is not installed, or the file cannot be read, or holds a structure that is none; each with
            the number of its frame, counted from 0.
    """
    where = where or "extxyz"
    require("ase", "molecules", where)
    file = checked_path(folder, path, split, key="path", where=where)
    names = {"energy": energy, "forces": forces, "stress": stress}
    frames = [_frame(atoms, names, f"{where}: {file.name}, frame {number}") for number, atoms in _read(file, where)]
    if not frames:
        raise ConfigError(Problem(where, f"{file.name} holds no structures", "one or more"))
    crystals = _are_crystals(frames)
    shared = [name for name in names if all(name in frame.values for frame in frames)]
    found = dataset(
        [frame.structure for frame in frames],
        {name: [frame.values[name] for frame in frames] for name in shared if crystals or name != "stress"},
        crystals=crystals,
        ragged=len({len(frame.structure.species) for frame in frames}) > 1,
    )
    found.notes = [*_lacking(frames, names), *(_of_cells(frames) if crystals else ())]
    return found


def _read(file: Path, where: str) -> Iterator[tuple[int, Any]]:
    """ASE's structures with their numbers.

    Raises:
        ConfigError: one cannot be read.
    """
    from ase.io import iread

    number = -1
    expected = "extended XYZ: a count of atoms, a line of keys, and a line for each atom"
    frames = iter(iread(file, index=":", format="extxyz"))
    while True:
        with foreign(ConfigError, where, f"reading frame {number + 1} of {file.name}", expected):
            atoms = next(frames, None)
        if atoms is None:
            return
        number += 1
        yield number, atoms


def _frame(atoms: Any, names: dict[str, str], where: str) -> Frame:
    """One structure, everything about it checked.

    Raises:
        ConfigError: it has no atoms, an atom of no element, coordinates that are no numbers, or no proper cell.
    """
    if len(atoms) == 0:
        raise ConfigError(Problem(where, "has no atoms", "one or more", "Take the frame out."))
    unknown = np.flatnonzero(atoms.numbers <= 0)
    if len(unknown):
        raise ConfigError(Problem(where, f"atom {unknown[0]} is {atoms.symbols[unknown[0]]!r}", "a chemical element"))
    _check_finite("positions", atoms.positions, where)
    periodic = tuple(bool(each) for each in atoms.pbc)
    cell = np.array(atoms.cell) if any(periodic) else None
    if cell is not None:
        _check_cell(cell, np.array(periodic), where)
    structure = Structure(atoms.numbers, atoms.positions, cell, (periodic[0], periodic[1], periodic[2]))
    return Frame(where, structure, dict(_values(atoms, names, where)))


def _check_finite(what: str, values: Array, where: str) -> None:
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        whose = f" of atom {wrong[0][0]}" if values.ndim == 2 and what != "cell" else ""
        raise ConfigError(Problem(where, f"{what}{whose}: NaN or infinite", "numbers", "Take the frame out."))


def _check_cell(cell: Array, periodic: Array, where: str) -> None:
    """Refuse a cell whose vectors, as far as atoms repeat along them, lie in a plane or are none.

    Raises:
        ConfigError: with what they are.
    """
    _check_finite("cell", cell, where)
    extents = np.linalg.svd(cell[periodic], compute_uv=False)
    if extents[-1] <= SINGULAR * max(extents[0], 1e-9):
        got = f"the cell is singular: atoms repeat along {np.round(cell[periodic], 6).tolist()}"
        remedy = 'Say pbc="F F F" where nothing repeats, or give the Lattice.'
        raise ConfigError(Problem(where, got, "vectors that are linearly independent", remedy))


def _values(atoms: Any, names: dict[str, str], where: str) -> Iterator[tuple[str, Array]]:
    """What a structure holds of the targets: where ASE knows the name as a result, and else as it is written.

    Raises:
        ConfigError: it is no number, or of another shape.
    """
    held = {**atoms.info, **atoms.arrays, **(atoms.calc.results if atoms.calc is not None else {})}
    for target, name in names.items():
        if name not in held:
            continue
        try:
            value = np.asarray(held[name], dtype=np.float64)
        except (TypeError, ValueError) as error:
            got = f"{name} is {quoted(held[name])}"
            raise ConfigError(Problem(where, got, "numbers")) from error
        if target == "stress" and value.size in {6, 9}:
            value = value.reshape(3, 3) if value.size == 9 else value.reshape(6)[VOIGT]
        shape = {"energy": (1,), "forces": (len(atoms), 3), "stress": (3, 3)}[target]
        if value.size != np.prod(shape):
            raise ConfigError(Problem(where, f"{name} has shape {value.shape}", f"{shape}"))
        _check_finite(name, value.reshape(shape), where)
        if target == "stress" and not np.allclose(value, value.T, rtol=1e-6, atol=1e-8):
            raise ConfigError(Problem(where, f"{name} is not symmetric", "a stress"))
        yield target, value.reshape(shape)


def _are_crystals(frames: Sequence[Frame]) -> bool:
    """Whether structures have cells: all of them, or none.

    Raises:
        ConfigError: some do and some do not.
    """
    first = frames[0].structure.cell is not None
    other = next((frame for frame in frames if (frame.structure.cell is not None) is not first), None)
    if other is not None:
        words = ("is periodic", "is not") if first else ("is not periodic", "is")
        got = f"frame 0 {words[0]}, and this one {words[1]}"
        raise ConfigError(Problem(other.where, got, "all or none", "Make two files of them, a dataset each."))
    return first


def _lacking(frames: Sequence[Frame], names: dict[str, str]) -> Iterator[str]:
    """Remarks on targets that some structures have and others do not."""
    for target, name in names.items():
        numbers = [number for number, frame in enumerate(frames) if target not in frame.values]
        if 0 < len(numbers) < len(frames):
            yield f"{name} is no target: {_some(numbers, frames)} without it."


def _of_cells(frames: Sequence[Frame]) -> Iterator[str]:
    """Remarks on what is as it may be, and not as some programs expect it."""
    cells = [(frame.structure.cell, frame.structure) for frame in frames]
    left = [number for number, (cell, _) in enumerate(cells) if cell is not None and np.linalg.det(cell) < 0]
    if left:
        yield (
            f"{_some(left, frames)} with a left-handed cell, which is taken as it is: a program that refuses one "
            "fails under every reflection too."
        )
    outside = [number for number, (_, each) in enumerate(cells) if _is_outside(each)]
    if outside:
        yield f"{_some(outside, frames)} with atoms outside of the cell, which are left where they are."


def _is_outside(structure: Structure) -> bool:
    """Whether an atom is outside of the cell along a vector that it repeats along, by more than rounding."""
    if structure.cell is None or np.linalg.matrix_rank(structure.cell) < 3:
        return False
    parts = np.linalg.solve(structure.cell.T, structure.positions.T).T[:, np.array(structure.periodic)]
    return bool(((parts < -1e-6) | (parts > 1 + 1e-6)).any())


def _some(numbers: Sequence[int], frames: Sequence[Frame]) -> str:
    """``2 of 7 frames (3, 5)``."""
    return f"{len(numbers)} of {len(frames)} frames ({one_of(map(str, numbers))})"
