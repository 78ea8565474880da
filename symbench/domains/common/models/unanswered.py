"""What a model says that has no answer for one sample of a batch."""

from __future__ import annotations

from symbench.base.errors import ModelError, Problem


class Unanswered(ModelError):
    """A model that takes samples one by one has no answer for one of them; the others may be fine.

    Args:
        row: which of the batch.
        said: what is wrong, such as what was raised.
        expected: what would be right.
    """

    def __init__(self, row: int, said: str, expected: str | None = None) -> None:
        super().__init__(Problem(f"row {row}", said, expected))
        self.row, self.said, self.expected = row, said, expected

    def at(self, model: str, sample: str) -> ModelError:
        """The same of a model and a sample by their names."""
        return ModelError(Problem(model, f"{sample}: {self.said}", self.expected))
