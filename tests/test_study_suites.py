"""The suites that study something: each is right, its models can be built, and a tiny run of it answers all it asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import symbench as sb
from symbench.base.document import read
from symbench.measure.suite import load
from symbench.read.studies import answers

SUITES = sorted((ROOT / "suites" / "studies").glob("*.yaml"))
FULL = sorted((ROOT / "suites" / "studies" / "full").glob("*.yaml"))
FEW = [16, 24, 32]
"""Samples of a tiny training."""
studied = pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)


def tiny(document: dict[str, Any]) -> dict[str, Any]:
    """The same suite with one epoch or two steps of few samples, from two seeds."""
    for entry in document["models"].values():
        recipe = entry.get("train", {})
        recipe.update({key: few for key, few in {"epochs": 1, "steps": 2}.items() if key in recipe})
        if recipe:
            recipe["samples"] = min(recipe.get("samples", FEW[-1]), FEW[-1])
    for sweep in [document.get("sweep", {}), *(entry.get("sweep", {}) for entry in document["models"].values())]:
        if "seeds" in sweep:
            sweep["seeds"] = 2
        if max(sweep.get("samples", [0])) > FEW[-1]:
            sweep["samples"] = FEW[: len(sweep["samples"])]
    for study in document["studies"]:
        study.pop("expected", None)  # theory speaks of the suite's own numbers of samples
    return document


@studied
def test_a_suite_is_right_and_says_what_it_asks(path: Path) -> None:
    suite = load(path)
    assert suite.name == path.stem
    assert suite.studies
    assert all(study.title for study in suite.studies)
    text = path.read_text()
    head = text[: text.index("version:")]
    assert head.startswith("# ")
    assert "?" in head
    assert "minute" in head
    seeds = {entry.swept.of: 0 for entry in suite.models.values() if entry.swept}
    for entry in suite.models.values():
        if entry.swept is not None and entry.swept.seed is not None:
            seeds[entry.swept.of] = max(seeds[entry.swept.of], entry.swept.seed + 1)
    assert min(seeds.values()) >= 5, "fewer say little of how trainings differ"


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_the_full_size_asks_what_the_quick_one_does(path: Path) -> None:
    """What it takes to run is not here; every word of it is checked that needs no data."""
    suite, quick = load(path), load(path.parent.parent / path.name)
    assert suite.name == f"{quick.name}-full"
    assert {study.ask for study in suite.studies} == {study.ask for study in quick.studies}
    assert len(suite.models) > len(quick.models) or "fashion" in suite.datasets


def test_every_study_has_a_full_size() -> None:
    assert [path.name for path in FULL] == [path.name for path in SUITES]


@pytest.mark.slow
@studied
def test_a_tiny_run_answers_every_question(path: Path, tmp_path: Path) -> None:
    written = tmp_path / path.name
    written.write_text(json.dumps(tiny(read(path).data)))  # which is YAML
    run = sb.run(written, choices=sb.Choices(results=tmp_path / "results", limit=20, device="cpu"))
    assert not run.failed, [cell.reason for cell in run.failed]
    found = list(answers(run.store, run.manifest, run.metrics))
    assert [answer.title for answer in found] == [study.title for study in load(written).studies]
    for answer in found:
        assert not answer.frame.empty, answer.text
        assert (answer.frame["replicas"] == 2).all()
        assert "failed" not in answer.frame or not answer.frame["failed"].any()
