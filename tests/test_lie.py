"""Lie derivatives: closed forms, central differences, and what cannot be differentiated."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Folder
from test_evaluate import record, run

from symbench.algebra import actions, groups
from symbench.fields import Image
from symbench.measure.store import Store


def suite(folder: Folder, models: str, symmetry: str, data: str) -> pd.DataFrame:
    folder.suite.write_text(
        f"version: 1\nname: lie\ndatasets: {{data: {{{data}}}}}\nmodels:\n{models}symmetries: {{s: {symmetry}}}\n"
    )
    return run(folder)


def rows(frame: pd.DataFrame, metric: str, output: str | None = None) -> pd.DataFrame:
    found = frame[frame["metric"] == metric]
    return found if output is None else found[found["output"] == output]


WEIGHT = 0.7
ANALYTIC = {
    "rotation": ("angle", "{group: SO2, on: image, elements: 3}", ["rotation"], 1.0),
    "shifts": ("shift", "{group: R2, on: image, reach: 1, step: 1}", ["down", "right"], 1.0),
    "circular": ("shift", "{group: R2, on: image, reach: 1, step: 1, border: circular}", ["down", "right"], 1.0),
}


@pytest.mark.parametrize("case", list(ANALYTIC))
def test_an_analytic_model_has_its_closed_form(folder: Folder, case: str) -> None:
    """The code's only part that moves is ``w`` times a place: its derivative has length w for each generator."""
    reading, symmetry, generators, speed = ANALYTIC[case]
    (folder.path / "known.py").write_text(
        "from symbench.testing import KnownError, Marked\ndef load():\n    return Marked('spot', size=61)\n"
        f"def build():\n    return KnownError({reading!r}, {WEIGHT})\n"
    )
    frame = suite(folder, "  known: {use: 'known.py:build'}\n", symmetry, "use: 'known.py:load'")
    found = rows(frame, "lie_derivative", "code").set_index("element")["estimate"]
    dimension = 8 + 2
    assert list(found.index) == generators
    # the model's weight is float32's 0.7, which float64 takes over
    weight = float(torch.tensor(WEIGHT))
    for generator in generators:
        assert found[generator] == pytest.approx((weight * speed) ** 2 / dimension, rel=1e-6)
    slope = rows(frame, "lie_slope", "code").set_index("element")["estimate"]
    assert slope.to_numpy() == pytest.approx(weight * speed / math.sqrt(2), rel=1e-6)


VIT = """
import torch
from torch import nn

class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv2d(1, 32, 7, stride=7)
        self.place = nn.Parameter(torch.randn(1, 9, 32) * 0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(self.patch(x).flatten(2).transpose(1, 2) + self.place).mean(1))

class Smooth(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.GELU(), nn.Conv2d(8, 8, 3, stride=2), nn.Tanh())
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.net(x).mean((2, 3)))

class Detached(Smooth):
    def forward(self, x):
        return self.head(self.net(x).detach().mean((2, 3)))

class Straight(Smooth):
    def forward(self, x):
        y = self.net(x)
        with torch.no_grad():
            wrong = torch.from_numpy(y.detach().cpu().numpy() * 0)
        return self.head((y + wrong + (torch.from_numpy((y * y).detach().cpu().numpy()))).mean((2, 3)))
"""
NOISE = "import torch\ndef load():\n    return list(torch.rand(12, 1, 21, 21, generator=torch.Generator().manual_seed(0)))\n"


@pytest.mark.parametrize("symmetry", ["{group: SO2, on: image, elements: 3}", "{group: R2, on: image, step: 1}"])
def test_three_real_networks_agree_with_central_differences(folder: Folder, symmetry: str) -> None:
    (folder.path / "data.py").write_text(NOISE)
    (folder.path / "vit.py").write_text(VIT)
    models = "  vit: {use: 'vit.py:Vit'}\n  smooth: {use: 'vit.py:Smooth'}\n  cnn: {use: 'relu.py:build'}\n"
    (folder.path / "relu.py").write_text(
        "from symbench.domains.images.models.cnn import Cnn\ndef build():\n    return Cnn(shape=(1, 21, 21), outputs=10, width=8)\n"
    )
    frame = suite(folder, models, symmetry, "use: 'data.py:load'")
    forward, central = (
        rows(frame, m).set_index(["model", "element"]) for m in ("lie_derivative", "lie_derivative_central")
    )
    assert len(forward) in {3, 6}
    assert forward["estimate"].to_numpy() == pytest.approx(central["estimate"].to_numpy(), rel=1e-3)
    for name in ("vit", "smooth"):
        assert forward.loc[name]["estimate"].to_numpy() == pytest.approx(
            central.loc[name]["estimate"].to_numpy(), rel=1e-6
        )
    assert (central["estimate"] > 0).all()


def test_derivatives_that_do_not_pass_are_not_believed(folder: Folder) -> None:
    """A forward-mode value of zero where differences see a change, or far from them, is none; the differences stand."""
    (folder.path / "data.py").write_text(NOISE)
    (folder.path / "vit.py").write_text(VIT)
    models = "  dead: {use: 'vit.py:Detached'}\n  half: {use: 'vit.py:Straight'}\n  smooth: {use: 'vit.py:Smooth'}\n"
    frame = suite(folder, models, "{group: SO2, on: image, elements: 3}", "use: 'data.py:load'")
    forward = rows(frame, "lie_derivative").set_index("model")
    central = rows(frame, "lie_derivative_central").set_index("model")["estimate"].to_dict()
    reasons = forward["reason"].to_dict()
    smooth = forward["estimate"].to_dict()["smooth"]
    # what detach does to a forward-mode derivative differs between versions of torch; never may it be believed and wrong
    for name in ("dead", "half"):
        value = forward["estimate"].to_dict()[name]
        assert pd.isna(value) or value == pytest.approx(central[name], rel=0.25)
    assert pd.isna(forward["estimate"].to_dict()["half"])
    assert "central differences stand" in reasons["half"]
    assert central["dead"] == pytest.approx(smooth, rel=1e-6), "detach changes no value"
    assert rows(frame, "lie_slope").set_index("model")["reason"].to_dict()["half"] == "by central differences"


def test_groups_without_generators_say_so(folder: Folder) -> None:
    frame = run(folder)
    found = rows(frame, "lie_derivative").iloc[0]
    assert pd.isna(found["estimate"])
    assert found["reason"] == "there is no continuous generator with a derivative"


def test_image_outputs_turn_along(folder: Folder) -> None:
    """An isotropic filter commutes with infinitely small turns; a stretched one does not."""
    (folder.path / "filters.py").write_text((Path(__file__).parent / "filters.py").read_text())
    models = "  round: {use: 'filters.py:Filter'}\n  long: {use: 'filters.py:Filter', args: {stretch: 0.2}}\n"
    frame = suite(folder, models, "{group: SO2, on: image, elements: 3}", "use: 'filters.py:load'")
    slope = rows(frame, "lie_slope").set_index("model")["estimate"].to_dict()
    assert slope["round"] < 1e-3
    assert 0.05 < slope["long"] < 1


@pytest.mark.parametrize(("name", "symmetry"), [("SO2", {}), ("R2", {"reach": 1.0, "step": 1.0})])
@pytest.mark.parametrize("size", [20, 21])
def test_generators_are_the_derivatives_of_their_flows(name: str, symmetry: dict[str, float], size: int) -> None:
    group = groups.load(name, dict(symmetry))
    action = actions.load(group, name, Image(), dict(symmetry), on=Image())
    x = torch.rand(2, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for generator in action.generators().values():
        h = 1e-5
        central = (generator.flow(x, h) - generator.flow(x, -h)) / (2 * h)
        exact = generator.derivative(x)
        assert float((central - exact).norm() / exact.norm()) < 1e-6
        assert torch.equal(generator.flow(x, 0.0).round(decimals=12), x.round(decimals=12))


def test_the_rows_are_in_the_cell(folder: Folder) -> None:
    folder.suite.write_text(
        folder.suite.read_text().replace("{group: C4, on: image}", "{group: SO2, on: image, elements: 3}")
    )
    run(folder)
    found, _ = record(folder)
    assert [(g.label, g.unit) for g in found.generators] == [("rotation", "rad")]
    controls = set(Store(folder.results).controls(found.key).to_pandas()["control"])
    assert {"Lie forward", "Lie central", "Lie gap"} <= controls


CLAMPED = """
import torch
from torch import nn
from symbench.fields import Axis, Point, Vector

class Clamped(nn.Module):
    inputs = {"positions": Point().over(Axis("particles")), "velocities": Vector().over(Axis("particles"))}
    outputs = {"final_positions": Point().over(Axis("particles"))}

    def forward(self, positions, velocities):
        return positions + torch.tanh(velocities)
"""


def test_a_product_has_the_generators_of_its_factors(folder: Folder) -> None:
    """Permutations have none and stand still along those of rotations: the same numbers as under rotations alone."""
    (folder.path / "clamped.py").write_text(CLAMPED)
    frames = {}
    for group in ("SO3", "S x SO3"):
        folder.suite.write_text(
            "version: 1\nname: lie\ndatasets: {bodies: {use: n-body, samples: 24}}\n"
            "models: {clamped: {use: 'clamped.py:Clamped'}}\n"
            f"symmetries: {{s: {{group: {group}, on: positions, elements: 2}}}}\nnumerics: {{dtype: float64}}\n"
        )
        frames[group] = rows(run(folder), "lie_slope").set_index("element")["estimate"]
    alone, both = frames["SO3"], frames["S x SO3"]
    assert list(alone.index) == [f"rotation {axis}" for axis in "xyz"]
    assert list(both.index) == [f"SO3 {name}" for name in alone.index]
    assert both.to_numpy() == pytest.approx(alone.to_numpy(), rel=1e-9)
    assert (alone > 0.01).all(), "a component-wise function is no function of vectors"
