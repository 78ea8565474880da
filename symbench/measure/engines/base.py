"""What an engine is: it brings tasks to results, somewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from symbench.measure.execution.context import Context
from symbench.measure.plan.document import Cell, Plan

Report = Callable[[Cell, str | None], None]
"""Called when a cell has its result (None), or has failed (with the reason)."""


@dataclass(frozen=True)
class Task:
    """One cell of a plan, to be measured: plain data, so that it can be sent to wherever that is done.

    Attributes:
        plan: all that is needed to load the cell's things: ``Workspace(plan)``.
        cell: which of its cells.
    """

    plan: Plan
    cell: Cell


class Engine(Protocol):
    """Where cells are measured: in this process, in several, or on other machines.

    An engine chooses place and order, and nothing that a result depends on. What measuring takes stands in
    ``symbench.measure.execution``, and is the same for all:
    :func:`~symbench.measure.execution.samples.prepare_samples` for the cells of a place, then
    :func:`~symbench.measure.execution.worker.measured` for those of each model, or what that is made of.
    """

    def run(self, tasks: Sequence[Task], context: Context, report: Report) -> None:
        """Bring every task to a result: cached, measured, or failed with a reason.

        All tasks of one model are to be of one and the same checkpoint: it is trained before any of them is measured.

        Args:
            tasks: cells of the context's plan, model by model.
            context: what this process has loaded for the plan, where results go, and how to run. An engine that
                works elsewhere sends its tasks there and opens a context of its own.
            report: hears of each task, in any order; on the thread that called.

        Raises:
            Interrupted: asked to stop; what is done is kept.
        """
