"""Several labels at once, each of them there or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from symbench.measure.tasks.base import NO_NAMES, Columns, Unfit, Views, shaped
from symbench.measure.tasks.scored import YesOrNo, count_of, yes_no_loss
from symbench.measure.tasks.scores import likelier, log_no_yes, log_odds


@dataclass(frozen=True)
class MultiLabelling(YesOrNo):
    """A score for each label, ``(n, labels)``, each answered by itself; the target is 0 or 1 for each."""

    kind: ClassVar[str] = "multi-label"

    def columns(self, views: Views) -> Columns:
        """``label_scores``, the log-odds of each label, ``(k, n, labels)``.

        With a target also ``label_targets``, ``correct`` (all of a sample's labels are right) and ``loss`` (binary
        cross-entropy, nats, the mean over labels).
        """
        columns = {"label_scores": log_odds(views.output, self.form).float()}
        if views.target is not None:
            there = views.target.bool()
            no, yes = log_no_yes(views.output, self.form)
            columns |= {
                "label_targets": there,
                "correct": (likelier(views.output, self.form).bool() == there).all(-1),
                "loss": -yes.where(there, no).mean(-1),
            }
        return columns

    def check(self, shape: tuple[int, ...]) -> None:
        """Anything but ``(n, labels)`` is refused."""
        if len(shape) != 1:
            raise Unfit(f"output {self.output!r} has shape {shaped(shape)}", "a score for each label (n, labels)")

    def check_target(self, shape: tuple[int, ...], target: Tensor, names: Mapping[int, str] = NO_NAMES) -> None:
        """There is one output for each label."""
        del names
        if target.shape[1] != shape[0]:
            raise Unfit(f"{count_of(shape[0])}, and there are {target.shape[1]} labels", "one output for each label")

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy, the mean over labels."""
        return yes_no_loss(output, target, self.form)

    def read(self, values: Tensor, before: Tensor) -> Columns:
        """The log-odds of each label."""
        del before
        return {"label_scores": log_odds(values, self.scale).float()}

    def shown(self, output: Tensor, names: Mapping[int, str]) -> tuple[str | None, float | None]:
        """The labels that are likelier there than not."""
        return named(likelier(output, self.form), names), None

    def shown_target(self, target: Tensor, names: Mapping[int, str]) -> str | None:
        """The labels that are there."""
        return named(target, names)


def named(there: Tensor, names: Mapping[int, str]) -> str:
    """The labels of one sample, ``(labels,)`` of 0 and 1, by name."""
    return ", ".join(names.get(number, str(number)) for number in there.nonzero().flatten().tolist()) or "none"
