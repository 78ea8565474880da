"""Whether a suite's rules can be judged at all: names that exist, and limits that their metrics have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from symbench.document import Document, Path_
from symbench.errors import Problem, quoted
from symbench.metrics import METRICS, MetricRow
from symbench.suite.rules import RELATIVE, Rule
from symbench.suite.select import unmatched

if TYPE_CHECKING:
    from symbench.suite.entries import Suite


def problems_of_gates(suite: Suite, source: Document) -> Iterator[Problem]:
    """What is wrong with the rules."""
    kinds = {"model": list(suite.models), "dataset": list(suite.datasets), "symmetry": list(suite.symmetries)}
    for i, rule in enumerate(suite.gates):
        place: Path_ = ("gates", i)
        for kind, patterns in rule.patterns():
            yield from unmatched(patterns, kinds[kind], source.where((*place, kind)))
        yield from _metrics(rule, source, place)


def _metrics(rule: Rule, source: Document, place: Path_) -> Iterator[Problem]:
    rows = dict(METRICS)
    wrong = list(unmatched(list(rule.metric), list(rows), source.where((*place, "metric")), METRICS.aliases()))
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


def metrics_of(rule: Rule) -> dict[str, MetricRow]:
    """The metrics that a rule is about, as far as they can be judged by it."""
    relative = rule.kind in RELATIVE
    return {name: row for name, row in METRICS if rule.takes_metric(name) and (row.can_drop or not relative)}
