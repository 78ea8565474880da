"""The rows of metrics, theme by theme, and what rows of a theme have in common."""
