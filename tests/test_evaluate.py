"""The whole measurement against a plain loop; identities; resuming; what makes a cell fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MODEL, Folder, Symbench
from torch import Tensor, nn

import symbench as sb
from symbench.base.records import CellRecord, ProbeRecord
from symbench.measure.evaluate import loop
from symbench.measure.evaluate.moves import Block
from symbench.measure.evaluate.part import Part
from symbench.measure.store import PART, Store

CONV = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(196, 3))
"""


def run(folder: Folder, **choices: Any) -> pd.DataFrame:
    done = sb.run(folder.suite, choices=sb.Choices(results=folder.results, **choices))
    assert done.failed == []
    return done.estimates()


def pick(frame: pd.DataFrame, metric: str, **names: str) -> float:
    rows = frame[(frame["metric"] == metric) & frame["element"].isna()]
    for key, name in names.items():
        rows = rows[rows[key] == name]
    assert len(rows) == 1, rows
    return float(rows["estimate"].iloc[0])


def record(folder: Folder) -> tuple[CellRecord, pd.DataFrame]:
    path = next((folder.results / "cells").rglob("cell.json"))
    found = CellRecord.model_validate_json(path.read_bytes())
    return found, Store(folder.results).observations(found.key).to_pandas()


def test_everything_agrees_with_a_plain_loop(folder: Folder) -> None:
    folder.write(model=CONV)
    frame = run(folder)
    namespace: dict[str, Any] = {}
    exec(CONV, namespace)
    model = namespace["build"]().eval()
    from symbench.testing import Blobs

    batch = Blobs(24).batch(range(24))
    x, y = batch.leaves["image"], batch.targets["label"]
    with torch.no_grad():
        p = torch.stack([model(torch.rot90(x, k, (2, 3))).double().softmax(-1) for k in range(4)])  # (4, n, c)
    correct = p.argmax(-1) == y
    same = p.argmax(-1)[1:] == p.argmax(-1)[0]
    assert pick(frame, "accuracy") == pytest.approx(float(correct[0].double().mean()))
    assert pick(frame, "orbit_accuracy") == pytest.approx(float(correct.double().mean()))
    assert pick(frame, "worst_case_accuracy") == pytest.approx(float(correct.all(0).double().mean()))
    assert pick(frame, "consistency") == pytest.approx(float(same.double().mean()))
    above = (p[1:] - p[0]).square().sum(-1).mean()
    pairs = [(p[1:, i] - p[0, j]).square().sum(-1).mean() for i in range(24) for j in range(24) if i != j]
    assert pick(frame, "equivariance_error") == pytest.approx(
        float((above / torch.stack(pairs).mean()).sqrt()), rel=1e-5
    )
    assert pick(frame, "absolute_error") == pytest.approx(float((p[1:] - p[0]).norm(dim=-1).mean()), rel=1e-5)
    loss = -p.gather(-1, y.expand(4, -1)[..., None]).log()
    assert pick(frame, "loss") == pytest.approx(float(loss[0].mean()), rel=1e-6)
    assert pick(frame, "orbit_loss") == pytest.approx(float(loss.mean()), rel=1e-6)
    assert pick(frame, "parameters") == 40 + 196 * 3 + 3
    assert pick(frame, "flops") == 2 * (9 * 4 * 49 + 196 * 3)
    averaged = float((p.mean(0).argmax(-1) == y).double().mean())
    assert pick(frame, "averaged_accuracy") == pytest.approx(averaged)
    confidence = p.gather(-1, p[0].argmax(-1).expand(4, -1)[..., None])[..., 0]
    assert pick(frame, "confidence_change") == pytest.approx(float((confidence[1:] - confidence[0]).abs().mean()))
    curve = frame[frame["metric"] == "element_accuracy"].set_index("element")["estimate"]
    assert curve.to_dict() == pytest.approx({f"{90 * k}°": float(correct[k].double().mean()) for k in range(4)})


def test_observations_hold_every_sample_once_for_each_element(folder: Folder) -> None:
    run(folder)
    found, rows = record(folder)
    assert len(rows) == 24 * 4
    assert not rows.duplicated(["sample", "element"]).any()
    assert sorted(rows["sample"].unique()) == list(range(24))
    assert [e.label for e in found.elements] == ["0°", "90°", "180°", "270°"]
    assert sum(e.weight for e in found.elements) == pytest.approx(1)
    assert (rows[rows["element"] == 0]["deviation_sq"] == 0).all()
    assert rows[rows["element"] == 0]["unrelated_sq"].isna().all()
    assert rows["control"].isna().all()
    assert rows["confidence"].between(0, 1).all()


def test_a_model_that_is_blind_to_permutations_is_at_rounding(folder: Folder) -> None:
    folder.write(symmetries="  swaps: {group: S9, on: image, action: patches, elements: 8}")
    frame = run(folder)
    for symmetry in ("turns", "swaps"):
        assert pick(frame, "equivariance_error", symmetry=symmetry) < 1e-5
        assert pick(frame, "consistency", symmetry=symmetry) == 1


@pytest.mark.parametrize("scores", ["probabilities", "logits"])
def test_constant_model(folder: Folder, scores: str) -> None:
    constant = "from torch import nn\ndef build():\n    m = nn.Sequential(nn.Flatten(), nn.Linear(81, 3))\n    nn.init.zeros_(m[1].weight)\n    return m\n"
    folder.write(model=constant)
    folder.suite.write_text(folder.suite.read_text() + f"scores: {scores}\n")
    frame = run(folder)
    assert pick(frame, "consistency") == 1
    for metric in ("kappa", "equivariance_error"):
        row = frame[(frame["metric"] == metric) & frame["element"].isna()].iloc[0]
        assert np.isnan(row["estimate"])
        assert row["status"] == "undefined"
        assert row["reason"]


def test_circular_network_is_exact_under_circular_shifts(folder: Folder) -> None:
    folder.write(
        model="import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        torch.manual_seed(0)\n        self.c = nn.Conv2d(1, 8, 3, padding=1, padding_mode='circular')\n        self.h = nn.Linear(8, 3)\n"
        "    def forward(self, x):\n        return self.h(self.c(x).relu().mean((2, 3)))\n",
        symmetries="  shifts: {group: translations, on: image, reach: 2, border: circular}\n"
        "  falls: {group: translations, on: image, reach: 2, border: zero}",
    )
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Net"))
    frame = run(folder)
    assert pick(frame, "equivariance_error", symmetry="shifts") < 1e-5
    falls = frame[
        (frame["symmetry"] == "falls") & (frame["metric"] == "equivariance_error") & frame["element"].isna()
    ]
    assert falls["elements"].tolist() == ["lossy"]
    assert falls["estimate"].iloc[0] > 1e-2


MAPS = """
import torch
from torch import nn
from symbench.fields import Image

class Net(nn.Module):
    outputs = {"maps": Image()}
    def __init__(self, symmetric=True):
        super().__init__()
        torch.manual_seed(0)
        self.c = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        if symmetric:
            w = self.c.weight.data
            self.c.weight.data = sum(torch.rot90(w, k, (2, 3)) for k in range(4)) / 4
    def forward(self, x):
        return self.c(x)
"""


def test_equivariant_outputs_are_measured_by_the_same_code(folder: Folder) -> None:
    """A filter symmetric under quarter turns gives maps that turn along; an arbitrary one does not."""
    folder.write(
        model=MAPS,
        data="import torch\ndef load():\n    return list(torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)))\n",
        models='  skew: {use: "model.py:Net", args: {symmetric: false}}',
    )
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Net"))
    frame = run(folder)
    assert pick(frame, "equivariance_error", model="mine") < 1e-5
    found = pick(frame, "equivariance_error", model="skew")
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    namespace: dict[str, Any] = {}
    exec(MAPS, namespace)
    net = namespace["Net"](symmetric=False)
    with torch.no_grad():
        a = torch.stack([net(torch.rot90(x, k, (2, 3))) for k in (1, 2, 3)]).double()
        b = torch.stack([torch.rot90(net(x), k, (2, 3)) for k in (1, 2, 3)]).double()
    above = (a - b).square().flatten(2).sum(-1).mean()
    below = torch.stack(
        [(a[:, i] - b[:, j]).square().flatten(1).sum(-1).mean() for i in range(20) for j in range(20) if i != j]
    ).mean()
    assert found == pytest.approx(float((above / below).sqrt()), rel=1e-4)
    accuracy = frame[(frame["metric"] == "accuracy") & (frame["model"] == "mine")].iloc[0]
    assert accuracy["reason"] == "no class labels"


def test_regression_has_losses_and_no_accuracy(folder: Folder) -> None:
    folder.suite.write_text(
        "version: 1\nname: small\ndatasets:\n  sets: {use: sets, target: value, samples: 30, items: 5}\n"
        "models:\n  d: {use: deep-sets}\n  m: {use: set-mlp}\n"
        "symmetries:\n  order: {group: S5, on: set, elements: 6}\n"
    )
    frame = run(folder)
    assert pick(frame, "equivariance_error", model="d") < 1e-5
    assert pick(frame, "equivariance_error", model="m") > 1e-3
    assert pick(frame, "loss", model="d") == pytest.approx(pick(frame, "orbit_loss", model="d"))
    assert frame[(frame["metric"] == "accuracy")]["reason"].unique().tolist() == ["no class labels"]


def test_unlabelled_images_keep_consistency(folder: Folder) -> None:
    folder.write(data="import torch\ndef load():\n    return list(torch.rand(12, 1, 9, 9))\n")
    edit(folder, '"model.py:build"', '"model.py:build", outputs: {logits: logits}')
    frame = run(folder)
    assert pick(frame, "consistency") == 1
    assert np.isnan(pick(frame, "accuracy"))
    assert np.isnan(pick(frame, "loss"))


@pytest.mark.parametrize("batch", [1, 7, 24, 100])
def test_batch_size_changes_nothing_but_rounding(folder: Folder, batch: int) -> None:
    folder.write(model=CONV)
    run(folder, batch=batch)
    _, rows = record(folder)
    other = Folder(folder.path / "other")
    other.path.mkdir()
    other.write(model=CONV)
    run(other)
    _, again = record(other)
    key = ["element", "sample"]
    a, b = (r.sort_values(key).reset_index(drop=True) for r in (rows, again))
    assert (a["prediction"] == b["prediction"]).all()
    assert np.allclose(a["deviation_sq"], b["deviation_sq"], atol=1e-10)
    assert np.allclose(a["unrelated_sq"], b["unrelated_sq"], atol=1e-10, equal_nan=True)


def test_outputs_of_many_passes_are_compared_at_once_and_come_to_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    put = Part.put

    def counted(self: Part, block: Block, *others: Any) -> None:
        calls.append(len(block.elements))
        put(self, block, *others)

    monkeypatch.setattr(Part, "put", counted)
    found = {}
    for name, enough in (("one", 1), ("all", loop.ENOUGH)):
        calls.clear()
        monkeypatch.setattr(loop, "ENOUGH", enough)
        other = Folder(folder.path / name)
        other.path.mkdir()
        other.write(model=CONV)
        run(other, batch=7)
        found[name] = record(other)[1].sort_values(["element", "sample"]).reset_index(drop=True), list(calls)
    (one, separate), (every, together) = found["one"], found["all"]
    assert set(separate) == {1}
    assert len(together) < len(separate)
    assert sum(together) == sum(separate), "every element once"
    assert (one["prediction"] == every["prediction"]).all()
    assert np.allclose(one["deviation_sq"], every["deviation_sq"], rtol=1e-12, atol=1e-24)
    assert one["deviation_sq"].max() > 1e-4, "otherwise nothing is compared"


def test_many_parts_agree_with_one(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(model=CONV)
    run(folder)
    _, whole = record(folder)
    for module in ("__init__", "first_pass", "reference"):
        name = "symbench.measure.evaluate" if module == "__init__" else f"symbench.measure.evaluate.{module}"
        monkeypatch.setattr(f"{name}.PART", 7)
    other = Folder(folder.path / "other")
    other.path.mkdir()
    other.write(model=CONV)
    run(other)
    found, parts = record(other)
    assert len(found.parts) == 4
    assert PART == 1024
    key = ["element", "sample"]
    a, b = (r.sort_values(key).reset_index(drop=True) for r in (whole, parts))
    pd.testing.assert_frame_equal(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("dtype", "largest"), [("float64", 1e-12), ("float16", 0.02), ("bfloat16", 0.1)])
def test_other_dtypes(folder: Folder, dtype: str, largest: float) -> None:
    sharp = MODEL.replace(
        "return Brightness()",
        "m = Brightness()\n    m.head.weight.data *= 60\n    m.head.bias.data.zero_()\n    return m",
    )
    folder.write(model=sharp)
    folder.suite.write_text(folder.suite.read_text() + f"numerics: {{dtype: {dtype}}}\nscores: logits\n")
    assert pick(run(folder), "equivariance_error") < largest


class Spy(nn.Module):
    """Keeps the value of every image row that is one colour: what a border was filled with, as the model sees it."""

    fills: set[float] = set()  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        plain = x.amax(3) == x.amin(3)
        self.fills.update(x.amax(3)[plain].tolist())
        out: Tensor = self.head(x.mean((2, 3)))
        return out


def test_normalisation_comes_after_the_transformation(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A black border is black before normalisation: the model sees -mean/std there, and not 0."""
    monkeypatch.setattr(Spy, "fills", set())
    folder.write(symmetries="  falls: {group: translations, on: image, reach: 2, border: zero}")
    text = folder.suite.read_text()
    folder.suite.write_text(text.replace('"model.py:build"', '"test_evaluate:Spy", mean: [0.5], std: [0.25]'))
    run(folder)
    assert Spy.fills == {-2.0}


def test_size_is_the_canvas(folder: Folder) -> None:
    checks = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.h = nn.Linear(1, 3)\n    def forward(self, x):\n        assert x.shape[2:] == (15, 15), x.shape\n        return self.h(x.mean((2, 3)))\n"
    folder.write(model=checks)
    folder.suite.write_text(folder.suite.read_text().replace('"model.py:build"', '"model.py:Net", size: 15'))
    run(folder)


@pytest.mark.parametrize("samples", [1, 2])
def test_tiny_datasets(folder: Folder, samples: int) -> None:
    folder.write(data=f"from symbench.testing import Blobs\ndef load():\n    return Blobs({samples})\n")
    frame = run(folder)
    assert pick(frame, "consistency") == 1
    if samples == 1:
        assert np.isnan(pick(frame, "equivariance_error"))


def test_limit_takes_the_first_of_the_order(folder: Folder) -> None:
    run(folder)
    _, whole = record(folder)
    other = Folder(folder.path / "other")
    other.path.mkdir()
    other.write()
    run(other, limit=5)
    _, few = record(other)
    order = whole[whole["element"] == 0]["sample"].tolist()
    assert few[few["element"] == 0]["sample"].tolist() == order[:5] != sorted(order)[:5]


BAD = {
    "raises": ("raise ValueError('no')", "raised ValueError: no"),
    "NaN": ("return x.new_full((len(x), 3), float('nan'))", "NaN or infinite for 24 of 24 inputs"),
    "infinity when turned": (
        "y = x.mean((1, 2, 3))[:, None].expand(-1, 3); return y / (self.n()) ",
        "NaN or infinite",
    ),
    "too few classes": ("return x.new_ones(len(x), 2)", "has 2 outputs and a label is 2, expected as many outputs"),
    "maps": ("return x", r"has shape \(n, 1, 9, 9\), expected class scores .* say outputs: {maps: image} in"),
    "a tuple": (
        "return ('x', 'y')",
        r"returned a tuple of a str and a str, expected a floating-point tensor of shape",
    ),
    "too few rows": ("return x.new_ones(1, 3)", r"expected floating point of shape \(24"),
}


@pytest.mark.parametrize("body", list(BAD))
def test_a_bad_model_fails_its_cell_and_no_other(folder: Folder, symbench: Symbench, body: str) -> None:
    code, message = BAD[body]
    folder.write(models='  bad: {use: "bad.py:Bad"}')
    (folder.path / "bad.py").write_text(
        "from torch import nn\nclass Bad(nn.Module):\n    calls = 0\n    def n(self):\n        self.calls += 1\n"
        f"        return 1.0 if self.calls == 1 else 0.0\n    def forward(self, x):\n        {code}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results, "--json")
    assert ran.code == 3
    document = json.loads(ran.out)
    states = {cell["model"]: cell for cell in document["cells"]}
    assert states["mine"]["status"] == "done"
    assert states["bad"]["status"] == "failed"
    import re

    assert re.search(message, states["bad"]["reason"])
    rows = [row for row in document["estimates"] if row["model"] == "bad"]
    assert rows
    assert all(row["estimate"] is None and row["status"] == "failed" and row["reason"] for row in rows)
    assert "Traceback" not in ran.err
    again = symbench("report", "--results", folder.results)
    assert again.code == 0
    assert "bad: no numbers" in again.out


def test_a_model_that_cannot_be_built_fails_its_cells(folder: Folder, symbench: Symbench) -> None:
    folder.write(models='  bad: {use: "bad.py:build"}\n  none: {use: "bad.py:none"}')
    (folder.path / "bad.py").write_text("def build():\n    raise KeyError('w')\n\ndef none():\n    return 3\n")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "building it raised KeyError: 'w'" in ran.err
    assert "returned a int, expected a torch.nn.Module" in ran.err
    assert "mine" in ran.out


@pytest.mark.parametrize("reads", [0, 3], ids=["at once", "when samples are read anew"])
def test_a_bad_sample_fails_the_cell(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", "1e-8")  # nothing is held; the plan reads the sample three times
    folder.write(
        data="import torch\nclass D:\n    reads = 0\n    def __len__(self):\n        return 4\n"
        "    def __getitem__(self, i):\n        self.reads += i == 2\n"
        f"        if i == 2 and self.reads > {reads}:\n            raise OSError('truncated')\n"
        "        return torch.full((1, 9, 9), i / 4), i % 3\ndef load():\n    return D()\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "sample 2: reading it raised OSError: truncated" in ran.err


# Resuming.


class Counting(nn.Module):
    passes = 0

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        type(self).passes += 1
        out: Tensor = self.head(x.mean((2, 3)))
        return out


def few_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No passes for timing alone: how many there are would depend on the machine."""
    for budget in ("LONG", "SHORT"):
        monkeypatch.setattr(f"symbench.measure.evaluate.cost.{budget}", 0.0)


def test_a_second_run_does_nothing_and_a_deleted_cell_is_computed_alone(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(symmetries="  flips: {group: D2, on: image}")
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "test_evaluate:Counting"))
    monkeypatch.setattr(Counting, "passes", 0)
    few_timed(monkeypatch)
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    first = Counting.passes
    assert first > 0
    stamps = {p: p.stat().st_mtime_ns for p in (folder.results / "cells").rglob("observations-*.parquet")}
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert "nothing to do" in ran.err
    assert Counting.passes == first + 2, "a probe of each cell"
    assert len(list((folder.results / "runs").glob("*.json"))) == 1
    deleted = next(iter(stamps))
    for file in deleted.parent.iterdir():
        file.unlink()
    assert "2 cells, 1 of them" in symbench("run", folder.suite, "--results", folder.results).err
    assert first + 2 < Counting.passes < 2 * first
    after = {p: p.stat().st_mtime_ns for p in (folder.results / "cells").rglob("observations-*.parquet")}
    assert set(after) == set(stamps)
    assert [p for p in after if after[p] != stamps[p]] == [deleted]


def test_editing_a_models_file_recomputes_its_cells_and_no_others(folder: Folder, symbench: Symbench) -> None:
    folder.write(models='  other: {use: "other.py:build"}')
    (folder.path / "other.py").write_text(MODEL)
    symbench("run", folder.suite, "--results", folder.results)
    (folder.path / "other.py").write_text(MODEL + "\n# edited\n")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert "2 cells, 1 of them to be measured" in ran.err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("group: C4", "group: C2"),
        ("name: small", "name: small\nseed: 1"),
        ("name: small", "name: small\nscores: logits"),
        ("name: small", "name: small\nnumerics: {dtype: float64}"),
        ('use: "model.py:build"', 'use: "model.py:build", mean: [0.1]'),
        ('use: "model.py:build"', 'use: "model.py:build", size: 11'),
        ('use: "data.py:load"', 'use: "data.py:load", args: {samples: 23}'),
    ],
)
def test_whatever_changes_a_result_changes_the_key(folder: Folder, old: str, new: str) -> None:
    from symbench.face.api import prepare

    before = prepare(folder.suite, sb.Choices())[0].plan.cells[0].key
    text = folder.suite.read_text()
    assert old in text
    folder.suite.write_text(text.replace(old, new))
    assert prepare(folder.suite, sb.Choices())[0].plan.cells[0].key != before
    folder.suite.write_text(
        text.replace("name: small", "name: renamed").replace("mine:", "yours:").replace("turns:", "t:")
    )
    assert prepare(folder.suite, sb.Choices(batch=3))[0].plan.cells[0].key == before, (
        "names and batch size are no part of it"
    )


def test_an_interrupted_run_resumes_with_the_parts_it_has(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("", ".first_pass", ".reference"):
        monkeypatch.setattr(f"symbench.measure.evaluate{module}.PART", 5)
    few_timed(monkeypatch)
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "test_evaluate:Counting"))
    monkeypatch.setattr(Counting, "passes", 0)
    asked = iter([False] * 7 + [True])
    choices = sb.Choices(results=folder.results)
    with pytest.raises(sb.Interrupted, match="stopped after 2 of 5 parts"):
        sb.run(folder.suite, choices=choices, stopped=lambda: next(asked))
    interrupted = sb.open_run(results=folder.results)
    assert interrupted.manifest.status == "interrupted"
    before = Counting.passes
    done = sb.run(folder.suite, choices=choices)
    assert done.manifest.status == "complete"
    assert done.manifest.run == interrupted.manifest.run
    resumed = Counting.passes - before
    fresh = Folder(folder.path / "fresh")
    fresh.path.mkdir()
    fresh.write()
    fresh.suite.write_text(folder.suite.read_text())
    before = Counting.passes
    again = sb.run(fresh.suite, choices=sb.Choices(results=fresh.results))
    assert resumed < Counting.passes - before
    pd.testing.assert_frame_equal(
        done.estimates().query("metric != 'seconds_per_sample'"),
        again.estimates().query("metric != 'seconds_per_sample'"),
    )


SCALED = """\
from pathlib import Path

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        scale = float(Path(__file__).with_name("scale").read_text())
        return scale * (x.mean(dim=(-2, -1)) - x[:, :, 0, 0]) * torch.eye(3)[1] + torch.eye(3)[0] / 8


def build():
    return Net()
"""


def stopped_half_way(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that stopped after two parts of five; the folder of what it left behind."""
    for module in ("", ".first_pass", ".reference"):
        monkeypatch.setattr(f"symbench.measure.evaluate{module}.PART", 5)
    asked = iter([False] * 7 + [True])
    with pytest.raises(sb.Interrupted, match="stopped after 2 of 5 parts"):
        sb.run(folder.suite, choices=sb.Choices(results=folder.results), stopped=lambda: next(asked))
    return next(folder.results.rglob("scratch"))


def numbers(folder: Folder) -> pd.DataFrame:
    frame = sb.run(folder.suite, choices=sb.Choices(results=folder.results)).estimates()
    return frame[frame["metric"] != "seconds_per_sample"]


def test_parts_of_another_model_are_dropped(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(model=SCALED)
    (folder.path / "scale").write_text("1")
    stopped_half_way(folder, monkeypatch)
    (folder.path / "scale").write_text("5")
    resumed = numbers(folder)
    shutil.rmtree(folder.results)
    pd.testing.assert_frame_equal(resumed, numbers(folder))


def test_outputs_that_were_altered_between_two_runs_are_taken_anew(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = stopped_half_way(folder, monkeypatch)
    path = scratch / "reference-logits-00000015.npy"
    data = bytearray(path.read_bytes())
    data[-3] ^= 64
    path.write_bytes(data)
    resumed = numbers(folder)
    shutil.rmtree(folder.results)
    pd.testing.assert_frame_equal(resumed, numbers(folder))


@pytest.mark.parametrize("kind", ["columns", "pairing", "part"])
@pytest.mark.parametrize("how", ["altered", "cut", "gone"])
def test_a_part_that_is_not_what_was_written_is_measured_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, kind: str, how: str
) -> None:
    scratch = stopped_half_way(folder, monkeypatch)
    for path in scratch.glob(f"{kind}-*.npz"):
        if how == "gone":
            path.unlink()
        elif how == "cut":
            path.write_bytes(path.read_bytes()[:-40])
        else:
            with np.load(path) as file:
                arrays = {name: file[name] for name in file.files}
            name = "correct" if "correct" in arrays else next(iter(arrays))
            if arrays[name].dtype.kind != "U":
                np.savez(path, **{**arrays, name: np.ones_like(arrays[name])})
    resumed = numbers(folder)
    shutil.rmtree(folder.results)
    pd.testing.assert_frame_equal(resumed, numbers(folder))


@pytest.mark.parametrize("content", ["{", '{"checkpoint": null}', '{"checkpoint": null, "probe": {"samples": 3}}'])
def test_a_note_that_cannot_be_read_begins_the_cell_again(tmp_path: Path, content: str) -> None:
    from symbench.measure.evaluate.scratch import Scratch

    scratch = Scratch(tmp_path / "scratch")
    scratch.begin("abc", ProbeRecord(samples=[0], outputs={}))
    assert scratch.begun_with() == ("abc", ProbeRecord(samples=[0], outputs={}))
    for path in (scratch.columns("logits", 0), scratch.pairing("logits", 0)):
        scratch.save(path, numbers=np.arange(3))
    scratch.keep_part(["logits"], 0, 1.5)
    assert scratch.has_part(["logits"], 0)
    assert scratch.part_seconds(0) == 1.5
    (tmp_path / "scratch" / "begun.json").write_text(content)
    assert scratch.begun_with() is None
    scratch.begin(None, ProbeRecord(samples=[0], outputs={}))
    assert not scratch.has_part(["logits"], 0)


# Controls.

HEAD = "import sys\nimport torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.h = nn.Linear(1, 3)\n"


def controls(folder: Folder) -> tuple[CellRecord, pd.DataFrame]:
    found, _ = record(folder)
    return found, Store(folder.results).controls(found.key).to_pandas()


def test_controls_of_an_ordinary_model(folder: Folder) -> None:
    folder.write(model=CONV)
    folder.suite.write_text(folder.suite.read_text() + "controls: full\n")
    frame = run(folder)
    found, rows = controls(folder)
    assert {name for name, reason in found.controls.items() if reason is None} >= {
        "repeat", "re-batch", "precision", "exactness"
    }  # fmt: skip
    assert rows.groupby("control").size().to_dict() == {
        "repeat": 24, "re-batch": 24, "precision": 24, "suite dtype": 72, "float64": 72,
    }  # fmt: skip
    assert (rows[rows["control"] == "repeat"]["deviation_sq"] == 0).all(), "the same twice on a CPU"
    precision = float(rows[rows["control"] == "precision"]["deviation_sq"].mean() ** 0.5)
    assert 0 < precision < 1e-5
    errors = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()].iloc[0]
    _, all_rows = record(folder)
    null = float(all_rows["unrelated_sq"].mean() ** 0.5)
    rebatch = float(rows[rows["control"] == "re-batch"]["deviation_sq"].mean() ** 0.5)
    assert errors["floor"] == pytest.approx(3 * max(precision, rebatch) / null)
    assert frame[frame["metric"] == "consistency"]["floor"].iloc[0] == 0
    exact = frame[frame["metric"] == "equivariance_error_float64"].iloc[0]
    assert exact["reason"].startswith("broken")
    assert exact["estimate"] == pytest.approx(errors["estimate"], rel=1e-4)


def test_an_exact_model_is_exact_in_float64_and_at_the_floor_in_float32(folder: Folder) -> None:
    folder.suite.write_text(
        "version: 1\nname: p4\ndatasets: {digits: {use: digits, size: 17}}\nmodels: {p4: {use: p4-cnn}}\n"
        "symmetries: {turns: {group: C4, on: image}}\nscores: logits\n"
    )
    frame = run(folder, limit=60)
    exact = frame[frame["metric"] == "equivariance_error_float64"].iloc[0]
    assert exact["estimate"] < 1e-10
    assert exact["reason"].startswith("exact")
    errors = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()].iloc[0]
    assert errors["estimate"] / exact["estimate"] > 1e6
    assert errors["estimate"] < 3 * errors["floor"]


def test_lower_precision_inside_is_undetermined(folder: Folder) -> None:
    inside = "class Inner(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = [P4Cnn(shape=(1, 17, 17), outputs=10, width=4).eval()]\n        self.scale = nn.Parameter(torch.ones(1))\n    def forward(self, x):\n        return self.net[0](x.float()).to(x.dtype) * self.scale\n"
    folder.write(
        model=f"import torch\nfrom torch import nn\nfrom symbench.domains.images.models.p4_cnn import P4Cnn\n{inside}def build():\n    return Inner()\n"
    )
    folder.suite.write_text(folder.suite.read_text().replace('"data.py:load"', "digits, size: 17"))
    frame = run(folder, limit=60)
    assert frame[frame["metric"] == "equivariance_error_float64"].iloc[0]["reason"].startswith("undetermined")


NOT_REPEATABLE = {
    "dropout": ("return self.h(torch.dropout(x, 0.5, True).mean((2, 3)) * 50)", "is another for the same input"),
    "batch statistics": ("return self.h((x.mean((2, 3)) - x.mean()) * 50)", "depends on its batch"),
    "state": (
        "self.n = getattr(self, 'n', 0) + 1\n        return self.h(x.mean((2, 3)) * 50 + self.n)",
        "is another for the same input",
    ),
}


@pytest.mark.parametrize("case", list(NOT_REPEATABLE))
def test_what_is_not_repeatable_is_refused(folder: Folder, symbench: Symbench, case: str) -> None:
    body, message = NOT_REPEATABLE[case]
    folder.write(models='  bad: {use: "bad.py:Net"}')
    (folder.path / "bad.py").write_text(HEAD + f"    def forward(self, x):\n        {body}\n")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert message in ran.err
    assert "mine" in ran.out


def test_a_batch_norm_left_in_train_mode_is_refused(folder: Folder, symbench: Symbench) -> None:
    folder.write(
        model="from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.b = nn.BatchNorm2d(1)\n        self.h = nn.Linear(81, 3)\n"
        "    def train(self, mode=True):\n        return super().train(True)\n    def forward(self, x):\n        return self.h(self.b(x).flatten(1)) * 9\n"
    )
    folder.suite.write_text(folder.suite.read_text().replace("model.py:build", "model.py:Net"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "depends on its batch" in ran.err or "another for the same input" in ran.err


# What users' code may do wrong, each once seen to end the run.


def edit(folder: Folder, old: str, new: str) -> None:
    text = folder.suite.read_text()
    assert old in text
    folder.suite.write_text(text.replace(old, new))


FAILS = {
    "exits in forward": (HEAD + "    def forward(self, x):\n        sys.exit(0)\n", "raised SystemExit"),
    "exits when built": (HEAD + "    def __new__(cls):\n        sys.exit(0)\n", "building it raised SystemExit"),
    "no classes": (
        HEAD + "    def forward(self, x):\n        return x.new_ones(len(x), 0)\n",
        "expected floating point",
    ),
    "changes shape": (
        HEAD
        + "    def forward(self, x):\n        self.n = getattr(self, 'n', 3) + 1\n        return x.new_ones(len(x), self.n)\n",
        "has shapes (",
    ),
    "overflows": (
        HEAD
        + "    def forward(self, x):\n        return self.h(x.mean((2, 3))).double() * 1e200 * (1 + x[:, 0, 0, :1].double())\n",
        "its square overflows",
    ),
    "a path for a name": (
        HEAD.replace(
            "    def", "    from symbench.algebra.fields import Scalar\n    outputs = {'../x': Scalar()}\n    def", 1
        ),
        "declares an output '../x'",
    ),
    "lazy weights": (
        "from torch import nn\ndef Net():\n    return nn.LazyLinear(3)\n",
        "Call the model on one input",
    ),
    "a state that raises": (
        HEAD + "    def state_dict(self, *a, **k):\n        raise OSError('gone')\n",
        "OSError: gone",
    ),
    "outputs that raise": (
        HEAD
        + "    @property\n    def outputs(self):\n        raise ZeroDivisionError\n    def forward(self, x):\n        return self.h(x.mean((2, 3)))\n",
        "ZeroDivisionError",
    ),
    "a move that raises": (HEAD + "    def to(self, *a, **k):\n        raise KeyError('no')\n", "KeyError: 'no'"),
    "an unknown field": (
        HEAD.replace(
            "    def",
            "    from symbench.algebra.fields import Nodes, Point\n    outputs = {'p': Nodes('p', Point())}\n    def",
            1,
        )
        + "    def forward(self, x):\n        return x.flatten(2)[..., :2]\n",
        "nothing says what C4 does to values Point",
    ),
}


@pytest.mark.parametrize("case", list(FAILS))
def test_wrong_models_fail_their_cells_and_never_the_run(folder: Folder, symbench: Symbench, case: str) -> None:
    code, message = FAILS[case]
    folder.write(models='  bad: {use: "bad.py:Net"}')
    (folder.path / "bad.py").write_text(code)
    edit(folder, "name: small", "name: small\nscores: logits")
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3, ran.err
    assert message in ran.err
    assert "mine" in ran.out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("class D(Blobs):\n    def batch(self, i, canvas=None):\n        raise OSError('gone')\n", "OSError: gone"),
        ("class D(Blobs):\n    def digest(self):\n        raise OSError('gone')\n", "OSError: gone"),
        (
            "class D(Blobs):\n    def __init__(self):\n        super().__init__()\n        self.target_values['label'] -= 1\n",
            "0 or more",
        ),
    ],
)
def test_a_broken_dataset_fails_its_cells_and_no_others(
    folder: Folder, symbench: Symbench, data: str, message: str
) -> None:
    (folder.path / "broken.py").write_text(f"from symbench.testing import Blobs\n{data}")
    edit(folder, "models:\n", '  bad: {use: "broken.py:D"}\nmodels:\n')
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err
    assert message in ran.err
    assert "turns on blobs" in ran.out
    assert list((folder.results / "runs").glob("*.json"))


def test_a_module_with_extra_state_is_no_obstacle(folder: Folder) -> None:
    folder.write(
        model=HEAD
        + "    def get_extra_state(self):\n        return {'version': 1}\n    def set_extra_state(self, state):\n        pass\n    def forward(self, x):\n        return self.h(x.mean((2, 3)))\n"
    )
    edit(folder, "model.py:build", "model.py:Net")
    assert pick(run(folder), "consistency") == 1


@pytest.mark.parametrize("body", ["return -1", "raise OSError('gone')"])
def test_a_dataset_without_a_length_fails_its_cells(folder: Folder, symbench: Symbench, body: str) -> None:
    (folder.path / "broken.py").write_text(
        f"from symbench.testing import Blobs\nclass D(Blobs):\n    def __len__(self):\n        {body}\n"
    )
    edit(folder, "models:\n", '  bad: {use: "broken.py:D"}\nmodels:\n')
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err
    assert "turns on blobs" in ran.out


def test_sizes_that_differ_are_brought_to_the_models(folder: Folder) -> None:
    folder.write(
        data="import torch\ndef load(split='test'):\n    return [(torch.rand(1, 8 + i % 3, 8 + i % 3), i % 2) for i in range(12)]\n"
    )
    edit(folder, 'use: "model.py:build"', "use: cnn, size: 9")
    assert pick(run(folder), "parameters") > 0
    assert record(folder)[0].samples == 12


def test_c4_averaged_model_is_at_the_floor(folder: Folder) -> None:
    folder.write(
        model=CONV.replace(
            "def build():",
            "class Averaged(nn.Module):\n    def __init__(self, net):\n        super().__init__()\n        self.net = net\n"
            "    def forward(self, x):\n        return sum(self.net(torch.rot90(x, k, (2, 3))) for k in range(4)) / 4\n\ndef build():\n    return Averaged(plain())\n\ndef plain():",
        )
    )
    edit(folder, "name: small", "name: small\nscores: logits")
    frame = run(folder)
    row = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()].iloc[0]
    assert row["estimate"] < 3 * row["floor"] < 1e-4


@pytest.mark.parametrize("scores", ["probabilities", "logits"])
def test_adding_to_every_logit_changes_nothing(folder: Folder, scores: str) -> None:
    shifted = CONV.replace(
        "    return nn.Sequential(",
        "    class Add(nn.Module):\n        def forward(self, x):\n            return x + 3\n    return nn.Sequential(",
    ).replace("nn.Linear(196, 3))", "nn.Linear(196, 3), Add())")
    folder.write(model=CONV, models='  more: {use: "more.py:build"}')
    (folder.path / "more.py").write_text(shifted)
    edit(folder, "name: small", f"name: small\nscores: {scores}")
    frame = run(folder)
    one, more = (pick(frame, "equivariance_error", model=name) for name in ("mine", "more"))
    assert one == pytest.approx(more, rel=1e-5)


@pytest.mark.parametrize("use", ["mlp, width: 4", '"model.py:build"'])
def test_a_broken_dataset_does_not_spoil_a_model_for_the_others(folder: Folder, symbench: Symbench, use: str) -> None:
    (folder.path / "broken.py").write_text(
        "from symbench.testing import Blobs\nclass D(Blobs):\n    def batch(self, i, canvas=None):\n        raise OSError('gone')\n"
    )
    text = folder.suite.read_text().replace("datasets:\n", 'datasets:\n  bad: {use: "broken.py:D"}\n')
    folder.suite.write_text(text.replace('use: "model.py:build"', f"use: {use}"))
    ran = symbench("run", folder.suite, "--results", folder.results, "--json")
    assert ran.code == 3, ran.err
    assert [(c["dataset"], c["status"]) for c in json.loads(ran.out)["cells"]] == [
        ("bad", "failed"),
        ("blobs", "done"),
    ]


def test_weights_that_code_loads_itself_are_part_of_the_key(folder: Folder) -> None:
    from symbench.face.api import prepare

    folder.write(
        model="import torch\nfrom pathlib import Path\nfrom symbench.testing import Brightness\ndef build():\n    m = Brightness()\n    m.load_state_dict(torch.load(Path(__file__).parent / 'w.pt'))\n    return m\n"
    )
    from symbench.testing import Brightness

    keys = []
    for scale in (1.0, 2.0):
        model = Brightness()
        torch.nn.init.constant_(model.head.weight, scale)
        torch.nn.init.zeros_(model.head.bias)
        torch.save(model.state_dict(), folder.path / "w.pt")
        keys.append(prepare(folder.suite, sb.Choices())[0].plan.cells[0].key)
    assert keys[0] != keys[1]


def test_one_model_on_datasets_of_two_shapes(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(
        "version: 1\nname: two\ndatasets: {a: {use: digits, size: 17}, b: {use: digits, size: 9}}\n"
        "models: {mlp: {use: mlp, width: 8}}\nsymmetries: {flips: {group: D1, on: image}}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results, "--limit", "20")
    assert ran.code == 0, ran.err


def test_a_set_model_that_does_not_say_so_is_an_error(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(
        'version: 1\nname: s\ndatasets: {s: {use: sets}}\nmodels: {d: {use: deep-sets}, m: {use: "model.py:build"}}\n'
        "symmetries: {order: {group: S16, on: set, elements: 2}}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert (
        "models.m: nothing in the suite fits it: it takes Scalar over the 2-D grid 'image', and s has 'set'"
        in ran.err
    )


def test_own_datasets_beside_built_in_ones_of_another_kind(folder: Folder, symbench: Symbench) -> None:
    edit(folder, "models:\n", "  sets: {use: sets, samples: 20}\nmodels:\n  d: {use: deep-sets}\n")
    edit(folder, "symmetries:\n", "symmetries:\n  order: {group: S16, on: set, elements: 2}\n")
    ran = symbench("run", folder.suite, "--results", folder.results, "--json")
    assert ran.code == 0, ran.err
    assert [cell["dataset"] for cell in json.loads(ran.out)["cells"]] == ["sets", "blobs"]


def test_what_models_print_does_not_reach_stdout(folder: Folder, symbench: Symbench) -> None:
    folder.write(model="print('hello')\n" + MODEL)
    ran = symbench("run", folder.suite, "--results", folder.results, "--json")
    json.loads(ran.out)
    assert "hello" in ran.err


def test_flags_that_models_set_do_not_last(folder: Folder) -> None:
    folder.write(
        model="import torch\ntorch.set_float32_matmul_precision('high')\ntorch.set_default_dtype(torch.float64)\n"
        + MODEL
    )
    try:
        run(folder)
        assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_run_killed_early_is_reported_as_it_stands(folder: Folder, symbench: Symbench) -> None:
    folder.write(symmetries="  flips: {group: D2, on: image}")
    asked = iter([False] * 3 + [True] * 9)
    with pytest.raises(sb.Interrupted):
        sb.run(folder.suite, results=folder.results, stopped=lambda: next(asked))
    ran = symbench("report", "--results", folder.results, "--exit-code")
    assert ran.code == 3
    assert "not measured yet" in ran.out
    assert "turns on blobs" in ran.out


def test_regressions_of_one_number_without_an_axis(folder: Folder) -> None:
    folder.write(
        data="import torch\nfrom symbench.domains.common.datasets.base import Arrays\nfrom symbench.fields import Image, Scalar\n"
        "def load():\n    x = torch.rand(9, 1, 5, 5)\n    return Arrays({'image': x}, {'y': x.mean((1, 2, 3))}, fields={'image': Image()}, target_fields={'y': Scalar()})\n",
        model="from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x.mean((1, 2, 3))\ndef build():\n    return Net()\n",
    )
    frame = run(folder)
    assert pick(frame, "loss") < 1e-12
    assert pick(frame, "equivariance_error") < 1e-5


def test_torchvision_sets_run_from_a_suite(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_datasets import Fake
    from torchvision import datasets

    monkeypatch.setattr(datasets, "MNIST", Fake)
    (folder.path / "files").mkdir()
    (folder.path / "files" / "there").touch()
    folder.suite.write_text(
        "version: 1\nname: tv\ndatasets: {m: {use: torchvision/MNIST, root: files}}\nmodels: {cnn: {use: cnn, size: 9, train: {on: m, epochs: 1, batch: 2}}}\n"
        "symmetries: {turns: {group: C4, on: image}}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 0, ran.err
    edit(folder, "root: files", "root: nowhere")
    assert "download: true to fetch them" in symbench("run", folder.suite).err
    edit(folder, "MNIST, root: nowhere", "MNIST, rot: x")
    assert "got unknown key 'rot', expected one of" in symbench("run", folder.suite).err
