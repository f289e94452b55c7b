"""The published perplexities, and which of them belongs to a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lm.did_you_mean import CONFIGS
from lm.run_dir import RunDir, Value

FIGURES = Path(__file__).with_name("published.yaml")

WHOLE_CORPUS = {
    "limit_train_batches": 1.0,
    "limit_val_batches": 1.0,
    "overfit_batches": 0.0,
    "max_steps": -1,
    "fast_dev_run": False,
}
"""The values of Lightning's options with which a run reads its whole corpus. 1.0 is all batches, 1 is one batch."""


@dataclass(frozen=True)
class Published:
    """One row of a published table. A perplexity that it does not state is None.

    Args:
        config: its whole configuration: the defaults of `conf/train.yaml`, or those of a preset, with the options that
            it states.
        unstated: the options that decide the result and that it does not state.
        differs: in what its models or its training differ from what this project can do.
    """

    name: str
    source: str
    config: dict[str, Any]
    unstated: Sequence[str] = ()
    differs: Sequence[str] = ()
    train_ppl: float | None = None
    valid_ppl: float | None = None
    test_ppl: float | None = None


@cache
def _page() -> dict[str, Any]:
    page: Any = OmegaConf.to_container(OmegaConf.load(FIGURES))
    return dict(page)


@cache
def published_figures() -> tuple[Published, ...]:
    """Return the published figures that come with the package."""
    return tuple(_published(**entry) for entry in _page()["figures"])


def _published(when: dict[str, Value], preset: str | None = None, **stated: Any) -> Published:
    return Published(**stated, config=_whole_config(when, preset))


@cache
def _defaults(preset: str | None) -> dict[str, Any]:
    # Not by `compose`, which cannot be called inside a Hydra application, such as a sweep that reports.
    loader = ConfigLoaderImpl(create_config_search_path(str(CONFIGS)))
    overrides = [] if preset is None else [f"experiment={preset}"]
    composed: Any = OmegaConf.to_container(loader.load_configuration("train", overrides, RunMode.RUN))
    return {key: value for key, value in composed.items() if key != "hydra"}


@cache
def default_options() -> dict[str, Any]:
    """Return the defaults of `conf/train.yaml`, interpolations resolved."""
    run = RunDir(Path())
    run.config = OmegaConf.create(_defaults(None))
    return all_options(run)


@cache
def _default_values() -> dict[str, Any]:
    return _whole_config({}, None)


def _whole_config(stated: dict[str, Value], preset: str | None) -> dict[str, Any]:
    run = RunDir(Path())
    run.config = OmegaConf.create(_defaults(preset))
    for key, value in stated.items():
        OmegaConf.update(run.config, key, value)
    return config_values(run)


def all_options(run: RunDir) -> dict[str, Any]:
    """Return all options of a run, interpolations resolved; nothing if they cannot be."""
    try:
        return dict(flat(OmegaConf.to_container(run.config, resolve=True)))
    except (OmegaConfBaseException, RecursionError):
        return {}


def config_values(run: RunDir) -> dict[str, Any]:
    """Return all options of a run that decide its result, as `all_options` does."""
    ignored = set(_page()["ignored"])
    # To Python 1 and true are equal, as options they are not.
    return {
        key: (value, isinstance(value, bool))
        for key, value in all_options(run).items()
        if not ignored & {key, key.partition(".")[0]}
    }


@lru_cache(maxsize=64)  # the table asks several times for the same run
def published_for(run: RunDir) -> Published | None:
    """Return the figures that are published for the run's whole configuration, or None."""
    if part_of_corpus(run) is not None:
        return None
    if not (values := config_values(run)):
        return None
    values = {**_default_values(), **values}  # an option that is newer than the run had its default
    return next((figures for figures in published_figures() if figures.config == values), None)


def published_value(run: RunDir, name: str) -> Value:
    """Return an attribute of the figures that are published for a run's whole configuration, or None."""
    return getattr(published_for(run), name, None)


def part_of_corpus(run: RunDir) -> str | None:
    """Return the options by which a run reads only a part of its corpus, None if it reads all of it."""
    values = {name: run.value(f"trainer.{name}") for name in WHOLE_CORPUS}
    parts = [f"{name}={value}" for name, value in values.items() if str(value) not in ("None", str(WHOLE_CORPUS[name]))]
    return " ".join(parts) or None


def flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of a nested dictionary with their values."""
    if not isinstance(node, dict) or not node:
        yield path, node
        return
    for name, child in node.items():
        yield from flat(child, f"{path}.{name}" if path else str(name))
