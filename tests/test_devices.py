"""Several devices measure what one measures, bit for bit, whatever becomes of some of them."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from conftest import Case, CaseOf, Folder
from test_plan import tables

import symbench as sb
from symbench.base.environment import pick_devices
from symbench.base.errors import ConfigError, Interrupted, Problem
from symbench.base.events import Advanced, Event, Finished, Note, Started
from symbench.face.api import prepare
from symbench.measure.engines import process as processes
from symbench.measure.engines import usual
from symbench.measure.engines.deck import Deck, Loss
from symbench.measure.engines.devices import parts_of
from symbench.measure.engines.messages import Ended, Errand, Leave, Lost, Raised, Setup, Stopped
from symbench.measure.engines.progress import Merged
from symbench.measure.engines.station import Line, Station, context_of, trouble_with
from symbench.measure.execution.context import Context
from symbench.measure.plan.document import Cell
from symbench.measure.plan.pairs import Pair
from symbench.measure.store import PART
from symbench.measure.suite import load
from symbench.measure.suite.numerics import Numerics

# Names.


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("wanted", "count", "devices"),
    [
        ("auto", 1, ("cuda",)),
        ("auto", 2, ("cuda:0", "cuda:1")),
        ("cuda", 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda:1", 2, ("cuda:1",)),
        ("cuda:0,cuda:1", 3, ("cuda:0", "cuda:1")),
        ("cpu, cpu", 2, ("cpu", "cpu")),
        ("cpu", 2, ("cpu",)),
    ],
)
def test_which_devices_are_meant(
    wanted: str, count: int, devices: tuple[str, ...], gpus: Callable[[int], None]
) -> None:
    gpus(count)
    assert pick_devices(wanted) == devices


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            "cuda:0,cuda:2",
            r"--device: got 'cuda:2', which this machine does not have, expected auto or one of cpu, cuda",
        ),
        ("cuda:0,cpu", r"--device: got 'cuda:0,cpu', expected devices of one kind, such as cuda:0,cuda:1\."),
        ("auto,cpu", r"--device: got 'auto,cpu', expected devices of one kind"),
        ("cpu,cup", r"--device: got 'cup', expected auto, cpu, mps, cuda or cuda:N\. Did you mean 'cpu'\?"),
        ("cpu,", r"--device: got '', expected auto, cpu, mps, cuda or cuda:N"),
    ],
)
def test_devices_that_cannot_be_are_refused(wanted: str, said: str, gpus: Callable[[int], None]) -> None:
    gpus(2)
    with pytest.raises(ConfigError, match=said):
        pick_devices(wanted, where="--device")


def test_a_system_that_cannot_use_several_uses_one(
    gpus: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(2)
    monkeypatch.setattr("symbench.base.environment.SEVERAL", False)
    assert pick_devices("auto") == pick_devices("cuda") == ("cuda",)
    assert pick_devices("cuda:1") == ("cuda:1",)
    with pytest.raises(ConfigError, match="--device: got 'cpu,cpu', expected one device: this system has no way"):
        pick_devices("cpu,cpu", where="--device")


@pytest.mark.parametrize("text", ["[cuda:0, cuda:1]", "'cuda:0,cuda:1'", '"cuda:0, cuda:1"'])
def test_a_suite_names_several(text: str, folder: Folder) -> None:
    folder.suite.write_text(folder.suite.read_text() + f"numerics: {{device: {text}}}\n")
    assert load(folder.suite).numerics.device == "cuda:0,cuda:1"


@pytest.mark.parametrize("text", ["[cuda:0, gpu]", "[]", "[auto, cpu]", "[1]"])
def test_a_suite_names_what_there_is(text: str, folder: Folder) -> None:
    folder.suite.write_text(folder.suite.read_text() + f"numerics: {{device: {text}}}\n")
    with pytest.raises(
        ConfigError, match=r"numerics.device: got .*, expected (auto, cpu, mps, cuda or cuda:N, or sev|text)"
    ):
        load(folder.suite)


def test_one_device_needs_no_other_process() -> None:
    assert [usual(count) for count in (0, 1, 2, 8)] == ["local", "local", "devices", "devices"]


# Who does what.


def cell(model: str, symmetry: str) -> Cell:
    return Cell(Pair(model, "data", symmetry), f"{model} {symmetry}", {})


A1, A2, B1, B2, C1 = (cell(*name) for name in ("a1", "a2", "b1", "b2", "c1"))


def doing(errand: Errand | None) -> tuple[str, str] | None:
    return None if errand is None else (errand.doing, "".join(errand.cells[0].key.split()))


def test_a_device_keeps_its_model_and_trainings_come_first() -> None:
    deck = Deck({"c": (C1,)}, [A1, A2, B1, B2])
    assert doing(deck.take(0)) == ("train", "c1")
    assert doing(deck.take(1)) == ("measure", "a1")
    assert doing(deck.take(2)) == ("measure", "b1"), "a model that no other has loaded"
    del deck.held[1]
    deck.waiting.append(C1)
    assert doing(deck.take(1)) == ("measure", "a2")
    del deck.held[0]
    assert doing(deck.take(0)) == ("measure", "c1"), "it has that loaded"
    assert doing(deck.take(3)) == ("measure", "b2")
    assert deck.take(4) is None
    assert deck.left
    deck.held.clear()
    assert not deck.left


def test_devices_train_replicas_of_other_blocks_first() -> None:
    deck = Deck({"a": (A1,), "b": (B1,), "c": (C1,)}, trainings={"a": "block", "b": "block", "c": "alone"})
    assert [doing(deck.take(station)) for station in range(3)] == [("train", "a1"), ("train", "c1"), ("train", "b1")]


def test_who_has_nothing_to_do_assists_where_there_are_parts() -> None:
    deck = Deck(waiting=[A1, B1], parts={A1.key: 3, B1.key: 2})
    deck.take(0)
    deck.take(1)
    assert deck.take(2) is None, "nothing is begun"
    deck.begun |= {A1.key, B1.key}
    assert doing(deck.take(2)) == ("assist", "a1")
    assert doing(deck.take(3)) == ("assist", "b1")
    assert doing(deck.take(4)) == ("assist", "a1")
    assert deck.take(5) is None, "as many are at it as there are parts"
    del deck.held[4]
    assert deck.take(4) is None, "it has found nothing left"
    assert doing(deck.take(5)) == ("assist", "a1")
    del deck.held[0], deck.held[1]
    assert not deck.left, "nobody waits for those that assist"


@pytest.mark.parametrize(("mode", "parts"), [("exact", 3), ("fused", 1), ("fast", 1)])
def test_nobody_assists_in_a_cell_of_a_faster_mode(mode: str, parts: int) -> None:
    suite = SimpleNamespace(numerics=Numerics.model_validate({"mode": mode}))
    plan = SimpleNamespace(limit=None, data={"data": SimpleNamespace(count=2 * PART + 1)})
    context = SimpleNamespace(workspace=SimpleNamespace(plan=plan, suite=suite))
    found = parts_of(cast(Context, context), [A1])
    assert found == {A1.key: parts}
    deck = Deck(waiting=[A1], parts=found, begun={A1.key})
    deck.take(0)
    assert (deck.take(1) is None) == (mode != "exact")


def test_an_errand_ends_two_devices_at_most() -> None:
    deck = Deck({"c": (C1,)}, [A1], parts={A1.key: 9})
    assert deck.lost(7) is None
    train, measure = deck.take(0), deck.take(1)
    assert (train, measure) == (Errand("train", (C1,)), Errand("measure", (A1,)))
    for station in (0, 1):
        loss = deck.lost(station)
        assert loss is not None
        assert loss.goes_on
    assert (deck.take(2), deck.take(3)) == (train, measure)
    deck.begun.add(A1.key)
    assert doing(deck.take(4)) == ("assist", "a1")
    assert deck.lost(4) == Loss(Errand("assist", (A1,)), True)
    assert [deck.lost(station) for station in (2, 3)] == [
        Loss(errand, False) for errand in (train, measure) if errand
    ]
    assert not deck.left


def test_the_rest_is_what_nobody_holds() -> None:
    deck = Deck({"c": (C1,)}, [A1, B1])
    deck.take(0)
    assert list(deck.rest()) == [A1, B1]
    assert list(deck.rest()) == []


def test_the_bars_of_several_are_shown_one_at_a_time() -> None:
    heard: list[Event] = []
    merged = Merged(heard.append)
    first, second = Started("a", 9, "images"), Started("b", 5, "images")
    merged.hear(0, first)
    merged.hear(1, second)
    merged.hear(1, Advanced(2))
    merged.hear(0, Advanced(4))
    merged.hear(1, Note("said"))
    merged.hear(1, Advanced(1))
    merged.hear(0, Finished())
    merged.hear(1, Advanced(2))
    merged.ended(1)
    merged.ended(1)
    shown = [first, Advanced(4), Note("said"), Finished(), second, Advanced(3), Advanced(2), Finished()]
    assert heard == shown


def test_a_control_neither_ends_nor_advances_the_bar_of_its_cell() -> None:
    heard: list[Event] = []
    merged = Merged(heard.append)
    first, second = Started("a", 9, "images"), Started("b", 5, "images")
    control, other = Started("precision", 3, "passes"), Started("exactness", 2, "passes")
    merged.hear(0, first)
    merged.hear(0, Advanced(4))
    merged.hear(1, second)
    merged.hear(0, control)
    merged.hear(0, Advanced(3))
    merged.hear(1, Advanced(2))
    merged.hear(1, other)
    merged.hear(1, Advanced(1))
    merged.hear(0, Finished())
    merged.hear(0, Advanced(5))
    assert heard == [first, Advanced(4), control, Advanced(3), Finished(), Advanced(5)]
    heard.clear()
    merged.hear(0, Finished())
    assert heard == [Finished(), second, Advanced(2), other, Advanced(1)], "what runs within the other's is shown"
    heard.clear()
    merged.ended(1)
    assert heard == [Finished(), Finished()], "a device that is gone leaves no bar"


# The process of a device, in this one.


@pytest.fixture
def station(case: CaseOf) -> Station:
    made = case("several_devices")
    space, ledger = prepare(made.suite, sb.Choices(results=made.results))
    setup = Setup(space.plan, made.results, ledger.settings, {}, {"a": 1}, 1, ())
    context = context_of(setup, lambda event: None, lambda: False)
    assert context.environment["a"] == 1
    assert context.environment["device"] == "cpu"
    return Station(context)


def errand_of(station: Station, model: str, doing: Any = "measure") -> Errand:
    return Errand(doing, tuple(c for c in station.context.workspace.plan.cells if c.pair.model == model)[:1])


def test_a_device_answers(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    errand = errand_of(station, "plain")
    assert station.carried_out(errand) == Ended(None)
    worker = station.worker
    assert station.carried_out(errand) == Ended(None), "it is measured already"
    assert station.worker is worker
    failed = station.carried_out(errand_of(station, "broken"))
    assert isinstance(failed, Ended)
    assert "raised RuntimeError: no more" in str(failed.reason)
    assert station.worker is not worker


def test_a_device_that_answers_no_more_is_lost(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbench.measure.engines.station.trouble_with", lambda device: f"{device} is gone")
    assert station.carried_out(errand_of(station, "broken")) == Lost("cpu is gone")
    assert station.carried_out(errand_of(station, "plain")) == Ended(None), "what has worked has"


@pytest.mark.parametrize(
    ("raised", "reply"),
    [
        (Interrupted(Problem("a", "b")), Stopped),
        (OSError(28, "No space left on device", "/full"), Raised),
        (ZeroDivisionError("ours"), Raised),
    ],
    ids=["stopped", "disk", "bug"],
)
def test_what_ends_a_run_is_passed_on(
    station: Station, monkeypatch: pytest.MonkeyPatch, raised: Exception, reply: type
) -> None:
    def raises(*_: object) -> None:
        raise raised

    monkeypatch.setattr("symbench.measure.engines.station.prepare_samples", raises)
    said = station.carried_out(errand_of(station, "plain"))
    assert isinstance(said, reply)
    assert vars(said) == {"error": raised}


def test_an_error_that_cannot_be_sent_is_described(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    class Held(Exception):
        def __init__(self, lock: object) -> None:
            self.lock = lock

    def raises(*_: object) -> None:
        raise Held(threading.Lock())

    monkeypatch.setattr("symbench.measure.engines.station.prepare_samples", raises)
    said = station.carried_out(errand_of(station, "plain"))
    assert isinstance(said, Raised)
    assert "Held" in str(said.error)
    assert "raise Held(threading.Lock())" in str(said.error)


class Theirs(Exception):
    """An error of users' code, which can be pickled here; the process of the run may know no such class."""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (Theirs("no more"), "Theirs: no more"),
        (KeyError(Theirs("no more")), "KeyError"),
        (pickle.PickleError("odd"), "odd"),
    ],
    ids=["its class", "what it holds", "of a library"],
)
def test_an_error_of_users_code_is_described(
    station: Station, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    def raises(*_: object) -> None:
        raise raised

    monkeypatch.setattr("symbench.measure.engines.station.prepare_samples", raises)
    reply = station.carried_out(errand_of(station, "plain"))
    assert isinstance(reply, Raised)
    assert type(reply.error) is RuntimeError
    assert said in str(reply.error)
    assert "raise raised" in str(reply.error)


def test_what_cannot_be_read_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Pipe()
    process = processes.Process.__new__(processes.Process)
    process.connection = here
    with here, there:
        there.send(Raised(Theirs("no more")))
        monkeypatch.delattr(f"{__name__}.Theirs")
        reply = process.reply()
    assert isinstance(reply, Lost)
    assert reply.why.startswith("what its process says cannot be read: AttributeError: ")


def test_the_cpu_is_no_trouble_and_what_is_not_there_is() -> None:
    assert trouble_with("cpu") is None
    if not torch.cuda.is_available():
        assert trouble_with("cuda:63")


class Wire:
    """A pipe that keeps what is sent."""

    def __init__(self, *, gone: bool = False) -> None:
        self.sent: list[Any] = []
        self.gone = gone

    def send(self, reply: object) -> None:
        if self.gone:
            raise BrokenPipeError
        self.sent.append(reply)


def test_small_steps_are_told_together() -> None:
    wire: Any = Wire()
    line = Line(wire)
    line.tell(Started("a", 1000, "images"))
    for _ in range(1000):
        line.tell(Advanced(1))
    line.tell(Finished())
    steps = [reply.event.steps for reply in wire.sent if isinstance(reply.event, Advanced)]
    assert sum(steps) == 1000
    assert len(steps) < 100
    assert wire.sent[-1].event == Finished()


def test_nobody_at_the_other_end_means_to_stop() -> None:
    wire: Any = Wire(gone=True)
    line = Line(wire)
    line.tell(Note("a"))
    assert line.halt.is_set()


def test_an_errand_is_left_that_has_become_pointless_and_no_other() -> None:
    here, there = Pipe()
    line, (first, second) = Line(there), (Errand("assist", (each,)) for each in (A1, B1))
    errands = line.errands()
    here.send(first)
    assert next(errands) == first
    assert not line.stopped()
    here.send(Leave(first))
    here.send(second)
    deadline = time.monotonic() + 10
    while not line.stopped() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert line.stopped()
    assert next(errands) == second
    assert not line.stopped()
    here.close()
    assert list(errands) == [], "nobody is there any more"
    assert line.stopped()


def test_a_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []

    def choose(device: str) -> None:
        chosen.append(device)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "set_device", choose)
    assert trouble_with("cuda:1") == "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert chosen == ["cuda:1"]
    assert trouble_with("cpu") is None


def test_a_full_memory_is_no_trouble_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "ones", full)
    assert trouble_with("cpu") is None


# Whole runs.


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """In this process, and so in those that it starts: their sums are then taken in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def choices(case: Case, device: str, **more: Any) -> sb.Choices:
    return sb.Choices(results=case.path / device, device=device, **more)


def outcome(run: sb.Run) -> list[tuple[str, str, str | None]]:
    return [(f"{c.model} {c.symmetry}", c.status, c.reason) for c in run.manifest.cells]


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_two_devices_measure_what_one_does(case: CaseOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is killed in the midst of a cell, which the other goes on with."""
    several, runs = case("several_devices"), {}
    heard: dict[str, list[Event]] = {"cpu": [], "cpu,cpu": []}
    for device, events in heard.items():
        monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / f"cache {device}"))
        if device == "cpu,cpu":
            (several.path / "armed").touch()
        runs[device] = sb.run(several.suite, choices=choices(several, device), listen=events.append)
    assert not (several.path / "armed").exists()
    one, two = runs.values()
    assert outcome(one) == outcome(two)
    assert [status for _, status, _ in outcome(two)] == ["done"] * 5 + ["failed"]
    here, there = (tables(several.path / device) for device in runs)
    assert len(here) > 15
    assert [name for name in here if here[name] != there.get(name)] == []
    left = [[path.parent.name for path in (several.path / device).rglob("scratch")] for device in runs]
    assert left[0] == left[1], "of the failed cell alone"
    notes = {device: [e.text for e in events if isinstance(e, Note)] for device, events in heard.items()}
    assert "blobs: they are made up" in notes["cpu,cpu"]
    lost = "cpu: lost: its process was killed (SIGKILL), as where memory runs out. struck/blobs/"
    more = list((Counter(notes["cpu,cpu"]) - Counter(notes["cpu"])).elements())  # nothing is said more often either
    assert [text for text in more if "to be measured" not in text and not text.startswith(lost)] == []
    assert sum(text.startswith(lost) and text.endswith(" goes on elsewhere.") for text in more) == 1
    (cell, *_) = two.manifest.cells
    record = two.store.cell(cell.key)
    assert record is not None
    assert record.environment["threads"] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_what_one_has_begun_the_other_finishes(case: CaseOf) -> None:
    """Either way round: what is kept of an unfinished cell is the same."""
    several = case("several_devices")
    several.edit('{use: "data.py:load"}', '{use: "data.py:load", args: {samples: 2100}}')
    several.edit("model.py:Plain", "model.py:Slow")
    whole = tables_of(several, "whole", "cpu")
    for first, then in (("cpu", "cpu,cpu"), ("cpu,cpu", "cpu")):
        results = several.path / f"{first} first"
        made = sb.Choices(results=results, only="model=plain", device=first)
        with pytest.raises(Interrupted, match="stopped") as caught:
            sb.run(several.suite, choices=made, stopped=partial(has_a_part, results))
        assert "The same command resumes." in str(caught.value)
        assert has_a_part(results), "what is done is kept"
        assert tables_of(several, f"{first} first", then) == whole
        assert len(list((results / "runs").glob("*.json"))) == 1, "the run is taken up again"


def has_a_part(results: Path) -> bool:
    return any(results.rglob("scratch/part-*.npz"))


def tables_of(case: Case, results: str, device: str) -> dict[str, bytes]:
    made = sb.Choices(results=case.path / results, only="model=plain", device=device)
    assert sb.run(case.suite, choices=made).whole
    return tables(case.path / results)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_a_long_cell_is_shared(case: CaseOf) -> None:
    several = case("several_devices")
    several.edit('{use: "data.py:load"}', '{use: "data.py:load", args: {samples: 3300}}')
    several.edit("model.py:Plain", "model.py:Meeting")
    (several.path / "calls").mkdir()
    made = sb.Choices(results=several.path / "there", only="model=plain,symmetry=turns", device="cpu,cpu")
    assert sb.run(several.suite, choices=made).whole
    pids = [path.name.partition("-")[0] for path in (several.path / "calls").iterdir()]
    assert str(os.getpid()) not in pids
    assert len(set(pids)) == 2
    assert all(pids.count(pid) > 4 for pid in pids), "more than it takes to get ready"
    (several.path / "calls").rename(several.path / "done")
    made = sb.Choices(results=several.path / "here", only="model=plain,symmetry=turns", device="cpu")
    assert sb.run(several.suite, choices=made).whole
    assert tables(several.path / "here") == tables(several.path / "there")


@pytest.mark.slow
def test_what_ends_every_process_fails_and_the_others_are_measured(case: CaseOf) -> None:
    several = case("several_devices")
    several.edit("model.py:Broken", "model.py:Deadly")
    run = sb.run(several.suite, choices=choices(several, "cpu,cpu", only="model=[pb]*,symmetry=turns"))
    failed = [(name, reason) for name, status, reason in outcome(run) if status == "failed"]
    reason = "broken/blobs/turns: has ended 2 processes, the last on cpu: its process ended with exit status 7."
    assert failed == [("broken turns", f"{reason} What is finished is kept, and the same command resumes.")]
    assert len(run.manifest.cells) == 2


@pytest.mark.slow
def test_where_no_device_is_left_cells_fail_and_the_same_command_resumes(
    case: CaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    several, made = case("several_devices"), []

    class Once(processes.Process):
        """One that can be started, and not a second time."""

        def __init__(self, device: str, setup: Setup, *, again: bool = False) -> None:
            made.append(device)
            with monkeypatch.context() as patch:
                if again:
                    patch.setattr(processes, "START", "import sys\nsys.exit(5)\n")
                super().__init__(device, setup, again=again)

    several.edit("model.py:Plain", "model.py:Deadly")
    several.edit("model.py:Struck", "model.py:Deadly")
    notes: list[Event] = []
    with monkeypatch.context() as patch:
        patch.setattr("symbench.measure.engines.devices.Process", Once)
        run = sb.run(several.suite, choices=choices(several, "cpu,cpu", only="symmetry=turns"), listen=notes.append)
    assert made == ["cpu"] * 4
    reasons = dict.fromkeys(reason for _, _, reason in outcome(run))
    left = "the run: no device is left: cpu: its process ended with exit status 5."
    assert f"{left} What is finished is kept, and the same command resumes." in reasons
    assert Note("cpu: lost: its process ended with exit status 5.", warning=True) in notes
    several.edit("model.py:Deadly", "model.py:Plain")
    assert not sb.run(several.suite, choices=choices(several, "cpu", only="symmetry=turns")).whole
    again = sb.open_run(results=several.path / "cpu")
    assert [status for _, status, _ in outcome(again)] == ["done"] * 3 + ["failed"]


def test_a_device_that_cannot_be_used_is_refused(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    several = case("several_devices")
    monkeypatch.setattr(processes, "START", "import sys\nsys.exit(5)\n")
    said = (
        r"cpu: cannot be used: its process ended with exit status 5, expected a device that can. "
        r"Leave it out of --device or numerics.device."
    )
    with pytest.raises(ConfigError, match=said):
        sb.run(several.suite, choices=choices(several, "cpu,cpu"))
    assert not list((several.path / "cpu,cpu").rglob("cell.json"))


def test_what_is_measured_starts_no_process(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    several = case("several_devices")
    several.edit('{use: "data.py:load"}', '{use: "data.py:load", args: {samples: 30}}')
    only = "model=plain"
    assert sb.run(several.suite, choices=choices(several, "cpu", only=only)).whole
    monkeypatch.setattr(processes, "START", "import sys\nsys.exit(5)\n")
    made = sb.Choices(results=several.path / "cpu", device="cpu,cpu", only=only)
    assert sb.run(several.suite, choices=made).whole
    made = sb.Choices(results=several.path / "one", device="cpu,cpu", only=f"{only},symmetry=turns")
    assert sb.run(several.suite, choices=made).whole, "one part is work for one device"


def test_passes_are_timed_with_all_threads(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """They follow the cells, one device after them, and say so; as does a cell that this process measures alone."""
    several = case("several_devices")
    several.edit('{use: "data.py:load"}', '{use: "data.py:load", args: {samples: 30}}')
    several.edit("numerics:", "throughput: {batch: 8, seconds: 0.01, iterations: 5}\nnumerics:")
    monkeypatch.setattr("symbench.base.environment.threads", lambda: 8)
    run = sb.run(several.suite, choices=choices(several, "cpu,cpu", only="model=plain,symmetry=turns"))
    ((cell,), (status,)) = run.manifest.cells, run.manifest.passes
    assert status.file is not None, status.reason
    record, timed = run.store.cell(cell.key), run.store.pass_of(status.key, status.file)
    assert record is not None
    assert (record.environment["threads"], timed.environment["threads"]) == (8, 8)
    assert run.manifest.environment["threads"] == 4, "what each of two has"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_one_signal_to_all_finishes_the_parts_in_hand(case: CaseOf, number: signal.Signals) -> None:
    """As a terminal and a batch system send it: to the run and to the processes of its devices."""
    several = case("several_devices")
    several.edit("model.py:Plain", "model.py:Slow")
    command = [sys.executable, "-m", "symbench", "run", str(several.suite), "--results", str(several.results)]
    process = subprocess.Popen(
        [*command, "--only", "model=plain", "--device", "cpu,cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        if list(several.results.rglob("scratch/reference-*.npy")):
            break
        time.sleep(0.1)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "2 cells, 2 of them to be measured, on cpu, cpu" in err
    assert "stopping after the part in hand" in err
    assert "The same command resumes." in err
    assert "Traceback" not in err
    assert out == ""
    (manifest,) = (several.results / "runs").glob("*.json")
    assert json.loads(manifest.read_text())["status"] == "interrupted"
