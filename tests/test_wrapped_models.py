"""``average:`` and ``canonicalise:``, and the same from Python: exact behind any model, and the plain one is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Folder, Symbench
from torch import Tensor, nn

import symbench as sb
from symbench.algebra.actions.base import take
from symbench.base.errors import CellError, ConfigError, SuiteError
from symbench.domains.images.models.cnn import Cnn
from symbench.face.api import prepare
from symbench.fields import Grid, Image, Nodes, Scalar, Vector
from symbench.measure.plan import pairs
from symbench.measure.plan.agreement import check_agreement
from symbench.measure.plan.resolve import resolve
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import load
from symbench.testing import assert_equivariant, averaged, canonicalised

SUITE = """\
version: 1
name: small
datasets:
  digits: {use: digits, size: 9}
models:
  plain: {use: cnn, width: 4%(train)s}
  averaged: {use: cnn, width: 4%(train)s, average: turns}
  canonical: {use: cnn, width: 4%(train)s, canonicalise: turns}
symmetries:
  turns: {group: C4, on: image}
"""
TRAIN = ", train: {on: digits, epochs: 1}"


def planned(path: Path) -> Workspace:
    suite = load(path)
    return resolve(suite, pairs(suite), device="cpu")


def facts(run: sb.Run) -> dict[str, dict[str, float | None]]:
    found = {}
    for cell in run.manifest.cells:
        record = run.store.cell(cell.key)
        assert record is not None
        found[cell.model] = record.facts
    return found


def estimates(run: sb.Run, metric: str) -> dict[str, tuple[float, str]]:
    frame = run.estimates()
    frame = frame[(frame["metric"] == metric) & frame["element"].isna()]
    columns = zip(frame["model"], frame["estimate"], frame["reason"], strict=True)
    return {str(model): (float(value), str(reason)) for model, value, reason in columns}


def orbit(x: Tensor) -> list[Tensor]:
    """The quarter turns of images, by torch alone."""
    return [torch.rot90(x, turn, dims=(-2, -1)) for turn in range(4)]


# In a run.


@pytest.mark.parametrize("train", ["", TRAIN], ids=["fresh", "trained"])
def test_wrapped_models_are_exact_in_a_run_and_the_plain_one_is_not(
    folder: Folder, symbench: Symbench, train: str
) -> None:
    folder.suite.write_text(SUITE % {"train": train})
    assert symbench("run", folder.suite, "--limit", "24", "--results", folder.results).code == 0
    run = sb.open_run(results=folder.results)
    deviation, in_float64 = estimates(run, "equivariance_error"), estimates(run, "equivariance_error_float64")
    assert in_float64["plain"][0] > 0.1
    assert in_float64["plain"][1].startswith("broken")
    for name in ("averaged", "canonical"):
        assert in_float64[name][0] <= (1e-12 if train else 1e-11)  # an untrained model's outputs are nearly one
        assert in_float64[name][1].startswith("exact")
        assert deviation[name][0] <= 1e-4
    known = facts(run)
    assert known["averaged"]["flops"] == 4 * (known["plain"]["flops"] or 0.0)
    assert known["canonical"]["flops"] == known["plain"]["flops"]
    assert len({facts["parameters"] for facts in known.values()}) == 1
    space, ledger = prepare(folder.suite, sb.Choices(results=folder.results, limit=24, device="cpu"))
    assert ledger.pending(space, space.plan.cells) == [], "a second run sees that they are what was measured"


def test_one_checkpoint_serves_all_and_each_has_cells_of_its_own(folder: Folder) -> None:
    folder.suite.write_text(SUITE % {"train": TRAIN})
    space = planned(folder.suite)
    recipes = list(space.plan.recipes.values())
    assert recipes[0] == recipes[1] == recipes[2]
    keys = {cell.pair.model: cell.key for cell in space.plan.cells}
    assert len(set(keys.values())) == 3
    identities = {cell.pair.model: cell.identity for cell in space.plan.cells}
    assert "wrapped" not in identities["plain"]
    assert identities["averaged"]["wrapped"]["average"]["group"] == "C4"
    folder.suite.write_text((SUITE % {"train": TRAIN}).replace("average: turns", "average: more"))
    folder.suite.write_text(folder.suite.read_text() + "  more: {group: D4, on: image}\n")
    others = {str(cell.pair): cell.key for cell in planned(folder.suite).plan.cells}
    assert others["plain/digits/turns"] == keys["plain"]
    assert others["canonical/digits/turns"] == keys["canonical"]
    assert others["averaged/digits/turns"] != keys["averaged"]


def test_another_process_sees_what_its_models_are_wrapped_by(folder: Folder) -> None:
    folder.suite.write_text(SUITE % {"train": ""})
    plan = planned(folder.suite).plan
    opened = Workspace(plan)
    for cell in plan.cells:
        check_agreement(opened, cell)
    cell = next(cell for cell in plan.cells if cell.pair.model == "averaged")
    wrapper = {"average": {**cell.identity["wrapped"]["average"], "group": "D4"}, "version": 1}
    with pytest.raises(CellError, match=r"is not what was planned: wrapped\.average\.group"):
        check_agreement(opened, replace(cell, identity={**cell.identity, "wrapped": wrapper}))


def test_layers_are_those_of_the_model(folder: Folder, symbench: Symbench) -> None:
    """Averaging leaves what a layer sees on the sample as it is; a canonical sample gives all views the same."""
    text = (SUITE % {"train": ""}).replace("width: 4", "width: 4, layers: [head]")
    folder.suite.write_text(text)
    assert symbench("run", folder.suite, "--limit", "24", "--results", folder.results).code == 0
    layers = {
        name: value for name, (value, _) in estimates(sb.open_run(results=folder.results), "layer_error").items()
    }
    assert layers["averaged"] == pytest.approx(layers["plain"], rel=1e-5)
    assert layers["plain"] > 0.1
    assert layers["canonical"] < 1e-4


def test_outputs_that_move_are_moved_back(folder: Folder, symbench: Symbench) -> None:
    """Numbers at the nodes of graphs of one size, under all six permutations; of a packed model too."""
    folder.suite.write_text(
        """\
version: 1
name: small
datasets:
  graphs: {use: graphs, nodes: [3, 3], samples: 24, target: distances}
models:
  plain: {use: adjacency-mlp, width: 8, readout: nodes}
  averaged: {use: adjacency-mlp, width: 8, readout: nodes, average: nodes}
  packed: {use: gnn-packed, width: 8, readout: nodes, average: nodes}
symmetries:
  nodes: {group: S3, on: features}
"""
    )
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    run = sb.open_run(results=folder.results)
    in_float64 = estimates(run, "equivariance_error_float64")
    assert in_float64["plain"][1].startswith("broken")
    assert in_float64["averaged"][0] <= 1e-12
    assert in_float64["averaged"][1].startswith("exact")
    assert in_float64["packed"][1].startswith("exact")


@pytest.mark.parametrize(
    ("entry", "symmetry", "message"),
    [
        ("average: turn", "", "small.yaml:6: models.m.average: got 'turn', expected one of turns, named. Did you mean 'turns'?"),
        ("canonicalise: 3", "", "models.m.canonicalise: got 3, expected text."),
        ("average: turns, canonicalise: turns", "", "models.m.canonicalise: got both average and canonicalise, expected one of them. An entry for each compares them."),
        ("average: named", "group: SO2", "models.m.average: SO2 resamples or loses what is in 'image', and so would a model behind it, expected a group that acts exactly. Name a symmetry whose elements only permute numbers, or turn vectors."),
        ("canonicalise: named", "group: SO2", "models.m.canonicalise: SO2 has more elements than can be listed, expected a group of at most 256 elements. Name a smaller group, such as C4."),
        ("average: named", "group: C8", "models.m.average: C8 resamples or loses what is in 'image'"),
        ("average: named", "group: C360", "models.m.average: C360 has 360 elements, each of which costs time for every sample, expected a group of at most 256 elements."),
        ("average: named", "group: translations, reach: 1, border: circular", "models.m.average: the elements of translations are no group, but uniform on the shifts of at most 1 px along either axis, expected a group of at most 256 elements. Name one, such as C4."),
        ("average: named", "group: C4, margin: 1, border: crop", "models.m.average: named crops, expected a symmetry that keeps the frame."),
    ],
)  # fmt: skip
def test_what_cannot_be_wrapped_is_said(folder: Folder, entry: str, symmetry: str, message: str) -> None:
    folder.suite.write_text(
        f"""\
version: 1
name: small
datasets:
  digits: {{use: digits, size: 9}}
models:
  m: {{use: cnn, width: 4, {entry}}}
symmetries:
  turns: {{group: C4, on: image}}
  named: {{{symmetry or "group: D4"}, on: image}}
"""
    )
    with pytest.raises(ConfigError) as raised:
        planned(folder.suite)
    assert message in str(raised.value)
    assert isinstance(raised.value, SuiteError) == (not symmetry)
    assert len(raised.value.problems) == 1


def test_graphs_of_different_sizes_and_data_without_the_leaf_are_refused(folder: Folder) -> None:
    suite = """\
version: 1
name: small
datasets:
  graphs: {use: graphs, nodes: [3, 4], samples: 12}
  sets: {use: sets, items: 4, samples: 12}
models:
  m: {use: %s, width: 8, average: nodes, only: {dataset: %s}}
  other: {use: deep-sets, width: 8, only: {dataset: sets}}
symmetries:
  nodes: {group: S, on: features}
  items: {group: S4, on: set}
"""
    folder.suite.write_text(suite % ("adjacency-mlp", "graphs"))
    with pytest.raises(ConfigError, match="samples of graphs have nodes in different numbers, and nodes moves all"):
        planned(folder.suite)
    folder.suite.write_text(suite.replace("other:", "gnn: {use: gnn, width: 8}\n  other:") % ("set-mlp", "sets"))
    with pytest.raises(ConfigError, match="average: sets has no leaf 'features', which nodes is on"):
        planned(folder.suite)


# In Python.


@pytest.fixture
def net() -> Cnn:
    torch.manual_seed(0)
    made = Cnn(shape=(1, 9, 9), outputs=5, width=4).double()
    return made.eval()


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.rand(6, 1, 9, 9, generator=generator, dtype=torch.float64)


Wrap = Callable[..., nn.Module]
BOTH = pytest.mark.parametrize("wrap", [averaged, canonicalised], ids=["averaged", "canonicalised"])


def test_the_average_is_the_mean_over_quarter_turns(net: Cnn, images: Tensor) -> None:
    by_hand = torch.stack([net(x) for x in orbit(images)]).mean(0)
    assert torch.allclose(averaged(net, "C4")(images), by_hand, rtol=0, atol=1e-14)
    mirrored = torch.stack([net(y) for x in (images, images.flip(-1)) for y in orbit(x)]).mean(0)
    assert torch.allclose(averaged(net, "D4")(images), mirrored, rtol=0, atol=1e-14)
    assert not torch.allclose(by_hand, mirrored, rtol=0, atol=1e-6)


class Maps(nn.Module):
    """A map of one channel, which turns with nothing, and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.conv(image)
        return {"maps": maps, "total": maps[:, :, 0].sum(-1)}


def test_maps_are_moved_back_before_the_mean(images: Tensor) -> None:
    maps = Maps().double()
    back = [torch.rot90(maps(x)["maps"], -turn, dims=(-2, -1)) for turn, x in enumerate(orbit(images))]
    totals = [maps(x)["total"] for x in orbit(images)]
    found = averaged(maps, "C4", {"maps": Image(), "total": Scalar()})(images)
    assert torch.allclose(found["maps"], torch.stack(back).mean(0), rtol=0, atol=1e-14)
    assert torch.allclose(found["total"], torch.stack(totals).mean(0), rtol=0, atol=1e-14)


def test_the_canonical_output_is_that_of_one_of_the_turns(net: Cnn, images: Tensor) -> None:
    """Of the turn that a product with the pattern chooses, for each image by itself; bit for bit the same for all."""
    pattern = torch.randn(81, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = torch.stack([(x.flatten(1) * pattern).sum(1) for x in orbit(images)])
    chosen = torch.stack(orbit(images))[scores.argmax(0), torch.arange(6)]
    found = canonicalised(net, "C4")
    assert torch.equal(found(images), net(chosen))
    assert len(set(scores.argmax(0).tolist())) > 1, "images want different turns"
    for x in orbit(images):
        assert torch.equal(found(x), found(images))


@BOTH
def test_both_pass_where_the_plain_model_fails(net: Cnn, images: Tensor, wrap: Wrap) -> None:
    with pytest.raises(AssertionError, match="not equivariant under C4"):
        assert_equivariant(net, "C4", images)
    (deviation,) = (d for d in assert_equivariant(wrap(net, "C4"), "C4", images) if d.output == "output")
    assert deviation.relative <= 1e-12
    with pytest.raises(AssertionError, match="not equivariant under D4"):
        assert_equivariant(wrap(net, "C4"), "D4", images)


@BOTH
def test_maps_turn_with_the_image(images: Tensor, wrap: Wrap) -> None:
    fields = {"maps": Image(), "total": Scalar()}
    with pytest.raises(AssertionError, match="not equivariant under D4"):
        assert_equivariant(Maps(), "D4", images, fields)
    assert_equivariant(wrap(Maps(), "D4", fields), "D4", images, fields)


class Rows(nn.Module):
    """One number for each row, which depends on the order of all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))[..., None]


@BOTH
def test_rows_move_with_the_rows(generator: torch.Generator, wrap: Wrap) -> None:
    rows, field = torch.rand(3, 4, 2, generator=generator, dtype=torch.float64), Nodes("items", Scalar())
    with pytest.raises(AssertionError, match="not equivariant under S4"):
        assert_equivariant(Rows(), "S4", {"x": rows}, {"y": field}, fields={"x": field})
    wrapped = wrap(Rows(), "S4", {"y": field}, fields={"x": field})
    assert_equivariant(wrapped, "S4", {"x": rows}, {"y": field}, fields={"x": field})


@BOTH
def test_vectors_turn_with_the_image(generator: torch.Generator, wrap: Wrap) -> None:
    """Elements that turn the numbers themselves, by a formula: the action moves them, and no table."""
    arrows, field = torch.rand(3, 2, 7, 7, generator=generator, dtype=torch.float64), Vector().over(Grid("image"))
    conv = nn.Conv2d(2, 2, 3, padding=1)

    def test(model: nn.Module) -> None:
        fields = {"x": field}
        assert_equivariant(model, "D4", {"x": arrows}, {"y": field}, fields=fields, tolerance=1e-12)

    with pytest.raises(AssertionError, match="not equivariant under D4"):
        test(conv)
    wrapped = wrap(conv, "D4", {"y": field}, fields={"x": field})
    test(wrapped)
    given = arrows.float().requires_grad_()
    wrapped(given).square().sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


@pytest.mark.parametrize("index", [[[2, 0, 1], [0, 2, 1]], [[2, 0, 1]]], ids=["two", "one"])
def test_what_is_gathered_by_tables_has_a_derivative(generator: torch.Generator, index: list[list[int]]) -> None:
    x = torch.rand(2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    table = torch.tensor(index)
    assert torch.equal(take(x, table), take(x.detach(), table))
    assert torch.autograd.gradcheck(lambda values: take(values, table), x)


def test_a_symmetric_sample_is_a_tie_that_outputs_which_move_do_not_survive() -> None:
    """The one thing that canonicalising cannot do: all turns of a blank image are one image, and its map is not."""
    blank, maps = torch.ones(1, 1, 5, 5, dtype=torch.float64), Maps().double()
    maps.conv.weight.data = torch.arange(9.0, dtype=torch.float64).view(1, 1, 3, 3)
    fields = {"maps": Image(), "total": Scalar()}
    one = canonicalised(maps, "C4", fields)(blank)["maps"]
    assert not torch.allclose(torch.rot90(one, 1, dims=(-2, -1)), one)
    mean = averaged(maps, "C4", fields)(blank)["maps"]
    assert torch.allclose(torch.rot90(mean, 1, dims=(-2, -1)), mean, rtol=0, atol=1e-12)


@BOTH
def test_precision_and_weights_are_the_model_s(net: Cnn, images: Tensor, wrap: Wrap) -> None:
    wrapped = wrap(net, "C4")
    wide = wrapped(images)
    narrow = copy.deepcopy(wrapped).float()
    assert narrow(images.float()).dtype == torch.float32
    assert torch.allclose(narrow(images.float()).double(), wide, rtol=0, atol=1e-5)
    assert wide.dtype == torch.float64
    assert sum(p.numel() for p in wrapped.parameters()) == sum(p.numel() for p in net.parameters())
    assert list(wrapped.state_dict()) == [f"module.{name}" for name in net.state_dict()]
    assert wrapped.get_submodule("features.0") is net.features[0]


@BOTH
def test_gradients_reach_inputs_and_weights(net: Cnn, images: Tensor, wrap: Wrap) -> None:
    given = images.clone().requires_grad_()
    wrap(net, "C4")(given).square().sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0
    assert net.head.weight.grad is not None
    turned = torch.rot90(images, 1, dims=(-2, -1)).requires_grad_()
    wrap(net, "C4")(turned).square().sum().backward()
    assert turned.grad is not None
    assert torch.allclose(torch.rot90(given.grad, 1, dims=(-2, -1)), turned.grad, rtol=0, atol=1e-12)


@BOTH
def test_bad_questions_are_refused(net: Cnn, images: Tensor, wrap: Wrap) -> None:
    for group, message in {
        "C8": "group: C8 resamples or loses what is in 'x', and so would a model behind it",
        "SO2": "group: SO2 has more elements than can be listed, expected a group of at most 256 elements",
        "C4x": "group: got group 'C4x', expected one of",
    }.items():
        with pytest.raises(ConfigError) as raised:
            wrap(net, group)(images)
        assert message in str(raised.value)
    with pytest.raises(ConfigError, match=r"model: got .*expected a torch\.nn\.Module"):
        wrap(len, "C4")
    with pytest.raises(ConfigError, match=r"outputs\['maps'\]: got 'mapps'"):
        wrap(net, "C4", {"maps": "mapps"})
    with pytest.raises(ConfigError, match=r"'output': its shape \(5,\) cannot be moved as"):
        wrap(net, "C4", Image())(images)
    with pytest.raises(ConfigError, match="S6 has 720 elements, each of which costs time for every sample"):
        wrap(Rows(), "S6", fields={"x": Nodes("items", Scalar())})(torch.rand(2, 6, 2))
