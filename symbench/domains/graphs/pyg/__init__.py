"""PyTorch Geometric: its networks and data sets, and modules and data sets that users have written for it."""
