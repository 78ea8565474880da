"""A cell's key: the hash of everything that its result depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symbench.algebra import controls
from symbench.algebra.actions.base import SHARP
from symbench.algebra.fields import Field, Keypoints
from symbench.domains.common.datasets.base import Dataset
from symbench.measure import assemble
from symbench.measure.assemble.labels import Labels, match_labels
from symbench.measure.assemble.model import check_images, framing, row_of
from symbench.measure.assemble.running import numerics_document
from symbench.measure.plan.document import Cell
from symbench.measure.plan.draft import Draft
from symbench.measure.plan.linear_probe import linear_probe_document
from symbench.measure.plan.pairs import Pair
from symbench.measure.plan.wrapping import wrapper_document
from symbench.measure.store import content_key
from symbench.measure.suite import ModelEntry
from symbench.measure.suite.outputs import field_of

VERSIONS = {"evaluate": 3, "averages": 2, "controls": 1, "order": 1}
"""Raised when the numbers of an evaluation change: part of every key."""
ON_GRIDS = {"inside": 1}
"""The same of outputs on a grid under elements that lose places: what comes from beyond the frame counts nowhere."""
OF_JOINTS = {"joints": 1}
"""The same of joints whose pairs or origin the output or the target alone says: the other takes them over."""
OF_FACTORS = {"factors": 1}
"""The same of cells whose product has Lie derivatives along its factors' generators."""


def cell_of(draft: Draft, pair: Pair) -> Cell:
    """A pair with its key, its symmetry prepared and its labels found; one that is broken gets a key of its own.

    Raises:
        ConfigError: images do not fit the model, or labels its outputs.
        ImpossiblePair: the group cannot act on a leaf.
        CellError: the data, or the model's own code, raised.
    """
    space, suite = draft.workspace, draft.workspace.suite
    reason = draft.broken_reason(pair)
    if reason is not None:
        return Cell(pair, content_key(["broken", str(pair), str(reason)]), {})
    entry = suite.models[pair.model]
    data = space.data_of(pair.dataset)
    shapes = data.shapes(assemble.canvas(suite, pair.symmetry, pair.model))
    check_images(suite, pair.model, draft.known[pair.model], data.dataset, shapes)
    prepared = space.symmetry_of(pair)
    labels = _labels(draft, pair)
    brought = controls.document(data.dataset.fields)
    takes = draft.takes.get((pair.model, pair.dataset), ())
    identity = {
        "model": _model_identity(draft, pair),
        "dataset": {
            "digest": data.digest,
            "fields": {k: str(v) for k, v in data.dataset.fields.items()},
            "targets": {k: str(v) for k, v in data.dataset.targets.items()},
            **data.declared,
        },
        "preprocessing": {
            "size": entry.size,
            "channels": entry.channels,
            "mean": entry.mean,
            "std": entry.std,
            **framing(entry),
        },
        "symmetry": prepared.document,
        "valid": assemble.validity_document(pair.dataset, data.dataset, prepared),
        "numerics": numerics_document(suite, draft.dtypes[pair.model, built_for(entry, pair.dataset)], draft.device),
        "layers": entry.layers,
        "scores": suite.scores,
        "controls": suite.controls.document(),
        "seed": suite.seed,
        "limit": space.plan.limit,
        "versions": VERSIONS | _of_factors(prepared) | _on_grids(entry, data.dataset, prepared),
        **({"labels": labels.outputs} if labels is not None and labels.outputs is not None else {}),
        **({"brought": brought} if brought else {}),
        **entry.declared_outputs,
        **wrapper_document(space, pair, takes),
        **linear_probe_document(space, pair, takes),
    }
    return Cell(pair, content_key(identity), identity, takes, labels)


def _of_factors(prepared: assemble.Prepared) -> dict[str, int]:
    action = prepared.actions[prepared.on]
    return OF_FACTORS if action.factors and action.generators() else {}


def _on_grids(entry: ModelEntry, dataset: Dataset, prepared: assemble.Prepared) -> dict[str, int]:
    """Of what the suite, the built-in model and the data say of outputs."""
    row = row_of(entry)
    said = [field_of(given, dataset.fields) for given in entry.outputs.values()]
    fields = [*said, *(row.outputs.values() if row is not None else ()), *dataset.targets.values()]
    joints, shared = OF_JOINTS if _joints_differ(fields) else {}, prepared.elements.shared
    if shared is None or not any(field.grid is not None for field in fields):
        return joints
    return joints if set(prepared.actions[prepared.on].kinds(shared)) <= set(SHARP) else joints | ON_GRIDS


def _joints_differ(fields: Sequence[Field]) -> bool:
    return len({(field.pairs, field.origin) for field in fields if isinstance(field, Keypoints)}) > 1


def _labels(draft: Draft, pair: Pair) -> Labels | None:
    """Which outputs the classes of the data are; None where it has no class labels. Found once for each dataset."""
    place, space = (pair.model, pair.dataset), draft.workspace
    if place not in draft.labels:
        entry, names = space.suite.models[pair.model], draft.known[pair.model].classes
        source = entry.linear_probe or entry.train
        learnt = None if source is None else space.training_of(source.on).dataset
        dataset = space.data_of(pair.dataset).dataset
        draft.labels[place] = match_labels(space.suite, pair.model, pair.dataset, dataset, names, learnt)
    return draft.labels[place]


def _model_identity(draft: Draft, pair: Pair) -> dict[str, Any]:
    suite, name = draft.workspace.suite, pair.model
    if name in draft.recipes:
        return {"recipe": draft.recipes[name]}
    shapes = draft.workspace.data_of(pair.dataset).shapes(suite.models[name].size)
    return {
        **assemble.model_description(suite, name),
        "weights": assemble.weights_digest(suite, name),
        "source": draft.known[name].identity,
        "shapes": {leaf: list(shape) for leaf, shape in shapes.items()},
        **draft.origins[name, built_for(suite.models[name], pair.dataset)],
    }


def built_for(entry: ModelEntry, dataset: str) -> str:
    """The dataset that a model's module is built for when it meets this one; empty where it is always the same."""
    return dataset if assemble.built_for_data(entry) else ""
