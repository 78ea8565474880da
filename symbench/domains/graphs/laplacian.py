"""Positions of nodes by the Laplacian's eigenvectors, as far as these are known at all.

An eigenvector is as good with the other sign, and of an eigenvalue that occurs several times every orthonormal basis
is: of the 853 connected graphs of 7 nodes 264 have one. What depends on the choice does not depend on the graph alone
(Lim et al., "Sign and Basis Invariant Networks for Spectral Graph Representation Learning", 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.statistics import Array

EQUAL = 1e-6
"""Eigenvalues nearer than this are one: those of small graphs are algebraic numbers and lie much farther apart."""


def eigenspaces(graph: Array) -> list[tuple[float, Array]]:
    """The eigenvalues of ``D - A`` above 0 in ascending order, each with an orthonormal basis ``(n, m)``.

    Args:
        graph: bool ``(n, n)``, symmetric.
    """
    values, vectors = np.linalg.eigh(np.diag(graph.sum(axis=1)) - graph.astype(float))
    bounds = [0, *(1 + np.flatnonzero(np.diff(values) > EQUAL)), len(values)]
    found = [(float(values[first:last].mean()), vectors[:, first:last]) for first, last in pairwise(bounds)]
    return [(value, basis) for value, basis in found if value > EQUAL]


def encoding(graph: Array, k: int) -> tuple[Array, bool]:
    """The components of the first k eigenvectors with their eigenvalues, ``(n, k, 2)``.

    An eigenspace that k would cut is left out whole: of a part of it nobody could say which part. What is not there
    is 0.

    Returns:
        The encoding, and whether one of its eigenvalues occurs several times.
    """
    found = np.zeros((len(graph), k, 2))
    column, repeated = 0, False
    for value, basis in eigenspaces(graph):
        width = basis.shape[1]
        if column + width > k:
            break
        found[:, column : column + width, 0], found[:, column : column + width, 1] = basis, value
        column, repeated = column + width, repeated or width > 1
    return found, repeated


def encodings(graphs: Sequence[Array], nodes: int, k: int) -> tuple[Tensor, int]:
    """Of graphs, ``(graphs, nodes, k, 2)``, zeros where padded; and how many have an eigenvalue several times."""
    found, repeated = torch.zeros(len(graphs), nodes, k, 2), 0
    for row, graph in zip(found, graphs, strict=True):
        values, several = encoding(graph, k)
        row[: len(graph)] = torch.from_numpy(values).float()
        repeated += several
    return found, repeated
