"""Samples that stay on a device: the same as those that are read batch by batch, and read once."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Folder

import symbench as sb
from symbench.algebra.fields import Category
from symbench.base.errors import ModelError
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Aligned, Arrays, Dataset
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.images.fields import Image
from symbench.measure.evaluate import loop
from symbench.measure.evaluate.finite import Finite
from symbench.measure.evaluate.held import Held, Shelf
from symbench.testing import Blobs


class Bytes(Arrays):
    """Pixels in 8 bits that count how often they are read."""

    def __init__(self, count: int) -> None:
        pixels = torch.randint(0, 256, (count, 1, 9, 9), generator=torch.Generator().manual_seed(0)).byte()
        labels = torch.arange(count) % 3
        super().__init__(
            {"image": pixels.float() / 255},
            {"label": labels},
            fields={"image": Image()},
            target_fields={"label": Category(3)},
        )
        self.pixels = pixels
        self.read: list[int] = []

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored:
        del canvas
        self.read += indices
        rows = list(indices)
        return Stored({"image": self.pixels[rows]}, {"label": self.target_values["label"][rows]}, {"image": 255})


def test_what_is_held_is_what_batches_give_bit_for_bit_and_is_read_once() -> None:
    data = Bytes(20)
    held = Held(data, None, "cpu", 20, inf)
    for indices in ([3, 1, 7], [7, 5, 3], [3, 1, 7, 5], list(range(20))):
        found = held.batch(indices)
        wanted = data.batch(indices)
        assert found is not None
        assert torch.equal(found.leaves["image"], wanted.leaves["image"])
        assert torch.equal(found.targets["label"], wanted.targets["label"])
    assert sorted(data.read) == list(range(20)), "each once"
    assert held.kept is not None
    assert held.kept.leaves["image"].dtype == torch.uint8


def test_samples_in_their_order_are_not_copied() -> None:
    held = Held(Blobs(8), None, "cpu", 8, inf)
    held.batch([4, 2, 6, 0])
    found = held.batch([2, 6])
    assert found is not None
    assert held.kept is not None
    assert (
        found.leaves["image"].untyped_storage().data_ptr() == held.kept.leaves["image"].untyped_storage().data_ptr()
    )


@pytest.mark.parametrize(("count", "room"), [(20, 20 * 81 - 1), (2, inf)], ids=["too large", "more than was said"])
def test_what_does_not_fit_is_read_batch_by_batch(count: int, room: float) -> None:
    held = Held(Bytes(20), None, "cpu", count, room)
    assert held.batch([0, 1, 2]) is None
    assert held.kept is None, "nothing stays"
    assert held.batch([0]) is None


def test_a_dataset_that_keeps_nothing_is_read_batch_by_batch() -> None:
    class Drawn(Bytes):
        def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> None:  # type: ignore[override]
            return None

    held = Held(Drawn(4), None, "cpu", 4, inf)
    assert held.batch([0]) is None
    assert held.refused


def test_a_shelf_holds_one_copy_for_models_with_different_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 1 << 31))
    data, shelf = Bytes(6), Shelf()
    one = shelf.of("bytes", Aligned(data, [2, 0, 1]), None, "cuda", None)
    assert one is shelf.of("bytes", data, None, "cuda", None)
    assert one is not None
    assert (one.dataset, one.count, one.room) == (data, 6, (1 << 30) / 2)
    one.device = "cpu"
    one.batch(range(6))
    other = shelf.of("bytes", data, 32, "cuda", 4)
    assert other is not None
    assert other is not one
    assert other.room == ((1 << 30) + 6 * 81) / 2 - 6 * 81, "half of what is free for all together"
    assert shelf.of("bytes", data, None, "cpu", None) is None, "they are there already"


def observations(folder: Folder, **choices: Any) -> dict[str, Any]:
    run = sb.run(folder.suite, choices=sb.Choices(results=folder.results, **choices))
    assert run.failed == []
    store = run.store
    return {c.symmetry: store.observations(c.key).to_pandas() for c in run.manifest.cells}


def test_a_run_that_holds_its_samples_measures_the_same_bytes(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(symmetries="  more: {group: SO2, on: image, elements: 3, border: disc}")
    plain = observations(folder)
    held: list[Held] = []

    def of(self: Shelf, name: str, dataset: Dataset, canvas: Any, device: str, limit: int | None) -> Held:
        if not held:
            held.append(Held(dataset, canvas, device, len(dataset), inf))
        return held[0]

    monkeypatch.setattr(Shelf, "of", of)
    again = Folder(tmp_path / "again")
    again.path.mkdir()
    again.write(symmetries="  more: {group: SO2, on: image, elements: 3, border: disc}")
    found = observations(again)
    assert held[0].rows.keys() == set(range(24))
    for symmetry, table in plain.items():
        assert table.equals(found[symmetry])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize(
    "symmetry",
    [
        "{group: C4, on: image}",
        "{group: SO2, on: image, elements: 3}",
        "{group: SO2, on: image, elements: 3, interpolation: fourier, border: disc}",
        "{group: SO2, on: image, elements: 3, interpolation: bicubic}",
        "{group: translations, on: image, reach: 2, border: circular}",
        "{group: SE2, on: image, reach: 1, elements: 4}",
    ],
)
def test_a_gpu_is_not_waited_for_within_a_part(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, symmetry: str
) -> None:
    folder.write(symmetries=f"  more: {symmetry}")
    part, settle = loop.Loop._part, Finite.settle
    measured: list[int] = []

    def strict(self: loop.Loop, *arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            part(self, *arguments)
            measured.append(len(self.order))
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def settled(self: Finite) -> None:
        torch.cuda.set_sync_debug_mode("default")  # the one place where it is
        settle(self)

    monkeypatch.setattr(loop.Loop, "_part", strict)
    monkeypatch.setattr(Finite, "settle", settled)
    assert observations(folder, device="cuda", batch=7).keys() == {"turns", "more"}
    assert measured == [24, 24], "both cells, each in one part"


def test_finite_says_for_how_many_inputs_an_output_was_not() -> None:
    seen = Finite("net")
    seen.look("logits", torch.zeros(4, 2))
    values = torch.zeros(3, 2)
    values[1, 0], values[2] = torch.nan, torch.inf
    seen.look("logits", values)
    with pytest.raises(ModelError, match="net: output 'logits' is NaN or infinite for 2 of 7 inputs"):
        seen.settle()


def test_finite_says_whose_square_overflows() -> None:
    seen = Finite("net")
    seen.square("logits", torch.tensor([[1.0, 2.0]]))
    seen.settle()
    seen.square("logits", torch.tensor([[torch.inf, 2.0]]))
    with pytest.raises(ModelError, match="output 'logits' is so large that its square overflows"):
        seen.settle()
