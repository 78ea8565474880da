"""Replicas that are trained together beside replicas that are trained one by one: a step of each model of the studies."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.table import Figure, say
from symbench import Choices
from symbench.base import document
from symbench.face.api import prepare
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.trial import seconds_per_sample

STUDIES = Path(__file__).parents[2] / "suites" / "studies"
CASES = {
    "support-cnn, 9 px": ("breaking-across-seeds", "symmetric"),
    "mlp, 17 px": ("over-constraint", "turns-mlp"),
    "mlp, 28 px": ("translation", "mlp"),
    "cnn, 17 px": ("over-constraint", "turns-cnn"),
    "cnn, 28 px": ("translation", "cnn"),
    "p4-cnn, 17 px": ("over-constraint", "turns-invariant"),
    "p4-orientation, 17 px": ("over-constraint", "turns-equivariant"),
    "vit, 28 px": ("positional-encoding", "learned"),
}
"""A study and the model in it that is trained; the recipes are those of the studies."""
REPLICAS, ROUNDS = (5, 24), 3
PAYS = 1.5
"""How many times as fast it has to be in the suites that ask for it."""
CHOSEN = {"support-cnn, 9 px", "mlp, 17 px", "mlp, 28 px"}


def planned(folder: Path, study: str, model: str, replicas: int, *, together: bool) -> Workspace:
    """The first replica of one model of a study."""
    suite = document.read(STUDIES / f"{study}.yaml").data
    entry = suite["models"][model]
    recipe = {key: value for key, value in entry["train"].items() if key != "together"}
    recipe |= {"together": replicas} if together else {}
    models = {**suite["models"], model: {**entry, "train": recipe}}
    path = folder / f"{study}-{model}-{replicas}-{together}.yaml"
    path.write_text(json.dumps({**suite, "models": models, "sweep": {"seeds": replicas}}))  # which is YAML too
    return prepare(path, Choices(only=f"model={model}-seed-0"))[0]


def figures(device: str = "cpu", *, quick: bool = False) -> Iterator[Figure]:
    """Of each model, how many times as fast a replica's step is as alone, both in turns."""
    with tempfile.TemporaryDirectory() as name:
        for what, (study, model) in CASES.items():
            for replicas in REPLICAS[: 1 if quick else None]:
                spaces = [planned(Path(name), study, model, replicas, together=there) for there in (False, True)]
                rounds = []
                for number in range(1 + (1 if quick else ROUNDS)):
                    alone, together = (min(seconds_per_sample(s, f"{model}-seed-0", device=device)) for s in spaces)
                    rounds += [alone / together] if number else []  # the first one warms up
                say(f"{what}, {replicas}: {1e6 * alone:.0f} us a sample alone, {1e6 * together:.0f} us together")
                limit = PAYS if what in CHOSEN else None
                yield Figure.over(f"{what}: {replicas} replicas together, times as fast", rounds, at_least=limit)
