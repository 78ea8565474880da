"""What verdicts say: better or worse, what happened, what would decide, what went unseen, and what to do at first."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from conftest import Case, CaseOf
from junitparser import JUnitXml

from symbench.base.records import GateRecord, MatchRecord

SWAPPED = "order: [1, 0]"


def edited(case: Case, *changes: tuple[str, str], file: str = "suite.yaml") -> Case:
    """The case with other words in one of its files."""
    path = case.path / file
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return case


def rule(text: str) -> tuple[str, str]:
    return "{metric: orbit_accuracy, max_drop: 0.25}", text


def promoted(case: Case) -> Case:
    """The case with its run as the baseline."""
    assert case.run().code == 0
    ran = case.symbench("baseline", "set", "--force", "--reason", "first", "--results", case.results)
    assert ran.code == 0, ran.err
    return case


def judged(case: Case) -> MatchRecord:
    """The only match of a new run."""
    assert case.run().code == 0
    (match,) = GateRecord.model_validate_json(case.gate("--json").out).rules
    return match


def test_a_failure_says_what_happened(case: CaseOf) -> None:
    """The symmetry is as it was, and everything is wrong: the numbers alone would not say which it is."""
    net = promoted(edited(case("swapped_classes"), ("slant: 0.0", "slant: 0.5")))
    match = judged(edited(net, ("order: [0, 1]", SWAPPED)))
    assert match.verdict == "fail"
    moved, element, kind, pictures = match.happened
    assert re.fullmatch(
        r"symmetry unchanged \(E (\S+) -> \1\), unmoved accuracy itself worse \(100.0 -> 0.0 %\)", moved
    )
    assert re.fullmatch(r"worst element .+: accuracy of 0.0 % \(before: 100.0 %\)", element)
    assert re.fullmatch(r"worst class [01]: right on 0.0 % over the orbit \(before: 100.0 %\), 20 samples", kind)
    assert re.fullmatch(r"what breaks worst, in pictures: symbench report bars-\S+ --results \S+", pictures)
    assert net.symbench(*pictures.partition("symbench ")[2].split(), "--format", "md").code == 0
    files = {name: net.path / f"gate.{name}" for name in ("junit", "markdown", "sarif")}
    ran = net.gate(*(part for name, path in files.items() for part in (f"--{name}", path)), "--annotations")
    assert ran.code == 1
    for text in (ran.out, ran.err, *(html.unescape(path.read_text()) for path in files.values())):
        plain = text.replace("\\", "").replace("%25", "%")
        assert "unmoved accuracy itself worse (100.0 -" in plain
        assert "100.0 points worse [" in plain
        assert "could go unseen" in plain


def test_a_failure_that_only_the_symmetry_explains(case: CaseOf) -> None:
    """Half of the images are told wrong after half a turn, and none as they are: the other way round."""
    net = promoted(edited(case("swapped_classes"), rule("{metric: equivariance_error, max_drop: 0.01}")))
    match = judged(edited(net, ("slant: 0.0", "slant: 0.5")))
    assert match.verdict == "fail"
    assert match.happened[0].startswith("symmetry worse (E ")
    assert "unmoved accuracy itself unchanged (100.0 -> 100.0 %)" in match.happened[0]
    assert re.fullmatch(r"worst element 180°: E \S+ \(before: \S+\)", match.happened[1])
    assert "worse [" in net.gate().out


def test_what_got_better_is_told_as_better(case: CaseOf) -> None:
    net = edited(
        case("swapped_classes"), rule("{metric: equivariance_error, max_drop: 0.05}"), ("slant: 0.0", "slant: 0.5")
    )
    match = judged(edited(promoted(net), ("slant: 0.5", "slant: 0.1")))
    assert match.verdict == "pass"
    assert match.happened == []
    (line,) = [line for line in net.gate().out.splitlines() if line.startswith("PASS")]
    assert re.search(r": 0\.\d+ E better \[.*\], from 0\.\d+ E to 0\.\d+ E, may be 0.05 E worse \(p 1", line)
    assert not re.search("dropped|rose", line)


def test_every_verdict_says_what_went_unseen(case: CaseOf) -> None:
    """40 samples: changes in fewer than 8.8 % of them are not seen in 2.5 % of draws. Limits of shares allow for it."""
    net = promoted(
        edited(case("swapped_classes"), ("gates:", "gates:\n  - {metric: equivariance_error, max_drop: 0.5}"))
    )
    assert edited(net, ("slant: 0.0", "slant: 0.01")).run().code == 0
    record = GateRecord.model_validate_json(net.gate("--json").out)
    assert [(match.verdict, match.bounded) for match in record.rules] == [("pass", False), ("pass", True)]
    for match in record.rules:
        assert match.unseen == pytest.approx(1 - 0.025 ** (1 / 40))
    junit = net.path / "junit.xml"
    lines = net.gate("--junit", junit, "--markdown", net.path / "gate.md").out.splitlines()
    assert "changes in fewer than 8.8 % of samples could go unseen" in lines[0]
    assert not lines[0].endswith("allows for")
    assert lines[1].endswith("changes in fewer than 8.8 % of samples could go unseen, which the limit allows for")
    assert (net.path / "gate.md").read_text().count("could go unseen") == 2
    shown = [test.system_out for suite in JUnitXml.fromfile(str(junit)) for test in suite]
    assert all("could go unseen" in text for text in shown)
    ran = net.symbench("validate", net.path / "suite.yaml")
    assert ran.err.count("changes in fewer than 8.8 % of 40 samples could go unseen") == 2


def test_an_inconclusive_verdict_says_what_would_decide_it(case: CaseOf) -> None:
    """None of 40 samples changed: 8.8 points may be lost for all that is known, and 5 are allowed."""
    net = promoted(edited(case("swapped_classes"), rule("{metric: orbit_accuracy, max_drop: 0.05}")))
    match = judged(edited(net, ("slant: 0.0", "slant: 0.01")))
    assert match.verdict == "inconclusive"
    assert match.needed is not None
    assert match.needed == pytest.approx(3.7 / 0.05, rel=0.1)
    assert f"about {match.needed} samples, or a margin of 8.9 points, would decide" in net.gate().out
    edited(net, ("max_drop: 0.05", "max_drop: 0.089"))
    assert net.gate("--suite", net.path / "suite.yaml").code == 0, "the margin that was named"


def test_equal_weights_with_equal_observations_pass_wherever_they_come_from(case: CaseOf) -> None:
    """A comment in the model's file makes another cell of the same weights: a margin that 40 samples cannot tell."""
    net = promoted(edited(case("swapped_classes"), rule("{metric: orbit_accuracy, max_drop: 0.01}")))
    first = (net.results / "latest").read_text()
    edited(net, ("class Directions", "# the same\nclass Directions"), file="model.py")
    match = judged(net)
    assert (net.results / "latest").read_text() != first
    assert (match.verdict, match.reason) == ("pass", "identical to the baseline")


def test_equal_weights_in_other_code_are_tested(case: CaseOf) -> None:
    """The same weights, and right about the same samples, less surely: others might have been lost."""
    net = promoted(edited(case("swapped_classes"), rule("{metric: orbit_accuracy, max_drop: 0.01}")))
    edited(net, ("return self.scale *", "return 0.5 * self.scale *"), file="model.py")
    assert judged(net).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("metric", "order", "reason"),
    [("orbit_accuracy", SWAPPED, "0 in both runs: no change"), ("equivariance_error", "order: [0, 1]", "identical")],
)
def test_nothing_of_nothing_is_no_change(case: CaseOf, metric: str, order: str, reason: str) -> None:
    net = edited(
        case("swapped_classes"), rule(f"{{metric: {metric}, max_relative_drop: 0.1}}"), ("order: [0, 1]", order)
    )
    match = judged(edited(promoted(net), ("slant: 0.0", "slant: 0.01")) if order == SWAPPED else promoted(net))
    assert match.verdict == "pass"
    assert reason in match.reason


def test_a_first_run_is_told_what_to_do(case: CaseOf, tmp_path: Path) -> None:
    """Nothing has gone wrong where there is no baseline yet: neither the gate nor the report's first line says so."""
    net = edited(case("swapped_classes"), ("gates:", "gates:\n  - {metric: accuracy, at_least: 0.5}"))
    assert net.run().code == 0
    ran = net.gate()
    assert ran.code == 4
    first, last = ran.out.splitlines()[0], ran.out.splitlines()[-1]
    assert first.startswith("MISSING")
    assert re.fullmatch(r"nothing to compare with yet: 1 missing, 1 pass; run bars-[\w-]+; exit status 4", last)
    assert "note: there is no baseline yet: 'symbench baseline set --reason TEXT' makes this run" in ran.out
    assert net.symbench("report", "--results", net.results, "--output", tmp_path, "--format", "html").code == 0
    page = html.unescape((tmp_path / "report.html").read_text())
    assert "could not decide" not in page
    sentences = [
        m.start()
        for m in re.finditer("1 of 2 checks pass; 1 compare with a baseline, which does not exist yet", page)
    ]
    assert sentences
    assert page.index("No model loses more than half a point") < sentences[0], "results come first"
    assert "symbench baseline set --reason TEXT" in page


def test_validate_and_the_gate_speak_of_the_same_margins(case: CaseOf) -> None:
    net = case("swapped_classes")
    told = json.loads(net.symbench("validate", net.path / "suite.yaml", "--json").out)["margins"]
    (margin,) = told
    assert [one["changed"] for one in margin["detectable"]] == [0.027, 0.1]
    match = judged(edited(promoted(net), ("slant: 0.0", "slant: 0.01")))
    assert match.detectable is not None
    assert match.detectable < margin["detectable"][0]["difference"], "nothing changed, which is less than 2.7 %"
    assert margin["unseen"] == match.unseen
