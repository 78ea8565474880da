"""Reference models on points: from no symmetry built in to all of E(3)."""
