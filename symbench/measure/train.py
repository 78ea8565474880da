"""Training the reference models: a recipe in, a checkpoint in the cache out. Not a training framework."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from symbench.base.code import foreign
from symbench.base.environment import hardware
from symbench.base.errors import ConfigError, Interrupted, ModelError, Problem, one_of
from symbench.base.events import Advanced, Finished, Listener, Note, Started
from symbench.base.paths import cache_folder, sha256_file
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.reading import seeded
from symbench.measure.assemble import inputs_of, prepare, ready, seed_for
from symbench.measure.objective import Objective, augmented
from symbench.measure.plan.document import Plan
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Digests, content_key, is_sealed, write_text, written
from symbench.measure.suite import ModelEntry, Recipe

DIGESTS = Digests()
PRELOAD_BYTES = 2 << 30
"""Training sets up to this size are decoded once and kept in memory, unless they are others each time."""


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


def obtain(space: Workspace, name: str, *, device: str, listen: Listener, stopped: Callable[[], bool]) -> Checkpoint:
    """The model's checkpoint: from the cache, or trained now. Two runs do not train the same model at once.

    Raises:
        ModelError: the model raised, or ended in weights that are not finite.
        Interrupted: asked to stop; nothing is kept of an unfinished training.
    """
    path = _place(space.plan, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        found = cached(space.plan, name)
        if found is None and path.exists():
            listen(
                Note(f"{name}: the checkpoint in {path.parent} is not what was written: trained again", warning=True)
            )
        return found if found is not None else _trained(space, name, path, device, listen, stopped)


def _trained(
    space: Workspace, name: str, path: Path, device: str, listen: Listener, stopped: Callable[[], bool]
) -> Checkpoint:
    recipe = space.suite.models[name].train
    if recipe is None:
        raise ValueError(f"{name} is not trained")
    module = space.new_module(name, recipe.on)
    start = time.perf_counter()
    with foreign(ModelError, name, "training it", "a model of the training set's images and classes"):
        fit(space, name, module, device=device, listen=listen, stopped=stopped)
        # copies, so that tied weights do not share memory in the file
        state = {key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}
        with written(path) as temporary:
            save_file(state, temporary)
    digest, seconds = sha256_file(path), time.perf_counter() - start
    known = {
        "shown": recipe.epochs * len(space.training_of(recipe.on).dataset),
        "hardware": list(hardware(device).values()),
    }
    note = {"seconds": seconds, "sha256": digest, "recipe": space.plan.recipes[name], **known}
    write_text(path.with_suffix(".json"), json.dumps({**note, "digest": content_key(note)}) + "\n")
    return Checkpoint(path, digest, seconds)


def restore(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into the module."""
    module.load_state_dict(load_file(checkpoint.path))


def fit(
    space: Workspace, name: str, module: nn.Module, *, device: str, listen: Listener, stopped: Callable[[], bool]
) -> None:
    """Train in place: AdamW, one cycle of the learning rate, and one random element for every sample of a batch.

    Args:
        space: holds the recipe and the training split.
        name: the model's.
        module: drawn fresh.
        device: where.
        listen: hears one step per batch.
        stopped: asked after every batch.
    """
    suite, entry = space.suite, space.suite.models[name]
    recipe = entry.train
    if recipe is None:
        raise ValueError(f"{name} is not trained")
    known = space.training_of(recipe.on)
    data = known.dataset
    # of the recipe alone: another version of the code learns from the same draws, and is so compared more closely
    key = content_key({part: value for part, value in space.plan.recipes[name].items() if part != "origin"})
    generator = torch.Generator().manual_seed(seed_for(suite.seed, "training", key))
    augment = None
    if recipe.augment is not None:
        augment = prepare(suite, recipe.augment, data, known.shapes(entry.size))
    batches = math.ceil(len(data) / recipe.batch)
    module.to(device)
    optimiser = AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(optimiser, recipe.learning_rate, total_steps=batches * recipe.epochs)
    read = _anew(data, entry, suite.seed, key) if known.anew else _reader(data, entry)
    model = ready(module, entry, name, device=device)
    taken = inputs_of(entry, name, module, data.fields)
    if taken is None:
        raise ModelError(Problem(name, f"takes none of the leaves {one_of(map(repr, data.fields))} of {recipe.on}"))
    objective = Objective(model, data, taken, space.meant_for(name), device)
    module.train()  # as it was made ready, it was set to be measured
    listen(Started(f"training {name}", batches * recipe.epochs, "batches"))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(suite.seed, "dropout", key))
            for number, indices in enumerate(_batches(len(data), recipe, generator)):
                if len(indices) > 1 or recipe.batch == 1 or batches == 1:  # a last one alone has no batch statistics
                    leaves, targets = read(indices, number)
                    leaves, targets = augmented(data, leaves, targets, indices, augment, generator)
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
