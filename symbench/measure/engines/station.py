"""The process of one device: it carries out the errands that it gets, one after the other, until nobody is there."""

from __future__ import annotations

import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import torch

from symbench.base.code import shortened
from symbench.base.environment import hardware, synchronise
from symbench.base.errors import Interrupted
from symbench.base.events import Advanced, Event, Listener
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
from symbench.measure.execution.context import Context
from symbench.measure.execution.ledger import Ledger
from symbench.measure.execution.samples import prepare_samples
from symbench.measure.execution.worker import Worker
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Store

EVERY_SECONDS = 0.1
"""Steps of less than this are told together: a small model takes thousands in a second."""


def main(connection: Connection, first: bytes) -> None:
    """Serve the run at the other end of a pipe.

    A Ctrl-C at the terminal is meant for the run, which says what is to be done about it. Where SIGTERM goes to every
    process, as from a batch system, the part in hand is finished as well.

    Args:
        connection: this end of it.
        first: a pickled :class:`Setup`, which was read before all that takes long to import: a pipe holds so much and
            no more, and the run would wait with the next device until this one has read.
    """
    line = Line(connection)
    signal.signal(signal.SIGTERM, lambda number, frame: line.halt.set())
    setup: Setup = pickle.loads(first)
    sys.argv[:] = setup.arguments
    torch.set_num_threads(setup.threads)
    trouble = trouble_with(setup.settings.device)
    line.send(Ready() if trouble is None else Lost(trouble))
    station = Station(context_of(setup, line.tell, line.stopped))
    for errand in line.errands() if trouble is None else ():
        reply = station.carried_out(errand)
        line.send(reply)
        if isinstance(reply, Lost):
            return


def trouble_with(device: str) -> str | None:
    """Why nothing can be computed on a device; None where it can. A full memory is no trouble of its own.

    The device becomes the current one: it is what ``cuda`` means in users' code from then on.
    """
    try:
        if device.startswith("cuda:"):
            torch.cuda.set_device(device)
        torch.ones(1, device=device).add_(1)
        synchronise(device)
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:  # a GPU that has met an illegal address gives nothing else to this process again
        return shortened(error)
    return None


def context_of(setup: Setup, listen: Listener, stopped: Callable[[], bool]) -> Context:
    """What carrying out a plan takes, on the device of this process."""
    ledger = Ledger(Store(setup.results), setup.settings, dict(setup.stale))
    environment = {**setup.environment, **hardware(setup.settings.device)}
    return Context(Workspace(setup.plan, listen), ledger, environment, listen, stopped)


@dataclass
class Line:
    """This process's end of the pipe. Errands are read as they come, so that a stop is heard in mid-work."""

    connection: Connection
    halt: threading.Event = field(default_factory=threading.Event)
    waiting: queue.SimpleQueue[Errand | None] = field(default_factory=queue.SimpleQueue)
    current: Errand | None = None
    pointless: Errand | None = None
    steps: int = 0
    told: float = 0.0

    def errands(self) -> Iterator[Errand]:
        """Errands, until the run is over or has gone."""
        threading.Thread(target=self._read, daemon=True).start()
        while (errand := self.waiting.get()) is not None:
            self.current = errand
            yield errand

    def stopped(self) -> bool:
        """Whether to leave the errand in hand after the part in hand."""
        return self.halt.is_set() or (self.pointless is not None and self.pointless == self.current)

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                message: Errand | Leave | Stop = self.connection.recv()
                if isinstance(message, Stop):
                    self.halt.set()
                elif isinstance(message, Leave):
                    self.pointless = message.errand
                else:
                    self.waiting.put(message)
        self.halt.set()
        self.waiting.put(None)

    def tell(self, event: Event) -> None:
        """Pass progress on: small steps together."""
        if isinstance(event, Advanced):
            self.steps += event.steps
            if time.monotonic() < self.told + EVERY_SECONDS:
                return
            event = Advanced(self.steps, event.note)
        elif self.steps:
            self.send(Heard(Advanced(self.steps)))
        self.steps, self.told = 0, time.monotonic()
        self.send(Heard(event))

    def send(self, reply: Reply) -> None:
        """Send, or learn that nobody is there: then the part in hand is the last."""
        try:
            self.connection.send(reply)
        except OSError:
            self.halt.set()


@dataclass
class Station:
    """Carries out errands. The model in hand stays loaded from errand to errand."""

    context: Context
    worker: Worker | None = None
    model: str = ""

    def carried_out(self, errand: Errand) -> Reply:
        """Carry out an errand; what to tell of it."""
        try:
            reason = self._reason(errand)
        except Interrupted as error:
            return Stopped(error)
        except Exception as error:
            return self._lost() or Raised(_sendable(error))
        return (self._lost() if reason is not None else None) or Ended(reason)

    def _lost(self) -> Lost | None:
        """Whether it was the device, where something has failed."""
        trouble = trouble_with(self.context.ledger.settings.device)
        return None if trouble is None else Lost(trouble)

    def _reason(self, errand: Errand) -> str | None:
        worker = self._worker(errand.model)
        prepare_samples(self.context, errand.cells)
        if errand.doing == "train":
            worker.train(errand.cells)
            return None if worker.failure is None else str(worker.failure)
        if errand.doing == "measure":
            return worker.attempt(errand.cells[0])
        worker.assist(errand.cells[0])
        return None

    def _worker(self, model: str) -> Worker:
        if self.worker is None or self.model != model:
            self.worker, self.model = None, model  # what was loaded goes before anything else is
            self.worker = Worker(self.context)
        return self.worker


def _sendable(error: Exception) -> Exception:
    """The error with where it was raised; one like it, where it cannot be sent.

    The run's process may not have the classes of users' code, and need not find them where this one does.
    """
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    with suppress(Exception):
        if all(_everywhere(type(each)) for each in (error, *error.args)):
            pickle.loads(pickle.dumps(error))
            return error
    return RuntimeError(*[shortened(error), *getattr(error, "__notes__", [])])


def _everywhere(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in {"builtins", "symbench"}
