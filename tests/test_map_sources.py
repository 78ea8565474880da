"""Sources whose models return maps or several outputs: programs with named outputs, segmentation, features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import Symbench
from torch import Tensor, nn

from symbench.algebra.fields import Logits, Scalar, Undeclared
from symbench.domains.common.models.outputs import InOrder, read
from symbench.domains.common.models.program import Program
from symbench.face.api import open_run
from symbench.fields import Grid

DATA = "from symbench.testing import Blobs\n\n\ndef load(split='test', size=16):\n    return Blobs(8, size=size, channels=3)\n"
SUITE = """\
version: 1
name: maps
datasets: {{d: {{use: "data.py:load", args: {args}}}}}
models:
{models}
symmetries: {{turns: {{group: C4, on: image}}}}
controls: {{samples: 4}}
"""


def write(folder: Path, models: str, args: str = "{}") -> Path:
    (folder / "data.py").write_text(DATA)
    suite = folder / "maps.yaml"
    suite.write_text(SUITE.format(models=models, args=args))
    return suite


class TwoHeads(nn.Module):
    """Class scores of the image, and maps at each pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.see, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.see(x)
        return self.head(maps.mean((2, 3))), maps


# Programs.


def test_outputs_in_order_go_by_their_names_where_one_is_declared() -> None:
    one, maps = torch.rand(5, 2), torch.rand(5, 4, 3, 3)
    returned = InOrder([one, maps], ["0", "masks"])
    fields = {"masks": Logits().over(Grid("image"))}
    assert torch.equal(read(returned, fields, 5, "m").outputs["masks"], maps), "by name"
    by_place = read(returned, {"first": Scalar(), "second": Scalar()}, 5, "m").outputs
    assert torch.equal(by_place["first"], one)
    assert torch.equal(by_place["second"], maps)
    found = read(returned, {"logits": Undeclared()}, 5, "m")
    assert torch.equal(found.outputs["logits"], one)
    assert found.remark is not None
    assert "the first is taken for its output" in found.remark


class Cut(Program):
    """A program that takes two images at a time."""

    def call(self, x: Tensor) -> InOrder:
        return InOrder([x.sum((1, 2, 3)), x], ["sums", "same"])


def test_names_stay_when_batches_are_cut() -> None:
    from symbench.domains.common.models.program import Batches

    x = torch.rand(5, 1, 2, 2)
    found = Cut(Batches(2, 2))(x)
    assert found.names == ("sums", "same")
    assert torch.equal(found[1], x)


@pytest.mark.slow
def test_an_onnx_program_has_outputs_of_its_own_names(tmp_path: Path, symbench: Symbench) -> None:
    net = TwoHeads().eval()
    torch.onnx.export(
        net, (torch.rand(2, 3, 16, 16),), tmp_path / "two.onnx", dynamo=True, verbose=False,
        dynamic_shapes=({0: torch.export.Dim("n")},), output_names=["scores", "features"],
    )  # fmt: skip
    models = (
        "  maps: {use: two.onnx, outputs: {features: {value: image, over: image}}}\n"
        "  both: {use: two.onnx, outputs: {features: image, scores: logits}}\n"
        "  placed: {use: two.onnx, outputs: {first: logits, second: image}}\n"
    )
    ran = symbench("run", write(tmp_path, models), "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    frame = open_run(results=tmp_path / "results").estimates()
    rows = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()]
    assert set(zip(rows["model"], rows["output"], strict=True)) == {
        ("maps", "features"), ("both", "features"), ("both", "scores"), ("placed", "first"), ("placed", "second")
    }  # fmt: skip
    assert (rows["estimate"] < 1e-5).all(), "pixel by pixel"
    ran = symbench(
        "run",
        write(tmp_path, "  m: {use: two.onnx, outputs: {feature: image, scores: logits}}"),
        "--results",
        tmp_path / "r",
    )
    assert "returned 'scores' (n, 3) and 'features' (n, 4, 16, 16), and no 'feature'" in ran.err
