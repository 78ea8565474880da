"""From a suite's entries to the things themselves: datasets, groups with their elements, modules, and digests.

The one place where a name of the suite becomes an object. What is made here is what a cell's key speaks of, so
every digest is taken here too.
"""

from symbench.assemble.data import image_leaves, load_dataset, output_count, reading, seed_for
from symbench.assemble.model import (
    build_module,
    built_for_data,
    check_layers,
    code_digest,
    is_foreign,
    layer_fields,
    model_description,
    ready,
    recipe_document,
    state_digest,
)
from symbench.assemble.symmetry import Prepared, canvas, prepare, validity_document
from symbench.assemble.weights import load_weights, weights_digest

__all__ = [
    "Prepared",
    "build_module",
    "built_for_data",
    "canvas",
    "check_layers",
    "code_digest",
    "image_leaves",
    "is_foreign",
    "layer_fields",
    "load_dataset",
    "load_weights",
    "model_description",
    "output_count",
    "prepare",
    "reading",
    "ready",
    "recipe_document",
    "seed_for",
    "state_digest",
    "validity_document",
    "weights_digest",
]
