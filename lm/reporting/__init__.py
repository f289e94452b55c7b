"""Many run folders become one report: a table, figures and effects."""
