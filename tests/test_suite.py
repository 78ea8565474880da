"""Suites: what is read, and every error with its line, what was got, what was expected and a near miss."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from symbench.algebra.groups import GROUPS
from symbench.algebra.metrics import METRICS
from symbench.base import document
from symbench.base.errors import ConfigError, SuiteError
from symbench.base.registry import Table
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS
from symbench.domains.common.presets import PRESETS
from symbench.measure import suite
from symbench.measure.plan import pairs, parse_only
from symbench.measure.suite import entries

QUICK = (ROOT / "suites" / "quick.yaml").read_text()


def test_the_quick_suite_and_the_template_are_right() -> None:
    assert len(pairs(suite.load(ROOT / "suites" / "quick.yaml"))) == 22
    assert pairs(suite.load(ROOT / "symbench" / "face" / "template.yaml"))


def test_defaults_are_filled_in() -> None:
    loaded = suite.load(ROOT / "suites" / "quick.yaml")
    assert loaded.symmetries["rotations"].options == {
        "interpolation": "bilinear", "border": "disc", "fill": 0.0, "margin": 0, "taper": 4.0, "oversample": 1,
    }  # fmt: skip
    assert loaded.resolved()["models"]["cnn"]["width"] == 24


def test_checking_a_suite_imports_no_torch() -> None:
    code = (
        "import sys; from symbench.measure import suite, plan; plan.pairs(suite.load(sys.argv[1])); "
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(ROOT / "suites" / "quick.yaml")], check=True, timeout=60)


ERRORS = [
    ("interpolation: bilinear", "interpolation: bilinaer",
     r"quick.yaml:\d+: symmetries.rotations.interpolation: got 'bilinaer', expected one of bilinear, bicubic, fourier. Did you mean 'bilinear'"),
    ("border: disc", "border: disk", r"got 'disk', expected one of zero, fill, circular, reflect, crop, disc. Did you mean 'disc'"),
    ("epochs: 12", "epochs: '12'", r"models.cnn.train.epochs: got '12', expected a whole number"),
    ("epochs: 12", "epochs: true", r"models.cnn.train.epochs: got True, expected a whole number"),
    ("epochs: 12", "epohcs: 12", r"got unknown key 'epohcs', .*Did you mean 'epochs'"),
    ("epochs: 12", "epochs: -1", r"got -1, expected 0 or more"),
    ("use: mlp", "use: mpl", r"models.mlp.use: got model 'mpl', expected one of .*gnn, .*mlp, cnn, .*Did you mean 'mlp'"),
    ("group: C4", "group: C0", r"symmetries.quarter-turns.n: got 0, expected 2 or more"),
    ("group: SO2", "group: S02", r"got group 'S02'"),
    ("seed: 0", "seed: -1", r"quick.yaml:\d+: seed: got -1, expected 0 or more"),
    ("seed: 0", "seeed: 0", r"got unknown key 'seeed'.*Did you mean 'seed'"),
    ("on: image, reach", "on: imaeg, reach", r"symmetries.shifts.on: got 'imaeg', .*Did you mean 'image'"),
    ("reach: 3, border: circular", "reach: 3", r"symmetries.shifts: border is missing. Add 'border:'"),
    ("border: circular", "brder: circular", r"got unknown key 'brder'.*Did you mean 'border'"),
    ("dtype: float32", "dtype: fp32", r"numerics.dtype: got 'fp32', expected one of float32, float64"),
    ("device: auto", "device: gpu", r"numerics.device: got 'gpu', expected auto, cpu, mps, cuda or cuda:N"),
    ("version: 1", "version: 2", r"version: got 2, expected 1"),
    ("version: 1", "version: 1\nversion: 1", r"the key 'version' stands here a second time"),
    ("tf32: false", "mode: faster", r"numerics.mode: got 'faster', expected one of exact, fused, fast"),
    ("tf32: false", "mode: fused, tolerance: {changd: 0.1}",
     r"numerics.tolerance.changd: got unknown key 'changd', expected one of changed, deviation. Did you mean 'changed'"),
    ("tf32: false", "mode: fused, tolerance: {changed: 1.5}", r"tolerance.changed: got 1.5, expected 1.0 or less"),
    ("tf32: false", "mode: fused, tolerance: {deviation: 0}", r"tolerance.deviation: got 0, expected a number above 0.0"),
    ("tf32: false", "tolerance: {changed: 0.1}",
     r"quick.yaml:\d+: numerics.tolerance: got a tolerance in mode exact, expected mode fused or fast"),
    ("dtype: float32, tf32: false", "dtype: float64, mode: fast",
     r"quick.yaml:\d+: numerics.mode: got 'fast' with dtype float64, expected dtype float32, or none.*Use mode: fused"),
    ("tf32: false", "tf32: no", r"numerics.tf32: got 'no', expected true or false"),
    ("augment: rotations", "augment: rotation", r"got 'rotation', expected one of .*Did you mean 'rotations'"),
    ("on: digits, epochs: 12", "on: digit, epochs: 12", r"got 'digit', expected one of digits, sets. Did you mean"),
    ("split: test}", "split: tset}", r"datasets.digits.split: got 'tset', expected one of train, test. Did you mean"),
    ("split: test}", "split: test, args: {a: 1}}", r"datasets.digits.args: got args"),
    ("split: test}", "split: test, only: {model: rnn}}", r"'rnn' matches nothing, expected one of mlp"),
    ("elements: 24", "elements: 1.5", r"elements: got 1.5, expected a whole number"),
    ("name: quick", "name: Quick!", r"name: got 'Quick!', expected lower-case letters, digits, .* Did you mean 'quick'"),
    ("datasets:", "datasets: [", r"quick.yaml:\d+: this is no YAML"),
    ("seed: 0", "seed: !!python/object:os.system 0", r"got the tag tag:yaml.org,2002:python/object:os.system, expected plain YAML"),
    ("use: mlp,   ", "use: 'm.py:build', ", r"models.mlp.use: got 'm.py', expected a file at"),
    ("use: cnn,    train: {on: digits, epochs: 12}", "use: cnn, weights: w.pt, train: {on: digits, epochs: 12}",
     r"got both train and weights"),
    ("use: digits, split: test", "use: digitz, split: test",
     r"^quick.yaml:\d+: datasets.digits.use: got dataset 'digitz', expected one of .*graphs, .*digits, .* Did you mean 'digits'\?$"),
    ("use: digits, split: test", "use: folder, root: x", r"datasets.digits.use: got dataset 'folder', .* Did you mean 'images'\?"),
    ("use: digits, split: test", "use: npz, path: x", r"datasets.digits.use: got dataset 'npz', .* Did you mean 'arrays'\?"),
    ("use: mlp", "use: resnet18", r"models.mlp.use: got model 'resnet18', .* Did you mean 'torchvision/resnet18'\?"),
    ("group: C4", "group: c4", r"symmetries.quarter-turns.group: got group 'c4', .* Did you mean 'C4'\?"),
    ("group: C4", "group: Z4", r"got group 'Z4', .* Did you mean 'C4'\?"),
    ("group: C4", "group: SO(2) x scalings", r"got group 'SO\(2\)', .* Did you mean 'SO2'\?"),
    ("{group: C4, on: image}", "{preset: C4}", r"quarter-turns.preset: got preset 'C4', .* Did you mean 'c4'\?"),
    ("metric: orbit_accuracy", "metric: acc", r"gates.1.metric: 'acc' matches nothing, .* Did you mean 'accuracy'\?"),
    ("name: quick", "name: s-rectC4", r"name: got 's-rectC4', expected lower-case letters.* Did you mean 's-rectc4'\?"),
    ("  mlp:", "  Mlp:", r"quick.yaml:\d+: models.Mlp: got 'Mlp', expected lower-case letters.* Did you mean 'mlp'\?"),
    ("tf32: false", "tf32: !!bool maybe", r"quick.yaml:\d+: numerics.tf32: 'maybe' cannot be read as bool"),
    ("seed: 0", 'seed: !!int ""', r"seed: '' cannot be read as int"),
    ("seed: 0", 'seed: !!float "-"', r"seed: '-' cannot be read as float"),
    ("seed: 0", f"seed: {'9' * 5000}", r"seed: '9+\.\.\. \(4,900 more characters\)' cannot be read as int"),
    ("use: mlp", f"args: {{a: 0x{'f' * 5000}}}, use: mlp", r"models.mlp.args.a: got 0xf+.*expected a whole number of at most 64 bits"),
    ("use: mlp", r'args: {a: "\ud800"}, use: mlp', r"models.mlp.args.a: got '\\ud800', expected text without"),
    ("use: mlp", r'"\ud800": 1, use: mlp', r"models.mlp: got '\\ud800', expected text without"),
    ("use: mlp", r'use: "a\0.py:b"', r"models.mlp.use: got 'a\\x00.py:b', expected text without NUL"),
    ("use: mlp", "layers: [{a: 1}], use: mlp", r"models.mlp.layers: got \[\{'a': 1\}\], expected names of submodules"),
    ("use: cnn,    train: {on: digits, epochs: 12}", "use: cnn, weights: {fil: w.pt}",
     r"models.cnn.weights: got {'fil': 'w.pt'}, expected a file, or {file: FILE, key: KEY} where it holds several"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), ERRORS, ids=[new[:30] for _, new, _ in ERRORS])
def test_every_error_says_where_and_what(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in QUICK
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK.replace(old, new, 1))
    with pytest.raises(SuiteError, match=message):
        suite.load(path)


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    for first, second in (("epochs: x", "width: 3, on: 4"), ("epochs: 12, augment: nothing", "use: mlp, depht: 3")):
        path.write_text(QUICK.replace("epochs: 12", first).replace("use: mlp", second))
        with pytest.raises(SuiteError) as caught:
            suite.load(path)
        assert len(caught.value.problems) >= 2


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK.replace("reach: 3", "reach: none"))
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "reach: none" in text)
    with pytest.raises(SuiteError, match=f"quick.yaml:{line}: symmetries.shifts.reach"):
        suite.load(path)


@pytest.mark.parametrize("content", ["", "- 1", "42", "version: 1", "\x00", "a: &x [*x]"])
def test_files_that_are_no_suites(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(content)
    with pytest.raises(SuiteError):
        suite.load(path)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("")
    with pytest.raises(SuiteError, match="no such file.*real.yaml"):
        suite.load(tmp_path / "rael.yaml")
    with pytest.raises(SuiteError, match="cannot be read"):
        suite.load(tmp_path)


def test_aliases_cannot_blow_a_file_up(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(SuiteError, match="more than 20000 values"):
        document.read(path)


def test_scalars_are_yaml_12(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("on: yes\nx: 1e-5\ny: 1.5\nz: 0x10\nd: 2020-01-01\nt: true\nn: ~\ni: 7\ne: 12e3\ng: -.5\n")
    assert document.read(path).data == {
        "on": "yes", "x": 1e-5, "y": 1.5, "z": 16, "d": "2020-01-01", "t": True, "n": None, "i": 7, "e": 12e3, "g": -0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x: .nan", "got .nan, expected a finite number"),
        ("x: [1, -.inf]", "got -.inf, expected a finite number"),
        ("[" * 3000, "levels"),
        ("a: " * 60 + "1", "levels|no YAML"),
    ],
)
def test_values_that_no_suite_may_hold(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(content)
    with pytest.raises(SuiteError, match=message):
        document.read(path)


def test_numbers_are_not_octal_or_sexagesimal(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("a: 010\nb: 1:30\nc: -7\n")
    assert document.read(path).data == {"a": "010", "b": "1:30", "c": -7}


def test_a_fill_that_no_border_uses_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK.replace("border: circular", "border: circular, fill: 0.5"))
    with pytest.raises(SuiteError, match="symmetries.shifts: .*fill: 0.5 needs border: fill or disc"):
        suite.load(path)


def test_only_narrows_and_refuses_what_matches_nothing() -> None:
    loaded = suite.load(ROOT / "suites" / "quick.yaml")
    chosen = pairs(loaded, parse_only("model=*cnn,symmetry=quarter-turns"))
    assert [str(p) for p in chosen] == ["cnn/digits/quarter-turns", "p4-cnn/digits/quarter-turns"]
    with pytest.raises(ConfigError, match="--only model: 'ccn' matches nothing.*Did you mean 'cnn'"):
        pairs(loaded, parse_only("model=ccn"))
    with pytest.raises(ConfigError, match="--only: got 'modle=cnn'.* Did you mean 'model'"):
        parse_only("modle=cnn")
    with pytest.raises(ConfigError, match="no cell is left"):
        pairs(loaded, parse_only("model=cnn,dataset=sets"))


def test_only_and_except_on_entries(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    path.write_text(
        QUICK.replace("elements: 24", "elements: 24, only: {model: [cnn, mlp]}").replace(
            "on: image, reach", "except: {model: mlp}, on: image, reach"
        )
    )
    found = [str(p) for p in pairs(suite.load(path))]
    assert [p for p in found if p.endswith("rotations")] == ["mlp/digits/rotations", "cnn/digits/rotations"]
    assert "mlp/digits/shifts" not in found
    assert "cnn/digits/shifts" in found


def test_an_entry_that_meets_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    path.write_text("".join(line for line in QUICK.splitlines(keepends=True) if "reorderings" not in line))
    with pytest.raises(ConfigError, match="models.deep-sets: nothing in the suite fits it"):
        pairs(suite.load(path))


NARROWED = QUICK.replace(
    "symmetries:", "symmetries:\n  flip: {group: D1, on: image, except: {dataset: '*'}}"
).replace("datasets:", "datasets:\n  more: {use: digits, except: {model: '*'}}")


def test_what_is_trained_on_alone_is_used(tmp_path: Path) -> None:
    """A dataset that only a training reads, and a symmetry that only augments, meet nothing and are not idle."""
    path = tmp_path / "quick.yaml"
    path.write_text(NARROWED)
    with pytest.raises(ConfigError) as caught:
        pairs(suite.load(path))
    wheres = [problem.where.partition(": ")[2] for problem in caught.value.problems]
    assert wheres == ["datasets.more", "symmetries.flip"]
    old = "use: cnn,    train: {on: digits, epochs: 12}"
    assert old in NARROWED
    path.write_text(NARROWED.replace(old, "use: cnn, train: {on: more, epochs: 12, augment: flip}"))
    found = pairs(suite.load(path))
    assert "cnn/digits/quarter-turns" in {str(pair) for pair in found}
    assert not {pair.dataset for pair in found} & {"more"}
    assert not {pair.symmetry for pair in found} & {"flip"}


def test_what_matches_is_said_in_words() -> None:
    """Every pattern that text of a suite is held against; a regular expression is no answer."""
    patterns = set(re.findall(r'"pattern": "(.*?)"', json.dumps(entries.Suite.model_json_schema())))
    assert {json.loads(f'"{pattern}"') for pattern in patterns} == set(entries.PATTERNS)


def test_a_suite_of_a_megabyte_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"a: [{'1,' * 600_000}]")
    with pytest.raises(SuiteError, match="s.yaml: more than 1,048,576 bytes, expected a smaller file"):
        document.read(path)


@pytest.mark.parametrize("table", [GROUPS, PRESETS, DATASETS, MODELS, METRICS], ids=lambda table: table.kind)
def test_other_tools_names_lead_to_ours(table: Table[Any]) -> None:
    for name, row in table.rows.items():
        for alias in row.aliases:
            called = re.sub("<n>|<PATH>", "5", alias)
            assert table.built_in(called) is None, f"{called} is a name of ours"
            near = table.near(called)
            assert near is not None
            assert near.startswith(f"Did you mean '{name.partition('<')[0]}"), f"{called}: {near}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "group: S9, on: image, action: patches",
            "group: S9, on: image",
            "S9 acts on Scalar over the 2-D grid .image. in several ways",
        ),
        ("{group: C4, on: image}", "{group: scalings, on: set}", r"scalings has no action on Scalar over items"),
        (
            "{group: C4, on: image}",
            "{group: C4 x translations, on: image, reach: 1, border: zero}",
            "no direct product that acts",
        ),
    ],
)
def test_impossible_pairs_are_refused_before_torch(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        pairs(suite.load(path))
