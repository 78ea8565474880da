"""The harness measures what is known: models with an equivariance error in closed form, through the whole path."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Folder
from test_evaluate import record, run

from symbench.algebra.comparison import squared_distances
from symbench.measure.evaluate.moves import Moves
from symbench.testing import known_error

EXACT_CASES = {
    "C4": ("place", "pixel", "{group: C4, on: image}"),
    "C2": ("place", "pixel", "{group: C2, on: image}"),
    "D4": ("place", "pixel", "{group: D4, on: image}"),
    "translations": ("place", "pixel", "{group: translations, on: image, reach: 2, border: circular}"),
    "patches": ("place", "pixel", "{group: S9, on: image, action: patches, elements: 40}"),
    "rows": ("row", "row", "{group: S16, on: set, elements: 40}"),
}
RESAMPLED = {
    "SO2-bilinear": ("angle", "spot", "{group: SO2, on: image, elements: 23}"),
    "SO2-bicubic": ("angle", "spot", "{group: SO2, on: image, elements: 24, interpolation: bicubic}"),
    "SO2-fourier": ("angle", "spot", "{group: SO2, on: image, elements: 24, interpolation: fourier}"),
    "C8": ("angle", "spot", "{group: C8, on: image}"),
    "R2-bilinear": ("shift", "spot", "{group: R2, on: image, reach: 2, step: 0.5}"),
    "R2-fourier": ("shift", "spot", "{group: R2, on: image, reach: 2, step: 0.5, interpolation: fourier}"),
    "scalings": ("scale", "centre", "{group: scalings, on: image, reach: 1.3, elements: 12}"),
}


def measure(folder: Folder, reading: str, mark: str, symmetry: str, weight: float, size: int) -> pd.DataFrame:
    (folder.path / "known.py").write_text(
        f"from symbench.testing import KnownError, Marked\ndef load():\n    return Marked({mark!r}, size={size})\n"
        f"def build():\n    return KnownError({reading!r}, {weight})\n"
    )
    folder.suite.write_text(
        "version: 1\nname: known\ndatasets: {marked: {use: 'known.py:load'}}\nmodels: {known: {use: 'known.py:build'}}\n"
        f"symmetries: {{s: {symmetry}}}\n"
    )
    return run(folder)


def errors(frame: pd.DataFrame, output: str) -> pd.Series:
    rows = frame[(frame["metric"] == "equivariance_error") & (frame["output"] == output)]
    whole = rows[rows["element"].isna() & rows["elements"].isin(["all", "permutation", "resampled"])].iloc[:1]
    return whole.iloc[0]


@pytest.mark.parametrize("weight", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("case", list(EXACT_CASES))
def test_permutations_are_measured_to_rounding(folder: Folder, case: str, weight: float) -> None:
    reading, mark, symmetry = EXACT_CASES[case]
    frame = measure(folder, reading, mark, symmetry, weight, size=16 if mark == "row" else 15)
    moved = moved_share(folder)
    assert errors(frame, "code")["estimate"] == pytest.approx(known_error(weight, 2 * moved), rel=1e-6)
    if reading == "place":
        assert errors(frame, "maps")["estimate"] == pytest.approx(known_error(weight, 2 * moved), rel=1e-6)
    assert 0 < moved <= 1
    assert moved == 1 or case in {"patches", "rows"}


def moved_share(folder: Folder) -> float:
    """The share of elements that move the mark, from the deviations: each is 0 or all of it."""
    _, rows = record(folder)
    moved = rows[(rows["output"] == "code") & (rows["element"] > 0)].groupby("element")["deviation_sq"].mean()
    assert set(np.round(moved / moved.max(), 5)) <= {0.0, 1.0}
    return float((moved > 0).mean())


@pytest.mark.parametrize("weight", [0.2, 1.0])
@pytest.mark.parametrize("case", list(RESAMPLED))
def test_resampled_elements_are_measured_within_a_hundredth(folder: Folder, case: str, weight: float) -> None:
    reading, mark, symmetry = RESAMPLED[case]
    frame = measure(folder, reading, mark, symmetry, weight, size=45)
    found, _ = record(folder)
    named: list[dict[str, Any]] = [element.parameters for element in found.elements[1:]]
    readings = {
        "angle": lambda p: 4 * np.sin(np.radians(p["angle_deg"]) / 2) ** 2,
        "shift": lambda p: p["dy_px"] ** 2 + p["dx_px"] ** 2,
        "scale": lambda p: (p["factor"] - 1) ** 2,
    }
    squared = float(np.mean([readings[reading](p) for p in named]))
    assert errors(frame, "code")["estimate"] == pytest.approx(known_error(weight, squared), rel=0.01)


ORIGINAL = Moves.of
BROKEN: dict[str, tuple[str, Callable[..., Any]]] = {
    "a deviation half a percent off": (
        "symbench.algebra.comparison.squared_distances",
        lambda moved, expected: squared_distances(moved, expected) * 1.01,
    ),
    "pairs with oneself": (
        "symbench.algebra.comparison.unrelated",
        lambda sums, dot, deviation, count: sums.moved_sq + sums.expected_sq - 2 * dot,
    ),
    "an element twice": (
        "symbench.measure.evaluate.moves.Moves.of",
        lambda moves, block, leaves: ORIGINAL(
            moves, replace(block, elements=block.elements[:1].expand_as(block.elements)), leaves
        ),
    ),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_harness_that_is_broken_is_caught(folder: Folder, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """The same comparison fails when something in the harness is off: these are mutations, not other constants."""
    target, broken = BROKEN[case]
    monkeypatch.setattr(target, broken)
    if case == "an element twice":  # seen where elements differ in what they do
        frame = measure(folder, "angle", "spot", "{group: C8, on: image}", 1.0, 45)
        known = known_error(1.0, 2 * 8 / 7)
        assert errors(frame, "code")["estimate"] != pytest.approx(known, rel=0.01)
        return
    frame = measure(folder, *EXACT_CASES["C4"], weight=1.0, size=15)
    assert errors(frame, "code")["estimate"] != pytest.approx(known_error(1.0, 2.0), rel=1e-3)


def test_views_of_their_own_are_measured_to_rounding(folder: Folder) -> None:
    """Every sample its own draws from C4, one in four of them the identity; outputs are moved back."""
    frame = measure(folder, "place", "pixel", "{group: C4, on: image, draw: per-sample, elements: 6}", 1.0, 15)
    _, rows = record(folder)
    moved = rows[(rows["output"] == "code") & (rows["element"] > 0)]["deviation_sq"]
    assert set(np.round(moved, 5)) == {0.0, 2.0}
    share = float((moved > 1).mean())
    assert 0.5 < share < 1
    for output in ("code", "maps"):
        assert errors(frame, output)["estimate"] == pytest.approx(known_error(1.0, 2 * share), rel=1e-6)


@pytest.mark.parametrize(("scores", "limit"), [("logits", 1e-6), ("probabilities", 1e-5)])
def test_the_floor_of_an_exact_model_is_low(folder: Folder, scores: str, limit: float) -> None:
    folder.suite.write_text(
        "version: 1\nname: p4\ndatasets: {digits: {use: digits, size: 17}}\n"
        "models: {p4: {use: p4-cnn, train: {on: digits, epochs: 1}}}\n"
        f"symmetries: {{turns: {{group: C4, on: image}}}}\nscores: {scores}\n"
    )
    frame = run(folder)
    error = errors(frame, "logits")
    assert 0 < error["floor"] <= limit
    assert error["estimate"] <= 3 * error["floor"]
    json.dumps(float(error["floor"]))
