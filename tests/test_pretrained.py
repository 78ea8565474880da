"""Models of libraries: built by their names, with the preprocessing that belongs to their weights."""

from __future__ import annotations

import collections
import dataclasses
import importlib
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

import symbench as package
from symbench.base.document import parse
from symbench.base.errors import ConfigError, ModelError
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.base import Model, Normalisation
from symbench.domains.common.models.source import Description
from symbench.domains.images.datasets.items import Items
from symbench.domains.images.models.huggingface import Huggingface
from symbench.domains.images.models.timm import Timm
from symbench.domains.images.models.torchvision import Torchvision
from symbench.face.api import Choices, prepare
from symbench.measure import assemble
from symbench.measure import suite as suites
from symbench.measure.assemble.model import describe, with_preprocessing

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
SUITE = """\
version: 1
name: libraries
datasets: {{d: {{use: "data.py:load", args: {args}}}}}
models:
{models}
symmetries: {{shifts: {{group: translations, on: image, reach: 1, border: zero, elements: 1}}}}
controls: {{samples: 4}}
"""
DATA = """\
from symbench.testing import Blobs


class Grey(Blobs):
    def batch(self, indices, *, canvas=None):
        found = super().batch(indices, canvas=canvas)
        found.leaves["image"] = found.leaves["image"].repeat(1, 3, 1, 1)
        return found


class Unlabelled:
    def __init__(self, size):
        self.images = Blobs(6, size=size, channels=3).leaves["image"]

    def __len__(self):
        return 6

    def __getitem__(self, i):
        return self.images[i]


def load(split="test", channels=3, size=32, repeated=False, labels=True):
    if not labels:
        return Unlabelled(size)
    return Grey(6, size=size) if repeated else Blobs(6, size=size, channels=channels)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny classifiers of transformers, saved into folders."""
    hub: Any = importlib.import_module("transformers")
    hub.utils.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    vit = hub.ViTForImageClassification(hub.ViTConfig(**sizes, image_size=32, patch_size=8, num_labels=3))
    vit.save_pretrained(folder / "vit")
    hub.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "vit")
    vit.vit.save_pretrained(folder / "headless")
    settings = hub.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5
    )
    hub.ResNetForImageClassification(settings).save_pretrained(folder / "resnet")
    (folder / "data.py").write_text(DATA)
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing can be downloaded, and nothing has been: the folder where torch.hub would look."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def write(folder: Path, models: str, args: str = "{}") -> Path:
    (folder / "data.py").write_text(DATA)
    suite = folder / "libraries.yaml"
    suite.write_text(SUITE.format(models=models, args=args))
    return suite


def only(use: str, **keys: object) -> str:
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f"  m: {{use: {use}{more}}}"


def source(kind: type[Any], **options: Any) -> Any:
    defaults = {"where": "models.m.use", "folder": Path(), "size": None, "pretrained": False, "classes": None}
    return kind(**{**defaults, **options})


def test_one_suite_runs_networks_of_all_libraries(saved: Path, tmp_path: Path, symbench: Symbench) -> None:
    models = (
        "  resnet18: {use: torchvision/resnet18}\n  mobilenet: {use: torchvision/mobilenet_v2}\n"
        "  vit-timm: {use: timm/test_vit, size: 32}\n  resnet-timm: {use: timm/test_resnet, size: 32}\n"
        f"  vit: {{use: huggingface/{saved}/vit}}\n"
        f"  fresh: {{use: huggingface/{saved}/resnet, pretrained: false}}\n"
    )
    suite = write(tmp_path, models)
    ran = symbench("run", suite, "--results", tmp_path / "results", "--no-code")
    assert ran.code == 2, "the data is code, and the models are not"
    assert "models." not in ran.err
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    run = package.open_run(results=tmp_path / "results")
    for cell in run.manifest.cells:
        record = run.store.cell(cell.key)
        assert record is not None
        assert record.controls["precision"] is None, cell.model
        model = record.identity["model"]
        assert len(model["state"]) == 64, "weights made by a library are part of the key"
        library = {"torchvision", "timm", "transformers"} & set(model["distributions"])
        assert library or model["modules"], "and so is its code"
        assert "torch" in model["distributions"]
    again = symbench("run", suite, "--results", tmp_path / "results")
    assert "nothing to do: 6 cells" in again.err


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (Torchvision, {"name": "resnet18"}, (None, (), (), 3)),
        (Torchvision, {"name": "resnet18", "pretrained": "IMAGENET1K_V1"}, (224, *map(tuple, IMAGENET), 3)),
        (Torchvision, {"name": "efficientnet_b4", "pretrained": True}, (380, *map(tuple, IMAGENET), 3)),
        (Timm, {"name": "resnet10t"}, (176, (), (), None)),
        (Timm, {"name": "resnet10t.c3_in1k", "pretrained": True}, (176, *map(tuple, IMAGENET), 3)),
        (Timm, {"name": "test_vit", "pretrained": True}, (160, (0.5,) * 3, (0.5,) * 3, 3)),
    ],
    ids=str,
)
def test_what_is_known_of_a_model(kind: type[Any], options: dict[str, Any], expected: tuple[Any, ...]) -> None:
    known: Description = source(kind, **options).describe()
    assert (known.size, known.mean, known.std, known.channels) == expected


def test_a_default_is_the_weights_it_stands_for() -> None:
    assert source(Torchvision, name="resnet50", pretrained=True).describe().identity == {"weights": "IMAGENET1K_V2"}
    assert (
        source(Torchvision, name="resnet50", pretrained="DEFAULT").describe()
        == source(Torchvision, name="resnet50", pretrained="IMAGENET1K_V2").describe()
    )


@pytest.mark.parametrize(
    ("processor", "size", "mean", "std"),
    [
        ({"size": {"height": 40, "width": 40}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}, 40, 0.5, 0.25),
        ({"size": {"shortest_edge": 48}, "crop_size": 40, "do_center_crop": True, "do_normalize": False}, 40, None, None),
        ({"size": 40, "crop_size": 32, "do_center_crop": False, "image_mean": 0.5, "image_std": 0.5}, 40, 0.5, 0.5),
        ({"size": {"longest_edge": 40}, "do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51] * 3}, 32, 0.5, 0.2),
        ({"size": 32, "rescale_factor": 2 / 255, "rescale_offset": True, "do_normalize": False}, 32, 0.5, 0.5),
        ({"image_processor_type": "EfficientNetImageProcessor", "size": 40, "include_top": True, "image_std": 0.5}, 40, 0.5, 0.25),
        (None, 32, None, None),
    ],
)  # fmt: skip
def test_an_image_processor_as_mean_and_std(
    saved: Path, tmp_path: Path, processor: dict[str, Any] | None, size: int, mean: float | None, std: float | None
) -> None:
    folder = tmp_path / "vit"
    folder.mkdir()
    (folder / "config.json").write_text((saved / "vit" / "config.json").read_text())
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    known = source(Huggingface, path="vit", folder=tmp_path, pretrained=True).describe()
    assert (known.size, known.channels) == (size, 3)
    for found, value in ((known.mean, mean), (known.std, std)):
        assert bool(found) is (value is not None)
        assert all(each == pytest.approx(value) for each in found)


def test_channels_from_blue_to_red_are_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((saved / "vit" / "config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text('{"do_flip_channel_order": true}')
    with pytest.raises(ConfigError, match="wants its channels from blue to red"):
        source(Huggingface, path=str(tmp_path), pretrained=True).describe()


# What belongs to weights is taken over.


def preprocessing(suite: Path) -> dict[str, Any]:
    space, _ = prepare(suite, Choices())
    found: dict[str, Any] = space.plan.cells[0].identity["preprocessing"]
    entry = space.plan.suite.models["m"]
    assert {key: getattr(entry, key) for key in found} == found
    return found


def test_preprocessing_is_taken_over_unless_the_entry_sets_it(tmp_path: Path, offline: Path) -> None:
    offline.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(get_model("mobilenet_v3_small").state_dict(), offline / "mobilenet_v3_small-047dcff4.pth")
    mean, std = IMAGENET
    use, weights = "torchvision/mobilenet_v3_small", {"pretrained": "IMAGENET1K_V1"}

    def of(**keys: object) -> dict[str, Any]:
        return preprocessing(write(tmp_path, only(use, **weights, **keys)))

    brought = {"size": 224, "channels": None, "mean": mean, "std": std, "resize": 256}
    assert of() == brought
    assert of(size=112) == {**brought, "size": 112, "resize": 128}, "in proportion"
    assert of(resize="[250, 240]", interpolation="bicubic") == {
        **brought,
        "resize": (250, 240),
        "interpolation": "bicubic",
    }
    assert of(resize=224, crop="round") == {key: value for key, value in brought.items() if key != "resize"}
    assert of(size="null", mean="[]") == {"size": None, "channels": None, "mean": [], "std": std}
    assert of(mean=[0.5]) == {**brought, "mean": [0.5]}


PHOTOS = ((0, 0, 640, 427), (100, 30, 401, 427), (90, 20, 500, 263), (300, 100, 433, 202), (310, 50, 355, 290))
"""Parts of a photograph of scikit-learn's: wide, tall, odd, small and long ones."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    whole = Pil.fromarray(load_sample_image("flower.jpg"))
    for i, part in enumerate(PHOTOS):
        whole.crop(part).save(folder / f"{i}.png")
    return folder


def unmoved(photographs: Path, use: str, margin: int = 0) -> tuple[Tensor, Tensor]:
    """What a model sees of the photographs, from a folder and as a sequence of a user's own."""
    text = SUITE.format(args="{}", models=f"  m: {{use: {use}}}")
    text = text.replace('use: "data.py:load", args: {}', f"use: images, root: {photographs}")
    if margin:
        text = text.replace("border: zero", f"border: crop, margin: {margin}")
    suite = suites.checked(parse(text, photographs / "libraries.yaml"), photographs)
    suite = with_preprocessing(suite, "m", describe(suite, "m"))
    entry, canvas = suite.models["m"], assemble.canvas(suite, "shifts", "m")
    own = Items([(Pil.open(photographs / f"{i}.png"), 0) for i in range(len(PHOTOS))])
    found = [
        data.batch(range(len(PHOTOS)), canvas=canvas).leaves["image"]
        for data in (assemble.load_dataset(suite, "d"), own)
    ]
    normalise = Normalisation(entry.mean, entry.std)
    return normalise(found[0]), normalise(found[1])


def check_unmoved(photographs: Path, use: str, pipeline: Callable[[Pil.Image], Tensor], std: Sequence[float]) -> None:
    expected = torch.stack([pipeline(Pil.open(photographs / f"{i}.png")) for i in range(len(PHOTOS))])
    one_level = 1.001 / 255 / min(std)
    for seen in unmoved(photographs, use):
        assert seen.shape == expected.shape
        assert float((seen - expected).abs().max()) <= one_level


@pytest.mark.parametrize(
    ("name", "weights"),
    [("resnet50", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V2"), ("efficientnet_b1", "IMAGENET1K_V1")],
)
def test_unmoved_pixels_are_those_of_torchvisions_transforms(photographs: Path, name: str, weights: str) -> None:
    """From 256 or 232 pixels to 224 bilinearly, and from 256 to 240 bicubically."""
    pipeline = get_model_weights(name)[weights].transforms()
    check_unmoved(photographs, f"torchvision/{name}, pretrained: {weights}", pipeline, pipeline.std)


@pytest.mark.parametrize(
    ("name", "crop"),
    [
        ("resnet10t.c3_in1k", (0.875, "center")),
        ("vit_base_patch16_224.augreg_in21k_ft_in1k", (0.9, "center")),
        ("test_vit.r160_in1k", (0.95, "center")),
        ("maxvit_tiny_tf_384.in1k", (1.0, "squash")),
    ],
)
def test_unmoved_pixels_are_those_of_timms_transforms(photographs: Path, name: str, crop: tuple[float, str]) -> None:
    timm: Any = importlib.import_module("timm")
    known = timm.get_pretrained_cfg(name)
    assert (known.interpolation, (known.crop_pct, known.crop_mode)) == ("bicubic", crop)
    pipeline = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=known.to_dict()))
    check_unmoved(photographs, f"timm/{name}, pretrained: true", pipeline, known.std)


@pytest.mark.parametrize(
    ("kind", "size", "inexact"),
    [
        ("ViTImageProcessor", {"height": 224, "width": 224}, False),
        ("BitImageProcessor", {"shortest_edge": 256}, False),
        ("ConvNextImageProcessor", {"shortest_edge": 224}, False),
        ("ConvNextImageProcessor", {"shortest_edge": 384}, False),
        ("DeiTImageProcessor", {"height": 256, "width": 256}, False),
        ("LevitImageProcessor", {"shortest_edge": 224}, True),
    ],
)
def test_unmoved_pixels_are_those_of_image_processors(
    saved: Path, photographs: Path, tmp_path: Path, kind: str, size: dict[str, int], inexact: bool
) -> None:
    """Of those that use Pillow: those on tensors round bicubic pixels elsewhere, by some levels."""
    transformers: Any = importlib.import_module("transformers")
    (tmp_path / "config.json").write_text((saved / "vit" / "config.json").read_text())
    processor = getattr(transformers, f"{kind}Pil", getattr(transformers, kind))(size=size)
    processor.save_pretrained(tmp_path)

    def pipeline(image: Pil.Image) -> Tensor:
        return torch.as_tensor(np.asarray(processor(image)["pixel_values"][0]))

    notes = source(Huggingface, path=str(tmp_path), pretrained=True).describe().notes
    assert bool(notes) == inexact, "what cannot be had is said"
    if not inexact:
        check_unmoved(photographs, f"huggingface/{tmp_path}", pipeline, processor.image_std)


def test_a_margin_is_taken_from_what_resizing_leaves(photographs: Path) -> None:
    """Between 224 and 256 pixels; more room makes images larger."""
    pipeline = get_model_weights("resnet50")["IMAGENET1K_V1"].transforms(crop_size=256)
    expected = torch.stack([pipeline(Pil.open(photographs / f"{i}.png")) for i in range(len(PHOTOS))])
    use = "torchvision/resnet50, pretrained: IMAGENET1K_V1"
    assert torch.allclose(unmoved(photographs, use, margin=16)[0], expected, atol=1e-5)
    assert unmoved(photographs, use, margin=20)[0].shape[-1] == 264


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"resize": 5, "size": 9}, "models.m.resize: got 5, expected at least the size, 9."),
        ({"resize": "[12, 5]", "size": 9}, "models.m.resize: got (12, 5), expected at least the size, 9."),
        ({"resize": 12}, "models.m.resize: got resize without size, expected both."),
        ({"crop": "floor"}, "models.m.crop: got crop without size, expected both."),
        ({"size": 9, "interpolation": "cubic"}, "models.m.interpolation: got 'cubic', expected one of bilinear, bicubic"),
        ({"size": 9, "resize": 12, "train": "{on: d, epochs: 1}"}, "got resize for a model that is trained here"),
    ],
)  # fmt: skip
def test_resizing_that_cannot_be(tmp_path: Path, symbench: Symbench, keys: dict[str, object], message: str) -> None:
    ran = symbench("run", write(tmp_path, only("cnn", width=2, **keys), "{size: 9}"))
    assert ran.code == 2
    assert message in ran.err


def test_what_timm_does_otherwise_is_said(tmp_path: Path) -> None:
    """Of a configuration that pads, and of one that resizes by another interpolation."""
    notes: list[str] = []
    for changed in ({"crop_mode": "border"}, {"interpolation": "lanczos"}):
        timm: Any = importlib.import_module("timm")
        known = dataclasses.replace(timm.get_pretrained_cfg("resnet10t.c3_in1k"), **changed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Timm, "_configuration", lambda self, known=known: known)
            notes += source(Timm, name="resnet10t.c3_in1k", pretrained=True).describe().notes
    assert notes == [
        "timm pads its images to a square; here the middle is kept.",
        "timm resizes its images by lanczos; here it is bicubic.",
    ]


def test_grey_images_are_repeated(tmp_path: Path, symbench: Symbench) -> None:
    """The same numbers as for images that had three equal channels to begin with, under a key of its own."""
    frames, keys = [], []
    for channels, args in ((3, "{channels: 1}"), (None, "{repeated: true}")):
        given = {"channels": channels} if channels else {}
        suite = write(tmp_path, only("torchvision/squeezenet1_1", mean=[0.4], std=[0.2], **given), args)
        results = tmp_path / f"results-{channels}"
        assert symbench("run", suite, "--results", results).code == 0
        run = package.open_run(results=results)
        keys.append(run.manifest.cells[0].key)
        frames.append(run.store.observations(keys[-1]).to_pandas())
        record = run.store.cell(keys[-1])
        assert record is not None
        assert record.identity["preprocessing"]["mean"] == [0.4] * (channels or 1)
    assert frames[0].equals(frames[1])
    assert keys[0] != keys[1]
    refused = symbench("run", write(tmp_path, only("torchvision/squeezenet1_1"), "{channels: 1}"))
    assert refused.code == 2
    assert "torchvision/squeezenet1_1 takes images of 3 channels, and 'image' has 1. Add channels: 3" in refused.err


def test_a_model_of_our_own_is_trained_on_repeated_channels(tmp_path: Path, symbench: Symbench) -> None:
    suite = write(tmp_path, only("cnn", width=2, channels=3, train="{on: d, epochs: 1}"), "{channels: 1, size: 9}")
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    record = package.open_run(results=tmp_path / "results")
    cell = record.store.cell(record.manifest.cells[0].key)
    assert cell is not None
    width, classes = 2, 3
    assert (
        cell.facts["parameters"]
        == 3 * width * 9 + 2 * width**2 * 9 + 2 * (2 * width) ** 2 * 9 + 14 * width + 5 * classes
    )


def test_a_library_model_is_trained_for_the_datas_classes(tmp_path: Path, symbench: Symbench) -> None:
    suite = write(tmp_path, only("timm/test_resnet", size=32, train="{on: d, epochs: 1}"), "{channels: 1}")
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    space, _ = prepare(suite, Choices())
    assert len(space.plan.recipes["m"]["origin"]["state"]) == 64


def test_classes_without_labels(tmp_path: Path, symbench: Symbench) -> None:
    """Fresh weights have the library's number of classes where the data has none, or what the entry says."""
    for keys, classes in (({}, 1000), ({"classes": 7}, 7)):
        suite = write(tmp_path, only("torchvision/squeezenet1_1", **keys), "{labels: false}")
        space, _ = prepare(suite, Choices())
        assert space.plan.cells
        built = source(Torchvision, name="squeezenet1_1", **keys).build(shape=(3, 32, 32), outputs=0)
        assert built(torch.rand(1, 3, 32, 32)).shape == (1, classes)
    wrong = symbench("run", write(tmp_path, only("timm/test_vit", pretrained="true", classes=3)))
    assert "classes needs pretrained: false, since weights have classes of their own" in wrong.err


def test_weights_for_other_classes_than_the_data_has(tmp_path: Path, symbench: Symbench) -> None:
    torch.save(get_model("squeezenet1_1", num_classes=7).state_dict(), tmp_path / "w.pt")
    refused = symbench("run", write(tmp_path, only("torchvision/squeezenet1_1", weights="w.pt")))
    assert refused.code == 2
    assert "2 other shapes: classifier.1.bias is (7,) and the model's (3,)" in refused.err
    assert "If they are for another number of classes than the data has, add classes: to the entry." in refused.err
    given = only("torchvision/squeezenet1_1", weights="w.pt", classes=7)
    assert symbench("run", write(tmp_path, given), "--results", tmp_path / "results").code == 0


# What cannot be had.


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (only("torchvision/resnet81"), "libraries.yaml:5: models.m.use: torchvision has no classifier 'resnet81', "),
        (only("torchvision/resnet81"), "Did you mean 'resnet18'?"),
        (only("torchvision/r3d_18"), "torchvision has no classifier 'r3d_18'"),
        (only("torchvision/resnet18", pretrained="IMAGENET1K_V3"), "resnet18 has no weights 'IMAGENET1K_V3', expected"),
        (only("torchvision/resnet18", pretrained="IMAGENET1K_V3"), "Did you mean 'IMAGENET1K_V1'?"),
        (only("torchvision/resnet18", pretrained="true", weights="w.pt"), "got weights for a pretrained model"),
        (only("timm/resnet10x"), "timm has no network 'resnet10x'"),
        (only("timm/resnet10x"), "Did you mean 'resnet10t'?"),
        (only("timm/resnet10t.c4_in1k"), "timm's resnet10t has no weights 'c4_in1k', expected one of"),
        (only("timm/resnet10t.c4_in1k"), "Did you mean 'c3_in1k'?"),
        (only("timm/test_vit", pretrained="c3"), "models.m.pretrained: got 'c3', expected true or false"),
        (only("huggingface/./gone"), "got './gone', expected organisation/name, or a folder at"),
        (only("huggingface/vitt/x/y"), "expected organisation/name, or a folder at"),
        (only("huggingface/bert"), "models.m.use: bert is not an image classifier: ValueError: Unrecognized configuration"),
        (only("huggingface/broken"), "broken cannot be read: OSError: It looks like the config file at"),
        (only("huggingface/unknown"), "unknown cannot be used: ValueError:"),
        (only("huggingface/weightless"), "weightless cannot be read: OSError: Error no file named model.safetensors"),
        (only("huggingface/headless"), "has no weights for classifier.bias, classifier.weight, expected an image"),
        (only("huggingface/junk"), "junk cannot be read: SafetensorError"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("offline")
def test_what_is_not_there(saved: Path, tmp_path: Path, symbench: Symbench, models: str, message: str) -> None:
    settings = (saved / "vit" / "config.json").read_text()
    for name, content in {
        "bert": '{"model_type": "bert"}',
        "broken": "{",
        "unknown": '{"model_type": "nothing"}',
        "weightless": settings,
        "junk": settings,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    (tmp_path / "junk" / "model.safetensors").write_bytes(b"junk" * 20)
    (tmp_path / "headless").symlink_to(saved / "headless")
    ran = symbench("run", write(tmp_path, models), "--results", tmp_path / "results")
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("offline")
def test_what_cannot_be_fetched_fails_its_own_cells(tmp_path: Path, symbench: Symbench) -> None:
    models = (
        "  a: {use: torchvision/squeezenet1_1, pretrained: DEFAULT, size: 32}\n"
        "  b: {use: timm/test_vit.r160_in1k, pretrained: true}\n"
        "  c: {use: huggingface/google/vit-base-patch16-224}\n"
        "  fine: {use: torchvision/squeezenet1_1}"
    )
    ran = symbench("run", write(tmp_path, models), "--results", tmp_path / "results")
    assert ran.code == 3
    cannot = "a/d/shifts: failed: libraries.yaml:5: models.a.use: IMAGENET1K_V1 cannot be had: URLError: "
    assert cannot in ran.err
    assert "models.b.use: its weights cannot be had: LocalEntryNotFoundError: " in ran.err
    assert "models.c.use: google/vit-base-patch16-224 cannot be fetched: OSError: " in ran.err
    assert "Are you online" in ran.err
    assert "fine/d/shifts: failed" not in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("use", "package_name", "extra"),
    [("timm/test_vit", "timm", "timm"), ("huggingface/vit", "transformers", "huggingface")],
)
def test_a_missing_extra_says_how_to_install_it(
    tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch, use: str, package_name: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package_name, None)
    ran = symbench("run", write(tmp_path, only(use)))
    assert ran.code == 2
    needs = f"models.m.use: needs the package {package_name}, which is not installed."
    assert f'{needs} pip install "symbench[{extra}]"' in ran.err


def test_a_repositorys_own_code_is_never_run(saved: Path, tmp_path: Path, symbench: Symbench) -> None:
    folder = tmp_path / "remote"
    folder.mkdir()
    automatic = {"AutoConfig": "own.Own", "AutoModelForImageClassification": "own.Own"}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": automatic}))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'code-ran')!r}, 'w')\n\n\nclass Own:\n    pass\n")
    ran = symbench("run", write(tmp_path, only("huggingface/remote")))
    assert ran.code == 2
    assert "models.m.use: remote cannot be used: ValueError: " in ran.err
    assert not (tmp_path / "code-ran").exists()


def test_another_size_is_a_sentence(saved: Path, tmp_path: Path, symbench: Symbench) -> None:
    ran = symbench("run", write(tmp_path, only(f"huggingface/{saved}/vit", size=40)), "--results", tmp_path / "r")
    assert ran.code == 3
    assert "raised ValueError: Input image size (40*40) doesn't match model (32*32)." in ran.err
    assert "It was given images of 40 x 40 pixels and 3 channels: if it takes others, add size:" in ran.err
    ran = symbench("run", write(tmp_path, only("torchvision/vit_b_32", size=40)), "--results", tmp_path / "r")
    assert ran.code == 3
    assert "raised AssertionError: Wrong image height! Expected 224 but got 40!" in ran.err
    assert "add size: (pixels a side) to its entry." in ran.err


# What models return.


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


Named = collections.namedtuple("Named", ["aux", "logits"])
Other = collections.namedtuple("Other", ["first", "second"])


class Returns(nn.Module):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Any:
        return self.value(x.mean((2, 3)))


def output_of_transformers(x: Tensor) -> Any:
    outputs: Any = importlib.import_module("transformers.modeling_outputs")
    return outputs.ImageClassifierOutput(logits=x, hidden_states=(2 * x,))


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x,
        lambda x: (x, 2 * x),
        lambda x: [x],
        lambda x: (None, x),
        lambda x: {"logits": x, "features": 2 * x},
        lambda x: {"logits": (x, 2 * x)},
        lambda x: Output(x),
        lambda x: Named(2 * x, x),
        lambda x: Other(x, 2 * x),
        output_of_transformers,
    ],
    ids=["tensor", "tuple", "list", "none first", "dict", "tuple in a dict", "dataclass", "named", "other", "ModelOutput"],
)  # fmt: skip
def test_what_a_model_may_return(value: Any) -> None:
    images = torch.rand(4, 3, 5, 5)
    found = Model(Returns(value))({"image": images}, ["image"])
    assert torch.equal(found["logits"], images.mean((2, 3)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda x: [], r"returned a list of nothing, expected a floating-point tensor of shape \(4, ...\) in it"),
        (lambda x: "words", "output 'logits' is a str"),
        (lambda x: None, "output 'logits' is a NoneType"),
        (
            lambda x: {"a": x, "b": x},
            r"returned 'a' \(n, 3\) and 'b' \(n, 3\), .* Say which with outputs: {a: logits}",
        ),
        (lambda x: {}, r"returned nothing, expected a floating-point tensor of shape \(4, ...\) among them"),
        (lambda x: ([x], 1), "returned a tuple of a list of 1 and a int, expected a floating-point tensor"),
    ],
    ids=["empty", "words", "none", "other names", "no names", "nested"],
)
def test_what_a_model_may_not_return(value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"mine: .*{message}"):
        Model(Returns(value), name="mine")({"image": torch.rand(4, 3, 5, 5)}, ["image"])


@pytest.mark.parametrize(
    ("channels", "module", "hint"),
    [
        (1, nn.Conv2d(3, 2, 3), "images of 5 x 5 pixels and 1 channel: .* entry, and channels: 3 if it takes colour"),
        (
            3,
            nn.Sequential(nn.Flatten(), nn.Linear(7, 3)),
            "images of 5 x 5 pixels and 3 channels: if it takes others",
        ),
    ],
)
def test_images_that_do_not_fit_are_explained(channels: int, module: nn.Module, hint: str) -> None:
    with pytest.raises(ModelError, match=rf"raised RuntimeError: .*inputs .*5, 5\)}}\)\. It was given {hint}"):
        Model(module)({"image": torch.rand(4, channels, 5, 5)}, ["image"])


def test_an_error_that_is_about_something_else_is_left_alone() -> None:
    def fails(x: Tensor) -> Tensor:
        raise ValueError("no licence")

    with pytest.raises(ModelError, match=r"raised ValueError: no licence \(inputs .*\)\.$"):
        Model(Returns(fails))({"image": torch.rand(4, 3, 5, 5)}, ["image"])


# Names.


@pytest.mark.parametrize(
    ("name", "pattern", "parameters"),
    [
        ("torchvision/resnet18", "torchvision/<NAME>", {"name": "resnet18"}),
        ("timm/resnet10t.c3_in1k", "timm/<NAME>", {"name": "resnet10t.c3_in1k"}),
        ("huggingface/google/vit-base", "huggingface/<PATH>", {"path": "google/vit-base"}),
        ("huggingface/./7", "huggingface/<PATH>", {"path": "./7"}),
        ("huggingface/7", "huggingface/<PATH>", {"path": "7"}),
        ("a/b.c/net.pt2", "<FILE.pt2>", {"file": "a/b.c/net.pt2"}),
        ("../net.onnx", "<FILE.onnx>", {"file": "../net.onnx"}),
        ("net.ts", "<FILE.torchscript|ts|ptc|pt>", {"file": "net.ts"}),
    ],
)
def test_names_with_parameters(name: str, pattern: str, parameters: dict[str, str]) -> None:
    row, found = MODELS.find(name)
    assert row is MODELS.rows[pattern]
    assert found == parameters


@pytest.mark.parametrize("name", ["timm/", "timm/a/b", "timm/<NAME>", ".pt2", "a/.onnx", "net.pth", "huggingface/"])
def test_names_that_are_none(name: str) -> None:
    assert MODELS.built_in(name) is None


def test_long_initialisations_are_announced_to_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert source(Torchvision, name="googlenet").build(shape=(3, 64, 64), outputs=4).fc.out_features == 4
