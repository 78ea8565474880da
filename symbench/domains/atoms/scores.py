"""Metrics of atoms alone."""

from __future__ import annotations

from symbench.algebra.metrics.base import Context, Value


def supercell_energy(seen: Context) -> list[Value]:
    """How much the energy of a crystal changes by repeating its cell, for each atom. See ``supercell.py``."""
    return _largest(seen, "supercell_energy")


def supercell_forces(seen: Context) -> list[Value]:
    """How much a force changes by repeating the cell."""
    return _largest(seen, "supercell_forces")


def supercell_stress(seen: Context) -> list[Value]:
    """How much a component of the stress changes by repeating the cell."""
    return _largest(seen, "supercell_stress")


def _largest(seen: Context, fact: str) -> list[Value]:
    """What the control found; nothing at all where the data are no crystals, or the model has no such output."""
    found = seen.facts.get(fact)
    if found is not None:
        return [Value(found, reason="the largest, over cells repeated along each vector")]
    reason = seen.reasons.get("supercell")
    return [] if reason is None else [Value(None, reason=reason)]
