"""The cells of one model, measured one after the other, with the model loaded as seldom as can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from symbench.base.errors import CellError
from symbench.base.events import Note
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.running import WRITES
from symbench.measure.assemble import dtype_of, load_weights, ready, weights_digest
from symbench.measure.evaluate import Job, assist, evaluate
from symbench.measure.evaluate.probe import why_another
from symbench.measure.evaluate.room import out_of_memory
from symbench.measure.execution.context import Context
from symbench.measure.execution.loading import Loaded, Settings, completed, completed_for, flags, job_of
from symbench.measure.plan.agreement import check_agreement
from symbench.measure.plan.document import Cell
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.checkpoints import Checkpoint, obtain, restore


def measured(context: Context, cells: Sequence[Cell]) -> Iterator[tuple[Cell, str | None]]:
    """Bring cells of one model to a result: cached, measured, or failed.

    Args:
        context: the plan, and what carrying it out takes.
        cells: all that are to be measured of the model, so that all of them are of one and the same checkpoint.

    Yields:
        Each cell when its turn is over, with the reason where it failed.

    Raises:
        Interrupted: asked to stop.
    """
    space, ledger, worker = context.workspace, context.ledger, Worker(context)
    name = cells[0].pair.model
    if name in space.plan.recipes and not all(ledger.done(space, cell) for cell in cells):
        worker.train(cells)  # before any cell: what is done of another checkpoint is no longer done after it
    for cell in cells:
        reason = None if ledger.done(space, cell) else worker.attempt(cell)
        if reason is not None:
            context.listen(Note(f"{cell.pair}: failed: {reason}", warning=True))
        yield cell, reason


def load_model(context: Context, cell: Cell) -> Loaded:
    """The model of a cell on the device, loaded anew: trained, or with its weights.

    Raises:
        CellError: it cannot be loaded.
    """
    return Worker(context)._load(cell)


@dataclass
class Worker:
    """Measures the cells of one model, which is loaded once for every shape that it has to take."""

    context: Context
    models: dict[str, Loaded] = field(default_factory=dict)
    failure: CellError | None = None
    noted: bool = False

    @property
    def space(self) -> Workspace:
        """The plan, and what is loaded for it."""
        return self.context.workspace

    @property
    def settings(self) -> Settings:
        """How to run."""
        return self.context.ledger.settings

    def train(self, cells: Sequence[Cell]) -> None:
        """Obtain the checkpoint; a failure is kept, and becomes the reason of every cell."""
        sound = next((cell for cell in cells if self.space.broken_reason(cell) is None), None)
        if sound is None:
            return
        try:
            with flags(self.space.suite, self.settings.device):
                check_agreement(self.space, sound, trust_pickle=self.settings.trust_pickle)
                self._obtained(sound.pair.model)
        except CellError as error:
            self.failure = error

    def _obtained(self, name: str) -> Checkpoint:
        context = self.context
        return obtain(self.space, name, device=self.settings.device, listen=context.listen, stopped=context.stopped)

    def attempt(self, cell: Cell) -> str | None:
        """Measure one cell; None, or the reason why it failed."""
        failure = self.space.broken_reason(cell) or self.failure
        if failure is not None:
            return str(failure)
        store, context = self.context.ledger.store, self.context
        try:
            check_agreement(self.space, cell, trust_pickle=self.settings.trust_pickle)
            at_hand = self._load(cell)
            with store.locked(cell.key), flags(self.space.suite, self.settings.device):
                job = job_of(self.space, cell, at_hand, self.settings, context.environment)
                if self._is_measured(cell, job):
                    return None
                if store.cell(cell.key) is not None or store.fault(cell.key) is not None:
                    store.discard(cell.key)
                evaluate(job, store, listen=context.listen, stopped=context.stopped)
            self._tell(at_hand.model)
        except CellError as error:
            return str(error)
        except torch.OutOfMemoryError as error:
            return str(out_of_memory(cell.pair.model, error))
        return None

    def assist(self, cell: Cell) -> None:
        """Measure parts of a cell that another process is at; what fails is left to that one, which says why."""
        context = self.context
        with suppress(CellError):
            check_agreement(self.space, cell, trust_pickle=self.settings.trust_pickle)
            at_hand = self._load(cell)
            with flags(self.space.suite, self.settings.device):
                job = job_of(self.space, cell, at_hand, self.settings, context.environment)
                assist(job, context.ledger.store, listen=context.listen, stopped=context.stopped)

    def _is_measured(self, cell: Cell, job: Job) -> bool:
        """Whether the store has got the cell meanwhile, of the model at hand: another process may be faster."""
        record = self.context.ledger.store.cell(cell.key)
        if record is None or record.checkpoint != job.checkpoint:
            return False
        return record.probe is not None and why_another(job, record.probe) is None

    def _tell(self, model: Model) -> None:
        """Say once what a model does that its owner may not know."""
        if model.habits.writes and not self.noted:
            self.noted = True
            self.context.listen(Note(f"{model.name} {WRITES}", warning=True))

    def _load(self, cell: Cell) -> Loaded:
        key = completed_for(self.space.suite.models[cell.pair.model], cell.pair.dataset)
        if key not in self.models:
            self.models.clear()
            self.models[key] = self._fresh(cell)
        return self.models[key]

    def _fresh(self, cell: Cell) -> Loaded:
        suite, device = self.space.suite, self.settings.device
        name, dataset = cell.pair.model, cell.pair.dataset
        trained: Checkpoint | None = None
        facts: dict[str, float | None] = {}
        checkpoint = weights_digest(suite, name)
        if name in self.space.plan.recipes:
            trained = self._obtained(name)
            checkpoint, facts = trained.digest, trained.facts

        def build() -> Model:
            module = self.space.new_module(name, dataset)
            if trained is not None:
                restore(module, trained)
            load_weights(module, suite, name, trust_pickle=self.settings.trust_pickle)
            fields = self.space.data_of(dataset).dataset.fields
            model = ready(module, suite.models[name], name, device=device, dtype=dtype_of(suite), fields=fields)
            return completed(self.space, model, cell, device)

        return Loaded(build(), checkpoint, facts, build, curve=trained.curve if trained is not None else None)
