"""Two runs side by side: where their cells are, and their estimates paired. Comparisons and gates start from here."""
