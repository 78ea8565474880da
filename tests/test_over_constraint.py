"""When too much symmetry hurts: ceilings by hand, labels that turn along, a head that turns its answer, and the study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn

import symbench
from symbench.algebra import actions, groups
from symbench.algebra.actions.declared import representation
from symbench.algebra.fields import classes
from symbench.algebra.metrics import METRICS
from symbench.algebra.metrics.base import Observed
from symbench.algebra.metrics.ceiling import NOT_KEPT, invariance_ceiling
from symbench.base.document import parse
from symbench.base.errors import ImpossiblePair, ModelError, SuiteError
from symbench.domains.common.models import MODELS
from symbench.domains.images.datasets.digits import OVERTURNED, TURNED, load
from symbench.domains.images.tables.datasets import DigitsOptions
from symbench.measure.suite import checked
from symbench.read.studies import Answer, answers

SUITE = ROOT / "suites" / "studies" / "over-constraint.yaml"


def seen(target: Any, moved_target: Any = None, weights: Any = None, valid: Any = None, **more: Any) -> Observed:
    """Observations ``(k, n)`` of which nothing but the labels is known."""
    shape = np.shape(target if moved_target is None else moved_target)
    k = shape[0]
    known: dict[str, Any] = {
        "samples": np.arange(shape[1]), "labels": [f"g{i}" for i in range(k)], "kinds": ["permutation"] * k,
        "weights": np.full(k, 1 / k) if weights is None else weights, "valid": np.ones(shape, bool) if valid is None else valid,
        "deviation_sq": np.zeros(shape), "unrelated_sq": np.zeros(shape), "null_limit_sq": 0.0, "controls": {}, "facts": {},
    }  # fmt: skip
    return Observed(**known, target=target, moved_target=moved_target, **more)


def test_the_ceiling_is_the_largest_share_of_a_label_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    moved = rng.integers(3, size=(5, 40))
    weights = rng.random(5)
    weights /= weights.sum()
    valid = rng.random((5, 40)) < 0.7
    shares = []
    for i in range(40):
        mass = [sum(weights[k] for k in range(5) if valid[k, i] and moved[k, i] == c) for c in range(3)]
        if sum(mass) > 0:
            shares.append(max(mass) / sum(mass))
    (found,) = invariance_ceiling(seen(np.broadcast_to(moved[0], moved.shape), moved, weights, valid))
    assert found.estimate == pytest.approx(np.mean(shares), rel=1e-12)
    assert 1 / 3 < np.mean(shares) < 1, "neither end"
    interval = found.interval(seed=0)
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < np.mean(shares) < interval.high


def test_the_ceiling_of_orientations_is_a_quarter_and_of_a_label_that_stays_one() -> None:
    label = np.arange(12) % 4
    turned = (label + np.arange(4)[:, None]) % 4
    at_rest = np.broadcast_to(label, turned.shape)
    for ceiling, observed in ((0.25, seen(at_rest, turned, classes_move=True)), (1.0, seen(at_rest))):
        assert [value.estimate for value in invariance_ceiling(observed)] == [ceiling]
    half = seen(at_rest[:2], np.stack([label % 2, 1 - label % 2]), classes_move=True)
    assert [value.estimate for value in invariance_ceiling(half)] == [0.5]


def test_there_is_no_ceiling_without_labels_or_where_nobody_kept_how_they_move() -> None:
    nothing = seen(None, valid=np.ones((4, 3), bool), moved_target=np.zeros((4, 3)))
    assert [value.reason for value in invariance_ceiling(nothing)] == ["no class labels"]
    assert invariance_ceiling(seen(np.zeros((4, 3)), classes_move=True)) == [NOT_KEPT]


@pytest.mark.parametrize(
    ("label", "group", "field", "count"),
    [("orientation", "C4", TURNED, 450), ("overturned-six", "C2", OVERTURNED, None)],
)
def test_an_image_is_its_upright_one_moved_by_what_its_label_says(
    label: str, group: str, field: Any, count: int | None
) -> None:
    plain, posed = load(split="test", size=9), load(split="test", size=9, label=label)
    digits = plain.target_values["label"]
    upright = plain.leaves["image"] if count else plain.leaves["image"][digits == 6].repeat(2, 1, 1, 1)
    wanted = posed.target_values["label"]
    of = groups.load(group, {})
    on_images = actions.load(of, group, plain.fields["image"], {}, on=plain.fields["image"], leaf="image")
    on_labels = representation(of, field)
    assert len(posed) == len(upright) == (count or 2 * int((digits == 6).sum()))
    assert set(wanted.tolist()) == set(range(field.classes))
    for number, g in enumerate(of.elements()):
        mine = wanted == number
        assert torch.equal(on_images.act(g[None], upright[mine])[0], posed.leaves["image"][mine])
        assert on_labels[(float(number),)][:, 0].argmax() == number, "what was of class 0"
    assert not torch.equal(upright, posed.leaves["image"])


@pytest.mark.parametrize(
    ("field", "group"),
    [(TURNED, "C2"), (TURNED, "C8"), (TURNED, "D4"), (TURNED, "SO2"), (OVERTURNED, "C4"), (OVERTURNED, "C6")],
)
def test_labels_move_under_the_group_that_they_are_of_and_no_other(field: Any, group: str) -> None:
    with pytest.raises(ImpossiblePair, match=f"declared for C[24], not for {group}|finite group"):
        representation(groups.load(group, {}), field)


def test_without_a_group_half_turns_of_sixes_would_pass_for_quarter_turns() -> None:
    """C4 has the representation, and a half turn would leave the label."""
    table = representation(groups.load("C4", {}), classes({"turn": [1, 0]}))
    assert torch.equal(table[(2.0,)], torch.eye(2, dtype=torch.float64))


def test_what_a_turned_6_is_goes_with_the_digits_label_alone() -> None:
    with pytest.raises(ValueError, match="says nothing of label: orientation"):
        DigitsOptions(label="orientation", upside_down="the same")


def build(name: str, outputs: int, side: int) -> nn.Module:
    torch.manual_seed(0)
    row, _ = MODELS.find(name)
    module: nn.Module = row.load()(shape=(2, side, side), outputs=outputs, width=3)
    return module.double().eval()


def moved(model: nn.Module, x: Tensor, turns: int, step: int) -> float:
    """How far the answer to turned images is from the turned answer, over how far answers lie apart."""
    before, after = model(x), model(torch.rot90(x, turns, (-2, -1)))
    return float((after - before.roll(step, dims=-1)).abs().max() / before.std(dim=0).max())


@torch.no_grad()
@pytest.mark.parametrize("side", [9, 10, 17])
def test_the_head_turns_its_answer_with_the_image(side: int) -> None:
    x = torch.rand(5, 2, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    four, two = build("p4-orientation", 4, side), build("p4-orientation", 2, side)
    for k in (1, 2, 3):
        assert moved(four, x, k, k) <= 1e-11
        assert moved(four, x, k, 0) > 0.1, "it is not invariant"
    assert moved(two, x, 2, 1) <= 1e-11
    assert moved(two, x, 1, 1) > 0.1, "a quarter turn exchanges no two classes"
    assert moved(four, x.flip(-1), 0, 0) <= 1e-11, "the same images, so that the next line says something"
    assert float((four(x.flip(-1)) - four(x)).abs().max() / four(x).std(dim=0).max()) > 0.01, "p4 has no mirrors"


@torch.no_grad()
def test_the_head_without_it_is_invariant() -> None:
    x = torch.rand(5, 2, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain = build("p4-cnn", 4, 9)
    assert moved(plain, x, 1, 0) <= 1e-11
    assert moved(plain, x, 1, 1) > 0.1


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(ModelError, match="got 10 classes, expected 2 or 4(?s:.*)label: orientation"):
        build("p4-orientation", 10, 9)


def test_only_accuracy_over_the_orbit_has_a_ceiling() -> None:
    text = SUITE.read_text().replace("metric: orbit_accuracy", "metric: accuracy", 1)
    with pytest.raises(SuiteError, match=r"ceiling: got a ceiling for accuracy, expected metric: orbit_accuracy"):
        checked(parse(text, Path("s.yaml")), Path())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    """The study with small images, two seeds, few epochs and few samples to test on."""
    folder = tmp_path_factory.mktemp("study")
    text = re.sub("epochs: (12|30)", "epochs: 2", SUITE.read_text().replace("size: 17", "size: 9"))
    (folder / "small.yaml").write_text(text.replace("seeds: 5", "seeds: 2").replace("epochs: 8", "epochs: 1"))
    choices = symbench.Choices(results=folder / "results", limit=60)
    run = symbench.run(folder / "small.yaml", choices=choices)
    return list(answers(run.store, run.manifest, METRICS.rows))


def number(answer: Answer, arm: str, column: str) -> float:
    return float(answer.frame.set_index("arm")[column].to_dict()[arm])


def test_the_study_tells_what_is_held_back(found: list[Answer]) -> None:
    turns, sixes, tilts = found
    for answer, name, ceiling in ((turns, "turns", 0.25), (sixes, "sixes", 0.5)):
        assert set(answer.frame["ceiling"]) == {ceiling}
        # Whatever it answers is right once on every orbit: no interval is wide enough to miss that.
        ends = [number(answer, f"{name}-invariant", column) for column in ("low", "estimate", "high")]
        assert ends == pytest.approx([ceiling] * 3, abs=1e-9)
        said = answer.text.partition(f"An invariant model cannot pass {100 * ceiling:.1f} %: ")[2].split(";")
        (held,) = (part for part in said if f"{name}-invariant" in part)
        assert "within" in held
        (passing,) = (part for part in said if f"{name}-equivariant" in part)
        assert re.search("pass(es)? it", passing)
    assert number(turns, "turns-equivariant", "low") > 0.25
    assert "ceiling" not in tilts.frame
    assert list(tilts.frame["arm"]) == ["within-30", "within-0", "within-90", "within-180"]
