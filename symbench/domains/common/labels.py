"""Label spaces: classes that many models know by heart, in one order. Needs no torch.

To add one: write a subclass of :class:`LabelSpace` in the folder of its domain, and a row of ``LABELS`` in its
``__init__.py``. A suite names it, ``labels: imagenet``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from symbench.base.registry import Row, Table

Names = Sequence[Sequence[str]]
"""What each output of a model is called."""


@dataclass(frozen=True)
class LabelRow(Row):
    """A label space in the table. ``path`` names a :class:`LabelSpace`.

    Attributes:
        number: what a class is called by number, as a regular expression.
    """

    number: str = ""

    def is_number(self, name: str) -> bool:
        """Whether a name is a class's number."""
        return bool(self.number) and re.fullmatch(self.number, name) is not None


LABELS: Table[LabelRow] = Table("label", LabelRow, {}, entry_points=False)


class LabelSpace(ABC):
    """Classes in the order that models of one kind have them in."""

    @abstractmethod
    def names(self) -> Names:
        """What the outputs are called, in that order."""

    @abstractmethod
    def numbered(self, names: Names, where: str) -> Names:
        """The names of a model's outputs with the classes' numbers beside them; unchanged if they are other classes.

        Args:
            names: of the outputs, by which they are recognised.
            where: the suite's key, for messages.
        """


def plain(name: str) -> str:
    """A name without case and marks: ``Jack-o'-lantern`` is ``jack o lantern``."""
    return " ".join(re.findall(r"[^\W_]+", name.replace("'", "").casefold())) or name
