"""Layers merged into one: batch norms into the convolutions before them, and activations behind them on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from symbench.measure.faster.flow import Flow

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
"""oneDNN's names of what it can do to a convolution's output before that is written, with the numbers they take."""


def fold_norms(module: nn.Module, flow: Flow) -> int:
    """Merge batch norms into the convolutions that feed them, in place; returns how many.

    ``w' = s w`` and ``b' = s (b - m) + t`` for a norm ``s (x - m) + t``: the same but for rounding. Whether a
    convolution's output is used elsewhere too is not known: whoever folds has to hold the result against the first.
    """
    folded = 0
    for norm in list(flow.before):
        convolution = flow.feeds(norm)
        if convolution is not None and _foldable(convolution, norm):
            merged: nn.Module = fuse_conv_bn_eval(convolution, norm)  # type: ignore[type-var, arg-type]
            put(module, {convolution: merged, norm: nn.Identity()})
            flow.merge(convolution, norm, merged)
            folded += 1
    return folded


def _foldable(convolution: nn.Module, norm: nn.Module) -> bool:
    kinds = type(convolution) in CONVOLUTIONS and type(norm) in NORMS
    return kinds and not norm.training and norm.running_mean is not None and _is_plain(convolution, norm)


def _is_plain(*parts: nn.Module) -> bool:
    """Whether no code runs around the parts, as some does that makes weights before every pass."""
    return not any(part._forward_hooks or part._forward_pre_hooks for part in parts)


def put(module: nn.Module, instead: Mapping[nn.Module, nn.Module]) -> None:
    """Put modules in the place of others, under every name that these have."""
    for parent in list(module.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in instead:
                parent._modules[name] = instead[child]


class PackedConvolution(nn.Module):
    """A convolution on the CPU with its weight in oneDNN's own order, and an activation in the same pass.

    Otherwise the weight is put into that order at every call, and an activation reads and writes the whole map again.
    It has no derivative.

    Args:
        convolution: in two dimensions, padded with zeros.
        activation: one of :data:`ACTIVATIONS`, or None.
        shape: of an input, which the order suits; inputs of any other are taken too.
    """

    def __init__(self, convolution: nn.Conv2d, activation: type[nn.Module] | None, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.geometry: tuple[Any, ...] = (
            convolution.padding, convolution.stride, convolution.dilation, convolution.groups,
        )  # fmt: skip
        self.name, self.numbers = ("none", []) if activation is None else ACTIVATIONS[activation]
        weight = convolution.weight.detach()
        self.weight: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.geometry, list(shape))
        self.bias = convolution.bias

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to maps, in their dtype."""
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self.geometry, self.name, self.numbers, ""
        )
        return found


def pack(module: nn.Module, flow: Flow) -> int:
    """Pack the convolutions of a module in place, with the activations that they feed; returns how many.

    Args:
        module: on the CPU, in the dtype that it is to run in.
        flow: of one of its passes.
    """
    fed = {flow.feeds(part): part for part in flow.before if type(part) in ACTIVATIONS and _is_plain(part)}
    known = (part for part in module.modules() if type(part) is nn.Conv2d and part in flow.shapes)
    found = [part for part in known if _packable(part)]
    for part in found:
        behind = fed.get(part)
        packed = PackedConvolution(part, type(behind) if behind is not None else None, flow.shapes[part])
        put(module, {part: packed} if behind is None else {part: packed, behind: nn.Identity()})
    return len(found)


def _packable(part: nn.Conv2d) -> bool:
    if part.weight.dtype == torch.float64:  # oneDNN has no such convolution
        return False
    return part.padding_mode == "zeros" and not isinstance(part.padding, str) and _is_plain(part)
