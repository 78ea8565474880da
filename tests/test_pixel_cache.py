"""Decode once: what is decoded, read and kept, by one run, by the next, and by several at a time."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
import torch
from conftest import ROOT, Symbench

import symbench
from symbench.base.errors import ConfigError, DataError, Interrupted
from symbench.base.events import Advanced, Event, Finished, Started
from symbench.domains.common.datasets.base import Readable
from symbench.domains.images.datasets import cache, facts, pictures, remembered
from symbench.domains.images.datasets.decode import DECODED
from symbench.domains.images.datasets.images import load as load_images
from symbench.domains.images.datasets.pictures import Pictures


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))


def load(root: Path, *, labels: str = "folders", channels: int = 3) -> Pictures:
    return load_images(
        root=str(root), split="test", labels=labels, channels=channels, where="suite.yaml:4: datasets.photos"
    )


class Counted:
    """How many images were decoded, and how many files read, within a block."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files = 0
        real = facts.Files.read

        def read(source: facts.Files, index: int) -> bytes:
            self.files += 1
            return real(source, index)

        monkeypatch.setattr(facts.Files, "read", read)
        self.start = DECODED.total

    def since(self) -> tuple[int, int]:
        """(images decoded, files read) since the last time."""
        found = DECODED.total - self.start, self.files
        self.start, self.files = DECODED.total, 0
        return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_a_run_of_three_models_of_two_sizes_decodes_each_file_once(tmp_path: Path, counted: Counted) -> None:
    """2,000 JPEGs; the second run decodes none."""
    photos.folders(tmp_path / "photos", 2000, kind="jpg")
    models = "\n".join(f'  m{i}: {{use: "model.py:build", size: {size}}}' for i, size in enumerate((9, 9, 7)))
    suite = photos.suite(tmp_path, models=models)
    heard: list[Event] = []
    for results, expected in (("one", 2000), ("two", 0)):
        heard.clear()
        run = symbench.run(suite, results=tmp_path / results, listen=heard.append)
        assert [cell.status for cell in run.manifest.cells] == ["done"] * 3
        assert counted.since()[0] == expected
        started = [event for event in heard if isinstance(event, Started) and event.task == "decoding photos"]
        assert started == ([Started("decoding photos", 2000, "images")] if expected else [])


ROUND = """\
import torch


def build():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3, stride=2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with torch.no_grad():
        net[0].weight.copy_(sum(torch.rot90(net[0].weight, k, (-2, -1)) for k in range(4)) / 4)
    return net
"""
"""Exact under quarter turns at odd sizes only, because of the stride."""


def test_controls_at_other_sizes_decode_nothing(tmp_path: Path, counted: Counted, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 8)
    suite = photos.suite(tmp_path, models='  mine: {use: "model.py:build", size: 8}')
    (tmp_path / "model.py").write_text(ROUND)
    assert symbench("run", suite, "--results", tmp_path / "results").code == 0
    cell = json.loads(next((tmp_path / "results" / "cells").rglob("cell.json")).read_text())
    assert {"7", "9", "11"} <= cell["sizes"].keys()
    assert not {"6", "10"} & cell["sizes"].keys()
    assert counted.since()[0] == 8


def test_one_pass_fills_all_canvases(tmp_path: Path, counted: Counted) -> None:
    photos.folders(tmp_path / "photos", 6)
    data = load(tmp_path / "photos")
    assert data.pending(range(6), [5, 7, None]) == 6
    heard: list[Event] = []
    data.prepare([4, 1, 1, 3], [5, 7, None], listen=heard.append)
    assert counted.since()[0] == 3 + 1  # the first file was decoded to see that one can be
    assert heard == [Started("decoding photos", 3, "images"), Advanced(3), Finished()]
    data.prepare(range(6), [5, 7, None])
    assert counted.since()[0] == 2
    assert data.pending(range(6), [5, 7, None]) == 0
    for canvas, side in ((5, (5, 5)), (7, (7, 7)), (None, (10, 12))):
        assert data.batch(range(6), canvas=canvas).leaves["image"].shape == (6, 3, *side)
    assert counted.since()[0] == 0


def test_a_batch_is_uint8_over_255(tmp_path: Path) -> None:
    photos.folders(tmp_path / "photos", 5)
    found = load(tmp_path / "photos").batch([3, 0, 3]).leaves["image"]
    expected = [np.asarray(photos.picture(i)).transpose(2, 0, 1) for i in (1, 0, 1)]  # cat holds 0, 2, 4
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.from_numpy(np.stack(expected)).float() / 255)


def test_unchanged_files_are_not_even_read(tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    files = photos.folders(tmp_path / "photos", 4)
    first = load(tmp_path / "photos")
    first.prepare(range(4), [8])
    assert counted.since() == (4, 8)
    again = load(tmp_path / "photos")
    assert counted.since() == (0, 4), "too new to be sure that they did not change: read, not decoded"
    monkeypatch.setattr(remembered, "SETTLED_NS", 0)
    load(tmp_path / "photos")
    counted.since()
    again = load(tmp_path / "photos")
    assert torch.equal(
        again.batch(range(4), canvas=8).leaves["image"], first.batch(range(4), canvas=8).leaves["image"]
    )
    assert counted.since() == (0, 0)
    assert again.digest() == first.digest()
    before = files[0].stat()
    files[0].write_bytes(photos.encoded(photos.picture(7))[: before.st_size].ljust(before.st_size, b"\0"))
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size and time, and other bytes
    changed = load(tmp_path / "photos")
    assert changed.digest() != first.digest()
    assert counted.since()[1] >= 1


def test_pixels_are_shared_whatever_the_labels_and_places(tmp_path: Path, counted: Counted) -> None:
    photos.folders(tmp_path / "photos", 4)
    first = load(tmp_path / "photos")
    first.prepare(range(4), [8])
    counted.since()
    shutil.copytree(tmp_path / "photos", tmp_path / "copy")
    (tmp_path / "copy" / "cat").rename(tmp_path / "copy" / "a")
    copy, bare = load(tmp_path / "copy"), load(tmp_path / "photos", labels="none")
    for other in (copy, bare):
        other.batch(range(4), canvas=8)
        assert other.digest() != first.digest()
    assert counted.since()[0] == 0
    load(tmp_path / "photos", channels=1).batch(range(4), canvas=8)
    assert counted.since()[0] == 4


def test_a_file_that_changes_during_a_run_is_noticed(tmp_path: Path) -> None:
    files = photos.folders(tmp_path / "photos", 4)
    data = load(tmp_path / "photos")
    files[2].write_bytes(photos.encoded(photos.picture(9)))
    with pytest.raises(DataError, match=r"datasets.photos: cat/000002.png changed while it was in use. Run it again"):
        data.prepare(range(4), [8])
    files[2].unlink()
    with pytest.raises(DataError, match=r"cat/000002.png cannot be read any more: No such file or directory"):
        data.prepare(range(4), [8])


def test_damage_is_found_once(tmp_path: Path, counted: Counted) -> None:
    files = photos.folders(tmp_path / "photos", 4)
    files[0].write_bytes(files[0].read_bytes()[:-30])
    for decoded in (4, 0):
        data = load(tmp_path / "photos")
        data.prepare(range(4), [8])
        assert counted.since()[0] == decoded
        assert data.unusable == {0: "the file is truncated"}
        with pytest.raises(DataError, match="sample 0: cat/000000.png cannot be read: the file is truncated"):
            data.batch([1, 0], canvas=8)
    whole = Readable(data)
    assert (len(whole), whole.digest()) == (3, data.digest())
    assert torch.equal(whole.batch([0, 2], canvas=8).leaves["image"], data.batch([1, 3], canvas=8).leaves["image"])


def test_stopping_keeps_what_is_done(tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "CHUNK", 3)
    photos.folders(tmp_path / "photos", 10)
    heard: list[Event] = []

    def stopped() -> bool:
        return sum(event.steps for event in heard if isinstance(event, Advanced)) >= 6

    with pytest.raises(Interrupted, match="stopped after 6 of 10 images. The same command resumes"):
        load(tmp_path / "photos").prepare(range(10), [8], listen=heard.append, stopped=stopped)
    assert heard[-1] == Finished()
    assert counted.since()[0] == 6
    load(tmp_path / "photos").prepare(range(10), [8])
    assert counted.since()[0] == 4


def test_entries_that_were_not_used_for_longest_make_room(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.folders(tmp_path / "photos", 4)
    data = load(tmp_path / "photos")
    for canvas in (64, 65, 66):
        load(tmp_path / "photos").prepare(range(4), [canvas])
    entries = sorted((tmp_path / "cache" / "pixels").rglob("*.npy"))
    assert len(entries) == 3
    used = sum(512 * entry.stat().st_blocks for entry in entries)
    oldest = data._entry(64).path
    for path in entries:
        os.utime(path, (1, 1) if path == oldest else None)
    kept = data._entry(64).read(np.arange(4))
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", str((used + 30_000) / cache.GIB))
    counted.since()
    load(tmp_path / "photos").prepare(range(4), [67])
    assert not oldest.exists()
    left = (tmp_path / "cache" / "pixels").rglob("*.npy")
    assert sum(512 * entry.stat().st_blocks for entry in left) <= used + 30_000
    assert np.array_equal(data._entry(64).read(np.arange(4)), kept), "what is open stays readable"
    assert counted.since()[0] == 4
    load(tmp_path / "photos").batch(range(4), canvas=64)
    assert counted.since()[0] == 4, "and is filled again by the next run"


def test_an_entry_that_is_being_filled_is_not_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path / "photos", 4)
    data, other = load(tmp_path / "photos"), load(tmp_path / "photos")
    data.prepare(range(4), [64])
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", str(60_000 / cache.GIB))
    with data._entry(64).locked():
        other.prepare(range(4), [65])
    assert data._entry(64).path.exists()
    load(tmp_path / "photos").prepare(range(4), [66])
    assert not data._entry(64).path.exists()


def test_what_does_not_fit_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 4)
    suite = photos.suite(tmp_path)
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", "1e-8")
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 3, ran.err
    assert (
        "SYMBENCH_CACHE_GIB: the images of this run take 9.05e-07 GiB of the pixel cache, expected at most 9.31e-09"
        in ran.err
    )
    for wrong in ("a lot", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("SYMBENCH_CACHE_GIB", wrong)
        ran = symbench("run", suite, "--results", tmp_path / "results")
        assert ran.code == 2
        assert f"SYMBENCH_CACHE_GIB: got {wrong!r}, expected a number of GiB above 0." in ran.err


TWO = """\
version: 1
name: two
datasets:
  a: {use: images, root: a}
  b: {use: images, root: b}
models: {mine: {use: "model.py:build", size: 64}}
symmetries: {turns: {group: D2, on: image, elements: 1}}
controls: {samples: 2}
"""


def test_datasets_of_one_suite_do_not_drop_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbench: Symbench, counted: Counted
) -> None:
    """Room is asked for once: either both fit, or it is said."""
    for name in "ab":
        photos.folders(tmp_path / name, 4)
    suite = photos.suite(tmp_path)
    suite.write_text(TWO)
    one = 4 * 3 * 64 * 64
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", str(1.5 * one / cache.GIB))
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 3
    assert ran.err.count("failed: SYMBENCH_CACHE_GIB: the images of this run take 9.16e-05 GiB") == 2
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", str(2.5 * one / cache.GIB))
    assert symbench("run", suite, "--results", tmp_path / "results").code == 0
    counted.since()
    assert symbench("run", suite, "--results", tmp_path / "again").code == 0
    assert counted.since()[0] == 0


def test_a_cache_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbench: Symbench
) -> None:
    photos.folders(tmp_path / "photos", 4)
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "file"))
    ran = symbench("run", photos.suite(tmp_path), "--results", tmp_path / "results")
    assert ran.code == 3
    assert "file cannot be written: Not a directory, expected a folder that can. Set SYMBENCH_CACHE_DIR" in ran.err


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path / "photos", 4)

    def write(entry: cache.Entry, rows: Sequence[int], images: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.Entry, "write", write)
    with pytest.raises(DataError, match="cannot be written: No space left on device.*Set SYMBENCH_CACHE_DIR"):
        load(tmp_path / "photos").prepare(range(4), [8])


class Short(io.FileIO):
    """A file that takes 100 bytes at once, and on a disk that is full none."""

    most = 100

    def write(self, data: Any) -> int:
        return super().write(bytes(data[: self.most])) if self.most else 0


def test_what_is_written_in_parts_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path / "photos", 4)
    monkeypatch.setattr(Path, "open", lambda path, mode="r", **options: Short(path, mode.replace("b", "")))
    data = load(tmp_path / "photos")
    data.prepare(range(4), [8])
    monkeypatch.undo()
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "other"))
    whole = load(tmp_path / "photos").batch(range(4), canvas=8).leaves["image"]
    assert torch.equal(data.batch(range(4), canvas=8).leaves["image"], whole)


def test_a_row_that_was_not_written_is_not_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.folders(tmp_path / "photos", 4)
    data = load(tmp_path / "photos")
    data.prepare([0], [8])
    monkeypatch.setattr(Path, "open", lambda path, mode="r", **options: Short(path, mode.replace("b", "")))
    monkeypatch.setattr(Short, "most", 0)
    with pytest.raises(DataError, match="No space left on device"):
        data.prepare(range(4), [8])
    monkeypatch.undo()
    assert data.pending(range(4), [8]) == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "gone"])
def test_damaged_caches_are_filled_anew(tmp_path: Path, counted: Counted, damage: str) -> None:
    photos.folders(tmp_path / "photos", 4)
    first = load(tmp_path / "photos").batch(range(4), canvas=8).leaves["image"]
    counted.since()
    for path in [*(tmp_path / "cache").rglob("*.npy"), *(tmp_path / "cache").glob("*.sqlite")]:
        content = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(
                {"cut": content[: len(content) // 2], "empty": b"", "garbage": b"?" * len(content)}[damage]
            )
    assert torch.equal(load(tmp_path / "photos").batch(range(4), canvas=8).leaves["image"], first)
    assert counted.since()[0] == 4


FILL = """\
import sys, zlib
from symbench.domains.images.datasets import pictures
from symbench.domains.images.datasets.decode import DECODED
from symbench.domains.images.datasets.images import load
pictures.CHUNK = 32
data = load(root=sys.argv[1], split="test", labels="folders", channels=3)
data.prepare(range(len(data)), [16, 24])
pixels = data.batch(range(len(data)), canvas=24).leaves["image"]
print(DECODED.total, zlib.crc32(pixels.numpy().tobytes()))
"""


def test_processes_share_the_work(tmp_path: Path) -> None:
    photos.folders(tmp_path / "photos", 300, kind="jpg")
    command = [sys.executable, "-c", FILL, str(tmp_path / "photos")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    found = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len({checksum for _, checksum in found}) == 1
    tried = len(running)  # each looked whether the first file can be decoded, unless another was so far already
    assert 300 <= sum(int(decoded) for decoded, _ in found) <= 300 + tried


MEASURE = """\
import sys
from pathlib import Path
from symbench.domains.images.datasets.images import load

def anonymous():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Anonymous:")).split()[1])

data = load(root=sys.argv[1], split="test", labels="folders", channels=3)
peak = anonymous()
data.prepare(range(len(data)), [16], listen=lambda event: None)
peak = max(peak, anonymous())
for first in range(0, len(data), 1000):
    data.batch(range(first, first + 1000), canvas=16)
    peak = max(peak, anonymous())
print(len(data), peak)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc/self/smaps_rollup")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Anonymous resident memory, mapped pages aside, at 20,000 images is within 10 % of that at 2,000."""
    peaks = {}
    for i in range(20):
        (tmp_path / "large" / f"{i}").mkdir(parents=True)
        (tmp_path / "small" / f"{i}").mkdir(parents=True)
    for i in range(20_000):
        (tmp_path / "large" / f"{i % 20}" / f"{i}.bmp").write_bytes(HEADER + i.to_bytes(4, "little") * 15)
    for i in range(2_000):
        os.link(tmp_path / "large" / f"{i % 20}" / f"{i}.bmp", tmp_path / "small" / f"{i % 20}" / f"{i}.bmp")
    for name, count in (("small", 2_000), ("large", 20_000)):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path / name)],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found, peaks[name] = map(int, done.stdout.split())
        assert found == count
    assert peaks["large"] <= 1.1 * peaks["small"], peaks


HEADER = photos.encoded(photos.picture(size=(4, 5)), "BMP")[:54]
"""Of a BMP file of 4 x 5 pixels: no file is faster to write."""


def test_the_default_limit_is_20_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMBENCH_CACHE_GIB", raising=False)
    assert cache.limit_bytes() == 20 * 2**30
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", "0.5")
    assert cache.limit_bytes() == 2**29
    monkeypatch.setenv("SYMBENCH_CACHE_GIB", "x")
    with pytest.raises(ConfigError, match="SYMBENCH_CACHE_GIB: got 'x', expected a number of GiB above 0"):
        cache.limit_bytes()


def test_what_is_known_survives_in_no_wrong_way(tmp_path: Path, counted: Counted) -> None:
    """A file that took the place of another is not taken for it, and one that was mended is taken back."""
    files = photos.folders(tmp_path / "photos", 3)
    good = files[0].read_bytes()
    files[0].write_bytes(good[:-30])
    data = load(tmp_path / "photos")
    data.prepare(range(3), [8])
    assert set(data.unusable) == {0}
    files[0].write_bytes(good)
    mended = load(tmp_path / "photos")
    mended.prepare(range(3), [8])
    assert mended.unusable == {}
    assert mended.digest() != data.digest()
    expected: Any = photos.picture(0)
    assert torch.equal(
        mended.batch([0]).leaves["image"][0], torch.from_numpy(np.array(expected)).movedim(-1, 0).float() / 255
    )
