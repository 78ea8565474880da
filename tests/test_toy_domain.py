"""A domain from outside: an own value at own places, moved by our groups and its own, trained, run, reported, gated."""

from __future__ import annotations

import json

import pytest
from conftest import Folder, Symbench

from symbench import open_run

pytest_plugins: list[str] = []

SUITE = """\
version: 1
name: rings
datasets: {{rings: {{use: example/rings}}}}
models:
  exact: {{use: example/ring-net, train: {{on: rings, epochs: 20, batch: 8, learning_rate: 0.05}}}}
  free: {{use: example/ring-net, exact: false, train: {{on: rings, epochs: 40, batch: 8, augment: ours{more}}}}}
symmetries:
  ours: {{group: C8, on: arrows}}
  theirs: {{group: example/rotor, on: arrows}}
numerics: {{device: cpu}}
gates:
  - {{metric: equivariance_error, model: exact, at_most: 1.0e-6}}
  - {{metric: loss, model: "*", at_most: 0.5}}
{gates}
"""


@pytest.mark.usefixtures("installed")
def test_a_domain_of_a_plug_in_trains_runs_reports_and_gates(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(SUITE.format(more=", learning_rate: 0.05", gates=""))
    ran = symbench("run", folder.suite, "--results", folder.results)
    assert ran.code == 0, ran.err
    frame = open_run(results=folder.results).estimates()
    errors = frame[(frame["metric"] == "equivariance_error") & (frame["elements"] != "permutation")]
    by_model = errors[errors["elements"].isin(["all"])].groupby("model")["estimate"].max()
    assert by_model["exact"] < 1e-6
    assert by_model["free"] > 1e-4, "what it has learnt is no law"
    floors = frame[(frame["metric"] == "equivariance_error_float64") & (frame["model"] == "exact")]
    assert (floors["estimate"] < 1e-14).all()
    assert set(frame.loc[frame["metric"] == "absolute_error", "unit"]) == {"N"}
    rest = frame[frame["metric"] == "example/pull-at-rest"].set_index("model")["estimate"]
    assert rest["exact"] == 0
    assert rest["free"] > 1e-4, "the control sees what no element moves"
    assert "pull at rest" in ran.out
    out = folder.path / "out"
    assert symbench("report", "--results", folder.results, "--output", out, "--format", "html,svg,md").code == 0
    drawn = {path.name for path in out.glob("*.svg")}
    assert "example_turning.theirs.rings.svg" in drawn
    assert not [name for name in drawn if name.startswith("example_turning.ours")], "the figure suits its own family"
    gated = symbench("gate", "--results", folder.results, "--json")
    assert gated.code == 0, gated.out
    assert json.loads(gated.out)["verdict"] == "pass"
    worse = "  - {metric: equivariance_error, model: free, at_most: 1.0e-6}\n"
    folder.suite.write_text(SUITE.format(more=", learning_rate: 0.05", gates=worse))
    again = symbench("run", folder.suite, "--results", folder.results)
    assert again.code == 0
    assert symbench("gate", "--results", folder.results).code == 1, "a gate that can fail"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("group: C8", "group: scalings", "nothing says what scalings does to values example.Arrow of 'arrows'"),
        ("group: C8", "group: S8", "S8 has no action on example.Arrow over ring"),
        ("group: C8", "group: C12", None),
    ],
)
def test_what_nobody_has_said_is_refused(
    folder: Folder, symbench: Symbench, old: str, new: str, message: str | None
) -> None:
    folder.suite.write_text(SUITE.format(more="", gates="").replace(old, new))
    ran = symbench("run", folder.suite, "--results", folder.results, "--only", "model=exact")
    assert ran.code == (0 if message is None else 2), ran.err
    assert message is None or message in " ".join(ran.err.split())
