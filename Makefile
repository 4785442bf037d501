# Two commands do all set-up on a fresh machine with Python (3.11 or newer) and make:
#   make demo    install, then the quickstart sweep with its table and plot
#   make test    install what the tests need (real Slurm too, where apt-get can be used as root), then run all of them

# the first that runs and is new enough: a name on PATH may be a shim with nothing behind it
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
SWEEP  := sweeps/digits_quickstart.yaml
SEEDS  ?= 1..10

.PHONY: help install demo test docs check chaos cluster-up cluster-down clean

help:
	@echo "make demo          train four small networks, stitch them, print the penalty table, draw the plot"
	@echo "make test          all tests (installs Slurm and Chromium for its tests where it can)"
	@echo "make docs          the site of README and docs/, with every command, into site/"
	@echo "make check         style and types only"
	@echo "make chaos         a sweep on real Slurm to which everything happens, minutes for each seed: make chaos SEEDS=1..10"
	@echo "make cluster-up    a real Slurm cluster on this machine (see slurm/testcluster/README.md)"
	@echo "make cluster-down  stop it"
	@echo "make clean         remove the environment; results stay"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "repsim needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

demo: install
	$(BIN)/repsim sweep run $(SWEEP)
	$(BIN)/repsim results table $(SWEEP)
	$(BIN)/repsim results plot $(SWEEP)

test: $(VENV)/.tested
	slurm/testcluster/install || true
	tests/browser/install || true
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest

docs: $(VENV)/.documented
	$(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

chaos: $(VENV)/.tested
	slurm/testcluster/install || true
	PYTHONPATH=.:tests/unit $(BIN)/python tests/slurm/chaos.py --seeds $(SEEDS)

cluster-up:
	slurm/testcluster/up

cluster-down:
	slurm/testcluster/down

clean:
	rm -rf $(VENV)
