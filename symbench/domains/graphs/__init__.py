"""Graphs: nodes with features, edges as a list and as a matrix, in any order and of any number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.controls import ControlRow
from symbench.algebra.fields import Axis, Field, Index, Mask, Scalar, mask_of
from symbench.algebra.metrics import MetricRow
from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.common.datasets.numbers import least_and_most
from symbench.domains.common.models import ModelRow, Width

NODES, EDGES = Axis("nodes"), Axis("edges")
FEATURES: Mapping[str, Field] = {"features": Scalar().over(NODES)}
LIST: Mapping[str, Field] = {"edges": Index("nodes").over(EDGES)}
MATRIX: Mapping[str, Field] = {"adjacency": Scalar().over(NODES, NODES)}
MASKS: Mapping[str, Field] = {mask_of(axis.name): Mask().over(axis) for axis in (NODES, EDGES)}

MOST_NODES = 64


class GraphsOptions(Options):
    """``graphs``: connected random graphs of ``nodes`` nodes each, a number or ``[least, most]``.

    ``target: triangles`` asks for their number in the graph, ``distances`` for the mean length of the shortest paths
    from each node to all others.
    """

    split: Split = "test"
    nodes: Annotated[tuple[int, int], least_and_most("nodes", MOST_NODES, 9)] = (4, 9)
    samples: Annotated[int, Limits(ge=2, le=1_000_000)] = 1000
    target: Literal["triangles", "distances"] = "triangles"
    seed: Annotated[int, Limits(ge=0)] = 0


Readout = Literal["graph", "nodes"]


class GnnOptions(Options):
    """``gnn`` and ``gnn-packed``: how neighbours are put together, and nodes where ``readout`` is ``graph``."""

    aggregation: Literal["sum", "mean", "max"] = "sum"
    readout: Readout = "graph"
    width: Width = 32
    depth: Annotated[int, Limits(ge=1, le=20)] = 3


class AdjacencyMlpOptions(Options):
    """``adjacency-mlp``: width of the hidden layers; what is returned is of the graph, or of its ``nodes``."""

    readout: Readout = "graph"
    width: Width = 128


DATASETS = {
    "graphs": DatasetRow(
        "symbench.domains.graphs.data:load",
        "connected random graphs with an exact target: how many triangles, or how far is each node from the others?",
        GraphsOptions,
        {**FEATURES, **LIST, **MATRIX, **MASKS},
    ),
}
MODELS = {
    "gnn": ModelRow(
        "symbench.domains.graphs.gnn:Gnn",
        "message passing over the edges (Gilmer et al. 2017), by sum, mean or max: exact under permutations",
        GnnOptions,
        {**FEATURES, **LIST, **MASKS},
        aliases=("gcn", "gin", "mpnn"),
    ),
    "gnn-packed": ModelRow(
        "symbench.domains.graphs.gnn:PackedGnn",
        "the same without padding, all graphs of a batch end to end, as graph libraries have them",
        GnnOptions,
        {**FEATURES, **LIST, **MASKS},
    ),
    "adjacency-mlp": ModelRow(
        "symbench.domains.graphs.adjacency_mlp:AdjacencyMlp",
        "fully connected on the adjacency matrix: the numbering of the nodes matters",
        AdjacencyMlpOptions,
        {**FEATURES, **MATRIX},
        pads=True,
    ),
}
CONTROLS = {
    "expressiveness": ControlRow(
        "symbench.domains.graphs.expressiveness:separate",
        "which pairs of small graphs that are not the same the model tells apart",
        suits={**FEATURES, **LIST, **MASKS},
        passes=1136,
    ),
}
METRICS = {
    "separated_pairs": MetricRow(
        "symbench.domains.graphs.scores:separated_pairs",
        "share of pairs of non-isomorphic small graphs that the model tells apart",
        unit="share",
        better="higher",
        scope="model",
        heading="pairs told apart %",
        shown=(),
        observations=False,
    ),
}
