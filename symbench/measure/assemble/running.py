"""A module that has been built, made ready to be run: where, in which precision, and what of it is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from symbench.algebra.fields import ANY, OUTPUTS, USUAL, Field, Undeclared, declared, mask_of, same_places
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, ModelError, Problem, near_miss, one_of
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.base import Model, Normalisation, declared_outputs
from symbench.domains.common.models.inputs import fed, said, takes
from symbench.domains.common.models.layout import Packing, is_packed
from symbench.domains.common.models.running import dtypes_of, named
from symbench.measure.suite import ModelEntry, Suite
from symbench.measure.suite.outputs import OutputOf, field_of

NO_FIELDS: Mapping[str, Field] = MappingProxyType({})


def dtype_of(suite: Suite) -> torch.dtype | None:
    """What models are converted to; None where they run in the dtypes that they came in."""
    asked = suite.numerics.dtype
    found: torch.dtype | None = None if asked is None else getattr(torch, asked)
    return found


def dtypes_document(module: nn.Module, name: str) -> str:
    """The dtypes that a module came in, that of its inputs first, such as ``bfloat16 + float32``.

    Raises:
        ModelError: its own code raised.
    """
    with foreign(ModelError, name, "reading its weights"):
        return " + ".join(map(named, dtypes_of(module)))


def numerics_document(suite: Suite, came_in: str, device: str) -> dict[str, Any]:
    """How a model's numbers are computed: the suite's numerics, with the dtypes and the kind of device it got."""
    numerics = suite.numerics
    plain = numerics.model_dump(exclude={"mode", "tolerance"})
    faster = {} if numerics.mode == "exact" else {"mode": numerics.mode, "tolerance": numerics.tolerances()}
    return {**plain, "dtype": numerics.dtype or came_in, "device": device.partition(":")[0], **faster}


def ready(
    module: nn.Module,
    entry: ModelEntry,
    name: str,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    fields: Mapping[str, Field] = NO_FIELDS,
) -> Model:
    """The module on the device behind its normalisation, in evaluation mode.

    Args:
        module: moved and switched in place.
        entry: the suite's entry.
        name: its name.
        device: where.
        dtype: what all of it is converted to; None leaves every part in the dtype that it came in.
        fields: the leaves of the dataset that it meets, which outputs may be declared to stand over.

    Raises:
        ModelError: its own code raised, or it declares outputs that cannot be.
    """
    with torch.no_grad():  # filters that are made on the way to eval() would keep the graph that made them
        with foreign(ModelError, name, f"moving it to {device}"):
            came_in = dtypes_of(module)
            module = module.to(device) if dtype is None else module.to(device, dtype)
        with foreign(ModelError, name, "reading what it declares"):
            module.eval()
            outputs = outputs_of(entry, module, fields)
    if is_packed(module):
        with foreign(ModelError, name, "reading what it declares"):
            module = Packing(module, declared(getattr(module, "inputs", None)) or {}, outputs).eval()
    return Model(module, outputs, Normalisation(entry.mean, entry.std), name, _about_dtypes(came_in, dtype))


def outputs_of(entry: ModelEntry, module: nn.Module, fields: Mapping[str, Field] = NO_FIELDS) -> Mapping[str, Field]:
    """The field of every output of a module: as the suite's entry declares them, or else as it does itself.

    Args:
        entry: the suite's entry.
        module: built.
        fields: the leaves of the dataset that it meets, which outputs may be declared to stand over.
    """
    otherwise = {"logits": Undeclared()} if ":" in entry.use else MODELS.row(entry.use).outputs
    outputs = declared_outputs(module, otherwise)
    if entry.embedding is not None:
        # by the name that the module itself has for what it returns
        open_ = [name for name, field in declared_outputs(module, {}).items() if isinstance(field, Undeclared)]
        return {open_[0] if len(open_) == 1 else "embedding": OUTPUTS["embedding"]}
    return {own: field_of(given, fields) for own, given in entry.outputs.items()} or outputs


def _about_dtypes(came_in: Sequence[torch.dtype], converted: torch.dtype | None) -> str:
    """What to do where the precisions of a model's parts do not fit together."""
    parts = one_of([named(dtype) for dtype in came_in])
    if converted is not None:
        return f"numerics.dtype converts every part to {named(converted)}; without it the model stays in {parts}."
    return f"Its parts are {parts} as they came, its inputs {named(came_in[0])}; numerics.dtype converts all of them."


def inputs_of(
    entry: ModelEntry, name: str, module: nn.Module | None, fields: Mapping[str, Field]
) -> tuple[str, ...] | None:
    """The leaves of a dataset that a model takes, in its order, masks last; None where it cannot be fed.

    Args:
        entry: the suite's entry.
        name: its name.
        module: what it was built into, where that is code and may declare its ``inputs``.
        fields: the dataset's leaves.

    Raises:
        ModelError: its own code raised, or it declares names of leaves without fields.
    """
    if ":" not in entry.use:
        return fed(MODELS.row(entry.use), fields)
    with foreign(ModelError, name, "reading what it declares"):
        inputs = declared(getattr(module, "inputs", None))
        if inputs is None:
            _refuse_names(getattr(module, "inputs", None), fields, name)
        packs = is_packed(module)
        optional = declared(getattr(module, "optional", None)) or {}
    found = takes(inputs or (USUAL,), fields, optional)
    if found is None or not packs:
        return found
    if any(leaf not in fields for leaf in inputs or ()):
        return None  # it is handed its leaves by name, and would not find them
    axes = dict.fromkeys(axis for leaf in found for axis in fields[leaf].axes)
    masks = [mask_of(axis) for axis in axes if mask_of(axis) in fields]
    return tuple(dict.fromkeys([*found, *masks]))


def _refuse_names(inputs: object, fields: Mapping[str, Field], name: str) -> None:
    """Refuse a list that names leaves: what else other libraries keep under that name is none of ours."""
    listed = inputs if isinstance(inputs, (list, tuple, set)) else ()
    known = [each for each in listed if isinstance(each, str) and each in fields]
    if known:
        expected = f"a mapping from names to fields, where {known[0]!r} is {fields[known[0]]}"
        remedy = "Fields are those of symbench.fields, as the dataset has them."
        raise ModelError(
            Problem(name, f"declares inputs as names alone, {one_of(map(repr, known))}", expected, remedy)
        )


def inputs_said(entry: ModelEntry, module: nn.Module | None) -> str:
    """What a model declares to take, in words."""
    row = None if ":" in entry.use else MODELS.row(entry.use)
    wanted = (declared(getattr(module, "inputs", None)) if row is None else row.inputs) or (USUAL,)
    words = said(wanted) if isinstance(wanted, Mapping) else " and ".join(map(str, wanted))
    return f"{words}, samples of one size" if row is not None and row.one_size else words


def layer_fields(entry: ModelEntry) -> dict[str, Field]:
    """The fields of the layers that a model's entry names."""
    return {name: OUTPUTS[word.lower()] for name, word in entry.layers.items()}


def check_layers(module: nn.Module, suite: Suite, name: str) -> None:
    """Refuse layers that the module does not have.

    Raises:
        ConfigError: with the near miss.
    """
    known = [path for path, _ in module.named_modules() if path]
    for layer in suite.models[name].layers:
        if layer not in known:
            where = suite.where("models", name, "layers", layer)
            expected = f"a submodule: one of {one_of(known[:12])}{' ...' if len(known) > 12 else ''}"
            raise ConfigError(Problem(where, f"got {layer!r}", expected, near_miss(layer, known)))


def check_outputs(suite: Suite, name: str, dataset: str, fields: Mapping[str, Field]) -> None:
    """Refuse outputs over what the dataset does not have.

    Raises:
        ConfigError: with the near miss.
    """
    known = list(
        dict.fromkeys([*(leaf for leaf, field in fields.items() if field.places), *same_places(fields.values())])
    )
    for output, given in suite.models[name].outputs.items():
        if isinstance(given, OutputOf) and given.over not in (None, ANY) and given.places(fields) is None:
            where = suite.where("models", name, "outputs", output, "over")
            expected = f"a leaf or an axis of {dataset}: {one_of(known)}"
            raise ConfigError(Problem(where, f"got {given.over!r}", expected, near_miss(given.over or "", known)))
