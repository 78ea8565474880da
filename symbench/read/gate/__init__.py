"""The gate: a suite's rules on a run, and their verdicts. No torch.

    rules -> match -> question -> decide -> explain -> the outputs

Each is a file here that takes a value and hands one on: which rule is about which estimate; the paired difference and
its margin; verdicts, all questions together; what happened where a rule failed; and the record in words, as text,
Markdown, JUnit, SARIF and annotations.
"""

from __future__ import annotations

from collections.abc import Sequence

from symbench.algebra.metrics import Metrics
from symbench.algebra.metrics.brought import of_manifest
from symbench.base.records import GateRecord, Verdict
from symbench.measure.suite.rules import Rule
from symbench.read.gate.decide import Case, with_verdicts
from symbench.read.gate.explain import explained
from symbench.read.gate.match import Against, Ruled, Sides, in_cell, once, ruled, unmatched
from symbench.read.gate.question import Policy, case_of
from symbench.read.gate.words import FIRST
from symbench.read.pairing.runs import Recorded

__all__ = ["Against", "Policy", "judge"]

EXITS: dict[str, int] = {"config": 2, "fail": 1, "cell": 3, "undecided": 4}
"""The exit status of each kind of outcome; where several apply, the first of these."""


def judge(
    run: Recorded,
    rules: Sequence[Rule],
    against: Against,
    policy: Policy,
    *,
    suite: str,
    metrics: Metrics | None = None,
) -> GateRecord:
    """Judge a run by rules.

    Args:
        run: the run.
        rules: of a suite, in its order.
        against: the baseline, or why there is none.
        policy: what counts as passed.
        suite: the suite's file, or its name, as commands take it.
        metrics: that rules may be about; by default all that there are, and those that the suite brings.
    """
    known = of_manifest(run.manifest, run.store.root) if metrics is None else metrics
    sides = Sides(run, against)
    cases, collapsed = _asked(sides, ruled(rules, known), known, policy, suite)
    decisions = with_verdicts(cases)
    verdict, code = _overall(decisions, policy)
    return GateRecord(
        run=run.name,
        suite=str(run.manifest.suite["name"]),
        baseline=against.name,
        verdict=verdict,
        exit_code=code,
        inconclusive=policy.inconclusive,
        waiting=sum(case.waits for case in decisions),
        notes=[*_notes(run, decisions), *collapsed],
        rules=list(explained(sides, (case.record for case in decisions))),
    )


def _asked(
    sides: Sides, rules: Sequence[Ruled], known: Metrics, policy: Policy, suite: str
) -> tuple[list[Case], list[str]]:
    """What all rules ask, in their order; and what is said of models that predict one class only."""
    cases: list[Case] = []
    collapsed: dict[str, None] = {}
    costs: set[tuple[int, str, str, str]] = set()
    elements: dict[int, dict[str, None]] = {}
    for cell in sides.run.cells:  # one at a time: estimates hold all that they are made from
        matched = in_cell(sides, rules, known, cell)
        cases += [case_of(match, sides, policy, suite) for match in once(matched.matches, costs)]
        collapsed |= dict.fromkeys(matched.collapsed)
        for number, labels in matched.elements.items():
            elements.setdefault(number, {}).update(labels)
    rest = unmatched(sides, rules, [case.record for case in cases], elements)
    cases += [case_of(match, sides, policy, suite) for match in rest]
    said = [f"{name} predicts one class only: that it stays the same says nothing" for name in collapsed]
    return sorted(cases, key=lambda case: case.record.rule), said


def _overall(cases: Sequence[Case], policy: Policy) -> tuple[Verdict, int]:
    """The gate's verdict and exit status: one object, so that they cannot disagree."""
    counted = []
    for case in cases:
        verdict = case.record.verdict
        if verdict == "inconclusive" and policy.inconclusive is not None:
            counted.append(("fail", "fail") if policy.inconclusive == "fail" else ("pass", "pass"))
        else:
            counted.append((verdict, "pass" if verdict == "pass" else "fail" if verdict == "fail" else case.outcome))
    for outcome, code in EXITS.items():
        if any(kind == outcome for _, kind in counted):
            if outcome != "undecided":
                return ("fail" if outcome == "fail" else "error"), code
            undecided: tuple[Verdict, ...] = ("missing", "not comparable", "inconclusive")
            return next(v for v in undecided if any(found == v for found, _ in counted)), code
    if not cases or any(kind != "pass" for _, kind in counted):
        raise AssertionError("a gate that has nothing to say must not pass")
    return "pass", 0


def _notes(run: Recorded, cases: Sequence[Case]) -> list[str]:
    found = []
    margins = [c.record for c in cases if c.record.detectable is not None and c.record.margin is not None]
    coarse = [r for r in margins if r.verdict != "fail" and (r.detectable or 0.0) > (r.margin or 0.0)]
    if coarse:
        found.append(
            f"{len(coarse)} of {len(margins)} margins are below the smallest detectable difference: more samples, "
            "fewer rules or wider margins would let them decide"
        )
    if any(case.waits for case in cases):
        found.append(f"there is no baseline yet: {FIRST}")
    if run.manifest.status != "complete":
        found.append(f"the run is {run.manifest.status}")
    return found
