"""Metrics that a suite brings as code: ``file.py:attribute`` or ``package.module:attribute``.

The attribute is a :class:`~symbench.algebra.metrics.MetricRow`, or a function of
:class:`~symbench.algebra.metrics.base.Observed`, of which then nobody knows which direction is better. Paths start
from the suite's folder. A metric changes nothing of what is measured, so that its code is in no key: it applies to
old runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from symbench.algebra.metrics import METRICS, MetricRow, Metrics
from symbench.base.code import Code
from symbench.base.errors import CellError, ConfigError, Problem
from symbench.base.records import Manifest

REFUSED = "it is code, which --no-code refuses"


@dataclass(frozen=True)
class BroughtRow(MetricRow):
    """A metric that is code of the suite's.

    Attributes:
        function: what computes it; None where it cannot be had.
        faults: why it cannot.
    """

    function: Callable[..., Any] | None = None
    faults: tuple[Problem, ...] = ()

    def load(self) -> Any:
        """The function.

        Raises:
            CellError: the code is not here or cannot be run, which is what its estimates then say.
        """
        if self.function is None:
            raise CellError(list(self.faults))
        return self.function


def names_in(suite: Mapping[str, Any]) -> list[str]:
    """The metrics of a suite, as plain data, that are code: its own, and those of its rules."""
    ruled = [pattern for rule in suite.get("gates", []) for pattern in _as_list(rule.get("metric", []))]
    return [name for name in dict.fromkeys([*suite.get("metrics", []), *ruled]) if ":" in name]


def _as_list(patterns: str | list[str]) -> list[str]:
    return [patterns] if isinstance(patterns, str) else patterns


def row_of(name: str, folder: Path) -> MetricRow:
    """The row of a metric that is code.

    Raises:
        ConfigError: the code is not there, raises, or is neither a row nor a function.
    """
    code = Code.parse(name, folder=folder, where=f"metric {name}")
    assert code is not None
    code.check()
    thing = code.value()
    if isinstance(thing, MetricRow):
        values = {field.name: getattr(thing, field.name) for field in fields(MetricRow)}
        start = folder if code.file is None else code.file.parent
        inner = Code.parse(thing.path, folder=start, where=f"metric {name}")
        return BroughtRow(**values, function=thing.load() if inner is None else inner.value())
    if not callable(thing):
        got = f"{code.attribute} is a {type(thing).__name__}"
        raise ConfigError(Problem(f"metric {name}", got, "a MetricRow, or a function of Observed"))
    summary = (inspect.getdoc(thing) or name).splitlines()[0]
    return BroughtRow(name, summary, better="neither", function=thing)


def with_code(
    names: Iterable[str], folder: Path, *, no_code: bool = False, results: Path | None = None
) -> dict[str, MetricRow]:
    """The table, the plug-ins, and metrics that are code. What cannot be loaded is a row that says so.

    Args:
        names: of those that are code.
        folder: what their paths start from.
        no_code: load none of them.
        results: a folder of data, which no code is taken from.
    """
    known: dict[str, MetricRow] = dict(METRICS)
    for name in names:
        file = (folder / name.rpartition(":")[0]).resolve()
        try:
            if no_code:
                raise ConfigError(Problem(f"metric {name}", REFUSED))
            if results is not None and file.is_relative_to(results.resolve()):
                raise ConfigError(Problem(f"metric {name}", "its code lies among results, which are data"))
            known[name] = row_of(name, folder)
        except ConfigError as error:
            known[name] = BroughtRow(name, name, faults=tuple(error.problems))
    return known


def of_manifest(manifest: Manifest, results: Path | None = None, *, no_code: bool = False) -> Metrics:
    """The table, the plug-ins, and the metrics that a run's suite brings as code.

    Args:
        manifest: the run's.
        results: the results folder that it stands in.
        no_code: load no code.
    """
    folder = Path(manifest.suite_file).parent if manifest.suite_file else Path()
    return with_code(names_in(manifest.suite), folder, no_code=no_code, results=results)
