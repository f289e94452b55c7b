"""Nats -> better weights."""
