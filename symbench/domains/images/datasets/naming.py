"""How messages name files, and what they say of names that nobody asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

SHOWN = 5
LONGEST = 80
"""Characters of a file's name that a message shows."""


def first_few(reasons: Mapping[str, str], count: int | None = None) -> str:
    """Some names with their reasons, ``a.jpg (the file is empty), ... and 3 more``, of ``count`` in all."""
    shown = [f"{short(name)} ({reason})" if reason else short(name) for name, reason in reasons.items()][:SHOWN]
    more = (len(reasons) if count is None else count) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def unused(name: str, option: str, known: Collection[str], where: str) -> list[str]:
    """A remark where there seem to be labels and none are asked for."""
    return [f"{where}: {name!r} is not used. For labels, say {option}: {name}."] if name in known else []


def short(name: str) -> str:
    """A name for a message: a long one loses its middle."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]}...{name[-half:]}"
