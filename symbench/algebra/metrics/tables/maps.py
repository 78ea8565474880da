"""Classes at the places of maps, and boxes about objects: how right they are, and whether they stay the same.

These stand before what they have in common with other outputs: models are ordered by the first metric that there is.
"""

from __future__ import annotations

from symbench.algebra.metrics.rows import MetricRow
from symbench.algebra.metrics.tables.making import TABLE, behaviour

ROWS: dict[str, MetricRow] = {
    "mean_dice": behaviour(
        "maps:mean_dice", "Dice of the maps as they are, over all samples together, the mean over classes",
        heading="Dice %", label="Dice, %", shown=(*TABLE, "curve"), role="overlap at each element",
        aliases=("dice", "mdice", "dice_score", "dice_coefficient"),
    ),
    "orbit_mean_dice": behaviour(
        "maps:orbit_mean_dice", "its mean over the elements of the orbit",
        heading="orbit Dice %", label="Dice over the orbit, %", shown=(*TABLE, "ranking", "glance"),
        aliases=("orbit_dice",),
    ),
    "worst_element_dice": behaviour(
        "maps:worst_element_dice", "Dice at the element where it is lowest",
        heading="worst element Dice %", shown=TABLE, role="worst overlap", aliases=("worst_dice",),
    ),
    "mean_iou": behaviour(
        "maps:mean_iou", "intersection over union of the maps as they are, likewise",
        heading="mIoU %", shown=("comparison",), aliases=("iou", "miou", "jaccard", "jaccard_index"),
    ),
    "orbit_mean_iou": behaviour(
        "maps:orbit_mean_iou", "its mean over the elements of the orbit",
        heading="orbit mIoU %", shown=("comparison", "baseline"), aliases=("orbit_iou", "orbit_miou"),
    ),
    "worst_element_iou": behaviour(
        "maps:worst_element_iou", "intersection over union at the element where it is lowest",
        heading="worst element mIoU %", shown=("comparison",), aliases=("worst_iou", "worst_miou"),
    ),
    "average_precision": behaviour(
        "detection:average_precision", "COCO's average precision of boxes of the samples as they are, 0.50 to 0.95",
        heading="AP %", label="AP, %", shown=(*TABLE, "curve"), role="precision at each element",
        aliases=("ap", "map", "coco_ap", "coco_map", "box_ap"),
    ),
    "orbit_average_precision": behaviour(
        "detection:orbit_average_precision", "its mean over the elements of the orbit",
        heading="orbit AP %", label="AP over the orbit, %", shown=(*TABLE, "ranking", "glance"),
        aliases=("orbit_ap", "orbit_map"),
    ),
    "worst_element_average_precision": behaviour(
        "detection:worst_element_average_precision", "average precision at the element where it is lowest",
        heading="worst element AP %", shown=TABLE, role="worst precision", aliases=("worst_ap", "worst_map"),
    ),
    "average_precision_50": behaviour(
        "detection:average_precision_50", "average precision of boxes at an overlap of 0.50, of samples as they are",
        heading="AP50 %", shown=("comparison",), aliases=("ap50", "ap_50", "map50", "map_50"),
    ),
    "orbit_average_precision_50": behaviour(
        "detection:orbit_average_precision_50", "its mean over the elements of the orbit",
        heading="orbit AP50 %", shown=("comparison",), aliases=("orbit_ap50",),
    ),
    "detection_agreement": behaviour(
        "consensus:detection_agreement", "how far objects that are found are those found unmoved, moved along",
        heading="agreement %", shown=TABLE, blind=True, aliases=("box_agreement",),
    ),
    "swap_confusion": behaviour(
        "consensus:swap_confusion", "of what an element renames, the share that is predicted as if it did not",
        better="lower", heading="swapped %", shown=TABLE, aliases=("swapped", "left_right_confusion"),
    ),
    "consensus_agreement": behaviour(
        "consensus:consensus_agreement", "share of predictions that are that of the orbit's mean: needs no labels",
        heading="consensus %", shown=("table", "comparison"), blind=True, instead_of="accuracy", of_averages=True,
        aliases=("consensus",),
    ),
}  # fmt: skip
