"""Metrics of classes at places: against scikit-learn, loops over pixels, and leaving one sample out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, recall_score
from test_metrics import observed

from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.metrics.rim import DISTANCES
from symbench.algebra.statistics import Array, change, relative_change

K, N, SIDE, CLASSES = 5, 40, 6, 3
NAMES = ("sky", "road")


def maps(n: int = N, noise: float = 0.3, seed: int = 0) -> tuple[Array, Array]:
    """What is there and what is said of each pixel, ``(k, n, side, side)``; noise grows with the element."""
    rng = np.random.default_rng(seed)
    there = np.broadcast_to(rng.choice(CLASSES, p=[0.6, 0.3, 0.1], size=(n, SIDE, SIDE)), (K + 1, n, SIDE, SIDE))
    wrong = rng.random(there.shape) < noise * np.linspace(0.5, 1.5, K + 1)[:, None, None, None]
    return there, np.where(wrong, rng.integers(CLASSES, size=there.shape), there)


def counted(there: Array, said: Array, **changes: Any) -> Observed:
    """The observations of maps, counted pixel by pixel."""
    classes = np.arange(CLASSES)[:, None, None]
    a, b = there[:, :, None] == classes, said[:, :, None] == classes
    same = (there == said).mean(axis=(2, 3))
    counts = {"class_hits": a & b, "class_said": b, "class_there": a}
    found = {name: each.sum(axis=(3, 4)).astype(float) for name, each in counts.items()}
    known = {
        **found, "correct": same, "place_right": same, "place_kept": (said == said[:1]).mean(axis=(2, 3)),
        "prediction": None, "target": None, "confidence": None, "averaged": None, "task": "segmentation",
        "classes": NAMES, "deviation_sq": np.ones(same.shape), "unrelated_sq": np.full(same.shape, 2.0),
    }  # fmt: skip
    return observed(**{**known, **changes})


def values(name: str, seen: Observed) -> list[Value]:
    found: list[Value] = METRICS.find(name)[0].load()(seen)
    return found


def first(name: str, seen: Observed) -> float:
    estimate = values(name, seen)[0].estimate
    assert estimate is not None
    return estimate


@pytest.mark.parametrize(("kind", "score"), [("dice", f1_score), ("iou", jaccard_score)])
def test_overlaps_are_those_of_all_pixels_together(kind: str, score: Any) -> None:
    there, said = maps()
    seen = counted(there, said)
    each = [score(there[k].ravel(), said[k].ravel(), average="macro") for k in range(K + 1)]
    assert first(f"mean_{kind}", seen) == pytest.approx(each[0], abs=1e-12)
    at = [value for value in values(f"mean_{kind}", seen) if value.element is not None]
    assert [value.element for value in at] == list(seen.labels)
    assert [value.estimate for value in at] == pytest.approx(each, abs=1e-12)
    assert first(f"orbit_mean_{kind}", seen) == pytest.approx(seen.weights @ each, abs=1e-12)
    assert first(f"worst_element_{kind}", seen) == pytest.approx(min(each[1:]), abs=1e-12)
    one = at[3].sampled
    assert one is not None
    assert one.read().estimate == pytest.approx(each[3], abs=1e-12)


def test_samples_that_do_not_count_are_left_out() -> None:
    there, said = maps()
    valid = np.random.default_rng(1).random((K + 1, N)) < 0.6
    seen = counted(there, said, valid=valid)
    each = [f1_score(there[k][valid[k]].ravel(), said[k][valid[k]].ravel(), average="macro") for k in range(K + 1)]
    assert first("orbit_mean_dice", seen) == pytest.approx(seen.weights @ each, abs=1e-12)


def test_a_class_that_is_neither_there_nor_said_counts_nowhere() -> None:
    there, said = maps()
    seen = counted(np.minimum(there, 1), np.minimum(said, 1))
    assert first("mean_dice", seen) == pytest.approx(
        f1_score(np.minimum(there[0], 1).ravel(), np.minimum(said[0], 1).ravel(), average="macro")
    )
    assert [value.element for value in values("class_dice", seen)] == ["sky", "road"]
    nothing = replace(seen, valid=np.zeros((K + 1, N), bool))
    assert values("mean_dice", nothing)[0].reason == "no class is there or said anywhere"


def test_values_of_samples_are_what_leaving_them_out_moves() -> None:
    """The spread of the values against the jackknife, each sample left out in turn."""
    there, said = maps(60)
    for name in ("mean_dice", "orbit_mean_iou", "worst_element_dice"):
        sampled = values(name, counted(there, said))[0].sampled
        assert sampled is not None
        kept = [np.arange(60) != i for i in range(60)]
        without = np.array([first(name, counted(there[:, some], said[:, some])) for some in kept])
        jackknife = np.sqrt(59 / 60 * np.square(without - without.mean()).sum())
        assert np.sqrt(np.square(sampled.influence()).mean() / 60) == pytest.approx(jackknife, rel=0.08)


@pytest.mark.parametrize("name", ["mean_dice", "mean_iou", "worst_element_dice"])
def test_intervals_cover_what_many_samples_come_to(name: str) -> None:
    true, inside = first(name, counted(*maps(20_000, seed=1))), 0
    for seed in range(2, 62):
        value = values(name, counted(*maps(40, seed=seed)))[0]
        interval = value.interval(seed=0)
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        assert 0 <= interval.low <= value.estimate <= interval.high <= 1  # type: ignore[operator]
        inside += interval.low <= true <= interval.high
    assert inside >= 54


def test_two_runs_are_compared_by_the_same_samples() -> None:
    there, said = maps()
    worse = maps(noise=0.6)[1]
    for name in ("orbit_mean_dice", "worst_element_dice"):
        before, after = (values(name, counted(there, each))[0] for each in (said, worse))
        assert before.sampled is not None
        assert after.sampled is not None
        found = change(before.sampled, after.sampled, -1, seed=0)
        assert found.estimate == pytest.approx(before.estimate - after.estimate)  # type: ignore[operator]
        assert found.low is not None
        assert 0 < found.low < found.estimate
        same = change(before.sampled, before.sampled, -1, seed=0)
        assert same.estimate == 0


def test_a_part_of_the_least_is_written_as_another_least() -> None:
    """Rules such as ``max_drop: 5%`` hold a value against a part of another."""
    sampled = values("worst_element_dice", counted(*maps()))[0].sampled
    assert sampled is not None
    scaled, more = sampled.scaled(0.95)
    assert scaled.estimate + more == pytest.approx(0.95 * sampled.estimate)
    assert scaled.influence() == pytest.approx(0.95 * sampled.influence())
    found = relative_change(sampled, sampled, -1, 0.05, seed=0)
    assert found.estimate == pytest.approx(-0.05 * sampled.estimate)


def test_classes_one_by_one() -> None:
    there, said = maps()
    seen = counted(there, said)
    for name, score in (("dice", f1_score), ("accuracy", recall_score)):
        each = np.array([score(there[k].ravel(), said[k].ravel(), average=None) for k in range(K + 1)])
        for which, expected in (
            ("unmoved_class_", each[0]),
            ("class_", seen.weights @ each),
            ("worst_element_class_", each[1:].min(axis=0)),
        ):
            found = values(f"{which}{name}", seen)
            assert [value.element for value in found] == ["sky", "road", "2"]
            assert [value.estimate for value in found] == pytest.approx(expected.tolist())


def test_classes_of_whole_samples_one_by_one() -> None:
    seen = observed()
    assert seen.target is not None
    assert seen.correct is not None
    each = np.array([[seen.correct[k][seen.target[0] == c].mean() for c in range(4)] for k in range(K + 1)])
    found = [value.estimate for value in values("class_accuracy", seen)]
    assert found == pytest.approx((seen.weights @ each).tolist())
    assert [value.estimate for value in values("unmoved_class_accuracy", seen)] == pytest.approx(each[0].tolist())
    worst = values("worst_element_class_accuracy", replace(seen, classes=("a", "b")))
    assert [value.element for value in worst] == ["a", "b", "2", "3"]
    assert [value.estimate for value in worst] == pytest.approx(each[1:].min(axis=0).tolist())
    assert values("class_dice", seen)[0].reason == "the output is no map of classes with labels"
    many = replace(seen, target=seen.target + 97)
    assert values("class_accuracy", many)[0].reason == "there are more than 100 classes"


def test_accuracy_is_of_places_and_samples_are_not_right_as_a_whole() -> None:
    there, said = maps()
    seen = counted(there, said)
    assert first("accuracy", seen) == pytest.approx((there[0] == said[0]).mean())
    assert first("consistency", seen) == pytest.approx((said[1:] == said[0]).mean())
    assert first("flip_rate", seen) == pytest.approx((said[1:] != said[0]).mean())
    assert first("chance_accuracy", seen) == pytest.approx((there[0] == 0).mean())
    assert first("predicted_classes", seen) == CLASSES
    assert first("predicted_classes", counted(there, np.zeros_like(said))) == 1
    assert values("kappa", seen)[0].reason == "predictions are of places, and not of samples"
    assert values("worst_of_m", seen)[0].reason == (
        "samples are not right or wrong as a whole: they have several places"
    )
    assert values("averaged_accuracy", seen)[0].estimate is None


def test_what_elements_leave_no_place_of_is_left_out_of_consistency() -> None:
    kept = np.full((K + 1, N), 0.5)
    kept[2:, 0], kept[1:, 1] = np.nan, np.nan
    kept[1, 0] = 1.0
    seen = counted(*maps(), place_kept=kept)
    value = values("consistency", seen)[0]
    assert value.estimate == pytest.approx((1.0 + 0.5 * (N - 2)) / (N - 1))
    assert value.n == N - 1
    gone = values("consistency", counted(*maps(), place_kept=np.full((K + 1, N), np.nan)))[0]
    assert gone.reason == "elements leave no place in its frame"


def test_swapped_names_are_over_what_is_renamed() -> None:
    swapped = np.full((K + 1, N), np.nan)
    swapped[3, : N // 2], swapped[4, : N // 4] = 0.25, 0.75
    value = values("swap_confusion", counted(*maps(), place_swapped=swapped))[0]
    assert value.estimate == pytest.approx((0.5 + 0.25) / 2)
    assert value.n == N // 2
    for column in (None, np.full((K + 1, N), np.nan)):
        found = values("swap_confusion", counted(*maps(), place_swapped=column))[0]
        assert found.reason == "no element renames a class that is there"


def test_agreement_with_the_mean_needs_no_labels() -> None:
    agreement = np.linspace(0, 1, N)
    seen = counted(*maps(), correct=None, place_right=None, class_hits=None, class_there=None)
    assert first("consensus_agreement", replace(seen, consensus_agreement=agreement)) == pytest.approx(0.5)
    assert values("consensus_agreement", seen)[0].estimate is None
    assert values("mean_dice", seen)[0].reason == "the output is no map of classes with labels"


def test_the_rim_is_told_from_the_inside() -> None:
    """Padding that deviates 4 px deep, in a frame of 20 px: distance 9 is the innermost."""
    squares = np.full((K + 1, N, len(DISTANCES)), np.nan)
    squares[..., :4], squares[..., 4:6] = [0.9, 0.5, 0.1, 0.02], [0.004, 0.001]
    seen = counted(
        *maps(), rim_sq=squares, places=np.full((K + 1, N), 400.0), unrelated_sq=np.full((K + 1, N), 800.0)
    )
    assert first("rim_error", seen) == pytest.approx(((0.9 + 0.5 + 0.1 + 2 * 0.02) / 5 / 2) ** 0.5)
    assert first("inner_error", seen) == pytest.approx((0.001 / 2) ** 0.5)
    squares[..., 6] = 1e-4
    assert first("inner_error", replace(seen, rim_sq=squares)) == pytest.approx((1e-4 / 2) ** 0.5)
    assert values("rim_error", observed())[0].reason is not None


@pytest.mark.parametrize("name", ["mean_dice", "orbit_mean_iou", "class_dice", "accuracy", "rim_error"])
def test_nan_is_no_number(name: str) -> None:
    there, said = maps()
    seen = counted(there, said, rim_sq=np.full((K + 1, N, len(DISTANCES)), 0.1), places=np.full((K + 1, N), 36.0))
    broken = {"class_hits": seen.class_hits, "correct": seen.correct, "rim_sq": seen.rim_sq}
    for column, each in broken.items():
        assert each is not None
        spoilt = each.copy()
        spoilt[:, 3] = np.nan
        broken[column] = spoilt
    found = values(name, replace(seen, **broken))[0]  # type: ignore[arg-type]
    assert found.estimate is None or not np.isfinite(found.estimate)
