"""Fixtures: seeded generators, a private cache, and the command line in this process."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from filelock import FileLock

from symbench import open_run
from symbench.face import cli

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "tests" / "plugin"


MAY_SKIP = (
    "no CUDA device",
    "needs Debian's package dataset-fashion-mnist",
    "needs Debian's package chromium",
    "needs Debian's package texlive-latex-recommended",
    "the file system takes no such names",
    "needs the extra escnn",
    "needs the extra e2cnn",
    "needs the extra molecules",
    "needs the extra graphs",
    "needs the extra documents",
)
"""Reasons for which a test may be skipped in CI. Any other fails the run."""


LONGEST = ("quick", "operating", "coverage", "devices", "browser", "exact_models", "readme", "margins", "throughput")
"""Files of tests that take longest and come first: one that is begun last keeps one process busy alone. The README's
commands wait for the quick suite, and so do not follow it at once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, the others as they are."""
    order = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Fail a CI run in which something was skipped that is not on the list."""
    del config
    wrong = unlisted_skips(terminalreporter.stats.get("skipped", []))
    if wrong and os.environ.get("SYMBENCH_STRICT_SKIPS"):
        terminalreporter.write_line("skipped, and not on the list in tests/conftest.py:", red=True)
        for line in wrong:
            terminalreporter.write_line(f"  {line}", red=True)
        if terminalreporter._session is not None:
            terminalreporter._session.exitstatus = 1


def unlisted_skips(reports: Sequence[pytest.TestReport]) -> list[str]:
    """Tests that were skipped for a reason that is not on the list."""
    reasons = [(r.nodeid, str(r.longrepr[-1]) if isinstance(r.longrepr, tuple) else str(r.longrepr)) for r in reports]
    return [f"{test}: {reason}" for test, reason in reasons if not any(known in reason for known in MAY_SKIP)]


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep checkpoints of tests away from the user's, and from one another's runs."""
    before = os.environ.get("SYMBENCH_CACHE_DIR")
    os.environ["SYMBENCH_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["SYMBENCH_CACHE_DIR"]
    else:
        os.environ["SYMBENCH_CACHE_DIR"] = before


@pytest.fixture(scope="session", autouse=True)
def _libraries_are_no_garbage() -> None:
    """All is imported by now: what runs collect of their own is looked for among what they made, and not in that."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Symbench:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str | Path) -> Ran:
        self.capsys.readouterr()
        code = cli._status([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        return Ran(code, captured.out, captured.err)


@pytest.fixture
def symbench(capsys: pytest.CaptureFixture[str]) -> Symbench:
    return Symbench(capsys)


SMALL = """\
version: 1
name: small
datasets:
  blobs: {{use: "data.py:load"}}
models:
  mine: {{use: "model.py:build"}}
{models}
symmetries:
  turns: {{group: C4, on: image}}
{symmetries}
"""
DATA = "from symbench.testing import Blobs\n\n\ndef load(split='test', samples=24):\n    return Blobs(samples)\n"
APART = DATA.replace("Blobs(samples)", "Blobs(samples, seed=int(split == 'test'))")
"""With a test split of its own."""
MODEL = (
    "import torch\nfrom symbench.testing import Brightness\n\n\n"
    "def build():\n    torch.manual_seed(0)\n    return Brightness()\n"
)


@dataclass
class Folder:
    """A folder with a small suite of a user's own model and data."""

    path: Path

    @property
    def suite(self) -> Path:
        return self.path / "small.yaml"

    @property
    def results(self) -> Path:
        return self.path / "results"

    def write(self, *, models: str = "", symmetries: str = "", model: str = MODEL, data: str = DATA) -> None:
        self.suite.write_text(SMALL.format(models=models, symmetries=symmetries))
        (self.path / "model.py").write_text(model)
        (self.path / "data.py").write_text(data)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write()
    return made


@dataclass
class Case:
    """A copy of one of the folders in tests/cases, with a results folder of its own."""

    path: Path
    symbench: Symbench

    @property
    def suite(self) -> Path:
        return self.path / "suite.yaml"

    @property
    def results(self) -> Path:
        return self.path / "results"

    def edit(self, old: str, new: str) -> None:
        """Write ``new`` for ``old`` in the suite, which holds it."""
        text = self.suite.read_text()
        assert old in text
        self.suite.write_text(text.replace(old, new))

    def run(self, *more: str | Path) -> Ran:
        return self.symbench("run", self.suite, "--results", self.results, *more)

    def gate(self, *more: str | Path) -> Ran:
        return self.symbench("gate", "--results", self.results, *more)

    def frame(self) -> pd.DataFrame:
        """The estimates of the newest run."""
        return open_run(results=self.results).estimates()

    def estimate(self, metric: str, **names: str) -> float:
        """One number over all elements; ``names`` choose model, symmetry, output and the like."""
        frame = self.frame()
        chosen = (frame["metric"] == metric) & frame["element"].isna()
        for column, name in names.items():
            chosen &= frame[column] == name
        (value,) = frame[chosen]["estimate"].unique()
        return float(value)


CaseOf = Callable[[str], Case]


@pytest.fixture
def case(tmp_path: Path, symbench: Symbench) -> CaseOf:
    def copied(name: str) -> Case:
        folder = tmp_path / name
        shutil.copytree(ROOT / "tests" / "cases" / name, folder)
        shutil.copy(ROOT / "tests" / "cases" / "bars.py", folder)
        return Case(folder, symbench)

    return copied


def subprocess_symbench(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "symbench", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)


@dataclass(frozen=True)
class Quick:
    """suites/quick.yaml, run once for all tests that look at it."""

    results: Path
    frame: pd.DataFrame


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Quick:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # one run for all processes
    results = shared / "quick" / "results"
    with FileLock(shared / "quick.lock"):
        if not (shared / "quick" / "done").exists():
            done = subprocess_symbench("run", ROOT / "suites" / "quick.yaml", "--results", results)
            assert done.returncode == 0, done.stderr
            (shared / "quick" / "done").touch()
    return Quick(results, open_run(results=results).estimates())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The plug-in, installed by pip into a folder of its own that is put on the path."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    subprocess.run(
        [sys.executable, "-c", f"import shutil; shutil.copytree({str(PLUGIN)!r}, {str(source / 'p')!r})"], check=True
    )
    pip = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(source / "p")]
    subprocess.run([sys.executable, "-m", "pip", *pip], check=True, timeout=120)
    sys.path.insert(0, str(target))
    importlib.invalidate_caches()
    yield target
    sys.path.remove(str(target))
    for name in [n for n in sys.modules if n.startswith("symbench_example")]:
        del sys.modules[name]
