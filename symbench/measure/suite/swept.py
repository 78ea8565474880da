"""What a model that a sweep made keeps of it."""

from __future__ import annotations

from typing import Any

from symbench.base.registry import Options


class Swept(Options):
    """What an entry that a sweep made is one of: the entry that the file has, and the values that are this one's."""

    of: str
    values: dict[str, Any]

    @property
    def seed(self) -> int | None:
        """The seed of a replica; None where seeds are not swept over."""
        return self.values.get("seed")

    @property
    def point(self) -> dict[str, Any]:
        """The values that are not the seed: replicas have these in common."""
        return {key: value for key, value in self.values.items() if key != "seed"}
