"""Completion by the shell: its script, and what could stand where names of ours do."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from symbench.face.cli.base import cli
from symbench.face.terminal import say

PROGRAM = "symbench"
VARIABLE = "_SYMBENCH_COMPLETE"
"""What a shell's script sets when it asks; the name is click's."""
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell's completion script.

    bash: eval "$(symbench completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc, after compinit;
    fish: symbench completion fish > ~/.config/fish/completions/symbench.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    say(found(cli, {}, PROGRAM, VARIABLE).source(), end="")


def _items(names: Iterable[str], incomplete: str, *, or_file: bool) -> list[CompletionItem[str]]:
    """The names that begin so. A file's name is completed by the shell itself, where no other fits."""
    items = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *items] if or_file else items


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Ids of the results folder's runs, the newest first, or a file."""
    del param
    folder = Path(ctx.params.get("results") or "results") / "runs"
    names = sorted((path.stem for path in folder.glob("*.json")), key=lambda name: name.split("-")[-2:], reverse=True)
    return _items(names, incomplete, or_file=True)


def names_of(*tables: str, or_file: bool = False) -> Completer:
    """What can be named of tables such as ``symbench.algebra.groups:GROUPS``, as far as the names are whole."""

    def found(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        del ctx, param
        rooms = [path.partition(":") for path in tables]
        known: list[Any] = [getattr(importlib.import_module(module), name) for module, _, name in rooms]
        return _items((n for table in known for n in table.names() if "<" not in n), incomplete, or_file=or_file)

    return found
