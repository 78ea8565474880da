"""Reading weights from files that may not be trusted."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.base.paths import beside, is_file

PICKLE_SAFE_FROM = (2, 10)
"""The torch release from which ``weights_only=True`` has no known hole."""
SUFFIXES = {".safetensors", ".pt", ".pth", ".bin", ".ckpt"}
DEEPEST = 4
"""Mappings within one another that are searched for state dicts."""

State = dict[str, Tensor]
"""Named tensors."""


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


def read(path: Path, *, where: str, trust_pickle: bool = False) -> dict[str, State]:
    """The state dicts in a ``.safetensors`` file or a checkpoint of torch's, on the CPU.

    Returns:
        Each by the keys under which it stands, ``model.ema`` for one within another; empty for the file itself.

    Raises:
        ConfigError: the file cannot be read, needs pickle, or holds something else.
    """
    check_file(path, where=where)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return {"": load_file(path)}
        except (SafetensorError, OSError) as error:
            raise ConfigError(Problem(where, f"{path.name} cannot be read: {error}", "a safetensors file")) from error
    held = _unpickled(path, where, trust_pickle=trust_pickle)
    states = dict(_states(held))
    if not states:
        keys = f"No named tensors: {one_of([repr(key) for key in held][:5])}. " if isinstance(held, dict) else ""
        got, remedy = f"{path.name} holds a {type(held).__name__}", f"{keys}Save module.state_dict()."
        raise ConfigError(Problem(where, got, "a state dict of tensors", remedy))
    return states


def _unpickled(path: Path, where: str, *, trust_pickle: bool) -> object:
    """Read what ``torch.save`` wrote, without running code that may stand in it unless ``trust_pickle`` says so."""
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
            held: object = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
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
    return held


def _states(held: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """The state dicts within something, itself first: training scripts wrap them in many ways.

    What else stands in one, such as the number of the epoch, is no part of it. An optimiser's are numbered.
    """
    if isinstance(held, nn.Module):
        held = dict(held.state_dict())
    if not isinstance(held, Mapping) or depth > DEEPEST:
        return
    named = {key: value for key, value in held.items() if isinstance(key, str)}
    tensors = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    if tensors and len(named) == len(held):
        yield path, tensors
    for key, value in named.items():
        yield from _states(value, f"{path}.{key}" if path else key, depth + 1)
