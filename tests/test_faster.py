"""Faster copies of networks: what feeds what, merged layers, pieces, graphs; against the same without them."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from test_running import loaded
from torch import Tensor, nn

from symbench.domains.common.models.running import Habits
from symbench.measure.faster.build import half_of, runner_of
from symbench.measure.faster.flow import Flow, flow_of
from symbench.measure.faster.fold import PackedConvolution, fold_norms
from symbench.measure.faster.replay import AFTER, MOST, Replayed
from symbench.measure.faster.runner import Runner, Unrounded, Way

MERGED, HALF = Way(None, merged=True), Way(torch.bfloat16, merged=True)


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.no_grad():
        yield


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 15, 15, generator=torch.Generator().manual_seed(1))


def net() -> Any:
    return loaded("modes").Net().eval()


def seen(module: nn.Module, x: Tensor) -> Flow:
    return flow_of(module, lambda: module(x), len(x))


def runner(module: nn.Module, way: Way, *, device: str = "cpu") -> Runner | None:
    return runner_of(module, way, seen(module, images(2)), device=device, habits=Habits())


# What feeds what.


def test_the_flow_is_that_of_the_layers() -> None:
    made = net()
    flow, layers = seen(made, images()), made.layers
    assert [flow.feeds(layers[i]) for i in range(1, 6)] == [layers[i] for i in range(5)]
    assert flow.feeds(layers[0]) is None
    assert flow.feeds(made.head) is None, "pooling stands between"
    assert flow.ends == [made.head]
    assert flow.shapes[layers[3]] == (6, 8, 15, 15)
    assert flow.largest == 8 * 15 * 15 * 4


class Between(nn.Module):
    """Two convolutions with something between the second and its norm."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.norm = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.norm.running_mean = torch.randn(4)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.between(self.second(self.first(x))))
        return out


@pytest.mark.parametrize(
    ("between", "feeds"),
    [(lambda x: x, True), (lambda x: x.mul_(2), False), (lambda x: x.clone(), False), (torch.relu, False)],
    ids=["nothing", "written into", "copied", "a function"],
)
def test_a_layer_feeds_the_next_only_where_nothing_stands_between(
    between: Callable[[Tensor], Tensor], feeds: bool
) -> None:
    made = Between(between).eval()
    flow = seen(made, images())
    assert (flow.feeds(made.norm) is made.second) == feeds
    expected = made(images())
    assert fold_norms(made, flow) == feeds
    assert torch.allclose(made(images()), expected, atol=1e-5)


def test_a_layer_that_runs_twice_feeds_nothing() -> None:
    made = Between(lambda x: x).eval()
    first = nn.Sequential(made.first, nn.Conv2d(4, 4, 3)).eval()
    made.add_module("first", first)
    made.add_module("second", first[1])
    assert seen(made, images()).feeds(made.norm) is None


def test_the_hooks_are_gone_even_where_it_raises() -> None:
    made = net()
    with pytest.raises(RuntimeError, match="channels"):
        seen(made, torch.rand(2, 3, 15, 15))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in made.modules())


# Merged layers.


def test_folding_is_its_formula() -> None:
    made = net()
    layers, expected = list(made.layers), made(images())
    assert fold_norms(made, seen(made, images())) == 2
    for place in (0, 3):
        convolution, norm = layers[place], layers[place + 1]
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        bias = 0 if convolution.bias is None else convolution.bias
        assert torch.allclose(made.layers[place].weight, convolution.weight * scale[:, None, None, None])
        assert torch.allclose(made.layers[place].bias, (bias - norm.running_mean) * scale + norm.bias, atol=1e-6)
        assert isinstance(made.layers[place + 1], nn.Identity)
    assert torch.allclose(made(images()), expected, atol=1e-5)


def weight_normed(part: Any) -> nn.Module:
    part.second.register_forward_pre_hook(lambda module, given: None)
    return part


def training(part: Any) -> nn.Module:
    part.norm.train()
    return part


def without_statistics(part: Any) -> nn.Module:
    part.norm = nn.BatchNorm2d(4, track_running_stats=False).eval()
    return part


@pytest.mark.parametrize("change", [weight_normed, training, without_statistics])
def test_what_is_no_plain_pair_is_not_folded(change: Callable[[Any], nn.Module]) -> None:
    made = change(Between(lambda x: x).eval())
    assert fold_norms(made, seen(made, images())) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("activation", [None, nn.ReLU, nn.SiLU, nn.Hardswish, nn.ReLU6], ids=str)
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"groups": 8, "padding": (2, 0)}, {"dilation": 2, "bias": False}],
    ids=str,
)
def test_packed_convolutions_are_convolutions(
    options: dict[str, Any], activation: type[nn.Module] | None, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 8, 3, **options).to(dtype).eval()
    x = (4 * torch.randn(5, 8, 11, 13)).to(dtype).contiguous(memory_format=torch.channels_last)
    expected = convolution.float()(x.float())
    expected = expected if activation is None else activation()(expected)
    found = PackedConvolution(convolution.to(dtype), activation, (2, 8, 15, 15))(x)
    assert found.dtype == dtype
    limit = 1e-5 if dtype == torch.float32 else 2**-7 * float(expected.abs().max())
    assert float((found.float() - expected).abs().max()) <= limit


def test_runners_of_both_modes_are_near_the_network() -> None:
    x, expected = images(50), net()(images(50))
    spread = float(expected.std(0).norm())
    for way, limit in ((MERGED, 1e-5), (HALF, 0.05)):
        made = runner(net(), way)
        assert made is not None
        assert 0 < float((made(x) - expected).norm(dim=1).max()) <= limit * spread
        assert made(x).dtype == torch.float32, "the last layer is not rounded"
        assert isinstance(made.module.head, Unrounded) == (way is HALF)
    assert made is not None
    assert made.described() == "bfloat16, batch norms folded, channels last, weights packed"


def test_only_what_is_not_folded_of_the_norms_stays_in_float32() -> None:
    made = Between(torch.relu).eval()
    runner(made, HALF)
    assert made.norm.weight.dtype == torch.float32
    assert made(images().bfloat16()).dtype == torch.bfloat16


def test_float64_is_merged_and_left_unpacked() -> None:
    made, x = net().double(), images().double()
    expected = made(x)
    flow = flow_of(made, lambda: made(x), len(x))
    found = runner_of(made, MERGED, flow, device="cpu", habits=Habits())
    assert found is not None
    assert found.described() == "batch norms folded, channels last"
    assert found(x).dtype == torch.float64
    torch.testing.assert_close(found(x), expected, rtol=0, atol=1e-12)


def test_a_network_without_convolutions_is_left_alone() -> None:
    assert runner(loaded("modes").Flat().eval(), MERGED) is None
    half = runner(loaded("modes").Flat().eval(), HALF)
    assert half is not None
    assert half.described() == "bfloat16"


def test_a_copy_that_differentiates_keeps_layers_that_can() -> None:
    made = net()
    flow = seen(made, images(2))
    found = runner_of(made, MERGED, flow, device="cpu", habits=Habits(differentiates=True))
    assert found is not None
    with torch.enable_grad():
        x = images().requires_grad_()
        (slope,) = torch.autograd.grad(found(x).sum(), x)
    assert float(slope.abs().max()) > 0


# Pieces.


Pair = namedtuple("Pair", ["first", "second"])


class Returns(nn.Module):
    def __init__(self, shape: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.shape, self.counts = shape, []  # type: ignore[var-annotated]

    def forward(self, x: Tensor, other: Tensor | None = None) -> Any:
        self.counts.append(len(x))
        return self.shape(x.flatten(1) if other is None else x.flatten(1) + other)


SHAPES: dict[str, Callable[[Tensor], Any]] = {
    "tensor": lambda x: x,
    "dict": lambda x: {"a": x, "b": x.sum(1)},
    "tuple": lambda x: (x, x * 2),
    "named tuple": lambda x: Pair(x, x * 2),
    "nested": lambda x: {"a": [x, (x * 2,)]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pieces_are_put_together_as_they_were_returned(shape: Callable[[Tensor], Any]) -> None:
    whole, pieces = Returns(shape), Returns(shape)
    x = images(7)
    expected, found = whole(x), Runner(pieces, Way(None, merged=False), 3, Habits())(x)
    assert pieces.counts == [3, 3, 1]
    assert type(found) is type(expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "shape", [lambda x: x.sum(), lambda x: {"a": x, "b": 3}, lambda x: x.T], ids=["scalar", "number", "other axis"]
)
def test_what_cannot_be_put_together_is_run_as_a_whole(shape: Callable[[Tensor], Any]) -> None:
    inner = Returns(shape)
    made = Runner(inner, Way(None, merged=False), 3, Habits())
    torch.testing.assert_close(made(images(7)), shape(images(7).flatten(1)), rtol=0, atol=0)
    made(images(7))
    assert inner.counts == [3, 7, 7]


def test_leaves_by_name_are_cut_alike() -> None:
    inner = Returns(lambda x: x)
    made = Runner(inner, Way(None, merged=False), 4, Habits())
    other = torch.rand(6, 225)
    assert torch.equal(made(x=images(), other=other), images().flatten(1) + other)
    assert inner.counts == [4, 2]


def test_pieces_are_so_many_that_a_map_stays_small() -> None:
    made = runner(net(), MERGED)
    assert made is not None
    assert made.piece == (24 << 20) // (8 * 15 * 15 * 4)
    half = runner(net(), HALF)
    assert half is not None
    assert half.piece == 2 * made.piece or half.piece == 2 * made.piece + 1
    elsewhere = runner(net(), MERGED, device="meta")
    assert elsewhere is not None
    assert elsewhere.piece is None


# Graphs.


class Plain:
    """A pass that counts how often it is run, and what records it."""

    def __init__(self, off: float = 0.0) -> None:
        self.passes, self.records, self.replays, self.off = 0, 0, 0, off

    def __call__(self, given: Mapping[str, Tensor]) -> Any:
        self.passes += 1
        return {"out": given["x"] * 2.0}

    def record(self, plain: Any, given: Any) -> Any:
        self.records += 1

        def replay(now: Mapping[str, Tensor]) -> Any:
            self.replays += 1
            return {"out": now["x"] * 2 + self.off}

        return replay


def test_a_shape_that_comes_back_is_replayed() -> None:
    plain = Plain()
    made = Replayed(plain, plain.record)
    for number in range(AFTER + 5):
        assert torch.equal(made({"x": torch.ones(3) * number})["out"], torch.ones(3) * 2 * number)
    assert (plain.passes, plain.records) == (AFTER + 1 + 1, 1)
    assert plain.replays == 4 + 1, "one of them, and of the passes, to see that both give the same"
    made({"x": torch.ones(4)})
    made({"x": torch.ones(3).double()})
    assert plain.records == 1, "shapes and dtypes of their own"


def test_no_more_graphs_than_memory_is_for() -> None:
    plain = Plain()
    made = Replayed(plain, plain.record)
    for size in range(1, MOST + 3):
        for _ in range(AFTER + 2):
            made({"x": torch.ones(size)})
    assert plain.records == MOST


@pytest.mark.parametrize("off", [1e-3, float("nan")], ids=["other", "NaN"])
def test_a_graph_that_gives_something_else_is_dropped(off: float) -> None:
    plain = Plain(off)
    made = Replayed(plain, plain.record)
    found = [made({"x": torch.ones(3)})["out"] for _ in range(AFTER + 4)]
    assert all(torch.equal(each, torch.full((3,), 2.0)) for each in found)
    assert plain.records == 1
    assert made.refused == "its passes cannot be replayed as a graph: the outputs are others"


@pytest.mark.parametrize(
    "x",
    [torch.arange(6.0).reshape(3, 2), torch.arange(6.0).reshape(1, 2, 3), torch.arange(3)],
    ids=["samples", "a sample", "indices"],
)
def test_a_graph_that_does_not_look_at_its_input_is_dropped(x: Tensor) -> None:
    def record(plain: Any, given: Mapping[str, Tensor]) -> Any:
        returned = {"out": given["x"] * 2.0}
        return lambda now: returned

    made = Replayed(Plain(), record)
    for number in range(AFTER + 4):
        assert torch.equal(made({"x": x + number})["out"], (x + number) * 2)
    assert made.refused == "its passes cannot be replayed as a graph: the outputs are others"
    assert not made.graphs


def test_what_cannot_be_recorded_runs_plainly() -> None:
    def record(plain: Any, given: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    plain = Plain()
    made = Replayed(plain, record)
    for _ in range(AFTER + 4):
        made({"x": torch.ones(3)})
    assert plain.passes == AFTER + 4
    assert made.refused is not None
    assert made.refused.startswith("its passes cannot be recorded as a graph: RuntimeError: operation not permitted")


def test_a_graph_on_a_gpu_is_the_plain_pass() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    module, expected = net().cuda(), net()
    made = runner_of(
        module, HALF, flow_of(module, lambda: module(images(2).cuda()), 2), device="cuda", habits=Habits()
    )
    assert made is not None
    for number in range(AFTER + 4):
        x = images(8) + number / 10
        assert torch.allclose(made(x.cuda()).cpu(), expected(x), atol=0.2)
    assert made.replayed.refused is None
    assert len(made.replayed.graphs) == 1


# Devices.


@pytest.mark.parametrize(
    ("supported", "found"), [((True, True), torch.bfloat16), ((False, True), torch.bfloat16), ((False, False), None)]
)
def test_half_precision_of_a_cpu_is_that_of_its_instructions(
    monkeypatch: pytest.MonkeyPatch, supported: tuple[bool, bool], found: torch.dtype | None
) -> None:
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    for name, there in zip(names, supported, strict=True):
        monkeypatch.setattr(torch.cpu, name, lambda there=there: there, raising=False)
    assert half_of("cpu") == found


@pytest.mark.parametrize(("supported", "found"), [(True, torch.bfloat16), (False, torch.float16)])
def test_half_precision_of_a_gpu_is_float16_where_it_has_no_bfloat16(
    monkeypatch: pytest.MonkeyPatch, supported: bool, found: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
    assert half_of("cuda:1") == found
    assert half_of("mps") == torch.float16
