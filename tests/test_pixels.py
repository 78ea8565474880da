"""Numbers to pixels: ranges, rounding and layouts, and what is said where they are not what they seem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CaseOf, Folder, Symbench
from PIL import Image as Pil
from torch.nn.functional import interpolate

from symbench.base.errors import DataError
from symbench.domains.images.datasets.arrays import load as load_arrays
from symbench.domains.images.datasets.items import Items
from symbench.domains.images.datasets.pixels import to_image

TWELVE_BITS = np.linspace(0, 4095, 4 * 15 * 15).reshape(4, 15, 15).astype(np.uint16)


def arrays(path: Path, images: np.ndarray, **options: Any) -> Any:
    np.save(path / "a.npy", images)
    return load_arrays(
        path="a.npy", split="test", images="images", labels=None, layout="auto", folder=path, **options
    )


# Ranges.


@pytest.mark.parametrize(
    ("value", "span", "expected"),
    [
        (np.array([[0, 4095]], dtype=np.uint16), (0, 4095), [0, 1]),
        (np.array([[0, 65535]], dtype=np.uint16), None, [0, 1]),
        (np.array([[0, 65535]], dtype=">u2"), None, [0, 1]),
        (np.array([[-1000, 0, 3000]], dtype=np.int16), (-1000, 3000), [0, 0.25, 1]),
        (torch.tensor([[-1000, 0, 3000]], dtype=torch.int32), (-1000, 3000), [0, 0.25, 1]),
        (torch.tensor([[0.0, 102.0, 255.0]]), (0, 255), [0, 0.4, 1]),
        (np.array([[0, 1]], dtype=np.uint8), (0, 1), [0, 1]),
        (np.array([[False, True]]), None, [0, 1]),
        (torch.tensor([[0, 65535]], dtype=torch.uint16), None, [0, 1]),
        (Pil.fromarray(np.array([[0, 4095]], dtype=np.uint16)), (0, 4095), [0, 1]),
        (Pil.fromarray(np.array([[0, 70000]], dtype=np.int32)), (0, 70000), [0, 1]),
        (Pil.fromarray(np.array([[-1, 1]], dtype=np.float32)), (-1, 1), [0, 1]),
    ],
    ids=[
        "12 bits",
        "16 bits",
        "other end first",
        "int16",
        "int32",
        "float",
        "binary",
        "bool",
        "tensor",
        "I;16",
        "I",
        "F",
    ],
)
def test_a_range_says_what_black_and_white_are(value: Any, span: Any, expected: list[float]) -> None:
    found = to_image(value, where="x", span=span)
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("value", "span", "message"),
    [
        (np.zeros((4, 4), dtype=np.int16), None, r"got an image of torch.int16, .*range: \[0, 4095\]"),
        (Pil.new("I", (4, 4)), None, r"got an image of mode I, .*range: \[0, 4095\]"),
        (
            np.array([[-1, 0], [5, 4096]], dtype=np.int16),
            (0, 4095),
            r"got pixels from -1 to 4096, 2 of 4 of them beyond by up to 1, expected values in \[0, 4095\]. Widen range:",
        ),
        (
            torch.tensor([[0.5, 1.25]]),
            None,
            "from 0.5 to 1.25, 1 of 2 of them beyond by up to 0.25.*Normalisation belongs",
        ),
        (torch.tensor([[0.0, 250.0]]), None, r"from 0 to 250, .*say range: \[0, 255\] on the dataset's entry"),
        (torch.tensor([[-0.02, 1.03]]), None, r"2 of 2 of them beyond by up to 0.03.*image.clip\(0, 1\)"),
        (torch.tensor([[torch.inf, torch.nan, 0.5]]), None, "2 of 3 pixels that are NaN, infinite or beyond"),
    ],
    ids=["int16", "I", "outside", "overshoot", "bytes as floats", "interpolated", "not finite"],
)
def test_what_leaves_its_range_is_refused_with_its_size(value: Any, span: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_image(value, where="x", span=span)


def test_a_range_is_part_of_what_identifies_the_data(tmp_path: Path) -> None:
    spans = [None, (0, 4095), (0, 8191)]
    assert len({Items(TWELVE_BITS, range=span).digest() for span in spans}) == 3
    assert len({arrays(tmp_path, TWELVE_BITS, range=span).digest() for span in spans}) == 3


@pytest.mark.parametrize("kind", ["code", "arrays"])
def test_data_that_uses_little_of_its_range_is_said_to_be_dark(tmp_path: Path, kind: str) -> None:
    def remarks(images: np.ndarray, span: tuple[float, float] | None = None) -> list[str]:
        data: Any = Items(images, range=span) if kind == "code" else arrays(tmp_path, images, range=span)
        data.digest()
        return list(data.remarks())

    (said,) = remarks(TWELVE_BITS)
    assert (
        "the pixels of 4 images go from 0 to 4095, less than a quarter of [0, 65535]: say range: [0, 4095] if" in said
    )
    assert remarks(TWELVE_BITS, (0, 4095)) == []
    assert remarks(TWELVE_BITS * 5) == [], "three tenths of it"
    (said,) = remarks(TWELVE_BITS, (0, 65535))
    assert "less than a quarter of [0, 65535]." in said, "what was said is not said again"
    (said,) = remarks((TWELVE_BITS > 2000).astype(np.uint8))
    assert "go from 0 to 1, less than a quarter of [0, 255]: say range: [0, 1] if that is white" in said
    (said,) = remarks((TWELVE_BITS / 65535).astype(np.float32))
    assert said.endswith("go from 0 to 0.06249, less than a quarter of [0, 1].")


def test_files_of_twelve_bits_are_said_to_be_dark(tmp_path: Path, symbench: Symbench) -> None:
    for index, image in enumerate(TWELVE_BITS):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Pil.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
    (tmp_path / "s.yaml").write_text(
        "version: 1\nname: s\ndatasets: {photos: {use: images, root: photos, channels: 1}}\n"
        "models: {m: {use: torchvision/squeezenet1_1, channels: 3, size: 32}}\n"
        "symmetries: {turns: {group: C4, on: image}}\n"
    )
    ran = symbench("run", tmp_path / "s.yaml", "--results", tmp_path / "results")
    assert (
        "photos: the pixels of 4 images go from 0 to 16, less than a quarter of [0, 255]: files of 16 bits" in ran.err
    )


def test_range_in_a_suite(folder: Folder, symbench: Symbench) -> None:
    (folder.path / "data.py").write_text(
        "import numpy as np\n\ndef load(bits=12):\n"
        "    return list(np.random.default_rng(0).integers(0, 2**bits, (6, 1, 9, 9)).astype(np.int16))\n"
    )
    text = folder.suite.read_text()
    refused = symbench("validate", folder.suite, "--results", folder.results)
    assert refused.code == 3
    assert "got an image of torch.int16" in refused.out
    folder.suite.write_text(text.replace('load"}', 'load", range: [0, 4095]}'))
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    for wrong, message in (
        ("[4095, 0]", "datasets.blobs.range: got [4095, 0], expected black and white, the smaller number first"),
        ("12", "datasets.blobs.range: got 12, expected what black and white are stored as, such as [0, 4095]"),
    ):
        folder.suite.write_text(text.replace('load"}', f'load", range: {wrong}}}'))
        ran = symbench("validate", folder.suite)
        assert ran.code == 2
        assert message in ran.err
    folder.suite.write_text(text.replace('"data.py:load"', "digits, range: [0, 1]"))
    assert "datasets.blobs.range: got unknown key 'range'" in symbench("validate", folder.suite).err


def test_a_dataset_that_makes_its_own_pixels_has_no_range(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(folder.suite.read_text().replace('load"}', 'load", range: [0, 4095]}'))
    ran = symbench("validate", folder.suite)
    assert ran.code == 2
    assert "datasets.blobs: got range for a Blobs, which makes its own pixels" in ran.err


# Rounding.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_rounding_beyond_white_is_taken_back(tmp_path: Path, dtype: torch.dtype) -> None:
    """What an antialiased resizing makes of white; an overshoot of a fiftieth is no rounding in any dtype."""
    eps = max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    over = torch.tensor([[[-eps, 0.5], [1.0, 1 + eps]]], dtype=torch.float64).to(dtype)
    found = to_image(over, where="x")
    assert (float(found.min()), float(found.max())) == (0, 1)
    with pytest.raises(DataError, match="1 of 4 of them beyond"):
        to_image(torch.tensor([[[0.5, 0.5], [1.0, 1.04]]], dtype=dtype), where="x")
    if dtype != torch.bfloat16:  # NumPy has none
        assert float(arrays(tmp_path, over.numpy()[None]).batch([0]).leaves["image"].max()) == 1
        with pytest.raises(DataError, match="sample 0: got pixels from .*1 of 4 of them beyond"):
            arrays(tmp_path, np.array([[[[0.5, 0.5], [1.0, 1.04]]]], dtype=over.numpy().dtype)).batch([0])


def test_antialiased_white_is_an_image() -> None:
    white = torch.ones(1, 3, 97, 97)
    sizes = [interpolate(white, size=(s, s), mode="bilinear", antialias=True)[0] for s in range(20, 97)]
    beyond = [image for image in sizes if float(image.max()) > 1]
    assert beyond, "torch rounds up at some of these sizes"
    assert all(float(to_image(image, where="x").max()) == 1 for image in beyond)


# Layouts.


@pytest.mark.parametrize("shape", [(15, 15, 3), (20, 15, 3), (15, 20, 4), (15, 15, 1), (5, 7, 3)], ids=str)
@pytest.mark.parametrize("make", [lambda s: np.zeros(s, dtype=np.uint8), torch.zeros], ids=["array", "tensor"])
def test_channels_in_the_last_axis_are_refused_with_the_remedy(shape: tuple[int, ...], make: Any) -> None:
    with pytest.raises(DataError) as caught:
        to_image(make(shape), where="data, sample 3")
    message = str(caught.value)
    assert f"sample 3: got an image of shape {shape}, which looks like height x width x channels" in message
    assert "Return image.transpose(2, 0, 1), or say layout: nhwc" in message
    height, width, channels = shape
    assert to_image(make(shape), where="x", layout="nhwc").shape == (channels, height, width)
    assert to_image(make(shape), where="x", layout="nchw").shape == shape


@pytest.mark.parametrize(
    "shape",
    [(3, 20, 3), (3, 15, 15), (1, 15, 15), (4, 15, 15), (1, 20, 3), (2, 9, 1), (16, 4, 4), (5, 3, 3), (3, 3, 3)],
    ids=str,
)
def test_channels_first_are_taken_as_they_are(shape: tuple[int, ...]) -> None:
    assert to_image(np.zeros(shape, dtype=np.uint8), where="x").shape == shape


def test_grey_images_need_no_channels() -> None:
    for layout in ("auto", "nhwc", "nchw"):
        assert to_image(np.zeros((20, 3), dtype=np.uint8), where="x", layout=layout).shape == (1, 20, 3)


def test_a_mirror_does_not_exchange_red_and_blue(case: CaseOf) -> None:
    found = case("channels_last")
    ran = found.run()
    assert ran.code == 3
    assert (
        "colours, sample 0: got an image of shape (15, 15, 3), which looks like height x width x channels" in ran.err
    )
    suite = found.path / "suite.yaml"
    suite.write_text(suite.read_text().replace('load"}', 'load", layout: nhwc}'))
    assert found.run().code == 0
    assert found.estimate("consistency") == found.estimate("worst_element_accuracy") == 1


def test_layout_is_one_of_three(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(folder.suite.read_text().replace('load"}', 'load", layout: hwc}'))
    assert (
        "layout: got 'hwc', expected one of auto, nchw, nhwc. Did you mean 'nhwc'"
        in symbench("validate", folder.suite).err
    )
