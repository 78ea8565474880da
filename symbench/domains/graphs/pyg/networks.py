"""Networks of PyTorch Geometric with a readout, and users' modules behind packed leaves."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Axis, Field, Scalar
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, Problem, near_miss, one_of
from symbench.domains.common.models.source import Description, Source
from symbench.domains.graphs import EDGE_FEATURES, FEATURES, LIST, NODES
from symbench.domains.graphs.gnn import aggregate
from symbench.domains.graphs.pyg.library import library
from symbench.domains.graphs.readout import check_readout, declared_output


@dataclass(frozen=True)
class Pyg(Source):
    """``torch_geometric.nn.models.NAME`` on the nodes, with a pooling and a linear layer behind it."""

    name: str
    width: int
    depth: int
    readout: str
    pooling: str
    degrees: list[int]
    arguments: Mapping[str, Any]

    def describe(self) -> Description:
        """Nothing beyond that there is such a network."""
        self._network()
        return Description()

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """With fresh weights, for features ``(nodes, d)``."""
        nodes, features = shape
        each = outputs
        if self.readout == "nodes":
            each = max(1, outputs // nodes)
            check_readout(self.readout, outputs // each, nodes)
        found, given = self._network(), dict(self.arguments)
        if self.name == "PNA":
            given = {"aggregators": AGGREGATORS, "scalers": SCALERS, "deg": torch.tensor(self.degrees), **given}
        expected = f"what it takes: {one_of(inspect.signature(found).parameters)}"
        with foreign(ConfigError, self.where, f"{self.name} with arguments {given}", expected):
            body = found(features, self.width, self.depth, **given)
        return Network(body, self.width, each, self.readout, self.pooling)

    def _network(self) -> type[nn.Module]:
        models = library(self.where, "nn.models")
        base = library(self.where, "nn.models.basic_gnn").BasicGNN
        known = [name for name, each in vars(models).items() if inspect.isclass(each) and issubclass(each, base)]
        if self.name not in known:
            got = f"PyTorch Geometric has no network {self.name!r} of node features"
            remedy = near_miss(self.name, known) or "A module of your own is use: file.py:attr."
            raise ConfigError(Problem(self.where, got, f"one of {one_of(known)}", remedy))
        found: type[nn.Module] = getattr(models, self.name)
        return found


AGGREGATORS = ["mean", "min", "max", "std"]
SCALERS = ["identity", "amplification", "attenuation"]
"""Those of the paper: Corso et al., 2020."""


class Network(nn.Module):
    """A network on nodes, and a linear layer on each node or on what is pooled of each graph."""

    layout: ClassVar[str] = "packed"
    inputs: ClassVar[Mapping[str, Field]] = {**FEATURES, **LIST}

    def __init__(self, body: nn.Module, width: int, outputs: int, readout: str, pooling: str) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, outputs)
        self.readout, self.pooling = readout, pooling
        self.outputs = declared_output(readout)

    def forward(self, features: Tensor, edges: Tensor, nodes_batch: Tensor, edges_batch: Tensor) -> dict[str, Tensor]:
        """``(all nodes, d)`` and ``(all edges, 2)`` to ``(graphs, outputs)`` or ``(all nodes, outputs)``."""
        del edges_batch
        x = self.body(features, edges.T)
        if self.readout == "graph":
            # ReLU first, since what is pooled has to be 0 or more
            return {"graph": self.head(aggregate(x.relu(), nodes_batch, int(nodes_batch.max()) + 1, self.pooling))}
        out: Tensor = self.head(x)
        return {"nodes": out[:, 0] if out.shape[1] == 1 else out}


class Adapted(nn.Module):
    """A module whose ``forward`` takes ``x`` and ``edge_index``, behind leaves of graphs.

    ``batch`` and ``edge_attr`` are handed to it where it takes them. One that does not take ``batch`` cannot know of
    graphs, so that what it returns is taken to be of nodes, unless it declares ``outputs``.
    """

    layout: ClassVar[str] = "packed"

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        takes = inspect.signature(module.forward).parameters
        self.batched = "batch" in takes
        edges = "edge_attr" in takes and takes["edge_attr"].default is inspect.Parameter.empty
        self.inputs: Mapping[str, Field] = {**FEATURES, **LIST, **(EDGE_FEATURES if edges else {})}
        nodes: Mapping[str, Field] = {"nodes": Scalar().over(Axis(NODES.name))}
        self.outputs = getattr(module, "outputs", None) or (None if self.batched else nodes)

    def forward(self, features: Tensor, edges: Tensor, nodes_batch: Tensor, **others: Tensor) -> Any:
        """What the module makes of ``(all nodes, d)`` and ``(2, all edges)``."""
        given: dict[str, Tensor] = {"x": features, "edge_index": edges.T.contiguous()}
        given |= {"batch": nodes_batch} if self.batched else {}
        given |= {"edge_attr": others["edge_features"]} if "edge_features" in others else {}
        return self.module(**given)
