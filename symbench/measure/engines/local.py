"""The local engine: this process, one device, cell after cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from symbench.base.events import once
from symbench.measure.engines.base import Report, Task
from symbench.measure.execution.context import Context
from symbench.measure.execution.samples import prepare_samples
from symbench.measure.execution.worker import measured


class LocalEngine:
    """Measures in this process: see :class:`~symbench.measure.engines.base.Engine`."""

    def run(self, tasks: Sequence[Task], context: Context, report: Report) -> None:
        """Bring every task to a result, model by model, each of which is loaded once."""
        context = replace(context, listen=once(context.listen))
        cells = [task.cell for task in tasks]
        prepare_samples(context, cells)
        for _, mine in groupby(cells, key=lambda cell: cell.pair.model):
            for cell, reason in measured(context, list(mine)):
                report(cell, reason)
                if reason is not None and context.ledger.settings.fail_fast:
                    return
