"""Readers that go away, full disks, closed descriptors and poor encodings: they change no exit status but one."""

from __future__ import annotations

import codecs
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import ROOT

from symbench.face.cli import streams

SYMBENCH = f"{sys.executable} -m symbench"
BROKEN = {
    "nobody reads": ("gone", "err"),
    "stdout closed": ("closed", "err"),
    "stderr closed": ("out", "closed"),
    "both closed": ("closed", "closed"),
    "stdout full": ("full", "err"),
    "stderr full": ("out", "full"),
    "both full": ("full", "full"),
}
STANDS, NOTHING = "a verdict", "prints no result"
COMMANDS = [
    ("run suite.yaml", 0, ""),
    ("run broken.yaml", 3, ""),
    ("run suite.yaml --dry-run", 0, ""),
    ("run none.yaml", 2, NOTHING),
    ("validate suite.yaml --json", 0, ""),
    ("validate broken.yaml", 3, ""),
    ("report --format md", 0, ""),
    ("report --format md --json", 0, ""),
    ("report {loud} --format md --exit-code", 0, STANDS),
    ("report {broken} --format md --exit-code", 3, STANDS),
    ("report --format gif", 2, NOTHING),
    ("leaderboard", 0, ""),
    ("compare {loud} {loud}", 0, ""),
    ("compare {loud} {loud} --format csv", 0, ""),
    ("compare {loud} {loud} --exit-code", 0, STANDS),
    ("gate {loud}", 1, STANDS),
    ("gate {loud} --json", 1, STANDS),
    ("gate {loud} --junit gate.xml --annotations", 1, STANDS),
    ("gate --suite passes.yaml", 0, STANDS),
    ("gate --suite undecided.yaml", 4, STANDS),
    ("gate {broken} --json", 3, STANDS),
    ("gate none", 2, NOTHING),
    ("baseline set {loud} --reason r --force --output b.json", 0, NOTHING),
    ("baseline show b.json", 0, ""),
    ("baseline list", 0, NOTHING),
    ("list", 0, ""),
    ("list models --json", 0, ""),
    ("schema gate", 0, ""),
    ("new {fresh}.yaml", 0, NOTHING),
    ("doctor", 0, ""),
    ("completion bash", 0, ""),
    ("--help", 0, ""),
    ("gate --help", 0, ""),
    ("--version", 0, ""),
    ("nonsense", 2, NOTHING),
]


@dataclass
class Forked:
    """Starts commands with streams of any kind: see forked.py."""

    process: subprocess.Popen[str]
    folder: Path
    runs: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def __call__(self, arguments: str, out: str = "out", err: str = "err", *, taken: bool = True) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.count += 1
        words = arguments.format(fresh=f"fresh-{self.count}", **self.runs).split()
        asked = {"arguments": words, "stdout": out, "stderr": err, "folder": str(self.folder), "taken": taken}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """A folder with a run, measured once, whose gate fails; one with a failed cell; and suites of other rules."""
    folder = tmp_path_factory.mktemp("streams")
    shutil.copytree(ROOT / "tests" / "cases" / "loud", folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "tests" / "cases" / "bars.py", folder)
    suite = (folder / "suite.yaml").read_text()
    assert "at_most: 0.1" in suite
    (folder / "passes.yaml").write_text(suite.replace("at_most: 0.1", "at_least: 0.5"))
    (folder / "undecided.yaml").write_text(suite.replace("at_most: 0.1", "max_drop: 0.1"))
    bad = '  bad: {use: "model.py:Loud", args: {nothing: 1}}\nsymmetries:'
    broken = (folder / "passes.yaml").read_text().replace("symmetries:", bad)
    (folder / "broken.yaml").write_text(broken.replace("name: loud", "name: broken"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "forked.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        run = Forked(process, folder)
        for name, code in (("broken", 3), ("suite", 0)):
            assert run(f"run {name}.yaml") == code, run.read("err")
            run.runs["loud" if name == "suite" else name] = run.read("results/latest").strip()
        assert run("baseline set {loud} --reason r --force --output b.json") == 0, run.read("err")
        yield run
        process.stdin.close() if process.stdin is not None else None


def expected(status: int, kind: str, out: str) -> int:
    """What a command exits with: only results that a full disk lost make a difference, and none to a verdict."""
    return 2 if out == "full" and status == 0 and kind == "" else status


SCENES = [
    (command, status, kind, how)
    for command, status, kind in COMMANDS
    for how in BROKEN
    if kind == STANDS or how in {"nobody reads", "both closed", "both full"}
]


@pytest.mark.parametrize(
    ("command", "status", "kind", "how"), SCENES, ids=[f"{command}: {how}" for command, _, _, how in SCENES]
)
def test_the_status_is_the_commands(forked: Forked, command: str, status: int, kind: str, how: str) -> None:
    out, err = BROKEN[how]
    (forked.folder / "err").write_text("")
    assert forked(command, out, err) == expected(status, kind, out), forked.read("err")
    told = forked.read("err")
    assert "Traceback" not in told
    assert "bug of symbench" not in told
    if out == "full" and err == "err":
        assert ("stdout: cannot be written: No space left on device" in told) == (kind != NOTHING)


def test_every_command_is_among_them() -> None:
    from symbench.face.cli import cli

    named = {words.split()[0] for words, *_ in COMMANDS}
    assert named >= set(cli.commands)


@pytest.mark.parametrize(
    ("command", "how", "status"),
    [
        ("gate {loud}", "nobody reads", 1),
        ("gate --suite passes.yaml", "nobody reads", 0),
        ("gate --suite passes.yaml", "both closed", 0),
        ("gate --suite passes.yaml", "stdout full", 0),
        ("validate suite.yaml", "stderr closed", 0),
    ],
)
def test_that_test_can_fail(forked: Forked, command: str, how: str, status: int) -> None:
    """Without streams of its own the command line comes to something else."""
    assert forked(command, *BROKEN[how], taken=False) != status


@pytest.mark.parametrize("how", ["stderr closed", "stderr full"])
@pytest.mark.parametrize(
    "command", ["gate {loud}", "gate {loud} --json", "report {loud} --format md", "run suite.yaml"]
)
def test_results_are_the_same_whatever_becomes_of_stderr(forked: Forked, command: str, how: str) -> None:
    forked(command)
    whole = forked.read("out")
    assert whole
    forked(command, *BROKEN[how])
    assert forked.read("out") == whole


def test_a_run_measures_though_nothing_of_it_can_be_printed(forked: Forked) -> None:
    assert forked("run suite.yaml --results dark", "closed", "closed") == 0
    (manifest,) = (forked.folder / "dark" / "runs").glob("*.json")
    assert json.loads(manifest.read_text())["status"] == "complete"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("gate | head -1", 1),
        ("gate | grep -q FAIL", 1),
        ("gate --json | true", 1),
        ("gate >&-", 1),
        ("gate 2>&- >/dev/full", 1),
        ("list --json | true", 0),
        ("leaderboard | head -2", 0),
        ("list >/dev/full", 2),
    ],
)
def test_in_a_shell(forked: Forked, line: str, status: int) -> None:
    command, _, more = line.partition(" ")
    forked("run suite.yaml")
    done = subprocess.run(
        ["bash", "-c", f"{SYMBENCH} {command} {more}; exit ${{PIPESTATUS[0]}}"],
        cwd=forked.folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", ["--json", ""])
def test_what_a_model_writes_stands_apart_from_results(forked: Forked, how: str) -> None:
    """By print, on descriptor 1, on the original stdout, and from a process of its own."""
    assert forked(f"run suite.yaml --results loud-{len(how)} {how}") == 0
    out, err = forked.read("out"), forked.read("err")
    for way in ("print", "descriptor", "the original stream", "another process"):
        assert f"called by {way}" in err
        assert f"by {way}" not in out
    if how:
        assert json.loads(out)["schema_version"] == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_every_encoding_can_show_results(forked: Forked, encoding: str) -> None:
    """Dashes, degrees and micro signs are spelled out where there are none."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    environment = environment if encoding != "ascii" else {**environment, "PYTHONIOENCODING": ""}
    command = [*SYMBENCH.split(), "report", forked.runs["loud"], "--format", "md"]
    done = subprocess.run(command, cwd=forked.folder, capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding)
    assert "turns on bars" in shown
    assert ("us" in shown or "ms" in shown) if encoding == "ascii" else "\\x" not in shown


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("90° – 3 µs", "ascii", b"90deg - 3 us"),
        ("90° – 3 µs", "latin-1", b"90\xb0 - 3 \xb5s"),
        ("猫", "ascii", b"\\u732b"),
        ("\ud800", "utf-8", b"\\ud800"),
    ],
)
def test_characters_that_an_encoding_lacks(text: str, encoding: str, shown: bytes) -> None:
    codecs.register_error("symbench-test", streams.readable)
    assert text.encode(encoding, "symbench-test") == shown


def test_a_slow_reader_is_waited_for() -> None:
    """A pipe that a parent has made non-blocking refuses for a moment: that is no failure."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    sink = streams.Sink(writer, "<stdout>")
    text = bytes(1 << 20)
    read: list[bytes] = []

    def slowly() -> None:
        time.sleep(0.2)
        while sum(map(len, read)) < len(text):
            read.append(os.read(reader, 1 << 16))

    thread = threading.Thread(target=slowly)
    thread.start()
    written = 0
    while written < len(text):
        written += sink.write(text[written:])
    thread.join()
    assert sink.lost is None
    assert b"".join(read) == text


def test_from_the_first_failure_on_nothing_is_written() -> None:
    """What follows a gap would be read as if nothing were missing."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    sink = streams.Sink(descriptor, "<stdout>")
    assert sink.write(b"first") == 5
    assert sink.lost is not None
    assert sink.lost.errno == errno.ENOSPC
    reader, writer = os.pipe()
    sink.descriptor = writer
    assert sink.write(b"second") == 6
    os.close(writer)
    assert os.read(reader, 100) == b""
