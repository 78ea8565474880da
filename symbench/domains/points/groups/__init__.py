"""The groups of three-dimensional space."""
