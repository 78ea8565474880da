"""Graphs: labels against other libraries, networks under both groups, padding, layouts, and what is told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, Symbench
from scipy.sparse import csgraph, csr_array
from torch import Tensor, nn
from torch.nn.functional import pad

from symbench import open_run
from symbench.algebra import actions, groups
from symbench.algebra.controls import CONTROLS, ControlRow, Subject, suiting
from symbench.algebra.fields import declared
from symbench.algebra.groups.base import PermutesPlaces
from symbench.base.errors import ConfigError, ModelError
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.padding import checked
from symbench.domains.common.models.layout import Packing
from symbench.domains.graphs import FEATURES, LIST, MASKS, GraphsOptions
from symbench.domains.graphs.adjacency_mlp import AdjacencyMlp
from symbench.domains.graphs.data import mean_distances, random_graph, triangles
from symbench.domains.graphs.expressiveness import separate, told_apart
from symbench.domains.graphs.gnn import Gnn, PackedGnn, aggregate
from symbench.domains.graphs.pairs import canonical, connected, cycles, graphs, hard

AGGREGATIONS = ["sum", "mean", "max"]
READOUTS = ["graph", "nodes"]
TAKES = ["features", "edges", "nodes_mask", "edges_mask"]


def made(**options: Any) -> Dataset:
    row = DATASETS.row("graphs")
    return checked(
        row.load()(**checked_options(row.options, {"samples": 40, **options}, "data").model_dump()), "data"
    )


def network(data: Dataset, aggregation: str, readout: str, packed: bool = False, width: int = 8) -> nn.Module:
    """In float64, seeded."""
    shapes = data.shapes()
    torch.manual_seed(0)
    made_by = PackedGnn if packed else Gnn
    outputs = shapes["features"][0] if readout == "nodes" else 2
    module = made_by(shapes=shapes, outputs=outputs, aggregation=aggregation, readout=readout, width=width).double()
    return Packing(module, declared(PackedGnn.inputs) or {}, module.outputs) if packed else module


def called(module: nn.Module, leaves: dict[str, Tensor], takes: Iterable[str] = TAKES) -> Tensor:
    given = {name: x.double() if x.is_floating_point() else x for name, x in leaves.items()}
    with torch.no_grad():
        (out,) = module(**{name: given[name] for name in takes}).values()
    assert isinstance(out, Tensor)
    return out


# Labels.


def drawn(count: int = 60) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [random_graph(rng, 2, 12) for _ in range(count)]


def test_triangles_are_a_sixth_of_the_trace_of_the_cube() -> None:
    found = [triangles(graph) for graph in drawn()]
    assert found == [int(np.trace(np.linalg.matrix_power(graph.astype(int), 3))) // 6 for graph in drawn()]
    assert len(set(found)) > 10


def test_distances_are_scipys() -> None:
    for graph in drawn():
        n = len(graph)
        theirs = csgraph.shortest_path(csr_array(graph.astype(float)), unweighted=True)
        assert np.array_equal(mean_distances(graph), theirs.sum(1) / (n - 1))
        assert csgraph.connected_components(csr_array(graph), directed=False)[0] == 1


def test_labels_and_features_do_not_depend_on_the_order_of_the_nodes_by_a_bit() -> None:
    rng = np.random.default_rng(4)
    for graph in drawn(20):
        order = rng.permutation(len(graph))
        moved = graph[np.ix_(order, order)]
        assert triangles(moved) == triangles(graph)
        assert np.array_equal(mean_distances(moved), mean_distances(graph)[order])


@pytest.mark.parametrize("target", ["triangles", "distances"])
def test_leaves_say_the_same_of_each_graph(target: str) -> None:
    data = made(target=target)
    batch = data.batch(range(len(data)))
    sizes = {axis: torch.tensor(data.sizes[axis]) for axis in ("nodes", "edges")}
    adjacency, edges = batch.leaves["adjacency"], batch.leaves["edges"]
    assert sizes["nodes"].unique().tolist() == [4, 5, 6, 7, 8, 9]
    assert torch.equal(batch.leaves["nodes_mask"].sum(1), sizes["nodes"])
    assert torch.equal(batch.leaves["edges_mask"].sum(1), sizes["edges"])
    assert torch.equal(batch.leaves["features"][..., 0], adjacency.sum(2))
    for i, count in enumerate(sizes["edges"].tolist()):
        again = torch.zeros(9, 9)
        again[edges[i, :count, 0], edges[i, :count, 1]] = 1
        assert torch.equal(again, adjacency[i])
        assert (edges[i, count:] == -1).all()
        graph = adjacency[i].bool().numpy()[: data.sizes["nodes"][i], : data.sizes["nodes"][i]]
        values = batch.targets[target][i]
        if target == "triangles":
            assert values.tolist() == [triangles(graph)]
        else:
            assert values[: len(graph)].tolist() == torch.from_numpy(mean_distances(graph)).float().tolist()
            assert (values[len(graph) :] == 0).all()
    assert made(target=target).digest() == data.digest(), "the same each time"
    assert made(target=target, split="train").digest() != data.digest()
    assert made(target=target, nodes=5).shapes()["adjacency"] == (5, 5)


@pytest.mark.parametrize("nodes", [1, [9, 4], [4, 65], [4, 5, 6], [4.0, 9.0], True, "9"])
def test_numbers_of_nodes_that_cannot_be_are_refused(nodes: object) -> None:
    with pytest.raises(ConfigError, match="nodes"):
        checked_options(GraphsOptions, {"nodes": nodes}, "here")


# Networks.


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_aggregation_is_a_loop_over_rows(how: str) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(12, 3, generator=generator, dtype=torch.float64)
    index = torch.randint(-1, 4, (12,), generator=generator)
    index[index == 2] = 1
    loop: Callable[[Tensor], Tensor] = {
        "sum": lambda x: x.sum(0), "mean": lambda x: x.mean(0), "max": lambda x: x.max(0).values,
    }[how]  # fmt: skip
    for place, row in enumerate(aggregate(values, index, 5, how)):
        mine = values[index == place]
        assert torch.allclose(row, loop(mine) if len(mine) else torch.zeros(3).double(), atol=1e-15)
    assert not (index == 2).any(), "one place hears nothing"


def moved(data: Dataset, on: str, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor, dict[str, Any]]:
    """The samples, each moved by an element of its own; the elements ``(1, n, places)``; and how each leaf moves."""
    leaves, shapes = data.batch(range(len(data))).leaves, data.shapes()
    axis = data.fields[on].axes[0]
    group = groups.load("S", {}, places=shapes[on][0])
    assert isinstance(group, PermutesPlaces)
    each = [group.sample_within(size, 1, generator=generator) for size in data.sizes[axis]]
    acts = {
        name: actions.load(group, "S", field, {}, on=data.fields[on], leaf=name)
        for name, field in data.fields.items()
    }
    g = torch.cat(each)[None]
    return {name: acts[name].act(g, x)[0] for name, x in leaves.items()}, g, acts


@pytest.mark.parametrize("on", ["features", "edges"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_networks_are_exact_under_both_groups(
    aggregation: str, readout: str, on: str, generator: torch.Generator
) -> None:
    data = made()
    module = network(data, aggregation, readout)
    leaves = data.batch(range(len(data))).leaves
    after, g, acts = moved(data, on, generator)
    expected = called(module, leaves)
    if readout == "nodes":
        real = leaves["nodes_mask"]
        assert torch.equal(after["nodes_mask"], real)
        if on == "features":
            expected = acts["features"].act(g, expected[..., None])[0][..., 0]
        assert torch.allclose(called(module, after)[real], expected[real], rtol=0, atol=1e-14)
    else:
        assert torch.allclose(called(module, after), expected, rtol=0, atol=1e-13)
    assert expected.std(0).min() > 1e-4, "graphs differ"


def test_the_mlp_on_the_matrix_depends_on_the_numbering(generator: torch.Generator) -> None:
    data = made()
    torch.manual_seed(0)
    module = AdjacencyMlp(shapes=data.shapes(), outputs=1, readout="graph", width=16).double()
    leaves, takes = data.batch(range(len(data))).leaves, ["features", "adjacency"]
    before = called(module, leaves, takes)
    assert (called(module, moved(data, "features", generator)[0], takes) - before).abs().mean() > 1e-3
    assert torch.equal(called(module, moved(data, "edges", generator)[0], takes), before)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_padding_changes_nothing(aggregation: str, readout: str) -> None:
    data = made()
    module = network(data, aggregation, readout)
    leaves = data.batch(range(len(data))).leaves
    wider = {
        "features": pad(leaves["features"], (0, 0, 0, 3), value=7.0),
        "edges": pad(leaves["edges"], (0, 0, 0, 5), value=2),
        "nodes_mask": pad(leaves["nodes_mask"], (0, 3)),
        "edges_mask": pad(leaves["edges_mask"], (0, 5)),
    }
    before, after = called(module, leaves), called(module, wider)
    after = after[:, :9][leaves["nodes_mask"]] if readout == "nodes" else after
    before = before[leaves["nodes_mask"]] if readout == "nodes" else before
    assert torch.allclose(after, before, rtol=0, atol=1e-14)
    unmasked = called(module, wider | {"edges_mask": torch.ones_like(wider["edges_mask"])})
    assert not torch.allclose(unmasked[:, :2], called(module, wider)[:, :2]), "masks matter"


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_packed_is_padded(aggregation: str, readout: str) -> None:
    data = made()
    leaves = data.batch(range(len(data))).leaves
    padded, packed = (called(network(data, aggregation, readout, packed), leaves) for packed in (False, True))
    if readout == "nodes":
        padded = padded.masked_fill(~leaves["nodes_mask"], 0)
    assert torch.allclose(packed, padded, rtol=0, atol=1e-14)


def test_a_readout_that_does_not_fit_the_target_is_refused() -> None:
    with pytest.raises(
        ModelError,
        match="readout: got nodes, and a graph's target is of size 1, expected 9, one number for each node",
    ):
        Gnn(shapes={"features": (9, 1)}, outputs=1, readout="nodes")


# What is told apart.


def test_no_two_graphs_are_isomorphic_and_none_is_missing() -> None:
    assert [len(connected(n)) for n in range(1, 7)] == [1, 1, 2, 6, 21, 112], "OEIS A001349"
    codes = [canonical(graph) for graph in graphs()]
    assert len(set(codes)) == len(codes) == 142
    rng = np.random.default_rng(0)
    for graph, code in zip(graphs(), codes, strict=True):
        order = rng.permutation(len(graph))
        assert canonical(graph[np.ix_(order, order)]) == code
        assert csgraph.connected_components(csr_array(graph))[0] == (1 if code != canonical(cycles(3, 3)) else 2)


def proportions(colours: Iterable[Hashable]) -> Hashable:
    counts = Counter(colours)
    return frozenset((colour, Fraction(count, counts.total())) for colour, count in counts.items())


SUMMARIES: dict[str, Callable[[Iterable[Hashable]], Hashable]] = {
    "sum": lambda colours: frozenset(Counter(colours).items()), "mean": proportions, "max": frozenset,
}  # fmt: skip


def refined(graph: np.ndarray, summary: Callable[[Iterable[Hashable]], Hashable], rounds: int = 3) -> Hashable:
    """What is left of a graph when nodes hear of their neighbours' colours only by a summary."""
    colours: list[Hashable] = graph.sum(1).tolist()
    for _ in range(rounds):
        heard = [summary(colours[j] for j in np.flatnonzero(row)) for row in graph]
        colours = list(zip(colours, heard, strict=True))
    return summary(colours)


def subject(module: nn.Module, takes: Iterable[str] = TAKES, **changes: Any) -> Subject:
    def run(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: called(module, leaves, takes) for name in module.outputs}  # type: ignore[union-attr]

    known = {"shapes": made().shapes(), "outputs": module.outputs, "rounding": 2.0**-52}
    return Subject(run=run, takes=list(takes), **(known | changes))


@pytest.mark.parametrize(("aggregation", "confused"), [("sum", 4), ("mean", 16), ("max", 28)])
def test_networks_tell_apart_what_refining_colours_does(aggregation: str, confused: int) -> None:
    """As strong as their summary of neighbours allows, and no stronger: Xu et al. (2019)."""
    found = [refined(graph, SUMMARIES[aggregation]) for graph in graphs()]
    pairs = [(i, j) for j in range(len(found)) for i in range(j) if hard(graphs()[i], graphs()[j])]
    assert sum(found[i] == found[j] for i, j in pairs) == confused
    facts = separate(subject(network(made(), aggregation, "graph", width=32)))
    assert len(pairs) == facts["graph_pairs"] == 615
    assert facts["separated_pairs"] == 1 - confused / 615


def test_nodes_are_compared_as_distributions() -> None:
    """A cycle of 5 and one of 6 have nodes of one kind, and more of them tells nothing."""
    found = separate(subject(network(made(), "mean", "nodes")))
    assert found == separate(subject(network(made(), "mean", "graph")))


def test_what_depends_on_the_numbering_is_not_credited_for_that() -> None:
    data = made()
    torch.manual_seed(0)
    module = AdjacencyMlp(shapes=data.shapes(), outputs=1, readout="graph", width=64).double()
    assert (separate(subject(module, ["features", "adjacency"]))["separated_pairs"] or 0) < 0.1


def test_a_constant_tells_nothing_apart() -> None:
    module = network(made(), "sum", "graph")
    for p in module.core.head[0].parameters():  # type: ignore[index, union-attr]
        nn.init.zeros_(p)
    assert separate(subject(module))["separated_pairs"] == 0


def test_rounding_is_no_difference() -> None:
    values = torch.tensor([[1.0, 1.0 + 1e-15], [1.0 + 3e-15, 1.0], [2.0, 2.0]], dtype=torch.float64)[..., None]
    assert told_apart(values, 2.0**-52).tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    far = torch.tensor([[1.0, 3.0], [2.0, 2.0]])[..., None]
    assert not told_apart(far, 2.0**-52).any(), "drawings of one graph differ more"


def test_small_data_have_fewer_graphs_and_other_leaves_are_a_reason() -> None:
    module = network(made(), "sum", "graph")
    assert separate(subject(module, shapes=made(nodes=4).shapes()))["graph_pairs"] == 2
    with pytest.raises(ModelError, match="the model takes weights"):
        separate(subject(module, [*TAKES, "weights"]))


def test_a_control_is_run_where_it_suits() -> None:
    assert isinstance(CONTROLS.row("expressiveness"), ControlRow)
    assert list(suiting(made().fields)) == ["expressiveness", "regular graphs"]
    assert list(suiting({**FEATURES, **LIST, **MASKS})) == ["expressiveness", "regular graphs"]
    assert suiting({**FEATURES, **LIST}) == {}
    assert suiting({"image": LIST["edges"]}) == {}


# The suite.


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """suites/graphs.yaml with few samples and little training."""
    text = (ROOT / "suites" / "graphs.yaml").read_text()
    for long, short in (("samples: 500", "samples: 60"), ("epochs: 30", "epochs: 2"), ("epochs: 60", "epochs: 2")):
        assert long in text
        text = text.replace(long, short)
    folder = tmp_path_factory.mktemp("graphs")
    (folder / "graphs.yaml").write_text(text)
    return folder


def test_exact_networks_are_at_the_floor_and_their_expressiveness_stands_beside(
    small: Path, symbench: Symbench
) -> None:
    ran = symbench("run", small / "graphs.yaml", "--results", small / "results")
    assert ran.code == 0, ran.err
    frame = open_run(results=small / "results").estimates()
    errors = frame[frame["metric"].isin(["equivariance_error", "equivariance_error_float64"])]
    errors = errors[errors["element"].isna()]
    exact = errors[errors["model"].str.startswith(("gnn", "untrained"))]
    assert len(exact) == 2 * (6 * 2 + 2)
    assert exact["estimate"].to_numpy() == pytest.approx(0, abs=5e-5)
    assert exact[exact["metric"] == "equivariance_error_float64"]["estimate"].to_numpy() == pytest.approx(
        0, abs=1e-12
    )
    mlp = errors[(errors["model"] == "mlp") & (errors["symmetry"] == "nodes")]
    assert mlp["estimate"].min() > 0.1
    shares = frame[frame["metric"] == "separated_pairs"].set_index("model")["estimate"]
    for sort in ("gnn", "untrained"):
        assert shares[f"{sort}-sum"] > shares[f"{sort}-mean"] > shares[f"{sort}-max"] > 0.9
    assert shares["mlp"] < 0.1
    lines = ran.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("model") and "E" in line.split())
    columns = lines[at].split()[-6:]  # headings wrap: pairs told apart %, merged %, regular apart %
    assert [columns[i] for i in (-1, -3)] == ["%", "%"]
    assert {"pairs", "told", "apart", "merged", "regular"} <= set(" ".join(lines[max(0, at - 3) : at + 1]).split())
    merged = frame[frame["metric"] == "merged_orbits"].set_index("model")["estimate"]
    assert (merged[[*exact["model"].unique(), "projections"]] == 1).all(), "what is told apart beside what is not"
    assert 0.1 < merged["signnet"] < 0.9, "eigenvalues that occur several times"
    assert merged[["raw", "raw-flipped"]].max() < 0.1
    by_signs = errors[errors["symmetry"].isin(["signs", "bases"])].groupby(["model", "symmetry"])["estimate"].max()
    assert by_signs[[("signnet", "signs"), ("projections", "signs"), ("projections", "bases")]].max() < 5e-5
    assert by_signs[[("raw", "signs"), ("raw", "bases"), ("signnet", "bases")]].min() > 1e-4
    assert merged[["mlp", "mlp-shuffled"]].max() < 0.1
    gate = symbench("gate", "--results", small / "results")
    assert gate.code == 0, gate.out


def broken(asked: Subject) -> dict[str, float | None]:
    """A control of a user's that fails."""
    raise LookupError(f"no such leaf among {sorted(asked.shapes)}")


ONE = """\
version: 1
name: one
datasets: {made: {use: graphs, samples: 8}}
models: {net: {use: gnn, width: 4}}
symmetries: {nodes: {group: S, on: features, elements: 2}}
"""


def test_a_control_that_raises_is_a_reason_and_its_code_is_part_of_the_key(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(ONE)
    first = symbench("run", suite, "--results", tmp_path / "r")
    assert first.code == 0, first.err
    monkeypatch.setitem(CONTROLS.rows, "expressiveness", ControlRow(f"{__name__}:broken", "fails", suits=LIST))
    again = symbench("run", suite, "--results", tmp_path / "r")
    assert again.code == 0, again.err
    frame = open_run(results=tmp_path / "r").estimates()
    (row,) = frame[frame["metric"] == "separated_pairs"].itertuples()
    assert np.isnan(row.estimate)  # type: ignore[arg-type]
    assert "control expressiveness" in str(row.reason)
    assert "no such leaf among ['adjacency', 'edges'" in str(row.reason)
    assert frame[frame["metric"] == "equivariance_error"]["estimate"].notna().all(), "all else is measured"
    assert len(list((tmp_path / "r" / "cells").rglob("cell.json"))) == 2, "another control, another cell"


def test_pictures_have_no_such_column(symbench: Symbench, tmp_path: Path) -> None:
    ran = symbench("run", "--model", "mlp", "--data", "digits", "--symmetry", "c4", "--limit", "8", "--json",
                   "--results", tmp_path)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "separated_pairs" not in ran.out
