"""A calculator of ASE as a model: one structure after the other, in float64 and on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field
from symbench.algebra.statistics import Array
from symbench.base.code import shortened
from symbench.base.errors import ModelError, Problem
from symbench.domains.atoms.fields import CRYSTAL_TARGETS
from symbench.domains.atoms.models import BESIDE, POSITIONS
from symbench.domains.common.models.program import Program
from symbench.domains.common.models.running import named
from symbench.domains.common.models.unanswered import Unanswered

ALWAYS = ("energy", "forces")
"""What is asked of every calculator that knows it."""


class AseModel(Program):
    """A calculator behind an ordinary module. It is handed real atoms alone; what it says of padding is 0.

    Networks that a calculator holds are submodules, so that their numbers are counted and known by their digest.

    Args:
        calculator: any object with ``get_potential_energy(atoms)`` and ``get_forces(atoms)``.
        stress: whether that is returned too, which needs periodic structures.
        symbol: what all atoms are, for data without ``species``.

    Raises:
        ModelError: the calculator knows no energy, or no stress where that is asked for.
    """

    inputs: Mapping[str, Field] = POSITIONS
    optional: Mapping[str, Field] = BESIDE
    dtype = torch.float64

    def __init__(self, calculator: Any, *, stress: bool = False, symbol: str | None = None) -> None:
        super().__init__()
        self.calculator = calculator
        self.name = type(calculator).__name__
        self.networks = nn.ModuleList(networks_of(calculator))
        self.number = None if symbol is None else number_of(symbol)
        known = implemented(calculator)
        self.outputs = {
            name: CRYSTAL_TARGETS[name] for name in (*ALWAYS, *(["stress"] if stress else [])) if name in known
        }
        for name in ("energy", *(["stress"] if stress else [])):
            if name not in known:
                raise ModelError(Problem(self.name, f"computes {', '.join(known)}, and no {name}"))

    def call(self, x: Tensor) -> Any:
        """Positions alone, of atoms that are all of one kind."""
        return self.forward(x)

    def forward(
        self,
        positions: Tensor,
        species: Tensor | None = None,
        atoms_mask: Tensor | None = None,
        cell: Tensor | None = None,
        periodic: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Energy ``(n, 1)``, forces ``(n, atoms, 3)`` and stress ``(n, 3, 3)``.

        Args:
            positions: ``(n, atoms, 3)``, Å.
            species: atomic numbers, ``(n, atoms)``; 0 is padding.
            atoms_mask: which of the atoms are real, ``(n, atoms)``.
            cell: lattice vectors as rows, ``(n, 3, 3)``, Å.
            periodic: along which of them the structure repeats, ``(n, 3)``.

        Raises:
            Unanswered: the calculator raised for a structure, or its answer is not finite.
        """
        numbers, real = self._atoms(positions, species, atoms_mask)
        x, lattice, repeats = (None if each is None else _numpy(each) for each in (positions, cell, periodic))
        assert x is not None
        shapes = {"energy": (len(x), 1), "forces": x.shape, "stress": (len(x), 3, 3)}
        found = {name: np.zeros(shapes[name]) for name in self.outputs}
        for row, here in enumerate(real):
            boxed = (
                {} if lattice is None else {"cell": lattice[row], "pbc": True if repeats is None else repeats[row]}
            )
            answer = self._answer(row, numbers[row][here], x[row][here], boxed)
            for name, value in answer.items():
                found[name][(row, here) if name == "forces" else row] = value
        return {name: torch.from_numpy(value).to(positions.device) for name, value in found.items()}

    def _atoms(self, positions: Tensor, species: Tensor | None, mask: Tensor | None) -> tuple[Array, Array]:
        """The atomic number of every place and whether it is real, ``(n, atoms)`` each."""
        if species is None and self.number is None:
            remedy = "Say symbol: Ar, or what else they are, in the model's entry."
            raise ModelError(Problem(self.name, "got positions without species", "atomic numbers", remedy))
        shape = tuple(positions.shape[:2])
        numbers = np.full(shape, self.number) if species is None else _numpy(species).astype(np.int64)
        real = numbers > 0
        return numbers, real if mask is None else real & _numpy(mask).astype(bool)

    def _answer(self, row: int, numbers: Array, positions: Array, boxed: Mapping[str, Any]) -> dict[str, Any]:
        """What the calculator says of one structure, computed anew: nothing is left of what it said of others."""
        from ase import Atoms

        if not len(numbers):
            raise Unanswered(row, "the structure has no atoms", "one at least")
        atoms = Atoms(numbers=numbers, positions=positions, **boxed)
        said = f"{self.name} on {atoms.get_chemical_formula()}"
        ask: Mapping[str, Callable[[], Any]] = {
            "energy": atoms.get_potential_energy,
            "forces": atoms.get_forces,
            "stress": lambda: atoms.get_stress(voigt=False),
        }
        try:
            with torch.enable_grad():  # forces are often derivatives
                forget(self.calculator)
                atoms.calc = self.calculator
                answer = {name: np.asarray(ask[name](), dtype=np.float64) for name in self.outputs}
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a calculator may raise anything, or end its program
            raise Unanswered(row, f"{said} raised {shortened(error)}") from error
        for name, value in answer.items():
            if not np.isfinite(value).all():
                raise Unanswered(row, f"{said} has {name} that is NaN or infinite", "finite numbers")
        return answer

    def __deepcopy__(self, memo: dict[int, Any]) -> AseModel:
        del memo  # a calculator forgets before each structure: there is no state that a copy could change
        return AseModel(self.calculator, stress="stress" in self.outputs, symbol=self.symbol)

    @property
    def symbol(self) -> str | None:
        """What all atoms are."""
        from ase.data import chemical_symbols

        return None if self.number is None else str(chemical_symbols[self.number])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AseModel:
        """Refuse to be converted: a calculator is handed NumPy's float64, and its own precision is its affair."""
        del recurse
        own = next((x.dtype for x in self.networks.parameters() if x.is_floating_point()), torch.float64)
        wanted = fn(torch.zeros(1, dtype=own)).dtype
        if wanted != own:
            got = f"{self.name} computes in {named(own)}, and cannot be made to compute in {named(wanted)}"
            raise ModelError(Problem(self.name, got, f"numerics.dtype {named(own)}, or none"))
        return self


def networks_of(calculator: Any) -> Sequence[nn.Module]:
    """The networks that a calculator holds, by itself or in lists, in their order."""
    held = getattr(calculator, "__dict__", {}).values()
    every = (part for value in held for part in (value if isinstance(value, (list, tuple)) else [value]))
    return list({id(part): part for part in every if isinstance(part, nn.Module)}.values())


def implemented(calculator: Any) -> list[str]:
    """What a calculator says that it computes; energy and forces of one that says nothing."""
    known = getattr(calculator, "implemented_properties", None) or ALWAYS
    return [str(name) for name in known]


def forget(calculator: Any) -> None:
    """Drop what a calculator keeps of the last structure: a second answer for the same one is computed too."""
    reset = getattr(calculator, "reset", None)
    if callable(reset):
        reset()


def number_of(symbol: str) -> int:
    """The atomic number of an element.

    Raises:
        ModelError: there is none of that symbol.
    """
    from ase.data import atomic_numbers

    if symbol not in atomic_numbers:
        raise ModelError(Problem("symbol", f"got {symbol!r}", "the symbol of an element, such as Ar"))
    return int(atomic_numbers[symbol])


def _numpy(x: Tensor) -> Array:
    values: Array = x.detach().cpu().numpy()
    return values.astype(np.float64) if x.is_floating_point() else values
