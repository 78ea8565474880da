"""Groups in several pieces: a model that respects one of them and not another is said to, by the group that is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Symbench

from symbench import open_run
from symbench.algebra.groups import GROUPS, within, written
from symbench.read.report import headlines
from symbench.read.report.pieces import groups_of, parted

SUITE = """\
version: 1
name: pieces
datasets:
  shapes: {use: shapes, samples: 24, points: 6}
models:
  chiral: {use: vector-neurons, chiral: true, width: 4, depth: 1}
  plain:  {use: vector-neurons, width: 4, depth: 1}
  mlp:    {use: point-mlp, width: 8}
symmetries:
  hands:   {group: O3, on: positions, elements: 6}
  motions: {group: E3, on: positions, elements: 6}
  turns:   {group: SO3, on: positions, elements: 4}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from symbench.face import cli

    folder = tmp_path_factory.mktemp("pieces")
    (folder / "pieces.yaml").write_text(SUITE)
    assert cli._status(["run", str(folder / "pieces.yaml"), "--results", str(folder / "results")]) == 0
    return folder / "results"


def test_the_chiral_model_alone_is_named_with_the_group_that_it_respects(results: Path) -> None:
    run = open_run(results=results)
    found = {(each.model, each.place): each.text for each in parted(run.estimates(), groups_of(run.manifest))}
    assert set(found) == {("chiral", ("hands", "shapes")), ("chiral", ("motions", "shapes"))}
    for symmetry, whole in {"hands": "respects SO(3), not O(3)", "motions": "respects SE(3), not E(3)"}.items():
        text = found["chiral", (symmetry, "shapes")]
        assert text.startswith(f"{whole}: proper elements hold to rounding, improper ones change cloud (E = ")


def test_reports_say_it_first_and_below_the_table(results: Path, symbench: Symbench, tmp_path: Path) -> None:
    ran = symbench("report", "--results", results, "--output", tmp_path, "--format", "html,md")
    assert ran.out.count("chiral respects SO(3), not O(3)") == 1
    assert "chiral respects SO(3), not O(3)" in (tmp_path / "report.md").read_text().replace("\\", "")
    page = (tmp_path / "report.html").read_text()
    assert "Under hands, chiral respects SO(3), not O(3): proper elements hold to rounding" in page
    assert "plain respects" not in page


def test_the_multiple_of_rounding_is_e_over_its_limit(results: Path) -> None:
    frame = open_run(results=results).estimates()
    mine = frame[(frame["symmetry"] == "hands") & frame["element"].isna()]
    values = mine.pivot_table(
        index=["model", "elements", "stratum"], columns="metric", values="estimate", dropna=False
    )
    values = values[["rounding_multiple", "equivariance_error"]].dropna()
    values = values[values["equivariance_error"] > 0]
    floors = mine[mine["metric"] == "equivariance_error"].set_index(["model", "elements", "stratum"])["floor"]
    limits = (values["equivariance_error"] / values["rounding_multiple"]).groupby("model")
    assert {"chiral", "plain", "mlp"} == set(limits.groups)
    for model, limit in limits:
        assert np.allclose(limit, limit.iloc[0]), "one limit for all pieces"
        assert limit.iloc[0] >= floors[model].max() * (1 - 1e-12)
        assert 30 * 2.0**-23 / 10 < limit.iloc[0] < 1e-2


def rows(**multiples: float) -> pd.DataFrame:
    """Estimates of one model: the multiple of rounding of each piece, whose E is a millionth of it."""
    made = [
        {"model": "m", "symmetry": "s", "dataset": "d", "output": "o", "element": None, "stratum": piece, "metric": name,
         "estimate": value * (1e-6 if name == "equivariance_error" else 1)}
        for piece, value in multiples.items() for name in ("rounding_multiple", "equivariance_error")
    ]  # fmt: skip
    return pd.DataFrame(made)


@pytest.mark.parametrize(
    ("multiples", "group", "said"),
    [
        ({"proper": 0.5, "improper": 2000.0}, "O3", "respects SO(3), not O(3): proper elements hold"),
        ({"proper": 0.5, "improper": 2000.0}, "O3 x S", "respects SO(3) x S, not O(3) x S: proper elements hold"),
        ({"proper": 0.5, "improper": 2000.0}, "mine.py:Group", "respects a part of mine.py:Group alone"),
        ({"proper": 2000.0, "improper": 0.5}, "O3", "respects a part of O(3) alone: improper elements hold"),
        ({"proper": 0.5, "improper": 5.0}, "O3", None),
        ({"proper": 5.0, "improper": 2000.0}, "O3", None),
        ({"proper": float("nan"), "improper": 2000.0}, "O3", None),
        ({"proper": 0.5, "improper": float("nan")}, "O3", None),
        ({"proper": 0.5, "improper": 0.6}, "O3", None),
    ],
)
def test_nothing_is_said_of_what_is_not_told(multiples: dict[str, float], group: str, said: str | None) -> None:
    found = list(parted(rows(**multiples), {"s": group}))
    assert [each.text.startswith(said or "") for each in found] == [True] * (said is not None)


@pytest.mark.parametrize(("forces", "said"), [(0.3, True), (3.0, False), (float("nan"), False)])
def test_a_piece_is_respected_where_all_outputs_are_known_to_be(forces: float, said: bool) -> None:
    """What is not known of one output is not made up for by what is known of another."""
    energy, other = rows(proper=0.5, improper=2000.0), rows(proper=forces, improper=2000.0).assign(output="forces")
    assert bool(list(parted(pd.concat([energy, other]), {"s": "O3"}))) is said


def test_headlines_stand_among_what_is_bad() -> None:
    (found,) = parted(rows(proper=0.5, improper=2000.0), {"s": "O3"})
    empty = pd.DataFrame(columns=["symmetry", "dataset", "output", "metric", "element", "elements", "model", "estimate", "reason"])  # fmt: skip
    ((text, tone),) = headlines.of([], empty, [], [], None, [found])
    assert (text[:30], tone) == ("Under s, m respects SO(3), not", "bad")
    assert text.endswith("(E = 0.002).")


@pytest.mark.parametrize(("name", "row"), list(GROUPS), ids=lambda value: value if isinstance(value, str) else "")
def test_pieces_that_rows_name_are_those_of_the_group(name: str, row: object) -> None:
    import torch

    held = getattr(row, "within", {})
    if not held or "<" in name:
        return
    known = GROUPS.row(name)
    group = known.load()(**known.options().model_dump())
    (first,) = group.strata(group.identity())
    assert list(held) == [first], "the identity's piece alone is a subgroup"
    assert within(name, first) == written(held[first])
    drawn = group.sample(32, generator=torch.Generator().manual_seed(0))
    assert len(set(group.strata(drawn))) == 2
