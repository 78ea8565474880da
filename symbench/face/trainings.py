"""What trainings would take, before they are done: time, epochs and disk."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from symbench.base.errors import CellError
from symbench.face.history import APART, Guess, History, kind_of, shown_by
from symbench.measure.plan.document import Plan
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite.studies import arm_of
from symbench.measure.training.checkpoints import training_of
from symbench.measure.training.disk import Disk, disk_of
from symbench.measure.training.trial import seconds_per_sample

TRIED = "steps of"
"""How the names begin of what a guess has learnt from steps that were tried just for it."""

TENS = 10
"""Epochs from which on parts of one are left out."""


@dataclass(frozen=True)
class Training:
    """One training, before it is done.

    Attributes:
        arm: what the model is called together with those that differ by their seed alone.
        shown: how many samples it would be shown, each as often as it would.
        epochs: that it would have, unless it stops early.
        time: what it would take; None where nothing like it is known.
        disk: what its files would take; None where the model cannot be built.
    """

    arm: str
    shown: float
    epochs: float
    time: Guess | None
    disk: Disk | None

    def times(self, trainings: float) -> Training:
        """This one and others like it, ``trainings`` in all, with the state of each beside the others'."""
        if trainings == 1:
            return self
        time = None if self.time is None else self.time.times(trainings)
        disk = None if self.disk is None else replace(self.disk, checkpoint=round(trainings * self.disk.checkpoint))
        return replace(self, shown=trainings * self.shown, epochs=trainings * self.epochs, time=time, disk=disk)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        weights, state = (None, None) if self.disk is None else (self.disk.checkpoint, self.disk.state)
        return {
            **document_of(self.time), "epochs": self.epochs, "checkpoint_bytes": weights, "state_bytes": state,
        }  # fmt: skip


def document_of(time: Guess | None) -> dict[str, float | None]:
    """A time as plain data."""
    if time is None:
        return dict.fromkeys(("seconds", "seconds_low", "seconds_high"))
    return {"seconds": time.seconds, "seconds_low": time.low, "seconds_high": time.high}


def in_words(trained: Mapping[str, Training], at_once: int) -> str:
    """The totals of trainings, replicas together.

    Args:
        trained: by their models.
        at_once: how many are under way at a time.
    """
    each = list(trained.values())
    known = [training.time for training in each if training.time is not None]
    takes = f" {sum(known[1:], known[0])} in all," if len(known) == len(each) else ""
    counts = Counter(training.arm for training in each)
    names = ", ".join(f"{count} of {name}" if count > 1 else name for name, count in counts.items())
    shown, epochs = (sum(getattr(training, key) for training in each) for key in ("shown", "epochs"))
    long = f"{epochs:,.0f}" if epochs >= TENS else f"{epochs:.2g}"
    return f"{takes} {shown:,.0f} samples shown in {long} epoch{'s' * (long != '1')}{_disk(each, at_once)}: {names}"


def _disk(trainings: Sequence[Training], at_once: int) -> str:
    """What checkpoints come to, and the largest states that are there at a time."""
    known = [each.disk for each in trainings if each.disk is not None]
    if not known:
        return ""
    states = sorted((disk.state for disk in known), reverse=True)[:at_once]
    return f", {_size(sum(disk.checkpoint for disk in known))} of checkpoints and {_size(sum(states))} meanwhile"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def trainings_of(space: Workspace, names: Sequence[str], history: History, device: str) -> dict[str, Training]:
    """What each training would take: its time by earlier ones like it, or else by a few steps of one of its kind."""
    together = _together(space, names)
    tried: dict[str, list[float]] = {}
    built: dict[tuple[Any, ...], Disk | None] = {}
    found = {}
    for name in names:
        document, shown = space.plan.recipes[name], _shown(space.plan, name)
        kind, recipe = kind_of(document), document["recipe"]
        time = history.training(document, shown)
        if time is None and kind not in tried:
            with contextlib.suppress(CellError):
                tried[kind] = seconds_per_sample(space, name, device=device)
        if time is None and kind in tried:
            times = {str(i): seconds * shown for i, seconds in enumerate(tried[kind])}
            time = replace(Guess.around(times, APART), learnt=frozenset({f"{TRIED} {kind}"}))
        alike = (kind, *(str(recipe.get(key)) for key in ("optimiser", "momentum", "stop", "samples", "validation")))
        if alike not in built:
            built[alike] = _disk_of(space, name)
        alone = Training(_arm(space.plan, name), shown, _epochs(space.plan, name), time, built[alike])
        found[name] = alone.times(together.get(name, 1.0))
    return found


def _together(space: Workspace, names: Sequence[str]) -> dict[str, float]:
    """How many trainings each of these stands for, of replicas that are trained together.

    A block is trained whole, for the sake of any of its replicas: of those that the suite does not have, or that have
    been trained before, each one here carries an equal share.
    """
    blocks: dict[str, list[str]] = {}
    for name in names:
        recipe = space.suite.models[name].train
        if recipe is not None and recipe.block:
            blocks.setdefault(training_of(space, name), []).append(name)
    sizes = {name: len(recipe.block) for name in names if (recipe := space.suite.models[name].train) is not None}
    return {name: sizes[name] / len(block) for block in blocks.values() for name in block}


def _disk_of(space: Workspace, name: str) -> Disk | None:
    recipe = space.suite.models[name].train
    if recipe is None:
        return None
    with contextlib.suppress(CellError):
        return disk_of(recipe, space.new_module(name, recipe.on), round(_once(space.plan, name)))
    return None


def _arm(plan: Plan, name: str) -> str:
    swept = plan.suite.models[name].swept
    return name if swept is None else arm_of(swept.of, swept.values, None)


def _shown(plan: Plan, name: str) -> float:
    """How many samples a training shows, each as often as it does."""
    recipe = plan.suite.models[name].train
    return 0.0 if recipe is None else shown_by(plan.recipes[name]["recipe"], plan.training[recipe.on].count)


def _epochs(plan: Plan, name: str) -> float:
    """How many epochs a training has; of one whose steps are given, with a part of the last one."""
    return _shown(plan, name) / _once(plan, name)


def _once(plan: Plan, name: str) -> float:
    """How many samples an epoch has."""
    recipe = plan.suite.models[name].train
    known = {key: value for key, value in plan.recipes[name]["recipe"].items() if key != "steps"}
    return 1.0 if recipe is None else shown_by({**known, "epochs": 1}, plan.training[recipe.on].count)
