"""Metrics: functions of observations. They see NumPy arrays, never tensors, groups or models.

To add one: write a function of :class:`~symbench.metrics.base.Observed`, and add a row to ``METRICS``. It applies
to last year's runs at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from symbench.registry import Options, Row, Table


@dataclass(frozen=True)
class MetricRow(Row):
    """A metric in the table. ``path`` names a function ``Observed -> list[Value]``.

    Attributes:
        unit: of the estimate; ``output`` stands for the output's own.
        better: which direction is an improvement.
        floor: how the floor below which it means nothing is found: ``error`` from distances, ``deviation`` from
            deviations in the output's unit, ``behaviour`` from predictions that change by repeating alone.
        scope: ``symmetry`` for one estimate per cell; ``model`` for what no symmetry changes.
    """

    unit: str = ""
    better: Literal["higher", "lower", "neither"] = "higher"
    scope: Literal["symmetry", "model"] = "symmetry"
    floor: Literal["error", "deviation", "behaviour"] | None = None


FLOORS: dict[str, Literal["error", "deviation", "behaviour"]] = {
    "equivariance": "deviation",
    "accuracy": "behaviour",
    "consistency": "behaviour",
}
"""The floor of our own metrics, by the file they stand in."""


def _row(
    path: str,
    summary: str,
    unit: str,
    better: Literal["higher", "lower", "neither"],
    scope: Literal["symmetry", "model"] = "symmetry",
) -> MetricRow:
    file, _, name = path.partition(":")
    floor = "error" if name.startswith("equivariance_error") else FLOORS.get(file)
    return MetricRow(f"symbench.metrics.{path}", summary, Options, unit, better, scope, floor)


METRICS = Table(
    "metric",
    MetricRow,
    {
        "accuracy": _row("accuracy:accuracy", "share of samples that are right as they are", "share", "higher"),
        "orbit_accuracy": _row("accuracy:orbit_accuracy", "mean accuracy over the orbit", "share", "higher"),
        "element_accuracy": _row("accuracy:element_accuracy", "accuracy at each element", "share", "higher"),
        "worst_element_accuracy": _row(
            "accuracy:worst_element_accuracy", "accuracy at the element where it is lowest", "share", "higher"
        ),
        "worst_case_accuracy": _row(
            "accuracy:worst_case_accuracy",
            "share of samples that are right at every element",
            "share",
            "higher",
        ),
        "worst_of_m": _row(
            "accuracy:worst_of_m",
            "share that is right at all of 5 elements drawn at random: comparable between K",
            "share",
            "higher",
        ),
        "averaged_accuracy": _row(
            "accuracy:averaged_accuracy", "accuracy of the output averaged over the orbit", "share", "higher"
        ),
        "consistency": _row(
            "consistency:consistency",
            "share of moved samples that are predicted as they were unmoved",
            "share",
            "higher",
        ),
        "flip_rate": _row("consistency:flip_rate", "1 - consistency", "share", "lower"),
        "consistency_correct": _row(
            "consistency:consistency_correct",
            "consistency of the samples that are right as they are",
            "share",
            "higher",
        ),
        "confidence_change": _row(
            "consistency:confidence_change",
            "mean change of the probability of the unmoved prediction",
            "share",
            "lower",
        ),
        "kappa": _row(
            "consistency:kappa",
            "consistency beyond chance: 0 is chance, 1 is always the same",
            "kappa",
            "higher",
        ),
        "kappa_given_label": _row(
            "consistency:kappa_given_label", "consistency beyond that of samples of the same label", "kappa", "higher"
        ),
        "equivariance_error": _row(
            "equivariance:equivariance_error",
            "deviation over the distance to other samples' outputs: 0 is exact, 1 is unrelated",
            "E",
            "lower",
        ),
        "equivariance_error_float64": _row(
            "equivariance:equivariance_error_float64",
            "E in float64 on the control samples: below 1e-10 the model is exact by construction",
            "E",
            "lower",
        ),
        "absolute_error": _row("equivariance:absolute_error", "mean deviation", "output", "lower"),
        "absolute_error_p95": _row(
            "equivariance:absolute_error_p95", "95th percentile of the deviation", "output", "lower"
        ),
        "absolute_error_max": _row("equivariance:absolute_error_max", "largest deviation seen", "output", "lower"),
        "loss": _row("loss:loss", "mean loss of the samples as they are", "loss", "lower"),
        "orbit_loss": _row("loss:orbit_loss", "mean loss over the orbit", "loss", "lower"),
        "parameters": _row("cost:parameters", "numbers that are trained", "count", "neither", "model"),
        "flops": _row(
            "cost:flops",
            "floating-point operations for one sample, a multiply-add is two",
            "flop",
            "lower",
            "model",
        ),
        "seconds_per_sample": _row(
            "cost:seconds_per_sample",
            "median time of the forward pass over its batch size",
            "s",
            "lower",
            "model",
        ),
        "training_seconds": _row("cost:training_seconds", "time that training took", "s", "lower", "model"),
    },
)
