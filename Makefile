# Everything one types here; `make help` lists it. The environment is built in .venv, and again only when it must.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
# The demo's sweeps have a name before the time.
NEWEST_SWEEP = $(or $(shell ls -td multirun/[0-9]*/ 2>/dev/null | head -1),$(error no sweep in multirun/: make sweep first))
# One of conf/hydra/launcher, or Hydra's own: basic, one run after the other.
LAUNCHER = $(shell $(BIN)/python -m lm.sweeps.recommended_launcher)
# The folder of the newest curves: what failed before it trained has none.
CURVES = $(shell ls -t multirun/*/*/events.out.* outputs/*/*/events.out.* 2>/dev/null | head -1)
NEWEST = $(or $(shell echo "$(CURVES)" | sed -nE 's,^(multirun/[^/]+|outputs/[^/]+/[^/]+)/.*,\1,p'),$(error no results yet: make demo first))

.DEFAULT_GOAL := help
.PHONY: help demo sweep board benchmark test lint types check clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(READY)  ## four small runs on Python's own documentation: table and figure in minutes, no download
	$(BIN)/python -m lm.train -m experiment=demo $(ARGS)

sweep: $(READY)  ## the table on the Penn Treebank, on all of this machine; ARGS="data.dir=FOLDER" LAUNCHER=basic; RESUME=1 goes on with the newest
	$(BIN)/python -m lm.train -m cell=lstm,gru dropout=0,0.25 hydra/launcher=$(LAUNCHER) $(if $(RESUME),hydra.sweep.dir=$(NEWEST_SWEEP)) $(ARGS)

board: $(READY)  ## TensorBoard on the newest results
	$(BIN)/tensorboard --logdir $(NEWEST)

benchmark: $(READY)  ## how fast a model trains here, beside a plain PyTorch loop; options by ARGS="cell=gru data.dir=FOLDER"
	$(BIN)/python -m lm.benchmark $(ARGS)

test: $(READY)  ## all tests, without network
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)  ## format, rules (ruff) and layers of imports (import-linter)
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports --no-cache

types: $(READY)  ## types, strict on lm (mypy)
	$(BIN)/mypy

check: lint types test  ## lint, types and tests

clean:  ## remove the environment; results stay
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f'expected Python 3.11 or newer, found {v[0]}.{v[1]}: type PYTHON=python3.12 or the like after make')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,local,ray,slurm]"
	touch $@
