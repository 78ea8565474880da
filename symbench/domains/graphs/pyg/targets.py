"""What is to be predicted of graphs, or of their nodes: classes or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from symbench.algebra.fields import Field, Scalar
from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.datasets.targets import of_array, shown
from symbench.domains.graphs import NODES
from symbench.domains.graphs.pyg.graph import Graph

Found = tuple[Tensor | None, Field | None, list[str]]
"""Targets ``(graphs, ...)``, their field, and what is to be said of them."""


def of_graphs(values: Sequence[Any], graphs: Sequence[Graph], name: str, where: str) -> Found:
    """Targets of graphs where each has as many numbers; of nodes where each has one for each node.

    Raises:
        ConfigError: some have one and some none, or other numbers of them, or one is not finite; with the graph.
    """
    missing = [i for i, value in enumerate(values) if value is None]
    if len(missing) == len(values):
        return None, None, [f"Graphs have no {name}: only how outputs change is measured."]
    if missing:
        raise ConfigError(Problem(where, f"graph {missing[0]} has no {name}", "one for each graph, or for none"))
    tensors = [torch.as_tensor(value).detach().cpu() for value in values]
    for i, each in enumerate(tensors):
        if each.is_complex() or not each.isfinite().all():
            raise ConfigError(Problem(where, f"graph {i} has {name} {shown(values[i])}", "finite numbers"))
    nodes = [len(graph.features) for graph in graphs]
    rows = [len(each) if each.ndim else 1 for each in tensors]
    if rows == nodes and set(rows) != {1}:
        return _of_nodes(tensors, max(nodes), name)
    flat = [each.reshape(-1) for each in tensors]
    for i, each in enumerate(flat):
        if len(each) != len(flat[0]):
            got = f"graph {i} has {len(each)} numbers of {name}, and graph 0 has {len(flat[0])}"
            raise ConfigError(Problem(where, got, "as many for each graph, or one for each node"))
    whole = torch.stack(flat)
    field, array = of_array((whole[:, 0] if whole.shape[1] == 1 else whole).numpy(), where)
    made = torch.from_numpy(array)
    return (made[:, None] if isinstance(field, Scalar) and made.ndim == 1 else made), field, []


def _of_nodes(tensors: Sequence[Tensor], nodes: int, name: str) -> Found:
    notes = []
    whole = not any(each.is_floating_point() for each in tensors)
    if whole and all(each.ndim == 1 or each.shape[1] == 1 for each in tensors):
        classes = 1 + max(int(each.max()) for each in tensors)
        tensors = [one_hot(each.reshape(-1).long().clamp(min=0), classes) for each in tensors]
        notes = [f"Classes of nodes in {name} are compared as numbers: 1 for the class of a node, 0 for all others."]
    wide = [each.float().reshape(len(each), -1) for each in tensors]
    found = torch.stack([torch.cat([each, each.new_zeros(nodes - len(each), each.shape[1])]) for each in wide])
    return (found[..., 0] if found.shape[2] == 1 else found), Scalar().over(NODES), notes
