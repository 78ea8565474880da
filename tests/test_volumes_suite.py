"""suites/volumes.yaml with few samples and little training: what is exact whatever was learnt, and what is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT, Symbench

from symbench.face.api import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "suites" / "volumes.yaml").read_text()
    text = re.sub(r"samples: \d+", "samples: 8", re.sub(r"epochs: \d+", "epochs: 1", text))
    folder = tmp_path_factory.mktemp("volumes")
    text = re.sub(r"width: \d+", "width: 2", text).partition("\ngates:")[0]
    (folder / "volumes.yaml").write_text(text + "controls: {share: 0, floor: 0}\n")
    return folder


def test_kernels_of_all_symmetries_hold_without_being_learnt(small: Path, symbench: Symbench) -> None:
    ran = symbench("run", small / "volumes.yaml", "--results", small / "results")
    assert ran.code == 0, ran.err
    said = "D4h stands for Oh: its 16 elements that map 9 x 17 x 17 places at distances 2 x 1 x 1 to themselves"
    assert f"cube on bodies: {said}" in ran.err
    frame = open_run(results=small / "results").estimates()
    errors = frame[(frame.metric == "equivariance_error") & frame.element.isna() & frame.stratum.isna()]
    for model in ("oh-unet", "oh-cnn"):
        assert (errors[errors.model == model].estimate < 5e-5).all(), model
    for model in ("unet", "cnn"):
        assert (errors[errors.model == model].estimate > 1e-3).all(), model
    bodies = errors[(errors.dataset == "bodies") & (errors.symmetry == "cube")]
    assert len(bodies) == 2
    assert bodies.remark.str.contains(said, regex=False).all()
    counts = errors[errors.dataset == "counts"]
    assert not counts.remark.fillna("").str.contains("stands for").any()  # 9 x 9 x 9 places keep all of Oh
    elements = frame[(frame.metric == "equivariance_error") & frame.element.notna()]
    assert elements[(elements.dataset == "bodies") & (elements.symmetry == "cube")].element.nunique() in {15, 16}
    assert elements[elements.dataset == "counts"].element.nunique() in {47, 48}
