"""Reading weights from files that may not be trusted."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from symbench.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.paths import beside, is_file

PICKLE_SAFE_FROM = (2, 10)
"""The torch release from which ``weights_only=True`` has no known hole."""
SUFFIXES = {".safetensors", ".pt", ".pth", ".bin", ".ckpt"}
WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "network", "params")
"""Keys under which training scripts keep the state dict of a checkpoint."""
PARENTS = ("model.", "net.", "network.", "backbone.")
"""Attributes under which training frameworks and users keep the network, and so prefixes of its keys."""


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, *, where: str) -> None:
    """Refuse a file that is missing, empty or of another kind, before any work is done.

    Raises:
        ConfigError: with what is wrong.
    """
    if not is_file(path):
        miss = near_miss(path.name, beside(path))
        raise ConfigError(Problem(where, f"got {quoted(path.name)}", f"a file at {path}", miss))
    if path.suffix not in SUFFIXES:
        raise ConfigError(Problem(where, f"got {path.name!r}", "a .safetensors, .pt or .pth file (or .bin, .ckpt)"))
    if path.stat().st_size == 0:
        raise ConfigError(Problem(where, f"{path.name} is empty", "a state dict"))


def reads_pickles_safely(version: str) -> bool:
    """Whether this release of torch can be trusted to read a pickle without running what is in it."""
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2]) >= PICKLE_SAFE_FROM


def read(path: Path, *, where: str, trust_pickle: bool = False) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` file or a checkpoint of torch's, on the CPU, out of its wrappings.

    Raises:
        ConfigError: the file cannot be read, needs pickle, or holds something else.
    """
    check_file(path, where=where)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found: dict[str, Tensor] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ConfigError(Problem(where, f"{path.name} cannot be read: {error}", "a safetensors file")) from error
        return _plain(found)
    if not trust_pickle and not reads_pickles_safely(torch.__version__):
        raise ConfigError(
            Problem(
                where,
                f"{path.name} is a pickle and torch {torch.__version__} cannot read one safely",
                "a .safetensors file",
                "Upgrade torch to 2.10 or later, convert the file, or pass --trust-pickle.",
            )
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*looks like a TorchScript archive", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            Problem(
                where,
                f"{path.name} is no plain state dict: {str(error).splitlines()[0]}",
                "tensors only",
                "Save module.state_dict(), or pass --trust-pickle if you trust its maker: it may run code.",
            )
        ) from error
    except Exception as error:  # torch.load raises many kinds for a broken archive
        whole = "A whole program goes into use:." if "TorchScript" in str(error) else None
        got = f"{path.name} cannot be read: {error}".splitlines()[0]
        raise ConfigError(Problem(where, got, "a state dict" if whole else None, whole)) from error
    return _unwrap(state, path, where)


def _unwrap(state: object, path: Path, where: str) -> dict[str, Tensor]:
    found = _inside(state)
    if isinstance(found, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items()):
        return _plain(found)
    remedy = None
    if isinstance(found, dict):
        odd = [repr(key) for key, value in found.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
        remedy = f"No named tensors: {one_of(odd[:5])}. It may stand under one of {', '.join(WRAPPINGS)}."
    got = f"{path.name} holds a {type(found).__name__}"
    raise ConfigError(Problem(where, got, "a state dict of tensors", remedy))


def _inside(state: object) -> object:
    """What the wrappings of a checkpoint hold; a whole module's state."""
    for key in WRAPPINGS:
        if isinstance(state, dict) and isinstance(state.get(key), (dict, nn.Module)):
            return _inside(state[key])
    return dict(state.state_dict()) if isinstance(state, nn.Module) else state


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefixes that data-parallel training and ``torch.compile`` leave."""
    return dict(zip(_plain_keys(list(state)), state.values(), strict=True))


def _plain_keys(keys: list[str]) -> list[str]:
    keys = [key.replace("_orig_mod.", "") for key in keys]
    prefix = "module."
    while keys and all(key.startswith(prefix) for key in keys):
        keys = [key.removeprefix(prefix) for key in keys]
    return keys


def _fitted(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The state with the prefix of the attribute that holds the network taken off or put before, if then all fits."""
    for prefix in PARENTS:
        for changed in (
            {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)},
            {prefix + key: value for key, value in state.items()},
        ):
            if set(changed) == wanted and len(changed) == len(state):
                return changed
    return state


def load_into(module: nn.Module, state: dict[str, Tensor], *, where: str) -> None:
    """Load a state dict, every key or none; only counters of batches may be missing.

    Raises:
        ConfigError: keys or shapes differ, with the first few of each.
    """
    values = module.state_dict()
    names = dict(zip(_plain_keys(list(values)), values, strict=True))
    own = {plain: values[name] for plain, name in names.items()}
    state = state if set(state) == set(own) else _fitted(_plain(state), set(own))
    missing = sorted(key for key in set(own) - set(state) if not key.endswith("num_batches_tracked"))
    unexpected = sorted(set(state) - set(own))
    shapes = [
        f"{key} is {tuple(state[key].shape)} and the model's {tuple(own[key].shape)}"
        for key in sorted(set(own) & set(state))
        if own[key].shape != state[key].shape
    ]
    complaints = [
        f"{len(keys)} {what}: {one_of(keys[:5])}"
        for what, keys in (
            ("missing keys", missing),
            ("unexpected keys", unexpected),
            ("other shapes", shapes),
        )
        if keys
    ]
    if complaints:
        raise ConfigError(
            Problem(
                where,
                "the weights are of another architecture: " + "; ".join(complaints),
                f"the {len(own)} keys of {type(module).__name__}",
            )
        )
    module.load_state_dict({names[key]: value for key, value in state.items()}, strict=False)
