"""Typed configs for tests: the defaults of `conf/train.yaml` under a test's own values."""

from dataclasses import replace
from functools import cache

from hydra import compose, initialize_config_dir

from lm.cli import CONFIGS
from lm.config import Config


@cache
def default_config() -> Config:
    """Return what `python -m lm.train data=python_docs` trains."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return Config.from_hydra(compose("train", ["data=python_docs"]))


def config_with(**changes: object) -> Config:
    """Return the default config with these fields changed, and those that follow them in `conf/train.yaml`."""
    followers: dict[str, object] = {}
    if "dropout" in changes:
        followers |= {f"{place}_dropout": changes["dropout"] for place in ("input", "hidden", "output")}
    if "hidden_size" in changes:
        followers["last_hidden_size"] = changes["hidden_size"]
    return replace(default_config(), **followers | changes)  # type: ignore[arg-type]
