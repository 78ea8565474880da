"""Graphs of which refining colours knows nothing: cycles with skip links, whose nodes all look alike.

R(n, s) is the cycle of n nodes in which each is also joined to the one s steps on (Murphy et al., "Relational Pooling
for Graph Representations", 2019, who test networks on these ten). Every node has four neighbours with four neighbours
each, so that whatever passes messages alone sees one graph; R(41, 2) has 41 triangles, and R(41, 3) none.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from symbench.algebra.controls import Facts, Subject
from symbench.algebra.statistics import Array
from symbench.base.errors import ModelError, Problem
from symbench.domains.graphs.expressiveness import signatures_of, told_apart

NODES = 41
SKIPS = (2, 3, 4, 5, 6, 9, 11, 12, 13, 16)
"""Of which no two give isomorphic graphs."""


def with_skips(n: int, skip: int) -> Array:
    """The adjacency matrix of R(n, skip), bool."""
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    found: Array = np.isin(steps, (1, n - 1, skip, n - skip))
    return found


def separate(subject: Subject) -> Facts:
    """``separated_regular_pairs``, the share of pairs that are told apart, and ``regular_pairs``, how many there are.

    Raises:
        ModelError: the model takes other leaves than graphs are shown by, or graphs of its own width alone.
    """
    if "adjacency" in subject.takes:  # the width of a matrix is built into whatever takes one
        width = subject.shapes["adjacency"][0]
        raise ModelError(Problem("regular graphs", f"the model takes matrices of {width} nodes", f"one for {NODES}"))
    shown = [with_skips(NODES, skip) for skip in SKIPS]
    values = signatures_of(shown, subject, NODES, int(shown[0].sum()), "regular graphs")
    apart = told_apart(values, subject.rounding)
    pairs = list(combinations(range(len(shown)), 2))
    told = sum(bool(apart[pair]) for pair in pairs)
    return {"separated_regular_pairs": told / len(pairs), "regular_pairs": float(len(pairs))}
