"""One graph of PyTorch Geometric, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.datasets.targets import shown


@dataclass(frozen=True)
class Graph:
    """One graph.

    Attributes:
        features: ``(nodes, d)``, float32.
        edges: ``(edges, 2)``, int64, from the first to the second.
        edge_features: ``(edges, d)``, float32, or None.
        bare: it has no features of its own, and shows its degrees.
    """

    features: Tensor
    edges: Tensor
    edge_features: Tensor | None
    bare: bool


def checked_graph(data: Any, number: int, where: str) -> Graph:
    """A ``Data`` object as a graph.

    Raises:
        ConfigError: it is none, with its number and what is wrong.
    """

    def wrong(got: str, expected: str | None = None) -> ConfigError:
        return ConfigError(Problem(where, f"graph {number} {got}", expected))

    index, x = getattr(data, "edge_index", None), getattr(data, "x", None)
    if not isinstance(index, Tensor) or index.ndim != 2 or len(index) != 2 or index.is_floating_point():
        raise wrong(f"has edge_index {shown(index)}", "whole numbers (2, edges)")
    nodes = int(data.num_nodes or 0)
    if nodes == 0:
        raise wrong("has no nodes", "one or more")
    beyond = index[(index < 0) | (index >= nodes)]
    if len(beyond):
        raise wrong(f"has an edge to node {int(beyond[0])}", f"0 to {nodes - 1}")
    degrees = torch.bincount(index[1], minlength=nodes)[:, None].float()
    features = degrees if x is None else _numbers(x, "x", nodes, wrong)
    given = getattr(data, "edge_attr", None)
    edge_features = None if given is None else _numbers(given, "edge_attr", index.shape[1], wrong)
    return Graph(features, index.T.contiguous().long(), edge_features, x is None)


def _numbers(x: Any, name: str, rows: int, wrong: Any) -> Tensor:
    """Features ``(rows, d)`` in float32."""
    if not isinstance(x, Tensor) or x.ndim not in (1, 2) or x.is_complex() or len(x) != rows:
        raise wrong(f"has {name} {shown(x)}", f"numbers ({rows}, d)")
    found = x.detach().cpu().float().reshape(rows, -1)
    if not found.isfinite().all():
        row = int((~found.isfinite()).any(1).nonzero()[0])
        raise wrong(f"has {name} {found[row][~found[row].isfinite()][0].item()} in row {row}", "finite numbers")
    return found
