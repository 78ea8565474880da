"""The loss at the worst element and in the worst case, against loops; their limits, against known truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_metrics import K, N, observed

from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Interval, LargestMean, absolute, change, largest_change, largest_mean

RNG = np.random.default_rng(3)
REGRESSION = {"correct": None, "prediction": None, "target": None, "confidence": None, "averaged": None}


def regressed(**changes: object) -> Observed:
    return observed(**{**REGRESSION, "task": "regression", **changes})


def first(name: str, seen: Observed) -> Value:
    found: Value = METRICS.find(name)[0].load()(seen)[0]
    return found


def test_the_family_of_losses_is_its_definitions() -> None:
    valid = RNG.random((K + 1, N)) < 0.9
    valid[1] = True
    seen = regressed(valid=valid)
    assert seen.loss is not None
    means, worst = [], []
    for k in range(1, K + 1):
        means.append(np.mean([seen.loss[k, i] for i in range(N) if valid[k, i]]))
    for i in range(N):
        worst.append(max(seen.loss[k, i] for k in range(1, K + 1) if valid[k, i]))
    assert first("worst_element_loss", seen).estimate == pytest.approx(max(means))
    assert first("worst_case_loss", seen).estimate == pytest.approx(np.mean(worst))
    orbit = first("orbit_loss", seen).estimate
    assert orbit is not None
    assert orbit <= max(means) <= np.mean(worst)


def test_the_identity_counts_where_the_design_has_it() -> None:
    loss = RNG.exponential(size=(K + 1, N))
    loss[0] += 10
    without, among = regressed(loss=loss), regressed(loss=loss, weights=np.full(K + 1, 1 / (K + 1)))
    assert first("worst_element_loss", without).estimate == pytest.approx(loss[1:].mean(axis=1).max())
    assert first("worst_element_loss", among).estimate == pytest.approx(loss[0].mean())
    assert first("worst_case_loss", among).estimate == pytest.approx(loss.max(axis=0).mean())


def test_a_broken_element_is_seen_by_the_worst_and_hidden_in_the_mean() -> None:
    loss = RNG.exponential(size=(K + 1, N))
    broken = loss.copy()
    broken[4] += 5
    fine, bad = regressed(loss=loss), regressed(loss=broken)
    for name, least in (("worst_element_loss", 4.0), ("worst_case_loss", 3.0)):
        sound, caught = first(name, fine).estimate, first(name, bad).estimate
        assert sound is not None
        assert caught is not None
        assert caught - sound > least


@pytest.mark.parametrize("name", ["worst_element_loss", "worst_case_loss"])
def test_what_is_no_number_says_so(name: str) -> None:
    assert first(name, observed()).reason == "the output is of classes, whose worst elements accuracy tells"
    assert first(name, regressed(loss=None)).reason == "no targets"
    assert first(name, regressed(valid=np.zeros((K + 1, N), dtype=bool))).estimate is None
    loss = RNG.exponential(size=(K + 1, N))
    loss[2, 5] = np.nan
    assert not np.isfinite(first(name, regressed(loss=loss)).estimate or np.nan), "NaN must not be left out"


def test_limits_of_the_largest_mean_hold_the_truth() -> None:
    """12 exponential means that are all 1: the estimate is biased upwards, the interval is not fooled by it."""
    missed, above = [0, 0], 0
    for seed in range(120):
        values = np.random.default_rng(seed).exponential(size=(12, 80))
        found = largest_mean(values, seed=0, resamples=400)
        assert found.low is not None
        assert found.high is not None
        missed[0] += found.low > 1
        missed[1] += found.high < 1
        above += found.estimate > 1
    assert above > 110
    assert missed[0] <= 8, "2.5 % are 3 of 120"
    assert missed[1] <= 8


def test_limits_of_one_element_alone_would_miss() -> None:
    """The twin that takes the element that looks worst for the one that is fails several times as often."""
    missed = 0
    for seed in range(120):
        values = np.random.default_rng(seed).exponential(size=(12, 80))
        found = LargestMean(values[values.mean(axis=1).argmax()][None], np.ones((1, 80), dtype=bool)).interval(
            seed=0, resamples=400
        )
        missed += found.low is not None and found.low > 1
    assert missed > 12


def test_samples_that_are_all_alike_have_no_limits() -> None:
    found = largest_mean(np.full((3, 50), 2.0), seed=0)
    assert (found.estimate, found.low, found.high) == (2.0, None, None)
    with pytest.raises(ValueError, match="not finite"):
        largest_mean(np.array([[1.0, np.nan]]), seed=0)


def test_changes_are_paired() -> None:
    values = RNG.exponential(size=(6, 200))
    values[2] += 1
    valid = np.ones(values.shape, dtype=bool)
    before, after = LargestMean(values, valid), LargestMean(values + 0.3, valid)
    found = change(before, after, 1, seed=0)
    assert found.estimate == pytest.approx(0.3)
    assert found.low is not None
    assert found.high is not None
    assert 0.2 < found.low <= 0.3 <= found.high < 0.4, "the same samples: what they differ by is no doubt"
    other = LargestMean(values + 0.3, valid).interval(seed=0)
    assert other.low is not None
    assert other.estimate - other.low > 0.1, "unpaired, the doubt is larger"
    assert change(before, after, -1, seed=0).estimate == pytest.approx(-0.3)
    assert absolute(before, 1, seed=0).high == pytest.approx(before.interval(seed=0).high)
    with pytest.raises(ValueError, match="expected the same ones"):
        largest_change(before, LargestMean(values[:, :50], valid[:, :50]), seed=0)


def test_no_limits_where_one_side_has_none() -> None:
    still = LargestMean(np.zeros((2, 30)), np.ones((2, 30), dtype=bool))
    other = replace(still, values=RNG.exponential(size=(2, 30)))
    assert largest_change(still, other, seed=0) == Interval(other.estimate, None, None, 30)


def test_influences_are_derivatives() -> None:
    values = RNG.exponential(size=(4, 40))
    valid = RNG.random((4, 40)) < 0.8
    found, step = LargestMean(values, valid), 1e-6
    for sample in range(5):
        weights = np.full(40, 1.0)
        weights[sample] += 40 * step
        weights /= 1 + step
        moved = max((weights * v * c).sum() / (weights * c).sum() for v, c in zip(values, valid, strict=True))
        assert (moved - found.estimate) / step == pytest.approx(found.influence()[sample], abs=1e-4)
    assert found.scaled(2.0)[0].estimate == pytest.approx(2 * found.estimate)
