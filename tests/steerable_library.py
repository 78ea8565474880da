"""A stand-in for escnn and e2cnn: their classes for C4 and O(2), with symbench's own layers behind them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from symbench.domains.images.models.harmonic_cnn import ORDERS, HarmonicConv
from symbench.domains.images.models.plane_group import C4, GroupConv, OrbitNorm


@dataclass(frozen=True)
class Representation:
    size: int


@dataclass(frozen=True)
class Space:
    """The plane with quarter turns, or with all of them."""

    turns: int
    mirrored: bool
    trivial_repr = Representation(1)
    regular_repr = Representation(4)

    def irrep(self, *parts: int) -> Representation:
        assert len(parts) == (2 if self.mirrored else 1)
        return Representation(2 if parts[-1] else 1)


class FieldType:
    def __init__(self, space: Space, representations: list[Representation]) -> None:
        self.space, self.representations = space, representations
        self.size = sum(each.size for each in representations)

    def __len__(self) -> int:
        return len(self.representations)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldType) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.size)


@dataclass(frozen=True)
class GeometricTensor:
    tensor: Tensor
    type: FieldType

    def __post_init__(self) -> None:
        assert self.tensor.shape[1] == self.type.size


class Layer(nn.Module):
    """What takes features of one type and nothing else, and gives others."""

    def __init__(self, in_type: FieldType, out_type: FieldType | None = None) -> None:
        super().__init__()
        self.in_type, self.out_type = in_type, out_type or in_type

    def forward(self, features: GeometricTensor) -> GeometricTensor:
        assert features.type == self.in_type
        return GeometricTensor(self.computed(features.tensor), self.out_type)

    def computed(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class R2Conv(Layer):
    def __init__(
        self, in_type: FieldType, out_type: FieldType, kernel_size: int, *, padding: int, bias: bool
    ) -> None:
        super().__init__(in_type, out_type)
        assert padding == kernel_size // 2
        assert not bias
        self.register_buffer("indices", torch.zeros(1).expand(7))  # several numbers in one memory, as in escnn
        lifts = in_type.representations[-1].size == 1
        if in_type.space.turns == 4:
            made: dict[str, Any] = {"orientations": 1 if lifts else 4, "stride": 1}
            self.made: nn.Module = GroupConv(C4, in_type.size // made["orientations"], len(out_type), **made)
        else:
            orders = (0,) if lifts else ORDERS
            features = len(in_type) // len(orders)
            self.made = HarmonicConv(features, len(out_type) // len(ORDERS), orders=orders, kernel=kernel_size)

    def computed(self, x: Tensor) -> Tensor:
        if isinstance(self.made, GroupConv):
            return self.made(x)
        size = 1 if self.in_type.representations[-1].size == 1 else 5
        return self.made(x.unflatten(1, (-1, size))).flatten(1, 2)


class InnerBatchNorm(Layer):
    def __init__(self, in_type: FieldType) -> None:
        super().__init__(in_type)
        self.norm = OrbitNorm(len(in_type), in_type.representations[0].size)

    def computed(self, x: Tensor) -> Tensor:
        return self.norm(x)


class GNormBatchNorm(Layer):
    def computed(self, x: Tensor) -> Tensor:
        return x / (x.square().mean(dim=(1, 2, 3), keepdim=True) + 1e-6).sqrt()


class ReLU(Layer):
    def computed(self, x: Tensor) -> Tensor:
        return x.relu()


class NormNonLinearity(Layer):
    def __init__(self, in_type: FieldType) -> None:
        super().__init__(in_type)
        self.log_bias = nn.Parameter(torch.zeros(1, len(in_type), 1, 1))

    def computed(self, x: Tensor) -> Tensor:
        parts = x.split([each.size for each in self.in_type.representations], dim=1)
        norms = torch.cat([(each.square().sum(1, keepdim=True) + 1e-12).sqrt() for each in parts], dim=1)
        gates = ((norms - self.log_bias.exp()).relu() / norms).unbind(1)
        return torch.cat([part * gate[:, None] for part, gate in zip(parts, gates, strict=True)], dim=1)


class PointwiseAvgPoolAntialiased(Layer):
    def __init__(self, in_type: FieldType, *, sigma: float, stride: int) -> None:
        super().__init__(in_type)
        assert sigma > 0
        self.stride = stride

    def computed(self, x: Tensor) -> Tensor:
        wave = x.new_tensor([1.0, 2.0, 1.0]) / 4
        blur = torch.outer(wave, wave).expand(x.shape[1], 1, 3, 3)
        return conv2d(x, blur, padding=1, stride=self.stride, groups=x.shape[1])


class SequentialModule(nn.Sequential):
    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        self.in_type, self.out_type = layers[0].in_type, layers[-1].out_type


def turns(n: int = -1, maximum_frequency: int = 6) -> Space:
    assert n == 4 or maximum_frequency == 2
    return Space(n, mirrored=False)


def turns_and_mirrors(n: int = -1, maximum_frequency: int = 6) -> Space:
    assert n == -1
    assert maximum_frequency == 2
    return Space(n, mirrored=True)


NAMES = {"escnn": ("rot2dOnR2", "flipRot2dOnR2"), "e2cnn": ("Rot2dOnR2", "FlipRot2dOnR2")}


def install(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Put it where the library is imported from, until the test is over."""
    root, layers, gspaces = (ModuleType(name) for name in (package, f"{package}.nn", f"{package}.gspaces"))
    for made in (
        FieldType, GeometricTensor, R2Conv, InnerBatchNorm, GNormBatchNorm, ReLU, NormNonLinearity,
        PointwiseAvgPoolAntialiased, SequentialModule,
    ):  # fmt: skip
        setattr(layers, made.__name__, made)
    for name, make in zip(NAMES[package], (turns, turns_and_mirrors), strict=True):
        setattr(gspaces, name, make)
    root.__path__ = []
    for module in (root, layers, gspaces):
        monkeypatch.setitem(sys.modules, module.__name__, module)
