"""The names and options of evaluation methods -> one method, such as `dynamic,cache`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lm.checks import check_choice
from lm.evaluation.evaluations import option_key
from lm.evaluation.methods import METHODS, Method, Static, Wrapper

WRAPPERS = {name: method for name, method in METHODS.items() if issubclass(method, Wrapper)}
"""The methods that wrap another one, in the order in which they are applied."""


@dataclass(frozen=True)
class Composition:
    """A method that reads the text, static by default, and the wrappers around it.

    Args:
        names: of the methods, in any order, each once.
        options: the keyword arguments of every method that has some.

    Raises:
        ValueError: if there is no such method, an option has a wrong value, or two methods do not compose.
    """

    names: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        for name in self.names:
            check_choice("method", name, METHODS)
        readers = [name for name in self.names if name not in WRAPPERS]
        wrapping = [name for name in WRAPPERS if name in self.names]
        if len(readers) > 1 or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"expected one method that reads the text, alone or composed with {' and '.join(WRAPPERS)}, "
                f"found {','.join(self.names)}: type method={','.join([*readers[:1], *wrapping])}"
            )
        self.method().check()
        if self.method().needs_hidden and not self.reader().has_hidden:
            raise ValueError(
                f"expected a method with one hidden state per word for a cache, found {','.join(self.names)}: "
                "type method=cache"
            )

    def reader(self) -> Method:
        """Return the method that reads the text."""
        name = next((name for name in self.names if name not in WRAPPERS), Static.name)
        return METHODS[name](**self.options.get(name, {}))

    def wrap(self, reader: Method) -> Method:
        """Return the composition around a reader."""
        for name, wrapper in WRAPPERS.items():
            if name in self.names:
                reader = wrapper(reader, **self.options.get(name, {}))
        return reader

    def method(self) -> Method:
        """Return the composition, which has to study the training text if it `needs_study`."""
        return self.wrap(self.reader())

    def with_options(self, name: str, **options: Any) -> "Composition":
        """Return the same with other options of one method."""
        return replace(self, options={**self.options, name: {**self.options.get(name, {}), **options}})

    def grid(self, fixed: Collection[str] = ()) -> dict[str, dict[str, Sequence[float]]]:
        """Return the values that `tune=true` tries for each option, by method, without those that are `fixed`."""
        return {
            name: {key: values for key, values in METHODS[name].grid.items() if option_key(name, key) not in fixed}
            for name in self.names
        }
