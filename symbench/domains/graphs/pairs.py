"""Small graphs of which no two are the same, whatever their nodes are called."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from symbench.algebra.statistics import Array


def cycles(*lengths: int) -> Array:
    """Cycles side by side; the adjacency matrix, bool."""
    found = np.zeros((sum(lengths), sum(lengths)), dtype=bool)
    first = 0
    for length in lengths:
        nodes = first + np.arange(length)
        found[nodes, np.roll(nodes, -1)] = True
        first += length
    return found | found.T


@cache
def connected(n: int) -> tuple[Array, ...]:
    """All connected graphs of n nodes up to isomorphism, n at most 6, bool ``(n, n)``.

    Each is one of n - 1 nodes with another node joined to some of them: every connected graph has a node, the end of
    a spanning tree, without which it is connected still.
    """
    if n == 1:
        return (np.zeros((1, 1), dtype=bool),)
    found: dict[bytes, Array] = {}
    for smaller in connected(n - 1):
        for joined in itertools.product([False, True], repeat=n - 1):
            if any(joined):
                graph = np.zeros((n, n), dtype=bool)
                graph[:-1, :-1], graph[-1, :-1], graph[:-1, -1] = smaller, joined, joined
                found.setdefault(canonical(graph), graph)
    return tuple(found.values())


def canonical(graph: Array) -> bytes:
    """The same for two graphs just where they are isomorphic: the least over all orders of its nodes, at most 6."""
    rows, columns = np.triu_indices(len(graph), k=1)
    orders = _orders(len(graph))
    codes = graph[orders[:, rows], orders[:, columns]] @ (1 << np.arange(len(rows)))  # (orders,)
    return bytes([len(graph)]) + int(codes.min()).to_bytes(8, "big")


@cache
def _orders(n: int) -> Array:
    return np.array(list(itertools.permutations(range(n))))


@cache
def graphs() -> tuple[Array, ...]:
    """The connected graphs of 3 to 6 nodes, and two triangles side by side. No two are isomorphic."""
    return (*(graph for n in (3, 4, 5, 6) for graph in connected(n)), cycles(3, 3))


def hard(first: Array, second: Array) -> bool:
    """Whether the same degrees occur in both graphs, so that looking at one node after the other says nothing."""
    return set(first.sum(axis=1).tolist()) == set(second.sum(axis=1).tolist())
