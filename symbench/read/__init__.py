"""Floor 5: files in, files out: estimates, comparisons, the gate and reports. Knows no torch."""
