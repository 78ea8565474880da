"""What a training would take, by a few of its steps. Nothing is kept of them."""

from __future__ import annotations

import time

import torch

from symbench.base.code import foreign
from symbench.base.errors import ModelError
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.loop import begun
from symbench.measure.training.setting import setting_of
from symbench.measure.training.stack import Stack
from symbench.measure.training.steps import Training, step
from symbench.measure.training.together import begun_together, block_of, step_together

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
    taken = []
    with foreign(ModelError, name, "training it"), torch.random.fork_rng(devices=[]):
        trainings, stack = _begun(space, name, device)
        setting = trainings[0].setting
        indices = setting.parts.learnt[: setting.recipe.batch]
        torch.manual_seed(setting.dropout)
        for _ in range(1 + STEPS):
            start = time.perf_counter()
            if stack is None:  # either reads the loss, so that it waits for the device
                step(setting, trainings[0].session, indices)
            else:
                step_together(trainings, stack, dict.fromkeys(range(len(trainings)), indices))
            taken.append((time.perf_counter() - start) / (len(indices) * len(trainings)))
    return taken[1:]


def _begun(space: Workspace, name: str, device: str) -> tuple[list[Training], Stack | None]:
    """The training, or those of the replicas that are trained together with it."""
    block = block_of(space, name)
    together = begun_together(block, device) if block else ""
    if not isinstance(together, str):
        return together
    setting = setting_of(space, name)
    module = space.new_module(name, setting.recipe.on).to(device)
    return [Training(setting, begun(space, setting, module, device))], None
