"""What is asked of a linear probe: a linear classifier that is fitted on a model's embeddings, as they are."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from symbench.base.registry import Options


class LinearProbe(Options):
    """It is fitted on the training split of the dataset ``on``: on the first ``samples`` of its one seeded order."""

    on: str
    samples: Annotated[int, Field(ge=2)] | None = None


def _spelt_out(value: object) -> object:
    """A dataset's name stands for all samples of its training split."""
    return {"on": value} if isinstance(value, str) else value


Asked = Annotated[LinearProbe | None, BeforeValidator(_spelt_out)]
"""A linear probe as an entry asks for it: a dataset's name alone, or with more."""
