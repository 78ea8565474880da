"""From a suite's entries to the things themselves: datasets, groups with their elements, modules, and digests.

The one place where a name of the suite becomes an object. What is made here is what a cell's key speaks of, so
every digest is taken here too.
"""

from symbench.measure.assemble.data import load_dataset, normalised_leaves, output_count, reading, seed_for
from symbench.measure.assemble.model import (
    build_module,
    built_for_data,
    is_foreign,
    model_description,
    recipe_document,
)
from symbench.measure.assemble.origin import origin_document
from symbench.measure.assemble.running import (
    check_layers,
    check_outputs,
    dtype_of,
    inputs_of,
    inputs_said,
    layer_fields,
    outputs_of,
    ready,
)
from symbench.measure.assemble.symmetry import Prepared, canvas, prepare
from symbench.measure.assemble.validity import rule_document, validity_document
from symbench.measure.assemble.weights import load_weights, weights_digest

__all__ = [
    "Prepared",
    "build_module",
    "built_for_data",
    "canvas",
    "check_layers",
    "check_outputs",
    "dtype_of",
    "inputs_of",
    "inputs_said",
    "is_foreign",
    "layer_fields",
    "load_dataset",
    "load_weights",
    "model_description",
    "normalised_leaves",
    "origin_document",
    "output_count",
    "outputs_of",
    "prepare",
    "reading",
    "ready",
    "recipe_document",
    "rule_document",
    "seed_for",
    "validity_document",
    "weights_digest",
]
