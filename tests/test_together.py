"""Replicas that are trained together: each as it would be alone, up to rounding, and what becomes of one is its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import APART, ROOT, Folder, Symbench
from safetensors.torch import load_file
from torch import Tensor

import symbench as sb
from symbench.base.errors import SuiteError
from symbench.base.events import Advanced, Event, Note, Started
from symbench.base.paths import cache_folder, sha256_file
from symbench.face.api import prepare
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import Recipe
from symbench.measure.training import checkpoints
from symbench.measure.training.augment import Augmentation

SUITE = """\
version: 1
name: small
sweep: {{seeds: {seeds}}}
datasets:
  blobs: {{use: "data.py:load", args: {{samples: 25}}}}
models:
  net: {{{model}, train: {{on: blobs, batch: 6, {recipe}}}}}
symmetries:
  turns: {{group: C4, on: image}}
"""
NET, DOUBLE, FRAGILE = 'use: "model.py:Net"', 'use: "model.py:Net", args: {double: true}', 'use: "model.py:Fragile"'
SGD = "optimiser: sgd, momentum: 0.9, learning_rate: 0.01, augment: turns"


@dataclass
class Trained:
    """The replicas of a suite, each obtained in its turn.

    Attributes:
        paths: of the checkpoints, by the replica's name.
        failed: why others failed.
        events: everything that was heard.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def weights(self) -> dict[str, dict[str, Tensor]]:
        return {name: load_file(path) for name, path in self.paths.items()}

    @property
    def digests(self) -> dict[str, str]:
        return {name: sha256_file(path) for name, path in self.paths.items()}

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    def measured(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.paths[name].with_suffix(".json").read_text())["measured"]
        return found


@dataclass
class Bench:
    """Plans suites of a folder, and trains their replicas with caches of their own."""

    folder: Folder
    monkeypatch: pytest.MonkeyPatch

    def space(self, recipe: str, model: str = NET, seeds: object = 3, only: str | None = None) -> Workspace:
        self.folder.write(data=APART)
        shutil.copy(ROOT / "tests" / "cases" / "together" / "model.py", self.folder.path)
        self.folder.suite.write_text(SUITE.format(model=model, recipe=recipe, seeds=seeds))
        return prepare(self.folder.suite, sb.Choices(device="cpu", only=only))[0]

    def cache(self, name: str) -> None:
        self.monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(self.folder.path / name))

    def train(self, space: Workspace, cache: str, *, every: int | None = None) -> Trained:
        """``every``: after how many batches training is stopped, to be gone on with, again and again."""
        self.cache(cache)
        made, asked = Trained(), 0

        def stopped() -> bool:
            nonlocal asked
            asked += 1
            return every is not None and asked % every == 0

        waiting = list(space.plan.recipes)
        while waiting:
            try:
                found = checkpoints.obtain(
                    space, waiting[0], device="cpu", listen=made.events.append, stopped=stopped
                )
                made.paths[waiting[0]] = found.path
            except sb.Interrupted:
                continue
            except sb.CellError as error:
                made.failed[waiting[0]] = str(error)
            waiting.pop(0)
        return made


@pytest.fixture
def bench(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(folder, monkeypatch)


def furthest(ones: Mapping[str, Mapping[str, Tensor]], others: Mapping[str, Mapping[str, Tensor]]) -> float:
    """The largest difference of any tensor, relative to its largest number."""
    assert ones.keys() == others.keys()
    return max(
        float((ones[name][key] - others[name][key]).abs().max() / ones[name][key].abs().max().clamp(min=1e-30))
        for name in ones
        for key in ones[name]
    )


# As alone.


@pytest.mark.parametrize(
    ("model", "recipe", "within"),
    [
        (NET, f"{SGD}, steps: 7", 1e-5),
        ("use: mlp, width: 8, depth: 1", "epochs: 2, augment: turns, shared_draws: true", 1e-5),
        ("use: support-cnn, width: 3, support: corner", "steps: 7, samples: 14, subset: own", 1e-5),
        ("use: p4-cnn, width: 2", f"{SGD}, steps: 4", 1e-5),
        (DOUBLE, "steps: 9, schedule: cosine, weight_decay: 0.1, augment: {symmetry: turns, share: 0.5}", 1e-12),
        (DOUBLE, f"{SGD}, epochs: 5, validation: 0.3, stop: {{patience: 1}}, target: 0.5", 1e-12),
    ],
)
def test_each_is_what_it_would_be_alone(bench: Bench, model: str, recipe: str, within: float) -> None:
    alone = bench.train(bench.space(recipe, model), "alone")
    together = bench.train(bench.space(f"{recipe}, together: 3", model), "together")
    assert together.said == alone.said == []
    assert len(alone.digests.keys()) == 3
    assert furthest(alone.weights, together.weights) < within
    first, *others = alone.weights.values()
    assert all(furthest({"": first}, {"": other}) > 0.01 for other in others), "replicas differ"
    exact = ("samples", "shown", "epochs", "steps", "steps_to_target", "best_epoch", "stopped_early")
    for name in alone.paths:
        one, other = alone.measured(name), together.measured(name)
        assert [one[key] for key in exact] == [other[key] for key in exact]
        assert one["operations"] == other["operations"]
        losses = ([point["loss"] for point in known["curve"]] for known in (one, other))
        assert next(losses) == pytest.approx(next(losses), rel=10 * within)


def test_draws_are_those_of_a_training_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[torch.Generator, list[tuple[list[int], list[float]]]] = {}
    elements = Augmentation.elements

    def noted(self: Augmentation, *given: Any) -> Tensor:
        found = elements(self, *given)
        drawn.setdefault(given[-1], []).append((given[2].tolist(), found.tolist()))
        return found

    monkeypatch.setattr(Augmentation, "elements", noted)
    bench.train(bench.space(f"{SGD}, epochs: 2"), "alone")
    alone = list(drawn.values())
    drawn.clear()
    bench.train(bench.space(f"{SGD}, epochs: 2, together: 3"), "together")
    assert list(drawn.values()) == alone
    assert len(alone) == 3
    assert alone[0] != alone[1]


def test_stopping_early_is_each_replicas_own(bench: Bench) -> None:
    recipe = "epochs: 12, validation: 0.3, stop: {patience: 1}, learning_rate: 0.05, schedule: constant, optimiser: sgd, together: 4"
    made = bench.train(bench.space(recipe, DOUBLE, seeds=4), "a")
    epochs = {made.measured(name)["epochs"] for name in made.paths}
    assert len(epochs) > 1
    alone = bench.train(bench.space(recipe.replace(", together: 4", ""), DOUBLE, seeds=4), "b")
    assert [made.measured(name)["epochs"] for name in made.paths] == [
        alone.measured(n)["epochs"] for n in alone.paths
    ]
    assert furthest(alone.weights, made.weights) < 1e-8


# Which are trained together.


def test_a_block_follows_from_the_recipe_alone() -> None:
    def block(**keys: Any) -> list[int]:
        return list(Recipe(on="x", epochs=1, **keys).block)

    assert block(seed=7, together=5) == [5, 6, 7, 8, 9]
    assert block(seed=0, together=2) == [0, 1]
    assert block(seed=3) == block(together=3) == []
    assert "together" not in Recipe(on="x", epochs=1, seed=3).model_dump(), "recipes without it are what they were"


def test_nothing_depends_on_what_is_there_or_asked_for(bench: Bench) -> None:
    recipe = f"{SGD}, steps: 7, together: 3"
    space = bench.space(recipe)
    whole = bench.train(space, "a")
    assert sum(isinstance(event, Started) for event in whole.events) == 1, "one training"
    assert next(e.task for e in whole.events if isinstance(e, Started)) == "training net-seed-0 and 2 replicas"
    assert sum(event.steps for event in whole.events if isinstance(event, Advanced)) == 7
    before = {name: path.stat().st_mtime_ns for name, path in whole.paths.items()}
    whole.paths["net-seed-1"].unlink()
    assert bench.train(space, "a").digests == whole.digests
    assert all(whole.paths[name].stat().st_mtime_ns == before[name] for name in ("net-seed-0", "net-seed-2"))
    only = bench.train(bench.space(recipe, only="model=net-seed-2"), "b")
    assert only.digests == {"net-seed-2": whole.digests["net-seed-2"]}
    less = bench.train(bench.space(recipe, seeds=[4, 1]), "c")
    assert less.digests["net-seed-1"] == whole.digests["net-seed-1"], "of a block that the suite has in part"
    assert len(list(cache_folder().rglob("*.safetensors"))) == 6, "those that are made up are kept too"
    other = bench.train(bench.space(f"{SGD}, steps: 7, together: 2"), "d")
    assert not {path.stem for path in other.paths.values()} & {path.stem for path in whole.paths.values()}


# What becomes of one.


@pytest.mark.parametrize("every", [None, 2], ids=["at once", "stopped"])
def test_one_that_diverges_fails_alone(bench: Bench, every: int | None) -> None:
    space = bench.space("epochs: 3, together: 4", FRAGILE, seeds=4)
    made = bench.train(space, "a", every=every)
    assert 0 < len(made.failed) < 4
    for name, why in made.failed.items():
        assert why.startswith(
            f"{name}: training diverged: the loss is nan at epoch 1, step 3, expected a finite loss."
        )
    if every is None:
        assert sum(isinstance(event, Started) for event in made.events) == 1
    assert not list(cache_folder().rglob("*.partial"))
    assert not list(cache_folder().rglob("*.failed")), "each is told of once"
    again = bench.train(space, "a")
    assert again.failed == made.failed
    assert again.digests == made.digests
    steps = sum(event.steps for event in again.events if isinstance(event, Advanced))
    assert steps <= 3 * len(made.failed), "nobody waits for the others"
    alone = bench.train(bench.space("epochs: 3", FRAGILE, seeds=4), "b")
    assert alone.failed == made.failed


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        (NET, "epochs: 3, augment: turns"),
        (NET, "epochs: 6, validation: 0.3, stop: {patience: 1}, learning_rate: 0.05"),
        (FRAGILE, "epochs: 3, optimiser: sgd, momentum: 0.9"),
    ],
    ids=["adamw", "stop", "diverging"],
)
def test_going_on_ends_in_the_same_weights(bench: Bench, model: str, recipe: str) -> None:
    space = bench.space(f"{recipe}, together: 4", model, seeds=4)
    whole = bench.train(space, "whole")
    assert whole.said == []
    for every in (4,):
        made = bench.train(space, f"stopped-{every}", every=every)
        assert made.digests == whole.digests
        assert sum("its training goes on at epoch" in text for text in made.said) >= 2
        assert [made.measured(name)["curve"] for name in made.paths] == [
            whole.measured(name)["curve"] for name in whole.paths
        ]


def test_what_it_cost_is_shared_out(bench: Bench) -> None:
    made = bench.train(bench.space("steps: 5, together: 3"), "a")
    found = [made.measured(name) for name in made.paths]
    assert len({known["seconds"] for known in found}) == 1
    share = "its share of 3 replicas that were trained together"
    assert found[0]["remarks"]["seconds"] == found[0]["remarks"]["samples_per_second"] == share
    assert found[0]["samples_per_second"] == pytest.approx(30 / found[0]["seconds"])


# What cannot be batched.


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ('"model.py:Dropping"', "it draws random numbers when it runs, of which each replica has its own"),
        (
            '"model.py:Branching"',
            "torch cannot batch it: RuntimeError: vmap: It looks like you're attempting to use a",
        ),
        ('"model.py:Counting"', "it computes something else when it is batched"),
        ("harmonic-cnn, width: 2", "torch has no batched form of aten::lerp_.Scalar"),
    ],
    ids=["draws", "branches", "rebinds", "slow"],
)
def test_what_torch_cannot_batch_is_trained_alone(bench: Bench, model: str, why: str) -> None:
    space = bench.space("steps: 3, together: 2", f"use: {model}", seeds=2)
    made = bench.train(space, "a")
    assert [text[: len("net-seed-0: ")] for text in made.said] == ["net-seed-0: ", "net-seed-1: "]
    assert all(f"trained alone, and not together with other replicas: {why}" in text for text in made.said)
    assert made.measured("net-seed-0")["remarks"]["together"].startswith(f"not: {why}")
    assert made.digests == bench.train(bench.space("steps: 3", f"use: {model}", seeds=2), "b").digests


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            "epochs: 1, together: 2, soften: {symmetry: turns}",
            "net-seed-0.train.together: got together with soften, whose second pass is of one replica, expected one of "
            "them. Take together out: replicas are then trained alone.",
        ),
        (
            "epochs: 1, together: 2, self_supervised: {views: turns}",
            "net-seed-0.train.together: got together with self_supervised, whose second view is of one replica, expected "
            "one of them. Take together out: replicas are then trained alone.",
        ),
        (
            "epochs: 1, together: 2, samples: 20, subset: own, validation: 0.2",
            "train.together: got together with subset: own and validation, so that replicas may learn from different "
            "numbers, expected batches of one size. Take together, subset or validation out.",
        ),
        ("optimiser: least-squares, together: 2", "train.together: got together for least-squares, which takes no"),
        ("epochs: 1, together: 1", "train.together: got 1, expected 2 or more"),
    ],
)
def test_what_does_not_go_with_it_is_refused(bench: Bench, recipe: str, message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        bench.space(recipe)
    assert message in str(caught.value)


def test_without_replicas_there_is_nothing_to_do_together(bench: Bench) -> None:
    bench.space("epochs: 1")
    bench.folder.suite.write_text(
        SUITE.format(model=NET, recipe="epochs: 1, together: 2", seeds=1).replace("sweep: {seeds: 1}\n", "")
    )
    with pytest.raises(SuiteError, match=r"got together without a seed.*Add sweep: \{seeds: 2\}, or take it out"):
        prepare(bench.folder.suite, sb.Choices(device="cpu"))


def test_a_run_of_such_replicas(bench: Bench, symbench: Symbench) -> None:
    bench.cache("run")
    for seeds in (1, 2):  # a block is trained whole, for the sake of one of them too
        bench.space("epochs: 2, together: 2", "use: mlp, width: 8, depth: 1", seeds=seeds)
        planned = symbench("run", bench.folder.suite, "--dry-run", "--results", bench.folder.results)
        assert "to be trained first" in planned.out + planned.err
        assert "shown in 4 epochs" in planned.out + planned.err
    ran = symbench("run", bench.folder.suite, "--results", bench.folder.results)
    assert ran.code == 0, ran.err
    assert "trained alone" not in ran.err
