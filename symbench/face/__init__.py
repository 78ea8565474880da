"""Floor 6: the command line, Python's entry points, forecasts, and checks for other people's tests."""
