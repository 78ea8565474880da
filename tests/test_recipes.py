"""Recipes: what each key does, what does not go together, and what is measured of a training."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from conftest import APART, Folder, Symbench
from torch import Tensor, nn

import symbench as sb
from symbench.algebra.fields import Category, Field, Logits
from symbench.base.events import ignore
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.common.models.base import Model
from symbench.face.api import prepare
from symbench.face.history import shown_by
from symbench.fields import Image
from symbench.measure.assemble import load_dataset, output_count
from symbench.measure.assemble import prepare as prepare_symmetry
from symbench.measure.assemble.origin import TRAINING_SOURCES
from symbench.measure.objective import Objective
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import Recipe, load
from symbench.measure.training import augment, checkpoints, steps
from symbench.measure.training.optimiser import optimiser_of, schedule_of
from symbench.measure.training.soften import Softening
from symbench.measure.training.subsets import Parts, balanced_order, parts_of, validation_part
from symbench.read.report.material import _in_words
from symbench.testing import Blobs, Brightness

SUITE = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load"}}
models:
  mlp: {{use: mlp, width: 8, depth: 1, train: {{on: blobs, batch: 8, {recipe}}}}}
{models}
symmetries:
  turns: {{group: C4, on: image}}
"""
LINEAR = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.head = nn.Linear(81, 3).double()
        self.factor = factor

    def forward(self, x):
        return self.factor * self.head(x.flatten(1))
"""


@pytest.fixture
def planned(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workspace]:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))

    def write(recipe: str, models: str = "") -> Workspace:
        folder.write(model=LINEAR, data=APART)
        folder.suite.write_text(SUITE.format(recipe=recipe, models=models))
        return prepare(folder.suite, sb.Choices(device="cpu"))[0]

    return write


def obtained(space: Workspace, name: str = "mlp") -> checkpoints.Checkpoint:
    return checkpoints.obtain(space, name, device="cpu", listen=ignore, stopped=lambda: False)


def weights(space: Workspace, name: str = "mlp") -> nn.Module:
    """The module with its trained weights."""
    module = space.new_module(name, "blobs")
    checkpoints.restore(module, obtained(space, name))
    return module.eval()


# What does not go together.

WRONG = [
    ("epochs: 2, steps: 3", "train.steps: got both epochs and steps, expected one of them. Take out the other."),
    ("augment: turns", "train: got neither epochs nor steps, expected one of them. Add 'epochs:', or 'steps:'"),
    ("epochs: 2, momentum: 0.9", "train.momentum: got momentum for adamw, expected it for sgd alone. Take momentum out"),
    ("epochs: 2, optimiser: lion", "train.optimiser: got 'lion', expected one of adamw, adam, sgd, least-squares."),
    ("epochs: 2, augment: {symmetry: turns, share: 1.5}", "train.augment.share: got 1.5, expected 1.0 or less"),
    ("epochs: 2, augment: {symmetry: turns, share: -0.1}", "train.augment.share: got -0.1, expected 0.0 or more"),
    ("epochs: 2, augment: {symmetry: turns, shar: 0.1}", "got unknown key 'shar', expected one of symmetry, share, every."),
    ("epochs: 2, augment: 3", "train.augment: got 3, expected a symmetry's name, or {symmetry: NAME, share: NUMBER}"),
    ("epochs: 2, augment: turn", "train.augment: got 'turn', expected one of turns. Did you mean 'turns'?"),
    ("epochs: 2, soften: {symmetry: turn}", "train.soften: got 'turn', expected one of turns. Did you mean 'turns'?"),
    ("epochs: 2, stop: {patience: 3}", "train.stop: got stop without validation, expected both. Add validation: 0.2"),
    ("epochs: 2, target: 0.9", "train.target: got target without validation, expected both. Add validation: 0.2"),
    ("epochs: 2, validation: 1.0", "train.validation: got 1.0, expected a number below 1"),
    ("epochs: 2, validation: 0", "train.validation: got 0, expected a number above 0"),
    ("epochs: 2, seed: -1", "train.seed: got -1, expected 0 or more"),
    ("epochs: 2, shared_draws: true", "got shared_draws without augment, so that nothing is drawn, expected both"),
    ("epochs: 2, loss_weights: {labels: 2}", "train.loss_weights: got 'labels', which is no target of blobs, expected one of label. Did you mean 'label'?"),
    ("epochs: 2, loss_weights: {label: 0}", "got 0 for each target of blobs, so that there is nothing to learn"),
    ("epochs: 2, loss_weights: {label: -1}", "train.loss_weights.label: got -1, expected 0.0 or more"),
    ("epochs: 2, loss_per: {energy: atoms}", "train.loss_per: got 'energy', which is no target of blobs"),
    ("epochs: 2, loss_per: {label: atoms}", "train.loss_per.label: got 'atoms', along which blobs has no leaf"),
    ("epochs: 2, samples: 25", "train.samples: got 25 samples, and the training split of blobs has 24, expected 24 or"),
    ("epochs: 2, samples: 3, validation: 0.1", "validation: 0.1 of 3 samples leaves none to validate on"),
    ("epochs: 2, samples: 1, validation: 0.9", "validation: 0.9 of 1 samples leaves none to learn from"),
]  # fmt: skip


@pytest.mark.parametrize(("recipe", "message"), WRONG, ids=lambda text: text[:40])
def test_what_is_wrong_is_said_in_a_sentence(planned: Callable[..., Workspace], recipe: str, message: str) -> None:
    with pytest.raises(sb.ConfigError, match=re.escape(message)) as caught:
        planned(recipe)
    assert all("small.yaml:6" in problem.where for problem in caught.value.problems)


def test_all_problems_of_a_recipe_come_together(planned: Callable[..., Workspace]) -> None:
    with pytest.raises(sb.ConfigError) as caught:
        planned("epochs: 2, steps: 3, momentum: 0.5, stop: {patience: 1}")
    assert len(caught.value.problems) == 3


NUMBERS = """\
import torch
from symbench.algebra.fields import Scalar
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Image


def load(split="test"):
    x = torch.rand(12, 1, 9, 9, generator=torch.Generator().manual_seed(int(split == "test")))
    fields = {"fields": {"image": Image()}, "target_fields": {"size": Scalar()}}
    return Arrays({"image": x}, {"size": x.mean((1, 2, 3))}, **fields)
"""


def test_a_share_of_right_answers_needs_classes(planned: Callable[..., Workspace], folder: Folder) -> None:
    planned("epochs: 1")
    (folder.path / "data.py").write_text(NUMBERS)
    text = folder.suite.read_text()
    folder.suite.write_text(text.replace("epochs: 1", "epochs: 1, validation: 0.5, target: 0.9"))
    with pytest.raises(
        sb.ConfigError, match=r"train.target: got a share of right answers for a target that is Scalar"
    ):
        prepare(folder.suite, sb.Choices(device="cpu"))
    folder.suite.write_text(text.replace("epochs: 1", "epochs: 1, validation: 0.5"))
    space, _ = prepare(folder.suite, sb.Choices(device="cpu"))
    (point,) = obtained(space).measured["curve"]
    assert point["accuracy"] is point["validation_accuracy"] is None
    assert point["validation_loss"] > 0


SETS = """\
import torch
from torch import nn
from symbench.algebra.fields import Scalar
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Nodes


def load(split="test"):
    x = torch.rand(12, 4, 1, generator=torch.Generator().manual_seed(0))
    fields = {"fields": {"set": Nodes("items", Scalar())}, "target_fields": {"size": Scalar()}}
    return Arrays({"set": x}, {"size": x[..., 0].mean(1)}, **fields)


class Net(nn.Module):
    def __init__(self, axis=None):
        super().__init__()
        self.inputs = {"set": Nodes("items", Scalar())}
        self.outputs = {"size": Scalar() if axis is None else Nodes(axis, Scalar())}
        self.head = nn.Linear(1, 1)

    def forward(self, x):
        return {"size": self.head(x).mean((1, 2))}
"""


def test_softening_needs_an_action_on_the_output(folder: Folder) -> None:
    (folder.path / "sets.py").write_text(SETS)
    text = (
        'version: 1\nname: small\ndatasets: {sets: {use: "sets.py:load"}}\nmodels:\n  net:\n    use: "sets.py:Net"\n'
        "    args: {axis: AXIS}\n    train:\n      on: sets\n      epochs: 1\n      soften: {symmetry: order}\n"
        "symmetries: {order: {group: S4, on: set}}\n"
    )
    folder.suite.write_text(text.replace("AXIS", "null"))
    prepare(folder.suite, sb.Choices(device="cpu"))
    folder.suite.write_text(text.replace("AXIS", "bonds"))
    said = (
        "small.yaml:11: models.net.train.soften: no action on the output 'size': .* along the axis 'bonds', which no"
    )
    with pytest.raises(sb.ConfigError, match=said):
        prepare(folder.suite, sb.Choices(device="cpu"))


# Subsets.


def uneven(labels: np.ndarray, order: np.ndarray) -> int:
    """By how many samples classes that have not run out differ in a beginning of an order, at most: a plain loop."""
    whole, far = Counter(labels.tolist()), 0
    for n in range(1, len(order) + 1):
        some = Counter(labels[order[:n]].tolist())
        left = [some[label] for label, count in whole.items() if some[label] < count]
        far = max(far, max(some.values()) - min(left, default=max(some.values())))
    return far


@pytest.mark.parametrize("sizes", [[50] * 10, [70, 20, 10], [97, 1, 2]])
def test_classes_come_round_in_turns(sizes: list[int]) -> None:
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = balanced_order(labels, seed=1)
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert uneven(labels, order) == 1
    assert uneven(labels, generator.permutation(len(labels))) > 1, "by chance it is not so"
    assert not np.array_equal(order, balanced_order(labels, seed=2))


def test_a_hundred_of_ten_classes_are_ten_each() -> None:
    suite = load(Path(__file__).parent.parent / "suites" / "quick.yaml")
    data = load_dataset(suite, "digits", split="train")
    assert output_count(data, None, "") == 10
    parts = parts_of(data, "x", Recipe(on="digits", epochs=1, samples=100), seed=0, where="")
    assert Counter(data.batch(parts.learnt.tolist()).targets["label"].tolist()) == dict.fromkeys(range(10), 10)
    assert len(parts.validated) == 0


def parts(data: Arrays, seed: int = 0, **keys: Any) -> Parts:
    return parts_of(data, "digest", Recipe(on="blobs", epochs=1, **keys), seed=seed, where="")


def test_subsets_are_nested_and_the_same_for_all() -> None:
    data = Blobs(90)
    few, many = parts(data, samples=20), parts(data, samples=60, seed=0, batch=4, learning_rate=0.5)
    assert set(few.learnt.tolist()) < set(many.learnt.tolist())
    again = parts_of(
        data, "digest", Recipe(on="blobs", steps=3, samples=20).model_copy(update={"seed": 7}), seed=0, where=""
    )
    assert torch.equal(few.learnt, again.learnt), "whatever else the recipe says"
    assert set(parts(data, samples=20, seed=1).learnt.tolist()) != set(few.learnt.tolist()), "the suite's seed"
    everything = parts(data)
    assert torch.equal(everything.learnt, torch.arange(90))


def test_the_validation_part_is_apart_balanced_and_nested_too() -> None:
    data = Blobs(90)
    labels = data.target_values["label"]
    few, many = parts(data, samples=30, validation=0.2), parts(data, samples=60, validation=0.2)
    for some, size in ((few, 30), (many, 60)):
        held, learnt = set(some.validated.tolist()), set(some.learnt.tolist())
        assert not held & learnt
        assert len(held) == size / 5
        assert held | learnt == set(parts(data, samples=size).learnt.tolist()), "it is taken out of the samples"
        assert Counter(labels[some.validated].tolist()) == dict.fromkeys(range(3), size / 15)
    assert set(few.validated.tolist()) < set(many.validated.tolist())
    assert set(few.learnt.tolist()) < set(many.learnt.tolist())


def test_small_classes_do_not_all_round_the_same_way() -> None:
    held = validation_part(np.tile(np.arange(10), 3), 0.2)
    assert held.sum() == 6
    unbalanced = sum(validation_part(np.zeros(3, dtype=int), 0.2).sum() for _ in range(10))
    assert unbalanced in {0, 10}, "each class by itself would give none, or ten"


# Replicas.


class Shown:
    """Notes what is shown of each sample in each epoch, and in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images: dict[tuple[int, int], Tensor] = {}
        self.order: list[int] = []
        augmented = augment.augmented

        def noted(data: Any, leaves: Any, targets: Any, indices: Tensor, *more: Any, epoch: int) -> Any:
            found = augmented(data, leaves, targets, indices, *more, epoch=epoch)
            for index, image in zip(indices.tolist(), found[0]["image"], strict=True):
                self.images[epoch, index] = image
                self.order.append(index)
            return found

        monkeypatch.setattr(steps, "augmented", noted)

    def alike(self, other: Shown) -> float:
        """The share of (epoch, sample) that both saw moved in the same way."""
        same = [torch.equal(image, other.images[key]) for key, image in self.images.items()]
        return sum(same) / len(same)


def replica(
    planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch, recipe: str
) -> tuple[Shown, Workspace]:
    with monkeypatch.context() as patch, TemporaryDirectory() as cache:
        shown, space = Shown(patch), planned(recipe)
        patch.setenv("SYMBENCH_CACHE_DIR", cache)
        obtained(space)
    return shown, space


def initial(space: Workspace) -> Tensor:
    return next(space.new_module("mlp", "blobs").parameters())


def test_replicas_have_weights_batches_and_draws_of_their_own(
    planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [replica(planned, monkeypatch, f"epochs: 6, augment: turns, seed: {seed}") for seed in (0, 1, 0)]
    (one, first), (two, second), (again, _) = made
    assert not torch.equal(initial(first), initial(second))
    assert one.order != two.order
    assert 0.1 < one.alike(two) < 0.45, "one element in four is the same by chance"
    assert (again.order, again.alike(one)) == (one.order, 1.0)
    none, unseeded = replica(planned, monkeypatch, "epochs: 6, augment: turns")
    assert none.order not in (one.order, two.order)
    assert "seed" not in unseeded.plan.recipes["mlp"]["recipe"]


def test_shared_draws_are_shared_sample_by_sample_and_nothing_else_is(
    planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = "epochs: 6, augment: {{symmetry: turns, share: 0.7}}, shared_draws: true, seed: {seed}"
    made = [replica(planned, monkeypatch, recipe.format(seed=seed)) for seed in (0, 1)]
    (one, first), (two, second) = made
    assert one.alike(two) == 1.0
    assert one.order != two.order
    assert not torch.equal(initial(first), initial(second))
    moved = [not torch.equal(image, one.images[0, key[1]]) for key, image in one.images.items()]
    assert any(moved), "epochs differ"


@pytest.mark.parametrize(("share", "low", "high"), [(0, 0, 0), (0.5, 0.25, 0.5), (1.0, 0.6, 0.9)])
def test_a_share_of_the_samples_is_moved(
    planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch, share: float, low: float, high: float
) -> None:
    """Of those that are, a quarter is turned by nothing."""
    shown, space = replica(planned, monkeypatch, f"epochs: 20, augment: {{symmetry: turns, share: {share}}}")
    data = space.training_of("blobs").dataset
    still = {index: data.batch([index]).leaves["image"][0] for index in range(24)}
    moved = [not torch.equal(image, still[index]) for (_, index), image in shown.images.items()]
    assert low <= sum(moved) / len(moved) <= high


def test_all_of_them_is_what_a_name_alone_means(planned: Callable[..., Workspace]) -> None:
    plans = [
        planned(f"epochs: 1, augment: {way}").plan
        for way in ("turns", "{symmetry: turns}", "{symmetry: turns, share: 1}")
    ]
    assert len({json.dumps(plan.recipes) for plan in plans}) == 1
    assert len({plan.asked for plan in plans}) == 1


def test_what_is_as_usual_is_not_in_the_documents(planned: Callable[..., Workspace]) -> None:
    """Recipes and suites that say nothing of the later keys keep their digests, and the seeds made of them."""
    space = planned("epochs: 2")
    known = {"epochs": 2, "batch": 8, "learning_rate": 5e-3, "weight_decay": 1e-2}
    assert space.plan.recipes["mlp"]["recipe"] == known
    assert space.suite.resolved()["models"]["mlp"]["train"] == {"on": "blobs", **known}
    usual = planned("epochs: 2, optimiser: adamw, schedule: one-cycle, shared_draws: false")
    assert usual.plan.recipes == space.plan.recipes
    assert planned("epochs: 2, optimiser: adam").plan.recipes != space.plan.recipes


# Optimisers and schedules.


def test_momentum_descends_as_by_hand(planned: Callable[..., Workspace]) -> None:
    """v <- 0.9 v + grad, w <- w - 0.1 v, five times; the gradient of cross-entropy is (p - y) x / n."""
    recipe = "train: {on: blobs, steps: 5, batch: 24, optimiser: sgd, momentum: 0.9, learning_rate: 0.1"
    space = planned("epochs: 1", f'  net: {{use: "model.py:Net", {recipe}, weight_decay: 0, schedule: constant}}}}')
    data = space.training_of("blobs").dataset.batch(range(24))
    x, y = data.leaves["image"].flatten(1).double(), torch.eye(3).double()[data.targets["label"]]
    start = space.new_module("net", "blobs")
    w, b = (p.detach().clone() for p in start.parameters())
    v, u = torch.zeros_like(w), torch.zeros_like(b)
    for _ in range(5):
        apart = ((x @ w.T + b).softmax(1) - y) / 24
        v, u = 0.9 * v + apart.T @ x, 0.9 * u + apart.sum(0)
        w, b = w - 0.1 * v, b - 0.1 * u
    trained = weights(space, "net")
    assert torch.allclose(trained.head.weight, w, rtol=0, atol=1e-12)  # type: ignore[union-attr,arg-type]
    assert torch.allclose(trained.head.bias, b, rtol=0, atol=1e-12)  # type: ignore[union-attr,arg-type]
    assert not torch.allclose(start.head.weight, w, rtol=0, atol=1e-3)  # type: ignore[union-attr,arg-type]


def rates(**keys: Any) -> tuple[list[float], list[Any]]:
    recipe = Recipe(on="x", steps=10, learning_rate=0.1, **keys)
    optimiser = optimiser_of(recipe, [nn.Parameter(torch.zeros(1))])
    schedule, found, momenta = schedule_of(recipe, optimiser, 10), [], []
    for _ in range(10):
        found.append(optimiser.param_groups[0]["lr"])
        momenta.append(optimiser.param_groups[0].get("momentum"))
        optimiser.step()
        schedule.step()
    return found, momenta


def test_schedules_are_what_they_are_called() -> None:
    assert rates(schedule="constant")[0] == [0.1] * 10
    cosine = [0.05 * (1 + math.cos(math.pi * t / 10)) for t in range(10)]
    assert rates(schedule="cosine")[0] == pytest.approx(cosine, abs=1e-15)
    cycle, momenta = rates(optimiser="sgd", momentum=0.7)
    assert max(cycle) == pytest.approx(0.1, rel=0.1)
    assert cycle[0] < 0.1 / 20
    assert cycle[-1] < cycle[5]
    assert set(momenta) == {0.7}, "one cycle leaves a momentum alone that the recipe names"


def test_steps_are_steps_of_the_optimiser(planned: Callable[..., Workspace]) -> None:
    """24 samples are three batches of 8: seven steps end in the third epoch, after one of its batches."""
    made = obtained(planned("steps: 7"))
    assert [made.measured[key] for key in ("steps", "epochs", "shown", "samples")] == [7, 3, 56, 24]
    assert [point["step"] for point in made.measured["curve"]] == [3, 6, 7]


def test_a_last_sample_alone_is_no_step(planned: Callable[..., Workspace], folder: Folder) -> None:
    made = obtained(planned("steps: 7, samples: 17"))
    assert [made.measured[key] for key in ("steps", "epochs", "shown")] == [7, 4, 56]


# Softening.


class Reads(nn.Module):
    """Logits that read single pixels, and so turn with an image."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, :3, 0]


class Maps(nn.Module):
    """Maps that turn with an image; with a pattern added that does not."""

    def __init__(self, pattern: float) -> None:
        super().__init__()
        self.pattern = torch.rand(9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.strength = nn.Parameter(torch.tensor(pattern, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x + self.strength * self.pattern


def softening(
    module: nn.Module, outputs: dict[str, Field], weight: float = 1.0, under: str = "quarter-turns"
) -> tuple[Tensor, Tensor, Tensor]:
    """The term for 16 images, the elements that were drawn, and the images."""
    suite = load(Path(__file__).parent.parent / "suites" / "quick.yaml")
    x = torch.rand(16, 1, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    maps = any(not field.is_invariant for field in outputs.values())
    target = {"maps": x.clone()} if maps else {"label": torch.arange(16) % 3}
    field: Field = Image() if maps else Category(3)
    data = Arrays({"image": x}, target, fields={"image": Image()}, target_fields={next(iter(target)): field})
    symmetry = prepare_symmetry(suite, under, data, data.shapes())
    objective = Objective(Model(module.double(), outputs), data, ["image"], field, "cpu")
    objective.dtype = torch.float64
    soften, leaves = Softening(symmetry, weight), {"image": x}
    found = objective.outputs(soften.unmoved(data, leaves))
    objective.loss(found, leaves, target)
    generator = torch.Generator().manual_seed(3)
    term = soften.term(objective, leaves, found, target, torch.arange(16), generator)
    turns = symmetry.group.sample(16, generator=torch.Generator().manual_seed(3))
    return term, turns, x


def test_the_term_is_the_mean_squared_change_of_logits() -> None:
    term, turns, x = softening(Reads(), {"logits": Logits()}, 2.0)
    by_hand = 0.0
    for image, turn in zip(x, turns.tolist(), strict=True):
        apart = torch.rot90(image, int(turn), (1, 2))[0, :3, 0] - image[0, :3, 0]
        by_hand += float(apart.square().sum()) / 3 / 16
    assert by_hand > 0.1
    assert float(term) == pytest.approx(2 * by_hand, abs=1e-12)


def test_an_invariant_model_has_no_term() -> None:
    assert softening(Brightness(), {"logits": Logits()})[0].item() < 1e-12


@pytest.mark.parametrize("under", ["quarter-turns", "flips", "rotations", "shifts", "patches"])
def test_maps_are_moved_along_and_both_sides_are_differentiated(under: str) -> None:
    """Twice the image moves with it, whatever resampling does; of s times a pattern the term is s^2 times something."""
    assert softening(Maps(0.0), {"maps": Image()}, under=under)[0].item() < 1e-12
    maps = Maps(0.5)
    term = softening(maps, {"maps": Image()}, under=under)[0]
    assert term.item() > 1e-3
    (slope,) = torch.autograd.grad(term, maps.strength)
    assert slope.item() == pytest.approx(2 * term.item() / 0.5, abs=1e-12)


def breaking(space: Workspace, name: str) -> float:
    """The mean squared change of logits under quarter turns, over their variance, on the training images."""
    module = weights(space, name)
    x = space.training_of("blobs").dataset.batch(range(24)).leaves["image"]
    with torch.no_grad():
        still = module(x)
        apart = torch.stack([module(torch.rot90(x, k, (2, 3))) - still for k in (1, 2, 3)])
    return float(apart.square().mean() / still.var(0).mean())


def test_a_softened_model_is_less_broken(planned: Callable[..., Workspace]) -> None:
    models = "  soft: {use: mlp, width: 8, depth: 1, train: {on: blobs, batch: 8, epochs: 60, soften: {symmetry: turns, weight: 100.0}}}"
    space = planned("epochs: 60", models)
    assert breaking(space, "soft") < 0.5 * breaking(space, "mlp")


# Validation, early stop and target.


def test_a_validation_part_is_never_of_the_test_set(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    folder.suite.write_text(SUITE.format(recipe="epochs: 2, validation: 0.5", models=""))
    with pytest.raises(sb.ConfigError, match="blobs gives the same samples to learn from and to test on"):
        prepare(folder.suite, sb.Choices(device="cpu"))


def test_no_step_is_on_the_validation_part(
    planned: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, space = replica(planned, monkeypatch, "epochs: 3, samples: 18, validation: 0.3")
    known = space.training_of("blobs")
    recipe = space.suite.models["mlp"].train
    assert recipe is not None
    two = parts_of(known.dataset, known.digest, recipe, seed=0, where="")
    assert set(shown.order) == set(two.learnt.tolist())
    assert not set(shown.order) & set(two.validated.tolist())
    assert len(two.learnt) + len(two.validated) == 18


def test_the_best_weights_are_kept_and_are_those_of_the_curve(planned: Callable[..., Workspace]) -> None:
    """The validation loss of what is in the cache, computed here, is the lowest of the curve."""
    space = planned("epochs: 200, validation: 0.4, stop: {patience: 4}, learning_rate: 0.05, weight_decay: 0")
    made = obtained(space)
    curve = made.measured["curve"]
    losses = [point["validation_loss"] for point in curve]
    best = min(range(len(losses)), key=losses.__getitem__)
    assert made.measured["best_epoch"] == best + 1
    known, recipe = space.training_of("blobs"), space.suite.models["mlp"].train
    assert recipe is not None
    held = known.dataset.batch(parts_of(known.dataset, known.digest, recipe, seed=0, where="").validated.tolist())
    with torch.no_grad():
        loss = nn.functional.cross_entropy(weights(space)(held.leaves["image"]), held.targets["label"])
    assert float(loss) == pytest.approx(losses[best], rel=1e-6)
    if made.measured["stopped_early"]:
        assert len(curve) == best + 5
    assert (len(curve) < 200) == made.measured["stopped_early"]


def test_steps_to_a_target_are_counted_at_epochs_ends(planned: Callable[..., Workspace]) -> None:
    made = obtained(planned("epochs: 40, validation: 0.4, target: 0.7, learning_rate: 0.02"))
    reached = [point for point in made.measured["curve"] if point["validation_accuracy"] >= 0.7]
    assert made.measured["steps_to_target"] == reached[0]["step"]
    assert obtained(planned("epochs: 1, validation: 0.4, target: 1.0")).measured["steps_to_target"] is None


# What is measured, and what becomes of it.


def test_operations_are_three_forward_passes_of_what_is_shown(planned: Callable[..., Workspace]) -> None:
    forward = 2 * (81 * 8 + 8 * 3)
    plain = obtained(planned("epochs: 3"))
    assert plain.measured["shown"] == 72
    assert plain.measured["operations"] == 3 * forward * 72
    soft = obtained(planned("epochs: 3, soften: {symmetry: turns}"))
    assert soft.measured["operations"] == 2 * 3 * forward * 72


def test_the_note_says_what_a_training_took(planned: Callable[..., Workspace]) -> None:
    made = obtained(planned("epochs: 3, learning_rate: 0.01"))
    note = json.loads(made.path.with_suffix(".json").read_text())
    measured = note["measured"]
    assert measured == made.measured
    assert measured["samples_per_second"] == pytest.approx(72 / made.seconds)
    assert measured["peak_memory_bytes"] is None
    assert "keeps no peak" in measured["remarks"]["peak_memory_bytes"]
    assert [point["epoch"] for point in measured["curve"]] == [1, 2, 3]
    assert all(0 <= point["accuracy"] <= 1 for point in measured["curve"])
    assert measured["curve"][-1]["loss"] < measured["curve"][0]["loss"]
    assert note["shown"] == measured["shown"] == 72


def test_costs_of_training_are_metrics(planned: Callable[..., Workspace], folder: Folder) -> None:
    planned("epochs: 3, samples: 16, validation: 0.25, target: 0.01", '  mine: {use: "model.py:Net"}')
    frame = sb.run(folder.suite, results=folder.results).estimates()
    found = frame[frame["metric"].str.startswith("training_")].set_index(["model", "metric"])["estimate"]
    assert found["mlp", "training_samples"] == 12
    assert found["mlp", "training_steps"] == 6
    assert found["mlp", "training_flops"] == 3 * 2 * (81 * 8 + 8 * 3) * 36
    assert found["mlp", "training_steps_to_target"] in {2, 4, 6}
    assert found["mlp", "training_rate"] == pytest.approx(36 / found["mlp", "training_seconds"], rel=0.5)
    assert np.isnan(found["mlp", "training_peak_memory"]), "on a CPU nobody knows"
    assert found.loc["mine"].isna().all()


def test_a_training_that_diverges_fails_its_own_cells(
    planned: Callable[..., Workspace], folder: Folder, symbench: Symbench
) -> None:
    wild = 'wild: {use: "model.py:Net", args: {factor: 1.0e200}, train: {on: blobs, epochs: 5, batch: 8, optimiser: sgd}}'
    planned("epochs: 1", f"  {wild}")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert re.search(
        r"wild: training diverged: the loss is (nan|inf) at epoch \d, step \d+, expected a finite loss", ran.err
    )
    assert "Lower its learning_rate, 0.005" in ran.err
    assert sb.open_run(results=folder.results).estimates().query("model == 'mlp' and metric == 'accuracy'").size > 0


def test_what_is_expected_to_be_shown() -> None:
    assert shown_by({"epochs": 3, "batch": 8}, 100) == 300
    assert shown_by({"epochs": 3, "batch": 8, "samples": 50, "validation": 0.2}, 100) == 120
    assert shown_by({"steps": 30, "batch": 8}, 100) == 240
    assert shown_by({"optimiser": "least-squares", "batch": 8, "samples": 50}, 100) == 50


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"on": "digits", "epochs": 15}, "15 epochs on digits"),
        ({"on": "digits", "epochs": 15, "augment": "turns"}, "15 epochs on digits, turns"),
        (
            {"on": "d", "steps": 9, "samples": 300, "augment": {"symmetry": "turns", "share": 0.5}},
            "9 steps on 300 of d, turns of 50%",
        ),
        (
            {"on": "d", "epochs": 2, "soften": {"symmetry": "turns", "weight": 1.0}},
            "2 epochs on d, softened by turns",
        ),
        (
            {"on": "d", "optimiser": "least-squares", "augment": {"symmetry": "turns", "every": True}},
            "least squares on d, all of turns",
        ),
        (
            {"on": "d", "epochs": 2, "loss_weights": {"energy": 1.0, "forces": 10.0}},
            "2 epochs on d, losses of energy times 1 and forces times 10",
        ),
        ({"on": "d", "epochs": 2, "together": 5}, "2 epochs on d, 5 replicas together"),
        (
            {"on": "d", "epochs": 2, "self_supervised": {"views": {"symmetry": "shifts", "share": 0.5}}},
            "2 epochs on d, without labels by views of shifts",
        ),
    ],
)
def test_recipes_in_words(recipe: dict[str, Any], words: str) -> None:
    assert _in_words(recipe) == words


def test_a_recipe_holds_all_modules_that_its_weights_come_from() -> None:
    folder = Path(checkpoints.__file__).parent
    there = {f"symbench.measure.training.{path.stem}" for path in folder.glob("*.py")}
    outside = {f"symbench.measure.training.{name}" for name in ("__init__", "checkpoints", "cost", "disk", "trial")}
    assert {name for name in TRAINING_SOURCES if ".training." in name} == there - outside
