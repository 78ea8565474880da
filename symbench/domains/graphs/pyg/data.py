"""Data sets of PyTorch Geometric, and sequences of its graphs: checked, padded and held in memory."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Field
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, Problem, near_miss, one_of
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.graphs import EDGE_FEATURES, FEATURES, LIST
from symbench.domains.graphs.pyg.graph import Graph, checked_graph
from symbench.domains.graphs.pyg.library import library
from symbench.domains.graphs.pyg.targets import of_graphs

FIFTH = 5
"""One graph of so many is for testing, where the class knows of no split."""


def load(
    *,
    path: str,
    root: str,
    name: str | None,
    split: str,
    target: str,
    arguments: dict[str, Any],
    folder: Path = Path(),
    where: str = "",
) -> Graphs:
    """``torch_geometric.datasets.PATH``; it downloads what is not in ``root``.

    Args:
        path: the class.
        root: where its files are; relative to the suite's folder.
        name: which of the sets that the class knows.
        split: ``train`` or ``test``, given as ``split=`` or ``train=`` where the class takes that; or ``all``.
        target: the attribute that is to be predicted.
        arguments: further ones of the class.
        folder: what a relative ``root`` starts from.
        where: the suite's key, for messages.

    Raises:
        ConfigError: there is no such class, it cannot be loaded, or one of its graphs is none.
    """
    where = where or f"pyg/{path}"
    factory = _class(library(where, "datasets"), path, where)
    takes = inspect.signature(factory).parameters
    given: dict[str, Any] = {"root": str(folder / root), "name": name, **_split(takes, split), **arguments}
    for key in arguments:
        if key not in takes:
            expected = f"one of {one_of(takes)}"
            raise ConfigError(Problem(where, f"{path} takes no argument {key!r}", expected, near_miss(key, takes)))
    if name is not None and "name" not in takes:
        raise ConfigError(Problem(where, f"got name {name!r}, and {path} takes none", f"one of {one_of(takes)}"))
    given = {key: value for key, value in given.items() if key in takes and value is not None}
    remedy = (
        f"It looks in {folder / root}, and downloads what is not there: are you online?" if "root" in takes else None
    )
    with foreign(ConfigError, where, f"PyTorch Geometric's {path}", None, remedy), _seeded():
        found = list(factory(**given))
    whole = of_sequence(found, where=where, target=target)
    if split == "all" or _split(takes, split):
        return whole
    order = np.random.default_rng(0).permutation(len(whole)).tolist()
    chosen = [i for place, i in enumerate(order) if (place % FIFTH == 0) == (split == "test")]
    if not chosen or all(i in whole.unusable for i in chosen):
        raise ConfigError(Problem(where, f"no graph with edges is left for split {split}", "split: all"))
    return whole.some(chosen)


def _class(datasets: ModuleType, path: str, where: str) -> Any:
    known = [name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))]
    if path not in known:
        got, expected = (
            f"PyTorch Geometric has no data set {path!r}",
            "the name of a class in torch_geometric.datasets",
        )
        raise ConfigError(Problem(where, got, expected, near_miss(path, known)))
    return getattr(datasets, path)


def _split(takes: Sequence[str] | Any, split: str) -> dict[str, Any]:
    """How a class is told which half is meant; empty where it knows of none."""
    if split == "all":
        return {}
    known: dict[str, Any] = {"split": split, "train": split == "train"}
    return {key: value for key, value in known.items() if key in takes}


@contextmanager
def _seeded() -> Iterator[None]:
    """Sets whose graphs are drawn, such as FakeDataset, draw the same ones each time; no one else notices."""
    before = random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(before)


class Graphs(Arrays):
    """Graphs in memory, padded; those without an edge are left out, since nothing passes along none.

    Attributes:
        names: what each graph is called where graphs are a part of a set: by its number there.
        notes: what people should be told beside which are left out.
    """

    def __init__(
        self,
        leaves: dict[str, Tensor],
        targets: dict[str, Tensor],
        *,
        fields: Mapping[str, Field],
        target_fields: Mapping[str, Field],
        sizes: Mapping[str, Sequence[int]],
        names: Sequence[int],
        notes: Sequence[str],
    ) -> None:
        super().__init__(leaves, targets, fields=fields, target_fields=target_fields, sizes=sizes)
        self.names, self.notes = list(names), list(notes)
        bare = (leaves["edges"] < 0).all(dim=(1, 2)).nonzero().flatten().tolist()
        self.unusable = {i: f"graph {self.names[i]} has no edges" for i in bare}

    @classmethod
    def of(
        cls, graphs: Sequence[Graph], targets: dict[str, Tensor], fields: Mapping[str, Field], notes: Sequence[str]
    ) -> Self:
        """Graphs that are checked, with their targets and the fields of these."""
        nodes, edges = max(len(g.features) for g in graphs), max(1, *(len(g.edges) for g in graphs))
        leaves = {
            "features": torch.stack([_padded(g.features, nodes, 0) for g in graphs]),
            "edges": torch.stack([_padded(g.edges, edges, -1) for g in graphs]),
        }
        given = [_padded(g.edge_features, edges, 0) for g in graphs if g.edge_features is not None]
        leaves |= {"edge_features": torch.stack(given)} if given else {}
        return cls(
            leaves,
            targets,
            fields={**FEATURES, **LIST, **(EDGE_FEATURES if given else {})},
            target_fields=fields,
            sizes={"nodes": [len(g.features) for g in graphs], "edges": [max(1, len(g.edges)) for g in graphs]},
            names=range(len(graphs)),
            notes=notes,
        )

    def some(self, chosen: Sequence[int]) -> Self:
        """The graphs with these numbers, padded as all of them are."""
        rows = torch.tensor(chosen)
        return type(self)(
            {name: x[rows] for name, x in self.leaves.items()},
            {name: x[rows] for name, x in self.target_values.items()},
            fields=self.fields,
            target_fields=self.targets,
            sizes={axis: [sizes[i] for i in chosen] for axis, sizes in self.sizes.items()},
            names=[self.names[i] for i in chosen],
            notes=self.notes,
        )

    def called(self, index: int) -> str:
        """By its number."""
        return f"graph {self.names[index]}"

    def remarks(self) -> list[str]:
        """Which graphs were left out, and what was made of features and targets."""
        left = list(self.unusable)
        if not left:
            return self.notes
        first = ", ".join(str(self.names[i]) for i in left[:3]) + (" ..." if len(left) > 3 else "")
        return [f"{len(left):,} of {len(self):,} graphs have no edges and are left out: {first}.", *self.notes]


def _padded(x: Tensor, length: int, fill: float) -> Tensor:
    return torch.cat([x, x.new_full((length - len(x), *x.shape[1:]), fill)])


def of_sequence(found: Sequence[Any], *, where: str, target: str = "y") -> Graphs:
    """Graphs of PyTorch Geometric as a data set.

    Args:
        found: ``Data`` objects: ``x`` and ``edge_index``, ``edge_attr`` and the target where they have them. Where
            none has ``x``, the feature of a node is its degree.
        where: the suite's key, for messages.
        target: the attribute that is to be predicted.

    Raises:
        ConfigError: there are none, or one of them is no graph, with its number.
    """
    with foreign(ConfigError, where, "reading its graphs"):
        given = [found[i] for i in range(len(found))]
    if not given:
        raise ConfigError(Problem(where, "got no graphs", "one or more"))
    graphs = [checked_graph(each, i, where) for i, each in enumerate(given)]
    for i, each in enumerate(graphs):
        _check_alike(graphs[0], each, i, where)
    values, field, notes = of_graphs([getattr(each, target, None) for each in given], graphs, target, where)
    notes += ["Graphs have no x: the feature of a node is its degree."] if graphs[0].bare else []
    known = {} if values is None else {target: values}
    made = Graphs.of(graphs, known, {} if field is None else {target: field}, notes)
    if len(made.unusable) == len(made):
        raise ConfigError(Problem(where, "none of the graphs has an edge", "edge_index with some columns"))
    return made


def _check_alike(first: Graph, graph: Graph, number: int, where: str) -> None:
    """Refuse a graph with other features than the first one."""
    for name in ("features", "edge_features"):
        widths = [None if x is None else x.shape[1] for x in (getattr(first, name), getattr(graph, name))]
        if widths[0] != widths[1] or (name == "features" and first.bare != graph.bare):
            what = "x" if name == "features" else "edge_attr"
            bare = [name == "features" and each.bare for each in (first, graph)]
            has = ["no" if none or width is None else width for width, none in zip(widths, bare, strict=True)]
            got = f"graph {number} has {has[1]} columns of {what}, and graph 0 has {has[0]}"
            raise ConfigError(Problem(where, got, "as many for all graphs"))
