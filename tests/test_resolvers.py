import re
import subprocess
import sys
from pkgutil import resolve_name

from omegaconf import OmegaConf

from lm.did_you_mean import CONFIGS
from lm.resolvers import RESOLVERS


def test_every_resolver_of_the_configs_is_a_function():
    files = [*CONFIGS.rglob("*.yaml"), CONFIGS.with_name("Makefile")]
    pages = [path.read_text(encoding="utf-8") for path in files]
    used = {name for page in pages for name in re.findall(r"\$\{(\w+):", page)}
    assert used - {"hydra", "now", "oc.select", "usage"} <= RESOLVERS.keys() <= used
    assert all(callable(resolve_name(function)) for function in RESOLVERS.values())


def test_a_value_depends_on_another():
    config = OmegaConf.create(
        {"dropout": 0.25, "epochs": "${by_dropout:${dropout},5,4}", "tied": "${if_tied:false,1,2}"}
    )
    assert (config.epochs, config.tied) == (5, 2)


def test_whoever_reads_a_run_can_resolve_its_config():
    code = "import lm.run_dir; from omegaconf import OmegaConf; print(OmegaConf.create('a: ${by_dropout:0,5,4}').a)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "4\n"
