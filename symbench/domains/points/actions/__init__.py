"""How the groups of space move values."""
