"""What all outputs of a gate say alike: order, weight, titles and numbers. Verdicts come from the record only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from symbench.base.records import GateRecord, MatchRecord, Verdict

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
    """How loudly it is said: ``error`` where it keeps the gate from passing, None where it passed."""
    if match.verdict == "pass":
        return None
    if match.verdict == "inconclusive" and record.inconclusive in {"warn", "pass"}:
        return "warning" if record.inconclusive == "warn" else "note"
    return "error"


def headline(record: GateRecord) -> str:
    """The outcome in words: ``gate could not decide (not comparable)``, ``no baseline yet``."""
    if waits(record):
        return "nothing to compare with yet"
    text = HEADLINES.get(record.exit_code, f"gate not passed: exit status {record.exit_code}")
    return text if record.verdict in {"pass", "fail"} else f"{text} ({record.verdict})"


def waits(record: GateRecord) -> bool:
    """Whether all that keeps a gate from passing is that there is no baseline yet."""
    open_ = sum(level(match, record) == "error" for match in record.rules)
    return record.exit_code == 4 and 0 < record.waiting == open_


FIRST = "'symbench baseline set --reason TEXT' makes this run what later ones are compared with"
"""What to do where there is no baseline yet."""


def counts(matches: Iterable[MatchRecord], record: GateRecord) -> str:
    """How many there are of each verdict: ``1 fail, 2 inconclusive (counted as warn), 5 pass``."""
    number = Counter(match.verdict for match in matches)
    counted = f" (counted as {record.inconclusive})" if record.inconclusive else ""
    parts = [f"{number[v]:,} {v}{counted if v == 'inconclusive' else ''}" for v in ORDER if number[v]]
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

    def rounded(self, value: float, *, up: bool) -> float:
        """The next number of as many digits above or below."""
        digits = (
            self.digits + 2 if self.unit == "share" else self.digits + 1 - math.floor(math.log10(abs(value) or 1))
        )
        step = 10.0**-digits
        return (math.ceil(value / step - 1e-9) if up else math.floor(value / step + 1e-9)) * step

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
    """What the rule asks for: ``at least 60.0 %``, ``may be 3.0 points worse``."""
    shown = Shown.of(match)
    if match.kind in {"at_least", "at_most"}:
        return f"{match.kind.replace('_', ' ')} {shown.value(shown.exact(match.limit))}"
    if match.kind == "max_drop":
        return f"may be {shown.change(shown.exact(match.limit))} worse"
    margin = "" if match.margin is None else f"{shown.change(shown.bare(match.margin))} worse, "
    return f"may be {margin}{100 * match.limit:.10g} % of the baseline{'' if margin else ' worse'}"


def change(match: MatchRecord) -> str:
    """What happened since the baseline: ``5.1 points worse [3.2, 7.0], from 62.4 % to 57.3 %``."""
    absolute = match.kind in {"at_least", "at_most"}
    if absolute or match.change is None or match.before is None or match.estimate is None:
        return ""
    shown = Shown.of(match)
    sign = -1.0 if match.change < 0 else 1.0  # a change for the better is said as one
    low, high = (match.change_low, match.change_high) if sign > 0 else (match.change_high, match.change_low)
    interval = shown.interval(None if low is None else sign * low, None if high is None else sign * high)
    ends = " to ".join(shown.value(shown.bare(value)) for value in (match.before, match.estimate))
    if match.change == 0:
        return f"unchanged{shown.change(interval) if interval else ''}, from {ends}"
    return (
        f"{shown.change(shown.bare(sign * match.change))} {'worse' if sign > 0 else 'better'}{interval}, from {ends}"
    )


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


def sentence(match: MatchRecord) -> str:
    """The numbers, the reason where they do not say why, what would decide it, and what went unseen."""
    numbers = facts(match)
    clear = match.verdict in {"pass", "fail"} and match.p_value is not None
    why = "" if clear and numbers else match.reason
    return "; ".join(part for part in (numbers, why, deciding(match), blindness(match)) if part)


def deciding(match: MatchRecord) -> str:
    """What would decide an inconclusive match: ``about 1,234 samples, or a margin of 7.1 points, would decide``."""
    if match.verdict != "inconclusive" or (match.passes is not None and match.p_value is None):
        return ""
    what = "samples" if match.passes is None else "passes"
    ways = [f"about {match.needed:,} {what}"] if match.needed else []
    ways += [f"a {way}"] if (way := _passing(match)) else []
    return f"{', or '.join(ways)}{',' if len(ways) > 1 else ''} would decide" if ways else ""


def _passing(match: MatchRecord) -> str:
    """The limit that would pass with the samples there are, rounded to the safe side."""
    shown = Shown.of(match)
    if match.kind == "max_drop" and match.change_high is not None:
        return f"margin of {shown.change(shown.bare(shown.rounded(match.change_high, up=True)))}"
    end = match.low if match.kind == "at_least" else match.high if match.kind == "at_most" else None
    if end is None:
        return ""
    return f"limit of {shown.value(shown.bare(shown.rounded(end, up=match.kind == 'at_most')))}"


def blindness(match: MatchRecord) -> str:
    """What no test on so many samples can see."""
    if match.unseen is None:
        return ""
    what = "changes" if match.before is not None else "faults"
    allowed = ", which the limit allows for" if match.bounded else ""
    return f"{what} in fewer than {100 * match.unseen:.2g} % of samples could go unseen{allowed}"


def message(match: MatchRecord) -> str:
    """What was found, what happened, and how to run just this cell, on a line each."""
    replay = [f"{again(match)}: {match.replay}"] if match.replay else []
    return "\n".join([sentence(match), *match.happened, *replay])


def again(match: MatchRecord) -> str:
    """What the command does that belongs to a match."""
    return "run just this cell" if match.passes is None else "time it again"


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
        ("samples", "" if match.n is None or match.passes is not None else f"{match.n:,}"),
        ("passes", "" if match.passes is None else f"{match.passes}, {match.n or 0:,} forward passes in all"),
        ("limit", limit(match)),
        ("change", change(match)),
        ("chances", chances(match)),
        ("detectable difference", "" if match.detectable is None else shown.change(shown.bare(match.detectable))),
        ("what would decide", deciding(match)),
        ("unseen", blindness(match)),
        *(("what happened", sentence) for sentence in match.happened),
        (again(match), match.replay or ""),
    ]
    return "\n".join(f"{name}: {value}" for name, value in rows if value)
