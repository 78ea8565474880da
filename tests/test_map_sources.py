"""Sources whose models return maps or several outputs: programs with named outputs, segmentation, features."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Symbench
from torch import Tensor, nn
from torchvision.models import segmentation

from symbench.algebra.fields import Logits, Scalar, Undeclared
from symbench.base.errors import ConfigError
from symbench.domains.common.models.outputs import InOrder, read
from symbench.domains.common.models.program import Program
from symbench.domains.common.models.source import Description
from symbench.domains.images.models.huggingface import Huggingface
from symbench.domains.images.models.timm import Timm
from symbench.domains.images.models.torchvision import Torchvision
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


# Libraries.


def source(kind: type[Any], **options: Any) -> Any:
    defaults = {"where": "models.m.use", "folder": Path(), "size": None, "pretrained": False, "classes": None}
    return kind(**{**defaults, **options})


def test_a_segmentation_of_torchvision_returns_its_scores_alone() -> None:
    known = source(Torchvision, name="lraspp_mobilenet_v3_large", classes=3)
    assert known.describe() == Description(channels=3)
    torch.manual_seed(0)
    net = known.build(shape=(3, 32, 32), outputs=0).eval()
    torch.manual_seed(0)
    plain = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).eval()
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        found = read(net(x), net.outputs, 2, "m").outputs
        assert list(found) == ["masks"]
        assert torch.equal(found["masks"], plain(x)["out"])
    assert net.outputs == {"masks": Logits().over(Grid("image"))}
    assert net.state_dict().keys() == plain.state_dict().keys(), "weights keep their names"
    assert copy.deepcopy(net)(x)["masks"].shape == (2, 3, 32, 32)


def test_weights_of_a_segmentation_bring_classes_and_normalisation() -> None:
    known = source(Torchvision, name="fcn_resnet50", pretrained=True).describe()
    assert (known.size, known.mean, known.std) == (None, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert len(known.classes) == 21
    assert known.classes[0] == ("__background__",)
    assert "shorter side to 520 pixels" in known.notes[0]
    with pytest.raises(ConfigError, match=r"Did you mean 'fcn_resnet50'\?"):
        source(Torchvision, name="fcn_resnet5").describe()


@pytest.mark.parametrize(
    ("name", "features", "shape"),
    [
        ("test_resnet", True, (96, 2, 2)),
        ("test_resnet", 1, (32, 16, 16)),
        ("test_vit", True, (17, 64)),
        ("test_vit", 1, (64, 4, 4)),
        ("swin_tiny_patch4_window7_224", 1, (192, 8, 8)),
    ],
)
def test_features_of_timm(name: str, features: bool | int, shape: tuple[int, ...]) -> None:
    net = source(Timm, name=name, features=features, size=64).build(shape=(3, 64, 64), outputs=5).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = read(net(x), net.outputs, 2, "m").outputs["features"]
    assert found.shape == (2, *shape)
    assert net.outputs["features"] == (Scalar().over(Grid("image")) if len(shape) == 3 else Scalar())


def test_a_stage_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="timm's test_resnet has no stage 9"):
        source(Timm, name="test_resnet", features=9).build(shape=(3, 32, 32), outputs=0)


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hub: Any = importlib.import_module("transformers")
    hub.utils.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("saved") / "segformer"
    torch.manual_seed(0)
    settings = hub.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1] * 4,
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=3,
    )
    hub.SegformerForSemanticSegmentation(settings).save_pretrained(folder)
    return folder


def test_a_segmentation_of_transformers_is_brought_to_its_images(segformer: Path) -> None:
    """As the image processor's own post-processing does."""
    hub: Any = importlib.import_module("transformers")
    net = source(Huggingface, path=str(segformer), pretrained=True).build(shape=(3, 64, 64), outputs=0).eval()
    coarse = source(Huggingface, path=str(segformer), pretrained=True, upsample=False)
    plain = hub.SegformerForSemanticSegmentation.from_pretrained(segformer).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = read(net(x), net.outputs, 2, "m").outputs["masks"]
        small = coarse.build(shape=(), outputs=0).eval()(x)["masks"]
        theirs = plain(x)
    assert found.shape == (2, 3, 64, 64)
    assert small.shape == (2, 3, 16, 16)
    assert torch.equal(small, theirs.logits)
    maps = hub.SegformerImageProcessor().post_process_semantic_segmentation(theirs, target_sizes=[(64, 64)] * 2)
    assert torch.equal(found.argmax(1), torch.stack(maps))


@pytest.mark.slow
def test_one_suite_runs_them(segformer: Path, tmp_path: Path, symbench: Symbench) -> None:
    models = (
        "  lraspp: {use: torchvision/lraspp_mobilenet_v3_large, classes: 3}\n"
        f"  segformer: {{use: huggingface/{segformer}}}\n"
        "  stage: {use: timm/test_resnet, features: 1, size: 64}\n"
    )
    ran = symbench("run", write(tmp_path, models, "{size: 64}"), "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    frame = open_run(results=tmp_path / "results").estimates()
    rows = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()]
    assert set(zip(rows["model"], rows["output"], strict=True)) == {
        ("lraspp", "masks"), ("segformer", "masks"), ("stage", "features")
    }  # fmt: skip
    assert rows["estimate"].between(1e-3, 2).all(), "none of them is built for turns"
