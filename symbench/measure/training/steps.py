"""One optimiser step, and a look at the validation part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from symbench.base.errors import ModelError, Problem
from symbench.measure.training.augment import augmented
from symbench.measure.training.partial import Session
from symbench.measure.training.setting import Setting

AT_ONCE = 256
"""Samples that are validated at a time, at least."""


@dataclass(frozen=True)
class Training:
    """A training that is under way.

    Attributes:
        setting: what stays as it is.
        session: what changes.
    """

    setting: Setting
    session: Session


class Diverged(ModelError):
    """A loss is not finite: there is nothing to go on from."""


@contextmanager
def failing(session: Session) -> Iterator[None]:
    """A loss that is not finite ends this training alone: the session says why, and nothing is raised."""
    try:
        yield
    except Diverged as error:
        (session.failure,) = error.problems


def step(setting: Setting, session: Session, indices: Tensor) -> float:
    """Show the samples ``(n,)`` to the model once and let the optimiser step; the loss before that.

    Raises:
        Diverged: the loss is not finite.
        ModelError: as :class:`~symbench.measure.objective.Objective`.
    """
    progress, objective, generator = session.progress, session.objective, session.generator
    number = progress.epoch * setting.batches + progress.batch
    leaves, targets = setting.read(indices, str(number))
    if setting.contrast is not None:
        (leaves, other), targets = setting.contrast.pair(setting.data, leaves, indices, generator), {}
        outputs = objective.outputs(_shown(setting, leaves))
        loss = setting.contrast.loss(objective, outputs, objective.outputs(_shown(setting, other)))
    else:
        leaves, targets = augmented(
            setting.data, leaves, targets, indices, setting.augment, generator, epoch=progress.epoch
        )
        shown = _shown(setting, leaves)
        outputs = objective.outputs(shown)
        loss = objective.loss(outputs, shown, targets)
    if setting.soften is not None:
        loss = loss + setting.soften.term(objective, leaves, outputs, targets, indices, generator)
    session.optimiser.zero_grad()
    loss.backward()
    session.optimiser.step()
    value = loss.item()
    check_finite(setting, session, value, "the loss")
    progress.add(value, objective.right(outputs, targets), len(indices))
    return value


def _shown(setting: Setting, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leaves ``(n, ...)`` as the model sees them."""
    return leaves if setting.soften is None else setting.soften.unmoved(setting.data, leaves)


def validated(setting: Setting, session: Session) -> tuple[float, float | None] | None:
    """The mean loss over the validation part, and the share that is right; None without such a part.

    Samples are shown as they are, unmoved, and the model is in evaluation mode meanwhile. Without labels the loss is
    of two views of each, the same ones every time, in batches as large as those of training.

    Raises:
        Diverged: the loss is not finite.
    """
    objective, module, held = session.objective, session.module, setting.parts.validated
    if not len(held):
        return None
    total = 0.0
    right: float | None = 0
    generator = torch.Generator().manual_seed(setting.drawing)
    size = max(AT_ONCE, setting.recipe.batch) if setting.contrast is None else setting.recipe.batch
    module.eval()
    with torch.no_grad():
        for number, indices in enumerate(held.split(size)):
            leaves, targets = setting.read(indices, f"validation {number}")
            if setting.contrast is not None:
                views = setting.contrast.pair(setting.data, leaves, indices, generator)
                first, second = (objective.outputs(_shown(setting, view)) for view in views)
                total += setting.contrast.loss(objective, first, second).item() * len(indices)
                right = None
                continue
            outputs = objective.outputs(leaves)
            total += objective.loss(outputs, leaves, targets).item() * len(indices)
            here = objective.right(outputs, targets)
            right = None if here is None or right is None else right + here
    module.train()
    check_finite(setting, session, total, "the validation loss")
    return total / len(held), None if right is None else right / len(held)


def check_finite(setting: Setting, session: Session, value: float, what: str) -> None:
    """Refuse to go on with a training that has diverged.

    Raises:
        Diverged: with the epoch and the step.
    """
    if math.isfinite(value):
        return
    progress = session.progress
    at = f"at epoch {progress.epoch + 1}, step {progress.steps + 1}"
    got = f"training diverged: {what} is {value} {at}"
    remedy = f"Lower its learning_rate, {setting.recipe.learning_rate:g}, or look for what is not finite in its data."
    raise Diverged(Problem(setting.name, got, "a finite loss", remedy))
