"""Group convolutions over turns and mirrors: the groups, the layers, the networks."""

from __future__ import annotations

import pytest
import torch
from breaking import FLIPS, build, digits, relative_error
from torch import Tensor
from torch.nn.functional import conv2d

from symbench.domains.images.models.p4_cnn import P4Conv
from symbench.domains.images.models.plane_group import C4, D2, D4, GroupConv, OrbitNorm, PlaneGroup

GROUPS = [pytest.param(C4, id="C4"), pytest.param(D4, id="D4"), pytest.param(D2, id="D2")]


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Weights are drawn from the global generator."""
    torch.manual_seed(0)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moved_maps(group: PlaneGroup, maps: Tensor, g: int) -> Tensor:
    """Every map moved by g, and orientation h at g h."""
    parts = maps.unflatten(1, (-1, group.order)).unbind(2)
    out = {group.compose(g, h): group.moved(part, g) for h, part in enumerate(parts)}
    return torch.stack([out[h] for h in range(group.order)], dim=2).flatten(1, 2)


@pytest.mark.parametrize("group", GROUPS)
def test_compositions_are_those_of_the_moves(group: PlaneGroup) -> None:
    x = images(5, 5)
    for g in range(group.order):
        products = [group.compose(g, h) for h in range(group.order)]
        assert sorted(products) == list(range(group.order))
        for h, gh in enumerate(products):
            assert torch.equal(group.moved(group.moved(x, h), g), group.moved(x, gh))
            assert group.compose(g, group.origins(g)[h]) == h
    assert torch.equal(group.moved(x, 0), x)


def test_the_wrong_group_has_the_order_of_the_right_one_and_no_quarter_turn() -> None:
    assert D2.order == C4.order == 4
    assert not any(turn % 2 for _, turn in D2.elements)
    assert all(torch.equal(D2.moved(D2.moved(images(4, 4), g), g), images(4, 4)) for g in range(4)), "C2 x C2"


@pytest.mark.parametrize("group", GROUPS)
def test_a_lifting_convolution_is_one_with_every_moved_filter(group: PlaneGroup) -> None:
    layer = GroupConv(group, 2, 3, orientations=1, stride=1).double()
    x = images(2, 2, 7, 7)
    maps = layer(x).unflatten(1, (3, group.order))
    for g in range(group.order):
        assert torch.allclose(maps[:, :, g], conv2d(x, group.moved(layer.weight[:, :, 0], g), padding=1), atol=1e-14)


@pytest.mark.parametrize("side", [9, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("group", GROUPS)
def test_convolutions_are_equivariant(group: PlaneGroup, stride: int, side: int) -> None:
    lift = GroupConv(group, 2, 3, orientations=1, stride=1).double()
    convolution = GroupConv(group, 3, 2, orientations=group.order, stride=stride).double()
    x = images(2, 2, side, side)
    maps = lift(x)
    for g in range(group.order):
        assert torch.allclose(lift(group.moved(x, g)), moved_maps(group, maps, g), atol=1e-12)
        expected = moved_maps(group, convolution(maps), g)
        assert torch.allclose(convolution(moved_maps(group, maps, g)), expected, atol=1e-12)


def test_the_wrong_group_is_not_equivariant_under_quarter_turns_in_any_order_of_its_maps() -> None:
    lift = GroupConv(D2, 1, 1, orientations=1, stride=1).double()
    x = images(1, 1, 7, 7)
    turned, maps = lift(torch.rot90(x, 1, (-2, -1)))[0].detach(), torch.rot90(lift(x), 1, (-2, -1))[0].detach()
    assert all(float((turned[g] - maps[h]).abs().max()) > 1e-3 for g in range(4) for h in range(4))


def test_strides_halve_even_sides_by_a_mean_and_odd_ones_as_ever() -> None:
    pooled = GroupConv(D2, 1, 2, orientations=1, stride=2).double()
    plain = GroupConv(D2, 1, 2, orientations=1, stride=2, pools_even=False).double()
    plain.load_state_dict(pooled.state_dict())
    odd, even = images(1, 1, 9, 7), images(1, 1, 8, 7)
    assert torch.equal(pooled(odd), plain(odd))
    halved = (even[..., ::2, :] + even[..., 1::2, :]) / 2  # each axis by itself: the width is odd, and is strided
    assert torch.allclose(pooled(even), conv2d(halved, pooled.moved_weight(), stride=(1, 2), padding=1), atol=1e-14)
    assert pooled(even).shape == plain(even).shape == (1, 8, 4, 4)
    assert not torch.allclose(plain(even.flip(-2)), moved_maps(D2, plain(even), 2 + 1), atol=1e-3), "breaks there"


def test_p4_convolutions_stride_on_even_sides_too() -> None:
    convolution = P4Conv(1, 2, orientations=1, stride=2).double()
    x = images(1, 1, 8, 8)
    assert torch.equal(convolution(x), conv2d(x, convolution.moved_weight(), stride=2, padding=1))
    turned = convolution(torch.rot90(x, 1, (-2, -1)))
    assert not torch.allclose(turned, moved_maps(C4, convolution(x), 1), atol=1e-3)


@pytest.mark.parametrize("orientations", [1, 4])
def test_p4_filters_are_turned_and_their_orientations_rolled(orientations: int) -> None:
    convolution = P4Conv(2, 3, orientations=orientations, stride=1)
    turned = [torch.rot90(convolution.weight, k, (-2, -1)).roll(k % orientations, 2) for k in range(4)]
    assert torch.equal(convolution.moved_weight(), torch.stack(turned, 1).reshape(12, 2 * orientations, 3, 3))


@pytest.mark.parametrize("group", GROUPS)
def test_one_mean_and_variance_for_an_orbit(group: PlaneGroup) -> None:
    maps = images(4, 3 * group.order, 5, 5) * torch.arange(1.0, 3 * group.order + 1)[:, None, None]
    orbits = OrbitNorm(3, group.order).double()(maps).unflatten(1, (3, group.order)).transpose(0, 1).flatten(1)
    assert torch.allclose(orbits.mean(1), torch.zeros(3).double(), atol=1e-12)
    assert torch.allclose(orbits.var(1, unbiased=False), torch.ones(3).double(), atol=1e-4)
    of_first_map = OrbitNorm(3, group.order).double()(maps)[:, 0].detach()
    assert abs(float(of_first_map.mean())) > 0.1, "not one for each orientation"


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize(("name", "order"), [("p4-cnn", 4), ("p2mm-cnn", 4), ("p4m-cnn", 8)])
def test_parameters(name: str, order: int, width: int) -> None:
    channels, outputs = 3, 7
    lifting = 9 * width * channels
    convolutions = 9 * order * (width * 2 * width + 2 * (2 * width) ** 2)
    norms = 2 * (width + 3 * 2 * width)
    head = 2 * width * outputs + outputs
    module = build(name, (channels, 9, 9), outputs=outputs, width=width)
    assert sum(p.numel() for p in module.parameters()) == lifting + convolutions + norms + head


def test_p4_networks_keep_the_names_and_shapes_of_their_weights() -> None:
    state = build("p4-cnn", (1, 9, 9), outputs=3, width=2).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")} == {
        **{f"features.{3 * k}.weight": (4, (2, 4)[k > 1], 4, 3, 3) for k in (1, 2, 3)},
        "features.0.weight": (2, 1, 1, 3, 3),
        **{
            f"features.{3 * k + 1}.norm.{part}": (4 if k else 2,)
            for k in range(4)
            for part in ("weight", "bias", "running_mean", "running_var")
        },
        "head.weight": (3, 4),
        "head.bias": (3,),
    }


def test_flips_are_exact_on_rectangles() -> None:
    x = images(8, 1, 9, 12)
    module = build("p2mm-cnn", (1, 9, 12), width=2).double()
    assert relative_error(module, x, FLIPS) <= 1e-12
    assert relative_error(module, x, [lambda x: x.roll(1, -1)]) > 1e-3


def test_logits_depend_on_more_than_what_the_group_leaves() -> None:
    """Invariance is not had by seeing nothing: images that no element takes into one another come out different."""
    x, _ = digits(17, 6)
    logits = build("p4m-cnn", (1, 17, 17), width=4).double()(x.double()).detach()
    distances = (logits[:, None] - logits).square().sum(-1).sqrt() / logits.std()
    assert logits.shape == (6, 10)
    assert float(distances[~torch.eye(6, dtype=torch.bool)].min()) > 1e-4
