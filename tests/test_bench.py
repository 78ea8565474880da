"""The bench's own table and file: what a figure says of its limit and its rounds, and what is kept between runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.__main__ import PARTS, measured
from bench.gpu import covered
from bench.record import Record, slug
from bench.table import Figure, show
from conftest import ROOT

NAN = float("nan")


@pytest.mark.parametrize(
    ("figure", "limit", "missed"),
    [
        (Figure("a", 3.0), "", False),
        (Figure("a", 1.05, at_most=1.05), "at most 1.05", False),
        (Figure("a", 1.06, at_most=1.05), "at most 1.05", True),
        (Figure("a", 6.9, at_least=7), "at least 7", True),
        (Figure("a", 5, at_least=5, at_most=5), "at least 5 and at most 5", False),
        (Figure("a", NAN, at_most=1), "at most 1", True),
        (Figure("a", NAN, at_least=1), "at least 1", True),
        (Figure.over("a", [3.0, 1.0, 1.1], at_most=1.2), "at most 1.2", False),
    ],
    ids=["none", "at it", "above", "below", "both", "NaN above", "NaN below", "rounds"],
)
def test_a_limit_is_kept_or_missed(figure: Figure, limit: str, missed: bool) -> None:
    assert (figure.limit, figure.missed) == (limit, missed)
    assert figure.document()["met"] == (None if not limit else not missed)


def test_a_figure_of_several_rounds_shows_their_spread(capsys: pytest.CaptureFixture[str]) -> None:
    (figure,) = show([Figure.over("whole over bare", [1.3, 1.1, 1.2], at_most=1.05)])
    assert capsys.readouterr().out.split() == [
        "whole",
        "over",
        "bare",
        "1.10",
        "1.20",
        "1.30",
        "at",
        "most",
        "1.05",
        "MISSED",
    ]
    assert figure.document() == {
        "name": "whole over bare",
        "value": 1.2,
        "unit": "",
        "spread": {"low": 1.1, "high": 1.3, "rounds": 3},
        "limit": {"at_least": None, "at_most": 1.05},
        "met": False,
    }


def recorded(folder: Path, **parts: Figure) -> dict[str, Any]:
    record = Record.begun("cpu")
    for name, figure in parts.items():
        with record.part(name) as add:
            add(figure)
    path = record.written(folder)
    assert path.parent == folder
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_parts_that_are_measured_later_replace_themselves_alone(tmp_path: Path) -> None:
    recorded(tmp_path, loop=Figure("a", 1.0), gates=Figure("b", 2.0))
    found = recorded(tmp_path, loop=Figure("a", NAN, at_most=1.0))
    assert found["schema_version"] == 1
    assert found["hardware"].keys() == {"device", "processor", "cores", "threads"}
    assert {name: part["figures"][0]["value"] for name, part in found["parts"].items()} == {
        "gates": 2.0,
        "loop": None,
    }
    assert found["parts"]["loop"]["figures"][0]["met"] is False
    assert found["parts"]["loop"].keys() == {"load", "versions", "commit", "figures"}
    assert found["parts"]["loop"]["versions"]["torch"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_part_gave_before_it_failed_is_kept() -> None:
    record = Record.begun("cpu")
    with pytest.raises(ZeroDivisionError), record.part("loop") as add:
        add(Figure("a", 1.0))
        raise ZeroDivisionError
    assert [figure["value"] for figure in record.parts["loop"]["figures"]] == [1.0]


def test_files_are_called_after_the_hardware() -> None:
    assert (
        slug("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz 2 cores")
        == "intel-xeon-platinum-8481c-cpu-2-70ghz-2-cores"
    )
    assert slug("NVIDIA H200 16 cores") == "nvidia-h200-16-cores"


def test_time_in_which_kernels_overlap_counts_once() -> None:
    assert covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.0)]) == 4.0
    assert covered([]) == 0.0


def test_every_part_is_found_and_can_be_asked_for() -> None:
    assert {"evaluation", "gates", "gpu", "loop", "memory", "report"} <= set(PARTS)
    assert all(hasattr(measured(part, "cpu", quick=True), "__next__") for part in PARTS)


def test_a_part_that_is_not_there_is_a_sentence() -> None:
    command = [sys.executable, "-m", "bench", "lop"]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "got 'lop', expected one of" in done.stderr


@pytest.mark.slow
def test_the_case_for_a_gpu_runs_on_a_processor(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--samples", "8", "--elements", "3"]
    command += ["--side", "33", "--batch", "4", "--seconds", "0.1"]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("resnet18 at 33, 8 x 3 rotations: ") == 4
