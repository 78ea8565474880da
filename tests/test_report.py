"""Reports: every format, escaping, and the numbers in them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import Folder
from PIL import Image

import symbench as sb
from symbench.read.numbers import count, percent, scientific, seconds
from symbench.read.report import tables

SYMMETRIES = ("turns", "rotations", "mixed", "shifts")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Folder(tmp_path_factory.mktemp("report"))
    folder.write(
        models='  net: {use: cnn}\n  bad: {use: "bad.py:Bad"}',
        symmetries="  rotations: {group: SO2, on: image, elements: 11, border: disc}\n"
        "  mixed: {group: C8, on: image}\n  shifts: {group: translations, on: image, reach: 2, border: circular}",
    )
    (folder.path / "bad.py").write_text(
        "from torch import nn\nclass Bad(nn.Module):\n    def forward(self, x):\n        raise ValueError('<b>|no_pe*')\n"
    )
    run = sb.run(folder.suite, results=folder.results)
    sb.write_report(run, output=folder.path / "out")
    return folder.path / "out"


def test_every_format_is_there(reported: Path) -> None:
    places = [f"{kind}.{symmetry}.blobs" for kind in ("sizes", "ranks", "tradeoffs") for symmetry in SYMMETRIES]
    places += ["polar.rotations.blobs", "polar.mixed.blobs", "shifts.shifts.blobs"]
    places += [f"attribution.{symmetry}.blobs" for symmetry in ("rotations", "mixed")]
    kinds = ("png", "svg", "pdf", "csv")
    names = {p.name for p in reported.iterdir() if p.suffix != ".tex"}
    assert names == {
        "report.html", "report.md", "estimates.csv", "estimates.json", *(f"{p}.{kind}" for p in places for kind in kinds),
    }  # fmt: skip
    assert {"tables.tex", "cost.tex", *(f"{symmetry}-on-blobs.tex" for symmetry in SYMMETRIES)} <= {
        p.name for p in reported.glob("*.tex")
    }


def test_figures_are_pictures(reported: Path) -> None:
    for path in reported.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20, "not blank"
    for path in reported.glob("*.svg"):
        text = path.read_text()
        assert text.startswith("<?xml")
        assert "mine" in text, "text stays text"


def test_tables_agree(reported: Path) -> None:
    frame = pd.read_csv(reported / "estimates.csv")
    document = json.loads((reported / "estimates.json").read_text())
    assert len(frame) == len(document["estimates"])
    pd.testing.assert_series_equal(
        frame["estimate"],
        pd.DataFrame(document["estimates"])["estimate"].astype(float),
        check_names=False,
        rtol=1e-12,
    )
    from symbench.read.estimates import COLUMNS

    assert list(frame.columns) == list(COLUMNS)
    assert list(document["estimates"][0]) == list(COLUMNS)
    data = pd.read_csv(reported / "polar.rotations.blobs.csv")
    assert {"angle_deg", "estimate", "low", "high", "model"} <= set(data)


def test_kinds_are_never_mixed_in_silence(reported: Path) -> None:
    """C8 has quarter turns and resampled eighths: the parts stand beside the whole."""
    frame = pd.read_csv(reported / "estimates.csv")
    mine = frame[(frame["symmetry"] == "mixed") & (frame["model"] == "net") & frame["element"].isna()]
    error = mine[mine["metric"] == "equivariance_error"].set_index("elements")
    assert set(error.index) == {"all", "permutation", "resampled"}
    assert error["k"].to_dict() == {"all": 7, "permutation": 3, "resampled": 4}
    assert "permutation and resampled" in (reported / "report.md").read_text()


def test_failed_cells_are_named_with_reasons_and_nothing_is_markup(reported: Path) -> None:
    text = (reported / "report.md").read_text()
    assert "**bad** has no numbers" in text
    assert "<b>" not in text
    assert r"&lt;b&gt;\|no\_pe\*" in text


def test_markdown_tables_are_tables(reported: Path) -> None:
    lines = (reported / "report.md").read_text().splitlines()
    rules = [i for i, line in enumerate(lines) if line.startswith("|---")]
    assert len(rules) == 9
    for i in rules:
        columns = lines[i].count("|")
        assert lines[i - 1].startswith("|")
        assert lines[i + 1].startswith("|")
        if "Where the numbers" not in "\n".join(lines[max(0, i - 5) : i]):
            assert lines[i + 1].replace(r"\|", "").count("|") == columns


def test_only_what_is_asked_for(reported: Path, tmp_path: Path) -> None:
    run = sb.open_run(results=reported.parent / "results")
    files = sb.write_report(run, output=tmp_path / "o", formats=["csv"])
    assert [p.name for p in files] == ["estimates.csv"]


def test_figures_are_the_same_every_time(reported: Path, tmp_path: Path) -> None:
    run = sb.open_run(results=reported.parent / "results")
    sb.write_report(run, output=tmp_path / "o", formats=["svg", "png"])
    for path in (tmp_path / "o").glob("*.*g"):
        assert path.read_bytes() == (reported / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (percent(0.984), "98.4"), (percent(1.0), "100.0"), (percent(0.9998), "99.98"), (percent(0.0), "0.0"),
        (scientific(0.402), "0.402"), (scientific(7.123e-8), "7.1e-08"), (scientific(0.0), "0"),
        (count(23394), "23,394"), (count(2.322e7), "23.2 M"), (count(1.1e9), "1.1 G"),
        (seconds(4.35e-4), "435 µs"), (seconds(1.2e-3), "1.2 ms"), (seconds(15.7), "15.7 s"), (seconds(3e-9), "3 ns"),
    ],
)  # fmt: skip
def test_numbers_for_people(shown: str, expected: str) -> None:
    assert shown == expected


def test_summaries_are_made_from_the_numbers(reported: Path) -> None:
    frame = sb.open_run(results=reported.parent / "results").estimates()
    board = next(b for b in tables.boards(frame) if b.title.startswith("rotations"))
    best = frame[(frame["symmetry"] == "rotations") & (frame["metric"] == "worst_element_accuracy")].dropna(
        subset="low"
    )
    tied = best[best["estimate"] == best["estimate"].max()]["model"]
    shown = percent(float(best["estimate"].max()))
    assert any(board.summary.startswith(f"Under rotations, {name} is right on {shown} %") for name in tied)
