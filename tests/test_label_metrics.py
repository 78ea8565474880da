"""Metrics of several labels and of embeddings, against scikit-learn, loops and simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.metrics.labels import average_precision
from symbench.algebra.statistics import Array

RNG = np.random.default_rng(5)
K, N, LABELS = 3, 80, 4


def made(scores: Array, there: Array, **changes: Any) -> Observed:
    k, n, _ = scores.shape
    found: dict[str, Any] = {
        "samples": np.arange(n), "correct": ((scores > 0) == there).mean(axis=2), "prediction": None, "target": None,
        "confidence": None, "averaged": None, "loss": None, "deviation_sq": np.zeros((k, n)),
        "unrelated_sq": np.ones((k, n)), "weights": np.full(k, 1 / k), "labels": [f"g{i}" for i in range(k)],
        "kinds": ["permutation"] * k, "null_limit_sq": 0.0, "valid": np.ones((k, n), bool), "controls": {}, "facts": {},
        "task": "multi-label", "label_scores": scores, "label_targets": np.broadcast_to(there, scores.shape).astype(float),
    }  # fmt: skip
    return Observed(**{**found, **changes})


@pytest.fixture
def seen() -> Observed:
    there = RNG.random((N, LABELS)) < 0.35
    scores = there + RNG.normal(0, 1.2, (K + 1, N, LABELS)) - 0.5
    return made(scores.round(1), there)  # rounded, so that some are tied


def first(name: str, seen: Observed) -> Value:
    found: list[Value] = METRICS.find(name)[0].load()(seen)
    return found[0]


def test_average_precision_with_ties(seen: Observed) -> None:
    assert seen.label_scores is not None
    assert seen.label_targets is not None
    for label in range(LABELS):
        scores, there = seen.label_scores[0, :, label], seen.label_targets[0, :, label] > 0
        values = average_precision(scores, there, np.ones(N, bool))
        assert values.mean() == pytest.approx(average_precision_score(there, scores), abs=1e-12)


def test_values_of_samples_are_the_slope_of_their_weights(seen: Observed) -> None:
    """Against a difference quotient of scikit-learn's weighted average precision."""
    assert seen.label_scores is not None
    assert seen.label_targets is not None
    scores, there = seen.label_scores[0, :, 0], seen.label_targets[0, :, 0] > 0
    values, step = average_precision(scores, there, np.ones(N, bool)), 1e-6
    for sample in range(0, N, 7):
        weights = np.ones(N)
        weights[sample] += step
        slope = (average_precision_score(there, scores, sample_weight=weights) - values.mean()) / step
        assert values[sample] - values.mean() == pytest.approx(N * slope, abs=1e-4)


def test_samples_that_do_not_count_are_left_out(seen: Observed) -> None:
    assert seen.label_scores is not None
    assert seen.label_targets is not None
    valid = RNG.random((K + 1, N)) < 0.7
    some = replace(seen, valid=valid)
    each = [
        average_precision_score(seen.label_targets[k][valid[k]], seen.label_scores[k][valid[k]]) for k in range(K + 1)
    ]
    assert first("mean_average_precision", some).estimate == pytest.approx(each[0])
    assert first("orbit_mean_average_precision", some).estimate == pytest.approx(np.mean(each))
    macro = f1_score(seen.label_targets[0][valid[0]], seen.label_scores[0][valid[0]] > 0, average="macro")
    assert first("macro_f1", some).estimate == pytest.approx(macro)
    pooled = (
        np.concatenate([each[valid[k]] for k, each in enumerate(values)])
        for values in (seen.label_targets, seen.label_scores > 0)
    )
    assert first("orbit_micro_f1", some).estimate == pytest.approx(f1_score(*pooled, average="micro"))


def test_a_label_that_is_never_there_counts_nowhere(seen: Observed) -> None:
    assert seen.label_scores is not None
    assert seen.label_targets is not None
    there = seen.label_targets.copy()
    there[..., 2] = 0
    others = [0, 1, 3]
    found = first("mean_average_precision", replace(seen, label_targets=there)).estimate
    assert found == pytest.approx(average_precision_score(there[0][:, others], seen.label_scores[0][:, others]))
    nothing = replace(seen, label_targets=np.zeros_like(there))
    assert first("mean_average_precision", nothing).reason == "no label is ever there"


@pytest.mark.parametrize("name", ["exact_match", "mean_average_precision", "micro_f1", "orbit_macro_f1"])
def test_other_tasks_have_a_reason(seen: Observed, name: str) -> None:
    other = replace(seen, label_scores=None, label_targets=None)
    assert first(name, other).reason == "samples do not have several labels"
    assert first(name, replace(seen, label_targets=None)).estimate is None


@pytest.mark.parametrize("name", ["mean_average_precision", "macro_f1", "micro_f1"])
def test_intervals_cover_what_many_samples_come_to(name: str) -> None:
    """95 % intervals of 120 samples hold the value of 200,000 from the same source at least nine times in ten."""

    def drawn(n: int, seed: int) -> Observed:
        rng = np.random.default_rng(seed)
        there = rng.random((n, 2)) < 0.3
        return made((there + rng.normal(0, 1.0, (1, n, 2)) - 0.5), there)

    true = first(name, drawn(200_000, 0)).estimate
    assert true is not None
    inside = 0
    for seed in range(1, 101):
        interval = first(name, drawn(120, seed)).interval(seed=0)
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        assert 0 <= interval.low <= interval.high <= 1
        inside += interval.low <= true <= interval.high
    assert 90 <= inside <= 100


def test_consistency_and_kappa_are_over_labels(seen: Observed) -> None:
    assert seen.label_scores is not None
    said = seen.label_scores > 0
    same = np.mean([said[k] == said[0] for k in range(1, K + 1)])
    assert first("consistency", seen).estimate == pytest.approx(same)
    assert first("flip_rate", seen).estimate == pytest.approx(1 - same)
    pairs = [(i, j) for i in range(N) for j in range(N) if i != j]
    i, j = np.array(pairs).T
    chance = np.mean([said[k][i] == said[0][j] for k in range(1, K + 1)])
    assert first("kappa", seen).estimate == pytest.approx((same - chance) / (1 - chance))
    assert first("kappa_given_label", seen).reason == "samples have several labels"
    assert first("averaged_accuracy", seen).estimate is None


def test_embeddings_have_cosines_and_recall(seen: Observed) -> None:
    cosine, found = RNG.uniform(-1, 1, (K + 1, N)), (RNG.random((K + 1, N)) < 0.6).astype(float)
    vectors = replace(seen, label_scores=None, label_targets=None, cosine=cosine, retrieved=found, task="embedding")
    assert first("cosine_similarity", vectors).estimate == pytest.approx(cosine[1:].mean())
    assert first("recall_at_1", vectors).estimate == pytest.approx(found[1:].mean())
    each = METRICS.find("recall_at_1")[0].load()(vectors)[1:]
    assert [value.element for value in each] == ["g1", "g2", "g3"]
    assert [value.estimate for value in each] == pytest.approx(found[1:].mean(axis=1).tolist())
    assert (
        first("cosine_similarity", seen).reason == first("recall_at_1", seen).reason == "the output is no embedding"
    )
    interval = first("cosine_similarity", replace(vectors, cosine=np.where(cosine > 0.9, 0.5, 1.0))).interval(seed=0)
    assert interval is not None
    assert interval.high is not None
    assert interval.high <= 1
