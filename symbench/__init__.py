"""symbench: does my model respect this symmetry, how sure are we, and did the last commit make it worse?

    >>> import symbench
    >>> run = symbench.run("suites/quick.yaml")        # doctest: +SKIP
    >>> frame = run.estimates()                        # doctest: +SKIP

Importing this package imports neither torch nor pandas; they come with the first call that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symbench.base.errors import CellError, ConfigError, Interrupted, SymbenchError
    from symbench.face.api import Choices, Run, load_suite, open_run, run, write_report
    from symbench.measure.suite import Suite
    from symbench.read.judge import compare_runs, judge_run, set_baseline

__version__ = "0.1.0"

_WHERE = {
    "CellError": "symbench.base.errors",
    "Choices": "symbench.face.api",
    "ConfigError": "symbench.base.errors",
    "Interrupted": "symbench.base.errors",
    "Run": "symbench.face.api",
    "Suite": "symbench.measure.suite",
    "SymbenchError": "symbench.base.errors",
    "compare_runs": "symbench.read.judge",
    "judge_run": "symbench.read.judge",
    "load_suite": "symbench.face.api",
    "open_run": "symbench.face.api",
    "run": "symbench.face.api",
    "set_baseline": "symbench.read.judge",
    "write_report": "symbench.face.api",
}

__all__ = [
    "CellError",
    "Choices",
    "ConfigError",
    "Interrupted",
    "Run",
    "Suite",
    "SymbenchError",
    "__version__",
    "compare_runs",
    "judge_run",
    "load_suite",
    "open_run",
    "run",
    "set_baseline",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'symbench' has no attribute {name!r}")
