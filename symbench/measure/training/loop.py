"""One training, or a block of replicas that are trained together: from fresh modules to what is known of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from symbench.base.errors import ModelError, Problem
from symbench.base.events import Listener, Note
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.cost import NO_PEAK, begin_peak, flops_of
from symbench.measure.training.course import Course, run
from symbench.measure.training.least_squares import solved
from symbench.measure.training.optimiser import optimiser_of, schedule_of
from symbench.measure.training.partial import Keeper, Session
from symbench.measure.training.record import Record
from symbench.measure.training.self_supervised import SPREAD_AT, collapsed, spread
from symbench.measure.training.setting import Setting, objective_of, setting_of
from symbench.measure.training.steps import Diverged, Training
from symbench.measure.training.together import Replica, begun_together

COUNTED = 2
"""Samples whose forward pass is counted."""


def fit(
    space: Workspace,
    name: str,
    module: nn.Module,
    *,
    keeper: Keeper,
    listen: Listener,
    stopped: Callable[[], bool],
) -> Record:
    """Train in place, or go on with a training whose state was kept: to the end, on the CPU, bit for bit the same.

    Args:
        space: holds the recipe and the training split.
        name: the model's.
        module: drawn fresh.
        keeper: saves the state and finds it again; knows the device.
        listen: hears one step per batch.
        stopped: asked after every batch.

    Raises:
        ModelError: the model raised, or the training diverged.
        DataError: the training split has too few samples.
        Interrupted: asked to stop; the state is kept.
    """
    start, device = time.perf_counter(), keeper.device
    setting = setting_of(space, name)
    if setting.recipe.optimiser == "least-squares":
        return solved(space, setting, module, listen)
    module.to(device)
    training = Training(setting, begun(space, setting, module, device))
    begin_peak(device)
    run(Course([training], None, [True], keeper, listen, stopped), start)
    outcome = _outcome(training, 1)
    if isinstance(outcome, ModelError):
        keeper.remove()  # who goes on would end there again
        raise outcome
    if (collapse := outcome.remarks.get("embedding_spread")) is not None:
        listen(Note(f"{name}: {collapse}", warning=True))
    return outcome


def fit_together(
    block: Sequence[Replica],
    wanted: Sequence[bool],
    *,
    keeper: Keeper,
    listen: Listener,
    stopped: Callable[[], bool],
) -> list[tuple[nn.Module, Record | ModelError]] | str:
    """Train replicas in one pass, or go on with it: to the end, on the CPU, bit for bit the same.

    Args:
        block: the replicas.
        wanted: which of them are waited for: all are trained until these are done.
        keeper: as :func:`fit`.
        listen: likewise.
        stopped: likewise.

    Returns:
        Each replica that is waited for, trained, with what is known of its training or why it failed. Or why all of
        them have to be trained alone, in words; then nothing was done.

    Raises:
        CellError: a model cannot be built or raised, or the training split has too few samples.
        Interrupted: asked to stop; the state is kept.
    """
    start = time.perf_counter()
    ready = begun_together(block, keeper.device)
    if isinstance(ready, str):
        return ready
    trainings, stack = ready
    begin_peak(keeper.device)
    run(Course(trainings, stack, wanted, keeper, listen, stopped), start)
    chosen = [training for training, there in zip(trainings, wanted, strict=True) if there]
    return [(training.session.module, _outcome(training, len(block))) for training in chosen]


def begun(space: Workspace, setting: Setting, module: nn.Module, device: str) -> Session:
    """A training before its first step, on a module that is on the device."""
    optimiser = optimiser_of(setting.recipe, module.parameters())
    schedule = schedule_of(setting.recipe, optimiser, setting.planned)
    generator = torch.Generator().manual_seed(setting.drawing)
    return Session(module, optimiser, schedule, generator, objective_of(space, setting, module, device))


def _outcome(training: Training, together: int) -> Record | ModelError:
    """What is known of a training that is over, its weights in its module; or why it failed."""
    setting, session = training.setting, training.session
    if session.failure is not None:
        return Diverged(session.failure)
    if session.best:
        session.module.load_state_dict(session.best)
    if not all(torch.isfinite(p).all() for p in session.module.parameters()):
        got = "training ended in weights that are not finite"
        return ModelError(Problem(setting.name, got, None, "Lower its learning_rate."))
    return _record(setting, session, together)


def _record(setting: Setting, session: Session, together: int) -> Record:
    """What is known of the training; its forward pass is counted now that this can change nothing in it."""
    remarks = {} if session.progress.peak is not None else {"peak_memory_bytes": NO_PEAK}
    if together > 1:
        shared = {"seconds", "samples_per_second", "peak_memory_bytes"} - remarks.keys()
        remarks |= dict.fromkeys(sorted(shared), f"its share of {together} replicas that were trained together")
    with torch.random.fork_rng(devices=[]):
        leaves, _ = setting.read(setting.parts.learnt[:COUNTED], "counting")
        passes = 1 + (setting.contrast is not None) + (setting.soften is not None)
        operations, said = flops_of(session.objective, leaves, session.progress.shown, passes=passes)
        far = None if setting.contrast is None else _spread(setting, session)
    if said is not None:
        remarks["operations"] = said
    if far is not None and session.progress.steps and (collapse := collapsed(far)) is not None:
        remarks["embedding_spread"] = collapse
    return Record(session.progress, len(setting.parts.learnt), operations, remarks, far)


def _spread(setting: Setting, session: Session) -> float:
    """How far the embeddings of some samples that were learnt from differ, with the module in evaluation mode."""
    leaves, _ = setting.read(setting.parts.learnt[:SPREAD_AT], "counting")
    session.module.eval()
    with torch.no_grad():
        (embeddings,) = session.objective.outputs(leaves).values()
    return spread(embeddings)
