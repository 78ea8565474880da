"""A run under way, and its manifest: taken up again where an earlier one of the very same cells is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from symbench.base.environment import committed, describe, hardware
from symbench.base.errors import ConfigError, several
from symbench.base.events import Listener, Note
from symbench.base.records import CellStatus, Manifest, PassStatus
from symbench.measure import throughput
from symbench.measure.engines.base import Engine, Task
from symbench.measure.execution.context import Context
from symbench.measure.execution.ledger import Ledger
from symbench.measure.plan.document import Cell, Plan
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Store
from symbench.measure.suite.entries import NOT_MEASURED
from symbench.measure.throughput import Entrant


@dataclass
class Underway:
    """A run under way.

    Attributes:
        space: the plan of what is to be measured, and what is loaded for it.
        ledger: what is measured already.
        engine: where the rest is measured.
        only: the part of the suite that was asked for.
        passes: how many throughput passes there are to be on hardware like this; by default as many as the suite
            says, wherever they were taken.
        done: what became of each cell so far, by its names.
        timed: the throughput passes that the manifest lists.
        failed: the models that could not be timed, by their keys.
    """

    space: Workspace
    ledger: Ledger
    engine: Engine
    only: str | None = None
    passes: int | None = None
    done: dict[str, CellStatus] = field(default_factory=dict)
    timed: list[PassStatus] = field(default_factory=list)
    failed: dict[str, PassStatus] = field(default_factory=dict)

    def run(self, listen: Listener, stopped: Callable[[], bool]) -> Manifest:
        """Measure what is not measured, and keep the manifest up to date, cell by cell.

        Raises:
            Interrupted: ``stopped`` said so; what is done is kept.
        """
        settings = self.ledger.settings
        pending = [cell for cell in self.plan.cells if not self.ledger.done(self.space, cell)]
        earlier = earlier_of(self.store, self.plan)
        self.failed = failed_passes(earlier)
        waiting = {str(cell.pair) for cell in pending}
        models = self._models([cell for cell in self.plan.cells if str(cell.pair) not in waiting])
        if not pending and earlier is not None and earlier.status == "complete" and not self._lacking(models):
            cells = several(len(self.plan.cells), "cell")
            listen(Note(f"nothing to do: {cells} measured already, run {earlier.run}"))
            now = committed(earlier.environment, self.plan.suite.folder)
            for known in self._failed(models):
                text = f"{known.model} on {known.dataset}: no throughput: {known.reason} '--passes 1' tries it again."
                listen(Note(text, warning=True))
            earlier = earlier.model_copy(update={"environment": now, "passes": self._listed(models)})
            self.store.write_manifest(earlier)
            return earlier
        environment = describe(settings.device, self.plan.suite.folder, devices=len(settings.all))
        self.timed = earlier.passes if earlier else []
        manifest = self._manifest(earlier, environment)
        self.store.write_manifest(manifest)
        found = f"{several(len(self.plan.cells), 'cell')}, {len(pending)} of them to be measured"
        listen(Note(f"{found}, on {', '.join(settings.all)}"))
        for text in self.ledger.told_again(self.space):
            listen(Note(text))

        def record(cell: Cell, reason: str | None) -> None:
            self.done[str(cell.pair)] = _status(cell, "done" if reason is None else "failed", reason)
            self.store.write_manifest(manifest.model_copy(update={"cells": self._cells()}))

        status = "interrupted"
        try:
            context = Context(self.space, self.ledger, environment, listen, stopped)
            self.engine.run([Task(self.plan, cell) for cell in self.plan.cells], context, record)
            whole = len(self.done) == len(self.plan.cells) and all(c.status == "done" for c in self.done.values())
            self._time(context, self._models([cell for cell in self.plan.cells if self._is_done(cell)]))
            status = "complete" if whole else "incomplete"
        finally:
            end = {"cells": self._cells(), "passes": self.timed, "status": status, "finished": _now()}
            manifest = manifest.model_copy(update=end)
            self.store.write_manifest(manifest)
        return manifest

    @property
    def plan(self) -> Plan:
        """What is to be measured."""
        return self.space.plan

    @property
    def store(self) -> Store:
        """The results folder."""
        return self.ledger.store

    def _cells(self) -> list[CellStatus]:
        return [self.done.get(str(cell.pair)) or _status(cell, "planned", None) for cell in self.plan.cells]

    def _is_done(self, cell: Cell) -> bool:
        found = self.done.get(str(cell.pair))
        return found is not None and found.status == "done"

    def _models(self, measured: Sequence[Cell]) -> dict[str, list[Entrant]]:
        return throughput.entrants(self.space, measured)

    def _lacking(self, models: Mapping[str, Sequence[Entrant]]) -> dict[str, int]:
        """How many passes each dataset's models are still to get, by its name; datasets that lack none left out."""
        return throughput.lacking(self.space, self.ledger, models, self.passes, self.failed)

    def _time(self, context: Context, models: Mapping[str, Sequence[Entrant]]) -> None:
        """Add the passes that lack; those that are finished are listed even where the others are not."""
        own = {**context.environment, **hardware(self.ledger.settings.device)}  # all of the threads, on one device
        lacks = self._lacking(models)
        tried = {each.key for dataset in lacks for each in models[dataset]}
        self.failed = {key: known for key, known in self.failed.items() if key not in tried}
        try:
            found = throughput.add_passes(replace(context, environment=own), models, lacks)
            self.failed |= {each.key: each for each in found}
        finally:
            self.timed = self._listed(models)

    def _listed(self, models: Mapping[str, Sequence[Entrant]]) -> list[PassStatus]:
        return [*throughput.listed(self.store, models), *self._failed(models)]

    def _failed(self, models: Mapping[str, Sequence[Entrant]]) -> list[PassStatus]:
        return [self.failed[each.key] for mine in models.values() for each in mine if each.key in self.failed]

    def _manifest(self, earlier: Manifest | None, environment: dict[str, Any]) -> Manifest:
        now = datetime.now(UTC)
        run_id = f"{self.plan.suite.name}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        return Manifest(
            run=earlier.run if earlier else run_id,
            suite=self.plan.suite.resolved(),
            asked=self.plan.asked,
            plan=[str(cell.pair) for cell in self.plan.cells],
            cells=self._cells(),
            passes=self.timed,
            environment=environment,
            status="running",
            limit=self.plan.limit,
            only=[self.only] if self.only else [],
            gates_at=self.plan.suite.gates_at(),
            suite_file=self.plan.suite.shown_file,
            started=earlier.started if earlier else _now(),
        )


def earlier_of(store: Store, plan: Plan) -> Manifest | None:
    """The newest run of the very same cells: it is taken up again rather than begun anew."""
    keys, suite = [cell.key for cell in plan.cells], plan.suite.resolved()
    files = (store.root / "runs").glob(f"{plan.suite.name}-*.json")
    for path in sorted(files, key=lambda p: p.stat().st_mtime, reverse=True):
        try:
            manifest = store.manifest(path.stem)
        except ConfigError:
            continue
        if [cell.key for cell in manifest.cells] == keys and _measured(manifest.suite) == _measured(suite):
            rules = {
                "suite": suite,
                "asked": plan.asked,
                "gates_at": plan.suite.gates_at(),
                "suite_file": plan.suite.shown_file,
            }
            return manifest.model_copy(update=rules)
    return None


def failed_passes(earlier: Manifest | None) -> dict[str, PassStatus]:
    """The models that a run could not time, by the keys of their passes."""
    return {} if earlier is None else {each.key: each for each in earlier.passes if each.status == "failed"}


def _measured(suite: dict[str, Any]) -> dict[str, Any]:
    """What of a suite is measured: rules, metrics and the baseline may change without a new run."""
    return {key: value for key, value in suite.items() if key not in NOT_MEASURED}


def _status(cell: Cell, status: str, reason: str | None) -> CellStatus:
    names = cell.pair.names()
    return CellStatus.model_validate({**names, "key": cell.key, "status": status, "reason": reason})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
