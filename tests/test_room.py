"""A device that runs out of memory: half the batch, said once, and the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Folder

import symbench as sb
from symbench.base.errors import ModelError
from symbench.base.events import Event, Note
from symbench.domains.images.actions.plane import TurnImage
from symbench.measure.evaluate import controls
from symbench.measure.evaluate.room import Room, with_memory

GREEDY = """
import torch
from torch import nn


class Greedy(nn.Module):
    def __init__(self, most):
        super().__init__()
        self.most = most
        self.layer = nn.Linear(81, 3)

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.layer(x.flatten(1))


def build():
    torch.manual_seed(0)
    return Greedy({most})
"""


@dataclass
class Job:
    batch_asked: int = 16
    room: Room = field(default_factory=Room)
    device: str = "cpu"
    name: str = "net"

    @property
    def batch(self) -> int:
        return min(self.batch_asked, self.room.most or self.batch_asked)


def test_work_is_begun_anew_with_half_the_batch_until_it_fits() -> None:
    job, tried = Job(), []

    def work() -> str:
        tried.append(job.batch)
        if job.batch > 4:
            raise torch.OutOfMemoryError("no")
        return "done"

    assert with_memory(job, work) == "done"
    assert tried == [16, 8, 4]
    assert [note.split(": ")[1:] for note in job.room.notes] == [
        [f"{n} samples in one forward pass do not fit into the device's memory", f"{n // 2} from now on"]
        for n in (16, 8)
    ]


def test_a_batch_that_was_made_before_less_was_known_to_fit_raises_it_no_more() -> None:
    room = Room(most=8)
    room.halve(256, "net", torch.OutOfMemoryError("no"))
    assert room.most == 8
    room.halve(8, "net", torch.OutOfMemoryError("no"))
    assert room.most == 4


def test_what_does_not_fit_alone_is_an_error_with_what_to_do() -> None:
    def work() -> None:
        raise torch.OutOfMemoryError("no")

    with pytest.raises(ModelError, match=r"net: a single sample does not fit .* Use a smaller model"):
        with_memory(Job(batch_asked=1), work)


def test_other_errors_are_not_retried() -> None:
    def work() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        with_memory(Job(), work)


def test_a_model_that_runs_out_of_memory_is_run_on_less_and_measures_the_same(folder: Folder) -> None:
    notes: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    tables = []
    for most in (72, 5):
        folder.write(model=GREEDY.replace("{most}", str(most)))
        run = sb.run(folder.suite, results=folder.results, listen=hear)
        assert run.failed == []
        tables.append(observations(run))
    assert [text for text in notes if "from now on" in text] == [
        f"mine: {n} samples in one forward pass do not fit into the device's memory: {n // 2} from now on"
        for n in (24, 12, 6)
    ]
    for name in ("deviation_sq", "unrelated_sq", "loss", "prediction"):
        assert tables[0][name].to_numpy() == pytest.approx(
            tables[1][name].to_numpy(), rel=1e-3, abs=1e-9, nan_ok=True
        )


def test_a_model_that_fits_nowhere_fails_its_cell_with_a_sentence(folder: Folder) -> None:
    folder.write(model=GREEDY.replace("{most}", "0"))
    run = sb.run(folder.suite, results=folder.results)
    assert [cell.reason for cell in run.failed] == [
        "mine: a single sample does not fit into the device's memory. Use a smaller model, or another device."
    ]


def test_a_processor_without_memory_counts_as_out_of_memory(folder: Folder) -> None:
    greedy = GREEDY.replace("{most}", "6").replace(
        'torch.OutOfMemoryError("CUDA',
        "RuntimeError(\"[enforce fail] DefaultCPUAllocator: can't allocate memory: CUDA",
    )
    folder.write(model=greedy)
    assert sb.run(folder.suite, results=folder.results).failed == []


def observations(run: sb.Run) -> pd.DataFrame:
    return run.store.observations(run.manifest.cells[0].key).to_pandas()


def test_a_control_that_runs_out_of_memory_is_a_reason_and_the_cell_is_measured(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(symmetries="  more: {group: SO2, on: image, elements: 2}")

    def greedy(cell: Any) -> str:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")

    monkeypatch.setattr(controls, "lie_derivatives", greedy)
    run = sb.run(folder.suite, results=folder.results)
    assert run.failed == []
    reasons = [
        record.controls["Lie derivative"] for cell in run.manifest.cells if (record := run.store.cell(cell.key))
    ]
    assert all(
        reason and "ran out of memory: CUDA out of memory. Tried to allocate 2.00 GiB." in reason
        for reason in reasons
    )


def test_work_of_a_cell_that_runs_out_of_memory_fails_the_cell_alone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(symmetries="  more: {group: SO2, on: image, elements: 2}")

    def greedy(self: TurnImage, x: torch.Tensor) -> torch.Tensor:
        if self.group.count is None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x

    monkeypatch.setattr(TurnImage, "prepare", greedy)
    run = sb.run(folder.suite, results=folder.results)
    assert [(cell.symmetry, cell.status) for cell in run.manifest.cells] == [("turns", "done"), ("more", "failed")]
    assert "memory" in (run.failed[0].reason or "")
