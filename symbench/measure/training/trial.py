"""What a training would take, by a few of its steps. Nothing is kept of them."""

from __future__ import annotations

import time

import torch

from symbench.base.code import foreign
from symbench.base.errors import ModelError
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.loop import begun
from symbench.measure.training.setting import setting_of
from symbench.measure.training.steps import step

STEPS = 3
"""Steps that are timed, after one that is not: the first of a network takes longer."""


def seconds_per_sample(space: Workspace, name: str, *, device: str) -> list[float]:
    """Seconds that training takes for each sample that is shown, a value for each step that was timed.

    Args:
        space: holds the recipe and the training split.
        name: the model's.
        device: where.

    Raises:
        CellError: the model cannot be built or raised, or the training split has too few samples.
    """
    setting, taken = setting_of(space, name), []
    module = space.new_module(name, setting.recipe.on).to(device)
    indices = setting.parts.learnt[: setting.recipe.batch]
    with foreign(ModelError, name, "training it"), torch.random.fork_rng(devices=[]):
        session = begun(space, setting, module, device)
        torch.manual_seed(setting.dropout)
        for _ in range(1 + STEPS):
            start = time.perf_counter()
            step(setting, session, indices)  # reads the loss, so that it waits for the device
            taken.append((time.perf_counter() - start) / len(indices))
    return taken[1:]
