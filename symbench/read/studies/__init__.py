"""Studies: questions that a suite asks of its sweeps, answered from a run's files. No torch.

To add one: its options in ``symbench.measure.suite.studies``, what it needs in ``questions.py`` beside these, a file
here with ``answer``, a row in ``ANSWERS`` and one in ``draw.DRAWN``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from symbench.algebra.metrics import Metrics
from symbench.base.errors import CellError, ConfigError
from symbench.base.records import Manifest
from symbench.measure.store import Store
from symbench.measure.suite.studies import Study
from symbench.read.studies import breaking, exchange, means
from symbench.read.studies.answer import Answer

__all__ = ["Answer", "answers"]

ANSWERS: dict[str, Callable[[Store, Manifest, Any, Metrics], Answer]] = {
    "means": means.answer,
    "exchange": exchange.answer,
    "breaking": breaking.answer,
}
STUDY: TypeAdapter[Any] = TypeAdapter(Study)


def answers(store: Store, manifest: Manifest, metrics: Metrics) -> Iterator[Answer]:
    """The answer of every question that the run's suite asks, in its order.

    Args:
        store: holds the run's cells.
        manifest: the run.
        metrics: that may be asked about.
    """
    for document in manifest.suite.get("studies", []):
        asked = STUDY.validate_python(document)
        try:
            yield ANSWERS[asked.ask](store, manifest, asked, metrics)
        except (CellError, ConfigError) as error:
            title, text = asked.title or f"a question about {asked.ask}", str(error).rstrip(".")
            yield Answer(title, f"No answer: {text}.", pd.DataFrame(), "")
