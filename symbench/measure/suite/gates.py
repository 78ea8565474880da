"""Whether a suite's rules can be judged at all: names that exist, and limits that their metrics have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from symbench.algebra.metrics import METRICS, MetricRow, Metrics
from symbench.base.code import Code
from symbench.base.document import Document, Path_
from symbench.base.errors import ConfigError, Problem, quoted
from symbench.measure.suite.rules import RELATIVE, Rule
from symbench.measure.suite.select import unmatched

if TYPE_CHECKING:
    from symbench.measure.suite.entries import Suite


def problems_of_gates(suite: Suite, source: Document) -> Iterator[Problem]:
    """Every problem of the suite's rules, and of the metrics that it brings: names that fit nothing, wrong limits."""
    where = source.where(("metrics",))
    for name in suite.metrics:
        if ":" not in name:
            yield Problem(where, f"got {quoted(name)}", "code, as file.py:attribute", "All others are there anyway.")
    yield from problems_of_code(suite.metrics, suite.folder, where)
    kinds = {"model": list(suite.models), "dataset": list(suite.datasets), "symmetry": list(suite.symmetries)}
    for i, rule in enumerate(suite.gates):
        place: Path_ = ("gates", i)
        for kind, patterns in rule.patterns():
            yield from unmatched(patterns, kinds[kind], source.where((*place, kind)))
        yield from _metrics(rule, suite.folder, source, place)


def _metrics(rule: Rule, folder: Path, source: Document, place: Path_) -> Iterator[Problem]:
    """The problems of one rule's metrics and limit."""
    rows, where = dict(METRICS), source.where((*place, "metric"))
    named = [name for name in rule.metric if ":" not in name]
    wrong = [*unmatched(named, list(rows), where, METRICS.aliases()), *problems_of_code(rule.metric, folder, where)]
    yield from wrong
    taken = {name: row for name, row in rows.items() if rule.takes_metric(name)}
    shares = bool(taken) and all(row.unit == "share" for row in taken.values())
    if shares and rule.kind != "max_relative_drop" and not 0 <= rule.limit <= 1:
        got = f"got {rule.limit:g}"
        yield Problem(source.where((*place, rule.kind)), got, "a share from 0 to 1", "95 % is 0.95.")
    if wrong or rule.kind not in RELATIVE:
        return
    named = [name for name in taken if name in rule.metric]
    some = any(row.can_drop for row in taken.values())
    for name in named or ([] if some else list(taken)):
        if not taken[name].can_drop:
            direction = taken[name].better == "neither"
            why = "neither direction of it is worse" if direction else "two of it have no interval"
            got = f"got {rule.kind} for {quoted(name)}"
            yield Problem(source.where((*place, rule.kind)), got, f"at_least or at_most: {why}")


def problems_of_code(names: Iterable[str], folder: Path, where: str) -> Iterator[Problem]:
    """What is wrong with metrics that are code, as far as it can be told without running it."""
    for name in names:
        code = Code.parse(name, folder=folder, where=where)
        try:
            if code is not None:
                code.check()
        except ConfigError as error:
            yield from error.problems


def metrics_of(rule: Rule, known: Metrics) -> dict[str, MetricRow]:
    """The metrics that a rule is about, as far as they can be judged by it.

    Raises:
        ConfigError: it asks whether a metric that is code got worse, and the code does not say which way that is.
    """
    taken = {name: row for name, row in known.items() if rule.takes_metric(name)}
    if rule.kind not in RELATIVE:
        return taken
    for name in rule.metric:
        if ":" in name and not taken[name].can_drop:
            remedy = "A MetricRow with better, in place of the function, says which direction is worse."
            raise ConfigError(Problem(f"gates: {rule.name}", f"got {rule.kind}", "at_least or at_most", remedy))
    return {name: row for name, row in taken.items() if row.can_drop}
