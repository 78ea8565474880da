"""What averaging over the orbit buys, against loops and closed forms; and the sum that losses over it have to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CaseOf, Symbench
from scipy.special import expit
from sklearn.metrics import log_loss

PIXELS = torch.rand(24, 1, 9, 9, generator=torch.Generator().manual_seed(5))[:, 0].double().numpy()
"""The images of the case."""
STEPS = np.arange(9) - 4
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
"""A quarter turn, counter-clockwise, of x to the right and y up."""


def places(pixels: np.ndarray) -> np.ndarray:
    """The mean place of images' brightness, ``(n, 2)``."""
    return np.stack([(pixels * STEPS).mean((1, 2)), (pixels * -STEPS[:, None]).mean((1, 2))], 1)


def numbers(frame: pd.DataFrame, model: str, symmetry: str = "turns") -> dict[str, float]:
    """A model's estimates over all elements."""
    mine = frame[(frame["model"] == model) & (frame["symmetry"] == symmetry) & frame["element"].isna()]
    return dict(zip(mine["metric"], mine["estimate"], strict=True))


def test_the_gain_is_the_loops_and_the_closed_forms(case: CaseOf) -> None:
    net = case("vectors")
    assert net.run().code == 0
    frame, target = net.frame(), places(PIXELS)
    torch.manual_seed(0)
    weight = (torch.randn(81, 2, dtype=torch.float64) / 81).numpy()
    moved = [np.rot90(PIXELS, k, (1, 2)).reshape(24, 81) @ weight for k in range(4)]
    back = np.array([f @ np.linalg.matrix_power(TURN, k) for k, f in enumerate(moved)])  # v M is M^-1 v
    orbit, averaged = ((back - target) ** 2).mean(), ((back.mean(0) - target) ** 2).mean()
    found = numbers(frame, "linear")
    assert found["orbit_loss"] == pytest.approx(orbit, rel=1e-5)  # pixels are float32 on their way
    assert found["averaged_loss"] == pytest.approx(averaged, rel=1e-5)
    assert found["symmetrisation_gain"] == pytest.approx(orbit - averaged, rel=1e-5)
    assert found["symmetrisation_gain"] == pytest.approx(back.var(axis=0).mean(), rel=1e-5)
    assert found["symmetrisation_residual"] < 1e-14
    constant = numbers(frame, "off")  # the mean of a vector's four turns is 0
    assert constant["symmetrisation_gain"] == pytest.approx((0.3**2 + 0.4**2) / 2, rel=1e-12)
    assert constant["averaged_loss"] < 1e-30
    row = frame[(frame["metric"] == "symmetrisation_gain") & (frame["model"] == "linear")].iloc[0]
    assert row["low"] < row["estimate"] < row["high"]
    assert frame[frame["metric"] == "symmetrisation_residual"]["reason"].isna().all()


def test_targets_that_move_otherwise_than_outputs_are_caught(case: CaseOf, symbench: Symbench) -> None:
    net = case("vectors")
    net.edit('"data.py:load"', '"data.py:load", args: {field: scalar}')
    ran = net.run()
    said = "on 24 of 24 samples the loss over the orbit is not that of the averaged output plus the orbit's variance"
    assert said in " ".join(ran.out.split())
    found = numbers(net.frame(), "off")
    # of |y + v - M^-1 y|^2, with the turns of v and y: |y|^2 and |v|^2 miss each other's products alone
    assert found["symmetrisation_residual"] > 0.01
    assert symbench("report", "--results", net.results, "--output", net.path / "r", "--format", "html,md").code == 0
    assert "Targets are moved otherwise than outputs" in Path(net.path / "r" / "report.html").read_text()
    assert said.removeprefix("on 24 of 24 samples ") in Path(net.path / "r" / "report.md").read_text()


def test_maps_are_moved_back_where_nothing_is_lost(case: CaseOf) -> None:
    net = case("vectors")
    net.edit('"data.py:load"', '"data.py:load", args: {maps: true}')
    net.edit(
        'off:    {use: "model.py:off", outputs: {place: vector}}',
        'ramp: {use: "model.py:ramp", outputs: {maps: image}}',
    )
    net.edit('  linear: {use: "model.py:linear", outputs: {place: vector}}\n', "")
    net.edit("{group: C4, on: image}", "{group: C4, on: image}\n  rotations: {group: SO2, on: image, elements: 4}")
    assert net.run().code == 0
    frame = net.frame()
    found = numbers(frame, "ramp")
    ramp = np.linspace(-1, 1, 9)  # of its four turns the mean is 0
    assert found["symmetrisation_gain"] == pytest.approx((ramp**2).mean(), rel=1e-6)
    assert found["averaged_loss"] == pytest.approx(((2 * PIXELS) ** 2).mean(), rel=1e-6)
    assert found["symmetrisation_residual"] < 1e-14
    turned = frame[(frame["symmetry"] == "rotations") & (frame["metric"] == "symmetrisation_gain")].iloc[0]
    assert turned["status"] == "undefined"
    assert "outputs that lose nothing when they are moved back" in turned["reason"]


def test_probabilities_are_averaged_over_the_elements_that_keep_the_label(case: CaseOf) -> None:
    """Weights that do not add up to 1 would say no too often: a mean of 0.6 over three of four elements is no 0.45."""
    net = case("vectors")
    net.edit('"data.py:load"', '"data.py:sides"')
    net.edit(
        'off:    {use: "model.py:off", outputs: {place: vector}}',
        'yes: {use: "model.py:yes", outputs: {side: logits}}',
    )
    net.edit('  linear: {use: "model.py:linear", outputs: {place: vector}}\n', "")
    assert net.run().code == 0
    found = numbers(net.frame(), "yes")
    labels = places(PIXELS)[:, 0] > 0
    views = np.array([expit(40 * places(np.rot90(PIXELS, k, (1, 2)))[:, 0] + 0.5) for k in (0, 1, 3)])
    mean = views.mean(0)
    assert ((mean > 0.5) != (0.75 * mean > 0.5)).any(), "else it would not show"
    loss = np.mean([log_loss(labels, each) for each in views])
    right = np.mean([(each > 0.5) == labels for each in views])
    assert found["averaged_accuracy"] == pytest.approx(np.mean((mean > 0.5) == labels))
    assert found["averaged_loss"] == pytest.approx(log_loss(labels, mean), rel=1e-5)
    assert found["symmetrisation_gain"] == pytest.approx(loss - log_loss(labels, mean), rel=1e-5)
    assert found["symmetrisation_accuracy_gain"] == pytest.approx(np.mean((mean > 0.5) == labels) - right)
    assert np.isnan(found["symmetrisation_residual"])
