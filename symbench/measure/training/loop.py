"""The training loop: batches in a seeded order until the recipe is done, or training is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from symbench.base.errors import Interrupted, ModelError, Problem
from symbench.base.events import Advanced, Finished, Listener, Note, Started
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.cost import NO_PEAK, begin_peak, flops_of, peak_of
from symbench.measure.training.optimiser import optimiser_of, schedule_of
from symbench.measure.training.partial import Keeper, Session
from symbench.measure.training.record import Record
from symbench.measure.training.setting import Setting, objective_of, setting_of
from symbench.measure.training.steps import Diverged, step, validated

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
    module.to(device)
    session = begun(space, setting, module, device)
    begin_peak(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.dropout)
        if keeper.restore(session):
            at = f"epoch {session.progress.epoch + 1}, step {session.progress.steps + 1}"
            listen(Note(f"{name}: its training goes on at {at}"))
        with _clock(session, device, start) as read_clock, _bar(setting, session, listen):
            try:
                _train(setting, session, keeper, listen, stopped, read_clock)
            except Diverged:
                keeper.remove()  # who goes on would end there again
                raise
    if session.best:
        module.load_state_dict(session.best)
    if not all(torch.isfinite(p).all() for p in module.parameters()):
        keeper.remove()
        got = "training ended in weights that are not finite"
        raise ModelError(Problem(name, got, None, "Lower its learning_rate."))
    return _record(setting, session)


def begun(space: Workspace, setting: Setting, module: nn.Module, device: str) -> Session:
    """A training before its first step, on a module that is on the device."""
    optimiser = optimiser_of(setting.recipe, module.parameters())
    schedule = schedule_of(setting.recipe, optimiser, setting.planned)
    generator = torch.Generator().manual_seed(setting.drawing)
    return Session(module, optimiser, schedule, generator, objective_of(space, setting, module, device))


@contextmanager
def _clock(session: Session, device: str, start: float) -> Iterator[Callable[[], None]]:
    """Brings seconds and memory up to date when it is asked to, and at the end; ``start`` is this process's."""
    before = session.progress.seconds

    def read() -> None:
        session.progress.seconds = before + time.perf_counter() - start
        session.progress.peak = peak_of(device, session.progress.peak)

    try:
        yield read
    finally:
        read()


@contextmanager
def _bar(setting: Setting, session: Session, listen: Listener) -> Iterator[None]:
    unit = "steps" if setting.recipe.steps else "batches"
    listen(Started(f"training {setting.name}", setting.planned, unit))
    if session.progress.steps:
        listen(Advanced(session.progress.steps))
    try:
        yield
    finally:
        listen(Finished())


def _train(
    setting: Setting,
    session: Session,
    keeper: Keeper,
    listen: Listener,
    stopped: Callable[[], bool],
    read_clock: Callable[[], None],
) -> None:
    while not _is_done(setting, session):
        for indices in _rest(setting, session):
            _batch(setting, session, indices, listen)
            asked = stopped()
            if asked or keeper.due():
                read_clock()
                kept = keeper.save(session)
            if asked:
                raise _interrupted(setting, session, kept=kept)
            if _enough(setting, session):
                break
        _close(setting, session)


def _is_done(setting: Setting, session: Session) -> bool:
    recipe, progress = setting.recipe, session.progress
    if recipe.epochs is not None and progress.epoch >= recipe.epochs:
        return True
    return progress.ended or (_enough(setting, session) and session.order is None)


def _enough(setting: Setting, session: Session) -> bool:
    """Whether the steps are done that the recipe asks for."""
    return setting.recipe.steps is not None and session.progress.steps >= setting.recipe.steps


def _rest(setting: Setting, session: Session) -> Iterator[Tensor]:
    """The batches of the epoch that are left: indices in the training split, ``(n,)`` each."""
    learnt = setting.parts.learnt
    if session.order is None:
        session.order = torch.randperm(len(learnt), generator=session.generator)
    for batch in session.order.split(setting.recipe.batch)[session.progress.batch :]:
        if _enough(setting, session):
            return
        yield learnt[batch]


def _batch(setting: Setting, session: Session, indices: Tensor, listen: Listener) -> None:
    """One batch. A last one of one sample has no batch statistics, and is left out."""
    recipe = setting.recipe
    used = len(indices) > 1 or recipe.batch == 1 or setting.batches == 1
    if used:
        listen(Advanced(1, f"loss {step(setting, session, indices):.3f}"))
    if used or recipe.steps is None:  # of epochs, the schedule has a place for each of their batches
        session.schedule.step()
    session.progress.batch += 1


def _close(setting: Setting, session: Session) -> None:
    """End the epoch: validate, and see whether that was the last."""
    recipe, progress = setting.recipe, session.progress
    point = progress.close(validated(setting, session))
    session.order = None
    if recipe.target is not None and progress.to_target is None and point.validation_accuracy is not None:
        progress.to_target = point.step if point.validation_accuracy >= recipe.target else None
    if point.validation_loss is None:
        return
    if progress.best is None or point.validation_loss < progress.best:
        progress.best, progress.best_epoch = point.validation_loss, point.epoch
        if recipe.stop is not None:
            session.best = {key: value.detach().cpu().clone() for key, value in session.module.state_dict().items()}
    waited = point.epoch - (progress.best_epoch or 0)
    progress.ended = recipe.stop is not None and waited >= recipe.stop.patience and not _is_done(setting, session)


def _interrupted(setting: Setting, session: Session, *, kept: bool) -> Interrupted:
    progress = session.progress
    at = f"The same command goes on from epoch {progress.epoch + 1}, step {progress.steps}."
    remedy = at if kept else "Its state is not kept: the same command starts it again."
    return Interrupted(Problem(setting.name, "training was interrupted", None, remedy))


def _record(setting: Setting, session: Session) -> Record:
    """What is known of the training; its forward pass is counted now that this can change nothing in it."""
    remarks = {} if session.progress.peak is not None else {"peak_memory_bytes": NO_PEAK}
    with torch.random.fork_rng(devices=[]):
        leaves, _ = setting.read(setting.parts.learnt[:COUNTED], "counting")
        softened = setting.soften is not None
        operations, said = flops_of(session.objective, leaves, session.progress.shown, softened=softened)
    if said is not None:
        remarks["operations"] = said
    return Record(session.progress, len(setting.parts.learnt), operations, remarks)
