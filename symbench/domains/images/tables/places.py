"""What images know of their places."""

from __future__ import annotations

from symbench.domains.common.places import PlacesRow
from symbench.domains.images.fields import Image

PLACES = {
    "Grid": PlacesRow(
        "symbench.domains.images.handling:Pixels", "pixels of an image", unit="pixel", word="Image", field=Image()
    ),
    "Scalar over Axis, Grid": PlacesRow("symbench.domains.images.handling:Frames", "pixels of frames", unit="pixel"),
}
