"""A suite's model: its module, and every digest that says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from symbench.base.code import foreign
from symbench.base.errors import ConfigError, ModelError, Problem, one_of
from symbench.base.identity import Reads
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.models import MODELS, ModelRow
from symbench.domains.common.models.adapters import adapted
from symbench.domains.common.models.source import Description, Source
from symbench.measure.assemble.data import normalised_leaves, seed_for
from symbench.measure.store import content_key
from symbench.measure.suite import ModelEntry, Suite, code_of

FRAMING = ("resize", "interpolation", "crop")
"""Keys that say how images become a model's size."""
APART = frozenset({"on", "augment", "soften", "self_supervised"})
"""Keys of a recipe that name something in the suite: what they name stands in its document in their place."""


def build_module(
    suite: Suite, name: str, *, shapes: Mapping[str, tuple[int, ...]], outputs: int, reads: Reads | None = None
) -> nn.Module:
    """The model's module with freshly drawn weights, seeded by the suite and the model's own description.

    Args:
        suite: the suite.
        name: the model's.
        shapes: of the leaves that it takes, without the sample axis; for models that are made for their data.
        outputs: how many numbers it returns; likewise.
        reads: hears of the files and variables that the model's own code reads, where somebody wants to know.

    Raises:
        ConfigError: the user's code cannot be imported.
        ModelError: it can, but building the model raised, or gave no module.
    """
    entry = suite.models[name]
    code = code_of(entry, suite, suite.where("models", name, "use"))
    replica = () if entry.train is None or entry.train.seed is None else (str(entry.train.seed),)
    seed = seed_for(suite.seed, "weights", content_key(model_description(suite, name)), *replica)
    default_dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            with foreign(ModelError, name, "building it"), reads.recording() if reads else nullcontext():
                if code is not None:
                    module = code.call(**entry.args)
                elif (source := _source(suite, name)) is not None:
                    module = source.build_for(shapes, outputs)
                else:
                    row, parameters = MODELS.find(entry.use, where=suite.where("models", name, "use"))
                    module = row.load()(**_sized(row, shapes, outputs), **entry.options, **parameters)
        finally:
            torch.set_default_dtype(default_dtype)  # a model's code may have changed it, for the next one too
    module = module if code is None and isinstance(module, nn.Module) else adapted(module)
    if not isinstance(module, nn.Module):
        raise ModelError(Problem(name, f"{entry.use} returned a {type(module).__name__}", "a torch.nn.Module"))
    _unfold(module)
    return module


def _unfold(module: nn.Module) -> None:
    """Give every number of a buffer memory of its own: no weights can be loaded into expanded ones, as escnn has."""
    for part in module.modules():
        for name, buffer in part.named_buffers(recurse=False):
            if is_lazy(buffer) or buffer.layout != torch.strided:
                continue
            if any(size > 1 and step == 0 for size, step in zip(buffer.shape, buffer.stride(), strict=True)):
                setattr(part, name, buffer.clone(memory_format=torch.contiguous_format))  # as persistent as it was


def _sized(row: ModelRow, shapes: Mapping[str, tuple[int, ...]], outputs: int) -> dict[str, Any]:
    """What the factory of a model that is made for its data is told of them."""
    if row.builds_itself:
        return {}
    if isinstance(row.inputs, Mapping):
        return {"shapes": dict(shapes), "outputs": outputs}
    return {"shape": next(iter(shapes.values())), "outputs": outputs}


def _source(suite: Suite, name: str) -> Source | None:
    """The library's model or the file that the entry names; None for code and for models of our own."""
    entry = suite.models[name]
    found = MODELS.built_in(entry.use) if ":" not in entry.use else None
    if found is None or not found[0].source:
        return None
    row, parameters = found
    where = suite.where("models", name, "use")
    source: Source = row.load()(where=where, folder=suite.folder, size=entry.size, **entry.options, **parameters)
    return source


def describe(suite: Suite, name: str) -> Description:
    """What is known of a model before it is built, by its library or its file.

    Raises:
        ConfigError: there is no such model, or what it needs is not installed or cannot be read.
        ModelError: what is known of it cannot be fetched.
    """
    source = _source(suite, name)
    with foreign(ModelError, suite.where("models", name, "use"), "describing it"):
        known = source.describe() if source is not None else Description()
    entry, row = suite.models[name], row_of(suite.models[name])
    comes_whole = row is None or not row.library or row.complete
    if row is not None and not comes_whole and not (entry.options.get("pretrained") or entry.weights or entry.train):
        others = "pretrained: true, or weights: FILE" if "pretrained" in row.options.model_fields else "weights: FILE"
        fresh = f"fresh random weights: for others say {others}."
        known = replace(known, notes=(*known.notes, fresh))
    return known


def with_preprocessing(suite: Suite, name: str, known: Description) -> Suite:
    """The suite with the preprocessing that a model brings along, except where its entry sets it.

    A model that is trained here has learnt from images whose shorter side became its size, and keeps to that. Grey
    images are repeated to as many channels as there are means; so both are spelled out where the entry asks for
    channels.
    """
    entry = suite.models[name]
    filled: dict[str, Any] = {"size": known.size, "mean": list(known.mean), "std": list(known.std)}
    if entry.train is None and (entry.size is not None or "size" not in entry.model_fields_set):
        filled |= {"resize": known.resize, "interpolation": known.interpolation, "crop": known.crop}
    filled |= {key: getattr(entry, key) for key in filled if key in entry.model_fields_set}
    if entry.channels is not None:
        for key, neutral in (("mean", 0.0), ("std", 1.0)):
            values = filled[key] or [neutral]
            filled[key] = values * entry.channels if len(values) == 1 else values
    return suite.model_copy(update={"models": {**suite.models, name: entry.model_copy(update=filled)}})


def framing(entry: ModelEntry) -> dict[str, Any]:
    """What an entry says of how images become its size, where it is anything unusual."""
    found = {key: getattr(entry, key) for key in FRAMING}
    usual = {"resize": (None, entry.size), "interpolation": (None, "bilinear"), "crop": (None, "round")}
    return {key: value for key, value in found.items() if value not in usual[key]}


def check_framing(suite: Suite, name: str) -> None:
    """Refuse a resizing without a size, or to less than that, or beside a training.

    Raises:
        ConfigError: with the key.
    """
    entry = suite.models[name]
    for key in framing(entry):
        where = suite.where("models", name, key)
        if entry.train is not None:
            got = f"got {key} for a model that is trained here"
            raise ConfigError(Problem(where, got, "size alone, to which the shorter side is brought"))
    for key in FRAMING:
        if getattr(entry, key) is not None and entry.size is None:
            raise ConfigError(Problem(suite.where("models", name, key), f"got {key} without size", "both"))
    sides = (entry.resize,) if isinstance(entry.resize, int) else entry.resize or ()
    if any(side < (entry.size or 0) for side in sides):
        where = suite.where("models", name, "resize")
        raise ConfigError(Problem(where, f"got {entry.resize}", f"at least the size, {entry.size}"))


def check_images(
    suite: Suite, model: str, known: Description, dataset: Dataset, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse images whose channels are not those of the model or of its entry.

    Raises:
        ConfigError: with how to make them fit.
    """
    entry = suite.models[model]
    normalised = normalised_leaves(dataset)
    for key in ("channels", "mean", "std"):
        if getattr(entry, key) and not normalised:
            where = suite.where("models", model, key)
            got = f"got {key} for {one_of(map(repr, dataset.fields))}, which nobody normalises"
            raise ConfigError(Problem(where, got, "images", "Bring the data into the range that the model takes."))
    for leaf in normalised:
        there = shapes[leaf][dataset.fields[leaf].before]
        if entry.channels is not None and there not in {1, entry.channels}:
            where = suite.where("models", model, "channels")
            got = f"got {entry.channels} for images of {there} channels"
            raise ConfigError(Problem(where, got, f"images of 1 or {entry.channels}"))
        seen = entry.channels or there
        if known.channels is not None and seen != known.channels:
            where = suite.where("models", model)
            got = f"{entry.use} takes images of {known.channels} channels, and {leaf!r} has {seen}"
            remedy = f"Add channels: {known.channels}, which repeats the grey one." if there == 1 else None
            remedy = remedy or "Leave the pair out with except:, or convert the images."
            raise ConfigError(Problem(where, got, None, remedy))
        for key, values in (("mean", entry.mean), ("std", entry.std)):
            if len(values) not in {0, 1, seen}:
                where = suite.where("models", model, key)
                raise ConfigError(Problem(where, f"got {len(values)} values", f"{seen}, one for each channel"))


def model_description(suite: Suite, name: str) -> dict[str, Any]:
    """What a model is before it has weights: its name, options and arguments. A file is what is in it."""
    entry = suite.models[name]
    row, use = row_of(entry), entry.use
    if row is not None and row.is_file:
        use = use[use.rindex(".") :]
    elif row is None and use.rpartition(":")[0].endswith(".py"):
        use = Path(use).name  # its folder depends on where the suite is
    return {"use": use, "options": entry.options, "args": entry.args}


def row_of(entry: ModelEntry) -> ModelRow | None:
    """The row of a model's entry; None for code."""
    return None if ":" in entry.use else MODELS.row(entry.use)


def is_foreign(entry: ModelEntry) -> bool:
    """Whether a model's weights may come from somewhere that its description does not name.

    Code and libraries may load some by themselves; a file is identified as such.
    """
    row = row_of(entry)
    return row is None or row.library is not None or not row.ours


def is_shaped(entry: ModelEntry) -> bool:
    """Whether a model's module is made for the shape and number of classes of some dataset."""
    row = row_of(entry)
    return row is not None and row.is_shaped(entry.options)


def built_for_data(entry: ModelEntry) -> bool:
    """Whether a model's module depends on the dataset that it meets, rather than on one that it is trained on."""
    return entry.train is None and is_shaped(entry)


def recipe_document(
    suite: Suite,
    name: str,
    data: str,
    moving: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """What identifies a model that is trained here, but for its origin: architecture, recipe, data, augmentation.

    Args:
        suite: the suite.
        name: the model's.
        data: the training split's digest.
        moving: the documents of the symmetries that the recipe names, by its key.
    """
    entry = suite.models[name]
    if entry.train is None:
        raise ValueError(f"{name} is not trained")
    return {
        **model_description(suite, name),
        "recipe": {key: value for key, value in entry.train.model_dump().items() if key not in APART},
        "size": entry.size,
        "mean": entry.mean,
        "std": entry.std,
        "augment": None,
        "data": data,
        "seed": suite.seed,
        **moving,
        **entry.declared_outputs,
    }
