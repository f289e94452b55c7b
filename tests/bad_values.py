"""Values that options refuse, as they are typed on the command line."""

from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from lm.cli import CONFIGS

NUMBERS = ("0", "-1", "1.5", "1e9", "nan", "inf", "99999999999999999999", "abc", "null", "''", "[1]", "{a:1}", "true")
FLAGS = ("0", "1", "abc", "null", "''", "[true]", "nan")
CHOICES = ("abc", "5", "null", "''", "[best]", "{a:1}", "true", "nan")
TEXTS = ("5", "''", "[a]", "{a:1}", "true", "nan")
GROUPS = ("5", "null", "abc", "[1]", "''")


def numbers_but(*allowed: str) -> tuple[str, ...]:
    """Return `NUMBERS` without those that an option allows."""
    return tuple(value for value in NUMBERS if value not in allowed)


def composed(command: str, *overrides: str) -> DictConfig:
    """Return the config of a command; the values of the overrides may have any type."""
    config = deepcopy(_composed(command))
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        OmegaConf.update(config, override.key_or_group, override.value(), merge=False)
    return config


@cache
def _composed(command: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(command)
