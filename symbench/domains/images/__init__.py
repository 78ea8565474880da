"""Images: numbers over a grid of pixels, and everything that only images have."""

from symbench.domains.images.fields import Image
from symbench.domains.images.tables.actions import ACTIONS, FAMILIES
from symbench.domains.images.tables.brought import BROUGHT
from symbench.domains.images.tables.datasets import DATASETS, SEQUENCES
from symbench.domains.images.tables.figures import FIGURES
from symbench.domains.images.tables.folders import FOLDERS
from symbench.domains.images.tables.groups import GROUPS
from symbench.domains.images.tables.labels import LABELS
from symbench.domains.images.tables.models import ADAPTERS
from symbench.domains.images.tables.models import MODELS as OWN
from symbench.domains.images.tables.notations import NOTATIONS
from symbench.domains.images.tables.places import PLACES
from symbench.domains.images.tables.presets import PRESETS

__all__ = [
    "ACTIONS",
    "ADAPTERS",
    "DATASETS",
    "FAMILIES",
    "FIELDS_OF_VERSION_1",
    "FIGURES",
    "FOLDERS",
    "GROUPS",
    "LABELS",
    "MODELS",
    "NOTATIONS",
    "PLACES",
    "PRESETS",
    "SEQUENCES",
]

MODELS = {**OWN, **BROUGHT}
FIELDS_OF_VERSION_1 = {"Image": str(Image())}
"""What records of schema version 1 call its fields."""
