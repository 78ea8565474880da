"""Which parts of two identities differ, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WORDS = {
    "modules": "module {}", "distributions": "package {}", "files": "file {}",
    "environment": "environment variable {}",
    "state": "the weights that it is built with", "attributes": "what the module holds beside its weights",
    "weights": "the weights file", "versions": "symbench's way of measuring", "dataset": "the dataset",
    "preprocessing": "preprocessing ({})", "numerics": "numerics ({})", "symmetry": "the symmetry ({})",
    "controls": "controls ({})", "options": "option {}", "args": "argument {}", "data": "the training data",
    "recipe": "the recipe ({})", "augment": "augmentation", "labels": "which output each class is",
    "source": "the model's source", "shapes": "the images' shape", "limit": "--limit",
}  # fmt: skip
"""What a part is called, by the key that it stands under; what is within may stand in the braces."""


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What changed between two identities of one cell, a few words each: ``module mylib.layers``."""
    words = (_worded(path, one, other) for path, one, other in _changed(before, after, ()))
    return list(dict.fromkeys(words))  # two entries of one list read alike


def _changed(before: object, after: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The smallest parts that differ, each with its path, before and after."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from _changed(before.get(key), after.get(key), (*path, str(key)))
    elif before != after:
        yield path, before, after


def _worded(path: tuple[str, ...], before: object, after: object) -> str:
    """What changed, in words: those of the outermost key on the path that has any."""
    if path[:2] == ("model", "recipe"):  # what is trained has the words of what is not
        path = path[2:] or ("the recipe",)
    path = path[1:] if path[0] == "origin" and path[1:] else path
    for position, key in enumerate(path):
        words = WORDS.get(key)
        if words is not None and (path[position:] or "{}" not in words):
            return _filled(words, path[position + 1 :], before, after)
    return ".".join(path)


def _filled(words: str, within: tuple[str, ...], before: object, after: object) -> str:
    """Words with the name of what is within put into their braces, and what became of it."""
    if "{}" not in words:
        return words
    text = words.format(within[0] if within else "").replace(" ()", "").strip()
    if within[1:2] == ("version",):
        return f"{text} ({before} -> {after})"
    if within[1:2] == ("edited",):
        return f"{text} ({'/'.join(within[2:])} was edited in place)" if within[2:] else f"{text} (edited in place)"
    gone = "is gone" if after is None else "is new" if before is None else ""
    return f"{text} {gone}".strip()
