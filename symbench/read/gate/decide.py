"""One limit and what is known of one number: pass, fail, or inconclusive. See :func:`decided` for the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from symbench.algebra.statistics import LEVEL, Confidence, holm, smallest_detectable_difference
from symbench.base.records import MatchRecord, Verdict

ALPHA = 0.05
POWER = 0.95
MOST_SAMPLES = 10_000_000
"""More samples than this decide nothing for anybody."""


@dataclass(frozen=True)
class Question:
    """Whether a number of which more is worse stays within a margin.

    Attributes:
        confidence: the number, with what is known about the true one.
        margin: the largest value that passes.
        difference: whether the number is a change since a baseline, not the estimate itself.
    """

    confidence: Confidence
    margin: float
    difference: bool

    @property
    def p_value(self) -> float:
        """One-sided, of "the true number is within the margin"."""
        return self.confidence.p_above(self.margin)


@dataclass(frozen=True)
class Answer:
    """What a question came to.

    Attributes:
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        p_value: of the question.
        p_adjusted: after Holm over all questions of the gate.
        detectable: the smallest change that the gate would neither miss nor leave open, 95 times in 100.
        needed: about how many samples would decide, where it is inconclusive.
    """

    verdict: Verdict
    p_value: float
    p_adjusted: float
    detectable: float | None
    needed: int | None


@dataclass(frozen=True)
class Case:
    """What a match asks, with all that is known of it: a question to be decided, or a verdict already.

    Attributes:
        record: of the match.
        question: None where the record has its verdict.
        outcome: what it counts as where it does not pass.
        waits: it compares with a baseline, and there is none yet.
    """

    record: MatchRecord
    question: Question | None = None
    outcome: str = "undecided"
    waits: bool = False


def with_verdicts(cases: Sequence[Case]) -> list[Case]:
    """Cases with their verdicts: all questions are decided together, as Holm's correction wants them."""
    answers = iter(decided([case.question for case in cases if case.question is not None]))
    return [case if case.question is None else _answered(case, case.question, next(answers)) for case in cases]


def _answered(case: Case, question: Question, answer: Answer) -> Case:
    numbers = {name: getattr(answer, name) for name in ("p_value", "p_adjusted", "detectable", "needed")}
    reason = _reason(answer.verdict, question.confidence, question.margin)
    update = {"verdict": answer.verdict, "reason": reason, **numbers}
    return replace(case, record=case.record.model_copy(update=update))


def _reason(verdict: Verdict, confidence: Confidence, margin: float) -> str:
    if verdict == "pass":
        return "the interval is within the limit"
    if verdict == "fail":
        return "beyond the limit, by more than chance and the number of rules explain"
    if confidence.high is None:
        return "there is no interval"
    side = "beyond the limit" if confidence.estimate > margin else "within the limit"
    return f"the number is {side}, but its interval reaches across"


def decided(questions: list[Question]) -> list[Answer]:
    """Judge all questions of a gate together: non-inferiority with known error rates.

    A question *passes* where its upper limit (97.5 % on its side, unadjusted) is within the margin: all must pass, so
    no correction is due (intersection-union). It *fails* where its one-sided p value is below 0.05 after Holm over
    all questions: any may fail, and without the correction 20 rules at their margins would alarm falsely in one run
    of three. Everything else is *inconclusive*.
    """
    if not questions:
        return []
    p_values = np.array([question.p_value for question in questions])
    adjusted = holm(p_values)
    return [
        _answer(question, float(p), float(q), len(questions))
        for question, p, q in zip(questions, p_values, adjusted, strict=True)
    ]


def _answer(question: Question, p_value: float, p_adjusted: float, matches: int) -> Answer:
    confidence, margin = question.confidence, question.margin
    verdict: Verdict = "inconclusive"
    if confidence.high is not None and confidence.estimate <= confidence.high <= margin:
        verdict = "pass"
    elif p_adjusted < ALPHA and confidence.estimate > margin:
        verdict = "fail"
    spread = confidence.spread
    known = math.isfinite(spread)
    detectable = smallest_detectable_difference(spread, alpha=ALPHA, matches=matches, power=POWER) if known else None
    needed = _needed(confidence, margin, matches) if verdict == "inconclusive" and known else None
    return Answer(verdict, p_value, p_adjusted, detectable if question.difference else None, needed)


def _needed(confidence: Confidence, margin: float, matches: int) -> int | None:
    """Samples at which a number as far from the margin as this one is decided with power 95 %.

    What chance adds to a limit falls with the root of the samples, what the unseen ones add with their number.
    """
    distance, passes = abs(confidence.estimate - margin), confidence.estimate <= margin
    end = confidence.high if passes else confidence.low
    if not distance > 0 or end is None or not math.isfinite(confidence.error):
        return None
    z = float(special.ndtri(0.5 + LEVEL / 2 if passes else 1 - ALPHA / matches))
    chance = (z + float(special.ndtri(POWER))) * confidence.error
    unseen = max(abs(end - confidence.estimate) - float(special.ndtri(0.5 + LEVEL / 2)) * confidence.error, 0.0)
    root = (chance + math.sqrt(chance**2 + 4 * unseen * distance)) / (2 * distance)
    found = confidence.n * max(1.0, root) ** 2
    return math.ceil(found) if found <= MOST_SAMPLES else None
