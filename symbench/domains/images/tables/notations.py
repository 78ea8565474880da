"""How boxes and named points are written where that is not as they are declared."""

from __future__ import annotations

from symbench.domains.common.notations import NotationRow

BOXES, POINTS = "symbench.domains.images.notations:boxes", "symbench.domains.images.notations:points"
NOTATIONS = {
    "boxes-y-first": NotationRow(
        f"{BOXES}_y_first",
        "boxes as top, left, bottom, right",
        kind="Boxes",
        words="as boxes with y before x, (top, left, bottom, right)",
    ),
    "boxes-y-up": NotationRow(
        f"{BOXES}_y_up",
        "boxes whose y goes up",
        kind="Boxes",
        words="as boxes whose y goes up from the lower edge",
    ),
    "boxes-sized": NotationRow(
        f"{BOXES}_sized",
        "boxes as left, top, width, height",
        kind="Boxes",
        words="as boxes of left, top, width and height",
    ),
    "points-y-first": NotationRow(
        f"{POINTS}_y_first", "points as y, x", kind="Keypoints", words="as points with y before x"
    ),
    "points-y-up": NotationRow(
        f"{POINTS}_y_up",
        "points whose y goes up",
        kind="Keypoints",
        words="as points whose y goes up from the lower edge",
    ),
    "points-in-parts": NotationRow(
        f"{POINTS}_in_parts",
        "points in parts of the image",
        kind="Keypoints",
        words="as points in parts of the image's sides, and not in pixels",
    ),
    "points-of-the-other-origin": NotationRow(
        f"{POINTS}_of_the_other_origin",
        "points half a pixel beside",
        kind="Keypoints",
        words="as points half a pixel beside: say origin: centre for corner, or the other way round",
    ),
}
