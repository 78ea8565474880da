"""The Dice loss of maps: by a loop, in training, and in the keys of recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import symbench as sb
from symbench.algebra.fields import Category, Grid, Logits, Probabilities
from symbench.base.events import ignore
from symbench.face.api import prepare
from symbench.measure.tasks import pair
from symbench.measure.tasks.dice import dice_loss
from symbench.measure.training import checkpoints

MASKS = {"masks": Category(3).over(Grid("image"))}


def by_hand(probabilities: np.ndarray, target: np.ndarray) -> float:
    found = []
    for label in sorted(set(target[target >= 0].tolist())):
        said = probabilities[:, label][target >= 0]
        there = (target == label)[target >= 0]
        found.append(1 - 2 * said[there].sum() / (said.sum() + there.sum()))
    return float(np.mean(found))


def scores(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(-1, 2, (2, 4, 5), generator=generator)  # the third class is nowhere
    return torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64), target


@pytest.mark.parametrize("field", [Logits(), Probabilities()], ids=["logits", "probabilities"])
def test_the_loss_is_that_of_a_loop(field: Logits | Probabilities) -> None:
    output, target = scores()
    given = output if isinstance(field, Logits) else output.softmax(1)
    task = pair({"masks": field.over(Grid("image"))}, MASKS, scale="probabilities")[0].of((3, 4, 5))
    found = task.overlap_loss(given, target)
    assert found is not None
    assert np.isclose(float(found), by_hand(output.softmax(1).numpy(), target.numpy()), rtol=1e-12)
    share = task.right_share(given, target)
    assert share is not None
    for said, wanted, got in zip(output.argmax(1).numpy(), target.numpy(), share.tolist(), strict=True):
        assert got == (said == wanted)[wanted >= 0].mean()


def test_a_single_score_is_that_of_the_second_class() -> None:
    output, target = scores()
    task = pair({"masks": Logits().over(Grid("image"))}, MASKS, scale="probabilities")[0].of((1, 4, 5))
    found = task.overlap_loss(output[:, :1], target)
    yes = output[:, :1].sigmoid()
    assert np.isclose(float(found), by_hand(torch.cat([1 - yes, yes], 1).numpy(), target.numpy()))  # type: ignore[arg-type]


def test_it_can_be_differentiated_and_ends_at_0_and_1() -> None:
    output, target = scores()
    torch.autograd.gradcheck(lambda x: dice_loss(x.softmax(1), target), output.requires_grad_())
    sure = torch.nn.functional.one_hot(target.clamp(min=0), 3).movedim(-1, 1).double()
    assert dice_loss(sure, target) == 0
    assert dice_loss(sure[:, [1, 0, 2]], target) == 1
    assert dice_loss(sure, torch.full_like(target, -1)) == 0


SUITE = """\
version: 1
name: maps
datasets: {{masks: {{use: scenes, size: 20, samples: 8, objects: 1, target: {target}}}}}
models: {{net: {{use: {model}, width: 2, train: {{on: masks, steps: 1, batch: 8, seed: 0{dice}}}}}}}
symmetries: {{turns: {{group: C4, on: image}}}}
numerics: {{device: cpu}}
"""


def write(folder: Path, dice: str, target: str = "masks", model: str = "pixel-mlp") -> Path:
    path = folder / "maps.yaml"
    path.write_text(SUITE.format(dice=dice, target=target, model=model))
    return path


def first_loss(folder: Path, dice: str) -> float:
    """That of the weights as they were drawn, over all samples."""
    space = prepare(write(folder, dice), sb.Choices(device="cpu"))[0]
    found = checkpoints.obtain(space, "net", device="cpu", listen=ignore, stopped=lambda: False)
    return float(found.measured["curve"][0]["loss"])


def test_it_is_added_as_often_as_the_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    none, usual, more = (first_loss(tmp_path, dice) for dice in (", dice: 0", "", ", dice: 3"))
    assert 0.3 < usual - none < 1
    assert np.isclose(more - none, 3 * (usual - none), rtol=1e-5)


def test_keys_change_where_something_is_said(tmp_path: Path) -> None:
    usual, said, other = (
        prepare(write(tmp_path, dice), sb.Choices(device="cpu"))[0].plan.recipes["net"]
        for dice in ("", ", dice: 1.0", ", dice: 0")
    )
    assert usual == said
    assert "dice" not in usual["recipe"]
    assert other["recipe"]["dice"] == 0


@pytest.mark.parametrize(
    ("dice", "target", "model", "message"),
    [
        (", dice: -1", "masks", "pixel-mlp", "train.dice: got -1, expected 0.0 or more"),
        (", dice: 1", "keypoints", "mlp", "got dice for masks, whose targets are no maps of classes. Take dice out."),
        (
            ", self_supervised: {views: turns}, dice: 1",
            "masks",
            "pixel-mlp",
            "got dice for a training without labels",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, dice: str, target: str, model: str, message: str) -> None:
    with pytest.raises(sb.ConfigError, match=message):
        prepare(write(tmp_path, dice, target, model), sb.Choices(device="cpu"))
