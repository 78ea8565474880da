"""How right a model is, and whether it stays the same, of one class or of several labels."""

from __future__ import annotations

from symbench.algebra.metrics.rows import MetricRow
from symbench.algebra.metrics.tables.making import TABLE, behaviour, of

ROWS: dict[str, MetricRow] = {
    "accuracy": behaviour(
        "accuracy:accuracy", "share of samples that are right as they are",
        heading="accuracy %", shown=TABLE, role="as it is",
        aliases=("acc", "top1", "top-1", "pck", "keypoint_accuracy"),
    ),
    "orbit_accuracy": behaviour(
        "accuracy:orbit_accuracy", "mean accuracy over the orbit",
        heading="orbit %", label="accuracy over the orbit, %", shown=(*TABLE, "ranking", "glance"),
        role="orbit mean", not_for=("segmentation",), aliases=("orbit_pck",),
    ),
    "element_accuracy": behaviour(
        "accuracy:element_accuracy", "accuracy at each element",
        label="accuracy, %", shown=("curve",), role="each element", per_element=True,
    ),
    "worst_element_accuracy": behaviour(
        "accuracy:worst_element_accuracy", "accuracy at the element where it is lowest",
        heading="worst element %", shown=TABLE, role="worst element", not_for=("segmentation",),
        aliases=("worst_element", "worst_angle", "worst_element_pck"),
    ),
    "worst_case_accuracy": behaviour(
        "accuracy:worst_case_accuracy", "share of samples that are right at every element",
        heading="worst case %", shown=TABLE, role="worst case",
        not_for=("multi-label", "segmentation", "keypoints"),
        aliases=("worst_case", "robust_accuracy", "adversarial_accuracy"),
    ),
    "worst_of_m": behaviour(
        "accuracy:worst_of_m", "share that is right at all of 5 elements drawn at random: comparable between K",
        blind=True,
    ),
    "averaged_accuracy": behaviour(
        "accuracy:averaged_accuracy", "accuracy of the output averaged over the orbit", of_averages=True
    ),
    "symmetrisation_accuracy_gain": of(
        "symmetrised:symmetrisation_accuracy_gain",
        "averaged_accuracy - orbit_accuracy: what averaging over the orbit at test time buys",
        "share", "neither", bounds=(-1.0, 1.0), aliases=("averaging_gain",), of_averages=True,
    ),
    "chance_accuracy": of(
        "collapse:chance_accuracy", "share of the most frequent label: what always predicting it comes to",
        "share", "neither", role="chance",
    ),
    "predicted_classes": of(
        "collapse:predicted_classes",
        "classes that are predicted at all, over all samples and elements: 1 is a collapsed model",
        "classes", "neither", role="predicted classes",
    ),
    "invariance_ceiling": of(
        "ceiling:invariance_ceiling",
        "the most that accuracy over the orbit can be of a model that does not tell an orbit's views apart",
        "share", "neither", role="ceiling", aliases=("ceiling",),
    ),
    "consistency": behaviour(
        "consistency:consistency", "share of moved samples that are predicted as they were unmoved",
        heading="consistency %", label="consistency, %", shown=(*TABLE, "ranking", "glance"), blind=True,
        aliases=("invariance", "agreement", "stability"),
    ),
    "flip_rate": behaviour("consistency:flip_rate", "1 - consistency", better="lower"),
    "consistency_correct": behaviour(
        "consistency:consistency_correct", "consistency of the samples that are right as they are"
    ),
    "confidence_change": behaviour(
        "consistency:confidence_change", "mean change of the probability of the unmoved prediction",
        better="lower", blind=True,
    ),
    "kappa": behaviour(
        "consistency:kappa", "consistency beyond chance: 0 is chance, 1 is always the same",
        unit="kappa", heading="kappa", shown=TABLE, beside="consistency", blind=True,
        not_for=("multi-label", "segmentation", "keypoints"),
    ),
    "kappa_given_label": behaviour(
        "consistency:kappa_given_label", "consistency beyond that of samples of the same label", unit="kappa"
    ),
    "exact_match": behaviour("labels:exact_match", "share of samples of which every label is right"),
    "mean_average_precision": behaviour(
        "labels:mean_average_precision", "average precision of the samples as they are, the mean over labels",
        heading="mAP %", shown=TABLE,
    ),
    "orbit_mean_average_precision": behaviour(
        "labels:orbit_mean_average_precision", "its mean over the elements of the orbit",
        heading="orbit mAP %", shown=TABLE,
    ),
    "micro_f1": behaviour(
        "labels:micro_f1", "F1 of all labels together, of the samples as they are",
        heading="F1 %", shown=("table", "comparison"),
    ),
    "orbit_micro_f1": behaviour(
        "labels:orbit_micro_f1", "the same over the orbit", heading="orbit F1 %", shown=TABLE
    ),
    "macro_f1": behaviour("labels:macro_f1", "F1, the mean over labels, of the samples as they are"),
    "orbit_macro_f1": behaviour("labels:orbit_macro_f1", "its mean over the elements of the orbit"),
}  # fmt: skip
