"""Which figure suits a symmetry is told by its group's family, and never by what parameters are called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Folder, Symbench
from matplotlib.figure import Figure

from symbench import open_run
from symbench.algebra.groups import built_in_family
from symbench.algebra.metrics import METRICS, role_of
from symbench.base.registry import Table
from symbench.read.report import drawing
from symbench.read.report.figures import FIGURES, FigureRow
from symbench.read.report.material import family_of
from symbench.read.report.scene import Elements, Scene, scenes
from symbench.read.report.style import Sketch

ANGLES = range(0, 360, 30)
AT_EACH = role_of("each element")


def frame(task: str = "classification") -> pd.DataFrame:
    """Accuracy at each of twelve elements."""
    row = {"model": "m", "dataset": "d", "symmetry": "s", "output": "o", "task": task, "metric": AT_EACH}
    numbers = {"elements": "resampled", "low": 0.4, "high": 0.9, "k": 12, "n": 9, "status": "ok", "better": "higher"}
    return pd.DataFrame([row | numbers | {"element": f"g{a}", "estimate": 0.5 + a / 720} for a in ANGLES])


def kinds(family: str | None, task: str = "classification", **parameters: list[float]) -> set[str]:
    """The figures that are drawn of elements with these parameters."""
    columns = {"element": [f"g{a}" for a in ANGLES], "kind": "resampled", "size": [float(a) for a in ANGLES]}
    elements = Elements(pd.DataFrame({**columns, **parameters}), "deg", family)
    found = drawing.sketches(scenes(frame(task), {("s", "d"): elements}, ["m"], METRICS.rows))
    return {name.partition(".")[0] for _, name, _ in found}


ANGLE: dict[str, Any] = {"angle_deg": [float(a) for a in ANGLES]}
SHIFT: dict[str, Any] = {"dy_px": [float(a // 30 % 4) for a in ANGLES], "dx_px": [float(a // 120) for a in ANGLES]}


@pytest.mark.parametrize("family", ["space", "", None, "rigid", "plane x scalings"])
def test_a_parameter_called_as_an_angle_is_no_angle_of_the_plane(family: str | None) -> None:
    own = {"turns"} if family == "space" else set()  # rotations of space have a figure of their own
    assert kinds(family, **ANGLE) == {"sizes", *own}
    assert kinds(family, **SHIFT) == {"sizes"}


def test_the_families_that_have_them_are_drawn() -> None:
    assert kinds("plane", **ANGLE) == {"polar", "sizes"}
    assert kinds("plane", mirror=[0.0] * 12, **ANGLE) == {"sizes"}
    assert kinds("translations", **SHIFT) == {"shifts", "sizes"}
    assert kinds("plane", task="embedding", **ANGLE) == {"sizes"}, "nor without classes"


def test_e_of_maps_is_drawn_over_shifts_by_its_powers_of_ten() -> None:
    """What is exact is at the lower end of the scale, and no other figure of E is drawn so."""
    rows = frame("segmentation").assign(metric=role_of("deviation"), estimate=[0.0, 1e-3, *[0.1] * 10])
    columns = {"element": [f"g{a}" for a in ANGLES], "kind": "permutation", "size": 1.0, **SHIFT}
    elements = Elements(pd.DataFrame(columns), "px", "translations")
    known = {("s", "d"): elements}
    found = {name: sketch for _, name, sketch in drawing.sketches(scenes(rows, known, ["m"], METRICS.rows))}
    array: Any = found["shift-errors.s.d"].figure.axes[0].images[0].get_array()
    shown = np.ma.filled(array, np.nan)
    place = [int(3 + SHIFT[name][0]) for name in ("dy_px", "dx_px")]
    assert shown[*place] == -8
    assert np.isclose(np.sort(shown, axis=None)[:3], [-8, -3, -1]).all()
    other = drawing.sketches(scenes(rows.assign(task="regression"), known, ["m"], METRICS.rows))
    assert not {name for _, name, _ in other} & set(found)


@pytest.mark.parametrize(
    ("group", "family"),
    [
        ("C12", "plane"),
        ("SO2", "plane"),
        ("S9", "symmetric"),
        ("scalings x SO2", "plane x scalings"),
        ("mylab/SO3", None),
        ("SO2 x mylab/SO3", None),
        ("spin.py:Spin", None),
    ],
)
def test_the_family_of_an_older_record_is_that_of_our_group_of_the_name(group: str, family: str | None) -> None:
    assert built_in_family(group) == family


def test_a_record_says_its_family(folder: Folder, symbench: Symbench) -> None:
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    run = open_run(results=folder.results)
    record = run.store.cell(run.manifest.cells[0].key)
    assert record is not None
    assert record.family == "plane"
    assert family_of(record.model_copy(update={"family": None})) == "plane"
    assert family_of(record.model_copy(update={"family": None, "identity": {}})) is None


TURNED = """\
version: 1
name: turned
datasets: {s: {use: example/stripes, samples: 6}}
models: {a: {use: example/average}}
symmetries:
  spins: {group: example/spins, on: image}
  turns: {group: C12, on: image, border: disc}
numerics: {device: cpu}
controls: {samples: 4}
"""


@pytest.mark.usefixtures("installed")
def test_a_plug_in_brings_groups_and_figures_for_them(folder: Folder, symbench: Symbench) -> None:
    """Its spins have a parameter ``angle_deg``, and are no turns of the plane; its figure is for them alone."""
    folder.suite.write_text(TURNED)
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 0, ran.err
    out = folder.path / "out"
    ran = symbench("report", "--results", folder.results, "--output", out, "--format", "html,svg,md")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in out.glob("*.svg") if path.name.startswith(("polar", "example"))) == [
        "example_spinning.spins.s.svg",
        "polar.turns.s.svg",
    ]
    page = (out / "report.html").read_text()
    assert page.count('<section id="spinning"><h2>Spins</h2><p>What spins come to.</p>') == 1
    assert page.index('<section id="tradeoffs">') < page.index('<section id="spinning">')
    assert "Spins of spins on s" in (out / "report.md").read_text()


def raising(scene: Scene) -> Iterator[Sketch]:
    yield Sketch("first", "", Figure(), pd.DataFrame())
    raise ZeroDivisionError(scene.name)


def test_a_figure_that_raises_leaves_its_reason() -> None:
    table = Table("figure", FigureRow, {"bad": FigureRow(f"{__name__}:raising", "")}, entry_points=False)
    elements = Elements(pd.DataFrame({"element": ["g0"], "kind": ["x"], "size": [0.0]}))
    ((section, name, sketch),) = drawing.sketches(scenes(frame(), {("s", "d"): elements}, ["m"], METRICS.rows), table)
    assert (section, name) == ("more", "bad.s.d")
    assert "ZeroDivisionError" in sketch.alt
    assert "ZeroDivisionError" in sketch.data["reason"][0]


@pytest.mark.parametrize("name", list(FIGURES.rows))
def test_rows_of_figures(name: str) -> None:
    """They load, and name families that groups have and tasks that outputs have."""
    from symbench.algebra.groups import GROUPS
    from symbench.measure.tasks import TASKS

    row = FIGURES.rows[name]
    assert callable(row.load())
    assert set(row.families) <= {group.family for group in GROUPS.rows.values()}
    assert set(row.tasks) <= set(TASKS)


def test_schemas_know_the_family() -> None:
    schema = json.loads(Path(ROOT / "symbench" / "base" / "schemas" / "cell-2.json").read_text())
    assert "family" in schema["properties"]
    assert "family" not in schema["required"]
