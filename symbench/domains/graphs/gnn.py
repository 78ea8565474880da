"""Message passing: Gilmer et al., 2017; what sum, mean and max can tell apart: Xu et al., 2019."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field
from symbench.domains.graphs import FEATURES, LIST, GnnOptions
from symbench.domains.graphs.readout import check_readout, declared_output


def aggregate(values: Tensor, index: Tensor, places: int, how: str) -> Tensor:
    """The sum, mean or maximum of the rows that go to each place; 0 where none does.

    Args:
        values: ``(rows, d)``, 0 or more, so that 0 is the maximum of none and is never above one of some.
        index: where each row goes, ``(rows,)``; -1 for nowhere.
        places: how many there are.
        how: ``sum``, ``mean`` or ``max``.
    """
    target = torch.where(index < 0, places, index)  # one place more, for padding, which is dropped again
    found = values.new_zeros(places + 1, values.shape[1])
    if how == "max":
        return found.scatter_reduce(0, target[:, None].expand_as(values), values, "amax")[:-1]
    total = found.index_add(0, target, values)[:-1]
    if how == "sum":
        return total
    count = values.new_zeros(places + 1).index_add(0, target, values.new_ones(len(values)))[:-1]
    return total / count.clamp(min=1)[:, None]


class Round(nn.Module):
    """Every node hears a message from each neighbour, and has a new value from its own and what it heard."""

    def __init__(self, inputs: int, width: int, aggregation: str) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.message = nn.Sequential(nn.Linear(inputs, width), nn.ReLU())
        self.update = nn.Sequential(nn.Linear(inputs + width, width), nn.ReLU())

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Nodes ``(nodes, d)`` and edges ``(edges, 2)``, first to second, to nodes ``(nodes, width)``."""
        messages = self.message(x)[edges[:, 0].clamp(min=0)]  # of padding too: it goes nowhere
        heard = aggregate(messages, edges[:, 1], len(x), self.aggregation)
        new: Tensor = self.update(torch.cat([x, heard], dim=1))
        return new


class MessagePassing(nn.Module):
    """Rounds of messages, and a head on each node or on all nodes of a graph together. Graphs lie end to end."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], outputs: int, asked: GnnOptions) -> None:
        super().__init__()
        nodes, features = shapes["features"]
        check_readout(asked.readout, outputs, nodes)
        self.aggregation, self.readout = asked.aggregation, asked.readout
        inputs = [features, *[asked.width] * (asked.depth - 1)]
        self.rounds = nn.ModuleList(Round(each, asked.width, asked.aggregation) for each in inputs)
        numbers = outputs if asked.readout == "graph" else 1
        self.head = nn.Sequential(nn.Linear(asked.width, asked.width), nn.ReLU(), nn.Linear(asked.width, numbers))

    def forward(self, features: Tensor, edges: Tensor, graph: Tensor, graphs: int) -> Tensor:
        """Outputs ``(graphs, outputs)``, or ``(nodes,)``.

        Args:
            features: ``(nodes, d)``.
            edges: ``(edges, 2)``, nodes counted over all graphs; -1 where there is none.
            graph: the number of each node's graph, ``(nodes,)``; -1 for none.
            graphs: how many there are.
        """
        x = features
        for one in self.rounds:
            x = one(x, edges)
        out: Tensor = self.head(aggregate(x, graph, graphs, self.aggregation) if self.readout == "graph" else x)
        return out if self.readout == "graph" else out[:, 0]


class Gnn(nn.Module):
    """On padded leaves, with masks that say what is real."""

    def __init__(self, *, shapes: Mapping[str, tuple[int, ...]], outputs: int, **options: Any) -> None:
        super().__init__()
        self.core = MessagePassing(shapes, outputs, GnnOptions(**options))
        self.outputs = declared_output(self.core.readout)

    def forward(self, features: Tensor, edges: Tensor, nodes_mask: Tensor, edges_mask: Tensor) -> dict[str, Tensor]:
        """``(n, nodes, d)`` and ``(n, edges, 2)`` with their masks to ``(n, outputs)``, or ``(n, nodes)``."""
        n, nodes = nodes_mask.shape
        number = torch.arange(n, device=edges.device)[:, None]
        counted = torch.where(edges_mask[..., None], edges + nodes * number[..., None], -1)
        graph = torch.where(nodes_mask, number, -1)
        out = self.core(features.flatten(0, 1), counted.flatten(0, 1), graph.flatten(), n)
        return {self.core.readout: out if self.core.readout == "graph" else out.unflatten(0, (n, nodes))}


class PackedGnn(nn.Module):
    """On packed leaves, without padding: the same network, with weights of the same names."""

    layout: ClassVar[str] = "packed"
    inputs: ClassVar[Mapping[str, Field]] = {**FEATURES, **LIST}

    def __init__(self, *, shapes: Mapping[str, tuple[int, ...]], outputs: int, **options: Any) -> None:
        super().__init__()
        self.core = MessagePassing(shapes, outputs, GnnOptions(**options))
        self.outputs = declared_output(self.core.readout)

    def forward(self, features: Tensor, edges: Tensor, nodes_batch: Tensor, edges_batch: Tensor) -> dict[str, Tensor]:
        """``(all nodes, d)`` and ``(all edges, 2)`` to ``(graphs, outputs)``, or ``(all nodes,)``."""
        del edges_batch  # edges name nodes, which say of which graph they are
        return {self.core.readout: self.core(features, edges, nodes_batch, int(nodes_batch.max()) + 1)}
