"""What detectors return, as rows of boxes: of torchvision, of transformers, and lists and tensors of anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSDHead

from symbench.algebra.objects import NONE
from symbench.base.errors import ConfigError, ModelError
from symbench.domains.common.models.adapters import adapted
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.detections import packed
from symbench.domains.common.models.unanswered import Unanswered
from symbench.domains.images.models.detection import Queries, TorchvisionDetector, detectors
from symbench.domains.images.models.huggingface import Huggingface
from symbench.fields import Boxes, Field, Keypoints, Undeclared

BOXES = {"boxes": Boxes(most=3)}


def found(count: int = 2, **changed: Any) -> dict[str, Any]:
    boxes = torch.tensor([[1.0, 2.0, 5.0, 4.0]]).repeat(count, 1) + torch.arange(float(count))[:, None]
    return {"boxes": boxes, "scores": torch.full((count,), 0.5), "labels": torch.arange(count) + 1, **changed}


def rows_of(returned: Any, declared: dict[str, Field] | None = None, count: int = 2) -> Tensor:
    rows: Tensor = packed(returned, declared or BOXES, count, "mine")["boxes"]
    return rows


def test_lists_become_rows_and_rows_of_no_object() -> None:
    rows = rows_of([found(2), found(0)])
    assert rows.shape == (2, 3, 6)
    assert rows[0, :2].tolist() == [[1, 2, 5, 4, 0.5, 1], [2, 3, 6, 5, 0.5, 2]]
    assert rows[0, 2].tolist() == list(NONE)
    assert (rows[1] == torch.tensor(NONE)).all()


def test_the_first_class_is_0_whatever_its_label_and_the_background_is_left_out() -> None:
    rows = rows_of([found(2), found(2, labels=torch.tensor([0, 1]))], {"boxes": Boxes(most=3, first=1)})
    assert rows[..., 5].tolist() == [[0, 1, -1], [0, -1, -1]]


def test_tensors_by_name_are_those_of_all_images_or_of_one() -> None:
    whole = {name: torch.stack([value, value]) for name, value in found(2).items()}
    assert torch.equal(rows_of(whole), rows_of([found(2), found(2)]))
    assert torch.equal(rows_of(found(2), count=1), rows_of([found(2)], count=1))


def test_what_is_packed_already_is_left_as_it_is() -> None:
    rows = torch.zeros(2, 3, 6)
    for given in (rows, {"boxes": rows}, (rows,), [rows]):
        assert packed(given, BOXES, 2, "mine") is given


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([found(2), found(4)], "row 1: 4 objects come back, expected 3 at most: say outputs: {boxes: {value: boxes, most: 4}}"),
        ([found(2), found(1, boxes=torch.tensor([[5.0, 2.0, 1.0, 4.0]]))], "row 1: a box (5, 2, 1, 4) has its right"),
        ([found(2)], "returned detections of 1 images for 2, expected one each"),
        ([found(2), {"boxes": torch.zeros(1, 4)}], "detections of 'boxes', and no tensor 'scores', expected boxes"),
        ([found(2), found(2, scores=torch.zeros(3))], "shapes (2, 4), (3,) and (2,), expected (objects, 4), (objects,)"),
        ({name: value[None] for name, value in found(2).items()}, "output 'boxes' is (1, 2, 4), expected one for each"),
    ],
)  # fmt: skip
def test_what_cannot_be_packed_is_said(returned: Any, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        rows_of(returned)
    assert said in str(caught.value)


def test_too_many_objects_are_named_by_their_sample() -> None:
    with pytest.raises(Unanswered) as caught:
        rows_of([found(2), found(9)])
    assert "sample 7 (street.jpg): 9 objects come back" in str(caught.value.at("mine", "sample 7 (street.jpg)"))


def test_detections_that_are_declared_as_something_else_are_named() -> None:
    with pytest.raises(ModelError, match="returned detections of each image, and declares Keypoints, expected boxes"):
        packed([found(2), found(2)], {"points": Keypoints()}, 2, "mine")
    assert packed([found(2)], {"logits": Undeclared()}, 1, "mine")["boxes"].shape == (1, 100, 6)


def small(name: str) -> nn.Module:
    """A detector of torchvision on one layer with random weights, which sees images of 64 pixels."""
    torch.manual_seed(0)
    backbone: Any = nn.Sequential(nn.Conv2d(3, 32, 16, stride=16), nn.ReLU())
    backbone.out_channels = 32
    anchors = detection.rpn.AnchorGenerator(((16, 32),), ((1.0,),))
    if name == "SSD":
        boxes = DefaultBoxGenerator([[2]], 0.2, 0.9)
        return detection.ssd.SSD(backbone, boxes, (64, 64), 4, head=ssd_head(boxes))
    if name == "FasterRCNN":
        return detection.FasterRCNN(backbone, 4, min_size=64, max_size=64, rpn_anchor_generator=anchors)
    if name == "FCOS":
        anchors = detection.rpn.AnchorGenerator(((16,),), ((1.0,),))
    module: nn.Module = getattr(detection, name)(backbone, 4, min_size=64, max_size=64, anchor_generator=anchors)
    return module


def ssd_head(boxes: DefaultBoxGenerator) -> nn.Module:
    return SSDHead([32], boxes.num_anchors_per_location(), 4)


@pytest.mark.parametrize("name", ["FasterRCNN", "RetinaNet", "FCOS", "SSD"])
def test_detectors_of_torchvision_return_what_they_return_by_themselves(name: str) -> None:
    module = small(name).eval()
    for head in (module, getattr(module, "roi_heads", module)):
        for threshold in ("score_thresh", "box_score_thresh"):
            if hasattr(head, threshold):
                setattr(head, threshold, 0.0)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = module(list(images))
    names = set(module.state_dict())
    wrapped: Any = adapted(module)
    assert set(wrapped.state_dict()) == names
    rows = Model(wrapped, wrapped.outputs)({"image": images})["boxes"]
    assert any(len(each["boxes"]) for each in own)
    for mine, theirs in zip(rows, own, strict=True):
        real = theirs["labels"] > 0  # random weights may find the background too
        count = int(real.sum())
        assert torch.equal(mine[:count, :4], theirs["boxes"][real])
        assert torch.equal(mine[:count, 4], theirs["scores"][real])
        assert torch.equal(mine[:count, 5], theirs["labels"][real].float() - 1)
        assert (mine[count:, 5] == -1).all()


def test_a_detector_of_torchvision_by_name() -> None:
    source = TorchvisionDetector("models.m.use", Path(), None, "fcos_resnet50_fpn", False, 2)
    assert source.describe().notes == (
        "fcos_resnet50_fpn resizes and normalises images inside, which is measured as part of it.",
    )
    built: Any = source.build(shape=(3, 32, 32), outputs=0)
    assert built.outputs == {"boxes": Boxes(most=100, first=1)}
    assert built.head.classification_head.num_classes == 3, "two, and the background"
    assert {"fasterrcnn_resnet50_fpn", "ssd300_vgg16", "retinanet_resnet50_fpn"} <= set(detectors())
    with pytest.raises(ConfigError, match="fcos_resnet50_fpn has no weights 'BEST', expected one of COCO_V1"):
        TorchvisionDetector("m", source.folder, None, "fcos_resnet50_fpn", "BEST", None).describe()
    named = TorchvisionDetector("m", source.folder, None, "fcos_resnet50_fpn", True, None).describe().classes
    assert named is not None
    assert (named[0][0], named[17][0], len(named)) == ("person", "dog", 90)


@pytest.fixture(scope="module")
def yolos() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = transformers.YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=[32, 48], patch_size=8, num_detection_tokens=5, num_labels=3,
    )  # fmt: skip
    return transformers.AutoModelForObjectDetection.from_config(settings).eval()


def test_queries_are_what_transformers_makes_of_them(yolos: Any) -> None:
    """Its own post-processing has scores of the best class, edges in pixels, and no background."""
    from transformers import YolosImageProcessor

    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    module = Queries.of(yolos).eval()
    assert module.outputs["boxes"] == Boxes(most=100, classes=3)
    rows = Model(module, module.outputs)({"image": images})["boxes"]
    with torch.no_grad():
        own = YolosImageProcessor().post_process_object_detection(yolos(images), 0.0, [(32, 48)] * 2)
    assert rows.shape == (2, 5, 6)
    for mine, theirs in zip(rows, own, strict=True):
        assert torch.allclose(mine[:, :4], theirs["boxes"], atol=1e-5)
        assert torch.allclose(mine[:, 4], theirs["scores"])
        assert torch.equal(mine[:, 5], theirs["labels"].float())


class Sigmoids(nn.Module):
    """A score of each class, and none of a background."""

    def forward(self, images: Tensor) -> Any:
        logits = torch.tensor([[[0.0, 2.0], [-1.0, -3.0]]]).expand(len(images), -1, -1)
        boxes = torch.tensor([[[0.5, 0.5, 1.0, 0.5], [0.25, 0.5, 0.5, 1.0]]]).expand(len(images), -1, -1)
        return type("Found", (), {"logits": logits, "pred_boxes": boxes})()


def test_without_a_background_every_class_has_a_sigmoid() -> None:
    rows = Queries(Sigmoids(), classes=2, queries=2)(torch.zeros(1, 3, 8, 16))["boxes"][0]
    assert rows[:, :4].tolist() == [[0, 2, 16, 6], [0, 0, 8, 8]]
    assert rows[:, 4].tolist() == pytest.approx([1 / (1 + 2.718281828459045**-2), 1 / (1 + 2.718281828459045)])
    assert rows[:, 5].tolist() == [1, 0]


def test_a_detector_of_transformers_from_a_folder(yolos: Any, tmp_path: Path) -> None:
    yolos.config.id2label = {0: "cat", 1: "dog", 2: "cow"}
    yolos.save_pretrained(tmp_path / "yolos")
    source = Huggingface("models.m.use", tmp_path, None, "yolos", True, None)
    assert [names[0] for names in source.describe().classes or ()] == ["cat", "dog", "cow"]
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    built: Any = source.build(shape=(3, 32, 48), outputs=0).eval()
    assert built.outputs == {"boxes": Boxes(most=100, classes=3)}
    assert torch.equal(built(images)["boxes"], Queries.of(yolos)(images)["boxes"])
    fresh: Any = Huggingface("models.m.use", tmp_path, None, "yolos", False, 5).build(shape=(), outputs=0).eval()
    assert fresh.outputs == {"boxes": Boxes(most=100, classes=5)}
    assert fresh(images)["boxes"].shape == (2, 5, 6)
