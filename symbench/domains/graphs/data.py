"""Random graphs with exact targets that do not depend on the order of the nodes, and graphs as leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Field, Scalar
from symbench.algebra.statistics import Array
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.graphs import ENCODINGS, FEATURES, LIST, MATRIX, NODES
from symbench.domains.graphs.laplacian import encodings

DENSEST = 0.6
"""The share of further pairs that are joined is drawn between 0 and this for every graph, so that graphs differ."""


def load(
    *,
    split: str,
    nodes: tuple[int, int],
    samples: int,
    target: str,
    seed: int,
    encoding: str | None = None,
    k: int = 4,
) -> Arrays:
    """Connected graphs of the least to the most ``nodes``, padded to the most.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        nodes: least and most.
        samples: how many graphs.
        target: ``triangles`` of the graph, or ``distances`` of each node.
        seed: seeds the stream.
        encoding: ``laplacian``, or None.
        k: how many eigenvectors.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    graphs = [random_graph(rng, *nodes) for _ in range(samples)]
    field: Field
    if target == "triangles":
        field, values = Scalar(), torch.tensor([[float(triangles(each))] for each in graphs])
    else:
        field, values = Scalar().over(NODES), torch.zeros(samples, nodes[1])
        for row, each in zip(values, graphs, strict=True):
            row[: len(each)] = torch.from_numpy(mean_distances(each))
    # room for every edge that there can be: training and test data have one shape whatever was drawn
    leaves = leaves_of(graphs, nodes[1], nodes[1] * (nodes[1] - 1))
    fields = {**FEATURES, **LIST, **MATRIX}
    made: dict[str, Any] = {
        "target_fields": {target: field},
        "sizes": {"nodes": [len(each) for each in graphs], "edges": [int(each.sum()) for each in graphs]},
    }
    if encoding is None:
        return Arrays(leaves, {target: values}, fields=fields, **made)
    leaves["encodings"], repeated = encodings(graphs, nodes[1], k)
    return Encoded(leaves, {target: values}, fields={**fields, **ENCODINGS}, repeated=repeated, **made)


class Encoded(Arrays):
    """With eigenvectors, of which people should be told that some are known up to a basis alone.

    Attributes:
        repeated: how many graphs have an eigenvalue several times.
    """

    def __init__(self, *leaves_and_targets: dict[str, Tensor], repeated: int, **known: Any) -> None:
        super().__init__(*leaves_and_targets, **known)
        self.repeated = repeated

    def remarks(self) -> list[str]:
        """How many graphs have an eigenvalue several times."""
        if not self.repeated:
            return []
        share = 100 * self.repeated / len(self)
        said = f"{self.repeated:,} of {len(self):,} graphs ({share:.1f} %) have an eigenvalue several times"
        return [f"{said}: their eigenvectors are known up to a basis of its eigenspace, and not up to signs alone."]


def random_graph(rng: np.random.Generator, least: int, most: int) -> Array:
    """The adjacency matrix of a connected graph, bool ``(n, n)``, its nodes in no particular order."""
    n = int(rng.integers(least, most + 1))
    joined = np.zeros((n, n), dtype=bool)
    for node in range(1, n):  # a tree first, so that every node is at a finite distance from every other
        joined[node, rng.integers(node)] = True
    joined |= np.tril(rng.random((n, n)) < rng.uniform(0, DENSEST), -1)
    order = rng.permutation(n)
    found: Array = (joined | joined.T)[np.ix_(order, order)]
    return found


def leaves_of(graphs: Sequence[Array], nodes: int, edges: int, columns: int = 1) -> dict[str, Tensor]:
    """Adjacency matrices as leaves: ``features``, ``edges`` (both directions of each) and ``adjacency``.

    The feature of a node is its degree: a sum of whole numbers in a row of the matrix, which no order of the nodes
    changes by a bit, so that features move with the nodes by construction; and with a constant one in its place, the
    nodes of all connected graphs would look the same to networks that take means or maxima.

    Args:
        graphs: bool ``(n, n)`` each, symmetric.
        nodes: what nodes are padded to, with zeros.
        edges: what edges are padded to, with -1.
        columns: of the features; those behind the degree are zero.
    """
    features = torch.zeros(len(graphs), nodes, columns)
    pairs = torch.full((len(graphs), edges, 2), -1)
    adjacency = torch.zeros(len(graphs), nodes, nodes)
    for i, graph in enumerate(graphs):
        n, listed = len(graph), np.argwhere(graph)
        features[i, :n, 0] = torch.from_numpy(graph.sum(axis=1)).float()
        pairs[i, : len(listed)] = torch.from_numpy(listed)
        adjacency[i, :n, :n] = torch.from_numpy(graph).float()
    return {"features": features, "edges": pairs, "adjacency": adjacency}


def triangles(graph: Array) -> int:
    """How many sets of three nodes are all joined to one another: counted, each at its first two nodes."""
    return sum(int((graph[i] & graph[j])[j + 1 :].sum()) for i, j in np.argwhere(np.triu(graph)))


def mean_distances(graph: Array) -> Array:
    """The mean number of edges on the shortest paths from each node to all others, ``(n,)``.

    Breadth first from all nodes at once. A sum of whole numbers, divided once: the same bit for bit in any order.
    """
    n = len(graph)
    reached, total = np.eye(n, dtype=bool), np.zeros(n, dtype=np.int64)
    for step in range(1, n):
        fresh = (reached @ graph) & ~reached
        total += step * fresh.sum(axis=1)
        reached |= fresh
    mean: Array = total / (n - 1)
    return mean
