"""A library of somebody's own, outside the suite's folder."""
