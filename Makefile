# All commands of the project; `make help` lists them. The environment is in .venv, and built again only if needed.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
# A file of conf/hydra/launcher, or Hydra's own: basic, one run after the other.
LAUNCHER = $(shell $(BIN)/python -m lm.sweeps.launchers)
# A resolver of Hydra, since it knows the options: the newest folder with unfinished runs of them.
UNFINISHED = 'hydra.sweep.dir=$${unfinished_sweep:$${hydra.overrides.task},$${oc.select:hydra.sweeper.params,null}}'
# The folder of the newest curves: a run that failed before it trained has none.
CURVES = $(shell ls -t multirun/*/*/events.out.* outputs/*/*/events.out.* 2>/dev/null | head -1)
NEWEST = $(or $(shell echo "$(CURVES)" | sed -nE 's,^(multirun/[^/]+|outputs/[^/]+/[^/]+)/.*,\1,p'),$(error no results yet: make demo first))

.DEFAULT_GOAL := help
.PHONY: help demo play sweep board benchmark test test-gpu lint types check clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(READY)  ## train four small runs on Python's documentation: a table and figures in minutes; needs no corpus
	$(BIN)/python -m lm.train -m experiment=demo $(ARGS)

play: $(READY)  ## generate texts with the best model that make demo left (ARGS='prompt="the value"')
	$(BIN)/python -m lm.generate num_samples=5 temperature=0.7 $(ARGS)

sweep: $(READY)  ## train the table on the Penn Treebank (ARGS="data.dir=FOLDER", LAUNCHER=basic, RESUME=1)
	$(BIN)/python -m lm.train -m cell=lstm,gru dropout=0,0.25 hydra/launcher=$(LAUNCHER) $(if $(RESUME),$(UNFINISHED)) $(ARGS)

board: $(READY)  ## start TensorBoard on the newest results
	$(BIN)/tensorboard --logdir $(NEWEST)

benchmark: $(READY)  ## measure training speed beside a plain PyTorch loop (ARGS="cell=gru")
	$(BIN)/python -m lm.benchmark $(ARGS)

test: $(READY)  ## run all tests, without network
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=10 $(ARGS)

test-gpu: $(READY)  ## run the tests of what differs on a GPU; skipped without one
	$(BIN)/python -m pytest -m gpu tests $(ARGS)

lint: $(READY)  ## check format, rules (ruff) and layers of imports (import-linter)
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports --no-cache

types: $(READY)  ## check types, strictly on lm (mypy)
	$(BIN)/mypy

check: lint types test  ## run lint, types and test

clean:  ## remove the environment, but no results
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f'expected Python 3.11 or newer, found {v[0]}.{v[1]}: type PYTHON=python3.12 or the like after make')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,ray,slurm,search,export]"
	touch $@
