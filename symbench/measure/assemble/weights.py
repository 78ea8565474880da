"""The weights that a suite names in a file: loaded into a module, and their digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from torch import nn

from symbench.base.errors import ConfigError, Problem
from symbench.base.paths import sha256_file
from symbench.domains.common.models.loading import load_into
from symbench.domains.common.models.weights import check_file, read
from symbench.measure.suite import Suite


def load_weights(module: nn.Module, suite: Suite, name: str, *, trust_pickle: bool) -> list[str]:
    """Load the file that the suite names into the module.

    Returns:
        What people should be told of it, such as keys that are none of the module's.

    Raises:
        ConfigError: the file cannot be read, or is of another architecture.
    """
    entry = suite.models[name]
    if entry.weights_file is None:
        return []
    where = suite.where("models", name, "weights")
    path = suite.folder / entry.weights_file
    states = read(path, where=where, trust_pickle=trust_pickle)
    try:
        return load_into(module, states, where=where, file=entry.weights_file, key=entry.weights_key)
    except ConfigError as error:
        if "classes" not in entry.options:
            raise
        remedy = "If they are for another number of classes than the data has, add classes: to the entry."
        raise ConfigError([replace(problem, remedy=remedy) for problem in error.problems]) from error


def weights_digest(suite: Suite, name: str) -> str | None:
    """SHA-256 of the weights file, which is checked to be one, and of the key in it; None where there is no file."""
    entry = suite.models[name]
    if entry.weights_file is None:
        return None
    path = suite.folder / entry.weights_file
    where = suite.where("models", name, "weights")
    check_file(path, where=where)
    try:
        found = sha256_file(path)
    except OSError as error:
        raise ConfigError(Problem(where, f"{path.name} cannot be read: {error.strerror or error}")) from error
    key = entry.weights_key
    return found if key is None else hashlib.sha256(f"{found} {key}".encode()).hexdigest()
