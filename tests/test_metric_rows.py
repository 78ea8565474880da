"""What is known of a metric stands in its row: nothing else lists metrics by name, and a row is enough."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

from symbench.algebra.metrics import METRICS, role_of, shown_in
from symbench.algebra.metrics.rows import MetricRow, Role

PACKAGE = ROOT / "symbench"
WRITERS = {
    "base/columns.py": {"loss", "parameters", "consensus_agreement"},
    "face/history.py": {"flops"},
    "measure/training/checkpoints.py": {
        "training_seconds", "training_samples", "training_steps", "training_steps_to_target", "training_flops",
        "training_rate", "training_peak_memory",
    },
    "measure/store/passes.py": {"throughput"},
    "measure/throughput/contest.py": {"flops"},
    "measure/suite/problems.py": {"throughput"},
    "measure/evaluate/closing.py": {"parameters"},
    "measure/evaluate/cost.py": {"flops", "seconds_per_sample"},
    "measure/plan/widths.py": {"parameters", "trainable_parameters"},
    "measure/evaluate/modes.py": {"changed_predictions", "largest_deviation"},
    "measure/tasks/base.py": {"loss"},
    "read/report/trainings.py": {"accuracy", "loss"},
    "measure/tasks/keypoints.py": {"loss"},
    "measure/tasks/segmentation.py": {"loss"},
    "measure/tasks/multi_label.py": {"loss"},
    "measure/tasks/regression.py": {"loss"},
    "measure/tasks/scores.py": {"loss"},
}  # fmt: skip
"""What writes or reads a cell's columns, facts and curve, some of which are called as the metrics that are made from them; and what
knows the suite's key, and the folder, that are called as what is measured there."""
NAMES = "|".join(map(re.escape, METRICS.rows))


def named(text: str) -> set[str]:
    """The metrics that a module names in its strings: docstrings are prose, and may."""
    tree = ast.parse(text)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    )
    found = (re.fullmatch(rf"(?:front_)?({NAMES})(?:_low|_high|_rank)?", string) for string in strings)
    return {match[1] for match in found if match}


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if not {"metrics", "domains"} & set(p.relative_to(PACKAGE).parts)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_but_the_table_names_metrics(path: Path) -> None:
    assert named(path.read_text()) <= WRITERS.get(path.relative_to(PACKAGE).as_posix(), set())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('SHOWN = ("accuracy", "kappa")', {"accuracy", "kappa"}),
        ('def f(rows):\n    return rows["orbit_accuracy_low"]', {"orbit_accuracy"}),
        ('def f(row, metric):\n    return f"{row}" if metric in {"flops"} else data["front_parameters"]', {"flops", "parameters"}),
        ('def f():\n    """accuracy"""\n    return "the accuracy"', set()),
    ],
)  # fmt: skip
def test_the_test_above_can_fail(text: str, found: set[str]) -> None:
    assert named(text) == found


def test_what_may_name_them_does() -> None:
    for file, names in WRITERS.items():
        assert named((PACKAGE / file).read_text()) == names, f"{file} needs no leave any more"


@pytest.mark.parametrize("role", Role.__args__)  # type: ignore[attr-defined]
def test_every_part_of_the_report_is_played_by_one_metric(role: Role) -> None:
    assert [name for name, row in METRICS.rows.items() if row.role == role] == [role_of(role)]


@pytest.mark.parametrize("name", list(METRICS.rows))
def test_rows_agree_with_themselves(name: str) -> None:
    row = METRICS.rows[name]
    assert {row.beside, row.instead_of} - {None} <= set(METRICS.rows)
    low, high = row.limits
    assert low is None or high is None or low < high
    assert row.floor is None or row.scope != "model", "what no symmetry changes has no floor"
    assert not {"costs"} & set(row.shown) or row.scope == "model"
    if {"table", "split", "generators"} & set(row.shown):
        assert row.scope != "model"


def test_the_table_orders_what_is_shown() -> None:
    names = list(METRICS.rows)
    for place in ("table", "comparison", "baseline", "costs"):
        chosen = list(shown_in(place, METRICS.rows))
        assert chosen == sorted(chosen, key=names.index) != []


def test_a_row_says_how_numbers_are_written_and_what_limits_them() -> None:
    share, own = MetricRow("a:b", "", unit="share"), MetricRow("a:b", "", scale="count", bounds=(1.0, None))
    assert (share.written_as, share.limits) == ("percent", (0.0, 1.0))
    assert (own.written_as, own.limits) == ("count", (1.0, None))
    assert MetricRow("a:b", "").written_as == "scientific"
    assert share.can_drop
    assert not MetricRow("a:b", "", better="neither").can_drop
