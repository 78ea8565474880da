"""The page in a real browser: no error, no request, nothing clipped; sorting, filtering, highlighting, downloads."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made
import pytest
from browser import CHROMIUM, Page, browser
from conftest import ROOT
from PIL import Image

from symbench.read import report
from symbench.read.estimates import of_run

AXE = gzip.decompress((ROOT / "tests" / "vendor" / "axe-4.14.1.min.js.gz").read_bytes()).decode()
CLIPPED = """
(() => {
  const wide = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
  for (const element of document.querySelectorAll("main *, header *")) {
    if (element.closest(".scroll, pre, nav, .models, .unseen, .skip, svg")) continue;
    const box = element.getBoundingClientRect();
    if (box.width && (box.left < -1 || box.right > wide + 1)) found.push(element.outerHTML.slice(0, 90));
  }
  return found;
})()
"""


SIX = {f"turns-{n}": made.rotations(n) for n in (25, 12, 4)} | {f"shifts-{n}": made.shifts(n) for n in (1, 2, 3)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of one run with hostile names, one of two runs, and one of fifty models."""
    path = tmp_path_factory.mktemp("browser")
    store, manifest = made.run(
        path / "results", models=["plain", "bad", "robust"], failed=["bad"], names=made.HOSTILE
    )
    frame = of_run(store, manifest)
    (one,) = report.write(store, manifest, frame, path / "one", ["html"], made.gate(" ".join(made.HOSTILE)))
    other, later = made.run(path / "results", models=["plain", "robust"], seed=1, name="made-later")
    runs = [(store, manifest, frame), (other, later, of_run(other, later))]
    (two,) = report.write_several(runs, path / "two", ["html"])
    store, manifest = made.run(
        path / "more", models=["plain", "middling", "robust"], symmetries=SIX, samples=30, side=224
    )
    many, fifty = made.many(of_run(store, manifest), manifest, 50)
    (large,) = report.write(store, fifty, many, path / "fifty", ["html"])
    return {"one": one, "two": two, "fifty": large}


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def tab(downloads: Path) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("needs Debian's package chromium")
    with browser(downloads) as page:
        yield page


def wrong(tab: Page) -> list[Any]:
    """Errors, alerts, and requests for anything but the page and what it carries."""
    urls = [event["request"]["url"] for event in tab.happened("Network.requestWillBeSent")]
    return [
        *tab.happened("Runtime.exceptionThrown"),
        *tab.happened("Log.entryAdded"),
        *tab.happened("Runtime.consoleAPICalled"),
        *tab.happened("Page.javascriptDialogOpening"),
        *(url for url in urls if not url.startswith(("file:///", "data:"))),
        *(url for url in urls[1:] if url.startswith("file:")),
    ]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_pages_are_whole(
    files: dict[str, Path], tab: Page, tmp_path: Path, name: str, width: int, dark: bool
) -> None:
    tab.open(files[name], width=width, dark=dark)
    tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert tab.run(CLIPPED) == []
    assert wrong(tab) == []
    tab.picture(tmp_path / "shot.png")
    with Image.open(tmp_path / "shot.png") as image:
        assert image.width == width
        corner = image.convert("L").getpixel((2, 899))
        assert isinstance(corner, int)
        assert corner < 60 if dark else corner > 240


def test_that_test_can_fail(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"], width=400)
    tab.run("document.querySelector('h1').style.width = '900px'")
    assert tab.run(CLIPPED) != []
    tab.run("setTimeout(() => nothing.here)")
    time.sleep(0.1)
    assert len(wrong(tab)) == 1


@pytest.mark.parametrize(("name", "dark"), [("one", False), ("one", True), ("two", False)])
def test_no_serious_fault_of_accessibility(files: dict[str, Path], tab: Page, name: str, dark: bool) -> None:
    tab.open(files[name], dark=dark)
    tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    faults = faults_of(tab)
    assert [fault for fault in faults if fault["impact"] in {"serious", "critical"}] == []


def test_the_checker_finds_faults(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    tab.run("document.querySelector('img').removeAttribute('alt')")
    assert "image-alt" in {fault["id"] for fault in faults_of(tab)}


def faults_of(tab: Page) -> list[dict[str, Any]]:
    tab.run(f"{AXE}; 1")
    found: list[dict[str, Any]] = json.loads(
        tab.run(
            "axe.run().then((r) => JSON.stringify(r.violations.map((v) => "
            "({id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120))}))))"
        )
    )
    return found


ROWS = """[...document.querySelectorAll('#table-leaderboard tbody')[0].querySelectorAll('tr:not(.group)')]
.filter((row) => !row.hidden).map((row) => row.dataset.name)"""


def test_headings_sort(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    heading = "document.querySelectorAll('#table-leaderboard .sort')[{}]"
    tab.run(heading.format(2) + ".click()")
    assert tab.run(ROWS) == ["robust", "plain", "bad"], "the best first, what has no number last"
    assert tab.run(heading.format(2) + ".closest('th').getAttribute('aria-sort')") == "descending"
    tab.run(heading.format(2) + ".click()")
    assert tab.run(ROWS) == ["plain", "robust", "bad"]
    tab.run(heading.format(0) + ".focus()")
    tab.key("Enter")
    assert tab.run(ROWS) == ["bad", "plain", "robust"], "by the keyboard"


def test_filters_hide_rows(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    field = "document.querySelector('[data-filter={}]')"
    for kind, value in (("model", "ROB"), ("symmetry", "rotations")):
        tab.run(
            f"{field.format(kind)}.value = {value!r}; {field.format(kind)}.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )
    assert tab.run(ROWS) == ["robust"]
    assert tab.run("document.querySelector('.filters output').textContent") == "1 of 6 rows"
    assert tab.run("document.querySelectorAll('#table-leaderboard tbody')[1].hidden") is True


FADED = "getComputedStyle(document.querySelector('.plot [data-model=\"{}\"]')).opacity"


def test_a_model_stands_out_everywhere(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    assert [tab.run(FADED.format(model)) for model in (0, 2)] == ["1", "1"]
    tab.run("document.querySelectorAll('.chip')[2].focus()")
    tab.key("Enter")
    settle(tab)
    assert [float(tab.run(FADED.format(model))) for model in (0, 2)] == [pytest.approx(0.12), 1.0]
    assert tab.run("document.querySelectorAll('.chip')[2].getAttribute('aria-pressed')") == "true"
    assert tab.run("document.querySelectorAll('tr.hot').length") > 3
    tab.key("Escape")
    settle(tab)
    tab.run("document.activeElement.blur()")
    x, y = tab.run("(({x, y}) => [x + 9, y + 9])(document.querySelectorAll('.chip')[0].getBoundingClientRect())")
    tab.move(x, y)
    settle(tab)
    assert [float(tab.run(FADED.format(model))) for model in (0, 2)] == [1.0, pytest.approx(0.12)], "pointed at"
    tab.move(3, 850)
    settle(tab)
    assert tab.run(FADED.format(2)) == "1"


def settle(tab: Page) -> None:
    """Wait until nothing fades any more."""
    tab.run("Promise.all(document.getAnimations().map((a) => a.finished.catch(() => 0))).then(() => 1)")


def test_tables_are_downloaded(files: dict[str, Path], tab: Page, downloads: Path) -> None:
    tab.open(files["one"])
    for kind in ("csv", "json"):
        tab.run(f"document.querySelector('a[download=\"leaderboard.{kind}\"]').click()")
        end = time.monotonic() + 20
        path = downloads / f"leaderboard.{kind}"
        while not path.exists():
            assert time.monotonic() < end, "no download"
            time.sleep(0.05)
    assert json.loads((downloads / "leaderboard.json").read_text())[0]["symmetry"] == "rotations"
    assert (downloads / "leaderboard.csv").read_text().startswith("model,symmetry,dataset,output,accuracy,")


def test_the_theme_can_be_changed(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.run(background)
    tab.run("document.getElementById('theme').click()")
    assert tab.run(background) != light == "rgb(255, 255, 255)"


def test_everything_is_reached_by_tabulator(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    seen = set()
    for _ in range(40):
        tab.key("Tab")
        seen.add(tab.run("document.activeElement.className || document.activeElement.tagName"))
    assert {"skip", "brand", "chip", "sort", "INPUT", "SELECT", "A"} <= seen


def test_without_a_script_all_is_there(files: dict[str, Path], tab: Page) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(files["one"])
        assert tab.run("document.querySelectorAll('.plot').length") == 9
        assert tab.run("getComputedStyle(document.querySelector('.filters')).display") == "none"
        assert "robust" in tab.run("document.querySelector('#table-leaderboard').innerText")
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)


def test_it_prints(files: dict[str, Path], tab: Page) -> None:
    tab.open(files["one"])
    pages = tab.send("Page.printToPDF", printBackground=True)["data"]
    assert len(pages) > 50_000


def test_pages_are_small(files: dict[str, Path]) -> None:
    assert files["one"].stat().st_size < 0.6e6
    assert files["fifty"].stat().st_size < 9e6


def test_fifty_models_open_without_a_fault(files: dict[str, Path], tab: Page) -> None:
    assert tab.open(files["fifty"]) > 0  # how long it takes is for the bench to say
    assert tab.run("document.querySelectorAll('#table-leaderboard tr:not(.group)').length") == 301
    assert wrong(tab) == []
