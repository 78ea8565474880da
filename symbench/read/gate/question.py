"""From a match to what it asks: a difference and the margin that it must stay within, or a verdict at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from symbench.algebra.statistics import ENOUGH_PASSES, Confidence, Passes, absolute, unseen
from symbench.base.code import foreign
from symbench.base.errors import CellError
from symbench.base.records import MatchRecord
from symbench.measure.suite.rules import Rule
from symbench.read import estimates
from symbench.read.estimates import Estimate
from symbench.read.gate.decide import Case, Question
from symbench.read.gate.draft import draft, interval, more_passes
from symbench.read.gate.match import Match, Ruling, Sides
from symbench.read.pairing.difference import Paired, at_floor, sign_of_worse

ENOUGH_TIMES = 3
"""Fewer times than this are no measurement."""
NOTHING = {"estimate": None, "n": None}
FLOORED = "at the floor: no more than repeating and precision change it"


@dataclass(frozen=True)
class Policy:
    """What counts as passed.

    Attributes:
        inconclusive: what inconclusive matches count as; None: the gate could not decide.
        no_baseline: what rules against a baseline come to where there is none; None: it is missing.
    """

    inconclusive: Literal["fail", "warn", "pass"] | None = None
    no_baseline: Literal["fail", "pass"] | None = None


def case_of(match: Match, sides: Sides, policy: Policy, suite: str) -> Case:
    """What a match asks.

    Args:
        match: a rule on an estimate.
        sides: the run and the baseline.
        policy: what rules come to where there is no baseline.
        suite: the suite's file, or its name, as commands take it.
    """
    record = draft(match, sides.run, suite)
    if match.ruling is not None:
        return _settled(record, match.ruling)
    assert match.pair is not None
    after, limit = match.pair.after, sides.run.manifest.limit
    if after is None:
        return _settled(record, Ruling("missing", "the run has no such estimate"), NOTHING)
    if limit is not None:
        return _settled(
            record, Ruling("not comparable", f"the run took only the first {limit} samples: it is no release")
        )
    if after.value.estimate is None:
        reason = after.value.reason or "there is no number"
        return _settled(record, Ruling("error", reason, "cell") if after.value.failed else Ruling("missing", reason))
    try:
        with foreign(CellError, f"metric {match.metric}", "its interval"):
            record = record.model_copy(update=interval(after))
            if match.ruled.relative:
                return _against_baseline(match.ruled.rule, record, match.pair, after, sides, policy, suite)
            return _against_limit(match.ruled.rule, record, after, sides, suite)
    except CellError as error:
        return _settled(record, Ruling("error", str(error), "cell"))


def _against_limit(rule: Rule, record: MatchRecord, after: Estimate, sides: Sides, suite: str) -> Case:
    value, sign = after.value, -1 if rule.kind == "at_least" else 1
    assert value.estimate is not None
    if sign > 0 and _floor_within(after, rule.limit):
        return _settled(record, Ruling("pass", FLOORED))
    record, few = _of_passes(record, after, None, sides, suite)
    if few is not None:
        return _settled(record, few)
    if after.unit == "s" and sign > 0 and after.row.of_passes is None:
        return _settled(record, _timed(record, sides, rule.limit, [rule.limit]))
    if value.sampled is None:
        return _settled(record, _bare(sign * value.estimate, sign * rule.limit))
    confidence = absolute(value.sampled, sign, seed=estimates.BOOTSTRAP_SEED)
    if value.within is not None:
        confidence = confidence.within(*sorted(sign * end for end in value.within))
    if confidence.holds:  # what it is decided by, which may be wider than what reports print
        shown = confidence if sign > 0 else confidence.turned()
        record = record.model_copy(update={"low": shown.low, "high": shown.high})
    return _asked(record, confidence, sign * rule.limit, difference=False)


def _against_baseline(
    rule: Rule, record: MatchRecord, pair: Paired, after: Estimate, sides: Sides, policy: Policy, suite: str
) -> Case:
    if sides.against.baseline is None:
        return _without_baseline(record, sides, policy)
    if pair.before is None:
        return _settled(record, Ruling("missing", pair.reason or "the baseline has no such estimate"))
    number = pair.before.value.estimate
    if number is None:
        return _settled(record, Ruling("missing", f"the baseline has no number: {pair.before.value.reason}"))
    margin = rule.limit * (abs(number) if rule.kind == "max_relative_drop" else 1.0)
    record = record.model_copy(update={"before": number, "margin": margin})
    if pair.reason is not None:
        return _settled(record, Ruling("not comparable", pair.reason))
    record, few = _of_passes(record, after, pair.before, sides, suite)
    if few is not None:
        return _settled(record, few)
    if pair.identical:
        return _settled(record, Ruling("pass", "identical to the baseline"), _changed(0.0, 0.0, 0.0))
    return _changed_by(rule, record, pair, after, sides, number, margin)


def _changed_by(
    rule: Rule, record: MatchRecord, pair: Paired, after: Estimate, sides: Sides, number: float, margin: float
) -> Case:
    """Two numbers that can be compared and are not the same."""
    assert pair.before is not None
    nothing = _nothing_to_lose(pair.before, after) if rule.kind == "max_relative_drop" else None
    if nothing is not None:
        change = sign_of_worse(after) * (after.value.estimate or 0.0)
        return _settled(record, Ruling("pass", nothing), {"change": change})
    try:
        confidence = pair.difference()
    except ValueError:
        return _settled(record, Ruling("not comparable", "other samples"))
    assert confidence is not None
    record = record.model_copy(update=_changed(confidence.estimate, confidence.low, confidence.high))
    limit = number + sign_of_worse(after) * margin
    if _floor_within(after, limit) and at_floor(pair.before):
        return _settled(record, Ruling("pass", "both are at the floor"))
    if after.unit == "s" and after.row.of_passes is None:
        known = sides.before.times if sides.before else {}
        slowest = [limit * each / number for each in known.get((record.model or "", record.dataset or ""), [])]
        return _settled(record, _timed(record, sides, limit, slowest or [limit]))
    if after.value.sampled is None:
        return _settled(record, _bare(confidence.estimate, margin))
    if rule.kind == "max_relative_drop":
        share = pair.difference(relative=rule.limit)
        assert share is not None
        return _asked(record, share, 0.0, difference=True)
    return _asked(record, confidence, margin, difference=True)


def _without_baseline(record: MatchRecord, sides: Sides, policy: Policy) -> Case:
    against = sides.against
    if against.broken is not None:
        return _settled(record, Ruling("error", f"the baseline cannot be used: {against.broken}", "config"))
    reason = f"there is no baseline at {against.name}" if against.name else "there is no baseline"
    ruling = {
        "pass": Ruling("pass", f"{reason}: taken as a first release"),
        "fail": Ruling("fail", reason),
        None: Ruling("missing", f"{reason}: 'symbench baseline set' makes one", waits=True),
    }[policy.no_baseline]
    return _settled(record, ruling, {"replay": None})


def _of_passes(
    record: MatchRecord, after: Estimate, before: Estimate | None, sides: Sides, suite: str
) -> tuple[MatchRecord, Ruling | None]:
    """The record of a time that throughput passes took, with their number; and a verdict where they are too few."""
    if not isinstance(after.value.sampled, Passes):
        return record, None
    count = after.value.sampled.samples
    more = more_passes(suite, sides.run, max(count + 1, ENOUGH_PASSES))
    record = record.model_copy(update={"passes": count, "replay": more})
    if count < ENOUGH_PASSES:
        reason = f"{_passes(count)} on this hardware: a rule on time needs {ENOUGH_PASSES}"
        return record, Ruling("inconclusive", f"{reason}; '{more}' adds them")
    earlier = None if before is None else before.value.sampled
    if isinstance(earlier, Passes) and earlier.samples < ENOUGH_PASSES:
        reason = f"{_passes(earlier.samples)} in the baseline: a rule on time needs {ENOUGH_PASSES}"
        return record, Ruling("inconclusive", f"{reason}; set one of a run that has them")
    return record, None


def _passes(count: int) -> str:
    return "one pass" if count == 1 else f"{count} passes"


def _timed(record: MatchRecord, sides: Sides, limit: float, allowed: list[float]) -> Ruling:
    """A time: each cell took it once, and all of them must agree. ``allowed`` is the limit as often as known."""
    mine = record.metric == estimates.TIME
    taken = sides.after.times.get((record.model or "", record.dataset or ""), []) if mine else []
    if len(taken) < ENOUGH_TIMES:
        return Ruling("inconclusive", f"timed in fewer than {ENOUGH_TIMES} cells: one time proves nothing")
    if max(taken) <= limit:
        return Ruling("pass", f"all of {len(taken)} cells were timed within the limit")
    if min(taken) > max(allowed):
        return Ruling("fail", f"all of {len(taken)} cells took longer than the slowest is allowed")
    return Ruling("inconclusive", "some cells were timed within the limit and others beyond")


def _bare(number: float, margin: float) -> Ruling:
    """A number without an interval: a count, a time, the largest seen."""
    if number <= margin:
        return Ruling("pass", "a number without an interval")
    return Ruling("fail", "a number without an interval, beyond the limit")


def _nothing_to_lose(before: Estimate, after: Estimate) -> str | None:
    """Why a change cannot be more than a part of the baseline's value, where that is 0; None where it can."""
    a, b = before.value.estimate, after.value.estimate
    if a != 0:
        return None
    if b == 0:
        return "0 in both runs: no change"
    gained = after.unit == "share" and after.row.better == "higher"
    return "0 in the baseline: there was nothing to lose" if gained else None


def _floor_within(estimate: Estimate, limit: float) -> bool:
    """Whether a number is at its floor, and the floor within the limit."""
    return at_floor(estimate) and estimate.floor is not None and estimate.floor <= limit


def _changed(change: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"change": change, "change_low": low, "change_high": high}


def _asked(record: MatchRecord, confidence: Confidence, margin: float, *, difference: bool) -> Case:
    """A question, and what no answer to it can see."""
    if record.passes is None:  # passes miss no kind of sample: each of them took all
        record = record.model_copy(update={"unseen": unseen(confidence.n), "bounded": confidence.holds})
    return Case(record, Question(confidence, margin, difference=difference))


def _settled(record: MatchRecord, ruling: Ruling, numbers: Mapping[str, float | None] | None = None) -> Case:
    """A verdict that no test is needed for."""
    record = record.model_copy(update={**(numbers or {}), "verdict": ruling.verdict, "reason": ruling.reason})
    return Case(record, outcome=ruling.outcome, waits=ruling.waits)
