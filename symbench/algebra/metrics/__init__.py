"""Metrics: functions of observations. They see NumPy arrays, never tensors, groups or models.

To add one: write what it takes from some samples and what it makes of all, a
:class:`~symbench.algebra.metrics.folds.Folded`, and add a row to ``METRICS``. It applies to last year's runs at once,
and its row says where it is shown: nothing else lists metrics by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from symbench.algebra.metrics.rows import Better, MetricRow, Role, Shown
from symbench.base.registry import Options, Table

__all__ = ["METRICS", "MetricRow", "Metrics", "role_of", "shown_in"]

Metrics = Mapping[str, MetricRow]
"""Metrics by name: those of the table, and those that a suite names as code."""


def _row(
    path: str, summary: str, unit: str, better: Better, *, shown: tuple[Shown, ...] = (), **more: Any
) -> MetricRow:
    return MetricRow(f"symbench.algebra.metrics.{path}", summary, Options, unit, better, shown=shown, **more)


TABLE: tuple[Shown, ...] = ("table", "comparison", "baseline")
_behaviour = partial(_row, unit="share", better="higher", floor="behaviour")
_control = partial(_row, scope="control", observations=False)
_found = partial(_control, unit="E", better="lower", floor="error", paired=False)
_cost = partial(_row, scope="model", observations=False)

METRICS = Table(
    "metric",
    MetricRow,
    {
        "accuracy": _behaviour(
            "accuracy:accuracy", "share of samples that are right as they are",
            heading="accuracy %", shown=TABLE, role="as it is", aliases=("acc", "top1", "top-1"),
        ),
        "orbit_accuracy": _behaviour(
            "accuracy:orbit_accuracy", "mean accuracy over the orbit",
            heading="orbit %", label="accuracy over the orbit, %", shown=(*TABLE, "ranking", "glance"),
            role="orbit mean",
        ),
        "element_accuracy": _behaviour(
            "accuracy:element_accuracy", "accuracy at each element",
            label="accuracy, %", shown=("curve",), role="each element", per_element=True,
        ),
        "worst_element_accuracy": _behaviour(
            "accuracy:worst_element_accuracy", "accuracy at the element where it is lowest",
            heading="worst element %", shown=TABLE, role="worst element", aliases=("worst_element", "worst_angle"),
        ),
        "worst_case_accuracy": _behaviour(
            "accuracy:worst_case_accuracy", "share of samples that are right at every element",
            heading="worst case %", shown=TABLE, role="worst case", not_for=("multi-label",),
            aliases=("worst_case", "robust_accuracy", "adversarial_accuracy"),
        ),
        "worst_of_m": _behaviour(
            "accuracy:worst_of_m", "share that is right at all of 5 elements drawn at random: comparable between K",
            blind=True,
        ),
        "averaged_accuracy": _behaviour(
            "accuracy:averaged_accuracy", "accuracy of the output averaged over the orbit", of_averages=True
        ),
        "symmetrisation_accuracy_gain": _row(
            "symmetrised:symmetrisation_accuracy_gain",
            "averaged_accuracy - orbit_accuracy: what averaging over the orbit at test time buys",
            "share", "neither", bounds=(-1.0, 1.0), aliases=("averaging_gain",), of_averages=True,
        ),
        "chance_accuracy": _row(
            "collapse:chance_accuracy", "share of the most frequent label: what always predicting it comes to",
            "share", "neither", role="chance",
        ),
        "predicted_classes": _row(
            "collapse:predicted_classes",
            "classes that are predicted at all, over all samples and elements: 1 is a collapsed model",
            "classes", "neither", role="predicted classes",
        ),
        "invariance_ceiling": _row(
            "ceiling:invariance_ceiling",
            "the most that accuracy over the orbit can be of a model that does not tell an orbit's views apart",
            "share", "neither", role="ceiling", aliases=("ceiling",),
        ),
        "consistency": _behaviour(
            "consistency:consistency", "share of moved samples that are predicted as they were unmoved",
            heading="consistency %", label="consistency, %", shown=(*TABLE, "ranking", "glance"), blind=True,
            aliases=("invariance", "agreement", "stability"),
        ),
        "flip_rate": _behaviour("consistency:flip_rate", "1 - consistency", better="lower"),
        "consistency_correct": _behaviour(
            "consistency:consistency_correct", "consistency of the samples that are right as they are"
        ),
        "confidence_change": _behaviour(
            "consistency:confidence_change", "mean change of the probability of the unmoved prediction",
            better="lower", blind=True,
        ),
        "kappa": _behaviour(
            "consistency:kappa", "consistency beyond chance: 0 is chance, 1 is always the same",
            unit="kappa", heading="kappa", shown=TABLE, beside="consistency", not_for=("multi-label",), blind=True,
        ),
        "kappa_given_label": _behaviour(
            "consistency:kappa_given_label", "consistency beyond that of samples of the same label", unit="kappa"
        ),
        "exact_match": _behaviour("labels:exact_match", "share of samples of which every label is right"),
        "mean_average_precision": _behaviour(
            "labels:mean_average_precision", "average precision of the samples as they are, the mean over labels",
            heading="mAP %", shown=TABLE,
        ),
        "orbit_mean_average_precision": _behaviour(
            "labels:orbit_mean_average_precision", "its mean over the elements of the orbit",
            heading="orbit mAP %", shown=TABLE,
        ),
        "micro_f1": _behaviour(
            "labels:micro_f1", "F1 of all labels together, of the samples as they are",
            heading="F1 %", shown=("table", "comparison"),
        ),
        "orbit_micro_f1": _behaviour(
            "labels:orbit_micro_f1", "the same over the orbit", heading="orbit F1 %", shown=TABLE
        ),
        "macro_f1": _behaviour("labels:macro_f1", "F1, the mean over labels, of the samples as they are"),
        "orbit_macro_f1": _behaviour("labels:orbit_macro_f1", "its mean over the elements of the orbit"),
        "recall_at_1": _row(
            "embedding:recall_at_1", "share of moved samples whose nearest unmoved embedding is their own",
            "share", "higher", heading="recall@1 %", label="recall at 1, %", shown=(*TABLE, "ranking", "glance"),
            role="retrieval",
        ),
        "cosine_similarity": _row(
            "embedding:cosine_similarity", "mean cosine of moved and unmoved embeddings",
            "cosine", "higher", heading="cosine", shown=TABLE,
        ),
        "loss": _row(
            "loss:loss", "mean loss of the samples as they are",
            "loss", "lower", shown=("table", "comparison"), instead_of="accuracy",
        ),
        "orbit_loss": _row(
            "loss:orbit_loss", "mean loss over the orbit",
            "loss", "lower", heading="orbit loss", shown=(*TABLE, "ranking"), instead_of="accuracy",
        ),
        "worst_element_loss": _row(
            "loss:worst_element_loss", "loss at the element where it is largest, of outputs that are numbers",
            "loss", "lower", heading="worst element", shown=TABLE, instead_of="accuracy",
        ),
        "worst_case_loss": _row(
            "loss:worst_case_loss", "mean over samples of the largest loss over the orbit, likewise",
            "loss", "lower", heading="worst case", shown=TABLE, instead_of="accuracy",
        ),
        "averaged_loss": _row(
            "symmetrised:averaged_loss", "loss of the output averaged over the orbit", "loss", "lower",
            of_averages=True,
        ),
        "symmetrisation_gain": _row(
            "symmetrised:symmetrisation_gain",
            "orbit_loss - averaged_loss: what averaging over the orbit at test time buys",
            "loss", "neither", heading="averaging gains", shown=("table",), instead_of="accuracy", of_averages=True,
        ),
        "symmetrisation_residual": _row(
            "symmetrised:symmetrisation_residual",
            "what orbit_loss differs by from averaged_loss and the orbit's variance, over orbit_loss: 0 to rounding",
            "relative", "lower", paired=False, bounds=(0.0, None), role="adding up", of_averages=True,
        ),
        "equivariance_error": _row(
            "equivariance:equivariance_error",
            "deviation over the distance to other samples' outputs: 0 is exact, 1 is unrelated",
            "E", "lower", floor="error", heading="E", shown=(*TABLE, "ranking", "glance", "curve"), role="deviation",
            beside="equivariance_error", blind=True, bounds=(0.0, None),
            aliases=("E", "equivariance", "invariance_error", "equivariance_loss"),
        ),
        "equivariance_error_float64": _control(
            "equivariance:equivariance_error_float64",
            "E in float64 on the control samples: below 1e-10 the model is exact by construction",
            "E", "lower", floor="error", paired=False, role="exactness",
        ),
        "rounding_multiple": _row(
            "equivariance:rounding_multiple", "E over what rounding in float32 may come to: at most 1 is respected",
            "", "lower", paired=False, shown=(), role="rounding",
        ),
        "split_error": _control(
            "attribution:split_error", "E on the samples and elements that are split",
            "E", "lower", floor="error", heading="E", shown=("split",),
        ),
        "model_error": _control(
            "attribution:model_error",
            "the model's share of E, by the reference action: rank models by it where elements are resampled",
            "E", "lower", floor="reference", heading="the model's share", shown=("split", "baseline"),
            role="the model's share",
        ),
        "remainder_error": _control(
            "attribution:remainder_error", "what resampling adds, in units of E",
            "E", "neither", floor="error", heading="resampling's", shown=("split",), role="resampling's share",
        ),
        "cross_term": _control(
            "attribution:cross_term", "twice the product of the two shares",
            "E^2", "neither", heading="cross term, E²", shown=("split",),
        ),
        "reference_error": _control(
            "attribution:reference_error",
            "the reference action's own error: a model's share below it is not resolved",
            "E", "neither", floor="error", heading="the reference's own error", shown=("split",),
        ),
        "round_trip_consistency": _control(
            "attribution:round_trip_consistency", "share of predictions that survive being moved there and back",
            "share", "higher", heading="survive a round trip %", shown=("split",),
        ),
        "lie_slope": _control(
            "attribution:lie_slope", "the slope of E at the identity",
            "E per rad or px", "lower", heading="slope of E", shown=("generators",), per_element=True,
        ),
        "lie_derivative": _control(
            "attribution:lie_derivative", "mean squared Lie derivative per output number, for each generator",
            "per rad^2 or px^2", "lower", heading="Lie derivative", shown=("generators",), per_element=True,
            aliases=("lee", "local_equivariance_error"),
        ),
        "lie_derivative_central": _control(
            "attribution:lie_derivative_central", "the same by central differences",
            "per rad^2 or px^2", "lower", heading="by differences", shown=("generators",), per_element=True,
        ),
        "layer_error": _control(
            "attribution:layer_error", "E of each named layer", "E", "lower", heading="E", role="layer"
        ),
        "other_action_error": _found("findings:other_action_error", "E of the best action, if the declared misses"),
        "fixed_point_error": _found("findings:fixed_point_error", "asymmetry of outputs at symmetric inputs, as E"),
        "excluded_pairs": _row(
            "accuracy:excluded_pairs", "pairs that leave accuracy because the element changes the label",
            "pairs", "neither", role="excluded pairs",
        ),
        "absolute_error": _row(
            "equivariance:absolute_error", "mean deviation", "output", "lower", floor="deviation"
        ),
        "absolute_error_p95": _row(
            "equivariance:absolute_error_p95", "95th percentile of the deviation",
            "output", "lower", floor="deviation", paired=False,
        ),
        "absolute_error_max": _row(
            "equivariance:absolute_error_max", "largest deviation seen",
            "output", "lower", floor="deviation", paired=False, heading="max deviation", shown=("table",),
            not_for=("multi-label",),
        ),
        "error_per_place": _row(
            "places:error_per_place", "mean deviation at a place, or for each of an extensive output",
            "place", "lower", floor="place", heading="per place", label="deviation per place",
            shown=(*TABLE, "curve"),
        ),
        "error_per_place_p95": _row(
            "places:error_per_place_p95", "95th percentile, over samples and elements, of the mean over places",
            "place", "lower", floor="place", paired=False, shown=(),
        ),
        "error_per_place_max": _row(
            "places:error_per_place_max", "largest deviation at any place",
            "place", "lower", floor="place", paired=False, shown=(),
        ),
        "cosine_per_place": _row(
            "places:place_cosine",
            "mean cosine of f(g.x) and g.f(x) at a place: 1 where both are zero, 0 where one is",
            "cosine", "higher", shown=("comparison",),
        ),
        "worst_place_error": _row(
            "places:worst_place_error", "E at each sample's worst place: far above E where a single place is broken",
            "E", "lower", floor="error", heading="E, worst place", role="worst place", bounds=(0.0, None),
        ),
        "worst_place_share": _row(
            "places:worst_place_share", "part of the squared deviation that is at each sample's worst place",
            "share", "neither", shown=(),
        ),
        "changed_predictions": _control(
            "mode:changed_predictions", "share of predictions that the suite's mode changes, where both were run",
            "share", "lower", paired=False, shown=(),
        ),
        "largest_deviation": _control(
            "mode:largest_deviation", "largest distance from mode exact's outputs, over that between samples",
            "E", "lower", paired=False, shown=(),
        ),
        "parameters": _cost(
            "cost:parameters", "numbers in the model's weights",
            "count", "neither", shown=("costs", "comparison"), heading="parameters", role="size",
            aliases=("params", "size"),
        ),
        "trainable_parameters": _cost(
            "cost:trainable_parameters", "those of them that training would change",
            "count", "neither", heading="trainable", shown=("costs",),
        ),
        "buffers": _cost("cost:buffers", "numbers beside the weights, such as running means", "count", "neither"),
        "flops": _cost(
            "cost:flops", "floating-point operations for one sample, a multiply-add is two",
            "flop", "lower", heading="FLOPs per sample", shown=("costs", "comparison"), role="operations",
            aliases=("macs",),
        ),
        "throughput": _cost(
            "passes:throughput", "samples per second at the suite's batch size, timed by passes of its own",
            "samples/s", "higher", heading="samples per second", shown=("costs", "comparison"), role="speed",
            of_passes="time", aliases=("speed", "samples_per_second", "images_per_second", "fps"),
        ),
        "latency": _cost(
            "passes:latency", "time that a sample takes which comes alone", "s", "lower",
            heading="latency", shown=("costs", "comparison"), of_passes="time",
        ),
        "peak_memory": _cost(
            "passes:peak_memory", "the most memory that a forward pass of the suite's batch size holds at a time",
            "MiB", "lower", heading="peak memory", shown=("costs", "comparison"), of_passes="memory",
            aliases=("memory",),
        ),
        "seconds_per_sample": _cost(
            "cost:seconds_per_sample", "median time of a warm forward pass over its batch size",
            "s", "lower", heading="time per sample", shown=(), role="time", aliases=("time",),
        ),
        "training_seconds": _cost(
            "cost:training_seconds", "time that training took", "s", "lower", heading="training", shown=("costs",)
        ),
        "training_samples": _cost(
            "cost:training_samples", "different samples that training learnt from", "count", "neither"
        ),
        "training_steps": _cost("cost:training_steps", "optimiser steps of training", "count", "lower"),
        "training_flops": _cost(
            "cost:training_flops", "floating-point operations of training, three forward passes a sample",
            "flop", "lower",
        ),
        "training_steps_to_target": _cost(
            "cost:training_steps_to_target", "optimiser steps until validation reached the recipe's target",
            "count", "lower",
        ),
        "training_rate": _cost(
            "cost:training_rate", "samples that training showed in a second", "samples/s", "higher"
        ),
        "training_peak_memory": _cost(
            "cost:training_peak_memory", "the most memory that training held on the GPU", "MiB", "lower"
        ),
    },
    own_first=True,
)  # fmt: skip
"""The metrics, in the order in which everything prints them."""


def role_of(role: Role) -> str:
    """The name of the metric that has a part in the report's own sentences and figures."""
    return next(name for name, row in METRICS.rows.items() if row.role == role)


def shown_in(place: Shown, metrics: Metrics | None = None) -> dict[str, MetricRow]:
    """The metrics that stand somewhere without being asked for, in the table's order.

    Args:
        place: one of :attr:`MetricRow.shown`.
        metrics: those to choose from; the table and the plug-ins by default.
    """
    known = dict(METRICS) if metrics is None else metrics
    return {name: row for name, row in known.items() if place in row.shown}
