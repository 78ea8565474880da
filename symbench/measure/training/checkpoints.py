"""Trained weights in the cache, by what they are: found there, or trained now."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import nn

from symbench.base.code import foreign
from symbench.base.environment import hardware
from symbench.base.errors import ConfigError, ModelError, Problem
from symbench.base.events import Listener, Note
from symbench.base.paths import cache_folder, sha256_file
from symbench.base.records import CurveRecord
from symbench.measure.plan.data import NOT_CACHEABLE
from symbench.measure.plan.document import Plan
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Digests, content_key, is_sealed, write_text, written
from symbench.measure.training.loop import fit, fit_together
from symbench.measure.training.partial import Keeper
from symbench.measure.training.record import Record, curve_of
from symbench.measure.training.together import Replica, block_of

DIGESTS = Digests()
FAILED = ".failed"
"""How a file ends that says why a replica failed when it was trained together with others."""
FACTS = {
    "training_samples": "samples",
    "training_steps": "steps",
    "training_steps_to_target": "steps_to_target",
    "training_flops": "operations",
    "training_rate": "samples_per_second",
    "training_peak_memory": "peak_memory_bytes",
}
"""What cells' records say of a training beside its seconds, and what its note calls that."""


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights in the cache.

    Attributes:
        path: a safetensors file.
        digest: SHA-256 of its bytes.
        seconds: what training took, wherever it was done.
        measured: what else is known of the training, see :meth:`symbench.measure.training.record.Record.document`.
    """

    path: Path
    digest: str
    seconds: float
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, float | None]:
        """What the records of its cells say of the training."""
        numbers = {name: self.measured.get(key) for name, key in FACTS.items()}
        known = {name: None if value is None else float(value) for name, value in numbers.items()}
        return {"training_seconds": self.seconds, **known}

    @property
    def curve(self) -> CurveRecord | None:
        """How the training went, as its cells keep it."""
        return curve_of(self.measured.get("curve", []))


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
        found = Checkpoint(path, DIGESTS.of(path), float(note["seconds"]), note.get("measured", {}))
        return found if note["sha256"] == found.digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def obtain(space: Workspace, name: str, *, device: str, listen: Listener, stopped: Callable[[], bool]) -> Checkpoint:
    """The model's checkpoint: from the cache, or trained now. Two runs do not train the same model at once.

    A training that was stopped or killed goes on from the state that was saved last, and ends in the same weights.
    Replicas that are trained together are so when the first of them is asked for.

    Raises:
        ModelError: the model raised, or its training diverged.
        Interrupted: asked to stop; the state is kept.
    """
    known = cached(space.plan, name)
    if known is not None:
        return known
    path, block, why = _place(space.plan, name), block_of(space, name), None
    if block:
        with _one_at_a_time(_place_of_block(block)):
            found, failed = _found(space, name, path, listen), path.with_suffix(FAILED)
            if found is None and not failed.exists():
                why = _train_block(space, name, block, device, listen, stopped)
                found = cached(space.plan, name)
            if found is not None:
                return found
            if why is None:
                raise _told(failed)
            listen(Note(f"{name}: trained alone, and not together with other replicas: {why}"))
    with _one_at_a_time(path):
        found = _found(space, name, path, listen)
        return found if found is not None else _trained(space, name, path, device, listen, stopped, why)


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        yield


def _found(space: Workspace, name: str, path: Path, listen: Listener) -> Checkpoint | None:
    found = cached(space.plan, name)
    if found is None and path.exists():
        listen(Note(f"{name}: the checkpoint in {path.parent} is not what was written: trained again", warning=True))
    return found


def _trained(
    space: Workspace,
    name: str,
    path: Path,
    device: str,
    listen: Listener,
    stopped: Callable[[], bool],
    why: str | None,
) -> Checkpoint:
    """Trained by itself; ``why``, where others were to be trained with it."""
    recipe = space.suite.models[name].train
    if recipe is None:
        raise ValueError(f"{name} is not trained")
    keeper = _keeper(space, name, path, device, listen)
    with _training(name):
        module = space.new_module(name, recipe.on)
        record = fit(space, name, module, keeper=keeper, listen=listen, stopped=stopped)
        record = record if why is None else replace(record, remarks={**record.remarks, "together": f"not: {why}"})
        made = _written(Replica(space, name), device, module, record)
    keeper.remove()
    return made


def _train_block(
    space: Workspace,
    name: str,
    block: Sequence[Replica],
    device: str,
    listen: Listener,
    stopped: Callable[[], bool],
) -> str | None:
    """Train the replicas of a block that have no checkpoint; or why each has to be trained alone, in words.

    Checkpoints that are there stay as they are: cells were measured of them. What failed is written down until it is
    asked for: in its turn, a replica would else be trained with its whole block once more, to fail again.
    """
    keeper = _keeper(space, name, _place_of_block(block), device, listen)
    lacking = [each for each in block if cached(each.space.plan, each.name) is None]
    with _training(name):
        wanted = [each.name in {one.name for one in lacking} for each in block]
        outcomes = fit_together(block, wanted, keeper=keeper, listen=listen, stopped=stopped)
        if isinstance(outcomes, str):
            return outcomes
        for each, (module, known) in zip(lacking, outcomes, strict=True):
            if isinstance(known, ModelError):
                problems = [asdict(problem) for problem in known.problems]
                failed = _place(each.space.plan, each.name).with_suffix(FAILED)
                write_text(failed, json.dumps(problems) + "\n")
            else:
                _written(each, device, module, known)
    keeper.remove()
    return None


def _told(failed: Path) -> ModelError:
    """Why a replica failed, as it was written down: the next run tries again."""
    problems = [Problem(**problem) for problem in json.loads(failed.read_bytes())]
    failed.unlink()
    return ModelError(problems)


def training_of(space: Workspace, name: str) -> str:
    """What tells the training of a model from others: that of replicas that are trained together is one."""
    block = block_of(space, name)
    return (_place_of_block(block) if block else _place(space.plan, name)).stem


def _place_of_block(block: Sequence[Replica]) -> Path:
    """Where the state of a block is kept while it is trained, and what is locked meanwhile."""
    key = content_key([content_key(each.space.plan.recipes[each.name]) for each in block])
    return cache_folder() / "checkpoints" / key[:2] / f"{key}.safetensors"


def _keeper(space: Workspace, name: str, path: Path, device: str, listen: Listener) -> Keeper:
    document = space.plan.recipes[name]
    lasting = not document["data"].startswith(NOT_CACHEABLE) and "never cached" not in document["origin"]
    return Keeper(path.with_suffix(".partial"), path.stem, device, name, listen, lasting)


def _training(name: str) -> AbstractContextManager[None]:
    """Whatever a model's own code raises is a :class:`~symbench.base.errors.ModelError`."""
    return foreign(ModelError, name, "training it", "a model of the training set's images and classes")


def _written(replica: Replica, device: str, module: nn.Module, record: Record) -> Checkpoint:
    """The weights in the cache, and a note beside them."""
    path = _place(replica.space.plan, replica.name)
    # copies, so that tied weights do not share memory in the file
    state = {key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with written(path) as temporary:
        save_file(state, temporary)
    measured = record.document()
    digest, seconds = sha256_file(path), record.progress.seconds
    note = {
        "seconds": seconds,
        "sha256": digest,
        "recipe": replica.space.plan.recipes[replica.name],
        "shown": record.progress.shown,
        "hardware": list(hardware(device).values()),
        "measured": measured,
    }
    write_text(path.with_suffix(".json"), json.dumps({**note, "digest": content_key(note)}) + "\n")
    return Checkpoint(path, digest, seconds, measured)


def restore(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into the module."""
    module.load_state_dict(load_file(checkpoint.path))
