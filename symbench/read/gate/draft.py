"""A match as a record: what it is about and which numbers it has, before any verdict."""

from __future__ import annotations

import shlex
from typing import Any

from symbench.base.records import CellStatus, MatchRecord
from symbench.read.estimates import BOOTSTRAP_SEED, Estimate
from symbench.read.gate.match import Match
from symbench.read.pairing.runs import Recorded, names_of


def draft(match: Match, run: Recorded, suite: str) -> MatchRecord:
    """The record of a match, with the verdict ``missing`` and no reason yet.

    Args:
        match: a rule on an estimate, or on what is not there.
        run: the run.
        suite: the suite's file, or its name, as commands take it.
    """
    rule, cell = match.ruled.rule, match.cell
    estimate = None if match.pair is None else match.pair.either
    lines = run.manifest.gates_at
    known: dict[str, Any] = {
        "rule": match.ruled.number, "name": rule.name, "kind": rule.kind, "limit": rule.limit,
        "where": lines[match.ruled.number] if match.ruled.number < len(lines) else None,
        "metric": match.metric, "element": match.element, "verdict": "missing", "reason": "",
    }  # fmt: skip
    if cell is not None:
        whole = estimate is not None and estimate.row.scope == "model"
        known |= {
            **names_of(cell),
            "replica": run.replicas.get(cell.model, 0),
            "symmetry": None if whole else cell.symmetry,
        }
        if run.manifest.limit is None and match.replayed:
            known["replay"] = replay(suite, cell, run)
    return MatchRecord(**{**known, **({} if estimate is None else _numbers(estimate))})


def replay(suite: str, cell: CellStatus, run: Recorded) -> str:
    """The command that runs just this cell."""
    only = f"model={cell.model},dataset={cell.dataset},symmetry={cell.symmetry}"
    results = [] if str(run.store.root) == "results" else ["--results", str(run.store.root)]
    return shlex.join(["symbench", "run", suite, "--only", only, *results])


def more_passes(suite: str, run: Recorded, count: int) -> str:
    """The command that adds throughput passes until there are so many."""
    results = [] if str(run.store.root) == "results" else ["--results", str(run.store.root)]
    return shlex.join(["symbench", "run", suite, "--passes", str(count), *results])


def _numbers(estimate: Estimate) -> dict[str, Any]:
    value = estimate.value
    return {
        "output": estimate.output, "element": value.element, "elements": estimate.elements, "unit": estimate.unit,
        "n": value.n, "estimate": value.estimate,
    }  # fmt: skip


def interval(estimate: Estimate) -> dict[str, float | None]:
    """The confidence limits of an estimate, as a record holds them."""
    sampled = estimate.value.sampled
    limits = None if sampled is None else estimate.value.cut(sampled.interval(seed=BOOTSTRAP_SEED))
    return {"low": limits.low if limits else None, "high": limits.high if limits else None}
