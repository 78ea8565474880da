"""What is made of a finished gate: every format says the same, whatever the names, and fits its reader."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from functools import cache
from typing import Any

import jsonschema
import pytest
import xmlschema
from conftest import ROOT
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from symbench.base import escape
from symbench.base.records import GateRecord, MatchRecord
from symbench.read.gate import junit, markdown, sarif, text
from symbench.read.gate.annotations import render as annotations_of

SCHEMAS = ROOT / "tests" / "schemas"
VERDICTS = ("fail", "error", "missing", "not comparable", "inconclusive", "pass")
POLICIES = (None, "fail", "warn", "pass")
REPLAY = "symbench run suites/quick.yaml --only model=cnn"
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "pipe": "a|b|c",
    "backticks": "``` `x` ```",
    "newline": "a\nb\r\nPASS  everything",
    "override": "safe\u202eelif\u2066",
    "control": "\x00\x1b[31mred\x1b]0;title\x07\x08\ufffe",
    "command": "x\n::error::mine\n##[error]mine",
    "markup": "# *a* _b_ [c](javascript:x) ![d](e) &lt; ~~f~~",
    "percent": "100 %, a:b,c %0A%3A",
    "cdata": "]]></testcase> & \"quoted\" 'x'",
    "emoji": "🙂" * 50,
}


def match(verdict: str = "pass", **more: Any) -> MatchRecord:
    """A rule on worst-case accuracy that had numbers, or none where it could have none."""
    numbers: dict[str, Any] = {}
    if verdict in {"pass", "fail", "inconclusive"}:
        numbers = {
            "estimate": 0.573, "low": 0.551, "high": 0.594, "n": 450, "before": 0.624, "change": 0.051,
            "change_low": 0.032, "change_high": 0.07, "margin": 0.03, "p_value": 0.002, "p_adjusted": 0.004,
            "detectable": 0.02, "needed": 1234 if verdict == "inconclusive" else None,
        }  # fmt: skip
    given: dict[str, Any] = {
        "rule": 0, "name": "worst_case_accuracy max_drop 0.03", "where": "suites/quick.yaml:31", "unit": "share",
        "metric": "worst_case_accuracy", "model": "cnn", "dataset": "digits", "symmetry": "rotations", "replica": 0,
        "output": "logits", "kind": "max_drop", "limit": 0.03, "verdict": verdict, "reason": f"why {verdict}",
        "replay": REPLAY,
    }  # fmt: skip
    return MatchRecord(**{**given, **numbers, **more})


def gate(*matches: MatchRecord, inconclusive: Any = None, **more: Any) -> GateRecord:
    """A gate with the outcome that its matches and the policy ask for, told here once more from the words of --help."""
    seen = {m.verdict for m in matches}
    if "fail" in seen or ("inconclusive" in seen and inconclusive == "fail"):
        verdict, code = "fail", 1
    elif "error" in seen:
        verdict, code = "error", 3
    else:
        open_: list[str] = [v for v in ("missing", "not comparable") if v in seen]
        open_ += ["inconclusive"] if "inconclusive" in seen and inconclusive is None else []
        verdict, code = (open_[0], 4) if open_ else ("pass", 0)
    given = {"run": "quick-1", "suite": "quick", "baseline": None, "verdict": verdict, "exit_code": code}
    return GateRecord(**{**given, "inconclusive": inconclusive, "rules": list(matches), **more})


COMBINATIONS = [
    gate(*map(match, chosen), inconclusive=policy)
    for policy in POLICIES
    for size in (1, 2, 6)
    for chosen in itertools.combinations(VERDICTS, size)
]


@cache
def junit_schema(name: str) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(SCHEMAS / f"{name}.xsd"))


@cache
def sarif_schema() -> jsonschema.Draft4Validator:
    schema = json.loads(gzip.decompress((SCHEMAS / "sarif-2.1.0.json.gz").read_bytes()))
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def valid_junit(document: str) -> ET.Element:
    """The parsed document, after both schemas: the one of today knows no file and line of a case."""
    junit_schema("junit-10-2014").validate(document)
    root = ET.fromstring(document)
    stripped = ET.fromstring(document)
    for case in stripped.iter("testcase"):
        case.attrib.pop("file", None)
        case.attrib.pop("line", None)
    junit_schema("junit-10").validate(ET.tostring(stripped, encoding="unicode"))
    return root


def valid_sarif(document: str) -> dict[str, Any]:
    data = json.loads(document)
    sarif_schema().validate(data)
    (run,) = data["runs"]
    return run


def table_of(page: str) -> list[list[str]]:
    """The cells of a page's only table, as a Markdown reader sees them."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(page)
    rows: list[list[str]] = []
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in {"td_open", "th_open"}:
            children = token.children or []
            assert all(c.type != "html_inline" or c.content == "<br>" for c in children), token.content
            assert not {c.type for c in children} & {"link_open", "image", "em_open", "s_open"}, token.content
            rows[-1].append("".join("\n" if c.type == "html_inline" else c.content for c in children))
    assert not [t for t in tokens if t.type == "html_block"]
    return rows


def commands_of(document: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as GitHub's runner reads them: command, properties, message."""
    found = []
    for line in document.splitlines():
        parsed = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
        assert parsed, line
        properties = dict(part.split("=", 1) for part in parsed[2].split(","))
        for key, value in properties.items():
            properties[key] = value.replace("%3A", ":").replace("%2C", ",")
        plain = [
            v.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") for v in (parsed[3], *properties.values())
        ]
        found.append((parsed[1], dict(zip(properties, plain[1:], strict=True)), plain[0]))
    return found


@pytest.mark.parametrize(
    "record", COMBINATIONS, ids=lambda r: f"{r.inconclusive}-{'-'.join(m.verdict for m in r.rules)}"
)
def test_all_formats_and_the_exit_status_agree(record: GateRecord) -> None:
    passed = record.exit_code == 0
    verdicts = Counter(m.verdict for m in record.rules)
    quiet = verdicts["pass"] + (verdicts["inconclusive"] if record.inconclusive in {"warn", "pass"} else 0)

    shown = text.lines(record)
    assert (
        Counter(word[0].lower() for line in shown if (word := re.match("[A-Z]+( [A-Z]+)?(?=  )", line))) == verdicts
    )
    assert shown[-1].endswith(f"; exit status {record.exit_code}")
    assert shown[-1].startswith("gate passed") == passed

    assert junit.render(record).startswith("<?xml ")
    root = valid_junit(junit.render(record))
    (suite,) = root
    kinds = Counter(child.tag for case in suite for child in case)
    assert (kinds["failure"] + kinds["error"] == 0) == passed
    assert kinds["failure"] + kinds["error"] == len(record.rules) - quiet
    assert kinds["error"] == verdicts["error"] + verdicts["missing"] + verdicts["not comparable"]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": str(len(record.rules)), "failures": str(kinds["failure"]), "errors": str(kinds["error"])
    }  # fmt: skip

    run = valid_sarif(sarif.render(record))
    levels = Counter(result["level"] for result in run["results"])
    assert (levels["error"] == 0) == passed
    assert sum(levels.values()) == len(record.rules) - verdicts["pass"]
    assert run["invocations"][0]["exitCode"] == record.exit_code
    assert levels["warning"] == (verdicts["inconclusive"] if record.inconclusive == "warn" else 0)
    assert levels["note"] == (verdicts["inconclusive"] if record.inconclusive == "pass" else 0)

    page = markdown.render(record)
    assert Counter(row[0] for row in table_of(page)[1:]) == verdicts
    assert f"exit status {record.exit_code}." in page
    assert page.startswith("## Symmetry gate passed\n") == passed

    commands = Counter(command for command, _, _ in commands_of(annotations_of(record)))
    renamed = {"error": "error", "warning": "warning", "notice": "note"}
    assert {renamed[command]: count for command, count in commands.items()} == levels

    published = json.loads((ROOT / "symbench" / "base" / "schemas" / "gate-1.json").read_text())
    document = json.loads(record.model_dump_json())
    jsonschema.validate(document, published)
    assert document["exit_code"] == record.exit_code


@pytest.mark.parametrize("rules", [[], [match("pass")]], ids=["no rule", "all pass"])
@pytest.mark.parametrize("code", [2, 3, 4])
def test_what_no_match_explains_is_told_all_the_same(rules: list[MatchRecord], code: int) -> None:
    record = gate(*rules, verdict="error", exit_code=code, notes=["2 cells <failed>"])
    (case,) = [c for c in valid_junit(junit.render(record)).iter("testcase") if c.find("error") is not None]
    assert (case.get("name"), case[0].tag) == ("gate", "error")
    assert "2 cells <failed>" in str(case[0].get("message"))
    (result,) = valid_sarif(sarif.render(record))["results"]
    assert (result["ruleId"], result["level"]) == ("gate", "error")
    ((command, _, message),) = commands_of(annotations_of(record))
    assert command == "error"
    assert message.endswith("2 cells <failed>")
    assert text.lines(record)[-1].endswith(f"exit status {code}")


def test_a_passed_gate_says_nothing_that_need_not_be_said() -> None:
    record = gate(match(), match(element="90°"))
    assert annotations_of(record) == ""
    assert valid_sarif(sarif.render(record))["results"] == []
    assert "run just this cell: " not in "\n".join(text.lines(record))
    assert REPLAY not in markdown.render(record)


def test_text_for_people() -> None:
    shares = match("fail")
    better = match(
        model="mlp", before=0.6, estimate=0.62, change=-0.02, change_low=-0.04, change_high=0.005, p_value=0.9, p_adjusted=1.0
    )  # fmt: skip
    error = match(
        "inconclusive", metric="equivariance_error", unit="E", kind="at_most", limit=1e-5, estimate=1.234e-5,
        low=9.87e-6, high=1.4e-5, before=None, change=None, margin=None, detectable=None, p_value=0.2, p_adjusted=None,
    )  # fmt: skip
    blind = match("inconclusive", kind="max_relative_drop", limit=0.05, margin=0.0312, detectable=0.041)
    record = gate(better, error, shares, blind, match("missing", reason="the cell is not measured"), notes=["a note"])
    assert text.lines(record) == [
        "FAIL          worst_case_accuracy of cnn on digits under rotations: 5.1 points worse [3.2, 7.0], from 62.4 % to 57.3 %, may be 3.0 points worse (p 0.002, Holm 0.004)",
        f"              run just this cell: {REPLAY}",
        "MISSING       worst_case_accuracy of cnn on digits under rotations: the cell is not measured",
        f"              run just this cell: {REPLAY}",
        "INCONCLUSIVE  equivariance_error of cnn on digits under rotations: 1.23e-05 E [9.87e-06, 1.4e-05], at most 1e-05 E (p 0.2); why inconclusive; about 1,234 samples, or a limit of 1.4e-05 E, would decide",
        f"              run just this cell: {REPLAY}",
        "INCONCLUSIVE  worst_case_accuracy of cnn on digits under rotations: 5.1 points worse [3.2, 7.0], from 62.4 % to 57.3 %, may be 3.1 points worse, 5 % of the baseline (p 0.002, Holm 0.004); why inconclusive; about 1,234 samples would decide",
        f"              run just this cell: {REPLAY}",
        "              warning: a change must be 4.1 points to be seen surely, more than the 3.1 points allowed",
        "PASS          worst_case_accuracy of mlp on digits under rotations: 2.0 points better [-0.5, 4.0], from 60.0 % to 62.0 %, may be 3.0 points worse (p 0.9, Holm 1)",
        "note: a note",
        f"gate failed: 1 fail, 1 missing, 2 inconclusive, 1 pass; run {record.run}; exit status 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"change": 0.0301, "change_low": 0.02, "change_high": 0.04}, "3.01 points worse [2.00, 4.00]"),
        ({"change": 0.03, "change_low": 0.02, "change_high": 0.04}, "3.0 points worse [2.0, 4.0]"),
        ({"change": 0.0, "estimate": 0.9996, "before": 0.9996}, "unchanged [3.20, 7.00] points, from 99.96 % to 99.96 %"),
        ({"change": -0.0001, "change_low": -0.01, "change_high": 0.01}, "0.0 points better [-1.0, 1.0]"),
        ({"kind": "at_least", "limit": 0.573, "estimate": 0.5729}, "57.29 % [55.10, 59.40], at least 57.3 %"),
        ({"kind": "at_least", "limit": 0.9825}, "at least 98.25 %"),
        ({"kind": "at_least", "limit": 1.0}, "at least 100.0 %"),
        ({"p_value": 0.0, "p_adjusted": 9e-5}, "(p <0.0001, Holm <0.0001)"),
        ({"kind": "at_most", "limit": 25e6, "unit": "count", "estimate": 23_410_152.0}, "23,400,000 count"),
        ({"kind": "at_most", "limit": 25_000_000, "unit": "", "estimate": 2.0}, "at most 25,000,000 ("),
        ({"unit": "images/s", "before": 1234.5, "estimate": 987.6, "change": 246.9}, "from 1,230 images/s to 988 images/s"),
    ],
)  # fmt: skip
def test_numbers_are_short_but_never_look_like_the_limit(more: dict[str, Any], shown: str) -> None:
    assert shown in text.lines(gate(match("fail", **more)))[0]


def test_matches_that_differ_by_a_replica_or_an_output_are_told_apart() -> None:
    rules = [match("fail", replica=r, output=o) for r in (0, 1) for o in ("logits", "boxes")] + [
        match("fail", model="mlp")
    ]
    shown = [line.split(":")[0] for line in text.lines(gate(*rules)) if line.startswith("FAIL")]
    assert shown[:2] == [
        "FAIL  worst_case_accuracy of cnn on digits under rotations (replica 0, output logits)",
        "FAIL  worst_case_accuracy of cnn on digits under rotations (replica 0, output boxes)",
    ]
    assert shown[-1] == "FAIL  worst_case_accuracy of mlp on digits under rotations"


def test_names_of_test_cases_are_unique_and_stay() -> None:
    rules = [match("fail"), match("pass"), match("fail", limit=0.05), match("fail", element="90°")]
    cases = [(c.get("classname"), c.get("name")) for c in valid_junit(junit.render(gate(*rules))).iter("testcase")]
    assert len(set(cases)) == 4
    assert (
        "quick.worst_case_accuracy",
        "worst_case_accuracy of cnn on digits under rotations (output logits): max_drop 0.03",
    ) in cases
    other = [match("pass", estimate=0.9, change=-0.1), *rules[2:]]
    names = {c.get("name") for c in valid_junit(junit.render(gate(*other))).iter("testcase")}
    assert names < {name for _, name in cases}


def test_junit_says_where_why_and_what_to_do() -> None:
    document = junit.render(gate(match("inconclusive"), match("missing", where=None)))
    missing, case = valid_junit(document).iter("testcase")
    assert (case.get("file"), case.get("line")) == ("suites/quick.yaml", "31")
    assert "file" not in missing.attrib
    assert "why inconclusive; about 1,234 samples, or a margin of 7.0 points, would decide" in str(
        case[0].get("message")
    )
    for part in (
        "estimate: 57.3 % [55.1, 59.4]", "limit: may be 3.0 points worse", "change: 5.1 points worse [3.2, 7.0]",
        "detectable difference: 2.0 points", "what would decide: about 1,234 samples", f"run just this cell: {REPLAY}",
    ):  # fmt: skip
        assert part in str(case[0].text).splitlines() or any(
            line.startswith(part) for line in str(case[0].text).splitlines()
        ), part
    (suite,) = JUnitXml.fromstring(document.encode())
    assert (suite.tests, suite.failures, suite.errors) == (2, 1, 1)
    warned = valid_junit(junit.render(gate(match("inconclusive"), inconclusive="warn")))
    assert [child.tag for child in warned[0][0]] == ["system-out"]
    assert str(warned[0][0][0].text).startswith("inconclusive: why inconclusive\n")


def test_sarif_points_at_the_suite_and_is_recognised_again() -> None:
    def result(**more: Any) -> dict[str, Any]:
        (found,) = valid_sarif(sarif.render(gate(match("fail", **more))))["results"]
        return found

    first = result(where="my suites\\a b.yaml:7")
    (location,) = first["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "my%20suites/a%20b.yaml", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 7}
    }  # fmt: skip
    assert first["ruleId"] == "worst_case_accuracy/max_drop"
    again = result(where="suites/quick.yaml:99", estimate=0.5, change=0.1, limit=0.02)
    assert again["partialFingerprints"] == first["partialFingerprints"]
    for other in ({"model": "mlp"}, {"element": "90°"}, {"kind": "at_least"}, {"replica": 1}, {"output": "boxes"}):
        assert result(**other)["partialFingerprints"] != first["partialFingerprints"], other
    twice = valid_sarif(sarif.render(gate(match("fail"), match("fail", limit=0.05))))
    assert len({json.dumps(r["partialFingerprints"]) for r in twice["results"]}) == 2
    assert [rule["id"] for rule in twice["tool"]["driver"]["rules"]] == ["worst_case_accuracy/max_drop"]
    assert "locations" not in result(where=None)
    (absolute,) = result(where="/a b/quick.yaml:3")["locations"]
    assert absolute["physicalLocation"]["artifactLocation"] == {"uri": "file:///a%20b/quick.yaml"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_names(name: str) -> None:
    word = HOSTILE[name]
    rules = [
        match(v, model=word, element=word, reason=f"why {word}", replay=f"symbench run {word}", unit=word if v == "pass" else "share")
        for v in VERDICTS
    ]  # fmt: skip
    record = gate(*rules, suite=word, run=word, baseline=word, notes=[word])
    plain = GateRecord.model_validate({**record.model_dump(), "rules": [match(v) for v in VERDICTS], "notes": ["n"]})

    shown = text.lines(record)
    assert len(shown) == len(text.lines(plain)), "as many lines as without it"
    assert all(line.isprintable() for line in shown)

    root = valid_junit(junit.render(record))
    assert len(list(root.iter("testcase"))) == len(VERDICTS)
    valid = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
    assert valid.fullmatch(junit.render(record))

    run = valid_sarif(sarif.render(record))
    assert len(run["results"]) == len(VERDICTS) - 1
    for result in run["results"]:
        assert all(c.isprintable() or c == "\n" for c in result["message"]["text"])
        assert not re.search(r"(?<!\\)\]\(", result["message"]["text"]), "no link"

    rows = table_of(markdown.render(record))
    assert [len(row) for row in rows] == [4] * (len(VERDICTS) + 1)
    assert [row[0] for row in rows[1:]] == list(VERDICTS)
    assert (
        rows[1][1]
        == f"worst_case_accuracy of {escape.one_line(word)} on digits under rotations {escape.one_line(word)}"
    )
    if "``" not in word:
        assert rows[1][3] == escape.one_line(f"symbench run {word}")

    commands = commands_of(annotations_of(record))
    assert Counter(command for command, _, _ in commands) == {"error": len(VERDICTS) - 1}
    assert all(set(properties) == {"file", "line", "title"} for _, properties, _ in commands)
    assert all(
        "::error::mine" not in line[1:].splitlines()[0] or line.startswith("::error file=")
        for line in annotations_of(record).splitlines()
    )


def test_markdown_stays_below_the_cap_and_drops_passes_first() -> None:
    passes = [match(model=f"модель-{i}", rule=i) for i in range(19_970)]
    bad = [match(v, model=f"bad-{i}") for i in range(5) for v in VERDICTS]
    record = gate(*passes[:10_000], *bad, *passes[10_000:])
    page = markdown.render(record)
    assert 990_000 < len(page.encode()) <= 1_000_000
    rows = table_of(page)[1:]
    assert [len(row) for row in rows] == [4] * len(rows)
    assert [row[0] for row in rows[:25]] == [v for v in VERDICTS[:-1] for _ in range(5)]
    assert all(REPLAY in row[3] for row in rows[:25])
    assert page.endswith(f"\n\nand {20_000 - len(rows):,} more: {20_000 - len(rows):,} pass\n")


@pytest.mark.parametrize("limit", [700, 1500, 3000])
def test_a_tight_cap_holds_too(limit: int) -> None:
    record = gate(*(match(v, model="é" * 40) for v in VERDICTS * 3), notes=["n" * 400] * 30)
    page = markdown.render(record, limit)
    assert len(page.encode()) <= limit
    shown = [row[0] for row in table_of(page)[1:]]
    assert shown == sorted(VERDICTS * 3, key=VERDICTS.index)[: len(shown)]
    assert f"and {18 - len(shown)} more: " in page


@pytest.mark.parametrize(
    ("fails", "warns", "last"),
    [
        (10, 10, None),
        (11, 0, "not shown here: 1 more of level error"),
        (12, 13, "not shown here: 2 more of level error, 3 more of level warning"),
    ],
)
def test_annotations_are_no_more_than_github_shows(fails: int, warns: int, last: str | None) -> None:
    rules = [match("inconclusive")] * warns + [match("missing")] * (fails - 3) + [match("fail")] * 3
    commands = commands_of(annotations_of(gate(*rules, inconclusive="warn")))
    counted = Counter(command for command, _, _ in commands)
    assert max(counted.values()) <= 10
    assert counted["error"] == 10
    assert [p["title"].split(":")[0] for _, p, _ in commands[:4]] == ["fail"] * 3 + ["missing"]
    assert (commands[-1][2] if commands[-1][0] == "notice" else None) == last


def test_annotations_of_many_notes_count_their_own_last_line() -> None:
    commands = commands_of(annotations_of(gate(*[match("inconclusive")] * 25, inconclusive="pass")))
    assert [command for command, _, _ in commands] == ["notice"] * 10
    assert commands[-1][2] == "not shown here: 16 more of level notice"


def test_annotations_say_where_and_why() -> None:
    ((command, properties, message),) = commands_of(
        annotations_of(gate(match("missing", reason="50 %\nof it: a, b")))
    )
    assert command == "error"
    assert properties == {
        "file": "suites/quick.yaml", "line": "31", "title": "missing: worst_case_accuracy of cnn on digits under rotations"
    }  # fmt: skip
    assert message == f"50 %\nof it: a, b\nrun just this cell: {REPLAY}"


def test_escapes() -> None:
    assert escape.markdown("a|b*c\n<script>") == r"a\|b\*c &lt;script&gt;"
    assert escape.markdown("\u202ea") == r"\\x202ea"
    assert escape.printable("a\nb\x1b[0m") == "a\nb\\x1b[0m"
    assert escape.one_line(" a\n\tb ") == "a b"
    assert escape.markdown_code("a `b` | c") == "``a `b` \\| c``"
    assert escape.markdown_code("`a") == "`` `a ``"


def test_the_schemas_refuse_what_is_wrong() -> None:
    document = junit.render(gate(match("fail")))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        junit_schema("junit-10-2014").validate(
            document.replace("<failure", "<trouble").replace("</failure", "</trouble")
        )
    broken = json.loads(sarif.render(gate(match("fail"))))
    broken["runs"][0]["results"][0]["level"] = "fatal"
    assert not sarif_schema().is_valid(broken)
