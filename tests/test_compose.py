"""Runs without a suite, dry runs, and the doctor."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from conftest import MODEL, Folder, Symbench
from torch import Tensor

from symbench import suite
from symbench.document import parse
from symbench.errors import ConfigError
from symbench.models.base import Model
from symbench.suite.compose import composed, short_name


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_become_a_suite(here: Path) -> None:
    (here / "nets").mkdir()
    (here / "nets" / "My Net.py").write_text(MODEL)
    (here / "photos").mkdir()
    (here / "table.csv").write_text("image,label\n")
    text = composed(
        ["torchvision/resnet18", "nets/My Net.py:build", "cnn"],
        ["photos", "table.csv", "digits"],
        ["c4", "so2-24", "D2"],
        folder=here / "suites",
        size=64,
    )
    assert yaml.safe_load(text) == {
        "version": 1,
        "name": "run",
        "datasets": {
            "photos": {"use": "images", "root": "../photos"},
            "table": {"use": "csv", "path": "../table.csv"},
            "digits": {"use": "digits"},
        },
        "models": {
            "resnet18": {"use": "torchvision/resnet18", "size": 64},
            "build": {"use": "../nets/My Net.py:build", "size": 64},
            "cnn": {"use": "cnn", "size": 64},
        },
        "symmetries": {
            "c4": {"preset": "c4"},
            "so2-24": {"preset": "so2-24"},
            "d2": {"group": "D2", "on": "image"},
        },
    }


def test_equal_names_are_told_apart(here: Path) -> None:
    text = composed(["a.py:build", "b.py:build", "c.py:build"], ["digits"], ["c4"], folder=here)
    assert list(yaml.safe_load(text)["models"]) == ["build", "build-2", "build-3"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("torchvision/resnet18", "resnet18"),
        ("timm/resnet18.a1_in1k", "resnet18-a1_in1k"),
        ("dir/net.onnx", "net"),
        ("Ünï çode", "n-ode"),
        ("///", "entry"),
        ("x" * 200, "x" * 64),
        ("photos/", "photos"),
    ],
)
def test_short_names_are_what_a_suite_takes(typed: str, name: str) -> None:
    assert short_name(typed) == name


@pytest.mark.parametrize("missing", ["models", "data", "symmetries"])
def test_one_of_each_is_needed(here: Path, missing: str) -> None:
    given = {"models": ["cnn"], "data": ["digits"], "symmetries": ["c4"], missing: []}
    with pytest.raises(ConfigError, match="got none, expected one or more"):
        composed(given["models"], given["data"], given["symmetries"], folder=here)


def test_a_run_without_a_suite_is_the_run_of_the_suite_it_saves(here: Path, symbench: Symbench) -> None:
    words = ["--model", "mlp", "--data", "digits", "--symmetry", "c4", "--symmetry", "roll-2", "--limit", "20"]
    ran = symbench("run", *words, "--save-suite", "saved.yaml", "--json")
    assert ran.code == 0, ran.err
    assert "wrote saved.yaml" in ran.err
    first = json.loads(ran.out)
    again = symbench("run", "saved.yaml", "--limit", "20", "--json")
    assert "nothing to do: 2 cells" in again.err
    second = json.loads(again.out)
    assert [row["estimate"] for row in first["estimates"]] == [row["estimate"] for row in second["estimates"]]
    assert {row["symmetry"] for row in first["estimates"]} == {"c4", "roll-2", None}


def test_mistakes_are_answered_without_a_traceback(here: Path, symbench: Symbench) -> None:
    cases = {
        (): "name a suite, or --model",
        ("x.yaml", "--model", "cnn"): "not both",
        ("--model", "cnn", "--data", "digits"): "--symmetry: got none",
        ("--model", "cnnn", "--data", "digits", "--symmetry", "c4"): "Did you mean 'cnn'?",
        ("--model", "cnn", "--data", "digits", "--symmetry", "so2"): "symmetries.so2.group: got group 'so2'",
        ("--model", "cnn", "--data", "nowhere", "--symmetry", "c4"): "got dataset 'nowhere'",
        ("--model", "m.py:f", "--data", "digits", "--symmetry", "c4", "--no-code"): "--no-code",
        ("--model", "cnn", "--data", "digits", "--symmetry", "c4", "--save-suite", "no/x.yaml"): "cannot be written",
    }
    for words, said in cases.items():
        ran = symbench("run", *words)
        assert ran.code == 2, words
        assert said in ran.err, ran.err
        assert "Traceback" not in ran.err


def test_a_dry_run_counts_what_the_run_then_does(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(symmetries="  more: {group: SO2, on: image, elements: 30}")
    ran = symbench("run", folder.suite, "--results", folder.results, "--dry-run", "--json")
    assert ran.code == 0
    assert not folder.results.exists(), "nothing is written"
    forecast = {cell["symmetry"]: cell for cell in json.loads(ran.out)["cells"]}
    assert {cell["state"] for cell in forecast.values()} == {"to be measured"}
    assert all(cell["seconds"] is None for cell in forecast.values())
    seen = []
    original = Model.__call__

    def call(self: Model, leaves: Mapping[str, Tensor], images: Sequence[str] = ()) -> dict[str, Tensor]:
        seen.append(len(leaves["image"]))
        return original(self, leaves, images)

    monkeypatch.setattr(Model, "__call__", call)
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    passes = sum(cell["passes"] for cell in forecast.values())
    assert 0.5 * sum(seen) < passes < 2 * sum(seen), "of 24 samples most passes are controls"
    main = 24 * (3 + 1) + 24 * (30 + 1)
    assert passes > main
    ran = symbench("run", folder.suite, "--results", folder.results, "--dry-run")
    assert "0 of 2 cells to be measured" in ran.err
    (folder.path / "model.py").write_text(MODEL + "\n# edited\n")
    ran = symbench("run", folder.suite, "--results", folder.results, "--dry-run", "--json")
    again = json.loads(ran.out)["cells"]
    assert all(cell["seconds"] > 0 for cell in again), "the same model was timed before"


def test_a_dry_run_names_what_will_be_trained_and_what_will_fail(here: Path, symbench: Symbench) -> None:
    (here / "bad.py").write_text("def build():\n    raise OSError('gone')\n")
    (here / "s.yaml").write_text(
        "version: 1\nname: s\ndatasets: {digits: {use: digits, size: 17}}\n"
        "models: {mlp: {use: mlp, train: {on: digits, epochs: 1}}, bad: {use: 'bad.py:build'}}\n"
        "symmetries: {t: {group: C4, on: image}}\n"
    )
    ran = symbench("run", "s.yaml", "--dry-run")
    assert ran.code == 0
    assert "to be trained first: mlp" in ran.err
    assert "will fail: " in ran.out
    assert "gone" in ran.out


def test_the_doctor_says_what_is_here(here: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = symbench("doctor", "--json")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert found["packages"]["torch"]
    assert found["devices"][0]["name"] == "cpu"
    assert found["folders"]["cache"]["writable"]
    assert found["broken"] == {}
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnxruntime" else there(name, *a)
    )
    text = symbench("doctor").out
    assert 'not installed: pip install "symbench[onnx]"' in text
    assert text.count("\n") > 12


def test_a_composed_suite_is_checked_like_any_other(here: Path) -> None:
    text = composed(["cnn"], ["digits"], ["c4"], folder=here)
    loaded = suite.checked(parse(text, Path("command line")), here)
    assert loaded.symmetries["c4"].group == "C4"
