"""What only one domain knows stands in its folder: code outside of it names neither a domain nor what is its own."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from symbench.algebra.fields import Axis, Scalar
from symbench.domains.common.handling import Handling, about_failure, handling_of
from symbench.domains.common.places import PLACES
from symbench.fields import Image

PACKAGE = ROOT / "symbench"
DOORS = {PACKAGE / "fields.py", PACKAGE / "testing.py"}
"""They pass on what domains bring to code outside of the package."""
DOMAINS = sorted(
    each.parent.name for each in (PACKAGE / "domains").glob("*/__init__.py") if each.parent.name != "common"
)
OWN = re.compile(rf"Image|angle_deg|pixel|domains\.({'|'.join(DOMAINS)})")
"""Domains, and words that only images know."""


def general() -> list[Path]:
    """The files that belong to no domain."""
    homes = [PACKAGE / "domains" / name for name in DOMAINS]
    files = (path for path in sorted(PACKAGE.rglob("*.py")) if path not in DOORS)
    return [path for path in files if not any(path.is_relative_to(home) for home in homes)]


def residue(text: str) -> list[str]:
    """The names, strings and imports of some code that are a domain's own; docstrings may say what they like."""
    tree = ast.parse(text)
    spared, found = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            spared.add((node.lineno, node.col_offset))
        elif isinstance(node, ast.ImportFrom) and node.module == "PIL":  # Pillow's module of that name
            spared |= {(name.lineno, name.col_offset) for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kinds = {tokenize.NAME, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    found += [token.string for token in tokens if token.type in kinds and token.start not in spared]
    return [each for each in found if OWN.search(each)]


@pytest.mark.parametrize("path", general(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_of_a_domain_is_named_outside_of_it(path: Path) -> None:
    assert residue(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "from symbench.domains.images.datasets.items import Items",
        "from symbench.domains import images",
        "def f():\n    import symbench.domains.sets.data",
        "from symbench.fields import Image",
        "x = Image()",
        "in_pixels = True",
        "if data['angle_deg'] > 0: pass",
        "raise ValueError('takes 3 pixels')",
        "got = f'{side} pixels a side'",
        "row = Row('symbench.domains.images.presets:PRESETS', '')",
        "def f():\n    return 'a string of pixels'",
    ],
)
def test_the_test_above_can_fail(text: str) -> None:
    assert residue(text)


def test_docstrings_comments_and_pillow_are_no_residue() -> None:
    text = '"""Pixels of an Image: pixel."""\nfrom PIL import Image as Pil  # pixels\nx = 1\n"""In pixels."""\n'
    assert residue(text) == []


def test_the_files_and_domains_are_seen() -> None:
    assert {"images", "sets"} <= set(DOMAINS)
    assert len(general()) > 150


def may(handling: Handling) -> list[bool]:
    """What can be done with values at these places."""
    return [handling.normalised, handling.resizable, handling.pictured, handling.blank]


def test_of_a_kind_of_places_without_a_row_nothing_is_done() -> None:
    on_an_axis = handling_of(Scalar().over(Axis("atoms")))
    values = torch.rand(2, 9, 3)
    assert type(on_an_axis) is Handling
    assert type(handling_of(Scalar())) is Handling
    assert on_an_axis.resized(values, 5) is values
    assert not any(may(on_an_axis))
    assert list(on_an_axis.nearby(9)) == []
    assert on_an_axis.rendered(values[0]) is None


def test_what_is_known_of_a_kind_of_places_comes_from_its_row() -> None:
    image = handling_of(Image())
    assert all(may(image))
    assert image.resized(torch.rand(2, 3, 9, 9), 5).shape == (2, 3, 5, 5)
    assert 9 not in image.nearby(9)
    assert (image.rendered(torch.rand(3, 9, 9)) or b"")[1:4] == b"PNG"
    assert image.rendered(torch.rand(2, 9, 9)) is None
    assert "size: (pixels a side)" in (about_failure("shape mismatch", [(1, 1, 9, 9)]) or "")
    assert about_failure("out of cheese", [(1, 1, 9, 9)]) is None
    assert PLACES.row("Grid").field == Image()
