"""Whose fault: the split by the reference action against closed forms, and what cannot be attributed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Folder
from filters import Filter, load, truth
from test_evaluate import run

from symbench.algebra import actions, groups
from symbench.fields import Image

EIGHTH = [45.0, 135.0, 225.0, 315.0]
HERE = Path(__file__).parent


def split(folder: Folder, models: str, symmetry: str) -> pd.DataFrame:
    shutil.copy(HERE / "filters.py", folder.path)
    folder.suite.write_text(
        "version: 1\nname: split\ndatasets: {noise: {use: 'filters.py:load'}}\n"
        f"models:\n{models}symmetries: {{turns: {symmetry}}}\n"
    )
    frame = run(folder)
    frame = frame[frame["element"].isna()]
    return frame.drop_duplicates(["model", "metric"]).set_index(["model", "metric"])


STRETCHED = (
    "  s00: {use: 'filters.py:Filter', args: {stretch: 0.0}}\n"
    "  s05: {use: 'filters.py:Filter', args: {stretch: 0.05}}\n"
    "  s10: {use: 'filters.py:Filter', args: {stretch: 0.1}}\n"
    "  s20: {use: 'filters.py:Filter', args: {stretch: 0.2}}\n"
)
S05 = "  s05: {use: 'filters.py:Filter', args: {stretch: 0.05}}\n"


def value(found: pd.DataFrame, model: str, metric: str) -> float:
    return float(found["estimate"].to_dict()[model, metric])


def reason(found: pd.DataFrame, model: str, metric: str) -> object:
    return found["reason"].fillna("").to_dict()[model, metric]


@pytest.mark.parametrize("interpolation", ["bilinear", "fourier"])
def test_the_models_share_of_a_stretched_filter_is_its_closed_form(folder: Folder, interpolation: str) -> None:
    """In order, and within 5 % of the truth, whatever the suite resamples with; and the columns add up."""
    found = split(folder, STRETCHED, f"{{group: C8, on: image, interpolation: {interpolation}}}")
    shares = [value(found, name, "model_error") for name in ("s00", "s05", "s10", "s20")]
    assert shares == sorted(shares)
    for share, stretch in zip(shares[1:], (0.05, 0.1, 0.2), strict=True):
        assert share == pytest.approx(truth(stretch, EIGHTH), rel=0.05)
    assert shares[0] < 2e-4
    assert reason(found, "s00", "model_error") == "not resolved: no more than the reference's own error"
    assert shares[0] <= found["floor"].to_dict()["s00", "model_error"]
    assert reason(found, "s05", "model_error") == ""
    for name in ("s00", "s05", "s10", "s20"):
        total, model, rest = (value(found, name, m) for m in ("split_error", "model_error", "remainder_error"))
        assert total**2 == pytest.approx(model**2 + rest**2 + value(found, name, "cross_term"), rel=1e-9)
    if interpolation == "bilinear":
        # squares of the shares must not be subtracted: the cross term is no rounding
        assert value(found, "s20", "remainder_error") > 0.01
        assert abs(value(found, "s20", "cross_term")) > 0.1 * value(found, "s20", "remainder_error") ** 2


def test_the_round_trip_acquits_what_the_split_convicts(folder: Folder) -> None:
    """By the round trip all of a 5 % stretch's error would be resampling; it is the model's, as the split says."""
    group = groups.load("C8", {})
    act = actions.load(group, "C8", Image(), {}, on=Image())
    x = torch.stack(load())
    g = group.elements()[1:2]
    with torch.no_grad():
        net = Filter(0.05)
        back = act.act(group.inverse(g), act.act(g, x)[0])[0]
        round_trip = float((net(back) - net(x)).norm())
        total = float((net(act.act(g, x)[0]) - act.act(g, net(x))[0]).norm())
    assert round_trip > total, "so the round trip would blame resampling alone"
    found = split(folder, S05, "{group: C8, on: image}")
    assert value(found, "s05", "model_error") == pytest.approx(truth(0.05, EIGHTH), rel=0.2)


def test_the_blur_trap(folder: Folder) -> None:
    """An exactly symmetric filter against an anisotropic blur: E over bilinear turns ranks them wrongly."""
    models = (
        "  exact: {use: 'filters.py:Filter', args: {stretch: 0.0, sigma: 1.2}}\n"
        "  blur: {use: 'filters.py:Filter', args: {stretch: 0.02, sigma: 2.5, blur: true}}\n"
    )
    found = split(folder, models, "{group: C8, on: image}")
    by_error = {name: value(found, name, "split_error") for name in ("exact", "blur")}
    by_share = {name: value(found, name, "model_error") for name in ("exact", "blur")}
    assert by_error["exact"] > by_error["blur"], "the trap: blur looks more equivariant than exactness"
    assert by_share["exact"] < 0.1 * by_share["blur"], "the model's share ranks them rightly"
    assert by_share["blur"] == pytest.approx(truth(0.02, EIGHTH, sigma=2.5, blur=True), rel=0.2)


def test_what_has_no_reference_action_is_not_attributable(folder: Folder) -> None:
    found = split(folder, S05, "{group: scalings, on: image, elements: 2}")
    assert pd.isna(value(found, "s05", "model_error"))
    assert reason(found, "s05", "model_error") == "not attributable: there is no reference action"


def test_permutations_have_nothing_to_split(folder: Folder) -> None:
    found = split(folder, S05, "{group: C4, on: image}")
    assert reason(found, "s05", "model_error") == "no element is resampled: all of the error is the model's"


def test_sub_pixel_shifts_are_split_too(folder: Folder) -> None:
    """A convolution commutes with every shift, and linear filters with linear interpolation."""
    found = split(folder, S05, "{group: R2, on: image, reach: 1, step: 0.5}")
    assert value(found, "s05", "model_error") < 1e-4
    assert value(found, "s05", "split_error") < 1e-4
