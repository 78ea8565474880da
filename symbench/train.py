"""Training the reference models: a recipe in, a checkpoint in the cache out. Not a training framework."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from symbench.assemble import Prepared, image_leaves, prepare, ready, seed_for
from symbench.code import foreign
from symbench.datasets.base import Dataset, Valid
from symbench.datasets.cache import cache_folder
from symbench.datasets.reading import seeded
from symbench.datasets.targets import present
from symbench.environment import hardware
from symbench.errors import ConfigError, DataError, Interrupted, ModelError, Problem
from symbench.events import Advanced, Finished, Listener, Note, Started
from symbench.fields import Category, Field, MultiLabel
from symbench.groups.base import Group
from symbench.models.base import Model
from symbench.models.running import dtypes_of, handed
from symbench.paths import sha256_file
from symbench.plan.resolve import Plan, new_module
from symbench.plan.training import meant_for
from symbench.store import Digests, content_key, is_sealed, write_text, written
from symbench.suite import ModelEntry, Recipe
from symbench.tasks import Task, fitting, pair

DIGESTS = Digests()
PRELOAD_BYTES = 2 << 30
"""Training sets up to this size are decoded once and kept in memory, unless they are others each time."""
TRIES = 100
"""Elements that are drawn for a sample until one keeps its label; then it is left as it is."""


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights in the cache.

    Attributes:
        path: a safetensors file.
        digest: SHA-256 of its bytes.
        seconds: what training took, wherever it was done.
    """

    path: Path
    digest: str
    seconds: float


def check_writable() -> None:
    """Create the cache folder.

    Raises:
        ConfigError: it cannot be made or written to.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            Problem(
                "SYMBENCH_CACHE_DIR", f"{folder} cannot be written: {error.strerror or error}", "a folder that can"
            )
        ) from error


def _place(plan: Plan, name: str) -> Path:
    key = content_key(plan.recipes[name])
    return cache_folder() / "checkpoints" / key[:2] / f"{key}.safetensors"


def cached(plan: Plan, name: str) -> Checkpoint | None:
    """The checkpoint of a model's recipe, if it has been trained before; a broken entry, or another's, is none."""
    path = _place(plan, name)
    try:
        note = json.loads(path.with_suffix(".json").read_bytes())
        if not is_sealed(note) or content_key(note["recipe"]) != path.stem:
            return None
        found = Checkpoint(path, DIGESTS.of(path), float(note["seconds"]))
        return found if note["sha256"] == found.digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def obtain(plan: Plan, name: str, *, device: str, listen: Listener, stopped: Callable[[], bool]) -> Checkpoint:
    """The model's checkpoint: from the cache, or trained now. Two runs do not train the same model at once.

    Raises:
        ModelError: the model raised, or ended in weights that are not finite.
        Interrupted: asked to stop; nothing is kept of an unfinished training.
    """
    path = _place(plan, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        found = cached(plan, name)
        if found is None and path.exists():
            listen(
                Note(f"{name}: the checkpoint in {path.parent} is not what was written: trained again", warning=True)
            )
        return found if found is not None else _trained(plan, name, path, device, listen, stopped)


def _trained(
    plan: Plan, name: str, path: Path, device: str, listen: Listener, stopped: Callable[[], bool]
) -> Checkpoint:
    recipe = plan.suite.models[name].train
    if recipe is None:
        raise ValueError(f"{name} is not trained")
    module = new_module(plan, name, recipe.on)
    start = time.perf_counter()
    with foreign(ModelError, name, "training it", "a model of the training set's images and classes"):
        fit(plan, name, module, device=device, listen=listen, stopped=stopped)
        # copies, so that tied weights do not share memory in the file
        state = {key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}
        with written(path) as temporary:
            save_file(state, temporary)
    digest, seconds = sha256_file(path), time.perf_counter() - start
    known = {
        "shown": recipe.epochs * len(plan.training[recipe.on].dataset),
        "hardware": list(hardware(device).values()),
    }
    note = {"seconds": seconds, "sha256": digest, "recipe": plan.recipes[name], **known}
    write_text(path.with_suffix(".json"), json.dumps({**note, "digest": content_key(note)}) + "\n")
    return Checkpoint(path, digest, seconds)


def restore(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into the module."""
    module.load_state_dict(load_file(checkpoint.path))


def fit(
    plan: Plan, name: str, module: nn.Module, *, device: str, listen: Listener, stopped: Callable[[], bool]
) -> None:
    """Train in place: AdamW, one cycle of the learning rate, and one random element for every sample of a batch.

    Args:
        plan: holds the recipe and the training split.
        name: the model's.
        module: drawn fresh.
        device: where.
        listen: hears one step per batch.
        stopped: asked after every batch.
    """
    suite, entry = plan.suite, plan.suite.models[name]
    recipe = entry.train
    if recipe is None:
        raise ValueError(f"{name} is not trained")
    known = plan.training[recipe.on]
    data = known.dataset
    # of the recipe alone: another version of the code learns from the same draws, and is so compared more closely
    key = content_key({part: value for part, value in plan.recipes[name].items() if part != "origin"})
    generator = torch.Generator().manual_seed(seed_for(suite.seed, "training", key))
    augment = None
    if recipe.augment is not None:
        augment = prepare(suite, recipe.augment, data, known.shapes(entry.size))
    batches = math.ceil(len(data) / recipe.batch)
    module.to(device)
    optimiser = AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(optimiser, recipe.learning_rate, total_steps=batches * recipe.epochs)
    read = _anew(data, entry, suite.seed, key) if known.anew else _reader(data, entry)
    objective = _Objective(ready(module, entry, name, device=device), data, meant_for(plan, name), device)
    module.train()  # as it was made ready, it was set to be measured
    listen(Started(f"training {name}", batches * recipe.epochs, "batches"))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(suite.seed, "dropout", key))
            for number, indices in enumerate(_batches(len(data), recipe, generator)):
                if len(indices) > 1 or recipe.batch == 1 or batches == 1:  # a last one alone has no batch statistics
                    leaves, targets = read(indices, number)
                    leaves = _moved(leaves, augment, generator, _labels(data, targets), data.valid)
                    loss = objective(leaves, targets)
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    listen(Advanced(1, f"loss {loss.item():.3f}"))
                schedule.step()
                if stopped():
                    raise Interrupted(
                        Problem(name, "training was interrupted", None, "The same command starts it again.")
                    )
    finally:
        listen(Finished())
    if not all(torch.isfinite(p).all() for p in module.parameters()):
        got = "training ended in weights that are not finite"
        raise ModelError(Problem(name, got, None, "Lower its learning_rate."))


def _batches(count: int, recipe: Recipe, generator: torch.Generator) -> Iterator[Tensor]:
    """Shuffled indices, epoch after epoch."""
    for _ in range(recipe.epochs):
        yield from torch.randperm(count, generator=generator).split(recipe.batch)


Reader = Callable[[Tensor, int], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Leaves and targets of samples by their indices, for the batch of this number."""


def _anew(data: Dataset, entry: ModelEntry, seed: int, key: str) -> Reader:
    """Batches of samples that are others each time: read when they are shown, each batch under a seed of its own."""

    def read(indices: Tensor, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        with seeded(seed_for(seed, "reading", key, str(number))):
            batch = data.batch(indices.tolist(), canvas=entry.size)
        return batch.leaves, batch.targets

    return read


def _reader(data: Dataset, entry: ModelEntry) -> Reader:
    """Batches by index: from memory where the whole set fits, else decoded each time."""
    one = data.batch([0], canvas=entry.size)
    size = sum(leaf.numel() * leaf.element_size() for leaf in one.leaves.values()) * len(data)
    if size > PRELOAD_BYTES:

        def decode(indices: Tensor, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            del number
            batch = data.batch(indices.tolist(), canvas=entry.size)
            return batch.leaves, batch.targets

        return decode
    whole = data.batch(range(len(data)), canvas=entry.size)

    def select(indices: Tensor, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        del number
        return (
            {name: leaf[indices] for name, leaf in whole.leaves.items()},
            {name: target[indices] for name, target in whole.targets.items()},
        )

    return select


def _labels(data: Dataset, targets: dict[str, Tensor]) -> list[list[int]] | None:
    """The classes of each sample that a dataset's rule of labels is asked about; None where nothing is asked."""
    names = [name for name, field in data.targets.items() if isinstance(field, (Category, MultiLabel))]
    return present(targets[names[0]]) if names and data.valid is not None else None


def _moved(
    leaves: dict[str, Tensor],
    augment: Prepared | None,
    generator: torch.Generator,
    labels: Sequence[Sequence[int]] | None = None,
    valid: Valid | None = None,
) -> dict[str, Tensor]:
    """Samples moved by an element each, none of which changes its label: a 6 upside down is no 6 to be learnt."""
    if augment is None:
        return leaves
    count = len(next(iter(leaves.values())))
    drawn = augment.group.sample(count, generator=generator)  # (n, ...), one element for each sample
    if labels is not None and valid is not None:
        drawn = _kept(drawn, augment.group, generator, labels, valid)
    actions = augment.actions
    return {
        name: actions[name].finish(actions[name].act(drawn[None], actions[name].prepare(x))[0])
        for name, x in leaves.items()
    }


def _kept(
    drawn: Tensor, group: Group, generator: torch.Generator, labels: Sequence[Sequence[int]], valid: Valid
) -> Tensor:
    """Elements ``(n, ...)`` with those drawn again that change a label; the identity where ``TRIES`` draws all do."""
    drawn = drawn.clone()
    waiting = list(range(len(drawn)))
    for _ in range(TRIES):
        parameters = group.parameters(drawn[waiting])
        with foreign(DataError, "augmentation", "asking which elements keep a label (valid)"):
            kept = [all(valid(x, named) for x in labels[i]) for i, named in zip(waiting, parameters, strict=True)]
            waiting = [i for i, keeps in zip(waiting, kept, strict=True) if not keeps]
        if not waiting:
            return drawn
        drawn[waiting] = group.sample(len(waiting), generator=generator)
    drawn[waiting] = group.identity()
    return drawn


class _Objective:
    """The loss of a model's outputs: each task's own, added up over the tasks that have a target.

    The first batch says how many numbers an output has and which form its scores are in, and that holds for all.
    """

    def __init__(self, model: Model, data: Dataset, meant: Field | None, device: str) -> None:
        self.model = model
        self.images = image_leaves(data)
        self.device, self.dtype = device, dtypes_of(model.module)[0]
        self.open = pair(model.outputs, data.targets, scale="probabilities", meant=meant)
        self.tasks: list[Task] = []
        if not any(output.target for output in self.open):
            outputs = ", ".join(f"{name} ({field})" for name, field in model.outputs.items())
            targets = ", ".join(f"{name} ({field})" for name, field in data.targets.items())
            remedy = "Declare outputs: in the model's entry, or call one as the target is called."
            raise ModelError(
                Problem(model.name, f"none of its outputs {outputs} meets a target of {targets}", None, remedy)
            )

    def __call__(self, leaves: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """The loss of a batch, to be differentiated.

        Raises:
            ModelError: the model returned something else than was declared, or what no target can be held against.
        """
        inputs = {name: self._given(name, x) for name, x in leaves.items()}
        try:
            returned = handed(self.model.module, inputs)
        except RuntimeError as error:
            raise self.model.failed(error, inputs, self.images) from error
        outputs = self.model.read(returned, len(next(iter(inputs.values()))))
        wanted = {name: target.to(self.device) for name, target in targets.items()}
        with fitting(self.model.name):
            return self._summed(outputs, wanted)

    def _given(self, name: str, values: Tensor) -> Tensor:
        """A leaf as the model takes it: on its device, normalised, in the dtype of its inputs."""
        moved = values.to(self.device, self.dtype) if values.is_floating_point() else values.to(self.device)
        return self.model.normalisation(moved) if name in self.images else moved

    def _summed(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        if not self.tasks:
            found = [output.of(tuple(outputs[output.output].shape[1:])) for output in self.open if output.target]
            key = self.model.seen.key if len(self.open) == 1 else None
            self.tasks = [replace(task, key=key).at_first(outputs[task.output].detach()) for task in found]
        losses = []
        for task in self.tasks:
            output, target = outputs[task.output], targets[task.target or ""]
            task.check_target(tuple(output.shape[1:]), target)
            losses.append(task.loss(output, target))
        return torch.stack(losses).sum()
