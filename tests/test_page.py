"""The HTML page: what is in it, that nothing in it is markup or from outside, its size, and what it is made of."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import made
import numpy as np
import pandas as pd
import pytest
from conftest import Symbench
from PIL import Image

from symbench import open_run
from symbench.base.escape import csv_safe, csv_text, latex
from symbench.base.records import CompareRecord, Manifest, PairRecord
from symbench.measure.store import Store
from symbench.read import report
from symbench.read.estimates import of_run
from symbench.read.report import curves, gallery, headlines, pairs, ranks, sheets, tables, tradeoffs
from symbench.read.report import latex as tex
from symbench.read.report.inline import Inliner
from symbench.read.report.places import Places

GATE = made.gate(" ".join(made.HOSTILE))
VOID = {"meta", "link", "br", "img", "input"}


class Reader(HTMLParser):
    """Reads a page: its elements with what they stand in, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a made run in every format: hostile classes, a failed model, a gate that failed."""
    path = tmp_path_factory.mktemp("page")
    store, manifest = made.run(
        path / "results", models=["plain", "bad", "robust"], failed=["bad"], names=made.HOSTILE
    )
    cells = [c.model_copy(update={"reason": made.HOSTILE[0] + c.reason}) if c.reason else c for c in manifest.cells]
    manifest = manifest.model_copy(update={"cells": cells})
    store.write_manifest(manifest)
    report.write(store, manifest, of_run(store, manifest), path / "out", gate=GATE)
    return path / "out"


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Reader:
    return Reader(text)


def test_every_section_is_there_and_the_navigation_leads_to_it(page: Reader) -> None:
    sections = [attributes["id"] for attributes in page.all("section")]
    assert sections == [
        "summary", "leaderboard", "robustness", "classes", "polar", "shifts", "sizes", "tradeoffs", "attribution", "gallery",
        "cost", "gate", "failed", "provenance",
    ]  # fmt: skip
    linked = [a["href"][1:] for a in page.all("a") if a.get("href", "").startswith("#")]
    assert set(linked) == set(sections)


def test_ids_are_unique_and_references_lead_somewhere(page: Reader, text: str) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for reference in re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', text):
        assert (reference[0] or reference[1]) in ids


def test_nothing_comes_from_outside(page: Reader, text: str) -> None:
    assert "http" not in re.sub(r"http-equiv|data:[^\"']*", "", text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "default-src 'none'" in text


def test_the_policy_allows_our_script_only(page: Reader, text: str) -> None:
    import hashlib

    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert f"script-src 'sha256-{digest}';" in policy


def test_hostile_names_are_text(page: Reader, text: str) -> None:
    assert text.count("<script") == 1
    shown = page.text.replace("\u202e", "")
    for name in made.HOSTILE:
        assert " ".join(name.replace("\u202e", "").split()) in shown, name
    assert f"{made.HOSTILE[0]}bad: the outputs are not finite" in shown


def test_all_content_is_there_without_a_script(page: Reader) -> None:
    for word in (
        "98.0 %",
        "rank 1",
        "The gate failed",
        "What breaks most is plain",
        "epochs on stripes",
        "made.yaml:12",
    ):
        assert word in page.text, word
    hidden = [attributes for _, attributes in page.elements if "hidden" in attributes]
    assert {a.get("class", a.get("id")) for a in hidden} == {"filters", "theme"}, (
        "only what needs the script is hidden"
    )


def test_every_picture_has_words(page: Reader) -> None:
    plots = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(plots) == len(page.all("svg")) == 9
    assert all(len(a["aria-label"]) > 40 for a in plots)
    images = page.all("img")
    assert len(images) == 4 * 3 * 2
    assert all(re.match(r"sample \d+ (as it is|at .)", a["alt"]) for a in images)


def test_models_are_found_in_figures_and_tables(page: Reader) -> None:
    marked = [(tag, a["data-model"]) for tag, a in page.elements if "data-model" in a]
    for model in "02":
        tags = {tag for tag, number in marked if number == model}
        assert {"g", "path", "tr", "button", "div"} <= tags | {"path"}
        assert sum(number == model for _, number in marked) > 20


def downloads(page: Reader) -> Iterator[tuple[str, str]]:
    for a in page.all("a"):
        if "download" in a:
            kind, _, data = a["href"].partition(";base64,")
            assert kind.startswith("data:")
            yield a["download"], base64.b64decode(data).decode()


def test_every_table_can_be_downloaded(page: Reader) -> None:
    files = dict(downloads(page))
    assert len(page.all("table")) == sum(name.endswith(".json") for name in files)
    for name in [name for name in files if name.endswith(".json")]:
        rows = json.loads(files[name])
        table = list(csv.DictReader(io.StringIO(files[name.replace(".json", ".csv")])))
        assert len(rows) == len(table)
        assert {key for row in rows for key in row} == set(table[0] if table else {}), name


def test_downloads_hold_all_digits(page: Reader, folder: Path) -> None:
    rows = json.loads(dict(downloads(page))["leaderboard.json"])
    frame = pd.read_csv(folder / "estimates.csv")
    found = frame[
        (frame["metric"] == "orbit_accuracy") & (frame["model"] == "plain") & (frame["symmetry"] == "shifts")
    ]
    row = next(row for row in rows if (row["model"], row["symmetry"]) == ("plain", "shifts"))
    assert row["orbit_accuracy"] == pytest.approx(found["estimate"].item(), rel=1e-12)
    assert row["orbit_accuracy_low"] == pytest.approx(found["low"].item(), rel=1e-12)


def test_no_format_takes_a_name_for_code(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text())):
            assert not any(re.match(r"[=@\t\r]|[-+](?![\d.]+)", value) for value in row), (path, row)
    for path in folder.glob("*.svg"):
        assert "<script" not in path.read_text()
    assert "<script" not in (folder / "report.md").read_text()
    assert r"\textless{}script\textgreater{}" in (folder / "rotations-on-stripes.tex").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+2", "'=1+2"), ("+1-cmd|' /C calc'!A0", "'+1-cmd|' /C calc'!A0"), ("@sum(a)", "'@sum(a)"), ("\t=1", "'\t=1"),
        (" =1", "' =1"), ("-90°", "-90°"), ("-1.5", "-1.5"), ("+3 px", "+3 px"), ("cnn", "cnn"), ("-2+3", "'-2+3"), ("", ""),
    ],
)  # fmt: skip
def test_spreadsheets_find_no_formula(text: str, shown: str) -> None:
    assert csv_text(text) == shown


def test_numbers_in_tables_stay_numbers() -> None:
    frame = pd.DataFrame({"=name": ["=a", None], "value": [-1.5, np.nan], "count": [1, 2]})
    safe = csv_safe(frame)
    assert list(safe.columns) == ["'=name", "value", "count"]
    assert safe["'=name"].tolist()[0] == "'=a"
    assert safe["value"].tolist()[0] == -1.5


def test_pdfs_hold_fonts_as_outlines_that_print(folder: Path) -> None:
    for path in folder.glob("*.pdf"):
        data = path.read_bytes()
        assert b"/FontFile2" in data, "TrueType, fonttype 42"
        assert b"/Type3" not in data


def test_latex_is_well_formed(folder: Path) -> None:
    text = (folder / "rotations-on-stripes.tex").read_text()
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}", r"\end{table}"):
        assert text.count(rule) == 1
    width = text[text.index(r"\begin{tabular}{l") + 17 :].partition("}")[0].count("r")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if r"\\" in line]
    assert len(rows) == 1 + 2 * 2
    assert all(line.replace(r"\&", "").count("&") == width for line in rows)
    assert (folder / "tables.tex").read_text().count(r"\input{") == len(list(folder.glob("*.tex"))) - 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs Debian's package texlive-latex-recommended")
def test_latex_compiles(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*.tex"):
        shutil.copy(path, tmp_path)
    names = r" \par ".join(latex(name) for name in made.HOSTILE)
    whole = (tmp_path / "tables.tex").read_text().replace(r"\end{document}", names + "\n" + r"\end{document}")
    (tmp_path / "tables.tex").write_text(whole)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs Debian's package texlive-latex-recommended")
def test_latex_of_many_models_goes_over_pages(folder: Path, tmp_path: Path) -> None:
    opened = open_run(results=folder.parent / "results")
    frame, _ = made.many(opened.estimates(), opened.manifest, 60)
    boards = tables.boards(frame)
    for board in boards:
        (tmp_path / f"{tex.name(board)}.tex").write_text(tex.table(board))
    (tmp_path / "tables.tex").write_text(tex.whole([tex.name(board) for board in boards]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"Overfull.*|Float too large.*", done.stdout)
    (pages,) = re.findall(r"\((\d+) pages", done.stdout)
    assert int(pages) > len(boards)


def test_figures_have_their_data_beside_them(folder: Path) -> None:
    pictures = {path.stem for path in folder.iterdir() if path.suffix in {".png", ".svg", ".pdf"}}
    assert len(pictures) == 9
    for stem in pictures:
        data = pd.read_csv(folder / f"{stem}.csv")
        assert len(data) >= 2
        assert set(data["model"]) == {"plain", "robust"}


def test_pages_are_the_same_every_time(folder: Path, text: str, tmp_path: Path) -> None:
    opened = open_run(results=folder.parent / "results")
    again = report.write(opened.store, opened.manifest, opened.estimates(), tmp_path, ["html"], GATE)
    assert again[0].read_text(encoding="utf-8") == text


def test_a_run_without_numbers_still_has_a_page(tmp_path: Path) -> None:
    store, manifest = made.run(tmp_path / "results", failed=["plain", "robust"])
    (path,) = report.write(store, manifest, of_run(store, manifest), tmp_path / "out", ["html"])
    page = Reader(path.read_text())
    assert "4 of 4 cells failed" in page.text
    assert page.all("svg") == []


def test_several_runs_are_one_page(tmp_path: Path) -> None:
    """Models that changed stand side by side under their runs' letters; the one that did not is there once."""
    results = tmp_path / "results"
    runs: list[tuple[Store, Manifest, pd.DataFrame]] = []
    for seed, name in ((0, "made-a"), (1, "made-b")):
        store, manifest = made.run(results, models=["plain", "robust"], seed=seed, name=name)
        kept = manifest.cells
        if runs:
            kept = [a if a.model == "robust" else b for a, b in zip(runs[0][1].cells, kept, strict=True)]
        manifest = manifest.model_copy(update={"cells": kept})
        runs.append((store, manifest, of_run(store, manifest)))
    files = report.write_several(runs, tmp_path / "out", ["html", "md", "csv", "json", "svg"])
    page = Reader(files[0].read_text())
    chips = [a for a in page.all("button") if "aria-pressed" in a]
    assert len(chips) == 3
    for word in ("plain (A)", "plain (B)", "made-b (B) against made-a (A):", "comparison of runs"):
        assert word in page.text, word
    assert "robust (" not in page.text
    assert len(json.loads((tmp_path / "out" / "estimates.json").read_text())["runs"]) == 2
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "comparison-0.csv").read_text())))
    legend = (tmp_path / "out" / "tradeoffs.rotations.stripes.svg").read_text()
    assert all(word in legend for word in ("hollow: ", "filled: ", "Pareto front", "orbit accuracy, %"))
    assert {row["mark"] for row in rows if row["model"] == "robust"} <= {"same", "not comparable"}
    assert set(pd.read_csv(tmp_path / "out" / "polar.rotations.stripes.csv")["model"]) == {
        "plain (A)",
        "plain (B)",
        "robust",
    }


def test_later_runs_have_letters_of_their_own() -> None:
    row = PairRecord(model="new", dataset="d", symmetry="s", metric="", mark="only in B")
    record = CompareRecord(before="one", after="three", rows=[row])
    told = pairs.markdown(record, "C")
    assert told.startswith(r"three \(C\) against one \(A\): 1 only in C.")
    assert "| A | C | C - A |" in told
    assert "| only in C |" in told
    assert "only in B" not in told
    assert "1 only in B" in pairs.summary(record)


def test_pictures_are_made_small(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    large = buffer.getvalue()
    shown = gallery.picture(large)
    assert shown is not None
    assert (shown.width, shown.height, shown.coarse) == (gallery.SIDE, gallery.SIDE, False)
    assert len(shown.url) < len(large) / 10
    small = gallery.picture(made.picture(3))
    assert small is not None
    assert base64.b64decode(small.url.partition(",")[2]) == made.picture(3), "pixels of small ones stay as they are"
    assert small.coarse
    assert gallery.picture(b"no picture") is None
    assert gallery.picture(large[: len(large) // 2]) is None


def test_pareto_front_against_every_pair() -> None:
    generator = np.random.default_rng(0)
    good, cheap = generator.integers(0, 6, (2, 40)).astype(float)
    good[3] = np.nan

    def beaten(i: int) -> bool:
        return any(
            good[j] >= good[i] and cheap[j] >= cheap[i] and (good[j] > good[i] or cheap[j] > cheap[i])
            for j in range(40)
        )

    expected = [bool(np.isfinite(good[i])) and not beaten(i) for i in range(40)]
    assert tradeoffs.front(good.tolist(), cheap.tolist()) == expected
    assert 0 < sum(expected) < 40


def test_ranks_share_the_better_place() -> None:
    rows = [
        {"model": model, "dataset": "d", "symmetry": "s", "output": "y", "element": None, "elements": "all", "metric": metric, "task": "classification",
         "estimate": value, "low": value, "high": value}
        for model, values in {"a": (0.9, 0.2, 0.1), "b": (0.9, 0.5, 0.1), "c": (0.8, 0.7, 0.3)}.items()
        for metric, value in zip(ranks.STAGES, values, strict=True)
    ]  # fmt: skip
    (found,) = ranks.of(pd.DataFrame(rows))
    places = Places.of(pd.DataFrame(rows))
    assert found.rows["accuracy_rank"].tolist() == [1, 1, 3]
    assert found.rows["orbit_accuracy_rank"].tolist() == [3, 2, 1]
    assert found.rows["worst_case_accuracy_rank"].tolist() == [2, 2, 1]
    sheet = sheets.ranking([found], ["a", "b", "c"])
    details = [[entry.detail for entry in line.entries] for line in sheet.groups[0].lines]
    assert details[2] == ["rank 3", "rank 1, up 2", "rank 1, up 2"]
    told = headlines._turned([found], places)
    assert told == [("The best model changes once samples move: under s from a to c.", "warn")]
    found.rows["accuracy_high"] += 0.1
    told = headlines._turned([found], places)
    assert told == [("a is best as it is and loses to c over the orbit, under s.", "warn")]
    assert ranks.in_words(found.rows) == "a: 90, 20, 10 %; b: 90, 50, 10 %; c: 80, 70, 30 %."


def test_sizes_are_averaged_by_hand() -> None:
    rows = pd.DataFrame({
        "model": "a", "metric": "element_accuracy", "size": [90.0, 0.0, 90.0, 180.0], "estimate": [0.5, 1.0, 0.7, 0.2],
        "low": [0.4, 0.9, 0.6, 0.1], "high": [0.6, 1.0, 0.8, 0.3],
    })  # fmt: skip
    found = curves.by_size(rows)
    assert found["size"].tolist() == [0.0, 90.0, 180.0]
    assert found["estimate"].tolist() == pytest.approx([1.0, 0.6, 0.2])
    assert found["low"].tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert found["elements_of_size"].tolist() == [1, 2, 1]


def test_inlined_text_is_left_alone() -> None:
    svg = (
        '<?xml?><svg viewBox="0 0 72 36"><!-- c --><metadata>m</metadata><g id="model:3"><text id="t" style="fill: #0072b2">'
        'id="x" 1.23456</text></g><use xlink:href="#t"/><g id="unused"/></svg>'
    )
    inliner = Inliner()
    first, second = inliner(svg, 'say "hi"'), inliner(svg, "b")
    assert 'aria-label="say &#34;hi&#34;"' in first
    assert '<g data-model="3"><text id="f0-t" class="s0">id="x" 1.23456</text></g>' in first
    assert '<use xlink:href="#f1-t"/>' in second
    assert "unused" not in first
    assert inliner.css == ".s0{fill: var(--c0)}"
    assert "metadata" not in first
    assert "--wide:96px" in first


def test_latex_of_every_ascii_character() -> None:
    shown = latex("".join(map(chr, range(32, 127))))
    plain = re.sub(r"\\text[a-z]+\{\}|\\[{}$&#%_]", "", shown)
    assert not set("$&#%_~^<>|`") & set(plain)
    assert latex("a--b°é") == r"a-{}-b$^\circ$\anyscript{é}{[U+00E9]}"


def test_command_line_writes_a_page_of_several_runs(folder: Path, tmp_path: Path, symbench: Symbench) -> None:
    results = tmp_path / "results"
    for seed, name in ((0, "made-a"), (1, "made-b")):
        made.run(results, seed=seed, name=name, gallery=0)
    done = symbench("report", "made-a", "made-b", "--results", results, "--format", "html", "--json")
    assert done.code == 0, done.err
    assert [document["run"] for document in json.loads(done.out)["runs"]] == ["made-a", "made-b"]
    assert (results / "reports" / "made-a+made-b" / "report.html").is_file()
    wrong = symbench("report", "made-a", "--results", results, "--format", "htm")
    assert wrong.code == 2
    assert "Did you mean 'html'?" in wrong.err


def test_command_line_asks_the_gate(folder: Path, tmp_path: Path, symbench: Symbench) -> None:
    results = tmp_path / "results"
    store, manifest = made.run(results, gallery=0)
    rule = {"metric": "orbit_accuracy", "symmetry": "rotations", "at_least": 0.9}
    gated = manifest.model_copy(update={"suite": {**manifest.suite, "gates": [rule]}, "gates_at": ["made.yaml:1"]})
    store.write_manifest(gated)
    assert symbench("report", "--results", results, "--format", "html").code == 0
    page = Reader((results / "reports" / gated.run / "report.html").read_text())
    assert "gate" in [a["id"] for a in page.all("section")]
    assert "The gate failed" in page.text
