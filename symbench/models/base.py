"""A model ready to be measured: the module, its fields, and the normalisation in front of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symbench.errors import ModelError, Problem, described
from symbench.fields import Field, Scalar
from symbench.models.running import Around, Habits, call, own

ABOUT_SHAPES = re.compile(r"shape|size|channel|dimension|height|width|kernel|patch|reshape|view", re.IGNORECASE)
"""What errors say that come of images of another size or number of channels."""
ABOUT_DTYPES = re.compile(
    r"dtype|scalar type|type .* should be the same|not implemented for '(BF|H|F|D)", re.IGNORECASE
)
"""What errors say that come of numbers in another precision than the module's."""


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
    """

    module: nn.Module
    outputs: Mapping[str, Field] = field(default_factory=lambda: {"logits": Scalar()})
    normalisation: Normalisation = field(default_factory=Normalisation)
    name: str = "model"
    dtypes: str | None = None
    habits: Habits = field(default_factory=Habits, compare=False)

    def __call__(
        self,
        leaves: Mapping[str, Tensor],
        images: Sequence[str] = (),
        *,
        around: Around = nullcontext,
    ) -> dict[str, Tensor]:
        """Run the module on a batch and check what comes back.

        The module is given tensors of its own, and what it returns is copied: the leaves are left as they are, and
        the outputs stay as they are, whatever it does with its memory.

        Args:
            leaves: ``(n, ...)`` each.
            images: which leaves are images and get normalised.
            around: makes what is entered around the module's own work alone, such as a stopwatch.

        Returns:
            Every output, floating point ``(n, ...)``, without a graph.

        Raises:
            ModelError: the module raised, or returned something else than declared.
        """

        shapes: dict[str, tuple[int, ...]] = {}

        def fresh() -> dict[str, Tensor]:
            ready = {name: self.normalisation(x) if name in images else x for name, x in leaves.items()}
            shapes.update({name: tuple(x.shape) for name, x in ready.items()})
            return {name: x.clone() if x is leaves[name] else x for name, x in ready.items()}

        count = len(next(iter(leaves.values())))
        try:
            returned = call(self.module, fresh, self.habits, around)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                Problem(self.name, "ran out of device memory", None, f"Use a --batch-size below {count}.")
            ) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a user's model may raise anything
            said = described(error)
            got = f"raised {said} (inputs {shapes})"
            about_dtypes = isinstance(error, RuntimeError) and ABOUT_DTYPES.search(said)
            remedy = self.dtypes if about_dtypes else None
            remedy = remedy or _about_images(said, [shapes[name] for name in images if name in shapes])
            raise ModelError(Problem(self.name, got, None, remedy)) from error
        return {name: own(value) for name, value in self._checked(returned, count).items()}

    def _checked(self, returned: Any, count: int) -> dict[str, Tensor]:
        outputs = named_outputs(returned, list(self.outputs))
        for name in self.outputs:
            value = outputs.get(name)
            if not isinstance(value, Tensor):
                raise ModelError(
                    Problem(
                        self.name,
                        f"output {name!r} is a {type(value).__name__}",
                        "a tensor, a tuple or list that begins with one, or a mapping or dataclass that holds one "
                        "for every declared output",
                        None if name in outputs else f"It returned {', '.join(map(repr, outputs)) or 'nothing'}.",
                    )
                )
            if value.ndim == 0 or len(value) != count or not value.numel() or not value.is_floating_point():
                raise ModelError(
                    Problem(
                        self.name,
                        f"output {name!r} is {value.dtype} of shape {tuple(value.shape)}",
                        f"floating point of shape ({count}, ...)",
                    )
                )
        return {name: outputs[name] for name in self.outputs}


def named_outputs(returned: Any, names: Sequence[str]) -> dict[str, Any]:
    """What a model returned, by name.

    Mappings (a ``ModelOutput`` of transformers is one), dataclasses and named tuples have names of their own. Of any
    other tuple or list the first tensor is the first output, as is a tensor by itself, or under the name ``tensor``.
    """
    if isinstance(returned, Mapping):
        return {str(name): _first_tensor(value) for name, value in returned.items()}
    known: Sequence[str] = getattr(type(returned), "_fields", ())
    if is_dataclass(returned):
        known = [each.name for each in fields(returned)]
    if names[0] in known or (is_dataclass(returned) and tensor_of(returned) is returned):
        return {name: _first_tensor(getattr(returned, name)) for name in known}
    return {names[0]: _first_tensor(returned)}


def _first_tensor(value: Any) -> Any:
    """The first tensor of a tuple or list, where there is one; anything else as it is."""
    if isinstance(value, (tuple, list)):
        return next((found for each in value if isinstance(found := tensor_of(each), Tensor)), value)
    return tensor_of(value)


def tensor_of(value: Any) -> Any:
    """The tensor of what stands for one with more said of it, as a GeometricTensor of escnn does; else the value."""
    found = None if isinstance(value, (Tensor, Mapping)) else getattr(value, "tensor", None)
    return found if isinstance(found, Tensor) else value


def _about_images(error: str, shapes: Sequence[tuple[int, ...]]) -> str | None:
    """What to do where a model may want other images than it was given."""
    shape = next((shape for shape in shapes if len(shape) == 4), None)
    if shape is None or not ABOUT_SHAPES.search(error):
        return None
    _, channels, height, width = shape
    grey = ", and channels: 3 if it takes colour" if channels == 1 else ""
    given = f"It was given images of {height} x {width} pixels and {channels} channel{'s' if channels > 1 else ''}"
    return f"{given}: if it takes others, add size: (pixels a side) to its entry{grey}."


def declared_outputs(module: nn.Module, otherwise: Mapping[str, Field]) -> Mapping[str, Field]:
    """The module's own ``outputs`` where it declares them, else what is known of models of its kind.

    Raises:
        ModelError: it declares one whose name could not be a file's.
    """
    own = getattr(module, "outputs", None)
    if not (isinstance(own, Mapping) and own and all(isinstance(value, Field) for value in own.values())):
        return otherwise
    for name in own:
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w{0,63}", name)):
            raise ModelError(
                Problem(type(module).__name__, f"declares an output {name!r}", "a name of letters, digits and _")
            )
    return own
