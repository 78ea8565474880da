"""The columns of a cell's parquet files. Published in ``schemas/``."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

FLOAT = pa.float64()
SINGLE = pa.float32()
LIST = pa.list_(SINGLE)


@dataclass(frozen=True)
class Column:
    """One column of the observations, and all that readers ask of it.

    Attributes:
        name: its name; that of an attribute of ``symbench.algebra.metrics.base.Observed`` where metrics see it.
        type: of its values.
        nullable: whether there are tasks, or controls, that have no such thing.
        seen: whether metrics see it, as an array ``(elements, samples)``.
        decides: whether two cells have to agree in it to be of one and the same model.
        kept: whether baselines keep it; in single precision where it is a number with a fraction.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    seen: bool = True
    kept: bool = True
    decides: bool = False

    @property
    def field(self) -> pa.Field:
        """As cells have it."""
        return pa.field(self.name, self.type, nullable=self.nullable)

    @property
    def kept_field(self) -> pa.Field:
        """As baselines have it."""
        return self.field.with_type(SINGLE) if self.type == FLOAT else self.field


COLUMNS = (
    Column("control", pa.string(), seen=False),
    Column("output", pa.string(), nullable=False, seen=False),
    Column("sample", pa.int32(), nullable=False, seen=False),
    Column("element", pa.int32(), nullable=False, seen=False),
    Column("prediction", pa.int32(), decides=True),
    Column("target", pa.int32()),
    Column("correct", pa.bool_()),
    Column("valid", pa.bool_(), nullable=False),
    Column("loss", FLOAT, decides=True),
    Column("score", FLOAT, seen=False),
    Column("confidence", FLOAT, decides=True),
    Column("target_probability", FLOAT, seen=False, kept=False),
    Column("deviation_sq", FLOAT, decides=True),
    Column("unrelated_sq", FLOAT),
    Column("cosine", FLOAT),
    Column("retrieved", FLOAT),
    Column("label_scores", pa.list_(pa.float32())),
    Column("label_targets", pa.list_(pa.bool_())),
    Column("moved_target", pa.int32()),
    Column("places", FLOAT),
    Column("place_mean", FLOAT),
    Column("place_largest", FLOAT),
    Column("place_worst", pa.int32()),
    Column("place_cosine", FLOAT),
    Column("place_right", FLOAT),
    Column("place_kept", FLOAT),
    Column("place_swapped", FLOAT),
    Column("class_hits", LIST),
    Column("class_said", LIST),
    Column("class_there", LIST),
    Column("rim_sq", LIST),
    Column("object_scores", LIST),
    Column("object_classes", LIST),
    Column("object_hits", LIST),
    Column("object_targets", LIST),
    Column("objects_kept", FLOAT),
)
"""The columns of the observations. To add one: write it in a task, put it here, and into ``Observed``."""
SEEN = tuple(column.name for column in COLUMNS if column.seen)
LISTS = tuple(column.name for column in COLUMNS if pa.types.is_list(column.type))

OBSERVATIONS = pa.schema([column.field for column in COLUMNS])
"""One row per (control, output, sample, element). ``control`` is null for the measurement itself.

A multi-label output has the log-odds of each label in ``label_scores``, and is ``correct`` where all labels are. An
embedding has the ``cosine`` of ``f(g.x)`` and ``f(x)``, and ``retrieved``, which is 1 where ``f(g.x)`` is nearest to
``f(x)`` among unmoved samples. Other tasks have null there. Where the group permutes classes, scores are read in the
order of the unmoved sample, whose class is the ``target``; what that is of the moved one is the ``moved_target``.

An output that stands at places of an axis has how many ``places`` there are in the sample, and of the lengths of
``f(g.x) - g.f(x)`` at each the ``place_mean``, the ``place_largest`` and its number, ``place_worst``; and where a
place has several numbers the mean ``place_cosine`` of the two (1 where both are zero, 0 where one is). An extensive
one has the places that it grows with, and ``place_mean`` is its deviation for each.

Classes at each place of a map, and named points, have ``place_right``, the share of labelled places that are right,
``place_kept``, the share predicted as the unmoved prediction moved along, and ``place_swapped``: of the places whose
class an element renames, the share predicted as if it did not. For each class, ``class_hits``, ``class_said`` and
``class_there`` are over how many labelled places both, the prediction and the label have it. ``rim_sq`` is the mean
squared deviation of places 0, 1, 2, 3 to 4, 5 to 8, ... and 33 or more from the frame's edge; NaN where there is
none.

Boxes about objects have rows of ``object_scores`` and ``object_classes`` (-1: none); ``object_hits`` is a number in
which bit b is set where the detection is right at an overlap of 0.5 + 0.05 b; ``object_targets`` are the classes of
the objects that are there, and ``objects_kept`` is how far detections are those of the unmoved sample moved along.

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
        pa.field("loss_of_average", FLOAT),
        pa.field("orbit_variance", FLOAT),
        pa.field("consensus_agreement", FLOAT),
    ]
)
"""One row per (output, sample): what needs the outputs of a whole orbit.

Of their mean, with outputs moved back, the prediction and the loss; and the mean squared distance from it, in the
loss's unit, where that is one of squares. ``consensus_agreement`` is the mean over the orbit of how far predictions
are that of the mean. Null where an element loses something when outputs are moved back.
"""
AVERAGED = {
    "averaged_prediction": "averaged",
    "loss_of_average": "loss_of_average",
    "orbit_variance": "orbit_variance",
    "consensus_agreement": "consensus_agreement",
}
"""Those that are of orbits' means, each with its attribute of ``symbench.algebra.metrics.base.Observed``."""


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


DEVIATIONS = pa.schema(
    [
        pa.field("output", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("element", pa.int32(), nullable=False),
        pa.field("values", pa.list_(pa.float32()), nullable=False),
    ]
)
"""``f(g.x) - g.f(x)`` itself, flat, for the first samples of a replica: what trainings have in common is found by
their products."""


DRAWN = ("before", "moved", "after", "apart")
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
        pa.field("right_before", pa.float64()),
        pa.field("right_after", pa.float64()),
        pa.field("kept", pa.float64()),
        *(pa.field(f"drawn_{which}", pa.binary()) for which in DRAWN),
    ]
)
"""The samples of a cell that break worst, the worst first: classes by name where they have one, pixels as PNG.

``before`` and ``after`` are the predictions of the sample as it is and at its worst ``element``; the confidences are
those of the prediction beside them. Of what stands at places, or is a set, there are the shares of it that are
``right`` and that are ``kept``, and pictures with it ``drawn`` over the image: the label, or the prediction where
there is none, of the sample as it is (``before``); the prediction of that one moved along (``moved``); that of the
moved sample (``after``); and where these last two differ (``apart``).
"""
