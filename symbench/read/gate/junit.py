"""A gate as JUnit XML: one test case for each rule and match."""

from __future__ import annotations

from junitparser import Attr, Error, Failure, TestCase
from junitparser.xunit2 import JUnitXml, TestSuite

from symbench.base.escape import one_line, printable
from symbench.base.records import GateRecord, MatchRecord
from symbench.read.gate.words import details, level, place, qualified, sentence, title, unexplained, worst_first

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'


class Case(TestCase):
    """A test case with the place of its rule, as GitLab, CircleCI and annotating actions read it."""

    file = Attr()
    line = Attr()


def render(record: GateRecord) -> str:
    """The document. It has no failure and no error exactly where the exit status is 0.

    A failed match is a failure, and so is an inconclusive one that keeps the gate from passing; what is missing, not
    comparable or wrong is an error. Where the gate did not pass and no match says why, a case named ``gate`` does.
    """
    suite = TestSuite(printable(record.suite))
    taken: dict[str, int] = {}
    cases: list[TestCase] = [_case(match, record, taken) for match in worst_first(record)]
    reason = unexplained(record)
    if reason is not None:
        cases.append(Case("gate", classname=_class(record, "gate")))
        cases[-1].result = [Error(one_line(reason), record.verdict)]
    suite.add_testcases(cases)
    file = next((file for match in record.rules if (file := place(match)[0])), None)
    if file is not None:
        suite.file = printable(file)
    document = JUnitXml("symbench gate")
    document.add_testsuite(suite)
    document.update_statistics()
    return f"{DECLARATION}\n{document.tostring().decode()}\n"


def _case(match: MatchRecord, record: GateRecord, taken: dict[str, int]) -> Case:
    case = Case(_name(match, taken), classname=_class(record, match.metric))
    file, line = place(match)
    if file is not None:
        case.file, case.line = printable(file), str(line)
    loud = level(match, record)
    if loud == "error":
        kind = Failure if match.verdict in {"fail", "inconclusive"} else Error
        result = kind(one_line(sentence(match)), match.verdict)
        result.text = printable(details(match))
        case.result = [result]
    elif loud is not None:
        case.system_out = printable(f"{match.verdict}: {match.reason}\n{details(match)}")
    else:
        case.system_out = printable(sentence(match))
    return case


def _name(match: MatchRecord, taken: dict[str, int]) -> str:
    """Metric, subject and rule; numbered where two rules ask the same."""
    names = ("output", "elements", "replica") if match.replica else ("output", "elements")
    subject = title(match) + qualified(match, names)
    name = one_line(f"{subject}: {match.kind} {match.limit:g}")
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name} #{taken[name]}"


def _class(record: GateRecord, metric: str) -> str:
    return one_line(f"{record.suite}.{metric}")
