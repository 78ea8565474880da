"""Whole programs from files: torch.export, ONNX and TorchScript agree with the model that they were made of."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Symbench
from safetensors.torch import save_file
from torch import Tensor, nn

import symbench as package
from symbench.base.errors import ConfigError, ModelError
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.onnx import external_files
from symbench.domains.common.models.program import Batches, Program

SIDE = 17


class Net(nn.Module):
    """Small, and of what most networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.norm(self.conv(x)).relu().amax(dim=(2, 3)))
        return out


class ChannelsLast(nn.Module):
    """Takes its images as other frameworks do."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x.movedim(-1, 1))
        return out


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu().amax(dim=(2, 3)))


def build():
    return Net()
"""
DATA = """\
from symbench.testing import Blobs


def load(channels=3, size=17):
    return Blobs(10, size=size, channels=channels)
"""
SUITE = """\
version: 1
name: files
datasets: {{d: {{use: "data.py:load", args: {args}}}}}
models:
{models}
symmetries: {{turns: {{group: C4, on: image}}}}
numerics: {{dtype: {dtype}}}
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network in every kind of file; "fixed" files take four images at a time."""
    folder = tmp_path_factory.mktemp("exports")
    torch.manual_seed(0)
    net, x = Net(), torch.rand(4, 3, SIDE, SIDE)
    net(torch.rand(64, 3, SIDE, SIDE))  # statistics of the norm that are not those it begins with
    net.eval()
    save_file(net.state_dict(), folder / "net.safetensors")
    any_number = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=any_number), folder / "net.pt2")
    torch.export.save(torch.export.export(net, (x,)), folder / "fixed.pt2")
    two = torch.export.export(TwoInputs(), (x, x))
    torch.export.save(two, folder / "two.pt2")
    _to_onnx(net, x, folder / "net.onnx", any_number)
    _to_onnx(net, x, folder / "fixed.onnx")
    _to_onnx(ChannelsLast(net).eval(), x.movedim(1, -1), folder / "last.onnx", any_number)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\.", FutureWarning)
        torch.jit.script(net).save(str(folder / "net.torchscript"))
        torch.jit.trace(net, x).save(str(folder / "net.pt"))
        torch.jit.freeze(torch.jit.script(net)).save(str(folder / "frozen.ts"))
    torch.save(net.state_dict(), folder / "weights.pt")
    (folder / "net.py").write_text(NET)
    (folder / "data.py").write_text(DATA)
    return folder


def _to_onnx(net: nn.Module, x: Tensor, path: Path, shapes: Any = None) -> None:
    torch.onnx.export(net, (x,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)


@pytest.fixture
def files(exports: Path, tmp_path: Path) -> Path:
    """A folder of one's own with all of them."""
    return Path(shutil.copytree(exports, tmp_path / "suite"))


def write(folder: Path, models: str, *, args: str = "{}", dtype: str = "float32") -> Path:
    suite = folder / "files.yaml"
    suite.write_text(SUITE.format(models=models, args=args, dtype=dtype))
    return suite


def only(use: str, **keys: object) -> str:
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f'  m: {{use: "{use}"{more}}}'


ALL = """\
  net: {use: "net.py:build", weights: net.safetensors}
  exported: {use: net.pt2}
  exported-fixed: {use: fixed.pt2}
  onnx: {use: ./net.onnx}
  onnx-fixed: {use: fixed.onnx}
  onnx-last: {use: last.onnx}
  script: {use: net.torchscript}
  trace: {use: net.pt}
  frozen: {use: frozen.ts}
"""


def test_programs_agree_with_the_model_they_were_made_of(files: Path, symbench: Symbench) -> None:
    suite = write(files, ALL)
    results = files / "results"
    ran = symbench("run", suite, "--results", results, "--batch-size", "3")
    assert ran.code == 0, ran.err
    run = package.open_run(results=results)
    frame = run.estimates()
    errors = frame[(frame.metric == "equivariance_error") & frame.element.notna()]
    original = errors[errors.model == "net"].set_index("element")
    floor = float(original.floor.max())
    assert 0 < floor < 1e-5
    records = {cell.model: run.store.cell(cell.key) for cell in run.manifest.cells}
    predictions = {}
    for cell in run.manifest.cells:
        own = errors[errors.model == cell.model].set_index("element")
        assert (own.estimate - original.estimate).abs().max() <= floor, cell.model
        table = run.store.observations(cell.key).to_pandas().sort_values(["element", "sample"])
        predictions[cell.model] = table.prediction.tolist()
    assert all(found == predictions["net"] for found in predictions.values())
    assert original.estimate.max() > 100 * floor, "there is something to agree about"
    # what was exported for one size takes its size over
    sizes = {name: record.identity["preprocessing"]["size"] for name, record in records.items() if record}
    assert {name for name, size in sizes.items() if size is None} == {"net", "script", "trace", "frozen"}
    assert {size for size in sizes.values() if size is not None} == {SIDE}
    # no float64 is a reason and no failure, and what float32 tells is told
    told = frame[frame.metric == "equivariance_error_float64"].set_index("model")["reason"].to_dict()
    for name, record in records.items():
        assert record is not None
        assert record.controls["exactness"] is None, name
        assert told[name].startswith("broken: "), name
        counted = None if name.startswith("onnx") else 2 * SIDE**2 * 9 * 3 * 4 + 2 * 4 * 3
        assert record.facts["flops"] == counted, f"{name}: of one image, however many a program takes at once"
        reason = record.controls["precision"]
        if name.startswith("onnx"):
            assert "cannot be made to compute in float64" in str(reason)
            assert told[name].startswith("broken: far beyond rounding in float32, as it runs, without float64: ")
        elif name != "frozen":
            assert reason is None, name
    again = symbench("run", suite, "--results", results)
    assert "nothing to do: 9 cells" in again.err


def test_a_cell_follows_the_bytes_of_a_file_and_not_its_name(files: Path, symbench: Symbench) -> None:
    def key(use: str) -> str:
        shown = symbench("validate", write(files, only(use)), "--json")
        assert shown.code == 0, shown.err
        return str(json.loads(shown.out)["cells"][0]["key"])

    exported, onnx = key("net.pt2"), key("net.onnx")
    (files / "net.pt2").rename(files / "other.pt2")
    assert key("other.pt2") == exported
    assert key("fixed.pt2") != exported
    assert external_files(files / "net.onnx") == ["net.onnx.data"]
    weights = bytearray((files / "net.onnx.data").read_bytes())
    weights[0] ^= 1
    (files / "net.onnx.data").write_bytes(weights)
    assert key("net.onnx") != onnx, "weights that are kept beside the file count"


def test_images_are_brought_to_the_size_of_the_program(files: Path, symbench: Symbench) -> None:
    ran = symbench("run", write(files, only("net.onnx"), args="{size: 20}"), "--results", files / "results")
    assert ran.code == 0, ran.err
    other = symbench("run", write(files, only("net.pt2", size=20), args="{size: 20}"), "--results", files / "other")
    assert other.code == 3
    assert "m/d/turns: failed: m: raised AssertionError: Guard failed: x.size()[2] == 17" in other.err
    assert "It was given images of 20 x 20 pixels and 3 channels: if it takes others, add size:" in other.err


def test_a_grey_image_is_repeated_where_the_entry_says_so(files: Path, symbench: Symbench) -> None:
    refused = symbench("run", write(files, only("net.onnx"), args="{channels: 1}"))
    assert refused.code == 2
    assert "files.yaml:5: models.m: net.onnx takes images of 3 channels, and 'image' has 1" in refused.err
    assert "Add channels: 3, which repeats the grey one." in refused.err
    suite = write(files, only("net.onnx", channels=3), args="{channels: 1}")
    assert symbench("run", suite, "--results", files / "results").code == 0
    refused = symbench("run", write(files, only("net.onnx", channels=4)))
    assert "models.m.channels: got 4 for images of 3 channels, expected images of 1 or 4." in refused.err


# Files that are no programs.


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> None:
    """A copy of a zip archive in which some files are changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))


def pickled_weights(mark: Path) -> Callable[[str, bytes], bytes]:
    """Turns the weights of an exported program into pickles that run code."""
    payload = mark.parent / "payload.pt"
    torch.save({"a": Evil(mark)}, payload)

    def change(name: str, content: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true')
        return payload.read_bytes() if "/weights/weight_" in name else content

    return change


@pytest.fixture
def bad(files: Path) -> Path:
    mark = files / "code-ran"
    for name in ("junk.onnx", "junk.pt2", "junk.pt", "junk.torchscript"):
        (files / name).write_bytes(b"junk" * 20)
    for name in ("empty.onnx", "empty.pt2", "empty.ts"):
        (files / name).touch()
    torch.save({"a": Evil(mark)}, files / "evil.pt")
    (files / "evil.ts").write_bytes(pickle.dumps(Evil(mark)))
    rewritten(files / "fixed.pt2", files / "evil.pt2", pickled_weights(mark))
    half = (files / "fixed.pt2").read_bytes()
    (files / "half.pt2").write_bytes(half[: len(half) // 2])
    return files


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("junk.onnx", "models.m.use: junk.onnx cannot be read: InvalidProtobuf: .*, expected an ONNX program"),
        ("junk.pt2", "models.m.use: junk.pt2 cannot be read: .*, expected a program saved by torch.export.save"),
        ("half.pt2", "half.pt2 cannot be read: "),
        ("junk.pt", "models.m.use: junk.pt cannot be read: .*, expected a TorchScript program"),
        ("junk.torchscript", "junk.torchscript cannot be read"),
        ("empty.onnx", "files.yaml:5: models.m.use: empty.onnx is empty, expected a program"),
        ("empty.pt2", "empty.pt2 is empty"),
        ("empty.ts", "empty.ts is empty"),
        ("evil.pt", "evil.pt cannot be read"),
        ("evil.ts", "evil.ts cannot be read"),
        ("evil.pt2", "evil.pt2 cannot be read: .*Weights only load failed"),
        ("nets.pt2", "files.yaml:5: models.m.use: got 'nets.pt2', expected a file at .*nets.pt2. Did you mean 'net.pt2'"),
        ("gone/net.onnx", "got 'net.onnx', expected a file at .*gone/net.onnx"),
        ("weights.pt", "weights.pt cannot be read: .* name the network in use: and this file in weights:"),
        ("net.safetensors", "got model 'net.safetensors', expected .* Weights go into weights:, beside the network"),
        ("two.pt2", r"two.pt2 takes 2 inputs \(x, y\), expected one, a batch of images"),
    ],
)  # fmt: skip
def test_bad_files(bad: Path, symbench: Symbench, use: str, message: str) -> None:
    ran = symbench("run", write(bad, only(use)), "--results", bad / "results")
    assert ran.code == 2
    assert re.search(message, ran.err), ran.err
    assert "Traceback" not in ran.err
    assert not (bad / "code-ran").exists()
    assert not (bad / "results").exists()


def test_what_is_known_without_torch_comes_with_its_line(files: Path, symbench: Symbench) -> None:
    models = (
        "  a: {use: gone.onnx}\n  b: {use: net.pt2, weights: net.safetensors}\n"
        "  c: {use: net.onnx, train: {on: d, epochs: 1}}\n  e: {use: net.pt2, width: 3}"
    )
    ran = symbench("run", write(files, models))
    assert ran.code == 2
    assert "files.yaml:5: models.a.use: got 'gone.onnx', expected a file at" in ran.err
    assert "files.yaml:6: models.b.weights: got weights for a program that has its weights" in ran.err
    assert "files.yaml:7: models.c.train: got train for a program that has its weights" in ran.err
    assert "files.yaml:8: models.e.width: got unknown key 'width'" in ran.err


@pytest.mark.parametrize(
    ("use", "allowed"), [("net.pt2", False), ("net.pt", False), ("net.torchscript", False), ("net.onnx", True)]
)
def test_programs_that_are_code_are_refused_as_such(files: Path, use: str, allowed: bool) -> None:
    suite = write(files, only(use)).read_text().replace('"data.py:load", args: {}', "digits")
    (files / "files.yaml").write_text(suite)
    if allowed:
        assert package.load_suite(files / "files.yaml", no_code=True).models["m"].use == use
        return
    with pytest.raises(ConfigError, match=f"models.m.use: got '{use}', which would run code of its own"):
        package.load_suite(files / "files.yaml", no_code=True)


def test_an_onnx_program_keeps_its_precision(files: Path, symbench: Symbench) -> None:
    ran = symbench("run", write(files, only("net.onnx"), dtype="float64"), "--results", files / "results")
    assert ran.code == 3
    assert "an ONNX program cannot be made to compute in float64, expected numerics.dtype float32" in ran.err


def test_a_missing_extra_says_how_to_install_it(
    files: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ran = symbench("run", write(files, only("net.onnx")))
    assert ran.code == 2
    needs = "models.m.use: needs the package onnxruntime, which is not installed."
    assert f'{needs} pip install "symbench[onnx]"' in ran.err


# Batches.


class Counts(Program):
    """Returns its images' means, in a tuple and by name, and keeps how many it was given."""

    def __init__(self, batches: Batches | None) -> None:
        super().__init__(batches)
        self.seen: list[int] = []

    def call(self, x: Tensor) -> Any:
        self.seen.append(len(x))
        means = x.mean((1, 2, 3))
        return {"logits": means[:, None], "others": [means, (means, "no tensor")], "constant": torch.ones(())}


@pytest.mark.parametrize(
    ("batches", "count", "seen"),
    [
        (None, 5, [5]),
        (Batches(4, 4), 5, [4, 4]),
        (Batches(4, 4), 4, [4]),
        (Batches(2, None), 1, [2]),
        (Batches(1, 3), 7, [3, 3, 1]),
        (Batches(2, 3), 7, [3, 3, 2]),
    ],
    ids=str,
)
def test_a_batch_is_cut_and_filled_up(batches: Batches | None, count: int, seen: list[int]) -> None:
    x = torch.rand(count, 3, 5, 5)
    program = Counts(batches)
    found = program(x)
    assert program.seen == seen
    assert torch.equal(found["logits"][:, 0], x.mean((1, 2, 3)))
    assert torch.equal(found["others"][1][0], x.mean((1, 2, 3)))
    assert found["others"][1][1] == "no tensor"


class Wrong(Program):
    def call(self, x: Tensor) -> Tensor:
        return x.flatten(0, 1)[:, 0]  # a row for every channel of every image


def test_rows_that_are_no_images_are_refused_rather_than_cut() -> None:
    with pytest.raises(ModelError, match=r"shape \(12, 5\), expected floating point of shape \(6, \.\.\.\)"):
        Model(Wrong(Batches(4, 4)))({"image": torch.rand(6, 3, 5, 5)}, ["image"])


# Weights.


def test_weights_of_another_kind_of_file(files: Path, symbench: Symbench) -> None:
    suite = write(files, '  m: {use: "net.py:build", weights: net.pt}')
    ran = symbench("run", suite)
    assert ran.code == 2
    assert "net.pt cannot be read" in ran.err
    assert "A whole program goes into use:." in ran.err
    torch.save({"epoch": 3, "weights": {}}, files / "odd.pt")
    ran = symbench("run", write(files, '  m: {use: "net.py:build", weights: odd.pt}'))
    assert "odd.pt holds a dict, expected a state dict of tensors. No named tensors: 'epoch', 'weights'." in ran.err
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)).state_dict()
    torch.save({"state_dict": {**other, "head.weight": torch.zeros(5, 4)}}, files / "other.pt")
    ran = symbench("run", write(files, '  m: {use: "net.py:build", weights: other.pt}'))
    assert ran.code == 2
    assert "models.m.weights: the weights are of another architecture: 7 missing keys: conv.bias," in ran.err
    assert "4 unexpected keys: 0.bias, 0.weight, 1.bias, 1.weight" in ran.err
    assert "1 other shapes: head.weight is (5, 4) and the model's (3, 4), expected the 9 keys of Net" in ran.err


def test_the_networks_of_file_and_test_are_one() -> None:
    """The suite's network is the one whose exports it is compared with."""
    scope: dict[str, Any] = {"__name__": "net"}
    exec(NET, scope)
    assert str(scope["build"]()) == str(Net())
