# Two commands on a machine that has only python3 and make: `make demo` and `make test`.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# `newest` takes what pip finds; `lowest` the lower bounds of pyproject.toml, exactly.
LIBRARIES := newest

# The first of these that is new enough makes the environment; expanded only when one has to be made.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
FOUND = $(shell for py in $(PYTHON) python3.13 python3.12 python3.11; do \
	$$py -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$py; break; }; done)
VERSION = $(shell $(PYTHON) -V 2>/dev/null || echo missing)
TOO_OLD = Python 3.11 or newer is needed, but $(PYTHON) is $(VERSION): install one, or name it with `make PYTHON=/path/to/python3.11`

DEMO := experiments/link/remote_entanglement.py
DEMO_ARGUMENTS := --scenario default --seed 1

.PHONY: help demo test test-lowest test-ends test-pythons test-slow sweep bench lint types layers install install-dev clean

help:
	@echo "make demo       install and run the main job: two nodes share a heralded Bell pair, with a report"
	@echo "make test       install, lint, types, layers, tests"
	@echo "make test-lowest   the same with the lowest versions that pyproject.toml allows"
	@echo "make test-pythons  the same with lowest and newest versions on each Python found here; half an hour and more"
	@echo "make test-slow  the long statistical tests"
	@echo "make sweep      do 68 % intervals cover the truth? 400 seeds of every estimator; hours"
	@echo "make bench      the speed table"
	@echo "make clean      remove the environment and the caches (results stay)"

demo: install
	@$(BIN)/atomlink run $(DEMO) $(DEMO_ARGUMENTS)
	@$(BIN)/atomlink report

test: install-dev lint types layers
	$(BIN)/python -m pytest -q -n auto --dist loadfile

test-lowest:
	@$(MAKE) test VENV=.venvs/lowest LIBRARIES=lowest

test-pythons:
	$(if $(FOUND),,$(error $(TOO_OLD)))
	@$(FOUND) tests/pythons.py test

# The two ends only: lowest versions on the oldest Python, newest ones on the newest.
test-ends:
	$(if $(FOUND),,$(error $(TOO_OLD)))
	@$(FOUND) tests/pythons.py ends

test-slow: install-dev
	$(BIN)/python -m pytest -q -m slow

sweep: install-dev
	$(BIN)/python tests/sweeps/sweep.py

bench: install-dev
	$(BIN)/python benchmarks
	$(BIN)/python benchmarks/bench_startup.py

lint: install-dev
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/mypy

layers: install-dev
	$(BIN)/lint-imports

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing atomlink into $(VENV) …"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "installing atomlink[dev] into $(VENV) …"
	@$(if $(filter lowest,$(LIBRARIES)),$(BIN)/python tests/pythons.py lowest > $(VENV)/lowest.txt)
	@$(PIP) install --editable '.[dev]' $(if $(filter lowest,$(LIBRARIES)),--constraint $(VENV)/lowest.txt)
	@touch $@ $(VENV)/.installed

# A half-made environment (python3-venv missing on Debian) is removed, or the next call would take it for whole.
$(BIN)/python:
	$(if $(FOUND),,$(error $(TOO_OLD)))
	@$(FOUND) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "make: $(FOUND) cannot make an environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 2; }

clean:
	rm -rf $(VENV) .venvs build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
