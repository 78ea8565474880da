"""A cell's key: the hash of everything that its result depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symbench import assemble, controls
from symbench.assemble.labels import Labels, match_labels
from symbench.assemble.model import check_images, framing
from symbench.assemble.running import numerics_document
from symbench.plan.pairs import Pair
from symbench.store import content_key
from symbench.suite import ModelEntry

if TYPE_CHECKING:
    from symbench.plan.resolve import Plan

VERSIONS = {"evaluate": 3, "order": 1}
"""Raised when the numbers of an evaluation change: part of every key."""


@dataclass(frozen=True)
class Cell:
    """One cell, resolved: the unit that is cached and compared."""

    pair: Pair
    key: str
    identity: dict[str, Any]


def cell_of(plan: Plan, pair: Pair, *, device: str, limit: int | None) -> Cell:
    """A pair with its key, its symmetry prepared and its labels found; one that is broken gets a key of its own.

    Raises:
        ConfigError: images do not fit the model, or labels its outputs.
        ImpossiblePair: the group cannot act on a leaf.
        CellError: the data, or the model's own code, raised.
    """
    suite = plan.suite
    reason = plan.broken_reason(pair)
    if reason is not None:
        return Cell(pair, content_key(["broken", str(pair), str(reason)]), {})
    entry = suite.models[pair.model]
    place = (pair.symmetry, pair.dataset, entry.size)
    data = plan.data[pair.dataset]
    shapes = data.shapes(assemble.canvas(suite, pair.symmetry, pair.model))
    check_images(suite, pair.model, plan.known[pair.model], data.dataset, shapes)
    if place not in plan.prepared:
        plan.prepared[place] = assemble.prepare(suite, pair.symmetry, data.dataset, shapes)
    labels = _labels(plan, pair)
    brought = controls.document(data.dataset.fields)
    identity = {
        "model": _model_identity(plan, pair),
        "dataset": {
            "digest": data.digest,
            "fields": {k: str(v) for k, v in data.dataset.fields.items()},
            "targets": {k: str(v) for k, v in data.dataset.targets.items()},
        },
        "preprocessing": {
            "size": entry.size,
            "channels": entry.channels,
            "mean": entry.mean,
            "std": entry.std,
            **framing(entry),
        },
        "symmetry": plan.prepared[place].document,
        "valid": assemble.validity_document(pair.dataset, data.dataset, plan.prepared[place]),
        "numerics": numerics_document(suite, plan.dtypes[pair.model, built_for(entry, pair.dataset)], device),
        "layers": entry.layers,
        "scores": suite.scores,
        "controls": suite.controls.model_dump(),
        "seed": suite.seed,
        "limit": limit,
        "versions": VERSIONS,
        **({"labels": labels.outputs} if labels is not None and labels.outputs is not None else {}),
        **({"brought": brought} if brought else {}),
        **entry.declared_outputs,
    }
    return Cell(pair, content_key(identity), identity)


def _labels(plan: Plan, pair: Pair) -> Labels | None:
    """Which outputs the classes of the data are; None where it has no class labels. Found once for each dataset."""
    place = (pair.model, pair.dataset)
    if place not in plan.labels:
        recipe, names = plan.suite.models[pair.model].train, plan.known[pair.model].classes
        learnt = plan.training[recipe.on].dataset if recipe is not None else None
        dataset = plan.data[pair.dataset].dataset
        plan.labels[place] = match_labels(plan.suite, pair.model, pair.dataset, dataset, names, learnt)
    return plan.labels[place]


def _model_identity(plan: Plan, pair: Pair) -> dict[str, Any]:
    suite, name = plan.suite, pair.model
    if name in plan.recipes:
        return {"recipe": plan.recipes[name]}
    shapes = plan.data[pair.dataset].shapes(suite.models[name].size)
    return {
        **assemble.model_description(suite, name),
        "weights": assemble.weights_digest(suite, name),
        "source": plan.known[name].identity,
        "shapes": {leaf: list(shape) for leaf, shape in shapes.items()},
        **plan.origins[name, built_for(suite.models[name], pair.dataset)],
    }


def built_for(entry: ModelEntry, dataset: str) -> str:
    """The dataset that a model's module is built for when it meets this one; empty where it is always the same."""
    return dataset if assemble.built_for_data(entry) else ""
