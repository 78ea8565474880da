"""Packed input, as graph libraries take it: all samples' places end to end, each with the number of its sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field, Index, mask_of
from symbench.base.errors import ModelError, Problem
from symbench.domains.common.models.outputs import named_outputs


def is_packed(module: object) -> bool:
    """Whether a module declares ``layout = "packed"``: it takes real places alone, and no padding."""
    return getattr(module, "layout", "padded") == "packed"


class Packing(nn.Module):
    """A packed module behind padded leaves: what is padding is taken out before it, and put back behind it.

    A leaf along an axis becomes ``(places of all samples, *value)``; indices count on from sample to sample; beside
    them stands ``<axis>_batch``, the number of the sample of each place. Other leaves stay ``(n, ...)``.

    Args:
        module: takes its leaves by name, with the ``<axis>_batch`` of every axis that they stand along.
        inputs: their fields.
        outputs: the fields of what it returns; those along an axis come packed.

    Raises:
        ModelError: a leaf stands along two axes, or along a grid.
    """

    def __init__(self, module: nn.Module, inputs: Mapping[str, Field], outputs: Mapping[str, Field]) -> None:
        super().__init__()
        self.module = module
        self.fields = dict(inputs)
        self.outputs = dict(outputs)
        for name, field in {**inputs, **outputs}.items():
            if len(field.places) > 1 or field.grid is not None:
                got = f"takes packed leaves, and {name!r} is {field}"
                raise ModelError(
                    Problem(type(module).__name__, got, "values along one axis", "Let it take padded ones.")
                )

    def get_submodule(self, target: str) -> nn.Module:
        """Of the module itself, so that its layers have the names that it gives them."""
        return self.module.get_submodule(target)

    def forward(self, *only: Tensor, **leaves: Tensor) -> dict[str, Any]:
        """Padded leaves with their masks to padded outputs, by name; an only leaf may come without."""
        leaves |= dict(zip(self.fields, only, strict=False))
        real = {axis: self._real(axis, leaves) for field in self.fields.values() for axis in field.axes}
        packed = {name: self._packed(leaves[name], field, real) for name, field in self.fields.items()}
        numbers = {f"{axis}_batch": mask.nonzero()[:, 0] for axis, mask in real.items()}
        returned = named_outputs(self.module(**packed, **numbers), list(self.outputs))
        return {name: self._padded(name, value, real) for name, value in returned.items()}

    def _real(self, axis: str, leaves: Mapping[str, Tensor]) -> Tensor:
        """Which places of an axis are real, ``(n, places)``."""
        if mask_of(axis) in leaves:
            return leaves[mask_of(axis)].bool()
        name = next(name for name, field in self.fields.items() if axis in field.axes)
        return torch.ones(leaves[name].shape[:2], dtype=torch.bool, device=leaves[name].device)

    def _packed(self, x: Tensor, field: Field, real: Mapping[str, Tensor]) -> Tensor:
        if isinstance(field.value, Index) and field.value.axis in real:
            sizes = real[field.value.axis].sum(1)
            first = (sizes.cumsum(0) - sizes).view(-1, *(1,) * (x.ndim - 1))
            x = torch.where(x < 0, x, x + first)
        return x[real[field.axes[0]]] if field.axes else x

    def _padded(self, name: str, value: Any, real: Mapping[str, Tensor]) -> Any:
        axes = self.outputs[name].axes if name in self.outputs else ()
        if not axes or not isinstance(value, Tensor) or axes[0] not in real:
            return value
        mask = real[axes[0]]
        if len(value) != int(mask.sum()):
            got = f"output {name!r} has {len(value)} rows for {int(mask.sum())} {axes[0]}"
            raise ModelError(Problem(type(self.module).__name__, got, "one row for each place"))
        return value.new_zeros(*mask.shape, *value.shape[1:]).masked_scatter(
            mask.view(*mask.shape, *(1,) * (value.ndim - 1)), value
        )
