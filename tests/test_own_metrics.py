"""Metrics that a suite brings as code: in the report, in comparisons and in gates, by their row alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, Folder, Symbench

from symbench.algebra.metrics.brought import row_of
from symbench.read.judge import judge_run

CODE = ROOT / "tests" / "cases" / "own_metrics" / "steady.py"
STEADY, LARGEST, RAISING = "steady.py:STEADY", "steady.py:largest", "steady.py:raising"
GATES = """\
gates:
- {{metric: "{metric}", {limit}}}
"""


@pytest.fixture
def mine(folder: Folder, symbench: Symbench) -> Folder:
    """A suite that has been run before anybody thought of a metric, and the metrics' file beside it."""
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    shutil.copy(CODE, folder.path)
    return folder


def add(folder: Folder, text: str) -> None:
    folder.suite.write_text(folder.suite.read_text() + text)


def cells(folder: Folder) -> set[Path]:
    return set((folder.results / "cells").glob("*/*"))


def test_it_applies_to_an_old_run(mine: Folder, symbench: Symbench) -> None:
    """Nothing is measured again: a metric's code is in no key."""
    before = cells(mine)
    add(mine, f'metrics: ["{STEADY}", "{LARGEST}"]\n')
    ran = symbench("run", mine.suite, "--results", mine.results, "--json")
    assert ran.code == 0, ran.err
    rows = {row["metric"]: row for row in json.loads(ran.out)["estimates"] if row["status"] == "ok"}
    assert 0 < rows[STEADY]["low"] <= rows[STEADY]["estimate"] <= 1
    assert (rows[STEADY]["unit"], rows[STEADY]["better"], rows[LARGEST]["better"]) == ("share", "higher", "neither")
    assert rows[LARGEST]["estimate"] == pytest.approx(rows["absolute_error_max"]["estimate"] ** 2)
    assert cells(mine) == before
    text = CODE.read_text().replace("< 0.25", "< 0.0")
    (mine.path / "steady.py").write_text(text)
    changed = symbench("report", "--results", mine.results, "--json", "--format", "csv")
    rows = {row["metric"]: row for row in json.loads(changed.out)["estimates"]}
    assert rows[STEADY]["estimate"] == 0, "the file as it is now"


def test_it_stands_in_tables_and_in_comparisons(mine: Folder, symbench: Symbench) -> None:
    add(mine, f'metrics: ["{STEADY}"]\n')
    assert symbench("run", mine.suite, "--results", mine.results).code == 0
    out = mine.path / "out"
    ran = symbench("report", "--results", mine.results, "--output", out, "--format", "html,md,csv,latex")
    assert "steady %" in ran.out
    assert "steady %" in (out / "report.md").read_text()
    assert (out / "report.html").read_text().count("steady %") == 1
    assert STEADY in set(pd.read_csv(out / "estimates.csv")["metric"])
    run = (mine.results / "latest").read_text().strip()
    compared = symbench("compare", run, run, "--results", mine.results, "--format", "json")
    marks = {row["metric"]: row["mark"] for row in json.loads(compared.out)["rows"]}
    assert marks[STEADY] == "same"
    only = symbench("compare", run, run, "--results", mine.results, "--format", "json", "--metric", "steady.py:*")
    assert [row["metric"] for row in json.loads(only.out)["rows"]] == [STEADY]


@pytest.mark.parametrize(
    ("limit", "verdict", "code"),
    [("at_least: 0.0", "pass", 0), ("at_most: 0.5", "fail", 1), ("max_drop: 0.1", "pass", 0)],
)
def test_gates_take_it(mine: Folder, symbench: Symbench, limit: str, verdict: str, code: int) -> None:
    """By the rules of the suite as it is now, and by those that it was run with."""
    assert symbench("baseline", "set", "--reason", "x", "--force", "--results", mine.results).code == 0
    add(mine, GATES.format(metric=STEADY, limit=limit))
    ran = symbench("gate", "--suite", mine.suite, "--results", mine.results, "--json")
    assert {rule["verdict"] for rule in json.loads(ran.out)["rules"]} == {verdict}, ran.out
    assert ran.code == code
    assert symbench("run", mine.suite, "--results", mine.results).code == 0
    assert symbench("gate", "--results", mine.results).code == code


def test_a_function_does_not_say_which_way_is_worse(mine: Folder, symbench: Symbench) -> None:
    add(mine, GATES.format(metric=LARGEST, limit="at_most: 1000"))
    assert symbench("gate", "--suite", mine.suite, "--results", mine.results).code == 0
    mine.suite.write_text(mine.suite.read_text().replace("at_most: 1000", "max_drop: 1"))
    ran = symbench("gate", "--suite", mine.suite, "--results", mine.results)
    assert ran.code == 2
    assert "at_least or at_most" in ran.err
    assert "MetricRow with better" in ran.err


def test_what_raises_is_a_row_with_its_reason(mine: Folder, symbench: Symbench) -> None:
    add(mine, f'metrics: ["{RAISING}"]\n' + GATES.format(metric=RAISING, limit="at_most: 1"))
    ran = symbench("run", mine.suite, "--results", mine.results, "--json")
    (row,) = (row for row in json.loads(ran.out)["estimates"] if row["metric"] == RAISING)
    assert (row["status"], "ZeroDivisionError" in row["reason"]) == ("failed", True)
    gated = symbench("gate", "--results", mine.results, "--json")
    assert (gated.code, json.loads(gated.out)["rules"][0]["verdict"]) == (3, "error")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('metrics: ["stedy.py:STEADY"]\n', "Did you mean 'steady.py'?"),
        ('metrics: ["accuracy"]\n', "expected code, as file.py:attribute"),
        (GATES.format(metric="stedy.py:STEADY", limit="at_most: 1"), "gates.0.metric: got 'stedy.py'"),
        (GATES.format(metric="steady.py:a b", limit="at_most: 1"), "the name of a function or class"),
    ],
)
def test_mistakes_are_told_before_any_work(mine: Folder, symbench: Symbench, text: str, message: str) -> None:
    add(mine, text)
    ran = symbench("validate", mine.suite)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.parametrize(("name", "got"), [("NUMBER", "NUMBER is a int"), ("STEADI", "has no 'STEADI'")])
def test_it_is_a_row_or_a_function(mine: Folder, symbench: Symbench, name: str, got: str) -> None:
    add(mine, f'metrics: ["steady.py:{name}"]\n')
    ran = symbench("run", mine.suite, "--results", mine.results, "--json")
    rows = [row for row in json.loads(ran.out)["estimates"] if row["metric"] == f"steady.py:{name}"]
    assert [row["status"] for row in rows] == ["failed"]
    assert got in rows[0]["reason"]


def test_no_code_refuses_it(mine: Folder, symbench: Symbench) -> None:
    add(mine, f'metrics: ["{STEADY}"]\n' + GATES.format(metric=LARGEST, limit="at_most: 1000"))
    ran = symbench("validate", mine.suite, "--no-code")
    assert ran.code == 2
    assert f"metrics: got '{STEADY}', which would run code" in ran.err
    assert f"gates.0.metric: got '{LARGEST}', which would run code" in ran.err
    assert symbench("run", mine.suite, "--results", mine.results).code == 0
    (mine.path / "steady.py").write_text("raise SystemExit('it ran')")
    told = symbench("report", "--results", mine.results, "--no-code", "--json", "--format", "csv")
    assert told.code == 0
    reasons = {row["metric"]: row["reason"] for row in json.loads(told.out)["estimates"]}
    assert "--no-code refuses" in reasons[STEADY]
    gated = symbench("gate", "--results", mine.results, "--no-code")
    assert (gated.code, "--no-code refuses" in gated.err) == (2, True)
    run = (mine.results / "latest").read_text().strip()
    assert symbench("compare", run, run, "--results", mine.results, "--no-code").code == 0


def test_results_are_data(mine: Folder, symbench: Symbench) -> None:
    """A manifest that somebody hands on cannot bring code along."""
    shutil.copy(CODE, mine.results / "steady.py")
    add(mine, 'metrics: ["results/steady.py:STEADY"]\n')
    ran = symbench("run", mine.suite, "--results", mine.results, "--json")
    rows = [row for row in json.loads(ran.out)["estimates"] if row["metric"] == "results/steady.py:STEADY"]
    assert "results, which are data" in rows[0]["reason"]


def test_the_path_of_a_row_starts_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(CODE, tmp_path / "deep")
    row = row_of("deep/steady.py:STEADY", tmp_path)
    assert row.load().__name__ == "steadiness"
    assert (row.heading, row.shown) == ("steady %", ("table", "comparison", "baseline"))


def test_a_run_of_an_older_build_names_no_file(mine: Folder) -> None:
    """Its suite's place is that of its rules."""
    path = next((mine.results / "runs").glob("*.json"))
    assert json.loads(path.read_text())["suite_file"]
    add(mine, GATES.format(metric="accuracy", limit="at_least: 0.0"))
    assert judge_run(results=mine.results, suite=mine.suite).verdict == "pass"
