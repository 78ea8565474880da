"""Parts of a cell that several processes may be at: each is measured once, and one that is given back is taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Case, CaseOf
from test_plan import tables

import symbench as sb
from symbench.base.errors import Interrupted, Problem
from symbench.base.events import Advanced, Event, ignore, never
from symbench.face.api import prepare
from symbench.measure.engines.messages import Errand, Setup
from symbench.measure.engines.station import Station, context_of
from symbench.measure.evaluate import sharing
from symbench.measure.evaluate.first_pass import reference_pass
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.evaluate.sharing import shared_out


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / "scratch")
    made.begin(None, None)
    return made


class Done:
    """Which parts are finished."""

    def __init__(self, *firsts: int) -> None:
        self.firsts = set(firsts)

    def __call__(self, first: int) -> bool:
        return first in self.firsts


def go_on() -> None:
    """Nobody has asked to stop."""


def test_alone_a_process_gets_every_part_in_its_turn(scratch: Scratch) -> None:
    assert list(shared_out(scratch, "part", [0, 5, 9], Done(5), go_on)) == [(0, False), (5, True), (9, False)]


def test_a_part_is_held_until_the_next_is_asked_for(scratch: Scratch) -> None:
    """By another process as by another of these: each opens the file anew."""
    done = Done()
    one = shared_out(scratch, "part", [0, 5, 9], done, go_on)
    assert next(one) == (0, False)
    other = shared_out(scratch, "part", [0, 5, 9], done, go_on, whole=False)
    assert next(other) == (5, False)
    done.firsts.add(0)
    assert next(one) == (9, False), "it comes back to what another is at"
    assert list(other) == [], "whoever assists does not wait"
    done.firsts |= {5, 9}
    assert list(one) == [(5, True)]


def test_what_is_done_to_parts_is_held_apart(scratch: Scratch) -> None:
    one = shared_out(scratch, "reference", [0], Done(), go_on)
    assert next(one) == (0, False)
    assert list(shared_out(scratch, "part", [0], Done(), go_on, whole=False)) == [(0, False)]


def test_a_part_that_is_given_back_is_taken(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a process that has ended, whose locks go with it."""
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.001)
    dies: Any = shared_out(scratch, "part", [0, 5], Done(), go_on)
    assert next(dies) == (0, False)
    waits, got = shared_out(scratch, "part", [0, 5], Done(), go_on), list[tuple[int, bool]]()
    thread = threading.Thread(target=lambda: got.extend(waits))
    thread.start()
    thread.join(0.2)
    assert got == [(5, False)]
    dies.close()
    thread.join(10)
    assert got == [(5, False), (0, False)]


def test_who_waits_hears_of_a_stop(scratch: Scratch) -> None:
    held = shared_out(scratch, "part", [0], Done(), go_on)
    next(held)
    asked: list[int] = []

    def halt() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise Interrupted(Problem("here", "stopped"))

    with pytest.raises(Interrupted, match="stopped"):
        list(shared_out(scratch, "part", [0], Done(), halt))
    assert len(asked) == 3
    assert list(shared_out(scratch, "part", [0], Done(0), halt, whole=False)) == []


def test_what_is_finished_asks_for_no_stop(scratch: Scratch) -> None:
    def halt() -> None:
        raise AssertionError("it was asked")

    assert list(shared_out(scratch, "part", [0], Done(0), halt)) == [(0, True)]


def test_a_closed_cell_is_not_begun_again(scratch: Scratch) -> None:
    parts = shared_out(scratch, "part", [0, 5], Done(), go_on)
    next(parts)
    (scratch.folder / "begun.json").unlink()
    with pytest.raises(FileNotFoundError):
        next(parts)
    for path in scratch.folder.iterdir():
        path.unlink()
    scratch.folder.rmdir()
    with pytest.raises(FileNotFoundError):
        next(shared_out(scratch, "part", [0], Done(), go_on))
    assert not scratch.folder.exists()


@pytest.mark.parametrize("times", [0, 1, 3, 10**9], ids=["nobody", "once", "thrice", "for ever"])
def test_a_lock_that_comes_in_between_keeps_no_cell_from_closing(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A process that assists makes its lock after the folder was listed, and before it is removed."""
    monkeypatch.setattr("symbench.measure.evaluate.scratch.LOOK_SECONDS", 0.0)
    remove, left = os.rmdir, iter(range(times))

    def removed(*arguments: Any, **more: Any) -> None:
        if next(left, None) is not None:
            (scratch.folder / "part-00000005.lock").touch()
        remove(*arguments, **more)

    monkeypatch.setattr(os, "rmdir", removed)
    scratch.drop()
    assert scratch.folder.exists() == (times > 3)
    assert not (scratch.folder / "begun.json").exists(), "who assists sees that the cell is closed"


# Assisting.


@pytest.fixture
def shared(case: CaseOf) -> Case:
    made = case("several_devices")
    made.edit('{use: "data.py:load"}', '{use: "data.py:load", args: {samples: 2100}}')
    return made


ONLY = "model=plain,symmetry=views"


def station_of(shared: Case) -> tuple[Station, Errand]:
    """A process beside the run's, and what it would be sent to do."""
    made = sb.Choices(results=shared.results, only=ONLY)
    space, ledger = prepare(shared.suite, made)
    setup = Setup(space.plan, shared.results, ledger.settings, {}, {}, 1, ())
    return Station(context_of(setup, ignore, never)), Errand("assist", space.plan.cells)


def run_until(shared: Case, images: int) -> None:
    left = [images]

    def listen(event: Event) -> None:
        left[0] -= event.steps if isinstance(event, Advanced) else 0

    with pytest.raises(Interrupted):
        sb.run(
            shared.suite,
            choices=sb.Choices(results=shared.results, only=ONLY),
            listen=listen,
            stopped=lambda: left[0] < 0,
        )


def kept(shared: Case, what: str) -> list[str]:
    return sorted(path.name for path in shared.results.rglob(f"scratch/{what}-*.np?"))


@pytest.mark.parametrize("images", [500, 3000], ids=["in the reference pass", "among the parts"])
def test_what_one_process_begins_others_fill_and_it_closes(shared: Case, images: int) -> None:
    station, errand = station_of(shared)
    run_until(shared, images)
    assert len(kept(shared, "part")) < 3
    assert station.carried_out(errand).__class__.__name__ == "Ended"
    assert len(kept(shared, "part")) == len(kept(shared, "seconds")) == 3
    assert not list(shared.results.rglob("cell.json")), "closing is left to the other"
    before = {path: path.stat().st_mtime_ns for path in shared.results.rglob("scratch/*.npz")}
    assert before
    assert sb.run(shared.suite, choices=sb.Choices(results=shared.results, only=ONLY)).whole
    alone = shared.path / "alone"
    assert sb.run(shared.suite, choices=sb.Choices(results=alone, only=ONLY)).whole
    assert tables(alone) == tables(shared.results)


def test_nothing_is_done_of_what_is_not_begun_or_of_another_model(shared: Case) -> None:
    station, errand = station_of(shared)
    station.carried_out(errand)
    assert not shared.results.exists() or not list(shared.results.rglob("scratch"))
    run_until(shared, 500)
    (begun,) = shared.results.rglob("begun.json")
    text = begun.read_text()
    begun.write_text(text.replace('"checkpoint": null', '"checkpoint": "another"'))
    assert text != begun.read_text()
    station.carried_out(errand)
    assert kept(shared, "part") == []


def test_a_part_that_fails_is_left_to_the_one_that_says_why(shared: Case) -> None:
    shared.edit("model.py:Plain", "model.py:Broken")
    station, errand = station_of(shared)
    run_until(shared, 500)
    reply = station.carried_out(errand)
    assert reply.__class__.__name__ == "Ended"
    assert vars(reply) == {"reason": None}
    assert kept(shared, "part") == []


def test_a_cell_that_is_closed_meanwhile_stays_closed(shared: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    station, errand = station_of(shared)
    run_until(shared, 500)
    really: Callable[..., object] = reference_pass

    def closes(*arguments: object) -> object:
        monkeypatch.undo()
        assert sb.run(shared.suite, choices=sb.Choices(results=shared.results, only=ONLY)).whole
        return really(*arguments)

    monkeypatch.setattr("symbench.measure.evaluate.reference_pass", closes)
    assert vars(station.carried_out(errand)) == {"reason": None}
    assert not list(shared.results.rglob("scratch"))
    assert len(list(shared.results.rglob("cell.json"))) == 1
