"""A saved run -> text."""
