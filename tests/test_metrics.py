"""Each metric against a few lines of its definition, and the identities that need no published table."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score

from symbench.algebra.comparison import Whole, squared_distances, unrelated
from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.base import Observed
from symbench.algebra.statistics import Array

RNG = np.random.default_rng(0)
K, N, CLASSES = 5, 60, 4


def observed(**changes: Any) -> Observed:
    """Random observations of a classifier with ``K`` elements besides the identity."""
    target = RNG.integers(CLASSES, size=N)
    prediction = np.where(RNG.random((K + 1, N)) < 0.6, target, RNG.integers(CLASSES, size=(K + 1, N)))
    weights = np.array([0.0, 1, 2, 3, 4, 5])
    found: dict[str, Any] = {
        "samples": np.arange(N),
        "controls": {"e32": 0.5, "e64": 0.5, "error": 1e-6},
        "correct": (prediction == target).astype(float),
        "prediction": prediction.astype(float),
        "target": np.broadcast_to(target, (K + 1, N)).astype(float),
        "confidence": RNG.random((K + 1, N)),
        "averaged": np.where(RNG.random(N) < 0.8, target, 0).astype(float),
        "loss": RNG.exponential(size=(K + 1, N)),
        "deviation_sq": np.vstack([np.zeros(N), RNG.exponential(size=(K, N))]),
        "unrelated_sq": np.vstack([np.full(N, np.nan), RNG.exponential(2.0, size=(K, N))]),
        "weights": weights / weights.sum(),
        "labels": ["e", "a", "b", "c", "d", "f"],
        "kinds": ["permutation"] * 3 + ["resampled"] * 3,
        "null_limit_sq": 1e-12,
        "valid": np.ones((K + 1, N), dtype=bool),
        "facts": {"parameters": 10.0, "flops": None},
    }
    arrays = [array for array in changes.values() if isinstance(array, np.ndarray) and array.ndim > 1]
    if arrays:
        found["valid"], found["samples"] = np.ones(arrays[0].shape[:2], dtype=bool), np.arange(arrays[0].shape[1])
    return Observed(**{**found, **changes})


def chance_of_difference(prediction: Array) -> Array:
    """The closed form of the null of one-hot outputs, halved, ``(k - 1, n)`` of ``(k, n)``."""
    n = prediction.shape[1]
    onehot = np.eye(CLASSES)[prediction.astype(int)]
    shares = onehot.mean(axis=1)
    a, b = onehot[1:] @ shares[0], np.einsum("nc,kc->kn", onehot[0], shares[1:])
    within = 1 - a - b + (shares[1:] @ shares[0])[:, None]
    return np.asarray((n * within - (prediction[1:] != prediction[0])) / (n - 1))


def value(name: str, seen: Observed) -> Any:
    found = METRICS.find(name)[0].load()(seen)[0]
    return found.estimate


def test_accuracies_are_their_definitions() -> None:
    seen = observed()
    assert seen.correct is not None
    c, w = seen.correct, seen.weights
    assert value("accuracy", seen) == pytest.approx(accuracy_score(np.ones(N), c[0]))
    loop = np.mean([sum(w[k] * c[k, i] for k in range(K + 1)) for i in range(N)])
    assert value("orbit_accuracy", seen) == pytest.approx(loop)
    assert value("worst_element_accuracy", seen) == pytest.approx(min(c[k].mean() for k in range(1, K + 1)))
    assert value("worst_case_accuracy", seen) == pytest.approx(np.mean([all(c[1:, i]) for i in range(N)]))
    enumerated = observed(weights=np.full(K + 1, 1 / (K + 1)), correct=c)  # here the identity is one of them
    assert value("worst_case_accuracy", enumerated) == pytest.approx(np.mean([all(c[:, i]) for i in range(N)]))
    curve = METRICS.find("element_accuracy")[0].load()(seen)
    assert [v.element for v in curve] == list(seen.labels)
    assert [v.estimate for v in curve] == pytest.approx([row.mean() for row in c])


def test_pairs_whose_label_changes_leave_accuracy() -> None:
    """Each metric against a loop over the pairs that are left."""
    valid = RNG.random((K + 1, N)) < 0.7
    valid[:, :3] = False  # three samples that no element keeps
    seen = observed(valid=valid)
    assert seen.correct is not None
    assert seen.loss is not None
    c, w = seen.correct, seen.weights
    kept = {i: [k for k in range(K + 1) if valid[k, i] and w[k] > 0] for i in range(N)}
    kept = {i: ks for i, ks in kept.items() if ks}
    assert value("accuracy", seen) == pytest.approx(np.mean([c[0, i] for i in range(N) if valid[0, i]]))
    orbit = [sum(w[k] * c[k, i] for k in ks) / sum(w[k] for k in ks) for i, ks in kept.items()]
    assert value("orbit_accuracy", seen) == pytest.approx(np.mean(orbit))
    loss = [sum(w[k] * seen.loss[k, i] for k in ks) / sum(w[k] for k in ks) for i, ks in kept.items()]
    assert value("orbit_loss", seen) == pytest.approx(np.mean(loss))
    assert value("worst_case_accuracy", seen) == pytest.approx(
        np.mean([min(c[k, ks_i] for k in ks) for ks_i, ks in kept.items()])
    )
    curve = [np.mean([c[k, i] for i in range(N) if valid[k, i]]) for k in range(K + 1)]
    assert [v.estimate for v in METRICS.find("element_accuracy")[0].load()(seen)] == pytest.approx(curve)
    assert value("worst_element_accuracy", seen) == pytest.approx(min(curve[1:]))
    assert value("excluded_pairs", seen) == (~valid[1:]).sum()
    gone = valid.copy()
    gone[2] = False
    without = METRICS.find("element_accuracy")[0].load()(observed(valid=gone))[2]
    assert without.estimate is None
    assert without.reason == "the element changes every label"
    nothing = observed(valid=np.zeros((K + 1, N), dtype=bool))
    for name in ("accuracy", "orbit_accuracy", "worst_case_accuracy", "worst_element_accuracy", "averaged_accuracy",
                 "orbit_loss", "loss"):  # fmt: skip
        assert value(name, nothing) is None


def test_consistency_and_flip_rate() -> None:
    seen = observed()
    assert seen.prediction is not None
    loop = np.mean([seen.prediction[k, i] == seen.prediction[0, i] for k in range(1, K + 1) for i in range(N)])
    assert value("consistency", seen) == pytest.approx(loop)
    assert value("flip_rate", seen) == pytest.approx(1 - loop)


def test_kappa_is_its_definition() -> None:
    seen = observed()
    assert seen.prediction is not None
    p = seen.prediction
    pairs = [(i, j) for i in range(N) for j in range(N) if i != j]
    chance = np.mean([np.mean([p[k, i] == p[0, j] for i, j in pairs]) for k in range(1, K + 1)])
    consistency = (p[1:] == p[0]).mean()
    assert value("kappa", seen) == pytest.approx((consistency - chance) / (1 - chance))


def test_kappa_is_cohens_for_one_element_and_many_samples() -> None:
    target = RNG.integers(CLASSES, size=20_000)
    moved = np.where(RNG.random(20_000) < 0.7, target, RNG.integers(CLASSES, size=20_000))
    seen = observed(prediction=np.stack([target, moved]), labels=["e", "a"])
    assert value("kappa", seen) == pytest.approx(cohen_kappa_score(target, moved), abs=1e-3)


def test_equivariance_error_of_one_hot_outputs_is_one_minus_kappa() -> None:
    seen = observed()
    assert seen.prediction is not None
    onehot = np.eye(CLASSES)[seen.prediction.astype(int)]  # (k, n, classes)
    deviation = np.square(onehot - onehot[0]).sum(-1)
    null = np.full((K + 1, N), np.nan)
    null[1:] = 2 * chance_of_difference(seen.prediction)
    both = observed(prediction=seen.prediction, deviation_sq=deviation, unrelated_sq=null)
    assert value("equivariance_error", both) ** 2 == pytest.approx(1 - value("kappa", both))


def test_equivariance_error_is_a_ratio_of_means() -> None:
    seen = observed()
    expected = np.sqrt(seen.deviation_sq[1:].mean() / seen.unrelated_sq[1:].mean())
    found = METRICS.find("equivariance_error")[0].load()(seen)
    assert found[0].estimate == pytest.approx(expected)
    interval = found[0].interval(seed=0)
    assert interval.low < expected < interval.high
    for k in range(1, K + 1):
        per_element = np.sqrt(seen.deviation_sq[k].mean() / seen.unrelated_sq[k].mean())
        assert found[k].estimate == pytest.approx(per_element)
        assert found[k].element == seen.labels[k]


@pytest.mark.parametrize(
    ("e32", "e64", "verdict"),
    [
        (1e-7, 1e-16, "exact: 1e+09 times less"),
        (0.9, 0.9001, "broken"),
        (1e-7, 1e-7, "undetermined"),
        (0.9, 0.1, "undetermined"),
        (0, 0, "exact"),
    ],
)
def test_exactness(e32: float, e64: float, verdict: str) -> None:
    seen = observed(controls={"e32": e32, "e64": e64, "error": 3e-7})
    found = METRICS.find("equivariance_error_float64")[0].load()(seen)[0]
    assert found.estimate == e64
    assert found.reason.startswith(verdict)
    assert value("equivariance_error_float64", observed(controls={})) is None


HALF, SINGLE_INSIDE = {"a": "float32", "b": "float16"}, {"a": "float32", "c": "float32"}
MANY = dict.fromkeys("abcde", "bfloat16")


@pytest.mark.parametrize(
    ("lower", "e32", "e64", "verdict"),
    [
        (HALF, 0.9, 0.9, "undetermined: lower precision inside b (float16)"),
        (MANY, 0.9, 0.9, "undetermined: lower precision inside a (bfloat16), b (bfloat16), c (bfloat16) and 2 more"),
        (SINGLE_INSIDE, 0.9, 0.9, "broken: precision does not matter"),
        (SINGLE_INSIDE, 1e-7, 1e-7, "undetermined: lower precision inside a (float32), c (float32)"),
        (HALF, 1e-7, 1e-16, "exact: 1e+09 times less than in the suite's dtype"),
        (HALF, 0.9, float("nan"), "undetermined: lower precision inside b (float16)"),
    ],
)
def test_lower_precision_inside_decides_what_can_be_said(
    lower: dict[str, str], e32: float, e64: float, verdict: str
) -> None:
    seen = observed(controls={"e32": e32, "e64": e64, "error": 3e-7, "single": 1e-5}, lower=lower)
    assert METRICS.find("equivariance_error_float64")[0].load()(seen)[0].reason == verdict


@pytest.mark.parametrize(
    ("lower", "error", "verdict"),
    [
        ({}, 1e-6, "exact to rounding"),
        ({}, 5e-5, "undetermined: rounding in float32 may explain it"),
        ({}, 0.9, "broken by the image's size of 16 px: exact at 17 px"),
        (HALF, 0.9, "undetermined: lower precision inside b (float16)"),
        ({}, float("nan"), "undetermined: rounding in float32 may explain it"),
    ],
)
def test_without_float64_an_error_is_held_against_rounding(lower: dict[str, str], error: float, verdict: str) -> None:
    controls = {"e32": error, "error": 3e-7, "single": 1e-5}
    sizes, reasons = {16: error, 17: 9e-6, 18: 2e-5}, {"precision": "no float64"}
    seen = observed(controls=controls, lower=lower, sizes=sizes, reasons=reasons)
    found = METRICS.find("equivariance_error_float64")[0].load()(seen)[0]
    assert found.estimate is None
    assert found.reason == f"{verdict}, as it runs, without float64: no float64"
    blurred = observed(controls={**controls, "single": 0.02}, sizes=sizes, reasons=reasons)
    found = METRICS.find("equivariance_error_float64")[0].load()(blurred)[0]
    assert found.reason.startswith("exact") is False, "rounding would hide more than a hundredth"


def test_absolute_errors() -> None:
    seen = observed()
    d = np.sqrt(seen.deviation_sq[1:])
    assert value("absolute_error", seen) == pytest.approx(d.mean())
    assert value("absolute_error_p95", seen) == pytest.approx(np.quantile(d, 0.95))
    assert value("absolute_error_max", seen) == pytest.approx(d.max())


def test_losses() -> None:
    seen = observed()
    assert seen.loss is not None
    assert value("loss", seen) == pytest.approx(seen.loss[0].mean())
    assert value("orbit_loss", seen) == pytest.approx((seen.weights @ seen.loss).mean())


def test_consistency_of_the_right_ones() -> None:
    seen = observed()
    assert seen.prediction is not None
    assert seen.correct is not None
    p, c = seen.prediction, seen.correct
    loop = np.mean([p[k, i] == p[0, i] for i in range(N) if c[0, i] for k in range(1, K + 1)])
    assert value("consistency_correct", seen) == pytest.approx(loop)
    assert value("consistency_correct", observed(correct=np.zeros((K + 1, N)))) is None


def test_confidence_change() -> None:
    seen = observed()
    assert seen.confidence is not None
    loop = np.mean([abs(seen.confidence[k, i] - seen.confidence[0, i]) for k in range(1, K + 1) for i in range(N)])
    assert value("confidence_change", seen) == pytest.approx(loop)


def test_averaged_accuracy() -> None:
    seen = observed()
    assert seen.averaged is not None
    assert seen.target is not None
    assert value("averaged_accuracy", seen) == pytest.approx(accuracy_score(seen.target[0], seen.averaged))
    assert value("averaged_accuracy", seen.only("resampled")) is None


def test_worst_of_m_is_the_mean_over_all_draws() -> None:
    correct = (RNG.random((9, 12)) < 0.8).astype(float)
    seen = observed(correct=correct, labels=list("abcdefghi"))
    draws = list(itertools.combinations(range(1, 9), 5))
    loop = np.mean([all(correct[k, i] for k in draw) for draw in draws for i in range(12)])
    assert value("worst_of_m", seen) == pytest.approx(loop)
    few = observed(correct=correct[:4], labels=list("abcd"))
    assert value("worst_of_m", few) is None


def test_kappa_given_label_is_its_definition_and_zero_when_only_the_label_agrees() -> None:
    seen = observed()
    assert seen.prediction is not None
    assert seen.target is not None
    p, y = seen.prediction, seen.target[0]
    # every sample's pairs of the same label weigh as that sample: mean over samples of the mean over its partners
    chances = []
    for i in range(N):
        others = [j for j in range(N) if j != i and y[j] == y[i]]
        both = [int(p[k, i] == p[0, j]) + int(p[k, j] == p[0, i]) for k in range(1, K + 1) for j in others]
        chances.append(np.mean(both) / 2)
    chance, consistency = np.mean(chances), (p[1:] == p[0]).mean()
    assert value("kappa_given_label", seen) == pytest.approx((consistency - chance) / (1 - chance))
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=6000)
    drawn = np.stack([np.where(rng.random(6000) < 0.7, labels, rng.integers(3, size=6000)) for _ in range(3)]).astype(
        float
    )
    blind = observed(prediction=drawn, target=np.broadcast_to(labels, (3, 6000)), labels=["e", "a", "b"])
    assert value("kappa_given_label", blind) == pytest.approx(0, abs=0.03)
    assert value("kappa", blind) > 0.3


def test_constant_model() -> None:
    seen = observed(
        prediction=np.zeros((K + 1, N)), deviation_sq=np.zeros((K + 1, N)), unrelated_sq=np.full((K + 1, N), 1e-30)
    )
    assert value("consistency", seen) == 1
    for name in ("kappa", "equivariance_error"):
        found = METRICS.find(name)[0].load()(seen)[0]
        assert found.estimate is None
        assert found.reason


def test_no_data_is_null_with_a_reason() -> None:
    seen = observed(correct=None, prediction=None, loss=None, target=None, confidence=None, averaged=None)
    for name, row in METRICS:
        for found in row.load()(seen):
            assert found.estimate is not None or found.reason, name
    for name in (
        "accuracy",
        "orbit_accuracy",
        "worst_element_accuracy",
        "worst_case_accuracy",
        "kappa",
        "loss",
        "flops",
    ):
        assert value(name, seen) is None


def test_nan_deviation_never_looks_exact() -> None:
    bad = np.zeros((K + 1, N))
    bad[2, 3] = np.nan
    seen = observed(deviation_sq=bad)
    assert value("equivariance_error", seen) is None
    null = observed(unrelated_sq=np.full((K + 1, N), np.nan))
    assert value("equivariance_error", null) is None


def test_subsets_by_kind_keep_the_identity_as_reference() -> None:
    seen = observed()
    moved = seen.only("resampled")
    assert moved.labels == ["e", "c", "d", "f"]
    assert moved.weights.tolist() == pytest.approx([0, 3 / 12, 4 / 12, 5 / 12])
    assert seen.only("permutation").labels == ["e", "a", "b"]


# The closed form of the denominator against all pairs.


def null_of(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``unrelated`` of whole tensors ``(k, n, d)``."""
    mean = b.mean(1)
    dot = torch.einsum("knd,kd->kn", b - mean[:, None], a.mean(1) - mean)
    return unrelated(Whole().sums(a, b, mean, range(a.shape[1])), dot, squared_distances(a, b))


@pytest.mark.parametrize("n", [2, 3, 17])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_unrelated_is_the_mean_over_all_other_samples(n: int, offset: float) -> None:
    a = torch.randn(4, n, 5, dtype=torch.float64) + offset
    b = torch.randn(4, n, 5, dtype=torch.float64) + 3 + offset
    found = null_of(a, b)
    for k in range(4):
        pairs = [float((a[k, i] - b[k, j]).square().sum()) for i in range(n) for j in range(n) if i != j]
        assert float(found[k].mean()) == pytest.approx(np.mean(pairs))


def test_unrelated_is_measures_closed_form() -> None:
    """The general closed form, term by term: ``(n (h_a + h_b - M) - |a - b|^2) / (n - 1)``."""
    n = 9
    a, b = (torch.randn(1, n, 5, dtype=torch.float64)[0] + shift for shift in (1.0, 4.0))
    mean_a, mean_b = a.mean(0), b.mean(0)
    square_a, square_b = a.square().sum(1).mean(), b.square().sum(1).mean()
    both = square_a + square_b - 2 * mean_a @ mean_b
    h_a = a.square().sum(1) - 2 * a @ mean_b + square_b
    h_b = b.square().sum(1) - 2 * b @ mean_a + square_a
    expected = (n * (h_a + h_b - both) - (a - b).square().sum(1)) / (n - 1)
    assert torch.allclose(null_of(a[None], b[None])[0], expected)


def test_unrelated_outputs_have_error_one() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1, 4000, 6, generator=rng, dtype=torch.float64) for _ in range(2))
    assert float((squared_distances(a, b).mean() / null_of(a, b).mean()).sqrt()) == pytest.approx(1, abs=0.02)


def test_opposite_outputs_exceed_one() -> None:
    b = torch.randn(1, 2000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float((squared_distances(-b, b).mean() / null_of(-b, b).mean()).sqrt()) == pytest.approx(2**0.5, abs=0.02)


def test_a_single_sample_has_no_null() -> None:
    a = torch.ones(2, 1, 3, dtype=torch.float64)
    assert null_of(a, a).isnan().all()


def test_every_column_that_metrics_see_is_taken_by_elements() -> None:
    """A column is declared once: what reads it and what takes some elements of it follow."""
    from dataclasses import fields

    from symbench.base.columns import SEEN

    assert set(SEEN) <= {field.name for field in fields(Observed)}
    arrays = {name: RNG.random((K + 1, N)) for name in SEEN}
    taken = observed(**arrays).only("resampled")
    assert all(np.array_equal(getattr(taken, name), arrays[name][[0, 3, 4, 5]]) for name in SEEN)
