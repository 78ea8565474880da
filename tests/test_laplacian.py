"""Eigenvectors of the Laplacian: identities, the groups of what they leave open, and who keeps these."""

from __future__ import annotations

from typing import Any

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
from networkx.generators.atlas import graph_atlas_g  # type: ignore[import-untyped]
from scipy.linalg import null_space
from torch import Tensor, nn

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action
from symbench.algebra.controls import Subject
from symbench.base.errors import ConfigError, ImpossiblePair, ModelError
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.padding import checked
from symbench.domains.graphs import ENCODINGS
from symbench.domains.graphs.bases import Bases, intervals, orthogonal
from symbench.domains.graphs.data import triangles
from symbench.domains.graphs.encoded import EncodedGnn, squares
from symbench.domains.graphs.expressiveness import same, separate
from symbench.domains.graphs.gnn import Gnn
from symbench.domains.graphs.laplacian import eigenspaces, encoding
from symbench.domains.graphs.regular import NODES, SKIPS, with_skips
from symbench.domains.graphs.regular import separate as separate_regular
from symbench.face import testing
from symbench.fields import Eigenvectors, Scalar

K = 4
TAKES = ["features", "encodings", "edges", "nodes_mask", "edges_mask"]
FIELD = ENCODINGS["encodings"]


@pytest.fixture(scope="module")
def sevens() -> list[np.ndarray]:
    """The connected graphs of 7 nodes."""
    found = [g for g in graph_atlas_g() if len(g) == 7 and nx.is_connected(g)]
    return [nx.to_numpy_array(g).astype(bool) for g in found]


def made(**options: Any) -> Dataset:
    row = DATASETS.row("graphs")
    given = {"samples": 60, "encoding": "laplacian", **options}
    return checked(row.load()(**checked_options(row.options, given, "data").model_dump()), "data")


def acting(name: str, field: Any = FIELD) -> tuple[Any, Action]:
    group = groups.load(name, {})
    return group, actions.load(group, name, field, {}, on=FIELD, leaf="encodings")


# What eigenvectors say.


def test_of_853_connected_graphs_264_have_an_eigenvalue_several_times(sevens: list[np.ndarray]) -> None:
    several = [any(basis.shape[1] > 1 for _, basis in eigenspaces(graph)) for graph in sevens]
    assert (len(sevens), sum(several)) == (853, 264), "30.9 %"
    assert [encoding(graph, 6)[1] for graph in sevens] == several


def test_renumbered_graphs_have_other_encodings_and_simple_ones_by_signs_alone(sevens: list[np.ndarray]) -> None:
    """Up to signs the 589 with a simple spectrum agree, as they come next to none."""
    rng = np.random.default_rng(0)
    kept: dict[str, list[bool]] = {"as it is": [], "up to signs": [], "up to bases": []}
    simple = np.array([not encoding(graph, 6)[1] for graph in sevens])
    for graph in sevens:
        order = rng.permutation(7)
        before, after = encoding(graph, 6)[0][order], encoding(graph[np.ix_(order, order)], 6)[0]
        signs = np.where((before[..., 0] * after[..., 0]).sum(0) < 0, -1, 1)
        kept["as it is"].append(np.allclose(before, after, atol=1e-6))
        kept["up to signs"].append(np.allclose(before[..., 0], after[..., 0] * signs, atol=1e-6))
        one, other = (squares(_exactly(torch.from_numpy(x))) for x in (before, after))
        kept["up to bases"].append(torch.allclose(one, other, atol=1e-6))
    shares = {name: np.array(each) for name, each in kept.items()}
    assert shares["up to bases"].all()
    assert (simple.sum(), shares["up to signs"][simple].all()) == (589, True)
    assert shares["up to signs"][~simple].mean() < 0.05, "by chance"
    assert shares["as it is"].mean() < 0.05


def _exactly(x: Tensor) -> Tensor:
    """With eigenvalues rounded, which differ in the last bits between drawings."""
    return torch.stack([x[..., 0], x[..., 1].round(decimals=6)], dim=-1)


def test_eigenspaces_are_kernels(sevens: list[np.ndarray]) -> None:
    for graph in sevens[::50]:
        laplacian = np.diag(graph.sum(1)) - graph
        total = 1
        for value, basis in eigenspaces(graph):
            kernel = null_space(laplacian - value * np.eye(7), rcond=1e-7)
            assert kernel.shape == basis.shape
            assert np.allclose(kernel @ kernel.T, basis @ basis.T, atol=1e-9)
            total += basis.shape[1]
        assert total == 7


def test_what_is_cut_or_missing_is_zero() -> None:
    cycle = np.roll(np.eye(5, dtype=bool), 1, 0) | np.roll(np.eye(5, dtype=bool), -1, 0)
    spectrum = sorted(2 - 2 * np.cos(2 * np.pi * np.arange(1, 5) / 5))
    for k in (1, 2, 3, 4, 6):
        found, repeated = encoding(cycle, k)
        whole = min(k, 4) // 2 * 2
        assert np.allclose(found[0, :, 1], [*spectrum[:whole], *[0] * (k - whole)])
        assert (np.abs(found[:, :whole, 0]).sum(0) > 1).all()
        assert (found[:, whole:] == 0).all()
        assert repeated == (whole > 0)


def test_the_data_set_has_them_as_a_leaf_and_nothing_else_changes() -> None:
    plain, with_them = made(encoding=None), made()
    one, other = (data.batch(range(60)) for data in (plain, with_them))
    assert set(other.leaves) - set(one.leaves) == {"encodings"}
    assert all(torch.equal(one.leaves[name], other.leaves[name]) for name in one.leaves)
    assert plain.digest() != with_them.digest()
    leaf = other.leaves["encodings"]
    assert leaf.shape == (60, 9, K, 2)
    assert (leaf[~other.leaves["nodes_mask"]] == 0).all()
    (remark,) = with_them.remarks()
    matrices = zip(one.leaves["adjacency"].bool().numpy(), plain.sizes["nodes"], strict=True)
    repeated = sum(encoding(matrix[:n, :n], K)[1] for matrix, n in matrices)
    assert remark.startswith(
        f"{repeated} of 60 graphs ({100 * repeated / 60:.1f} %) have an eigenvalue several times"
    )
    assert plain.remarks() == []
    with pytest.raises(ConfigError, match="encoding"):
        made(encoding="heat")


# What they leave open.


@pytest.mark.parametrize(("name", "tolerance"), [("signs4", 0.0), ("bases4", 1e-6)])
def test_actions_are_left_actions(name: str, tolerance: float, generator: torch.Generator) -> None:
    group, action = acting(name)
    x = made().batch(range(60)).leaves["encodings"]
    testing.check_action(action, group, x, generator=generator, tolerance=tolerance)
    g = group.sample(5, generator=generator)
    after = action.act(g, x)
    assert torch.equal(after[..., 1], x[..., 1].expand_as(after[..., 1])), "eigenvalues stay"
    assert not torch.equal(after[..., 0], x[..., 0].expand_as(after[..., 0]))


def test_signs_are_a_loop_over_eigenvectors(generator: torch.Generator) -> None:
    group, action = acting("signs4")
    x = made().batch(range(60)).leaves["encodings"]
    g = group.sample(3, generator=generator)
    for element, moved in zip(g, action.act(g, x), strict=True):
        for i in range(K):
            assert torch.equal(moved[..., i, 0], x[..., i, 0] * element[i])
    each = group.sample(60, generator=generator)[None]
    alone = [action.act(each[:, i], x[i : i + 1])[0] for i in range(60)]
    assert torch.equal(action.act(each, x)[0], torch.cat(alone)), "one for each sample"


def test_bases_keep_projections_and_turn_within_eigenspaces_alone(generator: torch.Generator) -> None:
    group, action = acting("bases4")
    x = made().batch(range(60)).leaves["encodings"].double()
    after = action.act(group.sample(1, generator=generator), x)[0]
    for before, moved in zip(x, after, strict=True):
        for value in before[0, :, 1].unique():
            mine = before[0, :, 1] == value
            one, other = (v[:, mine, 0] @ v[:, mine, 0].T for v in (before, moved))
            assert torch.allclose(one, other, atol=1e-12)
            if mine.sum() == 1 or value == 0:
                assert torch.allclose(moved[..., mine, 0].abs(), before[..., mine, 0].abs(), atol=1e-12)
    several = [len(set(row)) < len(row) for row in x[:, 0, :, 1].tolist()]
    assert sum(several) > 5
    differs = ((after - x).abs().amax((1, 2, 3)) > 1e-3)[torch.tensor(several)]
    assert differs.all(), "a basis is hardly ever drawn again"


def test_a_run_of_columns_is_turned_by_its_own_matrix() -> None:
    """Five lines for one sample with eigenvalues 1, 2, 2, 3."""
    group, action = acting("bases4")
    g = group.sample(1, generator=torch.Generator().manual_seed(5))
    v = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    values = torch.tensor([1.0, 2.0, 2.0, 3.0]).double().expand(1, 6, 4)
    runs = {run: g[0, at, run[0] : run[1], run[0] : run[1]] for at, run in enumerate(intervals(4))}
    whole = torch.block_diag(runs[0, 1], runs[1, 3], runs[3, 4])
    found = action.act(g, torch.stack([v, values], dim=-1))[0, 0, :, :, 0]
    assert torch.allclose(found, (whole @ v[0].T).T, atol=1e-14)


def test_without_the_sign_fix_orthogonal_matrices_are_not_uniform(generator: torch.Generator) -> None:
    testing.check_haar(Bases(3), generator=generator, count=20_000)

    class Unfixed(Bases):
        def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
            found = self.identity().repeat(count, 1, 1, 1)
            found[:, -1, 2:, 2:] = 1.0
            q = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)).Q
            found[:, self.runs.index((0, 3))] = q
            return found

    with pytest.raises(AssertionError):
        testing.check_haar(Unfixed(3), generator=generator, count=20_000)
    assert torch.allclose(orthogonal(3, 5, generator=generator).det().abs(), torch.ones(5).double())


@pytest.mark.parametrize("name", ["signs3", "bases5"])
def test_other_numbers_of_eigenvectors_and_other_fields_are_refused(name: str) -> None:
    _, action = acting(name)
    assert "of" in (action.check((9, K, 2)) or "")
    assert action.check((9, int(name[-1]), 2)) is None
    with pytest.raises(ImpossiblePair, match="has no action on Scalar over nodes"):
        actions.Lookup.of(name, Scalar().over(FIELD.places[0])).moving("x", Scalar().over(FIELD.places[0]))
    assert Eigenvectors().misfit((4,)) is not None


# Who keeps them.


def network(encodings: str) -> nn.Module:
    torch.manual_seed(0)
    return EncodedGnn(shapes=made().shapes(), outputs=2, encodings=encodings, width=16).double()


def called(module: nn.Module, leaves: dict[str, Tensor], takes: list[str] = TAKES) -> Tensor:
    given = {name: x.double() if x.is_floating_point() else x for name, x in leaves.items()}
    with torch.no_grad():
        return module(**{name: given[name] for name in takes})["graph"]


@pytest.mark.parametrize(
    ("encodings", "keeps"), [("raw", set[str]()), ("signs", {"signs4"}), ("bases", {"signs4", "bases4"})]
)
def test_networks_keep_what_they_claim_and_no_more(
    encodings: str, keeps: set[str], generator: torch.Generator
) -> None:
    module, leaves = network(encodings), made().batch(range(60)).leaves
    before = called(module, leaves)
    for name in ("signs4", "bases4"):
        group, action = acting(name)
        moved = action.act(group.sample(1, generator=generator), leaves["encodings"].double())[0]
        error = (called(module, {**leaves, "encodings": moved}) - before).abs().max()
        if name in keeps:
            assert error <= (0 if name == "signs4" else 1e-12), "bit for bit under signs"
        else:
            assert error > 1e-4
    order = torch.randperm(4, generator=generator)  # every graph has at least as many nodes
    permuted = {name: leaves[name].clone() for name in leaves}
    for name in ("features", "encodings"):
        permuted[name][:, order] = leaves[name][:, :4]
    images = torch.cat([order, torch.arange(4, 9)])
    permuted["edges"] = torch.where(leaves["edges"] < 0, -1, images[leaves["edges"].clamp(min=0)])
    assert torch.allclose(called(module, permuted), before, rtol=0, atol=1e-12), "all keep the numbering"


# What is told apart, and what is not.


def subject(module: nn.Module, takes: list[str]) -> Subject:
    def run(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"graph": called(module, leaves, takes)}

    return Subject(run, takes, made().shapes(), module.outputs, 2.0**-52)  # type: ignore[arg-type]


PLAIN = [name for name in TAKES if name != "encodings"]


def test_regular_graphs_are_alike_to_messages_and_not_isomorphic() -> None:
    assert triangles(with_skips(41, 2)) == 41
    assert triangles(with_skips(41, 3)) == 0
    theirs = nx.circulant_graph(41, [1, 5])
    assert np.array_equal(with_skips(41, 5), nx.to_numpy_array(theirs, nodelist=range(41)).astype(bool))
    spectra = [np.linalg.eigvalsh(with_skips(NODES, skip).astype(float)) for skip in SKIPS]
    distances = [np.abs(a - b).max() for i, a in enumerate(spectra) for b in spectra[:i]]
    assert len(distances) == 45
    assert min(distances) > 1e-2, "no two have one spectrum"
    hashes = set()
    for skip in SKIPS:
        graph = nx.from_numpy_array(with_skips(NODES, skip))
        nx.set_node_attributes(graph, "alike", "colour")
        hashes.add(nx.weisfeiler_lehman_graph_hash(graph, node_attr="colour", iterations=5))
    assert len(hashes) == 1, "refining colours sees one graph"


def test_messages_alone_tell_no_regular_graphs_apart_and_eigenvalues_all() -> None:
    torch.manual_seed(0)
    plain = Gnn(shapes=made().shapes(), outputs=2, width=16).double()
    assert separate_regular(subject(plain, PLAIN)) == {"separated_regular_pairs": 0.0, "regular_pairs": 45.0}
    assert separate_regular(subject(network("bases"), TAKES))["separated_regular_pairs"] == 1.0
    facts = separate(subject(network("bases"), TAKES))
    assert facts["merged_orbits"] == 1.0, "no drawing of a graph is another graph"
    assert (facts["separated_pairs"] or 0) > 1 - 4 / 615, "more than refining colours"


def test_orbits_are_merged_only_by_what_keeps_the_numbering() -> None:
    torch.manual_seed(0)
    plain = Gnn(shapes=made().shapes(), outputs=2, width=16).double()
    assert separate(subject(plain, PLAIN))["merged_orbits"] == 1.0
    for encodings, least, most in (("raw", 0.0, 0.1), ("signs", 0.3, 0.9)):
        share = separate(subject(network(encodings), TAKES))["merged_orbits"]
        assert share is not None
        assert least <= share <= most, "the eigenvectors of a drawing are its own"


def test_a_constant_merges_everything_and_nothing_else_is_counted_as_merged() -> None:
    assert same(torch.zeros(3, 2, 1).double(), 2.0**-52).all()
    values = torch.tensor([[1.0, 1.0 + 1e-15], [1.0, 3.0]], dtype=torch.float64)[..., None]
    assert same(values, 2.0**-52).tolist() == [True, False]


def test_a_model_on_matrices_of_its_own_width_is_a_reason() -> None:
    with pytest.raises(ModelError, match="regular graphs: the model takes weights"):
        separate_regular(subject(network("raw"), [*TAKES, "weights"]))
    with pytest.raises(ModelError, match="regular graphs: the model takes matrices of 9 nodes, expected one for 41"):
        separate_regular(subject(network("raw"), ["features", "adjacency"]))
