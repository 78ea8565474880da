"""How groups of the plane move pixels."""
