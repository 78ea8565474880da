"""What a model costs, whatever moves its samples."""

from __future__ import annotations

from symbench.algebra.metrics.rows import MetricRow
from symbench.algebra.metrics.tables.making import cost

ROWS: dict[str, MetricRow] = {
    "parameters": cost(
        "cost:parameters", "numbers in the model's weights",
        "count", "neither", shown=("costs", "comparison"), heading="parameters", role="size",
        aliases=("params", "size"),
    ),
    "trainable_parameters": cost(
        "cost:trainable_parameters", "those of them that training would change",
        "count", "neither", heading="trainable", shown=("costs",),
    ),
    "buffers": cost("cost:buffers", "numbers beside the weights, such as running means", "count", "neither"),
    "flops": cost(
        "cost:flops", "floating-point operations for one sample, a multiply-add is two",
        "flop", "lower", heading="FLOPs per sample", shown=("costs", "comparison"), role="operations",
        aliases=("macs",),
    ),
    "throughput": cost(
        "passes:throughput", "samples per second at the suite's batch size, timed by passes of its own",
        "samples/s", "higher", heading="samples per second", shown=("costs", "comparison"), role="speed",
        of_passes="time", aliases=("speed", "samples_per_second", "images_per_second", "fps"),
    ),
    "latency": cost(
        "passes:latency", "time that a sample takes which comes alone", "s", "lower",
        heading="latency", shown=("costs", "comparison"), of_passes="time",
    ),
    "peak_memory": cost(
        "passes:peak_memory", "the most memory that a forward pass of the suite's batch size holds at a time",
        "MiB", "lower", heading="peak memory", shown=("costs", "comparison"), of_passes="memory",
        aliases=("memory",),
    ),
    "seconds_per_sample": cost(
        "cost:seconds_per_sample", "median time of a warm forward pass over its batch size",
        "s", "lower", heading="time per sample", shown=(), role="time", aliases=("time",),
    ),
    "training_seconds": cost(
        "cost:training_seconds", "time that training took", "s", "lower", heading="training", shown=("costs",)
    ),
    "training_samples": cost(
        "cost:training_samples", "different samples that training learnt from", "count", "neither"
    ),
    "training_steps": cost("cost:training_steps", "optimiser steps of training", "count", "lower"),
    "training_flops": cost(
        "cost:training_flops", "floating-point operations of training, three forward passes a sample",
        "flop", "lower",
    ),
    "training_steps_to_target": cost(
        "cost:training_steps_to_target", "optimiser steps until validation reached the recipe's target",
        "count", "lower",
    ),
    "training_rate": cost(
        "cost:training_rate", "samples that training showed in a second", "samples/s", "higher"
    ),
    "training_peak_memory": cost(
        "cost:training_peak_memory", "the most memory that training held on the GPU", "MiB", "lower"
    ),
}  # fmt: skip
