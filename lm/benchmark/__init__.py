"""A config -> how fast its model trains, what a step's time is spent on, and how that compares with plain PyTorch."""
