"""The groups of the plane."""
