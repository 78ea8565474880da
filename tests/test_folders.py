"""Data that users bring: folders of images, CSV tables, arrays, and Hugging Face's datasets."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from safetensors.numpy import save_file

from symbench import open_run
from symbench.algebra.fields import Category
from symbench.base.errors import ConfigError, DataError
from symbench.domains.common.datasets import DATASETS


def load(name: str, folder: Path, **options: Any) -> Any:
    row, parameters = DATASETS.find(name)
    named = {key: value for key, value in parameters.items() if key in row.options.model_fields}
    return row.load()(**{**row.options(**options, **named).model_dump(), **parameters}, folder=folder, where="data")


def pixels_of(image: Pil.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0).float() / 255


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    for name, seed in (("b/2.png", 2), ("a/x/y/1.PNG", 1), ("b/3.jpeg", 3), ("a/0.gif", 0)):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            photos.encoded(photos.picture(seed), {".gif": "GIF", ".jpeg": "JPEG"}.get(path.suffix, "PNG"))
        )
    (tmp_path / "photos" / "a" / "notes.txt").write_text("no image")
    (tmp_path / "photos" / "a" / ".hidden.png").write_text("no image either")
    data = load("images", tmp_path, root="photos")
    assert list(data.classes) == ["a", "b"]
    assert data.targets == {"label": Category(2)}
    assert [data.source.name(i) for i in range(len(data))] == ["a/0.gif", "a/x/y/1.PNG", "b/2.png", "b/3.jpeg"]
    batch = data.batch([2, 0, 1])
    assert batch.targets["label"].tolist() == [1, 0, 0]
    assert torch.equal(batch.leaves["image"][0], pixels_of(photos.picture(2)))
    assert torch.equal(batch.leaves["image"][2], pixels_of(photos.picture(1)))
    assert data.shapes() == {"image": (3, 10, 12)}
    assert data.remarks() == []


def test_files_that_are_left_out_for_their_suffix_are_counted(tmp_path: Path) -> None:
    photos.folders(tmp_path / "photos", 2)
    for name in ("cat/a.heic", "cat/b.HEIC", "dog/c.jfif", "dog/notes.txt"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    said = "data: 3 images are left out, whose formats are not taken: .heic (2), .jfif (1)."
    assert load("images", tmp_path, root="photos").remarks() == [said]
    assert load("images", tmp_path, root="photos", labels="none").remarks() == [said]


@pytest.mark.parametrize("names", [("test", "train"), ("train", "val")])
def test_splits_that_were_taken_for_classes_are_said(tmp_path: Path, names: tuple[str, str]) -> None:
    photos.folders(tmp_path / "photos", 2, classes=names)
    held = names[0] if names[0] == "test" else names[1]
    said = f"data: the classes are {names[0]} and {names[1]}: did you mean root: photos/{held}?"
    assert load("images", tmp_path, root="photos").remarks() == [said]


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.bmp").write_bytes(photos.encoded(photos.picture(i), "BMP"))
    data = load("images", tmp_path, root=".")
    assert (len(data), data.targets, data.classes) == (3, {}, None)
    assert data.batch([0]).targets == {}


def test_labels_can_be_left_aside(tmp_path: Path) -> None:
    photos.folders(tmp_path, 4)
    data = load("images", tmp_path, root=".", labels="none")
    assert (len(data), data.targets) == (4, {})
    assert data.digest() != load("images", tmp_path, root=".").digest()


def test_one_channel(tmp_path: Path) -> None:
    photos.folders(tmp_path, 2)
    grey = load("images", tmp_path, root=".", channels=1)
    assert grey.shapes() == {"image": (1, 10, 12)}
    expected = np.asarray(photos.picture(0).convert("L"))
    assert np.array_equal((grey.batch([0]).leaves["image"][0, 0] * 255).round().byte().numpy(), expected)
    assert grey.digest() != load("images", tmp_path, root=".").digest()


@pytest.mark.parametrize("size", [(50, 30), (33, 33), (40, 51), (9, 200), (24, 24)], ids=str)
@pytest.mark.parametrize("canvas", [24, 33])
def test_canvases_are_torchvisions_resize_and_centre_crop(tmp_path: Path, size: tuple[int, int], canvas: int) -> None:
    """On PIL images, bit for bit; very long ones are cropped first and need to be about the same."""
    from torchvision.transforms.functional import center_crop, pil_to_tensor
    from torchvision.transforms.functional import resize as by_torchvision

    image = photos.picture(1, size=size)
    (tmp_path / "a.png").write_bytes(photos.encoded(image))
    found = load("images", tmp_path, root=".").batch([0], canvas=canvas).leaves["image"][0]
    expected = pil_to_tensor(center_crop(by_torchvision(image, [canvas]), [canvas, canvas])).float() / 255
    if size == (9, 200):
        assert float((found - expected).abs().max()) <= 2 / 255
    else:
        assert torch.equal(found, expected)


def test_an_image_of_one_line_is_not_blown_up(tmp_path: Path) -> None:
    photos.picture(size=(20_000, 1)).save(tmp_path / "line.png")
    assert load("images", tmp_path, root=".").batch([0], canvas=64).leaves["image"].shape == (1, 3, 64, 64)


def test_classes_without_images_keep_their_place(tmp_path: Path) -> None:
    photos.folders(tmp_path, 4, classes=("a", "c"))
    (tmp_path / "b").mkdir()
    (tmp_path / "stray.png").write_bytes(photos.encoded(photos.picture()))
    data = load("images", tmp_path, root=".")
    assert list(data.classes) == ["a", "b", "c"]
    assert data.batch(range(4)).targets["label"].tolist() == [0, 0, 2, 2]
    assert data.remarks() == [
        "data: classes without images: b.",
        "data: images beside the class folders are left out: stray.png.",
    ]


def test_splits_are_folders(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos" / "train", 12)
    photos.folders(tmp_path / "photos" / "test", 6)
    (tmp_path / "photos" / "train" / "cat" / "broken.png").write_bytes(photos.encoded(photos.picture())[:60])
    model = "  mine: {use: cnn, width: 4, size: 9, train: {on: photos, epochs: 1, batch: 4}}"
    suite = photos.suite(tmp_path, 'use: images, root: "photos/{split}"', model)
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert "1 of 13 files cannot be read and are left out: cat/broken.png" in ran.err
    suite = photos.suite(tmp_path, "use: images, root: photos/test", model)
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 2
    assert "root: photos/test has no training split, expected {split} in root" in ran.err


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("fotos", r"fotos does not exist. Did you mean 'photos'\?"),
        ("file", "file is a file, expected a folder of images"),
        ("empty", "no images below .*empty, expected files that end in .jpg, .jpeg, .png"),
    ],
)
def test_folders_that_are_none(tmp_path: Path, root: str, message: str) -> None:
    photos.folders(tmp_path / "photos", 2)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=message):
        load("images", tmp_path, root=root)


def test_unlabelled_data_through_the_command_line(tmp_path: Path, symbench: Symbench) -> None:
    """Consistency, kappa, E and confidence change mean something; accuracy is null with the reason, never 0."""
    (tmp_path / "photos").mkdir()
    for i in range(12):
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(photos.encoded(photos.picture(i), "JPEG"))
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results", "--json")
    assert ran.code == 0, ran.err
    rows = {row["metric"]: row for row in json.loads(ran.out)["estimates"] if row["element"] is None}
    assert rows["consistency"]["estimate"] == 1.0
    assert rows["equivariance_error"]["estimate"] < 1e-5
    assert rows["confidence_change"]["status"] == "ok"
    for metric in ("accuracy", "orbit_accuracy", "worst_case_accuracy"):
        assert (rows[metric]["estimate"], rows[metric]["reason"]) == (None, "no class labels")


@pytest.mark.parametrize("count", [1, 5], ids=["one image", "one class"])
def test_a_single_class_or_image_is_a_sentence_where_a_metric_needs_more(
    tmp_path: Path, symbench: Symbench, count: int
) -> None:
    photos.folders(tmp_path / "photos", count, classes=("cat",))
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results", "--json")
    assert ran.code == 0, ran.err
    rows = {row["metric"]: row for row in json.loads(ran.out)["estimates"] if row["element"] is None}
    assert rows["accuracy"]["status"] == "ok"
    assert rows["kappa"]["reason"] in {
        "a single sample has no chance level",
        "one class is always predicted: chance is 1",
    }
    undefined = [row for row in rows.values() if row["estimate"] is None]
    assert all(row["reason"] and row["status"] == "undefined" for row in undefined)


def test_torchvisions_image_folders_are_decoded_once_too(tmp_path: Path) -> None:
    photos.folders(tmp_path / "photos", 6)
    by_torchvision = load("torchvision/ImageFolder", tmp_path, root="photos")
    ours = load("images", tmp_path, root="photos")
    assert by_torchvision.digest() == ours.digest()
    assert list(by_torchvision.classes) == ["cat", "dog"]
    assert torch.equal(by_torchvision.batch(range(6)).leaves["image"], ours.batch(range(6)).leaves["image"])


def write_csv(folder: Path, text: str, count: int = 4) -> None:
    (folder / "files").mkdir()
    for i in range(count):
        (folder / "files" / f"{i}.png").write_bytes(photos.encoded(photos.picture(i)))
    (folder / "table.csv").write_text(text, encoding="utf-8-sig")


def test_csv_with_names_of_classes(tmp_path: Path) -> None:
    write_csv(tmp_path, "image,kind\nfiles/1.png,dog\n files/0.png ,cat\nfiles/2.png,dog\n")
    data = load("csv", tmp_path, path="table.csv", label="kind")
    assert list(data.classes) == ["cat", "dog"]
    batch = data.batch([0, 1, 2])
    assert batch.targets["label"].tolist() == [1, 0, 1]
    assert torch.equal(batch.leaves["image"][1], pixels_of(photos.picture(0)))


def test_csv_with_class_indices_and_without_labels(tmp_path: Path) -> None:
    write_csv(tmp_path, "path;y\nfiles/1.png;7\nfiles/0.png;0\n")
    data = load("csv", tmp_path, path="table.csv", image="path", label="y", delimiter=";")
    assert (data.targets, data.classes) == ({"label": Category(8)}, None)
    assert data.batch([0, 1]).targets["label"].tolist() == [7, 0]
    assert load("csv", tmp_path, path="table.csv", image="path", delimiter=";").targets == {}


def test_indices_that_pandas_wrote_as_floats(tmp_path: Path) -> None:
    write_csv(tmp_path, "image,y\n" + "".join(f"files/0.png,{i}.0\n" for i in range(12)))
    data = load("csv", tmp_path, path="table.csv", label="y")
    assert (data.targets, data.classes) == ({"label": Category(12)}, None)
    assert data.batch(range(12)).targets["label"].tolist() == list(range(12))


@pytest.mark.parametrize("odd", ["-1", "2.5", "unknown"])
def test_one_odd_label_among_numbers_is_refused_with_its_row(tmp_path: Path, odd: str) -> None:
    write_csv(tmp_path, "image,y\n" + "".join(f"files/0.png,{i}\n" for i in range(12)) + f"files/0.png,{odd}\n")
    said = f"table.csv:14: label '{odd}' among numbers, expected class indices, 0 or more, in every row"
    with pytest.raises(ConfigError, match=said):
        load("csv", tmp_path, path="table.csv", label="y")


def test_digits_among_letters_are_names(tmp_path: Path) -> None:
    write_csv(tmp_path, "image,y\n" + "".join(f"files/0.png,{i}\n" for i in "10ABCD"))
    assert list(load("csv", tmp_path, path="table.csv", label="y").classes) == list("01ABCD")


def test_labels_that_are_not_asked_for_are_mentioned(tmp_path: Path) -> None:
    write_csv(tmp_path, "image,label\nfiles/1.png,7\n")
    remark = "data: 'label' is not used. For labels, say label: label."
    assert load("csv", tmp_path, path="table.csv").remarks() == [remark]
    assert load("csv", tmp_path, path="table.csv", label="label").remarks() == []
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    remark = "data: 'labels' is not used. For labels, say labels: labels."
    assert load("arrays", tmp_path, path="a.npz").remarks() == [remark]


def test_csv_names_files_that_are_missing(tmp_path: Path) -> None:
    write_csv(tmp_path, "image\nfiles/0.png\nfiles/9.png\nfiles\n")
    data = load("csv", tmp_path, path="table.csv")
    assert data.unusable == {1: "No such file or directory", 2: "it is no regular file"}
    with pytest.raises(DataError, match=r"data, sample 1: files/9.png cannot be read: No such file"):
        data.batch([0, 1])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("image,label\n", {}, "table.csv has no rows, expected a header"),
        ("", {}, "table.csv has no column 'image', expected one of none"),
        ("images\nfiles/0.png\n", {}, "no column 'image', expected one of images. Did you mean 'images'"),
        ("image,y\nfiles/0.png,\n", {"label": "y"}, "table.csv:2: nothing in column 'y'"),
        ("image,y\nfiles/0.png\n", {"label": "y"}, "table.csv:2: nothing in column 'y'"),
        ("image,y\n,1\n", {"label": "y"}, "table.csv:2: nothing in column 'image'"),
        (
            "image,y\na.png,1\nb\0.png,1\n",
            {"label": "y"},
            r"table.csv:3: 'b\\x00.png' holds a null byte, expected a path",
        ),
        ("image\nnone.png\n", {}, r"none of 1 files can be read: none.png \(No such file or directory\)"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str, options: dict[str, str], message: str) -> None:
    write_csv(tmp_path, text)
    with pytest.raises(ConfigError, match=message):
        load("csv", tmp_path, path="table.csv", **options)


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"image\n\xff\xfe\n")
    with pytest.raises(ConfigError, match="table.csv is no CSV file in UTF-8"):
        load("csv", tmp_path, path="table.csv")
    with pytest.raises(ConfigError, match="tables.csv does not exist. Did you mean 'table.csv'"):
        load("csv", tmp_path, path="tables.csv")


IMAGES = np.random.default_rng(0).integers(0, 256, size=(6, 3, 8, 7), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def write_arrays(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, images)
    elif path.suffix == ".safetensors":
        save_file({"images": np.ascontiguousarray(images), "labels": labels}, path)
    elif path.stem == "small":
        np.savez_compressed(path, images=images, labels=labels)
    else:
        np.savez(path, images=images, labels=labels)


@pytest.mark.parametrize("name", ["a.npz", "small.npz", "a.npy", "a.safetensors"])
@pytest.mark.parametrize(
    ("images", "scale"),
    [
        (IMAGES, 255),
        (IMAGES.transpose(0, 2, 3, 1), 255),
        (IMAGES[:, 0], 255),
        ((IMAGES / 255).astype(np.float32), 1),
        ((IMAGES / 255).astype(np.float16), 1),
        (IMAGES[:, 0] / 255, 1),
    ],
    ids=["nchw", "nhwc", "nhw", "float32", "float16", "float64"],
)
def test_arrays(tmp_path: Path, name: str, images: np.ndarray, scale: int) -> None:
    write_arrays(tmp_path / name, images, LABELS)
    labels = None if name == "a.npy" else "labels"
    data = load("arrays", tmp_path, path=name, labels=labels)
    batch = data.batch([4, 1])
    expected = IMAGES[[4, 1]] if images.ndim == 4 else IMAGES[[4, 1]][:, :1]
    assert torch.allclose(
        batch.leaves["image"], torch.from_numpy(expected).float() / 255, atol=1e-3 if scale == 1 else 0
    )
    assert batch.targets == {} if labels is None else batch.targets["label"].tolist() == [1, 1]
    assert data.shapes(canvas=5) == {"image": (expected.shape[1], 5, 5)}
    mapped = str(tmp_path / name) in Path("/proc/self/maps").read_text()
    assert mapped == (name != "small.npz"), "what is compressed has to be read, and nothing else"


def test_arrays_of_another_byte_order_and_of_fortran(tmp_path: Path) -> None:
    images = np.asfortranarray((IMAGES / 255).astype(">f4"))
    np.savez(tmp_path / "a.npz", images=images)
    np.save(tmp_path / "a.npy", images)
    for name in ("a.npz", "a.npy"):
        found = load("arrays", tmp_path, path=name).batch([2]).leaves["image"]
        assert torch.equal(found, torch.from_numpy(images[[2]].astype(np.float32)))


def test_the_digest_of_arrays_is_of_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    one = load("arrays", tmp_path, path="a.npz", labels="labels")
    assert one.digest() == load("arrays", tmp_path, path="a.npz", labels="labels").digest()
    assert one.digest() != load("arrays", tmp_path, path="a.npz").digest()
    changed = IMAGES.copy()
    changed[0, 0, 0, 0] ^= 1
    np.savez(tmp_path / "a.npz", images=changed, labels=LABELS)
    assert one.digest() != load("arrays", tmp_path, path="a.npz", labels="labels").digest()


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"images": IMAGES}, {"images": "image"}, "no array 'image', expected one of images. Did you mean 'images'"),
        (
            {"images": IMAGES.astype(np.int64)},
            {},
            r"images are int64, expected uint8, uint16, or float in \[0, 1\]. Say what.*range: \[0, 4095\]",
        ),
        ({"images": IMAGES[:, 0, 0]}, {}, r"images have shape \(6, 7\), expected \(n, c, h, w\)"),
        ({"images": IMAGES[:0]}, {}, "array 'images', is empty"),
        ({"images": np.zeros((2, 4, 8, 8))}, {}, "whose axis of channels cannot be told.*Say layout: nchw"),
        (
            {"images": IMAGES, "y": LABELS[:3]},
            {"labels": "y"},
            r"labels are int64 of shape \(3,\), expected 6 labels, one for each image",
        ),
        ({"images": IMAGES, "y": np.stack([LABELS] * 3, 1)}, {"labels": "y"}, r"labels are int64 of shape \(6, 3\)"),
        ({"images": IMAGES, "y": LABELS * np.nan}, {"labels": "y"}, "labels are float64 of shape"),
        ({"images": IMAGES, "y": LABELS - 1}, {"labels": "y"}, "got label -1, expected class indices, 0 or more"),
        ({"images": np.array([None, "x"])}, {}, "its elements are Python objects"),
    ],
)
def test_broken_arrays(tmp_path: Path, arrays: dict[str, Any], options: dict[str, str], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ConfigError, match=message):
        load("arrays", tmp_path, path="a.npz", **options)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.safetensors"])
def test_array_files_that_are_cut_off(tmp_path: Path, name: str) -> None:
    write_arrays(tmp_path / name, IMAGES, LABELS)
    whole = (tmp_path / name).read_bytes()
    for cut in (0, 5, len(whole) // 2):
        (tmp_path / name).write_bytes(whole[:cut])
        with pytest.raises(
            ConfigError, match=f"data: reading {name} raised .*, expected an array file that is whole"
        ):
            load("arrays", tmp_path, path=name)


def test_array_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.mat").touch()
    with pytest.raises(ConfigError, match="got a.mat, expected a file that ends in .npz, .npy or .safetensors"):
        load("arrays", tmp_path, path="a.mat")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", b"no array")
    with pytest.raises(ConfigError, match="reading a.npz raised"):
        load("arrays", tmp_path, path="a.npz")


def test_float_pixels_out_of_range_are_named(tmp_path: Path) -> None:
    images = (IMAGES / 255).astype(np.float32)
    images[4, 0, 0, 0] = np.nan
    np.save(tmp_path / "a.npy", images)
    data = load("arrays", tmp_path, path="a.npy")
    data.batch([0, 1, 2, 3])
    with pytest.raises(DataError, match=r"sample 4: got 1 of 168 pixels that are NaN.*, expected values in \[0, 1\]"):
        data.batch([0, 4])


def test_arrays_through_the_command_line(tmp_path: Path, symbench: Symbench) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS % 2)
    suite = photos.suite(tmp_path, "use: arrays, path: a.npz, images: x, labels: y")
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    frame = open_run(results=tmp_path / "results").estimates()
    assert frame[frame.metric == "accuracy"].estimate.notna().all()


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("datasets", reason="the extra huggingface is not installed")


def table(library: Any, *, label: str = "class", broken: bool = False) -> Any:
    images: list[Any] = [{"bytes": photos.encoded(photos.picture(i)), "path": None} for i in range(6)]
    if broken:
        images[1] = {"bytes": b"", "path": None}
        images[3] = None
    kinds = {
        "class": (library.ClassLabel(names=["a", "b"]), [0, 1] * 3),
        "text": (library.Value("string"), ["dog", "cat"] * 3),
        "number": (library.Value("int64"), [0, 4] * 3),
        "hidden": (library.Value("int64"), [-1] * 6),
        "float": (library.Value("float32"), [0.5] * 6),
        "null": (library.Value("int64"), [0, None] * 3),
    }
    feature, values = kinds[label]
    features = library.Features({"image": library.Image(), "label": feature})
    return library.Dataset.from_dict({"image": images, "label": values}, features=features)


@pytest.mark.parametrize(
    ("label", "expected", "classes"),
    [("class", [0, 1, 0], ["a", "b"]), ("text", [1, 0, 1], ["cat", "dog"]), ("number", [0, 4, 0], None)],
)
def test_hugging_face_folders(
    tmp_path: Path, library: Any, label: str, expected: list[int], classes: list[str] | None
) -> None:
    table(library, label=label).save_to_disk(str(tmp_path / "saved"))
    data = load("huggingface", tmp_path, path="saved", label="label")
    assert data.classes == classes
    batch = data.batch([0, 1, 2])
    assert batch.targets["label"].tolist() == expected
    assert torch.equal(batch.leaves["image"][1], pixels_of(photos.picture(1)))
    assert load("huggingface", tmp_path, path="saved").targets == {}


def test_hugging_face_splits_and_rows_without_an_image(tmp_path: Path, library: Any) -> None:
    whole = library.DatasetDict({"train": table(library), "validation": table(library, broken=True)})
    whole.save_to_disk(str(tmp_path / "saved"))
    data = load("huggingface", tmp_path, path="saved", label="label")
    assert data.unusable == {1: "the file is empty", 3: "there is no image"}
    assert load("huggingface", tmp_path, path="saved").remarks()[0] == (
        "data: 'label' is not used. For labels, say label: label."
    )
    assert data.remarks() == [
        "data: 2 of 6 rows cannot be read and are left out: row 1 (the file is empty), row 3 (there is no image)."
    ]
    assert len(load("huggingface", tmp_path, path="saved", split="train")) == 6
    with pytest.raises(ConfigError, match="saved has no split 'trian', expected one of train, validation.*'train'"):
        load("huggingface", tmp_path, path="saved", split="trian")


def test_hugging_face_rows_that_name_files(tmp_path: Path, library: Any) -> None:
    files = photos.folders(tmp_path / "photos", 4)
    features = library.Features({"image": library.Image()})
    named = library.Dataset.from_dict({"image": [str(file) for file in files]}, features=features)
    from symbench.domains.images.datasets.huggingface import Rows

    source = Rows(named.cast_column("image", library.Image(decode=False)), "image")
    assert source.read(2) == files[2].read_bytes()
    assert source.stamp(2).key == os.fsencode(files[2])


@pytest.mark.parametrize(
    ("label", "options", "message"),
    [
        ("class", {"image": "img"}, "saved has no column 'img', expected one of image, label"),
        ("class", {"image": "label"}, "column 'label' of saved holds ClassLabel, expected a column of images"),
        ("hidden", {"label": "label"}, "row 0 has label -1, expected 0 or more. Leave label: out"),
        ("float", {"label": "label"}, "column 'label' holds no labels, expected class indices or names"),
        ("null", {"label": "label"}, "row 1 has no label, expected a label in every row"),
        ("class", {"split": "train"}, "saved is one split, expected a dataset with a training split"),
    ],
)
def test_broken_hugging_face_datasets(
    tmp_path: Path, library: Any, label: str, options: dict[str, str], message: str
) -> None:
    table(library, label=label).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(ConfigError, match=message):
        load("huggingface", tmp_path, path="saved", **options)


def test_hugging_face_names_are_looked_up_in_the_cache_only(
    tmp_path: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def fake(name: str) -> Any:
        asked.append((name, library.config.HF_HUB_OFFLINE))
        raise ConnectionError(f"Couldn't reach the Hub for {name!r}")

    monkeypatch.setattr(library, "load_dataset", fake)
    with pytest.raises(ConfigError, match="loading me/photos raised ConnectionError.*Set download: true to fetch it"):
        load("huggingface/me/photos", tmp_path)
    assert asked == [("me/photos", True)]
    assert not library.config.HF_HUB_OFFLINE


def test_without_hugging_faces_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ConfigError, match=r"needs the package datasets, which is not installed. pip install .symbench\[hugg"
    ):
        load("huggingface", tmp_path, path="saved")
