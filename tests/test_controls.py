"""Geometry, layers and label-changing elements."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Folder, Symbench
from test_evaluate import pick, record, run

from symbench.domains.images.models.p4_cnn import P4Cnn

P4 = (
    "from symbench.domains.images.models.p4_cnn import P4Cnn\nimport torch\n"
    "def build(size=33):\n    torch.manual_seed(0)\n    return P4Cnn(shape=(1, size, size), outputs=10, width=4)\n"
)


def suite(
    folder: Folder, digits: str, models: str, symmetry: str = "{group: C4, on: image}", controls: str = "{}"
) -> pd.DataFrame:
    (folder.path / "p4.py").write_text(P4)
    folder.suite.write_text(
        f"version: 1\nname: controls\ndatasets: {{digits: {{use: digits{digits}}}}}\nmodels: {{{models}}}\n"
        f"symmetries: {{s: {symmetry}}}\nscores: logits\ncontrols: {controls}\n"
    )
    return run(folder, limit=40)


def verdict(frame: pd.DataFrame, model: str) -> str:
    rows = frame[(frame["metric"] == "equivariance_error_float64") & (frame["model"] == model)]
    return str(rows.iloc[0]["reason"])


def test_an_even_size_under_strides_is_named_with_the_sizes_that_are_exact(folder: Folder) -> None:
    frame = suite(folder, ", size: 32", "p4: {use: 'p4.py:build'}, cnn: {use: cnn}")
    found = verdict(frame, "p4")
    assert found == "broken by the image's size of 32 px: exact at 29, 33, 41, 49 px"
    assert "precision does not matter" in verdict(frame, "cnn"), "no size is exact for it"
    # the sizes that are named are exact indeed, and the measured one is not
    torch.manual_seed(0)
    net = P4Cnn(shape=(1, 33, 33), outputs=10, width=4).double().eval()
    for size in (29, 33, 41, 49, 32, 31):
        x = torch.rand(2, 1, size, size, dtype=torch.float64)
        with torch.no_grad():
            off = float((net(torch.rot90(x, 1, (2, 3))) - net(x)).norm() / net(x).norm())
        assert (off < 1e-12) == (size % 4 == 1)


def test_an_exact_size_looks_no_further(folder: Folder) -> None:
    suite(folder, ", size: 33", "p4: {use: 'p4.py:build'}")
    found, _ = record(folder)
    assert list(found.sizes) == [33]
    assert found.sizes[33] < 1e-10
    assert found.controls["geometry"] is None


def test_a_model_of_one_size_says_so(folder: Folder) -> None:
    suite(folder, ", size: 17", "mlp: {use: mlp}")
    found, _ = record(folder)
    assert found.controls["geometry"] == "no other size that the model takes is exact"


def test_layers_show_where_equivariance_is_lost(folder: Folder) -> None:
    """Maps of p4 convolutions turn along only with their orientations; as plain images they are far off, logits exact."""
    layers = "layers: {features.0: Image, features.4: Image, head: Scalar}"
    frame = suite(
        folder, ", size: 17", f"p4: {{use: 'p4.py:build', {layers}}}, cnn: {{use: cnn, {layers}}}", controls="full"
    )
    rows = frame[frame["metric"] == "layer_error"].set_index(["model", "output"])["estimate"].to_dict()
    assert rows["p4", "head"] < 1e-5
    assert rows["p4", "features.0"] > 0.1, "the orientations move too, and the declared field says they do not"
    assert rows["cnn", "features.0"] > 0.01
    assert rows["cnn", "head"] == pytest.approx(pick(frame, "equivariance_error", model="cnn"), rel=0.05)


def test_a_layer_is_measured_as_by_hand(folder: Folder) -> None:
    (folder.path / "net.py").write_text(
        "import torch\nfrom torch import nn\ndef build():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(900, 10))\n"
    )
    frame = suite(folder, ", size: 17", "net: {use: 'net.py:build', layers: {'1': Image}}", controls="full")
    found = frame[frame["metric"] == "layer_error"].iloc[0]
    assert found["output"] == "1"
    _, rows = record(folder)
    from symbench.domains.images.datasets.digits import load

    samples = sorted(rows["sample"].unique())
    x = load(split="test", size=17).batch(samples).leaves["image"]
    torch.manual_seed(0)
    net = torch.nn.Conv2d(1, 4, 3)
    with torch.no_grad():
        a = torch.stack([net(torch.rot90(x, k, (2, 3))).relu() for k in (1, 2, 3)]).double()
        b = torch.stack([torch.rot90(net(x).relu(), k, (2, 3)) for k in (1, 2, 3)]).double()
    n = len(x)
    above = (a - b).square().flatten(2).sum(2).mean()
    below = torch.stack([(a[:, i] - b[:, j]).square().sum() / 3 for i in range(n) for j in range(n) if i != j]).mean()
    assert found["estimate"] == pytest.approx(float((above / below).sqrt()), rel=1e-5)


def test_a_layer_that_is_not_there_is_an_error(folder: Folder, symbench: Symbench) -> None:
    (folder.path / "p4.py").write_text(P4)
    folder.suite.write_text(
        "version: 1\nname: c\ndatasets: {digits: {use: digits}}\n"
        "models:\n  cnn:\n    use: cnn\n    layers: {featuers.0: Image}\nsymmetries: {s: {group: C4, on: image}}\n"
    )
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2
    assert "small.yaml:7: models.cnn.layers.featuers.0: got 'featuers.0', expected a submodule" in ran.err
    assert "Did you mean 'features.0'?" in ran.err


def test_a_layer_of_another_field_than_declared_is_a_reason(folder: Folder) -> None:
    frame = suite(folder, ", size: 17", "cnn: {use: cnn, layers: {head: Image}}")
    row = frame[frame["metric"] == "layer_error"].iloc[0]
    assert np.isnan(row["estimate"])
    assert "layer 'head' of shape (10,) cannot be moved as Scalar over the 2-D grid" in row["reason"]


def test_sixes_and_nines_leave_accuracy_near_half_turns(folder: Folder) -> None:
    from symbench.domains.images.datasets.digits import load

    folder.suite.write_text(
        "version: 1\nname: valid\ndatasets: {digits: {use: digits, size: 17}}\nmodels: {cnn: {use: cnn}}\n"
        "symmetries: {turns: {group: C4, on: image}, flips: {group: D1, on: image}}\n"
    )
    frame = run(folder)
    labels = load(split="test", size=17).batch(range(450)).targets["label"].numpy()
    changed = np.isin(labels, [6, 9])
    assert pick(frame, "excluded_pairs", symmetry="turns") == changed.sum() > 50
    assert pick(frame, "excluded_pairs", symmetry="flips") == 0
    for path in (folder.results / "cells").rglob("cell.json"):
        key = path.parent.name
        rows = sb_observations(folder, key)
        if rows["element"].max() == 3:
            break
    off = ~rows["valid"]
    assert set(rows[off]["element"]) == {2}
    assert set(rows[off]["target"]) == {6, 9}
    right = rows.pivot_table(index="sample", columns="element", values="correct", aggfunc="first").astype(float)
    right = right.mask(rows.pivot_table(index="sample", columns="element", values="valid", aggfunc="first") == 0)
    assert pick(frame, "orbit_accuracy", symmetry="turns") == pytest.approx(right.mean(axis=1).mean())
    assert pick(frame, "worst_case_accuracy", symmetry="turns") == pytest.approx(right.min(axis=1).mean())
    assert pick(frame, "worst_element_accuracy", symmetry="turns") == pytest.approx(right.mean(axis=0).min())


def sb_observations(folder: Folder, key: str) -> pd.DataFrame:
    from symbench.measure.store import Store

    return Store(folder.results).observations(key).to_pandas()


RULE = (
    "from symbench.testing import Blobs\n\n\nclass Pairs:\n"
    "    def __init__(self):\n        self.blobs = Blobs(24)\n"
    "    def __len__(self):\n        return 24\n"
    "    def __getitem__(self, i):\n        b = self.blobs.batch([i])\n"
    "        return b.leaves['image'][0], int(b.targets['label'][0])\n"
    "    def valid(self, label, element):\n        return {rule}\n\n\ndef load():\n    return Pairs()\n"
)


def test_a_users_own_rule_counts(folder: Folder) -> None:
    folder.write(data=RULE.replace("{rule}", "label != 1 or element['angle_deg'] != 90"))
    frame = run(folder)
    assert pick(frame, "excluded_pairs") == 8
    # another rule is another cell
    folder.write(data=RULE.replace("{rule}", "True"))
    frame = run(folder)
    assert pick(frame, "excluded_pairs") == 0
    assert len(list((folder.results / "cells").rglob("cell.json"))) == 2
    # a sample that no element keeps leaves accuracy altogether
    folder.write(data=RULE.replace("{rule}", "label == 0"))
    frame = run(folder)
    row = frame[frame["metric"] == "accuracy"].iloc[0]
    assert row["n"] == 8
    folder.write(data=RULE.replace("{rule}", "False"))
    row = run(folder).query("metric == 'accuracy'").iloc[0]
    assert np.isnan(row["estimate"])
    assert row["reason"] == "the element changes every label"


def test_a_rule_that_raises_fails_its_cell(folder: Folder, symbench: Symbench) -> None:
    folder.write(data=RULE.replace("{rule}", "element['angle']"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 3
    assert "asking which elements keep a label" in ran.err
    assert "KeyError" in ran.err
