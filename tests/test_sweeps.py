"""Sweeps: one entry for many, under stable names, and a sentence for every key that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbench.base.document import parse
from symbench.base.errors import ConfigError, SuiteError
from symbench.measure.plan.pairs import pairs, parse_only
from symbench.measure.suite import Suite, checked

SUITE = """\
version: 1
name: small
{sweep}
datasets: {{digits: {{use: digits}}}}
models:
  cnn: {{use: cnn, train: {{on: digits, epochs: 1, augment: turns}}{own}}}
  mlp: {{use: mlp, train: {{on: digits, epochs: 2}}}}
  raw: {{use: cnn}}
symmetries: {{turns: {{group: C4, on: image}}}}
"""


def suite(sweep: str = "", own: str = "") -> Suite:
    return checked(
        parse(SUITE.format(sweep=sweep and f"sweep: {sweep}", own=own and f", sweep: {own}"), Path("s.yaml")), Path()
    )


def test_an_entry_stands_for_every_combination_of_its_values() -> None:
    found = suite(own="{width: [4, 8], epochs: [1, 3]}")
    assert list(found.models) == [
        "cnn-width-4-epochs-1", "cnn-width-4-epochs-3", "cnn-width-8-epochs-1", "cnn-width-8-epochs-3", "mlp", "raw"
    ]  # fmt: skip
    one = found.models["cnn-width-8-epochs-3"]
    assert one.options == {"width": 8}
    assert one.train is not None
    assert one.train.augment is not None
    assert (one.train.epochs, one.train.augment.symmetry) == (3, "turns")
    assert one.swept is not None
    assert (one.swept.of, one.swept.values) == ("cnn", {"width": 8, "epochs": 3})
    assert found.models["mlp"].swept is None
    assert found.where("models", "cnn-width-8-epochs-3", "use").startswith("s.yaml:6:")


def test_a_suite_sweeps_over_all_that_is_trained_and_an_entry_over_what_is_its_own() -> None:
    found = suite("{epochs: [1, 2]}", "{epochs: [5]}")
    assert list(found.models) == ["cnn-epochs-5", "mlp-epochs-1", "mlp-epochs-2", "raw"]


def test_names_are_stable_and_of_the_usual_letters() -> None:
    found = suite(own="{learning_rate: [0.01, 1.0e-3]}")
    assert list(found.models)[:2] == ["cnn-learning_rate-0_01", "cnn-learning_rate-0_001"]
    more = suite(own="{learning_rate: [0.5, 0.01, 1.0e-3]}")
    assert set(found.models) < set(more.models)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "{epoch: [1, 2]}",
            r"s\.yaml:6: models\.cnn\.sweep\.epoch: got unknown key 'epoch', expected one of .*Did you mean 'epochs'",
        ),
        ("{width: 4}", r"models\.cnn\.sweep\.width: got '?4'?, expected a list of values"),
        ("{width: []}", "expected a list of values"),
        ("{width: [4, 4]}", "expected each value once"),
        ("[1]", "expected a mapping from keys to lists of values"),
        ("{width: [4, many]}", "models.cnn-width-many.width"),
        ("{learning_rate: [0.1, 0.10001]}", None),
        (
            "{epochs: [" + ", ".join(map(str, range(1, 1100))) + "]}",
            "sweeps make 1,099 models, expected at most 1,000",
        ),
    ],
)
def test_what_is_no_sweep(own: str, message: str | None) -> None:
    if message is None:
        assert len(suite(own=own).models) == 4
        return
    with pytest.raises(SuiteError, match=message):
        suite(own=own)


def test_seeds_are_replicas_of_what_is_trained() -> None:
    with pytest.raises(SuiteError, match="seeds for a model that is not trained"):
        checked(
            parse(
                SUITE.format(sweep="", own="").replace("raw: {use: cnn", "raw: {use: cnn, sweep: {seeds: 2}"),
                Path("s.yaml"),
            ),
            Path(),
        )


def test_two_entries_of_one_name_are_refused() -> None:
    text = SUITE.format(sweep="", own=", sweep: {width: [4]}").replace("  raw:", "  cnn-width-4:")
    with pytest.raises(SuiteError, match="makes two models named cnn-width-4"):
        checked(parse(text, Path("s.yaml")), Path())


def test_nobody_writes_what_a_sweep_writes() -> None:
    text = SUITE.format(sweep="", own=", swept: {of: cnn, values: {}}")
    with pytest.raises(SuiteError, match="got unknown key 'swept'"):
        checked(parse(text, Path("s.yaml")), Path())


def test_a_swept_entry_may_be_selected_by_its_name() -> None:
    rules = [
        "{metric: accuracy, at_least: 0, model: cnn}",
        "{metric: accuracy, at_least: 0, model: [cnn, raw]}",
        "{metric: accuracy, at_least: 0, model: 'cnn*'}",
        "{metric: accuracy, at_least: 0, model: mlp}",
    ]
    text = SUITE.format(sweep="", own=", sweep: {width: [4, 8], seeds: 3}, except: {model: raw}")
    text = text.replace("on: image}", "on: image, only: {model: [cnn, mlp]}}")
    found = checked(parse(f"{text}gates: [{', '.join(rules)}]\n", Path("s.yaml")), Path())
    arm = [f"cnn-width-{width}-seed-{seed}" for width in (4, 8) for seed in range(3)]
    assert [rule.model for rule in found.gates] == [arm, [*arm, "raw"], ["cnn*"], ["mlp"]]
    assert found.gates[0].name == f"accuracy at_least 0 model={'|'.join(arm[:4])} and 2 more"
    assert found.symmetries["turns"].only is not None
    assert found.symmetries["turns"].only.model == [*arm, "mlp"]
    named = parse(text.replace("model: [cnn, mlp]", "model: [cnm]"), Path("s.yaml"))
    with pytest.raises(SuiteError, match="symmetries.turns.only.model: 'cnm' matches nothing"):
        checked(named, Path())


def test_part_of_a_run_may_be_a_swept_entry() -> None:
    found = suite(own="{seeds: 2}")
    chosen = pairs(found, parse_only("model=cnn,symmetry=turns"))
    assert [pair.model for pair in chosen] == ["cnn-seed-0", "cnn-seed-1"]
    with pytest.raises(ConfigError, match="--only model: 'cnm' matches nothing"):
        pairs(found, parse_only("model=cnm"))
