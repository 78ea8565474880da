"""From a suite's entries to the things themselves: datasets, groups with their elements, modules, and digests.

The one place where a name of the suite becomes an object. What is made here is what a cell's key speaks of, so
every digest is taken here too.
"""

from __future__ import annotations

import hashlib
import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from symbench import actions, groups
from symbench.actions.base import Action, TrivialAction
from symbench.code import digest_module, digest_source, foreign
from symbench.datasets import DATASETS
from symbench.datasets.base import Dataset
from symbench.datasets.items import Items
from symbench.errors import CellError, ConfigError, DataError, ImpossiblePair, ModelError, Problem
from symbench.fields import Category, Field, Image, Scalar
from symbench.groups.base import Elements, Group, choose
from symbench.models import MODELS
from symbench.models.base import Model, Normalisation, declared_outputs
from symbench.models.weights import check_file, digest_file, load_into, read
from symbench.store import content_key
from symbench.suite import ModelEntry, Suite, code_of

T = TypeVar("T")
TRAINING_SOURCES = ("symbench.train",)
"""Our modules whose source is part of a recipe's digest, beside the model's own; the data has its own digest."""


def seed_for(suite_seed: int, purpose: str, *parts: str) -> int:
    """A seed for one purpose, derived from the suite's: 63 bits of SHA-256, so that purposes never share a stream."""
    text = "\0".join([str(suite_seed), purpose, *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def load_dataset(suite: Suite, name: str, *, split: str | None = None) -> Dataset:
    """The dataset called ``name`` in the suite; ``split`` overrides its own (training).

    Raises:
        ConfigError: it cannot be loaded, or has no such split.
    """
    entry = suite.datasets[name]
    where = suite.where("datasets", name)
    code = code_of(entry, suite, suite.where("datasets", name, "use"))
    if code is not None:
        arguments = dict(entry.args)
        if split is not None:
            if not code.signature_has("split"):
                raise ConfigError(
                    Problem(
                        where,
                        f"{entry.use} has no parameter 'split'",
                        "one that takes 'train' and 'test'",
                        "Training needs samples of its own.",
                    )
                )
            arguments["split"] = split
        with foreign(ConfigError, where, "loading it"):
            return _as_dataset(code.call(**arguments), where)
    row, parameters = DATASETS.find(entry.use, where=where)
    arguments = {**entry.options, **parameters}
    if split is not None:
        if "split" not in row.options.model_fields:
            raise ConfigError(Problem(where, f"{entry.use} has no training split", "a dataset with the option split"))
        arguments["split"] = split
    factory = row.load()
    takes = inspect.signature(factory).parameters
    arguments |= {k: v for k, v in (("folder", suite.folder), ("where", where)) if k in takes}
    with foreign(ConfigError, where, "loading it"):
        return _as_dataset(factory(**arguments), where)


def _as_dataset(found: Any, where: str) -> Dataset:
    if isinstance(found, Dataset):
        return found
    try:
        return Items(found, where=where)
    except CellError as error:  # the first sample already cannot be read: nothing to run
        raise ConfigError(error.problems) from error


def output_count(dataset: Dataset, canvas: int | None) -> int:
    """How many numbers a model for this dataset's target has to return: classes, or the target's size."""
    if not dataset.targets:
        got = "a built-in model needs labels to know its number of outputs"
        raise ConfigError(Problem("models", got, "a labelled dataset"))
    name, field = next(iter(dataset.targets.items()))
    if not isinstance(field, Category):
        return int(dataset.batch([0], canvas=canvas).targets[name][0].numel())
    if field.classes is not None:
        return field.classes
    batches = (range(i, min(i + 1024, len(dataset))) for i in range(0, len(dataset), 1024))
    return 1 + max(int(dataset.batch(indices, canvas=canvas).targets[name].max()) for indices in batches)


@dataclass(frozen=True)
class Prepared:
    """A symmetry ready to act on one dataset.

    Attributes:
        group: the group.
        elements: the elements that are measured, the identity first.
        on: the leaf that the suite names.
        actions: the action of every leaf of the dataset.
        document: what the cell's key says of the symmetry.
    """

    group: Group
    elements: Elements
    on: str
    actions: Mapping[str, Action]
    document: dict[str, Any]
    entry_group: str
    options: dict[str, Any]
    action: str | None
    on_field: Field

    def action_on(self, field: Field) -> Action:
        """The action on an output or a target."""
        return actions.load(self.group, self.entry_group, field, self.options, on=self.on_field, name=self.action)


def prepare(suite: Suite, name: str, dataset: Dataset, shapes: Mapping[str, tuple[int, ...]]) -> Prepared:
    """Build a symmetry's group, elements and actions for a dataset whose leaves have these shapes.

    Raises:
        ImpossiblePair: the group cannot act on a leaf.
    """
    entry = suite.symmetries[name]
    where = suite.where("symmetries", name)
    group = groups.load(entry.group, entry.options, where=suite.where("symmetries", name, "group"))
    document: dict[str, Any] = {"group": entry.group, "options": entry.options, "elements": entry.elements}
    generator = torch.Generator().manual_seed(seed_for(suite.seed, "elements", content_key(document)))
    elements = choose(group, entry.elements, generator=generator, where=suite.where("symmetries", name, "elements"))
    on_field = dataset.fields[entry.on]
    actions.find_all(entry.group, on_field, entry.action, where=where)  # the leaf it is on must move
    moved: dict[str, Action] = {}
    names: dict[str, list[Any]] = {}
    for leaf, field in dataset.fields.items():
        action = actions.load(group, entry.group, field, entry.options, on=on_field, name=entry.action)
        reason = action.check(shapes[leaf])
        if reason is not None:
            raise ImpossiblePair(Problem(where, f"{entry.group} cannot act on {leaf!r}: {reason}"))
        moved[leaf] = action
        if not isinstance(action, TrivialAction):
            found = actions.find_all(entry.group, field, entry.action)
            names[leaf] = [[n, row.version] for n, row in found]
    document |= {
        "on": entry.on,
        "actions": names,
        "values": content_key(group.canonical(elements.values).tolist()),
        "weights": content_key(elements.weights.tolist()),
        "code": [
            digest_module(groups.GROUPS.find(part)[0].module) for part in groups.factors(entry.group) if "/" in part
        ],
    }
    return Prepared(
        group, elements, entry.on, moved, document, entry.group, dict(entry.options), entry.action, on_field
    )


def canvas(suite: Suite, symmetry: str, size: int | None) -> int | None:
    """Pixels a side to which images are brought: what the model sees, and the margin that a crop takes away."""
    return None if size is None else size + 2 * int(suite.symmetries[symmetry].options.get("margin", 0))


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


def reading(read: Callable[[], T], where: str) -> T:
    """Call something of a dataset's; whatever it raises becomes a DataError.

    Raises:
        DataError: with what was raised.
    """
    with foreign(DataError, where, "reading it"):
        return read()


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


def image_leaves(dataset: Dataset) -> list[str]:
    """The leaves that get normalised."""
    return [name for name, field in dataset.fields.items() if isinstance(field, Image)]
