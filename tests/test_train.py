"""Recipes: seeded, cached by what they are, and the augmentation is what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Folder
from torch import Tensor, nn

import symbench as sb
from symbench.base.events import Advanced, Event, Started, ignore
from symbench.base.paths import sha256_file
from symbench.domains.images.datasets import digits
from symbench.face.api import prepare
from symbench.measure.assemble import prepare as prepare_symmetry
from symbench.measure.store import content_key
from symbench.measure.suite import load
from symbench.measure.training import checkpoints, loop
from symbench.measure.training.augment import Augmentation, augmented
from symbench.measure.training.record import Record
from symbench.testing import Blobs

RECIPE = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load"}}
models:
  mlp: {{use: mlp, width: 8, depth: 1, train: {{on: blobs, epochs: 3, batch: 8{extra}}}}}
symmetries:
  turns: {{group: C4, on: image}}
"""


def write(folder: Folder, extra: str = "") -> None:
    folder.suite.write_text(RECIPE.format(extra=extra))


def train_once(folder: Folder, cache: Path, monkeypatch: pytest.MonkeyPatch) -> checkpoints.Checkpoint:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(cache))
    plan, _ = prepare(folder.suite, sb.Choices(device="cpu"))
    return checkpoints.obtain(plan, "mlp", device="cpu", listen=ignore, stopped=lambda: False)


def test_training_is_seeded_and_cached(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder)
    state = torch.random.get_rng_state()
    one = train_once(folder, tmp_path / "a", monkeypatch)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left alone"
    assert train_once(folder, tmp_path / "b", monkeypatch).digest == one.digest
    assert train_once(folder, tmp_path / "a", monkeypatch).seconds == one.seconds, "from the cache"
    assert len(list((tmp_path / "a").rglob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    "extra", [", learning_rate: 0.001", ", augment: turns", ", weight_decay: 0.5"], ids=lambda e: e[2:10]
)
def test_another_recipe_is_another_checkpoint(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    write(folder)
    one = train_once(folder, tmp_path, monkeypatch)
    write(folder, extra)
    assert train_once(folder, tmp_path, monkeypatch).digest != one.digest


def test_training_uses_the_training_split(folder: Folder, symbench: Any) -> None:
    write(folder)
    (folder.path / "data.py").write_text("from symbench.testing import Blobs\ndef load():\n    return Blobs()\n")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert "datasets.blobs: data.py:load has no parameter 'split'" in ran.err
    assert not folder.results.exists(), "nothing is written"


def test_augmentation_draws_one_element_for_each_sample() -> None:
    suite = load(Path(__file__).parent.parent / "suites" / "quick.yaml")
    data = Blobs(64, size=33)
    x = data.leaves["image"]
    symmetry = prepare_symmetry(suite, "quarter-turns", data, data.shapes())
    generator = torch.Generator().manual_seed(0)
    moved = augmented(data, {"image": x}, {}, torch.arange(64), Augmentation(symmetry), generator)[0]["image"]
    turns = [next(k for k in range(4) if torch.equal(torch.rot90(x[i], k, (1, 2)), moved[i])) for i in range(64)]
    assert set(turns) == {0, 1, 2, 3}


def half_turns_change(label: int, element: Mapping[str, float]) -> bool:
    """A 6 that is turned by 180 degrees is none."""
    return label != 6 or element["angle_deg"] != 180


def none_is_right(label: int, element: Mapping[str, float]) -> bool:
    return not any(element.values())


def turned(labels: list[int] | None, valid: Any) -> list[int]:
    """By how many quarters each of 64 images was turned."""
    suite = load(Path(__file__).parent.parent / "suites" / "quick.yaml")
    data = Blobs(64, size=33)
    x = data.leaves["image"]
    symmetry = prepare_symmetry(suite, "quarter-turns", data, data.shapes())
    generator = torch.Generator().manual_seed(0)
    data.valid = valid
    targets = {} if labels is None else {"label": torch.tensor(labels)}
    moved = augmented(data, {"image": x}, targets, torch.arange(64), Augmentation(symmetry), generator)[0]["image"]
    return [next(k for k in range(4) if torch.equal(torch.rot90(x[i], k, (1, 2)), moved[i])) for i in range(64)]


def test_augmentation_keeps_labels() -> None:
    """A pair of a label and an element that the data rejects is drawn again, the same one every time."""
    labels = [6, 3] * 32
    turns, free = turned(labels, half_turns_change), turned(None, None)
    assert set(turns[0::2]) == {0, 1, 3}
    assert set(turns[1::2]) == {0, 1, 2, 3}
    assert [k for k, was in zip(turns, free, strict=True) if was != 2] == [was for was in free if was != 2]
    assert turned(labels, half_turns_change) == turns


def test_a_label_that_no_element_keeps_is_left_unmoved() -> None:
    assert turned([0] * 64, none_is_right) == [0] * 64


def test_digits_are_not_taught_that_a_six_is_a_nine(folder: Folder, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    folder.suite.write_text(
        "version: 1\nname: small\ndatasets: {digits: {use: digits, size: 9}}\nmodels:\n"
        "  mlp: {use: mlp, width: 8, depth: 1, train: {on: digits, epochs: 1, augment: turns}}\n"
        "symmetries: {turns: {group: C4, on: image}}\n"
    )
    asked: list[tuple[int, Any]] = []
    readable = digits.readable

    def noted(digit: int, element: Any) -> bool:
        asked.append((digit, element))
        return readable(digit, element)

    monkeypatch.setattr(digits, "readable", noted)
    space, _ = prepare(folder.suite, sb.Choices(device="cpu"))
    checkpoints.obtain(space, "mlp", device="cpu", listen=ignore, stopped=lambda: False)
    assert len(asked) > 1347, "every pair is asked about, and some were drawn again"
    assert space.plan.recipes["mlp"]["augment"]["valid"] is not None, "another rule is another recipe"


class Explodes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.mean((2, 3))) * float("nan")
        return out


def test_training_to_nan_fails_the_cell(folder: Folder, symbench: Any) -> None:
    write(folder)
    folder.suite.write_text(
        folder.suite.read_text().replace("use: mlp, width: 8, depth: 1", "use: 'test_train:Explodes'")
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "training diverged: the loss is nan at epoch 1, step 1, expected a finite loss" in ran.err
    assert "Lower its learning_rate" in ran.err


def test_interrupted_training_keeps_its_state_and_no_checkpoint(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    heard: list[Event] = []
    said = "training was interrupted. The same command goes on from epoch 1, step 1"
    with pytest.raises(sb.Interrupted, match=said):
        sb.run(folder.suite, results=folder.results, listen=heard.append, stopped=lambda: True)
    assert any(isinstance(e, Started) and e.task == "training mlp" for e in heard)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    assert len(list((tmp_path / "cache").rglob("*.partial"))) == 1
    assert sb.open_run(results=folder.results).manifest.status == "interrupted"


def test_a_retrained_model_makes_its_cells_stale(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    assert sb.run(folder.suite, results=folder.results).manifest.status == "complete"
    path = next((tmp_path / "cache").rglob("*.safetensors"))
    from safetensors.torch import load_file, save_file

    save_file({k: v + 0.1 for k, v in load_file(path).items()}, path)
    note = json.loads(path.with_suffix(".json").read_text())
    note = {key: value for key, value in note.items() if key != "digest"} | {"sha256": sha256_file(path)}
    path.with_suffix(".json").write_text(json.dumps({**note, "digest": content_key(note)}))
    heard: list[Event] = []
    sb.run(folder.suite, results=folder.results, listen=heard.append)
    assert any("1 of them to be measured" in getattr(e, "text", "") for e in heard)
    path.unlink()
    heard.clear()
    sb.run(folder.suite, results=folder.results, listen=heard.append)
    assert any("nothing to do" in getattr(e, "text", "") for e in heard), (
        "no checkpoint, no training: the cell stands"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no')", "training it raised ValueError: no"),
        ("return self.h(x.mean((2, 3)))[:, :2]", "bad: has 2 outputs and a label is 2, expected as many"),
        ("sys.exit(0)", "training it raised SystemExit"),
        ("return x.mean((1, 2, 3))[:, None].expand(-1, 3)  # nothing to train", "training it raised"),
    ],
)
def test_a_model_that_fails_in_training_fails_its_cells(
    folder: Folder, symbench: Any, body: str, message: str
) -> None:
    folder.write(models='  bad: {use: "bad.py:Net", train: {on: blobs, epochs: 1}}')
    (folder.path / "bad.py").write_text(
        "import sys\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.h = nn.Linear(1, 3)\n    def forward(self, x):\n        {body}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert message in ran.err
    assert "mine" in ran.out


def test_training_needs_labels(folder: Folder, symbench: Any) -> None:
    write(folder)
    (folder.path / "data.py").write_text(
        "import torch\ndef load(split='test'):\n    return list(torch.rand(8, 1, 9, 9))\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert "models.mlp.train.on: blobs has no labels" in ran.err


def test_a_broken_cache_entry_counts_as_none(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder)
    one = train_once(folder, tmp_path / "c", monkeypatch)
    one.path.write_bytes(b"junk")
    assert train_once(folder, tmp_path / "c", monkeypatch).digest == one.digest
    one.path.with_suffix(".json").write_text("{")
    assert train_once(folder, tmp_path / "c", monkeypatch).digest == one.digest


def test_a_cache_that_cannot_be_written_is_said_before_training(
    folder: Folder, tmp_path: Path, symbench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "file"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert "SYMBENCH_CACHE_DIR" in ran.err


def test_all_cells_of_a_model_are_of_one_checkpoint(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is lost, one of two cells too, and retraining comes out otherwise: both cells are measured again."""
    write(folder)
    folder.suite.write_text(folder.suite.read_text() + "  flips: {group: D2, on: image}\n")
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    sb.run(folder.suite, results=folder.results)
    next((tmp_path / "cache").rglob("*.safetensors")).unlink()
    next((folder.results / "cells").rglob("cell.json")).unlink()
    fit = loop.fit

    def otherwise(plan: Any, name: str, module: nn.Module, **rest: Any) -> Record:
        record = fit(plan, name, module, **rest)
        with torch.no_grad():
            next(module.parameters()).add_(0.1)
        return record

    monkeypatch.setattr(checkpoints, "fit", otherwise)
    done = sb.run(folder.suite, results=folder.results)
    found = {done.store.cell(cell.key).checkpoint for cell in done.manifest.cells}  # type: ignore[union-attr]
    assert len(found) == 1


def test_batches_of_one_are_trained_on(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder)
    folder.suite.write_text(folder.suite.read_text().replace("batch: 8", "batch: 1"))
    heard: list[Event] = []
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path))
    sb.run(folder.suite, results=folder.results, listen=heard.append)
    assert sum(isinstance(e, Advanced) and e.note.startswith("loss") for e in heard) == 72


def test_tied_weights_are_kept(folder: Folder) -> None:
    folder.write(models='  tied: {use: "tied.py:Net", train: {on: blobs, epochs: 1}}')
    (folder.path / "tied.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a = nn.Linear(81, 81)\n        self.b = nn.Linear(81, 81)\n        self.b.weight = self.a.weight\n"
        "        self.h = nn.Linear(81, 3)\n    def forward(self, x):\n        return self.h(self.b(self.a(x.flatten(1))))\n"
    )
    assert sb.run(folder.suite, results=folder.results).failed == []


def test_a_model_is_not_trained_on_what_it_cannot_take(folder: Folder, symbench: Any) -> None:
    write(folder)
    folder.suite.write_text(
        folder.suite.read_text()
        .replace("models:\n", "  sets: {use: sets}\nmodels:\n  d: {use: deep-sets}\n")
        .replace("on: blobs", "on: sets")
        + "  order: {group: S16, on: set, elements: 2}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert "mlp cannot be trained on sets: set (Scalar over items" in ran.err
    assert not folder.results.exists()


RULED = """
import torch


class Data:
    reads = 0

    def __init__(self, several, dtype):
        self.several, self.dtype = several, dtype

    def __len__(self):
        return 8

    def __getitem__(self, index):
        image = torch.zeros(1, 9, 9)
        image[0, 0, index % 9] = 1
        label = [0] if index < 4 else [1]
        return image, (label + [2] if self.several else label[0])

    def valid(self, label, element):
        return element["angle_deg"] == 0


def load(split="test", several=False, dtype="float32"):
    return Data(several, dtype)
"""
NET = """
from pathlib import Path
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes, dtype):
        super().__init__()
        self.head = nn.Linear(81, classes).to(getattr(torch, dtype))

    def forward(self, x):
        if self.training:
            with (Path(__file__).parent / "seen").open("a") as file:
                file.writelines(f"{image.tolist()}\\n" for image in x)
        return self.head(x.flatten(1))


def build(classes=2, dtype="float32"):
    return Net(classes, dtype)
"""


@pytest.mark.parametrize("several", [False, True])
def test_augmentation_asks_about_every_label_of_a_sample(folder: Folder, several: bool) -> None:
    folder.write(model=NET, data=RULED)
    outputs = "outputs: {logits: logits}, args: {classes: 3}, " if several else ""
    text = folder.suite.read_text().replace("data.py:load", f'data.py:load", args: {{several: {several}}}, x: "')
    text = text.replace(', x: ""', "").replace(
        '"model.py:build"}', f'"model.py:build", {outputs}train: {{on: blobs, epochs: 4, batch: 4, augment: turns}}}}'
    )
    folder.suite.write_text(text)
    assert sb.run(folder.suite, results=folder.results).failed == []
    lines = (folder.path / "seen").read_text().splitlines()
    assert len(lines) == 32
    assert len(set(lines)) == 8, "none of them moved"


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_models_are_trained_in_the_dtype_that_they_came_in(folder: Folder, dtype: str) -> None:
    folder.write(model=NET, data=RULED)
    more = f'"model.py:build", args: {{dtype: {dtype}}}, train: {{on: blobs, epochs: 1, batch: 4}}}}'
    folder.suite.write_text(folder.suite.read_text().replace('"model.py:build"}', more))
    run = sb.run(folder.suite, results=folder.results)
    assert run.failed == []


def test_anothers_checkpoint_is_none(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied over this one's with its note: named, and trained again."""
    write(folder)
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    text = folder.suite.read_text()
    line = next(line for line in text.splitlines() if line.startswith("  mlp:"))
    folder.suite.write_text(
        text.replace(line, f"{line}\n{line.replace('mlp:', 'wide:').replace('width: 8', 'width: 9')}")
    )
    assert sb.run(folder.suite, results=folder.results).failed == []
    one, other = sorted((tmp_path / "cache").rglob("*.safetensors"))
    before = {path: path.read_bytes() for path in (one, other)}
    other.write_bytes(before[one])
    other.with_suffix(".json").write_bytes(one.with_suffix(".json").read_bytes())
    heard: list[Event] = []
    again = sb.run(folder.suite, results=tmp_path / "fresh", listen=heard.append)
    assert again.failed == []
    assert sum("is not what was written: trained again" in getattr(e, "text", "") for e in heard) == 1
    assert other.read_bytes() == before[other]
