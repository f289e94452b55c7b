"""A saved run -> a file for other programs."""
