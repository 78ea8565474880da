"""suites/points.yaml with few samples and little training: what is exact whatever was learnt, and what no half may be."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, Symbench

from symbench.face.api import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "suites" / "points.yaml").read_text()
    text = re.sub(r"samples: \d+", "samples: 32", re.sub(r"epochs: \d+", "epochs: 1", text))
    text = re.sub(r"elements: \d+", "elements: 3", text)
    folder = tmp_path_factory.mktemp("points")
    (folder / "points.yaml").write_text(text.partition("\ngates:")[0] + "controls: {share: 0, floor: 0}\n")
    return folder


def error(frame: pd.DataFrame, model: str, symmetry: str, stratum: str | None = None) -> float:
    rows = frame[(frame.metric == "equivariance_error") & frame.element.isna()]
    rows = rows[(rows.model == model) & (rows.symmetry == symmetry)]
    rows = rows[rows.stratum.isna() if stratum is None else rows.stratum == stratum]
    assert len(rows) == 1
    return float(rows.estimate.iloc[0])


def test_what_is_built_in_holds_without_being_learnt(small: Path, symbench: Symbench) -> None:
    ran = symbench("run", small / "points.yaml", "--results", small / "results")
    assert ran.code == 0, ran.err
    frame = open_run(results=small / "results").estimates()
    exact = ["exact-neurons", "exact-chiral", "exact-distances", "exact-frames"]
    for model in exact:
        for symmetry in ("z", "rotations", "order"):
            assert error(frame, model, symmetry) < 5e-5, (model, symmetry)
        assert error(frame, model, "reflections", "proper") < 5e-5
        mirrored = error(frame, model, "reflections", "improper")
        assert (mirrored > 1e-3) if model == "exact-chiral" else (mirrored < 5e-5), model
    for model in ("mlp", "pointnet-so3", "transformer-z"):
        assert error(frame, model, "rotations") > 1e-2
    hands = frame[(frame.metric == "accuracy") & (frame.dataset == "hands") & frame.element.isna()]
    blind = hands[hands.model.isin(["hand-frames", "hand-distances"])]
    assert len(blind) > 0
    assert blind.estimate.between(0.35, 0.65).all(), "one answer for both hands"
