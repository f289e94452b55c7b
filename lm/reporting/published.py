"""The published perplexities, and which of them belongs to a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lm.did_you_mean import CONFIGS
from lm.run_dir import RunDir, Value
from lm.trainer_config import WHOLE_CORPUS

PUBLISHED_FILE = Path(__file__).with_name("published.yaml")


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
    page: Any = OmegaConf.to_container(OmegaConf.load(PUBLISHED_FILE))
    return dict(page)


def options_without_effect() -> frozenset[str]:
    """Return the options that change no result, but only how fast and how visibly a run is computed."""
    return frozenset(_page()["without_effect"])


@cache
def published_figures() -> tuple[Published, ...]:
    """Return the published figures that come with the package."""
    return tuple(_published(**entry) for entry in _page()["figures"])


def _published(when: dict[str, Value], preset: str | None = None, **stated: Any) -> Published:
    config = OmegaConf.create(_defaults(preset))
    for key, value in when.items():
        OmegaConf.update(config, key, value)
    return Published(**stated, config=_deciding(_flat_config(config)))


@cache
def _defaults(preset: str | None) -> dict[str, Any]:
    # Not by `compose`, which cannot be called inside a Hydra application, such as a sweep that reports.
    loader = ConfigLoaderImpl(create_config_search_path(str(CONFIGS)))
    overrides = [] if preset is None else [f"experiment={preset}"]
    composed: Any = OmegaConf.to_container(loader.load_configuration("train", overrides, RunMode.RUN))
    return {key: value for key, value in composed.items() if key != "hydra"}


@cache
def _default_options() -> dict[str, Any]:
    return _flat_config(OmegaConf.create(_defaults(None)))


def all_options(run: RunDir) -> dict[str, Any]:
    """Return all options of a run by their dotted names. An option that is newer than the run has its default.

    Interpolations are resolved. If one cannot be, all options are returned as they are written.
    A run without a config has none.
    """
    return {**_default_options(), **_flat_config(run.config)} if run.config else {}


def written_options(run: RunDir) -> dict[str, Any]:
    """Return all options of a run as they are written, so that what follows from another one is the same in all runs.

    Options that are newer than the run have their default. A run without a config has none.
    """
    return {**dict(flat(_defaults(None))), **dict(flat(OmegaConf.to_container(run.config)))} if run.config else {}


def _flat_config(config: DictConfig) -> dict[str, Any]:
    try:
        return dict(flat(OmegaConf.to_container(config, resolve=True)))
    except (OmegaConfBaseException, RecursionError):
        return dict(flat(OmegaConf.to_container(config)))


def _deciding(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that decide a run's result."""
    ignored = {*_page()["ignored"], *options_without_effect()}
    # To Python 1 and true are equal, as options they are not.
    return {
        key: (value, isinstance(value, bool))
        for key, value in options.items()
        if not ignored & {key, key.partition(".")[0]}
    }


@lru_cache(maxsize=64)  # the table asks several times for the same run
def published_for(run: RunDir) -> Published | None:
    """Return the figures that are published for the run's whole configuration, or None."""
    if part_of_corpus(run) is not None:
        return None
    values = _deciding(all_options(run))
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
