"""Whether a model makes the same of a crystal as of its cell, repeated: the same atoms, described twice as large.

That is no action of a group, since there are other atoms afterwards: so it is a control. Of the repeated cell the
energy is twice as much, and every atom has the force, and the crystal the stress, that it had.
"""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.controls import Facts, Subject
from symbench.algebra.fields import mask_of
from symbench.base.errors import ModelError, Problem, one_of
from symbench.domains.atoms.fields import ATOMS, CRYSTAL_TARGETS

SAMPLES = 8
"""Crystals that are repeated, along each of their vectors by itself."""
MASK = mask_of(ATOMS.name)


def repeated(subject: Subject) -> Facts:
    """``supercell_energy`` (eV for each atom), ``supercell_forces`` (eV/Å) and ``supercell_stress`` (eV/Å^3).

    Each is the largest deviation over some of the dataset's crystals, repeated along each vector that they repeat
    along; None of what is no output of the model.

    Raises:
        ModelError: the model takes leaves of which nobody knows what becomes of them, or no other number of atoms.
    """
    leaves = dict(subject.some(SAMPLES))
    leaves.setdefault(MASK, leaves["species"] > 0)
    other = [name for name in subject.takes if name not in {"positions", "species", "cell", "periodic", MASK}]
    if other:
        raise ModelError(Problem("supercell", f"the model takes {one_of(other)}", "leaves of atoms and their cell"))
    known = [name for name in CRYSTAL_TARGETS if name in subject.outputs]
    before, worst = subject.run(leaves), dict.fromkeys(known, 0.0)
    for vector in range(3):
        chosen = (leaves["periodic"][:, vector] == 1).nonzero().flatten()
        if len(chosen):
            some = {name: x[chosen] for name, x in leaves.items()}
            larger = doubled(some, vector)
            after = subject.run(larger)
            for name in known:
                there = before[name].cpu()[chosen]
                worst[name] = max(worst[name], deviation(name, there, after[name].cpu(), some[MASK], larger[MASK]))
    return {f"supercell_{name}": worst.get(name) for name in CRYSTAL_TARGETS}


def doubled(leaves: dict[str, Tensor], vector: int) -> dict[str, Tensor]:
    """Crystals with their cell twice along one of its vectors: real atoms first, then the same, moved by it."""
    step = leaves["cell"][:, vector : vector + 1]
    real = torch.cat([leaves[MASK], leaves[MASK]], dim=1)
    order = (~real).long().argsort(dim=1, stable=True)  # padding behind all that is real
    positions = torch.cat([leaves["positions"], leaves["positions"] + step], dim=1)
    cell = leaves["cell"].clone()
    cell[:, vector] *= 2
    return {
        "positions": positions.gather(1, order[..., None].expand(-1, -1, 3)) * real.gather(1, order)[..., None],
        "species": torch.cat([leaves["species"], leaves["species"]], dim=1).gather(1, order),
        "cell": cell,
        "periodic": leaves["periodic"],
        MASK: real.gather(1, order),
    }


def deviation(name: str, before: Tensor, after: Tensor, small: Tensor, large: Tensor) -> float:
    """The largest deviation of an output from what the small crystals say of the large ones.

    Args:
        name: ``energy``, ``forces`` or ``stress``.
        before: of the small ones, ``(n, ...)``.
        after: of the large ones.
        small: which of the small ones' atoms are real, ``(n, atoms)``.
        large: which of the large ones' are.
    """
    if name == "energy":
        return float(((after - 2 * before).flatten(1).abs().amax(1) / large.sum(1)).max())
    if name == "forces":
        twice = [torch.cat([x[real], x[real]]) for x, real in zip(before, small, strict=True)]
        return max(float((x[real] - y).abs().max()) for x, real, y in zip(after, large, twice, strict=True))
    return float((after - before).abs().max())
