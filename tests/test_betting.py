"""Evidence that may be looked at after every sample: how often it misleads, whatever is looked for."""

from __future__ import annotations

import numpy as np
import pytest

from symbench.algebra.statistics import Array
from symbench.algebra.statistics.betting import BETS, Wealth


def drops(rng: np.random.Generator, n: int, kind: str) -> tuple[Array, float]:
    """Changes of samples, and their true mean."""
    if kind == "rare whole losses":
        return 1.0 * (rng.random(n) < 0.02), 0.02
    if kind == "many small":
        return rng.choice([-0.1, 0.0, 0.1], n, p=[0.2, 0.5, 0.3]), 0.01
    return rng.choice([-1.0, 0.0, 1.0], n, p=[0.05, 0.85, 0.1]), 0.05


KINDS = ["rare whole losses", "many small", "both ways"]


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_against_what_is_true_is_rare_at_any_time(kind: str) -> None:
    rng = np.random.default_rng(0)
    ever, runs = np.zeros(2), 1000
    for _ in range(runs):
        values, mean = drops(rng, 500, kind)
        ever += (Wealth(mean).take(values) >= 20).any(axis=0)
    assert (ever / runs <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5).all(), ever / runs


@pytest.mark.parametrize("kind", KINDS)
def test_looking_at_p_values_at_every_sample_misleads(kind: str) -> None:
    """The same check catches a test that holds at one n only."""
    rng = np.random.default_rng(1)
    ever, runs = 0, 300
    for _ in range(runs):
        values, mean = drops(rng, 500, kind)
        n = np.arange(1, 501)
        means = values.cumsum() / n
        errors = np.sqrt(((values**2).cumsum() / n - means**2).clip(1e-12) / n)
        ever += bool((np.abs(means - mean)[20:] > 1.96 * errors[20:]).any())
    assert ever / runs > 0.15


def test_it_finds_out_in_the_end() -> None:
    rng = np.random.default_rng(2)
    values, mean = drops(rng, 3000, "both ways")
    within, beyond = Wealth(mean + 0.05), Wealth(mean - 0.05)
    assert within.take(values)[-1, 0] > 20, "the drop is not as large as the margin"
    assert beyond.take(values)[-1, 1] > 20, "the drop is larger than the margin"
    assert within.p_values[0] < 0.05
    assert within.p_values[1] == 1
    assert within.n == 3000


def test_it_is_the_mean_capital_of_all_gamblers() -> None:
    values = np.array([0.5, -1.0, 0.0, 1.0])
    expected = [np.mean([np.prod(1 + b / 0.8 * (0.2 - values[:i])) for b in BETS]) for i in range(1, 5)]
    wealth = Wealth(0.2)
    assert wealth.take(values)[:, 0] == pytest.approx(expected)
    parts = Wealth(0.2)
    parts.take(values[:1])
    assert parts.take(values[1:])[:, 0] == pytest.approx(expected[1:]), "samples may come in parts"
    assert parts.take(values[:0]).shape == (0, 2)


@pytest.mark.parametrize("values", [[0.5, 1.5], [np.nan]])
def test_values_out_of_range_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected -1 to 1"):
        Wealth(0.1).take(np.array(values))
    with pytest.raises(ValueError, match="got the margin 1, expected more than -1, less than 1"):
        Wealth(1.0)
