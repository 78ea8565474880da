"""Embeddings, and losses of outputs that are numbers."""

from __future__ import annotations

from symbench.algebra.metrics.rows import MetricRow
from symbench.algebra.metrics.tables.making import TABLE, of

ROWS: dict[str, MetricRow] = {
    "recall_at_1": of(
        "embedding:recall_at_1", "share of moved samples whose nearest unmoved embedding is their own",
        "share", "higher", heading="recall@1 %", label="recall at 1, %", shown=(*TABLE, "ranking", "glance"),
        role="retrieval",
    ),
    "cosine_similarity": of(
        "embedding:cosine_similarity", "mean cosine of moved and unmoved embeddings",
        "cosine", "higher", heading="cosine", shown=TABLE,
    ),
    "loss": of(
        "loss:loss", "mean loss of the samples as they are",
        "loss", "lower", shown=("table", "comparison"), instead_of="accuracy",
    ),
    "orbit_loss": of(
        "loss:orbit_loss", "mean loss over the orbit",
        "loss", "lower", heading="orbit loss", shown=(*TABLE, "ranking"), instead_of="accuracy",
    ),
    "worst_element_loss": of(
        "loss:worst_element_loss", "loss at the element where it is largest, of outputs that are numbers",
        "loss", "lower", heading="worst element", shown=TABLE, instead_of="accuracy",
    ),
    "worst_case_loss": of(
        "loss:worst_case_loss", "mean over samples of the largest loss over the orbit, likewise",
        "loss", "lower", heading="worst case", shown=TABLE, instead_of="accuracy",
    ),
    "averaged_loss": of(
        "symmetrised:averaged_loss", "loss of the output averaged over the orbit", "loss", "lower",
        of_averages=True,
    ),
    "symmetrisation_gain": of(
        "symmetrised:symmetrisation_gain",
        "orbit_loss - averaged_loss: what averaging over the orbit at test time buys",
        "loss", "neither", heading="averaging gains", shown=("table",), instead_of="accuracy", of_averages=True,
    ),
    "symmetrisation_residual": of(
        "symmetrised:symmetrisation_residual",
        "what orbit_loss differs by from averaged_loss and the orbit's variance, over orbit_loss: 0 to rounding",
        "relative", "lower", paired=False, bounds=(0.0, None), role="adding up", of_averages=True,
    ),
}  # fmt: skip
