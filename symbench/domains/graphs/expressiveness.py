"""Which graphs a model tells apart: what it can express, beside how symmetric it is.

A constant is perfectly invariant. So a network for graphs is held against pairs of graphs that are not isomorphic: it
tells a pair apart where its outputs for one differ from those for the other by more than they differ between
drawings of one graph, and by more than rounding. What depends on the numbering of the nodes is not credited for that.

Nodes show their degree, so pairs in which other degrees occur are no test. Of the 615 pairs that are left, refining
colours by the multiset of neighbours' colours tells all but 4 apart, by their proportions all but 16, by their set
all but 28. More cannot be expected of networks that pass messages by sum, mean and maximum (Xu et al., 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.controls import Facts, Subject
from symbench.algebra.fields import mask_of
from symbench.algebra.statistics import Array
from symbench.base.errors import ModelError, Problem, one_of
from symbench.domains.graphs.data import leaves_of
from symbench.domains.graphs.laplacian import encodings
from symbench.domains.graphs.pairs import graphs, hard

DRAWINGS = 8
"""Each graph is shown with its nodes and edges in this many orders."""
RANKS = 60
"""Outputs at nodes are compared as distributions, at these many ranks: a multiple of every number of nodes to 6."""


def separate(subject: Subject) -> Facts:
    """``separated_pairs``, the share of pairs that are told apart, and ``graph_pairs``, how many there are.

    Beside them ``merged_orbits``, the share of graphs all of whose drawings are one to the model, and ``graphs``.

    Raises:
        ModelError: the model takes other leaves than graphs are shown by.
    """
    nodes, edges = subject.shapes["features"][0], subject.shapes["edges"][0]
    shown = [graph for graph in graphs() if len(graph) <= nodes and graph.sum() <= edges]
    values = signatures_of(shown, subject, nodes, edges, "expressiveness")
    apart, merged = told_apart(values, subject.rounding), same(values, subject.rounding)
    pairs = [(i, j) for j in range(len(shown)) for i in range(j) if hard(shown[i], shown[j])]
    told = sum(bool(apart[pair]) for pair in pairs)
    return {
        "separated_pairs": told / len(pairs) if pairs else None,
        "graph_pairs": float(len(pairs)),
        "merged_orbits": float(merged.double().mean()) if shown else None,
        "graphs": float(len(shown)),
    }


def signatures_of(shown: list[Array], subject: Subject, nodes: int, edges: int, control: str) -> Tensor:
    """What the model says of all drawings of some graphs, ``(graphs, drawings, d)``.

    Args:
        shown: the graphs.
        subject: the model.
        nodes: what nodes are padded to.
        edges: what edges are padded to.
        control: its name, for messages.

    Raises:
        ModelError: the model takes other leaves than graphs are shown by.
    """
    leaves = drawn(shown, nodes, edges, prod(subject.shapes["features"][1:]))
    leaves["features"] = leaves["features"].reshape(
        -1, *leaves["features"].shape[1:2], *subject.shapes["features"][1:]
    )
    if "encodings" in subject.takes:
        graphs_of = [row[:n, :n] for row, n in _matrices(leaves)]
        leaves["encodings"] = encodings(graphs_of, nodes, subject.shapes["encodings"][1])[0]
    other = [name for name in subject.takes if name not in leaves]
    if other:
        raise ModelError(Problem(control, f"the model takes {one_of(other)}", one_of(leaves)))
    outputs = subject.run({name: leaves[name] for name in (*subject.takes, mask_of("nodes"))})
    return signatures(outputs, subject, leaves[mask_of("nodes")])


def _matrices(leaves: dict[str, Tensor]) -> Iterator[tuple[Array, int]]:
    """The adjacency matrix of each drawing, bool and padded, with its number of nodes."""
    sizes = leaves[mask_of("nodes")].sum(1).tolist()
    yield from zip(leaves["adjacency"].bool().numpy(), sizes, strict=True)


def drawn(shown: list[Array], nodes: int, edges: int, columns: int) -> dict[str, Tensor]:
    """Leaves of all drawings of all graphs, ``(graphs * drawings, ...)``, those of a graph one after the other."""
    rng = np.random.default_rng(0)
    orders = [(graph, rng.permutation(len(graph))) for graph in shown for _ in range(DRAWINGS)]
    drawings = [graph[np.ix_(order, order)] for graph, order in orders]
    leaves = leaves_of(drawings, nodes, edges, columns)
    counts = {"nodes": [len(each) for each in drawings], "edges": [int(each.sum()) for each in drawings]}
    for row, count in zip(leaves["edges"], counts["edges"], strict=True):
        row[:count] = row[torch.from_numpy(rng.permutation(count))]
    for axis, width in (("nodes", nodes), ("edges", edges)):
        leaves[mask_of(axis)] = torch.arange(width) < torch.tensor(counts[axis])[:, None]
    return leaves


def signatures(outputs: dict[str, Tensor], subject: Subject, real: Tensor) -> Tensor:
    """What outputs say whatever the order of the nodes, ``(graphs, drawings, d)``: themselves, or how they spread."""
    found = []
    for name, values in outputs.items():
        values = values.cpu()
        if "nodes" in subject.outputs[name].axes:
            values = values.reshape(*real.shape, -1).masked_fill(~real[..., None], torch.inf).sort(dim=1).values
            ranks = (torch.arange(RANKS) + 0.5) / RANKS * real.sum(1, keepdim=True)
            values = values.gather(1, ranks.long()[..., None].expand(-1, -1, values.shape[2]))
        found.append(values.flatten(1))
    return torch.cat(found, dim=1).double().unflatten(0, (-1, DRAWINGS))


def told_apart(values: Tensor, rounding: float) -> Tensor:
    """Which graphs' drawings lie farther from one another's than from their own, bool ``(graphs, graphs)``.

    Args:
        values: ``(graphs, drawings, d)``.
        rounding: the relative error of one operation. Outputs that agree to half the digits are taken to be equal:
            a network is many operations, and what tells graphs apart is seldom so small.
    """
    blocks = _distances(values)
    within = blocks.amax((1, 3)).diagonal()
    closest = blocks.amin((1, 3))
    return closest > torch.maximum(torch.maximum(within[:, None], within[None]), _least(values, rounding))


def same(values: Tensor, rounding: float) -> Tensor:
    """Of which graphs all drawings are equal, in the sense of :func:`told_apart`, bool ``(graphs,)``."""
    return _distances(values).amax((1, 3)).diagonal() <= _least(values, rounding)


def _distances(values: Tensor) -> Tensor:
    """Of all drawings from all others, ``(graphs, drawings, graphs, drawings)``."""
    graphs, drawings, _ = values.shape
    distances = torch.cdist(values.flatten(0, 1), values.flatten(0, 1), compute_mode="donot_use_mm_for_euclid_dist")
    return distances.view(graphs, drawings, graphs, drawings)


def _least(values: Tensor, rounding: float) -> Tensor:
    return rounding**0.5 * values.norm(dim=2).max()
