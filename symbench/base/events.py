"""Progress as plain events. The library emits them; only the command line turns them into bars and lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """A task of ``total`` ``unit``s has begun, maybe within one that is under way: a control within its cell."""

    task: str
    total: int
    unit: str


@dataclass(frozen=True)
class Advanced:
    """The innermost running task did ``steps`` more units; ``note`` is a short figure worth showing (a loss)."""

    steps: int
    note: str = ""


@dataclass(frozen=True)
class Finished:
    """The innermost running task has ended, well or not."""


@dataclass(frozen=True)
class Note:
    """One line for people: a cell closed, a cell failed, a file written."""

    text: str
    warning: bool = False


Event = Started | Advanced | Finished | Note
Listener = Callable[[Event], None]


def once(listen: Listener) -> Listener:
    """A listener that hears each note once: what is said of a model's outputs is so of all its cells."""
    told: set[str] = set()

    def hear(event: Event) -> None:
        if not isinstance(event, Note) or event.text not in told:
            listen(event)
        if isinstance(event, Note):
            told.add(event.text)

    return hear


def ignore(event: Event) -> None:
    """The listener of callers who do not want to hear anything."""


def never() -> bool:
    """The answer to "shall it stop?" of callers who never want work to stop."""
    return False
