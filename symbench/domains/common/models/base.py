"""A model ready to be measured: the module, its fields, and the normalisation in front of it."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field, Undeclared, declared
from symbench.base.errors import ModelError, Problem, described
from symbench.domains.common.handling import about_failure
from symbench.domains.common.models.outputs import read
from symbench.domains.common.models.running import Around, Habits, call, own
from symbench.domains.common.models.unanswered import Unanswered

ABOUT_DTYPES = re.compile(
    r"dtype|scalar type|type .* should be the same|not implemented for '(BF|H|F|D)", re.IGNORECASE
)
"""What errors say that come of numbers in another precision than the module's."""
OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"
"""What torch says where a processor's memory has run out, which has no class of its own."""


@dataclass(frozen=True)
class Normalisation:
    """``(x - mean) / std`` for every channel, after the transformation and before the model.

    Images of one channel are repeated to as many as there are means.
    """

    mean: Sequence[float] = ()
    std: Sequence[float] = ()

    def __call__(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` in [0, 1] to what the model was trained on."""
        if not self.mean and not self.std:
            return x
        mean = x.new_tensor(self.mean or [0.0])
        std = x.new_tensor(self.std or [1.0])
        return (x - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


@dataclass
class Seen:
    """How a model's first output was found, once it has run: its own name, and what is to be said of the choice."""

    key: str | None = None
    remark: str | None = None
    ran: bool = False


@dataclass(frozen=True)
class Model:
    """An ``nn.Module`` with declared outputs.

    Attributes:
        module: called with the leaf where there is one, else with all leaves by name.
        outputs: the field of every output, in order.
        normalisation: applied to image leaves.
        name: the suite's, for messages.
        dtypes: what to do where the precisions of its parts and its inputs do not fit together.
        habits: what is noticed of the module while it runs.
        seen: how its first output was found in what it returned last.
        noun: what its outputs are, for messages.
    """

    module: nn.Module
    outputs: Mapping[str, Field] = field(default_factory=lambda: {"logits": Undeclared()})
    normalisation: Normalisation = field(default_factory=Normalisation)
    name: str = "model"
    dtypes: str | None = None
    habits: Habits = field(default_factory=Habits, compare=False)
    seen: Seen = field(default_factory=Seen)
    noun: str = "output"

    def __call__(
        self,
        leaves: Mapping[str, Tensor],
        images: Sequence[str] = (),
        *,
        around: Around = nullcontext,
        spare: Container[str] = (),
    ) -> dict[str, Tensor]:
        """Run the module on a batch and check what comes back.

        The module is given tensors of its own, and what it returns is copied: the leaves are left as they are, and
        the outputs stay as they are, whatever it does with its memory.

        Args:
            leaves: ``(n, ...)`` each.
            images: which leaves are images and get normalised.
            spare: which leaves nobody needs any more. They are handed over as they are to a module that has run
                without writing into its inputs.
            around: makes what is entered around the module's own work alone, such as a stopwatch.

        Returns:
            Every output, floating point ``(n, ...)``, without a graph.

        Raises:
            ModelError: the module raised, or returned something else than declared.
            Unanswered: it has no answer for one sample of the batch.
            OutOfMemoryError: a batch as large as this does not fit.
        """

        shapes: dict[str, tuple[int, ...]] = {}

        # One that writes is given copies: it may be run again, with gradients or by halves, on the same inputs.
        handed_over = spare if self.seen.ran and not self.habits.writes else ()

        def fresh() -> dict[str, Tensor]:
            ready = {name: self.normalisation(x) if name in images else x for name, x in leaves.items()}
            shapes.update({name: tuple(x.shape) for name, x in ready.items()})
            return {
                name: x.clone() if x is leaves[name] and name not in handed_over else x for name, x in ready.items()
            }

        count = len(next(iter(leaves.values())))
        try:
            returned = call(self.module, fresh, self.habits, around)
        except (torch.OutOfMemoryError, KeyboardInterrupt, Unanswered):
            raise
        except BaseException as error:  # a user's model may raise anything
            if isinstance(error, RuntimeError) and OUT_OF_MEMORY in (said := described(error)):
                raise torch.OutOfMemoryError(said) from error
            raise self._failure(error, shapes, images) from error
        return {name: own(value) for name, value in self.read(returned, count).items()}

    def failed(self, error: BaseException, inputs: Mapping[str, Tensor], images: Sequence[str] = ()) -> ModelError:
        """What is said of a module that raised on these inputs."""
        return self._failure(error, {name: tuple(x.shape) for name, x in inputs.items()}, images)

    def _failure(
        self, error: BaseException, shapes: Mapping[str, tuple[int, ...]], images: Sequence[str]
    ) -> ModelError:
        said = described(error)
        about_dtypes = isinstance(error, RuntimeError) and ABOUT_DTYPES.search(said)
        remedy = self.dtypes if about_dtypes else None
        remedy = remedy or about_failure(said, [shapes[name] for name in images if name in shapes])
        return ModelError(Problem(self.name, f"raised {said} (inputs {dict(shapes)})", None, remedy))

    def read(self, returned: Any, count: int) -> dict[str, Tensor]:
        """The outputs in what the module returned for ``count`` samples.

        Raises:
            ModelError: as :func:`symbench.domains.common.models.outputs.read`.
        """
        found = read(returned, self.outputs, count, self.name, self.noun)
        self.seen.key, self.seen.remark, self.seen.ran = found.key, found.remark, True
        return found.outputs


def declared_outputs(module: nn.Module, otherwise: Mapping[str, Field]) -> Mapping[str, Field]:
    """The module's own ``outputs`` where it declares them, else what is known of models of its kind.

    Raises:
        ModelError: it declares one whose name could not be a file's.
    """
    own = declared(getattr(module, "outputs", None))
    if own is None:
        return otherwise
    for name in own:
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w{0,63}", name)):
            raise ModelError(
                Problem(type(module).__name__, f"declares an output {name!r}", "a name of letters, digits and _")
            )
    return own
