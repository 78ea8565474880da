"""Ten thousand real images: Fashion-MNIST as Debian packages it, through torchvision's own reader."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Folder
from test_evaluate import pick, record, run

PACKAGED = Path("/usr/share/datasets/fashion-mnist")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PACKAGED.is_dir(), reason="needs Debian's package dataset-fashion-mnist"),
]


def test_all_test_images_run_through_torchvision(folder: Folder) -> None:
    raw = folder.path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in PACKAGED.glob("*.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    (folder.path / "net.py").write_text(
        "import torch\nfrom torch import nn\ndef build():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
    )
    folder.suite.write_text(
        "version: 1\nname: fashion\ndatasets: {fashion: {use: torchvision/FashionMNIST, root: data}}\n"
        "models: {linear: {use: 'net.py:build'}}\nsymmetries: {turns: {group: C4, on: image}}\n"
    )
    frame = run(folder)
    _, rows = record(folder)
    assert len(rows) == 4 * 10_000
    labels = rows[rows["element"] == 0].sort_values("sample")["target"].to_numpy()
    with gzip.open(PACKAGED / "t10k-labels-idx1-ubyte.gz") as file:
        assert (labels == np.frombuffer(file.read()[8:], dtype=np.uint8)).all()
    assert set(np.bincount(labels)) == {1000}
    assert 0 < pick(frame, "accuracy") < 0.4, "it was never trained"
    assert pick(frame, "equivariance_error") > 0.5
