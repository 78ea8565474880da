"""Graphs: nodes with features, edges as a list and as a matrix, in any order and of any number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field as Limits

from symbench.algebra.actions import ActionRow, Family
from symbench.algebra.controls import ControlRow
from symbench.algebra.fields import Axis, Eigenvectors, Field, Index, Mask, Scalar, mask_of
from symbench.algebra.groups import GroupRow
from symbench.algebra.metrics import MetricRow
from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.common.datasets.numbers import least_and_most
from symbench.domains.common.models import ModelRow, Width
from symbench.domains.common.models.adapters import AdapterRow

NODES, EDGES = Axis("nodes"), Axis("edges")
FEATURES: Mapping[str, Field] = {"features": Scalar().over(NODES)}
EDGE_FEATURES: Mapping[str, Field] = {"edge_features": Scalar().over(EDGES)}
LIST: Mapping[str, Field] = {"edges": Index("nodes").over(EDGES)}
ENCODINGS: Mapping[str, Field] = {"encodings": Eigenvectors().over(NODES)}
MATRIX: Mapping[str, Field] = {"adjacency": Scalar().over(NODES, NODES)}
MASKS: Mapping[str, Field] = {mask_of(axis.name): Mask().over(axis) for axis in (NODES, EDGES)}
GRAPHS: Mapping[str, Field] = {**FEATURES, **LIST, **MATRIX, **MASKS}

MOST_NODES = 64


class GraphsOptions(Options):
    """``graphs``: connected random graphs of ``nodes`` nodes each, a number or ``[least, most]``.

    ``target: triangles`` asks for their number in the graph, ``distances`` for the mean length of the shortest paths
    from each node to all others. ``encoding: laplacian`` adds the first ``k`` eigenvectors of the Laplacian, as the
    leaf ``encodings``.
    """

    split: Split = "test"
    nodes: Annotated[tuple[int, int], least_and_most("nodes", MOST_NODES, 9)] = (4, 9)
    samples: Annotated[int, Limits(ge=2, le=1_000_000)] = 1000
    target: Literal["triangles", "distances"] = "triangles"
    seed: Annotated[int, Limits(ge=0)] = 0
    encoding: Literal["laplacian"] | None = None
    k: Annotated[int, Limits(ge=1, le=16)] = 4


Readout = Literal["graph", "nodes"]


class GnnOptions(Options):
    """``gnn`` and ``gnn-packed``: how neighbours are put together, and nodes where ``readout`` is ``graph``."""

    aggregation: Literal["sum", "mean", "max"] = "sum"
    readout: Readout = "graph"
    width: Width = 32
    depth: Annotated[int, Limits(ge=1, le=20)] = 3


class EncodedGnnOptions(GnnOptions):
    """``gnn-laplacian``: eigenvectors ``raw``, or so that neither their ``signs`` nor their ``bases`` matter."""

    encodings: Literal["raw", "signs", "bases"] = "raw"


class OfEigenvectors(Options):
    """``signs<k>`` and ``bases<k>``."""

    k: Annotated[int, Limits(ge=1, le=16)]


class PygOptions(Options):
    """``pyg/<NAME>``: what is between nodes and output; ``arguments`` are the network's own, such as ``heads: 4``.

    ``degrees`` is for PNA: how many nodes of the training data have 0, 1, 2 ... neighbours.
    """

    width: Width = 32
    depth: Annotated[int, Limits(ge=1, le=20)] = 3
    readout: Readout = "graph"
    pooling: Literal["sum", "mean", "max"] = "sum"
    degrees: Annotated[
        list[Annotated[int, Limits(ge=0)]], Limits(min_length=2, default_factory=lambda: [0, *[1] * 8])
    ]
    arguments: Annotated[dict[str, Any], Limits(default_factory=dict)]


class PygDataOptions(Options):
    """``pyg/<PATH>``: a data set's class, with its ``root``, ``name`` and further ``arguments``.

    A class that knows of no ``split`` is cut in two: every fifth graph of a random order is for testing. ``target``
    is the attribute that is to be predicted.
    """

    root: str = "data"
    name: str | None = None
    split: Literal["train", "test", "all"] = "all"
    target: str = "y"
    arguments: Annotated[dict[str, Any], Limits(default_factory=dict)]


class AdjacencyMlpOptions(Options):
    """``adjacency-mlp``: width of the hidden layers; what is returned is of the graph, or of its ``nodes``."""

    readout: Readout = "graph"
    width: Width = 128


GROUPS = {
    "signs<k>": GroupRow(
        "symbench.domains.graphs.bases:Signs",
        "a sign for each of k eigenvectors: v and -v are as good as each other",
        OfEigenvectors,
        "signs",
        order=lambda options: 2**options.k,
        aliases=("signs", "sign-flips"),
    ),
    "bases<k>": GroupRow(
        "symbench.domains.graphs.bases:Bases",
        "another basis for each eigenspace among k eigenvectors, which holds the signs of the simple ones",
        OfEigenvectors,
        "bases",
        aliases=("bases", "eigenspaces"),
    ),
}
FAMILIES = {"signs": Family(), "bases": Family()}
ACTIONS = {
    "negate-eigenvectors": ActionRow(
        "symbench.domains.graphs.turn:Negate", "negate eigenvectors", Options, "signs", "Eigenvectors"
    ),
    "turn-eigenspaces": ActionRow(
        "symbench.domains.graphs.turn:Turn",
        "turn the eigenvectors of each eigenspace",
        Options,
        "bases",
        "Eigenvectors",
    ),
}
DATASETS = {
    "graphs": DatasetRow(
        "symbench.domains.graphs.data:load",
        "connected random graphs with an exact target: how many triangles, or how far is each node from the others?",
        GraphsOptions,
        GRAPHS,
        varying=lambda options: {**GRAPHS, **(ENCODINGS if options["encoding"] else {})},
    ),
    "pyg/<PATH>": DatasetRow(
        "symbench.domains.graphs.pyg.data:load",
        "a data set of PyTorch Geometric, such as pyg/TUDataset with name: MUTAG",
        PygDataOptions,
        {**FEATURES, **LIST, **MASKS},
        aliases=("torch_geometric/<PATH>",),
    ),
}
SEQUENCES = {
    "graphs": DatasetRow(
        "symbench.domains.graphs.pyg.data:of_sequence",
        "a sequence of PyTorch Geometric's graphs",
        Options,
        {**FEATURES, **LIST, **MASKS},
        made_for="torch_geometric",
    ),
}
ADAPTERS = {
    "pyg": AdapterRow(
        "symbench.domains.graphs.pyg.networks:Adapted",
        "modules for PyTorch Geometric",
        takes=frozenset({"x", "edge_index"}),
        knows=frozenset({"batch", "edge_attr"}),
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
    "gnn-laplacian": ModelRow(
        "symbench.domains.graphs.encoded:EncodedGnn",
        "message passing that sees the Laplacian's eigenvectors: raw, up to signs (SignNet), or up to bases",
        EncodedGnnOptions,
        {**FEATURES, **ENCODINGS, **LIST, **MASKS},
        aliases=("signnet", "basisnet"),
    ),
    "pyg/<NAME>": ModelRow(
        "symbench.domains.graphs.pyg.networks:Pyg",
        "a network of PyTorch Geometric with a pooling behind it: GCN, GraphSAGE, GIN, GAT, PNA, EdgeCNN",
        PygOptions,
        {**FEATURES, **LIST, **MASKS},
        source=True,
        library="torch_geometric",
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
        version=2,
    ),
    "regular graphs": ControlRow(
        "symbench.domains.graphs.regular:separate",
        "which cycles of 41 nodes with skip links the model tells apart, all of whose nodes look alike",
        suits={**FEATURES, **LIST, **MASKS},
        passes=80,
    ),
}


def _share(name: str, of: str, heading: str) -> MetricRow:
    return MetricRow(
        f"symbench.domains.graphs.scores:{name}",
        f"share of {of}",
        unit="share",
        better="higher",
        scope="model",
        heading=heading,
        shown=(),
        observations=False,
    )


METRICS = {
    name: _share(name, of, heading)
    for name, of, heading in (
        ("separated_pairs", "pairs of non-isomorphic small graphs that the model tells apart", "pairs told apart %"),
        (
            "merged_orbits",
            "small graphs whose drawings, with nodes and edges in other orders, are all the same to the model",
            "merged %",
        ),
        (
            "separated_regular_pairs",
            "pairs of cycles of 41 nodes with skip links that the model tells apart",
            "regular apart %",
        ),
    )
}
