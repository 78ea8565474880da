"""A suite's model: its module, and every digest that says what it is."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from symbench.assemble.data import seed_for
from symbench.code import digest_module, digest_source, foreign
from symbench.errors import (
    ConfigError,
    ModelError,
    Problem,
    near_miss,
    one_of,
)
from symbench.fields import Field, Image, Nodes, Scalar
from symbench.models import MODELS
from symbench.models.base import Model, Normalisation, declared_outputs
from symbench.models.weights import check_file, digest_file, load_into, read
from symbench.store import content_key
from symbench.suite import ModelEntry, Suite, code_of

TRAINING_SOURCES = ("symbench.train",)
"""Our modules whose source is part of a recipe's digest, beside the model's own; the data has its own digest."""


def build_module(suite: Suite, name: str, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The model's module with freshly drawn weights, seeded by the suite and the model's own description.

    Args:
        suite: the suite.
        name: the model's.
        shape: of the one leaf it takes, without the sample axis; for built-in models.
        outputs: how many numbers it returns; for built-in models.

    Raises:
        ConfigError: the user's code cannot be imported.
        ModelError: it can, but building the model raised, or gave no module.
    """
    entry = suite.models[name]
    code = code_of(entry, suite, suite.where("models", name, "use"))
    seed = seed_for(suite.seed, "weights", content_key(model_description(suite, name)))
    default_dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            with foreign(ModelError, name, "building it"):
                if code is not None:
                    module = code.call(**entry.args)
                else:
                    row, parameters = MODELS.find(entry.use)
                    sized = {} if row.builds_itself else {"shape": shape, "outputs": outputs}
                    module = row.load()(**sized, **entry.options, **parameters)
        finally:
            torch.set_default_dtype(default_dtype)  # a model's code may have changed it, for the next one too
    if not isinstance(module, nn.Module):
        raise ModelError(Problem(name, f"{entry.use} returned a {type(module).__name__}", "a torch.nn.Module"))
    return module


def model_description(suite: Suite, name: str) -> dict[str, Any]:
    """What a model is before it has weights: its name, options and arguments."""
    entry = suite.models[name]
    return {"use": entry.use, "options": entry.options, "args": entry.args}


def is_foreign(use: str) -> bool:
    """Whether a name of ``models:`` stands for code that is not ours: it may load weights by itself."""
    return ":" in use or "/" in use


def built_for_data(entry: ModelEntry) -> bool:
    """Whether a model's module depends on the dataset that it meets: its shape and its number of classes."""
    return entry.train is None and ":" not in entry.use and not MODELS.find(entry.use)[0].builds_itself


def state_digest(module: nn.Module, name: str) -> str:
    """SHA-256 of a module's state dict: what its own code made or loaded.

    Raises:
        ModelError: the state cannot be read.
    """
    digest = hashlib.sha256()
    with foreign(ModelError, name, "reading its state"):
        for key, value in sorted(module.state_dict().items()):
            if is_lazy(value):
                got, remedy = f"{key} has no shape yet", "Call the model on one input before it is returned."
                raise ModelError(Problem(name, got, "a model whose weights are made", remedy))
            if not isinstance(value, torch.Tensor):
                digest.update(f"{key} {value!r}\0".encode())
                continue
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def code_digest(suite: Suite, name: str) -> str:
    """SHA-256 of the source that builds a model; different every time where it cannot be had, so never cached."""
    entry = suite.models[name]
    code = code_of(entry, suite, "")
    if code is not None:
        found = code.digest()
    else:
        row, _ = MODELS.find(entry.use)
        found = digest_module(row.module) if "/" in entry.use else digest_source(row.module)
    return found or f"not cacheable {uuid.uuid4()}"


def load_weights(module: nn.Module, suite: Suite, name: str, *, trust_pickle: bool) -> None:
    """Load the file that the suite names into the module.

    Raises:
        ConfigError: the file cannot be read, or is of another architecture.
    """
    entry = suite.models[name]
    if entry.weights is None:
        return
    where = suite.where("models", name, "weights")
    load_into(module, read(suite.folder / entry.weights, where=where, trust_pickle=trust_pickle), where=where)


def weights_digest(suite: Suite, name: str) -> str | None:
    """SHA-256 of the weights file, which is checked to be one; None where the suite names none."""
    entry = suite.models[name]
    if entry.weights is None:
        return None
    path = suite.folder / entry.weights
    check_file(path, where=suite.where("models", name, "weights"))
    return digest_file(path)


def recipe_document(suite: Suite, name: str, data: str, augment: dict[str, Any] | None) -> dict[str, Any]:
    """What identifies a model that is trained here: architecture, recipe, data, augmentation and all the code.

    Args:
        suite: the suite.
        name: the model's.
        data: the training split's digest.
        augment: the document of the symmetry that augments it.
    """
    entry = suite.models[name]
    if entry.train is None:
        raise ValueError(f"{name} is not trained")
    return {
        **model_description(suite, name),
        "recipe": entry.train.model_dump(exclude={"on", "augment"}),
        "size": entry.size,
        "mean": entry.mean,
        "std": entry.std,
        "augment": augment,
        "data": data,
        "seed": suite.seed,
        "code": [code_digest(suite, name), *(digest_source(module) for module in TRAINING_SOURCES)],
    }


def ready(module: nn.Module, entry: ModelEntry, name: str) -> Model:
    """The module behind its normalisation, in evaluation mode.

    Raises:
        ModelError: its own code raised, or it declares outputs that cannot be.
    """
    otherwise = {"logits": Scalar()} if ":" in entry.use else MODELS.find(entry.use)[0].outputs
    with foreign(ModelError, name, "reading what it declares"):
        module.eval()
        outputs = declared_outputs(module, otherwise)
    return Model(module, outputs, Normalisation(entry.mean, entry.std), name)


def layer_fields(entry: ModelEntry) -> dict[str, Field]:
    """The fields of the layers that a model's entry names."""
    known: dict[str, Field] = {"Scalar": Scalar(), "Image": Image(), "Nodes": Nodes("*", Scalar())}
    return {name: known[key] for name, key in entry.layers.items()}


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
