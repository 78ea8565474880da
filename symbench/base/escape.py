"""Names and messages, made harmless for where they are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def printable(text: str) -> str:
    """Text without control characters, so that no name or message can steer the terminal. Newlines stay."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def one_line(text: object) -> str:
    """Printable text on a single line."""
    return printable(" ".join(str(text).split()))


def markdown(text: object) -> str:
    """Text that Markdown and its tables show as it is."""
    flat = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", flat)


def markdown_code(text: object) -> str:
    """Text as a code span, in a table too."""
    flat = one_line(text).replace("|", "\\|")
    fence = "`" * (max(map(len, re.findall("`+", flat)), default=0) + 1)
    room = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{room}{flat}{room}{fence}"


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", "–": r"\textendash{}",
    "°": r"$^\circ$", "×": r"$\times$", "²": r"$^2$", "µ": r"$\mu$", "±": r"$\pm$",
}  # fmt: skip
LATEX_PREAMBLE = r"\providecommand{\anyscript}[2]{\ifdefined\XeTeXversion#1\else\ifdefined\directlua#1\else#2\fi\fi}"
"""What :func:`latex` needs: letters beyond ASCII stand as they are where the engine has them, else as code points."""


def latex(text: object) -> str:
    """Text that LaTeX sets as it is; needs :data:`LATEX_PREAMBLE`."""
    set_as = (
        LATEX.get(c) or (c if c.isascii() else rf"\anyscript{{{c}}}{{[U+{ord(c):04X}]}}") for c in one_line(text)
    )
    return "".join(set_as).replace("--", "-{}-")


def csv_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe stands before what begins like one.

    Signed numbers with a unit, as ``-90°``, stay as they are.
    """
    risky = text.lstrip().startswith(("=", "+", "-", "@")) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if risky and not re.fullmatch(r"[-+]?[\d.,]+ ?[°%a-z]*", text) else text


def csv_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with :func:`csv_text` of every text in it, headings included."""
    texts = frame.select_dtypes(include=["object", "string"]).columns
    safe = frame.assign(
        **{name: frame[name].map(lambda v: csv_text(v) if isinstance(v, str) else v) for name in texts}
    )
    return safe.rename(columns={name: csv_text(str(name)) for name in safe.columns})
