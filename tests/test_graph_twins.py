"""Graphs: what sums tell apart, fixed points of permutations, and broken twins of how nodes are permuted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from symbench.algebra import actions, groups
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.padding import checked
from symbench.domains.graphs.gnn import Gnn, aggregate

TAKES = ["features", "edges", "nodes_mask", "edges_mask"]


def made(**options: Any) -> Dataset:
    row = DATASETS.row("graphs")
    given = checked_options(row.options, {"samples": 60, **options}, "data").model_dump()
    return checked(row.load()(**given), "data")


def network(data: Dataset) -> nn.Module:
    torch.manual_seed(0)
    return Gnn(shapes=data.shapes(), outputs=2, width=16).double()


def called(module: nn.Module, leaves: dict[str, Tensor]) -> Tensor:
    given = {name: x.double() if x.is_floating_point() else x for name, x in leaves.items()}
    with torch.no_grad():
        return module(**{name: given[name] for name in TAKES})["graph"]


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_only_sums_tell_one_of_a_kind_from_two(how: str) -> None:
    """{1, 1} against {1}, Xu et al. (2019)."""
    one, two = (aggregate(torch.ones(n, 1), torch.zeros(n, dtype=torch.int64), 1, how) for n in (1, 2))
    assert torch.equal(one, two) == (how != "sum")


def test_fixed_points_of_permutations_have_mean_and_variance_1(generator: torch.Generator) -> None:
    group = groups.load("S6", {})
    drawn = group.sample(20_000, generator=generator)
    fixed = (drawn == torch.arange(6)).sum(1).double()
    assert float(fixed.mean()) == pytest.approx(1, abs=4 / 20_000**0.5)
    assert float(fixed.var()) == pytest.approx(1, abs=4 * (3 / 20_000) ** 0.5)  # the fourth moment of Poisson(1) is 4


def test_masks_that_do_not_move_with_their_nodes_are_caught(generator: torch.Generator) -> None:
    """The broken twin: nodes are permuted over the padding too, and masks stay where they are."""
    module, leaves = network(made()), made().batch(range(60)).leaves
    order = torch.randperm(9, generator=generator)
    images = order.argsort()
    moved = {
        **leaves,
        "features": leaves["features"][:, order],
        "edges": torch.where(leaves["edges"] < 0, -1, images[leaves["edges"].clamp(min=0)]),
    }
    before = called(module, leaves)
    whole = {**moved, "nodes_mask": leaves["nodes_mask"][:, order]}
    assert torch.allclose(called(module, whole), before, rtol=0, atol=1e-12)
    assert (called(module, moved) - before).abs().max() > 1e-3


def test_indices_renamed_the_wrong_way_are_caught(generator: torch.Generator) -> None:
    """The broken twin: ``e -> g^-1[e]`` in the place of ``g[e]``, which agrees for involutions alone."""
    group = groups.load("S4", {})
    g = group.sample(64, generator=generator)
    data = made(nodes=4)
    module = network(data)
    leaves = data.batch(range(60)).leaves
    act = {name: actions.load(group, "S4", field, {}, on=data.fields["features"], leaf=name)
           for name, field in data.fields.items()}  # fmt: skip
    before, errors = called(module, leaves), {}
    for right in (True, False):
        renaming = g if right else group.inverse(g)
        edges = act["edges"].act(renaming, leaves["edges"])
        features = act["features"].act(g, leaves["features"])
        after = [called(module, {**leaves, "edges": e, "features": f})
                 for e, f in zip(edges, features, strict=True)]  # fmt: skip
        errors[right] = (torch.stack(after) - before).abs().amax((1, 2))
    involutions = (group.compose(g, g) == torch.arange(4)).all(1)
    assert errors[True].max() < 1e-12
    assert errors[False][involutions].max() < 1e-12
    assert errors[False][~involutions].min() > 1e-4
