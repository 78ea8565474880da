"""Forecasts of time: learnt from what was recorded, with its spread, and nothing where nothing alike was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MODEL, Folder, Symbench

import symbench as sb
from symbench.face.history import APART, OTHER_SIZE, OTHER_SYMMETRY, Guess
from symbench.measure.store import Store, content_key

IMAGES = 24 * 4
"""Through the model under four turns, of 24 samples; the controls run on the 24 as well."""


def record(folder: Folder, **facts: float) -> None:
    """Make the newest run one whose cells took so long."""
    store = Store(folder.results)
    for cell in store.manifest().cells:
        found = store.cell(cell.key)
        assert found is not None
        store.write_cell(found.model_copy(update={"facts": {**found.facts, **facts}}))


def forecast(folder: Folder, symbench: Symbench, *more: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The document, its cells by symmetry, and what people are told."""
    command: tuple[str | Path, ...] = ("run", folder.suite, "--results", folder.results, "--dry-run", *more)
    document = json.loads(symbench(*command, "--json").out)
    return document, {cell["symmetry"]: cell for cell in document["cells"]}, symbench(*command).err


@pytest.fixture
def measured(folder: Folder) -> Folder:
    """A suite with one cell that took 10 s, 4 of them in its controls, and whose model was edited since."""
    assert sb.run(folder.suite, results=folder.results).manifest.status == "complete"
    record(folder, cell_seconds=10.0, control_seconds=4.0)
    (folder.path / "model.py").write_text(MODEL + "\n# edited\n")
    return folder


def test_what_a_cell_takes_is_recorded(folder: Folder) -> None:
    run = sb.run(folder.suite, results=folder.results)
    (cell,) = run.manifest.cells
    found = run.store.cell(cell.key)
    assert found is not None
    whole, controls = found.facts["cell_seconds"], found.facts["control_seconds"]
    assert whole is not None
    assert controls is not None
    assert 0 < controls < whole


def test_nothing_is_said_where_nothing_was_measured(folder: Folder, symbench: Symbench) -> None:
    document, cells, said = forecast(folder, symbench)
    assert document["seconds"] is cells["turns"]["seconds"] is None
    assert "nothing like it was measured on such hardware, so how long it takes is not known" in said
    assert " s with training" not in said


def test_the_same_cell_takes_what_it_took(measured: Folder, symbench: Symbench) -> None:
    document, cells, said = forecast(measured, symbench)
    expected = {"seconds": 10.0, "seconds_low": 10 / APART, "seconds_high": 10 * APART}
    assert {key: cells["turns"][key] for key in expected} == pytest.approx(expected)
    assert document["seconds"] > 10, "and data and model have to be loaded"
    assert " s with training, controls and loading, from 1 cell or training measured on such hardware" in said
    assert "not known" not in said
    assert "not counted" not in said


def test_passes_and_controls_are_in_proportion_each(measured: Folder, symbench: Symbench) -> None:
    """Half of the samples are half of the passes, and half of the samples that the controls run on."""
    _, cells, _ = forecast(measured, symbench, "--limit", "12")
    assert cells["turns"]["seconds"] == pytest.approx(6 / 2 + 4 / 2)
    measured.suite.write_text(measured.suite.read_text() + "controls: {samples: 6}\n")
    _, cells, _ = forecast(measured, symbench)
    assert cells["turns"]["seconds"] == pytest.approx(6 + 4 / 4)


def test_another_symmetry_is_less_sure_and_other_sizes_too(measured: Folder, symbench: Symbench) -> None:
    text = measured.suite.read_text()
    for elements, apart in ((7, APART * OTHER_SYMMETRY), (63, APART * OTHER_SYMMETRY * OTHER_SIZE)):
        measured.suite.write_text(f"{text}  more: {{group: SO2, on: image, elements: {elements}}}\n")
        _, cells, _ = forecast(measured, symbench)
        expected = 6 * 24 * (elements + 1) / IMAGES + 4
        found = [cells["more"][key] for key in ("seconds", "seconds_low", "seconds_high")]
        assert found == pytest.approx([expected, expected / apart, expected * apart])


def test_more_measurements_show_how_far_they_are_apart(measured: Folder, symbench: Symbench) -> None:
    assert sb.run(measured.suite, results=measured.results).manifest.status == "complete"
    record(measured, cell_seconds=30.0, control_seconds=4.0)
    (measured.path / "model.py").write_text(MODEL + "\n# edited again\n")
    document, cells, said = forecast(measured, symbench)
    found = [cells["turns"][key] for key in ("seconds", "seconds_low", "seconds_high")]
    assert found == pytest.approx([20, 10 / APART, 30 * APART])
    assert "from 2 cells and trainings measured" in said
    assert document["seconds_low"] < 20 < document["seconds_high"]


def test_another_model_data_or_machine_tells_nothing(
    measured: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = measured.suite.read_text()
    for there, instead in (
        ('"model.py:build"}', '"model.py:build", args: {}, size: 12}'),
        ('"data.py:load"}', '"data.py:load", args: {samples: 20}}'),
    ):
        measured.suite.write_text(text.replace(there, instead))
        assert forecast(measured, symbench)[1]["turns"]["seconds"] is None
    measured.suite.write_text(text)
    assert forecast(measured, symbench)[1]["turns"]["seconds"] == pytest.approx(10)
    monkeypatch.setattr("symbench.base.environment.processor", lambda: "another")
    assert forecast(measured, symbench)[1]["turns"]["seconds"] is None


WEIGHTS = 81 * 8 + 8 + 8 * 3 + 3
TRAINED = """\
version: 1
name: small
datasets:
  blobs: {use: "data.py:load"}
models:
  mlp: {use: mlp, width: 8, depth: 1, train: {on: blobs, epochs: 3, batch: 8}}
symmetries:
  turns: {group: C4, on: image}
"""


def test_training_is_counted(folder: Folder, symbench: Symbench, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    folder.suite.write_text(TRAINED)
    assert forecast(folder, symbench)[0]["training"][0]["seconds"] > 0, "by a few steps that are tried"
    assert sb.run(folder.suite, results=folder.results).manifest.status == "complete"
    record(folder, cell_seconds=10.0, control_seconds=4.0)
    (path,) = (tmp_path / "cache" / "checkpoints").glob("??/*.json")
    note = json.loads(path.read_text())
    assert note["shown"] == 3 * 24
    note = {key: value for key, value in note.items() if key != "digest"} | {"seconds": 60.0}
    path.write_text(json.dumps({**note, "digest": content_key(note)}))
    folder.suite.write_text(TRAINED.replace("epochs: 3", "epochs: 6"))
    document, _, said = forecast(folder, symbench)
    (training,) = document["training"]
    assert training == pytest.approx(
        {
            "model": "mlp",
            "seconds": 120.0,
            "seconds_low": 120 / APART,
            "seconds_high": 120 * APART,
            "epochs": 6.0,
            "checkpoint_bytes": 4 * WEIGHTS,
            "state_bytes": 3 * 4 * WEIGHTS + 8 * 24,
        }
    )
    assert document["seconds"] > 130
    assert " min with training, controls and loading, from 2 cells and trainings measured" in said
    folder.suite.write_text(
        TRAINED.replace("symm", "  wide: {use: mlp, width: 16, train: {on: blobs, epochs: 1}}\nsymm")
    )
    document, _, said = forecast(folder, symbench)
    assert all(each["seconds"] > 0 for each in document["training"])
    edited = TRAINED.replace("epochs: 3", "epochs: 6")
    folder.suite.write_text(
        edited.replace("symm", "  wide: {use: mlp, width: 16, train: {on: blobs, epochs: 1}}\nsymm")
    )
    said = forecast(folder, symbench)[2]
    assert "; not counted, as nothing like it was measured: 1 of the cells; to be trained first" in said
    assert " and a few steps of 1 training measured on such hardware" in said


def test_what_an_interrupted_run_took_counts(folder: Folder) -> None:
    folder.suite.write_text(folder.suite.read_text().replace('load"}', 'load", args: {samples: 1100}}'))
    asked = iter([False] * 3 + [True] * 99)  # the reference pass asks twice, and each part once
    with pytest.raises(sb.Interrupted):
        sb.run(folder.suite, results=folder.results, stopped=lambda: next(asked))
    (part,) = folder.results.rglob("part-*.npz")
    with np.load(part) as file:
        kept = {name: file[name] for name in file.files}
    assert 0 < float(kept["seconds"]) < 1000
    np.savez(part, **{**kept, "seconds": np.array(1000.0)})
    run = sb.run(folder.suite, results=folder.results)
    found = run.store.cell(run.manifest.cells[0].key)
    assert found is not None
    assert 1000 < (found.facts["cell_seconds"] or 0) < 1100


def test_several_devices_share_the_work(
    measured: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At best evenly, at worst not at all; each with its share of the threads, which cells are learnt from by."""
    document, cells, said = forecast(measured, symbench)
    assert 10 <= document["seconds"] < 15
    monkeypatch.setattr("symbench.base.environment.threads", lambda: 2 * torch.get_num_threads())
    shared, _, told = forecast(measured, symbench, "--device", "cpu,cpu")
    assert cells["turns"]["seconds"] == 10
    assert 5 <= shared["seconds"] < 10
    assert shared["seconds_high"] == pytest.approx(document["seconds_high"], abs=5)
    assert shared["device"] == "cpu, cpu"
    assert "to be measured on cpu, cpu: " in told
    assert "to be measured on cpu: " in said


def test_cells_that_were_measured_before_times_were_kept_tell_nothing(measured: Folder, symbench: Symbench) -> None:
    store = Store(measured.results)
    (cell,) = store.manifest().cells
    found = store.cell(cell.key)
    assert found is not None
    kept: Mapping[str, float | None] = {k: v for k, v in found.facts.items() if not k.endswith("l_seconds")}
    store.write_cell(found.model_copy(update={"facts": kept}))
    assert forecast(measured, symbench)[1]["turns"]["seconds"] is None


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        (Guess(0.4, 0.31, 0.512), "0.31 to 0.51 s"),
        (Guess(20, 10, 33), "10 to 33 s"),
        (Guess(100, 59, 130), "0.98 to 2.2 min"),
        (Guess(9000, 5400, 12345), "1.5 to 3.4 h"),
    ],
    ids=lambda value: str(value),
)
def test_times_are_given_to_two_digits(guess: Guess, said: str) -> None:
    assert str(guess) == said
