"""How large a model is to be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from symbench.base.registry import Options

WIDTH = "width"
"""The option that a budget chooses, of models that have it."""


class SizeBudget(Options):
    """What a model may hold, in trainable parameters, or do, in operations of one sample's forward pass; not both."""

    parameters: Annotated[int, Field(ge=1)] | None = None
    flops: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> SizeBudget:
        if (self.parameters is None) == (self.flops is None):
            raise PydanticCustomError("one_of_several", "parameters or flops, one of them")
        return self
