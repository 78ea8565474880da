"""suites/maps.yaml with few samples and little training: what is exact whatever was learnt, and under which shifts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT, Symbench

from symbench.face.api import open_run

pytestmark = pytest.mark.slow


def test_what_is_built_in_holds_without_being_learnt(tmp_path: Path, symbench: Symbench) -> None:
    text = (ROOT / "suites" / "maps.yaml").read_text()
    text = re.sub(r"samples: \d+", "samples: 8", re.sub(r"epochs: \d+", "epochs: 1", text))
    text = re.sub(r"elements: \d+", "elements: 2", text)
    (tmp_path / "maps.yaml").write_text(text.partition("\ngates:")[0] + "\ncontrols: {share: 0, floor: 0}\n")
    ran = symbench("run", tmp_path / "maps.yaml", "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    frame = open_run(results=tmp_path / "results").estimates()
    error = frame[frame.metric == "equivariance_error"]
    whole = error[error.element.isna()].set_index(["model", "symmetry"]).estimate
    assert whole.index.is_unique
    for symmetry in ("quarter-turns", "shifts", "rolls"):
        assert whole["pixel-mlp", symmetry] < 1e-4
    assert whole["circular-fcn", "rolls"] < 1e-4
    assert whole["p4-unet", "quarter-turns"] < 1e-4
    for pair in (("circular-fcn", "quarter-turns"), ("p4-unet", "rolls"), ("half-p4", "mirrors"), ("unet", "shifts")):
        assert whole[pair] > 1e-3
    rows = error[error.element.notna() & (error.symmetry == "rolls") & (error.model == "unet")]
    assert len(rows) == 80
    for label, estimate in zip(rows.element, rows.estimate, strict=True):
        shift = [int(each) for each in re.findall(r"[+-]\d+", label)]
        assert (estimate < 1e-4) == all(by % 4 == 0 for by in shift), label
