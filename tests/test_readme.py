"""README is executed: its files are written, its commands run, its Python too."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Quick

from symbench.measure import suite
from symbench.measure.plan import pairs

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"(?:`([\w-]+\.(?:py|yaml))`:\n\n)?```(\w+)\n(.*?)```", README, flags=re.S)


def test_pictures_and_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_shown_numbers_are_those_of_the_committed_result() -> None:
    report = (ROOT / "results" / "quick" / "report.md").read_text().replace("\\", "")
    section = report[report.index("## quarter-turns on digits") : report.index("## flips on digits")]
    shown = next(text for _, language, text in BLOCKS if language == "text" and "quarter-turns" in text)
    for model in ("p4-cnn", "cnn"):
        row = next(line for line in section.splitlines() if line.startswith(f"| {model} |"))
        values = [cell.split()[0] for cell in row.split("|")[2:9]]
        line = next(line for line in shown.splitlines() if line.startswith(f"{model} "))
        assert line.split()[1:] == values


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    named = re.findall(r"(?:\$ |`)make ([\w-]+)", README)
    folder = ROOT / "suites" / "studies"
    studies = {f"study-{path.stem}" for path in folder.glob("*.yaml")}
    studies |= {f"study-full-{path.stem}" for path in (folder / "full").glob("*.yaml")}
    assert set(named) >= {"demo", "test"}
    assert set(named) <= {*targets, *studies}


@pytest.mark.slow
def test_every_command_and_file(quick: Quick, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    shutil.copytree(quick.results, tmp_path / "results")
    ran = []
    for name, language, text in BLOCKS:
        if name:
            (tmp_path / name).write_text(text)
        elif language == "python":
            done = subprocess.run(
                [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout, "every example prints something"
        elif language == "console":
            for line in re.findall(r"^\$ (.+)$", text, flags=re.M):
                if line.startswith("symbench "):
                    words = [sys.executable, "-m", *line.split()]
                    if line.startswith("symbench baseline set"):
                        words.append("--force")  # the tests may run on files that are not committed
                    done = subprocess.run(
                        words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
                    )
                    assert done.returncode == 0, f"{line}\n{done.stderr}"
                    ran.append(line.split()[1])
                else:
                    assert line in {"make demo", "make test", "pip install ."}, line
    assert {"run", "report", "validate", "new", "list", "baseline", "gate", "compare"} <= set(ran)
    assert (tmp_path / "own-report" / "report.md").is_file()


def test_the_suite_of_a_published_table_can_be_read(tmp_path: Path) -> None:
    """It needs weights and images that are not here; all else of it is checked."""
    for name, _, text in BLOCKS:
        if name:
            (tmp_path / name).write_text(text)
    found = suite.load(tmp_path / "zhang.yaml")
    assert found.symmetries["crops"].options["margin"] == 16
    assert str(next(iter(pairs(found)))) == "resnet18/imagenet/crops"


def test_the_shown_error_is_the_real_one(tmp_path: Path) -> None:
    own = next(text for name, _, text in BLOCKS if name == "own.yaml")
    for name, _, text in BLOCKS:
        if name:
            (tmp_path / name).write_text(text)
    (tmp_path / "own.yaml").write_text(own.replace("group: C4", "group: S02"))
    done = subprocess.run(
        [sys.executable, "-m", "symbench", "run", "own.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() in " ".join(README.split())
