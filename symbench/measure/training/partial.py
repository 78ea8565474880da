"""What a training that was stopped goes on from: its whole state, in one file that appears at once or not at all.

Tensors lie in it as safetensors, everything else as JSON in that format's header: nothing in it can run code.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from symbench.base.errors import Problem
from symbench.base.events import Listener, Note
from symbench.measure.objective import Objective
from symbench.measure.store import content_key, is_sealed, written
from symbench.measure.training.record import Progress

VERSION = 2
SAVED_EVERY = 30.0
"""Seconds between two savings, at the ends of batches."""
WORTH = 20
"""Times as long as saving takes, which it is not done more often than: large states would slow training down."""
STATE = "state"
"""What the JSON is called in the file's header."""


@dataclass
class Session:
    """Everything of a training that changes while it goes on.

    Attributes:
        module: with its weights, on its device.
        optimiser: of its parameters. Replicas that are trained together have one for all of them.
        schedule: of the optimiser's rate; likewise.
        generator: draws the order of samples, and elements.
        objective: knows what the first batch has shown.
        progress: how far it has come.
        order: the samples of the epoch that is under way, ``(m,)``; None between two.
        best: the state dict of the lowest validation loss; empty where none is kept.
        failure: why it cannot go on; None while it can.
    """

    module: nn.Module
    optimiser: Optimizer
    schedule: LRScheduler
    generator: torch.Generator
    objective: Objective
    progress: Progress = field(default_factory=Progress)
    order: Tensor | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    failure: Problem | None = None


@dataclass
class Keeper:
    """Saves a training's state now and then, and finds it again.

    Attributes:
        path: the file.
        owner: whose state it is: the recipe's key.
        device: where it is trained, ``cpu`` or ``cuda:0``; states of another kind of device are not gone on from.
        name: the model's, for messages.
        listen: hears of what cannot be used or saved.
        lasting: whether the recipe will be the same in another run; where it is not, nothing is saved.
        saved: when it was saved last, by the monotonic clock.
        cost: seconds that it took.
    """

    path: Path
    owner: str
    device: str
    name: str
    listen: Listener
    lasting: bool = True
    saved: float = field(default_factory=time.perf_counter)
    cost: float = 0.0
    failed: bool = False

    def due(self) -> bool:
        """Whether it is time to save again."""
        return self.lasting and time.perf_counter() - self.saved >= max(SAVED_EVERY, WORTH * self.cost)

    def save(self, sessions: Sequence[Session]) -> bool:
        """Save the state of a training, or of replicas that are trained together; whether that was possible.

        A training does not end because a disk is full.
        """
        if not self.lasting:
            return False
        start = time.perf_counter()
        try:
            _write(self.path, sessions, self.owner, _kind(self.device))
        except (OSError, SafetensorError) as error:
            if not self.failed:
                self.listen(Note(f"{self.name}: its training's state cannot be saved: {error}", warning=True))
            self.failed = True
            return False
        finally:
            self.saved = time.perf_counter()
            self.cost = self.saved - start
        return True

    def restore(self, sessions: Sequence[Session]) -> bool:
        """Bring fresh sessions to the saved state; False where there is none that can be used, with a note."""
        self._sweep()
        if not self.path.exists():
            return False
        read = _read(self.path, self.owner, _kind(self.device))
        if not isinstance(read, str) and not _fits(sessions, read[1]):
            read = "does not fit the model"
        if isinstance(read, str):
            said = f"{self.name}: {self.path.name} {read}: the training starts from nothing"
            self.listen(Note(said, warning=True))
            return False
        _apply(sessions, *read)
        return True

    def remove(self) -> None:
        """Remove the state: the training is done, or not to be gone on with."""
        self.path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what a process left that was killed while it was writing; nobody else is at this recipe now."""
        for left in self.path.parent.glob(f".{self.path.stem}.*"):
            left.unlink(missing_ok=True)


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _write(path: Path, sessions: Sequence[Session], owner: str, kind: str) -> None:
    first = sessions[0]
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in _tensors(sessions, kind).items()}
    groups = [{k: v for k, v in group.items() if k != "params"} for group in first.optimiser.param_groups]
    document = {
        "version": VERSION,
        "owner": owner,
        "device": kind,
        "tensors": _digest(tensors),
        "groups": groups,
        "schedule": [first.schedule.last_epoch, first.schedule._step_count],
        "replicas": [
            {
                "noticed": session.objective.noticed(),
                "progress": session.progress.document(),
                "failure": None if session.failure is None else asdict(session.failure),
            }
            for session in sessions
        ],
    }
    document = json.loads(json.dumps(document))  # what is digested is what a reader will parse
    text = json.dumps({**document, "digest": content_key(document)})
    with written(path) as temporary:
        save_file(tensors, temporary, metadata={STATE: text})


def _tensors(sessions: Sequence[Session], kind: str) -> dict[str, Tensor]:
    """All tensors of sessions with one optimiser, by names that say what they are of."""
    found = {"random.global": torch.get_rng_state()}
    if kind == "cuda":
        found["random.cuda"] = torch.cuda.get_rng_state()
    for number, values in sessions[0].optimiser.state_dict()["state"].items():
        found |= {f"optimiser.{number}.{key}": value for key, value in values.items() if isinstance(value, Tensor)}
    for number, session in enumerate(sessions):
        found |= {f"{number}.{name}": value for name, value in _own(session).items()}
    return found


def _own(session: Session) -> dict[str, Tensor]:
    """The tensors of a session that no other has."""
    found = {f"model.{name}": value for name, value in session.module.state_dict().items()}
    found |= {f"best.{name}": value for name, value in session.best.items()}
    found["random.own"] = session.generator.get_state()
    return found if session.order is None else {**found, "order": session.order}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors with their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, owner: str, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]] | str:
    """What :func:`_write` wrote, or why it cannot be used, in words."""
    try:
        with safe_open(path, "pt") as file:
            document = json.loads((file.metadata() or {})[STATE])
            if not is_sealed(document) or "digest" not in document or document["version"] != VERSION:
                return "is not what was written"
            if document["owner"] != owner:
                return "is of another recipe"
            if document["device"] != kind:
                return f"is of a training on {document['device']}"
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
            sound = _digest(tensors) == document["tensors"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return "cannot be read"
    return (document, tensors) if sound else "is not what was written"


def _fits(sessions: Sequence[Session], tensors: Mapping[str, Tensor]) -> bool:
    """Whether the weights are those of these modules: some make theirs when they first run."""
    return all(
        {name: value.shape for name, value in session.module.state_dict().items()}
        == {name: value.shape for name, value in _within(tensors, f"{number}.model.").items()}
        for number, session in enumerate(sessions)
    )


def _apply(sessions: Sequence[Session], document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Bring fresh sessions to what :func:`_read` gave."""
    optimiser, schedule = sessions[0].optimiser, sessions[0].schedule
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _within(tensors, "optimiser.").items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    numbered = optimiser.state_dict()["param_groups"]
    groups = [
        {**{k: tuple(v) if isinstance(v, list) else v for k, v in group.items()}, "params": own["params"]}
        for group, own in zip(document["groups"], numbered, strict=True)
    ]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    # Its other attributes follow from the recipe, or from the optimiser's rates; schedules differ in what their own
    # load_state_dict asks for.
    last, count = document["schedule"]
    vars(schedule).update({"last_epoch": last, "_step_count": count})
    for row, (session, replica) in enumerate(zip(sessions, document["replicas"], strict=True)):
        own = _within(tensors, f"{row}.")
        session.module.load_state_dict(_within(own, "model."))
        session.objective.take_over(replica["noticed"])
        session.progress = Progress.of(replica["progress"])
        session.order, session.best = own.get("order"), _within(own, "best.")
        session.generator.set_state(own["random.own"])
        session.failure = None if replica["failure"] is None else Problem(**replica["failure"])
    torch.set_rng_state(tensors["random.global"])
    if "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"])


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
