"""Trainings that were stopped or killed go on, and end in the same weights, bit for bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import APART, ROOT, Folder
from safetensors import safe_open

import symbench as sb
from symbench.base.events import Event, Note, Started
from symbench.base.paths import cache_folder
from symbench.face.api import prepare
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import content_key
from symbench.measure.training import checkpoints, partial
from symbench.measure.training.disk import disk_of

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * 49, 3))

    def forward(self, x):
        return self.head(self.features(x))
"""
SUITE = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load", args: {{samples: 25}}}}
models:
  net: {{use: "model.py:Net", train: {{on: blobs, batch: 6, augment: turns, {recipe}}}}}
  other: {{use: mlp, width: 8, depth: 1, train: {{on: blobs, steps: 4, batch: 6}}}}
  long: {{use: mlp, width: 8, depth: 1, train: {{on: blobs, epochs: 400, batch: 8, augment: turns}}}}
symmetries:
  turns: {{group: C4, on: image}}
"""
RECIPES = [
    "epochs: 4",
    "epochs: 4, optimiser: sgd, momentum: 0.9, schedule: cosine",
    "steps: 17, optimiser: adam, schedule: constant, seed: 3",
    "epochs: 6, validation: 0.3, stop: {patience: 2}, learning_rate: 0.05",
    "epochs: 3, soften: {symmetry: turns}, seed: 1, shared_draws: true",
]
Spaces = Callable[[str], Workspace]


@pytest.fixture
def planned(folder: Folder) -> Spaces:
    def write(recipe: str) -> Workspace:
        folder.write(model=NET, data=APART)
        folder.suite.write_text(SUITE.format(recipe=recipe))
        return prepare(folder.suite, sb.Choices(device="cpu"))[0]

    return write


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def use(name: str) -> Path:
        monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / name))
        return tmp_path / name

    return use


class After:
    """Asks to stop after so many batches, again and again."""

    def __init__(self, batches: int) -> None:
        self.batches, self.asked = batches, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked % self.batches == 0


def obtained(
    space: Workspace, stopped: Callable[[], bool] = lambda: False, name: str = "net"
) -> tuple[str, list[str]]:
    """The digest of a model's weights, trained with as many stops as are asked for; and what was said."""
    heard: list[Event] = []
    while True:
        try:
            made = checkpoints.obtain(space, name, device="cpu", listen=heard.append, stopped=stopped)
        except sb.Interrupted:
            continue
        return made.digest, [event.text for event in heard if isinstance(event, Note)]


@pytest.mark.parametrize("recipe", [*RECIPES, "epochs: 4, seed: 1, together: 3"])
def test_a_training_takes_the_disk_that_was_said(
    planned: Spaces, cache: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    if "together" in recipe:  # of networks that have no dropout
        monkeypatch.setitem(globals(), "SUITE", SUITE.replace('"model.py:Net"', "mlp, width: 8, depth: 1"))
    cache("kept")
    space = planned(recipe)
    entry = space.suite.models["net"].train
    assert entry is not None
    path = once(space, 5)  # of an epoch that is not the first, and not done
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    module = space.new_module("net", "blobs")
    said = disk_of(entry, module, len(tensors["0.order"]))
    taken = sum(each.nbytes for name, each in tensors.items() if "random." not in name)
    steps = sum(each.nbytes for name, each in tensors.items() if name.endswith(".step"))  # a number for each weight
    assert said.state == taken - steps
    obtained(space)
    weights = checkpoints._place(space.plan, "net").stat().st_size
    assert said.checkpoint < weights < said.checkpoint + 2000, "the header"


def once(space: Workspace, batches: int) -> Path:
    """Stop a training after so many batches; its state."""
    with pytest.raises(sb.Interrupted, match="The same command goes on from epoch"):
        checkpoints.obtain(space, "net", device="cpu", listen=lambda event: None, stopped=After(batches))
    (path,) = cache_folder().rglob("*.partial")
    return path


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_that_is_stopped_often_ends_in_the_same_weights(
    planned: Spaces, cache: Callable[[str], Path], recipe: str
) -> None:
    space = planned(recipe)
    cache("whole")
    whole, said = obtained(space)
    assert said == []
    for batches in (1, 3, 4):  # an epoch has five batches, of which the last has one sample and is left out
        kept = cache(f"stopped-{batches}")
        digest, said = obtained(space, After(batches))
        assert digest == whole
        assert sum("its training goes on at epoch" in text for text in said) >= 2
        assert not list(kept.rglob("*.partial")), "it is removed at the end"


def test_what_is_measured_adds_up_over_stops(planned: Spaces, cache: Callable[[str], Path]) -> None:
    space = planned(RECIPES[3])
    digests, notes = [], []
    for name, stopped in (("a", lambda: False), ("b", After(2))):
        kept = cache(name)
        digests.append(obtained(space, stopped)[0])
        (path,) = kept.rglob("*.json")
        notes.append(json.loads(path.read_text())["measured"])
    assert digests[0] == digests[1]
    alike = ("samples", "shown", "epochs", "steps", "operations", "best_epoch", "stopped_early", "curve")
    assert [notes[0][key] for key in alike] == [notes[1][key] for key in alike]
    assert len(notes[0]["curve"]) == notes[0]["epochs"]
    assert all(note["seconds"] > 0 for note in notes)


def test_the_generators_are_a_part_of_it(
    planned: Spaces, cache: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above would not see if draws did not matter: each generator left as it is spoils the weights."""
    space = planned(RECIPES[0])
    cache("whole")
    whole, _ = obtained(space)
    apply = partial._apply
    for number, spoil in enumerate(
        (lambda sessions: sessions[0].generator.manual_seed(0), lambda _: torch.manual_seed(0))
    ):

        def spoilt(sessions: list[partial.Session], *read: Any, spoil: Callable[[Any], object] = spoil) -> None:
            apply(sessions, *read)
            spoil(sessions)

        cache(f"spoilt-{number}")
        monkeypatch.setattr(partial, "_apply", spoilt)
        assert obtained(space, After(3))[0] != whole


def damaged(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "is not what was written"


def cut_short(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-40])
    return "cannot be read"


def edited(path: Path) -> str:
    content = path.read_bytes()
    assert b'\\"steps\\": 3' in content
    path.write_bytes(content.replace(b'\\"steps\\": 3', b'\\"steps\\": 2'))
    return "is not what was written"


def no_state(path: Path) -> str:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, path)
    return "cannot be read"


def grown(path: Path) -> str:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as file:
        document = json.loads(file.metadata()[partial.STATE])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["0.model.more"] = torch.zeros(1)
    document = {key: value for key, value in document.items() if key != "digest"}
    document["tensors"] = partial._digest(tensors)
    save_file(tensors, path, {partial.STATE: json.dumps({**document, "digest": content_key(document)})})
    return "does not fit the model"


@pytest.mark.parametrize("spoil", [damaged, cut_short, edited, no_state, grown])
def test_a_broken_state_is_said_and_not_used(
    planned: Spaces, cache: Callable[[str], Path], spoil: Callable[[Path], str]
) -> None:
    space = planned(RECIPES[0])
    cache("whole")
    whole, _ = obtained(space)
    cache("broken")
    path = once(space, 3)
    why = spoil(path)
    digest, said = obtained(space)
    assert said == [f"net: {path.name} {why}: the training starts from nothing"]
    assert digest == whole
    assert not path.exists()


def test_the_state_of_another_recipe_or_device_is_not_used(planned: Spaces, cache: Callable[[str], Path]) -> None:
    space = planned(RECIPES[0])
    kept = cache("a")
    first = once(space, 3)
    whole = planned(RECIPES[1])
    path = checkpoints._place(whole.plan, "net").with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(first.read_bytes())
    _, said = obtained(whole)
    assert said == [f"net: {path.name} is of another recipe: the training starts from nothing"]
    read = partial._read(first, first.stem, "cuda")
    assert read == "is of a training on cpu"
    assert not isinstance(partial._read(first, first.stem, "cpu"), str), "as it is, it can be used"
    assert kept.exists()


def test_a_training_that_diverges_leaves_no_state(planned: Spaces, cache: Callable[[str], Path]) -> None:
    space = planned("epochs: 40, optimiser: sgd, learning_rate: 10, weight_decay: 10, schedule: constant")
    kept = cache("a")
    once(space, 1)
    with pytest.raises(sb.CellError, match=r"net: training diverged: the loss is \w+ at epoch \d+, step \d+"):
        obtained(space)
    assert not list(kept.rglob("*.partial"))


def test_a_disk_that_is_full_ends_no_training(
    planned: Spaces, cache: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*anything: object) -> None:
        raise OSError(28, "No space left on device")

    space = planned(RECIPES[0])
    cache("a")
    monkeypatch.setattr(partial, "_write", full)
    monkeypatch.setattr(partial, "SAVED_EVERY", 0.0)
    _, said = obtained(space)
    assert said == ["net: its training's state cannot be saved: [Errno 28] No space left on device"], "once"
    cache("b")
    with pytest.raises(sb.Interrupted, match="Its state is not kept: the same command starts it again"):
        checkpoints.obtain(space, "net", device="cpu", listen=lambda event: None, stopped=lambda: True)


def test_what_a_killed_process_was_writing_is_swept_up(planned: Spaces, cache: Callable[[str], Path]) -> None:
    space = planned(RECIPES[0])
    kept = cache("a")
    path = once(space, 3)
    left = path.with_name(f".{path.name}.abc.partial")
    left.write_bytes(b"half")
    other = path.with_name(".other.partial.abc.partial")
    other.write_bytes(b"half")
    obtained(space)
    assert not left.exists()
    assert other.exists(), "another training may be at it"
    assert kept.exists()


def test_of_a_recipe_that_never_comes_again_nothing_is_saved(
    planned: Spaces, cache: Callable[[str], Path], folder: Folder
) -> None:
    """Data that is another at each reading, and cannot be seeded, makes every run's recipe another."""
    planned(RECIPES[0])
    text = "import torch\n\nG = torch.Generator()\n\n\nclass Data:\n    def __len__(self):\n        return 12\n\n"
    text += "    def __getitem__(self, index):\n        return torch.rand(1, 9, 9, generator=G), index % 3\n\n\n"
    (folder.path / "data.py").write_text(f"{text}def load(split='test', samples=0):\n    return Data()\n")
    space, _ = prepare(folder.suite, sb.Choices(device="cpu"))
    kept = cache("a")
    with pytest.raises(sb.Interrupted, match="Its state is not kept: the same command starts it again"):
        checkpoints.obtain(space, "net", device="cpu", listen=lambda event: None, stopped=lambda: True)
    assert not list(kept.rglob("*.partial"))


def test_saving_is_seldom_and_costs_little(planned: Spaces, cache: Callable[[str], Path]) -> None:
    keeper = partial.Keeper(Path("x"), "x", "cpu", "net", lambda event: None)
    assert not keeper.due(), "half a minute apart"
    keeper.saved -= 31
    assert keeper.due()
    keeper.cost = 2.0
    assert not keeper.due(), "a state that takes two seconds is saved every 40"
    keeper.saved -= 10
    assert keeper.due()


def test_the_bar_begins_where_the_training_goes_on(planned: Spaces, cache: Callable[[str], Path]) -> None:
    from symbench.base.events import Advanced

    space = planned(RECIPES[2])
    cache("a")
    once(space, 5)
    heard: list[Event] = []
    checkpoints.obtain(space, "net", device="cpu", listen=heard.append, stopped=lambda: False)
    started = next(event for event in heard if isinstance(event, Started))
    assert (started.total, started.unit) == (17, "steps")
    assert sum(event.steps for event in heard if isinstance(event, Advanced)) == 17


class Killer:
    """Starts trainings in forks of one process, and kills them: see killed.py."""

    def __init__(self, suite: Path) -> None:
        command = [sys.executable, str(ROOT / "tests" / "killed.py"), str(suite)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready"

    def __call__(self, cache: Path, after: float | None) -> tuple[int, list[str]]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"model": "long", "cache": str(cache), "after": after}) + "\n")
        self.process.stdin.flush()
        status, said = json.loads(self._line())
        return status, said

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def killer(planned: Spaces, folder: Folder) -> Iterator[Killer]:
    planned(RECIPES[0])
    made = Killer(folder.suite)
    yield made
    assert made.process.stdin is not None
    made.process.stdin.close()
    made.process.wait(timeout=20)
    assert made.process.stdout is not None
    made.process.stdout.close()


def test_a_training_that_is_killed_at_ten_random_moments_ends_in_the_same_weights(
    killer: Killer, tmp_path: Path
) -> None:
    status, said = killer(tmp_path / "whole", None)
    assert (status, len(said)) == (0, 1), said
    moments = random.Random(0)
    gone_on = 0
    for _ in range(10):
        status, heard = killer(tmp_path / "killed", moments.uniform(0.03, 0.12))
        assert status == -signal.SIGKILL, "it was under way"
        gone_on += any("its training goes on at epoch" in text for text in heard)
    assert gone_on >= 5
    status, heard = killer(tmp_path / "killed", None)
    assert status == 0
    assert "its training goes on at epoch" in heard[0]
    assert heard[-1] == said[-1]
