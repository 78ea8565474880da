"""Runs without a suite, dry runs, and the doctor."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import photos
import pytest
import yaml
from conftest import MODEL, Folder, Symbench
from test_evaluate import few_timed
from torch import Tensor

from symbench.base.document import parse
from symbench.base.errors import ConfigError
from symbench.base.events import Event, Note
from symbench.domains.common.models.base import Model
from symbench.face.api import Choices, prepare
from symbench.face.doctor import folder_facts
from symbench.measure import suite
from symbench.measure.suite.compose import composed, short_name


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
        (
            "--model",
            "cnn",
            "--data",
            "digits",
            "--symmetry",
            "so2",
        ): "--symmetry: got 'so2', expected a preset or a gr",
        ("--model", "cnn", "--data", "digits", "--symmetry", "c5"): "Did you mean 'C5'?",
        ("--model", "cnn", "--data", "digits", "--symmetry", "SO2 x scale"): "Did you mean 'scalings'?",
        ("--model", "cnn", "--data", "digits", "--symmetry", "zhang"): "Did you mean 'consistency-crops'?",
        ("--model", "cnn", "--data", "imagefolder", "--symmetry", "c4"): "Did you mean 'images'?",
        ("--model", "resnet18", "--data", "digits", "--symmetry", "c4"): "Did you mean 'torchvision/resnet18'?",
        (
            "--model",
            "cnn",
            "--data",
            "nowhere",
            "--symmetry",
            "c4",
        ): "--data: got 'nowhere', expected a folder or file",
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

    def call(self: Model, leaves: Mapping[str, Tensor], images: Sequence[str] = (), **more: Any) -> dict[str, Tensor]:
        seen.append(len(leaves["image"]))
        return original(self, leaves, images, **more)

    monkeypatch.setattr(Model, "__call__", call)
    few_timed(monkeypatch)
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
    said = r"to be trained first: [0-9.]+ to [0-9.]+ (s|min) in all, 1,347 samples shown in 1 epoch, "
    # (17 x 17 + 1) x 256 + 257 x 256 + 257 x 10 weights of 4 bytes; and AdamW's two numbers of each
    assert re.search(said + r"0.6 MB of checkpoints and 1.7 MB meanwhile: mlp", ran.err), ran.err
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
    monkeypatch.setattr("symbench.face.doctor.pick_devices", lambda wanted: ("cuda:0", "cuda:1"))
    text = symbench("doctor").out
    assert re.search(r"^device auto +cuda:0, cuda:1$", text, re.MULTILINE), "what a run uses"
    assert 'not installed: pip install "symbench[onnx]"' in text
    assert text.count("\n") > 12


def test_the_doctor_shows_what_is_broken(here: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(here))
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", "2")
    (here / "pixels").mkdir()
    with (here / "pixels" / "sparse.npy").open("wb") as file:
        file.truncate(1 << 30)
    (here / "broken").mkdir()
    (here / "broken" / "onnxruntime.py").write_text("raise RuntimeError('of another CUDA')")
    monkeypatch.syspath_prepend(here / "broken")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    text = symbench("doctor", "--results", "r" * 300).out
    assert "cannot be imported: onnxruntime: RuntimeError: of another CUDA" in text
    assert "File name too long" in text
    assert "pixels: 0 B of at most 2.0 GiB" in text
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "datasets" else there(name, *a))
    assert 'not installed: pip install "symbench[huggingface]"' in symbench("doctor").out


def test_the_doctor_of_a_closed_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exists(path: Path, **options: bool) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", exists)
    facts = folder_facts(here / "closed")
    assert (facts["bytes"], facts["free"], facts["error"]) == (0, None, "Permission denied")


def test_a_composed_suite_is_checked_like_any_other(here: Path) -> None:
    text = composed(["cnn"], ["digits"], ["c4"], folder=here)
    loaded = suite.checked(parse(text, Path("command line")), here)
    assert loaded.symmetries["c4"].group == "C4"


LONG = "x" * 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "cnn", "--data", LONG], "--data: got 'xxx"),
        (["--model", LONG, "--data", "digits"], "--model: got 'xxx"),
        (["--model", f"{LONG}.py:build", "--data", "digits"], "expected a file at"),
        (["--model", f"{LONG}.onnx", "--data", "digits"], "expected a file at"),
        (["--model", "cnn", "--data", f"{LONG}.csv"], "File name too long"),
        (["--model", f"huggingface/./{LONG}", "--data", "digits"], "expected organisation/name, or a folder at"),
        (["--model", "cnn", "--data", "\udcff\udcfedir"], r"--data: got '\udcff\udcfedir', expected a name in UTF-8"),
    ],
)
def test_names_that_cannot_be_files_are_sentences(
    here: Path, symbench: Symbench, words: list[str], said: str
) -> None:
    ran = symbench("run", *words, "--symmetry", "c4", "--limit", "4")
    assert ran.code == 2, ran.err
    assert said in ran.err


def test_what_may_not_be_entered_is_a_sentence(
    here: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def stat(path: Path, **options: bool) -> object:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    for words in (["--model", "cnn", "--data", "closed/photos"], ["--model", "closed/net.onnx", "--data", "digits"]):
        ran = symbench("run", *words, "--symmetry", "c4")
        assert ran.code == 2
        assert f"{words[0] if 'net' in words[1] else '--data'}: closed/" in ran.err
        assert "cannot be opened: Permission denied" in ran.err


def test_weights_that_cannot_be_read_are_a_sentence(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(models=f'  long: {{use: "model.py:build", weights: {LONG}.safetensors}}')
    ran = symbench("validate", folder.suite)
    assert ran.code == 2
    assert "expected a file at" in ran.err
    (folder.path / "w.safetensors").write_bytes(b"x")
    folder.write(models='  closed: {use: "model.py:build", weights: w.safetensors}')
    real = Path.open

    def closed(path: Path, *given: Any, **options: Any) -> Any:
        if path.name == "w.safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *given, **options)

    monkeypatch.setattr(Path, "open", closed)
    ran = symbench("validate", folder.suite)
    assert ran.code == 2
    assert "models.closed.weights: w.safetensors cannot be read: Permission denied" in ran.err


def test_links_keep_their_names_and_libraries_their_folders(here: Path) -> None:
    (here / "blob").write_text("")
    (here / "net.onnx").symlink_to("blob")
    (here / "saved").mkdir()
    models, data = ["net.onnx", "huggingface/./saved"], ["torchvision/MNIST", "huggingface/./saved", "digits"]
    made = yaml.safe_load(composed(models, data, ["c4"], folder=here / "suites"))
    assert [entry["use"] for entry in made["models"].values()] == ["../net.onnx", "huggingface/./../saved"]
    assert list(made["datasets"].values()) == [
        {"use": "torchvision/MNIST", "root": "../data"},
        {"use": "huggingface/./../saved"},
        {"use": "digits"},
    ]
    made = yaml.safe_load(composed(models, data, ["c4"], folder=here))
    assert [entry["use"] for entry in made["models"].values()] == models
    assert [entry["use"] for entry in made["datasets"].values()] == data


def test_pretrained_is_said_of_the_models_of_libraries(here: Path) -> None:
    text = composed(["torchvision/resnet18", "cnn"], ["digits"], ["c4"], folder=here, pretrained=True)
    assert yaml.safe_load(text)["models"] == {
        "resnet18": {"use": "torchvision/resnet18", "pretrained": True},
        "cnn": {"use": "cnn"},
    }
    with pytest.raises(ConfigError, match="--pretrained: got cnn, expected a model of a library among them"):
        composed(["cnn"], ["digits"], ["c4"], folder=here, pretrained=True)


def test_fresh_weights_under_a_name_of_pretrained_ones_are_said(here: Path) -> None:
    fresh = "  fresh: {use: torchvision/resnet18, channels: 3, size: 32}\n  ours: {use: cnn}\n"
    suite = "version: 1\nname: s\ndatasets: {digits: {use: digits}}\nmodels:\n" + fresh
    (here / "s.yaml").write_text(suite + "symmetries: {c4: {preset: c4}}\n")
    heard: list[Event] = []
    prepare(here / "s.yaml", Choices(), heard.append)
    said = [event.text for event in heard if isinstance(event, Note)]
    assert said == ["fresh: fresh random weights: for others say pretrained: true, or weights: FILE."]


def test_a_suite_is_saved_where_it_can_be_run_and_never_over_another(here: Path, symbench: Symbench) -> None:
    words = [
        "run",
        "--model",
        "mlp",
        "--data",
        "digits",
        "--symmetry",
        "c4",
        "--limit",
        "8",
        "--save-suite",
        "s.yaml",
    ]
    assert symbench(*words, "--dry-run").code == 2
    assert symbench(*words, "--device", "nowhere").code == 2
    assert not (here / "s.yaml").exists()
    assert symbench(*words).code == 0
    text = (here / "s.yaml").read_text()
    ran = symbench(*words, "--size", "9")
    assert ran.code == 2
    assert "--save-suite: s.yaml is there already, expected a new file" in ran.err
    assert (here / "s.yaml").read_text() == text


def test_too_few_outputs_are_found_before_a_run(folder: Folder, symbench: Symbench, tmp_path: Path) -> None:
    one = (
        "import torch\n\n\ndef build():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(1))\n"
    )
    one = one.replace("    return ", "    net = ") + "    net(torch.zeros(1, 1, 9, 9))\n    return net\n"
    folder.write(model=one, models="  vit: {use: torchvision/vit_b_16, size: 32, channels: 3}", data=NINE)
    commands: tuple[list[str | Path], ...] = (["validate", folder.suite], ["run", folder.suite, "--dry-run"])
    for command in commands:
        ran = symbench(*command, "--results", folder.results)
        assert ran.code == (3 if command[0] == "validate" else 0)
        said = "mine: has 1 output, and sample 2 has label 2, expected as many outputs as classes, or 0 and 1."
        assert f"will fail: {said}" in ran.out
        assert "will fail: vit: raised AssertionError: Wrong image height!" in ran.out
    assert not folder.results.exists()


NINE = "import torch\n\n\ndef load(split='test'):\n    return [(torch.rand(1, 9, 9), i % 3) for i in range(4)]\n"


def test_labels_without_an_output_are_named_with_their_file(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 6, classes=("a", "b", "c"))
    suite = photos.suite(tmp_path)
    ran = symbench("validate", suite, "--results", tmp_path / "results")
    assert ran.code == 3
    assert "will fail: mine: has 2 outputs, and sample 4 (c/000002.png) has label 2" in ran.out
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 3, "it does fail"


def test_the_key_of_a_model_of_ones_own_does_not_depend_on_where_the_suite_is(folder: Folder) -> None:
    (folder.path / "suites").mkdir()
    (folder.path / "suites" / "s.yaml").write_text(folder.suite.read_text().replace('use: "', 'use: "../'))
    one, other = (
        prepare(path, Choices())[0].plan.cells for path in (folder.suite, folder.path / "suites" / "s.yaml")
    )
    assert [cell.key for cell in one] == [cell.key for cell in other]
    (folder.path / "model.py").write_text(MODEL + "# edited\n")
    assert prepare(folder.suite, Choices())[0].plan.cells[0].key != one[0].key
