"""Networks on images, and the libraries that others come from."""
