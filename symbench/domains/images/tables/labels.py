"""Label spaces that networks on images know by heart."""

from __future__ import annotations

from symbench.domains.common.labels import LabelRow

LABELS = {
    "imagenet": LabelRow(
        "symbench.domains.images.models.imagenet:ImageNet", "the 1,000 classes of ImageNet", number=r"n\d{8}"
    ),
}
