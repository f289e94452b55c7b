"""Two runs -> where in the text they differ."""
