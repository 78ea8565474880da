"""Molecules of ASE's collections, and chiral ones that RDKit builds, in both hands; their atoms rattled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle, islice

import numpy as np

from symbench.algebra.statistics import Array
from symbench.base.code import require
from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.domains.atoms.datasets.emt import computed
from symbench.domains.atoms.datasets.structures import Structure, dataset
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.points.datasets.shapes import rotations

CHIRAL: Mapping[str, str] = {
    "CHFClBr": "F[C@H](Cl)Br",
    "hydrogen-peroxide": "OO",
    "propylene-oxide": "C[C@H]1CO1",
    "lactic-acid": "C[C@H](O)C(=O)O",
    "glyceraldehyde": "OC[C@H](O)C=O",
    "alanine": "C[C@H](N)C(=O)O",
    "cysteine": "N[C@@H](CS)C(=O)O",
    "2-butanol": "CC[C@H](C)O",
    "limonene": "CC1=CC[C@@H](CC1)C(C)=C",
}
"""Small molecules that no rotation brings onto their mirror image, by SMILES: hydrogen peroxide
by a twist, of which SMILES does not say the hand, and all others by a centre."""
BUILD_SEED = 1
"""Of RDKit's search for where atoms are: it chooses the hand too, where SMILES leaves it open."""
KNOWN_TO_EMT = frozenset({1, 6, 7, 8, 13, 28, 29, 46, 47, 78, 79})


def load(
    *,
    split: str,
    collection: Sequence[str],
    names: Sequence[str],
    atoms: tuple[int, int],
    rattle: float,
    pose: str,
    target: str,
    samples: int,
    seed: int,
    where: str = "",
) -> Arrays:
    """Molecules one after the other, again and again, each time with other noise; chiral ones twice with the same.

    Of these the second has all its ``x`` negated, bit for bit. Lengths are numbers of float32, kept in float64.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``; the molecules are the same.
        collection: ``g2``, ``s22`` and ``chiral``.
        names: some of theirs; empty for all.
        atoms: least and most, of which molecules are taken.
        rattle: standard deviation of each coordinate, in Å.
        pose: ``random`` or ``aligned``.
        target: ``none``, or ``energy`` for what ASE's EMT says of it.
        samples: how many.
        seed: seeds the stream.
        where: the suite's key, for messages.

    Raises:
        ConfigError: ASE or RDKit is not installed, there is no such molecule, or none is left.
    """
    require("ase", "molecules", where)
    if "chiral" in collection:
        require("rdkit", "molecules", where)
    chosen = _chosen(collection, names, atoms, KNOWN_TO_EMT if target == "energy" else None, where)
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    drawn = list(islice(_drawn(rng, chosen, rattle, pose), samples))
    found = [computed(each) for each in drawn] if target == "energy" else []
    targets = {key: [each[key] for each in found] for key in (found[0] if found else ())}
    return dataset(drawn, targets, crystals=False, ragged=len(names) != 1)


def _drawn(
    rng: np.random.Generator, chosen: Mapping[tuple[str, str], Structure], rattle: float, pose: str
) -> Iterator[Structure]:
    for (source, _), each in cycle(chosen.items()):
        moved = each.positions - each.positions.mean(0) + rattle * rng.normal(size=each.positions.shape)
        turned = moved if pose == "aligned" else moved @ rotations(rng, 1, upright=False)[0]
        yield Structure(each.species, turned).rounded()
        if source == "chiral":
            yield Structure(each.species, turned * [-1.0, 1.0, 1.0]).rounded()


def _chosen(
    collection: Sequence[str],
    names: Sequence[str],
    atoms: tuple[int, int],
    elements: frozenset[int] | None,
    where: str,
) -> dict[tuple[str, str], Structure]:
    """The molecules to take, by their collection and name.

    Raises:
        ConfigError: there is no such molecule, or none is left.
    """
    known = {(source, name): each for source in collection for name, each in _collection(source).items()}
    for name in names:
        if name not in {each for _, each in known}:
            theirs = [each for _, each in known]
            raise ConfigError(
                Problem(where, f"got the name {quoted(name)}", f"one of {one_of(theirs)}", near_miss(name, theirs))
            )
    found = {
        key: each
        for key, each in known.items()
        if (not names or key[1] in names)
        and atoms[0] <= len(each.species) <= atoms[1]
        and (elements is None or set(each.species.tolist()) <= elements)
    }
    if not found:
        got = f"no molecule of {one_of(names or collection)} has {atoms[0]} to {atoms[1]} atoms"
        got += " of elements that EMT knows" if elements else ""
        raise ConfigError(Problem(where, got, "at least one that does"))
    return found


@cache
def _collection(source: str) -> Mapping[str, Structure]:
    """The molecules of a collection by their names, as they are at rest."""
    if source == "chiral":
        return {name: built(smiles) for name, smiles in CHIRAL.items()}
    from ase.collections import g2, s22

    theirs = {"g2": g2, "s22": s22}[source]
    return {name: Structure(theirs[name].numbers, theirs[name].positions) for name in theirs.names}


def built(smiles: str) -> Structure:
    """One hand of a molecule, with hydrogens, where RDKit's MMFF has its atoms at rest."""
    from rdkit import Chem
    from rdkit.Chem.rdDistGeom import EmbedMolecule
    from rdkit.Chem.rdForceFieldHelpers import MMFFOptimizeMolecule

    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    EmbedMolecule(molecule, randomSeed=BUILD_SEED)
    MMFFOptimizeMolecule(molecule)
    species = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    positions: Array = np.array(molecule.GetConformer().GetPositions())
    return Structure(species, positions)
