"""The training loop: batches in a seeded order until the recipe is done, or training is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from symbench.base.errors import Interrupted, Problem
from symbench.base.events import Advanced, Finished, Listener, Note, Started
from symbench.measure.training.cost import peak_of
from symbench.measure.training.partial import Keeper, Session
from symbench.measure.training.setting import Setting
from symbench.measure.training.stack import Stack
from symbench.measure.training.steps import Training, failing, step, validated
from symbench.measure.training.together import step_together


@dataclass(frozen=True)
class Course:
    """Trainings side by side, batch for batch.

    Attributes:
        block: them: one, or replicas that are trained together.
        stack: the networks of replicas; None of one.
        wanted: which of them are waited for.
        keeper: saves their state.
        listen: hears one step per batch.
        stopped: asked after every batch.
    """

    block: Sequence[Training]
    stack: Stack | None
    wanted: Sequence[bool]
    keeper: Keeper
    listen: Listener
    stopped: Callable[[], bool]

    @property
    def sessions(self) -> list[Session]:
        """What changes of each."""
        return [training.session for training in self.block]

    def live(self) -> dict[int, Training]:
        """Those that go on, by their numbers; none where nobody waits for any of them."""
        left = {number: training for number, training in enumerate(self.block) if not _is_over(training)}
        return left if any(self.wanted[number] for number in left) else {}


def run(course: Course, start: float) -> None:
    """From the first step, or the state that was saved, to the end. What failed says so in its session.

    Args:
        course: the trainings, before their first step.
        start: when this process began with them, by the monotonic clock.

    Raises:
        ModelError: a model raised.
        Interrupted: asked to stop; the state is kept.
    """
    keeper, listen = course.keeper, course.listen
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(course.block[0].setting.dropout)
        if keeper.restore(course.sessions):
            progress = _furthest(course).session.progress
            at = f"epoch {progress.epoch + 1}, step {progress.steps + 1}"
            listen(Note(f"{keeper.name}: its training goes on at {at}"))
        with _clock(course, start) as read_clock, _bar(course):
            _train(course, read_clock)


def _furthest(course: Course) -> Training:
    """A training that has come as far as any: others have ended early, or failed."""
    return max(course.block, key=lambda training: training.session.progress.steps)


@contextmanager
def _clock(course: Course, start: float) -> Iterator[Callable[[], None]]:
    """Brings seconds and memory up to date when it is asked to, and at the end; ``start`` is this process's.

    What replicas take together is shared out among them in equal parts.
    """
    before = [session.progress.seconds for session in course.sessions]

    def read() -> None:
        share = (time.perf_counter() - start) / len(before)
        for session, known in zip(course.sessions, before, strict=True):
            session.progress.seconds = known + share
            session.progress.peak = peak_of(course.keeper.device, session.progress.peak, len(before))

    try:
        yield read
    finally:
        read()


@contextmanager
def _bar(course: Course) -> Iterator[None]:
    setting, others = course.block[0].setting, len(course.block) - 1
    unit = "steps" if setting.recipe.steps else "batches"
    beside = f" and {others} replica{'s' if others > 1 else ''}" if others else ""
    course.listen(Started(f"training {course.keeper.name}{beside}", setting.planned, unit))
    if steps := _furthest(course).session.progress.steps:
        course.listen(Advanced(steps))
    try:
        yield
    finally:
        course.listen(Finished())


def _train(course: Course, read_clock: Callable[[], None]) -> None:
    while live := course.live():
        rests = {number: _rest(training.setting, training.session) for number, training in live.items()}
        while batches := _next(course, rests):
            _batch(course, batches)
            if not course.live():
                break
            asked = course.stopped()
            if asked or course.keeper.due():
                read_clock()
                kept = course.keeper.save(course.sessions)
            if asked:
                raise _interrupted(course, kept=kept)
        for training in course.live().values():
            _close(training.setting, training.session)


def _next(course: Course, rests: Mapping[int, Iterator[Tensor]]) -> dict[int, Tensor]:
    """The next batch of each that has not failed; replicas have equally many, and come to an end at once."""
    found = {n: next(rest, None) for n, rest in rests.items() if course.block[n].session.failure is None}
    return {n: indices for n, indices in found.items() if indices is not None}


def _is_over(training: Training) -> bool:
    return training.session.failure is not None or _is_done(training.setting, training.session)


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


def _batch(course: Course, batches: Mapping[int, Tensor]) -> None:
    """One batch of each. A last one of one sample has no batch statistics, and is left out."""
    number, indices = next(iter(batches.items()))
    first = course.block[number]
    recipe = first.setting.recipe
    used = len(indices) > 1 or recipe.batch == 1 or first.setting.batches == 1
    if used:
        course.listen(Advanced(1, f"loss {_step(course, batches):.3f}"))
    if used or recipe.steps is None:  # of epochs, the schedule has a place for each of their batches
        first.session.schedule.step()
    for number in batches:
        course.block[number].session.progress.batch += 1


def _step(course: Course, batches: Mapping[int, Tensor]) -> float:
    """One step; the mean loss before that, NaN where it is not finite."""
    if course.stack is not None:
        return fmean(step_together(course.block, course.stack, batches))
    (training,), (indices,) = course.block, batches.values()
    with failing(training.session):
        return step(training.setting, training.session, indices)
    return math.nan


def _close(setting: Setting, session: Session) -> None:
    """End the epoch: validate, and see whether that was the last."""
    recipe, progress = setting.recipe, session.progress
    with failing(session):
        point = progress.close(validated(setting, session))
    if session.failure is not None:
        return
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


def _interrupted(course: Course, *, kept: bool) -> Interrupted:
    progress = _furthest(course).session.progress
    at = f"The same command goes on from epoch {progress.epoch + 1}, step {progress.steps}."
    remedy = at if kept else "Its state is not kept: the same command starts it again."
    return Interrupted(Problem(course.keeper.name, "training was interrupted", None, remedy))
