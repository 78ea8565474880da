"""Controls that domains and plug-ins bring: what is found out of a model on data of its own, whatever the symmetry.

To add one: write a function of :class:`Subject` that returns facts, and give it a row under ``CONTROLS`` of the
domain. A metric reads the facts from ``Observed.facts``, as it reads how many parameters a model has. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from symbench.algebra.fields import Field
from symbench.base.identity import dependencies
from symbench.base.registry import Row, Table

if TYPE_CHECKING:
    from torch import Tensor

NOT_RUN = "not run for lack of budget"
"""How the reason begins of a control that would apply, and that the suite's budget leaves out."""
DECLARED, FIXED, LEAVES, LAW = "declared action", "fixed points", "declared leaves", "group law"
"""The names of controls that explain what others have found."""
Facts = Mapping[str, float | None]
"""What a control finds, by name; None where there is no such number."""


def _none(count: int) -> Mapping[str, Tensor]:
    """No samples."""
    del count
    return {}


@dataclass(frozen=True)
class Subject:
    """A model on a dataset, as a control meets it: in float64 where it runs in that.

    Attributes:
        run: leaves by name, ``(n, ...)`` each, to the outputs by name, in float64.
        takes: the leaves that the model takes; more need not be given.
        shapes: of the dataset's leaves, without the sample axis.
        outputs: the field of every output.
        rounding: the largest relative rounding error of one operation.
        some: the leaves of so many samples of the dataset, or of all where there are fewer, unmoved.
    """

    run: Callable[[dict[str, Tensor]], dict[str, Tensor]]
    takes: Sequence[str]
    shapes: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, Field]
    rounding: float
    some: Callable[[int], Mapping[str, Tensor]] = _none


@dataclass(frozen=True)
class ControlRow(Row):
    """A control in the table. ``path`` names a function ``Subject -> Facts``.

    Attributes:
        suits: the leaves that a dataset must have, by name, for the control to be run on it.
        version: raised when its numbers change; part of the key of every cell that it is run in.
        passes: samples that it shows the model, which is what it costs of a cell's budget for controls.
    """

    suits: Mapping[str, Field] = field(default_factory=dict, kw_only=True)
    passes: int = field(default=64, kw_only=True)
    version: int = field(default=1, kw_only=True)


CONTROLS = Table("control", ControlRow, {})
"""Those of domains and plug-ins; what every cell has stands in ``symbench.measure.evaluate.controls``."""


def suiting(fields: Mapping[str, Field]) -> dict[str, ControlRow]:
    """The controls that are run on a dataset with these leaves, by name."""
    return {
        name: row
        for name, row in CONTROLS
        if all(leaf in fields and fields[leaf].key == wanted.key for leaf, wanted in row.suits.items())
    }


def document(fields: Mapping[str, Field]) -> dict[str, Any]:
    """What a cell's key says of the controls that are run in it: their versions, and code that is not ours."""
    return {
        name: [row.version, None if row.ours else dependencies([row.module]).document()]
        for name, row in suiting(fields).items()
    }
