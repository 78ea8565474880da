"""Files that are odd, broken or hostile: each ends in pixels or in a sentence, never in a traceback."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from conftest import Symbench
from PIL import Image as Pil
from PIL import ImageOps, PngImagePlugin

from symbench.base.errors import ConfigError, DataError
from symbench.domains.images.datasets import decode
from symbench.domains.images.datasets.decode import Unreadable, framed, measure
from symbench.domains.images.datasets.images import load as load_images
from symbench.measure.evaluate.job import seeded_order
from symbench.measure.store import Store

RGB = photos.picture(1)


def load(folder: Path, **options: Any) -> Any:
    return load_images(
        **{"root": ".", "split": "test", "labels": "folders", "channels": 3, **options}, folder=folder, where="data"
    )


def pixels(data: bytes, channels: int = 3) -> np.ndarray:
    """``(h, w)`` or ``(h, w, 3)``."""
    with decode.quiet():
        image = decode.decode(data, channels)
        assert measure(data) == image.size
    return np.asarray(image)


def png16(values: np.ndarray, colour: int, transparent: Sequence[int] = ()) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write in colour: ``(h, w, c)``."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)),
        *([(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))] if transparent else []),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_transparent_value_of_sixteen_bits_is_black() -> None:
    grey = np.array([[[5000], [5001], [0]]])
    assert pixels(png16(grey, 0, [5000]), 1).tolist() == [[0, 19, 0]]
    colour = np.array([[[5000, 6000, 7000], [5000, 6000, 60000], [5, 6, 7]]])
    assert pixels(png16(colour, 2, [5000, 6000, 7000])).tolist() == [[[0, 0, 0], [19, 23, 234], [0, 0, 0]]]


def test_too_little_memory_says_nothing_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither unreadable nor remembered as such."""
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    photos.folders(tmp_path / "photos", 3)
    data = load(tmp_path / "photos")

    def fails(image: Pil.Image) -> Pil.Image:
        raise MemoryError

    for raised in (MemoryError, OSError("out of memory error when reading image file")):
        with monkeypatch.context() as scarce:
            scarce.setattr(decode, "_flattened", lambda image, raised=raised: (_ for _ in ()).throw(raised))
            with pytest.raises(DataError, match=r"data, .*.png: the memory does not suffice"):
                data.prepare(range(3), [8])
    with monkeypatch.context() as scarce:
        scarce.setattr(decode, "_orientation", fails)
        monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "another"))
        with pytest.raises(DataError, match=r"\d+.png: the memory does not suffice"):
            load(tmp_path / "photos")
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    again = load(tmp_path / "photos")
    again.prepare(range(3), [8])
    assert again.unusable == data.unusable == {}


def test_sixteen_bits_are_rounded_to_eight() -> None:
    values = np.random.default_rng(0).integers(0, 65536, size=(5, 4, 1))
    grey = pixels(png16(values, 0), 1)
    assert np.array_equal(grey, np.round(values[..., 0] / 257).astype(np.uint8))
    assert np.array_equal(pixels(png16(values, 0))[..., 1], grey)
    colour = np.random.default_rng(1).integers(0, 65536, size=(5, 4, 3))
    assert int(np.abs(pixels(png16(colour, 2)).astype(int) - colour // 256).max()) <= 1
    assert np.array_equal(pixels(png16(colour, 2)), colour >> 8), "Pillow cuts them"
    tiff = photos.encoded(Pil.fromarray(values[..., 0].astype(np.uint16)), "TIFF")
    assert np.array_equal(pixels(tiff, 1), grey)


def test_palettes() -> None:
    image = RGB.convert("P", palette=Pil.Palette.ADAPTIVE, colors=7)
    for kind in ("PNG", "GIF", "BMP"):
        assert np.array_equal(pixels(photos.encoded(image, kind)), np.asarray(image.convert("RGB")))


def test_cmyk() -> None:
    image = RGB.convert("CMYK")
    assert np.array_equal(pixels(photos.encoded(image, "TIFF")), np.asarray(image.convert("RGB")))
    found = pixels(photos.encoded(image, "JPEG", quality=100, subsampling=0)).astype(int)
    assert np.abs(found - np.asarray(RGB)).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey(mode: str) -> None:
    image = RGB.convert(mode)
    found = pixels(photos.encoded(image))
    assert found.shape == (10, 12, 3)
    assert np.array_equal(found[..., 0], np.asarray(image.convert("L")))
    assert np.array_equal(found[..., 0], found[..., 2])


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "key"])
def test_what_is_transparent_is_black(kind: str) -> None:
    alpha = Pil.fromarray(np.tile(np.array([0, 128, 255], dtype=np.uint8), (10, 4)))
    if kind in {"RGBA", "LA"}:
        image = RGB.convert(kind)
        image.putalpha(alpha)
        data = photos.encoded(image)
        base = np.asarray(RGB.convert("RGB" if kind == "RGBA" else "L").convert("RGB")).astype(float)
        expected = base * np.asarray(alpha)[..., None] / 255
    else:
        image = Pil.new("RGB", (3, 1))
        image.putdata([(255, 0, 0), (9, 9, 9), (0, 0, 255)])
        if kind == "palette":
            image = image.convert("P", palette=Pil.Palette.ADAPTIVE, colors=3)
            data = photos.encoded(image, transparency=image.getpixel((1, 0)))
        else:
            data = photos.encoded(image, transparency=(9, 9, 9))
        expected = np.array([[[255, 0, 0], [0, 0, 0], [0, 0, 255]]], dtype=float)
    assert np.abs(pixels(data) - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Pil.Exif()
    exif[0x0112] = orientation
    data = photos.encoded(RGB, kind, exif=exif)
    with Pil.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(pixels(data), expected)
    assert pixels(data).shape == ((12, 10, 3) if orientation > 4 else (10, 12, 3))


def test_a_broken_exif_tag_is_no_reason_to_drop_an_image() -> None:
    data = photos.encoded(RGB, "JPEG", exif=b"Exif\0\0garbage that is no TIFF header")
    assert pixels(data).shape == (10, 12, 3)
    exif = Pil.Exif()
    exif[0x0112] = 77
    assert pixels(photos.encoded(RGB, "JPEG", exif=exif)).shape == (10, 12, 3)


def test_animations_are_their_first_frame() -> None:
    frames = [photos.picture(i).convert("P", palette=Pil.Palette.ADAPTIVE) for i in range(3)]
    for kind in ("GIF", "WEBP", "PNG"):
        data = photos.encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert np.array_equal(pixels(data), np.asarray(frames[0].convert("RGB")))


def broken_png() -> bytes:
    data = bytearray(photos.encoded(RGB))
    data[data.index(b"IDAT") + 20] ^= 255
    return bytes(data)


def bomb() -> bytes:
    """200 bytes that stand for ten thousand million pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return photos.encoded(RGB).replace(
        photos.encoded(RGB)[16:33], header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"I am no image", "it is no JPEG, PNG, BMP, WebP, TIFF or GIF"),
    "header only": (
        lambda: photos.encoded(RGB, "JPEG")[:30],
        "it is no JPEG|Truncated|truncated|EOFError|OSError|SyntaxError",
    ),
    "truncated JPEG": (
        lambda: photos.encoded(photos.picture(size=(64, 64)), "JPEG")[:-300],
        "the file is truncated",
    ),
    "truncated PNG": (lambda: photos.encoded(photos.picture(size=(64, 64)))[:-300], "truncated"),
    "truncated BMP": (lambda: photos.encoded(RGB, "BMP")[:-100], "truncated"),
    "truncated WebP": (lambda: photos.encoded(photos.picture(size=(64, 64)), "WEBP")[:-300], "."),
    "truncated TIFF": (lambda: photos.encoded(RGB, "TIFF")[:-250], "."),
    "truncated GIF": (lambda: photos.encoded(RGB, "GIF")[:-60], "truncated"),
    "flipped bits": (broken_png, "broken|CRC|incorrect|stream|Error"),
    "bomb": (bomb, "more than 89,478,485"),
    "floating point": (lambda: photos.encoded(Pil.new("F", (4, 4)), "TIFF"), "floating-point numbers"),
    "32 bits": (lambda: photos.encoded(Pil.new("I", (4, 4), 1 << 20), "TIFF"), "more than 16 bits"),
    "PostScript": (lambda: photos.encoded(RGB, "EPS"), "it is no JPEG, PNG, BMP, WebP, TIFF or GIF"),
    "PDF": (lambda: b"%PDF-1.4\n%\xe2\xe3\n", "it is no JPEG"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_is_left_out_with_a_reason(tmp_path: Path, kind: str) -> None:
    make, reason = BROKEN[kind]
    photos.folders(tmp_path, 3)
    (tmp_path / "cat" / "broken.png").write_bytes(make())
    data = load(tmp_path)
    assert len(data) == 4
    data.prepare(range(4), [9])
    assert list(data.unusable) == [2]
    assert data.remarks()[0].startswith("data: 1 of 4 files cannot be read and are left out: cat/broken.png (")
    assert re.search(reason, data.unusable[2]), data.unusable[2]
    assert "0x" not in data.unusable[2]
    assert data.batch([0, 1, 3], canvas=9).targets["label"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("kind", BROKEN)
def test_nothing_but_what_cannot_be_read_is_an_error_before_any_work(
    tmp_path: Path, kind: str, symbench: Symbench
) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(2):
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(BROKEN[kind][0]() + b"\0" * i)
    if kind == "empty":
        (tmp_path / "photos" / "1.jpg").write_bytes(b"")
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results")
    assert ran.code == 2, ran.err
    assert "photos.yaml:4: datasets.photos: none of 2 files can be read: 0.jpg (" in ran.err
    assert "expected at least one image" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "results").exists()


def test_random_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(0)
    whole = [
        photos.encoded(photos.picture(i), kind)
        for i, kind in enumerate(("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"))
    ]
    reasons: set[str] = set()
    with decode.quiet():
        for i in range(600):
            data = bytearray(whole[i % 6])
            for _ in range(rng.integers(1, 8)):
                data[rng.integers(len(data))] = rng.integers(256)
            try:
                size = measure(bytes(data))
                image = decode.decode(bytes(data), 3)
            except Unreadable as error:
                reasons.add(str(error))
            else:
                assert (image.mode, image.size) == ("RGB", size)
                assert framed(image, 8).shape == (3, 8, 8)
    assert len(reasons) > 5
    assert all(reasons)


def test_a_run_says_what_it_leaves_out_and_keeps_the_count(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 8)
    for i in range(7):
        data = b"" if i % 2 else photos.encoded(photos.picture(i), "JPEG")[:-20]
        (tmp_path / "photos" / "dog" / f"x{i}.jpg").write_bytes(data)
    suite = photos.suite(tmp_path)
    for _ in range(2):  # found once, and said every time
        ran = symbench("run", suite, "--results", tmp_path / "results")
        assert ran.code == 0, ran.err
        assert (
            "photos.yaml:4: datasets.photos: 7 of 15 files cannot be read and are left out: dog/x0.jpg (the file is truncated)"
            in ran.err
        )
        assert "dog/x1.jpg (the file is empty)" in ran.err
        assert "and 2 more." in ran.err
        record = next((tmp_path / "results" / "cells").rglob("cell.json"))
        cell = Store(tmp_path / "results").cell(record.parent.name)
        assert cell is not None
        assert (cell.samples, cell.facts["unreadable_samples"]) == (8, 7.0)
        for words in (["run"], ["run", "--dry-run"], ["validate"]):
            again = symbench(*words, suite, "--results", tmp_path / "results")
            assert again.err.count("7 of 15 files cannot be read and are left out") == 1
            assert again.code == 0
        shutil.rmtree(tmp_path / "results" / "cells")


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_a_limit_is_of_the_order_less_what_cannot_be_read(tmp_path: Path, symbench: Symbench, limit: int) -> None:
    for path in photos.folders(tmp_path / "photos", 6)[::2]:
        path.write_bytes(path.read_bytes()[:-30])
    data = load(tmp_path, root="photos")
    order = seeded_order(6, data.digest(), seed=0, limit=limit)
    readable = [index for index in order if index > 2]  # cat is broken, dog is not
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results", "--limit", str(limit))
    if readable:
        assert ran.code == 0, ran.err
        path = next((tmp_path / "results" / "cells").rglob("cell.json"))
        cell = Store(tmp_path / "results").cell(path.parent.name)
        assert cell is not None
        assert cell.samples == len(readable)
    else:
        assert ran.code == 3, ran.err
        assert f"photos: none of the {limit:,} samples can be read, expected at least one that can" in ran.err


def test_images_of_several_sizes_want_a_size(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 2)
    (tmp_path / "photos" / "dog" / "wide.png").write_bytes(photos.encoded(photos.picture(size=(30, 10))))
    suite = photos.suite(tmp_path, models='  mine: {use: "model.py:build"}')
    ran = symbench("validate", suite)
    assert ran.code == 2
    said = "photos.yaml:4: datasets.photos: images have 2 sizes, such as 12 x 10 (cat/000000.png) and 30 x 10 (dog/wide.png)"
    assert f"{said}, expected one size. Give every model of them a size." in ran.err
    assert symbench("validate", photos.suite(tmp_path)).code == 0


@pytest.mark.parametrize(
    "name", ["ünï çødé 日本語 🐈.png", "a" * 250 + ".png", "new\nline.png", "tab\tand [bold]red[-].png"]
)
def test_odd_names(tmp_path: Path, name: str, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 4)
    whole, broken = tmp_path / "photos" / "dog" / name, tmp_path / "photos" / "cat" / name
    whole.write_bytes(photos.encoded(photos.picture(9)))
    broken.write_bytes(b"")
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert "1 of 6 files cannot be read and are left out: cat/" in ran.err
    assert all(len(line) < 400 and line.isprintable() for line in ran.err.splitlines())


def test_names_that_are_no_text(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 4)
    try:
        with open(os.fsencode(tmp_path / "photos" / "dog") + b"/\xff\xfe.png", "wb"):  # noqa: PTH123
            pass
    except OSError:
        pytest.skip("the file system takes no such names")
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert "dog/\\xdcff\\xdcfe.png (the file is empty)" in ran.err


def test_deep_folders_and_very_long_paths(tmp_path: Path) -> None:
    photos.folders(tmp_path, 2)
    (tmp_path / "cat" / ("b" * 200) / ("c" * 200) / ("d" * 200)).mkdir(parents=True)
    deep = tmp_path / "cat" / ("b" * 200) / ("c" * 200) / ("d" * 200) / "broken.png"
    deep.touch()
    data = load(tmp_path)
    assert len(data) == 3
    assert len(data.remarks()[0]) < 250


def test_symlink_loops_and_links(tmp_path: Path, symbench: Symbench) -> None:
    root = tmp_path / "photos"
    photos.folders(root, 4)
    (root / "cat" / "loop").symlink_to(root / "cat")
    (root / "cat" / "up").symlink_to(root)
    (root / "dog" / "itself.png").symlink_to("itself.png")
    (root / "dog" / "gone.png").symlink_to("nowhere.png")
    (root / "dog" / "again").symlink_to(tmp_path / "elsewhere")
    (root / "bird").symlink_to(tmp_path / "elsewhere")
    photos.folders(tmp_path / "elsewhere", 2, classes=("x",))
    data = load(tmp_path, root="photos")
    assert list(data.classes) == ["bird", "cat", "dog"]
    names = [data.source.name(i) for i in range(len(data)) if i not in data.unusable]
    assert [n for n in names if n.startswith("bird/")] == ["bird/x/000000.png", "bird/x/000001.png"]
    assert [n for n in names if n.startswith("dog/again")] == ["dog/again/x/000000.png", "dog/again/x/000001.png"]
    assert len(names) == 8
    assert sorted(data.unusable.values()) == ["No such file or directory", "Too many levels of symbolic links"]
    models = '  mine: {use: "model.py:build", args: {classes: 3}, size: 9}'
    ran = symbench("run", photos.suite(tmp_path, models=models), "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert "2 links are left out, because the folder behind is read already." in ran.err
    assert "2 of 10 files cannot be read and are left out" in ran.err


def test_folders_that_cannot_be_opened(tmp_path: Path, symbench: Symbench, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path / "photos", 4)
    secret = tmp_path / "photos" / "cat" / "secret"
    secret.mkdir()
    real = os.scandir

    def scandir(path: Any) -> Any:  # root may open everything, so that chmod would not do
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert "datasets.photos: 1 folder is left out, which cannot be opened: cat/secret (Permission denied)." in ran.err


def test_files_that_may_not_be_read_and_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path, 4)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        if self.name == "000000.png":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    data = load(tmp_path)
    assert data.unusable == {0: "Permission denied", 2: "it is no regular file"}
    assert data.batch([1, 3, 4], canvas=8).leaves["image"].shape == (3, 3, 8, 8)


def test_a_file_too_large_for_an_image(tmp_path: Path) -> None:
    photos.folders(tmp_path, 2)
    with (tmp_path / "cat" / "huge.png").open("wb") as file:
        file.truncate(2**30 + 1)  # sparse: takes no room
    assert load(tmp_path).unusable == {1: "it has 1,073,741,825 bytes, more than 1,073,741,824"}


def test_a_root_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path, 2)

    def scandir(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(
        ConfigError, match=r"no images below .*left out, which cannot be opened: \. \(Permission denied\)"
    ):
        load(tmp_path)


def test_metadata_bombs(tmp_path: Path) -> None:
    """A text chunk that unpacks to 100 MB is Pillow's to refuse, and ours to put in words."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 100_000_000, zip=True)
    photos.folders(tmp_path, 2)
    (tmp_path / "cat" / "z.png").write_bytes(photos.encoded(RGB, pnginfo=info))
    data = load(tmp_path)
    data.prepare(range(3), [8])
    assert set(data.unusable) <= {1}
