"""What a suite says of controls: what they may cost, and on how many samples."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from symbench.base.registry import Options

SECONDS = re.compile(r"\d+(\.\d+)? ?s")
"""Text that says how many seconds."""


def _floor(given: object) -> object:
    """Seconds as text, or a number of forward passes."""
    passes = isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf
    if not passes and not (isinstance(given, str) and SECONDS.fullmatch(given)):
        raise PydanticCustomError("one_of_several", "seconds such as '5 s', or a number of forward passes, 0 or more")
    return given


class Controls(Options):
    """Evaluations whose right answer is known, in every cell, on at most the first ``samples`` of its order.

    They may cost ``share`` of the cell's own forward passes, or as many as ``floor`` says where that is more: a
    number of forward passes of one sample, or text such as ``5 s``, which a table by device turns into one.
    ``full`` runs all of them whatever they cost, and so does the word in place of the mapping.
    """

    share: Annotated[float, Field(ge=0, le=1)] = 0.1
    floor: Annotated[float | str, BeforeValidator(_floor)] = "5 s"
    samples: Annotated[int, Field(ge=2, le=100_000)] = 256
    full: bool = False

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, data: object) -> object:
        if isinstance(data, str) and data != "full":
            raise PydanticCustomError("one_of_several", "full, or a mapping of share, floor and samples")
        return {"full": True} if data == "full" else data

    def document(self) -> dict[str, Any]:
        """What a cell's key says of them."""
        return {"full": True, "samples": self.samples} if self.full else self.model_dump(exclude={"full"})
