"""assert_equivariant: passes what is exact, and says where and how far what is not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from symbench.base.errors import ConfigError
from symbench.domains.images.models.p4_cnn import P4Cnn, P4Conv
from symbench.domains.sets.deep_sets import DeepSets
from symbench.domains.sets.set_mlp import SetMlp
from symbench.face.testing import assert_equivariant
from symbench.fields import Image, Nodes, Scalar

IMAGES = torch.rand(5, 1, 17, 17, generator=torch.Generator().manual_seed(0))
SET = {"set": Nodes("items", Scalar())}


def p4() -> P4Cnn:
    torch.manual_seed(0)
    return P4Cnn(shape=(1, 17, 17), outputs=6, width=4)


def test_exact_models_pass() -> None:
    found = assert_equivariant(p4(), "C4", IMAGES)
    assert {d.output for d in found} == {"output", "gradient by x"}
    assert all(0 <= d.relative < 1e-9 for d in found)
    assert_equivariant(nn.AvgPool2d(3, stride=1), "D4", IMAGES, {"maps": Image()})
    with pytest.raises(AssertionError, match="maps"):  # 17 pixels leave a rest on one side
        assert_equivariant(nn.AvgPool2d(3), "D4", IMAGES, {"maps": Image()})
    assert_equivariant(p4(), "C4", IMAGES, dtype=torch.float32)


def test_sets() -> None:
    points = torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(0))
    assert_equivariant(DeepSets(shape=(6, 2), outputs=3, width=8), "S6", {"set": points}, fields=SET, elements=5)
    assert_equivariant(nn.Linear(2, 3), "S6", points, {"rows": Nodes("nodes", Scalar())}, elements=5)
    with pytest.raises(AssertionError, match="not equivariant under S6\noutput: at element"):
        assert_equivariant(SetMlp(shape=(6, 2), outputs=3, width=8), "S6", points, elements=5)


def test_the_message_says_element_sample_distance_and_limit() -> None:
    def cheats(x: Tensor) -> Tensor:
        out = x.mean((1, 2, 3))[:, None].repeat(1, 2)
        return out + torch.eye(5, 2, dtype=x.dtype)[3:4].sum() + (torch.arange(5) == 3)[:, None] * x[:, 0, 0, :1]

    with pytest.raises(AssertionError) as caught:
        assert_equivariant(cheats, "C4", IMAGES, gradients=False)
    message = str(caught.value)
    assert "sample 3" in message
    assert "degrees" not in message
    turned = [torch.rot90(IMAGES[3, 0], k)[0, 0] for k in range(4)]
    worst = max(range(1, 4), key=lambda k: abs(float(turned[k] - turned[0])))
    assert f"element {90 * worst}°" in message
    assert f"{math.sqrt(2) * abs(float(turned[worst] - turned[0])):.3g}" in message
    assert "allowed 1e-09" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_fails(value: float) -> None:
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(lambda x: x.mean((2, 3)) * value, "C4", IMAGES, gradients=False)


class RightValueWrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.mean((1, 2, 3))[:, None]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0][..., None, None] * torch.arange(x.numel(), dtype=x.dtype).view(x.shape)


def test_gradients_are_tested_too() -> None:
    with pytest.raises(AssertionError, match="gradient by x: at element"):
        assert_equivariant(RightValueWrongGradient.apply, "C4", IMAGES)
    assert_equivariant(RightValueWrongGradient.apply, "C4", IMAGES, gradients=False)


class Hidden(nn.Module):
    """Invariant only because a broken layer is thrown away."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) + 0 * self.layer(x).mean((1, 2, 3))[:, None]


def test_named_submodules() -> None:
    assert_equivariant(Hidden(), "C4", IMAGES)
    with pytest.raises(AssertionError, match="layer: at element"):
        assert_equivariant(Hidden(), "C4", IMAGES, modules={"layer": Image()})


def test_resampled_elements_need_a_tolerance() -> None:
    with pytest.raises(ConfigError, match="Say with tolerance"):
        assert_equivariant(p4(), "SO2", IMAGES)
    blur = nn.Sequential(nn.AvgPool2d(5, stride=1), nn.Flatten(), nn.Linear(169, 2))
    with pytest.raises(AssertionError, match="not equivariant under SO2"):
        assert_equivariant(blur, "SO2", IMAGES, elements=5, tolerance=0.1)
    assert_equivariant(lambda x: x.mean((2, 3)), "translations", IMAGES, options={"reach": 2, "border": "circular"})


def test_one_sample_is_refused_and_the_model_is_left_as_it_was() -> None:
    with pytest.raises(ConfigError, match="a single sample"):
        assert_equivariant(p4(), "C4", IMAGES[:1])
    model = p4().train()
    assert_equivariant(model, "C4", IMAGES)
    assert model.training
    assert next(model.parameters()).dtype == torch.float32


def test_a_lifting_convolution_needs_its_own_field() -> None:
    """Orientations move as well as pixels: maps taken for plain images are found out."""
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="maps: at element"):
        assert_equivariant(P4Conv(1, 2, orientations=1, stride=1), "C4", IMAGES, {"maps": Image()})
