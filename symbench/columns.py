"""The columns of a cell's parquet files. Published in ``schemas/``."""

from __future__ import annotations

import pyarrow as pa

OBSERVATIONS = pa.schema(
    [
        pa.field("control", pa.string()),
        pa.field("output", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("element", pa.int32(), nullable=False),
        pa.field("prediction", pa.int32()),
        pa.field("target", pa.int32()),
        pa.field("correct", pa.bool_()),
        pa.field("valid", pa.bool_(), nullable=False),
        pa.field("loss", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("confidence", pa.float64()),
        pa.field("target_probability", pa.float64()),
        pa.field("deviation_sq", pa.float64()),
        pa.field("unrelated_sq", pa.float64()),
        pa.field("cosine", pa.float64()),
        pa.field("retrieved", pa.float64()),
        pa.field("label_scores", pa.list_(pa.float32())),
        pa.field("label_targets", pa.list_(pa.bool_())),
    ]
)
"""One row per (control, output, sample, element). ``control`` is null for the measurement itself.

A multi-label output has the log-odds of each label in ``label_scores``, and is ``correct`` where all labels are. An
embedding has the ``cosine`` of ``f(g.x)`` and ``f(x)``, and ``retrieved``, which is 1 where ``f(g.x)`` is nearest to
``f(x)`` among unmoved samples. Other tasks have null there.

The controls of a cell stand in a file of their own: ``repeat`` and ``re-batch`` (the unmoved samples again),
``precision`` (against float64); ``suite dtype`` and ``float64``, what E is made of on the control samples; ``total``,
``reference``, ``remainder``, ``two routes`` and ``round trip``, the split of E; ``layer``, with the layer's name as
the output; and ``Lie forward``, ``Lie central`` and ``Lie gap``, with the generator's number as the element and the
output's dimension as the score.
"""


SAMPLES = pa.schema(
    [
        pa.field("output", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("averaged_prediction", pa.int32()),
    ]
)
"""One row per (output, sample): what needs the outputs of a whole orbit."""


VIEWS = pa.schema(
    [
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("element", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("size", pa.float64(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("parameters", pa.map_(pa.string(), pa.float64()), nullable=False),
    ]
)
"""One row per (sample, element) where every sample has elements of its own."""


GALLERY = pa.schema(
    [
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("element", pa.string(), nullable=False),
        pa.field("target", pa.string()),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
        pa.field("confidence_before", pa.float64()),
        pa.field("confidence_after", pa.float64()),
        pa.field("deviation", pa.float64(), nullable=False),
        pa.field("image_before", pa.binary(), nullable=False),
        pa.field("image_after", pa.binary(), nullable=False),
    ]
)
"""The samples of a cell that break worst, the worst first: classes by name where they have one, pixels as PNG.

``before`` and ``after`` are the predictions of the sample as it is and at its worst ``element``; the confidences are
those of the prediction beside them.
"""
