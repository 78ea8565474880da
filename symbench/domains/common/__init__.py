"""What datasets and models of all domains have in common."""
