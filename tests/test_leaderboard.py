"""All runs of a results folder as one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Symbench
from test_gate import Scene

from symbench.base.errors import ConfigError
from symbench.measure.store import Store
from symbench.read.report.leaderboard import together


def test_the_newest_measurement_of_every_cell_counts(tmp_path: Path, symbench: Symbench) -> None:
    scene = Scene(tmp_path, symbench)
    scene.run(skew=3.0)
    scene.run(skew=0.0)
    other = scene.suite.read_text().replace("name: small", "name: other").replace("mine:", "yours:")
    scene.suite.write_text(other.replace("seed: 0}}", "seed: 1}}"))
    assert symbench("run", scene.suite, "--results", scene.results).code == 0
    scene.run("--limit", "20", skew=3.0)
    ran = symbench("leaderboard", "--results", scene.results, "--json")
    assert ran.code == 0
    found = json.loads(ran.out)["estimates"]
    best = {(r["model"], r["dataset"]): r["estimate"] for r in found if r["metric"] == "worst_case_accuracy"}
    assert best == {("mine", "blobs (small)"): 1.0, ("yours", "blobs (other)"): 1.0}
    text = symbench("leaderboard", "--results", scene.results, "--suite", "oth*")
    assert "turns on blobs" in text.out
    assert "mine" not in text.out
    written = symbench(
        "leaderboard", "--results", scene.results, "--output", tmp_path / "board", "--format", "html,csv"
    )
    assert written.code == 0
    assert (tmp_path / "board" / "report.html").is_file()


def test_an_empty_folder_has_no_leaderboard(tmp_path: Path, symbench: Symbench) -> None:
    ran = symbench("leaderboard", "--results", tmp_path)
    assert ran.code == 2
    assert "no measured run here" in ran.err
    with pytest.raises(ConfigError, match="no measured run"):
        together(Store(tmp_path), ["nothing"])


def test_open_shows_the_page(tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("click.launch", shown.append)
    scene = Scene(tmp_path, symbench)
    scene.run()
    assert symbench("report", "--results", scene.results, "--format", "html", "--open").code == 0
    assert [Path(page).name for page in shown] == ["report.html"]


def test_the_newest_of_two_suites_counts(tmp_path: Path, symbench: Symbench) -> None:
    """The same model, data and symmetry in two suites, measured with other control samples."""
    scene = Scene(tmp_path, symbench)
    scene.run()
    other = scene.suite.read_text().replace("name: small", "name: other").replace("samples: 8}", "samples: 16}")
    scene.suite.write_text(other)
    assert symbench("run", scene.suite, "--results", scene.results).code == 0
    store = Store(scene.results)
    newest = next(m for m in map(store.manifest, (p.stem for p in (scene.results / "runs").glob("other-*.json"))))
    found, left_out = together(store)
    assert left_out == []
    assert [cell.key for cell in found.cells] == [cell.key for cell in newest.cells]
    assert found.suite["models"]["mine"]["use"] == "model.py:build"
