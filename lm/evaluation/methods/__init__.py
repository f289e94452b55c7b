"""Evaluation methods by name. A new one is a module here with a `Method`, and an entry in `METHODS`."""

from lm.evaluation.methods.method import Method, Nats, evaluation_mode
from lm.evaluation.methods.static import Static

__all__ = ["METHODS", "Method", "Nats", "Static", "evaluation_mode"]

METHODS: dict[str, type[Method]] = {method.name: method for method in (Static,)}
