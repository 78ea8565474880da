"""Reading weights from files that may not be trusted."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from symbench.errors import ConfigError, Problem, near_miss, one_of

PICKLE_SAFE_FROM = (2, 10)
"""The torch release from which ``weights_only=True`` has no known hole."""


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, *, where: str) -> None:
    """Refuse a file that is missing, empty or of another kind, before any work is done.

    Raises:
        ConfigError: with what is wrong.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(Problem(where, f"got {path.name!r}", f"a file at {path}", near_miss(path.name, near)))
    if path.suffix not in {".safetensors", ".pt", ".pth"}:
        raise ConfigError(Problem(where, f"got {path.name!r}", "a .safetensors, .pt or .pth file"))
    if path.stat().st_size == 0:
        raise ConfigError(Problem(where, f"{path.name} is empty", "a state dict"))


def read(path: Path, *, where: str, trust_pickle: bool = False) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors``, ``.pt`` or ``.pth`` file, on the CPU.

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
    release = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if release < PICKLE_SAFE_FROM and not trust_pickle:
        raise ConfigError(
            Problem(
                where,
                f"{path.name} is a pickle and torch {torch.__version__} cannot read one safely",
                "a .safetensors file",
                "Upgrade torch to 2.10 or later, convert the file, or pass --trust-pickle.",
            )
        )
    try:
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
        raise ConfigError(Problem(where, f"{path.name} cannot be read: {error}".splitlines()[0])) from error
    return _unwrap(state, path, where)


def _unwrap(state: object, path: Path, where: str) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise ConfigError(Problem(where, f"{path.name} holds a {type(state).__name__}", "a state dict of tensors"))
    return _plain(state)


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefix that data-parallel training leaves."""
    prefix = "module."
    if state and all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def load_into(module: nn.Module, state: dict[str, Tensor], *, where: str) -> None:
    """Load a state dict, every key or none.

    Raises:
        ConfigError: keys or shapes differ, with the first few of each.
    """
    own = module.state_dict()
    missing = sorted(set(own) - set(state))
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
    module.load_state_dict(state)
