"""Figures over elements of space, single samples over their orbits, and structures in the gallery."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
import torch
from conftest import Case, CaseOf, Symbench
from PIL import Image
from scipy.spatial.transform import Rotation

from symbench.algebra.fields import Axis, Point, Scalar, Vector
from symbench.domains.common.handling import Handling, handling_of
from symbench.domains.points.handling import VIEW, Structure, bonds, coloured, drawn
from symbench.measure.store import Store
from symbench.read.estimates.reading import Reading
from symbench.read.report.orbits import LINES, orbits
from symbench.read.report.strata import BINS, binned

RNG = np.random.default_rng(7)


def measured(case: CaseOf, group: str = "O3", more: str = ", elements: 30") -> Case:
    net = case("anisotropic")
    net.edit("{group: SO3, on: positions, degree: 4}", f"{{group: {group}, on: positions{more}}}")
    net.edit('"model.py:build"', '"model.py:build", args: {pushed: [3]}')
    assert net.run().code == 0
    return net


def written(net: Case, symbench: Symbench) -> Path:
    folder = net.path / "report"
    ran = symbench("report", "--results", net.results, "--output", folder, "--format", "html,svg,md")
    assert ran.code == 0, ran.err
    return folder


def test_figures_of_space_are_drawn_with_their_numbers(case: CaseOf, symbench: Symbench) -> None:
    net = measured(case, "E3", ", elements: 30, reach: 2.0")
    folder, frame = written(net, symbench), net.frame()
    names = {path.stem for path in folder.glob("*.csv")}
    for figure in ("turns", "moves", "pieces", "sizes"):
        for output in ("energy", "forces"):
            assert f"{figure}.turns.clusters.{output}" in names, "each output by itself: they have other units"
    energy = pd.read_csv(folder / "turns.turns.clusters.energy.csv")
    known = frame.query("metric == 'equivariance_error' and output == 'energy' and element.notna()")
    mine = energy[energy["metric"] == "equivariance_error"]
    assert sorted(mine["estimate"]) == pytest.approx(sorted(known["estimate"]))
    assert set(energy["piece"]) == {"proper", "improper"}
    assert energy["angle_deg"].between(0, 180).all(), "the angle of a reflection is that of its rotation"
    bars = pd.read_csv(folder / "pieces.turns.clusters.forces.csv").set_index(["piece", "metric"])["estimate"]
    for part in ("proper", "improper"):
        rows = frame.query(f"metric == 'equivariance_error' and output == 'forces' and stratum == '{part}'")
        assert bars[part, "equivariance_error"] == pytest.approx(rows["estimate"].iloc[0])
    page = (folder / "report.html").read_text()
    for heading in ("Over rotations of space", "Single samples", "Gallery"):
        assert heading in page
    svg = (folder / "turns.turns.clusters.energy.svg").read_text()
    assert "meV/atom" in svg
    assert "improper" in svg
    assert "meV/Å" in (folder / "turns.turns.clusters.forces.svg").read_text()


def test_orbits_of_single_samples_are_a_loops_and_the_worst_is_found(case: CaseOf, symbench: Symbench) -> None:
    net = measured(case)
    store = Store(net.results)
    (cell,) = store.manifest().cells
    record = store.cell(cell.key)
    assert record is not None
    data, unit = orbits(Reading(store, record, "energy"))
    assert unit == "meV/atom"
    rows = store.observations(cell.key).filter(pc.field("output") == "energy").to_pandas()
    moved = rows[rows["element"] > 0].assign(off=lambda x: 1000 * np.sqrt(x["deviation_sq"]) / 6)
    each = moved.groupby("sample")["off"].agg(["mean", "max"]).sort_values("max", ascending=False)
    found = data.drop_duplicates("sample").set_index("sample")
    assert list(found.index) == list(each.index), "the worst first"
    assert found["mean"].to_numpy() == pytest.approx(each["mean"].to_numpy())
    assert found["largest"].to_numpy() == pytest.approx(each["max"].to_numpy())
    lines = data[~data["others"]]
    assert lines["sample"].nunique() == LINES
    both = lines.merge(moved, on=["sample", "element"])
    assert len(both) == len(lines) == LINES * 30
    assert both["deviation"].to_numpy() == pytest.approx(both["off"].to_numpy())
    folder = written(net, symbench)
    worst = f">{each.index[0]}</text>"
    assert worst in (folder / "orbits.turns.clusters.net.energy.svg").read_text()
    table = store.gallery(cell.key)
    assert table is not None
    assert len(table) == 5
    for name in ("image_before", "image_after"):
        for data in table[name].to_pylist():
            assert inked(data) > 0.02


def inked(data: bytes) -> float:
    """The share of a picture's pixels that are drawn."""
    with Image.open(io.BytesIO(data)) as image:
        return float((np.asarray(image.convert("RGBA"))[..., 3] > 0).mean())


def test_exact_models_draw_no_orbits(case: CaseOf, symbench: Symbench) -> None:
    net = case("anisotropic")
    net.edit('{net: {use: "model.py:build"}}', "{net: {use: egnn}}")
    net.edit("{group: SO3, on: positions, degree: 4}", "{group: O3, on: positions, elements: 4}")
    assert net.run().code == 0
    assert written(net, symbench).joinpath("report.html").exists()


def test_means_in_bins_and_at_single_values() -> None:
    x, y = np.array([0.0, 90, 90, 180]), np.array([1.0, 2, 4, 5])
    assert [each.tolist() for each in binned(x, y)] == [[0, 90, 180], [1, 3, 5]]
    x = RNG.uniform(0, 180, 400)
    along, means = binned(x, 2 * x)
    assert len(along) == BINS
    assert means == pytest.approx(2 * along)
    assert np.all(np.diff(along) > 0)


# Structures.


def test_points_of_space_are_looked_at_and_other_values_are_not() -> None:
    assert type(handling_of(Point(unit="Å").over(Axis("atoms")))) is Structure
    for field in (Vector().over(Axis("atoms")), Scalar().over(Axis("nodes")), Point()):
        assert type(handling_of(field)) is Handling
    structure = Structure()
    assert structure.rendered(torch.zeros(5, 2)) is None
    assert structure.rendered(torch.full((5, 3), torch.nan)) is None
    assert structure.rendered(torch.zeros(0, 3)) is None
    assert structure.rendered(torch.zeros(1, 3)) is not None, "a single point"


def test_the_projection_is_one_and_what_is_moved_changes_its_picture() -> None:
    assert pytest.approx(np.eye(3), abs=2e-3) == VIEW @ VIEW.T
    assert np.linalg.det(VIEW) < 0, "right, up and away are left-handed"
    points = torch.from_numpy(RNG.normal(size=(7, 3)))
    turn = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    shown = Structure().rendered
    assert shown(points) == shown(points + 5), "the eye follows the centroid"
    assert shown(points) != shown(points @ turn.T)
    assert shown(points) != shown(-points)


def test_padding_is_not_drawn_and_species_are_colours() -> None:
    points = torch.from_numpy(RNG.normal(size=(6, 3)))
    padded = torch.cat([points, torch.zeros(3, 3, dtype=points.dtype)])
    mask = torch.arange(9) < 6
    species = torch.tensor([1, 8, 6, 1, 1, 79, 0, 0, 0])
    shown = Structure().rendered
    beside = {"atoms_mask": mask, "species": species}
    assert shown(padded, beside) == shown(points, {"species": species[:6]})
    assert shown(padded, beside) != shown(padded, {"species": species})
    assert shown(points, {"species": species[:6]}) != shown(points)
    assert (
        coloured(3, np.array([8, 8, 1]))[0] == coloured(3, np.array([8, 8, 1]))[1] != coloured(2, np.array([1, 1]))[0]
    )


def test_bonds_join_neighbours_and_a_cell_has_its_edges() -> None:
    chain = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3.1, 0, 0]])
    assert bonds(chain) == [(0, 1), (1, 2), (2, 3)]
    assert bonds(RNG.normal(size=(200, 3))) == []
    assert bonds(chain[:1]) == []
    plain = drawn(chain, ["red"] * 4)
    assert inked(drawn(chain, ["red"] * 4, 4 * np.eye(3))) != inked(plain)
    assert drawn(chain, ["red"] * 4, np.zeros((3, 3))) == plain, "a cell without vectors is none"
