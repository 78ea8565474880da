"""Networks of escnn and e2cnn: of the libraries where they are installed, and of a stand-in everywhere."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import steerable_library
import torch
from breaking import FLIPS, QUARTER_TURNS, ROLLS, Move, digits, relative_error, taught
from conftest import ROOT, Folder, Symbench
from test_budget_of_models import planned
from torch import nn

from symbench import open_run
from symbench.base.events import Event, Note
from symbench.domains.images.models.steerable import E2cnn, Escnn
from symbench.domains.images.models.steerable_cnn import EPSILON, Maximum, Norms
from symbench.domains.images.tables.models import SteerableOptions
from symbench.measure import suite

SOURCES = {"escnn": Escnn, "e2cnn": E2cnn}
FLOORS = {"escnn": 2e-5, "e2cnn": 1e-12, "stand-in": 1e-12}
"""Of E in float64; escnn samples its filters in float32, so that float64 shows their rounding."""
FLOOR = 2e-5
"""Of E in float32."""
KEEPS = {
    "C4": (QUARTER_TURNS, FLIPS),
    "C8": (QUARTER_TURNS, FLIPS),
    "D4": ([*QUARTER_TURNS, *FLIPS], ROLLS),
    "SO2": (QUARTER_TURNS, FLIPS),
    "O2": ([*QUARTER_TURNS, *FLIPS], ROLLS),
}
"""What a group's network keeps on an odd side, and what it breaks."""
SUITE = """\
  steerable: {{use: {package}, group: {group}, width: 2, train: {{on: digits, epochs: 1}}, only: {{dataset: digits}}}}
"""


def library(package: str) -> None:
    """Skip where it is not installed; what it warns of while it is imported is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(package, reason=f"needs the extra {package}")
        importlib.import_module(f"{package}.nn")


def network(package: str, group: str, *, width: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    options = SteerableOptions.model_validate({"group": group, "width": width}).model_dump()
    made = SOURCES[package]("models.m", Path(), None, **options)
    assert made.describe().size is None
    return made.build(shape=(1, 17, 17), outputs=10)


def check(
    module: nn.Module, keeps: tuple[Sequence[Move], Sequence[Move]], whose: str, *, sides: tuple[int, int] = (17, 16)
) -> None:
    """At the floor before training and after it, in both precisions; not for other moves, nor on an even side."""
    odd, even = sides
    images, _ = digits(odd, 24)
    for _ in ("before training", "after it"):
        module.eval()
        assert relative_error(module, images, keeps[0]) <= FLOOR
        assert relative_error(module, images, keeps[1]) > 0.01
        assert relative_error(module.double(), images, keeps[0]) <= FLOORS[whose]
        assert relative_error(module.float(), digits(even, 24)[0], QUARTER_TURNS) > 0.01
        taught(module, *digits(odd, 96, split="train"), epochs=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", KEEPS)
@pytest.mark.parametrize("package", SOURCES)
def test_networks_of_the_library_keep_their_group(package: str, group: str) -> None:
    library(package)
    check(network(package, group), KEEPS[group], package)


@pytest.mark.parametrize("group", ["C4", "O2"])
@pytest.mark.parametrize("package", SOURCES)
def test_networks_of_a_stand_in_keep_their_group(monkeypatch: pytest.MonkeyPatch, package: str, group: str) -> None:
    steerable_library.install(monkeypatch, package)
    check(network(package, group), KEEPS[group], "stand-in")


def test_invariants_against_loops() -> None:
    maps = torch.randn(2, 2 * 5, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norms, maximum = Norms((1, 2, 2))(maps), Maximum(5)(maps)
    for feature in range(2):
        one = maps[:, 5 * feature : 5 * feature + 5]
        assert torch.equal(norms[:, 3 * feature], one[:, 0])
        assert torch.allclose(
            norms[:, 3 * feature + 1], (one[:, 1] ** 2 + one[:, 2] ** 2 + EPSILON).sqrt(), atol=1e-12
        )
        assert torch.allclose(
            norms[:, 3 * feature + 2], (one[:, 3] ** 2 + one[:, 4] ** 2 + EPSILON).sqrt(), atol=1e-12
        )
        assert torch.equal(maximum[:, feature], torch.stack([one[:, k] for k in range(5)]).max(dim=0).values)


def written(folder: Folder, models: str) -> Path:
    folder.write(models=models)
    data = "  digits: {use: digits, size: 17}\nmodels:"
    folder.suite.write_text(folder.suite.read_text().replace("models:", data, 1))
    return folder.suite


def test_of_a_budget_the_nearest_width_is_taken_of_a_stand_in(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    steerable_library.install(monkeypatch, "escnn")
    model = "  s: {use: escnn, group: C4, budget: {parameters: 3400}, only: {dataset: digits}}\n"
    heard: list[Event] = []
    space = planned(written(folder, model), heard)
    assert space.suite.models["s"].options["width"] == 3
    # without a bias each: filters, a scale and a shift for every field, and the head
    count = (9 * 3 + 2 * 3) + (36 * 3 * 6 + 4 * 3) + 2 * (36 * 6 * 6 + 4 * 3) + (6 * 10 + 10)
    said = [event.text for event in heard if isinstance(event, Note)]
    assert f"s: width 3 of a budget of 3,400 parameters: {count:,}" in said
    assert "s: fresh random weights: for others say weights: FILE." in said


def test_the_suite_is_read_without_the_library() -> None:
    loaded = suite.load(ROOT / "suites" / "escnn.yaml")
    assert {(entry.use, entry.options.get("group")) for entry in loaded.models.values()} == {
        ("p4-cnn", None),
        ("escnn", "C8"),
        ("escnn", "O2"),
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", ["C8", "O2"])
@pytest.mark.parametrize("package", SOURCES)
def test_a_suite_trains_and_measures_them(folder: Folder, symbench: Symbench, package: str, group: str) -> None:
    library(package)
    model = SUITE.format(package=package, group=group)
    check_trained(folder, symbench, model)


@pytest.mark.parametrize("group", ["C4", "O2"])
def test_a_suite_trains_and_measures_those_of_a_stand_in(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    steerable_library.install(monkeypatch, "escnn")
    check_trained(folder, symbench, SUITE.format(package="escnn", group=group))


def check_trained(folder: Folder, symbench: Symbench, model: str) -> None:
    """It is trained, its weights are loaded into a fresh network, and what comes of it keeps quarter turns."""
    ran = symbench("run", written(folder, model), "--results", folder.results, "--only", "model=steerable")
    assert ran.code == 0, ran.err
    frame = open_run(results=folder.results).estimates()
    errors = frame[(frame["metric"] == "equivariance_error") & frame["element"].isna()]["estimate"]
    assert 0 < errors.max() <= FLOOR
    assert (frame[frame["metric"] == "accuracy"]["estimate"] > 0).all()


def test_without_the_library_it_is_named(folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in SOURCES:
        monkeypatch.setitem(sys.modules, package, None)
        path = written(folder, SUITE.format(package=package, group="O2"))
        ran = symbench("run", path, "--results", folder.results)
        told = f"models.steerable.use: needs the package {package}, which"
        assert ran.code == 2
        assert told in ran.err
        assert f'pip install "symbench[{package}]"' in ran.err
