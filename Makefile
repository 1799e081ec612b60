# Everything happens in .venv, which holds what requirements.lock names, hashes verified, and this project.
# Needed beforehand: Python 3.11 or newer, git, make.

PYTHON ?= python3
ENV    ?= .venv
EXTRAS ?= --extra dev
BIN    := $(ENV)/bin
PYTEST := $(BIN)/python -m pytest --durations=10
LEFT_OUT := $(ENV)/.left-out
TIMED  := tests/test_window.py tests/test_traps.py tests/metrics  # must not notice the machine's time zone
PAGES  := README.md $(wildcard docs/*.md)

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast engines notebooks check lint docs lab lock migration clean

export HANZO_TESTS_LEFT_OUT := $(abspath $(LEFT_OUT))

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(ENV)/.ready  ## a synthetic platform, its store and its dashboard, in ./demo
	$(BIN)/hanzo-reports demo

test: $(ENV)/.ready  ## all tests, and the notebooks on sample data
	@rm -f .coverage $(LEFT_OUT)
	TZ=America/New_York $(PYTEST) -q $(TIMED)
	$(PYTEST) -n 2 --dist worksteal --ignore tests/parity $(COVER)
	$(MAKE) --no-print-directory -j 2 engines notebooks COVER='$(COVER)'
	@$(BIN)/python tests/tiers.py

test-fast: $(ENV)/.ready  ## the tests that need no server, browser, cluster or kernel
	$(PYTEST) -n 2 --dist worksteal -q -m "not slow"

engines: $(ENV)/.ready
	$(PYTEST) -q tests/parity $(COVER)

notebooks: $(ENV)/.ready
	store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT && \
	$(BIN)/hanzo-reports --store "$$store/warehouse" demo --only-data && \
	HANZO_REPORTS_STORE="$$store/warehouse" $(PYTEST) -q --nbmake notebooks

check: COVER := --cov --cov-append --cov-report=
check: lint test  ## everything CI runs, in its order, with the branches that no test takes
	$(BIN)/coverage report
	@$(BIN)/python tests/tiers.py

lint: $(ENV)/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog -I docs --check --check-fail-msg 'run `make docs`' $(PAGES)

docs: $(ENV)/.ready  ## the generated tables of the docs pages: metrics, commands, settings
	$(BIN)/cog -I docs -r $(PAGES)

lab:  ## JupyterLab on the notebooks, in an environment of its own: runs stay fast without it
	$(MAKE) --no-print-directory ENV=.venv-lab EXTRAS="--extra dev --extra explore" .venv-lab/.ready
	.venv-lab/bin/jupyter lab notebooks/explore.ipynb

lock: $(BIN)/uv  ## choose versions anew where pyproject.toml asks for it; UPGRADE=1: wherever there are newer ones
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate $(if $(UPGRADE),--upgrade) --output-file requirements.lock

migration: $(ENV)/.ready  ## a step that makes the state's tables as state/database.py has them: NAME=what_it_does
	$(BIN)/python -c 'from hanzo_reports.state import database, migrate; migrate.draft_migration("$(NAME)", database.METADATA)'
	$(BIN)/ruff format --quiet hanzo_reports/state/migrations
	$(BIN)/ruff check --quiet --fix hanzo_reports/state/migrations

clean:  ## remove what these targets made
	rm -rf .venv .venv-lab demo dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Making $(ENV), once"
	@$(PYTHON) -m venv $(ENV) || { rm -rf $(ENV); exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(ENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(ENV)/uv.txt

$(ENV)/.ready: pyproject.toml requirements.lock | $(BIN)/uv
	@echo "Installing what requirements.lock names"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes \
		--constraints requirements.lock --requirements pyproject.toml $(EXTRAS)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
