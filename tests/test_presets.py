"""Published protocols, each against the protocol written out again in a few independent lines."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Folder, Symbench
from test_evaluate import pick, record, run
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from symbench.domains.common.models.base import Model
from symbench.domains.common.presets import PRESETS
from symbench.measure.store import Store

SIZE, SAMPLES = 21, 30
NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 8, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
    net[3].weight.data *= 8
    return net
"""
DATA = """
import torch
def load():
    g = torch.Generator().manual_seed(0)
    return [(x, int(x.mean() * 1e4) % 4) for x in torch.rand({samples}, 1, {side}, {side}, generator=g)]
"""


def images(side: int) -> Tensor:
    return torch.rand(SAMPLES, 1, side, side, generator=torch.Generator().manual_seed(0))


def labels(x: Tensor) -> Tensor:
    return torch.tensor([int(image.mean() * 1e4) % 4 for image in x])


def network() -> nn.Module:
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    built: nn.Module = namespace["build"]()
    return built.eval()


def predict(x: Tensor) -> Tensor:
    with torch.no_grad():
        return network()(x).argmax(1)


def measure(folder: Folder, preset: str, side: int = SIZE, more: str = "") -> pd.DataFrame:
    (folder.path / "net.py").write_text(NET)
    (folder.path / "images.py").write_text(DATA.format(samples=SAMPLES, side=side))
    folder.suite.write_text(
        "version: 1\nname: preset\ndatasets: {images: {use: 'images.py:load'}}\n"
        f"models: {{net: {{use: 'net.py:build', size: {SIZE}}}}}\nsymmetries: {{s: {{preset: {preset}{more}}}}}\n"
    )
    return run(folder)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Every batch of pixels that a model is shown."""
    batches: list[Tensor] = []
    original = Model.__call__

    def call(self: Model, leaves: Mapping[str, Tensor], images: Sequence[str] = (), **more: Any) -> dict[str, Tensor]:
        batches.append(leaves["image"].float().clone())
        return original(self, leaves, images, **more)

    monkeypatch.setattr(Model, "__call__", call)
    return batches


def assert_shown(shown: list[Tensor], expected: Tensor, tolerance: float) -> None:
    """Every expected image was shown to the model, pixel by pixel."""
    seen = torch.cat([batch for batch in shown if batch.shape[1:] == expected.shape[1:]]).flatten(1)
    for image in expected.flatten(1):
        assert float((seen - image).abs().amax(1).min()) <= tolerance


def views(folder: Folder) -> list[list[dict[str, float]]]:
    """``[view][sample]`` to the parameters of the element, samples in the dataset's order."""
    found, _ = record(folder)
    table = Store(folder.results).views(found.key)
    assert table is not None
    rows = table.to_pandas().sort_values(["element", "sample"])
    return [[dict(p) for p in group["parameters"]] for _, group in rows.groupby("element")]


def test_consistency_crops(folder: Folder, shown: list[Tensor]) -> None:
    x = images(SIZE + 32)
    frame = measure(folder, "consistency-crops", side=SIZE + 32)
    offsets = [[(16 - int(p["dy_px"]), 16 - int(p["dx_px"])) for p in view] for view in views(folder)]
    crops = [torch.stack([x[i, :, t : t + SIZE, s : s + SIZE] for i, (t, s) in enumerate(view)]) for view in offsets]
    assert_shown(shown, torch.cat(crops), 0.0)
    one, other = map(predict, crops)
    assert pick(frame, "consistency") == pytest.approx(float((one == other).float().mean()))
    assert 0.1 < pick(frame, "consistency") < 1
    drawn = np.array(offsets).reshape(-1)
    assert drawn.min() >= 0
    assert drawn.max() <= 31
    assert len(set(drawn.tolist())) > 25, "all of 0 to 31 can come"
    assert offsets[0] != offsets[1]
    assert len(set(offsets[0])) > 20, "every image has its own"


def test_shift_diagonal(folder: Folder, shown: list[Tensor]) -> None:
    x = images(SIZE + 8)
    frame = measure(folder, "shift-diagonal", side=SIZE + 8)
    before, after = views(folder)
    shifted, probabilities = [], []
    for view in (before, after):
        crops = torch.stack(
            [
                x[i, :, 4 - int(p["dy_px"]) :, 4 - int(p["dx_px"]) :][:, :SIZE, :SIZE]
                for i, p in enumerate(view)
            ]
        )  # fmt: skip
        assert_shown(shown, crops, 0.0)
        shifted.append(predict(crops))
        with torch.no_grad():
            probabilities.append(network()(crops).softmax(1))
    assert all(b["dy_px"] - a["dy_px"] == b["dx_px"] - a["dx_px"] == 1 for a, b in zip(before, after, strict=True))
    assert pick(frame, "flip_rate") == pytest.approx(float((shifted[0] != shifted[1]).float().mean()))
    top = shifted[0][:, None]
    change = (probabilities[1].gather(1, top) - probabilities[0].gather(1, top)).abs().mean()
    assert pick(frame, "confidence_change") == pytest.approx(float(change), rel=1e-5)
    assert {int(p["dy_px"]) for p in before} <= set(range(-4, 4))


def test_roll(folder: Folder, shown: list[Tensor]) -> None:
    x = images(SIZE)
    frame = measure(folder, "roll-3")
    rolled = [
        torch.stack([torch.roll(x[i], (int(p["dy_px"]), int(p["dx_px"])), (1, 2)) for i, p in enumerate(view)])
        for view in views(folder)
    ]
    assert_shown(shown, torch.cat(rolled), 0.0)
    one, other = map(predict, rolled)
    assert pick(frame, "consistency") == pytest.approx(float((one == other).float().mean()))


def spatially(x: Tensor, degrees: float, down: float, right: float) -> Tensor:
    """One image turned about its centre and then shifted, bilinear, zeros beyond: torch's own affine grid."""
    a = np.radians(degrees)
    half = (x.shape[-1] - 1) / 2
    # output to input, x to the right and y down, in units of half the image: undo the shift, then turn back
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    shift = -turn @ np.array([right, down]) / half
    theta = torch.tensor(np.column_stack([turn, shift]), dtype=torch.float32)[None]
    grid = affine_grid(theta, [1, *x.shape], align_corners=True)
    return grid_sample(x[None], grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0]


def test_spatial_grid(folder: Folder, shown: list[Tensor]) -> None:
    x = images(SIZE)
    frame = measure(folder, "spatial-grid")
    grid = itertools.product(np.linspace(-3, 3, 5), np.linspace(-3, 3, 5), np.linspace(-30, 30, 31))
    right = torch.stack(
        [predict(torch.stack([spatially(i, a, dy, dx) for i in x])) == labels(x) for dy, dx, a in grid]
    )
    assert right.shape[0] == 775
    some = [(3.0, -1.5, 30.0), (0.0, 0.0, -2.0), (-3.0, 3.0, 14.0), (1.5, 0.0, 0.0)]
    assert_shown(shown, torch.stack([spatially(i, a, dy, dx) for dy, dx, a in some for i in x[:5]]), 2e-5)
    found, _ = record(folder)
    assert len(found.elements) == 775, "the identity is one of them"
    assert pick(frame, "worst_case_accuracy") == pytest.approx(float(right.all(0).float().mean()), abs=0.04)
    assert pick(frame, "orbit_accuracy") == pytest.approx(float(right.float().mean()), abs=2e-3)


def test_spatial_worst10(folder: Folder) -> None:
    x = images(SIZE)
    frame = measure(folder, "spatial-worst10", more=", reach: 2.0, angle: 20.0")
    seen = views(folder)
    assert len(seen) == 11
    assert all(p == {"angle_deg": 0.0, "dy_px": 0.0, "dx_px": 0.0} for p in seen[0])
    right = torch.stack(
        [
            predict(
                torch.stack([spatially(x[i], p["angle_deg"], p["dy_px"], p["dx_px"]) for i, p in enumerate(view)])
            )
            == labels(x)
            for view in seen[1:]
        ]
    )
    assert pick(frame, "worst_case_accuracy") == pytest.approx(float(right.all(0).float().mean()), abs=1e-6)
    assert pick(frame, "orbit_accuracy") == pytest.approx(float(right.float().mean()), abs=1e-6)
    drawn = np.array([[p["angle_deg"] / 20, p["dy_px"] / 2, p["dx_px"] / 2] for view in seen[1:] for p in view])
    assert np.abs(drawn).max() <= 1
    assert np.abs(drawn).max() > 0.95


def test_fractional_shift(folder: Folder, shown: list[Tensor]) -> None:
    x = images(SIZE).double()
    frame = measure(folder, "fractional-shift")
    places = torch.fft.fftfreq(SIZE, dtype=torch.float64)
    still, same = predict(x.float()), []
    for dy, dx in itertools.product(np.arange(-1, 1.5, 0.5), repeat=2):
        if dy or dx:
            phase = torch.exp(-2j * torch.pi * (places[:, None] * dy + places[None, :] * dx))
            moved = torch.fft.ifft2(torch.fft.fft2(x) * phase).real.float()
            assert_shown(shown, moved[:3], 1e-5)
            same.append(predict(moved) == still)
    assert len(same) == 24
    assert pick(frame, "consistency") == pytest.approx(float(torch.stack(same).float().mean()), abs=2e-3)


def test_c4_and_d4(folder: Folder) -> None:
    x = images(SIZE)
    frame = measure(folder, "c4")
    right = torch.stack([predict(torch.rot90(x, k, (2, 3))) == labels(x) for k in range(4)])
    assert pick(frame, "orbit_accuracy") == pytest.approx(float(right.float().mean()))
    frame = measure(folder, "d4")
    moved = [torch.rot90(y, k, (2, 3)) for k in range(4) for y in (x, x.flip(3))]
    right = torch.stack([predict(y) == labels(x) for y in moved])
    assert pick(frame, "orbit_accuracy") == pytest.approx(float(right.float().mean()))


def test_so2(folder: Folder) -> None:
    """torchvision's rotation of the masked image."""
    from torchvision.transforms.functional import InterpolationMode, rotate

    from symbench.domains.images.actions.border import apply_disc

    x = apply_disc(images(SIZE), 4.0, 0.0)
    frame = measure(folder, "so2-7")
    y = labels(images(SIZE))
    right = torch.stack([predict(rotate(x, 45.0 * k, InterpolationMode.BILINEAR)) == y for k in range(8)])
    assert pick(frame, "orbit_accuracy", elements="all") == pytest.approx(float(right.float().mean()), abs=0.01)


def test_patches(folder: Folder, shown: list[Tensor]) -> None:
    """Every image that is shown is one of the originals with its nine patches in another order, 20 orders in all."""
    x = images(SIZE)
    frame = measure(folder, "patches-9", more=", elements: 20")
    side = SIZE // 3

    def cut(image: Tensor) -> list[bytes]:
        return [
            image[0, r : r + side, c : c + side].numpy().tobytes()
            for r in range(0, SIZE, side)
            for c in range(0, SIZE, side)
        ]

    home = {patch: (i, place) for i, image in enumerate(x) for place, patch in enumerate(cut(image))}
    orders: dict[tuple[int, ...], dict[int, Tensor]] = {}
    for image in torch.cat([batch for batch in shown if batch.dtype == torch.float32 and batch.shape[-1] == SIZE]):
        found = [home[patch] for patch in cut(image)]
        assert len({i for i, _ in found}) == 1, "patches stay with their image"
        order = tuple(place for _, place in found)
        assert sorted(order) == list(range(9))
        orders.setdefault(order, {})[found[0][0]] = image
    whole = {order: by_image for order, by_image in orders.items() if len(by_image) == SAMPLES}
    assert len(whole) == 21, "twenty orders and none other, each of every image"
    still = predict(x)
    same = [
        (predict(torch.stack([by_image[i] for i in range(SAMPLES)])) == still).float().mean()
        for order, by_image in whole.items()
        if order != tuple(range(9))
    ]
    assert pick(frame, "consistency") == pytest.approx(float(torch.stack(same).mean()))


def test_views_depend_on_neither_batch_size_nor_number_of_samples(folder: Folder) -> None:
    measure(folder, "spatial-worst10")
    whole = views(folder)
    found, rows = record(folder)
    for choices in ({"batch": 7}, {"limit": 11}):
        folder.results.rename(folder.path / f"results-{next(iter(choices))}")
        run(folder, **choices)
        again, other = record(folder)
        kept = sorted(other["sample"].unique())
        assert [[whole[k][i] for i in kept] for k in range(11)] == views(folder)
        merged = rows.merge(other, on=["sample", "element"], suffixes=("", "_other"))
        assert len(merged) == len(other)
        assert (merged["prediction"] == merged["prediction_other"]).all()
        assert np.allclose(merged["deviation_sq"], merged["deviation_sq_other"], atol=1e-9)
        assert again.elements_how == found.elements_how == "per sample"


def test_results_do_not_depend_on_the_number_of_threads(folder: Folder) -> None:
    measure(folder, "so2-7")
    _, rows = record(folder)
    before = torch.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    try:
        folder.results.rename(folder.path / "other")
        run(folder)
    finally:
        torch.set_num_threads(before)
    _, other = record(folder)
    assert (rows["prediction"] == other["prediction"]).all()
    assert np.allclose(rows["deviation_sq"], other["deviation_sq"], atol=1e-9)


def test_every_preset_has_a_test_here() -> None:
    tested = {"c4", "d4", "so2-<k>", "roll-<k>", "consistency-crops", "shift-diagonal", "spatial-grid",
              "spatial-worst10", "fractional-shift", "patches-<k>"}  # fmt: skip
    assert set(PRESETS.names()) == tested


BAD = {
    "unknown": ("{preset: consistency-crop}", ["got preset 'consistency-crop'", "Did you mean 'consistency-crops'"]),
    "fixed": ("{preset: roll-3, border: zero}", ["preset roll-3 says what border is", "Write the symmetry out"]),
    "strange": ("{preset: c4, elements: 2}", ["got 'elements' beside preset c4"]),
    "no text": ("{preset: 4}", ["symmetries.s.preset: got 4"]),
    "reference": ("{group: C4, on: image, reference: drawn}", ["reference: drawn needs draw: per-sample"]),
    "neighbour": (
        "{group: C4, on: image, draw: per-sample, reference: neighbour}",
        ["got reference: neighbour with C4"],
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_what_is_wrong_is_said(folder: Folder, symbench: Symbench, case: str) -> None:
    entry, said = BAD[case]
    folder.suite.write_text(folder.suite.read_text().replace("turns: {group: C4, on: image}", f"s: {entry}"))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err
    for text in said:
        assert text in ran.err
    assert "small.yaml:" in ran.err
