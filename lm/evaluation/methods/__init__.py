"""Evaluation methods by name. A new one is a module here with a `Method`, and an entry in `METHODS`."""

from lm.evaluation.methods.dynamic import Dynamic, DynamicSGD
from lm.evaluation.methods.mc_dropout import MCDropout
from lm.evaluation.methods.method import Method, Nats, TextNats, Wrapper, evaluation_mode
from lm.evaluation.methods.neural_cache import Cache
from lm.evaluation.methods.static import Static
from lm.evaluation.methods.temperature import Temperature

__all__ = ["METHODS", "Method", "Nats", "Static", "Temperature", "TextNats", "Wrapper", "evaluation_mode"]

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Static, Dynamic, DynamicSGD, MCDropout, Temperature, Cache)
}
"""Methods that read a text, and wrappers around them in the order in which they are applied."""
