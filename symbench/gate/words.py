"""What all outputs of a gate say alike: order, weight, titles and numbers. Verdicts come from the record only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from symbench.records import GateRecord, MatchRecord, Verdict

ORDER: tuple[Verdict, ...] = ("fail", "error", "missing", "not comparable", "inconclusive", "pass")
"""The worst first."""
HEADLINES = {
    0: "gate passed",
    1: "gate failed",
    2: "gate not passed: what it compares with is wrong",
    3: "gate not passed: some cell failed",
    4: "gate could not decide",
}
QUALIFIERS = ("replica", "output", "elements")
Level = Literal["error", "warning", "note"]


def worst_first(record: GateRecord) -> list[MatchRecord]:
    """The matches, in the order of the suite where they are equally bad."""
    return sorted(record.rules, key=lambda match: ORDER.index(match.verdict))


def level(match: MatchRecord, record: GateRecord) -> Level | None:
    """How loudly it is told: ``error`` where it keeps the gate from passing, None where it passed."""
    if match.verdict == "pass":
        return None
    if match.verdict == "inconclusive" and record.inconclusive in {"warn", "pass"}:
        return "warning" if record.inconclusive == "warn" else "note"
    return "error"


def headline(record: GateRecord) -> str:
    """The outcome in words: ``gate could not decide (not comparable)``."""
    text = HEADLINES.get(record.exit_code, f"gate not passed: exit status {record.exit_code}")
    return text if record.verdict in {"pass", "fail"} else f"{text} ({record.verdict})"


def counts(matches: Iterable[MatchRecord], record: GateRecord) -> str:
    """How many there are of each verdict: ``1 fail, 2 inconclusive (counted as warn), 5 pass``."""
    found = Counter(match.verdict for match in matches)
    counted = f" (counted as {record.inconclusive})" if record.inconclusive else ""
    parts = [f"{found[v]:,} {v}{counted if v == 'inconclusive' else ''}" for v in ORDER if found[v]]
    return ", ".join(parts) or "nothing judged"


def unexplained(record: GateRecord) -> str | None:
    """Why the gate did not pass although no match kept it from that; None where one did, or it passed."""
    if record.exit_code == 0 or any(level(match, record) == "error" for match in record.rules):
        return None
    return "; ".join([headline(record), *record.notes])


def titles(record: GateRecord) -> dict[int, str]:
    """What each match is about, by ``id``: metric and subject, and what tells it from others of the same."""
    alike: dict[str, list[MatchRecord]] = {}
    for match in record.rules:
        alike.setdefault(title(match), []).append(match)
    found = {}
    for name, matches in alike.items():
        varying = [q for q in QUALIFIERS if len({getattr(match, q) for match in matches}) > 1]
        found.update({id(match): name + qualified(match, varying) for match in matches})
    return found


def title(match: MatchRecord) -> str:
    """Metric and subject: ``accuracy of cnn on digits``."""
    return f"{match.metric} of {match.subject}" if match.subject else match.metric


def qualified(match: MatchRecord, names: Iterable[str]) -> str:
    """The named parts of it as `` (replica 1, output logits)``, as far as it has them."""
    parts = [f"{name} {value}" for name in names if (value := getattr(match, name)) is not None]
    return f" ({', '.join(parts)})" if parts else ""


def place(match: MatchRecord) -> tuple[str | None, int | None]:
    """The suite's file, with forward slashes, and the line."""
    if match.where is None:
        return None, None
    file, colon, line = match.where.rpartition(":")
    if not (colon and line.isdecimal()):
        file, line = match.where, "1"
    return file.replace("\\", "/"), max(int(line), 1)


@dataclass(frozen=True)
class Shown:
    """Numbers of one match for people: shares as per cent, their changes as points, all else in its unit.

    Attributes:
        unit: of the estimate.
        digits: how many; more where the limit and another number would look the same and are not.
    """

    unit: str
    digits: int

    @classmethod
    def of(cls, match: MatchRecord) -> Shown:
        """As few digits as tell its numbers from its limit, and shares from 100 %."""
        if match.kind in {"at_least", "at_most"}:
            pairs: list[tuple[float | None, float | None]] = [
                (number, match.limit) for number in (match.estimate, match.low, match.high)
            ]
        else:
            changes = (match.change, match.change_low, match.change_high, match.detectable)
            pairs = [(number, match.margin) for number in changes]
        if match.unit == "share":
            pairs += [(number, 1.0) for number in (match.estimate, match.low, match.before)]
        for digits in range(1, 6):
            shown = cls(match.unit, digits)
            if all(a is None or b is None or a == b or shown.bare(a) != shown.bare(b) for a, b in pairs):
                break
        return shown

    def bare(self, value: float) -> str:
        """The number alone."""
        text = f"{100 * value:.{self.digits}f}" if self.unit == "share" else f"{value:.{self.digits + 2}g}"
        rounded = float(text)
        if rounded == 0:
            return text.removeprefix("-")
        return f"{rounded:,.0f}" if self.unit != "share" and abs(rounded) >= 1000 else text

    def exact(self, value: float) -> str:
        """A limit, as it stands in the suite."""
        if self.unit != "share":
            return f"{value:,.12g}"
        text = f"{100 * value:.10g}"
        return text if "." in text or "e" in text else f"{text}.0"

    def value(self, number: str) -> str:
        """The number of an estimate with its unit."""
        return f"{number} {'%' if self.unit == 'share' else self.unit}".rstrip()

    def change(self, number: str) -> str:
        """The number of a difference with its unit."""
        return f"{number} {'points' if self.unit == 'share' else self.unit}".rstrip()

    def interval(self, low: float | None, high: float | None) -> str:
        """`` [3.2, 7.0]``, or nothing."""
        return "" if low is None or high is None else f" [{self.bare(low)}, {self.bare(high)}]"


def estimate(match: MatchRecord) -> str:
    """The estimate and its interval: ``57.3 % [55.1, 59.4]``."""
    if match.estimate is None:
        return ""
    shown = Shown.of(match)
    return shown.value(shown.bare(match.estimate)) + shown.interval(match.low, match.high)


def limit(match: MatchRecord) -> str:
    """What the rule asks for: ``at least 60.0 %``, ``allowed 3.0 points``."""
    shown = Shown.of(match)
    if match.kind in {"at_least", "at_most"}:
        return f"{match.kind.replace('_', ' ')} {shown.value(shown.exact(match.limit))}"
    if match.kind == "max_drop":
        return f"allowed {shown.change(shown.exact(match.limit))}"
    margin = "" if match.margin is None else f"{shown.change(shown.bare(match.margin))}, "
    return f"allowed {margin}{100 * match.limit:.10g} % of the baseline"


def change(match: MatchRecord) -> str:
    """What happened since the baseline: ``dropped 5.1 points [3.2, 7.0] from 62.4 % to 57.3 %``."""
    absolute = match.kind in {"at_least", "at_most"}
    if absolute or match.change is None or match.before is None or match.estimate is None:
        return ""
    shown = Shown.of(match)
    sign = -1.0 if match.change < 0 else 1.0  # a change for the better is told as one
    low, high = (match.change_low, match.change_high) if sign > 0 else (match.change_high, match.change_low)
    interval = shown.interval(None if low is None else sign * low, None if high is None else sign * high)
    verb = "changed" if match.estimate == match.before else "dropped" if match.estimate < match.before else "rose"
    ends = [shown.value(shown.bare(value)) for value in (match.before, match.estimate)]
    return f"{verb} {shown.change(shown.bare(sign * match.change))}{interval} from {ends[0]} to {ends[1]}"


def chances(match: MatchRecord) -> str:
    """The p values: ``p 0.002, Holm 0.004``."""
    named = (("p", match.p_value), ("Holm", match.p_adjusted))
    shown = [(name, "<0.0001" if value < 1e-4 else f"{value:.2g}") for name, value in named if value is not None]
    return ", ".join(f"{name} {value}" for name, value in shown)


def facts(match: MatchRecord) -> str:
    """What was found, in a sentence; empty where nothing was."""
    if match.estimate is None:
        return ""
    text = f"{change(match) or estimate(match)}, {limit(match)}"
    return f"{text} ({chances(match)})" if chances(match) else text


def told(match: MatchRecord) -> str:
    """What was found, and the reason where that alone does not say why."""
    found = facts(match)
    if match.verdict in {"pass", "fail"} and match.p_value is not None:
        return found or match.reason
    enough = f"about {match.needed:,} samples would decide" if match.needed else ""
    return "; ".join(part for part in (found, match.reason, enough) if part)


def message(match: MatchRecord) -> str:
    """What was found, and how to run just this cell, on a line each."""
    return told(match) + (f"\nrun just this cell: {match.replay}" if match.replay else "")


def blind(match: MatchRecord) -> str:
    """A warning where the gate could not see a change as large as the margin; else empty."""
    if match.detectable is None or match.margin is None or match.verdict == "fail":
        return ""
    if not match.detectable > match.margin:
        return ""
    shown = Shown.of(match)
    seen, allowed = shown.bare(match.detectable), shown.change(shown.bare(match.margin))
    return f"a change must be {shown.change(seen)} to be seen surely, more than the {allowed} allowed"


def details(match: MatchRecord) -> str:
    """Everything that is known of a match, one line each."""
    shown = Shown.of(match)
    rows = [
        ("rule", match.name),
        ("estimate", estimate(match)),
        ("samples", "" if match.n is None else f"{match.n:,}"),
        ("limit", limit(match)),
        ("change", change(match)),
        ("chances", chances(match)),
        ("detectable difference", "" if match.detectable is None else shown.change(shown.bare(match.detectable))),
        ("samples needed to decide", "" if match.needed is None else f"about {match.needed:,}"),
        ("run just this cell", match.replay or ""),
    ]
    return "\n".join(f"{name}: {value}" for name, value in rows if value)
