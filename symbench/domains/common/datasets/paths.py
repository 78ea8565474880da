"""Paths of data that suites name."""

from __future__ import annotations

from pathlib import Path

from symbench.base.errors import ConfigError, Problem, near_miss


def checked_path(folder: Path, path: str, split: str, *, key: str, where: str) -> Path:
    """The full path of data that a suite names, checked to exist, with ``{split}`` replaced.

    Raises:
        ConfigError: it does not exist, or has no place for the split that is asked for.
    """
    if split == "train" and "{split}" not in path:
        got, expected = f"{key}: {path} has no training split", f"{{split}} in {key}, which stands for train or test"
        raise ConfigError(Problem(where, got, expected))
    full = folder / path.replace("{split}", split)
    try:
        if full.exists():
            return full
        near = [entry.name for entry in full.parent.iterdir()] if full.parent.is_dir() else []
    except OSError as error:
        raise ConfigError(Problem(where, f"{full} cannot be opened: {error.strerror or error}")) from error
    raise ConfigError(Problem(where, f"{full} does not exist", None, near_miss(full.name, near)))
