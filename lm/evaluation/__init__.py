"""A saved run -> a number."""
