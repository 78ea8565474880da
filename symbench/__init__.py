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
    from symbench.api import Choices, Run, load_suite, open_run, run, write_report
    from symbench.errors import CellError, ConfigError, Interrupted, SymbenchError
    from symbench.judge import compare_runs, judge_run, set_baseline
    from symbench.suite import Suite

__version__ = "0.1.0"

_WHERE = {
    "CellError": "symbench.errors",
    "Choices": "symbench.api",
    "ConfigError": "symbench.errors",
    "Interrupted": "symbench.errors",
    "Run": "symbench.api",
    "Suite": "symbench.suite",
    "SymbenchError": "symbench.errors",
    "compare_runs": "symbench.judge",
    "judge_run": "symbench.judge",
    "load_suite": "symbench.api",
    "open_run": "symbench.api",
    "run": "symbench.api",
    "set_baseline": "symbench.judge",
    "write_report": "symbench.api",
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
