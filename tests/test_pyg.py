"""PyTorch Geometric: its networks and data sets, users' modules and graphs, and what is said of those that are none."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, CaseOf, Symbench

from symbench.algebra import actions, groups
from symbench.algebra.fields import Category, Scalar, declared
from symbench.algebra.groups.base import PermutesPlaces
from symbench.base.errors import ConfigError, ModelError
from symbench.domains.common.datasets import of_sequences
from symbench.domains.common.datasets.padding import checked
from symbench.domains.common.models.adapters import adapted
from symbench.domains.common.models.layout import Packing
from symbench.domains.graphs import PygOptions
from symbench.domains.graphs.pyg.data import Graphs, load, of_sequence
from symbench.domains.graphs.pyg.library import library
from symbench.domains.graphs.pyg.networks import Network, Pyg

if importlib.util.find_spec("torch_geometric") is None:
    pytest.skip("needs the extra graphs", allow_module_level=True)
library("tests")
from torch_geometric.data import Data  # noqa: E402
from torch_geometric.nn import GCNConv, global_add_pool  # noqa: E402
from torch_geometric.utils import degree  # noqa: E402

NETWORKS = ["GCN", "GraphSAGE", "GIN", "GAT", "PNA", "EdgeCNN"]
TRIANGLE = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])
FAKE = {"num_graphs": 20, "avg_num_nodes": 8, "avg_degree": 3, "num_channels": 4, "edge_dim": 2, "num_classes": 3}


def graph(**changes: Any) -> Data:
    return Data(**{"x": torch.rand(3, 2), "edge_index": TRIANGLE, "y": torch.tensor([1]), **changes})


def source(name: str = "GCN", **options: Any) -> Pyg:
    given = PygOptions(**{"width": 8, "depth": 2, **options}).model_dump()
    return Pyg("here", Path(), None, name, **given)


def fake(split: str = "all") -> Graphs:
    return load(path="FakeDataset", root="none", name=None, split=split, target="y", arguments=FAKE)


# Networks.


@pytest.mark.parametrize("on", ["features", "edges"])
@pytest.mark.parametrize("readout", ["graph", "nodes"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_exact_under_both_groups(name: str, readout: str, on: str, generator: torch.Generator) -> None:
    data = checked(fake(), "fake")
    leaves, shapes = data.batch(range(20)).leaves, data.shapes()
    torch.manual_seed(0)
    outputs = shapes["features"][0] if readout == "nodes" else 2
    network = source(name, readout=readout).build(shape=shapes["features"], outputs=outputs).double().eval()
    assert isinstance(network, Network)
    module = Packing(network, declared(network.inputs) or {}, network.outputs)
    group, axis = groups.load("S", {}, places=shapes[on][0]), data.fields[on].axes[0]
    assert isinstance(group, PermutesPlaces)
    g = torch.cat([group.sample_within(size, 1, generator=generator) for size in data.sizes[axis]])[None]
    act = {leaf: actions.load(group, "S", field, {}, on=data.fields[on], leaf=leaf)
           for leaf, field in data.fields.items()}  # fmt: skip

    def called(given: dict[str, torch.Tensor]) -> torch.Tensor:
        takes = ["features", "edges", "nodes_mask", "edges_mask"]
        with torch.no_grad():
            found = module(**{k: given[k].double() if k == "features" else given[k] for k in takes})[readout]
        assert isinstance(found, torch.Tensor)
        return found

    before, after = called(leaves), called({leaf: act[leaf].act(g, x)[0] for leaf, x in leaves.items()})
    if readout == "nodes" and on == "features":
        before = act["features"].act(g, before[..., None])[0][..., 0]
    assert torch.allclose(after, before, rtol=0, atol=1e-12)
    assert before.std(0).max() > 1e-4, "graphs differ"


def test_a_network_is_the_librarys_own_with_a_pooling_behind_it() -> None:
    data = checked(fake(), "fake")
    network = source(pooling="mean").build(shape=data.shapes()["features"], outputs=3)
    module = Packing(network, declared(network.inputs) or {}, network.outputs)  # type: ignore[arg-type]
    leaves = data.batch(range(4)).leaves
    batched = module(**{k: leaves[k] for k in ("features", "edges", "nodes_mask", "edges_mask")})["graph"]
    for i in range(4):
        n, e = data.sizes["nodes"][i], data.sizes["edges"][i]
        x = network.body(leaves["features"][i, :n], leaves["edges"][i, :e].T)  # type: ignore[operator]
        assert torch.allclose(batched[i], network.head(x.relu().mean(0)), atol=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "GNC"}, "no network 'GNC' of node features, expected one of GCN"),
        ({"name": "GCN", "arguments": {"bias": 1, "heads": "two"}}, "GCN with arguments"),
        ({"name": "GIN", "readout": "nodes"}, "readout: got nodes, and a graph's target is of size 2"),
    ],
)
def test_what_cannot_be_built_is_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, ModelError)) as error:
        source(**options).build(shape=(9, 4), outputs=2)
    assert said in str(error.value)


def test_without_the_library_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_geometric", None)
    for needing in (lambda: source().describe(), fake):
        with pytest.raises(ConfigError, match=r'torch_geometric.*pip install "symbench\[graphs\]"'):
            needing()


# Users' modules.


def test_users_modules_are_measured_and_the_one_that_looks_at_the_order_is_caught(case: CaseOf) -> None:
    pyg = case("pyg")
    ran = pyg.run()
    assert ran.code == 0, ran.err
    errors = {
        (model, symmetry): pyg.estimate("equivariance_error_float64", model=model, symmetry=symmetry)
        for model in ("mine", "edges", "nodes")
        for symmetry in ("nodes", "order")
    }
    assert max(errors.values()) < 1e-12
    assert pyg.estimate("equivariance_error", model="ordered", symmetry="nodes") > 0.01
    assert pyg.estimate("equivariance_error", model="ordered", symmetry="order") < 1e-5
    assert pyg.estimate("merged_orbits", model="mine") == 1
    assert pyg.estimate("merged_orbits", model="ordered") < 0.2
    assert pyg.estimate("accuracy", model="mine", symmetry="nodes") >= 0
    assert (pyg.path / "rings" / "processed" / "rings.pt").exists()
    assert "mine, edges: exact in float64\nordered: broken at any precision\n" in ran.out


def test_numbers_counted_over_all_graphs_are_caught_as_well(case: CaseOf) -> None:
    pyg = case("pyg")
    pyg.edit("counted: in graph", "counted: in all")
    ran = pyg.run("--only", "model=ordered")
    assert ran.code == 3
    assert "ordered/rings/nodes: failed" in ran.err
    assert "of a sample depends on its batch" in ran.err


def test_a_module_that_needs_more_than_graphs_have_is_left_as_it_is(case: CaseOf) -> None:
    pyg = case("pyg")
    pyg.edit("model.py:OfNodes", "model.py:Elsewhere")
    ran = pyg.run()
    assert ran.code != 0
    assert "models.nodes" in ran.err
    assert "Traceback" not in ran.err


def test_only_modules_that_say_nothing_of_themselves_are_adapted() -> None:
    class Mine(torch.nn.Module):
        def forward(
            self, x: torch.Tensor, edge_index: torch.Tensor, batch: Any = None, more: int = 1
        ) -> torch.Tensor:
            return global_add_pool(x, batch)

    plain = Mine()
    behind = adapted(plain)
    assert behind is not plain
    assert (list(behind.inputs), behind.outputs) == (["features", "edges"], None)
    plain.inputs = {"x": Scalar()}  # type: ignore[assignment]
    assert adapted(plain) is plain
    linear = torch.nn.Linear(2, 2)
    assert adapted(linear) is linear
    conv = adapted(GCNConv(2, 2))
    assert list(conv.outputs) == ["nodes"], "without a batch, what comes back is of nodes"


# Graphs.


def test_a_list_of_graphs_is_padded_and_nothing_is_lost() -> None:
    torch.manual_seed(0)
    path = torch.tensor([[0, 1], [1, 0]])
    given = [
        graph(edge_attr=torch.rand(6, 2)),
        graph(x=torch.rand(2, 2), edge_index=path, edge_attr=torch.rand(2, 2)),
    ]
    assert of_sequences(given).made_for == "torch_geometric"
    assert of_sequences([1, 2]) is of_sequences()
    data = checked(of_sequence(given, where="here"), "here")
    batch = data.batch([0, 1])
    assert {"features", "edges", "edge_features", "nodes_mask", "edges_mask"} == set(batch.leaves)
    for i, each in enumerate(given):
        n, e = data.sizes["nodes"][i], data.sizes["edges"][i]
        assert torch.equal(batch.leaves["features"][i, :n], each.x)
        assert torch.equal(batch.leaves["edges"][i, :e].T, each.edge_index)
        assert torch.equal(batch.leaves["edge_features"][i, :e], each.edge_attr)
    assert batch.targets["y"].tolist() == [1, 1]
    assert isinstance(data.targets["y"], Category)


@pytest.mark.parametrize(
    ("y", "shape", "field"),
    [
        ([torch.tensor([0.5]), torch.tensor([2.5])], (2, 1), "Scalar"),
        ([torch.tensor([[0.5, 1.0]])] * 2, (2, 2), "Scalar"),
        ([torch.tensor([[1, 0]]), torch.tensor([[1, 1]])], (2, 2), "MultiLabel"),
        ([torch.rand(3)] * 2, (2, 3), "Scalar over nodes"),
        ([torch.rand(3, 2)] * 2, (2, 3, 2), "Scalar over nodes"),
        ([torch.tensor([0, 2, 1])] * 2, (2, 3, 3), "Scalar over nodes"),
        ([None, None], None, ""),
    ],
    ids=["number", "numbers", "labels", "number of nodes", "numbers of nodes", "classes of nodes", "none"],
)
def test_targets_are_of_graphs_or_of_nodes(y: list[Any], shape: tuple[int, ...] | None, field: str) -> None:
    made = of_sequence([graph(y=each) for each in y], where="here")
    if shape is None:
        assert made.targets == {}
        assert "Graphs have no y" in made.remarks()[0]
    else:
        assert (tuple(made.target_values["y"].shape), str(made.targets["y"])) == (shape, field)
    if shape == (2, 3, 3):
        assert made.target_values["y"].argmax(-1).tolist() == [[0, 2, 1]] * 2
        assert "compared as numbers" in made.remarks()[0]


def test_nodes_without_features_show_their_degree() -> None:
    edges = torch.tensor([[0, 1, 1, 2, 0], [1, 0, 2, 1, 2]])
    made = of_sequence([Data(edge_index=edges, num_nodes=4)], where="here")
    assert torch.equal(made.leaves["features"][0, :, 0], degree(edges[1], 4))
    assert "the feature of a node is its degree" in " ".join(made.remarks())


NONE = torch.zeros(2, 0, dtype=torch.int64)


def test_graphs_without_edges_are_left_out_and_named() -> None:
    made = of_sequence([graph(), graph(edge_index=NONE), graph()], where="here")
    assert made.unusable == {1: "graph 1 has no edges"}
    assert made.remarks() == ["1 of 3 graphs have no edges and are left out: 1."]
    with pytest.raises(ConfigError, match="none of the graphs has an edge"):
        of_sequence([graph(edge_index=NONE)], where="here")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edge_index": TRIANGLE + 1}, "graph 1 has an edge to node 3, expected 0 to 2"),
        ({"edge_index": TRIANGLE - 1}, "graph 1 has an edge to node -1, expected 0 to 2"),
        ({"edge_index": TRIANGLE.float()}, "graph 1 has edge_index torch.float32 of shape (2, 6), expected whole"),
        ({"edge_index": TRIANGLE.T}, "graph 1 has edge_index torch.int64 of shape (6, 2), expected whole"),
        ({"edge_index": None}, "graph 1 has edge_index None"),
        ({"x": torch.tensor([[0.0, 1], [2, torch.nan], [0, 0]])}, "graph 1 has x nan in row 1, expected finite"),
        ({"x": torch.rand(3, 5)}, "graph 1 has 5 columns of x, and graph 0 has 2"),
        ({"x": None, "num_nodes": 3}, "graph 1 has no columns of x, and graph 0 has 2"),
        ({"x": torch.zeros(0, 2), "edge_index": NONE}, "graph 1 has no nodes"),
        ({"edge_attr": torch.rand(6, 1)}, "graph 1 has 1 columns of edge_attr, and graph 0 has no"),
        ({"edge_attr": torch.rand(5, 1)}, "graph 1 has edge_attr torch.float32 of shape (5, 1), expected numbers (6, d)"),
        ({"y": None}, "graph 1 has no y, expected one for each graph"),
        ({"y": torch.tensor([1, 2])}, "graph 1 has 2 numbers of y, and graph 0 has 1"),
        ({"y": torch.tensor([torch.inf])}, "graph 1 has y torch.float32 of shape (1,), expected finite"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_a_sentence_with_its_number(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        of_sequence([graph(), graph(**changes)], where="datasets.mine")
    assert f"datasets.mine: {said}" in str(error.value)


# Data sets by name.


def written(root: Path) -> None:
    """A set in the format of TU Dortmund: three triangles and three paths of two nodes, with labels of nodes."""
    folder = root / "TINY" / "raw"
    folder.mkdir(parents=True)
    edges: list[tuple[int, int]] = []
    of: list[int] = []
    labels: list[int] = []
    kinds: list[int] = []
    for number in range(6):
        first, size = len(of) + 1, 3 if number % 2 else 2
        edges += [(first + i, first + j) for i in range(size) for j in range(size) if i != j]
        of += [number + 1] * size
        labels.append(number % 2)
        kinds += [i % 2 for i in range(size)]
    (folder / "TINY_A.txt").write_text("".join(f"{i}, {j}\n" for i, j in edges))
    for name, values in (("graph_indicator", of), ("graph_labels", labels), ("node_labels", kinds)):
        (folder / f"TINY_{name}.txt").write_text("".join(f"{value}\n" for value in values))


def test_a_data_set_on_disk_is_read_by_its_name(tmp_path: Path, symbench: Symbench) -> None:
    written(tmp_path / "data")
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "version: 1\nname: tiny\ndatasets: {tiny: {use: pyg/TUDataset, name: TINY}}\n"
        "models: {net: {use: pyg/GIN, width: 8, depth: 2}}\nsymmetries: {nodes: {group: S, on: features}}\n"
    )
    ran = symbench("run", suite, "--results", tmp_path / "r")
    assert ran.code == 0, ran.err
    assert "net: exact in float64" in ran.out
    data = load(path="TUDataset", root="data", name="TINY", split="all", target="y", arguments={}, folder=tmp_path)
    assert (data.sizes["nodes"], data.sizes["edges"]) == ([2, 3] * 3, [2, 6] * 3)
    assert data.target_values["y"].tolist() == [0, 1] * 3


def test_a_class_without_splits_is_cut_in_two_and_drawn_sets_are_the_same_each_time() -> None:
    train, test = fake("train"), fake("test")
    assert sorted(train.names + test.names) == list(range(20))
    assert len(test) == 4
    assert train.shapes() == test.shapes(), "padded alike"
    torch.manual_seed(7)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert fake().digest() == fake().digest()
    assert torch.equal(torch.rand(3), drawn), "no seed of anybody else's is touched"
    assert "num_classes" in inspect.signature(library("", "datasets").FakeDataset).parameters


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "TUDatasets"}, "no data set 'TUDatasets'"),
        ({"arguments": {"num_graph": 3}}, "FakeDataset takes no argument 'num_graph'"),
        ({"name": "MUTAG"}, "got name 'MUTAG', and FakeDataset takes none"),
        ({"arguments": {"num_graphs": "three"}}, "PyTorch Geometric's FakeDataset raised TypeError"),
    ],
)
def test_data_sets_that_there_are_not_are_a_sentence(changes: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"path": "FakeDataset", "root": "x", "name": None, "split": "all", "target": "y"}
    with pytest.raises(ConfigError) as error:
        load(**{**given, "arguments": {}, **changes}, where="here")
    assert said in str(error.value)


def test_the_suite_passes_its_gates(tmp_path: Path, symbench: Symbench) -> None:
    """suites/pyg.yaml with few samples and little training."""
    text = (ROOT / "suites" / "pyg.yaml").read_text()
    fewer = {"samples: 500": "samples: 40", "num_graphs: 500": "num_graphs: 60", "epochs: 20": "epochs: 1"}
    for long, short in fewer.items():
        assert long in text
        text = text.replace(long, short)
    (tmp_path / "pyg.yaml").write_text(text)
    ran = symbench("run", tmp_path / "pyg.yaml", "--results", tmp_path / "r")
    assert ran.code == 0, ran.err
    gate = symbench("gate", "--results", tmp_path / "r")
    assert gate.code == 0, gate.out
