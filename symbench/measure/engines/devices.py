"""The engine for several devices: a process for each, and this one deals."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import Any

from symbench.base.environment import hardware, release_memory
from symbench.base.errors import ConfigError, Interrupted, Problem
from symbench.base.events import Event, Note, Started, once
from symbench.measure.engines.base import Report, Task
from symbench.measure.engines.deck import MOST_LOSSES, Deck, Loss
from symbench.measure.engines.local import LocalEngine
from symbench.measure.engines.messages import (
    Ended,
    Errand,
    Heard,
    Leave,
    Lost,
    Raised,
    Ready,
    Reply,
    Setup,
    Stop,
    Stopped,
)
from symbench.measure.engines.process import Process
from symbench.measure.engines.progress import Merged
from symbench.measure.evaluate.held import Shelf
from symbench.measure.execution.context import Context
from symbench.measure.execution.samples import prepare_samples
from symbench.measure.plan.document import Cell
from symbench.measure.store import PART
from symbench.measure.training.checkpoints import cached, training_of

LOOK_SECONDS = 0.2
"""How often it is asked whether to stop while nothing is heard."""
RESUMES = "What is finished is kept, and the same command resumes."


class DevicesEngine:
    """Measures on several devices at once: see :class:`~symbench.measure.engines.base.Engine`."""

    def run(self, tasks: Sequence[Task], context: Context, report: Report) -> None:
        """Bring every task to a result: trainings first, then cells, each where a device has nothing to do.

        Work that only one device could do is done in this process.

        Raises:
            ConfigError: nothing can be computed on one of the devices.
        """
        context = replace(context, listen=once(context.listen))
        cells = [task.cell for task in tasks]
        parts = parts_of(context, context.ledger.pending(context.workspace, cells))
        devices = context.ledger.settings.all[: sum(parts.values())]
        if len(devices) < 2:
            alone = {**context.environment, **hardware(context.ledger.settings.device)}
            LocalEngine().run(tasks, replace(context, environment=alone), report)
            return
        context.ledger.settings.shelf.held.clear()  # this process has looked at models and data there
        release_memory(devices[0])
        with _crew(context, devices) as crew:  # they get ready while samples are prepared
            prepare_samples(context, cells)
            _Dealer(context, report, crew).run(cells)


def parts_of(context: Context, cells: Sequence[Cell]) -> dict[str, int]:
    """How many parts each cell can be dealt in, by its key: one in a faster mode, from which it may yet go back."""
    plan = context.workspace.plan
    if context.workspace.suite.numerics.mode != "exact":
        return {cell.key: 1 for cell in cells}
    counts = {name: min(facts.count, plan.limit or facts.count) for name, facts in plan.data.items()}
    return {cell.key: math.ceil(counts[cell.pair.dataset] / PART) for cell in cells}


@contextmanager
def _crew(context: Context, devices: Sequence[str]) -> Iterator[dict[int, Process]]:
    """A process for each device, by its number; all of them have ended afterwards."""
    crew: dict[int, Process] = {}
    orderly = False
    try:
        for device in devices:
            crew[len(crew)] = Process(device, _setup(context, device, len(devices)))
        yield crew
        orderly = True
    finally:
        for process in crew.values():
            process.connection.close()
        for process in crew.values():
            process.end(now=not orderly)


def _setup(context: Context, device: str, count: int) -> Setup:
    ledger = context.ledger
    settings = replace(ledger.settings, device=device, devices=(), shelf=Shelf())
    return Setup(
        context.workspace.plan,
        ledger.store.root,
        settings,
        dict(ledger.stale),
        dict(context.environment),
        hardware(device, devices=count)["threads"],
        tuple(sys.argv),
    )


@dataclass
class _Dealer:
    """Deals the work of a run, and hears of it.

    Attributes:
        context: of this process.
        report: hears of each cell.
        crew: the processes that there are, by number.
        deck: what is left.
        idle: those that wait for work.
        proven: those that could be computed on.
        error: what is raised in the end.
        stopping: whether only what is in hand is finished.
        problems: what devices said that were stopped.
    """

    context: Context
    report: Report
    crew: dict[int, Process]
    deck: Deck = field(default_factory=Deck)
    idle: set[int] = field(default_factory=set)
    proven: set[int] = field(default_factory=set)
    error: Exception | None = None
    stopping: bool = False
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bars = Merged(self.context.listen)
        self.count, self.started = len(self.crew), len(self.crew)
        space = (
            self.context.workspace
        )  # what was said of data when it was planned would be said again where it is loaded
        self.known = {text for data in (*space.data.values(), *space.training.values()) for text in data.told}

    def run(self, cells: Sequence[Cell]) -> None:
        """Bring every cell to a result.

        Raises:
            Interrupted: asked to stop.
            ConfigError: nothing can be computed on one of the devices.
        """
        self._sort(cells)
        while self.deck.held if self.stopping else self.deck.left:
            if self.context.stopped():
                self._stop(Interrupted(Problem("the run", "stopped between cells", None, RESUMES)))
            self._deal()
            self._hear()
        for station in self.deck.held:  # they assist in what others have finished
            self.crew[station].end(now=True)
        if isinstance(self.error, Interrupted) and self.problems:
            raise Interrupted(list(self.problems))
        if self.error is not None:
            raise self.error

    def _sort(self, cells: Sequence[Cell]) -> None:
        """What is to be trained first, what can be measured now, and what is done."""
        self.deck.parts = parts_of(self.context, cells)
        space, ledger = self.context.workspace, self.context.ledger
        by_model: dict[str, list[Cell]] = {}
        for cell in cells:
            by_model.setdefault(cell.pair.model, []).append(cell)
        for name, mine in by_model.items():
            sound = any(space.broken_reason(cell) is None for cell in mine)
            first = sound and name in space.plan.recipes and cached(space.plan, name) is None
            if first and not all(ledger.done(space, cell) for cell in mine):
                self.deck.untrained[name] = tuple(mine)
                self.deck.trainings[name] = training_of(space, name)
            else:
                self._to_measure(mine)

    def _to_measure(self, cells: Sequence[Cell], failure: str | None = None) -> None:
        """Cells whose model is there, or could not be trained."""
        space = self.context.workspace
        for cell in cells if not self.stopping else ():
            broken = space.broken_reason(cell)
            reason = failure if broken is None else str(broken)
            if self.context.ledger.done(space, cell):
                self.report(cell, None)
            elif reason is not None:
                self._failed(cell, reason)
            else:
                self.deck.waiting.append(cell)

    def _failed(self, cell: Cell, reason: str) -> None:
        self.context.listen(Note(f"{cell.pair}: failed: {reason}", warning=True))
        self.report(cell, reason)
        if self.context.ledger.settings.fail_fast:
            self._stop(None)

    def _stop(self, error: Exception | None) -> None:
        """Let what is in hand be finished, and begin nothing."""
        if self.stopping:
            return
        self.stopping, self.error = True, error
        for station in self.deck.held:
            self.crew[station].send(Stop())

    def _deal(self) -> None:
        for station in sorted(self.idle) if not self.stopping else ():
            errand = self.deck.take(station)
            if errand is not None:
                self.idle.remove(station)
                self.crew[station].send(errand)

    def _hear(self) -> None:
        stations = {process.connection: station for station, process in self.crew.items()}
        ready: set[Any] = set(wait(list(stations), LOOK_SECONDS))
        for connection, station in stations.items():
            # descendants of a process that has ended may still hold its end of the pipe open
            if connection in ready or self.crew[station].gone:
                self._answer(station, self.crew[station].reply())

    def _answer(self, station: int, reply: Reply) -> None:
        if isinstance(reply, Heard):
            self._follow(station, reply.event)
        elif isinstance(reply, Ready):
            self.idle.add(station)
            self.proven.add(station)
        elif isinstance(reply, Ended):
            self._ended(station, reply.reason)
        elif isinstance(reply, Raised):
            self._left(station)
            self._stop(reply.error)
        elif isinstance(reply, Stopped) and self.deck.held[station].doing == "assist":
            self._left(station)
        elif isinstance(reply, Stopped) and self.stopping:
            self._left(station)
            self.problems += reply.error.problems
        else:
            self._lost(station, reply.why if isinstance(reply, Lost) else "its process was asked to end")

    def _follow(self, station: int, event: Event) -> None:
        """Progress of a device. What a cell does that has begun, others may do parts of."""
        errand = self.deck.held.get(station)
        if isinstance(event, Started) and errand is not None and event.task == str(errand):
            self.deck.begun.add(errand.cells[0].key)
        if not isinstance(event, Note) or event.text not in self.known:
            self.bars.hear(station, event)

    def _left(self, station: int) -> Errand:
        """A device is done with its errand, well or not."""
        self.bars.ended(station)
        self.idle.add(station)
        return self.deck.held.pop(station)

    def _ended(self, station: int, reason: str | None) -> None:
        errand = self._left(station)
        if errand.doing == "train":
            self._to_measure(errand.cells, reason)
        elif errand.doing == "measure":
            self._settled(errand.cells[0], reason)

    def _settled(self, cell: Cell, reason: str | None) -> None:
        """A cell that was tried has its result, or has failed."""
        for station, errand in self.deck.held.items():
            if errand.cells == (cell,):
                self.crew[station].send(Leave(errand))
        if reason is None:
            self.report(cell, None)
        else:
            self._failed(cell, reason)

    def _lost(self, station: int, why: str) -> None:
        """A device has nothing to say any more: others go on with its errand, and a new process is begun on it."""
        process = self.crew.pop(station)
        process.end(now=True)
        self.bars.ended(station)
        self.idle.discard(station)
        if station not in self.proven and not process.again:
            remedy = "Leave it out of --device or numerics.device."
            self._stop(ConfigError(Problem(process.device, f"cannot be used: {why}", "a device that can", remedy)))
            return
        loss, last = self.deck.lost(station), f"{process.device}: {why}"
        goes_on = f"{loss.errand} goes on elsewhere." if loss is not None and loss.goes_on else None
        self.context.listen(Note(str(Problem(process.device, f"lost: {why}", None, goes_on)), warning=True))
        if loss is not None:
            self._after(loss, process.device, last)
        if not self.crew:
            self._to_measure(self.deck.rest(), str(Problem("the run", f"no device is left: {last}", None, RESUMES)))

    def _after(self, loss: Loss, device: str, last: str) -> None:
        """What ends several devices fails. Not the device is taken to be at fault: a new process is tried on it."""
        if not self.stopping:
            self.started += 1
            self.crew[self.started] = Process(device, _setup(self.context, device, self.count), again=True)
        if loss.goes_on:
            return
        reason = str(
            Problem(str(loss.errand), f"has ended {MOST_LOSSES} processes, the last on {last}", None, RESUMES)
        )
        if loss.errand.doing == "train":
            self._to_measure(loss.errand.cells, reason)
        else:
            self._settled(loss.errand.cells[0], reason)
