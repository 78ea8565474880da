"""YAML files as plain data that remembers its lines, read without running or expanding anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from symbench.base.errors import Problem, SuiteError, cut, encodable, quoted

SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
MOST_LEVELS = 50
"""Mappings and lists within one another; more is refused."""
MOST_NODES = 20_000
"""A file that comes to more values than this once its aliases are followed is refused."""
MOST_BYTES = 1 << 20
WHOLE = range(-(2**63), 2**64)
"""Whole numbers that everything below can take."""

Path_ = tuple[str | int, ...]
"""The keys and numbers of list items that lead to a part of a document: ``("gates", 0, "metric")``."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's scalars: ``on`` and ``no`` are words, ``1e-5`` is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, regex)
        for tag, regex in resolvers
        if tag.rpartition(":")[2] not in {"bool", "int", "float", "timestamp"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_YAML12 = {
    "tag:yaml.org,2002:int": (r"^[-+]?(?:0|[1-9][0-9]*)$|^0x[0-9a-fA-F]+$", "-+0123456789"),
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "tag:yaml.org,2002:float": (
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
}


def _install() -> None:
    import re

    for tag, (pattern, first) in _YAML12.items():
        _Loader.add_implicit_resolver(tag, re.compile(pattern), list(first))


_install()


@dataclass(frozen=True)
class Document:
    """A YAML file's data and where each part of it stands.

    Attributes:
        path: the file.
        data: mappings, lists and scalars.
        lines: the line of every key and list item, from 1.
    """

    path: Path
    data: Any
    lines: dict[Path_, int]

    def line(self, path: Path_) -> int:
        """The line of the nearest part that stands in the file."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)

    def where(self, path: Path_) -> str:
        """``quick.yaml:14: symmetries.rotations.border``: the line of the nearest part that stands in the file."""
        return _where(self.path, self.line(path), path)


def read(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        SuiteError: it is missing or unreadable, or as :func:`parse`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode()
    except FileNotFoundError as error:
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        remedy = f"There is {', '.join(near[:5])}." if near else "'symbench new' writes one."
        raise SuiteError(Problem(str(path), "no such file", "a suite", remedy)) from error
    except (OSError, ValueError) as error:
        raise SuiteError(Problem(str(path), f"cannot be read: {error}", "a suite in UTF-8")) from error
    if len(content) > MOST_BYTES:
        raise SuiteError(Problem(str(path), f"more than {MOST_BYTES:,} bytes", "a smaller file"))
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """Read YAML text; ``path`` is what messages call it.

    Raises:
        SuiteError: it is no YAML, has a key twice, or is too large.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except RecursionError as error:
        raise SuiteError(Problem(path.name, f"more than {MOST_LEVELS} levels", "a flatter file")) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SuiteError(Problem(f"{path.name}:{line}", f"this is no YAML: {reason}")) from error
    walker = _Walker(path)
    data = walker.value(node, ()) if node is not None else None
    return Document(path, data, walker.lines)


class _Walker:
    """Turns PyYAML's nodes into plain data, refuses what is too large, and notes the line of every key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Path_, int] = {}
        self.count = 0
        self.loader = _Loader("")

    def value(self, node: Node, keys: Path_) -> Any:
        """A node, and all below it, as mappings, lists and scalars."""
        # Counted here and not by the file's size: aliases make 2^50 values of a kilobyte ("billion laughs").
        self.count += 1
        if self.count > MOST_NODES or len(keys) > MOST_LEVELS:
            got = f"more than {MOST_NODES} values or {MOST_LEVELS} levels"
            raise self._refused(node, keys[:3], got, "a smaller file")
        if isinstance(node, MappingNode):
            return dict(self._pairs(node, keys))
        if isinstance(node, SequenceNode):
            return [self._item(child, (*keys, i)) for i, child in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.tag in SCALARS:
            return self._scalar(node, keys)
        raise self._refused(node, keys, f"got the tag {node.tag}")

    def _scalar(self, node: ScalarNode, keys: Path_) -> Any:
        """A number, a word, true, false or null; what is not finite or too large for 64 bits is refused."""
        text, kind = cut(node.value, 100), node.tag.rpartition(":")[2]
        try:
            value = self.loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, LookupError) as error:  # whatever a tag of its own makes of a text
            raise self._refused(node, keys, f"{text!r} cannot be read as {kind}") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refused(node, keys, f"got {text}", "a finite number")
        if isinstance(value, int) and value not in WHOLE:
            raise self._refused(node, keys, f"got {text}", "a whole number of at most 64 bits")
        return self._text(node, keys) if isinstance(value, str) else value

    def _text(self, node: ScalarNode, keys: Path_) -> str:
        """A scalar as text; what cannot be encoded, or holds NUL, is refused."""
        text = str(node.value)
        if "\0" in text or encodable(text) != text:
            raise self._refused(node, keys, f"got {quoted(text)}", "text without NUL and halves of characters")
        return text

    def _item(self, node: Node, keys: Path_) -> Any:
        self.lines[keys] = node.start_mark.line + 1
        return self.value(node, keys)

    def _pairs(self, node: MappingNode, keys: Path_) -> Iterator[tuple[str, Any]]:
        """The keys of a mapping with their values; a key twice is refused, where PyYAML takes the last."""
        known: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._refused(key_node, keys, "a key that is no word")
            key = self._text(key_node, keys)
            if key in known:
                raise self._refused(key_node, keys, f"the key {quoted(key)} stands here a second time")
            known.add(key)
            self.lines[(*keys, key)] = key_node.start_mark.line + 1
            yield key, self.value(value_node, (*keys, key))

    def _refused(self, node: Node, keys: Path_, got: str, expected: str = "plain YAML") -> SuiteError:
        return SuiteError(Problem(_where(self.path, node.start_mark.line + 1, keys), got, expected))


def _where(path: Path, line: int, keys: Path_) -> str:
    key = cut(".".join(str(part) for part in keys), 200)
    return f"{path.name}:{line}: {key}" if key else f"{path.name}:{line}"
