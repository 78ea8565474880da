"""What carrying out a plan takes besides the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symbench.base.events import Listener
from symbench.measure.execution.ledger import Ledger
from symbench.measure.plan.workspace import Workspace


@dataclass(frozen=True)
class Context:
    """A plan that is being carried out in this process.

    Attributes:
        workspace: the plan, and what is loaded for it here.
        ledger: where results go, which of them are there already, and how to run.
        environment: versions, device and flags, as every cell records them.
        listen: hears about progress.
        stopped: asked now and then whether to stop.
    """

    workspace: Workspace
    ledger: Ledger
    environment: Mapping[str, Any]
    listen: Listener
    stopped: Callable[[], bool]
