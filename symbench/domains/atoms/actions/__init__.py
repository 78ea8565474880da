"""How another description of the same atoms changes their leaves."""
