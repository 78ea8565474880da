"""What reports, comparisons and gates say of maps: who is exact under which steps, at the edge, and class by class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Symbench, subprocess_symbench
from made import shifts

from symbench import run
from symbench.algebra.metrics import role_of
from symbench.algebra.metrics.rim import DISTANCES
from symbench.measure.evaluate.rim import FROM
from symbench.measure.store import Store
from symbench.read.estimates.reading import outputs_of
from symbench.read.report import classes, headlines, rim
from symbench.read.report.partly import at_the_edge, multiple, stepped
from symbench.read.report.places import Places
from symbench.read.report.scene import Elements

STEPS = np.array([(e.parameters["dy_px"], e.parameters["dx_px"]) for e in shifts(4)])
DEVIATION, ROUNDING, RIM, INSIDE = (role_of(role) for role in ("deviation", "rounding", "rim", "inside"))
SPOT = ("rolls", "made")


def both(number: int, steps: np.ndarray = STEPS) -> np.ndarray:
    """Whether both steps are multiples, one element at a time."""
    return np.array([dy % number == 0 and dx % number == 0 for dy, dx in steps])


# The number itself.


@pytest.mark.parametrize("number", [2, 3, 4])
def test_the_number_is_found(number: int) -> None:
    assert multiple(STEPS, both(number), ~both(number)) == number


def test_nothing_is_said_of_what_is_exact_everywhere_or_nowhere() -> None:
    every = np.ones(len(STEPS), dtype=bool)
    assert multiple(STEPS, every, ~every) is None
    assert multiple(STEPS, both(9), ~both(9)) is None  # at the identity alone


def test_nothing_is_said_where_an_element_is_neither_exact_nor_broken() -> None:
    exact = both(2)
    broken = ~exact
    broken[np.flatnonzero(broken)[0]] = False
    assert multiple(STEPS, exact, broken) is None


def test_nothing_is_said_where_one_multiple_is_broken_or_another_is_exact() -> None:
    exact = both(2)
    exact[np.flatnonzero(both(4))[-1]] = False
    assert multiple(STEPS, exact, ~exact) is None
    exact = both(2)
    exact[STEPS.tolist().index([1.0, 0.0])] = True
    assert multiple(STEPS, exact, ~exact) is None


def test_a_divisor_has_to_be_ruled_out() -> None:
    """Exact at 4, broken at 1: it may be under multiples of 2 as well, if no such step was tried."""
    tried = both(4) | (np.abs(STEPS) % 2 == 1).any(axis=1)
    steps = STEPS[tried & ~(np.abs(STEPS) == 2).any(axis=1)]
    exact = both(4, steps)
    assert multiple(steps, exact, ~exact) is None
    with_two = np.vstack([steps, [[2.0, 0.0]]])
    assert multiple(with_two, np.append(exact, False), np.append(~exact, True)) == 4


def test_halves_of_pixels_are_no_multiples() -> None:
    steps = np.array([[0, 0], [0.5, 0], [2, 2], [1, 0], [2.5, 2]])
    exact = both(2, steps)
    assert multiple(steps, exact, ~exact) == 2
    exact[1] = True
    assert multiple(steps, exact, ~exact) is None


# The sentence.


def rows(errors: dict[str, np.ndarray], floor: float = 1e-6, **more: Any) -> pd.DataFrame:
    """Estimates of E at each element, output by output, and over all."""
    known = {"model": "net", "symmetry": SPOT[0], "dataset": SPOT[1], "stratum": None, "floor": floor, **more}
    labels = [e.label for e in shifts(4)]
    found = []
    for output, each in errors.items():
        mine = {**known, "output": output, "metric": DEVIATION, "elements": "permutation"}
        found += [{**mine, "element": label, "estimate": value} for label, value in zip(labels, each, strict=True)]
        found.append({**mine, "element": None, "estimate": float(np.mean(each))})
    return pd.DataFrame(found)


def elements(family: str = "translations") -> dict[tuple[str, str], Elements]:
    every = [{"element": e.label, "kind": e.kind, "size": e.size, **e.parameters} for e in shifts(4)]
    return {SPOT: Elements(pd.DataFrame(every), "px", family)}


def said(errors: dict[str, np.ndarray], **more: Any) -> list[str]:
    return [each.text for each in stepped(rows(errors, **more), elements())]


def test_the_sentence_names_the_number_and_the_largest_error() -> None:
    errors = np.where(both(4), 1e-7, 0.2)
    errors[7] = 0.31 if errors[7] > 0.1 else errors[7]
    assert said({"maps": errors}) == ["is exact under shifts by multiples of 4 px alone: others come to E = 0.310"]
    assert not said({"maps": errors}, stratum="proper")
    assert not list(stepped(rows({"maps": errors}), elements("plane")))
    assert not list(stepped(rows({"maps": errors}), {}))


def test_all_outputs_count() -> None:
    two, four = (np.where(both(number), 1e-7, 0.2) for number in (2, 4))
    assert "multiples of 4 px" in said({"a": two, "b": four})[0]


def test_without_a_floor_nothing_but_zero_is_exact() -> None:
    assert not said({"maps": np.where(both(2), 1e-7, 0.2)}, floor=np.nan)
    assert "multiples of 2 px" in said({"maps": np.where(both(2), 0.0, 0.2)}, floor=np.nan)[0]


@pytest.mark.parametrize(("overlap", "told"), [(None, True), (0.99, False)])
def test_maps_are_not_held_against_the_most_frequent_class_by_places(overlap: float | None, told: bool) -> None:
    """91 % of places are ground: few samples do not tell 99.9 % of them right from that, and Dice of 99 % does."""
    known = {
        "model": "net",
        "symmetry": "rolls",
        "dataset": "made",
        "output": "maps",
        "element": None,
        "elements": "all",
    }
    rows = pd.DataFrame([
        {**known, "metric": "accuracy", "estimate": 0.999, "low": 0.91, "high": 1.0},
        {**known, "metric": "chance_accuracy", "estimate": 0.912, "low": None, "high": None},
        {**known, "metric": role_of("worst overlap"), "estimate": overlap, "low": overlap, "high": overlap},
    ])  # fmt: skip
    assert bool(headlines._collapsed(rows, Places.of(rows))) == told


@pytest.mark.parametrize(("inside", "found"), [(1e-7, True), (1e-3, False)])
def test_who_deviates_at_the_edge_alone(inside: float, found: bool) -> None:
    both_metrics = [
        {
            "model": "net", "symmetry": "rolls", "dataset": "made", "output": "maps", "stratum": None, "floor": 1e-6,
            "metric": metric, "element": None, "elements": "permutation", "estimate": value,
        }
        for metric, value in ((RIM, 0.4), (INSIDE, inside))
    ]  # fmt: skip
    texts = [each.text for each in at_the_edge(pd.DataFrame(both_metrics))]
    expected = "changes maps at the edge of the frame alone: E = 0.400 within 4 px of it, and no more than rounding"
    assert [text.startswith(expected) for text in texts] == ([True] if found else [])


def test_distances_are_those_that_are_written() -> None:
    assert tuple(first for first, _ in DISTANCES) == FROM
    assert [last for _, last in DISTANCES[:-1]] == [first - 1 for first in FROM[1:]]


# A run.


@dataclass(frozen=True)
class Maps:
    """Networks that halve the grid never, once, twice, and once with padding."""

    results: Path
    report: Path
    frame: pd.DataFrame


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Maps:
    results = tmp_path_factory.mktemp("steps")
    run(ROOT / "tests" / "cases" / "maps" / "steps.yaml", results=results)
    report = results / "report"
    where = ("--results", results, "--output", report, "--format", "html,md,csv,svg")
    assert subprocess_symbench("report", *where).returncode == 0
    return Maps(results, report, pd.read_csv(report / "estimates.csv"))


def test_a_network_that_halves_its_grid_is_exact_under_multiples_alone(maps: Maps) -> None:
    text = (maps.report / "report.md").read_text()
    assert "once is exact under shifts by multiples of 2 px alone" in text
    assert "twice is exact under shifts by multiples of 4 px alone" in text
    assert "pixelwise is exact under" not in text
    assert "padded is exact under" not in text
    assert (
        "Under rolls, twice is exact under shifts by multiples of 4 px alone"
        in (maps.report / "report.html").read_text()
    )


def test_tables_and_figures_are_of_dice(maps: Maps) -> None:
    text, page = ((maps.report / name).read_text() for name in ("report.md", "report.html"))
    assert "| model | Dice % | orbit Dice % | worst element Dice % | accuracy % | consistency % | E |" in text
    assert "| model, class | Dice % | orbit Dice % | worst element Dice % |" in text
    assert "has a Dice of" in text
    assert "twice, ground" in text
    assert "Class by class" in page
    for figure in ("shifts.rolls.made", "rim.rolls.made", "samples.rolls.made.twice", "sizes.rolls.made"):
        assert (maps.report / f"{figure}.svg").exists()
    drawn = pd.read_csv(maps.report / "shifts.rolls.made.csv")
    assert set(drawn["metric"]) == {role_of("overlap at each element")}
    assert len(drawn) == 4 * 81


def test_every_class_is_told_by_its_name(maps: Maps) -> None:
    found = maps.frame[maps.frame["metric"] == "class_dice"]
    assert set(found["element"].dropna()) == {"ground", "disc", "square", "triangle"}
    whole = maps.frame[(maps.frame["metric"] == "orbit_mean_dice") & (maps.frame["model"] == "twice")]["estimate"]
    mine = found[found["model"] == "twice"]
    assert mine["estimate"].mean() == pytest.approx(whole.item())
    (board,) = classes.boards(maps.frame)
    assert len(board.rows) == 16
    assert board.columns == ["model, class", "Dice %", "orbit Dice %", "worst element Dice %"]


def test_the_line_from_the_edge_adds_up_to_e(maps: Maps) -> None:
    """Squares at all distances, by how many pixels are there, are that of E over all."""
    store, side = Store(maps.results), 20
    cell = next(cell for cell in store.manifest().cells if cell.model == "padded")
    record = store.cell(cell.key)
    assert record is not None
    (reading,) = outputs_of(store, record)
    away = np.minimum.outer(*([np.minimum(np.arange(side), side - 1 - np.arange(side))] * 2))
    count = np.bincount(np.digitize(away.ravel(), FROM) - 1, minlength=len(FROM))
    errors = rim.errors_of(reading)
    squares = np.nansum(count * np.square(errors)) / count.sum()
    whole = maps.frame[(maps.frame["metric"] == DEVIATION) & (maps.frame["model"] == "padded")]
    assert squares**0.5 == pytest.approx(float(whole[whole["element"].isna()]["estimate"].iloc[0]), rel=1e-5)
    drawn = pd.read_csv(maps.report / "rim.rolls.made.csv").query("model == 'padded'")
    assert drawn["estimate"].tolist() == pytest.approx(errors[np.isfinite(errors)].tolist())


def test_baselines_comparisons_and_gates_have_them(maps: Maps, symbench: Symbench) -> None:
    assert symbench("baseline", "set", "--results", maps.results, "--reason", "first", "--force").code == 0
    gate = symbench("gate", "--results", maps.results)
    assert gate.code == 0, gate.out
    assert "class_dice of twice" in gate.out
    assert "ground" in gate.out
    (manifest,) = (maps.results / "runs").glob("*.json")
    compared = symbench("compare", manifest, maps.results / "baselines" / "steps.json", "--results", maps.results)
    assert compared.code == 0, compared.err
    assert "orbit_mean_dice" in compared.out
    assert "worse" not in compared.out
