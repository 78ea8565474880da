"""Training without labels: the loss is the published one, no label is read, and what cannot be is a sentence."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import APART, Folder
from torch import Tensor, nn

import symbench as sb
from symbench.base.events import Event, Note
from symbench.face.api import prepare
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training import checkpoints, self_supervised
from symbench.measure.training.self_supervised import nt_xent, spread
from symbench.measure.training.setting import setting_of

SUITE = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load", args: {{samples: 26}}}}
models:
  net: {{use: {use}, train: {{on: blobs, batch: 6, {recipe}}}}}
symmetries:
  turns: {{group: C4, on: image}}
  shifts: {{group: translations, on: image, reach: 1, border: circular, only: {{model: nothing-*}}}}
"""
MLP = "mlp, width: 8, depth: 1, embedding: 4"
VIEWS = "self_supervised: {views: shifts}"
NET = """\
import torch
from torch import nn
from symbench.fields import Embedding


class Net(nn.Module):
    def __init__(self, scale=1.0, offset=0.0):
        super().__init__()
        self.outputs = {"embedding": Embedding()}
        self.scale, self.offset = scale, offset
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * 49, 3))

    def forward(self, x):
        return self.offset + self.scale * self.head(self.features(x))
"""
Planned = Callable[..., Workspace]


@pytest.fixture
def planned(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))

    def write(recipe: str, use: str = MLP, data: str = APART) -> Workspace:
        folder.write(model=NET, data=data)
        folder.suite.write_text(SUITE.format(recipe=recipe, use=use).replace(", only: {model: nothing-*}", ""))
        return prepare(folder.suite, sb.Choices(device="cpu"))[0]

    return write


def obtained(
    space: Workspace, stopped: Callable[[], bool] = lambda: False
) -> tuple[checkpoints.Checkpoint, list[str]]:
    """The checkpoint, with as many stops as are asked for; and what was said."""
    heard: list[Event] = []
    while True:
        try:
            made = checkpoints.obtain(space, "net", device="cpu", listen=heard.append, stopped=stopped)
        except sb.Interrupted:
            continue
        return made, [event.text for event in heard if isinstance(event, Note)]


def trained(space: Workspace) -> nn.Module:
    module = space.new_module("net", "blobs")
    checkpoints.restore(module, obtained(space)[0])
    return module.eval()


# The loss.


@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0])
def test_the_loss_is_a_cross_entropy_over_all_other_views(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    both = torch.nn.functional.normalize(torch.randn(10, 3, generator=generator, dtype=torch.float64), dim=1)
    first, second = both.split(5)
    total = 0.0
    for i in range(10):
        nearness = [math.exp(float(both[i] @ both[k]) / temperature) for k in range(10)]
        total -= math.log(nearness[(i + 5) % 10] / (sum(nearness) - nearness[i]))
    assert float(nt_xent(first, second, temperature)) == pytest.approx(total / 10, rel=1e-12)


def test_the_loss_of_a_collapse_is_that_of_a_guess() -> None:
    one = torch.ones(7, 1)
    assert float(nt_xent(one, one, 0.5)) == pytest.approx(math.log(13), rel=1e-6)


def test_spread_is_none_of_one_direction_and_whole_around_the_origin() -> None:
    plane = torch.eye(3).repeat(2, 1)
    assert spread(torch.arange(1.0, 6.0)[:, None] * torch.tensor([1.0, 2.0])) == pytest.approx(0, abs=1e-7)
    assert spread(torch.cat([plane, -plane])) == pytest.approx(1)
    assert spread(plane) == pytest.approx(math.sqrt(2 / 3)), "the mean has a third of the squared length"


# What training without labels reads, draws and keeps.


def test_no_label_is_read(planned: Planned) -> None:
    """With all labels exchanged, and one that nobody could have, the weights are the same to the last bit."""
    recipe = f"epochs: 2, samples: 20, validation: 0.3, {VIEWS}, soften: {{symmetry: turns}}"
    known = obtained(planned(recipe))[0].digest
    space = planned(recipe)
    labels = space.training_of("blobs").dataset.target_values["label"]  # type: ignore[attr-defined]
    labels[:] = labels.flip(0)
    labels[0] = 10**6
    checkpoints._place(space.plan, "net").unlink()
    assert obtained(space)[0].digest == known


def test_data_without_labels_is_enough(planned: Planned, folder: Folder) -> None:
    data = "import torch\ndef load(split='test', samples=8):\n    return list(torch.rand(samples, 1, 9, 9))\n"
    planned(f"epochs: 1, {VIEWS}", data=data.replace("    return", "    torch.manual_seed(0)\n    return"))
    frame = sb.run(folder.suite, results=folder.results).estimates()
    found = frame[frame["element"].isna() & (frame["symmetry"] == "turns")].set_index("metric")
    assert float(found["estimate"]["equivariance_error"]) > 0
    assert found["reason"]["accuracy"] == "no class labels"


def test_two_views_are_drawn_apart_and_a_share_of_them_is_moved(planned: Planned) -> None:
    def moved(share: float) -> tuple[Tensor, Tensor]:
        space = planned(f"epochs: 1, self_supervised: {{views: {{symmetry: turns, share: {share}}}}}")
        setting = setting_of(space, "net")
        x = torch.rand(400, 1, 9, 9, generator=torch.Generator().manual_seed(0))
        assert setting.contrast is not None
        views = setting.contrast.pair(
            setting.data, {"image": x}, torch.arange(400) % 26, torch.Generator().manual_seed(1)
        )
        first, second = ((view["image"] != x).any(dim=(1, 2, 3)) for view in views)
        return first, second

    first, second = moved(1.0)
    assert 0.68 < first.double().mean() < 0.82, "a quarter is turned by nothing"
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
    assert not torch.stack(moved(0.0)).any()
    assert 0.3 < moved(0.5)[0].double().mean() < 0.45


def test_replicas_differ_and_the_same_seed_does_not(planned: Planned) -> None:
    found = [obtained(planned(f"epochs: 1, {VIEWS}, seed: {seed}"))[0].digest for seed in (0, 1)]
    assert found[0] != found[1]
    space = planned(f"epochs: 1, {VIEWS}, seed: 0")
    checkpoints._place(space.plan, "net").unlink()
    assert obtained(space)[0].digest == found[0]


@pytest.mark.parametrize(
    "recipe", [f"epochs: 3, {VIEWS}", f"steps: 11, {VIEWS}, soften: {{symmetry: turns}}, validation: 0.3"]
)
def test_a_training_that_is_stopped_ends_in_the_same_weights(planned: Planned, recipe: str) -> None:
    space = planned(recipe, use='"model.py:Net"')
    whole, said = obtained(space)
    assert said == []
    curve = whole.measured["curve"]
    for batches in (1, 3):
        checkpoints._place(space.plan, "net").unlink()
        asked = iter(range(1000))
        again, said = obtained(space, lambda asked=asked, batches=batches: next(asked) % batches == 0)  # type: ignore[misc]
        assert again.digest == whole.digest
        assert again.measured["curve"] == curve
        assert any("its training goes on at epoch" in text for text in said)


def test_the_note_has_losses_operations_and_the_spread(planned: Planned) -> None:
    forward = 2 * (81 * 8 + 8 * 4)
    made = obtained(planned(f"epochs: 3, validation: 0.25, {VIEWS}"))[0].measured
    assert made["operations"] == 3 * 2 * forward * made["shown"]
    assert all(point["accuracy"] is point["validation_accuracy"] is None for point in made["curve"])
    assert all(0 < point["validation_loss"] < math.log(12) for point in made["curve"])
    assert 0 < made["embedding_spread"] <= 1
    assert "embedding_spread" not in made["remarks"]
    soft = obtained(planned(f"epochs: 3, validation: 0.25, {VIEWS}, soften: {{symmetry: turns}}"))[0].measured
    assert soft["operations"] == 3 * 3 * forward * soft["shown"]


def test_the_term_turns_embeddings_less(planned: Planned) -> None:
    x = torch.rand(64, 1, 9, 9, generator=torch.Generator().manual_seed(0))

    def turned(recipe: str) -> float:
        module = trained(planned(f"epochs: 30, {VIEWS}{recipe}"))
        with torch.no_grad():
            z, moved = (torch.nn.functional.normalize(module(each), dim=1) for each in (x, x.rot90(1, (2, 3))))
        return float((z - moved).square().mean())

    assert turned(", soften: {symmetry: turns, weight: 10}") < 0.5 * turned("")


def test_a_collapse_is_said(planned: Planned) -> None:
    made, said = obtained(planned(f"epochs: 1, {VIEWS}", use='"model.py:Net", args: {scale: 1.0e-6, offset: 1.0}'))
    (note,) = said
    assert re.fullmatch(r"net: its embeddings have collapsed: .* differ by \S+ % of their length", note)
    assert made.measured["embedding_spread"] < 1e-4
    assert made.measured["remarks"]["embedding_spread"] == note.removeprefix("net: ")


def test_a_loss_that_is_not_finite_ends_it(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_supervised, "nt_xent", lambda first, second, temperature: first.sum() * math.nan)
    with pytest.raises(sb.CellError, match="net: training diverged: the loss is nan at epoch 1, step 1"):
        obtained(planned(f"epochs: 1, {VIEWS}"))


def test_no_epoch_leaves_the_weights_as_they_were_drawn(planned: Planned) -> None:
    space = planned(f"epochs: 0, {VIEWS}, seed: 4", use='"model.py:Net", args: {scale: 1.0e-6, offset: 1.0}')
    made, said = obtained(space)
    assert said == [], "what nobody trained has not collapsed"
    assert (made.measured["steps"], made.measured["curve"]) == (0, [])
    fresh, kept = space.new_module("net", "blobs").state_dict(), trained(space).state_dict()
    assert all(torch.equal(fresh[key], kept[key]) for key in fresh)


def test_what_says_nothing_of_it_keeps_its_documents(planned: Planned) -> None:
    space = planned("epochs: 1", use="mlp, width: 8, depth: 1")
    assert not {"embedding", "linear_probe", "self_supervised", "outputs"} & set(space.plan.recipes["net"])
    assert "self_supervised" not in json.dumps(space.suite.resolved()["models"])
    assert all("linear_probe" not in cell.identity for cell in space.plan.cells)


# What does not go together.

LOGITS = "mlp, width: 8, depth: 1"
WRONG = [
    (f"epochs: 1, augment: turns, {VIEWS}", MLP, "train.augment: got augment for a training without labels, whose views"),
    (f"epochs: 1, optimiser: least-squares, {VIEWS}", MLP, "got self_supervised for least-squares, which takes no steps"),
    (f"epochs: 1, validation: 0.3, target: 0.9, {VIEWS}", MLP, "train.target: got a share of right answers for a training"),
    (f"epochs: 1, shared_draws: true, {VIEWS}", MLP, "got shared_draws without augment, so that nothing is drawn"),
    ("epochs: 1, self_supervised: {views: turn}", MLP, "train.self_supervised: got 'turn', expected one of turns, shifts."),
    ("epochs: 1, self_supervised: {}", MLP, "train.self_supervised: views is missing. Add 'views:'."),
    ("epochs: 1, self_supervised: {view: turns}", MLP, "got unknown key 'view', expected one of views, temperature."),
    ("epochs: 1, self_supervised: {views: {symmetry: turns, every: true}}", MLP, "views.every: got every for views, of"),
    ("epochs: 1, self_supervised: {views: turns, temperature: 0}", MLP, "temperature: got 0, expected 0.01 or more"),
    (f"epochs: 1, {VIEWS}", LOGITS, "train.self_supervised: training without labels is of an embedding, and its outputs"),
    (f"epochs: 1, {VIEWS}", f"{LOGITS}, outputs: {{logits: logits}}", "Say outputs: {logits: embedding} in the model's"),
    (f"epochs: 1, samples: 30, {VIEWS}", MLP, "train.samples: got 30 samples, and the training split of blobs has 26"),
]  # fmt: skip


@pytest.mark.parametrize(("recipe", "use", "message"), WRONG, ids=lambda text: text[:50])
def test_what_is_wrong_is_said_in_a_sentence(planned: Planned, recipe: str, use: str, message: str) -> None:
    with pytest.raises(sb.ConfigError, match=re.escape(message)):
        planned(recipe, use)


def test_batches_of_one_have_no_others(planned: Planned, folder: Folder) -> None:
    planned(f"epochs: 1, {VIEWS}")
    folder.suite.write_text(folder.suite.read_text().replace("batch: 6", "batch: 1"))
    with pytest.raises(sb.ConfigError, match="train.batch: got batches of one sample, whose views have no others"):
        prepare(folder.suite, sb.Choices(device="cpu"))


def test_views_are_of_a_leaf_that_is_there(folder: Folder, planned: Planned) -> None:
    planned(f"epochs: 1, {VIEWS}")
    text = folder.suite.read_text().replace(
        "symmetries:", "  own: {use: deep-sets, only: {dataset: sets}}\nsymmetries:\n  order: {group: S, on: set}"
    )
    text = text.replace("models:", "  sets: {use: sets}\nmodels:").replace("views: shifts", "views: order")
    folder.suite.write_text(text)
    with pytest.raises(
        sb.ConfigError, match="train.self_supervised: blobs has no leaf for order, expected a symmetry on"
    ):
        prepare(folder.suite, sb.Choices(device="cpu"))
