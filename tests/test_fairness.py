"""What makes a comparison of arms fair: controls by a wrong group of the same order, and equal cost."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

import symbench as sb
from symbench.algebra.groups import GROUPS, load, order_of
from symbench.base.document import parse
from symbench.base.errors import SuiteError
from symbench.measure.suite import checked
from symbench.read.studies import answers
from symbench.read.studies.fairness import at_equal_cost

SUITE = """\
version: 1
name: fair
sweep: {seeds: 2}
datasets: {blobs: {use: "data.py:load"}}
models:
  right: {use: p4-cnn, width: 2, train: &recipe {on: blobs, epochs: 1, samples: 12, batch: 6}}
  wrong: {use: p2mm-cnn, width: 2, train: *recipe}
  over:  {use: p4m-cnn, width: 1, train: *recipe}
  turns: {use: cnn, width: 2, train: *recipe, average: quarters}
  free:  {use: harmonic-cnn, width: 2, train: *recipe}
  plain: {use: cnn, width: 2, train: *recipe}
symmetries: {quarters: {group: C4, on: image}}
controls: {share: 0.0, floor: 0}
studies:
  - {ask: means, metric: loss, arms: [right, wrong, over, turns, free, plain], at: parameters, wrong: {wrong: right}}
"""
DATA = """\
from symbench.testing import Blobs
def load(split="test"):
    return Blobs(24 if split == "train" else 15, seed=int(split == "train"))
"""
WRONG = "wrong: {wrong: right}"


@pytest.mark.parametrize("name", ["C4", "C7", "D2", "D4", "S4", "C2 x D3", "O", "Oh", "I"])
def test_orders_are_those_of_the_groups(name: str) -> None:
    assert order_of(name) == load(name, {}).count


def test_groups_without_end_have_no_order() -> None:
    assert order_of("SO2") is order_of("C4 x SO2") is order_of("groups.py:SO3") is None
    known = [name for name, row in GROUPS.rows.items() if row.order is not None]
    assert set(known) == {"S<n>", "C<n>", "D<n>", "O", "Oh", "I", "signs<k>", "mirrors"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("wrong: {over: right}", r"studies.0.wrong.over: over is of D4 with 8 elements and right is of C4 with 4"),
        ("wrong: {turns: right}", "both turns and right are of C4, expected another group of the same order"),
        ("wrong: {free: right}", "free is of O2, of no known order, expected a finite group"),
        ("wrong: {plain: right}", r"nothing says of which group plain is(?s:.*)Say groups: {plain: C4} in the study"),
        ("wrong: {nobody: right}", "got 'nobody', expected one of right, wrong"),
        ("wrong: {wrong: rigth}", "got 'rigth'(?s:.*)Did you mean 'right'"),
        ("wrong: {plain: right}, groups: {plain: D3}", "plain is of D3 with 6 elements and right is of C4 with 4"),
        ("wrong: {plain: right}, groups: {plain: Q8}", "studies.0.groups.plain: "),
        ("at: parametres", "got 'parametres'(?s:.*)Did you mean 'parameters'"),
        ("at: loss", "studies.0.at: got 'loss'"),
    ],
)
def test_what_is_no_control_is_refused(wrong: str, message: str) -> None:
    old = "at: parameters" if wrong.startswith("at") else WRONG
    with pytest.raises(SuiteError, match=message):
        checked(parse(SUITE.replace(old, wrong), Path("s.yaml")), Path(__file__).parent)


def test_a_control_is_an_arm_of_its_question() -> None:
    text = SUITE.replace("arms: [right, wrong, over, turns, free, plain]", "arms: [wrong, over]")
    with pytest.raises(SuiteError, match="studies.0.wrong.wrong: got 'right', expected one of wrong, over"):
        checked(parse(text, Path("s.yaml")), Path(__file__).parent)


@pytest.mark.parametrize("wrong", [WRONG, "wrong: {wrong: turns}", "wrong: {plain: right}, groups: {plain: D2}"])
def test_another_group_of_the_same_order_is_a_control(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(DATA)
    suite = checked(parse(SUITE.replace(WRONG, wrong), Path("s.yaml")), tmp_path)
    assert len(suite.studies) == 1


def test_the_answer_says_what_the_control_came_to_and_whether_costs_are_equal(tmp_path: Path) -> None:
    lines = [line for line in SUITE.splitlines() if not line.startswith(("  turns:", "  free:", "  plain:"))]
    text = "\n".join(lines).replace(WRONG, f"{WRONG}, groups: {{right: C4, wrong: D2}}")
    text = text.replace(", turns, free, plain]", "]")
    for old, width in (("p4-cnn, width: 2", 8), ("p2mm-cnn, width: 2", 8), ("p4m-cnn, width: 1", 7)):
        text = text.replace(old, f"mlp, depth: 1, width: {width}")  # which trains in no time
    (tmp_path / "suite.yaml").write_text(text)
    (tmp_path / "data.py").write_text(DATA)
    run = sb.run(tmp_path / "suite.yaml", choices=sb.Choices(results=tmp_path / "results", device="cpu"))
    (answer,) = answers(run.store, run.manifest, run.metrics)
    counts = dict(zip(answer.frame["arm"], answer.frame["parameters"], strict=True))
    assert "Against right, wrong " in answer.text
    assert "its group is a wrong one of the same order." in answer.text
    least, most = counts["over"], 8 * 81 + 8 + 8 * 3 + 3
    assert counts["right"] == counts["wrong"] == most
    said = f"over has {least:,.0f} and right {most:,.0f}, {100 * (most / least - 1):.0f} % more, where 5 % is fair."
    assert f"Warning: arms are not at equal parameters: {said}" in answer.text


def test_costs_are_held_against_one_another_at_the_same_point() -> None:
    rows = [("a", 1, 100.0), ("b", 1, 104.0), ("a", 2, 1000.0), ("b", 2, 1049.0)]
    frame = pd.DataFrame(rows, columns=["arm", "at", "flops"])
    assert at_equal_cost(frame, "flops", "width") == (
        "All arms are at equal flops to within 4.9 % at width 2: 100 to 1,049."
    )
    apart = frame.assign(flops=[100.0, 106.0, 1000.0, 1049.0])
    assert at_equal_cost(apart, "flops", "width") == (
        "Warning: arms are not at equal flops at width 1: a has 100 and b 106, 6 % more, where 5 % is fair."
    )
    unknown = frame.assign(flops=[100.0, math.nan, 100.0, math.nan])
    assert at_equal_cost(unknown, "flops", "width") == "Nothing is known of the flops of b."
    three = pd.DataFrame({"arm": ["a", "b", "c"], "at": None, "flops": [0.25, math.nan, 0.26]})
    assert at_equal_cost(three, "flops", None) == (
        "Arms of which it is known are at equal flops to within 4.0 %: 0.25 to 0.26. Nothing is known of the flops of b."
    )
    assert at_equal_cost(frame.drop(columns="flops"), "flops", None) == "Nothing is known of the flops of a, b."
