# Everything a contributor needs, on a fresh clone with Python 3.11 and pip. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
# Test processes: one per core, at most 8.
WORKERS ?= auto
BASE ?= HEAD

# The environment is made anew when one of these files has other content, not when it has another date.
KEY := $(shell cat requirements.lock pyproject.toml | cksum | tr -d ' ')
GYM_KEY := $(shell cat requirements-gym.lock | cksum | tr -d ' ')
DOCS_KEY := $(shell cat requirements-docs.lock | cksum | tr -d ' ')
READY := .venv/.ready-$(KEY)
DOCS_READY := .venv/.ready-docs-$(DOCS_KEY)
GYM_READY := .venv/.ready-gym-$(GYM_KEY)

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup servers gym weights run test check check-format check-lint check-types check-imports check-catalogue check-lock format catalogue docs mutants mutants-changed chaos bench lock hooks clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv from requirements.lock (nothing to do when it is up to date)

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "stratagem needs Python 3.11 or later: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@rm -f .venv/.ready-*
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --requirement requirements.lock
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "environment ready: .venv"

$(DOCS_READY): $(READY)
	@rm -f .venv/.ready-docs-*
	@$(PY) -m pip install --quiet --requirement requirements-docs.lock
	@touch $@

$(GYM_READY): $(READY)
	@rm -f .venv/.ready-gym-*
	@$(PY) -m pip install --quiet --requirement requirements-gym.lock
	@touch $@

gym: $(GYM_READY)  ## reasoning-gym for its tests, which are skipped without it; needs a C compiler

servers:  ## PostgreSQL and pgbouncer for the tests, from Debian's packages, where they are missing
	@wanted=; \
	[ -n "$${STRATAGEM_TEST_POSTGRES:-}" ] || command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
		|| wanted=postgresql; \
	PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null || wanted="$$wanted pgbouncer"; \
	[ -z "$$wanted" ] && exit; \
	as=; [ "$$(id -u)" = 0 ] || as=sudo; \
	$$as apt-get update -qq; \
	$$as env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$wanted >/dev/null

weights: setup  ## the small real model for the tests marked `local`, where it is missing
	@$(PY) -m stratagem models add smollm2 --quiet

run: setup  ## the reference agent answers questions about this repository: no key, no network
	@$(PY) scripts/demo.py --home ./.stratagem

test: setup  ## all tests, offline
	@$(PY) -m pytest -q -n $(WORKERS) --maxprocesses 8

check: check-format check-lint check-types check-imports check-catalogue check-lock  ## all of these; with -k past the first failure

check-format: setup
	@$(PY) -m ruff format --check --quiet . || { $(PY) -m ruff format --check --output-format concise .; exit 1; }

check-lint: setup
	@$(PY) -m ruff check .

check-types: setup
	@$(PY) -m pyright

check-imports: setup
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/lint-imports --no-cache scripts/import_cycles.toml

check-catalogue: setup
	@$(PY) scripts/catalogue_tests.py --check
	@$(PY) scripts/catalogue_pages.py --check
	@$(PY) scripts/models_table.py --check

check-lock: setup
	@$(PY) scripts/lock.py --check

format: setup  ## format and repair what can be repaired
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

catalogue: setup  ## write what is generated: the catalogue's tests.json, docs/catalogue/ and the table of what models honour
	@$(PY) scripts/catalogue_tests.py
	@$(PY) scripts/catalogue_pages.py
	@$(PY) scripts/models_table.py

docs: setup catalogue $(DOCS_READY)  ## execute every block of the manual, then build the site into site/
	@$(PY) -m pytest -q tests/docs
	@.venv/bin/zensical build --clean --strict

mutants: setup  ## seed defects into every strategy and judge; its own tests must notice each
	@$(PY) mutants.py

mutants-changed: setup  ## the same for what differs from BASE
	@$(PY) mutants.py --changed $(BASE)

chaos: setup  ## kill processes for ten minutes, on SQLite and PostgreSQL, and print the figures
	@$(PY) -m pytest -q -m chaos

bench: setup  ## every benchmark; `python -m benchmarks NAME` for one
	@$(PY) -m benchmarks
	@$(PY) benchmarks/journal_rows.py

lock: setup  ## resolve the dependencies anew
	@$(PY) scripts/lock.py

hooks: setup  ## format and lint before each commit (changes this clone's git settings)
	@git config core.hooksPath .githooks

clean:  ## remove the environment and everything generated
	@rm -rf .venv .stratagem .pytest_cache .hypothesis .ruff_cache .import_linter_cache build dist site artifacts
	@find src tests scripts benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
