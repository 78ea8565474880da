"""How far outputs deviate, and whose fault that is."""

from __future__ import annotations

from symbench.algebra.metrics.rows import MetricRow
from symbench.algebra.metrics.tables.making import TABLE, control, found, of

ROWS: dict[str, MetricRow] = {
    "equivariance_error": of(
        "equivariance:equivariance_error",
        "deviation over the distance to other samples' outputs: 0 is exact, 1 is unrelated",
        "E", "lower", floor="error", heading="E", shown=(*TABLE, "ranking", "glance", "curve"), role="deviation",
        beside="equivariance_error", blind=True, bounds=(0.0, None),
        aliases=("E", "equivariance", "invariance_error", "equivariance_loss"),
    ),
    "equivariance_error_float64": control(
        "equivariance:equivariance_error_float64",
        "E in float64 on the control samples: below 1e-10 the model is exact by construction",
        "E", "lower", floor="error", paired=False, role="exactness",
    ),
    "rounding_multiple": of(
        "equivariance:rounding_multiple", "E over what rounding in float32 may come to: at most 1 is respected",
        "", "lower", paired=False, shown=(), role="rounding",
    ),
    "split_error": control(
        "attribution:split_error", "E on the samples and elements that are split",
        "E", "lower", floor="error", heading="E", shown=("split",),
    ),
    "model_error": control(
        "attribution:model_error",
        "the model's share of E, by the reference action: rank models by it where elements are resampled",
        "E", "lower", floor="reference", heading="the model's share", shown=("split", "baseline"),
        role="the model's share",
    ),
    "remainder_error": control(
        "attribution:remainder_error", "what resampling adds, in units of E",
        "E", "neither", floor="error", heading="resampling's", shown=("split",), role="resampling's share",
    ),
    "cross_term": control(
        "attribution:cross_term", "twice the product of the two shares",
        "E^2", "neither", heading="cross term, E²", shown=("split",),
    ),
    "reference_error": control(
        "attribution:reference_error",
        "the reference action's own error: a model's share below it is not resolved",
        "E", "neither", floor="error", heading="the reference's own error", shown=("split",),
    ),
    "round_trip_consistency": control(
        "attribution:round_trip_consistency", "share of predictions that survive being moved there and back",
        "share", "higher", heading="survive a round trip %", shown=("split",),
    ),
    "lie_slope": control(
        "attribution:lie_slope", "the slope of E at the identity",
        "E per rad or px", "lower", heading="slope of E", shown=("generators",), per_element=True,
    ),
    "lie_derivative": control(
        "attribution:lie_derivative", "mean squared Lie derivative per output number, for each generator",
        "per rad^2 or px^2", "lower", heading="Lie derivative", shown=("generators",), per_element=True,
        aliases=("lee", "local_equivariance_error"),
    ),
    "lie_derivative_central": control(
        "attribution:lie_derivative_central", "the same by central differences",
        "per rad^2 or px^2", "lower", heading="by differences", shown=("generators",), per_element=True,
    ),
    "layer_error": control(
        "attribution:layer_error", "E of each named layer", "E", "lower", heading="E", role="layer"
    ),
    "other_action_error": found("findings:other_action_error", "E of the best action, if the declared misses"),
    "fixed_point_error": found("findings:fixed_point_error", "asymmetry of outputs at symmetric inputs, as E"),
    "excluded_pairs": of(
        "accuracy:excluded_pairs", "pairs that leave accuracy because the element changes the label",
        "pairs", "neither", role="excluded pairs",
    ),
    "absolute_error": of(
        "equivariance:absolute_error", "mean deviation", "output", "lower", floor="deviation"
    ),
    "absolute_error_p95": of(
        "equivariance:absolute_error_p95", "95th percentile of the deviation",
        "output", "lower", floor="deviation", paired=False,
    ),
    "absolute_error_max": of(
        "equivariance:absolute_error_max", "largest deviation seen",
        "output", "lower", floor="deviation", paired=False, heading="max deviation", shown=("table",),
        not_for=("multi-label", "segmentation", "detection"),
    ),
    "error_per_place": of(
        "places:error_per_place", "mean deviation at a place, or for each of an extensive output",
        "place", "lower", floor="place", heading="per place", label="deviation per place",
        shown=(*TABLE, "curve"),
    ),
    "error_per_place_p95": of(
        "places:error_per_place_p95", "95th percentile, over samples and elements, of the mean over places",
        "place", "lower", floor="place", paired=False, shown=(),
    ),
    "error_per_place_max": of(
        "places:error_per_place_max", "largest deviation at any place",
        "place", "lower", floor="place", paired=False, shown=(),
    ),
    "cosine_per_place": of(
        "places:place_cosine",
        "mean cosine of f(g.x) and g.f(x) at a place: 1 where both are zero, 0 where one is",
        "cosine", "higher", shown=("comparison",),
    ),
    "worst_place_error": of(
        "places:worst_place_error", "E at each sample's worst place: far above E where a single place is broken",
        "E", "lower", floor="error", heading="E, worst place", role="worst place", bounds=(0.0, None),
    ),
    "worst_place_share": of(
        "places:worst_place_share", "part of the squared deviation that is at each sample's worst place",
        "share", "neither", shown=(),
    ),
    "rim_error": of(
        "rim:rim_error", "E of places at most 4 px from the edge of the frame",
        "E", "lower", floor="error", heading="E, rim", shown=("comparison",), bounds=(0.0, None), role="rim",
        aliases=("edge_error", "border_error"),
    ),
    "inner_error": of(
        "rim:inner_error", "E of places more than 16 px from it, or of a smaller frame those in its middle",
        "E", "lower", floor="error", heading="E, inside", shown=("comparison",), bounds=(0.0, None), role="inside",
        aliases=("interior_error", "centre_error"),
    ),
    "changed_predictions": control(
        "mode:changed_predictions", "share of predictions that the suite's mode changes, where both were run",
        "share", "lower", paired=False, shown=(),
    ),
    "largest_deviation": control(
        "mode:largest_deviation", "largest distance from mode exact's outputs, over that between samples",
        "E", "lower", paired=False, shown=(),
    ),
}  # fmt: skip
