"""Groups that only give another description of the same atoms."""
