"""One of several classes at each place of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from symbench.algebra.fields import Classes
from symbench.measure.tasks.base import NO_NAMES, Columns, Unfit, Views, shaped
from symbench.measure.tasks.dice import dice_loss
from symbench.measure.tasks.scored import Scored, refuse_beyond
from symbench.measure.tasks.scores import log_of, tolerance

UNKNOWN = -1
"""The class of places that count nowhere: not labelled, or from beyond the frame."""


@dataclass(frozen=True)
class Segmentation(Scored):
    """A score for each class at each place, ``(n, classes, *grid)``; the target is a map of indices ``(n, *grid)``.

    A single score is that of the second of two classes. Places whose target is -1 are left out.
    """

    kind: ClassVar[str] = "segmentation"
    sign: ClassVar[str] = "numbers that are 0 or more and sum to 1 over classes at each place"
    early: ClassVar[bool] = True

    @property
    def axis(self) -> int:
        """Of the classes, from behind."""
        return -1 - self.field.behind

    def compared(self, output: Tensor) -> Tensor:
        """Probabilities, or logits centred at each place."""
        logs = self._logs(output)
        if self.scale == "probabilities":
            return logs.exp()
        return logs - logs.mean(self.axis, keepdim=True)

    def _logs(self, output: Tensor) -> Tensor:
        """Log-probabilities of each class, float64, ``(..., classes, *grid)``."""
        exact, axis = output.double(), self.axis
        if exact.shape[axis] == 1:
            other = 1 - exact if self.form == "probabilities" else torch.zeros_like(exact)
            exact = torch.cat([other, exact], axis)
        return log_of(exact) if self.form == "probabilities" else exact.log_softmax(axis)

    def predicted(self, output: Tensor) -> Tensor:
        """The class at each place, ``(..., *grid)``, of outputs or of what they are compared as."""
        if output.shape[self.axis] == 1:
            return (output > (0.5 if self.form == "probabilities" else 0.0)).long().squeeze(self.axis)
        return output.argmax(self.axis)

    def columns(self, views: Views) -> Columns:
        """``place_kept``; and with a target ``place_right``, ``loss`` (the mean cross-entropy over labelled places,
        nats), the counts of each class, and ``place_swapped`` where classes are renamed."""
        said = self.predicted(views.output)
        found = {} if views.kept is None else {"place_kept": agreeing(said, views.kept)}
        if views.target is None:
            return found
        logs, there = self._logs(views.output), views.target
        real = there != UNKNOWN
        log = logs.gather(self.axis, there.clamp(min=0).unsqueeze(self.axis)).squeeze(self.axis)
        found |= {
            "place_right": agreeing(said, there),
            "loss": -over_places(log, real, nothing=0.0),
            **counted(said, there, logs.shape[self.axis]),
        }
        if views.unrenamed is not None:
            renamed = torch.where(views.unrenamed != there, views.unrenamed, UNKNOWN)
            found["place_swapped"] = agreeing(said, torch.where(real, renamed, UNKNOWN))
        return found

    def check(self, shape: tuple[int, ...]) -> None:
        """Anything but ``(n, classes, *grid)`` is refused."""
        if self.field.grid is None:
            got = f"output {self.output!r} is declared as scores of whole samples, and its target is a map"
            raise Unfit(got, "over: in its declaration", f"Say {self.declaration(self.form)} in the model's entry.")
        if len(shape) != 1 + self.field.behind or self.field.before:
            got = f"output {self.output!r} is declared as {self.field} and has shape {shaped(shape)}"
            raise Unfit(got, f"a score for each class, before {self.field.behind} axes of places")
        self.check_order(shape[0])

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """Maps of another size are refused, and a class without an output."""
        if tuple(target.shape[1:]) != shape[1:]:
            got = f"output {self.output!r} has {_size(shape[1:])} places"
            remedy = "Interpolate the scores to the size of the images in the model, as its own evaluation does."
            raise Unfit(got, f"the target's, {_size(tuple(target.shape[1:]))}", remedy)
        refuse_beyond(shape[0], max(shape[0], 2), target, names)

    def classes(self, shape: tuple[int, ...]) -> int | None:
        """One for each score, and two of a single one."""
        return max(shape[0], 2)

    def like_probabilities(self, outputs: Iterable[Tensor], eps: float) -> bool:
        """At each place 0 or more, and 1 in sum; of a single score, from 0 to 1."""
        return all(self._like(piece.double(), tolerance(eps)) for piece in outputs)

    def _like(self, scores: Tensor, allowed: float) -> bool:
        if scores.shape[self.axis] == 1:
            return bool(((scores >= 0) & (scores <= 1)).all())
        return bool((scores >= 0).all() and ((scores.sum(self.axis) - 1).abs() <= allowed).all())

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy, the mean over labelled places."""
        if not bool((target != UNKNOWN).any()):
            return output.sum() * 0.0
        if output.shape[1] == 1:
            other = 1 - output if self.form == "probabilities" else torch.zeros_like(output)
            output = torch.cat([other, output], 1)
        if self.form == "logits":
            return cross_entropy(output, target, ignore_index=UNKNOWN)
        logs = output.clamp(min=torch.finfo(output.dtype).tiny).log()
        return nll_loss(logs, target, ignore_index=UNKNOWN)

    def overlap_loss(self, output: Tensor, target: Tensor) -> Tensor | None:
        """Soft Dice, over labelled places."""
        single, logits = output.shape[1] == 1, self.form == "logits"
        found = (output.sigmoid() if single else output.softmax(1)) if logits else output
        return dice_loss(torch.cat([1 - found, found], 1) if single else found, target, UNKNOWN)

    def right_share(self, output: Tensor, target: Tensor) -> Tensor | None:
        """Of the labelled places."""
        right = (self.predicted(output) == target).double()
        return over_places(right[None], (target != UNKNOWN)[None], nothing=0.0)[0]

    def read(self, values: Tensor, before: Tensor) -> Columns:
        """How far the predicted maps are those of before."""
        return {"place_kept": agreeing(self.predicted(values)[None], self.predicted(before)[None])[0]}

    def shown_target(self, target: Tensor, names: Mapping[int, str]) -> str | None:
        """Nothing in words: a map is drawn."""
        del target, names
        return None

    @property
    def renames(self) -> bool:
        """Whether the group may permute its classes."""
        return isinstance(self.field.value, Classes)

    @property
    def measured_on(self) -> str:
        """Probabilities or centred logits, at each place."""
        return f"{'probabilities' if self.scale == 'probabilities' else 'centred logits'} at each place"


def agreeing(said: Tensor, wanted: Tensor) -> Tensor:
    """The share of places ``(k, n, *grid)`` that are as wanted, of those where something is, ``(k, n)``; NaN where
    nothing is."""
    return over_places((said == wanted).double(), wanted != UNKNOWN)


def over_places(values: Tensor, real: Tensor, nothing: float = torch.nan) -> Tensor:
    """The mean of ``(k, n, *grid)`` over some places of each sample, ``(k, n)``; ``nothing`` where there are none."""
    some, mine = real.flatten(2), values.flatten(2)
    count = some.sum(-1)
    return torch.where(count > 0, (mine * some).sum(-1) / count, nothing)


def counted(said: Tensor, there: Tensor, classes: int) -> Columns:
    """Over how many labelled places of ``(k, n, *grid)`` each class is both, said and there, ``(k, n, classes)``."""
    k, n = said.shape[:2]
    row = torch.arange(k * n, device=said.device).view(k, n, *(1,) * (said.ndim - 2)) * classes
    real = there != UNKNOWN

    def times(of: Tensor, chosen: Tensor) -> Tensor:  # no device is waited for, as bincount would
        nothing = torch.zeros(k * n * classes, dtype=torch.float64, device=said.device)
        places = (row + of.clamp(min=0)).flatten()
        return nothing.scatter_add(0, places, chosen.flatten().double()).view(k, n, classes)

    return {
        "class_hits": times(said, real & (said == there)),
        "class_said": times(said, real),
        "class_there": times(there, real),
    }


def _size(grid: tuple[int, ...]) -> str:
    return " x ".join(map(str, grid))
