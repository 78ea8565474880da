"""What is kept of images between runs."""

from __future__ import annotations

from symbench.base.registry import Row

FOLDERS = {
    "cached pixels": Row("symbench.domains.images.datasets.cache:kept", "decoded images, as models were shown them"),
}
