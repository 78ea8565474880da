"""What a cell's key speaks of: all that can change a result, each part named when it does."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import CaseOf, Folder, Symbench, subprocess_symbench
from torch import nn

import symbench as sb
from symbench.base.identity import Reads, dependencies, differences, read_by_imports, source_files
from symbench.base.identity.origins import origin_of
from symbench.base.identity.values import attributes_digest
from symbench.face.api import prepare
from symbench.measure.evaluate.probe import TOLERANCE, WIDTH, folded
from symbench.measure.store import content_key

# A whole run: what a suite's model imports from elsewhere is broken.


@pytest.mark.slow
def test_a_broken_library_is_measured_again_and_fails_the_gate(case: CaseOf) -> None:
    folder = case("stale_library").path
    where = ("--results", folder / "results")

    def run() -> str:
        done = subprocess_symbench("run", folder / "bench" / "suite.yaml", *where)
        assert done.returncode == 0, done.stderr
        return done.stderr

    run()
    assert "nothing to do" in run()
    assert subprocess_symbench("gate", *where).returncode == 0
    source = folder / "lib" / "turning" / "pooling.py"
    source.write_text(source.read_text().replace("TURNS = 4", "TURNS = 3"))
    assert "measured again: net/bars/turns: changed since: module turning.pooling" in run()
    assert subprocess_symbench("gate", *where).returncode == 1


MODEL = """\
import json
import os
from pathlib import Path

import torch
from torch import nn

BESIDE = Path(__file__).parent


class Net(nn.Module):
    def __init__(self, scale):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(1, 3)
        self.scale = scale
        {more}

    def forward(self, x):
        return self.head(x.mean(dim=(-2, -1))) * {factor}


def build():
    {build}
    return Net(scale)
"""


def model(*, build: str = "scale = 1.0", factor: str = "self.scale", more: str = "") -> str:
    return MODEL.format(build=build, factor=factor, more=more)


def written(name: str, text: str) -> Callable[[Folder, pytest.MonkeyPatch], None]:
    def change(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder.path / name).write_text(text)

    return change


def variable(value: str) -> Callable[[Folder, pytest.MonkeyPatch], None]:
    def change(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NET_SCALE", value)

    return change


FROM_FILE = 'scale = json.loads((BESIDE / "scale.json").read_text())'
FROM_ENVIRONMENT = 'scale = float(os.environ.get("NET_SCALE", "1"))'
VARIABLE = "changed since: environment variable NET_SCALE is new, what the module holds beside its weights"
CHANGES = {
    "a file that build reads": (
        model(build=FROM_FILE),
        written("scale.json", "2.0"),
        "changed since: file scale.json, what the module holds beside its weights",
    ),
    "an environment variable": (model(build=FROM_ENVIRONMENT), variable("2.0"), VARIABLE),
    "what forward alone reads": (
        model(factor='json.loads((BESIDE / "scale.json").read_text())'),
        written("scale.json", "2.0"),
        "changed since, and read while it runs: file scale.json",
    ),
    "a tensor that no state dict has": (
        model(build="import numpy as np; scale = torch.from_numpy(np.fromfile(BESIDE / 'scale.raw'))"),
        lambda folder, monkeypatch: np.array([2.0]).tofile(folder.path / "scale.raw"),
        "changed since: file scale.raw, what the module holds beside its weights",
    ),
}


@pytest.mark.parametrize(("text", "change", "named"), CHANGES.values(), ids=CHANGES)
def test_what_changes_a_model_unseen_is_noticed(
    folder: Folder,
    symbench: Symbench,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    change: Callable[[Folder, pytest.MonkeyPatch], None],
    named: str,
) -> None:
    folder.write(model=text)
    (folder.path / "scale.json").write_text("1.0")
    np.array([1.0]).tofile(folder.path / "scale.raw")
    run = ("run", folder.suite, "--results", folder.results)
    assert symbench(*run).code == 0
    assert "nothing to do" in symbench(*run).err
    change(folder, monkeypatch)
    assert "to be measured" in symbench("validate", folder.suite, "--results", folder.results).out
    again = symbench(*run)
    assert again.code == 0
    assert f"measured again: mine/blobs/turns: {named}" in again.err
    assert "nothing to do" in symbench(*run).err


def test_another_models_file_is_its_own_affair(folder: Folder, symbench: Symbench) -> None:
    """Two models of one file, each with a file of its own: only the one whose file changed is measured again."""
    text = model(build="scale = json.loads((BESIDE / name).read_text())").replace("def build():", "def build(name):")
    entries = "\n".join(
        f'  {name}: {{use: "model.py:build", args: {{name: {name}.json}}}}' for name in ("one", "two")
    )
    folder.write(model=text)
    folder.suite.write_text(folder.suite.read_text().replace('  mine: {use: "model.py:build"}', entries))
    for name in ("one", "two"):
        (folder.path / f"{name}.json").write_text("1.0")
    run = ("run", folder.suite, "--results", folder.results)
    assert symbench(*run).code == 0
    (folder.path / "two.json").write_text("3.0")
    again = symbench(*run).err
    assert "1 of them to be measured" in again
    assert "measured again: two/blobs/turns: changed since: file two.json" in again
    alone = symbench(*run, "--only", "model=one").err
    assert "nothing to do" in alone or "0 of them to be measured" in alone


# Code.


def write(folder: Path, sources: dict[str, str]) -> None:
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_sources_are_followed_to_any_depth_and_outside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {
        "suite/m.py": "import numpy\nfrom layers import f\ndef build():\n    import late\n    return f()\n",
        "suite/layers.py": "from outer.deep import leaf\n",
        "suite/late.py": "import json, no_such_module\n",
        "suite/unrelated.py": "",
        "lib/outer/__init__.py": "",
        "lib/outer/deep/__init__.py": "from .. import sibling\n",
        "lib/outer/deep/leaf.py": "from ..cousin import *\nfrom .twig import x\n",
        "lib/outer/deep/twig.py": "def x(:\n",
        "lib/outer/cousin.py": "",
        "lib/outer/sibling.py": "",
        "lib/outer/other.py": "",
    })  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    assert set(source_files(tmp_path / "suite" / "m.py")) == {
        "m.py", "layers", "late", "outer", "outer.deep", "outer.deep.leaf", "outer.deep.twig", "outer.cousin",
        "outer.sibling",
    }  # fmt: skip
    assert "outer" not in sys.modules, "nothing is imported to find out"


def release(site: Path, files: dict[str, str]) -> None:
    """An installed distribution with its list of files."""
    write(site, files)
    info = site / "fine_lib-1.0.dist-info"
    info.mkdir()
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(text)}")
    (info / "RECORD").write_text("\n".join([*rows, "../../bin/fine,sha256=abc,3", "fine_lib-1.0.dist-info/RECORD,,"]))


def test_a_release_is_its_version_and_files_and_what_was_edited_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    release(site, {"fine_lib/__init__.py": "from fine_lib import inner\n", "fine_lib/inner.py": "A = 1\n"})
    write(tmp_path, {"mine.py": "import fine_lib\n", "site-packages/stray.py": ""})
    for place in (site, tmp_path):
        monkeypatch.syspath_prepend(str(place))
    assert origin_of(site / "fine_lib" / "inner.py") == "released"
    assert origin_of(site / "stray.py") == "foreign", "no release lists it"
    assert origin_of(Path(os.__file__)) == "standard"
    assert origin_of(Path(torch.__file__)) == "released"
    import mine  # type: ignore[import-not-found]

    found = dependencies(["mine"])
    assert set(found.files) == {"mine"}
    assert set(found.distributions) == {"fine_lib"}
    before = found.document()
    assert before["distributions"]["fine_lib"]["version"] == "1.0"
    assert "edited" not in before["distributions"]["fine_lib"]
    os.utime(site / "fine_lib" / "inner.py")
    assert dependencies(["mine"]).document() == before, "a file that is younger and the same is the same"
    (site / "fine_lib" / "inner.py").write_text("A = 2\n")
    after = dependencies(["mine"]).document()
    assert differences({"model": before}, {"model": after}) == ["package fine_lib (edited in place)"]
    for name in ("mine", "fine_lib", "fine_lib.inner"):
        monkeypatch.delitem(sys.modules, name)
    assert mine.fine_lib.inner.A == 1


def test_code_without_a_source_is_known_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("made_up")
    monkeypatch.setitem(sys.modules, "made_up", module)
    assert dependencies(["made_up"]).document()["unknown"] == ["made_up"]
    assert "unknown" not in dependencies(["math", "torch._C", "torch.ops"]).document()


def test_an_edited_file_is_what_was_loaded_until_it_is_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"kept_open.py": "A = 1\n"})
    monkeypatch.syspath_prepend(str(tmp_path))
    import kept_open  # type: ignore[import-not-found]

    before = dependencies(["kept_open"]).document()
    (tmp_path / "kept_open.py").write_text("A = 2\n")
    assert kept_open.A == 1
    assert dependencies(["kept_open"]).document() == before
    monkeypatch.delitem(sys.modules, "kept_open")
    assert dependencies(["kept_open"]).document() != before


# Reads.


def test_reads_of_imports_and_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET", "yes")
    monkeypatch.delenv("UNSET", raising=False)
    write(tmp_path, {
        "reader.py": (
            "import os, json\nwith open(__file__.replace('reader.py', 'at_import.txt')) as f: A = f.read()\n"
            "B = os.environ.get('SET')\n"
            "def call(folder):\n    open(folder / 'made.txt', 'w').close()\n    open(folder / 'made.txt').close()\n"
            "    everything = dict(os.environ)\n    return (folder / 'at_call.txt').read_text(), os.getenv('UNSET')\n"
        ),
        "at_import.txt": "1", "at_call.txt": "2",
    })  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    reads = Reads()
    with reads.recording():
        import reader  # type: ignore[import-not-found]

        assert reader.call(tmp_path) == ("2", None)
    document = reads.document(tmp_path)
    assert set(document["files"]) == {"at_call.txt", "made.txt"}, "a cache that it makes is an input of the next time"
    assert document["files"]["at_call.txt"] == hashlib.sha256(b"2").hexdigest()
    assert document["environment"] == {"UNSET": None}, "a copy of the environment is no question"
    imported = read_by_imports(iter(["reader"])).document(tmp_path)
    assert set(imported["files"]) == {"at_import.txt"}
    assert set(imported["environment"]) == {"SET"}
    assert "yes" not in str(imported["environment"]), "values may be secrets"
    assert type(os.environ).__name__ == "_Environ", "put back"
    monkeypatch.delitem(sys.modules, "reader")


# What modules hold.


class Holder(nn.Module):
    def __init__(self, **held: object) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)
        for name, value in held.items():
            setattr(self.inner, name, value)


def test_attributes_count_by_value(tmp_path: Path) -> None:
    def digest(**held: object) -> str:
        return attributes_digest(Holder(**held), tmp_path)

    loop: list[object] = [1]
    loop.append(loop)
    values: list[dict[str, object]] = [
        {}, {"a": 1}, {"a": 2}, {"a": 1.0}, {"a": "1"}, {"b": 1}, {"a": [1, 2]}, {"a": [[1], 2]}, {"a": {"x": 1}},
        {"a": torch.ones(2)}, {"a": torch.zeros(2)}, {"a": np.ones(2)}, {"a": np.float64(1)}, {"a": loop},
        {"a": SimpleNamespace(x=1)}, {"a": SimpleNamespace(x=2)}, {"a": {1, 2}}, {"a": torch.float16}, {"a": None},
        {"a": lambda x: x}, {"a": torch.relu}, {"a": torch.tanh}, {"a": b"1"}, {"a": (1, 2)},
        {"a": (lambda y: lambda x: x + y)(1)}, {"a": (lambda y: lambda x: x + y)(2)},
    ]  # fmt: skip
    digests = [digest(**each) for each in values]
    assert len(set(digests)) == len(values)
    assert digests == [digest(**each) for each in values], "the same every time"
    assert digest(a=str(tmp_path / "w")) == attributes_digest(Holder(a="/elsewhere/w"), Path("/elsewhere"))
    net = Holder()
    mask = torch.ones(2)
    net.inner.register_buffer("mask", mask, persistent=False)
    before = attributes_digest(net, tmp_path)
    mask[0] = 0
    assert attributes_digest(net, tmp_path) != before
    with torch.no_grad():
        net.inner.weight += 1
    assert attributes_digest(Holder(), tmp_path) == digests[0], "weights have a digest of their own"


# In words.


def test_differences_are_named() -> None:
    before = {
        "model": {"modules": {"a": "1", "b": "2"}, "distributions": {"torch": {"version": "2.6"}}, "options": {"w": 1}},
        "numerics": {"dtype": "float32"}, "limit": None, "odd": [1], "symmetry": {"elements": 3},
    }  # fmt: skip
    after = {
        "model": {"modules": {"a": "3", "c": "2"}, "distributions": {"torch": {"version": "2.7"}}, "options": {"w": 2}},
        "numerics": {"dtype": "float64"}, "limit": 5, "odd": [2], "symmetry": {"elements": 4},
    }  # fmt: skip
    assert differences(before, before) == []
    assert differences(before, after) == [
        "module a", "module b is gone", "module c is new", "package torch (2.6 -> 2.7)", "option w", "numerics (dtype)",
        "--limit", "odd", "the symmetry (elements)",
    ]  # fmt: skip


# The probe.


def test_folding_shows_the_change_of_any_number() -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 1000))
    assert folded(numbers).shape == (2, WIDTH)
    assert np.array_equal(folded(numbers[:, :5]), numbers[:, :5])
    for place in (0, 17, 999):
        other = numbers.copy()
        other[1, place] += 0.1
        assert np.abs(folded(other) - folded(numbers)).max() == pytest.approx(0.1)
    assert np.abs(folded(np.ones((1, 32_000)))).max() < 200, "a constant does not add up"
    every = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
    assert set(TOLERANCE) == {torch.finfo(dtype).eps for dtype in every}


RULES = """
import json
from pathlib import Path

from symbench.testing import Blobs
from torch.utils.data import ConcatDataset, Dataset

MOST = 270


class Ruled(Dataset):
    def __init__(self, most):
        self.inner, self.most = Blobs(24), most

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        batch = self.inner.batch([index])
        return batch.leaves["image"][0], int(batch.targets["label"][0])

    def valid(self, label, element):
        return element["angle_deg"] <= self.most


def load(most=270):
    return Ruled(most)


def from_file():
    return Ruled(json.loads((Path(__file__).parent / "most.json").read_text()))


def two():
    return ConcatDataset([Ruled(MOST), Ruled(MOST)])
"""


@pytest.mark.parametrize("how", ["load", "from_file", "two"])
def test_another_rule_of_labels_is_another_cell(folder: Folder, symbench: Symbench, how: str) -> None:
    """Changed by an argument, by a file that the data reads, and by code behind a wrapper of torch's."""
    folder.write(data=RULES)
    folder.suite.write_text(folder.suite.read_text().replace("data.py:load", f"data.py:{how}"))
    (folder.path / "most.json").write_text("270")
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    assert "nothing to do" in symbench("run", folder.suite, "--results", folder.results).err
    if how == "load":
        text = folder.suite.read_text().replace('"data.py:load"', '"data.py:load", args: {most: 90}')
        folder.suite.write_text(text)
    elif how == "from_file":
        (folder.path / "most.json").write_text("90")
    else:
        (folder.path / "data.py").write_text(RULES.replace("MOST = 270", "MOST = 90"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert "nothing to do" not in ran.err
    assert "pairs whose label the element changes" in ran.out


def test_what_a_model_reads_while_it_runs_makes_it_stale(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file and a variable that no output of the probe shows."""
    monkeypatch.setenv("SHIFT", "0")
    folder.write(model=(
        "import os\nfrom pathlib import Path\nfrom symbench.testing import Brightness\n\n\n"
        "class Net(Brightness):\n    def forward(self, x):\n"
        "        tiny = float((Path(__file__).parent / 'tiny').read_text()) + float(os.environ['SHIFT'])\n"
        "        return super().forward(x) + 1e-9 * tiny\n\n\ndef build():\n    return Net()\n"
    ))  # fmt: skip
    (folder.path / "tiny").write_text("0")
    command = ("run", folder.suite, "--results", folder.results)
    assert symbench(*command).code == 0
    assert "nothing to do" in symbench(*command).err
    (folder.path / "tiny").write_text("1")
    assert (
        "measured again: mine/blobs/turns: changed since, and read while it runs: file tiny" in symbench(*command).err
    )
    monkeypatch.setenv("SHIFT", "1")
    assert "read while it runs: environment variable SHIFT" in symbench(*command).err
    assert "nothing to do" in symbench(*command).err


def test_a_model_that_makes_its_own_cache_is_measured_once(folder: Folder, symbench: Symbench) -> None:
    folder.write(model=(
        "from pathlib import Path\nfrom symbench.testing import Brightness\n\n\ndef build():\n"
        "    made = Path(__file__).parent / 'made.txt'\n    if not made.exists():\n        made.write_text('3')\n"
        "    made.read_text()\n    return Brightness()\n"
    ))  # fmt: skip
    command = ("run", folder.suite, "--results", folder.results)
    assert symbench(*command).code == 0
    assert "nothing to do" in symbench(*command).err


def test_what_changed_of_a_trained_model_is_named_like_anything_else() -> None:
    def trained(**recipe: object) -> dict[str, object]:
        return {"model": {"recipe": recipe}}

    before = trained(
        origin={"modules": {"lib": "1"}, "environment": {"W": "1"}}, recipe={"epochs": 3}, data="1", size=9
    )
    after = trained(
        origin={"modules": {"lib": "2"}, "environment": {"W": "2"}}, recipe={"epochs": 4}, data="2", size=8
    )
    assert differences(before, after) == [
        "module lib", "environment variable W", "the recipe (epochs)", "the training data", "size"
    ]  # fmt: skip


FLAT = """\
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(81, 4))
"""
TURNING = """\
import torch
from symbench.algebra.fields import classes
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Image


def load(split="test"):
    x = torch.rand(8, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    target = {{"label": classes({{"turn": {order}}})}}
    return Arrays({{"image": x}}, {{"label": torch.arange(8) % 4}}, fields={{"image": Image()}}, target_fields=target)
"""


def test_classes_that_turn_the_other_way_are_another_cell(folder: Folder) -> None:
    """The same images and labels; what a generator does to the labels is part of what is measured."""
    keys = set()
    for order in ([1, 2, 3, 0], [3, 0, 1, 2], [1, 2, 3, 0]):
        folder.write(model=FLAT, data=TURNING.format(order=order))
        space, _ = prepare(folder.suite, sb.Choices(device="cpu"))
        keys |= {cell.key for cell in space.plan.cells}
    assert len(keys) == 2


def test_training_on_classes_that_turn_the_other_way_is_another_recipe(folder: Folder) -> None:
    recipes = set()
    for order in ([1, 2, 3, 0], [3, 0, 1, 2]):
        folder.write(model=FLAT, data=TURNING.format(order=order))
        text = folder.suite.read_text().replace('build"}', 'build", train: {on: blobs, epochs: 1, augment: turns}}')
        folder.suite.write_text(text)
        space, _ = prepare(folder.suite, sb.Choices(device="cpu"))
        recipes.add(content_key({k: v for k, v in space.plan.recipes["mine"].items() if k != "origin"}))
    assert len(recipes) == 2


JOINTS = """\
import torch
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Boxes, Image, Keypoints, Scalar


def load(split="test"):
    x = torch.rand(8, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    return Arrays({{"image": x}}, {{"there": torch.ones({shape})}}, fields={{"image": Image()}},
                  target_fields={{"there": {field}}})
"""


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((8, 2, 2), ["Keypoints()", "Keypoints(pairs=((0, 1),))", 'Keypoints(origin="centre")']),
        ((8, 3, 6), ["Boxes(2)", "Boxes(2, threshold=0.25)", "Boxes(2, hull=True)"]),
        ((8, 2), ["Scalar()", 'Scalar(unit="eV")']),
    ],
)
def test_all_that_is_said_of_a_target_is_part_of_a_cell(
    folder: Folder, shape: tuple[int, ...], fields: list[str]
) -> None:
    """The same numbers; which joints a mirror exchanges, or what counts as a detection, makes them others."""
    keys = set()
    for field in [*fields, fields[0]]:
        folder.write(model=FLAT, data=JOINTS.format(shape=shape, field=field))
        space, _ = prepare(folder.suite, sb.Choices(device="cpu"))
        keys |= {cell.key for cell in space.plan.cells}
    assert len(keys) == len(fields)
