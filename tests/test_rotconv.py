"""The rotated-filter convolution: what the published one gets wrong, and what is left when it is put right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from breaking import QUARTER_TURNS, build, digits, relative_error, taught
from torch import Tensor, nn
from torch.nn.functional import affine_grid, conv2d

from symbench.domains.common.models import MODELS
from symbench.domains.images.models.rotconv import (
    FixedRotConv,
    MaxRotConv,
    PublishedRotConv,
    RightRotConv,
    interpolated,
    rotations,
)

NAMES = ["rotconv-published", "rotconv-fixed", "rotconv-max"]
EIGHTH, QUARTER = rotations([torch.pi / 4, torch.pi / 2])


def images(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def layer(kind: type[nn.Module], channels: int = 2, width: int = 4, *, n: int = 4) -> Any:
    torch.manual_seed(0)
    return kind(channels, width, n=n, stride=1).double()


# What the published one gets wrong.


def test_as_it_is_printed_it_cannot_run() -> None:
    """The reason for the one repair: a fifth axis."""
    bank = torch.rand(8, 2, 5, 5)
    with pytest.raises((NotImplementedError, ValueError, RuntimeError), match="3D affine matrices"):
        affine_grid(QUARTER[None], list(bank[None].shape), align_corners=False)
    assert interpolated(bank, QUARTER, padding="zeros").shape == bank.shape


@pytest.mark.parametrize(("width", "n"), [(4, 4), (8, 4), (5, 3)])
def test_the_reshape_mixes_filters_with_rotations(width: int, n: int) -> None:
    """Output o is the mean of maps o * n to o * n + n - 1, of which map m is filter m % width at rotation m // width."""
    convolution, x = layer(PublishedRotConv, width=width, n=n), images(2, 2, 9, 9)
    copies = convolution.copies()
    found, right = convolution(x), torch.stack([conv2d(x, copy, padding=2) for copy in copies]).mean(0)
    for output in range(width):
        mixed = [copies[m // width][m % width] for m in range(n * output, n * output + n)]
        expected = torch.stack([conv2d(x, each[None], padding=2) for each in mixed]).mean(0)[:, 0]
        assert torch.allclose(found[:, output], expected, atol=1e-12)
        assert not torch.allclose(found[:, output], right[:, output], atol=1e-2), "the mean over one filter's copies"


def test_corners_lose_weight_between_quarter_turns() -> None:
    corner, middle = torch.zeros(2, 1, 5, 5)
    corner[0, 0, 0], middle[0, 2, 2] = 1.0, 1.0
    kept = interpolated(torch.stack([corner, middle]), EIGHTH, padding="zeros").abs().sum((1, 2, 3))
    assert float(kept[0]) < 0.2
    assert float(kept[1]) > 0.9
    turned = interpolated(torch.stack([corner, middle]), QUARTER, padding="zeros").abs().sum((1, 2, 3))
    assert torch.allclose(turned, torch.ones(2), atol=1e-5)


def test_rotation_by_a_quarter_turn_is_counterclockwise() -> None:
    weight = images(3, 2, 5, 5)
    assert torch.allclose(interpolated(weight, QUARTER, padding="zeros"), torch.rot90(weight, 1, (-2, -1)), atol=1e-6)


@pytest.mark.parametrize("n", [4, 8])
def test_published_is_caught_after_training_and_the_others_are_at_the_floor(n: int) -> None:
    x, labels = digits(17, 200)
    seen = digits(17, 640, split="train")
    errors = {}
    for name in NAMES:
        module = build(name, (1, 17, 17), width=8, n=n)
        before = relative_error(module.double(), x, QUARTER_TURNS[:1])
        taught(module.float(), *seen, epochs=5 if name == "rotconv-published" else 1)
        if name == "rotconv-published":
            accuracy = float((module(x).argmax(1) == labels).double().mean())
            assert accuracy > 0.5, "it has learnt something, and still"
        errors[name] = before, relative_error(module.double(), x, QUARTER_TURNS[:1])
    assert min(errors["rotconv-published"]) > 0.3
    assert max(*errors["rotconv-fixed"], *errors["rotconv-max"]) <= 1e-12


# What is right, and what it costs.


@pytest.mark.parametrize(("n", "turns"), [(2, 2), (4, 1), (6, 2), (8, 1), (12, 1), (16, 1)])
def test_copies_are_exchanged_bit_for_bit(n: int, turns: int) -> None:
    copies = layer(RightRotConv, n=n).copies()
    assert len(copies) == n
    for copy in copies:
        turned = torch.rot90(copy, turns, (-2, -1))
        assert sum(torch.equal(turned, other) for other in copies) == 1
    distinct = sum(not torch.allclose(a, b, atol=1e-3) for a in copies for b in copies)
    assert distinct == n * (n - 1), "no two are the same"


@pytest.mark.parametrize("n", [3, 5])
def test_odd_numbers_of_copies_are_exact_under_no_turn(n: int) -> None:
    copies = layer(RightRotConv, n=n).copies()
    for turn in (1, 2, 3):
        turned = torch.rot90(copies[0], turn, (-2, -1))
        assert not any(torch.allclose(turned, other, atol=1e-3) for other in copies)


def test_interpolated_copies_are_kept_inside_a_disc() -> None:
    inside = torch.tensor([[abs(i) + abs(j) < 4 for i in range(-2, 3)] for j in range(-2, 3)])  # all but the corners
    for copy in layer(RightRotConv, n=8).copies():
        assert copy[..., inside].abs().min() > 0
        assert not copy[..., ~inside].any()
    assert all(copy[..., ~inside].any() for copy in layer(RightRotConv, n=4).copies())


@pytest.mark.parametrize("kind", [FixedRotConv, MaxRotConv])
def test_layers_turn_with_their_input(kind: type[nn.Module]) -> None:
    convolution, x = layer(kind, n=8), images(2, 2, 9, 9)
    turned = torch.rot90(convolution(x), 1, (-2, -1))
    assert torch.allclose(convolution(torch.rot90(x, 1, (-2, -1))), turned, atol=1e-12)
    assert not torch.allclose(convolution(x.flip(-1)), convolution(x).flip(-1), atol=1e-3)


def test_the_mean_is_a_convolution_with_one_isotropic_filter() -> None:
    convolution, x = layer(FixedRotConv), images(2, 2, 9, 9)
    mean = torch.stack(convolution.copies()).mean(0)
    assert torch.allclose(convolution(x), conv2d(x, mean, padding=2), atol=1e-12)
    assert torch.allclose(mean, torch.rot90(mean, 1, (-2, -1)), atol=1e-15)


def test_the_maximum_is_the_largest_response_of_the_copies() -> None:
    convolution, x = layer(MaxRotConv), images(2, 2, 9, 9)
    responses = [conv2d(x, copy, padding=2) for copy in convolution.copies()]
    assert torch.allclose(convolution(x), torch.stack(responses).amax(0), atol=1e-12)


def test_the_mean_cannot_tell_a_straight_line_from_a_bent_one_and_the_maximum_can() -> None:
    straight, bent = torch.zeros(2, 1, 5, 5, dtype=torch.float64)
    straight[0, 2, 1:4] = 1
    bent[0, 2, 2:4] = bent[0, 1, 2] = 1
    x = torch.stack([straight, bent])
    mean, largest = (layer(kind, 1)(x)[..., 2, 2].detach() for kind in (FixedRotConv, MaxRotConv))
    assert torch.allclose(mean[0], mean[1], atol=1e-15)
    assert float((largest[0] - largest[1]).abs().min()) > 1e-3


# The networks.


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str, width: int, n: int) -> None:
    channels, outputs = 3, 7
    filters = 25 * (channels * width + width * 2 * width + (2 * width) ** 2)  # one bank for all of the copies
    norms = 2 * (width + 2 * 2 * width)
    head = 2 * width * outputs + outputs
    module = build(name, (channels, 9, 9), outputs=outputs, width=width, n=n)
    assert sum(p.numel() for p in module.parameters()) == filters + norms + head
    assert sum(v.numel() for k, v in module.state_dict().items() if "weight" in k) == filters + norms // 2 + head - 7


@pytest.mark.parametrize("n", [1, 17])
def test_numbers_of_copies_that_make_no_sense(n: int) -> None:
    options: Any = MODELS.find("rotconv-max")[0].options
    with pytest.raises(ValueError, match="n\n.*(greater|less) than or equal to (2|16)"):
        options(n=n)
