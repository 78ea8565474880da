"""Networks for shifts: circular padding, blurred strides, adaptive polyphase sampling."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from breaking import ROLLS, Move, build, digits, relative_error
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import pad

from symbench.base.errors import ModelError
from symbench.domains.images.models.aps_cnn import PolyphaseSampling
from symbench.domains.images.models.blur_cnn import Blur
from symbench.domains.images.models.cnn import Padding

ONE_PIXEL = ROLLS[:2]


def shifted(x: Tensor) -> Tensor:
    """Right by a pixel, with zeros after it."""
    return pad(x, [1, -1])


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("name", ["cnn", "circular-cnn", "blur-cnn", "aps-cnn"])
def test_parameters(name: str, width: int) -> None:
    channels, outputs = 3, 7
    convolutions = 9 * (channels * width + width * 2 * width + 2 * (2 * width) ** 2)
    norms = 2 * (width + 3 * 2 * width)
    head = 2 * width * outputs + outputs
    module = build(name, (channels, 16, 16), outputs=outputs, width=width)
    assert sum(p.numel() for p in module.parameters()) == convolutions + norms + head


def test_a_checkpoint_holds_what_is_learnt() -> None:
    """Blurs are fixed: what has no gradient but the running statistics is not in it."""
    module = build("blur-cnn", (1, 9, 9), width=2)
    running = {key for key in module.state_dict() if "running" in key or "num_batches" in key}
    assert module.state_dict().keys() - running == dict(module.named_parameters()).keys()
    assert [name for name, _ in module.named_buffers() if name.endswith("filter")] == [
        "features.6.filter",
        "features.10.filter",
    ]


@pytest.mark.parametrize("move", [ONE_PIXEL[0], ONE_PIXEL[1], shifted], ids=["roll-x", "roll-y", "shift"])
@pytest.mark.parametrize("seed", range(5))
def test_blur_is_less_broken_than_strides_under_one_pixel(move: Move, seed: int) -> None:
    x, _ = digits(29, 64)
    strided, blurred = (
        relative_error(build(name, (1, 29, 29), seed=seed, width=12), x, [move]) for name in ("cnn", "blur-cnn")
    )
    assert 0.005 < blurred < 0.6 * strided


@pytest.mark.parametrize(("padding", "mode"), [("zeros", "constant"), ("circular", "wrap")])
@pytest.mark.parametrize("shape", [(9, 9), (8, 11)])
def test_blur_is_a_binomial_filter_at_every_second_place(
    padding: Padding, mode: Literal["constant", "wrap"], shape: tuple[int, int]
) -> None:
    x = torch.rand(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    expected = np.stack([[ndimage.convolve(map_, weights, mode=mode) for map_ in each] for each in x.numpy()])
    assert np.allclose(Blur(3, padding).double()(x), expected[..., ::2, ::2], atol=1e-14)


def strongest(x: Tensor) -> Tensor:
    """The polyphase component of the largest norm of one map ``(c, h, w)``."""
    return max((x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)), key=lambda part: float(part.norm()))


def test_polyphase_sampling_takes_the_strongest_component_of_every_sample() -> None:
    x = torch.rand(12, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    sampled = PolyphaseSampling()(x)
    assert torch.equal(sampled, torch.stack([strongest(each) for each in x]))
    taken = [
        next(k for k in range(4) if torch.equal(x[n, :, k // 2 :: 2, k % 2 :: 2], sampled[n])) for n in range(12)
    ]
    assert set(taken) == {0, 1, 2, 3}, "each of the four is the strongest somewhere"


def test_polyphase_samplings_of_rolled_maps_are_rolled() -> None:
    x = torch.rand(1, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sampling = PolyphaseSampling()

    def rolls(maps: Tensor) -> list[Tensor]:
        return [maps.roll((i, j), (-2, -1)) for i in range(maps.shape[-2]) for j in range(maps.shape[-1])]

    for moved in rolls(x):
        assert any(torch.equal(sampling(moved), each) for each in rolls(sampling(x)))
    plain = x.roll(1, -1)[..., ::2, ::2]
    assert not any(torch.equal(plain, each) for each in rolls(x[..., ::2, ::2])), "a fixed component is another one"


def test_half_precision_does_not_overflow_in_the_norms() -> None:
    x = torch.full((1, 1, 8, 8), 200.0, dtype=torch.float16)  # 16 squares of 40,000; float16 ends at 65,504
    x[..., 1::2, 1::2] = 250.0
    assert torch.equal(PolyphaseSampling()(x), torch.full((1, 1, 4, 4), 250.0, dtype=torch.float16))


@pytest.mark.parametrize(("side", "sizes"), [(29, "size: 28 or size: 32"), (33, "size: 32 or size: 36"), (30, "28")])
def test_other_sizes_are_refused_with_those_that_go(side: int, sizes: str) -> None:
    message = rf"aps-cnn: got images of 32 x {side} px, expected height and width divisible by 4. Set .*{sizes}"
    with pytest.raises(ModelError, match=message):
        build("aps-cnn", (1, 32, side))
    with pytest.raises(ModelError, match=message):
        build("aps-cnn", (1, 32, 32), width=1)(torch.zeros(1, 1, 32, side))


def test_rolls_of_any_size_on_rectangles() -> None:
    x = torch.rand(8, 2, 8, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moves: list[Move] = [lambda x, i=i, j=j: x.roll((i, j), (-2, -1)) for i in (1, 4, 7) for j in (1, 5, 11)]  # type: ignore[misc]
    for name in ("circular-cnn", "aps-cnn"):
        module = build(name, (2, 8, 12), width=4).double()
        assert relative_error(module, x, moves) <= 1e-12
        assert relative_error(module, x, [shifted]) > 1e-3, "zeros at a border are no roll"
