"""Who may import whom, what a light command may import, and which names are public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping, Set
from pathlib import Path

import pytest
from conftest import ROOT, Folder, Symbench

import symbench

PACKAGE = ROOT / "symbench"


FLOORS = ("base", "algebra", "domains", "measure", "read", "face")
"""From the ground up: a module imports its own floor and lower ones."""
DOORS = {"fields", "testing"}
"""Files at the top that only pass on, under names that stay."""


def floors_in_readme() -> list[str]:
    """The floors that README's table shows, from the ground up."""
    rows = [re.fullmatch(r"\| `(\w+)/` \|.*\|", line) for line in (ROOT / "README.md").read_text().splitlines()]
    return [row[1] for row in rows if row][::-1]


def imports(path: Path, text: str | None = None) -> set[str]:
    """Every floor that a file imports, anywhere in it, type checking included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text() if text is None else text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = [*path.relative_to(PACKAGE.parent).parts][: -node.level] if node.level else []
            stem = ".".join([*package, *([node.module] if node.module else [])])
            names = [f"symbench.{alias.name}" for alias in node.names] if stem == "symbench" else [stem]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("symbench.")}
    return found & {*FLOORS, *DOORS}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def violations(source: str, imported: set[str]) -> list[str]:
    """The imports that lead upwards; doors are for those outside."""
    table = {**{name: i for i, name in enumerate(FLOORS)}, **dict.fromkeys(DOORS, len(FLOORS))}
    return [f"{source} imports {other}" for other in imported if table[other] > table[source]]


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name not in {"__main__.py"} and p != PACKAGE / "__init__.py"]


def test_every_file_stands_on_a_floor_that_readme_shows() -> None:
    assert {room(p) for p in FILES} == {*FLOORS, *DOORS}
    assert floors_in_readme() == list(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_import_their_own_floor_and_lower_ones(path: Path) -> None:
    assert violations(room(path), imports(path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "from symbench import face",
        "import symbench.read.compare",
        "from symbench.read.report.tables import boards",
        "from symbench import testing",
        "from ..face import cli",
        "def f():\n    from symbench.face import api",
    ],
)
def test_the_test_above_can_fail(text: str) -> None:
    assert violations("measure", imports(PACKAGE / "measure" / "objective.py", text))


def name_of(path: Path) -> str:
    """A file as the module that it is."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_imported(text: str, name: str, known: Set[str], *, package: bool = False) -> set[str]:
    """Every one of the known modules that a module imports, anywhere in it, type checking included."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
            stem = ".".join([*above, *([node.module] if node.module else [])])
            parts = {f"{stem}.{alias.name}" for alias in node.names}
            found |= parts & known if parts <= known else (parts & known) | {stem}
    return (found & known) - {name}


def cycles(graph: Mapping[str, Set[str]]) -> list[list[str]]:
    """The modules that reach one another by imports, group by group."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen, waiting = set(), list(graph[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        reached[start] = seen
    groups = {tuple(sorted(b for b in reached[a] if a in reached[b])) for a in graph if a in reached[a]}
    return [list(group) for group in sorted(groups)]


def test_no_modules_import_one_another() -> None:
    """Not for types alone either: modules that need one another's types are one module, or lack a lower one."""
    files = {name_of(path): path for path in PACKAGE.rglob("*.py")}
    known = files.keys()
    graph = {
        name: modules_imported(path.read_text(), name, known, package=path.name == "__init__.py")
        for name, path in files.items()
    }
    assert sum(map(len, graph.values())) > 500, "the imports are seen"
    assert cycles(graph) == []


TYPES_ONLY = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from symbench.measure.plan.{} import Plan\n"
BACK = {
    "for types": TYPES_ONLY.format("resolve"),
    "at the top": "import symbench.measure.plan.resolve",
    "from the package": "from symbench.measure.plan import resolve",
    "relative": "from .resolve import Plan",
    "late": "def f():\n    from symbench.measure.plan.resolve import resolve",
}


@pytest.mark.parametrize("text", BACK.values(), ids=BACK)
def test_the_test_of_cycles_can_fail(text: str) -> None:
    """As plan/training.py once did, a module takes a type from the one that imports it."""
    known = {
        "symbench.measure.plan",
        "symbench.measure.plan.resolve",
        "symbench.measure.plan.training",
        "symbench.measure.plan.keys",
    }
    sources = {
        "symbench.measure.plan.resolve": "from symbench.measure.plan.keys import cell_of",
        "symbench.measure.plan.keys": "from symbench.measure.plan import training",
        "symbench.measure.plan.training": text,
    }
    graph = {name: modules_imported(source, name, known) for name, source in sources.items()}
    assert cycles(graph) == [
        ["symbench.measure.plan.keys", "symbench.measure.plan.resolve", "symbench.measure.plan.training"]
    ]


VERDICT = ("match", "draft", "decide", "question", "explain", "words", "__init__")
"""The files of the gate, each of which hands on to later ones."""


def backwards(name: str, text: str) -> list[str]:
    """The later files on the way to a verdict that one of them imports."""
    stems = re.findall(r"^from symbench\.read\.gate\.(\w+) import", text, re.MULTILINE)
    return [stem for stem in stems if stem in VERDICT and VERDICT.index(stem) >= VERDICT.index(name)]


@pytest.mark.parametrize("name", VERDICT)
def test_the_way_to_a_verdict_goes_one_way(name: str) -> None:
    assert backwards(name, (PACKAGE / "read" / "gate" / f"{name}.py").read_text()) == []


def test_the_test_of_that_way_can_fail() -> None:
    assert backwards(
        "match", "from symbench.read.gate.question import case_of\nfrom symbench.read.gate.text import x"
    ) == ["question"]


def placeless(text: str) -> list[str]:
    """Calls that look a name up in a table without saying where it was given."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return [
        ast.unparse(call)
        for call in calls
        if re.fullmatch(r"([A-Z]+|.*[Tt]ables?(\[.*\])?|groups\.GROUPS)\.find", ast.unparse(call.func))
        and not {keyword.arg for keyword in call.keywords} & {"where"}
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_name_is_looked_up_with_its_place(path: Path) -> None:
    """So that every error about one says file, line and key; names that were checked have ``row``."""
    assert placeless(path.read_text()) == []


def test_the_test_of_places_can_fail() -> None:
    text = "a = DATASETS.find(name)\nb = table.find(name, where=where)\nc = GROUPS.find(name, where='x')\nd = text.find('a')"
    assert placeless(text) == ["DATASETS.find(name)"]


LIGHT = {
    "--help": {"torch", "pandas", "numpy", "pydantic", "matplotlib"},
    "list": {"torch", "pandas", "matplotlib"},
    "report": {"torch", "torchvision", "sklearn"},
    "baseline set --reason x --force": {"torch", "torchvision", "sklearn", "matplotlib"},
    "baseline list": {"torch", "torchvision", "sklearn", "matplotlib"},
    "compare latest latest": {"torch", "torchvision", "sklearn"},
    "gate --inconclusive pass": {"torch", "torchvision", "sklearn", "matplotlib"},
}


@pytest.mark.parametrize("command", list(LIGHT))
def test_light_commands_import_nothing_heavy(command: str, folder: Folder, symbench: Symbench) -> None:
    folder.suite.write_text(folder.suite.read_text() + "gates:\n- {metric: accuracy, at_least: 0.0}\n")
    symbench("run", folder.suite, "--results", folder.results)
    latest = (folder.results / "latest").read_text().strip()
    has_results = command not in {"--help", "list"}
    words = [latest if word == "latest" else word for word in command.split()]
    arguments = [*words, *(["--results", str(folder.results)] if has_results else [])]
    code = (
        "import sys\nfrom symbench.face import cli\n"
        f"status = cli._status({arguments!r})\n"
        f"heavy = sorted({LIGHT[command]!r} & set(sys.modules))\n"
        "sys.stderr.write(f'heavy: {heavy}')\nsys.exit(status or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_that_test_can_fail() -> None:
    code = "import sys, symbench.measure.training.checkpoints; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 1


def test_public_names() -> None:
    expected = {
        "CellError", "Choices", "ConfigError", "Interrupted", "Run", "Suite", "SymbenchError", "__version__",
        "compare_runs", "judge_run", "load_suite", "open_run", "run", "set_baseline", "write_report",
    }  # fmt: skip
    assert set(symbench.__all__) == expected
    for name in expected:
        assert getattr(symbench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        symbench.nothing  # noqa: B018


def test_files_stay_small() -> None:
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 350}
    assert long == {}
