"""Which cells of a plan are measured already, and why those that once were are to be measured again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from symbench.base.errors import CellError, ConfigError
from symbench.base.identity import differences
from symbench.base.records import CellRecord
from symbench.domains.common.models.base import Model
from symbench.measure.assemble import dtype_of, ready
from symbench.measure.evaluate.probe import why_another
from symbench.measure.execution.loading import Loaded, Settings, completed, completed_for, flags, job_of
from symbench.measure.plan.document import Cell
from symbench.measure.plan.keys import built_for
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Store
from symbench.measure.training.checkpoints import cached, restore

SHOWN = 3
LATEST = 5
"""Runs that are looked at for what was measured before."""


@dataclass
class Ledger:
    """What is measured.

    A cell counts as measured where the store has it, whole and unaltered, of the weights that its recipe stands for
    now, and the model at hand gives the outputs that were kept with it.

    Attributes:
        store: the results folder.
        settings: how the run would be done.
        stale: why cells that the store has are not of the model at hand, by key.
    """

    store: Store
    settings: Settings
    stale: dict[str, str] = field(default_factory=dict)

    def look(self, space: Workspace, name: str, modules: Mapping[str, nn.Module]) -> None:
        """Run a model that has just been built on the probes of its cells in the store.

        Args:
            space: with the model's cells in its plan.
            name: the model's.
            modules: as it was built, by the dataset that it was built for; they are moved and get their weights.
        """
        models: dict[str, Model] = {}
        for cell in space.plan.cells:
            record = self.store.cell(cell.key) if cell.pair.model == name else None
            if record is None or space.broken_reason(cell) is not None:
                continue
            module = modules[built_for(space.suite.models[name], cell.pair.dataset)]
            try:
                why = self._why_stale(space, cell, record, module, models)
            except CellError as error:
                why = f"its model cannot be loaded any more: {error}"
            if why is not None:
                self.stale[cell.key] = why

    def _why_stale(
        self, space: Workspace, cell: Cell, record: CellRecord, module: nn.Module, models: dict[str, Model]
    ) -> str | None:
        """Why a cell is not of the module at hand; ``models`` has the ones that are complete, and takes in others."""
        name = cell.pair.model
        checkpoint = cached(space.plan, name) if name in space.plan.recipes else None
        if checkpoint is not None and record.checkpoint != checkpoint.digest:
            return "the model has been trained anew since"
        if record.probe is None or (name in space.plan.recipes and checkpoint is None):
            return None  # there is no model at hand to be another: its recipe is the same, to the last module
        with flags(space.suite, self.settings.device):
            entry, device = space.suite.models[name], self.settings.device
            made_for = completed_for(entry, cell.pair.dataset)
            if made_for not in models:
                if checkpoint is not None:
                    restore(module, checkpoint)
                fields = space.data_of(cell.pair.dataset).dataset.fields
                model = ready(module, entry, name, device=device, dtype=dtype_of(space.suite), fields=fields)
                models[made_for] = completed(space, model, cell, device)
            at_hand = Loaded(models[made_for], record.checkpoint)
            return why_another(job_of(space, cell, at_hand, self.settings), record.probe)

    def done(self, space: Workspace, cell: Cell) -> bool:
        """Whether a cell need not be measured."""
        if cell.key in self.stale or space.broken_reason(cell) is not None:
            return False
        record = self.store.cell(cell.key)
        if record is None:
            return False
        name = cell.pair.model
        checkpoint = cached(space.plan, name) if name in space.plan.recipes else None
        return checkpoint is None or record.checkpoint == checkpoint.digest

    def pending(self, space: Workspace, cells: Iterable[Cell]) -> list[Cell]:
        """Those of the cells that can be measured, and have to be."""
        return [c for c in cells if space.broken_reason(c) is None and not self.done(space, c)]

    def why_again(self, space: Workspace) -> dict[str, str]:
        """Why cells that were measured before are measured again, by their names, as far as that is known."""
        pending = self.pending(space, space.plan.cells)
        found = {str(cell.pair): self.stale.get(cell.key) or self.store.fault(cell.key) for cell in pending}
        lacking = {str(cell.pair): cell for cell in pending if found[str(cell.pair)] is None}
        changed = self._changed(space.suite.name, lacking) if lacking else {}
        return {name: why for name, why in {**found, **changed}.items() if why is not None}

    def told_again(self, space: Workspace) -> list[str]:
        """:meth:`why_again` for people: cells of one reason in one line."""
        alike: dict[str, list[str]] = {}
        for name, reason in self.why_again(space).items():
            alike.setdefault(reason, []).append(name)
        more = {reason: f" and {len(names) - SHOWN} more" * (len(names) > SHOWN) for reason, names in alike.items()}
        return [
            f"measured again: {', '.join(names[:SHOWN])}{more[reason]}: {reason}" for reason, names in alike.items()
        ]

    def _changed(self, suite: str, lacking: Mapping[str, Cell]) -> dict[str, str]:
        """What differs from the newest measurement of each cell under another key."""
        found: dict[str, str] = {}
        files = (self.store.root / "runs").glob(f"{suite}-*.json")
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)[:LATEST]:
            try:
                manifest = self.store.manifest(path.stem)
            except ConfigError:
                continue
            for status in manifest.cells:
                name = f"{status.model}/{status.dataset}/{status.symmetry}"
                record = self.store.cell(status.key) if name in lacking and name not in found else None
                if record is not None:
                    found[name] = f"changed since: {', '.join(differences(record.identity, lacking[name].identity))}"
        return found
