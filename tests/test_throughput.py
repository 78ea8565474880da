"""Throughput passes: models timed in turns on a clock that tells the time one wants, memory, and what is kept of them."""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from conftest import ROOT, Case, CaseOf, Symbench
from torch import Tensor, nn

from symbench import open_run
from symbench.base.errors import ConfigError, Interrupted, ModelError, Problem
from symbench.base.passes import PassRecord, TimedBatch
from symbench.domains.common.models.running import Habits
from symbench.measure.faster.replay import AFTER, Replayed
from symbench.measure.faster.runner import Runner, Way
from symbench.measure.throughput import contest, fed, machine, memory, noise, turns
from symbench.measure.throughput.clocks import HostClock, clock_of
from symbench.measure.throughput.contest import Contender, _weigh
from symbench.measure.throughput.turns import Around, Lane, Least, in_turns


class Time:
    """A clock's time, which only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clock = HostClock("cpu", now=lambda: self.now)
        self.log: list[str] = []

    def sleeper(self, name: str, seconds: Callable[[], float]) -> turns.Forward:
        """A forward pass that takes so long, and 7 seconds more around it, which are not its own."""

        def forward(around: Around) -> None:
            self.now += 3.0
            with around():
                self.now += seconds()
            self.now += 4.0
            self.log.append(name)

        return forward

    def lane(self, name: str, *seconds: float) -> Lane:
        """A lane whose passes take these times, over and over."""
        times = itertools.cycle(seconds)
        return Lane(self.sleeper(name, lambda: next(times)), batch=8)


def nothing(lane: Lane) -> None:
    del lane


# Turns.


def test_a_module_that_sleeps_takes_as_long_as_it_sleeps() -> None:
    time = Time()
    lane = time.lane("a", 0.25)
    in_turns([lane], time.clock, Least(iterations=20, seconds=5.0), nothing)
    found = lane.timed()
    assert (found.median, found.low, found.high, found.p90, found.p99) == pytest.approx((0.25,) * 5)
    assert found.halves == pytest.approx((0.25, 0.25))
    assert (found.iterations, found.warm_up, found.settled, found.batch) == (20, 6, True, 8)


@pytest.mark.parametrize(
    ("seconds", "least", "expected"),
    [
        pytest.param(0.5, Least(20, 1.0), 20, id="iterations decide"),
        pytest.param(0.5, Least(2, 15.0), 30, id="seconds decide"),
        pytest.param(0.001, Least(2, 2.0), 2000, id="more than are queued at once"),
        pytest.param(8.0, Least(3, 1.0), 5, id="one in each round at least"),
    ],
)
def test_at_least_so_many_passes_and_so_many_seconds(seconds: float, least: Least, expected: int) -> None:
    time = Time()
    lane = time.lane("a", seconds)
    in_turns([lane], time.clock, least, nothing)
    assert len(lane.times) == pytest.approx(expected, abs=turns.ROUNDS)
    assert len(lane.times) >= least.iterations
    assert sum(lane.times) >= least.seconds * (1 - 1e-9)


def test_a_module_that_takes_no_time_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST", 40)
    time = Time()
    lane = time.lane("a", 0.0)
    in_turns([lane], time.clock, Least(5, 1.0), nothing)
    assert lane.times == [0.0] * (40 * turns.ROUNDS)


def test_models_take_turns_and_the_first_pass_of_a_turn_does_not_count() -> None:
    time = Time()
    lanes, asked = [time.lane("a", 1.0), time.lane("b", 2.0)], []
    in_turns(lanes, time.clock, Least(10, 0.1), lambda lane: asked.append(lanes.index(lane)))
    assert time.log[:12] == ["a"] * 6 + ["b"] * 6, "each is warmed up"
    blocks = [(name, len(list(group))) for name, group in itertools.groupby(time.log[12:])]
    assert blocks == [("a", 3), ("b", 3)] * turns.ROUNDS
    assert asked == [0, 1] * turns.ROUNDS
    assert [lane.times for lane in lanes] == [[1.0] * 10, [2.0] * 10]


def test_drift_hits_all_alike() -> None:
    """A machine that slows down all the while: the ratio of two equal models stays close to 1, and the halves show it."""
    time = Time()
    slower = [Lane(time.sleeper(name, lambda: 1 + time.now / 2000), 8) for name in "ab"]
    in_turns(slower, time.clock, Least(50, 0.0), nothing)
    first, second = (lane.timed() for lane in slower)
    assert first.median / second.median == pytest.approx(1, abs=0.07)
    assert first.halves[1] > 1.15 * first.halves[0]


def test_warming_up_ends_when_successive_medians_agree() -> None:
    time = Time()
    cold = iter([9.0, 9.0, 9.0, 4.0, 4.0, 4.0])
    lane = Lane(time.sleeper("a", lambda: next(cold, 1.0)), 8)
    turns.warm_up(lane, time.clock)
    assert (lane.warm_up, lane.settled, lane.usual) == (12, True, 1.0)
    rising = Lane(time.sleeper("c", lambda: 2.0 ** len(time.log)), 8)
    turns.warm_up(rising, time.clock)
    assert (rising.warm_up, rising.settled) == (turns.WARM * turns.MOST_WARM, False)


def test_a_stop_is_heard_before_each_block_of_the_warm_up() -> None:
    time, asked = Time(), itertools.count(1)

    def halt() -> None:
        if next(asked) == 4:
            raise Interrupted(Problem("pass", "stopped"))

    lanes = [time.lane("a", 1.0), Lane(time.sleeper("b", lambda: 2.0 ** len(time.log)), 8)]
    with pytest.raises(Interrupted, match="pass: stopped"):
        in_turns(lanes, time.clock, Least(10, 0.1), nothing, halt)
    assert time.log == ["a"] * 2 * turns.WARM + ["b"] * turns.WARM


def test_percentiles_are_numpys_and_limits_hold_the_median() -> None:
    time, rng = Time(), np.random.default_rng(0)
    times = rng.lognormal(sigma=0.4, size=400).tolist()
    lane = time.lane("a", *times)
    lane.times = times
    found = lane.timed()
    assert [found.median, found.p90, found.p99] == pytest.approx(np.quantile(times, [0.5, 0.9, 0.99]).tolist())
    assert found.low is not None
    assert found.high is not None
    ranks = [sum(t <= end for t in times) for end in (found.low, found.high)]
    # 95 % limits of a binomial with n = 400: 200 -+ 1.96 * 10
    assert ranks == pytest.approx([180, 220], abs=3)


def test_a_model_that_raises_is_left_out_and_the_others_go_on() -> None:
    time = Time()
    count = itertools.count()

    def raising(around: Around) -> None:
        with around():
            time.now += 1.0
            if next(count) == 9:
                raise ModelError(Problem("net", "raised ValueError"))

    lanes = [Lane(raising, 8), time.lane("b", 2.0)]
    in_turns(lanes, time.clock, Least(10, 0.1), nothing)
    assert "raised ValueError" in str(lanes[0].failure)
    assert lanes[1].times == [2.0] * 10, "what the other left on the clock is not this one's"


def test_the_host_clock_is_the_machines() -> None:
    clock = clock_of("cpu")
    lane = Lane(lambda around: _entered(around), 1)
    assert all(0 <= seconds < 5 for seconds in lane.block(clock, 3))
    assert clock.taken() == []


def _entered(around: Around) -> None:
    with around():
        pass


# A CUDA device, where there is one.


@pytest.fixture
def cuda() -> str:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return "cuda"


@pytest.mark.parametrize("apart", [False, True])
def test_events_take_as_long_as_the_host_says(cuda: str, apart: bool) -> None:
    """A product of some milliseconds, queued without waiting: the sum of the events is what the host waits for."""
    x, host = torch.rand(4096, 4096, device=cuda), HostClock(cuda)

    def forward(around: Around) -> None:
        with around():
            for _ in range(10):
                x @ x

    lane = Lane(forward, 1, apart)
    lane.block(clock_of(cuda), 5)
    with host.of(apart=True):
        times = lane.block(clock_of(cuda), 20)
    (whole,) = host.taken()
    assert len(times) == 20
    assert sum(times) == pytest.approx(whole, rel=0.1)


def test_the_peak_on_a_device_is_its_allocators(cuda: str) -> None:
    class Roomy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first = torch.zeros(2**20, device=x.device)
            second = first + 1
            del first
            return x + second[0] + torch.zeros(2**19, device=x.device)[0]

    module, x = Roomy().to(cuda), torch.rand(16, device=cuda)
    running(module, x)(nullcontext)
    found = memory.peak_memory(running(module, x), [x], module, cuda)
    assert found.beyond is not None
    assert 2 * 4 * 2**20 <= found.beyond < 2.1 * 4 * 2**20
    assert found.how == "torch's CUDA allocator"


def test_a_card_tells_its_clocks(cuda: str) -> None:
    card = machine.state(cuda)["card"]
    assert card is None or card["sm_mhz"] > 0


# Noise.


QUIET: dict[str, Any] = {
    "batch": 8, "iterations": 20, "median": 1.0, "low": 0.99, "high": 1.01, "p90": 1.1, "p99": 3.0, "halves": (1.0, 1.04),
    "warm_up": 6, "settled": True,
}  # fmt: skip
IDLE = {"load": 1.0, "cores": 2}


@pytest.mark.parametrize(
    ("timed", "before", "after", "said"),
    [
        pytest.param({}, IDLE, IDLE, None, id="quiet"),
        pytest.param({}, {"load": None, "cores": 2}, {}, None, id="nothing known"),
        pytest.param({"p90": 1.3}, IDLE, IDLE, "one forward pass in ten took 1.30 times the median", id="spread"),
        pytest.param({"halves": (1.0, 1.2)}, IDLE, IDLE, "the second half of them took 1.20 times", id="slower"),
        pytest.param({"halves": (1.2, 1.0)}, IDLE, IDLE, "the second half of them took 0.83 times", id="faster"),
        pytest.param({"settled": False}, IDLE, IDLE, "they had not settled after 6 of warm-up", id="cold"),
        pytest.param(
            {}, {"load": 2.4, "cores": 2}, IDLE, "the load before them was 2.4 on 2 cores", id="load before"
        ),
        pytest.param({}, IDLE, {"load": 9.0, "cores": 2}, "the load after them was 9.0 on 2 cores", id="load after"),
    ],
)
def test_noise_is_said(
    timed: dict[str, Any], before: dict[str, Any], after: dict[str, Any], said: str | None
) -> None:
    found = noise.remark(TimedBatch(**{**QUIET, **timed}), before, after)
    assert found is None if said is None else found is not None and found.startswith("noisy: ") and said in found


def test_what_is_not_a_number_is_noise() -> None:
    nan = float("nan")
    timed = TimedBatch.model_construct(**{**QUIET, "p90": nan, "halves": (nan, nan)})
    found = noise.remark(timed, IDLE, IDLE)
    assert found is not None
    assert "one forward pass in ten" in found
    assert "the second half" in found


# Machine.


def test_clocks_are_read_where_they_are_known(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("model name: x\ncpu MHz\t\t: 1000.0\ncpu MHz\t\t: 3000.0\ncpu MHz\t\t: 2000.5\n")
    assert machine.processor_mhz(info) == 2000.5
    assert machine.processor_mhz(tmp_path / "none") is None
    assert machine.parsed("1980, 2619, 1980, 41, 118.52\n") == {
        "sm_mhz": 1980, "memory_mhz": 2619, "most_sm_mhz": 1980, "celsius": 41, "watts": 118.52,
    }  # fmt: skip
    assert machine.parsed("[N/A], 5")["sm_mhz"] is None
    assert machine.parsed("") == {"sm_mhz": None}
    found = machine.state("cpu")
    assert found["cores"] >= 1
    assert found["load"] is None or found["load"] >= 0
    assert "card" not in found


# Memory.


def module_of(name: str) -> Any:
    """A class of the case's models."""
    spec = importlib.util.spec_from_file_location("timed_model", ROOT / "tests" / "cases" / "timed" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def running(module: nn.Module, x: Tensor) -> turns.Forward:
    def forward(around: Around) -> None:
        with torch.no_grad(), around():
            module(x)

    return forward


def test_the_peak_is_what_is_held_at_a_time(capfd: pytest.CaptureFixture[str]) -> None:
    module, room, x = module_of("Roomy")(), 4 * module_of("ROOM"), torch.rand(16, 1, 15, 15)
    found = memory.peak_memory(running(module, x), [x], module, "cpu")
    assert found.weights == 8
    assert found.beyond is not None
    assert found.peak == found.beyond + found.weights
    # the first and the second at a time, then the second and the third: not all three
    assert 2 * room + 4 * x.numel() <= found.beyond < 2.1 * room
    assert found.how == "torch's CPU allocator, by its profiler"
    assert capfd.readouterr().err == "", "torch's profiler is kept quiet"


class Wide(nn.Module):
    """Holds a MiB on the way."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.zeros(1 << 18).add_(1)[: len(x)]
        return out


def test_what_is_replayed_from_a_graph_is_weighed_without_it() -> None:
    made = Runner(Wide(), Way(None, merged=False), None, Habits())
    replays: list[Any] = []

    def record(plain: Any, given: Any) -> Any:
        returned = plain(given)

        def replay(now: Any) -> Any:
            replays.append(now)
            return returned

        return replay

    made.replayed = Replayed(made.replayed.plain, record)
    x = torch.ones(4)
    forward = running(cast(Any, lambda x: made.replayed({"": x})), x)
    for _ in range(AFTER + 2):
        forward(nullcontext)
    before = len(replays)
    assert before > 0
    fed = SimpleNamespace(inputs={"x": x}, module=made, job=SimpleNamespace(device="cpu"))
    found = Contender(cast(Any, None), cast(Any, fed), Lane(forward, 4))
    _weigh(found)
    assert found.memory is not None
    assert found.memory.beyond is not None
    assert found.memory.beyond >= 1 << 20
    assert len(replays) == before
    forward(nullcontext)
    assert len(replays) == before + 1, "as before"


def test_memory_that_is_shared_counts_once() -> None:
    whole = torch.zeros(100)
    assert memory.held([whole, whole[10:], torch.zeros(5)]) == 400 + 20
    packed = torch.zeros(4, 4).to_mkldnn()
    module = nn.Linear(2, 2)
    module.packed = packed
    assert memory.held(memory.tensors_of(module)) == 24 + 64


def test_where_no_peak_is_kept_there_is_none() -> None:
    module = nn.Linear(2, 2)
    found = memory.peak_memory(running(module, torch.zeros(1, 2)), [], module, "mps")
    assert (found.peak, found.beyond, found.weights) == (None, None, 24)
    assert found.how == "torch keeps no peak on mps"


# Batches that do not fit, and models that do not.


def too_large(*_: object) -> fed.Fed:
    try:
        raise torch.OutOfMemoryError("CUDA out of memory")
    except torch.OutOfMemoryError as error:
        raise ModelError(Problem("net", "raised OutOfMemoryError")) from error


JOB: Any = SimpleNamespace(device="cpu", model=SimpleNamespace(name="net"))
CONTEXT: Any = SimpleNamespace(ledger=SimpleNamespace(settings=SimpleNamespace(device="cpu")))
ENTRANT: Any = None
"""What stands for a run where nothing is loaded."""


def test_a_batch_that_fits_nowhere_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def full(entrant: object, job: object, batch: int) -> fed.Fed:
        asked.append(batch)
        return too_large()

    monkeypatch.setattr(fed, "fed_with", full)
    with pytest.raises(ModelError, match="net: does not fit the device's memory with a single sample. Close what"):
        fed.fitting(ENTRANT, JOB, 20)
    assert asked == [20, 10, 5, 2, 1]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        pytest.param("out of memory", "it does not fit the device's memory", id="memory"),
        pytest.param("raised ValueError", "net: raised ValueError.", id="another error"),
    ],
)
def test_a_batch_of_the_sweep_is_tried_once(monkeypatch: pytest.MonkeyPatch, error: str, why: str) -> None:
    asked: list[int] = []

    def failing(entrant: object, job: object, batch: int) -> fed.Fed:
        asked.append(batch)
        raise ModelError(Problem("net", error))

    monkeypatch.setattr(fed, "fed_with", failing)
    found = contest.Contender(ENTRANT)
    contest._add(found, fed.Fed(ENTRANT, JOB, {}), 64, batch=16)
    assert asked == [64]
    assert (found.others, found.remarks) == ({}, [f"a batch of 64 is left out of the sweep: {why}"])


def test_other_errors_are_no_reason_to_halve(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> fed.Fed:
        raise ModelError(Problem("net", "raised ValueError"))

    monkeypatch.setattr(fed, "fed_with", broken)
    with pytest.raises(ModelError, match="net: raised ValueError"):
        fed.fitting(ENTRANT, JOB, 20)


@pytest.mark.parametrize(
    ("free", "groups"),
    [
        pytest.param([100, 90, 80, 70], [["a", "b", "c"]], id="all fit"),
        pytest.param([100, 60, 40, 60], [["a", "b"], ["c"]], id="two leave less than half"),
        pytest.param([100, 10, 10, 10], [["a"], ["b"], ["c"]], id="one at a time"),
        pytest.param([None] * 4, [["a", "b", "c"]], id="nobody knows"),
    ],
)
def test_models_are_in_memory_together_as_far_as_they_fit(
    monkeypatch: pytest.MonkeyPatch, free: list[int | None], groups: list[list[str]]
) -> None:
    left = iter(free)
    monkeypatch.setattr(fed, "free_bytes", lambda device: next(left))
    monkeypatch.setattr(fed, "_loaded", lambda context, entrant: f"job of {entrant}")
    waiting: Any = ["a", "b", "c"]
    found: Any = [[entrant for entrant, _ in group] for group in fed.in_groups(CONTEXT, waiting)]
    assert found == groups


def test_a_model_that_does_not_load_beside_others_is_loaded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def loaded(context: object, entrant: str) -> object:
        tries.append(entrant)
        if entrant == "large" and tries.count("large") == 1:
            with pytest.raises(ModelError) as caught:
                too_large()
            return caught.value
        return "job"

    monkeypatch.setattr(fed, "free_bytes", lambda device: None)
    monkeypatch.setattr(fed, "_loaded", loaded)
    waiting: Any = ["small", "large"]
    found: Any = [list(group) for group in fed.in_groups(CONTEXT, waiting)]
    assert found == [[("small", "job")], [("large", "job")]]


# Whole runs.


@pytest.fixture
def timed(case: CaseOf) -> Case:
    net = case("timed")
    done = net.run("--batch-size", "8")
    assert done.code == 0, done.err
    return net


def passes(net: Case) -> list[PassRecord]:
    """The passes of the newest run, as its manifest lists them."""
    run = open_run(results=net.results)
    assert all(status.status == "done" for status in run.manifest.passes)
    return [run.store.pass_of(status.key, status.file or "") for status in run.manifest.passes]


def files(net: Case) -> set[Path]:
    return set((net.results / "throughput").rglob("*.json"))


def test_a_run_times_its_models_and_lists_the_passes(timed: Case) -> None:
    plain, roomy, narrow = passes(timed)
    assert [each.model for each in (plain, roomy, narrow)] == ["plain", "roomy", "narrow"]
    assert [plain.throughput.batch, roomy.throughput.batch, narrow.throughput.batch] == [16, 16, 8]
    assert narrow.asked == 16
    assert narrow.remarks[:2] == [
        "a batch of 16 does not fit the device's memory: halved to 8",
        "a batch of 64 is left out of the sweep: it does not fit the device's memory",
    ]
    assert [each.batch for each in plain.sweep] == [4, 64], "more samples than the dataset has are repeated"
    assert [each.batch for each in narrow.sweep] == [4]
    assert plain.latency is not None
    assert plain.latency.batch == 1
    assert min(each.iterations for each in (plain.throughput, plain.latency, *plain.sweep)) >= 5
    assert plain.beside == ["roomy", "narrow"]
    assert roomy.memory.beyond is not None
    assert roomy.memory.beyond > 8_000_000
    assert plain.facts["parameters"] == 2
    assert plain.environment["threads"] == torch.get_num_threads()
    assert plain.before["cores"] == plain.after["cores"] >= 1
    assert len(files(timed)) == 3


def test_a_finished_run_takes_no_pass_again_unless_asked(timed: Case) -> None:
    before = files(timed)
    done = timed.run("--batch-size", "8")
    assert (done.code, files(timed)) == (0, before)
    assert "nothing to do" in done.err
    assert timed.run("--passes", "2").code == 0
    assert len(files(timed)) == 6
    assert timed.run("--passes", "2").code == 0
    assert len(files(timed)) == 6, "there are two already"
    assert len(passes(timed)) == 6
    timed.edit("seconds: 0.01", "seconds: 0.02")
    assert timed.run("--batch-size", "8").code == 0
    assert len(files(timed)) == 9, "other settings, other passes"
    assert len(passes(timed)) == 3


def test_a_new_model_is_timed_beside_all_others(timed: Case) -> None:
    timed.edit("  roomy:", '  fresh: {use: "model.py:Plain", args: {}, mean: [0.5]}\n  roomy:')
    assert timed.run("--batch-size", "8").code == 0
    assert len(files(timed)) == 3 + 4
    newest = [each for each in passes(timed) if each.model == "plain"][-1]
    assert newest.beside == ["fresh", "roomy", "narrow"]


@pytest.mark.parametrize(("stops", "goes_on"), [("_halt", "_turn"), ("_turn", "_halt")], ids=["warm-up", "block"])
def test_stopping_in_a_pass_keeps_none_of_it_and_the_same_command_takes_it_again(
    case: CaseOf, monkeypatch: pytest.MonkeyPatch, stops: str, goes_on: str
) -> None:
    net = case("timed")

    def stop(*_: object) -> None:
        raise Interrupted(Problem("throughput pass", "stopped in it"))

    with monkeypatch.context() as patch:
        patch.setattr(contest, stops, stop)
        patch.setattr(contest, goes_on, lambda *_: None)
        done = net.run("--batch-size", "8")
    assert done.code == 130
    assert files(net) == set()
    manifest = open_run(results=net.results).manifest
    assert (manifest.status, [cell.status for cell in manifest.cells]) == ("interrupted", ["done"] * 3)
    assert net.run("--batch-size", "8").code == 0
    assert len(files(net)) == 3
    assert open_run(results=net.results).manifest.status == "complete"


def test_passes_that_are_finished_when_a_run_is_stopped_are_listed(
    timed: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = contest._halt, itertools.count()

    def stop(context: Any) -> None:
        """Once in the second of the two passes that lack."""
        if len(files(timed)) == 6 and not next(count):
            raise Interrupted(Problem("throughput pass", "stopped in it"))
        real(context)

    monkeypatch.setattr(contest, "_halt", stop)
    assert timed.run("--passes", "3").code == 130
    manifest = open_run(results=timed.results).manifest
    assert manifest.status == "interrupted"
    assert {status.file for status in manifest.passes} == {path.name for path in files(timed)}
    assert len(passes(timed)) == 6
    assert timed.run("--passes", "3").code == 0
    assert len(passes(timed)) == 9


@pytest.mark.parametrize("step", ["warm-up", "block"])
def test_asking_to_stop_ends_a_pass(step: str) -> None:
    class Asked:
        listen = staticmethod(lambda event: None)
        stopped = staticmethod(lambda: True)

    with pytest.raises(Interrupted, match="throughput pass: stopped in it. The same command takes it again"):
        asked: Any = Asked()
        contest._halt(asked) if step == "warm-up" else contest._turn(asked, Time().lane("a", 1.0))


def test_a_model_that_fails_is_a_row_with_its_reason_and_fails_no_cell(
    case: CaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = case("timed")
    with monkeypatch.context() as patch:
        patch.setattr(fed, "fed_with", too_large)
        done = net.run("--batch-size", "8")
    assert done.code == 0, "the cells are whole"
    assert "plain on bars: no throughput: plain: does not fit the device's memory with a single sample" in done.err
    run = open_run(results=net.results)
    assert {status.status for status in run.manifest.passes} == {"failed"}
    rows = net.frame().query("metric == 'throughput'")
    assert rows["status"].tolist() == ["failed"] * 3
    assert rows["reason"].str.contains("does not fit the device's memory").all()
    again = net.run("--batch-size", "8")
    assert (again.code, files(net)) == (0, set()), "it fails each time: only who asks for it tries it again"
    assert "nothing to do" in again.err
    assert "does not fit the device's memory with a single sample." in again.err
    assert "'--passes 1' tries it again" in again.err
    assert net.frame().query("metric == 'throughput'")["status"].tolist() == ["failed"] * 3
    assert "throughput passes of" not in net.run("--dry-run").err
    assert net.run("--batch-size", "8", "--passes", "1").code == 0
    assert net.frame().query("metric == 'throughput'")["status"].tolist() == ["ok"] * 3


def test_what_failed_was_timed_beside_nothing(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    net, real = case("timed"), fed.fed_with
    monkeypatch.setattr(fed, "fed_with", lambda e, *rest: too_large() if e.names[0] == "roomy" else real(e, *rest))
    assert net.run("--batch-size", "8").code == 0
    found = [json.loads(path.read_text()) for path in files(net)]
    assert {each["model"]: each["beside"] for each in found} == {"plain": ["narrow"], "narrow": ["plain"]}
    again = net.run("--batch-size", "8")
    assert "nothing to do" in again.err
    assert "roomy on bars: no throughput: " in again.err
    assert len(files(net)) == 2, "the others are not timed again on its account"


def test_the_input_is_the_dataset_over_and_over(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    net, seen = case("timed"), []
    real = fed.fed_with

    def kept(*arguments: Any) -> fed.Fed:
        seen.append(real(*arguments))
        return seen[-1]

    monkeypatch.setattr(fed, "fed_with", kept)
    assert net.run("--batch-size", "8", "--only", "model=plain").code == 0
    largest = max((each.inputs["image"] for each in seen), key=len)
    assert largest.shape == (64, 1, 15, 15)
    assert torch.equal(largest[40:], largest[:24])
    assert not torch.equal(largest[:20], largest[20:40])


# Modes.


def test_a_faster_mode_is_what_is_timed(timed: Case) -> None:
    """The mean and the maximum of an image leave nothing to merge: the pass falls back as the cell does, and says so."""
    timed.edit("numerics: {device: cpu}", "numerics: {device: cpu, mode: fused}")
    assert timed.run("--batch-size", "8").code == 0
    plain = passes(timed)[0]
    assert plain.mode == "exact"
    assert plain.remarks[0].startswith("timed in mode exact; not in mode fused: there is nothing in it to merge")


def test_a_merged_copy_is_run_and_weighed(timed: Case) -> None:
    timed.edit("model.py:Roomy", "model.py:Normalised")
    timed.edit("numerics: {device: cpu}", "numerics: {device: cpu, mode: fused}")
    assert timed.run("--batch-size", "8").code == 0
    merged = next(each for each in passes(timed) if each.model == "roomy")
    assert merged.mode == "fused"
    # a convolution of 2 maps with its bias, which libraries fill up as they pack it, and a linear layer of 2 outputs
    assert 4 * (2 * 9 + 2 + 2 * 2 + 2) <= merged.memory.weights < 4 * (16 * 9 * 16)
    assert merged.facts["parameters"] == 2 * 9 + 2 + 4 + 2 * 2 + 2


# Bad input.


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ("{batch: 0}", ("throughput.batch: got 0", "expected 1 or more")),
        ("{batch: 1.5}", ("throughput.batch: got 1.5", "expected a whole number")),
        ("{seconds: 0}", ("throughput.seconds: got 0", "expected a number above 0")),
        ("{seconds: -2}", ("throughput.seconds: got -2", "expected a number above 0")),
        ("{seconds: .nan}", ("throughput.seconds: got .nan", "expected a finite number")),
        ("{iterations: 1}", ("throughput.iterations: got 1", "expected 2 or more")),
        ("{sweep: [1, 0]}", ("throughput.sweep.1: got 0", "expected 1 or more")),
        ("{sweep: 4}", ("throughput.sweep: got 4", "expected a list")),
        ("{latency: 3}", ("throughput.latency: got 3", "expected true or false")),
        ("{secnds: 5}", ("got unknown key 'secnds'", "expected one of batch, seconds", "Did you mean 'seconds'?")),
        ("fast", ("throughput: got 'fast'", "expected a mapping")),
    ],
)
def test_bad_sections_are_refused(case: CaseOf, section: str, parts: tuple[str, ...]) -> None:
    net = case("timed")
    net.edit("{batch: 16, seconds: 0.01, iterations: 5, sweep: [4, 64]}", section)
    done = net.run()
    assert done.code == 2
    for part in ("suite.yaml:12: ", *parts):
        assert part in done.err


@pytest.mark.parametrize(
    ("section", "arguments", "parts"),
    [
        ("true", ["--passes", "0"], ("--passes: got 0", "expected 1 or more")),
        ("false", ["--passes", "3"], ("--passes: timed asks for no throughput passes", "Add 'throughput: true'")),
    ],
)
def test_passes_are_refused_where_there_can_be_none(
    case: CaseOf, section: str, arguments: list[str], parts: tuple[str, ...]
) -> None:
    net = case("timed")
    net.edit("{batch: 16, seconds: 0.01, iterations: 5, sweep: [4, 64]}", section)
    done = net.run(*arguments)
    assert done.code == 2
    assert all(part in done.err for part in parts)
    assert not net.results.exists()


def test_a_dry_run_says_how_long_passes_take_at_least(case: CaseOf) -> None:
    net = case("timed")
    done = net.run("--dry-run")
    assert "throughput passes of 0 s at least, which are not counted" in done.err
    net.edit("seconds: 0.01", "seconds: 2.5")
    # three models, four batch sizes, 2.5 s each
    assert "throughput passes of 30 s at least" in net.run("--dry-run").err
    document = json.loads(net.run("--dry-run", "--json", "--passes", "2").out)
    assert document["seconds_of_throughput_passes"] == 60


def test_without_the_section_nothing_is_timed(case: CaseOf, symbench: Symbench) -> None:
    net = case("timed")
    net.edit("throughput: {batch: 16, seconds: 0.01, iterations: 5, sweep: [4, 64]}\n", "")
    assert net.run("--batch-size", "8").code == 0
    assert not (net.results / "throughput").exists()
    row = net.frame().query("metric == 'throughput'").iloc[0]
    assert (row["status"], row["reason"]) == (
        "undefined", "no throughput pass: 'throughput: true' in the suite asks for one",
    )  # fmt: skip
    document = json.loads(symbench("report", "--results", net.results, "--json").out)
    assert "passes" not in document


# What is kept.


def test_passes_that_were_altered_are_found_out(timed: Case, symbench: Symbench) -> None:
    run = open_run(results=timed.results)
    status = run.manifest.passes[0]
    (path,) = (timed.results / "throughput" / status.key[:2] / status.key).glob("*.json")
    text = path.read_text()
    path.write_text(text.replace('"batch": 16', '"batch": 17', 1))
    with pytest.raises(ConfigError, match="is not what was written, expected a throughput pass. Run the suite with"):
        run.store.pass_of(status.key, path.name)
    row = timed.frame().query("metric == 'throughput' and model == 'plain'").iloc[0]
    assert row["status"] == "failed"
    assert "is not what was written" in row["reason"]
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        run.store.pass_of(status.key, path.name)
    for key, file in ((status.key, "../../x.json"), ("../x", path.name)):
        with pytest.raises(ConfigError, match="is no name of a throughput pass"):
            run.store.pass_of(key, file)
    assert timed.run("--batch-size", "8").code == 0, "it is taken again"
    assert len(passes_of(timed, "plain")) == 1


def passes_of(net: Case, model: str) -> list[PassRecord]:
    """The passes that the estimates of a model are made from."""
    from symbench.read import estimates

    run = open_run(results=net.results)
    return list(estimates.taken(run.store, run.manifest.passes, model, "bars").records)


def test_the_report_shows_every_batch_size(timed: Case, symbench: Symbench) -> None:
    document = json.loads(symbench("report", "--results", timed.results, "--json").out)
    first = document["passes"][0]
    assert (first["model"], first["dataset"], first["status"]) == ("plain", "bars", "done")
    assert {"median", "p90", "p99"} <= set(first["throughput"])
    assert first["environment"]["processor"]
    assert symbench("report", "--results", timed.results, "--output", timed.path / "page").code == 0
    page = (timed.path / "page" / "report.html").read_text()
    assert "Forward passes by batch size" in page
    assert "samples per second on the processor" in page
    assert "halved to 8" in page
    assert "Time per sample in the evaluation" in page
