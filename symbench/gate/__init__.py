"""The gate: a suite's rules on a run, and their verdicts. No torch.

``judge`` pairs and decides; the other files of this folder say the same record in other formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbench.compare import Recorded
from symbench.gate.decide import decided
from symbench.gate.judging import Judge
from symbench.gate.match import Against, Match, Policy
from symbench.gate.words import FIRST
from symbench.metrics import Metrics
from symbench.metrics.brought import of_manifest
from symbench.records import GateRecord, Verdict
from symbench.statistics import Doubt
from symbench.suite.rules import Rule

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
    judging = Judge(run, rules, against, policy, suite, known)
    matches = [match for cell in run.cells for match in judging.cell(cell)]
    matches.sort(key=lambda match: match.record.rule)
    matches = _answered(matches) + [m for i in range(len(rules)) for m in judging.unmatched(i, matches)]
    matches.sort(key=lambda match: match.record.rule)
    matches = list(judging.explained(matches))
    waiting = sum(match.waits for match in matches)
    verdict, code = _overall(matches, policy)
    return GateRecord(
        run=run.name,
        suite=str(run.manifest.suite["name"]),
        baseline=against.name,
        verdict=verdict,
        exit_code=code,
        inconclusive=policy.inconclusive,
        waiting=waiting,
        notes=[*_notes(run, matches), *judging.collapsed],
        rules=[match.record for match in matches],
    )


def _answered(matches: list[Match]) -> list[Match]:
    """Decide all questions together, as Holm's correction wants them."""
    asked = [i for i, match in enumerate(matches) if match.question is not None]
    answers = decided([question for match in matches if (question := match.question) is not None])
    found = list(matches)
    for i, answer in zip(asked, answers, strict=True):
        match = matches[i]
        assert match.question is not None
        told = match.record.model_copy(
            update={
                "verdict": answer.verdict,
                "reason": _reason(answer.verdict, match.question.doubt, match.question.margin),
                "p_value": answer.p_value,
                "p_adjusted": answer.p_adjusted,
                "detectable": answer.detectable,
                "needed": answer.needed,
            }
        )
        found[i] = replace(match, record=told)
    return found


def _reason(verdict: Verdict, doubt: Doubt, margin: float) -> str:
    if verdict == "pass":
        return "the interval is within the limit"
    if verdict == "fail":
        return "beyond the limit, by more than chance and the number of rules explain"
    if doubt.high is None:
        return "there is no interval"
    side = "beyond the limit" if doubt.estimate > margin else "within the limit"
    return f"the number is {side}, but its interval reaches across"


def _overall(matches: Sequence[Match], policy: Policy) -> tuple[Verdict, int]:
    """The gate's verdict and exit status: one object, so that they cannot disagree."""
    counted = []
    for match in matches:
        verdict = match.record.verdict
        if verdict == "inconclusive" and policy.inconclusive is not None:
            counted.append(("fail", "fail") if policy.inconclusive == "fail" else ("pass", "pass"))
        else:
            counted.append((verdict, "pass" if verdict == "pass" else "fail" if verdict == "fail" else match.outcome))
    for outcome, code in EXITS.items():
        if any(kind == outcome for _, kind in counted):
            if outcome != "undecided":
                return ("fail" if outcome == "fail" else "error"), code
            undecided: tuple[Verdict, ...] = ("missing", "not comparable", "inconclusive")
            return next(v for v in undecided if any(found == v for found, _ in counted)), code
    if not matches or any(kind != "pass" for _, kind in counted):
        raise AssertionError("a gate that has nothing to say must not pass")
    return "pass", 0


def _notes(run: Recorded, matches: Sequence[Match]) -> list[str]:
    found = []
    margins = [m.record for m in matches if m.record.detectable is not None and m.record.margin is not None]
    coarse = [r for r in margins if r.verdict != "fail" and (r.detectable or 0.0) > (r.margin or 0.0)]
    if coarse:
        found.append(
            f"{len(coarse)} of {len(margins)} margins are below the smallest detectable difference: more samples, "
            "fewer rules or wider margins would let them decide"
        )
    if any(match.waits for match in matches):
        found.append(f"there is no baseline yet: {FIRST}")
    if run.manifest.status != "complete":
        found.append(f"the run is {run.manifest.status}")
    return found
