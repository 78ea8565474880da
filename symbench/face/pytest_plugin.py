"""``pytest --symbench suite.yaml``: each rule of a suite is a test. Loaded by pytest, and quiet until it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from symbench.base.records import GateRecord


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that begin with ``--symbench``."""
    group = parser.getgroup("symbench", "symmetry gates")
    group.addoption(
        "--symbench",
        metavar="SUITE",
        action="append",
        default=[],
        help="test a suite's rules; several times for several",
    )
    group.addoption("--symbench-results", metavar="DIR", default="results", help="the results folder")
    group.addoption("--symbench-baseline", metavar="FILE", help="a baseline's file, a run, or git:REF:PATH")
    group.addoption(
        "--symbench-inconclusive",
        choices=["fail", "warn", "pass"],
        default="fail",
        help="what inconclusive verdicts come to",
    )
    group.addoption(
        "--symbench-no-baseline", choices=["fail", "pass"], default="fail", help="what a missing baseline comes to"
    )
    no_run = "judge the newest run; by default the suite is run first, which does nothing where nothing has changed"
    group.addoption("--symbench-no-run", action="store_true", help=no_run)


def pytest_configure(config: pytest.Config) -> None:
    """Collect the suites, and nothing else where nothing else was named."""
    suites = config.getoption("--symbench")
    if suites:
        named = config.args_source is pytest.Config.ArgsSource.ARGS
        files = {argument.partition("::")[0] for argument in config.args}
        config.args[:] = [*(config.args if named else []), *(s for s in suites if not named or s not in files)]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A suite that was named is a collector of rules."""
    named = {Path(suite).resolve() for suite in parent.config.getoption("--symbench")}
    return SuiteFile.from_parent(parent, path=file_path) if file_path.resolve() in named else None


class SuiteFile(pytest.File):
    """A suite's file: its tests are the suite's rules."""

    record: GateRecord | None = None
    error: Exception | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """The suite's rules, a test each."""
        from symbench import SymbenchError, load_suite

        try:
            suite = load_suite(self.path)
        except SymbenchError as error:
            raise self.CollectError(str(error)) from error
        if not suite.gates:
            raise self.CollectError(f"{self.path.name}: the suite has no gates")
        # pytest tells tests apart by name: two rules of one name would be one test in reports and in --last-failed.
        times: dict[str, int] = {}
        for number, rule in enumerate(suite.gates):
            times[rule.name] = times.get(rule.name, 0) + 1
            name = rule.name if times[rule.name] == 1 else f"{rule.name} #{times[rule.name]}"
            line = suite.source.line(("gates", number)) if suite.source else 1
            yield RuleItem.from_parent(self, name=name, number=number, line=line)

    def judged(self) -> GateRecord:
        """The suite's verdicts; it is run, and judged, once, whatever comes of it."""
        if self.error is not None:  # every rule of the suite fails with it, and the suite is not run once for each
            raise self.error
        if self.record is None:
            try:
                self.record = self._judged()
            except Exception as error:
                self.error = error
                raise
        return self.record

    def _judged(self) -> GateRecord:
        """Run the suite unless told not to, and judge the run."""
        import symbench
        from symbench.read.gate import Policy
        from symbench.read.judge import judge_run

        option = self.config.getoption
        results = Path(option("--symbench-results"))
        run = None if option("--symbench-no-run") else symbench.run(self.path, results=results).manifest.run
        policy = Policy(option("--symbench-inconclusive"), option("--symbench-no-baseline"))
        baseline = option("--symbench-baseline")
        return judge_run(run, results=results, suite=self.path, baseline=baseline, policy=policy)


class RuleItem(pytest.Item):
    """One rule as a test: it fails where a cell that the rule is about does not keep it."""

    def __init__(self, *, number: int, line: int, **options: Any) -> None:
        super().__init__(**options)
        self.number, self.line = number, line

    def runtest(self) -> None:
        """Fail where a match of the rule does not pass."""
        from symbench.read.gate.words import level

        assert isinstance(self.parent, SuiteFile)
        record = self.parent.judged()
        matches = [match for match in record.rules if match.rule == self.number]
        if not matches or any(level(match, record) == "error" for match in matches):
            raise RuleBroken(record.model_copy(update={"rules": matches}))
        for match in matches:
            if level(match, record) == "warning":
                self.warn(pytest.PytestWarning(f"{match.subject}: {match.reason}"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The gate's own lines, and no traceback for what a user can cause."""
        from symbench import SymbenchError
        from symbench.read.gate.text import lines

        if isinstance(excinfo.value, RuleBroken):
            return "\n".join(lines(excinfo.value.record)[:-1])
        if isinstance(excinfo.value, SymbenchError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the rule stands."""
        return self.path, self.line - 1, f"rule {self.number + 1}: {self.name}"


class RuleBroken(Exception):
    """A rule that did not pass."""

    def __init__(self, record: GateRecord) -> None:
        super().__init__(f"{len(record.rules)} matches")
        self.record = record
