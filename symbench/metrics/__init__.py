"""Metrics: functions of observations. They see NumPy arrays, never tensors, groups or models.

To add one: write a function of :class:`~symbench.metrics.base.Observed`, and add a row to ``METRICS``. It applies
to last year's runs at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from symbench.registry import Options, Row, Table

Scope = Literal["symmetry", "control", "model"]
Floor = Literal["error", "deviation", "behaviour", "reference"]


@dataclass(frozen=True)
class MetricRow(Row):
    """A metric in the table. ``path`` names a function ``Observed -> list[Value]``.

    Attributes:
        unit: of the estimate; ``output`` stands for the output's own.
        better: which direction is an improvement.
        floor: how the floor below which it means nothing is found: ``error`` from distances, ``deviation`` from
            deviations in the output's unit, ``behaviour`` from predictions that change by repeating alone,
            ``reference`` from what the reference action itself gets wrong.
        scope: ``symmetry`` for one estimate per cell and kind of element; ``control`` for one per cell, from its
            control evaluations; ``model`` for what no symmetry changes.
        paired: whether two of it can be compared on the same samples.
    """

    unit: str = ""
    better: Literal["higher", "lower", "neither"] = "higher"
    scope: Scope = "symmetry"
    floor: Floor | None = None
    paired: bool = True


FLOORS: dict[str, Floor] = {
    "equivariance": "deviation",
    "accuracy": "behaviour",
    "consistency": "behaviour",
    "labels": "behaviour",
}
"""The floor of our own metrics, by the file they stand in."""
IN_UNITS_OF_E = (
    "equivariance_error", "equivariance_error_float64", "split_error", "remainder_error",
    "reference_error",
)  # fmt: skip


def _row(
    path: str,
    summary: str,
    unit: str,
    better: Literal["higher", "lower", "neither"],
    scope: Scope = "symmetry",
    aliases: tuple[str, ...] = (),
) -> MetricRow:
    file, _, name = path.partition(":")
    floor = "error" if name in IN_UNITS_OF_E else "reference" if name == "model_error" else FLOORS.get(file)
    floor = None if unit == "pairs" else floor  # a count
    paired = name not in {"absolute_error_p95", "absolute_error_max", "equivariance_error_float64"}
    return MetricRow(
        f"symbench.metrics.{path}", summary, Options, unit, better, scope, floor, paired, aliases=aliases
    )


METRICS = Table(
    "metric",
    MetricRow,
    {
        "accuracy": _row(
            "accuracy:accuracy",
            "share of samples that are right as they are",
            "share",
            "higher",
            aliases=("acc", "top1", "top-1"),
        ),
        "orbit_accuracy": _row("accuracy:orbit_accuracy", "mean accuracy over the orbit", "share", "higher"),
        "element_accuracy": _row("accuracy:element_accuracy", "accuracy at each element", "share", "higher"),
        "worst_element_accuracy": _row(
            "accuracy:worst_element_accuracy",
            "accuracy at the element where it is lowest",
            "share",
            "higher",
            aliases=("worst_element", "worst_angle"),
        ),
        "worst_case_accuracy": _row(
            "accuracy:worst_case_accuracy",
            "share of samples that are right at every element",
            "share",
            "higher",
            aliases=("worst_case", "robust_accuracy", "adversarial_accuracy"),
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
        "chance_accuracy": _row(
            "collapse:chance_accuracy",
            "share of the most frequent label: what always predicting it comes to",
            "share",
            "neither",
        ),
        "predicted_classes": _row(
            "collapse:predicted_classes",
            "classes that are predicted at all, over all samples and elements: 1 is a collapsed model",
            "classes",
            "neither",
        ),
        "consistency": _row(
            "consistency:consistency",
            "share of moved samples that are predicted as they were unmoved",
            "share",
            "higher",
            aliases=("invariance", "agreement", "stability"),
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
        "exact_match": _row(
            "labels:exact_match", "share of samples of which every label is right", "share", "higher"
        ),
        "mean_average_precision": _row(
            "labels:mean_average_precision",
            "average precision of the samples as they are, the mean over labels",
            "share",
            "higher",
        ),
        "orbit_mean_average_precision": _row(
            "labels:orbit_mean_average_precision", "its mean over the elements of the orbit", "share", "higher"
        ),
        "micro_f1": _row(
            "labels:micro_f1", "F1 of all labels together, of the samples as they are", "share", "higher"
        ),
        "orbit_micro_f1": _row("labels:orbit_micro_f1", "the same over the orbit", "share", "higher"),
        "macro_f1": _row(
            "labels:macro_f1", "F1, the mean over labels, of the samples as they are", "share", "higher"
        ),
        "orbit_macro_f1": _row("labels:orbit_macro_f1", "its mean over the elements of the orbit", "share", "higher"),
        "cosine_similarity": _row(
            "embedding:cosine_similarity", "mean cosine of moved and unmoved embeddings", "cosine", "higher"
        ),
        "recall_at_1": _row(
            "embedding:recall_at_1",
            "share of moved samples whose nearest unmoved embedding is their own",
            "share",
            "higher",
        ),
        "equivariance_error": _row(
            "equivariance:equivariance_error",
            "deviation over the distance to other samples' outputs: 0 is exact, 1 is unrelated",
            "E",
            "lower",
            aliases=("E", "equivariance", "invariance_error", "equivariance_loss"),
        ),
        "equivariance_error_float64": _row(
            "equivariance:equivariance_error_float64",
            "E in float64 on the control samples: below 1e-10 the model is exact by construction",
            "E",
            "lower",
            "control",
        ),
        "split_error": _row(
            "attribution:split_error", "E on the samples and elements that are split", "E", "lower", "control"
        ),
        "model_error": _row(
            "attribution:model_error",
            "the model's share of E, by the reference action: rank models by it where elements are resampled",
            "E",
            "lower",
            "control",
        ),
        "remainder_error": _row(
            "attribution:remainder_error", "what resampling adds, in units of E", "E", "neither", "control"
        ),
        "cross_term": _row(
            "attribution:cross_term", "twice the product of the two shares", "E^2", "neither", "control"
        ),
        "reference_error": _row(
            "attribution:reference_error",
            "the reference action's own error: a model's share below it is not resolved",
            "E",
            "neither",
            "control",
        ),
        "round_trip_consistency": _row(
            "attribution:round_trip_consistency",
            "share of predictions that survive being moved there and back",
            "share",
            "higher",
            "control",
        ),
        "lie_derivative": _row(
            "attribution:lie_derivative",
            "mean squared Lie derivative per output number, for each generator",
            "per rad^2 or px^2",
            "lower",
            "control",
            aliases=("lee", "local_equivariance_error"),
        ),
        "lie_derivative_central": _row(
            "attribution:lie_derivative_central",
            "the same by central differences",
            "per rad^2 or px^2",
            "lower",
            "control",
        ),
        "lie_slope": _row(
            "attribution:lie_slope", "the slope of E at the identity", "E per rad or px", "lower", "control"
        ),
        "layer_error": _row("attribution:layer_error", "E of each named layer", "E", "lower", "control"),
        "excluded_pairs": _row(
            "accuracy:excluded_pairs",
            "pairs that leave accuracy because the element changes the label",
            "pairs",
            "neither",
        ),
        "absolute_error": _row("equivariance:absolute_error", "mean deviation", "output", "lower"),
        "absolute_error_p95": _row(
            "equivariance:absolute_error_p95", "95th percentile of the deviation", "output", "lower"
        ),
        "absolute_error_max": _row("equivariance:absolute_error_max", "largest deviation seen", "output", "lower"),
        "loss": _row("loss:loss", "mean loss of the samples as they are", "loss", "lower"),
        "orbit_loss": _row("loss:orbit_loss", "mean loss over the orbit", "loss", "lower"),
        "parameters": _row(
            "cost:parameters",
            "numbers in the model's weights",
            "count",
            "neither",
            "model",
            aliases=("params", "size"),
        ),
        "trainable_parameters": _row(
            "cost:trainable_parameters", "those of them that training would change", "count", "neither", "model"
        ),
        "buffers": _row(
            "cost:buffers", "numbers beside the weights, such as running means", "count", "neither", "model"
        ),
        "flops": _row(
            "cost:flops",
            "floating-point operations for one sample, a multiply-add is two",
            "flop",
            "lower",
            "model",
            aliases=("macs",),
        ),
        "seconds_per_sample": _row(
            "cost:seconds_per_sample",
            "median time of a warm forward pass over its batch size",
            "s",
            "lower",
            "model",
            aliases=("latency", "time", "speed", "throughput"),
        ),
        "training_seconds": _row("cost:training_seconds", "time that training took", "s", "lower", "model"),
    },
)
