"""Config -> how fast a model trains with them, and what the time is spent on."""
