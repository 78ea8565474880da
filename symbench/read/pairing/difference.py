"""One estimate in two runs: whether the two can be compared, and how much worse the second is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from symbench.algebra.metrics import Metrics
from symbench.algebra.statistics import Confidence, change, relative_change
from symbench.base.passes import HARDWARE, why_unlike
from symbench.base.records import CellRecord
from symbench.read import estimates
from symbench.read.estimates import Estimate, Taken
from symbench.read.estimates.identical import same_numbers, same_observations, same_weights
from symbench.read.pairing.older import identity_of, tasks_of
from symbench.read.pairing.runs import Measured

DIFFERENT = {
    "dataset": "another dataset",
    "valid": "another rule of which labels elements keep",
    "symmetry": "other elements of the symmetry",
    "versions": "another version of the measurement",
    "limit": "other samples",
    "seed": "another order of the samples",
    "scores": "measured on other outputs",
}
"""Parts of a cell's identity that both cells must have in common, and what is said where they have not."""
STOPPED = "the control took other numbers of samples: with controls: full it takes the same"
CONTROLS = "controls"
"""What a cell's identity says of controls, and the name of their version."""
AVERAGES = "averages"
"""The version of the mean output over an orbit."""
APART = frozenset({CONTROLS, AVERAGES})
"""Versions that only some of a cell's numbers hang on."""

ASKED = frozenset({"mode", "tolerance"})
"""Parts of a cell's numerics that say what was asked for: in which mode it was measured stands in its record."""


def incomparable(before: CellRecord, after: CellRecord) -> str | None:
    """Why two cells are not of the same samples, elements and numbers; None where they are."""
    a, b = _of_measurement(before), _of_measurement(after)
    for key, words in DIFFERENT.items():
        if a.get(key) != b.get(key):
            return words
    if before.mode != after.mode:
        return f"other modes: measured in {before.mode} and in {after.mode}; run both in one numerics.mode"
    one, two = ({k: v for k, v in each["numerics"].items() if k not in ASKED} for each in (a, b))
    changed = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
    if changed:
        return f"other numerics: {', '.join(f'{key} {one.get(key)} and {two.get(key)}' for key in changed)}"
    if tasks_of(before) != tasks_of(after):
        return "other outputs"
    return None if before.samples == after.samples else "other samples"


def _of_measurement(record: CellRecord) -> dict[str, Any]:
    """A cell's identity without the versions that only some of its numbers hang on."""
    identity = identity_of(record)
    versions = {key: value for key, value in identity.get("versions", {}).items() if key not in APART}
    return {**identity, "versions": versions}


def _controls(record: CellRecord) -> tuple[Any, Any]:
    """What two cells have in common whose controls can be compared."""
    return record.identity.get(CONTROLS), record.identity.get("versions", {}).get(CONTROLS)


def _averages(record: CellRecord) -> Any:
    """The version of the mean output over an orbit; before there was one, it was another where labels are lost."""
    return record.identity.get("versions", {}).get(AVERAGES)


def _of_other_samples(before: Estimate, after: Estimate) -> bool:
    """Whether a control has stopped earlier in one of two cells, so that there is nothing to pair."""
    a, b = before.value.sampled, after.value.sampled
    return after.row.scope == "control" and a is not None and b is not None and a.samples != b.samples


def other_hardware(before: CellRecord, after: CellRecord) -> str | None:
    """Why times of two cells cannot be compared; None where they can."""
    for key in ("device", "processor", "threads", "platform", "batch"):
        a, b = before.environment.get(key), after.environment.get(key)
        if a is None or a != b:
            return f"other hardware: {key} {a or 'unknown'} and {b or 'unknown'}"
    return None


def at_floor(estimate: Estimate) -> bool:
    """Whether a number that should be low is no more than repeating and precision change it by."""
    number = estimate.value.estimate
    low = estimate.row.better == "lower" and estimate.unit != "share"
    return low and number is not None and estimate.floor is not None and number <= estimate.floor


@dataclass(frozen=True)
class Paired:
    """One estimate in two runs.

    Attributes:
        before: the first's; None where it has none.
        after: the second's.
        reason: why there is nothing to compare.
        identical: both are of the same cell, or of the same weights and observations, and functions of the very same
            values.
    """

    before: Estimate | None
    after: Estimate | None
    reason: str | None = None
    identical: bool = False

    @property
    def either(self) -> Estimate:
        """The second's estimate, or the first's where the second has none."""
        estimate = self.after or self.before
        assert estimate is not None
        return estimate

    def difference(self, relative: float | None = None) -> Confidence | None:
        """How much worse the second is, with what is known about it; None without two numbers to pair.

        Args:
            relative: how much worse than this part of the first's value, instead.

        Raises:
            ValueError: they are of other samples.
        """
        if self.before is None or self.after is None:
            return None
        a, b = self.before.value, self.after.value
        if a.estimate is None or b.estimate is None:
            return None
        sign = sign_of_worse(self.after)
        if a.sampled is None or b.sampled is None:
            return Confidence(sign * (b.estimate - a.estimate), None, None, b.n or 0, 0.0)
        if relative is not None:
            return relative_change(a.sampled, b.sampled, sign, relative, seed=estimates.BOOTSTRAP_SEED)
        return change(a.sampled, b.sampled, sign, seed=estimates.BOOTSTRAP_SEED)


def _unlike(before: Taken, after: Taken, of: Literal["time", "memory"]) -> str | None:
    """Why the passes of two runs cannot be compared; None where they can, or there are none."""
    if not before.records or not after.records:
        return None
    names = HARDWARE if of == "time" else HARDWARE[:1]
    return why_unlike(before.records[-1], after.records[-1], names)


def sign_of_worse(estimate: Estimate) -> int:
    """1 where more is worse, -1 where less is."""
    return -1 if estimate.row.better == "higher" else 1


def pair_cells(
    before: Measured,
    after: Measured,
    a: CellRecord,
    b: CellRecord,
    metrics: Metrics,
    passes: tuple[Taken, Taken] = (estimates.NONE, estimates.NONE),
) -> Iterator[Paired]:
    """The estimates of one cell in two runs, those of the second in its order, then those that it lacks.

    Args:
        before: the first run.
        after: the second.
        a: the cell in the first.
        b: the cell in the second.
        metrics: of which.
        passes: throughput passes of the cell's model in each.
    """
    one = a.key == b.key and a.mode == b.mode  # one key may fall back to another mode on another processor
    reason = None if one else incomparable(a, b)
    hardware = other_hardware(a, b)
    controls = None if _controls(a) == _controls(b) else "other control samples"
    averages = None if _averages(a) == _averages(b) else "another version of the mean output over the orbit"
    whole = one or (reason is None and same_weights(a, b) and same_observations(before, a, after, b))
    first = {estimate.identity: estimate for estimate in estimates.of_cell(before, a, metrics, passes[0])}
    for second in estimates.of_cell(after, b, metrics, passes[1]):
        of = second.row.of_passes
        other, timed = first.pop(second.identity, None), second.unit == "s" or of == "time"
        unlike = _unlike(*passes, of) if of is not None else hardware if timed else None
        why = reason or (controls if second.row.scope == "control" else unlike)
        why = why or (averages if second.row.of_averages else None)
        why = why or (STOPPED if other is not None and _of_other_samples(other, second) else None)
        same = other is not None and why is None and whole and same_numbers(other, second)
        yield Paired(other, second, why, identical=same and not timed)  # a time is measured anew, whatever the model
    yield from (Paired(estimate, None, reason) for estimate in first.values())
