"""A real plug-in package, installed, used from a suite; and what a broken one does."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from conftest import Folder, Symbench

PLUGIN = Path(__file__).parent / "plugin"
SUITE = """\
version: 1
name: plugged
datasets: {s: {use: example/stripes, samples: 6}}
models: {a: {use: example/average}}
symmetries: {half: {group: example/halfturn, on: image}}
"""


@pytest.mark.usefixtures("installed")
def test_a_plug_in_is_used_by_its_name(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(SUITE)
    ran = symbench("run", folder.suite, "--results", folder.results, "--json")
    assert ran.code == 0, ran.err
    assert '"metric": "example/certainty"' in ran.out
    assert "example/halfturn" in symbench("list", "groups").out
    refused = symbench("run", folder.suite, "--no-code")
    assert refused.code == 2
    assert "models.a.use" in refused.err
    assert "symmetries.half.group" in refused.err


@pytest.mark.usefixtures("installed")
def test_a_metric_that_raises_is_a_row_with_its_reason(
    folder: Folder, symbench: Symbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symbench_example import things

    def broken(seen: object) -> object:
        print("on stdout")
        raise ZeroDivisionError

    monkeypatch.setattr(things, "certainty", broken)
    folder.suite.write_text(SUITE)
    ran = symbench("run", folder.suite, "--results", folder.results, "--json")
    rows = [row for row in json.loads(ran.out)["estimates"] if row["metric"] == "example/certainty"]
    assert [row["status"] for row in rows] == ["failed"]
    assert "ZeroDivisionError" in rows[0]["reason"]


@pytest.mark.usefixtures("installed")
def test_options_and_names_of_plug_ins_are_checked_too(folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(SUITE.replace("samples: 6", "smaples: 6"))
    assert "Did you mean 'samples'?" in symbench("run", folder.suite).err
    folder.suite.write_text(SUITE.replace("example/average", "example/avarage"))
    assert "Did you mean 'example/average'?" in symbench("run", folder.suite).err


def test_a_broken_plug_in_is_an_error_only_where_it_is_used(
    folder: Folder, symbench: Symbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[symbench.models]\nnet = nowhere_at_all:ROW\nint = builtins:int\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert "broken/net" in {
        f"{e.dist.name}/{e.name}" for e in importlib.metadata.entry_points(group="symbench.models") if e.dist
    }
    assert symbench("run", folder.suite, "--results", folder.results).code == 0
    for name, message in (
        ("broken/net", "cannot be imported"),
        ("broken/int", "expected a symbench.domains.common.models.ModelRow"),
    ):
        folder.suite.write_text(
            SUITE.replace("example/average", name)
            .replace("example/stripes, samples: 6", "digits")
            .replace("example/halfturn", "C2")
        )
        ran = symbench("run", folder.suite)
        assert ran.code == 2
        assert message in ran.err
    listed = symbench("list", "models")
    assert listed.code == 0, "one bad plug-in does not break the list"
    assert "cnn" in listed.out
    assert "broken/net" in listed.out
