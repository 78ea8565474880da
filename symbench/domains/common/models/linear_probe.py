"""A linear classifier behind a model's embeddings, which stay its first output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from symbench.algebra.fields import Field, Logits
from symbench.domains.common.models.outputs import read

OUTPUT = "linear_probe"
"""What the scores of a linear probe are called among a model's outputs."""


class LinearlyProbed(nn.Module):
    """``W (z - m) + b`` beside the embedding ``z`` of a module. It holds the module, whose layers keep their names.

    Args:
        module: with its weights; takes its leaves as it does alone.
        outputs: the field of its only output, an embedding.
        name: its name, for messages.
        mean: ``m``, ``(d,)``, on the module's device.
        weight: ``W``, ``(classes, d)``, likewise.
        bias: ``b``, ``(classes,)``, likewise.
    """

    mean: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        module: nn.Module,
        outputs: Mapping[str, Field],
        name: str,
        *,
        mean: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> None:
        super().__init__()
        self.module = module
        self.fields = dict(outputs)
        self.name = name
        for key, values in (("mean", mean), ("weight", weight), ("bias", bias)):
            self.register_buffer(key, values)

    def get_submodule(self, target: str) -> nn.Module:
        """Of the module itself, so that its layers have the names that it gives them."""
        return self.module.get_submodule(target)

    def forward(self, *only: Tensor, **leaves: Tensor) -> Any:
        """The embedding ``(n, d)`` and the probe's class scores ``(n, classes)``, by name."""
        first = next(iter([*only, *leaves.values()]))
        returned = self.module(*only, **leaves)
        ((key, embedding),) = read(returned, self.fields, len(first), self.name).outputs.items()
        centred = embedding.to(self.mean.dtype) - self.mean
        return {key: embedding, OUTPUT: nn.functional.linear(centred, self.weight, self.bias)}

    @property
    def declared(self) -> dict[str, Field]:
        """The fields of both outputs."""
        return {**self.fields, OUTPUT: Logits()}
